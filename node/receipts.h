/* receipts.h: what is owed and expected after a look-up: proofs that both logged it.
 *
 * Source: DESIGN 9.  Nobody signs single look-ups: within RECEIPT_MS each side sends
 * the other a signed checkpoint of its exch log with the inclusion of the entries
 * concerned; who does not, while a session is up, is refused.  Pure: time comes with
 * the calls, the engine sends and stores.
 *
 * A receipt that is lost must not refuse an honest member for ever.  So what was told
 * over a session that ended is told again over the next one, and who is refused for
 * receipts tells again all that its log has for whoever refused (receipts_again).
 *
 * Hostile peers: who goes on in ever new logs pays for the old ones, or gets no
 * answers; all lists are bounded. */
#ifndef NODE_RECEIPTS_H
#define NODE_RECEIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/tree.h"
#include "node/charter.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"
#include "store/store.h"

enum {
    RECEIPT_MS = 10000,
    RECEIPT_LEAVES_AT_ONCE = 48,   /* of proofs in one message */
    RECEIPT_OWED_MAX = 4096,       /* to one member, */
    RECEIPT_DUE_MAX = 4096,        /* of one member */
    RECEIPT_PAID_MAX = 512,        /* told last, and told again over the next session */
    RECEIPT_MOVES_MAX = 4,         /* new exch logs of a member that are taken as restores */
    RECEIPT_REMEMBERED = 1024,     /* own entries looked through after a start, */
    RECEIPT_AGAIN_ENTRIES = 16384, /* and after a refusal, */
    RECEIPT_AGAIN_MS = 30000,      /* at most so often for one member */
    RECEIPT_HEAD_BYTES_MAX = 1024,
    RECEIPT_REASON = 2, /* of a Refused entry: receipts are owed */
};

struct receipts; /* opaque: of one network */

struct receipts *receipts_new(void); /* NULL: no memory */
void receipts_free(struct receipts *r);

/* We owe `institution` a proof of this entry of our exch log. */
void receipts_owe(struct receipts *r, const char *institution, uint64_t index);
/* It owes us one of the entry with this hash at this index of its log. */
void receipts_expect(struct receipts *r, const char *institution, const char *origin,
                     uint64_t index, const struct hash *leaf, int64_t now_ms);
/* We go on in a new exch log: nothing of the one before can be shown. */
void receipts_forget(struct receipts *r);

/* The exch log that a member uses now: a restored one begins another, and cannot pay
 * for what stood in the one before.  True: it changed, *lost receipts will not come. */
bool receipts_log(struct receipts *r, const char *institution, const char *origin,
                  size_t *lost);

/* Is it to be refused? */
bool receipts_overdue(struct receipts *r, const char *institution, int64_t now_ms);
size_t receipts_due(struct receipts *r, const char *institution);

void receipts_peer(struct receipts *r, uint32_t session, const char *institution, bool up,
                   int64_t now_ms);
uint32_t receipts_session(struct receipts *r, const char *institution); /* 0: none is up */

/* What the last entries of our exch log `log` make us owe, after a start. */
MUST_USE enum status receipts_open(struct receipts *r, struct store_txn *txn, uint32_t log);
/* It refuses us for receipts: owe it again what our log has for it. */
MUST_USE enum status receipts_again(struct receipts *r, struct store_txn *txn, uint32_t log,
                                    const char *institution, int64_t now_ms);

/* ---- paying ----------------------------------------------------------------------- */

/* Entries that one message proves; borrowed until the next call of anything here. */
struct receipts_payment {
    const char *institution;
    uint32_t session;
    const uint64_t *indexes;
    size_t count;
};
/* The next message to send, after those to `after` (NULL: the first member) are done,
 * when entries below `signed_size` are under a signed head.  False: none. */
bool receipts_next(struct receipts *r, const char *after, uint64_t signed_size,
                   struct receipts_payment *out);
/* Pack it: entries of log `log` under the signed head `note`.  What the store said. */
MUST_USE enum status receipts_pack(struct store_txn *txn, uint32_t log, struct view note,
                                   const struct receipts_payment *p, uint8_t *out, size_t max,
                                   size_t *count);
/* It was sent. */
void receipts_paid(struct receipts *r, const struct receipts_payment *p);
/* Is anything owed over a session that is up? */
bool receipts_open_any(const struct receipts *r);

/* ---- being paid --------------------------------------------------------------------- */

/* Its head, to be kept; `count` 0: none. */
struct receipts_head {
    size_t count;
    uint8_t note[RECEIPT_HEAD_BYTES_MAX];
};
/* A frame of kind RECEIPT.  False: it does not hold. */
bool receipts_take(struct receipts *r, const struct charter *c, const char *institution,
                   struct view message, int64_t now_s, struct receipts_head *head);

#endif
