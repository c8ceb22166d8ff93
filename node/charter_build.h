/* charter_build.h: making and signing charter documents.
 *
 * Source: DESIGN 7.  Between building and the first signature the note of a
 * document is its text and the empty line: charter_document_decode reads it,
 * charter_check_next does not take it.  Pure but for memory. */
#ifndef NODE_CHARTER_BUILD_H
#define NODE_CHARTER_BUILD_H

#include "node/charter_document.h"

/* Make the unsigned file of a document.  `head` gives network, kind, version and
 * times; number of rows, root and hash are filled in.  `rows` are messages of
 * that kind in any order.  What comes out was read again and is good.
 * *file is allocated; free it.
 *
 * STATUS_OK
 * STATUS_MALFORMED  a row is not allowed, or two have one key; `reason` says.
 * STATUS_TOO_BIG, STATUS_NO_MEMORY */
MUST_USE enum status charter_build(struct charter_head *head, ProtobufCMessage *const *rows,
                                   size_t row_count, uint8_t **file, size_t *file_count,
                                   char reason[CHARTER_REASON_CHARS]);

/* Add a signature to a file.  The signer's key is named <network>/charter/<name>
 * (origin_charter_name).  *out is allocated; free it.
 *
 * STATUS_OK
 * STATUS_EXISTS     this key has signed already.
 * STATUS_MALFORMED  not a document; `reason` says.
 * STATUS_TOO_BIG    NOTE_SIGNATURES_MAX lines are there.
 * STATUS_BAD_KEY, STATUS_BAD_SIGNATURE, STATUS_NO_MEMORY */
MUST_USE enum status charter_sign(struct view file, const struct note_signer *signer,
                                  uint8_t **out, size_t *out_count,
                                  char reason[CHARTER_REASON_CHARS]);

/* Whether `note` has a line of this key (name and id), valid or not. */
bool charter_note_has(struct view note, const struct note_key *key);

#endif
