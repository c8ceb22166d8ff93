/* engine_space_io.c: how much room the store has, what stops when it ends, and what the
 * operator is told (DESIGN 10). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/engine.h"

enum {
    WARN_PERCENT = 80,
    EASE_PERCENT = 3,    /* so much lower before it is called over, ... */
    EASE_SHARE = 16,     /* ... or this part of the reserve freed */
    LOOK_MS = 10 * 1000, /* reads the list of free pages */
    LOOK_SOON_MS = 1000, /* while something has stopped */
    SIZE_CHARS = 32,
    ADVICE_CHARS = 512
};

/* As "12.3 MiB". */
static const char *
size_text(uint64_t bytes, char out[SIZE_CHARS])
{
    uint64_t tenths = bytes / 1024 * 10 / 1024;
    snprintf(out, SIZE_CHARS, "%" PRIu64 ".%" PRIu64 " MiB", tenths / 10, tenths % 10);
    return out;
}

static enum engine_room
room_of(const struct engine *e, const struct store_space *s, unsigned percent)
{
    /* With no more room than when something was refused, that is so for all like it. */
    bool publish = s->free_bytes <= e->refused_free[STORE_PUBLISH] && percent >= WARN_PERCENT;
    bool exchange = s->free_bytes <= e->refused_free[STORE_EXCHANGE] && s->publishing_stops;
    return s->answering_stops || exchange   ? ROOM_NONE
           : s->publishing_stops || publish ? ROOM_RESERVE
           : percent >= WARN_PERCENT        ? ROOM_NEAR
                                            : ROOM_ENOUGH;
}

/* What ends the room, and what the operator can do. */
static const char *
advice_text(const struct engine *e, const struct store_space *s, char out[ADVICE_CHARS])
{
    if (s->disk_bound) {
        snprintf(out, ADVICE_CHARS,
                 "make room on the disk of %.300s/store, it goes on by itself", e->path);
    } else if (e->config->store_bytes_max != 0) {
        snprintf(out, ADVICE_CHARS,
                 "raise store_bytes_max (%" PRIu64
                 ") in %.300s/config.yaml and restart huren serve",
                 e->config->store_bytes_max, e->path);
    } else {
        snprintf(out, ADVICE_CHARS, "%.300s/store has the largest size there is", e->path);
    }
    return out;
}

static void
room_text(const struct engine *e, const struct store_space *s, enum engine_room room,
          char out[ENGINE_ROOM_CHARS])
{
    char advice[ADVICE_CHARS], size[SIZE_CHARS];
    advice_text(e, s, advice);
    switch (room) {
    case ROOM_ENOUGH:
        out[0] = '\0';
        break;
    case ROOM_NEAR:
        snprintf(out, ENGINE_ROOM_CHARS,
                 "%u %% of the room for publications is used, at 100 %% they stop: %s",
                 s->used_percent, advice);
        break;
    case ROOM_RESERVE:
        snprintf(out, ENGINE_ROOM_CHARS,
                 "the store is full: nothing more is published or taken from other hospitals; "
                 "look-ups and answers go on in what is kept for them, %s: %s",
                 size_text(s->free_bytes, size), advice);
        break;
    case ROOM_NONE:
        snprintf(out, ENGINE_ROOM_CHARS,
                 "the store is full and its reserve used up: nothing can be logged, so no "
                 "look-up is answered or decided here: %s",
                 advice);
        break;
    }
}

