/* impact.c: see impact.h. */
#include "node/impact.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/decision_input.h"
#include "node/origin.h"
#include "proto/civil.h"
#include "proto/jsonwhole.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"

enum { SLOTS = 2 * IMPACT_ROWS_MAX, CHINA_MIN = 8 * 60 };

struct impact {
    const struct charter *quality;
    struct impact_totals totals;
    size_t row_count, row_room;
    struct impact_row *rows;
    uint32_t slots[SLOTS];           /* by hash: index + 1 of a row; 0: empty */
    char exch[ORIGIN_CHARS_MAX + 1]; /* that is read */
    uint64_t entry;                  /* of it */
    size_t before_count;
    struct impact_before before[IMPACT_BEFORE_MAX];
};

enum status
impact_open(const struct charter *quality, struct impact **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return STATUS_NO_MEMORY;
    }
    (*out)->quality = quality;
    return STATUS_OK;
}

void
impact_close(struct impact *m)
{
    if (m != NULL) {
        free(m->rows);
        free(m);
    }
}

/* ---- rows ------------------------------------------------------------------------- */

static uint32_t *
slot_of(struct impact *m, const struct hash *hash)
{
    uint32_t at = 0;
    memcpy(&at, hash->bytes, sizeof at);
    for (at %= SLOTS;; at = (at + 1) % SLOTS) { /* never full: twice as many as rows */
        uint32_t row = m->slots[at];
        if (row == 0 || hash_equal(&m->rows[row - 1].hash, hash)) {
            return &m->slots[at];
        }
    }
}

static enum status
keep_row(struct impact *m, const struct impact_row *row)
{
    m->totals.count++;
    if (m->row_count == IMPACT_ROWS_MAX) {
        return STATUS_OK;
    }
    if (m->row_count == m->row_room) {
        size_t room = m->row_room == 0 ? 32 : 2 * m->row_room;
        struct impact_row *grown = realloc(m->rows, room * sizeof *grown);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        m->rows = grown;
        m->row_room = room;
    }
    m->rows[m->row_count++] = *row;
    *slot_of(m, &row->hash) = (uint32_t)m->row_count;
    return STATUS_OK;
}

static void
take_outcome(struct impact *m, const Hr__Outcome *o)
{
    struct hash hash;
    if (o->decided.len != HASH_BYTES) {
        return;
    }
    memcpy(hash.bytes, o->decided.data, HASH_BYTES);
    uint32_t row = *slot_of(m, &hash);
    if (row == 0) {
        return;
    }
    struct impact_row *r = &m->rows[row - 1];
    m->totals.recognized -= r->outcome == IMPACT_RECOGNIZED;
    r->outcome = o->what == 1 ? IMPACT_RECOGNIZED : IMPACT_REPEATED;
    m->totals.recognized += r->outcome == IMPACT_RECOGNIZED;
}

/* What the log before is known to have held when its successor was begun. */
static void
take_recovered(struct impact *m, const Hr__Recovered *r)
{
    size_t at = 0;
    uint64_t size = r->own == NULL ? 0 : r->own->size;
    size = r->missing > TREE_SIZE_MAX - size ? TREE_SIZE_MAX : size + r->missing;
    if (r->previous[0] == '\0' || strlen(r->previous) > ORIGIN_CHARS_MAX) {
        return;
    }
    while (at < m->before_count && strcmp(m->before[at].origin, r->previous) != 0) {
        at++;
    }
    if (at == IMPACT_BEFORE_MAX) {
        return;
    }
    struct impact_before *b = &m->before[at];
    if (at == m->before_count) {
        m->before_count++;
        memcpy(b->origin, r->previous, strlen(r->previous) + 1);
    }
    b->size = size > b->size ? size : b->size;
}

/* ---- one decision ------------------------------------------------------------------- */

static bool
verdict_of(const char *name, enum hr_verdict *out)
{
    for (int i = HR_NO_RULE; i <= HR_MUST; i++) {
        if (strcmp(name, hr_verdict_name((enum hr_verdict)i)) == 0) {
            *out = (enum hr_verdict)i;
            return true;
        }
    }
    return false;
}

static const char *
text_in(const json_t *o, const char *object, const char *name)
{
    const json_t *from = object == NULL ? o : json_object_get(o, object);
    const char *s = json_string_value(json_object_get(from, name));
    return s == NULL ? "" : s;
}

