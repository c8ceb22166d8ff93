#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/config.h"
#include "node/keyfile_io.h"
#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"

static unsigned failed;

void
check(bool good, const char *format, ...)
{
    if (!good) {
        va_list args;
        va_start(args, format);
        fputs("FAILED: ", stdout);
        vprintf(format, args);
        putchar('\n');
        va_end(args);
        failed++;
    }
}

unsigned
failures(void)
{
    return failed;
}

void
die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("attack_wire: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

uint32_t
chance(uint32_t below)
{
    static uint64_t state = 20261122;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % below;
}

int64_t
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

void
party_read(const char *home, struct party *out)
{
    char path[4096], error[KEYFILE_IO_ERROR_CHARS];
    struct config *config;
    struct keyfile key;
    memset(out, 0, sizeof *out);
    if (config_load(home, &config, error, sizeof error) != STATUS_OK) {
        die("%s", error);
    }
    snprintf(path, sizeof path, "%s/seed", home);
    if (keyfile_io_read(path, config_passphrase(config), &key, error) != STATUS_OK) {
        die("%s", error);
    }
    snprintf(out->institution, sizeof out->institution, "%s", config->institution);
    snprintf(out->network, sizeof out->network, "%s", config->networks[0].name);
    keys_derive(key.secret, out->network, &out->keys);
    keyfile_wipe(&key);
    unsigned port = 0;
    if (sscanf(config->networks[0].listen, "tcp://%63[0-9.]:%u", out->host, &port) == 2) {
        out->port = (uint16_t)port;
    }
    config_free(config);
}

/* ---- sockets --------------------------------------------------------------------- */

int
try_dial(uint16_t port, int source)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET};
    if (fd < 0) {
        return -1;
    }
    if (source > 0) {
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (uint32_t)source);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0) {
            close(fd);
            return -1;
        }
    }
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int
dial(uint16_t port, int source)
{
    int64_t end = now_ms() + PATIENCE_MS;
    for (;;) {
        int fd = try_dial(port, source);
        if (fd >= 0) {
            return fd;
        }
        if (now_ms() > end) {
            die("nobody listens at port %u: %s", port, strerror(errno));
        }
        sleep_ms(20);
    }
}

int
listen_any(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t count = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(*port);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &count) != 0) {
        die("cannot listen at port %u: %s", *port, strerror(errno));
    }
    *port = ntohs(at.sin_port);
    return fd;
}

bool
send_all(int fd, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    int64_t end = now_ms() + PATIENCE_MS;
    while (count > 0) {
        ssize_t n = send(fd, at, count, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            count -= (size_t)n;
        } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        } else if (now_ms() > end) {
            return false;
        } else if (errno == EAGAIN) {
            sleep_ms(1);
        }
    }
    return true;
}

int
receive_some(int fd, void *bytes, size_t max, int ms)
{
    int64_t end = now_ms() + ms;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - now_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n == 0) {
            return LATE;
        }
        if (n > 0) {
            ssize_t got = recv(fd, bytes, max, 0);
            if (got > 0) {
                return (int)got;
            }
            if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
                return CLOSED;
            }
        }
    }
}

bool
receive_all(int fd, void *bytes, size_t count, int ms)
{
    uint8_t *at = bytes;
    int64_t end = now_ms() + ms;
    while (count > 0) {
        int64_t left = end - now_ms();
        int n = receive_some(fd, at, count, left > 0 ? (int)left : 0);
        if (n < 0) {
            return false;
        }
        at += n;
        count -= (size_t)n;
    }
    return true;
}

int
drain(int fd, int ms)
{
    uint8_t bytes[65536];
    int64_t end = now_ms() + ms;
    int all = 0;
    for (;;) {
        int64_t left = end - now_ms();
        int n = receive_some(fd, bytes, sizeof bytes, left > 0 ? (int)left : 0);
        if (n == CLOSED) {
            return all;
        }
        if (n == LATE) {
            return LATE;
        }
        all += n;
    }
}

void
abort_connection(int fd)
{
    struct linger l = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    close(fd);
}

/* ---- a session ---------------------------------------------------------------------- */

size_t
hello_frame(uint8_t *out, size_t max)
{
    static uint8_t instance[INSTANCE_BYTES] = "attack-instance";
    uint8_t message[128];
    Hr__Hello hello;
    hr__hello__init(&hello);
    hello.version = 1;
    hello.instance = (ProtobufCBinaryData){sizeof instance, instance};
    hello.software = (char[]){"attack"};
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    hello.now_ms = (uint64_t)t.tv_sec * 1000;
    size_t count;
    if (pb_pack(&hello.base, message, sizeof message, &count) != STATUS_OK) {
        die("hello");
    }
    struct frame f = {.kind = FRAME_HELLO, .last = true, .message = {message, count}};
    if (frame_bytes(&f) > max) {
        die("hello");
    }
    frame_encode(&f, out);
    return frame_bytes(&f);
}

