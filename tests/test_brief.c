/* Goal: a brief has one encoding, to the byte; sealed, it opens with its key
 * in its entry only; an index entry with one takes 110 bytes.
 * Method: vectors of a second implementation, entries packed by protobuf-c and
 * compared with them; every number of items; random plaintexts, of which those
 * that decode must encode to themselves; every bit flipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/brief.h"
#include "proto/log.pb-c.h"
#include "tests/vector_file.h"

enum { PUBLISH_BYTES = 110 };

/* Pack a Publish entry; brief.count 0 leaves it empty. */
static struct view
pack(uint8_t *token, uint32_t epoch, uint8_t *sealed, uint8_t *brief, size_t brief_count,
     uint8_t out[256])
{
    Hr__Publish publish = HR__PUBLISH__INIT;
    Hr__PubEntry entry = HR__PUB_ENTRY__INIT;
    publish.token = (ProtobufCBinaryData){TOKEN_BYTES, token};
    publish.epoch = epoch;
    publish.sealed = (ProtobufCBinaryData){HASH_BYTES, sealed};
    publish.brief = (ProtobufCBinaryData){brief_count, brief};
    entry.what_case = HR__PUB_ENTRY__WHAT_PUBLISH;
    entry.publish = &publish;
    assert_true(hr__pub_entry__get_packed_size(&entry) <= 256);
    return (struct view){out, hr__pub_entry__pack(&entry, out)};
}

static size_t
read_numbers(const json_t *list, uint32_t *numbers, size_t max)
{
    const size_t count = json_array_size(list);
    assert_true(count <= max);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    }
    return count;
}

static void
test_briefs_equal_those_of_the_second_implementation(void **state)
{
    json_t *root, *one;
    size_t i;
    (void)state;
    const json_t *cases = vector_own("brief", &root);
    json_array_foreach(cases, i, one)
    {
        uint32_t numbers[512];
        uint8_t plain[BRIEF_PLAIN_BYTES], sealed[BRIEF_BYTES], key[KEY_BYTES];
        uint8_t token[TOKEN_BYTES], record[HASH_BYTES], packed[256];
        struct brief brief, opened;
        const uint32_t epoch = (uint32_t)vector_number(one, "epoch");
        const char *origin = vector_text(one, "origin");
        struct view entry;
        const size_t count = read_numbers(json_object_get(one, "numbers"), numbers, 512);

        assert_int_equal(brief_make((uint16_t)vector_number(one, "day"),
                                    (uint8_t)vector_number(one, "status"), numbers, count,
                                    &brief),
                         STATUS_OK);
        assert_int_equal(brief_encode(&brief, plain), STATUS_OK);
        vector_expect(one, "plain", plain, sizeof plain);
        assert_int_equal(brief_decode(plain, &opened), STATUS_OK);
        assert_memory_equal(&opened, &brief, sizeof brief);

        vector_bytes(one, "brief_key", key, sizeof key);
        vector_bytes(one, "token", token, sizeof token);
        vector_bytes(one, "record_sealed", record, sizeof record);
        entry = pack(token, epoch, record, NULL, 0, packed);
        vector_expect(one, "entry_without_brief", entry.bytes, entry.count);
        assert_int_equal(brief_seal(&brief, key, origin, entry, sealed), STATUS_OK);
        vector_expect(one, "brief", sealed, sizeof sealed);
        assert_int_equal(
            brief_open((struct view){sealed, sizeof sealed}, key, origin, entry, &opened),
            STATUS_OK);
        assert_memory_equal(&opened, &brief, sizeof brief);
        entry = pack(token, epoch, record, sealed, sizeof sealed, packed);
        vector_expect(one, "entry", entry.bytes, entry.count);
        if (epoch < 128) {
            assert_int_equal(entry.count, PUBLISH_BYTES);
        }
    }
    json_decref(root);
}

