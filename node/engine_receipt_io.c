/* engine_receipt_io.c: receipts.h on the wire: sends what is owed, takes what comes. */
#include <stdlib.h>
#include <string.h>

#include "node/engine_lookup.h"
#include "node/receipts.h"
#include "proto/text.h"
#include "store/kv.h"

_Static_assert((int)RECEIPT_HEAD_BYTES_MAX == (int)ENGINE_HEAD_BYTES_MAX, "one kind of heads");

enum status
engine_receipt_open(struct network *n, struct store_txn *txn)
{
    n->receipts = receipts_new();
    return n->receipts == NULL ? STATUS_NO_MEMORY : receipts_open(n->receipts, txn, n->exch.id);
}

void
engine_receipt_free(struct network *n)
{
    receipts_free(n->receipts);
    n->receipts = NULL;
}

void
engine_receipt_owe(struct network *n, const char *institution, uint64_t index)
{
    receipts_owe(n->receipts, institution, index);
}

void
engine_receipt_expect(struct network *n, const char *institution, const char *origin,
                      uint64_t index, const struct hash *leaf)
{
    receipts_expect(n->receipts, institution, origin, index, leaf, net_time_ms());
}

void
engine_receipt_forget(struct network *n)
{
    if (n->receipts != NULL) {
        receipts_forget(n->receipts);
    }
}

void
engine_receipt_log(struct network *n, const char *institution, const char *origin)
{
    size_t lost;
    if (receipts_log(n->receipts, institution, origin, &lost)) {
        engine_say(n->engine,
                   "%s: %s goes on in another exchange log, %s (restored?): %zu receipts of "
                   "the one before will not come",
                   n->name, institution, origin, lost);
    }
}

void
engine_receipt_refused(struct network *n, const char *institution)
{
    struct store_txn *txn;
    enum status st = store_begin_read(n->engine->store, &txn);
    if (st == STATUS_OK) {
        st = receipts_again(n->receipts, txn, n->exch.id, institution, net_time_ms());
        store_abort(txn);
    }
    if (st != STATUS_OK) {
        engine_say(n->engine, "%s: receipts for %s: %s", n->name, institution, status_text(st));
    }
}

bool
engine_receipt_overdue(struct network *n, const char *institution)
{
    return receipts_overdue(n->receipts, institution, net_time_ms());
}

size_t
engine_receipts_due(struct network *n, const char *institution)
{
    return n->receipts == NULL ? 0 : receipts_due(n->receipts, institution);
}

void
engine_receipt_peer(struct network *n, uint32_t session, const char *institution, bool up)
{
    if (n->receipts != NULL) {
        receipts_peer(n->receipts, session, institution, up, net_time_ms());
    }
}

uint32_t
engine_session(struct network *n, const char *institution)
{
    return n->receipts == NULL ? 0 : receipts_session(n->receipts, institution);
}

/* ---- paying ---- */

static enum status
pay(struct network *n, const struct receipts_payment *p)
{
    struct store_txn *txn;
    size_t bytes;
    uint8_t *message = malloc(MESSAGE_BYTES_MAX);
    enum status st =
        message == NULL ? STATUS_NO_MEMORY : store_begin_read(n->engine->store, &txn);
    if (st == STATUS_OK) {
        st = receipts_pack(txn, n->exch.id, (struct view){n->exch.head, n->exch.head_count}, p,
                           message, MESSAGE_BYTES_MAX, &bytes);
        store_abort(txn);
    }
    if (st == STATUS_OK) {
        st = net_send(n->engine->net, p->session, 0, FRAME_RECEIPT, true,
                      (struct view){message, bytes}, (struct view){NULL, 0});
    }
    free(message);
    return st;
}

void
engine_receipt_tick(struct engine *e, int64_t now_ms)
{
    (void)now_ms;
    for (size_t i = 0; i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        struct receipts_payment p;
        const char *after = NULL;
        while (n->receipts != NULL && n->exch.has_head &&
               receipts_next(n->receipts, after, n->exch.signed_size, &p)) {
            if (pay(n, &p) == STATUS_OK) {
                receipts_paid(n->receipts, &p);
            } else {
                after = p.institution; /* later, or over another session */
            }
        }
    }
}

bool
engine_receipts_open(const struct engine *e)
{
    for (size_t i = 0; i < e->network_count; i++) {
        const struct network *n = &e->networks[i];
        if (n->receipts != NULL && receipts_open_any(n->receipts) && n->gossip != NULL &&
            gossip_may_sign(n->gossip, text_view(n->exch.origin))) {
            return true;
        }
    }
    return false;
}

/* ---- being paid ---- */

struct keep_job {
    struct job job;
    struct network *network;
    char institution[INSTITUTION_CHARS_MAX + 1];
    struct receipts_head head;
};

static enum status
write_keep(struct store_txn *txn, void *ctx)
{
    struct keep_job *j = ctx;
    return store_kv_put(txn, SPACE_RECEIPT, text_view(j->network->name),
                        text_view(j->institution), (struct view){j->head.note, j->head.count});
}

static void
keep_done(void *ctx, enum status st)
{
    (void)st; /* the newest head of theirs; the next one replaces it */
    free(ctx);
}

static void
keep_note(struct network *n, const char *institution, const struct receipts_head *head)
{
    struct keep_job *j = head->count > 0 ? calloc(1, sizeof *j) : NULL;
    if (j == NULL) {
        return;
    }
    j->network = n;
    memcpy(j->institution, institution, strlen(institution) + 1);
    j->head = *head;
    j->job = (struct job){.purpose = STORE_EXCHANGE,
                          .bytes = 1024,
                          .write = write_keep,
                          .done = keep_done,
                          .ctx = j};
    engine_write(n->engine, &j->job);
}

void
engine_receipt_frame(struct network *n, uint32_t session, const char *institution,
                     const struct frame *f)
{
    struct receipts_head head;
    if (n->gossip != NULL &&
        !gossip_spend(n->gossip, institution, GOSSIP_BUDGET_RECEIPTS, 1, net_time_ms())) {
        if (gossip_overdrawn(n->gossip, institution)) {
            net_close_session(n->engine->net, session);
        }
        return; /* what it owes is told again with the next session */
    }
    bool ok = n->charter != NULL && receipts_take(n->receipts, n->charter, institution,
                                                  f->message, engine_now_ms() / 1000, &head);
    if (ok) {
        keep_note(n, institution, &head);
    } else if (n->gossip != NULL) {
        (void)gossip_spend(n->gossip, institution, GOSSIP_BUDGET_RECEIPTS,
                           GOSSIP_BAD_RECEIPT - 1, net_time_ms());
    }
    if (!ok && engine_may_say(n, institution)) {
        engine_say(n->engine, "%s: a receipt of %s does not hold", n->name, institution);
    }
}
