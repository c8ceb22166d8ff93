/* Peers: sessions, requests and their time-outs, budgets, whom to dial. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/gossip_state.h"
#include "proto/frame.h"

const struct gossip_member *
member_find(const struct gossip *g, const char *institution)
{
    size_t low = 0, high = g->member_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = strcmp(g->members[mid].institution, institution);
        if (c == 0) {
            return &g->members[mid];
        }
        if (c < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

static struct gdial *
dial_of(struct gossip *g, const char *institution)
{
    const struct gossip_member *m = member_find(g, institution);
    return m == NULL ? NULL : &g->dials[m - g->members];
}

struct gpeer *
peer_find(struct gossip *g, uint32_t session)
{
    for (size_t i = 0; i < g->peer_count; i++) {
        if (g->peers[i].session == session) {
            return &g->peers[i];
        }
    }
    return NULL;
}

/* The newest session with an institution (net.h: the one to send on). */
struct gpeer *
peer_of(struct gossip *g, const char *institution)
{
    struct gpeer *newest = NULL;
    for (size_t i = 0; i < g->peer_count; i++) {
        if (strcmp(g->peers[i].institution, institution) == 0) {
            newest = &g->peers[i];
        }
    }
    return newest;
}

static void
back_off(struct step *s, const char *institution, int64_t least_ms)
{
    struct gdial *d = dial_of(s->g, institution);
    if (d == NULL) {
        return;
    }
    d->dialling = false;
    if (d->failures < 16) {
        d->failures++;
    }
    d->next_address++;
    int64_t wait = (int64_t)GOSSIP_BACKOFF_MS_MIN << (d->failures < 9 ? d->failures : 9);
    wait = wait > GOSSIP_BACKOFF_MS_MAX ? GOSSIP_BACKOFF_MS_MAX : wait;
    wait = wait / 2 +
           (int64_t)(step_random(s) % (uint64_t)wait); /* jitter: half to one and a half */
    d->next_ms = s->e->now_ms + (wait < least_ms ? least_ms : wait);
}

void
peer_up(struct step *s)
{
    struct gossip *g = s->g;
    const struct gossip_event *e = s->e;
    if (strcmp(e->institution, g->institution) == 0) {
        /* Our own key on the other side: ourselves, or a second process (DESIGN 10). */
        if (memcmp(e->instance, g->instance, INSTANCE_BYTES) != 0) {
            signgate_twin(&g->gate);
            gate_tell(s, (struct view){0});
            if (e->dialled) {
                return; /* the other side must hear of us too; it closes */
            }
        }
        step_fail(s, gossip_update_say(s->u, e->session, "a session with ourselves"));
        return;
    }
    if (g->peer_count == g->peer_room) {
        size_t room = g->peer_room == 0 ? 16 : 2 * g->peer_room;
        struct gpeer *grown = realloc(g->peers, room * sizeof *grown);
        if (grown == NULL) {
            step_fail(s, STATUS_NO_MEMORY);
            return;
        }
        g->peers = grown;
        g->peer_room = room;
    }
    struct gpeer *p = &g->peers[g->peer_count++];
    memset(p, 0, sizeof *p);
    p->session = e->session;
    p->dialled = e->dialled;
    strncpy(p->institution, e->institution, sizeof p->institution - 1);
    struct gdial *d = dial_of(g, p->institution);
    if (d != NULL) {
        d->dialling = false;
        d->next_ms = e->now_ms + GOSSIP_BACKOFF_MS_MIN;
    }
    (void)peer_spend(s, p, GOSSIP_BUDGET_REQUESTS, 1);
    if (peer_overdrawn(s, p)) {
        return;
    }
    gate_ask(s, p);
    round_ask(s, p);
}

