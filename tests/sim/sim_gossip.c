/* Goal: whatever the network and the machines do, every log reaches every
 * member; nothing is stored that its author did not write; no witness signs two
 * histories; nobody signs after a rollback before it has everything back; two
 * histories under one key are found and kept as proof (RELIABILITY F9, F10,
 * F12, F13; I1 to I7).
 * Method: 3 to 6 real gossip machines over real stores; a simulated network that
 * loses, doubles, delays and reorders, partitions, crashes around commits,
 * refused stores, restored backups, an author with two histories, a member
 * that hands out garbage.  Everything follows from one seed:
 *     sim_gossip [FIRST_SEED [COUNT]] */
#include <sodium.h>

#include "sim_node.h"

/* ---- the world ------------------------------------------------------------------------ */

static void
deliver(struct world *w, struct message *m)
{
    struct node *n = &w->nodes[m->to];
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
            break;
        case MSG_UP:
            e.type = w->links[m->session / 2].open ? GOSSIP_PEER_UP : GOSSIP_DIAL_FAILED;
            break;
        case MSG_DOWN:
            e.type = GOSSIP_PEER_DOWN;
            break;
        case MSG_DIAL_FAILED:
            e.type = GOSSIP_DIAL_FAILED;
            break;
        }
        node_step(w, n, &e);
    } else if (m->type == MSG_UP) {
        link_close(w, m->session / 2); /* the other side must hear that nobody is here */
    }
    free(m->bytes);
    free(m);
}

static void
run(struct world *w, int64_t until_ms, unsigned publish_percent)
{
    while (w->now_ms < until_ms) {
        w->now_ms += STEP_MS;
        while (w->queue.count > 0 && w->queue.items[0].at_ms <= w->now_ms) {
            deliver(w, sim_pop(&w->queue));
        }
        for (int i = 0; i < w->count; i++) {
            struct node *n = &w->nodes[i];
            if (!n->up && w->now_ms >= n->up_at_ms) {
                node_start(w, n, false);
            }
            if (n->up && w->now_ms >= gossip_deadline_ms(n->gossip)) {
                struct gossip_event tick = {.type = GOSSIP_TICK};
                node_step(w, n, &tick);
            }
            if (n->up && sim_below(&w->rng, 4000) < publish_percent) {
                node_publish(
                    w, n, 1 + (unsigned)sim_below(&w->rng, sim_percent(&w->rng, 10) ? 400 : 8));
            } else if (n->up && n->resign && !n->byzantine) {
                node_resign(w, n);
            }
        }
    }
}

static void
make_member(struct world *w, struct node *n, bool witness)
{
    struct gossip_member *m = &w->members[w->member_count++];
    struct network_public public;
    keys_public(&n->keys, &public);
    memset(m, 0, sizeof *m);
    strcpy(m->institution, n->institution);
    m->witness = witness;
    m->log_key_count = m->witness_key_count = m->address_count = 1;
    memcpy(m->log_keys[0].public_key, public.log, KEY_BYTES);
    memcpy(m->witness_keys[0].public_key, public.witness, KEY_BYTES);
    memcpy(m->session_public, public.session, KEY_BYTES);
    strcpy(m->addresses[0], "sim");
}

static void
make_node(struct world *w, int number, int as)
{
    struct node *n = &w->nodes[number];
    uint8_t seed[KEY_BYTES] = {0};
    char name[KEY_NAME_CHARS_MAX + 1];
    memset(n, 0, sizeof *n);
    n->number = number;
    seed[0] = (uint8_t)(1 + as);
    snprintf(n->institution, sizeof n->institution, "h%d", as);
    origin_pub(NETWORK, n->institution, n->origin);
    snprintf(n->dir, sizeof n->dir, "%s/%d", scratch, number);
    snprintf(n->backup, sizeof n->backup, "%s/%d.backup", scratch, number);
    assert(mkdir(n->dir, 0700) == 0 && mkdir(n->backup, 0700) == 0);
    keys_derive(seed, NETWORK, &n->keys);
    enum status st = note_signer_make(view_of_text(n->origin), NOTE_KEY_ED25519,
                                      n->keys.log.secret_key, &n->log_signer);
    assert(st == STATUS_OK);
    origin_witness_name(NETWORK, n->institution, name);
    st = note_signer_make(view_of_text(name), NOTE_KEY_COSIGNATURE, n->keys.witness.secret_key,
                          &n->witness_signer);
    assert(st == STATUS_OK);
    n->history = calloc(1, sizeof *n->history);
    tree_empty_root(&n->history->roots[0]);
    n->skew_s = (int64_t)sim_below(&w->rng, 600) - 300;
}

