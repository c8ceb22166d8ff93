/* Goal: a correction reaches everybody who relied on the result, once in each log, over
 * any loss and any crash; and nobody but the issuer, with a proof, can recall anything.
 * Method: machines over real stores in scratch directories; the test plays engines and
 * network: what is sent is lost, doubled and reordered, nodes crash before and after
 * commits, from one seed.  Hostile peers are played by hand. */
#include "tests/test_store_util.h"

#include <sodium.h>

#include "crypto/checkpoint.h"
#include "node/candidates.h"
#include "node/recall.h"
#include "node/recall_proof.h"
#include "proto/frame.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"

enum { NODES = 3, QUEUE = 4096, PENDING = 512 };

static const char NETWORK[] = "n.cn";

struct node {
    char name[8], pub[64], exch[64];
    struct test_dir dir;
    struct store *store;
    struct recall *machine;
    uint32_t pub_id, exch_id;
    struct note_signer signer;
    struct recall_action pending[PENDING]; /* stores not yet committed */
    size_t pending_count;
    bool up[NODES]; /* a session with that node */
    uint64_t dials;
};
struct message {
    int from, to;
    uint8_t kind;
    size_t count;
    uint8_t bytes[RECALL_MESSAGE_BYTES_MAX];
};

static struct node nodes[NODES];
static struct message *queue[QUEUE];
static size_t queued;
static int64_t now_ms;
static uint64_t seed;
static unsigned loss; /* of 100 */
static size_t said;

static uint64_t
draw(uint64_t below)
{
    return mix(seed++) % below;
}

