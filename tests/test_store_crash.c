/* Goal: what was acknowledged survives a killed process, and a damaged file
 * never makes the store hand out a wrong byte.
 * Method: a child commits and acknowledges over a pipe until it is killed at
 * some moment, ten times over one home; then a copied file gets one flipped
 * bit, one zeroed page or a cut end at a time, and a child compares all that
 * can be read with what was written: each answer is right, or is
 * STATUS_CORRUPT, or LMDB stops the child.  Whatever cannot be seen by reading
 * a row (a row that vanished) must be a finding of store_check. */
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/test_store_util.h"

/* ---- SIGKILL ---- */

/* In a child a failed cmocka assertion would go on with the parent's tests. */
static void
must(enum status st)
{
    if (st != STATUS_OK) {
        _exit(99);
    }
}

static void
commit_until_killed(const char *path, int ack)
{
    struct store_options options = {.handle_of = test_handle_of};
    uint8_t bytes[100][TEST_ENTRY_BYTES];
    struct view entries[100];
    struct store_log log;
    struct store_txn *t;
    struct store *s;
    uint32_t id;

    must(store_open(path, &options, &s));
    must(store_begin_write(s, STORE_PUBLISH, 0, &t));
    if (store_log_create(t, text("n/a/pub"), 0, 1, &id) == STATUS_EXISTS) {
        id = 1;
    }
    must(store_commit(t));
    for (uint64_t i = 0;; i++) {
        must(store_begin_write(s, STORE_PUBLISH, 100 * TEST_ENTRY_BYTES, &t));
        must(store_log_get(t, id, &log));
        size_t count = (size_t)(1 + log.size % 97);
        for (size_t k = 0; k < count; k++) {
            entries[k] = test_entry(bytes[k], log.size + k);
        }
        uint64_t size = log.size + count;
        must(store_log_append(t, id, entries, count, NULL, NULL));
        must(store_commit(t));
        if (write(ack, &size, sizeof size) != sizeof size) {
            _exit(98);
        }
        if (i % 7 == 3) {
            must(store_index_some(s, 100));
        }
    }
}

static void
test_acknowledged_entries_survive_sigkill(void **state)
{
    struct test_dir dir = dir_make();
    struct store_check_options check = {0};
    struct store_check_totals totals;
    uint64_t acknowledged = 0, size;
    (void)state;

    for (long round = 0; round < 10; round++) {
        struct timespec pause = {0, (20 + (long)(mix((uint64_t)round) % 60)) * 1000000};
        int ack[2];
        assert_int_equal(pipe(ack), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(ack[0]);
            commit_until_killed(dir.path, ack[1]);
        }
        (void)close(ack[1]);
        (void)nanosleep(&pause, NULL);
        int done;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &done, 0), child);
        assert_true(WIFSIGNALED(done)); /* and did not give up before */
        while (read(ack[0], &size, sizeof size) == (ssize_t)sizeof size) {
            acknowledged = size;
        }
        (void)close(ack[0]);

        struct store *s = open_store(dir.path);
        struct store_txn *t = begin_read(s);
        struct store_log log;
        struct view entry;
        uint8_t bytes[TEST_ENTRY_BYTES], handle[TOKEN_BYTES];
        enum status st = store_log_get(t, 1, &log);
        if (acknowledged > 0) {
            OK(st);
            assert_true(log.size >= acknowledged);
        }
        for (uint64_t i = 0; i < acknowledged; i++) {
            struct hits hits = {0};
            OK(store_entry_get(t, 1, i, &entry));
            assert_memory_equal(entry.bytes, test_entry(bytes, i).bytes, TEST_ENTRY_BYTES);
            test_handle(handle, i);
            OK(store_index_find(t, handle, take_hit, &hits));
            assert_int_equal(hits.count, 1);
            assert_int_equal(hits.leaf[0], i);
        }
        store_abort(t);
        OK(store_check(s, &check, &totals));
        store_close(s);
    }
    assert_true(acknowledged > 100); /* the test did test something */
    dir_remove(&dir);
}

/* ---- damage ---- */

enum { LOGS = 2, ENTRIES = 600, RECORDS = 40, INDEXED = 900 };

static struct hash roots[LOGS];

static struct view
test_record(uint8_t out[700], uint32_t log, uint64_t leaf)
{
    fill(out, 700, 1u << 20 | log << 16 | leaf);
    return (struct view){out, 700};
}

