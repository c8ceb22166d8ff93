#include "tests/sim/scenario.h"

#include "node/epochs.h"
#include "tests/sim/authority.h"
#include "tests/sim/check.h"
#include "tests/sim/evil.h"
#include "tests/sim/lis.h"
#include "tests/sim/node.h"

enum {
    HOUR_S = 3600,
    TEN_YEARS_S = 3653 * 86400,
    REVOKED_MS_MAX = 15 * 1000, /* documents are asked for, not pushed: rounds by chance */
};

/* ---- faults by chance ---- */

static bool
chance(struct world *w, unsigned percent)
{
    return sim_percent(&w->rng, percent);
}

static void
cut_both(struct world *w, int a, int b)
{
    w->cut[a * w->count + b] = w->cut[b * w->count + a] = true;
}

/* None, pairs, one way, a minority alone, or one that flaps (called often). */
static void
draw_cuts(struct world *w)
{
    memset(w->cut, 0, (size_t)w->count * (size_t)w->count * sizeof *w->cut);
    uint64_t kind = sim_below(&w->rng, 5);
    int lonely = 1 + (int)sim_below(&w->rng, (uint64_t)(w->count - 1) / 2 + 1);
    int first = (int)sim_below(&w->rng, (uint64_t)w->count);
    for (int a = 0; a < w->count; a++) {
        for (int b = 0; b < w->count; b++) {
            if (a == b) {
                continue;
            }
            bool in_a = (a - first + w->count) % w->count < lonely;
            bool in_b = (b - first + w->count) % w->count < lonely;
            if (kind == 1 && chance(w, 30)) {
                cut_both(w, a, b);
            } else if (kind == 2 && chance(w, 35)) {
                w->cut[a * w->count + b] = true;
            } else if (kind == 3 && in_a != in_b) {
                cut_both(w, a, b);
            }
        }
    }
    w->happened[HAPPENED_PAIRS] += kind == 1;
    w->happened[HAPPENED_ONE_WAY] += kind == 2;
    w->happened[HAPPENED_MINORITY] += kind == 3;
    static const char *const texts[] = {"nobody is cut off", "some pairs are cut",
                                        "some hear and are not heard", "a minority is alone",
                                        "nobody is cut off"};
    sim_say(w, NULL, "%s", texts[kind]);
}

static void
draw_faults(struct world *w)
{
    w->loss = chance(w, 70) ? (unsigned)sim_below(&w->rng, chance(w, 25) ? 51 : 20) : 0;
    w->twice = chance(w, 50) ? (unsigned)sim_below(&w->rng, 30) : 0;
    w->delay_ms = 1 + (int64_t)sim_below(&w->rng, chance(w, 20) ? 8000 : 800);
    w->late_permille = chance(w, 30) ? (unsigned)sim_below(&w->rng, 60) : 0;
    w->crash_permille = chance(w, 60) ? (unsigned)sim_below(&w->rng, 8) : 0;
    w->refuse_percent = chance(w, 30) ? (unsigned)sim_below(&w->rng, 5) : 0;
    w->publish_ms = 1500 + (int64_t)sim_below(&w->rng, 4000);
    w->ask_ms = 1000 + (int64_t)sim_below(&w->rng, 3000);
    sim_say(w, NULL,
            "loss %u %%, doubled %u %%, delay to %lld ms, %u of 1000 up to ten minutes late, "
            "%u of 1000 commits crash, %u %% of stores fail",
            w->loss, w->twice, (long long)w->delay_ms, w->late_permille, w->crash_permille,
            w->refuse_percent);
}

/* Two witnesses that are years ahead are believed (node/epochs.h): one at most. */
static bool
years_ahead(const struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        if (w->members[w->nodes[i].member].witness &&
            w->nodes[i].went_ahead_s > TEN_YEARS_S / 2) {
            return true;
        }
    }
    return false;
}

