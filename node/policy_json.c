#include "node/policy_json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/jsonwhole.h"

/* ---- JSON text ---------------------------------------------------------------- */

/* Numbers that do not fit are unknown, like any other member that cannot be
 * read; jansson would refuse the whole text for them.  Blank them to `null`,
 * in place: a number outside a string of more than 15 digits or with a big
 * exponent. */
static void
blank_huge_numbers(char *text, size_t bytes)
{
    enum { SAFE_BYTES = 15 };
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        if (in_string) {
            if (text[i] == '\\') {
                i++;
            } else if (text[i] == '"') {
                in_string = false;
            }
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
            size_t end = i + 1;
            bool exponent = false;
            while (end < bytes && text[end] != '\0' && strchr("0123456789+-.eE", text[end])) {
                exponent = exponent || text[end] == 'e' || text[end] == 'E';
                end++;
            }
            if (end - i >= 4 && (exponent || end - i > SAFE_BYTES)) {
                memset(text + i, ' ', end - i);
                memcpy(text + i, "null", 4);
            }
            i = end - 1;
        }
    }
}

enum status
policy_json_parse(const char *json, size_t bytes, json_t **out, char *error, size_t error_bytes)
{
    unsigned long mark = json_whole_mark();
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_error_t bad;
    if (bytes > JSON_BYTES_MAX) {
        snprintf(error, error_bytes, "text is longer than %d bytes", JSON_BYTES_MAX);
        *out = NULL;
        return STATUS_MALFORMED;
    }
    json_t *value = json_loadb(json, bytes, flags, &bad);
    bool no_copy = false;
    if (value == NULL && json_error_code(&bad) == json_error_numeric_overflow) {
        char *copy = malloc(bytes + 1);
        no_copy = copy == NULL;
        if (copy != NULL) {
            memcpy(copy, json, bytes);
            blank_huge_numbers(copy, bytes);
            value = json_loadb(copy, bytes, flags, &bad);
            free(copy);
        }
    }
    *out = json_whole(value, mark);
    if (no_copy || json_whole_mark() != mark) {
        snprintf(error, error_bytes, "%s", status_text(STATUS_NO_MEMORY));
        return STATUS_NO_MEMORY;
    }
    if (value == NULL) {
        /* jansson quotes what it read, which may name a patient: the place and
         * the kind of the error are enough. */
        char *near = strstr(bad.text, " near ");
        if (near != NULL) {
            *near = '\0';
        }
        for (char *c = bad.text; *c != '\0'; c++) {
            *c = (unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e ? '?' : *c;
        }
        snprintf(error, error_bytes, "is not JSON: %s at byte %d", bad.text, bad.position);
    }
    return value == NULL ? STATUS_MALFORMED : STATUS_OK;
}

char *
policy_json_canonical(const json_t *json, size_t *bytes)
{
    unsigned long mark = json_whole_mark();
    char *text = json_whole_text(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY, mark);
    *bytes = text == NULL ? 0 : strlen(text);
    return text;
}

/* ---- the answer ---------------------------------------------------------------- */

static json_t *
text_json(struct hr_text text)
{
    return text.bytes == NULL ? json_null() : json_stringn(text.bytes, text.size);
}

static json_t *
rule_json(const struct hr_rule *rule)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "id", text_json(rule->id), "citation",
                     text_json(rule->citation), "zh", text_json(rule->zh), "en",
                     text_json(rule->en));
}

static bool
check_applies(enum hr_value value)
{
    return value != HR_NOT_IN_PACK;
}

static json_t *
checks_json(const struct hr_decision *d)
{
    json_t *checks = json_object();
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        if (check_applies(d->checks[i])) {
            json_object_set_new(checks, hr_check_name((enum hr_check)i),
                                json_string(hr_value_name(d->checks[i])));
        }
    }
    return checks;
}

/* What would settle each unknown check. */
static json_t *
unknown_json(const struct hr_decision *d, json_t **settle)
{
    json_t *unknown = json_array();
    *settle = json_object();
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        enum hr_check check = (enum hr_check)i;
        if (d->checks[i] != HR_UNKNOWN) {
            continue;
        }
        json_array_append_new(unknown, json_string(hr_check_name(check)));
        json_object_set_new(*settle, hr_check_name(check),
                            json_pack("{s:s, s:s}", "zh", hr_check_settle(check, false), "en",
                                      hr_check_settle(check, true)));
    }
    return unknown;
}

