/* engine_answer_io.c: look-ups of others: logged first, then answered. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/candidates.h"
#include "node/engine_lookup.h"
#include "node/engine_recall.h"
#include "node/origin.h"
#include "node/publisher.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "proto/wire.pb-c.h"
#include "store/log.h"

/* One Asked entry and what we say to it. */
struct reply {
    struct hash asked;
    uint64_t asked_index;
    uint8_t *entry; /* malloced */
    size_t entry_count;
    uint64_t index;
    uint8_t *raw; /* u32 length and bytes of each record given */
    size_t raw_count;
    size_t key_count; /* of held reports that are released */
    uint64_t key_leaves[LOOKUP_LEAVES_ASKED_MAX];
    uint8_t keys[LOOKUP_LEAVES_ASKED_MAX][KEY_BYTES];
    size_t given_count; /* leaves of our pub log: the asker relies on them from now on */
    uint64_t given[LOOKUP_LEAVES_ASKED_MAX];
};

/* A request under way: from the frame to the commit. */
struct answer {
    struct job job;
    struct network *network;
    uint32_t session, request;
    char institution[INSTITUTION_CHARS_MAX + 1];
    char exch_origin[ORIGIN_CHARS_MAX + 1];
    bool overdue;     /* who asks owes receipts */
    size_t raw_count; /* bytes of records given to all questions */
    size_t count;
    struct reply *replies; /* as many as were asked */
    uint64_t pub_size;     /* of our pub log when it was looked at */
};

static void
answer_free(struct answer *a)
{
    for (size_t i = 0; i < a->count; i++) {
        free(a->replies[i].raw);
        free(a->replies[i].entry);
        sodium_memzero(a->replies[i].keys, a->replies[i].key_count * KEY_BYTES);
    }
    free(a->replies);
    free(a);
}

/* Records in the answer to one request: half of what may wait to be sent. */
enum { ANSWER_BYTES_MAX = SESSION_QUEUE_BYTES_MAX / 2 };

/* Most that one released key takes in a message. */
enum { RELEASED_BYTES = ORIGIN_CHARS_MAX + KEY_BYTES + 32 };

/* ---- what is given ---- */

enum given { GIVEN, GIVEN_NOT, GIVEN_HELD };

