#include "crypto/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static const char NOISE_NAME[] = "Noise_IK_25519_ChaChaPoly_BLAKE2b";
static const struct view NOTHING = {NULL, 0};

static void
init(struct noise *n, struct view prologue, const struct dh_key *our_static,
     const uint8_t ephemeral_secret[KEY_BYTES], const uint8_t responder_static[KEY_BYTES])
{
    memset(n, 0, sizeof *n);
    n->s = *our_static;
    keys_dh_key(ephemeral_secret, &n->e);
    n->step = NOISE_MESSAGE_1;
    noise_state_init(&n->state, NOISE_NAME);
    noise_state_mix_hash(&n->state, prologue.bytes, prologue.count);
    noise_state_mix_hash(&n->state, responder_static, KEY_BYTES); /* <- s */
}

void
noise_init_initiator(struct noise *n, struct view prologue, const struct dh_key *our_static,
                     const uint8_t peer_static[KEY_BYTES],
                     const uint8_t ephemeral_secret[KEY_BYTES])
{
    init(n, prologue, our_static, ephemeral_secret, peer_static);
    memcpy(n->rs, peer_static, KEY_BYTES);
    n->initiator = true;
}

void
noise_init_responder(struct noise *n, struct view prologue, const struct dh_key *our_static,
                     const uint8_t ephemeral_secret[KEY_BYTES])
{
    init(n, prologue, our_static, ephemeral_secret, our_static->public_key);
}

/* -> e, es, s, ss */
enum status
noise_write_1_payload(struct noise *n, struct view payload, uint8_t *out, size_t out_max,
                      size_t *out_count)
{
    struct noise next = *n;
    const struct view s = {next.s.public_key, KEY_BYTES};
    uint8_t *at = out;
    enum status st;

    assert(n->initiator);
    assert(n->step == NOISE_MESSAGE_1);
    *out_count = 0;
    if (payload.count > NOISE_MESSAGE_BYTES_MAX - NOISE_MESSAGE_1_BYTES ||
        NOISE_MESSAGE_1_BYTES + payload.count > out_max) {
        st = STATUS_TOO_BIG;
        goto cleanup;
    }
    /* e */
    memcpy(at, next.e.public_key, KEY_BYTES);
    noise_state_mix_hash(&next.state, at, KEY_BYTES);
    at += KEY_BYTES;
    /* es */
    if ((st = noise_state_mix_dh(&next.state, next.e.secret_key, next.rs)) != STATUS_OK) {
        goto cleanup;
    }
    /* s */
    at += noise_state_encrypt(&next.state, s, at);
    /* ss */
    if ((st = noise_state_mix_dh(&next.state, next.s.secret_key, next.rs)) != STATUS_OK) {
        goto cleanup;
    }
    at += noise_state_encrypt(&next.state, payload, at);
    *out_count = (size_t)(at - out);
    next.step = NOISE_MESSAGE_2;
    *n = next;
cleanup:
    sodium_memzero(&next, sizeof next);
    return st;
}

enum status
noise_read_1_payload(struct noise *n, struct view message, uint8_t *payload, size_t payload_max,
                     size_t *payload_count)
{
    struct noise next = *n; /* a refused message changes nothing */
    const uint8_t *at = message.bytes;
    size_t count;
    enum status st;

    assert(!n->initiator);
    assert(n->step == NOISE_MESSAGE_1);
    *payload_count = 0;
    if (message.count < NOISE_MESSAGE_1_BYTES || message.count > NOISE_MESSAGE_BYTES_MAX) {
        st = STATUS_MALFORMED;
        goto cleanup;
    }
    if (message.count - NOISE_MESSAGE_1_BYTES > payload_max) {
        st = STATUS_TOO_BIG;
        goto cleanup;
    }
    /* e */
    memcpy(next.re, at, KEY_BYTES);
    noise_state_mix_hash(&next.state, next.re, KEY_BYTES);
    at += KEY_BYTES;
    /* es */
    if ((st = noise_state_mix_dh(&next.state, next.s.secret_key, next.re)) != STATUS_OK) {
        goto cleanup;
    }
    /* s */
    if ((st = noise_state_decrypt(&next.state, (struct view){at, KEY_BYTES + NOISE_TAG_BYTES},
                                  next.rs, &count)) != STATUS_OK) {
        goto cleanup;
    }
    at += KEY_BYTES + NOISE_TAG_BYTES;
    /* ss */
    if ((st = noise_state_mix_dh(&next.state, next.s.secret_key, next.rs)) != STATUS_OK ||
        (st = noise_state_decrypt(
             &next.state, (struct view){at, message.count - (size_t)(at - message.bytes)},
             payload, payload_count)) != STATUS_OK) {
        goto cleanup;
    }
    next.step = NOISE_MESSAGE_2;
    *n = next;
cleanup:
    sodium_memzero(&next, sizeof next);
    return st;
}

