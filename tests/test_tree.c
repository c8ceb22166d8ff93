/* Goal: tree_check_inclusion and tree_check_consistency accept exactly the proofs
 * that RFC 9162 defines, and the hashes are the published ones.
 * Method: every proof of every tree up to REF_LEAVES_MAX leaves by the recursive
 * definition (reftree.h, over another SHA-256), accepted as it is and refused after
 * each kind of damage; FORMATS 1's example; the vectors of transparency-dev/merkle,
 * of the RFC 6962 reference code and of real Rekor bundles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "crypto/tree.h"
#include "tests/reftree.h"
#include "tests/vector.h"

static struct reftree ref;

static int
setup(void **state)
{
    (void)state;
    ref_init(&ref);
    return sodium_init() < 0 ? -1 : 0;
}

static void
assert_hash(const struct hash *h, const char *hex)
{
    char got[2 * HASH_BYTES + 1];

    sodium_bin2hex(got, sizeof got, h->bytes, HASH_BYTES);
    assert_string_equal(got, hex);
}

static void
test_sha256_agrees_with_another_implementation_at_every_length(void **state)
{
    static uint8_t data[1200];
    struct hash a, b;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 131 + (i >> 3));
    }
    for (size_t n = 0; n <= sizeof data; n++) {
        struct view item = {data + n / 3, n - n / 3};
        crypto_hash_sha256(b.bytes, data, n);
        sha256(data, n, &a);
        assert_true(hash_equal(&a, &b));
        sha256_2((struct view){data, n / 3}, (struct view){data + n / 3, n - n / 3}, &a);
        assert_true(hash_equal(&a, &b));
        sha256_3((struct view){data, n / 3}, (struct view){data + n / 3, n / 3},
                 (struct view){data + 2 * (n / 3), n - 2 * (n / 3)}, &a);
        assert_true(hash_equal(&a, &b));
        sha256_many((struct view){data, n / 3}, &item, 1, &a);
        assert_true(hash_equal(&a, &b));
    }
    a.bytes[31] ^= 1;
    assert_false(hash_equal(&a, &b));
}

static void
test_hashes_of_formats_1_are_these(void **state)
{
    static const char *const leaves[5] = {
        "62222ae7a07e932aa6cde9009f1fa049984bb008bed1bf261b613d7e80876dee",
        "5c425295f2ec7b8cc8284bc8f0fbd0b15c81a1b89aede90e44ab4056a31dd7bb",
        "3568d39ef337bc63f702738ea5996b923d2573cd0f470494483254b995afad14",
        "957d19b284adb73e8ee01f92dc2d31d9b6b934e4f01b9b0c9c401bbd1881a858",
        "2e2cb98b6be91fc67fe077ed7113fde14f7dab4931abd93768b3f968976d86e7"};
    struct view entries[5];
    struct hash many[5], node01, node23, root3, root4, root5, empty;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        static char text[5][16];
        struct hash leaf;
        int n = snprintf(text[i], sizeof text[i], "result %zu", i);
        entries[i] = (struct view){(const uint8_t *)text[i], (size_t)n};
        tree_leaf_hash(entries[i].bytes, entries[i].count, &leaf);
        assert_hash(&leaf, leaves[i]);
    }
    tree_leaf_hashes(entries, 5, many);
    for (size_t i = 0; i < 5; i++) {
        assert_hash(&many[i], leaves[i]);
    }
    tree_node_hash(&many[0], &many[1], &node01);
    assert_hash(&node01, "cb12cf0b382213dc29d8fca74de1aae2f97d8c6c41626143959a6c3eda1e21d9");
    tree_node_hash(&many[2], &many[3], &node23);
    assert_hash(&node23, "cddf669e63d22a9b213407dd3da46b605982d7f1e683010cc02e3cf1ef334b50");
    tree_node_hash(&node01, &many[2], &root3);
    assert_hash(&root3, "c924ab4cc11c829eeff61541dfd9e28ba9db5979514eff11f0e2404ffe5ecf4d");
    tree_node_hash(&node01, &node23, &root4);
    assert_hash(&root4, "089e5c668b011e74836e0e379f3ca214bbc5cd6acc3a5f4f6bf8ab40ebcc5428");
    root5 = root4;
    tree_node_hash(&root5, &many[4], &root5); /* aliasing is allowed */
    assert_hash(&root5, "8ea44bd627b51cba060fc8fd89be21cb34d60ca754aa5230a59c6c4390f15477");
    tree_empty_root(&empty);
    assert_hash(&empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

    struct hash inclusion2[] = {many[3], node01, many[4]};
    assert_int_equal(tree_check_inclusion(&root5, 5, &many[2], 2, inclusion2, 3), STATUS_OK);
    assert_int_equal(tree_check_inclusion(&root5, 5, &many[4], 4, &root4, 1), STATUS_OK);
    struct hash from3[] = {many[2], many[3], node01, many[4]};
    assert_int_equal(tree_check_consistency(&root3, 3, &root5, 5, from3, 4), STATUS_OK);
    assert_int_equal(tree_check_consistency(&root4, 4, &root5, 5, &many[4], 1), STATUS_OK);
}