/* The key of a held report, if it is released to who asks. */
static enum status
take_key(struct answer *a, struct store_txn *txn, uint64_t leaf, struct reply *r, bool *held)
{
    struct network *n = a->network;
    struct view text;
    bool released;
    *held = true;
    enum status st =
        engine_released(n, txn, leaf, a->institution, engine_now_ms() / 1000, &released);
    if (st != STATUS_OK || !released || r->key_count == LOOKUP_LEAVES_ASKED_MAX) {
        return st;
    }
    st = store_salt_get(txn, n->pub.id, leaf, r->keys[r->key_count], &text);
    if (st == STATUS_OK) {
        r->key_leaves[r->key_count++] = leaf;
        *held = false;
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* Append the record of a leaf, and its key if it is a held one: *given says
 * whether it is to be had. */
static enum status
give(struct answer *a, struct store_txn *txn, const Hr__Leaf *leaf, struct reply *r,
     enum given *given)
{
    struct network *n = a->network;
    struct view entry;
    struct view record;
    struct hash sealed;
    bool live = false, held = false;
    size_t keys = r->key_count;
    *given = GIVEN_NOT;
    if (strcmp(leaf->origin, n->pub.origin) != 0) {
        return STATUS_OK; /* only the issuer hands records out */
    }
    enum status st = store_entry_get(txn, n->pub.id, leaf->index, &entry);
    if (st != STATUS_OK || !candidates_sealed(entry, &sealed, &held)) {
        return st == STATUS_NOT_FOUND || st == STATUS_OK ? STATUS_OK : st; /* no record */
    }
    st = publisher_is_live(txn, n->pub.id, leaf->index, &live);
    if (st == STATUS_OK && live && held) {
        st = take_key(a, txn, leaf->index, r, &held);
        if (st != STATUS_OK || held) {
            *given = GIVEN_HELD;
            return st;
        }
    }
    if (st == STATUS_OK && live) {
        st = store_record_get(txn, n->pub.id, leaf->index, &sealed, &record);
    }
    if (st != STATUS_OK || !live ||
        r->raw_count + 4 + record.count > FRAME_BYTES_MAX - MESSAGE_BYTES_MAX - 64 ||
        a->raw_count + 4 + record.count > ANSWER_BYTES_MAX) {
        r->key_count = keys; /* no key without its record */
        return st == STATUS_NOT_FOUND ? STATUS_OK : st;
    }
    uint8_t *more = realloc(r->raw, r->raw_count + 4 + record.count);
    if (more == NULL) {
        return STATUS_NO_MEMORY;
    }
    r->raw = more;
    frame_put_u32(r->raw + r->raw_count, (uint32_t)record.count);
    memcpy(r->raw + r->raw_count + 4, record.bytes, record.count);
    r->raw_count += 4 + record.count;
    a->raw_count += 4 + record.count;
    *given = GIVEN;
    return STATUS_OK;
}

static enum status
pack_entry(const Hr__ExchEntry *e, struct reply *r)
{
    uint8_t bytes[ENTRY_BYTES_MAX];
    enum status st = pb_pack(&e->base, bytes, sizeof bytes, &r->entry_count);
    if (st == STATUS_OK) {
        r->entry = malloc(r->entry_count);
        if (r->entry == NULL) {
            return STATUS_NO_MEMORY;
        }
        memcpy(r->entry, bytes, r->entry_count);
    }
    return st;
}

static enum status
pack_refused(struct answer *a, struct reply *r, uint32_t reason)
{
    Hr__Refused m;
    Hr__ExchEntry e;
    hr__refused__init(&m);
    hr__exch_entry__init(&e);
    m.at_ms = (uint64_t)engine_now_ms();
    m.asked = (ProtobufCBinaryData){HASH_BYTES, r->asked.bytes};
    m.institution = a->institution;
    m.reason = reason;
    e.what_case = HR__EXCH_ENTRY__WHAT_REFUSED;
    e.refused = &m;
    return pack_entry(&e, r);
}

static enum status
pack_answered(struct answer *a, struct store_txn *txn, const Hr__Asked *asked, struct reply *r)
{
    Hr__Leaf *given[LOOKUP_LEAVES_ASKED_MAX];
    Hr__Leaf *missing[LOOKUP_LEAVES_ASKED_MAX];
    Hr__Leaf *held[LOOKUP_LEAVES_ASKED_MAX];
    Hr__Answered m;
    Hr__ExchEntry e;
    hr__answered__init(&m);
    hr__exch_entry__init(&e);
    m.at_ms = (uint64_t)engine_now_ms();
    m.asked = (ProtobufCBinaryData){HASH_BYTES, r->asked.bytes};
    m.institution = a->institution;
    m.leaves = given;
    m.missing = missing;
    m.held = held;
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < asked->n_leaves && i < LOOKUP_LEAVES_ASKED_MAX;
         i++) {
        enum given is = GIVEN_NOT;
        st = give(a, txn, asked->leaves[i], r, &is);
        if (is == GIVEN) {
            given[m.n_leaves++] = asked->leaves[i];
            r->given[r->given_count++] = asked->leaves[i]->index;
        } else {
            missing[m.n_missing++] = asked->leaves[i];
        }
        if (is == GIVEN_HELD) {
            held[m.n_held++] = asked->leaves[i];
        }
    }
    if (st == STATUS_OK && m.n_held > 0 && m.n_held == asked->n_leaves) {
        return pack_refused(a, r, REASON_HELD);
    }
    e.what_case = HR__EXCH_ENTRY__WHAT_ANSWERED;
    e.answered = &m;
    return st == STATUS_OK ? pack_entry(&e, r) : st;
}

static enum status
read_asked(struct answer *a, struct store_txn *txn, ProtobufCBinaryData bytes, struct reply *r)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    tree_leaf_hash(bytes.data, bytes.len, &r->asked);
    enum status st =
        pb_unpack(&hr__exch_entry__descriptor, (struct view){bytes.data, bytes.len},
                  ENTRY_BYTES_MAX, &arena, &m);
    if (st == STATUS_OK) {
        const Hr__ExchEntry *e = (const Hr__ExchEntry *)m;
        bool to_us = e->what_case == HR__EXCH_ENTRY__WHAT_ASKED &&
                     strcmp(e->asked->institution, a->network->engine->institution) == 0;
        const Hr__MemberRow *who = a->network->charter == NULL
                                       ? NULL
                                       : charter_member(a->network->charter, a->institution);
        if (who == NULL || !charter_is_member(who, engine_now_ms() / 1000)) {
            st = pack_refused(a, r, REASON_NOT_MEMBER); /* it left while this session was up */
        } else if (to_us && e->asked->n_leaves > LOOKUP_LEAVES_ASKED_MAX) {
            st = STATUS_TOO_BIG;
        } else if (!to_us) {
            st = pack_refused(a, r, REASON_FORBIDDEN);
        } else if (a->overdue) {
            st = pack_refused(a, r, REASON_RECEIPT);
        } else {
            st = pack_answered(a, txn, e->asked, r);
        }
    }
    pb_free(&arena);
    return st;
}

