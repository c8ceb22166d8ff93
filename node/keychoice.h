/* keychoice.h: which of a node's generations of keys are used now.
 *
 * Source: DESIGN 5 and 7; RELIABILITY F19, F20.  A home has one set of keys or
 * more (node/seeds_io.h); which of them is in force says its row of `members`,
 * nobody else: a node goes over to new keys at the moment from which others
 * accept them.  Pure. */
#ifndef NODE_KEYCHOICE_H
#define NODE_KEYCHOICE_H

#include <stdbool.h>

#include "node/charter.h"

enum { KEYCHOICE_MAX = 32 };

struct keychoice {
    bool listed; /* `use` is in force by the row */
    size_t use;  /* signs, cosigns, opens what is sealed */
    /* Others that peers may still, or already, call us by: keys that ended less
     * than SESSION_KEY_OVERLAP_S ago and were not revoked, those that are yet to
     * begin, and new ones that the authority has not listed for us to see. */
    size_t answer_count;
    size_t answer[KEYCHOICE_MAX];
    /* With which we call others.  For half of the overlap the old ones: who has
     * the new document takes them as well, who has not knows no others. */
    size_t dial;
    /* The newest that the charter in hand does not list; the number of generations:
     * none.  Others may have heard of it before us. */
    size_t pending;
};

/* Choose among generations[0 .. count), oldest first; `row` is our own, NULL:
 * there is none.  Without any keys in force the newest that were listed are
 * used, so that a node that was revoked or left can still read what it had;
 * never listed: the newest, which its join file names. */
void keychoice_make(const Hr__MemberRow *row, const struct network_public *generations,
                    size_t count, int64_t now_s, struct keychoice *out);

#endif
