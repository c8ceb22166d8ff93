/* sim_node.h: one simulated node: its directory, its engine (steps, one
 * transaction for all store actions, sends), publishing, crashing; and the checks
 * that hold after every commit. */
#ifndef TESTS_SIM_SIM_NODE_H
#define TESTS_SIM_SIM_NODE_H

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/log.pb-c.h"
#include "sim_world.h"

static const char NETWORK[] = "sim.hb.cn";
static char scratch[128];

/* ---- files ---------------------------------------------------------------------- */

static void
remove_tree(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char name[600];
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            snprintf(name, sizeof name, "%s/%s", path, e->d_name);
            remove_tree(name);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    (void)remove(path);
}

static void
copy_file(const char *from, const char *to, const char *name)
{
    char a[400], b[400];
    static uint8_t block[1 << 16];
    snprintf(a, sizeof a, "%s/%s", from, name);
    snprintf(b, sizeof b, "%s/%s", to, name);
    FILE *in = fopen(a, "rb"), *out = fopen(b, "wb");
    assert(in != NULL && out != NULL);
    for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;) {
        assert(fwrite(block, 1, n, out) == n);
    }
    fclose(in);
    fclose(out);
}

/* ---- the truth -------------------------------------------------------------------- */

static void
history_add(struct history *h, struct view entry)
{
    struct hash leaf;
    assert(h->count < HISTORY_MAX);
    uint8_t *copy = malloc(entry.count);
    memcpy(copy, entry.bytes, entry.count);
    h->entries[h->count] = (struct view){copy, entry.count};
    tree_leaf_hash(entry.bytes, entry.count, &leaf);
    enum status st = tree_edge_append(&h->edge, &leaf, NULL, NULL);
    assert(st == STATUS_OK);
    h->count++;
    tree_edge_root(&h->edge, &h->roots[h->count]);
}

static bool
history_has(const struct history *h, uint64_t size, const struct hash *root)
{
    return size <= h->count && hash_equal(&h->roots[size], root);
}

/* ---- the engine of one node ---------------------------------------------------------- */

static void node_step(struct world *w, struct node *n, struct gossip_event *e);
static void node_crash(struct world *w, struct node *n);

static uint64_t
delay(struct world *w)
{
    return 1 + sim_below(&w->rng, (uint64_t)w->delay_ms);
}

static void
post(struct world *w, int64_t at_ms, const struct message *m)
{
    struct message *copy = malloc(sizeof *copy);
    *copy = *m;
    copy->life = w->lives[m->to];
    sim_push(&w->queue, at_ms, copy);
}

/* Sessions: an even number for the dialler's side of link number/2, odd for the other's. */
static void
link_close(struct world *w, uint32_t number)
{
    struct link *l = &w->links[number];
    if (!l->open) {
        return;
    }
    l->open = false;
    struct message down = {.type = MSG_DOWN, .to = l->a, .session = 2 * number};
    post(w, w->now_ms + 1, &down);
    down.to = l->b;
    down.session = 2 * number + 1;
    post(w, w->now_ms + 1, &down);
}

static void
do_dial(struct world *w, struct node *n, const char *institution)
{
    int to = -1;
    for (int i = 0; i < w->count; i++) {
        /* Of two that share a name, some reach one and some the other. */
        if (strcmp(w->nodes[i].institution, institution) == 0 &&
            (to < 0 || (n->number + i) % 2 == 0)) {
            to = i;
        }
    }
    if (to < 0 || !w->nodes[to].up || w->cut[n->number][to] || w->link_count == LINKS_MAX) {
        struct message m = {.type = MSG_DIAL_FAILED, .to = n->number, .from = to < 0 ? 0 : to};
        post(w, w->now_ms + (int64_t)delay(w), &m);
        return;
    }
    uint32_t number = w->link_count++;
    w->links[number] = (struct link){true, n->number, to};
    int64_t at = w->now_ms + (int64_t)delay(w);
    struct message m = {
        .type = MSG_UP, .to = n->number, .from = to, .session = 2 * number, .dialled = true};
    post(w, at, &m);
    m = (struct message){
        .type = MSG_UP, .to = to, .from = n->number, .session = 2 * number + 1};
    post(w, at, &m);
}

