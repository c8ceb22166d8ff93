/* net.h: sessions with the other members, over nng streams (DESIGN 11).
 *
 * One thread, the one that calls net_run, owns a net: every function here but
 * net_wake is called by it, and all events are delivered on it, inside net_run.
 * It may call any function but net_run and net_close from within an event.
 *
 * A session is UP once, then gives FRAMEs, then is DOWN once; a dialled session
 * that could not be opened is only DOWN.  Of several sessions with one
 * institution the one that came UP last is the one to send on: after an hour
 * (SESSION_AGE_MS_MAX) the side that dialled opens the next by itself, and the old
 * one goes DOWN when nothing is in flight on it.  Otherwise dialling again is up
 * to the caller. */
#ifndef NODE_NET_H
#define NODE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keys.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

struct net;
struct loop;

enum net_event_type { NET_UP = 1, NET_DOWN = 2, NET_FRAME = 3 };

/* What the pointers reach is valid during the call. */
struct net_event {
    enum net_event_type type;
    uint32_t session; /* from 1, never used again */
    bool dialled;     /* by us */
    const char *network;
    const char *institution;
    uint8_t instance[INSTANCE_BYTES]; /* of the peer's process (HELLO); zero before UP */
    uint32_t version;                 /* of the protocol that the peer speaks */
    const char *software;             /* what the peer says it is; printable */
    int64_t skew_ms;                  /* the peer's clock less ours, at HELLO */
    struct frame frame;               /* NET_FRAME */
    enum status status;               /* NET_DOWN: STATUS_OK if it was closed in order */
    const char *reason;               /* NET_DOWN: one line for the log, no peer's text in it */
};

struct net_options {
    void *ctx;
    /* May the holder of this session key speak in `network`?  If so write its
     * institution code.  Asked once a handshake, before anything is answered. */
    bool (*member)(void *ctx, const char *network, const uint8_t session_public[KEY_BYTES],
                   char institution[INSTITUTION_CHARS_MAX + 1]);
    /* Our keys in `network`; NULL if we are not in it. */
    const struct network_keys *(*keys)(void *ctx, const char *network);
    /* Others, from i = 0, by whose session key we may still be called (after new keys
     * were listed); NULL: no more.  The function itself may be NULL. */
    const struct network_keys *(*keys_more)(void *ctx, const char *network, size_t i);
    void (*event)(void *ctx, const struct net_event *e);
    uint8_t instance[INSTANCE_BYTES]; /* drawn at start, told in HELLO */
    const char *software;             /* told in HELLO, at most SOFTWARE_CHARS_MAX */
    /* 0 takes the limit of proto/limits.h */
    size_t sessions_max;             /* SESSIONS_MAX */
    size_t sessions_per_address_max; /* SESSIONS_PER_ADDRESS_MAX */
    int64_t open_ms_max;             /* SESSION_OPEN_MS_MAX */
    int64_t age_ms_max;              /* SESSION_AGE_MS_MAX */
};

struct net_stats {
    size_t sessions; /* open now */
    size_t opening;  /* connected or being dialled, not open */
    uint64_t accepted;
    uint64_t evicted;       /* not open, closed to make room */
    uint64_t refused;       /* over a cap */
    uint64_t failed;        /* ended before they were open */
    uint64_t accept_errors; /* each followed by a pause */
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t bytes_in; /* on the wire */
    uint64_t bytes_out;
    uint64_t writes; /* what the frames took */
};

/* Make a net; `o` is copied, what it points to must outlive the net.
 *
 * STATUS_OK, STATUS_NO_MEMORY, or STATUS_IO: threads cannot be made. */
MUST_USE enum status net_open(const struct net_options *o, struct net **out);

/* Listen at `url` (tcp://ADDRESS:PORT, port 0 for any; ipc://PATH).  `port` may
 * be NULL, and is told the port of a tcp address.
 *
 * STATUS_OK
 * STATUS_MALFORMED    not a URL of these kinds.
 * STATUS_BUSY         the address is in use.
 * STATUS_UNAVAILABLE  the address is not ours.
 * STATUS_IO, STATUS_NO_MEMORY */
MUST_USE enum status net_listen(struct net *n, const char *url, uint16_t *port);

/* Begin a session with the member of `network` whose session key this is.
 * NET_UP or NET_DOWN tells how it went.
 *
 * STATUS_OK
 * STATUS_MALFORMED  not a URL, or names that cannot be.
 * STATUS_NOT_FOUND  we have no keys in `network`.
 * STATUS_BUSY       there are sessions_max already.
 * STATUS_NO_MEMORY */
MUST_USE enum status net_dial(struct net *n, const char *network, const char *institution,
                              const char *url, const uint8_t session_public[KEY_BYTES],
                              uint32_t *session);

/* A request id that no session has in flight: never 0. */
uint32_t net_next_request(struct net *n);

/* Queue a frame; it leaves with the next net_run or net_flush, together with
 * what else waits.  `kind` without FRAME_ANSWER: a request (request != 0) or a
 * push (request == 0), `last` true.  With it: an answer to a request that came on
 * this session, in as many frames as it takes, `last` on the final one.  Each
 * request that came must be answered: a peer may have REQUESTS_IN_FLIGHT_MAX
 * unanswered ones, and is cut off when it sends more.
 *
 * STATUS_OK
 * STATUS_NOT_FOUND  the session is not open, or that request is not in flight.
 * STATUS_EXISTS     a request of this id is in flight already.
 * STATUS_TOO_BIG    over the limits of a frame.
 * STATUS_BUSY       SESSION_QUEUE_BYTES_MAX wait, or too many requests of ours are
 *                   in flight: try again later, elsewhere, or close the session.
 * STATUS_NO_MEMORY */
MUST_USE enum status net_send(struct net *n, uint32_t session, uint32_t request, uint8_t kind,
                              bool last, struct view message, struct view raw);

/* Send what waits, now, without waiting for anything. */
void net_flush(struct net *n);

/* End a session.  It is DOWN with STATUS_OK within the next net_run.  What was
 * queued may be lost.  No such session: nothing happens. */
void net_close_session(struct net *n, uint32_t session);

/* Ask `member` again about all open sessions and end those of who may not speak any
 * more (left, revoked, an old key whose time is over): after the charter changed,
 * and as time passes. */
void net_recheck(struct net *n);

/* Send what waits, then deliver events.  Returns when at least one event was
 * delivered, net_wake was called, or `timeout_ms` have passed (0: at once; negative:
 * no limit). */
void net_run(struct net *n, int timeout_ms);

/* Make net_run return.  May be called by any thread, also before net_run. */
void net_wake(struct net *n);

/* Milliseconds that only ever rise (CLOCK_MONOTONIC). */
int64_t net_time_ms(void);

void net_stats(const struct net *n, struct net_stats *out);

/* The loop that everything runs on, for what else runs there (node/control.h). */
struct loop *net_loop(struct net *n);

/* End everything; no more events.  Waits for nng at most NET_CLOSE_MS_MAX, then
 * leaves what hangs behind (RELIABILITY N9).  NULL does nothing. */
void net_close(struct net *n);

#endif
