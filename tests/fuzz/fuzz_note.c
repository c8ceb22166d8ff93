/* Hostile notes and verifier keys.  Properties: an accepted note is made of its
 * text and its lines and nothing else; writing all lines gives it back; merging with
 * itself changes nothing; an accepted key writes itself again. */
#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "crypto/note.h"
#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_vkey(struct view input)
{
    char text[NOTE_VKEY_BYTES_MAX];
    struct note_key key;

    if (note_key_parse(input, &key) == STATUS_OK) {
        note_key_encode(&key, text);
        assert(strlen(text) == input.count && memcmp(text, input.bytes, input.count) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[NOTE_SEED_BYTES] = {1, 2, 3};
    static struct note_signer signer;
    static uint8_t out[NOTE_BYTES_MAX + 1], merged[NOTE_BYTES_MAX + 1];
    static struct note note, again;
    struct view input = {data, size};
    struct note_verified v;
    size_t n, m, added, at;

    if (signer.key.type == 0 &&
        (sodium_init() < 0 || note_signer_make(text_view("fuzz.example/log"), NOTE_KEY_ED25519,
                                               seed, &signer) != STATUS_OK)) {
        return 0;
    }
    fuzz_vkey(input);
    if (note_parse(input, &note) != STATUS_OK) {
        return 0;
    }
    at = note.text.count + 1;
    for (size_t i = 0; i < note.signature_count; i++) {
        assert(note.signatures[i].line.bytes == data + at);
        at += note.signatures[i].line.count;
    }
    assert(at == size);
    assert(note_write(&note, UINT64_MAX, out, sizeof out, &n) == STATUS_OK);
    assert(n == size && memcmp(out, data, n) == 0);
    /* Nobody forges our key, except by holding a note that it signed. */
    enum status st = note_verify(&note, &signer.key, 1, 0, &v);
    assert(st == STATUS_UNKNOWN_KEY || st == STATUS_BAD_SIGNATURE || st == STATUS_OK);
    assert((st == STATUS_OK) == (v.count == 1));
    if (st == STATUS_BAD_SIGNATURE) {
        return 0;
    }
    /* Sign the same text and merge: ours stays, the new line comes once. */
    if (note_sign(&signer, note.text, out, sizeof out, &n) != STATUS_OK) {
        return 0;
    }
    assert(note_parse((struct view){out, n}, &again) == STATUS_OK);
    if (note_merge(&note, &again, &signer.key, 1, 0, merged, sizeof merged, &m, &added) ==
        STATUS_OK) {
        assert(added == (st == STATUS_OK ? 0 : 1));
        assert(m >= size && memcmp(merged, data, size) == 0);
        assert(note_parse((struct view){merged, m}, &again) == STATUS_OK);
        assert(note_verify(&again, &signer.key, 1, 0, &v) == STATUS_OK && v.count == 1);
    }
    return 0;
}
