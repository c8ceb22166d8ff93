/* tree.h: Merkle tree hashing and proof checking.
 *
 * Source: RFC 9162 sections 2.1.1 to 2.1.4 (same hashes as RFC 6962);
 * FORMATS 1.  Pure: no allocation, no I/O.  Trees are named by their size in
 * leaves, at most TREE_SIZE_MAX; an index counts from 0. */
#ifndef CRYPTO_TREE_H
#define CRYPTO_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/sha256.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

/* FORMATS 3: sizes end where a signed 64-bit number does. */
#define TREE_SIZE_MAX ((uint64_t)INT64_MAX)

/* Hash one log entry as a leaf: SHA-256(0x00 || entry).
 * `entry` may be NULL when `entry_bytes` is 0. */
void tree_leaf_hash(const uint8_t *entry, size_t entry_bytes, struct hash *out);

/* The same for many entries: faster than one at a time. */
void tree_leaf_hashes(const struct view *entries, size_t count, struct hash *outs);

/* Hash an inner node: SHA-256(0x01 || left || right).
 * `out` may alias `left` or `right`. */
void tree_node_hash(const struct hash *left, const struct hash *right, struct hash *out);

/* The root of the tree without leaves: SHA-256(""). */
void tree_empty_root(struct hash *out);

/* Check that `leaf` is at `index` in the tree of `size` leaves whose root is
 * `root` (RFC 9162, 2.1.3.2).  `proof` holds `proof_count` hashes, lowest
 * level first, and may come from an untrusted peer; it may be NULL when
 * `proof_count` is 0.
 *
 * STATUS_OK         the leaf is in the tree.
 * STATUS_MALFORMED  index >= size, size > TREE_SIZE_MAX, or the proof has the
 *                   wrong length.
 * STATUS_BAD_PROOF  the computed root differs from `root`. */
MUST_USE enum status tree_check_inclusion(const struct hash *root, uint64_t size,
                                          const struct hash *leaf, uint64_t index,
                                          const struct hash *proof, size_t proof_count);

/* Check that the tree of `old_size` leaves with root `old_root` is the
 * beginning of the tree of `size` leaves with root `root` (RFC 9162, 2.1.4.2).
 * `proof` is as above.  Every tree extends the empty one: from size 0 only the
 * empty proof is accepted, and only when `old_root` is the empty root
 * (crypto/README.md, decision 2); a size of 0 never has another root.
 *
 * STATUS_OK         consistent.
 * STATUS_MALFORMED  old_size > size, size > TREE_SIZE_MAX, or the proof has
 *                   the wrong length.
 * STATUS_BAD_PROOF  a computed root differs. */
MUST_USE enum status tree_check_consistency(const struct hash *old_root, uint64_t old_size,
                                            const struct hash *root, uint64_t size,
                                            const struct hash *proof, size_t proof_count);

/* Check that the final node (level, index), which is the root of the leaves
 * [index << level, (index + 1) << level), is `node` in the tree of `size` leaves
 * whose root is `root`.  `proof` is the inclusion proof of any of these leaves
 * without its lowest `level` hashes.
 * STATUS_OK, STATUS_MALFORMED (the node is not final in this tree, or the proof has
 * the wrong length), STATUS_BAD_PROOF. */
MUST_USE enum status tree_check_node(const struct hash *root, uint64_t size,
                                     const struct hash *node, unsigned level, uint64_t index,
                                     const struct hash *proof, size_t proof_count);

/* The root that the first `old_size` leaves (more than 0, fewer than `size`) have in
 * the tree of `size` leaves whose root is `root`.  `proof` is the consistency proof
 * of the two, with the root at old_size in front when old_size is a power of two:
 * unlike tree_check_consistency this needs no old root, so that it shows what the
 * tree says about its past, whatever else was signed.
 * STATUS_OK         *old_root is it.
 * STATUS_MALFORMED  sizes, or the proof has the wrong length.
 * STATUS_BAD_PROOF  the proof does not belong to `root`. */
MUST_USE enum status tree_old_root(uint64_t old_size, const struct hash *root, uint64_t size,
                                   const struct hash *proof, size_t proof_count,
                                   struct hash *old_root);

#endif
