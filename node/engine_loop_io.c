/* engine_loop_io.c: one turn: events, one transaction, signatures, answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "node/engine.h"
#include "node/engine_recall.h"
#include "proto/text.h"
#include "store/index.h"

enum { INDEX_ROWS_AT_ONCE = 100000, INDEX_NOW = 50000 };

void
engine_write(struct engine *e, struct job *job)
{
    job->next = NULL;
    *e->jobs_end = job;
    e->jobs_end = &job->next;
}

/* ---- group commit ---- */

/* Write a list of jobs in one transaction; *failed is the one that could not
 * be written, NULL if the trouble is the store's. */
static enum status
commit_all(struct engine *e, struct job *list, enum store_purpose purpose, struct job **failed)
{
    uint64_t bytes = 0;
    struct store_txn *txn;
    *failed = NULL;
    for (struct job *j = list; j != NULL; j = j->next) {
        bytes += j->bytes;
    }
    enum status st = store_begin_write(e->store, purpose, bytes, &txn);
    if (st != STATUS_OK) {
        return st;
    }
    for (struct job *j = list; j != NULL; j = j->next) {
        if ((st = j->write(txn, j->ctx)) != STATUS_OK) {
            *failed = j;
            engine_txn_drop(e);
            store_abort(txn);
            return st;
        }
    }
    if ((st = engine_txn_flush(e, txn)) != STATUS_OK) {
        store_abort(txn);
        return st;
    }
    st = store_commit(txn);
    e->committed += st == STATUS_OK;
    return st;
}

static void
finish(struct job *list, enum status st)
{
    while (list != NULL) {
        struct job *next = list->next;
        list->done(list->ctx, st);
        list = next;
    }
}

/* An I/O error in a commit: whether it happened is unknown, so nothing is
 * acknowledged; open again, so that what follows stands on what is there. */
static void
mend(struct engine *e, enum status st)
{
    if (!store_poisoned(e->store)) {
        return;
    }
    if (st != STATUS_NO_SPACE || engine_say_again(&e->mend_said_ms)) {
        engine_say(e, "the store: %s while writing; opening it again", status_text(st));
    }
    enum status again = store_reopen(e->store);
    if (again != STATUS_OK) {
        engine_say(e, "the store cannot be opened again: %s; stopping", status_text(again));
        e->stop = true;
    }
}

/* What finds no room: the log says so once, whoever asked hears it each time. */
static void
refused(struct engine *e, enum store_purpose purpose, enum status st)
{
    if (st == STATUS_NO_SPACE && !e->stop) {
        engine_space_refused(e, purpose);
    }
}

static void
commit_purpose(struct engine *e, struct job *list, enum store_purpose purpose)
{
    struct job *failed;
    enum status st = commit_all(e, list, purpose, &failed);
    if (st == STATUS_NO_SPACE && !store_poisoned(e->store)) {
        st = commit_all(e, list, purpose, &failed); /* the map grows at begin */
    }
    if (st == STATUS_OK || list->next == NULL || store_poisoned(e->store)) {
        mend(e, st);
        refused(e, purpose, st);
        finish(list, st);
        return;
    }
    while (list != NULL) { /* one of them is bad: each alone */
        struct job *next = list->next;
        list->next = NULL;
        st = commit_all(e, list, purpose, &failed);
        mend(e, st);
        refused(e, purpose, st);
        list->done(list->ctx, st);
        list = next;
    }
}

/* Exchange entries first: they may use the reserve, and must not fail because
 * a publication did. */
static void
commit_jobs(struct engine *e)
{
    while (e->jobs != NULL && !e->stop) {
        struct job *lists[2] = {NULL, NULL};
        struct job **ends[2] = {&lists[0], &lists[1]};
        struct job *j = e->jobs;
        e->jobs = NULL;
        e->jobs_end = &e->jobs;
        while (j != NULL) {
            struct job *next = j->next;
            int which = j->purpose == STORE_EXCHANGE ? 0 : 1;
            j->next = NULL;
            *ends[which] = j;
            ends[which] = &j->next;
            j = next;
        }
        if (lists[0] != NULL) {
            commit_purpose(e, lists[0], STORE_EXCHANGE);
        }
        if (lists[1] != NULL) {
            commit_purpose(e, lists[1], STORE_PUBLISH);
        }
        engine_lookup_send(e);
        net_flush(e->net);
    }
}

