/* charter_diff.h: what changed between two versions of a charter document.
 *
 * Source: DESIGN 7.  Any two whole documents of one network and kind, in either
 * order.  Pure: the answer is JSON; charter_diff_text makes lines of it. */
#ifndef NODE_CHARTER_DIFF_H
#define NODE_CHARTER_DIFF_H

#include <jansson.h>
#include <stdio.h>

#include "node/charter_document.h"

/* {network, kind, from {version, hash, issued_at, stale_after}, to {...}, same,
 *  added, removed, changed: numbers of rows,
 *  rows [{row, change: added|removed|changed, fields [{field, from, to} of one value,
 *         or {field, added [...], removed [...], reordered} of a list]}],
 *  meaning [{what, row, text, alarm}]}
 * Values of fields are in words ("provincial 2026-05-01 FAILED").  `what` is one of
 *   root     key_added key_removed roles threshold void chain
 *   members  joined left returned removed keys roles listing epoch
 *   quality  round_failed round_passed retroactive round_removed half inspection removed
 *   policy   pack_starts pack_ends pack_changed settings
 * STATUS_OK
 * STATUS_REFUSED    of two networks or kinds, or not whole; `reason` says.
 * STATUS_NO_MEMORY, or a status of charter_row_decode. */
MUST_USE enum status charter_diff(const struct charter_document *a,
                                  const struct charter_document *b, json_t **out,
                                  char reason[CHARTER_REASON_CHARS]);

/* The same for people. */
void charter_diff_text(FILE *out, const json_t *diff);

#endif
