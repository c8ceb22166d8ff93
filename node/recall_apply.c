/* recall_apply.c: the store's side of recall.h. */
#include <string.h>

#include "node/origin.h"
#include "node/recall.h"
#include "node/recall_proof.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/log.h"

enum {
    SIDE_TOLD = 1,
    SIDE_WAS_TOLD = 2,
    SIDE_ACKNOWLEDGED = 3,
    SIDE_WE_RELY = 1,
    SIDE_THEY_RELY = 2,
    CHAIN_MAX = 64,     /* corrections of corrections followed at once */
    TOLD_AT_ONCE = 4096 /* notices begun in one transaction */
};

/* ---- entries of the exch log ---- */

static enum status
append(struct store_txn *txn, const struct recall_place *p, const Hr__ExchEntry *e)
{
    uint8_t bytes[2048];
    size_t count;
    enum status st = pb_pack(&e->base, bytes, sizeof bytes, &count);
    return st == STATUS_OK ? p->append(p->ctx, txn, (struct view){bytes, count}) : st;
}

static enum status
append_relied(struct store_txn *txn, const struct recall_place *p, const char *origin,
              uint64_t index, const char *who, uint32_t side)
{
    Hr__ExchEntry e;
    Hr__Relied m;
    Hr__Leaf leaf;
    hr__exch_entry__init(&e);
    hr__relied__init(&m);
    hr__leaf__init(&leaf);
    leaf.origin = (char *)(uintptr_t)origin;
    leaf.index = index;
    m.at_ms = p->at_ms;
    m.leaf = &leaf;
    m.institution = (char *)(uintptr_t)who;
    m.side = side;
    e.what_case = HR__EXCH_ENTRY__WHAT_RELIED;
    e.relied = &m;
    return append(txn, p, &e);
}

static enum status
append_recalled(struct store_txn *txn, const struct recall_place *p, const char *origin,
                uint64_t old, uint64_t by, const char *who, uint32_t side)
{
    Hr__ExchEntry e;
    Hr__Recalled m;
    Hr__Leaf leaves[2];
    hr__exch_entry__init(&e);
    hr__recalled__init(&m);
    for (size_t i = 0; i < 2; i++) {
        hr__leaf__init(&leaves[i]);
        leaves[i].origin = (char *)(uintptr_t)origin;
        leaves[i].index = i == 0 ? old : by;
    }
    m.at_ms = p->at_ms;
    m.old = &leaves[0];
    m.by = &leaves[1];
    m.institution = (char *)(uintptr_t)who;
    m.side = side;
    e.what_case = HR__EXCH_ENTRY__WHAT_RECALLED;
    e.recalled = &m;
    return append(txn, p, &e);
}

/* ---- the issuer ---- */

