#include "crypto/base64.h"

#include <assert.h>

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

enum status
base64_decode_prefix(struct view text, uint8_t *out, size_t max, size_t *count)
{
    size_t total = 0;

    if (text.count % 4 != 0) {
        return STATUS_MALFORMED;
    }
    /* libsodium 1.0.18 decodes every byte from 0x80 up as if it were a letter
     * (measured), which would give one value many spellings. */
    for (size_t i = 0; i < text.count; i++) {
        if (text.bytes[i] >= 0x80) {
            return STATUS_MALFORMED;
        }
    }
    for (size_t at = 0; at < text.count; at += PIECE_CHARS) {
        uint8_t piece[PIECE_BYTES];
        size_t left = text.count - at, got;
        size_t take = left < PIECE_CHARS ? left : PIECE_CHARS;
        /* A NULL end pointer makes libsodium strict about the whole piece
         * (FORMATS 2); padding belongs to the last one only. */
        if (sodium_base642bin(piece, sizeof piece, (const char *)text.bytes + at, take, NULL,
                              &got, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
            (take < left && got != PIECE_BYTES)) {
            return STATUS_MALFORMED;
        }
        for (size_t i = 0; i < got && total + i < max; i++) {
            out[total + i] = piece[i];
        }
        total += got;
    }
    *count = total;
    return STATUS_OK;
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
