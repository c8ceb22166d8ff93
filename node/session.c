#include "node/session.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/noise.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"

static const char line_start[] = "huren 1 ";
enum {
    LINE_START_CHARS = sizeof line_start - 1,
    LINE_CHARS_MAX = LINE_START_CHARS + NETWORK_CHARS_MAX + 1,
    LENGTH_BYTES = 2,
    /* All that comes before the peer is known to be a member. */
    SMALL_BYTES = LINE_CHARS_MAX + LENGTH_BYTES + NOISE_MESSAGE_1_BYTES,
    OPEN_BYTES = 16 * 1024, /* input buffer of an open session, to begin with */
    WIRE_BYTES_MAX = LENGTH_BYTES + NOISE_MESSAGE_BYTES_MAX,
    KEYS_TRIED_MAX = 4,   /* others of ours that a first message may be meant for */
    MESSAGES_AT_ONCE = 2, /* sealed for one write, or read by one */
    PROTOCOL_VERSION = 1
};

enum phase { PHASE_LINE, PHASE_MESSAGE_1, PHASE_MESSAGE_2, PHASE_TRANSPORT, PHASE_DEAD };

/* Requests that wait for the last frame of their answer. */
struct flight {
    size_t count;
    uint32_t request[REQUESTS_IN_FLIGHT_MAX];
    uint8_t kind[REQUESTS_IN_FLIGHT_MAX];
};

struct session {
    const struct session_options *options;
    enum phase phase;
    bool up;    /* HELLO was read */
    bool beat;  /* an empty message is due */
    bool moved; /* the wire took something since the last look at the clock */
    enum status ended;
    const char *reason;
    int64_t began_ms;
    int64_t received_ms; /* last time anything came */
    int64_t sent_ms;     /* last time anything was sealed */
    int64_t stuck_ms;    /* since when nothing of what waits was sent; 0: it moves */
    struct session_peer peer;

    struct noise noise; /* until the handshake is over, then wiped */
    struct noise_session keys;
    uint8_t ephemeral_secret[KEY_BYTES]; /* answerer, until message 1 was read */

    uint8_t small[SMALL_BYTES]; /* input until the transport begins */
    uint8_t *in;                /* small, or allocated */
    size_t in_count;
    size_t in_capacity;
    struct frame_reader reader;

    struct frame_queue queue; /* frames in clear, to be sealed */
    uint8_t *out;             /* sealed, for the wire */
    size_t out_first;
    size_t out_count;
    size_t out_capacity;

    struct flight asked; /* by us */
    struct flight owed;  /* by us, to the peer */
};

/* ---- requests in flight ----------------------------------------------------- */

/* Where the request stands, or count. */
static size_t
flight_find(const struct flight *f, uint32_t request)
{
    size_t i = 0;
    while (i < f->count && f->request[i] != request) {
        i++;
    }
    return i;
}

static void
flight_add(struct flight *f, uint32_t request, uint8_t kind)
{
    assert(f->count < REQUESTS_IN_FLIGHT_MAX);
    f->request[f->count] = request;
    f->kind[f->count++] = kind;
}

static void
flight_remove(struct flight *f, size_t i)
{
    f->count--;
    f->request[i] = f->request[f->count];
    f->kind[i] = f->kind[f->count];
}

/* ---- begin and end ---------------------------------------------------------- */

static enum status
end(struct session *s, enum status st, const char *reason)
{
    s->phase = PHASE_DEAD;
    s->ended = st;
    s->reason = reason;
    noise_wipe(&s->noise);
    noise_session_wipe(&s->keys);
    return st;
}

static struct session *
session_new(const struct session_options *o, struct session_time t)
{
    struct session *s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->options = o;
        s->reason = "";
        s->began_ms = s->received_ms = s->sent_ms = t.now_ms;
        s->in = s->small;
        s->in_capacity = sizeof s->small;
        s->queue.bytes_max = SESSION_QUEUE_BYTES_MAX;
    }
    return s;
}

