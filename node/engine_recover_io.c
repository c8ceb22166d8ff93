/* engine_recover_io.c: going on after a restore, and after a log had to be given up.
 *
 * Source: DESIGN 6 and 10; RELIABILITY 4.  An exch log is read by auditors alone,
 * so who holds more of it than a restored home cannot be heard in time: such a
 * home begins a new one.  Its first entry is `Recovered`. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "node/engine.h"
#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/kv.h"

enum { RECOVERED_BYTES_MAX = 1024 };
static const struct view name_exch = {(const uint8_t *)"exch", 4};
static const struct view name_pub = {(const uint8_t *)"pub", 3};
static const struct view name_before = {(const uint8_t *)"before", 6};
static const struct view name_missing = {(const uint8_t *)"missing", 7};

/* ---- the entry --------------------------------------------------------------- */

/* A head of a log as an entry names it. */
struct head_field {
    Hr__Head message;
    struct hash root;
};

static bool
read_head(struct store_txn *txn, const struct own_log *log, enum store_note kind,
          struct head_field *out)
{
    struct view bytes;
    struct note note;
    struct checkpoint c;
    hr__head__init(&out->message);
    if (store_note_get(txn, log->id, kind, &bytes) != STATUS_OK ||
        note_parse(bytes, &note) != STATUS_OK || checkpoint_parse(note.text, &c) != STATUS_OK) {
        return false;
    }
    out->root = c.root;
    out->message.origin = (char *)(uintptr_t)log->origin;
    out->message.size = c.size;
    out->message.root = (ProtobufCBinaryData){HASH_BYTES, out->root.bytes};
    return true;
}

/* Pack a Recovered about `log`; `r` says what else it holds. */
static enum status
pack_recovered(struct store_txn *txn, const struct own_log *log, Hr__Recovered *r,
               uint8_t out[RECOVERED_BYTES_MAX], size_t *count)
{
    struct head_field own, cosigned;
    Hr__ExchEntry entry;
    hr__exch_entry__init(&entry);
    r->at_ms = (uint64_t)engine_now_ms();
    r->own = read_head(txn, log, STORE_NOTE_HEAD, &own) ? &own.message : NULL;
    r->cosigned =
        read_head(txn, log, STORE_NOTE_COSIGNED, &cosigned) ? &cosigned.message : NULL;
    entry.what_case = HR__EXCH_ENTRY__WHAT_RECOVERED;
    entry.recovered = r;
    return pb_pack(&entry.base, out, RECOVERED_BYTES_MAX, count);
}

/* ---- a new exch log ------------------------------------------------------------ */

/* Make a log with a new number, and its name the one in use; *next is it. */
static enum status
begin_log(struct network *n, struct store_txn *txn, enum origin_log which, struct own_log *next)
{
    struct origin o = {.log = which, .numbered = true, .number = randombytes_random()};
    memset(next, 0, sizeof *next);
    memcpy(o.network, n->name, sizeof o.network);
    memcpy(o.institution, n->engine->institution, sizeof o.institution);
    origin_write(&o, next->origin);
    enum status st =
        store_kv_put(txn, SPACE_HOME, text_view(n->name),
                     which == ORIGIN_PUB ? name_pub : name_exch, text_view(next->origin));
    return st == STATUS_OK ? engine_own_log_open(n, txn, next) : st;
}

static enum status
begin_exch(struct network *n, struct store_txn *txn, uint64_t missing, struct own_log *next)
{
    uint8_t bytes[RECOVERED_BYTES_MAX];
    struct view entry = {bytes, 0};
    Hr__Recovered r;
    hr__recovered__init(&r);
    r.previous = n->exch.origin;
    r.missing = missing;
    enum status st = pack_recovered(txn, &n->exch, &r, bytes, &entry.count);
    st = st == STATUS_OK ? begin_log(n, txn, ORIGIN_EXCH, next) : st;
    st = st == STATUS_OK ? store_log_append(txn, next->id, &entry, 1, NULL, NULL) : st;
    st = st == STATUS_OK ? store_kv_put(txn, SPACE_HOME, text_view(n->name), name_before,
                                        text_view(n->exch.origin))
                         : st;
    st = st == STATUS_OK
             ? store_kv_put_u64(txn, SPACE_HOME, text_view(n->name), name_missing, missing)
             : st;
    next->dirty = true;
    return st;
}

