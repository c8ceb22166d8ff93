#include "node/policy_simulate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/tile.h"
#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"

struct simulate {
    const struct hr_pack *draft;
    const struct policy_set *set;
    const char *only;
    struct tree_edge edge;
    struct simulate_totals totals;
    size_t row_count, row_room;
    struct simulate_row *rows;
};

enum status
simulate_open(const struct hr_pack *draft, const struct policy_set *set, const char *only,
              struct simulate **out)
{
    struct simulate *s = calloc(1, sizeof *s);
    *out = s;
    if (s == NULL) {
        return STATUS_NO_MEMORY;
    }
    s->draft = draft;
    s->set = set;
    s->only = only;
    return STATUS_OK;
}

void
simulate_close(struct simulate *s)
{
    if (s != NULL) {
        free(s->rows);
        free(s);
    }
}

/* ---- why ------------------------------------------------------------------------- */

struct words {
    char *out;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void
say(struct words *w, const char *format, ...)
{
    va_list args;
    size_t room = SIMULATE_WHY_CHARS - w->used;
    va_start(args, format);
    int n = vsnprintf(w->out + w->used, room, format, args);
    va_end(args);
    w->used += n > 0 && (size_t)n < room ? (size_t)n : room - 1;
}

/* The checks whose value or effect differs. */
static void
compare(const struct hr_decision *before, const struct hr_decision *after,
        char why[SIMULATE_WHY_CHARS])
{
    struct words w = {why, 0};
    why[0] = '\0';
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        enum hr_value a = before->checks[i];
        enum hr_value b = after->checks[i];
        /* A check that caps nothing in either decision moved no verdict. */
        bool moved = before->caps[i] != after->caps[i] || (a != b && i == HR_SCOPE);
        if (!moved) {
            continue;
        }
        say(&w, "%s%s: %s", w.used > 0 ? "; " : "", hr_check_name((enum hr_check)i),
            hr_value_name(a));
        if (a != b) {
            say(&w, " > %s", hr_value_name(b));
        }
        if (before->caps[i] != after->caps[i]) {
            say(&w, " (at most %s > %s)", hr_verdict_name(before->caps[i]),
                hr_verdict_name(after->caps[i]));
        }
    }
    if (w.used == 0) {
        say(&w, "scopes: other forces");
    }
}

/* When the pack of the time is not in hand: what holds the draft's verdict down. */
static void
explain_alone(const struct hr_decision *after, char why[SIMULATE_WHY_CHARS])
{
    struct words w = {why, 0};
    say(&w, "the recorded pack is not here; the draft:");
    size_t named = 0;
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        if (after->caps[i] < HR_MUST) {
            say(&w, " %s %s (at most %s)", hr_check_name((enum hr_check)i),
                hr_value_name(after->checks[i]), hr_verdict_name(after->caps[i]));
            named++;
        }
    }
    if (named == 0) {
        say(&w, " no check holds it down");
    }
}

/* ---- one decision ------------------------------------------------------------------ */

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

/* Text of an entry, safe to show; what is too long is cut. */
static void
copy_text(const char *text, char *out, size_t room)
{
    text_show(text_view(text[0] != '\0' ? text : "?"), out, room);
}

static void
name_hospital(const Hr__Decided *d, char out[INSTITUTION_CHARS_MAX + 1])
{
    struct origin o;
    bool good = d->leaf != NULL && origin_parse(text_view(d->leaf->origin), &o) == STATUS_OK;
    snprintf(out, INSTITUTION_CHARS_MAX + 1, "%s", good ? o.institution : "?");
}

static bool
same_row(const struct simulate_row *a, const struct simulate_row *b)
{
    return a->before == b->before && a->after == b->after && strcmp(a->item, b->item) == 0 &&
           strcmp(a->hospital, b->hospital) == 0 && strcmp(a->pack, b->pack) == 0 &&
           strcmp(a->why, b->why) == 0;
}

static enum status
add_row(struct simulate *s, const struct simulate_row *row)
{
    for (size_t i = s->row_count; i-- > 0;) {
        if (same_row(&s->rows[i], row)) {
            s->rows[i].count++;
            return STATUS_OK;
        }
    }
    if (s->row_count == SIMULATE_ROWS_MAX) {
        s->totals.uncounted++;
        return STATUS_OK;
    }
    if (s->row_count == s->row_room) {
        size_t room = s->row_room == 0 ? 32 : 2 * s->row_room;
        struct simulate_row *grown = realloc(s->rows, room * sizeof *grown);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        s->rows = grown;
        s->row_room = room;
    }
    s->rows[s->row_count] = *row;
    s->rows[s->row_count++].count = 1;
    return STATUS_OK;
}

