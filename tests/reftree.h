/* reftree.h: RFC 9162's recursive definitions of roots and proofs (2.1.1,
 * 2.1.3.1, 2.1.4.1), written a second time and as plainly as possible, over
 * libsodium's SHA-256, so that nothing is shared with the code under test.
 * Leaf i of the reference log is the text "leaf <i>". */
#ifndef TESTS_REFTREE_H
#define TESTS_REFTREE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "crypto/sha256.h"

enum { REF_LEAVES_MAX = 300 };

struct reftree {
    struct hash leaves[REF_LEAVES_MAX];
    struct hash roots[REF_LEAVES_MAX][REF_LEAVES_MAX + 1]; /* [first][count] */
    bool known[REF_LEAVES_MAX][REF_LEAVES_MAX + 1];
};

static inline struct hash
ref_leaf_hash(const void *entry, size_t count)
{
    uint8_t buffer[256] = {0x00};
    struct hash out;

    memcpy(buffer + 1, entry, count);
    crypto_hash_sha256(out.bytes, buffer, count + 1);
    return out;
}

static inline struct hash
ref_node_hash(struct hash left, struct hash right)
{
    uint8_t buffer[65] = {0x01};
    struct hash out;

    memcpy(buffer + 1, left.bytes, 32);
    memcpy(buffer + 33, right.bytes, 32);
    crypto_hash_sha256(out.bytes, buffer, sizeof buffer);
    return out;
}

static inline size_t
ref_entry(uint64_t index, char out[32])
{
    return (size_t)snprintf(out, 32, "leaf %llu", (unsigned long long)index);
}

static inline void
ref_init(struct reftree *t)
{
    memset(t, 0, sizeof *t);
    for (uint64_t i = 0; i < REF_LEAVES_MAX; i++) {
        char entry[32];
        size_t n = ref_entry(i, entry);
        t->leaves[i] = ref_leaf_hash(entry, n);
    }
}

/* Largest power of two smaller than n (n > 1): "k" in the RFC. */
static inline uint64_t
ref_split(uint64_t n)
{
    uint64_t k = 1;
    while (k * 2 < n) {
        k *= 2;
    }
    return k;
}

/* MTH(D[first : first + n]); remembered, because tests ask for all of them. */
static inline struct hash
ref_root(struct reftree *t, uint64_t first, uint64_t n)
{
    struct hash out;

    if (n == 0) {
        crypto_hash_sha256(out.bytes, NULL, 0);
        return out;
    }
    if (n == 1) {
        return t->leaves[first];
    }
    if (!t->known[first][n]) {
        uint64_t k = ref_split(n);
        t->roots[first][n] =
            ref_node_hash(ref_root(t, first, k), ref_root(t, first + k, n - k));
        t->known[first][n] = true;
    }
    return t->roots[first][n];
}

/* PATH(index, D[first : first + n]) */
static inline size_t
ref_path(struct reftree *t, struct hash *proof, uint64_t index, uint64_t first, uint64_t n)
{
    uint64_t k;
    size_t count;

    if (n == 1) {
        return 0;
    }
    k = ref_split(n);
    if (index < k) {
        count = ref_path(t, proof, index, first, k);
        proof[count] = ref_root(t, first + k, n - k);
    } else {
        count = ref_path(t, proof, index - k, first + k, n - k);
        proof[count] = ref_root(t, first, k);
    }
    return count + 1;
}

/* SUBPROOF(m, D[first : first + n], b) */
static inline size_t
ref_subproof(struct reftree *t, struct hash *proof, uint64_t m, uint64_t first, uint64_t n,
             bool b)
{
    uint64_t k;
    size_t count;

    if (m == n) {
        if (!b) {
            proof[0] = ref_root(t, first, n);
        }
        return b ? 0 : 1;
    }
    k = ref_split(n);
    if (m <= k) {
        count = ref_subproof(t, proof, m, first, k, b);
        proof[count] = ref_root(t, first + k, n - k);
    } else {
        count = ref_subproof(t, proof, m - k, first + k, n - k, false);
        proof[count] = ref_root(t, first, k);
    }
    return count + 1;
}

#endif
