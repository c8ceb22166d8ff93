/* Goal: the library's Chacha20-Poly1305 is right on the edge cases that break
 * others, and so is the cipher of sessions built on it.
 * Method: Project Wycheproof's chacha20_poly1305_test, read from the shared
 * folder.  Cases with another nonce size cannot be put to this library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/noise_state.h"
#include "tests/vector_file.h"

enum { ROOM = 4096, TAG_BYTES = 16 };

/* Sessions use nonces of four zero bytes and a counter, little-endian: put
 * such cases to our own functions, too. */
static size_t
check_ours(const uint8_t *key, const uint8_t *iv, struct view ad, struct view message,
           struct view sealed, bool valid)
{
    static const uint8_t zeros[4];
    uint8_t out[ROOM];
    uint64_t n = 0;
    if (memcmp(iv, zeros, sizeof zeros) != 0) {
        return 0;
    }
    for (unsigned i = 0; i < 8; i++) {
        n |= (uint64_t)iv[4 + i] << (8 * i);
    }
    assert_int_equal(noise_state_aead_open(key, n, ad, sealed, out),
                     valid ? STATUS_OK : STATUS_BAD_KEY);
    if (valid) {
        assert_memory_equal(out, message.bytes, message.count);
        noise_state_aead_seal(key, n, ad, message, out);
        assert_memory_equal(out, sealed.bytes, sealed.count);
    }
    return 1;
}

static void
test_every_case_has_its_verdict(void **state)
{
    json_t *root = vector_shared("wycheproof/chacha20_poly1305_test.json"), *group, *one;
    size_t i, j, cases = 0, other_nonce = 0, ours = 0;
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
            if (iv_view.count != crypto_aead_chacha20poly1305_ietf_NPUBBYTES) {
                assert_false(valid);
                other_nonce++;
                continue;
            }
            vector_bytes(one, "key", key, sizeof key);
            vector_bytes(one, "tag", sealed + cipher.count, TAG_BYTES);
            assert_int_equal(crypto_aead_chacha20poly1305_ietf_decrypt(
                                 out, NULL, NULL, sealed, cipher.count + TAG_BYTES, ad,
                                 ad_view.count, iv, key),
                             valid ? 0 : -1);
            if (valid) {
                assert_memory_equal(out, message, plain.count);
                assert_int_equal(
                    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, message, plain.count,
                                                              ad, ad_view.count, NULL, iv, key),
                    0);
                assert_memory_equal(out, sealed, cipher.count + TAG_BYTES);
            }
            ours += check_ours(key, iv, ad_view, plain,
                               (struct view){sealed, cipher.count + TAG_BYTES}, valid);
        }
    }
    print_message("chacha20: %zu cases, %zu with another nonce size, %zu through our code\n",
                  cases, other_nonce, ours);
    assert_int_equal(cases, vector_number(root, "numberOfTests"));
    assert_true(ours > 0);
    json_decref(root);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_case_has_its_verdict)};
    return cmocka_run_group_tests_name("wycheproof chacha20_poly1305", tests, vector_setup,
                                       NULL);
}
