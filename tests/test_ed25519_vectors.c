/* Goal: the Ed25519 that notes use gives the published verdicts, and its answers
 * to adversarial keys are the ones that were measured, so that a change of the
 * library is noticed (FORMATS 8).
 * Method: Wycheproof, CCTV and "Taming the many EdDSAs" through
 * note_ed25519_check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/note.h"
#include "tests/vector.h"

enum { MESSAGE_MAX = 4096 };

static int
setup(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

/* A signature or key of another length does not get as far as the check: the note
 * has refused it. */
static bool
is_valid(const char *key_hex, const uint8_t *message, size_t count, const char *sig_hex)
{
    uint8_t key[64], sig[256];

    return vector_hex(key_hex, key, sizeof key) == KEY_BYTES &&
           vector_hex(sig_hex, sig, sizeof sig) == SIGNATURE_BYTES &&
           note_ed25519_check(key, (struct view){message, count}, sig) == STATUS_OK;
}

static void
test_wycheproof_verdicts_agree(void **state)
{
    json_t *file = vector_json("wycheproof/ed25519_test.json"), *group, *test;
    size_t g, t, cases = 0, valid = 0;

    (void)state;
    json_array_foreach(json_object_get(file, "testGroups"), g, group)
    {
        const char *key = vector_string(json_object_get(group, "publicKey"), "pk");
        json_array_foreach(json_object_get(group, "tests"), t, test)
        {
            uint8_t message[MESSAGE_MAX];
            size_t n = vector_hex(vector_string(test, "msg"), message, sizeof message);
            bool got = is_valid(key, message, n, vector_string(test, "sig"));
            if (got != (strcmp(vector_string(test, "result"), "valid") == 0)) {
                fail_msg("tcId %d", (int)vector_number(test, "tcId"));
            }
            cases++;
            valid += got;
        }
    }
    assert_int_equal(cases, vector_number(file, "numberOfTests"));
    assert_true(valid > 10 && valid < cases);
    json_decref(file);
}

static bool
contains(const json_t *numbers, uint64_t number)
{
    const json_t *n;
    size_t i;

    json_array_foreach(numbers, i, n)
    {
        if ((uint64_t)json_integer_value(n) == number) {
            return true;
        }
    }
    return false;
}

static void
test_edge_cases_are_answered_as_measured(void **state)
{
    json_t *measured = vector_json("measured_libsodium.json"), *j;
    json_t *cctv = vector_json("cctv_ed25519/ed25519vectors.json");
    json_t *speccheck = vector_json("ed25519_speccheck/cases.json");
    json_t *accepted = json_object_get(measured, "cctv_accepted_numbers");
    size_t i, count = 0;

    (void)state;
    json_array_foreach(cctv, i, j)
    {
        const char *message = vector_string(j, "msg");
        bool got = is_valid(vector_string(j, "key"), (const uint8_t *)message, strlen(message),
                            vector_string(j, "sig"));
        if (got != contains(accepted, vector_number(j, "number"))) {
            fail_msg("cctv %d", (int)vector_number(j, "number"));
        }
        count += got;
    }
    assert_int_equal(count, json_array_size(accepted));
    accepted = json_object_get(measured, "speccheck_accepted_numbers");
    json_array_foreach(speccheck, i, j)
    {
        uint8_t message[MESSAGE_MAX];
        size_t n = vector_hex(vector_string(j, "message"), message, sizeof message);
        assert_int_equal(
            is_valid(vector_string(j, "pub_key"), message, n, vector_string(j, "signature")),
            contains(accepted, vector_number(j, "number")));
    }
    json_decref(measured);
    json_decref(cctv);
    json_decref(speccheck);
}

/* The 22 accepted ones have keys with a small-order part: such a key cannot become
 * a key of ours. */
static void
test_no_key_of_a_doubtful_verdict_is_admitted(void **state)
{
    json_t *measured = vector_json("measured_libsodium.json"), *j;
    json_t *cctv = vector_json("cctv_ed25519/ed25519vectors.json");
    json_t *accepted = json_object_get(measured, "cctv_accepted_numbers");
    size_t i, refused = 0;

    (void)state;
    json_array_foreach(cctv, i, j)
    {
        const char *flags = "low_order_component_A";
        const json_t *flag;
        size_t f;
        bool mixed = false;
        uint8_t key[KEY_BYTES];
        struct note_key made;
        json_array_foreach(json_object_get(j, "flags"), f, flag)
        {
            mixed = mixed || strcmp(json_string_value(flag), flags) == 0;
        }
        assert_int_equal(vector_hex(vector_string(j, "key"), key, sizeof key), KEY_BYTES);
        if (mixed) {
            assert_int_equal(note_key_make((struct view){(const uint8_t *)"a", 1},
                                           NOTE_KEY_ED25519, key, &made),
                             STATUS_BAD_KEY);
            refused++;
        } else {
            assert_false(contains(accepted, vector_number(j, "number")) &&
                         note_key_make((struct view){(const uint8_t *)"a", 1}, NOTE_KEY_ED25519,
                                       key, &made) != STATUS_OK);
        }
    }
    assert_true(refused > 100);
    json_decref(measured);
    json_decref(cctv);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wycheproof_verdicts_agree),
        cmocka_unit_test(test_edge_cases_are_answered_as_measured),
        cmocka_unit_test(test_no_key_of_a_doubtful_verdict_is_admitted),
    };
    return cmocka_run_group_tests_name("ed25519_vectors", tests, setup, NULL);
}
