/* audit_home_io.c: the fsck of a home, in the child (audit_child_io.h). */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/audit_child_io.h"
#include "node/candidates.h"
#include "node/config.h"
#include "node/engine.h"
#include "node/origin.h"
#include "proto/text.h"
#include "store/charter.h"
#include "store/check.h"
#include "store/kv.h"
#include "store/pages.h"

enum {
    CLAIMS_ROOM_MAX = 4 * 1024 * 1024,
    NETWORKS_SEEN_MAX = 64,
    STEP_OPEN = 0,
    STEP_STORE = 2, /* then the steps of store_check */
    STEP_END = 2 * AUDIT_STEP_NODE
};

/* Claims of the log in hand; threads add to it. */
struct claims {
    pthread_mutex_t lock;
    struct audit_claim *at;
    size_t count, room, left_out;
    uint64_t unreadable;
    uint32_t log;
    char origin[ORIGIN_CHARS_MAX + 1];
    bool pub;
};

struct home_audit {
    const struct audit_work *work;
    struct store *store;
    struct audit_sink sink;
    struct claims claims;
    uint64_t told; /* of the store's findings */
    bool failed;   /* something could not be read */
};

static void
told(void *context, const struct audit_finding *f)
{
    struct home_audit *a = context;

    if (a->told++ < AUDIT_TOLD_MAX) {
        audit_tell((void *)(uintptr_t)a->work, f);
    }
}

/* ---- pages ---- */

static void
page_found(void *context, const struct store_page_finding *p)
{
    struct home_audit *a = context;
    json_t *o = json_pack("{s:s,s:s,s:I,s:s}", "kind", "damage", "part", p->table, "page",
                          (json_int_t)p->page, "what", p->what);

    if (p->place[0] != '\0') {
        json_object_set_new(o, "place", json_string(p->place));
    }
    a->sink.damages++;
    a->work->tell(a->work->context, o);
}

/* STATUS_OK: LMDB may read on, whatever was found. */
static enum status
check_pages(struct home_audit *a, const char *path, struct store_pages_totals *totals)
{
    struct store_txn *txn = NULL; /* keeps the pages from being written anew */
    enum status st = a->store == NULL ? STATUS_OK : store_begin_read(a->store, &txn);

    if (st == STATUS_OK) {
        st = store_pages_check(path, page_found, a, totals);
    }
    store_abort(txn);
    if (st != STATUS_OK && st != STATUS_CORRUPT) {
        audit_report(&a->sink, AUDIT_UNKNOWN, "file", text_view(""), NULL,
                     "%s/data.mdb: %s%s%s", path, status_text(st), st == STATUS_IO ? ": " : "",
                     st == STATUS_IO ? strerror(errno) : "");
    }
    return st;
}

/* ---- the store's own check ---- */

static void
store_found(void *context, const struct store_finding *f)
{
    struct audit_finding out = {.kind = AUDIT_DAMAGE,
                                .part = f->part,
                                .origin = f->origin,
                                .has_index = true,
                                .index = f->index,
                                .has_level = strcmp(f->part, "tile") == 0,
                                .level = f->level};
    struct home_audit *a = context;

    snprintf(out.what, sizeof out.what, "%s", f->what);
    a->sink.damages++;
    told(a, &out);
}

static void
take_entry(void *context, struct store_txn *t, const struct store_log *log, uint64_t index,
           struct view entry)
{
    struct home_audit *a = context;
    struct claims *c = &a->claims;
    struct audit_claim claim = {.leaf = index};
    bool readable;

    (void)t;
    if (!c->pub || log->id != c->log) {
        return;
    }
    bool claims = audit_claim_read(entry, &claim, &readable);
    if (!claims && readable) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->unreadable += !readable;
    if (claims && c->count == c->room) {
        size_t room = c->room == 0 ? 1024 : 2 * c->room;
        struct audit_claim *more =
            room > CLAIMS_ROOM_MAX ? NULL : realloc(c->at, room * sizeof *more);
        c->at = more == NULL ? c->at : more;
        c->room = more == NULL ? c->room : room;
    }
    if (claims && c->count < c->room) {
        c->at[c->count++] = claim;
    } else if (claims) {
        c->left_out++;
    }
    pthread_mutex_unlock(&c->lock);
}

struct lookup_entry {
    struct store_txn *txn;
    uint32_t log;
};

static enum status
entry_of(void *context, uint64_t index, struct view *entry)
{
    struct lookup_entry *l = context;
    return store_entry_get(l->txn, l->log, index, entry);
}

