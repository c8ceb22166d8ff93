/* Goal: what import says became of a report is what became of it, and no record
 * leaves the quarantine before what came of it is stored.
 * Method: an owner of the home that is a script of this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/import_io.h"
#include "proto/report.h"
#include "proto/text.h"

/* ---- the owner ---- */

static struct {
    unsigned publishes, drops, lists;
    unsigned fail_publish;  /* the call with this number fails, from 1 */
    unsigned short_publish; /* this one answers one line too few */
    size_t reports, records, dropped, largest_part;
    size_t record_bytes;
} owner;

struct caller {
    int unused;
};

struct caller *
caller_open(struct cli *cli)
{
    (void)cli;
    return calloc(1, sizeof(struct caller));
}

void
caller_close(struct caller *c)
{
    free(c);
}

static int
publish(const struct call *call, struct call_sink *sink)
{
    static const char line[] = "{\"outcome\":\"published\",\"reason\":\"\"}\n";
    owner.publishes++;
    assert_int_equal(json_array_size(json_object_get(call->args, "reports")), call->blob_count);
    if (owner.publishes == owner.fail_publish) {
        return CLI_TROUBLE;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < call->blob_count; i++) {
        bytes += call->blobs[i].count;
        if (i > 0 || owner.publishes != owner.short_publish) {
            sink->text(sink->ctx, false, line, sizeof line - 1);
        }
        Hr__Report *r = hr__report__unpack(NULL, call->blobs[i].count, call->blobs[i].bytes);
        assert_non_null(r);
        hr__report__free_unpacked(r, NULL);
    }
    owner.largest_part = bytes > owner.largest_part ? bytes : owner.largest_part;
    owner.reports += call->blob_count;
    return CLI_YES;
}

/* Records are named by their number as a hash of 64 digits. */
static int
list_records(const struct call *call, struct call_sink *sink)
{
    const char *after = json_string_value(json_object_get(call->args, "after"));
    uint8_t *bytes = calloc(1, owner.record_bytes + 1);
    owner.lists++;
    for (size_t i = 0, given = 0; i < owner.records && given < 64; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "%064zu file of.hl7", i);
        if (strncmp(name, after, 64) > 0 || after[0] == '\0') {
            sink->blob(sink->ctx, name, (struct view){bytes, owner.record_bytes});
            given++;
        }
    }
    free(bytes);
    return CLI_YES;
}

int
caller_run(struct caller *c, const struct call *call, struct call_sink *sink)
{
    (void)c;
    int exit_code = CLI_YES;
    if (strcmp(call->command, "publish") == 0) {
        exit_code = publish(call, sink);
    } else if (strcmp(call->command, "quarantine-list") == 0) {
        exit_code = list_records(call, sink);
    } else if (strcmp(call->command, "quarantine-drop") == 0) {
        owner.drops++;
        owner.dropped += json_array_size(json_object_get(call->args, "hashes"));
    } else {
        assert_string_equal(call->command, "quarantine");
    }
    sink->done(sink->ctx, exit_code);
    return exit_code;
}

/* ---- the command ---- */

struct importing {
    struct cli cli;
    struct importer *im;
    struct report_arena *arena;
    struct normalised n;
    char *text;
    size_t text_count;
};

static int
setup(void **state)
{
    struct importing *s = calloc(1, sizeof *s);
    memset(&owner, 0, sizeof owner);
    owner.record_bytes = 10;
    s->cli.err = tmpfile();
    s->cli.out = open_memstream(&s->text, &s->text_count);
    s->cli.home = "/nowhere";
    s->im = importer_open(&s->cli, NULL);
    assert_non_null(s->im);
    s->arena = report_arena_new(64 * 1024 * 1024);
    s->n.report = report_new(s->arena);
    s->n.report->report_id = report_text(s->arena, text_view("R1"));
    s->n.file = "a.hl7";
    s->n.record = 1;
    (void)report_add_identifier(s->arena, s->n.report, report_text(s->arena, text_view("RI")),
                                report_text(s->arena, text_view("110105194912310029")));
    s->n.usable[0] = true;
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct importing *s = *state;
    importer_close(s->im);
    report_arena_free(s->arena);
    fclose(s->cli.out);
    fclose(s->cli.err);
    free(s->text);
    free(s);
    return 0;
}

static size_t
lines(struct importing *s)
{
    size_t n = 0;
    fflush(s->cli.out);
    for (size_t i = 0; i < s->text_count; i++) {
        n += s->text[i] == '\n';
    }
    return n;
}

