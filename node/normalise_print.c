#include "node/normalise_print.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/jsonwhole.h"
#include "proto/text.h"

static void
set(json_t *o, const char *name, const char *value)
{
    (void)json_object_set_new(o, name, json_string(value));
}

/* Only what was said. */
static void
set_filled(json_t *o, const char *name, const char *value)
{
    if (value[0] != '\0') {
        set(o, name, value);
    }
}

/* What the source calls a mark: a claim until the rules bear it out. */
static void
set_claims(json_t *o, char *const *claims, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_string(claims[i]));
    }
    (void)json_object_set_new(o, "claimed_marks", list);
}

static json_t *
item_json(const Hr__Item *item)
{
    json_t *o = json_object(), *flags = json_array();
    for (size_t i = 0; i < item->n_flags; i++) {
        (void)json_array_append_new(flags, json_string(item->flags[i]));
    }
    set(o, "code", item->code);
    set(o, "local_code", item->local_code);
    set_filled(o, "local_system", item->local_system);
    set(o, "name", item->name);
    set(o, "value", item->value);
    set_filled(o, "value_type", item->value_type);
    set(o, "unit", item->unit);
    set(o, "reference", item->reference);
    (void)json_object_set_new(o, "flags", flags);
    set(o, "status", item->status);
    set(o, "examined_at", item->examined_at);
    set_filled(o, "sub_id", item->sub_id);
    set_filled(o, "method", item->method);
    set_filled(o, "device", item->device);
    set_filled(o, "note", item->note);
    set_claims(o, item->claimed_marks, item->n_claimed_marks);
    (void)json_object_set_new(o, "critical", json_boolean(item->critical));
    (void)json_object_set_new(o, "doubtful", json_boolean(item->doubtful));
    return o;
}

static json_t *
patient_json(const struct normalised *n)
{
    const Hr__Patient *p = n->report->patient;
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < p->n_identifiers; i++) {
        json_t *id = json_object();
        set(id, "type", p->identifiers[i]->type);
        set(id, "value", p->identifiers[i]->value);
        (void)json_object_set_new(id, "usable", json_boolean(n->usable[i]));
        (void)json_array_append_new(list, id);
    }
    (void)json_object_set_new(o, "identifiers", list);
    set(o, "name", p->name);
    set(o, "sex", p->sex);
    set(o, "birth_date", p->birth_date);
    return o;
}

static bool
set_source(json_t *o, const struct normalised *n)
{
    size_t room = strlen(n->file) * 8 + 32; /* text_show makes at most <FF> of a byte */
    char *source = malloc(room);
    if (source != NULL) {
        size_t used = text_show(text_view(n->file), source, room - 16);
        snprintf(source + used, room - used, ":%u", (unsigned)n->record);
        set(o, "source", source);
        free(source);
    }
    return source != NULL;
}

char *
normalised_json(const struct normalised *n)
{
    const Hr__Report *r = n->report;
    unsigned long mark = json_whole_mark();
    json_t *o = json_object(), *items = json_array(), *warnings = json_array();
    bool whole = set_source(o, n);
    set(o, "report_id", r->report_id);
    set(o, "kind", r->kind);
    set(o, "status", r->status);
    set(o, "action", normalise_action_text(n->action));
    if (n->action_reason != NULL) {
        set(o, "action_reason", n->action_reason);
    }
    if (r->held) {
        (void)json_object_set_new(o, "held", json_true());
    }
    (void)json_object_set_new(o, "patient", patient_json(n));
    set(o, "service", r->service);
    set(o, "examined_at", r->examined_at);
    set(o, "reported_at", r->reported_at);
    const struct {
        const char *name, *value;
    } more[] = {{"placer_id", r->placer_id},
                {"specimen", r->specimen},
                {"department", r->department},
                {"orderer", r->orderer},
                {"author", r->author},
                {"reviewer", r->reviewer},
                {"findings", r->findings},
                {"impression", r->impression},
                {"note", r->note},
                {"side", r->side},
                {"body_site", r->body_site},
                {"study_uid", r->study_uid},
                {"accession", r->accession},
                {"sending_application", r->sending_application}};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        set_filled(o, more[i].name, more[i].value);
    }
    for (size_t i = 0; i < r->n_items; i++) {
        (void)json_array_append_new(items, item_json(r->items[i]));
    }
    (void)json_object_set_new(o, "items", items);
    set_claims(o, r->claimed_marks, r->n_claimed_marks);
    for (size_t i = 0; i < n->warning_count; i++) {
        char line[512];
        struct problem p = n->warnings[i];
        p.record = 0; /* the source says it */
        problem_describe(&p, line, sizeof line);
        (void)json_array_append_new(warnings, json_string(line));
    }
    (void)json_object_set_new(o, "warnings", warnings);
    char *text = whole ? json_whole_text(o, JSON_COMPACT, mark) : NULL;
    json_decref(o);
    return text;
}

