/* Goal: a frame comes out of any cut of its bytes as it went in; everything else is
 * refused, before memory is taken for it.
 * Method: limits N and N+1; every cut of a stream of several frames; every announced
 * length over the limit; input at the end of a mapped page's worth of malloc, so that
 * sanitizers see a byte too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"

static uint8_t stream[4 * 1024];

static struct view
text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

static void
assert_same(const struct frame *a, const struct frame *b)
{
    assert_int_equal(a->request, b->request);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->last, b->last);
    assert_int_equal(a->message.count, b->message.count);
    assert_int_equal(a->raw.count, b->raw.count);
    if (a->message.count > 0) {
        assert_memory_equal(a->message.bytes, b->message.bytes, a->message.count);
    }
    if (a->raw.count > 0) {
        assert_memory_equal(a->raw.bytes, b->raw.bytes, a->raw.count);
    }
}

static void
test_the_bytes_are_as_the_design_says(void **state)
{
    (void)state;
    static const uint8_t want[] = {0, 0, 0, 15, 1,   2,   3,   4,   0x87, 1,
                                   0, 0, 0, 2,  'a', 'b', 'x', 'y', 'z'};
    struct frame f = {0x01020304, FRAME_RECEIPT | FRAME_ANSWER, true, text("ab"), text("xyz")};
    assert_int_equal(frame_bytes(&f), sizeof want);
    frame_encode(&f, stream);
    assert_memory_equal(stream, want, sizeof want);
}

static void
test_frames_survive_every_cut_of_their_stream(void **state)
{
    (void)state;
    const struct frame frames[] = {{1, FRAME_RANGE, true, text("first"), text("")},
                                   {2, FRAME_RANGE, false, text(""), text("raw bytes")},
                                   {0, FRAME_HEAD, true, text(""), text("")},
                                   {UINT32_MAX, FRAME_BLOB, true, text("m"), text("r")}};
    size_t count = 0, frames_count = sizeof frames / sizeof frames[0];
    for (size_t i = 0; i < frames_count; i++) {
        frame_encode(&frames[i], stream + count);
        count += frame_bytes(&frames[i]);
    }
    for (size_t step = 1; step <= count; step++) {
        struct frame_reader r = {0};
        size_t seen = 0;
        for (size_t at = 0; at < count; at += step) {
            size_t piece = count - at < step ? count - at : step;
            uint8_t *copy = malloc(piece); /* so that reading on is seen */
            memcpy(copy, stream + at, piece);
            struct view input = {copy, piece};
            bool got = true;
            while (got) {
                struct frame f;
                assert_int_equal(frame_reader_next(&r, &input, &f, &got), STATUS_OK);
                if (got) {
                    assert_true(seen < frames_count);
                    assert_same(&f, &frames[seen++]);
                }
            }
            assert_int_equal(input.count, 0);
            free(copy);
        }
        assert_int_equal(seen, frames_count);
        frame_reader_free(&r);
    }
}

static void
test_limits_are_accepted_and_one_more_is_refused(void **state)
{
    (void)state;
    struct frame f;
    uint8_t *big = calloc(1, FRAME_BYTES_MAX + FRAME_LENGTH_BYTES + 1);
    struct frame whole = {1, FRAME_RANGE, true, {big, MESSAGE_BYTES_MAX}, {big, 0}};
    whole.raw.count = FRAME_BYTES_MAX - FRAME_HEAD_BYTES - MESSAGE_BYTES_MAX;
    assert_int_equal(frame_check(&whole), STATUS_OK);
    whole.raw.count++;
    assert_int_equal(frame_check(&whole), STATUS_TOO_BIG);
    whole.raw.count = SIZE_MAX;
    assert_int_equal(frame_check(&whole), STATUS_TOO_BIG);
    whole = (struct frame){1, FRAME_RANGE, true, {big, MESSAGE_BYTES_MAX + 1}, {big, 0}};
    assert_int_equal(frame_check(&whole), STATUS_TOO_BIG);

    frame_put_u32(big + 6, MESSAGE_BYTES_MAX);
    assert_int_equal(frame_decode((struct view){big, FRAME_BYTES_MAX}, &f), STATUS_OK);
    assert_int_equal(f.message.count, MESSAGE_BYTES_MAX);
    assert_int_equal(frame_decode((struct view){big, FRAME_BYTES_MAX + 1}, &f), STATUS_TOO_BIG);
    frame_put_u32(big + 6, MESSAGE_BYTES_MAX + 1);
    assert_int_equal(frame_decode((struct view){big, FRAME_BYTES_MAX}, &f), STATUS_TOO_BIG);
    frame_put_u32(big + 6, 5);
    assert_int_equal(frame_decode((struct view){big, FRAME_HEAD_BYTES + 5}, &f), STATUS_OK);
    assert_int_equal(frame_decode((struct view){big, FRAME_HEAD_BYTES + 4}, &f),
                     STATUS_MALFORMED);
    assert_int_equal(frame_decode((struct view){big, FRAME_HEAD_BYTES - 1}, &f),
                     STATUS_MALFORMED);
    frame_put_u32(big + 6, 0);
    big[5] = 2;
    assert_int_equal(frame_decode((struct view){big, FRAME_HEAD_BYTES}, &f), STATUS_MALFORMED);
    free(big);
}

