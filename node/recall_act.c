/* recall_act.c: what the machine has done: frames, and writes that are under way. */
#include <stdlib.h>
#include <string.h>

#include "node/recall_state.h"
#include "proto/frame.h"
#include "proto/pbcheck.h"

struct recall_action *
recall_act(struct step *s, enum recall_action_type type)
{
    struct recall_update *u = s->u;
    if (u->count == u->room) {
        size_t room = u->room == 0 ? 16 : u->room * 2;
        struct recall_action *more = realloc(u->actions, room * sizeof *more);
        if (more == NULL) {
            s->status = STATUS_NO_MEMORY;
            return NULL;
        }
        u->actions = more;
        u->room = room;
    }
    struct recall_action *a = &u->actions[u->count++];
    *a = (struct recall_action){.type = type};
    return a;
}

void
recall_update_free(struct recall_update *u)
{
    for (size_t i = 0; i < u->count; i++) {
        free((void *)(uintptr_t)u->actions[i].message.bytes);
    }
    free(u->actions);
    *u = (struct recall_update){0};
}

bool
recall_send_bytes(struct step *s, uint32_t session, uint8_t kind, const uint8_t *bytes,
                  size_t count)
{
    uint8_t *copy = malloc(count + 1);
    struct recall_action *a = copy == NULL ? NULL : recall_act(s, RECALL_SEND);
    if (a == NULL) {
        s->status = STATUS_NO_MEMORY;
        free(copy);
        return false;
    }
    memcpy(copy, bytes, count);
    a->session = session;
    a->kind = kind;
    a->message = (struct view){copy, count};
    return true;
}

static void
send_message(struct step *s, uint32_t session, uint8_t kind, const ProtobufCMessage *m)
{
    uint8_t bytes[1024];
    size_t count;
    if (pb_pack(m, bytes, sizeof bytes, &count) == STATUS_OK) {
        (void)recall_send_bytes(s, session, kind, bytes, count);
    }
}

void
recall_send_rely(struct step *s, uint32_t session, const char *origin, uint64_t index,
                 bool kept)
{
    Hr__Rely m;
    Hr__WireLeaf leaf;
    hr__rely__init(&m);
    hr__wire_leaf__init(&leaf);
    leaf.origin = (char *)(uintptr_t)origin;
    leaf.index = index;
    m.leaf = &leaf;
    m.kept = kept;
    send_message(s, session, FRAME_RELY, &m.base);
}

void
recall_send_acknowledged(struct step *s, uint32_t session, const char *origin, uint64_t old,
                         uint64_t by)
{
    Hr__Recall m;
    Hr__WireLeaf leaves[2];
    hr__recall__init(&m);
    for (size_t i = 0; i < 2; i++) {
        hr__wire_leaf__init(&leaves[i]);
        leaves[i].origin = (char *)(uintptr_t)origin;
        leaves[i].index = i == 0 ? old : by;
    }
    m.old = &leaves[0];
    m.by = &leaves[1];
    m.acknowledged = true;
    send_message(s, session, FRAME_RECALL, &m.base);
}

/* ---- writing ---- */

struct ticket *
recall_write(struct step *s, struct peer *p, uint32_t session, const struct recall_store *store)
{
    struct recall *r = s->r;
    if (r->ticket_count == TICKETS_MAX || (p != NULL && p->writes >= RECALL_WRITES_MAX)) {
        return NULL;
    }
    struct ticket *t = r->tickets;
    while (t->number != 0) {
        t++;
    }
    struct recall_action *a = recall_act(s, RECALL_STORE);
    if (a == NULL) {
        return NULL;
    }
    *t = (struct ticket){.number = ++r->tickets_drawn, .session = session, .store = *store};
    r->ticket_count++;
    if (p != NULL) {
        p->writes++;
    }
    a->ticket = t->number;
    a->store = *store;
    return t;
}

/* Is the same write under way already? */
bool
recall_under_way(const struct recall *r, const struct recall_store *store)
{
    size_t left = r->ticket_count;
    for (size_t i = 0; left > 0 && i < TICKETS_MAX; i++) {
        const struct ticket *t = &r->tickets[i];
        left -= t->number != 0;
        if (t->number != 0 && t->store.type == store->type && t->store.leaf == store->leaf &&
            strcmp(t->store.who, store->who) == 0 &&
            strcmp(t->store.origin, store->origin) == 0) {
            return true;
        }
    }
    return false;
}

struct recall_store
recall_store_of(enum recall_store_type type, const char *who, const char *origin, uint64_t leaf,
                uint64_t by)
{
    struct recall_store st = {.type = type, .leaf = leaf, .by = by};
    memcpy(st.who, who, strlen(who) + 1);
    memcpy(st.origin, origin, strlen(origin) + 1);
    return st;
}

bool
recall_has_row(struct step *s, struct recall_row *row)
{
    enum status st = recall_row_get(s->e->txn, s->r->options.network, row);
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        s->status = st;
    }
    return st == STATUS_OK;
}
