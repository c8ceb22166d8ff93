/* tile.h: C2SP tlog-tiles: names, contents and checking of tiles and bundles.
 *
 * Source: c2sp.org/tlog-tiles; FORMATS 5.  A tile (level, index) holds up to
 * 256 hashes; hash i of it is the tree node (8 * level, index * 256 + i).
 * Pure: no allocation, no I/O; fetching is the caller's callback. */
#ifndef CRYPTO_TILE_H
#define CRYPTO_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/treebuild.h"

enum {
    TILE_LEVELS = 8,         /* levels 0..7 hold every tree of up to 2^63 - 1 leaves */
    TILE_LEVEL_MAX = 63,     /* what a path may name */
    TILE_PATH_BYTES_MAX = 56 /* longest path and its NUL */
};

/* width: 1..256 hashes; 256 is a full tile. */
struct tile {
    unsigned level;
    uint64_t index;
    unsigned width;
};

/* How many hashes tile (level, index) has in a tree of `size` leaves:
 * 0 (there is no such tile) to 256. */
unsigned tile_width(unsigned level, uint64_t index, uint64_t size);

/* Write the path of a tile, `tile/<L>/<N>[.p/<W>]`, or of the entry bundle
 * with the same index and width, `tile/entries/<N>[.p/<W>]`, with a NUL. */
void tile_path(const struct tile *tile, char out[TILE_PATH_BYTES_MAX]);
void tile_entries_path(uint64_t index, unsigned width, char out[TILE_PATH_BYTES_MAX]);

/* Read either path.  Only the spelling that the writers above make is taken.
 *
 * STATUS_OK         *tile is written; *entries tells which kind it is, and an
 *                   entry bundle has level 0.
 * STATUS_MALFORMED  anything else. */
MUST_USE enum status tile_path_parse(struct view path, struct tile *tile, bool *entries);

/* Where tree node (level, index) lives: in tile (*tile_level, *tile_index), as
 * the root of its hashes [*first, *first + 2^*rows). */
struct tile_place {
    unsigned tile_level;
    uint64_t tile_index;
    unsigned first;
    unsigned rows; /* 0..7: levels to be rebuilt inside the tile */
};
void tile_place_of(unsigned level, uint64_t index, struct tile_place *out);

/* The root of 2^rows hashes (rows 0..8), rebuilt. */
void tile_rebuild(const struct hash *hashes, unsigned rows, struct hash *out);

/* The root of a full tile: what stands for it one level higher. */
void tile_root_of_full(const struct hash hashes[TILE_HASHES], struct hash *out);

/* ---- entry bundles: u16 big-endian length || entry, for each entry ---- */

/* Append `entry` to the bundle of *used bytes in out[0 .. max).
 * STATUS_TOO_BIG: longer than 65,535 bytes, or no room; nothing changed. */
MUST_USE enum status tile_bundle_add(struct view entry, uint8_t *out, size_t max, size_t *used);

/* Check that `bundle` is exactly `width` entries and nothing else. */
MUST_USE enum status tile_bundle_check(struct view bundle, unsigned width);

/* Take the next entry off *rest.  STATUS_NOT_FOUND: *rest is empty.
 * STATUS_MALFORMED: cut short; nothing is written. */
MUST_USE enum status tile_bundle_next(struct view *rest, struct view *entry);

/* Check that `bundle` has `width` entries whose leaf hashes are `hashes`,
 * those of the level-0 tile of the same index.
 * STATUS_MALFORMED wrong shape, STATUS_BAD_PROOF a hash differs. */
MUST_USE enum status tile_bundle_check_leaves(struct view bundle, const struct hash *hashes,
                                              unsigned width);

/* ---- a tree that is read through fetched tiles ---- */

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

/* Fetch the partial tiles on the right edge (and the full ones that the root
 * needs) and check them against `root`.
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
