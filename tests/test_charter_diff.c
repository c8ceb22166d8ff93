/* Goal: every row that came, went or changed between two versions is named with its
 * fields, and what it means for people is said: a failure in the past is an alarm.
 * Method: pairs of documents that differ in one thing; the JSON is compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/charter_diff.h"
#include "tests/charter_fixture.h"

static char reason[CHARTER_REASON_CHARS];

static json_t *
diff(const struct fixture_doc *a, const struct fixture_doc *b)
{
    json_t *out;
    if (charter_diff(&a->doc, &b->doc, &out, reason) != STATUS_OK) {
        fail_msg("diff: %s", reason);
    }
    return out;
}

static json_int_t
number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

/* The text of what is meant, or fails; `alarm` as expected. */
static const char *
meaning(const json_t *o, const char *what, bool alarm)
{
    const json_t *list = json_object_get(o, "meaning");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *m = json_array_get(list, i);
        if (strcmp(json_string_value(json_object_get(m, "what")), what) == 0) {
            assert_int_equal(json_is_true(json_object_get(m, "alarm")), alarm);
            return json_string_value(json_object_get(m, "text"));
        }
    }
    fail_msg("nothing is said of %s", what);
    return "";
}

static Hr__Round
round_of(char *organiser, char *date, bool passed)
{
    Hr__Round r;
    hr__round__init(&r);
    r.organiser = organiser;
    r.date = date;
    r.passed = passed;
    return r;
}

static struct fixture_doc
quality(uint64_t version, Hr__Round *rounds, size_t count)
{
    static char h1[] = "h1", item[] = "LAB.K";
    Hr__Round *list[8];
    Hr__QualityRow q;
    hr__quality_row__init(&q);
    q.institution = h1;
    q.item = item;
    for (size_t i = 0; i < count; i++) {
        list[i] = &rounds[i];
    }
    q.rounds = list;
    q.n_rounds = count;
    ProtobufCMessage *rows[] = {&q.base};
    return fixture_build(fixture_head(CHARTER_QUALITY, version), rows, 1, 0);
}

static void
test_a_failure_in_the_past_is_an_alarm(void **state)
{
    (void)state;
    static char national[] = "national", may[] = "2026-05-01", june[] = "2026-06-01",
                later[] = "2099-01-01";
    Hr__Round before[] = {round_of(national, may, true)};
    Hr__Round after[] = {round_of(national, may, true), round_of(national, june, false),
                         round_of(national, later, false)};
    struct fixture_doc a = quality(1, before, 1), b = quality(2, after, 3);
    struct fixture_doc c = quality(3, after, 2);
    json_t *o = diff(&a, &b);
    assert_int_equal(number(o, "changed"), 1);
    assert_int_equal(number(o, "added"), 0);
    assert_int_equal(number(o, "removed"), 0);
    const json_t *row = json_array_get(json_object_get(o, "rows"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "row")), "h1 LAB.K");
    const json_t *field = json_array_get(json_object_get(row, "fields"), 0);
    assert_string_equal(json_string_value(json_object_get(field, "field")), "rounds");
    assert_int_equal(json_array_size(json_object_get(field, "added")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(field, "added"), 0)),
                        "national 2026-06-01 FAILED");
    assert_int_equal(json_array_size(json_object_get(row, "fields")), 1);
    assert_non_null(
        strstr(meaning(o, "retroactive", true), "FAILED the national round of 2026-06-01"));
    assert_non_null(strstr(meaning(o, "round_failed", true), "2099-01-01"));
    json_decref(o);
    o = diff(&b, &c);
    assert_non_null(strstr(meaning(o, "round_removed", false), "2099-01-01"));
    json_decref(o);
    o = diff(&b, &b);
    assert_true(json_is_true(json_object_get(o, "same")));
    assert_int_equal(json_array_size(json_object_get(o, "rows")), 0);
    assert_int_equal(json_array_size(json_object_get(o, "meaning")), 0);
    json_decref(o);
    fixture_doc_free(&a);
    fixture_doc_free(&b);
    fixture_doc_free(&c);
}

static struct fixture_doc
roster(uint64_t version, unsigned count, const char *left, bool listed)
{
    static char pack[] = "hubei-2023", exited[] = "exited", from[] = "2027-01-01";
    struct fixture_member m[4];
    ProtobufCMessage *rows[4];
    Hr__Listing l, *listing[1] = {&l};
    hr__listing__init(&l);
    l.pack = pack;
    l.status = exited;
    l.from = from;
    char day[16];
    snprintf(day, sizeof day, "%s", left);
    for (unsigned i = 0; i < count; i++) {
        fixture_member(&m[i], i, i == 0);
        rows[i] = &m[i].row.base;
    }
    m[0].row.left = day;
    if (listed) {
        m[0].row.listings = listing;
        m[0].row.n_listings = 1;
        m[0].row.listings_known = true;
    }
    return fixture_build(fixture_head(CHARTER_MEMBERS, version), rows, count, 0);
}

