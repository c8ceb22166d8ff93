/* The table of logs: what is stored of each, what is wanted, whom to ask. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/gossip_state.h"
#include "proto/frame.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"
#include "store/kv.h"

enum {
    LOGS_PER_INSTITUTION_MAX = 16,
    LOGS_OF_OURS_MAX = SIGNGATE_LOGS_MAX,
    STARVED_MS = 10 * 1000
};

static size_t
log_place(const struct gossip *g, struct view origin, bool *found)
{
    size_t low = 0, high = g->log_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        size_t n = strlen(g->logs[mid]->origin);
        int c = memcmp(g->logs[mid]->origin, origin.bytes, n < origin.count ? n : origin.count);
        if (c == 0 && n != origin.count) {
            c = n < origin.count ? -1 : 1;
        }
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *found = false;
    return low;
}

struct glog *
log_find(struct gossip *g, struct view origin)
{
    bool found = false;
    size_t i = origin.count == 0 ? 0 : log_place(g, origin, &found);
    return found ? g->logs[i] : NULL;
}

/* Entries of exchange logs go to auditors alone (DESIGN 7, range.h). */
bool
log_wants_entries(const struct gossip *g, const struct glog *log)
{
    if (log->frozen) {
        return false;
    }
    if (log->own) {
        return signgate_state(&g->gate, log->origin) == SIGNGATE_ROLLBACK;
    }
    return log->parts.log == ORIGIN_PUB || g->auditor;
}

struct glog *
log_add(struct step *s, struct view origin)
{
    struct gossip *g = s->g;
    struct origin parts;
    bool found = false;
    if (origin_parse(origin, &parts) != STATUS_OK || strcmp(parts.network, g->network) != 0) {
        return NULL;
    }
    size_t at = log_place(g, origin, &found);
    if (found) {
        return g->logs[at];
    }
    size_t same = 0;
    for (size_t i = 0; i < g->log_count; i++) {
        same += strcmp(g->logs[i]->parts.institution, parts.institution) == 0;
    }
    bool own = strcmp(parts.institution, g->institution) == 0;
    if (g->log_count >= LOGS_MAX ||
        same >= (own ? (size_t)LOGS_OF_OURS_MAX : LOGS_PER_INSTITUTION_MAX) ||
        (!own && member_find(g, parts.institution) == NULL)) {
        return NULL;
    }
    if (g->log_count == g->log_room) {
        size_t room = g->log_room == 0 ? 64 : 2 * g->log_room;
        struct glog **grown = realloc(g->logs, room * sizeof *grown);
        if (grown == NULL) {
            step_fail(s, STATUS_NO_MEMORY);
            return NULL;
        }
        g->logs = grown;
        g->log_room = room;
    }
    struct glog *log = calloc(1, sizeof *log);
    if (log == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return NULL;
    }
    memcpy(log->origin, origin.bytes, origin.count);
    log->parts = parts;
    log->own = own;
    log->offered_ms = log->pushed_ms = INT64_MIN / 2;
    memmove(g->logs + at + 1, g->logs + at, (g->log_count - at) * sizeof *g->logs);
    g->logs[at] = log;
    g->log_count++;
    return log;
}

void
log_free(struct glog *log)
{
    sync_close(log->sync);
    free(log->batch.entries);
    free(log->batch.leaves);
    free(log->missing);
    struct bytes *const owned[] = {&log->wanted,     &log->target,    &log->check,
                                   &log->offer,      &log->fork_ours, &log->fork_theirs,
                                   &log->fork_proof, &log->records};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        bytes_clear(owned[i]);
    }
    free(log);
}

const struct witness_keys *
log_keys(struct gossip *g, struct glog *log)
{
    if (log->keys_turn != g->keys_turn) {
        witness_author_keys(member_find(g, log->parts.institution), log->origin, &log->author);
        log->keys_turn = g->keys_turn;
        g->keys_for = NULL;
    }
    if (g->keys_for != log) {
        witness_keys_of_log(&log->author, log->parts.institution, &g->witnesses, &g->keys);
        g->keys_for = log;
    }
    return &g->keys;
}

