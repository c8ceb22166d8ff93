/* Goal: a session opens between two members and carries frames both ways, in pieces
 * of any size; whatever else comes, at any byte, opens nothing and ends it.
 * Method: two session machines, their bytes moved by hand: flipped bit by bit, cut,
 * replayed, swapped; and a hostile member written here with crypto/noise.h alone, who
 * holds the right keys and says the wrong things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/noise.h"
#include "node/session.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"

static const char network[] = "yx-county.hb.cn";
enum { ANSWERER, DIALLER, STRANGER, KEYS_COUNT };
static struct network_keys keys[KEYS_COUNT];

/* One end: its session and what it has seen. */
struct end {
    struct session *s;
    struct session_options options;
    int who;
    int ups;
    size_t frames;
    struct frame last;
    uint8_t raw[256];
    size_t raw_count;
    bool answers; /* each request at once */
};

static struct session_time
at(int64_t ms)
{
    return (struct session_time){.now_ms = ms, .clock_ms = 1700000000000 + ms};
}

static bool
is_member(void *ctx, const char *name, const uint8_t session_public[KEY_BYTES],
          char institution[INSTITUTION_CHARS_MAX + 1])
{
    (void)ctx;
    if (strcmp(name, network) != 0 ||
        memcmp(session_public, keys[DIALLER].session.public_key, KEY_BYTES) != 0) {
        return false;
    }
    strcpy(institution, "h-dialler");
    return true;
}

static const struct network_keys *
our_keys(void *ctx, const char *name)
{
    return strcmp(name, network) == 0 ? &keys[((struct end *)ctx)->who] : NULL;
}

/* Somebody who is in every network, under the same keys. */
static const struct network_keys *
keys_anywhere(void *ctx, const char *name)
{
    (void)name;
    return &keys[((struct end *)ctx)->who];
}

static void
on_up(void *ctx)
{
    ((struct end *)ctx)->ups++;
}

static void
on_frame(void *ctx, const struct frame *f)
{
    struct end *e = ctx;
    e->frames++;
    e->last = *f;
    e->raw_count = f->raw.count < sizeof e->raw ? f->raw.count : sizeof e->raw;
    if (e->raw_count > 0) {
        memcpy(e->raw, f->raw.bytes, e->raw_count);
    }
    if (e->answers && f->request != 0 && (f->kind & FRAME_ANSWER) == 0) {
        struct frame answer = *f;
        answer.kind |= FRAME_ANSWER;
        assert_int_equal(session_send(e->s, &answer), STATUS_OK);
    }
}

static void
end_init(struct end *e, int who)
{
    *e = (struct end){.who = who};
    e->options = (struct session_options){
        .ctx = e, .member = is_member, .keys = our_keys, .open_ms_max = SESSION_OPEN_MS_MAX};
    memset(e->options.instance, who + 1, INSTANCE_BYTES);
    snprintf(e->options.software, sizeof e->options.software, "test %d", who);
}

static void
answer(struct end *e)
{
    end_init(e, ANSWERER);
    assert_int_equal(session_answer(&e->options, (const uint8_t[KEY_BYTES]){11}, at(0), &e->s),
                     STATUS_OK);
}

static void
dial(struct end *e, int who, int whom)
{
    end_init(e, who);
    assert_int_equal(session_dial(&e->options, network, "h-answerer",
                                  keys[whom].session.public_key, (const uint8_t[KEY_BYTES]){12},
                                  at(0), &e->s),
                     STATUS_OK);
}

/* Give `bytes` to a session in pieces of at most `step`. */
static enum status
give_at(struct end *e, const uint8_t *bytes, size_t count, size_t step, int64_t ms)
{
    const struct session_sink sink = {e, on_up, on_frame};
    enum status st = STATUS_OK;
    while (count > 0 && st == STATUS_OK) {
        size_t room;
        uint8_t *to = session_space(e->s, &room);
        size_t n = count < step ? count : step;
        n = n < room ? n : room;
        memcpy(to, bytes, n);
        st = session_take(e->s, n, at(ms), &sink);
        bytes += n;
        count -= n;
    }
    return st;
}

static enum status
give(struct end *e, const uint8_t *bytes, size_t count)
{
    return give_at(e, bytes, count, SIZE_MAX, 0);
}

/* Take everything that a session wants to send; the caller frees it. */
static uint8_t *
take(struct end *e, size_t *count)
{
    uint8_t *all = NULL;
    *count = 0;
    while (session_has_output(e->s)) {
        struct view v;
        assert_int_equal(session_output(e->s, 0, &v), STATUS_OK);
        assert_true(v.count > 0);
        all = realloc(all, *count + v.count);
        memcpy(all + *count, v.bytes, v.count);
        *count += v.count;
        session_sent(e->s, v.count);
    }
    return all;
}

static enum status
move(struct end *from, struct end *to, size_t step)
{
    size_t count;
    uint8_t *bytes = take(from, &count);
    enum status st = give_at(to, bytes, count, step, 0);
    free(bytes);
    return st;
}

