/* Goal: several packs over one case are shown strongest first, each with its
 * own verdict, and a city's window that is over lowers the wider packs to may
 * (AMB-TY02); a mark is printed only when all that it needs is known.
 * Method: one imaging result of a Taiyuan hospital under the packs of Taiyuan
 * and Shanxi, aged over and under 30 days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/policy_explain.h"
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

static const struct hr_pack *
pack(const char *id)
{
    return policy_set_pack(set, policy_set_find(set, id, strlen(id)));
}

static struct hr_text
text(const char *s)
{
    return (struct hr_text){s, strlen(s)};
}

static const struct hr_period listed[] = {{HR_LISTED, {false, 0}, {false, 0}}};
static const struct hr_text marks[] = {{"*", 1}, {"并HR", 5}};

/* A chest radiograph of one tertiary hospital of Taiyuan, read at another. */
static struct hr_policy_input
chest(const char *examined_at, const struct hr_round *round)
{
    struct hr_policy_input in = {
        .at = hr_time_parse(text("2026-05-31T09:00:00+08:00")),
        .in_force_from = hr_date_parse(text("2025-01-01")),
        .item = text("DR.CHEST.PA"),
        .result = {.examined_at = hr_time_parse(text(examined_at)),
                   .status = HR_FINAL_RESULT,
                   .marks_known = true,
                   .mark_count = 2,
                   .marks = marks,
                   .mark_note = HR_TRUE,
                   .images = HR_TRUE,
                   .critical = HR_FALSE},
        .quality = {.known = true, .rounds_known = true, .round_count = 1, .rounds = round},
        .annex = {.known = true, .listed = HR_TRUE, .limited = HR_FALSE},
    };
    struct hr_institution *who[] = {&in.issuer, &in.receiver};
    for (size_t i = 0; i < 2; i++) {
        who[i]->territory = text(i == 0 ? "140105" : "140106");
        who[i]->level = HR_TERTIARY;
        who[i]->ownership = HR_PUBLIC;
        who[i]->alliances_known = true;
        who[i]->listing_known = true;
        who[i]->period_count = 1;
        who[i]->periods = listed;
    }
    return in;
}

/* Decide with Taiyuan first, Shanxi second. */
static void
decide_both(const struct hr_policy_input *in, struct hr_decision d[2], size_t order[2],
            enum hr_verdict shown[2])
{
    const struct hr_pack *packs[] = {pack("taiyuan-2024"), pack("shanxi-2021")};
    for (size_t i = 0; i < 2; i++) {
        hr_decide(packs[i], policy_set_catalog(set), in, &d[i]);
    }
    hr_several(packs, d, 2, order, shown);
}

static void
test_the_strongest_verdict_is_first_and_none_is_lost(void **state)
{
    (void)state;
    struct hr_round passed = {HR_PROVINCIAL, hr_date_parse(text("2026-03-01")), true};
    struct hr_policy_input in = chest("2026-05-10T09:00:00+08:00", &passed);
    struct hr_decision d[2];
    size_t order[2];
    enum hr_verdict shown[2];
    decide_both(&in, d, order, shown);
    assert_int_equal(d[0].verdict, HR_SHOULD);
    assert_int_equal(d[1].verdict, HR_MUST);
    assert_int_equal(shown[0], HR_SHOULD);
    assert_int_equal(shown[1], HR_MUST);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 0);
}

/* Is this the name of the duty? */
static bool
is(const struct hr_duty *duty, const char *name)
{
    return duty->name.size == strlen(name) &&
           memcmp(duty->name.bytes, name, duty->name.size) == 0;
}