/* ---- commit, then send ---- */

static enum status
write_answer(struct store_txn *txn, void *ctx)
{
    struct answer *a = ctx;
    struct recall_place place = engine_recall_place(a->network);
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < a->count; i++) {
        struct reply *r = &a->replies[i];
        st = engine_exch_append(a->network, txn, (struct view){r->entry, r->entry_count},
                                &r->index, NULL);
        for (size_t k = 0; st == STATUS_OK && k < r->given_count; k++) {
            st = recall_note_given(txn, &place, a->network->pub.origin, r->given[k],
                                   a->institution, a->pub_size);
        }
    }
    return st;
}

/* A key on its way; its views point into the answer. */
struct released {
    Hr__ReleasedKey key;
    Hr__WireLeaf leaf;
};

static void
fill_released(struct answer *a, struct reply *r, size_t k, struct released *out)
{
    hr__released_key__init(&out->key);
    hr__wire_leaf__init(&out->leaf);
    out->leaf.origin = a->network->pub.origin;
    out->leaf.index = r->key_leaves[k];
    out->key.leaf = &out->leaf;
    out->key.key = (ProtobufCBinaryData){KEY_BYTES, r->keys[k]};
}

/* Send replies [from, to) in one frame. */
static void
send_part(struct answer *a, size_t from, size_t to)
{
    ProtobufCBinaryData entries[LOOKUPS_PER_REQUEST_MAX];
    uint64_t indexes[LOOKUPS_PER_REQUEST_MAX];
    size_t raw_count = 0, keys = 0;
    Hr__LookupTell tell;
    for (size_t i = from; i < to; i++) {
        keys += a->replies[i].key_count;
    }
    struct released *released = calloc(keys + 1, sizeof *released);
    Hr__ReleasedKey **list = calloc(keys + 1, sizeof *list);
    hr__lookup_tell__init(&tell);
    tell.exch_origin = a->network->exch.origin;
    tell.answered = entries;
    tell.exch_index = indexes;
    for (size_t i = from; i < to; i++) {
        entries[tell.n_answered++] =
            (ProtobufCBinaryData){a->replies[i].entry_count, a->replies[i].entry};
        indexes[tell.n_exch_index++] = a->replies[i].index;
        raw_count += a->replies[i].raw_count;
        for (size_t k = 0; released != NULL && list != NULL && k < a->replies[i].key_count;
             k++) {
            list[tell.n_released] = &released[tell.n_released].key;
            fill_released(a, &a->replies[i], k, &released[tell.n_released]);
            tell.n_released++;
        }
    }
    tell.released = list;
    uint8_t *raw = malloc(raw_count + 1);
    uint8_t *message = malloc(MESSAGE_BYTES_MAX);
    size_t count;
    if (raw != NULL && message != NULL && released != NULL && list != NULL &&
        pb_pack(&tell.base, message, MESSAGE_BYTES_MAX, &count) == STATUS_OK) {
        size_t at = 0;
        for (size_t i = from; i < to; i++) {
            if (a->replies[i].raw_count > 0) {
                memcpy(raw + at, a->replies[i].raw, a->replies[i].raw_count);
                at += a->replies[i].raw_count;
            }
        }
        enum status st = net_send(a->network->engine->net, a->session, a->request,
                                  FRAME_LOOKUP | FRAME_ANSWER, to == a->count,
                                  (struct view){message, count}, (struct view){raw, raw_count});
        if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
            net_close_session(a->network->engine->net, a->session);
        }
        sodium_memzero(message, MESSAGE_BYTES_MAX);
    }
    free(released);
    free(list);
    free(raw);
    free(message);
}

