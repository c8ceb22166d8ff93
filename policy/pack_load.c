/* Reading a compiled pack: one function a kind of line, found in one table. */
#include <string.h>

#include "policy/lines.h"
#include "policy/pack.h"
#include "policy/text.h"

const char *const hr_pack_verdict_names[] = {"no_rule", "barred", "may", "should", "must"};
const char *const hr_pack_level_names[] = {NULL, "tertiary", "secondary", "primary", "none"};
const char *const hr_pack_quality_names[] = {"not_failed_now",   "latest_passed",
                                             "each_organiser",   "previous_year_passed",
                                             "round_since_half", "institution_passed"};
const char *const hr_pack_fee_names[] = {"recognized", "recognized_with_department",
                                         "repeated_with_reason", "repeated"};
const char *const hr_pack_encounter_names[] = {NULL, "outpatient", "inpatient", "emergency"};
const char *const hr_pack_title_names[] = {NULL, "junior", "intermediate", "associate",
                                           "chief"};
static const char *const kind_names[] = {"none", "lab", "imaging", "pathology"};
static const char *const alliance_names[] = {"other", "city_group", "county_group"};
static const char *const grade_names[] = {NULL, "A", "B", "C", "none"};
static const char *const ownership_names[] = {NULL, "public", "private"};
static const char *const source_names[] = {"rows", "rows_by_level", "annex"};
static const char *const need_names[] = {"protocol_complete", "detector_rows"};
static const char *const note_names[] = {"never", "always", "unless_expired"};

/* Read "one,two" as bits; false when a word is none of the names. */
static bool
read_set(struct hr_text list, const char *const *names, size_t count, uint32_t *set)
{
    struct hr_text one;
    *set = 0;
    while (hr_setting_next(&list, &one)) {
        int index = hr_word_index(one, names, count);
        if (index < 0) {
            return false;
        }
        *set |= UINT32_C(1) << index;
    }
    return true;
}

static bool
read_small_set(struct hr_text list, const char *const *names, size_t count, uint8_t *set)
{
    uint32_t wide = 0;
    bool ok = read_set(list, names, count, &wide);
    *set = (uint8_t)wide;
    return ok;
}

/* A verdict by name, or "none" as HR_MUST, which caps nothing. */
static bool
read_cap(struct hr_text word, enum hr_verdict *cap)
{
    int index =
        hr_text_is(word, "none") ? HR_MUST : hr_word_index(word, hr_pack_verdict_names, 5);
    *cap = index < 0 ? HR_NO_RULE : (enum hr_verdict)index;
    return index >= 0;
}

/* The last four fields of a rule line: id, citation, zh, en, all needed. */
static bool
read_rule(struct lines *l, size_t first, struct hr_rule *rule)
{
    rule->id = hr_lines_field(l, first);
    rule->citation = hr_lines_field(l, first + 1);
    rule->zh = hr_lines_field(l, first + 2);
    rule->en = hr_lines_field(l, first + 3);
    if (l->field_count != first + 4) {
        return hr_lines_refuse(l, "line has the wrong number of fields");
    }
    if (rule->id.size == 0 || rule->citation.size == 0 || rule->zh.size == 0 ||
        rule->en.size == 0) {
        return hr_lines_refuse(l,
                               "a rule needs an id, a citation and a text in both languages");
    }
    return true;
}

static bool
read_levels(struct hr_text list, struct party_test *test)
{
    static const char suffix[] = "+assessed";
    const size_t suffix_size = sizeof suffix - 1;
    struct hr_text one;
    while (hr_setting_next(&list, &one)) {
        bool assessed = one.size > suffix_size &&
                        memcmp(one.bytes + one.size - suffix_size, suffix, suffix_size) == 0;
        if (assessed) {
            one.size -= suffix_size;
        }
        int level = hr_word_index(one, hr_pack_level_names, 5);
        if (level < 0) {
            return false;
        }
        level_set bit = (level_set)(1u << level);
        if (assessed) {
            test->levels_assessed |= bit;
        } else {
            test->levels |= bit;
        }
    }
    return true;
}

