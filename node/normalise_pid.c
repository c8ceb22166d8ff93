/* PID -> patient (INTERFACES.md 1.9; DESIGN.md section 5). */
#include <string.h>

#include "node/normalise_hl7.h"
#include "proto/text.h"

static void
read_cx_field(struct message *m, struct draft *d, const struct hl7_segment *pid, uint32_t n,
              const char *default_type)
{
    struct view rest = hl7_field(&m->d, pid, n), rep;
    bool started = false;
    while (rest.count > 0 && hl7_next_piece(&rest, m->d.repetition, &started, &rep)) {
        const struct hl7_delimiters *e = &m->d;
        struct view value = text_trim(hl7_component(e, rep, 1));
        struct view type = text_trim(hl7_component(e, rep, 5));
        struct view assigner = hl7_component(e, rep, 4);
        struct view oid = text_trim(hl7_piece(assigner, e->subcomponent, 2));
        struct view country =
            text_trim(hl7_piece(hl7_component(e, rep, 9), e->subcomponent, 1));
        char name[IDENTIFIER_CHARS_MAX + 1];
        if (value.count == 0 || hl7_is_null(value)) {
            continue;
        }
        if (oid.count == 0) {
            oid = text_trim(hl7_piece(assigner, e->subcomponent, 1));
        }
        if (country.count == 0) { /* the authority may be the country itself */
            country = oid.count <= 3 ? oid : (struct view){oid.bytes, 0};
        }
        if (type.count == 0) {
            type = text_view(default_type);
        }
        size_t length = text_show(type, name, sizeof name);
        char *plain = message_text(m, value); /* escapes undone */
        draft_identifier(m->run, d, message_place(pid, n),
                         (struct view){(const uint8_t *)name, length}, text_view(plain), oid,
                         country);
    }
}

/* PID-19 is an old place of national numbers: a card there is a card. */
static void
read_national_number(struct message *m, struct draft *d, const struct hl7_segment *pid)
{
    struct view value = hl7_value(&m->d, pid, 19, 1);
    if (value.count > 0) {
        bool like_card = value.count >= 15 && value.count <= 20;
        draft_identifier(m->run, d, message_place(pid, 19), text_view(like_card ? "NI" : "SS"),
                         text_view(message_text(m, value)), text_view(""), text_view(""));
    }
}

bool
name_is_chinese(struct view v)
{
    uint32_t p;
    for (size_t at = 0; at < v.count;) {
        size_t n = text_next(v, at, &p);
        if (n == 0) {
            return false;
        }
        if ((p >= 0x3400 && p <= 0x9FFF) || (p >= 0x20000 && p <= 0x3FFFF) ||
            (p >= 0xAC00 && p <= 0xD7A3) || (p >= 0x3040 && p <= 0x30FF)) {
            return true;
        }
        at += n;
    }
    return false;
}

/* Chinese: family and given name together; others: given, middle, family. */
static char *
name_of(struct message *m, struct view rep)
{
    struct report_arena *a = m->run->arena;
    struct view family = hl7_piece(hl7_component(&m->d, rep, 1), m->d.subcomponent, 1);
    struct view given = hl7_component(&m->d, rep, 2), middle = hl7_component(&m->d, rep, 3);
    char *f = tidy_name(m->run, text_view(message_text(m, family)));
    char *g = tidy_name(m->run, text_view(message_text(m, given)));
    if (name_is_chinese(text_view(f)) || name_is_chinese(text_view(g))) {
        return report_join(a, f, "", g);
    }
    g = report_join(a, g, " ", message_text(m, middle));
    return report_join(a, g, " ", f);
}

static char *
patient_name(struct message *m, const struct hl7_segment *pid)
{
    struct view rest = hl7_field(&m->d, pid, 5), rep, best = {rest.bytes, 0};
    bool started = false, found = false, best_chinese = false;
    while (rest.count > 0 && hl7_next_piece(&rest, m->d.repetition, &started, &rep)) {
        struct view family = hl7_component(&m->d, rep, 1), given = hl7_component(&m->d, rep, 2);
        bool chinese = name_is_chinese(family) || name_is_chinese(given) ||
                       text_is(text_trim(hl7_component(&m->d, rep, 8)), "I");
        bool empty = text_trim(family).count == 0 && text_trim(given).count == 0;
        if (!empty && !hl7_is_null(text_trim(family)) &&
            (!found || (chinese && !best_chinese))) {
            best = rep;
            best_chinese = chinese;
            found = true;
        }
    }
    /* Zhang^San^^...: some put the Chinese name behind in the same repetition. */
    return found ? name_of(m, best) : message_text(m, best);
}

void
message_patient(struct message *m, struct draft *d, const struct hl7_segment *pid)
{
    if (pid == NULL) {
        run_warn(m->run, (struct place){"PID", 0, 0}, "there is none", text_view(""));
        return;
    }
    Hr__Patient *p = d->report->patient;
    read_cx_field(m, d, pid, 3, "");
    read_cx_field(m, d, pid, 2, "PT");
    read_cx_field(m, d, pid, 4, "PI");
    read_cx_field(m, d, pid, 18, "AN");
    read_national_number(m, d, pid);
    p->name = patient_name(m, pid);
    p->sex =
        report_text(m->run->arena, text_view(sex_word(text_view(message_value(m, pid, 8, 1)))));
    p->birth_date = birth_date(m->run, message_place(pid, 7), hl7_value(&m->d, pid, 7, 1));
}