enum status
log_root_at(struct step *s, const struct glog *log, uint64_t size, struct hash *root)
{
    if (size == 0) {
        tree_empty_root(root);
        return STATUS_OK;
    }
    if (!log->in_store || size > log->size) {
        return STATUS_NOT_FOUND;
    }
    return store_root_at(s->e->txn, log->id, size, root);
}

/* ---- what is stored -------------------------------------------------------- */

static void
load_notes(struct step *s, struct glog *log)
{
    struct gossip *g = s->g;
    const struct witness_keys *keys = log_keys(g, log);
    struct view origin = view_of_text(log->origin), note;
    struct witness_head head;
    int64_t now_s = s->e->now_s;
    log->has_head = log->has_offered = log->offered_mine = false;
    log->head_size = log->offered_size = log->cosigned_size = log->witnessed_size = 0;
    log->offered_n = log->cosigned_n = 0;
    log->offered_set = 0;
    if (store_note_get(s->e->txn, log->id, STORE_NOTE_HEAD, &note) == STATUS_OK &&
        witness_recall(note, origin, keys, now_s, &head) == STATUS_OK) {
        log->has_head = true;
        log->head_size = head.size;
        log->head_root = head.root;
    }
    if (store_note_get(s->e->txn, log->id, STORE_NOTE_OFFERED, &note) == STATUS_OK &&
        witness_recall(note, origin, keys, now_s, &head) == STATUS_OK) {
        log->has_offered = true;
        log->offered_size = head.size;
        log->offered_root = head.root;
        log->offered_n = head.cosigned;
        log->offered_set = head.present;
        for (size_t i = 0; i < keys->witness_count; i++) {
            /* Also one whose time has not come, after our clock went back: a
             * witness that did not know its own line would sign for ever (F8). */
            log->offered_mine =
                log->offered_mine ||
                ((head.present >> i & 1) != 0 && strcmp(keys->names[i], g->institution) == 0);
        }
    }
    if (store_note_get(s->e->txn, log->id, STORE_NOTE_COSIGNED, &note) == STATUS_OK &&
        witness_recall(note, origin, keys, now_s, &head) == STATUS_OK) {
        log->cosigned_size = head.size;
        log->cosigned_n = head.cosigned;
    }
    if (store_note_get(s->e->txn, log->id, STORE_NOTE_WITNESSED, &note) == STATUS_OK &&
        witness_recall(note, origin, keys, now_s, &head) == STATUS_OK) {
        log->witnessed_size = head.size;
    }
    /* A head that was being taken in when the process ended. */
    if (log->wanted.count == 0 && !log->own &&
        store_kv_get(s->e->txn, GOSSIP_KV_TARGET, view_of_text(g->network), origin, &note) ==
            STATUS_OK &&
        witness_recall(note, origin, keys, now_s, &head) == STATUS_OK &&
        head.size > log->head_size && bytes_set(&log->wanted, note)) {
        log->wanted_size = head.size;
        log->wanted_root = head.root;
        log->wanted_hops = 2;
    }
}

void
log_load(struct step *s, struct glog *log)
{
    struct store_log stored;
    enum status st = store_log_find(s->e->txn, view_of_text(log->origin), &stored);
    if (st == STATUS_NOT_FOUND) {
        return;
    }
    if (st != STATUS_OK) {
        step_fail(s, st);
        return;
    }
    log->in_store = true;
    log->id = stored.id;
    log->size = stored.size;
    log->frozen = (stored.flags & STORE_LOG_FROZEN) != 0;
    struct view proof;
    log->fork_shown = log->frozen && gossip_fork_proof(s->e->txn, s->g->network,
                                                       view_of_text(log->origin), &proof);
    load_notes(s, log);
    if (s->g->full && log->mark_stored == 0 && !log->own) {
        uint64_t mark = 0;
        if (store_kv_get_u64(s->e->txn, GOSSIP_KV_RECORDS, view_of_text(s->g->network),
                             view_of_text(log->origin), &mark) == STATUS_OK &&
            mark <= log->size) {
            log->mark_stored = log->records_to = mark;
        }
    }
    s->g->frontier_dirty = true;
}

