/* Goal: exactly the recognitions that leaned on a fact which holds no more are listed,
 * with what the doctor did, and never one that leaned on another fact, was no
 * recognition, or had no quality fact at all.
 * Method: decisions recorded as a look-up records them, under a shipped pack and a quality
 * document in memory; then another document; each case differs in one thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/decision_input.h"
#include "node/impact.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "tests/charter_fixture.h"

static const char PACK[] = "hubei-2023";
static struct policy_set *set;
static size_t pack_at;
static char reason[CHARTER_REASON_CHARS];

static Hr__Round
round_of(char *date, bool passed)
{
    static char national[] = "national";
    Hr__Round r;
    hr__round__init(&r);
    r.organiser = national;
    r.date = date;
    r.passed = passed;
    return r;
}

/* h1's rounds of LAB.K and LAB.NA in 2026; `failed` is the item that failed them. */
static struct charter *
charter_of(uint64_t version, int failed)
{
    static char march[] = "2026-03-10", september[] = "2026-09-10", h1[] = "h1";
    static char codes[2][8] = {"LAB.K", "LAB.NA"};
    Hr__Round rounds[4];
    Hr__Round *lists[4];
    Hr__QualityRow rows[2];
    ProtobufCMessage *list[2];
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 1,
                             .other_keys = 1,
                             .root_threshold = 1,
                             .other_threshold = 1};
    for (int i = 0; i < 2; i++) {
        rounds[2 * i] = round_of(march, failed != i);
        rounds[2 * i + 1] = round_of(september, failed != i);
        lists[2 * i] = &rounds[2 * i];
        lists[2 * i + 1] = &rounds[2 * i + 1];
        hr__quality_row__init(&rows[i]);
        rows[i].institution = h1;
        rows[i].item = codes[i];
        rows[i].rounds = &lists[2 * i];
        rows[i].n_rounds = 2;
        list[i] = &rows[i].base;
    }
    struct fixture_doc root = fixture_make_root(&r, 1);
    struct fixture_doc q = fixture_build(fixture_head(CHARTER_QUALITY, version), list, 2, 1);
    const struct charter_document *docs[] = {&q.doc};
    struct charter *c;
    if (charter_load(&root.doc, docs, 1, &c, reason) != STATUS_OK) {
        fail_msg("load: %s", reason);
    }
    fixture_doc_free(&root);
    fixture_doc_free(&q);
    return c;
}

/* The input of a decision of 2027-01-15, as decision_input makes it. */
static json_t *
input_of(const struct charter *c, const char *item, bool with_quality)
{
    static const char hospital[] =
        "{\"code\":\"%s\",\"territory\":\"420581\",\"level\":\"tertiary\",\"grade\":\"A\","
        "\"alliances\":[],\"listing\":[{\"status\":\"listed\",\"from\":\"2024-01-01\"}]}";
    char issuer[256], receiver[256];
    snprintf(issuer, sizeof issuer, hospital, "h1");
    snprintf(receiver, sizeof receiver, hospital, "h2");
    json_t *o = json_pack(
        "{s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "pack", PACK, "at", "2027-01-15T10:00:00+08:00",
        "in_force_from", "2024-01-01", "item", item, "issuer", json_loads(issuer, 0, NULL),
        "receiver", json_loads(receiver, 0, NULL), "result",
        json_pack("{s:s,s:s,s:[s],s:b}", "examined_at", "2027-01-13T08:00:00+08:00", "status",
                  "final", "marks", "\xe9\x84\x82HR", "critical", 0));
    assert_non_null(o);
    if (with_quality) {
        json_object_set_new(
            o, "quality",
            decision_quality(c, "h1", item, FIXTURE_NOW, "2027-01-13T08:00:00+08:00"));
    }
    return o;
}

static void
entry_into(struct impact *m, const Hr__ExchEntry *e, struct hash *leaf)
{
    uint8_t bytes[ENTRY_BYTES_MAX];
    size_t n;
    assert_int_equal(pb_pack(&e->base, bytes, sizeof bytes, &n), STATUS_OK);
    if (leaf != NULL) {
        tree_leaf_hash(bytes, n, leaf);
    }
    assert_int_equal(impact_entry(m, set, (struct view){bytes, n}), STATUS_OK);
}

