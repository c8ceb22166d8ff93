/* notekey.h: the keys of signed notes, and the one Ed25519 that notes use.
 *
 * Source: c2sp.org/signed-note; RFC 8032; FORMATS 2 and 8.  Pure: secrets come
 * in as arguments.  The caller has called sodium_init(). */
#ifndef CRYPTO_NOTEKEY_H
#define CRYPTO_NOTEKEY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum note_key_type {
    NOTE_KEY_ED25519 = 0x01,
    NOTE_KEY_COSIGNATURE = 0x04,
    NOTE_KEY_ML_DSA = 0x06 /* known by name only */
};

enum {
    NOTE_KEY_ID_BYTES = 4,
    NOTE_SEED_BYTES = 32,
    NOTE_SECRET_BYTES = 64, /* libsodium: seed || public key */
    /* name + 8 hex + base64(1 + 32), two '+', NUL */
    NOTE_VKEY_BYTES_MAX = KEY_NAME_CHARS_MAX + 1 + 8 + 1 + 44 + 1
};

/* A public key that signs notes. */
struct note_key {
    char name[KEY_NAME_CHARS_MAX + 1];
    uint8_t type; /* enum note_key_type: 1 or 4 */
    uint32_t id;  /* first 4 bytes of SHA-256(name || LF || type || key) */
    uint8_t public_key[KEY_BYTES];
};

/* A key that can sign.  Wipe it with note_signer_wipe. */
struct note_signer {
    struct note_key key;
    uint8_t secret[NOTE_SECRET_BYTES];
};

/* Make a key of a name, a type (1 or 4) and 32 public bytes, with its id.
 * STATUS_MALFORMED    not a key name, or longer than KEY_NAME_CHARS_MAX.
 * STATUS_UNSUPPORTED  another type.
 * STATUS_BAD_KEY      not a point of the prime-order group (FORMATS 8). */
MUST_USE enum status note_key_make(struct view name, uint8_t type,
                                   const uint8_t public_key[KEY_BYTES], struct note_key *out);

/* Read a verifier key, `<name>+<8 hex>+<base64(type || key)>`.  Statuses as
 * above, and STATUS_BAD_KEY when the id does not belong to the rest. */
MUST_USE enum status note_key_parse(struct view vkey, struct note_key *out);

/* Write the verifier key, with a NUL. */
void note_key_encode(const struct note_key *key, char out[NOTE_VKEY_BYTES_MAX]);

/* The key id of any name, type and public key, of known type or not. */
uint32_t note_key_id(struct view name, uint8_t type, struct view public_key);

/* Make a signer of a 32-byte secret seed.  Its name must be one of ours:
 * [a-z0-9./_-], 1 to KEY_NAME_CHARS_MAX characters.
 * STATUS_MALFORMED the name, STATUS_UNSUPPORTED the type; *out is wiped. */
MUST_USE enum status note_signer_make(struct view name, uint8_t type,
                                      const uint8_t seed[NOTE_SEED_BYTES],
                                      struct note_signer *out);
void note_signer_wipe(struct note_signer *signer);

/* ---- the one Ed25519 of notes (RFC 8032, FORMATS 8) ---- */

/* STATUS_OK or STATUS_BAD_SIGNATURE. */
MUST_USE enum status note_ed25519_check(const uint8_t public_key[KEY_BYTES],
                                        struct view message,
                                        const uint8_t signature[SIGNATURE_BYTES]);

/* Sign, verify, hand out.  STATUS_BAD_SIGNATURE: the machine computed a wrong
 * signature, or the secret does not belong to the public key. */
MUST_USE enum status note_ed25519_sign(const struct note_signer *signer, struct view message,
                                       uint8_t signature[SIGNATURE_BYTES]);

#endif