enum status
engine_recover_start(struct engine *e, struct store_txn *txn)
{
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        struct own_log next;
        if (n->exch_fresh) {
            continue; /* the copy is of a time before the first one was begun */
        }
        st = begin_exch(n, txn, 0, &next);
        if (st == STATUS_OK) {
            n->exch = next;
            n->exch_fresh = true;
            engine_say(e,
                       "%s: the exchange log goes on as %s; it is unlinked until the members "
                       "document names it",
                       n->name, next.origin);
        }
    }
    e->renewed = st == STATUS_OK;
    return st;
}

/* The same while running. */
struct renew_job {
    struct job job;
    struct network *network;
    uint64_t missing;
    struct own_log next;
};

static enum status
write_renew(struct store_txn *txn, void *ctx)
{
    struct renew_job *j = ctx;
    return begin_exch(j->network, txn, j->missing, &j->next);
}

/* Gossip learns of a log that was just begun: nobody can know another head of it. */
static void
tell_gossip(struct network *n, const char *origin)
{
    struct gossip_event reload = {.type = GOSSIP_RELOAD};
    if (gossip_own_log(n->gossip, text_view(origin), true) != STATUS_OK) {
        engine_say(n->engine, "%s: is no log of ours", origin);
    }
    engine_gossip(n, &reload);
}

enum status
engine_recover_now(struct engine *e)
{
    struct store_txn *txn;
    if (e->daemon || !e->unclean || e->renewed) {
        return STATUS_OK;
    }
    enum status st = store_begin_write(e->store, STORE_EXCHANGE, 65536, &txn);
    if (st != STATUS_OK) {
        return st;
    }
    st = engine_recover_start(e, txn);
    if (st == STATUS_OK) {
        st = store_commit(txn);
    } else {
        store_abort(txn);
    }
    for (size_t i = 0; st == STATUS_OK && i < e->network_count; i++) {
        engine_receipt_forget(&e->networks[i]);
        tell_gossip(&e->networks[i], e->networks[i].exch.origin);
    }
    return st;
}

static void
renew_done(void *ctx, enum status st)
{
    struct renew_job *j = ctx;
    struct network *n = j->network;
    n->recovering = false;
    if (st == STATUS_OK) {
        n->exch = j->next;
        engine_last_signed(n->engine); /* which names the logs in use alone */
        engine_receipt_forget(n);
        engine_say(n->engine,
                   "%s: the exchange log goes on as %s; it is unlinked until the members "
                   "document names it",
                   n->name, n->exch.origin);
        tell_gossip(n, n->exch.origin);
    } else {
        engine_say(n->engine, "%s: beginning a new exchange log: %s", n->name, status_text(st));
    }
    free(j);
}

static void
renew_exch(struct network *n, uint64_t missing)
{
    struct renew_job *j = n->recovering ? NULL : calloc(1, sizeof *j);
    if (j != NULL) {
        j->network = n;
        j->missing = missing;
        j->job = (struct job){.purpose = STORE_EXCHANGE,
                              .bytes = 4096,
                              .write = write_renew,
                              .done = renew_done,
                              .ctx = j};
        n->recovering = true;
        engine_write(n->engine, &j->job);
    }
}

/* ---- what is missing of the one before ------------------------------------------- */

struct missing_job {
    struct job job;
    struct network *network;
    char origin[ORIGIN_CHARS_MAX + 1]; /* of the log before */
    uint64_t shown;                    /* size of a head of it that somebody showed */
};

