/* authority.h: who issues the charter of the simulated network. */
#ifndef TESTS_SIM_AUTHORITY_H
#define TESTS_SIM_AUTHORITY_H

#include "tests/sim/world.h"

/* Root, members and policy, version 1. */
void authority_begin(struct world *w);
void authority_end(struct world *w);

/* A new members document: somebody gets a new log key, leaves or comes back. */
void authority_rotate_key(struct world *w, int member);
/* The same, and the old key was stolen. */
void authority_revoke_key(struct world *w, int member);
/* The network key was lost: another epoch. */
void authority_end_epoch(struct world *w);
void authority_leave(struct world *w, int member, bool left);
/* Root N + 1, by other keys. */
void authority_rotate_root(struct world *w);

/* A member document of the next version that the authority did not sign, or the
 * current version with another text: for evil nodes. */
const struct document *authority_forged(struct world *w);

/* Give all documents from `first` on to a node as files, as an operator does. */
void authority_deliver(struct world *w, struct node *n, size_t first);
/* The operator adopts one document on this node, whatever it is (evil). */
void authority_plant(struct world *w, struct node *n, const struct document *d);

/* Which key of its own a node signs with: the newest that its charter names. */
size_t authority_key_now(const struct world *w, const struct node *n);

#endif
