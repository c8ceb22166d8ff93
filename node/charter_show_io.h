/* charter_show_io.h: charter documents for people and as JSON lines. */
#ifndef NODE_CHARTER_SHOW_IO_H
#define NODE_CHARTER_SHOW_IO_H

#include <jansson.h>
#include <stdio.h>

#include "node/charter.h"

/* Print a document: head, who signed and who still has to, rows as a table.  `root`
 * judges it: for a root the one before it, for others the one in force; NULL: none is
 * at hand (a root is then judged by itself alone). */
MUST_USE enum status charter_show(FILE *out, const struct charter_document *d,
                                  const struct charter_document *root, int64_t now_s);
/* The same as one JSON object on one line. */
MUST_USE enum status charter_show_json(FILE *out, const struct charter_document *d,
                                       const struct charter_document *root, int64_t now_s);

/* The fields of a row by their names in proto/charter.proto; NULL without memory. */
json_t *charter_row_json(const ProtobufCMessage *m);

#endif
