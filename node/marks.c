#include "node/marks.h"

#include <string.h>

#include "node/decision_input.h"
#include "proto/civil.h"
#include "proto/text.h"

enum { MARKS_MAX = 16 };

/* The moment of the report: when it was reported, else examined, else now. */
static int64_t
moment(const Hr__Report *report, int64_t now_s)
{
    struct civil t;
    const char *texts[] = {report->reported_at, report->examined_at};
    for (size_t i = 0; i < 2; i++) {
        if (civil_parse_rfc3339(text_view(texts[i]), &t) == STATUS_OK) {
            return civil_unix_ms(&t, 480) / 1000;
        }
    }
    return now_s;
}

/* Add a mark to a list that has room for MARKS_MAX; no mark stands twice. */
static bool
add(struct report_arena *arena, char ***list, size_t *count, struct hr_text mark)
{
    for (size_t i = 0; i < *count; i++) {
        if (strlen((*list)[i]) == mark.size && memcmp((*list)[i], mark.bytes, mark.size) == 0) {
            return true;
        }
    }
    if (*list == NULL) {
        *list = report_alloc(arena, MARKS_MAX * sizeof **list);
    }
    if (*list == NULL || *count == MARKS_MAX) {
        return *list != NULL;
    }
    (*list)[(*count)++] =
        report_text(arena, (struct view){(const uint8_t *)mark.bytes, mark.size});
    return true;
}

static bool
is_on_page(struct hr_text place)
{
    static const char top[] = "top_right";
    return place.size == sizeof top - 1 && memcmp(place.bytes, top, sizeof top - 1) == 0;
}

static enum status
mark_item(const struct charter *c, const struct policy_set *policy, size_t pack, int64_t at_s,
          const char *institution, const char *pack_id, struct report_arena *arena,
          Hr__Report *report, Hr__Item *item)
{
    struct decision_case k = {.issuer = institution, .at_s = at_s, .policy = policy};
    struct policy_arena memory = {0};
    struct hr_policy_input input;
    struct hr_mark mark;
    json_t *json = decision_input(c, &k, pack_id, report, item);
    enum status st =
        json == NULL ? STATUS_NO_MEMORY : policy_input_from_json(json, &memory, &input);
    if (st == STATUS_OK) {
        hr_mark(policy_set_pack(policy, pack), policy_set_catalog(policy), &input, &mark);
        bool ok = true;
        if (mark.mark == HR_TRUE && mark.row_sign.bytes != NULL) {
            ok = add(arena, &item->marks, &item->n_marks, mark.row_sign);
        }
        if (mark.mark == HR_TRUE && (mark.row_sign.bytes == NULL || is_on_page(mark.place))) {
            ok = ok && (is_on_page(mark.place)
                            ? add(arena, &report->marks, &report->n_marks, mark.text)
                            : add(arena, &item->marks, &item->n_marks, mark.text));
        }
        if (mark.mark == HR_TRUE && mark.footnote.bytes != NULL) {
            report->mark_note = 1;
        }
        st = ok ? STATUS_OK : STATUS_NO_MEMORY;
    }
    policy_arena_free(&memory);
    json_decref(json);
    return st;
}

enum status
marks_derive(const struct charter *c, const struct policy_set *policy, const char *institution,
             int64_t now_s, struct report_arena *arena, Hr__Report *report)
{
    int64_t at_s = moment(report, now_s);
    char date[11];
    report->marks = NULL; /* whatever stood there was no list of ours */
    report->n_marks = 0;
    report->mark_note = 0;
    for (size_t k = 0; k < report->n_items; k++) {
        report->items[k]->marks = NULL;
        report->items[k]->n_marks = 0;
    }
    decision_date(at_s, date);
    for (size_t i = 0; i < charter_pack_count(c); i++) {
        const Hr__PolicyRow *row = charter_pack_at(c, i);
        size_t pack = decision_pack(policy, row);
        if (pack == SIZE_MAX || !charter_pack_covers(row, date)) {
            continue;
        }
        for (size_t k = 0; k < report->n_items; k++) {
            if (report->items[k]->code[0] == '\0') {
                continue;
            }
            enum status st = mark_item(c, policy, pack, at_s, institution, row->pack, arena,
                                       report, report->items[k]);
            if (st != STATUS_OK) {
                return st;
            }
        }
    }
    return STATUS_OK;
}

static bool
is_in(char *const *list, size_t count, const char *mark)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], mark) == 0) {
            return true;
        }
    }
    return false;
}

bool
marks_bear_out(const Hr__Report *report, const Hr__Item *item, const char *claim)
{
    if (item != NULL && is_in(item->marks, item->n_marks, claim)) {
        return true;
    }
    bool others = false;
    for (size_t i = 0; i < report->n_items; i++) {
        const Hr__Item *one = report->items[i];
        if (item == NULL && is_in(one->marks, one->n_marks, claim)) {
            return true;
        }
        others = others || (one != item && one->n_marks > 0);
    }
    /* The page's mark is no row's where other rows bear a sign (AMB-HB03). */
    return (item == NULL || item->n_marks > 0 || !others) &&
           is_in(report->marks, report->n_marks, claim);
}
