#include "tests/sim/world.h"

#include <stdarg.h>

#include "proto/frame.h"
#include "tests/sim/evil.h"
#include "tests/sim/secure.h"

struct world *sim_world;

/* ---- the trace ---- */

static void
trace_put(struct world *w, const char *text, size_t count)
{
    enum { TRACE_MAX = 64 * 1024 * 1024 };
    if (w->trace_count + count + 1 > TRACE_MAX) {
        return;
    }
    if (w->trace_count + count + 1 > w->trace_room) {
        w->trace_room = 2 * w->trace_room + count + 65536;
        w->trace = realloc(w->trace, w->trace_room);
        assert(w->trace != NULL);
    }
    memcpy(w->trace + w->trace_count, text, count);
    w->trace_count += count;
    w->trace[w->trace_count] = '\0';
}

static void __attribute__((format(printf, 3, 0)))
say_list(struct world *w, const struct node *n, const char *format, va_list list)
{
    char line[600];
    int at = snprintf(line, sizeof line, "%9.3f s  ", (double)w->now_ms / 1000.0);
    if (n != NULL) {
        at += snprintf(line + at, sizeof line - (size_t)at, "%s%s ", n->institution,
                       n->number >= w->member_count ? "'" : "");
    }
    int more = vsnprintf(line + at, sizeof line - (size_t)at - 1, format, list);
    size_t count = (size_t)at + (size_t)(more < 0 ? 0 : more);
    count = count > sizeof line - 2 ? sizeof line - 2 : count;
    line[count++] = '\n';
    trace_put(w, line, count);
}

void
sim_say(struct world *w, const struct node *n, const char *format, ...)
{
    va_list list;
    if (!w->tracing) {
        return;
    }
    va_start(list, format);
    say_list(w, n, format, list);
    va_end(list);
}

bool
sim_trace_keep(struct world *w, char name[SIM_FILE_CHARS])
{
    const char *dir = getenv("SIM_TRACE_DIR");
    snprintf(name, SIM_FILE_CHARS, "%s/huren-sim-%s-%llu.trace", dir == NULL ? "/tmp" : dir,
             w->scenario, (unsigned long long)w->seed);
    FILE *f = fopen(name, "w");
    if (f == NULL) {
        return false;
    }
    bool good = fwrite(w->trace, 1, w->trace_count, f) == w->trace_count;
    return fclose(f) == 0 && good;
}

static void
trace_end(struct world *w)
{
    enum { LAST_LINES = 40 };
    char name[SIM_FILE_CHARS];
    if (!w->tracing) {
        return;
    }
    bool kept = sim_trace_keep(w, name);
    size_t at = w->trace_count, lines = 0;
    while (at > 0 && (w->trace[at - 1] != '\n' || lines++ < LAST_LINES)) {
        at--;
    }
    fprintf(stderr, "the last events%s%s:\n%s", kept ? "; all of them are in " : "",
            kept ? name : "", w->trace + at);
}

void
sim_fail(struct world *w, const char *which, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "seed %llu, %s, at %.3f s: %s is broken: ", (unsigned long long)w->seed,
            w->scenario, (double)w->now_ms / 1000.0, which);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n");
    trace_end(w);
    exit(1);
}

/* ---- clocks ---- */

int64_t
world_true_s(const struct world *w)
{
    return SIM_EPOCH_S + w->leap_s + w->now_ms / 1000;
}

int64_t
node_now_s(const struct world *w, const struct node *n)
{
    switch (n->clock) {
    case CLOCK_STUCK:
        return n->clock_base_s + n->offset_s;
    case CLOCK_BACKWARDS:
        return n->clock_base_s + n->offset_s - (w->now_ms - n->clock_from_ms) / 1000;
    case CLOCK_GOOD:
        break;
    }
    return world_true_s(w) + n->offset_s;
}

void
node_clock(struct world *w, struct node *n, enum clock_kind kind, int64_t offset_s)
{
    bool off = kind != CLOCK_GOOD || offset_s != 0;
    w->happened[HAPPENED_CLOCK_STUCK] += kind == CLOCK_STUCK;
    w->happened[HAPPENED_CLOCK_BACK] += kind == CLOCK_BACKWARDS;
    w->happened[offset_s > 86400 || offset_s < -86400 ? HAPPENED_CLOCK_YEARS
                                                      : HAPPENED_CLOCK_HOUR] += off;
    n->clock = kind;
    n->offset_s = offset_s;
    n->clock_from_ms = w->now_ms;
    n->clock_base_s = world_true_s(w);
    if (offset_s > n->went_ahead_s) {
        n->went_ahead_s = offset_s;
    }
    sim_say(w, n, "has a clock that is %+lld s off%s", (long long)offset_s,
            kind == CLOCK_STUCK       ? " and stands still"
            : kind == CLOCK_BACKWARDS ? " and runs backwards"
                                      : "");
}

