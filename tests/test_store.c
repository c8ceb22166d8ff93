/* Goal: a store opens only what is its own and safe, keeps every kind of row,
 * grows its map, and stays as it was when there is no room.
 * Method: round trips through a reopening; each refusal provoked for real,
 * with second processes where the rule is about processes; a map of 1 MiB
 * filled through every write path; a file size limit in the middle of a
 * commit. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <lmdb.h>

#include "store/internal.h"
#include "tests/test_store_util.h"

/* Run `fn` in a child; its value is the exit code, or -signal. */
static int
in_child(int (*fn)(const char *path), const char *path)
{
    int done;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        _exit(fn(path));
    }
    assert_int_equal(waitpid(child, &done, 0), child);
    return WIFEXITED(done) ? WEXITSTATUS(done) : -WTERMSIG(done);
}

static int
open_status(const char *path)
{
    struct store_options options = {0};
    struct store *s;

    return (int)store_open(path, &options, &s);
}

static int
open_read_only_status(const char *path)
{
    struct store_options options = {.read_only = true};
    struct store *s;

    return (int)store_open(path, &options, &s);
}

static void
expect_clean(struct store *s)
{
    struct store_check_options options = {0};
    struct store_check_totals totals;

    OK(store_check(s, &options, &totals));
}

/* ---- who may open what ---- */

static void
test_a_second_owner_is_refused_and_a_reader_is_not(void **state)
{
    struct test_dir dir = dir_make();
    struct store_options look = {.read_only = true};
    struct store *s, *other;
    (void)state;

    assert_int_equal(in_child(open_read_only_status, dir.path), STATUS_NOT_FOUND);
    s = open_store(dir.path);
    assert_int_equal(in_child(open_status, dir.path), STATUS_BUSY);
    assert_int_equal(in_child(open_read_only_status, dir.path), STATUS_OK);
    assert_int_equal(open_status(dir.path), STATUS_BUSY); /* L4 */
    assert_int_equal(store_open(dir.path, &look, &other), STATUS_BUSY);
    assert_null(other);
    store_close(s);
    assert_int_equal(in_child(open_status, dir.path), STATUS_OK);
    store_close(NULL);
    dir_remove(&dir);
}

static void
test_what_is_no_store_is_refused(void **state)
{
    struct test_dir dir = dir_make();
    char path[64];
    FILE *f;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    (void)state;

    assert_int_equal(open_status("/tmp/no/such/store"), STATUS_NOT_FOUND);
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir.path);
    f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 3000; i++) {
        assert_true(fputs("not a store\n", f) >= 0);
    }
    assert_int_equal(fclose(f), 0);
    assert_int_equal(open_status(dir.path), STATUS_CORRUPT);
    dir_remove(&dir);

    dir = dir_make(); /* LMDB, but somebody else's */
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(mdb_env_open(env, dir.path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "other", MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(open_status(dir.path), STATUS_UNSUPPORTED);
    dir_remove(&dir);
}

static void
test_an_unknown_format_version_is_refused(void **state)
{
    static const char later[] = "huren store 2";
    struct test_dir dir = dir_make();
    uint8_t row[8 + sizeof later - 1];
    MDB_val k = {6, (void *)(uintptr_t) "format"}, v = {sizeof row, row};
    struct hash check;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    (void)state;

    store_close(open_store(dir.path));
    sha256_2((struct view){(const uint8_t *)"\0\0\6format", 9}, text(later), &check);
    memcpy(row, check.bytes, 8);
    memcpy(row + 8, later, sizeof later - 1);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(mdb_env_create(&env), 0);
        assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
        assert_int_equal(mdb_env_open(env, dir.path, 0, 0600), 0);
        assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
        assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
        assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
        mdb_env_close(env);
        assert_int_equal(open_status(dir.path),
                         pass == 0 ? STATUS_UNSUPPORTED : STATUS_CORRUPT);
        assert_int_equal(open_read_only_status(dir.path),
                         pass == 0 ? STATUS_UNSUPPORTED : STATUS_CORRUPT);
        row[9] ^= 1; /* now the row itself is damaged */
    }
    dir_remove(&dir);
}

