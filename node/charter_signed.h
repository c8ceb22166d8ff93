/* charter_signed.h: who signed a document, and who still has to.
 *
 * Source: DESIGN 7 (signed by file, several people).  A document needs the
 * threshold of one root's keys, a root from version 2 on those of the root before
 * it and its own.  Pure. */
#ifndef NODE_CHARTER_SIGNED_H
#define NODE_CHARTER_SIGNED_H

#include <jansson.h>

#include "node/charter_document.h"

enum { CHARTER_NAMES_CHARS = 256 };

/* What one root's keys say to a document. */
struct charter_tally {
    uint64_t root_version;
    bool own; /* a root, judged by its own keys */
    uint32_t threshold;
    size_t signed_count;                 /* keys with a valid signature, each once */
    size_t missing;                      /* of the threshold; 0: it holds */
    size_t bad_count;                    /* lines of its keys that are not valid */
    char signed_by[CHARTER_NAMES_CHARS]; /* "li, wang"; cut when it is long */
    char may_sign[CHARTER_NAMES_CHARS];  /* who has not signed yet */
};

/* Tally the note of `d`.  `root` is the root to judge by, for a root the one before
 * it; NULL: none is in hand.  Returns how many tallies `out` holds: 0 when nothing is
 * known, 2 for a root that follows another.  `d` itself must be whole when it is a root. */
size_t charter_tally(const struct charter_document *root, const struct charter_document *d,
                     struct charter_tally out[2]);

/* Whether all signatures that are known to be needed are there.  A root whose
 * predecessor is needed and not in hand is not complete. */
bool charter_tally_complete(const struct charter_document *d, const struct charter_tally *t,
                            size_t count);

/* One sentence: "root 2 asks for 2: li signed; 1 missing of wang, zhao". */
enum { CHARTER_TALLY_CHARS = 640 };
void charter_tally_text(const struct charter_tally *t, char out[CHARTER_TALLY_CHARS]);
json_t *charter_tally_json(const struct charter_tally *t);

/* ---- comparing copies at two nodes -------------------------------------------- */

/* Which keys of `root`, the root in force (a root's own for a root), signed `d`, in 32
 * bytes: a set of 8, bit i for key i of the role, and 24 that say of which text and under
 * which root, so that sets are compared only where their bits mean the same.
 * All zeros: it cannot be told. */
void charter_signers(const struct charter_document *root, const struct charter_document *d,
                     struct hash *out);

/* Whether `theirs`, which may be anything, names a signer that `ours` lacks, of the same
 * text under the same root. */
bool charter_signers_more(const struct hash *ours, const struct hash *theirs);

/* ---- joining copies that several people signed ------------------------------ */

/* Join the signatures of files of one text: file 0, and after its lines those of
 * the others whose key (name and id) has none yet.  Lines of keys that `root` (or
 * a root itself) knows must be valid; lines of nobody known are kept only when
 * `root` is NULL and `documents[0]` is no root.  *out is allocated; *added counts
 * the lines that came.
 *
 * STATUS_OK
 * STATUS_REFUSED        the texts differ: `reason` names the number of the file.
 * STATUS_BAD_SIGNATURE  a line is not valid; `reason` says whose, in which file.
 * STATUS_TOO_BIG, STATUS_NO_MEMORY, STATUS_MALFORMED */
MUST_USE enum status charter_join(const struct charter_document *root,
                                  const struct charter_document *const *documents, size_t count,
                                  uint8_t **out, size_t *out_count, size_t *added,
                                  size_t *bad_file, char reason[CHARTER_REASON_CHARS]);

#endif
