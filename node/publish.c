#include "node/publish.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/brief.h"
#include "crypto/record.h"
#include "crypto/token.h"
#include "proto/bigend.h"
#include "proto/civil.h"
#include "proto/log.pb-c.h"
#include "proto/text.h"

enum { RANK_PRELIMINARY = 1, RANK_FINAL = 2, RANK_CORRECTED = 3 };
enum { REASON_IN_ERROR = 1, REASON_WRONG_PATIENT = 2 }; /* Withdraw.reason of log.proto */

void
publish_row_pack(const struct publish_row *row, uint8_t out[PUBLISH_RANK_BYTES])
{
    memcpy(out, row->identifier, 16);
    put_be64(out + 16, row->reported_s);
    out[24] = row->rank;
    out[25] = row->what;
    put_be64(out + 26, row->replaces);
}

enum status
publish_row_unpack(struct view rank, struct publish_row *row)
{
    if (rank.count != PUBLISH_RANK_BYTES || rank.bytes[25] < PUBLISH_NEW ||
        rank.bytes[25] > PUBLISH_WITHDRAW) {
        return STATUS_CORRUPT;
    }
    memcpy(row->identifier, rank.bytes, 16);
    row->reported_s = get_be64(rank.bytes + 16);
    row->rank = rank.bytes[24];
    row->what = rank.bytes[25];
    row->replaces = get_be64(rank.bytes + 26);
    return STATUS_OK;
}

/* BLAKE2b-128(key, context || 0x00 || part || 0x00 ...). */
static void
handle_of(const uint8_t *key, const char *context, const char *const *parts, size_t count,
          uint8_t out[PUBLISH_HANDLE_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, key, KEY_BYTES, PUBLISH_HANDLE_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)context, strlen(context) + 1);
    for (size_t i = 0; i < count; i++) {
        crypto_generichash_update(&state, (const unsigned char *)parts[i],
                                  strlen(parts[i]) + 1);
    }
    crypto_generichash_final(&state, out, PUBLISH_HANDLE_BYTES);
    sodium_memzero(&state, sizeof state);
}

void
publish_report_handle(const struct publish_context *c, const Hr__Report *report,
                      uint8_t out[PUBLISH_HANDLE_BYTES])
{
    const char *parts[] = {report->kind, report->sending_application, report->report_id};
    handle_of(c->ledger_key, "huren report v1", parts, 3, out);
}

static void
identifier_handle(const struct publish_context *c, const Hr__Identifier *id,
                  uint8_t out[PUBLISH_HANDLE_BYTES])
{
    const char *parts[] = {id->type, id->value};
    handle_of(c->ledger_key, "huren identifier v1", parts, 2, out);
}

/* Seconds since 1970-01-01T00:00:00Z of the first instant that an RFC 3339 text
 * with at least a day can mean, and, in *last, of the last one; a time without a
 * zone is UTC+8.  False if it is nothing of the kind. */
static bool
seconds_of(const char *text, int64_t *seconds, int64_t *last)
{
    struct civil t;
    if (civil_parse_rfc3339(text_view(text), &t) != STATUS_OK || t.precision < CIVIL_DAY) {
        return false;
    }
    int64_t ms = civil_unix_ms(&t, 480);
    *seconds = (ms - (ms % 1000 + 1000) % 1000) / 1000;
    *last = *seconds + (t.precision == CIVIL_DAY      ? 86399
                        : t.precision == CIVIL_HOUR   ? 3599
                        : t.precision == CIVIL_MINUTE ? 59
                                                      : 0);
    return true;
}

static bool
examined_seconds(const Hr__Report *report, int64_t *seconds)
{
    int64_t last;
    if (seconds_of(report->examined_at, seconds, &last)) {
        return true;
    }
    for (size_t i = 0; i < report->n_items; i++) {
        if (seconds_of(report->items[i]->examined_at, seconds, &last)) {
            return true;
        }
    }
    return false;
}

