/* engine_recall_list_io.c: what this home told others of its own results, and was
 * told of theirs.  No patient: leaves, decisions, salted questions. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/decision_input.h"
#include "node/engine_recall.h"
#include "node/origin.h"
#include "node/recall_proof.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"

enum { ROWS_MAX = 10000, USES_MAX = 256, COUNT_MAX = 1000000 };

uint64_t
engine_recall_hours(const struct network *n, const json_t *args)
{
    json_t *given = json_object_get(args, "hours");
    if (json_is_integer(given) && json_integer_value(given) >= 0) {
        return (uint64_t)json_integer_value(given);
    }
    return n->config != NULL && n->config->recall_hours != 0 ? n->config->recall_hours
                                                             : RECALL_OVERDUE_HOURS;
}

static bool
is_overdue(const struct recall_row *row, uint64_t hours)
{
    uint64_t now = (uint64_t)engine_now_ms();
    return now >= row->at_ms && now - row->at_ms >= hours * UINT64_C(3600000);
}

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

/* ---- of ours ---- */

static const char *
word(uint8_t what)
{
    return what == 2 ? "withdrawn" : "corrected";
}

static uint8_t
what_is(struct store_txn *txn, const char *origin, uint64_t by)
{
    struct store_log log;
    struct view bytes;
    struct recall_entry e;
    return store_log_find(txn, text_view(origin), &log) == STATUS_OK &&
                   store_entry_get(txn, log.id, by, &bytes) == STATUS_OK &&
                   recall_entry_read(bytes, &e) == STATUS_OK && e.withdraw
               ? 2
               : 1;
}

static json_t *
told_json(struct store_txn *txn, const struct recall_row *row, uint64_t hours)
{
    bool open = row->kind == RECALL_TELLING;
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:o,s:o,s:b}", "side", "told", "institution",
                     row->who, "origin", row->origin, "leaf", (json_int_t)row->leaf, "by",
                     (json_int_t)row->by, "what", word(what_is(txn, row->origin, row->by)),
                     "told_at", time_json(row->at_ms), "acknowledged_at",
                     time_json(open ? 0 : row->then_ms), "overdue",
                     open && is_overdue(row, hours));
}

/* ---- of others ---- */

/* The question (salted) of a Decided entry of ours. */
static void
add_question(struct store_txn *txn, const struct recall_row *use, json_t *o)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct view bytes;
    struct store_log log;
    char name[64] = "";
    char hex[2 * HASH_BYTES + 1] = "";
    if (use->exch == UINT64_MAX ||
        store_entry_get(txn, use->exch_log, use->exch, &bytes) != STATUS_OK ||
        store_log_get(txn, use->exch_log, &log) != STATUS_OK || log.origin.count < 8) {
        return;
    }
    snprintf(name, sizeof name, "%.8s/%" PRIu64,
             (const char *)log.origin.bytes + log.origin.count - 8, use->exch);
    json_object_set_new(o, "decided", json_string(name));
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) ==
        STATUS_OK) {
        const Hr__ExchEntry *e = (const Hr__ExchEntry *)m;
        if (e->what_case == HR__EXCH_ENTRY__WHAT_DECIDED &&
            e->decided->question.len == HASH_BYTES) {
            for (size_t i = 0; i < HASH_BYTES; i++) {
                snprintf(hex + 2 * i, 3, "%02x", e->decided->question.data[i]);
            }
            json_object_set_new(o, "question", json_string(hex));
        }
    }
    pb_free(&arena);
}

/* What the doctor did after any of the decisions of one look-up. */
static void
add_outcome(struct store_txn *txn, const char *network, const struct recall_row *use, json_t *o)
{
    json_object_set_new(o, "outcome", json_null());
    for (uint32_t i = 0; i < use->count && use->exch != UINT64_MAX; i++) {
        struct recall_row row = {
            .kind = RECALL_OUTCOME, .exch_log = use->exch_log, .exch = use->exch + i};
        if (recall_row_get(txn, network, &row) == STATUS_OK) {
            json_object_set_new(o, "outcome",
                                json_string(row.what == 1 ? "recognized" : "repeated"));
        }
    }
}

