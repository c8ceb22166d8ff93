#include "store/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/tree.h"
#include "crypto/treebuild.h"
#include "store/index.h"
#include "store/internal.h"
#include "store/tiles.h"

enum {
    /* flags BE32, size BE64, root, indexed BE64, serve_to BE64, first seen BE64 */
    LOG_ROW_BYTES = 4 + 8 + HASH_BYTES + 8 + 8 + 8,
    LEAVES_AT_ONCE = 256,
    TREE_ENTRIES_MAX_BITS = 56
};

/* ---- the row of a log ---- */

static void
id_key(uint8_t key[4], uint32_t id)
{
    put_be32(key, id);
}

static enum status
log_write(struct store_txn *t, const struct store_log *log)
{
    uint8_t key[4], row[LOG_ROW_BYTES];
    uint8_t origin[ORIGIN_CHARS_MAX];

    /* The origin may point into the row that is about to be replaced. */
    assert(log->origin.count <= sizeof origin);
    memcpy(origin, log->origin.bytes, log->origin.count);
    id_key(key, log->id);
    put_be32(row, log->flags);
    put_be64(row + 4, log->size);
    memcpy(row + 12, log->root.bytes, HASH_BYTES);
    put_be64(row + 44, log->indexed_to);
    put_be64(row + 52, log->serve_to);
    put_be64(row + 60, (uint64_t)log->first_seen_s);
    return row_put(t, DB_LOGS, view_of(key, sizeof key), view_of(row, sizeof row),
                   view_of(origin, log->origin.count));
}

enum status
store_log_get(struct store_txn *t, uint32_t id, struct store_log *out)
{
    uint8_t key[4];
    struct view row;
    enum status st;

    id_key(key, id);
    if ((st = row_get(t, DB_LOGS, view_of(key, sizeof key), &row)) != STATUS_OK) {
        return st;
    }
    if (row.count <= LOG_ROW_BYTES || row.count > LOG_ROW_BYTES + ORIGIN_CHARS_MAX || id == 0 ||
        id > LOGS_MAX) {
        return STATUS_CORRUPT;
    }
    out->id = id;
    out->flags = get_be32(row.bytes);
    out->size = get_be64(row.bytes + 4);
    memcpy(out->root.bytes, row.bytes + 12, HASH_BYTES);
    out->indexed_to = get_be64(row.bytes + 44);
    out->serve_to = get_be64(row.bytes + 52);
    out->first_seen_s = (int64_t)get_be64(row.bytes + 60);
    out->origin = view_of(row.bytes + LOG_ROW_BYTES, row.count - LOG_ROW_BYTES);
    return out->indexed_to <= out->size ? STATUS_OK : STATUS_CORRUPT;
}

/* From a row of DB_ORIGINS to the log, which must name the same origin. */
static enum status
log_of(struct store_txn *t, struct view origin, struct view row, struct store_log *out)
{
    enum status st;

    if (row.count != 4) {
        return STATUS_CORRUPT;
    }
    st = store_log_get(t, get_be32(row.bytes), out);
    if (st == STATUS_NOT_FOUND || (st == STATUS_OK && !views_equal(out->origin, origin))) {
        return STATUS_CORRUPT;
    }
    return st;
}

enum status
store_log_find(struct store_txn *t, struct view origin, struct store_log *out)
{
    struct view row;
    enum status st;

    if (origin.count == 0 || origin.count > ORIGIN_CHARS_MAX) {
        return STATUS_NOT_FOUND;
    }
    st = row_get(t, DB_ORIGINS, origin, &row);
    return st == STATUS_OK ? log_of(t, origin, row, out) : st;
}

enum status
store_log_next(struct store_txn *t, struct view after, struct store_log *out)
{
    struct view key, row;
    enum status st;

    if (after.count > ORIGIN_CHARS_MAX) {
        after.count = ORIGIN_CHARS_MAX;
    }
    st = row_next(t, DB_ORIGINS, after, 0, &key, &row);
    return st == STATUS_OK ? log_of(t, key, row, out) : st;
}

static enum status
highest_id(struct store_txn *t, uint32_t *id)
{
    MDB_cursor *c = NULL;
    MDB_val k, v;
    int rc;

    if ((rc = mdb_cursor_open(t->mdb, t->s->dbi[DB_LOGS], &c)) != 0) {
        return status_of_mdb(rc);
    }
    rc = mdb_cursor_get(c, &k, &v, MDB_LAST);
    mdb_cursor_close(c);
    *id = 0;
    if (rc == MDB_NOTFOUND) {
        return STATUS_OK;
    }
    if (rc == 0 && k.mv_size != 4) {
        return STATUS_CORRUPT;
    }
    if (rc == 0) {
        *id = get_be32(k.mv_data);
    }
    return status_of_mdb(rc);
}

