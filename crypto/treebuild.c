#include "crypto/treebuild.h"

#include <assert.h>
#include <string.h>

static unsigned
bits_set(uint64_t n)
{
    unsigned count = 0;

    for (; n != 0; n &= n - 1) {
        count++;
    }
    return count;
}

enum status
tree_edge_append(struct tree_edge *edge, const struct hash *leaf, tree_emit_node emit,
                 void *ctx)
{
    unsigned held = bits_set(edge->size);
    unsigned level = 0;
    uint64_t index = edge->size;
    struct hash node = *leaf;
    enum status st = STATUS_OK;

    if (edge->size >= TREE_SIZE_MAX) {
        return STATUS_TOO_BIG;
    }
    if (emit != NULL && (st = emit(ctx, level, index, &node)) != STATUS_OK) {
        return st;
    }
    /* Like adding one to a binary number: each 1 at the low end is a subtree
     * that the new one completes.  The edge is written at the very end, one
     * slot only, so that a failure leaves it alone. */
    while ((index & 1) == 1) {
        held--;
        tree_node_hash(&edge->nodes[held], &node, &node);
        index >>= 1;
        level++;
        if (emit != NULL && (st = emit(ctx, level, index, &node)) != STATUS_OK) {
            return st;
        }
    }
    edge->nodes[held] = node;
    edge->size++;
    return STATUS_OK;
}

void
tree_edge_root(const struct tree_edge *edge, struct hash *root)
{
    unsigned held = bits_set(edge->size);
    struct hash node;

    if (held == 0) {
        tree_empty_root(root);
        return;
    }
    node = edge->nodes[--held];
    while (held > 0) {
        held--;
        tree_node_hash(&edge->nodes[held], &node, &node);
    }
    *root = node;
}

enum status
tree_edge_load(uint64_t size, tree_read_node read, void *ctx, struct tree_edge *edge)
{
    struct tree_edge loaded = {.size = size};
    unsigned held = 0;

    if (size > TREE_SIZE_MAX) {
        return STATUS_MALFORMED;
    }
    for (unsigned level = 63; level-- > 0;) {
        if ((size >> level & 1) == 1) {
            /* The subtree for this bit ends where the higher bits plus it end. */
            enum status st = read(ctx, level, (size >> level) - 1, &loaded.nodes[held]);
            if (st != STATUS_OK) {
                return st;
            }
            held++;
        }
    }
    *edge = loaded;
    return STATUS_OK;
}

/* The root of the leaves [begin, end), not empty, where `begin` is a multiple of
 * a power of two that is not smaller than end - begin: the perfect subtrees of
 * the range, folded from the right. */
static enum status
range_root(uint64_t begin, uint64_t end, tree_read_node read, void *ctx, struct hash *out)
{
    uint64_t count = end - begin;
    struct hash node, left;
    bool have = false;

    for (unsigned level = 0; count >> level != 0; level++) {
        enum status st;
        if ((count >> level & 1) == 0) {
            continue;
        }
        st = read(ctx, level, (end >> level) - 1, &left);
        if (st != STATUS_OK) {
            return st;
        }
        if (have) {
            tree_node_hash(&left, &node, &node);
        } else {
            node = left;
            have = true;
        }
    }
    assert(have);
    *out = node;
    return STATUS_OK;
}

enum status
tree_root_at(uint64_t size, tree_read_node read, void *ctx, struct hash *root)
{
    if (size > TREE_SIZE_MAX) {
        return STATUS_MALFORMED;
    }
    if (size == 0) {
        tree_empty_root(root);
        return STATUS_OK;
    }
    return range_root(0, size, read, ctx, root);
}

/* Largest power of two smaller than n (n > 1): k in RFC 9162, 2.1.1. */
static uint64_t
split(uint64_t n)
{
    uint64_t k = 1;

    while (k < n - k) {
        k *= 2;
    }
    return k;
}

/* Both proofs go down from the root and meet the hashes in the reverse order. */
static void
reverse(struct hash *proof, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct hash swap = proof[i];
        proof[i] = proof[count - 1 - i];
        proof[count - 1 - i] = swap;
    }
}

enum status
tree_prove_inclusion(uint64_t size, uint64_t index, tree_read_node read, void *ctx,
                     struct hash proof[TREE_PROOF_HASHES_MAX], size_t *count)
{
    return tree_prove_node(size, 0, index, read, ctx, proof, count);
}

enum status
tree_prove_node(uint64_t size, unsigned level, uint64_t index, tree_read_node read, void *ctx,
                struct hash proof[TREE_PROOF_HASHES_MAX], size_t *count)
{
    uint64_t begin = 0, end = size;
    size_t used = 0;

    if (size > TREE_SIZE_MAX || level > 62 || index >= size >> level) {
        return STATUS_MALFORMED;
    }
    while (end - begin > UINT64_C(1) << level) { /* PATH of RFC 9162, 2.1.3.1 */
        uint64_t middle = begin + split(end - begin);
        enum status st;
        assert(used < TREE_PROOF_HASHES_MAX);
        if (index << level < middle) {
            st = range_root(middle, end, read, ctx, &proof[used]);
            end = middle;
        } else {
            st = range_root(begin, middle, read, ctx, &proof[used]);
            begin = middle;
        }
        if (st != STATUS_OK) {
            return st;
        }
        used++;
    }
    reverse(proof, used);
    *count = used;
    return STATUS_OK;
}

enum status
tree_prove_consistency(uint64_t old_size, uint64_t size, tree_read_node read, void *ctx,
                       struct hash proof[TREE_PROOF_HASHES_MAX], size_t *count)
{
    uint64_t begin = 0, end = size;
    size_t used = 0;
    bool whole = true; /* b of RFC 9162, 2.1.4.1: the verifier knows this root */
    enum status st;

    if (size > TREE_SIZE_MAX || old_size > size) {
        return STATUS_MALFORMED;
    }
    if (old_size == 0 || old_size == size) {
        *count = 0;
        return STATUS_OK;
    }
    while (end != old_size) {
        uint64_t middle = begin + split(end - begin);
        assert(used < TREE_PROOF_HASHES_MAX);
        if (old_size <= middle) {
            st = range_root(middle, end, read, ctx, &proof[used]);
            end = middle;
        } else {
            st = range_root(begin, middle, read, ctx, &proof[used]);
            begin = middle;
            whole = false;
        }
        if (st != STATUS_OK) {
            return st;
        }
        used++;
    }
    if (!whole) {
        assert(used < TREE_PROOF_HASHES_MAX);
        st = range_root(begin, end, read, ctx, &proof[used]);
        if (st != STATUS_OK) {
            return st;
        }
        used++;
    }
    reverse(proof, used);
    *count = used;
    return STATUS_OK;
}
