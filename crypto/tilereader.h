/* tilereader.h: a tree that is read through fetched tiles and checked on the way.
 *
 * Source: c2sp.org/tlog-tiles; FORMATS 5.  Pure: no allocation, no I/O; fetching
 * is the caller's callback, and what it returns is not trusted. */
#ifndef CRYPTO_TILEREADER_H
#define CRYPTO_TILEREADER_H

#include "crypto/tile.h"

/* Give the tile: write tile->width hashes.  Reading a wider version of a
 * partial tile is fine, its first hashes are the same.  Any status other than
 * STATUS_OK ends the operation and is what it returns. */
typedef enum status (*tile_fetch)(void *ctx, const struct tile *tile,
                                  struct hash hashes[TILE_HASHES]);

/* A checked view of the tree of a checkpoint.  Every hash that it hands out
 * has been hashed up to the checkpoint's root, whatever the fetcher returned.
 * About 130 KiB: keep it off the stack of small threads.  Private fields. */
struct tile_reader {
    uint64_t size;
    tile_fetch fetch;
    void *ctx;
    unsigned edge_width[TILE_LEVELS]; /* the partial tile of each level, or 0 */
    struct hash edge[TILE_LEVELS][TILE_HASHES];
    bool held[TILE_LEVELS]; /* the last full tile of each level */
    uint64_t held_index[TILE_LEVELS];
    struct hash full[TILE_LEVELS][TILE_HASHES];
};

/* Fetch the partial tiles on the right edge and check them against `root`.
 *
 * STATUS_OK         *reader is ready.
 * STATUS_MALFORMED  size > TREE_SIZE_MAX.
 * STATUS_BAD_PROOF  the tiles do not hash up to `root`.
 * else              what `fetch` said. */
MUST_USE enum status tile_reader_open(uint64_t size, const struct hash *root, tile_fetch fetch,
                                      void *ctx, struct tile_reader *reader);

/* Read and check one tile, which must be as wide as the size says.
 * `hashes` gets tile_width(...) hashes.
 * STATUS_NOT_FOUND  there is no such tile in this tree.
 * STATUS_BAD_PROOF  what was fetched does not belong to this tree. */
MUST_USE enum status tile_reader_tile(struct tile_reader *reader, unsigned level,
                                      uint64_t index, struct hash hashes[TILE_HASHES]);

/* A tree_read_node over a struct tile_reader. */
enum status tile_read_node(void *reader, unsigned level, uint64_t index, struct hash *out);

/* Check every tile of every level of the tree: size / 256 fetches or a few
 * more.  Same statuses as tile_reader_tile. */
MUST_USE enum status tile_reader_check_all(struct tile_reader *reader);

#endif