/* Refuse what cannot be read or logged or is too much, without a log entry: nothing was
 * given. */
static void
refuse(struct network *n, uint32_t session, uint32_t request, uint32_t reason)
{
    Hr__LookupTell tell;
    uint8_t message[64];
    size_t count;
    hr__lookup_tell__init(&tell);
    tell.refused = reason;
    if (pb_pack(&tell.base, message, sizeof message, &count) != STATUS_OK ||
        net_send(n->engine->net, session, request, FRAME_LOOKUP | FRAME_ANSWER, true,
                 (struct view){message, count}, (struct view){NULL, 0}) != STATUS_OK) {
        net_close_session(n->engine->net, session);
    }
}

static void
answer_done(void *ctx, enum status st)
{
    struct answer *a = ctx;
    if (st != STATUS_OK) {
        /* Not logged, so not given. */
        if (st == STATUS_NO_SPACE) { /* the log says it once, for all of them */
            refuse(a->network, a->session, a->request, REASON_FULL);
            answer_free(a);
            return;
        }
        if (engine_may_say(a->network, a->institution)) {
            engine_say(a->network->engine, "%s: a look-up of %s is not answered: %s",
                       a->network->name, a->institution, status_text(st));
        }
        net_close_session(a->network->engine->net, a->session);
        answer_free(a);
        return;
    }
    a->network->exch.dirty = true;
    size_t from = 0;
    while (from < a->count) {
        size_t to = from;
        size_t entries = 512;
        size_t raw = 0;
        while (to < a->count &&
               (to == from ||
                (entries + a->replies[to].entry_count + 24 +
                         a->replies[to].key_count * RELEASED_BYTES <
                     MESSAGE_BYTES_MAX &&
                 raw + a->replies[to].raw_count < FRAME_BYTES_MAX - MESSAGE_BYTES_MAX - 64))) {
            entries +=
                a->replies[to].entry_count + 24 + a->replies[to].key_count * RELEASED_BYTES;
            raw += a->replies[to].raw_count;
            to++;
        }
        send_part(a, from, to);
        from = to;
    }
    for (size_t i = 0; i < a->count; i++) {
        engine_receipt_owe(a->network, a->institution, a->replies[i].index);
    }
    answer_free(a);
}

/* Each question is an entry of our log: so many of one member a day, not as many as it
 * likes.  Said once, until it has kept within its budget for long enough to fill it. */
static bool
may_log(struct network *n, const char *institution, size_t count)
{
    if (n->gossip == NULL || gossip_spend(n->gossip, institution, GOSSIP_BUDGET_ENTRIES,
                                          (int64_t)count, net_time_ms())) {
        return true;
    }
    if (gossip_entries_refused(n->gossip, institution) == count) {
        engine_say(n->engine,
                   "%s: %s asks more than our exchange log takes of one member in a day "
                   "(member_entries_day): refused, and not logged; huren status counts it",
                   n->name, institution);
    }
    return false;
}

