/* treebuild.h: growing a Merkle tree, and making proofs over stored nodes.
 *
 * Source: RFC 9162 sections 2.1.1, 2.1.3.1, 2.1.4.1; FORMATS 1.
 * A node (level, index) is the root of the leaves [index * 2^level,
 * (index + 1) * 2^level).  It is final once all of them exist and never
 * changes: only such nodes are stored, and only such nodes are read here.
 * Pure: no allocation; reading and storing are the caller's callbacks. */
#ifndef CRYPTO_TREEBUILD_H
#define CRYPTO_TREEBUILD_H

#include "crypto/tree.h"

/* Give the final node (level, index).  Any status other than STATUS_OK ends
 * the operation and is what it returns; the usual ones are STATUS_NOT_FOUND
 * and STATUS_CORRUPT. */
typedef enum status (*tree_read_node)(void *ctx, unsigned level, uint64_t index,
                                      struct hash *out);

/* Take a node that has just become final.  Same rule for the status. */
typedef enum status (*tree_emit_node)(void *ctx, unsigned level, uint64_t index,
                                      const struct hash *node);

/* Right edge of a tree: the roots of its perfect subtrees, largest first; one
 * for each bit that is set in `size`.  All zero is the empty tree. */
struct tree_edge {
    uint64_t size;
    struct hash nodes[64];
};

/* Append one leaf.  `emit` (may be NULL) gets the leaf itself as node
 * (0, old size), then each inner node that becomes final, lowest first.
 *
 * STATUS_OK       appended.
 * STATUS_TOO_BIG  the tree has TREE_SIZE_MAX leaves.
 * else            what `emit` said; the edge is as before. */
MUST_USE enum status tree_edge_append(struct tree_edge *edge, const struct hash *leaf,
                                      tree_emit_node emit, void *ctx);

/* The root of the tree that `edge` describes. */
void tree_edge_root(const struct tree_edge *edge, struct hash *root);

/* Load the right edge of the tree of `size` leaves from stored nodes.
 *
 * STATUS_OK         *edge is written.
 * STATUS_MALFORMED  size > TREE_SIZE_MAX.
 * else              what `read` said; *edge is untouched. */
MUST_USE enum status tree_edge_load(uint64_t size, tree_read_node read, void *ctx,
                                    struct tree_edge *edge);

/* The root of the tree of the first `size` leaves, from stored nodes. */
MUST_USE enum status tree_root_at(uint64_t size, tree_read_node read, void *ctx,
                                  struct hash *root);

/* Make the proof that tree_check_inclusion accepts for leaf `index` in the
 * tree of `size` leaves.  `proof` is undefined after a failure.
 *
 * STATUS_OK         proof[0 .. *count) is written, lowest level first.
 * STATUS_MALFORMED  index >= size, or size > TREE_SIZE_MAX.
 * else              what `read` said. */
MUST_USE enum status tree_prove_inclusion(uint64_t size, uint64_t index, tree_read_node read,
                                          void *ctx, struct hash proof[TREE_PROOF_HASHES_MAX],
                                          size_t *count);

/* Make the proof that tree_check_node accepts for the final node (level, index):
 * nodes below it are not read.  Statuses as above. */
MUST_USE enum status tree_prove_node(uint64_t size, unsigned level, uint64_t index,
                                     tree_read_node read, void *ctx,
                                     struct hash proof[TREE_PROOF_HASHES_MAX], size_t *count);

/* Make the proof that tree_check_consistency accepts from `old_size` to
 * `size` leaves; it is empty when old_size is 0 or equal to size.
 *
 * STATUS_OK         proof[0 .. *count) is written.
 * STATUS_MALFORMED  old_size > size, or size > TREE_SIZE_MAX.
 * else              what `read` said. */
MUST_USE enum status tree_prove_consistency(uint64_t old_size, uint64_t size,
                                            tree_read_node read, void *ctx,
                                            struct hash proof[TREE_PROOF_HASHES_MAX],
                                            size_t *count);

#endif