static bool
read_party(struct lines *l, struct hr_text levels, struct hr_text grade,
           struct hr_text ownership, struct party_test *test)
{
    int g = grade.bytes == NULL ? 0 : hr_word_index(grade, grade_names, 5);
    int o = ownership.bytes == NULL ? 0 : hr_word_index(ownership, ownership_names, 3);
    if (!read_levels(levels, test) || g < 0 || o < 0) {
        return hr_lines_refuse(l, "level, grade or ownership is not one that is known");
    }
    test->grade = (enum hr_grade)g;
    test->ownership = (enum hr_ownership)o;
    return true;
}

/* ---- lines that stand once ------------------------------------------------- */

static bool
load_pack(struct lines *l, struct hr_pack *p)
{
    p->id = hr_lines_field(l, 1);
    p->version = hr_lines_field(l, 2);
    p->document = hr_lines_field(l, 3);
    p->title_zh = hr_lines_field(l, 4);
    p->title_en = hr_lines_field(l, 5);
    p->parent = hr_lines_field(l, 6);
    p->gaps_zh = hr_lines_field(l, 7);
    p->gaps_en = hr_lines_field(l, 8);
    if (l->field_count != 9 || p->id.size == 0 || hr_decimal(p->version) < 1 ||
        p->document.size == 0 || p->title_zh.size == 0 || p->title_en.size == 0) {
        return hr_lines_refuse(l, "a pack needs id, version, document and titles");
    }
    return true;
}

static bool
load_valid(struct lines *l, struct hr_pack *p)
{
    struct hr_text from = hr_lines_field(l, 1);
    struct hr_text to = hr_lines_field(l, 2);
    p->valid_from = hr_date_parse(from);
    p->valid_to = hr_date_parse(to);
    if (l->field_count != 3 || p->valid_from.known != (from.size > 0) ||
        p->valid_to.known != (to.size > 0) ||
        (p->valid_from.known && p->valid_to.known && p->valid_to.day < p->valid_from.day)) {
        return hr_lines_refuse(l, "validity is not two dates in their order");
    }
    return true;
}

static bool
load_territory(struct lines *l, struct hr_pack *p)
{
    p->territories[p->territory_count++] = hr_lines_field(l, 1);
    return hr_lines_field(l, 1).size > 0 || hr_lines_refuse(l, "territory is empty");
}

static bool
load_mark_text(struct lines *l, struct hr_pack *p)
{
    p->marks[p->mark_count++] = hr_lines_field(l, 1);
    return hr_lines_field(l, 1).size > 0 || hr_lines_refuse(l, "mark is empty");
}

/* print TEXT ROW_SIGN PLACE ALTERNATIVE_FOOTNOTE + rule */
static bool
load_print(struct lines *l, struct hr_pack *p)
{
    p->print = hr_lines_field(l, 1);
    p->row_sign = hr_lines_field(l, 2);
    p->place = hr_lines_field(l, 3);
    p->alternative_footnote = hr_lines_field(l, 4);
    if (p->print.size == 0 || p->place.size == 0) {
        return hr_lines_refuse(l, "a printed mark needs a text and a place");
    }
    return read_rule(l, 5, &p->mark_rule);
}

/* sign_off TITLE FROM_VERDICT WITHOUT + rule */
static bool
load_sign_off(struct lines *l, struct hr_pack *p)
{
    int title = hr_word_index(hr_lines_field(l, 1), hr_pack_title_names, 5);
    if (title < 0 || !read_cap(hr_lines_field(l, 2), &p->sign_off_from)) {
        return hr_lines_refuse(l, "title or verdict is not one that is known");
    }
    p->sign_off_set = true;
    p->sign_off_title = (enum hr_title)title;
    p->sign_off_without = hr_lines_field(l, 3);
    return read_rule(l, 4, &p->sign_off_rule);
}

/* fees FROM_VERDICT; fee WHEN NAME + rule */
static bool
load_fees(struct lines *l, struct hr_pack *p)
{
    p->fees_set = true;
    return (l->field_count == 2 && read_cap(hr_lines_field(l, 1), &p->fees_from)) ||
           hr_lines_refuse(l, "verdict is not one that is known");
}

static bool
load_fee(struct lines *l, struct hr_pack *p)
{
    int when = hr_word_index(hr_lines_field(l, 1), hr_pack_fee_names, FEE_COUNT);
    if (when < 0 || hr_lines_field(l, 2).size == 0) {
        return hr_lines_refuse(l, "fee is not for a case that is known");
    }
    p->fees[when].name = hr_lines_field(l, 2);
    return read_rule(l, 3, &p->fees[when].rule);
}

/* ---- checks ---------------------------------------------------------------- */

