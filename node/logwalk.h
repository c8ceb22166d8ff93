/* logwalk.h: the logs of one network that are held here, in the order of their origins.
 * Pure: reads a snapshot of the store. */
#ifndef NODE_LOGWALK_H
#define NODE_LOGWALK_H

#include "node/origin.h"
#include "store/log.h"
#include "store/store.h"

/* The next log of this kind behind the origin `at`, which it replaces; "" is before the
 * first.  `log` and `origin` (its parts) are valid as the store's views are.
 *
 * STATUS_OK
 * STATUS_NOT_FOUND  that was the last.
 * STATUS_CORRUPT    or what the store said. */
MUST_USE enum status logwalk_next(struct store_txn *txn, const char *network,
                                  enum origin_log kind, char at[ORIGIN_CHARS_MAX + 1],
                                  struct store_log *log, struct origin *origin);

#endif
