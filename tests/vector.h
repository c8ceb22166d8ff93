/* vector.h: find and load the published test vectors, which are not part of the
 * repository.  They lie in ../shared/vectors beside the source tree, or where the
 * environment variable HUREN_SHARED says.  A test whose vectors are absent says so
 * loudly and is skipped.  Include after cmocka.h. */
#ifndef TESTS_VECTOR_H
#define TESTS_VECTOR_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "crypto/sha256.h"

enum { VECTOR_PATH_MAX = 1024, VECTOR_FILE_BYTES_MAX = 1 << 20 };

/* The path of shared/vectors/`name`. */
static inline void
vector_path(const char *name, char out[VECTOR_PATH_MAX])
{
    const char *shared = getenv("HUREN_SHARED");
    int n = shared != NULL ? snprintf(out, VECTOR_PATH_MAX, "%s/vectors/%s", shared, name)
                           : snprintf(out, VECTOR_PATH_MAX, "%s/../shared/vectors/%s",
                                      HR_SOURCE_DIR, name);
    assert_true(n > 0 && n < VECTOR_PATH_MAX);
}

/* Read a whole file into a buffer that the caller frees; skip the test if there
 * is none. */
static inline uint8_t *
vector_file(const char *name, size_t *count)
{
    char path[VECTOR_PATH_MAX];
    uint8_t *bytes = malloc(VECTOR_FILE_BYTES_MAX);
    FILE *f;

    vector_path(name, path);
    f = fopen(path, "rb");
    if (f == NULL) {
        free(bytes);
        print_message("SKIPPED: no vectors at %s\n", path);
        skip();
        abort(); /* skip() does not come back */
    }
    assert_non_null(bytes);
    *count = fread(bytes, 1, VECTOR_FILE_BYTES_MAX, f);
    assert_true(*count < VECTOR_FILE_BYTES_MAX);
    fclose(f);
    return bytes;
}

/* Load a JSON file; the caller calls json_decref. */
static inline json_t *
vector_json(const char *name)
{
    size_t count;
    uint8_t *bytes = vector_file(name, &count);
    json_t *j = json_loadb((const char *)bytes, count, 0, NULL);

    if (j == NULL) { /* A number over 2^63 - 1 does not fit jansson's integers. */
        j = json_loadb((const char *)bytes, count, JSON_DECODE_INT_AS_REAL, NULL);
    }
    free(bytes);
    assert_non_null(j);
    return j;
}

static inline const char *
vector_string(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    assert_non_null(s);
    return s;
}

static inline uint64_t
vector_number(const json_t *object, const char *key)
{
    const json_t *j = json_object_get(object, key);

    assert_true(json_is_number(j));
    if (json_is_real(j)) {
        double d = json_real_value(j);
        return d >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)d;
    }
    return (uint64_t)json_integer_value(j);
}

static inline bool
vector_bool(const json_t *object, const char *key)
{
    assert_true(json_is_boolean(json_object_get(object, key)));
    return json_is_true(json_object_get(object, key));
}

/* Decode hex or base64 text; more than `max` bytes fail the test. */
static inline size_t
vector_hex(const char *text, uint8_t *out, size_t max)
{
    size_t n;

    assert_int_equal(sodium_hex2bin(out, max, text, strlen(text), NULL, &n, NULL), 0);
    return n;
}

static inline size_t
vector_base64(const char *text, uint8_t *out, size_t max)
{
    size_t n;

    assert_int_equal(sodium_base642bin(out, max, text, strlen(text), NULL, &n, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    return n;
}

static inline struct hash
vector_hash(const char *hex)
{
    struct hash h;

    assert_int_equal(vector_hex(hex, h.bytes, sizeof h.bytes), HASH_BYTES);
    return h;
}

#endif
