#include "node/range.h"

#include <string.h>

#include "crypto/tile.h"
#include "node/origin.h"
#include "proto/frame.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"
#include "store/charter.h"
#include "store/kv.h"
#include "store/log.h"

enum {
    /* Raw bytes in one answer: the header message and the frame's head fit beside. */
    RANGE_RAW_BYTES_MAX = FRAME_BYTES_MAX - 4096,
    RANGE_RECORDS_MAX = 256,
    BLOB_PIECE_BYTES = 512 * 1024,
    ARENA_BYTES = 4096,
};

static enum status
send(struct gossip_update *u, uint32_t session, uint32_t request, uint8_t kind,
     const ProtobufCMessage *m, struct view raw)
{
    return gossip_update_send(u, session, request, (uint8_t)(kind | FRAME_ANSWER), true, m,
                              raw);
}

enum status
range_refuse(uint32_t session, uint32_t request, uint8_t kind, enum status why,
             struct gossip_update *u)
{
    const struct view none = {0};
    Hr__HeadTell head;
    hr__head_tell__init(&head);
    Hr__RangeTell range;
    hr__range_tell__init(&range);
    Hr__CharterTell charter;
    hr__charter_tell__init(&charter);
    Hr__BlobTell blob;
    hr__blob_tell__init(&blob);
    Hr__Frontier frontier;
    hr__frontier__init(&frontier);
    head.status = range.status = charter.status = blob.status = (uint32_t)why;
    switch (kind) {
    case FRAME_HEAD:
        return send(u, session, request, kind, &head.base, none);
    case FRAME_RANGE:
        return send(u, session, request, kind, &range.base, none);
    case FRAME_CHARTER:
        return send(u, session, request, kind, &charter.base, none);
    case FRAME_BLOB:
        return send(u, session, request, kind, &blob.base, none);
    default:
        return send(u, session, request, kind, &frontier.base, none);
    }
}

bool
range_entry_sealed(struct view entry, struct hash *sealed)
{
    uint8_t memory[ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    bool found = false;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__pub_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &m) ==
        STATUS_OK) {
        const Hr__PubEntry *e = (const Hr__PubEntry *)m;
        const ProtobufCBinaryData *hash = NULL;
        if (e->what_case == HR__PUB_ENTRY__WHAT_PUBLISH && e->publish->brief.len > 0) {
            hash = &e->publish->sealed;
        } else if (e->what_case == HR__PUB_ENTRY__WHAT_CORRECT && e->correct->brief.len > 0) {
            hash = &e->correct->sealed;
        }
        if (hash != NULL && hash->len == HASH_BYTES) {
            memcpy(sealed->bytes, hash->data, HASH_BYTES);
            found = true;
        }
    }
    pb_free(&arena);
    return found;
}

/* The log, if this asker may read it; *size is what may be served of it. */
static enum status
find_log(struct store_txn *t, const struct range_asker *asker, const char *name,
         struct store_log *log, struct origin *origin)
{
    struct view text = view_of_text(name);
    enum status st = origin_parse(text, origin);
    if (st != STATUS_OK || strcmp(origin->network, asker->network) != 0) {
        return STATUS_NOT_FOUND;
    }
    return store_log_find(t, text, log);
}

static bool
may_read(const struct range_asker *asker, const struct origin *origin)
{
    return origin->log == ORIGIN_PUB || asker->auditor ||
           strcmp(origin->institution, asker->institution) == 0;
}

