/* Goal: base64 has one spelling for each value.
 * Method: the examples of RFC 4648; every byte at every place of a group, of
 * which only those of the alphabet may be taken (libsodium 1.0.18 alone takes
 * every byte from 0x80 up); what decodes must encode to itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/base64.h"

static const char ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
test_examples_of_rfc_4648_go_both_ways(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *plain = cases[i][0], *text = cases[i][1];
        uint8_t out[16];
        size_t count;
        assert_int_equal(
            base64_encode((struct view){(const uint8_t *)plain, strlen(plain)}, out),
            strlen(text));
        assert_memory_equal(out, text, strlen(text));
        assert_int_equal(base64_decode((struct view){(const uint8_t *)text, strlen(text)}, out,
                                       sizeof out, &count),
                         STATUS_OK);
        assert_int_equal(count, strlen(plain));
        assert_memory_equal(out, plain, count);
    }
}

static void
test_only_letters_of_the_alphabet_are_taken(void **state)
{
    (void)state;
    for (size_t place = 0; place < 8; place++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t text[8], again[8], out[6];
            const char *letter = byte == 0 ? NULL : strchr(ALPHABET, (int)byte);
            const struct view whole = {text, sizeof text};
            enum status st;
            size_t count;
            memset(text, 'A', sizeof text);
            text[place] = (uint8_t)byte;
            st = base64_decode(whole, out, sizeof out, &count);
            if (byte == '=') { /* padding, at the last place only */
                assert_int_equal(st, place == 7 ? STATUS_OK : STATUS_MALFORMED);
                continue;
            }
            assert_int_equal(st, letter != NULL ? STATUS_OK : STATUS_MALFORMED);
            if (st == STATUS_OK) {
                assert_int_equal(base64_encode((struct view){out, count}, again), sizeof again);
                assert_memory_equal(again, text, sizeof text);
            }
        }
    }
}

static void
test_other_spellings_are_refused(void **state)
{
    static const char *const bad[] = {
        "Zg",   "Zg=",      "Zg===", "Zh==", "Zm9=", "Zg==\n", " Zg==",
        "Z g=", "Zg==Zg==", "=Zg=",  "====", "Zg=A", "Zm8_",   "Zm8-"};
    uint8_t out[16];
    size_t count;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(base64_decode((struct view){(const uint8_t *)bad[i], strlen(bad[i])},
                                       out, sizeof out, &count),
                         STATUS_MALFORMED);
    }
    assert_int_equal(base64_decode((struct view){(const uint8_t *)"Zm9v", 4}, out, 2, &count),
                     STATUS_TOO_BIG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_rfc_4648_go_both_ways),
        cmocka_unit_test(test_only_letters_of_the_alphabet_are_taken),
        cmocka_unit_test(test_other_spellings_are_refused),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