static enum status
uses_json(struct network *n, struct store_txn *txn, const struct recall_row *heard,
          json_t *list)
{
    struct recall_row use = recall_row_of(RECALL_USE, "", heard->origin, heard->leaf);
    bool begun = false;
    enum status st;
    while ((st = recall_row_next(txn, n->name, RECALL_LEAF, &use, &begun)) == STATUS_OK &&
           json_array_size(list) < USES_MAX) {
        json_t *o = json_pack("{s:s,s:o,s:I}", "item", use.item, "at", time_json(use.at_ms),
                              "decisions", (json_int_t)use.count);
        add_question(txn, &use, o);
        add_outcome(txn, n->name, &use, o);
        json_array_append_new(list, o);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static enum status
heard_json(struct network *n, struct store_txn *txn, const struct recall_row *row, json_t **out)
{
    struct origin o;
    json_t *uses = json_array();
    bool named = origin_parse(text_view(row->origin), &o) == STATUS_OK;
    enum status st = uses_json(n, txn, row, uses);
    *out = json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:o,s:o}", "side", "heard", "institution",
                     named ? o.institution : "", "origin", row->origin, "leaf",
                     (json_int_t)row->leaf, "by", (json_int_t)row->by, "what", word(row->what),
                     "heard_at", time_json(row->at_ms), "uses", uses);
    return st;
}

/* ---- printing ---- */

static const char *
text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s == NULL ? "" : s;
}

static void
print_told(struct call_sink *sink, const json_t *o)
{
    bool open = json_is_null(json_object_get(o, "acknowledged_at"));
    engine_text(sink, false,
                "told %s: leaf %" JSON_INTEGER_FORMAT
                " of %s was %s by leaf %" JSON_INTEGER_FORMAT ", logged %s; %s%s\n",
                text_of(o, "institution"), json_integer_value(json_object_get(o, "leaf")),
                text_of(o, "origin"), text_of(o, "what"),
                json_integer_value(json_object_get(o, "by")), text_of(o, "told_at"),
                open ? "NOT ACKNOWLEDGED" : "acknowledged ",
                json_is_true(json_object_get(o, "overdue")) ? ", OVERDUE"
                                                            : text_of(o, "acknowledged_at"));
}

static void
print_heard(struct call_sink *sink, const json_t *o)
{
    engine_text(sink, false,
                "heard from %s: leaf %" JSON_INTEGER_FORMAT
                " of %s was %s by leaf %" JSON_INTEGER_FORMAT ", logged %s\n",
                text_of(o, "institution"), json_integer_value(json_object_get(o, "leaf")),
                text_of(o, "origin"), text_of(o, "what"),
                json_integer_value(json_object_get(o, "by")), text_of(o, "heard_at"));
    json_t *uses = json_object_get(o, "uses");
    for (size_t i = 0; i < json_array_size(uses); i++) {
        json_t *u = json_array_get(uses, i);
        const char *outcome = text_of(u, "outcome");
        engine_text(sink, false, "    used: %s decided %s as %s, question %.16s%s%s\n",
                    text_of(u, "item"), text_of(u, "at"), text_of(u, "decided"),
                    text_of(u, "question"), outcome[0] == '\0' ? "" : ", ", outcome);
    }
    if (json_array_size(uses) == 0) {
        engine_text(sink, false, "    it was asked for, and no decision leaned on it\n");
    }
}

static void
print(struct call_sink *sink, bool json, json_t *o)
{
    if (json) {
        engine_json(sink, o);
    } else if (strcmp(text_of(o, "side"), "told") == 0) {
        print_told(sink, o);
    } else {
        print_heard(sink, o);
    }
    json_decref(o);
}

/* ---- the calls ---- */

struct lister {
    struct network *n;
    struct store_txn *txn;
    struct call_sink *sink;
    bool json;
    uint64_t hours;
    size_t printed, left_out, overdue;
};

