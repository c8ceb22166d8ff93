/* verify_recall_io.h: what this home knows of a recall of the result that evidence
 * proves: evidence stays true after a correction, and must not be relied on. */
#ifndef NODE_VERIFY_RECALL_IO_H
#define NODE_VERIFY_RECALL_IO_H

#include <jansson.h>
#include <stdbool.h>

#include "node/cli.h"

/* Look at the home, beside its daemon if one runs, and add `recalled` to what
 * evidence_check found: {what, by, heard_at}: it is; false: its copy of the log
 * shows none; null: not known here, there being no copy of that entry, or no home.
 * With `recall_as_of`: entries in the copy, or null.  Returns true if it is. */
bool verify_recall_add(struct cli *cli, json_t *found);

/* The same in words, one line. */
void verify_recall_print(struct cli *cli, const json_t *found);

#endif
