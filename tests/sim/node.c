#include "tests/sim/node.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/candidates.h"
#include "node/charter_adopt_io.h"
#include "node/charter_store_io.h"
#include "node/epochs.h"
#include "node/gossip_members.h"
#include "store/charter.h"
#include "store/log.h"
#include "tests/sim/authority.h"
#include "tests/sim/check.h"
#include "tests/sim/evil.h"
#include "tests/sim/exchange.h"
#include "tests/sim/lis.h"

/* ---- files ---- */

void
files_remove(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char name[600];
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            snprintf(name, sizeof name, "%s/%s", path, e->d_name);
            files_remove(name);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    (void)remove(path);
}

void
files_copy(const char *from, const char *to, const char *name)
{
    char a[400], b[400];
    static uint8_t block[1 << 16];
    snprintf(a, sizeof a, "%s/%s", from, name);
    snprintf(b, sizeof b, "%s/%s", to, name);
    FILE *in = fopen(a, "rb"), *out = fopen(b, "wb");
    assert(in != NULL && out != NULL);
    for (size_t n; (n = fread(block, 1, sizeof block, in)) > 0;) {
        assert(fwrite(block, 1, n, out) == n);
    }
    fclose(in);
    fclose(out);
}

/* ---- life ---- */

static void
take_keys(struct world *w, struct node *n)
{
    char name[KEY_NAME_CHARS_MAX + 1];
    const struct member *m = &w->members[n->member];
    size_t now = authority_key_now(w, n);
    const struct network_keys *keys = &m->keys[now];
    if (now != n->key_now) { /* what it signed since the old key ended is signed again */
        n->key_now = now;
        n->sign_due = true;
    }
    enum status st = note_signer_make(view_of_text(n->origin), NOTE_KEY_ED25519,
                                      keys->log.secret_key, &n->log_signer);
    assert(st == STATUS_OK);
    origin_witness_name(SIM_NETWORK, n->institution, name);
    st = note_signer_make(view_of_text(name), NOTE_KEY_COSIGNATURE, keys->witness.secret_key,
                          &n->witness_signer);
    assert(st == STATUS_OK);
}

/* The network keys in hand, as engine_keys_epochs does. */
static void
take_epochs(struct world *w, struct node *n)
{
    const struct member *m = &w->members[n->member];
    const Hr__NetworkEpoch *const *epochs;
    size_t count = n->charter == NULL ? 0 : charter_epochs(n->charter, &epochs);
    n->epoch_count = 0;
    n->current = false;
    if (w->epoch_count == 0) {
        lis_one_epoch(n);
        return;
    }
    enum status st = STATUS_NOT_FOUND;
    for (size_t k = n->key_now + 1; count > 0 && k-- > 0 && st != STATUS_OK;) {
        st = charter_network_keys(n->charter, n->institution, &m->keys[k].box, n->epochs,
                                  &n->epoch_count, NULL);
    }
    n->current =
        n->epoch_count > 0 && n->epochs[n->epoch_count - 1].epoch == epochs[count - 1]->epoch;
}

/* Sizes of logs when epochs ended and were closed (node/epochs.h). */
void
node_note_epochs(struct world *w, struct node *n)
{
    struct store_txn *t = NULL;
    size_t changed = 0;
    if (w->now_ms - n->noted_ms < 1000 || w->epoch_count < 2 || n->charter == NULL) {
        return;
    }
    n->noted_ms = w->now_ms;
    enum status st = store_begin_read(n->store, &t);
    st = st == STATUS_OK
             ? epochs_note_all(t, n->charter, n->up_s, node_now_s(w, n), true, &changed)
             : st;
    store_abort(t);
    CHECK(w, "I1", st == STATUS_OK, "%s: epochs: %s", n->institution, status_text(st));
    if (changed == 0) {
        return;
    }
    st = store_begin_write(n->store, STORE_EXCHANGE, 1 << 16, &t);
    st = st == STATUS_OK
             ? epochs_note_all(t, n->charter, n->up_s, node_now_s(w, n), false, &changed)
             : st;
    CHECK(w, "I1", st == STATUS_OK, "%s: epochs: %s", n->institution, status_text(st));
    if (node_dies(w)) {
        store_abort(t);
        node_crash(w, n, "while it noted the end of an epoch");
        return;
    }
    CHECK(w, "I1", store_commit(t) == STATUS_OK, "%s: epochs", n->institution);
    sim_say(w, n, "notes the sizes of %zu logs: a network key has ended", changed);
}

