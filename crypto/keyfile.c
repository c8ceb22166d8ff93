#include "crypto/keyfile.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/blake2b.h"
#include "crypto/line.h"
#include "proto/text.h"

enum {
    KEYFILE_CHECK_BYTES = 16,
    KEYFILE_CHECK_LINE = 6 + 24 + 1, /* "check ", base64 of 16 bytes, LF */
    KEYFILE_BOX_BYTES = KEY_BYTES + 16,
    KEYFILE_SEALED_BYTES = KEYFILE_NONCE_BYTES + KEYFILE_BOX_BYTES
};

_Static_assert((size_t)KEYFILE_SALT_BYTES == crypto_pwhash_argon2id_SALTBYTES, "Argon2id salt");
_Static_assert((size_t)KEYFILE_NONCE_BYTES == crypto_secretbox_NONCEBYTES, "secretbox nonce");
_Static_assert((size_t)KEYFILE_BOX_BYTES == crypto_secretbox_MACBYTES + KEY_BYTES,
               "secretbox of a key");

static const char *const FIRST_LINES[] = {
    [KEYFILE_SEED] = "huren seed v1", [KEYFILE_SIGNING] = "huren signing key v1"};

/* The text while it is written. */
struct writer {
    uint8_t bytes[KEYFILE_BYTES_MAX]; /* the longest file takes 401 */
    size_t count;
};

static void
put(struct writer *w, const char *text)
{
    const struct view v = text_view(text);
    assert(v.count <= sizeof w->bytes - w->count);
    memcpy(w->bytes + w->count, v.bytes, v.count);
    w->count += v.count;
}

/* Base64 as in base64.h, but straight to its place: no copy of a secret is
 * left on the stack. */
static void
put_base64(struct writer *w, const uint8_t *bytes, size_t count)
{
    const size_t chars = sodium_base64_ENCODED_LEN(count, sodium_base64_VARIANT_ORIGINAL) - 1;

    assert(chars < sizeof w->bytes - w->count); /* libsodium adds a NUL */
    (void)sodium_bin2base64((char *)w->bytes + w->count, sizeof w->bytes - w->count, bytes,
                            count, sodium_base64_VARIANT_ORIGINAL);
    w->count += chars;
}

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '/' ||
           c == '_' || c == '-';
}

