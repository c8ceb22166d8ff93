/* Patients and times: identifiers, names, sex, birth dates (INTERFACES.md 1.7,
 * 1.9 and 3; DESIGN.md section 5). */
#include <stdio.h>
#include <string.h>

#include "node/normalise_parts.h"
#include "proto/civil.h"
#include "proto/identifier.h"
#include "proto/text.h"

static const char card_oid[] = "2.16.156.10011.1.3";

/* The person-wide type that a type as sent stands for, or NULL.  `*sure`: the
 * sender means exactly that, so a wrong number is worth a warning. */
static const char *
type_of(struct run *r, struct view type, struct view oid, bool *sure)
{
    static const char *const ours[] = {"RI", "PP", "HM", "TW", "RP"};
    const char *mapped = codemap_field(r->o->map, &r->sender, "PID-3", type);
    *sure = true;
    if (mapped != NULL) {
        return mapped;
    }
    if (text_is(type, "NNCHN") || text_is(oid, card_oid)) {
        return "RI";
    }
    if (text_is(type, "PPN")) {
        return "PP";
    }
    *sure = false;
    if (text_is(type, "NI")) { /* a national number, perhaps of another nation */
        return "RI";
    }
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (text_is(type, ours[i])) {
            return ours[i];
        }
    }
    return NULL;
}

void
draft_identifier(struct run *r, struct draft *d, struct place at, struct view type,
                 struct view value, struct view oid, struct view country)
{
    char normal[IDENTIFIER_CHARS_MAX + 1];
    const char *why = NULL;
    bool sure = false, usable = false;
    value = text_trim(value);
    type = text_trim(type);
    if (value.count == 0 || is_placeholder(value)) {
        return;
    }
    const char *wide = type_of(r, type, oid, &sure);
    struct view kept_type = type, kept_value = value;
    if (wide != NULL && !identifier_is_person_wide(wide)) {
        kept_type = text_view(wide); /* the code map names a local type */
    } else if (wide != NULL) {
        enum status st = identifier_normalise(wide, value, country, r->o->today, normal, &why);
        if (st != STATUS_OK && strcmp(wide, "RI") == 0 &&
            identifier_normalise("RP", value, country, r->o->today, normal, NULL) ==
                STATUS_OK) {
            wide = "RP"; /* residence permits are sent under the type of cards */
            st = STATUS_OK;
        }
        usable = st == STATUS_OK;
        if (usable) {
            kept_type = text_view(wide);
            kept_value = text_view(normal);
        } else if (sure || strcmp(wide, "RI") != 0 || value.count >= 15) {
            char line[160];
            snprintf(line, sizeof line, "the identifier of type %s %s; not published under it",
                     wide, why);
            run_warn(r, at, line, text_view(""));
        }
    }
    for (size_t i = 0; i < d->report->patient->n_identifiers; i++) {
        const Hr__Identifier *old = d->report->patient->identifiers[i];
        if (text_is(kept_type, old->type) && text_is(kept_value, old->value)) {
            return;
        }
    }
    size_t index = d->report->patient->n_identifiers;
    if (report_add_identifier(r->arena, d->report, report_text(r->arena, kept_type),
                              report_text(r->arena, kept_value)) == NULL) {
        run_warn(r, at, "more identifiers than a report may carry; the rest is left out",
                 text_view(""));
        return;
    }
    d->usable[index] = usable;
}

const char *
sex_word(struct view v)
{
    static const struct {
        const char *word, *sex;
    } words[] = {{"M", "M"},     {"F", "F"},    {"O", "O"},      {"U", "U"},
                 {"A", "O"},     {"N", "U"},    {"1", "M"},      {"2", "F"},
                 {"0", "U"},     {"9", "U"},    {"男", "M"},     {"女", "F"},
                 {"男性", "M"},  {"女性", "F"}, {"Male", "M"},   {"Female", "F"},
                 {"未知", "U"},  {"不详", "U"}, {"未说明", "U"}, {"Unknown", "U"},
                 {"Other", "O"}, {"UNK", "U"}};
    v = text_trim(v);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (text_is_nocase(v, words[i].word)) {
            return words[i].sex;
        }
    }
    return v.count == 0 ? "" : "U";
}

char *
birth_date(struct run *r, struct place at, struct view v)
{
    struct civil c;
    char text[CIVIL_CHARS_MAX];
    v = text_trim(v);
    if (v.count == 0 || is_placeholder(v)) {
        return report_text(r->arena, text_view(""));
    }
    if (civil_parse(v, &c) != STATUS_OK || c.year < 1850 ||
        civil_days(c.year, c.month, c.day) > r->o->today) {
        run_warn(r, at, "is no birth date; left out", text_view(""));
        return report_text(r->arena, text_view(""));
    }
    c.precision = c.precision > CIVIL_DAY ? CIVIL_DAY : c.precision;
    civil_format(&c, text);
    return report_text(r->arena, text_view(text));
}

static bool
is_chinese(uint32_t p)
{
    return (p >= 0x3400 && p <= 0x9FFF) || (p >= 0xF900 && p <= 0xFAFF) ||
           (p >= 0x20000 && p <= 0x3FFFF) || p == 0xB7;
}

char *
tidy_name(struct run *r, struct view v)
{
    v = text_trim(v);
    char *name = report_text(r->arena, v);
    struct view copy = text_view(name);
    size_t n = 0;
    bool chinese = false; /* the last letter kept */
    for (size_t at = 0; at < copy.count;) {
        uint32_t p = 0, next = 0;
        size_t length = text_next(copy, at, &p), look = at + length;
        bool blank = p == ' ' || p == 0x3000 || p == '\t' || p == '\n' || p == 0xA0;
        if (blank) {
            while (look < copy.count) {
                size_t k = text_next(copy, look, &next);
                if (next != ' ' && next != 0x3000 && next != '\t' && next != '\n' &&
                    next != 0xA0) {
                    break;
                }
                look += k;
            }
            at = look;
            if (look < copy.count && !(chinese && is_chinese(next))) {
                name[n++] = ' ';
            }
            continue;
        }
        chinese = is_chinese(p);
        memmove(name + n, name + at, length);
        n += length;
        at += length;
    }
    if (n < copy.count) {
        name[n] = '\0'; /* never the shared empty text: that has no bytes to drop */
    }
    return name;
}

char *
time_text(struct run *r, struct place at, struct view v, int32_t offset_min)
{
    struct civil c;
    char text[CIVIL_CHARS_MAX];
    v = text_trim(v);
    if (v.count == 0 || is_placeholder(v)) {
        return report_text(r->arena, text_view(""));
    }
    if (civil_parse(v, &c) != STATUS_OK || c.year < 1900) {
        run_warn(r, at, "is no time; left out", v.count < 40 ? v : text_view(""));
        return report_text(r->arena, text_view(""));
    }
    if (c.precision >= CIVIL_HOUR && !c.has_offset) {
        c.has_offset = true;
        c.offset_min = offset_min;
    }
    civil_format(&c, text);
    return report_text(r->arena, text_view(text));
}