bool
publish_day(const Hr__Report *report, uint16_t *day)
{
    int64_t s;
    return examined_seconds(report, &s) && token_day_of_ms(s * 1000, day) == STATUS_OK;
}

static uint8_t
rank_of(const Hr__Report *report)
{
    if (strcmp(report->status, "preliminary") == 0) {
        return RANK_PRELIMINARY;
    }
    return strcmp(report->status, "corrected") == 0 ? RANK_CORRECTED : RANK_FINAL;
}

/* What is published for one identifier: the report under it alone, so that who
 * looks up a passport does not learn a resident number. */
struct narrowed {
    Hr__Report report;
    Hr__Patient patient;
    Hr__Identifier *identifiers[1];
    Hr__Identifier identifier;
};

static void
narrow(const Hr__Report *report, const Hr__Identifier *id, struct narrowed *out)
{
    out->report = *report;
    if (report->patient != NULL) {
        out->patient = *report->patient;
    } else {
        hr__patient__init(&out->patient);
    }
    out->identifier = *id;
    out->identifiers[0] = &out->identifier;
    out->patient.identifiers = out->identifiers;
    out->patient.n_identifiers = 1;
    out->report.patient = &out->patient;
}

/* Hash of what the source said, under this identifier: derived marks and whether
 * it is held left out, so that a later charter does not turn a repeat into a
 * correction. */
static enum status
content_hash(const struct publish_context *c, const Hr__Report *report,
             const Hr__Identifier *id, uint8_t out[PUBLISH_HANDLE_BYTES])
{
    struct narrowed n;
    narrow(report, id, &n);
    n.report.n_marks = 0;
    n.report.mark_note = 0;
    n.report.held = false;
    enum status st = STATUS_NO_MEMORY;
    Hr__Item *items = calloc(report->n_items + 1, sizeof *items);
    Hr__Item **pointers = calloc(report->n_items + 1, sizeof *pointers);
    uint8_t *packed = NULL;
    if (items == NULL || pointers == NULL) {
        goto cleanup;
    }
    for (size_t i = 0; i < report->n_items; i++) {
        items[i] = *report->items[i];
        items[i].n_marks = 0;
        pointers[i] = &items[i];
    }
    n.report.items = pointers;
    size_t count = hr__report__get_packed_size(&n.report);
    packed = malloc(count + 1);
    if (packed == NULL) {
        goto cleanup;
    }
    hr__report__pack(&n.report, packed);
    crypto_generichash(out, PUBLISH_HANDLE_BYTES, packed, count, c->ledger_key, KEY_BYTES);
    sodium_memzero(packed, count);
    st = STATUS_OK;
cleanup:
    free(packed);
    free(pointers);
    free(items);
    return st;
}

/* Which types come first, so that two messages of one report choose alike. */
static int
type_order(const char *type)
{
    static const char *const types[] = {"RI", "PP", "HM", "TW", "RP"};
    int i = 0;
    while (i < 5 && strcmp(type, types[i]) != 0) {
        i++;
    }
    return i;
}

/* The identifiers to publish under: different ones, at most two. */
static size_t
publishable(const Hr__Report *report, const Hr__Identifier *ids[PUBLISH_IDENTIFIERS_MAX])
{
    size_t count = 0;
    size_t n = report->patient == NULL ? 0 : report->patient->n_identifiers;
    for (int order = 0; order <= 5; order++) {
        for (size_t i = 0; i < n && count < PUBLISH_IDENTIFIERS_MAX; i++) {
            const Hr__Identifier *id = report->patient->identifiers[i];
            bool twice = count == 1 && strcmp(ids[0]->type, id->type) == 0 &&
                         strcmp(ids[0]->value, id->value) == 0;
            if (type_order(id->type) == order && !twice && id->value[0] != '\0') {
                ids[count++] = id;
            }
        }
    }
    return count;
}

