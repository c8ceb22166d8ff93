#include "crypto/networkkey.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/blake2b.h"
#include "proto/text.h"

_Static_assert((size_t)NETWORK_KEY_SEALED_BYTES == crypto_box_SEALBYTES + KEY_BYTES,
               "sealed as crypto_box_seal does");

void
network_key_check(const char *network, const struct network_key *key,
                  uint8_t check[NETWORK_KEY_CHECK_BYTES])
{
    const uint8_t epoch[4] = {(uint8_t)(key->epoch >> 24), (uint8_t)(key->epoch >> 16),
                              (uint8_t)(key->epoch >> 8), (uint8_t)key->epoch};
    /* Unambiguous: what follows the network has a fixed length. */
    const struct view parts[] = {text_view("huren network key v1"),
                                 text_view(network),
                                 {epoch, sizeof epoch},
                                 {key->key, KEY_BYTES}};

    blake2b_parts(NULL, parts, 4, check, NETWORK_KEY_CHECK_BYTES);
}

enum status
network_key_seal(const struct network_key *key, const uint8_t box_public[KEY_BYTES],
                 const uint8_t ephemeral_secret[KEY_BYTES],
                 uint8_t sealed[NETWORK_KEY_SEALED_BYTES])
{
    struct dh_key e;
    uint8_t nonce[crypto_box_NONCEBYTES];
    const struct view parts[] = {{e.public_key, KEY_BYTES}, {box_public, KEY_BYTES}};
    enum status st = STATUS_OK;

    keys_dh_key(ephemeral_secret, &e);
    blake2b_parts(NULL, parts, 2, nonce, sizeof nonce);
    memcpy(sealed, e.public_key, KEY_BYTES);
    if (crypto_box_easy(sealed + KEY_BYTES, key->key, KEY_BYTES, nonce, box_public,
                        e.secret_key) != 0) {
        sodium_memzero(sealed, NETWORK_KEY_SEALED_BYTES);
        st = STATUS_BAD_KEY;
    }
    sodium_memzero(&e, sizeof e);
    return st;
}

enum status
network_key_open(const char *network, uint32_t epoch, struct view sealed, struct view check,
                 const struct dh_key *box, struct network_key *out)
{
    struct network_key opened = {.epoch = epoch};
    uint8_t expected[NETWORK_KEY_CHECK_BYTES];
    enum status st = STATUS_BAD_KEY;

    memset(out, 0, sizeof *out);
    if (sealed.count != NETWORK_KEY_SEALED_BYTES || check.count != NETWORK_KEY_CHECK_BYTES ||
        epoch == 0) {
        return STATUS_MALFORMED;
    }
    if (crypto_box_seal_open(opened.key, sealed.bytes, sealed.count, box->public_key,
                             box->secret_key) != 0) {
        goto cleanup;
    }
    network_key_check(network, &opened, expected);
    if (sodium_memcmp(expected, check.bytes, sizeof expected) != 0) {
        goto cleanup;
    }
    *out = opened;
    st = STATUS_OK;
cleanup:
    sodium_memzero(&opened, sizeof opened);
    return st;
}
