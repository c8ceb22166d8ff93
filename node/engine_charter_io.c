/* engine_charter_io.c: documents from an operator's files; reading the charter. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_adopt_io.h"
#include "node/charter_store_io.h"
#include "node/engine.h"
#include "node/gossip_members.h"

enum { DOCUMENTS_MAX = 256 };

/* What gossip and publishing need to know of a new charter. */
static enum status
apply_charter(struct network *n)
{
    engine_keys_read(n->engine); /* the new document may name the newest of them */
    engine_keys_look(n);
    engine_keys_epochs(n);
    n->engine->rechecked_ms = INT64_MIN / 2; /* who is connected may have left */
    n->engine->marked_ms = INT64_MIN / 2;    /* an epoch may have ended */
    if (n->gossip == NULL) {
        return STATUS_OK;
    }
    return gossip_take_charter(n->gossip, n->charter, engine_now_ms() / 1000);
}

enum status
engine_reload_charter(struct network *n, struct store_txn *txn)
{
    struct charter *charter = NULL;
    char reason[CHARTER_REASON_CHARS] = "";
    enum status st = charter_store_load(txn, n->name, &charter, reason);
    if (st == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    if (st != STATUS_OK) {
        engine_say(n->engine, "%s: the charter in this home: %s%s%s", n->name, status_text(st),
                   reason[0] != '\0' ? ": " : "", reason);
        return st;
    }
    engine_retire_charter(n);
    n->charter = charter;
    return apply_charter(n);
}

/* ---- charter-adopt: files from an operator ------------------------------------------------
 */

struct adopt_run {
    struct job job;
    struct network *network;
    struct call call;
    struct call_sink *sink;
    struct charter_document *documents; /* one for each blob */
    size_t document_count;
    const struct charter_document **list;
    struct charter_step *steps;
    struct charter *after;
    bool json, dry_run;
};

static void
adopt_free(struct adopt_run *run)
{
    for (size_t i = 0; run->documents != NULL && i < run->document_count; i++) {
        charter_document_free(&run->documents[i]);
    }
    charter_free(run->after);
    free(run->documents);
    free(run->list);
    free(run->steps);
    free(run);
}

/* Not what is kept as an earlier version only. */
static bool
came_into_force(const struct adopt_run *run, const struct charter_step *s)
{
    const struct charter_head *h = &run->documents[s->document].head;
    const struct charter_document *d =
        run->after == NULL ? NULL : charter_document(run->after, h->kind);
    return h->kind == CHARTER_ROOT || (d != NULL && hash_equal(&d->head.hash, &h->hash));
}

static enum status
write_adopt(struct store_txn *txn, void *ctx)
{
    struct adopt_run *run = ctx;
    if (run->dry_run) {
        return STATUS_OK;
    }
    enum status st =
        charter_adopt_put(txn, run->list, run->steps, run->document_count,
                          run->network->charter, run->after, "", engine_now_ms() / 1000);
    for (size_t i = 0; st == STATUS_OK && i < run->document_count; i++) {
        const struct charter_step *s = &run->steps[i];
        if (s->status == STATUS_OK && came_into_force(run, s)) {
            st = engine_log_adopted(run->network, txn, &run->documents[s->document].head);
        }
    }
    return st;
}

/* Whether another quality document is in force now. */
static bool
takes_quality(const struct adopt_run *run)
{
    for (size_t i = 0; i < run->document_count && !run->dry_run; i++) {
        const struct charter_step *s = &run->steps[i];
        if (s->status == STATUS_OK &&
            run->documents[s->document].head.kind == CHARTER_QUALITY &&
            came_into_force(run, s)) {
            return true;
        }
    }
    return false;
}

static void
print_step(const struct adopt_run *run, const struct charter_step *s)
{
    const struct charter_head *h = &run->documents[s->document].head;
    bool ok = s->status == STATUS_OK || s->status == STATUS_EXISTS;
    const char *word = s->status == STATUS_OK ? "adopted" : ok ? "in hand" : "refused";
    unsigned long long version = h->version;
    if (run->json) {
        json_t *o =
            json_pack("{s:s,s:s,s:I,s:s,s:s,s:s}", "network", h->network, "kind",
                      charter_kind_text(h->kind), "version", (json_int_t)version, "result",
                      word, "status", status_text(s->status), "reason", s->reason);
        engine_json(run->sink, o);
        json_decref(o);
    } else if (s->status == STATUS_EXISTS && s->reason[0] != '\0') {
        engine_text(run->sink, false, "%s\n", s->reason); /* "... is in hand" */
    } else if (ok) {
        engine_text(run->sink, false, "%s %llu of %s: %s%s%s\n", charter_kind_text(h->kind),
                    version, h->network, word, s->reason[0] == '\0' ? "" : ": ", s->reason);
    } else {
        engine_text(run->sink, true, "huren: charter: refused: %s\n", s->reason);
    }
}

/* What is to be adopted, and of which another text is kept already. */
static enum status
vet_steps(struct adopt_run *run)
{
    struct store_txn *txn;
    enum status st = store_begin_read(run->network->engine->store, &txn);
    if (st != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; st == STATUS_OK && i < run->document_count; i++) {
        struct charter_step *s = &run->steps[i];
        const struct charter_head *h = &run->documents[s->document].head;
        if (s->status != STATUS_OK) {
            continue;
        }
        st = charter_store_vet(txn, h);
        if (st == STATUS_FORK) {
            s->status = st;
            snprintf(s->reason, sizeof s->reason,
                     "%s %llu of %s: another text of this version is kept here, void or "
                     "overtaken; the authority must issue a higher version",
                     charter_kind_text(h->kind), (unsigned long long)h->version, h->network);
            st = STATUS_OK;
        }
    }
    store_abort(txn);
    return st;
}

static void
adopt_done(void *ctx, enum status st)
{
    struct adopt_run *run = ctx;
    struct network *n = run->network;
    struct call_sink *sink = run->sink;
    int exit_code = 0;
    if (st != STATUS_OK) {
        char why[ENGINE_ROOM_CHARS];
        engine_text(sink, true, "huren: charter adopt: nothing was adopted: %s\n",
                    engine_why(n->engine, st, why));
        adopt_free(run);
        sink->done(sink->ctx, 2);
        return;
    }
    struct store_txn *txn;
    st = store_begin_read(n->engine->store, &txn);
    if (st == STATUS_OK) {
        st = engine_reload_charter(n, txn);
        store_abort(txn);
    }
    for (size_t i = 0; i < run->document_count; i++) {
        const struct charter_step *s = &run->steps[i];
        print_step(run, s);
        if (s->status != STATUS_OK && s->status != STATUS_EXISTS) {
            exit_code = 1;
        }
    }
    if (st != STATUS_OK) {
        engine_text(sink, true, "huren: charter adopt: reading it back: %s\n", status_text(st));
        exit_code = 2;
    }
    if (n->gossip != NULL) {
        struct gossip_event event = {.type = GOSSIP_RELOAD};
        engine_gossip(n, &event);
    }
    engine_packs_look(n);
    bool quality = st == STATUS_OK && takes_quality(run), json = run->json;
    adopt_free(run);
    if (quality) { /* says which recognitions leaned on what holds no more */
        engine_impact_start(n, sink, json, exit_code);
    } else {
        sink->done(sink->ctx, exit_code);
    }
}

/* The network of the documents: one of ours, and the same for all. */
static struct network *
network_of(struct engine *e, const struct adopt_run *run, struct call_sink *sink)
{
    const char *name = run->document_count == 0 ? "" : run->documents[0].head.network;
    for (size_t i = 1; i < run->document_count; i++) {
        if (strcmp(run->documents[i].head.network, name) != 0) {
            engine_text(sink, true,
                        "huren: charter adopt: these files are of several networks "
                        "(%s, %s): adopt them one network at a time\n",
                        name, run->documents[i].head.network);
            return NULL;
        }
    }
    struct network *n = engine_network(e, name);
    if (n == NULL) {
        engine_text(sink, true,
                    "huren: charter adopt: this home is not in the network %s; huren init "
                    "--network %s adds it\n",
                    name, name);
    }
    return n;
}

void
engine_charter_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    struct adopt_run *run = calloc(1, sizeof *run);
    char reason[CHARTER_REASON_CHARS] = "";
    if (run == NULL || call->blob_count == 0 || call->blob_count > DOCUMENTS_MAX) {
        engine_text(sink, true, "huren: charter adopt: name 1 to %d files\n", DOCUMENTS_MAX);
        free(run);
        sink->done(sink->ctx, 2);
        return;
    }
    run->call = *call;
    run->sink = sink;
    run->documents = calloc(call->blob_count, sizeof *run->documents);
    run->steps = calloc(call->blob_count, sizeof *run->steps);
    run->list = calloc(call->blob_count, sizeof *run->list);
    run->json = json_is_true(json_object_get(call->args, "json"));
    run->dry_run = json_is_true(json_object_get(call->args, "dry_run"));
    enum status st = run->documents == NULL || run->steps == NULL || run->list == NULL
                         ? STATUS_NO_MEMORY
                         : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < call->blob_count; i++) {
        st = charter_document_decode(call->blobs[i], &run->documents[i], reason);
        run->list[i] = &run->documents[i];
        run->document_count += st == STATUS_OK;
    }
    if (st != STATUS_OK) {
        const char *file = json_string_value(
            json_array_get(json_object_get(call->args, "files"), run->document_count));
        engine_text(sink, true, "huren: charter adopt: %s: %s; nothing was adopted\n",
                    file == NULL ? "file" : file, reason[0] != '\0' ? reason : status_text(st));
        adopt_free(run);
        sink->done(sink->ctx, st == STATUS_NO_MEMORY ? 2 : 1);
        return;
    }
    run->network = network_of(e, run, sink);
    if (run->network == NULL) {
        adopt_free(run);
        sink->done(sink->ctx, 1);
        return;
    }
    st = charter_adopt_plan(run->network->charter, run->network->name, run->list,
                            run->document_count, engine_now_ms() / 1000, run->steps,
                            &run->after);
    st = st == STATUS_OK ? vet_steps(run) : st;
    if (st != STATUS_OK) {
        engine_text(sink, true, "huren: charter adopt: %s\n", status_text(st));
        adopt_free(run);
        sink->done(sink->ctx, 2);
        return;
    }
    bool urgent = false;
    for (size_t i = 0; i < run->document_count; i++) {
        enum charter_kind kind = run->documents[i].head.kind;
        urgent = urgent || kind == CHARTER_ROOT || kind == CHARTER_MEMBERS;
    }
    /* As in gossip: they end keys, and a full disk must not keep them out. */
    run->job = (struct job){.purpose = urgent ? STORE_EXCHANGE : STORE_PUBLISH,
                            .bytes = charter_adopt_bytes(run->list, run->document_count),
                            .write = write_adopt,
                            .done = adopt_done,
                            .ctx = run};
    engine_write(e, &run->job);
}