static void
fill_store(const char *path)
{
    struct store *s = open_store(path);
    struct store_charter_key key = {text("net"), STORE_CHARTER_ROOT, 1};
    struct view rows[2] = {text("row one"), text("row two")};
    uint8_t bytes[700], salt[STORE_SALT_BYTES] = {7};
    struct hash hash;
    struct store_txn *t;
    uint32_t id;

    for (uint32_t log = 1; log <= LOGS; log++) {
        char origin[32];
        (void)snprintf(origin, sizeof origin, "n/%u/pub", log);
        t = begin_write(s);
        OK(store_log_create(t, text(origin), 0, 1, &id));
        OK(store_note_put(t, id, STORE_NOTE_HEAD, text(origin)));
        for (uint64_t leaf = 0; leaf < RECORDS; leaf++) {
            struct view record = test_record(bytes, log, leaf);
            sha256(record.bytes, record.count, &hash);
            OK(store_record_put(t, id, leaf, &hash, record));
        }
        OK(store_commit(t));
        OK(append_entries(s, id, log * 10000, ENTRIES, &roots[log - 1]));
    }
    t = begin_write(s);
    OK(store_charter_put(t, &key, text("root note"), rows, 2));
    OK(store_kv_put(t, 1, text("net"), text("name"), text("value")));
    OK(store_blob_put(t, text("blob"), &hash));
    OK(store_salt_put(t, 1, 5, salt, text("salted text")));
    OK(store_commit(t));
    OK(store_index_some(s, INDEXED));
    store_close(s);
}

enum outcome { RIGHT = 0, DETECTED = 1, MISSING = 2, WRONG = 3, UNSEEN = 4, STOPPED = 5 };

static enum outcome
worse(enum outcome a, enum outcome b)
{
    return a > b ? a : b;
}

/* What a status means where the bytes are there and right. */
static enum outcome
judge(enum status st, struct view got, struct view expected)
{
    if (st == STATUS_OK) {
        return got.count == expected.count &&
                       memcmp(got.bytes, expected.bytes, expected.count) == 0
                   ? RIGHT
                   : WRONG;
    }
    return st == STATUS_NOT_FOUND ? MISSING : DETECTED;
}

static enum outcome
read_log(struct store_txn *t, uint32_t log)
{
    struct hash proof[TREE_PROOF_HASHES_MAX], hash, leaf;
    struct store_log row;
    struct view got;
    uint8_t bytes[700], handle[TOKEN_BYTES];
    enum outcome all = RIGHT;
    enum status st;
    size_t count;
    char origin[32];

    (void)snprintf(origin, sizeof origin, "n/%u/pub", log);
    if ((st = store_log_find(t, text(origin), &row)) != STATUS_OK) {
        return st == STATUS_NOT_FOUND ? MISSING : DETECTED;
    }
    if (row.id != log || row.size != ENTRIES ||
        memcmp(&row.root, &roots[log - 1], sizeof row.root) != 0) {
        return WRONG;
    }
    st = store_note_get(t, log, STORE_NOTE_HEAD, &got);
    all = worse(all, judge(st, got, text(origin)));
    for (uint64_t i = 0; i < ENTRIES; i++) {
        struct view entry = test_entry(bytes, log * 10000 + i);
        st = store_entry_get(t, log, i, &got);
        /* Its size says that it is there. */
        all = worse(all, st == STATUS_NOT_FOUND ? WRONG : judge(st, got, entry));
        struct hits hits = {0};
        test_handle(handle, log * 10000 + i);
        st = store_index_find(t, handle, take_hit, &hits);
        if (st != STATUS_OK) {
            all = worse(all, DETECTED);
        } else if (hits.count != 1) {
            all = worse(all, hits.count == 0 ? MISSING : WRONG);
        } else if (hits.log[0] != log || hits.leaf[0] != i) {
            all = WRONG;
        }
        if (i % 23 != 0 && i != ENTRIES - 1) {
            continue; /* The rest reads whole tiles: now and then. */
        }
        tree_leaf_hash(entry.bytes, entry.count, &leaf);
        st = store_prove_inclusion(t, log, i, ENTRIES, &roots[log - 1], proof, &count);
        if (st == STATUS_OK && tree_check_inclusion(&roots[log - 1], ENTRIES, &leaf, i, proof,
                                                    count) != STATUS_OK) {
            all = worse(all, WRONG);
        }
        all = worse(all, st == STATUS_OK ? RIGHT : st == STATUS_NOT_FOUND ? WRONG : DETECTED);
        st = store_leaf_get(t, log, i, &hash);
        got = (struct view){hash.bytes, HASH_BYTES};
        all = worse(all, st == STATUS_NOT_FOUND
                             ? WRONG
                             : judge(st, got, (struct view){leaf.bytes, HASH_BYTES}));
    }
    for (uint64_t i = 0; i < RECORDS; i++) {
        struct view record = test_record(bytes, log, i);
        sha256(record.bytes, record.count, &hash);
        st = store_record_get(t, log, i, &hash, &got);
        all = worse(all, judge(st, got, record));
    }
    return all;
}

