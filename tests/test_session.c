/* Goal: a session opens between two members and carries frames both ways, in pieces
 * of any size, within its bounds.
 * Method: as session_fixture.h says. */
#include "tests/session_fixture.h"

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

int
main(void)
{
    make_keys();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_learn_who_is_there),
        cmocka_unit_test(test_who_calls_by_a_key_that_still_holds_is_answered),
        cmocka_unit_test(test_it_works_in_pieces_of_any_size),
        cmocka_unit_test(test_frames_that_wait_together_share_one_message),
        cmocka_unit_test(test_the_largest_frame_passes_and_a_larger_one_is_refused),
        cmocka_unit_test(test_requests_in_flight_and_waiting_bytes_are_bounded),
        cmocka_unit_test(test_a_quiet_session_beats_and_a_silent_one_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
