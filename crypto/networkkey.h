/* networkkey.h: the secret that the members of a network share in one epoch.
 *
 * Source: DESIGN section 5, Network keys.  Sealed to a member's box key with
 * the construction of libsodium's crypto_box_seal, and opened with it:
 *   sealed = E || crypto_box_easy(key, nonce = BLAKE2b-192(E || box key), box key, e)
 * where (e, E) is an X25519 key pair made for this one message; e comes in as
 * an argument, because nothing here draws random bytes.
 *   check = BLAKE2b-128("huren network key v1" || network || epoch || key)
 * with the epoch as four bytes, big-endian.  Pure. */
#ifndef CRYPTO_NETWORKKEY_H
#define CRYPTO_NETWORKKEY_H

#include <stdint.h>

#include "crypto/keys.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    NETWORK_KEY_CHECK_BYTES = 16,
    NETWORK_KEY_SEALED_BYTES = KEY_BYTES + 16 + KEY_BYTES /* E, tag, key */
};

struct network_key {
    uint32_t epoch; /* from 1 */
    uint8_t key[KEY_BYTES];
};

/* The public check value, by which a wrong key is noticed. */
void network_key_check(const char *network, const struct network_key *key,
                       uint8_t check[NETWORK_KEY_CHECK_BYTES]);

/* Seal the key to a member.  `ephemeral_secret` is 32 random bytes, used for
 * this call alone and wiped by the caller.
 *
 * STATUS_OK
 * STATUS_BAD_KEY  the box key is of low order; `sealed` is all zero. */
MUST_USE enum status network_key_seal(const struct network_key *key,
                                      const uint8_t box_public[KEY_BYTES],
                                      const uint8_t ephemeral_secret[KEY_BYTES],
                                      uint8_t sealed[NETWORK_KEY_SEALED_BYTES]);

/* Open what members says was sealed to us under `epoch`; `sealed` and `check`
 * may be any bytes.  `out` is written on success only, else all zero.
 *
 * STATUS_OK
 * STATUS_MALFORMED  `sealed` or `check` has the wrong length, or epoch is 0.
 * STATUS_BAD_KEY    not sealed to this box key, or the check value differs. */
MUST_USE enum status network_key_open(const char *network, uint32_t epoch, struct view sealed,
                                      struct view check, const struct dh_key *box,
                                      struct network_key *out);

#endif
