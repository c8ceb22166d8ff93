/* engine_pack_io.c: packs and annexes that the charter names by hash, as data.
 *
 * A pack rests as three blobs: its five lines (pack_file.h), whose SHA-256 the
 * charter's policy row names, then rules and vectors, which the lines name.
 * What is missing is asked of the members through gossip; what is whole is
 * compiled, run against its own vectors, and used or refused, and said. */
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/decision_input.h"
#include "node/engine.h"
#include "node/pack_file.h"
#include "node/policy_home_io.h"
#include "store/charter.h"
#include "store/kv.h"

enum { REFUSALS_MAX = 64, WANTS_MAX = 32, FILES_MAX = 16, HEX_CHARS = 2 * HASH_BYTES + 1 };

/* Packs that this node must not use: each is judged and told once a start. */
struct refusal {
    struct hash address;
    char why[PACK_REASON_CHARS];
};
struct pack_refusals {
    size_t count;
    struct refusal at[REFUSALS_MAX];
};

static const struct refusal *
refusal_of(const struct engine *e, const struct hash *address)
{
    for (size_t i = 0; e->refusals != NULL && i < e->refusals->count; i++) {
        if (hash_equal(&e->refusals->at[i].address, address)) {
            return &e->refusals->at[i];
        }
    }
    return NULL;
}

void
engine_packs_free(struct engine *e)
{
    free(e->refusals);
    e->refusals = NULL;
}

/* ---- evidence: two texts of one version ---------------------------------------------- */

struct evidence_job {
    struct job job;
    struct network *network;
    size_t count;
    uint8_t head[PACK_HEAD_BYTES_MAX];
};

static enum status
write_evidence(struct store_txn *txn, void *ctx)
{
    struct evidence_job *j = ctx;
    struct view name = {(const uint8_t *)j->network->name, strlen(j->network->name)};
    return store_refused_put(txn, name, STATUS_FORK, (struct view){j->head, j->count});
}

static void
evidence_done(void *ctx, enum status st)
{
    (void)st;
    free(ctx);
}

/* The lines among the refused documents; rules and vectors are blobs for ever. */
static void
keep_evidence(struct network *n, struct view head)
{
    struct evidence_job *j = calloc(1, sizeof *j);
    if (j == NULL || head.count > sizeof j->head) {
        free(j);
        return;
    }
    j->network = n;
    j->count = head.count;
    memcpy(j->head, head.bytes, head.count);
    j->job = (struct job){.purpose = STORE_PUBLISH,
                          .bytes = 4096,
                          .write = write_evidence,
                          .done = evidence_done,
                          .ctx = j};
    engine_write(n->engine, &j->job);
}

static void
refuse(struct network *n, const struct hash *address, const char *pack, enum status st,
       const char *why, struct view head)
{
    struct engine *e = n->engine;
    if (e->refusals == NULL) {
        e->refusals = calloc(1, sizeof *e->refusals);
    }
    engine_say(e, "%s: pack %s of the charter is REFUSED and not used: %s", n->name, pack,
               why[0] != '\0' ? why : status_text(st));
    if (e->refusals != NULL && e->refusals->count < REFUSALS_MAX) {
        struct refusal *r = &e->refusals->at[e->refusals->count++];
        r->address = *address;
        snprintf(r->why, sizeof r->why, "%s", why[0] != '\0' ? why : status_text(st));
    }
    if (st == STATUS_FORK) {
        keep_evidence(n, head);
    }
}

/* ---- start ------------------------------------------------------------------------------ */

enum status
engine_packs_open(struct engine *e, char *error, size_t error_bytes)
{
    struct store_txn *txn;
    enum status st = store_begin_read(e->store, &txn);
    if (st == STATUS_OK) {
        st = policy_home_add(txn, e->policy);
        store_abort(txn);
    }
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "reading the packs of %s: %s", e->path, status_text(st));
    }
    return st;
}

/* ---- for others: packs of this binary as blobs ------------------------------------------- */

struct share_job {
    struct job job;
    struct engine *engine;
    size_t count;
    size_t packs[FILES_MAX]; /* indexes in the set */
};

