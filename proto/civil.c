#include "proto/civil.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/text.h"

/* Algorithm: years begin in March, so that the leap day is a year's last day,
 * and 400 years are 146097 days. */
int32_t
civil_days(int32_t year, int32_t month, int32_t day)
{
    int32_t y = month <= 2 ? year - 1 : year;
    int32_t era = (y >= 0 ? y : y - 399) / 400;
    int32_t year_of_era = y - era * 400;
    int32_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct civil
civil_from_days(int32_t days)
{
    struct civil c = {.precision = CIVIL_DAY};
    int64_t z = (int64_t)days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    c.day = (int32_t)(day_of_year - (153 * month + 2) / 5 + 1);
    c.month = (int32_t)(month < 10 ? month + 3 : month - 9);
    c.year = (int32_t)(year_of_era + era * 400 + (c.month <= 2 ? 1 : 0));
    return c;
}

bool
civil_is_date(int32_t year, int32_t month, int32_t day)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Take `min` to `max` digits at `*at`; -1 when there are fewer. */
static int32_t
take(struct view v, size_t *at, size_t min, size_t max)
{
    int32_t value = 0;
    size_t n = 0;
    while (n < max && *at < v.count && v.bytes[*at] >= '0' && v.bytes[*at] <= '9') {
        value = value * 10 + (v.bytes[(*at)++] - '0');
        n++;
    }
    return n < min ? -1 : value;
}

static bool
skip(struct view v, size_t *at, char c)
{
    if (*at < v.count && v.bytes[*at] == (uint8_t)c) {
        (*at)++;
        return true;
    }
    return false;
}

bool
civil_parse_offset(struct view v, int32_t *offset_min)
{
    size_t at = 1;
    if (text_is_nocase(v, "Z")) {
        *offset_min = 0;
        return true;
    }
    if (v.count < 3 || (v.bytes[0] != '+' && v.bytes[0] != '-')) {
        return false;
    }
    int32_t hour = take(v, &at, 2, 2), minute = 0;
    if (at < v.count) {
        skip(v, &at, ':');
        minute = take(v, &at, 2, 2);
    }
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || at != v.count) {
        return false;
    }
    *offset_min = (hour * 60 + minute) * (v.bytes[0] == '-' ? -1 : 1);
    return true;
}

static enum status
finish(struct civil *c, struct civil *out)
{
    if (!civil_is_date(c->year, c->month, c->day) || c->hour < 0 || c->hour > 24 ||
        c->minute < 0 || c->minute > 59 || c->second < 0 || c->second > 60) {
        return STATUS_MALFORMED;
    }
    if (c->hour == 24) {
        if (c->minute != 0 || c->second != 0 ||
            strspn(c->fraction, "0") != strlen(c->fraction)) {
            return STATUS_MALFORMED;
        }
        struct civil next = civil_from_days(civil_days(c->year, c->month, c->day) + 1);
        if (next.year > 9999) {
            return STATUS_MALFORMED;
        }
        c->year = next.year, c->month = next.month, c->day = next.day, c->hour = 0;
    }
    if (c->precision < CIVIL_HOUR) { /* a zone says nothing about a whole day */
        c->has_offset = false;
        c->offset_min = 0;
    }
    *out = *c;
    return STATUS_OK;
}

static void
take_fraction(struct view v, size_t *at, struct civil *c)
{
    size_t n = 0;
    while (*at < v.count && v.bytes[*at] >= '0' && v.bytes[*at] <= '9') {
        if (n < CIVIL_FRACTION_DIGITS) {
            c->fraction[n++] = (char)v.bytes[*at];
        }
        (*at)++;
    }
    c->fraction[n] = '\0';
    if (n > 0) {
        c->precision = CIVIL_FRACTION;
    }
}

