/* charter_show_io.h: charter documents for people and as JSON lines. */
#ifndef NODE_CHARTER_SHOW_IO_H
#define NODE_CHARTER_SHOW_IO_H

#include <stdio.h>

#include "node/charter.h"

/* Print a document: head, signers (checked against `c` where it is not NULL,
 * against the document itself when it is a root), rows as a table. */
MUST_USE enum status charter_show(FILE *out, const struct charter_document *d,
                                  const struct charter *c, int64_t now_s);
/* The same as one JSON object on one line. */
MUST_USE enum status charter_show_json(FILE *out, const struct charter_document *d,
                                       const struct charter *c, int64_t now_s);

#endif
