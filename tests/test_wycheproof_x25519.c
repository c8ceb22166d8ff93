/* Goal: the library's X25519 is right on the edge cases that break others, and
 * refuses exactly the points of low order, here and in keys_vet_x25519.
 * Method: Project Wycheproof's x25519_test, read from the shared folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/keys.h"
#include "tests/vector_file.h"

static void
test_every_case_has_its_verdict(void **state)
{
    json_t *root = vector_shared("wycheproof/x25519_test.json"), *group, *one;
    size_t i, j, cases = 0, refused = 0;
    (void)state;
    const json_t *groups = json_object_get(root, "testGroups");
    json_array_foreach(groups, i, group)
    {
        const json_t *tests = json_object_get(group, "tests");
        json_array_foreach(tests, j, one)
        {
            uint8_t public_key[KEY_BYTES], secret[KEY_BYTES], expected[KEY_BYTES],
                got[KEY_BYTES];
            vector_bytes(one, "public", public_key, KEY_BYTES);
            vector_bytes(one, "private", secret, KEY_BYTES);
            vector_bytes(one, "shared", expected, KEY_BYTES);
            const bool low = sodium_is_zero(expected, KEY_BYTES) == 1;
            assert_int_equal(crypto_scalarmult(got, secret, public_key), low ? -1 : 0);
            if (!low) {
                assert_memory_equal(got, expected, KEY_BYTES);
            }
            assert_int_equal(keys_vet_x25519(public_key), low ? STATUS_BAD_KEY : STATUS_OK);
            cases++;
            refused += low;
        }
    }
    print_message("x25519: %zu cases, %zu of them of low order\n", cases, refused);
    assert_int_equal(cases, vector_number(root, "numberOfTests"));
    assert_true(refused > 0);
    json_decref(root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_case_has_its_verdict)};
    return cmocka_run_group_tests_name("wycheproof x25519", tests, vector_setup, NULL);
}
