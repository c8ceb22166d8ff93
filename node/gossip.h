/* gossip.h: how the logs and the charter of one network reach every member.
 *
 * Source: DESIGN 6, 7, 9, 10; RELIABILITY 2 (F9, F10, F12, F13) and 4.
 * A pure state machine, one for each network of a home: events in, actions
 * out.  It reads no clock, draws no randomness and writes nothing: time, chance
 * and a read transaction come with the event; the engine performs the actions
 * (the store's through gossip_apply, in one transaction), commits, and tells
 * what was committed with GOSSIP_STORED.  No action of an update depends on
 * another of the same update, so stores may be grouped at will; what may only
 * be said after a commit is said in answer to GOSSIP_STORED.
 *
 * It owns the frame kinds FRONTIER, HEAD, RANGE, CHARTER and BLOB, asked and
 * answered, and draws its request ids from GOSSIP_REQUEST_ID_FIRST up: the other
 * kinds (look-ups, with net_next_request) use those below.
 *
 * Institution codes are in lower case here, as in origins. */
#ifndef NODE_GOSSIP_H
#define NODE_GOSSIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/note.h"
#include "crypto/tree.h"
#include "node/signgate.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"
#include "store/store.h"

enum {
    GOSSIP_MEMBER_KEYS_MAX = 4,      /* of one role of one member: the newest ones */
    GOSSIP_MEMBER_ADDRESSES_MAX = 4, /* the first ones */
};
enum { GOSSIP_BAD_RECEIPT = 50 };
#define GOSSIP_REQUEST_ID_FIRST UINT32_C(0x80000000)

/* ---- members: what gossip needs of the charter (gossip_members.h makes it) -- */

struct gossip_key {
    uint8_t public_key[KEY_BYTES];
    int64_t from_s; /* valid from, */
    int64_t to_s;   /* and before; 0 = open */
};
struct gossip_member {
    char institution[INSTITUTION_CHARS_MAX + 1];
    bool left;    /* its logs stay; it is not dialled */
    bool witness; /* named as one */
    bool auditor; /* may read exchange logs */
    size_t log_key_count, witness_key_count, address_count;
    struct gossip_key log_keys[GOSSIP_MEMBER_KEYS_MAX];
    struct gossip_key witness_keys[GOSSIP_MEMBER_KEYS_MAX];
    uint8_t session_public[KEY_BYTES]; /* the newest */
    char addresses[GOSSIP_MEMBER_ADDRESSES_MAX][ADDRESS_CHARS_MAX + 1];
};

struct gossip_options {
    const char *network;
    const char *institution;          /* our own */
    uint8_t instance[INSTANCE_BYTES]; /* drawn at this start (DESIGN 10) */
    int64_t tick_ms;                  /* 0: 1000 */
    int64_t cosign_s;                 /* charter setting; 0: 10 */
    bool full;                        /* records are replicated, too */
    int64_t entries_day;              /* 0: GOSSIP_ENTRIES_DAY */
    size_t sessions_wanted;           /* 0: all of up to 16 others, else 16 */
    const char *const *only;          /* dial only these institutions; NULL: all */
    size_t only_count;
    struct signgate_options gate;
    const char *fresh; /* own log that was begun at this very start; NULL: none */
};

struct gossip; /* opaque */

/* Make the machine and read the state of all logs of the network from `txn`.
 * Options are copied.  STATUS_NO_MEMORY, or what the store said. */
MUST_USE enum status gossip_open(const struct gossip_options *options, int64_t now_ms,
                                 struct store_txn *txn, struct gossip **out);
void gossip_close(struct gossip *g); /* NULL is allowed. */

/* Replace the members and what the policy document sets (at the start, and
 * after each adoption).  Copied; sorted by institution or not.
 * STATUS_TOO_BIG: over MEMBERS_MAX.  STATUS_NO_MEMORY. */
MUST_USE enum status gossip_set_members(struct gossip *g, const struct gossip_member *members,
                                        size_t count, int64_t cosign_s, bool full);

/* The documents in force, of root, members, quality, policy (version 0: none): what a
 * root declared void is not among them, though the store keeps it.  Without this call
 * the newest in the store are taken. */
struct gossip_document {
    uint64_t version;
    struct hash hash;    /* of the text */
    struct hash signers; /* charter_signers; zeros: not compared */
};
void gossip_set_documents(struct gossip *g, const struct gossip_document documents[4]);

/* ---- events ---------------------------------------------------------------- */