static const char *const check_names[] = {
#define CHECK_NAME(code, name) name,
    HR_CHECK_MAP(CHECK_NAME)
#undef CHECK_NAME
};

/* The settings that a check takes beside its caps. */
static const char *
check_settings(enum hr_check check)
{
    if (check == HR_ISSUER_CLASS || check == HR_RECEIVER_CLASS) {
        return "levels grade ownership";
    }
    if (check == HR_ITEM_LISTED) {
        return "softened_in softened_cap";
    }
    if (check == HR_WINDOW) {
        return "days limit";
    }
    if (check == HR_QUALITY) {
        return "marked_cap";
    }
    if (check == HR_MARKED) {
        return "note";
    }
    if (check == HR_IMAGES || check == HR_METHOD_AND_INTERVAL || check == HR_REVIEWED ||
        check == HR_PROTOCOL) {
        return "kinds";
    }
    return "";
}

static bool
load_window(struct lines *l, struct hr_text s, struct check_rule *rule)
{
    struct hr_text days = hr_setting(s, "days");
    struct hr_text limit = hr_setting(s, "limit");
    rule->limit_from_annex = hr_text_is(limit, "annex");
    rule->days = days.bytes == NULL ? 0 : hr_decimal(days);
    if (rule->days < 0 || (limit.bytes != NULL && !rule->limit_from_annex) ||
        (days.bytes != NULL) == rule->limit_from_annex) {
        return hr_lines_refuse(l, "a window is days=N or limit=annex");
    }
    return true;
}

static bool
load_check_settings(struct lines *l, enum hr_check check, struct check_rule *rule)
{
    struct hr_text s = hr_lines_field(l, 4);
    if (!hr_settings_only(s, check_settings(check))) {
        return hr_lines_refuse(l, "check has a setting that it does not take");
    }
    struct hr_text marked = hr_setting(s, "marked_cap");
    struct hr_text note = hr_setting(s, "note");
    struct hr_text softened = hr_setting(s, "softened_in");
    rule->marked_cap_set = marked.bytes != NULL;
    rule->needs_note = hr_text_is(note, "required");
    if ((marked.bytes != NULL && !read_cap(marked, &rule->marked_cap)) ||
        (note.bytes != NULL && !rule->needs_note) ||
        !read_small_set(hr_setting(s, "kinds"), kind_names, 4, &rule->kinds) ||
        !read_small_set(softened, alliance_names, 3, &rule->softened_in) ||
        (softened.bytes != NULL &&
         !read_cap(hr_setting(s, "softened_cap"), &rule->softened_cap))) {
        return hr_lines_refuse(l, "setting of a check is not one that is known");
    }
    if (check == HR_WINDOW && !load_window(l, s, rule)) {
        return false;
    }
    if (hr_text_is((struct hr_text){check_settings(check), strlen(check_settings(check))},
                   "kinds") &&
        rule->kinds == 0) {
        return hr_lines_refuse(l, "check needs the kinds of items that it concerns");
    }
    return read_party(l, hr_setting(s, "levels"), hr_setting(s, "grade"),
                      hr_setting(s, "ownership"), &rule->party);
}

/* check NAME CAP_FALSE CAP_UNKNOWN SETTINGS + rule */
static bool
load_check(struct lines *l, struct hr_pack *p)
{
    int check = hr_word_index(hr_lines_field(l, 1), check_names, HR_CHECK_COUNT);
    if (check < 0) {
        return hr_lines_refuse(l, "check is not one that is known");
    }
    struct check_rule *rule = &p->checks[check];
    if (rule->present) {
        return hr_lines_refuse(l, "check stands twice");
    }
    rule->present = true;
    if (!read_cap(hr_lines_field(l, 2), &rule->cap_false) ||
        !read_cap(hr_lines_field(l, 3), &rule->cap_unknown)) {
        return hr_lines_refuse(l, "cap is not a verdict");
    }
    return load_check_settings(l, (enum hr_check)check, rule) && read_rule(l, 5, &rule->rule);
}

