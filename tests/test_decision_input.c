/* Goal: a decision input holds what the charter and the report say, unknown
 * where they do not, and is bounded whatever they hold; cutting changes no decision.
 * Method: charters with long histories, hostile reports, stale documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/decision_input.h"
#include "tests/world.h"

struct made {
    struct world w;
    struct world_report r;
    struct decision_case k;
    json_t *json;
    struct hr_decision decision;
};

static void
open_made(struct made *m, const struct world_options *o)
{
    memset(m, 0, sizeof *m);
    world_open(&m->w, o);
    world_report(&m->r, "R1", WORLD_CARD);
    m->k = (struct decision_case){.issuer = "h0", .receiver = "h3", .at_s = FIXTURE_NOW};
}

static void
close_made(struct made *m)
{
    json_decref(m->json);
    world_close(&m->w);
}

/* Make the input and decide; its canonical size. */
static size_t
make(struct made *m)
{
    struct policy_arena arena = {0};
    struct hr_policy_input input;
    size_t bytes;
    json_decref(m->json);
    m->json = decision_input(m->w.charter, &m->k, WORLD_PACK, &m->r.report, &m->r.items[0]);
    assert_non_null(m->json);
    char *text = policy_json_canonical(m->json, &bytes);
    assert_non_null(text);
    free(text);
    OK(policy_input_from_json(m->json, &arena, &input));
    size_t at = policy_set_find(m->w.policy, WORLD_PACK, strlen(WORLD_PACK));
    hr_decide(policy_set_pack(m->w.policy, at), policy_set_catalog(m->w.policy), &input,
              &m->decision);
    policy_arena_free(&arena);
    assert_true(bytes <= DECISION_INPUT_BYTES_MAX);
    return bytes;
}

static const json_t *
at(const struct made *m, const char *a, const char *b)
{
    const json_t *o = json_object_get(m->json, a);
    return b == NULL ? o : json_object_get(o, b);
}

static void
mark(struct made *m)
{
    static char text[] = "★";
    static char *star[] = {text};
    m->r.items[0].marks = star;
    m->r.items[0].n_marks = 1;
}

static void
a_complete_case_is_a_must(void **state)
{
    struct made m;
    (void)state;
    open_made(&m, NULL);
    mark(&m);
    make(&m);
    assert_int_equal(m.decision.verdict, HR_MUST);
    assert_true(m.decision.recognize);
    assert_string_equal(json_string_value(at(&m, "at", NULL)), "2027-01-15T16:00:00+08:00");
    assert_string_equal(json_string_value(at(&m, "in_force_from", NULL)), "2024-01-01");
    assert_string_equal(json_string_value(at(&m, "issuer", "territory")), "420581");
    assert_string_equal(json_string_value(at(&m, "receiver", "level")), "tertiary");
    assert_int_equal(json_array_size(at(&m, "issuer", "listing")), 1);
    assert_true(json_is_array(at(&m, "issuer", "alliances"))); /* known to be in none */
    assert_null(at(&m, "issuer", "assessed"));
    assert_null(at(&m, "result", "images"));
    assert_true(json_is_false(at(&m, "result", "critical")));
    /* the row of the whole institution is missing: an inspection is not known */
    assert_string_equal(json_string_value(at(&m, "quality", "inspection_failed_year")),
                        "unknown");
    close_made(&m);
}

