/* Goal: whatever comes in as JSON, a decision comes out, and what cannot be
 * read is unknown; hostile text is refused in one line.
 * Method: members of a good input are replaced by every kind of wrong value;
 * dates and times at their edges; texts that are no JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/policy_json.h"

static struct policy_set *set;

static int
load(void **state)
{
    (void)state;
    char error[256] = "";
    return policy_set_load_embedded(&set, error, sizeof error) == STATUS_OK ? 0 : -1;
}

static int
unload(void **state)
{
    (void)state;
    policy_set_free(set);
    return 0;
}

/* The first vector of a pack is its best case. */
static json_t *
best_case(const char *pack)
{
    size_t index = policy_set_find(set, pack, strlen(pack));
    struct view vectors = policy_set_vectors(set, index);
    const uint8_t *newline = memchr(vectors.bytes, '\n', vectors.count);
    assert_non_null(newline);
    json_t *vector =
        json_loadb((const char *)vectors.bytes, (size_t)(newline - vectors.bytes), 0, NULL);
    json_t *input = json_deep_copy(json_object_get(vector, "input"));
    json_decref(vector);
    return input;
}

/* Decide and keep: the verdict and, where asked, the value of a check. */
static void
assert_decided(const json_t *input, const char *verdict, const char *check, const char *value)
{
    json_t *out = NULL;
    assert_int_equal(policy_decide_object(set, input, &out), STATUS_OK);
    assert_non_null(out);
    if (check != NULL) {
        const json_t *checks = json_object_get(out, "checks");
        assert_string_equal(json_string_value(json_object_get(checks, check)), value);
    }
    if (verdict != NULL) {
        assert_string_equal(json_string_value(json_object_get(out, "verdict")), verdict);
    }
    json_decref(out);
}

/* Every member, at every depth, replaced by every kind of value: a decision
 * each time, and never a stronger one than in the best case. */
static size_t
replace_everywhere(json_t *root, json_t *at)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "\"\"",
                                         "\"\\u0000\"",
                                         "-1",
                                         "1.5",
                                         "[]",
                                         "{}",
                                         "[null]",
                                         "[[]]",
                                         "[{}]",
                                         "9007199254740993",
                                         "\"9999-99-99\"",
                                         "\"9999-12-31T23:59:60+23:59\"",
                                         "\"0000-01-01T00:00:00-23:59\"",
                                         "\"2025H3\""};
    size_t decided = 0;
    void *next;
    for (void *i = json_object_iter(at); i != NULL; i = next) {
        const char *key = json_object_iter_key(i);
        json_t *old = json_incref(json_object_iter_value(i));
        next = json_object_iter_next(at, i);
        if (strcmp(key, "pack") == 0) {
            json_decref(old);
            continue;
        }
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            json_object_set_new(at, key,
                                json_loads(values[v], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
            assert_decided(root, NULL, NULL, NULL);
            decided++;
        }
        json_object_set_new(at, key, old);
        if (json_is_object(old)) {
            decided += replace_everywhere(root, old);
        } else if (json_is_array(old) && json_is_object(json_array_get(old, 0))) {
            decided += replace_everywhere(root, json_array_get(old, 0));
        }
        next = json_object_iter_next(at, json_object_iter_at(at, key));
    }
    return decided;
}

static void
test_every_member_may_hold_anything(void **state)
{
    (void)state;
    static const char *const packs[] = {"shanxi-2021", "chuanyu-2022", "hunan-2025",
                                        "hubei-2023", "taiyuan-2024"};
    size_t decided = 0;
    for (size_t i = 0; i < 5; i++) {
        json_t *input = best_case(packs[i]);
        decided += replace_everywhere(input, input);
        json_decref(input);
    }
    printf("%zu decisions\n", decided);
    assert_true(decided > 3000);
}

static void
test_an_input_with_nothing_but_a_pack_is_all_unknown(void **state)
{
    (void)state;
    json_t *input = json_pack("{s:s}", "pack", "hunan-2025");
    json_t *out = NULL;
    assert_int_equal(policy_decide_object(set, input, &out), STATUS_OK);
    assert_string_equal(json_string_value(json_object_get(out, "verdict")), "may");
    assert_string_equal(json_string_value(json_object_get(out, "at_best")), "must");
    assert_string_equal(json_string_value(json_object_get(out, "default")), "ask");
    /* Each unknown check is named with what would settle it. */
    const json_t *unknown = json_object_get(out, "unknown");
    assert_true(json_array_size(unknown) > 10);
    for (size_t i = 0; i < json_array_size(unknown); i++) {
        const char *check = json_string_value(json_array_get(unknown, i));
        const json_t *settle = json_object_get(json_object_get(out, "settle"), check);
        assert_true(json_string_length(json_object_get(settle, "zh")) > 3);
        assert_true(json_string_length(json_object_get(settle, "en")) > 3);
        assert_non_null(json_object_get(json_object_get(out, "rules"), check));
    }
    json_decref(out);
    json_decref(input);
}