static char *
str(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* ---- a node ---- */

static size_t
log_keys(void *ctx, struct view origin, struct note_key *keys, size_t max)
{
    (void)ctx;
    for (int i = 0; i < NODES && max > 0; i++) {
        if (origin.count == strlen(nodes[i].pub) &&
            memcmp(origin.bytes, nodes[i].pub, origin.count) == 0) {
            keys[0] = nodes[i].signer.key;
            return 1;
        }
    }
    return 0;
}

static enum status
append_exch(void *ctx, struct store_txn *txn, struct view entry)
{
    struct node *n = ctx;
    return store_log_append(txn, n->exch_id, &entry, 1, NULL, NULL);
}

static struct recall_place
place(struct node *n)
{
    return (struct recall_place){.network = NETWORK,
                                 .institution = n->name,
                                 .at_ms = (uint64_t)now_ms + 1,
                                 .ctx = n,
                                 .append = append_exch};
}

static void step(struct node *n, struct recall_event e);

static void
open_machine(struct node *n)
{
    struct recall_options o = {
        .network = NETWORK, .institution = n->name, .pub_origin = n->pub, .log_keys = log_keys};
    struct store_txn *t;
    OK(store_begin_read(n->store, &t));
    OK(recall_open(&o, now_ms, t, &n->machine));
    store_abort(t);
    n->pending_count = 0;
}

static void
open_world(uint64_t with_seed)
{
    memset(nodes, 0, sizeof nodes);
    seed = with_seed;
    now_ms = 1000000;
    loss = 0;
    said = 0;
    for (int i = 0; i < NODES; i++) {
        struct node *n = &nodes[i];
        struct store_options o = {.handle_of = candidates_handle_of};
        struct store_txn *t;
        uint8_t seed_bytes[32] = {(uint8_t)(i + 1)};
        uint8_t public_key[32];
        uint8_t secret[64];
        snprintf(n->name, sizeof n->name, "h%d", i);
        snprintf(n->pub, sizeof n->pub, "%s/h%d/pub", NETWORK, i);
        snprintf(n->exch, sizeof n->exch, "%s/h%d/exch/0000000%d", NETWORK, i, i);
        n->dir = (struct test_dir){"/dev/shm/hrstoreXXXXXX"}; /* thousands of syncs */
        n->dir = mkdtemp(n->dir.path) != NULL ? n->dir : dir_make();
        OK(store_open(n->dir.path, &o, &n->store));
        OK(store_begin_write(n->store, STORE_EXCHANGE, 65536, &t));
        OK(store_log_create(t, text(n->pub), STORE_LOG_OWN, 1, &n->pub_id));
        OK(store_log_create(t, text(n->exch), STORE_LOG_OWN, 1, &n->exch_id));
        OK(store_commit(t));
        crypto_sign_seed_keypair(public_key, secret, seed_bytes);
        OK(note_signer_make(text(n->pub), NOTE_KEY_ED25519, secret, &n->signer));
    }
    for (int i = 0; i < NODES; i++) {
        open_machine(&nodes[i]);
    }
}

static void
close_world(void)
{
    while (queued > 0) {
        free(queue[--queued]);
    }
    for (int i = 0; i < NODES; i++) {
        recall_close(nodes[i].machine);
        store_close(nodes[i].store);
        dir_remove(&nodes[i].dir);
    }
}

/* ---- the engine ---- */

static int
number_of(const char *name)
{
    return name[1] - '0';
}

static void
post(int from, int to, uint8_t kind, struct view m)
{
    int copies = draw(100) < loss ? 0 : loss > 0 && draw(10) == 0 ? 2 : 1;
    for (; copies > 0 && queued < QUEUE; copies--) {
        struct message *q = malloc(sizeof *q);
        assert_non_null(q);
        assert_in_range(m.count, 1, sizeof q->bytes);
        *q = (struct message){.from = from, .to = to, .kind = kind, .count = m.count};
        memcpy(q->bytes, m.bytes, m.count);
        queue[queued++] = q;
    }
}

static void
connect_nodes(int a, int b, bool up)
{
    int both[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        struct node *n = &nodes[both[i]];
        int other = both[1 - i];
        n->up[other] = up;
        if (n->machine != NULL) {
            step(n, (struct recall_event){.type = up ? RECALL_PEER_UP : RECALL_PEER_DOWN,
                                          .session = (uint32_t)other + 1,
                                          .institution = nodes[other].name});
        }
    }
}

static bool dial_connects = true;

static void
step(struct node *n, struct recall_event e)
{
    struct recall_update u = {0};
    OK(store_begin_read(n->store, &e.txn));
    e.now_ms = now_ms;
    e.now_s = 1800000000 + now_ms / 1000;
    OK(recall_step(n->machine, &e, &u));
    store_abort(e.txn);
    int self = number_of(n->name);
    for (size_t i = 0; i < u.count; i++) {
        struct recall_action *a = &u.actions[i];
        int to = (int)a->session - 1;
        if (a->type == RECALL_SEND && to >= 0 && to < NODES && n->up[to]) {
            post(self, to, a->kind, a->message);
        } else if (a->type == RECALL_STORE) {
            assert_true(n->pending_count < PENDING);
            n->pending[n->pending_count++] = *a;
        } else if (a->type == RECALL_DIAL) {
            n->dials++;
            int other = number_of(a->institution);
            if (dial_connects && nodes[other].machine != NULL && !n->up[other]) {
                connect_nodes(self, other, true);
            }
        } else if (a->type == RECALL_SAY) {
            said++;
        }
    }
    recall_update_free(&u);
}

static void
crash(struct node *n)
{
    recall_close(n->machine);
    n->machine = NULL;
    int self = number_of(n->name);
    for (int i = 0; i < NODES; i++) {
        if (i != self && n->up[i]) {
            n->up[i] = false;
            connect_nodes(self, i, false);
        }
    }
    open_machine(n);
}

/* Commit what waits, then tell.  With `crashes`, sometimes die before or after. */
static void
commit(struct node *n, bool crashes)
{
    struct recall_action list[PENDING];
    size_t count = n->pending_count;
    struct store_txn *t;
    if (count == 0) {
        return;
    }
    memcpy(list, n->pending, count * sizeof *list);
    n->pending_count = 0;
    uint64_t fate = crashes ? draw(12) : 2;
    if (fate == 0) {
        crash(n);
        return;
    }
    struct recall_place p = place(n);
    OK(store_begin_write(n->store, STORE_EXCHANGE, 65536, &t));
    for (size_t i = 0; i < count; i++) {
        OK(recall_apply(t, &p, &list[i].store));
    }
    OK(store_commit(t));
    if (fate == 1) {
        crash(n);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        step(n, (struct recall_event){
                    .type = RECALL_STORED, .ticket = list[i].ticket, .status = STATUS_OK});
    }
}

static void
deliver_one(void)
{
    size_t at = (size_t)draw(queued);
    struct message *m = queue[at];
    queue[at] = queue[--queued];
    struct node *n = &nodes[m->to];
    if (n->up[m->from]) {
        step(n, (struct recall_event){.type = RECALL_FRAME,
                                      .session = (uint32_t)m->from + 1,
                                      .institution = nodes[m->from].name,
                                      .kind = m->kind,
                                      .message = {m->bytes, m->count}});
    }
    free(m);
}

/* Let so much time pass, in steps of `by`. */
static void
run(int64_t ms, int64_t by, bool crashes)
{
    for (int64_t end = now_ms + ms; now_ms < end;) {
        for (int i = 0; i < NODES; i++) {
            commit(&nodes[i], crashes);
            if (now_ms >= recall_deadline_ms(nodes[i].machine)) {
                step(&nodes[i], (struct recall_event){.type = RECALL_TICK});
            }
            commit(&nodes[i], crashes);
        }
        for (size_t k = queued; k > 0 && queued > 0; k--) {
            deliver_one();
        }
        now_ms += by;
    }
}

/* ---- logs ---- */

/* Append one entry to the pub log of `author`, in the stores of those in `mask`. */
static uint64_t
publish(struct node *author, uint8_t patient, int what, uint64_t replaces, unsigned mask)
{
    uint8_t token[TOKEN_BYTES] = {patient, 1};
    static uint8_t sealed[HASH_BYTES];
    static uint8_t brief[BRIEF_BYTES];
    Hr__PubEntry e;
    Hr__Publish p;
    Hr__Correct c;
    Hr__Withdraw w;
    hr__pub_entry__init(&e);
    hr__publish__init(&p);
    hr__correct__init(&c);
    hr__withdraw__init(&w);
    sealed[0]++;
    p.token = c.token = w.token = (ProtobufCBinaryData){TOKEN_BYTES, token};
    p.epoch = c.epoch = w.epoch = 1;
    p.sealed = c.sealed = (ProtobufCBinaryData){HASH_BYTES, sealed};
    p.brief = c.brief = (ProtobufCBinaryData){BRIEF_BYTES, brief};
    c.replaces = w.replaces = replaces;
    w.reason = 1;
    e.what_case = what == 0   ? HR__PUB_ENTRY__WHAT_PUBLISH
                  : what == 1 ? HR__PUB_ENTRY__WHAT_CORRECT
                              : HR__PUB_ENTRY__WHAT_WITHDRAW;
    e.publish = what == 0 ? &p : NULL;
    if (what == 1) {
        e.correct = &c;
    } else if (what == 2) {
        e.withdraw = &w;
    }
    uint8_t bytes[512];
    size_t count;
    OK(pb_pack(&e.base, bytes, sizeof bytes, &count));
    struct view entry = {bytes, count};
    uint64_t index = 0;
    for (int i = 0; i < NODES; i++) {
        struct store_txn *t;
        struct store_log log;
        uint32_t id;
        if ((mask >> i & 1) == 0) {
            continue;
        }
        OK(store_begin_write(nodes[i].store, STORE_PUBLISH, 65536, &t));
        enum status st = store_log_create(t, text(author->pub), 0, 1, &id);
        assert_true(st == STATUS_OK || st == STATUS_EXISTS);
        OK(store_log_append(t, id, &entry, 1, NULL, NULL));
        OK(store_log_get(t, id, &log));
        index = log.size - 1;
        if (&nodes[i] == author) {
            uint8_t head[1024];
            size_t head_count;
            struct checkpoint cp = {
                .origin = text(author->pub), .size = log.size, .root = log.root};
            OK(checkpoint_sign(&author->signer, &cp, head, sizeof head, &head_count));
            OK(store_note_put(t, id, STORE_NOTE_HEAD, (struct view){head, head_count}));
        }
        OK(store_commit(t));
    }
    if (author->machine != NULL) {
        step(author, (struct recall_event){.type = RECALL_CHANGED});
    }
    return index;
}

/* A decision of `n` leaned on a leaf that it was not given in an answer. */
static void
use(struct node *n, const struct node *issuer, uint64_t leaf)
{
    static uint64_t decision;
    struct store_txn *t;
    struct recall_place p = place(n);
    struct recall_row row = recall_row_of(RECALL_USE, "", issuer->pub, leaf);
    row.exch_log = n->exch_id;
    row.exch = decision++;
    row.at_ms = p.at_ms;
    row.count = 1;
    strcpy(row.item, "LAB.K");
    OK(store_begin_write(n->store, STORE_EXCHANGE, 65536, &t));
    OK(recall_note_use(t, &p, &row, false));
    OK(store_commit(t));
    step(n, (struct recall_event){.type = RECALL_CHANGED});
}

/* `issuer` gave `who` the leaf in an answer. */
static void
give(struct node *issuer, const struct node *who, uint64_t leaf)
{
    struct store_txn *t;
    struct recall_place p = place(issuer);
    OK(store_begin_write(issuer->store, STORE_EXCHANGE, 65536, &t));
    OK(recall_note_given(t, &p, issuer->pub, leaf, who->name, UINT64_MAX));
    OK(store_commit(t));
}

static bool
row_is(const struct node *n, struct recall_row key, struct recall_row *out)
{
    struct store_txn *t;
    OK(store_begin_read(n->store, &t));
    enum status st = recall_row_get(t, NETWORK, &key);
    store_abort(t);
    assert_true(st == STATUS_OK || st == STATUS_NOT_FOUND);
    if (out != NULL) {
        *out = key;
    }
    return st == STATUS_OK;
}

static size_t
rows(const struct node *n, enum recall_kind kind)
{
    struct store_txn *t;
    struct recall_row row = recall_row_of(kind, "", "", 0);
    bool begun = false;
    size_t count = 0;
    OK(store_begin_read(n->store, &t));
    while (recall_row_next(t, NETWORK, RECALL_ALL, &row, &begun) == STATUS_OK) {
        assert_int_equal(row.kind, kind);
        count++;
    }
    store_abort(t);
    return count;
}

/* Entries of the exch log of `n`: Recalled (or Relied) of this side about this leaf. */
static size_t
logged(const struct node *n, bool recalled, uint32_t side, const char *who, uint64_t leaf)
{
    struct store_txn *t;
    struct store_log log;
    size_t found = 0;
    OK(store_begin_read(n->store, &t));
    OK(store_log_get(t, n->exch_id, &log));
    for (uint64_t i = 0; i < log.size; i++) {
        struct view v;
        uint8_t memory[PB_ARENA_BYTES];
        struct pb_arena arena;
        ProtobufCMessage *m;
        OK(store_entry_get(t, n->exch_id, i, &v));
        pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
        OK(pb_unpack(&hr__exch_entry__descriptor, v, ENTRY_BYTES_MAX, &arena, &m));
        const Hr__ExchEntry *e = (const Hr__ExchEntry *)m;
        if (recalled && e->what_case == HR__EXCH_ENTRY__WHAT_RECALLED) {
            found += e->recalled->side == side && e->recalled->old->index == leaf &&
                     strcmp(e->recalled->institution, who) == 0;
        } else if (!recalled && e->what_case == HR__EXCH_ENTRY__WHAT_RELIED) {
            found += e->relied->side == side && e->relied->leaf->index == leaf &&
                     strcmp(e->relied->institution, who) == 0;
        }
        pb_free(&arena);
    }
    store_abort(t);
    return found;
}

static uint64_t
exch_size(const struct node *n)
{
    struct store_txn *t;
    struct store_log log;
    OK(store_begin_read(n->store, &t));
    OK(store_log_get(t, n->exch_id, &log));
    store_abort(t);
    return log.size;
}

static void
assert_recalled(struct node *issuer, struct node *who, uint64_t old, uint64_t by)
{
    struct recall_row row;
    assert_true(row_is(who, recall_row_of(RECALL_HEARD, "", issuer->pub, old), &row));
    assert_int_equal(row.by, by);
    assert_true(row_is(issuer, recall_row_of(RECALL_TOLD, who->name, issuer->pub, old), &row));
    assert_int_equal(row.by, by);
    assert_true(row.at_ms > 0 && row.then_ms >= row.at_ms);
    assert_false(
        row_is(issuer, recall_row_of(RECALL_TELLING, who->name, issuer->pub, old), NULL));
    assert_int_equal(logged(issuer, true, 1, who->name, old), 1);
    assert_int_equal(logged(issuer, true, 3, who->name, old), 1);
    assert_int_equal(logged(who, true, 2, issuer->name, old), 1);
}

/* ---- tests ---- */

static void
test_a_correction_reaches_who_was_given_it_and_who_decided_on_a_copy(void **state)
{
    (void)state;
    open_world(1);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 7);
    uint64_t other = publish(h0, 2, 0, 0, 7);
    give(h0, &nodes[1], a);
    use(&nodes[2], h0, a);
    use(&nodes[2], h0, other);
    run(5000, 100, false);
    assert_int_equal(logged(&nodes[2], false, 1, "h0", a), 1);
    assert_int_equal(logged(h0, false, 2, "h2", a), 1);
    assert_int_equal(logged(h0, false, 2, "h1", a), 0); /* its Answered entry says so */
    assert_int_equal(rows(&nodes[2], RECALL_RELY_OPEN), 0);
    uint64_t b = publish(h0, 1, 1, a, 1);
    run(5000, 100, false);
    assert_recalled(h0, &nodes[1], a, b);
    assert_recalled(h0, &nodes[2], a, b);
    assert_false(row_is(&nodes[2], recall_row_of(RECALL_HEARD, "", h0->pub, other), NULL));
    assert_int_equal(said, 0);
    close_world();
}

