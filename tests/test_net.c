/* Goal: sessions over real sockets carry requests whatever strangers do to the
 * listener; caps hold; nothing hangs; what ends is told once, with a reason.
 * Method: two or more nets in one process, the serving one on a thread of its own,
 * and attackers with plain sockets, all on the loopback; bounded in count and time. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/net.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
/* nng is built without it: its reference counts, which order the end of a mutex after
 * its last use, are not seen. */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
    return "race:pthread_mutex_destroy\nrace:pthread_cond_destroy\n";
}
#endif
#endif

static const char network[] = "yx-county.hb.cn";
enum { SERVER, CLIENT, STRANGER, KEYS_COUNT };
static struct network_keys keys[KEYS_COUNT];
static uint8_t big[FRAME_BYTES_MAX];

/* A net and what came out of it.  The counters are for the thread of the net. */
struct node {
    struct net *net;
    int who;
    pthread_t thread;
    atomic_bool stop;
    uint16_t port;
    bool answers_big;
    size_t ups, downs, frames, wrong;
    uint32_t up_session; /* the last that came up */
    uint32_t down_session;
    enum status down_status;
    char down_reason[128];
    char up_institution[INSTITUTION_CHARS_MAX + 1];
    uint8_t up_instance;
    struct net_stats stats; /* of a server, when it has ended */
};

static bool
is_member(void *ctx, const char *name, const uint8_t session_public[KEY_BYTES],
          char institution[INSTITUTION_CHARS_MAX + 1])
{
    (void)ctx;
    if (strcmp(name, network) != 0 ||
        memcmp(session_public, keys[CLIENT].session.public_key, KEY_BYTES) != 0) {
        return false;
    }
    strcpy(institution, "client");
    return true;
}

static const struct network_keys *
our_keys(void *ctx, const char *name)
{
    return strcmp(name, network) == 0 ? &keys[((struct node *)ctx)->who] : NULL;
}

/* A server gives back what it got; a client counts. */
static void
on_event(void *ctx, const struct net_event *e)
{
    struct node *n = ctx;
    const struct frame *f = &e->frame;
    switch (e->type) {
    case NET_UP:
        n->ups++;
        n->up_session = e->session;
        n->up_instance = e->instance[0];
        snprintf(n->up_institution, sizeof n->up_institution, "%s", e->institution);
        break;
    case NET_DOWN:
        n->downs++;
        n->down_session = e->session;
        n->down_status = e->status;
        snprintf(n->down_reason, sizeof n->down_reason, "%s", e->reason);
        break;
    case NET_FRAME:
        n->frames++;
        if (n->who == SERVER && f->request != 0) {
            for (int part = 0; n->answers_big && part < 3; part++) {
                struct view raw = {big, sizeof big - FRAME_HEAD_BYTES - f->message.count};
                n->wrong += net_send(n->net, e->session, f->request, f->kind | FRAME_ANSWER,
                                     false, f->message, raw) != STATUS_OK;
            }
            n->wrong += net_send(n->net, e->session, f->request, f->kind | FRAME_ANSWER, true,
                                 f->message, f->raw) != STATUS_OK;
        }
        break;
    }
}

static void
node_open(struct node *n, int who, const struct net_options *with)
{
    struct net_options o = with == NULL ? (struct net_options){0} : *with;
    *n = (struct node){.who = who};
    o.ctx = n;
    o.member = is_member;
    o.keys = our_keys;
    o.event = on_event;
    o.software = "test";
    o.instance[0] = (uint8_t)(40 + who);
    assert_int_equal(net_open(&o, &n->net), STATUS_OK);
}

static void *
node_main(void *arg)
{
    struct node *n = arg;
    while (!atomic_load(&n->stop)) {
        net_run(n->net, -1);
    }
    net_stats(n->net, &n->stats);
    net_close(n->net);
    return NULL;
}

static void
serve(struct node *n, const struct net_options *with)
{
    node_open(n, SERVER, with);
    assert_int_equal(net_listen(n->net, "tcp://127.0.0.1:0", &n->port), STATUS_OK);
    assert_int_not_equal(n->port, 0);
    assert_int_equal(pthread_create(&n->thread, NULL, node_main, n), 0);
}

