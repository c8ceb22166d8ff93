/* Orders -> reports: patient, numbers, kind, texts (INTERFACES.md 1.5, 1.9, 2, 4). */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/normalise_hl7.h"
#include "proto/text.h"

static const struct hl7_segment *
segment(const struct message *m, uint32_t i)
{
    return i == NO_SEGMENT ? NULL : &m->segments[i];
}

/* ---- numbers and people of an order ---- */

/* XCN (id^family^given) or, for OBR-32 and its kin, NDL with it in component 1;
 * often plain text. */
static char *
person(struct message *m, const struct hl7_segment *s, uint32_t n, bool in_first)
{
    struct view rep = hl7_piece(hl7_field(&m->d, s, n), m->d.repetition, 1);
    struct report_arena *a = m->run->arena;
    char separator = in_first ? m->d.subcomponent : m->d.component;
    struct view whole = in_first ? hl7_component(&m->d, rep, 1) : rep;
    if (in_first && memchr(whole.bytes, separator, whole.count) == NULL) {
        struct view second = text_trim(hl7_component(&m->d, rep, 2));
        uint32_t digit;
        if (second.count > 0 && !text_to_u32((struct view){second.bytes, 1}, &digit)) {
            whole = rep; /* written as XCN all the same */
            separator = m->d.component;
        }
    }
    struct view id = hl7_piece(whole, separator, 1);
    char *family =
        tidy_name(m->run, text_view(message_text(m, hl7_piece(whole, separator, 2))));
    char *given = tidy_name(m->run, text_view(message_text(m, hl7_piece(whole, separator, 3))));
    if (family[0] == '\0' && given[0] == '\0') {
        return tidy_name(m->run, text_view(message_text(m, id)));
    }
    bool chinese = name_is_chinese(text_view(family)) || name_is_chinese(text_view(given));
    return chinese ? report_join(a, family, "", given) : report_join(a, given, " ", family);
}

static bool
owns(const struct message *m, const struct order *o, uint32_t i)
{
    return m->owner[i] == (uint32_t)(o - m->orders);
}

/* Same content, same number: sender, service and results, but nothing that names
 * the patient (node/README.md). */
static char *
number_from_content(struct message *m, const struct order *o)
{
    crypto_generichash_state state;
    uint8_t hash[8];
    char text[32] = "auto-";
    struct view parts[3] = {m->run->sender.names[0], m->run->sender.names[1],
                            o->obr == NO_SEGMENT ? (struct view){m->scratch, 0}
                                                 : segment(m, o->obr)->text};
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    for (size_t i = 0; i < 3; i++) {
        crypto_generichash_update(&state, parts[i].bytes, parts[i].count);
        crypto_generichash_update(&state, (const uint8_t *)"|", 1);
    }
    for (uint32_t i = o->first; i <= o->last && i < m->count; i++) {
        if (owns(m, o, i)) {
            crypto_generichash_update(&state, m->segments[i].text.bytes,
                                      m->segments[i].text.count);
        }
    }
    crypto_generichash_final(&state, hash, sizeof hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        snprintf(text + 5 + 2 * i, 3, "%02x", hash[i]);
    }
    return report_text(m->run->arena, text_view(text));
}

static char *
report_number(struct message *m, const struct order *o)
{
    const struct hl7_segment *obr = segment(m, o->obr), *orc = segment(m, o->orc);
    const struct hl7_segment *spm = segment(m, o->spm);
    char *id = NULL;
    const char *from = "the content";
    if (obr != NULL && (id = message_value(m, obr, 3, 1))[0] != '\0') {
        return id;
    }
    if (orc != NULL && (id = message_value(m, orc, 3, 1))[0] != '\0') {
        from = "ORC-3";
    } else if (obr != NULL && (id = message_value(m, obr, 2, 1))[0] != '\0') {
        from = "OBR-2";
    } else if (orc != NULL && (id = message_value(m, orc, 2, 1))[0] != '\0') {
        from = "ORC-2";
    } else if (spm != NULL) {
        struct view pair = hl7_piece(hl7_field(&m->d, spm, 2), m->d.repetition, 1);
        struct view filler = hl7_piece(hl7_component(&m->d, pair, 2), m->d.subcomponent, 1);
        struct view placer = hl7_piece(hl7_component(&m->d, pair, 1), m->d.subcomponent, 1);
        id = message_text(m, text_trim(filler).count > 0 ? filler : placer);
        from = "SPM-2";
    }
    if (id == NULL || id[0] == '\0') {
        id = number_from_content(m, o);
        from = "the content";
    }
    run_warn(m->run, (struct place){"OBR", obr == NULL ? 0 : obr->number, 3},
             "no report number; taken from", text_view(from));
    return id;
}

