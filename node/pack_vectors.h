/* pack_vectors.h: a pack's own test cases, run before it is used.
 *
 * JSON lines {"input": {...}, "expect": {...}}: the input is decided with the
 * pack, and every member of `expect` must be equal.  A node that fails one
 * vector of a pack must not use the pack (DESIGN 8).  Pure. */
#ifndef NODE_PACK_VECTORS_H
#define NODE_PACK_VECTORS_H

#include "policy/policy.h"
#include "proto/status.h"
#include "proto/view.h"

enum { PACK_VECTORS_MIN = 100 }; /* fewer do not cover a pack */

/* Run all vectors; *count gets how many passed.  `name` is the file in messages.
 *
 * STATUS_REFUSED    a vector fails; "name:line: ..." in `error` says how.
 * STATUS_MALFORMED  a line is no vector, or there are fewer than PACK_VECTORS_MIN.
 * STATUS_NO_MEMORY  as it says. */
MUST_USE enum status pack_vectors_run(const struct hr_pack *pack,
                                      const struct hr_catalog *catalog, struct view vectors,
                                      const char *name, size_t *count, char *error,
                                      size_t error_bytes);

#endif