static void
serve_end(struct node *n)
{
    atomic_store(&n->stop, true);
    net_wake(n->net);
    assert_int_equal(pthread_join(n->thread, NULL), 0);
    assert_int_equal(n->wrong, 0);
}

static uint32_t
dial_with(struct node *n, uint16_t port, int whom)
{
    char url[64];
    uint32_t id;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
    assert_int_equal(
        net_dial(n->net, network, "server", url, keys[whom].session.public_key, &id),
        STATUS_OK);
    assert_int_not_equal(id, 0);
    return id;
}

/* Run until the counter has risen to `want`, 5 s at most. */
static void
wait_for(struct node *n, const size_t *counter, size_t want)
{
    int64_t end_ms = net_time_ms() + 5000;
    while (*counter < want && net_time_ms() < end_ms) {
        net_run(n->net, 100);
    }
    assert_true(*counter >= want);
}

static uint32_t
dial_up(struct node *n, uint16_t port)
{
    uint32_t id = dial_with(n, port, SERVER);
    wait_for(n, &n->ups, n->ups + 1);
    assert_int_equal(n->up_session, id);
    return id;
}

static enum status
ask(struct node *n, uint32_t session, const char *what)
{
    return net_send(n->net, session, net_next_request(n->net), FRAME_LOOKUP, true,
                    (struct view){(const uint8_t *)what, strlen(what)}, (struct view){NULL, 0});
}

/* One question, its answer; how long it took. */
static int64_t
round_trip_ms(struct node *n, uint32_t session)
{
    int64_t begin_ms = net_time_ms();
    assert_int_equal(ask(n, session, "?"), STATUS_OK);
    wait_for(n, &n->frames, n->frames + 1);
    return net_time_ms() - begin_ms;
}

/* ---- strangers ---- */

static int
stranger_connect(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Begin to connect and wait 5 ms at most: the kernel lets those wait for a second
 * who come when the queue of the listener is full. */
static int
stranger_knock(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        (void)connect(fd, (const struct sockaddr *)&a, sizeof a);
        (void)poll(&p, 1, 5);
    }
    return fd;
}

/* Hang up so that the other side gets an error, not an end. */
static void
stranger_abort(int fd)
{
    struct linger l = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(fd);
}

/* Did the other side hang up within `ms`? */
static bool
hung_up(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;
    return poll(&p, 1, ms) == 1 && read(fd, &c, 1) <= 0;
}

/* Wait until `want` of them were hung up, 5 s at most; how many it were. */
static size_t
hung_up_of(const int *fds, size_t count, size_t want)
{
    int64_t end_ms = net_time_ms() + 5000;
    size_t gone = 0;
    while (gone < want && net_time_ms() < end_ms) {
        gone = 0;
        for (size_t i = 0; i < count; i++) {
            gone += hung_up(fds[i], 1);
        }
    }
    return gone;
}

struct storm {
    uint16_t port;
    size_t count;
    atomic_bool over;
};

static void *
storm_main(void *arg)
{
    struct storm *s = arg;
    static const char some[] = "huren 1 yx-county.hb.cn\n\0\x60 and so on";
    for (size_t i = 0; i < s->count; i++) {
        int fd = stranger_knock(s->port);
        if (fd >= 0) {
            size_t n = i % sizeof some;
            if (n > 0) {
                (void)!send(fd, some, n, MSG_NOSIGNAL);
            }
            stranger_abort(fd);
        }
    }
    atomic_store(&s->over, true);
    return NULL;
}

/* ---- tests ---- */

static void
test_many_requests_are_answered_in_few_writes(void **state)
{
    (void)state;
    struct node s, c;
    struct net_stats stats;
    serve(&s, NULL);
    node_open(&c, CLIENT, NULL);
    uint32_t id = dial_up(&c, s.port);
    assert_string_equal(c.up_institution, "server");
    assert_int_equal(c.up_instance, 40 + SERVER);
    for (size_t round = 1; round <= 50; round++) {
        for (int i = 0; i < 64; i++) {
            assert_int_equal(ask(&c, id, "what do you hold?"), STATUS_OK);
        }
        wait_for(&c, &c.frames, 64 * round);
    }
    net_stats(c.net, &stats);
    assert_int_equal(stats.sessions, 1);
    assert_int_equal(stats.frames_out, 3200);
    assert_in_range(stats.writes, 50, 100); /* 64 frames a write, and the opening */
    net_close(c.net);
    serve_end(&s);
    assert_int_equal(s.frames, 3200);
    assert_in_range(s.stats.writes, 50, 400);
    assert_string_equal(s.up_institution, "client");
}