static void
draw_clock(struct world *w)
{
    static const int64_t jumps[] = {HOUR_S, -HOUR_S, TEN_YEARS_S, -TEN_YEARS_S, 90, -90};
    struct node *n = &w->nodes[sim_below(&w->rng, (uint64_t)w->count)];
    uint64_t kind = sim_below(&w->rng, 4);
    int64_t jump_s = jumps[sim_below(&w->rng, sizeof jumps / sizeof jumps[0])];
    jump_s = jump_s == TEN_YEARS_S && years_ahead(w) ? -jump_s : jump_s;
    node_clock(w, n,
               kind == 0   ? CLOCK_STUCK
               : kind == 1 ? CLOCK_BACKWARDS
                           : CLOCK_GOOD,
               jump_s);
}

static void
mend_clocks(struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        if (w->nodes[i].clock != CLOCK_GOOD || w->nodes[i].offset_s != 0) {
            node_clock(w, &w->nodes[i], CLOCK_GOOD, 0);
        }
    }
}

static struct node *
some_honest(struct world *w)
{
    for (;;) {
        struct node *n = &w->nodes[sim_below(&w->rng, (uint64_t)w->count)];
        if (node_honest(n) && !w->members[n->member].left) {
            return n;
        }
    }
}

static void
draw_charter(struct world *w)
{
    size_t first = w->document_count;
    uint64_t what = sim_below(&w->rng, 4);
    if (first + 4 >= SIM_DOCUMENTS_MAX) {
        return;
    }
    if (what == 0 && chance(w, 50)) {
        authority_revoke_key(w, some_honest(w)->member);
    } else if (what == 0) {
        authority_rotate_key(w, some_honest(w)->member);
    } else if (what == 1) {
        authority_rotate_root(w);
    } else if (what == 2) {
        authority_end_epoch(w);
    } else {
        int member = w->member_count - 1; /* never a witness of few */
        if (w->member_count > 4) {
            authority_leave(w, member, !w->members[member].left);
        } else {
            authority_rotate_key(w, some_honest(w)->member);
        }
    }
    struct node *n = some_honest(w);
    if (n->up) {
        authority_deliver(w, n, 0);
    } else {
        authority_deliver(w, some_honest(w), 0);
    }
}

/* ---- restores (F13) ---- */

/* May `n` be put back to its copy?  What it showed must be with most witnesses:
 * what nobody holds cannot be asked back (DESIGN 10). */
static bool
may_restore(struct world *w, const struct node *n)
{
    size_t have = 0, of = 0;
    if (!n->has_backup || !node_honest(n) || n->restored || w->members[n->member].left) {
        return false;
    }
    for (int i = 0; i < w->count; i++) {
        const struct node *o = &w->nodes[i];
        if (o != n && w->members[o->member].witness) {
            of++;
            have += node_honest(o) && o->largest[n->member] >= n->history->signed_size &&
                    !o->restored;
        }
    }
    return have > of / 2;
}

/* A restored witness signs only above what the others had cosigned: what it alone
 * had cosigned is forgotten with its disk. */
static void
forget_cosigned(struct world *w, struct node *n)
{
    for (int m = 0; m < w->member_count; m++) {
        uint64_t most = 0;
        for (int i = 0; i < w->count; i++) {
            if (i != n->number && w->nodes[i].cosigned[m] > most) {
                most = w->nodes[i].cosigned[m];
            }
        }
        n->cosigned[m] = n->cosigned[m] < most ? n->cosigned[m] : most;
        n->cosigned_time_s[m] = 0;
    }
}

/* ---- the storm ---- */

