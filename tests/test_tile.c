/* Goal: tiles, their paths and entry bundles are those of C2SP tlog-tiles, and a
 * tree read through tiles hands out only what the checkpoint's root covers.
 * Method: the path and bundle vectors of tessera and its test log; FORMATS 5's
 * table and example; trees of many sizes whose nodes are compared one by one; every
 * byte position of fetched tiles damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/checkpoint.h"
#include "crypto/tilereader.h"
#include "tests/reftree.h"
#include "tests/vector.h"

#include "proto/text.h"

enum { LEAVES = 70000 };

/* All nodes of one log of LEAVES leaves, level by level. */
static struct hash *level_nodes[17];
static struct tile_reader reader;

static int
setup(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 17; level++) {
        uint64_t count = LEAVES >> level;
        level_nodes[level] = malloc(count * sizeof(struct hash));
        assert_non_null(level_nodes[level]);
        for (uint64_t i = 0; i < count; i++) {
            char entry[32];
            level_nodes[level][i] = level == 0
                                        ? ref_leaf_hash(entry, ref_entry(i, entry))
                                        : ref_node_hash(level_nodes[level - 1][2 * i],
                                                        level_nodes[level - 1][2 * i + 1]);
        }
    }
    return sodium_init() < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 17; level++) {
        free(level_nodes[level]);
    }
    return 0;
}

/* ---- names and widths ---- */

static void
test_tile_widths_are_those_of_formats_5(void **state)
{
    static const struct {
        uint64_t size;
        unsigned level;
        uint64_t index;
        unsigned width;
    } rows[] = {
        {0, 0, 0, 0},
        {1, 0, 0, 1},
        {1, 0, 1, 0},
        {1, 1, 0, 0},
        {255, 0, 0, 255},
        {255, 1, 0, 0},
        {256, 0, 0, 256},
        {256, 0, 1, 0},
        {256, 1, 0, 1},
        {257, 0, 0, 256},
        {257, 0, 1, 1},
        {257, 1, 0, 1},
        {65536, 0, 255, 256},
        {65536, 0, 256, 0},
        {65536, 1, 0, 256},
        {65536, 1, 1, 0},
        {65536, 2, 0, 1},
        {70000, 0, 272, 256},
        {70000, 0, 273, 112},
        {70000, 0, 274, 0},
        {70000, 1, 0, 256},
        {70000, 1, 1, 17},
        {70000, 2, 0, 1},
        {70000, 3, 0, 0},
        {70000, 8, 0, 0},
        {70000, 63, 0, 0},
        {TREE_SIZE_MAX, 7, 0, 127},
        {TREE_SIZE_MAX, 7, 1, 0},
        {TREE_SIZE_MAX, 0, UINT64_MAX, 0},
        {TREE_SIZE_MAX, 0, TREE_SIZE_MAX / 256, 255},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (tile_width(rows[i].level, rows[i].index, rows[i].size) != rows[i].width) {
            fail_msg("row %zu: got %u", i,
                     tile_width(rows[i].level, rows[i].index, rows[i].size));
        }
    }
}

static enum status
parse(const char *path, struct tile *tile, bool *entries)
{
    return tile_path_parse(text_view(path), tile, entries);
}

static void
test_only_the_one_spelling_of_a_path_is_read(void **state)
{
    static const char *const bad[] = {
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tils/0/000",
        "tile:0/000",
        "tile/0/000/",
        "tile/0/000 ",
        "tile/00/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/0x1/000",
        "tile//000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/x000/x001/000",
        "tile/0/x001",
        "tile/0/x001/",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/x01/002",
        "tile/0/X001/002",
        "tile/0/x001x/002",
        "tile/0/x0010/002",
        "tile/0/+01",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/1.p/1",
        "tile/0/000.P/1",
        "tile/0/000/p/1",
        "tile/entries/",
        "tile/entries/0/000",
        "tile/data/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616", /* 2^64 */
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    };
    struct tile tile;
    bool entries;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (parse(bad[i], &tile, &entries) != STATUS_MALFORMED) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(parse("tile/0/x018/x446/x744/x073/x709/x551/615", &tile, &entries),
                     STATUS_OK);
    assert_true(tile.index == UINT64_MAX);
}

