/* Goal: frontier lines are read strictly and written back alike, and two
 * frontiers have one digest exactly when they have the same lines.
 * Method: lines that must be taken and lines that must not, by hand; sets of
 * lines in several orders; the digest computed a second time, plainly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/frontier.h"
#include "node/gossip_update.h"

#define ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static void
test_a_line_reads_back_as_it_was_written(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "n.cn/h1/pub 5 " ROOT,          "n.cn/h1/exch/0a1b2c3d 9223372036854775807 " ROOT,
        "n.cn/h1/pub#cosigned 5 32767", "n.cn/h1/pub#cosigned 0 0",
        "charter/members 12 " ROOT,
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct frontier_line line;
        char out[FRONTIER_LINE_CHARS_MAX + 1];
        assert_int_equal(frontier_read(view_of_text(lines[i]), &line), STATUS_OK);
        size_t n = frontier_write(&line, out);
        assert_int_equal(n, strlen(lines[i]));
        assert_string_equal(out, lines[i]);
    }
}

static void
test_anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        " ",
        "n.cn/h1/pub",
        "n.cn/h1/pub 5",
        "n.cn/h1/pub 5 ",
        "n.cn/h1/pub  5 " ROOT,
        "n.cn/h1/pub 5 " ROOT " ",
        "n.cn/h1/pub 5 " ROOT " x",
        "n.cn/h1/pub 05 " ROOT,
        "n.cn/h1/pub +5 " ROOT,
        "n.cn/h1/pub -5 " ROOT,
        "n.cn/h1/pub 9223372036854775808 " ROOT,
        "n.cn/h1/pub 99999999999999999999 " ROOT,
        "n.cn/h1/pub 5 47DEQpj8HBSa",
        "n.cn/h1/pub 5 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
        "n.cn/h1/pub\t5 " ROOT,
        "n.cn/h1/pub 5 " ROOT "\n",
        "n.cn/h\xc3\xa9/pub 5 " ROOT,
        "n.cn/h1/pub#cosigned 5 " ROOT,
        "n.cn/h1/pub#cosigned 5 32768",
        "n.cn/h1/pub#cosigned 5 03",
        "charter/members x " ROOT,
        " 5 " ROOT,
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct frontier_line line;
        if (frontier_read(view_of_text(lines[i]), &line) != STATUS_MALFORMED) {
            fail_msg("taken: %s", lines[i]);
        }
    }
    char big[FRONTIER_LINE_CHARS_MAX + 2];
    struct frontier_line line;
    memset(big, 'a', sizeof big);
    assert_int_equal(frontier_read((struct view){(uint8_t *)big, sizeof big}, &line),
                     STATUS_MALFORMED);
}

static void
add(struct frontier *f, int i, uint64_t size)
{
    char name[40];
    snprintf(name, sizeof name, "n.cn/h%d/pub", i);
    struct frontier_line line = {
        .what = FRONTIER_LOG, .name = view_of_text(name), .number = size};
    line.hash.bytes[0] = (uint8_t)i;
    assert_int_equal(frontier_add(f, &line), STATUS_OK);
}

static void
test_the_digest_is_that_of_the_sorted_lines_whatever_their_order(void **state)
{
    (void)state;
    struct frontier a = {0}, b = {0};
    for (int i = 0; i < 500; i++) {
        add(&a, i, 7);
        add(&b, 499 - i, 7);
    }
    frontier_seal(&a);
    frontier_seal(&b);
    assert_memory_equal(&a.digest, &b.digest, sizeof a.digest);
    /* Plainly: one text, one hash. */
    static char all[500 * 100];
    size_t n = 0;
    for (size_t i = 0; i < a.count; i++) {
        n += (size_t)sprintf(all + n, "%s\n", a.lines[i]);
        assert_true(i == 0 || strcmp(a.lines[i - 1], a.lines[i]) < 0);
    }
    struct hash h;
    sha256((uint8_t *)all, n, &h);
    assert_memory_equal(&a.digest, &h, sizeof h);
    frontier_free(&a);
    frontier_free(&b);
}

static void
test_one_other_line_changes_its_bucket_and_no_other(void **state)
{
    (void)state;
    struct frontier a = {0}, b = {0};
    for (int i = 0; i < 500; i++) {
        add(&a, i, 7);
        add(&b, i, i == 123 ? 8 : 7);
    }
    frontier_seal(&a);
    frontier_seal(&b);
    assert_memory_not_equal(&a.digest, &b.digest, sizeof a.digest);
    const struct hash *x = frontier_buckets(&a), *y = frontier_buckets(&b);
    uint8_t bucket = frontier_bucket(view_of_text("n.cn/h123/pub 8 x"));
    struct hash key;
    sha256((const uint8_t *)"n.cn/h123/pub", 13, &key);
    assert_int_equal(bucket, key.bytes[0]);
    for (int i = 0; i < GOSSIP_BUCKETS; i++) {
        assert_int_equal(hash_equal(&x[i], &y[i]), i != bucket);
    }
    /* A set can be filled again. */
    frontier_clear(&b);
    for (int i = 0; i < 500; i++) {
        add(&b, i, 7);
    }
    frontier_seal(&b);
    assert_memory_equal(&a.digest, &b.digest, sizeof a.digest);
    assert_memory_equal(frontier_buckets(&a), frontier_buckets(&b),
                        sizeof(struct hash) * GOSSIP_BUCKETS);
    frontier_free(&a);
    frontier_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_reads_back_as_it_was_written),
        cmocka_unit_test(test_anything_else_is_refused),
        cmocka_unit_test(test_the_digest_is_that_of_the_sorted_lines_whatever_their_order),
        cmocka_unit_test(test_one_other_line_changes_its_bucket_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
