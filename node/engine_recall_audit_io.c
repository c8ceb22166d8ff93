/* engine_recall_audit_io.c: all exchange logs that this home holds, read for recalls:
 * the regulator's list.  A part in each turn, so that the daemon goes on. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/decision_input.h"
#include "node/engine_recall.h"
#include "node/logwalk.h"
#include "node/recall_audit.h"
#include "node/recall_proof.h"
#include "proto/text.h"

enum { ENTRIES_A_TURN = 1024 };

struct recall_reading {
    struct recall_reading *next;
    struct network *network;
    struct call_sink *sink;
    struct recall_audit *audit;
    struct store_txn *txn; /* of the turn */
    bool json;
    uint64_t hours;
    char origin[ORIGIN_CHARS_MAX + 1]; /* that is being read; "": none yet */
    char author[INSTITUTION_CHARS_MAX + 1];
    uint32_t log;
    uint64_t at, size;
    size_t logs;
    uint64_t entries;
};

static bool
replaced(void *ctx, const char *origin, uint64_t leaf, uint64_t *by)
{
    struct recall_reading *r = ctx;
    struct store_log log;
    bool withdraw;
    return store_log_find(r->txn, text_view(origin), &log) == STATUS_OK &&
           recall_replaced(r->txn, log.id, leaf, by, &withdraw) == STATUS_OK;
}

static void
reading_free(struct engine *e, struct recall_reading *r)
{
    for (struct recall_reading **at = &e->recall_readings; *at != NULL; at = &(*at)->next) {
        if (*at == r) {
            *at = r->next;
            break;
        }
    }
    recall_audit_close(r->audit);
    free(r);
}

void
engine_recall_audit_free(struct engine *e)
{
    while (e->recall_readings != NULL) {
        reading_free(e, e->recall_readings);
    }
}

void
engine_recall_audit(struct network *n, const json_t *args, struct call_sink *sink)
{
    struct recall_reading *r = calloc(1, sizeof *r);
    if (r == NULL || recall_audit_open(n->name, replaced, r, &r->audit) != STATUS_OK) {
        free(r);
        engine_text(sink, true, "huren: recall: %s\n", status_text(STATUS_NO_MEMORY));
        sink->done(sink->ctx, 2);
        return;
    }
    r->network = n;
    r->sink = sink;
    r->json = json_is_true(json_object_get(args, "json"));
    r->hours = engine_recall_hours(n, args);
    r->next = n->engine->recall_readings;
    n->engine->recall_readings = r;
}

/* The next exchange log of the network.  STATUS_NOT_FOUND: that was the last. */
static enum status
next_log(struct recall_reading *r)
{
    struct store_log log;
    struct origin o;
    enum status st;
    do {
        st = logwalk_next(r->txn, r->network->name, ORIGIN_EXCH, r->origin, &log, &o);
    } while (st == STATUS_OK && log.size == 0);
    if (st == STATUS_OK) {
        memcpy(r->author, o.institution, sizeof r->author);
        r->log = log.id;
        r->at = 0;
        r->size = log.size;
        r->logs++;
    }
    return st;
}

/* ---- the list ---- */

static json_t *
time_json(uint64_t ms)
{
    char text[26];
    if (ms == 0) {
        return json_null();
    }
    decision_time((int64_t)(ms / 1000), text);
    return json_string(text);
}

