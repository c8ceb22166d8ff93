/* lookup_decide.c: records become rows, rows become decisions. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "crypto/record.h"
#include "crypto/sha256.h"
#include "node/cosigned.h"
#include "node/decision_input.h"
#include "node/lookup.h"
#include "proto/civil.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/log.h"

enum { AHEAD_S = 86400 }; /* an examination later than that is no examination */

/* ---- identity ---- */

static void
doubt(struct lookup_leaf *leaf, const char *why)
{
    leaf->in_doubt = true;
    if (strstr(leaf->doubt, why) != NULL) {
        return;
    }
    size_t used = strlen(leaf->doubt);
    snprintf(leaf->doubt + used, sizeof leaf->doubt - used, "%s%s", used == 0 ? "" : "; ", why);
}

/* Compare names without blanks and carets, ASCII letters in either case. */
static bool
same_name(const char *a, const char *b)
{
    for (;;) {
        while (*a == ' ' || *a == '^') {
            a++;
        }
        while (*b == ' ' || *b == '^') {
            b++;
        }
        int x = *a >= 'A' && *a <= 'Z' ? *a + 32 : *a;
        int y = *b >= 'A' && *b <= 'Z' ? *b + 32 : *b;
        if (x != y) {
            return false;
        }
        if (x == 0) {
            return true;
        }
        a++;
        b++;
    }
}

static bool
both_given(const char *a, const char *b)
{
    return a != NULL && b != NULL && a[0] != '\0' && b[0] != '\0';
}

/* Dates of birth as far as both are stated: YYYY, YYYY-MM or YYYY-MM-DD. */
static bool
dates_differ(const char *a, const char *b)
{
    size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return n >= 4 && strncmp(a, b, n) != 0;
}

static bool
clear_sex(const char *s)
{
    return strcmp(s, "M") == 0 || strcmp(s, "F") == 0;
}

/* A resident card says birth date and sex itself (GB 11643). */
static void
compare_card(const struct lookup_question *q, const Hr__Patient *p, struct lookup_leaf *leaf)
{
    if (strcmp(q->type, "RI") != 0 || strlen(q->value) != 18) {
        return;
    }
    char birth[11];
    snprintf(birth, sizeof birth, "%.4s-%.2s-%.2s", q->value + 6, q->value + 10, q->value + 12);
    const char *sex = (q->value[16] - '0') % 2 == 1 ? "M" : "F";
    if (dates_differ(p->birth_date, birth)) {
        doubt(leaf, "birth date differs from the card number");
    }
    if (clear_sex(p->sex) && strcmp(p->sex, sex) != 0) {
        doubt(leaf, "sex differs from the card number");
    }
}

/* Two results of one number: what the asker did not state must agree. */
static void
compare_other(const struct lookup_question *q, const Hr__Patient *p, const Hr__Patient *other,
              struct lookup_leaf *leaf)
{
    if (q->name == NULL && both_given(other->name, p->name) &&
        !same_name(other->name, p->name)) {
        doubt(leaf, "name differs between results of this number");
    }
    if (q->sex == NULL && clear_sex(other->sex) && clear_sex(p->sex) &&
        strcmp(other->sex, p->sex) != 0) {
        doubt(leaf, "sex differs between results of this number");
    }
    if (q->birth_date == NULL && dates_differ(other->birth_date, p->birth_date)) {
        doubt(leaf, "birth date differs between results of this number");
    }
}

static void
compare_identity(const struct lookup *l, struct lookup_leaf *leaf)
{
    const struct lookup_question *q = &l->question;
    const Hr__Patient *p = leaf->report->patient;
    if (both_given(q->name, p->name) && !same_name(q->name, p->name)) {
        doubt(leaf, "name differs from the one asked for");
    }
    if (both_given(q->sex, p->sex) && clear_sex(p->sex) && strcmp(q->sex, p->sex) != 0) {
        doubt(leaf, "sex differs from the one asked for");
    }
    if (both_given(q->birth_date, p->birth_date) &&
        dates_differ(q->birth_date, p->birth_date)) {
        doubt(leaf, "birth date differs from the one asked for");
    }
    compare_card(q, p, leaf);
    for (size_t i = 0; i < l->leaf_count; i++) {
        const Hr__Report *other = l->leaves[i].report;
        if (other != NULL && other != leaf->report) {
            compare_other(q, p, other->patient, leaf);
        }
    }
}