bool
publish_is_live(const struct publish_row *rows, size_t count, size_t at)
{
    if (rows[at].what == PUBLISH_WITHDRAW) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].what != PUBLISH_NEW && rows[i].replaces == rows[at].leaf) {
            return false;
        }
    }
    return true;
}

static void
add_withdraw(struct publish_plan *plan, const struct publish_row *row, uint32_t reason)
{
    struct publish_step *s = &plan->steps[plan->count++];
    *s = (struct publish_step){
        .what = PUBLISH_WITHDRAW, .replaces = row->leaf, .epoch = row->epoch, .reason = reason};
    memcpy(s->token, row->token, TOKEN_BYTES);
}

static bool
same_token(const struct publish_context *c, const Hr__Report *report, const Hr__Identifier *id,
           const struct publish_row *row)
{
    uint16_t day;
    struct patient_keys keys;
    struct token token;
    if (row->epoch != c->network_key->epoch || !publish_day(report, &day) ||
        token_patient_keys(c->network_key, id->type, id->value, &keys) != STATUS_OK) {
        return false;
    }
    token_make(&keys, token_quarter_of_day(day), &token);
    sodium_memzero(&keys, sizeof keys);
    return memcmp(token.bytes, row->token, TOKEN_BYTES) == 0;
}

/* What is known of one identifier of the report. */
struct named {
    const Hr__Identifier *id;
    uint8_t name[PUBLISH_HANDLE_BYTES];
    const struct publish_row *live; /* what stands under it now, or NULL */
    bool repeat;                    /* and that is this very report */
};

/* Is what the report says older than what stands in this row?  By the time of
 * reporting, if both state one; a preliminary report never follows another. */
static bool
is_older(const Hr__Report *report, const struct publish_row *row)
{
    int64_t first = 0;
    int64_t last = 0;
    uint8_t rank = rank_of(report);
    if (row->reported_s != 0 && seconds_of(report->reported_at, &first, &last) && first > 0) {
        if (last < (int64_t)row->reported_s) {
            return true;
        }
        if (first > (int64_t)row->reported_s) {
            return rank == RANK_PRELIMINARY && rank < row->rank;
        }
    }
    return rank < row->rank;
}

/* Find the identifiers among the rows.  *stale: the message has been overtaken
 * by what is there, so it says nothing about values or about whose they are. */
static enum status
find_named(const struct publish_context *c, const Hr__Report *report,
           const struct publish_row *rows, size_t row_count, struct named *named, size_t count,
           bool *stale)
{
    bool held = publish_is_held(c, report);
    for (size_t k = 0; k < count; k++) {
        uint8_t content[PUBLISH_HANDLE_BYTES];
        bool seen = false;
        identifier_handle(c, named[k].id, named[k].name);
        enum status st = content_hash(c, report, named[k].id, content);
        if (st != STATUS_OK) {
            return st;
        }
        for (size_t i = 0; i < row_count; i++) {
            bool live = publish_is_live(rows, row_count, i);
            bool same = rows[i].what != PUBLISH_WITHDRAW && (rows[i].held || !held) &&
                        memcmp(rows[i].content, content, sizeof content) == 0;
            if (rows[i].what != PUBLISH_WITHDRAW &&
                memcmp(rows[i].identifier, named[k].name, PUBLISH_HANDLE_BYTES) == 0) {
                named[k].live = live ? &rows[i] : named[k].live;
                named[k].repeat = named[k].repeat || (live && same);
                seen = seen || same;
            }
        }
        *stale = *stale || (seen && !named[k].repeat); /* and replaced since */
    }
    for (size_t i = 0; i < row_count; i++) {
        bool repeat = false;
        for (size_t k = 0; k < count; k++) {
            repeat = repeat || (named[k].repeat && named[k].live == &rows[i]);
        }
        *stale = *stale ||
                 (!repeat && publish_is_live(rows, row_count, i) && is_older(report, &rows[i]));
    }
    return STATUS_OK;
}

