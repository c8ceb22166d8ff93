#include "tests/sim/check.h"

#include <malloc.h>
#include <sodium.h>

#include "node/gossip_state.h"
#include "store/log.h"

enum { NODE_BYTES_MAX = 12 * 1024 * 1024 };

/* ---- notes (I4) ---- */

/* Verified once; a note is found again by its hash. */
static struct {
    uint64_t at[1 << 14];
} seen;

static bool
seen_before(struct view note, int member)
{
    uint8_t hash[32];
    uint64_t key;
    crypto_generichash(hash, sizeof hash, note.bytes, note.count, NULL, 0);
    memcpy(&key, hash, sizeof key);
    key ^= (uint64_t)member << 1;
    uint64_t *place = &seen.at[key % (sizeof seen.at / sizeof seen.at[0])];
    bool there = *place == key && key != 0;
    *place = key;
    return there;
}

static bool
log_key_signed(const struct member *m, const struct truth_note *note)
{
    for (size_t i = 0; i < note->line_count; i++) {
        for (size_t k = 0; strcmp(note->lines[i].name, m->origin) == 0 && k < m->key_count;
             k++) {
            if (truth_signed(note, &note->lines[i], m->keys[k].log.public_key)) {
                return true;
            }
        }
    }
    return false;
}

/* Every line that is kept must be good: nobody may ride along. */
static bool
line_is_good(const struct world *w, const struct member *m, const struct truth_note *note,
             const struct truth_line *line)
{
    char name[KEY_NAME_CHARS_MAX + 1];
    int64_t time_s;
    for (int i = 0; i < w->member_count; i++) {
        const struct member *other = &w->members[i];
        origin_witness_name(SIM_NETWORK, other->institution, name);
        if (strcmp(line->name, name) == 0 && other != m) {
            for (size_t k = 0; k < other->key_count; k++) {
                if (truth_cosigned(note, line, other->keys[k].witness.public_key, &time_s)) {
                    return true;
                }
            }
        }
    }
    for (size_t k = 0; strcmp(line->name, m->origin) == 0 && k < m->key_count; k++) {
        if (truth_signed(note, line, m->keys[k].log.public_key)) {
            return true;
        }
    }
    return false;
}

void
check_note(struct world *w, struct node *n, int member, struct view bytes, const char *what)
{
    const struct member *m = &w->members[member];
    static struct truth_note note;
    if (w->big || seen_before(bytes, member)) {
        return;
    }
    CHECK(w, "I4", truth_read(bytes, &note) && strcmp(note.origin, m->origin) == 0,
          "%s keeps %s of %s that is no checkpoint", n->institution, what, m->institution);
    CHECK(w, "I4", log_key_signed(m, &note), "%s keeps %s of %s that %s never signed",
          n->institution, what, m->institution, m->institution);
    for (size_t i = 0; i < note.line_count; i++) {
        CHECK(w, "I4", line_is_good(w, m, &note, &note.lines[i]),
              "%s keeps %s of %s with a line by \"%s\" that is not good", n->institution, what,
              m->institution, note.lines[i].name);
    }
    bool known = false;
    for (int i = 0; i < w->count; i++) {
        known = known || (w->nodes[i].member == member &&
                          history_has(w->nodes[i].history, note.size, &note.root));
    }
    CHECK(w, "I4", known, "%s keeps %s of %s, %llu entries, that it never wrote",
          n->institution, what, m->institution, (unsigned long long)note.size);
}

/* ---- stores ---- */

/* Which history of this log has this root; NULL: none. */
static const struct history *
history_of(const struct world *w, int member, uint64_t size, const struct hash *root)
{
    for (int i = 0; i < w->count; i++) {
        if (w->nodes[i].member == member && history_has(w->nodes[i].history, size, root)) {
            return w->nodes[i].history;
        }
    }
    return NULL;
}

/* May it be deceived by a stolen key?  Who left does not hear that it was revoked. */
static bool
may_err(const struct world *w, const struct node *n)
{
    return !node_honest(n) || w->members[n->member].left;
}