static void
do_send(struct world *w, struct node *n, const struct gossip_action *a)
{
    uint32_t number = a->session / 2;
    struct link *l = &w->links[number];
    int to = (a->session & 1) == 0 ? l->b : l->a;
    if (number >= w->link_count || !l->open || w->cut[n->number][to] ||
        sim_percent(&w->rng, w->loss)) {
        return;
    }
    CHECK(w,
          a->message.count <= MESSAGE_BYTES_MAX &&
              a->message.count + a->raw.count + FRAME_HEAD_BYTES <= FRAME_BYTES_MAX,
          "node %d sent a frame over the limits", n->number);
    int copies = sim_percent(&w->rng, w->twice) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        struct message m = {.type = MSG_FRAME,
                            .to = to,
                            .session = a->session ^ 1,
                            .request = a->request,
                            .kind = a->kind,
                            .last = a->last,
                            .message_count = a->message.count,
                            .raw_count = a->raw.count};
        m.bytes = malloc(a->message.count + a->raw.count + 1);
        if (a->message.count > 0) {
            memcpy(m.bytes, a->message.bytes, a->message.count);
        }
        if (a->raw.count > 0) {
            memcpy(m.bytes + a->message.count, a->raw.bytes, a->raw.count);
            if (n->garbage && sim_percent(&w->rng, 50)) {
                m.bytes[a->message.count + sim_below(&w->rng, a->raw.count)] ^= 1;
            }
        }
        w->frames++;
        w->bytes += a->message.count + a->raw.count;
        post(w, w->now_ms + (int64_t)delay(w), &m);
    }
}

static bool
is_store_action(const struct gossip_action *a)
{
    return a->ticket != 0;
}

static int
node_of_origin(struct world *w, struct view origin)
{
    for (int i = 0; i < w->count; i++) {
        if (strlen(w->nodes[i].origin) == origin.count &&
            memcmp(w->nodes[i].origin, origin.bytes, origin.count) == 0) {
            return i;
        }
    }
    return -1;
}

/* A witness is about to have cosigned (size, root) of a log. */
static void
check_cosign(struct world *w, struct node *n, const struct gossip_action *a)
{
    int author = node_of_origin(w, a->origin);
    CHECK(w, author >= 0, "node %d cosigned an unknown log", n->number);
    CHECK(w, strcmp(w->nodes[author].institution, n->institution) != 0,
          "node %d cosigned its own log", n->number);
    CHECK(w, a->size >= n->cosigned[author], "node %d cosigned %llu after %llu of node %d",
          n->number, (unsigned long long)a->size, (unsigned long long)n->cosigned[author],
          author);
    int side = 0;
    for (int i = 0; i < w->count; i++) {
        if (strcmp(w->nodes[i].origin, w->nodes[author].origin) == 0 &&
            history_has(w->nodes[i].history, a->size, &a->root) &&
            (n->cosigned_side[author] == 0 || n->cosigned_side[author] == i + 1 ||
             /* the beginning that both have in common */
             history_has(w->nodes[n->cosigned_side[author] - 1].history, a->size, &a->root))) {
            side = n->cosigned_side[author] != 0 &&
                           history_has(w->nodes[n->cosigned_side[author] - 1].history, a->size,
                                       &a->root)
                       ? n->cosigned_side[author]
                       : i + 1;
            break;
        }
    }
    if (side == 0) {
        /* Another side than before is right only if all signed before was common. */
        for (int i = 0; i < w->count && side == 0; i++) {
            if (strcmp(w->nodes[i].origin, w->nodes[author].origin) == 0 &&
                history_has(w->nodes[i].history, a->size, &a->root) &&
                n->cosigned_side[author] != 0 &&
                history_has(w->nodes[i].history, n->cosigned[author],
                            &w->nodes[n->cosigned_side[author] - 1]
                                 .history->roots[n->cosigned[author]])) {
                side = i + 1;
            }
        }
    }
    CHECK(w, side != 0, "node %d cosigned two histories of node %d", n->number, author);
    n->cosigned[author] = a->size;
    n->cosigned_side[author] = side;
}

