/* Which segment belongs to which order (INTERFACES.md 1.5): one pass over the
 * segments with the patient, order and specimen in hand. */
#include <stdlib.h>
#include <string.h>

#include "node/normalise_hl7.h"
#include "proto/text.h"

enum { ORDERS_MAX = 5000 };

struct state {
    uint32_t pid, pid_count, orc, spm; /* waiting for the next order */
    uint32_t order;                    /* in hand, or NO_SEGMENT */
    uint32_t orphan;                   /* first OBX without an order, or NO_SEGMENT */
    bool specimen_part;                /* OBX here describe the specimen */
};

static bool
is_segment(const struct hl7_segment *s, const char *name)
{
    return memcmp(s->name, name, 4) == 0;
}

static enum status
open_order(struct message *m, struct state *s, uint32_t obr, uint32_t at)
{
    if (m->order_count == ORDERS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (m->order_count == m->order_room) {
        uint32_t room = m->order_room == 0 ? 16 : m->order_room * 2;
        struct order *larger = realloc(m->orders, room * sizeof *larger);
        if (larger == NULL) {
            return STATUS_NO_MEMORY;
        }
        m->orders = larger;
        m->order_room = room;
    }
    s->order = m->order_count++;
    m->orders[s->order] = (struct order){
        .pid = s->pid, .orc = s->orc, .obr = obr, .spm = s->spm, .first = at, .last = at};
    s->orc = NO_SEGMENT;
    s->specimen_part = false;
    if (!m->specimen_oriented) {
        s->spm = NO_SEGMENT;
    }
    return STATUS_OK;
}

static void
give(struct message *m, uint32_t order, uint32_t i)
{
    struct order *o = &m->orders[order];
    m->owner[i] = order;
    o->first = i < o->first ? i : o->first;
    o->last = i > o->last ? i : o->last;
}

static void
take_specimen(struct message *m, struct state *s, uint32_t i)
{
    if (s->order == NO_SEGMENT) {
        s->spm = i;
        s->specimen_part = true;
        return;
    }
    struct order *o = &m->orders[s->order];
    if (!o->has_results) { /* SPM between OBR and its results */
        o->spm = i;
        return;
    }
    s->specimen_part = true;
    if (m->specimen_oriented) { /* the next specimen's orders follow */
        s->spm = i;
        s->order = NO_SEGMENT;
    } else if (o->spm == NO_SEGMENT) {
        o->spm = i;
    }
}

/* An OBX that stands before every OBR: the results of an order that nobody sent
 * (zh_manual_fragment), or observations about patient or specimen. */
static void
adopt_orphans(struct message *m, uint32_t order, bool about_specimen)
{
    const struct order *o = &m->orders[order];
    bool modern = m->version.count >= 3 && memcmp(m->version.bytes, "2.", 2) == 0 &&
                  m->version.bytes[2] >= '7';
    bool adopt = o->obr == NO_SEGMENT || !o->has_results || (!modern && !about_specimen);
    bool any = false;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->owner[i] != NO_SEGMENT || !is_segment(&m->segments[i], "OBX")) {
            continue;
        }
        if (o->obr != NO_SEGMENT && i > o->obr) {
            break; /* a specimen's observation inside an order */
        }
        any = true;
        if (adopt) {
            give(m, order, i);
            m->orders[order].has_results = true;
        }
    }
    if (any && o->obr != NO_SEGMENT) {
        run_warn(m->run, (struct place){"OBX", 1, 0},
                 adopt ? "stands before its OBR; taken as a result of the first order"
                       : "describes patient or specimen, not a result; left out",
                 text_view(""));
    }
}

static enum status
take_segment(struct message *m, struct state *s, uint32_t i, bool *about_specimen)
{
    const struct hl7_segment *seg = &m->segments[i];
    m->owner[i] = NO_SEGMENT;
    if (is_segment(seg, "PID")) {
        s->pid = i;
        s->pid_count++;
        s->order = NO_SEGMENT;
        s->orc = s->spm = NO_SEGMENT;
        s->specimen_part = false;
    } else if (is_segment(seg, "ORC")) {
        /* In OUL the ORC follows its OBR; in ORU it comes first. */
        bool behind = s->order != NO_SEGMENT && m->orders[s->order].orc == NO_SEGMENT &&
                      !m->orders[s->order].has_results && i > 0 &&
                      !is_segment(&m->segments[i - 1], "OBX") &&
                      (i + 1 == m->count || !is_segment(&m->segments[i + 1], "OBR"));
        if (behind) {
            m->orders[s->order].orc = i;
        } else {
            s->orc = i;
        }
    } else if (is_segment(seg, "OBR")) {
        enum status st = open_order(m, s, i, i);
        if (st != STATUS_OK) {
            return st;
        }
        m->owner[i] = s->order;
    } else if (is_segment(seg, "SPM")) {
        take_specimen(m, s, i);
    } else if (is_segment(seg, "OBX")) {
        if (s->specimen_part && (s->order == NO_SEGMENT || m->orders[s->order].has_results)) {
            *about_specimen = *about_specimen || s->order == NO_SEGMENT;
            s->orphan = s->orphan == NO_SEGMENT ? i : s->orphan;
            return STATUS_OK;
        }
        if (s->order == NO_SEGMENT) {
            s->orphan = s->orphan == NO_SEGMENT ? i : s->orphan;
            return STATUS_OK;
        }
        give(m, s->order, i);
        m->orders[s->order].has_results = true;
    } else if (is_segment(seg, "NTE") && s->order != NO_SEGMENT && !s->specimen_part) {
        give(m, s->order, i);
    }
    return STATUS_OK;
}

enum status
message_group(struct message *m)
{
    struct state s = {.pid = NO_SEGMENT,
                      .orc = NO_SEGMENT,
                      .spm = NO_SEGMENT,
                      .order = NO_SEGMENT,
                      .orphan = NO_SEGMENT};
    bool about_specimen = false;
    for (uint32_t i = 0; i < m->count; i++) {
        enum status st = take_segment(m, &s, i, &about_specimen);
        if (st == STATUS_TOO_BIG) {
            m->refused = true;
            return run_refuse(m->run, (struct place){"OBR", 0, 0},
                              "has more orders than a message may have");
        }
        if (st != STATUS_OK) {
            return st;
        }
    }
    if (s.orphan != NO_SEGMENT && m->order_count == 0) {
        enum status st = open_order(m, &s, NO_SEGMENT, s.orphan);
        if (st != STATUS_OK) {
            return st;
        }
        run_warn(m->run, (struct place){"OBR", 0, 0},
                 "there is none; the results are taken as one order", text_view(""));
    }
    if (s.orphan != NO_SEGMENT) {
        adopt_orphans(m, 0, about_specimen);
    }
    /* One patient for all, wherever his segment stands. */
    for (uint32_t i = 0; i < m->order_count && s.pid_count == 1; i++) {
        m->orders[i].pid = s.pid;
    }
    return STATUS_OK;
}
