/* The reading half of log.h: entries, tiles, proofs; and records. */
#include <assert.h>
#include <string.h>

#include "crypto/tile.h"
#include "crypto/tree.h"
#include "crypto/treebuild.h"
#include "store/internal.h"
#include "store/log.h"
#include "store/tiles.h"

/* ---- entries ---- */

static enum status
size_of(struct store_txn *t, uint32_t id, uint64_t *size)
{
    struct store_log log;
    enum status st = store_log_get(t, id, &log);

    if (st == STATUS_OK) {
        *size = log.size;
    }
    return st;
}

/* What the log's size promises must be there: its absence is damage. */
static enum status
must_be_there(enum status st)
{
    return st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
}

enum status
store_entry_get(struct store_txn *t, uint32_t id, uint64_t index, struct view *out)
{
    struct view entry;
    size_t got;
    enum status st;

    if ((st = store_entries_get(t, id, index, 1, &entry, &got)) != STATUS_OK) {
        return st;
    }
    if (got == 0) {
        return STATUS_NOT_FOUND;
    }
    *out = entry;
    return STATUS_OK;
}

/* Compare entries[0 .. count) from `from` on, all in one tile, with it. */
static enum status
check_leaves(struct store_txn *t, uint32_t id, uint64_t from, const struct view *entries,
             size_t count)
{
    size_t first = (size_t)(from % TILE_HASHES);
    struct hash leaves[TILE_HASHES];
    struct tile_view tile;
    enum status st;

    if ((st = must_be_there(tiles_view(t, id, 0, from / TILE_HASHES, &tile))) != STATUS_OK) {
        return st;
    }
    if (first + count > tile.width) {
        return STATUS_CORRUPT;
    }
    tree_leaf_hashes(entries, count, leaves);
    return memcmp(leaves, tile.nodes + first, count * sizeof leaves[0]) == 0 ? STATUS_OK
                                                                             : STATUS_CORRUPT;
}

/* Read rows [from, from + count), which exist. */
static enum status
read_rows(struct store_txn *t, uint32_t id, uint64_t from, size_t count, struct view *out)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];
    MDB_val k = {sizeof key, key}, v;
    MDB_cursor *c = NULL;
    enum status st = STATUS_OK;
    int rc;

    leaf_key(key, id, from);
    if (count == 1) {
        return must_be_there(raw_get(t, DB_ENTRIES, view_of(key, sizeof key), out));
    }
    if ((rc = mdb_cursor_open(t->mdb, t->s->dbi[DB_ENTRIES], &c)) != 0) {
        return status_of_mdb(rc);
    }
    rc = mdb_cursor_get(c, &k, &v, MDB_SET_KEY);
    for (size_t i = 0; i < count; i++) {
        leaf_key(key, id, from + i);
        if (rc != 0 || !views_equal(view_of_val(k), view_of(key, sizeof key))) {
            st = rc == 0 ? STATUS_CORRUPT : must_be_there(status_of_mdb(rc));
            break;
        }
        out[i] = view_of_val(v);
        if (i + 1 < count) {
            rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
        }
    }
    mdb_cursor_close(c);
    return st;
}

enum status
store_entries_get(struct store_txn *t, uint32_t id, uint64_t from, size_t count,
                  struct view *out, size_t *got)
{
    uint64_t size;
    enum status st;

    *got = 0;
    if ((st = size_of(t, id, &size)) != STATUS_OK) {
        return st;
    }
    if (from >= size) {
        return STATUS_OK;
    }
    if (count > size - from) {
        count = (size_t)(size - from);
    }
    if (count > 0 && (st = read_rows(t, id, from, count, out)) != STATUS_OK) {
        return st;
    }
    for (size_t done = 0, some; done < count; done += some) {
        some = TILE_HASHES - (size_t)((from + done) % TILE_HASHES);
        if (some > count - done) {
            some = count - done;
        }
        if ((st = check_leaves(t, id, from + done, out + done, some)) != STATUS_OK) {
            return st;
        }
    }
    *got = count;
    return STATUS_OK;
}

/* ---- tiles ---- */

enum status
store_tile_get(struct store_txn *t, uint32_t id, unsigned level, uint64_t index, unsigned width,
               struct view *out)
{
    struct tile_view tile;
    unsigned there;
    uint64_t size;
    enum status st;

    if ((st = size_of(t, id, &size)) != STATUS_OK) {
        return st;
    }
    there = level < TILE_LEVELS_MAX ? tile_width(level, index, size) : 0;
    if (width == 0 || width > there) {
        return STATUS_NOT_FOUND;
    }
    st = must_be_there(tiles_view_checked(t, id, level, index, &tile));
    if (st == STATUS_OK && tile.width != there) {
        st = STATUS_CORRUPT; /* An older version of the row. */
    }
    if (st == STATUS_OK) {
        *out = view_of(tile.nodes, width * sizeof(struct hash));
    }
    return st;
}