/* Everything stored of the logs is what their authors wrote; sizes never fall. */
static void
check_store(struct world *w, struct node *n, bool all)
{
    struct store_txn *t = NULL;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, st == STATUS_OK, "read: %s", status_text(st));
    for (int i = 0; i < w->count; i++) {
        struct store_log log;
        if (store_log_find(t, view_of_text(w->nodes[i].origin), &log) != STATUS_OK) {
            continue;
        }
        CHECK(w, log.size >= n->largest[i], "node %d: log of %d fell to %llu", n->number, i,
              (unsigned long long)log.size);
        n->largest[i] = log.size;
        bool known = false;
        for (int k = 0; k < w->count && !known; k++) {
            known = strcmp(w->nodes[k].origin, w->nodes[i].origin) == 0 &&
                    history_has(w->nodes[k].history, log.size, &log.root);
        }
        CHECK(w, known || log.size == 0, "node %d stores a log of node %d that it never wrote",
              n->number, i);
        for (uint64_t e = 0; all && known && e < log.size; e++) {
            struct view entry;
            st = store_entry_get(t, log.id, e, &entry);
            CHECK(w, st == STATUS_OK, "node %d entry %llu of %d: %s", n->number,
                  (unsigned long long)e, i, status_text(st));
        }
        struct view note;
        if (store_note_get(t, log.id, STORE_NOTE_HEAD, &note) == STATUS_OK) {
            struct note parsed;
            struct checkpoint c;
            CHECK(w,
                  note_parse(note, &parsed) == STATUS_OK &&
                      checkpoint_parse(parsed.text, &c) == STATUS_OK && c.size <= log.size,
                  "node %d has a head of %d that it does not hold", n->number, i);
        }
    }
    store_abort(t);
}

/* One transaction for all store actions of an update; then what follows. */
static bool
apply_all(struct world *w, struct node *n, struct gossip_update *u, enum status *statuses)
{
    struct store_txn *t = NULL;
    bool any = false, cosigns = false;
    for (size_t i = 0; i < u->count; i++) {
        any = any || is_store_action(&u->actions[i]);
    }
    if (!any) {
        return true;
    }
    bool refuse = sim_percent(&w->rng, w->refuse_percent);
    enum status st = store_begin_write(n->store, STORE_PUBLISH, 1 << 20, &t);
    CHECK(w, st == STATUS_OK, "write: %s", status_text(st));
    for (size_t i = 0; i < u->count; i++) {
        struct gossip_action *a = &u->actions[i];
        if (!is_store_action(a)) {
            continue;
        }
        if (n->byzantine && a->type == GOSSIP_STORE_ENTRIES && a->count > 0 &&
            node_of_origin(w, a->origin) >= 4) {
            statuses[i] =
                STATUS_GAP; /* it takes nothing back: it means to have two histories */
            continue;
        }
        statuses[i] = refuse ? STATUS_NO_SPACE
                             : gossip_apply(t, a, &n->witness_signer, NETWORK,
                                            1800000000 + n->skew_s + w->now_ms / 1000);
        CHECK(w,
              refuse || statuses[i] == STATUS_OK || statuses[i] == STATUS_GAP ||
                  statuses[i] == STATUS_REFUSED,
              "node %d: action %d of %.*s: %s", n->number, (int)a->type, (int)a->origin.count,
              (const char *)a->origin.bytes, status_text(statuses[i]));
        cosigns = cosigns || a->type == GOSSIP_COSIGN;
    }
    bool crash = sim_below(&w->rng, 1000) < w->crash_permille;
    if (crash && sim_percent(&w->rng, 50)) {
        store_abort(t);
        node_crash(w, n);
        return false;
    }
    st = store_commit(t);
    CHECK(w, st == STATUS_OK, "commit: %s", status_text(st));
    for (size_t i = 0; cosigns && i < u->count; i++) {
        if (u->actions[i].type == GOSSIP_COSIGN && statuses[i] == STATUS_OK) {
            check_cosign(w, n, &u->actions[i]);
        }
    }
    if (crash) {
        node_crash(w, n);
        return false;
    }
    return true;
}

