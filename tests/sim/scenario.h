/* scenario.h: what happens in a world, from beginning to end. */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "tests/sim/world.h"

enum { SETTLE_MS_MAX = 900 * 1000 }; /* I7; what it took is reported */

struct sim_options {
    const char *scenario; /* "mixed": by seed */
    uint64_t seed;
    int nodes; /* 0: by seed */
    int64_t delay_ms;
    bool trace, verbose;
    bool keep_trace; /* also when all goes well */
};

/* What a run tells to whoever counts. */
struct sim_result {
    uint64_t seed, frames, frames_lost, bytes, events, crashes, restores, forks, adopted;
    int64_t settled_ms, simulated_ms, revoked_ms;
    uint64_t happened[HAPPENED_COUNT];
    char scenario[16];
};

/* Run one seed; does not come back if an invariant breaks. */
void scenario_run(const struct sim_options *o, struct sim_result *out);
bool scenario_known(const char *name);

/* ---- parts, for the scenario files ---- */

void world_begin(struct world *w, const struct sim_options *o, const char *scenario,
                 int members, int extra_nodes, int witnesses);
void world_end(struct world *w);
/* Let time pass. */
void world_run(struct world *w, int64_t until_ms);
void world_check(struct world *w);
/* Every fault ends. */
void world_heal(struct world *w);
/* Until everybody honest has everything; returns how long it took.  I7. */
int64_t world_settle(struct world *w, int64_t most_ms, bool cosigned);

/* Recalls told, receipts shown, both logs right (exchange.h); nobody is refused. */
void world_settle_exchange(struct world *w, int64_t most_ms);
/* Must this node have everything in the end? */
bool world_counts(const struct world *w, int node);

void scenario_storm(struct world *w, const struct sim_options *o);
void scenario_fork(struct world *w, const struct sim_options *o);
void scenario_spread(struct world *w, const struct sim_options *o);
void scenario_idle(struct world *w, const struct sim_options *o);

#endif