static enum outcome
read_rest(struct store_txn *t)
{
    struct store_charter_key key = {text("net"), STORE_CHARTER_ROOT, UINT64_MAX};
    uint8_t salt[STORE_SALT_BYTES], want[STORE_SALT_BYTES] = {7};
    enum outcome all = RIGHT;
    struct view got;
    struct hash hash;
    uint32_t rows;
    enum status st;

    st = store_charter_newest(t, &key, &got, &rows);
    all = worse(all, judge(st, got, text("root note")));
    if (st == STATUS_OK) {
        all = worse(all, rows == 2 && key.version == 1 ? RIGHT : WRONG);
        st = store_charter_row(t, &key, 1, &got);
        all = worse(all, st == STATUS_NOT_FOUND ? WRONG : judge(st, got, text("row two")));
    }
    st = store_kv_get(t, 1, text("net"), text("name"), &got);
    all = worse(all, judge(st, got, text("value")));
    sha256((const uint8_t *)"blob", 4, &hash);
    st = store_blob_get(t, &hash, &got);
    all = worse(all, judge(st, got, text("blob")));
    st = store_salt_get(t, 1, 5, salt, &got);
    all = worse(all, judge(st, got, text("salted text")));
    if (st == STATUS_OK) {
        all = worse(all, memcmp(salt, want, sizeof salt) == 0 ? RIGHT : WRONG);
    }
    return all;
}

static bool
test_sealed_of(void *context, struct view origin, struct view entry, uint8_t sealed[HASH_BYTES])
{
    uint32_t log = origin.bytes[2] == '1' ? 1 : 2;
    uint8_t bytes[700];
    struct hash hash;

    (void)context;
    for (uint64_t i = 0; i < RECORDS; i++) {
        struct view other = test_entry(bytes, log * 10000 + i);
        if (entry.count == other.count && memcmp(entry.bytes, other.bytes, entry.count) == 0) {
            struct view record = test_record(bytes, log, i);
            sha256(record.bytes, record.count, &hash);
            memcpy(sealed, hash.bytes, HASH_BYTES);
            return true;
        }
    }
    return false;
}

/* In the child. */
static enum outcome
read_all(const char *path)
{
    struct store_options options = {.handle_of = test_handle_of};
    struct store_check_options check = {.sealed_of = test_sealed_of};
    struct store_check_totals totals;
    struct store_txn *t;
    struct store *s;
    enum outcome all;
    enum status st;

    if (store_open(path, &options, &s) != STATUS_OK) {
        return DETECTED;
    }
    if (store_begin_read(s, &t) != STATUS_OK) {
        return DETECTED;
    }
    all = worse(read_log(t, 1), worse(read_log(t, 2), read_rest(t)));
    store_abort(t);
    st = store_check(s, &check, &totals);
    if (all != RIGHT && all != WRONG && st == STATUS_OK) {
        all = totals.entries == LOGS * ENTRIES && totals.records == LOGS * RECORDS &&
                      totals.blobs == 1 && totals.salts == 1
                  ? UNSEEN
                  : all; /* a whole older store: the totals tell */
    }
    store_close(s);
    return all;
}

static uint8_t *image;
static size_t image_bytes;
static unsigned outcomes[STOPPED + 1];

/* Write the damaged image into a home of its own and read it in a child. */
static enum outcome
try_image(size_t bytes)
{
    struct test_dir dir = dir_make();
    struct rlimit none = {0, 0};
    char path[64];
    int done;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/data.mdb", dir.path);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(image, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(2); /* LMDB's assertions */
        static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
        for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
            (void)signal(faults[i], SIG_DFL); /* cmocka would go on from them */
        }
        (void)alarm(20);
        _exit(10 + (int)read_all(dir.path));
    }
    assert_int_equal(waitpid(child, &done, 0), child);
    dir_remove(&dir);
    enum outcome o = STOPPED;
    if (WIFEXITED(done)) { /* A sanitizer leaves with another code. */
        assert_in_range(WEXITSTATUS(done), 10, 10 + STOPPED);
        o = (enum outcome)(WEXITSTATUS(done) - 10);
    }
    if (WIFSIGNALED(done) && WTERMSIG(done) == SIGALRM) {
        o = WRONG; /* a reader that never ends */
    }
    outcomes[o]++;
    return o;
}

