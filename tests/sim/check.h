/* check.h: the invariants of RELIABILITY 2, each against the truth.
 *
 * I1  what was acknowledged (committed by its author) is never lost.
 * I2  nobody signs two checkpoints that are not consistent; no witness either.
 * I3  nothing is delivered twice: no entry under two indexes, no fork told twice.
 * I4  nothing is kept that a second verifier (truth.h) refuses.
 * I5  sizes, cosigned sizes and times, and versions never go back.
 * I6  queues, requests, frames and memory stay within their bounds.
 * I7  after the faults everybody converges (scenario.c).
 * F12 nobody honest is accused. */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "tests/sim/world.h"

/* After each step of a machine. */
void check_machine(struct world *w, struct node *n);
/* After each commit: the logs and notes in the store. */
void check_store(struct world *w, struct node *n);
/* Every entry, record and note (slow: at the ends of phases). */
void check_whole(struct world *w, struct node *n);
/* A witness has just committed its cosignature. */
void check_cosign(struct world *w, struct node *n, const struct gossip_action *a);
/* The author is about to sign. */
void check_sign(struct world *w, struct node *n, uint64_t size, const struct hash *root);
void check_fork(struct world *w, struct node *n, const struct gossip_action *a);
void check_adopted(struct world *w, struct node *n);
/* A note of the log of `member` that `n` keeps. */
void check_note(struct world *w, struct node *n, int member, struct view note,
                const char *what);

#endif
