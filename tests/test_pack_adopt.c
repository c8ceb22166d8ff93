/* Goal: a pack travels as its lines, rules and vectors, which only fit together as
 * they were built; and a policy document announces what it changes 48 hours before.
 * Method: the lines of a shipped pack, flipped and cut; policy documents with one
 * row changed at a time, at the edge of the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/pack_file.h"
#include "node/policy_json.h"
#include "tests/charter_fixture.h"

static struct policy_set *set;
static char reason[CHARTER_REASON_CHARS];

static int
load(void **state)
{
    char error[256] = "";
    (void)state;
    return sodium_init() < 0                                                  ? -1
           : policy_set_load_embedded(&set, error, sizeof error) == STATUS_OK ? 0
                                                                              : -1;
}

static int
unload(void **state)
{
    (void)state;
    policy_set_free(set);
    return 0;
}

static struct pack_file
shipped(char head[PACK_HEAD_BYTES_MAX], size_t *count)
{
    struct pack_file file = {.id = "hubei-2023", .version = 1};
    size_t at = policy_set_find(set, file.id, strlen(file.id));
    struct hr_text text = policy_set_text(set, at);
    file.rules = (struct view){(const uint8_t *)text.bytes, text.size};
    file.vectors = policy_set_vectors(set, at);
    assert_int_equal(pack_file_head(&file, head, count), STATUS_OK);
    return file;
}

static void
test_lines_name_the_parts_and_join_to_the_file(void **state)
{
    char head[PACK_HEAD_BYTES_MAX];
    size_t count, bytes;
    uint8_t *joined;
    struct pack_head h;
    struct pack_file again;
    struct hash hash;
    (void)state;
    struct pack_file file = shipped(head, &count);
    struct view lines = {(const uint8_t *)head, count};
    assert_int_equal(pack_head_decode(lines, &h), STATUS_OK);
    assert_true(hash_equal(&h.address, &file.address) && h.version == 1 && !h.annex);
    assert_string_equal(h.id, "hubei-2023");
    sha256(file.rules.bytes, file.rules.count, &hash);
    assert_true(hash_equal(&h.rules, &hash) && h.rules_bytes == file.rules.count);
    sha256(file.vectors.bytes, file.vectors.count, &hash);
    assert_true(hash_equal(&h.vectors, &hash) && h.vectors_bytes == file.vectors.count);
    assert_int_equal(pack_file_join(lines, file.rules, file.vectors, &joined, &bytes),
                     STATUS_OK);
    assert_int_equal(pack_file_decode((struct view){joined, bytes}, &again), STATUS_OK);
    assert_true(hash_equal(&again.address, &file.address));
    free(joined);
    /* Another part does not fit. */
    assert_int_equal(pack_file_join(lines, file.vectors, file.rules, &joined, &bytes),
                     STATUS_OK);
    assert_int_not_equal(pack_file_decode((struct view){joined, bytes}, &again), STATUS_OK);
    free(joined);
}

/* What a node gives to members that do not carry a pack of its binary. */
static void
test_a_pack_of_the_binary_is_given_on_as_the_file_that_its_address_names(void **state)
{
    (void)state;
    struct pack_file file;
    struct pack_head head;
    char lines[PACK_HEAD_BYTES_MAX];
    size_t count;
    size_t at = 0;
    for (; policy_set_file(set, at, &file) == STATUS_OK; at++) {
        assert_memory_equal(file.address.bytes, policy_set_hash(set, at), HASH_BYTES);
        assert_int_equal(pack_file_head(&file, lines, &count), STATUS_OK);
        struct view view = {(const uint8_t *)lines, count};
        assert_int_equal(pack_head_decode(view, &head), STATUS_OK);
        assert_memory_equal(head.address.bytes, policy_set_hash(set, at), HASH_BYTES);
        uint8_t *whole;
        size_t size;
        struct pack_file again;
        assert_int_equal(pack_file_join(view, file.rules, file.vectors, &whole, &size),
                         STATUS_OK);
        assert_int_equal(pack_file_decode((struct view){whole, size}, &again), STATUS_OK);
        free(whole);
    }
    assert_true(at >= 5);
    assert_int_equal(policy_set_file(set, at, &file), STATUS_NOT_FOUND);
}