/* ---- what kind of report ---- */

struct service {
    struct view field, code, system, name, other_code, other_system;
};

static struct service
read_service(struct message *m, const struct hl7_segment *obr)
{
    const struct hl7_delimiters *e = &m->d;
    struct service s = {.field = {m->scratch, 0}};
    s.code = s.system = s.name = s.other_code = s.other_system = s.field;
    if (obr == NULL) {
        return s;
    }
    s.field = hl7_piece(hl7_field(e, obr, 4), e->repetition, 1);
    struct view next = hl7_piece(hl7_field(e, obr, 5), e->repetition, 1);
    if (text_trim(s.field).count == 0 && memchr(next.bytes, e->component, next.count) != NULL) {
        s.field = next;
        run_warn(m->run, message_place(obr, 5), "holds the service of OBR-4", text_view(""));
    }
    s.code = text_trim(hl7_component(e, s.field, 1));
    s.name = text_trim(hl7_component(e, s.field, 2));
    s.system = text_trim(hl7_component(e, s.field, 3));
    s.other_code = text_trim(hl7_component(e, s.field, 4));
    s.other_system = text_trim(hl7_component(e, s.field, 6));
    if (s.name.count == 0) {
        s.name = text_trim(hl7_component(e, s.field, 5));
    }
    return s;
}

static const struct codemap_item *
service_item(struct message *m, const struct service *s)
{
    struct run *r = m->run;
    struct view no_unit = {m->scratch, 0};
    const struct codemap_item *item =
        codemap_find(r->o->map, &r->sender, s->system, s->code, no_unit);
    if (item == NULL) {
        item = codemap_find(r->o->map, &r->sender, s->other_system, s->other_code, no_unit);
    }
    if (item == NULL && s->code.count == 0) {
        item = codemap_find(r->o->map, &r->sender, s->system, s->name, no_unit);
    }
    return item;
}

/* Kind by the results: a mapped code, words that only one department writes, or
 * the words of the service when there is no number among the results. */
static const char *
kind_of_results(struct message *m, const struct order *o, const struct service *s)
{
    bool number = false, pathology = false;
    const char *mapped = NULL;
    for (uint32_t i = o->first; i <= o->last && i < m->count; i++) {
        struct observation obs;
        if (!owns(m, o, i) || strcmp(m->segments[i].name, "OBX") != 0) {
            continue;
        }
        size_t kept = m->run->warning_count; /* said when the item is made */
        read_observation(m, &m->segments[i], &obs);
        m->run->warning_count = kept;
        const struct codemap_item *item =
            observation_item(m, &obs, (struct view){m->scratch, 0});
        mapped = mapped == NULL && item != NULL ? item->kind : mapped;
        bool is_number = observation_is_number(m, &obs);
        number = number || is_number;
        bool suffixed = text_is(obs.suffix, "IMP") || text_is(obs.suffix, "GDT");
        if (!is_number && (suffixed || text_part_of(obs.code, obs.system, obs.name, true,
                                                    &pathology) != PART_NONE)) {
            return pathology ? "pathology" : "imaging";
        }
    }
    if (mapped != NULL) {
        return mapped;
    }
    return number ? NULL : kind_of_words(s->name);
}

static const char *
kind_of_order(struct message *m, const struct order *o, const struct service *s,
              const struct codemap_item *item)
{
    const struct hl7_segment *obr = segment(m, o->obr), *orc = segment(m, o->orc);
    struct view section = {m->scratch, 0};
    if (item != NULL) {
        return item->kind;
    }
    if (obr != NULL) {
        section = hl7_value(&m->d, obr, 24, 1);
    }
    const char *kind = codemap_field(m->run->o->map, &m->run->sender, "OBR-24", section);
    if (kind == NULL) {
        kind = kind_of_section(section);
    }
    if (kind == NULL) {
        kind = kind_of_results(m, o, s);
    }
    if (kind == NULL && orc != NULL) {
        const char *words = kind_of_words(hl7_value(&m->d, orc, 21, 1));
        kind = words != NULL && strcmp(words, "pathology") == 0 ? words : NULL;
    }
    return kind == NULL ? "laboratory" : kind;
}

/* ---- filling a report ---- */

