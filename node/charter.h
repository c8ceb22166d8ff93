/* charter.h: the charter of one network, in memory, at one set of versions.
 *
 * Source: DESIGN 5, 6, 7; RELIABILITY F21.  A struct charter is immutable: it is
 * made of documents, answers questions, and is freed; a newly adopted document
 * gives a new charter.  It keeps copies of its documents, so that nothing
 * points to what it was made from.  Pure but for memory: time is an argument, in
 * Unix seconds; dates are civil dates in UTC+8, as text "YYYY-MM-DD".
 *
 * Rows are the generated structs (proto/charter.pb-c.h), checked when they were
 * decoded: vocabularies are closed, strings are clean UTF-8. */
#ifndef NODE_CHARTER_H
#define NODE_CHARTER_H

#include "crypto/keys.h"
#include "crypto/networkkey.h"
#include "node/charter_document.h"
#include "proto/charter.pb-c.h"

struct charter; /* opaque */

/* A moment in UTC+8, as charter texts show it: "2026-11-22T08:00:00+08:00". */
enum { CHARTER_TIME_CHARS = 40, CHARTER_DATE_CHARS = 16 };
void charter_time_text(int64_t at_s, char out[CHARTER_TIME_CHARS]);
/* Its civil date in UTC+8: "2026-11-22". */
void charter_date(int64_t at_s, char out[CHARTER_DATE_CHARS]);

/* ---- making --------------------------------------------------------------- */

/* Make a charter of `trusted`, a whole root that is trusted (the one that the
 * operator adopted first, or --root), and any number of other documents, in any
 * order, whole or in part (roots whole).
 *
 * Roots: from the trusted one upwards each version is checked against the one
 * before (thresholds of both); downwards by the hash in its row "previous".
 * Roots that are not reached are ignored.  The highest is in force.
 * Others: of each kind the highest version that is not void and is signed by a
 * threshold of the root in force, or else of an earlier root that it was adopted
 * under (charter_signed_under says which).  Documents that are not so signed are
 * ignored: it is for charter_check_next to say why, before they are stored.
 * Validity and expiry are not judged here: every question has its time.
 *
 * STATUS_OK
 * STATUS_REFUSED    another network among them; `trusted` is no whole root.
 * STATUS_THRESHOLD  `trusted` does not have its own threshold.
 * STATUS_FORK       a root of the version of `trusted` or one reached from it
 *                   with another text.
 * STATUS_MALFORMED  two members with one session key, over MEMBERS_MAX members or
 *                   WITNESSES_MAX witnesses, and the like.
 * STATUS_NO_MEMORY
 * `reason` is filled unless STATUS_OK. */
MUST_USE enum status charter_load(const struct charter_document *trusted,
                                  const struct charter_document *const *others, size_t count,
                                  struct charter **out, char reason[CHARTER_REASON_CHARS]);

/* The same charter with one more document, which passed charter_check_next (a
 * new version), or which is the merged note of one in hand (charter_merge).  A root
 * that declares a document void leaves its kind empty here, since older versions
 * are not in memory: after a new root, charter_load from the store instead. */
MUST_USE enum status charter_with(const struct charter *c, const struct charter_document *d,
                                  struct charter **out, char reason[CHARTER_REASON_CHARS]);

/* NULL does nothing. */
void charter_free(struct charter *c);

/* ---- may this document be adopted? ---------------------------------------- */

/* Judge the first root of a network, which an operator adopts by hand: trust on
 * first use.  It must be a whole root with its own threshold; `network` (may be
 * NULL) is the network that the operator means.
 *
 * STATUS_OK
 * STATUS_REFUSED    not a root, or of another network.
 * STATUS_THRESHOLD, STATUS_UNKNOWN_KEY, STATUS_BAD_SIGNATURE
 * STATUS_NOT_YET    issued_at or valid_from is more than CHARTER_SKEW_S_MAX
 *                   ahead of now_s: the document or the clock is wrong.
 * STATUS_EXPIRED    stale_after has passed. */