enum gossip_event_type {
    GOSSIP_TICK = 1,    /* at or after gossip_deadline_ms */
    GOSSIP_PEER_UP,     /* session, institution, instance, dialled */
    GOSSIP_PEER_DOWN,   /* session */
    GOSSIP_DIAL_FAILED, /* institution: net_dial failed or no session came of it */
    GOSSIP_FRAME,       /* session, request, kind, last, message, raw */
    GOSSIP_STORED,      /* ticket, status: a store action was committed, or failed */
    GOSSIP_OWN_HEAD,    /* origin, note: own log, committed and signed just now */
    GOSSIP_RELOAD,      /* logs or charter documents changed behind us (a command, a bundle) */
    GOSSIP_WANT_BLOB,   /* hash: fetch this pack or annex from anybody */
    GOSSIP_RESUME,      /* the operator lets signing go on (recorded by the engine) */
};

struct gossip_event {
    enum gossip_event_type type;
    int64_t now_ms;        /* monotonic, never less than in the event before */
    int64_t now_s;         /* wall clock, Unix */
    uint64_t random;       /* 64 fresh random bits */
    struct store_txn *txn; /* a snapshot not older than the last GOSSIP_STORED */
    uint32_t session;
    const char *institution;
    const uint8_t *instance;
    bool dialled;
    uint32_t request;
    uint8_t kind; /* with 0x80 in an answer */
    bool last;
    struct view message, raw; /* valid during the call */
    uint64_t ticket;
    enum status status;
    struct view origin;
    struct view note;
    struct hash hash;
};

/* ---- actions --------------------------------------------------------------- */

enum gossip_action_type {
    GOSSIP_SEND = 1, /* session, request, kind, last, message, raw.  A failure to queue may
                        be ignored: requests time out */
    GOSSIP_DIAL,     /* institution, address, session_public */
    GOSSIP_CLOSE,    /* session, text (why) */
    GOSSIP_SAY,      /* text: one line for the log of the daemon */
    /* By gossip_apply in a write transaction, then GOSSIP_STORED with `ticket`: */
    GOSSIP_STORE_ENTRIES,  /* origin, first, entries, count, leaves; note: of a verified head
                              that  covers them; complete: it is reached and becomes the head */
    GOSSIP_STORE_RECORDS,  /* origin, indexes, hashes (sealed), entries (records), count */
    GOSSIP_STORE_COSIGNED, /* origin, note: offered head with the cosignatures known */
    GOSSIP_COSIGN,         /* origin, note, size, root: sign it as a witness and keep it */
    GOSSIP_STORE_BLOB,     /* hash, note = its bytes */
    GOSSIP_STORE_MARK,     /* origin, first: records below `first` were fetched or given up */
    GOSSIP_STORE_FORK,     /* origin, note, other, raw (a ForkProof): freeze the log, keep it */
    /* By the engine, then GOSSIP_STORED: */
    GOSSIP_ADOPT, /* charter: kind, version, note, entries = rows, count, institution (who
                     gave it).  Check with charter_check_next and store; refused: status,
                     and keep the offender */
    /* By the engine, no answer: */
    GOSSIP_FORK,      /* origin, note, other: committed; write the Fork entry, show it */
    GOSSIP_GATE,      /* the signing gate changed: see gossip_gate; note: the proof, if any */
    GOSSIP_RECOVERED, /* origin: own log is whole again up to everything that was shown */
};

struct gossip_action {
    enum gossip_action_type type;
    uint64_t ticket; /* not 0: answer with GOSSIP_STORED */
    uint32_t session;
    uint32_t request;
    uint8_t kind;
    bool last, complete;
    struct view message, raw;
    const char *institution;
    const char *address;
    const uint8_t *session_public;
    const char *text;
    struct view origin;
    uint64_t first;
    const struct view *entries;
    const struct hash *leaves; /* of entries; for records: what the entries call `sealed` */
    const uint64_t *indexes;
    size_t count;
    struct view note, other;
    uint64_t size;
    struct hash root, hash;
    unsigned charter_kind; /* enum store_charter */
    uint64_t version;
};

/* Actions are appended; all that they point to lives until the update is reset,
 * and for those with a ticket until its GOSSIP_STORED was given. */
struct gossip_update {
    struct gossip_action *actions;
    size_t count, room;
    struct gossip_block *blocks; /* private: memory of what actions point to */
};
void gossip_update_init(struct gossip_update *u);
void gossip_update_reset(struct gossip_update *u); /* forget the actions */
void gossip_update_free(struct gossip_update *u);

/* Take one event, append the actions.
 * STATUS_NO_MEMORY: give up on the process.  STATUS_CORRUPT, STATUS_IO: of the
 * store; the machine stays usable.  What a peer does never makes a status. */
MUST_USE enum status gossip_step(struct gossip *g, const struct gossip_event *event,
                                 struct gossip_update *u);