/* Record a decision; its verdict is returned. */
static enum hr_verdict
decide_into(struct impact *m, json_t *input, uint64_t leaf, bool known_pack, struct hash *hash)
{
    static char origin[] = FIXTURE_NETWORK "/h1/pub";
    uint8_t pack_hash[HASH_BYTES];
    char item[32], pack[32], verdict[16];
    struct policy_arena arena = {NULL};
    struct hr_policy_input in;
    struct hr_decision d;
    size_t bytes;
    assert_int_equal(policy_input_from_json(input, &arena, &in), STATUS_OK);
    hr_decide(policy_set_pack(set, pack_at), policy_set_catalog(set), &in, &d);
    policy_arena_free(&arena);
    Hr__Decided e;
    Hr__Leaf l;
    Hr__ExchEntry entry;
    hr__decided__init(&e);
    hr__leaf__init(&l);
    hr__exch_entry__init(&entry);
    l.origin = origin;
    l.index = leaf;
    e.leaf = &l;
    e.at_ms = (uint64_t)FIXTURE_NOW * 1000;
    memcpy(pack_hash, policy_set_hash(set, pack_at), HASH_BYTES);
    pack_hash[0] ^= !known_pack;
    e.pack_hash = (ProtobufCBinaryData){HASH_BYTES, pack_hash};
    snprintf(pack, sizeof pack, "%s", PACK);
    snprintf(item, sizeof item, "%s", json_string_value(json_object_get(input, "item")));
    snprintf(verdict, sizeof verdict, "%s", hr_verdict_name(d.verdict));
    e.pack = pack;
    e.item = item;
    e.verdict = verdict;
    e.at_best = verdict;
    char *text = policy_json_canonical(input, &bytes);
    e.input = (ProtobufCBinaryData){bytes, (uint8_t *)text};
    entry.what_case = HR__EXCH_ENTRY__WHAT_DECIDED;
    entry.decided = &e;
    entry_into(m, &entry, hash);
    free(text);
    json_decref(input);
    return d.verdict;
}

static size_t
outcome_bytes(const struct hash *decided, uint32_t what, uint8_t out[ENTRY_BYTES_MAX])
{
    Hr__Outcome o;
    Hr__ExchEntry entry;
    struct hash copy = *decided;
    size_t n;
    hr__outcome__init(&o);
    hr__exch_entry__init(&entry);
    o.decided = (ProtobufCBinaryData){HASH_BYTES, copy.bytes};
    o.what = what;
    entry.what_case = HR__EXCH_ENTRY__WHAT_OUTCOME;
    entry.outcome = &o;
    assert_int_equal(pb_pack(&entry.base, out, ENTRY_BYTES_MAX, &n), STATUS_OK);
    return n;
}

static void
outcome_into(struct impact *m, const struct hash *decided, uint32_t what)
{
    uint8_t bytes[ENTRY_BYTES_MAX];
    size_t n = outcome_bytes(decided, what, bytes);
    assert_int_equal(impact_entry(m, set, (struct view){bytes, n}), STATUS_OK);
}

static void
test_only_what_leaned_on_the_fact_is_listed(void **state)
{
    (void)state;
    struct charter *before = charter_of(1, -1), *after = charter_of(2, 0);
    struct impact *m;
    struct impact_totals t;
    struct hash hash[2];
    size_t count;
    assert_int_equal(impact_open(after, &m), STATUS_OK);
    enum hr_verdict v = decide_into(m, input_of(before, "LAB.K", true), 5, true, &hash[0]);
    assert_true(v >= HR_MAY);
    (void)decide_into(m, input_of(before, "LAB.NA", true), 6, true, NULL); /* another item */
    (void)decide_into(m, input_of(before, "LAB.K", false), 7, true, NULL); /* it was unknown */
    v = decide_into(m, input_of(before, "LAB.K", true), 8, true, &hash[1]);
    (void)decide_into(m, input_of(before, "LAB.K", true), 9, false, NULL); /* pack not here */
    (void)decide_into(m, input_of(after, "LAB.K", true), 10, true, NULL);  /* knew it already */
    outcome_into(m, &hash[0], 2);
    outcome_into(m, &hash[0], 1);
    outcome_into(m, &hash[1], 2);
    const struct impact_row *rows = impact_rows(m, &count);
    impact_totals(m, &t);
    assert_int_equal(count, 2);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.untold, 1);
    assert_int_equal(t.recognized, 1);
    assert_int_equal(t.unreadable, 0);
    assert_int_equal(t.entries, 9);
    assert_int_equal(rows[0].leaf, 5);
    assert_int_equal(rows[0].entry, 0);
    assert_int_equal(rows[1].leaf, 8);
    assert_string_equal(rows[0].issuer, "h1");
    assert_string_equal(rows[0].item, "LAB.K");
    assert_string_equal(rows[0].origin, FIXTURE_NETWORK "/h1/pub");
    assert_int_equal(rows[0].before, v);
    assert_true(rows[0].after < v);
    assert_non_null(strstr(rows[0].why, "quality: true > false"));
    assert_int_equal(rows[0].outcome, IMPACT_RECOGNIZED);
    assert_int_equal(rows[1].outcome, IMPACT_REPEATED);
    impact_close(m);
    /* By the document of the time nothing changed; a fact that is better now is no fall. */
    assert_int_equal(impact_open(before, &m), STATUS_OK);
    (void)decide_into(m, input_of(before, "LAB.K", true), 5, true, NULL);
    (void)decide_into(m, input_of(after, "LAB.K", true), 6, true, NULL);
    impact_totals(m, &t);
    assert_int_equal(t.count, 0);
    impact_close(m);
    charter_free(before);
    charter_free(after);
}

