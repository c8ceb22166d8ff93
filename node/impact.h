/* impact.h: recognitions that leaned on a fact of `quality` that holds no more.
 *
 * Source: DESIGN 7 (retroactive failure), 8 (a decision replays from its recorded
 * input).  The entries of exchange logs come in order; each recorded decision is made
 * again with what the quality document now says of its issuer and item, everything else
 * as recorded.  Who falls to a weaker verdict leaned on it.  Nothing here names a
 * patient: neither does the log.  Pure: no store, no clock. */
#ifndef NODE_IMPACT_H
#define NODE_IMPACT_H

#include "node/charter.h"
#include "node/policy_json.h"

enum { IMPACT_ROWS_MAX = 4096, IMPACT_WHY_CHARS = 200, IMPACT_BEFORE_MAX = 64 };

enum impact_outcome { IMPACT_NO_OUTCOME, IMPACT_RECOGNIZED, IMPACT_REPEATED };

/* One decision that would be weaker today. */
struct impact_row {
    char exch[ORIGIN_CHARS_MAX + 1]; /* the log of who decided */
    uint64_t entry;                  /* index of the Decided entry in it */
    struct hash hash;                /* its leaf hash: Outcome entries name it */
    int64_t at_ms;
    char item[CODE_CHARS_MAX + 1];
    char issuer[INSTITUTION_CHARS_MAX + 1];
    char origin[ORIGIN_CHARS_MAX + 1]; /* the result: log and leaf */
    uint64_t leaf;
    char pack[CODE_CHARS_MAX + 1];
    enum hr_verdict before, after;
    char why[IMPACT_WHY_CHARS]; /* "quality: true > false" */
    enum impact_outcome outcome;
};

struct impact_totals {
    uint64_t logs;
    uint64_t entries;    /* of all logs */
    uint64_t decisions;  /* that had a quality fact */
    uint64_t count;      /* weaker today */
    uint64_t recognized; /* of these, with an Outcome that says recognized (of those listed) */
    uint64_t untold;     /* facts differ, but the pack of the time is not here */
    uint64_t unreadable;
};

/* A log that another one goes on for after a recovery (`Recovered`). */
struct impact_before {
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t size; /* it had at least so many entries */
};

struct impact; /* opaque */

/* `quality` is borrowed until impact_close; it may be without a quality document (then
 * every fact counts as unknown).  STATUS_NO_MEMORY. */
MUST_USE enum status impact_open(const struct charter *quality, struct impact **out);
void impact_close(struct impact *m); /* NULL is allowed. */

/* The entries that follow are of this exch log, from the first one on. */
void impact_log(struct impact *m, struct view origin);

/* The next entry of the log; `policy` is the set as it is now.  What cannot be read is
 * counted.  STATUS_OK, STATUS_NO_MEMORY. */
MUST_USE enum status impact_entry(struct impact *m, const struct policy_set *policy,
                                  struct view entry);

/* An entry once more, for what it says of a decision in a log that was read later. */
MUST_USE enum status impact_outcome(struct impact *m, struct view entry);

void impact_totals(const struct impact *m, struct impact_totals *out);
/* In the order of the logs; at most IMPACT_ROWS_MAX, the rest is only counted. */
const struct impact_row *impact_rows(const struct impact *m, size_t *count);
/* Logs before those that were read, each once; at most IMPACT_BEFORE_MAX. */
const struct impact_before *impact_before(const struct impact *m, size_t *count);
/* "h1 LAB.K 2026-11-22 hubei-2023: must > may (quality: true > false) ..." */
enum { IMPACT_LINE_CHARS = 1024 };
void impact_line(const struct impact_row *r, char out[IMPACT_LINE_CHARS]);
json_t *impact_json(const struct impact_row *r);

#endif