static void
what_is_stale_or_missing_is_unknown(void **state)
{
    struct made m;
    (void)state;
    open_made(&m, &(struct world_options){.quality_stale = true});
    mark(&m);
    make(&m);
    assert_true(json_is_null(at(&m, "quality", NULL)));
    assert_int_equal(m.decision.checks[HR_QUALITY], HR_UNKNOWN);
    assert_int_equal(m.decision.verdict, HR_SHOULD);
    assert_int_equal(m.decision.at_best, HR_MUST);
    close_made(&m);
    open_made(&m, &(struct world_options){.members_stale = true});
    mark(&m);
    make(&m);
    assert_null(at(&m, "issuer", "territory"));
    assert_null(at(&m, "receiver", "listing"));
    assert_string_equal(json_string_value(at(&m, "issuer", "code")), "h0");
    assert_int_equal(m.decision.verdict, HR_MAY);
    assert_int_equal(m.decision.at_best, HR_MUST);
    close_made(&m);
    open_made(&m, &(struct world_options){.policy_stale = true});
    mark(&m);
    make(&m);
    assert_null(at(&m, "in_force_from", NULL));
    assert_int_equal(m.decision.checks[HR_IN_FORCE], HR_UNKNOWN);
    close_made(&m);
    open_made(&m, &(struct world_options){.no_quality = true, .no_policy = true});
    m.k.issuer = "nobody";
    make(&m);
    assert_true(json_is_null(at(&m, "quality", NULL)));
    assert_null(at(&m, "issuer", "level"));
    close_made(&m);
}

static void
the_status_of_a_row_is_named_as_the_contract_does(void **state)
{
    static const struct {
        const char *report, *item, *expect;
    } cases[] = {{"final", "", "final"},
                 {"final", "amended", "corrected"},
                 {"corrected", "final", "final"},
                 {"final", "preliminary", "preliminary"},
                 {"preliminary", "", "preliminary"},
                 {"final", "entered-in-error", "cancelled"},
                 {"cancelled", "final", "cancelled"},
                 {"final", "registered", NULL},
                 {"final", "unknown", NULL},
                 {"final", "FINAL", NULL},
                 {"", "", NULL}};
    struct made m;
    (void)state;
    open_made(&m, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m.r.report.status = text_of(cases[i].report);
        m.r.items[0].status = text_of(cases[i].item);
        const char *got = decision_status(&m.r.report, &m.r.items[0]);
        if (cases[i].expect == NULL) {
            assert_null(got);
        } else {
            assert_non_null(got);
            assert_string_equal(got, cases[i].expect);
        }
    }
    close_made(&m);
}

static void
a_hostile_report_stays_within_bounds(void **state)
{
    struct made m;
    char *long_text = malloc(100001), *marks[3000];
    (void)state;
    memset(long_text, 'x', 100000);
    long_text[100000] = '\0';
    for (size_t i = 0; i < 3000; i++) {
        marks[i] = i == 2999 ? text_of("★") : long_text;
    }
    open_made(&m, NULL);
    m.r.items[0].marks = marks;
    m.r.items[0].n_marks = 3000;
    m.r.items[0].examined_at = long_text;
    m.r.items[0].status = long_text;
    m.r.report.side = long_text;
    m.r.report.body_site = long_text;
    m.r.report.detector_rows = UINT32_MAX;
    make(&m);
    assert_null(at(&m, "result", "body_site"));
    assert_null(at(&m, "result", "status"));
    assert_int_equal(json_array_size(at(&m, "result", "marks")), 1); /* the one real mark */
    char *full[3000];
    for (size_t i = 0; i < 3000; i++) {
        full[i] = text_of("\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\");
    }
    m.r.items[0].marks = full;
    m.r.report.marks = full;
    m.r.report.n_marks = 3000;
    make(&m);
    assert_int_equal(json_array_size(at(&m, "result", "marks")), 8);
    static const char *const times[] = {"0001-01-01T00:00:00+14:00",
                                        "9999-12-31T23:59:60-12:00",
                                        "0001-01-01",
                                        "9999",
                                        "garbage",
                                        ""};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        m.r.items[0].examined_at = text_of(times[i]);
        make(&m);
    }
    close_made(&m);
    free(long_text);
}

