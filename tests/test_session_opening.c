/* Goal: whatever else than the right bytes of the right people comes, at any byte, opens
 * nothing and ends the session.
 * Method: as session_fixture.h says; flipped bit by bit, cut, replayed, swapped. */
#include "tests/session_fixture.h"

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

int
main(void)
{
    make_keys();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flipped_bit_of_the_opening_kills_it),
        cmocka_unit_test(test_an_opening_cut_at_any_byte_opens_nothing),
        cmocka_unit_test(test_a_replayed_first_message_opens_nothing),
        cmocka_unit_test(test_replayed_lost_or_swapped_messages_end_it),
        cmocka_unit_test(test_who_is_no_member_gets_no_answer),
        cmocka_unit_test(test_the_wrong_key_or_network_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
