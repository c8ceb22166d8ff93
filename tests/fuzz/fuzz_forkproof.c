/* No bytes crash the reading of a fork's proof, and no nodes that anybody can think
 * of show that an honest log showed two histories.
 *
 * The first byte chooses: the input is a whole proof, or the fields behind two heads
 * of one honest log, of sizes that the second byte chooses. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "crypto/treebuild.h"
#include "node/forkproof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LEAVES = 16 };
static uint8_t heads[LEAVES + 1][512];
static size_t counts[LEAVES + 1];

static void
make_heads(void)
{
    uint8_t seed[KEY_BYTES] = {7};
    struct sign_key key;
    struct note_signer signer;
    struct tree_edge edge = {0};
    struct view origin = {(const uint8_t *)"n.cn/h1/pub", 11};
    keys_sign_key(seed, &key);
    if (note_signer_make(origin, NOTE_KEY_ED25519, key.secret_key, &signer) != STATUS_OK) {
        abort();
    }
    for (uint64_t i = 1; i <= LEAVES; i++) {
        struct checkpoint c = {.origin = origin, .size = i};
        struct hash leaf;
        tree_leaf_hash((const uint8_t *)&i, 1, &leaf);
        if (tree_edge_append(&edge, &leaf, NULL, NULL) != STATUS_OK) {
            abort();
        }
        tree_edge_root(&edge, &c.root);
        if (checkpoint_sign(&signer, &c, heads[i], sizeof heads[i], &counts[i]) != STATUS_OK) {
            abort();
        }
    }
}

static bool
proves(struct view bytes)
{
    struct forkproof *p = malloc(sizeof *p);
    bool proven = false;
    if (p != NULL && forkproof_read(bytes, p) == STATUS_OK) {
        proven = p->proven;
        if (p->a.size > p->b.size) {
            abort();
        }
        forkproof_free(p);
    }
    free(p);
    return proven;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[FORKPROOF_BYTES_MAX];
    size_t count;
    if (counts[1] == 0) {
        if (sodium_init() < 0) {
            abort();
        }
        make_heads();
    }
    if (size < 2) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        (void)proves((struct view){data + 1, size - 1});
        return 0;
    }
    size_t a = 1 + (data[1] & 15u), b = 1 + (data[1] >> 4);
    if (forkproof_encode((struct view){heads[a], counts[a]}, (struct view){heads[b], counts[b]},
                         NULL, bytes, &count) != STATUS_OK ||
        size - 2 > sizeof bytes - count) {
        return 0;
    }
    memcpy(bytes + count, data + 2, size - 2);
    if (proves((struct view){bytes, count + size - 2})) {
        abort();
    }
    return 0;
}
