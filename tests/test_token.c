/* Goal: tokens and patient keys are those of DESIGN section 5 to the byte, and
 * quarters those of the calendar in UTC+8.
 * Method: vectors of a second implementation, which takes its dates from
 * Python's calendar; every day from 1970 to 2149 counted a second way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/token.h"
#include "tests/vector_file.h"

static void
test_tokens_equal_those_of_the_second_implementation(void **state)
{
    json_t *root, *one, *row;
    size_t i, j;
    (void)state;
    const json_t *cases = vector_own("token", &root);
    json_array_foreach(cases, i, one)
    {
        struct network_key key = {.epoch = (uint32_t)vector_number(one, "epoch")};
        struct patient_keys keys;
        vector_bytes(one, "network_key", key.key, KEY_BYTES);
        assert_int_equal(token_patient_keys(&key, vector_text(one, "type"),
                                            vector_text(one, "value"), &keys),
                         STATUS_OK);
        assert_int_equal(keys.epoch, key.epoch);
        vector_expect(one, "token_key", keys.token_key, KEY_BYTES);
        vector_expect(one, "brief_key", keys.brief_key, KEY_BYTES);
        vector_expect(one, "record_key", keys.record_key, KEY_BYTES);
        json_array_foreach(json_object_get(one, "tokens"), j, row)
        {
            struct token token;
            const uint32_t quarter = token_quarter_of_day((uint16_t)vector_number(row, "day"));
            const char *text = vector_text(row, "quarter");
            assert_int_equal(quarter, strtoul(text, NULL, 10) * 4 + (size_t)(text[5] - '1'));
            token_make(&keys, quarter, &token);
            vector_expect(row, "token", token.bytes, sizeof token.bytes);
        }
    }
    json_decref(root);
}

static void
test_every_day_until_2149_is_in_the_quarter_of_the_calendar(void **state)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t day = 0;
    (void)state;
    for (uint32_t year = 1970; day <= UINT16_MAX; year++) {
        for (uint32_t month = 0; month < 12; month++) {
            const bool leap = year % 4 == 0 && year != 2100;
            const int length = lengths[month] + (month == 1 && leap);
            for (int d = 0; d < length && day <= UINT16_MAX; d++, day++) {
                assert_int_equal(token_quarter_of_day((uint16_t)day), year * 4 + month / 3);
            }
        }
    }
}

static void
test_a_day_begins_at_midnight_in_utc_plus_8(void **state)
{
    const int64_t hour = INT64_C(3600) * 1000, day_ms = 24 * hour;
    uint16_t day;
    (void)state;
    assert_int_equal(token_day_of_ms(0, &day), STATUS_OK);
    assert_int_equal(day, 0);
    assert_int_equal(token_day_of_ms(16 * hour - 1, &day), STATUS_OK);
    assert_int_equal(day, 0);
    assert_int_equal(token_day_of_ms(16 * hour, &day), STATUS_OK);
    assert_int_equal(day, 1);
    assert_int_equal(token_day_of_ms(-8 * hour, &day), STATUS_OK);
    assert_int_equal(day, 0);
    assert_int_equal(token_day_of_ms(-8 * hour - 1, &day), STATUS_MALFORMED);
    assert_int_equal(token_day_of_ms(65536 * day_ms - 8 * hour - 1, &day), STATUS_OK);
    assert_int_equal(day, 65535);
    assert_int_equal(token_day_of_ms(65536 * day_ms - 8 * hour, &day), STATUS_MALFORMED);
    assert_int_equal(token_day_of_ms(INT64_MAX, &day), STATUS_MALFORMED);
    assert_int_equal(token_day_of_ms(INT64_MIN, &day), STATUS_MALFORMED);
    /* 2024-12-31 23:59:59.999 and 2025-01-01 00:00 in Beijing */
    assert_int_equal(token_day_of_ms(INT64_C(1735660800000) - 1, &day), STATUS_OK);
    assert_int_equal(token_quarter_of_day(day), 2024 * 4 + 3);
    assert_int_equal(token_day_of_ms(INT64_C(1735660800000), &day), STATUS_OK);
    assert_int_equal(token_quarter_of_day(day), 2025 * 4);
}