/* ---- opening ---- */

/* Does the opened report say what its entry says (DESIGN 5)? */
static bool
is_as_indexed(const struct lookup *l, const struct lookup_leaf *leaf, const Hr__Report *r)
{
    if (strcmp(r->institution, leaf->c.institution) != 0 || r->patient == NULL) {
        return false;
    }
    bool named = false;
    for (size_t i = 0; i < r->patient->n_identifiers; i++) {
        named = named || (strcmp(r->patient->identifiers[i]->type, l->question.type) == 0 &&
                          strcmp(r->patient->identifiers[i]->value, l->question.value) == 0);
    }
    if (!named || leaf->c.held || leaf->c.brief_bad) {
        return named;
    }
    const struct hr_catalog *catalog = policy_set_catalog(l->place.policy);
    for (uint32_t k = 0; k < leaf->c.brief.count; k++) {
        const struct hr_item *item = hr_catalog_by_number(catalog, leaf->c.brief.numbers[k]);
        bool there = item == NULL; /* a later catalog: not ours to judge */
        for (size_t i = 0; !there && i < r->n_items; i++) {
            const char *code = r->items[i]->code;
            there = strlen(code) == item->code.size &&
                    memcmp(code, item->code.bytes, item->code.size) == 0;
        }
        if (!there) {
            return false;
        }
    }
    return true;
}

static bool
is_asked_for(const struct lookup *l, const char *code)
{
    for (size_t i = 0; i < l->question.item_count; i++) {
        if (strcmp(l->question.items[i], code) == 0) {
            return true;
        }
    }
    return false;
}

static enum status
unpack_report(struct lookup_leaf *leaf, struct view bytes)
{
    leaf->arena = malloc(sizeof *leaf->arena + PB_ARENA_BYTES);
    if (leaf->arena == NULL) {
        return STATUS_NO_MEMORY;
    }
    pb_arena_init(leaf->arena, leaf->arena + 1, PB_ARENA_BYTES, MESSAGE_HEAP_BYTES_MAX);
    ProtobufCMessage *m;
    enum status st =
        pb_unpack(&hr__report__descriptor, bytes, REPORT_BYTES_MAX, leaf->arena, &m);
    leaf->report = st == STATUS_OK ? (const Hr__Report *)m : NULL;
    return st;
}

