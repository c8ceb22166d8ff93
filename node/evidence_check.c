/* evidence_check.c: evidence against the charter's root. */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "crypto/record.h"
#include "node/decision_input.h"
#include "node/evidence.h"
#include "node/evidence_format.h"
#include "node/origin.h"
#include "proto/evidence.pb-c.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"

enum {
    DOCUMENTS_MAX = 1024,
    ROWS_MAX = 65536,
    ARENA_BYTES = 64 * 1024,
    HEAP_BYTES_MAX = 32 * 1024 * 1024,
    KEYS_MAX = 8
};

struct checking {
    struct pb_arena arena;
    const Hr__Evidence *e;
    struct charter_document *documents;
    size_t document_count;
    struct charter *charter;
    struct origin origin;
    struct checkpoint_opened head;
    const struct policy_set *policy;
    int64_t now_s;
    const Hr__Report *report;
    struct evidence_found *found;
    char *reason;
};

bool
evidence_is(struct view file)
{
    return file.count >= EVIDENCE_HEAD_BYTES &&
           memcmp(file.bytes, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES) == 0;
}

__attribute__((format(printf, 3, 4))) static enum status
no(struct checking *k, enum status st, const char *format, ...)
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
        return no(k, STATUS_MALFORMED, "a charter note in the file is not readable");
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
            st = no(k, STATUS_MALFORMED, "a proof of a charter row is not readable");
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
        st = no(k, st, "the charter's %s version %llu in the file does not hold: %s",
                charter_kind_text(head.kind), (unsigned long long)head.version, why);
    }
cleanup:
    free(rows);
    free(proofs);
    return st;
}

static enum status
read_charter(struct checking *k, const struct charter_document *root)
{
    if (k->e->n_charter > DOCUMENTS_MAX || k->e->n_rows > ROWS_MAX) {
        return no(k, STATUS_TOO_BIG, "more charter documents or rows than evidence may hold");
    }
    k->documents = calloc(k->e->n_charter + 1, sizeof *k->documents);
    const struct charter_document **list = calloc(k->e->n_charter + 1, sizeof *list);
    enum status st = k->documents == NULL || list == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < k->e->n_charter; i++) {
        st = read_document(k, view_of(k->e->charter[i]), &k->documents[i]);
        if (st == STATUS_OK) {
            list[k->document_count] = &k->documents[k->document_count];
            k->document_count++;
        }
    }
    if (st == STATUS_OK) {
        char why[CHARTER_REASON_CHARS] = "";
        st = charter_load(root, list, k->document_count, &k->charter, why);
        if (st != STATUS_OK && st != STATUS_NO_MEMORY) {
            st = no(k, st, "the charter in the file does not follow from the trusted root: %s",
                    why);
        }
    }
    free(list);
    if (st == STATUS_OK && charter_document(k->charter, CHARTER_MEMBERS) == NULL) {
        st = no(k, STATUS_THRESHOLD,
                "no members document in the file is signed as the trusted root wants it");
    }
    return st;
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
        return no(k, STATUS_REFUSED, "who made the file is not a member in this charter");
    }
    if (k->e->signature.len != crypto_sign_BYTES) {
        return no(k, STATUS_BAD_SIGNATURE, "its maker did not sign it");
    }
    uint8_t *text = malloc(EVIDENCE_HEAD_BYTES + body);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(text, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES);
    hr__evidence__pack(&e, text + EVIDENCE_HEAD_BYTES);
    bool good = false;
    for (size_t i = 0; i < m->n_keys && !good; i++) { /* old keys stay good for old files */
        good =
            m->keys[i]->statement.len == KEY_BYTES &&
            crypto_sign_verify_detached(k->e->signature.data, text, EVIDENCE_HEAD_BYTES + body,
                                        m->keys[i]->statement.data) == 0;
    }
    free(text);
    return good ? STATUS_OK
                : no(k, STATUS_BAD_SIGNATURE,
                     "it was altered after %s made it: its signature does not match",
                     m->institution);
}

/* ---- the log ---- */

