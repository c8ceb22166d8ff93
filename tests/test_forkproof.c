/* Goal: a proof shows every fork that its maker can see, and nobody can make one
 * against a log that told the truth.
 * Method: all pairs of sizes up to TREES of trees that part at every place, proofs
 * by both ways read back; honest pairs with the nodes of every tree, and damaged
 * proofs, prove nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/keys.h"
#include "crypto/treebuild.h"
#include "node/forkproof.h"

enum { TREES = 21, LEVELS = 6, NODES = 64 };

/* A tree whose leaves from `part` on are its own. */
struct tree {
    uint64_t size, part;
    struct hash nodes[LEVELS][NODES];
    struct hash root;
};

static enum status
keep(void *ctx, unsigned level, uint64_t index, const struct hash *node)
{
    struct tree *t = ctx;
    t->nodes[level][index] = *node;
    return STATUS_OK;
}

static enum status
read_node(void *ctx, unsigned level, uint64_t index, struct hash *out)
{
    struct tree *t = ctx;
    *out = t->nodes[level][index];
    return STATUS_OK;
}

static void
grow(struct tree *t, uint64_t size, uint64_t part)
{
    struct tree_edge edge = {0};
    memset(t, 0, sizeof *t);
    t->size = size;
    t->part = part;
    for (uint64_t i = 0; i < size; i++) {
        uint8_t entry[2] = {(uint8_t)i, i >= part};
        struct hash leaf;
        tree_leaf_hash(entry, sizeof entry, &leaf);
        assert_int_equal(tree_edge_append(&edge, &leaf, keep, t), STATUS_OK);
    }
    tree_edge_root(&edge, &t->root);
}

static struct note_signer signer;

static struct view
sign(const struct tree *t, uint8_t out[1024])
{
    struct checkpoint c = {
        .origin = {(const uint8_t *)"n.cn/h1/pub", 11}, .size = t->size, .root = t->root};
    size_t count;
    assert_int_equal(checkpoint_sign(&signer, &c, out, 1024, &count), STATUS_OK);
    return (struct view){out, count};
}

static bool
proves(const struct tree *a, const struct tree *b, const struct forkproof_nodes *nodes)
{
    uint8_t one[1024], other[1024], bytes[FORKPROOF_BYTES_MAX];
    size_t count;
    struct forkproof *p = malloc(sizeof *p);
    struct view x = sign(a, one), y = sign(b, other);
    assert_int_equal(forkproof_encode(x, y, nodes, bytes, &count), STATUS_OK);
    bool proven = false;
    if (forkproof_read((struct view){bytes, count}, p) == STATUS_OK) {
        assert_true(p->a.size <= p->b.size);
        proven = p->proven;
        forkproof_free(p);
    }
    free(p);
    return proven;
}

/* What the holder of the larger tree shows: its own past at the smaller size. */
static void
show_past(struct tree *large, uint64_t old, struct forkproof_nodes *n)
{
    memset(n, 0, sizeof *n);
    bool seed = (old & (old - 1)) == 0;
    assert_int_equal(tree_prove_consistency(old, large->size, read_node, large,
                                            n->old + (seed ? 1 : 0), &n->old_count),
                     STATUS_OK);
    if (seed) {
        assert_int_equal(tree_root_at(old, read_node, large, &n->old[0]), STATUS_OK);
        n->old_count++;
    }
}

/* What one shows who holds the smaller tree and sees a node of the larger one. */
static bool
show_node(struct tree *small, struct tree *large, unsigned level, uint64_t index,
          struct forkproof_nodes *n)
{
    memset(n, 0, sizeof *n);
    if (index >= small->size >> level) {
        return false;
    }
    n->by_node = true;
    n->level = level;
    n->index = index;
    n->small = small->nodes[level][index];
    n->large = large->nodes[level][index];
    assert_int_equal(tree_prove_node(small->size, level, index, read_node, small, n->small_path,
                                     &n->small_count),
                     STATUS_OK);
    assert_int_equal(tree_prove_node(large->size, level, index, read_node, large, n->large_path,
                                     &n->large_count),
                     STATUS_OK);
    assert_int_equal(tree_check_node(&small->root, small->size, &n->small, level, index,
                                     n->small_path, n->small_count),
                     STATUS_OK);
    return true;
}