static enum status
put_blobs(struct store_txn *txn, struct pack_file *f)
{
    char head[PACK_HEAD_BYTES_MAX];
    struct hash hash;
    size_t count;
    enum status st = pack_file_head(f, head, &count);
    st = st == STATUS_OK
             ? store_blob_put(txn, (struct view){(const uint8_t *)head, count}, &hash)
             : st;
    st = st == STATUS_OK ? store_blob_put(txn, f->rules, &hash) : st;
    return st == STATUS_OK && f->vectors.count > 0 ? store_blob_put(txn, f->vectors, &hash)
                                                   : st;
}

static enum status
write_shared(struct store_txn *txn, void *ctx)
{
    struct share_job *j = ctx;
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < j->count; i++) {
        struct pack_file f;
        st = policy_set_file(j->engine->policy, j->packs[i], &f);
        st = st == STATUS_OK ? put_blobs(txn, &f) : st;
    }
    return st;
}

static void
share_done(void *ctx, enum status st)
{
    (void)st; /* not shared now: tried again at the next look */
    free(ctx);
}

/* Members whose version of huren does not carry a pack of the charter ask for its
 * blobs: what is in hand and is not one yet becomes one. */
static void
share(struct network *n, struct store_txn *txn)
{
    struct engine *e = n->engine;
    struct share_job *j = calloc(1, sizeof *j);
    struct hash address;
    struct view unused;
    uint64_t bytes = 65536;
    for (size_t i = 0; j != NULL && i < charter_pack_count(n->charter); i++) {
        size_t at = decision_pack(e->policy, charter_pack_at(n->charter, i));
        if (at == SIZE_MAX || j->count == FILES_MAX) {
            continue;
        }
        memcpy(address.bytes, policy_set_hash(e->policy, at), HASH_BYTES);
        if (store_blob_get(txn, &address, &unused) == STATUS_NOT_FOUND) {
            j->packs[j->count++] = at;
            bytes += policy_set_text(e->policy, at).size +
                     policy_set_vectors(e->policy, at).count + 8192;
        }
    }
    if (j == NULL || j->count == 0) {
        free(j);
        return;
    }
    j->engine = e;
    j->job = (struct job){.purpose = STORE_PUBLISH,
                          .bytes = bytes,
                          .write = write_shared,
                          .done = share_done,
                          .ctx = j};
    engine_write(e, &j->job);
}

/* ---- looking --------------------------------------------------------------------------- */

struct look {
    struct network *network;
    struct store_txn *txn;
    size_t want_count;
    struct hash wants[WANTS_MAX];
};

static bool
is_held(const struct engine *e, const char *pack, const struct hash *address, bool annex)
{
    return annex ? policy_set_annex(e->policy, pack, address->bytes) != NULL
                 : policy_set_find_hash(e->policy, address->bytes) != SIZE_MAX;
}

/* A blob of the home; one that is not there is noted as wanted. */
static enum status
blob_or_want(struct look *l, const struct hash *hash, struct view *out)
{
    enum status st = store_blob_get(l->txn, hash, out);
    if (st == STATUS_NOT_FOUND && l->want_count < WANTS_MAX) {
        l->wants[l->want_count++] = *hash;
    }
    return st;
}

static enum status
add_parts(struct engine *e, struct view head, struct view rules, struct view vectors,
          char *error, size_t error_bytes)
{
    uint8_t *file;
    size_t count;
    struct hash address;
    enum status st = pack_file_join(head, rules, vectors, &file, &count);
    if (st == STATUS_OK) {
        st = policy_set_add_file(e->policy, (struct view){file, count}, NULL, 0, &address,
                                 error, error_bytes);
    }
    free(file);
    return st;
}

static void
look_at(struct look *l, const char *pack, const uint8_t *hash, bool annex)
{
    struct engine *e = l->network->engine;
    struct hash address;
    struct pack_head head;
    struct view lines;
    struct view rules;
    struct view vectors = {NULL, 0};
    char error[PACK_REASON_CHARS] = "";
    memcpy(address.bytes, hash, HASH_BYTES);
    if (is_held(e, pack, &address, annex) || refusal_of(e, &address) != NULL ||
        blob_or_want(l, &address, &lines) != STATUS_OK) {
        return;
    }
    enum status st = pack_head_decode(lines, &head);
    if (st == STATUS_OK && (head.annex != annex || strcmp(head.id, pack) != 0)) {
        snprintf(error, sizeof error, "the hash names %s %s", head.annex ? "the annex of" : "",
                 head.id);
        st = STATUS_MALFORMED;
    }
    if (st != STATUS_OK) {
        refuse(l->network, &address, pack, st, error, lines);
        return;
    }
    st = blob_or_want(l, &head.rules, &rules);
    enum status other =
        head.vectors_bytes == 0 ? STATUS_OK : blob_or_want(l, &head.vectors, &vectors);
    if (st != STATUS_OK || other != STATUS_OK) {
        return;
    }
    st = add_parts(e, lines, rules, vectors, error, sizeof error);
    if (st == STATUS_OK) {
        engine_say(e, "%s: %s %s version %" PRIu32 " of the charter is in hand%s",
                   l->network->name, annex ? "annex of pack" : "pack", head.id, head.version,
                   annex ? "" : ", its vectors passed");
    } else if (st != STATUS_NO_MEMORY && st != STATUS_EXISTS) {
        refuse(l->network, &address, pack, st, error, lines);
    }
}

