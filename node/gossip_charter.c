/* Charter documents and blobs: fetched whole, then handed over to be judged.
 *
 * One document at a time, root first and version by version (DESIGN 7); of the
 * others the newest.  Only changed rows travel: the request names the version in
 * hand, the answer says which of its rows to take over (range.c), and the root of
 * the note decides whether that was true.
 *
 * Signatures that came to a text later are fetched with the note of somebody who shows
 * more signers; what verifies is merged, so that nobody can take one away.
 *
 * A member that lies, or holds a copy with too few signatures, must not keep the good
 * copy of another member away: what failed with it is remembered against it alone. */
#include <stdlib.h>
#include <string.h>

#include "node/charter_document.h"
#include "node/charter_signed.h"
#include "node/gossip_state.h"
#include "node/range.h"
#include "proto/frame.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"
#include "store/kv.h"

enum { REFUSED_MS = 600 * 1000, COPY_REFUSED_MS = 60 * 1000, GIVEN_UP_MS = 5 * 1000 };

static const char *const KINDS[] = {"root", "members", "quality", "policy"};

void
charter_load_documents(struct step *s)
{
    struct gossip *g = s->g;
    for (unsigned i = 0; i < 4 && !g->documents_given; i++) {
        struct store_charter_key key = {.network = view_of_text(g->network),
                                        .kind = (enum store_charter)(STORE_CHARTER_ROOT + i),
                                        .version = UINT64_MAX};
        struct view note;
        uint32_t rows;
        struct note n;
        if (store_charter_newest(s->e->txn, &key, &note, &rows) == STATUS_OK &&
            note_parse(note, &n) == STATUS_OK) {
            g->documents[i].version = key.version;
            sha256(n.text.bytes, n.text.count, &g->documents[i].hash);
        }
    }
    g->frontier_dirty = true;
}

void
gossip_set_documents(struct gossip *g, const struct gossip_document documents[4])
{
    for (unsigned i = 0; i < 4; i++) {
        g->documents[i].version = documents[i].version;
        g->documents[i].hash = documents[i].hash;
        g->documents[i].signers = documents[i].signers;
    }
    g->documents_given = true;
    g->frontier_dirty = true;
}

static bool
was_refused(const struct gossip *g, unsigned kind, const struct frontier_line *line,
            const char *institution, int64_t now_ms)
{
    for (size_t i = 0; i < GOSSIP_REFUSED_MAX; i++) {
        const struct grefused *r = &g->refused[i];
        if (r->until_ms <= now_ms || r->kind != kind) {
            continue;
        }
        if (r->institution[0] != '\0'
                ? strcmp(r->institution, institution) == 0
                : r->version == line->number && hash_equal(&r->hash, &line->hash)) {
            return true;
        }
    }
    return false;
}

/* The place for a new one: of the same institution and kind, else the one that ends
 * first, so that one member takes one place a kind. */
static struct grefused *
refused_place(struct gossip *g, unsigned kind, const char *institution)
{
    struct grefused *at = &g->refused[0];
    for (size_t i = 0; i < GOSSIP_REFUSED_MAX; i++) {
        struct grefused *r = &g->refused[i];
        if (institution[0] != '\0' && r->kind == kind &&
            strcmp(r->institution, institution) == 0) {
            return r;
        }
        at = r->until_ms < at->until_ms ? r : at;
    }
    return at;
}

/* Do not ask again: this text of nobody, or with `of_peer` nothing of its giver. */
static void
fetch_refused(struct step *s, bool of_peer, int64_t for_ms)
{
    const struct gfetch *f = &s->g->fetch;
    const char *institution = of_peer ? f->institution : "";
    struct grefused *r = refused_place(s->g, f->kind, institution);
    *r = (struct grefused){.kind = f->kind, .version = f->version, .hash = f->hash};
    r->until_ms = s->e->now_ms + for_ms;
    memcpy(r->institution, institution, strlen(institution) + 1);
}

static bool
line_names(const struct frontier_line *line, const char *kind, const char *what)
{
    size_t n = strlen(kind), more = strlen(what);
    return line->name.count == n + more && memcmp(line->name.bytes, kind, n) == 0 &&
           memcmp(line->name.bytes + n, what, more) == 0;
}