static void
test_critical_corrected_preliminary_or_doubtful_is_never_preselected(void **state)
{
    (void)state;
    static const struct {
        const char *member, *value, *expected;
    } cases[] = {
        {NULL, NULL, "recognize"},         {"critical", "true", "ask"},
        {"critical", "null", "ask"},       {"status", "\"corrected\"", "ask"},
        {"status", "null", "ask"},         {"status", "\"preliminary\"", "ask"},
        {"in_doubt", "true", "ask"},       {"in_doubt", "false", "recognize"},
        {"in_doubt", "null", "recognize"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *input = best_case("hubei-2023");
        json_t *out = NULL;
        if (cases[i].member != NULL) {
            json_object_set_new(json_object_get(input, "result"), cases[i].member,
                                json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        }
        assert_int_equal(policy_decide_object(set, input, &out), STATUS_OK);
        assert_string_equal(json_string_value(json_object_get(out, "default")),
                            cases[i].expected);
        json_decref(out);
        json_decref(input);
    }
}

/* ---- times --------------------------------------------------------------------- */

static struct hr_text
text(const char *s)
{
    return (struct hr_text){s, strlen(s)};
}

static void
test_times_are_read_as_instants(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t second;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-22T01:02:03+08:00", 1795280523},
        {"2026-11-21T17:02:03z", 1795280523},
        {"2000-02-29t23:59:60-00:00", 951868800},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200)},
        {"9999-12-31T23:59:59Z", INT64_C(253402300799)},
        {"1969-12-31T23:59:59.5Z", -1},
    };
    static const char *const bad[] = {"",
                                      "2026-11-22",
                                      "2026-11-22T01:02:03",
                                      "2026-11-22 01:02:03Z",
                                      "2026-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:61Z",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00+24:00",
                                      "2026-01-01T00:00:00+0800",
                                      "2026-01-01T00:00:00+08:00x",
                                      "+2026-01-01T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2026-01-01T00:00:00,5Z",
                                      "20260101T000000Z",
                                      "2026-01-01T0a:00:00Z"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct hr_time t = hr_time_parse(text(good[i].text));
        assert_true(t.known);
        assert_int_equal(t.second, good[i].second);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (hr_time_parse(text(bad[i])).known) {
            fail_msg("%s was read", bad[i]);
        }
    }
    assert_false(hr_time_parse((struct hr_text){NULL, 0}).known);
    /* Days follow each other without a gap, from 0000-01-01 to 9999-12-31. */
    int32_t expected = -719528;
    for (int year = 0; year <= 9999; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= 31; day++) {
                char label[40];
                snprintf(label, sizeof label, "%04d-%02d-%02d", year, month, day);
                struct hr_date date = hr_date_parse(text(label));
                if (date.known) {
                    assert_int_equal(date.day, expected++);
                }
            }
        }
    }
    assert_int_equal(expected, 2932897);
}

static void
test_examined_before_decision_compares_instants_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *at, *examined, *value;
    } cases[] = {
        {"2025-06-01T08:00:00+08:00", "2025-06-01T00:00:00Z", "true"},
        {"2025-06-01T08:00:00+08:00", "2025-06-01T00:00:00.000000000000000000001Z", "false"},
        {"2025-06-01T08:00:00.5+08:00", "2025-06-01T00:00:00.50Z", "true"},
        {"2025-06-01T08:00:00.05+08:00", "2025-06-01T00:00:00.5Z", "false"},
        {"2025-06-01T00:30:00+08:00", "2025-06-01T01:00:00+09:00", "true"},
        {"2025-06-01T00:00:00+08:00", "2025-06-01", "unknown"},
        {"never", "2025-06-01T00:00:00Z", "unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *input = best_case("hubei-2023");
        json_object_set_new(input, "at", json_string(cases[i].at));
        json_object_set_new(json_object_get(input, "result"), "examined_at",
                            json_string(cases[i].examined));
        assert_decided(input, NULL, "examined_before_decision", cases[i].value);
        json_decref(input);
    }
}

