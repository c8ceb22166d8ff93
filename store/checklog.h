/* checklog.h: what check.c and checklog.c share (internal to store/). */
#ifndef STORE_CHECKLOG_H
#define STORE_CHECKLOG_H

#include "store/check.h"
#include "store/internal.h"
#include "store/log.h"

/* One a thread; what is behind pointers is shared. */
struct check {
    struct store *s;
    const struct store_check_options *options;
    struct store_check_totals totals;
    uint64_t *size;                /* of each log, when it was looked at */
    uint64_t *indexed;             /* its indexed_to then */
    pthread_mutex_t *lock;         /* of the callbacks */
    uint64_t expected_rows;        /* index rows that the entries ask for */
    char origin[ORIGIN_CHARS_MAX]; /* of the log in hand */
    size_t origin_chars;
    unsigned step;
    const char *part;
    bool left_out; /* some step was */
};

/* Count a finding and tell it. */
void check_report(struct check *c, const char *part, uint64_t index, const char *what);
void check_report_tile(struct check *c, unsigned level, uint64_t index, const char *what);

/* Begin step c->step, or say how far it is; false: leave the rest of it out. */
MUST_USE bool check_step(struct check *c, uint64_t done);

/* Run `work` in as many threads as the options say, each with a copy of `c` whose
 * totals are added afterwards.  `job` is theirs to share. */
typedef enum status (*check_work_fn)(struct check *c, void *job);
MUST_USE enum status check_in_threads(struct check *c, check_work_fn work, void *job);

/* Everything of one log: entries, tiles, root, and that its index rows exist.
 * STATUS_OK, also with findings; else it could not be done. */
MUST_USE enum status check_log(struct check *c, uint32_t id);

/* A cursor goes from leaf page to leaf page; a look-up comes from above, and
 * can fail on a page that the cursor took.  So look up one row of each page:
 * the first whose place is not on the page of `*page`. */
MUST_USE enum status check_descent(struct store_txn *t, enum store_db db, struct view key,
                                   const uint8_t *place, uintptr_t *page);

/* Whether `st` is a finding (damage) and not an inability. */
static inline bool
is_damage(enum status st)
{
    return st == STATUS_CORRUPT || st == STATUS_NOT_FOUND || st == STATUS_BAD_PROOF;
}

#endif
