/* fuzz_charter.c: hostile charter documents, whole and in part, YAML sources and
 * small key texts.  Properties: no crash; what is accepted as a document is
 * written back as the same bytes; nothing unsigned is adopted; a document in
 * part never holds a row that the whole does not. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter.h"
#include "node/charter_build.h"
#include "node/charter_key.h"
#include "node/charter_yaml.h"
#include "node/config.h"
#include "node/origin.h"
#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A charter of one root, whose secret nobody here has any more. */
static struct charter *
make_charter(void)
{
    static const char *const names[] = {"k", "threshold/root", "threshold/members",
                                        "threshold/quality", "threshold/policy"};
    static const char *const roles[] = {"root", "members", "quality", "policy"};
    struct charter_head head = {.kind = CHARTER_ROOT,
                                .version = 1,
                                .issued_at_s = 1,
                                .valid_from_s = 1,
                                .stale_after_s = 2000000000};
    Hr__RootRow rows[5];
    ProtobufCMessage *list[5];
    char *role_texts[4];
    uint8_t seed[KEY_BYTES], *file, *signed_file;
    size_t count, signed_count;
    char reason[CHARTER_REASON_CHARS];
    struct note_signer signer;
    struct charter_document d;
    struct charter *c;
    strcpy(head.network, "yx.cn");
    randombytes_buf(seed, sizeof seed);
    enum status st =
        note_signer_make(text_view("yx.cn/charter/k"), NOTE_KEY_ED25519, seed, &signer);
    assert(st == STATUS_OK);
    for (size_t i = 0; i < 5; i++) {
        hr__root_row__init(&rows[i]);
        memcpy(&rows[i].name, &names[i], sizeof names[i]);
        rows[i].threshold = i == 0 ? 0 : 1;
        list[i] = &rows[i].base;
    }
    memcpy(role_texts, roles, sizeof roles);
    rows[0].public_key = (ProtobufCBinaryData){KEY_BYTES, signer.key.public_key};
    rows[0].roles = role_texts;
    rows[0].n_roles = 4;
    st = charter_build(&head, list, 5, &file, &count, reason);
    assert(st == STATUS_OK);
    st = charter_sign((struct view){file, count}, &signer, &signed_file, &signed_count, reason);
    assert(st == STATUS_OK);
    note_signer_wipe(&signer);
    st = charter_document_decode((struct view){signed_file, signed_count}, &d, reason);
    assert(st == STATUS_OK);
    st = charter_load(&d, NULL, 0, &c, reason);
    assert(st == STATUS_OK);
    charter_document_free(&d);
    free(file);
    free(signed_file);
    return c;
}

static void
try_document(const struct charter *c, struct view file)
{
    struct charter_document d;
    char reason[CHARTER_REASON_CHARS];
    if (charter_document_decode(file, &d, reason) != STATUS_OK) {
        assert(d.rows == NULL);
        return;
    }
    size_t count = charter_file_bytes(d.note, d.rows, d.row_count);
    uint8_t *again = malloc(count);
    assert(again != NULL && count == file.count);
    charter_file_encode(d.note, d.rows, d.row_count, again);
    assert(memcmp(again, file.bytes, count) == 0);
    free(again);
    enum status st = charter_check_next(c, &d, 1800000000, reason);
    assert(st != STATUS_OK);
    st = charter_check_first(&d, NULL, 1800000000, reason);
    assert(strlen(reason) < CHARTER_REASON_CHARS);
    for (uint32_t i = 0; i < d.row_count && i < 8; i++) {
        struct hash proof[TREE_PROOF_HASHES_MAX];
        struct charter_proven_row row = {d.rows[i], i, proof, 0};
        struct charter_document part;
        st = charter_document_prove(&d, i, proof, &row.proof_count);
        assert(st == STATUS_OK);
        st = charter_document_make_part(d.note, &row, 1, &part, reason);
        assert(st == STATUS_OK);
        charter_document_free(&part);
    }
    charter_document_free(&d);
}

