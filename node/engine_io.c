/* engine_io.c: opening and closing a home, and what comes from the net. */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "crypto/checkpoint.h"
#include "node/candidates.h"
#include "node/control.h"
#include "node/engine_lookup.h"
#include "node/engine_recall.h"
#include "node/gossip_members.h"
#include "node/keyfile_io.h"
#include "node/origin.h"
#include "proto/text.h"

int64_t
engine_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
engine_say(struct engine *e, const char *format, ...)
{
    char line[1024];
    char safe[1100];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text_show(text_view(line), safe, sizeof safe);
    if (e->say != NULL) {
        e->say(safe);
    }
}

bool
engine_say_again(int64_t *said_ms)
{
    int64_t now_ms = net_time_ms();
    if (*said_ms != 0 && now_ms - *said_ms < ENGINE_SAY_AGAIN_MS) {
        return false;
    }
    *said_ms = now_ms;
    return true;
}

void
engine_text(struct call_sink *sink, bool err, const char *format, ...)
{
    char stack[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(stack, sizeof stack, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof stack) {
        sink->text(sink->ctx, err, stack, (size_t)n);
    } else if (n > 0) {
        char *text = malloc((size_t)n + 1);
        if (text != NULL) {
            va_start(args, format);
            vsnprintf(text, (size_t)n + 1, format, args);
            va_end(args);
            sink->text(sink->ctx, err, text, (size_t)n);
            free(text);
        }
    }
}

void
engine_json(struct call_sink *sink, const json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT);
    const char *line = text == NULL ? "{}" : text;
    sink->text(sink->ctx, false, line, strlen(line));
    sink->text(sink->ctx, false, "\n", 1);
    free(text);
}

struct network *
engine_network(struct engine *e, const char *name)
{
    if (name == NULL || name[0] == '\0') {
        return e->network_count == 1 ? &e->networks[0] : NULL;
    }
    for (size_t i = 0; i < e->network_count; i++) {
        if (strcmp(e->networks[i].name, name) == 0) {
            return &e->networks[i];
        }
    }
    return NULL;
}

/* ---- publishing context ---- */

static bool
is_sensitive(void *ctx, const char *code)
{
    const struct network *n = ctx;
    const struct hr_item *item = hr_catalog_by_code(policy_set_catalog(n->engine->policy),
                                                    (struct hr_text){code, strlen(code)});
    return (item != NULL && item->sensitive) ||
           (n->charter != NULL && charter_is_sensitive(n->charter, code));
}

static uint32_t
number_of(void *ctx, const char *code)
{
    const struct network *n = ctx;
    const struct hr_item *item = hr_catalog_by_code(policy_set_catalog(n->engine->policy),
                                                    (struct hr_text){code, strlen(code)});
    return item == NULL ? 0 : item->number;
}

/* ---- logs of our own ---- */

static enum status
signer_of(struct own_log *log, const struct network *n)
{
    return note_signer_make(text_view(log->origin), NOTE_KEY_ED25519, n->keys.log.secret_key,
                            &log->signer);
}

/* Find or make a log, and take its last signed head. */
enum status
engine_own_log_open(struct network *n, struct store_txn *txn, struct own_log *log)
{
    struct store_log row;
    struct view note_bytes;
    struct note note;
    struct checkpoint head;
    enum status st = store_log_find(txn, text_view(log->origin), &row);
    if (st == STATUS_NOT_FOUND) {
        st = store_log_create(txn, text_view(log->origin), STORE_LOG_OWN,
                              engine_now_ms() / 1000, &log->id);
        st = st == STATUS_OK ? store_log_get(txn, log->id, &row) : st;
    }
    if (st != STATUS_OK) {
        return st;
    }
    log->id = row.id;
    log->dirty = row.size > 0; /* said again after each start: a crash may have hidden it */
    if (store_note_get(txn, log->id, STORE_NOTE_HEAD, &note_bytes) == STATUS_OK &&
        note_bytes.count <= sizeof log->head && note_parse(note_bytes, &note) == STATUS_OK &&
        checkpoint_parse(note.text, &head) == STATUS_OK && head.size <= row.size) {
        memcpy(log->head, note_bytes.bytes, note_bytes.count);
        log->head_count = note_bytes.count;
        log->has_head = true;
        log->signed_size = head.size;
    }
    return signer_of(log, n);
}

