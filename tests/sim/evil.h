/* evil.h: members that do not keep to the rules. */
#ifndef TESTS_SIM_EVIL_H
#define TESTS_SIM_EVIL_H

#include "tests/sim/world.h"

/* A frame of `n` on its way out: what an evil one makes of it. */
void evil_frame(struct world *w, struct node *n, struct message *m);
/* A frame that came to `n`: a replayer keeps some. */
void evil_heard(struct world *w, struct node *n, const struct message *m);
/* Once in a while: replays, floods, forged documents. */
void evil_turn(struct world *w, struct node *n);

/* Whoever stole a key of `victim` shows everybody another history of its log. */
void evil_theft(struct world *w, const struct node *victim, const struct network_keys *keys);

#endif
