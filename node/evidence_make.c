/* evidence_make.c: collecting what proves a result. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "node/cosigned.h"
#include "node/evidence.h"
#include "node/evidence_format.h"
#include "node/origin.h"
#include "proto/evidence.pb-c.h"
#include "proto/pbcheck.h"
#include "store/log.h"

enum { ROWS_MAX = 4096, NOTES_MAX = 1024 };

/* Everything that the message points to; freed together. */
struct making {
    const struct charter *charter;
    Hr__Evidence e;
    ProtobufCBinaryData notes[NOTES_MAX];
    Hr__ProvenRow *rows[ROWS_MAX];
    void *blocks[ROWS_MAX * 3 + NOTES_MAX + 1024];
    size_t block_count;
    bool failed;
};

static void *
take(struct making *m, size_t bytes)
{
    void *p =
        m->block_count < sizeof m->blocks / sizeof *m->blocks ? calloc(1, bytes + 1) : NULL;
    if (p == NULL) {
        m->failed = true;
        return NULL;
    }
    m->blocks[m->block_count++] = p;
    return p;
}

static ProtobufCBinaryData
copy_of(struct making *m, const void *bytes, size_t count)
{
    uint8_t *p = take(m, count);
    if (p == NULL) {
        return (ProtobufCBinaryData){0, NULL};
    }
    if (count > 0) {
        memcpy(p, bytes, count);
    }
    return (ProtobufCBinaryData){count, p};
}

/* Hashes as a list of byte strings, list and bytes in one block. */
static ProtobufCBinaryData *
hashes(struct making *m, const struct hash *list, size_t count)
{
    ProtobufCBinaryData *out = take(m, count * (sizeof *out + HASH_BYTES));
    for (size_t i = 0; out != NULL && i < count; i++) {
        out[i] = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(out + count) + i * HASH_BYTES};
        memcpy(out[i].data, list[i].bytes, HASH_BYTES);
    }
    return out;
}

static void
add_note(struct making *m, const struct charter_document *d)
{
    if (m->e.n_charter == NOTES_MAX) {
        m->failed = true;
        return;
    }
    m->notes[m->e.n_charter++] = copy_of(m, d->note.bytes, d->note.count);
}

static void
add_row(struct making *m, const struct charter_document *d, uint32_t index)
{
    struct hash proof[TREE_PROOF_HASHES_MAX];
    size_t count;
    for (size_t i = 0; i < m->e.n_rows; i++) {
        if (m->rows[i]->version == d->head.version && m->rows[i]->index == index &&
            strcmp(m->rows[i]->kind, charter_kind_text(d->head.kind)) == 0) {
            return;
        }
    }
    Hr__ProvenRow *row = take(m, sizeof *row);
    if (row == NULL || m->e.n_rows == ROWS_MAX || index >= d->row_count ||
        charter_document_prove(d, index, proof, &count) != STATUS_OK) {
        m->failed = true;
        return;
    }
    hr__proven_row__init(row);
    row->kind = (char *)(uintptr_t)charter_kind_text(d->head.kind);
    row->version = d->head.version;
    row->index = index;
    row->row = copy_of(m, d->rows[index].bytes, d->rows[index].count);
    row->proof = hashes(m, proof, count);
    row->n_proof = count;
    m->rows[m->e.n_rows++] = row;
}

static void
add_row_of(struct making *m, enum charter_kind kind, const char *institution, const char *item)
{
    uint8_t key[CHARTER_KEY_BYTES_MAX + 1];
    size_t n = strlen(institution);
    memcpy(key, institution, n);
    if (item != NULL) {
        key[n++] = '\0';
        memcpy(key + n, item, strlen(item));
        n += strlen(item);
    }
    uint32_t index;
    const struct charter_document *d = charter_document(m->charter, kind);
    if (d != NULL && d->whole &&
        charter_row_index(m->charter, kind, (struct view){key, n}, &index) == STATUS_OK) {
        add_row(m, d, index);
    }
}

/* Roots whole; of the others the rows that this result needs. */
static void
add_charter(struct making *m, const struct lookup *l, const struct lookup_result *r,
            int64_t now_s)
{
    for (uint64_t v = charter_first_root(m->charter);; v++) {
        const struct charter_document *d = charter_root_version(m->charter, v);
        if (d == NULL) {
            break;
        }
        add_note(m, d);
        for (uint32_t i = 0; i < d->row_count; i++) {
            add_row(m, d, i);
        }
    }
    for (enum charter_kind kind = CHARTER_MEMBERS; kind < CHARTER_KIND_COUNT; kind++) {
        const struct charter_document *d = charter_document(m->charter, kind);
        if (d != NULL) {
            add_note(m, d);
        }
    }
    const struct lookup_leaf *leaf = &l->leaves[r->leaf];
    struct charter_witness witnesses[WITNESSES_MAX];
    size_t count = charter_witnesses(m->charter, leaf->c.institution, now_s, witnesses);
    add_row_of(m, CHARTER_MEMBERS, leaf->c.institution, NULL);
    add_row_of(m, CHARTER_MEMBERS, l->place.institution, NULL);
    for (size_t i = 0; i < count; i++) {
        add_row_of(m, CHARTER_MEMBERS, witnesses[i].member->institution, NULL);
    }
    add_row_of(m, CHARTER_QUALITY, leaf->c.institution, "");
    add_row_of(m, CHARTER_QUALITY, leaf->c.institution, r->code);
    for (size_t i = 0; i < charter_pack_count(m->charter); i++) {
        add_row_of(m, CHARTER_POLICY, charter_pack_at(m->charter, i)->pack, NULL);
    }
}