static void
world_begin(struct world *w, uint64_t seed, int count)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->rng.state = seed * 1000003;
    w->link_count = 1; /* session 0 is none */
    w->delay_ms = 20;
    w->count = count;
    w->witnesses = 3;
    w->full = sim_percent(&w->rng, 50);
    assert(mkdir(scratch, 0700) == 0);
}

static void
world_end(struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        struct node *n = &w->nodes[i];
        if (n->up) {
            node_stop(w, n);
        }
        for (uint64_t k = 0; k < n->history->count; k++) {
            free((void *)(uintptr_t)n->history->entries[k].bytes);
        }
        free(n->history);
    }
    while (w->queue.count > 0) {
        struct message *m = sim_pop(&w->queue);
        free(m->bytes);
        free(m);
    }
    free(w->queue.items);
    remove_tree(scratch);
}

static void
random_cuts(struct world *w)
{
    memset(w->cut, 0, sizeof w->cut);
    if (sim_percent(&w->rng, 30)) {
        return;
    }
    bool one_way = sim_percent(&w->rng, 30);
    for (int a = 0; a < w->count; a++) {
        for (int b = 0; b < w->count; b++) {
            if (a != b && sim_percent(&w->rng, 35)) {
                w->cut[a][b] = true;
                w->cut[b][a] = w->cut[b][a] || !one_way;
            }
        }
    }
}

static void
heal(struct world *w)
{
    memset(w->cut, 0, sizeof w->cut);
    w->loss = w->twice = w->crash_permille = w->refuse_percent = 0;
    w->delay_ms = 20;
}

/* All honest nodes hold all honest logs up to the last head, cosigned by all. */
static bool
converged(struct world *w, bool say)
{
    for (int i = 0; i < w->count; i++) {
        struct node *n = &w->nodes[i];
        if (!n->up) {
            return false;
        }
        for (int k = 0; k < w->count; k++) {
            struct node *author = &w->nodes[k];
            if (n->byzantine || author->byzantine || author->history->signed_size == 0) {
                continue;
            }
            struct gossip_log_state state = {0};
            for (size_t l = 0; l < gossip_log_count(n->gossip); l++) {
                struct gossip_log_state s;
                gossip_log_get(n->gossip, l, &s);
                if (strcmp(s.origin, author->origin) == 0) {
                    state = s;
                }
            }
            size_t of = (size_t)w->witnesses - (k < w->witnesses ? 1 : 0);
            if (state.head_size != author->history->signed_size ||
                state.cosigned_size != author->history->signed_size ||
                state.cosigned_by != of) {
                if (say) {
                    fprintf(stderr,
                            "node %d has %llu of %llu of node %d, wants %llu, cosigned %llu by "
                            "%zu of "
                            "%zu, gate %s\n",
                            i, (unsigned long long)state.head_size,
                            (unsigned long long)author->history->signed_size, k,
                            (unsigned long long)state.wanted_size,
                            (unsigned long long)state.cosigned_size, state.cosigned_by, of,
                            signgate_text(
                                signgate_state(gossip_gate(author->gossip), author->origin)));
                }
                return false;
            }
        }
    }
    return true;
}

