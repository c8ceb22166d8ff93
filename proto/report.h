/* report.h: building hr.Report messages piece by piece.
 * An arena holds a report and all its texts, so that one call frees it.  Pure.
 *
 * Every allocating call can fail (memory, or the arena's limit); it then answers
 * NULL and the arena remembers: report_arena_failed tells it once at the end.
 * Texts are never NULL in a report: protobuf-c's empty string stands for
 * "nothing said". */
#ifndef PROTO_REPORT_H
#define PROTO_REPORT_H

#include <stdbool.h>

#include "proto/limits.h"
#include "proto/report.pb-c.h"
#include "proto/view.h"

struct report_arena; /* opaque */

/* NULL when there is no memory.  `bytes_max` bounds all that it will hand out. */
struct report_arena *report_arena_new(size_t bytes_max);

/* Frees everything that came from it.  NULL is allowed. */
void report_arena_free(struct report_arena *a);

/* Give back all pieces but keep the arena for the next report. */
void report_arena_reset(struct report_arena *a);

bool report_arena_failed(const struct report_arena *a);

/* Zeroed memory for any object; NULL after a failure. */
void *report_alloc(struct report_arena *a, size_t bytes);

/* A copy of `v` as a C string: zero bytes and other control characters but line
 * breaks and tabs become blanks, CR and CRLF become LF, and bytes that are not
 * UTF-8 become U+FFFD.  Never NULL: the empty string after a failure. */
char *report_text(struct report_arena *a, struct view v);

/* An empty report with its patient, format 1. */
Hr__Report *report_new(struct report_arena *a);

/* Add an item, identifier, flag or mark; NULL / false after a failure or above
 * REPORT_ITEMS_MAX, REPORT_IDENTIFIERS_MAX, REPORT_FLAGS_MAX. */
Hr__Item *report_add_item(struct report_arena *a, Hr__Report *r);
Hr__Identifier *report_add_identifier(struct report_arena *a, Hr__Report *r, char *type,
                                      char *value);
bool report_add_flag(struct report_arena *a, Hr__Item *item, char *flag);

/* Join `more` to the text `old` with `between`; NULL is never returned. */
char *report_join(struct report_arena *a, char *old, const char *between, char *more);

#endif