MUST_USE enum status charter_check_first(const struct charter_document *root,
                                         const char *network, int64_t now_s,
                                         char reason[CHARTER_REASON_CHARS]);

/* Judge a whole document against the charter in hand.  `reason` is always
 * filled: one sentence that says what is wrong and what to do; for STATUS_OK it
 * is empty, or a warning (the document is past its stale_after already: newer
 * than ours and therefore taken, its facts count as unknown).
 *
 * STATUS_OK             adopt it: store it, then charter_with.
 * STATUS_EXISTS         this very text is in hand: charter_merge its signatures.
 * STATUS_REFUSED        of another network, declared void by the root, or a policy
 *                       row that is new or changed against the version before and
 *                       in force less than 48 hours after issued_at.
 * STATUS_GAP            a root that is not the version after ours.
 * STATUS_ROLLBACK       an older version than ours.  (An older root that is in
 *                       hand is STATUS_EXISTS, with another text STATUS_FORK.)
 * STATUS_FORK           our version with another text, or a root whose
 *                       "previous" is not ours: keep it as evidence.
 * STATUS_UNKNOWN_KEY    nobody signed who may.
 * STATUS_THRESHOLD      too few of them did, or the same one twice.
 * STATUS_BAD_SIGNATURE  a line of such a key is not valid.
 * STATUS_NOT_YET        as above. */
MUST_USE enum status charter_check_next(const struct charter *c,
                                        const struct charter_document *next, int64_t now_s,
                                        char reason[CHARTER_REASON_CHARS]);

/* The note of a document that passed charter_check_next (or, with `c` NULL, a first
 * root), with the lines that verified and no others: what is kept, so that a peer
 * cannot fill a note with lines of nobody.  STATUS_OK, or a status of note_verify. */
MUST_USE enum status charter_cut_note(const struct charter *c, const struct charter_document *d,
                                      uint8_t out[NOTE_BYTES_MAX], size_t *count);

/* Merge the signatures of a note with the text of a document in hand into ours;
 * out[0 .. *count) is the note to keep, *added how many signatures are new.
 *
 * STATUS_OK
 * STATUS_NOT_FOUND  no document in hand has this text.
 * or a status of note_merge. */
MUST_USE enum status charter_merge(const struct charter *c, struct view note,
                                   uint8_t out[NOTE_BYTES_MAX], size_t *count, size_t *added);

/* ---- adopting several files at once (charter adopt, bundle apply) ---------- */

struct charter_step {
    size_t document;    /* index in the list given */
    enum status status; /* OK adopt, EXISTS in hand (signatures merged), else refused */
    char reason[CHARTER_REASON_CHARS];
};

/* Plan the adoption of `documents`, all whole: roots first and rising, then the
 * others, each judged against the charter as it is after those before it.  `c`
 * is NULL when the network has no charter yet: then the lowest root among them
 * is the first (charter_check_first; an expired one passes if a later root of
 * the plan has not expired).  steps[0 .. count) is filled in the order to carry
 * out; *out is the charter afterwards, NULL if there is none: its notes hold all
 * signatures, those that were merged included.
 *
 * STATUS_OK         (each step has its own status.)
 * STATUS_NO_MEMORY */
MUST_USE enum status charter_adopt_plan(const struct charter *c, const char *network,
                                        const struct charter_document *const *documents,
                                        size_t count, int64_t now_s, struct charter_step *steps,
                                        struct charter **out);

/* ---- the documents -------------------------------------------------------- */

const char *charter_network(const struct charter *c);

/* The document in hand, or NULL.  Lives as long as `c`. */
const struct charter_document *charter_document(const struct charter *c,
                                                enum charter_kind kind);
