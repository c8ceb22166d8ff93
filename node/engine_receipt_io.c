/* engine_receipt_io.c: proofs of what both sides logged about a look-up.
 *
 * Nobody signs single look-ups: within ENGINE_RECEIPT_MS each side sends the
 * other a signed checkpoint of its exch log with the inclusion of the entries
 * concerned; who does not, while a session is up, is refused (DESIGN 9). */
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "node/engine_lookup.h"
#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "proto/wire.pb-c.h"
#include "store/kv.h"

enum {
    OWED_MAX = 4096,
    DUE_MAX = 4096,
    LEAVES_AT_ONCE = 48, /* of proofs in one message */
    PAID_MAX = 512,      /* told last, and told again over the next session */
    MOVES_MAX = 4,       /* new exch logs of a member that are taken as restores, in one run */
    REMEMBERED = 1024    /* own entries looked through after a start */
};

struct due {
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t index;
    struct hash leaf;
    int64_t since_ms; /* when it could first be paid */
};

struct receipts {
    struct receipts *next;
    char institution[INSTITUTION_CHARS_MAX + 1];
    uint32_t session; /* 0: none up */
    int64_t up_ms;
    char origin[ORIGIN_CHARS_MAX + 1]; /* of its exch log, as it last said */
    unsigned moves;                    /* how often it went on in another one */
    size_t owed_count, owed_room, due_count, due_room;
    size_t paid_count; /* over this session, in all */
    uint64_t paid[PAID_MAX];
    uint64_t *owed;
    struct due *due;
};

/* Room for one more in a list of at most `max`; NULL: there is none. */
static void *
grow(void *list, size_t count, size_t *room, size_t max, size_t bytes)
{
    if (count < *room) {
        return list;
    }
    size_t more = *room == 0 ? 16 : *room * 2;
    void *grown = count >= max ? NULL : realloc(list, more * bytes);
    if (grown != NULL) {
        *room = more;
    }
    return grown;
}

static struct receipts *
find(struct network *n, const char *institution)
{
    for (struct receipts *r = n->receipts; r != NULL; r = r->next) {
        if (strcmp(r->institution, institution) == 0) {
            return r;
        }
    }
    struct receipts *r = calloc(1, sizeof *r);
    if (r != NULL) {
        memcpy(r->institution, institution, strlen(institution) + 1);
        r->next = n->receipts;
        n->receipts = r;
    }
    return r;
}

void
engine_receipt_free(struct network *n)
{
    while (n->receipts != NULL) {
        struct receipts *next = n->receipts->next;
        free(n->receipts->owed);
        free(n->receipts->due);
        free(n->receipts);
        n->receipts = next;
    }
}

void
engine_receipt_owe(struct network *n, const char *institution, uint64_t index)
{
    struct receipts *r = find(n, institution);
    uint64_t *owed =
        r == NULL ? NULL : grow(r->owed, r->owed_count, &r->owed_room, OWED_MAX, sizeof *owed);
    if (owed != NULL) {
        r->owed = owed;
        r->owed[r->owed_count++] = index;
    }
}

void
engine_receipt_expect(struct network *n, const char *institution, const char *origin,
                      uint64_t index, const struct hash *leaf)
{
    struct receipts *r = find(n, institution);
    struct due *due =
        r == NULL ? NULL : grow(r->due, r->due_count, &r->due_room, DUE_MAX, sizeof *due);
    if (due == NULL || strlen(origin) > ORIGIN_CHARS_MAX) {
        return;
    }
    r->due = due;
    if (r->origin[0] == '\0') {
        memcpy(r->origin, origin, strlen(origin) + 1);
    }
    struct due *d = &r->due[r->due_count++];
    memcpy(d->origin, origin, strlen(origin) + 1);
    d->index = index;
    d->leaf = *leaf;
    d->since_ms = net_time_ms();
}

void
engine_receipt_forget(struct network *n)
{
    for (struct receipts *r = n->receipts; r != NULL; r = r->next) {
        r->owed_count = r->paid_count = 0;
    }
}