/* HH[MM[SS[.S]]] or H:MM[:SS[.S]] from `at` on. */
static bool
take_clock(struct view v, size_t *at, struct civil *c)
{
    size_t start = *at, digits = 0;
    while (start + digits < v.count && v.bytes[start + digits] >= '0' &&
           v.bytes[start + digits] <= '9') {
        digits++;
    }
    bool colons = digits <= 2 && start + digits < v.count && v.bytes[start + digits] == ':';
    c->hour = take(v, at, colons ? 1 : 2, 2);
    c->precision = CIVIL_HOUR;
    if (c->hour < 0) {
        return false;
    }
    if (colons ? skip(v, at, ':') : digits >= 4) {
        c->minute = take(v, at, colons ? 1 : 2, 2);
        c->precision = CIVIL_MINUTE;
        if (colons ? skip(v, at, ':') : digits >= 6) {
            c->second = take(v, at, 2, 2);
            c->precision = CIVIL_SECOND;
            if (skip(v, at, '.') || skip(v, at, ',') || (!colons && digits > 6)) {
                take_fraction(v, at, c);
            }
        }
    }
    /* An odd digit left over is damage, not a time. */
    return c->minute >= 0 && c->second >= 0 &&
           !(*at < v.count && v.bytes[*at] >= '0' && v.bytes[*at] <= '9');
}

/* Replace the Chinese words for year, month, day, hour, minute and second by
 * the marks that stand there elsewhere. */
static size_t
plain_marks(struct view v, uint8_t *out, size_t cap)
{
    static const struct {
        const char *word;
        char mark;
    } marks[] = {{"年", '-'}, {"月", '-'}, {"日", ' '}, {"时", ':'},
                 {"点", ':'}, {"分", ':'}, {"秒", ' '}};
    size_t n = 0;
    for (size_t at = 0; at < v.count && n < cap;) {
        struct view rest = {v.bytes + at, v.count - at};
        size_t k = 0;
        while (k < sizeof marks / sizeof marks[0] && !text_begins(rest, marks[k].word)) {
            k++;
        }
        if (k < sizeof marks / sizeof marks[0]) {
            out[n++] = (uint8_t)marks[k].mark;
            at += 3;
        } else {
            out[n++] = v.bytes[at++];
        }
    }
    while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == ':' || out[n - 1] == '-')) {
        n--;
    }
    return n;
}

/* YYYY-M-D, YYYY/M/D or YYYY.M.D, or a prefix of it. */
static bool
take_marked_date(struct view v, size_t *at, struct civil *c)
{
    uint8_t mark = v.bytes[*at];
    if (mark != '-' && mark != '/' && mark != '.') {
        return false;
    }
    (*at)++;
    c->month = take(v, at, 1, 2);
    c->precision = CIVIL_MONTH;
    if (c->month >= 1 && *at < v.count && v.bytes[*at] == mark) {
        (*at)++;
        c->day = take(v, at, 1, 2);
        c->precision = CIVIL_DAY;
    }
    return c->month >= 1 && c->day >= 1;
}

/* YYYY[MM[DD...]] without marks. */
static bool
take_plain_date(struct view v, size_t *at, struct civil *c)
{
    size_t digits = 4;
    while (digits < v.count && v.bytes[digits] >= '0' && v.bytes[digits] <= '9') {
        digits++;
    }
    if (digits == 5 || digits == 7 || digits == 9 || digits == 11 || digits == 13) {
        return false;
    }
    if (digits >= 6) {
        c->month = take(v, at, 2, 2);
        c->precision = CIVIL_MONTH;
    }
    if (digits >= 8) {
        c->day = take(v, at, 2, 2);
        c->precision = CIVIL_DAY;
    }
    return digits < 10 || take_clock(v, at, c);
}