void
engine_drop_jobs(struct engine *e)
{
    for (int round = 0; e->jobs != NULL && round < 1000; round++) {
        struct job *list = e->jobs;
        e->jobs = NULL;
        e->jobs_end = &e->jobs;
        finish(list, STATUS_UNAVAILABLE);
    }
}

/* ---- signing ---- */

/* Sign the committed head of one log, from a new snapshot: each new leaf is
 * hashed again from its bytes, the root from the tiles (DESIGN 6).  STATUS_NOT_YET: it is
 * empty, there is nothing to sign. */
static enum status
sign_log(struct network *n, struct own_log *log)
{
    struct store_txn *txn;
    struct store_log row;
    struct view entries[TILE_HASHES];
    size_t got = 0;
    struct hash root;
    enum status st = store_begin_read(n->engine->store, &txn);
    if (st != STATUS_OK) {
        return st;
    }
    st = store_log_get(txn, log->id, &row);
    st = st == STATUS_OK && row.size == 0 ? STATUS_NOT_YET : st;
    for (uint64_t i = log->signed_size; st == STATUS_OK && i < row.size; i += got) {
        /* Reading hashes each entry and compares it with its leaf in the tree. */
        st = store_entries_get(txn, log->id, i, TILE_HASHES, entries, &got);
        st = st == STATUS_OK && got == 0 ? STATUS_CORRUPT : st;
    }
    st = st == STATUS_OK ? store_root_at(txn, log->id, row.size, &root) : st;
    if (st == STATUS_OK && !hash_equal(&root, &row.root)) {
        st = STATUS_CORRUPT;
    }
    if (st == STATUS_OK) {
        struct checkpoint c = {.origin = {(const uint8_t *)log->origin, strlen(log->origin)},
                               .size = row.size,
                               .root = root};
        size_t count;
        st = checkpoint_sign(&log->signer, &c, log->head, sizeof log->head, &count);
        log->head_count = st == STATUS_OK ? count : log->head_count;
    }
    if (st == STATUS_OK) {
        log->signed_size = row.size;
        log->has_head = true;
        log->dirty = false;
    }
    store_abort(txn);
    return st;
}

struct head_job {
    struct job job;
    struct network *network;
    uint32_t log;
    size_t count;
    uint8_t note[ENGINE_HEAD_BYTES_MAX];
};

static enum status
write_head(struct store_txn *txn, void *ctx)
{
    struct head_job *j = ctx;
    return store_note_put(txn, j->log, STORE_NOTE_HEAD, (struct view){j->note, j->count});
}

static void
head_done(void *ctx, enum status st)
{
    (void)st; /* it can be signed again to the same bytes */
    free(ctx);
}

static void
keep_head(struct network *n, const struct own_log *log)
{
    struct head_job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        return;
    }
    j->network = n;
    j->log = log->id;
    j->count = log->head_count;
    memcpy(j->note, log->head, log->head_count);
    j->job = (struct job){.purpose = STORE_EXCHANGE,
                          .bytes = 1024,
                          .write = write_head,
                          .done = head_done,
                          .ctx = j};
    engine_write(n->engine, &j->job);
}

/* Is there something to sign, and does the gate allow it (DESIGN 10)?  Before the first
 * charter nobody could check a head, not even the audit of this home. */
static bool
may_sign(const struct network *n, const struct own_log *log)
{
    return log->dirty && n->gossip != NULL && n->charter != NULL &&
           gossip_may_sign(n->gossip, text_view(log->origin));
}

static void
sign_and_tell(struct network *n, struct own_log *log, int64_t now_ms)
{
    struct view origin = text_view(log->origin);
    if (!may_sign(n, log)) {
        return;
    }
    enum status st = sign_log(n, log);
    log->signed_ms = now_ms;
    if (st == STATUS_NOT_YET) { /* its first entry was not committed */
        log->dirty = false;
        return;
    }
    if (st != STATUS_OK) {
        engine_say(n->engine, "%s: not signed: %s; run huren audit verify", log->origin,
                   status_text(st));
        /* Not again until something changes, or there is memory. */
        log->dirty = st == STATUS_NO_MEMORY;
        return;
    }
    engine_last_signed(n->engine);
    keep_head(n, log);
    struct gossip_event event = {
        .type = GOSSIP_OWN_HEAD, .origin = origin, .note = {log->head, log->head_count}};
    engine_gossip(n, &event);
}