void
peer_down(struct step *s)
{
    struct gossip *g = s->g;
    struct gpeer *p = peer_find(g, s->e->session);
    if (p == NULL) {
        return;
    }
    char institution[INSTITUTION_CHARS_MAX + 1];
    memcpy(institution, p->institution, sizeof institution);
    size_t at = (size_t)(p - g->peers);
    memmove(p, p + 1, (g->peer_count - at - 1) * sizeof *p);
    g->peer_count--;
    for (size_t i = 0; i < g->log_count; i++) {
        log_source_drop(g->logs[i], s->e->session);
    }
    for (size_t i = 0; i < GOSSIP_REQUESTS; i++) {
        if (g->requests[i].type != GREQ_NONE && g->requests[i].session == s->e->session) {
            request_given_up(s, &g->requests[i]);
        }
    }
    struct gdial *d = dial_of(g, institution);
    if (d != NULL && d->next_ms < s->e->now_ms + GOSSIP_BACKOFF_MS_MIN) {
        d->next_ms = s->e->now_ms + GOSSIP_BACKOFF_MS_MIN;
    }
}

void
peer_dial_failed(struct step *s)
{
    if (strcmp(s->e->institution, s->g->institution) != 0) {
        back_off(s, s->e->institution, 0);
    } /* nobody at our own address, or behind a router that does not turn round */
}

void
peer_strike(struct step *s, uint32_t session, const char *what)
{
    struct gpeer *p = peer_find(s->g, session);
    if (p == NULL) {
        return;
    }
    p->strikes++;
    if (p->strikes <= GOSSIP_STRIKES_MAX && peer_spend(s, p, GOSSIP_BUDGET_WORDS, 1)) {
        step_fail(
            s, gossip_update_say(s->u, 0, "%s sent %s%s", p->institution, what,
                                 p->strikes == GOSSIP_STRIKES_MAX ? "; session closed" : ""));
    }
    if (p->strikes == GOSSIP_STRIKES_MAX) {
        back_off(s, p->institution, GOSSIP_PARK_MS);
        step_fail(s, gossip_update_say(s->u, session, "%s sent %s", p->institution, what));
    }
}

/* ---- budgets -------------------------------------------------------------------- */

enum { DAY_S = 24 * 60 * 60 };

struct rate {
    int64_t per_ks, at_once;
};
static const struct rate rates[GOSSIP_BUDGETS] = {
    [GOSSIP_BUDGET_BYTES] = {INT64_C(1000) * GOSSIP_BYTES_PER_S, GOSSIP_BYTES_PER_S},
    [GOSSIP_BUDGET_REQUESTS] = {INT64_C(1000) * GOSSIP_REQUESTS_PER_S, GOSSIP_REQUESTS_PER_S},
    [GOSSIP_BUDGET_VERIFIES] = {INT64_C(1000) * GOSSIP_VERIFIES_PER_S,
                                4 * GOSSIP_VERIFIES_PER_S},
    [GOSSIP_BUDGET_RECEIPTS] = {INT64_C(1000) * GOSSIP_RECEIPTS_PER_S,
                                4 * GOSSIP_RECEIPTS_PER_S},
    [GOSSIP_BUDGET_WORDS] = {GOSSIP_WORDS_PER_KS, 20},
};

static struct rate
rate_of(const struct gossip *g, size_t what)
{
    int64_t day = g->entries_day;
    return what == GOSSIP_BUDGET_ENTRIES ? (struct rate){1000 * day / DAY_S, (day + 1) / 2}
                                         : rates[what];
}

static void
refill(const struct gossip *g, struct gdial *d, int64_t now_ms)
{
    int64_t ms = now_ms - d->refilled_ms;
    if (d->refilled_ms != 0 && ms < GOSSIP_REFILL_MS) {
        return;
    }
    ms = ms > 1000 * DAY_S ? 1000 * DAY_S : ms; /* every budget is full by then */
    for (size_t i = 0; i < GOSSIP_BUDGETS; i++) {
        struct rate rate = rate_of(g, i);
        int64_t most = 1000 * rate.at_once;
        int64_t more = ms * (rate.per_ks / 1000) + ms * (rate.per_ks % 1000) / 1000;
        bool full = d->refilled_ms == 0 || more >= most - d->budgets[i];
        d->budgets[i] = full ? most : d->budgets[i] + more;
        if (full && i == GOSSIP_BUDGET_ENTRIES) {
            d->entries_refused = 0;
        }
    }
    d->refilled_ms = now_ms == 0 ? 1 : now_ms;
}

