#include "crypto/tilereader.h"

#include <assert.h>
#include <string.h>

/* The partial tiles of all levels are enough for the root: each digit of the
 * size, base 256, is the width of one of them, and its perfect subtrees are
 * theirs.  So the root authenticates every hash in them, and each full tile is
 * authenticated by its hash in the tile above, which is partial or full itself. */

static unsigned
partial_width(unsigned level, uint64_t size)
{
    return (unsigned)(size >> (8 * level)) % TILE_HASHES;
}

/* Read a node of the right edge out of the partial tiles, not yet checked. */
static enum status
read_edge(void *ctx, unsigned level, uint64_t index, struct hash *out)
{
    const struct tile_reader *r = ctx;
    struct tile_place place;

    tile_place_of(level, index, &place);
    assert(place.first + (1u << place.rows) <= r->edge_width[place.tile_level]);
    tile_rebuild(&r->edge[place.tile_level][place.first], place.rows, out);
    return STATUS_OK;
}

enum status
tile_reader_open(uint64_t size, const struct hash *root, tile_fetch fetch, void *ctx,
                 struct tile_reader *r)
{
    struct hash computed;
    enum status st;

    if (size > TREE_SIZE_MAX) {
        return STATUS_MALFORMED;
    }
    r->size = size;
    r->fetch = fetch;
    r->ctx = ctx;
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        struct tile tile = {.level = level,
                            .index = size >> (8 * level) >> 8,
                            .width = partial_width(level, size)};
        r->held[level] = false;
        r->edge_width[level] = tile.width;
        if (tile.width > 0 && (st = fetch(ctx, &tile, r->edge[level])) != STATUS_OK) {
            return st;
        }
    }
    st = tree_root_at(size, read_edge, r, &computed);
    if (st != STATUS_OK) {
        return st;
    }
    return hash_equal(&computed, root) ? STATUS_OK : STATUS_BAD_PROOF;
}

/* Give the checked tile (level, index), which exists: the partial one, or the
 * full one with all those above it, from the top down. */
static enum status
load(struct tile_reader *r, unsigned level, uint64_t index, const struct hash **out)
{
    unsigned top = level;

    /* Climb to a tile that is checked already.  The partial tile of a level is
     * the last there, and the topmost level has no full tile. */
    while (tile_width(top, index >> (8 * (top - level)), r->size) == TILE_HASHES &&
           !(r->held[top] && r->held_index[top] == index >> (8 * (top - level)))) {
        top++;
        assert(top < TILE_LEVELS);
    }
    while (top > level) {
        uint64_t at = index >> (8 * (top - 1 - level)); /* the tile one level lower */
        const struct hash *parent = tile_width(top, at / TILE_HASHES, r->size) == TILE_HASHES
                                        ? r->full[top]
                                        : r->edge[top];
        struct tile tile = {.level = top - 1, .index = at, .width = TILE_HASHES};
        struct hash computed;
        enum status st;

        r->held[top - 1] = false;
        st = r->fetch(r->ctx, &tile, r->full[top - 1]);
        if (st != STATUS_OK) {
            return st;
        }
        tile_root_of_full(r->full[top - 1], &computed);
        if (!hash_equal(&computed, &parent[at % TILE_HASHES])) {
            return STATUS_BAD_PROOF;
        }
        r->held[top - 1] = true;
        r->held_index[top - 1] = at;
        top--;
    }
    *out = tile_width(level, index, r->size) == TILE_HASHES ? r->full[level] : r->edge[level];
    return STATUS_OK;
}

enum status
tile_reader_tile(struct tile_reader *r, unsigned level, uint64_t index,
                 struct hash hashes[TILE_HASHES])
{
    unsigned width = tile_width(level, index, r->size);
    const struct hash *tile;
    enum status st;

    if (width == 0) {
        return STATUS_NOT_FOUND;
    }
    st = load(r, level, index, &tile);
    if (st == STATUS_OK) {
        memcpy(hashes, tile, width * sizeof *hashes);
    }
    return st;
}

enum status
tile_read_node(void *reader, unsigned level, uint64_t index, struct hash *out)
{
    struct tile_reader *r = reader;
    struct tile_place place;
    const struct hash *tile;
    enum status st;

    /* Final nodes only: the last leaf under it must exist. */
    if (level >= 64 || index >= r->size >> level) {
        return STATUS_NOT_FOUND;
    }
    tile_place_of(level, index, &place);
    st = load(r, place.tile_level, place.tile_index, &tile);
    if (st == STATUS_OK) {
        tile_rebuild(&tile[place.first], place.rows, out);
    }
    return st;
}

enum status
tile_reader_check_all(struct tile_reader *r)
{
    /* Every higher tile is loaded, and checked, on the way to the lowest. */
    for (uint64_t index = 0; index < r->size / TILE_HASHES; index++) {
        const struct hash *tile;
        enum status st = load(r, 0, index, &tile);
        if (st != STATUS_OK) {
            return st;
        }
    }
    return STATUS_OK;
}
