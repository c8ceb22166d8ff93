/* Escape sequences of HL7 v2 (INTERFACES.md 1.3). */
#include <assert.h>
#include <string.h>

#include "proto/hl7v2.h"
#include "proto/text.h"

struct writer {
    uint8_t *out;
    size_t used, room;
};

static void
put(struct writer *w, const void *bytes, size_t n)
{
    if (n <= w->room - w->used) {
        memcpy(w->out + w->used, bytes, n);
        w->used += n;
    }
}

static int
hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

enum { HEX_BYTES_MAX = 64 };

/* Bytes of the message's character set; anything that is no text stays out. */
static bool
put_hex(struct writer *w, enum charset charset, struct view digits)
{
    uint8_t raw[HEX_BYTES_MAX], text[HEX_BYTES_MAX * 3];
    size_t n = 0, count = 0;
    for (size_t i = 0; i < digits.count; i++) {
        int high = hex_digit(digits.bytes[i]);
        if (high < 0) {
            if (digits.bytes[i] == ' ' || digits.bytes[i] == ',') {
                continue;
            }
            return false;
        }
        int low = i + 1 < digits.count ? hex_digit(digits.bytes[i + 1]) : -1;
        if (low < 0 || n == sizeof raw) {
            return false;
        }
        raw[n++] = (uint8_t)(high * 16 + low);
        i++;
    }
    struct view bytes = {raw, n};
    if (n == 0 || (!charset_decode_as(charset, bytes, text, &count) &&
                   !charset_decode_as(CHARSET_UTF8, bytes, text, &count) &&
                   !charset_decode_as(CHARSET_GB18030, bytes, text, &count))) {
        return false;
    }
    if (count == 2 && memcmp(text, "\r\n", 2) == 0) {
        count = 1;
        text[0] = '\n';
    } else if (count == 1 && text[0] == '\r') {
        text[0] = '\n';
    }
    put(w, text, count);
    return true;
}

static bool
put_format(struct writer *w, struct view command)
{
    static const struct {
        const char *begins;
        char out; /* 0: nothing */
    } table[] = {{".br", '\n'}, {".sp", '\n'}, {".sk", ' '}, {".in", 0},
                 {".ti", 0},    {".fi", 0},    {".nf", 0},   {".ce", '\n'}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!text_begins(command, table[i].begins)) {
            continue;
        }
        struct view number = text_trim((struct view){command.bytes + 3, command.count - 3});
        uint32_t times = 1;
        if (number.count > 0 && (number.bytes[0] == '+' || number.bytes[0] == '-')) {
            number.bytes++;
            number.count--;
        }
        if (number.count > 0 && !text_to_u32(number, &times)) {
            return false;
        }
        times = times > 20 ? 20 : times; /* what HL7_UNESCAPE_ROOM counts on */
        for (uint32_t k = 0; table[i].out != 0 && k < times; k++) {
            put(w, &table[i].out, 1);
        }
        return true;
    }
    return false;
}

/* One sequence without its two escape characters.  False: not known. */
static bool
put_sequence(struct writer *w, const struct hl7_delimiters *d, enum charset charset,
             struct view s, struct hl7_unescape_notes *notes)
{
    if (s.count == 1) {
        char c = '\0';
        switch (s.bytes[0]) {
        case 'F':
            c = d->field;
            break;
        case 'S':
            c = d->component;
            break;
        case 'T':
            c = d->subcomponent;
            break;
        case 'R':
            c = d->repetition;
            break;
        case 'E':
            c = d->escape;
            break;
        case 'P':
            c = d->truncation != '\0' ? d->truncation : '#';
            break;
        case 'H':
        case 'N':
            return true;
        default:
            return false;
        }
        put(w, &c, 1);
        return true;
    }
    if (s.count > 1 && (s.bytes[0] == 'X' || s.bytes[0] == 'x')) {
        return put_hex(w, charset, (struct view){s.bytes + 1, s.count - 1});
    }
    if (s.count >= 3 && s.bytes[0] == '.') {
        return put_format(w, s);
    }
    if ((s.count == 5 && s.bytes[0] == 'C') || (s.count == 7 && s.bytes[0] == 'M')) {
        for (size_t i = 1; i < s.count; i++) {
            if (hex_digit(s.bytes[i]) < 0) {
                return false;
            }
        }
        notes->switched = true;
        return true;
    }
    return false;
}

size_t
hl7_unescape(const struct hl7_delimiters *d, enum charset charset, struct view v, uint8_t *out,
             struct hl7_unescape_notes *notes)
{
    struct writer w = {out, 0, HL7_UNESCAPE_ROOM(v)};
    for (size_t at = 0; at < v.count;) {
        const uint8_t *here = memchr(v.bytes + at, d->escape, v.count - at);
        size_t plain = here == NULL ? v.count - at : (size_t)(here - v.bytes) - at;
        put(&w, v.bytes + at, plain);
        at += plain;
        if (here == NULL) {
            break;
        }
        const uint8_t *end = memchr(here + 1, d->escape, v.count - at - 1);
        /* No end, or too far away to be a sequence: the character is text. */
        if (end == NULL || end - here > 2 * HEX_BYTES_MAX + 2) {
            put(&w, here, 1);
            at++;
            continue;
        }
        struct view sequence = {here + 1, (size_t)(end - here) - 1};
        if (put_sequence(&w, d, charset, sequence, notes)) {
            at += sequence.count + 2;
        } else if (sequence.count > 0 && sequence.count <= 8 &&
                   memchr(sequence.bytes, ' ', sequence.count) == NULL) {
            notes->unknown = true; /* kept with both of its escape characters */
            put(&w, here, sequence.count + 2);
            at += sequence.count + 2;
        } else {
            put(&w, here, 1); /* a stray one: what follows may begin a sequence */
            at++;
        }
    }
    return w.used;
}

size_t
hl7_escape(const struct hl7_delimiters *d, struct view v, uint8_t *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < v.count; i++) {
        char c = (char)v.bytes[i], letter = '\0';
        letter = c == d->field                                 ? 'F'
                 : c == d->component                           ? 'S'
                 : c == d->subcomponent                        ? 'T'
                 : c == d->repetition                          ? 'R'
                 : c == d->escape                              ? 'E'
                 : d->truncation != '\0' && c == d->truncation ? 'P'
                                                               : '\0';
        if (letter != '\0') {
            out[n++] = (uint8_t)d->escape;
            out[n++] = (uint8_t)letter;
            out[n++] = (uint8_t)d->escape;
        } else if (c == '\n' || c == '\r') {
            if (c == '\r' && i + 1 < v.count && v.bytes[i + 1] == '\n') {
                continue;
            }
            out[n++] = (uint8_t)d->escape;
            memcpy(out + n, ".br", 3);
            n += 3;
            out[n++] = (uint8_t)d->escape;
        } else if (v.bytes[i] < ' ') {
            out[n++] = (uint8_t)d->escape;
            out[n++] = 'X';
            out[n++] = (uint8_t)hex[v.bytes[i] >> 4];
            out[n++] = (uint8_t)hex[v.bytes[i] & 15];
            out[n++] = (uint8_t)d->escape;
        } else {
            out[n++] = v.bytes[i];
        }
    }
    return n;
}