static void
check_log(struct world *w, struct node *n, struct store_txn *t, int member,
          const struct store_log *log)
{
    const struct member *m = &w->members[member];
    CHECK(w, "I5", log->size >= n->largest[member],
          "%s: its copy of the log of %s fell from %llu to %llu", n->institution,
          m->institution, (unsigned long long)n->largest[member],
          (unsigned long long)log->size);
    n->largest[member] = log->size;
    n->frozen[member] = (log->flags & STORE_LOG_FROZEN) != 0;
    CHECK(w, "F12", !n->frozen[member] || !member_honest(w, member) || may_err(w, n),
          "%s freezes the log of %s", n->institution, m->institution);
    CHECK(w, "F12", n->frozen[member] || !n->forked[member],
          "%s found two histories of %s and goes on with its log", n->institution,
          m->institution);
    CHECK(w, "I4", history_of(w, member, log->size, &log->root) != NULL,
          "%s stores %llu entries of %s that it never wrote so", n->institution,
          (unsigned long long)log->size, m->institution);
    if (member == n->member && node_honest(n) && !n->restored) {
        CHECK(w, "I1", log->size >= n->history->count,
              "%s acknowledged %zu entries and has %llu", n->institution, n->history->count,
              (unsigned long long)log->size);
    }
    static const struct {
        enum store_note kind;
        const char *text;
    } notes[] = {{STORE_NOTE_HEAD, "a head"},
                 {STORE_NOTE_OFFERED, "an offered head"},
                 {STORE_NOTE_COSIGNED, "a cosigned head"},
                 {STORE_NOTE_WITNESSED, "a head that it witnessed"}};
    for (size_t i = 0; i < sizeof notes / sizeof notes[0] && node_honest(n); i++) {
        struct view note;
        if (store_note_get(t, log->id, notes[i].kind, &note) == STATUS_OK) {
            check_note(w, n, member, note, notes[i].text);
        }
    }
}

void
check_store(struct world *w, struct node *n)
{
    struct store_txn *t = NULL;
    if (w->big) {
        return;
    }
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    for (int i = 0; i < w->member_count; i++) {
        struct store_log log;
        if (store_log_find(t, view_of_text(w->members[i].origin), &log) == STATUS_OK) {
            check_log(w, n, t, i, &log);
        } else {
            CHECK(w, "I5", n->largest[i] == 0, "%s: the log of %s is gone", n->institution,
                  w->members[i].institution);
        }
    }
    store_abort(t);
}

static void
check_entries(struct world *w, struct node *n, struct store_txn *t, int member,
              const struct store_log *log)
{
    const struct member *m = &w->members[member];
    const struct history *h = history_of(w, member, log->size, &log->root);
    struct hash sum;
    CHECK(w, "I4", h != NULL, "%s: a log of %s that it never wrote", n->institution,
          m->institution);
    for (uint64_t e = 0; e < log->size; e++) {
        struct view entry, record;
        enum status st = store_entry_get(t, log->id, e, &entry);
        CHECK(w, "I1", st == STATUS_OK, "%s: entry %llu of %s: %s", n->institution,
              (unsigned long long)e, m->institution, status_text(st));
        CHECK(w, "I4",
              entry.count == h->entries[e].count &&
                  memcmp(entry.bytes, h->entries[e].bytes, entry.count) == 0,
              "%s: entry %llu of %s is not what was written", n->institution,
              (unsigned long long)e, m->institution);
        if (member == n->member || store_record_has(t, log->id, e) != STATUS_OK) {
            continue;
        }
        bool open = sodium_is_zero(h->sealed[e].bytes, HASH_BYTES) == 0;
        CHECK(w, "I4", open && w->full, "%s has the record of entry %llu of %s", n->institution,
              (unsigned long long)e, m->institution);
        st = store_record_get(t, log->id, e, &h->sealed[e], &record);
        CHECK(w, "I4", st == STATUS_OK, "%s: record %llu of %s: %s", n->institution,
              (unsigned long long)e, m->institution, status_text(st));
        crypto_hash_sha256(sum.bytes, record.bytes, record.count);
        CHECK(w, "I4", memcmp(sum.bytes, h->sealed[e].bytes, HASH_BYTES) == 0,
              "%s: record %llu of %s is another", n->institution, (unsigned long long)e,
              m->institution);
    }
}