static void
test_leaf_hash_of_empty_entry_is_the_rfc_value(void **state)
{
    struct hash leaf;

    (void)state;
    tree_leaf_hash(NULL, 0, &leaf);
    assert_hash(&leaf, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

/* Every hash of a proof is damaged in turn in trees of up to 130 leaves; in larger
 * ones, where that takes long, one or two hashes, others for each proof. */
static size_t
damage_step(uint64_t size)
{
    return size <= 130 ? 1 : 5;
}

static size_t
first_damage(uint64_t size, uint64_t at, size_t count)
{
    return size <= 130 || count == 0 ? 0 : (size_t)(at % (count < 5 ? count : 5));
}

static void
test_every_inclusion_proof_is_accepted_and_every_damage_refused(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= REF_LEAVES_MAX; size++) {
        struct hash root = ref_root(&ref, 0, size), wrong = root;
        wrong.bytes[31] ^= 0x80;
        for (uint64_t index = 0; index < size; index++) {
            struct hash proof[TREE_PROOF_HASHES_MAX] = {{{0}}};
            size_t count = ref_path(&ref, proof, index, 0, size);
            const struct hash *leaf = &ref.leaves[index];
            struct hash other = *leaf;

            assert_int_equal(tree_check_inclusion(&root, size, leaf, index, proof, count),
                             STATUS_OK);
            other.bytes[0] ^= 1;
            assert_int_equal(tree_check_inclusion(&root, size, &other, index, proof, count),
                             STATUS_BAD_PROOF);
            assert_int_equal(tree_check_inclusion(&wrong, size, leaf, index, proof, count),
                             STATUS_BAD_PROOF);
            assert_int_equal(tree_check_inclusion(&root, size, leaf, size, proof, count),
                             STATUS_MALFORMED);
            assert_int_equal(tree_check_inclusion(&root, size, leaf, index, proof, count + 1),
                             STATUS_MALFORMED);
            for (size_t i = first_damage(size, index, count); i < count;
                 i += damage_step(size)) {
                assert_int_equal(tree_check_inclusion(&root, size, leaf, index, proof, i),
                                 STATUS_MALFORMED);
                proof[i].bytes[(index + i) % HASH_BYTES] ^= 1;
                assert_int_equal(tree_check_inclusion(&root, size, leaf, index, proof, count),
                                 STATUS_BAD_PROOF);
                proof[i].bytes[(index + i) % HASH_BYTES] ^= 1;
            }
            /* One leaf proves one place. */
            for (uint64_t i = 0; i < size; i += size < 40 ? 1 : 97) {
                assert_true(i == index || tree_check_inclusion(&root, size, leaf, i, proof,
                                                               count) != STATUS_OK);
            }
        }
    }
}

static void
check_consistency_damage(uint64_t old, uint64_t size)
{
    struct hash a = ref_root(&ref, 0, old), b = ref_root(&ref, 0, size), wrong;
    struct hash proof[TREE_PROOF_HASHES_MAX] = {{{0}}};
    size_t count = ref_subproof(&ref, proof, old, 0, size, true);

    assert_int_equal(tree_check_consistency(&a, old, &b, size, proof, count), STATUS_OK);
    wrong = a;
    wrong.bytes[5] ^= 4;
    assert_int_equal(tree_check_consistency(&wrong, old, &b, size, proof, count),
                     STATUS_BAD_PROOF);
    wrong = b;
    wrong.bytes[7] ^= 8;
    assert_int_equal(tree_check_consistency(&a, old, &wrong, size, proof, count),
                     STATUS_BAD_PROOF);
    assert_int_equal(tree_check_consistency(&a, old, &b, size, proof, count + 1),
                     STATUS_MALFORMED);
    if (old != size) {
        assert_int_equal(tree_check_consistency(&b, old, &a, size, proof, count),
                         STATUS_BAD_PROOF);
        assert_int_equal(tree_check_consistency(&b, size, &a, old, proof, count),
                         STATUS_MALFORMED);
    }
    for (size_t i = first_damage(size, old, count); i < count; i += damage_step(size)) {
        assert_int_equal(tree_check_consistency(&a, old, &b, size, proof, i), STATUS_MALFORMED);
        proof[i].bytes[(old + i) % HASH_BYTES] ^= 1;
        assert_int_equal(tree_check_consistency(&a, old, &b, size, proof, count),
                         STATUS_BAD_PROOF);
        proof[i].bytes[(old + i) % HASH_BYTES] ^= 1;
    }
    for (uint64_t other = 0; other <= size; other += size < 40 ? 1 : 97) {
        assert_true(other == old ||
                    tree_check_consistency(&a, other, &b, size, proof, count) != STATUS_OK);
    }
}

static void
test_every_consistency_proof_is_accepted_and_every_damage_refused(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= REF_LEAVES_MAX; size++) {
        for (uint64_t old = 1; old <= size; old++) {
            check_consistency_damage(old, size);
        }
    }
}

