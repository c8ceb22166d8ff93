/* Heads of logs: asked for, told, verified, compared; offered heads with their
 * cosignatures; forks; what others know of our own logs. */
#include <stdlib.h>
#include <string.h>

#include "node/gossip_state.h"
#include "proto/frame.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"
#include "store/kv.h"

/* ---- the signing gate -------------------------------------------------------- */

void
gate_tell(struct step *s, struct view note)
{
    if (!signgate_tick(&s->g->gate, s->e->now_ms)) {
        return;
    }
    struct view proof = note.count > 0 ? gossip_update_copy(s->u, note) : note;
    struct gossip_action *a = gossip_update_add(s->u, GOSSIP_GATE);
    if (a == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    a->note = proof;
}

static void
head_ask(struct step *s, struct gpeer *p, struct glog *log)
{
    Hr__HeadAsk m;
    hr__head_ask__init(&m);
    m.origin = log->origin;
    struct greq *r = request_send(s, p, GREQ_HEAD, FRAME_HEAD, &m.base);
    if (r != NULL) {
        r->log = log;
        s->g->head_asks++;
    }
}

void
gate_ask(struct step *s, struct gpeer *p)
{
    for (size_t i = 0; i < s->g->log_count; i++) {
        struct glog *log = s->g->logs[i];
        if (log->own) {
            enum signgate_state state = signgate_state(&s->g->gate, log->origin);
            if (state == SIGNGATE_WAITING || state == SIGNGATE_HELD) {
                head_ask(s, p, log);
            }
        }
    }
}

/* A verified head with our own signature, shown by somebody. */
static void
own_shown(struct step *s, struct glog *log, const struct witness_head *head, struct view note,
          uint32_t session)
{
    struct hash root;
    if (head->size <= log->size) {
        enum status st = log_root_at(s, log, head->size, &root);
        if (st != STATUS_OK) {
            step_fail(s, st);
        } else if (!hash_equal(&root, &head->root)) {
            signgate_shown(&s->g->gate, log->origin, head->size, true);
            head_fork(s, log, note, NULL);
        }
        return;
    }
    signgate_shown(&s->g->gate, log->origin, head->size, false);
    log_source(log, session, head->size);
    if (head->size > log->wanted_size) {
        if (!bytes_set(&log->wanted, note)) {
            step_fail(s, STATUS_NO_MEMORY);
            return;
        }
        log->wanted_size = head->size;
        log->wanted_root = head->root;
        log->wanted_hops = 2;
    }
    gate_tell(s, note);
}

/* ---- forks ---------------------------------------------------------------------- */

bool
gossip_fork_proof(struct store_txn *txn, const char *network, struct view origin,
                  struct view *out)
{
    struct forkproof *p = NULL;
    bool proven = false;
    if (store_kv_get(txn, GOSSIP_KV_FORK, view_of_text(network), origin, out) == STATUS_OK &&
        (p = calloc(1, sizeof *p)) != NULL && forkproof_read(*out, p) == STATUS_OK) {
        proven = p->proven;
        forkproof_free(p);
    }
    free(p);
    return proven;
}

/* What our copy can show about two heads of it, `own` being one that it has: nodes
 * under which the other cannot be true.  False: nothing. */
static bool
fork_nodes(struct step *s, const struct glog *log, const struct checkpoint *own,
           const struct checkpoint *other, const struct sync_fork *at,
           struct forkproof_nodes *out)
{
    struct hash root;
    memset(out, 0, sizeof *out);
    if (!log->in_store || own->size > log->size || own->size == 0 || other->size == 0) {
        return false;
    }
    if (other->size < own->size) {
        bool seed = (other->size & (other->size - 1)) == 0;
        if (store_root_at(s->e->txn, log->id, other->size, &root) != STATUS_OK ||
            store_prove_consistency(s->e->txn, log->id, other->size, &root, own->size,
                                    &own->root, out->old + (seed ? 1 : 0),
                                    &out->old_count) != STATUS_OK) {
            return false;
        }
        if (seed) { /* the root that the proof leaves out */
            out->old[0] = root;
            out->old_count++;
        }
        return true;
    }
    uint64_t nodes = at == NULL ? 0 : own->size >> at->level;
    struct hash path[TREE_PROOF_HASHES_MAX];
    struct view tile;
    size_t count;
    if (at == NULL || at->index >= nodes || at->level % 8 != 0 ||
        store_tile_get(s->e->txn, log->id, at->level / 8, at->index / TILE_HASHES,
                       (unsigned)(at->index % TILE_HASHES) + 1, &tile) != STATUS_OK ||
        store_prove_inclusion(s->e->txn, log->id, at->index << at->level, own->size, &own->root,
                              path, &count) != STATUS_OK ||
        count < at->level) {
        return false;
    }
    out->by_node = true;
    out->level = at->level;
    out->index = at->index;
    memcpy(out->small.bytes, tile.bytes + tile.count - HASH_BYTES, HASH_BYTES);
    out->large = at->node;
    out->small_count = count - at->level; /* inside the node all siblings fall away */
    memcpy(out->small_path, path + at->level, out->small_count * sizeof path[0]);
    out->large_count = at->count;
    memcpy(out->large_path, at->path, at->count * sizeof path[0]);
    return true;
}

/* Keep both notes, and what proves that they cannot both be true.  `sure`: our own
 * copy says so, even if nobody else can see it. */
static void
fork_keep(struct step *s, struct glog *log, struct view ours, struct view theirs,
          const struct sync_fork *at, bool sure)
{
    struct forkproof_nodes *nodes = calloc(1, sizeof *nodes);
    struct forkproof *p = calloc(1, sizeof *p);
    uint8_t *bytes = gossip_update_take(s->u, FORKPROOF_BYTES_MAX);
    struct note note;
    struct checkpoint a, b;
    size_t count = 0;
    bool proven = false;
    if (nodes == NULL || p == NULL || bytes == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        goto cleanup;
    }
    if (note_parse(ours, &note) != STATUS_OK || checkpoint_parse(note.text, &a) != STATUS_OK ||
        note_parse(theirs, &note) != STATUS_OK ||
        checkpoint_parse(note.text, &b) != STATUS_OK) {
        goto cleanup;
    }
    bool have = a.size != b.size && fork_nodes(s, log, &a, &b, at, nodes);
    enum status st = forkproof_encode(ours, theirs, have ? nodes : NULL, bytes, &count);
    if (st == STATUS_OK && (st = forkproof_read((struct view){bytes, count}, p)) == STATUS_OK) {
        proven = p->proven;
        forkproof_free(p);
    }
    if (st == STATUS_NO_MEMORY) {
        step_fail(s, st);
    } else if (st == STATUS_OK && (proven || sure) &&
               (!bytes_set(&log->fork_ours, ours) || !bytes_set(&log->fork_theirs, theirs) ||
                !bytes_set(&log->fork_proof, (struct view){bytes, count}))) {
        step_fail(s, STATUS_NO_MEMORY);
    }
cleanup:
    free(nodes);
    free(p);
}

/* `theirs` is a verified head that our copy contradicts.  Which of our notes
 * does: the one under which the entries were taken in. */
void
head_fork(struct step *s, struct glog *log, struct view theirs, const struct sync_fork *at)
{
    struct view ours = {0};
    struct hash root;
    if (log->own) {
        signgate_shown(&s->g->gate, log->origin, 0, true);
        gate_tell(s, theirs);
    }
    if (log->fork_theirs.count > 0 || log->frozen) {
        return;
    }
    if (log->has_head && (log_root_at(s, log, log->head_size, &root) != STATUS_OK ||
                          !hash_equal(&root, &log->head_root))) {
        /* It is our disk that lies: accuse nobody (RELIABILITY F6, F12). */
        log->pause_until_ms = s->e->now_ms + 3600 * 1000;
        step_fail(s, gossip_update_say(s->u, 0,
                                       "%s: our own copy does not have the root of its head; "
                                       "run audit verify",
                                       log->origin));
        return;
    }
    struct view name = view_of_text(log->origin);
    enum status st = STATUS_NOT_FOUND;
    if (!log->own && (!log->has_head || log->size > log->head_size)) {
        st =
            store_kv_get(s->e->txn, GOSSIP_KV_TARGET, view_of_text(s->g->network), name, &ours);
    }
    if (st != STATUS_OK && log->in_store) {
        st = store_note_get(s->e->txn, log->id, STORE_NOTE_HEAD, &ours);
    }
    if (st != STATUS_OK && !log->own && log->wanted.count > 0) {
        ours = bytes_view(&log->wanted);
        st = STATUS_OK;
    }
    if (st != STATUS_OK) {
        return; /* nothing of ours that was signed: there is no contradiction to show */
    }
    /* What we appended ourselves and never signed accuses nobody. */
    fork_keep(s, log, ours, theirs, at, !log->own);
}

/* Two verified heads of one size, neither of them in the store, contradict each other. */
static void
fork_between(struct step *s, struct glog *log, struct view a, struct view b)
{
    if (!log->frozen && log->fork_theirs.count == 0) {
        fork_keep(s, log, a, b, NULL, !log->own);
    }
}

/* Somebody proves a fork: whatever our own copy says, the log signed both. */
static void
head_forked(struct step *s, struct gpeer *p, struct glog *log, struct view bytes)
{
    struct forkproof *proof;
    struct witness_head head;
    if (log->frozen || log->fork_theirs.count > 0 ||
        !peer_spend(s, p, GOSSIP_BUDGET_VERIFIES, 2)) {
        return;
    }
    proof = calloc(1, sizeof *proof);
    enum status st = proof == NULL ? STATUS_NO_MEMORY : forkproof_read(bytes, proof);
    if (st == STATUS_OK) {
        const struct witness_keys *keys = log_keys(s->g, log);
        struct view origin = view_of_text(log->origin);
        st = witness_open(proof->note_a, origin, keys, s->e->now_s, &head);
        if (st == STATUS_OK) {
            st = witness_open(proof->note_b, origin, keys, s->e->now_s, &head);
        }
        if (st == STATUS_OK && !proof->proven) {
            st = STATUS_BAD_PROOF;
        }
        if (st == STATUS_OK && (!bytes_set(&log->fork_ours, proof->note_a) ||
                                !bytes_set(&log->fork_theirs, proof->note_b) ||
                                !bytes_set(&log->fork_proof, bytes))) {
            st = STATUS_NO_MEMORY;
        }
        forkproof_free(proof);
    }
    free(proof);
    if (st == STATUS_NO_MEMORY) {
        step_fail(s, st);
    } else if (st == STATUS_OK && log->own) {
        signgate_shown(&s->g->gate, log->origin, 0, true);
        gate_tell(s, bytes_view(&log->fork_theirs));
    } else if (st != STATUS_OK && st != STATUS_UNKNOWN_KEY) {
        peer_strike(s, p->session, "a proof of a fork that proves nothing");
    }
}

void
head_check_left(struct step *s, struct glog *log)
{
    struct witness_head head;
    struct hash root;
    if (log->check.count == 0 ||
        witness_recall(bytes_view(&log->check), view_of_text(log->origin), log_keys(s->g, log),
                       s->e->now_s, &head) != STATUS_OK ||
        head.size > log->size) {
        return;
    }
    if (log_root_at(s, log, head.size, &root) == STATUS_OK && !hash_equal(&root, &head.root)) {
        head_fork(s, log, bytes_view(&log->check), NULL);
    }
    bytes_clear(&log->check);
}

/* ---- a head was told ------------------------------------------------------------- */

/* Read without verifying: enough to see whether it is news. */
static bool
peek(struct view bytes, const struct glog *log, uint64_t *size, struct hash *root)
{
    struct note note;
    struct checkpoint c;
    if (note_parse(bytes, &note) != STATUS_OK || checkpoint_parse(note.text, &c) != STATUS_OK ||
        c.origin.count != strlen(log->origin) ||
        memcmp(c.origin.bytes, log->origin, c.origin.count) != 0) {
        return false;
    }
    *size = c.size;
    *root = c.root;
    return true;
}

/* A verified head larger than our copy. */
static void
head_ahead(struct step *s, struct glog *log, const struct witness_head *head, struct view note,
           uint32_t hops)
{
    if (head->size == log->wanted_size && log->wanted.count > 0) {
        if (!hash_equal(&head->root, &log->wanted_root)) {
            fork_between(s, log, bytes_view(&log->wanted), note);
        }
        return;
    }
    if (log->sync != NULL && head->size == log->target_size) {
        if (!hash_equal(&head->root, &log->target_root)) {
            fork_between(s, log, bytes_view(&log->target), note);
        }
        return;
    }
    if (head->size < log->wanted_size) {
        if (log->check.count == 0 && !bytes_set(&log->check, note)) {
            step_fail(s, STATUS_NO_MEMORY);
        }
        return;
    }
    if (log->wanted.count > 0 && log->check.count == 0) {
        /* The one that was wanted so far is compared when we get past it. */
        log->check = log->wanted;
        log->wanted = (struct bytes){0};
    }
    if (!bytes_set(&log->wanted, note)) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    log->wanted_size = head->size;
    log->wanted_root = head->root;
    log->wanted_hops = hops;
}

/* A verified head of another's log, not the one that is held, wanted or fetched. */
static void
head_news(struct step *s, struct gpeer *p, struct glog *log, const struct witness_head *head,
          struct view note, uint32_t hops)
{
    struct hash ours;
    if (head->size > log->size) {
        log_source(log, p->session, head->size);
        head_ahead(s, log, head, note, hops);
        return;
    }
    enum status st = log_root_at(s, log, head->size, &ours);
    if (st != STATUS_OK) {
        step_fail(s, st);
    } else if (!hash_equal(&ours, &head->root)) {
        head_fork(s, log, note, NULL);
    } else if (!log->has_head || head->size > log->head_size) {
        log_source(log, p->session, head->size);
        if (!bytes_set(&log->wanted, note)) {
            step_fail(s, STATUS_NO_MEMORY);
            return;
        }
        log->wanted_size = head->size;
        log->wanted_root = head->root;
        log->wanted_hops = hops;
    }
}

/* True: we know what it says of the log.  False: it could not be judged. */
static bool
head_note(struct step *s, struct gpeer *p, struct glog *log, struct view note, uint32_t hops)
{
    uint64_t size = 0;
    struct hash root, ours;
    struct witness_head head;
    if (!peek(note, log, &size, &root)) {
        peer_strike(s, p->session, "a head that is no checkpoint of its log");
        return false;
    }
    bool same =
        (log->has_head && size == log->head_size && hash_equal(&root, &log->head_root)) ||
        (log->wanted.count > 0 && size == log->wanted_size &&
         hash_equal(&root, &log->wanted_root)) ||
        (log->sync != NULL && size == log->target_size && hash_equal(&root, &log->target_root));
    if (!same && size <= log->size && (size < log->head_size || log->own)) {
        enum status st = log_root_at(s, log, size, &ours);
        if (st != STATUS_OK) {
            step_fail(s, st);
            return false;
        }
        same = hash_equal(&ours, &root);
    }
    if (same) {
        log_source(log, p->session, size);
        return true;
    }
    if (log->frozen || log->fork_theirs.count > 0 || size == 0 ||
        !peer_spend(s, p, GOSSIP_BUDGET_VERIFIES, 1)) {
        return size == 0;
    }
    enum status st =
        witness_open(note, view_of_text(log->origin), log_keys(s->g, log), s->e->now_s, &head);
    if (st == STATUS_UNKNOWN_KEY) {
        return false; /* its charter may be newer than ours */
    }
    if (st != STATUS_OK) {
        peer_strike(s, p->session, "a head that its log did not sign");
        return false;
    }
    uint8_t *kept = gossip_update_take(s->u, NOTE_BYTES_MAX);
    size_t count = 0;
    st = kept == NULL ? STATUS_NO_MEMORY : witness_keep(note, head.log_lines, kept, &count);
    if (st != STATUS_OK) {
        step_fail(s, st);
        return false;
    }
    note = (struct view){kept, count};
    if (log->own) {
        own_shown(s, log, &head, note, p->session);
    } else {
        head_news(s, p, log, &head, note, hops);
    }
    return true;
}

/* An offered head with the cosignatures that the peer knows. */
static void
head_offered(struct step *s, struct gpeer *p, struct glog *log, struct view note)
{
    uint64_t size = 0;
    struct hash root;
    struct view stored = {0};
    struct witness_head head;
    if (log->frozen || log->fork_theirs.count > 0 || !peek(note, log, &size, &root) ||
        (log->has_offered && size < log->offered_size) || size < log->offer_size) {
        return;
    }
    if ((log->has_offered &&
         store_note_get(s->e->txn, log->id, STORE_NOTE_OFFERED, &stored) == STATUS_OK &&
         witness_covers(stored, note)) ||
        (log->offer.count > 0 && witness_covers(bytes_view(&log->offer), note)) ||
        !peer_spend(s, p, GOSSIP_BUDGET_VERIFIES, 1)) {
        return;
    }
    const struct witness_keys *keys = log_keys(s->g, log);
    uint8_t *out = gossip_update_take(s->u, NOTE_BYTES_MAX);
    size_t count = 0, added = 0;
    if (out == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    /* On top of what was verified before, or from the beginning. */
    struct view base = {0};
    if (log->offer.count > 0 && witness_same_text(bytes_view(&log->offer), note)) {
        base = bytes_view(&log->offer);
    } else if (log->has_offered && size == log->offered_size &&
               witness_same_text(stored, note)) {
        base = stored;
    }
    enum status st;
    if (base.count > 0) {
        st = witness_add(base, note, keys, out, &count, &added);
    } else {
        st = witness_open(note, view_of_text(log->origin), keys, s->e->now_s, &head);
        if (st == STATUS_OK) {
            st = witness_keep(note, head.lines, out, &count);
            added = 1;
        }
    }
    if (st == STATUS_UNKNOWN_KEY) {
        return; /* its charter may be newer than ours */
    }
    if (st != STATUS_OK) {
        peer_strike(s, p->session, "an offered head with a signature that is not valid");
        return;
    }
    struct view kept = {out, count};
    if (added == 0) {
        return;
    }
    if (!bytes_set(&log->offer, kept)) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    log->offer_size = size;
    log->offer_root = root;
}

/* A fork is proven, and `note` is the head up to which the peer serves the log: if a
 * majority of the witnesses cosigned it and our copy is smaller, the copy is filled
 * first, since nobody takes anything of a frozen log. */
static void
fork_fill(struct step *s, struct gpeer *p, struct glog *log, struct view note)
{
    uint64_t size = 0;
    struct hash root;
    struct witness_head head;
    uint8_t *kept = gossip_update_take(s->u, NOTE_BYTES_MAX);
    uint8_t *plain = gossip_update_take(s->u, NOTE_BYTES_MAX);
    size_t count = 0, plain_count = 0;
    if (kept == NULL || plain == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    if (log->own || log->frozen || log->fork_theirs.count == 0 || log->fork_after > 0 ||
        log->ticket != 0 || note.count == 0 || !log_wants_entries(s->g, log) ||
        !peek(note, log, &size, &root) || size <= log->size ||
        !peer_spend(s, p, GOSSIP_BUDGET_VERIFIES, 1)) {
        return;
    }
    const struct witness_keys *keys = log_keys(s->g, log);
    if (witness_open(note, view_of_text(log->origin), keys, s->e->now_s, &head) != STATUS_OK ||
        2 * head.cosigned <= keys->witness_count ||
        witness_keep(note, head.lines, kept, &count) != STATUS_OK ||
        witness_keep(note, head.log_lines, plain, &plain_count) != STATUS_OK) {
        return;
    }
    log_drop_sync(s->g, log);
    bytes_clear(&log->check);
    if (!bytes_set(&log->wanted, (struct view){plain, plain_count}) ||
        !bytes_set(&log->offer, (struct view){kept, count})) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    log->wanted_size = log->offer_size = log->fork_after = size;
    log->wanted_root = log->offer_root = root;
    log->wanted_hops = 2;
    log->fork_by_ms = s->e->now_ms + GOSSIP_FORK_FILL_MS;
    log_source(log, p->session, size);
}

void
head_told(struct step *s, struct gpeer *p, struct view message, bool answer, struct glog *asked)
{
    uint8_t memory[2048];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__head_tell__descriptor, message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__HeadTell *tell = (const Hr__HeadTell *)m;
    if (st == STATUS_NO_MEMORY) {
        step_fail(s, st);
    } else if (st != STATUS_OK || (answer && tell->status == STATUS_OK &&
                                   strcmp(tell->origin, asked->origin) != 0)) {
        peer_strike(s, p->session, "a head message that is malformed");
    } else if (tell->status == STATUS_OK) {
        bool judged = true;
        struct glog *log = log_add(s, view_of_text(tell->origin));
        uint32_t hops = answer || tell->hops > 0 ? 2 : 1;
        if (log != NULL && tell->fork.len > 0) {
            head_forked(s, p, log, (struct view){tell->fork.data, tell->fork.len});
            fork_fill(s, p, log, (struct view){tell->cosigned.data, tell->cosigned.len});
        }
        if (log != NULL && tell->note.len > 0) {
            judged = head_note(s, p, log, (struct view){tell->note.data, tell->note.len}, hops);
        }
        if (log != NULL && tell->cosigned.len > 0 && s->st == STATUS_OK) {
            struct view offered = {tell->cosigned.data, tell->cosigned.len};
            judged = head_note(s, p, log, offered, hops) && judged;
            head_offered(s, p, log, offered);
        }
        /* Its own answer alone: a cosignature on a head that is passed on says what a
         * witness knew then, and anybody may show an old one.  Nor do we know what it
         * knows from a head under a key that our charter does not name yet. */
        if (log != NULL && log->own && answer && judged && s->st == STATUS_OK) {
            signgate_heard(&s->g->gate, log->origin, p->institution);
            gate_tell(s, (struct view){0});
        }
        if (log != NULL) {
            log_pump(s, log);
        }
    }
    pb_free(&arena);
}

/* ---- asking for heads ------------------------------------------------------------- */

void
head_queue(struct step *s, struct glog *log, uint32_t session)
{
    struct gossip *g = s->g;
    if (log->head_queued || g->head_count == LOGS_MAX) {
        return;
    }
    log->head_queued = true;
    log->head_from = session;
    g->head_queue[(g->head_first + g->head_count++) % LOGS_MAX] = log;
}

void
head_queue_pump(struct step *s)
{
    struct gossip *g = s->g;
    while (g->head_count > 0 && g->head_asks < GOSSIP_HEAD_ASKS_MAX && s->st == STATUS_OK) {
        struct glog *log = g->head_queue[g->head_first];
        struct gpeer *p = peer_find(g, log->head_from);
        if (p != NULL && p->outstanding >= GOSSIP_PEER_REQUESTS_MAX) {
            return;
        }
        g->head_first = (g->head_first + 1) % LOGS_MAX;
        g->head_count--;
        log->head_queued = false;
        if (p != NULL) {
            head_ask(s, p, log);
        }
    }
}

/* ---- telling heads ----------------------------------------------------------------- */

static void
tell(struct step *s, struct glog *log, uint32_t session, uint32_t hops, struct view note,
     struct view cosigned, struct view fork)
{
    Hr__HeadTell m;
    hr__head_tell__init(&m);
    m.origin = log->origin;
    m.note = (ProtobufCBinaryData){note.count, (uint8_t *)(uintptr_t)note.bytes};
    m.cosigned = (ProtobufCBinaryData){cosigned.count, (uint8_t *)(uintptr_t)cosigned.bytes};
    m.fork = (ProtobufCBinaryData){fork.count, (uint8_t *)(uintptr_t)fork.bytes};
    m.hops = hops;
    step_fail(
        s, gossip_update_send(s->u, session, 0, FRAME_HEAD, true, &m.base, (struct view){0}));
}

void
head_send(struct step *s, struct glog *log, uint32_t session, uint32_t hops)
{
    struct view note = {0}, cosigned = {0}, proof = {0};
    if (log->frozen &&
        gossip_fork_proof(s->e->txn, s->g->network, view_of_text(log->origin), &proof)) {
        if (store_note_get(s->e->txn, log->id, STORE_NOTE_OFFERED, &cosigned) != STATUS_OK) {
            cosigned = (struct view){0};
        }
        tell(s, log, session, hops, (struct view){0}, cosigned, proof);
        return;
    }
    if (log->fork_theirs.count > 0) { /* both sides, for others to compare with their copies */
        const struct view none = {0};
        tell(s, log, session, hops, bytes_view(&log->fork_ours), none, none);
        tell(s, log, session, hops, bytes_view(&log->fork_theirs), none, none);
        return;
    }
    if (!log->in_store ||
        store_note_get(s->e->txn, log->id, STORE_NOTE_HEAD, &note) != STATUS_OK) {
        return;
    }
    if (store_note_get(s->e->txn, log->id, STORE_NOTE_OFFERED, &cosigned) != STATUS_OK) {
        cosigned = (struct view){0};
    }
    if (note.count + cosigned.count + 1024 > MESSAGE_BYTES_MAX) {
        cosigned = (struct view){0};
    }
    tell(s, log, session, hops, note, cosigned, (struct view){0});
}

void
head_push(struct step *s, struct glog *log)
{
    struct gossip *g = s->g;
    log->push_due = false;
    log->pushed_ms = s->e->now_ms;
    /* A random run of the list of peers: distinct, and fair over time. */
    size_t told = 0;
    size_t first = g->peer_count == 0 ? 0 : (size_t)(step_random(s) % g->peer_count);
    for (size_t i = 0; i < g->peer_count && told < GOSSIP_PUSH_PEERS_MAX && s->st == STATUS_OK;
         i++) {
        struct gpeer *p = &g->peers[(first + i) % g->peer_count];
        const struct gossip_member *m = member_find(g, p->institution);
        bool of_it = strcmp(p->institution, log->parts.institution) == 0;
        bool reads = log->parts.log == ORIGIN_PUB || (m != NULL && m->auditor && !m->left);
        if (of_it ? log->offered_mine : reads) {
            head_send(s, log, p->session, log->push_hops);
            told++;
        }
    }
}