static void
open_pair(struct end *d, struct end *a, size_t step)
{
    answer(a);
    dial(d, DIALLER, ANSWERER);
    assert_int_equal(move(d, a, step), STATUS_OK);
    assert_false(session_is_up(a->s)); /* message 1 may be a replay */
    assert_int_equal(move(a, d, step), STATUS_OK);
    assert_true(session_is_up(d->s));
    assert_int_equal(move(d, a, step), STATUS_OK);
    assert_true(session_is_up(a->s));
    assert_int_equal(a->ups, 1);
    assert_int_equal(d->ups, 1);
}

static void
close_pair(struct end *d, struct end *a)
{
    session_free(d->s);
    session_free(a->s);
}

static struct view
text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

static struct frame
request(uint32_t id, const char *raw)
{
    return (struct frame){id, FRAME_LOOKUP, true, text(""), text(raw)};
}

/* ---- between honest members ---- */

static void
test_both_sides_learn_who_is_there(void **state)
{
    (void)state;
    struct end d, a;
    open_pair(&d, &a, SIZE_MAX);
    const struct session_peer *p = session_peer(a.s);
    assert_string_equal(p->network, network);
    assert_string_equal(p->institution, "h-dialler");
    assert_memory_equal(p->instance, d.options.instance, INSTANCE_BYTES);
    assert_memory_equal(p->session_public, keys[DIALLER].session.public_key, KEY_BYTES);
    assert_string_equal(p->software, "test 1");
    assert_int_equal(p->version, 1);
    assert_int_equal(p->skew_ms, 0);
    p = session_peer(d.s);
    assert_string_equal(p->institution, "h-answerer");
    assert_memory_equal(p->instance, a.options.instance, INSTANCE_BYTES);
    assert_string_equal(p->software, "test 0");
    close_pair(&d, &a);
}

/* Keys of the answerer beside its present ones: what it had, and those of nobody. */
static struct network_keys former[3];

static const struct network_keys *
other_keys(void *ctx, const char *name, size_t i)
{
    assert_string_equal(name, network);
    return i < 3 && ((struct end *)ctx)->who == ANSWERER ? &former[i] : NULL;
}

static void
test_who_calls_by_a_key_that_still_holds_is_answered(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct end d, a;
        uint8_t seed[KEY_BYTES] = {77, (uint8_t)i};
        struct network_keys strange;
        for (size_t k = 0; k < 3; k++) {
            memset(seed + 1, (int)k + 1, 1);
            keys_derive(seed, network, &former[k]);
        }
        memset(seed, 99, sizeof seed);
        keys_derive(seed, network, &strange);
        const uint8_t *called = i < 3    ? former[i].session.public_key
                                : i == 3 ? keys[ANSWERER].session.public_key
                                         : strange.session.public_key;
        answer(&a);
        a.options.keys_more = other_keys;
        end_init(&d, DIALLER);
        assert_int_equal(session_dial(&d.options, network, "h-answerer", called,
                                      (const uint8_t[KEY_BYTES]){12}, at(0), &d.s),
                         STATUS_OK);
        enum status st = move(&d, &a, i == 1 ? 1 : SIZE_MAX);
        assert_int_equal(st, i < 4 ? STATUS_OK : STATUS_BAD_KEY);
        if (i < 4) {
            assert_int_equal(move(&a, &d, SIZE_MAX), STATUS_OK);
            assert_int_equal(move(&d, &a, SIZE_MAX), STATUS_OK);
            assert_true(session_is_up(d.s) && session_is_up(a.s));
            assert_string_equal(session_peer(a.s)->institution, "h-dialler");
        }
        session_free(d.s);
        session_free(a.s);
    }
}

static void
test_it_works_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t step = 1; step < 200; step += step < 20 ? 1 : 13) {
        struct end d, a;
        open_pair(&d, &a, step);
        a.answers = true;
        struct frame f = request(5, "what do you hold?");
        assert_int_equal(session_send(d.s, &f), STATUS_OK);
        assert_int_equal(move(&d, &a, step), STATUS_OK);
        assert_int_equal(a.frames, 1);
        assert_memory_equal(a.raw, "what do you hold?", 17);
        assert_int_equal(move(&a, &d, step), STATUS_OK);
        assert_int_equal(d.frames, 1);
        assert_int_equal(d.last.request, 5);
        assert_int_equal(d.last.kind, FRAME_LOOKUP | FRAME_ANSWER);
        assert_true(session_is_idle(d.s));
        assert_true(session_is_idle(a.s));
        close_pair(&d, &a);
    }
}

static void
test_frames_that_wait_together_share_one_message(void **state)
{
    (void)state;
    struct end d, a;
    open_pair(&d, &a, SIZE_MAX);
    size_t plain = 0;
    for (uint32_t i = 1; i <= 64; i++) {
        struct frame f = request(i, "0123456789");
        plain += frame_bytes(&f);
        assert_int_equal(session_send(d.s, &f), STATUS_OK);
    }
    struct view v;
    assert_int_equal(session_output(d.s, 0, &v), STATUS_OK);
    assert_int_equal(v.count, 2 + plain + NOISE_TAG_BYTES);
    assert_int_equal(give(&a, v.bytes, v.count), STATUS_OK);
    assert_int_equal(a.frames, 64);
    session_sent(d.s, v.count);
    assert_false(session_has_output(d.s));
    close_pair(&d, &a);
}