static void
test_only_the_empty_root_has_size_0_and_everything_extends_it(void **state)
{
    struct hash empty, root = ref_root(&ref, 0, 7), extra = {{1}};

    (void)state;
    tree_empty_root(&empty);
    assert_int_equal(tree_check_consistency(&empty, 0, &empty, 0, NULL, 0), STATUS_OK);
    assert_int_equal(tree_check_consistency(&empty, 0, &root, 7, NULL, 0), STATUS_OK);
    assert_int_equal(tree_check_consistency(&root, 0, &root, 0, NULL, 0), STATUS_BAD_PROOF);
    assert_int_equal(tree_check_consistency(&empty, 0, &root, 0, NULL, 0), STATUS_BAD_PROOF);
    assert_int_equal(tree_check_consistency(&extra, 0, &root, 7, NULL, 0), STATUS_BAD_PROOF);
    assert_int_equal(tree_check_consistency(&empty, 0, &root, 7, &extra, 1), STATUS_MALFORMED);
    assert_int_equal(tree_check_consistency(&empty, 0, &empty, 0, &extra, 1), STATUS_MALFORMED);
    assert_int_equal(tree_check_inclusion(&empty, 0, &extra, 0, NULL, 0), STATUS_MALFORMED);
}

static void
test_sizes_over_the_limit_and_long_proofs_are_refused(void **state)
{
    static struct hash proof[TREE_PROOF_HASHES_MAX + 1];
    struct hash h = {{0}};
    uint64_t big = TREE_SIZE_MAX + 1;

    (void)state;
    assert_int_equal(tree_check_inclusion(&h, big, &h, 0, proof, 63), STATUS_MALFORMED);
    assert_int_equal(tree_check_inclusion(&h, UINT64_MAX, &h, 0, proof, 64), STATUS_MALFORMED);
    assert_int_equal(
        tree_check_inclusion(&h, TREE_SIZE_MAX, &h, 0, proof, TREE_PROOF_HASHES_MAX + 1),
        STATUS_MALFORMED);
    assert_int_equal(tree_check_inclusion(&h, TREE_SIZE_MAX, &h, 0, proof, 63),
                     STATUS_BAD_PROOF);
    assert_int_equal(tree_check_consistency(&h, 1, &h, big, proof, 63), STATUS_MALFORMED);
    assert_int_equal(tree_check_consistency(&h, 1, &h, TREE_SIZE_MAX, proof, 63),
                     STATUS_BAD_PROOF);
}

