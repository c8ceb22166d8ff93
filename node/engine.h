/* engine.h: the one owner of a home, inside: shared by the engine_*_io.c files
 * and nothing else.  Others use call.h.
 *
 * One thread turns one loop (DESIGN 3): collect events, step the pure machines,
 * write all that waits in one synced transaction, and only then sign, send and
 * answer.  Nothing here is called by two threads. */
#ifndef NODE_ENGINE_H
#define NODE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/keys.h"
#include "node/call.h"
#include "node/charter.h"
#include "node/config.h"
#include "node/gossip.h"
#include "node/home_io.h"
#include "node/keychoice.h"
#include "node/lookup.h"
#include "node/net.h"
#include "node/policy_json.h"
#include "node/publisher.h"
#include "node/seeds_io.h"
#include "store/log.h"
#include "store/store.h"

enum {
    ENGINE_NETWORKS_MAX = 8,
    ENGINE_HEAD_BYTES_MAX = 1024,
    ENGINE_UNTOLD_MAX = 64,      /* events kept for want of memory */
    ENGINE_SIGN_MS = 100,        /* own heads are signed at most this often */
    ENGINE_INDEX_IDLE_MS = 2000, /* rows of the index are written when this idle */
    ENGINE_READERS_MS = 60000,   /* store_reader_check */
    ENGINE_FULL_MS = 10000,      /* until what found no room is tried again */
    ENGINE_SAY_AGAIN_MS = 60000, /* until the log repeats itself */
    ENGINE_ROOM_CHARS = 1024
};

/* Spaces of the store's named values (kv.h). */
enum engine_space {
    SPACE_HOME = 1,       /* of a network: "exch" = origin of the exch log in use; "pub" = of
                             the pub log, where it is not <network>/<institution>/pub;
                             "before" and "missing": of the exch log before (engine_recover_io) */
    SPACE_RECEIPT = 2,    /* institution -> newest receipt note of its exch log */
    SPACE_RELIED = 3,     /* no longer written: see SPACE_RECALL */
    SPACE_QUARANTINE = 4, /* blob hash -> file, record, reason */
    SPACE_FORK = 5,       /* origin -> blob hash of the proof */
    SPACE_RELEASE = 16,   /* report handle, institution -> until when held reports are given */
    SPACE_EPOCH = 17,     /* epoch, origin -> sizes of a log when its epoch ended (epochs.h) */
    SPACE_WITNESSED = 18, /* origin -> since when too few witnesses cosigned (witnessed.h) */

    SPACE_RECALL = 24,  /* who relies on what, what was recalled: recall_rows.h */
    SPACE_REFUSED = 32, /* number -> charter document that was refused: charter_evidence_io.h */
    SPACE_IMPACT = 33,  /* "quality" -> what a newer quality document changed: impact.h */
    /* 32 is POLICY_HOME_SPACE of policy_home_io.h */
};

/* A log of our own. */
struct own_log {
    uint32_t id;
    char origin[ORIGIN_CHARS_MAX + 1];
    struct note_signer signer;
    uint64_t signed_size; /* of `head` */
    bool has_head;
    bool dirty; /* grew since it was signed */
    int64_t signed_ms;
    uint8_t head[ENGINE_HEAD_BYTES_MAX];
    size_t head_count;
};

/* What the jobs of the open transaction append (engine_txn_io.c). */
enum { GATHERED_MAX = 256 };
struct gathered {
    uint64_t first; /* index of entries[0] in the exch log */
    size_t count;
    struct view entries[GATHERED_MAX]; /* of the exch log */
    uint8_t *bytes[GATHERED_MAX];      /* malloced */
    bool publishing;
    struct publisher publisher; /* while publishing */
};

/* Recognitions that leaned on quality facts which hold no more (engine_impact_io.c). */
struct impact_state {
    bool known, running; /* known: for the quality document in force */
    uint64_t version;
    struct hash hash;
    uint64_t entries, count, recognized, untold; /* as struct impact_totals */
};

