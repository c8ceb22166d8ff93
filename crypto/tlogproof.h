/* tlogproof.h: C2SP tlog-proof: a proof of one log entry that stands alone.
 *
 * Source: c2sp.org/tlog-proof; FORMATS 6.1.
 *
 *     c2sp.org/tlog-proof@v1 LF
 *     extra <base64> LF             optional; nobody signs it
 *     index <decimal> LF
 *     <base64 of a hash> LF         the inclusion proof, 0..63 lines
 *     LF
 *     <checkpoint note with its cosignatures, verbatim> */
#ifndef CRYPTO_TLOGPROOF_H
#define CRYPTO_TLOGPROOF_H

#include "crypto/checkpoint.h"

/* Views point into what was parsed, or to what the caller will encode. */
struct tlogproof {
    bool has_extra;
    struct view extra; /* the base64 text, not decoded; not authenticated */
    uint64_t index;
    size_t hash_count;
    struct hash hashes[TREE_PROOF_HASHES_MAX];
    struct view checkpoint; /* the signed note */
};

/* Read a proof strictly; nothing is verified, and the note is not parsed.
 * STATUS_MALFORMED  anything but the lines above.
 * STATUS_TOO_BIG    over TLOGPROOF_BYTES_MAX. */
MUST_USE enum status tlogproof_parse(struct view bytes, struct tlogproof *out);

/* Write a proof.
 * STATUS_MALFORMED  it could not be parsed again.
 * STATUS_TOO_BIG    no room in out[0 .. max), or over the limit. */
MUST_USE enum status tlogproof_encode(const struct tlogproof *p, uint8_t *out, size_t max,
                                      size_t *count);

/* What the relying party wants: keys[0] is the log's key, keys[1 ..] are those of
 * the witnesses that it knows, of whom `cosigned_min` must have cosigned not
 * after `now_s`. */
struct tlogproof_policy {
    struct view origin;
    const struct note_key *keys;
    size_t key_count;
    size_t cosigned_min;
    int64_t now_s;
};

/* Check that the entry with hash `leaf` is in the log, as the policy wants it.
 *
 * STATUS_OK         yes; *opened is the checkpoint it was checked against.
 * STATUS_THRESHOLD  all is right but the number of cosignatures; *opened is
 *                   filled, too, and says how many there are.
 * STATUS_MALFORMED, STATUS_BAD_PROOF  as tree_check_inclusion.
 * else              as checkpoint_open. */
MUST_USE enum status tlogproof_check(const struct tlogproof *p, const struct hash *leaf,
                                     const struct tlogproof_policy *policy,
                                     struct checkpoint_opened *opened);

#endif
