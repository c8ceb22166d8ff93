#include "node/pack_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "policy/policy.h"

static const char *const first_lines[] = {"huren pack file v1\n", "huren annex file v1\n"};

static bool
id_is_good(const char *id)
{
    size_t size = strlen(id);
    return size > 0 && size <= PACK_ID_CHARS_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == size;
}

static void
encode_hash(struct view data, char out[64])
{
    struct hash hash;
    sha256(data.bytes, data.count, &hash);
    out[base64_encode((struct view){hash.bytes, HASH_BYTES}, (uint8_t *)out)] = '\0';
}

static int
write_head(const struct pack_file *file, size_t rules_bytes, const char *rules,
           size_t vectors_bytes, const char *vectors, char head[PACK_HEAD_BYTES_MAX])
{
    return snprintf(head, PACK_HEAD_BYTES_MAX,
                    "%spack %s\nversion %u\nrules %zu %s\nvectors %zu %s\n",
                    first_lines[file->annex], file->id, (unsigned)file->version, rules_bytes,
                    rules, vectors_bytes, vectors);
}

enum status
pack_file_head(struct pack_file *file, char head[PACK_HEAD_BYTES_MAX], size_t *head_bytes)
{
    char rules[64];
    char vectors[64];
    *head_bytes = 0;
    if (!id_is_good(file->id) || file->version == 0 || file->rules.count == 0) {
        return STATUS_MALFORMED;
    }
    if (file->rules.count > HR_PACK_TEXT_BYTES_MAX ||
        file->vectors.count > HR_PACK_TEXT_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    encode_hash(file->rules, rules);
    encode_hash(file->vectors, vectors);
    int size = write_head(file, file->rules.count, rules, file->vectors.count, vectors, head);
    if (size <= 0 || size >= PACK_HEAD_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    *head_bytes = (size_t)size;
    sha256((const uint8_t *)head, *head_bytes, &file->address);
    return STATUS_OK;
}

enum status
pack_file_encode(struct pack_file *file, const struct note_signer *signer, uint8_t **out,
                 size_t *out_bytes)
{
    char head[PACK_HEAD_BYTES_MAX];
    size_t head_bytes;
    const size_t note_max = PACK_HEAD_BYTES_MAX + 1 + NOTE_LINE_BYTES_MAX;
    *out = NULL;
    *out_bytes = 0;
    enum status st = pack_file_head(file, head, &head_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    uint8_t *bytes = malloc(note_max + file->rules.count + file->vectors.count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t used = 0;
    if (signer != NULL) {
        struct view text = {(const uint8_t *)head, head_bytes};
        st = note_sign(signer, text, bytes, note_max, &used);
        if (st != STATUS_OK) {
            free(bytes);
            return st;
        }
    } else {
        memcpy(bytes, head, head_bytes);
        bytes[head_bytes] = '\n';
        used = head_bytes + 1;
    }
    memcpy(bytes + used, file->rules.bytes, file->rules.count);
    used += file->rules.count;
    if (file->vectors.count > 0) {
        memcpy(bytes + used, file->vectors.bytes, file->vectors.count);
    }
    *out = bytes;
    *out_bytes = used + file->vectors.count;
    return STATUS_OK;
}

/* ---- reading ---------------------------------------------------------------- */

/* Read "KEY VALUE" LF at *at; NULL when it is not there.  The value is not
 * terminated: its size goes to *size. */
static const char *
line_value(struct view bytes, size_t *at, const char *key, size_t *size)
{
    size_t key_size = strlen(key);
    const uint8_t *start = bytes.bytes + *at;
    const uint8_t *end = memchr(start, '\n', bytes.count - *at);
    if (end == NULL || (size_t)(end - start) <= key_size || memcmp(start, key, key_size) != 0 ||
        start[key_size] != ' ') {
        return NULL;
    }
    *size = (size_t)(end - start) - key_size - 1;
    *at += (size_t)(end - start) + 1;
    return (const char *)start + key_size + 1;
}

/* A strict decimal at the start of a value, ended by its end or a blank. */
static bool
decimal(const char *value, size_t size, uint32_t max, uint32_t *out)
{
    uint64_t number = 0;
    size_t i = 0;
    while (i < size && value[i] >= '0' && value[i] <= '9' && number <= max) {
        number = number * 10 + (uint64_t)(value[i++] - '0');
    }
    *out = (uint32_t)number;
    return i > 0 && number <= max && (i == 1 || value[0] != '0') &&
           (i == size || value[i] == ' ');
}

/* The base64 after the blank of a value. */
static bool
hash_of_value(const char *value, size_t size, struct hash *out)
{
    const char *blank = memchr(value, ' ', size);
    size_t count = 0;
    if (blank == NULL) {
        return false;
    }
    struct view text = {(const uint8_t *)blank + 1, size - (size_t)(blank + 1 - value)};
    return base64_decode(text, out->bytes, HASH_BYTES, &count) == STATUS_OK &&
           count == HASH_BYTES;
}

/* The four lines after the first; sizes, so that the parts can be cut, and
 * the hashes that the parts should have. */
static enum status
read_head(struct view bytes, size_t *at, struct pack_file *out, uint32_t sizes[2],
          struct hash hashes[2])
{
    static const char *const parts[] = {"rules", "vectors"};
    size_t size = 0;
    uint32_t version = 0;
    const char *id = line_value(bytes, at, "pack", &size);
    if (id == NULL || size > PACK_ID_CHARS_MAX) {
        return STATUS_MALFORMED;
    }
    memcpy(out->id, id, size);
    out->id[size] = '\0';
    const char *value = line_value(bytes, at, "version", &size);
    if (value == NULL || !decimal(value, size, UINT32_MAX, &version) || !id_is_good(out->id)) {
        return STATUS_MALFORMED;
    }
    out->version = version;
    for (size_t i = 0; i < 2; i++) {
        value = line_value(bytes, at, parts[i], &size);
        if (value == NULL || !decimal(value, size, HR_PACK_TEXT_BYTES_MAX, &sizes[i]) ||
            !hash_of_value(value, size, &hashes[i])) {
            return STATUS_MALFORMED;
        }
    }
    return STATUS_OK;
}

/* The size of the first line, which says the kind; 0: another kind. */
static size_t
read_kind(struct view bytes, bool *annex)
{
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(first_lines[i]);
        if (bytes.count > size && memcmp(bytes.bytes, first_lines[i], size) == 0) {
            *annex = i == 1;
            return size;
        }
    }
    return 0;
}

enum status
pack_head_decode(struct view head, struct pack_head *out)
{
    struct pack_file file;
    struct hash hashes[2];
    uint32_t sizes[2];
    char parts[2][64];
    char again[PACK_HEAD_BYTES_MAX];
    memset(&file, 0, sizeof file);
    memset(out, 0, sizeof *out);
    size_t at = read_kind(head, &file.annex);
    if (at == 0) {
        return STATUS_UNSUPPORTED;
    }
    enum status st = read_head(head, &at, &file, sizes, hashes);
    if (st != STATUS_OK || at != head.count || file.version == 0 || sizes[0] == 0) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < 2; i++) {
        size_t n =
            base64_encode((struct view){hashes[i].bytes, HASH_BYTES}, (uint8_t *)parts[i]);
        parts[i][n] = '\0';
    }
    int size = write_head(&file, sizes[0], parts[0], sizes[1], parts[1], again);
    if (size <= 0 || (size_t)size != head.count || memcmp(again, head.bytes, at) != 0) {
        return STATUS_MALFORMED;
    }
    out->annex = file.annex;
    memcpy(out->id, file.id, sizeof out->id);
    out->version = file.version;
    out->rules_bytes = sizes[0];
    out->vectors_bytes = sizes[1];
    out->rules = hashes[0];
    out->vectors = hashes[1];
    sha256(head.bytes, head.count, &out->address);
    return STATUS_OK;
}

enum status
pack_file_join(struct view head, struct view rules, struct view vectors, uint8_t **out,
               size_t *out_bytes)
{
    size_t bytes = head.count + 1 + rules.count + vectors.count;
    uint8_t *file = malloc(bytes);
    *out = file;
    *out_bytes = file == NULL ? 0 : bytes;
    if (file == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(file, head.bytes, head.count);
    file[head.count] = '\n';
    memcpy(file + head.count + 1, rules.bytes, rules.count);
    if (vectors.count > 0) {
        memcpy(file + head.count + 1 + rules.count, vectors.bytes, vectors.count);
    }
    return STATUS_OK;
}

enum status
pack_file_decode(struct view bytes, struct pack_file *out)
{
    char head[PACK_HEAD_BYTES_MAX];
    size_t head_bytes;
    uint32_t sizes[2];
    struct hash hashes[2];
    struct pack_file file;
    memset(&file, 0, sizeof file);
    memset(out, 0, sizeof *out);
    size_t at = read_kind(bytes, &file.annex);
    if (at == 0) {
        return STATUS_UNSUPPORTED;
    }
    enum status st = read_head(bytes, &at, &file, sizes, hashes);
    if (st != STATUS_OK) {
        return st;
    }
    size_t parts = (size_t)sizes[0] + sizes[1];
    if (bytes.count < parts || bytes.count - parts < at + 1) {
        return STATUS_MALFORMED;
    }
    size_t note_bytes = bytes.count - parts;
    if (note_bytes > NOTE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    file.rules = (struct view){bytes.bytes + note_bytes, sizes[0]};
    file.vectors = (struct view){bytes.bytes + note_bytes + sizes[0], sizes[1]};
    st = pack_file_head(&file, head, &head_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    if (head_bytes != at || memcmp(head, bytes.bytes, at) != 0) {
        return STATUS_CORRUPT;
    }
    if (note_bytes == at + 1 && bytes.bytes[at] == '\n') {
        file.note.text = (struct view){bytes.bytes, at};
    } else if ((st = note_parse((struct view){bytes.bytes, note_bytes}, &file.note)) !=
               STATUS_OK) {
        return st;
    } else if (file.note.text.count != at) {
        return STATUS_MALFORMED;
    }
    *out = file;
    return STATUS_OK;
}
