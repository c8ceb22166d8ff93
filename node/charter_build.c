/* charter_build.c: see charter_build.h. */
#include "node/charter_build.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/treebuild.h"
#include "proto/charter.pb-c.h"

struct built_row {
    uint8_t key[CHARTER_KEY_BYTES_MAX];
    size_t key_count;
    struct view packed;
};

static int
compare_rows(const void *a, const void *b)
{
    const struct built_row *x = a, *y = b;
    int order =
        memcmp(x->key, y->key, x->key_count < y->key_count ? x->key_count : y->key_count);
    return order != 0 ? order : (x->key_count > y->key_count) - (x->key_count < y->key_count);
}

/* A field that is over its limit would not fit the key. */
static bool
key_fits(enum charter_kind kind, const ProtobufCMessage *row)
{
    const char *a = "", *b = "";
    switch (kind) {
    case CHARTER_ROOT:
        a = ((const Hr__RootRow *)row)->name;
        break;
    case CHARTER_MEMBERS:
        a = ((const Hr__MemberRow *)row)->institution;
        break;
    case CHARTER_QUALITY:
        a = ((const Hr__QualityRow *)row)->institution;
        b = ((const Hr__QualityRow *)row)->item;
        break;
    case CHARTER_POLICY:
        a = ((const Hr__PolicyRow *)row)->pack;
        break;
    case CHARTER_KIND_COUNT:
        break;
    }
    return strlen(a) <= INSTITUTION_CHARS_MAX && strlen(b) <= CODE_CHARS_MAX;
}

static enum status
pack_rows(enum charter_kind kind, ProtobufCMessage *const *rows, size_t count,
          struct built_row *built, char *reason)
{
    for (size_t i = 0; i < count; i++) {
        if (!key_fits(kind, rows[i])) {
            snprintf(reason, CHARTER_REASON_CHARS, "row %zu: its name or code is too long",
                     i + 1);
            return STATUS_TOO_BIG;
        }
        size_t bytes = protobuf_c_message_get_packed_size(rows[i]);
        if (bytes > CHARTER_ROW_BYTES_MAX) {
            snprintf(reason, CHARTER_REASON_CHARS, "row %zu is too big", i + 1);
            return STATUS_TOO_BIG;
        }
        uint8_t *packed = malloc(bytes + 1);
        if (packed == NULL) {
            return STATUS_NO_MEMORY;
        }
        built[i].packed = (struct view){packed, protobuf_c_message_pack(rows[i], packed)};
        built[i].key_count = charter_row_key(kind, rows[i], built[i].key);
    }
    if (count > 1) {
        qsort(built, count, sizeof *built, compare_rows);
    }
    return STATUS_OK;
}

static void
compute_tree(const struct view *rows, size_t count, struct hash *root)
{
    struct tree_edge edge;
    memset(&edge, 0, sizeof edge);
    for (size_t i = 0; i < count; i++) {
        struct hash leaf;
        tree_leaf_hash(rows[i].bytes, rows[i].count, &leaf);
        enum status st = tree_edge_append(&edge, &leaf, NULL, NULL);
        assert(st == STATUS_OK);
    }
    tree_edge_root(&edge, root);
}

/* Encode, and read again what was encoded. */
static enum status
encode_file(struct view note, const struct view *rows, size_t count, uint8_t **file,
            size_t *file_count, char *reason)
{
    struct charter_document d;
    size_t bytes = charter_file_bytes(note, rows, count);
    if (bytes > CHARTER_FILE_BYTES_MAX) {
        snprintf(reason, CHARTER_REASON_CHARS, "the document is too big");
        return STATUS_TOO_BIG;
    }
    uint8_t *out = malloc(bytes);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    charter_file_encode(note, rows, count, out);
    enum status st = charter_document_decode((struct view){out, bytes}, &d, reason);
    charter_document_free(&d);
    if (st != STATUS_OK) {
        free(out);
        return st;
    }
    *file = out;
    *file_count = bytes;
    return STATUS_OK;
}