/* ---- who is who ---- */

int
world_member_of(const struct world *w, struct view origin)
{
    for (int i = 0; i < w->member_count; i++) {
        if (strlen(w->members[i].origin) == origin.count &&
            memcmp(w->members[i].origin, origin.bytes, origin.count) == 0) {
            return i;
        }
    }
    return -1;
}

bool
node_honest(const struct node *n)
{
    return n->evil == EVIL_NOT;
}

bool
member_honest(const struct world *w, int member)
{
    for (int i = 0; i < w->count; i++) {
        if (w->nodes[i].member == member && !node_honest(&w->nodes[i])) {
            return false;
        }
    }
    return true;
}

/* ---- the network ---- */

bool
wire_cut(const struct world *w, int from, int to)
{
    return w->cut != NULL && w->cut[from * w->count + to];
}

int64_t
wire_delay(struct world *w)
{
    if (w->late_permille > 0 && sim_below(&w->rng, 1000) < w->late_permille) {
        w->happened[HAPPENED_LATE]++;
        return 1 + (int64_t)sim_below(&w->rng, 600 * 1000); /* ten minutes */
    }
    return 1 + (int64_t)sim_below(&w->rng, (uint64_t)w->delay_ms);
}

void
wire_arrive(struct world *w, int64_t at_ms, const struct message *m)
{
    struct message *copy = malloc(sizeof *copy);
    assert(copy != NULL);
    *copy = *m;
    copy->life = w->lives[m->to];
    w->queued_bytes += m->message_count + m->raw_count;
    sim_push(&w->queue, at_ms, copy);
}

void
message_free(struct message *m)
{
    free(m->bytes);
    free(m);
}

void
wire_close(struct world *w, uint32_t link)
{
    struct link *l = &w->links[link];
    if (!l->open) {
        return;
    }
    l->open = false;
    secure_close(w, link);
    struct message down = {.type = MSG_DOWN, .to = l->a, .from = l->b, .session = 2 * link};
    wire_arrive(w, w->now_ms + 1, &down);
    down.to = l->b;
    down.from = l->a;
    down.session = 2 * link + 1;
    wire_arrive(w, w->now_ms + 1, &down);
}

void
wire_down(struct world *w, const struct node *n)
{
    for (uint32_t i = 0; i < w->link_count; i++) {
        if (w->links[i].open && (w->links[i].a == n->number || w->links[i].b == n->number)) {
            wire_close(w, i);
        }
    }
}

void
wire_dial(struct world *w, struct node *n, const char *institution)
{
    int to = -1;
    for (int i = 0; i < w->count; i++) {
        /* Of two that share a name, some reach one and some the other. */
        if (strcmp(w->nodes[i].institution, institution) == 0 &&
            (to < 0 || (n->number + i) % 2 == 0)) {
            to = i;
        }
    }
    if (to < 0 || !w->nodes[to].up || wire_cut(w, n->number, to) ||
        wire_cut(w, to, n->number)) {
        struct message m = {
            .type = MSG_DIAL_FAILED, .to = n->number, .from = to < 0 ? n->number : to};
        wire_arrive(w, w->now_ms + 1 + (int64_t)sim_below(&w->rng, 200), &m);
        return;
    }
    if (w->link_count == w->link_room) {
        w->link_room = w->link_room == 0 ? 64 : 2 * w->link_room;
        w->links = realloc(w->links, w->link_room * sizeof *w->links);
        assert(w->links != NULL);
    }
    uint32_t number = w->link_count++;
    w->links[number] = (struct link){.open = true, .a = n->number, .b = to};
    if (w->secure) {
        secure_open(w, number);
        return;
    }
    int64_t at = w->now_ms + 1 + (int64_t)sim_below(&w->rng, (uint64_t)w->delay_ms % 3000 + 1);
    struct message m = {
        .type = MSG_UP, .to = n->number, .from = to, .session = 2 * number, .dialled = true};
    wire_arrive(w, at, &m);
    m = (struct message){
        .type = MSG_UP, .to = to, .from = n->number, .session = 2 * number + 1};
    wire_arrive(w, at, &m);
}

