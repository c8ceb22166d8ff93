/* Goal: the keys of a node and the network keys are those of DESIGN section 5
 * to the byte, and keys that must not be used are refused.
 * Method: vectors of a second implementation (tests/vectors/make_vectors.py);
 * libsodium's own crypto_box_seal and crypto_box_seal_open; every bit flipped;
 * the published points of low order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/keys.h"
#include "crypto/networkkey.h"
#include "tests/vector_file.h"

static void
test_derived_keys_equal_those_of_the_second_implementation(void **state)
{
    json_t *root, *one;
    size_t i;
    (void)state;
    const json_t *cases = vector_own("keys", &root);
    json_array_foreach(cases, i, one)
    {
        const json_t *secret = json_object_get(one, "secret"),
                     *public_keys = json_object_get(one, "public");
        struct network_keys keys;
        struct network_public pub;
        uint8_t seed[KEY_BYTES];
        vector_bytes(one, "seed", seed, sizeof seed);
        keys_derive(seed, vector_text(one, "network"), &keys);
        keys_public(&keys, &pub);
        vector_expect(secret, "log", keys.log.secret_key, KEY_BYTES);
        vector_expect(secret, "witness", keys.witness.secret_key, KEY_BYTES);
        vector_expect(secret, "statement", keys.statement.secret_key, KEY_BYTES);
        vector_expect(secret, "session", keys.session.secret_key, KEY_BYTES);
        vector_expect(secret, "box", keys.box.secret_key, KEY_BYTES);
        vector_expect(public_keys, "log", pub.log, KEY_BYTES);
        vector_expect(public_keys, "witness", pub.witness, KEY_BYTES);
        vector_expect(public_keys, "statement", pub.statement, KEY_BYTES);
        vector_expect(public_keys, "session", pub.session, KEY_BYTES);
        vector_expect(public_keys, "box", pub.box, KEY_BYTES);
        assert_memory_equal(keys.log.secret_key + KEY_BYTES, pub.log, KEY_BYTES);
        assert_int_equal(keys_vet_public(&pub), STATUS_OK);
        keys_wipe(&keys);
        assert_true(sodium_is_zero((const unsigned char *)&keys, sizeof keys));
    }
    json_decref(root);
}

static void
test_points_of_low_order_are_refused_as_x25519_keys(void **state)
{
    /* The points of order 1, 2, 4 and 8, and their non-canonical spellings
     * (RFC 7748 section 6.1; cr.yp.to/ecdh.html). */
    static const char *const low[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    uint8_t key[KEY_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof low / sizeof low[0]; i++) {
        assert_int_equal(sodium_hex2bin(key, sizeof key, low[i], 64, NULL, NULL, NULL), 0);
        assert_int_equal(keys_vet_x25519(key), STATUS_BAD_KEY);
        key[31] |= 0x80; /* the top bit is ignored */
        assert_int_equal(keys_vet_x25519(key), STATUS_BAD_KEY);
    }
    for (unsigned i = 0; i < 200; i++) { /* most are not points Ed25519 would take */
        randombytes_buf(key, sizeof key);
        assert_int_equal(keys_vet_x25519(key), STATUS_OK);
    }
}

static void
test_ed25519_keys_off_the_prime_order_group_are_refused(void **state)
{
    /* The points of order 1, 2, 4, 8; y = p; and a key with a component of
     * order 8: half of its signatures verify elsewhere (RELIABILITY S1). */
    static const char *const bad[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    uint8_t key[KEY_BYTES], eighth[KEY_BYTES], mixed[KEY_BYTES];
    struct sign_key good;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sodium_hex2bin(key, sizeof key, bad[i], 64, NULL, NULL, NULL), 0);
        assert_int_equal(keys_vet_ed25519(key), STATUS_BAD_KEY);
    }
    memset(key, 7, sizeof key);
    keys_sign_key(key, &good);
    assert_int_equal(keys_vet_ed25519(good.public_key), STATUS_OK);
    assert_int_equal(sodium_hex2bin(eighth, sizeof eighth, bad[3], 64, NULL, NULL, NULL), 0);
    assert_int_equal(crypto_core_ed25519_add(mixed, good.public_key, eighth), 0);
    assert_int_equal(keys_vet_ed25519(mixed), STATUS_BAD_KEY);
}

static void
test_one_bad_or_repeated_key_of_five_is_refused(void **state)
{
    struct network_keys keys;
    struct network_public good, bad;
    const uint8_t seed[KEY_BYTES] = {1};
    uint8_t *const all[] = {bad.log, bad.witness, bad.statement, bad.session, bad.box};
    (void)state;
    keys_derive(seed, "n", &keys);
    keys_public(&keys, &good);
    for (size_t i = 0; i < 5; i++) {
        bad = good;
        memset(all[i], 0, KEY_BYTES);
        assert_int_equal(keys_vet_public(&bad), STATUS_BAD_KEY);
    }
    bad = good;
    memcpy(bad.witness, bad.log, KEY_BYTES);
    assert_int_equal(keys_vet_public(&bad), STATUS_BAD_KEY);
    bad = good;
    memcpy(bad.box, bad.session, KEY_BYTES);
    assert_int_equal(keys_vet_public(&bad), STATUS_BAD_KEY);
}

static void
test_names_have_one_spelling(void **state)
{
    static const char *const bad[] = {"A",   "a b",          "a/b", "a+b",
                                      "a\n", "\xe4\xb9\x89", " ",   "@"};
    (void)state;
    assert_int_equal(keys_vet_name("yx-county.hb.cn", NETWORK_CHARS_MAX), STATUS_OK);
    assert_int_equal(keys_vet_name("az09_.-", 7), STATUS_OK);
    assert_int_equal(keys_vet_name("az09_.-", 6), STATUS_TOO_BIG);
    assert_int_equal(keys_vet_name("", 6), STATUS_MALFORMED);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(keys_vet_name(bad[i], 64), STATUS_MALFORMED);
    }
}

