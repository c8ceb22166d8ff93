/* call_io.h: making several calls in a row, as import does.
 * A caller goes to the daemon as long as one answers; otherwise it opens the
 * home itself, once. */
#ifndef NODE_CALL_IO_H
#define NODE_CALL_IO_H

#include "node/call.h"
#include "node/cli.h"

struct caller; /* opaque */

/* NULL without memory. */
MUST_USE struct caller *caller_open(struct cli *cli);

/* Run one call and return its exit code.  `sink` NULL: texts go to cli->out and
 * cli->err, blobs nowhere. */
int caller_run(struct caller *c, const struct call *call, struct call_sink *sink);

/* Ends what was begun: waits a moment for receipts that a peer still waits for. */
void caller_close(struct caller *c);

#endif
