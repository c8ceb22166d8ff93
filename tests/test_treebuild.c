/* Goal: trees that grow leaf by leaf have the roots, nodes and proofs of RFC 9162,
 * read final nodes only, and survive a failing store.
 * Method: compare with the recursive definition (reftree.h) at every size up to
 * REF_LEAVES_MAX; then trees of up to 2^63 - 1 equal leaves, where each level has
 * one node, so that no store is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/treebuild.h"
#include "tests/reftree.h"

enum { LEVELS = 10 };

static struct reftree ref;

/* A store of nodes that fails on demand. */
struct nodes {
    uint64_t size; /* reads of nodes that are not final in it fail the test */
    bool have[LEVELS][REF_LEAVES_MAX];
    struct hash node[LEVELS][REF_LEAVES_MAX];
    size_t emitted;
    size_t calls_left; /* then STATUS_IO */
};

static struct nodes store;

static enum status
emit(void *ctx, unsigned level, uint64_t index, const struct hash *node)
{
    struct nodes *s = ctx;

    if (s->calls_left == 0) {
        return STATUS_IO;
    }
    s->calls_left--;
    assert_true(level < LEVELS && index < REF_LEAVES_MAX);
    assert_false(s->have[level][index]);
    s->have[level][index] = true;
    s->node[level][index] = *node;
    s->emitted++;
    return STATUS_OK;
}

static enum status
read_node(void *ctx, unsigned level, uint64_t index, struct hash *out)
{
    struct nodes *s = ctx;

    assert_true(level < LEVELS && (index + 1) << level <= s->size);
    if (s->calls_left == 0) {
        return STATUS_IO;
    }
    s->calls_left--;
    assert_true(s->have[level][index]);
    *out = s->node[level][index];
    return STATUS_OK;
}

static int
setup(void **state)
{
    struct tree_edge edge = {0};

    (void)state;
    ref_init(&ref);
    memset(&store, 0, sizeof store);
    store.calls_left = SIZE_MAX;
    for (uint64_t i = 0; i < REF_LEAVES_MAX; i++) {
        assert_int_equal(tree_edge_append(&edge, &ref.leaves[i], emit, &store), STATUS_OK);
    }
    store.size = REF_LEAVES_MAX;
    return 0;
}

static void
assert_same(const struct hash *a, struct hash b)
{
    assert_memory_equal(a->bytes, b.bytes, HASH_BYTES);
}

static void
test_growing_gives_every_root(void **state)
{
    struct tree_edge edge = {0};
    struct hash root;

    (void)state;
    tree_edge_root(&edge, &root);
    assert_same(&root, ref_root(&ref, 0, 0));
    for (uint64_t i = 0; i < REF_LEAVES_MAX; i++) {
        assert_int_equal(tree_edge_append(&edge, &ref.leaves[i], NULL, NULL), STATUS_OK);
        assert_int_equal(edge.size, i + 1);
        tree_edge_root(&edge, &root);
        assert_same(&root, ref_root(&ref, 0, i + 1));
    }
}

static void
test_every_final_node_is_emitted_once_and_no_other(void **state)
{
    size_t nodes = 0;

    (void)state;
    for (unsigned level = 0; level < LEVELS; level++) {
        for (uint64_t i = 0; i < REF_LEAVES_MAX; i++) {
            bool final = (i + 1) << level <= REF_LEAVES_MAX;
            assert_int_equal(store.have[level][i], final);
            if (final) {
                assert_same(&store.node[level][i],
                            ref_root(&ref, i << level, UINT64_C(1) << level));
                nodes++;
            }
        }
    }
    assert_int_equal(store.emitted, nodes);
}

static void
test_a_loaded_edge_is_the_grown_one_and_grows_on(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < REF_LEAVES_MAX; size++) {
        struct tree_edge edge;
        struct hash root;

        store.size = size;
        assert_int_equal(tree_edge_load(size, read_node, &store, &edge), STATUS_OK);
        assert_int_equal(edge.size, size);
        tree_edge_root(&edge, &root);
        assert_same(&root, ref_root(&ref, 0, size));
        assert_int_equal(tree_edge_append(&edge, &ref.leaves[size], NULL, NULL), STATUS_OK);
        tree_edge_root(&edge, &root);
        assert_same(&root, ref_root(&ref, 0, size + 1));
        assert_int_equal(tree_root_at(size, read_node, &store, &root), STATUS_OK);
        assert_same(&root, ref_root(&ref, 0, size));
    }
    store.size = REF_LEAVES_MAX;
}