/* ---- vectors ---- */

/* Read a base64 hash; false when it has another length: the formats refuse that
 * before any comparison. */
static bool
read_hash(const char *base64, struct hash *out)
{
    uint8_t bytes[1024];
    size_t n = vector_base64(base64, bytes, sizeof bytes);

    memcpy(out->bytes, bytes, HASH_BYTES);
    return n == HASH_BYTES;
}

static bool
read_proof(const json_t *array, struct hash *proof, size_t *count)
{
    bool good = json_array_size(array) <= TREE_PROOF_HASHES_MAX;

    *count = json_array_size(array);
    for (size_t i = 0; good && i < *count; i++) {
        good = read_hash(json_string_value(json_array_get(array, i)), &proof[i]);
    }
    return good;
}

static bool
probe_inclusion(const json_t *j)
{
    struct hash root, leaf, proof[TREE_PROOF_HASHES_MAX];
    size_t count;

    return read_hash(vector_string(j, "root"), &root) &&
           read_hash(vector_string(j, "leafHash"), &leaf) &&
           read_proof(json_object_get(j, "proof"), proof, &count) &&
           tree_check_inclusion(&root, vector_number(j, "treeSize"), &leaf,
                                vector_number(j, "leafIdx"), proof, count) == STATUS_OK;
}

/* Some probes have short texts for roots where only their equality matters: hash
 * those, which keeps it. */
static struct hash
read_root(const char *base64)
{
    uint8_t bytes[1024];
    struct hash h;

    if (!read_hash(base64, &h)) {
        crypto_hash_sha256(h.bytes, bytes, vector_base64(base64, bytes, sizeof bytes));
    }
    return h;
}

static bool
probe_consistency(const json_t *j)
{
    struct hash a = read_root(vector_string(j, "root1"));
    struct hash b = read_root(vector_string(j, "root2"));
    struct hash proof[TREE_PROOF_HASHES_MAX];
    size_t count;

    return read_proof(json_object_get(j, "proof"), proof, &count) &&
           tree_check_consistency(&a, vector_number(j, "size1"), &b, vector_number(j, "size2"),
                                  proof, count) == STATUS_OK;
}

/* Upstream refuses every proof from size 0; ours is FORMATS 1.2's rule. */
static bool
is_policy_case(const json_t *j)
{
    struct hash root, empty;

    if (json_object_get(j, "size1") == NULL || vector_number(j, "size1") != 0 ||
        json_array_size(json_object_get(j, "proof")) != 0) {
        return false;
    }
    root = read_root(vector_string(j, "root1"));
    tree_empty_root(&empty);
    return hash_equal(&root, &empty);
}

/* Run every .json under a folder of shared/vectors. */
static size_t
run_folder(const char *name, bool (*probe)(const json_t *))
{
    char path[VECTOR_PATH_MAX];
    struct dirent *entry;
    size_t cases = 0;
    DIR *dir;

    vector_path(name, path);
    dir = opendir(path);
    if (dir == NULL) {
        print_message("SKIPPED: no vectors at %s\n", path);
        skip();
    }
    while ((entry = readdir(dir)) != NULL) {
        char below[VECTOR_PATH_MAX];
        size_t n = strlen(entry->d_name);
        if (entry->d_name[0] == '.') {
            continue;
        }
        assert_true((size_t)snprintf(below, sizeof below, "%s/%s", name, entry->d_name) <
                    sizeof below);
        if (n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0) {
            json_t *j = vector_json(below);
            if (probe(j) == vector_bool(j, "wantErr") && !is_policy_case(j)) {
                fail_msg("%s", below);
            }
            json_decref(j);
            cases++;
        } else {
            cases += run_folder(below, probe);
        }
    }
    closedir(dir);
    return cases;
}

static void
test_merkle_inclusion_vectors_agree(void **state)
{
    (void)state;
    assert_true(run_folder("merkle/inclusion", probe_inclusion) > 40);
}

static void
test_merkle_consistency_vectors_agree(void **state)
{
    (void)state;
    assert_true(run_folder("merkle/consistency", probe_consistency) > 40);
}