static enum status
open_logs(struct network *n, struct store_txn *txn)
{
    static const struct view name = {(const uint8_t *)"exch", 4};
    static const struct view pub_name = {(const uint8_t *)"pub", 3};
    struct view exch, pub;
    origin_pub(n->name, n->engine->institution, n->pub.origin);
    enum status st = store_kv_get(txn, SPACE_HOME, text_view(n->name), pub_name, &pub);
    if (st == STATUS_OK && pub.count <= ORIGIN_CHARS_MAX) { /* it goes on in a later log */
        memset(n->pub.origin, 0, sizeof n->pub.origin);
        memcpy(n->pub.origin, pub.bytes, pub.count);
    } else if (st != STATUS_NOT_FOUND) {
        return st == STATUS_OK ? STATUS_CORRUPT : st;
    }
    st = store_kv_get(txn, SPACE_HOME, text_view(n->name), name, &exch);
    if (st == STATUS_OK && exch.count <= ORIGIN_CHARS_MAX) {
        memcpy(n->exch.origin, exch.bytes, exch.count);
    } else if (st == STATUS_NOT_FOUND) {
        origin_exch(n->name, n->engine->institution, randombytes_random(), n->exch.origin);
        n->exch_fresh = true;
        st = store_kv_put(txn, SPACE_HOME, text_view(n->name), name, text_view(n->exch.origin));
    }
    st = st == STATUS_OK ? engine_own_log_open(n, txn, &n->pub) : st;
    return st == STATUS_OK ? engine_own_log_open(n, txn, &n->exch) : st;
}

