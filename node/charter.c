/* charter.c: making a charter of documents.  See charter.h. */
#include "node/charter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_impl.h"
#include "proto/civil.h"

enum { UTC8_S = 8 * 3600, UTC8_MIN = 8 * 60, DAY_S = 86400 };

/* Unpacked rows take more than packed ones; a row of nothing but empty parts
 * takes the most. */
enum { UNPACKED_TIMES = 64 };

void
charter_date(int64_t at_s, char out[CHARTER_DATE_CHARS])
{
    int64_t local = at_s + UTC8_S;
    int64_t days = local / DAY_S - (local % DAY_S < 0);
    struct civil c = civil_from_days((int32_t)days);
    snprintf(out, CHARTER_DATE_CHARS, "%04d-%02d-%02d", c.year, c.month, c.day);
}

void
charter_time_text(int64_t at_s, char out[CHARTER_TIME_CHARS])
{
    char date[CHARTER_DATE_CHARS];
    int64_t local = at_s + UTC8_S;
    int64_t second = (local % DAY_S + DAY_S) % DAY_S;
    charter_date(at_s, date);
    snprintf(out, CHARTER_TIME_CHARS, "%sT%02d:%02d:%02d+08:00", date, (int)(second / 3600),
             (int)(second / 60 % 60), (int)(second % 60));
}

/* ---- copies of documents -------------------------------------------------- */

/* Copy a document with everything that it points to. */
static struct charter_stored *
stored_copy(const struct charter_document *d)
{
    size_t total = d->note.count;
    for (size_t i = 0; i < d->row_count; i++) {
        total += d->rows[i].count;
    }
    struct charter_stored *s = malloc(sizeof *s + total);
    if (s == NULL) {
        return NULL;
    }
    s->doc = *d;
    s->doc.rows = calloc(d->row_count + 1, sizeof *s->doc.rows);
    s->doc.indexes = d->indexes == NULL ? NULL : calloc(d->row_count + 1, sizeof *d->indexes);
    if (s->doc.rows == NULL || (d->indexes != NULL && s->doc.indexes == NULL)) {
        charter_document_free(&s->doc);
        free(s);
        return NULL;
    }
    uint8_t *at = s->bytes;
    memcpy(at, d->note.bytes, d->note.count);
    s->doc.note.bytes = at;
    at += d->note.count;
    for (size_t i = 0; i < d->row_count; i++) {
        if (d->rows[i].count > 0) {
            memcpy(at, d->rows[i].bytes, d->rows[i].count);
        }
        s->doc.rows[i] = (struct view){at, d->rows[i].count};
        at += d->rows[i].count;
    }
    if (d->indexes != NULL) {
        memcpy(s->doc.indexes, d->indexes, d->row_count * sizeof *d->indexes);
    }
    return s;
}

static void
stored_free(struct charter_stored *s)
{
    if (s != NULL) {
        charter_document_free(&s->doc);
        free(s);
    }
}

void
charter_free(struct charter *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->root_count; i++) {
        stored_free(c->roots[i]);
    }
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        stored_free(c->owned[k]);
        free(c->rows[k]);
    }
    free(c->roots);
    free(c->sessions);
    pb_free(&c->arena);
    free(c);
}

/* ---- roots ---------------------------------------------------------------- */

struct loader {
    const struct charter_document *const *docs;
    size_t count;
    const struct charter_document **chain; /* lowest first */
    size_t chain_count;
    char *reason;
};

/* Is `d` the root after `last`: signed by its keys and its own?
 * STATUS_OK, STATUS_NO_MEMORY. */
static enum status
follows(const struct charter_document *last, const struct charter_document *d, bool *out)
{
    char ignored[CHARTER_REASON_CHARS];
    enum status st = charter_check_signed(last, CHARTER_ROOT, d->note, "", ignored);
    st = st == STATUS_OK ? charter_check_signed(d, CHARTER_ROOT, d->note, "", ignored) : st;
    *out = false;
    if (st != STATUS_OK) {
        return st == STATUS_NO_MEMORY ? st : STATUS_OK;
    }
    return charter_root_follows(d, &last->head.hash, out);
}

/* The root that follows `last`.
 * STATUS_OK (*out NULL: there is none), STATUS_FORK or STATUS_NO_MEMORY. */
