#include "node/decision_input.h"

#include <stdio.h>
#include <string.h>

#include "policy/text.h"
#include "proto/civil.h"
#include "proto/jsonwhole.h"
#include "proto/text.h"

enum { CHINA_OFFSET_S = 8 * 3600, DAY_S = 86400 };

/* An input is kept whole in a Decided entry, which takes ENTRY_BYTES_MAX at most,
 * and parts of it come from other members.  So its lists and texts are bounded;
 * a list of the charter that is longer keeps what any rule can read. */
enum {
    MARKS_MAX = 8,
    MARK_BYTES_MAX = 32,
    SITE_BYTES_MAX = 64,
    TIME_BYTES_MAX = 40,
    LIST_MAX = 16,   /* listings, half-years, and alliances, of which fewer are kept */
    SHARED_MAX = 8,  /* alliances kept of a longer list */
    ROUNDS_MAX = 32, /* beyond that only those that count, at most the last ... */
    ROUNDS_KEPT_MAX = 48,
    CIRCUMSTANCES_MAX = 16
};

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

/* The same for text from outside: what is over its bound is unknown. */
static void
set_bounded(json_t *o, const char *name, const char *text, size_t max)
{
    if (text != NULL && strlen(text) <= max) {
        set_text(o, name, text);
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

static bool
shares(const Hr__MemberRow *m, const Hr__Alliance *a)
{
    for (size_t i = 0; m != NULL && i < m->n_alliances; i++) {
        if (strcmp(m->alliances[i]->id, a->id) == 0) {
            return true;
        }
    }
    return false;
}

/* All of them; of a long list those that the other side shares and the first of
 * each kind. */
static json_t *
alliances(const Hr__MemberRow *m, const Hr__MemberRow *other)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_alliances; i++) {
        const Hr__Alliance *a = m->alliances[i];
        bool first = true;
        for (size_t k = 0; k < i; k++) {
            first = first && strcmp(m->alliances[k]->kind, a->kind) != 0;
        }
        if (m->n_alliances > LIST_MAX && !first &&
            (!shares(other, a) || json_array_size(list) >= SHARED_MAX)) {
            continue;
        }
        json_t *o = json_object();
        set_text(o, "id", a->id);
        set_text(o, "kind", a->kind);
        json_array_append_new(list, o);
    }
    return list;
}

static bool
covers(const Hr__Listing *l, const char *date)
{
    return (l->from[0] == '\0' || strcmp(l->from, date) <= 0) &&
           (l->to[0] == '\0' || strcmp(date, l->to) <= 0);
}

/* All periods of a pack; of a long list the last one over each of the two dates
 * that rules ask about (`examined` may be "") and the last of all. */
