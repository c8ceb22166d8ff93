#include "store/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"
#include "store/log.h"

struct index_key {
    uint8_t bytes[STORE_HANDLE_KEY_BYTES];
};

static struct view
key_view(const struct index_key *key)
{
    return view_of(key->bytes, sizeof key->bytes);
}

static struct index_key
key_of(const uint8_t handle[TOKEN_BYTES], uint32_t log, uint64_t leaf)
{
    struct index_key key;

    memcpy(key.bytes, handle, TOKEN_BYTES);
    leaf_key(key.bytes + TOKEN_BYTES, log, leaf);
    return key;
}

/* A row is whole if its value is the CRC of its key. */
static bool
row_is_whole(MDB_val k, MDB_val v)
{
    return k.mv_size == STORE_HANDLE_KEY_BYTES && v.mv_size == 4 &&
           get_be32(v.mv_data) == crc32_of(view_of_val(k));
}

/* Indexed rows of the handle.  A flipped bit in a key would send the search
 * astray and hide rows, so the neighbours on both sides must be whole and in
 * order as well. */
static enum status
find_indexed(struct store_txn *t, const uint8_t handle[TOKEN_BYTES], store_hit_fn hit,
             void *context, bool *go_on)
{
    struct index_key from = key_of(handle, 0, 0);
    MDB_val k = mdb_val_of(key_view(&from)), v, bk, bv;
    MDB_cursor *c = NULL;
    enum status st = STATUS_OK;
    int rc;

    if ((rc = mdb_cursor_open(t->mdb, t->s->dbi[DB_HANDLES], &c)) != 0) {
        return status_of_mdb(rc);
    }
    rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    if (rc == 0 || rc == MDB_NOTFOUND) {
        int back = mdb_cursor_get(c, &bk, &bv, rc == 0 ? MDB_PREV : MDB_LAST);
        if (back == 0 &&
            (!row_is_whole(bk, bv) || memcmp(bk.mv_data, handle, TOKEN_BYTES) >= 0)) {
            st = STATUS_CORRUPT;
        } else if (back != 0 && back != MDB_NOTFOUND) {
            st = status_of_mdb(back);
        } else if (rc == 0) {
            rc = mdb_cursor_get(c, &k, &v, back == 0 ? MDB_NEXT : MDB_FIRST);
        }
    }
    for (; rc == 0 && st == STATUS_OK; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        const uint8_t *key = k.mv_data;
        int order = row_is_whole(k, v) ? memcmp(key, handle, TOKEN_BYTES) : -1;
        if (order < 0) {
            st = STATUS_CORRUPT;
        }
        if (order != 0) {
            break;
        }
        if (!hit(context, get_be32(key + TOKEN_BYTES), get_be64(key + TOKEN_BYTES + 4))) {
            *go_on = false;
            break;
        }
    }
    mdb_cursor_close(c);
    if (st == STATUS_OK && rc != 0 && rc != MDB_NOTFOUND) {
        st = status_of_mdb(rc);
    }
    return st;
}

enum status
store_index_find(struct store_txn *t, const uint8_t handle[TOKEN_BYTES], store_hit_fn hit,
                 void *context)
{
    struct store_log log = {.id = 0};
    struct tail_row *rows;
    bool go_on = true;
    size_t count;
    enum status st;

    if ((st = find_indexed(t, handle, hit, context, &go_on)) != STATUS_OK || !go_on ||
        (st = tail_find(t, handle, &rows, &count)) != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; i < count && go_on && st == STATUS_OK; i++) {
        if (log.id != rows[i].log) {
            st = store_log_get(t, rows[i].log, &log);
        }
        if (st == STATUS_NOT_FOUND) { /* Made after this snapshot. */
            st = STATUS_OK;
            log.id = 0;
            continue;
        }
        /* The snapshot has what is in the index below, and nothing above. */
        if (st == STATUS_OK && rows[i].leaf >= log.indexed_to && rows[i].leaf < log.size) {
            go_on = hit(context, rows[i].log, rows[i].leaf);
        }
    }
    free(rows);
    return st;
}

uint64_t
store_index_pending(struct store *s)
{
    uint64_t pending;

    pthread_mutex_lock(&s->tail.lock);
    pending = s->tail.pending;
    pthread_mutex_unlock(&s->tail.lock);
    return pending;
}

/* ---- writing rows ---- */

static int
by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct index_key));
}

/* Sort by key: handles are hashes, so 65,536 buckets by their first two bytes
 * leave little to do.  (Chosen handles only make it a qsort.) */
static enum status
sort_keys(struct index_key *keys, size_t count)
{
    enum { BUCKETS = 65536 };
    struct index_key *sorted = malloc(count * sizeof *sorted + 1);
    size_t *at = calloc(BUCKETS + 1, sizeof *at);

    if (sorted == NULL || at == NULL) {
        free(sorted);
        free(at);
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        at[get_be16(keys[i].bytes) + 1]++;
    }
    for (size_t b = 0; b < BUCKETS; b++) {
        at[b + 1] += at[b];
    }
    for (size_t i = 0; i < count; i++) {
        sorted[at[get_be16(keys[i].bytes)]++] = keys[i];
    }
    for (size_t b = 0, from = 0; b < BUCKETS; from = at[b++]) {
        if (at[b] - from > 1) {
            qsort(sorted + from, at[b] - from, sizeof *sorted, by_key);
        }
    }
    memcpy(keys, sorted, count * sizeof *keys);
    free(sorted);
    free(at);
    return STATUS_OK;
}

