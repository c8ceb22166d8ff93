#include "node/control.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/control_input.h"
#include "node/loop_io.h"
#include "node/net.h"
#include "proto/jsonwhole.h"
#include "proto/text.h"

enum {
    URL_CHARS_MAX = sizeof((struct sockaddr_un *)0)->sun_path + 6,
    IN_BYTES = 64 * 1024,
    OUT_BYTES = 128 * 1024,
    ANSWER_BYTES_MAX = IMPORT_FILE_BYTES_MAX + 16 * 1024 * 1024 /* texts and heads too */
};

/* One call.  It goes when its connection is gone and its handler has called done. */
struct control_conn {
    struct control *control; /* NULL once that is closed */
    struct control_conn *next;
    struct loop_stream *stream; /* NULL when gone */
    struct control_input input;
    struct frame_reader reader;
    struct frame_queue queue;
    bool running; /* the handler has not called done */
    bool over;    /* closed, or to be closed: nothing more is sent */
    bool sending;
    bool cut;           /* the answer was too large */
    bool no_memory;     /* for a part of it */
    unsigned long mark; /* json_whole_mark as the call began */
    struct call_sink sink;
    uint8_t in[IN_BYTES];
    uint8_t out[OUT_BYTES];
    size_t out_first, out_count;
};

struct control {
    struct net *net;
    struct loop_listener *listener;
    control_handler *handler;
    void *ctx;
    struct control_conn *conns;
    size_t conn_count;
};

static enum status
url_of(const char *path, char url[URL_CHARS_MAX + 1])
{
    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        return STATUS_TOO_BIG;
    }
    snprintf(url, URL_CHARS_MAX + 1, "ipc://%s", path);
    return STATUS_OK;
}

/* ---- the daemon's side ---------------------------------------------------------- */

static void
conn_free_if_over(struct control_conn *c)
{
    if (c->stream != NULL || c->running) {
        return;
    }
    if (c->control != NULL) {
        struct control_conn **at = &c->control->conns;
        while (*at != c) {
            at = &(*at)->next;
        }
        *at = c->next;
        c->control->conn_count--;
    }
    control_input_free(&c->input);
    frame_reader_free(&c->reader);
    frame_queue_free(&c->queue);
    free(c);
}

/* Nobody listens any more.  `c` may be gone afterwards. */
static void
conn_close(struct control_conn *c)
{
    if (!c->over) {
        c->over = true;
        loop_stream_close(c->stream);
    }
}

static void
conn_pump(struct control_conn *c)
{
    while (!c->over && !c->sending) {
        if (c->out_first == c->out_count) {
            struct view v = frame_queue_view(&c->queue);
            c->out_first = 0;
            c->out_count = v.count < OUT_BYTES ? v.count : OUT_BYTES;
            if (c->out_count == 0) {
                return;
            }
            memcpy(c->out, v.bytes, c->out_count);
            frame_queue_drop(&c->queue, c->out_count);
        }
        size_t n =
            loop_stream_send(c->stream, c->out + c->out_first, c->out_count - c->out_first);
        c->out_first += n;
        c->sending = n == 0;
    }
}

/* Queue raw bytes in as many frames as they take. */
static void
conn_tell(struct control_conn *c, enum control_kind kind, struct view name, struct view raw)
{
    do {
        struct frame f = {.kind = (uint8_t)kind, .message = name, .raw = raw};
        if (raw.count > CONTROL_PART_BYTES_MAX) {
            f.raw.count = CONTROL_PART_BYTES_MAX;
        }
        f.last = f.raw.count == raw.count;
        if (c->over || c->cut) {
            return;
        }
        enum status st = frame_queue_add(&c->queue, &f);
        if (st != STATUS_OK) {
            c->cut = true; /* done will say so */
            c->no_memory = c->no_memory || st == STATUS_NO_MEMORY;
            return;
        }
        raw.bytes = raw.bytes == NULL ? NULL : raw.bytes + f.raw.count;
        raw.count -= f.raw.count;
    } while (raw.count > 0);
    conn_pump(c);
}

static void
sink_text(void *ctx, bool err, const char *text, size_t n)
{
    struct view none = {NULL, 0};
    if (n > 0) {
        conn_tell(ctx, err ? CONTROL_ERR : CONTROL_OUT, none,
                  (struct view){(const uint8_t *)text, n});
    }
}

static void
sink_blob(void *ctx, const char *name, struct view bytes)
{
    struct view v = {(const uint8_t *)name, strlen(name)};
    assert(control_name_ok(v));
    conn_tell(ctx, CONTROL_BLOB, v, bytes);
}

