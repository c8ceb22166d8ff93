/* token.h: blinded handles of a patient, and the keys that go with them.
 *
 * Source: DESIGN section 5, Tokens.
 *   patient_key = BLAKE2b-256(key = network_key[epoch],
 *                             "huren patient v1" || type || 0x00 || value)
 *   crypto_kdf(patient_key, "hurenpat"): 1 token key, 2 brief key, 3 record key
 *   token = BLAKE2b-128(key = token key, "huren token v1" || quarter)
 * The quarter is the six ASCII characters `2025Q1`: year in four digits, Q,
 * 1 to 4, of the civil date in UTC+8 on which the examination was made.  Pure. */
#ifndef CRYPTO_TOKEN_H
#define CRYPTO_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/networkkey.h"
#include "proto/limits.h"
#include "proto/status.h"

struct token {
    uint8_t bytes[TOKEN_BYTES];
};

/* What one identifier of one patient gives in one epoch.  All secret: whoever
 * holds brief_key or record_key reads everything of this patient. */
struct patient_keys {
    uint32_t epoch; /* of the network key */
    uint8_t token_key[KEY_BYTES];
    uint8_t brief_key[KEY_BYTES];
    uint8_t record_key[KEY_BYTES];
};

/* One row of what a look-up searches for. */
struct token_row {
    struct token token;
    uint32_t quarter;
    uint32_t epoch;
};

/* Days since 1970-01-01 in civil dates; the day in UTC+8 of a Unix time.
 *
 * STATUS_OK
 * STATUS_MALFORMED  before 1970-01-01 or after day 65535 (2149-06-06). */
MUST_USE enum status token_day_of_ms(int64_t unix_ms, uint16_t *day);

/* Quarters are numbered year * 4 + (0..3), so that the one before is one less. */
uint32_t token_quarter_of_day(uint16_t day);

/* Derive the keys of an identifier (type `RI`, `PP`, ...; value in normal
 * form) under one network key.
 *
 * STATUS_OK
 * STATUS_MALFORMED  type or value is empty.
 * STATUS_TOO_BIG    longer than IDENTIFIER_CHARS_MAX. */
MUST_USE enum status token_patient_keys(const struct network_key *network_key, const char *type,
                                        const char *value, struct patient_keys *out);

/* The token of a patient in a quarter.
 * Quarters outside of the years 1970 to 9999 are our own mistake (asserted). */
void token_make(const struct patient_keys *patient, uint32_t quarter, struct token *out);

/* All tokens of the patients' keys (one for each epoch and identifier) in the
 * quarters first..last: patient_count * (last - first + 1) rows, by patient,
 * newest quarter first.
 *
 * STATUS_OK
 * STATUS_MALFORMED  first > last, or quarters outside of the years 1970 to 9999.
 * STATUS_TOO_BIG    more than `rows_max` rows; nothing is written. */
MUST_USE enum status token_list(const struct patient_keys *patients, size_t patient_count,
                                uint32_t quarter_first, uint32_t quarter_last,
                                struct token_row *rows, size_t rows_max, size_t *row_count);

#endif
