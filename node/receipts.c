#include "node/receipts.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "node/gossip.h"
#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "proto/wire.pb-c.h"
#include "store/log.h"

struct due {
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t index;
    struct hash leaf;
    int64_t since_ms; /* when it could first be paid */
};

struct payer {
    struct payer *next;
    char institution[INSTITUTION_CHARS_MAX + 1];
    uint32_t session; /* 0: none up */
    int64_t up_ms;
    char origin[ORIGIN_CHARS_MAX + 1]; /* of its exch log, as it last said */
    unsigned moves;                    /* how often it went on in another one */
    bool told_again;                   /* all that our log has, */
    int64_t again_ms;                  /* then */
    size_t owed_count, owed_room, due_count, due_room;
    size_t paid_count; /* over this session, in all */
    uint64_t paid[RECEIPT_PAID_MAX];
    uint64_t *owed;
    struct due *due;
};

struct receipts {
    struct payer *first;
};

struct receipts *
receipts_new(void)
{
    return calloc(1, sizeof(struct receipts));
}

void
receipts_free(struct receipts *r)
{
    while (r != NULL && r->first != NULL) {
        struct payer *next = r->first->next;
        free(r->first->owed);
        free(r->first->due);
        free(r->first);
        r->first = next;
    }
    free(r);
}

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

static struct payer *
find(struct receipts *r, const char *institution)
{
    for (struct payer *p = r->first; p != NULL; p = p->next) {
        if (strcmp(p->institution, institution) == 0) {
            return p;
        }
    }
    struct payer *p = strlen(institution) > INSTITUTION_CHARS_MAX ? NULL : calloc(1, sizeof *p);
    if (p != NULL) {
        memcpy(p->institution, institution, strlen(institution) + 1);
        p->next = r->first;
        r->first = p;
    }
    return p;
}

static void
owe(struct payer *p, uint64_t index)
{
    uint64_t *owed =
        grow(p->owed, p->owed_count, &p->owed_room, RECEIPT_OWED_MAX, sizeof *owed);
    if (owed != NULL) {
        p->owed = owed;
        p->owed[p->owed_count++] = index;
    }
}

void
receipts_owe(struct receipts *r, const char *institution, uint64_t index)
{
    struct payer *p = find(r, institution);
    if (p != NULL) {
        owe(p, index);
    }
}

void
receipts_expect(struct receipts *r, const char *institution, const char *origin, uint64_t index,
                const struct hash *leaf, int64_t now_ms)
{
    struct payer *p = find(r, institution);
    struct due *due =
        p == NULL ? NULL
                  : grow(p->due, p->due_count, &p->due_room, RECEIPT_DUE_MAX, sizeof *due);
    if (due == NULL || strlen(origin) > ORIGIN_CHARS_MAX) {
        return;
    }
    p->due = due;
    if (p->origin[0] == '\0') {
        memcpy(p->origin, origin, strlen(origin) + 1);
    }
    struct due *d = &p->due[p->due_count++];
    memcpy(d->origin, origin, strlen(origin) + 1);
    d->index = index;
    d->leaf = *leaf;
    d->since_ms = now_ms;
}

void
receipts_forget(struct receipts *r)
{
    for (struct payer *p = r->first; p != NULL; p = p->next) {
        p->owed_count = p->paid_count = 0;
    }
}

bool
receipts_log(struct receipts *r, const char *institution, const char *origin, size_t *lost)
{
    struct payer *p = find(r, institution);
    *lost = 0;
    if (p == NULL || strlen(origin) > ORIGIN_CHARS_MAX || strcmp(p->origin, origin) == 0) {
        return false;
    }
    bool first = p->origin[0] == '\0';
    memcpy(p->origin, origin, strlen(origin) + 1);
    if (first || p->moves >= RECEIPT_MOVES_MAX) {
        return false; /* who goes on and on in new logs pays for the old ones */
    }
    p->moves++;
    size_t kept = 0;
    for (size_t i = 0; i < p->due_count; i++) {
        if (strcmp(p->due[i].origin, origin) == 0) {
            p->due[kept++] = p->due[i];
        }
    }
    *lost = p->due_count - kept;
    p->due_count = kept;
    return true;
}

bool
receipts_overdue(struct receipts *r, const char *institution, int64_t now_ms)
{
    struct payer *p = find(r, institution);
    if (p == NULL) {
        return false;
    }
    for (size_t i = 0; i < p->due_count; i++) {
        int64_t since = p->due[i].since_ms > p->up_ms ? p->due[i].since_ms : p->up_ms;
        if (p->session != 0 && now_ms - since > RECEIPT_MS) {
            return true;
        }
    }
    return p->due_count == RECEIPT_DUE_MAX;
}

size_t
receipts_due(struct receipts *r, const char *institution)
{
    struct payer *p = find(r, institution);
    return p == NULL ? 0 : p->due_count;
}

/* What was told last over a session that ended may not have arrived, and whoever
 * waits for it would refuse us for ever: it is owed again. */
