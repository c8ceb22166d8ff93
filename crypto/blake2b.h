/* blake2b.h: BLAKE2b (RFC 7693) of several parts, keyed or not.
 *
 * Every keyed hash of DESIGN section 5 is a label and some parts, one after the
 * other; each caller says why its concatenation is unambiguous.  Pure. */
#ifndef CRYPTO_BLAKE2B_H
#define CRYPTO_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/view.h"

/* BLAKE2b of parts[0] || parts[1] || ... under `key`, NULL for none.
 * out_bytes is 16, 24, 32 or 64 and part of the hash's definition. */
void blake2b_parts(const uint8_t *key /* [KEY_BYTES] */, const struct view *parts,
                   size_t part_count, uint8_t *out, size_t out_bytes);

#endif
