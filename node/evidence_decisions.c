/* evidence_decisions.c: the decisions in evidence, and what is shown of it all. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/decision_input.h"
#include "node/evidence_impl.h"
#include "proto/civil.h"
#include "proto/text.h"

/* Moments that civil dates can be made of, as look-ups have it. */
static const int64_t seconds_max = INT64_C(65535) * 86400;

/* ---- decisions ---- */

/* The annexes of the row count in the decision, as far as the charter goes. */
static bool
has_annexes(const struct checking *k, const Hr__PolicyRow *row, int64_t at_s)
{
    return row->n_annexes > 0 && !charter_is_stale(k->charter, CHARTER_POLICY, at_s);
}

static bool
lacks_annex(const struct checking *k, const Hr__PolicyRow *row)
{
    struct policy_annex_row unused;
    return decision_annexes(k->policy, row, "", &unused) == DECISION_ANNEX_MISSING;
}

/* What the maker said of the annexes: taken as it stands when it had none of them, or
 * when one is not here to compare with; which of these it was is shown. */
static void
take_annex(const struct checking *k, const Hr__PolicyRow *row, int64_t at_s,
           const json_t *given, json_t *made)
{
    const json_t *said = json_object_get(given, "annex");
    if (!has_annexes(k, row, at_s)) {
        return;
    }
    if (said == NULL) {
        json_object_del(made, "annex");
    } else if (lacks_annex(k, row)) {
        json_object_set(made, "annex", (json_t *)(uintptr_t)said);
    }
}

/* Does the input say what charter and report in this file say?  What the asker
 * added (moment, order, doctor, encounter, doubts) is its own and is taken as it
 * stands.  `item` is a row of `report`. */
static bool
is_as_proven(struct checking *k, const Hr__EvidenceDecision *d, const json_t *given,
             const Hr__PolicyRow *policy, const Hr__Report *report, const Hr__Item *item)
{
    struct civil t;
    const json_t *result = json_object_get(given, "result");
    const char *at = json_string_value(json_object_get(given, "at"));
    if (at == NULL || civil_parse_rfc3339(text_view(at), &t) != STATUS_OK) {
        return false;
    }
    struct decision_case c = {
        .issuer = k->origin.institution,
        .receiver =
            json_string_value(json_object_get(json_object_get(given, "receiver"), "code")),
        .at_s = civil_unix_ms(&t, 480) / 1000,
        .order = json_object_get(given, "order"),
        .doctor = json_object_get(given, "doctor"),
        .encounter = json_string_value(json_object_get(given, "encounter")),
        .in_doubt = json_is_true(json_object_get(result, "in_doubt")) || item->doubtful,
        .policy = k->policy};
    if (c.receiver == NULL || strcmp(c.receiver, k->e->made_by) != 0 || c.at_s < 0 ||
        c.at_s > seconds_max) {
        return false;
    }
    json_t *made = decision_input(k->charter, &c, d->pack, report, item);
    if (k->report == NULL && result != NULL) { /* withheld: not to be compared */
        json_object_set(made, "result", (json_t *)(uintptr_t)result);
    }
    if (made != NULL) {
        take_annex(k, policy, c.at_s, given, made);
    }
    size_t count = 0;
    char *bytes = made == NULL ? NULL : policy_json_canonical(made, &count);
    k->no_memory = k->no_memory || bytes == NULL;
    bool same =
        bytes != NULL && count == d->input.len && memcmp(bytes, d->input.data, count) == 0;
    free(bytes);
    json_decref(made);
    return same;
}

static bool
facts_hold(struct checking *k, const Hr__EvidenceDecision *d, const json_t *given,
           const Hr__PolicyRow *policy)
{
    if (k->report == NULL) {
        Hr__Report report;
        Hr__Item item;
        hr__report__init(&report);
        hr__item__init(&item);
        const char *examined =
            json_string_value(json_object_get(json_object_get(given, "result"), "examined_at"));
        item.code = k->e->item;
        item.examined_at = (char *)(uintptr_t)(examined == NULL ? "" : examined);
        return is_as_proven(k, d, given, policy, &report, &item);
    }
    const Hr__Item *item;
    for (size_t i = 0; (item = evidence_row(k, i)) != NULL; i++) {
        if (is_as_proven(k, d, given, policy, k->report, item)) {
            return true;
        }
    }
    return false;
}

/* Decide again; false: it comes out differently. */
static bool
replays(struct checking *k, const Hr__EvidenceDecision *d, size_t pack, const json_t *given)
{
    struct policy_arena arena = {0};
    struct hr_policy_input input;
    struct hr_decision decision;
    bool same = false;
    enum status st = policy_input_from_json(given, &arena, &input);
    k->no_memory = k->no_memory || st == STATUS_NO_MEMORY;
    if (st == STATUS_OK) {
        hr_decide(policy_set_pack(k->policy, pack), policy_set_catalog(k->policy), &input,
                  &decision);
        same = strcmp(hr_verdict_name(decision.verdict), d->verdict) == 0 &&
               strcmp(hr_verdict_name(decision.at_best), d->at_best) == 0;
    }
    policy_arena_free(&arena);
    return same;
}

/* Note what is not here; each once. */
static void
add_missing(struct checking *k, const char *what, const char *pack, const uint8_t *hash)
{
    char hex[2 * HASH_BYTES + 1];
    sodium_bin2hex(hex, sizeof hex, hash, HASH_BYTES);
    for (size_t i = 0; i < json_array_size(k->missing); i++) {
        const json_t *one = json_array_get(k->missing, i);
        if (strcmp(json_string_value(json_object_get(one, "hash")), hex) == 0) {
            return;
        }
    }
    size_t used = strlen(k->found->missing);
    snprintf(k->found->missing + used, sizeof k->found->missing - used, "%s%s%s %s (%s)",
             used == 0 ? "" : ", ", what, strcmp(what, "annex") == 0 ? " of" : "", pack, hex);
    json_array_append_new(k->missing,
                          json_pack("{s:s,s:s,s:s}", "what", what, "pack", pack, "hash", hex));
}

