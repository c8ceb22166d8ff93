/* engine_log_io.c: `log`: our logs in published formats. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/tile.h"
#include "crypto/tlogproof.h"
#include "node/engine.h"

static struct own_log *
own_log_of(struct network *n, const char *which)
{
    return which != NULL && strcmp(which, "pub") == 0    ? &n->pub
           : which != NULL && strcmp(which, "exch") == 0 ? &n->exch
                                                         : NULL;
}

/* The newest note of a log: ours signed now if the gate allows; with the
 * cosignatures if the cosigned head is as large. */
static enum status
newest_note(const struct own_log *log, struct store_txn *txn, bool want_cosigned,
            uint64_t covers, struct view *out)
{
    struct view head;
    struct view cosigned;
    struct note note;
    struct checkpoint h = {0};
    struct checkpoint c = {0};
    bool has_head = false;
    bool has_cosigned = false;
    enum status st = store_note_get(txn, log->id, STORE_NOTE_HEAD, &head);
    if (st == STATUS_OK && note_parse(head, &note) == STATUS_OK &&
        checkpoint_parse(note.text, &h) == STATUS_OK) {
        has_head = true;
    }
    st = store_note_get(txn, log->id, STORE_NOTE_COSIGNED, &cosigned);
    if (st == STATUS_OK && note_parse(cosigned, &note) == STATUS_OK &&
        checkpoint_parse(note.text, &c) == STATUS_OK) {
        has_cosigned = true;
    }
    if (has_cosigned && (!has_head || c.size >= h.size || (want_cosigned && c.size > covers))) {
        *out = cosigned;
        return STATUS_OK;
    }
    *out = head;
    return has_head ? STATUS_OK : STATUS_NOT_FOUND;
}

static enum status
print_proof(struct own_log *log, struct store_txn *txn, struct view note_bytes, uint64_t index,
            struct call_sink *sink)
{
    struct note note;
    struct checkpoint head;
    struct tlogproof proof = {.index = index, .checkpoint = note_bytes};
    uint8_t *out = malloc(NOTE_BYTES_MAX + 8192);
    size_t count;
    enum status st = out == NULL ? STATUS_NO_MEMORY : note_parse(note_bytes, &note);
    st = st == STATUS_OK ? checkpoint_parse(note.text, &head) : st;
    st = st == STATUS_OK ? store_prove_inclusion(txn, log->id, index, head.size, &head.root,
                                                 proof.hashes, &proof.hash_count)
                         : st;
    st = st == STATUS_OK ? tlogproof_encode(&proof, out, NOTE_BYTES_MAX + 8192, &count) : st;
    if (st == STATUS_OK) {
        sink->text(sink->ctx, false, (const char *)out, count);
    }
    free(out);
    return st;
}

/* ---- tiles ---- */

static enum status
send_tile(struct own_log *log, struct store_txn *txn, const struct tile *tile,
          struct call_sink *sink)
{
    char path[TILE_PATH_BYTES_MAX];
    struct view bytes;
    enum status st =
        store_tile_get(txn, log->id, tile->level, tile->index, tile->width, &bytes);
    if (st == STATUS_OK) {
        tile_path(tile, path);
        sink->blob(sink->ctx, path, bytes);
    }
    return st;
}

static enum status
send_bundle(struct own_log *log, struct store_txn *txn, const struct tile *tile, uint8_t *out,
            size_t max, struct call_sink *sink)
{
    char path[TILE_PATH_BYTES_MAX];
    struct view entry;
    size_t used = 0;
    enum status st = STATUS_OK;
    for (unsigned i = 0; st == STATUS_OK && i < tile->width; i++) {
        st = store_entry_get(txn, log->id, tile->index * TILE_HASHES + i, &entry);
        st = st == STATUS_OK ? tile_bundle_add(entry, out, max, &used) : st;
    }
    if (st == STATUS_OK) {
        tile_entries_path(tile->index, tile->width, path);
        sink->blob(sink->ctx, path, (struct view){out, used});
    }
    return st;
}