struct network {
    struct engine *engine;
    const struct config_network *config;
    char name[NETWORK_CHARS_MAX + 1];
    struct network_keys keys; /* those in force */
    size_t generation_count;
    struct network_keys *generations; /* all of ours, oldest first; malloced */
    struct keychoice choice;
    bool dialling; /* a call of ours begins: under choice.dial */
    size_t dial;   /* under this generation */
    struct note_signer witness;
    uint8_t ledger_key[KEY_BYTES];
    struct charter *charter;           /* NULL until a root and members are adopted */
    struct lookup_counts counts;       /* of this charter */
    struct witnessed_policy witnessed; /* of the configuration */
    struct network_key epochs[NETWORK_KEY_EPOCHS_MAX];
    size_t epoch_count;
    size_t epochs_bad; /* sealed to us, and did not open or match their check */
    struct own_log pub, exch;
    bool exch_fresh; /* begun at this start */
    bool recovering; /* a new log is being begun */
    struct gossip *gossip;
    struct untold *untold; /* engine_gossip_io.c */
    struct publish_context publish;
    struct gathered gathered;
    struct receipts *receipts; /* receipts.h; NULL until the store was read */
    struct impact_state impact;
    bool clock_ahead; /* cosignatures in hand are later than our clock (checked then:) */
    int64_t clock_checked_ms;
    size_t clock_next;
    struct recall *recall; /* engine_recall_io.c */
    /* Writes of it of whose end there was no memory to tell it; told as failed at the next
     * tick, since each write is harmless a second time. */
    uint64_t recall_untold[ENGINE_UNTOLD_MAX];
    size_t recall_untold_count;
    bool recall_changed;    /* it is to look at its rows again */
    uint64_t recall_signed; /* size of our signed pub log that it knows */
    struct turns *turns;    /* engine_turns_io.c */
};

/* Something to be written in the next transaction.  `write` returns STATUS_OK;
 * another status undoes the whole transaction, after which each job is tried
 * alone.  It may then be called a second time, so it changes nothing but the
 * store before `done`.  `done` is called once, after the commit. */
struct job {
    struct job *next;
    enum store_purpose purpose;
    uint64_t bytes;
    enum status (*write)(struct store_txn *txn, void *ctx);
    void (*done)(void *ctx, enum status st);
    void *ctx;
};

/* How much room the store has (engine_space_io.c). */
enum engine_room {
    ROOM_ENOUGH,
    ROOM_NEAR,    /* 80 % of what publishing may use */
    ROOM_RESERVE, /* publishing has stopped */
    ROOM_NONE     /* answering, too */
};

/* A look-up, an answer, an update of gossip under way. */
struct retired;
struct lookup_run;
struct gossip_run;
struct recall_reading;

struct engine {
    char path[HOME_IO_PATH_CHARS];
    struct home *home;
    struct config *config;
    struct store *store;
    struct policy_set *policy;
    struct pack_refusals *refusals; /* engine_pack_io.c; NULL: none */
    struct net *net;
    struct control *control;
    uint8_t seed[KEY_BYTES]; /* the first one: of the home itself */
    struct seeds seeds;
    uint8_t instance[INSTANCE_BYTES];
    char institution[INSTITUTION_CHARS_MAX + 1]; /* as in origins */
    struct network networks[ENGINE_NETWORKS_MAX];
    size_t network_count;
    struct job *jobs, **jobs_end;
    struct lookup_run *lookups;
    bool asks_wait;          /* some of them may be sent now */
    struct retired *retired; /* charters that look-ups under way still use */
    struct gossip_run *gossip_runs;
    struct impact_run *impacts;             /* engine_impact_io.c */
    struct recall_reading *recall_readings; /* engine_recall_audit_io.c */
    bool stop;
    bool renewed; /* engine_recover_start was done */
    bool unclean; /* this start is no clean one, and not all witnesses have been heard since */
    bool daemon;  /* serve: listens, gossips; else one call, then the end */
    int64_t idle_since_ms;
    int64_t readers_checked_ms;
    int64_t signed_state_ms;
    int64_t keys_looked_ms;
    int64_t up_s;             /* when this daemon began to look at logs */
    int64_t marked_ms;        /* sizes of logs at the end of an epoch were looked at */
    int64_t rechecked_ms;     /* who is connected may be, still */
    uint64_t committed;       /* transactions */
    uint64_t refused_free[2]; /* room as this purpose was refused for want of it; 0: never */
    enum engine_room room;    /* what the log says of the store's room */
    int64_t space_looked_ms;
    int64_t index_after_ms;        /* rows of the index are not written before */
    int64_t mend_said_ms;          /* a full disk repeats itself; the log does not */
    int64_t signed_said_ms;        /* the same of HOME/last-signed */
    void (*say)(const char *line); /* the daemon's log */
};

