/* checkpoint.h: C2SP tlog-checkpoint: the text of a log's signed head.
 *
 * Source: c2sp.org/tlog-checkpoint; FORMATS 3.
 *
 *     <origin> LF <size, decimal> LF <base64 of the root> LF [<extension> LF]... */
#ifndef CRYPTO_CHECKPOINT_H
#define CRYPTO_CHECKPOINT_H

#include "crypto/note.h"
#include "crypto/tree.h"

/* Views point into what was parsed. */
struct checkpoint {
    struct view origin;
    uint64_t size;
    struct hash root;
    struct view extensions; /* none, or whole lines with their LF */
};

/* Read the text of a checkpoint (struct note's `text`) strictly.
 * STATUS_MALFORMED  anything but the lines above; an empty extension line; a size
 *                   over 2^63 - 1; a root that is not 32 bytes; size 0 with
 *                   another root than the empty tree's.
 * STATUS_TOO_BIG    over CHECKPOINT_TEXT_BYTES_MAX, or an origin over
 *                   ORIGIN_CHARS_MAX. */
MUST_USE enum status checkpoint_parse(struct view text, struct checkpoint *out);

/* Write the text; what is written can be parsed again.
 * STATUS_MALFORMED, STATUS_TOO_BIG: as above, or no room in out[0 .. max). */
MUST_USE enum status checkpoint_encode(const struct checkpoint *c, uint8_t *out, size_t max,
                                       size_t *count);

/* Encode and sign in one step, as the log itself does.  The caller has made the
 * head durable before (FORMATS 3: no equivocation). */
MUST_USE enum status checkpoint_sign(const struct note_signer *signer,
                                     const struct checkpoint *c, uint8_t *out, size_t max,
                                     size_t *count);

/* What checkpoint_open found; views point into the note's bytes. */
struct checkpoint_opened {
    struct note note;
    struct checkpoint checkpoint;
    struct note_verified verified; /* key indices: 0 is the log's, then the witnesses' */
    size_t cosigned;               /* witnesses whose time is not after now_s */
};

/* Read and verify a checkpoint note of one log: keys[0] is the log's own key and
 * must have signed; keys[1 ..] are witnesses' cosignature keys, if any.  After a
 * failure *out is undefined.
 *
 * STATUS_OK             `out` is filled.
 * STATUS_UNKNOWN_KEY    the log's key has not signed.
 * STATUS_REFUSED        the origin is not `origin`.
 * STATUS_BAD_KEY        keys[0] is not of type 1, a witness not of type 4 or with
 *                       the log's own public key, or as note_verify.
 * STATUS_MALFORMED, STATUS_TOO_BIG, STATUS_BAD_SIGNATURE  as note_parse,
 *                       checkpoint_parse and note_verify. */
MUST_USE enum status checkpoint_open(struct view bytes, struct view origin,
                                     const struct note_key *keys, size_t key_count,
                                     int64_t now_s, struct checkpoint_opened *out);

#endif