/* Live leaves under an identifier that the report does not name: the result was
 * given to the wrong patient (DESIGN 6). */
static void
plan_others(const struct publish_row *rows, size_t row_count, const struct named *named,
            size_t count, struct publish_plan *plan)
{
    for (size_t i = 0; i < row_count; i++) {
        bool is_named = false;
        for (size_t k = 0; k < count; k++) {
            is_named = is_named ||
                       memcmp(rows[i].identifier, named[k].name, PUBLISH_HANDLE_BYTES) == 0;
        }
        if (!is_named && publish_is_live(rows, row_count, i)) {
            add_withdraw(plan, &rows[i], REASON_WRONG_PATIENT);
        }
    }
}

static void
plan_named(const struct publish_context *c, const Hr__Report *report, const struct named *n,
           struct publish_plan *plan)
{
    if (n->live != NULL && same_token(c, report, n->id, n->live)) {
        plan->steps[plan->count++] = (struct publish_step){
            .what = PUBLISH_CORRECT, .identifier = n->id, .replaces = n->live->leaf};
        return;
    }
    if (n->live != NULL) { /* another quarter or epoch: another token */
        add_withdraw(plan, n->live, REASON_IN_ERROR);
    }
    plan->steps[plan->count++] =
        (struct publish_step){.what = PUBLISH_NEW, .identifier = n->id};
}

static void
plan_withdrawal(const struct publish_row *rows, size_t row_count, uint32_t reason,
                struct publish_plan *plan)
{
    for (size_t i = 0; i < row_count; i++) {
        if (publish_is_live(rows, row_count, i)) {
            add_withdraw(plan, &rows[i], reason);
        }
    }
    plan->outcome = plan->count == 0 ? PUBLISH_NOTHING : PUBLISH_STEPS;
}

enum status
publish_plan(const struct publish_context *c, const Hr__Report *report, uint32_t withdraw,
             const struct publish_row *rows, size_t row_count, struct publish_plan *out)
{
    *out = (struct publish_plan){.outcome = PUBLISH_STEPS};
    size_t live_count = 0;
    for (size_t i = 0; i < row_count; i++) {
        live_count += publish_is_live(rows, row_count, i);
    }
    if (live_count > PUBLISH_IDENTIFIERS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (withdraw != 0) {
        plan_withdrawal(rows, row_count, withdraw, out);
        return STATUS_OK;
    }
    const Hr__Identifier *ids[PUBLISH_IDENTIFIERS_MAX];
    struct named named[PUBLISH_IDENTIFIERS_MAX] = {{.id = NULL}};
    size_t count = publishable(report, ids);
    uint16_t day;
    if (count == 0) {
        out->outcome = PUBLISH_NO_IDENTIFIER;
        return STATUS_OK;
    }
    if (!publish_day(report, &day)) {
        out->outcome = PUBLISH_NO_TIME;
        return STATUS_OK;
    }
    for (size_t k = 0; k < count; k++) {
        named[k].id = ids[k];
    }
    bool stale = false;
    enum status st = find_named(c, report, rows, row_count, named, count, &stale);
    if (st != STATUS_OK) {
        return st;
    }
    bool news = false;
    for (size_t k = 0; k < count; k++) {
        news = news || !named[k].repeat;
    }
    if (stale || !news) {
        out->outcome = stale ? PUBLISH_STALE : PUBLISH_REPEAT;
        return STATUS_OK;
    }
    plan_others(rows, row_count, named, count, out);
    for (size_t k = 0; k < count; k++) {
        if (!named[k].repeat) {
            plan_named(c, report, &named[k], out);
        }
    }
    return STATUS_OK;
}

bool
publish_stays_held(const struct publish_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].held && publish_is_live(rows, count, i)) {
            return true;
        }
    }
    return false;
}

bool
publish_is_held(const struct publish_context *c, const Hr__Report *report)
{
    if (report->held) {
        return true;
    }
    for (size_t i = 0; i < report->n_items; i++) {
        if (report->items[i]->code[0] != '\0' && c->sensitive(c->ctx, report->items[i]->code)) {
            return true;
        }
    }
    return false;
}