static void
recovered_into(struct impact *m, char *previous, uint64_t size, uint64_t missing)
{
    Hr__ExchEntry entry;
    Hr__Recovered r;
    Hr__Head own;
    hr__exch_entry__init(&entry);
    hr__recovered__init(&r);
    hr__head__init(&own);
    own.size = size;
    r.own = size > 0 ? &own : NULL;
    r.previous = previous;
    r.missing = missing;
    entry.what_case = HR__EXCH_ENTRY__WHAT_RECOVERED;
    entry.recovered = &r;
    entry_into(m, &entry, NULL);
}

static void
test_several_logs_are_one_list_and_what_a_recovery_lost_is_known(void **state)
{
    (void)state;
    static char a[] = FIXTURE_NETWORK "/h3/exch/0000000a", b[] = FIXTURE_NETWORK "/h3/exch/b";
    struct charter *before = charter_of(1, -1), *after = charter_of(2, 0);
    struct impact *m;
    struct impact_totals t;
    struct hash hash;
    size_t count;
    assert_int_equal(impact_open(after, &m), STATUS_OK);
    impact_log(m, text_view(a));
    recovered_into(m, b, 7, 0); /* of the log before, 7 were known; later somebody shows 9 */
    recovered_into(m, b, 7, 2);
    recovered_into(m, b, 7, 1);
    recovered_into(m, a, 0, UINT64_MAX);
    impact_log(m, text_view(b));
    (void)decide_into(m, input_of(before, "LAB.K", true), 5, true, &hash);
    const struct impact_row *rows = impact_rows(m, &count);
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].exch, b);
    assert_int_equal(rows[0].entry, 0);
    assert_int_equal(rows[0].outcome, IMPACT_NO_OUTCOME);
    impact_totals(m, &t);
    assert_int_equal(t.logs, 2);
    assert_int_equal(t.entries, 5);
    const struct impact_before *logs = impact_before(m, &count);
    assert_int_equal(count, 2);
    assert_string_equal(logs[0].origin, b);
    assert_int_equal(logs[0].size, 9);
    assert_true(logs[1].size == TREE_SIZE_MAX);
    /* An outcome in a log that was read before: the entries come once more for it. */
    uint8_t bytes[ENTRY_BYTES_MAX];
    size_t n = outcome_bytes(&hash, 1, bytes);
    assert_int_equal(impact_outcome(m, (struct view){bytes, n}), STATUS_OK);
    assert_int_equal(impact_outcome(m, (struct view){bytes, n}), STATUS_OK);
    assert_int_equal(impact_outcome(m, (struct view){bytes, n - 1}), STATUS_OK);
    rows = impact_rows(m, &count);
    assert_int_equal(rows[0].outcome, IMPACT_RECOGNIZED);
    impact_totals(m, &t);
    assert_int_equal(t.entries, 5);
    assert_int_equal(t.recognized, 1);
    for (unsigned i = 0; i < IMPACT_BEFORE_MAX + 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "x/%u", i);
        recovered_into(m, name, 1, 0);
    }
    (void)impact_before(m, &count);
    assert_int_equal(count, IMPACT_BEFORE_MAX);
    impact_close(m);
    charter_free(before);
    charter_free(after);
}

static void
test_garbage_is_counted_and_many_rows_are_bounded(void **state)
{
    (void)state;
    struct charter *before = charter_of(1, -1), *after = charter_of(2, 0);
    struct impact *m;
    struct impact_totals t;
    size_t count;
    assert_int_equal(impact_open(after, &m), STATUS_OK);
    assert_int_equal(impact_entry(m, set, (struct view){(const uint8_t *)"\xff\xff", 2}),
                     STATUS_OK);
    for (uint64_t i = 0; i < IMPACT_ROWS_MAX + 3; i++) {
        (void)decide_into(m, input_of(before, "LAB.K", true), i, true, NULL);
    }
    (void)impact_rows(m, &count);
    impact_totals(m, &t);
    assert_int_equal(t.unreadable, 1);
    assert_int_equal(t.count, IMPACT_ROWS_MAX + 3);
    assert_int_equal(count, IMPACT_ROWS_MAX);
    impact_close(m);
    charter_free(before);
    charter_free(after);
}

int
main(void)
{
    char error[256];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_leaned_on_the_fact_is_listed),
        cmocka_unit_test(test_several_logs_are_one_list_and_what_a_recovery_lost_is_known),
        cmocka_unit_test(test_garbage_is_counted_and_many_rows_are_bounded),
    };
    if (sodium_init() < 0 || policy_set_load_embedded(&set, error, sizeof error) != STATUS_OK) {
        return 1;
    }
    for (size_t i = 0; i < policy_set_count(set); i++) {
        struct hr_text id = hr_pack_id(policy_set_pack(set, i));
        if (id.size == strlen(PACK) && memcmp(id.bytes, PACK, id.size) == 0) {
            pack_at = i;
        }
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    policy_set_free(set);
    return failed;
}
