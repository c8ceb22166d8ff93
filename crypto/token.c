#include "crypto/token.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/blake2b.h"
#include "proto/civil.h"
#include "proto/text.h"

static const char TOKEN_CONTEXT[crypto_kdf_CONTEXTBYTES + 1] = "hurenpat";

enum {
    TOKEN_KEY_ID = 1,
    TOKEN_BRIEF_KEY_ID = 2,
    TOKEN_RECORD_KEY_ID = 3,
    TOKEN_QUARTER_MIN = 1970 * 4,
    TOKEN_QUARTER_MAX = 9999 * 4 + 3
};

enum status
token_day_of_ms(int64_t unix_ms, uint16_t *day)
{
    const int64_t day_ms = INT64_C(86400000), east_ms = INT64_C(8) * 3600 * 1000;

    *day = 0;
    /* Compared before east_ms is added, so that nothing overflows. */
    if (unix_ms < -east_ms || unix_ms >= (INT64_C(65536) * day_ms) - east_ms) {
        return STATUS_MALFORMED;
    }
    *day = (uint16_t)((unix_ms + east_ms) / day_ms);
    return STATUS_OK;
}

uint32_t
token_quarter_of_day(uint16_t day)
{
    const struct civil date = civil_from_days(day);
    return (uint32_t)date.year * 4 + ((uint32_t)date.month - 1) / 3;
}

enum status
token_patient_keys(const struct network_key *network_key, const char *type, const char *value,
                   struct patient_keys *out)
{
    static const uint8_t zero = 0;
    /* Unambiguous: a type holds no NUL. */
    const struct view parts[] = {
        text_view("huren patient v1"), text_view(type), {&zero, 1}, text_view(value)};
    uint8_t patient_key[KEY_BYTES];
    int failed;

    memset(out, 0, sizeof *out);
    if (parts[1].count == 0 || parts[3].count == 0) {
        return STATUS_MALFORMED;
    }
    if (parts[1].count > IDENTIFIER_CHARS_MAX || parts[3].count > IDENTIFIER_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    blake2b_parts(network_key->key, parts, 4, patient_key, sizeof patient_key);
    out->epoch = network_key->epoch;
    failed = crypto_kdf_derive_from_key(out->token_key, KEY_BYTES, TOKEN_KEY_ID, TOKEN_CONTEXT,
                                        patient_key);
    failed |= crypto_kdf_derive_from_key(out->brief_key, KEY_BYTES, TOKEN_BRIEF_KEY_ID,
                                         TOKEN_CONTEXT, patient_key);
    failed |= crypto_kdf_derive_from_key(out->record_key, KEY_BYTES, TOKEN_RECORD_KEY_ID,
                                         TOKEN_CONTEXT, patient_key);
    sodium_memzero(patient_key, sizeof patient_key);
    assert(failed == 0);
    return STATUS_OK;
}

void
token_make(const struct patient_keys *patient, uint32_t quarter, struct token *out)
{
    const uint32_t year = quarter / 4;
    const uint8_t text[6] = {(uint8_t)('0' + year / 1000),
                             (uint8_t)('0' + year / 100 % 10),
                             (uint8_t)('0' + year / 10 % 10),
                             (uint8_t)('0' + year % 10),
                             (uint8_t)'Q',
                             (uint8_t)('1' + quarter % 4)};
    const struct view parts[] = {text_view("huren token v1"), {text, sizeof text}};

    assert(quarter >= TOKEN_QUARTER_MIN && quarter <= TOKEN_QUARTER_MAX);
    blake2b_parts(patient->token_key, parts, 2, out->bytes, sizeof out->bytes);
}

enum status
token_list(const struct patient_keys *patients, size_t patient_count, uint32_t quarter_first,
           uint32_t quarter_last, struct token_row *rows, size_t rows_max, size_t *row_count)
{
    size_t quarters, n = 0;

    *row_count = 0;
    if (quarter_first > quarter_last || quarter_first < TOKEN_QUARTER_MIN ||
        quarter_last > TOKEN_QUARTER_MAX) {
        return STATUS_MALFORMED;
    }
    quarters = quarter_last - quarter_first + 1;
    if (patient_count > rows_max / quarters) {
        return STATUS_TOO_BIG;
    }
    for (size_t i = 0; i < patient_count; i++) {
        for (size_t q = 0; q < quarters; q++) {
            struct token_row *row = &rows[n++];
            row->quarter = quarter_last - (uint32_t)q;
            row->epoch = patients[i].epoch;
            token_make(&patients[i], row->quarter, &row->token);
        }
    }
    *row_count = n;
    return STATUS_OK;
}
