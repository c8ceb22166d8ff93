#include "node/loop_op_io.h"

#include <assert.h>
#include <stdlib.h>

enum { ACCEPT_PAUSE_MS_MIN = 10, ACCEPT_PAUSE_MS_MAX = 1000, ACCEPTS_AT_ONCE = 16 };

/* ---- streams ---------------------------------------------------------------- */

struct loop_stream {
    struct loop *loop;
    nng_stream *stream;
    const struct loop_stream_events *events;
    void *owner;
    struct op receive;
    struct op send;
    nng_aio *now; /* sends without a callback */
    bool closed;
    struct job close_job;
    struct job free_job;
};

static void
stream_free(void *object)
{
    struct loop_stream *s = object;
    nng_stream_close(s->stream); /* once more does no harm */
    nng_stream_free(s->stream);  /* the descriptor is closed here, not before */
    op_free(&s->receive);
    op_free(&s->send);
    nng_aio_free(s->now);
    free(s);
}

static void
stream_shut(void *object)
{
    struct loop_stream *s = object;
    nng_stream_close(s->stream);
}

/* Closed, and nng has nothing of it any more: end it. */
static void
stream_end_if_idle(struct loop_stream *s)
{
    if (s->closed && !s->receive.busy && !s->send.busy) {
        s->events->gone(s->owner);
        loop_release(s->loop);
        loop_reap(s->loop, &s->free_job, stream_free, s);
    }
}

static void
stream_received(void *owner)
{
    struct loop_stream *s = owner;
    enum status st = loop_status(nng_aio_result(s->receive.aio));
    size_t count = st == STATUS_OK ? nng_aio_count(s->receive.aio) : 0;
    if (s->closed) {
        stream_end_if_idle(s);
    } else {
        s->events->received(s->owner, st == STATUS_OK && count == 0 ? STATUS_IO : st, count);
    }
}

static void
stream_sent(void *owner)
{
    struct loop_stream *s = owner;
    enum status st = loop_status(nng_aio_result(s->send.aio));
    size_t count = st == STATUS_OK ? nng_aio_count(s->send.aio) : 0;
    if (s->closed) {
        stream_end_if_idle(s);
    } else {
        s->events->sent(s->owner, st, count);
    }
}

enum status
loop_stream_open(struct loop *l, nng_stream *stream, const struct loop_stream_events *events,
                 void *owner, struct loop_stream **out)
{
    struct loop_stream *s = *out = calloc(1, sizeof *s);
    if (s != NULL) {
        *s =
            (struct loop_stream){.loop = l, .stream = stream, .events = events, .owner = owner};
        if (op_init(&s->receive, l, stream_received, s) &&
            op_init(&s->send, l, stream_sent, s) && nng_aio_alloc(&s->now, NULL, NULL) == 0) {
            /* Not what streams begin with: a second small write would wait 40 ms for
             * the delayed acknowledgement of the first.  Not for ipc. */
            (void)nng_stream_set_bool(stream, NNG_OPT_TCP_NODELAY, true);
            loop_hold(l);
            return STATUS_OK;
        }
        op_free(&s->receive);
        op_free(&s->send);
        free(s);
    }
    *out = NULL;
    loop_drop(l, stream);
    return STATUS_NO_MEMORY;
}

void
loop_stream_receive(struct loop_stream *s, uint8_t *bytes, size_t count)
{
    assert(!s->closed && count > 0);
    nng_iov iov = {bytes, count};
    op_start(&s->receive);
    nng_aio_set_iov(s->receive.aio, 1, &iov);
    nng_stream_recv(s->stream, s->receive.aio);
}

/* nng only reads what it sends, but has no const. */
static void *
without_const(const void *p)
{
    union {
        const void *in;
        void *out;
    } u = {.in = p};
    return u.out;
}

/* nng tries to write as soon as it is asked to, but would tell by a callback on
 * another thread, which costs as much as the write.  An aio without a callback,
 * cancelled right away, tells here and now: either it is done, or nothing was
 * written, since nng ends an operation when any byte was taken. */
size_t
loop_stream_send(struct loop_stream *s, const uint8_t *bytes, size_t count)
{
    assert(!s->closed && !s->send.busy && count > 0);
    nng_iov iov = {without_const(bytes), count};
    nng_aio_set_iov(s->now, 1, &iov);
    nng_stream_send(s->stream, s->now);
    nng_aio_cancel(s->now);
    nng_aio_wait(s->now);
    if (nng_aio_result(s->now) == 0 && nng_aio_count(s->now) > 0) {
        return nng_aio_count(s->now);
    }
    op_start(&s->send);
    nng_aio_set_iov(s->send.aio, 1, &iov);
    nng_stream_send(s->stream, s->send.aio);
    return 0;
}

