/* Goal: a report seals to one record, to the byte, and the record opens with
 * its keys in its place, unchanged, and in no other way.
 * Method: vectors of a second implementation; every size from 0 to 1100; every
 * byte of records of one and two blocks flipped; a record that commits to k but
 * is badly padded, made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/record.h"
#include "tests/vector_file.h"

enum { SIZE_MAX_TESTED = 1100, ROOM = 2048 };

static const char NET[] = "yx-county.hb.cn", INST[] = "h001";
static const uint8_t KEY[KEY_BYTES] = {1, 2, 3};

static void
fill(uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)(i * 7 + count);
    }
}

static void
test_records_equal_those_of_the_second_implementation(void **state)
{
    json_t *root, *one;
    size_t i;
    (void)state;
    const json_t *cases = vector_own("record", &root);
    json_array_foreach(cases, i, one)
    {
        uint8_t report[ROOM], key[KEY_BYTES], out[ROOM], k[KEY_BYTES];
        const struct view given = vector_hex(one, "report", report, sizeof report);
        struct hash sealed;
        size_t count;
        vector_bytes(one, "record_key", key, sizeof key);
        assert_int_equal(record_seal(given, key, vector_text(one, "network"),
                                     vector_text(one, "institution"), out, sizeof out, &count),
                         STATUS_OK);
        vector_expect(one, "record", out, count);
        record_sealed((struct view){out, count}, &sealed);
        vector_expect(one, "sealed", sealed.bytes, sizeof sealed.bytes);
        assert_int_equal(record_k((struct view){out, count}, key, k), STATUS_OK);
        vector_expect(one, "k", k, sizeof k);
    }
    json_decref(root);
}

static void
test_every_size_comes_back_with_both_keys_and_seals_alike(void **state)
{
    uint8_t report[ROOM], record[ROOM], again[ROOM], opened[ROOM], k[KEY_BYTES];
    (void)state;
    for (size_t size = 0; size <= SIZE_MAX_TESTED; size++) {
        const struct view given = {report, size};
        size_t count, again_count, opened_count;
        fill(report, size);
        assert_int_equal(record_seal(given, KEY, NET, INST, record, ROOM, &count), STATUS_OK);
        assert_int_equal(record_seal(given, KEY, NET, INST, again, ROOM, &again_count),
                         STATUS_OK);
        assert_int_equal(count, record_bytes(size));
        assert_int_equal((count - RECORD_OVERHEAD_BYTES) % RECORD_PAD_BYTES, 0);
        assert_int_equal(count, again_count);
        assert_memory_equal(record, again, count);
        assert_int_equal(record_open_with_patient((struct view){record, count}, KEY, NET, INST,
                                                  opened, ROOM, &opened_count),
                         STATUS_OK);
        assert_int_equal(opened_count, size);
        assert_memory_equal(opened, report, size);
        assert_int_equal(record_k((struct view){record, count}, KEY, k), STATUS_OK);
        memset(opened, 0xff, sizeof opened);
        assert_int_equal(record_open_with_k((struct view){record, count}, k, NET, INST, opened,
                                            ROOM, &opened_count),
                         STATUS_OK);
        assert_int_equal(opened_count, size);
        assert_memory_equal(opened, report, size);
    }
}

static void
test_every_flipped_bit_and_every_cut_is_refused(void **state)
{
    static const size_t sizes[] = {0, 200, 300};
    uint8_t report[ROOM], record[ROOM], opened[ROOM], k[KEY_BYTES];
    size_t count, n;
    (void)state;
    for (size_t s = 0; s < 3; s++) {
        fill(report, sizes[s]);
        assert_int_equal(
            record_seal((struct view){report, sizes[s]}, KEY, NET, INST, record, ROOM, &count),
            STATUS_OK);
        const struct view whole = {record, count};
        assert_int_equal(record_k(whole, KEY, k), STATUS_OK);
        for (size_t i = 0; i < count; i++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                const enum status expected = i == 0 ? STATUS_UNSUPPORTED : STATUS_BAD_KEY;
                record[i] ^= (uint8_t)(1u << bit);
                assert_int_equal(
                    record_open_with_patient(whole, KEY, NET, INST, opened, ROOM, &n),
                    expected);
                assert_int_equal(n, 0);
                assert_int_equal(record_open_with_k(whole, k, NET, INST, opened, ROOM, &n),
                                 expected);
                assert_int_equal(n, 0);
                record[i] ^= (uint8_t)(1u << bit);
            }
            const bool shaped = i > RECORD_OVERHEAD_BYTES &&
                                (i - RECORD_OVERHEAD_BYTES) % RECORD_PAD_BYTES == 0;
            assert_int_equal(
                record_open_with_k((struct view){record, i}, k, NET, INST, opened, ROOM, &n),
                shaped ? STATUS_BAD_KEY : STATUS_MALFORMED);
        }
        assert_int_equal(record_open_with_k(whole, k, NET, INST, opened, ROOM, &n), STATUS_OK);
    }
}

static void
test_a_record_opens_only_with_its_keys_and_in_its_place(void **state)
{
    const uint8_t other_key[KEY_BYTES] = {1, 2, 4};
    uint8_t report[300], record[ROOM], opened[ROOM], k[KEY_BYTES], other_k[KEY_BYTES];
    size_t count, n;
    (void)state;
    fill(report, sizeof report);
    assert_int_equal(record_seal((struct view){report, sizeof report}, other_key, NET, INST,
                                 record, ROOM, &count),
                     STATUS_OK);
    assert_int_equal(record_k((struct view){record, count}, other_key, other_k), STATUS_OK);
    assert_int_equal(
        record_seal((struct view){report, sizeof report}, KEY, NET, INST, record, ROOM, &count),
        STATUS_OK);
    const struct view whole = {record, count};
    assert_int_equal(record_k(whole, KEY, k), STATUS_OK);

    assert_int_equal(record_open_with_patient(whole, other_key, NET, INST, opened, ROOM, &n),
                     STATUS_BAD_KEY);
    assert_int_equal(record_open_with_k(whole, other_k, NET, INST, opened, ROOM, &n),
                     STATUS_BAD_KEY);
    assert_int_equal(record_open_with_k(whole, k, "yx-county.hb.c", INST, opened, ROOM, &n),
                     STATUS_BAD_KEY);
    assert_int_equal(record_open_with_k(whole, k, NET, "h002", opened, ROOM, &n),
                     STATUS_BAD_KEY);
    /* the byte between the names: moving a letter across it is noticed */
    assert_int_equal(record_open_with_k(whole, k, "yx-county.hb.cnh", "001", opened, ROOM, &n),
                     STATUS_BAD_KEY);
    assert_int_equal(record_open_with_k(whole, k, NET, "H001", opened, ROOM, &n),
                     STATUS_MALFORMED);
    assert_int_equal(record_open_with_k(whole, k, "", INST, opened, ROOM, &n),
                     STATUS_MALFORMED);
    assert_int_equal(record_open_with_k(whole, k, NET, INST, opened, 511, &n), STATUS_TOO_BIG);
    assert_int_equal(record_open_with_k(whole, k, NET, INST, opened, 512, &n), STATUS_OK);
    assert_int_equal(record_k(whole, other_key, other_k), STATUS_BAD_KEY);
    assert_true(sodium_is_zero(other_k, sizeof other_k));
    assert_int_equal(record_open_with_k((struct view){NULL, 0}, k, NET, INST, opened, ROOM, &n),
                     STATUS_MALFORMED);
}