/* scope FORCE SETTINGS + rule */
static bool
load_scope(struct lines *l, struct hr_pack *p)
{
    struct scope_rule *scope = &p->scopes[p->scope_count++];
    struct hr_text s = hr_lines_field(l, 2);
    struct hr_text same = hr_setting(s, "same_level");
    struct hr_text none = {NULL, 0};
    struct hr_text ownership = hr_setting(s, "ownership");
    if (p->scope_count > HR_SCOPES_MAX) {
        return hr_lines_refuse(l, "too many scopes");
    }
    if (!hr_settings_only(s, "issuer receiver ownership same_level shared")) {
        return hr_lines_refuse(l, "scope has a setting that it does not take");
    }
    scope->same_level = hr_text_is(same, "yes");
    if (!read_cap(hr_lines_field(l, 1), &scope->force) ||
        (same.bytes != NULL && !scope->same_level) ||
        !read_small_set(hr_setting(s, "shared"), alliance_names, 3, &scope->shared)) {
        return hr_lines_refuse(l, "setting of a scope is not one that is known");
    }
    return read_party(l, hr_setting(s, "issuer"), none, ownership, &scope->parties[ISSUER]) &&
           read_party(l, hr_setting(s, "receiver"), none, ownership,
                      &scope->parties[RECEIVER]) &&
           read_rule(l, 3, &scope->rule);
}

/* ---- items ----------------------------------------------------------------- */

/* list KINDS SOURCE RELATIONS + rule */
static bool
load_list(struct lines *l, struct hr_pack *p)
{
    struct list_rule *list = &p->lists[p->list_count++];
    int source = hr_word_index(hr_lines_field(l, 2), source_names, 3);
    if (source < 0 || !read_small_set(hr_lines_field(l, 1), kind_names, 4, &list->kinds) ||
        !read_small_set(hr_lines_field(l, 3), hr_relation_names, RELATION_COUNT,
                        &list->widened) ||
        list->kinds == 0) {
        return hr_lines_refuse(l, "kind, source or relation is not one that is known");
    }
    for (size_t i = 0; i + 1 < p->list_count; i++) {
        if ((p->lists[i].kinds & list->kinds) != 0) {
            return hr_lines_refuse(l, "two lists hold for one kind");
        }
    }
    list->source = (enum list_source)source;
    return read_rule(l, 4, &list->rule);
}

/* condition RELATION OF ITSELF NEED AT_LEAST + rule */
static bool
load_condition(struct lines *l, struct hr_pack *p)
{
    struct condition_rule *c = &p->conditions[p->condition_count++];
    int relation = hr_word_index(hr_lines_field(l, 1), hr_relation_names, RELATION_COUNT);
    int need = hr_word_index(hr_lines_field(l, 4), need_names, 2);
    struct hr_text itself = hr_lines_field(l, 3);
    struct hr_text at_least = hr_lines_field(l, 5);
    c->of = hr_lines_field(l, 2);
    c->itself = hr_text_is(itself, "yes");
    if (relation < 0 || need < 0 || (itself.size > 0 && !c->itself) ||
        (c->itself && c->of.size == 0) || (need == NEED_DETECTOR_ROWS) != (at_least.size > 0)) {
        return hr_lines_refuse(l, "condition of the list is not one that is known");
    }
    c->relation = (enum relation)relation;
    c->need = (enum list_need)need;
    c->at_least = at_least.size > 0 ? hr_decimal(at_least) : 0;
    if (c->at_least < 0) {
        return hr_lines_refuse(l, "number is not a plain decimal");
    }
    return read_rule(l, 6, &c->rule);
}

/* row CODE LEVELS FORCE PROTOCOL COUNTED NAME CITATION */
static bool
load_row(struct lines *l, struct hr_pack *p)
{
    struct row *row = &p->rows[p->row_count++];
    struct hr_text force = hr_lines_field(l, 3);
    struct hr_text counted = hr_lines_field(l, 5);
    struct hr_text protocol = hr_lines_field(l, 4);
    row->listed.code = hr_lines_field(l, 1);
    row->listed.name = hr_lines_field(l, 6);
    row->listed.citation = hr_lines_field(l, 7);
    row->listed.counted = hr_text_is(counted, "yes");
    row->protocol = hr_text_is(protocol, "yes");
    row->force_set = force.size > 0;
    if (l->field_count != 8 || row->listed.code.size == 0 || row->listed.citation.size == 0 ||
        !read_small_set(hr_lines_field(l, 2), hr_pack_level_names, 5, &row->levels) ||
        (row->force_set && !read_cap(force, &row->force)) ||
        (!row->listed.counted && !hr_text_is(counted, "no")) ||
        (protocol.size > 0 && !row->protocol)) {
        return hr_lines_refuse(l, "row of the item list is not as it should be");
    }
    if (p->row_count > 1 && hr_text_compare(row[-1].listed.code, row->listed.code) > 0) {
        return hr_lines_refuse(l, "rows must be sorted by code");
    }
    for (struct row *r = row; row->listed.counted && r-- > p->rows;) {
        if (!hr_text_equal(r->listed.code, row->listed.code)) {
            break;
        }
        bool every = r->levels == 0 || row->levels == 0;
        if (r->listed.counted && (every || (r->levels & row->levels) != 0)) {
            return hr_lines_refuse(l, "an item stands twice in one list");
        }
    }
    return true;
}

