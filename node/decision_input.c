#include "node/decision_input.h"

#include <stdio.h>
#include <string.h>

#include "proto/civil.h"

enum { CHINA_OFFSET_S = 8 * 3600, DAY_S = 86400 };

void
decision_date(int64_t unix_s, char out[11])
{
    int64_t local = unix_s + CHINA_OFFSET_S;
    int64_t day = (local - ((local % DAY_S) + DAY_S) % DAY_S) / DAY_S;
    struct civil c = civil_from_days((int32_t)day);
    char text[CIVIL_CHARS_MAX];
    civil_format(&c, text);
    memcpy(out, text, 10);
    out[10] = '\0';
}

void
decision_time(int64_t unix_s, char out[26])
{
    char date[11];
    decision_date(unix_s, date);
    int64_t local = unix_s + CHINA_OFFSET_S;
    unsigned second = (unsigned)(((local % DAY_S) + DAY_S) % DAY_S);
    snprintf(out, 26,
             "%s"
             "T%02u:%02u:%02u+08:00",
             date, second / 3600 % 24, second / 60 % 60, second % 60);
}

size_t
decision_pack(const struct policy_set *policy, const Hr__PolicyRow *row)
{
    size_t at =
        row->hash.len == HASH_BYTES ? policy_set_find_hash(policy, row->hash.data) : SIZE_MAX;
    if (at == SIZE_MAX) {
        return SIZE_MAX;
    }
    struct hr_text id = hr_pack_id(policy_set_pack(policy, at));
    return id.size == strlen(row->pack) && memcmp(id.bytes, row->pack, id.size) == 0 ? at
                                                                                     : SIZE_MAX;
}

/* Set a member to text, or leave it out (unknown) when there is none. */
static void
set_text(json_t *o, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        json_object_set_new(o, name, json_string(text));
    }
}

/* 0 unknown, 1 yes, 2 no, as the schemas write it. */
static void
set_yes_no(json_t *o, const char *name, uint32_t value)
{
    if (value == 1 || value == 2) {
        json_object_set_new(o, name, json_boolean(value == 1));
    }
}

static json_t *
alliances(const Hr__MemberRow *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_alliances; i++) {
        json_t *a = json_object();
        set_text(a, "id", m->alliances[i]->id);
        set_text(a, "kind", m->alliances[i]->kind);
        json_array_append_new(list, a);
    }
    return list;
}

