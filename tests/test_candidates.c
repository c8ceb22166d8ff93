/* Goal: which leaves of a patient count is decided alike everywhere, and no
 * member can make its entries count for more, or those of others for less.
 * Method: logs whose entries are partly published, partly made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "tests/world.h"

struct found {
    struct world w;
    struct patient_keys keys[2];
    struct candidates c;
};

enum { FIRST_QUARTER = 2026 * 4, LAST_QUARTER = 2027 * 4 };

static int
setup(void **state)
{
    struct found *f = calloc(1, sizeof *f);
    world_open(&f->w, NULL);
    for (size_t i = 0; i < 2; i++) {
        OK(token_patient_keys(&f->w.epochs[i], "RI", WORLD_CARD, &f->keys[i]));
    }
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct found *f = *state;
    candidates_free(&f->c);
    world_close(&f->w);
    free(f);
    return 0;
}

static void
find(struct found *f)
{
    candidates_free(&f->c);
    struct store_txn *t = begin_read(f->w.issuer);
    OK(candidates_find(t, FIXTURE_NETWORK, f->keys, 2, FIRST_QUARTER, LAST_QUARTER, &f->c));
    store_abort(t);
}

/* An entry of a house as its author might write it, under the patient's token. */
struct forged {
    int what; /* enum publish_what */
    uint64_t replaces;
    size_t token_bytes, sealed_bytes, brief_bytes;
    uint32_t quarter;
};

static const struct forged good = {PUBLISH_CORRECT, 0,           TOKEN_BYTES,
                                   HASH_BYTES,      BRIEF_BYTES, 2027 * 4};

static uint64_t
forge(struct found *f, unsigned house, const struct forged *o)
{
    uint8_t bytes[4096], zeros[2048] = {0}, token_bytes[64] = {0};
    struct token token;
    size_t count;
    Hr__PubEntry e = HR__PUB_ENTRY__INIT;
    Hr__Publish p = HR__PUBLISH__INIT;
    Hr__Correct c = HR__CORRECT__INIT;
    Hr__Withdraw d = HR__WITHDRAW__INIT;
    token_make(&f->keys[0], o->quarter, &token);
    memcpy(token_bytes, token.bytes, TOKEN_BYTES);
    ProtobufCBinaryData t = {o->token_bytes, token_bytes};
    ProtobufCBinaryData sealed = {o->sealed_bytes, zeros}, brief = {o->brief_bytes, zeros};
    p.token = c.token = d.token = t;
    p.epoch = c.epoch = d.epoch = 1;
    p.sealed = c.sealed = sealed;
    p.brief = c.brief = brief;
    c.replaces = d.replaces = o->replaces;
    if (o->what == PUBLISH_NEW) {
        e.what_case = HR__PUB_ENTRY__WHAT_PUBLISH;
        e.publish = &p;
    } else if (o->what == PUBLISH_CORRECT) {
        e.what_case = HR__PUB_ENTRY__WHAT_CORRECT;
        e.correct = &c;
    } else {
        e.what_case = HR__PUB_ENTRY__WHAT_WITHDRAW;
        e.withdraw = &d;
    }
    OK(pb_pack(&e.base, bytes, sizeof bytes, &count));
    return world_append(&f->w, house, (struct view){bytes, count});
}

static void
publish(struct found *f, unsigned house, const char *id, const char *value)
{
    struct world_report r;
    world_report(&r, id, WORLD_CARD);
    r.items[0].value = text_of(value);
    OK(world_publish(&f->w, house, &r, 0));
}

/* The states in order, one letter each: Live, Replaced, Withdrawn, Ignored; a
 * small letter when disputed. */
static const char *
states(const struct found *f)
{
    static char text[64];
    size_t i;
    for (i = 0; i < f->c.count && i < 63; i++) {
        text[i] = "LRWI"[f->c.at[i].state];
        text[i] = (char)(text[i] + (f->c.at[i].disputed ? 'a' - 'A' : 0));
    }
    text[i] = '\0';
    return text;
}

static void
a_report_and_its_correction_give_one_live_leaf(void **state)
{
    struct found *f = *state;
    publish(f, 0, "R1", "4.1");
    publish(f, 1, "R1", "4.2"); /* another hospital's, of the same number */
    publish(f, 0, "R1", "4.3");
    find(f);
    assert_string_equal(states(f), "RLL");
    assert_int_equal(f->c.at[0].replaced_by, 1);
    assert_string_equal(f->c.at[1].institution, "h0");
    assert_true(f->c.at[1].correct);
    assert_int_equal(f->c.at[1].brief.status, BRIEF_FINAL);
    assert_true(candidate_may_hold(&f->c.at[1], 1));
    assert_false(candidate_may_hold(&f->c.at[1], 2));
    assert_int_equal(f->c.findings, 0);
}

static void
a_withdrawal_takes_back_the_correction(void **state)
{
    struct found *f = *state;
    struct world_report r;
    publish(f, 0, "R1", "4.1");
    publish(f, 0, "R1", "4.3");
    world_report(&r, "R1", WORLD_CARD);
    OK(world_publish(&f->w, 0, &r, 2));
    find(f);
    assert_string_equal(states(f), "RW");
    assert_int_equal(f->c.at[1].replaced_by, 2);
}