static enum status
find_next_root(const struct loader *l, const struct charter_document *last,
               const struct charter_document **out)
{
    *out = NULL;
    for (size_t i = 0; i < l->count; i++) {
        const struct charter_document *d = l->docs[i];
        bool next = false;
        if (d->head.kind != CHARTER_ROOT || !d->whole ||
            d->head.version != last->head.version + 1 ||
            (*out != NULL && hash_equal(&(*out)->head.hash, &d->head.hash))) {
            continue;
        }
        enum status st = follows(last, d, &next);
        if (st != STATUS_OK) {
            return st;
        }
        if (!next) {
            continue;
        }
        if (*out != NULL) {
            snprintf(l->reason, CHARTER_REASON_CHARS,
                     "two signed texts of root %" PRIu64 " of %s: the keys of the root are "
                     "misused; call the authority",
                     d->head.version, d->head.network);
            return STATUS_FORK;
        }
        *out = d;
    }
    return STATUS_OK;
}

/* The root that `first` names as the one before, or NULL.  STATUS_OK, STATUS_NO_MEMORY. */
static enum status
find_previous_root(const struct loader *l, const struct charter_document *first,
                   const struct charter_document **out)
{
    enum status st = STATUS_OK;
    *out = NULL;
    for (size_t i = 0; st == STATUS_OK && *out == NULL && i < l->count; i++) {
        const struct charter_document *d = l->docs[i];
        bool names = false;
        if (d->head.kind == CHARTER_ROOT && d->whole &&
            d->head.version + 1 == first->head.version) {
            st = charter_root_follows(first, &d->head.hash, &names);
        }
        *out = names ? d : NULL;
    }
    return st;
}

/* Walk up and down from the trusted root. */
static enum status
walk_roots(struct loader *l, const struct charter_document *trusted)
{
    char what[CHARTER_WHAT_CHARS];
    const struct charter_document *d;
    charter_what(&trusted->head, what);
    enum status st =
        charter_check_signed(trusted, CHARTER_ROOT, trusted->note, what, l->reason);
    if (st != STATUS_OK) {
        return st;
    }
    l->chain = calloc(l->count + 1, sizeof *l->chain);
    if (l->chain == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < l->count; i++) {
        d = l->docs[i];
        if (d->head.kind == CHARTER_ROOT && d->head.version == trusted->head.version &&
            !hash_equal(&d->head.hash, &trusted->head.hash)) {
            snprintf(l->reason, CHARTER_REASON_CHARS, "%s is not the one that is trusted here",
                     what);
            return STATUS_FORK;
        }
    }
    /* Downwards into the end of the array, so that the lowest comes first. */
    size_t at = l->count;
    for (d = trusted; st == STATUS_OK && d != NULL && l->chain_count <= l->count;) {
        l->chain[at--] = d;
        l->chain_count++;
        st = find_previous_root(l, d, &d);
    }
    if (st != STATUS_OK) {
        return st;
    }
    memmove(l->chain, &l->chain[at + 1], l->chain_count * sizeof *l->chain);
    for (;;) {
        st = find_next_root(l, l->chain[l->chain_count - 1], &d);
        if (st != STATUS_OK || d == NULL) {
            return st;
        }
        assert(l->chain_count <= l->count);
        l->chain[l->chain_count++] = d;
    }
}

/* ---- the others ----------------------------------------------------------- */

/* The newest root under which the document has its threshold; 0: none, or it is void.
 * STATUS_OK, STATUS_NO_MEMORY. */
static enum status
signed_under(const struct loader *l, const struct charter_document *d, uint64_t *under)
{
    char ignored[CHARTER_REASON_CHARS];
    enum status st = STATUS_OK;
    bool voided = false;
    *under = 0;
    for (size_t i = 0; st == STATUS_OK && !voided && i < l->chain_count; i++) {
        st = charter_root_voids(l->chain[i], d->head.kind, &d->head.hash, &voided);
    }
    for (size_t i = l->chain_count; st == STATUS_OK && !voided && *under == 0 && i-- > 0;) {
        st = charter_check_signed(l->chain[i], d->head.kind, d->note, "", ignored);
        *under = st == STATUS_OK ? l->chain[i]->head.version : 0;
        st = st == STATUS_NO_MEMORY ? st : STATUS_OK;
    }
    return st;
}