static void
test_remote_file_systems_are_refused_and_local_ones_are_not(void **state)
{
    (void)state;
    assert_true(space_fs_refused(0x6969));      /* NFS */
    assert_true(space_fs_refused(0xff534d42));  /* CIFS */
    assert_true(space_fs_refused(0xfe534d42));  /* SMB 2 */
    assert_true(space_fs_refused(0x65735546));  /* FUSE */
    assert_true(space_fs_refused(0x01021997));  /* 9P */
    assert_false(space_fs_refused(0xef53));     /* ext4 */
    assert_false(space_fs_refused(0x58465342)); /* XFS */
    assert_false(space_fs_refused(0x9123683e)); /* btrfs */
    assert_false(space_fs_refused(0x01021994)); /* tmpfs */
    assert_false(space_fs_refused(0x794c7630)); /* overlayfs */
    assert_int_equal(space_check_fs("/tmp"), STATUS_OK);
    assert_int_equal(space_check_fs("/proc/none"), STATUS_NOT_FOUND);
}

static struct store *inherited;

static int
use_inherited(const char *path)
{
    struct rlimit none = {0, 0};
    struct store_txn *t;

    (void)path;
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)close(2); /* the assertion's text is not news */
    return (int)store_begin_read(inherited, &t);
}

static void
test_a_store_cannot_be_used_after_fork(void **state)
{
    struct test_dir dir = dir_make();
    (void)state;

    inherited = open_store(dir.path);
    assert_int_equal(in_child(use_inherited, dir.path), -SIGABRT);
    store_close(inherited);
    dir_remove(&dir);
}

static void
test_no_weakening_flag_stands_in_the_source(void **state)
{
    static const char *const flags[] = {"MDB_NOSYNC",   "MDB_NOMETASYNC", "MDB_MAPASYNC",
                                        "MDB_WRITEMAP", "MDB_NOLOCK",     "MDB_DUPSORT",
                                        "MDB_CURRENT",  "MDB_NOMEMINIT",  "MDB_DUPFIXED"};
    static const char *const files[] = {"store",   "row",   "space", "log",
                                        "entries", "tiles", "tail",  "index",
                                        "charter", "kv",    "check", "checklog"};
    static char source[200000];
    size_t seen = 0;
    (void)state;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/store/%s.c", HR_SOURCE_DIR, files[i]);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        size_t n = fread(source, 1, sizeof source - 1, f);
        assert_int_equal(fclose(f), 0);
        source[n] = 0;
        for (size_t k = 0; k < sizeof flags / sizeof flags[0]; k++) {
            assert_null(strstr(source, flags[k]));
        }
        seen += strstr(source, "MDB_NOTLS") != NULL;
    }
    assert_int_equal(seen, 1); /* store.c: that what is looked for would be found */
}

/* ---- round trips ---- */

static bool
count_refused(void *context, enum status reason, struct view note)
{
    size_t *count = context;

    assert_int_equal(reason, STATUS_THRESHOLD);
    assert_true(note.count > 0);
    ++*count;
    return true;
}

static void
put_charter(struct store_txn *t, uint64_t version, const char *note, const struct view *rows,
            size_t count, enum status expected)
{
    struct store_charter_key key = {text("net"), STORE_CHARTER_MEMBERS, version};

    assert_int_equal(store_charter_put(t, &key, text(note), rows, count), expected);
}