static void
test_who_joins_leaves_and_exits_is_said(void **state)
{
    (void)state;
    struct fixture_doc a = roster(1, 2, "", false), b = roster(2, 3, "2027-03-01", true);
    json_t *o = diff(&a, &b);
    assert_int_equal(number(o, "added"), 1);
    assert_int_equal(number(o, "changed"), 1);
    assert_string_equal(meaning(o, "joined", false), "h2 (Hospital 2) joins");
    assert_non_null(strstr(meaning(o, "left", true), "h0 leaves on 2027-03-01"));
    assert_string_equal(meaning(o, "listing", true),
                        "h0: exited in hubei-2023 from 2027-01-01");
    json_decref(o);
    o = diff(&b, &a); /* the way back: a row that is gone is an alarm */
    assert_int_equal(number(o, "removed"), 1);
    assert_non_null(strstr(meaning(o, "removed", true), "h2 stands no more"));
    assert_non_null(strstr(meaning(o, "chain", false), "newer"));
    json_decref(o);
    fixture_doc_free(&a);
    fixture_doc_free(&b);
}

static struct fixture_doc
root(uint64_t version, unsigned keys, uint32_t threshold,
     const struct charter_document *previous, const struct charter_document *voided)
{
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, version),
                             .root_keys = keys,
                             .other_keys = keys,
                             .root_threshold = threshold,
                             .other_threshold = threshold,
                             .previous = previous,
                             .voided = voided};
    return fixture_make_root(&r, 0);
}

static void
test_keys_thresholds_and_void_texts_are_said(void **state)
{
    (void)state;
    struct fixture_doc m = fixture_members(7, 1, 0, 0);
    struct fixture_doc a = root(1, 3, 2, NULL, NULL), b = root(2, 6, 1, &a.doc, &m.doc);
    struct fixture_doc other = root(1, 7, 2, NULL, NULL), c = root(2, 6, 1, &other.doc, NULL);
    json_t *o = diff(&a, &b);
    assert_string_equal(meaning(o, "key_removed", false), "k0 may no longer sign root");
    assert_string_equal(meaning(o, "key_added", false), "k2 may sign root");
    assert_non_null(strstr(meaning(o, "threshold", true), "needs 1 signatures instead of 2"));
    assert_non_null(strstr(meaning(o, "void", true), "1 text of members: void"));
    json_decref(o);
    o = diff(&a, &c);
    assert_non_null(strstr(meaning(o, "chain", true), "names another root 1"));
    json_decref(o);
    o = diff(&b, &c);
    assert_non_null(strstr(meaning(o, "chain", true), "two texts of one version"));
    json_decref(o);
    json_t *never = NULL;
    assert_int_equal(charter_diff(&a.doc, &m.doc, &never, reason), STATUS_REFUSED);
    assert_null(never);
    assert_non_null(strstr(reason, "cannot be compared"));
    fixture_doc_free(&m);
    fixture_doc_free(&a);
    fixture_doc_free(&b);
    fixture_doc_free(&c);
    fixture_doc_free(&other);
}

static struct fixture_doc
policy(uint64_t version, const char *from, const char *to, uint8_t fill)
{
    static char id[] = "hubei-2023";
    char a[16], b[16];
    uint8_t hash[HASH_BYTES];
    Hr__PolicyRow p;
    hr__policy_row__init(&p);
    memset(hash, fill, sizeof hash);
    snprintf(a, sizeof a, "%s", from);
    snprintf(b, sizeof b, "%s", to);
    p.pack = id;
    p.hash = (ProtobufCBinaryData){HASH_BYTES, hash};
    p.in_force_from = a;
    p.in_force_to = b;
    ProtobufCMessage *rows[] = {&p.base};
    return fixture_build(fixture_head(CHARTER_POLICY, version), rows, 1, 0);
}

static void
test_packs_that_start_and_end_are_said(void **state)
{
    (void)state;
    struct fixture_doc a = policy(1, "2024-01-01", "", 1),
                       b = policy(2, "2024-01-01", "2027-06-30", 1);
    struct fixture_doc c = policy(3, "2027-07-01", "", 2);
    struct fixture_doc none = fixture_build(fixture_head(CHARTER_POLICY, 4), NULL, 0, 0);
    json_t *o = diff(&a, &b);
    assert_string_equal(meaning(o, "pack_ends", false),
                        "pack hubei-2023 ends after 2027-06-30 (before: open)");
    json_decref(o);
    o = diff(&b, &c);
    assert_string_equal(meaning(o, "pack_starts", false),
                        "pack hubei-2023 is in force from 2027-07-01 instead of 2024-01-01");
    assert_non_null(strstr(meaning(o, "pack_changed", true), "other rules"));
    json_decref(o);
    o = diff(&c, &none);
    assert_non_null(strstr(meaning(o, "pack_ends", true), "its row is gone"));
    json_decref(o);
    fixture_doc_free(&a);
    fixture_doc_free(&b);
    fixture_doc_free(&c);
    fixture_doc_free(&none);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_failure_in_the_past_is_an_alarm),
        cmocka_unit_test(test_who_joins_leaves_and_exits_is_said),
        cmocka_unit_test(test_keys_thresholds_and_void_texts_are_said),
        cmocka_unit_test(test_packs_that_start_and_end_are_said),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