static void
test_large_answers_arrive_in_parts(void **state)
{
    (void)state;
    struct node s, c;
    serve(&s, NULL);
    s.answers_big = true; /* before anything is asked */
    node_open(&c, CLIENT, NULL);
    uint32_t id = dial_up(&c, s.port);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(&c, id, "much"), STATUS_OK);
    }
    wait_for(&c, &c.frames, 16);
    net_close(c.net);
    serve_end(&s);
}

static void
test_an_ipc_address_works_too(void **state)
{
    (void)state;
    struct node s, c;
    char url[64];
    uint32_t id;
    snprintf(url, sizeof url, "ipc:///tmp/huren-test-net-%ld", (long)getpid());
    node_open(&s, SERVER, NULL);
    assert_int_equal(net_listen(s.net, url, NULL), STATUS_OK);
    assert_int_equal(pthread_create(&s.thread, NULL, node_main, &s), 0);
    node_open(&c, CLIENT, NULL);
    assert_int_equal(
        net_dial(c.net, network, "server", url, keys[SERVER].session.public_key, &id),
        STATUS_OK);
    wait_for(&c, &c.ups, 1);
    (void)round_trip_ms(&c, id);
    net_close(c.net);
    serve_end(&s);
}

static void
test_who_cannot_be_reached_or_trusted_is_down_with_a_reason(void **state)
{
    (void)state;
    struct node s, c, x;
    uint32_t id;
    serve(&s, NULL);
    node_open(&c, CLIENT, NULL);
    id = dial_with(&c, 1, SERVER); /* nobody listens there */
    wait_for(&c, &c.downs, 1);
    assert_int_equal(c.down_session, id);
    assert_int_equal(c.down_status, STATUS_UNAVAILABLE);
    id = dial_with(&c, s.port, STRANGER); /* another one listens there */
    wait_for(&c, &c.downs, 2);
    assert_int_equal(c.down_session, id);
    assert_int_not_equal(c.down_status, STATUS_OK);
    assert_int_equal(c.ups, 0);
    assert_int_equal(ask(&c, id, "?"), STATUS_NOT_FOUND);
    node_open(&x, STRANGER, NULL); /* not a member */
    (void)dial_with(&x, s.port, SERVER);
    wait_for(&x, &x.downs, 1);
    assert_int_equal(x.ups, 0);
    static const char *const urls[] = {"", "tcp://", "http://127.0.0.1:80", "127.0.0.1:80",
                                       "tcp://127.0.0.1:99999999"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        size_t downs = c.downs;
        enum status st =
            net_dial(c.net, network, "server", urls[i], keys[SERVER].session.public_key, &id);
        if (st == STATUS_OK) { /* or it is found out later */
            wait_for(&c, &c.downs, downs + 1);
        } else {
            assert_int_equal(st, STATUS_MALFORMED);
        }
    }
    char busy[64];
    snprintf(busy, sizeof busy, "tcp://127.0.0.1:%u", s.port);
    assert_int_equal(net_listen(c.net, busy, NULL), STATUS_BUSY);
    net_close(x.net);
    net_close(c.net);
    serve_end(&s);
    assert_int_equal(s.ups + s.downs, 0);
}

