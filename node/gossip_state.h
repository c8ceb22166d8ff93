/* gossip_state.h: what the parts of the gossip machine share (gossip*.c only).
 *
 * Everything about a log is driven by level, not by edge: log_pump looks at
 * what is known and does the next thing that is due, so that a lost message, an
 * abandoned request or a failed store costs a retry and no special case. */
#ifndef NODE_GOSSIP_STATE_H
#define NODE_GOSSIP_STATE_H

#include "node/forkproof.h"
#include "node/frontier.h"
#include "node/gossip.h"
#include "node/gossip_update.h"
#include "node/origin.h"
#include "node/sync.h"
#include "node/witness.h"
#include "store/charter.h"
#include "store/log.h"

enum {
    GOSSIP_TICK_MS = 1000,
    GOSSIP_PULSE_MS = 250,   /* while requests are out: how late a time-out may be seen */
    GOSSIP_ANSWER_MS = 5000, /* a request without an answer is given up */
    GOSSIP_COSIGN_S = 10,
    GOSSIP_SESSIONS_ALL_MAX = 16,      /* up to so many others: a session with each */
    GOSSIP_SESSIONS_AUDITOR_MAX = 400, /* of SESSIONS_MAX; the rest for who dials us */
    GOSSIP_REQUESTS = 1024,            /* ours, out at a time; a power of two */
    GOSSIP_PEER_REQUESTS_MAX = 96,     /* to one peer: below REQUESTS_IN_FLIGHT_MAX */
    GOSSIP_SYNC_ASKS_MAX = 48,         /* ranges in flight for one log */
    GOSSIP_SYNCS_MAX = 6,              /* logs that are synced at a time */
    GOSSIP_HEAD_ASKS_MAX = 64,         /* head requests out */
    GOSSIP_SOURCES = 8,                /* peers remembered for one log */
    GOSSIP_STRIKES_MAX = 3, /* garbage: the session is closed, and the member left alone */
    GOSSIP_SILENT_MAX = 4,  /* requests in a row given up: likewise */
    GOSSIP_BACKOFF_MS_MIN = 1000,
    GOSSIP_BACKOFF_MS_MAX = 300 * 1000,
    GOSSIP_PARK_MS = 60 * 1000, /* how long a peer that gave garbage is left alone at first */
    GOSSIP_TWIN_MS = 30 * 1000, /* how often we dial ourselves: who answers there? */
    GOSSIP_DIALS_MAX = 4,       /* in one tick */
    GOSSIP_COMPARE_MAX = 64,    /* smaller heads compared with our tree in one answer */
    GOSSIP_BYTES_PER_S = 96 * 1024 * 1024, /* budgets of a member (gossip.h) */
    GOSSIP_REQUESTS_PER_S = 8000,
    GOSSIP_VERIFIES_PER_S = 200,
    GOSSIP_RECEIPTS_PER_S = 500,
    GOSSIP_WORDS_PER_KS = 100, /* in 1,000 seconds */
    GOSSIP_REFILL_MS = 10,
    GOSSIP_RECORDS_MISSING_MAX = 64,
    GOSSIP_RECORD_TRIES_MAX = 20,
    GOSSIP_RECORD_RETRY_MS = 10 * 1000,
    GOSSIP_STORE_RETRY_MS = 10 * 1000, /* after a failed store */
    GOSSIP_WANTS_MAX = 32,             /* blobs */
    GOSSIP_BLOB_TRIES_MAX = 30,
    GOSSIP_REFUSED_MAX = 64,
    GOSSIP_WITNESS_SETTLE_MS = 15 * 1000,
    GOSSIP_FORK_FILL_MS = 60 * 1000, /* how long a log that forked is still filled up */
};

/* Spaces of store_kv that gossip uses. */
enum {
    GOSSIP_KV_TARGET = 0x60,  /* origin: the verified head that entries are taken in for */
    GOSSIP_KV_FORK = 0x61,    /* origin: a ForkProof, which may prove nothing to others */
    GOSSIP_KV_RECORDS = 0x62, /* origin: u64, records below were fetched or given up */
};

