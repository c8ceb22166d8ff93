/* charter_impl.h: what charter.c, charter_check.c and charter_query.c share. */
#ifndef NODE_CHARTER_IMPL_H
#define NODE_CHARTER_IMPL_H

#include "node/charter.h"

/* A document and the bytes that it points into, in one block. */
struct charter_stored {
    struct charter_document doc;
    uint8_t bytes[];
};

struct charter_session {
    uint8_t key[KEY_BYTES];
    const Hr__MemberRow *member;
    const Hr__PublicKeys *keys;
};

struct charter {
    size_t root_count;             /* at least 1 */
    struct charter_stored **roots; /* versions without a gap, lowest first */
    /* Others by kind; NULL: none.  [CHARTER_ROOT] is the root in force. */
    const struct charter_document *docs[CHARTER_KIND_COUNT];
    struct charter_stored *owned[CHARTER_KIND_COUNT];
    uint64_t signed_under[CHARTER_KIND_COUNT];

    struct pb_arena arena;
    uint8_t arena_memory[PB_ARENA_BYTES];
    ProtobufCMessage **rows[CHARTER_KIND_COUNT]; /* as many and in the order of the document */

    size_t members_from; /* 1 when row 0 holds the epochs */
    size_t session_count;
    struct charter_session *sessions; /* by key */
};

/* Keys and threshold of a role in a whole root.
 * STATUS_OK, STATUS_MALFORMED, STATUS_NO_MEMORY */
MUST_USE enum status charter_root_keys(const struct charter_document *root,
                                       enum charter_kind role,
                                       struct note_key keys[CHARTER_KEYS_MAX],
                                       size_t *key_count, uint32_t *threshold);

/* Whether a threshold of the role's keys in `root` signed the note.
 * STATUS_OK, STATUS_THRESHOLD, STATUS_UNKNOWN_KEY, STATUS_BAD_SIGNATURE ...;
 * `reason` as charter_check_next; it begins with `what`. */
MUST_USE enum status charter_check_signed(const struct charter_document *root,
                                          enum charter_kind role, struct view note,
                                          const char *what, char reason[CHARTER_REASON_CHARS]);

/* Whether root rows say that this text is void.  STATUS_OK, STATUS_NO_MEMORY. */
MUST_USE enum status charter_root_voids(const struct charter_document *root,
                                        enum charter_kind kind, const struct hash *hash,
                                        bool *voids);

/* Whether the row "previous" of `root` names this text.  STATUS_OK, STATUS_NO_MEMORY. */
MUST_USE enum status charter_root_follows(const struct charter_document *root,
                                          const struct hash *hash, bool *follows);

/* Whether a policy document announces what it changes early enough.  Measured
 * against the version before it alone: who missed versions cannot know when
 * a row was first announced, and takes what the threshold signed.  The first
 * policy document of a network may hold at once.
 * STATUS_OK, STATUS_REFUSED with `reason`, or a status of charter_row_decode. */
enum { CHARTER_NOTICE_S = 48 * 3600 };
MUST_USE enum status charter_check_notice(const struct charter *c,
                                          const struct charter_document *next,
                                          char reason[CHARTER_REASON_CHARS]);

/* "members 4 of yx.cn" */
enum { CHARTER_WHAT_CHARS = 128 };
void charter_what(const struct charter_head *head, char out[CHARTER_WHAT_CHARS]);

#endif
