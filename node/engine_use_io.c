/* engine_use_io.c: which leaves decisions here leaned on, so that a correction
 * is told to who used what it corrects. */
#include <string.h>

#include "node/engine_lookup.h"
#include "proto/text.h"

static struct view
use_name(const char *origin, uint64_t leaf, uint8_t out[STORE_KV_NAME_BYTES_MAX])
{
    size_t n = strlen(origin);
    memcpy(out, origin, n);
    out[n++] = '\0';
    for (int i = 0; i < 8; i++) {
        out[n++] = (uint8_t)(leaf >> (56 - 8 * i));
    }
    return (struct view){out, n};
}

enum status
engine_note_use(struct network *n, struct store_txn *txn, const struct candidate *c,
                uint64_t at_ms)
{
    uint8_t name[STORE_KV_NAME_BYTES_MAX];
    return store_kv_put_u64(txn, SPACE_RELIED, text_view(n->name),
                            use_name(c->origin, c->leaf, name), at_ms);
}

bool
engine_earlier_use(struct network *n, struct store_txn *txn, const struct candidate *c,
                   uint64_t *at_ms)
{
    uint8_t name[STORE_KV_NAME_BYTES_MAX];
    return c->correct &&
           store_kv_get_u64(txn, SPACE_RELIED, text_view(n->name),
                            use_name(c->origin, c->replaces, name), at_ms) == STATUS_OK;
}
