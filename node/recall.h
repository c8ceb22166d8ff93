/* recall.h: a correction or withdrawal reaches everybody who relied on the result.
 *
 * Source: DESIGN 6, 9, 10.  A pure state machine, one for each network of a home:
 * events in, actions out; it reads a snapshot, never writes.  What must last are the
 * rows of recall_rows.h, written together with the entries of the exch log that say
 * the same; so a crash between any two steps repeats a step and loses none.
 *
 * Who relies            tells the issuer origin and leaf (RELY) until it is kept.
 *                       An Answered entry says the same: it needs no RELY.
 * The issuer            looks at each Correct and Withdraw of its own log, logs for
 *                       everybody who relies on what it replaces `Recalled` side 1, and
 *                       sends the notice with its proof (RECALL), again and again, ever
 *                       less often, until it is acknowledged: side 3.
 *                       Who was told of a Correct counts as relying on it.
 * Who is told           checks the proof, logs side 2, then acknowledges.
 * Everybody             sweeps over what it relied on, and finds what its own copies of
 *                       the logs say was replaced: logged, and told to the issuer once
 *                       more, who may have forgotten (a restored backup), or may not
 *                       be able to dial here.
 *
 * Hostile peers: only the issuer may recall, only with a proof; repeats change
 * nothing; each peer has a budget of new rows and of writes under way; what is over
 * it is dropped, since who means it repeats it. */
#ifndef NODE_RECALL_H
#define NODE_RECALL_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/note.h"
#include "node/recall_rows.h"
#include "proto/status.h"
#include "proto/view.h"
#include "store/store.h"

enum {
    RECALL_BACKOFF_MS = 2000,       /* first repeat; doubles */
    RECALL_BACKOFF_MS_MAX = 600000, /* up to this */
    RECALL_SEND_AT_ONCE = 32,       /* of each kind to one peer */
    RECALL_DIALS_AT_ONCE = 8,       /* in one step */
    RECALL_SWEEP_MS = 600000,       /* between sweeps */
    RECALL_SWEEP_FIRST_MS = 5000,   /* after the start */
    RECALL_SWEEP_ROWS = 128,        /* in one step, */
    RECALL_SWEEP_PACE_MS = 100,     /* then this pause */
    RECALL_SCAN_ENTRIES = 2048,     /* of our log in one step */
    RECALL_WRITES_MAX = 256,        /* under way for one peer */
    RECALL_BUDGET = 8192,           /* new rows of one peer at once, */
    RECALL_BUDGET_S = 16,           /* and a second */
    RECALL_SAY_MS = 60000,          /* one line a peer */
    RECALL_OVERDUE_HOURS = 24,      /* unless the configuration says otherwise */
};

struct recall_options {
    const char *network, *institution; /* our own; borrowed, as all here */
    const char *pub_origin;            /* where we publish; looked at again in each step */
    void *ctx;
    /* The keys that may have signed heads of this origin (charter_log_keys). */
    size_t (*log_keys)(void *ctx, struct view origin, struct note_key *keys, size_t max);
};

struct recall; /* opaque */

/* STATUS_NO_MEMORY, or what the store said. */
MUST_USE enum status recall_open(const struct recall_options *options, int64_t now_ms,
                                 struct store_txn *txn, struct recall **out);
void recall_close(struct recall *r); /* NULL is allowed */

/* ---- events ---------------------------------------------------------------- */

enum recall_event_type {
    RECALL_TICK = 1, /* at or after recall_deadline_ms */
    RECALL_PEER_UP,  /* session, institution */
    RECALL_PEER_DOWN,
    RECALL_FRAME,   /* session, institution, kind, message: RELY or RECALL */
    RECALL_STORED,  /* ticket, status */
    RECALL_CHANGED, /* our log was signed anew, or rows were written by recall_note_* */
};

struct recall_event {
    enum recall_event_type type;
    int64_t now_ms; /* monotonic */
    int64_t now_s;  /* wall clock */
    struct store_txn *txn;
    uint32_t session;
    const char *institution;
    uint8_t kind;
    struct view message;
    uint64_t ticket;
    enum status status;
};

/* ---- actions --------------------------------------------------------------- */