static void
a_long_history_is_cut_to_what_rules_read(void **state)
{
    struct made longer, plain;
    (void)state;
    open_made(&plain, NULL);
    mark(&plain);
    make(&plain);
    open_made(&longer, &(struct world_options){.listings = 511, .rounds = 1023});
    mark(&longer);
    make(&longer);
    assert_int_equal(json_array_size(at(&longer, "issuer", "listing")), 1);
    assert_int_equal(json_array_size(at(&longer, "quality", "rounds")), 2);
    assert_memory_equal(&longer.decision.checks, &plain.decision.checks,
                        sizeof plain.decision.checks);
    assert_int_equal(longer.decision.verdict, HR_MUST);
    /* a decision of an older day needs an older period */
    longer.k.at_s = FIXTURE_NOW - INT64_C(8) * 365 * 86400; /* 2019-01-17 */
    make(&longer);
    assert_int_equal(json_array_size(at(&longer, "issuer", "listing")), 2);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(at(&longer, "issuer", "listing"), 0), "status")),
                        "exited");
    close_made(&longer);
    close_made(&plain);
}

static void
what_the_asker_adds_is_kept_without_free_text(void **state)
{
    struct made m;
    (void)state;
    open_made(&m, NULL);
    json_t *order = json_pack("{s:s,s:i,s:s}", "side", "left", "body_site", 7, "patient", "Li");
    json_t *doctor = json_pack("{s:s,s:b,s:[{s:s,s:s},{s:s,s:s},{s:s}],s:s}", "title", "chief",
                               "needs_department", 1, "circumstances", "code", "NEG.OTHER",
                               "note", "Mr Li fell ill again", "code", "NEG.EXPIRED", "note",
                               " \xe3\x80\x80", "code", "NEG.EMERGENCY", "name", "Dr Wang");
    m.k.order = order;
    m.k.doctor = doctor;
    m.k.encounter = "inpatient";
    make(&m);
    char *text = json_dumps(m.json, JSON_SORT_KEYS | JSON_COMPACT);
    assert_null(strstr(text, "Li"));
    assert_null(strstr(text, "Wang"));
    assert_non_null(strstr(text, "\"order\":{\"body_site\":false,\"side\":\"left\"}"));
    assert_non_null(strstr(text, "{\"code\":\"NEG.OTHER\",\"note\":\"given\"}"));
    assert_non_null(strstr(text, "{\"code\":\"NEG.EXPIRED\"}"));
    assert_non_null(strstr(text, "\"encounter\":\"inpatient\""));
    free(text);
    assert_int_equal(m.decision.reason, HR_REASON_ACCEPTED);
    json_t *list = json_object_get(doctor, "circumstances");
    for (size_t i = 0; i < 5000; i++) {
        json_array_append_new(list, json_pack("{s:s}", "code", "NEG.OTHER"));
    }
    make(&m);
    assert_int_equal(json_array_size(at(&m, "doctor", "circumstances")), 16);
    json_decref(order);
    json_decref(doctor);
    close_made(&m);
}

static void
times_are_written_in_utc_plus_8(void **state)
{
    char text[26], date[11];
    (void)state;
    decision_time(0, text);
    assert_string_equal(text, "1970-01-01T08:00:00+08:00");
    decision_time(1800000000 - 1, text);
    assert_string_equal(text, "2027-01-15T15:59:59+08:00");
    decision_date(1800000000 + 8 * 3600 - 1, date);
    assert_string_equal(date, "2027-01-15");
    decision_date(1800000000 + 8 * 3600, date);
    assert_string_equal(date, "2027-01-16");
    decision_date(-8 * 3600 - 1, date);
    assert_string_equal(date, "1969-12-31");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_complete_case_is_a_must),
        cmocka_unit_test(what_is_stale_or_missing_is_unknown),
        cmocka_unit_test(the_status_of_a_row_is_named_as_the_contract_does),
        cmocka_unit_test(a_hostile_report_stays_within_bounds),
        cmocka_unit_test(a_long_history_is_cut_to_what_rules_read),
        cmocka_unit_test(what_the_asker_adds_is_kept_without_free_text),
        cmocka_unit_test(times_are_written_in_utc_plus_8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
