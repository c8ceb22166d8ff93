/* witnessed.h: how many witnesses this home wants to have seen a result, and for how long
 * it accepts fewer.
 *
 * Source: DESIGN 6 (the relying party's policy), RELIABILITY 4 rule 6 and F23.  A log with
 * two histories shows each to somebody; cosignatures are what keeps it from that.  While
 * witnesses cannot be reached results must go on, so fewer are accepted for a time, and
 * that is said; after it, a result is shown and not relied on.
 * A log says nothing of time, so each node notes since when a log has entries here that
 * too few cosigned: the oldest of them counts, and newer ones wait no longer than it
 * (as X-Road stops when time stamps fail for too long).  Pure: reads a snapshot. */
#ifndef NODE_WITNESSED_H
#define NODE_WITNESSED_H

#include "node/charter.h"
#include "node/logwalk.h"

enum {
    WITNESSED_MAJORITY = UINT8_MAX, /* more than half of those that `members` names */
    WITNESSED_WAIT_HOURS = 72       /* a weekend, and time to mend something after it */
};

struct witnessed_policy {
    uint32_t wanted; /* or WITNESSED_MAJORITY */
    int64_t wait_s;  /* for so long fewer are accepted */
};

/* How many of `of` witnesses must have cosigned: never more than there are. */
size_t witnessed_wanted(const struct witnessed_policy *policy, size_t of);

/* Since when entries of a log wait. */
struct witnessed_mark {
    uint64_t from;   /* the first of them; UINT64_MAX: none waits */
    int64_t since_s; /* it was there then, without enough cosignatures */
};

/* Bring a mark up to date: the log has `size` entries, of which the first `enough` are
 * under a head that as many cosigned as are wanted.  True if it changed. */
bool witnessed_note(struct witnessed_mark *mark, uint64_t enough, uint64_t size, int64_t now_s);

enum witnessed_state {
    WITNESSED_ENOUGH, /* or of our own log: nobody has to show it to us */
    WITNESSED_WAITS,  /* accepted with fewer, until since_s + wait_s */
    WITNESSED_TOO_FEW /* for too long: shown, not relied on */
};

/* What a leaf with `by` of `of` cosignatures counts for. */
enum witnessed_state witnessed_judge(const struct witnessed_policy *policy,
                                     const struct witnessed_mark *mark, size_t by, size_t of,
                                     int64_t now_s);

/* Marks in the store, in a space of named values (engine.h: SPACE_WITNESSED), by origin.
 * Nothing noted yet: none waits. */
enum { WITNESSED_SPACE = 18 };
MUST_USE enum status witnessed_get(struct store_txn *txn, const char *network,
                                   const char *origin, struct witnessed_mark *out);

/* Look at the pub logs of all others and note what is due; *changed: how many.  With `dry`
 * nothing is written. */
MUST_USE enum status witnessed_note_all(struct store_txn *txn, const struct charter *c,
                                        const struct witnessed_policy *policy,
                                        const char *institution, int64_t now_s, bool dry,
                                        size_t *changed);

#endif
