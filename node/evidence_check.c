/* evidence_check.c: evidence against the charter's root. */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/record.h"
#include "node/decision_input.h"
#include "node/evidence_format.h"
#include "node/evidence_impl.h"
#include "proto/jsonwhole.h"
#include "proto/log.pb-c.h"
#include "proto/text.h"

enum {
    DOCUMENTS_MAX = 1024,
    ROWS_MAX = 65536,
    ARENA_BYTES = 64 * 1024,
    HEAP_BYTES_MAX = 32 * 1024 * 1024,
    KEYS_MAX = 32
};

static const int64_t seconds_max = INT64_C(65535) * 86400; /* as look-ups have it */

bool
evidence_is(struct view file)
{
    return file.count >= EVIDENCE_HEAD_BYTES &&
           memcmp(file.bytes, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES) == 0;
}

enum status
evidence_no(struct checking *k, enum status st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(k->reason, EVIDENCE_REASON_CHARS, format, args);
    va_end(args);
    return st;
}

static struct view
view_of(ProtobufCBinaryData b)
{
    return (struct view){b.data, b.len};
}

/* Hashes of a proof; false if one is not 32 bytes or there are too many. */
static bool
read_proof(ProtobufCBinaryData *list, size_t count, struct hash out[TREE_PROOF_HASHES_MAX])
{
    if (count > TREE_PROOF_HASHES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].len != HASH_BYTES) {
            return false;
        }
        memcpy(out[i].bytes, list[i].data, HASH_BYTES);
    }
    return true;
}

/* ---- the charter in the file ---- */

/* Has this version of this kind been read already? */
static bool
is_there(const struct checking *k, const struct charter_head *head)
{
    for (size_t i = 0; i < k->document_count; i++) {
        if (k->documents[i].head.kind == head->kind &&
            k->documents[i].head.version == head->version) {
            return true;
        }
    }
    return false;
}

/* Make the document of one note from its proven rows. */
static enum status
read_document(struct checking *k, struct view note_bytes, struct charter_document *out)
{
    char why[CHARTER_REASON_CHARS] = "";
    struct note note;
    struct charter_head head;
    enum status st = note_parse(note_bytes, &note);
    st = st == STATUS_OK ? charter_head_parse(note.text, &head) : st;
    if (st != STATUS_OK) {
        return evidence_no(k, STATUS_MALFORMED, "a charter note in the file is not readable");
    }
    if (is_there(k, &head)) { /* also: the work on a file is bounded by its size */
        return evidence_no(k, STATUS_MALFORMED, "a charter document stands twice in the file");
    }
    size_t count = 0;
    for (size_t i = 0; i < k->e->n_rows; i++) {
        const Hr__ProvenRow *r = k->e->rows[i];
        count +=
            r->version == head.version && strcmp(r->kind, charter_kind_text(head.kind)) == 0;
    }
    struct charter_proven_row *rows = calloc(count + 1, sizeof *rows);
    struct hash(*proofs)[TREE_PROOF_HASHES_MAX] = calloc(count + 1, sizeof *proofs);
    if (rows == NULL || proofs == NULL) {
        st = STATUS_NO_MEMORY;
        goto cleanup;
    }
    size_t n = 0;
    for (size_t i = 0; i < k->e->n_rows; i++) {
        const Hr__ProvenRow *r = k->e->rows[i];
        if (r->version != head.version || strcmp(r->kind, charter_kind_text(head.kind)) != 0) {
            continue;
        }
        if (!read_proof(r->proof, r->n_proof, proofs[n])) {
            st = evidence_no(k, STATUS_MALFORMED, "a proof of a charter row is not readable");
            goto cleanup;
        }
        size_t at = n++;
        while (at > 0 && rows[at - 1].index > r->index) { /* rising order of index */
            rows[at] = rows[at - 1];
            at--;
        }
        rows[at] =
            (struct charter_proven_row){view_of(r->row), r->index, proofs[n - 1], r->n_proof};
    }
    st = charter_document_make_part(note_bytes, rows, n, out, why);
    if (st != STATUS_OK && st != STATUS_NO_MEMORY) {
        st = evidence_no(k, st, "the charter's %s version %llu in the file does not hold: %s",
                         charter_kind_text(head.kind), (unsigned long long)head.version, why);
    }
cleanup:
    free(rows);
    free(proofs);
    return st;
}

/* Is every document of the file used, and once, and every row in one of them?
 * Then nothing in the file can be changed so that it only drops out. */