static void
test_identifiers_out_of_bounds_are_refused(void **state)
{
    const struct network_key key = {.epoch = 1};
    struct patient_keys keys;
    char text[IDENTIFIER_CHARS_MAX + 2];
    (void)state;
    memset(text, '7', sizeof text);
    text[IDENTIFIER_CHARS_MAX + 1] = '\0';
    assert_int_equal(token_patient_keys(&key, "", "1", &keys), STATUS_MALFORMED);
    assert_int_equal(token_patient_keys(&key, "RI", "", &keys), STATUS_MALFORMED);
    assert_int_equal(token_patient_keys(&key, "RI", text, &keys), STATUS_TOO_BIG);
    assert_int_equal(token_patient_keys(&key, text, "1", &keys), STATUS_TOO_BIG);
    assert_true(sodium_is_zero((const unsigned char *)&keys, sizeof keys));
    text[IDENTIFIER_CHARS_MAX] = '\0';
    assert_int_equal(token_patient_keys(&key, "RI", text, &keys), STATUS_OK);
}

static void
test_the_list_has_every_epoch_and_quarter_once(void **state)
{
    enum { EPOCHS = 3, QUARTERS = 9, FIRST = 2023 * 4 + 2 };
    struct patient_keys keys[EPOCHS];
    struct token_row rows[EPOCHS * QUARTERS];
    size_t count;
    (void)state;
    for (uint32_t e = 0; e < EPOCHS; e++) {
        struct network_key key = {.epoch = e + 4};
        memset(key.key, (int)e, KEY_BYTES);
        assert_int_equal(token_patient_keys(&key, "RI", "1", &keys[e]), STATUS_OK);
    }
    assert_int_equal(token_list(keys, EPOCHS, FIRST, FIRST + QUARTERS - 1, rows,
                                EPOCHS * QUARTERS - 1, &count),
                     STATUS_TOO_BIG);
    assert_int_equal(count, 0);
    assert_int_equal(token_list(keys, EPOCHS, FIRST + 1, FIRST, rows, 99, &count),
                     STATUS_MALFORMED);
    assert_int_equal(token_list(keys, EPOCHS, 0, FIRST, rows, 99, &count), STATUS_MALFORMED);
    assert_int_equal(token_list(keys, EPOCHS, FIRST, UINT32_MAX, rows, 99, &count),
                     STATUS_MALFORMED);
    assert_int_equal(token_list(keys, 0, FIRST, FIRST, rows, 0, &count), STATUS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(
        token_list(keys, EPOCHS, FIRST, FIRST + QUARTERS - 1, rows, EPOCHS * QUARTERS, &count),
        STATUS_OK);
    assert_int_equal(count, EPOCHS * QUARTERS);
    for (size_t i = 0; i < count; i++) {
        struct token expected;
        assert_int_equal(rows[i].epoch, 4 + i / QUARTERS);
        assert_int_equal(rows[i].quarter, FIRST + QUARTERS - 1 - i % QUARTERS);
        token_make(&keys[i / QUARTERS], rows[i].quarter, &expected);
        assert_memory_equal(&rows[i].token, &expected, sizeof expected);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(&rows[i].token, &rows[j].token, sizeof expected);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens_equal_those_of_the_second_implementation),
        cmocka_unit_test(test_every_day_until_2149_is_in_the_quarter_of_the_calendar),
        cmocka_unit_test(test_a_day_begins_at_midnight_in_utc_plus_8),
        cmocka_unit_test(test_identifiers_out_of_bounds_are_refused),
        cmocka_unit_test(test_the_list_has_every_epoch_and_quarter_once),
    };
    return cmocka_run_group_tests_name("token", tests, vector_setup, NULL);
}
