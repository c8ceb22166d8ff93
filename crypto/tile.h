/* tile.h: C2SP tlog-tiles: names and contents of tiles and entry bundles.
 *
 * Source: c2sp.org/tlog-tiles; FORMATS 5.  A tile (level, index) holds up to
 * 256 hashes; hash i of it is the tree node (8 * level, index * 256 + i).
 * Pure: no allocation, no I/O. */
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

#endif
