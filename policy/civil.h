/* civil.h: dates and instants without a clock.  Internal to policy/.
 * Source: RFC 3339; proleptic Gregorian calendar; civil dates in UTC+8. */
#ifndef POLICY_CIVIL_H
#define POLICY_CIVIL_H

#include "policy/policy.h"

/* Days since 1970-01-01 of a date of the years 0 to 9999. */
int32_t hr_civil_day(int32_t year, int32_t month, int32_t day);
/* The year of a day, and its month (1 to 12). */
void hr_civil_year_month(int32_t day, int32_t *year, int32_t *month);
/* The civil date in UTC+8 of an instant. */
struct hr_date hr_civil_date(struct hr_time time);
/* Compare two known instants, fractions included: < 0, 0, > 0. */
int hr_civil_compare(struct hr_time a, struct hr_time b);

#endif
