/* Goal: at every moment a node signs with exactly the keys that others accept, and is
 * called by exactly those that they may still know (RELIABILITY F20).
 * Method: random histories of rotations, revocations and pauses; each second around
 * each change is compared with what the charter answers about the same row, and with
 * a plain restatement of the rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/keychoice.h"
#include "tests/charter_fixture.h"

enum { SETS_MAX = 5, SEEDS = 1500 };

/* A member with a history of keys, as `charter build` would have made it. */
struct history {
    size_t count; /* generations of the node */
    size_t sets;  /* of them listed: the first ones */
    struct network_keys secret[SETS_MAX];
    struct network_public all[SETS_MAX];
    Hr__PublicKeys keys[SETS_MAX];
    Hr__PublicKeys *list[SETS_MAX];
    Hr__MemberRow row;
};

static uint32_t chance;

static uint32_t
draw(uint32_t n)
{
    chance = chance * 1664525u + 1013904223u;
    return (chance >> 8) % n;
}

static void
make_history(struct history *h, uint32_t seed)
{
    static const int64_t gaps[] = {0, 1, 600, 86400, 30 * 86400, 45 * 86400};
    uint64_t at = FIXTURE_NOW;
    chance = seed;
    memset(h, 0, sizeof *h);
    hr__member_row__init(&h->row);
    h->count = 1 + draw(SETS_MAX);
    h->sets = draw(4) == 0 ? h->count - 1 : h->count;
    for (size_t i = 0; i < h->count; i++) {
        uint8_t secret[KEY_BYTES] = {(uint8_t)(i + 1)};
        keys_derive(secret, FIXTURE_NETWORK, &h->secret[i]);
        keys_public(&h->secret[i], &h->all[i]);
        Hr__PublicKeys *k = &h->keys[i];
        hr__public_keys__init(k);
        ProtobufCBinaryData *fields[] = {&k->log, &k->witness, &k->statement, &k->session,
                                         &k->box};
        uint8_t *from[] = {h->all[i].log, h->all[i].witness, h->all[i].statement,
                           h->all[i].session, h->all[i].box};
        for (size_t f = 0; f < 5; f++) {
            *fields[f] = (ProtobufCBinaryData){KEY_BYTES, from[f]};
        }
        k->from = i == 0 ? 0 : at;
        at += 1 + (uint64_t)gaps[draw(6)] + draw(3);
        bool last = i + 1 == h->sets;
        k->to = last && draw(3) != 0 ? 0 : at;
        k->revoked = k->to != 0 && draw(4) == 0;
        at += k->revoked ? draw(7200) : 0; /* found out later */
        h->list[i] = k;
    }
    h->row.institution = (char *)(uintptr_t) "h0";
    h->row.n_keys = h->sets;
    h->row.keys = h->list;
    h->row.left = (char *)(uintptr_t) "";
}

static bool
answers(const struct keychoice *c, size_t i)
{
    for (size_t k = 0; k < c->answer_count; k++) {
        if (c->answer[k] == i) {
            return true;
        }
    }
    return c->use == i;
}

static void
check_moment(const struct history *h, int64_t now)
{
    struct keychoice c;
    size_t in_force = 0;
    keychoice_make(&h->row, h->all, h->count, now, &c);
    const Hr__PublicKeys *at = charter_keys_at(&h->row, now);
    for (size_t i = 0; i < h->sets; i++) {
        const Hr__PublicKeys *k = &h->keys[i];
        bool holds = (int64_t)k->from <= now && (k->to == 0 || now < (int64_t)k->to);
        in_force += holds;
        /* Peers take a session key from its beginning (clocks differ) to 30 days after
         * its end; then we must know it when we are called by it. */
        bool taken = (int64_t)k->from <= now &&
                     (k->to == 0 || now < (int64_t)k->to + (k->revoked ? 0 : 30 * 86400));
        if (taken) {
            assert_true(answers(&c, i));
        }
        if (k->revoked && (int64_t)k->to <= now && c.use != i) {
            assert_false(answers(&c, i));
        }
        if (c.dial == i && c.listed) {
            assert_true(taken);
        }
    }
    assert_true(in_force <= 1); /* never two */
    assert_int_equal(c.listed, in_force == 1);
    assert_int_equal(c.listed, at != NULL);
    if (at != NULL) {
        assert_memory_equal(at->log.data, h->all[c.use].log, KEY_BYTES);
    }
    assert_true(c.use < h->count && c.dial < h->count);
    for (size_t i = h->sets; i < h->count; i++) {
        assert_true(answers(&c, i)); /* others may have heard of it before us */
    }
}

