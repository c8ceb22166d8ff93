/* Goal: a sync gives out exactly the entries of the signed tree that are
 * missing, in order, whatever pieces they come in; garbage never comes through and
 * is blamed on who sent it; a tree that does not begin with our copy is a fork.
 * Method: logs of many sizes around tile borders, held in memory, served by a
 * plain answerer that reads an array of all nodes; answers cut short, shuffled,
 * refused, damaged in every way; for each pair of sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/sync.h"

enum { LOG_MAX = 70000, LEVELS = 3 };

struct log {
    uint64_t size;
    uint32_t version; /* entries from `changed` on differ between versions */
    uint64_t changed;
    struct hash *nodes[LEVELS]; /* level 8 * l: all complete nodes */
    struct hash root;
};

static size_t
entry_of(const struct log *log, uint64_t i, uint8_t out[64])
{
    return (size_t)snprintf((char *)out, 64, "entry %llu of %u", (unsigned long long)i,
                            i >= log->changed ? log->version : 0);
}

static enum status
keep(void *ctx, unsigned level, uint64_t index, const struct hash *node)
{
    struct log *log = ctx;
    if (level % 8 == 0 && level / 8 < LEVELS) {
        log->nodes[level / 8][index] = *node;
    }
    return STATUS_OK;
}

static void
log_make(struct log *log, uint64_t size, uint32_t version, uint64_t changed)
{
    struct tree_edge edge = {0};
    *log = (struct log){.size = size, .version = version, .changed = changed};
    for (int l = 0; l < LEVELS; l++) {
        log->nodes[l] = calloc(LOG_MAX / (l == 0 ? 1u : 100u) + 2, sizeof(struct hash));
    }
    for (uint64_t i = 0; i < size; i++) {
        uint8_t entry[64];
        struct hash leaf;
        tree_leaf_hash(entry, entry_of(log, i, entry), &leaf);
        assert_int_equal(tree_edge_append(&edge, &leaf, keep, log), STATUS_OK);
    }
    tree_edge_root(&edge, &log->root);
}

static void
log_drop(struct log *log)
{
    for (int l = 0; l < LEVELS; l++) {
        free(log->nodes[l]);
    }
}

static enum status
own_tile(void *ctx, unsigned level, uint64_t index, unsigned width, struct view *out)
{
    struct log *log = ctx;
    *out =
        (struct view){log->nodes[level][index * TILE_HASHES].bytes, (size_t)width * HASH_BYTES};
    return STATUS_OK;
}

/* The answer of an honest peer; at most `most` entries. */
static struct view
answer(const struct log *log, const struct sync_ask *ask, uint32_t most, uint32_t *count,
       uint8_t *out)
{
    if (ask->what == SYNC_TILE) {
        assert_true(ask->count == tile_width(ask->level, ask->from, log->size));
        *count = ask->count;
        memcpy(out, log->nodes[ask->level][ask->from * TILE_HASHES].bytes,
               (size_t)ask->count * HASH_BYTES);
        return (struct view){out, (size_t)ask->count * HASH_BYTES};
    }
    size_t used = 0;
    assert_true(ask->count <= TILE_HASHES && ask->from + ask->count <= log->size);
    *count = ask->count < most ? ask->count : most;
    for (uint32_t i = 0; i < *count; i++) {
        uint8_t entry[64];
        size_t n = entry_of(log, ask->from + i, entry);
        assert_int_equal(tile_bundle_add((struct view){entry, n}, out, 1 << 16, &used),
                         STATUS_OK);
    }
    return (struct view){out, used};
}