static void
test_limits_are_kept_when_sealing(void **state)
{
    static uint8_t report[REPORT_BYTES_MAX + 1], record[RECORD_BYTES_MAX],
        back[RECORD_BYTES_MAX];
    size_t count, n;
    (void)state;
    assert_int_equal(record_seal((struct view){report, REPORT_BYTES_MAX + 1}, KEY, NET, INST,
                                 record, sizeof record, &count),
                     STATUS_TOO_BIG);
    assert_int_equal(record_seal((struct view){report, 100}, KEY, NET, INST, record,
                                 record_bytes(100) - 1, &count),
                     STATUS_TOO_BIG);
    assert_int_equal(
        record_seal((struct view){report, 100}, KEY, NET, "a/b", record, sizeof record, &count),
        STATUS_MALFORMED);
    assert_int_equal(count, 0);
    assert_int_equal(record_seal((struct view){report, REPORT_BYTES_MAX}, KEY, NET, INST,
                                 record, sizeof record, &count),
                     STATUS_OK);
    assert_int_equal(record_open_with_patient((struct view){record, count}, KEY, NET, INST,
                                              back, sizeof back, &n),
                     STATUS_OK);
    assert_int_equal(n, REPORT_BYTES_MAX);
    assert_int_equal(record_open_with_patient((struct view){record, RECORD_BYTES_MAX + 1}, KEY,
                                              NET, INST, back, sizeof back, &n),
                     STATUS_TOO_BIG);
}

