/* control.h: calls over HOME/control, the daemon's socket for its own commands.
 *
 * An nng ipc stream, mode 0600, frames (proto/frame.h) in clear.  A connection
 * carries one call and its answer:
 *
 *   command   COMMAND  raw: the name            daemon   OUT, ERR  raw: text
 *             ARGS     raw: JSON, in parts                BLOB      message: name, raw: a part
 *             BLOB     raw: a part                        DONE      raw: exit code, one byte
 *             RUN
 *
 * `last` ends each ARGS and BLOB.  What travels is bounded: arguments by
 * JSON_BYTES_MAX, the blobs of a call and of an answer each by
 * IMPORT_FILE_BYTES_MAX.  The daemon's side runs on the thread of its net. */
#ifndef NODE_CONTROL_H
#define NODE_CONTROL_H

#include "node/call.h"
#include "proto/frame.h"
#include "proto/status.h"

struct net;
struct control;

enum control_kind {
    CONTROL_COMMAND = 1,
    CONTROL_ARGS = 2,
    CONTROL_BLOB = 3,
    CONTROL_RUN = 4,
    CONTROL_OUT = 5,
    CONTROL_ERR = 6,
    CONTROL_DONE = 7
};

typedef void control_handler(void *ctx, const struct call *call, struct call_sink *sink);

/* Listen at `path` and hand each call to `handler`, on the thread and inside of
 * net_run.  A socket left by a dead process is removed, and nothing else ever is.
 * Sets umask for a moment: call it before other threads make files.
 *
 * STATUS_OK
 * STATUS_BUSY      a process answers there.
 * STATUS_EXISTS    something that is not a socket stands there.
 * STATUS_TOO_BIG   the path is too long for a socket.
 * STATUS_IO, STATUS_NO_MEMORY */
MUST_USE enum status control_listen(struct net *n, const char *path, control_handler *handler,
                                    void *ctx, struct control **out);

/* Stop listening, cut the calls off, remove the socket; before net_close.  A sink
 * whose handler has not called done stays valid: done frees it.  NULL does
 * nothing. */
void control_close(struct control *c);

/* The command's side: make the call, pass the answer on to `sink` (its done
 * included) and return.
 *
 * STATUS_OK           done was called.
 * STATUS_UNAVAILABLE  no daemon answers at `path`; nothing was sent.
 * STATUS_TOO_BIG      the path, the arguments or the blobs are over their limits.
 * STATUS_MALFORMED    the answer was not one.
 * STATUS_IO           the connection was lost; the call may have been done.
 * STATUS_NO_MEMORY */
MUST_USE enum status control_call(const char *path, const struct call *call,
                                  struct call_sink *sink);

#endif
