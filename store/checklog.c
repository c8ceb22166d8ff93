#include "store/checklog.h"

#include <string.h>

#include "crypto/tile.h"
#include "crypto/treebuild.h"
#include "store/tiles.h"

/* Tiles looked at in one transaction: some milliseconds (L2). */
enum { TILES_AT_ONCE = 64 };

/* ---- index rows of the entries in hand ---- */

static enum status
expect_row(struct check *c, struct store_txn *t, uint32_t id, uint64_t leaf,
           const uint8_t handle[TOKEN_BYTES])
{
    uint8_t key[STORE_HANDLE_KEY_BYTES];
    struct view value;
    enum status st;

    memcpy(key, handle, TOKEN_BYTES);
    leaf_key(key + TOKEN_BYTES, id, leaf);
    c->expected_rows++;
    st = raw_get(t, DB_HANDLES, view_of(key, sizeof key), &value);
    if (is_damage(st)) {
        check_report(c, "index", leaf, "the index row of an entry is missing");
        return STATUS_OK;
    }
    return st;
}

static enum status
check_handles(struct check *c, struct store_txn *t, const struct store_log *log, uint64_t from,
              const struct view *entries, size_t count)
{
    const struct store_options *o = &c->s->options;
    uint8_t handle[TOKEN_BYTES];
    struct store_own own;
    enum status st = STATUS_OK;

    for (size_t i = 0; i < count && st == STATUS_OK; i++) {
        uint64_t leaf = from + i;
        if (leaf >= c->indexed[log->id]) {
            break;
        }
        if (o->handle_of != NULL &&
            o->handle_of(o->handle_context, view_of(c->origin, c->origin_chars), entries[i],
                         handle)) {
            st = expect_row(c, t, log->id, leaf, handle);
        }
        if (st == STATUS_OK && (log->flags & STORE_LOG_OWN) != 0) {
            st = store_own_get(t, log->id, leaf, &own);
            if (st == STATUS_OK) {
                st = expect_row(c, t, log->id, leaf, own.report);
            } else if (st == STATUS_NOT_FOUND || st == STATUS_CORRUPT) {
                st = STATUS_OK; /* Damage is found when all own rows are read. */
            }
        }
    }
    return st;
}

/* ---- entries and tiles ---- */

/* The leaf hashes of a level-0 tile against the entries, one for one. */
static enum status
check_entries(struct check *c, struct store_txn **txn, const struct store_log *log,
              uint64_t tile)
{
    struct store_txn *t = *txn;
    struct view entries[TILE_HASHES];
    uint64_t from = tile * TILE_HASHES, size = c->size[log->id];
    size_t count = size - from < TILE_HASHES ? (size_t)(size - from) : TILE_HASHES, got;
    enum status st = store_entries_get(t, log->id, from, count, entries, &got);
    uint8_t key[STORE_LEAF_KEY_BYTES];
    uintptr_t page = 0;

    for (size_t i = 0; i < got && st == STATUS_OK; i++) {
        leaf_key(key, log->id, from + i);
        st = check_descent(t, DB_ENTRIES, view_of(key, sizeof key), entries[i].bytes, &page);
    }
    if (st == STATUS_OK && got == count) {
        c->totals.entries += count;
        for (size_t i = 0; i < count && c->options->entry != NULL; i++) {
            c->options->entry(c->options->context, t, log, from + i, entries[i]);
        }
        return check_handles(c, t, log, from, entries, count);
    }
    if (st != STATUS_OK && !is_damage(st)) {
        return st;
    }
    for (size_t i = 0; i < count; i++) { /* Which ones?  Each from a new transaction: */
        store_abort(*txn);               /* LMDB stops one that met a damaged page. */
        if ((st = store_begin_read(c->s, txn)) != STATUS_OK) {
            return st;
        }
        st = store_entry_get(*txn, log->id, from + i, &entries[0]);
        if (st == STATUS_OK) {
            c->totals.entries++;
        } else if (is_damage(st)) {
            check_report(c, "entry", from + i,
                         "entry is missing or differs from its leaf hash");
        } else {
            return st;
        }
    }
    return STATUS_OK;
}