/* Perform one store action (GOSSIP_STORE_*, GOSSIP_COSIGN) in a write
 * transaction.  `witness` is our cosignature key, needed for GOSSIP_COSIGN.  The
 * rules of a witness (never smaller, never another root: DESIGN 6, 10) are
 * checked again here, on what is durable.
 *
 * STATUS_OK
 * STATUS_GAP      the log is not where the action expects it: skip this action,
 *                 nothing was written, the transaction is still good.
 * STATUS_REFUSED  a rule of cosigning forbids it; likewise nothing was written.
 * else            abort the transaction, give the status in GOSSIP_STORED. */
MUST_USE enum status gossip_apply(struct store_txn *txn, const struct gossip_action *action,
                                  const struct note_signer *witness, const char *network,
                                  int64_t now_s);

/* The proof that is kept of the fork of a frozen log (forkproof.h), if it proves the
 * fork to others; it lives as long as the transaction. */
bool gossip_fork_proof(struct store_txn *txn, const char *network, struct view origin,
                       struct view *out);

/* When the next GOSSIP_TICK is due, monotonic ms. */
int64_t gossip_deadline_ms(const struct gossip *g);

/* Tell of an own log: those in the store when the machine was opened, and the
 * own `pub`, are known.  `fresh`: it was begun after this start.
 * STATUS_MALFORMED, STATUS_REFUSED: not an origin of ours. */
MUST_USE enum status gossip_own_log(struct gossip *g, struct view origin, bool fresh);

/* ---- questions -------------------------------------------------------------- */

/* May this own log be signed now?  Ask before every signature (DESIGN 10). */
bool gossip_may_sign(const struct gossip *g, struct view origin);
/* After an unclean start a witness listens before it cosigns again.  False until
 * it has: until then the next start must not pass for a clean one either (a crash
 * would let it sign below what it signed before it was restored). */
bool gossip_settled(const struct gossip *g);
const struct signgate *gossip_gate(const struct gossip *g);

struct gossip_log_state { /* for `status`, `peers`, `as_of` */
    const char *origin;
    uint64_t size;        /* entries held and verified */
    uint64_t head_size;   /* of the newest head held */
    uint64_t wanted_size; /* of the newest verified head known; more than size: behind */
    uint64_t cosigned_size;
    size_t cosigned_by;
    bool own, frozen;
    int64_t changed_s; /* wall clock when the head last changed here, 0 = before this start */
};
/* ---- budgets ------------------------------------------------------------------ */

/* What a member may have of us: so much a second, so much at once; of all its
 * sessions together, and a new session does not fill it up.  Over it, requests are
 * answered with STATUS_BUSY; far over it, its sessions are closed. */
enum gossip_budget {
    GOSSIP_BUDGET_BYTES,    /* served */
    GOSSIP_BUDGET_REQUESTS, /* and pushes */
    GOSSIP_BUDGET_VERIFIES, /* signatures of notes */
    GOSSIP_BUDGET_RECEIPTS, /* of look-ups; GOSSIP_BAD_RECEIPT for one that does not hold */
    GOSSIP_BUDGET_WORDS,    /* lines in our log about it */
    GOSSIP_BUDGET_ENTRIES,  /* of our exch log, written because it asks */
    GOSSIP_BUDGETS
};

/* Entries a member and day that its look-ups may add to our exch log, if the options say
 * nothing; half of them at once.  A large hospital asks 50 times a second for the two
 * hours of its peak, and all of that may go to one issuer: 360,000. */
enum { GOSSIP_ENTRIES_DAY = 1000000 };

/* Take `amount` of a member's budget.  False: nothing was left before (it is taken all
 * the same, down to as much below nothing as may be had at once).  Who is no member
 * has no budget.  Entries that are refused are not written, so they cost nothing. */
bool gossip_spend(struct gossip *g, const char *institution, enum gossip_budget what,
                  int64_t amount, int64_t now_ms);

/* How many entries were refused to a member since its budget was last full. */
uint64_t gossip_entries_refused(const struct gossip *g, const char *institution);

/* Is the member so far below nothing that its sessions end? */
bool gossip_overdrawn(const struct gossip *g, const char *institution);

size_t gossip_log_count(const struct gossip *g);
void gossip_log_get(const struct gossip *g, size_t number, struct gossip_log_state *out);

struct gossip_peer_state {
    const char *institution;
    uint32_t session;
    size_t outstanding; /* our requests without an answer */
    unsigned strikes;   /* answers that were garbage */
    unsigned silent;    /* requests given up in a row */
};
size_t gossip_peer_count(const struct gossip *g);
void gossip_peer_get(const struct gossip *g, size_t number, struct gossip_peer_state *out);

#endif