static void
act(struct world *w, struct node *n, const struct gossip_action *a)
{
    switch (a->type) {
    case GOSSIP_SEND:
        do_send(w, n, a);
        break;
    case GOSSIP_DIAL:
        do_dial(w, n, a->institution);
        break;
    case GOSSIP_CLOSE:
        if (getenv("SIM_VERBOSE") != NULL) {
            fprintf(stderr, "%8lld node %d closes: %s\n", (long long)w->now_ms, n->number,
                    a->text);
        }
        n->closed_for_garbage += strstr(a->text, "sent") != NULL;
        link_close(w, a->session / 2);
        break;
    case GOSSIP_SAY:
        if (getenv("SIM_VERBOSE") != NULL) {
            fprintf(stderr, "%8lld node %d: %s\n", (long long)w->now_ms, n->number, a->text);
        }
        break;
    case GOSSIP_FORK: {
        int author = node_of_origin(w, a->origin);
        CHECK(w, author >= 0 && w->nodes[author].byzantine, "node %d accuses node %d falsely",
              n->number, author);
        struct note x, y;
        struct checkpoint cx, cy;
        CHECK(w,
              note_parse(a->note, &x) == STATUS_OK && note_parse(a->other, &y) == STATUS_OK &&
                  checkpoint_parse(x.text, &cx) == STATUS_OK &&
                  checkpoint_parse(y.text, &cy) == STATUS_OK,
              "node %d: a fork without two heads", n->number);
        bool one_side = false;
        for (int i = 0; i < w->count; i++) {
            one_side = one_side || (w->nodes[i].byzantine &&
                                    history_has(w->nodes[i].history, cx.size, &cx.root) &&
                                    history_has(w->nodes[i].history, cy.size, &cy.root));
        }
        CHECK(w, !one_side, "node %d: a fork of two heads that agree", n->number);
        for (int i = 0; i < w->count; i++) {
            if (strcmp(w->nodes[i].origin, w->nodes[author].origin) == 0) {
                n->forked[i] = true;
            }
        }
        break;
    }
    case GOSSIP_GATE:
    case GOSSIP_RECOVERED:
    case GOSSIP_ADOPT:
    case GOSSIP_STORE_ENTRIES:
    case GOSSIP_STORE_RECORDS:
    case GOSSIP_STORE_COSIGNED:
    case GOSSIP_COSIGN:
    case GOSSIP_STORE_BLOB:
    case GOSSIP_STORE_MARK:
    case GOSSIP_STORE_FORK:
        break;
    }
}

static void
one_step(struct world *w, struct node *n, struct gossip_event *e, struct gossip_update *u)
{
    struct store_txn *t = NULL;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, st == STATUS_OK, "read: %s", status_text(st));
    e->now_ms = w->now_ms;
    e->now_s = 1800000000 + n->skew_s + w->now_ms / 1000;
    e->random = sim_random(&w->rng);
    e->txn = t;
    st = gossip_step(n->gossip, e, u);
    CHECK(w, st == STATUS_OK, "node %d: step %d: %s", n->number, (int)e->type, status_text(st));
    store_abort(t);
}