/* Whether there is nothing that open_logs would write: a full store is opened, too. */
static enum status
logs_made(struct engine *e, bool *made)
{
    static const struct view name = {(const uint8_t *)"exch", 4};
    static const struct view pub_name = {(const uint8_t *)"pub", 3};
    struct store_txn *txn;
    enum status st = store_begin_read(e->store, &txn);
    if (st != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; st == STATUS_OK && i < e->network_count; i++) {
        const struct network *n = &e->networks[i];
        char first[ORIGIN_CHARS_MAX + 1];
        struct view exch, pub;
        struct store_log log;
        origin_pub(n->name, e->institution, first);
        st = store_kv_get(txn, SPACE_HOME, text_view(n->name), name, &exch);
        st = st == STATUS_OK ? store_log_find(txn, exch, &log) : st;
        if (st == STATUS_OK) {
            st = store_kv_get(txn, SPACE_HOME, text_view(n->name), pub_name, &pub);
            pub = st == STATUS_NOT_FOUND ? text_view(first) : pub;
            st =
                st == STATUS_OK || st == STATUS_NOT_FOUND ? store_log_find(txn, pub, &log) : st;
        }
    }
    store_abort(txn);
    *made = st == STATUS_OK;
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* ---- clean start ---------------------------------------------------------------------------
 */

struct roots {
    struct store_txn *txn;
};

static enum status
root_at(void *context, const char *origin, uint64_t size, struct hash *root)
{
    struct roots *r = context;
    struct store_log log;
    enum status st = store_log_find(r->txn, text_view(origin), &log);
    return st == STATUS_OK ? store_root_at(r->txn, log.id, size, root) : st;
}

static size_t
own_heads(struct engine *e, struct store_txn *txn, struct home_head *heads, bool signed_only)
{
    size_t count = 0;
    for (size_t i = 0; i < e->network_count; i++) {
        struct own_log *logs[] = {&e->networks[i].pub, &e->networks[i].exch};
        for (size_t k = 0; k < 2; k++) {
            struct store_log row;
            struct home_head *h = &heads[count];
            uint64_t size = logs[k]->signed_size;
            if (store_log_get(txn, logs[k]->id, &row) != STATUS_OK) {
                continue;
            }
            size = signed_only ? size : row.size;
            if (signed_only && !logs[k]->has_head) {
                continue;
            }
            memcpy(h->origin, logs[k]->origin, sizeof h->origin);
            h->size = size;
            if (store_root_at(txn, logs[k]->id, size, &h->root) == STATUS_OK) {
                count++;
            }
        }
    }
    return count;
}

void
engine_last_signed(struct engine *e)
{
    struct home_head heads[ENGINE_NETWORKS_MAX * 2];
    struct store_txn *txn;
    char error[HOME_IO_ERROR_CHARS];
    for (size_t i = 0; e->unclean && i < e->network_count; i++) {
        const struct network *n = &e->networks[i];
        if (n->charter != NULL && (!gossip_may_sign(n->gossip, text_view(n->pub.origin)) ||
                                   !gossip_settled(n->gossip))) {
            return; /* else the next start would pass for a clean one */
        }
    }
    e->unclean = false;
    if (store_begin_read(e->store, &txn) != STATUS_OK) {
        return;
    }
    size_t count = own_heads(e, txn, heads, true);
    store_abort(txn);
    enum status st = home_io_signed(e->path, heads, count, error);
    if (st == STATUS_OK || (st == STATUS_NO_SPACE && !engine_say_again(&e->signed_said_ms))) {
        return;
    }
    engine_say(e, "%s", error);
}

static enum status
judge_start(struct engine *e, struct store_txn *txn, struct signgate_options *gate,
            char why[HOME_IO_ERROR_CHARS])
{
    struct home_head heads[ENGINE_NETWORKS_MAX * 2];
    struct roots roots = {txn};
    size_t count = own_heads(e, txn, heads, false);
    enum status st =
        home_io_is_clean(e->path, heads, count, root_at, &roots, &gate->clean, why);
    e->unclean = !gate->clean;
    if (st == STATUS_OK && !gate->clean) {
        engine_say(e, "not a clean start: %s; signing waits for the witnesses", why);
    }
    return st;
}

/* ---- opening ---- */

static enum status
open_network(struct engine *e, struct network *n, const struct config_network *config)
{
    n->engine = e;
    n->config = config;
    memcpy(n->name, config->name, strlen(config->name) + 1);
    n->witnessed = (struct witnessed_policy){
        .wanted = config->witnesses == 0                   ? WITNESSED_MAJORITY
                  : config->witnesses == CONFIG_NO_WITNESS ? 0
                                                           : config->witnesses,
        .wait_s = 3600 * (int64_t)(config->witness_hours == 0 ? WITNESSED_WAIT_HOURS
                                                              : config->witness_hours)};
    enum status st = engine_keys_open(n);
    static const char context[] = "huren ledger v1";
    crypto_generichash_state h;
    crypto_generichash_init(&h, e->seed, sizeof e->seed, sizeof n->ledger_key);
    crypto_generichash_update(&h, (const uint8_t *)context, sizeof context - 1);
    crypto_generichash_update(&h, (const uint8_t *)n->name, strlen(n->name));
    crypto_generichash_final(&h, n->ledger_key, sizeof n->ledger_key);
    n->publish = (struct publish_context){.network = n->name,
                                          .institution = e->institution,
                                          .origin = n->pub.origin,
                                          .ledger_key = n->ledger_key,
                                          .ctx = n,
                                          .sensitive = is_sensitive,
                                          .number = number_of};
    return st;
}

static enum status
open_machines(struct engine *e, char why[HOME_IO_ERROR_CHARS])
{
    struct store_txn *txn;
    struct signgate_options gate = {0};
    enum status st = store_begin_read(e->store, &txn);
    if (st != STATUS_OK) {
        return st;
    }
    if ((st = judge_start(e, txn, &gate, why)) != STATUS_OK) {
        store_abort(txn);
        return st;
    }
    if (!gate.clean && e->daemon) { /* a command: when it writes there (engine_call) */
        store_abort(txn);
        st = store_begin_write(e->store, STORE_EXCHANGE, 65536, &txn);
        if (st == STATUS_OK && (st = engine_recover_start(e, txn)) == STATUS_OK) {
            st = store_commit(txn);
        } else {
            store_abort(txn);
        }
        st = st == STATUS_OK ? store_begin_read(e->store, &txn) : st;
        if (st != STATUS_OK) {
            return st;
        }
    }
    for (size_t i = 0; st == STATUS_OK && i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        gate.wait_ms = n->config->start_wait_ms;
        struct gossip_options o = {.network = n->name,
                                   .institution = e->institution,
                                   .tick_ms = n->config->tick_ms,
                                   .entries_day = n->config->entries_day,
                                   .only = n->config->peers,
                                   .only_count = n->config->peer_count,
                                   .gate = gate,
                                   .fresh = n->exch_fresh ? n->exch.origin : NULL};
        memcpy(o.instance, e->instance, sizeof o.instance);
        st = gossip_open(&o, net_time_ms(), txn, &n->gossip);
        st = st == STATUS_OK ? engine_gossip_open(n) : st;
        st = st == STATUS_OK ? engine_reload_charter(n, txn) : st;
        st = st == STATUS_OK ? engine_receipt_open(n, txn) : st;
        if (st == STATUS_OK) {
            engine_impact_open(n, txn);
        }
        st = st == STATUS_OK ? engine_recall_open(n, txn) : st;
    }
    store_abort(txn);
    for (size_t i = 0; st == STATUS_OK && i < e->network_count; i++) {
        struct gossip_event event = {.type = GOSSIP_TICK};
        engine_gossip(&e->networks[i], &event); /* lets the signing gate look around */
        engine_packs_look(&e->networks[i]);
    }
    return st;
}

static enum status
open_store(struct engine *e, char *error, size_t error_bytes)
{
    char path[HOME_IO_PATH_CHARS];
    struct store_options o = {.handle_of = candidates_handle_of,
                              .map_bytes_max = e->config->store_bytes_max};
    enum status st = home_io_path(e->path, "store", path);
    st = st == STATUS_OK ? store_open(path, &o, &e->store) : st;
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "the store %s: %s%s", path, status_text(st),
                 st == STATUS_CORRUPT ? "; huren audit verify names the places" : "");
        return st;
    }
    bool made = false;
    struct store_txn *txn;
    st = logs_made(e, &made);
    st = st != STATUS_OK ? st
         : made          ? store_begin_read(e->store, &txn)
                         : store_begin_write(e->store, STORE_EXCHANGE, 65536, &txn);
    bool begun = st == STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < e->network_count; i++) {
        st = open_logs(&e->networks[i], txn);
    }
    if (st == STATUS_OK) {
        st = store_commit(txn);
    } else if (begun) {
        store_abort(txn);
    }
    if (st != STATUS_OK) {
        char why[ENGINE_ROOM_CHARS];
        snprintf(error, error_bytes, "the store %s: opening its own logs: %s", path,
                 engine_why(e, st, why));
    }
    return st;
}