void
engine_packs_look(struct network *n)
{
    struct look l = {.network = n};
    if (n->charter == NULL || store_begin_read(n->engine->store, &l.txn) != STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < charter_pack_count(n->charter); i++) {
        const Hr__PolicyRow *row = charter_pack_at(n->charter, i);
        if (row->hash.len == HASH_BYTES) {
            look_at(&l, row->pack, row->hash.data, false);
        }
        for (size_t k = 0; k < row->n_annexes; k++) {
            if (row->annexes[k]->hash.len == HASH_BYTES) {
                look_at(&l, row->pack, row->annexes[k]->hash.data, true);
            }
        }
    }
    share(n, l.txn);
    store_abort(l.txn);
    for (size_t i = 0; n->gossip != NULL && i < l.want_count; i++) {
        struct gossip_event event = {.type = GOSSIP_WANT_BLOB, .hash = l.wants[i]};
        engine_gossip(n, &event);
    }
}

/* ---- status ------------------------------------------------------------------------------ */

static void
add_state(struct network *n, json_t *list, const Hr__PolicyRow *row, const uint8_t *hash,
          bool annex)
{
    struct hash address;
    char hex[HEX_CHARS];
    memcpy(address.bytes, hash, HASH_BYTES);
    sodium_bin2hex(hex, sizeof hex, hash, HASH_BYTES);
    const struct refusal *r = refusal_of(n->engine, &address);
    bool held = is_held(n->engine, row->pack, &address, annex);
    const char *why = held        ? ""
                      : r != NULL ? r->why
                                  : "asked of the members; whoever has the file gives it with "
                                    "huren policy adopt";
    json_array_append_new(list, json_pack("{s:s,s:s,s:b,s:s,s:s,s:s}", "pack", row->pack,
                                          "hash", hex, "annex", annex, "in_force_from",
                                          row->in_force_from, "state",
                                          held        ? "held"
                                          : r != NULL ? "refused"
                                                      : "missing",
                                          "reason", why));
}

json_t *
engine_packs_json(struct network *n)
{
    json_t *list = json_array();
    for (size_t i = 0; n->charter != NULL && i < charter_pack_count(n->charter); i++) {
        const Hr__PolicyRow *row = charter_pack_at(n->charter, i);
        if (row->hash.len == HASH_BYTES) {
            add_state(n, list, row, row->hash.data, false);
        }
        for (size_t k = 0; k < row->n_annexes; k++) {
            if (row->annexes[k]->hash.len == HASH_BYTES) {
                add_state(n, list, row, row->annexes[k]->hash.data, true);
            }
        }
    }
    return list;
}

/* ---- pack-adopt: files from an operator -------------------------------------------------- */

struct adopt_run {
    struct job job;
    struct engine *engine;
    struct call_sink *sink;
    bool json;
    size_t count;
    struct pack_file files[FILES_MAX]; /* point into the call's blobs */
    enum status status[FILES_MAX];
    char why[FILES_MAX][PACK_REASON_CHARS];
};

/* Kept also when refused: another text of this version is evidence, and a pack
 * that fails here may be right for nodes of another version. */
static bool
is_kept(enum status st)
{
    return st == STATUS_OK || st == STATUS_EXISTS || st == STATUS_FORK || st == STATUS_REFUSED;
}

