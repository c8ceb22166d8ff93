/* Load that no honest peer makes, for a while, so that a scenario can look how the
 * honest ones fare (F18, F25, F28).
 *
 * usage: load NODE_HOME MEMBER_HOME SECONDS KIND...
 *
 * Each KIND is a process: abort (2,000 and more aborted connections), idle (200 that never
 * speak, made anew when closed), drip (50 that send a byte now and then), and a member
 * that misuses its place: deaf (asks and never reads), heads, ranges, look-ups, frontiers,
 * receipts, pushes, sessions (opened as fast as it goes).  At the end each tells what it
 * did. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"
#include "node/origin.h"
#include "proto/wire.pb-c.h"

enum { IDLE = 200, DRIP = 50, FLOOD_WINDOW = 128 };

static struct party node, me;
static char pub[ORIGIN_CHARS_MAX + 1];
static int64_t end_ms;
static uint8_t message[70 * 1024];

static bool
time_left(void)
{
    return now_ms() < end_ms;
}

/* ---- strangers ---- */

static unsigned
aborts(void)
{
    unsigned n = 0;
    while (time_left() || n < 2000) {
        int fd = try_dial(node.port, 3 + (int)(n % 4));
        if (fd < 0) {
            sleep_ms(1);
            continue;
        }
        if (n % 3 == 1) {
            (void)send_all(fd, "huren 1 yx", 1 + n % 9);
        } else if (n % 3 == 2) {
            struct mate m;
            struct noise noise;
            memset(&m, 0, sizeof m);
            opening_make(&noise, &me, &node, &m);
            (void)send_all(fd, m.opening, 1 + n % m.opening_count);
        }
        abort_connection(fd);
        n++;
    }
    return n;
}

