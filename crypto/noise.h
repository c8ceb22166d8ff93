/* noise.h: sessions between nodes: Noise_IK_25519_ChaChaPoly_BLAKE2b.
 *
 * Source: The Noise Protocol Framework, revision 34; FORMATS 7; DESIGN 11.
 * Pure: ephemeral keys come in as arguments; no pointers, no allocation.
 *
 *   initiator                                 responder
 *   noise_init_initiator                      noise_init_responder
 *   noise_write_1   -- e, es, s, ss -->       noise_read_1: who is it? a member?
 *   noise_read_2    <-- e, ee, se ---         noise_write_2
 *   noise_split                               noise_split
 *
 * A message that is refused changes nothing.  Calls in another order are our
 * own mistake (asserted).  noise_wipe ends an unfinished handshake. */
#ifndef CRYPTO_NOISE_H
#define CRYPTO_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keys.h"
#include "crypto/noise_state.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    NOISE_MESSAGE_1_BYTES = KEY_BYTES + KEY_BYTES + 16 + 16, /* with no payload */
    NOISE_MESSAGE_2_BYTES = KEY_BYTES + 16,
    NOISE_PLAIN_BYTES_MAX = NOISE_MESSAGE_BYTES_MAX - NOISE_TAG_BYTES
};

enum noise_step { NOISE_NONE, NOISE_MESSAGE_1, NOISE_MESSAGE_2, NOISE_DONE };

struct noise {
    struct noise_state state;
    struct dh_key s;       /* our static key */
    struct dh_key e;       /* our ephemeral key */
    uint8_t rs[KEY_BYTES]; /* the peer's static public key */
    uint8_t re[KEY_BYTES]; /* the peer's ephemeral public key */
    enum noise_step step;  /* what comes next */
    bool initiator;
};

/* An open session.  Counters are implicit: messages arrive in order. */
struct noise_session {
    uint8_t send_key[KEY_BYTES];
    uint8_t receive_key[KEY_BYTES];
    uint64_t send_count;
    uint64_t receive_count;
    uint8_t handshake_hash[NOISE_HASH_BYTES]; /* the same on both sides, unique */
};

/* Begin.  The prologue is the first line of the stream, its LF included
 * (DESIGN 11).  `peer_static` comes from members; `ephemeral_secret` is 32 random
 * bytes, used for this handshake alone; the caller wipes its copy. */
void noise_init_initiator(struct noise *n, struct view prologue,
                          const struct dh_key *our_static, const uint8_t peer_static[KEY_BYTES],
                          const uint8_t ephemeral_secret[KEY_BYTES]);
void noise_init_responder(struct noise *n, struct view prologue,
                          const struct dh_key *our_static,
                          const uint8_t ephemeral_secret[KEY_BYTES]);

/* Initiator: write message 1.
 * STATUS_OK, or STATUS_BAD_KEY: the peer's static key is of low order. */
MUST_USE enum status noise_write_1(struct noise *n, uint8_t message[NOISE_MESSAGE_1_BYTES]);

/* Responder: read message 1, and learn who claims to speak: `peer_static` is to be
 * looked up in members before anything is answered.  Message 1 may be a replay:
 * the session counts as open once a transport message has been opened.
 *
 * STATUS_OK
 * STATUS_MALFORMED  wrong length: handshake payloads are empty.
 * STATUS_BAD_KEY    not meant for our static key, another prologue, changed, or
 *                   a key of low order. */
MUST_USE enum status noise_read_1(struct noise *n, struct view message,
                                  uint8_t peer_static[KEY_BYTES]);

/* Responder: write message 2.
 * STATUS_OK, or STATUS_BAD_KEY: a key of the peer is of low order. */
MUST_USE enum status noise_write_2(struct noise *n, uint8_t message[NOISE_MESSAGE_2_BYTES]);

/* Initiator: read message 2.  Statuses as noise_read_1. */
MUST_USE enum status noise_read_2(struct noise *n, struct view message);

/* Both, after message 2: take the session, and wipe the handshake. */
void noise_split(struct noise *n, struct noise_session *out);

/* Overwrite everything.  NULL does nothing. */
void noise_wipe(struct noise *n);
void noise_session_wipe(struct noise_session *s);

/* Encrypt a transport message of at most NOISE_PLAIN_BYTES_MAX bytes; `out`
 * takes plain.count + NOISE_TAG_BYTES, and may be where `plain` is.
 *
 * STATUS_OK
 * STATUS_TOO_BIG  plain too long, `out` too small, or the counter is used up;
 *                 the session is unchanged. */
MUST_USE enum status noise_seal(struct noise_session *s, struct view plain, uint8_t *out,
                                size_t out_max, size_t *out_count);

/* Decrypt the next transport message, any bytes from outside.  `out` takes
 * message.count - NOISE_TAG_BYTES, and may be where `message` is.
 *
 * STATUS_OK
 * STATUS_MALFORMED  shorter than a tag.
 * STATUS_TOO_BIG    over NOISE_MESSAGE_BYTES_MAX, `out` too small, or the counter
 *                   is used up.
 * STATUS_BAD_KEY    changed, replayed, lost one before it, or another session.
 * A refused message leaves the session as it was; `out` may have been zeroed. */
MUST_USE enum status noise_open(struct noise_session *s, struct view message, uint8_t *out,
                                size_t out_max, size_t *out_count);

/* The same handshake messages with payloads, as the published vectors have
 * them.  We never use payloads: message 1 can be replayed.  `out` takes
 * NOISE_MESSAGE_n_BYTES + payload.count. */
MUST_USE enum status noise_write_1_payload(struct noise *n, struct view payload, uint8_t *out,
                                           size_t out_max, size_t *out_count);
MUST_USE enum status noise_read_1_payload(struct noise *n, struct view message,
                                          uint8_t *payload, size_t payload_max,
                                          size_t *payload_count);
MUST_USE enum status noise_write_2_payload(struct noise *n, struct view payload, uint8_t *out,
                                           size_t out_max, size_t *out_count);
MUST_USE enum status noise_read_2_payload(struct noise *n, struct view message,
                                          uint8_t *payload, size_t payload_max,
                                          size_t *payload_count);

#endif
