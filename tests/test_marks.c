/* Goal: a mark is derived from the charter and the pack, never typed; what a
 * source claims stays a claim (policy contract, "The mark"; AMB-HB03).
 * Method: reports of h0, whose quality rows bear out potassium and sodium. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/decision_input.h"
#include "tests/world.h"

struct marked {
    struct world w;
    struct report_arena *arena;
    struct world_report r;
};

static void
open_marked(struct marked *m, const struct world_options *o)
{
    world_open(&m->w, o);
    m->arena = report_arena_new(1024 * 1024);
    world_report(&m->r, "R1", WORLD_CARD);
    m->r.report.institution = text_of("h0");
}

static void
close_marked(struct marked *m)
{
    report_arena_free(m->arena);
    world_close(&m->w);
}

static void
derive(struct marked *m)
{
    OK(marks_derive(m->w.charter, m->w.policy, "h0", FIXTURE_NOW, m->arena, &m->r.report));
}

/* The marks that hold for item `i`, as the decision reads them, joined. */
static const char *
marks_of(const struct marked *m, size_t i, char out[256])
{
    struct decision_case k = {.issuer = "h0", .receiver = "h3", .at_s = FIXTURE_NOW};
    json_t *input = decision_input(m->w.charter, &k, WORLD_PACK, &m->r.report, &m->r.items[i]);
    json_t *list = json_object_get(json_object_get(input, "result"), "marks");
    out[0] = '\0';
    for (size_t at = 0; at < json_array_size(list); at++) {
        strcat(out, json_string_value(json_array_get(list, at)));
        strcat(out, "|");
    }
    json_decref(input);
    return out;
}

static void
a_row_that_is_borne_out_gets_its_sign_and_the_page_its_mark(void **state)
{
    struct marked m;
    char text[256];
    (void)state;
    open_marked(&m, NULL);
    (void)world_item(&m.r, "LAB.HIVAB", "negative"); /* no quality row: unknown */
    (void)world_item(&m.r, "", "12");
    derive(&m);
    assert_int_equal(m.r.report.n_marks, 1);
    assert_string_equal(m.r.report.marks[0], "鄂HR");
    assert_int_equal(m.r.report.mark_note, 1);
    assert_int_equal(m.r.items[0].n_marks, 1);
    assert_string_equal(m.r.items[0].marks[0], "★");
    assert_int_equal(m.r.items[1].n_marks, 0);
    assert_int_equal(m.r.items[2].n_marks, 0);
    assert_string_equal(marks_of(&m, 0, text), "★|鄂HR|");
    assert_string_equal(marks_of(&m, 1, text), ""); /* other rows bear a sign, this does not */
    close_marked(&m);
}

static void
a_page_mark_counts_for_every_row_when_none_bears_a_sign(void **state)
{
    struct marked m;
    char text[256];
    char *page[] = {text_of("鄂HR")};
    (void)state;
    open_marked(&m, NULL);
    (void)world_item(&m.r, "LAB.NA", "140");
    m.r.report.marks = page;
    m.r.report.n_marks = 1;
    assert_string_equal(marks_of(&m, 0, text), "鄂HR|");
    assert_string_equal(marks_of(&m, 1, text), "鄂HR|");
    close_marked(&m);
}

static void
a_claim_is_borne_out_by_the_same_mark_at_its_row_or_page_alone(void **state)
{
    Hr__Report r;
    Hr__Item items[2];
    Hr__Item *list[] = {&items[0], &items[1]};
    char *star[] = {text_of("★")};
    char *page[] = {text_of("鄂HR")};
    (void)state;
    hr__report__init(&r);
    hr__item__init(&items[0]);
    hr__item__init(&items[1]);
    r.items = list;
    r.n_items = 2;
    assert_false(marks_bear_out(&r, &items[0], "★"));
    items[0].marks = star;
    items[0].n_marks = 1;
    r.marks = page;
    r.n_marks = 1;
    assert_true(marks_bear_out(&r, &items[0], "★"));
    assert_true(marks_bear_out(&r, &items[0], "鄂HR"));
    assert_false(marks_bear_out(&r, &items[0], "互认"));
    assert_false(marks_bear_out(&r, &items[1], "★"));
    assert_false(marks_bear_out(&r, &items[1], "鄂HR")); /* another row bears the sign */
    assert_true(marks_bear_out(&r, NULL, "★"));
    assert_true(marks_bear_out(&r, NULL, "鄂HR"));
    assert_false(marks_bear_out(&r, NULL, "*"));
}

