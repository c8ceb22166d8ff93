/* tiles.h: tree hashes of a log as rows (internal to store/).
 *
 * A row is check[14] || width BE16 || nodes: the `width` hashes of the C2SP
 * tile, then the inner nodes above them that are final: width/2, width/4 ...
 * up to the tile's root when it is full.  A full row with LMDB's page header
 * is exactly four pages.  The check is SHA-256(database || key || width ||
 * nodes), cut. */
#ifndef STORE_TILES_H
#define STORE_TILES_H

#include "store/internal.h"

enum {
    TILE_ROWS = 9, /* 256, 128 ... 1 nodes */
    TILE_NODES = 511,
    TILE_CHECK_BYTES = 14,
    TILE_HEAD_BYTES = TILE_CHECK_BYTES + 2,
    TILE_KEY_BYTES = 13,
    TILE_LEVELS_MAX = 7 /* 2^56 leaves */
};

/* One tile being filled. */
struct grid {
    unsigned width;
    struct hash nodes[TILE_NODES]; /* row r begins at 512 - (512 >> r) */
};

/* Scratch for one writer: TILE_LEVELS_MAX grids. */
struct grid *grids_new(void);

/* Add `count` leaf hashes to the tree of `size` leaves of `log`, and write
 * the tiles that change. */
MUST_USE enum status tiles_append(struct store_txn *t, uint32_t log, uint64_t size,
                                  const struct hash *leaves, size_t count);

/* A tile row as stored: its shape is checked, its hash not. */
struct tile_view {
    unsigned width;
    const struct hash *nodes; /* compact */
};
MUST_USE enum status tiles_view(struct store_txn *t, uint32_t log, unsigned level,
                                uint64_t index, struct tile_view *out);
/* The same, and its check is verified. */
MUST_USE enum status tiles_view_checked(struct store_txn *t, uint32_t log, unsigned level,
                                        uint64_t index, struct tile_view *out);

/* Reads nodes for treebuild.h; remembers the last tile. */
struct tiles_reader {
    struct store_txn *t;
    uint32_t log;
    bool held;
    unsigned level;
    uint64_t index;
    struct tile_view view;
};
/* A tree_read_node over a struct tiles_reader. */
enum status tiles_read_node(void *reader, unsigned level, uint64_t index, struct hash *out);

#endif