enum status
charter_build(struct charter_head *head, ProtobufCMessage *const *rows, size_t row_count,
              uint8_t **file, size_t *file_count, char reason[CHARTER_REASON_CHARS])
{
    uint8_t note[CHARTER_TEXT_BYTES_MAX + 1];
    size_t note_count;
    struct built_row *built = NULL;
    struct view *packed = NULL;
    enum status st = STATUS_NO_MEMORY;
    *file = NULL;
    *file_count = 0;
    snprintf(reason, CHARTER_REASON_CHARS, "out of memory");
    if (row_count > CHARTER_ROWS_MAX) {
        snprintf(reason, CHARTER_REASON_CHARS, "over %d rows", CHARTER_ROWS_MAX);
        return STATUS_TOO_BIG;
    }
    built = calloc(row_count + 1, sizeof *built);
    packed = calloc(row_count + 1, sizeof *packed);
    if (built == NULL || packed == NULL) {
        goto cleanup;
    }
    if ((st = pack_rows(head->kind, rows, row_count, built, reason)) != STATUS_OK) {
        goto cleanup;
    }
    for (size_t i = 0; i < row_count; i++) {
        packed[i] = built[i].packed;
    }
    head->row_count = (uint32_t)row_count;
    compute_tree(packed, row_count, &head->tree);
    charter_head_encode(head, note, &note_count);
    note[note_count++] = '\n';
    st = encode_file((struct view){note, note_count}, packed, row_count, file, file_count,
                     reason);
cleanup:
    for (size_t i = 0; built != NULL && i < row_count; i++) {
        uint8_t *bytes = NULL;
        memcpy(&bytes, &built[i].packed.bytes, sizeof bytes); /* ours: allocated above */
        free(bytes);
    }
    free(built);
    free(packed);
    return st;
}

bool
charter_note_has(struct view note_bytes, const struct note_key *key)
{
    struct note note;
    if (charter_note_read(note_bytes, &note) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < note.signature_count; i++) {
        const struct note_signature *s = &note.signatures[i];
        if (s->id == key->id && s->name.count == strlen(key->name) &&
            memcmp(s->name.bytes, key->name, s->name.count) == 0) {
            return true;
        }
    }
    return false;
}

enum status
charter_sign(struct view file, const struct note_signer *signer, uint8_t **out,
             size_t *out_count, char reason[CHARTER_REASON_CHARS])
{
    struct charter_document d;
    struct note note;
    uint8_t line[NOTE_LINE_BYTES_MAX], *more = NULL;
    size_t line_count = 0, count = 0;
    *out = NULL;
    *out_count = 0;
    enum status st = charter_document_decode(file, &d, reason);
    if (st != STATUS_OK) {
        return st;
    }
    if (charter_note_has(d.note, &signer->key)) {
        snprintf(reason, CHARTER_REASON_CHARS, "%s has signed already", signer->key.name);
        st = STATUS_EXISTS;
        goto cleanup;
    }
    more = malloc(NOTE_BYTES_MAX);
    if (more == NULL) {
        st = STATUS_NO_MEMORY;
    } else if ((st = charter_note_read(d.note, &note)) == STATUS_OK) {
        if (note.signature_count == 0) {
            st = note_sign(signer, note.text, more, NOTE_BYTES_MAX, &count);
        } else if ((st = note_sign_line(signer, note.text, line, sizeof line, &line_count)) ==
                   STATUS_OK) {
            st = note_add_line(d.note, (struct view){line, line_count}, more, NOTE_BYTES_MAX,
                               &count);
        }
    }
    if (st == STATUS_OK) {
        st = encode_file((struct view){more, count}, d.rows, d.row_count, out, out_count,
                         reason);
    } else {
        snprintf(reason, CHARTER_REASON_CHARS, "cannot sign: %s", status_text(st));
    }
cleanup:
    free(more);
    charter_document_free(&d);
    return st;
}
