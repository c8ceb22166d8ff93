#include "node/recall_audit.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"

struct recall_audit {
    char network[NETWORK_CHARS_MAX + 1];
    recall_replaced_fn replaced;
    void *ctx;
    void *tree; /* of tsearch, over the cases */
    struct recall_case **cases;
    size_t count, room;
};

static int
compare(const void *a, const void *b)
{
    const struct recall_case *x = a;
    const struct recall_case *y = b;
    int d = strcmp(x->origin, y->origin);
    if (d == 0 && x->leaf != y->leaf) {
        d = x->leaf < y->leaf ? -1 : 1;
    }
    return d != 0 ? d : strcmp(x->who, y->who);
}

enum status
recall_audit_open(const char *network, recall_replaced_fn replaced, void *ctx,
                  struct recall_audit **out)
{
    struct recall_audit *a = calloc(1, sizeof *a);
    *out = a;
    if (a == NULL || strlen(network) > NETWORK_CHARS_MAX) {
        free(a);
        *out = NULL;
        return a == NULL ? STATUS_NO_MEMORY : STATUS_TOO_BIG;
    }
    memcpy(a->network, network, strlen(network) + 1);
    a->replaced = replaced;
    a->ctx = ctx;
    return STATUS_OK;
}

void
recall_audit_close(struct recall_audit *a)
{
    for (size_t i = 0; a != NULL && i < a->count; i++) {
        tdelete(a->cases[i], &a->tree, compare);
        free(a->cases[i]);
    }
    if (a != NULL) {
        free(a->cases);
    }
    free(a);
}

