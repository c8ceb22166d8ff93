/* Goal: a key file gives back its key, with its passphrase if it has one, and
 * every damaged or edited file is refused for the right reason.
 * Method: files of a second implementation; the locked form opened here a
 * second time, step by step with libsodium; every byte changed, every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/keyfile.h"
#include "tests/vector_file.h"

static const struct view PASSPHRASE = {(const uint8_t *)"correct horse", 13};
static const struct view NONE = {NULL, 0};

static struct keyfile
sample(void)
{
    struct keyfile key = {.kind = KEYFILE_SIGNING, .name = "hb-health/root-1"};
    memset(key.secret, 0xa7, sizeof key.secret);
    return key;
}

/* The least that Argon2id takes, so that thousands of tries are quick. */
static struct keyfile_lock
cheap_lock(void)
{
    struct keyfile_lock lock = {.passphrase = PASSPHRASE, .passes = 1, .memory_kib = 8};
    memset(lock.salt, 1, sizeof lock.salt);
    memset(lock.nonce, 2, sizeof lock.nonce);
    return lock;
}

static struct view
of(const char *text, size_t count)
{
    return (struct view){(const uint8_t *)text, count};
}

/* Replace the check line by the right one, as somebody who edits would. */
static size_t
recheck(char *text, size_t count)
{
    uint8_t check[16];
    char *line = text + count - 31;
    assert_int_equal(
        crypto_generichash(check, sizeof check, (const uint8_t *)text, count - 31, NULL, 0), 0);
    (void)sodium_bin2base64(line + 6, 25, check, sizeof check, sodium_base64_VARIANT_ORIGINAL);
    line[30] = '\n';
    return count;
}

static void
test_files_equal_those_of_the_second_implementation(void **state)
{
    json_t *root, *one;
    size_t i;
    (void)state;
    const json_t *cases = vector_own("key_file", &root);
    json_array_foreach(cases, i, one)
    {
        const char *file = vector_text(one, "file");
        struct keyfile key = {.kind = strcmp(vector_text(one, "kind"), "seed") == 0
                                          ? KEYFILE_SEED
                                          : KEYFILE_SIGNING};
        struct keyfile back;
        char text[KEYFILE_BYTES_MAX];
        size_t count;
        (void)snprintf(key.name, sizeof key.name, "%s", vector_text(one, "name"));
        vector_bytes(one, "secret", key.secret, KEY_BYTES);
        assert_int_equal(keyfile_encode(&key, NULL, text, sizeof text, &count), STATUS_OK);
        assert_int_equal(count, strlen(file));
        assert_memory_equal(text, file, count);
        assert_false(keyfile_is_locked(of(text, count)));
        assert_int_equal(keyfile_decode(of(text, count), NONE, &back), STATUS_OK);
        assert_int_equal(back.kind, key.kind);
        assert_string_equal(back.name, key.name);
        assert_memory_equal(back.secret, key.secret, KEY_BYTES);
        assert_int_equal(keyfile_encode(&key, NULL, text, count - 1, &count), STATUS_TOO_BIG);
    }
    json_decref(root);
}

static void
test_a_locked_file_opens_with_its_passphrase_only(void **state)
{
    const struct keyfile key = sample();
    const struct keyfile_lock lock = cheap_lock();
    struct keyfile back;
    char text[KEYFILE_BYTES_MAX];
    size_t count;
    (void)state;
    assert_int_equal(keyfile_encode(&key, &lock, text, sizeof text, &count), STATUS_OK);
    assert_true(keyfile_is_locked(of(text, count)));
    assert_int_equal(keyfile_decode(of(text, count), PASSPHRASE, &back), STATUS_OK);
    assert_string_equal(back.name, key.name);
    assert_memory_equal(back.secret, key.secret, KEY_BYTES);
    assert_int_equal(keyfile_decode(of(text, count), NONE, &back), STATUS_BAD_KEY);
    assert_true(sodium_is_zero((const unsigned char *)&back, sizeof back));
    assert_int_equal(
        keyfile_decode(of(text, count), (struct view){PASSPHRASE.bytes, 12}, &back),
        STATUS_BAD_KEY);
    /* nothing of the secret stands in the file */
    text[count] = '\0';
    assert_null(strstr(text, "secret"));
    assert_null(strstr(text, "p6en")); /* base64 of a7 a7 a7 */
}

