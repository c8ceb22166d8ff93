#include "store/charter.h"

#include <assert.h>
#include <string.h>

#include "store/internal.h"

enum {
    LIST_ROWS = 256, /* leaf hashes in one row of DB_LISTS */
    /* network 0 kind version BE64 chunk BE32 */
    CHARTER_KEY_BYTES_MAX = NETWORK_CHARS_MAX + 1 + 1 + 8 + 4
};

static bool
network_is_good(struct view network)
{
    return network.count > 0 && network.count <= NETWORK_CHARS_MAX &&
           memchr(network.bytes, 0, network.count) == NULL;
}

/* network || 0 || kind || version; returns its length. */
static size_t
doc_key(uint8_t key[CHARTER_KEY_BYTES_MAX], const struct store_charter_key *k)
{
    size_t n = k->network.count;

    memcpy(key, k->network.bytes, n);
    key[n++] = 0;
    key[n++] = (uint8_t)k->kind;
    put_be64(key + n, k->version);
    return n + 8;
}

static struct view
list_key(uint8_t key[CHARTER_KEY_BYTES_MAX], const struct store_charter_key *k, uint32_t chunk)
{
    size_t n = doc_key(key, k);

    put_be32(key + n, chunk);
    return view_of(key, n + 4);
}

static enum status
doc_open(struct view row, struct view *note, uint32_t *rows)
{
    if (row.count < 4 || get_be32(row.bytes) > CHARTER_ROWS_MAX) {
        return STATUS_CORRUPT;
    }
    *rows = get_be32(row.bytes);
    *note = view_of(row.bytes + 4, row.count - 4);
    return STATUS_OK;
}

enum status
store_charter_get(struct store_txn *t, const struct store_charter_key *key, struct view *note,
                  uint32_t *rows)
{
    uint8_t k[CHARTER_KEY_BYTES_MAX];
    struct view row;
    enum status st;

    if (!network_is_good(key->network)) {
        return STATUS_NOT_FOUND;
    }
    st = row_get(t, DB_CHARTER, view_of(k, doc_key(k, key)), &row);
    return st == STATUS_OK ? doc_open(row, note, rows) : st;
}

enum status
store_charter_newest(struct store_txn *t, struct store_charter_key *key, struct view *note,
                     uint32_t *rows)
{
    uint8_t want[CHARTER_KEY_BYTES_MAX];
    struct view found, row = {NULL, 0};
    MDB_cursor *c = NULL;
    MDB_val k, v;
    size_t n;
    enum status st;
    int rc;

    if (!network_is_good(key->network)) {
        return STATUS_NOT_FOUND;
    }
    n = doc_key(want, key);
    k = mdb_val_of(view_of(want, n));
    if ((rc = mdb_cursor_open(t->mdb, t->s->dbi[DB_CHARTER], &c)) != 0) {
        return status_of_mdb(rc);
    }
    rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND) {
        rc = mdb_cursor_get(c, &k, &v, MDB_LAST);
    } else if (rc == 0 && !views_equal(view_of_val(k), view_of(want, n))) {
        rc = mdb_cursor_get(c, &k, &v, MDB_PREV);
    }
    mdb_cursor_close(c);
    if (rc != 0) {
        return status_of_mdb(rc);
    }
    found = view_of_val(k);
    if (found.count != n || memcmp(found.bytes, want, n - 8) != 0) {
        return STATUS_NOT_FOUND;
    }
    if ((st = row_open(DB_CHARTER, found, view_of_val(v), &row)) == STATUS_OK &&
        (st = doc_open(row, note, rows)) == STATUS_OK) {
        key->version = get_be64(found.bytes + n - 8);
    }
    return st;
}

static enum status
note_write(struct store_txn *t, const struct store_charter_key *key, struct view note,
           uint32_t rows)
{
    uint8_t k[CHARTER_KEY_BYTES_MAX], count[4];

    put_be32(count, rows);
    return row_put(t, DB_CHARTER, view_of(k, doc_key(k, key)), view_of(count, sizeof count),
                   note);
}

enum status
store_charter_note_put(struct store_txn *t, const struct store_charter_key *key,
                       struct view note)
{
    struct view old;
    uint32_t rows;
    enum status st;