static void
add_text(struct message *m, char **to, char *more)
{
    *to = report_join(m->run->arena, *to, "\n", more);
}

/* Texts of imaging and pathology go into the report; true when this one did. */
static bool
take_text(struct message *m, struct draft *d, const struct observation *o,
          const struct service *s)
{
    Hr__Report *report = d->report;
    bool pathology = false, doubtful = false;
    if (observation_is_number(m, o)) {
        return false;
    }
    enum text_part part = text_part_of(o->code, o->system, o->name, false, &pathology);
    if (text_is(o->suffix, "IMP")) {
        part = PART_IMPRESSION;
    } else if (text_is(o->suffix, "GDT") || text_is(o->suffix, "ADT")) {
        part = PART_FINDINGS;
    } else if (text_is(o->suffix, "REC")) {
        part = PART_ADVICE;
    }
    bool is_text = text_is(o->type, "TX") || text_is(o->type, "FT") || text_is(o->type, "ST") ||
                   o->type.count == 0;
    if (text_is(o->type, "ED")) {
        run_warn(m->run, (struct place){0}, "an attachment is not carried over", text_view(""));
        return true;
    }
    bool about_service =
        o->code.count == 0 || (o->code.count == s->code.count &&
                               memcmp(o->code.bytes, s->code.bytes, s->code.count) == 0);
    if (part == PART_NONE && (!is_text || !about_service)) {
        return false;
    }
    char *text = observation_value(m, o, "\n", &doubtful);
    switch (part) {
    case PART_STUDY_UID:
        report->study_uid = text;
        break;
    case PART_OTHER_UID:
        break;
    case PART_IMPRESSION:
        add_text(m, &report->impression, text);
        break;
    case PART_ADVICE:
        add_text(m, &report->note, text);
        break;
    case PART_NONE:
        if (text_begins(text_view(text), "IMPRESSION") ||
            text_begins(text_view(text), "CONCLUSION")) {
            add_text(m, &report->impression, text);
            break;
        }
        add_text(m, &report->findings, text);
        break;
    case PART_FINDINGS:
        add_text(m, &report->findings, text);
        break;
    }
    /* The status of a text counts as that of its report. */
    char letter = '\0';
    if (item_status_word(o->status, &letter) != NULL) {
        d->unverified = d->unverified || letter == 'R';
        d->wrong_patient = d->wrong_patient || letter == 'W';
        d->text_status = letter;
    }
    return true;
}

static void
add_service_item(struct message *m, struct draft *d, const struct service *s,
                 const struct codemap_item *found)
{
    Hr__Item *item = report_add_item(m->run->arena, d->report);
    if (item == NULL) {
        return;
    }
    item->local_code = message_text(m, s->code);
    item->local_system = message_text(m, s->system);
    item->name = message_text(m, s->name);
    if (found != NULL) {
        item->code = report_text(m->run->arena, text_view(found->code));
    }
    d->service_item = item;
}

static void
take_note(struct message *m, struct draft *d, const struct hl7_segment *nte, Hr__Item *item)
{
    struct view rest = hl7_field(&m->d, nte, 3), rep;
    bool started = false;
    char **to = item != NULL ? &item->note : &d->report->note;
    while (rest.count > 0 && hl7_next_piece(&rest, m->d.repetition, &started, &rep)) {
        add_text(m, to, message_text(m, rep));
    }
}

static void
take_results(struct message *m, struct draft *d, const struct order *o, const struct service *s)
{
    bool pictures = strcmp(d->report->kind, "laboratory") != 0;
    Hr__Item *last = NULL;
    for (uint32_t i = o->first; i <= o->last && i < m->count; i++) {
        const struct hl7_segment *seg = &m->segments[i];
        struct observation obs;
        if (!owns(m, o, i)) {
            continue;
        }
        if (strcmp(seg->name, "NTE") == 0) {
            take_note(m, d, seg, last);
        } else if (strcmp(seg->name, "OBX") == 0) {
            read_observation(m, seg, &obs);
            if (pictures && take_text(m, d, &obs, s)) {
                last = NULL;
                continue;
            }
            size_t before = d->report->n_items;
            add_result(m, d, seg, &obs);
            last = d->report->n_items > before ? d->report->items[before] : NULL;
            char *observer = person(m, seg, 16, false);
            if (d->report->author[0] == '\0' && !pictures) {
                d->report->author = observer;
            }
        }
    }
}

static struct view
first_filled(struct view a, struct view b)
{
    return a.count > 0 ? a : b;
}

