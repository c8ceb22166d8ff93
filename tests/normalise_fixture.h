/* normalise_fixture.h: run the normaliser over bytes and look at what came out,
 * as the JSON that `huren import --dry-run --json` prints. */
#ifndef TESTS_NORMALISE_FIXTURE_H
#define TESTS_NORMALISE_FIXTURE_H

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/codemap.h"
#include "node/embedded.h"
#include "node/normalise.h"
#include "node/normalise_print.h"
#include "proto/identifier.h"
#include "proto/text.h"

struct outcome {
    json_t *reports;  /* array of what --json prints */
    json_t *problems; /* array of lines */
    json_t *raw;      /* array of the bytes of refused records, as far as UTF-8 */
    struct normalise_counts counts;
};

static inline enum status
fixture_report(void *user, const struct normalised *n)
{
    struct outcome *o = user;
    char *text = normalised_json(n);
    assert_non_null(text);
    json_t *report = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(report);
    free(text);
    json_object_set_new(report, "withdraw_reason", json_integer(n->withdraw_reason));
    json_array_append_new(o->reports, report);
    /* What is published must pack and unpack. */
    size_t size = hr__report__get_packed_size(n->report);
    uint8_t *packed = malloc(size + 1);
    assert_int_equal(hr__report__pack(n->report, packed), size);
    Hr__Report *again = hr__report__unpack(NULL, size, packed);
    assert_non_null(again);
    assert_int_equal(again->n_items, n->report->n_items);
    hr__report__free_unpacked(again, NULL);
    free(packed);
    return STATUS_OK;
}

static inline enum status
fixture_problem(void *user, const struct problem *p)
{
    struct outcome *o = user;
    char line[1200];
    static const char *const kinds[] = {"refused: ", "ignored: ", "warning: "};
    size_t n = (size_t)snprintf(line, sizeof line, "%s", kinds[p->kind]);
    problem_describe(p, line + n, sizeof line - n);
    json_array_append_new(o->problems, json_string(line));
    if (p->kind == PROBLEM_REFUSED) {
        json_array_append_new(o->raw, json_stringn((const char *)p->raw.bytes, p->raw.count));
    }
    return STATUS_OK;
}

/* `map` is the text of a code map, or NULL. */
static inline struct outcome
normalise_view(struct view bytes, const char *map)
{
    struct outcome o = {json_array(), json_array(), json_array(), {0}};
    struct codemap *m = NULL;
    struct codemap_error error;
    assert_int_equal(codemap_new(embedded_find("policy/catalog/catalog.csv")->data, &m),
                     STATUS_OK);
    if (map != NULL && codemap_add(m, text_view(map), &error) != STATUS_OK) {
        fail_msg("code map row %u: %s", error.row, error.reason);
    }
    const struct normalise_options options = {
        .map = m, .institution = "h1", .offset_min = 480, .today = IDENTIFIER_ANY_DAY};
    const struct normalise_handler handler = {&o, fixture_report, fixture_problem};
    assert_int_equal(normalise_bytes(&options, "file", bytes, &handler, &o.counts), STATUS_OK);
    assert_int_equal(o.counts.reports, json_array_size(o.reports));
    codemap_free(m);
    return o;
}

static inline void
outcome_free(struct outcome *o)
{
    json_decref(o->reports);
    json_decref(o->problems);
    json_decref(o->raw);
}

/* A text at a path as "0.items.2.value" in the reports; "" when it is not there. */
static inline const char *
text_of(const struct outcome *o, const char *path)
{
    const json_t *at = o->reports;
    char part[64];
    while (*path != '\0') {
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(part))
                               : json_object_get(at, part);
        path += n + (path[n] == '.');
    }
    return json_is_string(at) ? json_string_value(at) : json_is_true(at) ? "true" : "";
}

static inline size_t
count_of(const struct outcome *o, size_t report, const char *list)
{
    return json_array_size(json_object_get(json_array_get(o->reports, report), list));
}

/* Return whether one of the texts of an array contains `part`. */
static inline bool
any_has(const json_t *list, const char *part)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text != NULL && strstr(text, part) != NULL) {
            return true;
        }
    }
    return false;
}

static inline bool
warned(const struct outcome *o, size_t report, const char *part)
{
    return any_has(json_object_get(json_array_get(o->reports, report), "warnings"), part);
}

#define EXPECT(o, path, want)                                                                  \
    do {                                                                                       \
        if (strcmp(text_of(o, path), want) != 0) {                                             \
            fail_msg("%s is '%s', not '%s'", path, text_of(o, path), want);                    \
        }                                                                                      \
    } while (0)

static inline struct outcome
run(const char *text)
{
    return normalise_view(text_view(text), NULL);
}

#endif