static void
test_who_was_told_of_a_correction_is_told_of_its_withdrawal_too(void **state)
{
    (void)state;
    open_world(2);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    give(h0, &nodes[1], a);
    uint64_t b = publish(h0, 1, 1, a, 1);
    run(5000, 100, false);
    uint64_t c = publish(h0, 1, 2, b, 1);
    run(5000, 100, false);
    assert_recalled(h0, &nodes[1], a, b);
    assert_recalled(h0, &nodes[1], b, c);
    /* And who says later that it relied on the first. */
    use(&nodes[2], h0, a);
    run(5000, 100, false);
    assert_recalled(h0, &nodes[2], a, b);
    assert_recalled(h0, &nodes[2], b, c);
    close_world();
}

static void
test_what_we_decided_on_ourselves_is_recalled_without_a_notice(void **state)
{
    (void)state;
    open_world(3);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    use(h0, h0, a);
    assert_int_equal(rows(h0, RECALL_RELY_OPEN), 0);
    uint64_t b = publish(h0, 1, 2, a, 1);
    run(2000, 100, false);
    struct recall_row row;
    assert_true(row_is(h0, recall_row_of(RECALL_HEARD, "", h0->pub, a), &row));
    assert_int_equal(row.by, b);
    assert_int_equal(row.what, 2);
    assert_int_equal(h0->dials, 0);
    close_world();
}

