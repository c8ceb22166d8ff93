#include "crypto/checkpoint.h"

#include <string.h>

#include "crypto/base64.h"
#include "crypto/line.h"

enum { ROOT_CHARS = BASE64_CHARS(HASH_BYTES) };

/* Extension lines: none, or each not empty and ended by LF. */
static bool
are_extensions(struct view extensions)
{
    struct view line;

    while (extensions.count > 0) {
        if (line_take(&extensions, &line) != STATUS_OK || line.count == 0) {
            return false;
        }
    }
    return true;
}

static bool
is_root_possible(uint64_t size, const struct hash *root)
{
    struct hash empty;

    tree_empty_root(&empty);
    return size > 0 || hash_equal(root, &empty);
}

enum status
checkpoint_parse(struct view text, struct checkpoint *out)
{
    struct checkpoint c;
    struct view rest = text, size, root;
    size_t count;

    if (text.count > CHECKPOINT_TEXT_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (!line_is_clean(text, true) || line_take(&rest, &c.origin) != STATUS_OK ||
        line_take(&rest, &size) != STATUS_OK || line_take(&rest, &root) != STATUS_OK ||
        c.origin.count == 0) {
        return STATUS_MALFORMED;
    }
    if (c.origin.count > ORIGIN_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (line_decimal(size, TREE_SIZE_MAX, &c.size) != STATUS_OK || root.count != ROOT_CHARS ||
        base64_decode(root, c.root.bytes, HASH_BYTES, &count) != STATUS_OK ||
        count != HASH_BYTES || !is_root_possible(c.size, &c.root) || !are_extensions(rest)) {
        return STATUS_MALFORMED;
    }
    c.extensions = rest;
    *out = c;
    return STATUS_OK;
}

enum status
checkpoint_encode(const struct checkpoint *c, uint8_t *out, size_t max, size_t *count)
{
    uint8_t size[LINE_DECIMAL_CHARS_MAX];
    size_t size_chars = line_put_decimal(c->size, size);
    size_t total, used = 0;

    if (c->origin.count > ORIGIN_CHARS_MAX || c->extensions.count > CHECKPOINT_TEXT_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (c->origin.count == 0 || !line_is_clean(c->origin, false) ||
        !line_is_clean(c->extensions, true) || !are_extensions(c->extensions) ||
        c->size > TREE_SIZE_MAX || !is_root_possible(c->size, &c->root)) {
        return STATUS_MALFORMED;
    }
    total = c->origin.count + 1 + size_chars + 1 + ROOT_CHARS + 1 + c->extensions.count;
    if (total > CHECKPOINT_TEXT_BYTES_MAX || total > max) {
        return STATUS_TOO_BIG;
    }
    memcpy(out, c->origin.bytes, c->origin.count);
    used = c->origin.count;
    out[used++] = '\n';
    memcpy(out + used, size, size_chars);
    used += size_chars;
    out[used++] = '\n';
    used += base64_encode((struct view){c->root.bytes, HASH_BYTES}, out + used);
    out[used++] = '\n';
    if (c->extensions.count > 0) {
        memcpy(out + used, c->extensions.bytes, c->extensions.count);
    }
    *count = total;
    return STATUS_OK;
}

enum status
checkpoint_sign(const struct note_signer *signer, const struct checkpoint *c, uint8_t *out,
                size_t max, size_t *count)
{
    uint8_t text[CHECKPOINT_TEXT_BYTES_MAX];
    size_t text_count;
    enum status st = checkpoint_encode(c, text, sizeof text, &text_count);

    if (st != STATUS_OK) {
        return st;
    }
    return note_sign(signer, (struct view){text, text_count}, out, max, count);
}

/* One log key and any number of witnesses, none of whom is the log itself. */
static bool
are_checkpoint_keys(const struct note_key *keys, size_t key_count)
{
    for (size_t i = 0; i < key_count; i++) {
        if (keys[i].type != (i == 0 ? NOTE_KEY_ED25519 : NOTE_KEY_COSIGNATURE) ||
            (i > 0 && memcmp(keys[i].public_key, keys[0].public_key, KEY_BYTES) == 0)) {
            return false;
        }
    }
    return key_count > 0;
}

enum status
checkpoint_open(struct view bytes, struct view origin, const struct note_key *keys,
                size_t key_count, int64_t now_s, struct checkpoint_opened *out)
{
    bool signed_by_log = false;
    size_t cosigned = 0;
    enum status st;

    if (!are_checkpoint_keys(keys, key_count)) {
        return STATUS_BAD_KEY;
    }
    if ((st = note_parse(bytes, &out->note)) != STATUS_OK ||
        (st = checkpoint_parse(out->note.text, &out->checkpoint)) != STATUS_OK) {
        return st;
    }
    if (!line_equal(out->checkpoint.origin, origin)) {
        return STATUS_REFUSED;
    }
    st = note_verify(&out->note, keys, key_count, now_s, &out->verified);
    if (st != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; i < out->verified.count; i++) {
        if (out->verified.signers[i].key == 0) {
            signed_by_log = true;
        } else if (out->verified.signers[i].time_s <= now_s) {
            cosigned++;
        }
    }
    if (!signed_by_log) {
        return STATUS_UNKNOWN_KEY;
    }
    out->cosigned = cosigned;
    return STATUS_OK;
}
