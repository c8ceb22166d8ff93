/* recall_peer.c: other institutions: what they may send at once, what they are told when. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/recall_proof.h"
#include "node/recall_state.h"
#include "proto/frame.h"

struct peer *
recall_peer_find(struct step *s, const char *institution)
{
    struct recall *r = s->r;
    for (size_t i = 0; i < r->peer_count; i++) {
        if (strcmp(r->peers[i].institution, institution) == 0) {
            return &r->peers[i];
        }
    }
    if (r->peer_count == r->peer_room && r->peer_count < MEMBERS_MAX) {
        size_t room = r->peer_room == 0 ? 16 : r->peer_room * 2;
        struct peer *more = realloc(r->peers, room * sizeof *more);
        if (more == NULL) {
            s->status = STATUS_NO_MEMORY;
            return NULL;
        }
        r->peers = more;
        r->peer_room = room;
    }
    if (r->peer_count == r->peer_room || strlen(institution) > INSTITUTION_CHARS_MAX) {
        return NULL;
    }
    struct peer *p = &r->peers[r->peer_count++];
    *p = (struct peer){.backoff_ms = RECALL_BACKOFF_MS,
                       .budget = (int64_t)RECALL_BUDGET * 1000,
                       .budget_ms = s->e->now_ms};
    memcpy(p->institution, institution, strlen(institution) + 1);
    return p;
}

/* There is something new to tell it: soon, but not more often than once in a while. */
void
recall_peer_hurry(struct step *s, struct peer *p)
{
    int64_t soon = p->tried_ms + RECALL_BACKOFF_MS;
    soon = p->tried_ms == 0 || soon < s->e->now_ms ? s->e->now_ms : soon;
    p->due_ms = !p->work || p->due_ms > soon ? soon : p->due_ms;
    p->work = true;
}

/* There is something to tell it: at once, unless it is being tried already. */
void
recall_peer_work(struct step *s, struct peer *p)
{
    if (!p->work) {
        p->work = true;
        p->backoff_ms = RECALL_BACKOFF_MS;
        p->due_ms = s->e->now_ms;
    }
}

bool
recall_peer_budget(struct step *s, struct peer *p)
{
    int64_t most = (int64_t)RECALL_BUDGET * 1000;
    int64_t passed = s->e->now_ms - p->budget_ms;
    p->budget += passed > most ? most : passed * RECALL_BUDGET_S;
    p->budget = p->budget > most ? most : p->budget;
    p->budget_ms = s->e->now_ms;
    if (p->budget < 1000) {
        return false;
    }
    p->budget -= 1000;
    return true;
}

void
recall_complain(struct step *s, struct peer *p, const char *what)
{
    if (p->said_ms != 0 && s->e->now_ms - p->said_ms < RECALL_SAY_MS) {
        return;
    }
    struct recall_action *a = recall_act(s, RECALL_SAY);
    if (a != NULL) {
        p->said_ms = s->e->now_ms + 1;
        snprintf(a->text, sizeof a->text, "%s: %s", p->institution, what);
    }
}

void
recall_peer_answered(struct step *s, struct peer *p)
{
    p->backoff_ms = RECALL_BACKOFF_MS;
    p->waiting -= p->waiting > 0;
    if (p->waiting == 0) {
        p->due_ms = s->e->now_ms;
    }
}

/* ---- telling ---- */

/* Whom is there something to tell?  `fresh`: some of it is new. */
void
recall_find_work(struct step *s, bool fresh)
{
    static const enum recall_kind kinds[] = {RECALL_RELY_OPEN, RECALL_TELLING};
    for (size_t i = 0; i < 2; i++) {
        char who[INSTITUTION_CHARS_MAX + 1] = "";
        enum status st;
        while ((st = recall_row_next_who(s->e->txn, s->r->options.network, kinds[i], who)) ==
               STATUS_OK) {
            struct peer *p = recall_peer_find(s, who);
            if (p != NULL) {
                recall_peer_work(s, p);
                p->due_ms = p->early ? s->e->now_ms : p->due_ms;
                if (fresh) {
                    recall_peer_hurry(s, p);
                }
            }
        }
        s->status = st == STATUS_NOT_FOUND ? s->status : st;
    }
}