static void
test_lines_have_one_spelling(void **state)
{
    char head[PACK_HEAD_BYTES_MAX + 1];
    size_t count;
    struct pack_head h;
    (void)state;
    (void)shipped(head, &count);
    struct view lines = {(const uint8_t *)head, count};
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(pack_head_decode((struct view){lines.bytes, i}, &h), STATUS_OK);
    }
    head[count] = '\n';
    assert_int_equal(pack_head_decode((struct view){lines.bytes, count + 1}, &h),
                     STATUS_MALFORMED);
    /* A changed byte is refused, or makes lines of another address. */
    char before[PACK_HEAD_BYTES_MAX];
    struct pack_file file = shipped(before, &count);
    for (size_t i = 0; i < count; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            head[i] = (char)(head[i] ^ (1 << bit));
            if (pack_head_decode(lines, &h) == STATUS_OK) {
                assert_false(hash_equal(&h.address, &file.address));
                assert_int_not_equal(head[i], ' ');
            }
            head[i] = before[i];
        }
    }
    assert_int_equal(pack_head_decode(lines, &h), STATUS_OK);
}

/* ---- 48 hours -------------------------------------------------------------------- */

struct row {
    const char *pack, *from, *to;
    uint8_t hash;
    uint8_t annex; /* 0: none */
};

/* Issued on 2027-01-10 at this second of the day, UTC+8. */
static struct fixture_doc
policy(uint64_t version, int64_t second, const struct row *rows, size_t count)
{
    Hr__PolicyRow r[4];
    Hr__AnnexRef annex[4];
    Hr__AnnexRef *annexes[4];
    uint8_t hashes[4][HASH_BYTES], annex_hashes[4][HASH_BYTES];
    ProtobufCMessage *list[4];
    struct charter_head head = fixture_head(CHARTER_POLICY, version);
    head.issued_at_s = INT64_C(1799510400) + second; /* 2027-01-10T00:00:00+08:00 */
    head.valid_from_s = head.issued_at_s;
    for (size_t i = 0; i < count; i++) {
        hr__policy_row__init(&r[i]);
        memset(hashes[i], rows[i].hash, HASH_BYTES);
        r[i].pack = (char *)(uintptr_t)rows[i].pack;
        r[i].in_force_from = (char *)(uintptr_t)rows[i].from;
        r[i].in_force_to = (char *)(uintptr_t)rows[i].to;
        r[i].hash = (ProtobufCBinaryData){HASH_BYTES, hashes[i]};
        if (rows[i].annex != 0) {
            hr__annex_ref__init(&annex[i]);
            memset(annex_hashes[i], rows[i].annex, HASH_BYTES);
            annex[i].hash = (ProtobufCBinaryData){HASH_BYTES, annex_hashes[i]};
            annexes[i] = &annex[i];
            r[i].annexes = &annexes[i];
            r[i].n_annexes = 1;
        }
        list[i] = &r[i].base;
    }
    return fixture_build(head, list, count, 1);
}

static struct charter *
charter_of(const struct fixture_doc *held)
{
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 1,
                             .other_keys = 1,
                             .root_threshold = 1,
                             .other_threshold = 1};
    struct fixture_doc root = fixture_make_root(&r, 1);
    const struct charter_document *list[] = {held == NULL ? NULL : &held->doc};
    struct charter *c;
    if (charter_load(&root.doc, list, held != NULL, &c, reason) != STATUS_OK) {
        fail_msg("load: %s", reason);
    }
    fixture_doc_free(&root);
    return c;
}

