#include "crypto/line.h"

#include <string.h>

#include "proto/text.h"

bool
line_equal(struct view a, struct view b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.bytes, b.bytes, a.count) == 0);
}

enum status
line_take(struct view *rest, struct view *line)
{
    const uint8_t *end;
    size_t n;

    if (rest->count == 0) {
        return STATUS_NOT_FOUND;
    }
    end = memchr(rest->bytes, '\n', rest->count);
    if (end == NULL) {
        return STATUS_MALFORMED;
    }
    n = (size_t)(end - rest->bytes);
    *line = (struct view){.bytes = rest->bytes, .count = n};
    *rest = (struct view){.bytes = rest->bytes + n + 1, .count = rest->count - n - 1};
    return STATUS_OK;
}

enum status
line_decimal(struct view t, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (t.count == 0 || t.count > LINE_DECIMAL_CHARS_MAX ||
        (t.bytes[0] == '0' && t.count > 1)) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < t.count; i++) {
        uint64_t digit;
        if (t.bytes[i] < '0' || t.bytes[i] > '9') {
            return STATUS_MALFORMED;
        }
        digit = (uint64_t)(t.bytes[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return STATUS_MALFORMED;
        }
        value = value * 10 + digit;
    }
    if (value > max) {
        return STATUS_MALFORMED;
    }
    *out = value;
    return STATUS_OK;
}

size_t
line_put_decimal(uint64_t value, uint8_t out[LINE_DECIMAL_CHARS_MAX])
{
    uint8_t reversed[LINE_DECIMAL_CHARS_MAX];
    size_t n = 0;

    do {
        reversed[n++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < n; i++) {
        out[i] = reversed[n - 1 - i];
    }
    return n;
}

/* Take one character off t at *at; false if it is not UTF-8. */
static bool
next_point(struct view t, size_t *at, uint32_t *point)
{
    size_t n = text_next(t, *at, point);

    *at += n;
    return n > 0;
}

/* Unicode property White_Space. */
static bool
is_space(uint32_t point)
{
    return (point >= 0x09 && point <= 0x0d) || point == 0x20 || point == 0x85 ||
           point == 0xa0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200a) ||
           point == 0x2028 || point == 0x2029 || point == 0x202f || point == 0x205f ||
           point == 0x3000;
}

bool
line_is_clean(struct view t, bool lf_allowed)
{
    size_t at = 0;
    uint32_t point;

    while (at < t.count) {
        if (!next_point(t, &at, &point) || (point < 0x20 && !(lf_allowed && point == '\n'))) {
            return false;
        }
    }
    return true;
}

bool
line_is_key_name(struct view t)
{
    size_t at = 0;
    uint32_t point;

    while (at < t.count) {
        if (!next_point(t, &at, &point) || point < 0x20 || point == '+' || is_space(point)) {
            return false;
        }
    }
    return t.count > 0;
}
