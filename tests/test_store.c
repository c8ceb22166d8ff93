/* Goal: a store opens only what is its own and safe, and keeps every kind of
 * row.
 * Method: round trips through a reopening; each refusal provoked for real,
 * with second processes where the rule is about processes. */
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
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