static void
exactly_the_keys_that_others_accept_are_used(void **state)
{
    struct history h;
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        make_history(&h, seed);
        for (size_t i = 0; i < h.sets; i++) {
            const int64_t edges[] = {(int64_t)h.keys[i].from, (int64_t)h.keys[i].to,
                                     (int64_t)h.keys[i].to + 15 * 86400,
                                     (int64_t)h.keys[i].to + 30 * 86400};
            for (size_t e = 0; e < 4; e++) {
                for (int64_t d = -2; d <= 2; d++) {
                    check_moment(&h, edges[e] + d < 0 ? 0 : edges[e] + d);
                }
            }
        }
        check_moment(&h, FIXTURE_NOW + draw(90 * 86400));
    }
}

static void
without_new_keys_in_between_there_is_no_gap(void **state)
{
    struct history h;
    (void)state;
    for (uint32_t seed = 1; seed <= 200; seed++) {
        make_history(&h, seed);
        for (size_t i = 0; i + 1 < h.sets; i++) { /* exchanged, not revoked */
            h.keys[i].revoked = false;
            h.keys[i].to = h.keys[i + 1].from;
        }
        h.keys[h.sets == 0 ? 0 : h.sets - 1].to = 0;
        h.keys[h.sets == 0 ? 0 : h.sets - 1].revoked = false;
        for (size_t i = 0; i < h.sets; i++) {
            for (int64_t d = -3; d <= 3; d++) {
                int64_t now = (int64_t)h.keys[i].from + d;
                struct keychoice c;
                keychoice_make(&h.row, h.all, h.count, now < 0 ? 0 : now, &c);
                assert_true(c.listed);
            }
        }
    }
}

static void
who_has_not_heard_of_new_keys_is_called_with_the_old_ones(void **state)
{
    struct history h;
    struct keychoice c;
    (void)state;
    make_history(&h, 1);
    h.count = h.sets = h.row.n_keys = 2;
    for (size_t i = 2; i-- > 0;) { /* the history may have had one */
        uint8_t secret[KEY_BYTES] = {(uint8_t)(i + 1)};
        keys_derive(secret, FIXTURE_NETWORK, &h.secret[i]);
        keys_public(&h.secret[i], &h.all[i]);
    }
    hr__public_keys__init(&h.keys[1]);
    h.keys[1].log = (ProtobufCBinaryData){KEY_BYTES, h.all[1].log};
    h.keys[1].session = (ProtobufCBinaryData){KEY_BYTES, h.all[1].session};
    h.list[1] = &h.keys[1];
    h.keys[0].from = 0;
    h.keys[0].to = h.keys[1].from = FIXTURE_NOW;
    h.keys[0].revoked = false;
    keychoice_make(&h.row, h.all, 2, FIXTURE_NOW - 1, &c);
    assert_int_equal(c.use, 0);
    assert_int_equal(c.dial, 0);
    keychoice_make(&h.row, h.all, 2, FIXTURE_NOW, &c);
    assert_int_equal(c.use, 1);
    assert_int_equal(c.dial, 0);
    keychoice_make(&h.row, h.all, 2, FIXTURE_NOW + 15 * 86400, &c);
    assert_int_equal(c.dial, 1);
    h.keys[0].revoked = true; /* nobody takes it */
    keychoice_make(&h.row, h.all, 2, FIXTURE_NOW, &c);
    assert_int_equal(c.dial, 1);
    assert_int_equal(c.answer_count, 0);
    /* never listed: the join file names the newest */
    keychoice_make(NULL, h.all, 2, FIXTURE_NOW, &c);
    assert_false(c.listed);
    assert_int_equal(c.use, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_keys_that_others_accept_are_used),
        cmocka_unit_test(without_new_keys_in_between_there_is_no_gap),
        cmocka_unit_test(who_has_not_heard_of_new_keys_is_called_with_the_old_ones)};
    assert_true(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