static void
test_every_path_that_is_written_is_read_back(void **state)
{
    static const uint64_t indices[] = {0,      1,       999,        1000,
                                       999999, 1000000, 1234067,    UINT64_C(1) << 32,
                                       12345,  100100,  1000000001, UINT64_MAX};
    char path[TILE_PATH_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof indices / sizeof *indices; i++) {
        for (unsigned width = 1; width <= TILE_HASHES; width++) {
            struct tile tile = {.level = width % 64, .index = indices[i], .width = width};
            struct tile back;
            bool entries;
            tile_path(&tile, path);
            assert_int_equal(parse(path, &back, &entries), STATUS_OK);
            assert_false(entries);
            assert_true(back.level == tile.level && back.index == tile.index &&
                        back.width == width);
            tile_entries_path(indices[i], width, path);
            assert_int_equal(parse(path, &back, &entries), STATUS_OK);
            assert_true(entries && back.level == 0 && back.index == tile.index &&
                        back.width == width);
        }
    }
    tile_path(&(struct tile){.level = 3, .index = UINT64_C(1) << 32, .width = 256}, path);
    assert_string_equal(path, "tile/3/x004/x294/x967/296");
    tile_path(&(struct tile){.level = 0, .index = 999, .width = 5}, path);
    assert_string_equal(path, "tile/0/999.p/5");
}

static void
run_path_case(const json_t *j)
{
    const char *op = vector_string(j, "op");
    char path[TILE_PATH_BYTES_MAX];

    if (strcmp(op, "parse_path") == 0) {
        char text[128];
        struct tile tile;
        bool entries;
        enum status st;
        snprintf(text, sizeof text, "tile/%s/%s", vector_string(j, "level"),
                 vector_string(j, "index"));
        st = parse(text, &tile, &entries);
        if (json_is_true(json_object_get(j, "want_err"))) {
            assert_int_equal(st, STATUS_MALFORMED);
            return;
        }
        assert_int_equal(st, STATUS_OK);
        assert_int_equal(tile.level, vector_number(j, "level_out"));
        assert_int_equal(tile.index, vector_number(j, "index_out"));
        assert_int_equal(tile.width % TILE_HASHES, vector_number(j, "p_out"));
    } else if (strcmp(op, "parse_entry_bundle") == 0) {
        uint8_t bytes[64];
        struct view rest = {bytes, vector_hex(vector_string(j, "hex"), bytes, sizeof bytes)};
        struct view entry;
        enum status st = STATUS_OK;
        while (rest.count > 0 && st == STATUS_OK) {
            st = tile_bundle_next(&rest, &entry);
        }
        assert_int_equal(st != STATUS_OK, vector_bool(j, "want_err"));
    } else {
        if (strcmp(op, "entries_path_for_index") == 0) {
            uint64_t index = vector_number(j, "seq") / TILE_HASHES;
            tile_entries_path(index, tile_width(0, index, vector_number(j, "log_size")), path);
        } else {
            unsigned p = (unsigned)vector_number(j, "p");
            struct tile tile = {.width = p == 0 ? TILE_HASHES : p};
            if (strcmp(op, "tile_path") == 0) {
                tile.level = (unsigned)vector_number(j, "level");
                tile.index = vector_number(j, "index");
                tile_path(&tile, path);
            } else {
                assert_string_equal(op, "entries_path");
                tile_entries_path(vector_number(j, "n"), tile.width, path);
            }
        }
        assert_string_equal(path, vector_string(j, "want"));
    }
}

static void
test_published_path_and_bundle_cases_agree(void **state)
{
    json_t *cases = vector_json("tlog_paths/cases.json"), *j;
    size_t i;

    (void)state;
    assert_true(json_array_size(cases) > 10);
    json_array_foreach(cases, i, j)
    {
        run_path_case(j);
    }
    json_decref(cases);
}

/* ---- bundles ---- */

