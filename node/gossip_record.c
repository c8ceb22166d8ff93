/* Records of a `full` network: after the entries, from the author or from
 * whoever has them, each checked against the hash that its entry names. */
#include <stdlib.h>
#include <string.h>

#include "node/gossip_state.h"
#include "node/range.h"
#include "proto/frame.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"

enum { RECORDS_PER_ASK = 256 };

static bool
wants_records(const struct gossip *g, const struct glog *log)
{
    return g->full && !log->own && !log->frozen && log->in_store &&
           log->parts.log == ORIGIN_PUB;
}

/* The author has them all; else anyone. */
static struct gpeer *
record_source(struct step *s, const struct glog *log, bool not_author)
{
    struct gpeer *p = peer_of(s->g, log->parts.institution);
    if (p != NULL && !not_author && p->silent == 0 &&
        p->outstanding < GOSSIP_PEER_REQUESTS_MAX) {
        return p;
    }
    uint32_t session = log_pick_source(s, log, 0, 0);
    return session == 0 ? NULL : peer_find(s->g, session);
}

static void
record_ask(struct step *s, struct glog *log, uint64_t from, uint32_t count, bool not_author)
{
    struct gpeer *p = record_source(s, log, not_author);
    Hr__RangeAsk m;
    hr__range_ask__init(&m);
    m.origin = log->origin;
    m.what = 3;
    m.from = from;
    m.count = count;
    m.size = log->size;
    struct greq *r = p == NULL ? NULL : request_send(s, p, GREQ_RECORDS, FRAME_RANGE, &m.base);
    if (r == NULL) {
        return;
    }
    r->log = log;
    r->ask = (struct sync_ask){.what = 3, .from = from, .count = count};
    log->records_asked = true;
}

void
record_pump(struct step *s, struct glog *log)
{
    if (s->st != STATUS_OK || !wants_records(s->g, log) || log->records_asked ||
        log->records.count > 0 || s->e->now_ms < log->records_next_ms) {
        return;
    }
    if (log->missing_count > 0 && s->e->now_ms >= log->missing_next_ms) {
        log->missing_tries++;
        log->missing_next_ms =
            s->e->now_ms + (int64_t)GOSSIP_RECORD_RETRY_MS * log->missing_tries;
        if (log->missing_tries > GOSSIP_RECORD_TRIES_MAX) {
            log->missing_count = 0; /* parked for good: a look-up can still ask the author */
        } else {
            uint64_t first = log->missing[0].leaf;
            uint64_t last = log->missing[log->missing_count - 1].leaf;
            uint64_t span = last - first + 1;
            record_ask(s, log, first, span < RECORDS_PER_ASK ? (uint32_t)span : RECORDS_PER_ASK,
                       log->missing_tries % 2 == 0);
            return;
        }
    }
    if (log->records_to < log->size && log->missing_count < GOSSIP_RECORDS_MISSING_MAX) {
        uint64_t left = log->size - log->records_to;
        record_ask(s, log, log->records_to,
                   left < RECORDS_PER_ASK ? (uint32_t)left : RECORDS_PER_ASK, false);
    }
}

void
record_given_up(struct step *s, const struct greq *r)
{
    r->log->records_asked = false;
    record_pump(s, r->log);
}

/* Check the shape and keep the answer; hashes are checked when it is stored. */
void
record_told(struct step *s, const struct greq *r)
{
    struct glog *log = r->log;
    uint8_t memory[512];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    log->records_asked = false;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__range_tell__descriptor, s->e->message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__RangeTell *tell = (const Hr__RangeTell *)m;
    struct view rest = s->e->raw;
    bool shaped = st == STATUS_OK && tell->count <= r->ask.count;
    uint32_t count = st == STATUS_OK ? tell->count : 0;
    bool refused = st == STATUS_OK && tell->status != STATUS_OK;
    for (uint32_t i = 0; shaped && !refused && i < count; i++) {
        uint32_t n = rest.count < 4 ? UINT32_MAX : frame_get_u32(rest.bytes);
        shaped = n <= RECORD_BYTES_MAX && n <= rest.count - 4;
        if (shaped) {
            rest.bytes += 4 + n;
            rest.count -= 4 + (size_t)n;
        }
    }
    pb_free(&arena);
    if (st == STATUS_NO_MEMORY) {
        step_fail(s, st);
    } else if (refused) {
        log->records_next_ms = s->e->now_ms + 1000; /* busy, or it does not have the log */
        log_source_drop(log, r->session);
    } else if (!shaped || rest.count != 0 || count == 0) {
        peer_strike(s, r->session, "records that are malformed");
    } else if (!bytes_set(&log->records, s->e->raw)) {
        step_fail(s, STATUS_NO_MEMORY);
    } else {
        log->records_from = r->ask.from;
        log->records_count = count;
        log->records_source = r->session;
        log_store(s, log);
    }
}

