/* engine_lookup_print_io.c: the answer to a look-up, for people and programs. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/decision_input.h"
#include "node/engine_lookup.h"
#include "node/evidence.h"
#include "proto/text.h"

static json_t *
as_of_json(const struct network *n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < gossip_log_count(n->gossip); i++) {
        struct gossip_log_state s;
        gossip_log_get(n->gossip, i, &s);
        if (strstr(s.origin, "/pub") == NULL) {
            continue;
        }
        json_t *o = json_pack("{s:s,s:I}", "origin", s.origin, "size", (json_int_t)s.size);
        int64_t now_s = engine_now_ms() / 1000;
        json_object_set_new(o, "age_s",
                            s.changed_s == 0
                                ? json_null()
                                : json_integer(now_s > s.changed_s ? now_s - s.changed_s : 0));
        json_object_set_new(o, "behind", json_boolean(s.wanted_size > s.size));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *
silent_json(const struct lookup_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->holder_count; i++) {
        const struct lookup_holder *h = &run->holders[i];
        if (h->state != ASK_OVER) {
            json_array_append_new(list, json_string(h->institution));
        }
    }
    return list;
}

static json_t *
documents_json(const struct lookup_run *run)
{
    json_t *o = json_object();
    const struct charter *c = run->network->charter;
    int64_t now_s = engine_now_ms() / 1000;
    for (enum charter_kind k = CHARTER_ROOT; k < CHARTER_KIND_COUNT; k++) {
        const struct charter_document *d = charter_document(c, k);
        json_object_set_new(
            o, charter_kind_text(k),
            d == NULL ? json_null()
                      : json_pack("{s:I,s:I,s:b}", "version", (json_int_t)d->head.version,
                                  "age_s", (json_int_t)charter_age_s(c, k, now_s), "stale",
                                  charter_is_stale(c, k, run->lookup->question.at_s)));
    }
    return o;
}

/* ---- text for people ---- */

/* Text from outside, made safe to show. */
static const char *
shown(const json_t *o, const char *name, char out[256])
{
    const char *s = json_string_value(json_object_get(o, name));
    text_show(text_view(s == NULL ? "" : s), out, 256);
    return out;
}

/* Why a rule asks for recognition: the conditions that carry it. */
static void
print_grounds(struct call_sink *sink, const json_t *d)
{
    static const char *const carry[] = {"scope", "item_listed", "quality", "marked"};
    json_t *rules = json_object_get(d, "rules");
    for (size_t i = 0; i < sizeof carry / sizeof *carry; i++) {
        const char *v =
            json_string_value(json_object_get(json_object_get(d, "checks"), carry[i]));
        json_t *rule = json_object_get(rules, carry[i]);
        const char *text = json_string_value(json_object_get(rule, "en"));
        const char *citation = json_string_value(json_object_get(rule, "citation"));
        if (v != NULL && strcmp(v, "true") == 0 && text != NULL) {
            engine_text(sink, false, "      met %s: %s [%s]\n", carry[i], text,
                        citation == NULL ? "" : citation);
        }
    }
}

static void
print_checks(struct call_sink *sink, const json_t *d)
{
    const char *id;
    json_t *value;
    json_t *checks = json_object_get(d, "checks");
    json_t *rules = json_object_get(d, "rules");
    json_object_foreach(checks, id, value)
    {
        const char *v = json_string_value(value);
        if (v == NULL || strcmp(v, "true") == 0 || strcmp(v, "not_applicable") == 0) {
            continue;
        }
        json_t *rule = json_object_get(rules, id);
        const char *citation = json_string_value(json_object_get(rule, "citation"));
        const char *text = json_string_value(json_object_get(rule, "en"));
        engine_text(sink, false, "      %s %s: %s [%s]\n",
                    strcmp(v, "unknown") == 0 ? "unknown" : "not met", id,
                    text == NULL ? "" : text, citation == NULL ? "" : citation);
        const char *settle = json_string_value(
            json_object_get(json_object_get(json_object_get(d, "settle"), id), "en"));
        if (settle != NULL) {
            engine_text(sink, false, "        would be settled by: %s\n", settle);
        }
    }
}

