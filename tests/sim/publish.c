/* publish.c: what a node publishes: commit, acknowledge, sign, keep, show. */
#include "crypto/checkpoint.h"
#include "proto/log.pb-c.h"
#include "store/log.h"
#include "tests/sim/check.h"
#include "tests/sim/exchange.h"
#include "tests/sim/lis.h"
#include "tests/sim/node.h"

bool
node_may_sign(const struct node *n)
{
    return n->up && gossip_may_sign(n->gossip, view_of_text(n->origin));
}

/* What the log has that the truth does not: just committed.  Read again. */
static void
take_down(struct world *w, struct node *n)
{
    struct store_txn *t = NULL;
    struct store_log log;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    st = store_log_find(t, view_of_text(n->origin), &log);
    CHECK(w, "I1", st == STATUS_OK, "%s: own log: %s", n->institution, status_text(st));
    for (uint64_t i = n->history->count; i < log.size; i++) {
        struct view entry;
        st = store_entry_get(t, log.id, i, &entry);
        CHECK(w, "I1", st == STATUS_OK, "%s: entry: %s", n->institution, status_text(st));
        Hr__PubEntry *e = hr__pub_entry__unpack(NULL, entry.count, entry.bytes);
        struct hash sealed = {{0}};
        ProtobufCBinaryData of = {0, NULL};
        CHECK(w, "I4", e != NULL, "%s: an entry that is none", n->institution);
        if (e->what_case == HR__PUB_ENTRY__WHAT_PUBLISH && e->publish->brief.len > 0) {
            of = e->publish->sealed;
        } else if (e->what_case == HR__PUB_ENTRY__WHAT_CORRECT && e->correct->brief.len > 0) {
            of = e->correct->sealed;
        }
        if (of.len == HASH_BYTES) {
            memcpy(sealed.bytes, of.data, HASH_BYTES);
        }
        hr__pub_entry__free_unpacked(e, NULL);
        history_add(n->history, entry, &sealed);
    }
    store_abort(t);
}

void
node_publish(struct world *w, struct node *n, unsigned count)
{
    struct view origin = view_of_text(n->origin);
    struct store_txn *t = NULL;
    struct store_log log;
    struct publisher p;
    if (!n->up || (node_honest(n) && !node_may_sign(n)) || !lis_may_publish(n)) {
        return;
    }
    if (n->stubborn) {
        (void)lis_draw_new(w, n, 2);
    } else {
        lis_draw(w, n, count);
    }
    enum status st = store_begin_write(n->store, STORE_PUBLISH, 1 << 20, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: write: %s", n->institution, status_text(st));
    if (store_log_find(t, origin, &log) != STATUS_OK) {
        st = store_log_create(t, origin, STORE_LOG_OWN, 0, &log.id);
        log.size = 0;
    }
    CHECK(w, "I1", st == STATUS_OK, "%s: own log: %s", n->institution, status_text(st));
    CHECK(w, "I1", log.size == n->history->count,
          "%s goes on from %llu entries, but had acknowledged %zu", n->institution,
          (unsigned long long)log.size, n->history->count);
    st = lis_publisher(w, n, t, log.id, &p);
    CHECK(w, "I1", st == STATUS_OK, "%s: publisher: %s", n->institution, status_text(st));
    lis_send(w, n, &p);
    st = publisher_flush(&p);
    CHECK(w, "I1", st == STATUS_OK, "%s: publish: %s", n->institution, status_text(st));
    publisher_end(&p);
    if (node_dies(w)) {
        store_abort(t);
        node_crash(w, n, "before it committed what it publishes");
        return;
    }
    st = store_commit(t);
    CHECK(w, "I1", st == STATUS_OK, "%s: commit: %s", n->institution, status_text(st));
    take_down(w, n);
    sim_say(w, n, "publishes: %zu messages, %zu entries now", lis_waiting(n),
            n->history->count);
    n->largest[n->member] = n->history->count;
    n->sign_due = true;
    if (node_dies(w)) {
        node_crash(w, n, "between commit and acknowledgement");
        return;
    }
    lis_acknowledged(n);
    if (node_dies(w)) {
        node_crash(w, n, "between commit and signature");
        return;
    }
    node_sign(w, n);
}

void
node_sign(struct world *w, struct node *n)
{
    struct view origin = view_of_text(n->origin);
    struct store_txn *t = NULL;
    struct store_log log;
    uint8_t note[1024];
    size_t count = 0;
    if (!n->up || (node_honest(n) && !node_may_sign(n))) {
        return;
    }
    n->sign_due = false;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    st = store_log_find(t, origin, &log);
    struct checkpoint c = {.origin = origin, .size = log.size, .root = log.root};
    store_abort(t);
    if (st != STATUS_OK || c.size == 0) {
        return;
    }
    check_sign(w, n, c.size, &c.root);
    st = checkpoint_sign(&n->log_signer, &c, note, sizeof note, &count);
    CHECK(w, "I2", st == STATUS_OK, "%s: sign: %s", n->institution, status_text(st));
    n->history->signed_size = c.size;
    exchange_signed(n);
    sim_say(w, n, "signs %llu", (unsigned long long)c.size);
    n->clean = n->clean || gossip_settled(n->gossip); /* HOME/last-signed */
    if (node_dies(w)) {
        node_crash(w, n, "between signature and sending");
        return;
    }
    st = store_begin_write(n->store, STORE_EXCHANGE, 4096, &t);
    if (st == STATUS_OK) {
        st = store_note_put(t, log.id, STORE_NOTE_HEAD, (struct view){note, count});
    }
    CHECK(w, "I1", st == STATUS_OK && store_commit(t) == STATUS_OK, "%s: head", n->institution);
    if (node_dies(w)) {
        node_crash(w, n, "between keeping its head and sending it");
        return;
    }
    struct gossip_event e = {.type = GOSSIP_OWN_HEAD, .origin = origin, .note = {note, count}};
    node_event(w, n, &e);
}
