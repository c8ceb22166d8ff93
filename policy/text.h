/* text.h: comparing borrowed text.  Internal to policy/. */
#ifndef POLICY_TEXT_H
#define POLICY_TEXT_H

#include "policy/policy.h"

/* Order by bytes; an unknown text is like an empty one. */
int hr_text_compare(struct hr_text a, struct hr_text b);
bool hr_text_equal(struct hr_text a, struct hr_text b);
/* Is `a` the C string `b`? */
bool hr_text_is(struct hr_text a, const char *b);
bool hr_text_starts_with(struct hr_text a, struct hr_text prefix);
/* Has it no character but Unicode white space? */
bool hr_text_is_blank(struct hr_text a);
/* Equal once all Unicode white space is removed from both (AMB-G22)? */
bool hr_text_equal_unspaced(struct hr_text a, struct hr_text b);

#endif