static void
test_a_locked_file_is_made_as_its_header_says(void **state)
{
    const struct keyfile key = sample();
    const struct keyfile_lock lock = cheap_lock();
    static const char head[] = "huren signing key v1\nname hb-health/root-1\n"
                               "argon2id 1 8 AQEBAQEBAQEBAQEBAQEBAQ==\n";
    char text[KEYFILE_BYTES_MAX];
    uint8_t stretched[32], box_key[32], sealed[72], secret[32];
    size_t count, n;
    (void)state;
    assert_int_equal(keyfile_encode(&key, &lock, text, sizeof text, &count), STATUS_OK);
    assert_memory_equal(text, head, sizeof head - 1);
    assert_memory_equal(text + sizeof head - 1, "sealed ", 7);
    assert_int_equal(sodium_base642bin(sealed, sizeof sealed, text + sizeof head - 1 + 7, 96,
                                       NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    assert_int_equal(n, sizeof sealed);
    assert_memory_equal(sealed, lock.nonce, 24);
    assert_int_equal(crypto_pwhash(stretched, sizeof stretched, "correct horse", 13, lock.salt,
                                   1, 8192, crypto_pwhash_ALG_ARGON2ID13),
                     0);
    assert_int_equal(crypto_generichash(box_key, sizeof box_key, (const uint8_t *)head,
                                        sizeof head - 1, stretched, sizeof stretched),
                     0);
    assert_int_equal(crypto_secretbox_open_easy(secret, sealed + 24, 48, lock.nonce, box_key),
                     0);
    assert_memory_equal(secret, key.secret, sizeof secret);
}

static void
test_every_changed_byte_and_every_cut_is_refused(void **state)
{
    const struct keyfile key = sample();
    const struct keyfile_lock lock = cheap_lock();
    struct keyfile back;
    char text[KEYFILE_BYTES_MAX];
    size_t count;
    (void)state;
    for (int locked = 0; locked < 2; locked++) {
        assert_int_equal(
            keyfile_encode(&key, locked ? &lock : NULL, text, sizeof text - 1, &count),
            STATUS_OK);
        for (size_t i = 0; i < count; i++) {
            const char old = text[i];
            for (unsigned flip = 1; flip < 256; flip += 2) {
                enum status st;
                text[i] = (char)((unsigned char)old ^ flip);
                st = keyfile_decode(of(text, count), PASSPHRASE, &back);
                assert_true(st == STATUS_CORRUPT || st == STATUS_MALFORMED ||
                            st == STATUS_UNSUPPORTED);
                assert_true(sodium_is_zero((const unsigned char *)&back, sizeof back));
            }
            text[i] = old;
            assert_int_not_equal(keyfile_decode(of(text, i), PASSPHRASE, &back), STATUS_OK);
        }
        text[count] = '\n';
        assert_int_not_equal(keyfile_decode(of(text, count + 1), PASSPHRASE, &back), STATUS_OK);
        assert_int_equal(keyfile_decode(of(text, count), PASSPHRASE, &back), STATUS_OK);
    }
}

/* The passphrase protects name, kind and cost, not only the secret. */
static void
test_an_edited_locked_file_is_refused_even_with_a_right_check_line(void **state)
{
    const struct keyfile key = sample();
    const struct keyfile_lock lock = cheap_lock();
    struct keyfile back;
    char good[KEYFILE_BYTES_MAX], text[KEYFILE_BYTES_MAX];
    size_t count;
    (void)state;
    assert_int_equal(keyfile_encode(&key, &lock, good, sizeof good, &count), STATUS_OK);
    for (size_t i = 0; i < count - 31; i++) {
        enum status st;
        memcpy(text, good, count);
        text[i] = (char)(text[i] == '1' ? '2' : text[i] == 'A' ? 'B' : text[i] ^ 1);
        st = keyfile_decode(of(text, recheck(text, count)), PASSPHRASE, &back);
        assert_int_not_equal(st, STATUS_OK);
        assert_int_not_equal(st, STATUS_CORRUPT);
    }
    memcpy(text, good, count);
    assert_int_equal(keyfile_decode(of(text, recheck(text, count)), PASSPHRASE, &back),
                     STATUS_OK);
}

static void
test_texts_that_encoding_never_writes_are_refused_even_with_a_right_check_line(void **state)
{
#define SECRET "secret p6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6c=\n"
#define LOCKED                                                                                 \
    "argon2id 1 8 AQEBAQEBAQEBAQEBAQEBAQ==\nsealed "                                           \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                                             \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
    static const struct {
        const char *text;
        enum status expected;
    } cases[] = {
        {"huren seed v1\nname a\n" SECRET, STATUS_OK},
        {"huren seed v1\nname a\n" LOCKED, STATUS_BAD_KEY},
        {"huren seed v1\nname a\n" SECRET "more 1\n", STATUS_MALFORMED},
        {"huren seed v1\nname a\n" SECRET SECRET, STATUS_MALFORMED},
        {"huren seed v1\nname a\n" LOCKED SECRET, STATUS_MALFORMED},
        {"huren seed v1\nname a\n" SECRET "\n", STATUS_MALFORMED},
        {"huren seed v1\nname a\n", STATUS_MALFORMED},
        {"huren seed v1\n" SECRET, STATUS_MALFORMED},
        {"huren seed v1\nname A\n" SECRET, STATUS_MALFORMED},
        {"huren seed v1\nname \n" SECRET, STATUS_MALFORMED},
        {"huren seed v1\nname a\n"
         "secret p6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6d=\n",
         STATUS_MALFORMED}, /* stray bits */
        {"huren seed v1\nname a\n"
         "secret p6enp6enp6enp6enp6enp6enp6enp6enp6enp6en\n",
         STATUS_MALFORMED}, /* too short */
        {"huren seed v1\nname a\n"
         "secret \xa7"
         "6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6c=\n",
         STATUS_MALFORMED}, /* libsodium alone takes it */
    };
#undef SECRET
#undef LOCKED
    struct keyfile back;
    char text[KEYFILE_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int n =
            snprintf(text, sizeof text, "%scheck AAAAAAAAAAAAAAAAAAAAAA==\n", cases[i].text);
        assert_true(n > 0 && (size_t)n < sizeof text);
        if (keyfile_decode(of(text, recheck(text, (size_t)n)), PASSPHRASE, &back) !=
            cases[i].expected) {
            fail_msg("case %zu", i);
        }
    }
}

static void
test_a_file_cannot_ask_for_too_much(void **state)
{
    const struct keyfile key = sample();
    struct keyfile_lock lock = cheap_lock();
    struct keyfile back;
    char text[KEYFILE_BYTES_MAX], big[KEYFILE_BYTES_MAX + 1] = "huren seed v1\n";
    size_t count;
    (void)state;
    static const struct {
        const char *cost;
        enum status expected;
    } cases[] = {{"33 8", STATUS_TOO_BIG},           {"1 1048577", STATUS_TOO_BIG},
                 {"0 8", STATUS_MALFORMED},          {"1 7", STATUS_MALFORMED},
                 {"01 8", STATUS_MALFORMED},         {"1  8", STATUS_MALFORMED},
                 {"4294967296 8", STATUS_MALFORMED}, {"1 8 ", STATUS_MALFORMED},
                 {"1 -8", STATUS_MALFORMED},         {"1 8", STATUS_BAD_KEY}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int n =
            snprintf(text, sizeof text,
                     "huren seed v1\nname a\nargon2id %s AQEBAQEBAQEBAQEBAQEBAQ==\nsealed "
                     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                     "AAAAAAAAAAAAAAAAAAAAAAAA\ncheck AAAAAAAAAAAAAAAAAAAAAA==\n",
                     cases[i].cost);
        assert_true(n > 0);
        assert_int_equal(keyfile_decode(of(text, recheck(text, (size_t)n)), PASSPHRASE, &back),
                         cases[i].expected);
    }
    assert_int_equal(keyfile_decode(of(big, sizeof big), NONE, &back), STATUS_TOO_BIG);
    lock.passes = 0;
    assert_int_equal(keyfile_encode(&key, &lock, text, sizeof text, &count), STATUS_MALFORMED);
    lock = cheap_lock();
    lock.passphrase = NONE;
    assert_int_equal(keyfile_encode(&key, &lock, text, sizeof text, &count), STATUS_MALFORMED);
    lock.passphrase = (struct view){(const uint8_t *)big, KEYFILE_PASSPHRASE_BYTES_MAX + 1};
    assert_int_equal(keyfile_encode(&key, &lock, text, sizeof text, &count), STATUS_TOO_BIG);
}

static void
test_names_of_other_characters_are_refused(void **state)
{
    static const char *const bad[] = {"", "A", "a b", "a\n", "a+b", "\xc3\xa9"};
    struct keyfile key = sample();
    char text[KEYFILE_BYTES_MAX];
    size_t count;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(key.name, sizeof key.name, "%s", bad[i]);
        assert_int_equal(keyfile_encode(&key, NULL, text, sizeof text, &count),
                         STATUS_MALFORMED);
        assert_int_equal(count, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_equal_those_of_the_second_implementation),
        cmocka_unit_test(test_a_locked_file_opens_with_its_passphrase_only),
        cmocka_unit_test(test_a_locked_file_is_made_as_its_header_says),
        cmocka_unit_test(test_every_changed_byte_and_every_cut_is_refused),
        cmocka_unit_test(test_an_edited_locked_file_is_refused_even_with_a_right_check_line),
        cmocka_unit_test(
            test_texts_that_encoding_never_writes_are_refused_even_with_a_right_check_line),
        cmocka_unit_test(test_a_file_cannot_ask_for_too_much),
        cmocka_unit_test(test_names_of_other_characters_are_refused),
    };
    return cmocka_run_group_tests_name("keyfile", tests, vector_setup, NULL);
}
