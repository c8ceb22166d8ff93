#include "node/peer_io.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    OLD_LOOK_MS = 50,  /* how often to look whether an old session is idle */
    WRITES_AT_ONCE = 8 /* for one peer, before others have their turn */
};

/* ---- tables ------------------------------------------------------------------- */

struct peer *
net_find(const struct net *n, uint32_t id)
{
    struct peer *p = n->buckets[id % PEER_BUCKETS];
    while (p != NULL && p->id != id) {
        p = p->bucket_next;
    }
    return p;
}

struct peer *
peer_new(struct net *n, struct session *session, bool dialled)
{
    struct peer *p = calloc(1, sizeof *p);
    if (p == NULL) {
        session_free(session);
        return NULL;
    }
    p->net = n;
    p->session = session;
    p->dialled = dialled;
    p->reason = "";
    p->id = ++n->last_id;
    p->bucket_next = n->buckets[p->id % PEER_BUCKETS];
    n->buckets[p->id % PEER_BUCKETS] = p;
    p->older = n->youngest;
    *(p->older == NULL ? &n->oldest : &p->older->younger) = p;
    n->youngest = p;
    n->peer_count++;
    int64_t deadline_ms = session_deadline_ms(session);
    n->timer_ms = deadline_ms < n->timer_ms ? deadline_ms : n->timer_ms;
    return p;
}

static void
peer_unlink(struct peer *p)
{
    struct net *n = p->net;
    struct peer **at = &n->buckets[p->id % PEER_BUCKETS];
    while (*at != p) {
        at = &(*at)->bucket_next;
    }
    *at = p->bucket_next;
    *(p->older == NULL ? &n->oldest : &p->older->younger) = p->younger;
    *(p->younger == NULL ? &n->youngest : &p->younger->older) = p->older;
    n->peer_count--;
}

void
peer_touch(struct peer *p)
{
    if (!p->dirty) {
        p->dirty = true;
        p->dirty_next = p->net->dirty;
        p->net->dirty = p;
    }
}

void
peer_end(struct peer *p, enum status st, const char *reason)
{
    if (!p->closing) {
        p->closing = true;
        p->status = st;
        p->reason = reason;
        peer_touch(p);
    }
}

/* ---- events ------------------------------------------------------------------- */

static void
peer_event(struct peer *p, enum net_event_type type, const struct frame *f)
{
    const struct session_peer *who = session_peer(p->session);
    struct net_event e = {.type = type,
                          .session = p->id,
                          .dialled = p->dialled,
                          .network = who->network,
                          .institution = who->institution,
                          .version = who->version,
                          .software = who->software,
                          .skew_ms = who->skew_ms,
                          .status = p->status,
                          .reason = p->reason};
    memcpy(e.instance, who->instance, sizeof e.instance);
    if (f != NULL) {
        e.frame = *f;
    }
    p->net->delivered = true;
    p->net->options.event(p->net->options.ctx, &e);
}

static void
on_up(void *ctx)
{
    struct peer *p = ctx;
    if (!p->closing) {
        p->announced = true;
        p->up_ms = loop_now_ms();
        p->renew_ms = p->up_ms + p->net->options.age_ms_max;
        if (p->dialled && p->renew_ms < p->net->timer_ms) {
            p->net->timer_ms = p->renew_ms;
        }
        net_peer_up(p->net, p);
        peer_event(p, NET_UP, NULL);
    }
}

static void
on_frame(void *ctx, const struct frame *f)
{
    struct peer *p = ctx;
    if (!p->closing) {
        p->net->stats.frames_in++;
        peer_event(p, NET_FRAME, f);
    }
}

static const struct session_sink no_sink_ctx = {NULL, on_up, on_frame};

static void
on_received(void *owner, enum status st, size_t count)
{
    struct peer *p = owner;
    p->receiving = false;
    if (p->closing) {
        return;
    }
    if (st != STATUS_OK) {
        peer_end(p, STATUS_UNAVAILABLE, "the connection was closed");
        return;
    }
    p->net->stats.bytes_in += count;
    struct session_sink sink = no_sink_ctx;
    sink.ctx = p;
    st = session_take(p->session, count, net_session_time(), &sink);
    if (st != STATUS_OK) {
        peer_end(p, st, session_reason(p->session));
    }
    peer_touch(p);
}