/* <- e, ee, se */
enum status
noise_write_2_payload(struct noise *n, struct view payload, uint8_t *out, size_t out_max,
                      size_t *out_count)
{
    struct noise next = *n;
    enum status st;

    assert(!n->initiator);
    assert(n->step == NOISE_MESSAGE_2);
    *out_count = 0;
    if (payload.count > NOISE_MESSAGE_BYTES_MAX - NOISE_MESSAGE_2_BYTES ||
        NOISE_MESSAGE_2_BYTES + payload.count > out_max) {
        st = STATUS_TOO_BIG;
        goto cleanup;
    }
    /* e */
    memcpy(out, next.e.public_key, KEY_BYTES);
    noise_state_mix_hash(&next.state, out, KEY_BYTES);
    /* ee, se */
    if ((st = noise_state_mix_dh(&next.state, next.e.secret_key, next.re)) != STATUS_OK ||
        (st = noise_state_mix_dh(&next.state, next.e.secret_key, next.rs)) != STATUS_OK) {
        goto cleanup;
    }
    *out_count = KEY_BYTES + noise_state_encrypt(&next.state, payload, out + KEY_BYTES);
    next.step = NOISE_DONE;
    *n = next;
cleanup:
    sodium_memzero(&next, sizeof next);
    return st;
}

enum status
noise_read_2_payload(struct noise *n, struct view message, uint8_t *payload, size_t payload_max,
                     size_t *payload_count)
{
    struct noise next = *n; /* a refused message changes nothing */
    enum status st;

    assert(n->initiator);
    assert(n->step == NOISE_MESSAGE_2);
    *payload_count = 0;
    if (message.count < NOISE_MESSAGE_2_BYTES || message.count > NOISE_MESSAGE_BYTES_MAX) {
        st = STATUS_MALFORMED;
        goto cleanup;
    }
    if (message.count - NOISE_MESSAGE_2_BYTES > payload_max) {
        st = STATUS_TOO_BIG;
        goto cleanup;
    }
    /* e */
    memcpy(next.re, message.bytes, KEY_BYTES);
    noise_state_mix_hash(&next.state, next.re, KEY_BYTES);
    /* ee, se */
    if ((st = noise_state_mix_dh(&next.state, next.e.secret_key, next.re)) != STATUS_OK ||
        (st = noise_state_mix_dh(&next.state, next.s.secret_key, next.re)) != STATUS_OK ||
        (st = noise_state_decrypt(
             &next.state, (struct view){message.bytes + KEY_BYTES, message.count - KEY_BYTES},
             payload, payload_count)) != STATUS_OK) {
        goto cleanup;
    }
    next.step = NOISE_DONE;
    *n = next;
cleanup:
    sodium_memzero(&next, sizeof next);
    return st;
}

enum status
noise_write_1(struct noise *n, uint8_t message[NOISE_MESSAGE_1_BYTES])
{
    size_t count;
    return noise_write_1_payload(n, NOTHING, message, NOISE_MESSAGE_1_BYTES, &count);
}

enum status
noise_read_1(struct noise *n, struct view message, uint8_t peer_static[KEY_BYTES])
{
    uint8_t payload;
    size_t count;
    enum status st;

    memset(peer_static, 0, KEY_BYTES);
    if (message.count != NOISE_MESSAGE_1_BYTES) {
        return STATUS_MALFORMED;
    }
    if ((st = noise_read_1_payload(n, message, &payload, 0, &count)) == STATUS_OK) {
        memcpy(peer_static, n->rs, KEY_BYTES);
    }
    return st;
}

enum status
noise_write_2(struct noise *n, uint8_t message[NOISE_MESSAGE_2_BYTES])
{
    size_t count;
    return noise_write_2_payload(n, NOTHING, message, NOISE_MESSAGE_2_BYTES, &count);
}

enum status
noise_read_2(struct noise *n, struct view message)
{
    uint8_t payload;
    size_t count;

    if (message.count != NOISE_MESSAGE_2_BYTES) {
        return STATUS_MALFORMED;
    }
    return noise_read_2_payload(n, message, &payload, 0, &count);
}

void
noise_split(struct noise *n, struct noise_session *out)
{
    assert(n->step == NOISE_DONE);
    memset(out, 0, sizeof *out);
    if (n->initiator) {
        noise_state_split(&n->state, out->send_key, out->receive_key);
    } else {
        noise_state_split(&n->state, out->receive_key, out->send_key);
    }
    memcpy(out->handshake_hash, n->state.h, NOISE_HASH_BYTES);
    noise_wipe(n);
}

void
noise_wipe(struct noise *n)
{
    if (n != NULL) {
        sodium_memzero(n, sizeof *n);
    }
}

void
noise_session_wipe(struct noise_session *s)
{
    if (s != NULL) {
        sodium_memzero(s, sizeof *s);
    }
}

enum status
noise_seal(struct noise_session *s, struct view plain, uint8_t *out, size_t out_max,
           size_t *out_count)
{
    *out_count = 0;
    if (plain.count > NOISE_PLAIN_BYTES_MAX || plain.count + NOISE_TAG_BYTES > out_max ||
        s->send_count == UINT64_MAX) {
        return STATUS_TOO_BIG;
    }
    noise_state_aead_seal(s->send_key, s->send_count++, NOTHING, plain, out);
    *out_count = plain.count + NOISE_TAG_BYTES;
    return STATUS_OK;
}

enum status
noise_open(struct noise_session *s, struct view message, uint8_t *out, size_t out_max,
           size_t *out_count)
{
    enum status st;

    *out_count = 0;
    if (message.count < NOISE_TAG_BYTES) {
        return STATUS_MALFORMED;
    }
    if (message.count > NOISE_MESSAGE_BYTES_MAX || message.count - NOISE_TAG_BYTES > out_max ||
        s->receive_count == UINT64_MAX) {
        return STATUS_TOO_BIG;
    }
    if ((st = noise_state_aead_open(s->receive_key, s->receive_count, NOTHING, message, out)) ==
        STATUS_OK) {
        s->receive_count++;
        *out_count = message.count - NOISE_TAG_BYTES;
    }
    return st;
}