static void
test_a_connection_that_does_not_open_is_closed_in_time(void **state)
{
    (void)state;
    struct node s;
    serve(&s, &(struct net_options){.open_ms_max = 300});
    int64_t begin_ms = net_time_ms();
    int silent = stranger_connect(s.port), dripping = stranger_connect(s.port);
    assert_true(silent >= 0 && dripping >= 0);
    static const char line[] = "huren 1 yx-county.hb.cn\n";
    bool closed = false;
    for (size_t i = 0; i < sizeof line && !closed; i++) { /* a byte each 50 ms */
        (void)!send(dripping, line + i, 1, MSG_NOSIGNAL);
        closed = hung_up(dripping, 50);
    }
    int64_t took_ms = net_time_ms() - begin_ms;
    assert_true(closed);
    assert_in_range(took_ms, 250, 1500);
    assert_true(hung_up(silent, 1000));
    close(silent);
    close(dripping);
    int rude = stranger_connect(s.port); /* and at once when it makes no sense */
    begin_ms = net_time_ms();
    (void)!write(rude, "GET / HTTP/1.1\r\n", 16);
    assert_true(hung_up(rude, 1000));
    assert_true(net_time_ms() - begin_ms < 250);
    close(rude);
    serve_end(&s);
    assert_int_equal(s.stats.failed, 3);
}

static void
test_honest_requests_go_on_during_a_storm(void **state)
{
    (void)state;
    enum { STORMS = 4, ABORTED = 500, IDLE = 200 };
    struct node s, c;
    static struct storm storms[STORMS];
    pthread_t threads[STORMS];
    int idle[IDLE];
    serve(&s, NULL);
    node_open(&c, CLIENT, NULL);
    uint32_t id = dial_up(&c, s.port);
    for (int i = 0; i < IDLE; i++) {
        idle[i] = stranger_connect(s.port);
    }
    for (int i = 0; i < STORMS; i++) {
        storms[i].port = s.port;
        storms[i].count = ABORTED;
        atomic_init(&storms[i].over, false);
        assert_int_equal(pthread_create(&threads[i], NULL, storm_main, &storms[i]), 0);
    }
    int64_t worst_ms = 0, slowest_ms = 0, begin_ms = net_time_ms();
    size_t rounds = 0, dials = 0;
    for (bool over = false; !over && net_time_ms() - begin_ms < 10000;) {
        int64_t ms = round_trip_ms(&c, id);
        worst_ms = ms > worst_ms ? ms : worst_ms;
        if (++rounds % 50 == 0) { /* honest members come, too */
            int64_t dial_ms = net_time_ms();
            uint32_t next = dial_with(&c, s.port, SERVER);
            size_t ups = c.ups, downs = c.downs;
            while (c.ups == ups && c.downs == downs) {
                net_run(c.net, 100);
            }
            dial_ms = net_time_ms() - dial_ms;
            slowest_ms = dial_ms > slowest_ms ? dial_ms : slowest_ms;
            if (c.ups > ups) {
                net_close_session(c.net, id);
                id = next;
                dials++;
            }
        }
        over = true;
        for (int i = 0; i < STORMS; i++) {
            over = over && atomic_load(&storms[i].over);
        }
    }
    print_message("storm took %lld ms\n", (long long)(net_time_ms() - begin_ms));
    for (int i = 0; i < STORMS; i++) {
        assert_true(atomic_load(&storms[i].over));
        pthread_join(threads[i], NULL);
    }
    begin_ms = net_time_ms();
    uint32_t after = dial_up(&c, s.port);
    (void)round_trip_ms(&c, after);
    assert_true(net_time_ms() - begin_ms < 2000);
    for (int i = 0; i < IDLE; i++) {
        if (idle[i] >= 0) {
            close(idle[i]);
        }
    }
    net_close(c.net);
    serve_end(&s);
    print_message("storm: %zu round trips, slowest %lld ms; %zu new sessions, slowest %lld ms; "
                  "%llu accepted, %llu evicted, %llu accept errors\n",
                  rounds, (long long)worst_ms, dials, (long long)slowest_ms,
                  (unsigned long long)s.stats.accepted, (unsigned long long)s.stats.evicted,
                  (unsigned long long)s.stats.accept_errors);
    assert_true(worst_ms <= 1000);
    assert_true(s.stats.accepted > STORMS * ABORTED / 2);
}

