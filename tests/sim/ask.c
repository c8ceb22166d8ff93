/* ask.c: one hospital asks another for a report: what the engine's look-ups and answers
 * do around lookup.h, receipts.h and recall.h. */
#include "node/candidates.h"
#include "node/publisher.h"
#include "proto/frame.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"
#include "store/log.h"
#include "tests/sim/check.h"
#include "tests/sim/exchange_state.h"
#include "tests/sim/node.h"

enum { WAIT_MS_MAX = 6000, DIAL_MS = 2000, LEAVES_MAX = 16 };

/* ---- asking ---- */

static enum status
pack_asked(struct world *w, struct node *n, struct ask *a)
{
    const struct lookup_leaf *leaves[LEAVES_MAX];
    Hr__Leaf list[LEAVES_MAX], *pointers[LEAVES_MAX];
    uint8_t question[HASH_BYTES] = {1};
    Hr__Asked m;
    Hr__ExchEntry e;
    hr__asked__init(&m);
    hr__exch_entry__init(&e);
    m.n_leaves = lookup_wanted(a->lookup, w->nodes[a->author].institution, leaves, LEAVES_MAX);
    for (size_t i = 0; i < m.n_leaves; i++) {
        hr__leaf__init(&list[i]);
        list[i].origin = (char *)(uintptr_t)leaves[i]->c.origin;
        list[i].index = leaves[i]->c.leaf;
        pointers[i] = &list[i];
    }
    m.at_ms = (uint64_t)node_now_s(w, n) * 1000;
    m.question = (ProtobufCBinaryData){HASH_BYTES, question};
    m.institution = w->nodes[a->author].institution;
    m.leaves = pointers;
    e.what_case = HR__EXCH_ENTRY__WHAT_ASKED;
    e.asked = &m;
    return pb_pack(&e.base, a->entry, sizeof a->entry, &a->entry_count);
}

static enum status
write_asked(struct world *w, struct node *n, struct store_txn *t, void *ctx)
{
    struct ask *a = ctx;
    (void)w;
    return exchange_append(n, t, (struct view){a->entry, a->entry_count}, &a->index, &a->asked);
}

static void
over(struct ask *a)
{
    lookup_free(a->lookup);
    a->lookup = NULL;
    a->state = ASK_NONE;
}

void
exchange_ask(struct world *w, struct node *n, struct node *author)
{
    struct exchange *x = n->exchange;
    struct store_txn *t = NULL;
    struct ask *a = x->asks;
    while (a < x->asks + EXCHANGE_ASKS_MAX && a->state != ASK_NONE) {
        a++;
    }
    if (a == x->asks + EXCHANGE_ASKS_MAX || !n->up ||
        !lis_question(w, n, author, &a->question)) {
        return;
    }
    enum status st = store_begin_read(n->store, &t);
    st = st == STATUS_OK ? lookup_open(&a->question.question, &a->question.place, t, &a->lookup)
                         : st;
    store_abort(t);
    if (st == STATUS_UNAVAILABLE) {
        return; /* no network key is in hand */
    }
    CHECK(w, "I1", st == STATUS_OK, "%s looks up a report: %s", n->institution,
          status_text(st));
    w->happened[HAPPENED_ASK]++;
    a->author = author->number;
    a->until_ms = w->now_ms + 100 + (int64_t)sim_below(&w->rng, WAIT_MS_MAX);
    a->state = lookup_holder_next(a->lookup, NULL) == NULL ? ASK_OVER : ASK_READY;
    if (a->state == ASK_OVER) {
        return;
    }
    if (strcmp(lookup_holder_next(a->lookup, NULL), author->institution) != 0) {
        over(a); /* another has a report of the same patient: not drawn here */
        return;
    }
    st = pack_asked(w, n, a);
    CHECK(w, "I6", st == STATUS_OK, "%s: an Asked entry: %s", n->institution, status_text(st));
    if (exchange_write(w, n, write_asked, a, &st) && st != STATUS_OK) {
        over(a);
    }
}