static void
test_loss_and_crashes_at_any_step_lose_no_recall_and_double_no_entry(void **state)
{
    (void)state;
    for (uint64_t s = 0; s < 60; s++) {
        uint64_t leaves[12];
        uint64_t by[12] = {0};
        open_world(1000 * s);
        struct node *h0 = &nodes[0];
        for (uint8_t i = 0; i < 12; i++) {
            leaves[i] = publish(h0, i, 0, 0, 1);
        }
        loss = 30;
        for (unsigned i = 0; i < 12; i++) {
            /* Half are given by answers, half used from copies; replaced at any time. */
            if (i % 2 == 0) {
                give(h0, &nodes[1], leaves[i]);
                give(h0, &nodes[2], leaves[i]);
            } else {
                use(&nodes[1], h0, leaves[i]);
                use(&nodes[2], h0, leaves[i]);
            }
            run((int64_t)draw(4000), 200, true);
            if (i >= 4) {
                by[i - 4] = publish(h0, (uint8_t)(i - 4), 1 + (int)draw(2), leaves[i - 4], 1);
            }
        }
        for (uint8_t i = 8; i < 12; i++) {
            by[i] = publish(h0, i, 2, leaves[i], 1);
        }
        run(120000, 500, true);
        loss = 0;
        run(2 * RECALL_BACKOFF_MS_MAX, 5000, false);
        for (unsigned i = 0; i < 12; i++) {
            for (int k = 1; k < NODES; k++) {
                assert_recalled(h0, &nodes[k], leaves[i], by[i]);
                assert_true(logged(h0, false, 2, nodes[k].name, leaves[i]) <= 1);
            }
        }
        assert_int_equal(rows(h0, RECALL_TELLING), 0);
        assert_int_equal(rows(&nodes[1], RECALL_RELY_OPEN), 0);
        assert_int_equal(rows(&nodes[2], RECALL_RELY_OPEN), 0);
        close_world();
    }
}