void
loop_stream_close(struct loop_stream *s)
{
    assert(!s->closed);
    s->closed = true;
    if (s->receive.busy || s->send.busy) {
        loop_reap(s->loop, &s->close_job, stream_shut, s);
    }
    stream_end_if_idle(s);
}

nng_stream *
loop_stream_nng(const struct loop_stream *s)
{
    return s->stream;
}

/* ---- streams that nobody took ------------------------------------------------ */

struct drop {
    nng_stream *stream;
    struct job job;
};

static void
drop_run(void *object)
{
    struct drop *d = object;
    nng_stream_close(d->stream);
    nng_stream_free(d->stream);
    free(d);
}

void
loop_drop(struct loop *l, nng_stream *stream)
{
    struct drop *d = malloc(sizeof *d);
    if (d == NULL) { /* no memory even for this: the reaper cannot help */
        nng_stream_close(stream);
        nng_stream_free(stream);
        return;
    }
    d->stream = stream;
    loop_reap(l, &d->job, drop_run, d);
}

/* ---- dialling ---------------------------------------------------------------- */

struct loop_dial {
    struct loop *loop;
    nng_stream_dialer *dialer;
    struct op op;
    void (*done)(void *owner, enum status st, nng_stream *stream);
    void *owner;
    bool cancelled;
    struct job cancel_job;
    struct job free_job;
};

static void
dial_free(void *object)
{
    struct loop_dial *d = object;
    if (d->dialer != NULL) {
        nng_stream_dialer_close(d->dialer);
        nng_stream_dialer_free(d->dialer);
    }
    op_free(&d->op);
    free(d);
}

static void
dial_stop(void *object)
{
    struct loop_dial *d = object;
    nng_aio_cancel(d->op.aio);
}

static void
dial_done(void *owner)
{
    struct loop_dial *d = owner;
    int rc = nng_aio_result(d->op.aio);
    nng_stream *stream = rc == 0 ? nng_aio_get_output(d->op.aio, 0) : NULL;
    if (d->cancelled && stream != NULL) {
        loop_drop(d->loop, stream);
    } else if (!d->cancelled) {
        d->done(d->owner, loop_status(rc), stream);
    }
    loop_release(d->loop);
    loop_reap(d->loop, &d->free_job, dial_free, d);
}

enum status
loop_dial(struct loop *l, const char *url, int64_t timeout_ms,
          void (*done)(void *owner, enum status st, nng_stream *stream), void *owner,
          struct loop_dial **out)
{
    struct loop_dial *d = *out = NULL;
    if ((d = calloc(1, sizeof *d)) == NULL) {
        return STATUS_NO_MEMORY;
    }
    *d = (struct loop_dial){.loop = l, .done = done, .owner = owner};
    int rc = nng_stream_dialer_alloc(&d->dialer, url);
    if (rc != 0 || !op_init(&d->op, l, dial_done, d)) {
        dial_free(d);
        return rc == 0 ? STATUS_NO_MEMORY : loop_status(rc);
    }
    nng_aio_set_timeout(d->op.aio, (nng_duration)timeout_ms);
    op_start(&d->op);
    loop_hold(l);
    nng_stream_dialer_dial(d->dialer, d->op.aio);
    *out = d;
    return STATUS_OK;
}

void
loop_dial_cancel(struct loop_dial *d)
{
    assert(!d->cancelled);
    d->cancelled = true;
    loop_reap(d->loop, &d->cancel_job, dial_stop, d);
}

/* ---- listening ---------------------------------------------------------------- */

/* One accept under way.  nng takes as many connections at once from the kernel's
 * short queue as accepts wait, so there are several. */
struct acceptor {
    struct loop_listener *listener;
    struct op op;
};

struct loop_listener {
    struct loop *loop;
    struct loop_listener *next;
    nng_stream_listener *listener;
    const struct loop_listener_events *events;
    void *owner;
    struct acceptor acceptors[ACCEPTS_AT_ONCE];
    size_t busy;      /* acceptors under way */
    int64_t pause_ms; /* the next one */
    int64_t retry_ms; /* when to accept again; INT64_MAX while accepting */
    bool closed;
    struct job close_job;
    struct job free_job;
};

static void
listener_free(void *object)
{
    struct loop_listener *k = object;
    if (k->listener != NULL) {
        nng_stream_listener_close(k->listener);
        nng_stream_listener_free(k->listener);
    }
    for (size_t i = 0; i < ACCEPTS_AT_ONCE; i++) {
        op_free(&k->acceptors[i].op);
    }
    free(k);
}