static void
sink_done(void *ctx, int exit_code)
{
    static const char too_large[] = "huren: the answer is too large for one call\n";
    static const char no_memory[] = "huren: out of memory: the answer may lack something\n";
    struct control_conn *c = ctx;
    assert(c->running);
    c->running = false;
    struct view none = {NULL, 0};
    bool lacks = c->no_memory || json_whole_mark() != c->mark;
    if (c->cut || lacks) {
        const char *why = lacks ? no_memory : too_large;
        c->cut = false;
        c->queue.bytes_max += 4096; /* room for the end of a full queue */
        conn_tell(c, CONTROL_ERR, none, text_view(why));
        exit_code = 2;
    }
    uint8_t code = (uint8_t)exit_code;
    c->queue.bytes_max += 4096;
    conn_tell(c, CONTROL_DONE, none, (struct view){&code, 1});
    if (c->cut) { /* else the command waits for ever */
        conn_close(c);
    }
    conn_free_if_over(c); /* else when the command has read all and hangs up */
}

static void
conn_run(struct control_conn *c)
{
    struct control *k = c->control;
    c->running = true;
    c->mark = json_whole_mark();
    c->sink = (struct call_sink){c, sink_text, sink_blob, sink_done};
    net_wake(k->net); /* net_run returns, so that the owner can go on with it */
    k->handler(k->ctx, &c->input.call, &c->sink);
}

static void
on_received(void *owner, enum status st, size_t count)
{
    struct control_conn *c = owner;
    struct view input = {c->in, count};
    bool was_ready = c->input.ready;
    bool got = true;
    while (st == STATUS_OK && got) {
        struct frame f;
        st = frame_reader_next(&c->reader, &input, &f, &got);
        if (st == STATUS_OK && got) {
            st = control_input_take(&c->input, &f);
        }
    }
    if (st != STATUS_OK) { /* hung up, or not a call */
        conn_close(c);
        return;
    }
    loop_stream_receive(c->stream, c->in, sizeof c->in);
    if (c->input.ready && !was_ready) {
        conn_run(c);
    }
}

static void
on_sent(void *owner, enum status st, size_t count)
{
    struct control_conn *c = owner;
    c->sending = false;
    if (st != STATUS_OK) {
        conn_close(c);
        return;
    }
    c->out_first += count;
    conn_pump(c);
}

static void
on_gone(void *owner)
{
    struct control_conn *c = owner;
    c->stream = NULL;
    conn_free_if_over(c);
}

static const struct loop_stream_events stream_events = {on_received, on_sent, on_gone};

/* Over the limit the oldest connection goes that has no call under way: it says
 * nothing, or does not take its answer. */
static void
make_room(struct control *k)
{
    struct control_conn *oldest = NULL;
    for (struct control_conn *c = k->conns; c != NULL; c = c->next) {
        if (!c->running && !c->over) {
            oldest = c;
        }
    }
    if (oldest != NULL) {
        conn_close(oldest);
    }
}

static void
on_accepted(void *owner, nng_stream *stream)
{
    struct control *k = owner;
    uint64_t uid = 0;
    bool known = nng_stream_get_uint64(stream, NNG_OPT_IPC_PEER_UID, &uid) == 0;
    struct control_conn *c = NULL;
    size_t open = 0;
    for (const struct control_conn *other = k->conns; other != NULL; other = other->next) {
        open += !other->over;
    }
    if (open >= CONTROL_CALLS_MAX) {
        make_room(k);
    }
    if (k->conn_count < 2 * CONTROL_CALLS_MAX && /* some are being closed */
        (!known || uid == 0 || uid == (uint64_t)geteuid())) {
        c = calloc(1, sizeof *c);
    }
    if (c == NULL) {
        loop_drop(net_loop(k->net), stream);
        return;
    }
    if (loop_stream_open(net_loop(k->net), stream, &stream_events, c, &c->stream) !=
        STATUS_OK) {
        free(c);
        return;
    }
    c->control = k;
    c->queue.bytes_max = ANSWER_BYTES_MAX;
    c->next = k->conns;
    k->conns = c;
    k->conn_count++;
    loop_stream_receive(c->stream, c->in, sizeof c->in);
}

static void
on_accept_failed(void *owner, enum status st)
{
    (void)owner, (void)st; /* the loop tries again */
}

static const struct loop_listener_events listener_events = {on_accepted, on_accept_failed};

