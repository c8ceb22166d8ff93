#include "node/recall.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/origin.h"
#include "node/recall_proof.h"
#include "proto/frame.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/log.h"

enum { KEYS_MAX = 8, TICKETS_MAX = 4096, PUBLISH_TAG = 0x0a };

/* What is known of one other institution since the start. */
struct peer {
    char institution[INSTITUTION_CHARS_MAX + 1];
    uint32_t session;             /* 0: none is up */
    bool work;                    /* it is to be told something */
    bool early;                   /* a notice waits for our log to be signed */
    int64_t due_ms;               /* when it is tried next */
    int64_t tried_ms;             /* last; 0: never */
    int64_t backoff_ms;           /* after that */
    unsigned waiting;             /* sent and not answered in this round */
    unsigned writes;              /* under way for it */
    int64_t budget;               /* new rows, in thousandths */
    int64_t budget_ms;            /* as of then */
    int64_t said_ms;              /* 0: never */
    struct recall_row rely, tell; /* where the next round begins */
    bool rely_begun, tell_begun;
};

struct ticket {
    uint64_t number; /* 0: free */
    uint32_t session;
    struct recall_store store;
};

struct recall {
    struct recall_options options;
    char pub[ORIGIN_CHARS_MAX + 1]; /* that is scanned */
    uint64_t scanned;
    uint64_t scanned_stored; /* as its row says */
    uint64_t scan_ticket;    /* 0: none under way */
    bool scan_more;
    int64_t scan_ms; /* not before: after a write that failed */
    struct recall_row sweep;
    bool sweep_begun, sweep_on;
    unsigned sweep_writes;
    int64_t sweep_ms; /* when it goes on */
    uint64_t tickets_drawn;
    struct ticket tickets[TICKETS_MAX];
    size_t ticket_count;
    struct peer *peers; /* sorted in no order; few compared with what else is done */
    size_t peer_count, peer_room;
};

/* One step: what everybody below is given. */
struct step {
    struct recall *r;
    const struct recall_event *e;
    struct recall_update *u;
    enum status status;
};

/* ---- actions ---- */

static struct recall_action *
act(struct step *s, enum recall_action_type type)
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

static bool
send_bytes(struct step *s, uint32_t session, uint8_t kind, const uint8_t *bytes, size_t count)
{
    uint8_t *copy = malloc(count + 1);
    struct recall_action *a = copy == NULL ? NULL : act(s, RECALL_SEND);
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
        (void)send_bytes(s, session, kind, bytes, count);
    }
}

static void
send_rely(struct step *s, uint32_t session, const char *origin, uint64_t index, bool kept)
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

static void
send_acknowledged(struct step *s, uint32_t session, const char *origin, uint64_t old,
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

/* ---- peers ---- */

static struct peer *
find_peer(struct step *s, const char *institution)
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
static void
hurry(struct step *s, struct peer *p)
{
    int64_t soon = p->tried_ms + RECALL_BACKOFF_MS;
    soon = p->tried_ms == 0 || soon < s->e->now_ms ? s->e->now_ms : soon;
    p->due_ms = !p->work || p->due_ms > soon ? soon : p->due_ms;
    p->work = true;
}

/* There is something to tell it: at once, unless it is being tried already. */
static void
give_work(struct step *s, struct peer *p)
{
    if (!p->work) {
        p->work = true;
        p->backoff_ms = RECALL_BACKOFF_MS;
        p->due_ms = s->e->now_ms;
    }
}

static bool
take_budget(struct step *s, struct peer *p)
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

static void
complain(struct step *s, struct peer *p, const char *what)
{
    if (p->said_ms != 0 && s->e->now_ms - p->said_ms < RECALL_SAY_MS) {
        return;
    }
    struct recall_action *a = act(s, RECALL_SAY);
    if (a != NULL) {
        p->said_ms = s->e->now_ms + 1;
        snprintf(a->text, sizeof a->text, "%s: %s", p->institution, what);
    }
}

/* ---- writing ---- */

static struct ticket *
write_for(struct step *s, struct peer *p, uint32_t session, const struct recall_store *store)
{
    struct recall *r = s->r;
    if (r->ticket_count == TICKETS_MAX || (p != NULL && p->writes >= RECALL_WRITES_MAX)) {
        return NULL;
    }
    struct ticket *t = r->tickets;
    while (t->number != 0) {
        t++;
    }
    struct recall_action *a = act(s, RECALL_STORE);
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
static bool
is_under_way(const struct recall *r, const struct recall_store *store)
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

static struct recall_store
store_of(enum recall_store_type type, const char *who, const char *origin, uint64_t leaf,
         uint64_t by)
{
    struct recall_store st = {.type = type, .leaf = leaf, .by = by};
    memcpy(st.who, who, strlen(who) + 1);
    memcpy(st.origin, origin, strlen(origin) + 1);
    return st;
}

static bool
has_row(struct step *s, struct recall_row *row)
{
    enum status st = recall_row_get(s->e->txn, s->r->options.network, row);
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        s->status = st;
    }
    return st == STATUS_OK;
}

/* ---- frames ---- */

/* Is this the pub log, in our network, of this institution? */
static bool
is_log_of(const struct step *s, const char *origin, const char *institution)
{
    struct origin o;
    return strlen(origin) <= ORIGIN_CHARS_MAX &&
           origin_parse(text_view(origin), &o) == STATUS_OK && o.log == ORIGIN_PUB &&
           strcmp(o.network, s->r->options.network) == 0 &&
           strcmp(o.institution, institution) == 0;
}

/* A result of ours that somebody can rely on: published or corrected. */
static bool
is_our_result(struct step *s, const char *origin, uint64_t leaf)
{
    struct store_log log;
    struct view bytes;
    struct recall_entry e;
    if (!is_log_of(s, origin, s->r->options.institution)) {
        return false;
    }
    enum status st = store_log_find(s->e->txn, text_view(origin), &log);
    st = st == STATUS_OK ? store_entry_get(s->e->txn, log.id, leaf, &bytes) : st;
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        s->status = st;
    }
    return st == STATUS_OK && recall_entry_read(bytes, &e) == STATUS_OK && !e.withdraw;
}

