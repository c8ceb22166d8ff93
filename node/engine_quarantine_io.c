/* engine_quarantine_io.c: records that could not be read, kept until they can.
 *
 * They are messages about patients, so they lie sealed under a key of the seed:
 * nonce || XChaCha20-Poly1305, nonce = keyed BLAKE2b of the record, so that the
 * same record is kept once. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"
#include "proto/text.h"
#include "store/kv.h"

enum {
    LIST_MAX = 64,                    /* records in one answer */
    LIST_BYTES_MAX = 8 * 1024 * 1024, /* the one that passes it is the last */
    HEX_CHARS = 2 * HASH_BYTES,
    FILE_CHARS_MAX = 180, /* of a file's name, as it is shown */
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    SEAL_BYTES = NONCE_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES
};

struct quarantine_run {
    struct job job;
    struct engine *engine;
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

static void
quarantine_key(const struct engine *e, uint8_t key[KEY_BYTES])
{
    static const char context[] = "huren quarantine v1";
    crypto_generichash(key, KEY_BYTES, (const uint8_t *)context, sizeof context - 1, e->seed,
                       sizeof e->seed);
}

/* Seal one record and keep it; *hash is what it is called from now on. */
static enum status
put_sealed(struct store_txn *txn, const uint8_t key[KEY_BYTES], struct view record,
           struct hash *hash)
{
    uint8_t *sealed = malloc(record.count + SEAL_BYTES);
    unsigned long long count;
    if (sealed == NULL) {
        return STATUS_NO_MEMORY;
    }
    crypto_generichash(sealed, NONCE_BYTES, record.bytes, record.count, key, KEY_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE_BYTES, &count, record.bytes,
                                               record.count, NULL, 0, NULL, sealed, key);
    enum status st =
        store_blob_put(txn, (struct view){sealed, NONCE_BYTES + (size_t)count}, hash);
    free(sealed);
    return st;
}

/* Open one; the caller wipes and frees *out.  STATUS_CORRUPT: not of this seed. */
static enum status
open_sealed(const uint8_t key[KEY_BYTES], struct view sealed, uint8_t **out, size_t *count)
{
    unsigned long long n;
    if (sealed.count < SEAL_BYTES) {
        return STATUS_CORRUPT;
    }
    uint8_t *record = malloc(sealed.count);
    if (record == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(record, &n, NULL, sealed.bytes + NONCE_BYTES,
                                                   sealed.count - NONCE_BYTES, NULL, 0,
                                                   sealed.bytes, key) != 0) {
        free(record);
        return STATUS_CORRUPT;
    }
    *out = record;
    *count = (size_t)n;
    return STATUS_OK;
}

static enum status
write_put(struct store_txn *txn, void *ctx)
{
    struct quarantine_run *run = ctx;
    struct hash hash;
    uint8_t key[KEY_BYTES];
    char *text = json_dumps(run->call.args, JSON_COMPACT);
    enum status st = text == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    quarantine_key(run->engine, key);
    for (size_t i = 0; st == STATUS_OK && i < run->call.blob_count; i++) {
        st = put_sealed(txn, key, run->call.blobs[i], &hash);
        st = st == STATUS_OK
                 ? store_kv_put(txn, SPACE_QUARANTINE, home_network,
                                (struct view){hash.bytes, HASH_BYTES}, text_view(text))
                 : st;
    }
    sodium_memzero(key, sizeof key);
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
        char why[ENGINE_ROOM_CHARS];
        engine_text(sink, true, "huren: import: the quarantine: %s\n",
                    engine_why(run->engine, st, why));
    }
    free(run);
    sink->done(sink->ctx, st == STATUS_OK ? 0 : 2);
}

static void
queue(struct engine *e, const struct call *call, struct call_sink *sink,
      enum store_purpose purpose, enum status (*write)(struct store_txn *txn, void *ctx))
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
    run->engine = e;
    run->call = *call;
    run->sink = sink;
    run->job = (struct job){
        .purpose = purpose, .bytes = bytes, .write = write, .done = run_done, .ctx = run};
    engine_write(e, &run->job);
}

void
engine_quarantine_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    queue(e, call, sink, STORE_PUBLISH, write_put);
}

void
engine_quarantine_drop_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    queue(e, call, sink, STORE_EXCHANGE, write_drop); /* it gives room back */
}

/* Send one record under "<hash> <file>", the name made fit to be shown. */
static enum status
send_record(struct store_txn *txn, const uint8_t key[KEY_BYTES], struct view name,
            struct view value, struct call_sink *sink, size_t *bytes)
{
    struct hash hash;
    struct view sealed;
    uint8_t *record;
    size_t count;
    char label[HEX_CHARS + 1 + FILE_CHARS_MAX + 1];
    memcpy(hash.bytes, name.bytes, HASH_BYTES);
    enum status st = store_blob_get(txn, &hash, &sealed);
    st = st == STATUS_OK ? open_sealed(key, sealed, &record, &count) : st;
    if (st != STATUS_OK) {
        return st;
    }
    json_t *o = json_loadb((const char *)value.bytes, value.count, 0, NULL);
    const char *file = json_string_value(json_object_get(o, "file"));
    to_hex(hash.bytes, label);
    label[HEX_CHARS] = ' ';
    text_show(text_view(file == NULL ? "?" : file), label + HEX_CHARS + 1, FILE_CHARS_MAX + 1);
    sink->blob(sink->ctx, label, (struct view){record, count});
    *bytes += count;
    json_decref(o);
    sodium_memzero(record, count);
    free(record);
    return STATUS_OK;
}

/* The records after the one named in args "after"; what cannot be read is said
 * and passed over. */
void
engine_quarantine_list_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    struct store_txn *txn;
    uint8_t key[KEY_BYTES];
    uint8_t after[HASH_BYTES];
    size_t count = 0;
    size_t bytes = 0;
    size_t after_count =
        from_hex(json_string_value(json_object_get(call->args, "after")), after) ? HASH_BYTES
                                                                                 : 0;
    enum status st = store_begin_read(e->store, &txn);
    if (st != STATUS_OK) {
        engine_text(sink, true, "huren: import: the quarantine: %s\n", status_text(st));
        sink->done(sink->ctx, 2);
        return;
    }
    quarantine_key(e, key);
    while (count < LIST_MAX && bytes < LIST_BYTES_MAX) {
        struct view name;
        struct view value;
        st = store_kv_next(txn, SPACE_QUARANTINE, home_network,
                           (struct view){after, after_count}, &name, &value);
        if (st != STATUS_OK || name.count != HASH_BYTES) {
            break;
        }
        memcpy(after, name.bytes, HASH_BYTES);
        after_count = HASH_BYTES;
        enum status one = send_record(txn, key, name, value, sink, &bytes);
        if (one != STATUS_OK) {
            engine_text(sink, true,
                        "huren: import: a record in quarantine is passed over: %s\n",
                        status_text(one));
        }
        count += one == STATUS_OK;
    }
    sodium_memzero(key, sizeof key);
    store_abort(txn);
    sink->done(sink->ctx, st == STATUS_OK || st == STATUS_NOT_FOUND ? 0 : 2);
}
