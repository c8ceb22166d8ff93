/* engine_keys_io.c: our own keys as the charter lists them, and the network's.
 *
 * Source: DESIGN 5, 7, 11; RELIABILITY F19, F20.  Which keys are in force says
 * our row of members (keychoice.h); a node goes over to new ones by itself, when
 * it adopts the document or when their time has come. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"
#include "node/epochs.h"
#include "node/origin.h"
#include "proto/text.h"

enum { LOOK_MS = 1000, RECHECK_MS = 10000, MARKS_MS = 5000 };

enum status
engine_keys_open(struct network *n)
{
    const struct seeds *seeds = &n->engine->seeds;
    n->generations = calloc(seeds->count + 1, sizeof *n->generations);
    if (n->generations == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < seeds->count; i++) {
        keys_derive(seeds->at[i], n->name, &n->generations[i]);
    }
    n->generation_count = seeds->count;
    n->choice.use = seeds->count; /* none yet */
    engine_keys_look(n);
    return STATUS_OK;
}

void
engine_keys_free(struct network *n)
{
    for (size_t i = 0; n->generations != NULL && i < n->generation_count; i++) {
        keys_wipe(&n->generations[i]);
    }
    free(n->generations);
    n->generations = NULL;
    sodium_memzero(&n->keys, sizeof n->keys);
    sodium_memzero(n->epochs, sizeof n->epochs);
}

/* Sign and cosign under n->keys from now on. */
static enum status
take_signers(struct network *n)
{
    char witness[KEY_NAME_CHARS_MAX + 1];
    origin_witness_name(n->name, n->engine->institution, witness);
    enum status st = note_signer_make(text_view(witness), NOTE_KEY_COSIGNATURE,
                                      n->keys.witness.secret_key, &n->witness);
    struct own_log *logs[] = {&n->pub, &n->exch};
    for (size_t i = 0; st == STATUS_OK && i < 2; i++) {
        if (logs[i]->id == 0) {
            continue; /* not opened yet: it will take them by itself */
        }
        st = note_signer_make(text_view(logs[i]->origin), NOTE_KEY_ED25519,
                              n->keys.log.secret_key, &logs[i]->signer);
        logs[i]->dirty = logs[i]->has_head; /* the head again, under the new key */
    }
    return st;
}

void
engine_keys_read(struct engine *e)
{
    struct seeds again;
    char error[KEYFILE_IO_ERROR_CHARS];
    if (!seeds_io_is_more(e->path, e->seeds.count)) {
        return;
    }
    if (seeds_io_read(e->path, config_passphrase(e->config), &again, error) != STATUS_OK ||
        again.count <= e->seeds.count) {
        seeds_io_wipe(&again);
        return;
    }
    for (size_t k = 0; k < e->network_count; k++) {
        struct network *n = &e->networks[k];
        struct network_keys *more = calloc(again.count + 1, sizeof *more);
        if (more == NULL) {
            seeds_io_wipe(&again);
            return; /* tried again with the next look */
        }
        for (size_t i = 0; i < again.count; i++) {
            keys_derive(again.at[i], n->name, &more[i]);
        }
        for (size_t i = 0; i < n->generation_count; i++) {
            keys_wipe(&n->generations[i]);
        }
        free(n->generations);
        n->generations = more;
        n->generation_count = again.count;
    }
    e->seeds = again;
    seeds_io_wipe(&again);
}

static void
choose(struct network *n)
{
    struct network_public all[SEEDS_MAX];
    const Hr__MemberRow *row =
        n->charter == NULL ? NULL : charter_member(n->charter, n->engine->institution);
    for (size_t i = 0; i < n->generation_count; i++) {
        keys_public(&n->generations[i], &all[i]);
    }
    keychoice_make(row, all, n->generation_count, engine_now_ms() / 1000, &n->choice);
}

void
engine_keys_look(struct network *n)
{
    size_t before = n->choice.use;
    choose(n);
    if (n->choice.use == before) {
        return;
    }
    n->keys = n->generations[n->choice.use];
    enum status st = take_signers(n);
    if (st != STATUS_OK) {
        engine_say(n->engine, "%s: our keys cannot be used: %s", n->name, status_text(st));
    } else if (before < n->generation_count) {
        engine_say(n->engine, "%s: our keys number %zu are in force from now on", n->name,
                   n->choice.use + 1);
    }
}

