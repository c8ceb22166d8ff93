/* audit.h: what `huren audit verify` checks above the store: signatures on heads
 * and receipts, charter documents in all versions, entries that contradict each
 * other, and logs that were handed over as static files.
 *
 * Source: DESIGN 6 (last point), 7, 10; C2SP tlog-tiles.  Rows, hashes and
 * trees of a store are checked by store/check.h, pages by store/pages.h.
 * Pure: reads a snapshot, or files through a callback. */
#ifndef NODE_AUDIT_H
#define NODE_AUDIT_H

#include "crypto/note.h"
#include "node/charter.h"
#include "store/log.h"

/* What a finding says about the home or file. */
enum audit_kind {
    AUDIT_DAMAGE,        /* it is not what it was: exit 1 */
    AUDIT_CONTRADICTION, /* whole, but its author contradicts itself: kept, shown, no damage */
    AUDIT_UNKNOWN,       /* could not be told: exit 2, unless there is damage */
};
const char *audit_kind_text(enum audit_kind kind); /* "damage", "contradiction", "unknown" */

enum { AUDIT_WHAT_CHARS = 256, AUDIT_KEYS_MAX = 64 };
struct audit_finding {
    enum audit_kind kind;
    const char *part;   /* "entry", "tile", "head", "receipt", "charter" ... */
    struct view origin; /* of the log; or the network, for "charter"; empty: none */
    bool has_index;
    uint64_t index; /* leaf, tile, row or version */
    bool has_level;
    unsigned level;              /* of a tile */
    char what[AUDIT_WHAT_CHARS]; /* one line */
};
typedef void (*audit_finding_fn)(void *context, const struct audit_finding *finding);

struct audit_sink {
    audit_finding_fn finding;
    void *context;
    uint64_t heads, cosignatures, receipts, documents; /* that were verified */
    uint64_t damages, contradictions, unknowns;
};
__attribute__((format(printf, 6, 7))) void
audit_report(struct audit_sink *s, enum audit_kind kind, const char *part, struct view origin,
             const uint64_t *index, const char *format, ...);

/* ---- what is signed -------------------------------------------------------------- */

/* All keys that may stand under notes of the logs of one institution. */
struct audit_keys {
    size_t count, log_count; /* the log's own first */
    struct note_key keys[AUDIT_KEYS_MAX];
};
/* From the charter: keys past and present.  `self` (may be NULL) is the home's
 * institution, whose witness key counts whatever its roles. */
void audit_keys_of(const struct charter *c, struct view origin, const char *self,
                   struct audit_keys *out);

/* Heads of all logs of `network`, offered and cosigned ones too: form, origin,
 * signatures, root against the tree, and that an own head does not stand above the
 * entries that are there.  `c` NULL: no charter; then signatures are counted as
 * unknown where there is anything to verify.  What the store says, if it fails. */
MUST_USE enum status audit_heads(struct store_txn *txn, const char *network,
                                 const struct charter *c, const char *self,
                                 struct audit_sink *sink);

/* Receipts: `space` is the store's space of named values that holds them. */
MUST_USE enum status audit_receipts(struct store_txn *txn, uint8_t space, const char *network,
                                    const struct charter *c, struct audit_sink *sink);

/* Every version of every document of `network`: rows against the note's root, and
 * that a threshold signed it.  *out is the charter in force, NULL if there is none. */
MUST_USE enum status audit_charter(struct store_txn *txn, const char *network,
                                   struct charter **out, struct audit_sink *sink);

/* ---- what entries say -------------------------------------------------------------- */

struct audit_claim {
    uint64_t leaf, replaces; /* a Correct or Withdraw at `leaf`, of `replaces` */
    uint8_t token[TOKEN_BYTES];
};
/* Whether the entry of a pub log makes such a claim.  *readable: whether it is any
 * entry that we know. */
bool audit_claim_read(struct view entry, struct audit_claim *out, bool *readable);

/* The hash that the record of a pub entry must have, for store_check_options. */
bool audit_sealed_of(void *context, struct view origin, struct view entry,
                     uint8_t sealed[HASH_BYTES]);

/* Gives the entry at `index` of the log in hand; what it says otherwise ends the check. */
typedef enum status (*audit_entry_fn)(void *context, uint64_t index, struct view *entry);

/* Judge the claims of one log (in any order; they are sorted): each must name an
 * earlier leaf under the same token that is not replaced yet and no Withdraw. */
MUST_USE enum status audit_claims(struct audit_claim *claims, size_t count, struct view origin,
                                  audit_entry_fn entry, void *context, struct audit_sink *sink);

/* ---- a log as static files --------------------------------------------------------- */

/* Read a file under the folder of the log into malloced memory.
 * STATUS_NOT_FOUND, STATUS_TOO_BIG, STATUS_IO, STATUS_NO_MEMORY. */
typedef enum status (*audit_read_fn)(void *context, const char *path, size_t max,
                                     uint8_t **bytes, size_t *count);
/* A head of the log that is known from elsewhere: its own copy, cosigned heads ... */
struct audit_known {
    const char *name; /* "the copy in this home" */
    uint64_t size;
    struct hash root;
    bool seen, agrees; /* written */
};
enum { AUDIT_KNOWN_MAX = 8 };
struct audit_log {
    audit_read_fn read;
    void *context;
    const struct audit_keys *keys; /* NULL or without the log's: unknown */
    bool (*progress)(void *context, uint64_t done,
                     uint64_t size); /* false: stop; may be NULL */
    struct audit_known known[AUDIT_KNOWN_MAX];
    size_t known_count;
    /* found */
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t size, entries, tiles;
    bool head_signed; /* by a known key of the log */
    struct hash root; /* as the entries give it */
};
/* Check a log in the layout of `huren log tiles`: every entry against its tile,
 * every tile against the one above, the root against the signed head and against
 * what is known from elsewhere.
 * STATUS_OK also with findings; STATUS_NOT_FOUND: no checkpoint there;
 * STATUS_MALFORMED: it is none. */
MUST_USE enum status audit_log(struct audit_log *log, struct audit_sink *sink);

/* Only the head: its origin, for looking up keys and what is known. */
MUST_USE enum status audit_log_head(struct audit_log *log);

#endif