static void
read_times(struct message *m, struct draft *d, const struct order *o)
{
    const struct hl7_segment *obr = segment(m, o->obr), *spm = segment(m, o->spm);
    Hr__Report *report = d->report;
    if (obr != NULL) {
        static const uint32_t places[] = {7, 8, 14};
        for (size_t i = 0; i < 3 && report->examined_at[0] == '\0'; i++) {
            if (i == 1 && spm != NULL) { /* the specimen's own time goes before OBR-8 */
                report->examined_at = time_text(m->run, message_place(spm, 17),
                                                hl7_value(&m->d, spm, 17, 1), m->offset_min);
                if (report->examined_at[0] != '\0') {
                    break;
                }
            }
            report->examined_at = time_text(m->run, message_place(obr, places[i]),
                                            hl7_value(&m->d, obr, places[i], 1), m->offset_min);
        }
        if (report->reported_at[0] == '\0') {
            report->reported_at = time_text(m->run, message_place(obr, 22),
                                            hl7_value(&m->d, obr, 22, 1), m->offset_min);
        }
    }
}

static void
read_header(struct message *m, struct draft *d, const struct order *o, const struct service *s)
{
    const struct hl7_segment *obr = segment(m, o->obr), *orc = segment(m, o->orc);
    const struct hl7_segment *spm = segment(m, o->spm), *msh = &m->segments[0];
    Hr__Report *report = d->report;
    report->sending_application =
        message_text(m, first_filled(hl7_value(&m->d, msh, 3, 1), hl7_value(&m->d, msh, 4, 1)));
    report->service = message_text(m, first_filled(s->name, s->code));
    if (spm != NULL) {
        report->specimen = message_text(
            m, first_filled(hl7_value(&m->d, spm, 4, 2), hl7_value(&m->d, spm, 4, 1)));
    }
    if (obr == NULL) {
        return;
    }
    if (report->specimen[0] == '\0') {
        struct view source = hl7_value(&m->d, obr, 15, 1);
        struct view words = text_trim(hl7_piece(source, m->d.subcomponent, 2));
        report->specimen =
            message_text(m, first_filled(words, hl7_piece(source, m->d.subcomponent, 1)));
    }
    report->placer_id = message_value(m, obr, 2, 1);
    if (report->placer_id[0] == '\0' && orc != NULL) {
        report->placer_id = message_value(m, orc, 2, 1);
    }
    report->orderer = person(m, obr, 16, false);
    report->department = message_value(m, obr, 34, 4);
    char *principal = person(m, obr, 32, true), *assistant = person(m, obr, 33, true);
    report->author = assistant[0] != '\0' ? assistant : principal;
    report->reviewer = assistant[0] != '\0' ? principal : report->reviewer;
    if (strcmp(report->kind, "imaging") == 0) {
        report->accession = message_value(m, obr, 18, 1);
    }
    struct view status = hl7_value(&m->d, obr, 25, 1);
    if (status.count == 1) {
        char c = (char)status.bytes[0];
        d->order_status = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    if (status.count > 0 &&
        strchr("FCMPARNOISX", status.count == 1 ? d->order_status : '?') == NULL) {
        run_warn(m->run, message_place(obr, 25), "an unknown status of the order",
                 status.count < 20 ? status : text_view(""));
        d->order_status = '\0';
    }
    d->unverified = d->unverified || d->order_status == 'R';
}

/* Findings often stand in OBR-13 as well. */
static void
finish_texts(struct message *m, struct draft *d, const struct order *o)
{
    const struct hl7_segment *obr = segment(m, o->obr);
    Hr__Report *report = d->report;
    if (strcmp(report->kind, "laboratory") != 0 && obr != NULL && report->findings[0] == '\0') {
        report->findings = message_value(m, obr, 13, 1);
    }
}

static void
fill(struct message *m, struct draft *d, const struct order *o, const struct service *s,
     const struct codemap_item *item)
{
    bool pictures = strcmp(d->report->kind, "laboratory") != 0;
    if (pictures) {
        add_service_item(m, d, s, item);
    }
    take_results(m, d, o, s);
    finish_texts(m, d, o);
    /* The service has the status of its order, or of its texts. */
    if (d->service_item != NULL) {
        char letter = d->order_status != '\0' ? d->order_status : d->text_status;
        letter = d->text_status == 'C' || d->text_status == 'W' || d->text_status == 'D'
                     ? d->text_status
                     : letter;
        letter = letter == 'M'                            ? 'C'
                 : letter == 'N'                          ? 'P'
                 : letter == 'A' && d->text_status != 'A' ? 'P'
                                                          : letter;
        const char *word = letter == '\0' ? NULL : item_status(letter);
        const Hr__Item *last = d->report->items[d->report->n_items - 1];
        if (word == NULL && last != d->service_item) {
            word = last->status;
        }
        d->service_item->status =
            report_text(m->run->arena, text_view(word == NULL ? "unknown" : word));
    }
    if (d->report->examined_at[0] == '\0' && d->report->n_items > 0) {
        d->report->examined_at = d->report->items[d->report->n_items - 1]->examined_at;
    }
}

/* The report of this number and patient that an order before made. */
static struct draft *
find_draft(struct draft *drafts, const uint32_t *pids, size_t count, const char *id,
           uint32_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] == pid && strcmp(drafts[i].report->report_id, id) == 0) {
            return &drafts[i];
        }
    }
    return NULL;
}