static void
test_rfc6962_reference_nodes_and_constants_agree(void **state)
{
    json_t *j = vector_json("rfc6962_reference/roots.json"), *levels, *hasher;
    struct hash node[8];
    uint8_t entry[16];

    (void)state;
    levels = json_object_get(j, "node_hashes_by_level");
    for (size_t i = 0; i < 8; i++) {
        json_t *inputs = json_object_get(j, "leaf_inputs_hex");
        size_t n =
            vector_hex(json_string_value(json_array_get(inputs, i)), entry, sizeof entry);
        tree_leaf_hash(entry, n, &node[i]);
    }
    for (size_t level = 0; level < 4; level++) {
        json_t *row = json_array_get(levels, level);
        assert_int_equal(json_array_size(row), (size_t)8 >> level);
        for (size_t i = 0; i < (size_t)8 >> level; i++) {
            if (level > 0) {
                tree_node_hash(&node[2 * i], &node[2 * i + 1], &node[i]);
            }
            assert_hash(&node[i], json_string_value(json_array_get(row, i)));
        }
    }
    hasher = json_object_get(j, "hasher");
    tree_empty_root(&node[0]);
    assert_hash(&node[0], vector_string(hasher, "empty_tree"));
    tree_leaf_hash(NULL, 0, &node[0]);
    assert_hash(&node[0], vector_string(hasher, "leaf_of_empty_input"));
    tree_leaf_hash((const uint8_t *)"L123456", 7, &node[0]);
    assert_hash(&node[0], vector_string(hasher, "leaf_of_ascii_L123456"));
    /* "N123" and "N456" are not 32 bytes long: only the prefix can be compared. */
    sha256_3((struct view){(const uint8_t *)"\1", 1}, (struct view){(const uint8_t *)"N123", 4},
             (struct view){(const uint8_t *)"N456", 4}, &node[0]);
    assert_hash(&node[0], vector_string(hasher, "node_of_ascii_N123_N456"));
    json_decref(j);
}

static void
test_real_inclusion_proofs_have_the_known_verdicts(void **state)
{
    json_t *cases = vector_json("real_inclusion_proofs/cases.json"), *j;
    size_t i, good = 0;

    (void)state;
    json_array_foreach(cases, i, j)
    {
        struct hash root, leaf, computed, proof[TREE_PROOF_HASHES_MAX];
        static uint8_t data[1 << 16];
        size_t n = vector_base64(vector_string(j, "leaf_data_b64"), data, sizeof data), count;
        bool ok;

        tree_leaf_hash(data, n, &computed);
        assert_true(read_hash(vector_string(j, "root"), &root));
        leaf = computed;
        ok = read_proof(json_object_get(j, "proof"), proof, &count) &&
             tree_check_inclusion(&root, vector_number(j, "tree_size"), &leaf,
                                  vector_number(j, "index"), proof, count) == STATUS_OK;
        assert_int_equal(ok, vector_bool(j, "proof_ok"));
        good += ok;
    }
    assert_true(good > 0 && good < json_array_size(cases));
    json_decref(cases);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_agrees_with_another_implementation_at_every_length),
        cmocka_unit_test(test_hashes_of_formats_1_are_these),
        cmocka_unit_test(test_leaf_hash_of_empty_entry_is_the_rfc_value),
        cmocka_unit_test(test_every_inclusion_proof_is_accepted_and_every_damage_refused),
        cmocka_unit_test(test_every_consistency_proof_is_accepted_and_every_damage_refused),
        cmocka_unit_test(test_only_the_empty_root_has_size_0_and_everything_extends_it),
        cmocka_unit_test(test_sizes_over_the_limit_and_long_proofs_are_refused),
        cmocka_unit_test(test_merkle_inclusion_vectors_agree),
        cmocka_unit_test(test_merkle_consistency_vectors_agree),
        cmocka_unit_test(test_rfc6962_reference_nodes_and_constants_agree),
        cmocka_unit_test(test_real_inclusion_proofs_have_the_known_verdicts),
    };
    return cmocka_run_group_tests_name("tree", tests, setup, NULL);
}