/* Owned bytes. */
struct bytes {
    uint8_t *bytes;
    size_t count;
};
bool bytes_set(struct bytes *b, struct view v); /* false: no memory, b is empty */
void bytes_clear(struct bytes *b);
static inline struct view
bytes_view(const struct bytes *b)
{
    return (struct view){b->bytes, b->count};
}

struct gsource {
    uint32_t session;
    uint64_t size; /* it showed a head of this size */
};

struct gmissing {
    uint64_t leaf;
    struct hash sealed;
};

struct glog {
    char origin[ORIGIN_CHARS_MAX + 1];
    struct origin parts;
    uint32_t id;
    uint64_t keys_turn; /* of the members that `author` was made under */
    struct witness_author author;
    bool in_store, own, frozen;
    uint64_t size; /* entries held */
    bool has_head;
    uint64_t head_size;
    struct hash head_root;
    int64_t changed_s;
    /* the offered head and its cosignatures, as stored */
    bool has_offered, offered_mine; /* mine: our cosignature is on it */
    uint64_t offered_size, cosigned_size, witnessed_size;
    struct hash offered_root;
    size_t offered_n, cosigned_n;
    uint32_t offered_set; /* whose lines are on the offered head, of any time */
    /* what is wanted: verified notes that wait for entries */
    uint64_t wanted_size;
    struct hash wanted_root;
    struct bytes wanted;  /* larger than `size`, or not yet stored as the head */
    uint64_t target_size; /* what `sync` works towards */
    struct hash target_root;
    struct bytes target;
    struct bytes check; /* a head between size and wanted, compared when we get there */
    struct bytes offer; /* an offered head, newer or with more cosignatures than stored */
    uint64_t offer_size;
    struct hash offer_root;
    /* whom to ask */
    struct gsource sources[GOSSIP_SOURCES];
    struct sync *sync;
    struct sync_batch batch;
    int64_t starved_since_ms; /* a sync without a source; 0: it has one */
    bool head_queued;
    uint32_t head_from; /* session to ask for its head */
    /* telling */
    bool push_due;
    uint32_t push_hops;   /* to be told with the next push */
    uint32_t wanted_hops; /* of the next head, once it is stored; above 1: not passed on */
    int64_t pushed_ms, offered_ms;
    struct bytes fork_ours, fork_theirs, fork_proof; /* to be stored */
    uint64_t fork_after; /* first our copy is filled up to this undisputed head, */
    int64_t fork_by_ms;  /* but not longer than until then */
    bool fork_shown;     /* a proof is stored that convinces others */
    /* storing */
    uint64_t ticket; /* a store action is out; 0: none */
    enum gossip_action_type storing;
    uint64_t storing_size; /* head that becomes ours with it */
    struct hash storing_root;
    bool storing_complete;
    int64_t pause_until_ms; /* after a failure */
    /* records of full networks */
    uint64_t records_to; /* looked at */
    uint64_t mark_stored;
    bool records_asked;
    int64_t records_next_ms;
    struct bytes records; /* an answer to be stored: u32 length and bytes of each */
    uint64_t records_from;
    uint32_t records_count;
    uint32_t records_source;
    struct gmissing *missing; /* GOSSIP_RECORDS_MISSING_MAX, allocated when needed */
    size_t missing_count;
    unsigned missing_tries;
    int64_t missing_next_ms;
    /* witness after an unclean start */
    uint64_t floor;
};

struct gpeer {
    uint32_t session;
    char institution[INSTITUTION_CHARS_MAX + 1];
    bool dialled;
    bool frontier_heard, frontier_asked;
    size_t outstanding;
    unsigned strikes, silent;
};

enum greq_type {
    GREQ_NONE = 0,
    GREQ_FRONTIER,
    GREQ_BUCKETS,
    GREQ_HEAD,
    GREQ_SYNC,
    GREQ_RECORDS,
    GREQ_CHARTER,
    GREQ_BLOB
};
struct greq {
    enum greq_type type;
    uint32_t id, session;
    int64_t deadline_ms;
    struct glog *log;
    struct sync *sync;   /* GREQ_SYNC: the sync that asked, which may be gone since */
    struct sync_ask ask; /* also: first entry and count of records */
    struct hash hash;    /* of the blob */
};