static json_t *
rules_json(const struct hr_pack *pack, const struct hr_decision *d)
{
    json_t *rules = json_object();
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        const struct hr_rule *rule = hr_pack_check_rule(pack, (enum hr_check)i);
        if (rule != NULL && check_applies(d->checks[i])) {
            json_object_set_new(rules, hr_check_name((enum hr_check)i), rule_json(rule));
        }
    }
    return rules;
}

static json_t *
scopes_json(const struct hr_pack *pack, const struct hr_decision *d)
{
    json_t *scopes = json_array();
    for (size_t i = 0; i < hr_pack_scope_count(pack); i++) {
        enum hr_verdict force = HR_NO_RULE;
        const struct hr_rule *rule = hr_pack_scope_rule(pack, i, &force);
        json_t *one = rule_json(rule);
        json_object_set_new(one, "value", json_string(hr_value_name(d->scopes[i])));
        json_object_set_new(one, "force", json_string(hr_verdict_name(force)));
        json_array_append_new(scopes, one);
    }
    return scopes;
}

static json_t *
reason_json(const struct hr_pack *pack, const struct hr_policy_input *input,
            const struct hr_decision *d)
{
    json_t *codes = json_array();
    json_t *missing = json_array();
    for (size_t i = 0; i < input->doctor.circumstance_count; i++) {
        const struct hr_circumstance *c = &input->doctor.circumstances[i];
        if (hr_circumstance_counts(pack, d, c) == HR_TRUE) {
            json_array_append_new(codes, text_json(c->code));
        }
    }
    if (d->missing_note) {
        json_array_append_new(missing, json_string("note"));
    }
    if (d->missing_sign_off) {
        json_array_append_new(missing, json_string("sign_off"));
    }
    return json_pack("{s:s, s:o, s:o}", "status", hr_reason_name(d->reason), "codes", codes,
                     "missing", missing);
}

static json_t *
duties_json(const struct hr_duty *const *duties, size_t count)
{
    json_t *names = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(names, text_json(duties[i]->name));
    }
    return names;
}

/* name: {id, citation, zh, en} for all duties and fees of the decision. */
static json_t *
duty_rules_json(const struct hr_decision *d)
{
    json_t *rules = json_object();
    const struct hr_duty *fees[] = {d->fee_if_recognized, d->fee_if_repeated};
    for (size_t i = 0; i < d->recognized_count + d->repeated_count + 2; i++) {
        const struct hr_duty *duty = i < d->recognized_count ? d->if_recognized[i]
                                     : i < d->recognized_count + d->repeated_count
                                         ? d->if_repeated[i - d->recognized_count]
                                         : fees[i - d->recognized_count - d->repeated_count];
        if (duty != NULL) {
            json_object_setn_new(rules, duty->name.bytes, duty->name.size,
                                 rule_json(&duty->rule));
        }
    }
    return rules;
}

json_t *
policy_decision_to_json(const struct hr_pack *pack, const struct hr_policy_input *input,
                        const struct hr_decision *d)
{
    unsigned long mark = json_whole_mark();
    json_t *settle;
    json_t *unknown = unknown_json(d, &settle);
    json_t *obligations = json_pack(
        "{s:o, s:o}", "if_recognized", duties_json(d->if_recognized, d->recognized_count),
        "if_repeated", duties_json(d->if_repeated, d->repeated_count));
    json_t *billing =
        d->fee_if_recognized == NULL
            ? json_null()
            : json_pack("{s:o, s:o}", "if_recognized", text_json(d->fee_if_recognized->name),
                        "if_repeated", text_json(d->fee_if_repeated->name));
    json_t *whole = json_pack(
        "{s:o, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pack",
        text_json(hr_pack_id(pack)), "verdict", hr_verdict_name(d->verdict), "at_best",
        hr_verdict_name(d->at_best), "unknown", unknown, "checks", checks_json(d), "default",
        d->recognize ? "recognize" : "ask", "form", hr_form_name(d->form), "repeat",
        hr_repeat_name(d->repeat), "reason", reason_json(pack, input, d), "obligations",
        obligations, "billing", billing, "settle", settle, "rules", rules_json(pack, d),
        "scopes", scopes_json(pack, d), "duties", duty_rules_json(d));
    return json_whole(whole, mark);
}

