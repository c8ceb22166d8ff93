/* peer_io.h: one connection of a net: a session and the stream that carries it.
 * Shared by net_io.c and peer_io.c; everything on the thread of the net. */
#ifndef NODE_PEER_IO_H
#define NODE_PEER_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "node/loop_io.h"
#include "node/net.h"
#include "node/session.h"

enum { PEER_BUCKETS = 1024, PEER_ADDRESS_BYTES = 17 };

struct peer {
    struct net *net;
    uint32_t id;
    struct peer *older, *younger; /* all peers, by id */
    struct peer *bucket_next;     /* by id */
    struct peer *dirty_next;      /* those with something to do */
    struct session *session;
    struct loop_stream *stream; /* NULL until connected */
    struct loop_dial *dial;     /* while connecting */
    bool dirty, receiving, sending, closing;
    bool announced;     /* NET_UP was delivered */
    bool old;           /* a younger session has taken over */
    enum status status; /* why it ends */
    const char *reason;
    int64_t up_ms;
    int64_t renew_ms;  /* when to dial the next session, if we dialled */
    uint32_t replaces; /* the session whose time is over, or 0 */
    bool dialled;
    char url[ADDRESS_CHARS_MAX + 1];     /* dialled */
    uint8_t address[PEER_ADDRESS_BYTES]; /* answered: family and address; zeros for ipc */
};

struct net {
    struct net_options options;
    struct session_options sessions;
    struct loop *loop;
    struct loop_listener *listeners[8];
    size_t listener_count;
    struct peer *oldest, *youngest;
    struct peer *buckets[PEER_BUCKETS];
    struct peer *dirty;
    size_t peer_count;
    uint32_t last_id;
    uint32_t last_request;
    int64_t timer_ms; /* when net_run must look at the clocks of the peers */
    bool delivered;   /* an event, since net_run began */
    bool closing;
    struct net_stats stats;
};

/* A peer of the net's tables, without a stream yet.  NULL: no memory; the session
 * is then freed. */
struct peer *peer_new(struct net *n, struct session *session, bool dialled);

/* Take over a connected stream; the peer ends itself if that fails. */
void peer_connect(struct peer *p, nng_stream *stream);

/* Something is to be done for it when the net settles. */
void peer_touch(struct peer *p);

/* End it when the net settles; the first reason counts. */
void peer_end(struct peer *p, enum status st, const char *reason);

/* Send what waits.  With `receive`, go on receiving. */
void peer_work(struct peer *p, bool receive);

/* Tell that it is down, take it off the tables, close and free it. */
void peer_bury(struct peer *p);

/* Look at the clock; returns when to look again. */
int64_t peer_tick(struct peer *p, int64_t now_ms);

struct peer *net_find(const struct net *n, uint32_t id);

/* A session of this peer came up: make it the one in use (net_io.c). */
void net_peer_up(struct net *n, struct peer *p);

/* Dial the session that replaces `p` (net_io.c). */
void net_renew(struct net *n, struct peer *p, int64_t now_ms);

struct session_time net_session_time(void);

#endif