/* Take what can be stored, and check it. */
static uint64_t
drain(struct sync *s, const struct log *log, uint64_t stored, bool all)
{
    struct sync_batch batch;
    while (sync_take(s, all, &batch) == STATUS_OK) {
        assert_true(batch.first == stored);
        for (size_t i = 0; i < batch.count; i++) {
            uint8_t entry[64];
            struct hash leaf;
            size_t n = entry_of(log, stored + i, entry);
            assert_int_equal(batch.entries[i].count, n);
            assert_memory_equal(batch.entries[i].bytes, entry, n);
            tree_leaf_hash(entry, n, &leaf);
            assert_memory_equal(&leaf, &batch.leaves[i], sizeof leaf);
        }
        stored += batch.count;
        assert_int_equal(batch.complete, stored == log->size);
        free(batch.entries);
        free(batch.leaves);
        sync_stored(s, true);
    }
    return stored;
}

/* Run to the end against an honest peer; answers come in groups of `group`, last
 * asked first, and hold at most `most` entries. */
static void
run_whole(struct log *log, uint64_t stored, size_t group, uint32_t most)
{
    static uint8_t bytes[1 << 16];
    struct sync_ask asks[300];
    struct sync *s = sync_open(stored, log->size, &log->root);
    assert_non_null(s);
    for (int turn = 0; stored < log->size; turn++) {
        assert_true(turn < 100000);
        size_t n = 0;
        while (n < group && sync_next(s, &asks[n])) {
            n++;
        }
        assert_int_equal(sync_asked(s), n);
        assert_true(n > 0);
        while (n-- > 0) {
            uint32_t count, blame;
            struct view raw = answer(log, &asks[n], most, &count, bytes);
            assert_int_equal(sync_answer(s, &asks[n], raw, count, 7, own_tile, log, &blame),
                             STATUS_OK);
        }
        stored = drain(s, log, stored, false);
    }
    assert_true(stored == log->size);
    sync_close(s);
}

static const uint64_t SIZES[] = {1,   2,   255,  256,   257,   511,   512,
                                 513, 767, 1000, 65535, 65536, 65537, 66000};
enum { SIZE_COUNT = sizeof SIZES / sizeof SIZES[0] };

static void
test_every_size_is_reached_from_every_smaller_one(void **state)
{
    (void)state;
    for (int b = 0; b < SIZE_COUNT; b++) {
        struct log log;
        log_make(&log, SIZES[b], 0, 0);
        run_whole(&log, 0, 300, 256);
        for (int a = 0; a < b; a++) {
            run_whole(&log, SIZES[a], 48, 256);
        }
        log_drop(&log);
    }
}

static void
test_answers_that_hold_only_a_part_are_asked_for_again_from_there(void **state)
{
    (void)state;
    struct log log;
    log_make(&log, 1000, 0, 0);
    run_whole(&log, 0, 16, 1);
    run_whole(&log, 300, 16, 100);
    log_drop(&log);
}

static void
test_no_bytes_of_a_stored_prefix_are_asked_for(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 16];
    struct log log;
    struct sync_ask ask;
    log_make(&log, 66000, 0, 0);
    struct sync *s = sync_open(65900, log.size, &log.root);
    size_t hashes = 0, entries = 0;
    uint64_t stored = 65900;
    while (stored < log.size && sync_next(s, &ask)) {
        uint32_t count, blame;
        struct view raw = answer(&log, &ask, 256, &count, bytes);
        hashes += ask.what == SYNC_TILE ? count : 0;
        entries += ask.what == SYNC_ENTRIES ? count : 0;
        assert_int_equal(sync_answer(s, &ask, raw, count, 7, own_tile, &log, &blame),
                         STATUS_OK);
        stored = drain(s, &log, stored, true);
    }
    assert_true(stored == log.size);
    assert_int_equal(entries, 100);
    assert_true(hashes < 600);
    sync_close(s);
    log_drop(&log);
}

/* Damage the n-th answer in one way; the sync must refuse it, blame its source,
 * ask again, and end with the true entries. */