static void
test_an_absent_peer_is_tried_ever_less_often_and_told_at_once_when_it_is_back(void **state)
{
    (void)state;
    open_world(4);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    give(h0, &nodes[1], a);
    dial_connects = false;
    uint64_t b = publish(h0, 1, 1, a, 1);
    run(INT64_C(48) * 3600 * 1000, 1000, false);
    assert_in_range(h0->dials, 48 * 6 - 10, 48 * 6 + 20);
    struct recall_row row;
    assert_true(row_is(h0, recall_row_of(RECALL_TELLING, "h1", h0->pub, a), &row));
    assert_true((uint64_t)now_ms - row.at_ms >=
                UINT64_C(47) * 3600 * 1000); /* since the first */
    assert_int_equal(logged(h0, true, 1, "h1", a), 1);
    connect_nodes(0, 1, true);
    run(1000, 100, false);
    dial_connects = true;
    assert_recalled(h0, &nodes[1], a, b);
    close_world();
}

static void
test_an_issuer_that_forgot_who_relied_is_told_by_who_finds_it_in_its_copy(void **state)
{
    (void)state;
    open_world(5);
    struct node *h0 = &nodes[0];
    for (unsigned i = 0; i < 2 * RECALL_SWEEP_ROWS; i++) { /* more than one step looks at */
        use(&nodes[1], h0, publish(h0, (uint8_t)(100 + i % 100), 0, 0, 7));
    }
    uint64_t a = publish(h0, 1, 0, 0, 7);
    use(&nodes[1], h0, a);
    run(30000, 100, false);
    struct store_txn *t;
    struct recall_row row = recall_row_of(RECALL_RELYING, "h1", h0->pub, a);
    OK(store_begin_write(h0->store, STORE_EXCHANGE, 4096, &t));
    OK(recall_row_drop(t, NETWORK, &row)); /* restored from an old backup */
    OK(store_commit(t));
    uint64_t b = publish(h0, 1, 1, a, 7);
    run(5000, 100, false);
    run(2 * RECALL_SWEEP_MS, 1000, false);
    assert_recalled(h0, &nodes[1], a, b);
    assert_int_equal(rows(&nodes[1], RECALL_RELY_OPEN), 0);
    close_world();
}

static void
test_the_first_replacement_counts_and_a_second_recalls_nothing(void **state)
{
    (void)state;
    open_world(6);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 3);
    uint64_t other = publish(h0, 2, 0, 0, 3);
    give(h0, &nodes[1], a);
    give(h0, &nodes[1], other);
    uint64_t b = publish(h0, 1, 1, a, 3);
    publish(h0, 1, 2, a, 3);
    publish(h0, 9, 2, other, 3); /* under another token: it replaces nothing */
    run(10000, 100, false);
    assert_recalled(h0, &nodes[1], a, b);
    assert_false(row_is(&nodes[1], recall_row_of(RECALL_HEARD, "", h0->pub, other), NULL));
    assert_true(row_is(h0, recall_row_of(RECALL_RELYING, "h1", h0->pub, other), NULL));
    close_world();
}

/* ---- hostile peers ---- */

/* h1 gets these bytes from node `from`; what it would write is committed. */
static void
say_to(int to, int from, uint8_t kind, struct view m)
{
    step(&nodes[to], (struct recall_event){.type = RECALL_FRAME,
                                           .session = (uint32_t)from + 1,
                                           .institution = nodes[from].name,
                                           .kind = kind,
                                           .message = m});
    commit(&nodes[to], false);
}

static size_t
notice(const struct node *issuer, uint64_t old, uint64_t by, uint8_t *out)
{
    struct store_txn *t;
    size_t count;
    OK(store_begin_read(issuer->store, &t));
    OK(recall_proof_make(t, issuer->pub, old, by, out, RECALL_MESSAGE_BYTES_MAX, &count));
    store_abort(t);
    return count;
}

