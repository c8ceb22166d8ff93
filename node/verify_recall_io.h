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
 * With `recall_as_of`: entries in the copy, or null.
 * STATUS_OK, STATUS_NO_MEMORY. */
MUST_USE enum status verify_recall_add(struct cli *cli, json_t *found);

/* Does the result still stand?  CLI_YES, or the reason as an error: CLI_NO if it is
 * recalled, CLI_TROUBLE if that is not known here. */
int verify_recall_exit(struct cli *cli, const char *path, const json_t *found);

/* The same in words, one line. */
void verify_recall_print(struct cli *cli, const json_t *found);

#endif
