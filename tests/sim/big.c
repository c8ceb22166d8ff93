/* big.c: big honest worlds: how far and how fast, and what it costs when nothing
 * happens. */
#include "crypto/checkpoint.h"
#include "crypto/noise.h"
#include "proto/frame.h"
#include "store/log.h"
#include "tests/sim/authority.h"
#include "tests/sim/node.h"
#include "tests/sim/scenario.h"

static void
big_world(struct world *w, const struct sim_options *o, int count, bool auditor)
{
    world_begin(w, o, w->scenario, count, 0, 3);
    w->full = false;
    w->auditor = auditor;
    w->cosign_s = 10;
    w->big = count > 40;
    authority_begin(w);
    for (int i = 0; i < count; i++) {
        node_make(w, i, i, EVIL_NOT);
        node_start(w, &w->nodes[i]);
    }
}

/* Every node has an exchange log of its own, as real ones do, with a signed head. */
static void
begin_exchange(struct world *w, struct node *n)
{
    char origin[ORIGIN_CHARS_MAX + 1];
    uint8_t note[1024];
    size_t count = 0;
    struct note_signer signer;
    struct store_txn *t = NULL;
    struct view name, entry = view_of_text("an entry of an exchange log");
    uint32_t log = 0;
    struct member *m = &w->members[n->member];
    origin_exch(SIM_NETWORK, n->institution, (uint32_t)n->number + 1, origin);
    name = view_of_text(origin);
    struct checkpoint c = {.origin = name, .size = 1};
    enum status st =
        note_signer_make(name, NOTE_KEY_ED25519, m->keys[n->key_now].log.secret_key, &signer);
    assert(st == STATUS_OK);
    st = store_begin_write(n->store, STORE_EXCHANGE, 1 << 16, &t);
    st = st == STATUS_OK ? store_log_create(t, name, STORE_LOG_OWN, 0, &log) : st;
    st = st == STATUS_OK ? store_log_append(t, log, &entry, 1, NULL, &c.root) : st;
    st = st == STATUS_OK ? checkpoint_sign(&signer, &c, note, sizeof note, &count) : st;
    st = st == STATUS_OK ? store_note_put(t, log, STORE_NOTE_HEAD, (struct view){note, count})
                         : st;
    st = st == STATUS_OK ? store_commit(t) : st;
    assert(st == STATUS_OK);
    st = gossip_own_log(n->gossip, name, true);
    assert(st == STATUS_OK);
    struct gossip_event e = {.type = GOSSIP_OWN_HEAD, .origin = name, .note = {note, count}};
    node_event(w, n, &e);
}

/* The auditor holds the exchange logs of all. */
static bool
audited(const struct node *auditor, int count)
{
    int have = 0;
    for (size_t i = 0; i < gossip_log_count(auditor->gossip); i++) {
        struct gossip_log_state l;
        gossip_log_get(auditor->gossip, i, &l);
        have += strstr(l.origin, "/exch/") != NULL && l.size == 1 && l.head_size == 1;
    }
    return have == count;
}

static int
holders(struct world *w, const struct node *author)
{
    int have = 0;
    for (int i = 0; i < w->count; i++) {
        struct store_txn *t = NULL;
        struct store_log log;
        enum status st = store_begin_read(w->nodes[i].store, &t);
        assert(st == STATUS_OK);
        have += store_log_find(t, view_of_text(author->origin), &log) == STATUS_OK &&
                log.size >= author->history->count;
        store_abort(t);
    }
    return have;
}

void
scenario_spread(struct world *w, const struct sim_options *o)
{
    int count = o->nodes > 0 ? o->nodes : 300;
    big_world(w, o, count, false);
    world_run(w, w->now_ms + 40 * 1000); /* sessions are open, dialling is done */
    int64_t most = 0;
    for (int turn = 0; turn < 5; turn++) {
        struct node *a = &w->nodes[sim_below(&w->rng, (uint64_t)count)];
        uint64_t bytes = w->bytes, frames = w->frames;
        int64_t began = w->now_ms, half = 0;
        node_publish(w, a, 1);
        int have = 0;
        while (have < count && w->now_ms - began < 120 * 1000) {
            world_run(w, w->now_ms + 50);
            have = holders(w, a);
            half = half == 0 && 2 * have >= count ? w->now_ms - began : half;
        }
        int64_t took = w->now_ms - began;
        most = took > most ? took : most;
        printf("spread: %d nodes: an entry of %s at half of them after %.2f rounds, at %d of "
               "them after %.2f rounds of 1 s; %llu frames, %llu KiB in all\n",
               count, a->institution, (double)half / 1000.0, have, (double)took / 1000.0,
               (unsigned long long)(w->frames - frames),
               (unsigned long long)((w->bytes - bytes) >> 10));
        fflush(stdout);
        CHECK(w, "I7", have == count, "an entry is at %d of %d nodes after 120 rounds", have,
              count);
        world_run(w, w->now_ms + 15 * 1000);
    }
    printf("spread: %d nodes: rounds needed at most %.2f\n", count, (double)most / 1000.0);
    CHECK(w, "size", most <= 3000, "a new entry took %.2f rounds", (double)most / 1000.0);
    w->result->settled_ms = most;
}

void
scenario_idle(struct world *w, const struct sim_options *o)
{
    int count = o->nodes > 0 ? o->nodes : 30;
    /* A frame alone in its message: its length, the message's, the tag; and in TCP over
     * IPv4 with time stamps a head for it and one for its acknowledgement. */
    enum { ROUNDS = 120, AROUND = FRAME_LENGTH_BYTES + 2 + NOISE_TAG_BYTES, TCP = 2 * 52 };
    big_world(w, o, count, true);
    w->big = true; /* check.c knows of no exchange logs */
    world_run(w, w->now_ms + 10 * 1000);
    for (int i = 0; i < count; i++) {
        node_publish(w, &w->nodes[i], 3);
        begin_exchange(w, &w->nodes[i]);
    }
    (void)world_settle(w, SETTLE_MS_MAX, true);
    world_run(w, w->now_ms + 30 * 1000);
    CHECK(w, "I7", audited(&w->nodes[0], count), "the auditor does not hold all exchange logs");
    uint64_t bytes = w->bytes, frames = w->frames;
    world_run(w, w->now_ms + ROUNDS * 1000);
    double each = ROUNDS * count;
    double sent = ((double)(w->bytes - bytes) + (double)(w->frames - frames) * AROUND) / each;
    printf(
        "idle: %d nodes: a node sends %.0f and receives as many bytes in a round of 1 s, %.1f "
        "frames, all of Noise included; %.0f with heads and acknowledgements of TCP\n",
        count, sent, (double)(w->frames - frames) / each,
        sent + (double)(w->frames - frames) * TCP / each);
    CHECK(w, "size", 2 * sent < 1024, "an idle node moves %.0f bytes a round", 2 * sent);
}
