/* lookup.h: one look-up: who holds a result, is it what it says, is it recognized.
 *
 * Source: DESIGN 5 (who opens a record checks), 9 (look-up), 8; issue of the main
 * job.  A pure machine: the engine opens it over a snapshot of the store, asks
 * the holders it names, gives it their answers, closes the questions after
 * LOOKUP_SILENT_MS, and lets it decide.  No token leaves it: holders are asked
 * by leaf. */
#ifndef NODE_LOOKUP_H
#define NODE_LOOKUP_H

#include <jansson.h>

#include "crypto/keys.h"
#include "node/candidates.h"
#include "node/charter.h"
#include "node/policy_json.h"
#include "node/witnessed.h"
#include "proto/report.pb-c.h"

enum { LOOKUP_ITEMS_MAX = 64, LOOKUP_RESULTS_MAX = 512, LOOKUP_PACKS_MAX = 32 };

/* What is asked.  Borrowed until lookup_free. */
struct lookup_question {
    const char *type; /* person-wide type and normal form */
    const char *value;
    const char *const *items; /* canonical codes of the catalog, 1 to LOOKUP_ITEMS_MAX */
    size_t item_count;
    int64_t at_s;           /* moment of the decision */
    const char *name;       /* what the asker knows of the patient, or NULL */
    const char *sex;        /* M F */
    const char *birth_date; /* YYYY-MM-DD */
    const json_t *order;    /* as in the decision contract, or NULL */
    const json_t *doctor;
    const char *encounter;
};

/* Who cosigned the newest cosigned head of a log, counted before: the signatures of a
 * head are checked once in LOOKUP_COUNTED_S, not for each look-up. */
enum { LOOKUP_COUNTED_MAX = 64, LOOKUP_COUNTED_S = 10 };

struct lookup_counted {
    uint32_t log; /* 0: empty */
    int64_t at_s;
    struct hash note; /* SHA-256 of the head; all zero: none is stored */
    uint64_t size;
    size_t by, of;
};

/* Empty (all zero) at first and whenever the charter changes. */
struct lookup_counts {
    size_t next;
    struct lookup_counted at[LOOKUP_COUNTED_MAX];
};

/* Where it is asked.  Borrowed until lookup_free. */
struct lookup_place {
    const char *network;
    const char *institution; /* our own */
    const struct charter *charter;
    const struct policy_set *policy;
    const struct network_key *epochs;
    size_t epoch_count;
    struct lookup_counts *counts; /* of this charter, or NULL: nothing is remembered */
    const struct witnessed_policy *witnessed; /* NULL: any number of witnesses will do */
};

enum lookup_state {
    LOOKUP_WANTED,     /* record not yet here */
    LOOKUP_OPENED,     /* record here, checked, contains an item that was asked for */
    LOOKUP_OTHER,      /* record here, has none of the items: left out */
    LOOKUP_WITHDRAWN,  /* recalled by its issuer */
    LOOKUP_HELD,       /* the issuer holds it back */
    LOOKUP_SILENT,     /* the issuer gave no answer */
    LOOKUP_MISSING,    /* the issuer answered without it */
    LOOKUP_UNREADABLE, /* record does not open, or names something else: a finding */
};

/* One pack's answer about one row. */
struct lookup_decision {
    size_t pack; /* index in the policy set */
    char *input; /* canonical JSON; malloced */
    size_t input_bytes;
    json_t *json; /* as policy_decision_to_json writes it */
    struct hr_decision decision;
    enum hr_verdict shown; /* after the rule of several packs */
    uint64_t logged;       /* its Decided entry in our exch log: the engine says it */
};

/* One leaf under the patient's token that may answer. */
struct lookup_leaf {
    struct candidate c;
    enum lookup_state state;
    uint8_t recalled;     /* 1 corrected, 2 withdrawn, as we were told or the log says */
    uint64_t recalled_by; /* by this entry */
    uint8_t *record;      /* malloced */
    size_t record_bytes;
    bool given;    /* by its issuer, in this look-up, who has logged that */
    bool released; /* record_key below was given by the issuer: a held report */
    uint8_t k[KEY_BYTES];
    struct pb_arena *arena; /* of the report */
    const Hr__Report *report;
    bool in_doubt;
    char doubt[160]; /* in words, without any value */
    size_t cosigned_by, cosigned_of, cosigned_wanted;
    enum witnessed_state witnessed;
    int64_t waits_since_s; /* with too few; 0: not noted yet */
};