void
charter_line(struct step *s, struct gpeer *p, const struct frontier_line *line)
{
    struct gossip *g = s->g;
    for (unsigned i = 0; i < 4; i++) {
        struct gdocument *d = &g->documents[i];
        if (line_names(line, KINDS[i], FRONTIER_SIGNED) && line->number == d->version &&
            charter_signers_more(&d->signers, &line->hash) &&
            !was_refused(g, i, line, p->institution, s->e->now_ms)) {
            d->peer_signers = line->hash;
            d->signers_session = p->session;
        }
        if (!line_names(line, KINDS[i], "")) {
            continue;
        }
        /* More, or the same version with another text: that is for the engine
         * to refuse and to keep. */
        bool other = line->number == d->version && !hash_equal(&line->hash, &d->hash);
        if ((line->number > d->version || other) && line->number >= d->peer_version &&
            !was_refused(g, i, line, p->institution, s->e->now_ms)) {
            d->peer_version = line->number;
            d->peer_hash = line->hash;
            d->peer_session = p->session;
        }
    }
}

/* ---- fetching a document ------------------------------------------------------------- */

static void
fetch_end(struct gossip *g)
{
    struct gfetch *f = &g->fetch;
    bytes_clear(&f->note);
    for (size_t i = 0; i < f->row_count; i++) {
        bytes_clear(&f->rows[i]);
    }
    free(f->rows);
    memset(f, 0, sizeof *f);
}

static void
fetch_ask(struct step *s)
{
    struct gfetch *f = &s->g->fetch;
    struct gpeer *p = peer_find(s->g, f->session);
    Hr__CharterAsk m;
    char kind[16];
    hr__charter_ask__init(&m);
    strcpy(kind, KINDS[f->kind]);
    m.kind = kind;
    m.version = f->version;
    m.from_row = (uint32_t)f->row_count;
    m.rows_only = f->note.count > 0;
    m.base_version = f->base;
    m.base_from = f->base_next;
    if (f->base > 0) {
        m.base_hash = (ProtobufCBinaryData){HASH_BYTES, s->g->documents[f->kind].hash.bytes};
    }
    if (p == NULL || request_send(s, p, GREQ_CHARTER, FRAME_CHARTER, &m.base) == NULL) {
        fetch_end(s->g);
    }
}

static void
fetch_begin(struct gossip *g, unsigned kind, uint32_t session)
{
    struct gfetch *f = &g->fetch;
    f->active = true;
    f->kind = kind;
    f->session = session;
    f->base = g->documents[kind].version;
    memcpy(f->institution, peer_find(g, session)->institution, sizeof f->institution);
}

/* The note of the text in hand from who shows signers that it lacks; its rows are taken
 * over from ours. */
static void
signers_ask(struct step *s, unsigned kind)
{
    struct gossip *g = s->g;
    struct gdocument *d = &g->documents[kind];
    uint32_t session = d->signers_session;
    d->signers_session = 0;
    if (session != 0 && peer_find(g, session) != NULL &&
        charter_signers_more(&d->signers, &d->peer_signers)) {
        fetch_begin(g, kind, session);
        g->fetch.version = d->version;
        g->fetch.hash = d->hash;
        g->fetch.signers = d->peer_signers;
        fetch_ask(s);
    }
}

void
charter_pump(struct step *s)
{
    struct gossip *g = s->g;
    if (g->fetch.active || s->st != STATUS_OK) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        struct gdocument *d = &g->documents[i];
        if (d->peer_version == 0) {
            signers_ask(s, i);
            if (g->fetch.active) {
                return;
            }
            continue;
        }
        bool step_by_step = i == 0 && d->peer_version > d->version + 1;
        if (d->peer_version < d->version ||
            (d->peer_version == d->version && hash_equal(&d->hash, &d->peer_hash)) ||
            peer_find(g, d->peer_session) == NULL) {
            d->peer_version = 0;
            continue;
        }
        fetch_begin(g, i, d->peer_session);
        g->fetch.version = step_by_step ? d->version + 1 : d->peer_version;
        g->fetch.hash = d->peer_hash;
        g->fetch.any_hash = step_by_step;
        d->peer_version = step_by_step ? d->peer_version : 0;
        fetch_ask(s);
        if (g->fetch.active) {
            return;
        }
    }
}

void
charter_given_up(struct step *s, const struct greq *r)
{
    struct gfetch *f = &s->g->fetch;
    (void)r;
    /* The next round shows it again, from somebody else first. */
    if (f->active && s->e->type != GOSSIP_PEER_DOWN) {
        fetch_refused(s, true, GIVEN_UP_MS);
    }
    s->g->documents[f->kind].peer_version = 0;
    fetch_end(s->g);
    charter_pump(s);
}