static enum status
find_pack(const struct policy_set *set, const json_t *input, const struct hr_pack **pack)
{
    const json_t *id = json_object_get(input, "pack");
    if (!json_is_object(input) || !json_is_string(id)) {
        return STATUS_MALFORMED;
    }
    *pack = policy_set_pack(
        set, policy_set_find(set, json_string_value(id), json_string_length(id)));
    return *pack == NULL ? STATUS_NOT_FOUND : STATUS_OK;
}

enum status
policy_decide_pack(const struct hr_pack *pack, const struct hr_catalog *catalog,
                   const json_t *input, json_t **out)
{
    struct policy_arena arena = {NULL};
    struct hr_policy_input facts;
    *out = NULL;
    enum status st = policy_input_from_json(input, &arena, &facts);
    if (st == STATUS_OK) {
        struct hr_decision decision;
        hr_decide(pack, catalog, &facts, &decision);
        *out = policy_decision_to_json(pack, &facts, &decision);
        st = *out == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    policy_arena_free(&arena);
    return st;
}

enum status
policy_decide_object(const struct policy_set *set, const json_t *input, json_t **out)
{
    const struct hr_pack *pack;
    *out = NULL;
    enum status st = find_pack(set, input, &pack);
    if (st != STATUS_OK) {
        return st;
    }
    json_t *whole = policy_set_complete(set, input);
    st = whole == NULL ? STATUS_NO_MEMORY
                       : policy_decide_pack(pack, policy_set_catalog(set), whole, out);
    json_decref(whole);
    return st;
}

enum status
policy_mark_object(const struct policy_set *set, const json_t *input, json_t **out)
{
    const struct hr_pack *pack;
    struct policy_arena arena = {NULL};
    struct hr_policy_input facts;
    unsigned long before = json_whole_mark();
    *out = NULL;
    enum status st = find_pack(set, input, &pack);
    json_t *whole = st == STATUS_OK ? policy_set_complete(set, input) : NULL;
    if (st == STATUS_OK) {
        st = whole == NULL ? STATUS_NO_MEMORY : policy_input_from_json(whole, &arena, &facts);
    }
    if (st == STATUS_OK) {
        struct hr_mark m;
        hr_mark(pack, policy_set_catalog(set), &facts, &m);
        json_t *mark =
            m.mark == HR_UNKNOWN ? json_string("unknown") : json_boolean(m.mark == HR_TRUE);
        *out = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mark", mark, "text",
                         text_json(m.text), "row_sign", text_json(m.row_sign), "footnote",
                         text_json(m.footnote), "alternative_footnote",
                         text_json(m.alternative_footnote), "place", text_json(m.place), "pack",
                         text_json(hr_pack_id(pack)), "rule", rule_json(&m.rule));
        *out = json_whole(*out, before);
        st = *out == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    policy_arena_free(&arena);
    json_decref(whole);
    return st;
}

/* The words for a refused line. */
static void
say_why(enum status st, const json_t *input, char *error, size_t error_bytes)
{
    const json_t *id = json_object_get(input, "pack");
    if (st == STATUS_NOT_FOUND) {
        snprintf(error, error_bytes, "pack is not known here; see huren policy list");
    } else if (!json_is_object(input)) {
        snprintf(error, error_bytes, "is not a JSON object");
    } else if (id == NULL || json_is_null(id)) {
        snprintf(error, error_bytes, "names no pack");
    } else if (!json_is_string(id)) {
        snprintf(error, error_bytes, "pack is not a text");
    } else {
        snprintf(error, error_bytes, "%s", status_text(st));
    }
}

static enum status
from_text(const struct policy_set *set, const char *json, size_t bytes,
          enum status (*answer)(const struct policy_set *, const json_t *, json_t **),
          json_t **out, char *error, size_t error_bytes)
{
    *out = NULL;
    json_t *input;
    enum status st = policy_json_parse(json, bytes, &input, error, error_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    st = answer(set, input, out);
    if (st != STATUS_OK) {
        say_why(st, input, error, error_bytes);
    }
    json_decref(input);
    return st;
}

enum status
policy_decide_json(const struct policy_set *set, const char *json, size_t bytes, json_t **out,
                   char *error, size_t error_bytes)
{
    return from_text(set, json, bytes, policy_decide_object, out, error, error_bytes);
}

enum status
policy_mark_json(const struct policy_set *set, const char *json, size_t bytes, json_t **out,
                 char *error, size_t error_bytes)
{
    return from_text(set, json, bytes, policy_mark_object, out, error, error_bytes);
}
