/* recall.c: the machine: events in, what was committed.  See recall.h. */
#include <stdlib.h>
#include <string.h>

#include "node/recall_state.h"
#include "proto/text.h"

/* ---- after a commit ---- */

static void
stored(struct step *s)
{
    struct recall *r = s->r;
    struct ticket *t = r->tickets;
    while (t < r->tickets + TICKETS_MAX && t->number != s->e->ticket) {
        t++;
    }
    if (s->e->ticket == 0 || t == r->tickets + TICKETS_MAX) {
        return;
    }
    struct ticket done = *t;
    const struct recall_store *st = &done.store;
    t->number = 0;
    r->ticket_count--;
    bool ok = s->e->status == STATUS_OK;
    if (st->type == RECALL_STORE_SCAN) {
        struct recall_row row = recall_row_of(RECALL_SCANNED, "", st->origin, 0);
        r->scan_ticket = 0;
        r->scanned = ok && recall_has_row(s, &row) ? row.by : r->scanned;
        r->scanned_stored = r->scanned;
        r->scan_more = true;
        r->scan_ms = ok ? 0 : s->e->now_ms + RECALL_BACKOFF_MS;
        recall_find_work(s, true);
        return;
    }
    struct peer *p = recall_peer_find(s, st->who);
    if (p == NULL) {
        return;
    }
    if (st->type == RECALL_STORE_FOUND) {
        r->sweep_writes--;
    } else {
        p->writes -= p->writes > 0;
    }
    if (!ok) {
        return; /* whoever waits repeats */
    }
    switch (st->type) {
    case RECALL_STORE_RELYING:
        recall_send_rely(s, done.session, st->origin, st->leaf, true);
        recall_peer_hurry(s, p); /* if it is recalled already */
        break;
    case RECALL_STORE_HEARD:
        recall_send_acknowledged(s, done.session, st->origin, st->leaf, st->by);
        break;
    case RECALL_STORE_FOUND:
        if (strcmp(p->institution, r->options.institution) != 0) {
            recall_peer_work(s, p);
        }
        break;
    case RECALL_STORE_ACKNOWLEDGED:
    case RECALL_STORE_KEPT:
        recall_peer_answered(s, p);
        break;
    case RECALL_STORE_SCAN:
        break;
    }
}

/* ---- the machine ---- */

enum status
recall_open(const struct recall_options *options, int64_t now_ms, struct store_txn *txn,
            struct recall **out)
{
    *out = NULL;
    struct recall *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return STATUS_NO_MEMORY;
    }
    r->options = *options;
    r->sweep_ms = now_ms + RECALL_SWEEP_FIRST_MS;
    struct recall_event e = {.type = RECALL_CHANGED, .now_ms = now_ms, .txn = txn};
    struct recall_update u = {0};
    struct step s = {.r = r, .e = &e, .u = &u, .status = recall_scan_begin(r, txn)};
    if (s.status == STATUS_OK) {
        recall_find_work(&s, false);
    }
    recall_update_free(&u);
    if (s.status != STATUS_OK) {
        recall_close(r);
        return s.status;
    }
    *out = r;
    return STATUS_OK;
}

void
recall_close(struct recall *r)
{
    if (r != NULL) {
        free(r->peers);
        free(r);
    }
}

static void
peer_changed(struct step *s, bool up)
{
    struct peer *p = recall_peer_find(s, s->e->institution);
    if (p == NULL) {
        return;
    }
    if (up) {
        p->session = s->e->session;
        p->backoff_ms = RECALL_BACKOFF_MS;
        p->due_ms = s->e->now_ms;
    } else if (p->session == s->e->session) {
        p->session = 0;
    }
}

enum status
recall_step(struct recall *r, const struct recall_event *event, struct recall_update *u)
{
    struct step s = {.r = r, .e = event, .u = u, .status = STATUS_OK};
    switch (event->type) {
    case RECALL_PEER_UP:
    case RECALL_PEER_DOWN:
        peer_changed(&s, event->type == RECALL_PEER_UP);
        break;
    case RECALL_FRAME:
        recall_take_frame(&s);
        break;
    case RECALL_STORED:
        stored(&s);
        break;
    case RECALL_CHANGED:
        r->scan_more = true;
        recall_find_work(&s, false);
        break;
    case RECALL_TICK:
        break;
    }
    recall_scan_some(&s);
    recall_sweep_some(&s);
    recall_try_peers(&s);
    return s.status;
}

int64_t
recall_deadline_ms(const struct recall *r)
{
    int64_t next = r->sweep_writes > 0 ? INT64_MAX : r->sweep_ms;
    if (r->scan_more && r->scan_ticket == 0) {
        next = r->scan_ms < next ? r->scan_ms : next;
    }
    for (size_t i = 0; i < r->peer_count; i++) {
        if (r->peers[i].work && r->peers[i].due_ms < next) {
            next = r->peers[i].due_ms;
        }
    }
    return next;
}
