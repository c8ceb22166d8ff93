#include "node/candidates.h"

#include <stdlib.h>
#include <string.h>

#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "store/index.h"
#include "store/log.h"

/* What all three kinds of entries have in common. */
struct parts {
    ProtobufCBinaryData token, sealed, brief;
    uint32_t epoch;
    uint64_t replaces;
    Hr__PubEntry__WhatCase what;
};

static bool
take_apart(const Hr__PubEntry *e, struct parts *p)
{
    memset(p, 0, sizeof *p);
    p->what = e->what_case;
    switch (e->what_case) {
    case HR__PUB_ENTRY__WHAT_PUBLISH:
        p->token = e->publish->token;
        p->sealed = e->publish->sealed;
        p->brief = e->publish->brief;
        p->epoch = e->publish->epoch;
        break;
    case HR__PUB_ENTRY__WHAT_CORRECT:
        p->token = e->correct->token;
        p->sealed = e->correct->sealed;
        p->brief = e->correct->brief;
        p->epoch = e->correct->epoch;
        p->replaces = e->correct->replaces;
        break;
    case HR__PUB_ENTRY__WHAT_WITHDRAW:
        p->token = e->withdraw->token;
        p->epoch = e->withdraw->epoch;
        p->replaces = e->withdraw->replaces;
        break;
    case HR__PUB_ENTRY__WHAT__NOT_SET:
    case _HR__PUB_ENTRY__WHAT__CASE_IS_INT_SIZE:
        return false;
    }
    return p->token.len == TOKEN_BYTES &&
           (p->what == HR__PUB_ENTRY__WHAT_WITHDRAW || p->sealed.len == HASH_BYTES);
}

bool
candidates_sealed(struct view entry, struct hash *sealed, bool *held)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct parts p;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    bool found = pb_unpack(&hr__pub_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &m) ==
                     STATUS_OK &&
                 take_apart((const Hr__PubEntry *)m, &p) &&
                 p.what != HR__PUB_ENTRY__WHAT_WITHDRAW;
    if (found) {
        memcpy(sealed->bytes, p.sealed.data, HASH_BYTES);
        *held = p.brief.len == 0;
    }
    pb_free(&arena);
    return found;
}

bool
candidates_handle_of(void *context, struct view origin, struct view entry,
                     uint8_t handle[TOKEN_BYTES])
{
    (void)context;
    struct origin o;
    if (origin_parse(origin, &o) != STATUS_OK || o.log != ORIGIN_PUB) {
        return false;
    }
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct parts p;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    bool found = pb_unpack(&hr__pub_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &m) ==
                     STATUS_OK &&
                 take_apart((const Hr__PubEntry *)m, &p);
    if (found) {
        memcpy(handle, p.token.data, TOKEN_BYTES);
    }
    pb_free(&arena);
    return found;
}

/* Open the brief; its associated data is the entry packed with it empty. */
static void
read_brief(Hr__PubEntry *e, const struct parts *p, const struct patient_keys *keys,
           struct candidate *c)
{
    c->held = p->brief.len == 0;
    if (c->held) {
        return;
    }
    uint8_t packed[512];
    size_t count;
    if (p->what == HR__PUB_ENTRY__WHAT_PUBLISH) {
        e->publish->brief = (ProtobufCBinaryData){0, NULL};
    } else {
        e->correct->brief = (ProtobufCBinaryData){0, NULL};
    }
    c->brief_bad = p->epoch != keys->epoch ||
                   pb_pack(&e->base, packed, sizeof packed, &count) != STATUS_OK ||
                   brief_open((struct view){p->brief.data, p->brief.len}, keys->brief_key,
                              c->origin, (struct view){packed, count}, &c->brief) != STATUS_OK;
}

struct hit {
    uint32_t log;
    uint64_t leaf;
    size_t patient;
    struct token token;
    bool withdraw, correct, gone, disputed;
    uint64_t replaces;
};
struct search {
    struct hit *at;
    size_t count, room;
    size_t left_out;
    size_t patient;
    struct token token;
    enum status status;
};