/* What is to be written, by recall_apply. */
enum recall_store_type {
    RECALL_STORE_RELYING = 1,  /* who relies on our leaf */
    RECALL_STORE_SCAN,         /* entries [leaf, to) of our log `origin` */
    RECALL_STORE_ACKNOWLEDGED, /* who, of leaf by `by` */
    RECALL_STORE_HEARD,        /* from who: leaf by `by`; what */
    RECALL_STORE_FOUND,        /* the same from our own copy: the issuer is told again */
    RECALL_STORE_KEPT,         /* the issuer who has our RELY of leaf */
};
struct recall_store {
    enum recall_store_type type;
    char who[INSTITUTION_CHARS_MAX + 1];
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t leaf, by, to;
    uint8_t what; /* 1 corrected, 2 withdrawn */
};

enum recall_action_type {
    RECALL_SEND = 1, /* session, kind, message: a push; a failure to queue may be ignored */
    RECALL_DIAL,     /* institution */
    RECALL_SAY,      /* text: one line for the log of the daemon */
    RECALL_STORE,    /* store: recall_apply in a transaction, then RECALL_STORED */
};
struct recall_action {
    enum recall_action_type type;
    uint32_t session;
    uint8_t kind;
    struct view message; /* malloced; recall_update_free frees it */
    char institution[INSTITUTION_CHARS_MAX + 1];
    char text[160];
    uint64_t ticket;
    struct recall_store store;
};
struct recall_update {
    struct recall_action *actions;
    size_t count, room;
};
void recall_update_free(struct recall_update *u); /* and empties it */

/* Take one event, append the actions.  STATUS_NO_MEMORY, STATUS_CORRUPT, STATUS_IO:
 * nobody's fault outside; what a peer does never makes a status. */
MUST_USE enum status recall_step(struct recall *r, const struct recall_event *event,
                                 struct recall_update *u);

int64_t recall_deadline_ms(const struct recall *r); /* of the next RECALL_TICK */

/* ---- writing: inside of one write transaction ------------------------------- */

struct recall_place {
    const char *network, *institution;
    uint64_t at_ms; /* wall clock */
    void *ctx;
    /* Append this entry to our exch log. */
    enum status (*append)(void *ctx, struct store_txn *txn, struct view entry);
};

/* Perform a store action.  Everything is looked at again in `txn`: what is there
 * already is written no second time.  What the store said. */
MUST_USE enum status recall_apply(struct store_txn *txn, const struct recall_place *place,
                                  const struct recall_store *s);

/* `who` was given this leaf of ours; goes with the Answered entry.  The leaf stood
 * when our log had `checked_size` entries; if it has more now, it is looked at again. */
MUST_USE enum status recall_note_given(struct store_txn *txn, const struct recall_place *place,
                                       const char *origin, uint64_t leaf, const char *who,
                                       uint64_t checked_size);
/* A decision here leaned on a leaf: `use` is a row of kind RECALL_USE.  `answered`: the
 * issuer gave it to us and has logged that. */
MUST_USE enum status recall_note_use(struct store_txn *txn, const struct recall_place *place,
                                     const struct recall_row *use, bool answered);
/* We rely on a leaf: Relied, and RELY to its issuer, unless that was done. */
MUST_USE enum status recall_rely(struct store_txn *txn, const struct recall_place *place,
                                 const char *origin, uint64_t leaf);

/* ---- questions -------------------------------------------------------------- */

/* Is this leaf of any log recalled, as far as this home knows: by a notice, or by
 * its copy of the log?  *what is 1 corrected, 2 withdrawn; *heard_ms is when it was
 * logged here, 0 if it was not.
 * STATUS_NOT_FOUND: not known to be. */
MUST_USE enum status recall_known(struct store_txn *txn, const char *network,
                                  const char *origin, uint64_t leaf, uint64_t *by,
                                  uint8_t *what, uint64_t *heard_ms);

/* When a decision here last leaned on this leaf.  STATUS_NOT_FOUND: never. */
MUST_USE enum status recall_last_use(struct store_txn *txn, const char *network,
                                     const char *origin, uint64_t leaf, uint64_t *at_ms);

#endif