static void
test_numbers_are_kept_in_order_until_they_do_not_fit(void **state)
{
    uint32_t numbers[REPORT_ITEMS_MAX + 1];
    struct brief brief, back;
    uint8_t plain[BRIEF_PLAIN_BYTES];
    (void)state;
    for (uint32_t count = 0; count <= 60; count++) {
        for (uint32_t i = 0; i < count; i++) { /* descending, each twice */
            numbers[i] = numbers[2 * count - 1 - i] = count - i;
        }
        assert_int_equal(brief_make(7, BRIEF_FINAL, numbers, (size_t)2 * count, &brief),
                         STATUS_OK);
        assert_int_equal(brief.count, count < 33 ? count : 33);
        assert_int_equal(brief.more, count > 33);
        for (uint32_t i = 0; i < brief.count; i++) {
            assert_int_equal(brief.numbers[i], i + 1);
        }
        assert_int_equal(brief_encode(&brief, plain), STATUS_OK);
        assert_int_equal(brief_decode(plain, &back), STATUS_OK);
        assert_memory_equal(&back, &brief, sizeof brief);
    }
    /* 31 bytes used; a step of three bytes does not fit, and nothing after it */
    for (uint32_t i = 0; i < 31; i++) {
        numbers[i] = i + 1;
    }
    numbers[31] = 31 + 16384;
    numbers[32] = 31 + 16385;
    assert_int_equal(brief_make(7, BRIEF_FINAL, numbers, 33, &brief), STATUS_OK);
    assert_int_equal(brief.count, 31);
    assert_true(brief.more);
    assert_int_equal(brief_make(7, BRIEF_FINAL, numbers, REPORT_ITEMS_MAX + 1, &brief),
                     STATUS_TOO_BIG);
    numbers[5] = 0;
    assert_int_equal(brief_make(7, BRIEF_FINAL, numbers, 33, &brief), STATUS_MALFORMED);
    assert_int_equal(brief_make(7, BRIEF_STATUS_MAX + 1, numbers, 0, &brief), STATUS_MALFORMED);
}

static void
test_what_cannot_be_encoded_is_refused(void **state)
{
    struct brief brief = {.count = 2, .numbers = {5, 5}};
    uint8_t plain[BRIEF_PLAIN_BYTES];
    (void)state;
    assert_int_equal(brief_encode(&brief, plain), STATUS_MALFORMED);
    brief.numbers[1] = 4;
    assert_int_equal(brief_encode(&brief, plain), STATUS_MALFORMED);
    brief.numbers[0] = 0;
    assert_int_equal(brief_encode(&brief, plain), STATUS_MALFORMED);
    brief.count = BRIEF_NUMBERS_MAX + 1;
    assert_int_equal(brief_encode(&brief, plain), STATUS_TOO_BIG);
    brief.count = 33;
    for (uint32_t i = 0; i < 33; i++) {
        brief.numbers[i] = i + 100; /* the first takes one byte, 34 in all with 200 */
    }
    assert_int_equal(brief_encode(&brief, plain), STATUS_OK);
    brief.numbers[32] = 1000;
    assert_int_equal(brief_encode(&brief, plain), STATUS_TOO_BIG);
    brief.count = 0;
    brief.status = BRIEF_STATUS_MAX + 1;
    assert_int_equal(brief_encode(&brief, plain), STATUS_MALFORMED);
}

static void
test_other_spellings_of_a_list_are_refused(void **state)
{
    static const struct {
        const char *list; /* hex from byte 3 */
        enum status expected;
    } cases[] = {{"05", STATUS_OK},
                 {"8500", STATUS_MALFORMED}, /* long form */
                 {"0500", STATUS_OK},
                 {"050001", STATUS_MALFORMED}, /* after the end */
                 {"ffffffff0f", STATUS_OK},
                 {"ffffffff1f", STATUS_MALFORMED},
                 {"ffffffff0f01", STATUS_MALFORMED}, /* sum over 32 bits */
                 {"808080808001", STATUS_MALFORMED},
                 {"8001", STATUS_OK}};
    struct brief brief;
    uint8_t plain[BRIEF_PLAIN_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(plain, 0, sizeof plain);
        assert_int_equal(sodium_hex2bin(plain + 3, sizeof plain - 3, cases[i].list,
                                        strlen(cases[i].list), NULL, NULL, NULL),
                         0);
        assert_int_equal(brief_decode(plain, &brief), cases[i].expected);
    }
    memset(plain, 1, sizeof plain); /* a varint that the end cuts */
    plain[sizeof plain - 1] = 0x81;
    assert_int_equal(brief_decode(plain, &brief), STATUS_MALFORMED);
}