static void
add_decisions(struct making *m, const struct lookup *l, const struct lookup_result *r)
{
    Hr__EvidenceDecision **list = take(m, (r->decision_count + 1) * sizeof *list);
    for (size_t i = 0; list != NULL && i < r->decision_count; i++) {
        const struct lookup_decision *d = &r->decisions[i];
        Hr__EvidenceDecision *one = take(m, sizeof *one);
        if (one == NULL) {
            return;
        }
        hr__evidence_decision__init(one);
        const char *verdict = hr_verdict_name(d->decision.verdict);
        struct hr_text id = hr_pack_id(policy_set_pack(l->place.policy, d->pack));
        one->pack = (char *)copy_of(m, id.bytes, id.size).data;
        one->pack = one->pack == NULL ? (char *)(uintptr_t)protobuf_c_empty_string : one->pack;
        one->pack_hash = copy_of(m, policy_set_hash(l->place.policy, d->pack), HASH_BYTES);
        one->input = copy_of(m, d->input, d->input_bytes);
        one->verdict = (char *)(uintptr_t)verdict;
        one->at_best = (char *)(uintptr_t)hr_verdict_name(d->decision.at_best);
        list[m->e.n_decisions++] = one;
    }
    m->e.decisions = list;
}

/* The newest cosigned head that covers the leaf, else the newest head. */
static enum status
add_head(struct making *m, const struct lookup_leaf *leaf, struct store_txn *txn,
         struct checkpoint *head)
{
    for (size_t i = 0; i < 2; i++) {
        struct view bytes;
        struct note note;
        enum status st = i == 0 ? cosigned_note(txn, leaf->c.log, leaf->c.leaf, &bytes)
                                : store_note_get(txn, leaf->c.log, STORE_NOTE_HEAD, &bytes);
        if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
            return st;
        }
        if (st == STATUS_OK && note_parse(bytes, &note) == STATUS_OK &&
            checkpoint_parse(note.text, head) == STATUS_OK && head->size > leaf->c.leaf) {
            m->e.checkpoint = copy_of(m, bytes.bytes, bytes.count);
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}

/* Sign the file as it is without record and key. */
static enum status
sign_file(struct making *m, const struct sign_key *statement)
{
    const ProtobufCBinaryData record = m->e.record, k = m->e.k, none = {0, NULL};
    m->e.record = m->e.k = none;
    size_t body = hr__evidence__get_packed_size(&m->e);
    uint8_t *text = malloc(EVIDENCE_HEAD_BYTES + body);
    uint8_t signature[crypto_sign_BYTES];
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(text, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES);
    hr__evidence__pack(&m->e, text + EVIDENCE_HEAD_BYTES);
    crypto_sign_detached(signature, NULL, text, EVIDENCE_HEAD_BYTES + body,
                         statement->secret_key);
    sodium_memzero(text, EVIDENCE_HEAD_BYTES + body);
    free(text);
    m->e.record = record;
    m->e.k = k;
    m->e.signature = copy_of(m, signature, sizeof signature);
    return STATUS_OK;
}

static enum status
pack_file(struct making *m, uint8_t **out, size_t *count)
{
    size_t body = hr__evidence__get_packed_size(&m->e);
    if (m->failed) {
        return STATUS_NO_MEMORY;
    }
    if (body + EVIDENCE_HEAD_BYTES > EVIDENCE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    *out = malloc(body + EVIDENCE_HEAD_BYTES);
    if (*out == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(*out, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES);
    *count = EVIDENCE_HEAD_BYTES + hr__evidence__pack(&m->e, *out + EVIDENCE_HEAD_BYTES);
    return STATUS_OK;
}

enum status
evidence_make(const struct lookup *l, const struct lookup_result *r, struct store_txn *txn,
              const struct sign_key *statement, int64_t now_ms, uint8_t **out, size_t *count)
{
    *out = NULL;
    const struct lookup_leaf *leaf = &l->leaves[r->leaf];
    struct making *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return STATUS_NO_MEMORY;
    }
    m->charter = l->place.charter;
    hr__evidence__init(&m->e);
    m->e.format = 1;
    m->e.origin = (char *)(uintptr_t)leaf->c.origin;
    m->e.index = leaf->c.leaf;
    m->e.made_at_ms = (uint64_t)now_ms;
    m->e.made_by = (char *)(uintptr_t)l->place.institution;
    m->e.charter = m->notes;
    m->e.rows = m->rows;
    struct checkpoint head;
    struct view entry;
    struct hash proof[TREE_PROOF_HASHES_MAX];
    size_t proof_count;
    enum status st = add_head(m, leaf, txn, &head);
    if (st == STATUS_OK) {
        st = store_entry_get(txn, leaf->c.log, leaf->c.leaf, &entry);
    }
    if (st == STATUS_OK) {
        m->e.entry = copy_of(m, entry.bytes, entry.count);
        st = store_prove_inclusion(txn, leaf->c.log, leaf->c.leaf, head.size, &head.root, proof,
                                   &proof_count);
    }
    if (st == STATUS_OK) {
        m->e.inclusion = hashes(m, proof, proof_count);
        m->e.n_inclusion = proof_count;
        if (leaf->report != NULL && r->item != NULL) {
            m->e.record = copy_of(m, leaf->record, leaf->record_bytes);
            m->e.k = copy_of(m, leaf->k, KEY_BYTES);
            m->e.item = (char *)(uintptr_t)r->code;
        }
        add_charter(m, l, r, now_ms / 1000);
        add_decisions(m, l, r);
        st = m->failed ? STATUS_NO_MEMORY : sign_file(m, statement);
        st = st == STATUS_OK ? pack_file(m, out, count) : st;
    }
    for (size_t i = 0; i < m->block_count; i++) {
        free(m->blocks[i]);
    }
    sodium_memzero(m, sizeof *m);
    free(m);
    return st;
}