/* Room for `count` more bytes at the end of the output. */
static uint8_t *
out_room(struct session *s, size_t count)
{
    assert(s->out_first == 0);
    if (s->out_count + count > s->out_capacity) {
        uint8_t *grown = realloc(s->out, s->out_count + count);
        if (grown == NULL) {
            return NULL;
        }
        s->out = grown;
        s->out_capacity = s->out_count + count;
    }
    return s->out + s->out_count;
}

static void
put_length(uint8_t *out, size_t count)
{
    out[0] = (uint8_t)(count >> 8);
    out[1] = (uint8_t)count;
}

static bool
name_copy(char *out, const char *name, size_t chars_max)
{
    if (keys_vet_name(name, chars_max) != STATUS_OK) {
        return false;
    }
    memcpy(out, name, strlen(name) + 1);
    return true;
}

/* The line and message 1 go out together. */
static enum status
dial_write(struct session *s, const struct network_keys *keys,
           const uint8_t ephemeral_secret[KEY_BYTES])
{
    size_t name_chars = strlen(s->peer.network);
    size_t line_chars = LINE_START_CHARS + name_chars + 1;
    uint8_t *out = out_room(s, line_chars + LENGTH_BYTES + NOISE_MESSAGE_1_BYTES);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(out, line_start, LINE_START_CHARS);
    memcpy(out + LINE_START_CHARS, s->peer.network, name_chars);
    out[line_chars - 1] = '\n';
    noise_init_initiator(&s->noise, (struct view){out, line_chars}, &keys->session,
                         s->peer.session_public, ephemeral_secret);
    put_length(out + line_chars, NOISE_MESSAGE_1_BYTES);
    s->out_count = line_chars + LENGTH_BYTES + NOISE_MESSAGE_1_BYTES;
    return noise_write_1(&s->noise, out + line_chars + LENGTH_BYTES);
}

