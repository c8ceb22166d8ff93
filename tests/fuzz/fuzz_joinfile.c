/* A join file that is accepted encodes to itself; whatever names and addresses
 * are written can be read.
 * Input: a selector; 0: a file as it is; 1: a text to which the three true
 * signatures are added; 2: the name and an address of a new file. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/joinfile.h"
#include "crypto/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct network_keys keys;

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The length of the text before its blank line. */
static size_t
text_count(const uint8_t *file, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (file[i - 1] == '\n' && file[i] == '\n') {
            return i;
        }
    }
    return 0;
}

static void
check(struct view file)
{
    struct joinfile join;
    struct network_public ours;
    uint8_t again[JOINFILE_BYTES_MAX];
    size_t count;
    if (joinfile_decode(file, &join) != STATUS_OK) {
        must(sodium_is_zero((const unsigned char *)&join, sizeof join) == 1);
        return;
    }
    must(keys_vet_public(&join.keys) == STATUS_OK);
    keys_public(&keys, &ours);
    if (memcmp(&join.keys, &ours, sizeof ours) == 0) {
        must(joinfile_encode(&join, &keys, again, sizeof again, &count) == STATUS_OK);
        must(text_count(again, count) == text_count(file.bytes, file.count));
        must(memcmp(again, file.bytes, text_count(again, count)) == 0);
    }
}

static void
check_signed(struct view text)
{
    static const char *const names[] = {"net/h001/log", "net/h001/witness",
                                        "net/h001/statement"};
    const struct sign_key *const all[] = {&keys.log, &keys.witness, &keys.statement};
    uint8_t file[JOINFILE_BYTES_MAX];
    size_t count = text.count, n;
    if (count == 0 || count > JOINFILE_BYTES_MAX / 2) {
        return;
    }
    memcpy(file, text.bytes, count);
    file[count++] = '\n';
    for (size_t i = 0; i < 3; i++) {
        struct note_signer signer;
        const struct view name = {(const uint8_t *)names[i], strlen(names[i])};
        must(note_signer_make(name, NOTE_KEY_ED25519, all[i]->secret_key, &signer) ==
             STATUS_OK);
        if (note_sign_line(&signer, text, file + count, sizeof file - count, &n) != STATUS_OK) {
            return;
        }
        count += n;
    }
    check((struct view){file, count});
}

static void
check_fields(struct view bytes)
{
    struct joinfile join = {.institution = "h001", .network = "net", .address_count = 1};
    struct joinfile back;
    uint8_t file[JOINFILE_BYTES_MAX];
    size_t count, half = bytes.count / 2;
    memcpy(join.addresses[0], "tcp://", 6);
    if (half >= sizeof join.name || half >= sizeof join.addresses[0] - 7) {
        return;
    }
    if (half > 0) {
        memcpy(join.name, bytes.bytes, half);
        memcpy(join.addresses[0] + 6, bytes.bytes + half, half);
    }
    if (joinfile_encode(&join, &keys, file, sizeof file, &count) == STATUS_OK) {
        must(joinfile_decode((struct view){file, count}, &back) == STATUS_OK);
        must(strcmp(join.name, back.name) == 0);
        must(strcmp(join.addresses[0], back.addresses[0]) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[KEY_BYTES] = {42};
    if (sodium_init() < 0 || size == 0) {
        return 0;
    }
    keys_derive(seed, "net", &keys);
    const struct view rest = {data + 1, size - 1};
    switch (data[0] % 3) {
    case 0:
        check(rest);
        break;
    case 1:
        check_signed(rest);
        break;
    default:
        check_fields(rest);
    }
    return 0;
}