/* Is there a row of this name? */
static enum status
has(struct store_txn *txn, const struct recall_place *p, struct recall_row key, bool *there)
{
    enum status st = recall_row_get(txn, p->network, &key);
    *there = st == STATUS_OK;
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* Have we heard from `who` about this leaf before, in any way? */
static enum status
is_noted(struct store_txn *txn, const struct recall_place *p, const char *who,
         const char *origin, uint64_t leaf, bool *there)
{
    static const enum recall_kind kinds[] = {RECALL_RELYING, RECALL_TELLING, RECALL_TOLD};
    enum status st = STATUS_OK;
    *there = false;
    for (size_t i = 0; st == STATUS_OK && !*there && i < sizeof kinds / sizeof *kinds; i++) {
        st = has(txn, p, recall_row_of(kinds[i], who, origin, leaf), there);
    }
    return st;
}

/* `who` relies on a leaf of our log: if it stands, remember; if not, tell.  Who is
 * told of a correction relies on that one, and so on. */
static enum status
relies(struct store_txn *txn, const struct recall_place *p, uint32_t log, const char *origin,
       uint64_t leaf, const char *who)
{
    enum status st = STATUS_OK;
    for (int i = 0; st == STATUS_OK && i < CHAIN_MAX; i++) {
        bool noted;
        bool withdraw = false;
        uint64_t by = 0;
        st = is_noted(txn, p, who, origin, leaf, &noted);
        if (st != STATUS_OK || noted) {
            return st;
        }
        st = recall_replaced(txn, log, leaf, &by, &withdraw);
        if (st == STATUS_NOT_FOUND) {
            struct recall_row row = recall_row_of(RECALL_RELYING, who, origin, leaf);
            row.at_ms = p->at_ms;
            return recall_row_put(txn, p->network, &row);
        }
        if (st == STATUS_OK) {
            struct recall_row row = recall_row_of(RECALL_TELLING, who, origin, leaf);
            row.by = by;
            row.at_ms = p->at_ms;
            st = recall_row_put(txn, p->network, &row);
        }
        st = st == STATUS_OK ? append_recalled(txn, p, origin, leaf, by, who, SIDE_TOLD) : st;
        if (withdraw) {
            return st;
        }
        leaf = by;
    }
    return st;
}

static enum status
own_log(struct store_txn *txn, const struct recall_place *p, const char *origin,
        struct store_log *log)
{
    struct origin o;
    enum status st = origin_parse(text_view(origin), &o);
    if (st != STATUS_OK || o.log != ORIGIN_PUB || strcmp(o.institution, p->institution) != 0) {
        return STATUS_NOT_FOUND;
    }
    return store_log_find(txn, text_view(origin), log);
}

enum status
recall_note_given(struct store_txn *txn, const struct recall_place *p, const char *origin,
                  uint64_t leaf, const char *who, uint64_t checked_size)
{
    struct store_log log;
    enum status st = own_log(txn, p, origin, &log);
    if (st == STATUS_OK && log.size <= checked_size) {
        struct recall_row row = recall_row_of(RECALL_RELYING, who, origin, leaf);
        row.at_ms = p->at_ms;
        return recall_row_put(txn, p->network, &row);
    }
    return st == STATUS_OK ? relies(txn, p, log.id, origin, leaf, who) : st;
}

static enum status
store_relying(struct store_txn *txn, const struct recall_place *p, const struct recall_store *s)
{
    struct store_log log;
    bool noted;
    enum status st = own_log(txn, p, s->origin, &log);
    st = st == STATUS_OK ? is_noted(txn, p, s->who, s->origin, s->leaf, &noted) : st;
    if (st != STATUS_OK || noted) {
        return st;
    }
    st = append_relied(txn, p, s->origin, s->leaf, s->who, SIDE_THEY_RELY);
    return st == STATUS_OK ? relies(txn, p, log.id, s->origin, s->leaf, s->who) : st;
}

static enum status
store_heard(struct store_txn *txn, const struct recall_place *p, const struct recall_store *s)
{
    struct recall_row row = recall_row_of(RECALL_HEARD, "", s->origin, s->leaf);
    enum status st = recall_row_get(txn, p->network, &row);
    if (st == STATUS_OK && row.by <= s->by) {
        return STATUS_OK; /* the first replacement counts */
    }
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        return st;
    }
    row.by = s->by;
    row.at_ms = p->at_ms;
    row.what = s->what;
    st = recall_row_put(txn, p->network, &row);
    return st == STATUS_OK
               ? append_recalled(txn, p, s->origin, s->leaf, s->by, s->who, SIDE_WAS_TOLD)
               : st;
}

