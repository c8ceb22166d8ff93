/* engine_gossip_io.c: the gossip machine's events in, its actions done. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_adopt_io.h"
#include "node/charter_evidence_io.h"
#include "node/engine.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/charter.h"
#include "store/kv.h"

/* One update under way: its actions live until all its tickets are told. */
struct gossip_run {
    struct gossip_run *next;
    struct network *network;
    struct gossip_update update;
    size_t open; /* tickets not yet told */
};

/* One store action waiting for the next transaction. */
struct gossip_job {
    struct job job;
    struct gossip_run *run;
    const struct gossip_action *action;
    enum status outcome;
    bool adopted;
    char reason[CHARTER_REASON_CHARS];
};

static void
run_free(struct engine *e, struct gossip_run *run)
{
    for (struct gossip_run **at = &e->gossip_runs; *at != NULL; at = &(*at)->next) {
        if (*at == run) {
            *at = run->next;
            break;
        }
    }
    gossip_update_free(&run->update);
    free(run);
}

void
engine_gossip_free(struct engine *e)
{
    while (e->gossip_runs != NULL) {
        run_free(e, e->gossip_runs);
    }
    for (size_t i = 0; i < e->network_count; i++) {
        free(e->networks[i].untold);
        e->networks[i].untold = NULL;
    }
}

/* Log what was adopted, so that an audit sees by which rules we decided: in the
 * transaction that keeps the document, or a crash between the two would lose it. */
enum status
engine_log_adopted(struct network *n, struct store_txn *txn, const struct charter_head *head)
{
    Hr__CharterAdopted a;
    Hr__ExchEntry entry;
    uint8_t bytes[256];
    size_t count;
    hr__charter_adopted__init(&a);
    hr__exch_entry__init(&entry);
    a.at_ms = (uint64_t)engine_now_ms();
    a.kind = (char *)(uintptr_t)charter_kind_text(head->kind);
    a.version = head->version;
    a.hash = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(uintptr_t)head->hash.bytes};
    entry.what_case = HR__EXCH_ENTRY__WHAT_CHARTER_ADOPTED;
    entry.charter_adopted = &a;
    enum status st = pb_pack(&entry.base, bytes, sizeof bytes, &count);
    return st == STATUS_OK ? engine_exch_append(n, txn, (struct view){bytes, count}, NULL, NULL)
                           : st;
}

/* ---- adoption of charter documents ---- */

static enum status
adopt(struct store_txn *txn, struct gossip_job *j)
{
    struct network *n = j->run->network;
    struct note note;
    struct charter_head head;
    enum status st =
        charter_adopt_one(txn, n->name, n->charter, j->action, engine_now_ms() / 1000,
                          &j->outcome, &j->adopted, j->reason);
    if (st == STATUS_OK && j->adopted && j->outcome == STATUS_OK &&
        note_parse(j->action->note, &note) == STATUS_OK &&
        charter_head_parse(note.text, &head) == STATUS_OK) {
        st = engine_log_adopted(n, txn, &head);
    }
    return st;
}

/* ---- jobs ---- */

static enum status
write_action(struct store_txn *txn, void *ctx)
{
    struct gossip_job *j = ctx;
    struct network *n = j->run->network;
    if (j->action->type == GOSSIP_ADOPT) {
        return adopt(txn, j);
    }
    j->outcome = gossip_apply(txn, j->action, &n->witness, n->name, engine_now_ms() / 1000);
    return j->outcome == STATUS_GAP || j->outcome == STATUS_REFUSED ? STATUS_OK : j->outcome;
}

