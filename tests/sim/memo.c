/* memo.c: half of a seed's time went into the same Ed25519 signatures and keys,
 * verified by every node again.  The linker puts these in front of libsodium's
 * (--wrap): the same question gets the answer that libsodium gave before. */
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { PLACES = 1 << 13 };

struct memo {
    uint8_t question[32];
    bool known;
    int answer;
};

int __real_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                       unsigned long long count, const unsigned char *pk);
int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                       unsigned long long count, const unsigned char *pk);
int __real_crypto_core_ed25519_is_valid_point(const unsigned char *p);
int __wrap_crypto_core_ed25519_is_valid_point(const unsigned char *p);

static struct memo *
place(struct memo *memo, const uint8_t question[32])
{
    uint32_t at;
    memcpy(&at, question, sizeof at);
    struct memo *m = &memo[at % PLACES];
    if (m->known && memcmp(m->question, question, 32) != 0) {
        m->known = false;
    }
    memcpy(m->question, question, 32);
    return m;
}

int
__wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
                                   unsigned long long count, const unsigned char *pk)
{
    static struct memo memo[PLACES];
    uint8_t question[32];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof question);
    crypto_generichash_update(&state, sig, crypto_sign_BYTES);
    crypto_generichash_update(&state, pk, crypto_sign_PUBLICKEYBYTES);
    crypto_generichash_update(&state, m, count);
    crypto_generichash_final(&state, question, sizeof question);
    struct memo *at = place(memo, question);
    if (!at->known) {
        at->answer = __real_crypto_sign_verify_detached(sig, m, count, pk);
        at->known = true;
    }
    return at->answer;
}

int
__wrap_crypto_core_ed25519_is_valid_point(const unsigned char *p)
{
    static struct memo memo[PLACES];
    struct memo *at = place(memo, p);
    if (!at->known) {
        at->answer = __real_crypto_core_ed25519_is_valid_point(p);
        at->known = true;
    }
    return at->answer;
}