static void
node_step(struct world *w, struct node *n, struct gossip_event *e)
{
    struct gossip_update now, next;
    gossip_update_init(&next);
    one_step(w, n, e, &next);
    while (next.count > 0 && n->up) {
        now = next;
        gossip_update_init(&next);
        enum status *statuses = calloc(now.count, sizeof *statuses);
        if (apply_all(w, n, &now, statuses)) {
            for (size_t i = 0; i < now.count; i++) {
                act(w, n, &now.actions[i]);
            }
            for (size_t i = 0; i < now.count && n->up; i++) {
                if (is_store_action(&now.actions[i])) {
                    struct gossip_event stored = {.type = GOSSIP_STORED,
                                                  .ticket = now.actions[i].ticket,
                                                  .status = statuses[i]};
                    one_step(w, n, &stored, &next);
                }
            }
        }
        free(statuses);
        gossip_update_free(&now);
    }
    gossip_update_free(&next);
}

/* ---- life of a node -------------------------------------------------------------------- */

static void
node_start(struct world *w, struct node *n, bool born)
{
    struct store_options so = {.map_bytes = 16 << 20};
    enum status st = store_open(n->dir, &so, &n->store);
    CHECK(w, st == STATUS_OK, "open: %s", status_text(st));
    for (size_t i = 0; i < sizeof n->instance; i++) {
        n->instance[i] = (uint8_t)sim_random(&w->rng);
    }
    struct store_txn *t = NULL;
    st = store_begin_read(n->store, &t);
    struct gossip_options o = {.network = NETWORK,
                               .institution = n->institution,
                               .cosign_s = 3,
                               .full = w->full,
                               .gate = {.clean = n->clean, .born = born}};
    memcpy(o.instance, n->instance, sizeof o.instance);
    if (st == STATUS_OK) {
        st = gossip_open(&o, w->now_ms, t, &n->gossip);
    }
    store_abort(t);
    if (st == STATUS_OK) {
        st = gossip_set_members(n->gossip, w->members, (size_t)w->member_count, 3, w->full);
    }
    CHECK(w, st == STATUS_OK, "start: %s", status_text(st));
    n->up = true;
    n->resign = true;
    n->clean = true;
    w->lives[n->number]++;
}

static void
node_stop(struct world *w, struct node *n)
{
    gossip_close(n->gossip);
    n->gossip = NULL;
    store_close(n->store);
    n->store = NULL;
    n->up = false;
    w->lives[n->number]++;
    for (uint32_t i = 0; i < w->link_count; i++) {
        if (w->links[i].open && (w->links[i].a == n->number || w->links[i].b == n->number)) {
            link_close(w, i);
        }
    }
}

static void
node_crash(struct world *w, struct node *n)
{
    node_stop(w, n);
    n->up_at_ms = w->now_ms + 200 + (int64_t)sim_below(&w->rng, 4000);
}