static void
take_rely(struct step *s, struct peer *p, const char *origin, uint64_t leaf)
{
    static const enum recall_kind kinds[] = {RECALL_RELYING, RECALL_TELLING, RECALL_TOLD};
    if (!is_our_result(s, origin, leaf)) {
        complain(s, p, "says that it relies on a result that was never published here");
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct recall_row row = recall_row_of(kinds[i], p->institution, origin, leaf);
        if (has_row(s, &row)) {
            send_rely(s, s->e->session, origin, leaf, true);
            if (kinds[i] == RECALL_TELLING) {
                hurry(s, p); /* it asks, so it is there */
            }
            return;
        }
    }
    struct recall_store store = store_of(RECALL_STORE_RELYING, p->institution, origin, leaf, 0);
    if (s->status != STATUS_OK || is_under_way(s->r, &store)) {
        return;
    }
    if (!take_budget(s, p) || write_for(s, p, s->e->session, &store) == NULL) {
        complain(s, p, "sends more at once than is taken; it will be asked to repeat it");
    }
}

static void
take_kept(struct step *s, struct peer *p, const char *origin, uint64_t leaf)
{
    struct recall_row row = recall_row_of(RECALL_RELY_OPEN, p->institution, origin, leaf);
    struct recall_store store = store_of(RECALL_STORE_KEPT, p->institution, origin, leaf, 0);
    if (has_row(s, &row) && !is_under_way(s->r, &store)) {
        (void)write_for(s, p, s->e->session, &store);
    }
}

static void
take_acknowledged(struct step *s, struct peer *p, const char *origin, uint64_t old, uint64_t by)
{
    struct recall_row row = recall_row_of(RECALL_TELLING, p->institution, origin, old);
    struct recall_store store =
        store_of(RECALL_STORE_ACKNOWLEDGED, p->institution, origin, old, by);
    if (has_row(s, &row) && row.by == by) {
        if (!is_under_way(s->r, &store)) {
            (void)write_for(s, p, s->e->session, &store);
        }
        return;
    }
    row = recall_row_of(RECALL_TOLD, p->institution, origin, old);
    if (!has_row(s, &row) || row.by != by) {
        complain(s, p, "acknowledges a recall that it was not told of");
    }
}

/* Does our own copy of the log contradict the notice: another token, or an earlier
 * replacement? */
static bool
contradicts(struct step *s, const Hr__Recall *m, const struct recall_entry *what)
{
    struct store_log log;
    struct view bytes;
    struct recall_entry old;
    uint64_t first;
    bool withdraw;
    enum status st = store_log_find(s->e->txn, text_view(m->old->origin), &log);
    st = st == STATUS_OK ? store_entry_get(s->e->txn, log.id, m->old->index, &bytes) : st;
    if (st == STATUS_OK && (recall_entry_read(bytes, &old) != STATUS_OK || old.withdraw ||
                            memcmp(old.token, what->token, TOKEN_BYTES) != 0)) {
        return true;
    }
    st = st == STATUS_OK ? recall_replaced(s->e->txn, log.id, m->old->index, &first, &withdraw)
                         : st;
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        s->status = st;
    }
    return st == STATUS_OK && first < m->by->index;
}