static enum status
compare_decided(struct simulate *s, const Hr__Decided *d, const struct hr_policy_input *input)
{
    struct simulate_row row;
    struct hr_decision before;
    struct hr_decision after;
    enum hr_verdict verdict;
    enum hr_verdict best;
    memset(&row, 0, sizeof row);
    if (!verdict_of(d->verdict, &verdict) || !verdict_of(d->at_best, &best)) {
        s->totals.unreadable++;
        return STATUS_OK;
    }
    hr_decide(s->draft, policy_set_catalog(s->set), input, &after);
    size_t at = d->pack_hash.len == HASH_BYTES ? policy_set_find_hash(s->set, d->pack_hash.data)
                                               : SIZE_MAX;
    if (at != SIZE_MAX) {
        hr_decide(policy_set_pack(s->set, at), policy_set_catalog(s->set), input, &before);
        s->totals.unlike += before.verdict != verdict || before.at_best != best;
    }
    s->totals.replayed++;
    if (after.verdict == verdict) {
        s->totals.best_only += after.at_best != best;
        return STATUS_OK;
    }
    s->totals.flipped++;
    row.before = hr_verdict_name(verdict);
    row.after = hr_verdict_name(after.verdict);
    copy_text(d->item, row.item, sizeof row.item);
    copy_text(d->pack, row.pack, sizeof row.pack);
    name_hospital(d, row.hospital);
    if (at != SIZE_MAX) {
        compare(&before, &after, row.why);
    } else {
        explain_alone(&after, row.why);
    }
    return add_row(s, &row);
}

static enum status
replay(struct simulate *s, const Hr__Decided *d)
{
    char error[128];
    struct policy_arena arena = {NULL};
    struct hr_policy_input input;
    if (d->input.len == 0) {
        s->totals.without++;
        return STATUS_OK;
    }
    if (s->only != NULL && strcmp(s->only, d->pack) != 0) {
        s->totals.other_packs++;
        return STATUS_OK;
    }
    json_t *json;
    enum status st = policy_json_parse((const char *)d->input.data, d->input.len, &json, error,
                                       sizeof error);
    if (st == STATUS_NO_MEMORY) {
        return st;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        s->totals.unreadable++;
        return STATUS_OK;
    }
    struct hr_text id = hr_pack_id(s->draft);
    st = json_object_set_new(json, "pack", json_stringn(id.bytes, id.size)) != 0
             ? STATUS_NO_MEMORY
             : policy_input_from_json(json, &arena, &input);
    if (st == STATUS_OK) {
        st = compare_decided(s, d, &input);
    } else if (st == STATUS_MALFORMED) {
        s->totals.unreadable++;
        st = STATUS_OK;
    }
    policy_arena_free(&arena);
    json_decref(json);
    return st;
}

void
simulate_next_log(struct simulate *s)
{
    memset(&s->edge, 0, sizeof s->edge);
}

/* ---- the log ------------------------------------------------------------------------ */

enum status
simulate_entry(struct simulate *s, struct view entry)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    struct hash leaf;
    ProtobufCMessage *m = NULL;
    tree_leaf_hash(entry.bytes, entry.count, &leaf);
    enum status st = tree_edge_append(&s->edge, &leaf, NULL, NULL);
    if (st != STATUS_OK) {
        return st;
    }
    s->totals.entries++;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    st = pb_unpack(&hr__exch_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &m);
    const Hr__ExchEntry *e = (const Hr__ExchEntry *)m;
    if (st == STATUS_OK && e->what_case == HR__EXCH_ENTRY__WHAT_DECIDED) {
        st = replay(s, e->decided);
    } else if (st != STATUS_OK && st != STATUS_NO_MEMORY) {
        s->totals.unreadable++;
        st = STATUS_OK;
    }
    pb_free(&arena);
    return st;
}

enum status
simulate_bundle(struct simulate *s, struct view bundle, unsigned width)
{
    struct view entry;
    enum status st = tile_bundle_check(bundle, width);
    for (unsigned i = 0; st == STATUS_OK && i < width; i++) {
        st = tile_bundle_next(&bundle, &entry);
        st = st == STATUS_OK ? simulate_entry(s, entry) : st;
    }
    return st;
}

uint64_t
simulate_size(const struct simulate *s)
{
    return s->edge.size;
}

void
simulate_root(const struct simulate *s, struct hash *root)
{
    tree_edge_root(&s->edge, root);
}

void
simulate_totals(const struct simulate *s, struct simulate_totals *out)
{
    *out = s->totals;
}

static int
compare_rows(const void *left, const void *right)
{
    const struct simulate_row *a = left;
    const struct simulate_row *b = right;
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    int order = strcmp(a->item, b->item);
    order = order != 0 ? order : strcmp(a->hospital, b->hospital);
    order = order != 0 ? order : strcmp(a->pack, b->pack);
    order = order != 0 ? order : strcmp(a->before, b->before);
    order = order != 0 ? order : strcmp(a->after, b->after);
    return order != 0 ? order : strcmp(a->why, b->why);
}

const struct simulate_row *
simulate_rows(struct simulate *s, size_t *count)
{
    if (s->row_count > 0) {
        qsort(s->rows, s->row_count, sizeof *s->rows, compare_rows);
    }
    *count = s->row_count;
    return s->rows;
}
