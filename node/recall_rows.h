/* recall_rows.h: what a home remembers, durably, of who relies on which result
 * and of what was recalled: rows among the named values of a network (kv.h).
 *
 * Source: DESIGN 6 (Relied, Recalled, Outcome) and 9.  The exch log says the same
 * for an audit; these rows are how the node finds it again.  Each is written in
 * the transaction of the entries that it belongs to.  No patient stands in them.
 *
 *   kind       name                              by    at            then
 *   RELYING    origin, leaf, who                       since         who relies on a leaf of
 * ours TELLING    who, origin, leaf                 leaf  logged        to be told, not
 * acknowledged TOLD       origin, leaf, who                 leaf  logged        acknowledged
 *   RELIED     origin, leaf                            logged        kept by the issuer (0: not
 * yet) RELY_OPEN  issuer, origin, leaf                    logged        the issuer is to be
 * told USE        origin, leaf, exch log and entry        of decision   a decision here leaned
 * on it HEARD      origin, leaf                      leaf  logged        what we relied on was
 * recalled OUTCOME    exch log and entry                entry logged        of a decision;
 * `what` SCANNED    origin                            size                own log: replacements
 * below `by` were looked at
 */
#ifndef NODE_RECALL_ROWS_H
#define NODE_RECALL_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"
#include "store/kv.h"

enum { RECALL_SPACE = 24 }; /* SPACE_RECALL of engine.h */

enum recall_kind {
    RECALL_RELYING = 'R',
    RECALL_TELLING = 'T',
    RECALL_TOLD = 'A',
    RECALL_RELIED = 'K',
    RECALL_RELY_OPEN = 'P',
    RECALL_USE = 'U',
    RECALL_HEARD = 'H',
    RECALL_OUTCOME = 'O',
    RECALL_SCANNED = 'S',
};

/* A row, whole: the fields that its kind does not have are zero. */
struct recall_row {
    enum recall_kind kind;
    char who[INSTITUTION_CHARS_MAX + 1];
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t leaf;
    uint32_t exch_log; /* store's number of our exch log */
    uint64_t exch;     /* entry in it */
    uint64_t by;
    uint64_t at_ms, then_ms;
    uint32_t count; /* USE: decisions of one look-up, one after the other */
    uint8_t what;   /* OUTCOME: 1 recognized, 2 repeated; HEARD: 1 corrected, 2 withdrawn */
    char item[CODE_CHARS_MAX + 1]; /* USE */
};

/* Which part of the name a loop keeps: see recall_row_next. */
enum recall_scope {
    RECALL_ALL = 1, /* of the kind */
    RECALL_FIRST,   /* with this first part (origin, or who) */
    RECALL_LEAF,    /* and this leaf */
};

/* A key of a row, in short. */
struct recall_row recall_row_of(enum recall_kind kind, const char *who, const char *origin,
                                uint64_t leaf);

/* What the store says; a row that is put again is replaced. */
MUST_USE enum status recall_row_put(struct store_txn *txn, const char *network,
                                    const struct recall_row *row);
/* Fill the values of the row with this name.  STATUS_NOT_FOUND: there is none. */
MUST_USE enum status recall_row_get(struct store_txn *txn, const char *network,
                                    struct recall_row *row);
MUST_USE enum status recall_row_drop(struct store_txn *txn, const char *network,
                                     const struct recall_row *row);

/* Loop over rows in the order of their names.  Begin with `row` a key (what the
 * scope names) and *begun false; then call with what it gave.
 * STATUS_NOT_FOUND: no further one. */
MUST_USE enum status recall_row_next(struct store_txn *txn, const char *network,
                                     enum recall_scope scope, struct recall_row *row,
                                     bool *begun);

/* Is there any row in this scope? */
MUST_USE enum status recall_row_any(struct store_txn *txn, const char *network,
                                    enum recall_scope scope, struct recall_row key, bool *any);

/* The next `who` after `who` among rows that begin with it (TELLING, RELY_OPEN); ""
 * begins.  STATUS_NOT_FOUND: none. */
MUST_USE enum status recall_row_next_who(struct store_txn *txn, const char *network,
                                         enum recall_kind kind,
                                         char who[INSTITUTION_CHARS_MAX + 1]);

#endif