void
engine_receipt_log(struct network *n, const char *institution, const char *origin)
{
    struct receipts *r = find(n, institution);
    if (r == NULL || strlen(origin) > ORIGIN_CHARS_MAX || strcmp(r->origin, origin) == 0) {
        return;
    }
    bool first = r->origin[0] == '\0';
    memcpy(r->origin, origin, strlen(origin) + 1);
    if (first || r->moves >= MOVES_MAX) {
        return; /* who goes on and on in new logs pays for the old ones, or gets no answers */
    }
    r->moves++;
    size_t kept = 0;
    for (size_t i = 0; i < r->due_count; i++) {
        if (strcmp(r->due[i].origin, origin) == 0) {
            r->due[kept++] = r->due[i];
        }
    }
    engine_say(
        n->engine,
        "%s: %s goes on in another exchange log, %s (restored?): %zu receipts of the one "
        "before will not come",
        n->name, institution, origin, r->due_count - kept);
    r->due_count = kept;
}

bool
engine_receipt_overdue(struct network *n, const char *institution)
{
    struct receipts *r = find(n, institution);
    int64_t now = net_time_ms();
    if (r == NULL) {
        return false;
    }
    for (size_t i = 0; i < r->due_count; i++) {
        int64_t since = r->due[i].since_ms > r->up_ms ? r->due[i].since_ms : r->up_ms;
        if (r->session != 0 && now - since > ENGINE_RECEIPT_MS) {
            return true;
        }
    }
    return r->due_count == DUE_MAX;
}

size_t
engine_receipts_due(struct network *n, const char *institution)
{
    struct receipts *r = find(n, institution);
    return r == NULL ? 0 : r->due_count;
}

/* ---- what we still owe after a start ---- */

static enum status
owe_again(struct network *n, struct store_txn *txn, uint64_t index)
{
    struct view bytes;
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    enum status st = store_entry_get(txn, n->exch.id, index, &bytes);
    if (st != STATUS_OK) {
        return st;
    }
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) ==
        STATUS_OK) {
        const Hr__ExchEntry *e = (const Hr__ExchEntry *)m;
        const char *to =
            e->what_case == HR__EXCH_ENTRY__WHAT_ASKED      ? e->asked->institution
            : e->what_case == HR__EXCH_ENTRY__WHAT_ANSWERED ? e->answered->institution
            : e->what_case == HR__EXCH_ENTRY__WHAT_REFUSED  ? e->refused->institution
                                                            : NULL;
        if (to != NULL && strlen(to) <= INSTITUTION_CHARS_MAX) {
            engine_receipt_owe(n, to, index);
        }
    }
    pb_free(&arena);
    return STATUS_OK;
}

enum status
engine_receipt_open(struct network *n, struct store_txn *txn)
{
    struct store_log log;
    enum status st = store_log_get(txn, n->exch.id, &log);
    uint64_t from = st == STATUS_OK && log.size > REMEMBERED ? log.size - REMEMBERED : 0;
    for (uint64_t i = from; st == STATUS_OK && i < log.size; i++) {
        st = owe_again(n, txn, i);
    }
    return st;
}

/* ---- paying ---- */

