/* brief.h: what the index says about a report: day, status, items.
 *
 * Source: DESIGN section 5, Brief.  Plaintext, 36 bytes:
 *   0..1   examination day, big-endian: days since 1970-01-01, civil date in UTC+8
 *   2      bits 0 to 6 status, bit 7 (0x80) *more*: not all numbers fitted
 *   3..35  catalog numbers, ascending, each as its difference from the one
 *          before (the first from 0) in unsigned LEB128, shortest form; zero
 *          bytes to the end.  A difference is never 0, so a zero byte ends the list.
 * There is one encoding of a brief, and decoding refuses all others.
 * Sealed: XChaCha20-Poly1305(brief_key, nonce, ad = entry, plaintext), where
 * entry is the index entry (PubEntry) packed with `brief` empty, and
 *   nonce = first 24 bytes of SHA-256("huren brief v1" || origin || 0x00 || entry).
 * Pure. */
#ifndef CRYPTO_BRIEF_H
#define CRYPTO_BRIEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    BRIEF_NUMBERS_MAX = BRIEF_PLAIN_BYTES - 3, /* one byte each at best */
    BRIEF_STATUS_MAX = 127
};

/* Values of `status`; others are passed on as they are. */
enum brief_status {
    BRIEF_UNKNOWN = 0,
    BRIEF_FINAL = 1,
    BRIEF_CORRECTED = 2,
    BRIEF_PRELIMINARY = 3,
    BRIEF_CANCELLED = 4
};

struct brief {
    uint16_t day;   /* days since 1970-01-01, civil date in UTC+8 */
    uint8_t status; /* enum brief_status, at most BRIEF_STATUS_MAX */
    bool more;      /* the report has items that are not in the list */
    uint32_t count;
    uint32_t numbers[BRIEF_NUMBERS_MAX]; /* of the catalog, strictly ascending, from 1 */
};

/* Fill `out` from the catalog numbers of a report's items, in any order, also
 * repeated: the smallest ones that fit, and `more` if that is not all.
 *
 * STATUS_OK
 * STATUS_MALFORMED  a number is 0, or status over BRIEF_STATUS_MAX.
 * STATUS_TOO_BIG    more than REPORT_ITEMS_MAX numbers. */
MUST_USE enum status brief_make(uint16_t day, uint8_t status, const uint32_t *numbers,
                                size_t count, struct brief *out);

/* STATUS_OK
 * STATUS_MALFORMED  numbers not strictly ascending from 1, or status too large.
 * STATUS_TOO_BIG    the numbers do not fit (brief_make cuts them). */
MUST_USE enum status brief_encode(const struct brief *brief, uint8_t plain[BRIEF_PLAIN_BYTES]);

/* Decode what was opened; `out` is written on success only.
 *
 * STATUS_OK, or STATUS_MALFORMED if it is not the encoding of a brief. */
MUST_USE enum status brief_decode(const uint8_t plain[BRIEF_PLAIN_BYTES], struct brief *out);

/* Encode and seal.  `entry` is the entry packed with `brief` empty.
 *
 * STATUS_OK, or the status of brief_encode; `sealed` is then all zero. */
MUST_USE enum status brief_seal(const struct brief *brief, const uint8_t brief_key[KEY_BYTES],
                                const char *origin, struct view entry,
                                uint8_t sealed[BRIEF_BYTES]);

/* Open and decode a brief, any bytes from outside; `entry` is the received
 * entry packed again with `brief` empty.
 *
 * STATUS_OK
 * STATUS_MALFORMED  wrong length, or not the encoding of a brief.
 * STATUS_BAD_KEY    not sealed under this key for this origin and entry. */
MUST_USE enum status brief_open(struct view sealed, const uint8_t brief_key[KEY_BYTES],
                                const char *origin, struct view entry, struct brief *out);

#endif
