/* world.h: the simulated world: nodes, their network, clocks and chance, and the
 * trace of what happened, in words.  One seed, one world, one process. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "crypto/keys.h"
#include "crypto/networkkey.h"
#include "crypto/note.h"
#include "node/charter.h"
#include "node/gossip.h"
#include "node/gossip_update.h"
#include "node/origin.h"
#include "tests/sim/happened.h"
#include "tests/sim/sim.h"
#include "tests/sim/truth.h"

#define SIM_NETWORK "sim.hb.cn"
#define SIM_EPOCH_S INT64_C(1800000000) /* 2027-01-15: when the world begins */

enum {
    SIM_KEYS_MAX = 4,       /* of one member, one after the other */
    SIM_DOCUMENTS_MAX = 64, /* of the charter, all versions */
    SIM_MEMBERS_MAX = 512,
    SIM_RECORDED_MAX = 512, /* frames that a replayer keeps */
    SIM_EPOCHS_MAX = 12,    /* of the network key */
};

/* What a member does that it should not. */
enum evil {
    EVIL_NOT,
    EVIL_TWO_TREES, /* two nodes, one key, two histories */
    EVIL_FORGER,    /* changes what it serves: tiles, entries, records, notes */
    EVIL_REPLAYER,  /* sends old frames again */
    EVIL_FLOODER,   /* asks and pushes without end */
    EVIL_ROSTER,    /* serves charter documents that nobody signed, or old ones */
    EVIL_KINDS
};

enum clock_kind { CLOCK_GOOD, CLOCK_STUCK, CLOCK_BACKWARDS };

struct node {
    int number;
    char institution[INSTITUTION_CHARS_MAX + 1];
    char origin[ORIGIN_CHARS_MAX + 1];
    char dir[200], backup[220];
    int member; /* of the world's members: two nodes may be one */
    size_t key_now;
    struct note_signer log_signer, witness_signer;
    struct network_key epochs[NETWORK_KEY_EPOCHS_MAX]; /* in hand */
    size_t epoch_count;
    bool current, stubborn; /* has the newest of them; publishes under the one before */
    int64_t up_s, noted_ms; /* sizes of logs when epochs ended (node/epochs.h) */
    struct store *store;
    struct gossip *gossip;
    struct charter *charter;
    uint8_t instance[INSTANCE_BYTES];
    bool up, clean, born, sign_due, has_backup, restored;
    enum evil evil;
    int64_t up_at_ms, next_publish_ms;
    /* clock */
    enum clock_kind clock;
    int64_t offset_s, clock_from_ms, clock_base_s, went_ahead_s;
    /* truth and what was seen */
    struct history *history;
    struct lis *lis;
    struct exchange *exchange;
    uint64_t backup_count;    /* entries of its own in the backup */
    uint64_t *largest;        /* of each member's log, as stored here: never falls */
    uint64_t *cosigned;       /* largest that this witness cosigned, */
    int *cosigned_side;       /* and of which history: 0 none, else 1 + node */
    int64_t *cosigned_time_s; /* and when: never falls */
    uint64_t versions[CHARTER_KIND_COUNT];
    bool *forked; /* a fork of this member's log was told, */
    bool *frozen; /* and is stored */
    unsigned garbage_closed, recovered;
    int64_t served_bytes; /* to whom floods it */
    uint64_t steps;
};

struct member {
    char institution[INSTITUTION_CHARS_MAX + 1];
    char origin[ORIGIN_CHARS_MAX + 1];
    size_t key_count;
    struct network_keys keys[SIM_KEYS_MAX];
    int64_t from_s[SIM_KEYS_MAX], to_s[SIM_KEYS_MAX];
    bool revoked[SIM_KEYS_MAX];         /* stolen: good for nothing from to_s on */
    uint64_t key_version[SIM_KEYS_MAX]; /* of members, that names the key first */
    bool witness, left;
    size_t epochs_sealed; /* to it, when it left */
};

struct link {
    bool open;
    int a, b;
    struct secure *secure; /* Noise sessions at both ends, or NULL (secure.h) */
    int64_t last_ms[2];    /* when the newest frame to a, to b arrives, */
    int64_t stream_ms[2];  /* and the newest of those that keep their order */
};