/* Everybody who relies on what entry `by` replaces is to be told. */
static enum status
tell_all(struct store_txn *txn, const struct recall_place *p, uint32_t log, const char *origin,
         uint64_t by, size_t *told)
{
    struct view bytes;
    struct recall_entry e;
    enum status st = store_entry_get(txn, log, by, &bytes);
    if (st != STATUS_OK || recall_entry_read(bytes, &e) != STATUS_OK || !e.replaces_one) {
        return st;
    }
    bool begun = false;
    struct recall_row row = recall_row_of(RECALL_RELYING, "", origin, e.replaces);
    while ((st = recall_row_next(txn, p->network, RECALL_LEAF, &row, &begun)) == STATUS_OK) {
        uint64_t first;
        bool withdraw;
        if ((st = recall_replaced(txn, log, row.leaf, &first, &withdraw)) == STATUS_NOT_FOUND) {
            return STATUS_OK; /* it replaces nothing: another token */
        }
        st = st == STATUS_OK ? recall_row_drop(txn, p->network, &row) : st;
        st = st == STATUS_OK ? relies(txn, p, log, origin, row.leaf, row.who) : st;
        if (st != STATUS_OK) {
            return st;
        }
        ++*told;
    }
    bool used = false;
    if (st == STATUS_NOT_FOUND) {
        st = recall_row_any(txn, p->network, RECALL_LEAF,
                            recall_row_of(RECALL_USE, "", origin, e.replaces), &used);
    }
    if (st == STATUS_OK && used) { /* a decision here: we are told by ourselves */
        struct recall_store s = {.leaf = e.replaces, .by = by, .what = e.withdraw ? 2 : 1};
        memcpy(s.who, p->institution, strlen(p->institution) + 1);
        memcpy(s.origin, origin, strlen(origin) + 1);
        st = store_heard(txn, p, &s);
    }
    return st;
}

static enum status
store_scan(struct store_txn *txn, const struct recall_place *p, const struct recall_store *s)
{
    struct store_log log;
    size_t told = 0;
    uint64_t i = s->leaf;
    enum status st = own_log(txn, p, s->origin, &log);
    for (; st == STATUS_OK && i < s->to && told < TOLD_AT_ONCE; i++) {
        st = tell_all(txn, p, log.id, s->origin, i, &told);
    }
    struct recall_row row = recall_row_of(RECALL_SCANNED, "", s->origin, 0);
    row.by = i;
    return st == STATUS_OK ? recall_row_put(txn, p->network, &row) : st;
}

static enum status
store_acknowledged(struct store_txn *txn, const struct recall_place *p,
                   const struct recall_store *s)
{
    struct recall_row row = recall_row_of(RECALL_TELLING, s->who, s->origin, s->leaf);
    enum status st = recall_row_get(txn, p->network, &row);
    if (st != STATUS_OK || row.by != s->by) {
        return st == STATUS_NOT_FOUND ? STATUS_OK : st;
    }
    st = recall_row_drop(txn, p->network, &row);
    row.kind = RECALL_TOLD;
    row.then_ms = p->at_ms;
    st = st == STATUS_OK ? recall_row_put(txn, p->network, &row) : st;
    return st == STATUS_OK
               ? append_recalled(txn, p, s->origin, s->leaf, s->by, s->who, SIDE_ACKNOWLEDGED)
               : st;
}

/* ---- who relies ---- */

static enum status
put_rely_open(struct store_txn *txn, const struct recall_place *p, const char *issuer,
              const char *origin, uint64_t leaf)
{
    struct recall_row row = recall_row_of(RECALL_RELY_OPEN, issuer, origin, leaf);
    row.at_ms = p->at_ms;
    return recall_row_put(txn, p->network, &row);
}

static enum status
store_kept(struct store_txn *txn, const struct recall_place *p, const struct recall_store *s)
{
    struct recall_row row = recall_row_of(RECALL_RELY_OPEN, s->who, s->origin, s->leaf);
    enum status st = recall_row_drop(txn, p->network, &row);
    if (st != STATUS_OK) {
        return st == STATUS_NOT_FOUND ? STATUS_OK : st;
    }
    row = recall_row_of(RECALL_RELIED, "", s->origin, s->leaf);
    st = recall_row_get(txn, p->network, &row);
    row.then_ms = p->at_ms;
    return st == STATUS_OK || st == STATUS_NOT_FOUND ? recall_row_put(txn, p->network, &row)
                                                     : st;
}

