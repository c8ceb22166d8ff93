/* Goal: the map grows while nobody looks, and without room a store stays as it
 * was and says so.
 * Method: readers here and in another process while it grows; a map of 1 MiB
 * filled through every write path; a file size limit in the middle of a
 * commit. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/test_store_util.h"

/* ---- room ---- */

static int
read_after_growth(const char *path)
{
    struct store_options options = {.read_only = true, .map_bytes = 1 << 20};
    struct store_txn *t;
    struct store *s;
    struct view entry;
    struct store_log log;
    uint8_t bytes[TEST_ENTRY_BYTES];

    if (store_open(path, &options, &s) != STATUS_OK || write(3, "", 1) != 1 ||
        read(4, bytes, 1) != 1 || store_begin_read(s, &t) != STATUS_OK ||
        store_log_get(t, 1, &log) != STATUS_OK ||
        store_entry_get(t, 1, log.size - 1, &entry) != STATUS_OK) {
        return 1;
    }
    (void)test_entry(bytes, log.size - 1);
    int rc = memcmp(bytes, entry.bytes, entry.count) == 0 && log.size > 10000 ? 0 : 2;
    store_abort(t);
    store_close(s);
    return rc;
}

static void
test_the_map_grows_and_a_reader_in_another_process_follows(void **state)
{
    struct test_dir dir = dir_make();
    struct store_options options = {
        .map_bytes = 1 << 20, .map_bytes_max = 64 << 20, .handle_of = test_handle_of};
    struct store_space space;
    struct store_txn *t, *pin;
    struct store *s;
    int up[2], down[2], done;
    char byte;
    uint32_t id;
    (void)state;

    OK(store_open(dir.path, &options, &s));
    t = begin_write(s);
    OK(store_log_create(t, text("n/a/pub"), 0, 1, &id));
    OK(store_commit(t));
    OK(store_space(s, &space));
    assert_int_equal(space.map_bytes, 1 << 20);
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(up[1], 13); /* out of the way of each other first */
        (void)dup2(down[0], 14);
        (void)dup2(13, 3);
        (void)dup2(14, 4);
        _exit(read_after_growth(dir.path));
    }
    assert_int_equal(read(up[0], &byte, 1), 1);

    pin = begin_read(s); /* while it is open the map must not move */
    enum status st = STATUS_OK;
    for (uint64_t n = 0; st == STATUS_OK && n < 20000; n += 1000) {
        st = append_entries(s, id, n, 1000, NULL);
    }
    assert_int_equal(st, STATUS_NO_SPACE);
    assert_false(store_poisoned(s));
    OK(store_space(s, &space));
    assert_int_equal(space.map_bytes, 1 << 20);
    store_abort(pin);
    struct store_log log;
    t = begin_read(s);
    OK(store_log_get(t, id, &log));
    store_abort(t);
    for (uint64_t n = log.size; n < 20000; n += 1000) {
        OK(append_entries(s, id, n, 1000, NULL));
    }
    OK(store_space(s, &space));
    assert_true(space.map_bytes > 2 << 20);
    expect_clean(s);
    assert_int_equal(write(down[1], "", 1), 1);
    assert_int_equal(waitpid(child, &done, 0), child);
    assert_true(WIFEXITED(done));
    assert_int_equal(WEXITSTATUS(done), 0);
    store_close(s);
    for (int i = 0; i < 2; i++) {
        (void)close(up[i]);
        (void)close(down[i]);
    }
    dir_remove(&dir);
}

struct brief_reader {
    struct store *s;
    int began;
};

static void *
read_briefly(void *context)
{
    struct brief_reader *r = context;
    struct timespec pause = {0, 300 * 1000000L};
    struct store_txn *t;

    if (store_begin_read(r->s, &t) == STATUS_OK && write(r->began, "", 1) == 1) {
        (void)nanosleep(&pause, NULL);
        store_abort(t);
    }
    return NULL;
}