static void
test_nobody_but_the_issuer_recalls_and_nothing_without_its_log(void **state)
{
    (void)state;
    open_world(7);
    struct node *h0 = &nodes[0];
    static uint8_t good[RECALL_MESSAGE_BYTES_MAX];
    static uint8_t bad[RECALL_MESSAGE_BYTES_MAX];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    for (uint8_t i = 0; i < 20; i++) {
        publish(h0, i, 0, 0, 1);
    }
    uint64_t b = publish(h0, 1, 1, a, 1);
    size_t count = notice(h0, a, b, good);
    connect_nodes(0, 1, true);
    connect_nodes(2, 1, true);
    uint64_t before = exch_size(&nodes[1]);
    say_to(1, 2, FRAME_RECALL, (struct view){good, count}); /* whole, from somebody else */
    assert_int_equal(exch_size(&nodes[1]), before);
    for (size_t i = 0; i < count; i++) { /* every byte of it another one */
        for (int bit = 0; bit < 8; bit += 3) {
            memcpy(bad, good, count);
            bad[i] = (uint8_t)(bad[i] ^ (1u << bit));
            say_to(1, 0, FRAME_RECALL, (struct view){bad, count});
        }
        say_to(1, 0, FRAME_RECALL, (struct view){good, i}); /* cut */
    }
    assert_int_equal(exch_size(&nodes[1]), before);
    assert_int_equal(rows(&nodes[1], RECALL_HEARD), 0);
    assert_in_range(said, 2, 3); /* one line a peer, not one a frame */
    say_to(1, 0, FRAME_RECALL, (struct view){good, count});
    assert_int_equal(exch_size(&nodes[1]), before + 1);
    for (int i = 0; i < 50; i++) { /* replayed */
        say_to(1, 0, FRAME_RECALL, (struct view){good, count});
    }
    assert_int_equal(exch_size(&nodes[1]), before + 1);
    close_world();
}

static size_t
leaf_message(bool recall, bool answer, const char *origin, uint64_t old, uint64_t by,
             uint8_t *out)
{
    Hr__Rely r;
    Hr__Recall c;
    Hr__WireLeaf l[2];
    size_t count;
    hr__rely__init(&r);
    hr__recall__init(&c);
    for (int i = 0; i < 2; i++) {
        hr__wire_leaf__init(&l[i]);
        l[i].origin = str(origin);
        l[i].index = i == 0 ? old : by;
    }
    r.leaf = c.old = &l[0];
    c.by = &l[1];
    r.kept = c.acknowledged = answer;
    OK(pb_pack(recall ? &c.base : &r.base, out, 1024, &count));
    return count;
}

static void
test_reliance_and_acknowledgement_out_of_nothing_change_nothing(void **state)
{
    (void)state;
    open_world(8);
    struct node *h0 = &nodes[0];
    uint8_t bytes[1024];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    uint64_t w = publish(h0, 1, 2, a, 1);
    connect_nodes(0, 1, true);
    connect_nodes(0, 2, true);
    uint64_t before = exch_size(h0);
    const struct {
        bool recall, answer;
        const char *origin;
        uint64_t old, by;
    } lies[] = {
        {false, false, "n.cn/h0/pub", 2, 0},           /* never published */
        {false, false, "n.cn/h0/pub", UINT64_MAX, 0},  /* nor this */
        {false, false, "n.cn/h0/pub", 1, 0},           /* a withdrawal is no result */
        {false, false, "n.cn/h2/pub", 0, 0},           /* not ours */
        {false, false, "other.cn/h0/pub", 0, 0},       /* another network */
        {false, false, "n.cn/h0/exch/00000000", 0, 0}, /* another log */
        {false, true, "n.cn/h1/pub", 0, 0},            /* kept, and nobody asked */
        {true, true, "n.cn/h0/pub", 0, 1},             /* acknowledged, and nobody told */
        {true, true, "n.cn/h0/pub", 5, 9},
        {true, false, "n.cn/h0/pub", 0, 1}, /* our own, recalled to us */
        {true, false, "n.cn/h1/pub", 0, 1}, /* its own, without a proof */
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        size_t count = leaf_message(lies[i].recall, lies[i].answer, lies[i].origin, lies[i].old,
                                    lies[i].by, bytes);
        say_to(0, 1, FRAME_RELY, (struct view){bytes, count});
        say_to(0, 1, FRAME_RECALL, (struct view){bytes, count});
        say_to(0, 1, lies[i].recall ? FRAME_RECALL : FRAME_RELY, (struct view){bytes, count});
        assert_int_equal(exch_size(h0), before);
    }
    /* h2 relied; h1 cannot acknowledge for it, nor with another entry. */
    give(h0, &nodes[2], a);
    struct store_txn *t;
    struct recall_place p = place(h0);
    struct recall_store s = {.type = RECALL_STORE_SCAN, .leaf = w, .to = w + 1};
    strcpy(s.origin, h0->pub);
    OK(store_begin_write(h0->store, STORE_EXCHANGE, 4096, &t));
    OK(recall_apply(t, &p, &s));
    OK(store_commit(t));
    assert_int_equal(rows(h0, RECALL_TELLING), 1);
    size_t count = leaf_message(true, true, h0->pub, a, w, bytes);
    say_to(0, 1, FRAME_RECALL, (struct view){bytes, count});
    count = leaf_message(true, true, h0->pub, a, w + 1, bytes);
    say_to(0, 2, FRAME_RECALL, (struct view){bytes, count});
    assert_int_equal(rows(h0, RECALL_TELLING), 1);
    close_world();
}