static bool
records_there(struct world *w, bool must)
{
    bool all = true;
    for (int i = 0; i < w->count; i++) {
        struct store_txn *t = NULL;
        struct node *n = &w->nodes[i];
        enum status st = store_begin_read(n->store, &t);
        CHECK(w, st == STATUS_OK, "read");
        for (int k = 0; k < w->count; k++) {
            struct store_log log;
            if (k == i || w->nodes[k].byzantine || n->byzantine ||
                store_log_find(t, view_of_text(w->nodes[k].origin), &log) != STATUS_OK) {
                continue;
            }
            for (uint64_t e = 0; e < log.size; e++) {
                struct view entry;
                st = store_entry_get(t, log.id, e, &entry);
                CHECK(w, st == STATUS_OK, "entry");
                /* Held reports have no brief: 34 bytes of sealed, 18 of token ... */
                bool held = entry.count < 80;
                bool has = store_record_has(t, log.id, e) == STATUS_OK;
                CHECK(w, !has || (w->full && !held), "node %d has record %llu of node %d", i,
                      (unsigned long long)e, k);
                CHECK(w, !must || has == (w->full && !held), "node %d lacks record %llu of %d",
                      i, (unsigned long long)e, k);
                all = all && has == (w->full && !held);
            }
        }
        store_abort(t);
    }
    return all;
}

static void
check_all(struct world *w)
{
    for (int i = 0; i < w->count; i++) {
        if (w->nodes[i].up) {
            check_store(w, &w->nodes[i], true);
        }
    }
}

static int64_t
settle(struct world *w, int64_t most_ms)
{
    int64_t began = w->now_ms;
    while (w->now_ms - began < most_ms) {
        run(w, w->now_ms + 500, 0);
        if (converged(w, false)) {
            return w->now_ms - began;
        }
    }
    (void)converged(w, true);
    CHECK(w, false, "no convergence %lld ms after the faults ended", (long long)most_ms);
    return 0;
}

/* ---- scenarios ------------------------------------------------------------------------ */

/* Loss, doubles, delay, partitions, crashes, refused stores; a rollback. */
static void
scenario_faults(uint64_t seed)
{
    static struct world w;
    world_begin(&w, seed, 3 + (int)(seed % 4));
    for (int i = 0; i < w.count; i++) {
        make_node(&w, i, i);
        make_member(&w, &w.nodes[i], i < w.witnesses);
    }
    for (int i = 0; i < w.count; i++) {
        node_start(&w, &w.nodes[i], true);
    }
    run(&w, 3000, 40);
    w.loss = (unsigned)sim_below(&w.rng, 30);
    w.twice = (unsigned)sim_below(&w.rng, 20);
    w.delay_ms = 1 + (int64_t)sim_below(&w.rng, 800);
    w.crash_permille = (unsigned)sim_below(&w.rng, 6);
    w.refuse_percent = (unsigned)sim_below(&w.rng, 4);
    for (int phase = 0; phase < 5; phase++) {
        random_cuts(&w);
        run(&w, w.now_ms + 4000, 40);
        check_all(&w);
    }
    heal(&w);
    int64_t took = settle(&w, 120 * 1000);
    run(&w, w.now_ms + 3000, 0);
    check_all(&w);
    for (int i = 0; w.full && i < 30 && !records_there(&w, false); i++) {
        run(&w, w.now_ms + 2000, 0);
    }
    (void)records_there(&w, true);
    if (seed % 3 != 0) {
        printf("seed %llu: %d nodes, %s, settled in %lld ms, %llu frames, %llu KiB\n",
               (unsigned long long)seed, w.count, w.full ? "full" : "index", (long long)took,
               (unsigned long long)w.frames, (unsigned long long)(w.bytes >> 10));
        world_end(&w);
        return;
    }

    /* A backup is restored (F13): node `v` forgets what it published since. */
    struct node *v = &w.nodes[sim_below(&w.rng, (uint64_t)w.count)];
    node_stop(&w, v);
    copy_file(v->dir, v->backup, "data.mdb");
    v->up_at_ms = w.now_ms + 500;
    run(&w, w.now_ms + 8000, 60);
    (void)settle(&w, 120 * 1000);
    uint64_t before = v->history->count;
    node_stop(&w, v);
    copy_file(v->backup, v->dir, "data.mdb");
    v->clean = false;
    memset(v->largest, 0, sizeof v->largest);
    v->up_at_ms = w.now_ms + 500;
    w.loss = 10;
    random_cuts(&w);
    run(&w, w.now_ms + 5000, 60); /* node_publish checks that it does not sign too early */
    heal(&w);
    /* Meanwhile the others published; the restored one comes back and signs. */
    int64_t limit = w.now_ms + 150 * 1000;
    while (w.now_ms < limit &&
           !(v->up && gossip_may_sign(v->gossip, view_of_text(v->origin)))) {
        run(&w, w.now_ms + 500, 0);
    }
    CHECK(&w, v->up && gossip_may_sign(v->gossip, view_of_text(v->origin)),
          "node %d does not sign again after its entries came back: %s", v->number,
          v->up ? signgate_text(signgate_state(gossip_gate(v->gossip), v->origin)) : "down");
    CHECK(&w, v->history->count >= before, "history lost");
    /* A restored witness cosigns only above what the others had cosigned. */
    run(&w, w.now_ms + 20 * 1000, 0);
    for (int i = 0; i < w.count; i++) {
        node_publish(&w, &w.nodes[i], 3);
    }
    (void)settle(&w, 120 * 1000);
    check_all(&w);
    printf("seed %llu: %d nodes, %s, settled in %lld ms, %llu frames, %llu KiB\n",
           (unsigned long long)seed, w.count, w.full ? "full" : "index", (long long)took,
           (unsigned long long)w.frames, (unsigned long long)(w.bytes >> 10));
    world_end(&w);
}

