#include "crypto/base64.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>

/* Decoded piece by piece, so that a long line needs no large buffer. */
enum {
    PIECE_CHARS = 1024,
    PIECE_BYTES = PIECE_CHARS / 4 * 3,
    ENCODE_PIECE_BYTES = 768,
    ENCODE_PIECE_CHARS = ENCODE_PIECE_BYTES / 3 * 4
};

size_t
base64_encode(struct view data, uint8_t *out)
{
    size_t used = 0;

    assert(data.bytes != NULL || data.count == 0);
    for (size_t at = 0; at < data.count; at += ENCODE_PIECE_BYTES) {
        char piece[ENCODE_PIECE_CHARS + 1]; /* libsodium adds a NUL */
        size_t left = data.count - at;
        size_t take = left < ENCODE_PIECE_BYTES ? left : ENCODE_PIECE_BYTES;
        sodium_bin2base64(piece, sizeof piece, data.bytes + at, take,
                          sodium_base64_VARIANT_ORIGINAL);
        for (size_t i = 0; i < BASE64_CHARS(take); i++) {
            out[used++] = (uint8_t)piece[i];
        }
    }
    return used;
}

static const char ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool
decode_piece(const uint8_t *chars, size_t count, uint8_t out[PIECE_BYTES], size_t *got)
{
    /* libsodium 1.0.18 reads every byte over 0x7f as a '/'. */
    for (size_t i = 0; i < count; i++) {
        if (chars[i] > 0x7f) {
            return false;
        }
    }
    /* A NULL end pointer makes it strict about the whole piece (FORMATS 2). */
    return sodium_base642bin(out, PIECE_BYTES, (const char *)chars, count, NULL, got, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0;
}

/* Clear the bits of the last character that no byte uses.  False if there are none
 * or the text does not end as base64 with padding does. */
static bool
clear_stray_bits(uint8_t *chars, size_t count)
{
    size_t at = count;
    const char *found;

    while (at > 0 && chars[at - 1] == '=') {
        at--;
    }
    if (at == 0 || at == count || count - at > 2) {
        return false;
    }
    found = memchr(ALPHABET, chars[at - 1], sizeof ALPHABET - 1);
    if (found == NULL) {
        return false;
    }
    chars[at - 1] =
        (uint8_t)ALPHABET[(size_t)(found - ALPHABET) & (count - at == 1 ? 0x3cu : 0x30u)];
    return true;
}

enum status
base64_decode_lenient(struct view text, uint8_t *out, size_t max, size_t *count,
                      bool *canonical)
{
    size_t total = 0;
    bool clean = true;

    if (text.count % 4 != 0) {
        return STATUS_MALFORMED;
    }
    for (size_t at = 0; at < text.count; at += PIECE_CHARS) {
        uint8_t chars[PIECE_CHARS], piece[PIECE_BYTES];
        size_t left = text.count - at, got;
        size_t take = left < PIECE_CHARS ? left : PIECE_CHARS;
        memcpy(chars, text.bytes + at, take);
        if (!decode_piece(chars, take, piece, &got)) {
            clean = false;
            if (!clear_stray_bits(chars, take) || !decode_piece(chars, take, piece, &got)) {
                return STATUS_MALFORMED;
            }
        }
        if (take < left && got != PIECE_BYTES) {
            return STATUS_MALFORMED; /* padding belongs to the last piece only */
        }
        for (size_t i = 0; i < got && total + i < max; i++) {
            out[total + i] = piece[i];
        }
        total += got;
    }
    *count = total;
    *canonical = clean;
    return STATUS_OK;
}

enum status
base64_decode_prefix(struct view text, uint8_t *out, size_t max, size_t *count)
{
    bool canonical;
    enum status st = base64_decode_lenient(text, out, max, count, &canonical);

    return st == STATUS_OK && !canonical ? STATUS_MALFORMED : st;
}

enum status
base64_decode(struct view text, uint8_t *out, size_t max, size_t *count)
{
    size_t got;

    /* Refuse before decoding what cannot fit even with two '='. */
    if (text.count / 4 > max / 3 + 1) {
        return STATUS_TOO_BIG;
    }
    if (base64_decode_prefix(text, out, max, &got) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (got > max) {
        return STATUS_TOO_BIG;
    }
    *count = got;
    return STATUS_OK;
}
