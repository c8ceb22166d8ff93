/* secure.h: links as they are: a byte stream with a Noise session at each end
 * (node/session.h).  Bytes keep their order; what is lost comes later, what a cut
 * swallows leaves the stream stuck for good; somebody on the way flips, doubles
 * and replays bytes, after which nothing may come up or through (F14, F15). */
#ifndef TESTS_SIM_SECURE_H
#define TESTS_SIM_SECURE_H

#include "tests/sim/world.h"

void secure_open(struct world *w, uint32_t link);
void secure_close(struct world *w, uint32_t link);
void secure_free(struct world *w, uint32_t link);
/* `session` is the sender's. */
void secure_send(struct world *w, uint32_t session, const struct message *frame);
/* MSG_BYTES and MSG_WAKE. */
void secure_deliver(struct world *w, const struct message *m);

#endif
