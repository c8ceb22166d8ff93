#include "node/publish.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/brief.h"
#include "crypto/record.h"
#include "crypto/token.h"
#include "proto/civil.h"
#include "proto/log.pb-c.h"
#include "proto/text.h"

enum { RANK_PRELIMINARY = 1, RANK_FINAL = 2, RANK_CORRECTED = 3 };

static void
put_u64(uint8_t out[8], uint64_t v)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)v;
        v >>= 8;
    }
}

static uint64_t
get_u64(const uint8_t in[8])
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | in[i];
    }
    return v;
}

void
publish_row_pack(const struct publish_row *row, uint8_t out[PUBLISH_RANK_BYTES])
{
    memcpy(out, row->identifier, 16);
    put_u64(out + 16, row->reported_s);
    out[24] = row->rank;
    out[25] = row->what;
    put_u64(out + 26, row->replaces);
}

enum status
publish_row_unpack(struct view rank, struct publish_row *row)
{
    if (rank.count != PUBLISH_RANK_BYTES || rank.bytes[25] < PUBLISH_NEW ||
        rank.bytes[25] > PUBLISH_WITHDRAW) {
        return STATUS_CORRUPT;
    }
    memcpy(row->identifier, rank.bytes, 16);
    row->reported_s = get_u64(rank.bytes + 16);
    row->rank = rank.bytes[24];
    row->what = rank.bytes[25];
    row->replaces = get_u64(rank.bytes + 26);
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

/* Seconds since 1970-01-01T00:00:00Z of an RFC 3339 text with at least a day;
 * a time without a zone is UTC+8.  False if it is nothing of the kind. */
static bool
seconds_of(const char *text, int64_t *seconds)
{
    struct civil t;
    if (civil_parse_rfc3339(text_view(text), &t) != STATUS_OK || t.precision < CIVIL_DAY) {
        return false;
    }
    int64_t ms = civil_unix_ms(&t, 480);
    *seconds = (ms - (ms % 1000 + 1000) % 1000) / 1000;
    return true;
}

static bool
examined_seconds(const Hr__Report *report, int64_t *seconds)
{
    if (seconds_of(report->examined_at, seconds)) {
        return true;
    }
    for (size_t i = 0; i < report->n_items; i++) {
        if (seconds_of(report->items[i]->examined_at, seconds)) {
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

/* Hash of what the source said, under this identifier: derived marks left out,
 * so that a later charter does not turn a repeat into a correction. */
static enum status
content_hash(const struct publish_context *c, const Hr__Report *report,
             const Hr__Identifier *id, uint8_t out[PUBLISH_HANDLE_BYTES])
{
    struct narrowed n;
    narrow(report, id, &n);
    n.report.n_marks = 0;
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

/* The identifiers to publish under, at most two. */
static size_t
publishable(const Hr__Report *report, const Hr__Identifier *ids[PUBLISH_IDENTIFIERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; report->patient != NULL && i < report->patient->n_identifiers; i++) {
        const Hr__Identifier *id = report->patient->identifiers[i];
        bool twice = false;
        for (size_t k = 0; k < count; k++) {
            twice = twice || (strcmp(ids[k]->type, id->type) == 0 &&
                              strcmp(ids[k]->value, id->value) == 0);
        }
        if (!twice && count < PUBLISH_IDENTIFIERS_MAX && id->value[0] != '\0') {
            ids[count++] = id;
        }
    }
    return count;
}

/* Is this row's leaf the one that counts now: not replaced, no withdrawal? */
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

/* What to do for one identifier; *touched marks live rows that are answered. */
static enum status
plan_identifier(const struct publish_context *c, const Hr__Report *report,
                const Hr__Identifier *id, const struct publish_row *rows, size_t row_count,
                struct publish_plan *plan, bool *repeat, bool *stale)
{
    uint8_t name[PUBLISH_HANDLE_BYTES];
    uint8_t content[PUBLISH_HANDLE_BYTES];
    identifier_handle(c, id, name);
    enum status st = content_hash(c, report, id, content);
    if (st != STATUS_OK) {
        return st;
    }
    const struct publish_row *live = NULL;
    for (size_t i = 0; i < row_count; i++) {
        if (memcmp(rows[i].identifier, name, sizeof name) != 0) {
            continue;
        }
        if (rows[i].what != PUBLISH_WITHDRAW &&
            memcmp(rows[i].content, content, sizeof content) == 0) {
            *repeat = true; /* published before, live or replaced since */
            return STATUS_OK;
        }
        if (publish_is_live(rows, row_count, i)) {
            live = &rows[i];
        }
    }
    int64_t reported = 0;
    bool timed = seconds_of(report->reported_at, &reported) && reported > 0;
    if (live != NULL &&
        (rank_of(report) < live->rank ||
         (timed && live->reported_s != 0 && (uint64_t)reported < live->reported_s))) {
        *stale = true;
        return STATUS_OK;
    }
    if (live != NULL && same_token(c, report, id, live)) {
        plan->steps[plan->count++] = (struct publish_step){
            .what = PUBLISH_CORRECT, .identifier = id, .replaces = live->leaf};
        return STATUS_OK;
    }
    if (live != NULL) {
        add_withdraw(plan, live, 1); /* another quarter or epoch: another token */
    }
    plan->steps[plan->count++] = (struct publish_step){.what = PUBLISH_NEW, .identifier = id};
    return STATUS_OK;
}

enum status
publish_plan(const struct publish_context *c, const Hr__Report *report, uint32_t withdraw,
             const struct publish_row *rows, size_t row_count, struct publish_plan *out)
{
    *out = (struct publish_plan){.outcome = PUBLISH_STEPS};
    const Hr__Identifier *ids[PUBLISH_IDENTIFIERS_MAX];
    size_t count = publishable(report, ids);
    uint16_t day;
    if (withdraw == 0 && count == 0) {
        out->outcome = PUBLISH_NO_IDENTIFIER;
        return STATUS_OK;
    }
    if (withdraw == 0 && !publish_day(report, &day)) {
        out->outcome = PUBLISH_NO_TIME;
        return STATUS_OK;
    }
    /* Live leaves under an identifier that the report no longer names: the
     * result was given to the wrong patient (DESIGN 6). */
    uint8_t names[PUBLISH_IDENTIFIERS_MAX][PUBLISH_HANDLE_BYTES];
    for (size_t k = 0; k < count; k++) {
        identifier_handle(c, ids[k], names[k]);
    }
    size_t live_count = 0;
    for (size_t i = 0; i < row_count; i++) {
        if (!publish_is_live(rows, row_count, i)) {
            continue;
        }
        bool named = false;
        for (size_t k = 0; k < count; k++) {
            named = named || memcmp(rows[i].identifier, names[k], sizeof names[k]) == 0;
        }
        if (++live_count > PUBLISH_IDENTIFIERS_MAX) {
            return STATUS_TOO_BIG;
        }
        if (withdraw != 0 || !named) {
            add_withdraw(out, &rows[i], withdraw != 0 ? withdraw : 2);
        }
    }
    bool repeat = false;
    bool stale = false;
    for (size_t k = 0; withdraw == 0 && k < count; k++) {
        enum status st =
            plan_identifier(c, report, ids[k], rows, row_count, out, &repeat, &stale);
        if (st != STATUS_OK) {
            return st;
        }
    }
    if (stale || (repeat && out->count > 0 && withdraw == 0 && row_count > 0)) {
        /* An old message come late says nothing about who the patient is now. */
        bool news = false;
        for (size_t i = 0; i < out->count; i++) {
            news = news || out->steps[i].what != PUBLISH_WITHDRAW;
        }
        out->count = news ? out->count : 0;
    }
    if (out->count == 0) {
        out->outcome = withdraw != 0 ? PUBLISH_NOTHING : stale ? PUBLISH_STALE : PUBLISH_REPEAT;
    }
    return STATUS_OK;
}

bool
publish_is_held(const struct publish_context *c, const Hr__Report *report)
{
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
        if (n == 0) {
            unmapped = true;
        } else if (count < REPORT_ITEMS_MAX) {
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
    if (seconds_of(report->reported_at, &reported) && reported > 0) {
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
