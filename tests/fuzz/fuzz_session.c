/* Properties: no bytes from a stranger bring a session up or get an answer; no bytes
 * from a member, sealed with the right keys, break it; what is delivered was within
 * its limits.  The first byte chooses: odd, the input comes as it is; even, it is cut
 * into transport messages and sealed by a member. */
#include <stdlib.h>
#include <string.h>

#include "crypto/noise.h"
#include "node/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char network[] = "n";
static struct network_keys keys[2];

struct seen {
    struct session *s;
    size_t ups, frames;
};

static void
need(bool truth)
{
    if (!truth) {
        abort();
    }
}

static bool
is_member(void *ctx, const char *name, const uint8_t session_public[KEY_BYTES],
          char institution[INSTITUTION_CHARS_MAX + 1])
{
    (void)ctx, (void)name;
    strcpy(institution, "member");
    return memcmp(session_public, keys[1].session.public_key, KEY_BYTES) == 0;
}

static const struct network_keys *
our_keys(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, network) == 0 ? &keys[0] : NULL;
}

static void
on_up(void *ctx)
{
    ((struct seen *)ctx)->ups++;
}

static void
on_frame(void *ctx, const struct frame *f)
{
    struct seen *seen = ctx;
    need(seen->ups == 1);
    need(f->message.count <= MESSAGE_BYTES_MAX);
    need(frame_check(f) == STATUS_OK);
    seen->frames++;
    if (f->request != 0 && (f->kind & FRAME_ANSWER) == 0 && f->request % 3 != 0) {
        struct frame answer = {f->request, f->kind | FRAME_ANSWER, f->request % 3 == 1,
                               f->message, f->raw};
        enum status st = session_send(seen->s, &answer);
        need(st == STATUS_OK || st == STATUS_BUSY);
    }
}

static enum status
give(struct seen *seen, const uint8_t *bytes, size_t count)
{
    const struct session_sink sink = {seen, on_up, on_frame};
    enum status st = STATUS_OK;
    while (count > 0 && st == STATUS_OK) {
        size_t room;
        uint8_t *to = session_space(seen->s, &room);
        size_t n = count < room ? count : room;
        memcpy(to, bytes, n);
        st = session_take(seen->s, n, (struct session_time){0, 0}, &sink);
        bytes += n;
        count -= n;
    }
    return st;
}

/* The handshake of a member, once for all inputs: the keys are fixed. */
static struct noise_session member;
static uint8_t opening[256];
static size_t opening_count;

static void
prepare(const struct session_options *o)
{
    struct noise n;
    struct seen seen = {0};
    struct view v;
    keys_derive((const uint8_t[KEY_BYTES]){1}, network, &keys[0]);
    keys_derive((const uint8_t[KEY_BYTES]){2}, network, &keys[1]);
    memcpy(opening, "huren 1 n\n", 10);
    noise_init_initiator(&n, (struct view){opening, 10}, &keys[1].session,
                         keys[0].session.public_key, (const uint8_t[KEY_BYTES]){3});
    opening[11] = NOISE_MESSAGE_1_BYTES;
    need(noise_write_1(&n, opening + 12) == STATUS_OK);
    opening_count = 12 + NOISE_MESSAGE_1_BYTES;
    need(session_answer(o, (const uint8_t[KEY_BYTES]){4}, (struct session_time){0, 0},
                        &seen.s) == STATUS_OK);
    need(give(&seen, opening, opening_count) == STATUS_OK);
    need(session_output(seen.s, 0, &v) == STATUS_OK);
    need(noise_read_2(&n, (struct view){v.bytes + 2, NOISE_MESSAGE_2_BYTES}) == STATUS_OK);
    noise_split(&n, &member);
    session_free(seen.s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct session_options o = {
        .member = is_member, .keys = our_keys, .open_ms_max = 5000};
    static bool prepared;
    if (!prepared) {
        prepared = true;
        prepare(&o);
    }
    if (size < 1) {
        return 0;
    }
    struct seen seen = {0};
    struct view v;
    need(session_answer(&o, (const uint8_t[KEY_BYTES]){4}, (struct session_time){0, 0},
                        &seen.s) == STATUS_OK);
    enum status st = STATUS_OK;
    bool stranger = data[0] % 2 == 1;
    data++;
    size--;
    if (stranger) {
        st = give(&seen, data, size);
        /* It may begin as the recorded opening does: then it is answered, but not up. */
        need(seen.ups == 0 && seen.frames == 0);
        need(!session_has_output(seen.s) ||
             (size >= opening_count && memcmp(data, opening, opening_count) == 0));
        need(session_tick(seen.s, 5000) != STATUS_OK);
        session_free(seen.s);
        return 0;
    }
    struct noise_session with = member;
    need(give(&seen, opening, opening_count) == STATUS_OK);
    while (size > 0 && st == STATUS_OK) { /* a length byte, then as much plaintext */
        static uint8_t out[2 + 255 + NOISE_TAG_BYTES];
        size_t plain = data[0] < size - 1 ? data[0] : size - 1, count;
        need(noise_seal(&with, (struct view){data + 1, plain}, out + 2, sizeof out - 2,
                        &count) == STATUS_OK);
        out[0] = (uint8_t)(count >> 8);
        out[1] = (uint8_t)count;
        st = give(&seen, out, count + 2);
        data += 1 + plain;
        size -= 1 + plain;
    }
    need(st != STATUS_BAD_KEY);
    need(seen.ups <= 1 && (seen.ups == 1 || seen.frames == 0));
    need(session_is_up(seen.s) == (seen.ups == 1 && st == STATUS_OK));
    while (session_has_output(seen.s)) {
        need(session_output(seen.s, 0, &v) == STATUS_OK && v.count > 0);
        session_sent(seen.s, v.count);
    }
    need((strlen(session_reason(seen.s)) > 0) == (st != STATUS_OK));
    session_free(seen.s);
    return 0;
}