static void
send_ask(struct world *w, struct node *n, struct ask *a)
{
    static uint8_t message[MESSAGE_BYTES_MAX];
    struct exchange *x = n->exchange;
    const struct node *author = &w->nodes[a->author];
    uint32_t session = receipts_session(x->receipts, author->institution);
    size_t count;
    if (session == 0) {
        if (w->now_ms - x->dialled_ms > DIAL_MS) {
            x->dialled_ms = w->now_ms;
            wire_dial(w, n, author->institution);
        }
        return;
    }
    ProtobufCBinaryData entry = {a->entry_count, a->entry};
    Hr__LookupAsk ask;
    hr__lookup_ask__init(&ask);
    ask.exch_origin = x->now->origin;
    ask.exch_index = &a->index;
    ask.n_exch_index = 1;
    ask.asked = &entry;
    ask.n_asked = 1;
    enum status st = pb_pack(&ask.base, message, sizeof message, &count);
    CHECK(w, "I6", st == STATUS_OK, "%s: a request: %s", n->institution, status_text(st));
    a->state = ASK_SENT;
    a->session = session;
    a->request = ++x->requests;
    receipts_owe(x->receipts, author->institution, a->index);
    sim_say(w, n, "asks %s for a report, entry %llu of its exchange log", author->institution,
            (unsigned long long)a->index);
    exchange_send(w, n, session, a->request, FRAME_LOOKUP, (struct view){message, count},
                  (struct view){NULL, 0});
}

void
ask_peer(struct node *n, uint32_t session, const char *institution, bool up)
{
    (void)institution;
    for (size_t i = 0; i < EXCHANGE_ASKS_MAX; i++) {
        struct ask *a = &n->exchange->asks[i];
        if (!up && a->state == ASK_SENT && a->session == session) {
            a->state = ASK_READY; /* asked again if it comes back in time */
        }
    }
}

/* ---- what comes ---- */

static bool
take_records(struct ask *a, const char *institution, const Hr__Answered *m, struct view raw)
{
    for (size_t i = 0; i < m->n_leaves; i++) {
        uint32_t bytes = raw.count < 4 ? UINT32_MAX : frame_get_u32(raw.bytes);
        if (bytes > RECORD_BYTES_MAX || bytes > raw.count - 4) {
            return false;
        }
        enum status st =
            lookup_record(a->lookup, institution, m->leaves[i]->origin, m->leaves[i]->index,
                          (struct view){raw.bytes + 4, bytes}, NULL);
        if (st != STATUS_OK && st != STATUS_BAD_PROOF) {
            return false; /* what nobody asked for */
        }
        raw = (struct view){raw.bytes + 4 + bytes, raw.count - 4 - bytes};
    }
    for (size_t i = 0; i < m->n_missing; i++) {
        lookup_without(a->lookup, institution, m->missing[i]->origin, m->missing[i]->index,
                       LOOKUP_MISSING);
    }
    return true;
}

static void
was_refused(struct world *w, struct node *n, const struct node *author, const Hr__Refused *m)
{
    const char *institution = author->institution;
    struct exchange *x = n->exchange;
    struct store_txn *t = NULL;
    sim_say(w, n, "is refused by %s: reason %u", institution, m->reason);
    if (m->reason != RECEIPT_REASON) {
        return;
    }
    w->happened[HAPPENED_REFUSED]++;
    w->refused_honest += node_honest(n) && node_honest(author);
    enum status st = store_begin_read(n->store, &t);
    st = st == STATUS_OK ? receipts_again(x->receipts, t, x->id, institution, w->now_ms) : st;
    store_abort(t);
    CHECK(w, "I1", st == STATUS_OK, "%s: receipts: %s", n->institution, status_text(st));
}

/* The one entry of an answer; false: it is not what it should be. */
static bool
take_entry(struct world *w, struct node *n, struct ask *a, const Hr__LookupTell *tell,
           const struct gossip_event *event)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct hash leaf;
    const char *who = w->nodes[a->author].institution;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    struct view bytes = {tell->answered[0].data, tell->answered[0].len};
    bool ok =
        pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) == STATUS_OK;
    const Hr__ExchEntry *e = ok ? (const Hr__ExchEntry *)m : NULL;
    ProtobufCBinaryData asked = {0, NULL};
    if (ok && e->what_case == HR__EXCH_ENTRY__WHAT_ANSWERED) {
        asked = e->answered->asked;
    } else if (ok && e->what_case == HR__EXCH_ENTRY__WHAT_REFUSED) {
        asked = e->refused->asked;
    }
    ok = ok && asked.len == HASH_BYTES && memcmp(asked.data, a->asked.bytes, HASH_BYTES) == 0;
    if (ok && e->what_case == HR__EXCH_ENTRY__WHAT_ANSWERED) {
        ok = take_records(a, who, e->answered, event->raw);
        w->happened[HAPPENED_ANSWER] += ok;
    } else if (ok) {
        was_refused(w, n, &w->nodes[a->author], e->refused);
    }
    if (ok) {
        tree_leaf_hash(bytes.bytes, bytes.count, &leaf);
        receipts_expect(n->exchange->receipts, who, tell->exch_origin, tell->exch_index[0],
                        &leaf, w->now_ms);
    }
    pb_free(&arena);
    return ok;
}

