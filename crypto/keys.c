#include "crypto/keys.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/blake2b.h"
#include "proto/text.h"

static const char KEYS_CONTEXT[crypto_kdf_CONTEXTBYTES + 1] = "hurenkey";

enum { KEYS_LOG = 1, KEYS_WITNESS, KEYS_STATEMENT, KEYS_SESSION, KEYS_BOX };

static void
derive(const uint8_t master[KEY_BYTES], uint64_t id, uint8_t out[KEY_BYTES])
{
    int failed = crypto_kdf_derive_from_key(out, KEY_BYTES, id, KEYS_CONTEXT, master);
    assert(failed == 0); /* fails only on a bad length */
}

void
keys_sign_key(const uint8_t seed[KEY_BYTES], struct sign_key *out)
{
    int failed = crypto_sign_seed_keypair(out->public_key, out->secret_key, seed);
    assert(failed == 0);
}

void
keys_dh_key(const uint8_t secret[KEY_BYTES], struct dh_key *out)
{
    int failed = crypto_scalarmult_base(out->public_key, secret);
    assert(failed == 0); /* the base point has no low order */
    memcpy(out->secret_key, secret, KEY_BYTES);
}

void
keys_derive(const uint8_t seed[KEY_BYTES], const char *network, struct network_keys *out)
{
    const struct view parts[] = {text_view("huren network v1"), text_view(network)};
    uint8_t master[KEY_BYTES], secret[KEY_BYTES];
    struct sign_key *const sign[] = {&out->log, &out->witness, &out->statement};
    struct dh_key *const dh[] = {&out->session, &out->box};

    assert(keys_vet_name(network, NETWORK_CHARS_MAX) == STATUS_OK);
    blake2b_parts(seed, parts, 2, master, sizeof master);
    for (uint64_t i = 0; i < 3; i++) {
        derive(master, KEYS_LOG + i, secret);
        keys_sign_key(secret, sign[i]);
    }
    for (uint64_t i = 0; i < 2; i++) {
        derive(master, KEYS_SESSION + i, secret);
        keys_dh_key(secret, dh[i]);
    }
    sodium_memzero(master, sizeof master);
    sodium_memzero(secret, sizeof secret);
}

void
keys_public(const struct network_keys *keys, struct network_public *out)
{
    memcpy(out->log, keys->log.public_key, KEY_BYTES);
    memcpy(out->witness, keys->witness.public_key, KEY_BYTES);
    memcpy(out->statement, keys->statement.public_key, KEY_BYTES);
    memcpy(out->session, keys->session.public_key, KEY_BYTES);
    memcpy(out->box, keys->box.public_key, KEY_BYTES);
}

void
keys_wipe(struct network_keys *keys)
{
    if (keys != NULL) {
        sodium_memzero(keys, sizeof *keys);
    }
}

enum status
keys_vet_ed25519(const uint8_t public_key[KEY_BYTES])
{
    return crypto_core_ed25519_is_valid_point(public_key) == 1 ? STATUS_OK : STATUS_BAD_KEY;
}

enum status
keys_vet_x25519(const uint8_t public_key[KEY_BYTES])
{
    /* Clamping makes every scalar a multiple of the cofactor, so a point of
     * low order gives zero with this scalar as with any other. */
    static const uint8_t scalar[KEY_BYTES] = {1};
    uint8_t shared[KEY_BYTES];

    return crypto_scalarmult(shared, scalar, public_key) == 0 ? STATUS_OK : STATUS_BAD_KEY;
}

enum status
keys_vet_public(const struct network_public *keys)
{
    const uint8_t *const all[] = {keys->log, keys->witness, keys->statement, keys->session,
                                  keys->box};

    for (size_t i = 0; i < 5; i++) {
        if ((i < 3 ? keys_vet_ed25519(all[i]) : keys_vet_x25519(all[i])) != STATUS_OK) {
            return STATUS_BAD_KEY;
        }
        for (size_t j = 0; j < i; j++) {
            if (memcmp(all[i], all[j], KEY_BYTES) == 0) { /* public, may leak time */
                return STATUS_BAD_KEY;
            }
        }
    }
    return STATUS_OK;
}

enum status
keys_vet_name(const char *name, size_t chars_max)
{
    for (size_t i = 0; name[i] != '\0'; i++) {
        const char c = name[i];
        if (i == chars_max) {
            return STATUS_TOO_BIG;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
              c == '_')) {
            return STATUS_MALFORMED;
        }
    }
    return name[0] == '\0' ? STATUS_MALFORMED : STATUS_OK;
}