static void
entries_under_an_older_network_key_and_quarter_are_found(void **state)
{
    struct found *f = *state;
    struct world_report r;
    publish(f, 0, "R1", "4.1");
    f->w.houses[0].publish.network_key = &f->w.epochs[1];
    publish(f, 0, "R2", "4.2");
    world_report(&r, "R3", WORLD_CARD);
    r.report.examined_at = text_of("2026-02-01T08:00:00+08:00");
    OK(world_publish(&f->w, 0, &r, 0));
    r.report.report_id = text_of("R4");
    r.report.examined_at = text_of("2025-12-31T08:00:00+08:00"); /* before the first quarter */
    OK(world_publish(&f->w, 0, &r, 0));
    find(f);
    assert_string_equal(states(f), "LLL");
    assert_int_equal(f->c.at[1].epoch, 2);
    assert_int_equal(f->c.at[1].patient, 1);
    assert_false(f->c.at[1].brief_bad);
}

static void
the_first_replacement_wins_and_the_second_does_not_count_itself(void **state)
{
    struct found *f = *state;
    struct forged second = good;
    publish(f, 0, "R1", "4.1");
    publish(f, 0, "R1", "4.3"); /* leaf 1 replaces 0 */
    forge(f, 0, &second);       /* and so does leaf 2 */
    second.replaces = 2;        /* and this corrects what does not count */
    forge(f, 0, &second);
    second.what = PUBLISH_WITHDRAW;
    second.replaces = 0;
    forge(f, 0, &second);
    find(f);
    assert_string_equal(states(f), "RLII");
    assert_int_equal(f->c.findings, 3);
}

static void
replacing_what_is_elsewhere_later_or_itself_is_ignored(void **state)
{
    struct found *f = *state;
    struct forged o = good;
    publish(f, 0, "R1", "4.1");
    publish(f, 1, "R1", "4.1");
    publish(f, 1, "R2", "4.1"); /* leaf 1 of h1: is there, but not in h0 */
    static const uint64_t targets[] = {1, 2, 3, 4, 7, UINT64_MAX, INT64_MAX, 1u << 31};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        o.replaces = targets[i];
        o.what = PUBLISH_CORRECT;
        forge(f, 0, &o);
        o.what = PUBLISH_WITHDRAW;
        forge(f, 0, &o);
    }
    find(f);
    assert_string_equal(states(f), "LIIIIIIIILL");
    assert_int_equal(f->c.findings, 16);
}

static void
another_quarters_token_is_another_place(void **state)
{
    struct found *f = *state;
    struct forged o = good;
    publish(f, 0, "R1", "4.1");
    o.quarter = 2026 * 4 + 3; /* searched as well, but not the token of leaf 0 */
    forge(f, 0, &o);
    o.what = PUBLISH_WITHDRAW;
    forge(f, 0, &o);
    find(f);
    assert_string_equal(states(f), "LI");
}

static void
strange_entries_are_left_out_and_harm_nobody(void **state)
{
    struct found *f = *state;
    static const struct forged strange[] = {
        {PUBLISH_NEW, 0, TOKEN_BYTES - 1, HASH_BYTES, BRIEF_BYTES, 2027 * 4},
        {PUBLISH_NEW, 0, TOKEN_BYTES + 1, HASH_BYTES, BRIEF_BYTES, 2027 * 4},
        {PUBLISH_NEW, 0, 0, HASH_BYTES, BRIEF_BYTES, 2027 * 4},
        {PUBLISH_NEW, 0, TOKEN_BYTES, HASH_BYTES - 1, BRIEF_BYTES, 2027 * 4},
        {PUBLISH_NEW, 0, TOKEN_BYTES, 0, 0, 2027 * 4},
        {PUBLISH_WITHDRAW, 0, 0, 0, 0, 2027 * 4},
    };
    uint8_t junk[300];
    publish(f, 0, "R1", "4.1");
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        forge(f, 0, &strange[i]);
    }
    for (size_t i = 1; i < sizeof junk; i += 13) {
        fill(junk, i, i);
        world_append(&f->w, 0, (struct view){junk, i});
    }
    find(f);
    assert_string_equal(states(f), "L");
}

static void
a_brief_that_does_not_open_says_maybe(void **state)
{
    struct found *f = *state;
    static const size_t lengths[] = {BRIEF_BYTES, 1, BRIEF_BYTES + 1, 2000, 0};
    struct forged o = good;
    o.what = PUBLISH_NEW;
    for (size_t i = 0; i < 5; i++) {
        o.brief_bytes = lengths[i];
        forge(f, 0, &o);
    }
    find(f);
    assert_string_equal(states(f), "LLLLL");
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f->c.at[i].held, lengths[i] == 0);
        assert_int_equal(f->c.at[i].brief_bad, lengths[i] != 0);
        assert_true(candidate_may_hold(&f->c.at[i], 1));
    }
}