/* Connect to see whether somebody answers. */
static enum status
somebody_answers(const char *url, nng_stream **stream)
{
    nng_stream_dialer *d = NULL;
    nng_aio *aio = NULL;
    *stream = NULL;
    int rc = nng_aio_alloc(&aio, NULL, NULL);
    if (rc == 0 && (rc = nng_stream_dialer_alloc(&d, url)) == 0) {
        nng_aio_set_timeout(aio, SESSION_OPEN_MS_MAX);
        nng_stream_dialer_dial(d, aio);
        nng_aio_wait(aio);
        if ((rc = nng_aio_result(aio)) == 0) {
            *stream = nng_aio_get_output(aio, 0);
        }
    }
    nng_stream_dialer_free(d);
    nng_aio_free(aio);
    return loop_status(rc);
}

static void
hang_up(nng_stream *stream)
{
    if (stream != NULL) {
        nng_stream_close(stream);
        nng_stream_free(stream);
    }
}

/* Remove the socket of a process that is no more. */
static enum status
remove_stale(const char *path, const char *url)
{
    struct stat info;
    nng_stream *stream;
    if (lstat(path, &info) != 0) {
        return errno == ENOENT ? STATUS_OK : STATUS_IO;
    }
    if (!S_ISSOCK(info.st_mode)) {
        return STATUS_EXISTS;
    }
    enum status st = somebody_answers(url, &stream);
    hang_up(stream);
    if (st == STATUS_OK) {
        return STATUS_BUSY;
    }
    return st == STATUS_UNAVAILABLE && unlink(path) == 0 ? STATUS_OK : STATUS_IO;
}

enum status
control_listen(struct net *n, const char *path, control_handler *handler, void *ctx,
               struct control **out)
{
    char url[URL_CHARS_MAX + 1];
    *out = NULL;
    enum status st = url_of(path, url);
    if (st != STATUS_OK || (st = remove_stale(path, url)) != STATUS_OK) {
        return st;
    }
    struct control *k = calloc(1, sizeof *k);
    if (k == NULL) {
        return STATUS_NO_MEMORY;
    }
    *k = (struct control){.net = n, .handler = handler, .ctx = ctx};
    mode_t before = umask(0177); /* from its first moment it is the owner's alone */
    st = loop_listen(net_loop(n), url, &listener_events, k, &k->listener);
    umask(before);
    if (st != STATUS_OK) {
        free(k);
        return st;
    }
    *out = k;
    return STATUS_OK;
}

void
control_close(struct control *k)
{
    if (k == NULL) {
        return;
    }
    loop_listener_close(k->listener);
    for (struct control_conn *c = k->conns, *next; c != NULL; c = next) {
        next = c->next;
        c->control = NULL; /* the connection ends by itself */
        conn_close(c);
    }
    free(k);
}

/* ---- the command's side ----------------------------------------------------------- */

static enum status
write_all(nng_stream *stream, nng_aio *aio, struct frame_queue *q)
{
    for (struct view v = frame_queue_view(q); v.count > 0; v = frame_queue_view(q)) {
        nng_iov iov = {(void *)(uintptr_t)v.bytes, v.count};
        nng_aio_set_iov(aio, 1, &iov);
        nng_stream_send(stream, aio);
        nng_aio_wait(aio);
        if (nng_aio_result(aio) != 0) {
            return STATUS_IO;
        }
        frame_queue_drop(q, nng_aio_count(aio));
    }
    return STATUS_OK;
}

static enum status
write_parts(nng_stream *stream, nng_aio *aio, enum control_kind kind, struct view raw)
{
    struct frame_queue q = {.bytes_max = FRAME_BYTES_MAX};
    enum status st;
    do {
        struct frame f = {.kind = (uint8_t)kind, .raw = raw};
        if (raw.count > CONTROL_PART_BYTES_MAX) {
            f.raw.count = CONTROL_PART_BYTES_MAX;
        }
        f.last = f.raw.count == raw.count;
        if ((st = frame_queue_add(&q, &f)) == STATUS_OK) {
            st = write_all(stream, aio, &q);
        }
        raw.bytes = raw.bytes == NULL ? NULL : raw.bytes + f.raw.count;
        raw.count -= f.raw.count;
    } while (st == STATUS_OK && raw.count > 0);
    frame_queue_free(&q);
    return st;
}

static enum status
write_call(nng_stream *stream, nng_aio *aio, const struct call *call, struct view args)
{
    struct view command = {(const uint8_t *)call->command, strlen(call->command)};
    enum status st = write_parts(stream, aio, CONTROL_COMMAND, command);
    if (st == STATUS_OK) {
        st = write_parts(stream, aio, CONTROL_ARGS, args);
    }
    for (size_t i = 0; st == STATUS_OK && i < call->blob_count; i++) {
        st = write_parts(stream, aio, CONTROL_BLOB, call->blobs[i]);
    }
    return st == STATUS_OK ? write_parts(stream, aio, CONTROL_RUN, (struct view){NULL, 0}) : st;
}

