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
    return st == STATUS_OK ? charter_load(d, NULL, 0, next, reason) : st;
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
                char trouble[CHARTER_REASON_CHARS];
                s->status = charter_with(current, d, &next, trouble);
                if (s->status != STATUS_OK) {
                    memcpy(s->reason, trouble, sizeof trouble);
                }
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
    if (now == NULL &&
        c != NULL) { /* nothing new: a copy, so that *out is always the caller's */
        char reason[CHARTER_REASON_CHARS];
        return charter_with(c, charter_document(c, CHARTER_ROOT), out, reason);
    }
    *out = now;
    return STATUS_OK;
}
