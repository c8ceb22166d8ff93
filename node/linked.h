/* linked.h: logs that go on for an earlier one of the same member.
 *
 * Source: DESIGN 6 (pub given up after a fork), 10 (restore).  Such a log counts as
 * unlinked until `members` names it: nobody but its author says so far that it is
 * not a second history.  Pure. */
#ifndef NODE_LINKED_H
#define NODE_LINKED_H

#include <stdbool.h>

#include "node/charter.h"
#include "store/store.h"

/* Whether the log `origin` is the first of its kind, as far as our copy tells (an
 * exch log that begins with `Recovered` is not; no entries: it is), or is named by the
 * members document.  `c` may be NULL: nothing is named.  False for what is no origin. */
bool linked_log(const struct charter *c, struct store_txn *txn, struct view origin);

/* The same of a pub log, which its origin tells. */
bool linked_pub(const struct charter *c, struct view origin);

#endif
