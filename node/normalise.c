#include "node/normalise.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/normalise_parts.h"
#include "proto/text.h"

void
problem_describe(const struct problem *p, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
    if (p->record > 0) {
        n = (size_t)snprintf(out, cap, "record %u: ", (unsigned)p->record);
    }
    if (p->segment[0] != '\0' && n < cap) {
        n += (size_t)snprintf(out + n, cap - n, "%s", p->segment);
        if (p->segment_number > 0 && n < cap) {
            n += (size_t)snprintf(out + n, cap - n, " %u", (unsigned)p->segment_number);
        }
        if (p->field > 0 && n < cap) {
            n += (size_t)snprintf(out + n, cap - n, " field %u", (unsigned)p->field);
        }
        if (n < cap) {
            n += (size_t)snprintf(out + n, cap - n, ": ");
        }
    } else if (p->field > 0 && n < cap) {
        n += (size_t)snprintf(out + n, cap - n, "column %u: ", (unsigned)p->field);
    }
    if (n < cap) {
        snprintf(out + n, cap - n, "%s", p->reason);
    }
}

const char *
normalise_action_text(enum normalise_action action)
{
    static const char *const texts[] = {"publish", "withdraw", "hold", "ignore"};
    return texts[action];
}

static struct problem
make_problem(const struct run *r, enum problem_kind kind, struct place at, const char *reason)
{
    struct problem p = {.kind = kind,
                        .file = r->file,
                        .record = r->record,
                        .segment_number = at.number,
                        .field = at.field,
                        .reason = reason};
    if (at.segment != NULL) {
        snprintf(p.segment, sizeof p.segment, "%s", at.segment);
    }
    return p;
}

void
run_warn(struct run *r, struct place at, const char *reason, struct view about)
{
    char line[400], shown[200];
    if (r->warning_count == REPORT_WARNINGS_MAX) {
        r->warnings_cut++;
        return;
    }
    text_show(about, shown, sizeof shown);
    snprintf(line, sizeof line, "%s%s%s", reason, shown[0] == '\0' ? "" : ": ", shown);
    r->warnings[r->warning_count++] =
        make_problem(r, PROBLEM_WARNING, at, report_text(r->arena, text_view(line)));
}

enum status
run_refuse(struct run *r, struct place at, const char *reason)
{
    struct problem p = make_problem(r, PROBLEM_REFUSED, at, reason);
    p.raw = r->raw;
    r->counts->refused++;
    return r->handler->problem(r->handler->user, &p);
}

/* ---- finishing a report ---- */

struct tally {
    size_t final, preliminary, corrected, cancelled, error, registered, unknown, all;
};

static struct tally
count_items(const Hr__Report *report)
{
    struct tally t = {0};
    t.all = report->n_items;
    for (size_t i = 0; i < report->n_items; i++) {
        const char *s = report->items[i]->status;
        t.final += strcmp(s, "final") == 0;
        t.preliminary += strcmp(s, "preliminary") == 0;
        t.corrected += strcmp(s, "corrected") == 0 || strcmp(s, "amended") == 0;
        t.cancelled += strcmp(s, "cancelled") == 0;
        t.error += strcmp(s, "entered-in-error") == 0;
        t.registered += strcmp(s, "registered") == 0;
        t.unknown += strcmp(s, "unknown") == 0;
    }
    return t;
}

/* OBR-25 (table 0123), or what the items say when it is empty. */
static const char *
status_of_order(char letter, const struct tally *t)
{
    switch (letter) {
    case 'F':
        return "final";
    case 'C':
    case 'M':
        return "corrected";
    case 'P':
    case 'A':
    case 'R':
    case 'N':
        return "preliminary";
    case 'O':
    case 'I':
    case 'S':
        return "registered";
    case 'X':
        return "cancelled";
    default:
        break;
    }
    if (t->all == 0) {
        return "unknown";
    }
    return t->corrected > 0                     ? "corrected"
           : t->preliminary > 0                 ? "preliminary"
           : t->cancelled == t->all             ? "cancelled"
           : t->registered == t->all            ? "registered"
           : t->unknown > 0                     ? "unknown"
           : t->error > 0 && t->error == t->all ? "entered-in-error"
           : t->registered > 0                  ? "preliminary"
                                                : "final";
}