static json_t *
listings(const Hr__MemberRow *m, const char *pack, const char *decided, const char *examined)
{
    json_t *list = json_array();
    const Hr__Listing *keep[3] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < m->n_listings; i++) {
        const Hr__Listing *l = m->listings[i];
        if (strcmp(l->pack, pack) != 0) {
            continue;
        }
        count++;
        keep[0] = covers(l, decided) ? l : keep[0];
        keep[1] = examined[0] != '\0' && covers(l, examined) ? l : keep[1];
        keep[2] = l;
    }
    for (size_t i = 0; i < m->n_listings; i++) {
        const Hr__Listing *l = m->listings[i];
        if (strcmp(l->pack, pack) != 0 ||
            (count > LIST_MAX && l != keep[0] && l != keep[1] && l != keep[2])) {
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

/* What every part of an input is made from. */
struct making {
    const struct charter *c;
    const struct decision_case *k;
    const char *pack;
    char decided[11];  /* civil dates in UTC+8 */
    char examined[11]; /* "" = unknown */
};

static json_t *
institution(const struct making *g, const char *code, const char *other_code)
{
    json_t *o = json_object();
    set_text(o, "code", code);
    const Hr__MemberRow *m = charter_member(g->c, code);
    if (m == NULL || charter_is_stale(g->c, CHARTER_MEMBERS, g->k->at_s)) {
        return o;
    }
    const Hr__MemberRow *other = other_code == NULL ? NULL : charter_member(g->c, other_code);
    set_text(o, "territory", m->territory);
    set_text(o, "level", m->level);
    set_text(o, "grade", m->grade);
    set_text(o, "ownership", m->ownership);
    set_yes_no(o, "assessed", m->assessed);
    if (m->n_alliances > 0 || m->alliances_known) {
        json_object_set_new(o, "alliances", alliances(m, other));
    }
    const Hr__Listing *one;
    if (m->listings_known || charter_listings(m, g->pack, &one, 1) > 0) {
        json_object_set_new(o, "listing", listings(m, g->pack, g->decided, g->examined));
    }
    return o;
}

/* Is this round among those of a long list that a rule can read?  Rules look at
 * the latest by the two dates, of each organiser, and back to the beginning of
 * the year before the examination. */
static bool
round_counts(const Hr__QualityRow *q, size_t at, const char *back_to, const char *by)
{
    const Hr__Round *r = q->rounds[at];
    size_t later = 0;
    for (size_t i = 0; i < q->n_rounds; i++) {
        int order = strcmp(q->rounds[i]->date, r->date);
        later += strcmp(q->rounds[i]->date, by) <= 0 && (order > 0 || (order == 0 && i > at));
    }
    if (strcmp(r->date, by) > 0 || later >= ROUNDS_KEPT_MAX) {
        return false;
    }
    if (strcmp(r->date, back_to) >= 0) {
        return true;
    }
    /* Before that only the latest of its organiser. */
    for (size_t i = 0; i < q->n_rounds; i++) {
        const Hr__Round *o = q->rounds[i];
        int order = strcmp(o->date, r->date);
        if (strcmp(o->organiser, r->organiser) == 0 && strcmp(o->date, back_to) < 0 &&
            (order > 0 || (order == 0 && i > at))) {
            return false;
        }
    }
    return true;
}

static json_t *
rounds(const struct making *g, const Hr__QualityRow *q)
{
    char back_to[11];
    const char *examined = g->examined[0] != '\0' ? g->examined : g->decided;
    const char *first = strcmp(examined, g->decided) < 0 ? examined : g->decided;
    const char *last = first == examined ? g->decided : examined;
    unsigned year = (unsigned)(first[0] - '0') * 1000 + (unsigned)(first[1] - '0') * 100 +
                    (unsigned)(first[2] - '0') * 10 + (unsigned)(first[3] - '0');
    snprintf(back_to, sizeof back_to, "%04u-01-01", (year + 9999) % 10000);
    json_t *list = json_array();
    for (size_t i = 0; i < q->n_rounds; i++) {
        const Hr__Round *r = q->rounds[i];
        if (q->n_rounds > ROUNDS_MAX && !round_counts(q, i, back_to, last)) {
            continue;
        }
        json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "organiser", r->organiser,
                                              "date", r->date, "passed", (int)r->passed));
    }
    return list;
}

/* All half-years; of a long list the last of those before the decision's. */
static json_t *
halves(const struct making *g, const Hr__QualityRow *q)
{
    char now[7];
    snprintf(now, sizeof now, "%.4sH%d", g->decided,
             g->decided[5] == '0' && g->decided[6] < '7' ? 1 : 2);
    json_t *list = json_array();
    for (size_t i = 0; i < q->n_institution_halves; i++) {
        const Hr__HalfYear *h = q->institution_halves[i];
        size_t later = 0;
        for (size_t k = 0; k < q->n_institution_halves; k++) {
            const char *other = q->institution_halves[k]->half;
            later += strcmp(other, now) < 0 && strcmp(other, h->half) > 0;
        }
        if (q->n_institution_halves > LIST_MAX &&
            (strcmp(h->half, now) >= 0 || later >= LIST_MAX / 2)) {
            continue;
        }
        json_array_append_new(
            list, json_pack("{s:s,s:b}", "half", h->half, "passed", (int)h->passed));
    }
    return list;
}

