/* lookup_json.c: results for people's programs, and for the exch log. */
#include <stdio.h>
#include <string.h>

#include "node/decision_input.h"
#include "node/lookup.h"
#include "node/marks.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"

/* Names in one Decided entry: with the longest input and names it stays below
 * ENTRY_BYTES_MAX. */
enum { SILENT_NAMES_MAX = 40 };
_Static_assert(DECISION_INPUT_BYTES_MAX + SILENT_NAMES_MAX * (INSTITUTION_CHARS_MAX + 2) +
                       ORIGIN_CHARS_MAX + 2 * CODE_CHARS_MAX + 400 <
                   ENTRY_BYTES_MAX,
               "a Decided entry fits");

static const char *
state_text(const struct lookup_leaf *leaf)
{
    switch (leaf->state) {
    case LOOKUP_WITHDRAWN:
        return leaf->recalled == 1 ? "corrected, the new version is not here yet" : "withdrawn";
    case LOOKUP_HELD:
        return "held by the issuer";
    case LOOKUP_SILENT:
        return "issuer silent";
    case LOOKUP_MISSING:
        return "not given by the issuer";
    case LOOKUP_UNREADABLE:
        return "unreadable";
    case LOOKUP_WANTED:
    case LOOKUP_OPENED:
    case LOOKUP_OTHER:
        break;
    }
    return "open";
}

static json_t *
texts(char *const *list, size_t count)
{
    json_t *a = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(a, json_string(list[i]));
    }
    return a;
}

static json_t *
decision_json(const struct lookup *l, const struct lookup_decision *d)
{
    const struct hr_pack *pack = policy_set_pack(l->place.policy, d->pack);
    json_t *out = json_copy(d->json);
    if (out != NULL && d->shown != d->decision.verdict) {
        json_object_set_new(out, "shown", json_string(hr_verdict_name(d->shown)));
    }
    if (out != NULL) {
        struct hr_text doc = hr_pack_document(pack);
        json_object_set_new(out, "document", json_stringn(doc.bytes, doc.size));
    }
    return out;
}

/* What all packs together ask for (policy contract, several packs): each duty once, the
 * strongest pack's first.  Where each comes from, `duties` of the decisions says. */
static json_t *
united_json(const struct lookup_result *r, bool if_recognized)
{
    const struct hr_decision *decisions[LOOKUP_PACKS_MAX];
    const struct hr_duty *duties[LOOKUP_PACKS_MAX * HR_DUTIES_MAX];
    json_t *list = json_array();
    for (size_t i = 0; i < r->decision_count; i++) {
        decisions[i] = &r->decisions[i].decision;
    }
    size_t count = hr_unite(decisions, r->decision_count, if_recognized, duties,
                            sizeof duties / sizeof *duties);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_stringn(duties[i]->name.bytes, duties[i]->name.size));
    }
    return list;
}

/* Civil days in UTC+8 between examination and decision, as windows count them;
 * never negative. */
static int64_t
age_days(const struct lookup *l, const struct lookup_result *r)
{
    int64_t zone_ms = INT64_C(8) * 3600 * 1000;
    int64_t decided = (l->question.at_s * 1000 + zone_ms) / 86400000;
    int64_t examined = r->examined_ms + zone_ms;
    examined = (examined - (examined % 86400000 + 86400000) % 86400000) / 86400000;
    return examined > decided ? 0 : decided - examined;
}

static void
add_claim_of(const Hr__Report *report, const Hr__Item *item, const char *claim, json_t *list)
{
    if (!marks_bear_out(report, item, claim)) {
        json_array_append_new(list, json_string(claim));
    }
}