/* A root version that was walked, or NULL; `charter_first_root` is the lowest. */
const struct charter_document *charter_root_version(const struct charter *c, uint64_t version);
uint64_t charter_first_root(const struct charter *c);
/* The root version under which the document in hand has its threshold; 0: none. */
uint64_t charter_signed_under(const struct charter *c, enum charter_kind kind);

/* Whether the document is missing or past its stale_after at `now_s`: its facts
 * then enter a decision as unknown. */
bool charter_is_stale(const struct charter *c, enum charter_kind kind, int64_t now_s);
/* Seconds since issued_at, never below 0; -1: no such document. */
int64_t charter_age_s(const struct charter *c, enum charter_kind kind, int64_t now_s);
/* The newest issued_at of all documents: a clock that is earlier is wrong. */
int64_t charter_newest_issued_s(const struct charter *c);

/* The place of the row with this key (charter_row_key), for
 * charter_document_prove.  STATUS_OK or STATUS_NOT_FOUND. */
MUST_USE enum status charter_row_index(const struct charter *c, enum charter_kind kind,
                                       struct view key, uint32_t *index);
/* Bytes of the row at this index of the document; count 0: not in hand. */
struct view charter_row(const struct charter *c, enum charter_kind kind, uint32_t index);

/* ---- root ----------------------------------------------------------------- */

/* Signatures needed for a kind in the root in force, and its keys. */
uint32_t charter_threshold(const struct charter *c, enum charter_kind kind);
/* Keys of the role; returns their number.  Names are <network>/charter/<name>. */
size_t charter_keys(const struct charter *c, enum charter_kind kind,
                    struct note_key keys[CHARTER_KEYS_MAX]);

/* ---- members -------------------------------------------------------------- */

/* Rows of institutions, sorted by code; those that left included. */
size_t charter_member_count(const struct charter *c);
const Hr__MemberRow *charter_member_at(const struct charter *c, size_t i);
/* By code, in lower case; NULL: never was a member. */
const Hr__MemberRow *charter_member(const struct charter *c, const char *institution);
/* Whether it is a member at `at_s` (it may have left). */
bool charter_is_member(const Hr__MemberRow *m, int64_t at_s);
bool charter_has_role(const Hr__MemberRow *m, const char *role);

/* The keys in force at `at_s`, the newest if several are; NULL: none. */
const Hr__PublicKeys *charter_keys_at(const Hr__MemberRow *m, int64_t at_s);
/* The newest keys, whatever the time; NULL: none. */
const Hr__PublicKeys *charter_keys_newest(const Hr__MemberRow *m);

/* Who may open a session with this key at `now_s`: keys in force, and those that
 * ended less than SESSION_KEY_OVERLAP_S ago and were not revoked; members that left may not.
 * NULL: nobody. */
const Hr__MemberRow *charter_member_by_session(const struct charter *c,
                                               const uint8_t session_public[KEY_BYTES],
                                               int64_t now_s);

/* The keys that may have signed a checkpoint of `origin`: all log keys that its
 * institution has or had, newest first; returns their number, 0 if the origin
 * is of no member or another network.  A checkpoint by a key that ended counts
 * for what was cosigned before the end (charter_key_to).  At most `max`. */
size_t charter_log_keys(const struct charter *c, struct view origin, struct note_key *keys,
                        size_t max);
/* When heads signed with this log key are taken no more unless a witness saw them
 * before; 0: it has no end.  A key that was exchanged for a new one is taken for
 * CHARTER_SKEW_S_MAX more, since clocks differ and a head of the last second is to
 * be cosigned, too; one that was revoked is not. */
int64_t charter_log_key_end(const Hr__PublicKeys *k);
/* The newest set with this log key, or NULL. */
const Hr__PublicKeys *charter_log_key_set(const Hr__MemberRow *m,
                                          const uint8_t log_public[KEY_BYTES]);
/* That of the log key with these bytes: 0 while it is in force, else the second
 * from which it is not; -1: no key of this member. */
