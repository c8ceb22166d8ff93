/* policy_json.h: packs and catalog in hand, and decisions in JSON.
 *
 * The shape of inputs and answers is the contract of `huren policy decide`
 * (README of policy/).  Input is strict JSON (no duplicate members) and total
 * in meaning: a member that is missing, null, or of a wrong type or value is
 * unknown.  Pure: no files, no clock. */
#ifndef NODE_POLICY_JSON_H
#define NODE_POLICY_JSON_H

#include <stddef.h>

#include <jansson.h>

#include "crypto/note.h"
#include "crypto/sha256.h"
#include "node/policy_annex.h"
#include "policy/policy.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

/* ---- the set: catalog and packs, immutable after loading ------------------ */

struct policy_set; /* opaque; may be shared between threads */

/* Load catalog and packs carried in the binary.  On failure NULL, and one line
 * in `error` that names file, line and reason.
 *
 * STATUS_MALFORMED  a file is not what it should be.
 * STATUS_NO_MEMORY  as it says. */
MUST_USE enum status policy_set_load_embedded(struct policy_set **out, char *error,
                                              size_t error_bytes);
void policy_set_free(struct policy_set *set);

/* Add a built pack or annex (pack_file.h) to the set, before the set is shared.
 * A pack's vectors are run.  With keys, one of them must have signed; without,
 * the caller knows the address from a signed charter.  *address is set whenever
 * the file can be read, so that an offender can be named and kept.
 *
 * STATUS_OK             it is in the set now.
 * STATUS_EXISTS         it was there already.
 * STATUS_FORK           another file of this id and version is in the set.
 * STATUS_REFUSED        a vector fails here: this node must not use the pack.
 * STATUS_UNKNOWN_KEY, STATUS_BAD_SIGNATURE  of note_verify.
 * STATUS_MALFORMED, STATUS_UNSUPPORTED, STATUS_TOO_BIG, STATUS_CORRUPT  not such a file,
 *                       or the set is full (TOO_BIG).
 * STATUS_NO_MEMORY.
 * Unless STATUS_OK or STATUS_EXISTS `error` holds one line. */
MUST_USE enum status policy_set_add_file(struct policy_set *set, struct view file,
                                         const struct note_key *keys, size_t key_count,
                                         struct hash *address, char *error, size_t error_bytes);
/* The annex of this pack with this address; NULL when it is not in the set. */
const struct policy_annex *policy_set_annex(const struct policy_set *set, const char *pack,
                                            const uint8_t hash[HASH_BYTES]);

/* The annexes of the set, in the order in which they came. */
struct policy_annex_about {
    const char *pack;
    uint32_t version;
    size_t items;
    const uint8_t *hash; /* HASH_BYTES */
    bool named;          /* policy_set_name_annexes named it */
};
size_t policy_set_annex_count(const struct policy_set *set);
/* False: there is no such index. */
bool policy_set_annex_at(const struct policy_set *set, size_t index,
                         struct policy_annex_about *out);
/* Say which pack of its id is meant where several versions are in the set: the one
 * that a charter puts in force.  No effect when it is not in the set. */
void policy_set_prefer(struct policy_set *set, const uint8_t hash[HASH_BYTES]);
/* Say which annexes a charter puts in force for a pack (at most ANNEXES_OF_PACK_MAX; the
 * first call for a pack counts): policy_set_complete takes them.
 * STATUS_OK, STATUS_TOO_BIG. */
enum { ANNEXES_OF_PACK_MAX = 16 };
MUST_USE enum status policy_set_name_annexes(struct policy_set *set, const char *pack,
                                             const uint8_t (*hashes)[HASH_BYTES], size_t count);
/* An input whole: one without the member `annex` gets what these annexes say of its
 * item, when all are in the set; any other comes back as it is.  A new reference; NULL
 * without memory. */
MUST_USE json_t *policy_set_complete(const struct policy_set *set, const json_t *input);