static void
test_growth_waits_for_a_reader_that_ends_soon(void **state)
{
    struct test_dir dir = dir_make();
    struct store_options options = {
        .map_bytes = 1 << 20, .map_bytes_max = 64 << 20, .handle_of = test_handle_of};
    struct brief_reader reader;
    struct store_txn *t;
    pthread_t thread;
    int began[2];
    char byte;
    uint32_t id;
    (void)state;

    OK(store_open(dir.path, &options, &reader.s));
    t = begin_write(reader.s);
    OK(store_log_create(t, text("n/a/pub"), 0, 1, &id));
    OK(store_commit(t));
    assert_int_equal(pipe(began), 0);
    reader.began = began[1];
    assert_int_equal(pthread_create(&thread, NULL, read_briefly, &reader), 0);
    assert_int_equal(read(began[0], &byte, 1), 1);
    OK(append_entries(reader.s, id, 0, 20000, NULL)); /* needs 4 MiB */
    assert_int_equal(pthread_join(thread, NULL), 0);
    store_close(reader.s);
    (void)close(began[0]);
    (void)close(began[1]);
    dir_remove(&dir);
}

/* One small step of each write path; `n` makes it new each time. */
static enum status
write_step(struct store_txn *t, unsigned path, uint32_t id, uint64_t n)
{
    static uint8_t junk[8000];
    struct view bytes = {junk, sizeof junk}, entry;
    struct store_charter_key key = {text("net"), STORE_CHARTER_ROOT, n};
    struct store_own own = {.rank = {junk, STORE_RANK_BYTES_MAX}};
    struct store_log log;
    struct hash hash;
    char name[32];
    enum status st;

    fill(junk, sizeof junk, n * 7919 + path);
    (void)snprintf(name, sizeof name, "n/%" PRIu64 "/pub", n);
    switch (path) {
    case 0:
        entry = (struct view){junk, 2000};
        junk[0] = 'P';
        return store_log_append(t, id, &entry, 1, NULL, NULL);
    case 1:
        entry = (struct view){junk, 20};
        if ((st = store_log_append(t, id, &entry, 1, NULL, NULL)) != STATUS_OK ||
            (st = store_log_get(t, id, &log)) != STATUS_OK) {
            return st;
        }
        return store_own_put(t, id, log.size - 1, &own);
    case 2:
        sha256(junk, sizeof junk, &hash);
        return store_record_put(t, id, 1000000 + n, &hash, bytes);
    case 3:
        return store_note_put(t, (uint32_t)(1000 + n), STORE_NOTE_HEAD, bytes);
    case 4:
        return store_charter_put(t, &key, bytes, &bytes, 1);
    case 5:
        return store_refused_put(t, text(name + 2), STATUS_FORK, bytes);
    case 6:
        return store_kv_put(t, 9, text("net"), text(name), bytes);
    case 7:
        return store_blob_put(t, bytes, &hash);
    case 8:
        return store_salt_put(t, id, n, junk, bytes);
    case 9:
        return store_log_create(t, text(name), 0, 1, &id);
    default:
        return STATUS_REFUSED;
    }
}
enum { WRITE_PATHS = 10 };

static void
test_a_full_map_fails_every_write_path_and_changes_nothing(void **state)
{
    struct test_dir dir = dir_make();
    struct store_options options = {
        .map_bytes = 1 << 20, .map_bytes_max = 1 << 20, .handle_of = test_handle_of};
    struct store_check_options check = {0};
    struct store_check_totals before, after;
    struct store_txn *t;
    struct store *s;
    uint32_t id;
    (void)state;

    OK(store_open(dir.path, &options, &s));
    t = begin_write(s);
    OK(store_log_create(t, text("n/a/pub"), STORE_LOG_OWN, 1, &id));
    OK(store_commit(t));
    OK(append_entries(s, id, 0, 500, NULL));
    OK(store_check(s, &check, &before));
    for (unsigned path = 0; path < WRITE_PATHS; path++) {
        enum status st = STATUS_OK;
        OK(store_begin_write(s, STORE_EXCHANGE, 0, &t));
        for (uint64_t n = 1; st == STATUS_OK; n++) {
            st = write_step(t, path, id, n);
            assert_true(n < 100000);
        }
        assert_int_equal(st, STATUS_NO_SPACE);
        assert_int_equal(store_commit(t), STATUS_NO_SPACE);
        assert_false(store_poisoned(s));
        OK(store_check(s, &check, &after));
        assert_memory_equal(&before, &after, sizeof before);
        assert_int_equal(store_index_pending(s), 500);
        OK(store_begin_write(s, STORE_EXCHANGE, 0, &t)); /* and it goes on */
        OK(write_step(t, path, id, 1));
        store_abort(t);
    }
    store_close(s);

    options.map_bytes_max = 64 << 20; /* room again */
    OK(store_open(dir.path, &options, &s));
    OK(append_entries(s, id, 500, 20000, NULL));
    expect_clean(s);
    store_close(s);
    dir_remove(&dir);
}