static enum status
put_keys(struct store_txn *t, const struct index_key *keys, size_t count)
{
    MDB_cursor *c = NULL;
    int rc = mdb_cursor_open(t->mdb, t->s->dbi[DB_HANDLES], &c);

    for (size_t i = 0; i < count && rc == 0; i++) {
        uint8_t crc[4];
        MDB_val k = mdb_val_of(key_view(&keys[i])), v = {sizeof crc, crc};
        put_be32(crc, crc32_of(key_view(&keys[i])));
        rc = mdb_cursor_put(c, &k, &v, 0);
    }
    if (c != NULL) {
        mdb_cursor_close(c);
    }
    return txn_fail(t, status_of_mdb(rc));
}

enum status
index_put(struct store_txn *t, uint32_t log, uint64_t leaf, const uint8_t handle[TOKEN_BYTES])
{
    struct index_key key = key_of(handle, log, leaf);

    return put_keys(t, &key, 1);
}

/* How far each log is taken: pending entries in order of log id, up to
 * `entries_max`, and up to half of STORE_INDEX_ROWS_MAX if all their rows are
 * more than that (an own entry has two). */
static void
choose(const struct tail *tail, uint64_t entries_max, uint64_t upto[LOGS_MAX + 1])
{
    uint64_t rows = 0, budget = entries_max;

    for (size_t i = 0; i < tail->count; i++) {
        rows += tail->rows[i].leaf >= tail->indexed[tail->rows[i].log];
    }
    if (rows > STORE_INDEX_ROWS_MAX && budget > STORE_INDEX_ROWS_MAX / 2) {
        budget = STORE_INDEX_ROWS_MAX / 2;
    }
    for (uint32_t id = 0; id <= LOGS_MAX; id++) {
        uint64_t take = tail->size[id] - tail->indexed[id];
        if (take > budget) {
            take = budget;
        }
        upto[id] = tail->indexed[id] + take;
        budget -= take;
    }
}

enum status
index_flush(struct store_txn *t, uint64_t entries_max)
{
    struct tail *tail = &t->s->tail;
    uint64_t *upto = calloc(LOGS_MAX + 1, sizeof *upto);
    struct index_key *keys = NULL;
    size_t count = 0;
    struct store_log log;
    enum status st = STATUS_OK;

    pthread_mutex_lock(&tail->lock);
    if (upto != NULL) {
        choose(tail, entries_max, upto);
        keys = malloc(tail->count * sizeof *keys + 1);
    }
    for (size_t i = 0; i < tail->count && keys != NULL; i++) {
        const struct tail_row *row = &tail->rows[i];
        if (row->leaf >= tail->indexed[row->log] && row->leaf < upto[row->log]) {
            keys[count++] = key_of(row->handle, row->log, row->leaf);
        }
    }
    pthread_mutex_unlock(&tail->lock);
    if (keys == NULL) {
        st = txn_fail(t, STATUS_NO_MEMORY);
        goto cleanup;
    }
    if ((st = txn_fail(t, sort_keys(keys, count))) != STATUS_OK ||
        (st = put_keys(t, keys, count)) != STATUS_OK) {
        goto cleanup;
    }
    /* The arrays of the tail change only when this writer commits. */
    for (uint32_t id = 1; id <= LOGS_MAX && st == STATUS_OK; id++) {
        if (upto[id] == tail->indexed[id]) {
            continue;
        }
        if ((st = store_log_get(t, id, &log)) == STATUS_OK) {
            st = log_set_indexed(t, &log, upto[id]);
        }
        txn_fail(t, st);
    }
cleanup:
    free(keys);
    free(upto);
    return st;
}

/* What the rows of so many entries may take: themselves, and a copy of each page
 * that one of them falls on. */
static enum status
index_bytes(struct store *s, uint64_t entries, uint64_t *bytes)
{
    uint64_t rows = entries < STORE_INDEX_ROWS_MAX / 2 ? 2 * entries : STORE_INDEX_ROWS_MAX;
    struct store_txn *t;
    enum status st = store_begin_read(s, &t);
    MDB_stat stat;

    if (st != STATUS_OK) {
        return st;
    }
    st = status_of_mdb(mdb_stat(t->mdb, s->dbi[DB_HANDLES], &stat));
    store_abort(t);
    if (st == STATUS_OK) {
        *bytes =
            rows * 64 + (rows < stat.ms_leaf_pages ? rows : stat.ms_leaf_pages) * s->page_bytes;
    }
    return st;
}

static enum status
index_some(struct store *s, uint64_t entries)
{
    struct store_txn *t;
    uint64_t bytes = 0;
    enum status st = index_bytes(s, entries, &bytes);

    st = st == STATUS_OK ? store_begin_write(s, STORE_PUBLISH, bytes, &t) : st;
    if (st != STATUS_OK) {
        return st;
    }
    if ((st = index_flush(t, entries)) != STATUS_OK) {
        store_abort(t);
        return st;
    }
    return store_commit(t);
}

enum status
store_index_some(struct store *s, uint64_t entries_max)
{
    uint64_t pending = store_index_pending(s);
    uint64_t entries = entries_max < pending ? entries_max : pending;
    enum status st;

    if (entries == 0) {
        tail_trim(s);
        return STATUS_NOT_FOUND;
    }
    do {
        st = index_some(s, entries);
        entries /= 8;
    } while (st == STATUS_NO_SPACE && entries > 0 && !store_poisoned(s));
    return st;
}
