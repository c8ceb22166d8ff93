/* What is to be stored next of a log, and what follows from its commit. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/gossip_state.h"

/* Begin a store action; NULL: no memory. */
struct gossip_action *
store_begin(struct step *s, struct glog *log, enum gossip_action_type type)
{
    assert(log->ticket == 0);
    struct gossip_action *a = gossip_update_add(s->u, type);
    if (a == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return NULL;
    }
    log->ticket = a->ticket = s->g->next_ticket++;
    log->storing = type;
    a->origin = view_of_text(log->origin);
    return a;
}

static struct view
copy(struct step *s, struct view v)
{
    struct view c = gossip_update_copy(s->u, v);
    if (c.bytes == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
    }
    return c;
}

static bool
store_fork(struct step *s, struct glog *log)
{
    if (log->fork_theirs.count == 0 ||
        (log->fork_after > 0 && s->e->now_ms < log->fork_by_ms &&
         (log->size < log->fork_after || log->offered_size < log->fork_after))) {
        return false;
    }
    struct view ours = copy(s, bytes_view(&log->fork_ours));
    struct view theirs = copy(s, bytes_view(&log->fork_theirs));
    struct view proof = copy(s, bytes_view(&log->fork_proof));
    struct gossip_action *a = store_begin(s, log, GOSSIP_STORE_FORK);
    if (a != NULL) {
        a->note = ours;
        a->other = theirs;
        a->raw = proof;
        /* Serve what a majority of the witnesses had cosigned (DESIGN 6). */
        size_t of = log_keys(s->g, log)->witness_count;
        a->first = 2 * log->offered_n > of    ? log->offered_size
                   : 2 * log->cosigned_n > of ? log->cosigned_size
                                              : 0;
    }
    return true;
}

static bool
store_batch(struct step *s, struct glog *log)
{
    if (log->sync == NULL) {
        return false;
    }
    enum status st = sync_take(log->sync, sync_asked(log->sync) == 0, &log->batch);
    if (st != STATUS_OK) {
        step_fail(s, st == STATUS_NOT_FOUND ? STATUS_OK : st);
        return false;
    }
    struct view note = copy(s, bytes_view(&log->target));
    struct gossip_action *a = store_begin(s, log, GOSSIP_STORE_ENTRIES);
    if (a != NULL) {
        a->first = log->batch.first;
        a->entries = log->batch.entries;
        a->leaves = log->batch.leaves;
        a->count = log->batch.count;
        a->note = note;
        a->complete = log->batch.complete;
        a->size = log->target_size;
        a->root = log->target_root;
    }
    return true;
}

/* A wanted head whose entries are all held. */
static bool
store_head(struct step *s, struct glog *log)
{
    if (log->wanted.count == 0 || log->wanted_size > log->size ||
        (log->has_head && log->wanted_size <= log->head_size)) {
        if (log->wanted.count > 0 && log->has_head && log->wanted_size <= log->head_size) {
            bytes_clear(&log->wanted);
            log->wanted_size = 0;
        }
        return false;
    }
    struct hash root;
    enum status st = log_root_at(s, log, log->wanted_size, &root);
    if (st != STATUS_OK) {
        step_fail(s, st);
        return false;
    }
    if (!hash_equal(&root, &log->wanted_root)) {
        struct bytes theirs = log->wanted;
        log->wanted = (struct bytes){0};
        log->wanted_size = 0;
        head_fork(s, log, bytes_view(&theirs), NULL);
        bytes_clear(&theirs);
        return false;
    }
    struct view note = copy(s, bytes_view(&log->wanted));
    struct gossip_action *a = store_begin(s, log, GOSSIP_STORE_ENTRIES);
    if (a != NULL) {
        a->first = log->size;
        a->note = note;
        a->complete = true;
        a->size = log->wanted_size;
        a->root = log->wanted_root;
    }
    return true;
}

static void
offer_forget(struct glog *log)
{
    bytes_clear(&log->offer);
    log->offer_size = 0;
}