/* What the document says today of the issuer and item of a recorded input. */
static json_t *
quality_today(const struct impact *m, const json_t *input)
{
    struct civil t;
    if (civil_parse_rfc3339(text_view(text_in(input, NULL, "at")), &t) != STATUS_OK) {
        return NULL;
    }
    int64_t ms = civil_unix_ms(&t, CHINA_MIN);
    return decision_quality(m->quality, text_in(input, "issuer", "code"),
                            text_in(input, NULL, "item"), ms / 1000,
                            text_in(input, "result", "examined_at"));
}

static enum status
decide(const struct hr_pack *pack, const struct policy_set *policy, const json_t *json,
       struct hr_decision *out)
{
    struct policy_arena arena = {NULL};
    struct hr_policy_input input;
    enum status st = policy_input_from_json(json, &arena, &input);
    if (st == STATUS_OK) {
        hr_decide(pack, policy_set_catalog(policy), &input, out);
    }
    policy_arena_free(&arena);
    return st;
}

static void
say_why(const struct hr_decision *before, const struct hr_decision *after,
        char why[IMPACT_WHY_CHARS])
{
    size_t used = 0;
    why[0] = '\0';
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        if (before->checks[i] == after->checks[i]) {
            continue;
        }
        int n = snprintf(why + used, IMPACT_WHY_CHARS - used, "%s%s: %s > %s",
                         used > 0 ? "; " : "", hr_check_name((enum hr_check)i),
                         hr_value_name(before->checks[i]), hr_value_name(after->checks[i]));
        if (n < 0 || (size_t)n >= IMPACT_WHY_CHARS - used) {
            return;
        }
        used += (size_t)n;
    }
}

static void
describe(const Hr__Decided *d, struct impact_row *row)
{
    struct origin o;
    row->at_ms = (int64_t)d->at_ms;
    text_show(text_view(d->item), row->item, sizeof row->item);
    text_show(text_view(d->pack), row->pack, sizeof row->pack);
    text_show(text_view(d->leaf->origin), row->origin, sizeof row->origin);
    row->leaf = d->leaf->index;
    bool good = origin_parse(text_view(d->leaf->origin), &o) == STATUS_OK;
    snprintf(row->issuer, sizeof row->issuer, "%s", good ? o.institution : "?");
}

static enum status
compare(struct impact *m, const struct policy_set *policy, const Hr__Decided *d, json_t *input,
        json_t *today, struct impact_row *row)
{
    struct hr_decision before, after;
    size_t at = d->pack_hash.len == HASH_BYTES ? policy_set_find_hash(policy, d->pack_hash.data)
                                               : SIZE_MAX;
    if (at == SIZE_MAX) {
        m->totals.untold++;
        return STATUS_OK;
    }
    const struct hr_pack *pack = policy_set_pack(policy, at);
    enum status st = decide(pack, policy, input, &before);
    if (st == STATUS_OK && json_object_set(input, "quality", today) != 0) {
        st = STATUS_NO_MEMORY;
    }
    if (st == STATUS_OK) {
        st = decide(pack, policy, input, &after);
    }
    if (st != STATUS_OK) {
        m->totals.unreadable += st == STATUS_MALFORMED;
        return st == STATUS_NO_MEMORY ? st : STATUS_OK;
    }
    row->after = after.verdict;
    if (after.verdict >= row->before || after.verdict >= before.verdict) {
        return STATUS_OK;
    }
    describe(d, row);
    say_why(&before, &after, row->why);
    return keep_row(m, row);
}

static enum status
take_decided(struct impact *m, const struct policy_set *policy, const Hr__Decided *d,
             struct impact_row *row)
{
    char error[128];
    if (d->input.len == 0 || d->leaf == NULL || !verdict_of(d->verdict, &row->before) ||
        row->before < HR_MAY) {
        return STATUS_OK; /* nothing was recognized */
    }
    json_t *input;
    enum status st = policy_json_parse((const char *)d->input.data, d->input.len, &input, error,
                                       sizeof error);
    json_t *held = json_object_get(input, "quality");
    if (st == STATUS_NO_MEMORY) {
        return st;
    }
    st = STATUS_OK;
    if (!json_is_object(input)) {
        m->totals.unreadable++;
    } else if (json_is_object(held)) {
        unsigned long mark = json_whole_mark();
        json_t *today = quality_today(m, input);
        if (json_whole_mark() != mark) {
            json_decref(input);
            return STATUS_NO_MEMORY;
        }
        m->totals.decisions++;
        if (today == NULL) {
            m->totals.unreadable++;
        } else if (!json_equal(today, held)) {
            st = compare(m, policy, d, input, today, row);
        }
        json_decref(today);
    }
    json_decref(input);
    return st;
}

