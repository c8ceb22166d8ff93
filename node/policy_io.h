/* policy_io.h: a pack's folder, read from disk. */
#ifndef NODE_POLICY_IO_H
#define NODE_POLICY_IO_H

#include <stdbool.h>

#include "node/pack_yaml.h"
#include "node/policy_json.h"
#include "proto/status.h"

/* A folder with pack.yaml, and with items.csv and vectors.jsonl where it has
 * them.  Zero it; free it with policy_folder_free. */
struct policy_folder {
    char *path;
    uint8_t *yaml, *items, *vectors;
    struct pack_sources sources; /* points into the above */
    struct view vectors_view;
    struct pack_built built; /* set by policy_folder_build */
};

/* Read a file whole.  *out is the caller's, to be freed with free().
 *
 * STATUS_NOT_FOUND, STATUS_TOO_BIG, STATUS_IO, STATUS_NO_MEMORY, with a line in
 * `error` that names the file. */
MUST_USE enum status policy_file_read(const char *path, size_t bytes_max, uint8_t **out,
                                      size_t *bytes, char *error, size_t error_bytes);

/* Read the folder.  Statuses as above; only pack.yaml must be there. */
MUST_USE enum status policy_folder_read(const char *path, struct policy_folder *out,
                                        char *error, size_t error_bytes);
/* Compile it, and run its vectors; *vectors gets how many passed.
 * Statuses of pack_build and pack_vectors_run. */
MUST_USE enum status policy_folder_build(struct policy_folder *folder,
                                         const struct hr_catalog *catalog, size_t *vectors,
                                         char *error, size_t error_bytes);
void policy_folder_free(struct policy_folder *folder);

/* Write a new file, or over an old one: whole or not at all.  Statuses
 * STATUS_IO, STATUS_NO_SPACE, with a line in `error`. */
MUST_USE enum status policy_file_write(const char *path, const uint8_t *bytes, size_t count,
                                       char *error, size_t error_bytes);

#endif