static enum status
judge(const struct charter *c, uint64_t version, int64_t second, const struct row *rows,
      size_t count)
{
    struct fixture_doc d = policy(version, second, rows, count);
    enum status st = charter_check_next(c, &d.doc, FIXTURE_NOW, reason);
    fixture_doc_free(&d);
    return st;
}

static const struct row old = {"a-1", "2026-01-01", "", 1, 0};

static void
test_the_first_policy_of_a_network_may_hold_at_once(void **state)
{
    struct charter *c = charter_of(NULL);
    (void)state;
    assert_int_equal(judge(c, 1, 0, &old, 1), STATUS_OK);
    charter_free(c);
}

static void
test_a_new_row_waits_48_hours_and_is_told_from_when(void **state)
{
    struct fixture_doc held = policy(1, 0, &old, 1);
    struct charter *c = charter_of(&held);
    struct row rows[2] = {old, {"b-1", "2027-01-12", "", 2, 0}};
    (void)state;
    /* Issued at midnight of the 10th: the 12th begins 48 hours later. */
    assert_int_equal(judge(c, 2, 0, rows, 2), STATUS_OK);
    assert_int_equal(judge(c, 2, 1, rows, 2), STATUS_REFUSED);
    assert_non_null(strstr(reason, "policy 2 of yx.cn: the row of b-1"));
    assert_non_null(strstr(reason, "set in_force_from to 2027-01-13 or later"));
    rows[1].from = "2027-01-13";
    assert_int_equal(judge(c, 2, 86399, rows, 2), STATUS_OK);
    rows[1].from = "2027-01-11";
    assert_int_equal(judge(c, 2, 0, rows, 2), STATUS_REFUSED);
    rows[1].from = "";
    assert_int_equal(judge(c, 2, 0, rows, 2), STATUS_REFUSED);
    assert_non_null(strstr(reason, "in force from always"));
    charter_free(c);
    fixture_doc_free(&held);
}

static void
test_every_change_of_rules_counts_and_an_end_does_not(void **state)
{
    struct fixture_doc held = policy(1, 0, &old, 1);
    struct charter *c = charter_of(&held);
    struct row r = old;
    (void)state;
    assert_int_equal(judge(c, 2, 0, &r, 1), STATUS_OK); /* the same */
    r.hash = 9;
    assert_int_equal(judge(c, 2, 0, &r, 1), STATUS_REFUSED);
    r = old;
    r.annex = 7;
    assert_int_equal(judge(c, 2, 0, &r, 1), STATUS_REFUSED);
    r = old;
    r.from = "2026-02-01";
    assert_int_equal(judge(c, 2, 0, &r, 1), STATUS_REFUSED);
    r = old;
    r.to = "2027-01-10";
    assert_int_equal(judge(c, 2, 0, &r, 1), STATUS_OK);
    charter_free(c);
    fixture_doc_free(&held);
}

static void
test_who_missed_versions_takes_what_is_signed(void **state)
{
    struct fixture_doc held = policy(1, 0, &old, 1);
    struct charter *c = charter_of(&held);
    struct row rows[2] = {old, {"b-1", "2027-01-11", "", 2, 0}};
    (void)state;
    assert_int_equal(judge(c, 2, 0, rows, 2), STATUS_REFUSED);
    assert_int_equal(judge(c, 3, 0, rows, 2), STATUS_OK); /* announced in 2, perhaps */
    charter_free(c);
    fixture_doc_free(&held);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_name_the_parts_and_join_to_the_file),
        cmocka_unit_test(
            test_a_pack_of_the_binary_is_given_on_as_the_file_that_its_address_names),
        cmocka_unit_test(test_lines_have_one_spelling),
        cmocka_unit_test(test_the_first_policy_of_a_network_may_hold_at_once),
        cmocka_unit_test(test_a_new_row_waits_48_hours_and_is_told_from_when),
        cmocka_unit_test(test_every_change_of_rules_counts_and_an_end_does_not),
        cmocka_unit_test(test_who_missed_versions_takes_what_is_signed),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