enum message_type { MSG_FRAME, MSG_UP, MSG_DOWN, MSG_DIAL_FAILED, MSG_BYTES, MSG_WAKE };
struct message {
    enum message_type type;
    int to, from;
    uint32_t session; /* of the receiver */
    uint64_t life;    /* of the receiver: dropped after a restart */
    bool dialled, last;
    uint32_t request;
    uint8_t kind;
    uint8_t *bytes;
    size_t message_count, raw_count;
};

struct document {
    struct charter_document doc;
    uint8_t *file;
    size_t file_count;
    bool genuine;
};

struct world {
    uint64_t seed;
    const char *scenario;
    struct sim_result *result; /* what the run tells (scenario.h) */
    struct sim_rng rng;
    struct sim_queue queue;
    int64_t now_ms;
    int count, witnesses, member_count;
    bool full;
    int64_t cosign_s;
    struct node *nodes;
    struct member *members;
    uint64_t *lives;
    struct link *links;
    uint32_t link_count, link_room;
    /* faults */
    unsigned loss, twice, late_permille, crash_permille, refuse_percent;
    int64_t delay_ms;
    int64_t publish_ms; /* mean time between publications of a node; 0: none */
    unsigned publish_most;
    int64_t ask_ms; /* mean time between look-ups of a node; 0: none */
    bool *cut;      /* [from * count + to] */
    bool auditor;   /* the first member is one */
    bool secure;    /* sessions are encrypted streams, else frames alone */
    bool big;       /* many honest nodes: check the end, not each event */
    /* charter */
    struct document documents[SIM_DOCUMENTS_MAX];
    size_t document_count;
    uint64_t members_version, root_version;
    unsigned root_keys;
    struct sim_epoch {
        struct network_key key;
        int64_t from_s, ended_s; /* 0: the current one */
    } epochs[SIM_EPOCHS_MAX];
    size_t epoch_count;
    int64_t leap_s; /* that everybody slept through */
    /* what a replayer has */
    struct message recorded[SIM_RECORDED_MAX];
    size_t recorded_count;
    /* figures */
    uint64_t frames, bytes, frames_lost, crashes, restores, forks_told, adopted, events;
    uint64_t happened[HAPPENED_COUNT];
    uint64_t refused_honest; /* look-ups of honest members, by honest ones */
    size_t queued_bytes;
    uint32_t next_patient;
    /* trace */
    bool tracing;
    char *trace;
    size_t trace_count, trace_room;
    char scratch[128];
};

/* ---- the trace ---- */

/* One line of the trace: "  12.345 s  h3 ..." */
void sim_say(struct world *w, const struct node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An invariant does not hold: say so, print the end of the trace, end the process. */
void sim_fail(struct world *w, const char *which, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
/* Write the trace to SIM_TRACE_DIR, else /tmp. */
enum { SIM_FILE_CHARS = 200 };
bool sim_trace_keep(struct world *w, char name[SIM_FILE_CHARS]);
extern struct world *sim_world; /* the one that runs, for a failed assert */

#define CHECK(w, which, cond, ...)                                                             \
    do {                                                                                       \
        if (!(cond)) {                                                                         \
            sim_fail((w), (which), __VA_ARGS__);                                               \
        }                                                                                      \
    } while (0)

/* ---- clocks ---- */

int64_t world_true_s(const struct world *w);
int64_t node_now_s(const struct world *w, const struct node *n);
void node_clock(struct world *w, struct node *n, enum clock_kind kind, int64_t offset_s);

/* ---- the network: sessions are 2 * link for the dialler, 2 * link + 1 for the other ---- */

void wire_dial(struct world *w, struct node *n, const char *institution);
void wire_send(struct world *w, struct node *n, const struct gossip_action *a);
void wire_close(struct world *w, uint32_t link);
void wire_down(struct world *w, const struct node *n); /* all its links */
bool wire_cut(const struct world *w, int from, int to);
/* Put something on its way, to arrive at at_ms. */
void wire_arrive(struct world *w, int64_t at_ms, const struct message *m);
int64_t wire_delay(struct world *w);
/* Put a frame of `n` on its way, as it is; for evil nodes. */
void wire_post(struct world *w, struct node *n, uint32_t session, const struct message *m);
void message_free(struct message *m);

/* Which member has this origin; -1: none. */
int world_member_of(const struct world *w, struct view origin);
bool node_honest(const struct node *n);
bool member_honest(const struct world *w, int member);

#endif
