/* Goal: a regulation is data only; sources that are wrong are refused with
 * file, line and reason.
 * Method: a made-up pack (pack_fixture.h) is compiled and decides as its rules
 * say; then its sources are damaged, one thing at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/pack_fixture.h"

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

/* ---- the sixth pack ---------------------------------------------------------- */

static const char good_case[] =
    "{'at': '2026-06-15T12:00:00+08:00', 'in_force_from': '2026-01-01', 'item': 'PATH.HE',"
    " 'issuer': {'level': 'secondary', 'grade': 'B', 'alliances': []},"
    " 'receiver': {'level': 'primary', 'alliances': []},"
    " 'result': {'examined_at': '2026-06-05T23:00:00+08:00', 'status': 'final', 'marks': ['△'],"
    "   'mark_note': true, 'images': true, 'critical': false, 'detector_rows': 8},"
    " 'quality': {'rounds': [{'organiser': 'national', 'date': '2026-03-01', 'passed': true}]},"
    " 'encounter': 'emergency', 'doctor': {}}";

/* Single quotes stand for double ones. */
static json_t *
from_text(const char *text)
{
    char copy[2048];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    json_t *value = json_loads(copy, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

/* Decide the good case with some members changed: path, value, ..., NULL. */
static json_t *
decide(const struct hr_pack *pack, const char *const *changes)
{
    json_t *input = from_text(good_case);
    for (; changes[0] != NULL; changes += 2) {
        const char *dot = strchr(changes[0], '.');
        json_t *at = input;
        if (dot != NULL) {
            at = json_object_getn(input, changes[0], (size_t)(dot - changes[0]));
        }
        json_object_set_new(at, dot != NULL ? dot + 1 : changes[0], from_text(changes[1]));
    }
    json_t *answer = NULL;
    assert_int_equal(policy_decide_pack(pack, policy_set_catalog(set), input, &answer),
                     STATUS_OK);
    json_decref(input);
    return answer;
}

static void
assert_decides(const struct hr_pack *pack, const char *const *changes, const char *verdict,
               const char *check, const char *value)
{
    json_t *answer = decide(pack, changes);
    const json_t *checks = json_object_get(answer, "checks");
    assert_string_equal(json_string_value(json_object_get(checks, check)), value);
    assert_string_equal(json_string_value(json_object_get(answer, "verdict")), verdict);
    json_decref(answer);
}
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})
#define AS_IT_IS ((const char *const[]){NULL})

static struct pack_built
build_made_up(void)
{
    struct pack_built built;
    char error[256] = "";
    if (fixture_build(set, fixture_yaml, fixture_items, &built, error, sizeof error) !=
        STATUS_OK) {
        fail_msg("%s", error);
    }
    return built;
}

static void
test_a_made_up_pack_needs_no_code(void **state)
{
    (void)state;
    struct pack_built built = build_made_up();
    const struct hr_pack *p = built.pack;
    assert_decides(p, AS_IT_IS, "must", "scope", "true");
    assert_decides(p, WITH("issuer.grade", "'A'"), "barred", "issuer_class", "false");
    assert_decides(p, WITH("issuer.level", "'primary'"), "may", "issuer_class", "unknown");
    assert_decides(p, WITH("receiver.level", "'tertiary'"), "may", "scope", "unknown");
    assert_decides(p, WITH("receiver.level", "'tertiary'", "receiver.assessed", "true"), "must",
                   "scope", "true");
    assert_decides(p,
                   WITH("receiver.level", "'none'", "issuer.alliances", "[{'id': 'x'}]",
                        "receiver.alliances", "[{'id': 'x', 'kind': 'other'}]"),
                   "should", "scope", "true");
    assert_decides(p, WITH("result.mark_note", "null"), "must", "marked", "unknown");
    assert_decides(p, WITH("result.marks", "[]"), "should", "marked", "false");
    assert_decides(p, WITH("result.images", "false"), "barred", "images", "false");
    assert_decides(p,
                   WITH("quality.rounds",
                        "[{'organiser': 'national', 'date': '2026-03-01', 'passed': false}]"),
                   "no_rule", "quality", "false");
    pack_built_free(&built);
}