bool
gossip_spend(struct gossip *g, const char *institution, enum gossip_budget what, int64_t amount,
             int64_t now_ms)
{
    struct gdial *d = dial_of(g, institution);
    if (d == NULL) {
        return false;
    }
    refill(g, d, now_ms);
    bool some = d->budgets[what] > 0;
    if (!some && what == GOSSIP_BUDGET_ENTRIES) {
        d->entries_refused += (uint64_t)amount;
        return false;
    }
    int64_t least = -1000 * rate_of(g, what).at_once;
    d->budgets[what] -= 1000 * amount;
    d->budgets[what] = d->budgets[what] < least ? least : d->budgets[what];
    return some;
}

uint64_t
gossip_entries_refused(const struct gossip *g, const char *institution)
{
    const struct gossip_member *m = member_find(g, institution);
    return m == NULL ? 0 : g->dials[m - g->members].entries_refused;
}

bool
gossip_overdrawn(const struct gossip *g, const char *institution)
{
    const struct gossip_member *m = member_find(g, institution);
    if (m == NULL) {
        return true;
    }
    const struct gdial *d = &g->dials[m - g->members];
    return d->refilled_ms != 0 &&
           (d->budgets[GOSSIP_BUDGET_REQUESTS] < -500 * rates[GOSSIP_BUDGET_REQUESTS].at_once ||
            d->budgets[GOSSIP_BUDGET_RECEIPTS] < -500 * rates[GOSSIP_BUDGET_RECEIPTS].at_once);
}

bool
peer_spend(struct step *s, const struct gpeer *p, enum gossip_budget what, int64_t amount)
{
    return gossip_spend(s->g, p->institution, what, amount, s->e->now_ms);
}

bool
peer_overdrawn(struct step *s, const struct gpeer *p)
{
    if (!gossip_overdrawn(s->g, p->institution)) {
        return false;
    }
    if (peer_spend(s, p, GOSSIP_BUDGET_WORDS, 1)) {
        step_fail(s, gossip_update_say(s->u, 0,
                                       "%s asks more than a member may; its sessions "
                                       "are closed for a while",
                                       p->institution));
    }
    step_fail(s, gossip_update_say(s->u, p->session, "%s asks too much", p->institution));
    return true;
}

/* ---- requests ------------------------------------------------------------------- */

struct greq *
request_send(struct step *s, struct gpeer *p, enum greq_type type, uint8_t kind,
             const ProtobufCMessage *m)
{
    struct gossip *g = s->g;
    if (g->requests_out >= GOSSIP_REQUESTS || p->outstanding >= GOSSIP_PEER_REQUESTS_MAX) {
        return NULL;
    }
    uint32_t turn = g->request_turn;
    while (g->requests[turn % GOSSIP_REQUESTS].type != GREQ_NONE) {
        turn++;
    }
    struct greq *r = &g->requests[turn % GOSSIP_REQUESTS];
    g->request_turn = turn + 1;
    uint32_t id = GOSSIP_REQUEST_ID_FIRST | (turn & (GOSSIP_REQUEST_ID_FIRST - 1));
    enum status st = gossip_update_send(s->u, p->session, id, kind, true, m, (struct view){0});
    if (st != STATUS_OK) {
        step_fail(s, st);
        return NULL;
    }
    memset(r, 0, sizeof *r);
    r->type = type;
    r->id = id;
    r->session = p->session;
    r->deadline_ms = s->e->now_ms + GOSSIP_ANSWER_MS;
    g->requests_out++;
    p->outstanding++;
    return r;
}

/* Take a request off the table; *out is a copy. */
static void
request_take(struct step *s, struct greq *r, struct greq *out)
{
    struct gossip *g = s->g;
    struct gpeer *p = peer_find(g, r->session);
    *out = *r;
    r->type = GREQ_NONE;
    g->requests_out--;
    if (p != NULL) {
        p->outstanding--;
    }
    if (out->type == GREQ_HEAD) {
        g->head_asks--;
    }
}