/* Publish some entries, commit, then sign if the gate lets us. */
static void
node_publish(struct world *w, struct node *n, unsigned count)
{
    struct view origin = view_of_text(n->origin);
    struct store_txn *t = NULL;
    struct store_log log;
    struct hash root;
    if (n->history->count + count >= HISTORY_MAX ||
        (!n->byzantine && !gossip_may_sign(n->gossip, origin))) {
        return;
    }
    enum status st = store_begin_write(n->store, STORE_PUBLISH, 1 << 16, &t);
    if (store_log_find(t, origin, &log) != STATUS_OK) {
        st = store_log_create(t, origin, STORE_LOG_OWN, 0, &log.id);
        log.size = 0;
    }
    CHECK(w, st == STATUS_OK, "own log: %s", status_text(st));
    CHECK(w, log.size == n->history->count,
          "node %d signs from %llu entries, but had written %llu", n->number,
          (unsigned long long)log.size, (unsigned long long)n->history->count);
    struct view entries[512];
    static uint8_t bytes[512][160];
    for (unsigned i = 0; i < count; i++) {
        uint8_t token[TOKEN_BYTES], brief[BRIEF_BYTES], record[64];
        struct hash sealed;
        for (size_t k = 0; k < sizeof record; k++) {
            record[k] = (uint8_t)sim_random(&w->rng);
        }
        memcpy(token, record, sizeof token);
        memcpy(brief, record, sizeof brief);
        sha256(record, sizeof record, &sealed);
        Hr__Publish publish = HR__PUBLISH__INIT;
        Hr__PubEntry entry = HR__PUB_ENTRY__INIT;
        publish.token = (ProtobufCBinaryData){sizeof token, token};
        publish.epoch = 1;
        publish.sealed = (ProtobufCBinaryData){HASH_BYTES, sealed.bytes};
        if (!sim_percent(&w->rng, 10)) { /* else: held */
            publish.brief = (ProtobufCBinaryData){sizeof brief, brief};
        }
        entry.what_case = HR__PUB_ENTRY__WHAT_PUBLISH;
        entry.publish = &publish;
        entries[i] = (struct view){bytes[i], hr__pub_entry__pack(&entry, bytes[i])};
        st = store_record_put(t, log.id, log.size + i, &sealed,
                              (struct view){record, sizeof record});
        CHECK(w, st == STATUS_OK, "record: %s", status_text(st));
    }
    st = store_log_append(t, log.id, entries, count, NULL, &root);
    CHECK(w, st == STATUS_OK, "append: %s", status_text(st));
    st = store_commit(t);
    CHECK(w, st == STATUS_OK, "commit: %s", status_text(st));
    for (unsigned i = 0; i < count; i++) {
        history_add(n->history, entries[i]);
    }
    n->largest[n->number] = n->history->count;
    if (sim_below(&w->rng, 1000) < w->crash_permille) {
        node_crash(w, n);
        return;
    }
    uint8_t note[1024];
    size_t note_count = 0;
    struct checkpoint c = {.origin = origin, .size = n->history->count, .root = root};
    CHECK(w, history_has(n->history, c.size, &root), "node %d computed another root",
          n->number);
    st = checkpoint_sign(&n->log_signer, &c, note, sizeof note, &note_count);
    CHECK(w, st == STATUS_OK, "sign: %s", status_text(st));
    n->history->signed_size = c.size;
    if (n->byzantine) { /* it shows its head whatever the gate says */
        st = store_begin_write(n->store, STORE_EXCHANGE, 4096, &t);
        if (st == STATUS_OK) {
            st = store_note_put(t, log.id, STORE_NOTE_HEAD, (struct view){note, note_count});
        }
        CHECK(w, st == STATUS_OK && store_commit(t) == STATUS_OK, "head");
    }
    struct gossip_event e = {
        .type = GOSSIP_OWN_HEAD, .origin = origin, .note = {note, note_count}};
    node_step(w, n, &e);
}

/* Sign the head again after a restart: a crash may have come before it was shown. */
static void
node_resign(struct world *w, struct node *n)
{
    struct view origin = view_of_text(n->origin);
    if (n->history->count == 0 || !gossip_may_sign(n->gossip, origin)) {
        return;
    }
    uint8_t note[1024];
    size_t note_count = 0;
    n->resign = false;
    struct checkpoint c = {.origin = origin,
                           .size = n->history->count,
                           .root = n->history->roots[n->history->count]};
    enum status st = checkpoint_sign(&n->log_signer, &c, note, sizeof note, &note_count);
    CHECK(w, st == STATUS_OK, "sign: %s", status_text(st));
    n->history->signed_size = c.size;
    struct gossip_event e = {
        .type = GOSSIP_OWN_HEAD, .origin = origin, .note = {note, note_count}};
    node_step(w, n, &e);
}

#endif