static void
take_recall(struct step *s, struct peer *p, const Hr__Recall *m)
{
    struct note_key keys[KEYS_MAX];
    struct recall_entry what;
    struct recall_row row = recall_row_of(RECALL_HEARD, "", m->old->origin, m->old->index);
    if (has_row(s, &row) && row.by <= m->by->index) {
        if (row.by == m->by->index) {
            send_acknowledged(s, s->e->session, row.origin, row.leaf, row.by);
        } else {
            complain(s, p, "recalls a result a second time");
        }
        return;
    }
    struct recall_store store = store_of(RECALL_STORE_HEARD, p->institution, m->old->origin,
                                         m->old->index, m->by->index);
    if (s->status != STATUS_OK || is_under_way(s->r, &store)) {
        return;
    }
    if (!take_budget(s, p)) {
        complain(s, p, "recalls more at once than is taken; it will have to repeat it");
        return;
    }
    size_t count =
        s->r->options.log_keys(s->r->options.ctx, text_view(m->by->origin), keys, KEYS_MAX);
    enum status st = recall_proof_check(m, keys, count, s->e->now_s, &what);
    if (st != STATUS_OK || contradicts(s, m, &what)) {
        complain(s, p, "sent a recall that its log does not show");
        return;
    }
    store.what = what.withdraw ? 2 : 1;
    (void)write_for(s, p, s->e->session, &store);
}

static void
take_frame(struct step *s)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    bool rely = s->e->kind == FRAME_RELY;
    struct peer *p = find_peer(s, s->e->institution);
    if (p == NULL || (!rely && s->e->kind != FRAME_RECALL)) {
        return;
    }
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = pb_unpack(rely ? &hr__rely__descriptor : &hr__recall__descriptor,
                               s->e->message, RECALL_MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__Rely *a = st == STATUS_OK && rely ? (const Hr__Rely *)m : NULL;
    const Hr__Recall *b = st == STATUS_OK && !rely ? (const Hr__Recall *)m : NULL;
    const char *us = s->r->options.institution;
    bool whole = (a != NULL && a->leaf != NULL) ||
                 (b != NULL && b->old != NULL && b->by != NULL &&
                  strcmp(b->old->origin, b->by->origin) == 0 && b->old->index < b->by->index);
    if (st == STATUS_NO_MEMORY) {
        s->status = st;
    } else if (!whole) {
        complain(s, p, "sent a recall or reliance that cannot be read");
    } else if (a != NULL && !a->kept && is_log_of(s, a->leaf->origin, us)) {
        take_rely(s, p, a->leaf->origin, a->leaf->index);
    } else if (a != NULL && a->kept && is_log_of(s, a->leaf->origin, p->institution)) {
        take_kept(s, p, a->leaf->origin, a->leaf->index);
    } else if (b != NULL && b->acknowledged && is_log_of(s, b->old->origin, us)) {
        take_acknowledged(s, p, b->old->origin, b->old->index, b->by->index);
    } else if (b != NULL && !b->acknowledged && is_log_of(s, b->old->origin, p->institution)) {
        take_recall(s, p, b);
    } else {
        complain(s, p, "speaks of results that it did not issue, or that are not ours");
    }
    pb_free(&arena);
}

/* Whom is there something to tell?  `fresh`: some of it is new. */
static void
find_work(struct step *s, bool fresh)
{
    static const enum recall_kind kinds[] = {RECALL_RELY_OPEN, RECALL_TELLING};
    for (size_t i = 0; i < 2; i++) {
        char who[INSTITUTION_CHARS_MAX + 1] = "";
        enum status st;
        while ((st = recall_row_next_who(s->e->txn, s->r->options.network, kinds[i], who)) ==
               STATUS_OK) {
            struct peer *p = find_peer(s, who);
            if (p != NULL) {
                give_work(s, p);
                p->due_ms = p->early ? s->e->now_ms : p->due_ms;
                if (fresh) {
                    hurry(s, p);
                }
            }
        }
        s->status = st == STATUS_NOT_FOUND ? s->status : st;
    }
}

/* ---- after a commit ---- */