static enum status
answer_head(struct store_txn *t, const struct range_asker *asker, const Hr__HeadAsk *ask,
            Hr__HeadTell *tell)
{
    struct store_log log;
    struct origin origin;
    tell->origin = ask->origin;
    if (find_log(t, asker, ask->origin, &log, &origin) != STATUS_OK) {
        return STATUS_OK; /* no notes: nothing is known here */
    }
    struct view note;
    if ((log.flags & STORE_LOG_FROZEN) != 0 &&
        gossip_fork_proof(t, asker->network, log.origin, &note)) {
        tell->fork = (ProtobufCBinaryData){note.count, (uint8_t *)(uintptr_t)note.bytes};
        if (store_note_get(t, log.id, STORE_NOTE_OFFERED, &note) == STATUS_OK &&
            note.count + tell->fork.len + 1024 <
                MESSAGE_BYTES_MAX) { /* what it is served up to */
            tell->cosigned =
                (ProtobufCBinaryData){note.count, (uint8_t *)(uintptr_t)note.bytes};
        }
        return STATUS_OK;
    }
    if (store_note_get(t, log.id, STORE_NOTE_HEAD, &note) == STATUS_OK) {
        tell->note = (ProtobufCBinaryData){note.count, (uint8_t *)(uintptr_t)note.bytes};
    }
    if (store_note_get(t, log.id, STORE_NOTE_OFFERED, &note) == STATUS_OK &&
        note.count + tell->note.len + 1024 < MESSAGE_BYTES_MAX) {
        tell->cosigned = (ProtobufCBinaryData){note.count, (uint8_t *)(uintptr_t)note.bytes};
    }
    return STATUS_OK;
}

/* Entries as a bundle, as many as fit. */
static enum status
answer_entries(struct store_txn *t, const struct store_log *log, const Hr__RangeAsk *ask,
               uint64_t size, struct gossip_update *u, struct view *raw, uint32_t *count)
{
    struct view entries[GOSSIP_ENTRIES_PER_RANGE_MAX];
    size_t got = 0, bytes = 0, used = 0;
    if (ask->count == 0 || ask->count > GOSSIP_ENTRIES_PER_RANGE_MAX) {
        return STATUS_TOO_BIG;
    }
    if (ask->from >= size) {
        return STATUS_NOT_FOUND;
    }
    size_t want = size - ask->from < ask->count ? (size_t)(size - ask->from) : ask->count;
    enum status st = store_entries_get(t, log->id, ask->from, want, entries, &got);
    if (st != STATUS_OK) {
        return st;
    }
    size_t fit = 0;
    while (fit < got && bytes + 2 + entries[fit].count <= RANGE_RAW_BYTES_MAX) {
        bytes += 2 + entries[fit].count;
        fit++;
    }
    uint8_t *out = gossip_update_take(u, bytes);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < fit; i++) {
        st = tile_bundle_add(entries[i], out, bytes, &used);
        if (st != STATUS_OK) {
            return st;
        }
    }
    *raw = (struct view){out, used};
    *count = (uint32_t)fit;
    return STATUS_OK;
}