static void
test_a_bundle_is_its_entries_and_nothing_else(void **state)
{
    static const char example[] = "0008726573756c7420300008726573756c7420310008726573756c742032"
                                  "0008726573756c7420330008726573756c742034";
    uint8_t want[50], got[50], big[8];
    static uint8_t long_entry[UINT16_MAX + 1], large[UINT16_MAX + 2];
    struct hash leaves[5];
    size_t used = 0;

    (void)state;
    assert_int_equal(vector_hex(example, want, sizeof want), 50);
    for (unsigned i = 0; i < 5; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "result %u", i);
        struct view entry = {(const uint8_t *)text, (size_t)n};
        assert_int_equal(tile_bundle_add(entry, got, sizeof got, &used), STATUS_OK);
        leaves[i] = ref_leaf_hash(text, (size_t)n);
    }
    assert_int_equal(used, 50);
    assert_memory_equal(got, want, 50);
    assert_int_equal(tile_bundle_add((struct view){NULL, 0}, got, sizeof got, &used),
                     STATUS_TOO_BIG);
    for (size_t n = 0; n < 50; n++) {
        assert_int_equal(tile_bundle_check((struct view){want, n}, 5), STATUS_MALFORMED);
    }
    for (unsigned width = 0; width < 8; width++) {
        assert_int_equal(tile_bundle_check((struct view){want, 50}, width),
                         width == 5 ? STATUS_OK : STATUS_MALFORMED);
    }
    assert_int_equal(tile_bundle_check_leaves((struct view){want, 50}, leaves, 5), STATUS_OK);
    assert_int_equal(tile_bundle_check_leaves((struct view){want, 40}, leaves, 5),
                     STATUS_MALFORMED);
    for (size_t i = 0; i < 50; i++) {
        want[i] ^= 1;
        assert_int_not_equal(tile_bundle_check_leaves((struct view){want, 50}, leaves, 5),
                             STATUS_OK);
        want[i] ^= 1;
    }
    used = 0;
    assert_int_equal(
        tile_bundle_add((struct view){long_entry, UINT16_MAX}, large, sizeof large, &used),
        STATUS_OK);
    assert_int_equal(tile_bundle_check((struct view){large, sizeof large}, 1), STATUS_OK);
    /* Limits: no room, and 65,536 bytes. */
    used = 0;
    assert_int_equal(tile_bundle_add((struct view){want, 7}, big, sizeof big, &used),
                     STATUS_TOO_BIG);
    assert_int_equal(used, 0);
    assert_int_equal(tile_bundle_add((struct view){long_entry, sizeof long_entry}, long_entry,
                                     sizeof long_entry, &used),
                     STATUS_TOO_BIG);
}

/* ---- the published test log ---- */

static void
check_testlog(uint64_t size)
{
    struct note_key key;
    struct checkpoint_opened opened;
    char name[64];
    size_t count, tile_count, bundle_count;
    uint8_t *note, *tile, *bundle;
    struct tree_edge edge = {0};
    struct view rest, entry;
    struct hash leaf, root;

    assert_int_equal(note_key_parse(text_view("example.com/log/testdata+33d7b496+"
                                              "AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"),
                                    &key),
                     STATUS_OK);
    snprintf(name, sizeof name, "tlog_testlog/checkpoint.%u", (unsigned)size);
    note = vector_file(name, &count);
    assert_int_equal(checkpoint_open((struct view){note, count},
                                     text_view("example.com/log/testdata"), &key, 1, 0,
                                     &opened),
                     STATUS_OK);
    assert_int_equal(opened.checkpoint.size, size);
    if (size > 0) {
        snprintf(name, sizeof name, "tlog_testlog/tile/0/000.p/%u", (unsigned)size);
        tile = vector_file(name, &tile_count);
        assert_int_equal(tile_count, size * HASH_BYTES);
        snprintf(name, sizeof name, "tlog_testlog/tile/entries/000.p/%u", (unsigned)size);
        bundle = vector_file(name, &bundle_count);
        rest = (struct view){bundle, bundle_count};
        assert_int_equal(tile_bundle_check(rest, (unsigned)size), STATUS_OK);
        while (tile_bundle_next(&rest, &entry) == STATUS_OK) {
            tree_leaf_hash(entry.bytes, entry.count, &leaf);
            assert_memory_equal(leaf.bytes, tile + edge.size * HASH_BYTES, HASH_BYTES);
            assert_int_equal(tree_edge_append(&edge, &leaf, NULL, NULL), STATUS_OK);
        }
        free(tile);
        free(bundle);
    }
    tree_edge_root(&edge, &root);
    assert_true(hash_equal(&root, &opened.checkpoint.root));
    free(note);
}

static void
test_published_log_agrees_at_every_size(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < 8; size++) {
        check_testlog(size);
    }
}

/* ---- trees read through tiles ---- */

struct source {
    uint64_t size;
    size_t fetches;
    bool damage; /* flip one bit of hash `damage_hash` of this tile */
    struct tile damage_tile;
    unsigned damage_hash;
    enum status fail; /* unless STATUS_OK */
};

/* Serve tiles from the nodes; level and width must be what the size has. */
static enum status
fetch(void *ctx, const struct tile *tile, struct hash hashes[TILE_HASHES])
{
    struct source *s = ctx;

    s->fetches++;
    assert_int_equal(tile->width, tile_width(tile->level, tile->index, s->size));
    memcpy(hashes, &level_nodes[8 * tile->level][tile->index * TILE_HASHES],
           tile->width * sizeof *hashes);
    if (s->damage && s->damage_tile.level == tile->level &&
        s->damage_tile.index == tile->index) {
        hashes[s->damage_hash].bytes[s->damage_hash % HASH_BYTES] ^= 0x10;
    }
    return s->fail;
}