static void
tell(const char *what)
{
    print_message("%s: %u right, %u detected, %u missing (and found by check), %u stopped\n",
                  what, outcomes[RIGHT], outcomes[DETECTED], outcomes[MISSING],
                  outcomes[STOPPED]);
    assert_int_equal(outcomes[WRONG], 0);
    assert_int_equal(outcomes[UNSEEN], 0);
    memset(outcomes, 0, sizeof outcomes);
}

static int
load_image(void **state)
{
    struct test_dir dir = dir_make();
    char path[64];
    struct stat st;
    FILE *f;

    (void)state;
    fill_store(dir.path);
    (void)snprintf(path, sizeof path, "%s/data.mdb", dir.path);
    if (stat(path, &st) != 0 || (f = fopen(path, "r")) == NULL ||
        (image = malloc((size_t)st.st_size)) == NULL) {
        return -1;
    }
    image_bytes = fread(image, 1, (size_t)st.st_size, f);
    (void)fclose(f);
    dir_remove(&dir);
    return image_bytes == (size_t)st.st_size ? 0 : -1;
}

static int
free_image(void **state)
{
    (void)state;
    free(image);
    return 0;
}

static void
test_no_flipped_bit_makes_a_wrong_answer(void **state)
{
    const char *more = getenv("HUREN_TEST_FLIPS");
    unsigned long flips = more != NULL ? strtoul(more, NULL, 10) : 500;
    (void)state;

    assert_int_equal(try_image(image_bytes), RIGHT);
    for (unsigned long i = 0; i < flips; i++) {
        uint64_t bit = mix(i) % (image_bytes * 8);
        image[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum outcome o = try_image(image_bytes);
        image[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (o == WRONG || o == UNSEEN) {
            print_message("flip %lu: bit %" PRIu64 " of page %" PRIu64 ": %s\n", i, bit % 32768,
                          bit / 32768, o == WRONG ? "wrong" : "unseen");
        }
    }
    tell("flips");
}

/* A key with a flipped bit stands in the wrong place, and could hide itself
 * and send the search for others astray: both must be noticed, not missed. */
static void
test_a_flipped_bit_in_an_index_key_hides_nothing(void **state)
{
    unsigned tried = 0;
    (void)state;

    for (uint64_t n = 0; n < 40; n++) {
        uint64_t leaf = mix(n) % ENTRIES;
        uint8_t key[TOKEN_BYTES + 12] = {0};
        test_handle(key, 10000 + leaf);
        key[TOKEN_BYTES + 3] = 1; /* log 1, all of which is indexed */
        key[sizeof key - 2] = (uint8_t)(leaf >> 8);
        key[sizeof key - 1] = (uint8_t)leaf;
        for (size_t at = 0; at + sizeof key <= image_bytes; at++) {
            if (memcmp(image + at, key, sizeof key) != 0) {
                continue;
            }
            size_t bit = n < 20 ? mix(n + 9) % 8 : mix(n + 9) % (8 * sizeof key);
            image[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
            enum outcome o = try_image(image_bytes);
            image[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_true(o == DETECTED || o == RIGHT); /* right: an old copy of the page */
            tried += o == DETECTED;
        }
    }
    assert_true(tried >= 40);
    tell("flipped keys");
}

static void
test_no_zeroed_page_makes_a_wrong_answer(void **state)
{
    uint8_t page[4096];
    (void)state;

    for (size_t at = 0; at + sizeof page <= image_bytes;
         at += sizeof page * (1 + image_bytes / sizeof page / 100)) {
        memcpy(page, image + at, sizeof page);
        memset(image + at, 0, sizeof page);
        enum outcome o = try_image(image_bytes);
        memcpy(image + at, page, sizeof page);
        if (o == WRONG || o == UNSEEN) {
            print_message("zeroed page %zu: %s\n", at / 4096, o == WRONG ? "wrong" : "unseen");
        }
    }
    tell("zeroed pages");
}

static void
test_no_cut_file_makes_a_wrong_answer(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        enum outcome o = try_image((size_t)(mix(i + 77) % image_bytes));
        if (o == WRONG || o == UNSEEN) {
            print_message("cut %u: %s\n", i, o == WRONG ? "wrong" : "unseen");
        }
    }
    tell("cuts");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acknowledged_entries_survive_sigkill),
        cmocka_unit_test(test_no_flipped_bit_makes_a_wrong_answer),
        cmocka_unit_test(test_a_flipped_bit_in_an_index_key_hides_nothing),
        cmocka_unit_test(test_no_zeroed_page_makes_a_wrong_answer),
        cmocka_unit_test(test_no_cut_file_makes_a_wrong_answer),
    };
    return cmocka_run_group_tests_name("store_crash", tests, load_image, free_image);
}