static void
test_caps_hold_and_idle_strangers_keep_nobody_out(void **state)
{
    (void)state;
    struct node s, c;
    int idle[8];
    serve(&s, &(struct net_options){.sessions_max = 6, .sessions_per_address_max = 4});
    for (int i = 0; i < 8; i++) {
        idle[i] = stranger_connect(s.port);
        assert_true(idle[i] >= 0);
    }
    assert_int_equal(hung_up_of(idle, 8, 4), 4); /* the oldest had to go */
    node_open(&c, CLIENT, NULL);
    uint32_t first = dial_up(&c, s.port);
    for (int i = 0; i < 3; i++) { /* a round trip: then it is open at the other end, too */
        (void)round_trip_ms(&c, dial_up(&c, s.port));
    }
    assert_int_equal(hung_up_of(idle, 8, 8), 8);
    (void)dial_with(&c, s.port, SERVER); /* four are open: an open one is never evicted */
    wait_for(&c, &c.downs, 1);
    (void)round_trip_ms(&c, first);
    for (int i = 0; i < 8; i++) {
        close(idle[i]);
    }
    net_close(c.net);
    serve_end(&s);
    assert_int_equal(s.stats.evicted, 8);
    assert_int_equal(s.stats.refused, 1);
    assert_int_equal(s.ups, 4);
}

static void
test_a_member_keeps_its_newest_sessions(void **state)
{
    (void)state;
    struct node s, c;
    serve(&s, NULL);
    node_open(&c, CLIENT, &(struct net_options){.sessions_max = 100});
    uint32_t first = dial_up(&c, s.port);
    for (int i = 1; i < SESSIONS_PER_MEMBER_MAX; i++) {
        (void)dial_up(&c, s.port);
    }
    assert_int_equal(c.downs, 0);
    (void)dial_up(&c, s.port);
    wait_for(&c, &c.downs, 1);
    assert_int_equal(c.down_session, first);
    net_close(c.net);
    serve_end(&s);
}

static void
test_sessions_are_renewed_without_losing_a_request(void **state)
{
    (void)state;
    struct node s, c;
    serve(&s, NULL);
    node_open(&c, CLIENT, &(struct net_options){.age_ms_max = 150});
    (void)dial_up(&c, s.port);
    size_t asked = 0;
    int64_t begin_ms = net_time_ms();
    while ((c.ups < 5 || c.downs < 4) && net_time_ms() - begin_ms < 8000) {
        if (ask(&c, c.up_session, "?") == STATUS_OK) {
            asked++;
        }
        wait_for(&c, &c.frames, asked);
        net_run(c.net, 5);
    }
    assert_true(c.ups >= 5 && c.downs >= 4);
    assert_int_equal(c.down_status, STATUS_OK);
    assert_int_equal(c.frames, asked);
    assert_true(net_time_ms() - begin_ms >= 4 * 150);
    net_close(c.net);
    serve_end(&s);
}

static void
test_a_server_that_goes_is_noticed(void **state)
{
    (void)state;
    struct node s, c;
    serve(&s, NULL);
    node_open(&c, CLIENT, NULL);
    uint32_t id = dial_up(&c, s.port);
    serve_end(&s);
    wait_for(&c, &c.downs, 1);
    assert_int_equal(c.down_session, id);
    assert_int_equal(c.down_status, STATUS_UNAVAILABLE);
    assert_int_equal(ask(&c, id, "?"), STATUS_NOT_FOUND);
    net_close_session(c.net, id); /* no such session: nothing happens */
    net_run(c.net, 20);
    assert_int_equal(c.downs, 1);
    net_close(c.net);
}

static void *
wake_main(void *arg)
{
    (void)poll(NULL, 0, 100);
    net_wake(arg);
    return NULL;
}

static void
test_waiting_ends_by_time_and_by_wake(void **state)
{
    (void)state;
    struct node c;
    pthread_t t;
    node_open(&c, CLIENT, NULL);
    int64_t begin_ms = net_time_ms();
    net_run(c.net, 0);
    assert_true(net_time_ms() - begin_ms < 50);
    net_run(c.net, 120);
    assert_in_range(net_time_ms() - begin_ms, 119, 1000);
    begin_ms = net_time_ms();
    assert_int_equal(pthread_create(&t, NULL, wake_main, c.net), 0);
    net_run(c.net, -1);
    assert_in_range(net_time_ms() - begin_ms, 90, 1000);
    pthread_join(t, NULL);
    net_wake(c.net); /* also when nobody waits yet */
    begin_ms = net_time_ms();
    net_run(c.net, -1);
    assert_true(net_time_ms() - begin_ms < 50);
    net_close(c.net);
}