int64_t charter_log_key_to(const Hr__MemberRow *m, const uint8_t log_public[KEY_BYTES]);

/* A witness as of a time. */
struct charter_witness {
    const Hr__MemberRow *member;
    struct note_key key; /* type 4, <network>/<institution>/witness */
};
/* The witnesses for logs of `institution` at `at_s` (NULL: of nobody): members
 * with the role and keys in force, never the institution itself; returns their
 * number: the *of* in "3 of 5". */
size_t charter_witnesses(const struct charter *c, const char *institution, int64_t at_s,
                         struct charter_witness out[WITNESSES_MAX]);
/* How many different witnesses cosigned this checkpoint note of a log of
 * `institution`, each with a key that was in force at the time of its
 * cosignature, which is not after now_s + CHARTER_SKEW_S_MAX.  *newest_s (may be
 * NULL) is the latest of these times, *oldest_s the earliest; 0 if none. */
size_t charter_cosigned(const struct charter *c, const char *institution,
                        const struct note *note, int64_t now_s, int64_t *oldest_s,
                        int64_t *newest_s);

/* Periods of this pack, in the order in which they are given: fills
 * out[0 .. min(max, n)) and returns n.  Whether none means "on no list" says
 * row->listings_known. */
size_t charter_listings(const Hr__MemberRow *m, const char *pack, const Hr__Listing **out,
                        size_t max);

/* ---- quality -------------------------------------------------------------- */

/* The row of institution and item, or of the whole institution with item "";
 * NULL: nothing is known. */
const Hr__QualityRow *charter_quality(const struct charter *c, const char *institution,
                                      const char *item);

/* ---- policy --------------------------------------------------------------- */

size_t charter_pack_count(const struct charter *c);
const Hr__PolicyRow *charter_pack_at(const struct charter *c, size_t i); /* by pack id */
const Hr__PolicyRow *charter_pack(const struct charter *c, const char *pack);
/* Whether the row's dates cover `date`. */
bool charter_pack_covers(const Hr__PolicyRow *p, const char *date);

enum charter_replication { CHARTER_INDEX, CHARTER_FULL, CHARTER_DIGEST };

/* Settings of the network, defaults filled in. */
struct charter_settings {
    uint32_t look_back_days;              /* default 365 */
    uint32_t cosign_s;                    /* default 10 */
    uint32_t look_back_epochs;            /* default 1 */
    enum charter_replication replication; /* default index */
    size_t sensitive_count;
    char *const *sensitive; /* item codes, sorted */
    size_t identifier_type_count;
    char *const *identifier_types; /* sorted; those of DESIGN 5 are not listed */
};
void charter_settings(const struct charter *c, struct charter_settings *out);
bool charter_is_sensitive(const struct charter *c, const char *item);

/* ---- network keys --------------------------------------------------------- */

/* Epochs, rising; the last is current.  Returns their number, 0: none yet. */
size_t charter_epochs(const struct charter *c, const Hr__NetworkEpoch *const **out);
const Hr__NetworkEpoch *charter_epoch(const struct charter *c, uint32_t epoch);
/* Whether an entry under `epoch` that first appears at `now_s` is taken, and if
 * so whether it is late: after the end, within EPOCH_LATE_S. */
bool charter_epoch_open(const struct charter *c, uint32_t epoch, int64_t now_s, bool *late);

/* Open the network keys that are sealed to `institution`: out[0 .. *count), rising.
 * Those that do not open are left out and counted in *bad (may be NULL).
 *
 * STATUS_OK         all of them.
 * STATUS_NOT_FOUND  not a member, or no key is sealed to it.
 * STATUS_BAD_KEY    some did not open: sealed to other keys, or wrong check. */
MUST_USE enum status charter_network_keys(const struct charter *c, const char *institution,
                                          const struct dh_key *box,
                                          struct network_key out[NETWORK_KEY_EPOCHS_MAX],
                                          size_t *count, size_t *bad);

#endif
