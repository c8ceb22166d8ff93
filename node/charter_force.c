/* charter_force.c: rules are announced before they hold.
 *
 * DESIGN 8: at least 48 hours lie between the issue of a policy document and the
 * day from which what it changes is in force. */
#include <stdio.h>
#include <string.h>

#include "node/charter_impl.h"
#include "proto/pbcheck.h"

static bool
same_annexes(const Hr__PolicyRow *a, const Hr__PolicyRow *b)
{
    bool same = a->n_annexes == b->n_annexes;
    for (size_t i = 0; same && i < a->n_annexes; i++) {
        same = a->annexes[i]->hash.len == b->annexes[i]->hash.len &&
               memcmp(a->annexes[i]->hash.data, b->annexes[i]->hash.data,
                      a->annexes[i]->hash.len) == 0;
    }
    return same;
}

/* Whether other rules hold by `next` than by `held`.  Another end does not count:
 * what ends is not a new rule, and ending a mistake must not wait. */
static bool
rules_differ(const Hr__PolicyRow *held, const Hr__PolicyRow *next)
{
    return held == NULL || held->hash.len != next->hash.len ||
           memcmp(held->hash.data, next->hash.data, next->hash.len) != 0 ||
           strcmp(held->in_force_from, next->in_force_from) != 0 || !same_annexes(held, next);
}

static enum status
check_row(const struct charter *c, const struct charter_document *next,
          const Hr__PolicyRow *row, char reason[CHARTER_REASON_CHARS])
{
    char last[CHARTER_DATE_CHARS], ready[CHARTER_DATE_CHARS], what[CHARTER_WHAT_CHARS];
    if (row->pack[0] == '\0' || !rules_differ(charter_pack(c, row->pack), row)) {
        return STATUS_OK;
    }
    /* A day begins at midnight, UTC+8: it must lie after the day of the last
     * second of the 48 hours. */
    charter_date(next->head.issued_at_s + CHARTER_NOTICE_S - 1, last);
    if (row->in_force_from[0] != '\0' && strcmp(row->in_force_from, last) > 0) {
        return STATUS_OK;
    }
    charter_date(next->head.issued_at_s + CHARTER_NOTICE_S - 1 + 86400, ready);
    charter_what(&next->head, what);
    snprintf(reason, CHARTER_REASON_CHARS,
             "%s: the row of %s is new or changed and in force from %s, less than 48 hours "
             "after its issue; set in_force_from to %s or later and have it signed again",
             what, row->pack, row->in_force_from[0] != '\0' ? row->in_force_from : "always",
             ready);
    return STATUS_REFUSED;
}

enum status
charter_check_notice(const struct charter *c, const struct charter_document *next,
                     char reason[CHARTER_REASON_CHARS])
{
    const struct charter_document *held = c->docs[CHARTER_POLICY];
    enum status st = STATUS_OK;
    if (next->head.kind != CHARTER_POLICY || held == NULL ||
        next->head.version != held->head.version + 1) {
        return STATUS_OK;
    }
    for (size_t i = 0; st == STATUS_OK && i < next->row_count; i++) {
        uint8_t memory[PB_ARENA_BYTES];
        struct pb_arena arena;
        ProtobufCMessage *m;
        pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
        st = charter_row_decode(CHARTER_POLICY, next->head.network, next->rows[i], &arena, &m,
                                reason);
        if (st == STATUS_OK) {
            st = check_row(c, next, (const Hr__PolicyRow *)m, reason);
        }
        pb_free(&arena);
    }
    return st;
}
