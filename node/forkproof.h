/* forkproof.h: a small proof that a log showed two histories.
 *
 * Source: DESIGN 6; RELIABILITY 4 (rule 4), F12; RFC 9162 2.1.3, 2.1.4.
 * Two heads of one log, both signed by it, cannot both be true if
 *   - they have one size and two roots; or
 *   - the larger tree says (a consistency proof read upwards from its own nodes)
 *     that its first leaves, as many as the smaller head has, have another root; or
 *   - one node that is final in both trees has two values, each on a path to its
 *     root.  That is what a node can show at once that finds, while it takes in the
 *     larger tree, that it does not begin with the copy it holds.
 * Hashes cannot be made to fit, so nobody can be framed: what proves anything
 * stands under two signatures of the log itself.  Signatures are not looked at
 * here; keys come from the charter.  Pure but for memory. */
#ifndef NODE_FORKPROOF_H
#define NODE_FORKPROOF_H

#include "crypto/checkpoint.h"
#include "proto/fork.pb-c.h"
#include "proto/pbcheck.h"

enum {
    FORKPROOF_NOTE_BYTES_MAX = 6 * 1024,
    FORKPROOF_BYTES_MAX = 2 * FORKPROOF_NOTE_BYTES_MAX + 3 * 64 * 40 + 256
};

/* What shows the contradiction of two sizes; at most one of the two ways. */
struct forkproof_nodes {
    struct hash old[TREE_PROOF_HASHES_MAX + 1]; /* of the larger head: tree_old_root */
    size_t old_count;
    bool by_node;
    unsigned level;
    uint64_t index;
    struct hash small, large; /* its value under the smaller and the larger head */
    struct hash small_path[TREE_PROOF_HASHES_MAX], large_path[TREE_PROOF_HASHES_MAX];
    size_t small_count, large_count;
};

/* Write a proof; the notes may come in any order.  `nodes` NULL: none are needed,
 * or nobody has them.  STATUS_TOO_BIG: a note.  STATUS_MALFORMED: a note. */
MUST_USE enum status forkproof_encode(struct view one, struct view other,
                                      const struct forkproof_nodes *nodes,
                                      uint8_t out[FORKPROOF_BYTES_MAX], size_t *count);

/* A proof that was read.  Views live until forkproof_free. */
struct forkproof {
    struct view note_a, note_b;
    struct checkpoint a, b; /* a.size <= b.size; one origin */
    bool proven;            /* they cannot both be true */
    struct pb_arena arena;
    uint8_t memory[2048];
};

/* Read a proof from outside and see whether it proves anything.
 * STATUS_OK         *out is filled, `proven` says it.
 * STATUS_MALFORMED  not readable, of two origins, or hashes beside what needs none.
 * STATUS_TOO_BIG, STATUS_NO_MEMORY */
MUST_USE enum status forkproof_read(struct view bytes, struct forkproof *out);
void forkproof_free(struct forkproof *p); /* after STATUS_OK */

#endif
