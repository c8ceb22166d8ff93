/* base64.h: strict base64 with padding (RFC 4648 section 4).
 *
 * One spelling for each value: no blanks, no line ends, no missing padding, no
 * stray trailing bits (FORMATS 2).  Public data only is expected, though
 * libsodium's code underneath is constant-time. */
#ifndef CRYPTO_BASE64_H
#define CRYPTO_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/status.h"
#include "proto/view.h"

/* Characters for `bytes` bytes, without a NUL. */
#define BASE64_CHARS(bytes) (((size_t)(bytes) + 2) / 3 * 4)

/* Write BASE64_CHARS(data.count) characters, no NUL, to `out`, which has room
 * for them.  Returns how many. */
size_t base64_encode(struct view data, uint8_t *out);

/* Decode all of `text`.
 * STATUS_OK         out[0 .. *count) is written.
 * STATUS_MALFORMED  not strict base64.
 * STATUS_TOO_BIG    more than `max` bytes. */
MUST_USE enum status base64_decode(struct view text, uint8_t *out, size_t max, size_t *count);

/* Check all of `text`, of any length, and give its first bytes only:
 * out[0 .. min(max, *count)), where *count is the whole decoded length.
 * STATUS_MALFORMED  not strict base64. */
MUST_USE enum status base64_decode_prefix(struct view text, uint8_t *out, size_t max,
                                          size_t *count);

/* The same, but stray trailing bits are dropped and told in *canonical = false:
 * some decoders in use for signed notes take them (crypto/README.md, decision 4). */
MUST_USE enum status base64_decode_lenient(struct view text, uint8_t *out, size_t max,
                                           size_t *count, bool *canonical);

#endif