static json_t *
listings(const Hr__MemberRow *m, const char *pack)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_listings; i++) {
        const Hr__Listing *l = m->listings[i];
        if (strcmp(l->pack, pack) != 0) {
            continue;
        }
        json_t *o = json_object();
        set_text(o, "status", l->status);
        set_text(o, "from", l->from);
        set_text(o, "to", l->to);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *
institution(const struct charter *c, const char *code, const char *pack, int64_t at_s)
{
    json_t *o = json_object();
    set_text(o, "code", code);
    const Hr__MemberRow *m = charter_member(c, code);
    if (m == NULL || charter_is_stale(c, CHARTER_MEMBERS, at_s)) {
        return o;
    }
    set_text(o, "territory", m->territory);
    set_text(o, "level", m->level);
    set_text(o, "grade", m->grade);
    set_text(o, "ownership", m->ownership);
    set_yes_no(o, "assessed", m->assessed);
    if (m->n_alliances > 0 || m->alliances_known) {
        json_object_set_new(o, "alliances", alliances(m));
    }
    const Hr__Listing *one;
    if (m->listings_known || charter_listings(m, pack, &one, 1) > 0) {
        json_object_set_new(o, "listing", listings(m, pack));
    }
    return o;
}

static json_t *
quality(const struct charter *c, const char *issuer, const char *item, int64_t at_s)
{
    if (charter_is_stale(c, CHARTER_QUALITY, at_s)) {
        return json_null();
    }
    const Hr__QualityRow *own = item[0] == '\0' ? NULL : charter_quality(c, issuer, item);
    const Hr__QualityRow *whole = charter_quality(c, issuer, "");
    if (own == NULL && whole == NULL) {
        return json_null();
    }
    json_t *o = json_object();
    if (own != NULL) {
        json_t *rounds = json_array();
        for (size_t i = 0; i < own->n_rounds; i++) {
            const Hr__Round *r = own->rounds[i];
            json_array_append_new(rounds, json_pack("{s:s,s:s,s:b}", "organiser", r->organiser,
                                                    "date", r->date, "passed", r->passed));
        }
        json_object_set_new(o, "rounds", rounds);
    }
    if (whole != NULL) {
        json_t *halves = json_array();
        for (size_t i = 0; i < whole->n_institution_halves; i++) {
            const Hr__HalfYear *h = whole->institution_halves[i];
            json_array_append_new(halves,
                                  json_pack("{s:s,s:b}", "half", h->half, "passed", h->passed));
        }
        json_object_set_new(o, "institution", halves);
        if (whole->inspection_failed_year != 0) {
            json_object_set_new(o, "inspection_failed_year",
                                json_integer(whole->inspection_failed_year));
        }
    }
    return o;
}

/* The marks that hold for this row: its own signs, and the page's marks unless
 * other rows bear a sign and this one does not (AMB-HB03). */
static json_t *
marks(const Hr__Report *report, const Hr__Item *item)
{
    json_t *list = json_array();
    bool others = false;
    for (size_t i = 0; i < report->n_items; i++) {
        others = others || (report->items[i] != item && report->items[i]->n_marks > 0);
    }
    for (size_t i = 0; i < item->n_marks; i++) {
        json_array_append_new(list, json_string(item->marks[i]));
    }
    for (size_t i = 0; (!others || item->n_marks > 0) && i < report->n_marks; i++) {
        json_array_append_new(list, json_string(report->marks[i]));
    }
    return list;
}

static const char *
result_status(const Hr__Report *report, const Hr__Item *item)
{
    const char *s = item->status[0] != '\0' ? item->status : report->status;
    if (strcmp(s, "amended") == 0) {
        return "corrected";
    }
    if (strcmp(s, "entered-in-error") == 0) {
        return "cancelled";
    }
    /* What is only registered is no result yet; the rest passes as it is. */
    return strcmp(s, "registered") == 0 || strcmp(s, "unknown") == 0 ? NULL : s;
}

static json_t *
result(const struct decision_case *k, const Hr__Report *report, const Hr__Item *item)
{
    json_t *o = json_object();
    set_text(o, "examined_at",
             item->examined_at[0] != '\0' ? item->examined_at : report->examined_at);
    set_text(o, "status", result_status(report, item));
    json_object_set_new(o, "marks", marks(report, item));
    set_yes_no(o, "mark_note", report->mark_note);
    set_yes_no(o, "images", report->images);
    if (item->method[0] != '\0') {
        json_object_set_new(o, "method", json_true());
    }
    if (item->reference[0] != '\0') {
        json_object_set_new(o, "reference_interval", json_true());
    }
    set_yes_no(o, "reviewed", report->reviewed);
    set_yes_no(o, "protocol_complete", report->protocol_complete);
    if (report->detector_rows != 0) {
        json_object_set_new(o, "detector_rows", json_integer(report->detector_rows));
    }
    set_text(o, "side", report->side);
    set_text(o, "body_site", report->body_site);
    json_object_set_new(o, "critical", json_boolean(item->critical));
    if (k->in_doubt) {
        json_object_set_new(o, "in_doubt", json_true());
    }
    return o;
}

json_t *
decision_input(const struct charter *c, const struct decision_case *k, const char *pack,
               const Hr__Report *report, const Hr__Item *item)
{
    json_t *o = json_object();
    char at[26];
    decision_time(k->at_s, at);
    set_text(o, "pack", pack);
    set_text(o, "at", at);
    const Hr__PolicyRow *row = charter_pack(c, pack);
    if (row != NULL && !charter_is_stale(c, CHARTER_POLICY, k->at_s)) {
        set_text(o, "in_force_from", row->in_force_from);
    }
    set_text(o, "item", item->code);
    json_object_set_new(o, "issuer", institution(c, k->issuer, pack, k->at_s));
    if (k->receiver != NULL) {
        json_object_set_new(o, "receiver", institution(c, k->receiver, pack, k->at_s));
    }
    json_object_set_new(o, "result", result(k, report, item));
    json_object_set_new(o, "quality", quality(c, k->issuer, item->code, k->at_s));
    if (k->order != NULL) {
        json_object_set(o, "order", (json_t *)(uintptr_t)k->order);
    }
    set_text(o, "encounter", k->encounter);
    if (k->doctor != NULL) {
        json_object_set(o, "doctor", (json_t *)(uintptr_t)k->doctor);
    }
    return o;
}