/* All tiles and bundles of the tree under the note, then the note itself. */
static enum status
send_tiles(struct own_log *log, struct store_txn *txn, struct view note_bytes,
           struct call_sink *sink)
{
    struct note note;
    struct checkpoint head;
    size_t room = TILE_HASHES * (ENTRY_BYTES_MAX + 2);
    uint8_t *out = malloc(room);
    enum status st = out == NULL ? STATUS_NO_MEMORY : note_parse(note_bytes, &note);
    st = st == STATUS_OK ? checkpoint_parse(note.text, &head) : st;
    uint64_t hashes = st == STATUS_OK ? head.size : 0;
    for (unsigned level = 0; st == STATUS_OK && hashes > 0; level++) {
        for (uint64_t i = 0; st == STATUS_OK && i * TILE_HASHES < hashes; i++) {
            uint64_t left = hashes - i * TILE_HASHES;
            struct tile tile = {level, i, left < TILE_HASHES ? (unsigned)left : TILE_HASHES};
            st = send_tile(log, txn, &tile, sink);
            if (st == STATUS_OK && level == 0) {
                st = send_bundle(log, txn, &tile, out, room, sink);
            }
        }
        hashes /= TILE_HASHES;
    }
    if (st == STATUS_OK) {
        sink->blob(sink->ctx, "checkpoint", note_bytes);
    }
    free(out);
    return st;
}

static void
print_vkey(const struct own_log *log, struct call_sink *sink)
{
    char vkey[NOTE_VKEY_BYTES_MAX];
    note_key_encode(&log->signer.key, vkey);
    engine_text(sink, false, "%s\n", vkey);
    sink->done(sink->ctx, 0);
}

void
engine_log_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    const char *what = json_string_value(json_object_get(call->args, "what"));
    struct network *n =
        engine_network(e, json_string_value(json_object_get(call->args, "network")));
    struct own_log *log =
        n == NULL ? NULL : own_log_of(n, json_string_value(json_object_get(call->args, "log")));
    if (log == NULL || what == NULL) {
        engine_text(sink, true,
                    "huren: log: no such log; name pub or exch, and the network with "
                    "--network if this home is in several\n");
        sink->done(sink->ctx, 2);
        return;
    }
    if (strcmp(what, "vkey") == 0) {
        print_vkey(log, sink);
        return;
    }
    struct store_txn *txn;
    struct view note;
    uint64_t index = (uint64_t)json_integer_value(json_object_get(call->args, "index"));
    bool prove = strcmp(what, "prove") == 0;
    bool signed_head = false;
    enum status st = store_begin_read(e->store, &txn);
    if (st == STATUS_OK) {
        st = newest_note(log, txn, prove, index, &note);
        signed_head = st == STATUS_OK;
        if (st == STATUS_OK && prove) {
            st = print_proof(log, txn, note, index, sink);
        } else if (st == STATUS_OK && strcmp(what, "tiles") == 0) {
            st = send_tiles(log, txn, note, sink);
        } else if (st == STATUS_OK) {
            sink->text(sink->ctx, false, (const char *)note.bytes, note.count);
        } else if (st == STATUS_NOT_FOUND) {
            engine_text(sink, true, "huren: log: %s has no signed head yet (%s)\n", log->origin,
                        n->gossip == NULL ? "no charter"
                                          : signgate_text(signgate_state(gossip_gate(n->gossip),
                                                                         log->origin)));
        }
        store_abort(txn);
    }
    if (prove && signed_head && st == STATUS_NOT_FOUND) {
        engine_text(sink, true, "huren: log: no signed head covers entry %" PRIu64 " of %s\n",
                    index, log->origin);
    } else if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        engine_text(sink, true, "huren: log: %s: %s\n", log->origin, status_text(st));
    }
    sink->done(sink->ctx, st == STATUS_OK ? 0 : st == STATUS_NOT_FOUND ? 1 : 2);
}