static void
adopt(struct step *s)
{
    struct gfetch *f = &s->g->fetch;
    struct view *rows = gossip_update_take(s->u, (f->row_count + 1) * sizeof *rows);
    struct gossip_action *a = rows == NULL ? NULL : gossip_update_add(s->u, GOSSIP_ADOPT);
    if (a == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < f->row_count; i++) {
        rows[i] = bytes_view(&f->rows[i]);
    }
    a->ticket = f->ticket = s->g->next_ticket++;
    a->charter_kind = (unsigned)STORE_CHARTER_ROOT + f->kind;
    a->version = f->version;
    a->institution = f->institution;
    a->note = bytes_view(&f->note); /* ours until GOSSIP_STORED */
    a->entries = rows;
    a->count = f->row_count;
}

/* Take over one row; false: there are more than the note says, or too many bytes. */
static bool
take_row(struct step *s, struct view row)
{
    struct gfetch *f = &s->g->fetch;
    f->byte_count += row.count;
    if (f->row_count >= f->rows_total || row.count > CHARTER_ROW_BYTES_MAX ||
        f->byte_count > CHARTER_FILE_BYTES_MAX) {
        return false;
    }
    if (!bytes_set(&f->rows[f->row_count], row)) {
        step_fail(s, STATUS_NO_MEMORY);
        return true;
    }
    f->row_count++;
    return true;
}

/* Rows of the answer, up to number `end`. */
static bool
take_fresh(struct step *s, const Hr__CharterTell *tell, size_t *row, size_t end)
{
    bool good = true;
    for (; good && *row < end && s->st == STATUS_OK; ++*row) {
        good = take_row(s, (struct view){tell->rows[*row].data, tell->rows[*row].len});
    }
    return good;
}

/* Rows that the version in hand has alike. */
static bool
take_kept(struct step *s, const Hr__CharterRun *run)
{
    struct gfetch *f = &s->g->fetch;
    struct store_charter_key key = {
        .network = view_of_text(s->g->network),
        .kind = (enum store_charter)((unsigned)STORE_CHARTER_ROOT + f->kind),
        .version = f->base};
    bool good = run->kept == 0 || f->base > 0;
    if (run->kept > f->rows_total - f->row_count) {
        return false; /* before any of them is read */
    }
    for (uint32_t i = 0; good && i < run->kept && s->st == STATUS_OK; i++) {
        struct view row;
        enum status st = run->from > CHARTER_ROWS_MAX
                             ? STATUS_NOT_FOUND
                             : store_charter_row(s->e->txn, &key, run->from + i, &row);
        if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
            step_fail(s, st);
            return true;
        }
        good = st == STATUS_OK && take_row(s, row);
    }
    f->base_next = run->kept > 0 ? run->from + run->kept : f->base_next;
    return good;
}

/* Take note and rows of one answer; false: it is garbage. */
static bool
fetch_take(struct step *s, const Hr__CharterTell *tell)
{
    struct gfetch *f = &s->g->fetch;
    if (f->note.count == 0) {
        struct note n;
        struct charter_head head;
        struct view note = {tell->note.data, tell->note.len};
        if (tell->note.len == 0 || note_parse(note, &n) != STATUS_OK ||
            charter_head_parse(n.text, &head) != STATUS_OK || head.version != f->version ||
            (unsigned)head.kind != f->kind ||
            (!f->any_hash && !hash_equal(&head.hash, &f->hash)) ||
            head.row_count > CHARTER_ROWS_MAX) {
            return false;
        }
        f->rows_total = head.row_count;
        f->hash = head.hash;
        f->rows = calloc(f->rows_total + 1, sizeof f->rows[0]);
        if (f->rows == NULL || !bytes_set(&f->note, note)) {
            step_fail(s, STATUS_NO_MEMORY);
            return true;
        }
    } else if (tell->n_rows + tell->n_runs == 0) {
        return false; /* or we would go round for ever */
    }
    if (tell->from_row != f->row_count) {
        return false;
    }
    size_t row = 0, room = RANGE_CHARTER_ROWS_MAX;
    for (size_t i = 0; i < tell->n_runs; i++) {
        const Hr__CharterRun *run = tell->runs[i];
        if (run->kept > room || run->fresh > room - run->kept) {
            return false; /* reading rows costs time: no more than anybody honest names */
        }
        room -= run->kept + run->fresh;
        if (run->fresh > tell->n_rows - row || run->kept + run->fresh == 0 ||
            !take_kept(s, run) || !take_fresh(s, tell, &row, row + run->fresh)) {
            return false;
        }
    }
    return take_fresh(s, tell, &row, tell->n_rows);
}