/* ---- readings of wrong members ---------------------------------------------------- */

static void
assert_reads(const char *pack, const char *folder, const char *member, const char *value,
             const char *check, const char *expected)
{
    json_t *input = best_case(pack);
    json_object_set_new(folder == NULL ? input : json_object_get(input, folder), member,
                        json_loads(value, JSON_DECODE_ANY, NULL));
    assert_decided(input, NULL, check, expected);
    json_decref(input);
}

static void
test_one_unreadable_entry_makes_its_list_unknown(void **state)
{
    (void)state;
    assert_reads("hubei-2023", "issuer", "listing",
                 "[{\"status\":\"listed\"},{\"status\":\"exited\",\"from\":\"soon\"}]",
                 "issuer_listed", "unknown");
    assert_reads("hubei-2023", "issuer", "listing", "[{\"status\":\"great\"}]",
                 "issuer_standing", "unknown");
    assert_reads("hubei-2023", "issuer", "listing", "[{\"status\":\"great\"}]", "issuer_listed",
                 "true");
    assert_reads("hubei-2023", "quality", "rounds",
                 "[{\"organiser\":\"national\",\"date\":\"2024-02-30\",\"passed\":true}]",
                 "quality", "unknown");
    assert_reads("hubei-2023", "quality", "rounds",
                 "[{\"organiser\":\"national\",\"date\":\"2020-02-20\"}]", "quality",
                 "unknown");
    assert_reads("hubei-2023", "result", "marks", "[\"\\u2605\", 5]", "marked", "true");
    assert_reads("hubei-2023", "result", "marks", "[5]", "marked", "unknown");
    assert_reads("hubei-2023", "result", "marks", "[\"x\"]", "marked", "false");
    assert_reads("hubei-2023", "result", "marks", "\"\\u2605\"", "marked", "unknown");
    assert_reads("hubei-2023", "result", "marks", "[\"\\u9102\\u2028\\u00a0H\\u3000R\\t\"]",
                 "marked", "true");
    assert_reads("hubei-2023", "result", "marks", "[\"\\u9102\\u200bHR\"]", "marked", "false");
    assert_reads("chuanyu-2022", "quality", "inspection_failed_year", "\"2024\"", "inspection",
                 "unknown");
    assert_reads("hunan-2025", NULL, "annex", "{\"listed\":true,\"limit_days\":\"9\"}",
                 "window", "unknown");
    assert_reads("hunan-2025", NULL, "annex", "{\"listed\":true,\"limit_days\":1e9}", "window",
                 "true");
    assert_reads("hunan-2025", NULL, "annex", "{\"listed\":true,\"limit_days\":-1.0}", "window",
                 "false");
    assert_reads("hunan-2025", NULL, "annex", "5", "item_listed", "unknown");
}

/* ---- text ----------------------------------------------------------------------- */

static void
assert_refused(const char *json, size_t bytes, const char *part)
{
    char error[256] = "";
    json_t *out = NULL;
    enum status st = policy_decide_json(set, json, bytes, &out, error, sizeof error);
    assert_true(st == STATUS_MALFORMED || st == STATUS_NOT_FOUND);
    assert_null(out);
    if (strstr(error, part) == NULL || strchr(error, '\n') != NULL) {
        fail_msg("'%s' where '%s' is expected", error, part);
    }
}

static void
test_what_cannot_be_decided_is_refused_in_one_line(void **state)
{
    (void)state;
    static char deep[10000];
    memset(deep, '[', sizeof deep);
    assert_refused("", 0, "is not JSON");
    assert_refused("{", 1, "is not JSON");
    assert_refused("[]", 2, "is not a JSON object");
    assert_refused("7", 1, "is not a JSON object");
    assert_refused("{}", 2, "names no pack");
    assert_refused("{\"pack\":null}", 13, "names no pack");
    assert_refused("{\"pack\":5}", 10, "pack is not a text");
    assert_refused("{\"pack\":\"utopia-2030\"}", 22, "pack is not known here");
    assert_refused("{\"pack\":\"hubei-2023\",\"pack\":\"hubei-2023\"}", 43, "duplicate");
    assert_refused("{\"pack\":\"hubei-2023\"} x", 23, "is not JSON");
    assert_refused("{\"pack\":\"hubei-2023\xff\"}", 22, "is not JSON");
    assert_refused(deep, sizeof deep, "is not JSON");
    /* What was read is not repeated: it may name a patient. */
    char error[256] = "";
    json_t *out = NULL;
    const char *text_with_name = "{\"pack\":\"hubei-2023\", \"name\": Zhang San }";
    assert_int_equal(policy_decide_json(set, text_with_name, strlen(text_with_name), &out,
                                        error, sizeof error),
                     STATUS_MALFORMED);
    assert_null(strstr(error, "Zhang"));
}

