/* cosignature.h: C2SP cosignature/v1: a witness says when it saw a checkpoint.
 *
 * Source: c2sp.org/tlog-cosignature; FORMATS 4.  Signed is
 *
 *     cosignature/v1 LF time <decimal POSIX seconds> LF <checkpoint text>
 *
 * and the line's payload after the key id is u64 time || Ed25519 signature.
 * Type 0x06 (ML-DSA-44) lines are parsed by note.h and never counted. */
#ifndef CRYPTO_COSIGNATURE_H
#define CRYPTO_COSIGNATURE_H

#include "crypto/note.h"

enum { COSIGNATURE_PAYLOAD_BYTES = 8 + SIGNATURE_BYTES };

/* Make the signature line of a type-4 signer for the checkpoint `text`.  The
 * caller has made sure, durably, that this is the largest consistent tree of
 * that origin that it knows.
 *
 * STATUS_OK             out[0 .. *count) is the line with its LF.
 * STATUS_MALFORMED      not a checkpoint, or time_s < 0.
 * STATUS_BAD_KEY        the signer is not of type 4.
 * STATUS_TOO_BIG        no room.
 * STATUS_BAD_SIGNATURE  the machine computed a wrong signature. */
MUST_USE enum status cosignature_line(const struct note_signer *signer, struct view text,
                                      int64_t time_s, uint8_t *out, size_t max, size_t *count);

/* Check the payload of a line (after the key id) by `key` on `text`.
 *
 * STATUS_OK             *time_s is written; it may lie in the future.
 * STATUS_MALFORMED      payload of another length, or a time over 2^63 - 1.
 * STATUS_BAD_SIGNATURE  not valid, or the text is over CHECKPOINT_TEXT_BYTES_MAX.
 * STATUS_BAD_KEY        the key is not of type 4. */
MUST_USE enum status cosignature_check(const struct note_key *key, struct view text,
                                       struct view payload, int64_t *time_s);

#endif