static void
set_status(struct run *r, struct draft *d)
{
    static char words[][20] = {"final",     "corrected", "preliminary",     "registered",
                               "cancelled", "unknown",   "entered-in-error"};
    struct tally t = count_items(d->report);
    const char *word = status_of_order(d->order_status, &t);
    bool is_final = strcmp(word, "final") == 0;
    if (t.all > 0 && t.error == t.all) {
        word = "entered-in-error";
    } else if (t.all > 0 && t.cancelled + t.error == t.all && t.cancelled > 0) {
        word = "cancelled";
    } else if (is_final && t.preliminary > 0) {
        word = "preliminary";
        run_warn(r, (struct place){"OBR", 0, 25},
                 "the order is final, a result in it is preliminary; taken as preliminary",
                 text_view(""));
    } else if (is_final && t.corrected + t.error > 0) {
        word = "corrected";
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], word) == 0) {
            d->report->status = words[i];
        }
    }
}

static const char *
why_hold(const struct draft *d)
{
    const Hr__Report *report = d->report;
    bool has_identifier = false;
    for (size_t i = 0; i < report->patient->n_identifiers; i++) {
        has_identifier = has_identifier || d->usable[i];
    }
    if (d->unverified) {
        return "a result is not verified yet (status R)";
    }
    if (strcmp(report->status, "registered") == 0) {
        return "there is no result yet";
    }
    if (strcmp(report->status, "unknown") == 0) {
        return "no status is stated; if this sender sends only final results, say so in the "
               "code "
               "map (OBX-11)";
    }
    if (!d->values_left) {
        return d->unchanged ? "is now final, but the values are not sent again (status U)"
                            : "holds no result";
    }
    if (!has_identifier) {
        return "has no patient identifier that holds outside this hospital";
    }
    if (report->examined_at[0] == '\0') {
        return "the time of specimen or examination is not stated";
    }
    return NULL;
}

static void
decide_action(const struct draft *d, struct normalised *n)
{
    const char *status = d->report->status;
    n->action = NORMALISE_PUBLISH;
    if (d->ignored != NULL) {
        n->action = NORMALISE_IGNORE;
        n->action_reason = d->ignored;
    } else if (strcmp(status, "entered-in-error") == 0) {
        n->action = NORMALISE_WITHDRAW;
        n->withdraw_reason = d->wrong_patient ? 2 : 1;
        n->action_reason = d->wrong_patient ? "was given to the wrong patient or in error"
                                            : "was entered in error";
    } else if (strcmp(status, "cancelled") == 0) {
        n->action = NORMALISE_WITHDRAW;
        n->withdraw_reason = 3;
        n->action_reason = "was cancelled";
    } else if ((n->action_reason = why_hold(d)) != NULL) {
        n->action = NORMALISE_HOLD;
    }
}

/* One line for all codes without an item. */
static void
warn_unmapped(struct run *r, const Hr__Report *report)
{
    char list[160] = "", line[80];
    size_t count = 0, n = 0;
    for (size_t i = 0; i < report->n_items; i++) {
        const Hr__Item *item = report->items[i];
        if (item->code[0] != '\0') {
            continue;
        }
        const char *code = item->local_code[0] != '\0' ? item->local_code : item->name;
        count++;
        if (count <= 12 && n < sizeof list - 1 && code[0] != '\0') {
            int wrote =
                snprintf(list + n, sizeof list - n, "%s%.40s", n == 0 ? "" : ", ", code);
            n += wrote > 0 ? (size_t)wrote : 0;
            n = n >= sizeof list ? sizeof list - 1 : n;
        }
    }
    if (count > 0) {
        snprintf(line, sizeof line, "%zu of %zu codes have no item in code map or catalog",
                 count, report->n_items);
        run_warn(r, (struct place){0}, line, text_view(list));
    }
}