/* How the annexes of the row entered a decision that holds; NULL: none are named.
 * *unknown: one of them is needed to make it again, and is not here. */
static const char *
judge_annex(struct checking *k, const Hr__PolicyRow *row, const json_t *given, bool *unknown)
{
    struct civil t;
    const char *at = json_string_value(json_object_get(given, "at"));
    if (at == NULL || civil_parse_rfc3339(text_view(at), &t) != STATUS_OK ||
        !has_annexes(k, row, civil_unix_ms(&t, 480) / 1000)) {
        return NULL;
    }
    if (json_object_get(given, "annex") == NULL) {
        return "not_used";
    }
    for (size_t i = 0; i < row->n_annexes; i++) {
        const ProtobufCBinaryData *hash = &row->annexes[i]->hash;
        if (hash->len == HASH_BYTES &&
            policy_set_annex(k->policy, row->pack, hash->data) == NULL) {
            add_missing(k, "annex", row->pack, hash->data);
        }
    }
    *unknown = lacks_annex(k, row);
    return *unknown ? "unknown" : "checked";
}

static void
show_decision(struct checking *k, const Hr__EvidenceDecision *d, const Hr__PolicyRow *row,
              bool pack_here, const json_t *given, json_t *list)
{
    bool unknown = !pack_here;
    const char *annex = judge_annex(k, row, given, &unknown);
    if (!pack_here) {
        add_missing(k, "pack", row->pack, row->hash.data);
    }
    json_t *o = json_pack("{s:s,s:s,s:s}", "pack", d->pack, "verdict", d->verdict, "at_best",
                          d->at_best);
    json_object_set_new(o, "replayed", unknown ? json_null() : json_true());
    if (annex != NULL) {
        json_object_set_new(o, "annex", json_string(annex));
    }
    json_array_append_new(list, o);
    k->found->decisions++;
    k->found->decisions_unknown += unknown;
}

static enum status
check_decision(struct checking *k, const Hr__EvidenceDecision *d, json_t *list, json_t *moments)
{
    const Hr__PolicyRow *row = charter_pack(k->charter, d->pack);
    if (row == NULL || d->pack_hash.len != HASH_BYTES || row->hash.len != HASH_BYTES ||
        memcmp(row->hash.data, d->pack_hash.data, HASH_BYTES) != 0) {
        return evidence_no(
            k, STATUS_BAD_PROOF,
            "a decision in the file is by a pack that this charter does not have");
    }
    char error[160];
    json_t *given = NULL;
    enum status st = d->input.len > ENTRY_BYTES_MAX
                         ? STATUS_MALFORMED
                         : policy_json_parse((const char *)d->input.data, d->input.len, &given,
                                             error, sizeof error);
    if (st != STATUS_OK) {
        return evidence_no(k, st, "%s",
                           st == STATUS_NO_MEMORY ? status_text(st)
                                                  : "a decision in the file is not readable");
    }
    size_t pack = decision_pack(k->policy, row);
    if (!facts_hold(k, d, given, row)) {
        st = evidence_no(k, STATUS_BAD_PROOF,
                         "the decision of pack %s is not about what charter and record say",
                         row->pack);
    } else if (pack != SIZE_MAX && !replays(k, d, pack, given)) {
        st = evidence_no(k, STATUS_BAD_PROOF,
                         "the decision of pack %s comes out differently here", row->pack);
    } else {
        show_decision(k, d, row, pack != SIZE_MAX, given, list);
        json_array_append(moments, json_object_get(given, "at"));
    }
    json_decref(given);
    return st;
}

enum status
evidence_check_decisions(struct checking *k, json_t *decisions, json_t *moments)
{
    if (k->e->n_decisions > LOOKUP_PACKS_MAX) {
        return evidence_no(k, STATUS_TOO_BIG, "more decisions than evidence may hold");
    }
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < k->e->n_decisions; i++) {
        st = check_decision(k, k->e->decisions[i], decisions, moments);
    }
    return st;
}

/* ---- what was found ---- */

static void
describe_report(const struct checking *k, json_t *o)
{
    const Hr__Report *r = k->report;
    json_object_set_new(o, "report_id", json_string(r->report_id));
    json_object_set_new(o, "kind", json_string(r->kind));
    json_object_set_new(o, "status", json_string(r->status));
    json_object_set_new(o, "patient", json_string(r->patient == NULL ? "" : r->patient->name));
    json_t *items = json_array();
    for (size_t i = 0; i < r->n_items; i++) {
        const Hr__Item *it = r->items[i];
        if (strcmp(k->e->item, it->code) == 0) {
            json_array_append_new(
                items,
                json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "item", it->code, "name", it->name,
                          "value", it->value, "unit", it->unit, "status",
                          it->status[0] != '\0' ? it->status : r->status, "examined_at",
                          it->examined_at[0] != '\0' ? it->examined_at : r->examined_at));
        }
    }
    json_object_set_new(o, "items", items);
}

json_t *
evidence_describe(const struct checking *k)
{
    json_t *o = json_object();
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
    if (k->signed_by != NULL && k->signed_by->to != 0) {
        char ended[26];
        decision_time((int64_t)k->signed_by->to, ended);
        json_object_set_new(
            o, "log_key",
            json_pack("{s:s,s:b}", "ended", ended, "revoked", (int)k->signed_by->revoked));
    }
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