void
impact_log(struct impact *m, struct view origin)
{
    text_show(origin, m->exch, sizeof m->exch);
    m->entry = 0;
    m->totals.logs++;
}

enum status
impact_entry(struct impact *m, const struct policy_set *policy, struct view entry)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *message = NULL;
    struct impact_row row;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__exch_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &message);
    const Hr__ExchEntry *e = (const Hr__ExchEntry *)message;
    if (st == STATUS_OK && e->what_case == HR__EXCH_ENTRY__WHAT_DECIDED) {
        memset(&row, 0, sizeof row);
        memcpy(row.exch, m->exch, sizeof row.exch);
        row.entry = m->entry;
        tree_leaf_hash(entry.bytes, entry.count, &row.hash);
        st = take_decided(m, policy, e->decided, &row);
    } else if (st == STATUS_OK && e->what_case == HR__EXCH_ENTRY__WHAT_OUTCOME) {
        take_outcome(m, e->outcome);
    } else if (st == STATUS_OK && e->what_case == HR__EXCH_ENTRY__WHAT_RECOVERED) {
        take_recovered(m, e->recovered);
    } else if (st != STATUS_OK && st != STATUS_NO_MEMORY) {
        m->totals.unreadable++;
        st = STATUS_OK;
    }
    m->entry++;
    m->totals.entries++;
    pb_free(&arena);
    return st;
}

enum status
impact_outcome(struct impact *m, struct view entry)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *message = NULL;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__exch_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &message);
    const Hr__ExchEntry *e = (const Hr__ExchEntry *)message;
    if (st == STATUS_OK && e->what_case == HR__EXCH_ENTRY__WHAT_OUTCOME) {
        take_outcome(m, e->outcome);
    }
    pb_free(&arena);
    return st == STATUS_NO_MEMORY ? st : STATUS_OK; /* it was counted the first time */
}

/* ---- answers -------------------------------------------------------------------------- */

void
impact_totals(const struct impact *m, struct impact_totals *out)
{
    *out = m->totals;
}

const struct impact_row *
impact_rows(const struct impact *m, size_t *count)
{
    *count = m->row_count;
    return m->rows;
}

const struct impact_before *
impact_before(const struct impact *m, size_t *count)
{
    *count = m->before_count;
    return m->before;
}

static const char *
outcome_text(enum impact_outcome o)
{
    return o == IMPACT_RECOGNIZED ? "recognized" : o == IMPACT_REPEATED ? "repeated" : "none";
}

void
impact_line(const struct impact_row *r, char out[IMPACT_LINE_CHARS])
{
    char at[26];
    decision_time(r->at_ms / 1000, at);
    snprintf(out, IMPACT_LINE_CHARS,
             "%s %s decided %s under %s: %s, today %s (%s); result %s leaf %" PRIu64
             "; outcome: %s; entry %" PRIu64 " of %s",
             r->issuer, r->item, at, r->pack, hr_verdict_name(r->before),
             hr_verdict_name(r->after), r->why, r->origin, r->leaf, outcome_text(r->outcome),
             r->entry, r->exch);
}

json_t *
impact_json(const struct impact_row *r)
{
    char at[26];
    decision_time(r->at_ms / 1000, at);
    return json_pack("{s:s,s:I,s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:s}", "exch", r->exch,
                     "entry", (json_int_t)r->entry, "at", at, "item", r->item, "issuer",
                     r->issuer, "origin", r->origin, "leaf", (json_int_t)r->leaf, "pack",
                     r->pack, "before", hr_verdict_name(r->before), "after",
                     hr_verdict_name(r->after), "reason", r->why, "outcome",
                     outcome_text(r->outcome));
}
