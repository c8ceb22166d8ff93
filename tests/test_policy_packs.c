/* Goal: the packs hold what their documents print, and every rule can be cited.
 * Method: counts from the documents, asked through the public interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/policy_json.h"

static struct policy_set *set;

static int
load(void **state)
{
    (void)state;
    char error[256] = "";
    if (policy_set_load_embedded(&set, error, sizeof error) != STATUS_OK) {
        printf("%s\n", error);
        return -1;
    }
    return 0;
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
    size_t index = policy_set_find(set, id, strlen(id));
    assert_true(index != SIZE_MAX);
    return policy_set_pack(set, index);
}

static bool
contains(struct hr_text text, const char *part)
{
    size_t size = strlen(part);
    for (size_t i = 0; i + size <= text.size; i++) {
        if (memcmp(text.bytes + i, part, size) == 0) {
            return true;
        }
    }
    return false;
}

/* Rows whose citation has this part, counted as asked. */
static size_t
rows(const char *id, const char *cited, bool counted)
{
    const struct hr_pack *p = pack(id);
    size_t count = 0;
    for (size_t i = 0; i < hr_pack_item_count(p); i++) {
        const struct hr_listed *row = hr_pack_item(p, i);
        count += row->counted == counted && contains(row->citation, cited);
    }
    return count;
}

static void
test_shanxi_lists_80_and_60_with_one_printed_twice(void **state)
{
    (void)state;
    assert_int_equal(rows("shanxi-2021", "三（二）3（1）", true), 80);
    assert_int_equal(rows("shanxi-2021", "三（二）3（2）", true), 60);
    assert_int_equal(rows("shanxi-2021", "三（二）3（2）", false), 1);
    assert_int_equal(rows("shanxi-2021", "三（二）1", true), 8);
    assert_int_equal(rows("shanxi-2021", "三（二）2", true), 11);
}

static void
test_chuanyu_lists_45_and_67(void **state)
{
    (void)state;
    assert_int_equal(rows("chuanyu-2022", "附件2", true), 45);
    assert_int_equal(rows("chuanyu-2022", "附件3", true), 67);
    assert_int_equal(hr_pack_item_count(pack("chuanyu-2022")), 112);
}

static void
test_hubei_lists_82_and_60_units_in_61_rows(void **state)
{
    (void)state;
    assert_int_equal(rows("hubei-2023", "附件1", true), 82);
    assert_int_equal(rows("hubei-2023", "附件2", true), 61);
    /* The two mammographies of 附件2 一（二） are one unit (AMB-HB01). */
    assert_int_equal(rows("hubei-2023", "附件2 一（二）", true), 2);
}

static void
test_hunan_and_taiyuan_ship_no_list_and_say_so(void **state)
{
    (void)state;
    assert_int_equal(hr_pack_item_count(pack("hunan-2025")), 0);
    assert_int_equal(hr_pack_item_count(pack("taiyuan-2024")), 0);
    assert_true(contains(hr_pack_gaps(pack("hunan-2025"), true), "item list"));
    assert_true(contains(hr_pack_gaps(pack("taiyuan-2024"), true), "annex 1"));
    assert_true(contains(hr_pack_gaps(pack("hubei-2023"), true), "breaks off"));
}

static void
test_exceptions_are_8_0_9_8_6_and_the_two_of_our_own(void **state)
{
    (void)state;
    assert_int_equal(hr_pack_exception_count(pack("shanxi-2021")), 8 + 1);
    assert_int_equal(hr_pack_exception_count(pack("chuanyu-2022")), 0 + 1);
    assert_int_equal(hr_pack_exception_count(pack("hunan-2025")), 9);
    assert_int_equal(hr_pack_exception_count(pack("hubei-2023")), 8);
    assert_int_equal(hr_pack_exception_count(pack("taiyuan-2024")), 6);
}

