/* sha256.h: SHA-256 (FIPS 180-4), fast for short inputs.
 *
 * libcrypto's EVP digest is fetched once and its contexts are kept and
 * reused: the one-shot calls of OpenSSL 3.0 cost ten times as much
 * (crypto/README.md, decision 1).  Any number of threads may call at the same
 * time.  Nothing here can fail. */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/view.h"

/* A SHA-256 value.  Public: compared with hash_equal, not in constant time. */
struct hash {
    uint8_t bytes[HASH_BYTES];
};

bool hash_equal(const struct hash *a, const struct hash *b);

/* out = SHA-256(data).  `data` may be NULL when `count` is 0. */
void sha256(const uint8_t *data, size_t count, struct hash *out);

/* out = SHA-256(a || b), and SHA-256(a || b || c).  A view of 0 bytes may
 * point to NULL.  `out` may lie inside a piece. */
void sha256_2(struct view a, struct view b, struct hash *out);
void sha256_3(struct view a, struct view b, struct view c, struct hash *out);

/* outs[i] = SHA-256(prefix || items[i]) for every i < count.  One context for
 * all of them and no allocation; made for leaf hashes. */
void sha256_many(struct view prefix, const struct view *items, size_t count, struct hash *outs);

#endif