static const char *
kind_text(uint8_t kind)
{
    switch (kind & 0x7f) {
    case FRAME_FRONTIER:
        return "frontier";
    case FRAME_HEAD:
        return "head";
    case FRAME_RANGE:
        return "range";
    case FRAME_CHARTER:
        return "charter";
    case FRAME_BLOB:
        return "blob";
    case FRAME_LOOKUP:
        return "look-up";
    case FRAME_RECEIPT:
        return "receipt";
    case FRAME_RELY:
        return "rely";
    case FRAME_RECALL:
        return "recall";
    default:
        return "frame";
    }
}

void
wire_post(struct world *w, struct node *n, uint32_t session, const struct message *frame)
{
    uint32_t number = session / 2;
    if (number >= w->link_count || !w->links[number].open) {
        return;
    }
    struct link *l = &w->links[number];
    int to = (session & 1) == 0 ? l->b : l->a;
    const char *what = (frame->kind & 0x80) != 0 ? "answers"
                       : frame->request != 0     ? "asks"
                                                 : "tells";
    if (l->secure != NULL) {
        secure_send(w, session, frame);
        return;
    }
    /* Look-ups and receipts trust that a session keeps order, doubles nothing, and ends
     * where something is lost. */
    int side = (session & 1) == 0 ? 1 : 0;
    bool stream = (frame->kind & 0x7f) == FRAME_LOOKUP || frame->kind == FRAME_RECEIPT;
    if (wire_cut(w, n->number, to) || sim_percent(&w->rng, w->loss)) {
        w->frames_lost++;
        w->happened[HAPPENED_LOST]++;
        sim_say(w, n, "%s %s: %s, which is lost", what, w->nodes[to].institution,
                kind_text(frame->kind));
        if (stream) {
            wire_close(w, number);
        }
        return;
    }
    int copies = !stream && sim_percent(&w->rng, w->twice) ? 2 : 1;
    w->happened[HAPPENED_TWICE] += copies == 2;
    for (int i = 0; i < copies; i++) {
        struct message m = *frame;
        size_t count = m.message_count + m.raw_count;
        m.type = MSG_FRAME;
        m.to = to;
        m.from = n->number;
        m.session = session ^ 1;
        m.bytes = malloc(count + 1);
        assert(m.bytes != NULL);
        if (count > 0) {
            memcpy(m.bytes, frame->bytes, count);
        }
        w->frames++;
        w->bytes += count + FRAME_HEAD_BYTES;
        int64_t late = wire_delay(w);
        sim_say(w, n, "%s %s: %s, %zu bytes, there in %lld ms%s", what,
                w->nodes[to].institution, kind_text(m.kind), count, (long long)late,
                i > 0 ? " (a second time)" : "");
        int64_t at_ms = w->now_ms + late;
        if (stream) {
            at_ms = at_ms < l->stream_ms[side] ? l->stream_ms[side] : at_ms;
            l->stream_ms[side] = at_ms;
        }
        w->happened[HAPPENED_OVERTAKEN] += at_ms < l->last_ms[side];
        l->last_ms[side] = at_ms > l->last_ms[side] ? at_ms : l->last_ms[side];
        wire_arrive(w, at_ms, &m);
    }
}

void
wire_send(struct world *w, struct node *n, const struct gossip_action *a)
{
    static uint8_t bytes[FRAME_BYTES_MAX];
    CHECK(w, "I6",
          a->message.count <= MESSAGE_BYTES_MAX &&
              a->message.count + a->raw.count + FRAME_HEAD_BYTES <= FRAME_BYTES_MAX,
          "%s sends a frame of %zu and %zu bytes: over the limits", n->institution,
          a->message.count, a->raw.count);
    if (a->message.count > 0) {
        memcpy(bytes, a->message.bytes, a->message.count);
    }
    if (a->raw.count > 0) {
        memcpy(bytes + a->message.count, a->raw.bytes, a->raw.count);
    }
    struct message m = {.request = a->request,
                        .kind = a->kind,
                        .last = a->last,
                        .bytes = bytes,
                        .message_count = a->message.count,
                        .raw_count = a->raw.count};
    evil_frame(w, n, &m);
    wire_post(w, n, a->session, &m);
}
