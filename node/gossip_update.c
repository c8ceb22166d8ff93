#include "node/gossip_update.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/pbcheck.h"

enum { BLOCK_BYTES = 64 * 1024, ALIGN = 16, SAY_CHARS_MAX = 400 };

struct gossip_block {
    struct gossip_block *next;
    size_t used, room;
    _Alignas(ALIGN) uint8_t bytes[];
};

void
gossip_update_init(struct gossip_update *u)
{
    memset(u, 0, sizeof *u);
}

void
gossip_update_reset(struct gossip_update *u)
{
    u->count = 0;
    /* One block of the usual size is kept for the next round. */
    struct gossip_block *keep = NULL;
    struct gossip_block *b = u->blocks;
    while (b != NULL) {
        struct gossip_block *next = b->next;
        if (keep == NULL && b->room == BLOCK_BYTES) {
            keep = b;
            keep->used = 0;
            keep->next = NULL;
        } else {
            free(b);
        }
        b = next;
    }
    u->blocks = keep;
}

void
gossip_update_free(struct gossip_update *u)
{
    gossip_update_reset(u);
    free(u->blocks);
    free(u->actions);
    gossip_update_init(u);
}

void *
gossip_update_take(struct gossip_update *u, size_t count)
{
    assert(count <= 64u * FRAME_BYTES_MAX);
    size_t need = (count + ALIGN) / ALIGN * ALIGN; /* room for a NUL behind a copy */
    struct gossip_block *b = u->blocks;
    if (b == NULL || b->room - b->used < need) {
        size_t room = need > BLOCK_BYTES ? need : BLOCK_BYTES;
        b = malloc(sizeof *b + room);
        if (b == NULL) {
            return NULL;
        }
        b->used = 0;
        b->room = room;
        if (need > BLOCK_BYTES / 2 && u->blocks != NULL) {
            /* A large piece goes behind, so that the open block stays in use. */
            b->next = u->blocks->next;
            u->blocks->next = b;
        } else {
            b->next = u->blocks;
            u->blocks = b;
        }
    }
    void *p = b->bytes + b->used;
    b->used += need;
    return p;
}

struct view
gossip_update_copy(struct gossip_update *u, struct view bytes)
{
    uint8_t *p = gossip_update_take(u, bytes.count);
    if (p != NULL) {
        if (bytes.count > 0) {
            memcpy(p, bytes.bytes, bytes.count);
        }
        p[bytes.count] = '\0';
    }
    return (struct view){p, p != NULL ? bytes.count : 0};
}

struct gossip_action *
gossip_update_add(struct gossip_update *u, enum gossip_action_type type)
{
    if (u->count == u->room) {
        size_t room = u->room == 0 ? 64 : 2 * u->room;
        struct gossip_action *grown = realloc(u->actions, room * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        u->actions = grown;
        u->room = room;
    }
    struct gossip_action *a = &u->actions[u->count++];
    memset(a, 0, sizeof *a);
    a->type = type;
    return a;
}

enum status
gossip_update_send(struct gossip_update *u, uint32_t session, uint32_t request, uint8_t kind,
                   bool last, const ProtobufCMessage *m, struct view raw)
{
    size_t bytes = protobuf_c_message_get_packed_size(m);
    if (bytes > MESSAGE_BYTES_MAX || raw.count > FRAME_BYTES_MAX - FRAME_HEAD_BYTES - bytes) {
        return STATUS_TOO_BIG;
    }
    uint8_t *packed = gossip_update_take(u, bytes);
    struct gossip_action *a = packed == NULL ? NULL : gossip_update_add(u, GOSSIP_SEND);
    if (a == NULL) {
        return STATUS_NO_MEMORY;
    }
    protobuf_c_message_pack(m, packed);
    a->session = session;
    a->request = request;
    a->kind = kind;
    a->last = last;
    a->message = (struct view){packed, bytes};
    a->raw = raw;
    return STATUS_OK;
}

enum status
gossip_update_say(struct gossip_update *u, uint32_t close_session, const char *format, ...)
{
    char *text = gossip_update_take(u, SAY_CHARS_MAX);
    struct gossip_action *a =
        text == NULL ? NULL
                     : gossip_update_add(u, close_session != 0 ? GOSSIP_CLOSE : GOSSIP_SAY);
    if (a == NULL) {
        return STATUS_NO_MEMORY;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, SAY_CHARS_MAX, format, args);
    va_end(args);
    a->session = close_session;
    a->text = text;
    return STATUS_OK;
}