/* quality KINDS NEEDS + rule */
static bool
load_quality(struct lines *l, struct hr_pack *p)
{
    struct quality_rule *quality = &p->qualities[p->quality_count++];
    if (!read_small_set(hr_lines_field(l, 1), kind_names, 4, &quality->kinds) ||
        !read_set(hr_lines_field(l, 2), hr_pack_quality_names, QUALITY_NEED_COUNT,
                  &quality->needs) ||
        quality->kinds == 0 || quality->needs == 0) {
        return hr_lines_refuse(l, "kind or quality condition is not one that is known");
    }
    for (size_t i = 0; i + 1 < p->quality_count; i++) {
        if ((p->qualities[i].kinds & quality->kinds) != 0) {
            return hr_lines_refuse(l, "two quality rules hold for one kind");
        }
    }
    return read_rule(l, 3, &quality->rule);
}

/* ---- what follows from a verdict ------------------------------------------- */

/* exception CODE KINDS NOTE WINDOW + rule */
static bool
load_exception(struct lines *l, struct hr_pack *p)
{
    struct exception_rule *e = &p->exceptions[p->exception_count++];
    int note = hr_word_index(hr_lines_field(l, 3), note_names, 3);
    struct hr_text window = hr_lines_field(l, 4);
    e->exception.code = hr_lines_field(l, 1);
    e->not_in_window = hr_text_is(window, "not_in_window");
    if (note < 0 || e->exception.code.size == 0 || (window.size > 0 && !e->not_in_window) ||
        !read_small_set(hr_lines_field(l, 2), kind_names, 4, &e->kinds)) {
        return hr_lines_refuse(l, "circumstance is not as it should be");
    }
    for (struct exception_rule *other = p->exceptions; other < e; other++) {
        if (hr_text_equal(other->exception.code, e->exception.code)) {
            return hr_lines_refuse(l, "a circumstance stands twice");
        }
    }
    e->note = (enum note_need)note;
    return read_rule(l, 5, &e->exception.rule);
}

static int
form_index(struct hr_text name)
{
    for (int form = HR_DIRECT; form <= HR_DIRECT_OR_REREAD_REISSUE; form++) {
        if (hr_text_is(name, hr_form_name((enum hr_form)form))) {
            return form;
        }
    }
    return -1;
}

/* form KINDS FORM + rule */
static bool
load_form(struct lines *l, struct hr_pack *p)
{
    struct form_rule *form = &p->forms[p->form_count++];
    int index = form_index(hr_lines_field(l, 2));
    if (index < 0 || !read_small_set(hr_lines_field(l, 1), kind_names, 4, &form->kinds)) {
        return hr_lines_refuse(l, "kind or form is not one that is known");
    }
    form->form = (enum hr_form)index;
    return read_rule(l, 3, &form->rule);
}

