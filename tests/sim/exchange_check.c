/* exchange_check.c: the exchange logs against what was relied on. */
#include "node/origin.h"
#include "node/recall_proof.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "store/log.h"
#include "tests/sim/check.h"
#include "tests/sim/exchange_state.h"

enum { SIDE_TOLD = 1, SIDE_WAS_TOLD = 2, SIDE_ACKNOWLEDGED = 3 };

typedef bool (*counts_fn)(const struct world *, int);

/* ---- nothing is left to tell ---- */

static bool
any_open(struct world *w, struct node *n, struct store_txn *t, counts_fn counts, bool say)
{
    static const enum recall_kind kinds[] = {RECALL_TELLING, RECALL_RELY_OPEN};
    bool open = false;
    for (int k = 0; k < w->count; k++) {
        for (size_t i = 0; counts(w, k) && i < 2; i++) {
            bool any = false;
            enum status st =
                recall_row_any(t, SIM_NETWORK, RECALL_FIRST,
                               recall_row_of(kinds[i], w->nodes[k].institution, "", 0), &any);
            CHECK(w, "I1", st == STATUS_OK, "%s: rows of recalls: %s", n->institution,
                  status_text(st));
            if (any && say) {
                fprintf(stderr, "%s has not told %s %s\n", n->institution,
                        w->nodes[k].institution,
                        i == 0 ? "what was recalled" : "that it relies on something");
            }
            open = open || any;
        }
    }
    return open;
}

bool
exchange_settled(struct world *w, counts_fn counts, bool say)
{
    bool settled = true;
    for (int i = 0; i < w->count && (settled || say); i++) {
        struct node *n = &w->nodes[i];
        struct store_txn *t = NULL;
        if (!counts(w, i)) {
            continue;
        }
        if (!n->up) {
            return false;
        }
        enum status st = store_begin_read(n->store, &t);
        CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
        settled = !any_open(w, n, t, counts, say) && settled;
        store_abort(t);
    }
    return settled;
}

/* ---- each in both logs, once ---- */

struct said {
    uint32_t side;
    int who, author; /* members */
    uint64_t leaf;
};
struct said_list {
    struct said *at;
    size_t count, room;
};

static int
member_called(const struct world *w, const char *institution)
{
    for (int i = 0; i < w->member_count; i++) {
        if (strcmp(w->members[i].institution, institution) == 0) {
            return i;
        }
    }
    return -1;
}

static void
read_entry(struct world *w, struct view bytes, struct said_list *list)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) ==
            STATUS_OK &&
        ((Hr__ExchEntry *)m)->what_case == HR__EXCH_ENTRY__WHAT_RECALLED) {
        const Hr__Recalled *r = ((Hr__ExchEntry *)m)->recalled;
        if (list->count == list->room) {
            list->room = 2 * list->room + 64;
            list->at = realloc(list->at, list->room * sizeof *list->at);
            assert(list->at != NULL);
        }
        list->at[list->count++] =
            (struct said){r->side, member_called(w, r->institution),
                          world_member_of(w, view_of_text(r->old->origin)), r->old->index};
    }
    pb_free(&arena);
}

/* All Recalled of all exchange logs that a node ever had. */
static struct said_list
read_logs(struct world *w, const struct node *n)
{
    struct said_list list = {0};
    for (size_t l = 0; l < n->exchange->log_count; l++) {
        const struct history *h = &n->exchange->logs[l].history;
        for (size_t i = 0; i < h->count; i++) {
            read_entry(w, h->entries[i], &list);
        }
    }
    return list;
}

static size_t
how_often(const struct said_list *list, uint32_t side, int who, int author, uint64_t leaf)
{
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct said *s = &list->at[i];
        n += s->side == side && s->who == who && s->author == author && s->leaf == leaf;
    }
    return n;
}

/* Each recall is logged once on a side, or again after a restore that forgot it. */
static void
check_once(struct world *w, const struct node *n, const struct said_list *list)
{
    for (size_t i = 0; i < list->count && !n->restored; i++) {
        const struct said *s = &list->at[i];
        CHECK(w, "I3", how_often(list, s->side, s->who, s->author, s->leaf) == 1,
              "%s logs the recall of entry %llu of %d twice, side %u", n->institution,
              (unsigned long long)s->leaf, s->author, s->side);
    }
}

/* `n` relied on this entry of `a`, which was replaced. */
static void
check_told(struct world *w, const struct node *n, const struct node *a, uint64_t leaf,
           const struct said_list *heard, const struct said_list *told)
{
    w->happened[HAPPENED_ACKNOWLEDGED]++;
    CHECK(w, "I1", how_often(heard, SIDE_WAS_TOLD, a->member, a->member, leaf) > 0,
          "%s never heard that entry %llu of %s, on which it relied, was replaced",
          n->institution, (unsigned long long)leaf, a->institution);
    CHECK(w, "I1",
          how_often(told, SIDE_TOLD, n->member, a->member, leaf) > 0 &&
              how_often(told, SIDE_ACKNOWLEDGED, n->member, a->member, leaf) > 0,
          "%s has no acknowledgement of %s for its entry %llu, which was replaced",
          a->institution, n->institution, (unsigned long long)leaf);
}

static void
check_pair(struct world *w, struct node *n, struct node *a, const struct said_list *heard,
           const struct said_list *told)
{
    struct store_txn *t = NULL;
    struct store_log log;
    enum status st = store_begin_read(a->store, &t);
    st = st == STATUS_OK ? store_log_find(t, view_of_text(a->origin), &log) : st;
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", a->institution, status_text(st));
    for (size_t i = 0; i < n->exchange->relied_count; i++) {
        const struct relied *r = &n->exchange->relied[i];
        uint64_t leaf = r->leaf, by;
        bool withdraw = r->author != a->member;
        /* Who was told of a correction relies on that one. */
        while (!withdraw && recall_replaced(t, log.id, leaf, &by, &withdraw) == STATUS_OK) {
            check_told(w, n, a, leaf, heard, told);
            leaf = by;
        }
    }
    store_abort(t);
}

void
exchange_check(struct world *w, counts_fn counts)
{
    struct said_list *lists = calloc((size_t)w->count, sizeof *lists);
    assert(lists != NULL);
    for (int i = 0; i < w->count; i++) {
        lists[i] = read_logs(w, &w->nodes[i]);
        if (counts(w, i)) {
            check_once(w, &w->nodes[i], &lists[i]);
        }
    }
    for (int i = 0; i < w->count; i++) {
        for (int k = 0; k < w->count; k++) {
            if (i != k && counts(w, i) && counts(w, k)) {
                check_pair(w, &w->nodes[i], &w->nodes[k], &lists[i], &lists[k]);
            }
        }
    }
    for (int i = 0; i < w->count; i++) {
        free(lists[i].at);
    }
    free(lists);
}
