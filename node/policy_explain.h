/* policy_explain.h: a decision as a page for people.
 *
 * For a doctor: what the rules ask, what stands against it, what is unknown and
 * what would settle it, what to do in either case, each with its clause.  For
 * an official: every check as a table.  Pure. */
#ifndef NODE_POLICY_EXPLAIN_H
#define NODE_POLICY_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"
#include "proto/status.h"

/* Write the page as text, lines ended by LF.  *out is the caller's, to be freed
 * with free().
 *
 * STATUS_NO_MEMORY  as it says. */
MUST_USE enum status policy_explain_page(const struct hr_pack *pack,
                                         const struct hr_catalog *catalog,
                                         const struct hr_policy_input *input, bool english,
                                         char **out);
/* The same as a table, columns parted by TAB, first line the headings:
 * check, value, cap on the verdict, rule, citation, text. */
MUST_USE enum status policy_explain_table(const struct hr_pack *pack,
                                          const struct hr_catalog *catalog,
                                          const struct hr_policy_input *input, bool english,
                                          char **out);

#endif