void
engine_sign(struct engine *e, bool now)
{
    int64_t now_ms = net_time_ms();
    for (size_t i = 0; i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        if (now || now_ms - n->pub.signed_ms >= ENGINE_SIGN_MS) {
            sign_and_tell(n, &n->pub, now_ms);
        }
        if (now || now_ms - n->exch.signed_ms >= ENGINE_SIGN_MS) {
            sign_and_tell(n, &n->exch, now_ms);
        }
    }
}

/* ---- the turn ---- */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int
wait_ms(struct engine *e, int timeout_ms)
{
    int64_t now = net_time_ms();
    int64_t until = now + timeout_ms;
    for (size_t i = 0; i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        if (n->gossip != NULL && e->daemon) {
            until = earlier(until, gossip_deadline_ms(n->gossip));
        }
        if (may_sign(n, &n->pub)) {
            until = earlier(until, n->pub.signed_ms + ENGINE_SIGN_MS);
        }
        if (may_sign(n, &n->exch)) {
            until = earlier(until, n->exch.signed_ms + ENGINE_SIGN_MS);
        }
    }
    until = earlier(until, engine_lookup_deadline_ms(e));
    until = earlier(until, engine_recall_deadline_ms(e));
    if (e->jobs != NULL || engine_turns_waiting(e) || engine_impact_busy(e) || until <= now) {
        return 0;
    }
    return until - now > timeout_ms ? timeout_ms : (int)(until - now);
}

/* Work that may wait until nothing else is to be done. */
static void
house_keeping(struct engine *e, int64_t now_ms)
{
    uint64_t pending = store_index_pending(e->store);
    bool idle = now_ms - e->idle_since_ms >= ENGINE_INDEX_IDLE_MS;
    if ((pending >= INDEX_NOW || (pending > 0 && idle)) && now_ms >= e->index_after_ms) {
        enum status st = store_index_some(e->store, INDEX_ROWS_AT_ONCE);
        if (st == STATUS_NO_SPACE) { /* they are found without rows, too */
            e->index_after_ms = now_ms + ENGINE_FULL_MS;
            mend(e, st);
            refused(e, STORE_PUBLISH, st);
        } else if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
            engine_say(e, "writing the index: %s", status_text(st));
            mend(e, st);
        }
        e->idle_since_ms = now_ms;
    }
    engine_space_tick(e, now_ms);
    if (now_ms - e->readers_checked_ms >= ENGINE_READERS_MS) {
        int dead;
        e->readers_checked_ms = now_ms;
        if (store_reader_check(e->store, &dead) == STATUS_OK && dead > 0) {
            engine_say(e, "the store: %d readers that died were cleared", dead);
        }
        for (size_t i = 0; i < e->network_count; i++) {
            engine_packs_look(&e->networks[i]); /* what nobody had may be there now */
        }
    }
}

void
engine_turn(struct engine *e, int timeout_ms)
{
    net_run(e->net, wait_ms(e, timeout_ms));
    int64_t now = net_time_ms();
    for (size_t i = 0; i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        engine_gossip_untold(n);
        if (n->gossip != NULL && e->daemon && now >= gossip_deadline_ms(n->gossip)) {
            struct gossip_event event = {.type = GOSSIP_TICK};
            engine_gossip(n, &event);
        }
    }
    engine_lookup_send(e); /* to peers that came up */
    engine_keys_tick(e, now);
    engine_lookup_tick(e, now);
    engine_recall_tick(e, now);
    engine_impact_tick(e);
    if (e->jobs != NULL) {
        e->idle_since_ms = now;
    }
    commit_jobs(e);
    engine_sign(e, false);
    commit_jobs(e);
    engine_receipt_tick(e, now);
    engine_turns_tick(e);
    house_keeping(e, now);
}
