/* publisher_taken.h: entries of our own that came back from peers.
 *
 * Source: DESIGN 10 (restored from an old backup): a home takes its own pub
 * entries back, its records come from the LIS again, which seals them to the
 * same bytes.  Such an entry has neither row in the ledger nor record.  When its
 * report is published again, they are put beside the entry that is there;
 * nothing is published twice, and nothing is replaced a second time. */
#ifndef NODE_PUBLISHER_TAKEN_H
#define NODE_PUBLISHER_TAKEN_H

#include "node/publisher.h"

/* Space of store_kv: origin -> u64, the lowest leaf that came back. */
enum { PUBLISHER_KV_TAKEN = 0x63 };

/* Entries from `first` on of the own log `origin` came back from peers: in the
 * transaction that appends them. */
MUST_USE enum status taken_note(struct store_txn *txn, const char *network, struct view origin,
                                uint64_t first);

/* The lowest such leaf; UINT64_MAX: none. */
MUST_USE enum status taken_from(struct store_txn *txn, const char *network, struct view origin,
                                uint64_t *first);

/* Settle the steps of a plan against the entries from leaf `from` on that have
 * no row: a step that is there already is taken out of the plan and its row and
 * record are put beside the entry; a step that replaces what was replaced since
 * replaces the last of that chain instead.  A held report cannot be recognized
 * (its key was random, and is lost with the record): the oldest held entry under
 * its token that nobody can open any more is withdrawn, and the report published
 * anew.  If nothing is left, the outcome of the plan is PUBLISH_REPEAT.
 * A report that gets other marks now than then seals to other bytes, and is new.
 *
 * STATUS_OK, a status of publish_make (*fatal false), or of the store. */
MUST_USE enum status taken_settle(struct publisher *p, uint64_t from, const Hr__Report *report,
                                  const uint8_t handle[PUBLISH_HANDLE_BYTES],
                                  const uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES],
                                  struct publish_plan *plan, bool *fatal);

/* The same report may have been published under a network key that has ended since:
 * under another token, and sealed to other bytes.  Put rows (and records) beside such
 * entries, under the earlier keys of the context; *more: there are new rows of this
 * handle, so that the plan is to be made again.  A held one gets a row without content,
 * and so is withdrawn by that plan.
 * As taken_settle. */
MUST_USE enum status taken_earlier(struct publisher *p, uint64_t from, const Hr__Report *report,
                                   const uint8_t handle[PUBLISH_HANDLE_BYTES],
                                   const struct publish_row *rows, size_t row_count,
                                   const uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES],
                                   bool *more, bool *fatal);

#endif
