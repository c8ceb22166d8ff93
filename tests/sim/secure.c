#include "tests/sim/secure.h"

#include "node/session.h"
#include "tests/sim/evil.h"
#include "tests/sim/node.h"

struct end {
    struct session *session;
    struct session_options options;
    struct node *node;
    bool up, stuck, waking;
    bool touched;       /* somebody changed what comes here: nothing more may come of it */
    int64_t last_at_ms; /* arrival of the last bytes sent from here */
};

/* What a session gave in one call; acted on when it has returned. */
struct given {
    bool up;
    struct message *frames[64];
    size_t count;
};

struct secure {
    struct end ends[2]; /* the dialler's, the other's */
    struct world *world;
};

static const struct network_keys *
keys_of(void *ctx, const char *network)
{
    const struct end *e = ctx;
    (void)network;
    return &sim_world->members[e->node->member].keys[0];
}

static bool
is_member(void *ctx, const char *network, const uint8_t session_public[KEY_BYTES],
          char institution[INSTITUTION_CHARS_MAX + 1])
{
    const struct world *w = sim_world;
    (void)ctx;
    (void)network;
    for (int i = 0; i < w->member_count; i++) {
        if (memcmp(w->members[i].keys[0].session.public_key, session_public, KEY_BYTES) == 0) {
            strcpy(institution, w->members[i].institution);
            return true;
        }
    }
    return false;
}

static struct session_time
time_of(const struct world *w, const struct end *e)
{
    return (struct session_time){w->now_ms, 1000 * node_now_s(w, e->node)};
}

/* ---- bytes out ---- */

static void
wake_later(struct world *w, uint32_t link, int side)
{
    struct end *e = &w->links[link].secure->ends[side];
    if (e->waking) {
        return;
    }
    int64_t at = session_deadline_ms(e->session);
    struct message m = {.type = MSG_WAKE,
                        .to = e->node->number,
                        .from = e->node->number,
                        .session = 2 * link + (uint32_t)side};
    e->waking = true;
    wire_arrive(w, at > w->now_ms ? at : w->now_ms + 1, &m);
}

static void
post_bytes(struct world *w, uint32_t link, int side, struct view v)
{
    struct end *from = &w->links[link].secure->ends[side];
    struct end *to = &w->links[link].secure->ends[1 - side];
    if (from->stuck || wire_cut(w, from->node->number, to->node->number)) {
        from->stuck = true; /* what follows cannot be read without it */
        w->frames_lost++;
        return;
    }
    int64_t late = 1 + (int64_t)sim_below(&w->rng, (uint64_t)w->delay_ms);
    while (sim_percent(&w->rng, w->loss)) {
        late += 200 + (int64_t)sim_below(&w->rng, 800); /* sent again */
    }
    int64_t at = w->now_ms + late;
    from->last_at_ms = at > from->last_at_ms ? at : from->last_at_ms;
    struct message m = {.type = MSG_BYTES,
                        .to = to->node->number,
                        .from = from->node->number,
                        .session = 2 * link + (uint32_t)(1 - side),
                        .message_count = v.count};
    int copies = sim_below(&w->rng, 3000) < w->twice ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        m.bytes = malloc(v.count + 1);
        assert(m.bytes != NULL);
        memcpy(m.bytes, v.bytes, v.count);
        if (w->loss > 0 && sim_below(&w->rng, 2000) == 0) {
            m.bytes[sim_below(&w->rng, v.count)] ^= (uint8_t)(1u << sim_below(&w->rng, 8));
            m.last = true; /* it was touched */
            w->happened[HAPPENED_CHANGED]++;
            sim_say(w, from->node, "sends bytes that somebody changes");
        }
        m.last = m.last || i > 0;
        wire_arrive(w, from->last_at_ms, &m);
    }
    w->bytes += v.count;
}