static void
what_is_claimed_is_kept_and_never_counted(void **state)
{
    struct marked m;
    char text[256];
    char *claimed[] = {text_of("鄂HR")};
    (void)state;
    open_marked(&m, &(struct world_options){.no_quality = true});
    m.r.report.claimed_marks = claimed;
    m.r.report.n_claimed_marks = 1;
    m.r.items[0].claimed_marks = claimed;
    m.r.items[0].n_claimed_marks = 1;
    derive(&m);
    assert_int_equal(m.r.report.n_marks, 0);
    assert_int_equal(m.r.items[0].n_marks, 0);
    assert_int_equal(m.r.report.n_claimed_marks, 1);
    assert_int_equal(m.r.items[0].n_claimed_marks, 1);
    assert_string_equal(marks_of(&m, 0, text), "");
    close_marked(&m);
}

static void
marks_that_came_with_the_report_are_gone_with_their_lists(void **state)
{
    struct marked m;
    char *typed[1] = {text_of("鄂HR")}; /* a list without room for another */
    (void)state;
    open_marked(&m, NULL);
    (void)world_item(&m.r, "LAB.HIVAB", "negative");
    for (size_t i = 0; i < 2; i++) {
        m.r.items[i].marks = typed;
        m.r.items[i].n_marks = i; /* also a list that only says that it is empty */
    }
    m.r.report.marks = typed;
    m.r.report.n_marks = 0;
    m.r.report.mark_note = 2;
    derive(&m);
    assert_string_equal(typed[0], "鄂HR");
    assert_ptr_not_equal(m.r.report.marks, typed);
    assert_ptr_not_equal(m.r.items[0].marks, typed);
    assert_int_equal(m.r.items[1].n_marks, 0);
    derive(&m); /* and twice is as once */
    assert_int_equal(m.r.report.n_marks, 1);
    assert_int_equal(m.r.items[0].n_marks, 1);
    close_marked(&m);
}

static void
a_charter_that_does_not_bear_it_out_gives_no_mark(void **state)
{
    static const struct world_options without[] = {
        {.no_quality = true}, {.no_policy = true}, {.unknown_pack = true}};
    (void)state;
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        struct marked m;
        open_marked(&m, &without[i]);
        derive(&m);
        assert_int_equal(m.r.report.n_marks, 0);
        assert_int_equal(m.r.items[0].n_marks, 0);
        assert_int_equal(m.r.report.mark_note, 0);
        close_marked(&m);
    }
}

static void
the_moment_is_that_of_the_report(void **state)
{
    struct marked m;
    (void)state;
    open_marked(&m, NULL);
    m.r.report.examined_at = text_of("2023-12-30T08:00:00+08:00"); /* before in_force_from */
    m.r.report.reported_at = text_of("2023-12-31T23:59:00+08:00");
    derive(&m);
    assert_int_equal(m.r.items[0].n_marks, 0);
    close_marked(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_is_borne_out_gets_its_sign_and_the_page_its_mark),
        cmocka_unit_test(a_page_mark_counts_for_every_row_when_none_bears_a_sign),
        cmocka_unit_test(a_claim_is_borne_out_by_the_same_mark_at_its_row_or_page_alone),
        cmocka_unit_test(what_is_claimed_is_kept_and_never_counted),
        cmocka_unit_test(marks_that_came_with_the_report_are_gone_with_their_lists),
        cmocka_unit_test(a_charter_that_does_not_bear_it_out_gives_no_mark),
        cmocka_unit_test(the_moment_is_that_of_the_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