static void
test_charter_versions_are_kept_and_share_rows(void **state)
{
    enum { ROWS = 600 };
    static char rows_text[ROWS][16];
    static struct view rows[ROWS];
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t = begin_write(s);
    struct store_charter_key key = {text("net"), STORE_CHARTER_MEMBERS, 0};
    struct store_space before, after;
    struct view note, row, network;
    struct hash leaf, other;
    uint32_t count;
    (void)state;

    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(rows_text[i], sizeof rows_text[i], "row %zu", i);
        rows[i] = text(rows_text[i]);
    }
    assert_int_equal(store_charter_newest(t, &key, &note, &count), STATUS_NOT_FOUND);
    put_charter(t, 1, "note 1", rows, ROWS, STATUS_OK);
    OK(store_commit(t));
    OK(store_space(s, &before));
    t = begin_write(s);
    rows[300] = text("changed");
    put_charter(t, 2, "note 2", rows, ROWS, STATUS_OK);
    put_charter(t, 2, "note 2, more signatures", rows, ROWS, STATUS_OK);
    put_charter(t, 1, "note 1", rows, ROWS, STATUS_FORK); /* other rows */
    put_charter(t, 2, "note 2", rows, ROWS - 1, STATUS_FORK);
    key.kind = STORE_CHARTER_QUALITY;
    key.version = 7;
    OK(store_charter_put(t, &key, text("quality"), NULL, 0));
    key.network = text("zweites");
    OK(store_charter_put(t, &key, text("quality"), NULL, 0));
    key.network.count = 0;
    assert_int_equal(store_charter_put(t, &key, text("x"), NULL, 0), STATUS_MALFORMED);
    for (size_t i = 0; i < STORE_REFUSED_MAX + 10; i++) {
        char bad[32];
        (void)snprintf(bad, sizeof bad, "refused %zu", i);
        OK(store_refused_put(t, text("net"), STATUS_THRESHOLD, text(bad)));
        OK(store_refused_put(t, text("net"), STATUS_THRESHOLD, text(bad)));
    }
    OK(store_commit(t));
    OK(store_space(s, &after));
    assert_true(after.used_bytes - before.used_bytes < 96 * 1024); /* rows once */
    store_close(s);

    s = open_store(dir.path);
    t = begin_read(s);
    key = (struct store_charter_key){text("net"), STORE_CHARTER_MEMBERS, UINT64_MAX};
    OK(store_charter_newest(t, &key, &note, &count));
    assert_int_equal(key.version, 2);
    assert_int_equal(count, ROWS);
    assert_memory_equal(note.bytes, "note 2, more", 12);
    OK(store_charter_row(t, &key, 300, &row));
    assert_memory_equal(row.bytes, "changed", row.count);
    OK(store_charter_row(t, &key, ROWS - 1, &row));
    assert_memory_equal(row.bytes, "row 599", row.count);
    assert_int_equal(store_charter_row(t, &key, ROWS, &row), STATUS_NOT_FOUND);
    OK(store_charter_leaf(t, &key, 0, &leaf));
    tree_leaf_hash((const uint8_t *)"row 0", 5, &other);
    assert_memory_equal(&leaf, &other, sizeof leaf);
    OK(store_charter_row_by_hash(t, &leaf, &row));
    assert_memory_equal(row.bytes, "row 0", row.count);
    key.version = 1;
    OK(store_charter_newest(t, &key, &note, &count));
    assert_int_equal(key.version, 1);
    OK(store_charter_row(t, &key, 300, &row));
    assert_memory_equal(row.bytes, "row 300", row.count);
    key.version = 0;
    assert_int_equal(store_charter_newest(t, &key, &note, &count), STATUS_NOT_FOUND);
    key = (struct store_charter_key){text("net"), STORE_CHARTER_POLICY, UINT64_MAX};
    assert_int_equal(store_charter_newest(t, &key, &note, &count), STATUS_NOT_FOUND);
    OK(store_charter_next_network(t, (struct view){NULL, 0}, &network));
    assert_memory_equal(network.bytes, "net", network.count);
    OK(store_charter_next_network(t, network, &network));
    assert_memory_equal(network.bytes, "zweites", network.count);
    assert_int_equal(store_charter_next_network(t, network, &network), STATUS_NOT_FOUND);
    size_t refused = 0;
    OK(store_refused_each(t, text("net"), count_refused, &refused));
    assert_int_equal(refused, STORE_REFUSED_MAX);
    store_abort(t);
    expect_clean(s);
    store_close(s);
    dir_remove(&dir);
}

