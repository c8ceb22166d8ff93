/* noise_state.h: the SymmetricState of a Noise handshake, for
 * 25519, ChaChaPoly and BLAKE2b.
 *
 * Source: The Noise Protocol Framework, revision 34, section 5.2; FORMATS 7.1.
 * For crypto/noise.c, and for the tests that run other patterns against the
 * published vectors.  Pure. */
#ifndef CRYPTO_NOISE_STATE_H
#define CRYPTO_NOISE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum { NOISE_HASH_BYTES = 64, NOISE_TAG_BYTES = 16 };

struct noise_state {
    uint8_t h[NOISE_HASH_BYTES];
    uint8_t ck[NOISE_HASH_BYTES];
    uint8_t k[KEY_BYTES];
    uint64_t n;
    bool has_key;
};

/* InitializeSymmetric: `name` is the protocol name, of any length. */
void noise_state_init(struct noise_state *s, const char *name);

void noise_state_mix_hash(struct noise_state *s, const uint8_t *bytes, size_t count);

/* MixKey(DH(secret, public)).
 *
 * STATUS_OK, or STATUS_BAD_KEY if crypto_scalarmult refuses `public_key`. */
MUST_USE enum status noise_state_mix_dh(struct noise_state *s, const uint8_t secret[KEY_BYTES],
                                        const uint8_t public_key[KEY_BYTES]);

/* EncryptAndHash: writes plain.count bytes, and a tag once there is a key;
 * returns how many.  `out` may be where `plain` is. */
size_t noise_state_encrypt(struct noise_state *s, struct view plain, uint8_t *out);

/* DecryptAndHash: writes cipher.count bytes, less the tag.
 *
 * STATUS_OK, or STATUS_BAD_KEY: does not open, `s` is as before. */
MUST_USE enum status noise_state_decrypt(struct noise_state *s, struct view cipher,
                                         uint8_t *out, size_t *out_count);

/* The cipher on its own, for transport messages: nonce n, `out` takes the text
 * and a tag, or the text without; `out` may be where the input is.
 * STATUS_OK, or STATUS_BAD_KEY: does not open. */
void noise_state_aead_seal(const uint8_t key[KEY_BYTES], uint64_t n, struct view ad,
                           struct view plain, uint8_t *out);
MUST_USE enum status noise_state_aead_open(const uint8_t key[KEY_BYTES], uint64_t n,
                                           struct view ad, struct view cipher, uint8_t *out);

/* Split: the keys initiator to responder, and responder to initiator. */
void noise_state_split(const struct noise_state *s, uint8_t key_1[KEY_BYTES],
                       uint8_t key_2[KEY_BYTES]);

#endif
