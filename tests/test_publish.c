/* Goal: what a message of a LIS adds to our log is what DESIGN 5 and 6 say, in
 * whatever order messages come, and sealing is the same each time.
 * Method: a ledger in memory to which the steps of each plan are applied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/log.pb-c.h"
#include "tests/world.h"

enum { ROWS_MAX = 64 };

struct ledger {
    struct world w;
    struct publish_context context;
    struct publish_row rows[ROWS_MAX];
    size_t count;
    struct publish_plan plan;
};

static const uint8_t held_key[KEY_BYTES] = {7};

static int
setup(void **state)
{
    struct ledger *l = calloc(1, sizeof *l);
    world_open(&l->w, NULL);
    l->context = l->w.houses[0].publish;
    *state = l;
    return 0;
}

static int
teardown(void **state)
{
    struct ledger *l = *state;
    world_close(&l->w);
    free(l);
    return 0;
}

/* Plan and carry out; returns the outcome. */
static enum publish_outcome
message(struct ledger *l, struct world_report *r, uint32_t withdraw)
{
    r->report.institution = text_of("h0");
    OK(publish_plan(&l->context, &r->report, withdraw, l->rows, l->count, &l->plan));
    for (size_t i = 0; i < l->plan.count; i++) {
        struct publication p;
        OK(publish_make(&l->context, &r->report, &l->plan.steps[i], held_key, &p));
        assert_true(l->count < ROWS_MAX);
        p.row.leaf = l->count;
        l->rows[l->count++] = p.row;
        publication_free(&p);
    }
    return l->plan.outcome;
}

static void
assert_steps(const struct ledger *l, size_t count, ...)
{
    va_list args;
    assert_int_equal(l->plan.outcome, PUBLISH_STEPS);
    assert_int_equal(l->plan.count, count);
    va_start(args, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(l->plan.steps[i].what, va_arg(args, int));
    }
    va_end(args);
}

static size_t
live_count(const struct ledger *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->count; i++) {
        n += publish_is_live(l->rows, l->count, i);
    }
    return n;
}

static void
a_repeat_adds_nothing(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    message(l, &r, 0);
    assert_steps(l, 1, PUBLISH_NEW);
    assert_int_equal(message(l, &r, 0), PUBLISH_REPEAT);
    assert_int_equal(l->count, 1);
}

static void
marks_and_their_footnote_do_not_make_a_repeat_a_correction(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    char *mark[] = {text_of("★")};
    world_report(&r, "R1", WORLD_CARD);
    message(l, &r, 0);
    r.report.mark_note = 1; /* a later charter bears a mark out */
    r.report.marks = mark;
    r.report.n_marks = 1;
    r.items[0].marks = mark;
    r.items[0].n_marks = 1;
    assert_int_equal(message(l, &r, 0), PUBLISH_REPEAT);
}

static void
another_value_is_a_correction_of_what_is_live(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    message(l, &r, 0);
    r.items[0].value = text_of("5.0");
    r.report.status = text_of("corrected");
    message(l, &r, 0);
    assert_steps(l, 1, PUBLISH_CORRECT);
    assert_int_equal(l->plan.steps[0].replaces, 0);
    r.items[0].value = text_of("5.1"); /* a correction of the correction */
    message(l, &r, 0);
    assert_steps(l, 1, PUBLISH_CORRECT);
    assert_int_equal(l->plan.steps[0].replaces, 1);
    assert_int_equal(live_count(l), 1);
}

static void
old_content_that_comes_again_is_not_taken(void **state)
{
    struct ledger *l = *state;
    struct world_report old, new;
    world_report(&old, "R1", WORLD_CARD);
    world_report(&new, "R1", WORLD_CARD);
    new.items[0].value = text_of("5.0");
    message(l, &old, 0);
    message(l, &new, 0);
    assert_int_equal(message(l, &old, 0), PUBLISH_STALE);
    message(l, &new, 1);
    assert_steps(l, 1, PUBLISH_WITHDRAW);
    assert_int_equal(message(l, &new, 0), PUBLISH_STALE);
    assert_int_equal(message(l, &new, 1), PUBLISH_NOTHING);
}

static void
a_preliminary_report_never_follows_a_final_one(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    message(l, &r, 0);
    r.report.status = text_of("preliminary");
    r.items[0].value = text_of("4.0");
    assert_int_equal(message(l, &r, 0), PUBLISH_STALE);
    r.report.reported_at = text_of("2027-01-12T10:00:00+08:00");
    assert_int_equal(message(l, &r, 0), PUBLISH_STALE);
    assert_int_equal(l->count, 1);
}