static enum status
vet_name(struct view name)
{
    if (name.count > KEY_NAME_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    for (size_t i = 0; i < name.count; i++) {
        if (!is_name_char((char)name.bytes[i])) {
            return STATUS_MALFORMED;
        }
    }
    return name.count == 0 ? STATUS_MALFORMED : STATUS_OK;
}

static enum status
vet_cost(uint64_t passes, uint64_t memory_kib)
{
    if (passes == 0 || memory_kib < KEYFILE_MEMORY_KIB_MIN) {
        return STATUS_MALFORMED;
    }
    return passes > KEYFILE_PASSES_MAX || memory_kib > KEYFILE_MEMORY_KIB_MAX ? STATUS_TOO_BIG
                                                                              : STATUS_OK;
}

/* The key of the box: of the passphrase, and of the lines before it. */
static enum status
derive_box_key(struct view passphrase, const uint8_t salt[KEYFILE_SALT_BYTES], uint64_t passes,
               uint64_t memory_kib, struct view lines, uint8_t key[KEY_BYTES])
{
    uint8_t stretched[KEY_BYTES];
    enum status st = STATUS_NO_MEMORY;

    /* Lengths and cost are checked, so memory is all it can fail for. */
    if (crypto_pwhash(stretched, sizeof stretched, (const char *)passphrase.bytes,
                      passphrase.count, salt, passes, (size_t)memory_kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13) == 0) {
        blake2b_parts(stretched, &lines, 1, key, KEY_BYTES);
        st = STATUS_OK;
    }
    sodium_memzero(stretched, sizeof stretched);
    return st;
}

static enum status
put_sealed(struct writer *w, const uint8_t secret[KEY_BYTES], const struct keyfile_lock *lock)
{
    uint8_t key[KEY_BYTES] = {0}, sealed[KEYFILE_SEALED_BYTES];
    char cost[32];
    enum status st;
    int failed;

    (void)snprintf(cost, sizeof cost, "argon2id %u %u ", lock->passes, lock->memory_kib);
    put(w, cost);
    put_base64(w, lock->salt, sizeof lock->salt);
    put(w, "\n");
    st = derive_box_key(lock->passphrase, lock->salt, lock->passes, lock->memory_kib,
                        (struct view){w->bytes, w->count}, key);
    if (st == STATUS_OK) {
        memcpy(sealed, lock->nonce, KEYFILE_NONCE_BYTES);
        failed = crypto_secretbox_easy(sealed + KEYFILE_NONCE_BYTES, secret, KEY_BYTES,
                                       lock->nonce, key);
        assert(failed == 0);
        put(w, "sealed ");
        put_base64(w, sealed, sizeof sealed);
        put(w, "\n");
    }
    sodium_memzero(key, sizeof key);
    return st;
}

enum status
keyfile_encode(const struct keyfile *key, const struct keyfile_lock *lock, char *out,
               size_t out_max, size_t *out_count)
{
    struct writer w = {.count = 0};
    uint8_t check[KEYFILE_CHECK_BYTES];
    enum status st;

    *out_count = 0;
    if ((st = vet_name(text_view(key->name))) != STATUS_OK) {
        return st;
    }
    if (lock != NULL) {
        if (lock->passphrase.count > KEYFILE_PASSPHRASE_BYTES_MAX) {
            return STATUS_TOO_BIG;
        }
        if (lock->passphrase.count == 0 ||
            vet_cost(lock->passes, lock->memory_kib) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    put(&w, FIRST_LINES[key->kind]);
    put(&w, "\nname ");
    put(&w, key->name);
    put(&w, "\n");
    if (lock != NULL) {
        if ((st = put_sealed(&w, key->secret, lock)) != STATUS_OK) {
            goto cleanup;
        }
    } else {
        put(&w, "secret ");
        put_base64(&w, key->secret, KEY_BYTES);
        put(&w, "\n");
    }
    blake2b_parts(NULL, &(struct view){w.bytes, w.count}, 1, check, sizeof check);
    put(&w, "check ");
    put_base64(&w, check, sizeof check);
    put(&w, "\n");
    if (w.count > out_max) {
        st = STATUS_TOO_BIG;
        goto cleanup;
    }
    memcpy(out, w.bytes, w.count);
    *out_count = w.count;
cleanup:
    sodium_memzero(&w, sizeof w);
    return st;
}

/* Take the next line if it is `key`, a blank, and a value; else leave it. */
static bool
take(struct view *rest, const char *key, struct view *value)
{
    const size_t chars = strlen(key);
    struct view after = *rest, line;

    if (line_take(&after, &line) != STATUS_OK || !text_begins(line, key) ||
        line.count <= chars || line.bytes[chars] != ' ') {
        return false;
    }
    *rest = after;
    *value = (struct view){line.bytes + chars + 1, line.count - chars - 1};
    return true;
}

/* Strict because the end pointer is NULL (RELIABILITY S2), and because bytes
 * from 0x80 up, which libsodium 1.0.18 takes for letters, are refused first. */
static bool
decode_exactly(struct view text, uint8_t *out, size_t count)
{
    size_t got;

    for (size_t i = 0; i < text.count; i++) {
        if (text.bytes[i] >= 0x80) {
            return false;
        }
    }
    return sodium_base642bin(out, count, (const char *)text.bytes, text.count, NULL, &got, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           got == count;
}

/* Take the part of `v` before its first blank. */
static struct view
take_word(struct view *v)
{
    struct view word = {v->bytes, 0};

    while (word.count < v->count && v->bytes[word.count] != ' ') {
        word.count++;
    }
    const size_t taken = word.count + (word.count < v->count);
    *v = (struct view){v->bytes + taken, v->count - taken};
    return word;
}

static enum status
open_sealed(struct view text, struct view cost, struct view *rest, struct view passphrase,
            uint8_t secret[KEY_BYTES])
{
    uint8_t salt[KEYFILE_SALT_BYTES], sealed[KEYFILE_SEALED_BYTES], key[KEY_BYTES] = {0};
    uint64_t passes, memory_kib;
    struct view value;
    const struct view lines = {text.bytes, (size_t)(rest->bytes - text.bytes)};
    enum status st;

    if (line_decimal(take_word(&cost), UINT32_MAX, &passes) != STATUS_OK ||
        line_decimal(take_word(&cost), UINT32_MAX, &memory_kib) != STATUS_OK ||
        !decode_exactly(cost, salt, sizeof salt) || !take(rest, "sealed", &value) ||
        !decode_exactly(value, sealed, sizeof sealed) || rest->count != 0) {
        return STATUS_MALFORMED;
    }
    if ((st = vet_cost(passes, memory_kib)) != STATUS_OK) {
        return st;
    }
    if (passphrase.count == 0 || passphrase.count > KEYFILE_PASSPHRASE_BYTES_MAX) {
        return STATUS_BAD_KEY;
    }
    st = derive_box_key(passphrase, salt, passes, memory_kib, lines, key);
    if (st == STATUS_OK && crypto_secretbox_open_easy(secret, sealed + KEYFILE_NONCE_BYTES,
                                                      KEYFILE_BOX_BYTES, sealed, key) != 0) {
        st = STATUS_BAD_KEY;
    }
    sodium_memzero(key, sizeof key);
    return st;
}

/* Check and take off the last line. */
static enum status
take_check(struct view *text)
{
    uint8_t given[KEYFILE_CHECK_BYTES], computed[KEYFILE_CHECK_BYTES];
    struct view rest, value, body;

    if (text->count < KEYFILE_CHECK_LINE) {
        return STATUS_MALFORMED;
    }
    body = (struct view){text->bytes, text->count - KEYFILE_CHECK_LINE};
    rest = (struct view){text->bytes + body.count, KEYFILE_CHECK_LINE};
    if (!take(&rest, "check", &value) || rest.count != 0 ||
        !decode_exactly(value, given, sizeof given)) {
        return STATUS_MALFORMED;
    }
    blake2b_parts(NULL, &body, 1, computed, sizeof computed);
    if (memcmp(given, computed, sizeof given) != 0) { /* not a secret */
        return STATUS_CORRUPT;
    }
    *text = body;
    return STATUS_OK;
}

static bool
take_kind(struct view *rest, enum keyfile_kind *kind)
{
    struct view line;

    if (line_take(rest, &line) != STATUS_OK) {
        return false;
    }
    *kind = text_is(line, FIRST_LINES[KEYFILE_SEED]) ? KEYFILE_SEED : KEYFILE_SIGNING;
    return text_is(line, FIRST_LINES[*kind]);
}

bool
keyfile_is_locked(struct view text)
{
    enum keyfile_kind kind;
    struct view line;

    return take_kind(&text, &kind) && line_take(&text, &line) == STATUS_OK &&
           text_begins(text, "argon2id ");
}

enum status
keyfile_decode(struct view text, struct view passphrase, struct keyfile *out)
{
    struct keyfile read = {.kind = KEYFILE_SEED};
    struct view rest = text, value;
    enum status st;

    memset(out, 0, sizeof *out);
    if (text.count > KEYFILE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (!take_kind(&rest, &read.kind)) {
        return STATUS_UNSUPPORTED;
    }
    if ((st = take_check(&text)) != STATUS_OK) {
        return st;
    }
    rest = text;
    if (!take_kind(&rest, &read.kind) || !take(&rest, "name", &value)) {
        return STATUS_MALFORMED;
    }
    if ((st = vet_name(value)) != STATUS_OK) {
        return st;
    }
    memcpy(read.name, value.bytes, value.count);
    if (take(&rest, "argon2id", &value)) {
        st = open_sealed(text, value, &rest, passphrase, read.secret);
    } else if (!take(&rest, "secret", &value) || rest.count != 0 ||
               !decode_exactly(value, read.secret, KEY_BYTES)) {
        st = STATUS_MALFORMED;
    }
    if (st == STATUS_OK) {
        *out = read;
    }
    keyfile_wipe(&read);
    return st;
}

void
keyfile_wipe(struct keyfile *key)
{
    if (key != NULL) {
        sodium_memzero(key, sizeof *key);
    }
}
