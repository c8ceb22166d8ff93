#include "crypto/notekey.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include <sodium.h>

#include "crypto/base64.h"
#include "crypto/line.h"
#include "crypto/sha256.h"

_Static_assert(KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519 public key");
_Static_assert(SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519 signature");
_Static_assert(NOTE_SEED_BYTES == crypto_sign_SEEDBYTES, "Ed25519 seed");
_Static_assert(NOTE_SECRET_BYTES == crypto_sign_SECRETKEYBYTES, "Ed25519 secret key");

enum { ID_CHARS = 2 * NOTE_KEY_ID_BYTES };

static bool
is_signing_type(uint8_t type)
{
    return type == NOTE_KEY_ED25519 || type == NOTE_KEY_COSIGNATURE;
}

/* Names that we give: a subset of what a key name may be. */
static bool
is_our_name(struct view name)
{
    for (size_t i = 0; i < name.count; i++) {
        uint8_t c = name.bytes[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '/' ||
              c == '_' || c == '-')) {
            return false;
        }
    }
    return name.count > 0 && name.count <= KEY_NAME_CHARS_MAX;
}

uint32_t
note_key_id(struct view name, uint8_t type, struct view public_key)
{
    const uint8_t middle[2] = {'\n', type};
    struct hash hash;

    sha256_3(name, (struct view){middle, sizeof middle}, public_key, &hash);
    return (uint32_t)hash.bytes[0] << 24 | (uint32_t)hash.bytes[1] << 16 |
           (uint32_t)hash.bytes[2] << 8 | (uint32_t)hash.bytes[3];
}

enum status
note_key_make(struct view name, uint8_t type, const uint8_t public_key[KEY_BYTES],
              struct note_key *out)
{
    struct note_key key = {.type = type};

    if (name.count > KEY_NAME_CHARS_MAX || !line_is_key_name(name)) {
        return STATUS_MALFORMED;
    }
    if (!is_signing_type(type)) {
        return STATUS_UNSUPPORTED;
    }
    if (crypto_core_ed25519_is_valid_point(public_key) != 1) {
        return STATUS_BAD_KEY;
    }
    memcpy(key.name, name.bytes, name.count);
    memcpy(key.public_key, public_key, KEY_BYTES);
    key.id = note_key_id(name, type, (struct view){public_key, KEY_BYTES});
    *out = key;
    return STATUS_OK;
}

/* Eight lower-case hex digits. */
static bool
parse_id(struct view hex, uint32_t *id)
{
    uint32_t value = 0;

    if (hex.count != ID_CHARS) {
        return false;
    }
    for (size_t i = 0; i < hex.count; i++) {
        uint8_t c = hex.bytes[i];
        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint32_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *id = value;
    return true;
}

/* Take the part before the next '+' off *rest. */
static bool
take_part(struct view *rest, struct view *part)
{
    const uint8_t *plus = rest->count == 0 ? NULL : memchr(rest->bytes, '+', rest->count);

    if (plus == NULL) {
        return false;
    }
    *part = (struct view){rest->bytes, (size_t)(plus - rest->bytes)};
    *rest = (struct view){plus + 1, rest->count - part->count - 1};
    return true;
}

enum status
note_key_parse(struct view vkey, struct note_key *out)
{
    struct view rest = vkey, name, hex;
    uint8_t raw[1 + KEY_BYTES];
    struct note_key key;
    size_t count;
    uint32_t id;
    enum status st;

    /* The base64 part may hold a '+': only the first two separate. */
    if (!take_part(&rest, &name) || !take_part(&rest, &hex) || !parse_id(hex, &id) ||
        !line_is_key_name(name) ||
        base64_decode_prefix(rest, raw, sizeof raw, &count) != STATUS_OK || count == 0) {
        return STATUS_MALFORMED;
    }
    if (!is_signing_type(raw[0])) {
        return STATUS_UNSUPPORTED;
    }
    if (count != sizeof raw) {
        return STATUS_MALFORMED;
    }
    st = note_key_make(name, raw[0], raw + 1, &key);
    if (st != STATUS_OK) {
        return st;
    }
    if (key.id != id) {
        return STATUS_BAD_KEY;
    }
    *out = key;
    return STATUS_OK;
}

void
note_key_encode(const struct note_key *key, char out[NOTE_VKEY_BYTES_MAX])
{
    static const char digits[] = "0123456789abcdef";
    size_t used = strlen(key->name), chars;
    uint8_t raw[1 + KEY_BYTES];
    uint8_t base64[BASE64_CHARS(sizeof raw)];

    assert(used <= KEY_NAME_CHARS_MAX);
    memcpy(out, key->name, used);
    out[used++] = '+';
    for (unsigned i = 0; i < ID_CHARS; i++) {
        out[used++] = digits[key->id >> (28 - 4 * i) & 0xf];
    }
    out[used++] = '+';
    raw[0] = key->type;
    memcpy(raw + 1, key->public_key, KEY_BYTES);
    chars = base64_encode((struct view){raw, sizeof raw}, base64);
    memcpy(out + used, base64, chars);
    out[used + chars] = '\0';
}

enum status
note_signer_make(struct view name, uint8_t type, const uint8_t seed[NOTE_SEED_BYTES],
                 struct note_signer *out)
{
    uint8_t public_key[KEY_BYTES];
    struct note_signer signer = {.key = {.type = type}};
    enum status st;

    sodium_memzero(out, sizeof *out);
    if (!is_our_name(name)) {
        return STATUS_MALFORMED;
    }
    crypto_sign_seed_keypair(public_key, signer.secret, seed);
    st = note_key_make(name, type, public_key, &signer.key);
    if (st == STATUS_OK) {
        *out = signer;
    }
    note_signer_wipe(&signer);
    return st;
}

void
note_signer_wipe(struct note_signer *signer)
{
    sodium_memzero(signer, sizeof *signer);
}

enum status
note_ed25519_check(const uint8_t public_key[KEY_BYTES], struct view message,
                   const uint8_t signature[SIGNATURE_BYTES])
{
    return crypto_sign_verify_detached(signature, message.bytes, message.count, public_key) == 0
               ? STATUS_OK
               : STATUS_BAD_SIGNATURE;
}

enum status
note_ed25519_sign(const struct note_signer *signer, struct view message,
                  uint8_t signature[SIGNATURE_BYTES])
{
    uint8_t made[SIGNATURE_BYTES];

    if (crypto_sign_detached(made, NULL, message.bytes, message.count, signer->secret) != 0 ||
        note_ed25519_check(signer->key.public_key, message, made) != STATUS_OK) {
        return STATUS_BAD_SIGNATURE; /* a flipped bit somewhere: never publish it */
    }
    memcpy(signature, made, sizeof made);
    return STATUS_OK;
}