void
opening_make(struct noise *n, const struct party *me, const struct party *whom, struct mate *m)
{
    uint8_t secret[KEY_BYTES];
    randombytes_buf(secret, sizeof secret);
    m->line_count =
        (size_t)snprintf((char *)m->opening, LINE_BYTES_MAX + 1, "huren 1 %s\n", whom->network);
    noise_init_initiator(n, (struct view){m->opening, m->line_count}, &me->keys.session,
                         whom->keys.session.public_key, secret);
    uint8_t *at = m->opening + m->line_count;
    at[0] = 0;
    at[1] = NOISE_MESSAGE_1_BYTES;
    if (noise_write_1(n, at + 2) != STATUS_OK) {
        die("message 1");
    }
    m->opening_count = m->line_count + 2 + NOISE_MESSAGE_1_BYTES;
}

bool
mate_try(struct mate *m, const struct party *me, const struct party *whom, int source)
{
    struct noise n;
    uint8_t hello[256];
    struct frame f;
    int why;
    memset(m, 0, sizeof *m);
    if ((m->fd = try_dial(whom->port, source)) < 0) {
        return false;
    }
    opening_make(&n, me, whom, m);
    if (!send_all(m->fd, m->opening, m->opening_count) ||
        !receive_all(m->fd, m->answer_2, sizeof m->answer_2, PATIENCE_MS) ||
        noise_read_2(&n, (struct view){m->answer_2 + 2, NOISE_MESSAGE_2_BYTES}) != STATUS_OK) {
        mate_close(m);
        return false;
    }
    noise_split(&n, &m->keys);
    if (!mate_send(m, hello, hello_frame(hello, sizeof hello)) ||
        !mate_frame(m, PATIENCE_MS, &f, &why) || f.kind != FRAME_HELLO) {
        mate_close(m);
        return false;
    }
    return true;
}

bool
mate_open(struct mate *m, const struct party *me, const struct party *whom, int source)
{
    int64_t end = now_ms() + PATIENCE_MS;
    while (!mate_try(m, me, whom, source)) {
        if (now_ms() > end) {
            return false;
        }
        sleep_ms(20);
    }
    return true;
}

void
mate_close(struct mate *m)
{
    if (m->fd >= 0) {
        close(m->fd);
    }
    m->fd = -1;
    frame_reader_free(&m->reader);
    m->reader = (struct frame_reader){0};
}

size_t
mate_seal(struct mate *m, const void *plain, size_t count, uint8_t *out)
{
    size_t sealed;
    if (noise_seal(&m->keys, (struct view){plain, count}, out + 2, count + NOISE_TAG_BYTES,
                   &sealed) != STATUS_OK) {
        die("seal");
    }
    out[0] = (uint8_t)(sealed >> 8);
    out[1] = (uint8_t)sealed;
    return sealed + 2;
}

bool
mate_send(struct mate *m, const void *plain, size_t count)
{
    static uint8_t out[65537];
    const uint8_t *at = plain;
    while (count > 0) {
        size_t part = count < NOISE_PLAIN_BYTES_MAX ? count : NOISE_PLAIN_BYTES_MAX;
        if (!send_all(m->fd, out, mate_seal(m, at, part, out))) {
            return false;
        }
        at += part;
        count -= part;
    }
    return true;
}

bool
mate_send_frame(struct mate *m, const struct frame *f)
{
    size_t count = frame_bytes(f);
    uint8_t *bytes = malloc(count);
    if (bytes == NULL) {
        die("memory");
    }
    frame_encode(f, bytes);
    bool good = mate_send(m, bytes, count);
    free(bytes);
    return good;
}

static size_t
pack(const ProtobufCMessage *m, uint8_t *out, size_t max)
{
    size_t count;
    if (protobuf_c_message_get_packed_size(m) > max) {
        die("a request that does not fit");
    }
    count = protobuf_c_message_pack(m, out);
    return count;
}

/* What the node asks meanwhile is answered as by a member who has no news, so that a
 * session never ends for our silence. */
static void
mate_answers(struct mate *m, const struct frame *f)
{
    uint8_t message[16];
    struct frame answer = {.request = f->request, .kind = f->kind | FRAME_ANSWER, .last = true};
    Hr__Frontier frontier;
    Hr__HeadTell head;
    hr__frontier__init(&frontier);
    hr__head_tell__init(&head);
    frontier.same = true;
    head.status = STATUS_NOT_FOUND;
    if (f->kind == FRAME_FRONTIER) {
        answer.message = (struct view){message, pack(&frontier.base, message, sizeof message)};
    } else if (f->kind == FRAME_HEAD) {
        answer.message = (struct view){message, pack(&head.base, message, sizeof message)};
    }
    m->answered += mate_send_frame(m, &answer);
}

