/* Hostile tile paths, entry bundles and tiles.  Properties: an accepted path is the
 * one that the writer makes; an accepted bundle is its entries, written again; a
 * reader fed with the input's bytes never hands out a hash that is not in the tree. */
#include <assert.h>
#include <string.h>

#include "crypto/tilereader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hash leaves[600];
static struct hash level8[2];
static struct hash root;

static void
fuzz_path(struct view input)
{
    char path[TILE_PATH_BYTES_MAX];
    struct tile tile;
    bool entries;

    if (tile_path_parse(input, &tile, &entries) != STATUS_OK) {
        return;
    }
    if (entries) {
        assert(tile.level == 0);
        tile_entries_path(tile.index, tile.width, path);
    } else {
        tile_path(&tile, path);
    }
    assert(strlen(path) == input.count && memcmp(path, input.bytes, input.count) == 0);
}

static void
fuzz_bundle(struct view input)
{
    static uint8_t out[1 << 20];
    struct view rest = input, entry;
    size_t used = 0;
    unsigned width = 0;

    while (width < 1000 && tile_bundle_next(&rest, &entry) == STATUS_OK) {
        assert(entry.bytes + entry.count == rest.bytes);
        assert(tile_bundle_add(entry, out, sizeof out, &used) == STATUS_OK);
        width++;
    }
    assert(used == input.count - rest.count &&
           (used == 0 || memcmp(out, input.bytes, used) == 0));
    assert((tile_bundle_check(input, width) == STATUS_OK) == (rest.count == 0));
    assert(tile_bundle_check(input, width + 1) != STATUS_OK);
}

static enum status
emit(void *ctx, unsigned level, uint64_t index, const struct hash *node)
{
    (void)ctx;
    if (level == 0) {
        leaves[index] = *node;
    } else if (level == 8) {
        level8[index] = *node;
    }
    return STATUS_OK;
}

struct source {
    struct view input;
    size_t at;
};

/* The right tile, with bytes of the input xored in. */
static enum status
fetch(void *ctx, const struct tile *tile, struct hash hashes[TILE_HASHES])
{
    struct source *s = ctx;
    size_t bytes = tile->width * sizeof *hashes;
    uint8_t *raw = (uint8_t *)hashes;

    assert(tile->level <= 1 && tile->width <= TILE_HASHES);
    memcpy(hashes, tile->level == 0 ? &leaves[tile->index * TILE_HASHES] : level8, bytes);
    while (s->input.count - s->at >= 3 && s->input.bytes[s->at] % 4 == 0) {
        raw[(s->input.bytes[s->at + 1] * 37u) % bytes] ^= s->input.bytes[s->at + 2];
        s->at += 3;
    }
    s->at += s->at < s->input.count;
    return STATUS_OK;
}

static void
fuzz_reader(struct view input)
{
    static struct tile_reader reader;
    struct source source = {.input = input};
    struct hash got;

    if (tile_reader_open(600, &root, fetch, &source, &reader) != STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < input.count && i < 16; i++) {
        uint64_t index = (uint64_t)input.bytes[i] * 3;
        if (tile_read_node(&reader, 0, index, &got) == STATUS_OK) {
            assert(index < 600 && hash_equal(&got, &leaves[index]));
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tree_edge edge;
    struct view input = {data, size};

    while (edge.size < 600) {
        struct hash leaf;
        uint8_t byte = (uint8_t)edge.size;
        tree_leaf_hash(&byte, 1, &leaf);
        if (tree_edge_append(&edge, &leaf, emit, NULL) != STATUS_OK) {
            return 0;
        }
        tree_edge_root(&edge, &root);
    }
    fuzz_path(input);
    fuzz_bundle(input);
    fuzz_reader(input);
    return 0;
}
