/* recall_frame.c: RELY and RECALL as they come. */
#include <string.h>

#include "node/origin.h"
#include "node/recall_proof.h"
#include "node/recall_state.h"
#include "proto/frame.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/log.h"

enum { KEYS_MAX = 8 };

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
        recall_complain(s, p, "says that it relies on a result that was never published here");
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct recall_row row = recall_row_of(kinds[i], p->institution, origin, leaf);
        if (recall_has_row(s, &row)) {
            recall_send_rely(s, s->e->session, origin, leaf, true);
            if (kinds[i] == RECALL_TELLING) {
                recall_peer_hurry(s, p); /* it asks, so it is there */
            }
            return;
        }
    }
    struct recall_store store =
        recall_store_of(RECALL_STORE_RELYING, p->institution, origin, leaf, 0);
    if (s->status != STATUS_OK || recall_under_way(s->r, &store)) {
        return;
    }
    if (!recall_peer_budget(s, p) || recall_write(s, p, s->e->session, &store) == NULL) {
        recall_complain(s, p,
                        "sends more at once than is taken; it will be asked to repeat it");
    }
}

static void
take_kept(struct step *s, struct peer *p, const char *origin, uint64_t leaf)
{
    struct recall_row row = recall_row_of(RECALL_RELY_OPEN, p->institution, origin, leaf);
    struct recall_store store =
        recall_store_of(RECALL_STORE_KEPT, p->institution, origin, leaf, 0);
    if (recall_has_row(s, &row) && !recall_under_way(s->r, &store)) {
        (void)recall_write(s, p, s->e->session, &store);
    }
}

static void
take_acknowledged(struct step *s, struct peer *p, const char *origin, uint64_t old, uint64_t by)
{
    struct recall_row row = recall_row_of(RECALL_TELLING, p->institution, origin, old);
    struct recall_store store =
        recall_store_of(RECALL_STORE_ACKNOWLEDGED, p->institution, origin, old, by);
    if (recall_has_row(s, &row) && row.by == by) {
        if (!recall_under_way(s->r, &store)) {
            (void)recall_write(s, p, s->e->session, &store);
        }
        return;
    }
    row = recall_row_of(RECALL_TOLD, p->institution, origin, old);
    if (!recall_has_row(s, &row) || row.by != by) {
        recall_complain(s, p, "acknowledges a recall that it was not told of");
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
    if (recall_has_row(s, &row) && row.by <= m->by->index) {
        if (row.by == m->by->index) {
            recall_send_acknowledged(s, s->e->session, row.origin, row.leaf, row.by);
        } else {
            recall_complain(s, p, "recalls a result a second time");
        }
        return;
    }
    struct recall_store store = recall_store_of(RECALL_STORE_HEARD, p->institution,
                                                m->old->origin, m->old->index, m->by->index);
    if (s->status != STATUS_OK || recall_under_way(s->r, &store)) {
        return;
    }
    if (!recall_peer_budget(s, p)) {
        recall_complain(s, p, "recalls more at once than is taken; it will have to repeat it");
        return;
    }
    size_t count =
        s->r->options.log_keys(s->r->options.ctx, text_view(m->by->origin), keys, KEYS_MAX);
    enum status st = recall_proof_check(m, keys, count, s->e->now_s, &what);
    if (st != STATUS_OK || contradicts(s, m, &what)) {
        recall_complain(s, p, "sent a recall that its log does not show");
        return;
    }
    store.what = what.withdraw ? 2 : 1;
    (void)recall_write(s, p, s->e->session, &store);
}

void
recall_take_frame(struct step *s)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    bool rely = s->e->kind == FRAME_RELY;
    struct peer *p = recall_peer_find(s, s->e->institution);
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
        recall_complain(s, p, "sent a recall or reliance that cannot be read");
    } else if (a != NULL && !a->kept && is_log_of(s, a->leaf->origin, us)) {
        take_rely(s, p, a->leaf->origin, a->leaf->index);
    } else if (a != NULL && a->kept && is_log_of(s, a->leaf->origin, p->institution)) {
        take_kept(s, p, a->leaf->origin, a->leaf->index);
    } else if (b != NULL && b->acknowledged && is_log_of(s, b->old->origin, us)) {
        take_acknowledged(s, p, b->old->origin, b->old->index, b->by->index);
    } else if (b != NULL && !b->acknowledged && is_log_of(s, b->old->origin, p->institution)) {
        take_recall(s, p, b);
    } else {
        recall_complain(s, p, "speaks of results that it did not issue, or that are not ours");
    }
    pb_free(&arena);
}
