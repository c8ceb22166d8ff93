/* charter_key.h: two small texts of those who write charters.
 *
 * Public key of a charter signer, as `huren charter keygen` leaves it beside the
 * secret key file:
 *     huren signing public key v1
 *     name <key name>
 *     key <base64 of 32 bytes>
 * Network keys, which the authority keeps (0600) and seals to each member:
 *     huren network keys v1
 *     network <name>
 *     epoch <number> <base64 of 32 bytes> <from> <ended, 0 = current>    rising
 * Times are decimal Unix seconds.  Every line ends in LF; decoding accepts what
 * encoding writes, no more.  Pure. */
#ifndef NODE_CHARTER_KEY_H
#define NODE_CHARTER_KEY_H

#include "crypto/networkkey.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    CHARTER_PUBLIC_KEY_BYTES_MAX = 512,
    CHARTER_NETWORK_KEYS_BYTES_MAX = 256 + NETWORK_KEY_EPOCHS_MAX * 128
};

struct charter_public_key {
    char name[INSTITUTION_CHARS_MAX + 1];
    uint8_t public_key[KEY_BYTES];
};

/* Returns the number of bytes written. */
size_t charter_public_key_encode(const struct charter_public_key *key,
                                 char out[CHARTER_PUBLIC_KEY_BYTES_MAX]);
/* STATUS_OK, STATUS_UNSUPPORTED, STATUS_MALFORMED, STATUS_BAD_KEY. */
MUST_USE enum status charter_public_key_decode(struct view text,
                                               struct charter_public_key *out);

struct charter_epoch_key {
    struct network_key key;
    int64_t from_s;
    int64_t ended_s; /* 0: current */
};

/* Wipe after use (sodium_memzero). */
struct charter_epoch_keys {
    char network[NETWORK_CHARS_MAX + 1];
    size_t count;
    struct charter_epoch_key epochs[NETWORK_KEY_EPOCHS_MAX];
};

size_t charter_epoch_keys_encode(const struct charter_epoch_keys *keys,
                                 char out[CHARTER_NETWORK_KEYS_BYTES_MAX]);
/* STATUS_OK, STATUS_UNSUPPORTED, STATUS_MALFORMED; *out is all zero then. */
MUST_USE enum status charter_epoch_keys_decode(struct view text,
                                               struct charter_epoch_keys *out);

#endif
