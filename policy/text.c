#include "policy/text.h"

#include <string.h>

int
hr_text_compare(struct hr_text a, struct hr_text b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.bytes, b.bytes, size);
    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

bool
hr_text_equal(struct hr_text a, struct hr_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

bool
hr_text_is(struct hr_text a, const char *b)
{
    return hr_text_equal(a, (struct hr_text){b, strlen(b)});
}

bool
hr_text_starts_with(struct hr_text a, struct hr_text prefix)
{
    return a.size >= prefix.size &&
           (prefix.size == 0 || memcmp(a.bytes, prefix.bytes, prefix.size) == 0);
}

/* Bytes of the white space character (Unicode property White_Space) at `at`,
 * 0 when there is none.  U+0009-000D, 0020, 0085, 00A0, 1680, 2000-200A, 2028,
 * 2029, 202F, 205F, 3000. */
static size_t
space_at(struct hr_text t, size_t at)
{
    const unsigned char *p = (const unsigned char *)t.bytes + at;
    size_t left = t.size - at;
    if (p[0] == ' ' || (p[0] >= 0x09 && p[0] <= 0x0d)) {
        return 1;
    }
    if (left >= 2 && p[0] == 0xc2 && (p[1] == 0x85 || p[1] == 0xa0)) {
        return 2;
    }
    if (left < 3) {
        return 0;
    }
    uint32_t three = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    bool space = three == 0xe19a80 || (three >= 0xe28080 && three <= 0xe2808a) ||
                 three == 0xe280a8 || three == 0xe280a9 || three == 0xe280af ||
                 three == 0xe2819f || three == 0xe38080;
    return space ? 3 : 0;
}

static size_t
skip_space(struct hr_text t, size_t at)
{
    size_t space;
    while (at < t.size && (space = space_at(t, at)) > 0) {
        at += space;
    }
    return at;
}

bool
hr_text_is_blank(struct hr_text a)
{
    return skip_space(a, 0) == a.size;
}

bool
hr_text_equal_unspaced(struct hr_text a, struct hr_text b)
{
    size_t i = skip_space(a, 0);
    size_t j = skip_space(b, 0);
    while (i < a.size && j < b.size) {
        if (a.bytes[i] != b.bytes[j]) {
            return false;
        }
        i = skip_space(a, i + 1);
        j = skip_space(b, j + 1);
    }
    return i == a.size && j == b.size;
}