static enum status
open_leaf(struct lookup *l, struct lookup_leaf *leaf)
{
    if (leaf->record == NULL || leaf->state != LOOKUP_WANTED) {
        if (leaf->state == LOOKUP_WANTED) {
            bool own = strcmp(leaf->c.institution, l->place.institution) == 0;
            leaf->state = own ? LOOKUP_MISSING : LOOKUP_SILENT;
        }
        leaf->state = leaf->state == LOOKUP_MISSING && leaf->c.held ? LOOKUP_HELD : leaf->state;
        return STATUS_OK;
    }
    if (leaf->c.held && !leaf->released) {
        leaf->state = LOOKUP_HELD;
        return STATUS_OK;
    }
    uint8_t *plain = malloc(leaf->record_bytes + 1);
    if (plain == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct view record = {leaf->record, leaf->record_bytes};
    size_t count = 0;
    enum status st;
    if (leaf->c.held) {
        st = record_open_with_k(record, leaf->k, l->place.network, leaf->c.institution, plain,
                                leaf->record_bytes, &count);
    } else {
        const uint8_t *key = l->patients[leaf->c.patient].record_key;
        st = record_open_with_patient(record, key, l->place.network, leaf->c.institution, plain,
                                      leaf->record_bytes, &count);
        if (st == STATUS_OK) {
            st = record_k(record, key, leaf->k);
        }
    }
    st = st == STATUS_OK ? unpack_report(leaf, (struct view){plain, count}) : st;
    sodium_memzero(plain, leaf->record_bytes);
    free(plain);
    if (st == STATUS_NO_MEMORY) {
        return st;
    }
    if (st != STATUS_OK || !is_as_indexed(l, leaf, leaf->report)) {
        leaf->state = LOOKUP_UNREADABLE;
        leaf->report = NULL;
        l->findings++;
        return STATUS_OK;
    }
    leaf->state = LOOKUP_OTHER;
    for (size_t i = 0; i < leaf->report->n_items; i++) {
        if (is_asked_for(l, leaf->report->items[i]->code)) {
            leaf->state = LOOKUP_OPENED;
        }
    }
    return STATUS_OK;
}

/* Check the signatures of a log's newest cosigned head (no bytes: there is none). */
static void
count_head(const struct lookup *l, const struct lookup_leaf *leaf, struct view bytes,
           int64_t now_s, struct lookup_counted *out)
{
    struct charter_witness witnesses[WITNESSES_MAX];
    const struct charter *c = l->place.charter;
    struct checkpoint head;
    struct note note;
    out->of = charter_witnesses(c, leaf->c.institution, now_s, witnesses);
    out->by = 0;
    out->size = 0;
    if (bytes.count > 0 && note_parse(bytes, &note) == STATUS_OK &&
        checkpoint_parse(note.text, &head) == STATUS_OK) {
        out->size = head.size;
        out->by = charter_cosigned(c, leaf->c.institution, &note, now_s, NULL, NULL);
    }
}

/* The place in `counts` for a log: what was counted, else one to be overwritten. */
static struct lookup_counted *
counted_place(struct lookup_counts *counts, uint32_t log)
{
    for (size_t i = 0; i < LOOKUP_COUNTED_MAX; i++) {
        if (counts->at[i].log == log) {
            return &counts->at[i];
        }
    }
    struct lookup_counted *c = &counts->at[counts->next++ % LOOKUP_COUNTED_MAX];
    memset(c, 0, sizeof *c);
    return c;
}

/* Are they as many as this home wants?  Nobody has to show us our own log. */
static enum status
judge_witnessed(const struct lookup *l, struct store_txn *txn, struct lookup_leaf *leaf,
                int64_t now_s)
{
    struct witnessed_mark mark;
    const struct witnessed_policy *policy = l->place.witnessed;
    if (policy == NULL || strcmp(leaf->c.institution, l->place.institution) == 0) {
        return STATUS_OK;
    }
    leaf->cosigned_wanted = witnessed_wanted(policy, leaf->cosigned_of);
    if (leaf->cosigned_by >= leaf->cosigned_wanted) {
        return STATUS_OK;
    }
    enum status st = witnessed_get(txn, l->place.network, leaf->c.origin, &mark);
    if (st == STATUS_OK) {
        leaf->waits_since_s = mark.since_s;
        leaf->witnessed =
            witnessed_judge(policy, &mark, leaf->cosigned_by, leaf->cosigned_of, now_s);
    }
    return st;
}

/* How many witnesses cosigned a head that covers the leaf. */
static enum status
count_cosigned(const struct lookup *l, struct store_txn *txn, struct lookup_leaf *leaf,
               int64_t now_s)
{
    struct lookup_counted here = {0};
    struct lookup_counted *c =
        l->place.counts == NULL ? &here : counted_place(l->place.counts, leaf->c.log);
    struct view bytes = {NULL, 0};
    struct hash hash = {{0}};
    enum status st = cosigned_note(txn, leaf->c.log, leaf->c.leaf, &bytes);
    if (st == STATUS_OK) {
        sha256(bytes.bytes, bytes.count, &hash);
    } else if (st == STATUS_NOT_FOUND) {
        bytes = (struct view){NULL, 0};
    } else {
        return st;
    }
    if (c->log != leaf->c.log || !hash_equal(&c->note, &hash) || now_s < c->at_s ||
        now_s - c->at_s >= LOOKUP_COUNTED_S) {
        c->log = leaf->c.log;
        c->note = hash;
        c->at_s = now_s;
        count_head(l, leaf, bytes, now_s, c);
    }
    leaf->cosigned_of = c->of;
    leaf->cosigned_by = c->size > leaf->c.leaf ? c->by : 0;
    return judge_witnessed(l, txn, leaf, now_s);
}

/* ---- deciding ---- */

static void
drop_decisions(struct lookup_decision *made, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(made[i].input);
        json_decref(made[i].json);
    }
}

/* What keeps a result from being relied on, whatever the rules say of it. */
static bool
is_doubtful(const struct lookup_leaf *leaf, const Hr__Item *item)
{
    return leaf->in_doubt || leaf->c.disputed || item->doubtful ||
           leaf->witnessed == WITNESSED_TOO_FEW;
}

