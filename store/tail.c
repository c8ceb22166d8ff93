#include "store/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store/log.h"

enum { HEADS_MIN = 1024, ROWS_MIN = 1024, LOAD_ENTRIES = 256, PENDING_WALKED = 32 };

enum status
tail_init(struct tail *tail)
{
    struct timespec now;

    memset(tail, 0, sizeof *tail);
    if (pthread_mutex_init(&tail->lock, NULL) != 0) {
        return STATUS_NO_MEMORY;
    }
    /* Members choose their tokens: the seed keeps them from choosing chains. */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    tail->seed = ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uintptr_t)tail ^
                  (uint64_t)getpid() << 16) *
                     0x9e3779b97f4a7c15u |
                 1;
    tail->heads_count = HEADS_MIN;
    tail->heads = calloc(HEADS_MIN, sizeof *tail->heads);
    if (tail->heads == NULL) {
        pthread_mutex_destroy(&tail->lock);
        memset(tail, 0, sizeof *tail);
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

void
tail_free(struct tail *tail)
{
    if (tail->heads != NULL) {
        pthread_mutex_destroy(&tail->lock);
    }
    free(tail->heads);
    free(tail->rows);
    memset(tail, 0, sizeof *tail);
}

/* `heads` is a power of two. */
static size_t
head_among(const struct tail *tail, size_t heads, const uint8_t handle[TOKEN_BYTES])
{
    uint64_t h = (get_be64(handle) ^ tail->seed) * 0xff51afd7ed558ccdu;

    h = ((h ^ (h >> 32)) + get_be64(handle + 8)) * tail->seed;
    return (size_t)(h >> 32) & (heads - 1);
}

static size_t
head_of(const struct tail *tail, const uint8_t handle[TOKEN_BYTES])
{
    return head_among(tail, tail->heads_count, handle);
}

static void
chain_row(struct tail *tail, size_t i)
{
    uint32_t *head = &tail->heads[head_of(tail, tail->rows[i].handle)];

    tail->rows[i].next = *head;
    *head = (uint32_t)i + 1;
}

static void
chain_all(struct tail *tail)
{
    memset(tail->heads, 0, tail->heads_count * sizeof *tail->heads);
    for (size_t i = 0; i < tail->count; i++) {
        chain_row(tail, i);
    }
}

/* Room for `more` rows, and heads for all of them.  Lock held. */
static enum status
tail_reserve(struct tail *tail, size_t more)
{
    size_t need = tail->count + more, heads = tail->heads_count;

    if (need >= UINT32_MAX) {
        return STATUS_NO_MEMORY;
    }
    if (need > tail->capacity) {
        size_t capacity = tail->capacity < ROWS_MIN ? ROWS_MIN : tail->capacity;
        while (capacity < need) {
            capacity *= 2;
        }
        struct tail_row *rows = realloc(tail->rows, capacity * sizeof *rows);
        if (rows == NULL) {
            return STATUS_NO_MEMORY;
        }
        tail->rows = rows;
        tail->capacity = capacity;
    }
    while (heads < need) {
        heads *= 2;
    }
    if (heads > tail->heads_count) {
        uint32_t *bigger = calloc(heads, sizeof *bigger);
        if (bigger == NULL) {
            return STATUS_NO_MEMORY;
        }
        free(tail->heads);
        tail->heads = bigger;
        tail->heads_count = heads;
        chain_all(tail);
    }
    return STATUS_OK;
}

static void
tail_add(struct tail *tail, const struct tail_row *row)
{
    assert(tail->count < tail->capacity);
    tail->rows[tail->count] = *row;
    chain_row(tail, tail->count++);
}

static void
set_log(struct tail *tail, uint32_t log, uint64_t size, uint64_t indexed)
{
    assert(log <= LOGS_MAX);
    assert(indexed <= size);
    tail->pending -= tail->size[log] - tail->indexed[log];
    tail->size[log] = size;
    tail->indexed[log] = indexed;
    tail->pending += size - indexed;
}

/* ---- what a write transaction notes ---- */

enum status
tail_note_row(struct store_txn *t, uint32_t log, uint64_t leaf,
              const uint8_t handle[TOKEN_BYTES])
{
    if (t->pending_count == t->pending_capacity) {
        size_t capacity = t->pending_capacity == 0 ? 64 : 2 * t->pending_capacity;
        struct tail_row *rows = realloc(t->pending, capacity * sizeof *rows);
        if (rows == NULL) {
            return STATUS_NO_MEMORY;
        }
        t->pending = rows;
        t->pending_capacity = capacity;
    }
    struct tail_row *row = &t->pending[t->pending_count++];
    memcpy(row->handle, handle, TOKEN_BYTES);
    row->log = log;
    row->leaf = leaf;
    row->next = 0;
    return STATUS_OK;
}

enum status
tail_note_log(struct store_txn *t, uint32_t log, uint64_t size_before, uint64_t size,
              uint64_t indexed)
{
    for (size_t i = 0; i < t->touched_count; i++) {
        if (t->touched[i].id == log) {
            t->touched[i].size = size;
            t->touched[i].indexed = indexed;
            return STATUS_OK;
        }
    }
    if (t->touched_count == t->touched_capacity) {
        size_t capacity = t->touched_capacity == 0 ? 8 : 2 * t->touched_capacity;
        struct txn_log *touched = realloc(t->touched, capacity * sizeof *touched);
        if (touched == NULL) {
            return STATUS_NO_MEMORY;
        }
        t->touched = touched;
        t->touched_capacity = capacity;
    }
    t->touched[t->touched_count++] = (struct txn_log){log, size_before, size, indexed};
    return STATUS_OK;
}

enum status
tail_prepare(struct store_txn *t)
{
    struct tail *tail = &t->s->tail;
    enum status st;

    pthread_mutex_lock(&tail->lock);
    st = tail_reserve(tail, t->pending_count);
    pthread_mutex_unlock(&tail->lock);
    return st;
}

void
tail_take(struct store_txn *t)
{
    struct tail *tail = &t->s->tail;

    pthread_mutex_lock(&tail->lock);
    for (size_t i = 0; i < t->pending_count; i++) {
        tail_add(tail, &t->pending[i]);
    }
    for (size_t i = 0; i < t->touched_count; i++) {
        const struct txn_log *l = &t->touched[i];
        if (l->indexed > tail->indexed[l->id] && tail->count > 0) {
            tail->retire = true;
            tail->retire_id = t->id;
        }
        set_log(tail, l->id, l->size, l->indexed);
    }
    pthread_mutex_unlock(&tail->lock);
    tail_trim(t->s);
}

/* Drop rows that every snapshot finds in the index. */
void
tail_trim(struct store *s)
{
    struct tail *tail = &s->tail;
    size_t kept = 0;

    pthread_mutex_lock(&tail->lock);
    if (tail->retire && store_oldest_reader(s) >= tail->retire_id) {
        for (size_t i = 0; i < tail->count; i++) {
            const struct tail_row *row = &tail->rows[i];
            if (row->leaf >= tail->indexed[row->log]) {
                tail->rows[kept++] = *row;
            }
        }
        tail->count = kept;
        chain_all(tail);
        tail->retire = false;
    }
    pthread_mutex_unlock(&tail->lock);
}

/* ---- filling it from the store ---- */

/* Lock held.  Add the handles of [from, to) of one log. */
static enum status
load_entries(struct store_txn *t, const struct store_log *log, uint64_t from, uint64_t to)
{
    const struct store_options *o = &t->s->options;
    struct tail *tail = &t->s->tail;
    struct view entries[LOAD_ENTRIES];
    struct tail_row row = {.log = log->id};
    struct store_own own;
    enum status st = STATUS_OK;
    size_t got;

    for (; from < to && st == STATUS_OK; from += got) {
        size_t want = to - from < LOAD_ENTRIES ? (size_t)(to - from) : LOAD_ENTRIES;
        st = store_entries_get(t, log->id, from, want, entries, &got);
        if (st == STATUS_OK && (got != want)) {
            st = STATUS_CORRUPT;
        }
        if (st == STATUS_OK) {
            st = tail_reserve(tail, 2 * got);
        }
        for (size_t i = 0; i < got && st == STATUS_OK; i++) {
            row.leaf = from + i;
            if (o->handle_of != NULL &&
                o->handle_of(o->handle_context, log->origin, entries[i], row.handle)) {
                tail_add(tail, &row);
            }
            if ((log->flags & STORE_LOG_OWN) != 0) {
                st = store_own_get(t, log->id, row.leaf, &own);
                if (st == STATUS_OK) {
                    memcpy(row.handle, own.report, TOKEN_BYTES);
                    tail_add(tail, &row);
                }
                st = st == STATUS_NOT_FOUND ? STATUS_OK : st;
            }
        }
    }
    return st;
}

enum status
tail_load(struct store_txn *t)
{
    struct tail *tail = &t->s->tail;
    struct store_log log;
    struct view after = {NULL, 0};
    enum status st = STATUS_OK;

    pthread_mutex_lock(&tail->lock);
    if (t->id <= tail->seen_id) {
        goto cleanup;
    }
    while ((st = store_log_next(t, after, &log)) == STATUS_OK) {
        uint64_t from = tail->size[log.id];
        after = log.origin;
        if (from < log.indexed_to) {
            from = log.indexed_to;
        }
        if (from < log.size && (st = load_entries(t, &log, from, log.size)) != STATUS_OK) {
            break;
        }
        if (log.indexed_to > tail->indexed[log.id]) {
            tail->retire = tail->count > 0;
            tail->retire_id = t->id;
        }
        set_log(tail, log.id, log.size, log.indexed_to);
    }
    if (st == STATUS_NOT_FOUND) {
        tail->seen_id = t->id;
        st = STATUS_OK;
    }
cleanup:
    pthread_mutex_unlock(&tail->lock);
    if (st == STATUS_OK) {
        tail_trim(t->s);
    }
    return st;
}

/* ---- finding ---- */

static int
by_leaf(const void *a, const void *b)
{
    const struct tail_row *x = a, *y = b;

    if (x->log != y->log) {
        return x->log < y->log ? -1 : 1;
    }
    return x->leaf < y->leaf ? -1 : x->leaf > y->leaf;
}

static enum status
collect(struct tail_row **rows, size_t *count, size_t *capacity, const struct tail_row *row)
{
    if (*count == *capacity) {
        size_t more = *capacity == 0 ? 8 : 2 * *capacity;
        struct tail_row *bigger = realloc(*rows, more * sizeof *bigger);
        if (bigger == NULL) {
            return STATUS_NO_MEMORY;
        }
        *rows = bigger;
        *capacity = more;
    }
    (*rows)[(*count)++] = *row;
    return STATUS_OK;
}

/* Chain what this transaction appended since the last call.  False without
 * memory: then the rows are walked one by one. */
static bool
chain_pending(struct store_txn *t)
{
    size_t heads = t->pending_heads_count;

    if (heads < t->pending_count) {
        heads = heads == 0 ? HEADS_MIN : heads;
        while (heads < t->pending_count) {
            heads *= 2;
        }
        uint32_t *bigger = calloc(heads, sizeof *bigger);
        if (bigger == NULL || t->pending_count >= UINT32_MAX) {
            free(bigger);
            return false;
        }
        free(t->pending_heads);
        t->pending_heads = bigger;
        t->pending_heads_count = heads;
        t->pending_chained = 0;
    }
    for (; t->pending_chained < t->pending_count; t->pending_chained++) {
        struct tail_row *row = &t->pending[t->pending_chained];
        uint32_t *head = &t->pending_heads[head_among(&t->s->tail, heads, row->handle)];
        row->next = *head;
        *head = (uint32_t)t->pending_chained + 1;
    }
    return true;
}

/* Add the rows that this transaction itself appended. */
static enum status
find_pending(struct store_txn *t, const uint8_t handle[TOKEN_BYTES], struct tail_row **rows,
             size_t *count, size_t *capacity)
{
    enum status st = STATUS_OK;

    if (t->pending_count > PENDING_WALKED && chain_pending(t)) {
        uint32_t i = t->pending_heads[head_among(&t->s->tail, t->pending_heads_count, handle)];
        for (; i != 0 && st == STATUS_OK; i = t->pending[i - 1].next) {
            if (memcmp(t->pending[i - 1].handle, handle, TOKEN_BYTES) == 0) {
                st = collect(rows, count, capacity, &t->pending[i - 1]);
            }
        }
        return st;
    }
    for (size_t i = 0; i < t->pending_count && st == STATUS_OK; i++) {
        if (memcmp(t->pending[i].handle, handle, TOKEN_BYTES) == 0) {
            st = collect(rows, count, capacity, &t->pending[i]);
        }
    }
    return st;
}

enum status
tail_find(struct store_txn *t, const uint8_t handle[TOKEN_BYTES], struct tail_row **rows,
          size_t *count)
{
    struct tail *tail = &t->s->tail;
    size_t capacity = 0;
    enum status st = STATUS_OK;

    *rows = NULL;
    *count = 0;
    if (t->s->options.read_only && (st = tail_load(t)) != STATUS_OK) {
        return st;
    }
    pthread_mutex_lock(&tail->lock);
    for (uint32_t i = tail->heads[head_of(tail, handle)]; i != 0 && st == STATUS_OK;) {
        const struct tail_row *row = &tail->rows[i - 1];
        if (memcmp(row->handle, handle, TOKEN_BYTES) == 0) { /* Public values. */
            st = collect(rows, count, &capacity, row);
        }
        i = row->next;
    }
    pthread_mutex_unlock(&tail->lock);
    st = st == STATUS_OK ? find_pending(t, handle, rows, count, &capacity) : st;
    if (st != STATUS_OK) {
        free(*rows);
        *rows = NULL;
        *count = 0;
    } else if (*count > 1) {
        qsort(*rows, *count, sizeof **rows, by_leaf);
    }
    return st;
}
