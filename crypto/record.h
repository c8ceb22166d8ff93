/* record.h: one report, sealed.
 *
 * Source: DESIGN section 5, Records.
 *   r = BLAKE2b-128(key = record_key, "huren salt v1" || report)
 *   k = BLAKE2b-256(key = record_key, "huren record v1" || r)
 *   commit = BLAKE2b-256("huren commit v1" || k)
 *   record = version || r || commit || XChaCha20-Poly1305(k, 24 zero bytes,
 *            ad = version || r || commit || network || 0x00 || institution,
 *            padded report)
 * version is one byte, 1.  Padding is ISO/IEC 7816-4: one byte 0x80, then zero
 * bytes up to the next multiple of 256, so that 256 bytes become 512.
 *
 * The same report under the same record key seals to the same bytes.  A held
 * report is sealed in the same way under 32 random bytes in place of the
 * patient's record key; they stay with the issuer.  Network and institution are
 * named as in origins (keys_vet_name).  Pure; no allocation. */
#ifndef CRYPTO_RECORD_H
#define CRYPTO_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/sha256.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    RECORD_VERSION = 1,
    RECORD_HEAD_BYTES = 1 + SALT_BYTES + 32, /* version, r, commit */
    RECORD_OVERHEAD_BYTES = RECORD_HEAD_BYTES + 16
};

/* How many bytes the record of a report takes. */
size_t record_bytes(size_t report_bytes);

/* Seal `report` into `out`, which has room for `out_max` bytes and does not
 * overlap `report`.
 *
 * STATUS_OK         `*out_count` is record_bytes(report.count).
 * STATUS_TOO_BIG    report over REPORT_BYTES_MAX, or `out` too small.
 * STATUS_MALFORMED  network or institution is not a name. */
MUST_USE enum status record_seal(struct view report, const uint8_t record_key[KEY_BYTES],
                                 const char *network, const char *institution, uint8_t *out,
                                 size_t out_max, size_t *out_count);

/* Open a record, any bytes from outside, with the patient's record key.  The
 * report goes to `out`, which needs room for record.count bytes and does not
 * overlap the record.  After a failure `out` holds nothing of the report and
 * `*out_count` is 0.
 *
 * STATUS_OK
 * STATUS_UNSUPPORTED  version is not 1.
 * STATUS_MALFORMED    wrong length or padding; network or institution not a name.
 * STATUS_TOO_BIG      over RECORD_BYTES_MAX, or `out` too small.
 * STATUS_BAD_KEY      not sealed under this key, for this network and
 *                     institution; or changed since. */
MUST_USE enum status record_open_with_patient(struct view record,
                                              const uint8_t record_key[KEY_BYTES],
                                              const char *network, const char *institution,
                                              uint8_t *out, size_t out_max, size_t *out_count);

/* The same with k, the key of this one record. */
MUST_USE enum status record_open_with_k(struct view record, const uint8_t k[KEY_BYTES],
                                        const char *network, const char *institution,
                                        uint8_t *out, size_t out_max, size_t *out_count);

/* Compute k of a record, for evidence and for answers: with it this record
 * opens and no other.
 *
 * STATUS_OK
 * STATUS_UNSUPPORTED, STATUS_MALFORMED, STATUS_TOO_BIG  as above.
 * STATUS_BAD_KEY  the record does not commit to this k; `k` is all zero. */
MUST_USE enum status record_k(struct view record, const uint8_t record_key[KEY_BYTES],
                              uint8_t k[KEY_BYTES]);

/* SHA-256(record): `sealed` of the index entry. */
void record_sealed(struct view record, struct hash *sealed);

#endif
