/* session.h: one session with another member: bytes in, frames out, and back.
 *
 * Source: DESIGN 11; Noise (crypto/noise.h).  The stream opens with the line
 * `huren 1 <network>` LF in clear, which is the Noise prologue, LF included; then
 *
 *   dialler   u16 96 || message 1        answerer   u16 48 || message 2
 *   dialler, answerer   u16 length || transport message, again and again
 *
 * lengths big-endian.  What the transport messages hold, decrypted and joined, is
 * a stream of frames (proto/frame.h); the first of each side is HELLO.  Frames
 * that wait together share a message; an empty message only says "still here".
 * Anything else, at any byte, ends the session.
 *
 * Pure: time, ephemeral keys and who is a member come in.  It is up when HELLO of
 * the other side was read, which only the holder of the member's key can have
 * sealed in this very handshake.  */
#ifndef NODE_SESSION_H
#define NODE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keys.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

struct session;

/* Both clocks, read by the shell. */
struct session_time {
    int64_t now_ms;   /* only ever rises */
    int64_t clock_ms; /* Unix time, told in HELLO, for reporting skew only */
};

/* What all sessions of a node share; must outlive them. */
struct session_options {
    void *ctx;
    /* As in struct net_options (node/net.h). */
    bool (*member)(void *ctx, const char *network, const uint8_t session_public[KEY_BYTES],
                   char institution[INSTITUTION_CHARS_MAX + 1]);
    const struct network_keys *(*keys)(void *ctx, const char *network);
    const struct network_keys *(*keys_more)(void *ctx, const char *network, size_t i);
    uint8_t instance[INSTANCE_BYTES];
    char software[SOFTWARE_CHARS_MAX + 1]; /* printable ASCII */
    int64_t open_ms_max;                   /* to be up; SESSION_OPEN_MS_MAX */
};

/* Who is at the other end. */
struct session_peer {
    char network[NETWORK_CHARS_MAX + 1];
    char institution[INSTITUTION_CHARS_MAX + 1]; /* "" until message 1 was read */
    uint8_t session_public[KEY_BYTES];
    uint8_t instance[INSTANCE_BYTES]; /* this and what follows: from HELLO */
    char software[SOFTWARE_CHARS_MAX + 1];
    uint32_t version;
    int64_t skew_ms;
};

/* Where frames go; their views are valid during the call, which may send on this
 * session but not free it. */
struct session_sink {
    void *ctx;
    void (*up)(void *ctx);
    void (*frame)(void *ctx, const struct frame *f);
};

/* Begin as the one who dials, or answers.  Nothing here depends on the network
 * yet.  `ephemeral_secret`: 32 random bytes for this session alone.
 *
 * STATUS_OK
 * STATUS_NOT_FOUND  (dial) we have no keys in `network`.
 * STATUS_MALFORMED  (dial) not a name of a network or an institution.
 * STATUS_BAD_KEY    (dial) the peer's key is of low order.
 * STATUS_NO_MEMORY */
MUST_USE enum status session_dial(const struct session_options *o, const char *network,
                                  const char *institution,
                                  const uint8_t session_public[KEY_BYTES],
                                  const uint8_t ephemeral_secret[KEY_BYTES],
                                  struct session_time t, struct session **out);
MUST_USE enum status session_answer(const struct session_options *o,
                                    const uint8_t ephemeral_secret[KEY_BYTES],
                                    struct session_time t, struct session **out);

/* Wipes the keys.  NULL does nothing. */
void session_free(struct session *s);

/* Where the next bytes from the wire go, and how many at most (never 0).  The
 * place stays until session_take. */
uint8_t *session_space(struct session *s, size_t *count);

/* Work on `count` bytes that were put there, in pieces of any size.
 *
 * STATUS_OK, or why the session ended, which session_reason says in words and
 * every later call repeats:
 * STATUS_MALFORMED    not what the protocol has at this place.
 * STATUS_UNSUPPORTED  another version of the protocol.
 * STATUS_NOT_FOUND    a network that is not ours.
 * STATUS_BAD_KEY      changed on the way, or sealed with other keys.
 * STATUS_REFUSED      not a member of the network.
 * STATUS_TOO_BIG      a limit of a frame, or of requests in flight.
 * STATUS_BUSY         the peer does not read what it asks for.
 * STATUS_NO_MEMORY */
MUST_USE enum status session_take(struct session *s, size_t count, struct session_time t,
                                  const struct session_sink *sink);

/* Queue a frame; the rules and statuses are those of net_send (node/net.h). */
MUST_USE enum status session_send(struct session *s, const struct frame *f);

/* The next bytes for the wire, sealed, none if nothing waits; they stay until
 * session_sent has taken them all. */
MUST_USE enum status session_output(struct session *s, int64_t now_ms, struct view *out);
void session_sent(struct session *s, size_t count);

/* Would session_output give anything? */
bool session_has_output(const struct session *s);

/* The deadline has passed: keep the session alive, or end it.
 *
 * STATUS_OK, or STATUS_UNAVAILABLE: not up in time, or silent for too long. */
MUST_USE enum status session_tick(struct session *s, int64_t now_ms);
int64_t session_deadline_ms(const struct session *s);

bool session_is_up(const struct session *s);

/* Nothing is in flight in either direction, and nothing waits to be sent. */
bool session_is_idle(const struct session *s);

const struct session_peer *session_peer(const struct session *s);

/* Why it ended, one line without any text of the peer; "" while it lives. */
const char *session_reason(const struct session *s);

#endif