static void
owe_paid(struct payer *p)
{
    size_t count = p->paid_count < RECEIPT_PAID_MAX ? p->paid_count : RECEIPT_PAID_MAX;
    for (size_t i = 0; i < count; i++) {
        owe(p, p->paid[i]);
    }
    p->paid_count = 0;
}

void
receipts_peer(struct receipts *r, uint32_t session, const char *institution, bool up,
              int64_t now_ms)
{
    struct payer *p = find(r, institution);
    if (p != NULL && p->session != 0 && (up || p->session == session)) {
        owe_paid(p);
    }
    if (p != NULL && up) {
        p->session = session;
        p->up_ms = now_ms;
    } else if (p != NULL && p->session == session) {
        p->session = 0;
    }
}

uint32_t
receipts_session(struct receipts *r, const char *institution)
{
    struct payer *p = find(r, institution);
    return p == NULL ? 0 : p->session;
}

/* ---- what our log makes us owe ---- */

/* To whom this entry is owed ("": nobody). */
static enum status
owed_to(struct store_txn *txn, uint32_t log, uint64_t index, char to[INSTITUTION_CHARS_MAX + 1])
{
    enum { ASKED_TAG = 0x0a, ANSWERED_TAG = 0x12, REFUSED_TAG = 0x1a };
    struct view bytes;
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    to[0] = '\0';
    enum status st = store_entry_get(txn, log, index, &bytes);
    if (st != STATUS_OK || bytes.count == 0 ||
        (bytes.bytes[0] != ASKED_TAG && bytes.bytes[0] != ANSWERED_TAG &&
         bytes.bytes[0] != REFUSED_TAG)) {
        return st;
    }
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) ==
        STATUS_OK) {
        const Hr__ExchEntry *e = (const Hr__ExchEntry *)m;
        const char *who =
            e->what_case == HR__EXCH_ENTRY__WHAT_ASKED      ? e->asked->institution
            : e->what_case == HR__EXCH_ENTRY__WHAT_ANSWERED ? e->answered->institution
            : e->what_case == HR__EXCH_ENTRY__WHAT_REFUSED  ? e->refused->institution
                                                            : "";
        if (strlen(who) <= INSTITUTION_CHARS_MAX) {
            memcpy(to, who, strlen(who) + 1);
        }
    }
    pb_free(&arena);
    return STATUS_OK;
}

enum status
receipts_open(struct receipts *r, struct store_txn *txn, uint32_t log)
{
    struct store_log l;
    char to[INSTITUTION_CHARS_MAX + 1];
    enum status st = store_log_get(txn, log, &l);
    uint64_t from =
        st == STATUS_OK && l.size > RECEIPT_REMEMBERED ? l.size - RECEIPT_REMEMBERED : 0;
    for (uint64_t i = from; st == STATUS_OK && i < l.size; i++) {
        st = owed_to(txn, log, i, to);
        if (st == STATUS_OK && to[0] != '\0') {
            receipts_owe(r, to, i);
        }
    }
    return st;
}