/* ---- for people ---- */

struct page {
    void (*line)(void *user, const char *text);
    void *user;
    char text[1024];
    size_t used;
};

static void
begin(struct page *p, const char *text)
{
    p->used = text_show(text_view(text), p->text, sizeof p->text);
}

static void
more(struct page *p, const char *before, const char *value)
{
    if (value[0] != '\0' && sizeof p->text - p->used > strlen(before) + 8) {
        p->used += text_show(text_view(before), p->text + p->used, sizeof p->text - p->used);
        p->used += text_show(text_view(value), p->text + p->used, sizeof p->text - p->used);
    }
}

static void
end(struct page *p)
{
    p->line(p->user, p->text);
}

static void
item_line(struct page *p, const Hr__Item *item)
{
    begin(p, "  ");
    more(p, "", item->code[0] == '\0' ? "(no item)" : item->code);
    more(p, "  ", item->name[0] != '\0' ? item->name : item->local_code);
    more(p, " ", item->value);
    more(p, " ", item->unit);
    for (size_t i = 0; i < item->n_flags; i++) {
        more(p, " ", item->flags[i]);
    }
    if (item->reference[0] != '\0') {
        more(p, "  [", item->reference);
        more(p, "", "]");
    }
    more(p, "  ", item->status);
    more(p, "  ", item->examined_at);
    more(p, "  ", item->critical ? "critical" : "");
    more(p, "  ", item->doubtful ? "doubtful" : "");
    for (size_t i = 0; i < item->n_claimed_marks; i++) {
        more(p, i == 0 ? "  claims the mark " : ", ", item->claimed_marks[i]);
    }
    end(p);
}

static void
text_line(struct page *p, const char *name, const char *text)
{
    if (text[0] != '\0') {
        begin(p, "  ");
        more(p, "", name);
        more(p, ": ", text);
        end(p);
    }
}

void
normalised_lines(const struct normalised *n, void (*line)(void *user, const char *text),
                 void *user)
{
    const Hr__Report *r = n->report;
    char number[16];
    struct page p = {.line = line, .user = user};
    snprintf(number, sizeof number, "%u", (unsigned)n->record);
    begin(&p, n->file);
    more(&p, ":", number);
    more(&p, "  ", r->kind);
    more(&p, " report ", r->report_id);
    more(&p, ", ", r->status);
    more(&p, ", ", r->service);
    more(&p, "", r->held ? ", held" : "");
    end(&p);
    begin(&p, "  patient");
    more(&p, " ", r->patient->name);
    more(&p, " ", r->patient->sex);
    more(&p, " ", r->patient->birth_date);
    for (size_t i = 0; i < r->patient->n_identifiers; i++) {
        const char *type = r->patient->identifiers[i]->type;
        more(&p, "  ", type[0] == '\0' ? "(untyped)" : type);
        more(&p, " ", r->patient->identifiers[i]->value);
    }
    end(&p);
    for (size_t i = 0; i < r->n_items; i++) {
        item_line(&p, r->items[i]);
    }
    for (size_t i = 0; i < r->n_claimed_marks; i++) {
        text_line(&p, "claims the mark", r->claimed_marks[i]);
    }
    text_line(&p, "findings", r->findings);
    text_line(&p, "impression", r->impression);
    text_line(&p, "note", r->note);
    if (n->action != NORMALISE_PUBLISH) {
        begin(&p, "  ");
        more(&p, "", normalise_action_text(n->action));
        more(&p, ": ", n->action_reason);
        end(&p);
    }
    for (size_t i = 0; i < n->warning_count; i++) {
        char text[512];
        struct problem w = n->warnings[i];
        w.record = 0;
        problem_describe(&w, text, sizeof text);
        begin(&p, "  warning");
        more(&p, ": ", text);
        end(&p);
    }
}