static void
look(struct engine *e, const struct store_space *s)
{
    char text[ENGINE_ROOM_CHARS];
    enum engine_room room = room_of(e, s, s->used_percent);
    if (room < e->room) { /* over only when it is so by a little more */
        uint64_t ease = s->reserve_bytes / EASE_SHARE;
        struct store_space less = *s;
        less.free_bytes -= ease < less.free_bytes ? ease : less.free_bytes;
        less.answering_stops = less.free_bytes <= s->overhead_bytes;
        less.publishing_stops = less.free_bytes <= s->overhead_bytes + s->reserve_bytes;
        room = room_of(e, &less, s->used_percent + EASE_PERCENT);
        room = room > e->room ? e->room : room;
    }
    if (room == e->room) {
        return;
    }
    bool worse = room > e->room;
    e->room = room;
    room_text(e, s, room, text);
    engine_say(e, "space: %s%s%s", worse ? "" : "there is room again",
               worse || text[0] == '\0' ? "" : "; ", text);
}

void
engine_space_refused(struct engine *e, enum store_purpose purpose)
{
    struct store_space s;
    if (store_space(e->store, &s) == STATUS_OK) {
        e->refused_free[purpose] = s.free_bytes;
        look(e, &s);
    }
}

void
engine_space_tick(struct engine *e, int64_t now_ms)
{
    if (now_ms - e->space_looked_ms >= (e->room >= ROOM_RESERVE ? LOOK_SOON_MS : LOOK_MS)) {
        struct store_space s;
        e->space_looked_ms = now_ms;
        if (store_space(e->store, &s) == STATUS_OK) {
            look(e, &s);
        }
    }
}

const char *
engine_why(const struct engine *e, enum status st, char out[ENGINE_ROOM_CHARS])
{
    struct store_space s;
    char advice[ADVICE_CHARS], used[SIZE_CHARS], kept[SIZE_CHARS];
    if (st != STATUS_NO_SPACE || store_space(e->store, &s) != STATUS_OK) {
        return status_text(st);
    }
    bool reserve = room_of(e, &s, s.used_percent) != ROOM_NONE;
    snprintf(out, ENGINE_ROOM_CHARS, "%s, %s used%s%s%s: %s", status_text(st),
             size_text(s.used_bytes, used), reserve ? " and " : "",
             reserve ? size_text(s.reserve_bytes, kept) : "",
             reserve ? " kept for look-ups and answers" : "", advice_text(e, &s, advice));
    return out;
}

json_t *
engine_space_json(const struct engine *e)
{
    struct store_space s;
    char text[ENGINE_ROOM_CHARS];
    if (store_space(e->store, &s) != STATUS_OK) {
        return NULL;
    }
    enum engine_room room = room_of(e, &s, s.used_percent);
    room_text(e, &s, room, text);
    return json_pack(
        "{s:I,s:I,s:i,s:b,s:b,s:I,s:I,s:I,s:s,s:s?}", "used_bytes", (json_int_t)s.used_bytes,
        "free_bytes", (json_int_t)s.free_bytes, "used_percent", (int)s.used_percent,
        "publishing_stops", room >= ROOM_RESERVE, "answering_stops", room == ROOM_NONE,
        "reserve_bytes", (json_int_t)s.reserve_bytes, "max_bytes", (json_int_t)s.map_bytes_max,
        "disk_free_bytes", (json_int_t)s.disk_free_bytes, "bound",
        s.disk_bound ? "disk" : "store_bytes_max", "alarm", text[0] == '\0' ? NULL : text);
}

void
engine_space_print(struct call_sink *sink, const json_t *o)
{
    const char *alarm = json_string_value(json_object_get(o, "alarm"));
    char kept[SIZE_CHARS];
    engine_text(
        sink, false,
        "space: %" JSON_INTEGER_FORMAT " bytes used, %" JSON_INTEGER_FORMAT
        " %% of the room for publications; %s more are kept for look-ups and answers\n",
        json_integer_value(json_object_get(o, "used_bytes")),
        json_integer_value(json_object_get(o, "used_percent")),
        size_text((uint64_t)json_integer_value(json_object_get(o, "reserve_bytes")), kept));
    if (alarm != NULL) {
        engine_text(sink, false, "  %s: %s\n",
                    json_is_true(json_object_get(o, "publishing_stops")) ? "ALARM" : "WARNING",
                    alarm);
    }
}