/* ---- events of the net ---- */

static bool
may_connect(void *ctx, const char *network, const uint8_t session_public[KEY_BYTES],
            char institution[INSTITUTION_CHARS_MAX + 1])
{
    struct engine *e = ctx;
    struct network *n = engine_network(e, network);
    if (n == NULL || n->charter == NULL) {
        return false;
    }
    const Hr__MemberRow *m =
        charter_member_by_session(n->charter, session_public, engine_now_ms() / 1000);
    if (m == NULL) {
        return false;
    }
    snprintf(institution, INSTITUTION_CHARS_MAX + 1, "%s", m->institution);
    return true;
}

static const struct network_keys *
our_keys(void *ctx, const char *network)
{
    struct network *n = engine_network(ctx, network);
    return n == NULL ? NULL : n->dialling ? &n->generations[n->dial] : &n->keys;
}

static void
peer_changed(struct network *n, const struct net_event *ev)
{
    bool up = ev->type == NET_UP;
    struct gossip_event event = {.type = up ? GOSSIP_PEER_UP : GOSSIP_PEER_DOWN,
                                 .session = ev->session,
                                 .institution = ev->institution,
                                 .instance = ev->instance,
                                 .dialled = ev->dialled};
    engine_gossip(n, &event);
    if (!up && ev->dialled && ev->status != STATUS_OK) {
        struct gossip_event failed = {.type = GOSSIP_DIAL_FAILED,
                                      .institution = ev->institution};
        engine_gossip(n, &failed);
    }
    if (strcmp(ev->institution, n->engine->institution) == 0) {
        return; /* ourselves or our twin: gossip closes it */
    }
    if (!up) {
        engine_turns_down(n, ev->session, ev->institution);
    }
    if (up) {
        engine_packs_look(n); /* somebody new to ask */
    }
    engine_receipt_peer(n, ev->session, ev->institution, up);
    engine_recall_peer(n, ev->session, ev->institution, up);
    engine_lookup_peer(n, ev->session, ev->institution, up);
    if (up && (ev->skew_ms > 60000 || ev->skew_ms < -60000)) {
        engine_say(n->engine, "%s: the clock of %s differs from ours by %lld s", n->name,
                   ev->institution, (long long)(ev->skew_ms / 1000));
    }
}

