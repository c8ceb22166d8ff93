/* Goal: what is appended to a log is found again, with the tree that RFC 6962
 * defines, proofs of every leaf, and every handle, indexed or not.
 * Method: compare with the recursive definition, written here plainly; append
 * in batches of every awkward size; look up each handle before and after the
 * index was written, from old and new snapshots, and after a reopening. */
#include <sys/wait.h>

#include "crypto/tree.h"
#include "store/check.h"
#include "tests/test_store_util.h"

/* MTH of RFC 6962 2.1, over leaf hashes. */
static void
reference_root(const struct hash *leaves, size_t count, struct hash *out)
{
    struct hash left, right;
    size_t k = 1;

    if (count == 0) {
        tree_empty_root(out);
        return;
    }
    if (count == 1) {
        *out = leaves[0];
        return;
    }
    while (2 * k < count) {
        k *= 2;
    }
    reference_root(leaves, k, &left);
    reference_root(leaves + k, count - k, &right);
    tree_node_hash(&left, &right, out);
}

/* PATH of RFC 6962 2.1.1. */
static size_t
reference_path(const struct hash *leaves, size_t count, size_t m, struct hash *out)
{
    size_t k = 1, n;

    if (count == 1) {
        return 0;
    }
    while (2 * k < count) {
        k *= 2;
    }
    if (m < k) {
        n = reference_path(leaves, k, m, out);
        reference_root(leaves + k, count - k, &out[n]);
    } else {
        n = reference_path(leaves + k, count - k, m - k, out);
        reference_root(leaves, k, &out[n]);
    }
    return n + 1;
}

static void
leaf_hashes(struct hash *out, size_t count)
{
    uint8_t bytes[TEST_ENTRY_BYTES];

    for (size_t i = 0; i < count; i++) {
        struct view v = test_entry(bytes, i);
        tree_leaf_hash(v.bytes, v.count, &out[i]);
    }
}

static void
test_every_root_and_proof_equals_the_recursive_definition(void **state)
{
    enum { SIZE_MAX_HERE = 600 };
    static struct hash leaves[SIZE_MAX_HERE];
    static const size_t steps[] = {1, 1, 2, 3, 5, 17, 100, 127, 44, 200, 100};
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    struct hash root, want, proof[TREE_PROOF_HASHES_MAX], wanted[TREE_PROOF_HASHES_MAX];
    size_t size = 0, count;
    uint32_t id;
    (void)state;

    leaf_hashes(leaves, SIZE_MAX_HERE);
    OK(store_log_create(t, text("net/h1/pub"), STORE_LOG_OWN, 1, &id));
    OK(store_commit(t));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        OK(append_entries(s, id, size, steps[i], &root));
        size += steps[i];
        reference_root(leaves, size, &want);
        assert_memory_equal(&root, &want, sizeof root);
    }
    assert_int_equal(size, SIZE_MAX_HERE);
    t = begin_read(s);
    for (size_t n = 1; n <= size; n += n < 300 ? 1 : 37) {
        reference_root(leaves, n, &want);
        OK(store_root_at(t, id, n, &root));
        assert_memory_equal(&root, &want, sizeof root);
        for (size_t m = 0; m < n; m += n < 40 || n == 300 ? 1 : 1 + n / 9) {
            OK(store_prove_inclusion(t, id, m, n, &root, proof, &count));
            assert_int_equal(count, reference_path(leaves, n, m, wanted));
            assert_memory_equal(proof, wanted, count * sizeof proof[0]);
            struct hash old;
            reference_root(leaves, m, &old);
            if (m > 0) {
                OK(store_prove_consistency(t, id, m, &old, n, &root, proof, &count));
                old.bytes[0] ^= 1;
                assert_int_equal(
                    store_prove_consistency(t, id, m, &old, n, &root, proof, &count),
                    STATUS_CORRUPT);
            }
        }
    }
    root.bytes[5] ^= 1;
    assert_int_equal(store_prove_inclusion(t, id, 3, size, &root, proof, &count),
                     STATUS_CORRUPT);
    assert_int_equal(store_prove_inclusion(t, id, size, size, &want, proof, &count),
                     STATUS_NOT_FOUND);
    assert_int_equal(store_prove_inclusion(t, id, 0, size + 1, &want, proof, &count),
                     STATUS_NOT_FOUND);
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