static void
after_adoption(struct network *n, const struct gossip_job *j)
{
    const struct gossip_action *a = j->action;
    enum charter_kind kind = (enum charter_kind)(a->charter_kind - 1);
    if (!j->adopted) {
        if (j->outcome != STATUS_OK && j->outcome != STATUS_EXISTS &&
            j->outcome != STATUS_ROLLBACK) {
            engine_say(n->engine, "%s: charter %s version %llu from %s: %s%s%s", n->name,
                       charter_kind_text(kind), (unsigned long long)a->version,
                       a->institution == NULL ? "a peer" : a->institution,
                       status_text(j->outcome), j->reason[0] != '\0' ? ": " : "", j->reason);
        }
        return;
    }
    struct store_txn *txn;
    enum status st = store_begin_read(n->engine->store, &txn);
    if (st == STATUS_OK) {
        st = engine_reload_charter(n, txn);
        store_abort(txn);
    }
    if (st != STATUS_OK) {
        engine_say(n->engine, "%s: reading the charter again: %s", n->name, status_text(st));
        return;
    }
    if (j->outcome == STATUS_OK) {
        engine_say(n->engine, "%s: adopted charter %s version %llu%s%s", n->name,
                   charter_kind_text(kind), (unsigned long long)a->version,
                   j->reason[0] != '\0' ? ": " : "", j->reason);
        if (kind == CHARTER_QUALITY) {
            engine_impact_start(n, NULL, false, 0);
        }
    } else {
        engine_say(n->engine, "%s: charter %s version %llu: more signatures from %s", n->name,
                   charter_kind_text(kind), (unsigned long long)a->version,
                   a->institution == NULL ? "a peer" : a->institution);
    }
}

/* ---- want of memory ------------------------------------------------------------------- */

/* Events that the machine waits for, and that there was no memory to tell it. */
struct untold {
    size_t count;
    struct gossip_event events[ENGINE_UNTOLD_MAX];
    char institutions[ENGINE_UNTOLD_MAX][INSTITUTION_CHARS_MAX + 1];
};

enum status
engine_gossip_open(struct network *n)
{
    n->untold = calloc(1, sizeof *n->untold);
    return n->untold == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

/* A tick comes again by itself.  A session whose frame or beginning is lost is closed: the
 * next one begins anew.  Everything else is told at the next turn. */
static void
keep_untold(struct network *n, const struct gossip_event *event)
{
    struct untold *u = n->untold;
    engine_say(n->engine, "%s: gossip: %s", n->name, status_text(STATUS_NO_MEMORY));
    if (event->type == GOSSIP_TICK) {
        return;
    }
    if (event->type == GOSSIP_FRAME || event->type == GOSSIP_PEER_UP) {
        net_close_session(n->engine->net, event->session);
        return;
    }
    if (event->type == GOSSIP_OWN_HEAD) { /* signed again to the same bytes */
        n->pub.dirty = n->pub.dirty || text_is(event->origin, n->pub.origin);
        n->exch.dirty = n->exch.dirty || text_is(event->origin, n->exch.origin);
        return;
    }
    if (u == NULL || u->count == ENGINE_UNTOLD_MAX) {
        engine_say(n->engine, "stopped: %s", status_text(STATUS_NO_MEMORY));
        n->engine->stop = true;
        return;
    }
    char *institution = u->institutions[u->count];
    snprintf(institution, INSTITUTION_CHARS_MAX + 1, "%s",
             event->institution == NULL ? "" : event->institution);
    u->events[u->count++] = (struct gossip_event){.type = event->type,
                                                  .session = event->session,
                                                  .institution = institution,
                                                  .dialled = event->dialled,
                                                  .ticket = event->ticket,
                                                  .status = event->status,
                                                  .hash = event->hash};
}

void
engine_gossip_untold(struct network *n)
{
    struct untold *u = n->untold;
    for (size_t left = u == NULL ? 0 : u->count; left > 0; left--) {
        char institution[INSTITUTION_CHARS_MAX + 1];
        struct gossip_event event = u->events[0];
        memcpy(institution, u->institutions[0], sizeof institution);
        event.institution = institution;
        u->count--;
        memmove(u->events, u->events + 1, u->count * sizeof *u->events);
        memmove(u->institutions, u->institutions + 1, u->count * sizeof *u->institutions);
        for (size_t i = 0; i < u->count; i++) {
            u->events[i].institution = u->institutions[i];
        }
        engine_gossip(n, &event);
    }
}

/* ---- actions that are stored ------------------------------------------------------------ */

static void
action_done(void *ctx, enum status st)
{
    struct gossip_job *j = ctx;
    struct gossip_run *run = j->run;
    struct network *n = run->network;
    enum status told = st != STATUS_OK ? st : j->outcome;
    if (j->action->type == GOSSIP_ADOPT && st == STATUS_OK) {
        after_adoption(n, j);
    }
    struct gossip_event event = {
        .type = GOSSIP_STORED, .ticket = j->action->ticket, .status = told};
    bool tell = j->action->ticket != 0;
    bool packs = st == STATUS_OK && ((j->action->type == GOSSIP_ADOPT && j->adopted) ||
                                     j->action->type == GOSSIP_STORE_BLOB);
    if (tell && n->gossip != NULL) {
        engine_gossip(n, &event);
    }
    if (packs) {
        engine_packs_look(n);
    }
    free(j);
    if (--run->open == 0) {
        run_free(n->engine, run);
    }
}

static void
queue_action(struct gossip_run *run, const struct gossip_action *a)
{
    struct gossip_job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        struct gossip_event event = {
            .type = GOSSIP_STORED, .ticket = a->ticket, .status = STATUS_NO_MEMORY};
        keep_untold(run->network, &event);
        return;
    }
    uint64_t bytes = a->type == GOSSIP_ADOPT ? CHARTER_EVIDENCE_WRITE_BYTES : 4096;
    bytes += a->note.count + a->other.count + a->raw.count;
    for (size_t i = 0; i < a->count && a->entries != NULL; i++) {
        bytes += a->entries[i].count + 96;
    }
    j->run = run;
    j->action = a;
    /* Roots and rosters are small and end keys: a full disk must not keep them out. */
    bool urgent = a->type == GOSSIP_ADOPT && (a->charter_kind == STORE_CHARTER_ROOT ||
                                              a->charter_kind == STORE_CHARTER_MEMBERS);
    j->job = (struct job){.purpose = urgent ? STORE_EXCHANGE : STORE_PUBLISH,
                          .bytes = bytes,
                          .write = write_action,
                          .done = action_done,
                          .ctx = j};
    run->open++;
    engine_write(run->network->engine, &j->job);
}