/* One row: leaf and item, with the decisions of all packs, strongest first. */
struct lookup_result {
    size_t leaf;
    const Hr__Item *item; /* NULL: not opened */
    const char *code;     /* the item asked for; of a leaf not opened, what it may be */
    size_t decision_count;
    struct lookup_decision *decisions;
    bool preselected;
    int64_t examined_ms; /* order of the list */
};

struct lookup {
    struct lookup_question question;
    struct lookup_place place;
    struct patient_keys patients[NETWORK_KEY_EPOCHS_MAX];
    struct lookup_leaf *leaves;
    size_t leaf_count;
    struct lookup_result
        *results; /* after lookup_decide: usable ones, newest first, then the rest */
    size_t result_count;
    size_t findings; /* entries or records that contradict what they should say */
    size_t left_out; /* leaves beyond the limits: the oldest of a log with very many */
    uint8_t as_of[HASH_BYTES]; /* SHA-256 of the frontier lines of the logs searched */
    uint32_t log_count;
    size_t no_pack;   /* packs in force that this node does not have */
    size_t no_annex;  /* packs in force of which this node lacks an annex */
    bool clock_wrong; /* our clock is earlier than the newest document */
};

/* Find the candidates and take the records that are here.
 *
 * STATUS_OK
 * STATUS_MALFORMED  an identifier, number of items or moment that cannot be.
 * STATUS_NOT_FOUND  an item that the catalog does not know.
 * STATUS_UNAVAILABLE no network key is in hand.
 * STATUS_NO_MEMORY, STATUS_TOO_BIG, or what the store said. */
MUST_USE enum status lookup_open(const struct lookup_question *question,
                                 const struct lookup_place *place, struct store_txn *txn,
                                 struct lookup **out);
void lookup_free(struct lookup *l); /* wipes; NULL is allowed */

/* The next institution that must be asked for records, after `after` (NULL:
 * the first); NULL when there is none.  lookup_wanted lists its leaves. */
const char *lookup_holder_next(const struct lookup *l, const char *after);
size_t lookup_wanted(const struct lookup *l, const char *institution,
                     const struct lookup_leaf **out, size_t max);

/* What a holder gave for a leaf: a record, checked here against its entry, and
 * for a held report the key that opens it (else NULL).  Bytes from outside.
 * STATUS_NOT_FOUND  nobody asked for this leaf.
 * STATUS_BAD_PROOF  another record than the one that was published.
 * STATUS_NO_MEMORY */
MUST_USE enum status lookup_record(struct lookup *l, const char *institution,
                                   const char *origin, uint64_t leaf, struct view record,
                                   const uint8_t *key);
/* What it did not give: the state says why. */
void lookup_without(struct lookup *l, const char *institution, const char *origin,
                    uint64_t leaf, enum lookup_state why);
/* It gave no answer at all, to anything still wanted of it. */
void lookup_silent(struct lookup *l, const char *institution);

/* Is there nothing left to wait for? */
bool lookup_complete(const struct lookup *l);

/* Open the records, compare identities, decide; fills `results`.
 * STATUS_OK, STATUS_NO_MEMORY, or what the store said. */
MUST_USE enum status lookup_decide(struct lookup *l, struct store_txn *txn, int64_t now_s);

/* The strongest verdict shown, HR_NO_RULE when there is none. */
enum hr_verdict lookup_best(const struct lookup *l);

/* The result as `lookup --json` prints it, and as a Decided entry holds it. */
MUST_USE json_t *lookup_result_json(const struct lookup *l, const struct lookup_result *r);

/* Pack the Decided entry of a result's decision `d` (NULL: nothing held).
 * `question` is the salted hash, `asked` the leaf hash of our Asked entry to
 * the holder, or of count 0.
 * Institutions that were silent are named up to a bound, the others counted, so
 * that an entry always fits in ENTRY_BYTES_MAX.
 * STATUS_OK, or STATUS_TOO_BIG: over `max`. */
MUST_USE enum status lookup_decided(const struct lookup *l, const struct lookup_result *r,
                                    const struct lookup_decision *d, uint64_t at_ms,
                                    struct view question, struct view asked, uint8_t *out,
                                    size_t max, size_t *count);

#endif
