/* Each limit that a peer can reach, at N and at N + 1 (F17): N is served, N + 1 ends the
 * session at the first bytes that say so.
 *
 * usage: limits NODE_HOME MEMBER_HOME    the node has at least 300 entries
 *        caps NODE_HOME MEMBER_HOME      connections per address, in all, per member */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attack.h"
#include "crypto/tile.h"
#include "node/engine_lookup.h"
#include "node/origin.h"
#include "proto/wire.pb-c.h"

static struct party node, me;
static char pub[ORIGIN_CHARS_MAX + 1];
static uint8_t message[128 * 1024];

static bool
open_or_complain(struct mate *m, const char *what)
{
    bool good = mate_open(m, &me, &node, 0);
    check(good, "%s: a member cannot open a session", what);
    return good;
}

/* Send plain bytes in a new session; the node must hang up. */
static void
must_close(const char *what, const void *plain, size_t count)
{
    struct mate m;
    if (open_or_complain(&m, what)) {
        (void)mate_send(&m, plain, count);
        check(mate_is_closed(&m), "%s: the session goes on", what);
        mate_close(&m);
    }
}

/* A head request filled up with raw bytes to a frame of `bytes`. */
static void
frame_of(size_t bytes)
{
    struct mate m;
    struct frame f = {.request = 1, .kind = FRAME_HEAD, .last = true};
    f.message = (struct view){message, ask_head(message, sizeof message, pub)};
    size_t pad = bytes - FRAME_HEAD_BYTES - f.message.count;
    uint8_t *raw = calloc(1, pad);
    f.raw = (struct view){raw, pad};
    if (raw != NULL && open_or_complain(&m, "frame")) {
        struct frame answer;
        check(mate_send_frame(&m, &f) && mate_answer(&m, 1, &answer),
              "a frame of %zu bytes is not answered", bytes);
        mate_close(&m);
    }
    free(raw);
}

static void
frames(void)
{
    uint8_t head[FRAME_LENGTH_BYTES + FRAME_HEAD_BYTES] = {0};
    frame_of(FRAME_BYTES_MAX);
    /* Only the length is sent: nothing to wait for, nothing to take memory for. */
    frame_put_u32(head, FRAME_BYTES_MAX + 1);
    must_close("a frame of 1 MiB and a byte", head, FRAME_LENGTH_BYTES);
    frame_put_u32(head, UINT32_MAX);
    must_close("a frame of 4 GiB", head, FRAME_LENGTH_BYTES);
    frame_put_u32(head, FRAME_HEAD_BYTES - 1);
    must_close("a frame shorter than its head", head, FRAME_LENGTH_BYTES);
    /* The message: 64 KiB are read, a byte more is refused. */
    frame_put_u32(head, FRAME_HEAD_BYTES + MESSAGE_BYTES_MAX + 1);
    frame_put_u32(head + 4, 1);
    head[8] = FRAME_HEAD;
    head[9] = 1;
    frame_put_u32(head + 10, MESSAGE_BYTES_MAX + 1);
    memset(message, 0, sizeof message);
    memcpy(message, head, sizeof head);
    must_close("a message of 64 KiB and a byte", message, sizeof head + MESSAGE_BYTES_MAX + 1);
    struct mate m;
    struct frame f = {.request = 1, .kind = FRAME_HEAD, .last = true}, answer;
    char *origin = malloc(MESSAGE_BYTES_MAX);
    if (origin != NULL && open_or_complain(&m, "message")) {
        memset(origin, 'a', MESSAGE_BYTES_MAX);
        origin[MESSAGE_BYTES_MAX - 4] = '\0'; /* tag and three bytes of length before it */
        f.message = (struct view){message, ask_head(message, sizeof message, origin)};
        check(f.message.count == MESSAGE_BYTES_MAX, "the attacker cannot count");
        check(mate_send_frame(&m, &f) && mate_answer(&m, 1, &answer),
              "a message of 64 KiB is not answered");
        mate_close(&m);
    }
    free(origin);
}

static void
noise_messages(void)
{
    struct mate m;
    uint8_t bytes[2 + NOISE_TAG_BYTES] = {0, NOISE_TAG_BYTES - 1};
    if (open_or_complain(&m, "noise")) {
        (void)send_all(m.fd, bytes, 2);
        check(mate_is_closed(&m), "a message shorter than its tag: the session goes on");
        mate_close(&m);
    }
}

