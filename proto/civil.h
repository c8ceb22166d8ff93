/* civil.h: dates and times as people and messages write them.
 * Source: RFC 3339 (and ISO 8601 for less than seconds); HL7 v2 DTM and TS
 * (INTERFACES.md 1.7); days are counted in the proleptic Gregorian calendar.
 * Pure: no clock, no time zone database.  The stated precision is kept: a date
 * never gets an hour that nobody wrote. */
#ifndef PROTO_CIVIL_H
#define PROTO_CIVIL_H

#include <stdbool.h>

#include "proto/status.h"
#include "proto/view.h"

enum civil_precision {
    CIVIL_YEAR,
    CIVIL_MONTH,
    CIVIL_DAY,
    CIVIL_HOUR,
    CIVIL_MINUTE,
    CIVIL_SECOND,
    CIVIL_FRACTION
};

enum {
    CIVIL_CHARS_MAX = 40,     /* longest text that civil_format writes, zero byte included */
    CIVIL_FRACTION_DIGITS = 9 /* more digits of a second are cut */
};

struct civil {
    int32_t year;      /* 1 to 9999 */
    int32_t month;     /* 1 to 12, 1 when less precise; likewise day */
    int32_t day;       /* 1 to 31 */
    int32_t hour;      /* 0 to 23 */
    int32_t minute;    /* 0 to 59 */
    int32_t second;    /* 0 to 60: a leap second is allowed */
    char fraction[10]; /* digits as written, a string */
    bool has_offset;
    int32_t offset_min; /* minutes east of UTC, -1439 to 1439 */
    enum civil_precision precision;
};

/* Days since 1970-01-01 of a date that is valid. */
int32_t civil_days(int32_t year, int32_t month, int32_t day);

/* The date that is `days` after 1970-01-01; precision CIVIL_DAY. */
struct civil civil_from_days(int32_t days);

/* Return whether there is such a day in the calendar (year 1 to 9999). */
bool civil_is_date(int32_t year, int32_t month, int32_t day);

/* Read what HL7 senders write: YYYY[MM[DD[HH[MM[SS[.S+]]]]]][+-ZZZZ], and the
 * tolerated rest of INTERFACES.md 1.7: 2026-01-15T14:30:00, 20240615T103000,
 * 2026/10/6 13:05:15, 2024/1/5 8:03, 20250115 1430, 2024年1月5日 8时3分, 16 and
 * 17 digits without a dot, Z as zone.  Order is always year, month, day.  Cut
 * off what follows a "^" before calling.
 *
 * STATUS_OK         read; hour 24 becomes hour 0 of the next day only as 24:00:00.
 * STATUS_MALFORMED  not a time, or one that does not exist (month 13). */
MUST_USE enum status civil_parse(struct view text, struct civil *out);

/* Read exactly what civil_format writes: RFC 3339, or its date, or YYYY[-MM].  STATUS_MALFORMED
 * for anything else. */
MUST_USE enum status civil_parse_rfc3339(struct view text, struct civil *out);

/* Write `t` with its own precision, zone included when it has hours and a zone:
 * 2024, 2024-01, 2024-01-05, 2024-01-05T08:03:00+08:00, 2024-01-05T08:03:00.1+08:00.
 * Minutes and seconds that were not stated are 00, because RFC 3339 (and FHIR)
 * cannot leave them out of a time; days and months are never invented. */
void civil_format(const struct civil *t, char out[CIVIL_CHARS_MAX]);

/* Milliseconds since 1970-01-01T00:00Z of the first instant that `t` can mean;
 * without a zone `offset_min` is taken. */
int64_t civil_unix_ms(const struct civil *t, int32_t offset_min);

/* Read a zone: Z, +0800, +08:00, -05.  False when it is none. */
bool civil_parse_offset(struct view text, int32_t *offset_min);

#endif
