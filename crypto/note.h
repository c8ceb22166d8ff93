/* note.h: C2SP signed notes: reading, signing, verifying, merging.
 *
 * Source: c2sp.org/signed-note; FORMATS 2 and 8.
 *
 *     <text: lines, each ended by LF>
 *     LF
 *     U+2014 SP <key name> SP base64(key id[4] || signature) LF   one or more
 *
 * What is signed is the text with its final LF.  Pure: no allocation; results
 * are views of the bytes that were parsed, valid as long as those are.  Ed25519
 * (type 1) and cosignatures (type 4, cosignature.h) are verified; lines of other
 * types, such as ML-DSA (6), are carried along and never counted.
 *
 * The caller has called sodium_init(). */
#ifndef CRYPTO_NOTE_H
#define CRYPTO_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/notekey.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    NOTE_PAYLOAD_BYTES = 72, /* what is kept of a line after the key id */
    /* FORMATS 9: one line of either kind that we make */
    NOTE_LINE_BYTES_MAX = KEY_NAME_CHARS_MAX + 110
};

/* One signature line. */
struct note_signature {
    struct view line; /* whole, with its LF */
    struct view name;
    uint32_t id;
    bool canonical;       /* false: stray bits at the end of the base64; no key's line */
    size_t payload_count; /* bytes after the key id, all of them */
    uint8_t payload[NOTE_PAYLOAD_BYTES]; /* the first of them */
};

struct note {
    struct view text; /* what is signed */
    size_t signature_count;
    struct note_signature signatures[NOTE_SIGNATURES_MAX];
};

/* Which of the given keys signed.  A key counts once, whatever the number of its
 * lines; two keys of the list of one type with the same public bytes count once, too. */
struct note_verified {
    size_t count;
    uint64_t lines; /* bit i: signatures[i] is what counts for its key */
    struct {
        size_t key;     /* index in the list of keys */
        size_t line;    /* index in the note */
        int64_t time_s; /* of a cosignature; 0 for others */
    } signers[NOTE_SIGNATURES_MAX];
};

/* ---- reading ---- */

/* Read a note strictly.  Nothing is verified.
 * STATUS_MALFORMED  not a note: UTF-8, control characters, blank line, a
 *                   signature line.
 * STATUS_TOO_BIG    over NOTE_BYTES_MAX, or over NOTE_SIGNATURES_MAX lines. */
MUST_USE enum status note_parse(struct view bytes, struct note *out);

/* Verify the lines of a note against a list of keys.  A line belongs to a key
 * when name and id are equal; lines of no key are ignored.  Of several valid
 * cosignatures by one key the latest that is not after `now_s` counts, else the
 * earliest; callers compare time_s with their clock (FORMATS 4).
 *
 * STATUS_OK             at least one key signed; *out says which.
 * STATUS_UNKNOWN_KEY    none did.
 * STATUS_BAD_SIGNATURE  a line of a known key is not valid: reject the note.
 * STATUS_BAD_KEY        two keys of the list have the same name and id. */
MUST_USE enum status note_verify(const struct note *note, const struct note_key *keys,
                                 size_t key_count, int64_t now_s, struct note_verified *out);

/* ---- writing: out[0 .. max) gets *count bytes, STATUS_TOO_BIG if they do not
 * fit (or the note would break a limit); `out` must not overlap the input ---- */

/* Make the signature line of a type-1 signer for `text`.  The signature is
 * verified before it is handed out (FORMATS 8).
 * STATUS_MALFORMED      `text` cannot be the text of a note.
 * STATUS_BAD_KEY        the signer is not of type 1.
 * STATUS_BAD_SIGNATURE  the machine computed a wrong signature. */
MUST_USE enum status note_sign_line(const struct note_signer *signer, struct view text,
                                    uint8_t *out, size_t max, size_t *count);

/* Make a whole note with that one line. */
MUST_USE enum status note_sign(const struct note_signer *signer, struct view text, uint8_t *out,
                               size_t max, size_t *count);

/* Write the note `bytes` with one more line at its end; a line that is there
 * already is not doubled.  STATUS_MALFORMED: either is not what it should be. */
MUST_USE enum status note_add_line(struct view bytes, struct view line, uint8_t *out,
                                   size_t max, size_t *count);

/* Write the text of `note` with those of its lines whose bit is set in `lines`
 * (struct note_verified gives such a set).  STATUS_MALFORMED: no line is left. */
MUST_USE enum status note_write(const struct note *note, uint64_t lines, uint8_t *out,
                                size_t max, size_t *count);

/* Merge two notes of one text.  The result has the lines of `ours` and, after
 * them, those lines of `theirs` that verify under `keys` and whose key has not
 * signed `ours`; where both have a cosignature by one key, note_verify's rule
 * picks.  Lines of unknown keys are kept from `ours` and not taken from
 * `theirs`, so that a peer can neither fill nor poison a note.  (A note that came
 * from a peer and becomes ours is first cut to what verified: note_write with
 * verified.lines.)
 *
 * STATUS_OK             written; *added says how many lines came or changed.
 * STATUS_MALFORMED      the texts differ.
 * STATUS_BAD_SIGNATURE, STATUS_BAD_KEY  as note_verify, of either note. */
MUST_USE enum status note_merge(const struct note *ours, const struct note *theirs,
                                const struct note_key *keys, size_t key_count, int64_t now_s,
                                uint8_t *out, size_t max, size_t *count, size_t *added);

/* Write the line of a key for a payload: used by note.c and cosignature.c. */
MUST_USE enum status note_line_write(const struct note_key *key, struct view payload,
                                     uint8_t *out, size_t max, size_t *count);

#endif