static void
reports_go_in_parts_of_bounded_size(void **state)
{
    struct importing *s = *state;
    char *large = malloc(100001);
    memset(large, 'x', 100000);
    large[100000] = '\0';
    s->n.report->findings = large;
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    }
    assert_true(importer_flush(s->im));
    assert_int_equal(owner.reports, 300);
    assert_true(owner.publishes >= 3);
    assert_true(owner.largest_part < 9 * 1024 * 1024);
    assert_int_equal(importer_counts(s->im)->published, 300);
    assert_int_equal(lines(s), 300);
    free(large);
}

static void
what_is_not_to_be_published_is_said_and_not_sent(void **state)
{
    struct importing *s = *state;
    char *large = malloc(REPORT_BYTES_MAX + 1);
    memset(large, 'x', REPORT_BYTES_MAX);
    large[REPORT_BYTES_MAX] = '\0';
    s->n.action = NORMALISE_HOLD;
    s->n.action_reason = "the sender has not released it";
    assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    s->n.action = NORMALISE_PUBLISH;
    s->n.report->findings = large;
    assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    s->n.report->findings = report_text(s->arena, text_view(""));
    assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    assert_true(importer_flush(s->im));
    assert_int_equal(owner.reports, 1);
    assert_int_equal(importer_counts(s->im)->kept_out, 2);
    assert_int_equal(lines(s), 3);
    assert_non_null(strstr(s->text, "the sender has not released it"));
    assert_non_null(strstr(s->text, "larger than"));
    free(large);
}

static void
a_part_that_failed_is_counted_and_the_next_one_goes_on(void **state)
{
    struct importing *s = *state;
    owner.fail_publish = 1;
    owner.short_publish = 2;
    assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    assert_false(importer_flush(s->im));
    assert_int_equal(importer_counts(s->im)->failed, 2);
    assert_int_equal(importer_counts(s->im)->published, 0);
    assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    assert_false(importer_flush(s->im)); /* of one report it is not known */
    assert_int_equal(importer_counts(s->im)->published + importer_counts(s->im)->failed, 4);
    assert_int_equal(importer_report(s->im, &s->n), STATUS_OK);
    assert_true(importer_flush(s->im));
    assert_true(importer_flush(s->im)); /* nothing waits */
    assert_int_equal(owner.publishes, 3);
}

/* ---- quarantine ---- */

struct retrying {
    struct importing *s;
    unsigned seen, reports_each;
    bool all_good;
};

static bool
retry(void *user, const char *file, struct view raw)
{
    struct retrying *r = user;
    assert_string_equal(file, "file of.hl7");
    assert_int_equal(raw.count, owner.record_bytes);
    r->seen++;
    for (unsigned i = 0; i < r->reports_each; i++) {
        if (importer_report(r->s->im, &r->s->n) != STATUS_OK) {
            return false;
        }
    }
    return r->all_good || r->seen % 2 == 0;
}

static void
every_record_in_quarantine_gets_its_turn(void **state)
{
    struct retrying r = {.s = *state, .reports_each = 1};
    owner.records = 200;
    assert_true(importer_retry(r.s->im, retry, &r));
    assert_int_equal(r.seen, 200);
    assert_int_equal(owner.dropped, 100);
    assert_int_equal(owner.reports, 200);
}

static void
records_are_dropped_only_when_all_parts_of_their_page_are_stored(void **state)
{
    struct retrying r = {.s = *state, .reports_each = 50, .all_good = true};
    owner.records = 40; /* 2000 reports: four parts, of which the second fails */
    owner.fail_publish = 2;
    assert_false(importer_retry(r.s->im, retry, &r));
    assert_int_equal(owner.dropped, 0);
    r.seen = 0;
    assert_true(importer_retry(r.s->im, retry, &r)); /* later all of them go in */
    assert_int_equal(owner.dropped, 40);
}

static void
large_records_are_taken_a_few_at_a_time(void **state)
{
    struct retrying r = {.s = *state, .all_good = true};
    owner.records = 10;
    owner.record_bytes = 20 * 1024 * 1024;
    assert_true(importer_retry(r.s->im, retry, &r));
    assert_int_equal(r.seen, 10);
    assert_int_equal(owner.dropped, 10);
    assert_int_equal(owner.lists, 5); /* 3, 3, 3, 1, none */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reports_go_in_parts_of_bounded_size),
        TEST(what_is_not_to_be_published_is_said_and_not_sent),
        TEST(a_part_that_failed_is_counted_and_the_next_one_goes_on),
        TEST(every_record_in_quarantine_gets_its_turn),
        TEST(records_are_dropped_only_when_all_parts_of_their_page_are_stored),
        TEST(large_records_are_taken_a_few_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