static enum status
read_plain(void *ctx, unsigned level, uint64_t index, struct hash *out)
{
    (void)ctx;
    *out = level_nodes[level][index];
    return STATUS_OK;
}

static const uint64_t sizes[] = {0,   1,   2,     255,   256,   257,   511,
                                 512, 700, 65535, 65536, 65537, 65793, LEAVES};

static struct hash
root_of(uint64_t size)
{
    struct hash root;

    assert_int_equal(tree_root_at(size, read_plain, NULL, &root), STATUS_OK);
    return root;
}

static void
test_every_node_read_through_tiles_is_the_node(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct source source = {.size = sizes[s]};
        struct hash root = root_of(sizes[s]), node;

        assert_int_equal(tile_reader_open(sizes[s], &root, fetch, &source, &reader), STATUS_OK);
        for (unsigned level = 0; level < 17; level++) {
            uint64_t count = sizes[s] >> level;
            for (uint64_t i = 0; i < count; i += i < 600 || i + 600 > count ? 1 : 97) {
                assert_int_equal(tile_read_node(&reader, level, i, &node), STATUS_OK);
                assert_memory_equal(&node, &level_nodes[level][i], sizeof node);
            }
            assert_int_equal(tile_read_node(&reader, level, count, &node), STATUS_NOT_FOUND);
        }
        assert_int_equal(tile_read_node(&reader, 64, 0, &node), STATUS_NOT_FOUND);
        assert_int_equal(tile_read_node(&reader, 0, UINT64_MAX, &node), STATUS_NOT_FOUND);
    }
}

static void
test_proofs_made_through_tiles_verify(void **state)
{
    (void)state;
    for (size_t s = 1; s < sizeof sizes / sizeof *sizes; s++) {
        struct source source = {.size = sizes[s]};
        struct hash root = root_of(sizes[s]), proof[TREE_PROOF_HASHES_MAX];
        size_t count;

        assert_int_equal(tile_reader_open(sizes[s], &root, fetch, &source, &reader), STATUS_OK);
        for (uint64_t i = 0; i < sizes[s]; i += 1 + sizes[s] / 20) {
            struct hash old = root_of(i);
            assert_int_equal(
                tree_prove_inclusion(sizes[s], i, tile_read_node, &reader, proof, &count),
                STATUS_OK);
            assert_int_equal(
                tree_check_inclusion(&root, sizes[s], &level_nodes[0][i], i, proof, count),
                STATUS_OK);
            assert_int_equal(
                tree_prove_consistency(i, sizes[s], tile_read_node, &reader, proof, &count),
                STATUS_OK);
            assert_int_equal(tree_check_consistency(&old, i, &root, sizes[s], proof, count),
                             STATUS_OK);
        }
    }
}

static void
test_checking_all_tiles_fetches_each_one_once(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct source source = {.size = sizes[s]};
        struct hash root = root_of(sizes[s]);
        size_t tiles = 0;

        for (unsigned level = 0; level < TILE_LEVELS; level++) {
            for (uint64_t i = 0; tile_width(level, i, sizes[s]) > 0; i++) {
                tiles++;
            }
        }
        assert_int_equal(tile_reader_open(sizes[s], &root, fetch, &source, &reader), STATUS_OK);
        assert_int_equal(tile_reader_check_all(&reader), STATUS_OK);
        assert_int_equal(source.fetches, tiles);
    }
}

/* Damage each hash of a tile in turn: opening or checking must notice. */
static void
damage_tile(uint64_t size, unsigned level, uint64_t index)
{
    unsigned width = tile_width(level, index, size);
    struct hash root = root_of(size);
    struct hash hashes[TILE_HASHES];

    for (unsigned i = 0; i < width; i++) {
        struct source source = {.size = size,
                                .damage = true,
                                .damage_tile = {.level = level, .index = index},
                                .damage_hash = i};
        enum status st = tile_reader_open(size, &root, fetch, &source, &reader);
        if (width < TILE_HASHES) {
            assert_int_equal(st, STATUS_BAD_PROOF);
            continue;
        }
        assert_int_equal(st, STATUS_OK);
        assert_int_equal(tile_reader_tile(&reader, level, index, hashes), STATUS_BAD_PROOF);
        /* A second try is not fooled by what the first left behind. */
        assert_int_equal(tile_reader_tile(&reader, level, index, hashes), STATUS_BAD_PROOF);
        source.damage = false;
        assert_int_equal(tile_reader_tile(&reader, level, index, hashes), STATUS_OK);
        assert_memory_equal(hashes, &level_nodes[8 * level][index * TILE_HASHES],
                            sizeof hashes);
    }
}

