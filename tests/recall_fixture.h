/* recall_fixture.h: machines over real stores in scratch directories; the test plays engines
 * and network: what is sent is lost, doubled and reordered, nodes crash before and after
 * commits, from one seed. */
#ifndef TESTS_RECALL_FIXTURE_H
#define TESTS_RECALL_FIXTURE_H

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

static inline uint64_t
draw(uint64_t below)
{
    return mix(seed++) % below;
}

static inline char *
str(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* ---- a node ---- */

static inline size_t
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

static inline enum status
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

static inline void
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

static inline void
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

static inline void
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

static inline int
number_of(const char *name)
{
    return name[1] - '0';
}

static inline void
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

static inline void
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

static inline void
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

static inline void
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
static inline void
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

static inline void
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
static inline void
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
static inline uint64_t
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
static inline void
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
static inline void
give(struct node *issuer, const struct node *who, uint64_t leaf)
{
    struct store_txn *t;
    struct recall_place p = place(issuer);
    OK(store_begin_write(issuer->store, STORE_EXCHANGE, 65536, &t));
    OK(recall_note_given(t, &p, issuer->pub, leaf, who->name, UINT64_MAX));
    OK(store_commit(t));
}

static inline bool
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

static inline size_t
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
static inline size_t
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

static inline uint64_t
exch_size(const struct node *n)
{
    struct store_txn *t;
    struct store_log log;
    OK(store_begin_read(n->store, &t));
    OK(store_log_get(t, n->exch_id, &log));
    store_abort(t);
    return log.size;
}

static inline void
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

#endif