/* One author, two histories from some point on, shown to different members
 * (F12); and a member that hands out garbage. */
static void
scenario_fork(uint64_t seed)
{
    static struct world w;
    world_begin(&w, seed, 6);
    for (int i = 0; i < w.count; i++) {
        make_node(&w, i, i < 5 ? i : 4); /* node 5 has the keys of node 4 */
        if (i < 5) {
            make_member(&w, &w.nodes[i], i < w.witnesses);
        }
    }
    w.nodes[4].byzantine = w.nodes[5].byzantine = true;
    w.nodes[3].garbage = true;
    for (int i = 0; i < 5; i++) {
        node_start(&w, &w.nodes[i], true);
    }
    bool common = sim_percent(&w.rng, 50);
    w.cut[4][5] = w.cut[5][4] = true;
    w.nodes[5].up_at_ms = INT64_MAX;
    if (common) {
        run(&w, 4000, 60);
        struct node *a = &w.nodes[4], *b = &w.nodes[5];
        node_stop(&w, a);
        copy_file(a->dir, b->dir, "data.mdb");
        for (uint64_t i = 0; i < a->history->count; i++) {
            history_add(b->history, a->history->entries[i]);
        }
        b->history->signed_size = a->history->signed_size;
        b->clean = true;
        node_start(&w, a, false);
    }
    node_start(&w, &w.nodes[5], !common);
    run(&w, w.now_ms + 12000, 60);
    node_publish(&w, &w.nodes[4], 1 + (unsigned)sim_below(&w.rng, 300));
    node_publish(&w, &w.nodes[5], 1 + (unsigned)sim_below(&w.rng, 300));
    check_all(&w);
    int64_t limit = w.now_ms + 60 * 1000;
    bool all = false;
    while (w.now_ms < limit && !all) {
        run(&w, w.now_ms + 500, 0);
        all = true;
        for (int i = 0; i < 4; i++) {
            all = all && w.nodes[i].forked[4];
        }
    }
    for (int i = 0; i < 4; i++) {
        CHECK(&w, w.nodes[i].forked[4], "node %d did not find the fork", i);
    }
    (void)settle(&w, 60 * 1000);
    check_all(&w);
    printf("seed %llu: fork found by all, garbage refused %u times\n", (unsigned long long)seed,
           w.nodes[0].closed_for_garbage + w.nodes[1].closed_for_garbage +
               w.nodes[2].closed_for_garbage);
    world_end(&w);
}

int
main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 24;
    if (sodium_init() < 0) {
        return 2;
    }
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(scratch, sizeof scratch, "%s/huren-sim-%ld", base, (long)getpid());
    for (uint64_t seed = first; seed < first + count; seed++) {
        scenario_faults(seed);
        if (seed % 3 == 1) {
            scenario_fork(seed);
        }
    }
    return 0;
}