/* The name of the network in the opening line: 64 characters are waited with, one more
 * is too long, before the line has ended. */
static void
names(void)
{
    char line[LINE_BYTES_MAX + 1], byte;
    int fd = dial(node.port, 0);
    memset(line, 'a', sizeof line);
    memcpy(line, "huren 1 ", 8);
    (void)send_all(fd, line, 8 + NETWORK_CHARS_MAX);
    check(receive_some(fd, &byte, 1, 300) == LATE, "a name of 64 characters is refused early");
    (void)send_all(fd, "a", 1);
    check(drain(fd, 4000) == 0, "a name of 65 characters is waited with");
    close(fd);
    fd = dial(node.port, 0);
    line[8 + NETWORK_CHARS_MAX] = '\n';
    (void)send_all(fd, line, 8 + NETWORK_CHARS_MAX + 1);
    check(drain(fd, 4000) == 0, "a network that is not ours is waited with");
    close(fd);
}

/* One range request: its status, or UINT32_MAX when the session ended. */
static uint32_t
range(struct mate *m, uint32_t request, uint32_t what, uint32_t level, uint64_t from,
      uint32_t count, uint32_t *got)
{
    struct frame f = {.request = request, .kind = FRAME_RANGE, .last = true}, answer;
    f.message = (struct view){
        message, ask_range(message, sizeof message, pub, what, level, from, count)};
    *got = 0;
    if (!mate_send_frame(m, &f) || !mate_answer(m, request, &answer)) {
        return UINT32_MAX;
    }
    return range_status(&answer, got);
}

static void
ranges(void)
{
    static const struct {
        const char *name;
        uint32_t what, level, most;
        bool held; /* the node has as many */
    } limits[] = {{"entries", 2, 0, GOSSIP_ENTRIES_PER_RANGE_MAX, true},
                  {"tile", 1, 0, TILE_HASHES, true},
                  {"records", 3, 0, GOSSIP_ENTRIES_PER_RANGE_MAX, false}};
    struct mate m;
    uint32_t got;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (!open_or_complain(&m, limits[i].name)) {
            return;
        }
        uint32_t st = range(&m, 1, limits[i].what, limits[i].level, 0, limits[i].most, &got);
        check(limits[i].held ? st == STATUS_OK && got == limits[i].most
                             : st == STATUS_REFUSED, /* records, in an index network */
              "%u %s: status %u, %u given", limits[i].most, limits[i].name, st, got);
        st = range(&m, 2, limits[i].what, limits[i].level, 0, limits[i].most + 1, &got);
        check(got == 0 && st != STATUS_OK, "%u %s: status %u, %u given", limits[i].most + 1,
              limits[i].name, st, got);
        check(mate_is_closed(&m), "%s beyond the limit: the session goes on", limits[i].name);
        mate_close(&m);
    }
    if (open_or_complain(&m, "level")) {
        check(range(&m, 1, 1, TILE_LEVELS - 1, 0, 1, &got) == STATUS_NOT_FOUND,
              "a tile of the highest level");
        (void)range(&m, 2, 1, TILE_LEVELS, 0, 1, &got);
        check(mate_is_closed(&m), "a tile above the highest level: the session goes on");
        mate_close(&m);
    }
}

static size_t
answered(const struct frame *f)
{
    Hr__LookupTell *t = hr__lookup_tell__unpack(NULL, f->message.count, f->message.bytes);
    size_t n = t == NULL ? 0 : t->n_answered;
    if (t != NULL) {
        hr__lookup_tell__free_unpacked(t, NULL);
    }
    return n;
}

static size_t
look(struct mate *m, uint32_t request, size_t questions, size_t leaves)
{
    struct frame f = {.request = request, .kind = FRAME_LOOKUP, .last = true}, answer;
    size_t all = 0;
    int why;
    f.message = (struct view){
        message, ask_lookup(message, sizeof message, &me, &node, questions, leaves)};
    if (!mate_send_frame(m, &f)) {
        return 0;
    }
    while (mate_frame(m, PATIENCE_MS, &answer, &why)) {
        if (answer.request == request && answer.kind == (FRAME_LOOKUP | FRAME_ANSWER)) {
            all += answered(&answer);
            if (answer.last) {
                return all;
            }
        }
    }
    return all;
}