static void
test_a_damaged_tile_is_never_taken(void **state)
{
    struct source source = {.size = LEAVES};
    struct hash root = root_of(LEAVES), node;

    (void)state;
    damage_tile(255, 0, 0);
    damage_tile(257, 0, 0);
    damage_tile(257, 0, 1);
    damage_tile(257, 1, 0);
    damage_tile(LEAVES, 0, 0);
    damage_tile(LEAVES, 0, 272);
    damage_tile(LEAVES, 0, 273);
    damage_tile(LEAVES, 1, 0);
    damage_tile(LEAVES, 1, 1);
    damage_tile(LEAVES, 2, 0);
    /* A wrong parent keeps its children from being read, too. */
    assert_int_equal(tile_reader_open(LEAVES, &root, fetch, &source, &reader), STATUS_OK);
    source.damage = true;
    source.damage_tile = (struct tile){.level = 1, .index = 0};
    source.damage_hash = 200;
    assert_int_equal(tile_read_node(&reader, 0, 5, &node), STATUS_BAD_PROOF);
    root.bytes[0] ^= 1;
    source.damage = false;
    assert_int_equal(tile_reader_open(LEAVES, &root, fetch, &source, &reader),
                     STATUS_BAD_PROOF);
    assert_int_equal(tile_reader_open(TREE_SIZE_MAX + 1, &root, fetch, &source, &reader),
                     STATUS_MALFORMED);
}

static void
test_a_fetch_that_fails_is_reported(void **state)
{
    struct source source = {.size = LEAVES, .fail = STATUS_UNAVAILABLE};
    struct hash root = root_of(LEAVES), hashes[TILE_HASHES];

    (void)state;
    assert_int_equal(tile_reader_open(LEAVES, &root, fetch, &source, &reader),
                     STATUS_UNAVAILABLE);
    source.fail = STATUS_OK;
    assert_int_equal(tile_reader_open(LEAVES, &root, fetch, &source, &reader), STATUS_OK);
    source.fail = STATUS_UNAVAILABLE;
    assert_int_equal(tile_reader_tile(&reader, 0, 7, hashes), STATUS_UNAVAILABLE);
    assert_int_equal(tile_reader_check_all(&reader), STATUS_UNAVAILABLE);
    assert_int_equal(tile_reader_tile(&reader, 0, 274, hashes), STATUS_NOT_FOUND);
    source.fail = STATUS_OK;
    assert_int_equal(tile_reader_tile(&reader, 0, 7, hashes), STATUS_OK);
}

static void
test_a_full_tile_stands_for_its_node_eight_levels_up(void **state)
{
    struct hash root;
    struct tile_place place;

    (void)state;
    for (uint64_t i = 0; i < LEAVES >> 8; i += 13) {
        tile_root_of_full(&level_nodes[0][i * TILE_HASHES], &root);
        assert_memory_equal(&root, &level_nodes[8][i], sizeof root);
    }
    /* FORMATS 5: l / 8, (i << r) / 256, (i << r) mod 256. */
    tile_place_of(11, 77, &place);
    assert_int_equal(place.tile_level, 1);
    assert_int_equal(place.tile_index, (77 << 3) / 256);
    assert_int_equal(place.first, (77 << 3) % 256);
    assert_int_equal(place.rows, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tile_widths_are_those_of_formats_5),
        cmocka_unit_test(test_only_the_one_spelling_of_a_path_is_read),
        cmocka_unit_test(test_every_path_that_is_written_is_read_back),
        cmocka_unit_test(test_published_path_and_bundle_cases_agree),
        cmocka_unit_test(test_a_bundle_is_its_entries_and_nothing_else),
        cmocka_unit_test(test_published_log_agrees_at_every_size),
        cmocka_unit_test(test_every_node_read_through_tiles_is_the_node),
        cmocka_unit_test(test_proofs_made_through_tiles_verify),
        cmocka_unit_test(test_checking_all_tiles_fetches_each_one_once),
        cmocka_unit_test(test_a_damaged_tile_is_never_taken),
        cmocka_unit_test(test_a_fetch_that_fails_is_reported),
        cmocka_unit_test(test_a_full_tile_stands_for_its_node_eight_levels_up),
    };
    return cmocka_run_group_tests_name("tile", tests, setup, teardown);
}
