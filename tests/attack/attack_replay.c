/* Recorded traffic sent again (F14): whole handshakes, and each recorded message 1 to
 * 100 times in another session or in its own.
 *
 * usage: record PORT NODE_HOME FILE        pass connections on from PORT to the node, and
 *                                          keep what callers send, until SIGTERM
 *        burst PORT NODE_HOME MEMBER_HOME  1,200 requests of a member, one a message
 *        replay NODE_HOME MEMBER_HOME FILE send the recorded traffic again
 *
 * FILE: for each piece u32 connection, u32 count, the bytes; little-endian. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attack.h"
#include "node/origin.h"

enum { PIPES_MAX = 64, CONNECTIONS_MAX = 256, BURST = 1200 };

static volatile sig_atomic_t over;

static void
on_signal(int number)
{
    (void)number;
    over = 1;
}

/* ---- recording ---- */

struct pipe_of {
    uint32_t number;
    int from, to;
};

static void
keep(FILE *f, uint32_t number, const uint8_t *bytes, uint32_t count)
{
    fwrite(&number, sizeof number, 1, f);
    fwrite(&count, sizeof count, 1, f);
    fwrite(bytes, 1, count, f);
}

int
attack_record(int argc, char **argv)
{
    struct party node;
    struct pipe_of pipes[PIPES_MAX];
    size_t count = 0;
    uint32_t number = 0;
    if (argc != 4) {
        die("usage: record PORT NODE_HOME FILE");
    }
    party_read(argv[2], &node);
    uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    int listener = listen_any(&port);
    FILE *f = fopen(argv[3], "wb");
    if (f == NULL) {
        die("%s: %s", argv[3], strerror(errno));
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    puts("recording");
    fflush(stdout);
    while (!over) {
        struct pollfd p[1 + 2 * PIPES_MAX];
        p[0] = (struct pollfd){.fd = listener, .events = count < PIPES_MAX ? POLLIN : 0};
        for (size_t i = 0; i < count; i++) {
            p[1 + 2 * i] = (struct pollfd){.fd = pipes[i].from, .events = POLLIN};
            p[2 + 2 * i] = (struct pollfd){.fd = pipes[i].to, .events = POLLIN};
        }
        size_t had = count;
        if (poll(p, 1 + 2 * had, 500) <= 0) {
            continue;
        }
        for (size_t i = had; i-- > 0;) {
            uint8_t bytes[65536];
            bool good = true;
            for (int side = 0; good && side < 2; side++) {
                if (p[1 + 2 * i + (size_t)side].revents != 0) {
                    ssize_t n =
                        recv(side == 0 ? pipes[i].from : pipes[i].to, bytes, sizeof bytes, 0);
                    if (n > 0 && side == 0) {
                        keep(f, pipes[i].number, bytes, (uint32_t)n);
                    }
                    good = n > 0 &&
                           send_all(side == 0 ? pipes[i].to : pipes[i].from, bytes, (size_t)n);
                }
            }
            if (!good) {
                close(pipes[i].from);
                close(pipes[i].to);
                pipes[i] = pipes[--count];
            }
        }
        if ((p[0].revents & POLLIN) != 0) {
            struct pipe_of new = {++number, accept(listener, NULL, NULL), -1};
            new.to = new.from < 0 ? -1 : try_dial(node.port, 0);
            if (new.to >= 0) {
                pipes[count++] = new;
            } else if (new.from >= 0) {
                close(new.from);
            }
        }
    }
    return fclose(f) != 0;
}

/* Ordinary requests of a member, each in a message of its own, all answered. */
static int
burst(int argc, char **argv)
{
    struct party node, me;
    struct mate m;
    struct frame f;
    uint8_t message[1024];
    char origin[ORIGIN_CHARS_MAX + 1];
    if (argc != 4) {
        die("usage: burst PORT NODE_HOME MEMBER_HOME");
    }
    party_read(argv[2], &node);
    party_read(argv[3], &me);
    node.port = (uint16_t)strtoul(argv[1], NULL, 10);
    origin_pub(node.network, node.institution, origin);
    check(mate_open(&m, &me, &node, 0), "a member cannot open a session");
    for (uint32_t i = 1; i <= BURST; i++) {
        struct frame ask = {.request = i, .last = true};
        if (i % 3 == 0) {
            ask.kind = FRAME_LOOKUP;
            ask.message =
                (struct view){message, ask_lookup(message, sizeof message, &me, &node, 1, 1)};
        } else if (i % 3 == 1) {
            ask.kind = FRAME_RANGE;
            ask.message = (struct view){
                message, ask_range(message, sizeof message, origin, 2, 0, 0, 1 + i % 16)};
        } else {
            ask.kind = FRAME_HEAD;
            ask.message = (struct view){message, ask_head(message, sizeof message, origin)};
        }
        if (!mate_send_frame(&m, &ask) || (i % 64 == 0 && !mate_answer(&m, i, &f))) {
            check(false, "request %u of a burst is not answered", i);
            break;
        }
    }
    check(mate_answer(&m, BURST, &f), "the last request of a burst is not answered");
    mate_close(&m);
    printf("burst: %d requests\n", BURST);
    return failures() > 0;
}

/* ---- again ---- */

struct recorded {
    uint8_t *bytes;
    size_t count;
    size_t opening; /* bytes of line and message 1 */
};

struct message {
    const struct recorded *of;
    const uint8_t *bytes;
    size_t count;
    bool first; /* of its session */
};

static size_t
load(const char *path, struct recorded all[CONNECTIONS_MAX + 1])
{
    uint32_t head[2];
    size_t most = 0;
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        die("%s: %s", path, strerror(errno));
    }
    while (fread(head, sizeof head, 1, f) == 1) {
        if (head[0] > CONNECTIONS_MAX) {
            break;
        }
        struct recorded *r = &all[head[0]];
        r->bytes = realloc(r->bytes, r->count + head[1]);
        if (r->bytes == NULL || fread(r->bytes + r->count, 1, head[1], f) != head[1]) {
            die("%s: cannot be read", path);
        }
        r->count += head[1];
        most = head[0] > most ? head[0] : most;
    }
    fclose(f);
    return most;
}