static void
lookups(void)
{
    struct mate m;
    if (open_or_complain(&m, "look-ups")) {
        check(look(&m, 1, LOOKUPS_PER_REQUEST_MAX, 1) == LOOKUPS_PER_REQUEST_MAX,
              "64 look-ups in a request are not answered");
        check(look(&m, 2, 1, LOOKUP_LEAVES_ASKED_MAX) == 1,
              "a look-up of as many leaves as allowed is not answered");
        check(look(&m, 3, LOOKUPS_PER_REQUEST_MAX + 1, 1) == 0, "65 look-ups are answered");
        check(mate_is_closed(&m), "65 look-ups in a request: the session goes on");
        mate_close(&m);
    }
    if (open_or_complain(&m, "leaves")) {
        (void)look(&m, 1, 1, LOOKUP_LEAVES_ASKED_MAX + 1);
        check(mate_is_closed(&m), "too many leaves in a look-up: the session goes on");
        mate_close(&m);
    }
}

/* Look-ups wait for a commit, so that many can be in flight when they come at once. */
static void
in_flight(size_t count, bool served)
{
    struct mate m;
    uint8_t ask[256];
    size_t bytes = 0;
    if (!open_or_complain(&m, "in flight")) {
        return;
    }
    for (uint32_t i = 1; i <= count; i++) {
        struct frame f = {.request = i, .kind = FRAME_LOOKUP, .last = true};
        f.message = (struct view){ask, ask_lookup(ask, sizeof ask, &me, &node, 1, 0)};
        if (bytes + frame_bytes(&f) > NOISE_PLAIN_BYTES_MAX) {
            die("the attacker's look-ups are too large");
        }
        frame_encode(&f, message + bytes);
        bytes += frame_bytes(&f);
    }
    (void)mate_send(&m, message, bytes);
    if (served) {
        struct frame answer;
        size_t got = 0;
        int why;
        while (got < count && mate_frame(&m, PATIENCE_MS, &answer, &why)) {
            got += answer.kind == (FRAME_LOOKUP | FRAME_ANSWER);
        }
        check(got == count, "of %zu requests in flight %zu were answered", count, got);
    } else {
        check(mate_is_closed(&m), "%zu requests in flight: the session goes on", count);
    }
    mate_close(&m);
}

/* What is not open in 5 seconds is closed, however far it came and however busy it is. */
static void
opening_time(void)
{
    enum { SILENT, LINE, MESSAGE_1, DRIP, KINDS };
    static const char *const names[KINDS] = {"silent", "after its line", "after message 1",
                                             "sending a byte now and then"};
    int fds[KINDS];
    struct mate m;
    struct noise n;
    int64_t begun = now_ms();
    bool open[KINDS];
    memset(&m, 0, sizeof m);
    opening_make(&n, &me, &node, &m);
    for (int i = 0; i < KINDS; i++) {
        fds[i] = dial(node.port, 0);
        open[i] = true;
    }
    (void)send_all(fds[LINE], m.opening, m.line_count);
    (void)send_all(fds[MESSAGE_1], m.opening, m.opening_count);
    size_t dripped = 0, left = KINDS;
    while (left > 0 && now_ms() - begun < PATIENCE_MS) {
        if (open[DRIP] && dripped < 60) {
            (void)send_all(fds[DRIP], m.opening + dripped++, 1);
        }
        sleep_ms(100);
        for (int i = 0; i < KINDS; i++) {
            uint8_t bytes[512];
            if (open[i] && receive_some(fds[i], bytes, sizeof bytes, 0) == CLOSED) {
                int64_t ms = now_ms() - begun;
                open[i] = false;
                left--;
                check(ms >= SESSION_OPEN_MS_MAX - 500, "%s: closed after %d ms", names[i],
                      (int)ms);
            }
        }
    }
    for (int i = 0; i < KINDS; i++) {
        check(!open[i], "%s: still there after %d s", names[i], PATIENCE_MS / 1000);
        close(fds[i]);
    }
}

int
attack_limits(int argc, char **argv)
{
    if (argc != 3) {
        die("usage: limits NODE_HOME MEMBER_HOME");
    }
    party_read(argv[1], &node);
    party_read(argv[2], &me);
    origin_pub(node.network, node.institution, pub);
    frames();
    noise_messages();
    names();
    ranges();
    lookups();
    in_flight(REQUESTS_IN_FLIGHT_MAX, true);
    in_flight(REQUESTS_IN_FLIGHT_MAX + 1, false);
    opening_time();
    printf("limits: frames, messages, names, ranges, tiles, look-ups, leaves, requests in "
           "flight, time to open\n");
    return failures() > 0;
}