static uint8_t
brief_status_of(const Hr__Report *report)
{
    if (strcmp(report->status, "final") == 0) {
        return BRIEF_FINAL;
    }
    if (strcmp(report->status, "corrected") == 0) {
        return BRIEF_CORRECTED;
    }
    if (strcmp(report->status, "preliminary") == 0) {
        return BRIEF_PRELIMINARY;
    }
    return strcmp(report->status, "cancelled") == 0 ? BRIEF_CANCELLED : BRIEF_UNKNOWN;
}

static enum status
make_brief(const struct publish_context *c, const Hr__Report *report, uint16_t day,
           struct brief *out)
{
    uint32_t numbers[REPORT_ITEMS_MAX] = {0};
    size_t count = 0;
    bool unmapped = false;
    for (size_t i = 0; i < report->n_items; i++) {
        uint32_t n = c->number(c->ctx, report->items[i]->code);
        if (n == 0 || count == REPORT_ITEMS_MAX) {
            unmapped = true;
        } else {
            numbers[count++] = n;
        }
    }
    enum status st = brief_make(day, brief_status_of(report), numbers, count, out);
    if (st == STATUS_OK && unmapped) {
        out->more = true;
    }
    return st;
}

/* Pack the entry of a step; `brief` is empty or sealed. */
static size_t
pack_entry(const struct publish_step *step, const struct token *token, uint32_t epoch,
           uint8_t sealed[HASH_BYTES], uint8_t *brief, size_t brief_count,
           uint8_t out[PUBLISH_ENTRY_BYTES_MAX])
{
    uint8_t token_bytes[TOKEN_BYTES];
    memcpy(token_bytes, token->bytes, sizeof token_bytes);
    Hr__PubEntry e = HR__PUB_ENTRY__INIT;
    Hr__Publish p = HR__PUBLISH__INIT;
    Hr__Correct k = HR__CORRECT__INIT;
    if (step->what == PUBLISH_CORRECT) {
        k.token = (ProtobufCBinaryData){TOKEN_BYTES, token_bytes};
        k.epoch = epoch;
        k.sealed = (ProtobufCBinaryData){HASH_BYTES, sealed};
        k.brief = (ProtobufCBinaryData){brief_count, brief};
        k.replaces = step->replaces;
        e.what_case = HR__PUB_ENTRY__WHAT_CORRECT;
        e.correct = &k;
    } else {
        p.token = (ProtobufCBinaryData){TOKEN_BYTES, token_bytes};
        p.epoch = epoch;
        p.sealed = (ProtobufCBinaryData){HASH_BYTES, sealed};
        p.brief = (ProtobufCBinaryData){brief_count, brief};
        e.what_case = HR__PUB_ENTRY__WHAT_PUBLISH;
        e.publish = &p;
    }
    assert(hr__pub_entry__get_packed_size(&e) <= PUBLISH_ENTRY_BYTES_MAX);
    return hr__pub_entry__pack(&e, out);
}

static void
make_withdraw(const struct publish_step *step, struct publication *out)
{
    uint8_t token_bytes[TOKEN_BYTES];
    memcpy(token_bytes, step->token, sizeof token_bytes);
    Hr__PubEntry e = HR__PUB_ENTRY__INIT;
    Hr__Withdraw w = HR__WITHDRAW__INIT;
    w.token = (ProtobufCBinaryData){TOKEN_BYTES, token_bytes};
    w.epoch = step->epoch;
    w.replaces = step->replaces;
    w.reason = step->reason;
    e.what_case = HR__PUB_ENTRY__WHAT_WITHDRAW;
    e.withdraw = &w;
    out->entry_count = hr__pub_entry__pack(&e, out->entry);
    memcpy(out->row.token, step->token, TOKEN_BYTES);
    out->row.epoch = step->epoch;
}

