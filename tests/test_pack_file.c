/* Goal: a built pack or annex is taken only whole, with its own hashes, signed
 * by whom we ask, passing its vectors, and never beside another text of the
 * same version.
 * Method: files are built from the packs in the binary and a made-up one, then
 * cut, flipped and contradicted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/pack_vectors.h"
#include "tests/pack_fixture.h"

static struct policy_set *set;

static int
load(void **state)
{
    char error[256] = "";
    (void)state;
    if (sodium_init() < 0) {
        return -1;
    }
    return policy_set_load_embedded(&set, error, sizeof error) == STATUS_OK ? 0 : -1;
}

static int
unload(void **state)
{
    (void)state;
    policy_set_free(set);
    set = NULL;
    return 0;
}

static struct note_signer
signer_of(uint8_t seed_byte)
{
    struct note_signer signer;
    uint8_t seed[NOTE_SEED_BYTES];
    static const char name[] = "hb.example/charter/policy";
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(note_signer_make((struct view){(const uint8_t *)name, sizeof name - 1},
                                      NOTE_KEY_ED25519, seed, &signer),
                     STATUS_OK);
    return signer;
}

/* 120 vectors that the made-up pack passes; `verdict` is what they expect. */
static char *
made_up_vectors(const char *verdict)
{
    enum { COUNT = 120, LINE = 160 };
    char *text = calloc(1, COUNT * LINE);
    size_t used = 0;
    for (int i = 0; i < COUNT; i++) {
        used += (size_t)snprintf(text + used, LINE,
                                 "{\"input\":{\"item\":\"LAB.CL\",\"n\":%d},"
                                 "\"expect\":{\"verdict\":\"%s\"}}\n",
                                 i, verdict);
    }
    return text;
}

/* A file of the made-up pack. */
static struct view
made_up_file(const char *yaml, const char *vectors, const struct note_signer *signer)
{
    struct pack_built built;
    struct pack_file file;
    char error[256] = "";
    uint8_t *bytes;
    size_t count;
    assert_int_equal(fixture_build(set, yaml, fixture_items, &built, error, sizeof error),
                     STATUS_OK);
    assert_int_equal(pack_built_file(&built,
                                     (struct view){(const uint8_t *)vectors, strlen(vectors)},
                                     &file),
                     STATUS_OK);
    assert_int_equal(pack_file_encode(&file, signer, &bytes, &count), STATUS_OK);
    pack_built_free(&built);
    return (struct view){bytes, count};
}

static void
release(struct view file)
{
    free((void *)(uintptr_t)file.bytes);
}

static enum status
add(struct view file, const struct note_key *keys, size_t key_count, char error[256])
{
    struct hash address;
    error[0] = '\0';
    return policy_set_add_file(set, file, keys, key_count, &address, error, 256);
}

static void
test_a_file_is_read_as_it_was_written(void **state)
{
    (void)state;
    char *vectors = made_up_vectors("may");
    struct note_signer signer = signer_of(1);
    struct view unsigned_file = made_up_file(fixture_yaml, vectors, NULL);
    struct view signed_file = made_up_file(fixture_yaml, vectors, &signer);
    struct pack_file a;
    struct pack_file b;
    assert_int_equal(pack_file_decode(unsigned_file, &a), STATUS_OK);
    assert_int_equal(pack_file_decode(signed_file, &b), STATUS_OK);
    assert_string_equal(a.id, "made-up-2026");
    assert_int_equal(a.version, 3);
    assert_int_equal(a.vectors.count, strlen(vectors));
    assert_int_equal(a.note.signature_count, 0);
    assert_int_equal(b.note.signature_count, 1);
    assert_true(hash_equal(&a.address, &b.address)); /* whoever signs */
    release(unsigned_file);
    release(signed_file);
    free(vectors);
}

static void
test_every_cut_and_every_flipped_byte_is_refused(void **state)
{
    (void)state;
    char *vectors = made_up_vectors("may");
    struct view file = made_up_file(fixture_yaml, vectors, NULL);
    for (size_t size = 0; size < file.count; size += size < 400 ? 1 : 97) {
        struct pack_file out;
        uint8_t *exact = malloc(size + 1);
        memcpy(exact, file.bytes, size);
        assert_int_not_equal(pack_file_decode((struct view){exact, size}, &out), STATUS_OK);
        free(exact);
    }
    uint8_t *copy = malloc(file.count);
    for (size_t at = 0; at < file.count; at += at < 400 ? 1 : 53) {
        struct pack_file out;
        memcpy(copy, file.bytes, file.count);
        copy[at] ^= 1;
        enum status st = pack_file_decode((struct view){copy, file.count}, &out);
        /* A changed id or version is another file: its address differs. */
        if (st == STATUS_OK) {
            struct pack_file whole;
            assert_int_equal(pack_file_decode(file, &whole), STATUS_OK);
            assert_false(hash_equal(&out.address, &whole.address));
            assert_true(strcmp(out.id, whole.id) != 0 || out.version != whole.version);
        }
    }
    free(copy);
    release(file);
    free(vectors);
}

