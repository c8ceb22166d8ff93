/* charter_document.h: one charter document: its note, its rows, its file.
 *
 * Source: DESIGN 7.  The text of the note, every line ended by LF:
 *
 *     huren charter v1
 *     network <name>
 *     kind root|members|quality|policy
 *     version <decimal, from 1>
 *     issued_at <decimal Unix seconds>
 *     valid_from <decimal Unix seconds>
 *     stale_after <decimal Unix seconds, after issued_at>
 *     rows <decimal, up to CHARTER_ROWS_MAX>
 *     tree <base64 of the RFC 6962 root of the rows>
 *
 * signed (note type 0x01) by charter keys named <network>/charter/<key name>.
 * A row is one leaf: a packed message of proto/charter.proto.  Rows stand in
 * rising order of their keys.  As a file the document is a CharterDocument:
 * note first, then all rows, nothing else, lengths in their shortest form.
 *
 * A document may be held in part: its note and some rows with their inclusion
 * proofs (evidence).  Pure but for memory; all input may be hostile. */
#ifndef NODE_CHARTER_DOCUMENT_H
#define NODE_CHARTER_DOCUMENT_H

#include <stdbool.h>

#include "crypto/note.h"
#include "crypto/tree.h"
#include "proto/limits.h"
#include "proto/pbcheck.h"
#include "proto/status.h"
#include "proto/view.h"

enum charter_kind {
    CHARTER_ROOT,
    CHARTER_MEMBERS,
    CHARTER_QUALITY,
    CHARTER_POLICY,
    CHARTER_KIND_COUNT
};

/* "root", "members", "quality", "policy". */
const char *charter_kind_text(enum charter_kind kind);
MUST_USE bool charter_kind_parse(struct view text, enum charter_kind *out);

/* What the text of the note says. */
struct charter_head {
    char network[NETWORK_CHARS_MAX + 1];
    enum charter_kind kind;
    uint64_t version;
    int64_t issued_at_s;
    int64_t valid_from_s;
    int64_t stale_after_s;
    uint32_t row_count; /* of the whole document */
    struct hash tree;   /* root over the rows */
    struct hash hash;   /* SHA-256 of the text: names the document (frontier, void, previous) */
};

enum { CHARTER_TEXT_BYTES_MAX = 512, CHARTER_REASON_CHARS = 320 };

/* Read the text of a note.
 *
 * STATUS_OK
 * STATUS_UNSUPPORTED  the first line is another, or the kind is unknown.
 * STATUS_TOO_BIG      text or a number is over its limit.
 * STATUS_MALFORMED    anything else that is not as above. */
MUST_USE enum status charter_head_parse(struct view text, struct charter_head *out);

/* Write the text; `head->hash` is set.  The head must be one that could be
 * read again (asserted). */
void charter_head_encode(struct charter_head *head, uint8_t text[CHARTER_TEXT_BYTES_MAX],
                         size_t *count);

/* note_parse, which also takes a note without any signature yet (the text and the
 * empty line): out->signature_count is 0 then.  Statuses as note_parse. */
MUST_USE enum status charter_note_read(struct view bytes, struct note *out);

/* A document, whole or in part.  Views point into what it was made from, which
 * the caller keeps.  Free with charter_document_free. */
struct charter_document {
    struct charter_head head;
    struct view note;  /* with its signature lines */
    bool whole;        /* all rows are here */
    size_t row_count;  /* rows here */
    struct view *rows; /* in rising order of index */
    uint32_t *indexes; /* of the rows in the document; NULL when whole: 0, 1, 2 ... */
};

/* Make a document of its note and all its rows.  Checked: text, number of
 * rows, size and form of each row (charter_row_decode), rising keys, root.
 * Signatures are not looked at.  `reason` is filled on failure; it names the
 * row, in words for people.
 *
 * STATUS_OK
 * STATUS_UNSUPPORTED, STATUS_TOO_BIG, STATUS_MALFORMED
 * STATUS_BAD_PROOF  the rows do not have the root of the note.
 * STATUS_NO_MEMORY */
MUST_USE enum status charter_document_make(struct view note, const struct view *rows,
                                           size_t row_count, struct charter_document *out,
                                           char reason[CHARTER_REASON_CHARS]);

/* The same for a file (CharterDocument), of at most CHARTER_FILE_BYTES_MAX. */
MUST_USE enum status charter_document_decode(struct view file, struct charter_document *out,
                                             char reason[CHARTER_REASON_CHARS]);

/* Split a file into note and rows without any further check; *rows is allocated
 * (free it), also when it is empty.
 *
 * STATUS_OK, STATUS_MALFORMED, STATUS_TOO_BIG, STATUS_NO_MEMORY */
MUST_USE enum status charter_file_split(struct view file, struct view *note, struct view **rows,
                                        size_t *row_count);

/* A row with its proof, as evidence carries it. */
struct charter_proven_row {
    struct view row;
    uint64_t index;
    const struct hash *proof;
    size_t proof_count;
};

/* Make a document in part.  `rows` stand in rising order of index; each proof is
 * checked against the root of the note.  With all rows it is `whole`.
 * Statuses as charter_document_make. */
MUST_USE enum status charter_document_make_part(struct view note,
                                                const struct charter_proven_row *rows,
                                                size_t row_count, struct charter_document *out,
                                                char reason[CHARTER_REASON_CHARS]);

/* Zeroed documents and NULL are fine. */
void charter_document_free(struct charter_document *d);

/* Bytes that charter_file_encode needs. */
size_t charter_file_bytes(struct view note, const struct view *rows, size_t row_count);
/* Write a file of exactly that many bytes. */
void charter_file_encode(struct view note, const struct view *rows, size_t row_count,
                         uint8_t *out);

/* Inclusion proof of row `index` of a whole document.
 * STATUS_OK; STATUS_NOT_FOUND: no such row, or the document is in part. */
MUST_USE enum status charter_document_prove(const struct charter_document *d, uint32_t index,
                                            struct hash proof[TREE_PROOF_HASHES_MAX],
                                            size_t *proof_count);

/* Unpack one row into the arena and check it: canonical packing (pb_unpack),
 * closed vocabularies, dates, names, lengths.  The message is a Hr__RootRow,
 * Hr__MemberRow, Hr__QualityRow or Hr__PolicyRow.  `network` is the document's
 * (origins in a row must belong to it).
 *
 * STATUS_OK
 * STATUS_MALFORMED  `reason` says which field.
 * STATUS_TOO_BIG    over CHARTER_ROW_BYTES_MAX, or a field over its limit.
 * STATUS_NO_MEMORY */
MUST_USE enum status charter_row_decode(enum charter_kind kind, const char *network,
                                        struct view row, struct pb_arena *arena,
                                        ProtobufCMessage **out,
                                        char reason[CHARTER_REASON_CHARS]);

/* Longest key of a row: institution 0x00 item. */
enum { CHARTER_KEY_BYTES_MAX = INSTITUTION_CHARS_MAX + 1 + CODE_CHARS_MAX };

/* The key of an unpacked row: bytes as they are compared.  `out` has room for
 * CHARTER_KEY_BYTES_MAX bytes; returns their number. */
size_t charter_row_key(enum charter_kind kind, const ProtobufCMessage *row,
                       uint8_t out[CHARTER_KEY_BYTES_MAX]);

#endif
