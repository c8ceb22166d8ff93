/* No bytes of a peer may crash a handshake or a session, be taken without its
 * keys, or change a state that refuses them.
 * Input: a selector, then a message.  Selector bit 0: exclusive-or it into the
 * true message instead of sending it as it is. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 2048 };

static void
must(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* What the peer sends in place of `genuine`; true if it is the very same. */
static bool
hostile(const uint8_t *data, size_t size, bool mixed, const uint8_t *genuine, size_t count,
        struct view *message)
{
    static uint8_t bytes[ROOM];
    if (!mixed) {
        *message = (struct view){data, size};
        return size == count && memcmp(data, genuine, count) == 0;
    }
    memcpy(bytes, genuine, count);
    for (size_t i = 0; i < size && i < count; i++) {
        bytes[i] ^= data[i];
    }
    *message = (struct view){bytes, count};
    return memcmp(bytes, genuine, count) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secrets[4][KEY_BYTES] = {{1}, {2}, {3}, {4}};
    const struct view prologue = {(const uint8_t *)"huren 1 net\n", 12};
    uint8_t first[NOISE_MESSAGE_1_BYTES], second[NOISE_MESSAGE_2_BYTES], who[KEY_BYTES];
    uint8_t sealed[64], out[ROOM];
    struct dh_key init_s, resp_s;
    struct noise init, resp, before;
    struct noise_session a, b, session_before;
    struct view message;
    size_t count;
    if (sodium_init() < 0 || size == 0 || size > ROOM) {
        return 0;
    }
    const bool mixed = data[0] & 1;
    data++;
    size--;
    keys_dh_key(secrets[0], &init_s);
    keys_dh_key(secrets[1], &resp_s);
    noise_init_initiator(&init, prologue, &init_s, resp_s.public_key, secrets[2]);
    noise_init_responder(&resp, prologue, &resp_s, secrets[3]);
    must(noise_write_1(&init, first) == STATUS_OK);
    before = resp;
    if (!hostile(data, size, mixed, first, sizeof first, &message)) {
        must(noise_read_1(&resp, message, who) != STATUS_OK);
        must(memcmp(&resp, &before, sizeof resp) == 0);
    }
    must(noise_read_1(&resp, (struct view){first, sizeof first}, who) == STATUS_OK);
    must(noise_write_2(&resp, second) == STATUS_OK);
    before = init;
    if (!hostile(data, size, mixed, second, sizeof second, &message)) {
        const enum status st = noise_read_2(&init, message);
        must(st != STATUS_OK);
        must(memcmp(&init, &before, sizeof init) == 0);
    }
    must(noise_read_2(&init, (struct view){second, sizeof second}) == STATUS_OK);
    noise_split(&init, &a);
    noise_split(&resp, &b);
    must(noise_seal(&a, (struct view){first, 20}, sealed, sizeof sealed, &count) == STATUS_OK);
    session_before = b;
    if (!hostile(data, size, mixed, sealed, count, &message)) {
        size_t none;
        must(noise_open(&b, message, out, sizeof out, &none) != STATUS_OK);
        must(memcmp(&b, &session_before, sizeof b) == 0);
        must(none == 0);
    }
    must(noise_open(&b, (struct view){sealed, count}, out, sizeof out, &count) == STATUS_OK);
    return 0;
}