static void
listener_shut(void *object)
{
    struct loop_listener *k = object;
    nng_stream_listener_close(k->listener);
}

static void
acceptor_start(struct acceptor *a)
{
    a->listener->busy++;
    op_start(&a->op);
    nng_stream_listener_accept(a->listener->listener, a->op.aio);
}

static void
listener_accept(struct loop_listener *k)
{
    k->retry_ms = INT64_MAX;
    for (size_t i = 0; i < ACCEPTS_AT_ONCE; i++) {
        if (!k->acceptors[i].op.busy) {
            acceptor_start(&k->acceptors[i]);
        }
    }
}

/* Closed, and nng has nothing of it any more: end it. */
static void
listener_end_if_idle(struct loop_listener *k)
{
    if (!k->closed || k->busy > 0) {
        return;
    }
    struct loop *l = k->loop;
    struct loop_listener *first = loop_listeners(l), **at = &first;
    while (*at != k) {
        at = &(*at)->next;
    }
    *at = k->next;
    loop_set_listeners(l, first);
    loop_release(l);
    loop_reap(l, &k->free_job, listener_free, k);
}

static void
acceptor_done(void *owner)
{
    struct acceptor *a = owner;
    struct loop_listener *k = a->listener;
    int rc = nng_aio_result(a->op.aio);
    nng_stream *stream = rc == 0 ? nng_aio_get_output(a->op.aio, 0) : NULL;
    if (k->closed && stream != NULL) {
        loop_drop(k->loop, stream);
    } else if (!k->closed && stream != NULL) {
        k->pause_ms = ACCEPT_PAUSE_MS_MIN;
        if (k->retry_ms == INT64_MAX) {
            acceptor_start(a); /* before the work, which others may do meanwhile */
        }
        k->events->accepted(k->owner, stream);
    } else if (!k->closed && k->retry_ms == INT64_MAX) {
        /* Never at once again: without descriptors it would spin (N15). */
        k->retry_ms = loop_now_ms() + k->pause_ms;
        k->pause_ms =
            k->pause_ms * 2 < ACCEPT_PAUSE_MS_MAX ? k->pause_ms * 2 : ACCEPT_PAUSE_MS_MAX;
        k->events->failed(k->owner, loop_status(rc));
    }
    k->busy--;
    listener_end_if_idle(k);
}

int64_t
listeners_deadline_ms(const struct loop_listener *first)
{
    int64_t ms = INT64_MAX;
    for (const struct loop_listener *k = first; k != NULL; k = k->next) {
        ms = k->retry_ms < ms ? k->retry_ms : ms;
    }
    return ms;
}

void
listeners_retry(struct loop_listener *first)
{
    for (struct loop_listener *k = first; k != NULL; k = k->next) {
        if (k->retry_ms != INT64_MAX && !k->closed && loop_now_ms() >= k->retry_ms) {
            listener_accept(k);
        }
    }
}

enum status
loop_listen(struct loop *l, const char *url, const struct loop_listener_events *events,
            void *owner, struct loop_listener **out)
{
    *out = NULL;
    struct loop_listener *k = calloc(1, sizeof *k);
    if (k == NULL) {
        return STATUS_NO_MEMORY;
    }
    *k = (struct loop_listener){.loop = l,
                                .events = events,
                                .owner = owner,
                                .pause_ms = ACCEPT_PAUSE_MS_MIN,
                                .next = loop_listeners(l)};
    int rc = 0;
    for (size_t i = 0; i < ACCEPTS_AT_ONCE && rc == 0; i++) {
        k->acceptors[i].listener = k;
        rc = op_init(&k->acceptors[i].op, l, acceptor_done, &k->acceptors[i]) ? 0 : NNG_ENOMEM;
    }
    if (rc != 0 || (rc = nng_stream_listener_alloc(&k->listener, url)) != 0 ||
        (rc = nng_stream_listener_listen(k->listener)) != 0) {
        listener_free(k);
        return rc == NNG_EADDRINVAL ? STATUS_UNAVAILABLE : loop_status(rc);
    }
    loop_set_listeners(l, k);
    loop_hold(l);
    listener_accept(k);
    *out = k;
    return STATUS_OK;
}

uint16_t
loop_listener_port(const struct loop_listener *k)
{
    int port = 0;
    bool known = nng_stream_listener_get_int(k->listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0;
    return known && port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

void
loop_listener_close(struct loop_listener *k)
{
    assert(!k->closed);
    k->closed = true;
    if (k->busy > 0) {
        loop_reap(k->loop, &k->close_job, listener_shut, k);
    }
    listener_end_if_idle(k);
}