void
logs_load(struct step *s)
{
    struct gossip *g = s->g;
    char after[ORIGIN_CHARS_MAX + 1];
    struct view from = {0};
    struct store_log stored;
    g->keys_for = NULL;
    for (;;) {
        enum status st = store_log_next(s->e->txn, from, &stored);
        if (st != STATUS_OK) {
            step_fail(s, st == STATUS_NOT_FOUND ? STATUS_OK : st);
            break;
        }
        assert(stored.origin.count <= ORIGIN_CHARS_MAX);
        memcpy(after, stored.origin.bytes, stored.origin.count);
        from = (struct view){(const uint8_t *)after, stored.origin.count};
        struct glog *log = log_add(s, from);
        if (log != NULL) {
            log_load(s, log);
            if (log->own) {
                signgate_log_add(&g->gate, log->origin, false);
            }
            if (log->own && log->frozen) {
                signgate_shown(&g->gate, log->origin, 0, true);
            }
        }
    }
    charter_load_documents(s);
    g->frontier_dirty = true;
}

/* ---- sources --------------------------------------------------------------- */

void
log_source(struct glog *log, uint32_t session, uint64_t size)
{
    struct gsource *least = &log->sources[0];
    for (size_t i = 0; i < GOSSIP_SOURCES; i++) {
        struct gsource *c = &log->sources[i];
        if (c->session == session) {
            c->size = size > c->size ? size : c->size;
            return;
        }
        if (c->session == 0 || (least->session != 0 && c->size < least->size)) {
            least = c;
        }
    }
    if (least->session == 0 || least->size < size) {
        *least = (struct gsource){session, size};
    }
}

void
log_source_drop(struct glog *log, uint32_t session)
{
    for (size_t i = 0; i < GOSSIP_SOURCES; i++) {
        if (log->sources[i].session == session) {
            log->sources[i] = (struct gsource){0, 0};
        }
    }
}

uint32_t
log_pick_source(struct step *s, const struct glog *log, uint64_t size, uint32_t prefer)
{
    uint32_t best = 0;
    uint64_t best_cost = UINT64_MAX;
    for (size_t i = 0; i < GOSSIP_SOURCES; i++) {
        const struct gsource *c = &log->sources[i];
        const struct gpeer *p = c->session == 0 ? NULL : peer_find(s->g, c->session);
        if (p == NULL || c->size < size || p->outstanding >= GOSSIP_PEER_REQUESTS_MAX) {
            continue;
        }
        if (c->session == prefer) {
            return prefer;
        }
        /* Who answered the last request goes before who did not; then the idle one. */
        uint64_t cost =
            (uint64_t)p->silent << 32 | (uint64_t)p->outstanding << 8 | (step_random(s) & 0xff);
        if (cost < best_cost) {
            best_cost = cost;
            best = c->session;
        }
    }
    return best;
}

/* ---- taking in entries ------------------------------------------------------ */

void
log_drop_sync(struct gossip *g, struct glog *log)
{
    if (log->sync == NULL) {
        return;
    }
    sync_close(log->sync);
    log->sync = NULL;
    free(log->batch.entries);
    free(log->batch.leaves);
    memset(&log->batch, 0, sizeof log->batch);
    bytes_clear(&log->target);
    log->target_size = 0;
    log->starved_since_ms = 0;
    g->syncs--;
}