static void
phases(struct world *w, int count, bool clocks, bool charters, bool restores)
{
    struct node *victim = restores ? some_honest(w) : NULL;
    for (int phase = 0; phase < count; phase++) {
        int64_t until = w->now_ms + 2000 + (int64_t)sim_below(&w->rng, 5000);
        bool flapping = chance(w, 15);
        w->happened[HAPPENED_FLAPPING] += flapping;
        if (chance(w, 40)) {
            draw_faults(w);
        }
        if (clocks && chance(w, 60)) {
            draw_clock(w);
        }
        if (charters && chance(w, 50)) {
            draw_charter(w);
        }
        if (victim != NULL && phase == 0) {
            node_backup(w, victim);
        } else if (victim != NULL && chance(w, 50) && may_restore(w, victim)) {
            node_restore(w, victim);
            forget_cosigned(w, victim);
        }
        draw_cuts(w);
        while (flapping && w->now_ms < until) {
            draw_cuts(w);
            world_run(w, w->now_ms + 300 + (int64_t)sim_below(&w->rng, 1200));
        }
        world_run(w, until);
        world_check(w);
    }
}

/* Everybody finds every report of everybody, once. */
static void
look_for_all(struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        for (int k = 0; k < w->count; k++) {
            struct node *n = &w->nodes[i], *a = &w->nodes[k];
            if (node_honest(n) && node_honest(a) && !w->members[n->member].left &&
                !w->members[a->member].left) {
                lis_check_index(w, n, a);
                if (i != k) {
                    lis_check_lookup(w, n, a);
                }
            }
        }
    }
}

/* What a laboratory sends may all be known already: until there is a new entry. */
static void
publish_new(struct world *w, struct node *n)
{
    size_t before = n->history->count;
    for (int i = 0; i < 100 && n->up && n->history->count == before; i++) {
        node_publish(w, n, 1 + (unsigned)sim_below(&w->rng, 4));
    }
}

static bool
all_listened(const struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        const struct node *n = &w->nodes[i];
        if (node_honest(n) && !w->members[n->member].left && n->up &&
            !gossip_settled(n->gossip)) {
            return false;
        }
    }
    return true;
}

static void
publish_everywhere(struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        if (world_counts(w, i)) {
            publish_new(w, &w->nodes[i]);
        }
    }
}

static bool
is_witness(const struct world *w, int node)
{
    return w->members[w->nodes[node].member].witness;
}

/* What `n` knows of the log of `a`. */
static struct gossip_log_state
log_of(const struct node *n, const struct node *a)
{
    struct gossip_log_state l = {0};
    for (size_t i = 0; i < gossip_log_count(n->gossip); i++) {
        gossip_log_get(n->gossip, i, &l);
        if (strcmp(l.origin, a->origin) == 0) {
            return l;
        }
    }
    return (struct gossip_log_state){0};
}

/* F23: all witnesses are off, for up to 100 hours.  Publishing goes on and spreads, as
 * not yet cosigned; when they are back all of it is. */
static void
witnesses_off(struct world *w)
{
    struct node *a = NULL;
    for (int i = 0; i < w->count; i++) {
        if (is_witness(w, i) && !world_counts(w, i)) {
            return;
        }
        a = world_counts(w, i) && !is_witness(w, i) ? &w->nodes[i] : a;
    }
    if (a == NULL) {
        return;
    }
    w->happened[HAPPENED_WITNESSES_OFF]++;
    for (int i = 0; i < w->count; i++) {
        if (is_witness(w, i) && w->nodes[i].up) {
            node_stop(w, &w->nodes[i]);
        }
    }
    world_run(w, w->now_ms + 1000);
    uint64_t before = a->history->count;
    publish_new(w, a);
    w->leap_s += (int64_t)sim_below(&w->rng, 100 * HOUR_S);
    sim_say(w, NULL, "hours pass without witnesses");
    world_run(w, w->now_ms + 4000);
    CHECK(w, "F23", a->history->signed_size > before || a->history->count == before,
          "%s does not sign while the witnesses are off", a->institution);
    for (int i = 0; i < w->count; i++) {
        if (world_counts(w, i) && !is_witness(w, i)) {
            struct gossip_log_state l = log_of(&w->nodes[i], a);
            CHECK(w, "F23", l.head_size == a->history->count,
                  "%s has %llu of %zu entries of %s while the witnesses are off",
                  w->nodes[i].institution, (unsigned long long)l.head_size, a->history->count,
                  a->institution);
            CHECK(w, "F23", l.cosigned_size <= before, "%s shows as cosigned what nobody saw",
                  w->nodes[i].institution);
        }
    }
    for (int i = 0; i < w->count; i++) {
        if (is_witness(w, i)) {
            w->nodes[i].up_at_ms = w->now_ms + 1;
        }
    }
    (void)world_settle(w, SETTLE_MS_MAX, true);
}