void
node_make(struct world *w, int number, int as, enum evil evil)
{
    struct node *n = &w->nodes[number];
    memset(n, 0, sizeof *n);
    n->number = number;
    n->member = as;
    n->evil = evil;
    n->born = n->clean = true;
    strcpy(n->institution, w->members[as].institution);
    strcpy(n->origin, w->members[as].origin);
    snprintf(n->dir, sizeof n->dir, "%s/%d", w->scratch, number);
    snprintf(n->backup, sizeof n->backup, "%s/%d.backup", w->scratch, number);
    assert(mkdir(n->dir, 0700) == 0 && mkdir(n->backup, 0700) == 0);
    n->history = calloc(1, sizeof *n->history);
    n->largest = calloc((size_t)w->member_count, sizeof *n->largest);
    n->cosigned = calloc((size_t)w->member_count, sizeof *n->cosigned);
    n->cosigned_side = calloc((size_t)w->member_count, sizeof *n->cosigned_side);
    n->cosigned_time_s = calloc((size_t)w->member_count, sizeof *n->cosigned_time_s);
    n->forked = calloc((size_t)w->member_count, sizeof *n->forked);
    n->frozen = calloc((size_t)w->member_count, sizeof *n->frozen);
    assert(n->history != NULL && n->largest != NULL && n->cosigned != NULL &&
           n->cosigned_side != NULL && n->cosigned_time_s != NULL && n->forked != NULL &&
           n->frozen != NULL);
    history_init(n->history);
    n->lis = lis_new();
    n->exchange = exchange_new();
    n->next_publish_ms = INT64_MAX;
}

void
node_free(struct world *w, struct node *n)
{
    if (n->up) {
        node_stop(w, n);
    }
    history_free(n->history);
    free(n->history);
    lis_free(n->lis);
    exchange_free(n->exchange);
    free(n->largest);
    free(n->cosigned);
    free(n->cosigned_side);
    free(n->cosigned_time_s);
    free(n->forked);
    free(n->frozen);
}

static void
load_charter(struct world *w, struct node *n, struct store_txn *t)
{
    char reason[CHARTER_REASON_CHARS] = "";
    struct charter *charter = NULL;
    enum status st = charter_store_load(t, SIM_NETWORK, &charter, reason);
    CHECK(w, "I4", st == STATUS_OK, "%s cannot read its charter: %s %s", n->institution,
          status_text(st), reason);
    charter_free(n->charter);
    n->charter = charter;
    st = gossip_take_charter(n->gossip, charter, node_now_s(w, n));
    CHECK(w, "I6", st == STATUS_OK, "%s: members: %s", n->institution, status_text(st));
    check_adopted(w, n);
    take_keys(w, n);
    take_epochs(w, n);
    exchange_charter(n);
}

void
node_reload_charter(struct world *w, struct node *n)
{
    struct store_txn *t = NULL;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    load_charter(w, n, t);
    store_abort(t);
}