enum status
run_finish(struct run *r, struct draft *d)
{
    Hr__Report *report = d->report;
    report->institution =
        report_text(r->arena, text_view(r->o->institution == NULL ? "" : r->o->institution));
    claims_take(r->arena, report);
    set_status(r, d);
    for (size_t i = 0; i < report->n_items; i++) {
        Hr__Item *item = report->items[i];
        if (item->examined_at[0] == '\0') {
            item->examined_at = report->examined_at;
        }
        d->values_left = d->values_left || item->value[0] != '\0';
    }
    d->values_left =
        d->values_left || report->findings[0] != '\0' || report->impression[0] != '\0';
    warn_unmapped(r, report);
    if (report_arena_failed(r->arena)) {
        return STATUS_NO_MEMORY;
    }
    size_t bytes = hr__report__get_packed_size(report);
    if (bytes > REPORT_BYTES_MAX) {
        return run_refuse(r, (struct place){0}, "the report is larger than a report may be");
    }
    struct normalised n = {
        .report = report, .file = r->file, .record = r->record, .raw = r->raw};
    memcpy(n.usable, d->usable, sizeof n.usable);
    decide_action(d, &n);
    n.warnings = r->warnings;
    n.warning_count = r->warning_count;
    r->counts->reports++;
    r->counts->ignored += n.action == NORMALISE_IGNORE;
    if (n.action == NORMALISE_IGNORE && r->ignored_record != r->record) {
        r->ignored_record = r->record; /* said once for all its reports */
        struct problem p = make_problem(r, PROBLEM_IGNORED, (struct place){0}, n.action_reason);
        enum status st = r->handler->problem(r->handler->user, &p);
        if (st != STATUS_OK) {
            return st;
        }
    }
    return r->handler->report(r->handler->user, &n);
}

/* ---- which form a file has ---- */

static const char *
wrong_form(struct view v)
{
    size_t zeros = 0, look = v.count < 4096 ? v.count : 4096;
    if (v.count >= 2 && ((v.bytes[0] == 0xFF && v.bytes[1] == 0xFE) ||
                         (v.bytes[0] == 0xFE && v.bytes[1] == 0xFF))) {
        return "is UTF-16; save it as UTF-8 and import it again";
    }
    for (size_t i = 0; i < look; i++) {
        zeros += v.bytes[i] == 0;
    }
    if (zeros > look / 4) {
        return "is UTF-16 or no text; import reads HL7 v2 and CSV";
    }
    if (text_begins(v, "PK\x03\x04")) {
        return "is a spreadsheet or archive; save the sheet as CSV and import that";
    }
    struct view text = text_trim(v);
    if (text.count > 0 &&
        (text.bytes[0] == '{' || text.bytes[0] == '<' ||
         (text.bytes[0] == '[' && text.count > 1 &&
          text_trim((struct view){text.bytes + 1, text.count - 1}).bytes[0] == '{'))) {
        return text.bytes[0] == '<' ? "is XML; import reads HL7 v2 and CSV"
                                    : "is JSON; import reads HL7 v2 and CSV";
    }
    return NULL;
}

enum status
normalise_bytes(const struct normalise_options *o, const char *name, struct view bytes,
                const struct normalise_handler *handler, struct normalise_counts *counts)
{
    *counts = (struct normalise_counts){0};
    struct run *r = calloc(1, sizeof *r);
    if (r == NULL || (r->arena = report_arena_new(NORMALISE_BYTES_MAX)) == NULL) {
        free(r);
        return STATUS_NO_MEMORY;
    }
    r->o = o;
    r->file = name;
    r->handler = handler;
    r->counts = counts;
    r->raw = bytes;
    enum status st;
    const char *why = NULL;
    if (bytes.count > IMPORT_FILE_BYTES_MAX) {
        why = "is larger than a file may be";
    } else if (text_trim(bytes).count == 0) {
        why = "is empty";
    } else {
        why = wrong_form(bytes);
    }
    if (why != NULL) {
        st = run_refuse(r, (struct place){0}, why);
    } else if (hl7_is_likely(bytes)) {
        st = normalise_hl7(r, bytes);
    } else {
        st = normalise_csv(r, bytes);
    }
    if (st == STATUS_OK && counts->records + counts->refused + counts->warnings == 0) {
        st = run_refuse(r, (struct place){0}, "holds no message and no row");
    }
    report_arena_free(r->arena);
    free(r);
    return st;
}
