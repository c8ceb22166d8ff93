/* policy_simulate.h: what a draft pack would have changed: decisions that a home
 * recorded in its exchange log, made again under the draft.
 *
 * Source: DESIGN 8; proto/log.proto, Decided.  The log comes entry by entry, in
 * order; its tree grows with it, so that at the end the root says whether these
 * were the entries that were signed.  Only then are the results worth anything.
 * Pure: no files, no clock. */
#ifndef NODE_POLICY_SIMULATE_H
#define NODE_POLICY_SIMULATE_H

#include "crypto/treebuild.h"
#include "node/policy_json.h"

enum { SIMULATE_ROWS_MAX = 4096, SIMULATE_WHY_CHARS = 512 };

/* Decisions with the same answer to: of whom, of what, how it was, how it would be, why. */
struct simulate_row {
    char item[CODE_CHARS_MAX + 1];
    char hospital[INSTITUTION_CHARS_MAX + 1]; /* who issued the result */
    char pack[CODE_CHARS_MAX + 1];            /* under which it was decided */
    const char *before, *after;               /* verdicts; static */
    /* Checks that differ, "window: true > false (cap may)"; or what else does. */
    char why[SIMULATE_WHY_CHARS];
    uint64_t count;
};

struct simulate_totals {
    uint64_t entries;     /* of the log, of all kinds */
    uint64_t replayed;    /* decisions made again */
    uint64_t flipped;     /* with another verdict */
    uint64_t best_only;   /* same verdict, another at_best */
    uint64_t without;     /* decisions without an input: nothing was held, or no pack */
    uint64_t other_packs; /* left out: under another pack than the one asked for */
    uint64_t unreadable;  /* entries or inputs that are not what they should be */
    uint64_t unlike;      /* recorded verdict is not what the recorded pack says here */
    uint64_t uncounted;   /* flips beyond SIMULATE_ROWS_MAX kinds */
};

struct simulate; /* opaque */

/* `set` has the catalog and the packs to compare checks with; `only` (may be
 * NULL) leaves out decisions under other packs.  All must outlive the machine.
 * STATUS_NO_MEMORY. */
MUST_USE enum status simulate_open(const struct hr_pack *draft, const struct policy_set *set,
                                   const char *only, struct simulate **out);
void simulate_close(struct simulate *s); /* NULL is allowed. */

/* Begin with another log: its tree is empty again, what was counted stays. */
void simulate_next_log(struct simulate *s);
/* Take the next entry of the log.  What cannot be read is counted.
 * STATUS_OK, STATUS_TOO_BIG (more entries than a tree has), STATUS_NO_MEMORY. */
MUST_USE enum status simulate_entry(struct simulate *s, struct view entry);
/* Take a bundle of exactly `width` entries (tile.h).  STATUS_MALFORMED too. */
MUST_USE enum status simulate_bundle(struct simulate *s, struct view bundle, unsigned width);

/* Size and root of what was taken. */
uint64_t simulate_size(const struct simulate *s);
void simulate_root(const struct simulate *s, struct hash *root);

void simulate_totals(const struct simulate *s, struct simulate_totals *out);
/* Flips, most frequent first, then by name; sorts, so end with it. */
const struct simulate_row *simulate_rows(struct simulate *s, size_t *count);

#endif