static void
test_whatever_decodes_encodes_to_itself(void **state)
{
    uint8_t plain[BRIEF_PLAIN_BYTES], again[BRIEF_PLAIN_BYTES];
    struct brief brief;
    size_t decoded = 0;
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        const size_t tail = 3 + i % 34;
        randombytes_buf(plain, sizeof plain);
        memset(plain + tail, 0, sizeof plain - tail);
        for (size_t j = 3; j < tail && i % 2 == 0; j++) {
            plain[j] &= 0x7f;
        }
        if (brief_decode(plain, &brief) == STATUS_OK) {
            decoded++;
            assert_int_equal(brief_encode(&brief, again), STATUS_OK);
            assert_memory_equal(again, plain, sizeof plain);
        }
    }
    assert_true(decoded > 10000);
}

static void
test_a_sealed_brief_opens_in_its_entry_only(void **state)
{
    uint8_t token[TOKEN_BYTES] = {1}, record[HASH_BYTES] = {2}, packed[256],
            key[KEY_BYTES] = {3};
    uint8_t sealed[BRIEF_BYTES + 1] = {0};
    const char *origin = "net/h001/pub";
    const struct view entry = pack(token, 1, record, NULL, 0, packed);
    const struct view whole = {sealed, BRIEF_BYTES};
    struct brief brief, opened;
    const uint32_t numbers[] = {9, 4, 6};
    (void)state;
    assert_int_equal(brief_make(20000, BRIEF_CORRECTED, numbers, 3, &brief), STATUS_OK);
    assert_int_equal(brief_seal(&brief, key, origin, entry, sealed), STATUS_OK);
    assert_int_equal(brief_open(whole, key, origin, entry, &opened), STATUS_OK);
    assert_memory_equal(&opened, &brief, sizeof brief);
    assert_int_equal(brief_open(whole, key, "net/h002/pub", entry, &opened), STATUS_BAD_KEY);
    for (size_t i = 0; i < entry.count * 8; i++) {
        packed[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(brief_open(whole, key, origin, entry, &opened), STATUS_BAD_KEY);
        packed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t i = 0; i < BRIEF_BYTES * 8; i++) {
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(brief_open(whole, key, origin, entry, &opened), STATUS_BAD_KEY);
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t i = 0; i <= sizeof sealed; i++) {
        assert_int_equal(brief_open((struct view){sealed, i}, key, origin, entry, &opened),
                         i == BRIEF_BYTES ? STATUS_OK : STATUS_MALFORMED);
    }
    key[31] ^= 1;
    assert_int_equal(brief_open(whole, key, origin, entry, &opened), STATUS_BAD_KEY);
    assert_true(sodium_is_zero((const unsigned char *)&opened, sizeof opened));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_briefs_equal_those_of_the_second_implementation),
        cmocka_unit_test(test_numbers_are_kept_in_order_until_they_do_not_fit),
        cmocka_unit_test(test_what_cannot_be_encoded_is_refused),
        cmocka_unit_test(test_other_spellings_of_a_list_are_refused),
        cmocka_unit_test(test_whatever_decodes_encodes_to_itself),
        cmocka_unit_test(test_a_sealed_brief_opens_in_its_entry_only),
    };
    return cmocka_run_group_tests_name("brief", tests, vector_setup, NULL);
}