static void
flush(struct world *w, uint32_t link, int side)
{
    while (w->links[link].open) {
        struct end *e = &w->links[link].secure->ends[side];
        struct view v;
        if (!session_has_output(e->session)) {
            wake_later(w, link, side);
            return;
        }
        if (session_output(e->session, w->now_ms, &v) != STATUS_OK || v.count == 0) {
            wire_close(w, link);
            return;
        }
        struct view copy = v;
        post_bytes(w, link, side, copy);
        session_sent(e->session, v.count);
    }
}

/* ---- links ---- */

static void
end_make(struct world *w, struct end *e, struct node *n)
{
    e->node = n;
    e->options = (struct session_options){
        .ctx = e, .member = is_member, .keys = keys_of, .open_ms_max = SESSION_OPEN_MS_MAX};
    memcpy(e->options.instance, n->instance, INSTANCE_BYTES);
    strcpy(e->options.software, "sim");
    e->last_at_ms = w->now_ms;
}

static void
draw_key(struct world *w, uint8_t key[KEY_BYTES])
{
    for (size_t i = 0; i < KEY_BYTES; i++) {
        key[i] = (uint8_t)sim_random(&w->rng);
    }
}

void
secure_open(struct world *w, uint32_t link)
{
    struct link *l = &w->links[link];
    struct secure *s = calloc(1, sizeof *s);
    uint8_t ephemeral[KEY_BYTES];
    assert(s != NULL);
    l->secure = s;
    s->world = w;
    end_make(w, &s->ends[0], &w->nodes[l->a]);
    end_make(w, &s->ends[1], &w->nodes[l->b]);
    draw_key(w, ephemeral);
    enum status st = session_dial(&s->ends[0].options, SIM_NETWORK, w->nodes[l->b].institution,
                                  w->members[w->nodes[l->b].member].keys[0].session.public_key,
                                  ephemeral, time_of(w, &s->ends[0]), &s->ends[0].session);
    assert(st == STATUS_OK);
    draw_key(w, ephemeral);
    st = session_answer(&s->ends[1].options, ephemeral, time_of(w, &s->ends[1]),
                        &s->ends[1].session);
    assert(st == STATUS_OK);
    flush(w, link, 0);
    if (l->open) {
        flush(w, link, 1);
    }
}

void
secure_close(struct world *w, uint32_t link)
{
    const struct link *l = &w->links[link];
    if (l->secure != NULL && !l->secure->ends[0].up) {
        struct message failed = {.type = MSG_DIAL_FAILED, .to = l->a, .from = l->b};
        wire_arrive(w, w->now_ms + 1, &failed);
    }
    secure_free(w, link);
}

void
secure_free(struct world *w, uint32_t link)
{
    struct secure *s = w->links[link].secure;
    if (s != NULL) {
        session_free(s->ends[0].session);
        session_free(s->ends[1].session);
        free(s);
        w->links[link].secure = NULL;
    }
}

void
secure_send(struct world *w, uint32_t session, const struct message *m)
{
    uint32_t link = session / 2;
    int side = (int)(session & 1);
    struct end *e = &w->links[link].secure->ends[side];
    struct frame f = {.request = m->request,
                      .kind = m->kind,
                      .last = m->last,
                      .message = {m->bytes, m->message_count},
                      .raw = {m->bytes + m->message_count, m->raw_count}};
    if (!e->up) {
        return;
    }
    w->frames++;
    enum status st = session_send(e->session, &f);
    CHECK(w, "I6", st != STATUS_TOO_BIG || !node_honest(e->node), "%s sends a frame too big",
          e->node->institution);
    flush(w, link, side);
}

/* ---- bytes in ---- */

static void
on_up(void *ctx)
{
    ((struct given *)ctx)->up = true;
}

