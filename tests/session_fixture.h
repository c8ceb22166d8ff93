/* session_fixture.h: two session machines, their bytes moved by hand. */
#ifndef TESTS_SESSION_FIXTURE_H
#define TESTS_SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/noise.h"
#include "node/session.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"

static const char network[] = "yx-county.hb.cn";
enum { ANSWERER, DIALLER, STRANGER, KEYS_COUNT };
static struct network_keys keys[KEYS_COUNT];

/* One end: its session and what it has seen. */
struct end {
    struct session *s;
    struct session_options options;
    int who;
    int ups;
    size_t frames;
    struct frame last;
    uint8_t raw[256];
    size_t raw_count;
    bool answers; /* each request at once */
};

static struct session_time
at(int64_t ms)
{
    return (struct session_time){.now_ms = ms, .clock_ms = 1700000000000 + ms};
}

static inline bool
is_member(void *ctx, const char *name, const uint8_t session_public[KEY_BYTES],
          char institution[INSTITUTION_CHARS_MAX + 1])
{
    (void)ctx;
    if (strcmp(name, network) != 0 ||
        memcmp(session_public, keys[DIALLER].session.public_key, KEY_BYTES) != 0) {
        return false;
    }
    strcpy(institution, "h-dialler");
    return true;
}

static inline const struct network_keys *
our_keys(void *ctx, const char *name)
{
    return strcmp(name, network) == 0 ? &keys[((struct end *)ctx)->who] : NULL;
}

/* Somebody who is in every network, under the same keys. */
static inline const struct network_keys *
keys_anywhere(void *ctx, const char *name)
{
    (void)name;
    return &keys[((struct end *)ctx)->who];
}

static inline void
on_up(void *ctx)
{
    ((struct end *)ctx)->ups++;
}

static inline void
on_frame(void *ctx, const struct frame *f)
{
    struct end *e = ctx;
    e->frames++;
    e->last = *f;
    e->raw_count = f->raw.count < sizeof e->raw ? f->raw.count : sizeof e->raw;
    if (e->raw_count > 0) {
        memcpy(e->raw, f->raw.bytes, e->raw_count);
    }
    if (e->answers && f->request != 0 && (f->kind & FRAME_ANSWER) == 0) {
        struct frame answer = *f;
        answer.kind |= FRAME_ANSWER;
        assert_int_equal(session_send(e->s, &answer), STATUS_OK);
    }
}

static inline void
end_init(struct end *e, int who)
{
    *e = (struct end){.who = who};
    e->options = (struct session_options){
        .ctx = e, .member = is_member, .keys = our_keys, .open_ms_max = SESSION_OPEN_MS_MAX};
    memset(e->options.instance, who + 1, INSTANCE_BYTES);
    snprintf(e->options.software, sizeof e->options.software, "test %d", who);
}

static inline void
answer(struct end *e)
{
    end_init(e, ANSWERER);
    assert_int_equal(session_answer(&e->options, (const uint8_t[KEY_BYTES]){11}, at(0), &e->s),
                     STATUS_OK);
}

static inline void
dial(struct end *e, int who, int whom)
{
    end_init(e, who);
    assert_int_equal(session_dial(&e->options, network, "h-answerer",
                                  keys[whom].session.public_key, (const uint8_t[KEY_BYTES]){12},
                                  at(0), &e->s),
                     STATUS_OK);
}

/* Give `bytes` to a session in pieces of at most `step`. */
static inline enum status
give_at(struct end *e, const uint8_t *bytes, size_t count, size_t step, int64_t ms)
{
    const struct session_sink sink = {e, on_up, on_frame};
    enum status st = STATUS_OK;
    while (count > 0 && st == STATUS_OK) {
        size_t room;
        uint8_t *to = session_space(e->s, &room);
        size_t n = count < step ? count : step;
        n = n < room ? n : room;
        memcpy(to, bytes, n);
        st = session_take(e->s, n, at(ms), &sink);
        bytes += n;
        count -= n;
    }
    return st;
}

static inline enum status
give(struct end *e, const uint8_t *bytes, size_t count)
{
    return give_at(e, bytes, count, SIZE_MAX, 0);
}

/* Take everything that a session wants to send; the caller frees it. */
static uint8_t *
take(struct end *e, size_t *count)
{
    uint8_t *all = NULL;
    *count = 0;
    while (session_has_output(e->s)) {
        struct view v;
        assert_int_equal(session_output(e->s, 0, &v), STATUS_OK);
        assert_true(v.count > 0);
        all = realloc(all, *count + v.count);
        memcpy(all + *count, v.bytes, v.count);
        *count += v.count;
        session_sent(e->s, v.count);
    }
    return all;
}

static inline enum status
move(struct end *from, struct end *to, size_t step)
{
    size_t count;
    uint8_t *bytes = take(from, &count);
    enum status st = give_at(to, bytes, count, step, 0);
    free(bytes);
    return st;
}

static inline void
open_pair(struct end *d, struct end *a, size_t step)
{
    answer(a);
    dial(d, DIALLER, ANSWERER);
    assert_int_equal(move(d, a, step), STATUS_OK);
    assert_false(session_is_up(a->s)); /* message 1 may be a replay */
    assert_int_equal(move(a, d, step), STATUS_OK);
    assert_true(session_is_up(d->s));
    assert_int_equal(move(d, a, step), STATUS_OK);
    assert_true(session_is_up(a->s));
    assert_int_equal(a->ups, 1);
    assert_int_equal(d->ups, 1);
}

static inline void
close_pair(struct end *d, struct end *a)
{
    session_free(d->s);
    session_free(a->s);
}

static struct view
text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

static struct frame
request(uint32_t id, const char *raw)
{
    return (struct frame){id, FRAME_LOOKUP, true, text(""), text(raw)};
}

static inline void
make_keys(void)
{
    for (int i = 0; i < KEYS_COUNT; i++) {
        keys_derive((const uint8_t[KEY_BYTES]){(uint8_t)(i + 1)}, network, &keys[i]);
    }
}

#endif