static void
test_a_day_begins_at_midnight_in_utc_plus_8(void **state)
{
    (void)state;
    struct pack_built built = build_made_up();
    const struct hr_pack *p = built.pack;
    assert_decides(p, WITH("result.examined_at", "'2026-06-05T00:00:00+08:00'"), "must",
                   "window", "true"); /* 10 days */
    assert_decides(p, WITH("result.examined_at", "'2026-06-05T00:30:00+09:00'"), "may",
                   "window", "false"); /* the 4th at +08:00: 11 days */
    assert_decides(p, WITH("at", "'2026-06-15T16:00:00Z'"), "may", "window", "false");
    assert_decides(p, WITH("at", "'2026-06-15T15:59:59.999Z'"), "must", "window", "true");
    pack_built_free(&built);
}

static void
test_made_up_lists_widen_and_follow_levels_as_they_say(void **state)
{
    (void)state;
    struct pack_built built = build_made_up();
    const struct hr_pack *p = built.pack;
    assert_decides(p, WITH("item", "'LAB.K'"), "must", "item_listed", "true");
    assert_decides(p, WITH("item", "'LAB.K'", "receiver.level", "'tertiary'"), "may",
                   "item_listed", "false");
    assert_decides(p, WITH("item", "'LAB.NA'"), "may", "item_listed",
                   "false"); /* a duplicate */
    assert_decides(p, WITH("item", "'LAB.CL'"), "must", "item_listed", "true");
    assert_decides(p, WITH("item", "'DR.CHEST'"), "must", "item_listed", "true");
    assert_decides(p, WITH("item", "'DR.CHEST.PA'"), "must", "item_listed", "true");
    assert_decides(p, WITH("item", "'DR.CHEST.PA'", "result.detector_rows", "7"), "may",
                   "item_listed", "false");
    assert_decides(p, WITH("item", "'DR.CHEST.PA'", "result.detector_rows", "null"), "should",
                   "item_listed", "unknown");
    assert_decides(p, WITH("item", "'LAB.CL'"), "must", "quality", "not_applicable");
    pack_built_free(&built);
}

static void
test_made_up_duties_and_reasons_follow_their_conditions(void **state)
{
    (void)state;
    struct pack_built built = build_made_up();
    json_t *answer = decide(built.pack, AS_IT_IS);
    json_t *expected = from_text("{'if_recognized': ['sing_a_song'], 'if_repeated': []}");
    assert_true(json_equal(json_object_get(answer, "obligations"), expected));
    assert_true(json_is_null(json_object_get(answer, "billing")));
    json_decref(expected);
    json_decref(answer);
    /* LOCAL.B counts once the window is over, and then rings the bell. */
    answer = decide(built.pack, WITH("result.examined_at", "'2026-05-01T08:00:00+08:00'",
                                     "doctor.circumstances", "[{'code': 'LOCAL.B'}]"));
    expected = from_text("{'if_recognized': [], 'if_repeated': ['ring_a_bell']}");
    assert_true(json_equal(json_object_get(answer, "obligations"), expected));
    json_decref(expected);
    json_decref(answer);
    answer =
        decide(built.pack, WITH("item", "'LAB.K'", "doctor.circumstances",
                                "[{'code': 'LOCAL.B'}, {'code': 'LOCAL.A', 'note': ' '}]"));
    expected = from_text("{'status': 'incomplete', 'codes': [], 'missing': ['note']}");
    assert_true(json_equal(json_object_get(answer, "reason"), expected));
    assert_string_equal(json_string_value(json_object_get(answer, "form")), "reread_reissue");
    json_decref(expected);
    json_decref(answer);
    pack_built_free(&built);
}

static void
test_compiled_text_loads_again_to_the_same_answers(void **state)
{
    (void)state;
    struct pack_built built = build_made_up();
    size_t bytes = hr_pack_memory_bytes(built.text.bytes, built.text.size);
    void *memory = malloc(bytes);
    struct hr_load_error error = {0, NULL};
    const struct hr_pack *again =
        hr_pack_load(built.text.bytes, built.text.size, memory, bytes, &error);
    assert_non_null(again);
    json_t *a = decide(built.pack, AS_IT_IS);
    json_t *b = decide(again, AS_IT_IS);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    /* Too little memory is refused, not overrun. */
    for (size_t less = 0; less < bytes; less += 97) {
        again = hr_pack_load(built.text.bytes, built.text.size, memory, less, &error);
        assert_true(again != NULL || strcmp(error.reason, "memory is too small") == 0);
    }
    free(memory);
    pack_built_free(&built);
}