static void
print_case(struct recall_reading *r, const struct recall_case *c, enum recall_judgement j)
{
    char at[26] = "";
    if (r->json) {
        json_t *o = json_pack(
            "{s:s,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:o,s:o}", "state", recall_judgement_text(j),
            "issuer", c->issuer, "institution", c->who, "origin", c->origin, "leaf",
            (json_int_t)c->leaf, "by", (json_int_t)c->by, "relied_at", time_json(c->relied_ms),
            "told_at", time_json(c->told_ms), "heard_at", time_json(c->heard_ms),
            "acknowledged_at", time_json(c->acknowledged_ms));
        engine_json(r->sink, o);
        json_decref(o);
        return;
    }
    decision_time((int64_t)((c->told_ms != 0 ? c->told_ms : c->relied_ms) / 1000), at);
    if (j == RECALL_OVERDUE) {
        engine_text(r->sink, false,
                    "OVERDUE: %s told %s on %s that leaf %" PRIu64 " of %s is replaced by leaf "
                    "%" PRIu64 "; no acknowledgement is logged%s\n",
                    c->issuer, c->who, at, c->leaf, c->origin, c->by,
                    c->heard_ms != 0 ? ", but its own log has the notice" : "");
    } else if (j == RECALL_UNCONFIRMED) {
        engine_text(r->sink, false,
                    "UNCONFIRMED: the log of %s says that %s acknowledged that leaf %" PRIu64
                    " of %s is replaced by leaf %" PRIu64
                    "; its own log, as it is held here, has no such notice\n",
                    c->issuer, c->who, c->leaf, c->origin, c->by);
    } else {
        engine_text(r->sink, false,
                    "NOT TOLD: %s relied on leaf %" PRIu64 " of %s on %s; it is replaced by "
                    "leaf %" PRIu64 ", and the log of %s tells it nothing\n",
                    c->who, c->leaf, c->origin, at, c->by, c->issuer);
    }
}

static void
finish(struct recall_reading *r, enum status st)
{
    struct engine *e = r->network->engine;
    struct call_sink *sink = r->sink;
    size_t bad = 0;
    size_t counts[RECALL_NOT_TOLD + 1] = {0};
    uint64_t now = (uint64_t)engine_now_ms();
    if (st != STATUS_NOT_FOUND) {
        engine_text(sink, true, "huren: recall: reading %s: %s\n", r->origin, status_text(st));
    }
    for (size_t i = 0; st == STATUS_NOT_FOUND && i < recall_audit_count(r->audit); i++) {
        const struct recall_case *c = recall_audit_get(r->audit, i);
        enum recall_judgement j = recall_judge(c, now, r->hours);
        counts[j]++;
        if (j != RECALL_CLOSED && j != RECALL_WAITING) {
            print_case(r, c, j);
            bad++;
        }
    }
    if (st == STATUS_NOT_FOUND && !r->json) {
        engine_text(sink, false,
                    "%zu overdue, %zu not told, %zu unconfirmed, %zu waiting, %zu "
                    "acknowledged; read %" PRIu64 " entries of %zu exchange log%s\n",
                    counts[RECALL_OVERDUE], counts[RECALL_NOT_TOLD], counts[RECALL_UNCONFIRMED],
                    counts[RECALL_WAITING], counts[RECALL_CLOSED], r->entries, r->logs,
                    r->logs == 1 ? "" : "s");
    }
    reading_free(e, r);
    sink->done(sink->ctx, st != STATUS_NOT_FOUND ? 2 : bad > 0 ? 1 : 0);
}

static enum status
read_some(struct recall_reading *r)
{
    enum status st = STATUS_OK;
    for (int i = 0; st == STATUS_OK && i < ENTRIES_A_TURN; i++) {
        struct view entry;
        if (r->at == r->size && (st = next_log(r)) != STATUS_OK) {
            return st;
        }
        st = store_entry_get(r->txn, r->log, r->at, &entry);
        st = st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
        st = st == STATUS_OK ? recall_audit_add(r->audit, r->author, entry) : st;
        r->at++;
        r->entries++;
    }
    return st;
}

void
engine_recall_audit_tick(struct engine *e)
{
    struct recall_reading *next;
    for (struct recall_reading *r = e->recall_readings; r != NULL; r = next) {
        next = r->next;
        enum status st = store_begin_read(e->store, &r->txn);
        if (st == STATUS_OK) {
            st = read_some(r);
            store_abort(r->txn);
        }
        if (st != STATUS_OK) {
            finish(r, st);
        }
    }
}