/* Is the order, or what is said of its patient, confidential?  ORC-28 (table 0177
 * and the letters of HL7 v3; U, N, L, M are the usual care), PD1-12 Y. */
static bool
is_confidential(struct message *m, const struct order *o)
{
    static const char *const usual[] = {"U", "N", "L", "M", "\"\""};
    const struct hl7_segment *orc = segment(m, o->orc);
    struct view code = orc == NULL ? text_view("") : hl7_value(&m->d, orc, 28, 1);
    bool held = code.count > 0;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        held = held && !text_is_nocase(code, usual[i]);
    }
    for (uint32_t i = o->pid == NO_SEGMENT ? m->count : o->pid + 1;
         i < m->count && strcmp(m->segments[i].name, "PID") != 0; i++) {
        held = held || (strcmp(m->segments[i].name, "PD1") == 0 &&
                        text_is_nocase(hl7_value(&m->d, &m->segments[i], 12, 1), "Y"));
    }
    return held;
}

static enum status
build(struct message *m, struct draft *drafts, uint32_t *pids, size_t *count)
{
    for (uint32_t k = 0; k < m->order_count; k++) {
        struct order *o = &m->orders[k];
        size_t kept = m->run->warning_count;
        char *id = report_number(m, o);
        struct draft *d = find_draft(drafts, pids, *count, id, o->pid);
        struct service s = read_service(m, segment(m, o->obr));
        const struct codemap_item *item = service_item(m, &s);
        if (d == NULL) {
            d = &drafts[*count];
            *d = (struct draft){.report = report_new(m->run->arena), .ignored = m->ignored};
            if (d->report == NULL) {
                return STATUS_NO_MEMORY;
            }
            pids[(*count)++] = o->pid;
            d->report->report_id = id;
            d->report->kind =
                report_text(m->run->arena, text_view(kind_of_order(m, o, &s, item)));
            read_header(m, d, o, &s);
            message_patient(m, d, segment(m, o->pid));
        } else {
            m->run->warning_count = kept; /* said for the order before */
            char *service = message_text(m, first_filled(s.name, s.code));
            if (strcmp(service, d->report->service) != 0) {
                d->report->service =
                    report_join(m->run->arena, d->report->service, "; ", service);
            }
            d->service_item = NULL;
        }
        read_times(m, d, o);
        d->report->held = d->report->held || is_confidential(m, o);
        fill(m, d, o, &s, item);
    }
    return STATUS_OK;
}

enum status
message_report(struct message *m)
{
    size_t count = 0;
    if (m->refused) {
        return STATUS_OK;
    }
    if (m->order_count == 0) {
        return run_refuse(m->run, (struct place){"OBR", 0, 0},
                          "there is none, and no result (OBX) either");
    }
    struct draft *drafts = calloc(m->order_count, sizeof *drafts);
    uint32_t *pids = calloc(m->order_count, sizeof *pids);
    enum status st =
        drafts == NULL || pids == NULL ? STATUS_NO_MEMORY : build(m, drafts, pids, &count);
    /* What was said about the message goes with each of its reports. */
    size_t shared = m->run->warning_count;
    m->run->counts->warnings += (uint32_t)shared + m->run->warnings_cut;
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        m->run->warning_count = shared;
        st = run_finish(m->run, &drafts[i]);
        m->run->counts->warnings += (uint32_t)(m->run->warning_count - shared);
    }
    free(drafts);
    free(pids);
    return st;
}
