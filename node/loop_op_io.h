/* loop_op_io.h: what loop_io.c and stream_io.c share; nobody else includes it. */
#ifndef NODE_LOOP_OP_IO_H
#define NODE_LOOP_OP_IO_H

#include "node/loop_io.h"

/* One nng_aio.  Its callback posts it to the queue; `done` runs on the loop's
 * thread.  One operation at a time, so that it is in the queue at most once and
 * posting needs no memory. */
struct op {
    nng_aio *aio;
    struct loop *loop;
    void (*done)(void *owner);
    void *owner;
    struct op *next; /* in the queue */
    bool busy;       /* loop's thread: started, done not yet called */
};

/* What the reaper has to do, in order. */
struct job {
    struct job *next;
    void (*run)(void *object);
    void *object;
};

/* False: there is no memory. */
bool op_init(struct op *op, struct loop *l, void (*done)(void *owner), void *owner);
void op_free(struct op *op);

/* To be called before the operation is handed to nng. */
void op_start(struct op *op);

/* Have the reaper call run(object), after all that it was given before. */
void loop_reap(struct loop *l, struct job *job, void (*run)(void *object), void *object);

/* Count what must be gone before the loop may end. */
void loop_hold(struct loop *l);
void loop_release(struct loop *l);

/* Listeners that pause after an error: called by loop_run. */
struct loop_listener *loop_listeners(struct loop *l);
void loop_set_listeners(struct loop *l, struct loop_listener *first);
int64_t listeners_deadline_ms(const struct loop_listener *first);
void listeners_retry(struct loop_listener *first);

#endif
