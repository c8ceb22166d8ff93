#include "crypto/sha256.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>

/* A context is made once and kept for the life of the process.  There are more
 * slots than threads that hash at one time; who finds all of them busy uses
 * libsodium's slower code, which needs no context and cannot fail.  That is
 * also the way out when libcrypto has no memory. */
enum {
    SLOTS = 16,
    SHORT_BYTES = 256 /* joined on the stack: one update instead of three */
};

struct slot {
    atomic_bool busy;
    EVP_MD_CTX *context; /* NULL until first used; written by who holds `busy` */
};

static struct slot slots[SLOTS];
static _Thread_local unsigned slot_hint;

_Static_assert(HASH_BYTES == crypto_hash_sha256_BYTES, "one digest size");

/* A library context of our own, once for the process; NULL without memory.  The default one
 * faults at its first use when there was no memory to make it (OpenSSL 3.0). */
static OSSL_LIB_CTX *
library_get(void)
{
    static _Atomic(OSSL_LIB_CTX *) library;
    OSSL_LIB_CTX *made, *held = atomic_load(&library);

    if (held == NULL && (made = OSSL_LIB_CTX_new()) != NULL) {
        if (atomic_compare_exchange_strong(&library, &held, made)) {
            return made;
        }
        OSSL_LIB_CTX_free(made); /* Another thread was first. */
    }
    return held;
}

/* A fetched digest in a new context: what the one-shot calls do every time. */
static EVP_MD_CTX *
context_new(void)
{
    OSSL_LIB_CTX *library = library_get();
    EVP_MD_CTX *context = library == NULL ? NULL : EVP_MD_CTX_new();
    EVP_MD *digest = context == NULL ? NULL : EVP_MD_fetch(library, "SHA2-256", NULL);

    if (context != NULL && (digest == NULL || EVP_DigestInit_ex2(context, digest, NULL) != 1)) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    EVP_MD_free(digest); /* The context holds its own reference. */
    return context;
}

/* Return a slot that is ours until slot_release, or NULL. */
static struct slot *
slot_take(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned at = (slot_hint + i) % SLOTS;
        struct slot *slot = &slots[at];

        if (atomic_exchange_explicit(&slot->busy, true, memory_order_acquire)) {
            continue;
        }
        if (slot->context == NULL) {
            slot->context = context_new();
        }
        if (slot->context != NULL) {
            slot_hint = at; /* Next time this thread finds it free at once. */
            return slot;
        }
        atomic_store_explicit(&slot->busy, false, memory_order_release);
        return NULL;
    }
    return NULL;
}

static void
slot_release(struct slot *slot)
{
    if (slot != NULL) {
        atomic_store_explicit(&slot->busy, false, memory_order_release);
    }
}

static void
hash_pieces(struct slot *slot, const struct view *pieces, size_t count, struct hash *out)
{
    crypto_hash_sha256_state state;

    if (slot != NULL && EVP_DigestInit_ex2(slot->context, NULL, NULL) == 1) {
        bool good = true;
        for (size_t i = 0; i < count; i++) {
            good =
                good && EVP_DigestUpdate(slot->context, pieces[i].bytes, pieces[i].count) == 1;
        }
        if (good && EVP_DigestFinal_ex(slot->context, out->bytes, NULL) == 1) {
            return;
        }
    }
    ERR_clear_error(); /* libcrypto's words for want of memory are nobody's */
    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < count; i++) {
        crypto_hash_sha256_update(&state, pieces[i].bytes, pieces[i].count);
    }
    crypto_hash_sha256_final(&state, out->bytes);
}

/* Hash up to three pieces.  The result goes through a copy: out may alias. */
static void
hash_joined(struct slot *slot, const struct view *pieces, size_t count, struct hash *out)
{
    uint8_t joined[SHORT_BYTES];
    struct view whole = {.bytes = joined, .count = 0};
    struct hash result;
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        assert(pieces[i].bytes != NULL || pieces[i].count == 0);
        total = pieces[i].count > SHORT_BYTES ? SHORT_BYTES + 1 : total + pieces[i].count;
        if (total > SHORT_BYTES) {
            hash_pieces(slot, pieces, count, &result);
            *out = result;
            return;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].count > 0) {
            memcpy(joined + whole.count, pieces[i].bytes, pieces[i].count);
            whole.count += pieces[i].count;
        }
    }
    hash_pieces(slot, &whole, 1, &result);
    *out = result;
}

bool
hash_equal(const struct hash *a, const struct hash *b)
{
    return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

void
sha256(const uint8_t *data, size_t count, struct hash *out)
{
    struct view piece = {.bytes = data, .count = count};
    struct slot *slot = slot_take();

    assert(data != NULL || count == 0);
    hash_pieces(slot, &piece, 1, out);
    slot_release(slot);
}

void
sha256_2(struct view a, struct view b, struct hash *out)
{
    struct view pieces[2] = {a, b};
    struct slot *slot = slot_take();

    hash_joined(slot, pieces, 2, out);
    slot_release(slot);
}

void
sha256_3(struct view a, struct view b, struct view c, struct hash *out)
{
    struct view pieces[3] = {a, b, c};
    struct slot *slot = slot_take();

    hash_joined(slot, pieces, 3, out);
    slot_release(slot);
}

void
sha256_many(struct view prefix, const struct view *items, size_t count, struct hash *outs)
{
    struct slot *slot = slot_take();

    for (size_t i = 0; i < count; i++) {
        struct view pieces[2] = {prefix, items[i]};
        hash_joined(slot, pieces, 2, &outs[i]);
    }
    slot_release(slot);
}