static enum status
check_parts(struct checking *k)
{
    size_t rows = 0;
    for (size_t i = 0; i < k->document_count; i++) {
        const struct charter_document *d = &k->documents[i];
        const struct charter_document *used =
            d->head.kind == CHARTER_ROOT ? charter_root_version(k->charter, d->head.version)
                                         : charter_document(k->charter, d->head.kind);
        rows += d->row_count;
        if (used == NULL || !hash_equal(&used->head.hash, &d->head.hash)) {
            return evidence_no(
                k, STATUS_THRESHOLD,
                "the charter's %s version %llu in the file is not signed as the trusted "
                "root wants it",
                charter_kind_text(d->head.kind), (unsigned long long)d->head.version);
        }
    }
    if (rows != k->e->n_rows) {
        return evidence_no(k, STATUS_MALFORMED,
                           "a charter row in the file belongs to no document in it");
    }
    return STATUS_OK;
}

enum status
evidence_read_charter(struct checking *k, const struct charter_document *root)
{
    if (k->e->n_charter > DOCUMENTS_MAX || k->e->n_rows > ROWS_MAX) {
        return evidence_no(k, STATUS_TOO_BIG,
                           "more charter documents or rows than evidence may hold");
    }
    k->documents = calloc(k->e->n_charter + 1, sizeof *k->documents);
    const struct charter_document **list = calloc(k->e->n_charter + 1, sizeof *list);
    enum status st = k->documents == NULL || list == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < k->e->n_charter; i++) {
        st = read_document(k, view_of(k->e->charter[i]), &k->documents[k->document_count]);
        if (st == STATUS_OK) {
            list[k->document_count] = &k->documents[k->document_count];
            k->document_count++;
        }
    }
    if (st == STATUS_OK) {
        char why[CHARTER_REASON_CHARS] = "";
        st = charter_load(root, list, k->document_count, &k->charter, why);
        if (st != STATUS_OK && st != STATUS_NO_MEMORY) {
            st = evidence_no(
                k, st, "the charter in the file does not follow from the trusted root: %s",
                why);
        }
    }
    free(list);
    if (st == STATUS_OK && charter_document(k->charter, CHARTER_MEMBERS) == NULL) {
        st = evidence_no(
            k, STATUS_THRESHOLD,
            "no members document in the file is signed as the trusted root wants it");
    }
    return st == STATUS_OK ? check_parts(k) : st;
}

/* ---- who made it ---- */

/* The file is as its maker signed it; record and key may have been taken out. */
static enum status
check_maker(struct checking *k)
{
    const Hr__MemberRow *m = charter_member(k->charter, k->e->made_by);
    Hr__Evidence e = *k->e;
    e.record = e.k = e.signature = (ProtobufCBinaryData){0, NULL};
    size_t body = hr__evidence__get_packed_size(&e);
    if (m == NULL) {
        return evidence_no(k, STATUS_REFUSED,
                           "who made the file is not a member in this charter");
    }
    if (k->e->signature.len != crypto_sign_BYTES) {
        return evidence_no(k, STATUS_BAD_SIGNATURE, "its maker did not sign it");
    }
    uint8_t *text = malloc(EVIDENCE_HEAD_BYTES + body);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(text, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES);
    hr__evidence__pack(&e, text + EVIDENCE_HEAD_BYTES);
    bool good = false;
    int64_t made_s = (int64_t)(k->e->made_at_ms / 1000);
    for (size_t i = 0; i < m->n_keys && !good; i++) { /* old keys stay good for old files */
        int64_t end = charter_log_key_end(m->keys[i]);
        if ((end != 0 && made_s >= end) ||
            made_s < (int64_t)m->keys[i]->from - CHARTER_SKEW_S_MAX) {
            continue; /* it signed nothing then */
        }
        good =
            m->keys[i]->statement.len == KEY_BYTES &&
            crypto_sign_verify_detached(k->e->signature.data, text, EVIDENCE_HEAD_BYTES + body,
                                        m->keys[i]->statement.data) == 0;
    }
    free(text);
    return good ? STATUS_OK
                : evidence_no(
                      k, STATUS_BAD_SIGNATURE,
                      "it was altered after %s made it, or signed with a key that was not "
                      "in force then: its signature does not match",
                      m->institution);
}

/* ---- the log ---- */

