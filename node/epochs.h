/* epochs.h: entries that come under a network key epoch that has ended.
 *
 * Source: DESIGN 5 (network keys): they are taken for EPOCH_LATE_S more and shown
 * as late.  A log says nothing of time, so each node notes by itself how large its
 * copy of a log was when an epoch ended, and when the 60 days were over: what it
 * has by then was there by then, what comes later is late, or refused.  A node
 * that was not running at such a moment notes the size once its copy is known to
 * be up to date (a head that was cosigned since): so it never refuses what others
 * saw in time.  Nor does it by its own clock alone, which may be years ahead, or while
 * it is cut off: refusing begins when two witnesses (or the only one) have dated a
 * cosignature after the 60 days.  A Withdraw is always taken: a wrong result must be recalled
 * whatever it was published under.  Pure: reads a snapshot of the store. */
#ifndef NODE_EPOCHS_H
#define NODE_EPOCHS_H

#include "node/charter.h"
#include "store/store.h"

/* Sizes of one log for one epoch; UINT64_MAX: not noted yet. */
struct epoch_marks {
    uint64_t ended;  /* from this leaf on entries under the epoch are late */
    uint64_t closed; /* from this leaf on they are refused */
};

/* What is known of a copy of a log. */
struct epoch_copy {
    uint64_t size;          /* of our copy */
    uint64_t cosigned_size; /* of the newest cosigned head in hand */
    int64_t cosigned_s;     /* newest cosignature on it; 0: none */
};

/* Is the copy as it is now what is to be noted for the moment `at_s`?  `up_s` is
 * when this process began to listen. */
bool epochs_may_note(const struct epoch_copy *copy, int64_t at_s, int64_t up_s, int64_t now_s);

/* Note what is due in `marks` for an epoch that ended at `ended_s`; true if it
 * changed.  `seen_s`: the newest moment that witnesses have shown us. */
bool epochs_note(struct epoch_marks *marks, const struct epoch_copy *copy, int64_t ended_s,
                 int64_t up_s, int64_t now_s, int64_t seen_s);

enum epoch_state { EPOCH_IN_TIME, EPOCH_LATE, EPOCH_REFUSED };
enum epoch_state epochs_judge(const struct epoch_marks *marks, uint64_t leaf);

/* Marks in the store, in a space of named values that is the caller's
 * (engine.h: SPACE_EPOCH), by epoch and origin. */
enum { EPOCHS_SPACE = 17 };
MUST_USE enum status epochs_get(struct store_txn *txn, const char *network, uint32_t epoch,
                                const char *origin, struct epoch_marks *out);
MUST_USE enum status epochs_put(struct store_txn *txn, const char *network, uint32_t epoch,
                                const char *origin, const struct epoch_marks *marks);

/* Look at all pub logs of the network and note what is due; *changed: how many.
 * With `dry` nothing is written. */
MUST_USE enum status epochs_note_all(struct store_txn *txn, const struct charter *c,
                                     int64_t up_s, int64_t now_s, bool dry, size_t *changed);

#endif
