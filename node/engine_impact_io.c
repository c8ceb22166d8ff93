/* engine_impact_io.c: recognitions that leaned on quality facts which hold no more.
 *
 * A newer quality document starts a walk over our own exchange logs, those of before a
 * recovery included, a slice at each turn, so that look-ups do not wait for it.  How many
 * there are is kept; the list is made anew by `huren charter impact`, which walks all
 * exchange logs that an auditor holds when it is asked to. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"
#include "node/impact.h"
#include "node/logwalk.h"
#include "proto/bigend.h"
#include "proto/text.h"
#include "store/kv.h"

enum {
    SLICE_ENTRIES = 256,
    SLICE_MS = 5,
    SAID_MAX = 20, /* lines in the log of the daemon, and of an adoption */
    STATE_BYTES = 8 + HASH_BYTES + 4 * 8
};

struct impact_source {
    uint32_t id;
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t size;
};

struct impact_run {
    struct impact_run *next;
    struct network *network;
    struct charter *charter; /* our own: that of the network may be replaced */
    struct impact *machine;
    struct impact_source *logs;
    size_t log_count, log;     /* `log`: the one that is read, */
    uint64_t at;               /* and the next entry of it */
    bool again;                /* only for outcomes */
    bool all;                  /* logs of all members, not ours alone */
    struct impact_state state; /* what will be known */
    struct call_sink *sink;    /* NULL: nobody waits */
    bool json, listing;        /* asked for by `charter impact` */
    int exit_code;             /* of an adoption that waits */
};

struct impact_job {
    struct job job;
    struct network *network;
    uint8_t bytes[STATE_BYTES];
};

static const char NAME[] = "quality";

/* ---- what is known is kept ------------------------------------------------------------ */

static enum status
write_state(struct store_txn *txn, void *ctx)
{
    struct impact_job *j = ctx;
    return store_kv_put(txn, SPACE_IMPACT, text_view(j->network->name), text_view(NAME),
                        (struct view){j->bytes, sizeof j->bytes});
}

static void
state_done(void *ctx, enum status st)
{
    (void)st; /* without it the walk is done again after the next start */
    free(ctx);
}

static void
keep_state(struct network *n)
{
    struct impact_job *j = calloc(1, sizeof *j);
    const struct impact_state *s = &n->impact;
    if (j == NULL) {
        return;
    }
    j->network = n;
    put_be64(j->bytes, s->version);
    memcpy(j->bytes + 8, s->hash.bytes, HASH_BYTES);
    put_be64(j->bytes + 8 + HASH_BYTES, s->entries);
    put_be64(j->bytes + 16 + HASH_BYTES, s->count);
    put_be64(j->bytes + 24 + HASH_BYTES, s->recognized);
    put_be64(j->bytes + 32 + HASH_BYTES, s->untold);
    j->job = (struct job){.purpose = STORE_EXCHANGE,
                          .bytes = 512,
                          .write = write_state,
                          .done = state_done,
                          .ctx = j};
    engine_write(n->engine, &j->job);
}

static const struct charter_document *
quality_of(const struct network *n)
{
    return n->charter == NULL ? NULL : charter_document(n->charter, CHARTER_QUALITY);
}

void
engine_impact_open(struct network *n, struct store_txn *txn)
{
    struct view row;
    const struct charter_document *q = quality_of(n);
    struct impact_state *s = &n->impact;
    memset(s, 0, sizeof *s);
    if (store_kv_get(txn, SPACE_IMPACT, text_view(n->name), text_view(NAME), &row) ==
            STATUS_OK &&
        row.count == STATE_BYTES) {
        s->version = get_be64(row.bytes);
        memcpy(s->hash.bytes, row.bytes + 8, HASH_BYTES);
        s->entries = get_be64(row.bytes + 8 + HASH_BYTES);
        s->count = get_be64(row.bytes + 16 + HASH_BYTES);
        s->recognized = get_be64(row.bytes + 24 + HASH_BYTES);
        s->untold = get_be64(row.bytes + 32 + HASH_BYTES);
        s->known = q != NULL && hash_equal(&s->hash, &q->head.hash);
    }
    if (n->engine->daemon && q != NULL && !s->known) {
        engine_impact_start(n, NULL, false, 0);
    }
}

/* ---- starting --------------------------------------------------------------------------- */

static void
run_free(struct impact_run *run)
{
    impact_close(run->machine);
    charter_free(run->charter);
    free(run->logs);
    free(run);
}

