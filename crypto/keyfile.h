/* keyfile.h: the text of a key file <-> a 32-byte secret.
 *
 * One format for the seed of a node and for the keys of charter signers:
 *   huren seed v1                    or: huren signing key v1
 *   name <name>                      institution, or the signer's name
 *   secret <base64 of 32 bytes>
 *   check <base64 of BLAKE2b-128 of all lines before this one>
 * Under a passphrase the line `secret` is replaced by two:
 *   argon2id <passes> <memory, KiB> <base64 of the 16-byte salt>
 *   sealed <base64 of 24-byte nonce || crypto_secretbox_easy(secret)>
 * with key = BLAKE2b-256(key = Argon2id(passphrase, salt), the lines before
 * `sealed`), so that name, kind and cost cannot be changed either.  The line
 * `check` finds damage only; it is not a secret and protects nothing.
 * Every line ends in LF.  Decoding accepts what encoding writes, no more.
 * Pure but for libsodium's own memory (Argon2id); files: node/keyfile_io.h. */
#ifndef CRYPTO_KEYFILE_H
#define CRYPTO_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    KEYFILE_BYTES_MAX = 1024,
    KEYFILE_SALT_BYTES = 16,
    KEYFILE_NONCE_BYTES = 24,
    KEYFILE_PASSPHRASE_BYTES_MAX = 1024,
    /* what we write, and what a file may ask of us */
    KEYFILE_PASSES = 3,
    KEYFILE_MEMORY_KIB = 256 * 1024,
    KEYFILE_PASSES_MAX = 32,
    KEYFILE_MEMORY_KIB_MIN = 8,
    KEYFILE_MEMORY_KIB_MAX = 1024 * 1024
};

enum keyfile_kind { KEYFILE_SEED, KEYFILE_SIGNING };

/* Wipe with keyfile_wipe after use. */
struct keyfile {
    enum keyfile_kind kind;
    char name[KEY_NAME_CHARS_MAX + 1]; /* of a-z 0-9 . / _ - */
    uint8_t secret[KEY_BYTES];         /* the seed; for signing, the Ed25519 seed */
};

/* How to lock a file.  Salt and nonce are random and new for each call. */
struct keyfile_lock {
    struct view passphrase; /* 1 to KEYFILE_PASSPHRASE_BYTES_MAX bytes */
    uint8_t salt[KEYFILE_SALT_BYTES];
    uint8_t nonce[KEYFILE_NONCE_BYTES];
    uint32_t passes;     /* KEYFILE_PASSES */
    uint32_t memory_kib; /* KEYFILE_MEMORY_KIB */
};

/* Write the text; `lock` NULL: without a passphrase.  The caller wipes `out`.
 *
 * STATUS_OK
 * STATUS_MALFORMED  the name is empty or has other characters; no passphrase in
 *                   `lock`, or its cost is out of bounds.
 * STATUS_TOO_BIG    name or passphrase too long, or `out` too small.
 * STATUS_NO_MEMORY  for Argon2id. */
MUST_USE enum status keyfile_encode(const struct keyfile *key, const struct keyfile_lock *lock,
                                    char *out, size_t out_max, size_t *out_count);

/* Say whether the text, which may be damaged, asks for a passphrase. */
bool keyfile_is_locked(struct view text);

/* Read the text; `passphrase` is used only if the file is locked.  `out` is
 * written on success only, else all zero.
 *
 * STATUS_OK
 * STATUS_UNSUPPORTED  the first line names no kind and version known here.
 * STATUS_TOO_BIG      over KEYFILE_BYTES_MAX, or asks for too much memory or time.
 * STATUS_MALFORMED    not a key file.
 * STATUS_CORRUPT      the line `check` does not fit: damaged.
 * STATUS_BAD_KEY      locked, and this is not its passphrase.
 * STATUS_NO_MEMORY    for Argon2id. */
MUST_USE enum status keyfile_decode(struct view text, struct view passphrase,
                                    struct keyfile *out);

/* Overwrite.  NULL does nothing. */
void keyfile_wipe(struct keyfile *key);

#endif
