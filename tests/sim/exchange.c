#include "tests/sim/exchange.h"

#include "crypto/checkpoint.h"
#include "node/candidates.h"
#include "node/lookup.h"
#include "node/publisher.h"
#include "node/recall.h"
#include "node/receipts.h"
#include "proto/frame.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"
#include "store/kv.h"
#include "store/log.h"
#include "tests/sim/check.h"
#include "tests/sim/evil.h"
#include "tests/sim/exchange_state.h"
#include "tests/sim/lis.h"
#include "tests/sim/node.h"

enum { SPACE_HOME = 1, SIGN_MS = 100 };

static const struct view name_exch = {(const uint8_t *)"exch", 4};

static struct view
network(void)
{
    return view_of_text(SIM_NETWORK);
}

struct exchange *
exchange_new(void)
{
    struct exchange *x = calloc(1, sizeof *x);
    assert(x != NULL);
    x->next_ask_ms = INT64_MAX;
    return x;
}

void
exchange_free(struct exchange *x)
{
    for (size_t i = 0; i < x->log_count; i++) {
        history_free(&x->logs[i].history);
    }
    free(x);
}

/* ---- the log ---- */

static void
begin_log(struct world *w, struct node *n, struct store_txn *t)
{
    struct exchange *x = n->exchange;
    uint32_t id;
    assert(x->log_count < EXCHANGE_LOGS_MAX);
    struct exch_log *l = &x->logs[x->log_count++];
    origin_exch(SIM_NETWORK, n->institution, (uint32_t)sim_random(&w->rng), l->origin);
    history_init(&l->history);
    enum status st = store_log_create(t, view_of_text(l->origin), STORE_LOG_OWN, 0, &id);
    if (st == STATUS_OK) {
        st = store_kv_put(t, SPACE_HOME, network(), name_exch, view_of_text(l->origin));
    }
    CHECK(w, "I1", st == STATUS_OK, "%s: its exchange log: %s", n->institution,
          status_text(st));
}