static enum status
write_missing(struct store_txn *txn, void *ctx)
{
    struct missing_job *j = ctx;
    struct network *n = j->network;
    struct own_log before;
    struct store_log row;
    struct view named;
    uint8_t bytes[RECOVERED_BYTES_MAX];
    size_t count;
    uint64_t said = 0;
    Hr__Recovered r;
    memset(&before, 0, sizeof before);
    memcpy(before.origin, j->origin, sizeof before.origin);
    enum status st = store_kv_get(txn, SPACE_HOME, text_view(n->name), name_before, &named);
    if (st != STATUS_OK || named.count != strlen(j->origin) ||
        memcmp(named.bytes, j->origin, named.count) != 0) {
        return st == STATUS_NOT_FOUND ? STATUS_OK : st; /* of a log before that */
    }
    st = store_log_find(txn, named, &row);
    st = st == STATUS_OK
             ? store_kv_get_u64(txn, SPACE_HOME, text_view(n->name), name_missing, &said)
             : st;
    if (st != STATUS_OK || j->shown <= row.size || j->shown - row.size <= said) {
        return st;
    }
    before.id = row.id;
    hr__recovered__init(&r);
    r.previous = before.origin;
    r.missing = j->shown - row.size;
    st = pack_recovered(txn, &before, &r, bytes, &count);
    st = st == STATUS_OK
             ? store_kv_put_u64(txn, SPACE_HOME, text_view(n->name), name_missing, r.missing)
             : st;
    return st == STATUS_OK ? engine_exch_append(n, txn, (struct view){bytes, count}, NULL, NULL)
                           : st;
}

static void
missing_done(void *ctx, enum status st)
{
    (void)st;
    free(ctx);
}

static void
say_missing(struct network *n, const struct signgate_log *log)
{
    struct missing_job *j = calloc(1, sizeof *j);
    if (j != NULL) {
        j->network = n;
        memcpy(j->origin, log->origin, sizeof j->origin);
        j->shown = log->shown_size;
        j->job = (struct job){.purpose = STORE_EXCHANGE,
                              .bytes = 4096,
                              .write = write_missing,
                              .done = missing_done,
                              .ctx = j};
        engine_write(n->engine, &j->job);
    }
}

void
engine_recover_gate(struct network *n)
{
    const struct signgate *gate = gossip_gate(n->gossip);
    if (n->engine->unclean && gossip_may_sign(n->gossip, text_view(n->pub.origin))) {
        engine_last_signed(n->engine); /* this start is settled: the next may be a clean one */
    }
    for (size_t i = 0; i < gate->log_count; i++) {
        const struct signgate_log *log = &gate->logs[i];
        bool behind = log->state == SIGNGATE_ROLLBACK || log->state == SIGNGATE_LOST;
        struct origin o;
        if (!behind || origin_parse(text_view(log->origin), &o) != STATUS_OK) {
            continue;
        }
        if (strcmp(log->origin, n->exch.origin) == 0) {
            renew_exch(n, log->shown_size > n->exch.signed_size
                              ? log->shown_size - n->exch.signed_size
                              : 0);
        } else if (o.log == ORIGIN_EXCH) {
            say_missing(n, log);
        } else if (log->state == SIGNGATE_LOST && strcmp(log->origin, n->pub.origin) == 0) {
            engine_say(n->engine,
                       "%s: contradicts what was signed before and cannot be signed again; "
                       "huren log retire pub gives it up and begins its successor",
                       log->origin);
        }
    }
}

/* ---- the operator's word --------------------------------------------------------- */

struct word_job {
    struct job job;
    struct network *network;
    struct call_sink *sink;
    bool retire, json;
    struct own_log next; /* the successor, when retiring */
};

static enum status
write_word(struct store_txn *txn, void *ctx)
{
    struct word_job *j = ctx;
    struct network *n = j->network;
    uint8_t bytes[RECOVERED_BYTES_MAX];
    size_t count;
    Hr__Recovered r;
    hr__recovered__init(&r);
    enum status st = STATUS_OK;
    if (j->retire) {
        st = begin_log(n, txn, ORIGIN_PUB, &j->next);
        r.next = j->next.origin;
    } else {
        r.resumed = true;
    }
    st = st == STATUS_OK ? pack_recovered(txn, &n->pub, &r, bytes, &count) : st;
    return st == STATUS_OK ? engine_exch_append(n, txn, (struct view){bytes, count}, NULL, NULL)
                           : st;
}

static void
tell_resumed(const struct network *n, struct call_sink *sink, bool json, bool already)
{
    if (json) {
        engine_text(sink, false, "{\"network\":\"%s\",\"signing\":true,\"already\":%s}\n",
                    n->name, already ? "true" : "false");
    } else if (already) {
        engine_text(sink, false, "%s: signing already\n", n->name);
    } else {
        engine_text(sink, false,
                    "%s: signing goes on by your decision, which is recorded in %s\n", n->name,
                    n->exch.origin);
    }
}

