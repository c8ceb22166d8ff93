/* call.h: one command, as it reaches the owner of a home.
 *
 * A command that needs the owner (DESIGN 3) makes a call.  When a daemon runs the
 * call travels over HOME/control (node/control.h), else the command opens the
 * engine itself; the same handler runs in both cases and answers through the
 * sink.  Files named on the command line are read by the command and travel as
 * blobs; files to be written come back as blobs. */
#ifndef NODE_CALL_H
#define NODE_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/view.h"

struct cli;

/* Belongs to who made it.  A handler may use it until it calls sink->done. */
struct call {
    const char *command; /* name in the table of commands */
    json_t *args;        /* an object */
    const struct view *blobs;
    size_t blob_count;
};

/* Where the answer goes: text and blobs in any number and order, then done, once.
 * A handler may finish after it has returned: the sink is valid until done, also
 * when nobody listens any more.  Bytes are taken before the function returns. */
struct call_sink {
    void *ctx;
    void (*text)(void *ctx, bool err, const char *text, size_t n);
    void (*blob)(void *ctx, const char *name, struct view bytes);
    void (*done)(void *ctx, int exit_code);
};

/* Run a call by the daemon that answers on HOME/control, else in this process;
 * write texts to cli->out and cli->err, and return the exit code (call_io.c). */
int call_run(struct cli *cli, const struct call *call);

/* The same, with a sink of the command's own. */
int call_run_sink(struct cli *cli, const struct call *call, struct call_sink *sink);

#endif