static void
net_event(void *ctx, const struct net_event *ev)
{
    struct engine *e = ctx;
    struct network *n = engine_network(e, ev->network);
    if (n == NULL) {
        return;
    }
    if (ev->type != NET_FRAME) {
        peer_changed(n, ev);
        return;
    }
    switch (ev->frame.kind) {
    case FRAME_LOOKUP:
        engine_turns_frame(n, ev->session, ev->institution, &ev->frame);
        return;
    case FRAME_LOOKUP | FRAME_ANSWER:
        engine_lookup_frame(n, ev->session, ev->institution, &ev->frame);
        return;
    case FRAME_RECEIPT:
        engine_turns_frame(n, ev->session, ev->institution, &ev->frame);
        return;
    case FRAME_RELY:
    case FRAME_RECALL:
        if (n->gossip != NULL &&
            !gossip_spend(n->gossip, ev->institution, GOSSIP_BUDGET_REQUESTS, 1,
                          net_time_ms()) &&
            gossip_overdrawn(n->gossip, ev->institution)) {
            net_close_session(e->net, ev->session);
            return;
        }
        engine_recall_frame(n, ev->session, ev->institution, &ev->frame);
        return;
    default:
        break;
    }
    if ((ev->frame.kind & FRAME_ANSWER) == 0 && ev->frame.request != 0) {
        engine_turns_frame(n, ev->session, ev->institution, &ev->frame);
        return;
    }
    struct gossip_event event = {.type = GOSSIP_FRAME,
                                 .session = ev->session,
                                 .institution = ev->institution,
                                 .request = ev->frame.request,
                                 .kind = ev->frame.kind,
                                 .last = ev->frame.last,
                                 .message = ev->frame.message,
                                 .raw = ev->frame.raw};
    engine_gossip(n, &event);
}

void
engine_dial(struct network *n, const char *institution)
{
    const Hr__MemberRow *m =
        n->charter == NULL ? NULL : charter_member(n->charter, institution);
    const Hr__PublicKeys *keys = m == NULL ? NULL : charter_keys_at(m, engine_now_ms() / 1000);
    if (keys == NULL || keys->session.len != KEY_BYTES) {
        return;
    }
    for (size_t i = 0; i < m->n_addresses && i < GOSSIP_MEMBER_ADDRESSES_MAX; i++) {
        uint32_t session;
        if (engine_net_dial(n, institution, m->addresses[i], keys->session.data, &session) ==
            STATUS_OK) {
            return;
        }
    }
}