/* Else a full store would be asked again and again, and nothing else be done. */
static void
test_a_scan_that_finds_no_room_is_not_written_again_at_once(void **state)
{
    (void)state;
    open_world(10);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    give(h0, &nodes[1], a);
    publish(h0, 1, 2, a, 1);
    step(h0, (struct recall_event){.type = RECALL_CHANGED});
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(h0->pending_count, 1);
        assert_int_equal(h0->pending[0].store.type, RECALL_STORE_SCAN);
        h0->pending_count = 0;
        step(h0, (struct recall_event){.type = RECALL_STORED,
                                       .ticket = h0->pending[0].ticket,
                                       .status = STATUS_NO_SPACE});
        assert_int_equal(h0->pending_count, 0);
        assert_true(recall_deadline_ms(h0->machine) > now_ms);
        now_ms += RECALL_BACKOFF_MS;
        assert_true(recall_deadline_ms(h0->machine) <= now_ms);
        step(h0, (struct recall_event){.type = RECALL_TICK});
    }
    commit(h0, false);
    assert_int_equal(rows(h0, RECALL_TELLING), 1);
    close_world();
}

static void
test_a_flood_of_reliance_is_bounded_and_starves_nobody(void **state)
{
    (void)state;
    open_world(9);
    struct node *h0 = &nodes[0];
    uint8_t bytes[1024];
    enum { LEAVES = 400 };
    for (int i = 0; i < LEAVES; i++) {
        publish(h0, (uint8_t)i, 0, 0, 1);
    }
    connect_nodes(0, 1, true);
    connect_nodes(0, 2, true);
    for (uint64_t i = 0; i < LEAVES; i++) { /* before anything is committed */
        size_t count = leaf_message(false, false, h0->pub, i, 0, bytes);
        for (int k = 0; k < 3; k++) {
            step(h0, (struct recall_event){.type = RECALL_FRAME,
                                           .session = 2,
                                           .institution = "h1",
                                           .kind = FRAME_RELY,
                                           .message = {bytes, count}});
        }
    }
    assert_int_equal(h0->pending_count, RECALL_WRITES_MAX);
    size_t count = leaf_message(false, false, h0->pub, 0, 0, bytes);
    step(h0, (struct recall_event){.type = RECALL_FRAME,
                                   .session = 3,
                                   .institution = "h2",
                                   .kind = FRAME_RELY,
                                   .message = {bytes, count}});
    assert_int_equal(h0->pending_count, RECALL_WRITES_MAX + 1);
    commit(h0, false);
    assert_int_equal(rows(h0, RECALL_RELYING), RECALL_WRITES_MAX + 1);
    assert_int_equal(said, 1);
    close_world();
}

static void
test_the_same_write_a_second_time_writes_nothing(void **state)
{
    (void)state;
    open_world(11);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 3);
    uint64_t b = publish(h0, 1, 2, a, 3);
    uint64_t c = publish(h0, 2, 0, 0, 3);
    struct node *at[] = {h0, h0, h0, h0, &nodes[1], &nodes[1], &nodes[1]};
    const struct recall_store all[] = {
        {.type = RECALL_STORE_RELYING, .who = "h1", .leaf = a},
        {.type = RECALL_STORE_RELYING, .who = "h1", .leaf = c},
        {.type = RECALL_STORE_ACKNOWLEDGED, .who = "h1", .leaf = a, .by = b + 1},
        {.type = RECALL_STORE_ACKNOWLEDGED, .who = "h1", .leaf = a, .by = b},
        {.type = RECALL_STORE_HEARD, .who = "h0", .leaf = a, .by = b, .what = 2},
        {.type = RECALL_STORE_HEARD, .who = "h0", .leaf = a, .by = b + 1, .what = 1},
        {.type = RECALL_STORE_KEPT, .who = "h0", .leaf = c},
    };
    static const uint64_t entries[] = {2, 3, 3, 4, 1, 1, 1}; /* in its log, after each */
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (int twice = 0; twice < 2; twice++) {
            struct recall_store s = all[i];
            struct recall_place p = place(at[i]);
            struct store_txn *t;
            strcpy(s.origin, h0->pub);
            OK(store_begin_write(at[i]->store, STORE_EXCHANGE, 4096, &t));
            OK(recall_apply(t, &p, &s));
            OK(store_commit(t));
            assert_int_equal(exch_size(at[i]), entries[i]);
        }
    }
    close_world();
}

static void
test_who_was_given_a_leaf_while_it_was_replaced_is_told(void **state)
{
    (void)state;
    open_world(13);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    run(1000, 100, false); /* its log is looked at up to here, */
    uint64_t b = publish(h0, 1, 1, a, 1);
    run(1000, 100, false); /* and here */
    struct store_txn *t;
    struct recall_place p = place(h0);
    OK(store_begin_write(h0->store, STORE_EXCHANGE, 65536, &t));
    OK(recall_note_given(t, &p, h0->pub, a, "h1", 1)); /* it stood at size 1 */
    OK(store_commit(t));
    step(h0, (struct recall_event){.type = RECALL_CHANGED});
    run(2000, 100, false);
    assert_recalled(h0, &nodes[1], a, b);
    close_world();
}

