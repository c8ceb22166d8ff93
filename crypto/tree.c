#include "crypto/tree.h"

#include <assert.h>

static const uint8_t LEAF_PREFIX[1] = {0x00};
static const uint8_t NODE_PREFIX[1] = {0x01};

void
tree_leaf_hash(const uint8_t *entry, size_t entry_bytes, struct hash *out)
{
    sha256_2((struct view){LEAF_PREFIX, 1}, (struct view){entry, entry_bytes}, out);
}

void
tree_leaf_hashes(const struct view *entries, size_t count, struct hash *outs)
{
    sha256_many((struct view){LEAF_PREFIX, 1}, entries, count, outs);
}

void
tree_node_hash(const struct hash *left, const struct hash *right, struct hash *out)
{
    sha256_3((struct view){NODE_PREFIX, 1}, (struct view){left->bytes, HASH_BYTES},
             (struct view){right->bytes, HASH_BYTES}, out);
}

void
tree_empty_root(struct hash *out)
{
    sha256(NULL, 0, out);
}

/* Our node and the rightmost node on the level that the next proof hash belongs
 * to; RFC 9162 calls them fn and sn. */
struct climb {
    uint64_t at;
    uint64_t last;
};

/* Whether the next proof hash stands to the left of our node. */
static bool
climb_is_right(const struct climb *c)
{
    return (c->at & 1) == 1 || c->at == c->last;
}

/* Go up one level; a rightmost node without a sibling moves up unchanged. */
static void
climb_up(struct climb *c)
{
    if (climb_is_right(c)) {
        while ((c->at & 1) == 0 && c->at != 0) {
            c->at >>= 1;
            c->last >>= 1;
        }
    }
    c->at >>= 1;
    c->last >>= 1;
}

enum status
tree_check_inclusion(const struct hash *root, uint64_t size, const struct hash *leaf,
                     uint64_t index, const struct hash *proof, size_t proof_count)
{
    struct climb c = {.at = index, .last = size - 1};
    struct hash node = *leaf;

    if (size > TREE_SIZE_MAX || index >= size || proof_count > TREE_PROOF_HASHES_MAX) {
        return STATUS_MALFORMED;
    }
    assert(proof != NULL || proof_count == 0);

    for (size_t i = 0; i < proof_count; i++) {
        if (c.last == 0) {
            return STATUS_MALFORMED; /* Already at the root: too long. */
        }
        if (climb_is_right(&c)) {
            tree_node_hash(&proof[i], &node, &node);
        } else {
            tree_node_hash(&node, &proof[i], &node);
        }
        climb_up(&c);
    }
    if (c.last != 0) {
        return STATUS_MALFORMED; /* Below the root: too short. */
    }
    return hash_equal(&node, root) ? STATUS_OK : STATUS_BAD_PROOF;
}

enum status
tree_check_node(const struct hash *root, uint64_t size, const struct hash *node, unsigned level,
                uint64_t index, const struct hash *proof, size_t proof_count)
{
    struct climb c;
    struct hash at = *node;

    if (size == 0 || size > TREE_SIZE_MAX || level > 62 || index >= size >> level ||
        proof_count > TREE_PROOF_HASHES_MAX) {
        return STATUS_MALFORMED;
    }
    /* Below it all siblings lie inside, so the path of its first leaf begins there. */
    c = (struct climb){.at = index, .last = (size - 1) >> level};
    for (size_t i = 0; i < proof_count; i++) {
        if (c.last == 0) {
            return STATUS_MALFORMED;
        }
        if (climb_is_right(&c)) {
            tree_node_hash(&proof[i], &at, &at);
        } else {
            tree_node_hash(&at, &proof[i], &at);
        }
        climb_up(&c);
    }
    if (c.last != 0) {
        return STATUS_MALFORMED;
    }
    return hash_equal(&at, root) ? STATUS_OK : STATUS_BAD_PROOF;
}

enum status
tree_old_root(uint64_t old_size, const struct hash *root, uint64_t size,
              const struct hash *proof, size_t proof_count, struct hash *old_root)
{
    struct climb c = {.at = old_size - 1, .last = size - 1};
    struct hash old_node, node;

    if (size > TREE_SIZE_MAX || old_size == 0 || old_size >= size || proof_count == 0 ||
        proof_count > TREE_PROOF_HASHES_MAX + 1) {
        return STATUS_MALFORMED;
    }
    while ((c.at & 1) == 1) {
        c.at >>= 1;
        c.last >>= 1;
    }
    old_node = node = proof[0];
    for (size_t i = 1; i < proof_count; i++) {
        if (c.last == 0) {
            return STATUS_MALFORMED;
        }
        if (climb_is_right(&c)) {
            tree_node_hash(&proof[i], &old_node, &old_node);
            tree_node_hash(&proof[i], &node, &node);
        } else {
            tree_node_hash(&node, &proof[i], &node);
        }
        climb_up(&c);
    }
    if (c.last != 0) {
        return STATUS_MALFORMED;
    }
    *old_root = old_node;
    return hash_equal(&node, root) ? STATUS_OK : STATUS_BAD_PROOF;
}

/* The cases that need no hashing: sizes equal, or the old one 0. */
static enum status
check_trivial(const struct hash *old_root, uint64_t old_size, const struct hash *root,
              uint64_t size, size_t proof_count)
{
    struct hash empty;

    if (proof_count != 0) {
        return STATUS_MALFORMED;
    }
    tree_empty_root(&empty);
    if (old_size == 0 && !hash_equal(old_root, &empty)) {
        return STATUS_BAD_PROOF;
    }
    if (old_size == size && !hash_equal(old_root, root)) {
        return STATUS_BAD_PROOF;
    }
    return STATUS_OK;
}

enum status
tree_check_consistency(const struct hash *old_root, uint64_t old_size, const struct hash *root,
                       uint64_t size, const struct hash *proof, size_t proof_count)
{
    struct climb c = {.at = old_size - 1, .last = size - 1};
    struct hash old_node, node;
    size_t used = 0;

    if (size > TREE_SIZE_MAX || old_size > size || proof_count > TREE_PROOF_HASHES_MAX) {
        return STATUS_MALFORMED;
    }
    if (old_size == 0 || old_size == size) {
        return check_trivial(old_root, old_size, root, size, proof_count);
    }
    if (proof_count == 0) {
        return STATUS_MALFORMED;
    }
    assert(proof != NULL);

    /* Start at the largest perfect subtree that ends the old tree.  If that is
     * the whole old tree its root is known and not repeated in the proof. */
    while ((c.at & 1) == 1) {
        c.at >>= 1;
        c.last >>= 1;
    }
    if ((old_size & (old_size - 1)) == 0) {
        node = *old_root;
    } else {
        node = proof[used++];
    }
    old_node = node;
    for (; used < proof_count; used++) {
        if (c.last == 0) {
            return STATUS_MALFORMED; /* Too long. */
        }
        if (climb_is_right(&c)) {
            tree_node_hash(&proof[used], &old_node, &old_node);
            tree_node_hash(&proof[used], &node, &node);
        } else {
            tree_node_hash(&node, &proof[used], &node);
        }
        climb_up(&c);
    }
    if (c.last != 0) {
        return STATUS_MALFORMED; /* Too short. */
    }
    return hash_equal(&old_node, old_root) && hash_equal(&node, root) ? STATUS_OK
                                                                      : STATUS_BAD_PROOF;
}