/* ---- actions ---- */

static void
dial(struct network *n, const struct gossip_action *a)
{
    uint32_t session;
    enum status st =
        engine_net_dial(n, a->institution, a->address, a->session_public, &session);
    if (st != STATUS_OK) {
        struct gossip_event event = {.type = GOSSIP_DIAL_FAILED, .institution = a->institution};
        engine_gossip(n, &event);
    }
}

/* A fork that was just committed becomes an entry of our own audit trail. */
struct fork_job {
    struct job job;
    struct network *network;
    size_t a_count, b_count;
    uint8_t *a, *b;
};

static enum status
write_fork(struct store_txn *txn, void *ctx)
{
    struct fork_job *j = ctx;
    Hr__Fork f;
    Hr__ExchEntry entry;
    hr__fork__init(&f);
    hr__exch_entry__init(&entry);
    f.at_ms = (uint64_t)engine_now_ms();
    f.note_a = (ProtobufCBinaryData){j->a_count, j->a};
    f.note_b = (ProtobufCBinaryData){j->b_count, j->b};
    entry.what_case = HR__EXCH_ENTRY__WHAT_FORK;
    entry.fork = &f;
    uint8_t bytes[ENTRY_BYTES_MAX];
    size_t count;
    enum status st = pb_pack(&entry.base, bytes, sizeof bytes, &count);
    return st == STATUS_OK
               ? engine_exch_append(j->network, txn, (struct view){bytes, count}, NULL, NULL)
               : st;
}

static void
fork_done(void *ctx, enum status st)
{
    struct fork_job *j = ctx;
    (void)st;
    free(j->a);
    free(j);
}