/* As the engine does when a home is opened: the own log is there, and ours. */
static void
make_own_log(struct world *w, struct node *n)
{
    struct store_txn *t = NULL;
    uint32_t id;
    enum status st = store_begin_write(n->store, STORE_PUBLISH, 4096, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: write: %s", n->institution, status_text(st));
    st = store_log_create(t, view_of_text(n->origin), STORE_LOG_OWN, 0, &id);
    if (st == STATUS_OK) {
        st = store_commit(t);
    } else {
        store_abort(t);
        st = st == STATUS_EXISTS ? STATUS_OK : st;
    }
    CHECK(w, "I1", st == STATUS_OK, "%s: own log: %s", n->institution, status_text(st));
}

void
node_start(struct world *w, struct node *n)
{
    struct store_options so = {.map_bytes = w->big ? 4 << 20 : 16 << 20,
                               .handle_of = candidates_handle_of};
    enum status st = store_open(n->dir, &so, &n->store);
    CHECK(w, "I1", st == STATUS_OK, "%s: its store does not open: %s", n->institution,
          status_text(st));
    for (size_t i = 0; i < sizeof n->instance; i++) {
        n->instance[i] = (uint8_t)sim_random(&w->rng);
    }
    n->up = true;
    n->up_s = node_now_s(w, n);
    w->lives[n->number]++;
    make_own_log(w, n);
    bool fresh = false;
    const char *exch = w->big ? NULL : exchange_log(w, n, &fresh);
    if (n->born) {
        authority_deliver(w, n, 0);
    }
    struct store_txn *t = NULL;
    st = store_begin_read(n->store, &t);
    struct gossip_options o = {.network = SIM_NETWORK,
                               .institution = n->institution,
                               .cosign_s = w->cosign_s,
                               .full = w->full,
                               .gate = {.clean = n->clean, .born = n->born},
                               .fresh = fresh ? exch : NULL};
    memcpy(o.instance, n->instance, sizeof o.instance);
    if (st == STATUS_OK) {
        st = gossip_open(&o, w->now_ms, t, &n->gossip);
    }
    CHECK(w, "I1", st == STATUS_OK, "%s does not start: %s", n->institution, status_text(st));
    load_charter(w, n, t);
    store_abort(t);
    if (!w->big) {
        exchange_start(w, n);
    }
    sim_say(w, n, "starts%s%s", n->born ? " for the first time" : "",
            n->clean ? "" : ", not clean");
    n->sign_due = true;
    n->born = false;
    check_store(w, n);
}

void
node_stop(struct world *w, struct node *n)
{
    gossip_close(n->gossip);
    n->gossip = NULL;
    exchange_stop(n);
    charter_free(n->charter);
    n->charter = NULL;
    store_close(n->store);
    n->store = NULL;
    n->up = false;
    n->up_at_ms = INT64_MAX;
    w->lives[n->number]++;
    wire_down(w, n);
}

void
node_crash(struct world *w, struct node *n, const char *where)
{
    w->crashes++;
    sim_say(w, n, "is killed %s", where);
    node_stop(w, n);
    n->up_at_ms = w->now_ms + 200 + (int64_t)sim_below(&w->rng, 4000);
}

bool
node_dies(struct world *w)
{
    return sim_below(&w->rng, 1000) < w->crash_permille;
}

/* ---- steps ---- */

static bool
is_store_action(const struct gossip_action *a)
{
    return a->ticket != 0;
}

/* A charter document from a peer: what engine_gossip_io.c does with it. */
static enum status
adopt(struct world *w, struct node *n, struct store_txn *t, const struct gossip_action *a,
      bool *adopted)
{
    char reason[CHARTER_REASON_CHARS] = "";
    enum status st;
    bool one = false;
    enum status written =
        charter_adopt_one(t, SIM_NETWORK, n->charter, a, node_now_s(w, n), &st, &one, reason);
    *adopted = *adopted || one;
    w->happened[HAPPENED_ROSTER_REFUSED] += st != STATUS_OK;
    sim_say(w, n, "looks at charter document %u version %llu: %s %s", a->charter_kind,
            (unsigned long long)a->version, status_text(st), reason);
    CHECK(w, "I1", written == STATUS_OK, "%s: charter: %s", n->institution,
          status_text(written));
    return st;
}

static enum status
perform(struct world *w, struct node *n, struct store_txn *t, const struct gossip_action *a,
        bool *adopted)
{
    int author = a->origin.count > 0 ? world_member_of(w, a->origin) : -1;
    if (n->evil == EVIL_TWO_TREES && author == n->member && a->count > 0) {
        return STATUS_GAP; /* it takes nothing back: it means to have two histories */
    }
    if (a->type == GOSSIP_ADOPT) {
        return adopt(w, n, t, a, adopted);
    }
    enum status st = gossip_apply(t, a, &n->witness_signer, SIM_NETWORK, node_now_s(w, n));
    sim_say(w, n, "stores %s of %s%s: %s",
            a->type == GOSSIP_STORE_ENTRIES    ? "entries"
            : a->type == GOSSIP_STORE_RECORDS  ? "records"
            : a->type == GOSSIP_STORE_COSIGNED ? "an offered head"
            : a->type == GOSSIP_COSIGN         ? "its cosignature"
            : a->type == GOSSIP_STORE_FORK     ? "a fork"
                                               : "something",
            author >= 0 ? w->members[author].institution : "nobody",
            a->complete ? ", and their head" : "", status_text(st));
    CHECK(w, "I4",
          st == STATUS_OK || st == STATUS_GAP || st == STATUS_REFUSED ||
              (n->evil != EVIL_NOT && st == STATUS_BAD_PROOF),
          "%s: action %d of %.*s: %s", n->institution, (int)a->type, (int)a->origin.count,
          (const char *)a->origin.bytes, status_text(st));
    return st;
}

/* One transaction for all store actions of an update. */
static bool
apply_all(struct world *w, struct node *n, struct gossip_update *u, enum status *statuses)
{
    struct store_txn *t = NULL;
    bool any = false, adopted = false;
    for (size_t i = 0; i < u->count; i++) {
        any = any || is_store_action(&u->actions[i]);
    }
    if (!any) {
        return true;
    }
    bool refuse = sim_percent(&w->rng, w->refuse_percent);
    w->happened[HAPPENED_REFUSED_STORE] += refuse;
    enum status st = store_begin_write(n->store, STORE_PUBLISH, 1 << 20, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: write: %s", n->institution, status_text(st));
    for (size_t i = 0; i < u->count; i++) {
        if (is_store_action(&u->actions[i])) {
            statuses[i] = refuse ? STATUS_NO_SPACE : perform(w, n, t, &u->actions[i], &adopted);
        }
    }
    if (node_dies(w)) {
        store_abort(t);
        node_crash(w, n, "before a commit");
        return false;
    }
    st = store_commit(t);
    CHECK(w, "I1", st == STATUS_OK, "%s: commit: %s", n->institution, status_text(st));
    for (size_t i = 0; i < u->count; i++) {
        if (u->actions[i].type == GOSSIP_COSIGN && statuses[i] == STATUS_OK) {
            check_cosign(w, n, &u->actions[i]);
        }
    }
    check_store(w, n);
    if (node_dies(w)) {
        node_crash(w, n, "after a commit, before anybody heard of it");
        return false;
    }
    if (adopted) {
        w->adopted++;
        node_reload_charter(w, n);
    }
    return true;
}

static void
act(struct world *w, struct node *n, const struct gossip_action *a)
{
    switch (a->type) {
    case GOSSIP_SEND:
        wire_send(w, n, a);
        break;
    case GOSSIP_DIAL:
        wire_dial(w, n, a->institution);
        break;
    case GOSSIP_CLOSE:
        sim_say(w, n, "closes a session: %s", a->text);
        n->garbage_closed += strstr(a->text, " sent ") != NULL;
        wire_close(w, a->session / 2);
        break;
    case GOSSIP_SAY:
        sim_say(w, n, "says: %s", a->text);
        break;
    case GOSSIP_FORK:
        check_fork(w, n, a);
        break;
    case GOSSIP_GATE:
        sim_say(w, n, "gate: %s",
                signgate_text(signgate_state(gossip_gate(n->gossip), n->origin)));
        break;
    case GOSSIP_RECOVERED:
        sim_say(w, n, "has its log back");
        n->recovered++;
        break;
    case GOSSIP_ADOPT:
    case GOSSIP_STORE_ENTRIES:
    case GOSSIP_STORE_RECORDS:
    case GOSSIP_STORE_COSIGNED:
    case GOSSIP_COSIGN:
    case GOSSIP_STORE_BLOB:
    case GOSSIP_STORE_MARK:
    case GOSSIP_STORE_FORK:
        break;
    }
}

static void
one_step(struct world *w, struct node *n, struct gossip_event *e, struct gossip_update *u)
{
    struct store_txn *t = NULL;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    e->now_ms = w->now_ms;
    e->now_s = node_now_s(w, n);
    e->random = sim_random(&w->rng);
    e->txn = t;
    st = gossip_step(n->gossip, e, u);
    store_abort(t);
    n->steps++;
    w->events++;
    CHECK(w, "I6", st == STATUS_OK, "%s: step %d: %s", n->institution, (int)e->type,
          status_text(st));
    check_machine(w, n);
}

void
node_event(struct world *w, struct node *n, struct gossip_event *e)
{
    struct gossip_update now, next;
    if (e->type == GOSSIP_FRAME && exchange_kind(e->kind)) {
        if (!w->big) {
            exchange_frame(w, n, e);
        }
        return;
    }
    gossip_update_init(&next);
    one_step(w, n, e, &next);
    for (int round = 0; next.count > 0 && n->up; round++) {
        CHECK(w, "I6", round < 10000, "%s never comes to rest", n->institution);
        now = next;
        gossip_update_init(&next);
        enum status *statuses = calloc(now.count, sizeof *statuses);
        assert(statuses != NULL);
        if (apply_all(w, n, &now, statuses)) {
            for (size_t i = 0; i < now.count && n->up; i++) {
                act(w, n, &now.actions[i]);
                if (now.actions[i].type == GOSSIP_SEND && w->crash_permille > 0 &&
                    sim_below(&w->rng, 20000) < w->crash_permille) {
                    node_crash(w, n, "between two frames");
                }
            }
            for (size_t i = 0; i < now.count && n->up; i++) {
                if (is_store_action(&now.actions[i])) {
                    struct gossip_event stored = {.type = GOSSIP_STORED,
                                                  .ticket = now.actions[i].ticket,
                                                  .status = statuses[i]};
                    one_step(w, n, &stored, &next);
                }
            }
        }
        free(statuses);
        gossip_update_free(&now);
    }
    gossip_update_free(&next);
    if (n->up && !w->big) {
        exchange_peer(w, n, e);
    }
}

/* ---- backups ---- */

void
node_backup(struct world *w, struct node *n)
{
    bool up = n->up;
    if (up) {
        node_stop(w, n);
    }
    files_copy(n->dir, n->backup, "data.mdb");
    n->has_backup = true;
    exchange_backup(n);
    n->backup_count = n->history->count;
    if (up) {
        n->up_at_ms = w->now_ms + 300;
    }
    sim_say(w, n, "is copied with %zu entries", n->history->count);
}

void
node_restore(struct world *w, struct node *n)
{
    if (n->up) {
        node_stop(w, n);
    }
    files_copy(n->backup, n->dir, "data.mdb");
    n->clean = false;
    n->restored = true;
    memset(n->largest, 0, (size_t)w->member_count * sizeof *n->largest);
    memset(n->versions, 0, sizeof n->versions);
    memset(n->forked, 0, (size_t)w->member_count * sizeof *n->forked);
    /* What was committed and never signed is gone with the disk. */
    size_t keep =
        n->history->signed_size > n->backup_count ? n->history->signed_size : n->backup_count;
    history_cut(n->history, keep);
    exchange_restore(n);
    lis_again(n); /* the laboratory sends everything once more */
    n->up_at_ms = w->now_ms + 500;
    w->restores++;
    sim_say(w, n, "is put back to its copy: %llu of %zu entries",
            (unsigned long long)n->backup_count, n->history->count);
}
