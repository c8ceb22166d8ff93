/* Every bit of the opening line, of both handshake messages and of the first
 * transport message flipped on the way: none opens a session (F22).
 *
 * usage: handshake NODE_HOME MEMBER_HOME    NODE_HOME's daemon runs */
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"
#include "node/net.h"

/* ---- what the caller sends ---- */

static unsigned
flip_opening(const struct party *me, const struct party *node)
{
    unsigned tried = 0;
    struct mate m;
    struct noise n;
    memset(&m, 0, sizeof m);
    opening_make(&n, me, node, &m);
    for (size_t bit = 0; bit < 8 * m.opening_count; bit++) {
        opening_make(&n, me, node, &m); /* fresh: a replay would be refused for that */
        m.opening[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int fd = dial(node->port, 0);
        (void)send_all(fd, m.opening, m.opening_count);
        int got = drain(fd, PATIENCE_MS);
        check(got == 0, "opening with bit %zu flipped: %s", bit,
              got == LATE ? "the connection stays" : "it was answered");
        close(fd);
        tried++;
    }
    return tried;
}

/* The caller's first transport message: its hello. */
static unsigned
flip_hello(const struct party *me, const struct party *node)
{
    unsigned tried = 0;
    uint8_t plain[256], sealed[512];
    size_t count = hello_frame(plain, sizeof plain);
    for (size_t byte = 0; byte < count + 2 + NOISE_TAG_BYTES; byte++) {
        struct mate m;
        struct noise n;
        memset(&m, 0, sizeof m);
        m.fd = dial(node->port, 0);
        opening_make(&n, me, node, &m);
        if (!send_all(m.fd, m.opening, m.opening_count) ||
            !receive_all(m.fd, m.answer_2, sizeof m.answer_2, PATIENCE_MS) ||
            noise_read_2(&n, (struct view){m.answer_2 + 2, NOISE_MESSAGE_2_BYTES}) !=
                STATUS_OK) {
            check(false, "a good opening is not answered");
            mate_close(&m);
            continue;
        }
        noise_split(&n, &m.keys);
        size_t all = mate_seal(&m, plain, count, sealed);
        sealed[byte] ^= (uint8_t)(1 << chance(8));
        if (byte < 2) { /* a length: too short is refused at once, too long is waited for */
            sealed[0] = 0;
            sealed[1] = (uint8_t)(byte == 0 ? 0 : sealed[1] - 1);
        }
        (void)send_all(m.fd, sealed, all);
        (void)shutdown(m.fd, SHUT_WR);
        /* Its own hello may come; nothing else, and it hangs up. */
        check(drain(m.fd, PATIENCE_MS) != LATE, "a hello with byte %zu flipped stays open",
              byte);
        mate_close(&m);
        tried++;
    }
    return tried;
}

/* ---- what the answerer sends: a real net dials through us ---- */

struct caller {
    const struct party *me, *node;
    int up, down;
};

static bool
caller_member(void *ctx, const char *network, const uint8_t session_public[KEY_BYTES],
              char institution[INSTITUTION_CHARS_MAX + 1])
{
    (void)ctx, (void)network, (void)session_public, (void)institution;
    return false;
}

static const struct network_keys *
caller_keys(void *ctx, const char *network)
{
    struct caller *c = ctx;
    return strcmp(network, c->me->network) == 0 ? &c->me->keys : NULL;
}

static void
caller_event(void *ctx, const struct net_event *e)
{
    struct caller *c = ctx;
    c->up += e->type == NET_UP;
    c->down += e->type == NET_DOWN;
}

/* The child: dials once for each byte read from `orders`, tells 'U' or 'D'. */
static void
caller_main(const struct party *me, const struct party *node, uint16_t port, int orders,
            int reports)
{
    struct caller c = {.me = me, .node = node};
    struct net_options o = {.ctx = &c,
                            .member = caller_member,
                            .keys = caller_keys,
                            .event = caller_event,
                            .software = "caller"};
    struct net *net;
    char url[64], order;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", port);
    if (net_open(&o, &net) != STATUS_OK) {
        _exit(2);
    }
    while (read(orders, &order, 1) == 1) {
        uint32_t session;
        c.up = c.down = 0;
        if (net_dial(net, me->network, node->institution, url, node->keys.session.public_key,
                     &session) != STATUS_OK) {
            _exit(2);
        }
        while (c.up == 0 && c.down == 0) {
            net_run(net, 1000);
        }
        char report = c.up > 0 ? 'U' : 'D';
        if (c.up > 0) {
            net_close_session(net, session);
            while (c.down == 0) {
                net_run(net, 1000);
            }
        }
        if (write(reports, &report, 1) != 1) {
            break;
        }
    }
    net_close(net);
    _exit(0);
}

/* Pass one connection on; bit `flip` of what comes back is flipped (none: SIZE_MAX). */
static void
pass_on(int from, int to, size_t flip, int report)
{
    size_t back = 0;
    for (;;) {
        uint8_t bytes[16384];
        struct pollfd p[3] = {{.fd = from, .events = POLLIN},
                              {.fd = to, .events = POLLIN},
                              {.fd = report, .events = POLLIN}};
        if (poll(p, 3, PATIENCE_MS) <= 0) {
            return;
        }
        for (int i = 0; i < 2; i++) {
            if (p[i].revents != 0) {
                ssize_t n = recv(p[i].fd, bytes, sizeof bytes, 0);
                if (n <= 0) {
                    return;
                }
                for (ssize_t k = 0; i == 1 && k < n; k++) {
                    if (back + (size_t)k == flip / 8) {
                        bytes[k] ^= (uint8_t)(1 << flip % 8);
                    }
                }
                back += i == 1 ? (size_t)n : 0;
                if (!send_all(p[1 - i].fd, bytes, (size_t)n)) {
                    return;
                }
            }
        }
        if (p[2].revents != 0) {
            return;
        }
    }
}

static unsigned
flip_answer(const struct party *me, const struct party *node)
{
    int orders[2], reports[2];
    uint16_t port = 0;
    int listener = listen_any(&port);
    if (pipe(orders) != 0 || pipe(reports) != 0) {
        die("pipe");
    }
    pid_t child = fork();
    if (child == 0) {
        close(orders[1]);
        close(reports[0]);
        close(listener);
        caller_main(me, node, port, orders[0], reports[1]);
    }
    close(orders[0]);
    close(reports[1]);
    unsigned tried = 0;
    /* Message 2, and the first message behind it up to its 60th byte. */
    size_t bits = 8 * (ANSWER_2_BYTES + 60);
    for (size_t bit = 0; bit <= bits; bit++) {
        bool whole = bit == bits; /* at last one that nobody touches */
        if (bit >= 8 * ANSWER_2_BYTES && bit % 8 != bit / 8 % 8 && !whole) {
            continue; /* behind message 2 a bit of each byte */
        }
        /* The length of the first message: a longer one is waited for, 5 s each. */
        if (bit / 8 == ANSWER_2_BYTES || bit / 8 == ANSWER_2_BYTES + 1) {
            continue;
        }
        char report = 0;
        if (write(orders[1], "g", 1) != 1) {
            die("the caller is gone");
        }
        int from = accept(listener, NULL, NULL);
        int to = dial(node->port, 0);
        pass_on(from, to, whole ? SIZE_MAX : bit, reports[0]);
        close(from);
        close(to);
        if (read(reports[0], &report, 1) != 1) {
            die("the caller is gone");
        }
        check(report == (whole ? 'U' : 'D'),
              whole ? "an answer that nobody touched: %c %zu"
                    : "an answer opened a session: %c, bit %zu",
              report, bit);
        tried++;
    }
    close(orders[1]);
    int status = 0;
    (void)waitpid(child, &status, 0);
    check(status == 0, "the caller ended with %d", status);
    close(reports[0]);
    close(listener);
    return tried;
}

int
attack_handshake(int argc, char **argv)
{
    struct party node, me;
    if (argc != 3) {
        die("usage: handshake NODE_HOME MEMBER_HOME");
    }
    party_read(argv[1], &node);
    party_read(argv[2], &me);
    unsigned opening = flip_opening(&me, &node);
    unsigned hello = flip_hello(&me, &node);
    unsigned answer = flip_answer(&me, &node);
    struct mate m;
    check(mate_open(&m, &me, &node, 0), "a good handshake does not open a session");
    mate_close(&m);
    printf("flipped: %u bits of the opening, %u bytes of the hello, %u bits of the answer\n",
           opening, hello, answer);
    return failures() > 0;
}