static void
test_the_largest_frame_passes_and_a_larger_one_is_refused(void **state)
{
    (void)state;
    struct end d, a;
    open_pair(&d, &a, SIZE_MAX);
    uint8_t *raw = calloc(1, FRAME_BYTES_MAX);
    raw[0] = 'x';
    struct frame f = {9, FRAME_BLOB, true, text(""), {raw, FRAME_BYTES_MAX - FRAME_HEAD_BYTES}};
    assert_int_equal(session_send(d.s, &f), STATUS_OK);
    assert_int_equal(move(&d, &a, 7777), STATUS_OK);
    assert_int_equal(a.frames, 1);
    assert_int_equal(a.last.raw.count, FRAME_BYTES_MAX - FRAME_HEAD_BYTES);
    assert_int_equal(a.raw[0], 'x');
    f.request = 10;
    f.raw.count++;
    assert_int_equal(session_send(d.s, &f), STATUS_TOO_BIG);
    assert_false(session_has_output(d.s));
    free(raw);
    close_pair(&d, &a);
}

static void
test_requests_in_flight_and_waiting_bytes_are_bounded(void **state)
{
    (void)state;
    struct end d, a;
    open_pair(&d, &a, SIZE_MAX);
    for (uint32_t i = 1; i <= REQUESTS_IN_FLIGHT_MAX; i++) {
        struct frame f = request(i, "?");
        assert_int_equal(session_send(d.s, &f), STATUS_OK);
    }
    struct frame more = request(REQUESTS_IN_FLIGHT_MAX + 1, "?");
    assert_int_equal(session_send(d.s, &more), STATUS_BUSY);
    struct frame same = request(1, "?");
    assert_int_equal(session_send(d.s, &same), STATUS_EXISTS);
    struct frame push = {0, FRAME_HEAD, true, text("head"), text("")};
    assert_int_equal(session_send(d.s, &push), STATUS_OK); /* not a request */
    assert_int_equal(move(&d, &a, SIZE_MAX), STATUS_OK);
    assert_int_equal(a.frames, REQUESTS_IN_FLIGHT_MAX + 1);
    /* answers: of the right kind, to what was asked, until the last part */
    struct frame reply = {7, FRAME_LOOKUP | FRAME_ANSWER, false, text(""), text("part")};
    assert_int_equal(session_send(a.s, &reply), STATUS_OK);
    reply.last = true;
    assert_int_equal(session_send(a.s, &reply), STATUS_OK);
    assert_int_equal(session_send(a.s, &reply), STATUS_NOT_FOUND);
    reply = (struct frame){8, FRAME_RANGE | FRAME_ANSWER, true, text(""), text("")};
    assert_int_equal(session_send(a.s, &reply), STATUS_NOT_FOUND);
    assert_int_equal(move(&a, &d, SIZE_MAX), STATUS_OK);
    assert_int_equal(d.frames, 2);
    assert_int_equal(session_send(d.s, &more), STATUS_OK); /* one was answered */
    /* bytes */
    static uint8_t raw[512 * 1024];
    struct frame f = {0, FRAME_HEAD, true, text(""), {raw, sizeof raw}};
    size_t queued = 0;
    while (session_send(a.s, &f) == STATUS_OK) {
        queued += frame_bytes(&f);
    }
    assert_int_equal(session_send(a.s, &f), STATUS_BUSY);
    assert_true(queued <= SESSION_QUEUE_BYTES_MAX);
    assert_true(queued + frame_bytes(&f) > SESSION_QUEUE_BYTES_MAX);
    assert_int_equal(move(&a, &d, SIZE_MAX), STATUS_OK);
    assert_int_equal(session_send(a.s, &f), STATUS_OK);
    close_pair(&d, &a);
}

static void
test_a_quiet_session_beats_and_a_silent_one_ends(void **state)
{
    (void)state;
    struct end d, a;
    size_t count;
    open_pair(&d, &a, SIZE_MAX);
    assert_int_equal(session_tick(d.s, SESSION_IDLE_MS_MAX - 1), STATUS_OK);
    assert_false(session_has_output(d.s));
    assert_int_equal(session_deadline_ms(d.s), SESSION_IDLE_MS_MAX);
    assert_int_equal(session_tick(d.s, SESSION_IDLE_MS_MAX), STATUS_OK);
    assert_true(session_has_output(d.s));
    uint8_t *beat = take(&d, &count);
    assert_int_equal(count, 2 + NOISE_TAG_BYTES);
    assert_int_equal(give_at(&a, beat, count, SIZE_MAX, SESSION_IDLE_MS_MAX), STATUS_OK);
    free(beat);
    assert_int_equal(a.frames, 0);
    assert_int_equal(session_tick(a.s, SESSION_SILENT_MS_MAX), STATUS_OK);
    assert_int_equal(session_tick(d.s, SESSION_SILENT_MS_MAX - 1), STATUS_OK);
    assert_int_equal(session_tick(d.s, SESSION_SILENT_MS_MAX), STATUS_UNAVAILABLE);
    assert_false(session_is_up(d.s));
    assert_true(strlen(session_reason(d.s)) > 0);
    close_pair(&d, &a);
}

