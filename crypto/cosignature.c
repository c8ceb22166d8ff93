#include "crypto/cosignature.h"

#include <string.h>

#include "crypto/checkpoint.h"
#include "crypto/line.h"

#define PREFIX "cosignature/v1\ntime "

enum {
    PREFIX_BYTES = sizeof PREFIX - 1,
    SIGNED_BYTES_MAX = PREFIX_BYTES + LINE_DECIMAL_CHARS_MAX + 1 + CHECKPOINT_TEXT_BYTES_MAX
};

/* What is signed.  Returns its length; `text` is within its limit. */
static size_t
write_message(struct view text, uint64_t time_s, uint8_t out[SIGNED_BYTES_MAX])
{
    size_t used = PREFIX_BYTES;

    memcpy(out, PREFIX, PREFIX_BYTES);
    used += line_put_decimal(time_s, out + used);
    out[used++] = '\n';
    memcpy(out + used, text.bytes, text.count);
    return used + text.count;
}

enum status
cosignature_line(const struct note_signer *signer, struct view text, int64_t time_s,
                 uint8_t *out, size_t max, size_t *count)
{
    uint8_t message[SIGNED_BYTES_MAX];
    uint8_t payload[COSIGNATURE_PAYLOAD_BYTES];
    struct checkpoint c;
    struct view signed_bytes = {message, 0};
    enum status st = checkpoint_parse(text, &c);

    if (st != STATUS_OK) {
        return st;
    }
    if (time_s < 0) {
        return STATUS_MALFORMED;
    }
    if (signer->key.type != NOTE_KEY_COSIGNATURE) {
        return STATUS_BAD_KEY;
    }
    for (unsigned i = 0; i < 8; i++) {
        payload[i] = (uint8_t)((uint64_t)time_s >> (56 - 8 * i));
    }
    signed_bytes.count = write_message(text, (uint64_t)time_s, message);
    st = note_ed25519_sign(signer, signed_bytes, payload + 8);
    if (st != STATUS_OK) {
        return st;
    }
    return note_line_write(&signer->key, (struct view){payload, sizeof payload}, out, max,
                           count);
}

enum status
cosignature_check(const struct note_key *key, struct view text, struct view payload,
                  int64_t *time_s)
{
    uint8_t message[SIGNED_BYTES_MAX];
    struct view signed_bytes = {message, 0};
    uint64_t time = 0;

    if (key->type != NOTE_KEY_COSIGNATURE) {
        return STATUS_BAD_KEY;
    }
    if (payload.count != COSIGNATURE_PAYLOAD_BYTES) {
        return STATUS_MALFORMED;
    }
    for (unsigned i = 0; i < 8; i++) {
        time = time << 8 | payload.bytes[i];
    }
    if (time > INT64_MAX) {
        return STATUS_MALFORMED;
    }
    if (text.count == 0 || text.count > CHECKPOINT_TEXT_BYTES_MAX) {
        return STATUS_BAD_SIGNATURE;
    }
    signed_bytes.count = write_message(text, time, message);
    if (note_ed25519_check(key->public_key, signed_bytes, payload.bytes + 8) != STATUS_OK) {
        return STATUS_BAD_SIGNATURE;
    }
    *time_s = (int64_t)time;
    return STATUS_OK;
}
