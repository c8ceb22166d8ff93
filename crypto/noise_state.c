#include "crypto/noise_state.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/blake2b.h"
#include "proto/text.h"

enum { NOISE_BLOCK_BYTES = 128 /* of BLAKE2b, for HMAC */ };

static void
hash_2(struct view a, struct view b, uint8_t out[NOISE_HASH_BYTES])
{
    const struct view parts[] = {a, b};
    blake2b_parts(NULL, parts, 2, out, NOISE_HASH_BYTES);
}

/* HMAC (RFC 2104) over BLAKE2b-512; not keyed BLAKE2b.  The message is a || b,
 * the key one hash long.  `out` may be where the inputs are. */
static void
hmac(const uint8_t key[NOISE_HASH_BYTES], struct view a, struct view b,
     uint8_t out[NOISE_HASH_BYTES])
{
    uint8_t pad[NOISE_BLOCK_BYTES] = {0}, inner[NOISE_HASH_BYTES];
    const struct view message[] = {{pad, sizeof pad}, a, b};

    memcpy(pad, key, NOISE_HASH_BYTES);
    for (size_t i = 0; i < sizeof pad; i++) {
        pad[i] ^= 0x36;
    }
    blake2b_parts(NULL, message, 3, inner, sizeof inner);
    for (size_t i = 0; i < sizeof pad; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    hash_2((struct view){pad, sizeof pad}, (struct view){inner, sizeof inner}, out);
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}

/* HKDF with two outputs; `out_1` may be `ck`. */
static void
hkdf_2(const uint8_t ck[NOISE_HASH_BYTES], struct view material,
       uint8_t out_1[NOISE_HASH_BYTES], uint8_t out_2[NOISE_HASH_BYTES])
{
    static const uint8_t one = 1, two = 2;
    const struct view nothing = {NULL, 0};
    uint8_t t[NOISE_HASH_BYTES];

    hmac(ck, material, nothing, t);
    hmac(t, (struct view){&one, 1}, nothing, out_1);
    hmac(t, (struct view){out_1, NOISE_HASH_BYTES}, (struct view){&two, 1}, out_2);
    sodium_memzero(t, sizeof t);
}

/* Four zero bytes, then the counter, little-endian. */
static void
make_nonce(uint64_t n, uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES])
{
    memset(nonce, 0, 4);
    for (unsigned i = 0; i < 8; i++) {
        nonce[4 + i] = (uint8_t)(n >> (8 * i));
    }
}

void
noise_state_init(struct noise_state *s, const char *name)
{
    const struct view text = text_view(name);

    memset(s, 0, sizeof *s);
    if (text.count <= NOISE_HASH_BYTES) {
        memcpy(s->h, text.bytes, text.count);
    } else {
        blake2b_parts(NULL, &text, 1, s->h, sizeof s->h);
    }
    memcpy(s->ck, s->h, sizeof s->ck);
}

void
noise_state_mix_hash(struct noise_state *s, const uint8_t *bytes, size_t count)
{
    hash_2((struct view){s->h, sizeof s->h}, (struct view){bytes, count}, s->h);
}

enum status
noise_state_mix_dh(struct noise_state *s, const uint8_t secret[KEY_BYTES],
                   const uint8_t public_key[KEY_BYTES])
{
    uint8_t shared[KEY_BYTES], key[NOISE_HASH_BYTES];
    enum status st = STATUS_BAD_KEY;

    if (crypto_scalarmult(shared, secret, public_key) == 0) {
        hkdf_2(s->ck, (struct view){shared, sizeof shared}, s->ck, key);
        memcpy(s->k, key, KEY_BYTES);
        s->n = 0;
        s->has_key = true;
        st = STATUS_OK;
    }
    sodium_memzero(shared, sizeof shared);
    sodium_memzero(key, sizeof key);
    return st;
}

size_t
noise_state_encrypt(struct noise_state *s, struct view plain, uint8_t *out)
{
    size_t count = plain.count;

    if (s->has_key) {
        noise_state_aead_seal(s->k, s->n++, (struct view){s->h, sizeof s->h}, plain, out);
        count += NOISE_TAG_BYTES;
    } else if (count > 0) {
        memmove(out, plain.bytes, count);
    }
    noise_state_mix_hash(s, out, count);
    return count;
}

enum status
noise_state_decrypt(struct noise_state *s, struct view cipher, uint8_t *out, size_t *out_count)
{
    struct noise_state next = *s;
    enum status st = STATUS_OK;

    /* Hash first: the plaintext may be written over the ciphertext. */
    noise_state_mix_hash(&next, cipher.bytes, cipher.count);
    *out_count = 0;
    if (!s->has_key) {
        if (cipher.count > 0) {
            memmove(out, cipher.bytes, cipher.count);
        }
        *out_count = cipher.count;
    } else if ((st = noise_state_aead_open(s->k, s->n, (struct view){s->h, sizeof s->h}, cipher,
                                           out)) == STATUS_OK) {
        *out_count = cipher.count - NOISE_TAG_BYTES;
        next.n++;
    }
    if (st == STATUS_OK) {
        *s = next;
    }
    sodium_memzero(&next, sizeof next);
    return st;
}

void
noise_state_split(const struct noise_state *s, uint8_t key_1[KEY_BYTES],
                  uint8_t key_2[KEY_BYTES])
{
    uint8_t t_1[NOISE_HASH_BYTES], t_2[NOISE_HASH_BYTES];

    hkdf_2(s->ck, (struct view){NULL, 0}, t_1, t_2);
    memcpy(key_1, t_1, KEY_BYTES);
    memcpy(key_2, t_2, KEY_BYTES);
    sodium_memzero(t_1, sizeof t_1);
    sodium_memzero(t_2, sizeof t_2);
}

void
noise_state_aead_seal(const uint8_t key[KEY_BYTES], uint64_t n, struct view ad,
                      struct view plain, uint8_t *out)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    int failed;

    make_nonce(n, nonce);
    failed = crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain.bytes, plain.count,
                                                       ad.bytes, ad.count, NULL, nonce, key);
    assert(failed == 0);
}

enum status
noise_state_aead_open(const uint8_t key[KEY_BYTES], uint64_t n, struct view ad,
                      struct view cipher, uint8_t *out)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

    if (cipher.count < NOISE_TAG_BYTES) {
        return STATUS_BAD_KEY;
    }
    make_nonce(n, nonce);
    return crypto_aead_chacha20poly1305_ietf_decrypt(
               out, NULL, NULL, cipher.bytes, cipher.count, ad.bytes, ad.count, nonce, key) == 0
               ? STATUS_OK
               : STATUS_BAD_KEY;
}