static void
test_closing_in_the_middle_of_everything_ends_soon(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct node s, c;
        serve(&s, NULL);
        s.answers_big = true;
        node_open(&c, CLIENT, NULL);
        uint32_t id = dial_up(&c, s.port);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(ask(&c, id, "much"), STATUS_OK);
        }
        (void)dial_with(&c, s.port, SERVER);
        (void)dial_with(&c, 1, SERVER);
        net_run(c.net, round);
        int64_t begin_ms = net_time_ms();
        net_close(c.net);
        assert_true(net_time_ms() - begin_ms < 1000);
        begin_ms = net_time_ms();
        serve_end(&s);
        assert_true(net_time_ms() - begin_ms < 1000);
    }
}

static void
test_running_out_of_descriptors_is_survived(void **state)
{
    (void)state;
    enum { MORE = 40 };
    struct node s, c;
    struct rlimit before, few;
    int fds[MORE + 16];
    size_t count = 0;
    serve(&s, &(struct net_options){.sessions_per_address_max = 1000});
    node_open(&c, CLIENT, NULL);
    uint32_t id = dial_up(&c, s.port);
    (void)round_trip_ms(&c, id); /* open at both ends: else it gives way, as it should */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int top = dup(0);
    assert_true(top >= 0);
    close(top);
    few = before;
    few.rlim_cur = (rlim_t)top + MORE;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    /* Both ends are in this process: when no socket can be made, none can be accepted. */
    for (int tries = 0; tries < 200 && count < MORE + 16; tries++) {
        int fd = stranger_connect(s.port);
        if (fd >= 0) {
            fds[count++] = fd;
        } else {
            (void)poll(NULL, 0, 2);
        }
    }
    (void)poll(NULL, 0, 300);
    (void)round_trip_ms(&c, id); /* who is in stays in */
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    int64_t begin_ms = net_time_ms();
    size_t ups = c.ups;
    while (c.ups == ups && net_time_ms() - begin_ms < 5000) {
        size_t downs = c.downs;
        uint32_t next;
        char url[64];
        snprintf(url, sizeof url, "tcp://127.0.0.1:%u", s.port);
        if (net_dial(c.net, network, "server", url, keys[SERVER].session.public_key, &next) ==
            STATUS_OK) {
            while (c.ups == ups && c.downs == downs) {
                net_run(c.net, 100);
            }
        }
    }
    assert_true(c.ups > ups);
    print_message("descriptors: open again after %lld ms\n",
                  (long long)(net_time_ms() - begin_ms));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    net_close(c.net);
    serve_end(&s);
    print_message("descriptors: %llu accept errors, %llu evicted\n",
                  (unsigned long long)s.stats.accept_errors,
                  (unsigned long long)s.stats.evicted);
    assert_in_range(s.stats.accept_errors, 1, 500); /* it neither stopped nor spun */
}

int
main(void)
{
    for (int i = 0; i < KEYS_COUNT; i++) {
        keys_derive((const uint8_t[KEY_BYTES]){(uint8_t)(i + 1)}, network, &keys[i]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_requests_are_answered_in_few_writes),
        cmocka_unit_test(test_large_answers_arrive_in_parts),
        cmocka_unit_test(test_an_ipc_address_works_too),
        cmocka_unit_test(test_who_cannot_be_reached_or_trusted_is_down_with_a_reason),
        cmocka_unit_test(test_a_connection_that_does_not_open_is_closed_in_time),
        cmocka_unit_test(test_honest_requests_go_on_during_a_storm),
        cmocka_unit_test(test_caps_hold_and_idle_strangers_keep_nobody_out),
        cmocka_unit_test(test_a_member_keeps_its_newest_sessions),
        cmocka_unit_test(test_sessions_are_renewed_without_losing_a_request),
        cmocka_unit_test(test_a_server_that_goes_is_noticed),
        cmocka_unit_test(test_waiting_ends_by_time_and_by_wake),
        cmocka_unit_test(test_closing_in_the_middle_of_everything_ends_soon),
        cmocka_unit_test(test_running_out_of_descriptors_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