static void
print_decision(struct call_sink *sink, const json_t *d)
{
    char pack[256];
    const char *verdict = json_string_value(json_object_get(d, "verdict"));
    const char *best = json_string_value(json_object_get(d, "at_best"));
    const char *capped = json_string_value(json_object_get(d, "shown"));
    char decided[256];
    engine_text(sink, false, "    %s: %s%s%s", shown(d, "pack", pack),
                verdict == NULL ? "?" : verdict, capped == NULL ? "" : ", shown as ",
                capped == NULL ? "" : capped);
    if (json_is_true(json_object_get(d, "clock_wrong"))) {
        engine_text(sink, false, ", CLOCK WRONG");
    }
    if (best != NULL && verdict != NULL && strcmp(best, verdict) != 0) {
        engine_text(sink, false, " (at best %s, if what is unknown turns out well)", best);
    }
    engine_text(sink, false, ", decision %s\n", shown(d, "decided", decided));
    if (verdict != NULL && (strcmp(verdict, "must") == 0 || strcmp(verdict, "should") == 0)) {
        print_grounds(sink, d);
    }
    print_checks(sink, d);
}

/* The rule behind a duty, of the first pack that has it. */
static const json_t *
duty_rule(const json_t *decisions, const char *name)
{
    for (size_t i = 0; i < json_array_size(decisions); i++) {
        const json_t *rule =
            json_object_get(json_object_get(json_array_get(decisions, i), "duties"), name);
        if (rule != NULL) {
            return rule;
        }
    }
    return NULL;
}

/* The duties of all packs united, each with its clause. */
static void
print_duties(struct call_sink *sink, const json_t *r)
{
    static const char *const kinds[] = {"if_recognized", "if_repeated"};
    const json_t *duties = json_object_get(r, "obligations");
    for (size_t k = 0; k < 2; k++) {
        const json_t *list = json_object_get(duties, kinds[k]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const char *name = json_string_value(json_array_get(list, i));
            const json_t *rule = duty_rule(json_object_get(r, "decisions"), name);
            const char *text = json_string_value(json_object_get(rule, "en"));
            const char *citation = json_string_value(json_object_get(rule, "citation"));
            engine_text(sink, false, "    %s: %s: %s [%s]\n",
                        k == 0 ? "if recognized" : "if repeated", name,
                        text == NULL ? "" : text, citation == NULL ? "" : citation);
        }
    }
}

/* What does not stand any more, or stands in the place of what a decision leaned on. */
static void
print_recall(struct call_sink *sink, const json_t *r)
{
    char what[256];
    char at[256];
    json_t *recalled = json_object_get(r, "recalled");
    if (json_is_true(json_object_get(r, "correction"))) {
        engine_text(sink, false, "    this corrects an earlier version\n");
    }
    if (recalled == NULL) {
        return;
    }
    if (json_is_string(json_object_get(recalled, "used_at"))) {
        engine_text(sink, false, "    RECALLED: %s after you used it on %s",
                    shown(recalled, "what", what), shown(recalled, "used_at", at));
    } else {
        engine_text(sink, false, "    RECALLED: %s by its issuer",
                    shown(recalled, "what", what));
    }
    engine_text(sink, false,
                " (leaf %" JSON_INTEGER_FORMAT ", by leaf %" JSON_INTEGER_FORMAT ")\n",
                json_integer_value(json_object_get(recalled, "leaf")),
                json_integer_value(json_object_get(recalled, "by")));
}

static void
print_cosigned(struct call_sink *sink, json_t *c)
{
    const char *state = json_string_value(json_object_get(c, "state"));
    const char *until = json_string_value(json_object_get(c, "until"));
    engine_text(sink, false,
                "cosigned by %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " witnesses\n",
                json_integer_value(json_object_get(c, "by")),
                json_integer_value(json_object_get(c, "of")));
    if (strcmp(state, "waits") == 0) {
        engine_text(
            sink, false,
            "    not enough witnesses yet: this hospital wants %" JSON_INTEGER_FORMAT "%s%s\n",
            json_integer_value(json_object_get(c, "wanted")),
            until == NULL ? "" : ", and accepts fewer until ", until == NULL ? "" : until);
    } else if (strcmp(state, "too_few") == 0) {
        engine_text(sink, false,
                    "    TOO FEW WITNESSES: this hospital wants %" JSON_INTEGER_FORMAT
                    " and accepted fewer until %s\n",
                    json_integer_value(json_object_get(c, "wanted")),
                    until == NULL ? "now" : until);
    }
}