static enum status
check_log(struct checking *k)
{
    struct note_key keys[KEYS_MAX];
    struct view origin = text_view(k->e->origin);
    if (origin_parse(origin, &k->origin) != STATUS_OK || k->origin.log != ORIGIN_PUB) {
        return evidence_no(k, STATUS_MALFORMED,
                           "the origin in the file is not that of a log of results");
    }
    if (strcmp(k->origin.network, charter_network(k->charter)) != 0) {
        return evidence_no(k, STATUS_REFUSED,
                           "the log belongs to another network than the trusted root");
    }
    const Hr__MemberRow *m = charter_member(k->charter, k->origin.institution);
    size_t count = charter_log_keys(k->charter, origin, keys, KEYS_MAX);
    if (m == NULL || count == 0) {
        return evidence_no(k, STATUS_REFUSED, "%s is not a member of %s in this charter",
                           k->origin.institution, k->origin.network);
    }
    enum status st = STATUS_UNKNOWN_KEY;
    size_t by = 0;
    for (size_t i = 0; i < count && st != STATUS_OK; i++) {
        by = i;
        st =
            checkpoint_open(view_of(k->e->checkpoint), origin, &keys[i], 1, k->now_s, &k->head);
    }
    if (st != STATUS_OK) {
        return evidence_no(k, st, "the head of the log %s: %s", k->e->origin, status_text(st));
    }
    struct hash leaf;
    struct hash proof[TREE_PROOF_HASHES_MAX];
    if (!read_proof(k->e->inclusion, k->e->n_inclusion, proof)) {
        return evidence_no(k, STATUS_MALFORMED, "the inclusion proof is not readable");
    }
    tree_leaf_hash(k->e->entry.data, k->e->entry.len, &leaf);
    st = tree_check_inclusion(&k->head.checkpoint.root, k->head.checkpoint.size, &leaf,
                              k->e->index, proof, k->e->n_inclusion);
    if (st != STATUS_OK) {
        return evidence_no(k, STATUS_BAD_PROOF,
                           "the entry is not in the log under the signed head");
    }
    struct charter_witness witnesses[WITNESSES_MAX];
    k->found->cosigned_of =
        charter_witnesses(k->charter, k->origin.institution, k->now_s, witnesses);
    int64_t oldest_s = 0;
    k->found->cosigned_by = charter_cosigned(k->charter, k->origin.institution, &k->head.note,
                                             k->now_s, &oldest_s, NULL);
    /* What was logged before a key ended or a member left stays valid (DESIGN 7);
     * that it was before, a witness must say. */
    k->signed_by = charter_log_key_set(m, keys[by].public_key);
    int64_t to = charter_log_key_to(m, keys[by].public_key);
    int64_t at_s = k->found->cosigned_by > 0 ? oldest_s : k->now_s;
    if ((to > 0 && at_s >= to) || !charter_is_member(m, at_s)) {
        return evidence_no(
            k, STATUS_REFUSED,
            "no witness cosigned this head of %s before its key ended or its hospital left",
            k->e->origin);
    }
    return STATUS_OK;
}

/* ---- the record ---- */

static const ProtobufCBinaryData *
sealed_of(const Hr__PubEntry *e)
{
    return e->what_case == HR__PUB_ENTRY__WHAT_PUBLISH   ? &e->publish->sealed
           : e->what_case == HR__PUB_ENTRY__WHAT_CORRECT ? &e->correct->sealed
                                                         : NULL;
}

const Hr__Item *
evidence_row(const struct checking *k, size_t at)
{
    for (size_t i = 0; i < k->report->n_items; i++) {
        if (strcmp(k->report->items[i]->code, k->e->item) == 0 && at-- == 0) {
            return k->report->items[i];
        }
    }
    return NULL;
}

static enum status
check_record(struct checking *k)
{
    ProtobufCMessage *m;
    enum status st = pb_unpack(&hr__pub_entry__descriptor, view_of(k->e->entry),
                               ENTRY_BYTES_MAX, &k->arena, &m);
    if (st != STATUS_OK) {
        return evidence_no(k, st, "the entry is not readable");
    }
    const ProtobufCBinaryData *sealed = sealed_of((const Hr__PubEntry *)m);
    if (sealed == NULL || sealed->len != HASH_BYTES) {
        return evidence_no(k, STATUS_MALFORMED, "the entry publishes no result");
    }
    if (k->e->record.len == 0 && k->e->k.len == 0) {
        return STATUS_OK; /* withheld: what was logged, when, by whom */
    }
    struct view record = view_of(k->e->record);
    struct hash hash;
    record_sealed(record, &hash);
    if (memcmp(hash.bytes, sealed->data, HASH_BYTES) != 0) {
        return evidence_no(k, STATUS_BAD_PROOF, "the record is not the one that was published");
    }
    if (k->e->k.len != KEY_BYTES) {
        return evidence_no(k, STATUS_MALFORMED, "the record's key is missing");
    }
    uint8_t *plain = malloc(record.count + 1);
    size_t count = 0;
    if (plain == NULL) {
        return STATUS_NO_MEMORY;
    }
    st = record_open_with_k(record, k->e->k.data, k->origin.network, k->origin.institution,
                            plain, record.count, &count);
    if (st == STATUS_OK) {
        st = pb_unpack(&hr__report__descriptor, (struct view){plain, count}, REPORT_BYTES_MAX,
                       &k->arena, &m);
    } else {
        st = evidence_no(k, STATUS_BAD_PROOF,
                         "the record does not open with the key in the file");
    }
    sodium_memzero(plain, record.count);
    free(plain);
    if (st != STATUS_OK) {
        return k->reason[0] != '\0' ? st : evidence_no(k, st, "the report is not readable");
    }
    k->report = (const Hr__Report *)m;
    if (strcmp(k->report->institution, k->origin.institution) != 0) {
        return evidence_no(k, STATUS_BAD_PROOF,
                           "the report names another institution than its log");
    }
    if (evidence_row(k, 0) == NULL) {
        return evidence_no(k, STATUS_MALFORMED, "the file is about no row of its report");
    }
    k->found->opened = true;
    return STATUS_OK;
}

