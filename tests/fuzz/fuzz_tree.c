/* Hostile Merkle proofs.  Properties: no proof of a root that was not made from it is
 * accepted; a proof that climbs to some root verifies against that root only.
 * Then a tree of the input's bytes: every proof that is made verifies. */
#include <assert.h>
#include <string.h>

#include "crypto/treebuild.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LEAVES_MAX = 40 };

static struct hash nodes[7][LEAVES_MAX];

static enum status
emit(void *ctx, unsigned level, uint64_t index, const struct hash *node)
{
    (void)ctx;
    assert(level < 7 && index < LEAVES_MAX);
    nodes[level][index] = *node;
    return STATUS_OK;
}

static enum status
read_node(void *ctx, unsigned level, uint64_t index, struct hash *out)
{
    assert(level < 7 && (index + 1) << level <= *(uint64_t *)ctx);
    *out = nodes[level][index];
    return STATUS_OK;
}

static void
fuzz_checks(const uint8_t *data, size_t size)
{
    static struct hash proof[TREE_PROOF_HASHES_MAX + 2];
    struct hash root = {{1, 2, 3}}, leaf = {{4, 5, 6}};
    uint64_t a, b;
    size_t count;

    if (size < 16) {
        return;
    }
    memcpy(&a, data, 8);
    memcpy(&b, data + 8, 8);
    a >>= data[0] % 64;
    b >>= data[8] % 64;
    count = (size - 16) / HASH_BYTES;
    count = count > TREE_PROOF_HASHES_MAX + 2 ? TREE_PROOF_HASHES_MAX + 2 : count;
    memcpy(proof, data + 16, count * HASH_BYTES);
    assert(tree_check_inclusion(&root, b, &leaf, a, proof, count) != STATUS_OK);
    assert(tree_check_consistency(&leaf, a, &root, b, proof, count) != STATUS_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tree_edge edge = {0};
    struct hash roots[LEAVES_MAX + 1], proof[TREE_PROOF_HASHES_MAX];
    uint64_t leaves = size % LEAVES_MAX, at, old;
    size_t count;

    fuzz_checks(data, size);
    tree_edge_root(&edge, &roots[0]);
    for (uint64_t i = 0; i < leaves; i++) {
        struct hash leaf;
        tree_leaf_hash(data + i, 1, &leaf);
        assert(tree_edge_append(&edge, &leaf, emit, NULL) == STATUS_OK);
        tree_edge_root(&edge, &roots[i + 1]);
    }
    if (leaves == 0) {
        return 0;
    }
    at = data[0] % leaves;
    old = data[size - 1] % (leaves + 1);
    assert(tree_prove_inclusion(leaves, at, read_node, &leaves, proof, &count) == STATUS_OK);
    assert(tree_check_inclusion(&roots[leaves], leaves, &nodes[0][at], at, proof, count) ==
           STATUS_OK);
    if (count > 0) {
        proof[data[0] % count].bytes[data[size - 1] % HASH_BYTES] ^= 1;
        assert(tree_check_inclusion(&roots[leaves], leaves, &nodes[0][at], at, proof, count) ==
               STATUS_BAD_PROOF);
    }
    assert(tree_prove_consistency(old, leaves, read_node, &leaves, proof, &count) == STATUS_OK);
    assert(tree_check_consistency(&roots[old], old, &roots[leaves], leaves, proof, count) ==
           STATUS_OK);
    return 0;
}
