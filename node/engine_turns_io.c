/* engine_turns_io.c: look-ups and other requests of members wait their turn.
 *
 * What one member asks in one turn of the loop beyond TURN_BYTES waits for the next
 * turns, in order, so that whoever asks much does not make the others wait: between two
 * parts of one member's questions everybody else's are taken.  While nobody else asks,
 * turns follow each other at once, and nothing is lost by it.  Receipts keep their place
 * among the questions that they belong to. */
#include <stdlib.h>
#include <string.h>

#include "node/engine_lookup.h"

enum {
    TURN_BYTES = 16 * 1024,              /* some hundred questions, or sixteen ranges */
    QUESTION_BYTES = 64,                 /* what a request counts beside its own bytes */
    RANGE_BYTES = 1024,                  /* the same, of one with a large answer */
    WAITING_BYTES_MAX = 8 * 1024 * 1024, /* of one member; who sends more is cut off */
};

struct waiting {
    struct waiting *next;
    uint32_t session, request;
    uint8_t kind;
    size_t count;
    uint8_t bytes[];
};

struct turns {
    struct turns *next;
    char institution[INSTITUTION_CHARS_MAX + 1];
    size_t taken; /* in this turn */
    size_t waiting_bytes;
    struct waiting *first, **last;
};

bool
engine_may_say(struct network *n, const char *institution)
{
    return n->gossip == NULL ||
           gossip_spend(n->gossip, institution, GOSSIP_BUDGET_WORDS, 1, net_time_ms());
}

static struct turns *
turns_of(struct network *n, const char *institution)
{
    for (struct turns *t = n->turns; t != NULL; t = t->next) {
        if (strcmp(t->institution, institution) == 0) {
            return t;
        }
    }
    struct turns *t = calloc(1, sizeof *t);
    if (t != NULL) {
        memcpy(t->institution, institution, strlen(institution) + 1);
        t->last = &t->first;
        t->next = n->turns;
        n->turns = t;
    }
    return t;
}

static void
take(struct network *n, struct turns *t, uint32_t session, const struct frame *f)
{
    bool large = f->kind == FRAME_RANGE || f->kind == FRAME_BLOB || f->kind == FRAME_CHARTER ||
                 f->kind == FRAME_FRONTIER;
    t->taken += f->message.count + (large ? RANGE_BYTES : QUESTION_BYTES);
    if (f->kind == FRAME_RECEIPT) {
        engine_receipt_frame(n, session, t->institution, f);
    } else if (f->kind == FRAME_LOOKUP) {
        engine_answer_frame(n, session, t->institution, f);
    } else {
        struct gossip_event event = {.type = GOSSIP_FRAME,
                                     .session = session,
                                     .institution = t->institution,
                                     .request = f->request,
                                     .kind = f->kind,
                                     .last = f->last,
                                     .message = f->message};
        engine_gossip(n, &event);
    }
}

void
engine_turns_frame(struct network *n, uint32_t session, const char *institution,
                   const struct frame *f)
{
    struct turns *t = turns_of(n, institution);
    if (t != NULL && t->first == NULL && t->taken < TURN_BYTES) {
        take(n, t, session, f);
        return;
    }
    size_t bytes = sizeof(struct waiting) + f->message.count;
    struct waiting *w =
        t == NULL || t->waiting_bytes + bytes > WAITING_BYTES_MAX ? NULL : malloc(bytes);
    if (w == NULL) {
        net_close_session(n->engine->net, session);
        return;
    }
    *w = (struct waiting){
        .session = session, .request = f->request, .kind = f->kind, .count = f->message.count};
    if (w->count > 0) {
        memcpy(w->bytes, f->message.bytes, w->count);
    }
    *t->last = w;
    t->last = &w->next;
    t->waiting_bytes += bytes;
}

/* The next of those that wait; the caller frees it. */
static struct waiting *
pop(struct turns *t)
{
    struct waiting *w = t->first;
    t->first = w->next;
    if (t->first == NULL) {
        t->last = &t->first;
    }
    t->waiting_bytes -= sizeof *w + w->count;
    return w;
}

void
engine_turns_tick(struct engine *e)
{
    for (size_t i = 0; i < e->network_count; i++) {
        for (struct turns *t = e->networks[i].turns; t != NULL; t = t->next) {
            t->taken = 0;
            while (t->first != NULL && t->taken < TURN_BYTES) {
                struct waiting *w = pop(t);
                struct frame f = {.request = w->request,
                                  .kind = w->kind,
                                  .last = true,
                                  .message = {w->bytes, w->count}};
                take(&e->networks[i], t, w->session, &f);
                free(w);
            }
        }
    }
}

bool
engine_turns_waiting(const struct engine *e)
{
    for (size_t i = 0; i < e->network_count; i++) {
        for (const struct turns *t = e->networks[i].turns; t != NULL; t = t->next) {
            if (t->first != NULL) {
                return true;
            }
        }
    }
    return false;
}

void
engine_turns_down(struct network *n, uint32_t session, const char *institution)
{
    struct turns *t = turns_of(n, institution);
    if (t == NULL) {
        return;
    }
    struct waiting **at = &t->first;
    while (*at != NULL) {
        struct waiting *w = *at;
        if (w->session == session && w->kind != FRAME_RECEIPT) {
            *at = w->next; /* nobody is there to be answered */
            t->waiting_bytes -= sizeof *w + w->count;
            free(w);
        } else {
            at = &w->next;
        }
    }
    t->last = at;
}

void
engine_turns_free(struct network *n)
{
    while (n->turns != NULL) {
        struct turns *t = n->turns;
        n->turns = t->next;
        while (t->first != NULL) {
            free(pop(t));
        }
        free(t);
    }
}
