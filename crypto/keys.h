/* keys.h: the keys of a node in one network, all from one seed.
 *
 * Source: DESIGN section 5, Keys.
 *   master = BLAKE2b-256(key = seed, "huren network v1" || network)
 *   crypto_kdf(master, "hurenkey"): 1 log, 2 witness, 3 statement (seeds of
 *   Ed25519 keys), 4 session, 5 box (X25519 scalars, used as they are).
 * No key serves two roles or two networks.  Pure. */
#ifndef CRYPTO_KEYS_H
#define CRYPTO_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"

/* An Ed25519 key pair; secret_key is libsodium's form, seed || public key. */
struct sign_key {
    uint8_t public_key[KEY_BYTES];
    uint8_t secret_key[2 * KEY_BYTES];
};

/* An X25519 key pair. */
struct dh_key {
    uint8_t public_key[KEY_BYTES];
    uint8_t secret_key[KEY_BYTES];
};

/* Wipe with keys_wipe after use. */
struct network_keys {
    struct sign_key log;       /* signs checkpoints */
    struct sign_key witness;   /* cosigns the checkpoints of others */
    struct sign_key statement; /* signs join files, bundles, receipts */
    struct dh_key session;     /* static key of Noise sessions */
    struct dh_key box;         /* network keys are sealed to it */
};

/* The five public keys, as members lists them. */
struct network_public {
    uint8_t log[KEY_BYTES];
    uint8_t witness[KEY_BYTES];
    uint8_t statement[KEY_BYTES];
    uint8_t session[KEY_BYTES];
    uint8_t box[KEY_BYTES];
};

/* Derive the keys of the node with this seed in `network`, whose name must
 * have passed keys_vet_name (asserted). */
void keys_derive(const uint8_t seed[KEY_BYTES], const char *network, struct network_keys *out);

/* The key pair of an Ed25519 seed, as charter signers have them. */
void keys_sign_key(const uint8_t seed[KEY_BYTES], struct sign_key *out);

/* The key pair of an X25519 secret scalar. */
void keys_dh_key(const uint8_t secret[KEY_BYTES], struct dh_key *out);

void keys_public(const struct network_keys *keys, struct network_public *out);

/* Overwrite the secrets.  NULL does nothing. */
void keys_wipe(struct network_keys *keys);

/* Refuse an Ed25519 public key that is not a canonical point of the prime
 * order group (RELIABILITY S1: signatures of others verify differently in
 * different libraries).
 *
 * STATUS_OK, or STATUS_BAD_KEY. */
MUST_USE enum status keys_vet_ed25519(const uint8_t public_key[KEY_BYTES]);

/* Refuse an X25519 public key with which crypto_scalarmult fails, whatever
 * the secret (points of low order).
 *
 * STATUS_OK, or STATUS_BAD_KEY. */
MUST_USE enum status keys_vet_x25519(const uint8_t public_key[KEY_BYTES]);

/* Vet all five keys of a member, which must also differ from each other.
 *
 * STATUS_OK, or STATUS_BAD_KEY. */
MUST_USE enum status keys_vet_public(const struct network_public *keys);

/* Check the name of a network, or an institution code, as they stand in
 * origins: 1 to `chars_max` of a-z 0-9 . - _ (the caller folds case first).
 * Whatever is keyed or bound by name (keys, tokens, records, join files)
 * takes this form only, so that one name has one spelling.
 *
 * STATUS_OK
 * STATUS_TOO_BIG    longer than `chars_max`.
 * STATUS_MALFORMED  empty, or a character that names do not have. */
MUST_USE enum status keys_vet_name(const char *name, size_t chars_max);

#endif