/* The highest version of a kind that counts, or NULL.  Without memory it is never an older
 * one: STATUS_OK, STATUS_NO_MEMORY. */
static enum status
find_document(const struct loader *l, enum charter_kind kind,
              const struct charter_document **best, uint64_t *under)
{
    *best = NULL;
    *under = 0;
    for (size_t i = 0; i < l->count; i++) {
        const struct charter_document *d = l->docs[i];
        uint64_t root;
        if (d->head.kind != kind ||
            (*best != NULL && d->head.version <= (*best)->head.version)) {
            continue;
        }
        enum status st = signed_under(l, d, &root);
        if (st != STATUS_OK) {
            return st;
        }
        if (root != 0) {
            *best = d;
            *under = root;
        }
    }
    return STATUS_OK;
}

/* ---- rows in memory ------------------------------------------------------- */

static int
compare_sessions(const void *a, const void *b)
{
    return memcmp(((const struct charter_session *)a)->key,
                  ((const struct charter_session *)b)->key, KEY_BYTES);
}

static enum status
index_members(struct charter *c)
{
    const struct charter_document *d = c->docs[CHARTER_MEMBERS];
    size_t count = 0;
    if (d == NULL) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < d->row_count; i++) {
        count += ((const Hr__MemberRow *)c->rows[CHARTER_MEMBERS][i])->n_keys;
    }
    c->sessions = calloc(count + 1, sizeof *c->sessions);
    if (c->sessions == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < d->row_count; i++) {
        const Hr__MemberRow *m = (const Hr__MemberRow *)c->rows[CHARTER_MEMBERS][i];
        if (m->institution[0] == 0) {
            c->members_from = 1; /* the empty key comes first */
        }
        for (size_t j = 0; j < m->n_keys; j++) {
            struct charter_session *s = &c->sessions[c->session_count++];
            memcpy(s->key, m->keys[j]->session.data, KEY_BYTES);
            s->member = m;
            s->keys = m->keys[j];
        }
    }
    if (c->session_count > 1) {
        qsort(c->sessions, c->session_count, sizeof *c->sessions, compare_sessions);
    }
    return STATUS_OK;
}

static enum status
decode_rows(struct charter *c, char *reason)
{
    size_t bytes = 0;
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        for (size_t i = 0; c->docs[k] != NULL && i < c->docs[k]->row_count; i++) {
            bytes += c->docs[k]->rows[i].count + 1;
        }
    }
    pb_arena_init(&c->arena, c->arena_memory, sizeof c->arena_memory,
                  (size_t)1024 * 1024 + UNPACKED_TIMES * bytes);
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        const struct charter_document *d = c->docs[k];
        if (d == NULL) {
            continue;
        }
        c->rows[k] = calloc(d->row_count + 1, sizeof *c->rows[k]);
        if (c->rows[k] == NULL) {
            return STATUS_NO_MEMORY;
        }
        for (size_t i = 0; i < d->row_count; i++) {
            enum status st = charter_row_decode((enum charter_kind)k, d->head.network,
                                                d->rows[i], &c->arena, &c->rows[k][i], reason);
            if (st != STATUS_OK) {
                return st;
            }
        }
    }
    return index_members(c);
}

/* ---- load ----------------------------------------------------------------- */

static enum status
build(struct charter *c, const struct loader *l)
{
    c->roots = calloc(l->chain_count, sizeof *c->roots);
    if (c->roots == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < l->chain_count; i++) {
        c->roots[i] = stored_copy(l->chain[i]);
        if (c->roots[i] == NULL) {
            return STATUS_NO_MEMORY;
        }
        c->root_count++;
    }
    c->docs[CHARTER_ROOT] = &c->roots[c->root_count - 1]->doc;
    c->signed_under[CHARTER_ROOT] = c->docs[CHARTER_ROOT]->head.version;
    for (unsigned k = CHARTER_ROOT + 1; k < CHARTER_KIND_COUNT; k++) {
        const struct charter_document *d;
        enum status st = find_document(l, (enum charter_kind)k, &d, &c->signed_under[k]);
        if (st != STATUS_OK) {
            return st;
        }
        if (d == NULL) {
            continue;
        }
        c->owned[k] = stored_copy(d);
        if (c->owned[k] == NULL) {
            return STATUS_NO_MEMORY;
        }
        c->docs[k] = &c->owned[k]->doc;
    }
    return decode_rows(c, l->reason);
}