/* What we know of a member beyond the charter. */
struct gdial {
    char institution[INSTITUTION_CHARS_MAX + 1];
    bool dialling;
    unsigned failures, next_address;
    int64_t next_ms;
    int64_t refilled_ms;             /* 0: the budgets are untouched */
    int64_t budgets[GOSSIP_BUDGETS]; /* thousandths that are left */
    uint64_t entries_refused;        /* since that budget was full */
};

struct gdocument { /* charter documents held, and what peers have */
    uint64_t version;
    struct hash hash;
    struct hash signers;
    uint64_t peer_version; /* 0: nobody has more */
    struct hash peer_hash;
    uint32_t peer_session;
    struct hash peer_signers; /* more than `signers` */
    uint32_t signers_session; /* who shows these; 0: nobody */
};

struct gfetch {    /* one charter document at a time */
    unsigned kind; /* index, 0: root */
    bool active;
    uint64_t version;
    struct hash hash; /* expected, unless `any_hash` (a root between) */
    bool any_hash;
    struct hash signers; /* for these alone: the text is in hand */
    uint32_t session;
    uint64_t ticket;
    char institution[INSTITUTION_CHARS_MAX + 1]; /* of the session */
    uint64_t base;      /* version in hand of which rows may be taken over; 0: none */
    uint32_t base_next; /* row of it after the last one taken over */
    struct bytes note;
    struct bytes *rows;
    size_t row_count, rows_total, byte_count;
};

/* What is not asked for again for a while: a text that was refused, whoever shows it;
 * or, with an institution, anything of this kind from there: its copy was no good. */
struct grefused {
    unsigned kind;
    uint64_t version;
    struct hash hash;
    char institution[INSTITUTION_CHARS_MAX + 1];
    int64_t until_ms;
};

struct gblob {
    struct hash hash;
    uint64_t size;
    struct bytes bytes; /* count: received */
    uint64_t room;
    uint32_t request;
    uint64_t ticket;
    unsigned tries;
    int64_t next_ms;
};

struct gossip {
    char network[NETWORK_CHARS_MAX + 1];
    char institution[INSTITUTION_CHARS_MAX + 1];
    uint8_t instance[INSTANCE_BYTES];
    int64_t tick_ms, cosign_s, entries_day;
    bool full, witness, auditor;
    size_t sessions_wanted;
    char (*only)[INSTITUTION_CHARS_MAX + 1];
    size_t only_count;
    struct signgate gate;
    struct gossip_member *members; /* sorted by institution */
    struct gdial *dials;           /* of the same places */
    size_t member_count;
    bool reload;        /* keys changed: read all logs again with the next event */
    struct glog **logs; /* sorted by origin */
    size_t log_count, log_room;
    size_t syncs, head_asks;
    struct glog *head_queue[LOGS_MAX];
    size_t head_first, head_count;
    struct gpeer *peers;
    size_t peer_count, peer_room;
    struct greq requests[GOSSIP_REQUESTS];
    uint32_t request_turn;
    size_t requests_out;
    uint64_t next_ticket;
    struct frontier frontier; /* between members of whom none is an auditor */
    struct frontier pair_frontier;
    char pair[INSTITUTION_CHARS_MAX + 1]; /* whom pair_frontier is for; "": nobody */
    bool frontier_dirty;
    struct gdocument documents[4];
    bool documents_given; /* by gossip_set_documents: the store is not asked */
    struct gfetch fetch;
    struct grefused refused[GOSSIP_REFUSED_MAX];
    struct gblob wants[GOSSIP_WANTS_MAX];
    size_t want_count;
    int64_t next_round_ms, next_pulse_ms, settled_ms;
    bool floors_known; /* glog.floor was set, once */
    struct witness_keys witnesses;
    struct witness_keys keys; /* of the log keys_for */
    const struct glog *keys_for;
    uint64_t keys_turn;
};

/* One step: the event, where actions go, and the first thing that went wrong. */
struct step {
    struct gossip *g;
    const struct gossip_event *e;
    struct gossip_update *u;
    uint64_t rng;
    enum status st;
};
void step_fail(struct step *s, enum status st); /* keeps the first one; OK does nothing */
uint64_t step_random(struct step *s);           /* SplitMix64 from the event's bits */

