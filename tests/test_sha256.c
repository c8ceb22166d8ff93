/* Goal: SHA-256 is right whatever the number of threads that hash at one time.
 * Method: more threads than there are contexts, each compares every result with
 * libsodium's.  Run under TSan, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sodium.h>

#include "crypto/sha256.h"

enum { THREADS = 24, ROUNDS = 3000 };

/* Return NULL, or the argument when a result differed: cmocka's asserts must not
 * be called outside the main thread. */
static void *
hash_away(void *arg)
{
    uint8_t data[300];

    memset(data, *(const uint8_t *)arg, sizeof data);
    for (size_t i = 0; i < ROUNDS; i++) {
        struct view items[2] = {{data + 10, i % 280}, {data, i % 7}};
        struct hash got, want, many[2];
        data[i % sizeof data]++;
        sha256_3((struct view){data, 10}, items[0], items[1], &got);
        sha256_many((struct view){data, 10}, items, 2, many);
        crypto_hash_sha256(want.bytes, data, 10 + i % 280);
        if (!hash_equal(&many[0], &want)) {
            return arg;
        }
        sha256(data, 10 + i % 280, &got);
        if (!hash_equal(&got, &want)) {
            return arg;
        }
    }
    return NULL;
}

static void
test_many_threads_hash_at_one_time(void **state)
{
    pthread_t threads[THREADS];
    uint8_t seeds[THREADS];
    void *result;

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        seeds[i] = (uint8_t)i;
        assert_int_equal(pthread_create(&threads[i], NULL, hash_away, &seeds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads_hash_at_one_time),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