static void
print_result(struct call_sink *sink, const json_t *r, size_t number)
{
    char a[256];
    char b[256];
    char c[256];
    char d[256];
    engine_text(sink, false, "%zu. %s %s %s %s  [%s]\n", number, shown(r, "item", a),
                shown(r, "name", b), shown(r, "value", c), shown(r, "unit", d),
                json_string_value(json_object_get(r, "status")));
    engine_text(sink, false, "    issued by %s %s, examined %s", shown(r, "issuer", a),
                shown(r, "issuer_name", b), shown(r, "examined_at", c));
    json_t *age = json_object_get(r, "age_days");
    if (json_is_integer(age)) {
        engine_text(sink, false, " (%" JSON_INTEGER_FORMAT " days ago)",
                    json_integer_value(age));
    }
    engine_text(sink, false, "\n    leaf %" JSON_INTEGER_FORMAT " of %s, ",
                json_integer_value(json_object_get(r, "leaf")), shown(r, "origin", d));
    print_cosigned(sink, json_object_get(r, "cosigned"));
    json_t *marks = json_object_get(r, "marks");
    for (size_t i = 0; i < json_array_size(marks); i++) {
        engine_text(sink, false, "%s %s%s", i == 0 ? "    mark" : ",",
                    json_string_value(json_array_get(marks, i)),
                    i + 1 == json_array_size(marks) ? "\n" : "");
    }
    json_t *claims = json_object_get(r, "claimed_marks");
    for (size_t i = 0; i < json_array_size(claims); i++) {
        text_show(text_view(json_string_value(json_array_get(claims, i))), a, sizeof a);
        engine_text(sink, false, "%s %s%s",
                    i == 0 ? "    the source claims, not borne out by the rules:" : ",", a,
                    i + 1 == json_array_size(claims) ? "\n" : "");
    }
    if (json_is_string(json_object_get(r, "findings"))) {
        engine_text(sink, false, "    findings: %s\n", shown(r, "findings", a));
    }
    if (json_is_string(json_object_get(r, "impression"))) {
        engine_text(sink, false, "    impression: %s\n", shown(r, "impression", a));
    }
    if (json_is_string(json_object_get(r, "identity_in_doubt"))) {
        engine_text(sink, false, "    IDENTITY IN DOUBT: %s\n",
                    shown(r, "identity_in_doubt", a));
    }
    if (json_is_true(json_object_get(r, "disputed"))) {
        engine_text(
            sink, false,
            "    DISPUTED: the issuer's log has two histories, or goes on in one that the "
            "members document does not name yet\n");
    }
    if (json_is_true(json_object_get(r, "late"))) {
        engine_text(sink, false, "    late: published under a network key that had ended\n");
    }
    print_recall(sink, r);
    if (json_is_true(json_object_get(r, "preselected"))) {
        engine_text(sink, false, "    suggested: recognize\n");
    }
    json_t *decisions = json_object_get(r, "decisions");
    for (size_t i = 0; i < json_array_size(decisions); i++) {
        print_decision(sink, json_array_get(decisions, i));
    }
    print_duties(sink, r);
}

/* How old each document was by which was decided. */
static void
print_documents(struct call_sink *sink, const json_t *documents)
{
    static const char *const kinds[] = {"root", "members", "quality", "policy"};
    engine_text(sink, false, "by these documents:\n");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *d = json_object_get(documents, kinds[i]);
        json_int_t age = json_integer_value(json_object_get(d, "age_s"));
        if (!json_is_object(d)) {
            engine_text(sink, false, "    %s: none, its facts count as unknown\n", kinds[i]);
            continue;
        }
        engine_text(sink, false,
                    "    %s %" JSON_INTEGER_FORMAT ", issued %" JSON_INTEGER_FORMAT
                    " %s ago%s\n",
                    kinds[i], json_integer_value(json_object_get(d, "version")),
                    age >= 2 * 86400 ? age / 86400
                    : age >= 7200    ? age / 3600
                                     : age / 60,
                    age >= 2 * 86400 ? "days"
                    : age >= 7200    ? "hours"
                                     : "minutes",
                    json_is_true(json_object_get(d, "stale"))
                        ? ", PAST stale_after: its facts count as unknown"
                        : "");
    }
}