/* duty WHEN NAME SETTINGS + rule */
static bool
load_duty(struct lines *l, struct hr_pack *p)
{
    struct duty_rule *duty = &p->duties[p->duty_count++];
    struct hr_text s = hr_lines_field(l, 3);
    struct hr_text verdict = hr_setting(s, "verdict");
    struct hr_text form = hr_setting(s, "form");
    struct hr_text encounter = hr_setting(s, "encounter");
    int form_number = form.bytes == NULL ? 0 : form_index(form);
    int encounter_number =
        encounter.bytes == NULL ? 0 : hr_word_index(encounter, hr_pack_encounter_names, 4);
    size_t alike = 0;
    duty->repeated = hr_text_is(hr_lines_field(l, 1), "repeated");
    duty->duty.name = hr_lines_field(l, 2);
    duty->verdict = HR_BARRED;
    if ((!duty->repeated && !hr_text_is(hr_lines_field(l, 1), "recognized")) ||
        duty->duty.name.size == 0 || form_number < 0 || encounter_number < 0 ||
        !hr_settings_only(s, "verdict form encounter with without") ||
        (verdict.bytes != NULL && !read_cap(verdict, &duty->verdict))) {
        return hr_lines_refuse(l, "duty is not as it should be");
    }
    for (size_t i = 0; i < p->duty_count; i++) {
        alike += p->duties[i].repeated == duty->repeated;
    }
    if (alike > HR_DUTIES_MAX) {
        return hr_lines_refuse(l, "too many duties");
    }
    duty->form_set = form.bytes != NULL;
    duty->form = (enum hr_form)form_number;
    duty->encounter = (enum hr_encounter)encounter_number;
    duty->with = hr_setting(s, "with");
    duty->without = hr_setting(s, "without");
    return read_rule(l, 4, &duty->duty.rule);
}

/* footnote KINDS TEXT */
static bool
load_footnote(struct lines *l, struct hr_pack *p)
{
    struct footnote *f = &p->footnotes[p->footnote_count++];
    f->text = hr_lines_field(l, 2);
    return (f->text.size > 0 &&
            read_small_set(hr_lines_field(l, 1), kind_names, 4, &f->kinds)) ||
           hr_lines_refuse(l, "footnote is not as it should be");
}

/* ---- the whole ------------------------------------------------------------- */

enum line_kind {
    LINE_PACK,
    LINE_VALID,
    LINE_TERRITORY,
    LINE_MARK,
    LINE_PRINT,
    LINE_FOOTNOTE,
    LINE_CHECK,
    LINE_SCOPE,
    LINE_LIST,
    LINE_CONDITION,
    LINE_QUALITY,
    LINE_EXCEPTION,
    LINE_SIGN_OFF,
    LINE_FORM,
    LINE_DUTY,
    LINE_FEES,
    LINE_FEE,
    LINE_ROW,
    LINE_COUNT
};
static const struct {
    const char *name;
    bool (*load)(struct lines *l, struct hr_pack *p);
    bool once;
} line_kinds[LINE_COUNT] = {
    [LINE_PACK] = {"pack", load_pack, true},
    [LINE_VALID] = {"valid", load_valid, true},
    [LINE_TERRITORY] = {"territory", load_territory, false},
    [LINE_MARK] = {"mark", load_mark_text, false},
    [LINE_PRINT] = {"print", load_print, true},
    [LINE_FOOTNOTE] = {"footnote", load_footnote, false},
    [LINE_CHECK] = {"check", load_check, false},
    [LINE_SCOPE] = {"scope", load_scope, false},
    [LINE_LIST] = {"list", load_list, false},
    [LINE_CONDITION] = {"condition", load_condition, false},
    [LINE_QUALITY] = {"quality", load_quality, false},
    [LINE_EXCEPTION] = {"exception", load_exception, false},
    [LINE_SIGN_OFF] = {"sign_off", load_sign_off, true},
    [LINE_FORM] = {"form", load_form, false},
    [LINE_DUTY] = {"duty", load_duty, false},
    [LINE_FEES] = {"fees", load_fees, true},
    [LINE_FEE] = {"fee", load_fee, false},
    [LINE_ROW] = {"row", load_row, false},
};

static int
line_kind(const struct lines *l)
{
    for (int i = 0; i < LINE_COUNT; i++) {
        if (hr_text_is(l->fields[0], line_kinds[i].name)) {
            return i;
        }
    }
    return -1;
}

static void
count_lines(const char *text, size_t size, size_t counts[LINE_COUNT])
{
    struct lines l;
    memset(counts, 0, LINE_COUNT * sizeof counts[0]);
    hr_lines_begin(&l, text, size);
    while (hr_lines_next(&l)) {
        int kind = line_kind(&l);
        if (kind >= 0) {
            counts[kind]++;
        }
    }
}

static void *
take_zeroed(struct block *b, size_t count, size_t size)
{
    void *taken = hr_block_take(b, count, size);
    if (taken != NULL) {
        memset(taken, 0, count * size);
    }
    return taken;
}

