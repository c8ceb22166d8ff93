#include "store/tiles.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/treebuild.h"

_Static_assert(TILE_HEAD_BYTES + TILE_NODES * HASH_BYTES + 16 == 4 * 4096,
               "a full tile fills four pages");

struct grid *
grids_new(void)
{
    return calloc(TILE_LEVELS_MAX, sizeof(struct grid));
}

static void
tile_key(uint8_t key[TILE_KEY_BYTES], uint32_t log, unsigned level, uint64_t index)
{
    put_be32(key, log);
    key[4] = (uint8_t)level;
    put_be64(key + 5, index);
}

/* Where row `r` begins: among the nodes of a grid, and of a stored row of
 * this width. */
static unsigned
grid_row(unsigned r)
{
    return 512u - (512u >> r);
}

static unsigned
compact_row(unsigned r, unsigned width)
{
    unsigned at = 0;

    for (unsigned k = 0; k < r; k++) {
        at += width >> k;
    }
    return at;
}

static void
tile_check(const uint8_t key[TILE_KEY_BYTES], const uint8_t width[2], struct view nodes,
           uint8_t check[TILE_CHECK_BYTES])
{
    uint8_t head[1 + TILE_KEY_BYTES + 2];
    struct hash h;

    head[0] = DB_TILES;
    memcpy(head + 1, key, TILE_KEY_BYTES);
    memcpy(head + 1 + TILE_KEY_BYTES, width, 2);
    sha256_2(view_of(head, sizeof head), nodes, &h);
    memcpy(check, h.bytes, TILE_CHECK_BYTES);
}

static enum status
view_of_row(struct view stored, struct tile_view *out)
{
    if (stored.count < TILE_HEAD_BYTES) {
        return STATUS_CORRUPT;
    }
    out->width = get_be16(stored.bytes + TILE_CHECK_BYTES);
    if (out->width == 0 || out->width > TILE_HASHES ||
        stored.count !=
            TILE_HEAD_BYTES + compact_row(TILE_ROWS, out->width) * (size_t)HASH_BYTES) {
        return STATUS_CORRUPT;
    }
    out->nodes = (const struct hash *)(const void *)(stored.bytes + TILE_HEAD_BYTES);
    return STATUS_OK;
}

enum status
tiles_view(struct store_txn *t, uint32_t log, unsigned level, uint64_t index,
           struct tile_view *out)
{
    uint8_t key[TILE_KEY_BYTES];
    struct view stored;
    enum status st;

    tile_key(key, log, level, index);
    st = raw_get(t, DB_TILES, view_of(key, sizeof key), &stored);
    return st == STATUS_OK ? view_of_row(stored, out) : st;
}

enum status
tiles_view_checked(struct store_txn *t, uint32_t log, unsigned level, uint64_t index,
                   struct tile_view *out)
{
    uint8_t key[TILE_KEY_BYTES], check[TILE_CHECK_BYTES];
    struct view stored;
    enum status st;

    tile_key(key, log, level, index);
    if ((st = raw_get(t, DB_TILES, view_of(key, sizeof key), &stored)) != STATUS_OK ||
        (st = view_of_row(stored, out)) != STATUS_OK) {
        return st;
    }
    tile_check(key, stored.bytes + TILE_CHECK_BYTES,
               view_of(stored.bytes + TILE_HEAD_BYTES, stored.count - TILE_HEAD_BYTES), check);
    return memcmp(check, stored.bytes, sizeof check) == 0 ? STATUS_OK : STATUS_CORRUPT;
}

static enum status
grid_write(struct store_txn *t, uint32_t log, unsigned level, uint64_t index,
           const struct grid *g)
{
    uint8_t key[TILE_KEY_BYTES];
    size_t nodes_bytes = compact_row(TILE_ROWS, g->width) * (size_t)HASH_BYTES;
    MDB_val k = {sizeof key, key}, v = {TILE_HEAD_BYTES + nodes_bytes, NULL};
    uint8_t *p;
    int rc;

    assert(g->width > 0 && g->width <= TILE_HASHES);
    tile_key(key, log, level, index);
    if ((rc = mdb_put(t->mdb, t->s->dbi[DB_TILES], &k, &v, MDB_RESERVE)) != 0) {
        return txn_fail(t, status_of_mdb(rc));
    }
    p = (uint8_t *)v.mv_data + TILE_HEAD_BYTES;
    for (unsigned r = 0; r < TILE_ROWS; r++) {
        size_t count = (g->width >> r) * (size_t)HASH_BYTES;
        memcpy(p, &g->nodes[grid_row(r)], count);
        p += count;
    }
    p = v.mv_data;
    put_be16(p + TILE_CHECK_BYTES, (uint16_t)g->width);
    tile_check(key, p + TILE_CHECK_BYTES, view_of(p + TILE_HEAD_BYTES, nodes_bytes), p);
    return STATUS_OK;
}

