/* checklog.h: what check.c and checklog.c share (internal to store/). */
#ifndef STORE_CHECKLOG_H
#define STORE_CHECKLOG_H

#include "store/check.h"
#include "store/internal.h"
#include "store/log.h"

struct check {
    struct store *s;
    const struct store_check_options *options;
    struct store_check_totals totals;
    uint64_t size[LOGS_MAX + 1];    /* of each log, when it was looked at */
    uint64_t indexed[LOGS_MAX + 1]; /* its indexed_to then */
    uint64_t expected_rows;         /* index rows that the entries ask for */
    char origin[ORIGIN_CHARS_MAX];  /* of the log in hand */
    size_t origin_chars;
};

/* Count a finding and tell it. */
void check_report(struct check *c, const char *part, uint64_t index, const char *what);

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
