/* node.h: one simulated node: what engine_io.c does around the pure machines.
 * Steps, one transaction for all store actions of an update, then what follows;
 * publishing: commit, sign, show; and the ends that a process comes to. */
#ifndef TESTS_SIM_NODE_H
#define TESTS_SIM_NODE_H

#include "tests/sim/world.h"

/* `as`: which member it is.  Directories are made, nothing is started. */
void node_make(struct world *w, int number, int as, enum evil evil);
void node_free(struct world *w, struct node *n);

void node_start(struct world *w, struct node *n);
void node_stop(struct world *w, struct node *n);
/* Stop at once; it comes back by itself. */
void node_crash(struct world *w, struct node *n, const char *where);

/* By chance: is this the moment at which the process is killed? */
bool node_dies(struct world *w);

/* Give the machine an event, do what it says. */
void node_event(struct world *w, struct node *n, struct gossip_event *e);

/* Publish `count` entries, if the gate lets it; sign and show the head. */
void node_publish(struct world *w, struct node *n, unsigned count);
/* Sign what is committed and not yet signed, e.g. after a restart. */
void node_sign(struct world *w, struct node *n);
bool node_may_sign(const struct node *n);

/* Copy the store, or put the copy back: a stale restore (F13). */
void node_backup(struct world *w, struct node *n);
void node_restore(struct world *w, struct node *n);

void node_note_epochs(struct world *w, struct node *n);

/* Read the charter again from the store, and tell the machine. */
void node_reload_charter(struct world *w, struct node *n);

void files_remove(const char *path);
void files_copy(const char *from, const char *to, const char *name);

#endif
