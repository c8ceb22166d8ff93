/* HL7 v2 files: batches, character sets, headers (INTERFACES.md 1.2 to 1.8). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/normalise_hl7.h"
#include "proto/civil.h"
#include "proto/text.h"

char *
message_text(struct message *m, struct view leaf)
{
    struct hl7_unescape_notes notes = {0};
    leaf = text_trim(leaf);
    if (leaf.count == 0 || hl7_is_null(leaf)) {
        return report_text(m->run->arena, text_view(""));
    }
    size_t n = hl7_unescape(&m->d, m->charset, leaf, m->scratch, &notes);
    if (notes.unknown) {
        run_warn(m->run, (struct place){0}, "an unknown escape sequence was kept as text",
                 text_view(""));
    }
    if (notes.switched) {
        run_warn(m->run, (struct place){0}, "a switch of the character set was dropped",
                 text_view(""));
    }
    return report_text(m->run->arena, text_trim((struct view){m->scratch, n}));
}

char *
message_value(struct message *m, const struct hl7_segment *s, uint32_t n, uint32_t c)
{
    return message_text(m, hl7_value(&m->d, s, n, c));
}

struct place
message_place(const struct hl7_segment *s, uint32_t field)
{
    return (struct place){s->name, s->number, field};
}

/* Count a segment among those of its name. */
struct name_count {
    char name[4];
    uint32_t count;
};