static enum status
write_files(struct store_txn *txn, void *ctx)
{
    struct adopt_run *run = ctx;
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < run->count; i++) {
        struct pack_file *f = &run->files[i];
        char head[PACK_HEAD_BYTES_MAX];
        size_t count;
        if (!is_kept(run->status[i])) {
            continue;
        }
        st = put_blobs(txn, f);
        st = st == STATUS_OK ? pack_file_head(f, head, &count) : st;
        if (st != STATUS_OK) {
            return st;
        }
        struct view lines = {(const uint8_t *)head, count};
        if (st == STATUS_OK && run->status[i] != STATUS_FORK) {
            st = policy_home_note(txn, &f->address);
        }
        for (size_t k = 0;
             st == STATUS_OK && run->status[i] == STATUS_FORK && k < run->engine->network_count;
             k++) {
            const char *name = run->engine->networks[k].name;
            st = store_refused_put(txn, (struct view){(const uint8_t *)name, strlen(name)},
                                   STATUS_FORK, lines);
        }
    }
    return st;
}

static void
print_file(const struct adopt_run *run, size_t i)
{
    const struct pack_file *f = &run->files[i];
    enum status st = run->status[i];
    bool good = st == STATUS_OK || st == STATUS_EXISTS;
    char hex[HEX_CHARS];
    sodium_bin2hex(hex, sizeof hex, f->address.bytes, HASH_BYTES);
    if (run->json) {
        json_t *o = json_pack("{s:s,s:I,s:b,s:s,s:s,s:s,s:s}", "pack", f->id, "version",
                              (json_int_t)f->version, "annex", f->annex, "address", hex,
                              "result", good ? "adopted" : "refused", "status", status_text(st),
                              "reason", run->why[i]);
        engine_json(run->sink, o);
        json_decref(o);
    } else if (good) {
        engine_text(run->sink, false,
                    "%s %s version %" PRIu32 ": in this home; a policy document puts it into "
                    "force by its address\n  %s\n",
                    f->annex ? "annex of" : "pack", f->id, f->version, hex);
    } else {
        engine_text(run->sink, true, "huren: policy adopt: refused: %s%s\n", run->why[i],
                    is_kept(st) ? "; kept as evidence, not used" : "");
    }
}

static void
adopt_done(void *ctx, enum status st)
{
    struct adopt_run *run = ctx;
    struct call_sink *sink = run->sink;
    int exit_code = 0;
    if (st != STATUS_OK) {
        char why[ENGINE_ROOM_CHARS];
        engine_text(sink, true, "huren: policy adopt: nothing was kept: %s\n",
                    engine_why(run->engine, st, why));
        exit_code = 2;
    }
    for (size_t i = 0; st == STATUS_OK && i < run->count; i++) {
        print_file(run, i);
        if (run->status[i] != STATUS_OK && run->status[i] != STATUS_EXISTS) {
            exit_code = exit_code == 0 ? 1 : exit_code;
        }
    }
    for (size_t i = 0; st == STATUS_OK && i < run->engine->network_count; i++) {
        engine_packs_look(&run->engine->networks[i]);
    }
    free(run);
    sink->done(sink->ctx, exit_code);
}

void
engine_pack_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    struct adopt_run *run = calloc(1, sizeof *run);
    uint64_t bytes = 65536;
    if (run == NULL || call->blob_count == 0 || call->blob_count > FILES_MAX) {
        engine_text(sink, true, "huren: policy adopt: name 1 to %d files\n", FILES_MAX);
        free(run);
        sink->done(sink->ctx, 2);
        return;
    }
    run->engine = e;
    run->sink = sink;
    run->json = json_is_true(json_object_get(call->args, "json"));
    for (; run->count < call->blob_count; run->count++) {
        size_t i = run->count;
        struct hash address;
        run->status[i] = pack_file_decode(call->blobs[i], &run->files[i]);
        if (run->status[i] != STATUS_OK) {
            const char *file =
                json_string_value(json_array_get(json_object_get(call->args, "files"), i));
            engine_text(sink, true, "huren: policy adopt: %s: %s; nothing was adopted\n",
                        file == NULL ? "file" : file,
                        run->status[i] == STATUS_UNSUPPORTED
                            ? "not a pack that huren policy build wrote"
                            : status_text(run->status[i]));
            free(run);
            sink->done(sink->ctx, 1);
            return;
        }
        run->status[i] = policy_set_add_file(e->policy, call->blobs[i], NULL, 0, &address,
                                             run->why[i], sizeof run->why[i]);
        bytes += call->blobs[i].count + 8192;
    }
    run->job = (struct job){.purpose = STORE_PUBLISH,
                            .bytes = bytes,
                            .write = write_files,
                            .done = adopt_done,
                            .ctx = run};
    engine_write(e, &run->job);
}