static void
test_numbers_that_fit_nowhere_are_unknown(void **state)
{
    (void)state;
    char error[256] = "";
    const char *json = "{\"pack\":\"hunan-2025\",\"note\":\"1e999 \\\" 1e999\","
                       "\"result\":{\"detector_rows\":99999999999999999999999999,"
                       "\"images\":1e999,\"x\":-1E+400}}";
    json_t *out = NULL;
    assert_int_equal(policy_decide_json(set, json, strlen(json), &out, error, sizeof error),
                     STATUS_OK);
    json_decref(out);
    json_t *input;
    assert_int_equal(policy_json_parse(json, strlen(json), &input, error, sizeof error),
                     STATUS_OK);
    assert_string_equal(json_string_value(json_object_get(input, "note")), "1e999 \" 1e999");
    json_decref(input);
}

static void
test_canonical_bytes_do_not_depend_on_order_or_blanks(void **state)
{
    (void)state;
    char error[256] = "";
    size_t bytes_a;
    size_t bytes_b;
    const char *a = "{ \"b\" : [1, 2.5, {\"z\":null,\"y\":\"\\u9102\"}], \"a\":true }";
    const char *b = "{\"a\":true,\"b\":[1,2.5,{\"y\":\"\xe9\x84\x82\",\"z\":null}]}";
    json_t *x;
    assert_int_equal(policy_json_parse(a, strlen(a), &x, error, sizeof error), STATUS_OK);
    json_t *y;
    assert_int_equal(policy_json_parse(b, strlen(b), &y, error, sizeof error), STATUS_OK);
    char *from_a = policy_json_canonical(x, &bytes_a);
    char *from_b = policy_json_canonical(y, &bytes_b);
    assert_string_equal(from_a, b);
    assert_string_equal(from_b, b);
    assert_int_equal(bytes_a, strlen(b));
    free(from_a);
    free(from_b);
    json_decref(x);
    json_decref(y);
}

static void
test_a_replay_from_canonical_bytes_is_the_same_decision(void **state)
{
    (void)state;
    char error[256] = "";
    struct view vectors = policy_set_vectors(set, 0);
    size_t count = 0;
    for (size_t at = 0; at < vectors.count && count < 60; count++) {
        const uint8_t *start = vectors.bytes + at;
        const uint8_t *newline = memchr(start, '\n', vectors.count - at);
        json_t *vector = json_loadb((const char *)start, (size_t)(newline - start), 0, NULL);
        size_t bytes;
        json_t *first = NULL;
        json_t *again = NULL;
        char *kept = policy_json_canonical(json_object_get(vector, "input"), &bytes);
        assert_int_equal(policy_decide_object(set, json_object_get(vector, "input"), &first),
                         STATUS_OK);
        assert_int_equal(policy_decide_json(set, kept, bytes, &again, error, sizeof error),
                         STATUS_OK);
        assert_true(json_equal(first, again));
        json_decref(first);
        json_decref(again);
        json_decref(vector);
        free(kept);
        at = (size_t)(newline - vectors.bytes) + 1;
    }
    assert_int_equal(count, 60);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_member_may_hold_anything),
        cmocka_unit_test(test_an_input_with_nothing_but_a_pack_is_all_unknown),
        cmocka_unit_test(test_critical_corrected_preliminary_or_doubtful_is_never_preselected),
        cmocka_unit_test(test_times_are_read_as_instants),
        cmocka_unit_test(test_examined_before_decision_compares_instants_exactly),
        cmocka_unit_test(test_one_unreadable_entry_makes_its_list_unknown),
        cmocka_unit_test(test_what_cannot_be_decided_is_refused_in_one_line),
        cmocka_unit_test(test_numbers_that_fit_nowhere_are_unknown),
        cmocka_unit_test(test_canonical_bytes_do_not_depend_on_order_or_blanks),
        cmocka_unit_test(test_a_replay_from_canonical_bytes_is_the_same_decision),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
