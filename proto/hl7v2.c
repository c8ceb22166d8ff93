#include "proto/hl7v2.h"

#include <assert.h>
#include <string.h>

#include "proto/text.h"

static bool
is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool
is_alnum(uint8_t c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_line_end(uint8_t c)
{
    return c == '\r' || c == '\n';
}

/* Blanks, MLLP bytes and a BOM before a segment name. */
static struct view
skip_lead(struct view v)
{
    for (;;) {
        if (v.count >= 3 && memcmp(v.bytes, "\xEF\xBB\xBF", 3) == 0) {
            v.bytes += 3;
            v.count -= 3;
        } else if (v.count > 0 && (v.bytes[0] == ' ' || v.bytes[0] == '\t' ||
                                   v.bytes[0] == 0x0B || v.bytes[0] == 0x1C)) {
            v.bytes++;
            v.count--;
        } else {
            return v;
        }
    }
}

bool
hl7_is_header(struct view line)
{
    line = skip_lead(line);
    return line.count >= 5 && text_is_nocase((struct view){line.bytes, 3}, "MSH") &&
           line.bytes[3] > ' ' && line.bytes[3] < 0x7F && !is_alnum(line.bytes[3]) &&
           line.bytes[4] > ' ' && line.bytes[4] < 0x7F && !is_alnum(line.bytes[4]);
}

static bool
usable(const struct hl7_delimiters *d, char c)
{
    return c > ' ' && c < 0x7F && !is_alnum((uint8_t)c) && c != d->field && c != d->component &&
           c != d->repetition && c != d->escape && c != d->subcomponent;
}

enum status
hl7_read_delimiters(struct view message, struct hl7_delimiters *d, const char **why)
{
    static const char standard[] = "^~\\&";
    struct view v = skip_lead(message);
    char found[5] = {0};
    *d = (struct hl7_delimiters){0};
    if (!hl7_is_header(v)) {
        *why = "does not begin with MSH and its delimiters";
        return STATUS_MALFORMED;
    }
    d->field = (char)v.bytes[3];
    size_t n = 0;
    for (size_t at = 4; at < v.count && n < sizeof found; at++, n++) {
        if (v.bytes[at] == (uint8_t)d->field || is_line_end(v.bytes[at])) {
            break;
        }
        found[n] = (char)v.bytes[at];
    }
    char *const slots[] = {&d->component, &d->repetition, &d->escape, &d->subcomponent};
    bool good[4] = {false};
    for (size_t i = 0; i < 4; i++) {
        good[i] = i < n && usable(d, found[i]);
        if (good[i]) {
            *slots[i] = found[i];
        }
    }
    for (size_t i = 0; i < 4; i++) {
        if (!good[i]) {
            d->repaired = true;
            if (!usable(d, standard[i])) {
                *why = "has damaged delimiters that cannot be told";
                return STATUS_MALFORMED;
            }
            *slots[i] = standard[i];
        }
    }
    d->truncation = n == 5 && usable(d, found[4]) ? found[4] : '\0';
    return STATUS_OK;
}

void
hl7_begin(struct hl7_cursor *c, struct view message, const struct hl7_delimiters *d)
{
    *c = (struct hl7_cursor){.rest = skip_lead(message), .d = d};
}

/* Names that may be repaired (lower case, leading blanks) or stand alone on a
 * line.  Other names need the separator behind them. */
static bool
is_known_name(const char name[4])
{
    static const char known[] =
        "MSH MSA ERR SFT UAC PID PD1 NTE NK1 PV1 PV2 ORC OBR OBX TQ1 TQ2 "
        "CTD FT1 CTI SPM SAC INV PRT DSC EVN DG1 AL1 IN1 GT1 ADD TXA SID "
        "BHS FHS BTS FTS BLG RXA ARV ACC DB1 ROL";
    for (const char *at = known; *at != '\0'; at += at[3] == '\0' ? 3 : 4) {
        if (memcmp(at, name, 3) == 0) {
            return true;
        }
    }
    return false;
}

static bool
read_name(struct view line, char separator, char name[4], bool *odd)
{
    struct view v = skip_lead(line);
    bool repaired = v.bytes != line.bytes;
    if (v.count < 3) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        uint8_t c = v.bytes[i];
        if (c >= 'a' && c <= 'z') {
            c = (uint8_t)(c - 32);
            repaired = true;
        }
        if (!is_upper(c) && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
        name[i] = (char)c;
    }
    name[3] = '\0';
    *odd = repaired;
    bool separated = v.count > 3 && v.bytes[3] == (uint8_t)separator;
    bool alone = v.count == 3;
    return (separated && (!repaired || is_known_name(name) || name[0] == 'Z')) ||
           (alone && is_known_name(name));
}

static struct view
line_of(struct view v)
{
    size_t n = 0;
    while (n < v.count && !is_line_end(v.bytes[n])) {
        n++;
    }
    return (struct view){v.bytes, n};
}

static struct view
after(struct view v, size_t n)
{
    return (struct view){v.bytes + n, v.count - n};
}

static bool
is_value_type(struct view v)
{
    static const char types[] =
        "NM ST TX FT CE CWE CNE SN DT TM TS DTM ED RP IS ID CX NR DR VR CF NA";
    char name[5] = {0};
    v = text_trim(v);
    if (v.count < 2 || v.count > 3) {
        return false;
    }
    memcpy(name, v.bytes, v.count);
    const char *found = strstr(types, name);
    return found != NULL && (found == types || found[-1] == ' ') &&
           (found[v.count] == ' ' || found[v.count] == '\0');
}

/* Where an OBX begins inside a line of another segment: "...| OBX||TX|FIND^..."
 * The field ends with OBX, a set id or nothing follows, then a value type. */
static size_t
find_run_in(struct view line, char separator)
{
    for (size_t at = 4; at + 6 < line.count; at++) {
        if (memcmp(line.bytes + at, "OBX", 3) != 0 ||
            line.bytes[at + 3] != (uint8_t)separator) {
            continue;
        }
        struct view tail = after(line, at);
        struct view set_id = text_trim(hl7_piece(tail, separator, 2));
        uint32_t number;
        if ((set_id.count == 0 || text_to_u32(set_id, &number)) &&
            is_value_type(hl7_piece(tail, separator, 3)) &&
            hl7_piece(tail, separator, 4).count > 0) {
            return at;
        }
    }
    return 0;
}

static bool
can_hold_run_in(const char *name)
{
    return strcmp(name, "OBR") == 0 || strcmp(name, "OBX") == 0 || strcmp(name, "NTE") == 0 ||
           strcmp(name, "ORC") == 0;
}

bool
hl7_next_segment(struct hl7_cursor *c, struct hl7_segment *s)
{
    bool odd = false;
    *s = (struct hl7_segment){0};
    for (;;) {
        while (c->rest.count > 0 && is_line_end(c->rest.bytes[0])) {
            c->rest = after(c->rest, 1);
        }
        if (c->rest.count == 0) {
            return false;
        }
        if (read_name(line_of(c->rest), c->d->field, s->name, &odd)) {
            break;
        }
        if (text_trim(line_of(c->rest)).count > 0) {
            c->junk_lines++;
        }
        c->rest = after(c->rest, line_of(c->rest).count);
    }
    s->odd_name = odd;
    struct view start = skip_lead(c->rest), line = line_of(start);
    if (can_hold_run_in(s->name)) {
        size_t cut = find_run_in(line, c->d->field);
        if (cut > 0) {
            s->text = (struct view){line.bytes, cut};
            c->rest = after(start, cut);
            c->ran_in = true;
            return true;
        }
    }
    s->text = line;
    struct view rest = after(start, line.count);
    for (;;) { /* lines that are no segments belong to this one */
        while (rest.count > 0 && is_line_end(rest.bytes[0])) {
            rest = after(rest, 1);
        }
        char name[4];
        struct view next = line_of(rest);
        if (rest.count == 0 || read_name(next, c->d->field, name, &odd)) {
            break;
        }
        if (text_trim(next).count > 0) {
            s->continued = true;
            s->text.count = (size_t)(next.bytes + next.count - s->text.bytes);
        }
        rest = after(rest, next.count);
    }
    c->rest = rest;
    return true;
}

struct view
hl7_piece(struct view v, char separator, uint32_t n)
{
    for (; n > 0; n--) {
        const uint8_t *end =
            v.count == 0 || separator == '\0' ? NULL : memchr(v.bytes, separator, v.count);
        size_t count = end == NULL ? v.count : (size_t)(end - v.bytes);
        if (n == 1) {
            return (struct view){v.bytes, count};
        }
        if (end == NULL) {
            break;
        }
        v = after(v, count + 1);
    }
    return (struct view){v.bytes, 0};
}

bool
hl7_next_piece(struct view *rest, char separator, bool *started, struct view *piece)
{
    if (*started && rest->count == 0) {
        return false;
    }
    if (*started) { /* stands on the separator */
        *rest = after(*rest, 1);
    }
    *started = true;
    *piece = hl7_piece(*rest, separator, 1);
    *rest = after(*rest, piece->count);
    return true;
}

struct view
hl7_field(const struct hl7_delimiters *d, const struct hl7_segment *s, uint32_t n)
{
    bool header = strcmp(s->name, "MSH") == 0 || strcmp(s->name, "BHS") == 0 ||
                  strcmp(s->name, "FHS") == 0;
    assert(n > 0);
    if (header && n == 1) {
        return (struct view){s->text.bytes + 3, s->text.count > 3 ? 1 : 0};
    }
    return hl7_piece(s->text, d->field, header ? n : n + 1);
}

struct view
hl7_component(const struct hl7_delimiters *d, struct view repetition, uint32_t n)
{
    return hl7_piece(repetition, d->component, n);
}

struct view
hl7_value(const struct hl7_delimiters *d, const struct hl7_segment *s, uint32_t n, uint32_t c)
{
    struct view v = hl7_component(d, hl7_piece(hl7_field(d, s, n), d->repetition, 1), c);
    v = text_trim(v);
    return hl7_is_null(v) ? (struct view){v.bytes, 0} : v;
}

bool
hl7_is_null(struct view v)
{
    return v.count == 2 && v.bytes[0] == '"' && v.bytes[1] == '"';
}

enum charset
hl7_stated_charset(struct view raw, struct view *name)
{
    struct view line = line_of(skip_lead(raw));
    *name = (struct view){line.bytes, 0};
    if (line.count < 5) {
        return CHARSET_NONE;
    }
    /* MSH-18 is piece 18; one early is common, and a GBK letter whose second
     * byte is the separator can push it on.  What decides wins over what does
     * not (ASCII), the right place over the others. */
    static const uint32_t places[] = {18, 17, 19, 20};
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            struct view field = hl7_piece(line, (char)line.bytes[3], places[i]);
            struct view first = text_trim(hl7_piece(field, '~', 1));
            enum charset c = charset_named(first);
            if (pass == 0 ? c != CHARSET_NONE : i == 0 && first.count > 0) {
                *name = first;
                return c;
            }
        }
    }
    return CHARSET_NONE;
}