static void
test_obligations_are_united_each_once_the_strongest_pack_first(void **state)
{
    (void)state;
    struct hr_round passed = {HR_PROVINCIAL, hr_date_parse(text("2026-03-01")), true};
    struct hr_policy_input in = chest("2026-05-10T09:00:00+08:00", &passed);
    struct hr_decision d[2];
    size_t order[2];
    enum hr_verdict shown[2];
    const struct hr_duty *all[4];
    in.encounter = HR_INPATIENT;
    decide_both(&in, d, order, shown);
    const struct hr_decision *sorted[] = {&d[order[0]], &d[order[1]]};
    /* Shanxi: record, reissue, keep; Taiyuan: record its fields, keep. */
    assert_int_equal(hr_unite(sorted, 2, true, all, 4), 4);
    assert_true(is(all[0], "record_in_detail"));
    assert_true(is(all[1], "reissue_report"));
    assert_true(is(all[2], "keep_in_inpatient_file"));
    assert_true(is(all[3], "record_institution_date_file_no"));
    assert_int_equal(hr_unite(sorted, 2, true, all, 3), 3); /* no more than asked for */
    assert_int_equal(hr_unite(sorted, 2, false, all, 4), 3);
    assert_true(is(all[0], "sign_off"));
    assert_true(is(all[1], "inform_purpose_and_need"));
    assert_true(is(all[2], "record_basis"));
    assert_int_equal(hr_unite(sorted, 0, true, all, 4), 0);
}

static void
test_a_city_window_that_is_over_lowers_the_province_to_may(void **state)
{
    (void)state;
    struct hr_round passed = {HR_PROVINCIAL, hr_date_parse(text("2026-03-01")), true};
    struct hr_decision d[2];
    size_t order[2];
    enum hr_verdict shown[2];
    /* Day 30 is inside, day 31 outside. */
    struct hr_policy_input in = chest("2026-05-01T09:00:00+08:00", &passed);
    decide_both(&in, d, order, shown);
    assert_int_equal(d[0].checks[HR_WINDOW], HR_TRUE);
    assert_int_equal(shown[1], HR_MUST);
    in = chest("2026-04-30T09:00:00+08:00", &passed);
    decide_both(&in, d, order, shown);
    assert_int_equal(d[0].checks[HR_WINDOW], HR_FALSE);
    assert_int_equal(d[1].verdict, HR_MUST); /* decided alone */
    assert_int_equal(shown[1], HR_MAY);      /* shown capped */
    assert_int_equal(shown[0], HR_MAY);
    assert_int_equal(order[0], 0); /* equals stay in order */
}

static void
test_the_city_window_counts_only_where_the_city_covers_the_case(void **state)
{
    (void)state;
    struct hr_round passed = {HR_PROVINCIAL, hr_date_parse(text("2026-03-01")), true};
    struct hr_decision d[2];
    size_t order[2];
    enum hr_verdict shown[2];
    struct hr_policy_input in = chest("2026-04-01T09:00:00+08:00", &passed);
    in.receiver.territory = text("140200"); /* another city */
    decide_both(&in, d, order, shown);
    assert_int_equal(shown[1], HR_MUST);
    in = chest("2026-04-01T09:00:00+08:00", &passed);
    in.annex.listed = HR_UNKNOWN; /* the item may not be the city's */
    decide_both(&in, d, order, shown);
    assert_int_equal(shown[1], HR_MUST);
}

static void
test_a_mark_is_true_false_or_unknown_and_printed_only_when_true(void **state)
{
    (void)state;
    struct hr_round passed = {HR_PROVINCIAL, hr_date_parse(text("2026-03-01")), true};
    struct hr_policy_input in = chest("2026-05-10T09:00:00+08:00", &passed);
    struct hr_mark m;
    memset(&in.receiver, 0, sizeof in.receiver); /* is not read */
    hr_mark(pack("shanxi-2021"), policy_set_catalog(set), &in, &m);
    assert_int_equal(m.mark, HR_TRUE);
    assert_int_equal(m.text.size, 1);
    assert_int_equal(m.row_sign.size, 1);
    assert_true(m.footnote.size > 10);
    hr_mark(pack("taiyuan-2024"), policy_set_catalog(set), &in, &m);
    assert_int_equal(m.mark, HR_TRUE); /* quality is not applicable there */
    in.quality.known = false;
    hr_mark(pack("shanxi-2021"), policy_set_catalog(set), &in, &m);
    assert_int_equal(m.mark, HR_UNKNOWN);
    assert_null(m.text.bytes);
    assert_null(m.footnote.bytes);
    in.issuer.period_count = 0;
    hr_mark(pack("shanxi-2021"), policy_set_catalog(set), &in, &m);
    assert_int_equal(m.mark, HR_FALSE);
    assert_null(m.text.bytes);
}