static void
test_a_pack_from_a_file_decides_and_is_found_by_its_address(void **state)
{
    (void)state;
    char error[256];
    char *vectors = made_up_vectors("may");
    struct note_signer signer = signer_of(1);
    struct note_signer stranger = signer_of(2);
    struct view file = made_up_file(fixture_yaml, vectors, &signer);
    size_t before = policy_set_count(set);
    assert_int_equal(add(file, &stranger.key, 1, error), STATUS_UNKNOWN_KEY);
    assert_non_null(strstr(error, "made-up-2026 version 3"));
    assert_int_equal(policy_set_count(set), before);
    assert_int_equal(add(file, &signer.key, 1, error), STATUS_OK);
    assert_int_equal(add(file, &signer.key, 1, error), STATUS_EXISTS);
    assert_int_equal(policy_set_count(set), before + 1);
    struct pack_file read;
    assert_int_equal(pack_file_decode(file, &read), STATUS_OK);
    assert_int_equal(policy_set_find_hash(set, read.address.bytes), before);
    assert_int_equal(policy_set_find(set, "made-up-2026", 12), before);
    release(file); /* the set has its own copy */
    const char *input = "{\"pack\":\"made-up-2026\"}";
    json_t *out = NULL;
    assert_int_equal(policy_decide_json(set, input, strlen(input), &out, error, sizeof error),
                     STATUS_OK);
    json_decref(out);
    free(vectors);
}

static void
test_another_text_of_one_version_is_refused(void **state)
{
    (void)state;
    char error[256];
    char *vectors = made_up_vectors("may");
    vectors[strlen(vectors) - 2] = ' '; /* one byte differs */
    struct view file = made_up_file(fixture_yaml, vectors, NULL);
    assert_int_equal(add(file, NULL, 0, error), STATUS_FORK);
    assert_non_null(strstr(error, "another text"));
    release(file);
    free(vectors);
}

static void
test_a_pack_with_a_failing_vector_is_refused_and_said_so(void **state)
{
    (void)state;
    char error[256];
    char yaml[sizeof fixture_yaml];
    memcpy(yaml, fixture_yaml, sizeof yaml);
    char *version = strstr(yaml, "\"3\"");
    version[1] = '4';
    char *vectors = made_up_vectors("must");
    struct view file = made_up_file(yaml, vectors, NULL);
    size_t before = policy_set_count(set);
    assert_int_equal(add(file, NULL, 0, error), STATUS_REFUSED);
    assert_string_equal(error, "made-up-2026:1: verdict is \"may\" where \"must\" is expected");
    assert_int_equal(policy_set_count(set), before);
    release(file);
    free(vectors);
    /* Too few vectors do not cover a pack. */
    const char *one = "{\"input\":{},\"expect\":{\"verdict\":\"may\"}}\n";
    file = made_up_file(yaml, one, NULL);
    assert_int_equal(add(file, NULL, 0, error), STATUS_MALFORMED);
    assert_non_null(strstr(error, "at least 100 vectors"));
    release(file);
}

static void
test_the_packs_in_the_binary_pass_their_own_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        char error[512] = "";
        size_t count = 0;
        enum status st = pack_vectors_run(policy_set_pack(set, i), policy_set_catalog(set),
                                          policy_set_vectors(set, i), "vectors", &count, error,
                                          sizeof error);
        if (st != STATUS_OK) {
            fail_msg("%s", error);
        }
        assert_true(count >= PACK_VECTORS_MIN);
    }
}

/* Are both values of each check of each pack among its vectors?  Checks that a
 * pack fixes by its own text are named here. */
static void
test_the_vectors_reach_each_check_in_both_directions(void **state)
{
    (void)state;
    for (size_t p = 0; p < 5; p++) {
        struct view v = policy_set_vectors(set, p);
        struct hr_text id = hr_pack_id(policy_set_pack(set, p));
        for (int c = 0; c < HR_CHECK_COUNT; c++) {
            if (hr_pack_check_rule(policy_set_pack(set, p), (enum hr_check)c) == NULL) {
                continue;
            }
            bool always = c == HR_SCOPE && (memcmp(id.bytes, "hunan", 5) == 0 ||
                                            memcmp(id.bytes, "chuan", 5) == 0);
            bool never = c == HR_QUALITY && memcmp(id.bytes, "taiyu", 5) == 0;
            for (int value = 0; value < 2; value++) {
                char part[80];
                snprintf(part, sizeof part, "\"%s\":\"%s\"", hr_check_name((enum hr_check)c),
                         value ? "true" : "false");
                bool found = false;
                for (size_t at = 0; !found && at + strlen(part) <= v.count; at++) {
                    found = memcmp(v.bytes + at, part, strlen(part)) == 0;
                }
                if (found != !(never || (always && value == 0))) {
                    fail_msg("%.*s: %s", (int)id.size, id.bytes, part);
                }
            }
        }
    }
}