void
ask_answered(struct world *w, struct node *n, const struct gossip_event *event)
{
    struct ask *a = n->exchange->asks;
    while (a < n->exchange->asks + EXCHANGE_ASKS_MAX &&
           (a->state != ASK_SENT || a->session != event->session ||
            a->request != event->request)) {
        a++;
    }
    if (a == n->exchange->asks + EXCHANGE_ASKS_MAX) {
        return; /* too late */
    }
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    bool ok = pb_unpack(&hr__lookup_tell__descriptor, event->message, MESSAGE_BYTES_MAX, &arena,
                        &m) == STATUS_OK;
    const Hr__LookupTell *tell = ok ? (const Hr__LookupTell *)m : NULL;
    ok = ok && tell->n_answered == 1 && tell->n_exch_index == 1 &&
         take_entry(w, n, a, tell, event);
    pb_free(&arena);
    CHECK(w, "I3", ok || !node_honest(&w->nodes[a->author]) || !node_honest(n),
          "%s is given an answer by %s that it cannot use", n->institution, event->institution);
    a->state = ASK_OVER;
}

/* ---- deciding ---- */

static enum status
note_use(struct world *w, struct node *n, struct store_txn *t, const struct lookup_result *r,
         const struct lookup_leaf *leaf)
{
    struct recall_place place = exchange_place(w, n);
    struct recall_row use = recall_row_of(RECALL_USE, "", leaf->c.origin, leaf->c.leaf);
    use.exch_log = n->exchange->id;
    use.exch = r->decision_count > 0 ? r->decisions[0].logged : UINT64_MAX;
    use.at_ms = place.at_ms;
    use.count = (uint32_t)r->decision_count;
    snprintf(use.item, sizeof use.item, "%s", r->code);
    return recall_note_use(t, &place, &use, leaf->given);
}

static enum status
write_decided(struct world *w, struct node *n, struct store_txn *t, void *ctx)
{
    struct ask *a = ctx;
    struct lookup *l = a->lookup;
    static uint8_t entry[ENTRY_BYTES_MAX];
    const uint8_t question[HASH_BYTES] = {1};
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < l->result_count; i++) {
        struct lookup_result *r = &l->results[i];
        for (size_t d = 0; st == STATUS_OK && d < r->decision_count; d++) {
            size_t count;
            st = lookup_decided(l, r, &r->decisions[d], (uint64_t)node_now_s(w, n) * 1000,
                                (struct view){question, HASH_BYTES},
                                (struct view){a->asked.bytes, HASH_BYTES}, entry, sizeof entry,
                                &count);
            st = st == STATUS_OK ? exchange_append(n, t, (struct view){entry, count},
                                                   &r->decisions[d].logged, NULL)
                                 : st;
        }
        if (st == STATUS_OK && r->item != NULL) {
            st = note_use(w, n, t, r, &l->leaves[r->leaf]);
        }
    }
    return st;
}

static void
decide(struct world *w, struct node *n, struct ask *a)
{
    struct exchange *x = n->exchange;
    struct store_txn *t = NULL;
    struct relied used[LEAVES_MAX];
    size_t count = 0;
    enum status st = store_begin_read(n->store, &t);
    st = st == STATUS_OK ? lookup_decide(a->lookup, t, node_now_s(w, n)) : st;
    store_abort(t);
    CHECK(w, "I1", st == STATUS_OK, "%s decides: %s", n->institution, status_text(st));
    for (size_t i = 0; i < a->lookup->result_count && count < LEAVES_MAX; i++) {
        const struct lookup_result *r = &a->lookup->results[i];
        if (r->item != NULL) {
            used[count++] =
                (struct relied){w->nodes[a->author].member, a->lookup->leaves[r->leaf].c.leaf};
        }
    }
    size_t before = x->now->history.count;
    (void)exchange_write(w, n, write_decided, a, &st);
    if (st != STATUS_OK || (x->now->history.count == before && count > 0 && !n->up)) {
        count = 0; /* refused, or died before the commit: nothing was decided */
    }
    for (size_t i = 0; i < count && x->relied_count < EXCHANGE_RELIED_MAX; i++) {
        x->relied[x->relied_count++] = used[i];
        w->happened[HAPPENED_DECISION]++;
        sim_say(w, n, "leans on entry %llu of %s", (unsigned long long)used[i].leaf,
                w->members[used[i].author].institution);
    }
    if (n->up) {
        over(a);
    }
}