/* Do all that count go by the newest members? */
static bool
all_know(const struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        if (world_counts(w, i) &&
            (!w->nodes[i].up || w->nodes[i].versions[CHARTER_MEMBERS] < w->members_version)) {
            return false;
        }
    }
    return true;
}

/* F19: a stolen key is revoked in quiet times; soon nobody takes anything by it.  Whoever
 * holds it shows another history of its log: nobody may believe that, nor accuse. */
static void
theft(struct world *w)
{
    struct node *victim = some_honest(w);
    struct member *m = &w->members[victim->member];
    size_t old = m->key_count - 1;
    if (m->key_count == SIM_KEYS_MAX || w->document_count + 4 >= SIM_DOCUMENTS_MAX ||
        victim->history->signed_size == 0) {
        return;
    }
    authority_revoke_key(w, victim->member);
    authority_deliver(w, some_honest(w), 0);
    int64_t began_ms = w->now_ms;
    while (!all_know(w) && w->now_ms - began_ms < SETTLE_MS_MAX) {
        world_run(w, w->now_ms + 100);
    }
    w->result->revoked_ms = w->now_ms - began_ms;
    CHECK(w, "F19", w->now_ms - began_ms <= REVOKED_MS_MAX,
          "a revoked key is known everywhere after %lld ms", (long long)(w->now_ms - began_ms));
    evil_theft(w, victim, &m->keys[old]);
    world_run(w, w->now_ms + 2000);
    /* A fast clock dates a cosignature after the revocation that came before it: it does
     * not count, and the head that it stood on is cosigned with the next one. */
    publish_everywhere(w);
    (void)world_settle(w, SETTLE_MS_MAX, true);
}

/* Has it noted how large the log of `a` was when the last key ended, or was closed?
 * Who was not there at that time notes it with the next head, and takes what comes. */
static bool
has_noted(struct world *w, struct node *n, const struct node *a, bool closed)
{
    struct store_txn *t = NULL;
    struct epoch_marks marks;
    enum status st = store_begin_read(n->store, &t);
    st = st == STATUS_OK
             ? epochs_get(t, SIM_NETWORK, (uint32_t)w->epoch_count - 1, a->origin, &marks)
             : st;
    store_abort(t);
    CHECK(w, "I1", st == STATUS_OK, "%s: marks: %s", n->institution, status_text(st));
    return (closed ? marks.closed : marks.ended) != UINT64_MAX;
}

/* One publishes under the key that ended last: late, and after 60 days refused. */
static void
publish_late(struct world *w, bool refused)
{
    bool noted[SIM_EPOCHS_MAX * 4] = {false};
    struct node *a = some_honest(w);
    if (a->epoch_count < 2 || !a->up || lis_waiting(a) > 0) {
        return;
    }
    for (int i = 0; i < w->count; i++) {
        noted[i] = world_counts(w, i) && has_noted(w, &w->nodes[i], a, refused);
    }
    size_t before = lis_count(a), entries = a->history->count;
    a->stubborn = true;
    node_publish(w, a, 0);
    a->stubborn = false;
    if (lis_count(a) == before || a->history->count == entries) {
        return;
    }
    (void)world_settle(w, SETTLE_MS_MAX, false);
    for (int i = 0; i < w->count; i++) {
        if (noted[i]) {
            lis_check_late(w, &w->nodes[i], a, lis_count(a) - before, refused);
        }
    }
}