static enum status
answer_records(struct store_txn *t, const struct range_asker *asker,
               const struct store_log *log, const struct origin *origin,
               const Hr__RangeAsk *ask, uint64_t size, struct gossip_update *u,
               struct view *raw, uint32_t *count)
{
    if (ask->count == 0 || ask->count > RANGE_RECORDS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (!asker->full || origin->log != ORIGIN_PUB) {
        return STATUS_REFUSED; /* they leave the issuer only in logged answers (DESIGN 5) */
    }
    if (ask->from >= size) {
        return STATUS_NOT_FOUND;
    }
    size_t want = size - ask->from < ask->count ? (size_t)(size - ask->from) : ask->count;
    struct view records[RANGE_RECORDS_MAX];
    size_t fit = 0, bytes = 0;
    for (; fit < want; fit++) {
        struct view entry;
        struct hash sealed;
        enum status st = store_entry_get(t, log->id, ask->from + fit, &entry);
        if (st != STATUS_OK) {
            return st;
        }
        records[fit] = (struct view){0};
        if (range_entry_sealed(entry, &sealed)) {
            st = store_record_get(t, log->id, ask->from + fit, &sealed, &records[fit]);
            if (st == STATUS_NOT_FOUND) {
                records[fit] = (struct view){0};
            } else if (st != STATUS_OK) {
                return st;
            }
        }
        if (bytes + 4 + records[fit].count > RANGE_RAW_BYTES_MAX) {
            break;
        }
        bytes += 4 + records[fit].count;
    }
    uint8_t *out = gossip_update_take(u, bytes);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint8_t *at = out;
    for (size_t i = 0; i < fit; i++) {
        frame_put_u32(at, (uint32_t)records[i].count);
        if (records[i].count > 0) {
            memcpy(at + 4, records[i].bytes, records[i].count);
        }
        at += 4 + records[i].count;
    }
    *raw = (struct view){out, bytes};
    *count = (uint32_t)fit;
    return STATUS_OK;
}

static enum status
answer_tile(struct store_txn *t, const struct store_log *log, const Hr__RangeAsk *ask,
            uint64_t size, struct gossip_update *u, struct view *raw, uint32_t *count)
{
    if (ask->level >= TILE_LEVELS || ask->count == 0 || ask->count > TILE_HASHES ||
        ask->from > TREE_SIZE_MAX) {
        return STATUS_TOO_BIG;
    }
    if (ask->count > tile_width(ask->level, ask->from, size)) {
        return STATUS_NOT_FOUND;
    }
    struct view hashes;
    enum status st =
        store_tile_get(t, log->id, ask->level, ask->from, (unsigned)ask->count, &hashes);
    if (st == STATUS_OK) {
        *raw = gossip_update_copy(u, hashes);
        *count = ask->count;
        st = raw->bytes == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    return st;
}

static enum status
answer_range(struct store_txn *t, const struct range_asker *asker, const Hr__RangeAsk *ask,
             struct gossip_update *u, struct view *raw, uint32_t *count)
{
    struct store_log log;
    struct origin origin;
    enum status st = find_log(t, asker, ask->origin, &log, &origin);
    if (st != STATUS_OK) {
        return st;
    }
    if (!may_read(asker, &origin)) {
        return STATUS_REFUSED;
    }
    uint64_t size = log.size;
    if ((log.flags & STORE_LOG_FROZEN) != 0 && log.serve_to < size) {
        size = log.serve_to;
    }
    switch (ask->what) {
    case 1:
        return answer_tile(t, &log, ask, size, u, raw, count);
    case 2:
        return answer_entries(t, &log, ask, size, u, raw, count);
    case 3:
        return answer_records(t, asker, &log, &origin, ask, size, u, raw, count);
    default:
        return STATUS_UNSUPPORTED;
    }
}

static enum status
charter_kind_of(const char *text, enum store_charter *kind)
{
    static const char *const names[] = {"root", "members", "quality", "policy"};
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *kind = (enum store_charter)(STORE_CHARTER_ROOT + i);
            return STATUS_OK;
        }
    }
    return STATUS_UNSUPPORTED;
}

/* ---- rows that changed against a base ---- */

enum {
    CHARTER_STEP_ROWS = RANGE_CHARTER_ROWS_MAX, /* looked at for one answer */
    CHARTER_AHEAD_ROWS = 1024                   /* so many rows may be gone at one place */
};

struct charter_pages {
    struct store_charter_key key, base;
    uint32_t rows;
    size_t bytes; /* of the answer so far */
};

/* Whether the asker's base is a version that is kept here, with that text. */
static bool
knows_base(struct store_txn *t, const Hr__CharterAsk *ask, struct charter_pages *p)
{
    struct view bytes;
    struct note note;
    struct hash hash;
    uint32_t rows;
    p->base = p->key;
    p->base.version = ask->base_version;
    if (ask->base_version == 0 || ask->base_hash.len != HASH_BYTES ||
        store_charter_get(t, &p->base, &bytes, &rows) != STATUS_OK ||
        note_parse(bytes, &note) != STATUS_OK) {
        return false;
    }
    sha256(note.text.bytes, note.text.count, &hash);
    return memcmp(hash.bytes, ask->base_hash.data, HASH_BYTES) == 0;
}

/* One row into the answer; STATUS_BUSY: it is full. */
static enum status
tell_row(struct store_txn *t, struct charter_pages *p, uint32_t number, Hr__CharterTell *tell)
{
    struct view row;
    enum status st = store_charter_row(t, &p->key, number, &row);
    if (st == STATUS_OK && p->bytes + row.count + 8 > MESSAGE_BYTES_MAX) {
        return STATUS_BUSY;
    }
    if (st == STATUS_OK) {
        p->bytes += row.count + 8;
        tell->rows[tell->n_rows++] =
            (ProtobufCBinaryData){row.count, (uint8_t *)(uintptr_t)row.bytes};
    }
    return st;
}