/* ---- clock and chance (random_io.c, clock_io.c are the doors) --------------- */
int64_t engine_now_ms(void); /* wall clock, Unix */

/* ---- engine_io.c ------------------------------------------------------------- */

/* Open the home as its owner: lock, store, keys, charter, machines; no sockets
 * but for a net that can dial.  `error` gets one line.  Free with engine_close. */
MUST_USE enum status engine_open(const char *home, bool daemon, void (*say)(const char *line),
                                 struct engine **out, char *error, size_t error_bytes);
void engine_close(struct engine *e);

/* Listen (the networks' addresses and HOME/control). */
MUST_USE enum status engine_listen(struct engine *e, char *error, size_t error_bytes);

/* One turn of the loop; waits at most `timeout_ms` for something to do. */
void engine_turn(struct engine *e, int timeout_ms);

/* Queue a job; it lives until its `done`. */
void engine_write(struct engine *e, struct job *job);

/* At the end: what still waits is told that it was not written. */
void engine_drop_jobs(struct engine *e);

struct network *engine_network(struct engine *e,
                               const char *name); /* NULL, NULL name: the only one */
__attribute__((format(printf, 2, 3))) void engine_say(struct engine *e, const char *format,
                                                      ...);

/* May a line that would repeat itself be written (each minute)?  Notes that it was. */
MUST_USE bool engine_say_again(int64_t *said_ms);

/* Read the charter of a network again after documents were stored; tells gossip. */
MUST_USE enum status engine_reload_charter(struct network *n, struct store_txn *txn);

/* Find or make a log of ours, with its signer and its last signed head. */
MUST_USE enum status engine_own_log_open(struct network *n, struct store_txn *txn,
                                         struct own_log *log);

/* Sign what grew, if the gate allows: after a commit. */
void engine_sign(struct engine *e, bool now);

/* ---- engine_gossip_io.c ------------------------------------------------------- */
void engine_gossip(struct network *n, struct gossip_event *event); /* step, perform */
MUST_USE enum status engine_gossip_open(struct network *n);
void engine_gossip_untold(struct network *n); /* what there was no memory for before */
void engine_gossip_free(struct engine *e);
/* Write a CharterAdopted entry. */
MUST_USE enum status engine_log_adopted(struct network *n, struct store_txn *txn,
                                        const struct charter_head *head);

/* ---- engine_recover_io.c: after a restore, a fork; the operator's word ---------- */

/* At an unclean start: begin a new exch log in each network whose old one may
 * have been signed further than this home knows. */
MUST_USE enum status engine_recover_start(struct engine *e, struct store_txn *txn);
/* The same in a command without a daemon, before the first thing that it writes
 * there: one that only reads leaves a restored home as it is. */
MUST_USE enum status engine_recover_now(struct engine *e);
/* The gate changed: begin a new exch log if ours is contradicted, say what is
 * missing of the one before. */
void engine_recover_gate(struct network *n);
/* engine_fork_io.c: [{origin, own, proven, serves, held, sizes}], and as a file. */
json_t *engine_forks_json(const struct network *n);
void engine_fork_call(struct engine *e, const struct call *call, struct call_sink *sink);
void engine_resume_call(struct engine *e, const struct call *call, struct call_sink *sink);
void engine_retire_call(struct engine *e, const struct call *call, struct call_sink *sink);