/* The log before is through: judge its claims. */
static void
claims_end(struct home_audit *a)
{
    struct claims *c = &a->claims;
    struct lookup_entry l = {.log = c->log};
    struct view origin = text_view(c->origin);

    if (c->count > 0 && store_begin_read(a->store, &l.txn) == STATUS_OK) {
        if (audit_claims(c->at, c->count, origin, entry_of, &l, &a->sink) != STATUS_OK) {
            a->failed = true;
        }
        store_abort(l.txn);
    }
    if (c->left_out > 0) {
        audit_report(&a->sink, AUDIT_UNKNOWN, "entry", origin, NULL,
                     "%zu corrections were not compared: too many", c->left_out);
    }
    if (c->unreadable > 0) {
        audit_report(&a->sink, AUDIT_CONTRADICTION, "entry", origin, NULL,
                     "%llu entries are of no kind that is known here: kept, not counted",
                     (unsigned long long)c->unreadable);
    }
    c->count = c->left_out = 0;
    c->unreadable = 0;
    c->log = 0;
}

static bool
at_step(void *context, unsigned number, const char *part, struct view origin, uint64_t done)
{
    struct home_audit *a = context;
    struct claims *c = &a->claims;
    struct origin o;

    if (c->log != number && c->log != 0) {
        claims_end(a); /* only one thread works between two logs */
    }
    if (!audit_at(a->work, STEP_STORE + number, part, origin, done)) {
        return false;
    }
    if (strcmp(part, "log") == 0 && number <= LOGS_MAX && c->log != number) {
        c->log = number;
        c->pub = origin_parse(origin, &o) == STATUS_OK && o.log == ORIGIN_PUB;
        memcpy(c->origin, origin.bytes, origin.count);
        c->origin[origin.count] = '\0';
    }
    return true;
}

static void
check_store(struct home_audit *a, struct store_check_totals *totals)
{
    struct store_check_options o = {.sealed_of = audit_sealed_of,
                                    .finding = store_found,
                                    .finding_context = a,
                                    .step = at_step,
                                    .entry = take_entry,
                                    .context = a,
                                    .threads = a->work->threads};
    enum status st = store_check(a->store, &o, totals);

    if (a->claims.log != 0) {
        claims_end(a);
    }
    if (st != STATUS_OK && st != STATUS_CORRUPT) {
        audit_report(&a->sink, AUDIT_UNKNOWN, "file", text_view(""), NULL,
                     "the store could not be read to the end: %s", status_text(st));
    }
}

/* ---- what is signed ---- */

static bool
at_node_step(struct home_audit *a, unsigned *step, const char *part, const char *network)
{
    return audit_at(a->work, AUDIT_STEP_NODE + (*step)++, part, text_view(network), 0);
}

static enum status
check_network(struct home_audit *a, const char *network, const char *self, unsigned *step)
{
    struct store_txn *txn;
    struct charter *charter = NULL;
    enum status st = store_begin_read(a->store, &txn);

    if (st != STATUS_OK) {
        return st;
    }
    if (at_node_step(a, step, "charter", network)) {
        st = audit_charter(txn, network, &charter, &a->sink);
    }
    if (st == STATUS_OK && at_node_step(a, step, "head", network)) {
        st = audit_heads(txn, network, charter, self, &a->sink);
    }
    if (st == STATUS_OK && at_node_step(a, step, "receipt", network)) {
        st = audit_receipts(txn, SPACE_RECEIPT, network, charter, &a->sink);
    }
    charter_free(charter);
    store_abort(txn);
    return st;
}

