/* exchange.h: what hospitals ask of each other, in the simulated world: look-ups with
 * their entries in both exchange logs, receipts for them, and recalls.
 *
 * Real: the look-up, the receipts, the recall machine with its rows, the exchange logs
 * over the real store, the signing gate.  Here: what engine_lookup_io, engine_answer_io,
 * engine_receipt_io and engine_recall_io do around them.
 *
 * I1  an exchange log never loses an entry that anything was said after; what was relied
 *     on, and was then corrected or withdrawn, is acknowledged in both logs.
 * I2  no exchange log is signed in two histories.
 * I3  each recall is logged once on each side.
 * I7  nobody honest is refused for receipts in the end, nothing stays untold. */
#ifndef TESTS_SIM_EXCHANGE_H
#define TESTS_SIM_EXCHANGE_H

#include "tests/sim/world.h"

struct exchange; /* of one node */

struct exchange *exchange_new(void);
void exchange_free(struct exchange *x);

/* As a home is opened: the exch log in use, a new one after an unclean start.  In a
 * transaction of its own, before gossip is opened; *fresh: the log was begun now. */
const char *exchange_log(struct world *w, struct node *n, bool *fresh);
void exchange_start(struct world *w, struct node *n);
void exchange_stop(struct node *n);
void exchange_backup(struct node *n);
void exchange_restore(struct node *n);

/* The kinds that are no gossip's. */
bool exchange_kind(uint8_t kind);
void exchange_frame(struct world *w, struct node *n, const struct gossip_event *e);
void exchange_peer(struct world *w, struct node *n, const struct gossip_event *e);
void exchange_turn(struct world *w, struct node *n);
int64_t exchange_deadline_ms(const struct node *n);
/* Its own pub log was signed. */
void exchange_signed(struct node *n);
/* Its charter is another one. */
void exchange_charter(struct node *n);

/* Ask for some report of `author`, now. */
void exchange_ask(struct world *w, struct node *n, struct node *author);

/* Is nobody that counts refused, nothing owed or to be told?  `say`: what is. */
bool exchange_settled(struct world *w, bool (*counts)(const struct world *, int), bool say);
/* The logs, against what was relied on. */
void exchange_check(struct world *w, bool (*counts)(const struct world *, int));

#endif