static int
by_place(uint32_t log_a, uint64_t leaf_a, uint32_t log_b, uint64_t leaf_b)
{
    if (log_a != log_b) {
        return log_a < log_b ? -1 : 1;
    }
    return leaf_a < leaf_b ? -1 : leaf_a > leaf_b;
}

static int
candidates_by_place(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    return by_place(x->log, x->leaf, y->log, y->leaf);
}

static int
hits_by_place(const void *a, const void *b)
{
    const struct hit *x = a;
    const struct hit *y = b;
    return by_place(x->log, x->leaf, y->log, y->leaf);
}

/* Drop the older half of the hits of the log that has most of them. */
static void
make_room(struct search *s)
{
    size_t from = 0;
    size_t most = 0;
    size_t run = 0;
    qsort(s->at, s->count, sizeof *s->at, hits_by_place);
    for (size_t i = 0; i < s->count; i++) {
        run = i > 0 && s->at[i].log == s->at[i - 1].log ? run + 1 : 1;
        if (run > most) {
            most = run;
            from = i + 1 - run;
        }
    }
    size_t drop = (most + 1) / 2;
    memmove(&s->at[from], &s->at[from + drop], (s->count - from - drop) * sizeof *s->at);
    s->count -= drop;
    s->left_out += drop;
}

static bool
take_hit(void *context, uint32_t log, uint64_t leaf)
{
    struct search *s = context;
    if (s->count == CANDIDATES_MAX) {
        make_room(s);
    }
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct hit *more = realloc(s->at, room * sizeof *more);
        if (more == NULL) {
            s->status = STATUS_NO_MEMORY;
            return false;
        }
        s->at = more;
        s->room = room;
    }
    s->at[s->count++] =
        (struct hit){.log = log, .leaf = leaf, .patient = s->patient, .token = s->token};
    return true;
}

/* Read one hit's entry; a candidate comes of it unless it is a Withdraw. */
static enum status
read_hit(struct store_txn *txn, const char *network, const struct patient_keys *patients,
         struct hit *h, struct candidates *out)
{
    struct store_log log;
    struct view entry;
    struct origin origin;
    enum status st = store_log_get(txn, h->log, &log);
    if (st != STATUS_OK) {
        return st;
    }
    h->gone = true;
    if (origin_parse(log.origin, &origin) != STATUS_OK || origin.log != ORIGIN_PUB ||
        strcmp(origin.network, network) != 0) {
        return STATUS_OK;
    }
    if ((st = store_entry_get(txn, h->log, h->leaf, &entry)) != STATUS_OK) {
        return st;
    }
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct parts p;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    st = pb_unpack(&hr__pub_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &m);
    if (st == STATUS_OK && take_apart((const Hr__PubEntry *)m, &p) &&
        memcmp(p.token.data, h->token.bytes, TOKEN_BYTES) == 0 &&
        p.epoch == patients[h->patient].epoch) { /* it says under which key that is */
        h->gone = false;
        h->replaces = p.replaces;
        h->withdraw = p.what == HR__PUB_ENTRY__WHAT_WITHDRAW;
        h->correct = p.what == HR__PUB_ENTRY__WHAT_CORRECT;
        h->disputed = (log.flags & STORE_LOG_FROZEN) != 0 && h->leaf >= log.serve_to;
        if (!h->withdraw) {
            struct candidate *c = &out->at[out->count++];
            memset(c, 0, sizeof *c);
            memcpy(c->origin, log.origin.bytes, log.origin.count);
            memcpy(c->institution, origin.institution, sizeof c->institution);
            c->log = h->log;
            c->leaf = h->leaf;
            c->patient = h->patient;
            c->epoch = p.epoch;
            memcpy(c->sealed.bytes, p.sealed.data, HASH_BYTES);
            c->correct = h->correct;
            c->replaces = p.replaces;
            c->disputed = h->disputed;
            read_brief((Hr__PubEntry *)m, &p, &patients[h->patient], c);
        }
    } else {
        out->findings++; /* the author wrote something else under this token */
    }
    pb_free(&arena);
    return st == STATUS_NO_MEMORY ? st : STATUS_OK;
}

