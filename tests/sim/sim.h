/* sim.h: chance, a queue of things to come, and a scratch directory for
 * simulations.  One seed, one run. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_rng {
    uint64_t state;
};

/* SplitMix64: good from the first number on, also from small seeds. */
static inline uint64_t
sim_random(struct sim_rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t
sim_below(struct sim_rng *r, uint64_t n)
{
    return sim_random(r) % n;
}

static inline bool
sim_percent(struct sim_rng *r, unsigned percent)
{
    return sim_below(r, 100) < percent;
}

/* A heap of pointers ordered by time, then by the order of coming. */
struct sim_item {
    int64_t at_ms;
    uint64_t number;
    void *thing;
};
struct sim_queue {
    struct sim_item *items;
    size_t count, room;
    uint64_t next;
};

static inline bool
sim_before(const struct sim_item *a, const struct sim_item *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->number < b->number;
}

static inline void
sim_push(struct sim_queue *q, int64_t at_ms, void *thing)
{
    if (q->count == q->room) {
        q->room = q->room == 0 ? 256 : 2 * q->room;
        q->items = realloc(q->items, q->room * sizeof *q->items);
        assert(q->items != NULL);
    }
    size_t i = q->count++;
    struct sim_item item = {at_ms, q->next++, thing};
    while (i > 0 && sim_before(&item, &q->items[(i - 1) / 2])) {
        q->items[i] = q->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->items[i] = item;
}

static inline void *
sim_pop(struct sim_queue *q)
{
    assert(q->count > 0);
    void *thing = q->items[0].thing;
    struct sim_item last = q->items[--q->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->count) {
            break;
        }
        if (child + 1 < q->count && sim_before(&q->items[child + 1], &q->items[child])) {
            child++;
        }
        if (!sim_before(&q->items[child], &last)) {
            break;
        }
        q->items[i] = q->items[child];
        i = child;
    }
    if (q->count > 0) {
        q->items[i] = last;
    }
    return thing;
}

#endif
