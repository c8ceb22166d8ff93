/* gossip_update.h: building a struct gossip_update (node/ only). */
#ifndef NODE_GOSSIP_UPDATE_H
#define NODE_GOSSIP_UPDATE_H

#include <protobuf-c/protobuf-c.h>

#include "node/gossip.h"

/* `count` bytes that live as long as the update's actions; NULL: no memory. */
void *gossip_update_take(struct gossip_update *u, size_t count);

/* A copy of `bytes` (NUL added behind it); .bytes is NULL when there is no memory. */
struct view gossip_update_copy(struct gossip_update *u, struct view bytes);

/* Append a zeroed action of `type`; NULL: no memory.  Valid until the next one. */
struct gossip_action *gossip_update_add(struct gossip_update *u, enum gossip_action_type type);

/* Append a frame: `m` is packed, `raw` is borrowed (from the update, or longer
 * lived).  STATUS_TOO_BIG: over the limits of a frame; nothing was appended. */
MUST_USE enum status gossip_update_send(struct gossip_update *u, uint32_t session,
                                        uint32_t request, uint8_t kind, bool last,
                                        const ProtobufCMessage *m, struct view raw);

/* Append a GOSSIP_SAY (or, with a session, a GOSSIP_CLOSE) with formatted text. */
MUST_USE enum status gossip_update_say(struct gossip_update *u, uint32_t close_session,
                                       const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline struct view
view_of_text(const char *text)
{
    size_t n = 0;
    while (text[n] != '\0') {
        n++;
    }
    return (struct view){(const uint8_t *)text, n};
}

#endif
