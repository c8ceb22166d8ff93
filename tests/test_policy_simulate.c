/* Goal: a draft is judged by what it changes: a recorded decision is made again from
 * its input alone, flips are counted by item, hospital and cause, and entries that
 * cannot be read neither stop the replay nor pass for decisions.
 * Method: Decided entries made from a shipped pack's vectors, replayed under the
 * same pack and under another province's; damaged copies of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "crypto/tile.h"
#include "node/policy_simulate.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"

static struct policy_set *set;
static size_t hubei, taiyuan;

static int
load(void **state)
{
    char error[256] = "";
    (void)state;
    if (policy_set_load_embedded(&set, error, sizeof error) != STATUS_OK) {
        return -1;
    }
    hubei = policy_set_find(set, "hubei-2023", 10);
    taiyuan = policy_set_find(set, "taiyuan-2024", 12);
    return hubei == SIZE_MAX || taiyuan == SIZE_MAX ? -1 : 0;
}

static int
unload(void **state)
{
    (void)state;
    policy_set_free(set);
    return 0;
}

/* The n-th vector of the Hubei pack. */
static json_t *
vector_at(size_t n, const char *member)
{
    struct view all = policy_set_vectors(set, hubei);
    const char *line = (const char *)all.bytes;
    char error[128];
    for (size_t i = 0; i < n; i++) {
        line = strchr(line, '\n') + 1;
    }
    json_t *v;
    assert_int_equal(
        policy_json_parse(line, (size_t)(strchr(line, '\n') - line), &v, error, sizeof error),
        STATUS_OK);
    json_t *out = json_incref(json_object_get(v, member));
    json_decref(v);
    return out;
}

struct entry {
    uint8_t bytes[ENTRY_BYTES_MAX];
    size_t count;
};

/* A Decided entry; a NULL verdict is what the pack says. */
static struct view
decided(struct entry *out, json_t *input, const char *institution, const char *verdict)
{
    Hr__Decided d;
    Hr__Leaf leaf;
    Hr__ExchEntry e;
    char origin[128];
    uint8_t hash[HASH_BYTES];
    json_t *answer = NULL;
    size_t bytes;
    hr__decided__init(&d);
    hr__leaf__init(&leaf);
    hr__exch_entry__init(&e);
    assert_int_equal(policy_decide_pack(policy_set_pack(set, hubei), policy_set_catalog(set),
                                        input, &answer),
                     STATUS_OK);
    char *text = policy_json_canonical(input, &bytes);
    snprintf(origin, sizeof origin, "net.cn/%s/pub", institution);
    memcpy(hash, policy_set_hash(set, hubei), HASH_BYTES);
    leaf.origin = origin;
    d.leaf = &leaf;
    d.at_ms = 1;
    d.pack = (char *)(uintptr_t) "hubei-2023";
    d.pack_hash = (ProtobufCBinaryData){HASH_BYTES, hash};
    d.input = (ProtobufCBinaryData){bytes, (uint8_t *)text};
    d.item = (char *)(uintptr_t)json_string_value(json_object_get(input, "item"));
    d.verdict =
        (char *)(uintptr_t)(verdict != NULL
                                ? verdict
                                : json_string_value(json_object_get(answer, "verdict")));
    d.at_best = (char *)(uintptr_t)json_string_value(json_object_get(answer, "at_best"));
    e.what_case = HR__EXCH_ENTRY__WHAT_DECIDED;
    e.decided = &d;
    assert_int_equal(pb_pack(&e.base, out->bytes, sizeof out->bytes, &out->count), STATUS_OK);
    free(text);
    json_decref(answer);
    return (struct view){out->bytes, out->count};
}

static struct simulate *
open_draft(size_t pack, const char *only)
{
    struct simulate *s;
    assert_int_equal(simulate_open(policy_set_pack(set, pack), set, only, &s), STATUS_OK);
    return s;
}

static struct simulate_totals
totals(const struct simulate *s)
{
    struct simulate_totals t;
    simulate_totals(s, &t);
    return t;
}

static void
test_the_same_rules_flip_nothing(void **state)
{
    struct simulate *s = open_draft(hubei, NULL);
    struct entry e;
    size_t count;
    (void)state;
    for (size_t i = 0; i < 60; i++) {
        json_t *input = vector_at(i, "input");
        assert_int_equal(simulate_entry(s, decided(&e, input, "h1", NULL)), STATUS_OK);
        json_decref(input);
    }
    struct simulate_totals t = totals(s);
    assert_true(t.entries == 60 && t.replayed == 60 && t.flipped == 0 && t.best_only == 0 &&
                t.unlike == 0 && t.unreadable == 0);
    (void)simulate_rows(s, &count);
    assert_int_equal(count, 0);
    simulate_close(s);
}