void
request_given_up(struct step *s, struct greq *r)
{
    struct greq gone;
    request_take(s, r, &gone);
    struct gpeer *p = peer_find(s->g, gone.session);
    switch (gone.type) {
    case GREQ_FRONTIER:
    case GREQ_BUCKETS:
        if (p != NULL) {
            p->frontier_asked = false;
        }
        break;
    case GREQ_SYNC:
        sync_given_up(s, &gone);
        break;
    case GREQ_RECORDS:
        record_given_up(s, &gone);
        break;
    case GREQ_CHARTER:
        charter_given_up(s, &gone);
        break;
    case GREQ_BLOB:
        blob_given_up(s, &gone);
        break;
    case GREQ_HEAD:
    case GREQ_NONE:
        break;
    }
}

void
request_timeouts(struct step *s)
{
    struct gossip *g = s->g;
    for (size_t i = 0; i < GOSSIP_REQUESTS && g->requests_out > 0; i++) {
        struct greq *r = &g->requests[i];
        if (r->type == GREQ_NONE || s->e->now_ms < r->deadline_ms) {
            continue;
        }
        struct gpeer *p = peer_find(g, r->session);
        if (p != NULL) {
            p->silent++;
            if (p->silent == GOSSIP_SILENT_MAX) {
                back_off(s, p->institution, 0);
                step_fail(s, gossip_update_say(s->u, p->session, "%s does not answer",
                                               p->institution));
            }
        }
        request_given_up(s, r);
    }
}

void
request_answered(struct step *s)
{
    struct gossip *g = s->g;
    const struct gossip_event *e = s->e;
    struct greq *r =
        &g->requests[(e->request & (GOSSIP_REQUEST_ID_FIRST - 1)) % GOSSIP_REQUESTS];
    struct gpeer *p = peer_find(g, e->session);
    if (p == NULL || r->type == GREQ_NONE || r->id != e->request || r->session != e->session) {
        return; /* late: it was given up */
    }
    static const uint8_t kinds[] = {0,           FRAME_FRONTIER, FRAME_FRONTIER, FRAME_HEAD,
                                    FRAME_RANGE, FRAME_RANGE,    FRAME_CHARTER,  FRAME_BLOB};
    if (e->kind != (kinds[r->type] | FRAME_ANSWER)) {
        peer_strike(s, e->session, "an answer of another kind than asked for");
        request_given_up(s, r);
        return;
    }
    p->silent = 0;
    struct gdial *d = dial_of(g, p->institution);
    if (d != NULL && p->strikes == 0) {
        d->failures = 0;
    }
    if (!e->last && (r->type == GREQ_FRONTIER || r->type == GREQ_BUCKETS)) {
        struct greq kept = *r; /* more of it comes */
        r->deadline_ms = e->now_ms + GOSSIP_ANSWER_MS;
        round_answered(s, p, &kept);
        return;
    }
    struct greq done;
    request_take(s, r, &done);
    switch (done.type) {
    case GREQ_FRONTIER:
    case GREQ_BUCKETS:
        round_answered(s, p, &done);
        break;
    case GREQ_HEAD:
        head_told(s, p, e->message, true, done.log);
        break;
    case GREQ_SYNC:
        sync_answered(s, &done, e->message, e->raw);
        break;
    case GREQ_RECORDS:
        record_told(s, &done);
        break;
    case GREQ_CHARTER:
        charter_told(s, &done);
        break;
    case GREQ_BLOB:
        blob_told(s, &done);
        break;
    case GREQ_NONE:
        break;
    }
}

/* ---- dialling --------------------------------------------------------------------- */

static bool
may_dial(struct gossip *g, const struct gossip_member *m)
{
    if (m->left || m->address_count == 0 || strcmp(m->institution, g->institution) == 0 ||
        peer_of(g, m->institution) != NULL) {
        return false;
    }
    for (size_t i = 0; i < g->only_count; i++) {
        if (strcmp(g->only[i], m->institution) == 0) {
            return true;
        }
    }
    return g->only == NULL;
}

