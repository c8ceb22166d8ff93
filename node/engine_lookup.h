/* engine_lookup.h: look-ups under way, inside of the engine. */
#ifndef NODE_ENGINE_LOOKUP_H
#define NODE_ENGINE_LOOKUP_H

#include "node/engine.h"
#include "node/lookup.h"
#include "store/kv.h"

enum {
    LOOKUP_HOLDERS_MAX = 64,
    LOOKUP_LEAVES_ASKED_MAX = 64, /* of one holder in one look-up */
    LOOKUP_TEXT_MAX = 128,
    LOOKUP_TOGETHER_MAX =
        16, /* asked in one request: more would keep the holder idle meanwhile */
};

enum ask_state {
    ASK_WRITING = 1, /* its Asked entry is not yet committed */
    ASK_READY,       /* committed; no session is up */
    ASK_SENT,
    ASK_OVER,   /* answered or refused */
    ASK_SILENT, /* its answer left this question out */
};

/* Why an answer gives nothing: Refused.reason of log.proto, LookupTell.refused. */
enum {
    REASON_NOT_MEMBER = 1,
    REASON_RECEIPT = 2,
    REASON_BUSY = 3,
    REASON_FORBIDDEN = 5,
    REASON_HELD = 6,
    REASON_FULL = 7 /* never in an entry: there is no room for it */
};

/* What one holder is asked. */
struct lookup_holder {
    char institution[INSTITUTION_CHARS_MAX + 1];
    enum ask_state state;
    uint32_t session, request;
    uint64_t exch_index;
    struct hash asked; /* leaf hash of the Asked entry */
    uint8_t *entry;    /* malloced */
    size_t entry_count;
    bool refused;
    uint32_t reason; /* of a refusal; when silent, of one that it did not log; 0: none given */
};

enum run_state { RUN_ASKING = 1, RUN_WAITING, RUN_DECIDING, RUN_OVER };

struct lookup_run {
    struct lookup_run *next;
    struct network *network;
    struct call_sink *sink;
    json_t *args; /* ours; the question points into it */
    bool json, evidence;
    struct lookup_question question;
    const char *items[LOOKUP_ITEMS_MAX];
    char value[IDENTIFIER_CHARS_MAX + 1];
    struct lookup *lookup;
    enum run_state state;
    int64_t deadline_ms;
    uint8_t salt[STORE_SALT_BYTES];
    uint8_t asked_hash[HASH_BYTES]; /* the salted question */
    size_t holder_count;
    struct lookup_holder *holders;
    struct job job;
    uint64_t at_ms;
};

/* engine_lookup_print_io.c: answer the call; the look-up is decided. */
void engine_lookup_print(struct lookup_run *run);

/* engine_use_io.c: a decision here leaned on this result; it stands in `count` entries
 * of our exch log from `exch` on. */
MUST_USE enum status engine_note_use(struct network *n, struct store_txn *txn,
                                     const struct lookup_leaf *leaf, const char *item,
                                     uint64_t exch, size_t count, uint64_t at_ms);

/* What a look-up says of decisions here that leaned on this leaf, if it is recalled, or
 * on an earlier version of it; NULL: there is none, and it is not recalled.
 * {what: corrected | withdrawn, leaf, by, used_at: null = not here}. */
json_t *engine_recalled_json(struct network *n, const struct lookup_leaf *leaf);

/* engine_receipt_io.c: we owe `institution` a proof of this exch entry / it
 * owes us one of the entry with this hash at this index of its log. */
void engine_receipt_owe(struct network *n, const char *institution, uint64_t index);
void engine_receipt_expect(struct network *n, const char *institution, const char *origin,
                           uint64_t index, const struct hash *leaf);
/* The exch log that a member uses now: a restored one begins another, and cannot pay
 * for what stood in the one before. */
void engine_receipt_log(struct network *n, const char *institution, const char *origin);
bool engine_receipt_overdue(struct network *n, const char *institution);
/* It refused us for receipts: it is told all of them again. */
void engine_receipt_refused(struct network *n, const char *institution);
void engine_receipt_frame(struct network *n, uint32_t session, const char *institution,
                          const struct frame *f);
void engine_receipt_peer(struct network *n, uint32_t session, const char *institution, bool up);

/* The session to send on, 0 if none is up; dial one if there is none. */
uint32_t engine_session(struct network *n, const char *institution);
void engine_dial(struct network *n, const char *institution);

#endif