static enum status
check_all(struct checking *k, struct view file, const struct charter_document *root)
{
    ProtobufCMessage *m;
    struct view body = {file.bytes + EVIDENCE_HEAD_BYTES, file.count - EVIDENCE_HEAD_BYTES};
    enum status st =
        pb_unpack(&hr__evidence__descriptor, body, EVIDENCE_BYTES_MAX, &k->arena, &m);
    if (st != STATUS_OK) {
        return evidence_no(k, st, "the file is damaged: %s", status_text(st));
    }
    k->e = (const Hr__Evidence *)m;
    if (k->e->format != 1) {
        return evidence_no(k, STATUS_UNSUPPORTED,
                           "evidence of format %u, this version reads format 1", k->e->format);
    }
    st = evidence_read_charter(k, root);
    st = st == STATUS_OK ? check_maker(k) : st;
    st = st == STATUS_OK ? check_log(k) : st;
    st = st == STATUS_OK ? check_record(k) : st;
    if (st == STATUS_OK && k->e->made_at_ms / 1000 > (uint64_t)seconds_max) {
        st = evidence_no(k, STATUS_MALFORMED, "the time at which the file was made is none");
    }
    json_t *decisions = json_array();
    json_t *moments = json_array();
    k->missing = json_array();
    st = st == STATUS_OK ? evidence_check_decisions(k, decisions, moments) : st;
    if (st == STATUS_OK) {
        char made[26];
        decision_time((int64_t)(k->e->made_at_ms / 1000), made);
        k->found->replayed = k->found->decisions > k->found->decisions_unknown;
        k->found->json = evidence_describe(k);
        json_object_set(k->found->json, "decisions", decisions);
        if (json_array_size(k->missing) > 0) {
            json_object_set(k->found->json, "missing", k->missing);
        }
        json_object_set_new(k->found->json, "claims",
                            json_pack("{s:s,s:s,s:O}", "made_at", made, "made_by",
                                      k->e->made_by, "decided_at", moments));
    }
    json_decref(decisions);
    json_decref(moments);
    json_decref(k->missing);
    return st;
}

enum status
evidence_check(struct view file, const struct charter_document *root,
               const struct policy_set *policy, int64_t now_s, struct evidence_found *found,
               char reason[EVIDENCE_REASON_CHARS])
{
    *found = (struct evidence_found){0};
    reason[0] = '\0';
    struct checking *k = calloc(1, sizeof *k);
    uint8_t *memory = malloc(ARENA_BYTES);
    enum status st = STATUS_NO_MEMORY;
    if (k == NULL || memory == NULL) {
        goto cleanup;
    }
    k->found = found;
    k->reason = reason;
    k->policy = policy;
    k->now_s = now_s;
    pb_arena_init(&k->arena, memory, ARENA_BYTES, HEAP_BYTES_MAX);
    unsigned long mark = json_whole_mark();
    if (file.count > EVIDENCE_BYTES_MAX) {
        st = evidence_no(k, STATUS_TOO_BIG, "over %d bytes, which no evidence takes",
                         EVIDENCE_BYTES_MAX);
    } else if (!evidence_is(file)) {
        st = evidence_no(k, STATUS_UNSUPPORTED, "not an evidence file of a version known here");
    } else {
        st = check_all(k, file, root);
    }
    if (k->no_memory || json_whole_mark() != mark) {
        json_decref(found->json);
        found->json = NULL;
        st = evidence_no(k, STATUS_NO_MEMORY, "%s", status_text(STATUS_NO_MEMORY));
    }
    charter_free(k->charter);
    for (size_t i = 0; k->documents != NULL && i < k->document_count; i++) {
        charter_document_free(&k->documents[i]);
    }
    free(k->documents);
    pb_free(&k->arena);
cleanup:
    free(memory);
    free(k);
    return st;
}
