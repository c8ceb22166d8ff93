/* Hostile checkpoint texts and notes.  Properties: an accepted text is what the
 * encoder writes for it; no checkpoint opens without its log's signature. */
#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "crypto/checkpoint.h"
#include "crypto/cosignature.h"
#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[NOTE_SEED_BYTES + 1] = {4, 5, 6};
    static struct note_signer signer, witness;
    static struct checkpoint_opened opened;
    static uint8_t out[NOTE_BYTES_MAX], line[NOTE_LINE_BYTES_MAX];
    struct view input = {data, size};
    struct checkpoint c;
    struct note_key keys[2];
    size_t n, k;

    if (signer.key.type == 0 &&
        (sodium_init() < 0 ||
         note_signer_make(text_view("fuzz.example/log"), NOTE_KEY_ED25519, seed, &signer) !=
             STATUS_OK ||
         note_signer_make(text_view("fuzz.example/witness"), NOTE_KEY_COSIGNATURE, seed + 1,
                          &witness) != STATUS_OK)) {
        return 0;
    }
    keys[0] = signer.key;
    keys[1] = witness.key;
    if (checkpoint_open(input, text_view("fuzz.example/log"), keys, 2, 0, &opened) ==
        STATUS_OK) {
        assert(opened.verified.count >= 1 && opened.cosigned < opened.verified.count);
    }
    if (checkpoint_parse(input, &c) != STATUS_OK) {
        return 0;
    }
    assert(c.origin.count > 0 && c.size <= TREE_SIZE_MAX);
    assert(checkpoint_encode(&c, out, sizeof out, &n) == STATUS_OK);
    assert(n == size && memcmp(out, data, n) == 0);
    if ((data[size - 2] & 7) == 0) { /* signing is slow: sometimes */
        assert(checkpoint_sign(&signer, &c, out, sizeof out, &n) == STATUS_OK);
        assert(checkpoint_open((struct view){out, n}, c.origin, keys, 2, 0, &opened) ==
               STATUS_OK);
        assert(cosignature_line(&witness, input, 7, line, sizeof line, &k) == STATUS_OK);
        memcpy(out + n, line, k);
        assert(checkpoint_open((struct view){out, n + k}, c.origin, keys, 2, 7, &opened) ==
               STATUS_OK);
        assert(opened.cosigned == 1);
        assert(checkpoint_open((struct view){out, n + k}, c.origin, keys, 2, 6, &opened) ==
               STATUS_OK);
        assert(opened.cosigned == 0);
    }
    return 0;
}
