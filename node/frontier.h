/* frontier.h: what a node holds, in lines that two nodes can compare.
 *
 * Source: DESIGN 9.  One line for each log, offered head and charter document:
 *
 *   <origin> <size> <root, base64>          newest head that is held and verified
 *   <origin>#cosigned <size> <set>          newest offered head; bit i of the number: a line
 *                                           of witness i of this log is known
 *   <origin>#fork 1 0                       two heads of it contradict each other, provably
 *   charter/<kind> <version> <hash, base64> SHA-256 of the text of the note
 *   charter/<kind>#signed <version> <signers, base64>
 *                                           whose signatures are under it (charter_signers);
 *                                           read as a charter line of the kind <kind>#signed
 *
 * The key of a line is what stands before its first blank.  Lines are sorted
 * as bytes and ended by LF; the digest is the SHA-256 of them all.  A line is
 * in the bucket numbered by the first byte of the SHA-256 of its key.
 * Pure but for memory. */
#ifndef NODE_FRONTIER_H
#define NODE_FRONTIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/tree.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    FRONTIER_LINE_CHARS_MAX = ORIGIN_CHARS_MAX + 80,
    FRONTIER_LINES_MAX = 3 * LOGS_MAX + 16,
};

/* What ends the kind of a line that tells whose signatures are under a document. */
#define FRONTIER_SIGNED "#signed"

enum frontier_what { FRONTIER_LOG = 1, FRONTIER_COSIGNED, FRONTIER_CHARTER, FRONTIER_FORK };

struct frontier_line {
    enum frontier_what what;
    struct view name;  /* origin, or kind of charter document; points into the text */
    uint64_t number;   /* size or version */
    uint64_t cosigned; /* set of witnesses: who, not how many, or two nodes with one
                          line each would never tell each other */
    struct hash hash;  /* root, or of the note's text */
};

/* Read a line, without its LF, from outside.  STATUS_MALFORMED: anything but
 * the four forms above, numbers without leading zeros and below 2^63. */
MUST_USE enum status frontier_read(struct view text, struct frontier_line *out);

/* Write a line without LF; returns its length.  The name must fit (asserted). */
size_t frontier_write(const struct frontier_line *line, char out[FRONTIER_LINE_CHARS_MAX + 1]);

/* The bucket of a line's text. */
uint8_t frontier_bucket(struct view text);

/* A set of lines.  Zero it to begin; frontier_free at the end. */
struct frontier {
    size_t count, room;
    char **lines; /* sorted after frontier_seal, NUL at the end */
    uint8_t *bucket_of;
    struct hash digest;
    bool buckets_known;
    struct hash buckets[GOSSIP_BUCKETS]; /* see frontier_buckets */
};

/* STATUS_TOO_BIG: FRONTIER_LINES_MAX lines are there.  STATUS_NO_MEMORY. */
MUST_USE enum status frontier_add(struct frontier *f, const struct frontier_line *line);
/* Sort and compute the digest; no more lines afterwards. */
void frontier_seal(struct frontier *f);
/* The digest of each bucket: SHA-256 of its lines, sorted, each ended by LF.
 * Also fills bucket_of.  After frontier_seal. */
const struct hash *frontier_buckets(struct frontier *f);
/* Forget all lines (the memory is kept); then zero or more frontier_add. */
void frontier_clear(struct frontier *f);
void frontier_free(struct frontier *f);

#endif