static bool
take_arrays(struct block *b, struct hr_pack *p, const size_t n[LINE_COUNT])
{
    p->territories = take_zeroed(b, n[LINE_TERRITORY], sizeof *p->territories);
    p->marks = take_zeroed(b, n[LINE_MARK], sizeof *p->marks);
    p->scopes = take_zeroed(b, n[LINE_SCOPE], sizeof *p->scopes);
    p->lists = take_zeroed(b, n[LINE_LIST], sizeof *p->lists);
    p->conditions = take_zeroed(b, n[LINE_CONDITION], sizeof *p->conditions);
    p->qualities = take_zeroed(b, n[LINE_QUALITY], sizeof *p->qualities);
    p->exceptions = take_zeroed(b, n[LINE_EXCEPTION], sizeof *p->exceptions);
    p->forms = take_zeroed(b, n[LINE_FORM], sizeof *p->forms);
    p->duties = take_zeroed(b, n[LINE_DUTY], sizeof *p->duties);
    p->footnotes = take_zeroed(b, n[LINE_FOOTNOTE], sizeof *p->footnotes);
    p->rows = take_zeroed(b, n[LINE_ROW], sizeof *p->rows);
    return p->territories != NULL && p->marks != NULL && p->scopes != NULL &&
           p->lists != NULL && p->conditions != NULL && p->qualities != NULL &&
           p->exceptions != NULL && p->forms != NULL && p->duties != NULL &&
           p->footnotes != NULL && p->rows != NULL;
}

size_t
hr_pack_memory_bytes(const char *text, size_t size)
{
    size_t counts[LINE_COUNT];
    count_lines(text, size, counts);
    return sizeof(struct hr_pack) + counts[LINE_TERRITORY] * sizeof(struct hr_text) +
           counts[LINE_MARK] * sizeof(struct hr_text) +
           counts[LINE_SCOPE] * sizeof(struct scope_rule) +
           counts[LINE_LIST] * sizeof(struct list_rule) +
           counts[LINE_CONDITION] * sizeof(struct condition_rule) +
           counts[LINE_QUALITY] * sizeof(struct quality_rule) +
           counts[LINE_EXCEPTION] * sizeof(struct exception_rule) +
           counts[LINE_FORM] * sizeof(struct form_rule) +
           counts[LINE_DUTY] * sizeof(struct duty_rule) +
           counts[LINE_FOOTNOTE] * sizeof(struct footnote) +
           counts[LINE_ROW] * sizeof(struct row) + 16 * _Alignof(max_align_t);
}

static bool
read_pack(struct lines *l, struct hr_pack *p)
{
    bool seen[LINE_COUNT] = {false};
    if (!hr_lines_next(l) || l->field_count != 1 || !hr_text_is(l->fields[0], "huren pack 1")) {
        return hr_lines_refuse(l, "is not a compiled pack of version 1");
    }
    while (hr_lines_next(l)) {
        int kind = line_kind(l);
        if (kind < 0) {
            return hr_lines_refuse(l, "unknown line");
        }
        if (seen[kind] && line_kinds[kind].once) {
            return hr_lines_refuse(l, "line stands twice");
        }
        seen[kind] = true;
        if (!line_kinds[kind].load(l, p)) {
            return false;
        }
    }
    if (l->bad != NULL) {
        return false;
    }
    l->number = 2; /* what follows concerns the whole: say it at the pack's own line */
    if (!seen[LINE_PACK] || p->territory_count == 0 || p->scope_count == 0) {
        return hr_lines_refuse(l, "a pack needs a name, a territory and a scope");
    }
    for (int i = 0; p->fees_set && i < FEE_COUNT; i++) {
        if (p->fees[i].name.size == 0) {
            return hr_lines_refuse(l, "fees must cover all four cases");
        }
    }
    return true;
}

const struct hr_pack *
hr_pack_load(const char *text, size_t size, void *memory, size_t memory_bytes,
             struct hr_load_error *error)
{
    struct block block = {memory, memory_bytes};
    struct lines l;
    size_t counts[LINE_COUNT];
    count_lines(text, size, counts);
    struct hr_pack *p = hr_block_take(&block, 1, sizeof *p);
    hr_lines_begin(&l, text, size);
    if (p != NULL) {
        memset(p, 0, sizeof *p);
    }
    if (p == NULL || !take_arrays(&block, p, counts)) {
        hr_lines_refuse(&l, "memory is too small");
    } else if (read_pack(&l, p)) {
        return p;
    }
    if (error != NULL) {
        *error = (struct hr_load_error){l.number, l.bad};
    }
    return NULL;
}
