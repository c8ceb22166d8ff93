#include "policy/civil.h"

#include <string.h>

enum { CHINA_OFFSET_S = 8 * 3600, DAY_S = 86400 };

static bool
leap(int32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Years are counted from March, so that a leap day is a year's last day; an
 * era is 400 years, 146097 days. */
int32_t
hr_civil_day(int32_t year, int32_t month, int32_t day)
{
    year += 400 - (month <= 2); /* one era ahead: never negative */
    int32_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int32_t days = year * 365 + year / 4 - year / 100 + year / 400 + of_year;
    return days - 719468 - 146097;
}

void
hr_civil_year_month(int32_t day, int32_t *year, int32_t *month)
{
    int64_t shifted = (int64_t)day + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int32_t of_era = (int32_t)(shifted - era * 146097);
    int32_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int32_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int32_t m = (5 * of_year + 2) / 153;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int32_t)(y + era * 400) + (*month <= 2);
}

struct hr_date
hr_civil_date(struct hr_time time)
{
    /* 9999-12-31 and 0000-01-01 with a day's room: what hr_time_parse gives. */
    int64_t limit = (int64_t)4000000 * DAY_S;
    if (!time.known || time.second > limit || time.second < -limit) {
        return (struct hr_date){false, 0};
    }
    int64_t local = time.second + CHINA_OFFSET_S;
    int64_t day = local / DAY_S - (local % DAY_S < 0);
    return (struct hr_date){true, (int32_t)day};
}

int
hr_civil_compare(struct hr_time a, struct hr_time b)
{
    if (a.second != b.second) {
        return a.second < b.second ? -1 : 1;
    }
    size_t size = a.fraction.size > b.fraction.size ? a.fraction.size : b.fraction.size;
    for (size_t i = 0; i < size; i++) {
        char x = i < a.fraction.size ? a.fraction.bytes[i] : '0';
        char y = i < b.fraction.size ? b.fraction.bytes[i] : '0';
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return 0;
}

/* Read `digits` digits at `at`; -1 when they are not there. */
static int32_t
number_at(struct hr_text t, size_t at, size_t digits)
{
    int32_t value = 0;
    if (t.bytes == NULL || t.size < at + digits) {
        return -1;
    }
    for (size_t i = at; i < at + digits; i++) {
        if (t.bytes[i] < '0' || t.bytes[i] > '9') {
            return -1;
        }
        value = value * 10 + (t.bytes[i] - '0');
    }
    return value;
}

static bool
date_at(struct hr_text t, int32_t *out)
{
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (t.size < 10) {
        return false;
    }
    int32_t year = number_at(t, 0, 4);
    int32_t month = number_at(t, 5, 2);
    int32_t day = number_at(t, 8, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || t.bytes[4] != '-' ||
        t.bytes[7] != '-' || day > lengths[month - 1] + (month == 2 && leap(year))) {
        return false;
    }
    *out = hr_civil_day(year, month, day);
    return true;
}

struct hr_date
hr_date_parse(struct hr_text text)
{
    struct hr_date date = {false, 0};
    date.known = text.size == 10 && date_at(text, &date.day);
    return date.known ? date : (struct hr_date){false, 0};
}

/* Read "Z" or "+08:00" at `at`, which must end the text. */
static bool
offset_at(struct hr_text t, size_t at, int32_t *out)
{
    if (t.size == at + 1 && (t.bytes[at] == 'Z' || t.bytes[at] == 'z')) {
        *out = 0;
        return true;
    }
    if (t.size != at + 6 || (t.bytes[at] != '+' && t.bytes[at] != '-')) {
        return false;
    }
    int32_t hour = number_at(t, at + 1, 2);
    int32_t minute = number_at(t, at + 4, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || t.bytes[at + 3] != ':') {
        return false;
    }
    *out = (hour * 3600 + minute * 60) * (t.bytes[at] == '-' ? -1 : 1);
    return true;
}

struct hr_time
hr_time_parse(struct hr_text t)
{
    const struct hr_time unknown = {false, 0, {NULL, 0}};
    int32_t day = 0;
    int32_t offset = 0;
    if (t.size < 20 || !date_at(t, &day) || (t.bytes[10] != 'T' && t.bytes[10] != 't') ||
        t.bytes[13] != ':' || t.bytes[16] != ':') {
        return unknown;
    }
    int32_t hour = number_at(t, 11, 2);
    int32_t minute = number_at(t, 14, 2);
    int32_t second = number_at(t, 17, 2);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
        return unknown; /* 60: a leap second, the instant after :59 */
    }
    struct hr_text fraction = {NULL, 0};
    size_t at = 19;
    if (t.bytes[at] == '.') {
        fraction.bytes = t.bytes + ++at;
        while (at < t.size && t.bytes[at] >= '0' && t.bytes[at] <= '9') {
            at++;
        }
        fraction.size = (size_t)(t.bytes + at - fraction.bytes);
        if (fraction.size == 0) {
            return unknown;
        }
    }
    if (!offset_at(t, at, &offset)) {
        return unknown;
    }
    int64_t instant = (int64_t)day * DAY_S + hour * 3600 + minute * 60 + second - offset;
    return (struct hr_time){true, instant, fraction};
}