/* gossip_log.c: the table of logs, and the next thing due for each */
struct glog *log_find(struct gossip *g, struct view origin);
struct glog *log_add(struct step *s, struct view origin); /* NULL: not one we take */
void log_load(struct step *s, struct glog *log);
void logs_load(struct step *s);
void log_pump(struct step *s, struct glog *log);
void log_stored(struct step *s, struct glog *log);
void log_free(struct glog *log);
void log_source(struct glog *log, uint32_t session, uint64_t size);
void log_source_drop(struct glog *log, uint32_t session);
uint32_t log_pick_source(struct step *s, const struct glog *log, uint64_t size,
                         uint32_t prefer);
bool log_wants_entries(const struct gossip *g, const struct glog *log);
void sync_answered(struct step *s, const struct greq *r, struct view message, struct view raw);
void sync_given_up(struct step *s, const struct greq *r);
void log_drop_sync(struct gossip *g, struct glog *log);
const struct witness_keys *log_keys(struct gossip *g, struct glog *log);
/* The root of our copy at `size`; STATUS_NOT_FOUND: it is shorter. */
enum status log_root_at(struct step *s, const struct glog *log, uint64_t size,
                        struct hash *root);

/* gossip_store.c: what is to be stored next */
void log_store(struct step *s, struct glog *log);
struct gossip_action *store_begin(struct step *s, struct glog *log,
                                  enum gossip_action_type type);

/* gossip_head.c: heads of logs, offered heads, forks */
void head_told(struct step *s, struct gpeer *p, struct view message, bool answer,
               struct glog *asked);
void head_queue(struct step *s, struct glog *log, uint32_t session);
void head_queue_pump(struct step *s);
/* `at`: where the two trees part, if it was seen; NULL. */
void head_fork(struct step *s, struct glog *log, struct view theirs,
               const struct sync_fork *at);
void gate_tell(struct step *s, struct view note);
void head_push(struct step *s, struct glog *log);
void head_check_left(struct step *s, struct glog *log);
void head_send(struct step *s, struct glog *log, uint32_t session, uint32_t hops);
void gate_ask(struct step *s, struct gpeer *p);

/* gossip_round.c: frontiers */
void round_tick(struct step *s);
void round_ask(struct step *s, struct gpeer *p);
void round_answer_ask(struct step *s, struct gpeer *p);
void round_answered(struct step *s, struct gpeer *p, const struct greq *r);

/* gossip_peer.c: sessions, requests, dialling */
struct gpeer *peer_find(struct gossip *g, uint32_t session);
struct gpeer *peer_of(struct gossip *g, const char *institution);
void peer_up(struct step *s);
void peer_down(struct step *s);
void peer_dial_failed(struct step *s);
void peer_strike(struct step *s, uint32_t session, const char *what);
void peer_dial_tick(struct step *s);
bool peer_spend(struct step *s, const struct gpeer *p, enum gossip_budget what, int64_t amount);
/* Far over its budget: its session is closed, true. */
bool peer_overdrawn(struct step *s, const struct gpeer *p);
const struct gossip_member *member_find(const struct gossip *g, const char *institution);
/* A request to `p`; NULL: none can be made now.  The caller fills in the rest. */
struct greq *request_send(struct step *s, struct gpeer *p, enum greq_type type, uint8_t kind,
                          const ProtobufCMessage *m);
void request_timeouts(struct step *s);
void request_answered(struct step *s);
void request_given_up(struct step *s, struct greq *r);

/* gossip_charter.c: charter documents and blobs */
void charter_load_documents(struct step *s);
void charter_line(struct step *s, struct gpeer *p, const struct frontier_line *line);
void charter_pump(struct step *s);
void charter_told(struct step *s, const struct greq *r);
void charter_given_up(struct step *s, const struct greq *r);
bool charter_stored(struct step *s); /* true: the ticket was ours */
void blob_want(struct step *s);
void blob_pump(struct step *s);
void blob_told(struct step *s, const struct greq *r);
void blob_given_up(struct step *s, const struct greq *r);

/* gossip_record.c: records of full networks */
void record_pump(struct step *s, struct glog *log);
void record_told(struct step *s, const struct greq *r);
void record_given_up(struct step *s, const struct greq *r);
void record_store(struct step *s, struct glog *log);

#endif