static int
compare_sources(const void *a, const void *b)
{
    uint32_t x = ((const struct impact_source *)a)->id,
             y = ((const struct impact_source *)b)->id;
    return (x > y) - (x < y);
}

/* The exchange logs that are held, the one that was begun first in front. */
static enum status
find_logs(struct impact_run *run, struct store_txn *txn)
{
    const struct network *n = run->network;
    size_t room = 0;
    char at[ORIGIN_CHARS_MAX + 1] = "";
    struct store_log log;
    struct origin o;
    enum status st;
    while ((st = logwalk_next(txn, n->name, ORIGIN_EXCH, at, &log, &o)) == STATUS_OK) {
        if (!run->all && strcmp(o.institution, n->engine->institution) != 0) {
            continue;
        }
        if (run->log_count == room) {
            room = room == 0 ? 8 : 2 * room;
            struct impact_source *grown = realloc(run->logs, room * sizeof *grown);
            if (grown == NULL) {
                return STATUS_NO_MEMORY;
            }
            run->logs = grown;
        }
        struct impact_source *source = &run->logs[run->log_count++];
        source->id = log.id;
        source->size = log.size;
        text_show(log.origin, source->origin, sizeof source->origin);
    }
    if (run->log_count > 1) {
        qsort(run->logs, run->log_count, sizeof run->logs[0], compare_sources);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static enum status
run_make(struct network *n, bool all, struct impact_run **out)
{
    char reason[CHARTER_REASON_CHARS];
    struct store_txn *txn = NULL;
    const struct charter_document *q = quality_of(n);
    struct impact_run *run = calloc(1, sizeof *run);
    *out = run;
    if (run == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (q == NULL) {
        return STATUS_NOT_FOUND;
    }
    run->network = n;
    run->all = all;
    run->state.version = q->head.version;
    run->state.hash = q->head.hash;
    enum status st = charter_with(n->charter, charter_document(n->charter, CHARTER_ROOT),
                                  &run->charter, reason);
    st = st == STATUS_OK ? impact_open(run->charter, &run->machine) : st;
    st = st == STATUS_OK ? store_begin_read(n->engine->store, &txn) : st;
    if (st == STATUS_OK) {
        st = find_logs(run, txn);
        store_abort(txn);
    }
    return st;
}

static void
run_add(struct engine *e, struct impact_run *run)
{
    struct impact_run **at = &e->impacts;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = run;
    run->network->impact.running = true;
}

void
engine_impact_start(struct network *n, struct call_sink *sink, bool json, int exit_code)
{
    struct impact_run *run = NULL;
    enum status st = run_make(n, false, &run);
    if (st == STATUS_OK) {
        run->sink = sink;
        run->json = json;
        run->exit_code = exit_code;
        run_add(n->engine, run);
        return;
    }
    engine_say(n->engine, "%s: recognitions that leaned on quality: %s", n->name,
               status_text(st));
    if (run != NULL) {
        run_free(run);
    }
    if (sink != NULL) {
        engine_text(sink, true, "huren: charter adopt: recognitions that leaned on it: %s\n",
                    status_text(st));
        sink->done(sink->ctx, exit_code);
    }
}

void
engine_impact_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    const char *name = json_string_value(json_object_get(call->args, "network"));
    struct network *n = engine_network(e, name);
    struct impact_run *run = NULL;
    if (n == NULL) {
        engine_text(sink, true, "huren: charter impact: %s\n",
                    name == NULL ? "this home is in several networks: name one with --network"
                                 : "this home is not in that network");
        sink->done(sink->ctx, 2);
        return;
    }
    enum status st = run_make(n, json_is_true(json_object_get(call->args, "all")), &run);
    if (st != STATUS_OK) {
        engine_text(sink, true, "huren: charter impact: %s\n",
                    st == STATUS_NOT_FOUND ? "no quality document was adopted yet"
                                           : status_text(st));
        if (run != NULL) {
            run_free(run);
        }
        sink->done(sink->ctx, 2);
        return;
    }
    run->sink = sink;
    run->json = json_is_true(json_object_get(call->args, "json"));
    run->listing = true;
    run_add(e, run);
}

/* ---- the end ------------------------------------------------------------------------------
 */

static void
tell_rows(const struct impact_run *run)
{
    size_t count;
    const struct impact_row *rows = impact_rows(run->machine, &count);
    char line[IMPACT_LINE_CHARS];
    for (size_t i = 0; i < count; i++) {
        if (run->json) {
            json_t *o = impact_json(&rows[i]);
            engine_json(run->sink, o);
            json_decref(o);
            continue;
        }
        if (!run->listing && i == SAID_MAX) {
            break;
        }
        impact_line(&rows[i], line);
        engine_text(run->sink, false, "  %s\n", line);
    }
}

/* What a log before a recovery had, and is not here: {origin, from, to}. */
static json_t *
missing_json(const struct impact_run *run)
{
    size_t count;
    const struct impact_before *before = impact_before(run->machine, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        uint64_t held = 0;
        bool here = false;
        for (size_t k = 0; k < run->log_count; k++) {
            bool it = strcmp(run->logs[k].origin, before[i].origin) == 0;
            here = here || it;
            held = it ? run->logs[k].size : held;
        }
        if (!here || held < before[i].size) {
            json_array_append_new(list, json_pack("{s:s,s:I,s:I}", "origin", before[i].origin,
                                                  "from", (json_int_t)held, "to",
                                                  (json_int_t)before[i].size));
        }
    }
    return list;
}

static void
tell_missing(const struct impact_run *run)
{
    size_t i;
    json_t *list = missing_json(run), *gap;
    json_array_foreach(list, i, gap)
    {
        const char *origin = json_string_value(json_object_get(gap, "origin"));
        json_int_t from = json_integer_value(json_object_get(gap, "from"));
        json_int_t to = json_integer_value(json_object_get(gap, "to"));
        if (to > from) {
            engine_text(run->sink, false,
                        "entries %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
                        " of %s are not here, lost in a recovery, until an auditor gives "
                        "them back: decisions among them are not listed\n",
                        from, to - 1, origin);
        } else {
            engine_text(run->sink, false, "%s, the log before a recovery, is not here\n",
                        origin);
        }
    }
    json_decref(list);
}

static void
tell_json(const struct impact_run *run)
{
    const struct impact_state *s = &run->state;
    json_t *o = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "network",
                          run->network->name, "quality_version", (json_int_t)s->version, "logs",
                          (json_int_t)run->log_count, "entries", (json_int_t)s->entries,
                          "count", (json_int_t)s->count, "recognized",
                          (json_int_t)s->recognized, "untold", (json_int_t)s->untold, "listed",
                          (json_int_t)(s->count < IMPACT_ROWS_MAX ? s->count : IMPACT_ROWS_MAX),
                          "missing", missing_json(run));
    engine_json(run->sink, o);
    json_decref(o);
}

static void
tell_sink(const struct impact_run *run)
{
    const struct impact_state *s = &run->state;
    if (run->listing && run->json) {
        tell_rows(run);
        tell_json(run);
    } else if (!run->json && (run->listing || s->count > 0)) {
        engine_text(run->sink, false,
                    "by quality %" PRIu64 " of %s, %" PRIu64
                    " recorded decisions would be weaker today, %" PRIu64
                    " of them recognized since (%" PRIu64 " entries of %zu exchange log%s)\n",
                    s->version, run->network->name, s->count, s->recognized, s->entries,
                    run->log_count, run->log_count == 1 ? "" : "s");
        tell_rows(run);
        if (!run->listing && s->count > SAID_MAX) {
            engine_text(run->sink, false, "  and %" PRIu64 " more: huren charter impact\n",
                        s->count - SAID_MAX);
        }
        if (s->untold > 0) {
            engine_text(run->sink, false,
                        "of %" PRIu64 " decisions the pack of the time is not here\n",
                        s->untold);
        }
        if (run->listing) {
            tell_missing(run);
        }
    }
    int code = run->listing ? (s->count > 0 ? 1 : 0) : run->exit_code;
    run->sink->done(run->sink->ctx, code);
}

/* For the log of the daemon: no patient stands in these lines. */
static void
say_rows(const struct impact_run *run)
{
    size_t count;
    const struct impact_row *rows = impact_rows(run->machine, &count);
    struct engine *e = run->network->engine;
    char line[IMPACT_LINE_CHARS];
    engine_say(e,
               "%s: by quality %" PRIu64 ", %" PRIu64
               " recorded decisions would be weaker today, %" PRIu64
               " of them recognized since",
               run->network->name, run->state.version, run->state.count, run->state.recognized);
    for (size_t i = 0; i < count && i < SAID_MAX; i++) {
        impact_line(&rows[i], line);
        engine_say(e, "%s: leaned on quality: %s", run->network->name, line);
    }
    if (run->state.count > SAID_MAX) {
        engine_say(e, "%s: and %" PRIu64 " more: huren charter impact", run->network->name,
                   run->state.count - SAID_MAX);
    }
}

static void
run_over(struct engine *e, struct impact_run *run, enum status st)
{
    struct network *n = run->network;
    struct impact_totals totals;
    const struct charter_document *q = quality_of(n);
    e->impacts = run->next;
    n->impact.running = false;
    for (const struct impact_run *r = e->impacts; r != NULL; r = r->next) {
        n->impact.running = n->impact.running || r->network == n;
    }
    if (st != STATUS_OK) {
        engine_say(e, "%s: recognitions that leaned on quality: %s", n->name, status_text(st));
        if (run->sink != NULL) {
            engine_text(run->sink, true, "huren: charter impact: the exchange log: %s\n",
                        status_text(st));
            run->sink->done(run->sink->ctx, 2);
        }
        run_free(run);
        return;
    }
    impact_totals(run->machine, &totals);
    run->state.entries = totals.entries;
    run->state.count = totals.count;
    run->state.recognized = totals.recognized;
    run->state.untold = totals.untold;
    if (!run->all && q != NULL && hash_equal(&q->head.hash, &run->state.hash)) {
        bool running = n->impact.running;
        n->impact = run->state;
        n->impact.known = true;
        n->impact.running = running;
        keep_state(n);
    }
    if (!run->listing && e->daemon && totals.count > 0) {
        say_rows(run);
    }
    if (run->sink != NULL) {
        tell_sink(run);
    }
    run_free(run);
}

/* ---- walking -------------------------------------------------------------------------------
 */

/* One entry.  STATUS_NOT_FOUND: that was the last one. */
static enum status
read_one(struct impact_run *run, struct store_txn *txn)
{
    struct view entry;
    while (run->log < run->log_count && run->at == run->logs[run->log].size) {
        run->log++;
        run->at = 0;
    }
    if (run->log == run->log_count) {
        struct impact_totals totals;
        impact_totals(run->machine, &totals);
        if (run->again || totals.count == 0 || run->log_count < 2) {
            return STATUS_NOT_FOUND;
        }
        run->again = true; /* an outcome may stand in a log before that of its decision */
        run->log = 0;
        return STATUS_OK;
    }
    const struct impact_source *log = &run->logs[run->log];
    if (run->at == 0 && !run->again) {
        impact_log(run->machine, text_view(log->origin));
    }
    enum status st = store_entry_get(txn, log->id, run->at, &entry);
    if (st != STATUS_OK) {
        return st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
    }
    run->at++;
    return run->again ? impact_outcome(run->machine, entry)
                      : impact_entry(run->machine, run->network->engine->policy, entry);
}

void
engine_impact_tick(struct engine *e)
{
    struct impact_run *run = e->impacts;
    struct store_txn *txn = NULL;
    if (run == NULL) {
        return;
    }
    int64_t until = net_time_ms() + SLICE_MS;
    enum status st = store_begin_read(e->store, &txn);
    if (st != STATUS_OK) {
        run_over(e, run, st);
        return;
    }
    for (unsigned i = 0; st == STATUS_OK && i < SLICE_ENTRIES; i++) {
        st = read_one(run, txn);
        if (net_time_ms() >= until) {
            break;
        }
    }
    store_abort(txn);
    if (st != STATUS_OK) {
        run_over(e, run, st == STATUS_NOT_FOUND ? STATUS_OK : st);
    }
}

bool
engine_impact_busy(const struct engine *e)
{
    return e->impacts != NULL;
}

void
engine_impact_free(struct engine *e)
{
    while (e->impacts != NULL) {
        struct impact_run *run = e->impacts;
        e->impacts = run->next;
        if (run->sink != NULL) {
            engine_text(run->sink, true, "huren: charter impact: ended before it was done\n");
            run->sink->done(run->sink->ctx, 2);
        }
        run_free(run);
    }
}

json_t *
engine_impact_json(const struct network *n)
{
    const struct impact_state *s = &n->impact;
    if (!s->known) {
        return json_pack("{s:b}", "running", s->running);
    }
    return json_pack("{s:b,s:I,s:I,s:I,s:I,s:I}", "running", s->running, "quality_version",
                     (json_int_t)s->version, "entries", (json_int_t)s->entries, "count",
                     (json_int_t)s->count, "recognized", (json_int_t)s->recognized, "untold",
                     (json_int_t)s->untold);
}