const struct hr_catalog *policy_set_catalog(const struct policy_set *set);
struct hr_text policy_set_catalog_text(const struct policy_set *set); /* compiled */
size_t policy_set_count(const struct policy_set *set);
const struct hr_pack *policy_set_pack(const struct policy_set *set, size_t index);
/* The compiled text of a pack, its vectors, and its address (pack_file.h). */
struct hr_text policy_set_text(const struct policy_set *set, size_t index);
struct view policy_set_vectors(const struct policy_set *set, size_t index);
/* The same as a file without signatures (pack_file.h); points into the set.
 * STATUS_NOT_FOUND: no such index; statuses of pack_file_head. */
struct pack_file;
MUST_USE enum status policy_set_file(const struct policy_set *set, size_t index,
                                     struct pack_file *out);
const uint8_t *policy_set_hash(const struct policy_set *set, size_t index); /* HASH_BYTES */
/* Index of the pack with this id (of several versions the preferred, else the
 * highest), or of this hash; SIZE_MAX when there is none. */
size_t policy_set_find(const struct policy_set *set, const char *id, size_t id_bytes);
size_t policy_set_find_hash(const struct policy_set *set, const uint8_t hash[HASH_BYTES]);

/* ---- decisions ------------------------------------------------------------ */

/* Where the arrays of an input live.  Zero it; free it when the input is done. */
struct policy_arena {
    struct policy_arena_block *blocks;
};
void policy_arena_free(struct policy_arena *arena);

/* Read a decision input.  *out points into `json` and `arena`, which must stay.
 * The pack is not read here: see policy_decide_json.
 *
 * STATUS_MALFORMED  `json` is not an object.
 * STATUS_NO_MEMORY  as it says. */
MUST_USE enum status policy_input_from_json(const json_t *json, struct policy_arena *arena,
                                            struct hr_policy_input *out);

/* The answer as the contract writes it, with the member `rules` beside (for
 * each check its rule id, citation and texts).  `input` is the one that was
 * decided.  A new reference, or NULL without memory. */
MUST_USE json_t *policy_decision_to_json(const struct hr_pack *pack,
                                         const struct hr_policy_input *input,
                                         const struct hr_decision *decision);

/* Parse one JSON text strictly (no duplicate members; at most JSON_BYTES_MAX),
 * the way inputs are parsed everywhere.  On failure NULL, and one line in `error`.
 *
 * STATUS_MALFORMED, STATUS_NO_MEMORY. */
MUST_USE enum status policy_json_parse(const char *json, size_t bytes, json_t **out,
                                       char *error, size_t error_bytes);

/* Decide a parsed input with the pack that its member `pack` names, of the set.  The
 * input is completed first (policy_set_complete), also for the mark.
 *
 * STATUS_MALFORMED  not an object, or no pack is named.
 * STATUS_NOT_FOUND  the pack is not in the set.
 * STATUS_NO_MEMORY  as it says. */
MUST_USE enum status policy_decide_object(const struct policy_set *set, const json_t *input,
                                          json_t **out);
/* Decide with this pack, whatever the member `pack` names. */
MUST_USE enum status policy_decide_pack(const struct hr_pack *pack,
                                        const struct hr_catalog *catalog, const json_t *input,
                                        json_t **out);
/* The same from text: one line of `huren policy decide`. */
MUST_USE enum status policy_decide_json(const struct policy_set *set, const char *json,
                                        size_t bytes, json_t **out, char *error,
                                        size_t error_bytes);
/* The same for the mark: one line of `huren policy mark`. */
MUST_USE enum status policy_mark_object(const struct policy_set *set, const json_t *input,
                                        json_t **out);
MUST_USE enum status policy_mark_json(const struct policy_set *set, const char *json,
                                      size_t bytes, json_t **out, char *error,
                                      size_t error_bytes);

/* The canonical bytes of an input (or of any JSON value): UTF-8, members
 * sorted, no blanks.  What a Decided entry keeps, so that it can be replayed.
 * To be freed with free(); NULL without memory. */
MUST_USE char *policy_json_canonical(const json_t *json, size_t *bytes);

#endif