static void
sync_begin(struct step *s, struct glog *log)
{
    struct gossip *g = s->g;
    if (log->sync != NULL || log->wanted.count == 0 || log->wanted_size <= log->size ||
        log->ticket != 0 || s->e->now_ms < log->pause_until_ms || !log_wants_entries(g, log) ||
        g->syncs >= GOSSIP_SYNCS_MAX || log_pick_source(s, log, log->wanted_size, 0) == 0) {
        return;
    }
    if (!bytes_set(&log->target, bytes_view(&log->wanted))) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    log->sync = sync_open(log->size, log->wanted_size, &log->wanted_root);
    if (log->sync == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    log->target_size = log->wanted_size;
    log->target_root = log->wanted_root;
    g->syncs++;
}

static bool
sync_ask_send(struct step *s, struct glog *log, const struct sync_ask *ask)
{
    uint32_t session = log_pick_source(s, log, log->target_size, ask->prefer);
    struct gpeer *p = session == 0 ? NULL : peer_find(s->g, session);
    Hr__RangeAsk m;
    hr__range_ask__init(&m);
    m.origin = log->origin;
    m.what = ask->what;
    m.level = ask->level;
    m.from = ask->from;
    m.count = ask->count;
    m.size = log->target_size;
    struct greq *r = p == NULL ? NULL : request_send(s, p, GREQ_SYNC, FRAME_RANGE, &m.base);
    if (r == NULL) {
        return false;
    }
    r->log = log;
    r->sync = log->sync;
    r->ask = *ask;
    return true;
}

static void
sync_pump(struct step *s, struct glog *log)
{
    struct sync_ask ask;
    while (s->st == STATUS_OK && sync_asked(log->sync) < GOSSIP_SYNC_ASKS_MAX &&
           sync_next(log->sync, &ask)) {
        if (!sync_ask_send(s, log, &ask)) {
            sync_abandon(log->sync, &ask);
            break;
        }
    }
    if (sync_asked(log->sync) > 0 || log->ticket != 0 || s->e->now_ms < log->pause_until_ms) {
        log->starved_since_ms = 0; /* in a pause it is the store that does not take it */
    } else if (log->starved_since_ms == 0) {
        log->starved_since_ms = s->e->now_ms;
    } else if (s->e->now_ms - log->starved_since_ms >= STARVED_MS) {
        log_drop_sync(s->g, log); /* others may use the place; what is stored stays */
    }
}

void
log_pump(struct step *s, struct glog *log)
{
    if (s->st != STATUS_OK || log->frozen) {
        if (log->frozen) {
            log_drop_sync(s->g, log);
        }
        return;
    }
    sync_begin(s, log);
    if (log->sync != NULL) {
        sync_pump(s, log);
    }
    log_store(s, log);
    record_pump(s, log);
    if (log->push_due && s->e->now_ms - log->pushed_ms >= 1000) {
        head_push(s, log);
    }
}

struct own_tiles {
    struct store_txn *txn;
    const struct glog *log;
};

static enum status
own_tile(void *ctx, unsigned level, uint64_t index, unsigned width, struct view *out)
{
    const struct own_tiles *own = ctx;
    return store_tile_get(own->txn, own->log->id, level, index, width, out);
}

void
sync_given_up(struct step *s, const struct greq *r)
{
    struct glog *log = r->log;
    if (log->sync != NULL && log->sync == r->sync) {
        sync_abandon(log->sync, &r->ask);
        log_pump(s, log);
    }
}

void
sync_answered(struct step *s, const struct greq *r, struct view message, struct view raw)
{
    struct glog *log = r->log;
    if (log->sync == NULL || log->sync != r->sync) {
        return; /* of a sync that ended meanwhile */
    }
    uint8_t memory[512];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    uint32_t blame = r->session;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__range_tell__descriptor, message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__RangeTell *tell = (const Hr__RangeTell *)m;
    if (st == STATUS_OK && tell->status != STATUS_OK) {
        /* It does not have it, or not for us now: ask somebody else. */
        log_source_drop(log, r->session);
        sync_abandon(log->sync, &r->ask);
    } else if (st == STATUS_OK) {
        struct own_tiles own = {s->e->txn, log};
        st = sync_answer(log->sync, &r->ask, raw, tell->count, r->session, own_tile, &own,
                         &blame);
    } else {
        sync_abandon(log->sync, &r->ask);
    }
    pb_free(&arena);
    switch ((int)st) {
    case STATUS_OK:
        break;
    case STATUS_MALFORMED:
    case STATUS_BAD_PROOF:
    case STATUS_TOO_BIG:
        if (blame != 0) {
            log_source_drop(log, blame);
            peer_strike(s, blame, "a range that does not belong to the log's tree");
        }
        break;
    case STATUS_FORK: {
        struct bytes theirs = log->target;
        struct sync_fork at;
        bool seen = sync_fork(log->sync, &at);
        log->target = (struct bytes){0};
        log->fork_after = 0; /* our copy is on the other side: freeze it as it is */
        head_fork(s, log, bytes_view(&theirs), seen ? &at : NULL);
        bytes_clear(&theirs);
        log_drop_sync(s->g, log);
        break;
    }
    default:
        step_fail(s, st);
        break;
    }
    log_pump(s, log);
}
