/* Hostile tlog-proofs.  Properties: an accepted text is what the encoder writes for
 * it; nothing passes the check without our log's signature. */
#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "crypto/tlogproof.h"
#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[NOTE_SEED_BYTES] = {7, 8, 9};
    static struct note_signer signer;
    static struct checkpoint_opened opened;
    static uint8_t out[TLOGPROOF_BYTES_MAX];
    struct tlogproof_policy policy = {.origin = text_view("fuzz.example/log"), .key_count = 1};
    struct tlogproof p;
    struct hash leaf = {{1}};
    size_t n;

    if (signer.key.type == 0 &&
        (sodium_init() < 0 || note_signer_make(text_view("fuzz.example/log"), NOTE_KEY_ED25519,
                                               seed, &signer) != STATUS_OK)) {
        return 0;
    }
    policy.keys = &signer.key;
    if (tlogproof_parse((struct view){data, size}, &p) != STATUS_OK) {
        return 0;
    }
    assert(p.hash_count <= TREE_PROOF_HASHES_MAX && p.index <= TREE_SIZE_MAX);
    assert(tlogproof_encode(&p, out, sizeof out, &n) == STATUS_OK);
    assert(n == size && memcmp(out, data, n) == 0);
    assert(tlogproof_check(&p, &leaf, &policy, &opened) != STATUS_OK);
    return 0;
}
