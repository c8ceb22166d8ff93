/* text.h: text from outside: UTF-8, width, blanks, printable characters, decimals.
 * Source: RFC 3629 (UTF-8); DESIGN.md section 13 (text is checked before it is shown).
 * Pure: no allocation, no I/O, no locale. */
#ifndef PROTO_TEXT_H
#define PROTO_TEXT_H

#include <stdbool.h>

#include "proto/view.h"

/* Return a view of the string `s`, without its final zero byte. */
struct view text_view(const char *s);

/* Read the character at `at` (< v.count) into `*point` and return its length
 * in bytes, 1 to 4; 0 when the bytes there are no UTF-8 (overlong forms,
 * surrogates and points above U+10FFFF included). */
size_t text_next(struct view v, size_t at, uint32_t *point);

/* Write `point` as UTF-8 to `out` and return its length; 0 for a surrogate or
 * a point above U+10FFFF. */
size_t text_put(uint32_t point, uint8_t out[4]);

/* Return whether all of `v` is UTF-8.  `*bad_at`, unless NULL, is the place of
 * the first byte that is not, or v.count. */
bool text_is_utf8(struct view v, size_t *bad_at);

/* Return whether `point` may be shown to a person: no control character, no
 * surrogate, no noncharacter, nothing that turns the direction of text. */
bool text_is_printable(uint32_t point);

/* Copy `v` to `out` (capacity `cap` > 0, always ends with a zero byte), each
 * unprintable character or wrong byte as <U+200E> or <FF>.  Line breaks and
 * tabs become blanks.  Cut at a whole character.  Return the length. */
size_t text_show(struct view v, char *out, size_t cap);

/* Return `v` without blanks at both ends: ASCII white space, U+00A0, U+3000,
 * U+FEFF, U+200B. */
struct view text_trim(struct view v);

/* Copy `v` to `out` with full-width ASCII (U+FF01 to U+FF5E) and the wide
 * blank made narrow.  `out` needs v.count bytes.  Return the length. */
size_t text_narrow(struct view v, uint8_t *out);

/* Return whether `v` equals `s`; the second form takes ASCII letters of either case. */
bool text_is(struct view v, const char *s);
bool text_is_nocase(struct view v, const char *s);

/* Return whether `v` contains / begins with `s`, byte for byte; `_nocase` as above. */
bool text_has(struct view v, const char *s);
bool text_has_nocase(struct view v, const char *s);
bool text_begins(struct view v, const char *s);

/* Return whether `v` is [+-]digits[.digits] or [+-].digits: what HL7 NM allows. */
bool text_is_decimal(struct view v);

/* Read 1 to 9 ASCII digits, nothing else. */
bool text_to_u32(struct view v, uint32_t *out);

#endif