void
ask_turn(struct world *w, struct node *n)
{
    for (size_t i = 0; i < EXCHANGE_ASKS_MAX && n->up; i++) {
        struct ask *a = &n->exchange->asks[i];
        if (a->state == ASK_READY && w->now_ms < a->until_ms) {
            send_ask(w, n, a);
        }
        if (a->state != ASK_NONE && a->state != ASK_OVER && w->now_ms >= a->until_ms) {
            lookup_silent(a->lookup, w->nodes[a->author].institution);
            a->state = ASK_OVER;
        }
        if (n->up && a->state == ASK_OVER) {
            decide(w, n, a);
        }
    }
}

int64_t
ask_deadline_ms(const struct exchange *x)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < EXCHANGE_ASKS_MAX; i++) {
        if (x->asks[i].state != ASK_NONE && x->asks[i].until_ms < next) {
            next = x->asks[i].until_ms;
        }
    }
    return next;
}

/* ---- answering ---- */

/* What one answer is made of. */
struct making {
    const struct answer *answer;
    const Hr__Asked *asked;
    struct hash hash;
    uint64_t pub_size, index;
    size_t entry_count, raw_count, given_count;
    uint64_t given[LEAVES_MAX];
    uint8_t entry[2048], raw[1 << 16];
};

static bool
give(struct node *n, struct store_txn *t, uint32_t log, uint64_t leaf, struct making *m)
{
    struct view entry, record;
    struct hash sealed;
    bool held = false, live = false;
    if (store_entry_get(t, log, leaf, &entry) != STATUS_OK ||
        !candidates_sealed(entry, &sealed, &held) || held ||
        publisher_is_live(t, log, leaf, &live) != STATUS_OK || !live ||
        store_record_get(t, log, leaf, &sealed, &record) != STATUS_OK ||
        m->raw_count + 4 + record.count > sizeof m->raw) {
        return false;
    }
    (void)n;
    frame_put_u32(m->raw + m->raw_count, (uint32_t)record.count);
    memcpy(m->raw + m->raw_count + 4, record.bytes, record.count);
    m->raw_count += 4 + record.count;
    m->given[m->given_count++] = leaf;
    return true;
}

static enum status
pack_answer(struct world *w, struct node *n, struct making *m)
{
    Hr__Leaf *given[LEAVES_MAX], *missing[LEAVES_MAX];
    Hr__Answered answered;
    Hr__Refused refused;
    Hr__ExchEntry e;
    struct store_txn *t = NULL;
    struct store_log log;
    hr__answered__init(&answered);
    hr__refused__init(&refused);
    hr__exch_entry__init(&e);
    answered.at_ms = refused.at_ms = (uint64_t)node_now_s(w, n) * 1000;
    answered.asked = refused.asked = (ProtobufCBinaryData){HASH_BYTES, m->hash.bytes};
    answered.institution = refused.institution = (char *)(uintptr_t)m->answer->institution;
    answered.leaves = given;
    answered.missing = missing;
    refused.reason = RECEIPT_REASON;
    e.what_case =
        m->answer->overdue ? HR__EXCH_ENTRY__WHAT_REFUSED : HR__EXCH_ENTRY__WHAT_ANSWERED;
    if (m->answer->overdue) {
        e.refused = &refused;
        return pb_pack(&e.base, m->entry, sizeof m->entry, &m->entry_count);
    }
    enum status st = store_begin_read(n->store, &t);
    st = st == STATUS_OK ? store_log_find(t, view_of_text(n->origin), &log) : st;
    m->pub_size = log.size;
    for (size_t i = 0; st == STATUS_OK && i < m->asked->n_leaves && i < LEAVES_MAX; i++) {
        Hr__Leaf *leaf = m->asked->leaves[i];
        if (strcmp(leaf->origin, n->origin) == 0 && give(n, t, log.id, leaf->index, m)) {
            given[answered.n_leaves++] = leaf;
        } else {
            missing[answered.n_missing++] = leaf;
        }
    }
    store_abort(t);
    e.answered = &answered;
    return st == STATUS_OK ? pb_pack(&e.base, m->entry, sizeof m->entry, &m->entry_count) : st;
}

static enum status
write_answer(struct world *w, struct node *n, struct store_txn *t, void *ctx)
{
    struct making *m = ctx;
    struct recall_place place = exchange_place(w, n);
    enum status st =
        exchange_append(n, t, (struct view){m->entry, m->entry_count}, &m->index, NULL);
    for (size_t i = 0; st == STATUS_OK && i < m->given_count; i++) {
        st = recall_note_given(t, &place, n->origin, m->given[i], m->answer->institution,
                               m->pub_size);
    }
    return st;
}

