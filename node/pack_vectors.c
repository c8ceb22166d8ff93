#include "node/pack_vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/policy_json.h"

/* Say which member differs, as short JSON. */
static void
say_difference(const char *key, const json_t *got, const json_t *expected, char *out,
               size_t max)
{
    size_t bytes;
    char *a = got == NULL ? NULL : policy_json_canonical(got, &bytes);
    char *b = policy_json_canonical(expected, &bytes);
    snprintf(out, max, "%s is %.120s where %.120s is expected", key, a == NULL ? "missing" : a,
             b == NULL ? "?" : b);
    free(a);
    free(b);
}

/* The check that differs, when the checks do. */
static void
explain(const char *key, const json_t *got, const json_t *expected, char *out, size_t max)
{
    if (json_is_object(expected) && json_is_object(got)) {
        void *i = json_object_iter((json_t *)(uintptr_t)expected);
        for (; i != NULL; i = json_object_iter_next((json_t *)(uintptr_t)expected, i)) {
            const char *name = json_object_iter_key(i);
            const json_t *value = json_object_iter_value(i);
            if (!json_equal(json_object_get(got, name), value)) {
                say_difference(name, json_object_get(got, name), value, out, max);
                return;
            }
        }
    }
    say_difference(key, got, expected, out, max);
}

static enum status
run_one(const struct hr_pack *pack, const struct hr_catalog *catalog, const json_t *vector,
        char *why, size_t max)
{
    json_t *answer = NULL;
    json_t *expected = json_object_get(vector, "expect");
    const json_t *input = json_object_get(vector, "input");
    if (!json_is_object(input) || !json_is_object(expected) ||
        json_object_size(expected) == 0) {
        snprintf(why, max, "is no vector: input and expect are needed");
        return STATUS_MALFORMED;
    }
    enum status st = policy_decide_pack(pack, catalog, input, &answer);
    for (void *i = json_object_iter(expected); st == STATUS_OK && i != NULL;
         i = json_object_iter_next(expected, i)) {
        const char *key = json_object_iter_key(i);
        if (!json_equal(json_object_get(answer, key), json_object_iter_value(i))) {
            explain(key, json_object_get(answer, key), json_object_iter_value(i), why, max);
            st = STATUS_REFUSED;
        }
    }
    json_decref(answer);
    return st;
}

enum status
pack_vectors_run(const struct hr_pack *pack, const struct hr_catalog *catalog,
                 struct view vectors, const char *name, size_t *count, char *error,
                 size_t error_bytes)
{
    size_t line = 0;
    *count = 0;
    for (size_t at = 0; at < vectors.count;) {
        char why[400] = "";
        const char *start = (const char *)vectors.bytes + at;
        const char *newline = memchr(start, '\n', vectors.count - at);
        size_t size = newline == NULL ? vectors.count - at : (size_t)(newline - start);
        json_t *vector;
        enum status st = policy_json_parse(start, size, &vector, why, sizeof why);
        st = st == STATUS_OK ? run_one(pack, catalog, vector, why, sizeof why) : st;
        json_decref(vector);
        line++;
        at += size + 1;
        if (st != STATUS_OK) {
            snprintf(error, error_bytes, "%s:%zu: %s", name, line,
                     why[0] != '\0' ? why : status_text(st));
            return st;
        }
        ++*count;
    }
    if (*count < PACK_VECTORS_MIN) {
        snprintf(error, error_bytes, "%s:%zu: a pack needs at least %d vectors", name, line + 1,
                 PACK_VECTORS_MIN);
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}
