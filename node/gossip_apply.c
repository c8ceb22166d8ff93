/* gossip_apply: the store's part of the actions, in one write transaction. */
#include <stdlib.h>
#include <string.h>

#include "node/gossip_state.h"
#include "node/publisher_taken.h"
#include "proto/frame.h"
#include "store/kv.h"

/* Find the log of an action, or make it: what is replicated is never ours. */
static enum status
log_of(struct store_txn *t, const struct gossip_action *a, int64_t now_s, struct store_log *log)
{
    enum status st = store_log_find(t, a->origin, log);
    if (st == STATUS_NOT_FOUND) {
        uint32_t id = 0;
        st = store_log_create(t, a->origin, 0, now_s, &id);
        if (st == STATUS_OK) {
            st = store_log_get(t, id, log);
        }
    }
    return st;
}

static enum status
apply_entries(struct store_txn *t, const struct gossip_action *a, const char *network,
              int64_t now_s)
{
    struct store_log log;
    struct hash root;
    enum status st = log_of(t, a, now_s, &log);
    if (st != STATUS_OK) {
        return st;
    }
    if (log.size != a->first || (log.flags & STORE_LOG_FROZEN) != 0) {
        return STATUS_GAP;
    }
    if (a->count > 0 && (log.flags & STORE_LOG_OWN) != 0) {
        st = taken_note(t, network, a->origin, a->first);
    }
    if (st == STATUS_OK && a->count > 0) {
        st = store_log_append(t, log.id, a->entries, a->count, a->leaves, NULL);
    }
    if (st == STATUS_OK && !a->complete) {
        return store_kv_put(t, GOSSIP_KV_TARGET, view_of_text(network), a->origin, a->note);
    }
    /* The head becomes ours only if the tree as stored has its root. */
    if (st == STATUS_OK) {
        st = store_root_at(t, log.id, a->size, &root);
    }
    if (st == STATUS_OK && !hash_equal(&root, &a->root)) {
        st = STATUS_BAD_PROOF;
    }
    if (st == STATUS_OK) {
        st = store_note_put(t, log.id, STORE_NOTE_HEAD, a->note);
    }
    if (st == STATUS_OK) {
        enum status dropped =
            store_kv_drop(t, GOSSIP_KV_TARGET, view_of_text(network), a->origin);
        st = dropped == STATUS_NOT_FOUND ? STATUS_OK : dropped;
    }
    return st;
}

static enum status
apply_records(struct store_txn *t, const struct gossip_action *a)
{
    struct store_log log;
    enum status st = store_log_find(t, a->origin, &log);
    for (size_t i = 0; st == STATUS_OK && i < a->count; i++) {
        st = store_record_put(t, log.id, a->indexes[i], &a->leaves[i], a->entries[i]);
    }
    return st;
}

/* How many cosignature lines a note of our store has (they were verified). */
static size_t
cosignature_lines(struct view bytes, struct checkpoint *c)
{
    struct note note;
    size_t n = 0;
    if (note_parse(bytes, &note) != STATUS_OK || checkpoint_parse(note.text, c) != STATUS_OK) {
        memset(c, 0, sizeof *c);
        return 0;
    }
    for (size_t i = 0; i < note.signature_count; i++) {
        n += note.signatures[i].payload_count == COSIGNATURE_PAYLOAD_BYTES;
    }
    return n;
}

/* Keep an offered head.  STORE_NOTE_COSIGNED is what evidence is made of: it
 * follows as soon as the offered head has as many cosignatures, and at the
 * latest when a still newer head is offered, so that it neither falls back
 * nor stays behind for ever when a witness is gone. */
static enum status
put_offered(struct store_txn *t, uint32_t id, struct view note)
{
    struct view old, best;
    struct checkpoint c_note, c_old, c_best;
    size_t n = cosignature_lines(note, &c_note), n_old = 0, n_best = 0;
    enum status st = store_note_get(t, id, STORE_NOTE_OFFERED, &old);
    uint8_t *kept = NULL;
    size_t kept_count = 0;
    if (st == STATUS_OK) {
        n_old = cosignature_lines(old, &c_old);
        if (c_old.size > c_note.size) {
            return STATUS_GAP; /* a newer one was stored meanwhile */
        }
        if (c_old.size < c_note.size && n_old > 0) {
            kept = malloc(old.count); /* views do not survive the next write */
            if (kept == NULL) {
                return STATUS_NO_MEMORY;
            }
            memcpy(kept, old.bytes, old.count);
            kept_count = old.count;
        }
    } else if (st != STATUS_NOT_FOUND) {
        return st;
    }
    st = store_note_get(t, id, STORE_NOTE_COSIGNED, &best);
    if (st == STATUS_OK) {
        n_best = cosignature_lines(best, &c_best);
    } else if (st == STATUS_NOT_FOUND) {
        memset(&c_best, 0, sizeof c_best);
        st = STATUS_OK;
    }
    if (st == STATUS_OK && n > 0 && n >= n_best) {
        st = store_note_put(t, id, STORE_NOTE_COSIGNED, note);
    } else if (st == STATUS_OK && kept != NULL && c_best.size < c_old.size) {
        st = store_note_put(t, id, STORE_NOTE_COSIGNED, (struct view){kept, kept_count});
    }
    if (st == STATUS_OK) {
        st = store_note_put(t, id, STORE_NOTE_OFFERED, note);
    }
    free(kept);
    return st;
}