static void
a_brief_copied_to_another_entry_does_not_open(void **state)
{
    struct found *f = *state;
    struct view entry;
    uint8_t bytes[256];
    publish(f, 0, "R1", "4.1");
    struct store_txn *t = begin_read(f->w.issuer);
    OK(store_entry_get(t, f->w.houses[0].log, 0, &entry));
    assert_true(entry.count <= sizeof bytes);
    memcpy(bytes, entry.bytes, entry.count);
    size_t count = entry.count;
    store_abort(t);
    world_append(&f->w, 1, (struct view){bytes, count}); /* h1 claims it as its own */
    find(f);
    assert_string_equal(states(f), "LL");
    assert_false(f->c.at[0].brief_bad);
    assert_true(f->c.at[1].brief_bad);
}

static void
a_frozen_log_serves_what_it_was_before(void **state)
{
    struct found *f = *state;
    publish(f, 0, "R1", "4.1");
    publish(f, 0, "R2", "4.2");
    publish(f, 0, "R1", "4.3"); /* leaf 2 replaces 0 */
    publish(f, 0, "R3", "4.3");
    struct store_txn *t = begin_write(f->w.issuer);
    OK(store_log_mark(t, f->w.houses[0].log, STORE_LOG_OWN | STORE_LOG_FROZEN, 2));
    OK(store_commit(t));
    find(f);
    assert_string_equal(states(f), "lLll"); /* 0 is not hidden by a leaf in dispute */
    t = begin_write(f->w.issuer);
    OK(store_log_mark(t, f->w.houses[0].log, STORE_LOG_OWN | STORE_LOG_FROZEN, 3));
    OK(store_commit(t));
    find(f);
    assert_string_equal(states(f), "RLLl");
}

static void
logs_of_other_networks_and_kinds_are_not_read(void **state)
{
    struct found *f = *state;
    struct world_house *h = &f->w.houses[0];
    static const char *const origins[] = {"other.cn/h0/pub",
                                          FIXTURE_NETWORK "/h0/exch/00000001", "nonsense"};
    publish(f, 0, "R1", "4.1");
    struct store_txn *t = begin_write(f->w.issuer);
    struct view entry;
    uint8_t bytes[256];
    OK(store_entry_get(t, h->log, 0, &entry));
    memcpy(bytes, entry.bytes, entry.count);
    entry.bytes = bytes;
    for (size_t i = 0; i < 3; i++) {
        uint32_t id;
        OK(store_log_create(t, text_view(origins[i]), 0, 0, &id));
        OK(store_log_append(t, id, &entry, 1, NULL, NULL));
    }
    OK(store_commit(t));
    find(f);
    assert_string_equal(states(f), "L");
}

static void
a_member_that_floods_a_patient_hides_only_its_own(void **state)
{
    struct found *f = *state;
    enum { FLOOD = 20000 };
    publish(f, 0, "R1", "4.1");
    publish(f, 2, "R1", "4.2");
    struct forged o = good;
    o.what = PUBLISH_NEW;
    uint64_t first = forge(f, 1, &o);
    struct store_txn *t = begin_read(f->w.issuer);
    struct view entry, *entries = calloc(FLOOD, sizeof *entries);
    uint8_t bytes[256];
    OK(store_entry_get(t, f->w.houses[1].log, first, &entry));
    memcpy(bytes, entry.bytes, entry.count);
    for (size_t i = 0; i < FLOOD; i++) {
        entries[i] = (struct view){bytes, entry.count};
    }
    store_abort(t);
    OK(store_begin_write(f->w.issuer, STORE_PUBLISH, FLOOD * 300, &t));
    OK(store_log_append(t, f->w.houses[1].log, entries, FLOOD, NULL, NULL));
    OK(store_commit(t));
    free(entries);
    publish(f, 2, "R2", "4.2");
    find(f);
    assert_true(f->c.count <= CANDIDATES_MAX);
    assert_int_equal(f->c.count + f->c.left_out, FLOOD + 1 + 3);
    size_t others = 0;
    for (size_t i = 0; i < f->c.count; i++) {
        others += strcmp(f->c.at[i].institution, "h1") != 0;
    }
    assert_int_equal(others, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_report_and_its_correction_give_one_live_leaf),
        TEST(a_withdrawal_takes_back_the_correction),
        TEST(entries_under_an_older_network_key_and_quarter_are_found),
        TEST(the_first_replacement_wins_and_the_second_does_not_count_itself),
        TEST(replacing_what_is_elsewhere_later_or_itself_is_ignored),
        TEST(another_quarters_token_is_another_place),
        TEST(strange_entries_are_left_out_and_harm_nobody),
        TEST(a_brief_that_does_not_open_says_maybe),
        TEST(a_brief_copied_to_another_entry_does_not_open),
        TEST(a_frozen_log_serves_what_it_was_before),
        TEST(logs_of_other_networks_and_kinds_are_not_read),
        TEST(a_member_that_floods_a_patient_hides_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