enum status
charter_load(const struct charter_document *trusted,
             const struct charter_document *const *others, size_t count, struct charter **out,
             char reason[CHARTER_REASON_CHARS])
{
    struct loader l = {.docs = others, .count = count, .reason = reason};
    struct charter *c = NULL;
    enum status st;
    *out = NULL;
    reason[0] = 0;
    if (trusted->head.kind != CHARTER_ROOT || !trusted->whole) {
        snprintf(reason, CHARTER_REASON_CHARS, "what is to be trusted is not a whole root");
        return STATUS_REFUSED;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(others[i]->head.network, trusted->head.network) != 0) {
            char what[CHARTER_WHAT_CHARS];
            charter_what(&others[i]->head, what);
            snprintf(reason, CHARTER_REASON_CHARS, "%s: the network here is %s", what,
                     trusted->head.network);
            return STATUS_REFUSED;
        }
    }
    st = walk_roots(&l, trusted);
    if (st == STATUS_OK) {
        c = calloc(1, sizeof *c);
        st = c == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    if (st == STATUS_OK) {
        pb_arena_init(&c->arena, c->arena_memory, sizeof c->arena_memory, 0);
        st = build(c, &l);
    }
    free(l.chain);
    if (st != STATUS_OK) {
        if (reason[0] == 0) {
            snprintf(reason, CHARTER_REASON_CHARS, "%s", status_text(st));
        }
        charter_free(c);
        return st;
    }
    *out = c;
    return STATUS_OK;
}

enum status
charter_with(const struct charter *c, const struct charter_document *d, struct charter **out,
             char reason[CHARTER_REASON_CHARS])
{
    size_t count = 0;
    const struct charter_document **docs =
        calloc(c->root_count + CHARTER_KIND_COUNT + 1, sizeof *docs);
    const struct charter_document *trusted = &c->roots[0]->doc;
    *out = NULL;
    if (docs == NULL) {
        snprintf(reason, CHARTER_REASON_CHARS, "out of memory");
        return STATUS_NO_MEMORY;
    }
    docs[count++] = d; /* first, so that it comes before ours of the same text */
    for (size_t i = 0; i < c->root_count; i++) {
        docs[count++] = &c->roots[i]->doc;
    }
    for (unsigned k = CHARTER_ROOT + 1; k < CHARTER_KIND_COUNT; k++) {
        if (c->docs[k] != NULL) {
            docs[count++] = c->docs[k];
        }
    }
    if (d->head.kind == CHARTER_ROOT && hash_equal(&d->head.hash, &trusted->head.hash)) {
        trusted = d;
    }
    enum status st = charter_load(trusted, docs, count, out, reason);
    free(docs);
    return st;
}

/* ---- the documents -------------------------------------------------------- */

const char *
charter_network(const struct charter *c)
{
    return c->roots[0]->doc.head.network;
}

const struct charter_document *
charter_document(const struct charter *c, enum charter_kind kind)
{
    assert(kind < CHARTER_KIND_COUNT);
    return c->docs[kind];
}

uint64_t
charter_first_root(const struct charter *c)
{
    return c->roots[0]->doc.head.version;
}

const struct charter_document *
charter_root_version(const struct charter *c, uint64_t version)
{
    uint64_t first = charter_first_root(c);
    return version < first || version - first >= c->root_count
               ? NULL
               : &c->roots[version - first]->doc;
}

uint64_t
charter_signed_under(const struct charter *c, enum charter_kind kind)
{
    return c->signed_under[kind];
}

bool
charter_is_stale(const struct charter *c, enum charter_kind kind, int64_t now_s)
{
    return c->docs[kind] == NULL || c->docs[kind]->head.stale_after_s < now_s;
}

int64_t
charter_age_s(const struct charter *c, enum charter_kind kind, int64_t now_s)
{
    if (c->docs[kind] == NULL) {
        return -1;
    }
    int64_t issued = c->docs[kind]->head.issued_at_s;
    return now_s > issued ? now_s - issued : 0;
}

int64_t
charter_newest_issued_s(const struct charter *c)
{
    int64_t newest = 0;
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        if (c->docs[k] != NULL && c->docs[k]->head.issued_at_s > newest) {
            newest = c->docs[k]->head.issued_at_s;
        }
    }
    return newest;
}