/* ---- connections ---------------------------------------------------------------------- */

static size_t
still_open(const int *fds, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        char byte;
        open += fds[i] >= 0 && receive_some(fds[i], &byte, 1, 0) == LATE;
    }
    return open;
}

static void
close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
}

/* Until at most `most` of them are open, or PATIENCE_MS are over. */
static size_t
settle(const int *fds, size_t count, size_t most)
{
    int64_t end = now_ms() + PATIENCE_MS;
    size_t open = still_open(fds, count);
    while (open > most && now_ms() < end) {
        sleep_ms(20);
        open = still_open(fds, count);
    }
    return open;
}

static bool
alive(struct mate *m, uint32_t request)
{
    struct frame answer, f = {.request = request, .kind = FRAME_HEAD, .last = true};
    f.message = (struct view){message, ask_head(message, sizeof message, pub)};
    return mate_send_frame(m, &f) && mate_answer(m, request, &answer);
}

int
attack_caps(int argc, char **argv)
{
    enum { SOURCES = 10, ALL = SOURCES * SESSIONS_PER_ADDRESS_MAX };
    static int fds[ALL];
    struct mate honest, late, many[SESSIONS_PER_MEMBER_MAX + 1];
    if (argc != 3) {
        die("usage: caps NODE_HOME MEMBER_HOME");
    }
    party_read(argv[1], &node);
    party_read(argv[2], &me);
    origin_pub(node.network, node.institution, pub);
    if (!mate_open(&honest, &me, &node, 0)) {
        die("a member cannot open a session");
    }
    /* One address. */
    int64_t begun = now_ms();
    for (size_t i = 0; i < SESSIONS_PER_ADDRESS_MAX; i++) {
        fds[i] = dial(node.port, 2);
    }
    sleep_ms(200);
    size_t open = still_open(fds, SESSIONS_PER_ADDRESS_MAX);
    bool in_time = now_ms() - begun < SESSION_OPEN_MS_MAX - 1000;
    check(open == SESSIONS_PER_ADDRESS_MAX || !in_time, "of 64 connections of an address %zu",
          open);
    fds[SESSIONS_PER_ADDRESS_MAX] = dial(node.port, 2);
    open = settle(fds, SESSIONS_PER_ADDRESS_MAX + 1, SESSIONS_PER_ADDRESS_MAX);
    check(open <= SESSIONS_PER_ADDRESS_MAX, "of 65 connections of an address %zu stay", open);
    check(alive(&honest, 1), "an open session suffers from strangers");
    close_all(fds, SESSIONS_PER_ADDRESS_MAX + 1);
    /* Many addresses. */
    for (size_t i = 0; i < ALL; i++) {
        fds[i] = dial(node.port, 2 + (int)(i % SOURCES));
    }
    open = settle(fds, ALL, SESSIONS_MAX - 1);
    check(open <= SESSIONS_MAX - 1, "%zu connections of strangers beside ours", open);
    size_t held = open;
    check(alive(&honest, 2), "an open session suffers from many strangers");
    check(mate_open(&late, &me, &node, 0) && alive(&late, 1),
          "strangers keep out a member that comes later");
    mate_close(&late);
    check(settle(fds, ALL, 0) == 0, "strangers are not closed in time");
    close_all(fds, ALL);
    mate_close(&honest);
    /* One member: nine sessions, the newest eight are kept. */
    for (size_t i = 0; i <= SESSIONS_PER_MEMBER_MAX; i++) {
        check(mate_open(&many[i], &me, &node, 0), "session %zu of a member", i + 1);
    }
    check(mate_is_closed(&many[0]), "the ninth session of a member does not end the first");
    for (size_t i = 1; i <= SESSIONS_PER_MEMBER_MAX; i++) {
        check(alive(&many[i], 1), "session %zu of a member was closed", i + 1);
        mate_close(&many[i]);
    }
    mate_close(&many[0]);
    printf("caps: 64 of one address, %zu of %d strangers at once, 8 of one member\n", held,
           ALL);
    return failures() > 0;
}