/* ---- engine_lookup_io.c, engine_answer_io.c, engine_receipt_io.c -------------- */
void engine_lookup_call(struct engine *e, const struct call *call, struct call_sink *sink);
void engine_lookup_tick(struct engine *e, int64_t now_ms);
int64_t engine_lookup_deadline_ms(const struct engine *e);
void engine_lookup_peer(struct network *n, uint32_t session, const char *institution, bool up);
void engine_lookup_frame(struct network *n, uint32_t session, const char *institution,
                         const struct frame *f); /* answers to our look-ups */
/* Send the questions that are committed, those for one holder together. */
void engine_lookup_send(struct engine *e);
void engine_lookup_free(struct engine *e);
/* Let go of n->charter: freed when the last look-up that uses it is over. */
void engine_retire_charter(struct network *n);
void engine_answer_frame(struct network *n, uint32_t session, const char *institution,
                         const struct frame *f); /* look-ups of others */

/* May one more line be written about what this member does?  (gossip.h, budgets) */
bool engine_may_say(struct network *n, const char *institution);

/* engine_turns_io.c: look-ups and receipts of others, each member in its turn. */
void engine_turns_frame(struct network *n, uint32_t session, const char *institution,
                        const struct frame *f);
void engine_turns_down(struct network *n, uint32_t session, const char *institution);
void engine_turns_tick(struct engine *e);
bool engine_turns_waiting(const struct engine *e);
void engine_turns_free(struct network *n);

/* Receipts (engine_receipt_io.c): what is owed after a start; send what the
 * signed head covers; whether a peer that is connected still waits for any. */
MUST_USE enum status engine_receipt_open(struct network *n, struct store_txn *txn);
void engine_receipt_tick(struct engine *e, int64_t now_ms);
bool engine_receipts_open(const struct engine *e);
size_t engine_receipts_due(struct network *n, const char *institution);
void engine_receipt_free(struct network *n);
/* What we owe stands in an exch log that is not signed any more. */
void engine_receipt_forget(struct network *n);

/* HOME/last-signed: what a clean start is measured against (DESIGN 10). */
void engine_last_signed(struct engine *e);

/* ---- engine_publish_io.c, engine_charter_io.c, engine_status_io.c -------------- */
void engine_publish_call(struct engine *e, const struct call *call, struct call_sink *sink);
void engine_charter_call(struct engine *e, const struct call *call, struct call_sink *sink);

/* engine_keys_io.c: which keys are ours now (keychoice.h).  Derive them all;
 * look which are in force, after the charter changed and as time passes: then
 * sign under them.  Close sessions of who is no member any more. */
MUST_USE enum status engine_keys_open(struct network *n);
void engine_keys_free(struct network *n);
/* Seeds that were added since we started (huren keys rotate beside a daemon). */
void engine_keys_read(struct engine *e);
void engine_keys_look(struct network *n);
void engine_keys_tick(struct engine *e, int64_t now_ms);
const struct network_keys *engine_keys_more(void *ctx, const char *network, size_t i);
MUST_USE enum status engine_net_dial(struct network *n, const char *institution,
                                     const char *url, const uint8_t session_public[KEY_BYTES],
                                     uint32_t *session);
/* The network keys that the charter seals to us, under whichever of our keys;
 * those that do not open are counted. */
void engine_keys_epochs(struct network *n);

/* engine_release_io.c: is this held report of ours released to `institution`? */
MUST_USE enum status engine_released(struct network *n, struct store_txn *txn, uint64_t leaf,
                                     const char *institution, int64_t now_s, bool *released);
void engine_release_call(struct engine *e, const struct call *call, struct call_sink *sink);
void engine_status_call(struct engine *e, const struct call *call, struct call_sink *sink);
void engine_log_call(struct engine *e, const struct call *call, struct call_sink *sink);

void engine_quarantine_call(struct engine *e, const struct call *call, struct call_sink *sink);
void engine_quarantine_drop_call(struct engine *e, const struct call *call,
                                 struct call_sink *sink);