static enum status
read_request(struct answer *a, struct view message)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct origin origin;
    struct store_txn *txn;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__lookup_ask__descriptor, message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__LookupAsk *ask = st == STATUS_OK ? (const Hr__LookupAsk *)m : NULL;
    if (st == STATUS_OK &&
        (ask->n_asked == 0 || ask->n_asked > LOOKUPS_PER_REQUEST_MAX ||
         ask->n_asked != ask->n_exch_index ||
         origin_parse(text_view(ask->exch_origin), &origin) != STATUS_OK ||
         origin.log != ORIGIN_EXCH || strcmp(origin.institution, a->institution) != 0 ||
         strcmp(origin.network, a->network->name) != 0)) {
        st = STATUS_MALFORMED;
    }
    /* Each refusal is an entry of our log: some, not as many as anybody likes. */
    if (st == STATUS_OK) {
        engine_receipt_log(a->network, a->institution, ask->exch_origin);
    }
    a->overdue = engine_receipt_overdue(a->network, a->institution);
    if (st == STATUS_OK && a->overdue && a->network->gossip != NULL &&
        !gossip_spend(a->network->gossip, a->institution, GOSSIP_BUDGET_RECEIPTS,
                      GOSSIP_BAD_RECEIPT, net_time_ms())) {
        st = STATUS_BUSY;
    }
    if (st == STATUS_OK && !may_log(a->network, a->institution, ask->n_asked)) {
        st = STATUS_BUSY;
    }
    if (st == STATUS_OK && (a->replies = calloc(ask->n_asked, sizeof *a->replies)) == NULL) {
        st = STATUS_NO_MEMORY;
    }
    if (st == STATUS_OK) {
        struct store_log pub;
        st = store_begin_read(a->network->engine->store, &txn);
        if (st == STATUS_OK && store_log_get(txn, a->network->pub.id, &pub) == STATUS_OK) {
            a->pub_size = pub.size;
        }
        memcpy(a->exch_origin, ask->exch_origin, strlen(ask->exch_origin) + 1);
    }
    for (size_t i = 0; st == STATUS_OK && i < ask->n_asked; i++) {
        a->replies[i].asked_index = ask->exch_index[i];
        a->count++;
        st = read_asked(a, txn, ask->asked[i], &a->replies[i]);
        if (i + 1 == ask->n_asked || st != STATUS_OK) {
            store_abort(txn);
        }
    }
    pb_free(&arena);
    return st;
}

void
engine_answer_frame(struct network *n, uint32_t session, const char *institution,
                    const struct frame *f)
{
    struct answer *a = calloc(1, sizeof *a);
    if (a == NULL) {
        refuse(n, session, f->request, 0);
        return;
    }
    a->network = n;
    a->session = session;
    a->request = f->request;
    memcpy(a->institution, institution, strlen(institution) + 1);
    enum status st = read_request(a, f->message);
    if (st != STATUS_OK) {
        if (st != STATUS_BUSY && engine_may_say(n, institution)) {
            engine_say(n->engine, "%s: a look-up of %s is not readable: %s", n->name,
                       institution, status_text(st));
        }
        refuse(n, session, f->request, st == STATUS_BUSY ? REASON_BUSY : 0);
        if (st == STATUS_MALFORMED || st == STATUS_TOO_BIG) {
            net_close_session(n->engine->net, session); /* no honest asker sends it */
        }
        answer_free(a);
        return;
    }
    /* Before the commit: the receipt may come while it is waited for. */
    for (size_t i = 0; i < a->count; i++) {
        engine_receipt_expect(n, institution, a->exch_origin, a->replies[i].asked_index,
                              &a->replies[i].asked);
    }
    a->job = (struct job){.purpose = STORE_EXCHANGE,
                          .bytes = 1024 * a->count,
                          .write = write_answer,
                          .done = answer_done,
                          .ctx = a};
    engine_write(n->engine, &a->job);
}