static size_t
sessions_wanted(const struct gossip *g)
{
    if (g->sessions_wanted > 0) {
        return g->sessions_wanted;
    }
    size_t others = g->member_count > 0 ? g->member_count - 1 : 0;
    if (g->auditor) { /* nobody passes exchange logs on: it hears each from its member */
        return others < GOSSIP_SESSIONS_AUDITOR_MAX ? others : GOSSIP_SESSIONS_AUDITOR_MAX;
    }
    return others < GOSSIP_SESSIONS_ALL_MAX ? others : GOSSIP_SESSIONS_ALL_MAX;
}

static bool
dial(struct step *s, const struct gossip_member *m, struct gdial *d)
{
    /* Copies: the members may be replaced before the action is performed. */
    struct view name = gossip_update_copy(s->u, view_of_text(m->institution));
    struct view address = gossip_update_copy(
        s->u, view_of_text(m->addresses[d->next_address % m->address_count]));
    struct view key = gossip_update_copy(s->u, (struct view){m->session_public, KEY_BYTES});
    struct gossip_action *a = gossip_update_add(s->u, GOSSIP_DIAL);
    if (a == NULL || name.bytes == NULL || address.bytes == NULL || key.bytes == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return false;
    }
    a->institution = (const char *)name.bytes;
    a->address = (const char *)address.bytes;
    a->session_public = key.bytes;
    return true;
}

/* A copy of this home that runs elsewhere has our key and not our address: so
 * each of us dials the address, and the instance ids tell (DESIGN 10). */
static void
dial_ourselves(struct step *s)
{
    struct gossip *g = s->g;
    const struct gossip_member *m = member_find(g, g->institution);
    struct gdial *d = dial_of(g, g->institution);
    if (m != NULL && !m->left && m->address_count > 0 && d->next_ms <= s->e->now_ms) {
        d->next_ms = s->e->now_ms + GOSSIP_TWIN_MS;
        (void)dial(s, m, d);
    }
}

/* Is it still to be heard what the witnesses know of a log of ours? */
static bool
waits_for_witnesses(const struct gossip *g)
{
    for (size_t i = 0; i < g->gate.log_count; i++) {
        enum signgate_state state = g->gate.logs[i].state;
        if (state == SIGNGATE_WAITING || state == SIGNGATE_HELD) {
            return true;
        }
    }
    return false;
}

void
peer_dial_tick(struct step *s)
{
    struct gossip *g = s->g;
    dial_ourselves(s);
    size_t have = 0; /* members: two sessions with one do not stand for another */
    for (size_t i = 0; i < g->peer_count; i++) {
        have += peer_of(g, g->peers[i].institution) == &g->peers[i];
    }
    for (size_t i = 0; i < g->member_count; i++) {
        have += g->dials[i].dialling;
    }
    bool witnesses = waits_for_witnesses(g); /* these besides those that are wanted */
    size_t wanted = g->only != NULL ? SIZE_MAX : sessions_wanted(g);
    size_t first = g->member_count == 0 ? 0 : (size_t)(step_random(s) % g->member_count);
    int dialled = 0;
    for (size_t i = 0;
         i < g->member_count && (have < wanted || witnesses) && dialled < GOSSIP_DIALS_MAX;
         i++) {
        size_t k = (first + i) % g->member_count;
        const struct gossip_member *m = &g->members[k];
        struct gdial *d = &g->dials[k];
        if (!may_dial(g, m) || (have >= wanted && !m->witness)) {
            continue;
        }
        if (d->next_ms == 0 && strcmp(m->institution, g->institution) < 0) {
            /* Of two that start together the other dials first. */
            d->next_ms = s->e->now_ms + 2 * GOSSIP_BACKOFF_MS_MIN;
        }
        if (d->next_ms > s->e->now_ms) {
            continue; /* while dialling: the dial is given up when this is over */
        }
        if (!dial(s, m, d)) {
            return;
        }
        d->dialling = true;
        d->next_ms = s->e->now_ms + 2 * GOSSIP_ANSWER_MS;
        have++;
        dialled++;
    }
}