static enum status
decide_row(struct lookup *l, const struct lookup_leaf *leaf, struct lookup_result *r)
{
    const struct charter *c = l->place.charter;
    struct decision_case k = {.issuer = leaf->c.institution,
                              .receiver = l->place.institution,
                              .at_s = l->question.at_s,
                              .order = l->question.order,
                              .doctor = l->question.doctor,
                              .encounter = l->question.encounter,
                              .policy = l->place.policy,
                              .in_doubt = is_doubtful(leaf, r->item)};
    size_t packs = charter_pack_count(c);
    const struct hr_pack *pack_of[LOOKUP_PACKS_MAX];
    struct hr_decision decided[LOOKUP_PACKS_MAX];
    struct lookup_decision made[LOOKUP_PACKS_MAX];
    size_t count = 0;
    char date[11];
    decision_date(l->question.at_s, date);
    l->no_pack = 0;
    l->no_annex = 0;
    for (size_t i = 0; i < packs; i++) {
        const Hr__PolicyRow *row = charter_pack_at(c, i);
        size_t at = decision_pack(l->place.policy, row);
        if (row->in_force_to[0] != '\0' && strcmp(row->in_force_to, date) < 0) {
            continue;
        }
        if (at == SIZE_MAX || count == LOOKUP_PACKS_MAX) {
            l->no_pack++;
            continue;
        }
        struct policy_annex_row unused;
        l->no_annex +=
            decision_annexes(l->place.policy, row, "", &unused) == DECISION_ANNEX_MISSING;
        struct lookup_decision *d = &made[count];
        struct policy_arena arena = {0};
        struct hr_policy_input input;
        json_t *json = decision_input(c, &k, row->pack, leaf->report, r->item);
        enum status st =
            json == NULL ? STATUS_NO_MEMORY : policy_input_from_json(json, &arena, &input);
        if (st == STATUS_OK) {
            d->pack = at;
            pack_of[count] = policy_set_pack(l->place.policy, at);
            hr_decide(pack_of[count], policy_set_catalog(l->place.policy), &input,
                      &d->decision);
            decided[count] = d->decision;
            d->input = policy_json_canonical(json, &d->input_bytes);
            d->json = policy_decision_to_json(pack_of[count], &input, &d->decision);
            st = d->input == NULL || d->json == NULL ? STATUS_NO_MEMORY : STATUS_OK;
            count++;
        }
        policy_arena_free(&arena);
        json_decref(json);
        if (st != STATUS_OK) {
            drop_decisions(made, count);
            return st;
        }
    }
    size_t order[LOOKUP_PACKS_MAX];
    enum hr_verdict shown[LOOKUP_PACKS_MAX];
    hr_several(pack_of, decided, count, order, shown);
    r->decisions = calloc(count + 1, sizeof *r->decisions);
    for (size_t i = 0; r->decisions != NULL && i < count; i++) {
        r->decisions[i] = made[order[i]];
        r->decisions[i].shown = shown[order[i]];
    }
    if (r->decisions == NULL) {
        drop_decisions(made, count);
        return STATUS_NO_MEMORY;
    }
    r->decision_count = count;
    return STATUS_OK;
}

static int64_t
examined_ms(const struct lookup_leaf *leaf, const Hr__Item *item)
{
    struct civil t;
    const char *text = item != NULL && item->examined_at[0] != '\0' ? item->examined_at
                       : leaf->report != NULL                       ? leaf->report->examined_at
                                                                    : "";
    if (civil_parse_rfc3339(text_view(text), &t) == STATUS_OK) {
        return civil_unix_ms(&t, 480);
    }
    return (int64_t)leaf->c.brief.day * 86400000;
}

/* 0: can be relied on, 1: in doubt or not final, 2: not opened. */
static int
usability(const struct lookup *l, const struct lookup_result *r)
{
    const struct lookup_leaf *leaf = &l->leaves[r->leaf];
    if (r->item == NULL) {
        return 2;
    }
    const char *s = decision_status(leaf->report, r->item);
    bool sound = s != NULL && (strcmp(s, "final") == 0 || strcmp(s, "corrected") == 0);
    bool early = r->examined_ms > (l->question.at_s + AHEAD_S) * 1000;
    return !sound || early || is_doubtful(leaf, r->item) ? 1 : 0;
}