/* Pack the report under one identifier and seal it. */
static enum status
seal_report(const struct publish_context *c, const Hr__Report *report, const Hr__Identifier *id,
            const uint8_t record_key[KEY_BYTES], struct publication *out)
{
    struct narrowed n;
    narrow(report, id, &n);
    size_t packed_count = hr__report__get_packed_size(&n.report);
    if (packed_count > REPORT_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    size_t room = record_bytes(packed_count);
    uint8_t *packed = malloc(packed_count + 1);
    uint8_t *record = malloc(room);
    enum status st = STATUS_NO_MEMORY;
    if (packed != NULL && record != NULL) {
        hr__report__pack(&n.report, packed);
        st = record_seal((struct view){packed, packed_count}, record_key, c->network,
                         c->institution, record, room, &out->record_count);
        sodium_memzero(packed, packed_count);
    }
    if (st == STATUS_OK) {
        out->record = record;
        record = NULL;
    }
    free(packed);
    free(record);
    return st;
}

static enum status
make_sealed(const struct publish_context *c, const Hr__Report *report,
            const struct publish_step *step, const uint8_t held_key[KEY_BYTES],
            struct publication *out)
{
    const Hr__Identifier *id = step->identifier;
    struct patient_keys keys;
    struct token token;
    struct brief brief;
    struct hash sealed;
    uint8_t sealed_brief[BRIEF_BYTES];
    uint16_t day;
    if (!publish_day(report, &day)) {
        return STATUS_MALFORMED;
    }
    enum status st = token_patient_keys(c->network_key, id->type, id->value, &keys);
    if (st != STATUS_OK) {
        return st;
    }
    token_make(&keys, token_quarter_of_day(day), &token);
    out->held = publish_is_held(c, report);
    st = seal_report(c, report, id, out->held ? held_key : keys.record_key, out);
    if (st != STATUS_OK) {
        goto cleanup;
    }
    record_sealed((struct view){out->record, out->record_count}, &sealed);
    uint32_t epoch = c->network_key->epoch;
    out->entry_count = pack_entry(step, &token, epoch, sealed.bytes, NULL, 0, out->entry);
    if (!out->held) {
        st = make_brief(c, report, day, &brief);
        if (st == STATUS_OK) {
            st = brief_seal(&brief, keys.brief_key, c->origin,
                            (struct view){out->entry, out->entry_count}, sealed_brief);
        }
        if (st != STATUS_OK) {
            goto cleanup;
        }
        out->entry_count = pack_entry(step, &token, epoch, sealed.bytes, sealed_brief,
                                      BRIEF_BYTES, out->entry);
    }
    memcpy(out->row.token, token.bytes, TOKEN_BYTES);
    out->row.epoch = epoch;
    identifier_handle(c, id, out->row.identifier);
    st = content_hash(c, report, id, out->row.content);
cleanup:
    sodium_memzero(&keys, sizeof keys);
    return st;
}

enum status
publish_make(const struct publish_context *c, const Hr__Report *report,
             const struct publish_step *step, const uint8_t held_key[KEY_BYTES],
             struct publication *out)
{
    memset(out, 0, sizeof *out);
    int64_t reported = 0;
    int64_t last;
    if (seconds_of(report->reported_at, &reported, &last) && reported > 0) {
        out->row.reported_s = (uint64_t)reported;
    }
    out->row.rank = rank_of(report);
    out->row.what = (uint8_t)step->what;
    out->row.replaces = step->what == PUBLISH_NEW ? 0 : step->replaces;
    if (step->what == PUBLISH_WITHDRAW) {
        make_withdraw(step, out);
        return STATUS_OK;
    }
    enum status st = make_sealed(c, report, step, held_key, out);
    if (st != STATUS_OK) {
        publication_free(out);
    }
    return st;
}

void
publication_free(struct publication *p)
{
    if (p != NULL) {
        free(p->record);
        p->record = NULL;
    }
}