/* Cut into openings and transport messages. */
static size_t
cut(struct recorded *all, size_t connections, struct message **out)
{
    size_t count = 0, room = 0;
    struct message *list = NULL;
    for (size_t c = 1; c <= connections; c++) {
        struct recorded *r = &all[c];
        const uint8_t *lf = r->count == 0 ? NULL : memchr(r->bytes, '\n', r->count);
        size_t at = lf == NULL ? r->count : (size_t)(lf - r->bytes) + 1;
        at += 2 + NOISE_MESSAGE_1_BYTES;
        if (at > r->count) {
            continue;
        }
        r->opening = at;
        bool first = true;
        while (at + 2 <= r->count) {
            size_t n = 2 + ((size_t)r->bytes[at] << 8 | r->bytes[at + 1]);
            if (at + n > r->count) {
                break;
            }
            if (count == room) {
                room = room == 0 ? 1024 : 2 * room;
                if ((list = realloc(list, room * sizeof *list)) == NULL) {
                    die("memory");
                }
            }
            list[count++] = (struct message){r, r->bytes + at, n, first};
            at += n;
            first = false;
        }
    }
    *out = list;
    return count;
}

/* The recorded opening, then recorded bytes: what came back, or LATE. */
static int
again(const struct party *node, const struct recorded *of, const uint8_t *bytes, size_t count,
      unsigned times)
{
    int fd = dial(node->port, 0);
    (void)send_all(fd, of->bytes, of->opening);
    for (unsigned i = 0; i < times; i++) {
        if (!send_all(fd, bytes, count)) {
            break; /* it has hung up already */
        }
    }
    (void)shutdown(fd, SHUT_WR);
    int got = drain(fd, PATIENCE_MS);
    close(fd);
    return got;
}