/* The inner nodes of a tile from its hashes, and its root from one level up. */
static enum status
check_tile(struct check *c, struct store_txn *t, uint32_t id, unsigned level, uint64_t index)
{
    unsigned width = tile_width(level, index, c->size[id]), at = 0, row_width;
    struct tiles_reader reader = {.t = t, .log = id};
    struct tile_view tile;
    struct hash hash;
    enum status st = tiles_view_checked(t, id, level, index, &tile);

    if (st == STATUS_OK && tile.width < width) {
        st = STATUS_CORRUPT;
    }
    if (st != STATUS_OK) {
        if (is_damage(st)) {
            check_report_tile(c, level, index, "tile is missing, damaged or of another size");
            return STATUS_OK;
        }
        return st;
    }
    c->totals.tiles++;
    for (row_width = tile.width; row_width > 1; at += row_width, row_width /= 2) {
        for (unsigned i = 0; i < row_width / 2; i++) {
            tree_node_hash(&tile.nodes[at + 2 * i], &tile.nodes[at + 2 * i + 1], &hash);
            if (!hash_equal(&hash, &tile.nodes[at + row_width + i])) {
                check_report_tile(c, level, index, "inner node differs from its children");
                return STATUS_OK;
            }
        }
    }
    if (width == TILE_HASHES) {
        st = tiles_read_node(&reader, 8 * (level + 1), index, &hash);
        if (is_damage(st) ||
            (st == STATUS_OK && !hash_equal(&hash, &tile.nodes[TILE_NODES - 1]))) {
            check_report_tile(c, level, index, "tile differs from its hash one level up");
            st = STATUS_OK;
        }
    }
    return st;
}

/* Tiles of one level, taken in turn by the threads that share it. */
struct level_job {
    const struct store_log *log;
    unsigned level;
    uint64_t tiles;
    atomic_uint_fast64_t next;
};

static enum status
check_tiles(struct check *c, void *context)
{
    struct level_job *j = context;
    struct store_txn *t;
    enum status st = STATUS_OK;

    while (st == STATUS_OK) {
        uint64_t from = atomic_fetch_add(&j->next, TILES_AT_ONCE);
        if (from >= j->tiles || (j->level == 0 && !check_step(c, from * TILE_HASHES))) {
            break;
        }
        if ((st = store_begin_read(c->s, &t)) != STATUS_OK) {
            return st;
        }
        for (uint64_t i = from; i < j->tiles && i < from + TILES_AT_ONCE && st == STATUS_OK;
             i++) {
            uint64_t findings = c->totals.findings;
            st = check_tile(c, t, j->log->id, j->level, i);
            if (st == STATUS_OK && c->totals.findings != findings) {
                store_abort(t); /* It may have been stopped. */
                st = store_begin_read(c->s, &t);
            }
            if (st == STATUS_OK && j->level == 0) {
                st = check_entries(c, &t, j->log, i);
            }
        }
        store_abort(t);
    }
    return st;
}

static enum status
check_level(struct check *c, const struct store_log *log, unsigned level)
{
    uint64_t hashes = c->size[log->id] >> (8 * level);
    struct level_job job = {.log = log,
                            .level = level,
                            .tiles = hashes / TILE_HASHES + (hashes % TILE_HASHES != 0)};

    atomic_init(&job.next, 0);
    return job.tiles <= TILES_AT_ONCE ? check_tiles(c, &job)
                                      : check_in_threads(c, check_tiles, &job);
}

/* The root from the tiles, and that nothing stands above the size. */
static enum status
check_root(struct check *c, struct store_txn *t, const struct store_log *log)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];
    struct view value;
    struct hash root;
    enum status st = store_root_at(t, log->id, log->size, &root);

    if (is_damage(st) || (st == STATUS_OK && !hash_equal(&root, &log->root))) {
        check_report(c, "log", log->size, "root differs from the tiles");
    } else if (st != STATUS_OK) {
        return st;
    }
    leaf_key(key, log->id, log->size);
    st = raw_get(t, DB_ENTRIES, view_of(key, sizeof key), &value);
    if (st == STATUS_OK) {
        check_report(c, "entry", log->size, "entry stands above the size of its log");
    }
    return STATUS_OK;
}

enum status
check_log(struct check *c, uint32_t id)
{
    struct store_log log;
    struct store_txn *t;
    enum status st;

    if ((st = store_begin_read(c->s, &t)) != STATUS_OK) {
        return st;
    }
    if ((st = store_log_get(t, id, &log)) == STATUS_OK) {
        c->size[id] = log.size;
        c->indexed[id] = log.indexed_to;
        st = check_root(c, t, &log);
    }
    store_abort(t);
    log.origin = view_of(c->origin, c->origin_chars); /* The snapshot is gone. */
    if (st != STATUS_OK || !check_step(c, 0)) {
        return st;
    }
    for (unsigned level = 0; level < TILE_LEVELS_MAX && st == STATUS_OK; level++) {
        st = check_level(c, &log, level);
    }
    return st;
}