static void
test_every_inclusion_proof_is_the_defined_one(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= REF_LEAVES_MAX; size++) {
        store.size = size;
        for (uint64_t index = 0; index < size; index++) {
            struct hash got[TREE_PROOF_HASHES_MAX], want[TREE_PROOF_HASHES_MAX];
            size_t count;
            assert_int_equal(tree_prove_inclusion(size, index, read_node, &store, got, &count),
                             STATUS_OK);
            assert_int_equal(count, ref_path(&ref, want, index, 0, size));
            assert_memory_equal(got, want, count * sizeof *got);
        }
    }
    store.size = REF_LEAVES_MAX;
}

static void
test_every_consistency_proof_is_the_defined_one(void **state)
{
    (void)state;
    for (uint64_t size = 0; size <= REF_LEAVES_MAX; size++) {
        store.size = size;
        for (uint64_t old = 0; old <= size; old++) {
            struct hash got[TREE_PROOF_HASHES_MAX], want[TREE_PROOF_HASHES_MAX];
            size_t count;
            assert_int_equal(tree_prove_consistency(old, size, read_node, &store, got, &count),
                             STATUS_OK);
            assert_int_equal(count,
                             old == 0 ? 0 : ref_subproof(&ref, want, old, 0, size, true));
            assert_memory_equal(got, want, count * sizeof *got);
        }
    }
    store.size = REF_LEAVES_MAX;
}

static void
test_a_failing_store_is_reported_and_changes_nothing(void **state)
{
    struct hash proof[TREE_PROOF_HASHES_MAX], root = {{7}}, before = root;
    struct tree_edge edge, loaded;
    size_t count = 99;

    (void)state;
    for (size_t calls = 0; calls < 3; calls++) {
        store.calls_left = calls;
        assert_int_equal(tree_prove_inclusion(300, 0, read_node, &store, proof, &count),
                         STATUS_IO);
        store.calls_left = calls;
        assert_int_equal(tree_prove_consistency(299, 300, read_node, &store, proof, &count),
                         STATUS_IO);
        store.calls_left = calls;
        assert_int_equal(tree_root_at(299, read_node, &store, &root), STATUS_IO);
        store.calls_left = calls;
        assert_int_equal(count, 99);
        assert_memory_equal(&root, &before, sizeof root);
        memset(&edge, 0xaa, sizeof edge);
        loaded = edge;
        assert_int_equal(tree_edge_load(299, read_node, &store, &loaded), STATUS_IO);
        assert_memory_equal(&loaded, &edge, sizeof edge);
    }
    /* Leaf 255 completes eight subtrees: fail before each of them. */
    store.calls_left = SIZE_MAX;
    assert_int_equal(tree_edge_load(255, read_node, &store, &edge), STATUS_OK);
    for (size_t calls = 0; calls < 9; calls++) {
        static struct nodes other;
        memset(&other, 0, sizeof other);
        other.calls_left = calls;
        loaded = edge;
        assert_int_equal(tree_edge_append(&loaded, &ref.leaves[255], emit, &other), STATUS_IO);
        assert_memory_equal(&loaded, &edge, sizeof edge);
        assert_int_equal(other.emitted, calls);
    }
}

static void
test_what_does_not_exist_is_malformed(void **state)
{
    struct hash proof[TREE_PROOF_HASHES_MAX], root;
    struct tree_edge edge = {.size = TREE_SIZE_MAX};
    size_t count;

    (void)state;
    store.calls_left = 0; /* nothing is read for these */
    assert_int_equal(tree_prove_inclusion(0, 0, read_node, &store, proof, &count),
                     STATUS_MALFORMED);
    assert_int_equal(tree_prove_inclusion(5, 5, read_node, &store, proof, &count),
                     STATUS_MALFORMED);
    assert_int_equal(
        tree_prove_inclusion(TREE_SIZE_MAX + 1, 5, read_node, &store, proof, &count),
        STATUS_MALFORMED);
    assert_int_equal(tree_prove_consistency(6, 5, read_node, &store, proof, &count),
                     STATUS_MALFORMED);
    assert_int_equal(
        tree_prove_consistency(6, TREE_SIZE_MAX + 1, read_node, &store, proof, &count),
        STATUS_MALFORMED);
    assert_int_equal(tree_root_at(TREE_SIZE_MAX + 1, read_node, &store, &root),
                     STATUS_MALFORMED);
    assert_int_equal(tree_edge_append(&edge, &ref.leaves[0], NULL, NULL), STATUS_TOO_BIG);
    assert_int_equal(tree_edge_load(TREE_SIZE_MAX + 1, read_node, &store, &edge),
                     STATUS_MALFORMED);
    store.calls_left = SIZE_MAX;
}