static void
print_text(struct call_sink *sink, const json_t *o)
{
    json_t *results = json_object_get(o, "results");
    json_t *as_of = json_object_get(o, "as_of");
    json_t *silent = json_object_get(o, "silent");
    for (size_t i = 0; i < json_array_size(results); i++) {
        print_result(sink, json_array_get(results, i), i + 1);
    }
    if (json_array_size(results) == 0) {
        engine_text(sink, false, "nothing held as of these heads:\n");
    } else {
        engine_text(sink, false, "as of these heads:\n");
    }
    for (size_t i = 0; i < json_array_size(as_of); i++) {
        json_t *h = json_array_get(as_of, i);
        json_t *age = json_object_get(h, "age_s");
        char line[256];
        engine_text(sink, false, "    %s %" JSON_INTEGER_FORMAT " entries%s",
                    shown(h, "origin", line), json_integer_value(json_object_get(h, "size")),
                    json_is_true(json_object_get(h, "behind")) ? ", more is known to exist"
                                                               : "");
        if (json_is_integer(age)) {
            engine_text(sink, false, ", changed %" JSON_INTEGER_FORMAT " s ago",
                        json_integer_value(age));
        }
        engine_text(sink, false, "\n");
    }
    print_documents(sink, json_object_get(o, "charter"));
    for (size_t i = 0; i < json_array_size(silent); i++) {
        engine_text(sink, false, "%s %s%s", i == 0 ? "SILENT, gave no answer in time:" : ",",
                    json_string_value(json_array_get(silent, i)),
                    i + 1 == json_array_size(silent) ? "\n" : "");
    }
    json_t *warnings = json_object_get(o, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        engine_text(sink, true, "huren: lookup: %s\n",
                    json_string_value(json_array_get(warnings, i)));
    }
}

/* ---- the whole ------------------------------------------------------------------------------
 */

/* What a holder said instead of an answer; NULL: nothing that helps (what is held back is
 * shown as such). */
static const char *
refusal_text(uint32_t reason)
{
    switch (reason) {
    case REASON_NOT_MEMBER:
        return "by its charter this hospital is no member";
    case REASON_RECEIPT:
        return "it has no receipt of questions that it answered before";
    case REASON_BUSY:
        return "this hospital asks more than it takes of one member";
    case REASON_FORBIDDEN:
        return "the question is not addressed to it";
    case REASON_FULL:
        return "its store is full, and it cannot log what it would give; tell it, and ask "
               "again "
               "later";
    default:
        return NULL;
    }
}

static json_t *
warnings_json(const struct lookup_run *run)
{
    json_t *list = json_array();
    const struct lookup *l = run->lookup;
    if (l->clock_wrong) {
        json_array_append_new(list,
                              json_string("this machine's clock is earlier than a charter "
                                          "document or a cosignature in hand: set it right; "
                                          "every decision that depends on time is doubtful"));
    }
    if (charter_pack_count(run->network->charter) == 0) {
        json_array_append_new(list, json_string("the charter has no policy document yet, so "
                                                "nothing is decided"));
    }
    if (l->no_pack > 0) {
        json_array_append_new(list,
                              json_string("a pack in force is not used by this node; huren "
                                          "status says which one and why"));
    }
    if (l->no_annex > 0) {
        json_array_append_new(
            list, json_string("an annex (item list) of a pack in force is not here, so "
                              "what it lists is unknown; huren status says which"));
    }
    if (l->left_out > 0) {
        json_array_append_new(list,
                              json_string("a member has published more under this patient "
                                          "than a look-up shows: its oldest were left out"));
    }
    if (l->findings > 0) {
        json_array_append_new(list, json_string("entries that contradict each other were found "
                                                "and left out; huren audit verify names them"));
    }
    for (size_t i = 0; i < run->holder_count; i++) {
        const char *why = refusal_text(run->holders[i].reason);
        if (why != NULL) {
            char text[INSTITUTION_CHARS_MAX + 160];
            snprintf(text, sizeof text, "%s refuses: %s", run->holders[i].institution, why);
            json_array_append_new(list, json_string(text));
        }
    }
    for (enum charter_kind k = CHARTER_MEMBERS; k < CHARTER_KIND_COUNT; k++) {
        if (charter_document(run->network->charter, k) != NULL &&
            charter_is_stale(run->network->charter, k, l->question.at_s)) {
            char text[160];
            snprintf(
                text, sizeof text,
                "the charter's %s document is past its stale_after: its facts count as unknown",
                charter_kind_text(k));
            json_array_append_new(list, json_string(text));
        }
    }
    return list;
}

