#include "proto/text.h"

#include <assert.h>
#include <string.h>

struct view
text_view(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

size_t
text_next(struct view v, size_t at, uint32_t *point)
{
    assert(at < v.count);
    const uint8_t *b = v.bytes + at;
    size_t left = v.count - at, need;
    uint32_t p, least;
    if (b[0] < 0x80) {
        *point = b[0];
        return 1;
    }
    if (b[0] >= 0xC2 && b[0] <= 0xDF) {
        need = 2, p = b[0] & 0x1Fu, least = 0x80;
    } else if (b[0] >= 0xE0 && b[0] <= 0xEF) {
        need = 3, p = b[0] & 0x0Fu, least = 0x800;
    } else if (b[0] >= 0xF0 && b[0] <= 0xF4) {
        need = 4, p = b[0] & 0x07u, least = 0x10000;
    } else {
        return 0;
    }
    if (left < need) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((b[i] & 0xC0) != 0x80) {
            return 0;
        }
        p = p << 6 | (b[i] & 0x3Fu);
    }
    if (p < least || p > 0x10FFFF || (p >= 0xD800 && p <= 0xDFFF)) {
        return 0;
    }
    *point = p;
    return need;
}

size_t
text_put(uint32_t p, uint8_t out[4])
{
    if (p < 0x80) {
        out[0] = (uint8_t)p;
        return 1;
    }
    if (p < 0x800) {
        out[0] = (uint8_t)(0xC0 | p >> 6);
        out[1] = (uint8_t)(0x80 | (p & 0x3F));
        return 2;
    }
    if (p > 0x10FFFF || (p >= 0xD800 && p <= 0xDFFF)) {
        return 0;
    }
    if (p < 0x10000) {
        out[0] = (uint8_t)(0xE0 | p >> 12);
        out[1] = (uint8_t)(0x80 | (p >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (p & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | p >> 18);
    out[1] = (uint8_t)(0x80 | (p >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (p >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (p & 0x3F));
    return 4;
}

bool
text_is_utf8(struct view v, size_t *bad_at)
{
    size_t at = 0;
    uint32_t point;
    while (at < v.count) {
        size_t n = text_next(v, at, &point);
        if (n == 0) {
            break;
        }
        at += n;
    }
    if (bad_at != NULL) {
        *bad_at = at;
    }
    return at == v.count;
}

bool
text_is_printable(uint32_t p)
{
    if (p < 0x20 || (p >= 0x7F && p < 0xA0)) {
        return false;
    }
    if (p >= 0xD800 && p <= 0xDFFF) {
        return false;
    }
    if ((p & 0xFFFE) == 0xFFFE || (p >= 0xFDD0 && p <= 0xFDEF) || p > 0x10FFFF) {
        return false;
    }
    /* Marks, overrides and isolates of direction; line separators; the BOM. */
    return !((p >= 0x200B && p <= 0x200F) || (p >= 0x2028 && p <= 0x202E) ||
             (p >= 0x2066 && p <= 0x2069) || p == 0x061C || p == 0xFEFF);
}

static size_t
show_code(char out[10], uint32_t value, bool is_point)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    out[n++] = '<';
    if (is_point) {
        out[n++] = 'U';
        out[n++] = '+';
    }
    int digits = !is_point ? 2 : value > 0xFFFFF ? 6 : value > 0xFFFF ? 5 : 4;
    while (digits-- > 0) {
        out[n++] = hex[value >> (4 * digits) & 15];
    }
    out[n++] = '>';
    return n;
}

size_t
text_show(struct view v, char *out, size_t cap)
{
    assert(cap > 0);
    size_t used = 0;
    for (size_t at = 0; at < v.count;) {
        char code[16];
        const void *from = v.bytes + at;
        uint32_t point = 0;
        size_t n = text_next(v, at, &point), put = n;
        if (n == 0) {
            put = show_code(code, v.bytes[at], false);
            from = code;
            n = 1;
        } else if (point == '\n' || point == '\r' || point == '\t') {
            from = " ";
        } else if (!text_is_printable(point)) {
            put = show_code(code, point, true);
            from = code;
        }
        if (put >= cap - used) {
            break;
        }
        memcpy(out + used, from, put);
        used += put;
        at += n;
    }
    out[used] = '\0';
    return used;
}

static bool
is_blank(uint32_t p)
{
    return p == ' ' || (p >= '\t' && p <= '\r') || p == 0xA0 || p == 0x3000 || p == 0xFEFF ||
           p == 0x200B;
}

struct view
text_trim(struct view v)
{
    uint32_t point;
    while (v.count > 0) {
        size_t n = text_next(v, 0, &point);
        if (n == 0 || !is_blank(point)) {
            break;
        }
        v.bytes += n;
        v.count -= n;
    }
    while (v.count > 0) {
        size_t at = v.count - 1;
        while (at > 0 && v.count - at < 4 && (v.bytes[at] & 0xC0) == 0x80) {
            at--;
        }
        size_t n = text_next(v, at, &point);
        if (n != v.count - at || !is_blank(point)) {
            break;
        }
        v.count = at;
    }
    return v;
}

size_t
text_narrow(struct view v, uint8_t *out)
{
    size_t used = 0;
    for (size_t at = 0; at < v.count;) {
        uint32_t point = 0;
        size_t n = text_next(v, at, &point);
        if (n == 3 && point >= 0xFF01 && point <= 0xFF5E) {
            out[used++] = (uint8_t)(point - 0xFF01 + '!');
        } else if (n == 3 && point == 0x3000) {
            out[used++] = ' ';
        } else {
            size_t keep = n == 0 ? 1 : n;
            memmove(out + used, v.bytes + at, keep);
            used += keep;
            n = keep;
        }
        at += n;
    }
    return used;
}

static uint8_t
lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool
same(const uint8_t *a, const char *b, size_t n, bool nocase)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t x = a[i], y = (uint8_t)b[i];
        if (x != y && (!nocase || lower(x) != lower(y))) {
            return false;
        }
    }
    return true;
}

bool
text_is(struct view v, const char *s)
{
    return v.count == strlen(s) && same(v.bytes, s, v.count, false);
}

bool
text_is_nocase(struct view v, const char *s)
{
    return v.count == strlen(s) && same(v.bytes, s, v.count, true);
}

static bool
has(struct view v, const char *s, bool nocase)
{
    size_t n = strlen(s);
    for (size_t at = 0; at + n <= v.count; at++) {
        if (same(v.bytes + at, s, n, nocase)) {
            return true;
        }
    }
    return false;
}

bool
text_has(struct view v, const char *s)
{
    return has(v, s, false);
}

bool
text_has_nocase(struct view v, const char *s)
{
    return has(v, s, true);
}

bool
text_begins(struct view v, const char *s)
{
    size_t n = strlen(s);
    return v.count >= n && same(v.bytes, s, n, false);
}

bool
text_is_decimal(struct view v)
{
    size_t at = 0, digits = 0;
    if (at < v.count && (v.bytes[at] == '+' || v.bytes[at] == '-')) {
        at++;
    }
    for (; at < v.count && v.bytes[at] >= '0' && v.bytes[at] <= '9'; at++) {
        digits++;
    }
    if (at < v.count && v.bytes[at] == '.') {
        for (at++; at < v.count && v.bytes[at] >= '0' && v.bytes[at] <= '9'; at++) {
            digits++;
        }
    }
    return at == v.count && digits > 0;
}

bool
text_to_u32(struct view v, uint32_t *out)
{
    uint32_t value = 0;
    if (v.count == 0 || v.count > 9) {
        return false;
    }
    for (size_t i = 0; i < v.count; i++) {
        if (v.bytes[i] < '0' || v.bytes[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(v.bytes[i] - '0');
    }
    *out = value;
    return true;
}