void
charter_told(struct step *s, const struct greq *r)
{
    struct gfetch *f = &s->g->fetch;
    uint8_t memory[4096];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    if (!f->active || f->ticket != 0) {
        return;
    }
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__charter_tell__descriptor, s->e->message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__CharterTell *tell = (const Hr__CharterTell *)m;
    if (st == STATUS_NO_MEMORY) {
        step_fail(s, st);
    } else if (st == STATUS_OK && tell->status != STATUS_OK) {
        charter_given_up(s, r); /* it has it no more, or is busy */
    } else if (st != STATUS_OK || !fetch_take(s, tell)) {
        peer_strike(s, r->session, "a charter document that is malformed");
        charter_given_up(s, r);
    } else if (s->st == STATUS_OK && f->row_count < f->rows_total) {
        fetch_ask(s);
    } else if (s->st == STATUS_OK) {
        adopt(s);
    }
    pb_free(&arena);
}

/* ---- blobs --------------------------------------------------------------------------------
 */

void
blob_want(struct step *s)
{
    struct gossip *g = s->g;
    for (size_t i = 0; i < g->want_count; i++) {
        if (hash_equal(&g->wants[i].hash, &s->e->hash)) {
            return;
        }
    }
    if (g->want_count < GOSSIP_WANTS_MAX) {
        struct gblob *b = &g->wants[g->want_count++];
        memset(b, 0, sizeof *b);
        b->hash = s->e->hash;
        blob_pump(s);
    }
}

static struct gblob *
blob_find(struct gossip *g, const struct hash *hash)
{
    for (size_t i = 0; i < g->want_count; i++) {
        if (hash_equal(&g->wants[i].hash, hash)) {
            return &g->wants[i];
        }
    }
    return NULL;
}

static void
blob_forget(struct gossip *g, struct gblob *b)
{
    bytes_clear(&b->bytes);
    size_t at = (size_t)(b - g->wants);
    memmove(b, b + 1, (g->want_count - at - 1) * sizeof *b);
    g->want_count--;
}

static void
blob_restart(struct step *s, struct gblob *b)
{
    bytes_clear(&b->bytes);
    b->size = 0;
    b->request = 0;
    b->next_ms = s->e->now_ms + (b->tries < 3 ? 100 : (int64_t)1000 * b->tries);
}

static void
blob_ask(struct step *s, struct gblob *b, struct gpeer *p)
{
    Hr__BlobAsk m;
    hr__blob_ask__init(&m);
    m.hash = (ProtobufCBinaryData){HASH_BYTES, b->hash.bytes};
    m.from = b->bytes.count;
    struct greq *r = request_send(s, p, GREQ_BLOB, FRAME_BLOB, &m.base);
    if (r != NULL) {
        r->hash = b->hash;
        b->request = r->id;
    }
}

void
blob_pump(struct step *s)
{
    struct gossip *g = s->g;
    for (size_t i = g->want_count; i-- > 0 && g->peer_count > 0;) {
        struct gblob *b = &g->wants[i];
        if (b->request != 0 || b->ticket != 0 || s->e->now_ms < b->next_ms) {
            continue;
        }
        if (++b->tries > GOSSIP_BLOB_TRIES_MAX) {
            step_fail(s, gossip_update_say(s->u, 0, "a pack could not be had from any member"));
            blob_forget(g, b);
            continue;
        }
        blob_ask(s, b, &g->peers[step_random(s) % g->peer_count]);
    }
}

void
blob_given_up(struct step *s, const struct greq *r)
{
    struct gblob *b = blob_find(s->g, &r->hash);
    if (b != NULL && b->request == r->id) {
        blob_restart(s, b);
    }
}

