/* publish.h: a report becomes entries and records of our own log.
 *
 * Source: DESIGN sections 5 (identifiers, records, briefs, held reports), 6
 * (Publish, Correct, Withdraw).  Pure: no clock, no store; the ledger rows of
 * earlier publications come in as arguments, random keys of held reports too.
 *
 * A report is published once under each identifier of its patient: the caller
 * has left only those that may be published under (normalise.h, `usable`).  The ledger
 * finds it again by its *handle*, which only this home can compute; each leaf
 * of ours has a row saying which content, for which identifier, how new. */
#ifndef NODE_PUBLISH_H
#define NODE_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/networkkey.h"
#include "proto/limits.h"
#include "proto/report.pb-c.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    PUBLISH_IDENTIFIERS_MAX = 2, /* DESIGN 5 */
    PUBLISH_HANDLE_BYTES = 16,
    PUBLISH_RANK_BYTES = 16 + 8 + 1 + 1 + 8,
    PUBLISH_ENTRY_BYTES_MAX = 192
};

enum publish_what { PUBLISH_NEW = 1, PUBLISH_CORRECT = 2, PUBLISH_WITHDRAW = 3 };

/* What the ledger holds of one leaf of ours (store: an `own` row). */
struct publish_row {
    uint64_t leaf;
    uint8_t content[PUBLISH_HANDLE_BYTES];    /* of the report without derived marks */
    uint8_t identifier[PUBLISH_HANDLE_BYTES]; /* which identifier it stands under */
    uint8_t token[TOKEN_BYTES];
    uint32_t epoch;
    uint64_t reported_s; /* 0 = not stated */
    uint8_t rank;        /* preliminary 1, final 2, corrected 3 */
    uint8_t what;        /* enum publish_what */
    uint64_t replaces;   /* of PUBLISH_CORRECT and PUBLISH_WITHDRAW */
    bool held;           /* its record is sealed under a key of its own, kept here */
};

/* Pack and unpack the part of a row that the store keeps as `rank` bytes. */
void publish_row_pack(const struct publish_row *row, uint8_t out[PUBLISH_RANK_BYTES]);
MUST_USE enum status publish_row_unpack(struct view rank, struct publish_row *row);

/* Is this row's leaf the one that counts now: not replaced, no withdrawal? */
bool publish_is_live(const struct publish_row *rows, size_t count, size_t at);

/* Where and under which keys we publish.  `sensitive` and `number` are asked
 * by canonical code; number gives 0 for a code that the catalog lacks. */
struct publish_context {
    const char *network;
    const char *institution; /* as in origins */
    const char *origin;      /* of our pub log */
    const struct network_key *network_key;
    const struct network_key *earlier; /* keys of epochs that ended, rising */
    size_t earlier_count;
    const uint8_t *ledger_key; /* KEY_BYTES, secret, of this home and network */
    void *ctx;
    bool (*sensitive)(void *ctx, const char *code);
    uint32_t (*number)(void *ctx, const char *code);
};

/* The handle of a report: sender, kind and the filler's number. */
void publish_report_handle(const struct publish_context *c, const Hr__Report *report,
                           uint8_t out[PUBLISH_HANDLE_BYTES]);

/* One thing to append to our log. */
struct publish_step {
    enum publish_what what;
    const Hr__Identifier *identifier; /* NULL for PUBLISH_WITHDRAW */
    uint64_t replaces;
    uint8_t token[TOKEN_BYTES]; /* of PUBLISH_WITHDRAW: the old entry's */
    uint32_t epoch;             /* likewise */
    uint32_t reason;            /* of PUBLISH_WITHDRAW */
};

enum publish_outcome {
    PUBLISH_STEPS,         /* something is to be appended */
    PUBLISH_REPEAT,        /* exactly this is published already */
    PUBLISH_STALE,         /* overtaken by what is published, or withdrawn since */
    PUBLISH_NO_IDENTIFIER, /* no valid person-wide identifier: kept, not published */
    PUBLISH_NO_TIME,       /* no day of examination: kept, not published */
    PUBLISH_NOTHING        /* a withdrawal of something never published */
};

struct publish_plan {
    enum publish_outcome outcome;
    size_t count;
    struct publish_step steps[4 * PUBLISH_IDENTIFIERS_MAX];
};

/* Decide what to append for `report`, given the rows of its handle (any
 * order).  `withdraw` is 0, or the reason of a withdrawal, which takes back all
 * that is live, whatever the order of messages.
 *
 * A message whose content under one of its identifiers was published and replaced
 * or withdrawn since, or that is older than a live leaf of the report under any
 * identifier (time of reporting, then status), is PUBLISH_STALE as a whole.  One
 * that only names fewer identifiers than what is live, its content being live,
 * is a repeat: it cannot be told from an old message.
 *
 * What is held stays held: a report of which a live leaf is held is to be given
 * with `held` set (publish_stays_held).  What is held now and was not before is
 * corrected, so that nobody hands it out any more.
 * STATUS_TOO_BIG: more rows than can be told apart (a report published under
 * more identifiers than PUBLISH_IDENTIFIERS_MAX at once). */
MUST_USE enum status publish_plan(const struct publish_context *c, const Hr__Report *report,
                                  uint32_t withdraw, const struct publish_row *rows,
                                  size_t row_count, struct publish_plan *out);

/* The bytes of one step.  `record` is malloced; free with publication_free. */
struct publication {
    uint8_t entry[PUBLISH_ENTRY_BYTES_MAX];
    size_t entry_count;
    uint8_t *record; /* NULL for PUBLISH_WITHDRAW */
    size_t record_count;
    bool held;              /* record is sealed under held_key, which stays here */
    struct publish_row row; /* leaf not yet known */
};

/* Is one of the leaves that count now held?  Then its corrections are, too. */
bool publish_stays_held(const struct publish_row *rows, size_t count);

/* Is the report held: does one of its items want it, or the report itself? */
bool publish_is_held(const struct publish_context *c, const Hr__Report *report);

/* Make the entry, record and ledger row of a step.  `held_key`: 32 random
 * bytes, used if the report is held.
 *
 * STATUS_OK, STATUS_TOO_BIG (the report is over REPORT_BYTES_MAX),
 * STATUS_MALFORMED (no usable day of examination), STATUS_NO_MEMORY. */
MUST_USE enum status publish_make(const struct publish_context *c, const Hr__Report *report,
                                  const struct publish_step *step,
                                  const uint8_t held_key[KEY_BYTES], struct publication *out);
void publication_free(struct publication *p); /* NULL is allowed */

/* The day of examination (days since 1970-01-01, UTC+8) of a report: its own,
 * else the first of its items.  False if none is stated. */
bool publish_day(const Hr__Report *report, uint16_t *day);

#endif
