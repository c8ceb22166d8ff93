/* check.h: the fsck of a store: every entry, tile, root and index row is
 * recomputed.  Source: DESIGN 6 (`huren audit verify`), RELIABILITY L1, L11.
 *
 * Read-only.  On a damaged file LMDB may abort or fault the process: for a
 * file that was restored, received or is suspected, run this in a child
 * process (fork, then store_open and store_check) and take its death for a
 * finding.  Open the store with its handle_of, or every index row of a token
 * is one too many. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/log.h"
#include "store/store.h"

struct store_finding {
    const char *part;   /* "log", "entry", "tile", "record", "own", "index", "charter", ... */
    struct view origin; /* of the log concerned; empty if none */
    uint64_t index;     /* leaf, tile or row number; 0 if none */
    unsigned level;     /* of a tile */
    const char *what;   /* one line, static */
};
typedef void (*store_finding_fn)(void *context, const struct store_finding *finding);

struct store_check_totals {
    uint64_t logs, entries, tiles, records, own, index_rows, charter_rows, values, blobs, salts;
    uint64_t findings;
};

/* Says which SHA-256 the record of this entry must have; false: it has none.
 * Without it (NULL) records are only counted. */
typedef bool (*store_sealed_fn)(void *context, struct view origin, struct view entry,
                                uint8_t sealed[HASH_BYTES]);

/* How far the check has come: step `number` (each log is one, then each table)
 * has looked at `done` leaves or rows; `part` and `origin` as in a finding.
 * Called at the beginning of each step and now and then in it.  Returns false
 * to leave the rest of the step out. */
typedef bool (*store_step_fn)(void *context, unsigned number, const char *part,
                              struct view origin, uint64_t done);

/* An entry that has the hash of its leaf.  `log` is as it was when its check began. */
typedef void (*store_entry_fn)(void *context, struct store_txn *t, const struct store_log *log,
                               uint64_t index, struct view entry);

struct store_check_options {
    store_sealed_fn sealed_of;
    void *sealed_context;
    store_finding_fn finding; /* may be NULL */
    void *finding_context;
    store_step_fn step;   /* may be NULL */
    store_entry_fn entry; /* may be NULL */
    void *context;        /* of step and entry */
    /* Threads that read one log, and tables beside each other; 0 and 1: none but
     * the caller's.  With more, all callbacks come from any of them and in any
     * order; `finding` and `step` never two at a time. */
    unsigned threads;
};
enum { STORE_CHECK_THREADS_MAX = 16 };

/* Check everything.  STATUS_OK: no findings.  STATUS_CORRUPT: there were some.
 * Other: it could not be done.  Reads in short transactions, so that a daemon
 * may work beside it. */
MUST_USE enum status store_check(struct store *s, const struct store_check_options *options,
                                 struct store_check_totals *totals);

#endif