/* The case of this leaf and institution; made if it is not there. */
static enum status
find(struct recall_audit *a, const struct recall_case *key, struct recall_case **out)
{
    void *found = tfind(key, &a->tree, compare);
    *out = found == NULL ? NULL : *(struct recall_case **)found;
    if (*out != NULL) {
        return STATUS_OK;
    }
    if (a->count == RECALL_AUDIT_CASES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (a->count == a->room) {
        size_t room = a->room == 0 ? 64 : a->room * 2;
        struct recall_case **more = realloc(a->cases, room * sizeof(struct recall_case *));
        if (more == NULL) {
            return STATUS_NO_MEMORY;
        }
        a->cases = more;
        a->room = room;
    }
    struct recall_case *c = malloc(sizeof *c);
    if (c == NULL) {
        return STATUS_NO_MEMORY;
    }
    *c = *key;
    if (tsearch(c, &a->tree, compare) == NULL) {
        free(c);
        return STATUS_NO_MEMORY;
    }
    a->cases[a->count++] = c;
    *out = c;
    return STATUS_OK;
}

/* A leaf of the pub log of *issuer, relied on or told of by `who`. */
static bool
make_key(const struct recall_audit *a, const Hr__Leaf *leaf, const char *who,
         struct recall_case *out)
{
    struct origin o;
    if (leaf == NULL || strlen(who) > INSTITUTION_CHARS_MAX ||
        strlen(leaf->origin) > ORIGIN_CHARS_MAX ||
        origin_parse(text_view(leaf->origin), &o) != STATUS_OK || o.log != ORIGIN_PUB ||
        strcmp(o.network, a->network) != 0) {
        return false;
    }
    *out = (struct recall_case){.leaf = leaf->index};
    memcpy(out->issuer, o.institution, strlen(o.institution) + 1);
    memcpy(out->who, who, strlen(who) + 1);
    memcpy(out->origin, leaf->origin, strlen(leaf->origin) + 1);
    return true;
}

static void
earliest(uint64_t *at, uint64_t ms)
{
    *at = *at == 0 || ms < *at ? ms : *at;
}

static enum status
add_recalled(struct recall_audit *a, const char *author, const Hr__Recalled *m)
{
    struct recall_case key;
    struct recall_case *c;
    bool issuer = m->side == 1 || m->side == 3;
    if (!make_key(a, m->old, issuer ? m->institution : author, &key) || m->by == NULL ||
        strcmp(m->by->origin, m->old->origin) != 0 || m->side == 0 || m->side > 3 ||
        strcmp(key.issuer, issuer ? author : m->institution) != 0) {
        return STATUS_OK;
    }
    enum status st = find(a, &key, &c);
    if (st != STATUS_OK) {
        return st;
    }
    if (issuer || c->told_ms == 0) {
        c->by = m->by->index;
    }
    earliest(m->side == 1   ? &c->told_ms
             : m->side == 2 ? &c->heard_ms
                            : &c->acknowledged_ms,
             m->at_ms);
    return STATUS_OK;
}

/* Somebody relied on a leaf: a case, if it was replaced. */
static enum status
add_relied(struct recall_audit *a, const Hr__Leaf *leaf, const char *who, uint64_t at_ms)
{
    struct recall_case key;
    struct recall_case *c;
    if (!make_key(a, leaf, who, &key) || strcmp(key.issuer, who) == 0 ||
        !a->replaced(a->ctx, key.origin, key.leaf, &key.by)) {
        return STATUS_OK;
    }
    enum status st = find(a, &key, &c);
    if (st == STATUS_OK) {
        earliest(&c->relied_ms, at_ms);
    }
    return st;
}

static enum status
add_entry(struct recall_audit *a, const char *author, const Hr__ExchEntry *e)
{
    enum status st = STATUS_OK;
    if (e->what_case == HR__EXCH_ENTRY__WHAT_RECALLED) {
        return add_recalled(a, author, e->recalled);
    }
    if (e->what_case == HR__EXCH_ENTRY__WHAT_ANSWERED) {
        for (size_t i = 0; st == STATUS_OK && i < e->answered->n_leaves; i++) {
            st = add_relied(a, e->answered->leaves[i], e->answered->institution,
                            e->answered->at_ms);
        }
    } else if (e->what_case == HR__EXCH_ENTRY__WHAT_RELIED) {
        bool we = e->relied->side == 1;
        st = add_relied(a, e->relied->leaf, we ? author : e->relied->institution,
                        e->relied->at_ms);
    } else if (e->what_case == HR__EXCH_ENTRY__WHAT_DECIDED && e->decided->leaf != NULL) {
        st = add_relied(a, e->decided->leaf, author, e->decided->at_ms);
    }
    return st;
}

enum status
recall_audit_add(struct recall_audit *a, const char *author, struct view entry)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = pb_unpack(&hr__exch_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &m);
    if (st == STATUS_OK) {
        st = add_entry(a, author, (const Hr__ExchEntry *)m);
    } else if (st != STATUS_NO_MEMORY) {
        st = STATUS_OK;
    }
    pb_free(&arena);
    return st;
}

size_t
recall_audit_count(const struct recall_audit *a)
{
    return a->count;
}

const struct recall_case *
recall_audit_get(const struct recall_audit *a, size_t number)
{
    return a->cases[number];
}

enum recall_judgement
recall_judge(const struct recall_case *c, uint64_t now_ms, uint64_t hours)
{
    uint64_t since = c->told_ms != 0 ? c->told_ms : c->relied_ms;
    uint64_t allowed_ms = hours * UINT64_C(3600000);
    if (c->acknowledged_ms != 0 && c->told_ms != 0) {
        bool late = now_ms >= c->acknowledged_ms && now_ms - c->acknowledged_ms >= allowed_ms;
        return c->heard_ms == 0 && late ? RECALL_UNCONFIRMED : RECALL_CLOSED;
    }
    if (since == 0 || now_ms < since || now_ms - since < allowed_ms) {
        return RECALL_WAITING;
    }
    return c->told_ms != 0 ? RECALL_OVERDUE : RECALL_NOT_TOLD;
}

const char *
recall_judgement_text(enum recall_judgement j)
{
    switch (j) {
    case RECALL_CLOSED:
        return "acknowledged";
    case RECALL_WAITING:
        return "waiting";
    case RECALL_OVERDUE:
        return "overdue";
    case RECALL_UNCONFIRMED:
        return "unconfirmed";
    case RECALL_NOT_TOLD:
        return "not told";
    }
    return "";
}