static void
run_damaged(struct log *log, uint64_t stored, int victim, int how)
{
    static uint8_t bytes[1 << 16];
    struct sync_ask ask;
    struct sync *s = sync_open(stored, log->size, &log->root);
    int number = 0;
    bool caught = false;
    while (stored < log->size) {
        uint32_t count, blame = 0;
        assert_true(sync_next(s, &ask));
        struct view raw = answer(log, &ask, 256, &count, bytes);
        bool damage = number == victim;
        /* A tile of the edge is found out only when all of them are there. */
        bool edge = ask.what == SYNC_TILE && ask.count < TILE_HASHES;
        uint32_t source = damage || edge ? 66 : 7;
        number++;
        if (damage) {
            switch (how) {
            case 0:
                bytes[raw.count - 1] ^= 1;
                break;
            case 1:
                bytes[raw.count / 2] ^= 0x80;
                break;
            case 2:
                raw.count--;
                break;
            case 3:
                raw.count++;
                break;
            case 4:
                count++;
                break;
            default:
                count = 0;
                break;
            }
        }
        enum status st = sync_answer(s, &ask, raw, count, source, own_tile, log, &blame);
        if (st != STATUS_OK) {
            assert_true(st == STATUS_MALFORMED || st == STATUS_BAD_PROOF);
            assert_true(number > victim && !caught);
            assert_int_equal(blame, 66);
            caught = true;
        }
        stored = drain(s, log, stored, true);
    }
    assert_true(caught || number <= victim);
    sync_close(s);
}

static void
test_damage_is_found_blamed_and_repaired(void **state)
{
    (void)state;
    struct log log;
    log_make(&log, 66000, 0, 0);
    for (int victim = 0; victim < 7; victim++) {
        for (int how = 0; how < 6; how++) {
            run_damaged(&log, 65000, victim, how);
            run_damaged(&log, 65024, victim, how);
        }
    }
    log_drop(&log);
    log_make(&log, 700, 0, 0);
    for (int victim = 0; victim < 6; victim++) {
        for (int how = 0; how < 6; how++) {
            run_damaged(&log, 0, victim, how);
            run_damaged(&log, 300, victim, how);
        }
    }
    log_drop(&log);
}

static void
test_two_sources_of_one_piece_are_not_blamed_for_each_other(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 16];
    struct log log;
    struct sync_ask ask;
    uint32_t count, blame;
    log_make(&log, 600, 0, 0);
    struct sync *s = sync_open(0, log.size, &log.root);
    while (sync_next(s, &ask) && ask.what == SYNC_TILE) {
        struct view raw = answer(&log, &ask, 256, &count, bytes);
        assert_int_equal(sync_answer(s, &ask, raw, count, 1, own_tile, &log, &blame),
                         STATUS_OK);
    }
    assert_int_equal(ask.from, 0);
    struct view raw = answer(&log, &ask, 100, &count, bytes);
    bytes[5] ^= 1; /* source 1 lies about its part */
    assert_int_equal(sync_answer(s, &ask, raw, count, 1, own_tile, &log, &blame), STATUS_OK);
    bool again = false;
    while (!again && sync_next(s, &ask)) {
        again = ask.from == 100;
    }
    assert_true(again);
    assert_int_equal(ask.prefer, 1); /* the same source should give the rest */
    raw = answer(&log, &ask, 256, &count, bytes);
    assert_int_equal(sync_answer(s, &ask, raw, count, 2, own_tile, &log, &blame),
                     STATUS_BAD_PROOF);
    assert_int_equal(blame, 0);
    sync_close(s);
    log_drop(&log);
}