static void
add_item(const struct lookup_leaf *leaf, const Hr__Item *item, json_t *o)
{
    const Hr__Report *report = leaf->report;
    const char *known = decision_status(report, item);
    const char *status = known != NULL             ? known
                         : item->status[0] != '\0' ? item->status
                                                   : report->status;
    json_object_set_new(o, "name", json_string(item->name));
    json_object_set_new(o, "value", json_string(item->value));
    json_object_set_new(o, "unit", json_string(item->unit));
    json_object_set_new(o, "reference", json_string(item->reference));
    json_object_set_new(o, "flags", texts(item->flags, item->n_flags));
    json_object_set_new(
        o, "examined_at",
        json_string(item->examined_at[0] != '\0' ? item->examined_at : report->examined_at));
    json_object_set_new(o, "status", json_string(status));
    json_object_set_new(o, "critical", json_boolean(item->critical));
    json_t *claimed = json_array(); /* what holds is no claim any more */
    for (size_t i = 0; i < item->n_claimed_marks; i++) {
        add_claim_of(report, item, item->claimed_marks[i], claimed);
    }
    for (size_t i = 0; i < report->n_claimed_marks; i++) {
        add_claim_of(report, NULL, report->claimed_marks[i], claimed);
    }
    json_object_set_new(o, "marks", decision_marks(report, item));
    json_object_set_new(o, "claimed_marks", claimed);
    json_object_set_new(o, "doubtful", json_boolean(item->doubtful));
    json_object_set_new(o, "report_id", json_string(report->report_id));
    json_object_set_new(o, "kind", json_string(report->kind));
    if (report->findings[0] != '\0') {
        json_object_set_new(o, "findings", json_string(report->findings));
    }
    if (report->impression[0] != '\0') {
        json_object_set_new(o, "impression", json_string(report->impression));
    }
}

/* Who saw it, and whether that is enough for this home. */
static json_t *
cosigned_json(const struct lookup *l, const struct lookup_leaf *leaf)
{
    static const char *const states[] = {[WITNESSED_ENOUGH] = "enough",
                                         [WITNESSED_WAITS] = "waits",
                                         [WITNESSED_TOO_FEW] = "too_few"};
    json_t *o = json_pack("{s:I,s:I,s:I,s:s}", "by", (json_int_t)leaf->cosigned_by, "of",
                          (json_int_t)leaf->cosigned_of, "wanted",
                          (json_int_t)leaf->cosigned_wanted, "state", states[leaf->witnessed]);
    if (leaf->witnessed != WITNESSED_ENOUGH && leaf->waits_since_s > 0) {
        char since[CHARTER_TIME_CHARS], until[CHARTER_TIME_CHARS];
        charter_time_text(leaf->waits_since_s, since);
        charter_time_text(leaf->waits_since_s + l->place.witnessed->wait_s, until);
        json_object_set_new(o, "since", json_string(since));
        json_object_set_new(o, "until", json_string(until));
    }
    return o;
}

json_t *
lookup_result_json(const struct lookup *l, const struct lookup_result *r)
{
    const struct lookup_leaf *leaf = &l->leaves[r->leaf];
    json_t *o = json_object();
    json_object_set_new(o, "issuer", json_string(leaf->c.institution));
    const Hr__MemberRow *m = charter_member(l->place.charter, leaf->c.institution);
    json_object_set_new(o, "issuer_name", json_string(m == NULL ? "" : m->name));
    json_object_set_new(o, "item", json_string(r->code));
    if (r->item != NULL) {
        add_item(leaf, r->item, o);
        json_object_set_new(o, "age_days", json_integer(age_days(l, r)));
    } else {
        char day[11];
        json_object_set_new(o, "value", json_null());
        json_object_set_new(o, "unit", json_null());
        json_object_set_new(o, "examined_at", json_null());
        json_object_set_new(o, "status", json_string(state_text(leaf)));
        if (!leaf->c.held && !leaf->c.brief_bad) {
            decision_date((int64_t)leaf->c.brief.day * 86400, day);
            json_object_set_new(o, "examined_at", json_string(day));
        }
    }
    json_object_set_new(o, "origin", json_string(leaf->c.origin));
    json_object_set_new(o, "leaf", json_integer((json_int_t)leaf->c.leaf));
    json_object_set_new(o, "correction", json_boolean(leaf->c.correct));
    json_object_set_new(o, "preselected", json_boolean(r->preselected));
    json_object_set_new(o, "identity_in_doubt",
                        leaf->in_doubt ? json_string(leaf->doubt) : json_null());
    json_object_set_new(o, "disputed", json_boolean(leaf->c.disputed));
    json_object_set_new(o, "late", json_boolean(leaf->c.late));
    json_object_set_new(o, "cosigned", cosigned_json(l, leaf));
    json_t *decisions = json_array();
    for (size_t i = 0; i < r->decision_count; i++) {
        json_array_append_new(decisions, decision_json(l, &r->decisions[i]));
    }
    json_object_set_new(o, "decisions", decisions);
    json_object_set_new(o, "obligations",
                        json_pack("{s:o,s:o}", "if_recognized", united_json(r, true),
                                  "if_repeated", united_json(r, false)));
    return o;
}