static void
every_fork_is_proven_and_no_honest_log_is(void **state)
{
    (void)state;
    struct tree *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    struct forkproof_nodes *n = malloc(sizeof *n);
    for (uint64_t size = 1; size <= TREES; size++) {
        for (uint64_t old = 1; old <= size; old++) {
            for (uint64_t part = 0; part <= old; part++) {
                bool honest = part == old; /* they part after the smaller one, if at all */
                grow(a, old, TREES);
                grow(b, size, part);
                if (old == size) {
                    assert_true(proves(a, b, NULL) == !honest);
                    continue;
                }
                assert_false(proves(a, b, NULL));
                show_past(b, old, n);
                assert_true(proves(a, b, n) == !honest);
                for (unsigned level = 0; level < LEVELS; level++) {
                    for (uint64_t i = 0; i < old >> level; i++) {
                        if (show_node(a, b, level, i, n)) {
                            assert_true(proves(a, b, n) ==
                                        ((i + 1) << level > part && !honest));
                        }
                    }
                }
            }
        }
    }
    free(a);
    free(b);
    free(n);
}

static void
no_change_of_a_hash_frames_an_honest_log(void **state)
{
    (void)state;
    struct tree *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    struct forkproof_nodes *n = malloc(sizeof *n);
    for (uint64_t old = 1; old < TREES; old++) {
        grow(a, old, TREES);
        grow(b, TREES, TREES);
        show_past(b, old, n);
        for (size_t i = 0; i < n->old_count; i++) {
            n->old[i].bytes[i % HASH_BYTES] ^= 1;
            assert_false(proves(a, b, n));
            n->old[i].bytes[i % HASH_BYTES] ^= 1;
        }
        for (size_t k = 0; k <= n->old_count; k++) { /* longer and shorter ones */
            size_t count = n->old_count;
            n->old_count = k;
            assert_false(proves(a, b, n));
            n->old_count = count;
        }
        for (unsigned level = 0; level < LEVELS; level++) {
            if (show_node(a, b, level, 0, n)) {
                n->large.bytes[3] ^= 1;
                assert_false(proves(a, b, n));
                n->large.bytes[3] ^= 1;
                n->small.bytes[3] ^= 1;
                assert_false(proves(a, b, n));
                n->small.bytes[3] ^= 1;
                n->index ^= 1; /* another place with another value */
                assert_false(proves(a, b, n));
            }
        }
    }
    free(a);
    free(b);
    free(n);
}

static void
what_is_not_a_proof_is_refused(void **state)
{
    (void)state;
    struct tree *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    struct forkproof_nodes *n = malloc(sizeof *n);
    struct forkproof *p = malloc(sizeof *p);
    uint8_t one[1024], other[1024], bytes[FORKPROOF_BYTES_MAX];
    size_t count;
    grow(a, 5, TREES);
    grow(b, 9, 2);
    struct view x = sign(a, one), y = sign(b, other);
    show_past(b, 5, n);
    assert_int_equal(forkproof_encode(y, x, n, bytes, &count), STATUS_OK); /* any order */
    assert_int_equal(forkproof_read((struct view){bytes, count}, p), STATUS_OK);
    assert_true(p->proven);
    assert_memory_equal(p->note_a.bytes, x.bytes, x.count);
    forkproof_free(p);
    for (size_t cut = 0; cut < count; cut++) {
        if (forkproof_read((struct view){bytes, cut}, p) == STATUS_OK) {
            assert_false(p->proven); /* whole fields fell off the end */
            forkproof_free(p);
        }
    }
    grow(b, 5, 2); /* one size: then nothing else may stand in it */
    y = sign(b, other);
    assert_int_equal(forkproof_encode(x, y, n, bytes, &count), STATUS_OK);
    assert_int_equal(forkproof_read((struct view){bytes, count}, p), STATUS_MALFORMED);
    uint8_t *large = calloc(1, FORKPROOF_BYTES_MAX + 1);
    assert_int_equal(forkproof_read((struct view){large, FORKPROOF_BYTES_MAX + 1}, p),
                     STATUS_TOO_BIG);
    assert_int_equal(forkproof_encode(x, (struct view){large, FORKPROOF_NOTE_BYTES_MAX + 1},
                                      NULL, bytes, &count),
                     STATUS_TOO_BIG);
    free(large);
    free(a);
    free(b);
    free(n);
    free(p);
}

int
main(void)
{
    uint8_t seed[KEY_BYTES] = {7};
    struct sign_key key;
    keys_sign_key(seed, &key);
    if (note_signer_make((struct view){(const uint8_t *)"n.cn/h1/pub", 11}, NOTE_KEY_ED25519,
                         key.secret_key, &signer) != STATUS_OK) {
        return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fork_is_proven_and_no_honest_log_is),
        cmocka_unit_test(no_change_of_a_hash_frames_an_honest_log),
        cmocka_unit_test(what_is_not_a_proof_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
