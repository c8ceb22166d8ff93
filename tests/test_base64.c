/* Goal: base64 has one spelling for each value, at every length.
 * Method: RFC 4648's test vectors; every length around the sizes in which the code
 * works; every byte value at every place of a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/base64.h"

enum { BYTES_MAX = 2400 };

static const char ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
setup(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

static void
test_rfc_4648_vectors_agree(void **state)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t out[16];
        size_t n = strlen(rows[i][0]), m = strlen(rows[i][1]);
        assert_int_equal(base64_encode((struct view){(const uint8_t *)rows[i][0], n}, out), m);
        assert_memory_equal(out, rows[i][1], m);
        assert_int_equal(
            base64_decode((struct view){(const uint8_t *)rows[i][1], m}, out, sizeof out, &m),
            STATUS_OK);
        assert_int_equal(m, n);
        assert_memory_equal(out, rows[i][0], n);
    }
}

static void
test_every_length_comes_back_and_fits_exactly(void **state)
{
    static uint8_t data[BYTES_MAX], text[BASE64_CHARS(BYTES_MAX)], back[BYTES_MAX];
    uint8_t head[10];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 73 + 5);
    }
    for (size_t n = 0; n <= BYTES_MAX; n++) {
        size_t chars = base64_encode((struct view){data, n}, text), got = 0;
        assert_int_equal(chars, BASE64_CHARS(n));
        assert_int_equal(base64_decode((struct view){text, chars}, back, n, &got), STATUS_OK);
        assert_int_equal(got, n);
        assert_memory_equal(back, data, n);
        if (n > 0) {
            assert_int_equal(base64_decode((struct view){text, chars}, back, n - 1, &got),
                             STATUS_TOO_BIG);
            assert_int_equal(
                base64_decode((struct view){text, chars - 1}, back, sizeof back, &got),
                STATUS_MALFORMED);
        }
        assert_int_equal(
            base64_decode_prefix((struct view){text, chars}, head, sizeof head, &got),
            STATUS_OK);
        assert_int_equal(got, n);
        assert_memory_equal(head, data, n < sizeof head ? n : sizeof head);
    }
}

/* libsodium 1.0.18 alone would take the bytes over 0x7f. */
static void
test_no_character_outside_the_alphabet_is_read(void **state)
{
    static uint8_t text[2048], out[2048];
    static const size_t places[] = {0, 1, 1023, 1024, 2046, 2047};
    size_t n;

    (void)state;
    memset(text, 'A', sizeof text);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            bool good = memchr(ALPHABET, (int)byte, 64) != NULL ||
                        (byte == '=' && places[i] == sizeof text - 1);
            text[places[i]] = (uint8_t)byte;
            assert_int_equal(
                base64_decode((struct view){text, sizeof text}, out, sizeof out, &n),
                good ? STATUS_OK : STATUS_MALFORMED);
        }
        text[places[i]] = 'A';
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
test_stray_bits_and_stray_padding_are_told_apart(void **state)
{
    static const char *const stray[] = {"Zg==", "Zh==", "Zo==", "Zm8=", "Zm9=", "Zm+="};
    static const char *const bad[] = {"=",   "====", "Z===",  "Zg=A", "Zg==Zg==", "Zg",
                                      "Zg=", "Z g=", "Zg\n=", " Zg=", "A=AA"};
    uint8_t out[16];
    size_t n;
    bool canonical;

    (void)state;
    for (size_t i = 0; i < sizeof stray / sizeof *stray; i++) {
        struct view text = {(const uint8_t *)stray[i], 4};
        bool clean = i == 0 || i == 3;
        assert_int_equal(base64_decode(text, out, sizeof out, &n),
                         clean ? STATUS_OK : STATUS_MALFORMED);
        assert_int_equal(base64_decode_lenient(text, out, sizeof out, &n, &canonical),
                         STATUS_OK);
        assert_int_equal(canonical, clean);
        assert_int_equal(out[0], 'f');
        assert_int_equal(n, i < 3 ? 1 : 2);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct view text = {(const uint8_t *)bad[i], strlen(bad[i])};
        assert_int_equal(base64_decode_lenient(text, out, sizeof out, &n, &canonical),
                         STATUS_MALFORMED);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_4648_vectors_agree),
        cmocka_unit_test(test_every_length_comes_back_and_fits_exactly),
        cmocka_unit_test(test_no_character_outside_the_alphabet_is_read),
        cmocka_unit_test(test_only_letters_of_the_alphabet_are_taken),
        cmocka_unit_test(test_stray_bits_and_stray_padding_are_told_apart),
    };
    return cmocka_run_group_tests_name("base64", tests, setup, NULL);
}
