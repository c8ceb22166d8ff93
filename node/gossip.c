#include "node/gossip.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/gossip_state.h"
#include "node/range.h"
#include "proto/frame.h"

bool
bytes_set(struct bytes *b, struct view v)
{
    uint8_t *copy = malloc(v.count + 1);
    if (copy != NULL && v.count > 0) {
        memcpy(copy, v.bytes, v.count);
    }
    bytes_clear(b); /* after the copy: v may be a view of b */
    if (copy == NULL) {
        return false;
    }
    b->bytes = copy;
    b->count = v.count;
    return true;
}

void
bytes_clear(struct bytes *b)
{
    free(b->bytes);
    b->bytes = NULL;
    b->count = 0;
}

void
step_fail(struct step *s, enum status st)
{
    if (s->st == STATUS_OK) {
        s->st = st;
    }
}

uint64_t
step_random(struct step *s)
{
    uint64_t z = (s->rng += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- life -------------------------------------------------------------------------- */

enum status
gossip_open(const struct gossip_options *options, int64_t now_ms, struct store_txn *txn,
            struct gossip **out)
{
    *out = NULL;
    struct gossip *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return STATUS_NO_MEMORY;
    }
    assert(strlen(options->network) <= NETWORK_CHARS_MAX);
    assert(strlen(options->institution) <= INSTITUTION_CHARS_MAX);
    strcpy(g->network, options->network);
    strcpy(g->institution, options->institution);
    memcpy(g->instance, options->instance, INSTANCE_BYTES);
    g->tick_ms = options->tick_ms > 0 ? options->tick_ms : GOSSIP_TICK_MS;
    g->cosign_s = options->cosign_s > 0 ? options->cosign_s : GOSSIP_COSIGN_S;
    g->entries_day = options->entries_day > 0 ? options->entries_day : GOSSIP_ENTRIES_DAY;
    g->full = options->full;
    g->sessions_wanted = options->sessions_wanted;
    g->next_ticket = 1;
    g->next_round_ms = g->next_pulse_ms = now_ms;
    g->frontier_dirty = true;
    if (options->only != NULL) {
        g->only = calloc(options->only_count + 1, sizeof g->only[0]);
        if (g->only == NULL) {
            gossip_close(g);
            return STATUS_NO_MEMORY;
        }
        for (size_t i = 0; i < options->only_count; i++) {
            strncpy(g->only[i], options->only[i], INSTITUTION_CHARS_MAX);
        }
        g->only_count = options->only_count;
    }
    signgate_init(&g->gate, &options->gate, now_ms);
    struct gossip_update unused;
    gossip_update_init(&unused);
    struct gossip_event none = {.now_ms = now_ms, .txn = txn};
    struct step s = {.g = g, .e = &none, .u = &unused};
    char pub[ORIGIN_CHARS_MAX + 1];
    if (options->fresh != NULL) {
        signgate_log_add(&g->gate, options->fresh, true);
    }
    origin_pub(g->network, g->institution, pub);
    signgate_log_add(&g->gate, pub, false);
    (void)log_add(&s, view_of_text(pub));
    logs_load(&s);
    gossip_update_free(&unused);
    if (s.st != STATUS_OK) {
        gossip_close(g);
        return s.st;
    }
    *out = g;
    return STATUS_OK;
}

void
gossip_close(struct gossip *g)
{
    if (g == NULL) {
        return;
    }
    for (size_t i = 0; i < g->log_count; i++) {
        log_free(g->logs[i]);
    }
    for (size_t i = 0; i < g->want_count; i++) {
        bytes_clear(&g->wants[i].bytes);
    }
    for (size_t i = 0; i < g->fetch.row_count; i++) {
        bytes_clear(&g->fetch.rows[i]);
    }
    bytes_clear(&g->fetch.note);
    free(g->fetch.rows);
    frontier_free(&g->frontier);
    frontier_free(&g->pair_frontier);
    free(g->logs);
    free(g->peers);
    free(g->members);
    free(g->dials);
    free(g->only);
    free(g);
}

static int
compare_members(const void *a, const void *b)
{
    const struct gossip_member *x = a, *y = b;
    return strcmp(x->institution, y->institution);
}

enum status
gossip_set_members(struct gossip *g, const struct gossip_member *members, size_t count,
                   int64_t cosign_s, bool full)
{
    if (count > MEMBERS_MAX) {
        return STATUS_TOO_BIG;
    }
    struct gossip_member *sorted = calloc(count + 1, sizeof *sorted);
    struct gdial *dials = calloc(count + 1, sizeof *dials);
    if (sorted == NULL || dials == NULL) {
        free(sorted);
        free(dials);
        return STATUS_NO_MEMORY;
    }
    if (count > 0) {
        memcpy(sorted, members, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_members);
    }
    for (size_t i = 0; i < count; i++) {
        const struct gossip_member *old = member_find(g, sorted[i].institution);
        if (old != NULL) {
            dials[i] = g->dials[old - g->members];
        }
    }
    free(g->members);
    free(g->dials);
    g->members = sorted;
    g->dials = dials;
    g->member_count = count;
    g->cosign_s = cosign_s > 0 ? cosign_s : GOSSIP_COSIGN_S;
    g->full = full;
    const struct gossip_member *self = member_find(g, g->institution);
    g->witness = self != NULL && self->witness && !self->left;
    g->auditor = self != NULL && self->auditor && !self->left;
    witness_keys_of_all(g->members, g->member_count, g->network, &g->witnesses);
    g->keys_for = NULL;
    g->keys_turn++;
    const char *others[WITNESSES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < g->witnesses.witness_count; i++) {
        if (strcmp(g->witnesses.names[i], g->institution) != 0) {
            others[n++] = g->witnesses.names[i];
        }
    }
    signgate_witnesses(&g->gate, others, n);
    g->frontier_dirty = true;
    g->reload = true; /* notes are read again under the new keys, with the next event */
    return STATUS_OK;
}

enum status
gossip_own_log(struct gossip *g, struct view origin, bool fresh)
{
    struct origin parts;
    enum status st = origin_parse(origin, &parts);
    if (st != STATUS_OK) {
        return st;
    }
    if (strcmp(parts.network, g->network) != 0 ||
        strcmp(parts.institution, g->institution) != 0) {
        return STATUS_REFUSED;
    }
    char name[ORIGIN_CHARS_MAX + 1];
    origin_write(&parts, name);
    signgate_log_add(&g->gate, name, fresh);
    return STATUS_OK;
}

/* ---- events ---------------------------------------------------------------------------- */

static void
on_tick(struct step *s)
{
    struct gossip *g = s->g;
    gate_tell(s, (struct view){0});
    request_timeouts(s);
    bool round = s->e->now_ms >= g->next_round_ms;
    if (round) {
        peer_dial_tick(s);
        for (size_t i = 0; i < g->peer_count && s->st == STATUS_OK; i++) {
            gate_ask(s, &g->peers[i]);
        }
    }
    round_tick(s);
    head_queue_pump(s);
    blob_pump(s);
    charter_pump(s);
    for (size_t i = 0; i < g->log_count && s->st == STATUS_OK; i++) {
        log_pump(s, g->logs[i]);
    }
    g->next_pulse_ms = s->e->now_ms + GOSSIP_PULSE_MS;
}

/* A request of a peer. */
static void
on_ask(struct step *s, struct gpeer *p)
{
    const struct gossip_event *e = s->e;
    const struct gossip_member *m = member_find(s->g, p->institution);
    struct range_asker asker = {.network = s->g->network,
                                .institution = p->institution,
                                .auditor = m != NULL && m->auditor && !m->left,
                                .full = s->g->full};
    size_t bytes = 0;
    if (!peer_spend(s, p, GOSSIP_BUDGET_REQUESTS, 1) ||
        !peer_spend(s, p, GOSSIP_BUDGET_BYTES, 0)) {
        if (!peer_overdrawn(s, p)) {
            step_fail(s, range_refuse(e->session, e->request, e->kind, STATUS_BUSY, s->u));
        }
        return;
    }
    if (e->kind == FRAME_FRONTIER) {
        round_answer_ask(s, p);
        return;
    }
    enum status st =
        range_answer(e->txn, &asker, e->session, e->request, e->kind, e->message, s->u, &bytes);
    (void)peer_spend(s, p, GOSSIP_BUDGET_BYTES, (int64_t)bytes);
    if (st == STATUS_TOO_BIG) { /* nobody who keeps to the limits asks this */
        if (peer_spend(s, p, GOSSIP_BUDGET_WORDS, 1)) {
            step_fail(s, gossip_update_say(s->u, 0, "%s asked for more than a request may",
                                           p->institution));
        }
        step_fail(s, gossip_update_say(s->u, e->session, "a request beyond its limits"));
    } else if (st == STATUS_MALFORMED) {
        peer_strike(s, e->session, "a request that is malformed");
    } else {
        step_fail(s, st);
    }
}

static void
on_frame(struct step *s)
{
    const struct gossip_event *e = s->e;
    struct gpeer *p = peer_find(s->g, e->session);
    uint8_t kind = e->kind & (uint8_t)~FRAME_ANSWER;
    if (p == NULL || (kind != FRAME_FRONTIER && kind != FRAME_HEAD && kind != FRAME_RANGE &&
                      kind != FRAME_CHARTER && kind != FRAME_BLOB)) {
        return;
    }
    if ((e->kind & FRAME_ANSWER) != 0) {
        request_answered(s);
    } else if (e->request != 0) {
        on_ask(s, p);
    } else if (!peer_spend(s, p, GOSSIP_BUDGET_REQUESTS, 1)) {
        (void)peer_overdrawn(s, p); /* told again by others, or asked for in a round */
    } else if (kind == FRAME_HEAD) {
        head_told(s, p, e->message, false, NULL);
    }
    head_queue_pump(s);
}

static void
on_own_head(struct step *s)
{
    struct witness_head head;
    struct glog *log = log_add(s, s->e->origin);
    if (log == NULL || !log->own) {
        return;
    }
    signgate_log_add(&s->g->gate, log->origin, false);
    log_load(s, log);
    if (witness_recall(s->e->note, s->e->origin, log_keys(s->g, log), s->e->now_s, &head) !=
        STATUS_OK) {
        return;
    }
    if (log->has_head && log->head_size >= head.size) {
        log->changed_s = s->e->now_s;
        log->push_due = true; /* the engine stored the note itself */
        log->push_hops = 0;
    } else if (head.size <= log->size &&
               signgate_state(&s->g->gate, log->origin) == SIGNGATE_OPEN) {
        if (!bytes_set(&log->wanted, s->e->note)) {
            step_fail(s, STATUS_NO_MEMORY);
            return;
        }
        log->wanted_size = head.size;
        log->wanted_root = head.root;
        log->wanted_hops = 0;
    }
    log_pump(s, log);
}

static void
on_stored(struct step *s)
{
    for (size_t i = 0; i < s->g->log_count; i++) {
        if (s->g->logs[i]->ticket != 0 && s->g->logs[i]->ticket == s->e->ticket) {
            log_stored(s, s->g->logs[i]);
            return;
        }
    }
    (void)charter_stored(s);
}

enum status
gossip_step(struct gossip *g, const struct gossip_event *event, struct gossip_update *u)
{
    struct step s = {.g = g, .e = event, .u = u, .rng = event->random, .st = STATUS_OK};
    assert(event->txn != NULL);
    if (g->reload) {
        g->reload = false;
        logs_load(&s);
    }
    switch (event->type) {
    case GOSSIP_TICK:
        on_tick(&s);
        break;
    case GOSSIP_PEER_UP:
        peer_up(&s);
        break;
    case GOSSIP_PEER_DOWN:
        peer_down(&s);
        break;
    case GOSSIP_DIAL_FAILED:
        peer_dial_failed(&s);
        break;
    case GOSSIP_FRAME:
        on_frame(&s);
        break;
    case GOSSIP_STORED:
        on_stored(&s);
        break;
    case GOSSIP_OWN_HEAD:
        on_own_head(&s);
        break;
    case GOSSIP_RELOAD:
        logs_load(&s);
        break;
    case GOSSIP_WANT_BLOB:
        blob_want(&s);
        break;
    case GOSSIP_RESUME:
        signgate_resume(&g->gate);
        gate_tell(&s, (struct view){0});
        break;
    }
    return s.st;
}

int64_t
gossip_deadline_ms(const struct gossip *g)
{
    if (g->requests_out > 0 || g->syncs > 0) {
        return g->next_pulse_ms < g->next_round_ms ? g->next_pulse_ms : g->next_round_ms;
    }
    return g->next_round_ms;
}

/* ---- questions -------------------------------------------------------------------------- */

bool
gossip_may_sign(const struct gossip *g, struct view origin)
{
    char name[ORIGIN_CHARS_MAX + 1];
    if (origin.count > ORIGIN_CHARS_MAX) {
        return false;
    }
    memcpy(name, origin.bytes, origin.count);
    name[origin.count] = '\0';
    return signgate_state(&g->gate, name) == SIGNGATE_OPEN;
}

bool
gossip_settled(const struct gossip *g)
{
    return !g->witness || g->gate.options.clean || g->gate.options.born || g->floors_known;
}

const struct signgate *
gossip_gate(const struct gossip *g)
{
    return &g->gate;
}

size_t
gossip_log_count(const struct gossip *g)
{
    return g->log_count;
}

void
gossip_log_get(const struct gossip *g, size_t number, struct gossip_log_state *out)
{
    assert(number < g->log_count);
    const struct glog *log = g->logs[number];
    uint64_t wanted = log->wanted_size > log->target_size ? log->wanted_size : log->target_size;
    *out = (struct gossip_log_state){
        .origin = log->origin,
        .size = log->size,
        .head_size = log->head_size,
        .wanted_size = wanted > log->head_size ? wanted : log->head_size,
        .cosigned_size = log->cosigned_size,
        .cosigned_by = log->cosigned_n,
        .own = log->own,
        .frozen = log->frozen,
        .changed_s = log->changed_s,
    };
}

size_t
gossip_peer_count(const struct gossip *g)
{
    return g->peer_count;
}

void
gossip_peer_get(const struct gossip *g, size_t number, struct gossip_peer_state *out)
{
    assert(number < g->peer_count);
    const struct gpeer *p = &g->peers[number];
    *out = (struct gossip_peer_state){.institution = p->institution,
                                      .session = p->session,
                                      .outstanding = p->outstanding,
                                      .strikes = p->strikes,
                                      .silent = p->silent};
}