enum status
store_leaf_get(struct store_txn *t, uint32_t id, uint64_t index, struct hash *out)
{
    unsigned at = (unsigned)(index % TILE_HASHES);
    struct view tile;
    enum status st;

    st = store_tile_get(t, id, 0, index / TILE_HASHES, at + 1, &tile);
    if (st == STATUS_OK) {
        memcpy(out, tile.bytes + at * sizeof *out, sizeof *out);
    }
    return st;
}

/* ---- proofs ---- */

enum status
store_root_at(struct store_txn *t, uint32_t id, uint64_t size, struct hash *out)
{
    struct tiles_reader reader = {.t = t, .log = id};
    uint64_t now;
    enum status st;

    if ((st = size_of(t, id, &now)) != STATUS_OK) {
        return st;
    }
    return size <= now ? tree_root_at(size, tiles_read_node, &reader, out) : STATUS_NOT_FOUND;
}

enum status
store_prove_inclusion(struct store_txn *t, uint32_t id, uint64_t index, uint64_t size,
                      const struct hash *root, struct hash proof[TREE_PROOF_HASHES_MAX],
                      size_t *count)
{
    struct tiles_reader reader = {.t = t, .log = id};
    struct hash leaf;
    uint64_t now;
    enum status st;

    if ((st = size_of(t, id, &now)) != STATUS_OK) {
        return st;
    }
    if (index >= size || size > now) {
        return STATUS_NOT_FOUND;
    }
    if ((st = tiles_read_node(&reader, 0, index, &leaf)) != STATUS_OK ||
        (st = tree_prove_inclusion(size, index, tiles_read_node, &reader, proof, count)) !=
            STATUS_OK) {
        return st;
    }
    return tree_check_inclusion(root, size, &leaf, index, proof, *count) == STATUS_OK
               ? STATUS_OK
               : STATUS_CORRUPT;
}

enum status
store_prove_consistency(struct store_txn *t, uint32_t id, uint64_t old_size,
                        const struct hash *old_root, uint64_t size, const struct hash *root,
                        struct hash proof[TREE_PROOF_HASHES_MAX], size_t *count)
{
    struct tiles_reader reader = {.t = t, .log = id};
    uint64_t now;
    enum status st;

    if ((st = size_of(t, id, &now)) != STATUS_OK) {
        return st;
    }
    if (old_size == 0 || old_size > size || size > now) {
        return STATUS_NOT_FOUND;
    }
    st = tree_prove_consistency(old_size, size, tiles_read_node, &reader, proof, count);
    if (st != STATUS_OK) {
        return st;
    }
    return tree_check_consistency(old_root, old_size, root, size, proof, *count) == STATUS_OK
               ? STATUS_OK
               : STATUS_CORRUPT;
}

/* ---- records ---- */

enum status
store_record_put_own(struct store_txn *t, uint32_t id, uint64_t leaf, struct view record)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];
    MDB_val v = mdb_val_of(record);
    struct view there;
    enum status st;

    if (record.count == 0 || record.count > RECORD_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    leaf_key(key, id, leaf);
    if ((st = raw_put_next(t, DB_RECORDS, view_of(key, sizeof key), &v)) != STATUS_EXISTS) {
        return st;
    }
    /* A damaged one is replaced: the bytes in hand are the right ones. */
    st = raw_get(t, DB_RECORDS, view_of(key, sizeof key), &there);
    if (st == STATUS_OK && !views_equal(there, record)) {
        st = raw_put(t, DB_RECORDS, view_of(key, sizeof key), record, 0);
    }
    return st;
}

enum status
store_record_put(struct store_txn *t, uint32_t id, uint64_t leaf, const struct hash *sealed,
                 struct view record)
{
    struct hash hash;

    if (record.count == 0 || record.count > RECORD_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    sha256(record.bytes, record.count, &hash);
    return hash_equal(&hash, sealed) ? store_record_put_own(t, id, leaf, record)
                                     : STATUS_BAD_PROOF;
}

enum status
store_record_get(struct store_txn *t, uint32_t id, uint64_t leaf, const struct hash *sealed,
                 struct view *out)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];
    struct hash hash;
    struct view row;
    enum status st;

    leaf_key(key, id, leaf);
    if ((st = raw_get(t, DB_RECORDS, view_of(key, sizeof key), &row)) != STATUS_OK) {
        return st;
    }
    sha256(row.bytes, row.count, &hash);
    if (!hash_equal(&hash, sealed)) {
        return STATUS_CORRUPT;
    }
    *out = row;
    return STATUS_OK;
}

enum status
store_record_has(struct store_txn *t, uint32_t id, uint64_t leaf)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];
    struct view row;

    leaf_key(key, id, leaf);
    return raw_get(t, DB_RECORDS, view_of(key, sizeof key), &row);
}