/* As many sessions as there are descriptors for, beside files, the store, accepts under
 * way and commands: a node without any would neither write nor be asked how it is. */
static size_t
sessions_max(void)
{
    enum { OTHERS = 48, LEAST = 8 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return SESSIONS_MAX;
    }
    if (limit.rlim_cur < SESSIONS_MAX + OTHERS && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < SESSIONS_MAX + 2 * OTHERS ? limit.rlim_max
                                                                    : SESSIONS_MAX + 2 * OTHERS;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= SESSIONS_MAX + OTHERS) {
        return SESSIONS_MAX;
    }
    return limit.rlim_cur > OTHERS + LEAST ? (size_t)limit.rlim_cur - OTHERS : LEAST;
}

static enum status
open_net(struct engine *e, char *error, size_t error_bytes)
{
    struct net_options o = {.ctx = e,
                            .member = may_connect,
                            .keys = our_keys,
                            .keys_more = engine_keys_more,
                            .event = net_event,
                            .software = "huren 0.1.0",
                            .sessions_max = sessions_max()};
    memcpy(o.instance, e->instance, sizeof o.instance);
    enum status st = net_open(&o, &e->net);
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "starting the network: %s", status_text(st));
    }
    return st;
}

static enum status
read_seed(struct engine *e, char *error)
{
    enum status st = seeds_io_read(e->path, config_passphrase(e->config), &e->seeds, error);
    if (st == STATUS_OK) {
        memcpy(e->seed, e->seeds.at[0], sizeof e->seed);
    }
    return st;
}

static enum status
open_all(struct engine *e, char *error, size_t error_bytes)
{
    char why[HOME_IO_ERROR_CHARS] = "";
    enum status st = config_load(e->path, &e->config, why, sizeof why);
    st = st == STATUS_OK ? read_seed(e, why) : st;
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "%s", why[0] != '\0' ? why : status_text(st));
        return st;
    }
    memcpy(e->institution, e->config->institution, strlen(e->config->institution) + 1);
    st = policy_set_load_embedded(&e->policy, error, error_bytes);
    for (size_t i = 0; st == STATUS_OK && i < e->config->network_count; i++) {
        st = open_network(e, &e->networks[i], &e->config->networks[i]);
        e->network_count++;
    }
    st = st == STATUS_OK ? open_store(e, error, error_bytes) : st;
    st = st == STATUS_OK ? engine_packs_open(e, error, error_bytes) : st;
    st = st == STATUS_OK ? open_net(e, error, error_bytes) : st;
    if (st == STATUS_OK && (st = open_machines(e, why)) != STATUS_OK) {
        snprintf(error, error_bytes, "opening %s: %s", e->path,
                 why[0] != '\0' ? why : status_text(st));
    }
    return st;
}

enum status
engine_open(const char *home, bool daemon, void (*say)(const char *line), struct engine **out,
            char *error, size_t error_bytes)
{
    *out = NULL;
    error[0] = '\0';
    if (sodium_init() < 0) {
        snprintf(error, error_bytes, "libsodium cannot be started");
        return STATUS_IO;
    }
    struct engine *e = calloc(1, sizeof *e);
    pid_t holder = 0;
    if (e == NULL || strlen(home) >= sizeof e->path) {
        snprintf(error, error_bytes, "%s",
                 status_text(e == NULL ? STATUS_NO_MEMORY : STATUS_TOO_BIG));
        free(e);
        return STATUS_NO_MEMORY;
    }
    memcpy(e->path, home, strlen(home) + 1);
    e->daemon = daemon;
    e->say = say;
    e->jobs_end = &e->jobs;
    randombytes_buf(e->instance, sizeof e->instance);
    char why[HOME_IO_ERROR_CHARS] = "";
    enum status st = home_io_own(home, &e->home, &holder, why);
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "%s", why);
    } else {
        st = open_all(e, error, error_bytes);
    }
    if (st == STATUS_OK) {
        *out = e;
        e = NULL;
    }
    if (st != STATUS_OK && error[0] == '\0') {
        snprintf(error, error_bytes, "opening %s: %s", home, status_text(st));
    }
    engine_close(e);
    return st;
}