static void
a_final_report_that_comes_after_its_correction_is_overtaken(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    r.report.status = text_of("corrected");
    r.items[0].value = text_of("5.0");
    message(l, &r, 0);
    assert_steps(l, 1, PUBLISH_NEW);
    r.report.status = text_of("final");
    r.items[0].value = text_of("4.1");
    assert_int_equal(message(l, &r, 0), PUBLISH_STALE);
    r.report.reported_at = text_of("2027-01-10T10:00:00+08:00");
    assert_int_equal(message(l, &r, 0), PUBLISH_STALE);
    r.report.reported_at = text_of("2027-01-12T10:00:00+08:00"); /* issued again since */
    message(l, &r, 0);
    assert_steps(l, 1, PUBLISH_CORRECT);
}

static void
a_time_with_less_precision_is_not_taken_for_an_older_one(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    message(l, &r, 0);
    r.report.reported_at = text_of("2027-01-11");
    r.report.status = text_of("corrected");
    message(l, &r, 0);
    assert_steps(l, 1, PUBLISH_CORRECT);
    r.report.reported_at = text_of("2027-01-10");
    r.items[0].value = text_of("9");
    assert_int_equal(message(l, &r, 0), PUBLISH_STALE);
}

static void
a_result_of_the_wrong_patient_is_withdrawn_and_published_anew(void **state)
{
    struct ledger *l = *state;
    struct world_report r, right;
    world_report(&r, "R1", WORLD_CARD);
    world_report(&right, "R1", WORLD_OTHER_CARD);
    message(l, &r, 0);
    message(l, &right, 0);
    assert_steps(l, 2, PUBLISH_WITHDRAW, PUBLISH_NEW);
    assert_int_equal(l->plan.steps[0].reason, 2);
    assert_memory_equal(l->plan.steps[0].token, l->rows[0].token, TOKEN_BYTES);
    assert_memory_not_equal(l->rows[2].token, l->rows[0].token, TOKEN_BYTES);
    assert_int_equal(live_count(l), 1);
    /* the old message, come again, does not move it back */
    assert_int_equal(message(l, &r, 0), PUBLISH_STALE);
    /* nor does an older one that was never seen */
    r.report.reported_at = text_of("2027-01-11T09:00:00+08:00");
    r.items[0].value = text_of("4.7");
    assert_int_equal(message(l, &r, 0), PUBLISH_STALE);
    assert_int_equal(live_count(l), 1);
}

static void
a_card_and_a_passport_give_two_leaves_that_name_one_each(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    struct publication p;
    world_report(&r, "R1", NULL);
    world_identify(&r, "XX", "ignored third");
    world_identify(&r, "PP", "CHN:E12345678");
    world_identify(&r, "RI", WORLD_CARD);
    world_identify(&r, "RI", WORLD_CARD);
    message(l, &r, 0);
    assert_steps(l, 2, PUBLISH_NEW, PUBLISH_NEW);
    assert_string_equal(l->plan.steps[0].identifier->type, "RI");
    assert_string_equal(l->plan.steps[1].identifier->type, "PP");
    assert_memory_not_equal(l->rows[0].token, l->rows[1].token, TOKEN_BYTES);
    struct patient_keys keys;
    uint8_t plain[4096];
    size_t count;
    OK(publish_make(&l->context, &r.report, &l->plan.steps[1], held_key, &p));
    OK(token_patient_keys(l->context.network_key, "PP", "CHN:E12345678", &keys));
    OK(record_open_with_patient((struct view){p.record, p.record_count}, keys.record_key,
                                FIXTURE_NETWORK, "h0", plain, sizeof plain, &count));
    Hr__Report *opened = hr__report__unpack(NULL, count, plain);
    assert_int_equal(opened->patient->n_identifiers, 1);
    assert_string_equal(opened->patient->identifiers[0]->type, "PP");
    hr__report__free_unpacked(opened, NULL);
    publication_free(&p);
    /* a correction goes to both, a repeat with one of them alone is no news */
    r.items[0].value = text_of("5.0");
    message(l, &r, 0);
    assert_steps(l, 2, PUBLISH_CORRECT, PUBLISH_CORRECT);
    world_report(&r, "R1", WORLD_CARD);
    r.items[0].value = text_of("5.0");
    assert_int_equal(message(l, &r, 0), PUBLISH_REPEAT);
    /* but a correction that names one alone takes the other back */
    r.items[0].value = text_of("5.5");
    message(l, &r, 0);
    assert_steps(l, 2, PUBLISH_WITHDRAW, PUBLISH_CORRECT);
    assert_int_equal(live_count(l), 1);
    message(l, &r, 3);
    assert_steps(l, 1, PUBLISH_WITHDRAW);
}