/* Prove owed[0 .. count) under the signed head and send. */
static enum status
pay(struct network *n, struct receipts *r, size_t count)
{
    struct store_txn *txn;
    struct note note;
    struct checkpoint head;
    struct hash proofs[LEAVES_AT_ONCE][TREE_PROOF_HASHES_MAX];
    ProtobufCBinaryData hashes[LEAVES_AT_ONCE][TREE_PROOF_HASHES_MAX];
    Hr__ReceiptLeaf leaves[LEAVES_AT_ONCE];
    Hr__ReceiptLeaf *list[LEAVES_AT_ONCE];
    Hr__Receipt receipt;
    hr__receipt__init(&receipt);
    enum status st = note_parse((struct view){n->exch.head, n->exch.head_count}, &note);
    st = st == STATUS_OK ? checkpoint_parse(note.text, &head) : st;
    st = st == STATUS_OK ? store_begin_read(n->engine->store, &txn) : st;
    if (st != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        size_t hash_count = 0;
        st = store_prove_inclusion(txn, n->exch.id, r->owed[i], head.size, &head.root,
                                   proofs[i], &hash_count);
        hr__receipt_leaf__init(&leaves[i]);
        for (size_t k = 0; k < hash_count; k++) {
            hashes[i][k] = (ProtobufCBinaryData){HASH_BYTES, proofs[i][k].bytes};
        }
        leaves[i].index = r->owed[i];
        leaves[i].proof = hashes[i];
        leaves[i].n_proof = hash_count;
        list[i] = &leaves[i];
    }
    store_abort(txn);
    receipt.note = (ProtobufCBinaryData){n->exch.head_count, n->exch.head};
    receipt.leaves = list;
    receipt.n_leaves = count;
    uint8_t *message = malloc(MESSAGE_BYTES_MAX);
    size_t bytes;
    if (st == STATUS_OK && message == NULL) {
        st = STATUS_NO_MEMORY;
    }
    st = st == STATUS_OK ? pb_pack(&receipt.base, message, MESSAGE_BYTES_MAX, &bytes) : st;
    if (st == STATUS_OK) {
        st = net_send(n->engine->net, r->session, 0, FRAME_RECEIPT, true,
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
        for (struct receipts *r = n->receipts; r != NULL && n->exch.has_head; r = r->next) {
            while (r->session != 0 && r->owed_count > 0 && r->owed[0] < n->exch.signed_size) {
                size_t count = 0;
                while (count < r->owed_count && count < LEAVES_AT_ONCE &&
                       r->owed[count] < n->exch.signed_size) {
                    count++;
                }
                if (pay(n, r, count) != STATUS_OK) {
                    break; /* later, or over another session */
                }
                for (size_t k = 0; k < count; k++) {
                    r->paid[r->paid_count++ % PAID_MAX] = r->owed[k];
                }
                memmove(r->owed, r->owed + count, (r->owed_count - count) * sizeof *r->owed);
                r->owed_count -= count;
            }
        }
    }
}

bool
engine_receipts_open(const struct engine *e)
{
    for (size_t i = 0; i < e->network_count; i++) {
        for (const struct receipts *r = e->networks[i].receipts; r != NULL; r = r->next) {
            if (r->session != 0 && r->owed_count > 0 && e->networks[i].gossip != NULL &&
                gossip_may_sign(e->networks[i].gossip, text_view(e->networks[i].exch.origin))) {
                return true;
            }
        }
    }
    return false;
}

/* What was told last over a session that ended may not have arrived, and whoever
 * waits for it would refuse us for ever: it is owed again. */
static void
owe_paid(struct network *n, struct receipts *r)
{
    size_t count = r->paid_count < PAID_MAX ? r->paid_count : PAID_MAX;
    for (size_t i = 0; i < count; i++) {
        engine_receipt_owe(n, r->institution, r->paid[i]);
    }
    r->paid_count = 0;
}

void
engine_receipt_peer(struct network *n, uint32_t session, const char *institution, bool up)
{
    struct receipts *r = find(n, institution);
    if (r != NULL && r->session != 0 && (up || r->session == session)) {
        owe_paid(n, r);
    }
    if (r != NULL && up) {
        r->session = session;
        r->up_ms = net_time_ms();
    } else if (r != NULL && r->session == session) {
        r->session = 0;
    }
}

uint32_t
engine_session(struct network *n, const char *institution)
{
    struct receipts *r = find(n, institution);
    return r == NULL ? 0 : r->session;
}

/* ---- being paid ----------------------------------------------------------------------------
 */

struct keep_job {
    struct job job;
    struct network *network;
    char institution[INSTITUTION_CHARS_MAX + 1];
    size_t count;
    uint8_t note[ENGINE_HEAD_BYTES_MAX];
};

static enum status
write_keep(struct store_txn *txn, void *ctx)
{
    struct keep_job *j = ctx;
    return store_kv_put(txn, SPACE_RECEIPT, text_view(j->network->name),
                        text_view(j->institution), (struct view){j->note, j->count});
}

static void
keep_done(void *ctx, enum status st)
{
    (void)st; /* the newest head of theirs; the next one replaces it */
    free(ctx);
}

static void
keep_note(struct network *n, const char *institution, struct view note)
{
    struct keep_job *j = note.count <= ENGINE_HEAD_BYTES_MAX ? calloc(1, sizeof *j) : NULL;
    if (j == NULL) {
        return;
    }
    j->network = n;
    memcpy(j->institution, institution, strlen(institution) + 1);
    memcpy(j->note, note.bytes, note.count);
    j->count = note.count;
    j->job = (struct job){.purpose = STORE_EXCHANGE,
                          .bytes = 1024,
                          .write = write_keep,
                          .done = keep_done,
                          .ctx = j};
    engine_write(n->engine, &j->job);
}

static bool
proves(const Hr__ReceiptLeaf *l, const struct due *d, const struct checkpoint *head)
{
    struct hash proof[TREE_PROOF_HASHES_MAX];
    if (l->n_proof > TREE_PROOF_HASHES_MAX) {
        return false;
    }
    for (size_t i = 0; i < l->n_proof; i++) {
        if (l->proof[i].len != HASH_BYTES) {
            return false;
        }
        memcpy(proof[i].bytes, l->proof[i].data, HASH_BYTES);
    }
    return tree_check_inclusion(&head->root, head->size, &d->leaf, l->index, proof,
                                l->n_proof) == STATUS_OK;
}

static bool
take_receipt(struct network *n, struct receipts *r, const Hr__Receipt *m)
{
    struct note_key keys[GOSSIP_MEMBER_KEYS_MAX];
    struct note note;
    struct checkpoint head;
    struct checkpoint_opened opened;
    struct origin origin;
    struct view bytes = {m->note.data, m->note.len};
    if (note_parse(bytes, &note) != STATUS_OK ||
        checkpoint_parse(note.text, &head) != STATUS_OK ||
        origin_parse(head.origin, &origin) != STATUS_OK || origin.log != ORIGIN_EXCH ||
        strcmp(origin.institution, r->institution) != 0) {
        return false;
    }
    size_t count = charter_log_keys(n->charter, head.origin, keys, GOSSIP_MEMBER_KEYS_MAX);
    enum status st = STATUS_UNKNOWN_KEY;
    const Hr__MemberRow *who = charter_member(n->charter, origin.institution);
    for (size_t i = 0; i < count && st != STATUS_OK; i++) {
        int64_t to = charter_log_key_to(who, keys[i].public_key);
        if (to > 0 && engine_now_ms() / 1000 >= to) {
            continue; /* it signs nothing any more */
        }
        st = checkpoint_open(bytes, head.origin, &keys[i], 1, engine_now_ms() / 1000, &opened);
    }
    if (st != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < m->n_leaves; i++) {
        for (size_t d = 0; d < r->due_count; d++) {
            if (r->due[d].index == m->leaves[i]->index &&
                text_is(head.origin, r->due[d].origin) &&
                proves(m->leaves[i], &r->due[d], &head)) {
                r->due[d] = r->due[--r->due_count];
                break;
            }
        }
    }
    keep_note(n, r->institution, bytes);
    return true;
}

void
engine_receipt_frame(struct network *n, uint32_t session, const char *institution,
                     const struct frame *f)
{
    struct receipts *r = find(n, institution);
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    if (n->gossip != NULL &&
        !gossip_spend(n->gossip, institution, GOSSIP_BUDGET_RECEIPTS, 1, net_time_ms())) {
        if (gossip_overdrawn(n->gossip, institution)) {
            net_close_session(n->engine->net, session);
        }
        return; /* what it owes is told again with the next session */
    }
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    bool ok = r != NULL && n->charter != NULL &&
              pb_unpack(&hr__receipt__descriptor, f->message, MESSAGE_BYTES_MAX, &arena, &m) ==
                  STATUS_OK &&
              ((const Hr__Receipt *)m)->n_leaves <= RECEIPT_LEAVES_MAX &&
              take_receipt(n, r, (const Hr__Receipt *)m);
    pb_free(&arena);
    if (!ok && n->gossip != NULL) {
        (void)gossip_spend(n->gossip, institution, GOSSIP_BUDGET_RECEIPTS,
                           GOSSIP_BAD_RECEIPT - 1, net_time_ms());
    }
    if (!ok && engine_may_say(n, institution)) {
        engine_say(n->engine, "%s: a receipt of %s does not hold", n->name, institution);
    }
}
