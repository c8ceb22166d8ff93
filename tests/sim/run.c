/* run.c: the life of a world: its beginning, time, and when it has settled. */
#include <sys/stat.h>
#include <unistd.h>

#include "node/gossip_state.h"
#include "node/recall.h"
#include "tests/sim/authority.h"
#include "tests/sim/check.h"
#include "tests/sim/evil.h"
#include "tests/sim/exchange.h"
#include "tests/sim/node.h"
#include "tests/sim/scenario.h"
#include "tests/sim/secure.h"

static void
make_member(struct world *w, int number)
{
    struct member *m = &w->members[number];
    uint8_t seed[KEY_BYTES] = {0};
    snprintf(m->institution, sizeof m->institution, "h%d", number);
    origin_pub(SIM_NETWORK, m->institution, m->origin);
    seed[0] = (uint8_t)(number + 1);
    seed[1] = (uint8_t)((number + 1) >> 8);
    keys_derive(seed, SIM_NETWORK, &m->keys[0]);
    m->key_count = 1;
    m->from_s[0] = SIM_EPOCH_S - 30 * 86400;
    m->witness = number < w->witnesses;
}

void
world_begin(struct world *w, const struct sim_options *o, const char *scenario, int members,
            int extra_nodes, int witnesses)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    struct sim_result *result = w->result;
    memset(w, 0, sizeof *w);
    w->result = result;
    sim_world = w;
    w->seed = o->seed;
    w->scenario = scenario;
    w->rng.state = o->seed * UINT64_C(1000003) + 17;
    w->tracing = o->trace;
    w->now_ms = 1000;
    w->link_count = 1; /* session 0 is none */
    w->link_room = 64;
    w->links = calloc(w->link_room, sizeof *w->links);
    w->delay_ms = o->delay_ms > 0 ? o->delay_ms : 20;
    w->count = members + extra_nodes;
    w->member_count = members;
    w->witnesses = witnesses;
    w->cosign_s = 3;
    w->publish_most = 8;
    w->full = sim_percent(&w->rng, 50);
    w->nodes = calloc((size_t)w->count, sizeof *w->nodes);
    w->members = calloc((size_t)members, sizeof *w->members);
    w->lives = calloc((size_t)w->count, sizeof *w->lives);
    w->cut = calloc((size_t)w->count * (size_t)w->count, sizeof *w->cut);
    assert(w->links != NULL && w->nodes != NULL && w->members != NULL && w->lives != NULL &&
           w->cut != NULL);
    snprintf(w->scratch, sizeof w->scratch, "%s/huren-sim-%ld", base, (long)getpid());
    files_remove(w->scratch);
    assert(mkdir(w->scratch, 0700) == 0);
    for (int i = 0; i < members; i++) {
        make_member(w, i);
    }
}

void
world_end(struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        node_free(w, &w->nodes[i]);
    }
    while (w->queue.count > 0) {
        message_free(sim_pop(&w->queue));
    }
    for (size_t i = 0; i < w->recorded_count; i++) {
        free(w->recorded[i].bytes);
    }
    for (uint32_t i = 0; i < w->link_count; i++) {
        secure_free(w, i);
    }
    authority_end(w);
    files_remove(w->scratch);
    free(w->queue.items);
    free(w->nodes);
    free(w->members);
    free(w->lives);
    free(w->links);
    free(w->cut);
    free(w->trace);
}

/* ---- time ---- */

static void
deliver(struct world *w, struct message *m)
{
    struct node *n = &w->nodes[m->to];
    w->queued_bytes -= m->message_count + m->raw_count;
    if (m->type == MSG_BYTES || m->type == MSG_WAKE) {
        if (n->up && m->life == w->lives[m->to]) {
            secure_deliver(w, m);
        }
        message_free(m);
        return;
    }
    if (n->up && m->life == w->lives[m->to]) {
        struct gossip_event e = {
            .session = m->session,
            .institution = w->nodes[m->from].institution,
            .instance = w->nodes[m->from].instance,
            .dialled = m->dialled,
            .request = m->request,
            .kind = m->kind,
            .last = m->last,
            .message = {m->bytes, m->message_count},
            .raw = {m->bytes == NULL ? NULL : m->bytes + m->message_count, m->raw_count}};
        switch (m->type) {
        case MSG_FRAME:
            e.type = GOSSIP_FRAME;
            evil_heard(w, n, m);
            break;
        case MSG_UP:
            e.type = w->links[m->session / 2].open ? GOSSIP_PEER_UP : GOSSIP_DIAL_FAILED;
            sim_say(w, n, "%s %s",
                    e.type == GOSSIP_PEER_UP ? "has a session with" : "fails to reach",
                    e.institution);
            break;
        case MSG_DOWN:
            e.type = GOSSIP_PEER_DOWN;
            sim_say(w, n, "loses its session with %s", e.institution);
            break;
        case MSG_DIAL_FAILED:
            e.type = GOSSIP_DIAL_FAILED;
            break;
        case MSG_BYTES:
        case MSG_WAKE:
            break; /* above */
        }
        node_event(w, n, &e);
    } else if (m->type == MSG_UP) {
        wire_close(w, m->session / 2); /* the other side must hear that nobody is here */
    }
    message_free(m);
}