static void
an_old_message_does_not_publish_under_an_identifier_that_is_new(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    message(l, &r, 0);
    r.report.status = text_of("preliminary");
    world_identify(&r, "PP", "CHN:E12345678");
    assert_int_equal(message(l, &r, 0), PUBLISH_STALE);
    r.report.status = text_of("final"); /* but the same report with a further number does */
    message(l, &r, 0);
    assert_steps(l, 1, PUBLISH_NEW);
    assert_string_equal(l->plan.steps[0].identifier->type, "PP");
}

static void
another_quarter_or_epoch_is_another_token(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    message(l, &r, 0);
    r.report.examined_at = text_of("2026-12-31T23:00:00+08:00");
    r.report.status = text_of("corrected");
    message(l, &r, 0);
    assert_steps(l, 2, PUBLISH_WITHDRAW, PUBLISH_NEW);
    l->context.network_key = &l->w.epochs[1];
    assert_int_equal(message(l, &r, 0), PUBLISH_REPEAT); /* a new epoch alone is no news */
    r.items[0].value = text_of("5.0");
    message(l, &r, 0);
    assert_steps(l, 2, PUBLISH_WITHDRAW, PUBLISH_NEW);
    assert_int_equal(l->plan.steps[0].epoch, 1);
    assert_int_equal(l->rows[l->count - 1].epoch, 2);
    assert_int_equal(live_count(l), 1);
}

static void
what_cannot_be_published_says_why(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    world_report(&r, "R1", NULL);
    assert_int_equal(message(l, &r, 0), PUBLISH_NO_IDENTIFIER);
    world_identify(&r, "RI", WORLD_CARD);
    r.report.examined_at = text_of("2027-01"); /* no day */
    assert_int_equal(message(l, &r, 0), PUBLISH_NO_TIME);
    r.items[0].examined_at = text_of("2027-01-11");
    assert_int_equal(message(l, &r, 0), PUBLISH_STEPS);
    r.report.patient = NULL;
    assert_int_equal(message(l, &r, 0), PUBLISH_NO_IDENTIFIER);
    world_report(&r, "R2", WORLD_CARD);
    l->count = 0;
    assert_int_equal(message(l, &r, 1), PUBLISH_NOTHING);
}

static void
one_report_seals_to_the_same_bytes_and_a_publish_entry_takes_110(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    struct publication a, b;
    struct publish_step step = {.what = PUBLISH_NEW};
    world_report(&r, "R1", WORLD_CARD);
    r.report.institution = text_of("h0");
    step.identifier = &r.identifiers[0];
    OK(publish_make(&l->context, &r.report, &step, held_key, &a));
    OK(publish_make(&l->context, &r.report, &step, NULL, &b)); /* nothing random in it */
    assert_int_equal(a.entry_count, 110);
    assert_int_equal(b.entry_count, 110);
    assert_memory_equal(a.entry, b.entry, 110);
    assert_int_equal(a.record_count, b.record_count);
    assert_memory_equal(a.record, b.record, a.record_count);
    assert_int_equal((a.record_count - RECORD_OVERHEAD_BYTES) % 256, 0);
    publication_free(&a);
    publication_free(&b);
}

static void
a_report_with_a_sensitive_item_is_held(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    struct publication a, b;
    struct patient_keys keys;
    struct publish_step step = {.what = PUBLISH_NEW};
    uint8_t other[KEY_BYTES] = {8}, plain[4096];
    size_t count;
    world_report(&r, "R1", WORLD_CARD);
    r.report.institution = text_of("h0");
    (void)world_item(&r, "LAB.HIVAB", "negative");
    step.identifier = &r.identifiers[0];
    OK(publish_make(&l->context, &r.report, &step, held_key, &a));
    OK(publish_make(&l->context, &r.report, &step, other, &b));
    assert_true(a.held);
    assert_int_equal(a.entry_count, 110 - 54); /* no brief */
    assert_memory_not_equal(a.record, b.record, a.record_count);
    OK(token_patient_keys(l->context.network_key, "RI", WORLD_CARD, &keys));
    assert_int_equal(record_open_with_patient((struct view){a.record, a.record_count},
                                              keys.record_key, FIXTURE_NETWORK, "h0", plain,
                                              sizeof plain, &count),
                     STATUS_BAD_KEY);
    OK(record_open_with_patient((struct view){a.record, a.record_count}, held_key,
                                FIXTURE_NETWORK, "h0", plain, sizeof plain, &count));
    publication_free(&a);
    publication_free(&b);
}