/* Networks of which there is a log or a document, each once. */
static enum status
list_networks(struct store *s, char (*names)[NETWORK_CHARS_MAX + 1], size_t *count)
{
    struct store_txn *txn;
    struct store_log log;
    struct origin o;
    struct view network;
    char after[ORIGIN_CHARS_MAX + 1] = "";
    enum status st = store_begin_read(s, &txn);

    *count = 0;
    while (st == STATUS_OK && *count < NETWORKS_SEEN_MAX &&
           (st = store_charter_next_network(
                txn, *count == 0 ? text_view("") : text_view(names[*count - 1]), &network)) ==
               STATUS_OK &&
           network.count <= NETWORK_CHARS_MAX) {
        memcpy(names[*count], network.bytes, network.count);
        names[(*count)++][network.count] = '\0';
    }
    st = st == STATUS_NOT_FOUND ? STATUS_OK : st; /* anything else: not all were seen */
    while (st == STATUS_OK && (st = store_log_next(txn, text_view(after), &log)) == STATUS_OK) {
        bool known = false;
        memcpy(after, log.origin.bytes, log.origin.count);
        after[log.origin.count] = '\0';
        if (origin_parse(log.origin, &o) != STATUS_OK) {
            continue;
        }
        for (size_t i = 0; i < *count; i++) {
            known = known || strcmp(names[i], o.network) == 0;
        }
        if (!known && *count < NETWORKS_SEEN_MAX) {
            memcpy(names[(*count)++], o.network, sizeof o.network);
        }
    }
    store_abort(txn);
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static void
check_signed(struct home_audit *a)
{
    char error[CONFIG_ERROR_CHARS] = "";
    struct config *config = NULL;
    char(*names)[NETWORK_CHARS_MAX + 1] = calloc(NETWORKS_SEEN_MAX, sizeof *names);
    size_t count = 0;
    unsigned step = 0;
    enum status st = names == NULL ? STATUS_NO_MEMORY : STATUS_OK;

    enum status read = config_load(a->work->path, &config, error, sizeof error);
    if (read != STATUS_OK) {
        bool unknown = read == STATUS_NO_MEMORY || read == STATUS_IO;
        audit_report(&a->sink, unknown ? AUDIT_UNKNOWN : AUDIT_DAMAGE, "config", text_view(""),
                     NULL, "%s", error);
    }
    st = st == STATUS_OK ? list_networks(a->store, names, &count) : st;
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        st = check_network(a, names[i], config == NULL ? NULL : config->institution, &step);
    }
    if (st != STATUS_OK) {
        audit_report(&a->sink, AUDIT_UNKNOWN, "head", text_view(""), NULL,
                     "signatures could not all be checked: %s", status_text(st));
    }
    config_free(config);
    free(names);
}

/* ---- the whole ---- */

/* Where the work is, also when it begins later than there. */
static void
set_step(const struct audit_work *w, unsigned step)
{
    w->place->step = step;
}

static json_t *
counts_of(const struct home_audit *a, const struct store_pages_totals *pages,
          const struct store_check_totals *t)
{
    json_t *o = json_object();
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"pages", pages->pages},
               {"logs", t->logs},
               {"entries", t->entries},
               {"tiles", t->tiles},
               {"records", t->records},
               {"own_rows", t->own},
               {"index_rows", t->index_rows},
               {"charter_rows", t->charter_rows},
               {"values", t->values},
               {"blobs", t->blobs},
               {"salts", t->salts},
               {"heads", a->sink.heads},
               {"cosignatures", a->sink.cosignatures},
               {"receipts", a->sink.receipts},
               {"documents", a->sink.documents},
               {"damages", a->sink.damages},
               {"contradictions", a->sink.contradictions}};

    for (size_t i = 0; o != NULL && i < sizeof all / sizeof *all; i++) {
        json_object_set_new(o, all[i].name, json_integer((json_int_t)all[i].value));
    }
    return o;
}

json_t *
audit_home(const struct audit_work *w)
{
    struct home_audit a = {.work = w};
    struct store_options options = {.read_only = true, .handle_of = candidates_handle_of};
    struct store_pages_totals pages = {0};
    struct store_check_totals totals = {0};
    char path[HOME_IO_PATH_CHARS];
    enum status st = home_io_path(w->path, "store", path);

    a.sink = (struct audit_sink){.finding = told, .context = &a};
    pthread_mutex_init(&a.claims.lock, NULL);
    if (st != STATUS_OK || w->from >= STEP_END) {
        return counts_of(&a, &pages, &totals);
    }
    if (w->from == STEP_OPEN + 1) { /* opening it ended the process: without LMDB */
        (void)check_pages(&a, path, &pages);
        return counts_of(&a, &pages, &totals);
    }
    set_step(w, w->from == 0 ? STEP_OPEN : STEP_END - 1);
    st = store_open(path, &options, &a.store);
    if (st != STATUS_OK) {
        enum status why = w->from == 0 ? check_pages(&a, path, &pages) : STATUS_OK;
        if (why == STATUS_OK || st == STATUS_UNSUPPORTED || st == STATUS_BUSY) {
            audit_report(&a.sink, st == STATUS_CORRUPT ? AUDIT_DAMAGE : AUDIT_UNKNOWN, "file",
                         text_view(""), NULL, "the store %s cannot be opened: %s", path,
                         status_text(st));
        }
        return counts_of(&a, &pages, &totals);
    }
    if (w->from == 0) {
        (void)check_pages(&a, path, &pages);
    }
    check_store(&a, &totals);
    check_signed(&a);
    store_close(a.store);
    free(a.claims.at);
    return counts_of(&a, &pages, &totals);
}
