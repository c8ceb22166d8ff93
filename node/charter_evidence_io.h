/* charter_evidence_io.h: refused charter documents, kept as evidence.
 *
 * Source: DESIGN 7, RELIABILITY F21.  What is kept is the signed note, cut to the
 * lines of keys that a root of ours knows: it proves who signed what.  One note a
 * text; of each rank the newest CHARTER_EVIDENCE_* are kept, so that a peer can neither
 * fill the disk nor wash a proof away with noise. */
#ifndef NODE_CHARTER_EVIDENCE_IO_H
#define NODE_CHARTER_EVIDENCE_IO_H

#include "node/charter.h"
#include "store/store.h"

enum charter_evidence_rank {
    CHARTER_EVIDENCE_NOISE,   /* no signature of a key that we know */
    CHARTER_EVIDENCE_SIGNED,  /* somebody who may sign did, but it is not enough or not in order
                               */
    CHARTER_EVIDENCE_AGAINST, /* contradicts what is in hand, with enough signatures */
    CHARTER_EVIDENCE_RANKS
};
enum {
    CHARTER_EVIDENCE_NOISE_MAX = 16, /* kept of each rank, newest first */
    CHARTER_EVIDENCE_SIGNED_MAX = 24,
    CHARTER_EVIDENCE_AGAINST_MAX = 24,
    CHARTER_EVIDENCE_MAX = 64,             /* of one network */
    CHARTER_EVIDENCE_BYTES_MAX = 48 * 1024 /* of one */
};

/* Keep `note`, which was refused with `why`.  `c` (may be NULL) knows the keys; `from` is
 * who gave it, "" for a file.  A note that is none, or whose text was kept before with
 * this rank or a higher one, changes nothing.
 * STATUS_OK, STATUS_NO_MEMORY, or what the store says. */
MUST_USE enum status charter_evidence_put(struct store_txn *txn, const char *network,
                                          const struct charter *c, struct view note,
                                          enum status why, const char *reason, const char *from,
                                          int64_t at_s);

/* Whether a refusal for this reason says something about who signed.  Rows that do not
 * belong to a note, or a document that is early, do not. */
bool charter_evidence_counts_as(enum status why);

/* A good copy of this text was adopted: forget one that lacked signatures. */
MUST_USE enum status charter_evidence_forget(struct store_txn *txn, const char *network,
                                             const struct hash *hash);

/* About how many bytes that writes. */
enum { CHARTER_EVIDENCE_WRITE_BYTES = CHARTER_EVIDENCE_BYTES_MAX + 4096 };

/* One that is kept.  Views are of the snapshot's row, valid during the call. */
struct charter_evidence {
    uint64_t number; /* rises; names it */
    enum status why;
    enum charter_evidence_rank rank;
    int64_t at_s;
    const char *from, *reason;
    struct view note;
    struct charter_head head;
};
typedef void (*charter_evidence_fn)(void *ctx, const struct charter_evidence *e);
/* All that is kept, oldest first.  What the store says. */
MUST_USE enum status charter_evidence_each(struct store_txn *txn, const char *network,
                                           charter_evidence_fn fn, void *ctx);

/* How many there are, by rank. */
struct charter_evidence_counts {
    size_t of[CHARTER_EVIDENCE_RANKS], all;
};
MUST_USE enum status charter_evidence_count(struct store_txn *txn, const char *network,
                                            struct charter_evidence_counts *out);

#endif