enum status
store_log_create(struct store_txn *t, struct view origin, uint32_t flags, int64_t first_seen_s,
                 uint32_t *id)
{
    struct store_log log = {.flags = flags, .first_seen_s = first_seen_s, .origin = origin};
    uint8_t row[4];
    enum status st;

    if (origin.count == 0) {
        return STATUS_MALFORMED;
    }
    if (origin.count > ORIGIN_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    for (size_t i = 0; i < origin.count; i++) {
        if (origin.bytes[i] <= ' ' || origin.bytes[i] > '~') {
            return STATUS_MALFORMED;
        }
    }
    if ((st = store_log_find(t, origin, &log)) != STATUS_NOT_FOUND) {
        *id = log.id;
        return st == STATUS_OK ? STATUS_EXISTS : st;
    }
    if ((st = highest_id(t, &log.id)) != STATUS_OK) {
        return st;
    }
    if (log.id >= LOGS_MAX) {
        return STATUS_TOO_BIG;
    }
    log.id++;
    tree_empty_root(&log.root);
    put_be32(row, log.id);
    if ((st = row_put(t, DB_ORIGINS, origin, view_of(row, sizeof row), view_of(NULL, 0))) !=
            STATUS_OK ||
        (st = log_write(t, &log)) != STATUS_OK) {
        return st;
    }
    *id = log.id;
    return STATUS_OK;
}

enum status
store_log_mark(struct store_txn *t, uint32_t id, uint32_t flags, uint64_t serve_to)
{
    struct store_log log;
    enum status st;

    if ((st = store_log_get(t, id, &log)) != STATUS_OK) {
        return st;
    }
    log.flags = flags;
    log.serve_to = serve_to;
    return log_write(t, &log);
}

enum status
log_set_indexed(struct store_txn *t, const struct store_log *log, uint64_t indexed_to)
{
    struct store_log next = *log;
    enum status st;

    next.indexed_to = indexed_to;
    st = log_write(t, &next);
    return st == STATUS_OK
               ? txn_fail(t, tail_note_log(t, log->id, log->size, log->size, indexed_to))
               : st;
}

/* ---- appending ---- */

static enum status
root_of(struct store_txn *t, uint32_t id, uint64_t size, struct hash *root)
{
    struct tiles_reader reader = {.t = t, .log = id};

    if (size == 0) {
        tree_empty_root(root);
        return STATUS_OK;
    }
    return tree_root_at(size, tiles_read_node, &reader, root);
}

static enum status
put_entries(struct store_txn *t, uint32_t id, uint64_t from, const struct view *entries,
            size_t count)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];
    enum status st = STATUS_OK;

    for (size_t i = 0; i < count && st == STATUS_OK; i++) {
        /* NULL would reserve; an empty entry is a row of no bytes. */
        struct view entry = entries[i].count > 0 ? entries[i] : view_of("", 0);
        MDB_val v = mdb_val_of(entry);
        leaf_key(key, id, from + i);
        st = raw_put_next(t, DB_ENTRIES, view_of(key, sizeof key), &v);
    }
    /* An entry above the log's size is damage, too. */
    return st == STATUS_EXISTS ? STATUS_CORRUPT : st;
}

static enum status
hash_entries(struct store_txn *t, const struct store_log *log, const struct view *entries,
             size_t count, const struct hash *leaves)
{
    struct hash computed[LEAVES_AT_ONCE];
    enum status st = STATUS_OK;

    for (size_t done = 0, some; done < count && st == STATUS_OK; done += some) {
        /* Up to the end of a tile, so that no partial one is written twice. */
        some = LEAVES_AT_ONCE - (size_t)((log->size + done) % LEAVES_AT_ONCE);
        if (some > count - done) {
            some = count - done;
        }
        tree_leaf_hashes(entries + done, some, computed);
        if (leaves != NULL && memcmp(computed, leaves + done, some * sizeof computed[0]) != 0) {
            return STATUS_BAD_PROOF;
        }
        st = tiles_append(t, log->id, log->size + done, computed, some);
    }
    return st;
}

/* Note the handles; a log whose entries have none needs no index. */
static enum status
note_handles(struct store_txn *t, const struct store_log *log, const struct view *entries,
             size_t count, bool *any)
{
    const struct store_options *o = &t->s->options;
    uint8_t handle[TOKEN_BYTES], origin[ORIGIN_CHARS_MAX];
    enum status st = STATUS_OK;

    *any = false;
    memcpy(origin, log->origin.bytes, log->origin.count); /* Rows move while we write. */
    for (size_t i = 0; i < count && o->handle_of != NULL && st == STATUS_OK; i++) {
        if (o->handle_of(o->handle_context, view_of(origin, log->origin.count), entries[i],
                         handle)) {
            st = tail_note_row(t, log->id, log->size + i, handle);
            *any = true;
        }
    }
    return st;
}