static bool
blob_take(struct step *s, struct gblob *b, uint64_t size, struct view raw)
{
    if (size == 0 || size > STORE_BLOB_BYTES_MAX || (b->size != 0 && size != b->size) ||
        raw.count == 0 || raw.count > size - b->bytes.count) {
        return false;
    }
    b->size = size;
    uint8_t *grown = realloc(b->bytes.bytes, b->bytes.count + raw.count);
    if (grown == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return true;
    }
    memcpy(grown + b->bytes.count, raw.bytes, raw.count);
    b->bytes.bytes = grown;
    b->bytes.count += raw.count;
    return true;
}

void
blob_told(struct step *s, const struct greq *r)
{
    struct gblob *b = blob_find(s->g, &r->hash);
    uint8_t memory[512];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    if (b == NULL || b->request != r->id) {
        return;
    }
    b->request = 0;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__blob_tell__descriptor, s->e->message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__BlobTell *tell = (const Hr__BlobTell *)m;
    uint64_t size = st == STATUS_OK ? tell->size : 0;
    bool refused = st == STATUS_OK && tell->status != STATUS_OK;
    pb_free(&arena);
    if (refused) {
        blob_restart(s, b);
        return;
    }
    bool good = st == STATUS_OK && blob_take(s, b, size, s->e->raw);
    struct hash hash;
    if (good && s->st == STATUS_OK && b->bytes.count < b->size) {
        struct gpeer *p = peer_find(s->g, r->session);
        if (p != NULL) {
            blob_ask(s, b, p);
        }
        return;
    }
    if (good && s->st == STATUS_OK) {
        sha256(b->bytes.bytes, b->bytes.count, &hash);
        good = hash_equal(&hash, &b->hash);
    }
    if (!good) {
        peer_strike(s, r->session, "a blob that does not have the hash asked for");
        blob_restart(s, b);
        return;
    }
    struct gossip_action *a = gossip_update_add(s->u, GOSSIP_STORE_BLOB);
    if (a == NULL) {
        step_fail(s, STATUS_NO_MEMORY);
        return;
    }
    a->ticket = b->ticket = s->g->next_ticket++;
    a->hash = b->hash;
    a->note = bytes_view(&b->bytes);
}

/* ---- after the commit -----------------------------------------------------------------------
 */

bool
charter_stored(struct step *s)
{
    struct gossip *g = s->g;
    struct gfetch *f = &g->fetch;
    for (size_t i = 0; i < g->want_count; i++) {
        struct gblob *b = &g->wants[i];
        if (b->ticket == s->e->ticket) {
            b->ticket = 0;
            if (s->e->status == STATUS_OK) {
                blob_forget(g, b);
            } else {
                blob_restart(s, b);
                b->next_ms = s->e->now_ms + GOSSIP_STORE_RETRY_MS;
            }
            return true;
        }
    }
    if (!f->active || f->ticket != s->e->ticket) {
        return false;
    }
    enum status st = s->e->status;
    if (st != STATUS_OK && st != STATUS_EXISTS) {
        /* Another copy of this text may have the signatures or the rows that this one
         * lacks, and a full disk may have room again: only a text that contradicts, or is
         * not to be had at all, is refused from everybody. */
        fetch_refused(s, true, st == STATUS_NO_SPACE ? GOSSIP_STORE_RETRY_MS : COPY_REFUSED_MS);
        if (st == STATUS_FORK || st == STATUS_REFUSED || st == STATUS_NOT_YET ||
            st == STATUS_ROLLBACK) {
            /* "Not yet" may be our clock: when it is set right, this should not wait. */
            fetch_refused(s, false, st == STATUS_NOT_YET ? COPY_REFUSED_MS : REFUSED_MS);
        }
        if (st == STATUS_BAD_PROOF || st == STATUS_MALFORMED || st == STATUS_TOO_BIG) {
            peer_strike(s, f->session, "charter rows that are not those of the note");
        }
        g->documents[f->kind].peer_version = 0;
        if (st != STATUS_NO_SPACE) { /* the owner of the store says so, once */
            step_fail(s, gossip_update_say(s->u, 0, "charter %s %llu: not adopted: %s",
                                           KINDS[f->kind], (unsigned long long)f->version,
                                           status_text(st)));
        }
    }
    charter_load_documents(s);
    if (st == STATUS_EXISTS &&
        charter_signers_more(&g->documents[f->kind].signers, &f->signers)) {
        fetch_refused(s, true, COPY_REFUSED_MS); /* it does not have what it showed */
    }
    fetch_end(g);
    charter_pump(s);
    return true;
}