enum status
session_dial(const struct session_options *o, const char *network, const char *institution,
             const uint8_t session_public[KEY_BYTES], const uint8_t ephemeral_secret[KEY_BYTES],
             struct session_time t, struct session **out)
{
    *out = NULL;
    struct session *s = session_new(o, t);
    if (s == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status st = STATUS_MALFORMED;
    if (name_copy(s->peer.network, network, NETWORK_CHARS_MAX) &&
        name_copy(s->peer.institution, institution, INSTITUTION_CHARS_MAX)) {
        const struct network_keys *keys = o->keys(o->ctx, s->peer.network);
        memcpy(s->peer.session_public, session_public, KEY_BYTES);
        s->phase = PHASE_MESSAGE_2;
        st = keys == NULL ? STATUS_NOT_FOUND : dial_write(s, keys, ephemeral_secret);
    }
    if (st != STATUS_OK) {
        session_free(s);
        return st;
    }
    *out = s;
    return STATUS_OK;
}

enum status
session_answer(const struct session_options *o, const uint8_t ephemeral_secret[KEY_BYTES],
               struct session_time t, struct session **out)
{
    struct session *s = *out = session_new(o, t);
    if (s == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(s->ephemeral_secret, ephemeral_secret, KEY_BYTES);
    return STATUS_OK;
}

void
session_free(struct session *s)
{
    if (s == NULL) {
        return;
    }
    if (s->in != s->small) {
        free(s->in);
    }
    frame_reader_free(&s->reader);
    frame_queue_free(&s->queue);
    free(s->out);
    sodium_memzero(s, sizeof *s);
    free(s);
}

/* ---- handshake -------------------------------------------------------------- */

static enum status
queue_hello(struct session *s, struct session_time t)
{
    uint8_t bytes[256];
    size_t count;
    Hr__Hello hello;
    hr__hello__init(&hello);
    /* protobuf-c has no const: it reads these only. */
    uint8_t instance[INSTANCE_BYTES];
    char software[SOFTWARE_CHARS_MAX + 1];
    memcpy(instance, s->options->instance, sizeof instance);
    memcpy(software, s->options->software, sizeof software);
    hello.version = PROTOCOL_VERSION;
    hello.instance = (ProtobufCBinaryData){sizeof instance, instance};
    hello.software = software;
    hello.now_ms = (uint64_t)t.clock_ms;
    enum status st = pb_pack(&hello.base, bytes, sizeof bytes, &count);
    assert(st == STATUS_OK);
    return frame_queue_add(
        &s->queue,
        &(struct frame){.kind = FRAME_HELLO, .last = true, .message = {bytes, count}});
}

/* The handshake is done: bytes that came behind it stay. */
static enum status
begin_transport(struct session *s, struct session_time t)
{
    noise_split(&s->noise, &s->keys);
    s->in = malloc(OPEN_BYTES);
    if (s->in == NULL) {
        s->in = s->small;
        return end(s, STATUS_NO_MEMORY, "out of memory");
    }
    memcpy(s->in, s->small, s->in_count);
    s->in_capacity = OPEN_BYTES;
    s->phase = PHASE_TRANSPORT;
    return queue_hello(s, t) == STATUS_OK ? STATUS_OK
                                          : end(s, STATUS_NO_MEMORY, "out of memory");
}

/* Each of these sets `used` to the bytes that it is done with, 0 to wait for more. */
static enum status
take_line(struct session *s, struct view in, size_t *used)
{
    size_t known = in.count < LINE_START_CHARS ? in.count : LINE_START_CHARS;
    if (memcmp(in.bytes, line_start, known) != 0) {
        bool ours = known > 5 && memcmp(in.bytes, line_start, 6) == 0;
        return ours ? end(s, STATUS_UNSUPPORTED, "another version of the protocol")
                    : end(s, STATUS_MALFORMED, "not a session of ours");
    }
    if (in.count <= LINE_START_CHARS) {
        return STATUS_OK;
    }
    size_t name_max = in.count - LINE_START_CHARS;
    const uint8_t *lf = memchr(in.bytes + LINE_START_CHARS, '\n', name_max);
    size_t chars = lf == NULL ? name_max : (size_t)(lf - in.bytes) - LINE_START_CHARS;
    if (chars > NETWORK_CHARS_MAX) {
        return end(s, STATUS_MALFORMED, "the name of the network is too long");
    }
    if (lf == NULL) {
        return STATUS_OK;
    }
    char name[NETWORK_CHARS_MAX + 1] = {0};
    memcpy(name, in.bytes + LINE_START_CHARS, chars);
    if (strlen(name) != chars || !name_copy(s->peer.network, name, NETWORK_CHARS_MAX)) {
        return end(s, STATUS_MALFORMED, "not the name of a network");
    }
    const struct network_keys *keys = s->options->keys(s->options->ctx, s->peer.network);
    if (keys == NULL) {
        return end(s, STATUS_NOT_FOUND, "the network asked for is not ours");
    }
    *used = LINE_START_CHARS + chars + 1;
    noise_init_responder(&s->noise, (struct view){in.bytes, *used}, &keys->session,
                         s->ephemeral_secret);
    s->phase = PHASE_MESSAGE_1;
    return STATUS_OK;
}

/* A handshake message has one possible length. */
static enum status
handshake_message(struct session *s, struct view in, size_t want, struct view *message,
                  size_t *used)
{
    if ((in.count > 0 && in.bytes[0] != want >> 8) ||
        (in.count > 1 && in.bytes[1] != (want & 0xff))) {
        return end(s, STATUS_MALFORMED, "a handshake message has the wrong length");
    }
    if (in.count >= LENGTH_BYTES + want) {
        *message = (struct view){in.bytes + LENGTH_BYTES, want};
        *used = LENGTH_BYTES + want;
    }
    return STATUS_OK;
}

/* Message 1 under another of our keys: who calls may not know the present one yet,
 * or already the next. */
static enum status
read_with_others(struct session *s, struct view message)
{
    const struct session_options *o = s->options;
    const struct network_keys *keys;
    uint8_t line[LINE_CHARS_MAX];
    size_t name_chars = strlen(s->peer.network);
    enum status st = STATUS_BAD_KEY;
    memcpy(line, line_start, LINE_START_CHARS);
    memcpy(line + LINE_START_CHARS, s->peer.network, name_chars);
    line[LINE_START_CHARS + name_chars] = '\n';
    for (size_t i = 0; st == STATUS_BAD_KEY && o->keys_more != NULL && i < KEYS_TRIED_MAX &&
                       (keys = o->keys_more(o->ctx, s->peer.network, i)) != NULL;
         i++) {
        noise_init_responder(&s->noise, (struct view){line, LINE_START_CHARS + name_chars + 1},
                             &keys->session, s->ephemeral_secret);
        st = noise_read_1(&s->noise, message, s->peer.session_public);
    }
    return st;
}

static enum status
take_message_1(struct session *s, struct view in, struct session_time t, size_t *used)
{
    struct view message;
    enum status st = handshake_message(s, in, NOISE_MESSAGE_1_BYTES, &message, used);
    if (st != STATUS_OK || *used == 0) {
        return st;
    }
    st = noise_read_1(&s->noise, message, s->peer.session_public);
    st = st == STATUS_BAD_KEY ? read_with_others(s, message) : st;
    sodium_memzero(s->ephemeral_secret, sizeof s->ephemeral_secret);
    if (st != STATUS_OK) {
        return end(s, st, "the first message is not meant for us, or was changed");
    }
    if (!s->options->member(s->options->ctx, s->peer.network, s->peer.session_public,
                            s->peer.institution)) {
        memset(s->peer.institution, 0, sizeof s->peer.institution);
        return end(s, STATUS_REFUSED, "the caller is not a member of the network");
    }
    uint8_t *out = out_room(s, LENGTH_BYTES + NOISE_MESSAGE_2_BYTES);
    if (out == NULL) {
        return end(s, STATUS_NO_MEMORY, "out of memory");
    }
    put_length(out, NOISE_MESSAGE_2_BYTES);
    if ((st = noise_write_2(&s->noise, out + LENGTH_BYTES)) != STATUS_OK) {
        return end(s, st, "the caller's key is of low order");
    }
    s->out_count += LENGTH_BYTES + NOISE_MESSAGE_2_BYTES;
    return begin_transport(s, t);
}

static enum status
take_message_2(struct session *s, struct view in, struct session_time t, size_t *used)
{
    struct view message;
    enum status st = handshake_message(s, in, NOISE_MESSAGE_2_BYTES, &message, used);
    if (st != STATUS_OK || *used == 0) {
        return st;
    }
    if ((st = noise_read_2(&s->noise, message)) != STATUS_OK) {
        return end(s, st, "the answer was changed, or does not come from who was called");
    }
    return begin_transport(s, t);
}

/* ---- frames that come ------------------------------------------------------- */

static enum status
take_hello(struct session *s, const struct frame *f, struct session_time t)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    if (f->kind != FRAME_HELLO || f->request != 0 || !f->last || f->raw.count != 0) {
        return end(s, STATUS_MALFORMED, "the session does not begin with a hello");
    }
    pb_arena_init(&arena, memory, sizeof memory, 0);
    bool good = pb_unpack(&hr__hello__descriptor, f->message, MESSAGE_BYTES_MAX, &arena, &m) ==
                STATUS_OK;
    if (good) {
        const Hr__Hello *hello = (const Hr__Hello *)m;
        size_t chars = strlen(hello->software);
        good = hello->version >= PROTOCOL_VERSION && hello->instance.len == INSTANCE_BYTES &&
               chars <= SOFTWARE_CHARS_MAX && hello->now_ms <= INT64_MAX;
        for (size_t i = 0; good && i < chars; i++) {
            good = hello->software[i] >= ' ' && hello->software[i] <= '~';
        }
        if (good) {
            s->peer.version = hello->version;
            memcpy(s->peer.instance, hello->instance.data, INSTANCE_BYTES);
            memcpy(s->peer.software, hello->software, chars + 1);
            s->peer.skew_ms = (int64_t)hello->now_ms - t.clock_ms;
        }
    }
    pb_free(&arena);
    if (!good) {
        return end(s, STATUS_MALFORMED, "the hello is malformed");
    }
    s->up = true;
    return STATUS_OK;
}

static enum status
take_answer(struct session *s, const struct frame *f)
{
    size_t i = flight_find(&s->asked, f->request);
    if (i == s->asked.count || (s->asked.kind[i] | FRAME_ANSWER) != f->kind) {
        return end(s, STATUS_MALFORMED, "an answer to nothing that was asked");
    }
    if (f->last) {
        flight_remove(&s->asked, i);
    }
    return STATUS_OK;
}

static enum status
take_request(struct session *s, const struct frame *f)
{
    if (f->kind == FRAME_HELLO || f->kind == 0 || !f->last) {
        return end(s, STATUS_MALFORMED, "a request that is none");
    }
    if (f->request == 0) {
        return STATUS_OK;
    }
    if (flight_find(&s->owed, f->request) < s->owed.count) {
        return end(s, STATUS_MALFORMED, "a request id is used twice");
    }
    if (s->owed.count == REQUESTS_IN_FLIGHT_MAX) {
        return end(s, STATUS_TOO_BIG, "too many requests in flight");
    }
    if (f->kind <= FRAME_KIND_MAX) {
        flight_add(&s->owed, f->request, f->kind);
        return STATUS_OK;
    }
    /* A kind of a later version: an empty answer says that we do not know it. */
    struct frame answer = {.request = f->request, .kind = f->kind | FRAME_ANSWER, .last = true};
    enum status st = frame_queue_add(&s->queue, &answer);
    return st == STATUS_OK ? st : end(s, st, "the peer does not read its answers");
}

static enum status
take_frame(struct session *s, const struct frame *f, struct session_time t,
           const struct session_sink *sink)
{
    enum status st;
    if (!s->up) {
        if ((st = take_hello(s, f, t)) == STATUS_OK) {
            sink->up(sink->ctx);
        }
        return st;
    }
    st = (f->kind & FRAME_ANSWER) != 0 ? take_answer(s, f) : take_request(s, f);
    if (st == STATUS_OK && (f->kind & ~FRAME_ANSWER) <= FRAME_KIND_MAX) {
        sink->frame(sink->ctx, f);
    }
    return st;
}

/* The input buffer must hold a whole message. */
static enum status
in_grow(struct session *s)
{
    enum { FULL = MESSAGES_AT_ONCE * WIRE_BYTES_MAX };
    uint8_t *grown = s->in_capacity < FULL ? realloc(s->in, FULL) : NULL;
    if (grown == NULL) {
        return end(s, STATUS_NO_MEMORY, "out of memory");
    }
    s->in = grown;
    s->in_capacity = FULL;
    return STATUS_OK;
}

static enum status
take_transport(struct session *s, uint8_t *in, size_t in_count, struct session_time t,
               const struct session_sink *sink, size_t *used)
{
    if (in_count < LENGTH_BYTES) {
        return STATUS_OK;
    }
    size_t count = (size_t)in[0] << 8 | in[1];
    if (count < NOISE_TAG_BYTES) {
        return end(s, STATUS_MALFORMED, "a message is shorter than its tag");
    }
    if (in_count < LENGTH_BYTES + count) {
        return STATUS_OK;
    }
    uint8_t *plain = in + LENGTH_BYTES;
    size_t plain_count;
    enum status st =
        noise_open(&s->keys, (struct view){plain, count}, plain, count, &plain_count);
    if (st != STATUS_OK) {
        return end(s, st, "a message was changed, lost or sent again");
    }
    *used = LENGTH_BYTES + count;
    struct view left = {plain, plain_count};
    for (;;) {
        struct frame f;
        bool got;
        if ((st = frame_reader_next(&s->reader, &left, &f, &got)) != STATUS_OK) {
            return end(s, st, "a frame is malformed or too big");
        }
        if (!got) {
            return STATUS_OK;
        }
        if ((st = take_frame(s, &f, t, sink)) != STATUS_OK) {
            return st;
        }
    }
}

uint8_t *
session_space(struct session *s, size_t *count)
{
    *count = s->in_capacity - s->in_count;
    assert(*count > 0);
    return s->in + s->in_count;
}

enum status
session_take(struct session *s, size_t count, struct session_time t,
             const struct session_sink *sink)
{
    if (s->phase == PHASE_DEAD) {
        return s->ended;
    }
    assert(count <= s->in_capacity - s->in_count);
    s->in_count += count;
    if (count > 0) {
        s->received_ms = t.now_ms;
    }
    size_t first = 0, used;
    enum status st;
    do {
        uint8_t *in = s->in + first;
        struct view rest = {in, s->in_count - first};
        enum phase phase = s->phase;
        st = STATUS_OK;
        used = 0;
        if (phase == PHASE_LINE) {
            st = take_line(s, rest, &used);
        } else if (phase == PHASE_MESSAGE_1) {
            st = take_message_1(s, rest, t, &used);
        } else if (phase == PHASE_MESSAGE_2) {
            st = take_message_2(s, rest, t, &used);
        } else {
            st = take_transport(s, in, rest.count, t, sink, &used);
        }
        first += used;
    } while (st == STATUS_OK && used > 0 && first < s->in_count);
    if (st != STATUS_OK) {
        s->in_count = 0;
        return st;
    }
    s->in_count -= first;
    memmove(s->in, s->in + first, s->in_count);
    return s->in_count == s->in_capacity ? in_grow(s) : STATUS_OK;
}

/* ---- frames that go --------------------------------------------------------- */

enum status
session_send(struct session *s, const struct frame *f)
{
    uint8_t kind = f->kind & (uint8_t)~FRAME_ANSWER;
    bool answer = (f->kind & FRAME_ANSWER) != 0;
    assert(kind > FRAME_HELLO && kind <= FRAME_KIND_MAX);
    assert(answer || f->last);
    if (s->phase == PHASE_DEAD || !s->up) {
        return STATUS_NOT_FOUND;
    }
    size_t owed = answer ? flight_find(&s->owed, f->request) : 0;
    if (answer && (owed == s->owed.count || s->owed.kind[owed] != kind)) {
        return STATUS_NOT_FOUND;
    }
    if (!answer && f->request != 0) {
        if (flight_find(&s->asked, f->request) < s->asked.count) {
            return STATUS_EXISTS;
        }
        if (s->asked.count == REQUESTS_IN_FLIGHT_MAX) {
            return STATUS_BUSY;
        }
    }
    enum status st = frame_queue_add(&s->queue, f);
    if (st != STATUS_OK) {
        return st;
    }
    if (answer && f->last) {
        flight_remove(&s->owed, owed);
    } else if (!answer && f->request != 0) {
        flight_add(&s->asked, f->request, kind);
    }
    return STATUS_OK;
}

/* Seal the first bytes that wait, as many as a message holds. */
static enum status
seal_one(struct session *s)
{
    struct view plain = frame_queue_view(&s->queue);
    if (plain.count > NOISE_PLAIN_BYTES_MAX) {
        plain.count = NOISE_PLAIN_BYTES_MAX;
    }
    size_t room = LENGTH_BYTES + plain.count + NOISE_TAG_BYTES, count;
    uint8_t *out = out_room(s, room);
    if (out == NULL) {
        return end(s, STATUS_NO_MEMORY, "out of memory");
    }
    enum status st =
        noise_seal(&s->keys, plain, out + LENGTH_BYTES, room - LENGTH_BYTES, &count);
    if (st != STATUS_OK) {
        return end(s, st, "the session has carried all it may");
    }
    put_length(out, count);
    s->out_count += LENGTH_BYTES + count;
    frame_queue_drop(&s->queue, plain.count);
    return STATUS_OK;
}

enum status
session_output(struct session *s, int64_t now_ms, struct view *out)
{
    *out = (struct view){NULL, 0};
    if (s->phase == PHASE_DEAD) {
        return s->ended;
    }
    if (s->out_first == 0 && s->phase == PHASE_TRANSPORT) {
        bool more = s->queue.count > 0 || (s->beat && s->out_count == 0);
        for (int i = 0; more && i < MESSAGES_AT_ONCE; i++) {
            enum status st = seal_one(s);
            if (st != STATUS_OK) {
                return st;
            }
            s->sent_ms = now_ms;
            s->beat = false;
            more = s->queue.count > 0;
        }
    }
    *out = (struct view){s->out + s->out_first, s->out_count - s->out_first};
    return STATUS_OK;
}

void
session_sent(struct session *s, size_t count)
{
    assert(count <= s->out_count - s->out_first);
    s->out_first += count;
    s->moved = s->moved || count > 0;
    if (s->out_first == s->out_count) {
        s->out_first = s->out_count = 0;
    }
}

bool
session_has_output(const struct session *s)
{
    return s->phase != PHASE_DEAD &&
           (s->out_count > s->out_first ||
            (s->phase == PHASE_TRANSPORT && (s->queue.count > 0 || s->beat)));
}

/* ---- time and state --------------------------------------------------------- */

enum status
session_tick(struct session *s, int64_t now_ms)
{
    if (s->phase == PHASE_DEAD) {
        return s->ended;
    }
    if (!s->up) {
        return now_ms - s->began_ms >= s->options->open_ms_max
                   ? end(s, STATUS_UNAVAILABLE, "not open in time")
                   : STATUS_OK;
    }
    if (now_ms - s->received_ms >= SESSION_SILENT_MS_MAX) {
        return end(s, STATUS_UNAVAILABLE, "nothing was heard for too long");
    }
    if (s->moved || !session_has_output(s)) {
        s->moved = false;
        s->stuck_ms = 0;
    } else if (s->stuck_ms == 0) {
        s->stuck_ms = now_ms == 0 ? 1 : now_ms;
    } else if (now_ms - s->stuck_ms >= SESSION_STUCK_MS_MAX) {
        return end(s, STATUS_UNAVAILABLE, "the peer does not read");
    }
    if (now_ms - s->sent_ms >= SESSION_IDLE_MS_MAX) {
        s->beat = true;
        s->sent_ms = now_ms;
    }
    return STATUS_OK;
}

int64_t
session_deadline_ms(const struct session *s)
{
    if (!s->up) {
        return s->began_ms + s->options->open_ms_max;
    }
    int64_t dead = s->received_ms + SESSION_SILENT_MS_MAX;
    int64_t beat = s->sent_ms + SESSION_IDLE_MS_MAX;
    if (s->stuck_ms != 0 && s->stuck_ms + SESSION_STUCK_MS_MAX < dead) {
        dead = s->stuck_ms + SESSION_STUCK_MS_MAX;
    }
    return dead < beat ? dead : beat;
}

bool
session_is_up(const struct session *s)
{
    return s->up && s->phase == PHASE_TRANSPORT;
}

bool
session_is_idle(const struct session *s)
{
    return s->asked.count == 0 && s->owed.count == 0 && !session_has_output(s);
}

const struct session_peer *
session_peer(const struct session *s)
{
    return &s->peer;
}

const char *
session_reason(const struct session *s)
{
    return s->reason;
}