/* Everybody sleeps until the last key that ended is closed. */
static void
late_keys(struct world *w)
{
    if (w->epoch_count < 2) {
        return;
    }
    world_run(w, w->now_ms + 2500); /* everybody has noted what it had */
    publish_late(w, false);
    w->leap_s += EPOCH_LATE_S + 86400;
    sim_say(w, NULL, "61 days pass");
    publish_everywhere(w); /* heads of the new time */
    (void)world_settle(w, SETTLE_MS_MAX, true);
    world_run(w, w->now_ms + 2500);
    publish_late(w, true);
}

static int64_t
calm(struct world *w)
{
    world_heal(w);
    mend_clocks(w);
    /* What the authority issued may have gone down with the one who had it. */
    for (int i = 0; i < w->count; i++) {
        if (node_honest(&w->nodes[i]) && w->nodes[i].up) {
            authority_deliver(w, &w->nodes[i], 0);
            break;
        }
    }
    int64_t took = world_settle(w, SETTLE_MS_MAX, false);
    /* A restored witness listens before it cosigns. */
    for (int64_t limit = w->now_ms + SETTLE_MS_MAX; !all_listened(w);) {
        CHECK(w, "I7", w->now_ms < limit, "a restored witness listens for ever");
        world_run(w, w->now_ms + 1000);
    }
    /* And everybody still works: new entries, cosigned by all. */
    for (int i = 0; i < w->count; i++) {
        if (node_honest(&w->nodes[i]) && !w->members[w->nodes[i].member].left) {
            publish_new(w, &w->nodes[i]);
        }
    }
    (void)world_settle(w, SETTLE_MS_MAX, true);
    world_check(w);
    look_for_all(w);
    world_settle_exchange(w, SETTLE_MS_MAX);
    if (chance(w, 30)) {
        theft(w);
    }
    if (chance(w, 20)) {
        witnesses_off(w);
    }
    late_keys(w);
    look_for_all(w);
    return took;
}

static int64_t
storm(struct world *w, const struct sim_options *o, enum evil evil, bool restores)
{
    int count = o->nodes > 0 ? o->nodes : 3 + (int)(o->seed / 4 % 5);
    int witnesses = count < 5 ? 3 : 3 + (int)(o->seed / 20 % 2) * 2;
    world_begin(w, o, w->scenario, count, 0, witnesses);
    w->secure = chance(w, 25);
    authority_begin(w);
    int bad = evil == EVIL_NOT ? -1 : (int)sim_below(&w->rng, (uint64_t)count);
    for (int i = 0; i < count; i++) {
        node_make(w, i, i, i == bad ? evil : EVIL_NOT);
        w->nodes[i].offset_s = (int64_t)sim_below(&w->rng, 40) - 20;
        node_start(w, &w->nodes[i]);
    }
    w->publish_ms = 2000;
    world_run(w, w->now_ms + 3000);
    draw_faults(w);
    phases(w, 4 + (int)sim_below(&w->rng, 2), chance(w, 50), chance(w, 50), restores);
    return calm(w);
}

void
scenario_storm(struct world *w, const struct sim_options *o)
{
    static const enum evil kinds[] = {EVIL_FORGER, EVIL_REPLAYER, EVIL_FLOODER, EVIL_ROSTER};
    uint64_t turn = o->seed % 4;
    bool bad = turn == 2 || (turn == 3 && o->seed / 4 % 3 == 0); /* or both at once */
    w->result->settled_ms = storm(w, o, bad ? kinds[o->seed / 8 % 4] : EVIL_NOT, turn == 3);
}

/* ---- two histories (F12) ---- */

