#include "crypto/brief.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/sha256.h"

enum {
    BRIEF_LIST_AT = 3,
    BRIEF_LIST_BYTES = BRIEF_PLAIN_BYTES - BRIEF_LIST_AT,
    BRIEF_MORE = 0x80
};

_Static_assert(BRIEF_BYTES == BRIEF_PLAIN_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES,
               "a sealed brief is its plaintext and a tag");
_Static_assert(HASH_BYTES >= crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
               "the nonce is cut from a hash");

static size_t
varint_bytes(uint32_t value)
{
    size_t n = 1;
    while (value >= 0x80) {
        value >>= 7;
        n++;
    }
    return n;
}

/* The smallest of `numbers` above `floor`; false if there is none. */
static bool
next_number(const uint32_t *numbers, size_t count, uint32_t floor, uint32_t *next)
{
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        if (numbers[i] > floor && (!found || numbers[i] < *next)) {
            *next = numbers[i];
            found = true;
        }
    }
    return found;
}

enum status
brief_make(uint16_t day, uint8_t status, const uint32_t *numbers, size_t count,
           struct brief *out)
{
    struct brief made = {.day = day, .status = status};
    uint32_t last = 0, next = 0;
    size_t used = 0;

    memset(out, 0, sizeof *out);
    if (count > REPORT_ITEMS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (status > BRIEF_STATUS_MAX) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == 0) {
            return STATUS_MALFORMED;
        }
    }
    /* At most BRIEF_LIST_BYTES rounds, so no copy to sort is needed. */
    while (next_number(numbers, count, last, &next)) {
        used += varint_bytes(next - last);
        if (used > BRIEF_LIST_BYTES) {
            made.more = true;
            break;
        }
        made.numbers[made.count++] = next;
        last = next;
    }
    *out = made;
    return STATUS_OK;
}

enum status
brief_encode(const struct brief *brief, uint8_t plain[BRIEF_PLAIN_BYTES])
{
    uint32_t last = 0;
    size_t at = BRIEF_LIST_AT;

    memset(plain, 0, BRIEF_PLAIN_BYTES);
    if (brief->status > BRIEF_STATUS_MAX) {
        return STATUS_MALFORMED;
    }
    if (brief->count > BRIEF_NUMBERS_MAX) {
        return STATUS_TOO_BIG;
    }
    plain[0] = (uint8_t)(brief->day >> 8);
    plain[1] = (uint8_t)brief->day;
    plain[2] = (uint8_t)(brief->status | (brief->more ? BRIEF_MORE : 0));
    for (uint32_t i = 0; i < brief->count; i++) {
        uint32_t step = brief->numbers[i] - last;
        if (brief->numbers[i] <= last) {
            memset(plain, 0, BRIEF_PLAIN_BYTES);
            return STATUS_MALFORMED;
        }
        if (at + varint_bytes(step) > BRIEF_PLAIN_BYTES) {
            memset(plain, 0, BRIEF_PLAIN_BYTES);
            return STATUS_TOO_BIG;
        }
        for (; step >= 0x80; step >>= 7) {
            plain[at++] = (uint8_t)(step | 0x80);
        }
        plain[at++] = (uint8_t)step;
        last = brief->numbers[i];
    }
    return STATUS_OK;
}

/* Read one shortest-form varint of at most 32 bits from plain[*at ...]. */
static bool
read_varint(const uint8_t plain[BRIEF_PLAIN_BYTES], size_t *at, uint32_t *value)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 35 && *at < BRIEF_PLAIN_BYTES; shift += 7) {
        const uint8_t byte = plain[(*at)++];
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = (uint32_t)v;
            return v <= UINT32_MAX && (byte != 0 || shift == 0);
        }
    }
    return false;
}

enum status
brief_decode(const uint8_t plain[BRIEF_PLAIN_BYTES], struct brief *out)
{
    struct brief read = {.day = (uint16_t)(plain[0] << 8 | plain[1]),
                         .status = plain[2] & BRIEF_STATUS_MAX,
                         .more = (plain[2] & BRIEF_MORE) != 0};
    uint32_t last = 0, step = 0;
    size_t at = BRIEF_LIST_AT;

    while (at < BRIEF_PLAIN_BYTES && plain[at] != 0) {
        if (!read_varint(plain, &at, &step) || step > UINT32_MAX - last) {
            return STATUS_MALFORMED;
        }
        last += step;
        assert(read.count < BRIEF_NUMBERS_MAX); /* a number takes a byte */
        read.numbers[read.count++] = last;
    }
    for (; at < BRIEF_PLAIN_BYTES; at++) {
        if (plain[at] != 0) {
            return STATUS_MALFORMED;
        }
    }
    *out = read;
    return STATUS_OK;
}

/* The first bytes of the hash are the nonce; an origin holds no NUL. */
static void
hash_place(const char *origin, struct view entry, struct hash *out)
{
    static const char label[] = "huren brief v1";
    uint8_t head[sizeof label - 1 + ORIGIN_CHARS_MAX + 1];
    const size_t chars = strlen(origin);

    assert(chars <= ORIGIN_CHARS_MAX);
    memcpy(head, label, sizeof label - 1);
    memcpy(head + sizeof label - 1, origin, chars);
    head[sizeof label - 1 + chars] = 0;
    sha256_2((struct view){head, sizeof label + chars}, entry, out);
}

enum status
brief_seal(const struct brief *brief, const uint8_t brief_key[KEY_BYTES], const char *origin,
           struct view entry, uint8_t sealed[BRIEF_BYTES])
{
    uint8_t plain[BRIEF_PLAIN_BYTES];
    struct hash place;
    enum status st;
    int failed;

    memset(sealed, 0, BRIEF_BYTES);
    if ((st = brief_encode(brief, plain)) != STATUS_OK) {
        return st;
    }
    hash_place(origin, entry, &place);
    failed = crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, plain, sizeof plain,
                                                        entry.bytes, entry.count, NULL,
                                                        place.bytes, brief_key);
    sodium_memzero(plain, sizeof plain);
    assert(failed == 0);
    return STATUS_OK;
}

enum status
brief_open(struct view sealed, const uint8_t brief_key[KEY_BYTES], const char *origin,
           struct view entry, struct brief *out)
{
    uint8_t plain[BRIEF_PLAIN_BYTES];
    struct hash place;
    enum status st = STATUS_BAD_KEY;

    memset(out, 0, sizeof *out);
    if (sealed.count != BRIEF_BYTES || strlen(origin) > ORIGIN_CHARS_MAX) {
        return STATUS_MALFORMED;
    }
    hash_place(origin, entry, &place);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed.bytes,
                                                   sealed.count, entry.bytes, entry.count,
                                                   place.bytes, brief_key) == 0) {
        st = brief_decode(plain, out);
    }
    sodium_memzero(plain, sizeof plain);
    return st;
}
