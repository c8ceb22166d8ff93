/* bench_net.c: round trips between two processes over loopback: a plain nng stream
 * (the floor) and our sessions, one to 64 requests in flight; and bulk transfer.
 * 200 bytes are asked and 1,500 answered, as in PERFORMANCE 4.
 *
 * usage: bench_net [SECONDS_PER_ROW]    (default 1) */
#include <inttypes.h>
#include <nng/nng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/keys.h"
#include "node/net.h"

enum { ASK_BYTES = 200, TELL_BYTES = 1500, BULK_BYTES = 512 * 1024, SAMPLES_MAX = 4 << 20 };

static const char network[] = "bench.example";
static struct network_keys keys[2]; /* 0 serves, 1 asks */
static uint8_t bytes[BULK_BYTES];
static uint32_t *samples_ns;

static int64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double
cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static int
by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void
row(const char *name, size_t count, int64_t ns, double cpu, double bytes_each)
{
    double s = (double)ns / 1e9;
    size_t n = count < SAMPLES_MAX ? count : SAMPLES_MAX;
    qsort(samples_ns, n, sizeof *samples_ns, by_size);
    printf("%-34s %10.0f /s  p50 %7.1f us  p99 %8.1f us  cpu %6.2f us", name, (double)count / s,
           samples_ns[n / 2] / 1e3, samples_ns[n * 99 / 100] / 1e3, cpu * 1e6 / (double)count);
    if (bytes_each > 0) {
        printf("  %6.0f MB/s", (double)count * bytes_each / s / 1e6);
    }
    printf("\n");
    fflush(stdout);
}

static void
fail(const char *what)
{
    fprintf(stderr, "bench_net: %s\n", what);
    exit(2);
}

/* ---- the floor: nng streams, one round trip at a time ---- */

static void
move_all(nng_stream *s, nng_aio *aio, uint8_t *at, size_t count, bool send)
{
    while (count > 0) {
        nng_iov iov = {at, count};
        nng_aio_set_iov(aio, 1, &iov);
        if (send) {
            nng_stream_send(s, aio);
        } else {
            nng_stream_recv(s, aio);
        }
        nng_aio_wait(aio);
        if (nng_aio_result(aio) != 0) {
            exit(0); /* the other side has ended */
        }
        at += nng_aio_count(aio);
        count -= nng_aio_count(aio);
    }
}

static void
raw_serve(int port_fd)
{
    nng_stream_listener *l;
    nng_aio *aio = NULL;
    int port = 0;
    static uint8_t in[ASK_BYTES];
    if (nng_stream_listener_alloc(&l, "tcp://127.0.0.1:0") != 0 ||
        nng_stream_listener_listen(l) != 0 ||
        nng_stream_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &port) != 0 ||
        nng_aio_alloc(&aio, NULL, NULL) != 0) {
        fail("cannot listen");
    }
    uint16_t p = (uint16_t)port;
    if (write(port_fd, &p, sizeof p) != sizeof p) {
        fail("pipe");
    }
    nng_stream_listener_accept(l, aio);
    nng_aio_wait(aio);
    nng_stream *s = nng_aio_get_output(aio, 0);
    for (;;) {
        move_all(s, aio, in, sizeof in, false);
        move_all(s, aio, bytes, TELL_BYTES, true);
    }
}