    if (note.count > NOTE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    st = store_charter_get(t, key, &old, &rows);
    return st == STATUS_OK ? note_write(t, key, note, rows) : st;
}

/* A row that is there under this hash is the same row. */
static enum status
row_keep(struct store_txn *t, const struct hash *leaf, struct view row)
{
    enum status st =
        raw_put(t, DB_ROWS, view_of(leaf->bytes, HASH_BYTES), row, MDB_NOOVERWRITE);

    return st == STATUS_EXISTS ? STATUS_OK : st;
}

/* Write the rows and the lists of their hashes; or, of a version that is
 * there, only compare the lists. */
static enum status
rows_write(struct store_txn *t, const struct store_charter_key *key, const struct view *rows,
           size_t count, bool compare)
{
    uint8_t k[CHARTER_KEY_BYTES_MAX];
    struct hash list[LIST_ROWS];
    struct view there;
    enum status st = STATUS_OK;

    for (size_t done = 0, some; done < count && st == STATUS_OK; done += some) {
        some = count - done < LIST_ROWS ? count - done : LIST_ROWS;
        tree_leaf_hashes(rows + done, some, list);
        struct view name = list_key(k, key, (uint32_t)(done / LIST_ROWS));
        struct view value = view_of(list, some * sizeof list[0]);
        if (compare) {
            st = row_get(t, DB_LISTS, name, &there);
            if (st == STATUS_OK && !views_equal(there, value)) {
                st = STATUS_FORK;
            }
            continue;
        }
        for (size_t i = 0; i < some && st == STATUS_OK; i++) {
            st = row_keep(t, &list[i], rows[done + i]);
        }
        if (st == STATUS_OK) {
            st = row_put(t, DB_LISTS, name, value, view_of(NULL, 0));
        }
    }
    return st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
}

enum status
store_charter_put(struct store_txn *t, const struct store_charter_key *key, struct view note,
                  const struct view *rows, size_t count)
{
    struct view old;
    uint32_t old_rows = 0;
    enum status st;

    assert(t->write);
    if (!network_is_good(key->network)) {
        return STATUS_MALFORMED;
    }
    if (note.count > NOTE_BYTES_MAX || count > CHARTER_ROWS_MAX) {
        return STATUS_TOO_BIG;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].count > CHARTER_ROW_BYTES_MAX) {
            return STATUS_TOO_BIG;
        }
    }
    st = store_charter_get(t, key, &old, &old_rows);
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        return st;
    }
    if (st == STATUS_OK && old_rows != count) {
        return STATUS_FORK;
    }
    if ((st = rows_write(t, key, rows, count, st == STATUS_OK)) != STATUS_OK) {
        return st;
    }
    return note_write(t, key, note, (uint32_t)count);
}

enum status
store_charter_leaf(struct store_txn *t, const struct store_charter_key *key, uint32_t number,
                   struct hash *leaf)
{
    size_t at = number % LIST_ROWS * sizeof *leaf;
    uint8_t k[CHARTER_KEY_BYTES_MAX];
    struct view list;
    uint32_t rows;
    enum status st;

    if ((st = store_charter_get(t, key, &list, &rows)) != STATUS_OK) {
        return st;
    }
    if (number >= rows) {
        return STATUS_NOT_FOUND;
    }
    st = row_get(t, DB_LISTS, list_key(k, key, number / LIST_ROWS), &list);
    if (st == STATUS_NOT_FOUND || (st == STATUS_OK && list.count < at + sizeof *leaf)) {
        return STATUS_CORRUPT;
    }
    if (st == STATUS_OK) {
        memcpy(leaf, list.bytes + at, sizeof *leaf);
    }
    return st;
}

enum status
store_charter_leaves(struct store_txn *t, const struct store_charter_key *key, uint32_t first,
                     struct hash *leaves, size_t *count)
{
    uint8_t k[CHARTER_KEY_BYTES_MAX];
    struct view list;
    uint32_t rows;
    size_t done = 0, wanted = *count;
    enum status st = store_charter_get(t, key, &list, &rows);

    *count = 0;
    while (st == STATUS_OK && done < wanted && first < rows) {
        size_t at = first % LIST_ROWS, some = LIST_ROWS - at;
        st = row_get(t, DB_LISTS, list_key(k, key, first / LIST_ROWS), &list);
        some = some < wanted - done ? some : wanted - done;
        some = some < rows - first ? some : rows - first;
        if (st == STATUS_NOT_FOUND ||
            (st == STATUS_OK && list.count < (at + some) * sizeof *leaves)) {
            return STATUS_CORRUPT;
        }
        if (st == STATUS_OK) {
            memcpy(leaves + done, list.bytes + at * sizeof *leaves, some * sizeof *leaves);
            done += some;
            first += (uint32_t)some;
        }
    }
    *count = st == STATUS_OK ? done : 0;
    return st;
}