void
check_whole(struct world *w, struct node *n)
{
    struct store_txn *t = NULL;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    for (int i = 0; i < w->member_count; i++) {
        struct store_log log;
        if (store_log_find(t, view_of_text(w->members[i].origin), &log) == STATUS_OK) {
            check_entries(w, n, t, i, &log);
        }
    }
    store_abort(t);
}

/* ---- machines (I5, I6) ---- */

void
check_machine(struct world *w, struct node *n)
{
    const struct gossip *g = n->gossip;
    CHECK(w, "I6", g->requests_out <= GOSSIP_REQUESTS, "%s: %zu requests out", n->institution,
          g->requests_out);
    CHECK(w, "I6", g->head_count <= LOGS_MAX && g->head_asks <= GOSSIP_HEAD_ASKS_MAX + 64,
          "%s: %zu heads to be asked for, %zu asked", n->institution, g->head_count,
          g->head_asks);
    CHECK(w, "I6", g->syncs <= GOSSIP_SYNCS_MAX, "%s: %zu syncs", n->institution, g->syncs);
    CHECK(w, "I6", g->log_count <= (size_t)w->member_count * 16, "%s: %zu logs", n->institution,
          g->log_count);
    CHECK(w, "I6", g->want_count <= GOSSIP_WANTS_MAX, "%s: %zu blobs wanted", n->institution,
          g->want_count);
    size_t out = 0;
    for (size_t i = 0; i < g->peer_count; i++) {
        CHECK(w, "I6", g->peers[i].outstanding <= GOSSIP_PEER_REQUESTS_MAX,
              "%s: %zu requests to %s", n->institution, g->peers[i].outstanding,
              g->peers[i].institution);
        out += g->peers[i].outstanding;
    }
    CHECK(w, "I6", out == g->requests_out, "%s counts %zu requests out, its sessions %zu",
          n->institution, g->requests_out, out);
    CHECK(w, "I6", gossip_deadline_ms(g) < w->now_ms + 3600 * 1000, "%s sleeps for ever",
          n->institution);
    if (n->steps % 64 == 0) {
        struct mallinfo2 m = mallinfo2();
        size_t ours = w->queued_bytes + w->trace_room + 64 * w->queue.room +
                      w->queue.count * 160 + (8 << 20);
        CHECK(w, "I6", m.uordblks < ours + (size_t)w->count * NODE_BYTES_MAX,
              "%zu MiB of memory for %d nodes", m.uordblks >> 20, w->count);
    }
}

/* ---- signatures (I2) ---- */

void
check_sign(struct world *w, struct node *n, uint64_t size, const struct hash *root)
{
    CHECK(w, "I2", size >= n->history->signed_size, "%s signs %llu after %llu", n->institution,
          (unsigned long long)size, (unsigned long long)n->history->signed_size);
    CHECK(w, "I2", history_has(n->history, size, root),
          "%s signs a tree of %llu entries that contradicts what it signed or acknowledged",
          n->institution, (unsigned long long)size);
}

static bool
on_side(const struct world *w, int member, int node, uint64_t size, const struct hash *root)
{
    return w->nodes[node].member == member && history_has(w->nodes[node].history, size, root);
}