static void
on_sent(void *owner, enum status st, size_t count)
{
    struct peer *p = owner;
    p->sending = false;
    if (p->closing) {
        return;
    }
    if (st != STATUS_OK) {
        peer_end(p, STATUS_UNAVAILABLE, "the connection was closed");
        return;
    }
    p->net->stats.bytes_out += count;
    session_sent(p->session, count);
    if (session_has_output(p->session)) {
        peer_touch(p);
    }
}

static void
on_gone(void *owner)
{
    struct peer *p = owner;
    session_free(p->session);
    free(p);
}

static const struct loop_stream_events stream_events = {on_received, on_sent, on_gone};

/* ---- work --------------------------------------------------------------------- */

void
peer_connect(struct peer *p, nng_stream *stream)
{
    if (loop_stream_open(p->net->loop, stream, &stream_events, p, &p->stream) != STATUS_OK) {
        peer_end(p, STATUS_NO_MEMORY, "out of memory");
    }
    peer_touch(p);
}

void
peer_work(struct peer *p, bool receive)
{
    struct view out;
    if (p->stream == NULL || p->closing) {
        return;
    }
    for (int i = 0; i < WRITES_AT_ONCE && !p->sending && session_has_output(p->session); i++) {
        enum status st = session_output(p->session, loop_now_ms(), &out);
        if (st != STATUS_OK) {
            peer_end(p, st, session_reason(p->session));
            return;
        }
        size_t count = loop_stream_send(p->stream, out.bytes, out.count);
        p->sending = count == 0;
        session_sent(p->session, count);
        p->net->stats.bytes_out += count;
        p->net->stats.writes++;
    }
    if (!p->sending && session_has_output(p->session)) {
        peer_touch(p); /* the others first */
    }
    if (!p->receiving && !receive) {
        peer_touch(p); /* later, after what is to be done before */
    } else if (!p->receiving) {
        size_t count;
        uint8_t *at = session_space(p->session, &count);
        p->receiving = true;
        loop_stream_receive(p->stream, at, count);
    }
}

void
peer_bury(struct peer *p)
{
    struct net *n = p->net;
    peer_unlink(p);
    if (!p->announced) {
        n->stats.failed++;
    }
    if (!n->closing && (p->announced || p->dialled)) {
        peer_event(p, NET_DOWN, NULL);
    }
    if (p->stream != NULL) {
        loop_stream_close(p->stream); /* on_gone frees the peer, perhaps at once */
        return;
    }
    if (p->dial != NULL) {
        loop_dial_cancel(p->dial);
    }
    on_gone(p);
}

int64_t
peer_tick(struct peer *p, int64_t now_ms)
{
    enum status st = session_tick(p->session, now_ms);
    if (st != STATUS_OK) {
        peer_end(p, st, session_reason(p->session));
        return INT64_MAX;
    }
    if (session_has_output(p->session)) {
        peer_touch(p);
    }
    int64_t next_ms = session_deadline_ms(p->session);
    if (!p->announced) {
        return next_ms;
    }
    int64_t over_ms = p->up_ms + p->net->options.age_ms_max + SESSION_OLD_MS_MAX;
    if (now_ms >= over_ms || (p->old && p->dialled && session_is_idle(p->session))) {
        peer_end(p, STATUS_OK, "its time was over");
        return INT64_MAX;
    }
    if (p->dialled && !p->old && now_ms >= p->renew_ms) {
        net_renew(p->net, p, now_ms);
    }
    next_ms = over_ms < next_ms ? over_ms : next_ms;
    if (p->dialled) {
        int64_t look_ms = p->old ? now_ms + OLD_LOOK_MS : p->renew_ms;
        next_ms = look_ms < next_ms ? look_ms : next_ms;
    }
    return next_ms;
}