/* The run to go on with; NULL: no room in the answer. */
static Hr__CharterRun *
next_run(struct charter_pages *p, Hr__CharterTell *tell, Hr__CharterRun *runs, uint32_t from)
{
    if (p->bytes + 24 > MESSAGE_BYTES_MAX) {
        return NULL;
    }
    p->bytes += 24;
    Hr__CharterRun *run = &runs[tell->n_runs];
    hr__charter_run__init(run);
    run->from = from;
    tell->runs[tell->n_runs++] = run;
    return run;
}

/* Rows from ask->from_row on, as runs of the base and rows that it has not.  Both are
 * in order of their keys, so rows alike come in the same order. */
static enum status
tell_changed(struct store_txn *t, const Hr__CharterAsk *ask, struct charter_pages *p,
             struct gossip_update *u, Hr__CharterTell *tell)
{
    size_t fresh_count = CHARTER_STEP_ROWS, base_count = CHARTER_STEP_ROWS + CHARTER_AHEAD_ROWS;
    struct hash *now = gossip_update_take(u, fresh_count * sizeof *now);
    struct hash *base = gossip_update_take(u, base_count * sizeof *base);
    Hr__CharterRun *runs = gossip_update_take(u, (fresh_count + 1) * sizeof *runs), *run = NULL;
    tell->runs = gossip_update_take(u, (fresh_count + 1) * sizeof(Hr__CharterRun *));
    if (now == NULL || base == NULL || runs == NULL || tell->runs == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status st = store_charter_leaves(t, &p->key, ask->from_row, now, &fresh_count);
    st = st == STATUS_OK ? store_charter_leaves(t, &p->base, ask->base_from, base, &base_count)
                         : st;
    size_t b = 0; /* rows of the base below this one are behind us */
    for (size_t i = 0; st == STATUS_OK && i < fresh_count; i++) {
        size_t k = b,
               end = b + CHARTER_AHEAD_ROWS < base_count ? b + CHARTER_AHEAD_ROWS : base_count;
        while (k < end && !hash_equal(&base[k], &now[i])) {
            k++;
        }
        uint32_t at = ask->base_from + (uint32_t)(k < end ? k : b);
        bool goes_on =
            run != NULL && (k == end || (run->fresh == 0 && run->from + run->kept == at));
        if (!goes_on && (run = next_run(p, tell, runs, at)) == NULL) {
            break;
        }
        if (k < end) {
            run->kept++;
            b = k + 1;
        } else {
            st = tell_row(t, p, ask->from_row + (uint32_t)i, tell);
            run->fresh += st == STATUS_OK;
        }
    }
    if (tell->n_runs > 0 && run != NULL && run->kept + run->fresh == 0) {
        tell->n_runs--; /* begun for a row that had no room */
    }
    return st == STATUS_BUSY ? STATUS_OK : st;
}

static enum status
answer_charter(struct store_txn *t, const struct range_asker *asker, const Hr__CharterAsk *ask,
               struct gossip_update *u, Hr__CharterTell *tell)
{
    struct charter_pages p = {
        .key = {.network = view_of_text(asker->network), .version = ask->version},
        .bytes = 256}; /* the other fields */
    struct view note;
    enum status st = charter_kind_of(ask->kind, &p.key.kind);
    if (st == STATUS_OK) {
        st = store_charter_get(t, &p.key, &note, &p.rows);
    }
    if (st != STATUS_OK) {
        return st;
    }
    if (!ask->rows_only) {
        tell->note = (ProtobufCBinaryData){note.count, (uint8_t *)(uintptr_t)note.bytes};
        p.bytes += note.count + 8;
    }
    tell->rows_total = p.rows;
    tell->from_row = ask->from_row;
    size_t most = ask->from_row < p.rows ? p.rows - ask->from_row : 0;
    if (most > MESSAGE_FIELDS_MAX / 2) {
        most = MESSAGE_FIELDS_MAX / 2;
    }
    tell->rows = gossip_update_take(u, (most + 1) * sizeof tell->rows[0]);
    if (tell->rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (knows_base(t, ask, &p)) {
        return tell_changed(t, ask, &p, u, tell);
    }
    while (st == STATUS_OK && tell->n_rows < most) {
        st = tell_row(t, &p, ask->from_row + (uint32_t)tell->n_rows, tell);
    }
    return st == STATUS_BUSY ? STATUS_OK : st;
}

static enum status
answer_blob(struct store_txn *t, const Hr__BlobAsk *ask, struct gossip_update *u,
            Hr__BlobTell *tell, struct view *raw)
{
    struct hash hash;
    struct view blob;
    if (ask->hash.len != HASH_BYTES) {
        return STATUS_MALFORMED;
    }
    memcpy(hash.bytes, ask->hash.data, HASH_BYTES);
    enum status st = store_blob_get(t, &hash, &blob);
    if (st != STATUS_OK) {
        return st;
    }
    if (ask->from > blob.count) {
        return STATUS_NOT_FOUND;
    }
    tell->size = blob.count;
    size_t left = blob.count - (size_t)ask->from;
    *raw =
        gossip_update_copy(u, (struct view){blob.bytes + ask->from,
                                            left < BLOB_PIECE_BYTES ? left : BLOB_PIECE_BYTES});
    return raw->bytes == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status
answer(struct store_txn *t, const struct range_asker *asker, uint32_t session, uint32_t request,
       uint8_t kind, const ProtobufCMessage *m, struct gossip_update *u)
{
    struct view raw = {0};
    enum status st = STATUS_OK;
    Hr__HeadTell head;
    hr__head_tell__init(&head);
    Hr__RangeTell range;
    hr__range_tell__init(&range);
    Hr__CharterTell charter;
    hr__charter_tell__init(&charter);
    Hr__BlobTell blob;
    hr__blob_tell__init(&blob);
    const ProtobufCMessage *out = NULL;
    switch (kind) {
    case FRAME_HEAD:
        st = answer_head(t, asker, (const Hr__HeadAsk *)m, &head);
        out = &head.base;
        break;
    case FRAME_RANGE:
        st = answer_range(t, asker, (const Hr__RangeAsk *)m, u, &raw, &range.count);
        range.status = (uint32_t)st;
        out = &range.base;
        break;
    case FRAME_CHARTER:
        st = answer_charter(t, asker, (const Hr__CharterAsk *)m, u, &charter);
        charter.status = (uint32_t)st;
        out = &charter.base;
        break;
    default:
        st = answer_blob(t, (const Hr__BlobAsk *)m, u, &blob, &raw);
        blob.status = (uint32_t)st;
        out = &blob.base;
        break;
    }
    if (st == STATUS_NO_MEMORY) {
        return st;
    }
    if (st == STATUS_OK) {
        return send(u, session, request, kind, out, raw);
    }
    enum status refused = range_refuse(session, request, kind, st, u);
    return refused == STATUS_OK && (st == STATUS_TOO_BIG || st == STATUS_MALFORMED) ? st
                                                                                    : refused;
}

enum status
range_answer(struct store_txn *t, const struct range_asker *asker, uint32_t session,
             uint32_t request, uint8_t kind, struct view message, struct gossip_update *u,
             size_t *bytes)
{
    const ProtobufCMessageDescriptor *d = kind == FRAME_HEAD      ? &hr__head_ask__descriptor
                                          : kind == FRAME_RANGE   ? &hr__range_ask__descriptor
                                          : kind == FRAME_CHARTER ? &hr__charter_ask__descriptor
                                                                  : &hr__blob_ask__descriptor;
    uint8_t memory[ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    size_t before = u->count;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = pb_unpack(d, message, MESSAGE_BYTES_MAX, &arena, &m);
    if (st == STATUS_OK) {
        st = answer(t, asker, session, request, kind, m, u); /* it was told */
    } else if (st != STATUS_NO_MEMORY) {
        enum status refused = range_refuse(session, request, kind, st, u);
        st = refused == STATUS_OK ? st : refused;
    }
    *bytes =
        u->count > before ? u->actions[before].message.count + u->actions[before].raw.count : 0;
    pb_free(&arena);
    return st;
}