static enum status
apply_cosigned(struct store_txn *t, const struct gossip_action *a)
{
    struct store_log log;
    struct checkpoint c;
    struct note note;
    struct hash root;
    enum status st = store_log_find(t, a->origin, &log);
    if (st == STATUS_OK) {
        st = note_parse(a->note, &note);
    }
    if (st == STATUS_OK) {
        st = checkpoint_parse(note.text, &c);
    }
    if (st == STATUS_OK && c.size > log.size) {
        return STATUS_GAP;
    }
    if (st == STATUS_OK) {
        st = store_root_at(t, log.id, c.size, &root);
    }
    if (st == STATUS_OK && !hash_equal(&root, &c.root)) {
        st = STATUS_BAD_PROOF;
    }
    return st == STATUS_OK ? put_offered(t, log.id, a->note) : st;
}

/* What this witness signed last: size, root and the time of its line. */
static enum status
last_cosigned(struct store_txn *t, uint32_t id, const struct note_signer *witness,
              uint64_t *size, struct hash *root, int64_t *time_s)
{
    struct view bytes;
    struct note note;
    struct checkpoint c;
    *size = 0;
    *time_s = 0;
    enum status st = store_note_get(t, id, STORE_NOTE_WITNESSED, &bytes);
    if (st != STATUS_OK) {
        return st == STATUS_NOT_FOUND ? STATUS_OK : st;
    }
    if (note_parse(bytes, &note) != STATUS_OK || checkpoint_parse(note.text, &c) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    for (size_t i = 0; i < note.signature_count; i++) {
        const struct note_signature *line = &note.signatures[i];
        if (line->payload_count == COSIGNATURE_PAYLOAD_BYTES &&
            line->name.count == strlen(witness->key.name) &&
            memcmp(line->name.bytes, witness->key.name, line->name.count) == 0) {
            /* By this key or an earlier one of ours: verified when it was kept. */
            int64_t at_s = 0;
            for (size_t b = 0; b < 8; b++) {
                at_s = (at_s & INT64_MAX >> 8) << 8 | line->payload[b];
            }
            *time_s = at_s > *time_s ? at_s : *time_s;
        }
    }
    *size = c.size;
    *root = c.root;
    return STATUS_OK;
}

static enum status
apply_cosign(struct store_txn *t, const struct gossip_action *a,
             const struct note_signer *witness, int64_t now_s)
{
    struct store_log log;
    struct hash root, last_root = {{0}}, last_now = {{0}};
    struct view offered;
    struct note note;
    struct checkpoint c;
    uint64_t last_size = 0;
    int64_t last_s = 0;
    uint8_t line[NOTE_LINE_BYTES_MAX];
    size_t line_count = 0, count = 0;
    if (witness == NULL) {
        return STATUS_REFUSED;
    }
    enum status st = store_log_find(t, a->origin, &log);
    if (st == STATUS_OK) {
        st = store_note_get(t, log.id, STORE_NOTE_OFFERED, &offered);
    }
    if (st != STATUS_OK) {
        return st == STATUS_NOT_FOUND ? STATUS_GAP : st;
    }
    if ((log.flags & (STORE_LOG_OWN | STORE_LOG_FROZEN)) != 0) {
        return STATUS_REFUSED;
    }
    if (note_parse(offered, &note) != STATUS_OK ||
        checkpoint_parse(note.text, &c) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    if (c.size != a->size || c.size > log.size) {
        return STATUS_GAP; /* another head is offered by now */
    }
    st = store_root_at(t, log.id, c.size, &root);
    if (st == STATUS_OK && !hash_equal(&root, &c.root)) {
        return STATUS_REFUSED;
    }
    if (st == STATUS_OK) {
        st = last_cosigned(t, log.id, witness, &last_size, &last_root, &last_s);
    }
    if (st == STATUS_OK && last_size > 0) {
        st = last_size > log.size ? STATUS_REFUSED
                                  : store_root_at(t, log.id, last_size, &last_now);
    }
    if (st != STATUS_OK) {
        return st;
    }
    st = witness_may_cosign(last_size, &last_root, &last_now, c.size, &root);
    if (st != STATUS_OK && st != STATUS_EXISTS) {
        return STATUS_REFUSED;
    }
    /* Times of one witness never fall, whatever its clock does (F8). */
    st = cosignature_line(witness, note.text, now_s > last_s ? now_s : last_s, line,
                          sizeof line, &line_count);
    if (st != STATUS_OK) {
        return st;
    }
    uint8_t *out = malloc(NOTE_BYTES_MAX);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    st = note_add_line(offered, (struct view){line, line_count}, out, NOTE_BYTES_MAX, &count);
    if (st == STATUS_OK) {
        st = store_note_put(t, log.id, STORE_NOTE_WITNESSED, (struct view){out, count});
    }
    if (st == STATUS_OK) {
        st = put_offered(t, log.id, (struct view){out, count});
    }
    free(out);
    return st;
}

/* The head up to which a frozen log is served becomes its head in every respect:
 * what is told and proven from now on stands under it.  Both disputed ones are in
 * the proof. */
static enum status
undisputed_head(struct store_txn *t, uint32_t id, uint64_t serve_to)
{
    static const enum store_note from[] = {STORE_NOTE_OFFERED, STORE_NOTE_COSIGNED};
    static const enum store_note to[] = {STORE_NOTE_HEAD, STORE_NOTE_OFFERED,
                                         STORE_NOTE_COSIGNED};
    struct view bytes;
    struct checkpoint c;
    for (size_t i = 0; serve_to > 0 && i < sizeof from / sizeof from[0]; i++) {
        enum status st = store_note_get(t, id, from[i], &bytes);
        if (st == STATUS_NOT_FOUND ||
            (st == STATUS_OK && (cosignature_lines(bytes, &c) == 0 || c.size != serve_to))) {
            continue;
        }
        uint8_t *copy = st == STATUS_OK ? malloc(bytes.count) : NULL;
        if (copy == NULL) {
            return st == STATUS_OK ? STATUS_NO_MEMORY : st;
        }
        struct view kept = {copy, bytes.count}; /* views do not survive a write */
        memcpy(copy, bytes.bytes, bytes.count);
        for (size_t k = 0; st == STATUS_OK && k < sizeof to / sizeof to[0]; k++) {
            st = store_note_put(t, id, to[k], kept);
        }
        free(copy);
        return st;
    }
    return STATUS_OK;
}

static enum status
apply_fork(struct store_txn *t, const struct gossip_action *a, const char *network,
           int64_t now_s)
{
    struct store_log log;
    enum status st = log_of(t, a, now_s, &log);
    if (st != STATUS_OK) {
        return st;
    }
    if ((log.flags & STORE_LOG_FROZEN) != 0) {
        return STATUS_OK; /* the first pair is kept */
    }
    uint64_t serve_to = a->first < log.size ? a->first : log.size;
    st = store_kv_put(t, GOSSIP_KV_FORK, view_of_text(network), a->origin, a->raw);
    if (st == STATUS_OK) {
        st = store_log_mark(t, log.id, log.flags | STORE_LOG_FROZEN, serve_to);
    }
    return st == STATUS_OK ? undisputed_head(t, log.id, serve_to) : st;
}

enum status
gossip_apply(struct store_txn *txn, const struct gossip_action *action,
             const struct note_signer *witness, const char *network, int64_t now_s)
{
    struct hash hash;
    enum status st;
    switch (action->type) {
    case GOSSIP_STORE_ENTRIES:
        return apply_entries(txn, action, network, now_s);
    case GOSSIP_STORE_RECORDS:
        return apply_records(txn, action);
    case GOSSIP_STORE_COSIGNED:
        return apply_cosigned(txn, action);
    case GOSSIP_COSIGN:
        return apply_cosign(txn, action, witness, now_s);
    case GOSSIP_STORE_BLOB:
        st = store_blob_put(txn, action->note, &hash);
        return st == STATUS_OK && !hash_equal(&hash, &action->hash) ? STATUS_BAD_PROOF : st;
    case GOSSIP_STORE_MARK:
        return store_kv_put_u64(txn, GOSSIP_KV_RECORDS, view_of_text(network), action->origin,
                                action->first);
    case GOSSIP_STORE_FORK:
        return apply_fork(txn, action, network, now_s);
    case GOSSIP_SEND:
    case GOSSIP_DIAL:
    case GOSSIP_CLOSE:
    case GOSSIP_SAY:
    case GOSSIP_ADOPT:
    case GOSSIP_FORK:
    case GOSSIP_GATE:
    case GOSSIP_RECOVERED:
        break;
    }
    return STATUS_UNSUPPORTED;
}
