/* embedded.h: the catalog and the packs, carried inside the binary.
 *
 * The files under policy/catalog and policy/packs, by their path in the
 * repository ("policy/catalog/catalog.csv").  Static; a zero byte follows the
 * bytes of each file and is not counted.  Written by scripts/embed.py. */
#ifndef NODE_EMBEDDED_H
#define NODE_EMBEDDED_H

#include "proto/view.h"

struct embedded_file {
    const char *path; /* NULL ends the list */
    struct view data;
};

extern const struct embedded_file embedded_files[];

/* Return the file of this path, or NULL. */
const struct embedded_file *embedded_find(const char *path);

#endif