/* In its own session: a message of this very session comes a second time. */
static unsigned
twice_in_session(const struct party *me, const struct party *node, unsigned *asked,
                 unsigned *honest)
{
    unsigned injected = 0;
    for (unsigned round = 0; round < 40; round++) {
        struct mate m;
        struct frame f;
        uint8_t sealed[20][512], message[256], plain[256];
        size_t counts[20];
        unsigned n = 2 + chance(18);
        if (!mate_open(&m, me, node, 0)) {
            check(false, "a member cannot open a session");
            return injected;
        }
        for (unsigned i = 0; i < n; i++) {
            struct frame ask = {.request = i + 1, .kind = FRAME_LOOKUP, .last = true};
            ask.message =
                (struct view){message, ask_lookup(message, sizeof message, me, node, 1, 1)};
            frame_encode(&ask, plain);
            counts[i] = mate_seal(&m, plain, frame_bytes(&ask), sealed[i]);
        }
        for (unsigned i = 0; i < n; i++) {
            (void)send_all(m.fd, sealed[i], counts[i]);
        }
        check(mate_answer(&m, n, &f), "a request before a replay is not answered");
        unsigned which = chance(n), times = 1 + chance(100);
        for (unsigned i = 0; i < times && send_all(m.fd, sealed[which], counts[which]); i++) {
            injected++;
        }
        int why = 0;
        bool more = mate_frame(&m, PATIENCE_MS, &f, &why);
        while (more && (f.kind & FRAME_ANSWER) == 0) {
            more = mate_frame(&m, PATIENCE_MS, &f, &why); /* its own pushes and requests */
        }
        check(!more && why == CLOSED, "a message sent twice was %s",
              more ? "answered twice" : "not the end of the session");
        *asked += n;
        *honest += n + m.answered;
        mate_close(&m);
    }
    return injected;
}

int
attack_replay(int argc, char **argv)
{
    static struct recorded all[CONNECTIONS_MAX + 1];
    struct party node, me;
    struct message *list;
    if (argc > 0 && strcmp(argv[0], "burst") == 0) {
        return burst(argc, argv);
    }
    if (argc != 4) {
        die("usage: replay NODE_HOME MEMBER_HOME FILE");
    }
    party_read(argv[1], &node);
    party_read(argv[2], &me);
    size_t connections = load(argv[3], all);
    size_t count = cut(all, connections, &list), handshakes = 0, copies = 0;
    if (count < 1000) {
        check(false, "only %zu messages were recorded", count);
    }
    for (size_t i = count; i > 1; i--) { /* shuffled */
        size_t k = chance((uint32_t)i);
        struct message t = list[i - 1];
        list[i - 1] = list[k];
        list[k] = t;
    }
    for (size_t c = 1; c <= connections; c++) {
        /* A whole session from its first byte to its last, just as it was. */
        if (all[c].opening > 0) {
            int got = again(&node, &all[c], all[c].bytes + all[c].opening,
                            all[c].count - all[c].opening, 1);
            check(got != LATE && got < 512, "a whole session sent again: %d bytes came back",
                  got);
            handshakes++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        unsigned times = 1 + chance(100);
        /* Message 2 and a hello answer any opening, sealed for who made it; no more. */
        int got = again(&node, list[i].of, list[i].bytes, list[i].count, times);
        check(got != LATE && got < 512, "a message of %zu bytes, %u times: %d bytes came back",
              list[i].count, times, got);
        copies += times;
    }
    unsigned asked = 0, honest = 0;
    unsigned inside = twice_in_session(&me, &node, &asked, &honest);
    printf("replayed: %zu sessions, %zu messages as %zu copies in other sessions, %u copies in "
           "their own, beside %u look-ups in %u honest frames\n",
           handshakes, count, copies, inside, asked, honest);
    free(list);
    return failures() > 0;
}
