#include "node/net.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/peer_io.h"

enum { RENEW_AGAIN_MS = 60 * 1000 }; /* after the next session could not be opened */

int64_t
net_time_ms(void)
{
    return loop_now_ms();
}

struct session_time
net_session_time(void)
{
    return (struct session_time){loop_now_ms(), loop_clock_ms()};
}

struct loop *
net_loop(struct net *n)
{
    return n->loop;
}

/* ---- caps ----------------------------------------------------------------------- */

/* The family and address of who connected; of IPv6 the first 64 bits, because a
 * household has them all.  Zeros if there is none. */
static void
address_of(nng_stream *stream, uint8_t out[PEER_ADDRESS_BYTES])
{
    nng_sockaddr a;
    memset(out, 0, PEER_ADDRESS_BYTES);
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &a) != 0) {
        return;
    }
    if (a.s_family == NNG_AF_INET) {
        out[0] = 4;
        memcpy(out + 1, &a.s_in.sa_addr, sizeof a.s_in.sa_addr);
    } else if (a.s_family == NNG_AF_INET6) {
        out[0] = 6;
        memcpy(out + 1, a.s_in6.sa_addr, 8);
    }
}

/* Make room by closing the oldest connection that is not open yet, of this address
 * if one is given: who holds connections without speaking must not keep out others. */
static bool
evict(struct net *n, const uint8_t *address)
{
    for (struct peer *p = n->oldest; p != NULL; p = p->younger) {
        if (!p->dialled && !p->announced && !p->closing &&
            (address == NULL || memcmp(p->address, address, PEER_ADDRESS_BYTES) == 0)) {
            n->stats.evicted++;
            peer_end(p, STATUS_BUSY, "closed to make room before it was open");
            return true;
        }
    }
    return false;
}

static bool
room_for(struct net *n, const uint8_t address[PEER_ADDRESS_BYTES])
{
    size_t here = 0, all = 0;
    for (const struct peer *p = n->oldest; p != NULL; p = p->younger) {
        if (!p->closing) {
            all++;
            here += !p->dialled && memcmp(p->address, address, PEER_ADDRESS_BYTES) == 0;
        }
    }
    if (here >= n->options.sessions_per_address_max) {
        return evict(n, address);
    }
    return all < n->options.sessions_max || evict(n, NULL);
}

static void
on_accepted(void *owner, nng_stream *stream)
{
    struct net *n = owner;
    uint8_t address[PEER_ADDRESS_BYTES], secret[KEY_BYTES];
    struct session *session;
    struct peer *p = NULL;
    address_of(stream, address);
    n->stats.accepted++;
    if (room_for(n, address)) {
        randombytes_buf(secret, sizeof secret);
        if (session_answer(&n->sessions, secret, net_session_time(), &session) == STATUS_OK) {
            p = peer_new(n, session, false);
        }
        sodium_memzero(secret, sizeof secret);
    }
    if (p == NULL) {
        n->stats.refused++;
        loop_drop(n->loop, stream);
        return;
    }
    memcpy(p->address, address, sizeof address);
    peer_connect(p, stream);
}

/* Usually there are no descriptors left: give one back. */
static void
on_accept_failed(void *owner, enum status st)
{
    struct net *n = owner;
    (void)st;
    n->stats.accept_errors++;
    (void)evict(n, NULL);
}

static const struct loop_listener_events listener_events = {on_accepted, on_accept_failed};

enum status
net_listen(struct net *n, const char *url, uint16_t *port)
{
    if (n->listener_count == sizeof n->listeners / sizeof n->listeners[0] ||
        (strncmp(url, "tcp://", 6) != 0 && strncmp(url, "ipc://", 6) != 0) ||
        strlen(url) > ADDRESS_CHARS_MAX) {
        return STATUS_MALFORMED;
    }
    struct loop_listener *k;
    enum status st = loop_listen(n->loop, url, &listener_events, n, &k);
    if (st != STATUS_OK) {
        return st;
    }
    n->listeners[n->listener_count++] = k;
    if (port != NULL) {
        *port = loop_listener_port(k);
    }
    return STATUS_OK;
}

/* ---- dialling --------------------------------------------------------------------- */