/* `count` connections that are made anew when closed; `drip`: a byte each 100 ms. */
static unsigned
hold(size_t count, bool drip)
{
    int fds[IDLE];
    uint8_t sent[IDLE] = {0};
    unsigned made = 0;
    struct mate m;
    struct noise noise;
    memset(&m, 0, sizeof m);
    opening_make(&noise, &me, &node, &m);
    memset(fds, -1, sizeof fds);
    while (time_left()) {
        for (size_t i = 0; i < count && time_left(); i++) {
            uint8_t byte;
            if (fds[i] >= 0 && receive_some(fds[i], &byte, 1, 0) != LATE) {
                close(fds[i]);
                fds[i] = -1;
            }
            if (fds[i] < 0) {
                fds[i] = try_dial(node.port, 10 + (int)(i % 20));
                sent[i] = 0;
                made += fds[i] >= 0;
            }
            if (drip && fds[i] >= 0 && sent[i] < m.opening_count - 1) {
                (void)send(fds[i], m.opening + sent[i]++, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
            }
        }
        sleep_ms(100);
    }
    return made;
}

/* ---- a member ---- */

static unsigned
deaf(void)
{
    unsigned asked = 0;
    while (time_left()) {
        struct mate m;
        if (!mate_try(&m, &me, &node, 0)) {
            sleep_ms(50);
            continue;
        }
        /* 256 entries each, until its window and ours are full and it hangs up. */
        for (uint32_t i = 1; time_left(); i++) {
            uint8_t plain[512], sealed[600];
            struct frame f = {.request = i, .kind = FRAME_RANGE, .last = true};
            f.message =
                (struct view){message, ask_range(message, sizeof message, pub, 2, 0, 0, 256)};
            frame_encode(&f, plain);
            size_t n = mate_seal(&m, plain, frame_bytes(&f), sealed);
            ssize_t done = send(m.fd, sealed, n, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (done < 0 || (size_t)done != n) {
                break;
            }
            asked++;
        }
        int64_t until = now_ms() + 2000;
        while (time_left() && now_ms() < until) {
            sleep_ms(50);
        }
        mate_close(&m);
    }
    return asked;
}

static unsigned
sessions(void)
{
    unsigned n = 0;
    while (time_left()) {
        struct mate m;
        if (mate_try(&m, &me, &node, 0)) {
            n++;
            mate_close(&m);
        }
    }
    return n;
}

enum flood { HEADS, RANGES, LOOKUPS, FRONTIERS, RECEIPTS, PUSHES };

static size_t
frontier(uint8_t *out)
{
    static uint8_t digest[HASH_BYTES];
    static uint32_t wanted[256];
    Hr__Frontier m;
    hr__frontier__init(&m);
    m.digest = (ProtobufCBinaryData){sizeof digest, digest};
    m.lines_count = 1;
    for (uint32_t i = 0; i < 256; i++) {
        wanted[i] = i;
    }
    m.wanted = wanted;
    m.n_wanted = 256;
    return hr__frontier__pack(&m, out);
}

/* As many leaves as a message holds, under a note that nobody signed. */
static size_t
receipt(uint8_t *out)
{
    static uint8_t note[] = "no note";
    static Hr__ReceiptLeaf leaves[6000], *list[6000];
    Hr__Receipt m;
    hr__receipt__init(&m);
    m.note = (ProtobufCBinaryData){sizeof note - 1, note};
    for (size_t i = 0; i < 6000; i++) {
        hr__receipt_leaf__init(&leaves[i]);
        leaves[i].index = i + 1;
        list[i] = &leaves[i];
    }
    m.leaves = list;
    m.n_leaves = 6000;
    return hr__receipt__pack(&m, out);
}

static size_t
push(uint8_t *out)
{
    static uint8_t note[512];
    char text[400];
    Hr__HeadTell m;
    hr__head_tell__init(&m);
    /* A checkpoint that looks right and is signed with nothing. */
    uint8_t root[32];
    for (size_t i = 0; i < sizeof root; i++) {
        root[i] = (uint8_t)chance(256);
    }
    int n = snprintf(
        text, sizeof text,
        "%s\n%u\n%.43s=\n\n\xe2\x80\x94 %s "
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAA=\n",
        pub, 1000000 + chance(1000000), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", pub);
    memcpy(note, text, (size_t)n);
    m.origin = pub;
    m.note = (ProtobufCBinaryData){(size_t)n, note};
    m.cosigned = m.note;
    return hr__head_tell__pack(&m, out);
}

static size_t
flood_message(enum flood what, uint8_t *kind)
{
    switch (what) {
    case HEADS:
        *kind = FRAME_HEAD;
        return ask_head(message, sizeof message, pub);
    case RANGES:
        *kind = FRAME_RANGE;
        return ask_range(message, sizeof message, pub, 2, 0, 0, 256);
    case LOOKUPS:
        *kind = FRAME_LOOKUP;
        return ask_lookup(message, sizeof message, &me, &node, 64, 8);
    case FRONTIERS:
        *kind = FRAME_FRONTIER;
        return frontier(message);
    case RECEIPTS:
        *kind = FRAME_RECEIPT;
        return receipt(message);
    case PUSHES:
    default:
        *kind = FRAME_HEAD;
        return push(message);
    }
}

/* Requests as fast as they are taken, FLOOD_WINDOW in flight; pushes without end. */
static unsigned
flood(enum flood what)
{
    unsigned sent = 0;
    bool pushed = what == RECEIPTS || what == PUSHES;
    while (time_left()) {
        struct mate m;
        struct frame f;
        int why;
        uint32_t request = 0, answered = 0;
        if (!mate_try(&m, &me, &node, 0)) {
            sleep_ms(5);
            continue;
        }
        for (bool good = true; good && time_left();) {
            struct frame ask = {.request = pushed ? 0 : ++request, .last = true};
            size_t count = flood_message(what, &ask.kind);
            ask.message = (struct view){message, count};
            good = mate_send_frame(&m, &ask);
            sent++;
            while (good && !pushed && request - answered >= FLOOD_WINDOW) {
                good = mate_frame(&m, 1000, &f, &why);
                answered += good && (f.kind & FRAME_ANSWER) != 0 && f.last;
                good = good || (why == LATE && time_left());
            }
            while (good && pushed && mate_frame(&m, 0, &f, &why)) {
            }
        }
        mate_close(&m);
    }
    return sent;
}

static unsigned
run(const char *kind)
{
    static const char *const floods[] = {"heads",     "ranges",   "look-ups",
                                         "frontiers", "receipts", "pushes"};
    if (strcmp(kind, "abort") == 0) {
        return aborts();
    }
    if (strcmp(kind, "idle") == 0 || strcmp(kind, "drip") == 0) {
        return hold(kind[0] == 'i' ? IDLE : DRIP, kind[0] == 'd');
    }
    if (strcmp(kind, "deaf") == 0) {
        return deaf();
    }
    if (strcmp(kind, "sessions") == 0) {
        return sessions();
    }
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        if (strcmp(kind, floods[i]) == 0) {
            return flood((enum flood)i);
        }
    }
    die("load: no kind '%s'", kind);
}

int
attack_load(int argc, char **argv)
{
    if (argc < 5) {
        die("usage: load NODE_HOME MEMBER_HOME SECONDS KIND...");
    }
    party_read(argv[1], &node);
    party_read(argv[2], &me);
    origin_pub(node.network, node.institution, pub);
    end_ms = now_ms() + 1000 * atoi(argv[3]);
    int bad = 0;
    for (int i = 4; i < argc; i++) {
        if (fork() == 0) {
            unsigned n = run(argv[i]);
            printf("load: %s: %u\n", argv[i], n);
            fflush(stdout);
            _exit(0);
        }
    }
    for (int i = 4; i < argc; i++) {
        int status = 0;
        (void)wait(&status);
        bad += status != 0;
    }
    return bad > 0;
}