static void
raw_ask(uint16_t port, double seconds)
{
    char url[64];
    nng_stream_dialer *d;
    nng_aio *aio = NULL;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
    if (nng_stream_dialer_alloc(&d, url) != 0 || nng_aio_alloc(&aio, NULL, NULL) != 0) {
        fail("cannot dial");
    }
    nng_stream_dialer_dial(d, aio);
    nng_aio_wait(aio);
    if (nng_aio_result(aio) != 0) {
        fail("cannot dial");
    }
    nng_stream *s = nng_aio_get_output(aio, 0);
    int64_t begin = now_ns(), end = begin + (int64_t)(seconds * 1e9), at = begin;
    double cpu = cpu_s();
    size_t count = 0;
    while (at < end) {
        int64_t t = at;
        move_all(s, aio, bytes, ASK_BYTES, true);
        move_all(s, aio, bytes, TELL_BYTES, false);
        at = now_ns();
        samples_ns[count % SAMPLES_MAX] = (uint32_t)(at - t);
        count++;
    }
    row("nng stream, plain, 1 in flight", count, at - begin, cpu_s() - cpu, 0);
    nng_stream_close(s);
    nng_stream_free(s);
    nng_stream_dialer_free(d);
    nng_aio_free(aio);
}

/* ---- sessions ---- */

struct bench {
    struct net *net;
    bool server;
    bool over;        /* the server may go */
    uint32_t session; /* when up */
    size_t in_flight, answers;
    size_t ask_bytes;
    uint8_t kind;
    int64_t begun_ns[REQUESTS_IN_FLIGHT_MAX + 1];
    int64_t begin_ns, end_ns;
};

static bool
is_member(void *ctx, const char *name, const uint8_t session_public[KEY_BYTES],
          char institution[INSTITUTION_CHARS_MAX + 1])
{
    (void)ctx, (void)name;
    if (memcmp(session_public, keys[1].session.public_key, KEY_BYTES) != 0) {
        return false;
    }
    strcpy(institution, "asker");
    return true;
}

static const struct network_keys *
our_keys(void *ctx, const char *name)
{
    return strcmp(name, network) == 0 ? &keys[((struct bench *)ctx)->server ? 0 : 1] : NULL;
}

static void
ask(struct bench *b, uint32_t slot, int64_t now)
{
    b->begun_ns[slot] = now;
    if (net_send(b->net, b->session, slot, b->kind, true, (struct view){NULL, 0},
                 (struct view){bytes, b->ask_bytes}) != STATUS_OK) {
        fail("a request could not be queued");
    }
}

static void
on_event(void *ctx, const struct net_event *e)
{
    struct bench *b = ctx;
    if (e->type == NET_UP) {
        b->session = e->session;
        return;
    }
    if (e->type == NET_DOWN) {
        if (!b->server && !b->over && e->status != STATUS_OK) {
            fail(e->reason);
        }
        return;
    }
    const struct frame *f = &e->frame;
    if (b->server) {
        if (f->request == 0) { /* a push: that was all */
            exit(0);
        }
        struct view raw = {bytes, f->kind == FRAME_RANGE ? BULK_BYTES : TELL_BYTES};
        if (net_send(b->net, e->session, f->request, f->kind | FRAME_ANSWER, true,
                     (struct view){NULL, 0}, raw) != STATUS_OK) {
            fail("an answer could not be queued");
        }
        return;
    }
    int64_t now = now_ns();
    samples_ns[b->answers % SAMPLES_MAX] = (uint32_t)(now - b->begun_ns[f->request]);
    b->answers++;
    if (now < b->end_ns) {
        ask(b, f->request, now);
    } else {
        b->in_flight--;
    }
}

static struct net *
bench_open(struct bench *b)
{
    struct net_options o = {.ctx = b,
                            .member = is_member,
                            .keys = our_keys,
                            .event = on_event,
                            .software = "bench"};
    if (net_open(&o, &b->net) != STATUS_OK) {
        fail("no net");
    }
    return b->net;
}

static void
net_serve(int port_fd)
{
    struct bench b = {.server = true};
    uint16_t port;
    if (net_listen(bench_open(&b), "tcp://127.0.0.1:0", &port) != STATUS_OK ||
        write(port_fd, &port, sizeof port) != sizeof port) {
        fail("cannot listen");
    }
    for (;;) {
        net_run(b.net, -1);
    }
}