/* Send one round of what is open; false: nothing is. */
static bool
send_relies(struct step *s, struct peer *p)
{
    const char *network = s->r->options.network;
    for (int lap = 0; lap < 2; lap++) {
        unsigned sent = 0;
        bool from_start = !p->rely_begun;
        enum status st = STATUS_OK;
        if (from_start) {
            p->rely = recall_row_of(RECALL_RELY_OPEN, p->institution, "", 0);
        }
        while (sent < RECALL_SEND_AT_ONCE &&
               (st = recall_row_next(s->e->txn, network, RECALL_FIRST, &p->rely,
                                     &p->rely_begun)) == STATUS_OK) {
            recall_send_rely(s, p->session, p->rely.origin, p->rely.leaf, false);
            sent++;
        }
        p->rely_begun = p->rely_begun && st == STATUS_OK;
        p->waiting += sent;
        if (sent > 0 || from_start) {
            return sent > 0;
        }
    }
    return false;
}

static bool
send_notices(struct step *s, struct peer *p)
{
    uint8_t *bytes = malloc(RECALL_MESSAGE_BYTES_MAX);
    bool any = false;
    s->status = bytes == NULL ? STATUS_NO_MEMORY : s->status;
    for (int lap = 0; lap < 2 && bytes != NULL && !any; lap++) {
        bool from_start = !p->tell_begun;
        unsigned seen = 0;
        enum status st = STATUS_OK;
        if (from_start) {
            p->tell = recall_row_of(RECALL_TELLING, p->institution, "", 0);
        }
        while (seen < RECALL_SEND_AT_ONCE &&
               (st = recall_row_next(s->e->txn, s->r->options.network, RECALL_FIRST, &p->tell,
                                     &p->tell_begun)) == STATUS_OK) {
            size_t count;
            seen++;
            enum status made =
                recall_proof_make(s->e->txn, p->tell.origin, p->tell.leaf, p->tell.by, bytes,
                                  RECALL_MESSAGE_BYTES_MAX, &count);
            if (made == STATUS_OK &&
                recall_send_bytes(s, p->session, FRAME_RECALL, bytes, count)) {
                p->waiting++;
            }
            p->early = p->early || made == STATUS_NOT_FOUND;
        }
        p->tell_begun = p->tell_begun && st == STATUS_OK;
        any = seen > 0;
        if (from_start) {
            break;
        }
    }
    free(bytes);
    return any;
}

static bool
has_work(struct step *s, const struct peer *p)
{
    static const enum recall_kind kinds[] = {RECALL_RELY_OPEN, RECALL_TELLING};
    bool any = false;
    for (size_t i = 0; i < 2 && !any; i++) {
        enum status st = recall_row_any(s->e->txn, s->r->options.network, RECALL_FIRST,
                                        recall_row_of(kinds[i], p->institution, "", 0), &any);
        s->status = st == STATUS_OK ? s->status : st;
    }
    return any;
}

static void
try_peer(struct step *s, struct peer *p, unsigned *dials)
{
    p->early = false;
    p->waiting = 0;
    p->tried_ms = s->e->now_ms == 0 ? 1 : s->e->now_ms;
    if (p->session != 0) {
        bool relies = send_relies(s, p);
        bool notices = send_notices(s, p);
        p->work = relies || notices;
    } else if (!(p->work = has_work(s, p))) {
        return;
    } else if (*dials < RECALL_DIALS_AT_ONCE) {
        struct recall_action *a = recall_act(s, RECALL_DIAL);
        if (a != NULL) {
            memcpy(a->institution, p->institution, sizeof a->institution);
        }
        ++*dials;
    } else {
        p->due_ms = s->e->now_ms + RECALL_BACKOFF_MS;
        return;
    }
    p->due_ms = s->e->now_ms + p->backoff_ms;
    p->backoff_ms *= 2;
    p->backoff_ms =
        p->backoff_ms > RECALL_BACKOFF_MS_MAX ? RECALL_BACKOFF_MS_MAX : p->backoff_ms;
}

void
recall_try_peers(struct step *s)
{
    unsigned dials = 0;
    for (size_t i = 0; i < s->r->peer_count; i++) {
        struct peer *p = &s->r->peers[i];
        if (p->work && s->e->now_ms >= p->due_ms) {
            try_peer(s, p, &dials);
        }
    }
}