static enum status
list_kind(struct lister *l, enum recall_kind kind)
{
    struct recall_row row = recall_row_of(kind, "", "", 0);
    bool begun = false;
    enum status st;
    while ((st = recall_row_next(l->txn, l->n->name, RECALL_ALL, &row, &begun)) == STATUS_OK) {
        json_t *o = NULL;
        l->overdue += kind == RECALL_TELLING && is_overdue(&row, l->hours);
        if (l->printed == ROWS_MAX) {
            l->left_out++;
            continue;
        }
        if (kind == RECALL_HEARD) {
            st = heard_json(l->n, l->txn, &row, &o);
        } else {
            o = told_json(l->txn, &row, l->hours);
        }
        print(l->sink, l->json, o);
        l->printed++;
        if (st != STATUS_OK) {
            return st;
        }
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static void
list(struct network *n, const json_t *args, struct call_sink *sink)
{
    struct lister l = {.n = n,
                       .sink = sink,
                       .json = json_is_true(json_object_get(args, "json")),
                       .hours = engine_recall_hours(n, args)};
    enum status st = store_begin_read(n->engine->store, &l.txn);
    if (st == STATUS_OK) {
        st = list_kind(&l, RECALL_TELLING);
        st = st == STATUS_OK ? list_kind(&l, RECALL_HEARD) : st;
        st = st == STATUS_OK && !json_is_true(json_object_get(args, "open"))
                 ? list_kind(&l, RECALL_TOLD)
                 : st;
        store_abort(l.txn);
    }
    if (st != STATUS_OK) {
        engine_text(sink, true, "huren: recall: reading the store: %s\n", status_text(st));
    } else if (l.left_out > 0) {
        engine_text(sink, true, "huren: recall: %zu more are not shown\n", l.left_out);
    } else if (l.printed == 0 && !l.json) {
        engine_text(sink, false, "nothing that anybody relied on was recalled\n");
    }
    sink->done(sink->ctx, st != STATUS_OK ? 2 : l.overdue > 0 ? 1 : 0);
}

void
engine_recall_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    const char *what = text_of(call->args, "what");
    struct network *n =
        engine_network(e, json_string_value(json_object_get(call->args, "network")));
    if (n == NULL) {
        engine_text(sink, true,
                    "huren: recall: name the network with --network; huren status lists "
                    "them\n");
        sink->done(sink->ctx, 2);
    } else if (strcmp(what, "overdue") == 0) {
        engine_recall_audit(n, call->args, sink);
    } else {
        list(n, call->args, sink);
    }
}

/* ---- for status ---- */

static enum status
count_kind(struct network *n, struct store_txn *txn, enum recall_kind kind, json_int_t *count,
           json_int_t *overdue)
{
    struct recall_row row = recall_row_of(kind, "", "", 0);
    bool begun = false;
    enum status st = STATUS_OK;
    uint64_t hours = engine_recall_hours(n, NULL);
    while (*count < COUNT_MAX &&
           (st = recall_row_next(txn, n->name, RECALL_ALL, &row, &begun)) == STATUS_OK) {
        ++*count;
        *overdue += is_overdue(&row, hours);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

json_t *
engine_recall_json(struct network *n)
{
    json_int_t open = 0;
    json_int_t overdue = 0;
    json_int_t heard = 0;
    json_int_t relies = 0;
    json_int_t ignored = 0;
    struct store_txn *txn;
    enum status st = store_begin_read(n->engine->store, &txn);
    if (st == STATUS_OK) {
        st = count_kind(n, txn, RECALL_TELLING, &open, &overdue);
        st = st == STATUS_OK ? count_kind(n, txn, RECALL_HEARD, &heard, &ignored) : st;
        st = st == STATUS_OK ? count_kind(n, txn, RECALL_RELY_OPEN, &relies, &ignored) : st;
        store_abort(txn);
    }
    if (st != STATUS_OK) {
        engine_say(n->engine, "%s: recalls: %s", n->name, status_text(st));
    }
    return json_pack("{s:I,s:I,s:I,s:I}", "outstanding", open, "overdue", overdue, "heard",
                     heard, "relies_open", relies);
}