static void
test_a_notice_that_our_own_copy_of_the_log_contradicts_is_not_taken(void **state)
{
    (void)state;
    open_world(12);
    struct node *h0 = &nodes[0];
    static uint8_t bytes[RECALL_MESSAGE_BYTES_MAX];
    uint64_t a = publish(h0, 1, 0, 0, 3);
    uint64_t b = publish(h0, 2, 0, 0, 3);
    uint64_t other = publish(h0, 9, 2, a, 3); /* another patient's token */
    uint64_t first = publish(h0, 2, 1, b, 3);
    uint64_t second = publish(h0, 2, 2, b, 3);
    connect_nodes(0, 1, true);
    say_to(1, 0, FRAME_RECALL, (struct view){bytes, notice(h0, a, other, bytes)});
    say_to(1, 0, FRAME_RECALL, (struct view){bytes, notice(h0, b, second, bytes)});
    assert_int_equal(rows(&nodes[1], RECALL_HEARD), 0);
    say_to(1, 0, FRAME_RECALL, (struct view){bytes, notice(h0, b, first, bytes)});
    assert_int_equal(rows(&nodes[1], RECALL_HEARD), 1);
    close_world();
}

/* ---- rows ---- */

static void
test_rows_come_back_as_they_were_and_loops_stay_in_their_scope(void **state)
{
    (void)state;
    open_world(10);
    struct node *h0 = &nodes[0];
    struct store_txn *t;
    static const char *const who[] = {"h1", "h10", "h"};
    OK(store_begin_write(h0->store, STORE_EXCHANGE, 65536, &t));
    for (int i = 0; i < 3; i++) {
        for (uint64_t leaf = 0; leaf < 3; leaf++) {
            struct recall_row row =
                recall_row_of(RECALL_TELLING, who[i], "n.cn/a/pub", leaf * 256);
            row.by = leaf + 7;
            row.at_ms = UINT64_MAX;
            OK(recall_row_put(t, NETWORK, &row));
            row.kind = RECALL_RELYING;
            OK(recall_row_put(t, NETWORK, &row));
        }
    }
    for (int i = 0; i < 3; i++) {
        struct recall_row row = recall_row_of(RECALL_TELLING, who[i], "", 0);
        bool begun = false;
        int seen = 0;
        while (recall_row_next(t, NETWORK, RECALL_FIRST, &row, &begun) == STATUS_OK) {
            assert_string_equal(row.who, who[i]);
            assert_string_equal(row.origin, "n.cn/a/pub");
            assert_int_equal(row.leaf, seen * 256);
            assert_int_equal(row.by, seen + 7);
            seen++;
        }
        assert_int_equal(seen, 3);
    }
    char name[INSTITUTION_CHARS_MAX + 1] = "";
    static const char *const order[] = {"h", "h1", "h10"};
    for (int i = 0; i < 3; i++) {
        OK(recall_row_next_who(t, NETWORK, RECALL_TELLING, name));
        assert_string_equal(name, order[i]);
    }
    assert_int_equal(recall_row_next_who(t, NETWORK, RECALL_TELLING, name), STATUS_NOT_FOUND);
    struct recall_row row = recall_row_of(RECALL_RELYING, "", "n.cn/a/pub", 256);
    bool begun = false;
    int seen = 0;
    while (recall_row_next(t, NETWORK, RECALL_LEAF, &row, &begun) == STATUS_OK) {
        assert_int_equal(row.leaf, 256);
        OK(recall_row_drop(t, NETWORK, &row)); /* a loop goes on after it */
        seen++;
    }
    assert_int_equal(seen, 3);
    store_abort(t);
    close_world();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_correction_reaches_who_was_given_it_and_who_decided_on_a_copy),
        cmocka_unit_test(test_who_was_told_of_a_correction_is_told_of_its_withdrawal_too),
        cmocka_unit_test(test_what_we_decided_on_ourselves_is_recalled_without_a_notice),
        cmocka_unit_test(test_loss_and_crashes_at_any_step_lose_no_recall_and_double_no_entry),
        cmocka_unit_test(
            test_an_absent_peer_is_tried_ever_less_often_and_told_at_once_when_it_is_back),
        cmocka_unit_test(
            test_an_issuer_that_forgot_who_relied_is_told_by_who_finds_it_in_its_copy),
        cmocka_unit_test(test_the_first_replacement_counts_and_a_second_recalls_nothing),
        cmocka_unit_test(test_nobody_but_the_issuer_recalls_and_nothing_without_its_log),
        cmocka_unit_test(test_reliance_and_acknowledgement_out_of_nothing_change_nothing),
        cmocka_unit_test(test_a_scan_that_finds_no_room_is_not_written_again_at_once),
        cmocka_unit_test(test_a_flood_of_reliance_is_bounded_and_starves_nobody),
        cmocka_unit_test(test_the_same_write_a_second_time_writes_nothing),
        cmocka_unit_test(test_a_notice_that_our_own_copy_of_the_log_contradicts_is_not_taken),
        cmocka_unit_test(test_who_was_given_a_leaf_while_it_was_replaced_is_told),
        cmocka_unit_test(test_rows_come_back_as_they_were_and_loops_stay_in_their_scope),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
