/* index.h: handle -> (log, leaf).  Tokens of pub entries and report handles
 * of our own reports are both handles of 16 bytes.
 * Source: DESIGN 6 (late index), PERFORMANCE 7c, 7d.
 *
 * Rows are sorted and written late, in large transactions; until then they are
 * pending: kept in memory and, at open, taken again from the entries between
 * indexed_to and size.  At most UNINDEXED_ENTRIES_MAX entries are pending: an
 * append that would go beyond writes the rows itself.  A look-up sees both
 * halves, so nothing committed is ever missed. */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/store.h"

/* Return false to stop. */
typedef bool (*store_hit_fn)(void *context, uint32_t log, uint64_t leaf);

/* Call `hit` for each (log, leaf) that has `handle` in the snapshot of `t`, in
 * order of log id and leaf within each half (indexed rows first).  Each is
 * reported once.  The caller reads the entry, which is checked; the handle
 * stands in it.  STATUS_OK also when there are none.  In a write transaction
 * rows appended by it are included.
 * STATUS_CORRUPT: the index is damaged around this handle. */
MUST_USE enum status store_index_find(struct store_txn *t, const uint8_t handle[TOKEN_BYTES],
                                      store_hit_fn hit, void *context);

/* Entries whose handles are pending, over all logs. */
uint64_t store_index_pending(struct store *s);

/* Write up to `entries_max` pending entries' rows in one transaction of its
 * own, fewer where there is little room.  A publication as far as the reserve
 * goes: what is pending is found without rows, too.  Call it when idle.
 * STATUS_NOT_FOUND: nothing was pending.  Else as begin_write and commit. */
MUST_USE enum status store_index_some(struct store *s, uint64_t entries_max);

#endif