/* ---- trees of equal leaves ---- */

static struct hash level_hash[64];

static enum status
read_uniform(void *ctx, unsigned level, uint64_t index, struct hash *out)
{
    uint64_t size = *(const uint64_t *)ctx;

    assert_true(level < 63 && index < size >> level);
    *out = level_hash[level];
    return STATUS_OK;
}

static void
check_huge(uint64_t old, uint64_t size, uint64_t index)
{
    struct hash proof[TREE_PROOF_HASHES_MAX], root, old_root, other;
    struct tree_edge edge;
    size_t count;

    assert_int_equal(tree_root_at(size, read_uniform, &size, &root), STATUS_OK);
    assert_int_equal(tree_root_at(old, read_uniform, &old, &old_root), STATUS_OK);
    assert_int_equal(tree_edge_load(size, read_uniform, &size, &edge), STATUS_OK);
    tree_edge_root(&edge, &other);
    assert_same(&root, other);
    assert_int_equal(tree_prove_inclusion(size, index, read_uniform, &size, proof, &count),
                     STATUS_OK);
    assert_true(count <= 63);
    assert_int_equal(tree_check_inclusion(&root, size, &level_hash[0], index, proof, count),
                     STATUS_OK);
    assert_int_equal(tree_check_inclusion(&root, size, &level_hash[1], index, proof, count),
                     STATUS_BAD_PROOF);
    assert_int_equal(tree_prove_consistency(old, size, read_uniform, &size, proof, &count),
                     STATUS_OK);
    assert_true(count <= TREE_PROOF_HASHES_MAX); /* 64: an odd size, 63 levels up */
    assert_int_equal(tree_check_consistency(&old_root, old, &root, size, proof, count),
                     STATUS_OK);
    if (old != size) {
        assert_int_not_equal(
            tree_check_consistency(&level_hash[9], old, &root, size, proof, count), STATUS_OK);
    }
}

static void
test_trees_of_any_size_are_proved_and_checked(void **state)
{
    uint64_t x = 1;

    (void)state;
    level_hash[0] = ref.leaves[0];
    for (size_t i = 1; i < 64; i++) {
        level_hash[i] = ref_node_hash(level_hash[i - 1], level_hash[i - 1]);
    }
    check_huge(TREE_SIZE_MAX - 1, TREE_SIZE_MAX, TREE_SIZE_MAX - 1);
    check_huge(1, TREE_SIZE_MAX, 0);
    check_huge(UINT64_C(1) << 62, (UINT64_C(1) << 62) + 1, UINT64_C(1) << 62);
    for (int i = 0; i < 2000; i++) {
        uint64_t size, old, index;
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size = (x >> 1 >> (i % 60)) | 1;
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        old = (x >> 3) % size + 1;
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        index = (x >> 3) % size;
        check_huge(old, size, index);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing_gives_every_root),
        cmocka_unit_test(test_every_final_node_is_emitted_once_and_no_other),
        cmocka_unit_test(test_a_loaded_edge_is_the_grown_one_and_grows_on),
        cmocka_unit_test(test_every_inclusion_proof_is_the_defined_one),
        cmocka_unit_test(test_every_consistency_proof_is_the_defined_one),
        cmocka_unit_test(test_a_failing_store_is_reported_and_changes_nothing),
        cmocka_unit_test(test_what_does_not_exist_is_malformed),
        cmocka_unit_test(test_trees_of_any_size_are_proved_and_checked),
    };
    return cmocka_run_group_tests_name("treebuild", tests, setup, NULL);
}
