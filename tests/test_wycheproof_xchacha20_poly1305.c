/* Goal: the library's Xchacha20-Poly1305 is right on the edge cases that break
 * others.
 * Method: Project Wycheproof's xchacha20_poly1305_test, read from the shared
 * folder.  Cases with another nonce size cannot be put to this library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/vector_file.h"

enum { ROOM = 4096, TAG_BYTES = 16 };

static void
test_every_case_has_its_verdict(void **state)
{
    json_t *root = vector_shared("wycheproof/xchacha20_poly1305_test.json"), *group, *one;
    size_t i, j, cases = 0, other_nonce = 0;
    (void)state;
    const json_t *groups = json_object_get(root, "testGroups");
    json_array_foreach(groups, i, group)
    {
        const json_t *tests = json_object_get(group, "tests");
        json_array_foreach(tests, j, one)
        {
            uint8_t key[32], iv[64], ad[ROOM], message[ROOM], sealed[ROOM], out[ROOM];
            const struct view iv_view = vector_hex(one, "iv", iv, sizeof iv),
                              ad_view = vector_hex(one, "aad", ad, sizeof ad),
                              plain = vector_hex(one, "msg", message, sizeof message),
                              cipher = vector_hex(one, "ct", sealed, ROOM - TAG_BYTES);
            const bool valid = strcmp(vector_text(one, "result"), "valid") == 0;
            cases++;
            if (iv_view.count != crypto_aead_xchacha20poly1305_ietf_NPUBBYTES) {
                assert_false(valid);
                other_nonce++;
                continue;
            }
            vector_bytes(one, "key", key, sizeof key);
            vector_bytes(one, "tag", sealed + cipher.count, TAG_BYTES);
            assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(
                                 out, NULL, NULL, sealed, cipher.count + TAG_BYTES, ad,
                                 ad_view.count, iv, key),
                             valid ? 0 : -1);
            if (valid) {
                assert_memory_equal(out, message, plain.count);
                assert_int_equal(
                    crypto_aead_xchacha20poly1305_ietf_encrypt(
                        out, NULL, message, plain.count, ad, ad_view.count, NULL, iv, key),
                    0);
                assert_memory_equal(out, sealed, cipher.count + TAG_BYTES);
            }
        }
    }
    print_message("xchacha20: %zu cases, %zu with another nonce size\n", cases, other_nonce);
    assert_int_equal(cases, vector_number(root, "numberOfTests"));

    json_decref(root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_case_has_its_verdict)};
    return cmocka_run_group_tests_name("wycheproof xchacha20_poly1305", tests, vector_setup,
                                       NULL);
}