static struct candidate *
find_candidate(const struct candidates *list, uint32_t log, uint64_t leaf)
{
    struct candidate key = {.log = log, .leaf = leaf};
    return list->count == 0
               ? NULL
               : bsearch(&key, list->at, list->count, sizeof *list->at, candidates_by_place);
}

/* Apply replacements, in the order of the log. */
static void
replace(const struct hit *hits, size_t count, struct candidates *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct hit *h = &hits[i];
        if (h->gone || !(h->withdraw || h->correct)) {
            continue;
        }
        struct hit key = {.log = h->log, .leaf = h->replaces};
        const struct hit *target = bsearch(&key, hits, count, sizeof *hits, hits_by_place);
        struct candidate *old = find_candidate(out, h->log, h->replaces);
        struct candidate *own = h->correct ? find_candidate(out, h->log, h->leaf) : NULL;
        if (target == NULL || old == NULL || target->leaf >= h->leaf ||
            memcmp(target->token.bytes, h->token.bytes, TOKEN_BYTES) != 0 ||
            old->state != CANDIDATE_LIVE) {
            out->findings++;
            if (own != NULL) {
                own->state = CANDIDATE_IGNORED;
            }
        } else if (h->disputed && !old->disputed) {
            old->disputed = true;
        } else {
            old->state = h->withdraw ? CANDIDATE_WITHDRAWN : CANDIDATE_REPLACED;
            old->replaced_by = h->leaf;
        }
    }
}

/* Sort, and keep each leaf once. */
static void
sort_hits(struct search *s)
{
    size_t kept = 0;
    if (s->count > 0) {
        qsort(s->at, s->count, sizeof *s->at, hits_by_place);
    }
    for (size_t i = 0; i < s->count; i++) {
        if (kept == 0 || hits_by_place(&s->at[kept - 1], &s->at[i]) != 0) {
            s->at[kept++] = s->at[i];
        }
    }
    s->count = kept;
}

enum status
candidates_find(struct store_txn *txn, const char *network, const struct patient_keys *patients,
                size_t patient_count, uint32_t quarter_first, uint32_t quarter_last,
                struct candidates *out)
{
    *out = (struct candidates){0};
    struct search s = {.status = STATUS_OK};
    enum status st = STATUS_OK;
    for (s.patient = 0; s.patient < patient_count; s.patient++) {
        for (uint32_t q = quarter_first; q <= quarter_last && st == STATUS_OK; q++) {
            token_make(&patients[s.patient], q, &s.token);
            st = store_index_find(txn, s.token.bytes, take_hit, &s);
            st = st == STATUS_OK ? s.status : st;
        }
    }
    sort_hits(&s);
    out->left_out = s.left_out;
    if (st == STATUS_OK) {
        out->at = calloc(s.count + 1, sizeof *out->at);
        st = out->at == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    for (size_t i = 0; st == STATUS_OK && i < s.count; i++) {
        st = read_hit(txn, network, patients, &s.at[i], out);
    }
    if (st == STATUS_OK) {
        replace(s.at, s.count, out);
    } else {
        candidates_free(out);
    }
    free(s.at);
    return st;
}

void
candidates_free(struct candidates *c)
{
    free(c->at);
    *c = (struct candidates){0};
}

bool
candidate_may_hold(const struct candidate *c, uint32_t number)
{
    if (c->held || c->brief_bad || c->brief.more) {
        return true;
    }
    for (uint32_t i = 0; i < c->brief.count; i++) {
        if (c->brief.numbers[i] == number) {
            return true;
        }
    }
    return false;
}