void
scenario_fork(struct world *w, const struct sim_options *o)
{
    int members = o->nodes > 0 ? o->nodes : 4 + (int)(o->seed / 4 % 4);
    int author = members - 1;
    world_begin(w, o, "fork", members, 1, 3);
    w->secure = chance(w, 25);
    authority_begin(w);
    bool forger = members > 4 && chance(w, 50);
    for (int i = 0; i <= members; i++) {
        enum evil evil = i >= author                  ? EVIL_TWO_TREES
                         : forger && i == members - 2 ? EVIL_FORGER
                                                      : EVIL_NOT;
        node_make(w, i, i < members ? i : author, evil);
    }
    cut_both(w, author, members);
    for (int i = 0; i < members; i++) {
        node_start(w, &w->nodes[i]);
    }
    struct node *a = &w->nodes[author], *b = &w->nodes[members];
    b->up_at_ms = INT64_MAX;
    w->publish_ms = 2500;
    if (chance(w, 50)) { /* they have their beginning in common */
        world_run(w, w->now_ms + 4000);
        node_stop(w, a);
        files_copy(a->dir, b->dir, "data.mdb");
        history_copy(b->history, a->history);
        b->born = b->history->count == 0 && a->born;
        node_start(w, a);
    }
    b->born = b->history->count == 0;
    node_start(w, b);
    if (chance(w, 50)) {
        w->loss = (unsigned)sim_below(&w->rng, 20);
        w->delay_ms = 1 + (int64_t)sim_below(&w->rng, 500);
        w->crash_permille = (unsigned)sim_below(&w->rng, 4);
    }
    world_run(w, w->now_ms + 8000);
    w->crash_permille = 0;
    node_publish(w, a, 1 + (unsigned)sim_below(&w->rng, 300));
    node_publish(w, b, 1 + (unsigned)sim_below(&w->rng, 300));
    w->publish_ms = 0;
    world_check(w);
    world_heal(w);
    cut_both(w, author, members);
    int64_t began = w->now_ms;
    bool all = false;
    while (!all && w->now_ms - began < SETTLE_MS_MAX) {
        world_run(w, w->now_ms + 500);
        all = true;
        for (int i = 0; i < author; i++) {
            all = all && (w->nodes[i].frozen[author] || !node_honest(&w->nodes[i]));
        }
    }
    for (int i = 0; i < author; i++) {
        CHECK(w, "F12", w->nodes[i].frozen[author] || !node_honest(&w->nodes[i]),
              "%s did not find the two histories of %s", w->nodes[i].institution,
              w->nodes[author].institution);
    }
    w->result->settled_ms = w->now_ms - began;
    (void)world_settle(w, SETTLE_MS_MAX, true);
    world_check(w);
}

/* ---- which ---- */

static const struct {
    const char *name;
    void (*run)(struct world *w, const struct sim_options *o);
} scenarios[] = {{"storm", scenario_storm},
                 {"fork", scenario_fork},
                 {"spread", scenario_spread},
                 {"idle", scenario_idle}};

bool
scenario_known(const char *name)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return true;
        }
    }
    return strcmp(name, "mixed") == 0;
}

void
scenario_run(const struct sim_options *o, struct sim_result *out)
{
    static struct world w;
    const char *name = strcmp(o->scenario, "mixed") != 0 ? o->scenario
                       : o->seed % 4 == 1                ? "fork"
                                                         : "storm";
    memset(out, 0, sizeof *out);
    w.result = out;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            w.scenario = scenarios[i].name;
            scenarios[i].run(&w, o);
        }
    }
    snprintf(out->scenario, sizeof out->scenario, "%s", name);
    out->seed = o->seed;
    out->frames = w.frames;
    out->frames_lost = w.frames_lost;
    out->bytes = w.bytes;
    out->events = w.events;
    out->crashes = w.crashes;
    out->restores = w.restores;
    out->forks = w.forks_told;
    out->adopted = w.adopted;
    out->simulated_ms = w.now_ms;
    w.happened[HAPPENED_RESTORE] = w.restores;
    w.happened[HAPPENED_CRASH] = w.crashes;
    w.happened[HAPPENED_FORK] = w.forks_told;
    memcpy(out->happened, w.happened, sizeof out->happened);
    char file[SIM_FILE_CHARS];
    if (o->keep_trace && sim_trace_keep(&w, file)) {
        printf("the trace is in %s\n", file);
    }
    world_end(&w);
}
