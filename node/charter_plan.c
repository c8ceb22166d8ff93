/* charter_plan.c: adopting several documents at once.  See charter.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_impl.h"

/* Roots first and rising, then the others by kind and rising. */
static bool
comes_before(const struct charter_head *a, const struct charter_head *b)
{
    return a->kind != b->kind ? a->kind < b->kind : a->version < b->version;
}

/* Replace *c by `next`, which may be NULL after a failure. */
static void
step_to(struct charter **c, bool *owned, struct charter *next)
{
    if (*owned) {
        charter_free(*c);
    }
    *c = next;
    *owned = true;
}

/* Take the new signatures of a document that is in hand. */
static enum status
merge_step(const struct charter *c, const struct charter_document *d, struct charter **next,
           char *reason)
{
    size_t count, added;
    char what[CHARTER_WHAT_CHARS];
    uint8_t *note = malloc(NOTE_BYTES_MAX);
    *next = NULL;
    charter_what(&d->head, what);
    if (note == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status st = charter_merge(c, d->note, note, &count, &added);
    if (st == STATUS_OK && added == 0) {
        st = STATUS_EXISTS;
    } else if (st == STATUS_OK) {
        struct charter_document merged = *d;
        merged.note = (struct view){note, count};
        st = charter_with(c, &merged, next, reason);
        if (st == STATUS_OK) {
            st = STATUS_EXISTS;
            snprintf(reason, CHARTER_REASON_CHARS, "%s is in hand; %zu signature%s came new",
                     what, added, added == 1 ? "" : "s");
        }
    } else if (st != STATUS_NO_MEMORY) {
        snprintf(reason, CHARTER_REASON_CHARS, "%s: %s", what, status_text(st));
    }
    free(note);
    return st;
}

/* Whether a later root among the documents has not expired. */
static bool
has_fresh_root(const struct charter_document *const *documents, size_t count, uint64_t after,
               int64_t now_s)
{
    for (size_t i = 0; i < count; i++) {
        const struct charter_head *h = &documents[i]->head;
        if (h->kind == CHARTER_ROOT && h->version > after && h->stale_after_s >= now_s) {
            return true;
        }
    }
    return false;
}

/* The charter with this document, its note cut to what verified. */
static enum status
take_step(const struct charter *c, const struct charter_document *d, struct charter **next,
          char *reason)
{
    struct charter_document cut = *d;
    size_t count;
    char trouble[CHARTER_REASON_CHARS] = "";
    uint8_t *note = malloc(NOTE_BYTES_MAX);
    enum status st = note == NULL ? STATUS_NO_MEMORY : charter_cut_note(c, d, note, &count);
    if (st == STATUS_OK) {
        cut.note = (struct view){note, count};
        st = c == NULL ? charter_load(&cut, NULL, 0, next, trouble)
                       : charter_with(c, &cut, next, trouble);
    }
    if (st != STATUS_OK) { /* else a warning may stand there already */
        memcpy(reason, trouble, sizeof trouble);
    }
    free(note);
    return st;
}

static enum status
first_step(const char *network, const struct charter_document *const *documents, size_t count,
           const struct charter_document *d, int64_t now_s, struct charter **next, char *reason)
{
    *next = NULL;
    enum status st = charter_check_first(d, network, now_s, reason);
    if (st == STATUS_EXPIRED && has_fresh_root(documents, count, d->head.version, now_s)) {
        reason[0] = 0;
        st = STATUS_OK;
    }
    return st == STATUS_OK ? take_step(NULL, d, next, reason) : st;
}

/* Whether a root on the way gave this document its threshold.  STATUS_OK, STATUS_NO_MEMORY. */
static enum status
was_signed(const struct charter *c, const struct charter_document *d, bool *out)
{
    char ignored[CHARTER_REASON_CHARS];
    *out = false;
    for (size_t i = 0; !*out && i < c->root_count; i++) {
        enum status st =
            charter_check_signed(&c->roots[i]->doc, d->head.kind, d->note, "", ignored);
        if (st == STATUS_NO_MEMORY) {
            return st;
        }
        *out = st == STATUS_OK;
    }
    return STATUS_OK;
}

/* What a newer document of the plan or in hand has overtaken is kept as an earlier
 * version when the keys of its own day signed it: it never comes into force. */
static enum status
keep_earlier(const struct charter *c, const struct charter_document *const *documents,
             size_t count, struct charter_step *steps)
{
    for (size_t i = 0; i < count; i++) {
        struct charter_step *s = &steps[i];
        const struct charter_document *d = documents[s->document];
        const struct charter_document *held = c->docs[d->head.kind];
        bool older = d->head.kind != CHARTER_ROOT && held != NULL &&
                     strcmp(d->head.network, charter_network(c)) == 0 &&
                     d->head.version < held->head.version;
        bool signed_then = false;
        if (older && (s->status == STATUS_UNKNOWN_KEY || s->status == STATUS_THRESHOLD ||
                      s->status == STATUS_ROLLBACK)) {
            enum status st = was_signed(c, d, &signed_then);
            if (st != STATUS_OK) {
                return st;
            }
        }
        if (signed_then) {
            s->status = STATUS_OK;
            snprintf(s->reason, CHARTER_REASON_CHARS,
                     "kept as an earlier version; %s %" PRIu64 " is in force",
                     charter_kind_text(d->head.kind), held->head.version);
        }
    }
    return STATUS_OK;
}

enum status
charter_adopt_plan(const struct charter *c, const char *network,
                   const struct charter_document *const *documents, size_t count, int64_t now_s,
                   struct charter_step *steps, struct charter **out)
{
    struct charter *now = NULL;
    bool owned = false;
    const struct charter *current = c;
    *out = NULL;
    for (size_t i = 0; i < count; i++) { /* insertion sort: a handful of files */
        size_t at = i;
        for (; at > 0 &&
               comes_before(&documents[i]->head, &documents[steps[at - 1].document]->head);
             at--) {
            steps[at].document = steps[at - 1].document;
        }
        steps[at].document = i;
    }
    for (size_t i = 0; i < count; i++) {
        struct charter_step *s = &steps[i];
        const struct charter_document *d = documents[s->document];
        struct charter *next = NULL;
        if (current == NULL) {
            s->status = first_step(network, documents, count, d, now_s, &next, s->reason);
        } else {
            s->status = charter_check_next(current, d, now_s, s->reason);
            if (s->status == STATUS_OK) {
                s->status = take_step(current, d, &next, s->reason);
            } else if (s->status == STATUS_EXISTS) {
                s->status = merge_step(current, d, &next, s->reason);
            }
        }
        if (s->status == STATUS_NO_MEMORY) {
            if (owned) {
                charter_free(now);
            }
            charter_free(next);
            return STATUS_NO_MEMORY;
        }
        if (next != NULL) {
            step_to(&now, &owned, next);
            current = now;
        }
    }
    if (c == NULL && now != NULL && charter_is_stale(now, CHARTER_ROOT, now_s)) {
        /* The fresh root that was promised was not adopted. */
        for (size_t i = 0; i < count; i++) {
            if (steps[i].status == STATUS_OK) {
                steps[i].status = STATUS_EXPIRED;
                snprintf(
                    steps[i].reason, CHARTER_REASON_CHARS,
                    "root %" PRIu64 " of %s has expired, and no newer one could be adopted",
                    charter_document(now, CHARTER_ROOT)->head.version, charter_network(now));
            }
        }
        charter_free(now);
        return STATUS_OK;
    }
    if (current != NULL && keep_earlier(current, documents, count, steps) != STATUS_OK) {
        charter_free(now);
        return STATUS_NO_MEMORY;
    }
    if (now == NULL &&
        c != NULL) { /* nothing new: a copy, so that *out is always the caller's */
        char reason[CHARTER_REASON_CHARS];
        return charter_with(c, charter_document(c, CHARTER_ROOT), out, reason);
    }
    *out = now;
    return STATUS_OK;
}