static void
on_dialled(void *owner, enum status st, nng_stream *stream)
{
    struct peer *p = owner;
    p->dial = NULL;
    if (st != STATUS_OK) {
        peer_end(p, STATUS_UNAVAILABLE, "no connection could be made");
    } else {
        peer_connect(p, stream);
    }
}

enum status
net_dial(struct net *n, const char *network, const char *institution, const char *url,
         const uint8_t session_public[KEY_BYTES], uint32_t *session)
{
    uint8_t secret[KEY_BYTES];
    struct session *made;
    *session = 0;
    if (strlen(url) > ADDRESS_CHARS_MAX ||
        (strncmp(url, "tcp://", 6) != 0 && strncmp(url, "ipc://", 6) != 0)) {
        return STATUS_MALFORMED;
    }
    if (n->peer_count >= n->options.sessions_max && !evict(n, NULL)) {
        return STATUS_BUSY;
    }
    randombytes_buf(secret, sizeof secret);
    enum status st = session_dial(&n->sessions, network, institution, session_public, secret,
                                  net_session_time(), &made);
    sodium_memzero(secret, sizeof secret);
    if (st != STATUS_OK) {
        return st;
    }
    struct peer *p = peer_new(n, made, true);
    if (p == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(p->url, url, strlen(url) + 1);
    st = loop_dial(n->loop, url, n->options.open_ms_max, on_dialled, p, &p->dial);
    if (st != STATUS_OK) {
        peer_end(p, st, "the address is not one");
    }
    *session = p->id;
    return STATUS_OK;
}

void
net_renew(struct net *n, struct peer *p, int64_t now_ms)
{
    const struct session_peer *who = session_peer(p->session);
    uint32_t id;
    p->renew_ms = now_ms + RENEW_AGAIN_MS;
    if (net_dial(n, who->network, who->institution, p->url, who->session_public, &id) ==
        STATUS_OK) {
        struct peer *next = net_find(n, id);
        next->replaces = p->id;
    }
}

void
net_peer_up(struct net *n, struct peer *p)
{
    const struct session_peer *who = session_peer(p->session);
    struct peer *before = p->replaces == 0 ? NULL : net_find(n, p->replaces);
    if (before != NULL) {
        before->old = true;
        n->timer_ms = 0; /* look at it soon */
    }
    /* The newest sessions of a member are kept. */
    size_t same = 0;
    struct peer *older;
    for (struct peer *q = n->youngest; q != NULL; q = older) {
        const struct session_peer *other = session_peer(q->session);
        older = q->older;
        if (q->announced && !q->closing && strcmp(other->network, who->network) == 0 &&
            strcmp(other->institution, who->institution) == 0 &&
            ++same > SESSIONS_PER_MEMBER_MAX) {
            peer_end(q, STATUS_OK, "the member has newer sessions");
        }
    }
}

/* ---- frames ------------------------------------------------------------------------ */

uint32_t
net_next_request(struct net *n)
{
    if (++n->last_request == 0) {
        n->last_request = 1;
    }
    return n->last_request;
}

enum status
net_send(struct net *n, uint32_t session, uint32_t request, uint8_t kind, bool last,
         struct view message, struct view raw)
{
    struct peer *p = net_find(n, session);
    if (p == NULL || p->closing) {
        return STATUS_NOT_FOUND;
    }
    struct frame f = {request, kind, last, message, raw};
    enum status st = session_send(p->session, &f);
    if (st == STATUS_OK) {
        n->stats.frames_out++;
        peer_touch(p);
    }
    return st;
}

void
net_close_session(struct net *n, uint32_t session)
{
    struct peer *p = net_find(n, session);
    if (p != NULL) {
        peer_end(p, STATUS_OK, "closed by us");
    }
}

void
net_recheck(struct net *n)
{
    for (struct peer *p = n->oldest; p != NULL; p = p->younger) {
        const struct session_peer *who = session_peer(p->session);
        char institution[INSTITUTION_CHARS_MAX + 1] = "";
        if (p->announced && !p->closing &&
            (!n->options.member(n->options.ctx, who->network, who->session_public,
                                institution) ||
             strcmp(institution, who->institution) != 0)) {
            peer_end(p, STATUS_REFUSED, "not a member of the network any more");
        }
    }
}

/* Do what was put off, once for each peer; what that puts off is for the next time. */
static void
net_settle(struct net *n, bool receive)
{
    struct peer *p = n->dirty, *next;
    n->dirty = NULL;
    for (; p != NULL; p = next) {
        next = p->dirty_next;
        p->dirty = false;
        if (p->closing) {
            peer_bury(p);
        } else {
            peer_work(p, receive);
        }
    }
}

void
net_flush(struct net *n)
{
    for (struct peer *p = n->dirty, *next; p != NULL; p = next) {
        next = p->dirty_next;
        if (!p->closing) {
            peer_work(p, false);
        }
    }
}

static void
net_tick(struct net *n, int64_t now_ms)
{
    if (now_ms < n->timer_ms) {
        return;
    }
    int64_t next_ms = INT64_MAX, at_ms;
    n->timer_ms = INT64_MAX; /* peers that begin meanwhile lower it */
    for (struct peer *p = n->oldest; p != NULL; p = p->younger) {
        at_ms = p->closing ? INT64_MAX : peer_tick(p, now_ms);
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    n->timer_ms = next_ms < n->timer_ms ? next_ms : n->timer_ms;
}

void
net_run(struct net *n, int timeout_ms)
{
    int64_t now_ms = loop_now_ms();
    int64_t end_ms = timeout_ms < 0 ? INT64_MAX : now_ms + timeout_ms;
    bool woken;
    n->delivered = false;
    do {
        net_tick(n, now_ms);
        net_settle(n, true);
        int64_t until_ms = n->timer_ms < end_ms ? n->timer_ms : end_ms;
        /* What settling has put off or told is not to be waited upon. */
        woken = loop_run(n->loop, n->delivered || n->dirty != NULL ? now_ms : until_ms);
        now_ms = loop_now_ms();
    } while (!n->delivered && !woken && now_ms < end_ms);
    net_flush(n);
}

void
net_wake(struct net *n)
{
    loop_wake(n->loop);
}

/* ---- whole --------------------------------------------------------------------------- */

void
net_stats(const struct net *n, struct net_stats *out)
{
    *out = n->stats;
    out->sessions = out->opening = 0;
    for (const struct peer *p = n->oldest; p != NULL; p = p->younger) {
        out->sessions += p->announced && !p->closing;
        out->opening += !p->announced && !p->closing;
    }
}

enum status
net_open(const struct net_options *o, struct net **out)
{
    *out = NULL;
    assert(o->member != NULL && o->keys != NULL && o->event != NULL);
    struct net *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (sodium_init() < 0) {
        free(n);
        return STATUS_IO;
    }
    enum status st = loop_open(&n->loop);
    if (st != STATUS_OK) {
        free(n);
        return st;
    }
    n->options = *o;
    n->timer_ms = INT64_MAX;
    if (n->options.sessions_max == 0) {
        n->options.sessions_max = SESSIONS_MAX;
    }
    if (n->options.sessions_per_address_max == 0) {
        n->options.sessions_per_address_max = SESSIONS_PER_ADDRESS_MAX;
    }
    if (n->options.open_ms_max == 0) {
        n->options.open_ms_max = SESSION_OPEN_MS_MAX;
    }
    if (n->options.age_ms_max == 0) {
        n->options.age_ms_max = SESSION_AGE_MS_MAX;
    }
    n->sessions.ctx = o->ctx;
    n->sessions.member = o->member;
    n->sessions.keys = o->keys;
    n->sessions.keys_more = o->keys_more;
    n->sessions.open_ms_max = n->options.open_ms_max;
    memcpy(n->sessions.instance, o->instance, sizeof o->instance);
    size_t chars = o->software == NULL ? 0 : strlen(o->software);
    assert(chars <= SOFTWARE_CHARS_MAX);
    if (chars > 0) {
        memcpy(n->sessions.software, o->software, chars);
    }
    *out = n;
    return STATUS_OK;
}

void
net_close(struct net *n)
{
    if (n == NULL) {
        return;
    }
    n->closing = true;
    for (size_t i = 0; i < n->listener_count; i++) {
        loop_listener_close(n->listeners[i]);
    }
    struct peer *younger;
    for (struct peer *p = n->oldest; p != NULL; p = younger) {
        younger = p->younger;
        peer_bury(p);
    }
    loop_close(n->loop, NET_CLOSE_MS_MAX);
    free(n);
}
