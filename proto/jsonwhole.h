/* jsonwhole.h: JSON that lacks nothing.
 *
 * What builds a large value makes hundreds of calls of jansson, and without memory each of
 * them leaves out one member and says so in a result that nobody reads.  So jansson allocates
 * through us, and what it could not get is counted, by thread: who builds a value that is
 * recorded, decided by or shown asks before and after. */
#ifndef PROTO_JSONWHOLE_H
#define PROTO_JSONWHOLE_H

#include <jansson.h>

#include "proto/status.h"

/* How often jansson got no memory in this thread so far: a mark to compare with later.  The
 * first call begins the counting; main makes it before other threads are there. */
unsigned long json_whole_mark(void);

/* `value` if jansson got all that it asked for since `mark`; else it is let go, and NULL. */
MUST_USE json_t *json_whole(json_t *value, unsigned long mark);

/* json_dumps of `value`, or NULL if jansson lacked memory since `mark`: for the text, too,
 * where jansson 2.14 does not always say so.  Free it with free(). */
MUST_USE char *json_whole_text(const json_t *value, size_t flags, unsigned long mark);

#endif