/* Take up the partial tile at the right edge; it must be as wide as the size
 * of the log says, so that an older version of it is noticed. */
static enum status
grid_load(struct store_txn *t, uint32_t log, unsigned level, uint64_t size, struct grid *g)
{
    uint64_t hashes = size >> (8 * level);
    struct tile_view view;
    enum status st;

    g->width = (unsigned)(hashes % TILE_HASHES);
    if (g->width == 0) {
        return STATUS_OK;
    }
    st = tiles_view_checked(t, log, level, hashes / TILE_HASHES, &view);
    if (st == STATUS_NOT_FOUND || (st == STATUS_OK && view.width != g->width)) {
        st = STATUS_CORRUPT;
    }
    for (unsigned r = 0, at = 0; st == STATUS_OK && r < TILE_ROWS; r++) {
        memcpy(&g->nodes[grid_row(r)], view.nodes + at, (g->width >> r) * sizeof(struct hash));
        at += g->width >> r;
    }
    return st;
}

/* Put one hash into the tile, and the inner nodes that become final. */
static void
grid_push(struct grid *g, const struct hash *hash)
{
    unsigned at = g->width;

    assert(at < TILE_HASHES);
    g->nodes[at] = *hash;
    for (unsigned r = 1; r < TILE_ROWS && (at & 1) == 1; r++) {
        const struct hash *left = &g->nodes[grid_row(r - 1) + at - 1];
        at >>= 1;
        tree_node_hash(left, left + 1, &g->nodes[grid_row(r) + at]);
    }
    g->width++;
}

enum status
tiles_append(struct store_txn *t, uint32_t log, uint64_t size, const struct hash *leaves,
             size_t count)
{
    struct grid *grids = t->s->grids;
    unsigned loaded = 1; /* levels that this append reaches */
    uint64_t at = size;
    enum status st;

    assert(t->write);
    if ((st = grid_load(t, log, 0, size, &grids[0])) != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; i < count; i++) {
        const struct hash *hash = &leaves[i];
        for (unsigned level = 0; level < TILE_LEVELS_MAX; level++) {
            struct grid *g = &grids[level];
            if (level == loaded) {
                if ((st = grid_load(t, log, level, size, g)) != STATUS_OK) {
                    return st;
                }
                loaded++;
            }
            grid_push(g, hash);
            if (g->width < TILE_HASHES) {
                break;
            }
            if ((st = grid_write(t, log, level, at >> (8 * (level + 1)), g)) != STATUS_OK) {
                return st;
            }
            g->width = 0;
            hash = &g->nodes[TILE_NODES - 1];
        }
        at++;
    }
    for (unsigned level = 0; level < loaded; level++) {
        if (grids[level].width > 0 && (st = grid_write(t, log, level, at >> (8 * (level + 1)),
                                                       &grids[level])) != STATUS_OK) {
            return st;
        }
    }
    return STATUS_OK;
}

enum status
tiles_read_node(void *reader, unsigned level, uint64_t index, struct hash *out)
{
    struct tiles_reader *r = reader;
    unsigned tile_level = level / 8, row = level % 8;
    uint64_t tile_index = index >> (8 - row);
    unsigned place = (unsigned)(index & ((256u >> row) - 1));
    enum status st;

    if (!r->held || r->level != tile_level || r->index != tile_index) {
        st = tiles_view(r->t, r->log, tile_level, tile_index, &r->view);
        if (st != STATUS_OK) {
            return st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
        }
        r->held = true;
        r->level = tile_level;
        r->index = tile_index;
    }
    if (place >= r->view.width >> row) {
        return STATUS_CORRUPT;
    }
    *out = r->view.nodes[compact_row(row, r->view.width) + place];
    return STATUS_OK;
}