static int64_t
next_moment(const struct world *w, int64_t until_ms)
{
    int64_t next = until_ms;
    if (w->queue.count > 0 && w->queue.items[0].at_ms < next) {
        next = w->queue.items[0].at_ms;
    }
    for (int i = 0; i < w->count; i++) {
        const struct node *n = &w->nodes[i];
        int64_t at = n->up ? gossip_deadline_ms(n->gossip) : n->up_at_ms;
        next = at < next ? at : next;
        next = n->up && n->next_publish_ms < next ? n->next_publish_ms : next;
        if (n->up && !w->big) {
            at = exchange_deadline_ms(n);
            next = at < next ? at : next;
        }
    }
    return next > w->now_ms ? next : w->now_ms;
}

static void
plan_publish(struct world *w, struct node *n)
{
    n->next_publish_ms =
        w->publish_ms == 0
            ? INT64_MAX
            : w->now_ms + 1 + (int64_t)sim_below(&w->rng, 2 * (uint64_t)w->publish_ms);
}

static void
turn(struct world *w, struct node *n)
{
    if (!n->up && w->now_ms >= n->up_at_ms) {
        node_start(w, n);
    }
    if (n->up && w->now_ms >= gossip_deadline_ms(n->gossip)) {
        struct gossip_event tick = {.type = GOSSIP_TICK};
        node_event(w, n, &tick);
        CHECK(w, "I6", !n->up || gossip_deadline_ms(n->gossip) > w->now_ms,
              "%s wants to be woken without end", n->institution);
        if (n->up && n->evil != EVIL_NOT) {
            evil_turn(w, n);
        }
    }
    if (n->up && n->next_publish_ms == INT64_MAX && w->publish_ms != 0) {
        plan_publish(w, n);
    }
    if (n->up && w->now_ms >= n->next_publish_ms) {
        plan_publish(w, n);
        uint64_t most = sim_percent(&w->rng, 10) ? 60 * w->publish_most : w->publish_most;
        node_publish(w, n, 1 + (unsigned)sim_below(&w->rng, most));
    }
    if (n->up && n->sign_due && node_honest(n)) {
        node_sign(w, n);
    }
    if (n->up && !w->big) {
        exchange_turn(w, n);
    }
    if (n->up) {
        node_note_epochs(w, n);
    }
}

void
world_run(struct world *w, int64_t until_ms)
{
    while (w->now_ms < until_ms) {
        int64_t next = next_moment(w, until_ms);
        w->now_ms = next;
        while (w->queue.count > 0 && w->queue.items[0].at_ms <= w->now_ms) {
            deliver(w, sim_pop(&w->queue));
        }
        for (int i = 0; i < w->count; i++) {
            turn(w, &w->nodes[i]);
        }
        if (next >= until_ms) {
            break;
        }
    }
}

void
world_check(struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        if (w->nodes[i].up) {
            check_whole(w, &w->nodes[i]);
        }
    }
}

void
world_heal(struct world *w)
{
    memset(w->cut, 0, (size_t)w->count * (size_t)w->count * sizeof *w->cut);
    w->loss = w->twice = w->late_permille = w->crash_permille = w->refuse_percent = 0;
    w->delay_ms = 20;
    w->publish_ms = w->ask_ms = 0;
    for (int i = 0; i < w->count; i++) {
        w->nodes[i].next_publish_ms = INT64_MAX;
    }
    sim_say(w, NULL, "all faults end");
}

/* ---- I7 ---- */

bool
world_counts(const struct world *w, int node)
{
    const struct node *n = &w->nodes[node];
    return node_honest(n) && !w->members[n->member].left && member_honest(w, n->member);
}

/* How many cosignatures the log of `author` must have in the end. */
static size_t
cosignatures_due(const struct world *w, int author)
{
    size_t due = 0;
    for (int i = 0; i < w->count; i++) {
        due += i != author && world_counts(w, i) && w->members[w->nodes[i].member].witness &&
               w->nodes[i].went_ahead_s < 60;
    }
    return due;
}

/* Why a witness may not have cosigned. */
static void
say_witness(const struct world *w, const struct node *n, const struct node *author)
{
    const struct gossip *g = n->gossip;
    for (size_t i = 0; n->up && w->members[n->member].witness && i < g->log_count; i++) {
        const struct glog *log = g->logs[i];
        if (strcmp(log->origin, author->origin) == 0 && !log->own) {
            fprintf(stderr,
                    "  witness %s: offered %llu by %zu, its own line %s, cosigned %llu, floor "
                    "%llu, %s, listens until %lld ms, clock was ahead by %lld s\n",
                    n->institution, (unsigned long long)log->offered_size, log->offered_n,
                    log->offered_mine ? "there" : "missing",
                    (unsigned long long)log->witnessed_size, (unsigned long long)log->floor,
                    gossip_settled(g) ? "settled" : "not settled", (long long)g->settled_ms,
                    (long long)n->went_ahead_s);
        }
    }
}

