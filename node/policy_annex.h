/* policy_annex.h: an item list that a pack's document refers to but that came
 * later: which items are listed, and each one's time limit.
 *
 * CSV with the columns code, limit_days (empty: no limit), citation.  Rules of
 * the pack (`source: annex`, `limit: annex`) read it through the member `annex`
 * of the decision input.  Pure. */
#ifndef NODE_POLICY_ANNEX_H
#define NODE_POLICY_ANNEX_H

#include <jansson.h>

#include "policy/policy.h"
#include "proto/status.h"
#include "proto/view.h"

enum { ANNEX_LIMIT_DAYS_MAX = 36500 };

struct policy_annex; /* opaque, immutable */

/* What an annex says of an item. */
struct policy_annex_row {
    bool listed;
    bool limited;
    int32_t limit_days; /* when limited */
};

/* Read it.  Refused with "name:line: reason" in `error`: an item twice or not
 * in the catalog, a limit that is no plain number, a row without citation.
 *
 * STATUS_MALFORMED, STATUS_NO_MEMORY. */
MUST_USE enum status policy_annex_load(struct view csv, const char *name,
                                       const struct hr_catalog *catalog,
                                       struct policy_annex **out, char *error,
                                       size_t error_bytes);
void policy_annex_free(struct policy_annex *annex);

size_t policy_annex_count(const struct policy_annex *annex);
/* An item that has no row is not listed. */
struct policy_annex_row policy_annex_find(const struct policy_annex *annex,
                                          struct hr_text code);

/* Of several annexes of a pack: an item is listed if one of them lists it, and the
 * shortest of their limits holds, since a reading promises what is sure. */
void policy_annex_add(struct policy_annex_row *all, struct policy_annex_row one);
/* As the member `annex` of a decision input.  A new reference; NULL without memory. */
MUST_USE json_t *policy_annex_json(struct policy_annex_row row);

#endif