void
engine_keys_epochs(struct network *n)
{
    struct network_key best[NETWORK_KEY_EPOCHS_MAX];
    size_t had = n->epoch_count, bad = 0;
    sodium_memzero(n->epochs, sizeof n->epochs);
    n->epoch_count = 0;
    enum status st = STATUS_NOT_FOUND;
    for (size_t i = n->generation_count; i-- > 0 && st != STATUS_OK;) {
        size_t count = 0, failed = 0;
        st = charter_network_keys(n->charter, n->engine->institution, &n->generations[i].box,
                                  best, &count, &failed);
        if (count > n->epoch_count || i + 1 == n->generation_count) {
            memcpy(n->epochs, best, count * sizeof *best);
            n->epoch_count = count;
            bad = failed;
        }
    }
    sodium_memzero(best, sizeof best);
    n->epochs_bad = st == STATUS_OK ? 0 : bad;
    if (n->epochs_bad > 0) {
        engine_say(n->engine,
                   "%s: %zu network keys in members do not open with the keys of this home, or "
                   "do not match their check: nothing is published or looked up under them; "
                   "ask the authority to build members again from the current HOME/join",
                   n->name, n->epochs_bad);
    }
    const Hr__NetworkEpoch *const *epochs;
    size_t count = charter_epochs(n->charter, &epochs);
    bool current = n->epoch_count > 0 && count > 0 &&
                   n->epochs[n->epoch_count - 1].epoch == epochs[count - 1]->epoch;
    /* Under an epoch that ended, entries would be late at once, and readable to
     * who left: better none. */
    n->publish.network_key = current ? &n->epochs[n->epoch_count - 1] : NULL;
    n->publish.earlier = n->epochs; /* what came back may have been published under these */
    n->publish.earlier_count = current ? n->epoch_count - 1 : 0;
    if (had > 0 && !current) {
        engine_say(n->engine,
                   "%s: the current network key is not in hand: nothing is published", n->name);
    }
}

/* ---- what is noted of logs as time goes by (epochs.h, witnessed.h) ---- */

static enum status
note_due(const struct network *n, struct store_txn *txn, bool dry, size_t *changed)
{
    int64_t now_s = engine_now_ms() / 1000;
    size_t waits = 0;
    enum status st = epochs_note_all(txn, n->charter, n->engine->up_s, now_s, dry, changed);
    if (st == STATUS_OK) {
        st = witnessed_note_all(txn, n->charter, &n->witnessed, n->engine->institution, now_s,
                                dry, &waits);
    }
    *changed += waits;
    return st;
}

struct marks_job {
    struct job job;
    struct network *network;
};

static enum status
write_marks(struct store_txn *txn, void *ctx)
{
    struct marks_job *j = ctx;
    size_t changed;
    return note_due(j->network, txn, false, &changed);
}

static void
marks_done(void *ctx, enum status st)
{
    struct marks_job *j = ctx;
    if (st != STATUS_OK) {
        engine_say(j->network->engine, "%s: noting what logs have come to: %s",
                   j->network->name, status_text(st));
    }
    free(j);
}

/* Note what is due; reads only, if nothing is. */
static void
note_marks(struct network *n)
{
    struct store_txn *txn;
    size_t changed = 0;
    struct marks_job *j = NULL;
    if (n->charter == NULL || store_begin_read(n->engine->store, &txn) != STATUS_OK) {
        return;
    }
    enum status st = note_due(n, txn, true, &changed);
    store_abort(txn);
    if (st == STATUS_OK && changed > 0 && (j = calloc(1, sizeof *j)) != NULL) {
        j->network = n;
        j->job = (struct job){.purpose = STORE_EXCHANGE,
                              .bytes = 4096 + 512 * changed,
                              .write = write_marks,
                              .done = marks_done,
                              .ctx = j};
        engine_write(n->engine, &j->job);
    }
}

void
engine_keys_tick(struct engine *e, int64_t now_ms)
{
    if (now_ms - e->keys_looked_ms < LOOK_MS) {
        return;
    }
    e->keys_looked_ms = now_ms;
    engine_keys_read(e);
    for (size_t i = 0; i < e->network_count; i++) {
        size_t before = e->networks[i].choice.use;
        engine_keys_look(&e->networks[i]);
        if (e->networks[i].choice.use != before && e->networks[i].charter != NULL) {
            engine_keys_epochs(&e->networks[i]);
        }
    }
    if (e->daemon && now_ms - e->marked_ms >= MARKS_MS) {
        e->up_s = e->up_s == 0 ? engine_now_ms() / 1000 : e->up_s;
        e->marked_ms = now_ms;
        for (size_t i = 0; i < e->network_count; i++) {
            note_marks(&e->networks[i]);
        }
    }
    if (e->net != NULL && now_ms - e->rechecked_ms >= RECHECK_MS) {
        e->rechecked_ms = now_ms;
        net_recheck(e->net);
    }
}

const struct network_keys *
engine_keys_more(void *ctx, const char *network, size_t i)
{
    struct network *n = engine_network(ctx, network);
    return n == NULL || i >= n->choice.answer_count ? NULL
                                                    : &n->generations[n->choice.answer[i]];
}

enum status
engine_net_dial(struct network *n, const char *institution, const char *url,
                const uint8_t session_public[KEY_BYTES], uint32_t *session)
{
    /* Who has revoked the old keys, or heard of the new ones before us, takes these:
     * now and then it is tried. */
    n->dial = n->choice.pending < n->generation_count && randombytes_uniform(2) == 1
                  ? n->choice.pending
                  : n->choice.dial;
    n->dialling = true; /* net_dial asks for our keys at once */
    enum status st =
        net_dial(n->engine->net, n->name, institution, url, session_public, session);
    n->dialling = false;
    return st;
}