static bool
store_offer(struct step *s, struct glog *log)
{
    if (log->offer.count == 0 || log->offer_size > log->size || !log->in_store) {
        return false;
    }
    struct hash root;
    enum status st = log_root_at(s, log, log->offer_size, &root);
    if (st != STATUS_OK) {
        step_fail(s, st);
        return false;
    }
    if (!hash_equal(&root, &log->offer_root)) {
        struct bytes theirs = log->offer;
        log->offer = (struct bytes){0};
        log->offer_size = 0;
        head_fork(s, log, bytes_view(&theirs), NULL);
        bytes_clear(&theirs);
        return false;
    }
    struct view note = bytes_view(&log->offer), stored;
    if (log->has_offered && log->offer_size < log->offered_size) {
        offer_forget(log);
        return false;
    }
    if (log->has_offered && log->offer_size == log->offered_size &&
        store_note_get(s->e->txn, log->id, STORE_NOTE_OFFERED, &stored) == STATUS_OK) {
        uint8_t *merged = gossip_update_take(s->u, NOTE_BYTES_MAX);
        size_t count = 0, added = 0;
        if (merged == NULL) {
            step_fail(s, STATUS_NO_MEMORY);
            return false;
        }
        st = witness_add(stored, note, log_keys(s->g, log), merged, &count, &added);
        if (st != STATUS_OK || added == 0) {
            offer_forget(log);
            return false;
        }
        note = (struct view){merged, count};
    } else {
        note = copy(s, note);
    }
    struct gossip_action *a = store_begin(s, log, GOSSIP_STORE_COSIGNED);
    if (a != NULL) {
        a->note = note;
        offer_forget(log);
    }
    return true;
}

/* After an unclean start a witness signs only above what the others had
 * cosigned by the time that most of them were heard (DESIGN 10). */
static bool
may_witness(struct step *s, struct glog *log)
{
    struct gossip *g = s->g;
    if (!g->witness || g->gate.twin || log->own || log->frozen) {
        return false;
    }
    if (g->gate.options.clean || g->gate.options.born) {
        return true;
    }
    if (g->settled_ms == 0 || s->e->now_ms < g->settled_ms) {
        return false;
    }
    if (!g->floors_known) {
        g->floors_known = true;
        for (size_t i = 0; i < g->log_count; i++) {
            struct glog *l = g->logs[i];
            l->floor =
                l->offered_n > (l->offered_mine ? 1 : 0) ? l->offered_size : l->cosigned_size;
            /* Verified, and waiting for its entries: others may have signed it, too. */
            l->floor = l->offer_size > l->floor ? l->offer_size : l->floor;
            l->floor = l->wanted_size > l->floor ? l->wanted_size : l->floor;
        }
    }
    return log->offered_size > log->floor;
}

static bool
store_cosign(struct step *s, struct glog *log)
{
    /* may_witness first: it takes note of the others' cosignatures in time */
    if (!may_witness(s, log) || !log->has_offered || log->offered_mine ||
        log->offered_size > log->size || log->offered_size < log->witnessed_size ||
        log->offered_size == 0) {
        return false;
    }
    struct hash root;
    struct view stored;
    enum status st = log_root_at(s, log, log->offered_size, &root);
    if (st == STATUS_OK) {
        st = store_note_get(s->e->txn, log->id, STORE_NOTE_OFFERED, &stored);
    }
    if (st != STATUS_OK || !hash_equal(&root, &log->offered_root)) {
        step_fail(s, st);
        return false;
    }
    struct view note = copy(s, stored);
    struct gossip_action *a = store_begin(s, log, GOSSIP_COSIGN);
    if (a != NULL) {
        a->note = note;
        a->size = log->offered_size;
        a->root = root;
    }
    return true;
}

/* Own log: offer the newest signed head, once in cosign_s (DESIGN 6). */
static void
offer_own(struct step *s, struct glog *log)
{
    struct view note;
    if (!log->own || !log->has_head || log->head_size == 0 || log->offer.count > 0 ||
        (log->has_offered && log->head_size <= log->offered_size) ||
        s->e->now_ms - log->offered_ms < s->g->cosign_s * 1000 ||
        signgate_state(&s->g->gate, log->origin) != SIGNGATE_OPEN ||
        store_note_get(s->e->txn, log->id, STORE_NOTE_HEAD, &note) != STATUS_OK) {
        return;
    }
    if (!bytes_set(&log->offer, note)) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    log->offer_size = log->head_size;
    log->offer_root = log->head_root;
    log->offered_ms = s->e->now_ms;
}

