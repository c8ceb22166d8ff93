/* engine_charter_io.c: documents from an operator's files; reading the charter. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"
#include "node/gossip_members.h"
#include "proto/text.h"
#include "store/charter.h"
#include "store/kv.h"

enum { DOCUMENTS_MAX = 256 };

/* ---- from the store ---- */

/* A stored document and the copies it points to. */
struct loaded {
    struct charter_document d;
    uint8_t *bytes;
    struct view *rows;
};

static void
loaded_free(struct loaded *l)
{
    charter_document_free(&l->d);
    free(l->rows);
    free(l->bytes);
}

static enum status
load_document(struct store_txn *txn, const struct store_charter_key *key, struct view note,
              uint32_t row_count, struct loaded *out)
{
    size_t total = note.count;
    struct view row;
    char reason[CHARTER_REASON_CHARS];
    *out = (struct loaded){0};
    out->rows = calloc(row_count + 1, sizeof *out->rows);
    if (out->rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < row_count; i++) {
        enum status st = store_charter_row(txn, key, i, &row);
        if (st != STATUS_OK) {
            return st;
        }
        total += row.count;
    }
    out->bytes = malloc(total + 1);
    if (out->bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(out->bytes, note.bytes, note.count);
    size_t at = note.count;
    for (uint32_t i = 0; i < row_count; i++) {
        enum status st = store_charter_row(txn, key, i, &row);
        if (st != STATUS_OK) {
            return st;
        }
        memcpy(out->bytes + at, row.bytes, row.count);
        out->rows[i] = (struct view){out->bytes + at, row.count};
        at += row.count;
    }
    enum status st = charter_document_make((struct view){out->bytes, note.count}, out->rows,
                                           row_count, &out->d, reason);
    return st == STATUS_OK || st == STATUS_NO_MEMORY ? st : STATUS_CORRUPT;
}

/* Load all roots and the newest of the other kinds. */
static enum status
load_all(struct store_txn *txn, const char *network, struct loaded *list, size_t *count)
{
    struct store_charter_key key = {
        .network = text_view(network), .kind = STORE_CHARTER_ROOT, .version = UINT64_MAX};
    struct view note;
    uint32_t rows;
    *count = 0;
    enum status st = store_charter_newest(txn, &key, &note, &rows);
    uint64_t newest = key.version;
    for (uint64_t v = newest; st == STATUS_OK && v >= 1 && *count < DOCUMENTS_MAX - 4; v--) {
        key.version = v;
        st = store_charter_get(txn, &key, &note, &rows);
        if (st == STATUS_OK) {
            st = load_document(txn, &key, note, rows, &list[(*count)++]);
        }
    }
    if (st != STATUS_OK && (st != STATUS_NOT_FOUND || *count == 0)) {
        return st;
    }
    for (int kind = STORE_CHARTER_MEMBERS; kind <= STORE_CHARTER_POLICY; kind++) {
        key.kind = (enum store_charter)kind;
        key.version = UINT64_MAX;
        st = store_charter_newest(txn, &key, &note, &rows);
        if (st == STATUS_OK) {
            st = load_document(txn, &key, note, rows, &list[(*count)++]);
        }
        if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
            return st;
        }
    }
    return STATUS_OK;
}

/* What gossip and publishing need to know of a new charter. */
static enum status
apply_charter(struct network *n)
{
    sodium_memzero(n->epochs, sizeof n->epochs);
    n->epoch_count = 0;
    size_t bad = 0;
    enum status st = charter_network_keys(n->charter, n->engine->institution, &n->keys.box,
                                          n->epochs, &n->epoch_count, &bad);
    if (st == STATUS_BAD_KEY) {
        engine_say(n->engine,
                   "%s: %zu network keys are not sealed to this home's box key; ask the "
                   "authority to build members from the current HOME/join",
                   n->name, bad);
    }
    n->publish.network_key = n->epoch_count == 0 ? NULL : &n->epochs[n->epoch_count - 1];
    if (n->gossip == NULL) {
        return STATUS_OK;
    }
    return gossip_take_charter(n->gossip, n->charter, engine_now_ms() / 1000);
}