static void
test_publishing_stops_first_and_exchange_goes_on_in_the_reserve(void **state)
{
    struct test_dir dir = dir_make();
    struct store_options options = {
        .map_bytes = 1 << 20, .map_bytes_max = 4 << 20, .handle_of = test_handle_of};
    struct store_space space;
    struct store_txn *t;
    struct store *s;
    static uint8_t exchange[1500];
    struct view entry = {exchange, sizeof exchange};
    size_t published = 0, exchanged = 0;
    uint32_t pub, exch;
    enum status st;
    (void)state;

    OK(store_open(dir.path, &options, &s));
    t = begin_write(s);
    OK(store_log_create(t, text("n/a/pub"), STORE_LOG_OWN, 1, &pub));
    OK(store_log_create(t, text("n/a/exch/1"), STORE_LOG_OWN, 1, &exch));
    OK(store_commit(t));
    while ((st = append_entries(s, pub, published, 500, NULL)) == STATUS_OK) {
        published += 500;
    }
    assert_int_equal(st, STATUS_NO_SPACE);
    OK(store_space(s, &space));
    assert_true(space.used_percent >= 80); /* it was said before */
    assert_false(space.disk_bound);
    assert_false(space.answering_stops);
    assert_true(space.free_bytes >= space.reserve_bytes + space.overhead_bytes);
    assert_true(space.reserve_bytes > 512 * 1024); /* and whole */
    while ((st = append_entries(s, pub, published, 10, NULL)) == STATUS_OK) {
        published += 10;
    }
    assert_int_equal(st, STATUS_NO_SPACE);
    OK(store_space(s, &space));
    assert_true(space.used_percent >= 98);
    assert_true(space.free_bytes >= space.reserve_bytes + space.overhead_bytes);
    /* Rows of the index do not eat it, and what is pending is found without. */
    assert_true(store_index_pending(s) >= published);
    while ((st = store_index_some(s, UNINDEXED_ENTRIES_MAX)) == STATUS_OK) {
    }
    assert_int_equal(st, STATUS_NO_SPACE);
    OK(store_space(s, &space));
    assert_true(space.free_bytes >= space.reserve_bytes + space.overhead_bytes - 65536);
    for (;; exchanged++) {
        if ((st = store_begin_write(s, STORE_EXCHANGE, entry.count, &t)) != STATUS_OK) {
            break;
        }
        if ((st = store_log_append(t, exch, &entry, 1, NULL, NULL)) != STATUS_OK) {
            store_abort(t);
            break;
        }
        if ((st = store_commit(t)) != STATUS_OK) {
            break;
        }
    }
    assert_true(exchanged > 200);
    assert_int_equal(st, STATUS_NO_SPACE);
    OK(store_space(s, &space));
    assert_true(space.publishing_stops && space.answering_stops);
    assert_int_equal(space.used_percent, 100);
    assert_int_equal(append_entries(s, pub, published, 200, NULL), STATUS_NO_SPACE);
    expect_clean(s);
    store_close(s);
    dir_remove(&dir);
}

static void
test_rows_of_the_index_are_written_under_a_small_cap(void **state)
{
    struct test_dir dir = dir_make();
    struct store_options options = {
        .map_bytes = 1 << 20, .map_bytes_max = 1 << 20, .handle_of = test_handle_of};
    struct store *s;
    uint32_t id;
    (void)state;

    OK(store_open(dir.path, &options, &s));
    struct store_txn *t = begin_write(s);
    OK(store_log_create(t, text("n/a/pub"), STORE_LOG_OWN, 1, &id));
    OK(store_commit(t));
    OK(append_entries(s, id, 0, 500, NULL));
    OK(store_index_some(s, UNINDEXED_ENTRIES_MAX)); /* takes what there is, not what could be */
    assert_int_equal(store_index_pending(s), 0);
    expect_clean(s);
    store_close(s);
    dir_remove(&dir);
}