enum status
store_charter_row_by_hash(struct store_txn *t, const struct hash *leaf, struct view *row)
{
    struct hash hash;
    struct view found;
    enum status st;

    st = raw_get(t, DB_ROWS, view_of(leaf->bytes, HASH_BYTES), &found);
    if (st != STATUS_OK) {
        return st;
    }
    tree_leaf_hash(found.bytes, found.count, &hash);
    if (!hash_equal(&hash, leaf)) {
        return STATUS_CORRUPT;
    }
    *row = found;
    return STATUS_OK;
}

enum status
store_charter_row(struct store_txn *t, const struct store_charter_key *key, uint32_t number,
                  struct view *row)
{
    struct hash leaf;
    enum status st = store_charter_leaf(t, key, number, &leaf);

    if (st != STATUS_OK) {
        return st;
    }
    st = store_charter_row_by_hash(t, &leaf, row);
    return st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
}

enum status
store_charter_next_network(struct store_txn *t, struct view after, struct view *network)
{
    uint8_t from[NETWORK_CHARS_MAX + 1];
    struct view key, row;
    const uint8_t *end;
    enum status st;

    if (after.count > NETWORK_CHARS_MAX) {
        return STATUS_NOT_FOUND;
    }
    if (after.count > 0) { /* Past everything that begins with network || 0. */
        memcpy(from, after.bytes, after.count);
        from[after.count] = 1;
        after = view_of(from, after.count + 1);
    }
    if ((st = row_next(t, DB_CHARTER, after, 0, &key, &row)) != STATUS_OK) {
        return st;
    }
    end = memchr(key.bytes, 0, key.count);
    if (end == NULL) {
        return STATUS_CORRUPT;
    }
    *network = view_of(key.bytes, (size_t)(end - key.bytes));
    return STATUS_OK;
}

/* ---- refused documents ---- */

static struct view
refused_key(uint8_t key[NETWORK_CHARS_MAX + 9], struct view network, uint64_t number)
{
    memcpy(key, network.bytes, network.count);
    key[network.count] = 0;
    put_be64(key + network.count + 1, number);
    return view_of(key, network.count + 9);
}

struct refused_scan {
    struct view note; /* looked for */
    size_t count;
    bool found;
    uint64_t first, last;
};

static enum status
refused_scan(struct store_txn *t, struct view network, struct refused_scan *scan,
             store_refused_fn fn, void *context)
{
    uint8_t from[NETWORK_CHARS_MAX + 9];
    struct view at = refused_key(from, network, 0), row;
    enum status st;

    while ((st = row_next(t, DB_REFUSED, at, network.count + 1, &at, &row)) == STATUS_OK) {
        if (at.count != network.count + 9 || row.count < 4) {
            return STATUS_CORRUPT;
        }
        struct view note = view_of(row.bytes + 4, row.count - 4);
        if (fn != NULL && !fn(context, (enum status)get_be32(row.bytes), note)) {
            return STATUS_OK;
        }
        scan->last = get_be64(at.bytes + network.count + 1);
        if (scan->count++ == 0) {
            scan->first = scan->last;
        }
        scan->found = scan->found || views_equal(note, scan->note);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

enum status
store_refused_put(struct store_txn *t, struct view network, enum status reason,
                  struct view note)
{
    uint8_t key[NETWORK_CHARS_MAX + 9], code[4];
    struct refused_scan scan = {.note = note};
    enum status st;

    assert(t->write);
    if (!network_is_good(network)) {
        return STATUS_MALFORMED;
    }
    if (note.count > NOTE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if ((st = refused_scan(t, network, &scan, NULL, NULL)) != STATUS_OK || scan.found) {
        return st;
    }
    if (scan.count >= STORE_REFUSED_MAX &&
        (st = raw_drop(t, DB_REFUSED, refused_key(key, network, scan.first))) != STATUS_OK) {
        return st;
    }
    put_be32(code, (uint32_t)reason);
    return row_put(t, DB_REFUSED, refused_key(key, network, scan.last + 1),
                   view_of(code, sizeof code), note);
}

enum status
store_refused_each(struct store_txn *t, struct view network, store_refused_fn fn, void *context)
{
    struct refused_scan scan = {.count = 0};

    return network_is_good(network) ? refused_scan(t, network, &scan, fn, context) : STATUS_OK;
}