enum status
recall_rely(struct store_txn *txn, const struct recall_place *p, const char *origin,
            uint64_t leaf)
{
    struct origin o;
    bool there;
    enum status st = origin_parse(text_view(origin), &o);
    if (st != STATUS_OK || o.log != ORIGIN_PUB || strcmp(o.institution, p->institution) == 0) {
        return STATUS_OK; /* our own: nobody else is to be told */
    }
    struct recall_row row = recall_row_of(RECALL_RELIED, "", origin, leaf);
    st = has(txn, p, row, &there);
    if (st != STATUS_OK || there) {
        return st;
    }
    row.at_ms = p->at_ms;
    st = recall_row_put(txn, p->network, &row);
    st = st == STATUS_OK ? put_rely_open(txn, p, o.institution, origin, leaf) : st;
    return st == STATUS_OK ? append_relied(txn, p, origin, leaf, o.institution, SIDE_WE_RELY)
                           : st;
}

enum status
recall_note_use(struct store_txn *txn, const struct recall_place *p,
                const struct recall_row *use, bool answered)
{
    enum status st = recall_row_put(txn, p->network, use);
    return st == STATUS_OK && !answered ? recall_rely(txn, p, use->origin, use->leaf) : st;
}

static enum status
store_found(struct store_txn *txn, const struct recall_place *p, const struct recall_store *s)
{
    enum status st = store_heard(txn, p, s);
    return st == STATUS_OK && strcmp(s->who, p->institution) != 0
               ? put_rely_open(txn, p, s->who, s->origin, s->leaf)
               : st;
}

enum status
recall_apply(struct store_txn *txn, const struct recall_place *place,
             const struct recall_store *s)
{
    switch (s->type) {
    case RECALL_STORE_RELYING:
        return store_relying(txn, place, s);
    case RECALL_STORE_SCAN:
        return store_scan(txn, place, s);
    case RECALL_STORE_ACKNOWLEDGED:
        return store_acknowledged(txn, place, s);
    case RECALL_STORE_HEARD:
        return store_heard(txn, place, s);
    case RECALL_STORE_FOUND:
        return store_found(txn, place, s);
    case RECALL_STORE_KEPT:
        return store_kept(txn, place, s);
    }
    return STATUS_MALFORMED;
}

/* ---- questions ---- */

enum status
recall_known(struct store_txn *txn, const char *network, const char *origin, uint64_t leaf,
             uint64_t *by, uint8_t *what, uint64_t *heard_ms)
{
    struct store_log log;
    bool withdraw = false;
    struct recall_row row = recall_row_of(RECALL_HEARD, "", origin, leaf);
    enum status st = recall_row_get(txn, network, &row);
    *heard_ms = row.at_ms;
    *by = row.by;
    *what = row.what;
    if (st == STATUS_NOT_FOUND) {
        st = store_log_find(txn, text_view(origin), &log);
        st = st == STATUS_OK ? recall_replaced(txn, log.id, leaf, by, &withdraw) : st;
        *what = withdraw ? 2 : 1;
    }
    return st;
}

enum status
recall_last_use(struct store_txn *txn, const char *network, const char *origin, uint64_t leaf,
                uint64_t *at_ms)
{
    struct recall_row row = recall_row_of(RECALL_USE, "", origin, leaf);
    bool begun = false;
    enum status st;
    *at_ms = 0;
    while ((st = recall_row_next(txn, network, RECALL_LEAF, &row, &begun)) == STATUS_OK) {
        *at_ms = row.at_ms > *at_ms ? row.at_ms : *at_ms;
    }
    return st == STATUS_NOT_FOUND && *at_ms != 0 ? STATUS_OK : st;
}
