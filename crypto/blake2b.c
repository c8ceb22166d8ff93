#include "crypto/blake2b.h"

#include <assert.h>
#include <sodium.h>

void
blake2b_parts(const uint8_t *key, const struct view *parts, size_t part_count, uint8_t *out,
              size_t out_bytes)
{
    crypto_generichash_state state;
    int failed;

    /* These calls fail only on lengths out of range, which are ours. */
    failed = crypto_generichash_init(&state, key, key == NULL ? 0 : KEY_BYTES, out_bytes);
    for (size_t i = 0; i < part_count; i++) {
        failed |= crypto_generichash_update(&state, parts[i].bytes, parts[i].count);
    }
    failed |= crypto_generichash_final(&state, out, out_bytes);
    sodium_memzero(&state, sizeof state); /* holds the key */
    assert(failed == 0);
}