static void
log_fork(struct network *n, const struct gossip_action *a)
{
    engine_say(n->engine,
               "%s: FORK: two heads of %.*s contradict each other; the log is frozen", n->name,
               (int)a->origin.count, (const char *)a->origin.bytes);
    struct fork_job *j = calloc(1, sizeof *j);
    uint8_t *copy = malloc(a->note.count + a->other.count + 1);
    if (j == NULL || copy == NULL) {
        free(j);
        free(copy);
        return;
    }
    memcpy(copy, a->note.bytes, a->note.count);
    memcpy(copy + a->note.count, a->other.bytes, a->other.count);
    *j = (struct fork_job){.network = n,
                           .a = copy,
                           .a_count = a->note.count,
                           .b = copy + a->note.count,
                           .b_count = a->other.count};
    j->job = (struct job){.purpose = STORE_EXCHANGE,
                          .bytes = 4096,
                          .write = write_fork,
                          .done = fork_done,
                          .ctx = j};
    engine_write(n->engine, &j->job);
}

static void
perform(struct gossip_run *run, const struct gossip_action *a)
{
    struct network *n = run->network;
    struct engine *e = n->engine;
    switch (a->type) {
    case GOSSIP_SEND:
        if (net_send(e->net, a->session, a->request, a->kind, a->last, a->message, a->raw) ==
            STATUS_NO_MEMORY) {
            engine_say(e, "gossip: %s", status_text(STATUS_NO_MEMORY));
        }
        break;
    case GOSSIP_DIAL:
        if (e->daemon) { /* a single command talks to nobody but whom it asks */
            dial(n, a);
        }
        break;
    case GOSSIP_CLOSE:
        net_close_session(e->net, a->session);
        break;
    case GOSSIP_SAY:
        engine_say(e, "%s: %s", n->name, a->text);
        break;
    case GOSSIP_STORE_ENTRIES:
    case GOSSIP_STORE_RECORDS:
    case GOSSIP_STORE_COSIGNED:
    case GOSSIP_COSIGN:
    case GOSSIP_STORE_BLOB:
    case GOSSIP_STORE_MARK:
    case GOSSIP_STORE_FORK:
    case GOSSIP_ADOPT:
        queue_action(run, a);
        break;
    case GOSSIP_FORK:
        log_fork(n, a);
        break;
    case GOSSIP_GATE:
        engine_say(e, "%s: signing: %s; %s", n->name,
                   signgate_text(signgate_state(gossip_gate(n->gossip), n->pub.origin)),
                   signgate_text(signgate_state(gossip_gate(n->gossip), n->exch.origin)));
        engine_recover_gate(n);
        break;
    case GOSSIP_RECOVERED:
        engine_say(e, "%s: %.*s is whole again", n->name, (int)a->origin.count,
                   (const char *)a->origin.bytes);
        break;
    }
}

void
engine_gossip(struct network *n, struct gossip_event *event)
{
    struct engine *e = n->engine;
    struct gossip_run *run = calloc(1, sizeof *run);
    if (run == NULL || n->gossip == NULL) {
        if (n->gossip != NULL) {
            keep_untold(n, event);
        }
        free(run);
        return;
    }
    run->network = n;
    run->open = 1; /* this function */
    gossip_update_init(&run->update);
    enum status st = store_begin_read(e->store, &event->txn);
    if (st == STATUS_OK) {
        event->now_ms = net_time_ms();
        event->now_s = engine_now_ms() / 1000;
        randombytes_buf(&event->random, sizeof event->random);
        st = gossip_step(n->gossip, event, &run->update);
        store_abort(event->txn);
    }
    if (st == STATUS_NO_MEMORY && event->now_ms == 0) {
        keep_untold(n, event);
    } else if (st != STATUS_OK) {
        engine_say(e, "%s: gossip: %s", n->name, status_text(st));
    }
    run->next = e->gossip_runs;
    e->gossip_runs = run;
    for (size_t i = 0; i < run->update.count; i++) {
        perform(run, &run->update.actions[i]);
    }
    if (--run->open == 0) {
        run_free(e, run);
    }
}
