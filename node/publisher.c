#include "node/publisher.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/record.h"
#include "node/publisher_taken.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "store/index.h"
#include "store/kv.h"
#include "store/log.h"

enum { ROWS_MAX = 256 };

enum status
publisher_begin(struct publisher *p, const struct publish_context *c, struct store_txn *txn,
                uint32_t log)
{
    struct store_log row;
    memset(p, 0, sizeof *p);
    enum status st = store_log_get(txn, log, &row);
    st = st == STATUS_OK ? taken_from(txn, c->network, row.origin, &p->taken) : st;
    if (st != STATUS_OK) {
        return st;
    }
    p->context = c;
    p->txn = txn;
    p->log = log;
    p->next = row.size;
    p->waiting = calloc(PUBLISHER_BATCH, sizeof *p->waiting);
    p->handles = calloc(PUBLISHER_BATCH, sizeof *p->handles);
    p->held_keys = calloc(PUBLISHER_BATCH, sizeof *p->held_keys);
    if (p->waiting == NULL || p->handles == NULL || p->held_keys == NULL) {
        publisher_end(p);
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

void
publisher_end(struct publisher *p)
{
    for (size_t i = 0; p->waiting != NULL && i < p->count; i++) {
        publication_free(&p->waiting[i]);
    }
    if (p->held_keys != NULL) {
        sodium_memzero(p->held_keys, PUBLISHER_BATCH * sizeof *p->held_keys);
    }
    free(p->waiting);
    free(p->handles);
    free(p->held_keys);
    memset(p, 0, sizeof *p);
}

static enum status
write_beside(struct publisher *p, uint64_t leaf, size_t i)
{
    const struct publication *one = &p->waiting[i];
    uint8_t rank[PUBLISH_RANK_BYTES];
    struct store_own own;
    publish_row_pack(&one->row, rank);
    memcpy(own.report, p->handles[i], sizeof own.report);
    memcpy(own.content, one->row.content, sizeof own.content);
    own.rank = (struct view){rank, sizeof rank};
    enum status st = store_own_put(p->txn, p->log, leaf, &own);
    if (st != STATUS_OK || one->record == NULL) {
        return st;
    }
    struct view record = {one->record, one->record_count};
    struct hash sealed;
    record_sealed(record, &sealed);
    st = store_record_put(p->txn, p->log, leaf, &sealed, record);
    if (st == STATUS_OK && one->held) {
        /* k of this record, so that it can be released alone (DESIGN 5). */
        uint8_t k[KEY_BYTES];
        st = record_k(record, p->held_keys[i], k);
        if (st == STATUS_OK) {
            st = store_salt_put(p->txn, p->log, leaf, k, (struct view){NULL, 0});
        }
        sodium_memzero(k, sizeof k);
    }
    return st;
}

enum status
publisher_flush(struct publisher *p)
{
    if (p->count == 0) {
        return STATUS_OK;
    }
    struct view entries[PUBLISHER_BATCH];
    for (size_t i = 0; i < p->count; i++) {
        entries[i] = (struct view){p->waiting[i].entry, p->waiting[i].entry_count};
    }
    uint64_t first = p->next - p->count;
    enum status st = store_log_append(p->txn, p->log, entries, p->count, NULL, NULL);
    for (size_t i = 0; st == STATUS_OK && i < p->count; i++) {
        st = write_beside(p, first + i, i);
    }
    for (size_t i = 0; i < p->count; i++) {
        publication_free(&p->waiting[i]);
    }
    p->count = 0;
    return st;
}

/* ---- the ledger ---- */

struct rows {
    struct store_txn *txn;
    uint32_t log;
    struct publish_row at[ROWS_MAX];
    size_t count;
    enum status status;
};

/* The token and epoch of an entry of ours. */
static enum status
read_entry(struct store_txn *txn, uint32_t log, struct publish_row *row)
{
    struct view bytes;
    enum status st = store_entry_get(txn, log, row->leaf, &bytes);
    if (st != STATUS_OK) {
        return st;
    }
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    st = pb_unpack(&hr__pub_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m);
    if (st == STATUS_OK) {
        const Hr__PubEntry *e = (const Hr__PubEntry *)m;
        ProtobufCBinaryData token = {0, NULL};
        if (e->what_case == HR__PUB_ENTRY__WHAT_PUBLISH) {
            token = e->publish->token;
            row->epoch = e->publish->epoch;
        } else if (e->what_case == HR__PUB_ENTRY__WHAT_CORRECT) {
            token = e->correct->token;
            row->epoch = e->correct->epoch;
        } else if (e->what_case == HR__PUB_ENTRY__WHAT_WITHDRAW) {
            token = e->withdraw->token;
            row->epoch = e->withdraw->epoch;
        }
        if (token.len == TOKEN_BYTES) {
            memcpy(row->token, token.data, TOKEN_BYTES);
        } else {
            st = STATUS_CORRUPT; /* we wrote it */
        }
    }
    pb_free(&arena);
    return st;
}

static bool
take_row(void *context, uint32_t log, uint64_t leaf)
{
    struct rows *r = context;
    struct store_own own;
    if (log != r->log) {
        return true;
    }
    if (r->count == ROWS_MAX) {
        r->status = STATUS_TOO_BIG;
        return false;
    }
    struct publish_row *row = &r->at[r->count];
    row->leaf = leaf;
    r->status = store_own_get(r->txn, log, leaf, &own);
    if (r->status == STATUS_OK) {
        r->status = publish_row_unpack(own.rank, row);
    }
    if (r->status == STATUS_OK) {
        memcpy(row->content, own.content, sizeof row->content);
        r->status = read_entry(r->txn, log, row);
    }
    if (r->status == STATUS_OK) {
        uint8_t k[STORE_SALT_BYTES];
        struct view none;
        enum status st = store_salt_get(r->txn, log, leaf, k, &none);
        sodium_memzero(k, sizeof k);
        row->held = st == STATUS_OK;
        r->status = st == STATUS_NOT_FOUND ? STATUS_OK : st;
    }
    r->count++;
    return r->status == STATUS_OK;
}

static bool
is_waiting(const struct publisher *p, const uint8_t handle[PUBLISH_HANDLE_BYTES])
{
    for (size_t i = 0; i < p->count; i++) {
        if (memcmp(p->handles[i], handle, PUBLISH_HANDLE_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Make all steps of the plan before any is queued, so that a report is wholly
 * published or not at all. */
static enum status
queue_steps(struct publisher *p, const Hr__Report *report, const struct publish_plan *plan,
            const uint8_t handle[PUBLISH_HANDLE_BYTES],
            const uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES])
{
    size_t first = p->count;
    size_t key = 0;
    for (size_t i = 0; i < plan->count; i++) {
        bool withdraw = plan->steps[i].what == PUBLISH_WITHDRAW;
        size_t at = first + i;
        const uint8_t *held = random[withdraw || key >= PUBLISH_IDENTIFIERS_MAX ? 0 : key++];
        enum status st =
            publish_make(p->context, report, &plan->steps[i], held, &p->waiting[at]);
        if (st != STATUS_OK) {
            while (i-- > 0) {
                publication_free(&p->waiting[first + i]);
            }
            return st;
        }
        memcpy(p->handles[at], handle, PUBLISH_HANDLE_BYTES);
        memcpy(p->held_keys[at], held, KEY_BYTES);
    }
    p->count += plan->count;
    p->next += plan->count;
    p->appended += plan->count;
    return STATUS_OK;
}

/* What the ledger has under this handle. */
static enum status
read_rows(struct publisher *p, const uint8_t handle[PUBLISH_HANDLE_BYTES], struct rows *rows,
          bool *fatal)
{
    rows->txn = p->txn;
    rows->log = p->log;
    rows->count = 0;
    rows->status = STATUS_OK;
    enum status st = store_index_find(p->txn, handle, take_row, rows);
    st = st == STATUS_OK ? rows->status : st;
    *fatal = st != STATUS_OK && st != STATUS_TOO_BIG;
    return st;
}

/* Look for what came back from peers, and plan by that (publisher_taken.h). */
static enum status
plan_taken(struct publisher *p, const Hr__Report *report, uint32_t withdraw,
           const uint8_t handle[PUBLISH_HANDLE_BYTES], struct rows *rows,
           const uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES], struct publish_plan *plan,
           bool *fatal)
{
    bool more = false;
    enum status st = STATUS_OK;
    if (withdraw == 0) {
        st = taken_earlier(p, p->taken, report, handle, rows->at, rows->count, random, &more,
                           fatal);
    }
    if (st == STATUS_OK && more) {
        st = read_rows(p, handle, rows, fatal);
        st = st == STATUS_OK
                 ? publish_plan(p->context, report, withdraw, rows->at, rows->count, plan)
                 : st;
    }
    return st == STATUS_OK && plan->outcome == PUBLISH_STEPS
               ? taken_settle(p, p->taken, report, handle, random, plan, fatal)
               : st;
}

enum status
publisher_add(struct publisher *p, const Hr__Report *report, uint32_t withdraw,
              const uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES],
              struct publish_plan *plan, bool *fatal)
{
    uint8_t handle[PUBLISH_HANDLE_BYTES];
    struct rows rows;
    *fatal = true;
    publish_report_handle(p->context, report, handle);
    if (p->count + sizeof plan->steps / sizeof *plan->steps > PUBLISHER_BATCH ||
        is_waiting(p, handle)) {
        enum status st = publisher_flush(p);
        if (st != STATUS_OK) {
            return st;
        }
    }
    enum status st = read_rows(p, handle, &rows, fatal);
    if (st != STATUS_OK) {
        return st;
    }
    Hr__Report as_held = *report;
    as_held.held = as_held.held || publish_stays_held(rows.at, rows.count);
    st = publish_plan(p->context, &as_held, withdraw, rows.at, rows.count, plan);
    if (st == STATUS_OK && plan->outcome == PUBLISH_STEPS && p->taken != UINT64_MAX) {
        st = plan_taken(p, &as_held, withdraw, handle, &rows, random, plan, fatal);
    }
    if (st == STATUS_OK && plan->outcome == PUBLISH_STEPS) {
        st = queue_steps(p, &as_held, plan, handle, random);
    }
    return st;
}

enum status
publisher_is_live(struct store_txn *txn, uint32_t log, uint64_t leaf, bool *live)
{
    struct store_own own;
    struct rows rows = {.txn = txn, .log = log, .status = STATUS_OK};
    uint8_t handle[PUBLISH_HANDLE_BYTES];
    *live = false;
    enum status st = store_own_get(txn, log, leaf, &own);
    if (st != STATUS_OK) {
        return st;
    }
    memcpy(handle, own.report, sizeof handle);
    st = store_index_find(txn, handle, take_row, &rows);
    st = st == STATUS_OK ? rows.status : st;
    for (size_t i = 0; st == STATUS_OK && i < rows.count; i++) {
        *live = *live || (rows.at[i].leaf == leaf && publish_is_live(rows.at, rows.count, i));
    }
    return st;
}
