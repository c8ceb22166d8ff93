/* joinfile.h: what a node hands to the authority to become a member.
 *
 * Source: DESIGN section 5, Keys.  A signed note (crypto/note.h), its text:
 *   huren join v1
 *   institution <code, lower case>
 *   network <name>
 *   log <base64 of the public key>
 *   witness <base64>
 *   statement <base64>
 *   session <base64>
 *   box <base64>
 *   name <name of the institution, UTF-8>        at most once
 *   address <tcp://host:port>                    0 to JOINFILE_ADDRESSES_MAX times
 * in this order, signed by the three Ed25519 keys (note signature type 0x01)
 * under the names <network>/<institution>/log, .../witness and .../statement.
 * The signatures prove possession; the X25519 keys prove themselves in use.
 * Pure. */
#ifndef CRYPTO_JOINFILE_H
#define CRYPTO_JOINFILE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/keys.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum { JOINFILE_ADDRESSES_MAX = 4, JOINFILE_NAME_BYTES_MAX = 256, JOINFILE_BYTES_MAX = 4096 };

struct joinfile {
    char institution[INSTITUTION_CHARS_MAX + 1]; /* keys_vet_name */
    char network[NETWORK_CHARS_MAX + 1];         /* keys_vet_name */
    struct network_public keys;
    char name[JOINFILE_NAME_BYTES_MAX + 1]; /* empty: not given */
    size_t address_count;
    char addresses[JOINFILE_ADDRESSES_MAX][ADDRESS_CHARS_MAX + 1];
};

/* Write and sign.  `join->keys` is taken from `keys`, not from `join`.
 *
 * STATUS_OK
 * STATUS_MALFORMED  a name, the institution's name or an address is not allowed.
 * STATUS_TOO_BIG    one of them is too long, or `out` too small. */
MUST_USE enum status joinfile_encode(const struct joinfile *join,
                                     const struct network_keys *keys, uint8_t *out,
                                     size_t out_max, size_t *out_count);

/* Sign a file that joinfile_encode made also with the statement key that the
 * node had before: so the authority knows that new keys come from who had the old
 * ones.  *count grows.
 *
 * STATUS_OK, STATUS_MALFORMED (no join file), STATUS_TOO_BIG. */
MUST_USE enum status joinfile_countersign(uint8_t *file, size_t file_max, size_t *count,
                                          const struct network_keys *before);

/* Whether a file that joinfile_decode read as `join` is signed with this
 * statement key, too.
 *
 * STATUS_OK
 * STATUS_UNKNOWN_KEY    it is not.
 * STATUS_BAD_SIGNATURE  there is such a line, and it does not hold. */
MUST_USE enum status joinfile_signed_by(struct view file, const struct joinfile *join,
                                        const uint8_t statement_public[KEY_BYTES]);

/* Read and check: form, the five keys (keys_vet_public), and all three
 * signatures.  `out` is written on success only, else all zero.
 *
 * STATUS_OK
 * STATUS_UNSUPPORTED    the first line is another.
 * STATUS_TOO_BIG        over JOINFILE_BYTES_MAX, or a name over its limit.
 * STATUS_MALFORMED      not a join file.
 * STATUS_BAD_KEY        a key is not usable, or two are the same.
 * STATUS_BAD_SIGNATURE  a signature is not valid for its key.
 * STATUS_THRESHOLD      one of the three signatures is missing. */
MUST_USE enum status joinfile_decode(struct view file, struct joinfile *out);

#endif
