/* line.h: the few text rules that notes, checkpoints, proofs and tile paths
 * share.  Pure; input may be hostile. */
#ifndef CRYPTO_LINE_H
#define CRYPTO_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/status.h"
#include "proto/view.h"

enum { LINE_DECIMAL_CHARS_MAX = 20 };

bool line_equal(struct view a, struct view b);

/* Take the first line off *rest; `line` gets it without its LF.
 * STATUS_NOT_FOUND *rest is empty, STATUS_MALFORMED no LF; both change nothing. */
MUST_USE enum status line_take(struct view *rest, struct view *line);

/* Read a decimal number 0..max: ASCII digits only, no leading zero but in "0".
 * STATUS_MALFORMED otherwise. */
MUST_USE enum status line_decimal(struct view t, uint64_t max, uint64_t *out);

/* Write `value` in decimal, no NUL; returns the number of characters. */
size_t line_put_decimal(uint64_t value, uint8_t out[LINE_DECIMAL_CHARS_MAX]);

/* Valid UTF-8 (no surrogates, no long forms, at most U+10FFFF) without bytes
 * below 0x20, LF excepted where `lf_allowed`. */
bool line_is_clean(struct view t, bool lf_allowed);

/* The same, and not empty, without '+' and without any Unicode white space:
 * what a key name may be (C2SP signed-note). */
bool line_is_key_name(struct view t);

#endif
