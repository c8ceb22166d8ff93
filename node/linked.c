#include "node/linked.h"

#include <string.h>

#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "store/log.h"

static bool
named(const struct charter *c, const struct origin *o, struct view origin)
{
    const Hr__MemberRow *m = c == NULL ? NULL : charter_member(c, o->institution);
    for (size_t i = 0; m != NULL && i < m->n_linked; i++) {
        if (strlen(m->linked[i]) == origin.count &&
            memcmp(m->linked[i], origin.bytes, origin.count) == 0) {
            return true;
        }
    }
    return false;
}

static bool
begins_recovered(struct store_txn *txn, struct view origin)
{
    struct store_log log;
    struct view bytes;
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    if (store_log_find(txn, origin, &log) != STATUS_OK ||
        store_entry_get(txn, log.id, 0, &bytes) != STATUS_OK) {
        return false;
    }
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    bool found = pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) ==
                     STATUS_OK &&
                 ((const Hr__ExchEntry *)m)->what_case == HR__EXCH_ENTRY__WHAT_RECOVERED;
    pb_free(&arena);
    return found;
}

bool
linked_pub(const struct charter *c, struct view origin)
{
    struct origin o;
    return origin_parse(origin, &o) == STATUS_OK && o.log == ORIGIN_PUB &&
           (!o.numbered || named(c, &o, origin));
}

bool
linked_log(const struct charter *c, struct store_txn *txn, struct view origin)
{
    struct origin o;
    if (origin_parse(origin, &o) != STATUS_OK) {
        return false;
    }
    if (o.log == ORIGIN_PUB) {
        return linked_pub(c, origin);
    }
    return !begins_recovered(txn, origin) || named(c, &o, origin);
}