void
log_store(struct step *s, struct glog *log)
{
    if (s->st != STATUS_OK || log->ticket != 0 || s->e->now_ms < log->pause_until_ms ||
        log->frozen) {
        return;
    }
    offer_own(s, log);
    if (!store_fork(s, log) && !store_batch(s, log) && !store_head(s, log) &&
        !store_offer(s, log) && !store_cosign(s, log)) {
        record_store(s, log);
    }
}

/* ---- after the commit -------------------------------------------------------- */

static void
failed(struct step *s, struct glog *log)
{
    enum status st = s->e->status;
    log_load(s, log);
    if (log->sync != NULL && st == STATUS_GAP) {
        log_drop_sync(s->g, log); /* somebody else appended: begin again from there */
    }
    if (st == STATUS_REFUSED && log->storing == GOSSIP_COSIGN) {
        log->pause_until_ms = s->e->now_ms + s->g->cosign_s * 1000;
        return;
    }
    log->pause_until_ms = s->e->now_ms + (st == STATUS_GAP ? 200 : GOSSIP_STORE_RETRY_MS);
    if (st == STATUS_NO_SPACE) {
        return; /* the owner of the store says so, once for all logs */
    }
    step_fail(s, gossip_update_say(s->u, 0, "%s: could not be stored: %s; tried again later",
                                   log->origin, status_text(st)));
}

static void
head_stored(struct step *s, struct glog *log)
{
    log->changed_s = s->e->now_s;
    if (log->wanted_hops <= 1) {
        log->push_due = true;
        log->push_hops = log->wanted_hops;
    }
    head_check_left(s, log);
    if (log->own && signgate_refilled(&s->g->gate, log->origin, log->size)) {
        struct gossip_action *a = gossip_update_add(s->u, GOSSIP_RECOVERED);
        if (a == NULL) {
            step_fail(s, STATUS_NO_MEMORY);
            return;
        }
        a->origin = view_of_text(log->origin);
        gate_tell(s, (struct view){0});
        for (size_t i = 0; i < s->g->peer_count; i++) {
            gate_ask(s, &s->g->peers[i]);
        }
    }
}

static void
fork_stored(struct step *s, struct glog *log)
{
    struct view ours = copy(s, bytes_view(&log->fork_ours));
    struct view theirs = copy(s, bytes_view(&log->fork_theirs));
    struct gossip_action *a = gossip_update_add(s->u, GOSSIP_FORK);
    if (a == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    a->origin = view_of_text(log->origin);
    a->note = ours;
    a->other = theirs;
    log->frozen = true;
    log->push_due = true; /* head_push sends both notes */
    head_push(s, log);
    log_drop_sync(s->g, log);
}

void
log_stored(struct step *s, struct glog *log)
{
    enum gossip_action_type what = log->storing;
    bool ok = s->e->status == STATUS_OK;
    log->ticket = 0;
    if (what == GOSSIP_STORE_ENTRIES && log->batch.count > 0) {
        bool complete = ok && log->batch.complete;
        if (log->sync != NULL) {
            sync_stored(log->sync, ok);
        }
        free(log->batch.entries);
        free(log->batch.leaves);
        memset(&log->batch, 0, sizeof log->batch);
        if (complete) {
            log_drop_sync(s->g, log);
        }
    }
    if (!ok) {
        failed(s, log);
        return;
    }
    if (what == GOSSIP_STORE_RECORDS) {
        bytes_clear(&log->records);
    }
    uint64_t head_before = log->has_head ? log->head_size : UINT64_MAX;
    log_load(s, log);
    if (what == GOSSIP_STORE_ENTRIES && log->has_head && log->head_size != head_before) {
        head_stored(s, log);
    } else if (what == GOSSIP_STORE_FORK) {
        fork_stored(s, log);
    } else if (what == GOSSIP_COSIGN) {
        log->push_due = true; /* the author first, then whoever is drawn */
        log->push_hops = 0;
        struct gpeer *author = peer_of(s->g, log->parts.institution);
        if (author != NULL) {
            head_send(s, log, author->session, 0);
        }
    } else if (what == GOSSIP_STORE_COSIGNED && log->own) {
        log->push_due = true;
        log->push_hops = 0;
    }
    log_pump(s, log);
}