static enum status
check_log(struct checking *k)
{
    struct note_key keys[KEYS_MAX];
    struct view origin = text_view(k->e->origin);
    if (origin_parse(origin, &k->origin) != STATUS_OK || k->origin.log != ORIGIN_PUB) {
        return no(k, STATUS_MALFORMED,
                  "the origin in the file is not that of a log of results");
    }
    if (strcmp(k->origin.network, charter_network(k->charter)) != 0) {
        return no(k, STATUS_REFUSED,
                  "the log belongs to another network than the trusted root");
    }
    size_t count = charter_log_keys(k->charter, origin, keys, KEYS_MAX);
    if (count == 0) {
        return no(k, STATUS_REFUSED, "%s is not a member of %s in this charter",
                  k->origin.institution, k->origin.network);
    }
    enum status st = STATUS_UNKNOWN_KEY;
    for (size_t i = 0; i < count && st != STATUS_OK; i++) {
        st =
            checkpoint_open(view_of(k->e->checkpoint), origin, &keys[i], 1, k->now_s, &k->head);
    }
    if (st != STATUS_OK) {
        return no(k, st, "the head of the log %s: %s", k->e->origin, status_text(st));
    }
    struct hash leaf;
    struct hash proof[TREE_PROOF_HASHES_MAX];
    if (!read_proof(k->e->inclusion, k->e->n_inclusion, proof)) {
        return no(k, STATUS_MALFORMED, "the inclusion proof is not readable");
    }
    tree_leaf_hash(k->e->entry.data, k->e->entry.len, &leaf);
    st = tree_check_inclusion(&k->head.checkpoint.root, k->head.checkpoint.size, &leaf,
                              k->e->index, proof, k->e->n_inclusion);
    if (st != STATUS_OK) {
        return no(k, STATUS_BAD_PROOF, "the entry is not in the log under the signed head");
    }
    struct charter_witness witnesses[WITNESSES_MAX];
    k->found->cosigned_of =
        charter_witnesses(k->charter, k->origin.institution, k->now_s, witnesses);
    k->found->cosigned_by = charter_cosigned(k->charter, k->origin.institution, &k->head.note,
                                             k->now_s, NULL, NULL);
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

static enum status
check_record(struct checking *k)
{
    ProtobufCMessage *m;
    enum status st = pb_unpack(&hr__pub_entry__descriptor, view_of(k->e->entry),
                               ENTRY_BYTES_MAX, &k->arena, &m);
    if (st != STATUS_OK) {
        return no(k, st, "the entry is not readable");
    }
    const ProtobufCBinaryData *sealed = sealed_of((const Hr__PubEntry *)m);
    if (sealed == NULL || sealed->len != HASH_BYTES) {
        return no(k, STATUS_MALFORMED, "the entry publishes no result");
    }
    if (k->e->record.len == 0 && k->e->k.len == 0) {
        return STATUS_OK; /* withheld: what was logged, when, by whom */
    }
    struct view record = view_of(k->e->record);
    struct hash hash;
    record_sealed(record, &hash);
    if (memcmp(hash.bytes, sealed->data, HASH_BYTES) != 0) {
        return no(k, STATUS_BAD_PROOF, "the record is not the one that was published");
    }
    if (k->e->k.len != KEY_BYTES) {
        return no(k, STATUS_MALFORMED, "the record's key is missing");
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
        st = no(k, STATUS_BAD_PROOF, "the record does not open with the key in the file");
    }
    sodium_memzero(plain, record.count);
    free(plain);
    if (st != STATUS_OK) {
        return k->reason[0] != '\0' ? st : no(k, st, "the report is not readable");
    }
    k->report = (const Hr__Report *)m;
    if (strcmp(k->report->institution, k->origin.institution) != 0) {
        return no(k, STATUS_BAD_PROOF, "the report names another institution than its log");
    }
    k->found->opened = true;
    return STATUS_OK;
}

/* ---- decisions ---- */

static enum status
check_decision(struct checking *k, const Hr__EvidenceDecision *d, json_t *list)
{
    size_t at = d->pack_hash.len == HASH_BYTES
                    ? policy_set_find_hash(k->policy, d->pack_hash.data)
                    : SIZE_MAX;
    const char *verdict = d->verdict;
    k->found->decisions++;
    if (at == SIZE_MAX) {
        k->found->decisions_unknown++;
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:n}", "pack", d->pack, "verdict", verdict, "replayed"));
        return STATUS_OK;
    }
    char error[160];
    struct policy_arena arena = {0};
    struct hr_policy_input input;
    struct hr_decision decision;
    json_t *json =
        d->input.len > JSON_BYTES_MAX
            ? NULL
            : policy_json_parse((const char *)d->input.data, d->input.len, error, sizeof error);
    enum status st = STATUS_MALFORMED;
    if (json != NULL) {
        st = policy_input_from_json(json, &arena, &input);
    }
    bool same = false;
    if (st == STATUS_OK) {
        hr_decide(policy_set_pack(k->policy, at), policy_set_catalog(k->policy), &input,
                  &decision);
        same = strcmp(hr_verdict_name(decision.verdict), verdict) == 0 &&
               strcmp(hr_verdict_name(decision.at_best), d->at_best) == 0;
        const char *moment = json_string_value(json_object_get(json, "at"));
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:b}", "pack", d->pack,
                                              "verdict", verdict, "at_best", d->at_best, "at",
                                              moment == NULL ? "" : moment, "replayed", same));
    }
    policy_arena_free(&arena);
    json_decref(json);
    if (st != STATUS_OK) {
        return no(k, STATUS_MALFORMED, "a decision in the file is not readable");
    }
    if (!same) {
        return no(k, STATUS_BAD_PROOF, "the decision of pack %s comes out differently here",
                  d->pack);
    }
    return STATUS_OK;
}