static void
on_frame(void *ctx, const struct frame *f)
{
    struct given *g = ctx;
    size_t count = f->message.count + f->raw.count;
    struct message *m = calloc(1, sizeof *m);
    assert(m != NULL);
    if (g->count == sizeof g->frames / sizeof g->frames[0]) {
        free(m);
        return; /* as if it had been lost */
    }
    m->bytes = malloc(count + 1);
    assert(m->bytes != NULL);
    if (f->message.count > 0) {
        memcpy(m->bytes, f->message.bytes, f->message.count);
    }
    if (f->raw.count > 0) {
        memcpy(m->bytes + f->message.count, f->raw.bytes, f->raw.count);
    }
    m->type = MSG_FRAME;
    m->request = f->request;
    m->kind = f->kind;
    m->last = f->last;
    m->message_count = f->message.count;
    m->raw_count = f->raw.count;
    g->frames[g->count++] = m;
}

/* Everything that came of one arrival, while the node and the link live. */
static void
act_on(struct world *w, uint32_t link, int side, struct given *g)
{
    struct node *n = &w->nodes[side == 0 ? w->links[link].a : w->links[link].b];
    struct node *peer = &w->nodes[side == 0 ? w->links[link].b : w->links[link].a];
    uint64_t life = w->lives[n->number];
    struct gossip_event e = {.session = 2 * link + (uint32_t)side,
                             .institution = peer->institution,
                             .dialled = side == 0};
    uint8_t instance[INSTANCE_BYTES] = {0};
    if (g->up && w->links[link].open) {
        const struct session_peer *p = session_peer(w->links[link].secure->ends[side].session);
        CHECK(w, "I4", strcmp(p->institution, peer->institution) == 0, "%s takes %s for %s",
              n->institution, peer->institution, p->institution);
        memcpy(instance, p->instance, sizeof instance);
        e.type = GOSSIP_PEER_UP;
        e.instance = instance;
        w->links[link].secure->ends[side].up = true;
        sim_say(w, n, "has a session with %s", p->institution);
        node_event(w, n, &e);
    }
    for (size_t i = 0; i < g->count; i++) {
        struct message *m = g->frames[i];
        if (n->up && w->lives[n->number] == life && w->links[link].open) {
            e.type = GOSSIP_FRAME;
            e.request = m->request;
            e.kind = m->kind;
            e.last = m->last;
            e.message = (struct view){m->bytes, m->message_count};
            e.raw = (struct view){m->bytes + m->message_count, m->raw_count};
            m->from = peer->number;
            evil_heard(w, n, m);
            node_event(w, n, &e);
        }
        message_free(m);
    }
}

void
secure_deliver(struct world *w, const struct message *m)
{
    uint32_t link = m->session / 2;
    int side = (int)(m->session & 1);
    struct link *l = &w->links[link];
    if (!l->open) {
        return;
    }
    struct end *e = &l->secure->ends[side];
    if (m->type == MSG_WAKE) {
        e->waking = false;
        if (w->now_ms >= session_deadline_ms(e->session) &&
            session_tick(e->session, w->now_ms) != STATUS_OK) {
            sim_say(w, e->node, "ends a session: %s", session_reason(e->session));
            wire_close(w, link);
            return;
        }
        flush(w, link, side);
        return;
    }
    struct given g = {.count = 0};
    struct session_sink sink = {&g, on_up, on_frame};
    enum status st = STATUS_OK;
    bool touched = e->touched; /* before these bytes */
    e->touched = e->touched || m->last;
    for (size_t at = 0; st == STATUS_OK && at < m->message_count;) {
        size_t room;
        uint8_t *space = session_space(e->session, &room);
        size_t n = m->message_count - at < room ? m->message_count - at : room;
        memcpy(space, m->bytes + at, n);
        at += n;
        st = session_take(e->session, n, time_of(w, e), &sink);
    }
    CHECK(w, "I4", !touched || (!g.up && g.count == 0),
          "%s takes frames from a stream that was changed on the way", e->node->institution);
    if (st != STATUS_OK) {
        sim_say(w, e->node, "ends a session: %s", session_reason(e->session));
    }
    act_on(w, link, side, &g);
    if (st != STATUS_OK && w->links[link].open) {
        wire_close(w, link);
    } else if (w->links[link].open) {
        flush(w, link, side);
    }
}