static enum status
collect_segments(struct message *m, struct view text, const char **why)
{
    struct hl7_cursor c;
    struct hl7_segment s;
    struct name_count seen[64];
    size_t names = 0;
    hl7_begin(&c, text, &m->d);
    while (hl7_next_segment(&c, &s)) {
        if (m->count == HL7_SEGMENTS_MAX) {
            *why = "has more segments than a message may have";
            return STATUS_TOO_BIG;
        }
        if (m->count == m->room) {
            uint32_t room = m->room == 0 ? 128 : m->room * 2;
            struct hl7_segment *larger = realloc(m->segments, room * sizeof *larger);
            if (larger == NULL) {
                return STATUS_NO_MEMORY;
            }
            m->segments = larger;
            m->room = room;
        }
        size_t k = 0;
        while (k < names && memcmp(seen[k].name, s.name, 4) != 0) {
            k++;
        }
        if (k == names && names < sizeof seen / sizeof seen[0]) {
            memcpy(seen[names].name, s.name, 4);
            seen[names++].count = 0;
        }
        s.number = k < names ? ++seen[k].count : 0;
        if (s.odd_name) {
            run_warn(m->run, message_place(&s, 0), "a lower-case or indented name was repaired",
                     text_view(""));
        }
        if (s.continued && strcmp(s.name, "OBX") != 0 && strcmp(s.name, "NTE") != 0) {
            run_warn(m->run, message_place(&s, 0), "is followed by lines that are no segments",
                     text_view(""));
        }
        m->segments[m->count++] = s;
    }
    if (c.ran_in) {
        run_warn(m->run, (struct place){"OBX", 0, 0},
                 "a segment ran into the line of another; cut apart", text_view(""));
    }
    m->owner = malloc((m->count + 1) * sizeof *m->owner);
    return m->owner == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

/* What MSH-9 says: NULL = a message of results; else why it is refused. */
static const char *
check_type(struct message *m, char line[200])
{
    const struct hl7_segment *msh = &m->segments[0];
    struct view code = hl7_value(&m->d, msh, 9, 1), event = hl7_value(&m->d, msh, 9, 2);
    struct view structure = hl7_value(&m->d, msh, 9, 3);
    if (code.count == 0) {
        code = hl7_piece(structure, '_', 1);
        event = hl7_piece(structure, '_', 2);
    }
    if (code.count > 3 && code.bytes[3] == '_') { /* ORU_R01 in one piece */
        event = hl7_piece(code, '_', 2);
        code.count = 3;
    }
    if (code.count == 0) {
        return "no message type (MSH-9); the header is cut off or damaged";
    }
    bool oru = text_is_nocase(code, "ORU");
    static const char *const oul[] = {"R21", "R22", "R23", "R24"};
    bool is_oul = text_is_nocase(code, "OUL") && event.count == 0;
    for (size_t i = 0; i < 4; i++) {
        is_oul = is_oul || (text_is_nocase(code, "OUL") && text_is_nocase(event, oul[i]));
    }
    if (oru || is_oul) {
        m->specimen_oriented = is_oul && !text_is_nocase(event, "R24");
        return NULL;
    }
    char shown[40], shown_event[40];
    text_show(code, shown, sizeof shown);
    text_show(event, shown_event, sizeof shown_event);
    snprintf(line, 200, "%s%s%s is no message of results; ORU and OUL^R21 to R24 are", shown,
             shown_event[0] == '\0' ? "" : "^", shown_event);
    return line;
}

/* MSH-11 and MSH-16: training, debugging, calibration and quality control. */
static void
check_processing(struct message *m)
{
    const struct hl7_segment *msh = &m->segments[0];
    struct view id = hl7_value(&m->d, msh, 11, 1), kind = hl7_value(&m->d, msh, 16, 1);
    if (text_is_nocase(id, "T")) {
        m->ignored = "is a training message (MSH-11 T)";
    } else if (text_is_nocase(id, "D")) {
        m->ignored = "is a debugging message (MSH-11 D)";
    } else if (text_is_nocase(id, "Q") || text_is(kind, "2")) {
        m->ignored = "is quality control, not a patient's result";
    } else if (text_is(kind, "1")) {
        m->ignored = "is a calibration, not a patient's result";
    } else if (id.count == 0) {
        run_warn(m->run, (struct place){"MSH", 1, 11}, "no processing id; taken as production",
                 text_view(""));
    } else if (!text_is_nocase(id, "P")) {
        run_warn(m->run, (struct place){"MSH", 1, 11},
                 "an unknown processing id; taken as production",
                 id.count < 8 ? id : text_view(""));
    }
}

/* The zone of times without one: what MSH-7 states (HL7 v2 chapter 2, MSH-7),
 * else the sender's in the code map, else the option. */
static void
set_zone(struct message *m)
{
    struct civil c;
    struct run *r = m->run;
    m->offset_min = r->o->offset_min;
    const char *zone = codemap_field(r->o->map, &r->sender, "MSH-7", text_view(""));
    int32_t minutes = 0;
    if (zone != NULL && civil_parse_offset(text_view(zone), &minutes)) {
        m->offset_min = minutes;
    }
    struct view sent = hl7_value(&m->d, &m->segments[0], 7, 1);
    if (sent.count == 0) {
        run_warn(r, (struct place){"MSH", 1, 7}, "no time of the message", text_view(""));
    } else if (civil_parse(sent, &c) != STATUS_OK) {
        run_warn(r, (struct place){"MSH", 1, 7}, "is no time", text_view(""));
    } else if (c.has_offset) {
        m->offset_min = c.offset_min;
    }
}

static enum status
read_message(struct message *m, struct view text)
{
    struct run *r = m->run;
    const char *why = NULL;
    char line[200];
    if (hl7_read_delimiters(text, &m->d, &why) != STATUS_OK) {
        return run_refuse(r, (struct place){"MSH", 1, 2}, why);
    }
    if (m->d.repaired) {
        run_warn(r, (struct place){"MSH", 1, 2},
                 "damaged delimiters; those of the default set were taken for them",
                 text_view(""));
    }
    enum status st = collect_segments(m, text, &why);
    if (st == STATUS_TOO_BIG) {
        return run_refuse(r, (struct place){0}, why);
    }
    if (st != STATUS_OK) {
        return st;
    }
    if (m->count == 0 || strcmp(m->segments[0].name, "MSH") != 0) {
        return run_refuse(r, (struct place){"MSH", 1, 0}, "cannot be read");
    }
    why = check_type(m, line);
    if (why != NULL) {
        return run_refuse(r, (struct place){"MSH", 1, 9}, why);
    }
    struct view app = hl7_value(&m->d, &m->segments[0], 3, 1);
    struct view facility = hl7_value(&m->d, &m->segments[0], 4, 1);
    r->sender = (struct codemap_sender){{app, facility, {app.bytes, 0}}};
    if (r->o->sender != NULL) {
        r->sender.names[2] = text_view(r->o->sender);
    }
    if (hl7_value(&m->d, &m->segments[0], 10, 1).count == 0) {
        run_warn(r, (struct place){"MSH", 1, 10}, "no control id", text_view(""));
    }
    m->version = hl7_value(&m->d, &m->segments[0], 12, 1);
    if (m->version.count == 0) {
        run_warn(r, (struct place){"MSH", 1, 12}, "no version", text_view(""));
    }
    check_processing(m);
    set_zone(m);
    if ((st = message_group(m)) != STATUS_OK) {
        return st;
    }
    return message_report(m);
}

/* The sender's set of the code map, before anything is decoded. */
static enum charset
preferred_charset(struct run *r, struct view raw)
{
    struct view line = raw;
    for (size_t i = 0; i < line.count; i++) {
        if (line.bytes[i] == '\r' || line.bytes[i] == '\n') {
            line.count = i;
        }
    }
    struct codemap_sender sender = {0};
    if (line.count > 5) {
        char field = (char)line.bytes[3], component = (char)line.bytes[4];
        sender.names[0] = text_trim(hl7_piece(hl7_piece(line, field, 3), component, 1));
        sender.names[1] = text_trim(hl7_piece(hl7_piece(line, field, 4), component, 1));
    }
    if (r->o->sender != NULL) {
        sender.names[2] = text_view(r->o->sender);
    }
    const char *name = codemap_field(r->o->map, &sender, "MSH-18", text_view(""));
    return name == NULL ? CHARSET_NONE : charset_named(text_view(name));
}

static enum status
take_message(struct run *r, struct view raw)
{
    struct message m = {.run = r};
    struct charset_choice choice;
    struct view stated_name;
    size_t count = 0;
    enum status st;
    if (raw.count > HL7_MESSAGE_BYTES_MAX) {
        return run_refuse(r, (struct place){0}, "is larger than a message may be");
    }
    uint8_t *text = malloc(raw.count * 3 + 1);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum charset stated = hl7_stated_charset(raw, &stated_name);
    st = charset_decode(raw, stated, preferred_charset(r, raw), text, &count, &choice);
    if (st != STATUS_OK) {
        st =
            run_refuse(r, (struct place){"MSH", 1, 18},
                       st == STATUS_UNSUPPORTED
                           ? "is UTF-16, which cannot be read"
                           : "is in no known character set: not the stated one, not UTF-8, not "
                             "GB 18030");
        goto cleanup;
    }
    if (choice.warning != NULL) {
        run_warn(r, (struct place){"MSH", 1, 18}, choice.warning, text_view(""));
    }
    if (stated_name.count > 0 && stated == CHARSET_NONE && !charset_is_known(stated_name)) {
        run_warn(r, (struct place){"MSH", 1, 18},
                 "names a character set that is not known here",
                 stated_name.count < 40 ? stated_name : text_view(""));
    }
    struct view decoded = {text, count};
    m.charset = choice.charset;
    m.scratch = malloc(HL7_UNESCAPE_ROOM(decoded));
    st = m.scratch == NULL ? STATUS_NO_MEMORY : read_message(&m, decoded);
cleanup:
    free(m.segments);
    free(m.owner);
    free(m.orders);
    free(m.scratch);
    free(text);
    return st;
}

/* The number in BTS-1 or FTS-1 is wrong: said once, loses nothing. */
static enum status
report_count(struct run *r, const struct hl7_record *record)
{
    char line[120];
    snprintf(line, sizeof line, "states %u %s, %u were found", (unsigned)record->stated,
             strcmp(record->trailer, "BTS") == 0 ? "messages" : "batches",
             (unsigned)record->found);
    struct problem p = {.kind = PROBLEM_WARNING,
                        .file = r->file,
                        .record = 0,
                        .segment_number = 0,
                        .field = 1,
                        .reason = line};
    memcpy(p.segment, record->trailer, 4);
    r->counts->warnings++;
    return r->handler->problem(r->handler->user, &p);
}

enum status
normalise_hl7(struct run *r, struct view file)
{
    struct hl7_batch batch;
    struct hl7_record record;
    enum status st = STATUS_OK;
    hl7_batch_begin(&batch, file);
    while (st == STATUS_OK && hl7_batch_next(&batch, &record)) {
        r->record = record.number;
        r->raw = record.raw;
        r->warning_count = 0;
        r->warnings_cut = 0;
        switch (record.kind) {
        case HL7_RECORD_MESSAGE:
            r->counts->records++;
            st = take_message(r, record.raw);
            break;
        case HL7_RECORD_JUNK:
            r->counts->records++;
            st = run_refuse(r, (struct place){"MSH", 0, 0},
                            record.number == 0 ? "text before any message: there is no MSH"
                                               : "text after a message that belongs to none");
            break;
        case HL7_RECORD_COUNT:
            st = report_count(r, &record);
            break;
        }
        report_arena_reset(r->arena);
    }
    return st;
}
