/* Goal: a log or key has one name, and what is no name is refused.
 * Method: fixed names; then every one-byte change of a valid origin: what is
 * still accepted must be written back as the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/origin.h"

static enum status
parse(const char *text, struct origin *o)
{
    return origin_parse((struct view){(const uint8_t *)text, strlen(text)}, o);
}

static void
test_both_logs_are_read_and_written_alike(void **state)
{
    static const char *const names[] = {"yx-county.hb.cn/420581-01/pub", "a/b/pub/00000000",
                                        "n.cn/h1/exch/0a1b2c3d", "n/charter.x/exch/ffffffff"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct origin o;
        char out[ORIGIN_CHARS_MAX + 1];
        assert_int_equal(parse(names[i], &o), STATUS_OK);
        origin_write(&o, out);
        assert_string_equal(out, names[i]);
    }
    struct origin o;
    assert_int_equal(parse("n.cn/h1/exch/0a1b2c3d", &o), STATUS_OK);
    assert_int_equal(o.log, ORIGIN_EXCH);
    assert_int_equal(o.number, 0x0a1b2c3d);
    assert_string_equal(o.network, "n.cn");
    assert_string_equal(o.institution, "h1");
    char out[KEY_NAME_CHARS_MAX + 1];
    origin_exch("n.cn", "h1", 255, out);
    assert_string_equal(out, "n.cn/h1/exch/000000ff");
    origin_pub("n.cn", "h1", out);
    assert_string_equal(out, "n.cn/h1/pub");
    origin_witness_name("n.cn", "h1", out);
    assert_string_equal(out, "n.cn/h1/witness");
    origin_statement_name("n.cn", "h1", out);
    assert_string_equal(out, "n.cn/h1/statement");
}

static void
test_what_is_not_quite_an_origin_is_refused(void **state)
{
    static const char *const names[] = {"",
                                        "a",
                                        "a/b",
                                        "a/b/",
                                        "a/b/exch",
                                        "a/b/pub/",
                                        "a/b/pub/1",
                                        "a/b/exch/0A1b2c3d",
                                        "a//pub",
                                        "/b/pub",
                                        "a/b/pub/00000000/",
                                        "a/b/pub/000000000",
                                        "A/b/pub",
                                        "a/B/pub",
                                        "a/b c/pub",
                                        "a/charter/pub",
                                        "-a/b/pub",
                                        "a./b/pub",
                                        "../b/pub",
                                        "a/b/publ",
                                        "a/b/witness"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct origin o;
        if (parse(names[i], &o) != STATUS_MALFORMED) {
            fail_msg("accepted: %s", names[i]);
        }
    }
    struct origin o;
    assert_int_equal(origin_parse((struct view){(const uint8_t *)"a\0/b/pub", 8}, &o),
                     STATUS_MALFORMED);
    char big[NETWORK_CHARS_MAX + 16];
    memset(big, 'a', sizeof big);
    memcpy(big + NETWORK_CHARS_MAX + 1, "/b/pub", 7);
    assert_int_equal(parse(big, &o), STATUS_TOO_BIG);
}

static void
test_every_changed_byte_gives_a_refusal_or_that_very_name(void **state)
{
    static const char name[] = "yx.cn/h-1/exch/0a1b2c3d";
    (void)state;
    size_t accepted = 0;
    for (size_t i = 0; i < sizeof name - 1; i++) {
        for (int c = 0; c < 256; c++) {
            char text[sizeof name], out[ORIGIN_CHARS_MAX + 1];
            struct origin o;
            memcpy(text, name, sizeof name);
            text[i] = (char)c;
            if (origin_parse((struct view){(const uint8_t *)text, sizeof name - 1}, &o) ==
                STATUS_OK) {
                origin_write(&o, out);
                assert_memory_equal(out, text, sizeof name);
                accepted++;
            }
        }
    }
    assert_in_range(accepted, 100, 800);
}

static void
test_codes_are_folded_and_vetted(void **state)
{
    char out[INSTITUTION_CHARS_MAX + 1];
    (void)state;
    assert_int_equal(origin_fold_institution("  PDY-42A ", out), STATUS_OK);
    assert_string_equal(out, "pdy-42a");
    assert_int_equal(origin_fold_institution("", out), STATUS_MALFORMED);
    assert_int_equal(origin_fold_institution("Charter", out), STATUS_MALFORMED);
    assert_int_equal(origin_fold_institution("a/b", out), STATUS_MALFORMED);
    assert_int_equal(origin_fold_institution("\xe4\xb8\x80", out), STATUS_MALFORMED);
}

static void
test_charter_keys_are_known_by_their_network(void **state)
{
    char out[KEY_NAME_CHARS_MAX + 1];
    struct view name;
    (void)state;
    origin_charter_name("n.cn", "li", out);
    assert_string_equal(out, "n.cn/charter/li");
    struct view text = {(const uint8_t *)out, strlen(out)};
    assert_true(origin_is_charter_name(text, "n.cn", &name));
    assert_int_equal(name.count, 2);
    assert_false(origin_is_charter_name(text, "n.c", &name));
    text.count--;
    assert_true(origin_is_charter_name(text, "n.cn", &name));
    text.count--;
    assert_false(origin_is_charter_name(text, "n.cn", &name));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_logs_are_read_and_written_alike),
        cmocka_unit_test(test_what_is_not_quite_an_origin_is_refused),
        cmocka_unit_test(test_every_changed_byte_gives_a_refusal_or_that_very_name),
        cmocka_unit_test(test_codes_are_folded_and_vetted),
        cmocka_unit_test(test_charter_keys_are_known_by_their_network)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