static void
test_a_page_names_every_condition_not_met_with_its_clause(void **state)
{
    (void)state;
    struct hr_round failed = {HR_PROVINCIAL, hr_date_parse(text("2026-03-01")), false};
    struct hr_policy_input in = chest("2026-05-10T09:00:00+08:00", &failed);
    in.result.images = HR_UNKNOWN;
    struct hr_decision d;
    hr_decide(pack("shanxi-2021"), policy_set_catalog(set), &in, &d);
    for (int english = 0; english < 2; english++) {
        char *page = NULL;
        assert_int_equal(policy_explain_page(pack("shanxi-2021"), policy_set_catalog(set), &in,
                                             english != 0, &page),
                         STATUS_OK);
        for (int c = 0; c < HR_CHECK_COUNT; c++) {
            const struct hr_rule *rule =
                hr_pack_check_rule(pack("shanxi-2021"), (enum hr_check)c);
            if (rule != NULL && (d.checks[c] == HR_FALSE || d.checks[c] == HR_UNKNOWN)) {
                char wanted[512];
                struct hr_text words = english ? rule->en : rule->zh;
                snprintf(wanted, sizeof wanted, "%.*s\n      [%.*s", (int)words.size,
                         words.bytes, (int)rule->citation.size, rule->citation.bytes);
                assert_non_null(strstr(page, wanted));
            }
        }
        assert_non_null(strstr(page, hr_check_settle(HR_IMAGES, english != 0)));
        assert_non_null(strstr(page, hr_verdict_words(d.verdict, english != 0)));
        free(page);
    }
    char *table = NULL;
    assert_int_equal(
        policy_explain_table(pack("shanxi-2021"), policy_set_catalog(set), &in, true, &table),
        STATUS_OK);
    size_t lines = 0;
    for (const char *c = table; *c != '\0'; c++) {
        lines += *c == '\n';
    }
    assert_int_equal(lines, 1 + 18 + 2); /* headings, checks, two verdicts */
    free(table);
}

static void
test_a_page_shows_no_control_character_of_an_input(void **state)
{
    (void)state;
    struct hr_round passed = {HR_PROVINCIAL, hr_date_parse(text("2026-03-01")), true};
    struct hr_policy_input in = chest("2026-05-10T09:00:00+08:00", &passed);
    char *page = NULL;
    in.item = text("LAB.\x1b[31m\x07\nX");
    assert_int_equal(
        policy_explain_page(pack("shanxi-2021"), policy_set_catalog(set), &in, false, &page),
        STATUS_OK);
    for (const char *c = page; *c != '\0'; c++) {
        assert_true((unsigned char)*c >= 0x20 || *c == '\n');
    }
    assert_non_null(strstr(page, "LAB.?[31m??X"));
    free(page);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_strongest_verdict_is_first_and_none_is_lost),
        cmocka_unit_test(test_obligations_are_united_each_once_the_strongest_pack_first),
        cmocka_unit_test(test_a_city_window_that_is_over_lowers_the_province_to_may),
        cmocka_unit_test(test_the_city_window_counts_only_where_the_city_covers_the_case),
        cmocka_unit_test(test_a_mark_is_true_false_or_unknown_and_printed_only_when_true),
        cmocka_unit_test(test_a_page_names_every_condition_not_met_with_its_clause),
        cmocka_unit_test(test_a_page_shows_no_control_character_of_an_input),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