struct answer {
    struct call_sink *sink;
    struct control_bytes part; /* of a blob */
    bool done;
};

static enum status
take_blob(struct answer *a, const struct frame *f)
{
    char name[CONTROL_NAME_CHARS_MAX + 1] = {0};
    if (!control_name_ok(f->message)) {
        return STATUS_MALFORMED;
    }
    enum status st = control_bytes_add(&a->part, f->raw, IMPORT_FILE_BYTES_MAX);
    if (st == STATUS_OK && f->last) {
        memcpy(name, f->message.bytes, f->message.count);
        a->sink->blob(a->sink->ctx, name, (struct view){a->part.bytes, a->part.count});
        control_bytes_free(&a->part);
    }
    return st;
}

static enum status
take_answer(struct answer *a, const struct frame *f)
{
    if (a->done || f->request != 0) {
        return STATUS_MALFORMED;
    }
    switch (f->kind) {
    case CONTROL_OUT:
    case CONTROL_ERR:
        a->sink->text(a->sink->ctx, f->kind == CONTROL_ERR, (const char *)f->raw.bytes,
                      f->raw.count);
        return STATUS_OK;
    case CONTROL_BLOB:
        return take_blob(a, f);
    case CONTROL_DONE:
        if (f->raw.count != 1) {
            return STATUS_MALFORMED;
        }
        a->done = true;
        a->sink->done(a->sink->ctx, f->raw.bytes[0]);
        return STATUS_OK;
    default:
        return STATUS_MALFORMED;
    }
}

static enum status
read_answer(nng_stream *stream, nng_aio *aio, struct call_sink *sink)
{
    struct answer a = {.sink = sink};
    struct frame_reader reader = {0};
    uint8_t *in = malloc(IN_BYTES);
    enum status st = in == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    while (st == STATUS_OK && !a.done) {
        nng_iov iov = {in, IN_BYTES};
        nng_aio_set_iov(aio, 1, &iov);
        nng_stream_recv(stream, aio);
        nng_aio_wait(aio);
        if (nng_aio_result(aio) != 0 || nng_aio_count(aio) == 0) {
            st = STATUS_IO;
            break;
        }
        struct view input = {in, nng_aio_count(aio)};
        bool got = true;
        while (st == STATUS_OK && got) {
            struct frame f;
            st = frame_reader_next(&reader, &input, &f, &got);
            if (st == STATUS_OK && got) {
                st = take_answer(&a, &f);
            }
        }
    }
    control_bytes_free(&a.part);
    frame_reader_free(&reader);
    free(in);
    return a.done ? STATUS_OK : st;
}

/* Everything within its limits? */
static bool
call_fits(const struct call *call, struct view args)
{
    size_t all = 0;
    for (size_t i = 0; i < call->blob_count; i++) {
        if (call->blobs[i].count > IMPORT_FILE_BYTES_MAX - all) {
            return false;
        }
        all += call->blobs[i].count;
    }
    return args.count <= JSON_BYTES_MAX && call->blob_count <= CONTROL_BLOBS_MAX;
}

enum status
control_call(const char *path, const struct call *call, struct call_sink *sink)
{
    char url[URL_CHARS_MAX + 1];
    nng_stream *stream = NULL;
    nng_aio *aio = NULL;
    struct view name = {(const uint8_t *)call->command, strlen(call->command)};
    assert(control_name_ok(name) && json_is_object(call->args));
    enum status st = url_of(path, url);
    if (st != STATUS_OK) {
        return st;
    }
    char *args = json_whole_text(call->args, JSON_COMPACT | JSON_SORT_KEYS, json_whole_mark());
    struct view text = {(const uint8_t *)args, args == NULL ? 0 : strlen(args)};
    if (args == NULL) {
        st = STATUS_NO_MEMORY;
    } else if (!call_fits(call, text)) {
        st = STATUS_TOO_BIG;
    } else if ((st = somebody_answers(url, &stream)) == STATUS_OK) {
        st = nng_aio_alloc(&aio, NULL, NULL) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
        /* When the daemon refuses in the middle of it, its words count. */
        enum status sent = st == STATUS_OK ? write_call(stream, aio, call, text) : st;
        if (st == STATUS_OK) {
            st = sent == STATUS_NO_MEMORY ? sent : read_answer(stream, aio, sink);
        }
    }
    hang_up(stream);
    nng_aio_free(aio);
    free(args);
    return st;
}