/* What an issuer with another program could make: a record of one block under
 * any k, with any commitment. */
static void
forge(uint8_t record[RECORD_OVERHEAD_BYTES + RECORD_PAD_BYTES], const uint8_t k[KEY_BYTES],
      const uint8_t committed[KEY_BYTES], const uint8_t plain[RECORD_PAD_BYTES])
{
    const uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES] = {0};
    uint8_t ad[128];
    crypto_generichash_state hash;
    const size_t ad_count = RECORD_HEAD_BYTES + sizeof NET + sizeof INST - 1;
    record[0] = RECORD_VERSION;
    memset(record + 1, 0, SALT_BYTES);
    assert_int_equal(crypto_generichash_init(&hash, NULL, 0, 32), 0);
    assert_int_equal(crypto_generichash_update(&hash, (const uint8_t *)"huren commit v1", 15),
                     0);
    assert_int_equal(crypto_generichash_update(&hash, committed, KEY_BYTES), 0);
    assert_int_equal(crypto_generichash_final(&hash, record + 1 + SALT_BYTES, 32), 0);
    memcpy(ad, record, RECORD_HEAD_BYTES);
    memcpy(ad + RECORD_HEAD_BYTES, NET, sizeof NET); /* with its NUL */
    memcpy(ad + RECORD_HEAD_BYTES + sizeof NET, INST, sizeof INST - 1);
    assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt(record + RECORD_HEAD_BYTES,
                                                                NULL, plain, RECORD_PAD_BYTES,
                                                                ad, ad_count, NULL, nonce, k),
                     0);
}

/* Else one record could be opened to two texts, under two keys. */
static void
test_a_record_that_commits_to_another_key_is_refused(void **state)
{
    const uint8_t k[KEY_BYTES] = {9}, other[KEY_BYTES] = {10};
    uint8_t record[RECORD_OVERHEAD_BYTES + RECORD_PAD_BYTES], plain[RECORD_PAD_BYTES] = {0x80};
    uint8_t opened[RECORD_PAD_BYTES];
    const struct view whole = {record, sizeof record};
    size_t n;
    (void)state;
    forge(record, k, k, plain);
    assert_int_equal(record_open_with_k(whole, k, NET, INST, opened, sizeof opened, &n),
                     STATUS_OK);
    forge(record, k, other, plain);
    assert_int_equal(record_open_with_k(whole, k, NET, INST, opened, sizeof opened, &n),
                     STATUS_BAD_KEY);
    assert_int_equal(record_open_with_k(whole, other, NET, INST, opened, sizeof opened, &n),
                     STATUS_BAD_KEY);
}

static void
test_a_committed_record_with_bad_padding_is_refused(void **state)
{
    const uint8_t k[KEY_BYTES] = {9};
    uint8_t record[RECORD_OVERHEAD_BYTES + RECORD_PAD_BYTES], plain[RECORD_PAD_BYTES];
    uint8_t opened[RECORD_PAD_BYTES];
    size_t n;
    (void)state;
    for (unsigned last = 0; last < 256; last++) {
        memset(plain, 0x11, sizeof plain);
        plain[sizeof plain - 1] = (uint8_t)last;
        forge(record, k, k, plain);
        memset(opened, 0xee, sizeof opened);
        assert_int_equal(record_open_with_k((struct view){record, sizeof record}, k, NET, INST,
                                            opened, sizeof opened, &n),
                         last == 0x80 ? STATUS_OK : STATUS_MALFORMED);
        assert_int_equal(n, last == 0x80 ? sizeof plain - 1 : 0);
        if (last != 0x80) {
            assert_true(sodium_is_zero(opened, sizeof opened));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_equal_those_of_the_second_implementation),
        cmocka_unit_test(test_every_size_comes_back_with_both_keys_and_seals_alike),
        cmocka_unit_test(test_every_flipped_bit_and_every_cut_is_refused),
        cmocka_unit_test(test_a_record_opens_only_with_its_keys_and_in_its_place),
        cmocka_unit_test(test_limits_are_kept_when_sealing),
        cmocka_unit_test(test_a_record_that_commits_to_another_key_is_refused),
        cmocka_unit_test(test_a_committed_record_with_bad_padding_is_refused),
    };
    return cmocka_run_group_tests_name("record", tests, vector_setup, NULL);
}