static bool
has_log(struct world *w, struct node *n, int author, bool cosigned, bool say)
{
    const struct node *a = &w->nodes[author];
    uint64_t size = a->history->signed_size;
    struct gossip_log_state state = {0};
    const struct glog *log = NULL;
    if (size == 0) {
        return true;
    }
    for (size_t l = 0; l < gossip_log_count(n->gossip); l++) {
        if (strcmp(n->gossip->logs[l]->origin, a->origin) == 0) {
            gossip_log_get(n->gossip, l, &state);
            log = n->gossip->logs[l];
        }
    }
    size_t due = cosigned ? cosignatures_due(w, author) : 0;
    bool good = state.head_size == size &&
                (due == 0 || (state.cosigned_size == size && state.cosigned_by >= due) ||
                 (log != NULL && log->offered_size == size && log->offered_n >= due));
    if (!good && say) {
        fprintf(stderr,
                "%s has %llu of %llu entries of %s (wants %llu), cosigned %llu by %zu of %zu\n",
                n->institution, (unsigned long long)state.head_size, (unsigned long long)size,
                a->institution, (unsigned long long)state.wanted_size,
                (unsigned long long)state.cosigned_size, state.cosigned_by, due);
        for (int i = 0; i < w->count && due > 0; i++) {
            say_witness(w, &w->nodes[i], a);
        }
    }
    return good;
}

static bool
has_all(struct world *w, struct node *n, bool cosigned, bool say)
{
    uint64_t newest = 0;
    if (!n->up || !node_may_sign(n)) {
        if (say) {
            fprintf(stderr, "%s is %s\n", n->institution,
                    n->up ? signgate_text(signgate_state(gossip_gate(n->gossip), n->origin))
                          : "down");
        }
        return false;
    }
    for (int i = 0; i < w->count; i++) {
        newest = w->nodes[i].versions[CHARTER_MEMBERS] > newest && world_counts(w, i)
                     ? w->nodes[i].versions[CHARTER_MEMBERS]
                     : newest;
    }
    if (n->versions[CHARTER_MEMBERS] != newest) {
        if (say) {
            fprintf(stderr, "%s has members %llu of %llu\n", n->institution,
                    (unsigned long long)n->versions[CHARTER_MEMBERS],
                    (unsigned long long)newest);
        }
        return false;
    }
    if (n->history->signed_size != n->history->count) {
        return false;
    }
    for (int k = 0; k < w->count; k++) {
        if (world_counts(w, k) && !has_log(w, n, k, cosigned, say)) {
            return false;
        }
    }
    return true;
}

static bool
settled(struct world *w, bool cosigned, bool say)
{
    for (int i = 0; i < w->count; i++) {
        if (world_counts(w, i) && !has_all(w, &w->nodes[i], cosigned, say)) {
            return false;
        }
    }
    return true;
}

void
world_settle_exchange(struct world *w, int64_t most_ms)
{
    int64_t until_ms = w->now_ms + most_ms;
    /* Who looked at what its copies say only before everything was there again: once
     * more, as it does by itself every ten minutes. */
    for (int i = 0; i < w->count && w->restores > 0; i++) {
        if (world_counts(w, i) && w->nodes[i].up) {
            node_stop(w, &w->nodes[i]);
            w->nodes[i].up_at_ms = w->now_ms + 100;
        }
    }
    if (w->restores > 0) {
        world_run(w, w->now_ms + RECALL_SWEEP_FIRST_MS + 2000);
    }
    while (!exchange_settled(w, world_counts, false)) {
        if (w->now_ms >= until_ms) {
            (void)exchange_settled(w, world_counts, true);
            sim_fail(w, "I7", "recalls are not told %lld s after the faults ended",
                     (long long)(most_ms / 1000));
        }
        world_run(w, w->now_ms + 500);
    }
    /* Everybody asks everybody, until nobody is refused for a receipt that was lost. */
    uint64_t refused;
    do {
        refused = w->refused_honest;
        CHECK(w, "I7", w->now_ms < until_ms, "look-ups are still refused for receipts");
        for (int i = 0; i < w->count; i++) {
            for (int k = 0; k < w->count; k++) {
                if (i != k && world_counts(w, i) && world_counts(w, k)) {
                    exchange_ask(w, &w->nodes[i], &w->nodes[k]);
                }
            }
        }
        world_run(w, w->now_ms + 8000);
    } while (w->refused_honest != refused);
    exchange_check(w, world_counts);
}

int64_t
world_settle(struct world *w, int64_t most_ms, bool cosigned)
{
    int64_t began = w->now_ms;
    while (w->now_ms - began < most_ms) {
        world_run(w, w->now_ms + 500);
        if (settled(w, cosigned, false)) {
            sim_say(w, NULL, "settled after %lld ms", (long long)(w->now_ms - began));
            return w->now_ms - began;
        }
    }
    (void)settled(w, cosigned, true);
    sim_fail(w, "I7", "not everybody has everything %lld s after the faults ended",
             (long long)(most_ms / 1000));
}
