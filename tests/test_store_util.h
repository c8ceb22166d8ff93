/* What the store tests share: a fresh directory, entries with handles. */
#ifndef TESTS_TEST_STORE_UTIL_H
#define TESTS_TEST_STORE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/charter.h"
#include "store/check.h"
#include "store/index.h"
#include "store/kv.h"
#include "store/log.h"
#include "store/store.h"

#define OK(x) assert_int_equal((x), STATUS_OK)

enum { TEST_ENTRY_BYTES = 110 };

struct test_dir {
    char path[32];
};

static inline struct test_dir
dir_make(void)
{
    struct test_dir d = {"/tmp/hrstoreXXXXXX"};

    assert_non_null(mkdtemp(d.path));
    return d;
}

static inline void
dir_remove(const struct test_dir *d)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "owner"};
    char path[64];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", d->path, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(d->path);
}

static inline struct view
text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

/* An entry that begins with 'P' has its bytes 1 to 16 as handle. */
static inline bool
test_handle_of(void *context, struct view origin, struct view entry,
               uint8_t handle[TOKEN_BYTES])
{
    (void)context;
    (void)origin;
    if (entry.count < 1 + TOKEN_BYTES || entry.bytes[0] != 'P') {
        return false;
    }
    memcpy(handle, entry.bytes + 1, TOKEN_BYTES);
    return true;
}

/* SplitMix64: the same bytes for the same number, spread evenly. */
static inline uint64_t
mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline void
fill(uint8_t *out, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)(mix(seed + i / 8) >> (8 * (i % 8)));
    }
}

/* The entry `n` of a pretended log: 'P', handle, filling. */
static inline struct view
test_entry(uint8_t out[TEST_ENTRY_BYTES], uint64_t n)
{
    fill(out, TEST_ENTRY_BYTES, mix(n) << 8);
    out[0] = 'P';
    return (struct view){out, TEST_ENTRY_BYTES};
}

static inline void
test_handle(uint8_t out[TOKEN_BYTES], uint64_t n)
{
    uint8_t entry[TEST_ENTRY_BYTES];

    (void)test_entry(entry, n);
    memcpy(out, entry + 1, TOKEN_BYTES);
}

static inline struct store *
open_store(const char *path)
{
    struct store_options options = {.handle_of = test_handle_of};
    struct store *s;

    OK(store_open(path, &options, &s));
    return s;
}

static inline struct store_txn *
begin_write(struct store *s)
{
    struct store_txn *t;

    OK(store_begin_write(s, STORE_PUBLISH, 1 << 16, &t));
    return t;
}

static inline struct store_txn *
begin_read(struct store *s)
{
    struct store_txn *t;

    OK(store_begin_read(s, &t));
    return t;
}

/* Append test entries [from, from + count), numbered by `n0`, in one commit. */
static inline enum status
append_entries(struct store *s, uint32_t log, uint64_t n0, size_t count, struct hash *root)
{
    uint8_t(*bytes)[TEST_ENTRY_BYTES] = malloc(count * sizeof *bytes + 1);
    struct view *entries = malloc(count * sizeof *entries + 1);
    struct store_txn *t;
    enum status st;

    assert_non_null(bytes);
    assert_non_null(entries);
    for (size_t i = 0; i < count; i++) {
        entries[i] = test_entry(bytes[i], n0 + i);
    }
    st = store_begin_write(s, STORE_PUBLISH, count * 250, &t);
    if (st == STATUS_OK) {
        st = store_log_append(t, log, entries, count, NULL, root);
        if (st == STATUS_OK) {
            st = store_commit(t);
        } else {
            store_abort(t);
        }
    }
    free(bytes);
    free(entries);
    return st;
}

/* Run `fn` in a child; its value is the exit code, or -signal. */
static inline int
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

static inline void
expect_clean(struct store *s)
{
    struct store_check_options options = {0};
    struct store_check_totals totals;

    OK(store_check(s, &options, &totals));
}

struct hits {
    size_t count;
    uint32_t log[64];
    uint64_t leaf[64];
};

static inline bool
take_hit(void *context, uint32_t log, uint64_t leaf)
{
    struct hits *h = context;

    if (h->count == 64) {
        return false;
    }
    h->log[h->count] = log;
    h->leaf[h->count++] = leaf;
    return true;
}

#endif