bool
mate_frame(struct mate *m, int ms, struct frame *out, int *why)
{
    int64_t end = now_ms() + ms;
    for (;;) {
        bool got = false;
        if (m->rest.count > 0 &&
            frame_reader_next(&m->reader, &m->rest, out, &got) != STATUS_OK) {
            die("the node sent a malformed frame");
        }
        if (got) {
            if ((out->kind & FRAME_ANSWER) == 0 && out->request != 0) {
                mate_answers(m, out);
            }
            return true;
        }
        size_t want = m->have < 2 ? 2 : 2 + ((size_t)m->in[0] << 8 | m->in[1]);
        if (m->have == want && want > 2) {
            size_t count;
            if (noise_open(&m->keys, (struct view){m->in + 2, want - 2}, m->plain,
                           sizeof m->plain, &count) != STATUS_OK) {
                die("the node sent a message that does not open");
            }
            m->rest = (struct view){m->plain, count};
            m->have = 0;
            continue;
        }
        int64_t left = end - now_ms();
        int n = receive_some(m->fd, m->in + m->have, want - m->have, left > 0 ? (int)left : 0);
        if (n < 0) {
            *why = n;
            return false;
        }
        m->have += (size_t)n;
    }
}

bool
mate_answer(struct mate *m, uint32_t request, struct frame *out)
{
    int why;
    while (mate_frame(m, PATIENCE_MS, out, &why)) {
        if (out->request == request && (out->kind & FRAME_ANSWER) != 0) {
            return true;
        }
    }
    return false;
}

bool
mate_is_closed(struct mate *m)
{
    struct frame f;
    int64_t end = now_ms() + PATIENCE_MS;
    int why = LATE;
    while (now_ms() < end && mate_frame(m, (int)(end - now_ms()), &f, &why)) {
    }
    return why == CLOSED;
}

/* ---- what is asked ------------------------------------------------------------------------
 */

size_t
ask_head(uint8_t *out, size_t max, const char *origin)
{
    Hr__HeadAsk m;
    hr__head_ask__init(&m);
    m.origin = (char *)(uintptr_t)origin;
    return pack(&m.base, out, max);
}

size_t
ask_range(uint8_t *out, size_t max, const char *origin, uint32_t what, uint32_t level,
          uint64_t from, uint32_t count)
{
    Hr__RangeAsk m;
    hr__range_ask__init(&m);
    m.origin = (char *)(uintptr_t)origin;
    m.what = what;
    m.level = level;
    m.from = from;
    m.count = count;
    return pack(&m.base, out, max);
}

uint32_t
range_status(const struct frame *f, uint32_t *count)
{
    Hr__RangeTell *m = hr__range_tell__unpack(NULL, f->message.count, f->message.bytes);
    if (m == NULL) {
        die("the node sent a range that cannot be read");
    }
    uint32_t status = m->status;
    *count = m->count;
    hr__range_tell__free_unpacked(m, NULL);
    return status;
}

/* `questions` Asked entries, each for the first `leaves` leaves of whom's log. */
size_t
ask_lookup(uint8_t *out, size_t max, const struct party *me, const struct party *whom,
           size_t questions, size_t leaves)
{
    static uint8_t entry[65536];
    static ProtobufCBinaryData entries[1024];
    static uint64_t indexes[1024];
    static uint64_t next;
    static Hr__Leaf list[1024];
    static Hr__Leaf *pointers[1024];
    char origin[ORIGIN_CHARS_MAX + 1], exch[ORIGIN_CHARS_MAX + 1];
    uint8_t question[HASH_BYTES] = {0};
    if (questions > 1024 || leaves > 1024) {
        die("too many questions for the attacker");
    }
    origin_pub(whom->network, whom->institution, origin);
    origin_exch(me->network, me->institution, 0xa77ac4, exch);
    Hr__Asked asked;
    Hr__ExchEntry e;
    Hr__LookupAsk m;
    hr__asked__init(&asked);
    hr__exch_entry__init(&e);
    hr__lookup_ask__init(&m);
    for (size_t i = 0; i < leaves; i++) {
        hr__leaf__init(&list[i]);
        list[i].origin = origin;
        list[i].index = i;
        pointers[i] = &list[i];
    }
    asked.at_ms = (uint64_t)now_ms();
    asked.institution = (char *)(uintptr_t)whom->institution;
    asked.question = (ProtobufCBinaryData){sizeof question, question};
    asked.leaves = pointers;
    asked.n_leaves = leaves;
    e.what_case = HR__EXCH_ENTRY__WHAT_ASKED;
    e.asked = &asked;
    size_t count = pack(&e.base, entry, sizeof entry);
    for (size_t i = 0; i < questions; i++) {
        entries[i] = (ProtobufCBinaryData){count, entry};
        indexes[i] = next++;
    }
    m.exch_origin = exch;
    m.exch_index = indexes;
    m.n_exch_index = questions;
    m.asked = entries;
    m.n_asked = questions;
    return pack(&m.base, out, max);
}