void
check_cosign(struct world *w, struct node *n, const struct gossip_action *a)
{
    int member = world_member_of(w, a->origin);
    if (w->auditor && member < 0) {
        return; /* an exchange log: their truth is not kept */
    }
    CHECK(w, "I2", member >= 0, "%s cosigned an unknown log", n->institution);
    const struct member *m = &w->members[member];
    CHECK(w, "I2", member != n->member, "%s cosigned its own log", n->institution);
    CHECK(w, "I2", a->size >= n->cosigned[member], "%s cosigned %llu of %s after %llu",
          n->institution, (unsigned long long)a->size, m->institution,
          (unsigned long long)n->cosigned[member]);
    /* Which histories have this tree, and what was cosigned before? */
    int before = n->cosigned_side[member] - 1, side = -1;
    for (int i = 0; i < w->count && side < 0; i++) {
        if (on_side(w, member, i, a->size, &a->root) &&
            (before < 0 || on_side(w, member, i, n->cosigned[member],
                                   &w->nodes[before].history->roots[n->cosigned[member]]))) {
            side = i;
        }
    }
    CHECK(w, "I2", side >= 0, "%s cosigned two histories of %s", n->institution,
          m->institution);
    n->cosigned[member] = a->size;
    n->cosigned_side[member] = side + 1;
    /* The time on its line never falls. */
    struct store_txn *t = NULL;
    struct store_log log;
    struct view bytes;
    static struct truth_note note;
    char name[KEY_NAME_CHARS_MAX + 1];
    enum status st = store_begin_read(n->store, &t);
    if (st == STATUS_OK && store_log_find(t, a->origin, &log) == STATUS_OK &&
        store_note_get(t, log.id, STORE_NOTE_WITNESSED, &bytes) == STATUS_OK &&
        truth_read(bytes, &note)) {
        origin_witness_name(SIM_NETWORK, n->institution, name);
        int64_t newest = -1, time_s;
        for (size_t i = 0; i < note.line_count; i++) {
            for (size_t k = 0;
                 strcmp(note.lines[i].name, name) == 0 && k < w->members[n->member].key_count;
                 k++) {
                if (truth_cosigned(&note, &note.lines[i],
                                   w->members[n->member].keys[k].witness.public_key, &time_s) &&
                    time_s > newest) {
                    newest = time_s;
                }
            }
        }
        CHECK(w, "I4", newest >= 0 && note.size == a->size,
              "%s cosigned %llu of %s without a good line", n->institution,
              (unsigned long long)a->size, m->institution);
        CHECK(w, "I5", newest >= n->cosigned_time_s[member],
              "%s dates its cosignature of %s before an earlier one", n->institution,
              m->institution);
        n->cosigned_time_s[member] = newest;
    }
    store_abort(t);
}

/* ---- forks (F12) ---- */

void
check_fork(struct world *w, struct node *n, const struct gossip_action *a)
{
    int member = world_member_of(w, a->origin);
    static struct truth_note x, y;
    CHECK(w, "F12", member >= 0 && (!member_honest(w, member) || may_err(w, n)),
          "%s accuses %.*s falsely", n->institution, (int)a->origin.count,
          (const char *)a->origin.bytes);
    const struct member *m = &w->members[member];
    CHECK(w, "F12",
          truth_read(a->note, &x) && truth_read(a->other, &y) && log_key_signed(m, &x) &&
              log_key_signed(m, &y) && strcmp(x.origin, m->origin) == 0 &&
              strcmp(y.origin, m->origin) == 0,
          "%s shows a fork of %s without two heads that it signed", n->institution,
          m->institution);
    for (int i = 0; i < w->count; i++) {
        CHECK(w, "F12",
              !on_side(w, member, i, x.size, &x.root) ||
                  !on_side(w, member, i, y.size, &y.root),
              "%s shows a fork of %s by two heads that agree", n->institution, m->institution);
    }
    CHECK(w, "I3", !n->forked[member], "%s tells of a fork of %s twice", n->institution,
          m->institution);
    n->forked[member] = true;
    w->forks_told++;
    sim_say(w, n, "finds that %s has two histories", m->institution);
}

/* ---- the charter (I4, I5) ---- */

void
check_adopted(struct world *w, struct node *n)
{
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        const struct charter_document *d = charter_document(n->charter, (enum charter_kind)k);
        if (d == NULL) {
            continue;
        }
        bool genuine = !node_honest(n);
        for (size_t i = 0; i < w->document_count && !genuine; i++) {
            const struct document *o = &w->documents[i];
            genuine = o->genuine && o->doc.head.kind == d->head.kind &&
                      o->doc.head.version == d->head.version &&
                      hash_equal(&o->doc.head.hash, &d->head.hash);
        }
        CHECK(w, "I4", genuine, "%s goes by %s %llu, which the authority did not issue",
              n->institution, charter_kind_text((enum charter_kind)k),
              (unsigned long long)d->head.version);
        CHECK(w, "I5", d->head.version >= n->versions[k] || !node_honest(n),
              "%s went from %s %llu back to %llu", n->institution,
              charter_kind_text((enum charter_kind)k), (unsigned long long)n->versions[k],
              (unsigned long long)d->head.version);
        n->versions[k] = d->head.version;
    }
}
