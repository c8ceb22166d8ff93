/* recall_scan.c: what was replaced: in our own log, and by our copies of the others'. */
#include <string.h>

#include "node/origin.h"
#include "node/recall_proof.h"
#include "node/recall_state.h"
#include "proto/text.h"
#include "store/log.h"

enum { PUBLISH_TAG = 0x0a };

/* ---- our own log ---- */

enum status
recall_scan_begin(struct recall *r, struct store_txn *txn)
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

void
recall_scan_some(struct step *s)
{
    struct recall *r = s->r;
    struct store_log log;
    if (strcmp(r->pub, r->options.pub_origin) != 0 && r->scan_ticket == 0) {
        s->status = recall_scan_begin(r, s->e->txn);
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
        recall_store_of(RECALL_STORE_SCAN, r->options.institution, r->pub, found, 0);
    store.to = found == to ? found : to;
    struct ticket *t = recall_write(s, NULL, 0, &store);
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
    if (recall_has_row(s, &row) || origin_parse(text_view(r->sweep.origin), &o) != STATUS_OK) {
        return;
    }
    enum status st = recall_known(s->e->txn, r->options.network, r->sweep.origin, r->sweep.leaf,
                                  &by, &what, &heard_ms);
    if (st != STATUS_OK) {
        s->status = st == STATUS_NOT_FOUND ? s->status : st;
        return;
    }
    struct recall_store store =
        recall_store_of(RECALL_STORE_FOUND, o.institution, r->sweep.origin, r->sweep.leaf, by);
    store.what = what;
    if (!recall_under_way(r, &store) && recall_write(s, NULL, 0, &store) != NULL) {
        r->sweep_writes++;
    }
}

void
recall_sweep_some(struct step *s)
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