static void
test_every_cut_of_a_compiled_pack_is_refused_or_whole_lines(void **state)
{
    (void)state;
    struct pack_built built = build_made_up();
    size_t bytes = hr_pack_memory_bytes(built.text.bytes, built.text.size);
    void *memory = malloc(bytes);
    for (size_t size = 0; size < built.text.size; size++) {
        char *exact = malloc(size + 1); /* so that a sanitizer sees one byte too far */
        memcpy(exact, built.text.bytes, size);
        struct hr_load_error error = {0, NULL};
        const struct hr_pack *p = hr_pack_load(exact, size, memory, bytes, &error);
        assert_true(p == NULL || exact[size - 1] == '\n');
        assert_true(p != NULL || error.reason != NULL);
        free(exact);
    }
    free(memory);
    pack_built_free(&built);
}

/* ---- wrong sources ------------------------------------------------------------- */

/* Replace the first `from` by `to`. */
static char *
changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    size_t before = (size_t)(at - text);
    size_t size = strlen(text) + strlen(to) + 1;
    char *out = malloc(size);
    snprintf(out, size, "%.*s%s%s", (int)before, text, to, at + strlen(from));
    return out;
}

static void
assert_refused(const char *yaml, const char *items, const char *expected)
{
    struct pack_built built;
    char error[512] = "";
    enum status st = fixture_build(set, yaml, items, &built, error, sizeof error);
    if (st != STATUS_MALFORMED || strstr(error, expected) == NULL) {
        fail_msg("expected '%s', got %d '%s'", expected, (int)st, error);
    }
    assert_null(built.pack);
}

static void
assert_yaml_refused(const char *from, const char *to, const char *expected)
{
    char *yaml = changed(fixture_yaml, from, to);
    assert_refused(yaml, fixture_items, expected);
    free(yaml);
}

static void
assert_items_refused(const char *from, const char *to, const char *expected)
{
    char *items = changed(fixture_items, from, to);
    assert_refused(fixture_yaml, items, expected);
    free(items);
}

static void
test_wrong_rules_are_refused_with_file_line_and_reason(void **state)
{
    (void)state;
    assert_yaml_refused("check: in_force", "check: in_farce",
                        "made-up/pack.yaml:9: check is not one that is known");
    assert_yaml_refused("if_false: no_rule", "if_falsch: no_rule",
                        "made-up/pack.yaml:10: Unexpected key: if_falsch");
    assert_yaml_refused("if_false: no_rule", "if_false: never",
                        "made-up/pack.yaml:9: cap is not a verdict");
    assert_yaml_refused("    clause: \"第1条\"\n", "",
                        "Missing required mapping field: clause");
    assert_yaml_refused("clause: \"第1条\"", "clause: \"\"", "pack.yaml:13: STRING length < 1");
    assert_yaml_refused("check: issuer_class", "check: in_force",
                        "made-up/pack.yaml:16: check stands twice");
    assert_yaml_refused("check: window", "check: usable",
                        "check has a setting that it does not take");
    assert_yaml_refused("days: \"10\"", "days: 010", "a window is days=N or limit=annex");
    assert_yaml_refused("version: \"3\"", "version: 0x3", "pack.yaml:2: a pack needs id");
    assert_yaml_refused("kinds: [pathology]", "kinds: [dentistry]", "is not one that is known");
    assert_yaml_refused("needs: [each_organiser]", "needs: [luck]",
                        "quality condition is not one that is known");
    assert_yaml_refused("relation: narrower", "relation: cousin",
                        "condition of the list is not one that is known");
    assert_yaml_refused("valid: {from: \"2026-01-01\"", "valid: {from: \"2026-02-30\"",
                        "made-up/pack.yaml:6: validity is not two dates in their order");
    assert_yaml_refused("code: LOCAL.B", "code: LOCAL.A", "a circumstance stands twice");
    assert_yaml_refused("territory:", "pack: again\nterritory:", "Mapping field already seen");
    assert_yaml_refused("title: {zh: \"标题\", en: \"title\"}",
                        "title: &x {zh: \"标题\", en: \"title\"}\ngaps: *x",
                        "made-up/pack.yaml:6:"); /* no aliases */
    assert_refused("", fixture_items, "made-up/pack.yaml:1: file is empty");
    assert_refused("\xff\xfe\xfd", fixture_items, "made-up/pack.yaml:1: libyaml");
    assert_refused("- [", fixture_items, "made-up/pack.yaml:");
}

