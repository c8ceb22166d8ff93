#include "node/publisher_taken.h"

#include <string.h>

#include "crypto/record.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/index.h"
#include "store/kv.h"
#include "store/log.h"

enum { TAKEN_MAX = 256, REASON_IN_ERROR = 1 /* Withdraw.reason of log.proto */ };

enum status
taken_from(struct store_txn *txn, const char *network, struct view origin, uint64_t *first)
{
    struct view value;
    *first = UINT64_MAX;
    enum status st = store_kv_get(txn, PUBLISHER_KV_TAKEN, text_view(network), origin, &value);
    if (st == STATUS_OK) {
        st = store_kv_get_u64(txn, PUBLISHER_KV_TAKEN, text_view(network), origin, first);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

enum status
taken_note(struct store_txn *txn, const char *network, struct view origin, uint64_t first)
{
    uint64_t before;
    enum status st = taken_from(txn, network, origin, &before);
    if (st != STATUS_OK || before <= first) {
        return st;
    }
    return store_kv_put_u64(txn, PUBLISHER_KV_TAKEN, text_view(network), origin, first);
}

/* An entry of ours without a row in the ledger. */
struct taken {
    uint64_t leaf;
    enum publish_what what;
    uint64_t replaces;
    uint8_t sealed[HASH_BYTES];
    bool held;
};

struct taken_list {
    struct store_txn *txn;
    uint32_t log;
    uint64_t from;
    struct taken at[TAKEN_MAX];
    size_t count;
    enum status status;
};

static bool
read_taken(const Hr__PubEntry *e, struct taken *out)
{
    const ProtobufCBinaryData *sealed = NULL;
    if (e->what_case == HR__PUB_ENTRY__WHAT_PUBLISH) {
        out->what = PUBLISH_NEW;
        out->held = e->publish->brief.len == 0;
        sealed = &e->publish->sealed;
    } else if (e->what_case == HR__PUB_ENTRY__WHAT_CORRECT) {
        out->what = PUBLISH_CORRECT;
        out->replaces = e->correct->replaces;
        out->held = e->correct->brief.len == 0;
        sealed = &e->correct->sealed;
    } else if (e->what_case == HR__PUB_ENTRY__WHAT_WITHDRAW) {
        out->what = PUBLISH_WITHDRAW;
        out->replaces = e->withdraw->replaces;
        return true;
    }
    if (sealed == NULL || sealed->len != HASH_BYTES) {
        return false;
    }
    memcpy(out->sealed, sealed->data, HASH_BYTES);
    return true;
}

static bool
take_leaf(void *context, uint32_t log, uint64_t leaf)
{
    struct taken_list *l = context;
    struct store_own own;
    struct view bytes;
    if (log != l->log || leaf < l->from) {
        return true;
    }
    enum status st = store_own_get(l->txn, log, leaf, &own);
    if (st != STATUS_NOT_FOUND) {
        l->status = st;
        return st == STATUS_OK;
    }
    if (l->count == TAKEN_MAX) {
        l->status = STATUS_TOO_BIG;
        return false;
    }
    st = store_entry_get(l->txn, log, leaf, &bytes);
    if (st != STATUS_OK) {
        l->status = st;
        return false;
    }
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct taken one = {.leaf = leaf};
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    st = pb_unpack(&hr__pub_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m);
    if (st == STATUS_OK && read_taken((const Hr__PubEntry *)m, &one)) {
        l->at[l->count++] = one;
    }
    pb_free(&arena);
    return true;
}

static enum status
find_taken(struct publisher *p, uint64_t from, const uint8_t token[TOKEN_BYTES],
           struct taken_list *l)
{
    l->txn = p->txn;
    l->log = p->log;
    l->from = from;
    l->count = 0;
    l->status = STATUS_OK;
    enum status st = store_index_find(p->txn, token, take_leaf, l);
    return st == STATUS_OK ? l->status : st;
}

/* Who replaced this leaf among the taken ones; NULL: nobody. */
static const struct taken *
replacer(const struct taken_list *l, uint64_t leaf)
{
    const struct taken *first = NULL;
    for (size_t i = 0; i < l->count; i++) {
        const struct taken *t = &l->at[i];
        if (t->what != PUBLISH_NEW && t->replaces == leaf && t->leaf > leaf &&
            (first == NULL || t->leaf < first->leaf)) {
            first = t;
        }
    }
    return first;
}

/* The entry with this record: one that still counts before one that does not. */
static const struct taken *
with_record(const struct taken_list *l, const struct publication *one)
{
    struct hash sealed;
    const struct taken *found = NULL;
    record_sealed((struct view){one->record, one->record_count}, &sealed);
    for (size_t i = 0; i < l->count; i++) {
        const struct taken *t = &l->at[i];
        if (t->what != PUBLISH_WITHDRAW && memcmp(t->sealed, sealed.bytes, HASH_BYTES) == 0 &&
            (found == NULL || replacer(l, found->leaf) != NULL)) {
            found = t;
        }
    }
    return found;
}

/* The oldest held entry that still counts and nobody can open. */
static const struct taken *
oldest_held(const struct taken_list *l)
{
    const struct taken *found = NULL;
    for (size_t i = 0; i < l->count; i++) {
        const struct taken *t = &l->at[i];
        if (t->what != PUBLISH_WITHDRAW && t->held && replacer(l, t->leaf) == NULL &&
            (found == NULL || t->leaf < found->leaf)) {
            found = t;
        }
    }
    return found;
}

/* Put the row beside the entry, as what the entry says that it is; the record,
 * too, if it is the one that the entry names. */
static enum status
put_beside(struct publisher *p, const struct taken *t, const struct publication *one,
           const uint8_t handle[PUBLISH_HANDLE_BYTES], bool with_its_record)
{
    struct publish_row row = one->row;
    uint8_t rank[PUBLISH_RANK_BYTES];
    struct store_own own;
    struct hash sealed;
    row.what = (uint8_t)t->what;
    row.replaces = t->replaces;
    publish_row_pack(&row, rank);
    memcpy(own.report, handle, sizeof own.report);
    memset(own.content, 0, sizeof own.content); /* of a record that is gone: no content */
    if (with_its_record) {
        memcpy(own.content, row.content, sizeof own.content);
    }
    own.rank = (struct view){rank, sizeof rank};
    enum status st = store_own_put(p->txn, p->log, t->leaf, &own);
    if (st == STATUS_OK && with_its_record && one->record != NULL) {
        memcpy(sealed.bytes, t->sealed, HASH_BYTES);
        st = store_record_put(p->txn, p->log, t->leaf, &sealed,
                              (struct view){one->record, one->record_count});
    }
    return st;
}

/* Follow what replaced the leaf of a step.  *withdrawn: a withdrawal did. */
static void
follow(const struct taken_list *l, struct publish_step *step, const struct taken **withdrawn)
{
    const struct taken *t;
    *withdrawn = NULL;
    while ((t = replacer(l, step->replaces)) != NULL) {
        if (t->what == PUBLISH_WITHDRAW) {
            *withdrawn = t;
            return;
        }
        step->replaces = t->leaf; /* always larger: it ends */
    }
}

/* One step becomes none (it is there already), one or two. */
static enum status
settle_step(struct publisher *p, const struct taken_list *l, const struct publication *one,
            const uint8_t handle[PUBLISH_HANDLE_BYTES], struct publish_step step,
            struct publish_step out[2], size_t *count)
{
    const struct taken *t;
    out[0] = step;
    *count = 1;
    if (step.what == PUBLISH_WITHDRAW) {
        follow(l, &out[0], &t);
        *count = t != NULL ? 0 : 1;
        return t != NULL ? put_beside(p, t, one, handle, true) : STATUS_OK;
    }
    if (!one->held && (t = with_record(l, one)) != NULL) {
        *count = 0;
        return put_beside(p, t, one, handle, true);
    }
    if (step.what == PUBLISH_CORRECT) {
        follow(l, &out[0], &t);
        if (t != NULL) {
            out[0].what = PUBLISH_NEW;
            out[0].replaces = 0;
        }
        return STATUS_OK;
    }
    if (one->held && (t = oldest_held(l)) != NULL) {
        out[1] = step;
        out[0] = (struct publish_step){.what = PUBLISH_WITHDRAW,
                                       .replaces = t->leaf,
                                       .epoch = one->row.epoch,
                                       .reason = REASON_IN_ERROR};
        memcpy(out[0].token, one->row.token, TOKEN_BYTES);
        *count = 2;
        return put_beside(p, t, one, handle, false); /* so that no other report takes it */
    }
    return STATUS_OK;
}

enum status
taken_settle(struct publisher *p, uint64_t from, const Hr__Report *report,
             const uint8_t handle[PUBLISH_HANDLE_BYTES],
             const uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES],
             struct publish_plan *plan, bool *fatal)
{
    struct taken_list list;
    struct publish_plan settled = {.outcome = plan->outcome};
    for (size_t i = 0; i < plan->count; i++) {
        struct publication one;
        struct publish_step steps[2] = {plan->steps[i]};
        size_t count = 1;
        *fatal = false;
        enum status st = publish_make(p->context, report, &plan->steps[i], random[0], &one);
        if (st != STATUS_OK) {
            return st;
        }
        *fatal = true;
        st = find_taken(p, from, one.row.token, &list);
        if (st == STATUS_OK && list.count > 0) {
            st = settle_step(p, &list, &one, handle, plan->steps[i], steps, &count);
        }
        publication_free(&one);
        if (st != STATUS_OK) {
            *fatal = st != STATUS_TOO_BIG;
            return st;
        }
        if (settled.count + count > sizeof settled.steps / sizeof settled.steps[0]) {
            *fatal = false;
            return STATUS_TOO_BIG;
        }
        for (size_t k = 0; k < count; k++) {
            settled.steps[settled.count++] = steps[k];
        }
    }
    if (settled.count == 0) {
        settled.outcome = PUBLISH_REPEAT;
    }
    *plan = settled;
    *fatal = false;
    return STATUS_OK;
}

/* One step as it would have been under the key of `c`. */
static enum status
find_earlier(struct publisher *p, const struct publish_context *c, uint64_t from,
             const Hr__Report *report, const uint8_t handle[PUBLISH_HANDLE_BYTES],
             const struct publish_step *step, const uint8_t held_key[KEY_BYTES], bool *more,
             bool *fatal)
{
    struct taken_list list;
    struct publication one;
    const struct taken *t = NULL;
    *fatal = false;
    enum status st = publish_make(c, report, step, held_key, &one);
    if (st != STATUS_OK) {
        return st;
    }
    *fatal = true;
    st = find_taken(p, from, one.row.token, &list);
    if (st == STATUS_OK && !one.held) {
        t = with_record(&list, &one);
    } else if (st == STATUS_OK && step->what == PUBLISH_NEW) {
        t = oldest_held(&list);
    }
    if (t != NULL) {
        *more = true;
        st = put_beside(p, t, &one, handle, !one.held);
    }
    publication_free(&one);
    *fatal = *fatal && st != STATUS_TOO_BIG;
    return st;
}

enum status
taken_earlier(struct publisher *p, uint64_t from, const Hr__Report *report,
              const uint8_t handle[PUBLISH_HANDLE_BYTES], const struct publish_row *rows,
              size_t row_count, const uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES],
              bool *more, bool *fatal)
{
    struct publish_context c = *p->context;
    enum status st = STATUS_OK;
    *more = *fatal = false;
    for (size_t e = p->context->earlier_count; st == STATUS_OK && !*more && e-- > 0;) {
        struct publish_plan plan;
        c.network_key = &p->context->earlier[e];
        st = publish_plan(&c, report, 0, rows, row_count, &plan);
        for (size_t i = 0; st == STATUS_OK && plan.outcome == PUBLISH_STEPS && i < plan.count;
             i++) {
            if (plan.steps[i].what != PUBLISH_WITHDRAW) {
                st = find_earlier(p, &c, from, report, handle, &plan.steps[i], random[0], more,
                                  fatal);
            }
        }
    }
    return st;
}
