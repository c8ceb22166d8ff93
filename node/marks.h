/* marks.h: which marks a report of ours bears (policy contract, "The mark").
 *
 * A mark is derived, never typed: what the source claims and the rules do not
 * bear out stays a claim.  The moment is that of the report, so that the same
 * report bears the same marks whenever it is imported.  Pure. */
#ifndef NODE_MARKS_H
#define NODE_MARKS_H

#include "node/charter.h"
#include "node/policy_json.h"
#include "proto/report.h"

/* Set `marks` and `mark_note` of the report and `marks` of its items, in the
 * report's arena, anew (what stood there goes), from all packs that the charter has in force.
 * STATUS_OK or STATUS_NO_MEMORY. */
MUST_USE enum status marks_derive(const struct charter *c, const struct policy_set *policy,
                                  const char *institution, int64_t now_s,
                                  struct report_arena *arena, Hr__Report *report);

/* Do the marks of the report bear out what its source claims, for a row or (NULL) for
 * the page?  If not it is a claim, to be shown as such. */
bool marks_bear_out(const Hr__Report *report, const Hr__Item *item, const char *claim);

#endif
