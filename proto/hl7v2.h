/* hl7v2.h: reading HL7 v2 messages in their pipe form.
 * Source: INTERFACES.md 1.2, 1.3 and 1.10 (HL7 v2 chapter 2).  No allocation: all
 * answers are views into the message, which must be UTF-8 (proto/charset.h
 * comes first).  Pure; every byte may be hostile. */
#ifndef PROTO_HL7V2_H
#define PROTO_HL7V2_H

#include <stdbool.h>

#include "proto/charset.h"
#include "proto/status.h"
#include "proto/view.h"

struct hl7_delimiters {
    char field, component, repetition, escape, subcomponent, truncation; /* 0 = none */
    bool repaired; /* MSH-2 was damaged: what was missing is of the default set */
};

struct hl7_segment {
    char name[4];     /* upper case */
    struct view text; /* from the name on, no line end at its end; may hold line breaks */
    uint32_t number;  /* how many of this name in the message, from 1 */
    bool continued;   /* holds lines that are no segments */
    bool odd_name;    /* lower case or leading blanks were repaired */
};

/* Return whether a line begins a message: MSH and two signs that are no letters
 * or digits.  Leading blanks, a BOM and lower case are allowed. */
bool hl7_is_header(struct view line);

/* Read the delimiters from a message that begins with MSH.
 * STATUS_MALFORMED *why tells what cannot be repaired. */
MUST_USE enum status hl7_read_delimiters(struct view message, struct hl7_delimiters *d,
                                         const char **why);

/* Segments one after another.  A line that is no segment continues the text of
 * the one before; an OBX that ran into its line without a line end is cut off
 * (INTERFACES.md 1.10). */
struct hl7_cursor {
    struct view rest;
    const struct hl7_delimiters *d;
    uint32_t junk_lines; /* lines before the first segment: skipped */
    bool ran_in;         /* at least one segment was cut out of another */
};
void hl7_begin(struct hl7_cursor *c, struct view message, const struct hl7_delimiters *d);
/* False at the end.  `number` is left 0: it is the caller's to count. */
bool hl7_next_segment(struct hl7_cursor *c, struct hl7_segment *s);

/* Field n (from 1) with all its repetitions; empty when it is not there.  MSH-1
 * is the separator itself, MSH-2 the other delimiters. */
struct view hl7_field(const struct hl7_delimiters *d, const struct hl7_segment *s, uint32_t n);

/* The next piece of `*rest` up to `separator` (0: all of it).  False when
 * nothing is left; an empty field has one empty piece if `*started` is false. */
bool hl7_next_piece(struct view *rest, char separator, bool *started, struct view *piece);

/* Piece n (from 1) of `v`; empty when it is not there. */
struct view hl7_piece(struct view v, char separator, uint32_t n);
struct view hl7_component(const struct hl7_delimiters *d, struct view repetition, uint32_t n);

/* First repetition of field n, its component c: what most fields are. */
struct view hl7_value(const struct hl7_delimiters *d, const struct hl7_segment *s, uint32_t n,
                      uint32_t c);

/* Return whether `v` is "" (two quotes): delete what you have. */
bool hl7_is_null(struct view v);

struct hl7_unescape_notes {
    bool unknown;  /* a sequence was kept as it stood */
    bool switched; /* a character set switch was dropped */
};

/* Undo the escapes of a leaf once: delimiters, \Xhh..\ in the character set
 * `charset` of the message, formatting (\.br\ and its kin become line breaks and
 * blanks), \H\ \N\ dropped, unknown ones kept.  `out` needs HL7_UNESCAPE_ROOM(v)
 * bytes.  Return the length.  The result is UTF-8. */
#define HL7_UNESCAPE_ROOM(v) ((v).count * 3 + 256)
size_t hl7_unescape(const struct hl7_delimiters *d, enum charset charset, struct view v,
                    uint8_t *out, struct hl7_unescape_notes *notes);

/* Escape text for a leaf: the delimiters of `d`, line breaks as \.br\, other
 * control characters as \Xhh\.  `out` needs 5 * v.count bytes.  Return the length. */
size_t hl7_escape(const struct hl7_delimiters *d, struct view v, uint8_t *out);

/* The character set that MSH states, before decoding: a name in MSH-18, or one
 * field beside it (INTERFACES.md 1.8).  `*name` is the text found, or empty. */
enum charset hl7_stated_charset(struct view raw_message, struct view *name);

/* ---- batches ---- */

enum hl7_record_kind {
    HL7_RECORD_MESSAGE, /* raw: one message, from MSH on */
    HL7_RECORD_JUNK,    /* raw: text that belongs to no message */
    HL7_RECORD_COUNT    /* BTS-1 or FTS-1 states another number than was found */
};

struct hl7_record {
    enum hl7_record_kind kind;
    uint32_t number; /* messages count from 1; junk and counts carry the last one */
    struct view raw; /* bytes of the file, not decoded */
    char trailer[4]; /* COUNT: BTS or FTS */
    uint32_t stated, found;
};

struct hl7_batch {
    struct view rest;
    uint32_t messages, in_batch, batches;
    bool batch_open, file_open;
};

/* Cut a file into records.  Line ends CR, LF, CRLF in any mix; MLLP bytes (0x0B,
 * 0x1C) end a line and a message; FHS, BHS, BTS and FTS lines are taken out. */
void hl7_batch_begin(struct hl7_batch *b, struct view file);
bool hl7_batch_next(struct hl7_batch *b, struct hl7_record *r);

/* Return whether the file looks like HL7 v2: its first lines have segments. */
bool hl7_is_likely(struct view file);

#endif