static json_t *
quality(const struct making *g, const char *item)
{
    if (charter_is_stale(g->c, CHARTER_QUALITY, g->k->at_s)) {
        return json_null();
    }
    const Hr__QualityRow *own =
        item[0] == '\0' ? NULL : charter_quality(g->c, g->k->issuer, item);
    const Hr__QualityRow *whole = charter_quality(g->c, g->k->issuer, "");
    if (own == NULL && whole == NULL) {
        return json_null();
    }
    json_t *o = json_object();
    if (own != NULL) {
        json_object_set_new(o, "rounds", rounds(g, own));
    }
    if (whole != NULL) {
        json_object_set_new(o, "institution", halves(g, whole));
    }
    if (whole == NULL) {
        /* Null would say that no inspection was failed; any other text is unknown. */
        json_object_set_new(o, "inspection_failed_year", json_string("unknown"));
    } else if (whole->inspection_failed_year != 0) {
        json_object_set_new(o, "inspection_failed_year",
                            json_integer(whole->inspection_failed_year));
    }
    return o;
}

static json_t *
marks(const Hr__Report *report, const Hr__Item *item)
{
    json_t *list = json_array();
    bool others = false;
    for (size_t i = 0; i < report->n_items; i++) {
        others = others || (report->items[i] != item && report->items[i]->n_marks > 0);
    }
    size_t page = !others || item->n_marks > 0 ? report->n_marks : 0;
    for (size_t i = 0; i < item->n_marks + page && json_array_size(list) < MARKS_MAX; i++) {
        const char *mark =
            i < item->n_marks ? item->marks[i] : report->marks[i - item->n_marks];
        if (strlen(mark) <= MARK_BYTES_MAX) { /* else it is no mark of any pack */
            json_array_append_new(list, json_string(mark));
        }
    }
    return list;
}

json_t *
decision_marks(const Hr__Report *report, const Hr__Item *item)
{
    unsigned long mark = json_whole_mark();
    return json_whole(marks(report, item), mark);
}

const char *
decision_status(const Hr__Report *report, const Hr__Item *item)
{
    static const struct {
        const char *from, *to;
    } words[] = {{"final", "final"},         {"corrected", "corrected"},
                 {"amended", "corrected"},   {"preliminary", "preliminary"},
                 {"cancelled", "cancelled"}, {"entered-in-error", "cancelled"}};
    const char *s = item->status[0] != '\0' ? item->status : report->status;
    if (strcmp(report->status, "cancelled") == 0) {
        s = report->status;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].from, s) == 0) {
            return words[i].to;
        }
    }
    return NULL; /* what is only registered is no result yet */
}

static const char *
examined_text(const Hr__Report *report, const Hr__Item *item)
{
    return item->examined_at[0] != '\0' ? item->examined_at : report->examined_at;
}

static json_t *
result(const struct decision_case *k, const Hr__Report *report, const Hr__Item *item)
{
    json_t *o = json_object();
    set_bounded(o, "examined_at", examined_text(report, item), TIME_BYTES_MAX);
    set_text(o, "status", decision_status(report, item));
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
    set_bounded(o, "side", report->side, SITE_BYTES_MAX);
    set_bounded(o, "body_site", report->body_site, SITE_BYTES_MAX);
    json_object_set_new(o, "critical", json_boolean(item->critical));
    if (k->in_doubt) {
        json_object_set_new(o, "in_doubt", json_true());
    }
    return o;
}

/* ---- what the asker adds ---- */

/* Copy a member that is a text of a bounded length or a truth value; anything
 * else that is there becomes false, which is as unreadable to every rule. */
static void
copy_member(json_t *to, const json_t *from, const char *name)
{
    const json_t *v = json_object_get(from, name);
    const char *text = json_string_value(v);
    if (v == NULL || json_is_null(v)) {
        return;
    }
    if (json_is_boolean(v)) {
        json_object_set_new(to, name, json_boolean(json_is_true(v)));
    } else if (text != NULL && strlen(text) <= SITE_BYTES_MAX) {
        json_object_set_new(to, name, json_string(text));
    } else {
        json_object_set_new(to, name, json_false());
    }
}