static void
send_answer(struct world *w, struct node *n, struct making *m)
{
    static uint8_t message[MESSAGE_BYTES_MAX];
    size_t count;
    Hr__LookupTell tell;
    ProtobufCBinaryData entry = {m->entry_count, m->entry};
    hr__lookup_tell__init(&tell);
    tell.exch_origin = n->exchange->now->origin;
    tell.answered = &entry;
    tell.n_answered = 1;
    tell.exch_index = &m->index;
    tell.n_exch_index = 1;
    enum status st = pb_pack(&tell.base, message, sizeof message, &count);
    CHECK(w, "I6", st == STATUS_OK, "%s: an answer: %s", n->institution, status_text(st));
    receipts_owe(n->exchange->receipts, m->answer->institution, m->index);
    exchange_send(w, n, m->answer->session, m->answer->request, FRAME_LOOKUP | FRAME_ANSWER,
                  (struct view){message, count}, (struct view){m->raw, m->raw_count});
}

/* Read what is to be given; it is committed later, as in the engine, and the log may
 * have grown by then. */
static void
make_answer(struct world *w, struct node *n, struct answer *a, const Hr__LookupAsk *ask)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *entry;
    struct view bytes = {ask->asked[0].data, ask->asked[0].len};
    struct making *m = calloc(1, sizeof *m);
    assert(m != NULL);
    m->answer = a;
    tree_leaf_hash(bytes.bytes, bytes.count, &m->hash);
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &entry) !=
            STATUS_OK ||
        ((Hr__ExchEntry *)entry)->what_case != HR__EXCH_ENTRY__WHAT_ASKED) {
        free(m);
    } else {
        m->asked = ((Hr__ExchEntry *)entry)->asked;
        enum status st = pack_answer(w, n, m);
        CHECK(w, "I1", st == STATUS_OK, "%s answers: %s", n->institution, status_text(st));
        m->asked = NULL;
        a->making = m;
    }
    pb_free(&arena);
}

void
answer_ask(struct world *w, struct node *n, const struct gossip_event *e)
{
    struct exchange *x = n->exchange;
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct origin o;
    size_t lost;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__lookup_ask__descriptor, e->message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__LookupAsk *ask = st == STATUS_OK ? (const Hr__LookupAsk *)m : NULL;
    if (st != STATUS_OK || ask->n_asked != 1 || ask->n_exch_index != 1 ||
        origin_parse(view_of_text(ask->exch_origin), &o) != STATUS_OK || o.log != ORIGIN_EXCH ||
        strcmp(o.institution, e->institution) != 0 || x->answer_count == EXCHANGE_ANSWERS_MAX) {
        pb_free(&arena);
        return;
    }
    if (receipts_log(x->receipts, e->institution, ask->exch_origin, &lost)) {
        sim_say(w, n, "hears that %s goes on in another exchange log", e->institution);
    }
    struct answer a = {.at_ms = w->now_ms + (int64_t)sim_below(&w->rng, 400),
                       .session = e->session,
                       .request = e->request,
                       .overdue = receipts_overdue(x->receipts, e->institution, w->now_ms)};
    strcpy(a.institution, e->institution);
    make_answer(w, n, &a, ask);
    if (a.making != NULL) {
        x->answers[x->answer_count++] = a;
        receipts_expect(x->receipts, e->institution, ask->exch_origin, ask->exch_index[0],
                        &a.making->hash, w->now_ms);
    }
    pb_free(&arena);
}

static void
answer_now(struct world *w, struct node *n, struct answer *a)
{
    enum status st;
    a->making->answer = a;
    if (exchange_write(w, n, write_answer, a->making, &st) && st == STATUS_OK) {
        sim_say(w, n, "%s %s", a->overdue ? "refuses" : "answers", a->institution);
        send_answer(w, n, a->making);
    } else if (n->up) {
        wire_close(w, a->session / 2); /* not logged, so not given */
    }
}

void
answer_turn(struct world *w, struct node *n)
{
    struct exchange *x = n->exchange;
    for (size_t i = 0; i < x->answer_count && n->up;) {
        struct answer a = x->answers[i];
        if (w->now_ms < a.at_ms) {
            i++;
            continue;
        }
        x->answers[i] = x->answers[--x->answer_count];
        answer_now(w, n, &a);
        free(a.making);
    }
}