static void
test_an_announced_length_over_the_limit_takes_no_memory(void **state)
{
    (void)state;
    const uint32_t lengths[] = {FRAME_BYTES_MAX + 1, 0x00ffffff,           0x7fffffff,
                                0xffffffff,          FRAME_HEAD_BYTES - 1, 0};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t first = 1; first <= 4; first++) {
            uint8_t bytes[4];
            struct frame_reader r = {0};
            struct frame f;
            bool got;
            frame_put_u32(bytes, lengths[i]);
            struct view input = {bytes, first};
            enum status st = frame_reader_next(&r, &input, &f, &got);
            if (first < 4) {
                assert_int_equal(st, STATUS_OK);
                input = (struct view){bytes + first, 4 - first};
                st = frame_reader_next(&r, &input, &f, &got);
            }
            assert_int_equal(st,
                             lengths[i] > FRAME_BYTES_MAX ? STATUS_TOO_BIG : STATUS_MALFORMED);
            assert_false(got);
            assert_true(r.capacity <= 4096);
            frame_reader_free(&r);
        }
    }
}

static void
test_memory_grows_with_what_came_not_with_what_was_announced(void **state)
{
    (void)state;
    struct frame_reader r = {0};
    struct frame f;
    bool got;
    uint8_t head[4], some[1000] = {0};
    frame_put_u32(head, FRAME_BYTES_MAX);
    struct view input = {head, 4};
    assert_int_equal(frame_reader_next(&r, &input, &f, &got), STATUS_OK);
    for (size_t came = 4; came + sizeof some < FRAME_BYTES_MAX; came += sizeof some) {
        input = (struct view){some, sizeof some};
        assert_int_equal(frame_reader_next(&r, &input, &f, &got), STATUS_OK);
        assert_false(got);
        assert_true(r.capacity <= 2 * (came + sizeof some) || r.capacity <= 4096);
    }
    frame_reader_free(&r);
}

static void
test_a_queue_gives_back_what_it_took_and_no_more_than_its_limit(void **state)
{
    (void)state;
    struct frame f = {7, FRAME_RELY, true, text("message"), text("raw")};
    size_t each = frame_bytes(&f);
    struct frame_queue q = {.bytes_max = each * 3};
    uint8_t want[64];
    frame_encode(&f, want);
    for (int round = 0; round < 1000; round++) {
        while (q.count + each <= q.bytes_max) {
            assert_int_equal(frame_queue_add(&q, &f), STATUS_OK);
        }
        assert_int_equal(frame_queue_add(&q, &f), STATUS_BUSY);
        struct view v = frame_queue_view(&q);
        size_t off = (each - q.count % each) % each; /* where in a frame the front is */
        for (size_t i = 0; i < v.count; i++) {
            assert_int_equal(v.bytes[i], want[(off + i) % each]);
        }
        frame_queue_drop(&q, (size_t)round % (q.count + 1));
        assert_true(q.capacity <= 8192);
    }
    frame_queue_free(&q);
    q.bytes_max = each - 1;
    assert_int_equal(frame_queue_add(&q, &f), STATUS_BUSY);
    assert_int_equal(q.count, 0);
    frame_queue_free(&q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_are_as_the_design_says),
        cmocka_unit_test(test_frames_survive_every_cut_of_their_stream),
        cmocka_unit_test(test_limits_are_accepted_and_one_more_is_refused),
        cmocka_unit_test(test_an_announced_length_over_the_limit_takes_no_memory),
        cmocka_unit_test(test_memory_grows_with_what_came_not_with_what_was_announced),
        cmocka_unit_test(test_a_queue_gives_back_what_it_took_and_no_more_than_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
