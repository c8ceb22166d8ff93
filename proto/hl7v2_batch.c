/* Cutting files of HL7 v2 into messages, on raw bytes: in no character set of
 * HL7 v2 but the refused UTF-16 is a line end or a control byte part of a letter. */
#include <assert.h>
#include <string.h>

#include "proto/hl7v2.h"
#include "proto/text.h"

static bool
ends_line(uint8_t c)
{
    return c == '\r' || c == '\n' || c == 0x0B || c == 0x1C;
}

void
hl7_batch_begin(struct hl7_batch *b, struct view file)
{
    *b = (struct hl7_batch){.rest = file};
}

static struct view
next_line(struct view v)
{
    size_t n = 0;
    while (n < v.count && !ends_line(v.bytes[n])) {
        n++;
    }
    return (struct view){v.bytes, n};
}

static struct view
without_bom(struct view v)
{
    while (v.count > 0 && (v.bytes[0] == ' ' || v.bytes[0] == '\t')) {
        v.bytes++;
        v.count--;
    }
    if (v.count >= 3 && memcmp(v.bytes, "\xEF\xBB\xBF", 3) == 0) {
        v.bytes += 3;
        v.count -= 3;
    }
    return v;
}

/* FHS, BHS, BTS or FTS and a separator or the end of the line. */
static bool
is_envelope(struct view line, char name[4])
{
    static const char *const names[] = {"FHS", "BHS", "BTS", "FTS"};
    line = without_bom(line);
    if (line.count < 3 ||
        (line.count > 3 && (line.bytes[3] <= ' ' || line.bytes[3] >= 0x7F ||
                            (line.bytes[3] >= '0' && line.bytes[3] <= '9')))) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        if (memcmp(line.bytes, names[i], 3) == 0) {
            memcpy(name, names[i], 4);
            return true;
        }
    }
    return false;
}

static void
advance(struct view *v, size_t n)
{
    v->bytes += n;
    v->count -= n;
}

/* Take in an envelope line; true when its count is wrong. */
static bool
take_envelope(struct hl7_batch *b, struct view line, const char *name, struct hl7_record *r)
{
    uint32_t found = 0;
    if (strcmp(name, "FHS") == 0) {
        b->batches = 0;
        b->in_batch = 0;
        return false;
    }
    if (strcmp(name, "BHS") == 0) {
        b->batches++;
        b->in_batch = 0;
        return false;
    }
    if (strcmp(name, "BTS") == 0) {
        found = b->in_batch;
        b->in_batch = 0;
    } else {
        found = b->batches;
    }
    line = without_bom(line);
    char separator = line.count > 3 ? (char)line.bytes[3] : '|';
    struct view stated = text_trim(hl7_piece(line, separator, 2));
    if (!text_to_u32(stated, &r->stated) || r->stated == found) {
        return false;
    }
    r->kind = HL7_RECORD_COUNT;
    r->number = b->messages;
    r->found = found;
    r->raw = line;
    memcpy(r->trailer, name, 4);
    return true;
}

/* From MSH on, up to the next MSH, envelope line or MLLP byte. */
static void
take_message(struct hl7_batch *b, struct hl7_record *r)
{
    struct view start = without_bom(b->rest);
    struct view v = start;
    char name[4];
    for (;;) {
        advance(&v, next_line(v).count);
        bool framed = false;
        while (v.count > 0 && ends_line(v.bytes[0])) {
            framed = framed || v.bytes[0] == 0x0B || v.bytes[0] == 0x1C;
            if (framed) {
                break;
            }
            advance(&v, 1);
        }
        if (v.count == 0 || framed || hl7_is_header(next_line(v)) ||
            is_envelope(next_line(v), name)) {
            break;
        }
    }
    b->messages++;
    b->in_batch++;
    r->kind = HL7_RECORD_MESSAGE;
    r->number = b->messages;
    r->raw = (struct view){start.bytes, (size_t)(v.bytes - start.bytes)};
    b->rest = v;
}

bool
hl7_batch_next(struct hl7_batch *b, struct hl7_record *r)
{
    char name[4];
    *r = (struct hl7_record){.number = b->messages};
    while (b->rest.count > 0) {
        if (ends_line(b->rest.bytes[0])) {
            advance(&b->rest, 1);
            continue;
        }
        struct view line = next_line(b->rest);
        if (hl7_is_header(line)) {
            take_message(b, r);
            return true;
        }
        if (is_envelope(line, name)) {
            advance(&b->rest, line.count);
            if (take_envelope(b, line, name, r)) {
                return true;
            }
            continue;
        }
        /* Text of no message: up to the next header or envelope. */
        struct view junk = b->rest;
        size_t solid = 0;
        while (b->rest.count > 0) {
            line = next_line(b->rest);
            if (line.count > 0 && (hl7_is_header(line) || is_envelope(line, name))) {
                break;
            }
            solid += text_trim(without_bom(line)).count;
            advance(&b->rest, line.count);
            while (b->rest.count > 0 && ends_line(b->rest.bytes[0])) {
                advance(&b->rest, 1);
            }
        }
        if (solid > 0) {
            r->kind = HL7_RECORD_JUNK;
            r->number = b->messages;
            r->raw = (struct view){junk.bytes, junk.count - b->rest.count};
            return true;
        }
    }
    return false;
}

bool
hl7_is_likely(struct view file)
{
    char name[4];
    for (int lines = 0; file.count > 0 && lines < 20;) {
        struct view line = next_line(file);
        struct view v = without_bom(line);
        if (hl7_is_header(v) || is_envelope(v, name)) {
            return true;
        }
        if (v.count > 3 && v.bytes[3] == '|' && v.bytes[0] >= 'A' && v.bytes[0] <= 'Z' &&
            memchr(v.bytes, ',', 3) == NULL) {
            return true;
        }
        lines += line.count > 0;
        advance(&file, line.count);
        while (file.count > 0 && ends_line(file.bytes[0])) {
            advance(&file, 1);
        }
    }
    return false;
}
