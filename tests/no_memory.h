/* no_memory.h: run something again and again while its allocations fail one by one
 * (RELIABILITY F7); the world that it runs in.  Include after cmocka.h.
 *
 * In a build with a sanitizer its malloc comes first and nothing fails: then each runs as it
 * is, and that is said. */
#ifndef TESTS_NO_MEMORY_H
#define TESTS_NO_MEMORY_H

#include <jansson.h>
#include <limits.h>

#include "proto/jsonwhole.h"
#include "tests/inject/fail_alloc.h"
#include "tests/world.h"

static struct world *w;
static struct hash seen; /* of everything that a run gave */
static long tried;
static bool grows; /* what succeeds may keep memory */

/* ---- the trial ---- */

static inline void
give(const void *bytes, size_t count)
{
    fail_alloc_spare(true);
    sha256_2((struct view){seen.bytes, HASH_BYTES}, (struct view){bytes, count}, &seen);
    fail_alloc_spare(false);
}

static inline void
give_text(const char *s)
{
    give(s, strlen(s));
}

static inline void
give_json(const json_t *o)
{
    fail_alloc_spare(true);
    char *line = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    assert_non_null(line);
    give_text(line);
    free(line);
    fail_alloc_spare(false);
}

/* libcrypto lets go of what its context holds when it cannot get more: back to before. */
static inline void
settle(void)
{
    struct hash unused;
    sha256((const uint8_t *)"", 0, &unused);
}

/* Let each allocation of `run` fail.  `bad`: what it may say instead of STATUS_NO_MEMORY, for
 * libcyaml and libyaml do not tell one from the other. */
static inline void
try_each(const char *name, enum status (*run)(void), enum status bad)
{
    for (int warm = 0; warm < 2; warm++) { /* what a library makes once is no leak */
        memset(&seen, 0, sizeof seen);
        OK(run());
    }
    struct hash whole = seen;
    for (int forever = 0; forever < 2; forever++) {
        long failed = 1;
        for (long n = 1; failed > 0; n++) {
            memset(&seen, 0, sizeof seen);
            long live = fail_alloc_live();
            fail_alloc_arm(n, forever == 1);
            enum status st = run();
            failed = fail_alloc_disarm();
            settle();
            if (fail_alloc_live() != live && !(grows && st == STATUS_OK)) {
                fail_msg("%s: allocation %ld failed: %ld are not given back", name, n,
                         fail_alloc_live() - live);
            }
            if (st == STATUS_OK ? !hash_equal(&seen, &whole)
                                : failed == 0 || (st != STATUS_NO_MEMORY && st != bad)) {
                fail_msg("%s: allocation %ld failed: %s", name, n,
                         st == STATUS_OK ? "another answer" : status_text(st));
            }
            tried += failed > 0;
        }
    }
}

static inline int
no_memory_setup(void **state)
{
    (void)state;
    (void)json_whole_mark();
    w = calloc(1, sizeof *w);
    world_open(w, NULL);
    fail_alloc_arm(1, true);
    settle(); /* libcrypto keeps a place for errors, from the first one on */
    (void)fail_alloc_disarm();
    return 0;
}

static inline bool
can_fail(void)
{
    fail_alloc_arm(1, false);
    void *volatile p = malloc(1);
    free(p);
    return fail_alloc_disarm() == 1;
}

static inline int
no_memory_teardown(void **state)
{
    (void)state;
    if (!can_fail()) {
        print_message("SKIPPED: malloc is not ours here: NO ALLOCATION FAILED\n");
        tried = LONG_MAX;
    }
    world_close(w);
    free(w);
    if (tried < LONG_MAX) {
        print_message("%ld allocations failed\n", tried);
    }
    return tried > 500 ? 0 : -1;
}

#endif