static void
test_another_history_is_a_fork_wherever_it_begins(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 16];
    static const uint64_t stored_sizes[] = {1, 256, 300, 512, 65536, 65792, 65800};
    for (size_t k = 0; k < sizeof stored_sizes / sizeof stored_sizes[0]; k++) {
        uint64_t stored = stored_sizes[k];
        const uint64_t changes[] = {0, stored / 2, stored - 1};
        struct log ours;
        log_make(&ours, stored, 0, 0);
        for (int c = 0; c < 3; c++) {
            struct log theirs;
            struct sync_ask ask;
            enum status st = STATUS_OK;
            log_make(&theirs, stored + 700, 1, changes[c]);
            struct sync *s = sync_open(stored, theirs.size, &theirs.root);
            for (int turn = 0; turn < 100 && st == STATUS_OK && sync_next(s, &ask); turn++) {
                uint32_t count, blame;
                struct sync_batch batch;
                struct view raw = answer(&theirs, &ask, 256, &count, bytes);
                st = sync_answer(s, &ask, raw, count, 7, own_tile, &ours, &blame);
                assert_int_equal(sync_take(s, true, &batch), STATUS_NOT_FOUND);
            }
            assert_int_equal(st, STATUS_FORK);
            assert_false(sync_next(s, &ask));
            sync_close(s);
            log_drop(&theirs);
        }
        log_drop(&ours);
    }
}

static void
test_abandoned_asks_are_given_again_and_a_failed_store_too(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 16];
    struct log log;
    struct sync_ask ask;
    uint32_t chance = 1;
    log_make(&log, 5000, 0, 0);
    uint64_t stored = 0;
    struct sync *s = sync_open(stored, log.size, &log.root);
    for (int turn = 0; stored < log.size; turn++) {
        assert_true(turn < 10000 && sync_next(s, &ask));
        chance = chance * 1664525 + 1013904223;
        if (chance >> 31 != 0) {
            sync_abandon(s, &ask);
            sync_abandon(s, &ask); /* twice does no harm */
            assert_int_equal(sync_asked(s), 0);
            continue;
        }
        uint32_t count, blame;
        struct sync_batch batch;
        struct view raw = answer(&log, &ask, 256, &count, bytes);
        assert_int_equal(sync_answer(s, &ask, raw, count, 7, own_tile, &log, &blame),
                         STATUS_OK);
        if ((chance >> 30 & 1) != 0 && sync_take(s, true, &batch) == STATUS_OK) {
            struct sync_batch second;
            assert_int_equal(sync_take(s, true, &second), STATUS_NOT_FOUND);
            free(batch.entries);
            free(batch.leaves);
            sync_stored(s, false);
        }
        stored = drain(s, &log, stored, true);
    }
    sync_close(s);
    log_drop(&log);
}

static void
test_after_a_failed_store_less_is_stored_at_once(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 16];
    static const uint64_t counts[] = {64 * 256, 256, 2 * 256, 4 * 256, 8 * 256, 16 * 256};
    struct log log;
    struct sync_ask ask;
    struct sync_batch batch;
    log_make(&log, 20000, 0, 0);
    struct sync *s = sync_open(0, log.size, &log.root);
    while (sync_next(s, &ask)) {
        uint32_t count, blame;
        struct view raw = answer(&log, &ask, 256, &count, bytes);
        assert_int_equal(sync_answer(s, &ask, raw, count, 7, own_tile, &log, &blame),
                         STATUS_OK);
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        assert_int_equal(sync_take(s, false, &batch), STATUS_OK);
        assert_int_equal(batch.count, counts[i]);
        free(batch.entries);
        free(batch.leaves);
        sync_stored(s, i > 0);
    }
    sync_close(s);
    log_drop(&log);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_is_reached_from_every_smaller_one),
        cmocka_unit_test(test_answers_that_hold_only_a_part_are_asked_for_again_from_there),
        cmocka_unit_test(test_no_bytes_of_a_stored_prefix_are_asked_for),
        cmocka_unit_test(test_damage_is_found_blamed_and_repaired),
        cmocka_unit_test(test_two_sources_of_one_piece_are_not_blamed_for_each_other),
        cmocka_unit_test(test_another_history_is_a_fork_wherever_it_begins),
        cmocka_unit_test(test_abandoned_asks_are_given_again_and_a_failed_store_too),
        cmocka_unit_test(test_after_a_failed_store_less_is_stored_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