void engine_quarantine_list_call(struct engine *e, const struct call *call,
                                 struct call_sink *sink);

/* engine_impact_io.c.  Walk our exch log by the quality document in force, a slice a turn;
 * `sink` (may be NULL) gets the list and then `exit_code`. */
void engine_impact_start(struct network *n, struct call_sink *sink, bool json, int exit_code);
void engine_impact_call(struct engine *e, const struct call *call, struct call_sink *sink);
/* After the charter was read at a start: what was known, or a walk. */
void engine_impact_open(struct network *n, struct store_txn *txn);
void engine_impact_tick(struct engine *e);
bool engine_impact_busy(const struct engine *e);
void engine_impact_free(struct engine *e);
MUST_USE json_t *engine_impact_json(const struct network *n);

/* engine_charter_status_io.c: clock_wrong, refused, impact and alarms into `o`; whether
 * our clock is earlier than a document or a cosignature in the house (DESIGN 7). */
void engine_charter_status(struct network *n, json_t *o);
bool engine_clock_wrong(struct network *n);

/* engine_pack_io.c: packs and annexes that the charter names by hash.  Take into
 * the policy set what the blobs hold, ask gossip for what is missing; after the
 * charter changed, a blob came, a peer came. */
void engine_packs_look(struct network *n);
/* At the start: what the home has adopted, and what its charters name.  What the store
 * says, with a line in `error`. */
MUST_USE enum status engine_packs_open(struct engine *e, char *error, size_t error_bytes);
void engine_pack_call(struct engine *e, const struct call *call, struct call_sink *sink);
/* Of each: {pack, hash, annex, in_force_from, state: held|missing|refused, reason}. */
MUST_USE json_t *engine_packs_json(struct network *n);
void engine_packs_free(struct engine *e);

/* Run a call: finds the handler by name. */
void engine_call(struct engine *e, const struct call *call, struct call_sink *sink);

/* ---- engine_space_io.c: the store's room (DESIGN 10) ------------------------------- */

/* Look, and say in the log when a bound was crossed: once, not at each refusal.
 * After a refusal for want of room, and as time passes. */
void engine_space_refused(struct engine *e, enum store_purpose purpose);
void engine_space_tick(struct engine *e, int64_t now_ms);
/* status_text; of STATUS_NO_SPACE also what is full and what to do. */
const char *engine_why(const struct engine *e, enum status st, char out[ENGINE_ROOM_CHARS]);
/* {used_bytes, free_bytes, used_percent, publishing_stops, answering_stops, reserve_bytes,
 * max_bytes, disk_free_bytes, bound, alarm}; NULL: the store cannot be read. */
MUST_USE json_t *engine_space_json(const struct engine *e);
void engine_space_print(struct call_sink *sink, const json_t *o);

/* ---- engine_txn_io.c: inside of a job's `write` ------------------------------------ */

/* Append one exch entry to the log of `n` in `txn`; *leaf is its hash.  It is
 * gathered, and written by engine_txn_flush. */
MUST_USE enum status engine_exch_append(struct network *n, struct store_txn *txn,
                                        struct view entry, uint64_t *index, struct hash *leaf);

/* The publisher of this transaction; engine_txn_flush flushes and ends it. */
MUST_USE enum status engine_publisher(struct network *n, struct store_txn *txn,
                                      struct publisher **out);

/* Write what was gathered: before each commit.  Forget it: before each abort. */
MUST_USE enum status engine_txn_flush(struct engine *e, struct store_txn *txn);
void engine_txn_drop(struct engine *e);

/* One line of JSON to a sink.  That it lacks something for want of memory makes the call
 * fail in the end (jsonwhole.h; cli.c, control_io.c). */
void engine_json(struct call_sink *sink, const json_t *o);

/* Text to a sink. */
__attribute__((format(printf, 3, 4))) void engine_text(struct call_sink *sink, bool err,
                                                       const char *format, ...);

#endif