static void
test_values_blobs_and_salts_come_back(void **state)
{
    static uint8_t big[STORE_BLOB_BYTES_MAX + 1];
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct store_txn *t;
    struct view none = {NULL, 0}, name, value;
    struct hash hash, other;
    uint8_t salt[STORE_SALT_BYTES], got[STORE_SALT_BYTES];
    uint64_t number;
    (void)state;

    OK(store_begin_write(s, STORE_PUBLISH, STORE_BLOB_BYTES_MAX, &t));
    OK(store_kv_put(t, 1, text("net"), text("b"), text("vb")));
    OK(store_kv_put(t, 1, text("net"), text("a"), text("first")));
    OK(store_kv_put(t, 1, text("net"), text("a"), text("va")));
    OK(store_kv_put(t, 1, text("net2"), text("a"), text("other network")));
    OK(store_kv_put(t, 2, text("net"), text("c"), text("other space")));
    OK(store_kv_put(t, 1, none, text("home"), none));
    OK(store_kv_put_u64(t, 3, none, text("n"), 0x1122334455667788u));
    assert_int_equal(store_kv_put(t, 1, text("net"), none, none), STATUS_MALFORMED);
    assert_int_equal(
        store_kv_put(t, 1, (struct view){(const uint8_t *)"a\0b", 3}, text("x"), none),
        STATUS_MALFORMED);
    assert_int_equal(
        store_kv_put(t, 1, none, (struct view){big, STORE_KV_NAME_BYTES_MAX + 1}, none),
        STATUS_TOO_BIG);
    assert_int_equal(
        store_kv_put(t, 1, none, text("x"), (struct view){big, STORE_KV_VALUE_BYTES_MAX + 1}),
        STATUS_TOO_BIG);
    assert_int_equal(store_blob_put(t, (struct view){big, sizeof big}, &hash), STATUS_TOO_BIG);
    big[0] = 1;
    OK(store_blob_put(t, (struct view){big, STORE_BLOB_BYTES_MAX}, &hash));
    OK(store_blob_put(t, text("small"), &other));
    OK(store_blob_drop(t, &other));
    assert_int_equal(store_blob_drop(t, &other), STATUS_NOT_FOUND);
    fill(salt, sizeof salt, 5);
    OK(store_salt_put(t, 4, 9, salt, text("what was asked")));
    OK(store_commit(t));
    store_close(s);

    s = open_store(dir.path);
    t = begin_read(s);
    OK(store_kv_next(t, 1, text("net"), none, &name, &value));
    assert_memory_equal(name.bytes, "a", name.count);
    assert_memory_equal(value.bytes, "va", value.count);
    OK(store_kv_next(t, 1, text("net"), name, &name, &value));
    assert_memory_equal(name.bytes, "b", name.count);
    assert_int_equal(store_kv_next(t, 1, text("net"), name, &name, &value), STATUS_NOT_FOUND);
    OK(store_kv_get(t, 1, none, text("home"), &value));
    assert_int_equal(value.count, 0);
    assert_int_equal(store_kv_get(t, 2, none, text("home"), &value), STATUS_NOT_FOUND);
    OK(store_kv_get_u64(t, 3, none, text("n"), &number));
    assert_true(number == 0x1122334455667788u);
    OK(store_kv_get_u64(t, 3, none, text("m"), &number));
    assert_int_equal(number, 0);
    assert_int_equal(store_kv_get_u64(t, 1, text("net"), text("a"), &number), STATUS_CORRUPT);
    OK(store_blob_get(t, &hash, &value));
    assert_int_equal(value.count, STORE_BLOB_BYTES_MAX);
    assert_int_equal(store_blob_get(t, &other, &value), STATUS_NOT_FOUND);
    OK(store_salt_get(t, 4, 9, got, &value));
    assert_memory_equal(got, salt, sizeof salt);
    assert_memory_equal(value.bytes, "what was asked", value.count);
    assert_int_equal(store_salt_get(t, 4, 8, got, &value), STATUS_NOT_FOUND);
    store_abort(t);
    t = begin_write(s);
    OK(store_kv_drop(t, 1, text("net"), text("a")));
    assert_int_equal(store_kv_drop(t, 1, text("net"), text("a")), STATUS_NOT_FOUND);
    store_abort(t);
    t = begin_read(s);
    OK(store_kv_get(t, 1, text("net"), text("a"), &value)); /* aborted */
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

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
    assert_true(space.used_percent >= 70);
    assert_true(space.free_bytes > 512 * 1024); /* the reserve is whole */
    for (;; exchanged++) {
        if ((st = store_begin_write(s, STORE_EXCHANGE, entry.count, &t)) != STATUS_OK) {
            break;
        }
        if ((st = store_log_append(t, exch, &entry, 1, NULL, NULL)) != STATUS_OK) {
            store_abort(t);
            break;
        }
        if ((st = store_commit(t)) != STATUS_OK || exchanged == 250) {
            break;
        }
    }
    assert_true(exchanged > 200);
    assert_true(st == STATUS_OK || st == STATUS_NO_SPACE);
    assert_int_equal(append_entries(s, pub, published, 200, NULL), STATUS_NO_SPACE);
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
        cmocka_unit_test(test_a_second_owner_is_refused_and_a_reader_is_not),
        cmocka_unit_test(test_what_is_no_store_is_refused),
        cmocka_unit_test(test_an_unknown_format_version_is_refused),
        cmocka_unit_test(test_remote_file_systems_are_refused_and_local_ones_are_not),
        cmocka_unit_test(test_a_store_cannot_be_used_after_fork),
        cmocka_unit_test(test_no_weakening_flag_stands_in_the_source),
        cmocka_unit_test(test_charter_versions_are_kept_and_share_rows),
        cmocka_unit_test(test_values_blobs_and_salts_come_back),
        cmocka_unit_test(test_the_map_grows_and_a_reader_in_another_process_follows),
        cmocka_unit_test(test_growth_waits_for_a_reader_that_ends_soon),
        cmocka_unit_test(test_a_full_map_fails_every_write_path_and_changes_nothing),
        cmocka_unit_test(test_publishing_stops_first_and_exchange_goes_on_in_the_reserve),
        cmocka_unit_test(test_a_disk_that_fills_in_a_commit_poisons_until_reopened),
        cmocka_unit_test(test_a_compacted_copy_is_whole),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
