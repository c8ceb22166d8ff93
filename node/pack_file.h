/* pack_file.h: a built pack (or annex) as one file: what is signed, sent and kept.
 *
 *     huren pack file v1                           or: huren annex file v1
 *     pack <id>
 *     version <decimal>
 *     rules <bytes> <base64 of SHA-256>            the compiled pack, or the annex's CSV
 *     vectors <bytes> <base64 of SHA-256>          JSON lines; 0 bytes for an annex
 *     LF
 *     signature lines of a C2SP signed note, any number, also none
 *     the rules, then the vectors, as they are
 *
 * The file's address is the SHA-256 of the five lines: it names the rules and
 * the vectors, whoever signed.  Pure; input may be hostile. */
#ifndef NODE_PACK_FILE_H
#define NODE_PACK_FILE_H

#include <stdbool.h>

#include "crypto/note.h"
#include "crypto/sha256.h"
#include "proto/status.h"
#include "proto/view.h"

enum { PACK_HEAD_BYTES_MAX = 512, PACK_ID_CHARS_MAX = 64, PACK_REASON_CHARS = 256 };

struct pack_file {
    bool annex;
    char id[PACK_ID_CHARS_MAX + 1];
    uint32_t version;
    struct view rules, vectors;
    struct hash address;
    struct note note; /* signature_count 0: nobody signed */
};

/* Write the five lines and compute the address.  `file` has annex, id, version,
 * rules and vectors.
 *
 * STATUS_MALFORMED  the id is not of a-z 0-9 and '-', or version or rules are empty.
 * STATUS_TOO_BIG    rules or vectors exceed HR_PACK_TEXT_BYTES_MAX. */
MUST_USE enum status pack_file_head(struct pack_file *file, char head[PACK_HEAD_BYTES_MAX],
                                    size_t *head_bytes);

/* Write the whole file, signed when `signer` is not NULL.  *out is the caller's,
 * to be freed with free().  Statuses as above and of note_sign; STATUS_NO_MEMORY. */
MUST_USE enum status pack_file_encode(struct pack_file *file, const struct note_signer *signer,
                                      uint8_t **out, size_t *out_bytes);

/* Read a file; everything in *out points into `bytes`.  Hashes are checked,
 * signatures are not (note_verify does that with the keys that count).
 *
 * STATUS_UNSUPPORTED  another kind or version of file.
 * STATUS_TOO_BIG      a limit is exceeded.
 * STATUS_MALFORMED    not such a file.
 * STATUS_CORRUPT      rules or vectors do not have the hash that is signed. */
MUST_USE enum status pack_file_decode(struct view bytes, struct pack_file *out);

/* The five lines alone, a text whose SHA-256 is the address.  Whoever knows the
 * address from a charter needs no signature and no whole file: the lines name
 * rules and vectors by hash, so that all three travel and rest as plain blobs. */
struct pack_head {
    bool annex;
    char id[PACK_ID_CHARS_MAX + 1];
    uint32_t version;
    size_t rules_bytes, vectors_bytes;
    struct hash rules, vectors, address;
};

/* Read the five lines and nothing else.
 *
 * STATUS_UNSUPPORTED  another kind or version of file.
 * STATUS_MALFORMED    not these lines, or not spelled as pack_file_head writes them. */
MUST_USE enum status pack_head_decode(struct view head, struct pack_head *out);

/* Put lines, rules and vectors together to a file without signatures.  *out is
 * the caller's, to be freed with free(); it is checked by who reads it.
 * STATUS_NO_MEMORY. */
MUST_USE enum status pack_file_join(struct view head, struct view rules, struct view vectors,
                                    uint8_t **out, size_t *out_bytes);

#endif