const char *
exchange_log(struct world *w, struct node *n, bool *fresh)
{
    struct exchange *x = n->exchange;
    struct store_txn *t = NULL;
    struct view name;
    struct store_log log;
    enum status st = store_begin_write(n->store, STORE_EXCHANGE, 4096, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: write: %s", n->institution, status_text(st));
    *fresh = x->log_count == 0 || !n->clean ||
             store_kv_get(t, SPACE_HOME, network(), name_exch, &name) != STATUS_OK;
    if (*fresh) {
        begin_log(w, n, t);
    }
    st = store_commit(t);
    CHECK(w, "I1", st == STATUS_OK, "%s: commit: %s", n->institution, status_text(st));
    x->now = &x->logs[x->log_count - 1];
    st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    st = store_log_find(t, view_of_text(x->now->origin), &log);
    CHECK(w, "I1", st == STATUS_OK && log.size == x->now->history.count,
          "%s: its exchange log has %llu entries of %zu: %s", n->institution,
          (unsigned long long)log.size, x->now->history.count, status_text(st));
    CHECK(w, "I2", history_has(&x->now->history, log.size, &log.root),
          "%s: its exchange log is another one", n->institution);
    x->id = log.id;
    store_abort(t);
    return x->now->origin;
}

enum status
exchange_append(struct node *n, struct store_txn *t, struct view entry, uint64_t *index,
                struct hash *leaf)
{
    struct exchange *x = n->exchange;
    struct store_log log;
    enum status st = store_log_get(t, x->id, &log);
    if (st == STATUS_OK) {
        st = store_log_append(t, x->id, &entry, 1, NULL, NULL);
    }
    if (index != NULL) {
        *index = log.size;
    }
    if (leaf != NULL) {
        tree_leaf_hash(entry.bytes, entry.count, leaf);
    }
    return st;
}

/* What was committed is the truth from now on. */
static void
take_down(struct world *w, struct node *n)
{
    struct exchange *x = n->exchange;
    struct store_txn *t = NULL;
    struct store_log log;
    enum status st = store_begin_read(n->store, &t);
    st = st == STATUS_OK ? store_log_get(t, x->id, &log) : st;
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    while (x->now->history.count < log.size) {
        struct view entry;
        st = store_entry_get(t, x->id, x->now->history.count, &entry);
        CHECK(w, "I1", st == STATUS_OK, "%s: entry: %s", n->institution, status_text(st));
        history_add(&x->now->history, entry, NULL);
        x->dirty = true;
    }
    store_abort(t);
}

bool
exchange_write(struct world *w, struct node *n, exchange_write_fn write, void *ctx,
               enum status *out)
{
    struct store_txn *t = NULL;
    enum status st = store_begin_write(n->store, STORE_EXCHANGE, 1 << 16, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: write: %s", n->institution, status_text(st));
    st = sim_percent(&w->rng, w->refuse_percent) ? STATUS_NO_SPACE : write(w, n, t, ctx);
    *out = st;
    if (st != STATUS_OK || node_dies(w)) {
        store_abort(t);
        if (st == STATUS_OK) {
            node_crash(w, n, "before a commit of its exchange log");
        }
        CHECK(w, "I1", st == STATUS_OK || st == STATUS_NO_SPACE, "%s: exchange: %s",
              n->institution, status_text(st));
        return n->up;
    }
    st = store_commit(t);
    CHECK(w, "I1", st == STATUS_OK, "%s: commit: %s", n->institution, status_text(st));
    take_down(w, n);
    if (node_dies(w)) {
        node_crash(w, n, "after a commit of its exchange log");
    }
    return n->up;
}

/* Sign what is committed, when the gate lets it. */
static void
sign(struct world *w, struct node *n)
{
    struct exchange *x = n->exchange;
    struct exch_log *l = x->now;
    struct view origin = view_of_text(l->origin);
    struct note_signer signer;
    struct store_txn *t = NULL;
    size_t count = 0;
    if (!x->dirty || w->now_ms < x->sign_ms || l->history.count == 0 ||
        !gossip_may_sign(n->gossip, origin)) {
        return;
    }
    struct checkpoint c = {
        .origin = origin, .size = l->history.count, .root = l->history.roots[l->history.count]};
    enum status st =
        note_signer_make(origin, NOTE_KEY_ED25519,
                         w->members[n->member].keys[n->key_now].log.secret_key, &signer);
    st = st == STATUS_OK ? checkpoint_sign(&signer, &c, x->head, sizeof x->head, &count) : st;
    CHECK(w, "I2", st == STATUS_OK && c.size >= l->history.signed_size,
          "%s signs %llu of its exchange log: %s", n->institution, (unsigned long long)c.size,
          status_text(st));
    x->head_count = count;
    x->signed_size = l->history.signed_size = c.size;
    x->dirty = false;
    x->sign_ms = w->now_ms + SIGN_MS;
    st = store_begin_write(n->store, STORE_EXCHANGE, 4096, &t);
    if (st == STATUS_OK) {
        st = store_note_put(t, x->id, STORE_NOTE_HEAD, (struct view){x->head, count});
    }
    CHECK(w, "I1", st == STATUS_OK && store_commit(t) == STATUS_OK, "%s: head", n->institution);
}

/* ---- life ---- */

static size_t
log_keys(void *ctx, struct view origin, struct note_key *keys, size_t max)
{
    struct node *n = ctx;
    return n->charter == NULL ? 0 : charter_log_keys(n->charter, origin, keys, max);
}

void
exchange_start(struct world *w, struct node *n)
{
    struct exchange *x = n->exchange;
    struct store_txn *t = NULL;
    struct recall_options o = {.network = SIM_NETWORK,
                               .institution = n->institution,
                               .pub_origin = n->origin,
                               .ctx = n,
                               .log_keys = log_keys};
    enum status st = store_begin_read(n->store, &t);
    x->receipts = receipts_new();
    assert(x->receipts != NULL);
    st = st == STATUS_OK ? receipts_open(x->receipts, t, x->id) : st;
    st = st == STATUS_OK ? recall_open(&o, w->now_ms, t, &x->recall) : st;
    store_abort(t);
    CHECK(w, "I1", st == STATUS_OK, "%s: exchange: %s", n->institution, status_text(st));
    x->dirty = true;
    x->head_count = 0;
    x->signed_size = 0;
    x->recall_changed = true;
    x->sign_ms = 0;
}

void
exchange_stop(struct node *n)
{
    struct exchange *x = n->exchange;
    for (size_t i = 0; i < EXCHANGE_ASKS_MAX; i++) {
        if (x->asks[i].lookup != NULL) {
            lookup_free(x->asks[i].lookup);
        }
    }
    memset(x->asks, 0, sizeof x->asks);
    for (size_t i = 0; i < x->answer_count; i++) {
        free(x->answers[i].making);
    }
    x->answer_count = 0;
    receipts_free(x->receipts);
    recall_close(x->recall);
    x->receipts = NULL;
    x->recall = NULL;
}

void
exchange_backup(struct node *n)
{
    n->exchange->backup_relied = n->exchange->relied_count;
}

void
exchange_restore(struct node *n)
{
    n->exchange->relied_count = n->exchange->backup_relied;
}

/* ---- the wire ---- */

void
exchange_send(struct world *w, struct node *n, uint32_t session, uint32_t request, uint8_t kind,
              struct view message, struct view raw)
{
    static uint8_t bytes[FRAME_BYTES_MAX];
    CHECK(w, "I6",
          message.count <= MESSAGE_BYTES_MAX &&
              message.count + raw.count + FRAME_HEAD_BYTES <= FRAME_BYTES_MAX,
          "%s sends %zu and %zu bytes: over the limits", n->institution, message.count,
          raw.count);
    if (message.count > 0) {
        memcpy(bytes, message.bytes, message.count);
    }
    if (raw.count > 0) {
        memcpy(bytes + message.count, raw.bytes, raw.count);
    }
    struct message m = {.request = request,
                        .kind = kind,
                        .last = true,
                        .bytes = bytes,
                        .message_count = message.count,
                        .raw_count = raw.count};
    evil_frame(w, n, &m);
    wire_post(w, n, session, &m);
}

bool
exchange_kind(uint8_t kind)
{
    uint8_t k = kind & 0x7f;
    return k == FRAME_LOOKUP || k == FRAME_RECEIPT || k == FRAME_RELY || k == FRAME_RECALL;
}

/* ---- receipts ---- */

static void
pay(struct world *w, struct node *n)
{
    static uint8_t message[MESSAGE_BYTES_MAX];
    struct exchange *x = n->exchange;
    struct receipts_payment p;
    while (n->up && x->head_count > 0 && receipts_next(x->receipts, NULL, x->signed_size, &p)) {
        struct store_txn *t = NULL;
        size_t count = 0;
        enum status st = store_begin_read(n->store, &t);
        st = st == STATUS_OK ? receipts_pack(t, x->id, (struct view){x->head, x->head_count},
                                             &p, message, sizeof message, &count)
                             : st;
        store_abort(t);
        CHECK(w, "I1", st == STATUS_OK, "%s: a receipt: %s", n->institution, status_text(st));
        uint32_t session = p.session;
        sim_say(w, n, "shows %s %zu entries of its exchange log", p.institution, p.count);
        receipts_paid(x->receipts, &p);
        w->happened[HAPPENED_RECEIPT]++;
        exchange_send(w, n, session, 0, FRAME_RECEIPT, (struct view){message, count},
                      (struct view){NULL, 0});
    }
}

static void
take_receipt(struct world *w, struct node *n, const struct gossip_event *e)
{
    struct receipts_head head;
    if (!gossip_spend(n->gossip, e->institution, GOSSIP_BUDGET_RECEIPTS, 1, w->now_ms)) {
        return;
    }
    if (!receipts_take(n->exchange->receipts, n->charter, e->institution, e->message,
                       node_now_s(w, n), &head)) {
        w->happened[HAPPENED_RECEIPT_BAD]++;
        sim_say(w, n, "does not take a receipt of %s", e->institution);
    }
}

/* ---- recalls ---- */

static void recall_event(struct world *w, struct node *n, struct recall_event *e);

static enum status
append_for_recall(void *ctx, struct store_txn *t, struct view entry)
{
    struct node *n = ctx;
    n->exchange->recall_changed = true;
    return exchange_append(n, t, entry, NULL, NULL);
}

struct recall_place
exchange_place(struct world *w, struct node *n)
{
    return (struct recall_place){.network = SIM_NETWORK,
                                 .institution = n->institution,
                                 .at_ms = (uint64_t)node_now_s(w, n) * 1000,
                                 .ctx = n,
                                 .append = append_for_recall};
}

static enum status
write_recall(struct world *w, struct node *n, struct store_txn *t, void *ctx)
{
    struct recall_place place = exchange_place(w, n);
    return recall_apply(t, &place, ctx);
}

static void
do_recall(struct world *w, struct node *n, struct recall_action *a)
{
    struct recall_event stored = {.type = RECALL_STORED, .ticket = a->ticket};
    switch (a->type) {
    case RECALL_SEND:
        w->happened[a->kind == FRAME_RECALL ? HAPPENED_RECALL : HAPPENED_RELY]++;
        exchange_send(w, n, a->session, 0, a->kind, a->message, (struct view){NULL, 0});
        break;
    case RECALL_DIAL:
        wire_dial(w, n, a->institution);
        break;
    case RECALL_SAY:
        sim_say(w, n, "says: %s", a->text);
        break;
    case RECALL_STORE:
        if (exchange_write(w, n, write_recall, &a->store, &stored.status)) {
            recall_event(w, n, &stored);
        }
        break;
    }
}

static void
recall_event(struct world *w, struct node *n, struct recall_event *e)
{
    struct exchange *x = n->exchange;
    struct recall_update u = {0};
    enum status st = store_begin_read(n->store, &e->txn);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    e->now_ms = w->now_ms;
    e->now_s = node_now_s(w, n);
    st = recall_step(x->recall, e, &u);
    store_abort(e->txn);
    w->events++;
    CHECK(w, "I6", st == STATUS_OK && u.count < 10000, "%s: recalls: %s, %zu actions",
          n->institution, status_text(st), u.count);
    for (size_t i = 0; i < u.count && n->up; i++) {
        do_recall(w, n, &u.actions[i]);
    }
    recall_update_free(&u);
}

void
exchange_signed(struct node *n)
{
    n->exchange->recall_changed = true;
}

void
exchange_charter(struct node *n)
{
    n->exchange->dirty = true; /* the head again, if there are new keys */
    for (size_t i = 0; i < EXCHANGE_ASKS_MAX; i++) {
        if (n->exchange->asks[i].lookup != NULL) {
            n->exchange->asks[i].lookup->place.charter = n->charter;
        }
    }
}

/* ---- events ---- */

void
exchange_frame(struct world *w, struct node *n, const struct gossip_event *e)
{
    struct recall_event r = {.type = RECALL_FRAME,
                             .session = e->session,
                             .institution = e->institution,
                             .kind = e->kind,
                             .message = e->message};
    w->events++;
    switch (e->kind) {
    case FRAME_LOOKUP:
        answer_ask(w, n, e);
        break;
    case FRAME_LOOKUP | FRAME_ANSWER:
        ask_answered(w, n, e);
        break;
    case FRAME_RECEIPT:
        take_receipt(w, n, e);
        break;
    case FRAME_RELY:
    case FRAME_RECALL:
        if (e->request == 0) {
            recall_event(w, n, &r);
        }
        break;
    default:
        break;
    }
}

void
exchange_peer(struct world *w, struct node *n, const struct gossip_event *e)
{
    bool up = e->type == GOSSIP_PEER_UP;
    struct recall_event r = {.type = up ? RECALL_PEER_UP : RECALL_PEER_DOWN,
                             .session = e->session,
                             .institution = e->institution};
    if ((e->type != GOSSIP_PEER_UP && e->type != GOSSIP_PEER_DOWN) ||
        strcmp(e->institution, n->institution) == 0) {
        return;
    }
    receipts_peer(n->exchange->receipts, e->session, e->institution, up, w->now_ms);
    recall_event(w, n, &r);
    if (n->up) {
        ask_peer(n, e->session, e->institution, up);
    }
}

void
exchange_turn(struct world *w, struct node *n)
{
    struct exchange *x = n->exchange;
    if (x->next_ask_ms == INT64_MAX && w->ask_ms != 0) {
        x->next_ask_ms = w->now_ms + 1 + (int64_t)sim_below(&w->rng, 2 * (uint64_t)w->ask_ms);
    }
    if (w->now_ms >= x->next_ask_ms) {
        x->next_ask_ms = INT64_MAX;
        struct node *author = &w->nodes[sim_below(&w->rng, (uint64_t)w->count)];
        if (author->member != n->member) {
            exchange_ask(w, n, author);
        }
    }
    if (n->up) {
        ask_turn(w, n);
    }
    if (n->up) {
        answer_turn(w, n);
    }
    for (int round = 0;
         n->up && (x->recall_changed || w->now_ms >= recall_deadline_ms(x->recall)); round++) {
        struct recall_event e = {.type = x->recall_changed ? RECALL_CHANGED : RECALL_TICK};
        x->recall_changed = false;
        CHECK(w, "I6", round < 100, "%s: recalls never come to rest", n->institution);
        recall_event(w, n, &e);
    }
    if (n->up) {
        sign(w, n);
        pay(w, n);
    }
}

int64_t
exchange_deadline_ms(const struct node *n)
{
    const struct exchange *x = n->exchange;
    int64_t next = x->recall_changed ? 0 : recall_deadline_ms(x->recall);
    int64_t at = ask_deadline_ms(x);
    next = at < next ? at : next;
    next = x->dirty && x->sign_ms > sim_world->now_ms && x->sign_ms < next ? x->sign_ms : next;
    next = x->next_ask_ms < next ? x->next_ask_ms : next;
    for (size_t i = 0; i < x->answer_count; i++) {
        next = x->answers[i].at_ms < next ? x->answers[i].at_ms : next;
    }
    return next;
}