enum status
receipts_again(struct receipts *r, struct store_txn *txn, uint32_t log, const char *institution,
               int64_t now_ms)
{
    struct store_log l;
    char to[INSTITUTION_CHARS_MAX + 1];
    struct payer *p = find(r, institution);
    if (p == NULL || (p->told_again && now_ms - p->again_ms < RECEIPT_AGAIN_MS)) {
        return p == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    p->told_again = true;
    p->again_ms = now_ms;
    p->owed_count = p->paid_count = 0; /* they are among these */
    enum status st = store_log_get(txn, log, &l);
    uint64_t from =
        st == STATUS_OK && l.size > RECEIPT_AGAIN_ENTRIES ? l.size - RECEIPT_AGAIN_ENTRIES : 0;
    for (uint64_t i = from; st == STATUS_OK && i < l.size; i++) {
        st = owed_to(txn, log, i, to);
        if (st == STATUS_OK && strcmp(to, institution) == 0) {
            if (p->owed_count == RECEIPT_OWED_MAX) { /* the newest ones */
                memmove(p->owed, p->owed + 1, (p->owed_count - 1) * sizeof *p->owed);
                p->owed_count--;
            }
            owe(p, i);
        }
    }
    return st;
}

/* ---- paying ---- */

bool
receipts_next(struct receipts *r, const char *after, uint64_t signed_size,
              struct receipts_payment *out)
{
    struct payer *p = r->first;
    if (after != NULL) {
        while (p != NULL && strcmp(p->institution, after) != 0) {
            p = p->next;
        }
        p = p == NULL ? NULL : p->next;
    }
    for (; p != NULL; p = p->next) {
        size_t count = 0;
        while (p->session != 0 && count < p->owed_count && count < RECEIPT_LEAVES_AT_ONCE &&
               p->owed[count] < signed_size) {
            count++;
        }
        if (count > 0) {
            *out = (struct receipts_payment){p->institution, p->session, p->owed, count};
            return true;
        }
    }
    return false;
}

enum status
receipts_pack(struct store_txn *txn, uint32_t log, struct view bytes,
              const struct receipts_payment *p, uint8_t *out, size_t max, size_t *count)
{
    struct note note;
    struct checkpoint head;
    struct hash proofs[RECEIPT_LEAVES_AT_ONCE][TREE_PROOF_HASHES_MAX];
    ProtobufCBinaryData hashes[RECEIPT_LEAVES_AT_ONCE][TREE_PROOF_HASHES_MAX];
    Hr__ReceiptLeaf leaves[RECEIPT_LEAVES_AT_ONCE];
    Hr__ReceiptLeaf *list[RECEIPT_LEAVES_AT_ONCE];
    Hr__Receipt receipt;
    hr__receipt__init(&receipt);
    enum status st = note_parse(bytes, &note);
    st = st == STATUS_OK ? checkpoint_parse(note.text, &head) : st;
    for (size_t i = 0; st == STATUS_OK && i < p->count; i++) {
        size_t hash_count = 0;
        st = store_prove_inclusion(txn, log, p->indexes[i], head.size, &head.root, proofs[i],
                                   &hash_count);
        hr__receipt_leaf__init(&leaves[i]);
        for (size_t k = 0; k < hash_count; k++) {
            hashes[i][k] = (ProtobufCBinaryData){HASH_BYTES, proofs[i][k].bytes};
        }
        leaves[i].index = p->indexes[i];
        leaves[i].proof = hashes[i];
        leaves[i].n_proof = hash_count;
        list[i] = &leaves[i];
    }
    receipt.note = (ProtobufCBinaryData){bytes.count, (uint8_t *)(uintptr_t)bytes.bytes};
    receipt.leaves = list;
    receipt.n_leaves = p->count;
    return st == STATUS_OK ? pb_pack(&receipt.base, out, max, count) : st;
}

void
receipts_paid(struct receipts *r, const struct receipts_payment *payment)
{
    struct payer *p = find(r, payment->institution);
    size_t count = payment->count;
    if (p == NULL || p->owed_count < count) {
        return;
    }
    for (size_t k = 0; k < count; k++) {
        p->paid[p->paid_count++ % RECEIPT_PAID_MAX] = p->owed[k];
    }
    memmove(p->owed, p->owed + count, (p->owed_count - count) * sizeof *p->owed);
    p->owed_count -= count;
}

bool
receipts_open_any(const struct receipts *r)
{
    for (const struct payer *p = r->first; p != NULL; p = p->next) {
        if (p->session != 0 && p->owed_count > 0) {
            return true;
        }
    }
    return false;
}

/* ---- being paid ---- */

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

/* Is this a head of an exch log of the member, under a key that may still sign? */
static bool
is_its_head(const struct charter *c, const char *institution, struct view bytes, int64_t now_s,
            struct checkpoint *head)
{
    struct note_key keys[GOSSIP_MEMBER_KEYS_MAX];
    struct note note;
    struct checkpoint_opened opened;
    struct origin origin;
    if (note_parse(bytes, &note) != STATUS_OK ||
        checkpoint_parse(note.text, head) != STATUS_OK ||
        origin_parse(head->origin, &origin) != STATUS_OK || origin.log != ORIGIN_EXCH ||
        strcmp(origin.institution, institution) != 0) {
        return false;
    }
    size_t count = charter_log_keys(c, head->origin, keys, GOSSIP_MEMBER_KEYS_MAX);
    const Hr__MemberRow *who = charter_member(c, origin.institution);
    for (size_t i = 0; i < count; i++) {
        int64_t to = charter_log_key_to(who, keys[i].public_key);
        if (to > 0 && now_s >= to) {
            continue; /* it signs nothing any more */
        }
        if (checkpoint_open(bytes, head->origin, &keys[i], 1, now_s, &opened) == STATUS_OK) {
            return true;
        }
    }
    return false;
}

static void
take_leaf(struct payer *p, const Hr__ReceiptLeaf *leaf, const struct checkpoint *head)
{
    for (size_t d = 0; d < p->due_count; d++) {
        if (p->due[d].index == leaf->index && text_is(head->origin, p->due[d].origin) &&
            proves(leaf, &p->due[d], head)) {
            p->due[d] = p->due[--p->due_count];
            return;
        }
    }
}

bool
receipts_take(struct receipts *r, const struct charter *c, const char *institution,
              struct view message, int64_t now_s, struct receipts_head *out)
{
    struct payer *p = find(r, institution);
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct checkpoint head;
    out->count = 0;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    bool ok = p != NULL && c != NULL &&
              pb_unpack(&hr__receipt__descriptor, message, MESSAGE_BYTES_MAX, &arena, &m) ==
                  STATUS_OK;
    const Hr__Receipt *receipt = ok ? (const Hr__Receipt *)m : NULL;
    ok = ok && receipt->n_leaves <= RECEIPT_LEAVES_MAX &&
         is_its_head(c, institution, (struct view){receipt->note.data, receipt->note.len},
                     now_s, &head);
    for (size_t i = 0; ok && i < receipt->n_leaves; i++) {
        take_leaf(p, receipt->leaves[i], &head);
    }
    if (ok && receipt->note.len <= sizeof out->note) {
        memcpy(out->note, receipt->note.data, receipt->note.len);
        out->count = receipt->note.len;
    }
    pb_free(&arena);
    return ok;
}
