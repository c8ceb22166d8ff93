/* What was examined: item lists, protocol, side and site. */
#include "policy/checks.h"
#include "policy/kleene.h"
#include "policy/text.h"

/* Does a row with these levels stand on the list of this level of institution? */
static bool
row_holds(const struct row *row, enum hr_level level)
{
    return row->listed.counted && (row->levels == 0 || (row->levels >> level & 1) != 0);
}

/* Is the code on the list, whatever the level? */
static bool
on_list(const struct facts *f, struct hr_text code)
{
    size_t count;
    const struct row *rows = hr_pack_rows(f->pack, code, &count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].listed.counted) {
            return true;
        }
    }
    return false;
}

/* Is the code on the list of this institution's level?  Unknown level: unknown
 * if it is on any, else false.  A level without a list: false. */
static enum hr_value
on_list_of(const struct facts *f, const struct hr_institution *who)
{
    size_t count;
    const struct row *rows = hr_pack_rows(f->pack, f->input->item, &count);
    for (size_t i = 0; i < count; i++) {
        if (row_holds(&rows[i], who->level)) {
            return HR_TRUE;
        }
    }
    return who->level == HR_LEVEL_UNKNOWN && on_list(f, f->input->item) ? HR_UNKNOWN : HR_FALSE;
}

static enum hr_value
need_value(const struct facts *f, const struct condition_rule *c)
{
    if (c->need == NEED_PROTOCOL) {
        return f->input->result.protocol_complete;
    }
    return f->input->result.detector_rows_known
               ? kleene(f->input->result.detector_rows >= c->at_least)
               : HR_UNKNOWN;
}

/* The condition under which a code that relates so to `to` counts; NULL: none. */
static const struct condition_rule *
condition_for(const struct facts *f, enum relation relation, struct hr_text to)
{
    for (size_t i = 0; i < f->pack->condition_count; i++) {
        const struct condition_rule *c = &f->pack->conditions[i];
        if (c->relation == relation && (c->of.size == 0 || hr_text_equal(c->of, to))) {
            return c;
        }
    }
    return NULL;
}

/* The condition that a listed code itself is under; NULL: none. */
static const struct condition_rule *
condition_itself(const struct facts *f, struct hr_text code)
{
    for (size_t i = 0; i < f->pack->condition_count; i++) {
        const struct condition_rule *c = &f->pack->conditions[i];
        if (c->itself && hr_text_equal(c->of, code)) {
            return c;
        }
    }
    return NULL;
}

/* The code is listed, or counts under a wider code that is. */
static enum hr_value
listed_by_rows(const struct facts *f, const struct list_rule *list)
{
    struct hr_text code = f->input->item;
    enum hr_value value = HR_FALSE;
    if (on_list(f, code)) {
        const struct condition_rule *c = condition_itself(f, code);
        value = c == NULL ? HR_TRUE : need_value(f, c);
    }
    size_t count;
    const struct relation_row *r = hr_catalog_relations(f->catalog, code, &count);
    for (size_t i = 0; i < count && value != HR_TRUE; i++) {
        if (!on_list(f, r[i].to)) {
            continue;
        }
        const struct condition_rule *c = condition_for(f, r[i].relation, r[i].to);
        if ((list->widened >> r[i].relation & 1) != 0) {
            value = HR_TRUE;
        } else if (c != NULL) {
            value = kleene_or(value, need_value(f, c));
        }
    }
    return value;
}

static const struct list_rule *
list_for(const struct facts *f)
{
    for (size_t i = 0; i < f->pack->list_count; i++) {
        if ((f->pack->lists[i].kinds >> f->kind & 1) != 0) {
            return &f->pack->lists[i];
        }
    }
    return NULL;
}

enum hr_value
hr_check_item_listed(const struct facts *f)
{
    if (f->input->item.bytes == NULL) {
        return HR_UNKNOWN;
    }
    const struct list_rule *list = f->item == NULL ? NULL : list_for(f);
    if (list == NULL) {
        return HR_FALSE;
    }
    switch (list->source) {
    case LIST_ROWS:
        return listed_by_rows(f, list);
    case LIST_ROWS_BY_LEVEL:
        return kleene_and(on_list_of(f, f->parties[ISSUER]),
                          on_list_of(f, f->parties[RECEIVER]));
    case LIST_ANNEX:
        return f->input->annex.known ? f->input->annex.listed : HR_UNKNOWN;
    }
    return HR_FALSE;
}

enum hr_value
hr_check_full_force(const struct facts *f)
{
    size_t count = 0;
    const struct row *rows = hr_pack_rows(f->pack, f->input->item, &count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].force_set) {
            return HR_FALSE;
        }
    }
    return HR_TRUE;
}

static bool
row_asks_protocol(const struct facts *f, struct hr_text code)
{
    size_t count;
    const struct row *rows = hr_pack_rows(f->pack, code, &count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].protocol) {
            return true;
        }
    }
    return false;
}

enum hr_value
hr_check_protocol(const struct facts *f)
{
    const struct check_rule *rule = &f->pack->checks[HR_PROTOCOL];
    const struct list_rule *list = f->item == NULL ? NULL : list_for(f);
    if (list == NULL || (rule->kinds >> f->kind & 1) == 0) {
        return HR_NOT_APPLICABLE;
    }
    bool asked = row_asks_protocol(f, f->item->code);
    size_t count;
    const struct relation_row *r = hr_catalog_relations(f->catalog, f->item->code, &count);
    for (size_t i = 0; i < count && !asked; i++) {
        bool counts = (list->widened >> r[i].relation & 1) != 0 ||
                      condition_for(f, r[i].relation, r[i].to) != NULL;
        asked = counts && row_asks_protocol(f, r[i].to);
    }
    return asked ? f->input->result.protocol_complete : HR_NOT_APPLICABLE;
}

enum hr_value
hr_check_side(const struct facts *f)
{
    enum hr_side code = f->item == NULL ? HR_SIDE_NONE : f->item->side;
    enum hr_side result = f->input->result.side;
    enum hr_side order = f->input->order.side;
    if (code == HR_SIDE_NONE) {
        return HR_NOT_APPLICABLE;
    }
    if (code == HR_SIDE_OPEN) {
        if (result == HR_SIDE_NONE) {
            return HR_UNKNOWN;
        }
        if (order == HR_SIDE_UNREADABLE) {
            return result == HR_BOTH ? HR_TRUE : HR_UNKNOWN;
        }
        return kleene(order == HR_SIDE_NONE || order == result || result == HR_BOTH);
    }
    if ((result == HR_LEFT || result == HR_RIGHT) && result != code) {
        return HR_UNKNOWN; /* code and report contradict each other */
    }
    if (order == HR_SIDE_UNREADABLE) {
        return HR_UNKNOWN;
    }
    return kleene(order == HR_SIDE_NONE || order == code);
}

enum hr_value
hr_check_site(const struct facts *f)
{
    struct hr_text site = f->input->result.body_site;
    if (f->item == NULL || !f->item->site_open) {
        return HR_NOT_APPLICABLE;
    }
    if (site.bytes == NULL) {
        return HR_UNKNOWN;
    }
    if (!f->input->order.site_asked) {
        return HR_TRUE;
    }
    return f->input->order.body_site.bytes == NULL
               ? HR_UNKNOWN
               : kleene(hr_text_equal(f->input->order.body_site, site));
}
