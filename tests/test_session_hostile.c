/* Goal: a member who says the wrong things, or too much, ends its own session and costs
 * no more than is agreed.
 * Method: a hostile member written here with crypto/noise.h alone, who holds the right
 * keys, against a session machine. */
#include "tests/session_fixture.h"

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
    make_keys();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_session_begins_with_one_good_hello),
        cmocka_unit_test(test_what_a_member_may_not_say_ends_it),
        cmocka_unit_test(test_more_requests_than_allowed_end_it),
        cmocka_unit_test(test_frames_over_their_limits_end_it_at_their_first_bytes),
        cmocka_unit_test(test_requests_of_a_later_version_get_an_empty_answer),
        cmocka_unit_test(test_a_peer_that_asks_and_never_reads_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
