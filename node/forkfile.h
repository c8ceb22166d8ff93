/* forkfile.h: the proof of a fork as a file that anybody can check.
 *
 * Source: DESIGN 6, 7.  `huren fork v1` LF || ForkFile (proto/fork.proto): a
 * ForkProof (forkproof.h) with what of the charter it takes to know the log's key:
 * every root, the members document, the row of the log's member.  Like evidence it
 * is checked with nothing but a trusted root.  It names no patient.  Pure. */
#ifndef NODE_FORKFILE_H
#define NODE_FORKFILE_H

#include <jansson.h>

#include "node/charter.h"
#include "node/evidence.h"

enum { FORKFILE_BYTES_MAX = 1024 * 1024 };

bool forkfile_is(struct view file);

/* Make the file; *out is malloced.  STATUS_NOT_FOUND: the charter does not know the
 * log's member.  STATUS_MALFORMED: no ForkProof.  STATUS_TOO_BIG, STATUS_NO_MEMORY. */
MUST_USE enum status forkfile_make(const struct charter *c, struct view proof, uint8_t **out,
                                   size_t *count);

/* Check a file against the root that the caller trusts.  *json (the caller's) says
 * what was proven; `key_ended` in it: the key was not in force any more at now_s, so
 * that whoever stole it may have signed either head.
 *
 * STATUS_OK          the log showed two histories.
 * STATUS_BAD_PROOF, STATUS_BAD_SIGNATURE, STATUS_THRESHOLD, STATUS_UNKNOWN_KEY,
 * STATUS_REFUSED, STATUS_FORK  no: `reason` says what is wrong.
 * STATUS_MALFORMED, STATUS_TOO_BIG, STATUS_UNSUPPORTED  not readable.
 * STATUS_NO_MEMORY */
MUST_USE enum status forkfile_check(struct view file, const struct charter_document *root,
                                    int64_t now_s, json_t **json,
                                    char reason[EVIDENCE_REASON_CHARS]);

#endif