enum status
civil_parse(struct view raw, struct civil *out)
{
    uint8_t buffer[64];
    struct civil c = {.month = 1, .day = 1};
    size_t at = 0;
    raw = text_trim(raw);
    if (raw.count < 4 || raw.count > sizeof buffer) {
        return STATUS_MALFORMED;
    }
    struct view v = {buffer, text_narrow(raw, buffer)};
    v.count = plain_marks(v, buffer, sizeof buffer); /* never longer, so in place is safe */
    c.year = take(v, &at, 4, 4);
    if (c.year < 0) {
        return STATUS_MALFORMED;
    }
    bool zone_next = at < v.count && v.bytes[at] == '-' && v.count - at == 5 &&
                     text_is_decimal((struct view){v.bytes + at, 5}); /* 2024-0500 */
    if (at < v.count && !zone_next) {
        bool marked = v.bytes[at] < '0' || v.bytes[at] > '9';
        bool signs = v.bytes[at] == '+' || v.bytes[at] == 'Z';
        if (!signs && !(marked ? take_marked_date(v, &at, &c) : take_plain_date(v, &at, &c))) {
            return STATUS_MALFORMED;
        }
        if (c.precision == CIVIL_DAY && at < v.count) {
            size_t before = at;
            while (skip(v, &at, ' ')) {
            }
            if (at == before) {
                (void)(skip(v, &at, 'T') || skip(v, &at, 't'));
            }
            if (at != before && !take_clock(v, &at, &c)) {
                return STATUS_MALFORMED;
            }
        }
    }
    while (at < v.count && skip(v, &at, ' ')) {
    }
    if (at < v.count) {
        if (!civil_parse_offset((struct view){v.bytes + at, v.count - at}, &c.offset_min)) {
            return STATUS_MALFORMED;
        }
        c.has_offset = true;
    }
    return finish(&c, out);
}

enum status
civil_parse_rfc3339(struct view v, struct civil *out)
{
    struct civil c;
    char text[CIVIL_CHARS_MAX];
    /* Everything that civil_format writes civil_parse reads, so: read, write
     * again, and compare; only the zone Z has a second spelling. */
    if (v.count >= CIVIL_CHARS_MAX || civil_parse(v, &c) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (c.precision >= CIVIL_HOUR && !c.has_offset) {
        return STATUS_MALFORMED;
    }
    civil_format(&c, text);
    size_t n = strlen(text);
    bool zulu = v.count > 0 && v.bytes[v.count - 1] == 'Z' && n > 6 && v.count - 1 == n - 6 &&
                memcmp(text, v.bytes, n - 6) == 0;
    if (!zulu && (n != v.count || memcmp(text, v.bytes, n) != 0)) {
        return STATUS_MALFORMED;
    }
    *out = c;
    return STATUS_OK;
}

void
civil_format(const struct civil *t, char out[CIVIL_CHARS_MAX])
{
    int n = snprintf(out, CIVIL_CHARS_MAX, "%04d", (int)t->year);
    size_t at = (size_t)n;
    if (t->precision >= CIVIL_MONTH) {
        at += (size_t)snprintf(out + at, CIVIL_CHARS_MAX - at, "-%02d", (int)t->month);
    }
    if (t->precision >= CIVIL_DAY) {
        at += (size_t)snprintf(out + at, CIVIL_CHARS_MAX - at, "-%02d", (int)t->day);
    }
    if (t->precision < CIVIL_HOUR) {
        return;
    }
    at += (size_t)snprintf(out + at, CIVIL_CHARS_MAX - at, "T%02d:%02d:%02d", (int)t->hour,
                           (int)t->minute, (int)t->second);
    if (t->precision == CIVIL_FRACTION) {
        at += (size_t)snprintf(out + at, CIVIL_CHARS_MAX - at, ".%s", t->fraction);
    }
    if (t->has_offset) {
        int minutes = t->offset_min < 0 ? -t->offset_min : t->offset_min;
        snprintf(out + at, CIVIL_CHARS_MAX - at, "%c%02d:%02d", t->offset_min < 0 ? '-' : '+',
                 minutes / 60, minutes % 60);
    }
}

int64_t
civil_unix_ms(const struct civil *t, int32_t offset_min)
{
    int64_t s = (int64_t)civil_days(t->year, t->month, t->day) * 86400;
    int64_t ms = 0, unit = 100;
    s += t->hour * 3600 + t->minute * 60 + t->second;
    s -= (int64_t)(t->has_offset ? t->offset_min : offset_min) * 60;
    for (size_t i = 0; i < 3 && t->fraction[i] != '\0'; i++, unit /= 10) {
        ms += (t->fraction[i] - '0') * unit;
    }
    return s * 1000 + ms;
}