static void
send_evidence(struct lookup_run *run)
{
    struct engine *e = run->network->engine;
    const struct lookup *l = run->lookup;
    struct store_txn *txn;
    uint8_t *bytes;
    size_t count;
    if (l->result_count == 0 || l->results[0].item == NULL) {
        engine_text(run->sink, true, "huren: lookup: there is no result to make evidence of\n");
        return;
    }
    enum status st = store_begin_read(e->store, &txn);
    if (st == STATUS_OK) {
        st = evidence_make(l, &l->results[0], txn, &run->network->keys.statement,
                           engine_now_ms(), &bytes, &count);
        store_abort(txn);
    }
    if (st != STATUS_OK) {
        engine_text(run->sink, true, "huren: lookup: the evidence: %s\n",
                    st == STATUS_NOT_FOUND
                        ? "no signed head covers the result yet; try again in a "
                          "few seconds"
                        : status_text(st));
        return;
    }
    run->sink->blob(run->sink->ctx, "evidence", (struct view){bytes, count});
    sodium_memzero(bytes, count);
    free(bytes);
}

/* What was decided, and on what it leaned that does not stand any more. */
static void
add_recall(struct lookup_run *run, const struct lookup_result *r, json_t *o)
{
    const char *suffix = strrchr(run->network->exch.origin, '/');
    json_t *decisions = json_object_get(o, "decisions");
    for (size_t i = 0; i < r->decision_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%" PRIu64, suffix == NULL ? "" : suffix + 1,
                 r->decisions[i].logged);
        json_object_set_new(json_array_get(decisions, i), "decided", json_string(name));
    }
    json_t *recalled = engine_recalled_json(run->network, &run->lookup->leaves[r->leaf]);
    if (recalled == NULL) {
        return;
    }
    json_object_set_new(o, "recalled", recalled);
    json_t *used = json_object_get(recalled, "used_at");
    if (json_is_string(used)) {
        json_object_set(o, "decided_before", used);
    }
}

/* Every decision says that the clock is wrong. */
static void
add_clock(const struct lookup *l, json_t *o)
{
    json_t *decisions = json_object_get(o, "decisions");
    for (size_t i = 0; i < json_array_size(decisions) && l->clock_wrong; i++) {
        json_object_set_new(json_array_get(decisions, i), "clock_wrong", json_true());
    }
}

void
engine_lookup_print(struct lookup_run *run)
{
    const struct lookup *l = run->lookup;
    json_t *o = json_object();
    json_t *results = json_array();
    for (size_t i = 0; i < l->result_count; i++) {
        json_t *r = lookup_result_json(l, &l->results[i]);
        add_recall(run, &l->results[i], r);
        add_clock(l, r);
        json_array_append_new(results, r);
    }
    char at[26];
    decision_time(l->question.at_s, at);
    json_object_set_new(o, "at", json_string(at));
    json_object_set_new(o, "results", results);
    json_object_set_new(o, "as_of", as_of_json(run->network));
    json_object_set_new(o, "silent", silent_json(run));
    json_object_set_new(o, "charter", documents_json(run));
    json_object_set_new(o, "clock_wrong", json_boolean(l->clock_wrong));
    json_object_set_new(o, "warnings", warnings_json(run));
    if (run->evidence) { /* first: whoever reads the text may stop reading */
        send_evidence(run);
    }
    if (run->json) {
        engine_json(run->sink, o);
    } else {
        print_text(run->sink, o);
    }
    json_decref(o);
    size_t silent = 0;
    for (size_t i = 0; i < run->holder_count; i++) {
        silent += run->holders[i].state != ASK_OVER;
    }
    bool found = lookup_best(l) >= HR_SHOULD;
    bool nobody = silent > 0 && silent == run->holder_count;
    bool any = false;
    for (size_t i = 0; i < l->result_count; i++) {
        any = any || l->results[i].item != NULL;
    }
    run->sink->done(run->sink->ctx, found ? 0 : nobody && !any ? 2 : 1);
}
