/* sim_world.h: nodes with real stores and real gossip machines on a simulated
 * network and clock.  Used by sim_gossip.c. */
#ifndef TESTS_SIM_SIM_WORLD_H
#define TESTS_SIM_SIM_WORLD_H

#include "crypto/checkpoint.h"
#include "crypto/keys.h"
#include "crypto/treebuild.h"
#include "node/gossip.h"
#include "node/gossip_update.h"
#include "node/origin.h"
#include "sim.h"
#include "store/log.h"

enum { NODES_MAX = 8, LINKS_MAX = 4096, HISTORY_MAX = 8192, STEP_MS = 25 };

/* What an author really wrote: entries and the root at every size. */
struct history {
    struct view entries[HISTORY_MAX];
    struct hash roots[HISTORY_MAX + 1];
    struct tree_edge edge;
    uint64_t count;
    uint64_t signed_size; /* largest head it signed */
};

struct node {
    int number;
    char institution[INSTITUTION_CHARS_MAX + 1];
    char origin[ORIGIN_CHARS_MAX + 1];
    char dir[256], backup[300];
    struct network_keys keys;
    struct note_signer log_signer, witness_signer;
    struct store *store;
    struct gossip *gossip;
    uint8_t instance[INSTANCE_BYTES];
    bool up, clean, resign, backed_up, byzantine, garbage;
    int64_t skew_s, up_at_ms;
    struct history *history;
    uint64_t largest[NODES_MAX];  /* of each node's log, as stored here: never falls */
    uint64_t cosigned[NODES_MAX]; /* largest that this witness cosigned, */
    int cosigned_side[NODES_MAX]; /* and of which history: 0 none, else 1 + node */
    bool forked[NODES_MAX];       /* GOSSIP_FORK was seen for this node's log */
    unsigned closed_for_garbage;
};

struct link {
    bool open;
    int a, b;
};

struct message {
    enum { MSG_FRAME, MSG_UP, MSG_DOWN, MSG_DIAL_FAILED } type;
    int to;
    uint32_t session; /* of the receiver */
    uint64_t life;    /* of the receiver: dropped after a restart */
    bool dialled, last;
    int from;
    uint32_t request;
    uint8_t kind;
    uint8_t *bytes;
    size_t message_count, raw_count;
};

struct world {
    uint64_t seed;
    struct sim_rng rng;
    struct sim_queue queue;
    int64_t now_ms;
    int count, witnesses;
    bool full;
    unsigned loss, twice, crash_permille, refuse_percent;
    int64_t delay_ms;
    bool cut[NODES_MAX][NODES_MAX];
    struct node nodes[NODES_MAX];
    uint64_t lives[NODES_MAX];
    struct link links[LINKS_MAX];
    uint32_t link_count;
    struct gossip_member members[NODES_MAX];
    int member_count;
    uint64_t frames, bytes;
    const char *where;
};

#define CHECK(w, cond, ...)                                                                    \
    do {                                                                                       \
        if (!(cond)) {                                                                         \
            fprintf(stderr, "seed %llu at %lld ms: ", (unsigned long long)(w)->seed,           \
                    (long long)(w)->now_ms);                                                   \
            fprintf(stderr, __VA_ARGS__);                                                      \
            fprintf(stderr, "\nreplay: sim_gossip %llu 1\n", (unsigned long long)(w)->seed);   \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

#endif
