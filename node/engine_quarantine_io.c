/* engine_quarantine_io.c: records that could not be read, kept until they can. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"
#include "proto/text.h"
#include "store/kv.h"

enum { LIST_MAX = 64, HEX_CHARS = 2 * HASH_BYTES };

struct quarantine_run {
    struct job job;
    struct call call;
    struct call_sink *sink;
};

/* The names are hashes of the records; the home itself is their network. */
static const struct view home_network = {(const uint8_t *)"", 0};

static void
to_hex(const uint8_t *bytes, char out[HEX_CHARS + 1])
{
    for (size_t i = 0; i < HASH_BYTES; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

static bool
from_hex(const char *text, uint8_t out[HASH_BYTES])
{
    if (text == NULL || strlen(text) != HEX_CHARS) {
        return false;
    }
    for (size_t i = 0; i < HASH_BYTES; i++) {
        unsigned v;
        if (sscanf(text + 2 * i, "%2x", &v) != 1) {
            return false;
        }
        out[i] = (uint8_t)v;
    }
    return true;
}

static enum status
write_put(struct store_txn *txn, void *ctx)
{
    struct quarantine_run *run = ctx;
    struct hash hash;
    char *text = json_dumps(run->call.args, JSON_COMPACT);
    enum status st = text == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < run->call.blob_count; i++) {
        st = store_blob_put(txn, run->call.blobs[i], &hash);
        st = st == STATUS_OK
                 ? store_kv_put(txn, SPACE_QUARANTINE, home_network,
                                (struct view){hash.bytes, HASH_BYTES}, text_view(text))
                 : st;
    }
    free(text);
    return st;
}

static enum status
write_drop(struct store_txn *txn, void *ctx)
{
    struct quarantine_run *run = ctx;
    json_t *list = json_object_get(run->call.args, "hashes");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct hash hash;
        if (!from_hex(json_string_value(json_array_get(list, i)), hash.bytes)) {
            continue;
        }
        enum status st = store_kv_drop(txn, SPACE_QUARANTINE, home_network,
                                       (struct view){hash.bytes, HASH_BYTES});
        st = st == STATUS_OK ? store_blob_drop(txn, &hash) : st;
        if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
            return st;
        }
    }
    return STATUS_OK;
}

static void
run_done(void *ctx, enum status st)
{
    struct quarantine_run *run = ctx;
    struct call_sink *sink = run->sink;
    if (st != STATUS_OK) {
        engine_text(sink, true, "huren: import: the quarantine: %s\n", status_text(st));
    }
    free(run);
    sink->done(sink->ctx, st == STATUS_OK ? 0 : 2);
}

static void
queue(struct engine *e, const struct call *call, struct call_sink *sink,
      enum status (*write)(struct store_txn *txn, void *ctx))
{
    struct quarantine_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        engine_text(sink, true, "huren: import: %s\n", status_text(STATUS_NO_MEMORY));
        sink->done(sink->ctx, 2);
        return;
    }
    uint64_t bytes = 4096;
    for (size_t i = 0; i < call->blob_count; i++) {
        bytes += call->blobs[i].count;
    }
    run->call = *call;
    run->sink = sink;
    run->job = (struct job){
        .purpose = STORE_PUBLISH, .bytes = bytes, .write = write, .done = run_done, .ctx = run};
    engine_write(e, &run->job);
}

void
engine_quarantine_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    queue(e, call, sink, write_put);
}

void
engine_quarantine_drop_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    queue(e, call, sink, write_drop);
}

void
engine_quarantine_list_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    struct store_txn *txn;
    struct view name;
    struct view value;
    uint8_t after[HASH_BYTES];
    size_t after_count = 0;
    size_t count = 0;
    (void)call;
    enum status st = store_begin_read(e->store, &txn);
    while (st == STATUS_OK && count < LIST_MAX) {
        struct view bytes;
        struct hash hash;
        char label[HEX_CHARS + 300];
        st = store_kv_next(txn, SPACE_QUARANTINE, home_network,
                           (struct view){after, after_count}, &name, &value);
        if (st != STATUS_OK || name.count != HASH_BYTES) {
            break;
        }
        memcpy(after, name.bytes, HASH_BYTES);
        after_count = HASH_BYTES;
        memcpy(hash.bytes, name.bytes, HASH_BYTES);
        if (store_blob_get(txn, &hash, &bytes) != STATUS_OK) {
            continue;
        }
        json_t *o = json_loadb((const char *)value.bytes, value.count, 0, NULL);
        const char *file = json_string_value(json_object_get(o, "file"));
        to_hex(hash.bytes, label);
        snprintf(label + HEX_CHARS, sizeof label - HEX_CHARS, " %s", file == NULL ? "?" : file);
        sink->blob(sink->ctx, label, bytes);
        json_decref(o);
        count++;
    }
    if (st == STATUS_OK || st == STATUS_NOT_FOUND) {
        store_abort(txn);
        st = STATUS_OK;
    }
    sink->done(sink->ctx, st == STATUS_OK ? 0 : 2);
}