static void
missing_add(struct glog *log, uint64_t leaf, const struct hash *sealed, int64_t now_ms)
{
    if (log->missing == NULL) {
        log->missing = calloc(GOSSIP_RECORDS_MISSING_MAX, sizeof log->missing[0]);
    }
    if (log->missing == NULL || log->missing_count == GOSSIP_RECORDS_MISSING_MAX) {
        return;
    }
    size_t at = 0;
    while (at < log->missing_count && log->missing[at].leaf < leaf) {
        at++;
    }
    if (at < log->missing_count && log->missing[at].leaf == leaf) {
        return;
    }
    if (log->missing_count == 0) {
        log->missing_tries = 0;
        log->missing_next_ms = now_ms + GOSSIP_RECORD_RETRY_MS;
    }
    memmove(log->missing + at + 1, log->missing + at,
            (log->missing_count - at) * sizeof log->missing[0]);
    log->missing[at] = (struct gmissing){leaf, *sealed};
    log->missing_count++;
}

static void
missing_remove(struct glog *log, uint64_t leaf)
{
    for (size_t i = 0; i < log->missing_count; i++) {
        if (log->missing[i].leaf == leaf) {
            memmove(log->missing + i, log->missing + i + 1,
                    (log->missing_count - i - 1) * sizeof log->missing[0]);
            log->missing_count--;
            return;
        }
    }
}

struct checked {
    struct view *records;
    struct hash *sealed;
    uint64_t *leaves;
    size_t count;
};

/* Sort out the answer in log->records.  *next: where to go on. */
static enum status
check_records(struct step *s, struct glog *log, struct checked *out, uint64_t *next)
{
    struct view rest = bytes_view(&log->records);
    *next = log->records_from;
    for (uint32_t i = 0; i < log->records_count; i++) {
        uint64_t leaf = log->records_from + i;
        uint32_t n = frame_get_u32(rest.bytes);
        struct view record = {rest.bytes + 4, n}, entry;
        rest.bytes += 4 + n;
        rest.count -= 4 + (size_t)n;
        struct hash sealed, got;
        enum status st = store_entry_get(s->e->txn, log->id, leaf, &entry);
        if (st != STATUS_OK) {
            return st;
        }
        bool has = range_entry_sealed(entry, &sealed) &&
                   store_record_has(s->e->txn, log->id, leaf) != STATUS_OK;
        if (has && n == 0) {
            if (log->missing_count == GOSSIP_RECORDS_MISSING_MAX) {
                break; /* these first */
            }
            missing_add(log, leaf, &sealed, s->e->now_ms);
        } else if (has) {
            sha256(record.bytes, record.count, &got);
            if (!hash_equal(&got, &sealed)) {
                return STATUS_BAD_PROOF;
            }
            missing_remove(log, leaf);
            out->records[out->count] = record;
            out->sealed[out->count] = sealed;
            out->leaves[out->count++] = leaf;
        } else {
            missing_remove(log, leaf);
        }
        *next = leaf + 1;
    }
    return STATUS_OK;
}

/* What may be forgotten after a restart: everything below the first that is missing. */
static uint64_t
mark_of(const struct glog *log)
{
    return log->missing_count > 0 ? log->missing[0].leaf : log->records_to;
}

void
record_store(struct step *s, struct glog *log)
{
    if (log->records.count > 0) {
        size_t n = log->records_count;
        struct checked c = {gossip_update_take(s->u, n * sizeof c.records[0]),
                            gossip_update_take(s->u, n * sizeof c.sealed[0]),
                            gossip_update_take(s->u, n * sizeof c.leaves[0]), 0};
        uint64_t next = 0;
        if (c.records == NULL || c.sealed == NULL || c.leaves == NULL) {
            step_fail(s, STATUS_NO_MEMORY);
            return;
        }
        enum status st = check_records(s, log, &c, &next);
        if (st == STATUS_BAD_PROOF) {
            bytes_clear(&log->records);
            peer_strike(s, log->records_source, "a record that its entry does not name");
            log_source_drop(log, log->records_source);
            return;
        }
        step_fail(s, st);
        if (st == STATUS_OK && next > log->records_to) {
            log->records_to = next;
        }
        if (st == STATUS_OK && c.count > 0) {
            struct gossip_action *a = store_begin(s, log, GOSSIP_STORE_RECORDS);
            if (a != NULL) {
                a->entries = c.records;
                a->leaves = c.sealed;
                a->indexes = c.leaves;
                a->count = c.count;
            }
            return; /* log->records stays until it is stored */
        }
        bytes_clear(&log->records);
    }
    if (mark_of(log) > log->mark_stored + 4096 ||
        (mark_of(log) > log->mark_stored && log->records_to == log->size)) {
        struct gossip_action *a = store_begin(s, log, GOSSIP_STORE_MARK);
        if (a != NULL) {
            a->first = log->mark_stored = mark_of(log);
        }
    }
    record_pump(s, log);
}
