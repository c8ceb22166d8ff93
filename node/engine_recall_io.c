/* engine_recall_io.c: the recall machine's events in, its actions done. */
#include "node/engine_recall.h"

#include <stdlib.h>
#include <string.h>

#include "node/engine_lookup.h"
#include "proto/frame.h"
#include "proto/text.h"

_Static_assert((int)SPACE_RECALL == (int)RECALL_SPACE, "one space for the rows");

static size_t
log_keys(void *ctx, struct view origin, struct note_key *keys, size_t max)
{
    struct network *n = ctx;
    return n->charter == NULL ? 0 : charter_log_keys(n->charter, origin, keys, max);
}

enum status
engine_recall_open(struct network *n, struct store_txn *txn)
{
    struct recall_options o = {.network = n->name,
                               .institution = n->engine->institution,
                               .pub_origin = n->pub.origin,
                               .ctx = n,
                               .log_keys = log_keys};
    return recall_open(&o, net_time_ms(), txn, &n->recall);
}

void
engine_recall_close(struct network *n)
{
    recall_close(n->recall);
    n->recall = NULL;
}

static enum status
append(void *ctx, struct store_txn *txn, struct view entry)
{
    struct network *n = ctx;
    n->recall_changed = true;
    return engine_exch_append(n, txn, entry, NULL, NULL);
}

struct recall_place
engine_recall_place(struct network *n)
{
    return (struct recall_place){.network = n->name,
                                 .institution = n->engine->institution,
                                 .at_ms = (uint64_t)engine_now_ms(),
                                 .ctx = n,
                                 .append = append};
}

/* ---- actions ---- */

struct recall_job {
    struct job job;
    struct network *network;
    uint64_t ticket;
    struct recall_store store;
};

static void step(struct network *n, struct recall_event *event);

static enum status
write_store(struct store_txn *txn, void *ctx)
{
    struct recall_job *j = ctx;
    struct recall_place place = engine_recall_place(j->network);
    return recall_apply(txn, &place, &j->store);
}

static void
store_done(void *ctx, enum status st)
{
    struct recall_job *j = ctx;
    if (st != STATUS_OK && st != STATUS_UNAVAILABLE && st != STATUS_NO_SPACE) {
        engine_say(j->network->engine, "%s: recalls: what was to be written: %s",
                   j->network->name, status_text(st));
    }
    struct recall_event event = {.type = RECALL_STORED, .ticket = j->ticket, .status = st};
    step(j->network, &event);
    free(j);
}

static void
keep_untold(struct network *n, uint64_t ticket)
{
    if (n->recall_untold_count == ENGINE_UNTOLD_MAX) {
        engine_say(n->engine, "stopped: %s", status_text(STATUS_NO_MEMORY));
        n->engine->stop = true;
        return;
    }
    n->recall_untold[n->recall_untold_count++] = ticket;
}

static void
queue(struct network *n, const struct recall_action *a)
{
    struct recall_job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        engine_say(n->engine, "recalls: %s", status_text(STATUS_NO_MEMORY));
        keep_untold(n, a->ticket);
        return;
    }
    j->network = n;
    j->ticket = a->ticket;
    j->store = a->store;
    j->job = (struct job){.purpose = STORE_EXCHANGE,
                          .bytes = a->store.type == RECALL_STORE_SCAN ? 65536 : 2048,
                          .write = write_store,
                          .done = store_done,
                          .ctx = j};
    engine_write(n->engine, &j->job);
}

static void
step(struct network *n, struct recall_event *event)
{
    struct recall_update u = {0};
    struct engine *e = n->engine;
    if (n->recall == NULL || n->charter == NULL) {
        return;
    }
    enum status st = store_begin_read(e->store, &event->txn);
    if (st == STATUS_OK) {
        event->now_ms = net_time_ms();
        event->now_s = engine_now_ms() / 1000;
        st = recall_step(n->recall, event, &u);
        store_abort(event->txn);
    } else if (event->type == RECALL_STORED) {
        keep_untold(n, event->ticket);
    }
    if (st != STATUS_OK) {
        engine_say(e, "%s: recalls: %s", n->name, status_text(st));
    }
    for (size_t i = 0; i < u.count; i++) {
        const struct recall_action *a = &u.actions[i];
        switch (a->type) {
        case RECALL_SEND:
            /* A full queue or a lost session: it is repeated until it is answered. */
            if (net_send(e->net, a->session, 0, a->kind, true, a->message,
                         (struct view){NULL, 0}) == STATUS_NO_MEMORY) {
                engine_say(e, "recalls: %s", status_text(STATUS_NO_MEMORY));
            }
            break;
        case RECALL_DIAL:
            if (e->daemon) { /* a single command talks to nobody but whom it asks */
                engine_dial(n, a->institution);
            }
            break;
        case RECALL_SAY:
            engine_say(e, "%s: %s", n->name, a->text);
            break;
        case RECALL_STORE:
            queue(n, a);
            break;
        }
    }
    recall_update_free(&u);
}

/* ---- events ---- */

void
engine_recall_frame(struct network *n, uint32_t session, const char *institution,
                    const struct frame *f)
{
    struct recall_event event = {.type = RECALL_FRAME,
                                 .session = session,
                                 .institution = institution,
                                 .kind = f->kind,
                                 .message = f->message};
    if (f->request == 0) {
        step(n, &event);
        return;
    }
    /* A request of these kinds says nothing: they are pushes. */
    if (net_send(n->engine->net, session, f->request, f->kind | FRAME_ANSWER, true,
                 (struct view){NULL, 0}, (struct view){NULL, 0}) != STATUS_OK) {
        net_close_session(n->engine->net, session);
    }
}

void
engine_recall_peer(struct network *n, uint32_t session, const char *institution, bool up)
{
    struct recall_event event = {.type = up ? RECALL_PEER_UP : RECALL_PEER_DOWN,
                                 .session = session,
                                 .institution = institution};
    step(n, &event);
}

void
engine_recall_tick(struct engine *e, int64_t now_ms)
{
    engine_recall_audit_tick(e);
    for (size_t i = 0; i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        if (n->recall == NULL || n->charter == NULL) {
            continue;
        }
        for (size_t left = n->recall_untold_count; left > 0; left--) {
            struct recall_event event = {.type = RECALL_STORED,
                                         .ticket = n->recall_untold[0],
                                         .status = STATUS_NO_MEMORY};
            n->recall_untold_count--;
            memmove(n->recall_untold, n->recall_untold + 1,
                    n->recall_untold_count * sizeof *n->recall_untold);
            step(n, &event);
        }
        bool changed = n->recall_changed || n->recall_signed != n->pub.signed_size;
        if (changed || now_ms >= recall_deadline_ms(n->recall)) {
            struct recall_event event = {.type = changed ? RECALL_CHANGED : RECALL_TICK};
            n->recall_changed = false;
            n->recall_signed = n->pub.signed_size;
            step(n, &event);
        }
    }
}

int64_t
engine_recall_deadline_ms(const struct engine *e)
{
    int64_t next = e->recall_readings != NULL ? 0 : INT64_MAX;
    for (size_t i = 0; i < e->network_count; i++) {
        const struct network *n = &e->networks[i];
        int64_t due =
            n->recall == NULL || n->charter == NULL ? INT64_MAX : recall_deadline_ms(n->recall);
        next = due < next ? due : next;
    }
    return next;
}