static void
test_wrong_items_are_refused_with_file_line_and_reason(void **state)
{
    (void)state;
    assert_items_refused("LAB.CL,", "LAB.CLX,",
                         "made-up/items.csv:5: item LAB.CLX: is not in the catalog");
    assert_items_refused("LAB.CL,氯,all", "LAB.K,钾,primary",
                         "made-up/items.csv:5: an item stands twice in one list");
    assert_items_refused("LAB.CL,氯,all", "LAB.K,钾,all",
                         "made-up/items.csv:5: an item stands twice in one list");
    assert_items_refused("附件 3", "", "made-up/items.csv:7: item PATH.HE: has no citation");
    assert_items_refused("氯,all", "氯,quaternary",
                         "made-up/items.csv:5: item LAB.CL: applies_to");
    assert_items_refused("applies_to", "applies_too",
                         "made-up/items.csv:1: there is no column");
    assert_items_refused("DR.CHEST,胸片", "DR.CHEST", "made-up/items.csv:6: row has another");
    assert_items_refused("胸片", "\"胸片", "made-up/items.csv:6:");
    assert_items_refused("附件 3\n", "附件 3,,,", "made-up/items.csv:7: row has another");
}

static void
test_overlapping_validity_and_cyclic_parents_are_refused(void **state)
{
    (void)state;
    char error[512] = "";
    struct pack_built built[2];
    char *child =
        changed(fixture_yaml, "pack: made-up-2026", "pack: child\nparent: made-up-2026");
    char *parent = changed(fixture_yaml, "territory:", "parent: child\nterritory:");
    char *later = changed(fixture_yaml, "from: \"2026-01-01\", to: \"2026-12-31\"",
                          "from: \"2027-01-01\"");
    char *overlapping = changed(fixture_yaml, "from: \"2026-01-01\", to: \"2026-12-31\"",
                                "from: \"2026-12-31\"");
    const struct {
        const char *a, *b, *expected;
    } cases[] = {
        {fixture_yaml, later, NULL},
        {fixture_yaml, child, NULL},
        {fixture_yaml, overlapping,
         "b/pack.yaml:6: validity overlaps that of the same pack in a"},
        {parent, child, "a/pack.yaml:7: parent leads back to the pack"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *yamls[] = {cases[i].a, cases[i].b};
        const struct hr_pack *packs[2];
        struct pack_sources sources[2];
        for (size_t j = 0; j < 2; j++) {
            assert_int_equal(
                fixture_build(set, yamls[j], fixture_items, &built[j], error, sizeof error),
                STATUS_OK);
            packs[j] = built[j].pack;
            sources[j] = (struct pack_sources){
                j == 0 ? "a" : "b", {(const uint8_t *)yamls[j], strlen(yamls[j])}, {NULL, 0}};
        }
        enum status st = pack_check_together(packs, sources, 2, error, sizeof error);
        assert_int_equal(st, cases[i].expected == NULL ? STATUS_OK : STATUS_MALFORMED);
        if (cases[i].expected != NULL) {
            assert_string_equal(error, cases[i].expected);
        }
        pack_built_free(&built[0]);
        pack_built_free(&built[1]);
    }
    free(child);
    free(parent);
    free(later);
    free(overlapping);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_made_up_pack_needs_no_code),
        cmocka_unit_test(test_a_day_begins_at_midnight_in_utc_plus_8),
        cmocka_unit_test(test_made_up_lists_widen_and_follow_levels_as_they_say),
        cmocka_unit_test(test_made_up_duties_and_reasons_follow_their_conditions),
        cmocka_unit_test(test_compiled_text_loads_again_to_the_same_answers),
        cmocka_unit_test(test_every_cut_of_a_compiled_pack_is_refused_or_whole_lines),
        cmocka_unit_test(test_wrong_rules_are_refused_with_file_line_and_reason),
        cmocka_unit_test(test_wrong_items_are_refused_with_file_line_and_reason),
        cmocka_unit_test(test_overlapping_validity_and_cyclic_parents_are_refused),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