/* ---- a man in the middle ---- */

/* After these bytes the one that got them must not be up, now or ever. */
static void
assert_never_up(struct end *e, enum status st, const char *what, size_t i)
{
    if (st == STATUS_OK) {
        st = session_tick(e->s, SESSION_OPEN_MS_MAX);
    }
    if (st == STATUS_OK || e->ups != 0 || session_is_up(e->s)) {
        print_error("%s %zu: status %d, up %d\n", what, i, (int)st, e->ups);
    }
    assert_int_not_equal(st, STATUS_OK);
    assert_int_equal(e->ups, 0);
    assert_false(session_is_up(e->s));
}

static void
test_every_flipped_bit_of_the_opening_kills_it(void **state)
{
    (void)state;
    struct end d, a;
    size_t n1, n2, n3;
    answer(&a);
    dial(&d, DIALLER, ANSWERER);
    uint8_t *flight1 = take(&d, &n1);
    assert_int_equal(n1, strlen("huren 1 \n") + strlen(network) + 2 + NOISE_MESSAGE_1_BYTES);
    assert_int_equal(give(&a, flight1, n1), STATUS_OK);
    uint8_t *flight2 = take(&a, &n2);
    assert_int_equal(give(&d, flight2, n2), STATUS_OK);
    uint8_t *flight3 = take(&d, &n3);
    close_pair(&d, &a);
    /* The ephemeral keys are fixed, so the same flights come again each time. */
    for (size_t bit = 0; bit < n1 * 8; bit++) {
        flight1[bit / 8] ^= (uint8_t)(1u << bit % 8);
        answer(&a);
        a.options.keys = keys_anywhere; /* another network must not help */
        assert_never_up(&a, give(&a, flight1, n1), "flight 1, bit", bit);
        assert_false(session_has_output(a.s)); /* not a byte in answer */
        session_free(a.s);
        flight1[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < n2 * 8; bit++) {
        flight2[bit / 8] ^= (uint8_t)(1u << bit % 8);
        dial(&d, DIALLER, ANSWERER);
        free(take(&d, &n1));
        assert_never_up(&d, give(&d, flight2, n2), "flight 2, bit", bit);
        session_free(d.s);
        flight2[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < n3 * 8; bit++) {
        flight3[bit / 8] ^= (uint8_t)(1u << bit % 8);
        answer(&a);
        assert_int_equal(give(&a, flight1, n1), STATUS_OK);
        free(take(&a, &n2));
        assert_never_up(&a, give(&a, flight3, n3), "flight 3, bit", bit);
        session_free(a.s);
        flight3[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(flight1);
    free(flight2);
    free(flight3);
}

static void
test_an_opening_cut_at_any_byte_opens_nothing(void **state)
{
    (void)state;
    struct end d, a;
    size_t n1, n2;
    dial(&d, DIALLER, ANSWERER);
    uint8_t *flight1 = take(&d, &n1);
    for (size_t cut = 0; cut < n1; cut++) {
        answer(&a);
        assert_int_equal(give_at(&a, flight1, cut, 1, 0), STATUS_OK);
        assert_false(session_has_output(a.s));
        assert_int_equal(session_deadline_ms(a.s), SESSION_OPEN_MS_MAX);
        assert_int_equal(session_tick(a.s, SESSION_OPEN_MS_MAX - 1), STATUS_OK);
        assert_never_up(&a, STATUS_OK, "cut", cut);
        session_free(a.s);
    }
    answer(&a);
    assert_int_equal(give(&a, flight1, n1), STATUS_OK);
    uint8_t *flight2 = take(&a, &n2);
    session_free(a.s);
    for (size_t cut = 0; cut < n2; cut++) {
        struct end again;
        dial(&again, DIALLER, ANSWERER);
        assert_int_equal(give_at(&again, flight2, cut, 1, 0), STATUS_OK);
        assert_never_up(&again, STATUS_OK, "cut", cut);
        session_free(again.s);
    }
    session_free(d.s);
    free(flight1);
    free(flight2);
}

static void
test_a_replayed_first_message_opens_nothing(void **state)
{
    (void)state;
    struct end d, a, victim;
    size_t n1, n2, n3;
    answer(&a);
    dial(&d, DIALLER, ANSWERER);
    uint8_t *flight1 = take(&d, &n1);
    assert_int_equal(give(&a, flight1, n1), STATUS_OK);
    uint8_t *flight2 = take(&a, &n2);
    assert_int_equal(give(&d, flight2, n2), STATUS_OK);
    uint8_t *flight3 = take(&d, &n3);
    assert_int_equal(give(&a, flight3, n3), STATUS_OK);
    assert_int_equal(a.ups, 1);
    /* Later: the same bytes to a new session, whose ephemeral key is another. */
    end_init(&victim, ANSWERER);
    assert_int_equal(
        session_answer(&victim.options, (const uint8_t[KEY_BYTES]){99}, at(0), &victim.s),
        STATUS_OK);
    assert_int_equal(give(&victim, flight1, n1), STATUS_OK);
    assert_int_equal(victim.ups, 0);
    enum status st = give(&victim, flight3, n3);
    assert_int_equal(st, STATUS_BAD_KEY);
    assert_never_up(&victim, st, "replay", 0);
    session_free(victim.s);
    /* And the answer of one session to the dialler of another. */
    end_init(&victim, DIALLER);
    assert_int_equal(session_dial(&victim.options, network, "h-answerer",
                                  keys[ANSWERER].session.public_key,
                                  (const uint8_t[KEY_BYTES]){98}, at(0), &victim.s),
                     STATUS_OK);
    st = give(&victim, flight2, n2);
    assert_int_equal(st, STATUS_BAD_KEY);
    assert_never_up(&victim, st, "replay", 1);
    session_free(victim.s);
    close_pair(&d, &a);
    free(flight1);
    free(flight2);
    free(flight3);
}

static void
test_replayed_lost_or_swapped_messages_end_it(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct end d, a;
        size_t n1, n2;
        open_pair(&d, &a, SIZE_MAX);
        struct frame f = request(1, "one");
        assert_int_equal(session_send(d.s, &f), STATUS_OK);
        uint8_t *one = take(&d, &n1);
        f = request(2, "two");
        assert_int_equal(session_send(d.s, &f), STATUS_OK);
        uint8_t *two = take(&d, &n2);
        enum status st = STATUS_OK;
        if (what == 0) { /* in order: the check of this test */
            assert_int_equal(give(&a, one, n1), STATUS_OK);
            assert_int_equal(give(&a, two, n2), STATUS_OK);
            assert_int_equal(a.frames, 2);
            st = STATUS_BAD_KEY;
        } else if (what == 1) {
            assert_int_equal(give(&a, one, n1), STATUS_OK);
            st = give(&a, one, n1);
            assert_int_equal(a.frames, 1);
        } else if (what == 2) {
            st = give(&a, two, n2);
            assert_int_equal(a.frames, 0);
        } else { /* back to who sent it */
            st = give(&d, one, n1);
            assert_int_equal(d.frames, 0);
        }
        assert_int_equal(st, STATUS_BAD_KEY);
        free(one);
        free(two);
        close_pair(&d, &a);
    }
}

/* ---- the wrong people ---- */

static void
test_who_is_no_member_gets_no_answer(void **state)
{
    (void)state;
    struct end d, a;
    answer(&a);
    dial(&d, STRANGER, ANSWERER);
    assert_int_equal(move(&d, &a, SIZE_MAX), STATUS_REFUSED);
    assert_false(session_has_output(a.s));
    assert_string_equal(session_peer(a.s)->institution, "");
    assert_int_equal(give(&a, (const uint8_t *)"x", 1), STATUS_REFUSED); /* and stays so */
    close_pair(&d, &a);
}

static void
test_the_wrong_key_or_network_opens_nothing(void **state)
{
    (void)state;
    struct end d, a;
    answer(&a);
    dial(&d, DIALLER, STRANGER); /* somebody else sits at the address */
    assert_int_equal(move(&d, &a, SIZE_MAX), STATUS_BAD_KEY);
    assert_false(session_has_output(a.s));
    close_pair(&d, &a);

    static const struct {
        const char *line;
        enum status want;
    } lines[] = {
        {"huren 1 other.hb.cn\n", STATUS_NOT_FOUND},
        {"huren 2 yx-county.hb.cn\n", STATUS_UNSUPPORTED},
        {"huren 11 yx-county.hb.cn\n", STATUS_UNSUPPORTED},
        {"huren 1 \n", STATUS_MALFORMED},
        {"huren 1 YX-COUNTY.hb.cn\n", STATUS_MALFORMED},
        {"huren 1 yx-county.hb.cn\r\n", STATUS_MALFORMED},
        {"huren 1 yx county\n", STATUS_MALFORMED},
        {"Huren 1 yx-county.hb.cn\n", STATUS_MALFORMED},
        {"GET / HTTP/1.1\r\n", STATUS_MALFORMED},
        {"\n", STATUS_MALFORMED},
        {"h\n", STATUS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        for (size_t step = 1; step < 64; step += 62) {
            answer(&a);
            assert_int_equal(
                give_at(&a, (const uint8_t *)lines[i].line, strlen(lines[i].line), step, 0),
                lines[i].want);
            assert_false(session_has_output(a.s));
            session_free(a.s);
        }
    }
    char longest[] =
        "huren 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
    answer(&a); /* 64 are a name that is not ours, 65 are none */
    assert_int_equal(give(&a, (const uint8_t *)longest, sizeof longest - 2), STATUS_MALFORMED);
    session_free(a.s);
    longest[sizeof longest - 3] = '\n';
    answer(&a);
    assert_int_equal(give(&a, (const uint8_t *)longest, sizeof longest - 2), STATUS_NOT_FOUND);
    session_free(a.s);
    end_init(&d, DIALLER);
    assert_int_equal(session_dial(&d.options, "elsewhere", "h-answerer",
                                  keys[ANSWERER].session.public_key,
                                  (const uint8_t[KEY_BYTES]){1}, at(0), &d.s),
                     STATUS_NOT_FOUND);
    assert_int_equal(session_dial(&d.options, "Bad Name", "h-answerer",
                                  keys[ANSWERER].session.public_key,
                                  (const uint8_t[KEY_BYTES]){1}, at(0), &d.s),
                     STATUS_MALFORMED);
    assert_int_equal(session_dial(&d.options, network, "h-answerer",
                                  (const uint8_t[KEY_BYTES]){0}, (const uint8_t[KEY_BYTES]){1},
                                  at(0), &d.s),
                     STATUS_BAD_KEY);
    assert_null(d.s);
}

/* ---- a hostile member, who dials with the right keys ---- */

struct hostile {
    struct end a; /* whom it talks to */
    struct noise_session session;
};

static void
hostile_open(struct hostile *h)
{
    struct noise n;
    uint8_t out[256];
    size_t count;
    answer(&h->a);
    int chars = snprintf((char *)out, sizeof out, "huren 1 %s\n", network);
    struct view line = {out, (size_t)chars};
    noise_init_initiator(&n, line, &keys[DIALLER].session, keys[ANSWERER].session.public_key,
                         (const uint8_t[KEY_BYTES]){12});
    out[line.count] = 0;
    out[line.count + 1] = NOISE_MESSAGE_1_BYTES;
    assert_int_equal(noise_write_1(&n, out + line.count + 2), STATUS_OK);
    assert_int_equal(give(&h->a, out, line.count + 2 + NOISE_MESSAGE_1_BYTES), STATUS_OK);
    uint8_t *flight = take(&h->a, &count);
    assert_int_equal(noise_read_2(&n, (struct view){flight + 2, NOISE_MESSAGE_2_BYTES}),
                     STATUS_OK);
    noise_split(&n, &h->session);
    free(flight);
}

/* Seal and give; what is sealed is any bytes. */
static enum status
hostile_say(struct hostile *h, const void *plain, size_t plain_count)
{
    static uint8_t out[2 + NOISE_MESSAGE_BYTES_MAX];
    size_t count;
    assert_int_equal(noise_seal(&h->session, (struct view){plain, plain_count}, out + 2,
                                sizeof out - 2, &count),
                     STATUS_OK);
    out[0] = (uint8_t)(count >> 8);
    out[1] = (uint8_t)count;
    return give(&h->a, out, count + 2);
}

static enum status
hostile_send(struct hostile *h, struct frame f)
{
    static uint8_t plain[2 * MESSAGE_BYTES_MAX];
    assert_true(frame_bytes(&f) <= sizeof plain);
    frame_encode(&f, plain);
    return hostile_say(h, plain, frame_bytes(&f));
}

static enum status
hostile_hello(struct hostile *h, uint32_t version, size_t instance_bytes, const char *software)
{
    Hr__Hello hello;
    uint8_t instance[64] = {5}, bytes[512];
    char name[128];
    size_t n;
    hr__hello__init(&hello);
    snprintf(name, sizeof name, "%s", software);
    hello.version = version;
    hello.instance = (ProtobufCBinaryData){instance_bytes, instance};
    hello.software = name;
    hello.now_ms = 1700000005000;
    assert_int_equal(pb_pack(&hello.base, bytes, sizeof bytes, &n), STATUS_OK);
    return hostile_send(h, (struct frame){0, FRAME_HELLO, true, {bytes, n}, text("")});
}

static void
hostile_up(struct hostile *h)
{
    hostile_open(h);
    assert_int_equal(hostile_hello(h, 1, INSTANCE_BYTES, "evil"), STATUS_OK);
    assert_int_equal(h->a.ups, 1);
    assert_int_equal(session_peer(h->a.s)->skew_ms, 5000);
}

static void
test_a_session_begins_with_one_good_hello(void **state)
{
    (void)state;
    struct hostile h;
    static const struct {
        uint32_t version;
        size_t instance_bytes;
        const char *software;
        enum status want;
    } hellos[] = {
        {1, INSTANCE_BYTES, "", STATUS_OK},
        {2, INSTANCE_BYTES, "a later version", STATUS_OK},
        {0, INSTANCE_BYTES, "x", STATUS_MALFORMED},
        {1, INSTANCE_BYTES - 1, "x", STATUS_MALFORMED},
        {1, INSTANCE_BYTES + 1, "x", STATUS_MALFORMED},
        {1, 0, "x", STATUS_MALFORMED},
        {1, INSTANCE_BYTES, "clear\x1b[2Jscreen", STATUS_MALFORMED},
        {1, INSTANCE_BYTES, "1234567890123456789012345678901234567890123456789012345678901234",
         STATUS_OK},
        {1, INSTANCE_BYTES, "12345678901234567890123456789012345678901234567890123456789012345",
         STATUS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
        hostile_open(&h);
        assert_int_equal(
            hostile_hello(&h, hellos[i].version, hellos[i].instance_bytes, hellos[i].software),
            hellos[i].want);
        assert_int_equal(h.a.ups, hellos[i].want == STATUS_OK ? 1 : 0);
        session_free(h.a.s);
    }
    hostile_open(&h); /* an empty message opens nothing */
    assert_int_equal(hostile_say(&h, "", 0), STATUS_OK);
    assert_int_equal(h.a.ups, 0);
    assert_int_equal(session_tick(h.a.s, SESSION_OPEN_MS_MAX), STATUS_UNAVAILABLE);
    session_free(h.a.s);
    hostile_open(&h); /* something else first */
    assert_int_equal(hostile_send(&h, request(1, "x")), STATUS_MALFORMED);
    assert_int_equal(h.a.frames, 0);
    session_free(h.a.s);
    hostile_up(&h); /* twice */
    assert_int_equal(hostile_hello(&h, 1, INSTANCE_BYTES, "evil"), STATUS_MALFORMED);
    assert_int_equal(h.a.ups, 1);
    session_free(h.a.s);
}

static void
test_what_a_member_may_not_say_ends_it(void **state)
{
    (void)state;
    struct hostile h;
    static const struct frame wrong[] = {
        {1, FRAME_LOOKUP | FRAME_ANSWER, true, {NULL, 0}, {NULL, 0}}, /* nothing was asked */
        {0, FRAME_LOOKUP | FRAME_ANSWER, true, {NULL, 0}, {NULL, 0}},
        {1, 0, true, {NULL, 0}, {NULL, 0}},
        {1, FRAME_LOOKUP, false, {NULL, 0}, {NULL, 0}}, /* a request has one part */
        {1, FRAME_HELLO | FRAME_ANSWER, true, {NULL, 0}, {NULL, 0}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        hostile_up(&h);
        assert_int_equal(hostile_send(&h, wrong[i]), STATUS_MALFORMED);
        assert_int_equal(h.a.frames, 0);
        assert_false(session_is_up(h.a.s));
        session_free(h.a.s);
    }
    hostile_up(&h); /* one request id twice */
    assert_int_equal(hostile_send(&h, request(3, "a")), STATUS_OK);
    assert_int_equal(hostile_send(&h, request(3, "b")), STATUS_MALFORMED);
    assert_int_equal(h.a.frames, 1);
    session_free(h.a.s);
    hostile_up(&h); /* an answer of another kind */
    struct frame ours = request(4, "?");
    assert_int_equal(session_send(h.a.s, &ours), STATUS_OK);
    ours.kind = FRAME_RANGE | FRAME_ANSWER;
    assert_int_equal(hostile_send(&h, ours), STATUS_MALFORMED);
    session_free(h.a.s);
    hostile_up(&h); /* a part after the last one */
    ours = request(4, "?");
    assert_int_equal(session_send(h.a.s, &ours), STATUS_OK);
    ours.kind = FRAME_LOOKUP | FRAME_ANSWER;
    ours.last = false;
    assert_int_equal(hostile_send(&h, ours), STATUS_OK);
    ours.last = true;
    assert_int_equal(hostile_send(&h, ours), STATUS_OK);
    assert_int_equal(hostile_send(&h, ours), STATUS_MALFORMED);
    assert_int_equal(h.a.frames, 2);
    session_free(h.a.s);
}

static void
test_more_requests_than_allowed_end_it(void **state)
{
    (void)state;
    struct hostile h;
    hostile_up(&h);
    for (uint32_t i = 1; i <= REQUESTS_IN_FLIGHT_MAX; i++) {
        assert_int_equal(hostile_send(&h, request(i, "?")), STATUS_OK);
    }
    struct frame push = {0, FRAME_HEAD, true, text(""), text("")};
    assert_int_equal(hostile_send(&h, push), STATUS_OK);
    assert_int_equal(hostile_send(&h, request(REQUESTS_IN_FLIGHT_MAX + 1, "?")),
                     STATUS_TOO_BIG);
    assert_int_equal(h.a.frames, REQUESTS_IN_FLIGHT_MAX + 1);
    session_free(h.a.s);
}

static void
test_frames_over_their_limits_end_it_at_their_first_bytes(void **state)
{
    (void)state;
    struct hostile h;
    uint8_t head[FRAME_LENGTH_BYTES + FRAME_HEAD_BYTES] = {0};
    hostile_up(&h);
    frame_put_u32(head, FRAME_BYTES_MAX);
    assert_int_equal(hostile_say(&h, head, 4), STATUS_OK); /* the limit itself */
    session_free(h.a.s);
    hostile_up(&h);
    frame_put_u32(head, FRAME_BYTES_MAX + 1);
    assert_int_equal(hostile_say(&h, head, 4), STATUS_TOO_BIG);
    session_free(h.a.s);
    hostile_up(&h);
    frame_put_u32(head, FRAME_HEAD_BYTES);
    head[8] = FRAME_LOOKUP;
    head[9] = 1;
    frame_put_u32(head + 10, MESSAGE_BYTES_MAX + 1);
    assert_int_equal(hostile_say(&h, head, sizeof head), STATUS_TOO_BIG);
    session_free(h.a.s);
    hostile_up(&h); /* a message that is longer than its frame */
    frame_put_u32(head + 10, 1);
    assert_int_equal(hostile_say(&h, head, sizeof head), STATUS_MALFORMED);
    session_free(h.a.s);
    hostile_up(&h); /* a transport message that cannot hold its tag */
    assert_int_equal(give(&h.a, (const uint8_t[]){0, NOISE_TAG_BYTES - 1}, 2),
                     STATUS_MALFORMED);
    session_free(h.a.s);
}

static void
test_requests_of_a_later_version_get_an_empty_answer(void **state)
{
    (void)state;
    struct hostile h;
    uint8_t plain[256];
    size_t count, n;
    struct frame f;
    hostile_up(&h);
    free(take(&h.a, &count));
    struct frame later = {77, FRAME_KIND_MAX + 1, true, text("new"), text("things")};
    assert_int_equal(hostile_send(&h, later), STATUS_OK);
    later.request = 0; /* a push is passed over */
    assert_int_equal(hostile_send(&h, later), STATUS_OK);
    assert_int_equal(h.a.frames, 0);
    uint8_t *out = take(&h.a, &count);
    /* HELLO went with the handshake, so this is the second message to open. */
    h.session.receive_count = 1;
    assert_int_equal(
        noise_open(&h.session, (struct view){out + 2, count - 2}, plain, sizeof plain, &n),
        STATUS_OK);
    assert_int_equal(frame_decode((struct view){plain + 4, n - 4}, &f), STATUS_OK);
    assert_int_equal(f.request, 77);
    assert_int_equal(f.kind, (FRAME_KIND_MAX + 1) | FRAME_ANSWER);
    assert_true(f.last);
    assert_int_equal(f.message.count + f.raw.count, 0);
    free(out);
    session_free(h.a.s);
}

static void
test_a_peer_that_asks_and_never_reads_is_bounded(void **state)
{
    (void)state;
    struct hostile h;
    hostile_up(&h);
    struct frame later = {1, 0x7f, true, text(""), text("")};
    enum status st = STATUS_OK;
    uint32_t i = 0; /* each makes us queue an empty answer */
    for (; st == STATUS_OK && i < SESSION_QUEUE_BYTES_MAX; i++) {
        later.request = i + 1;
        st = hostile_send(&h, later);
    }
    assert_int_equal(st, STATUS_BUSY);
    assert_true(i <= SESSION_QUEUE_BYTES_MAX / (FRAME_LENGTH_BYTES + FRAME_HEAD_BYTES) + 1);
    session_free(h.a.s);
}

int
main(void)
{
    for (int i = 0; i < KEYS_COUNT; i++) {
        keys_derive((const uint8_t[KEY_BYTES]){(uint8_t)(i + 1)}, network, &keys[i]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_learn_who_is_there),
        cmocka_unit_test(test_who_calls_by_a_key_that_still_holds_is_answered),
        cmocka_unit_test(test_it_works_in_pieces_of_any_size),
        cmocka_unit_test(test_frames_that_wait_together_share_one_message),
        cmocka_unit_test(test_the_largest_frame_passes_and_a_larger_one_is_refused),
        cmocka_unit_test(test_requests_in_flight_and_waiting_bytes_are_bounded),
        cmocka_unit_test(test_a_quiet_session_beats_and_a_silent_one_ends),
        cmocka_unit_test(test_every_flipped_bit_of_the_opening_kills_it),
        cmocka_unit_test(test_an_opening_cut_at_any_byte_opens_nothing),
        cmocka_unit_test(test_a_replayed_first_message_opens_nothing),
        cmocka_unit_test(test_replayed_lost_or_swapped_messages_end_it),
        cmocka_unit_test(test_who_is_no_member_gets_no_answer),
        cmocka_unit_test(test_the_wrong_key_or_network_opens_nothing),
        cmocka_unit_test(test_a_session_begins_with_one_good_hello),
        cmocka_unit_test(test_what_a_member_may_not_say_ends_it),
        cmocka_unit_test(test_more_requests_than_allowed_end_it),
        cmocka_unit_test(test_frames_over_their_limits_end_it_at_their_first_bytes),
        cmocka_unit_test(test_requests_of_a_later_version_get_an_empty_answer),
        cmocka_unit_test(test_a_peer_that_asks_and_never_reads_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