static void
a_brief_names_the_items_and_says_when_it_does_not_name_all(void **state)
{
    struct ledger *l = *state;
    static const struct {
        const char *second;
        bool more;
    } cases[] = {{"LAB.NA", false}, {"", true}, {"NOT.IN.CATALOG", true}};
    for (size_t i = 0; i < 3; i++) {
        struct world_report r;
        struct publication p;
        struct brief brief;
        struct patient_keys keys;
        struct publish_step step = {.what = PUBLISH_NEW};
        world_report(&r, "R1", WORLD_CARD);
        r.report.institution = text_of("h0");
        (void)world_item(&r, cases[i].second, "140");
        step.identifier = &r.identifiers[0];
        OK(publish_make(&l->context, &r.report, &step, held_key, &p));
        Hr__PubEntry *e = hr__pub_entry__unpack(NULL, p.entry_count, p.entry);
        ProtobufCBinaryData sealed = e->publish->brief;
        uint8_t packed[256];
        e->publish->brief = (ProtobufCBinaryData){0, NULL};
        size_t count = hr__pub_entry__pack(e, packed);
        OK(token_patient_keys(l->context.network_key, "RI", WORLD_CARD, &keys));
        OK(brief_open((struct view){sealed.data, sealed.len}, keys.brief_key, l->context.origin,
                      (struct view){packed, count}, &brief));
        assert_int_equal(brief.more, cases[i].more);
        assert_int_equal(brief.count, cases[i].more ? 1 : 2);
        assert_int_equal(brief.numbers[0], 1);
        assert_int_equal(brief.status, BRIEF_FINAL);
        e->publish->brief = sealed;
        hr__pub_entry__free_unpacked(e, NULL);
        publication_free(&p);
    }
}

static void
a_report_that_is_too_large_is_refused(void **state)
{
    struct ledger *l = *state;
    struct world_report r;
    struct publication p;
    struct publish_step step = {.what = PUBLISH_NEW};
    char *findings = malloc(REPORT_BYTES_MAX + 1);
    memset(findings, 'x', REPORT_BYTES_MAX);
    findings[REPORT_BYTES_MAX] = '\0';
    world_report(&r, "R1", WORLD_CARD);
    r.report.institution = text_of("h0");
    r.report.findings = findings;
    step.identifier = &r.identifiers[0];
    assert_int_equal(publish_make(&l->context, &r.report, &step, held_key, &p), STATUS_TOO_BIG);
    assert_null(p.record);
    free(findings);
}

static void
a_ledger_row_survives_packing_and_nothing_else_is_taken_for_one(void **state)
{
    struct publish_row a = {.reported_s = 1800000000, .rank = 3, .what = 2, .replaces = 77}, b;
    uint8_t bytes[PUBLISH_RANK_BYTES];
    (void)state;
    memset(a.identifier, 9, sizeof a.identifier);
    publish_row_pack(&a, bytes);
    memset(&b, 0, sizeof b);
    OK(publish_row_unpack((struct view){bytes, sizeof bytes}, &b));
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(publish_row_unpack((struct view){bytes, sizeof bytes - 1}, &b),
                     STATUS_CORRUPT);
    bytes[25] = 4;
    assert_int_equal(publish_row_unpack((struct view){bytes, sizeof bytes}, &b),
                     STATUS_CORRUPT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_repeat_adds_nothing),
        TEST(marks_and_their_footnote_do_not_make_a_repeat_a_correction),
        TEST(another_value_is_a_correction_of_what_is_live),
        TEST(old_content_that_comes_again_is_not_taken),
        TEST(a_preliminary_report_never_follows_a_final_one),
        TEST(a_final_report_that_comes_after_its_correction_is_overtaken),
        TEST(a_time_with_less_precision_is_not_taken_for_an_older_one),
        TEST(a_result_of_the_wrong_patient_is_withdrawn_and_published_anew),
        TEST(a_card_and_a_passport_give_two_leaves_that_name_one_each),
        TEST(an_old_message_does_not_publish_under_an_identifier_that_is_new),
        TEST(another_quarter_or_epoch_is_another_token),
        TEST(what_cannot_be_published_says_why),
        TEST(one_report_seals_to_the_same_bytes_and_a_publish_entry_takes_110),
        TEST(a_report_with_a_sensitive_item_is_held),
        TEST(a_brief_names_the_items_and_says_when_it_does_not_name_all),
        TEST(a_report_that_is_too_large_is_refused),
        TEST(a_ledger_row_survives_packing_and_nothing_else_is_taken_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