/* Each silent institution once; those that have no room are counted. */
static size_t
name_silent(const struct lookup *l, char *names[SILENT_NAMES_MAX], uint32_t *more)
{
    size_t count = 0;
    *more = 0;
    for (size_t i = 0; i < l->leaf_count; i++) {
        char *name = (char *)(uintptr_t)l->leaves[i].c.institution;
        bool there = l->leaves[i].state != LOOKUP_SILENT;
        for (size_t k = 0; !there && k < i; k++) {
            there = l->leaves[k].state == LOOKUP_SILENT &&
                    strcmp(l->leaves[k].c.institution, name) == 0;
        }
        if (!there && count < SILENT_NAMES_MAX) {
            names[count++] = name;
        } else if (!there) {
            ++*more;
        }
    }
    return count;
}

enum status
lookup_decided(const struct lookup *l, const struct lookup_result *r,
               const struct lookup_decision *d, uint64_t at_ms, struct view question,
               struct view asked, uint8_t *out, size_t max, size_t *count)
{
    Hr__Decided e;
    Hr__Leaf leaf;
    Hr__ExchEntry entry;
    char pack[CODE_CHARS_MAX + 1] = "";
    uint8_t hash[HASH_BYTES];
    uint8_t as_of[HASH_BYTES];
    char *silent[SILENT_NAMES_MAX];
    hr__decided__init(&e);
    hr__leaf__init(&leaf);
    hr__exch_entry__init(&entry);
    e.at_ms = at_ms;
    e.asked = (ProtobufCBinaryData){asked.count, (uint8_t *)(uintptr_t)asked.bytes};
    e.question = (ProtobufCBinaryData){question.count, (uint8_t *)(uintptr_t)question.bytes};
    memcpy(as_of, l->as_of, HASH_BYTES);
    e.as_of = (ProtobufCBinaryData){HASH_BYTES, as_of};
    e.logs = l->log_count;
    e.silent = silent;
    e.n_silent = name_silent(l, silent, &e.silent_more);
    if (r != NULL) {
        const struct lookup_leaf *from = &l->leaves[r->leaf];
        leaf.origin = (char *)(uintptr_t)from->c.origin;
        leaf.index = from->c.leaf;
        e.leaf = &leaf;
        e.item = (char *)(uintptr_t)r->code;
        e.cosigned_by = (uint32_t)from->cosigned_by;
        e.cosigned_of = (uint32_t)from->cosigned_of;
        e.cosigned_wanted = (uint32_t)from->cosigned_wanted;
    } else {
        e.item = (char *)(uintptr_t)l->question.items[0];
    }
    if (d != NULL) {
        struct hr_text id = hr_pack_id(policy_set_pack(l->place.policy, d->pack));
        snprintf(pack, sizeof pack, "%.*s", (int)id.size, id.bytes);
        memcpy(hash, policy_set_hash(l->place.policy, d->pack), HASH_BYTES);
        e.pack = pack;
        e.pack_hash = (ProtobufCBinaryData){HASH_BYTES, hash};
        e.input = (ProtobufCBinaryData){d->input_bytes, (uint8_t *)d->input};
        e.verdict = (char *)(uintptr_t)hr_verdict_name(d->decision.verdict);
        e.at_best = (char *)(uintptr_t)hr_verdict_name(d->decision.at_best);
    }
    entry.what_case = HR__EXCH_ENTRY__WHAT_DECIDED;
    entry.decided = &e;
    return pb_pack(&entry.base, out, max, count);
}