static void
test_check_values_equal_those_of_the_second_implementation(void **state)
{
    json_t *root, *one;
    size_t i;
    (void)state;
    const json_t *cases = vector_own("network_key", &root);
    json_array_foreach(cases, i, one)
    {
        struct network_key key = {.epoch = (uint32_t)vector_number(one, "epoch")};
        uint8_t check[NETWORK_KEY_CHECK_BYTES];
        vector_bytes(one, "key", key.key, KEY_BYTES);
        network_key_check(vector_text(one, "network"), &key, check);
        vector_expect(one, "check", check, sizeof check);
    }
    json_decref(root);
}

static void
test_network_key_opens_for_its_member_only_and_unchanged_only(void **state)
{
    struct dh_key member, other;
    struct network_key key = {.epoch = 3}, opened;
    uint8_t sealed[NETWORK_KEY_SEALED_BYTES], check[NETWORK_KEY_CHECK_BYTES], secret[KEY_BYTES];
    const struct view s = {sealed, sizeof sealed}, c = {check, sizeof check};
    (void)state;
    randombytes_buf(key.key, KEY_BYTES);
    randombytes_buf(secret, sizeof secret);
    keys_dh_key(secret, &member);
    randombytes_buf(secret, sizeof secret);
    keys_dh_key(secret, &other);
    randombytes_buf(secret, sizeof secret);
    assert_int_equal(network_key_seal(&key, member.public_key, secret, sealed), STATUS_OK);
    network_key_check("net", &key, check);
    assert_int_equal(network_key_open("net", 3, s, c, &member, &opened), STATUS_OK);
    assert_int_equal(opened.epoch, 3);
    assert_memory_equal(opened.key, key.key, KEY_BYTES);

    assert_int_equal(network_key_open("net", 3, s, c, &other, &opened), STATUS_BAD_KEY);
    assert_int_equal(network_key_open("ne", 3, s, c, &member, &opened), STATUS_BAD_KEY);
    assert_int_equal(network_key_open("net", 4, s, c, &member, &opened), STATUS_BAD_KEY);
    assert_true(sodium_is_zero((const unsigned char *)&opened, sizeof opened));
    assert_int_equal(network_key_open("net", 0, s, c, &member, &opened), STATUS_MALFORMED);
    for (size_t n = 0; n < sizeof sealed; n++) {
        assert_int_equal(
            network_key_open("net", 3, (struct view){sealed, n}, c, &member, &opened),
            STATUS_MALFORMED);
        sealed[n] ^= 1;
        assert_int_equal(network_key_open("net", 3, s, c, &member, &opened), STATUS_BAD_KEY);
        sealed[n] ^= 1;
    }
    for (size_t n = 0; n < sizeof check; n++) {
        assert_int_equal(
            network_key_open("net", 3, s, (struct view){check, n}, &member, &opened),
            STATUS_MALFORMED);
        check[n] ^= 0x80;
        assert_int_equal(network_key_open("net", 3, s, c, &member, &opened), STATUS_BAD_KEY);
        check[n] ^= 0x80;
    }
    memset(other.public_key, 0, KEY_BYTES);
    assert_int_equal(network_key_seal(&key, other.public_key, secret, sealed), STATUS_BAD_KEY);
    assert_true(sodium_is_zero(sealed, sizeof sealed));
}

static void
test_sealing_is_that_of_libsodium(void **state)
{
    struct dh_key member;
    struct network_key key = {.epoch = 1}, opened;
    uint8_t sealed[NETWORK_KEY_SEALED_BYTES], check[NETWORK_KEY_CHECK_BYTES], raw[KEY_BYTES];
    const uint8_t secret[KEY_BYTES] = {5}, ephemeral[KEY_BYTES] = {6};
    (void)state;
    keys_dh_key(secret, &member);
    randombytes_buf(key.key, KEY_BYTES);
    network_key_check("net", &key, check);
    assert_int_equal(crypto_box_seal(sealed, key.key, KEY_BYTES, member.public_key), 0);
    assert_int_equal(network_key_open("net", 1, (struct view){sealed, sizeof sealed},
                                      (struct view){check, sizeof check}, &member, &opened),
                     STATUS_OK);
    assert_memory_equal(opened.key, key.key, KEY_BYTES);
    assert_int_equal(network_key_seal(&key, member.public_key, ephemeral, sealed), STATUS_OK);
    assert_int_equal(
        crypto_box_seal_open(raw, sealed, sizeof sealed, member.public_key, member.secret_key),
        0);
    assert_memory_equal(raw, key.key, KEY_BYTES);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derived_keys_equal_those_of_the_second_implementation),
        cmocka_unit_test(test_points_of_low_order_are_refused_as_x25519_keys),
        cmocka_unit_test(test_ed25519_keys_off_the_prime_order_group_are_refused),
        cmocka_unit_test(test_one_bad_or_repeated_key_of_five_is_refused),
        cmocka_unit_test(test_names_have_one_spelling),
        cmocka_unit_test(test_check_values_equal_those_of_the_second_implementation),
        cmocka_unit_test(test_network_key_opens_for_its_member_only_and_unchanged_only),
        cmocka_unit_test(test_sealing_is_that_of_libsodium),
    };
    return cmocka_run_group_tests_name("keys", tests, vector_setup, NULL);
}