static void
test_tiles_of_every_width_are_the_leaf_hashes(void **state)
{
    enum { SIZE = 700 };
    static struct hash leaves[SIZE];
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    struct hash want, leaf;
    struct view tile;
    uint32_t id;
    (void)state;

    leaf_hashes(leaves, SIZE);
    OK(store_log_create(t, text("net/h1/pub"), 0, 1, &id));
    OK(store_commit(t));
    OK(append_entries(s, id, 0, SIZE, NULL));
    t = begin_read(s);
    for (unsigned index = 0; index < 3; index++) {
        unsigned widest = index < 2 ? 256 : SIZE - 512;
        for (unsigned width = 1; width <= widest; width++) {
            OK(store_tile_get(t, id, 0, index, width, &tile));
            assert_int_equal(tile.count, width * 32);
            assert_memory_equal(tile.bytes, leaves + index * 256, tile.count);
        }
        if (widest < 256) {
            assert_int_equal(store_tile_get(t, id, 0, index, widest + 1, &tile),
                             STATUS_NOT_FOUND);
        }
    }
    OK(store_tile_get(t, id, 1, 0, 2, &tile));
    for (size_t i = 0; i < 2; i++) {
        reference_root(leaves + 256 * i, 256, &want);
        assert_memory_equal(tile.bytes + 32 * i, &want, 32);
    }
    assert_int_equal(store_tile_get(t, id, 1, 0, 3, &tile), STATUS_NOT_FOUND);
    assert_int_equal(store_tile_get(t, id, 2, 0, 1, &tile), STATUS_NOT_FOUND);
    assert_int_equal(store_tile_get(t, id, 63, 0, 1, &tile), STATUS_NOT_FOUND);
    assert_int_equal(store_tile_get(t, id, 0, 0, 0, &tile), STATUS_NOT_FOUND);
    OK(store_leaf_get(t, id, 511, &leaf));
    assert_memory_equal(&leaf, &leaves[511], 32);
    assert_int_equal(store_leaf_get(t, id, SIZE, &leaf), STATUS_NOT_FOUND);
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

static void
test_an_append_that_differs_from_the_checked_tile_changes_nothing(void **state)
{
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    uint8_t bytes[4][TEST_ENTRY_BYTES];
    struct view entries[4];
    struct hash leaves[4];
    struct store_log log;
    uint32_t id;
    (void)state;

    OK(store_log_create(t, text("net/h2/pub"), 0, 1, &id));
    OK(store_commit(t));
    leaf_hashes(leaves, 4);
    for (size_t i = 0; i < 4; i++) {
        entries[i] = test_entry(bytes[i], i);
    }
    leaves[3].bytes[31] ^= 1;
    t = begin_write(s);
    assert_int_equal(store_log_append(t, id, entries, 4, leaves, NULL), STATUS_BAD_PROOF);
    assert_int_equal(store_commit(t), STATUS_BAD_PROOF); /* never half of it */
    t = begin_read(s);
    OK(store_log_get(t, id, &log));
    assert_int_equal(log.size, 0);
    assert_int_equal(store_entry_get(t, id, 0, &entries[0]), STATUS_NOT_FOUND);
    store_abort(t);
    assert_int_equal(store_index_pending(s), 0);
    leaves[3].bytes[31] ^= 1;
    entries[0].bytes = bytes[0];
    t = begin_write(s);
    OK(store_log_append(t, id, entries, 4, leaves, NULL));
    OK(store_commit(t));
    store_close(s);
    dir_remove(&dir);
}

/* Find handle n and expect exactly (log, leaf). */
static void
expect_hit(struct store_txn *t, uint64_t n, uint32_t log, uint64_t leaf)
{
    uint8_t handle[TOKEN_BYTES];
    struct hits hits = {0};

    test_handle(handle, n);
    OK(store_index_find(t, handle, take_hit, &hits));
    assert_int_equal(hits.count, 1);
    assert_int_equal(hits.log[0], log);
    assert_int_equal(hits.leaf[0], leaf);
}

static void
expect_no_hit(struct store_txn *t, uint64_t n)
{
    uint8_t handle[TOKEN_BYTES];
    struct hits hits = {0};

    test_handle(handle, n);
    OK(store_index_find(t, handle, take_hit, &hits));
    assert_int_equal(hits.count, 0);
}

static void
test_handles_are_found_pending_indexed_and_after_reopening(void **state)
{
    enum { COUNT = 3000 };
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s), *old;
    uint32_t a, b;
    (void)state;

    OK(store_log_create(t, text("net/a/pub"), 0, 1, &a));
    OK(store_log_create(t, text("net/b/pub"), 0, 1, &b));
    OK(store_commit(t));
    OK(append_entries(s, a, 0, COUNT, NULL));
    OK(append_entries(s, b, COUNT, COUNT, NULL));
    assert_int_equal(store_index_pending(s), 2 * COUNT);
    old = begin_read(s); /* sees all of it pending, for ever */
    OK(append_entries(s, a, 2 * COUNT, 10, NULL));
    expect_no_hit(old, 2 * COUNT); /* appended after this snapshot */
    OK(store_index_some(s, COUNT + 7));
    assert_int_equal(store_index_pending(s), 2 * COUNT + 10 - (COUNT + 7));
    t = begin_read(s);
    for (uint64_t n = 0; n < COUNT; n += 7) {
        expect_hit(t, n, a, n);
        expect_hit(t, COUNT + n, b, n);
        expect_hit(old, n, a, n);
        expect_hit(old, COUNT + n, b, n);
    }
    expect_hit(t, 2 * COUNT + 9, a, COUNT + 9);
    expect_no_hit(t, 5 * COUNT);
    store_abort(t);
    store_close((store_abort(old), s));

    s = open_store(dir.path); /* the rest is taken from the entries */
    assert_int_equal(store_index_pending(s), 2 * COUNT + 10 - (COUNT + 7));
    t = begin_read(s);
    for (uint64_t n = 0; n < COUNT; n++) {
        expect_hit(t, n, a, n);
        expect_hit(t, COUNT + n, b, n);
    }
    store_abort(t);
    while (store_index_some(s, UINT64_MAX) == STATUS_OK) {
    }
    assert_int_equal(store_index_pending(s), 0);
    t = begin_read(s);
    for (uint64_t n = 0; n < COUNT; n++) {
        expect_hit(t, n, a, n);
        expect_hit(t, COUNT + n, b, n);
    }
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

static void
test_one_handle_in_many_logs_is_found_everywhere_once(void **state)
{
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t;
    uint8_t handle[TOKEN_BYTES];
    uint32_t id[5];
    struct hits hits = {0};
    (void)state;

    for (uint32_t i = 0; i < 5; i++) {
        char origin[32];
        (void)snprintf(origin, sizeof origin, "net/%u/pub", i);
        t = begin_write(s);
        OK(store_log_create(t, text(origin), 0, 1, &id[i]));
        OK(store_commit(t));
        OK(append_entries(s, id[i], 42, 1, NULL));
        OK(append_entries(s, id[i], 42, 1, NULL));
        if (i == 2) {
            OK(store_index_some(s, 5)); /* half of log 2 stays pending */
        }
    }
    test_handle(handle, 42);
    t = begin_read(s);
    OK(store_index_find(t, handle, take_hit, &hits));
    assert_int_equal(hits.count, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(hits.log[i], id[i / 2]);
        assert_int_equal(hits.leaf[i], i % 2);
    }
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

/* Rows of the transaction are chained in steps, as it grows past the table. */
static void
test_a_large_transaction_finds_each_of_its_own_rows_once(void **state)
{
    enum { STEP = 7, STEPS = 400 };
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    uint8_t bytes[STEP][TEST_ENTRY_BYTES];
    struct view entries[STEP];
    uint32_t id;
    (void)state;

    OK(store_log_create(t, text("net/a/pub"), 0, 1, &id));
    for (uint64_t step = 0; step < STEPS; step++) {
        for (uint64_t i = 0; i < STEP; i++) {
            entries[i] = test_entry(bytes[i], step * STEP + i);
        }
        OK(store_log_append(t, id, entries, STEP, NULL, NULL));
        expect_hit(t, step * STEP + 3, id, step * STEP + 3); /* new */
        expect_hit(t, step * STEP / 2, id, step * STEP / 2); /* chained before */
        expect_no_hit(t, (step + 1) * STEP);
    }
    for (uint64_t i = 0; i < STEP * STEPS; i++) {
        expect_hit(t, i, id, i);
    }
    OK(store_commit(t));
    t = begin_read(s);
    for (uint64_t i = 0; i < STEP * STEPS; i += 11) {
        expect_hit(t, i, id, i);
    }
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

/* Entries that came back from peers get their rows later, once. */
static void
test_an_own_row_may_follow_in_a_later_transaction_once(void **state)
{
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    uint8_t bytes[2][TEST_ENTRY_BYTES];
    struct view entries[] = {test_entry(bytes[0], 1), test_entry(bytes[1], 2)};
    struct store_own own = {.rank = {(const uint8_t *)"rank", 4}};
    uint32_t id;
    (void)state;

    struct store_txn *t = begin_write(s);
    OK(store_log_create(t, text("net/a/pub"), STORE_LOG_OWN, 1, &id));
    OK(store_log_append(t, id, entries, 2, NULL, NULL));
    OK(store_commit(t));
    for (unsigned i = 0; i < 2; i++) { /* its handles pending, then written */
        t = begin_write(s);
        test_handle(own.report, 1000 + i);
        assert_int_equal(store_own_put(t, id, 2, &own), STATUS_NOT_FOUND);
        OK(store_own_put(t, id, i, &own));
        expect_hit(t, 1000 + i, id, i);
        OK(store_commit(t));
        t = begin_write(s);
        assert_int_equal(store_own_put(t, id, i, &own), STATUS_EXISTS);
        store_abort(t);
        if (i == 0) {
            OK(store_index_some(s, 10));
        }
    }
    for (int pass = 0; pass < 2; pass++) {
        struct store_check_options options = {.finding = NULL};
        struct store_check_totals totals;
        t = begin_read(s);
        expect_hit(t, 1000, id, 0);
        expect_hit(t, 1001, id, 1);
        store_abort(t);
        OK(store_check(s, &options, &totals));
        store_close(s);
        s = open_store(dir.path);
    }
    store_close(s);
    dir_remove(&dir);
}

static void
test_own_rows_are_found_by_report_handle(void **state)
{
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    uint8_t bytes[TEST_ENTRY_BYTES];
    struct view entry = test_entry(bytes, 1);
    struct store_own own = {.rank = {(const uint8_t *)"rank", 4}}, got;
    uint32_t id;
    (void)state;

    OK(store_log_create(t, text("net/a/pub"), STORE_LOG_OWN, 1, &id));
    OK(store_log_append(t, id, &entry, 1, NULL, NULL));
    test_handle(own.report, 1000);
    fill(own.content, sizeof own.content, 77);
    OK(store_own_put(t, id, 0, &own));
    expect_hit(t, 1000, id, 0); /* within the transaction, too */
    expect_hit(t, 1, id, 0);
    OK(store_commit(t));
    for (int pass = 0; pass < 3; pass++) {
        t = begin_read(s);
        expect_hit(t, 1000, id, 0);
        expect_hit(t, 1, id, 0);
        OK(store_own_get(t, id, 0, &got));
        assert_memory_equal(got.report, own.report, sizeof own.report);
        assert_memory_equal(got.content, own.content, sizeof own.content);
        assert_int_equal(got.rank.count, 4);
        assert_memory_equal(got.rank.bytes, "rank", 4);
        assert_int_equal(store_own_get(t, id, 1, &got), STATUS_NOT_FOUND);
        store_abort(t);
        if (pass == 0) {
            store_close(s);
            s = open_store(dir.path);
            assert_int_equal(store_index_pending(s), 1);
        } else if (pass == 1) {
            OK(store_index_some(s, 10));
        }
    }
    store_close(s);
    dir_remove(&dir);
}

static void
test_a_log_without_handles_is_never_pending(void **state)
{
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    struct view entry = text("Xchange");
    struct store_log log;
    uint32_t id;
    (void)state;

    OK(store_log_create(t, text("net/a/exch/00112233"), STORE_LOG_OWN, 1, &id));
    OK(store_log_append(t, id, &entry, 1, NULL, NULL));
    OK(store_commit(t));
    assert_int_equal(store_index_pending(s), 0);
    assert_int_equal(store_index_some(s, 10), STATUS_NOT_FOUND);
    t = begin_read(s);
    OK(store_log_get(t, id, &log));
    assert_int_equal(log.indexed_to, 1);
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

static void
test_a_hundred_thousand_entries_and_the_tail_stays_bounded(void **state)
{
    enum { BATCH = 9973, BATCHES = 13 };
    static struct hash leaves[BATCH * BATCHES];
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    struct hash root, want;
    struct store_log log;
    struct view *entries = calloc(BATCH, sizeof *entries);
    size_t got;
    uint32_t id;
    (void)state;

    assert_non_null(entries);
    OK(store_log_create(t, text("net/a/pub"), 0, 1, &id));
    OK(store_commit(t));
    for (size_t b = 0; b < BATCHES; b++) {
        OK(append_entries(s, id, b * BATCH, BATCH, &root));
        assert_true(store_index_pending(s) <= UNINDEXED_ENTRIES_MAX);
    }
    leaf_hashes(leaves, BATCH * BATCHES);
    reference_root(leaves, BATCH * BATCHES, &want);
    assert_memory_equal(&root, &want, sizeof root);
    t = begin_read(s);
    OK(store_log_get(t, id, &log));
    assert_int_equal(log.size, BATCH * BATCHES);
    assert_true(log.indexed_to > 0);
    OK(store_entries_get(t, id, 100, BATCH, entries, &got));
    assert_int_equal(got, BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        uint8_t bytes[TEST_ENTRY_BYTES];
        struct view entry = test_entry(bytes, 100 + i);
        assert_int_equal(entries[i].count, entry.count);
        assert_memory_equal(entries[i].bytes, entry.bytes, entry.count);
    }
    for (uint64_t n = 0; n < BATCH * BATCHES; n += 501) {
        expect_hit(t, n, id, n);
    }
    store_abort(t);
    free(entries);
    store_close(s);
    dir_remove(&dir);
}

static void
test_logs_are_listed_by_origin_and_keep_their_notes(void **state)
{
    static const char *const origins[] = {"n/c/pub", "n/a/pub", "n/b/pub", "n/a/exch/01"};
    static const char *const sorted[] = {"n/a/exch/01", "n/a/pub", "n/b/pub", "n/c/pub"};
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    struct view after = {NULL, 0}, note;
    char longest[ORIGIN_CHARS_MAX + 2];
    struct store_log log;
    uint32_t id;
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        OK(store_log_create(t, text(origins[i]), 0, (int64_t)i, &id));
        OK(store_note_put(t, id, STORE_NOTE_HEAD, text(origins[i])));
    }
    assert_int_equal(store_log_create(t, text("n/b/pub"), 0, 9, &id), STATUS_EXISTS);
    assert_int_equal(store_log_create(t, text(""), 0, 9, &id), STATUS_MALFORMED);
    assert_int_equal(store_log_create(t, text("n/b pub"), 0, 9, &id), STATUS_MALFORMED);
    assert_int_equal(store_log_create(t, text("n/\xe4\xba\x92/pub"), 0, 9, &id),
                     STATUS_MALFORMED);
    memset(longest, 'x', sizeof longest);
    longest[ORIGIN_CHARS_MAX + 1] = 0;
    assert_int_equal(store_log_create(t, text(longest), 0, 9, &id), STATUS_TOO_BIG);
    longest[ORIGIN_CHARS_MAX] = 0;
    OK(store_log_create(t, text(longest), 0, 9, &id));
    OK(store_log_mark(t, id, STORE_LOG_FROZEN, 17));
    OK(store_commit(t));
    t = begin_read(s);
    for (size_t i = 0; i < 4; i++) {
        OK(store_log_next(t, after, &log));
        assert_int_equal(log.origin.count, strlen(sorted[i]));
        assert_memory_equal(log.origin.bytes, sorted[i], log.origin.count);
        OK(store_note_get(t, log.id, STORE_NOTE_HEAD, &note));
        assert_memory_equal(note.bytes, sorted[i], note.count);
        assert_int_equal(store_note_get(t, log.id, STORE_NOTE_COSIGNED, &note),
                         STATUS_NOT_FOUND);
        after = log.origin;
    }
    OK(store_log_next(t, after, &log));
    assert_int_equal(log.flags, STORE_LOG_FROZEN);
    assert_int_equal(log.serve_to, 17);
    assert_int_equal(log.first_seen_s, 9);
    assert_int_equal(store_log_next(t, log.origin, &log), STATUS_NOT_FOUND);
    assert_int_equal(store_log_find(t, text("n/d/pub"), &log), STATUS_NOT_FOUND);
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

static void
test_records_must_hash_to_what_the_entry_says(void **state)
{
    static uint8_t big[RECORD_BYTES_MAX + 1];
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    struct view record = text("sealed bytes"), got;
    struct hash sealed, other = {{1}};
    (void)state;

    sha256(record.bytes, record.count, &sealed);
    assert_int_equal(store_record_put(t, 1, 5, &other, record), STATUS_BAD_PROOF);
    assert_int_equal(store_record_put(t, 1, 5, &sealed, (struct view){big, sizeof big}),
                     STATUS_TOO_BIG);
    assert_int_equal(store_record_put(t, 1, 5, &sealed, (struct view){big, 0}), STATUS_TOO_BIG);
    assert_int_equal(store_record_has(t, 1, 5), STATUS_NOT_FOUND);
    OK(store_record_put(t, 1, 5, &sealed, record));
    OK(store_record_put(t, 1, 5, &sealed, record));
    OK(store_commit(t));
    t = begin_read(s);
    OK(store_record_get(t, 1, 5, &sealed, &got));
    assert_int_equal(got.count, record.count);
    assert_memory_equal(got.bytes, record.bytes, record.count);
    OK(store_record_has(t, 1, 5));
    assert_int_equal(store_record_get(t, 1, 5, &other, &got), STATUS_CORRUPT);
    assert_int_equal(store_record_get(t, 1, 6, &sealed, &got), STATUS_NOT_FOUND);
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

static void
test_appends_over_the_limits_are_refused(void **state)
{
    static uint8_t big[ENTRY_BYTES_MAX + 1];
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    struct view entry = {big, sizeof big}, got;
    struct view *many = calloc(STORE_APPEND_ENTRIES_MAX + 1, sizeof *many);
    uint32_t id;
    (void)state;

    assert_non_null(many);
    OK(store_log_create(t, text("n/a/pub"), 0, 1, &id));
    assert_int_equal(store_log_append(t, id, &entry, 1, NULL, NULL), STATUS_TOO_BIG);
    assert_int_equal(store_log_append(t, id, many, STORE_APPEND_ENTRIES_MAX + 1, NULL, NULL),
                     STATUS_TOO_BIG);
    entry.count = ENTRY_BYTES_MAX;
    OK(store_log_append(t, id, &entry, 1, NULL, NULL));
    OK(store_log_append(t, id, many, 1, NULL, NULL)); /* an empty entry is one */
    OK(store_commit(t));
    t = begin_read(s);
    OK(store_entry_get(t, id, 0, &got));
    assert_int_equal(got.count, ENTRY_BYTES_MAX);
    OK(store_entry_get(t, id, 1, &got));
    assert_int_equal(got.count, 0);
    store_abort(t);
    free(many);
    store_close(s);
    dir_remove(&dir);
}

static void
test_a_read_only_store_follows_its_owner(void **state)
{
    struct test_dir dir = dir_make();
    int down[2], up[2];
    char byte;
    pid_t child;
    (void)state;

    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* the owner: commits a batch for each byte it gets */
        struct store *s = open_store(dir.path);
        struct store_txn *t = begin_write(s);
        uint32_t id;
        (void)close(down[1]);
        OK(store_log_create(t, text("n/a/pub"), 0, 1, &id));
        OK(store_commit(t));
        for (uint64_t b = 0; write(up[1], "", 1) == 1 && read(down[0], &byte, 1) == 1; b++) {
            OK(append_entries(s, id, b * 1000, 1000, NULL));
            if (b == 1) {
                OK(store_index_some(s, 1500));
            }
        }
        _exit(0);
    }
    struct store_options options = {.read_only = true, .handle_of = test_handle_of};
    struct store *s;
    struct store_txn *t;
    (void)close(up[1]);
    assert_int_equal(read(up[0], &byte, 1), 1);
    OK(store_open(dir.path, &options, &s));
    assert_int_equal(store_begin_write(s, STORE_EXCHANGE, 0, &t), STATUS_REFUSED);
    for (uint64_t b = 0; b < 4; b++) {
        t = begin_read(s);
        expect_no_hit(t, b * 1000);
        assert_int_equal(write(down[1], "", 1), 1);
        assert_int_equal(read(up[0], &byte, 1), 1);
        expect_no_hit(t, b * 1000); /* a snapshot stays as it is */
        store_abort(t);
        t = begin_read(s);
        for (uint64_t n = 0; n < (b + 1) * 1000; n += 13) {
            expect_hit(t, n, 1, n);
        }
        store_abort(t);
    }
    store_close(s);
    (void)close(down[1]);
    int wait_status;
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    dir_remove(&dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_root_and_proof_equals_the_recursive_definition),
        cmocka_unit_test(test_tiles_of_every_width_are_the_leaf_hashes),
        cmocka_unit_test(test_an_append_that_differs_from_the_checked_tile_changes_nothing),
        cmocka_unit_test(test_handles_are_found_pending_indexed_and_after_reopening),
        cmocka_unit_test(test_one_handle_in_many_logs_is_found_everywhere_once),
        cmocka_unit_test(test_a_large_transaction_finds_each_of_its_own_rows_once),
        cmocka_unit_test(test_own_rows_are_found_by_report_handle),
        cmocka_unit_test(test_an_own_row_may_follow_in_a_later_transaction_once),
        cmocka_unit_test(test_a_log_without_handles_is_never_pending),
        cmocka_unit_test(test_a_hundred_thousand_entries_and_the_tail_stays_bounded),
        cmocka_unit_test(test_logs_are_listed_by_origin_and_keep_their_notes),
        cmocka_unit_test(test_records_must_hash_to_what_the_entry_says),
        cmocka_unit_test(test_appends_over_the_limits_are_refused),
        cmocka_unit_test(test_a_read_only_store_follows_its_owner),
    };
    return cmocka_run_group_tests_name("store_log", tests, NULL, NULL);
}
