/* codemap_io.h: the code map that a command reads files with. */
#ifndef NODE_CODEMAP_IO_H
#define NODE_CODEMAP_IO_H

#include "node/cli.h"
#include "node/codemap.h"

/* The built-in catalog, HOME/codemap.csv when it is there, and these files, in
 * this order.  Free with codemap_free.  NULL: an error was written. */
MUST_USE struct codemap *codemap_load(struct cli *cli, const char *const *paths, size_t count);

#endif