static void
net_row(struct bench *b, const char *name, size_t in_flight, uint8_t kind, double seconds)
{
    struct net_stats before, after;
    net_stats(b->net, &before);
    b->kind = kind;
    b->ask_bytes = ASK_BYTES;
    b->answers = 0;
    b->in_flight = in_flight;
    b->begin_ns = now_ns();
    b->end_ns = b->begin_ns + (int64_t)(seconds * 1e9);
    double cpu = cpu_s();
    for (size_t i = 0; i < in_flight; i++) {
        ask(b, (uint32_t)i + 1, b->begin_ns);
    }
    while (b->in_flight > 0) {
        net_run(b->net, -1);
    }
    row(name, b->answers, now_ns() - b->begin_ns, cpu_s() - cpu,
        kind == FRAME_RANGE ? BULK_BYTES : 0);
    net_stats(b->net, &after);
    printf("%34s %.2f requests a write\n", "",
           (double)(after.frames_out - before.frames_out) /
               (double)(after.writes - before.writes));
}

static void
net_ask(uint16_t port, double seconds)
{
    struct bench b = {0};
    char url[64];
    uint32_t id;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
    bench_open(&b);
    for (int i = 0; i < 50; i++) { /* sessions opened one after the other */
        net_close_session(b.net, b.session);
        int64_t t = now_ns();
        b.session = 0;
        if (net_dial(b.net, network, "server", url, keys[0].session.public_key, &id) !=
            STATUS_OK) {
            fail("cannot dial");
        }
        while (b.session != id) {
            net_run(b.net, -1);
        }
        samples_ns[i] = (uint32_t)(now_ns() - t);
    }
    qsort(samples_ns, 50, sizeof *samples_ns, by_size);
    printf("%-34s p50 %7.1f us\n", "session opened (dial to up)", samples_ns[25] / 1e3);
    net_row(&b, "session, 1 in flight", 1, FRAME_LOOKUP, seconds);
    net_row(&b, "session, 8 in flight", 8, FRAME_LOOKUP, seconds);
    net_row(&b, "session, 64 in flight", 64, FRAME_LOOKUP, seconds);
    net_row(&b, "session, 256 in flight", 256, FRAME_LOOKUP, seconds);
    net_row(&b, "session, 512 KiB answers, 4", 4, FRAME_RANGE, seconds);
    b.over = true;
    if (net_send(b.net, b.session, 0, FRAME_RELY, true, (struct view){NULL, 0},
                 (struct view){NULL, 0}) != STATUS_OK) {
        fail("the end could not be queued");
    }
    net_run(b.net, 100);
    net_close(b.net);
}

static void
pair(void (*serve)(int port_fd), void (*ask_it)(uint16_t port, double seconds), double seconds)
{
    int fds[2];
    uint16_t port;
    fflush(stdout);
    if (pipe(fds) != 0) {
        fail("pipe");
    }
    pid_t parent = fork(); /* before anything of nng (RELIABILITY N14) */
    if (parent == 0) {
        close(fds[0]);
        serve(fds[1]);
        exit(0);
    }
    pid_t asker = fork();
    if (asker == 0) {
        close(fds[1]);
        if (read(fds[0], &port, sizeof port) != sizeof port) {
            fail("no server");
        }
        ask_it(port, seconds);
        exit(0);
    }
    close(fds[0]);
    close(fds[1]);
    waitpid(asker, NULL, 0);
    waitpid(parent, NULL, 0);
}

int
main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    samples_ns = calloc(SAMPLES_MAX, sizeof *samples_ns);
    if (samples_ns == NULL) {
        return 2;
    }
    keys_derive((const uint8_t[KEY_BYTES]){1}, network, &keys[0]);
    keys_derive((const uint8_t[KEY_BYTES]){2}, network, &keys[1]);
    pair(raw_serve, raw_ask, seconds);
    pair(net_serve, net_ask, seconds);
    free(samples_ns);
    return 0;
}
