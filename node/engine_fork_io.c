/* engine_fork_io.c: forks that this home knows, for `status` and as files. */
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"
#include "node/forkfile.h"
#include "node/forkproof.h"
#include "proto/text.h"

json_t *
engine_forks_json(const struct network *n)
{
    json_t *list = json_array();
    struct store_txn *txn;
    struct forkproof *p = calloc(1, sizeof *p);
    if (p == NULL || store_begin_read(n->engine->store, &txn) != STATUS_OK) {
        free(p);
        return list;
    }
    for (size_t i = 0; n->gossip != NULL && i < gossip_log_count(n->gossip); i++) {
        struct gossip_log_state s;
        struct store_log log;
        struct view proof;
        gossip_log_get(n->gossip, i, &s);
        if (!s.frozen || store_log_find(txn, text_view(s.origin), &log) != STATUS_OK) {
            continue;
        }
        bool shown = gossip_fork_proof(txn, n->name, text_view(s.origin), &proof);
        json_t *o =
            json_pack("{s:s,s:b,s:b,s:I,s:I}", "origin", s.origin, "own", s.own, "proven",
                      shown, "serves", (json_int_t)log.serve_to, "held", (json_int_t)log.size);
        if (shown && forkproof_read(proof, p) == STATUS_OK) {
            json_object_set_new(
                o, "sizes", json_pack("[I,I]", (json_int_t)p->a.size, (json_int_t)p->b.size));
            forkproof_free(p);
        }
        json_array_append_new(list, o);
    }
    store_abort(txn);
    free(p);
    return list;
}

void
engine_fork_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    const char *origin = json_string_value(json_object_get(call->args, "origin"));
    struct network *n =
        engine_network(e, json_string_value(json_object_get(call->args, "network")));
    struct store_txn *txn;
    struct view proof;
    uint8_t *file = NULL;
    size_t count = 0;
    if (n == NULL || origin == NULL || n->charter == NULL) {
        engine_text(sink, true,
                    "huren: log fork: name a log, and its network with --network; huren status "
                    "lists forks\n");
        sink->done(sink->ctx, 2);
        return;
    }
    enum status st = store_begin_read(e->store, &txn);
    if (st == STATUS_OK) {
        st = gossip_fork_proof(txn, n->name, text_view(origin), &proof) ? STATUS_OK
                                                                        : STATUS_NOT_FOUND;
        st = st == STATUS_OK ? forkfile_make(n->charter, proof, &file, &count) : st;
        if (st == STATUS_OK) {
            sink->blob(sink->ctx, "fork", (struct view){file, count});
        }
        free(file);
        store_abort(txn);
    }
    if (st != STATUS_OK) {
        engine_text(sink, true, "huren: log fork: %s: %s\n", origin,
                    st == STATUS_NOT_FOUND ? "no fork of it is known here that can be proven"
                                           : status_text(st));
    }
    sink->done(sink->ctx, st == STATUS_OK ? 0 : st == STATUS_NOT_FOUND ? 1 : 2);
}