/* ---- annexes -------------------------------------------------------------------- */

static struct view
annex_file(const char *csv, uint32_t version)
{
    struct pack_file file = {.annex = true, .id = "hunan-2025", .version = version};
    uint8_t *bytes;
    size_t count;
    file.rules = (struct view){(const uint8_t *)csv, strlen(csv)};
    assert_int_equal(pack_file_encode(&file, NULL, &bytes, &count), STATUS_OK);
    return (struct view){bytes, count};
}

static void
test_an_annex_says_what_is_listed_and_for_how_long(void **state)
{
    (void)state;
    char error[256];
    struct pack_file read;
    struct view file =
        annex_file("code,limit_days,citation\nLAB.NA,,附件 1\nLAB.K,7,附件 1\n", 1);
    assert_int_equal(add(file, NULL, 0, error), STATUS_OK);
    assert_int_equal(pack_file_decode(file, &read), STATUS_OK);
    assert_true(read.annex);
    struct hash address = read.address;
    release(file);
    const struct policy_annex *annex = policy_set_annex(set, "hunan-2025", address.bytes);
    assert_non_null(annex);
    assert_int_equal(policy_annex_count(annex), 2);
    struct policy_annex_row k = policy_annex_find(annex, (struct hr_text){"LAB.K", 5});
    struct policy_annex_row na = policy_annex_find(annex, (struct hr_text){"LAB.NA", 6});
    struct policy_annex_row cl = policy_annex_find(annex, (struct hr_text){"LAB.CL", 6});
    struct policy_annex_row none = policy_annex_find(annex, (struct hr_text){"X", 1});
    assert_true(k.listed && k.limited && k.limit_days == 7);
    assert_true(na.listed && !na.limited);
    assert_false(cl.listed || none.listed);
    file = annex_file("code,limit_days,citation\nLAB.K,8,附件 1\n", 1);
    assert_int_equal(add(file, NULL, 0, error), STATUS_FORK);
    release(file);
    address.bytes[0] ^= 1;
    assert_null(policy_set_annex(set, "hunan-2025", address.bytes));
}

static void
test_a_wrong_annex_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *csv, *expected;
    } cases[] = {
        {"code,limit_days,citation\nLAB.K,07,x\n", "hunan-2025:2: limit_days is not a plain"},
        {"code,limit_days,citation\nLAB.K,-1,x\n", "hunan-2025:2: limit_days is not a plain"},
        {"code,limit_days,citation\nLAB.K,99999,x\n",
         "hunan-2025:2: limit_days is not a plain"},
        {"code,limit_days,citation\nLAB.K,1,\n", "hunan-2025:2: item has no citation"},
        {"code,limit_days,citation\nLAB.KK,1,x\n", "hunan-2025:2: item is not in the catalog"},
        {"code,limit_days,citation\nLAB.K,1,x\nLAB.NA,1,x\nLAB.K,1,x\n",
         "hunan-2025:4: an item stands twice"},
        {"code,days,citation\nLAB.K,1,x\n", "hunan-2025:1: the columns"},
        {"code,limit_days,citation\nLAB.K,1\n", "hunan-2025:2: row has another number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[256];
        struct view file = annex_file(cases[i].csv, 9);
        assert_int_equal(add(file, NULL, 0, error), STATUS_MALFORMED);
        if (strstr(error, cases[i].expected) == NULL) {
            fail_msg("'%s' where '%s' is expected", error, cases[i].expected);
        }
        release(file);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_read_as_it_was_written),
        cmocka_unit_test(test_every_cut_and_every_flipped_byte_is_refused),
        cmocka_unit_test(test_a_pack_from_a_file_decides_and_is_found_by_its_address),
        cmocka_unit_test(test_another_text_of_one_version_is_refused),
        cmocka_unit_test(test_a_pack_with_a_failing_vector_is_refused_and_said_so),
        cmocka_unit_test(test_the_packs_in_the_binary_pass_their_own_vectors),
        cmocka_unit_test(test_the_vectors_reach_each_check_in_both_directions),
        cmocka_unit_test(test_an_annex_says_what_is_listed_and_for_how_long),
        cmocka_unit_test(test_a_wrong_annex_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
