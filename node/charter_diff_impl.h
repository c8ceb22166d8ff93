/* charter_diff_impl.h: what charter_diff.c and charter_diff_mean.c share. */
#ifndef NODE_CHARTER_DIFF_IMPL_H
#define NODE_CHARTER_DIFF_IMPL_H

#include "node/charter.h"
#include "node/charter_diff.h"

struct diff {
    const struct charter_document *a, *b;
    json_t *rows, *meaning;
    size_t added, removed, changed;
};

/* Add what one row means; `a` or `b` is NULL for a row that came or went. */
void charter_diff_mean(struct diff *d, const char *name, const ProtobufCMessage *a,
                       const ProtobufCMessage *b);
/* Add what the two documents mean as a whole.  STATUS_OK, STATUS_NO_MEMORY. */
MUST_USE enum status charter_diff_mean_whole(struct diff *d);

#endif
