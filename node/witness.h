/* witness.h: reading heads of logs with their cosignatures, merging them, and
 * when a witness may cosign.
 *
 * Source: DESIGN 6, 10; FORMATS 2 to 4; RELIABILITY 4.
 * Pure.  Notes come from peers; keys come from the members. */
#ifndef NODE_WITNESS_H
#define NODE_WITNESS_H

#include <stdbool.h>

#include "crypto/checkpoint.h"
#include "crypto/cosignature.h"
#include "node/gossip.h"

enum { WITNESS_KEYS_MAX = GOSSIP_MEMBER_KEYS_MAX * (WITNESSES_MAX + 1) };

/* The keys that may stand under heads of the logs of one institution. */
struct witness_keys {
    size_t count;     /* of keys: the log's own first, */
    size_t log_count; /* so many; then those of the witnesses */
    struct note_key keys[WITNESS_KEYS_MAX];
    int64_t from_s[WITNESS_KEYS_MAX], to_s[WITNESS_KEYS_MAX];
    uint8_t witness[WITNESS_KEYS_MAX]; /* whose key, counted among the witnesses */
    size_t witness_count;              /* the *of*: never the institution itself */
    const char *names[WITNESSES_MAX];  /* institution of each witness */
};

/* Make the keys of all witnesses (dear: each key is vetted), once for a version
 * of the charter.  `members` must outlive the result. */
void witness_keys_of_all(const struct gossip_member *members, size_t count, const char *network,
                         struct witness_keys *out);

/* The keys of the author of one log.  Dear, too: kept with the log. */
struct witness_author {
    size_t count;
    struct note_key keys[GOSSIP_MEMBER_KEYS_MAX];
    int64_t from_s[GOSSIP_MEMBER_KEYS_MAX], to_s[GOSSIP_MEMBER_KEYS_MAX];
};
/* NULL: no member, no keys. */
void witness_author_keys(const struct gossip_member *author, const char *origin,
                         struct witness_author *out);

/* The keys for a log of `institution`: its author's and those of the witnesses,
 * itself left out. */
void witness_keys_of_log(const struct witness_author *author, const char *institution,
                         const struct witness_keys *all, struct witness_keys *out);

/* What a head says, and who vouches for it. */
struct witness_head {
    struct view text; /* of the note; points into its bytes */
    uint64_t size;
    struct hash root;
    uint32_t witnesses; /* bit i: witness i cosigned, at a time that has come */
    uint32_t present;   /* witness_recall: bit i: there is a line of witness i, of any time */
    size_t cosigned;    /* how many */
    uint64_t log_lines; /* witness_open: the lines by the log itself, */
    uint64_t lines;     /* and all that verified, for witness_keep */
};

/* Read and verify a head of `origin`.  The log's key must be in force at now_s,
 * or have been when a witness cosigned.  A line of an unknown key is ignored.
 *
 * STATUS_OK
 * STATUS_MALFORMED, STATUS_TOO_BIG  not a checkpoint note.
 * STATUS_REFUSED        of another origin.
 * STATUS_UNKNOWN_KEY    not signed by a key of this log that was in force.
 * STATUS_BAD_SIGNATURE  a line of a known key is not valid. */
MUST_USE enum status witness_open(struct view bytes, struct view origin,
                                  const struct witness_keys *keys, int64_t now_s,
                                  struct witness_head *out);

/* The same for a note of our own store: lines are looked up, not verified again. */
MUST_USE enum status witness_recall(struct view bytes, struct view origin,
                                    const struct witness_keys *keys, int64_t now_s,
                                    struct witness_head *out);

/* Whether every line of `theirs` is in `ours` already, byte for byte (and the
 * texts are the same): then there is nothing to verify or to merge. */
bool witness_covers(struct view ours, struct view theirs);

/* Write the note with those of its lines only: what a stranger appended goes. */
MUST_USE enum status witness_keep(struct view bytes, uint64_t lines,
                                  uint8_t out[NOTE_BYTES_MAX], size_t *count);

/* Write `ours`, which was verified, with the cosignatures of `theirs` added by
 * witnesses that are not on it.  Only new lines are verified, so that a note that
 * comes from fifteen peers costs one verification for each witness.
 *
 * STATUS_OK             *added says how many.
 * STATUS_MALFORMED, STATUS_TOO_BIG  not notes, or of two texts.
 * STATUS_BAD_SIGNATURE  a new line of a known key is not valid. */
MUST_USE enum status witness_add(struct view ours, struct view theirs,
                                 const struct witness_keys *keys, uint8_t out[NOTE_BYTES_MAX],
                                 size_t *count, size_t *added);

/* Whether the two notes have the same text. */
bool witness_same_text(struct view a, struct view b);

/* May a witness sign (size, root) after it signed (last_size, last_root)?
 * `last_root_now` is the root that our copy of the log has at last_size; a
 * witness that never signed this log gives last_size 0.
 *
 * STATUS_OK
 * STATUS_EXISTS   it signed this one already.
 * STATUS_REFUSED  smaller than the last.
 * STATUS_FORK     same size and another root, or not an extension of the last. */
MUST_USE enum status witness_may_cosign(uint64_t last_size, const struct hash *last_root,
                                        const struct hash *last_root_now, uint64_t size,
                                        const struct hash *root);

#endif