/* The rows are the fuzzer's, the note is made to fit: so that rows are reached. */
static void
try_rows(enum charter_kind kind, struct view bytes)
{
    struct view rows[16];
    size_t count = 0;
    struct charter_document d;
    char reason[CHARTER_REASON_CHARS];
    while (bytes.count > 2 && count < 16) {
        size_t n = (size_t)bytes.bytes[0] << 8 | bytes.bytes[1];
        n = n > bytes.count - 2 ? bytes.count - 2 : n;
        rows[count++] = (struct view){bytes.bytes + 2, n};
        bytes.bytes += n + 2;
        bytes.count -= n + 2;
    }
    struct pb_arena arena;
    uint8_t memory[PB_ARENA_BYTES];
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    ProtobufCMessage *messages[16];
    size_t good = 0;
    for (size_t i = 0; i < count; i++) {
        if (charter_row_decode(kind, "yx.cn", rows[i], &arena, &messages[good], reason) ==
            STATUS_OK) {
            uint8_t key[CHARTER_KEY_BYTES_MAX];
            size_t key_count = charter_row_key(kind, messages[good], key);
            assert(key_count <= sizeof key);
            good++;
        } else {
            assert(reason[0] != 0);
        }
    }
    struct charter_head head = {.kind = kind,
                                .version = 1,
                                .issued_at_s = 1,
                                .valid_from_s = 1,
                                .stale_after_s = 2000000000};
    uint8_t *file;
    size_t file_count;
    strcpy(head.network, "yx.cn");
    if (charter_build(&head, messages, good, &file, &file_count, reason) == STATUS_OK) {
        enum status st = charter_document_decode((struct view){file, file_count}, &d, reason);
        assert(st == STATUS_OK && d.row_count == good);
        charter_document_free(&d);
        free(file);
    }
    pb_free(&arena);
}

static void
try_texts(struct view bytes, uint8_t which)
{
    char reason[CHARTER_REASON_CHARS], error[CONFIG_ERROR_CHARS];
    struct charter_public_key key;
    struct origin o;
    struct config *config;
    struct yaml_charter *y;
    enum charter_kind kind = (enum charter_kind)(which % CHARTER_KIND_COUNT);
    if (charter_public_key_decode(bytes, &key) == STATUS_OK) {
        char text[CHARTER_PUBLIC_KEY_BYTES_MAX];
        size_t count = charter_public_key_encode(&key, text);
        assert(count == bytes.count && memcmp(text, bytes.bytes, count) == 0);
    }
    struct charter_epoch_keys *epochs = malloc(sizeof *epochs);
    assert(epochs != NULL);
    if (charter_epoch_keys_decode(bytes, epochs) == STATUS_OK) {
        char *text = malloc(CHARTER_NETWORK_KEYS_BYTES_MAX);
        assert(text != NULL);
        size_t count = charter_epoch_keys_encode(epochs, text);
        assert(count == bytes.count && memcmp(text, bytes.bytes, count) == 0);
        free(text);
    }
    free(epochs);
    if (origin_parse(bytes, &o) == STATUS_OK) {
        char text[ORIGIN_CHARS_MAX + 1];
        origin_write(&o, text);
        assert(strlen(text) == bytes.count && memcmp(text, bytes.bytes, bytes.count) == 0);
    }
    if (config_parse(bytes, "f", &config, error, sizeof error) == STATUS_OK) {
        config_free(config);
    }
    if (charter_yaml_load(kind, bytes, "f", &y, reason) == STATUS_OK) {
        charter_yaml_free(kind, y);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct charter *c;
    if (c == NULL) {
        if (sodium_init() < 0) {
            return 0;
        }
        c = make_charter();
    }
    if (size < 2) {
        return 0;
    }
    struct view rest = {data + 1, size - 1};
    if (data[0] % 3 == 0) {
        try_document(c, rest);
    } else if (data[0] % 3 == 1) {
        try_rows((enum charter_kind)(data[0] / 3 % CHARTER_KIND_COUNT), rest);
    } else {
        try_texts(rest, data[0] / 3);
    }
    return 0;
}