/* Usable ones first, newest first (insertion sort: the lists are short). */
static void
sort_results(struct lookup *l)
{
    for (size_t i = 1; i < l->result_count; i++) {
        struct lookup_result r = l->results[i];
        size_t at = i;
        while (at > 0) {
            const struct lookup_result *before = &l->results[at - 1];
            int a = usability(l, before);
            int b = usability(l, &r);
            if (a < b || (a == b && before->examined_ms >= r.examined_ms)) {
                break;
            }
            l->results[at] = l->results[at - 1];
            at--;
        }
        l->results[at] = r;
    }
}

/* The first item asked for that a leaf which is not opened may hold. */
static const char *
may_be(const struct lookup *l, const struct lookup_leaf *leaf)
{
    const struct hr_catalog *catalog = policy_set_catalog(l->place.policy);
    for (size_t i = 0; i < l->question.item_count; i++) {
        const char *code = l->question.items[i];
        const struct hr_item *item =
            hr_catalog_by_code(catalog, (struct hr_text){code, strlen(code)});
        if (item != NULL && candidate_may_hold(&leaf->c, item->number)) {
            return code;
        }
    }
    return "";
}

static enum status
add_results(struct lookup *l, size_t at)
{
    struct lookup_leaf *leaf = &l->leaves[at];
    if (leaf->state == LOOKUP_OTHER) {
        return STATUS_OK;
    }
    size_t rows = leaf->report == NULL ? 1 : leaf->report->n_items;
    for (size_t i = 0; i < rows && l->result_count < LOOKUP_RESULTS_MAX; i++) {
        const Hr__Item *item = leaf->report == NULL ? NULL : leaf->report->items[i];
        if (item != NULL && !is_asked_for(l, item->code)) {
            continue;
        }
        struct lookup_result *r = &l->results[l->result_count];
        *r = (struct lookup_result){
            .leaf = at, .item = item, .code = item == NULL ? may_be(l, leaf) : item->code};
        r->examined_ms = examined_ms(leaf, item);
        if (item != NULL) {
            enum status st = decide_row(l, leaf, r);
            if (st != STATUS_OK) {
                return st;
            }
        }
        l->result_count++;
    }
    return STATUS_OK;
}

/* At most one row is pre-selected: the newest, if its strongest decision is to
 * recognize, and nothing about it is in doubt. */
static void
preselect(struct lookup *l)
{
    for (size_t i = 0; i < l->result_count; i++) {
        struct lookup_result *r = &l->results[i];
        bool first = true;
        for (size_t k = 0; k < i; k++) {
            first = first && strcmp(l->results[k].code, r->code) != 0;
        }
        r->preselected = first && usability(l, r) == 0 && r->decision_count > 0 &&
                         r->decisions[0].decision.recognize &&
                         r->decisions[0].shown >= HR_SHOULD;
    }
}

enum status
lookup_decide(struct lookup *l, struct store_txn *txn, int64_t now_s)
{
    enum status st = STATUS_OK;
    l->clock_wrong = now_s < charter_newest_issued_s(l->place.charter);
    l->results = calloc(LOOKUP_RESULTS_MAX, sizeof *l->results);
    st = l->results == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < l->leaf_count; i++) {
        st = open_leaf(l, &l->leaves[i]);
    }
    for (size_t i = 0; st == STATUS_OK && i < l->leaf_count; i++) {
        if (l->leaves[i].report != NULL) {
            compare_identity(l, &l->leaves[i]);
        }
        st = count_cosigned(l, txn, &l->leaves[i], now_s);
    }
    for (size_t i = 0; st == STATUS_OK && i < l->leaf_count; i++) {
        st = add_results(l, i);
    }
    if (st == STATUS_OK) {
        sort_results(l);
        preselect(l);
    }
    return st;
}

enum hr_verdict
lookup_best(const struct lookup *l)
{
    enum hr_verdict best = HR_NO_RULE;
    for (size_t i = 0; i < l->result_count; i++) {
        for (size_t d = 0; d < l->results[i].decision_count; d++) {
            enum hr_verdict v = l->results[i].decisions[d].shown;
            best = v > best ? v : best;
        }
    }
    return best;
}
