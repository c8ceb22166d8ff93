/* pack_yaml.h: a pack's sources, compiled.
 *
 * pack.yaml holds the rules in a closed vocabulary, items.csv the item list
 * (policy/README.md).  Pure: the caller reads the files. */
#ifndef NODE_PACK_YAML_H
#define NODE_PACK_YAML_H

#include "node/pack_file.h"
#include "node/pack_text.h"
#include "policy/policy.h"
#include "proto/status.h"
#include "proto/view.h"

/* A pack's sources.  `folder` stands before file names in messages. */
struct pack_sources {
    const char *folder;
    struct view yaml;
    struct view items; /* bytes NULL: the pack has no list of its own */
};

/* A pack compiled and loaded.  Zero it; free it with pack_built_free. */
struct pack_built {
    struct pack_text text; /* the compiled form: what is hashed and signed */
    void *memory;
    const struct hr_pack *pack; /* points into text and memory */
};
void pack_built_free(struct pack_built *built);

/* Compile and load one pack.  Refused, with one line "file:line: reason" in
 * `error`: unknown rules and settings, a rule without citation or text, an
 * item twice or not in the catalog, a code of a condition not in the catalog.
 *
 * STATUS_MALFORMED, STATUS_NO_MEMORY. */
MUST_USE enum status pack_build(const struct pack_sources *sources,
                                const struct hr_catalog *catalog, struct pack_built *out,
                                char *error, size_t error_bytes);

/* Fill in what a file of this pack and these vectors holds (pack_file.h), and
 * its address.  Points into `built` and `vectors`.  Statuses of pack_file_head. */
MUST_USE enum status pack_built_file(const struct pack_built *built, struct view vectors,
                                     struct pack_file *out);

/* What packs must be to each other: ids with overlapping validity, a parent
 * that leads back to the pack.  `folders` names each pack in messages; line
 * numbers are those of the member in its pack.yaml (`yamls`).
 *
 * STATUS_MALFORMED with a line in `error`. */
MUST_USE enum status pack_check_together(const struct hr_pack *const *packs,
                                         const struct pack_sources *sources, size_t count,
                                         char *error, size_t error_bytes);

#endif