enum status
engine_reload_charter(struct network *n, struct store_txn *txn)
{
    struct loaded *list = calloc(DOCUMENTS_MAX, sizeof *list);
    const struct charter_document *others[DOCUMENTS_MAX];
    struct charter *charter = NULL;
    char reason[CHARTER_REASON_CHARS] = "";
    size_t count = 0;
    if (list == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status st = load_all(txn, n->name, list, &count);
    const struct charter_document *trusted = NULL;
    size_t other_count = 0;
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        const struct charter_document *d = &list[i].d;
        if (d->head.kind == CHARTER_ROOT &&
            (trusted == NULL || d->head.version < trusted->head.version)) {
            if (trusted != NULL) {
                others[other_count++] = trusted;
            }
            trusted = d;
        } else {
            others[other_count++] = d;
        }
    }
    if (st == STATUS_OK && trusted != NULL) {
        st = charter_load(trusted, others, other_count, &charter, reason);
    }
    if (st == STATUS_OK && charter != NULL) {
        charter_free(n->charter);
        n->charter = charter;
        st = apply_charter(n);
    } else if (reason[0] != '\0') {
        engine_say(n->engine, "%s: the charter in this home: %s", n->name, reason);
    }
    for (size_t i = 0; i < count; i++) {
        loaded_free(&list[i]);
    }
    free(list);
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
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
    struct charter_step *steps;
    struct charter *after;
};

static void
adopt_free(struct adopt_run *run)
{
    for (size_t i = 0; run->documents != NULL && i < run->document_count; i++) {
        charter_document_free(&run->documents[i]);
    }
    charter_free(run->after);
    free(run->documents);
    free(run->steps);
    free(run);
}

static enum status
write_step(struct store_txn *txn, struct adopt_run *run, const struct charter_step *step)
{
    const struct charter_document *d = &run->documents[step->document];
    struct store_charter_key key = {text_view(run->network->name),
                                    (enum store_charter)(d->head.kind + 1), d->head.version};
    if (step->status == STATUS_OK) {
        return store_charter_put(txn, &key, d->note, d->rows, d->row_count);
    }
    if (step->status == STATUS_EXISTS) {
        uint8_t *merged = malloc(NOTE_BYTES_MAX);
        size_t count;
        size_t added = 0;
        enum status st = STATUS_OK;
        if (merged != NULL && run->network->charter != NULL &&
            charter_merge(run->network->charter, d->note, merged, &count, &added) ==
                STATUS_OK &&
            added > 0) {
            st = store_charter_note_put(txn, &key, (struct view){merged, count});
        }
        free(merged);
        return st;
    }
    return store_refused_put(txn, key.network, step->status, d->note);
}

static enum status
write_adopt(struct store_txn *txn, void *ctx)
{
    struct adopt_run *run = ctx;
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < run->document_count; i++) {
        st = write_step(txn, run, &run->steps[i]);
    }
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
        engine_text(sink, true, "huren: charter adopt: nothing was adopted: %s\n",
                    status_text(st));
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
        const struct charter_document *d = &run->documents[s->document];
        bool ok = s->status == STATUS_OK || s->status == STATUS_EXISTS;
        engine_text(sink, !ok, "%s%s %s version %llu: %s%s%s\n",
                    ok ? "" : "huren: charter adopt: ", n->name,
                    charter_kind_text(d->head.kind), (unsigned long long)d->head.version,
                    s->status == STATUS_OK       ? "adopted"
                    : s->status == STATUS_EXISTS ? "in hand already"
                                                 : "refused",
                    s->reason[0] == '\0' ? "" : ": ", s->reason);
        exit_code = ok ? exit_code : 1;
        if (s->status == STATUS_OK) {
            engine_log_adopted(n, &d->head);
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
    adopt_free(run);
    sink->done(sink->ctx, exit_code);
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
    const struct charter_document *list[DOCUMENTS_MAX];
    enum status st =
        run->documents == NULL || run->steps == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < call->blob_count; i++) {
        st = charter_document_decode(call->blobs[i], &run->documents[i], reason);
        list[i] = &run->documents[i];
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
    st =
        charter_adopt_plan(run->network->charter, run->network->name, list, run->document_count,
                           engine_now_ms() / 1000, run->steps, &run->after);
    if (st != STATUS_OK) {
        engine_text(sink, true, "huren: charter adopt: %s\n", status_text(st));
        adopt_free(run);
        sink->done(sink->ctx, 2);
        return;
    }
    uint64_t bytes = 8192;
    for (size_t i = 0; i < call->blob_count; i++) {
        bytes += 2 * call->blobs[i].count;
    }
    run->job = (struct job){.purpose = STORE_PUBLISH,
                            .bytes = bytes,
                            .write = write_adopt,
                            .done = adopt_done,
                            .ctx = run};
    engine_write(e, &run->job);
}