static void
tell_retired(const struct word_job *j)
{
    const struct network *n = j->network;
    if (j->json) {
        engine_text(j->sink, false,
                    "{\"network\":\"%s\",\"given_up\":\"%s\",\"next\":\"%s\"}\n", n->name,
                    n->pub.origin, j->next.origin);
    } else {
        engine_text(j->sink, false,
                    "%s is given up; what is published from now on stands in\n%s\n"
                    "Import this hospital's reports again, and ask the authority of %s to name "
                    "that log under\n\"linked\" of this member: until then others show it as "
                    "unlinked.\n",
                    n->pub.origin, j->next.origin, n->name);
    }
}

static void
word_done(void *ctx, enum status st)
{
    struct word_job *j = ctx;
    struct network *n = j->network;
    struct call_sink *sink = j->sink;
    const char *what = j->retire ? "log retire" : "resume";
    if (st != STATUS_OK) {
        char why[ENGINE_ROOM_CHARS];
        engine_text(sink, true, "huren: %s: nothing was changed: %s\n", what,
                    engine_why(n->engine, st, why));
    } else if (j->retire) {
        tell_retired(j);
        n->pub = j->next;
        engine_last_signed(n->engine);
        tell_gossip(n, n->pub.origin);
    } else {
        struct gossip_event resume = {.type = GOSSIP_RESUME};
        engine_say(n->engine, "%s: signing goes on by the operator's decision", n->name);
        tell_resumed(n, sink, j->json, false);
        engine_gossip(n, &resume);
    }
    sink->done(sink->ctx, st == STATUS_OK ? 0 : 2);
    free(j);
}

static void
give_word(struct network *n, bool retire, bool json, struct call_sink *sink)
{
    struct word_job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        engine_text(sink, true, "huren: %s\n", status_text(STATUS_NO_MEMORY));
        sink->done(sink->ctx, 2);
        return;
    }
    j->network = n;
    j->sink = sink;
    j->retire = retire;
    j->json = json;
    j->job = (struct job){.purpose = STORE_EXCHANGE,
                          .bytes = 4096,
                          .write = write_word,
                          .done = word_done,
                          .ctx = j};
    engine_write(n->engine, &j->job);
}

static struct network *
network_of(struct engine *e, const struct call *call, const char *what, struct call_sink *sink)
{
    struct network *n =
        engine_network(e, json_string_value(json_object_get(call->args, "network")));
    if (n == NULL || n->gossip == NULL) {
        engine_text(sink, true,
                    "huren: %s: name a network of this home with --network; huren status lists "
                    "them\n",
                    what);
        sink->done(sink->ctx, 2);
        return NULL;
    }
    return n;
}

void
engine_resume_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    struct network *n = network_of(e, call, "resume", sink);
    if (n == NULL) {
        return;
    }
    bool json = json_is_true(json_object_get(call->args, "json"));
    enum signgate_state state = signgate_state(gossip_gate(n->gossip), n->pub.origin);
    if (state == SIGNGATE_HELD && e->daemon) {
        give_word(n, false, json, sink);
        return;
    }
    if (state == SIGNGATE_OPEN) {
        tell_resumed(n, sink, json, true);
        sink->done(sink->ctx, 0);
        return;
    }
    if (!e->daemon) {
        engine_text(sink, true,
                    "huren: resume: no daemon runs here: start huren serve, which asks the "
                    "witnesses what they know of this home; resume is for when none answers\n");
    } else {
        engine_text(sink, true, "huren: resume: refused: %s: %s\n", n->name,
                    signgate_text(state));
    }
    sink->done(sink->ctx, e->daemon ? 1 : 2);
}

void
engine_retire_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    struct network *n = network_of(e, call, "log retire", sink);
    if (n == NULL) {
        return;
    }
    enum signgate_state state = signgate_state(gossip_gate(n->gossip), n->pub.origin);
    if (state == SIGNGATE_LOST) {
        give_word(n, true, json_is_true(json_object_get(call->args, "json")), sink);
        return;
    }
    engine_text(sink, true,
                "huren: log retire: refused: %s need not be given up (%s): only a log that "
                "contradicts what was signed before is\n",
                n->pub.origin, signgate_text(state));
    sink->done(sink->ctx, 1);
}