static enum status
append(struct store_txn *t, uint32_t id, const struct view *entries, size_t count,
       const struct hash *leaves, struct hash *root)
{
    uint8_t origin[ORIGIN_CHARS_MAX];
    struct store_log log;
    uint64_t before;
    enum status st;
    bool any;

    if (store_index_pending(t->s) + count > UNINDEXED_ENTRIES_MAX &&
        (st = index_flush(t, UINT64_MAX)) != STATUS_OK) {
        return st;
    }
    if ((st = store_log_get(t, id, &log)) != STATUS_OK) {
        return st;
    }
    memcpy(origin, log.origin.bytes, log.origin.count);
    log.origin.bytes = origin;
    if ((log.size + count) >> TREE_ENTRIES_MAX_BITS != 0) {
        return STATUS_TOO_BIG;
    }
    if ((st = put_entries(t, id, log.size, entries, count)) != STATUS_OK ||
        (st = hash_entries(t, &log, entries, count, leaves)) != STATUS_OK ||
        (st = note_handles(t, &log, entries, count, &any)) != STATUS_OK) {
        return st;
    }
    before = log.size;
    log.size += count;
    if (!any && log.indexed_to == before) {
        log.indexed_to = log.size;
    }
    if ((st = root_of(t, id, log.size, &log.root)) != STATUS_OK ||
        (st = tail_note_log(t, id, before, log.size, log.indexed_to)) != STATUS_OK ||
        (st = log_write(t, &log)) != STATUS_OK) {
        return st;
    }
    if (root != NULL) {
        *root = log.root;
    }
    return STATUS_OK;
}

enum status
store_log_append(struct store_txn *t, uint32_t id, const struct view *entries, size_t count,
                 const struct hash *leaves, struct hash *root)
{
    assert(t->write);
    if (count > STORE_APPEND_ENTRIES_MAX) {
        return STATUS_TOO_BIG;
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].count > ENTRY_BYTES_MAX) {
            return STATUS_TOO_BIG;
        }
    }
    return txn_fail(t, append(t, id, entries, count, leaves, root));
}

/* ---- own rows ---- */

enum status
store_own_put(struct store_txn *t, uint32_t id, uint64_t leaf, const struct store_own *own)
{
    uint8_t key[STORE_LEAF_KEY_BYTES], fixed[2 * TOKEN_BYTES];
    const struct txn_log *touched = NULL;
    struct store_log log;
    struct view row;
    enum status st;

    assert(t->write);
    if (own->rank.count > STORE_RANK_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    for (size_t i = 0; i < t->touched_count; i++) {
        touched = t->touched[i].id == id ? &t->touched[i] : touched;
    }
    leaf_key(key, id, leaf);
    if (touched == NULL || leaf < touched->size_before) {
        st = row_get(t, DB_OWN, view_of(key, sizeof key), &row);
        if (st != STATUS_NOT_FOUND) {
            return st == STATUS_OK ? STATUS_EXISTS : st;
        }
    }
    if (touched == NULL && (st = store_log_get(t, id, &log)) != STATUS_OK) {
        return st;
    }
    if (leaf >= (touched != NULL ? touched->size : log.size)) {
        return STATUS_NOT_FOUND;
    }
    memcpy(fixed, own->report, TOKEN_BYTES);
    memcpy(fixed + TOKEN_BYTES, own->content, TOKEN_BYTES);
    st = row_put_next(t, DB_OWN, view_of(key, sizeof key), view_of(fixed, sizeof fixed),
                      own->rank);
    if (st != STATUS_OK) {
        return st;
    }
    return txn_fail(t, leaf < (touched != NULL ? touched->indexed : log.indexed_to)
                           ? index_put(t, id, leaf, own->report)
                           : tail_note_row(t, id, leaf, own->report));
}

enum status
store_own_get(struct store_txn *t, uint32_t id, uint64_t leaf, struct store_own *out)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];
    struct view row;
    enum status st;

    leaf_key(key, id, leaf);
    if ((st = row_get(t, DB_OWN, view_of(key, sizeof key), &row)) != STATUS_OK) {
        return st;
    }
    if (row.count < 2 * TOKEN_BYTES) {
        return STATUS_CORRUPT;
    }
    memcpy(out->report, row.bytes, TOKEN_BYTES);
    memcpy(out->content, row.bytes + TOKEN_BYTES, TOKEN_BYTES);
    out->rank = view_of(row.bytes + 2 * TOKEN_BYTES, row.count - 2 * TOKEN_BYTES);
    return STATUS_OK;
}

/* ---- notes ---- */

static struct view
note_key(uint8_t key[5], uint32_t id, enum store_note kind)
{
    put_be32(key, id);
    key[4] = (uint8_t)kind;
    return view_of(key, 5);
}

enum status
store_note_put(struct store_txn *t, uint32_t id, enum store_note kind, struct view note)
{
    uint8_t key[5];

    if (note.count > NOTE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    return row_put(t, DB_NOTES, note_key(key, id, kind), note, view_of(NULL, 0));
}

enum status
store_note_get(struct store_txn *t, uint32_t id, enum store_note kind, struct view *out)
{
    uint8_t key[5];

    return row_get(t, DB_NOTES, note_key(key, id, kind), out);
}