static void
assert_can_be_cited(const struct hr_pack *p, const struct hr_rule *rule)
{
    struct hr_text document = hr_pack_document(p);
    assert_true(rule->id.size > 5 && rule->zh.size > 5 && rule->en.size > 5);
    assert_true(rule->citation.size > document.size);
    assert_memory_equal(rule->citation.bytes, document.bytes, document.size);
}

static void
test_every_rule_names_document_clause_and_two_texts(void **state)
{
    (void)state;
    size_t rules = 0;
    for (size_t i = 0; i < policy_set_count(set); i++) {
        const struct hr_pack *p = policy_set_pack(set, i);
        for (int c = 0; c < HR_CHECK_COUNT; c++) {
            const struct hr_rule *rule = hr_pack_check_rule(p, (enum hr_check)c);
            if (rule != NULL) {
                assert_can_be_cited(p, rule);
                rules++;
            }
        }
        for (size_t s = 0; s < hr_pack_scope_count(p); s++) {
            enum hr_verdict force;
            assert_can_be_cited(p, hr_pack_scope_rule(p, s, &force));
            assert_true(force == HR_MUST || force == HR_SHOULD);
        }
        for (size_t e = 0; e < hr_pack_exception_count(p); e++) {
            assert_can_be_cited(p, &hr_pack_exception(p, e)->rule);
        }
    }
    assert_int_equal(policy_set_count(set), 5);
    assert_int_equal(rules, 17 + 21 + 18 + 18 + 18);
}

static void
test_catalog_is_found_by_number_code_and_loinc(void **state)
{
    (void)state;
    const struct hr_catalog *catalog = policy_set_catalog(set);
    size_t sensitive = 0;
    assert_int_equal(hr_catalog_count(catalog), 249);
    for (size_t i = 0; i < hr_catalog_count(catalog); i++) {
        const struct hr_item *item = hr_catalog_at(catalog, i);
        assert_int_equal(item->number, i + 1); /* permanent numbers */
        assert_ptr_equal(hr_catalog_by_number(catalog, item->number), item);
        assert_ptr_equal(hr_catalog_by_code(catalog, item->code), item);
        if (item->loinc.size > 0) {
            assert_ptr_equal(hr_catalog_by_loinc(catalog, item->loinc), item);
        }
        sensitive += item->sensitive;
    }
    assert_int_equal(sensitive, 6);
    assert_null(hr_catalog_by_number(catalog, 0));
    assert_null(hr_catalog_by_number(catalog, 250));
    assert_null(hr_catalog_by_code(catalog, (struct hr_text){"LAB.", 4}));
    assert_null(hr_catalog_by_code(catalog, (struct hr_text){NULL, 0}));
    assert_null(hr_catalog_by_loinc(catalog, (struct hr_text){"", 0}));
}

static void
test_packs_are_addressed_by_distinct_hashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < policy_set_count(set); i++) {
        assert_int_equal(policy_set_find_hash(set, policy_set_hash(set, i)), i);
        assert_true(policy_set_text(set, i).size > 1000);
    }
    uint8_t other[HASH_BYTES] = {0};
    assert_true(policy_set_find_hash(set, other) == SIZE_MAX);
    assert_true(policy_set_find(set, "hubei-2024", 10) == SIZE_MAX);
    assert_null(policy_set_pack(set, policy_set_count(set)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shanxi_lists_80_and_60_with_one_printed_twice),
        cmocka_unit_test(test_chuanyu_lists_45_and_67),
        cmocka_unit_test(test_hubei_lists_82_and_60_units_in_61_rows),
        cmocka_unit_test(test_hunan_and_taiyuan_ship_no_list_and_say_so),
        cmocka_unit_test(test_exceptions_are_8_0_9_8_6_and_the_two_of_our_own),
        cmocka_unit_test(test_every_rule_names_document_clause_and_two_texts),
        cmocka_unit_test(test_catalog_is_found_by_number_code_and_loinc),
        cmocka_unit_test(test_packs_are_addressed_by_distinct_hashes),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