static void
answered(struct step *s, struct peer *p)
{
    p->backoff_ms = RECALL_BACKOFF_MS;
    p->waiting -= p->waiting > 0;
    if (p->waiting == 0) {
        p->due_ms = s->e->now_ms;
    }
}

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
        r->scanned = ok && has_row(s, &row) ? row.by : r->scanned;
        r->scanned_stored = r->scanned;
        r->scan_more = true;
        r->scan_ms = ok ? 0 : s->e->now_ms + RECALL_BACKOFF_MS;
        find_work(s, true);
        return;
    }
    struct peer *p = find_peer(s, st->who);
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
        send_rely(s, done.session, st->origin, st->leaf, true);
        hurry(s, p); /* if it is recalled already */
        break;
    case RECALL_STORE_HEARD:
        send_acknowledged(s, done.session, st->origin, st->leaf, st->by);
        break;
    case RECALL_STORE_FOUND:
        if (strcmp(p->institution, r->options.institution) != 0) {
            give_work(s, p);
        }
        break;
    case RECALL_STORE_ACKNOWLEDGED:
    case RECALL_STORE_KEPT:
        answered(s, p);
        break;
    case RECALL_STORE_SCAN:
        break;
    }
}

/* ---- telling ---- */

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
            send_rely(s, p->session, p->rely.origin, p->rely.leaf, false);
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
            if (made == STATUS_OK && send_bytes(s, p->session, FRAME_RECALL, bytes, count)) {
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
        struct recall_action *a = act(s, RECALL_DIAL);
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

static void
try_peers(struct step *s)
{
    unsigned dials = 0;
    for (size_t i = 0; i < s->r->peer_count; i++) {
        struct peer *p = &s->r->peers[i];
        if (p->work && s->e->now_ms >= p->due_ms) {
            try_peer(s, p, &dials);
        }
    }
}

/* ---- our own log ---- */

static enum status
begin_scan(struct recall *r, struct store_txn *txn)
{
    struct recall_row row = recall_row_of(RECALL_SCANNED, "", r->options.pub_origin, 0);
    enum status st = recall_row_get(txn, r->options.network, &row);
    memcpy(r->pub, r->options.pub_origin, strlen(r->options.pub_origin) + 1);
    r->scanned = st == STATUS_OK ? row.by : 0;
    r->scanned_stored = r->scanned;
    r->scan_more = true;
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* Does another, or did a decision here, rely on this leaf of ours? */
static enum status
is_relied_on(struct step *s, uint64_t leaf, bool *any)
{
    const char *network = s->r->options.network;
    enum status st = recall_row_any(s->e->txn, network, RECALL_LEAF,
                                    recall_row_of(RECALL_RELYING, "", s->r->pub, leaf), any);
    return st == STATUS_OK && !*any
               ? recall_row_any(s->e->txn, network, RECALL_LEAF,
                                recall_row_of(RECALL_USE, "", s->r->pub, leaf), any)
               : st;
}

/* Does nobody rely on anything of ours?  Then there is nothing to look for: who says
 * so later is told by what stands then. */
static bool
is_idle(struct step *s)
{
    const char *network = s->r->options.network;
    bool any = false;
    enum status st = recall_row_any(s->e->txn, network, RECALL_ALL,
                                    recall_row_of(RECALL_RELYING, "", "", 0), &any);
    if (st == STATUS_OK && !any) {
        st = recall_row_any(s->e->txn, network, RECALL_FIRST,
                            recall_row_of(RECALL_USE, "", s->r->pub, 0), &any);
    }
    s->status = st == STATUS_OK ? s->status : st;
    return st == STATUS_OK && !any;
}

/* Does somebody rely on what an entry of [from, to) replaces?  *found is the first
 * such entry. */
static enum status
look_at(struct step *s, uint32_t log, uint64_t from, uint64_t to, uint64_t *found)
{
    struct view entries[TILE_HASHES];
    *found = to;
    for (uint64_t i = from; i < to;) {
        size_t want = to - i < TILE_HASHES ? (size_t)(to - i) : TILE_HASHES;
        size_t got = 0;
        enum status st = store_entries_get(s->e->txn, log, i, want, entries, &got);
        if (st != STATUS_OK || got == 0) {
            return st == STATUS_OK ? STATUS_CORRUPT : st;
        }
        for (size_t k = 0; k < got; k++) {
            struct recall_entry e;
            bool any = false;
            if (entries[k].count > 0 && entries[k].bytes[0] == PUBLISH_TAG) {
                continue; /* field 1 comes first: neither Correct nor Withdraw */
            }
            if (recall_entry_read(entries[k], &e) != STATUS_OK || !e.replaces_one) {
                continue;
            }
            st = is_relied_on(s, e.replaces, &any);
            if (st != STATUS_OK || any) {
                *found = i + k;
                return st;
            }
        }
        i += got;
    }
    return STATUS_OK;
}

static void
scan(struct step *s)
{
    struct recall *r = s->r;
    struct store_log log;
    if (strcmp(r->pub, r->options.pub_origin) != 0 && r->scan_ticket == 0) {
        s->status = begin_scan(r, s->e->txn);
    }
    if (r->scan_ticket != 0 || !r->scan_more || s->e->now_ms < r->scan_ms ||
        s->status != STATUS_OK) {
        return;
    }
    enum status st = store_log_find(s->e->txn, text_view(r->pub), &log);
    if (st != STATUS_OK || r->scanned >= log.size) {
        r->scan_more = false;
        s->status = st == STATUS_NOT_FOUND ? STATUS_OK : st;
        return;
    }
    uint64_t to = log.size - r->scanned > RECALL_SCAN_ENTRIES ? r->scanned + RECALL_SCAN_ENTRIES
                                                              : log.size;
    uint64_t found = to;
    if (is_idle(s)) {
        to = found = log.size;
    } else if (s->status == STATUS_OK) {
        s->status = look_at(s, log.id, r->scanned, to, &found);
    }
    if (s->status != STATUS_OK) {
        r->scan_more = false;
        return;
    }
    if (found == to) {
        r->scanned = to;
        r->scan_more = to < log.size;
    }
    bool far = r->scanned - r->scanned_stored >= 16 * RECALL_SCAN_ENTRIES;
    if (found == to && !far) {
        return; /* after a start it is looked at again */
    }
    struct recall_store store =
        store_of(RECALL_STORE_SCAN, r->options.institution, r->pub, found, 0);
    store.to = found == to ? found : to;
    struct ticket *t = write_for(s, NULL, 0, &store);
    r->scan_ticket = t == NULL ? 0 : t->number;
}

/* ---- what our copies of the logs say of what we relied on ---- */

static void
sweep_one(struct step *s)
{
    struct recall *r = s->r;
    struct origin o;
    uint64_t by;
    uint64_t heard_ms;
    uint8_t what;
    struct recall_row row = recall_row_of(RECALL_HEARD, "", r->sweep.origin, r->sweep.leaf);
    if (has_row(s, &row) || origin_parse(text_view(r->sweep.origin), &o) != STATUS_OK) {
        return;
    }
    enum status st = recall_known(s->e->txn, r->options.network, r->sweep.origin, r->sweep.leaf,
                                  &by, &what, &heard_ms);
    if (st != STATUS_OK) {
        s->status = st == STATUS_NOT_FOUND ? s->status : st;
        return;
    }
    struct recall_store store =
        store_of(RECALL_STORE_FOUND, o.institution, r->sweep.origin, r->sweep.leaf, by);
    store.what = what;
    if (!is_under_way(r, &store) && write_for(s, NULL, 0, &store) != NULL) {
        r->sweep_writes++;
    }
}

static void
sweep(struct step *s)
{
    struct recall *r = s->r;
    if (s->e->now_ms < r->sweep_ms || r->sweep_writes > 0) {
        return;
    }
    if (!r->sweep_on) {
        r->sweep = recall_row_of(RECALL_USE, "", "", 0);
        r->sweep_begun = false;
        r->sweep_on = true;
    }
    for (int i = 0; i < RECALL_SWEEP_ROWS && s->status == STATUS_OK; i++) {
        struct recall_row last = r->sweep;
        enum status st = recall_row_next(s->e->txn, r->options.network, RECALL_ALL, &r->sweep,
                                         &r->sweep_begun);
        if (st != STATUS_OK) {
            s->status = st == STATUS_NOT_FOUND ? s->status : st;
            r->sweep_on = false;
            r->sweep_ms = s->e->now_ms + RECALL_SWEEP_MS;
            return;
        }
        if (strcmp(last.origin, r->sweep.origin) != 0 || last.leaf != r->sweep.leaf) {
            sweep_one(s);
        }
    }
    r->sweep_ms = s->e->now_ms + RECALL_SWEEP_PACE_MS; /* years of use: no hurry */
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
    struct step s = {.r = r, .e = &e, .u = &u, .status = begin_scan(r, txn)};
    if (s.status == STATUS_OK) {
        find_work(&s, false);
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
    struct peer *p = find_peer(s, s->e->institution);
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
        take_frame(&s);
        break;
    case RECALL_STORED:
        stored(&s);
        break;
    case RECALL_CHANGED:
        r->scan_more = true;
        find_work(&s, false);
        break;
    case RECALL_TICK:
        break;
    }
    scan(&s);
    sweep(&s);
    try_peers(&s);
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