static json_t *
order(const json_t *from)
{
    json_t *o = json_object();
    copy_member(o, from, "side");
    copy_member(o, from, "body_site");
    return o;
}

/* No free text stands in the exchange log (DESIGN 6), and rules ask only whether
 * a note is there: so that is what is kept of it. */
static json_t *
doctor(const json_t *from)
{
    json_t *o = json_object();
    copy_member(o, from, "title");
    copy_member(o, from, "needs_department");
    const json_t *given = json_object_get(from, "circumstances");
    if (!json_is_array(given)) {
        return o;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(given) && i < CIRCUMSTANCES_MAX; i++) {
        const json_t *one = json_array_get(given, i);
        const char *note = json_string_value(json_object_get(one, "note"));
        json_t *c = json_object();
        copy_member(c, one, "code");
        if (note != NULL && !hr_text_is_blank((struct hr_text){note, strlen(note)})) {
            json_object_set_new(c, "note", json_string("given"));
        }
        json_array_append_new(list, c);
    }
    json_object_set_new(o, "circumstances", list);
    return o;
}

/* The civil dates that quality and listings are judged by. */
static void
set_dates(struct making *g, int64_t at_s, const char *examined_at)
{
    struct civil t;
    decision_date(at_s, g->decided);
    if (civil_parse_rfc3339(text_view(examined_at), &t) == STATUS_OK &&
        t.precision >= CIVIL_DAY) {
        int64_t ms = civil_unix_ms(&t, CHINA_OFFSET_S / 60);
        decision_date((ms - (ms % 1000 + 1000) % 1000) / 1000, g->examined);
    }
}

json_t *
decision_quality(const struct charter *c, const char *issuer, const char *item, int64_t at_s,
                 const char *examined_at)
{
    struct decision_case k = {.issuer = issuer}; /* whether it is stale is not the question */
    struct making g = {.c = c, .k = &k, .pack = ""};
    unsigned long mark = json_whole_mark();
    set_dates(&g, at_s, examined_at);
    return json_whole(quality(&g, item), mark);
}

json_t *
decision_input(const struct charter *c, const struct decision_case *k, const char *pack,
               const Hr__Report *report, const Hr__Item *item)
{
    unsigned long mark = json_whole_mark();
    json_t *o = json_object();
    struct making g = {.c = c, .k = k, .pack = pack};
    char at[26];
    decision_time(k->at_s, at);
    set_dates(&g, k->at_s, examined_text(report, item));
    set_text(o, "pack", pack);
    set_text(o, "at", at);
    const Hr__PolicyRow *row = charter_pack(c, pack);
    if (row != NULL && !charter_is_stale(c, CHARTER_POLICY, k->at_s)) {
        set_text(o, "in_force_from", row->in_force_from);
    }
    set_bounded(o, "item", item->code, CODE_CHARS_MAX);
    json_object_set_new(o, "issuer", institution(&g, k->issuer, k->receiver));
    if (k->receiver != NULL) {
        json_object_set_new(o, "receiver", institution(&g, k->receiver, k->issuer));
    }
    json_object_set_new(o, "result", result(k, report, item));
    json_object_set_new(o, "quality", quality(&g, item->code));
    struct policy_annex_row listed;
    if (row != NULL && item->code[0] != '\0' && k->policy != NULL &&
        !charter_is_stale(c, CHARTER_POLICY, k->at_s) &&
        decision_annexes(k->policy, row, item->code, &listed) == DECISION_ANNEX_HELD) {
        json_object_set_new(o, "annex", policy_annex_json(listed));
    }
    if (json_is_object(k->order)) {
        json_object_set_new(o, "order", order(k->order));
    }
    set_bounded(o, "encounter", k->encounter, SITE_BYTES_MAX);
    if (json_is_object(k->doctor)) {
        json_object_set_new(o, "doctor", doctor(k->doctor));
    }
    return json_whole(o, mark); /* a fact that is left out would be decided and recorded */
}
