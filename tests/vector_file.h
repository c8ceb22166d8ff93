/* vector_file.h: JSON test vectors, ours and the shared ones.  For tests only:
 * anything wrong with a file fails the running test. */
#ifndef TESTS_VECTOR_FILE_H
#define TESTS_VECTOR_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "proto/view.h"

/* Our own vectors, tests/vectors/<name>.json: the array `cases`.  The caller
 * frees `*root` with json_decref. */
static inline json_t *
vector_own(const char *name, json_t **root)
{
    char path[1024];
    json_error_t error;
    json_t *cases;

    (void)snprintf(path, sizeof path, "%s/tests/vectors/%s.json", HR_SOURCE_DIR, name);
    *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (*root == NULL) {
        fail_msg("%s: line %d: %s", path, error.line, error.text);
    }
    cases = json_object_get(*root, "cases");
    assert_true(json_array_size(cases) > 0);
    return cases;
}

/* Published vectors, `name` below vectors/ of the shared folder; the test is
 * skipped, loudly, where they are not. */
static inline json_t *
vector_shared(const char *name)
{
    char path[1024];
    json_error_t error;
    const char *folder = getenv("HUREN_SHARED");
    json_t *root;

    (void)snprintf(path, sizeof path, "%s/vectors/%s",
                   folder != NULL ? folder : HR_SOURCE_DIR "/../shared", name);
    root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        (void)fprintf(stderr, "SKIPPED: %s: %s\n", path, error.text);
        skip();
    }
    return root;
}

static inline const char *
vector_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL) {
        fail_msg("no text `%s`", key);
    }
    return text;
}

static inline uint64_t
vector_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value)) {
        fail_msg("no number `%s`", key);
    }
    return (uint64_t)json_integer_value(value);
}

/* Decode the hex member `key` into `out`. */
static inline struct view
vector_hex(const json_t *object, const char *key, uint8_t *out, size_t max)
{
    const char *hex = vector_text(object, key);
    size_t count = 0;
    if (sodium_hex2bin(out, max, hex, strlen(hex), NULL, &count, NULL) != 0) {
        fail_msg("`%s` is not hex of at most %zu bytes", key, max);
    }
    return (struct view){out, count};
}

/* The same, of exactly `count` bytes. */
static inline void
vector_bytes(const json_t *object, const char *key, uint8_t *out, size_t count)
{
    assert_int_equal(vector_hex(object, key, out, count).count, count);
}

/* Compare bytes with the hex member `key`. */
static inline void
vector_expect(const json_t *object, const char *key, const uint8_t *bytes, size_t count)
{
    char *hex = malloc(count * 2 + 1);
    assert_non_null(hex);
    (void)sodium_bin2hex(hex, count * 2 + 1, bytes, count);
    assert_string_equal(hex, vector_text(object, key));
    free(hex);
}

/* For a group's setup. */
static inline int
vector_setup(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

#endif
