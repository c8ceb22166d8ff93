#include "node/recall_proof.h"

#include <string.h>

#include "crypto/checkpoint.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/index.h"
#include "store/log.h"

enum status
recall_entry_read(struct view bytes, struct recall_entry *out)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    ProtobufCBinaryData token = {0, NULL};
    *out = (struct recall_entry){0};
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = pb_unpack(&hr__pub_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m);
    const Hr__PubEntry *e = st == STATUS_OK ? (const Hr__PubEntry *)m : NULL;
    if (e != NULL && e->what_case == HR__PUB_ENTRY__WHAT_PUBLISH) {
        token = e->publish->token;
    } else if (e != NULL && e->what_case == HR__PUB_ENTRY__WHAT_CORRECT) {
        token = e->correct->token;
        out->replaces_one = true;
        out->replaces = e->correct->replaces;
    } else if (e != NULL && e->what_case == HR__PUB_ENTRY__WHAT_WITHDRAW) {
        token = e->withdraw->token;
        out->replaces_one = true;
        out->withdraw = true;
        out->replaces = e->withdraw->replaces;
    }
    if (st == STATUS_OK && token.len != TOKEN_BYTES) {
        st = STATUS_MALFORMED;
    }
    if (st == STATUS_OK) {
        memcpy(out->token, token.data, TOKEN_BYTES);
    }
    pb_free(&arena);
    return st == STATUS_TOO_BIG ? STATUS_MALFORMED : st;
}

struct search {
    struct store_txn *txn;
    uint32_t log;
    uint64_t leaf;
    const uint8_t *token;
    bool found, withdraw;
    uint64_t by;
    enum status status;
};

static bool
take_hit(void *context, uint32_t log, uint64_t leaf)
{
    struct search *s = context;
    struct recall_entry e;
    struct view bytes;
    if (log != s->log || leaf <= s->leaf || (s->found && leaf >= s->by)) {
        return true;
    }
    s->status = store_entry_get(s->txn, log, leaf, &bytes);
    if (s->status == STATUS_OK && recall_entry_read(bytes, &e) == STATUS_OK && e.replaces_one &&
        e.replaces == s->leaf && memcmp(e.token, s->token, TOKEN_BYTES) == 0) {
        s->found = true;
        s->withdraw = e.withdraw;
        s->by = leaf;
    }
    return s->status == STATUS_OK;
}

enum status
recall_replaced(struct store_txn *txn, uint32_t log, uint64_t leaf, uint64_t *by,
                bool *withdraw)
{
    struct view bytes;
    struct recall_entry old;
    enum status st = store_entry_get(txn, log, leaf, &bytes);
    if (st != STATUS_OK || recall_entry_read(bytes, &old) != STATUS_OK) {
        return st == STATUS_OK ? STATUS_NOT_FOUND : st;
    }
    struct search s = {.txn = txn, .log = log, .leaf = leaf, .token = old.token};
    st = store_index_find(txn, old.token, take_hit, &s);
    st = st == STATUS_OK ? s.status : st;
    *by = s.by;
    *withdraw = s.withdraw;
    return st == STATUS_OK && !s.found ? STATUS_NOT_FOUND : st;
}

enum status
recall_proof_make(struct store_txn *txn, const char *origin, uint64_t old, uint64_t by,
                  uint8_t *out, size_t max, size_t *count)
{
    struct store_log log;
    struct view head_bytes;
    struct view entry;
    struct note note;
    struct checkpoint head;
    struct recall_entry what;
    struct hash proof[TREE_PROOF_HASHES_MAX];
    ProtobufCBinaryData hashes[TREE_PROOF_HASHES_MAX];
    size_t hash_count = 0;
    enum status st = store_log_find(txn, text_view(origin), &log);
    st = st == STATUS_OK ? store_note_get(txn, log.id, STORE_NOTE_HEAD, &head_bytes) : st;
    st = st == STATUS_OK ? note_parse(head_bytes, &note) : st;
    st = st == STATUS_OK ? checkpoint_parse(note.text, &head) : st;
    st = st == STATUS_OK && by >= head.size ? STATUS_NOT_FOUND : st;
    st = st == STATUS_OK ? store_entry_get(txn, log.id, by, &entry) : st;
    if (st == STATUS_OK && (recall_entry_read(entry, &what) != STATUS_OK ||
                            !what.replaces_one || what.replaces != old)) {
        st = STATUS_REFUSED;
    }
    st = st == STATUS_OK
             ? store_prove_inclusion(txn, log.id, by, head.size, &head.root, proof, &hash_count)
             : st;
    if (st != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; i < hash_count; i++) {
        hashes[i] = (ProtobufCBinaryData){HASH_BYTES, proof[i].bytes};
    }
    Hr__WireLeaf leaves[2];
    Hr__Recall m;
    hr__recall__init(&m);
    for (size_t i = 0; i < 2; i++) {
        hr__wire_leaf__init(&leaves[i]);
        leaves[i].origin = (char *)(uintptr_t)origin;
        leaves[i].index = i == 0 ? old : by;
    }
    m.old = &leaves[0];
    m.by = &leaves[1];
    m.entry = (ProtobufCBinaryData){entry.count, (uint8_t *)(uintptr_t)entry.bytes};
    m.note = (ProtobufCBinaryData){head_bytes.count, (uint8_t *)(uintptr_t)head_bytes.bytes};
    m.proof = hashes;
    m.n_proof = hash_count;
    return pb_pack(&m.base, out, max, count);
}

enum status
recall_proof_check(const Hr__Recall *m, const struct note_key *keys, size_t key_count,
                   int64_t now_s, struct recall_entry *what)
{
    struct hash proof[TREE_PROOF_HASHES_MAX];
    struct checkpoint_opened opened;
    struct hash leaf;
    struct view entry = {m->entry.data, m->entry.len};
    struct view note = {m->note.data, m->note.len};
    if (m->old == NULL || m->by == NULL || strcmp(m->old->origin, m->by->origin) != 0 ||
        m->old->index >= m->by->index || m->n_proof > TREE_PROOF_HASHES_MAX ||
        entry.count == 0 || entry.count > ENTRY_BYTES_MAX) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < m->n_proof; i++) {
        if (m->proof[i].len != HASH_BYTES) {
            return STATUS_MALFORMED;
        }
        memcpy(proof[i].bytes, m->proof[i].data, HASH_BYTES);
    }
    enum status st = recall_entry_read(entry, what);
    if (st == STATUS_OK && (!what->replaces_one || what->replaces != m->old->index)) {
        st = STATUS_REFUSED;
    }
    if (st != STATUS_OK) {
        return st;
    }
    st = STATUS_UNKNOWN_KEY;
    for (size_t i = 0; i < key_count && st != STATUS_OK; i++) {
        st = checkpoint_open(note, text_view(m->by->origin), &keys[i], 1, now_s, &opened);
    }
    if (st != STATUS_OK) {
        return st;
    }
    tree_leaf_hash(entry.bytes, entry.count, &leaf);
    return tree_check_inclusion(&opened.checkpoint.root, opened.checkpoint.size, &leaf,
                                m->by->index, proof, m->n_proof);
}