void
engine_close(struct engine *e)
{
    if (e == NULL) {
        return;
    }
    engine_drop_jobs(e);
    engine_lookup_free(e);
    engine_impact_free(e);
    engine_recall_audit_free(e);
    engine_gossip_free(e);
    control_close(e->control);
    net_close(e->net);
    for (size_t i = 0; i < e->network_count; i++) {
        struct network *n = &e->networks[i];
        gossip_close(n->gossip);
        charter_free(n->charter);
        engine_receipt_free(n);
        engine_recall_close(n);
        engine_turns_free(n);
        engine_keys_free(n);
    }
    store_close(e->store);
    engine_packs_free(e);
    policy_set_free(e->policy);
    config_free(e->config);
    home_io_close(e->home);
    sodium_memzero(e, sizeof *e);
    free(e);
}

static void
control_call_in(void *ctx, const struct call *call, struct call_sink *sink)
{
    engine_call(ctx, call, sink);
}

enum status
engine_listen(struct engine *e, char *error, size_t error_bytes)
{
    char path[HOME_IO_PATH_CHARS];
    enum status st = home_io_path(e->path, "control", path);
    st = st == STATUS_OK ? control_listen(e->net, path, control_call_in, e, &e->control) : st;
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "listening for commands at %s: %s", path, status_text(st));
        return st;
    }
    for (size_t i = 0; i < e->network_count; i++) {
        const char *url = e->networks[i].config->listen;
        bool twice = false;
        for (size_t k = 0; k < i; k++) {
            twice = twice || strcmp(e->networks[k].config->listen, url) == 0;
        }
        if (url[0] == '\0' || twice) {
            continue;
        }
        if ((st = net_listen(e->net, url, NULL)) != STATUS_OK) {
            snprintf(error, error_bytes, "listening at %s: %s; change listen in %s/config.yaml",
                     url, status_text(st), e->path);
            return st;
        }
    }
    return STATUS_OK;
}

void
engine_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    static const struct {
        const char *name;
        void (*run)(struct engine *, const struct call *, struct call_sink *);
        bool reads; /* writes nothing to an exchange log */
    } handlers[] = {{"lookup", engine_lookup_call, false},
                    {"publish", engine_publish_call, false},
                    {"charter-adopt", engine_charter_call, false},
                    {"charter-impact", engine_impact_call, true},
                    {"release", engine_release_call, false},
                    {"pack-adopt", engine_pack_call, true},
                    {"status", engine_status_call, true},
                    {"log", engine_log_call, true},
                    {"resume", engine_resume_call, true},
                    {"retire", engine_retire_call, false},
                    {"outcome", engine_outcome_call, false},
                    {"recall", engine_recall_call, true},
                    {"fork", engine_fork_call, true},
                    {"quarantine", engine_quarantine_call, true},
                    {"quarantine-drop", engine_quarantine_drop_call, true},
                    {"quarantine-list", engine_quarantine_list_call, true}};
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (strcmp(handlers[i].name, call->command) != 0) {
            continue;
        }
        enum status st = handlers[i].reads ? STATUS_OK : engine_recover_now(e);
        if (st == STATUS_OK) {
            handlers[i].run(e, call, sink);
        } else {
            engine_text(sink, true, "huren: %s: beginning a new exchange log: %s\n",
                        call->command, status_text(st));
            sink->done(sink->ctx, 2);
        }
        return;
    }
    engine_text(sink, true,
                "huren: this daemon does not know what is asked; it may be older than "
                "the command: restart it\n");
    sink->done(sink->ctx, 2);
}
