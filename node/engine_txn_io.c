/* engine_txn_io.c: what the jobs of one transaction append, gathered, so that
 * a group commit rewrites the edge of a log's tree once and not for each entry. */
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"

void
engine_txn_drop(struct engine *e)
{
    for (size_t i = 0; i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        for (size_t k = 0; k < n->gathered.count; k++) {
            free(n->gathered.bytes[k]);
        }
        n->gathered.count = 0;
        if (n->gathered.publishing) {
            publisher_end(&n->gathered.publisher);
        }
        n->gathered.publishing = false;
    }
}

static enum status
write_gathered(struct network *n, struct store_txn *txn)
{
    struct gathered *g = &n->gathered;
    if (g->count == 0) {
        return STATUS_OK;
    }
    enum status st = store_log_append(txn, n->exch.id, g->entries, g->count, NULL, NULL);
    for (size_t k = 0; k < g->count; k++) {
        free(g->bytes[k]);
    }
    g->count = 0;
    return st;
}

enum status
engine_txn_flush(struct engine *e, struct store_txn *txn)
{
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        st = write_gathered(n, txn);
        if (st == STATUS_OK && n->gathered.publishing) {
            st = publisher_flush(&n->gathered.publisher);
        }
    }
    engine_txn_drop(e);
    return st;
}

enum status
engine_exch_append(struct network *n, struct store_txn *txn, struct view entry, uint64_t *index,
                   struct hash *leaf)
{
    struct gathered *g = &n->gathered;
    enum status st = g->count == GATHERED_MAX ? write_gathered(n, txn) : STATUS_OK;
    if (st == STATUS_OK && g->count == 0) {
        struct store_log log;
        st = store_log_get(txn, n->exch.id, &log);
        g->first = st == STATUS_OK ? log.size : 0;
    }
    uint8_t *bytes = st == STATUS_OK ? malloc(entry.count + 1) : NULL;
    if (bytes == NULL) {
        return st == STATUS_OK ? STATUS_NO_MEMORY : st;
    }
    memcpy(bytes, entry.bytes, entry.count);
    if (index != NULL) {
        *index = g->first + g->count;
    }
    if (leaf != NULL) {
        tree_leaf_hash(entry.bytes, entry.count, leaf);
    }
    g->bytes[g->count] = bytes;
    g->entries[g->count++] = (struct view){bytes, entry.count};
    n->exch.dirty = true;
    return STATUS_OK;
}

enum status
engine_publisher(struct network *n, struct store_txn *txn, struct publisher **out)
{
    struct gathered *g = &n->gathered;
    enum status st = STATUS_OK;
    if (!g->publishing) {
        st = publisher_begin(&g->publisher, &n->publish, txn, n->pub.id);
        g->publishing = st == STATUS_OK;
    }
    *out = &g->publisher;
    return st;
}
