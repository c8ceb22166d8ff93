/* kleene.h: three-valued logic.  Internal to policy/. */
#ifndef POLICY_KLEENE_H
#define POLICY_KLEENE_H

#include "policy/policy.h"

static inline enum hr_value
kleene(bool truth)
{
    return truth ? HR_TRUE : HR_FALSE;
}

static inline enum hr_value
kleene_and(enum hr_value a, enum hr_value b)
{
    if (a == HR_FALSE || b == HR_FALSE) {
        return HR_FALSE;
    }
    return a == HR_TRUE && b == HR_TRUE ? HR_TRUE : HR_UNKNOWN;
}

static inline enum hr_value
kleene_or(enum hr_value a, enum hr_value b)
{
    if (a == HR_TRUE || b == HR_TRUE) {
        return HR_TRUE;
    }
    return a == HR_FALSE && b == HR_FALSE ? HR_FALSE : HR_UNKNOWN;
}

#endif