/* ---- what was found ---- */

static void
describe_report(struct checking *k, json_t *o)
{
    const Hr__Report *r = k->report;
    json_object_set_new(o, "report_id", json_string(r->report_id));
    json_object_set_new(o, "kind", json_string(r->kind));
    json_object_set_new(o, "status", json_string(r->status));
    json_object_set_new(o, "patient", json_string(r->patient == NULL ? "" : r->patient->name));
    json_t *items = json_array();
    for (size_t i = 0; i < r->n_items; i++) {
        const Hr__Item *it = r->items[i];
        if (k->e->item[0] == '\0' || strcmp(k->e->item, it->code) == 0) {
            json_array_append_new(
                items,
                json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "item", it->code, "name", it->name,
                          "value", it->value, "unit", it->unit, "status", it->status,
                          "examined_at",
                          it->examined_at[0] != '\0' ? it->examined_at : r->examined_at));
        }
    }
    json_object_set_new(o, "items", items);
}

static json_t *
describe(struct checking *k)
{
    json_t *o = json_object();
    char made[26];
    decision_time((int64_t)(k->e->made_at_ms / 1000), made);
    json_object_set_new(o, "origin", json_string(k->e->origin));
    json_object_set_new(o, "index", json_integer((json_int_t)k->e->index));
    json_object_set_new(o, "size", json_integer((json_int_t)k->head.checkpoint.size));
    json_object_set_new(o, "network", json_string(k->origin.network));
    json_object_set_new(o, "issuer", json_string(k->origin.institution));
    const Hr__MemberRow *m = charter_member(k->charter, k->origin.institution);
    json_object_set_new(o, "issuer_name", json_string(m == NULL ? "" : m->name));
    json_object_set_new(o, "cosigned",
                        json_pack("{s:I,s:I}", "by", (json_int_t)k->found->cosigned_by, "of",
                                  (json_int_t)k->found->cosigned_of));
    json_object_set_new(o, "made_at", json_string(made));
    json_object_set_new(o, "made_by", json_string(k->e->made_by));
    json_t *versions = json_object();
    for (enum charter_kind kind = CHARTER_ROOT; kind < CHARTER_KIND_COUNT; kind++) {
        const struct charter_document *d = charter_document(k->charter, kind);
        if (d != NULL) {
            char issued[26];
            decision_time(d->head.issued_at_s, issued);
            json_object_set_new(
                versions, charter_kind_text(kind),
                json_pack("{s:I,s:s,s:b}", "version", (json_int_t)d->head.version, "issued_at",
                          issued, "stale", charter_is_stale(k->charter, kind, k->now_s)));
        }
    }
    json_object_set_new(o, "charter", versions);
    json_object_set_new(o, "opened", json_boolean(k->found->opened));
    if (k->report != NULL) {
        describe_report(k, o);
    }
    return o;
}

static enum status
check_all(struct checking *k, struct view file, const struct charter_document *root)
{
    ProtobufCMessage *m;
    struct view body = {file.bytes + EVIDENCE_HEAD_BYTES, file.count - EVIDENCE_HEAD_BYTES};
    enum status st =
        pb_unpack(&hr__evidence__descriptor, body, EVIDENCE_BYTES_MAX, &k->arena, &m);
    if (st != STATUS_OK) {
        return no(k, st, "the file is damaged: %s", status_text(st));
    }
    k->e = (const Hr__Evidence *)m;
    if (k->e->format != 1) {
        return no(k, STATUS_UNSUPPORTED, "evidence of format %u, this version reads format 1",
                  k->e->format);
    }
    st = read_charter(k, root);
    st = st == STATUS_OK ? check_maker(k) : st;
    st = st == STATUS_OK ? check_log(k) : st;
    st = st == STATUS_OK ? check_record(k) : st;
    json_t *decisions = json_array();
    for (size_t i = 0; st == STATUS_OK && i < k->e->n_decisions; i++) {
        st = check_decision(k, k->e->decisions[i], decisions);
    }
    if (st == STATUS_OK) {
        k->found->replayed = k->found->decisions > k->found->decisions_unknown;
        k->found->json = describe(k);
        json_object_set(k->found->json, "decisions", decisions);
    }
    json_decref(decisions);
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
    if (file.count > EVIDENCE_BYTES_MAX) {
        st =
            no(k, STATUS_TOO_BIG, "over %d bytes, which no evidence takes", EVIDENCE_BYTES_MAX);
    } else if (!evidence_is(file)) {
        st = no(k, STATUS_UNSUPPORTED, "not an evidence file of a version known here");
    } else {
        st = check_all(k, file, root);
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