static void
test_other_rules_flip_by_item_hospital_and_cause(void **state)
{
    struct simulate *s = open_draft(taiyuan, "hubei-2023");
    struct entry e;
    size_t count;
    (void)state;
    json_t *input = vector_at(0, "input"); /* LAB.MG, must, in 420100 */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(simulate_entry(s, decided(&e, input, i < 2 ? "h1" : "h2", NULL)),
                         STATUS_OK);
    }
    const struct simulate_row *rows = simulate_rows(s, &count);
    assert_int_equal(count, 2);
    assert_string_equal(rows[0].hospital, "h1");
    assert_int_equal(rows[0].count, 2);
    assert_string_equal(rows[1].hospital, "h2");
    assert_int_equal(rows[1].count, 1);
    assert_string_equal(rows[0].item, "LAB.MG");
    assert_string_equal(rows[0].before, "must");
    assert_string_equal(rows[0].after, "no_rule");
    assert_non_null(
        strstr(rows[0].why, "issuer_territory: true > false (at most must > no_rule)"));
    assert_null(strstr(rows[0].why, "usable")); /* it did not change */
    assert_null(strstr(rows[0].why, "window")); /* new, but it holds nothing down */
    assert_int_equal(totals(s).flipped, 3);
    json_decref(input);
    simulate_close(s);
}

static void
test_decisions_of_another_pack_are_left_out_when_asked(void **state)
{
    struct simulate *s = open_draft(taiyuan, "shanxi-2021");
    struct entry e;
    (void)state;
    json_t *input = vector_at(0, "input");
    assert_int_equal(simulate_entry(s, decided(&e, input, "h1", NULL)), STATUS_OK);
    struct simulate_totals t = totals(s);
    assert_true(t.replayed == 0 && t.other_packs == 1 && t.flipped == 0);
    json_decref(input);
    simulate_close(s);
}

static void
test_a_record_that_says_otherwise_is_counted(void **state)
{
    struct simulate *s = open_draft(hubei, NULL);
    struct entry e;
    (void)state;
    json_t *input = vector_at(0, "input");
    assert_int_equal(simulate_entry(s, decided(&e, input, "h1", "may")), STATUS_OK);
    assert_int_equal(simulate_entry(s, decided(&e, input, "h1", "perhaps")), STATUS_OK);
    struct simulate_totals t = totals(s);
    assert_true(t.unlike == 1 && t.flipped == 1 && t.unreadable == 1 && t.replayed == 1);
    json_decref(input);
    simulate_close(s);
}

static void
test_any_bytes_are_counted_and_stop_nothing(void **state)
{
    struct simulate *s = open_draft(taiyuan, NULL);
    struct entry e;
    (void)state;
    json_t *input = vector_at(0, "input");
    struct view good = decided(&e, input, "h1", NULL);
    uint64_t taken = 0;
    for (size_t i = 0; i < good.count; i += 3) {
        e.bytes[i] ^= 0x55;
        assert_int_equal(simulate_entry(s, good), STATUS_OK);
        e.bytes[i] ^= 0x55;
        assert_int_equal(simulate_entry(s, (struct view){good.bytes, i}), STATUS_OK);
        taken += 2;
    }
    struct simulate_totals t = totals(s);
    assert_true(t.entries == taken && t.unreadable > taken / 3);
    assert_int_equal(simulate_entry(s, good), STATUS_OK);
    assert_int_equal(totals(s).replayed, t.replayed + 1);
    json_decref(input);
    simulate_close(s);
}

static void
test_the_root_is_that_of_the_entries_and_a_bundle_is_taken_whole(void **state)
{
    static uint8_t bundle[4 * (ENTRY_BYTES_MAX + 2)];
    struct simulate *s = open_draft(hubei, NULL);
    struct entry e;
    struct hash leaves[3], pair, root, got;
    size_t used = 0;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        json_t *input = vector_at(i, "input");
        struct view entry = decided(&e, input, "h1", NULL);
        tree_leaf_hash(entry.bytes, entry.count, &leaves[i]);
        assert_int_equal(tile_bundle_add(entry, bundle, sizeof bundle, &used), STATUS_OK);
        json_decref(input);
    }
    tree_node_hash(&leaves[0], &leaves[1], &pair);
    tree_node_hash(&pair, &leaves[2], &root);
    assert_int_equal(simulate_bundle(s, (struct view){bundle, used}, 4), STATUS_MALFORMED);
    assert_int_equal(simulate_bundle(s, (struct view){bundle, used - 1}, 3), STATUS_MALFORMED);
    assert_int_equal(simulate_size(s), 0); /* a bad bundle leaves nothing behind */
    assert_int_equal(simulate_bundle(s, (struct view){bundle, used}, 3), STATUS_OK);
    simulate_root(s, &got);
    assert_true(simulate_size(s) == 3 && hash_equal(&got, &root));
    simulate_next_log(s);
    assert_int_equal(simulate_size(s), 0);
    assert_int_equal(totals(s).replayed, 3);
    simulate_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_rules_flip_nothing),
        cmocka_unit_test(test_other_rules_flip_by_item_hospital_and_cause),
        cmocka_unit_test(test_decisions_of_another_pack_are_left_out_when_asked),
        cmocka_unit_test(test_a_record_that_says_otherwise_is_counted),
        cmocka_unit_test(test_any_bytes_are_counted_and_stop_nothing),
        cmocka_unit_test(test_the_root_is_that_of_the_entries_and_a_bundle_is_taken_whole),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