/* In a child: the file may not grow in the middle of a commit. */
static int
fill_the_disk(const char *path)
{
    struct store_options options = {.handle_of = test_handle_of};
    struct store_check_options check = {0};
    struct store_check_totals totals;
    struct store_txn *t;
    struct rlimit limit, old;
    struct store_log log;
    struct store *s;
    char file[64];
    struct stat st;
    uint32_t id;

    (void)snprintf(file, sizeof file, "%s/data.mdb", path);
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || store_open(path, &options, &s) != STATUS_OK ||
        store_begin_write(s, STORE_PUBLISH, 0, &t) != STATUS_OK ||
        store_log_create(t, text("n/a/pub"), 0, 1, &id) != STATUS_OK ||
        store_commit(t) != STATUS_OK || append_entries(s, id, 0, 100, NULL) != STATUS_OK ||
        stat(file, &st) != 0 || getrlimit(RLIMIT_FSIZE, &old) != 0) {
        return 1;
    }
    limit = old;
    limit.rlim_cur = (rlim_t)st.st_size + 3 * 4096;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 2;
    }
    enum status failed = append_entries(s, id, 100, 5000, NULL);
    if ((failed != STATUS_NO_SPACE && failed != STATUS_IO) || !store_poisoned(s)) {
        return 3;
    }
    if (store_begin_read(s, &t) != STATUS_IO ||
        store_begin_write(s, STORE_EXCHANGE, 0, &t) != STATUS_IO) {
        return 4; /* poisoned until reopened (L9) */
    }
    if (setrlimit(RLIMIT_FSIZE, &old) != 0 || store_reopen(s) != STATUS_OK ||
        store_begin_read(s, &t) != STATUS_OK || store_log_get(t, id, &log) != STATUS_OK ||
        log.size != 100 || store_index_pending(s) != 100) {
        return 5;
    }
    store_abort(t);
    if (append_entries(s, id, 100, 5000, NULL) != STATUS_OK ||
        store_check(s, &check, &totals) != STATUS_OK || totals.entries != 5100) {
        return 6;
    }
    store_close(s);
    return 0;
}

static void
test_a_disk_that_fills_in_a_commit_poisons_until_reopened(void **state)
{
    struct test_dir dir = dir_make();
    (void)state;

    assert_int_equal(in_child(fill_the_disk, dir.path), 0);
    dir_remove(&dir);
}

static void
test_a_compacted_copy_is_whole(void **state)
{
    struct test_dir dir = dir_make(), copy = dir_make();
    struct store *s = open_store(dir.path);
    struct store_check_options check = {0};
    struct store_check_totals a, b;
    struct store_txn *t = begin_write(s);
    uint32_t id;
    int dead;
    (void)state;

    OK(store_log_create(t, text("n/a/pub"), 0, 1, &id));
    OK(store_commit(t));
    OK(append_entries(s, id, 0, 3000, NULL));
    OK(store_index_some(s, 1000));
    OK(store_copy(s, copy.path));
    OK(store_check(s, &check, &a));
    OK(store_reader_check(s, &dead));
    assert_int_equal(dead, 0);
    store_close(s);
    s = open_store(copy.path);
    OK(store_check(s, &check, &b));
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(b.entries, 3000);
    assert_int_equal(b.index_rows, 1000);
    store_close(s);
    dir_remove(&dir);
    dir_remove(&copy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_map_grows_and_a_reader_in_another_process_follows),
        cmocka_unit_test(test_growth_waits_for_a_reader_that_ends_soon),
        cmocka_unit_test(test_a_full_map_fails_every_write_path_and_changes_nothing),
        cmocka_unit_test(test_publishing_stops_first_and_exchange_goes_on_in_the_reserve),
        cmocka_unit_test(test_rows_of_the_index_are_written_under_a_small_cap),
        cmocka_unit_test(test_a_disk_that_fills_in_a_commit_poisons_until_reopened),
        cmocka_unit_test(test_a_compacted_copy_is_whole),
    };
    return cmocka_run_group_tests_name("store_room", tests, NULL, NULL);
}
