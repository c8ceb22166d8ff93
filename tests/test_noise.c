/* Goal: handshakes and transport messages are those of the Noise specification,
 * and a message that is refused changes nothing.
 * Method: the published vectors of cacophony and snow.  Noise_IK runs through
 * crypto/noise.c; every other pattern with BLAKE2b and without a shared secret
 * through the small engine below, over the same crypto/noise_state.c.  Then two
 * sides here, every bit of every message flipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/noise.h"
#include "tests/vector_file.h"

enum { ROOM = 1024, MESSAGES_MAX = 4 };

/* ---- any pattern, by its tokens ---- */

/* Tokens are single letters: e, s, and the Diffie-Hellman results A ee, B es,
 * C se, D ss.  `before` names the side whose static key is known before: i, r. */
static const struct pattern {
    const char *name, *before, *messages[MESSAGES_MAX];
} PATTERNS[] = {
    {"N", "r", {"eB"}},
    {"K", "ir", {"eBD"}},
    {"X", "r", {"eBsD"}},
    {"NN", "", {"e", "eA"}},
    {"NK", "r", {"eB", "eA"}},
    {"NX", "", {"e", "eAsB"}},
    {"KN", "i", {"e", "eAC"}},
    {"KK", "ir", {"eBD", "eAC"}},
    {"KX", "i", {"e", "eACsB"}},
    {"XN", "", {"e", "eA", "sC"}},
    {"XK", "r", {"eB", "eA", "sC"}},
    {"XX", "", {"e", "eAsB", "sC"}},
    {"IN", "", {"es", "eAC"}},
    {"IK", "r", {"eBsD", "eAC"}},
    {"IX", "", {"es", "eACsB"}},
    /* deferred (specification, section 18.1) */
    {"NK1", "r", {"e", "eAB"}},
    {"NX1", "", {"e", "eAs", "B"}},
    {"X1N", "", {"e", "eA", "s", "C"}},
    {"X1K", "r", {"eB", "eA", "s", "C"}},
    {"XK1", "r", {"e", "eAB", "sC"}},
    {"X1K1", "r", {"e", "eAB", "s", "C"}},
    {"X1X", "", {"e", "eAsB", "s", "C"}},
    {"XX1", "", {"e", "eAs", "BsC"}},
    {"X1X1", "", {"e", "eAs", "Bs", "C"}},
    {"K1N", "i", {"e", "eA", "C"}},
    {"K1K", "ir", {"eB", "eA", "C"}},
    {"KK1", "ir", {"e", "eACB"}},
    {"K1K1", "ir", {"e", "eAB", "C"}},
    {"K1X", "i", {"e", "eAsB", "C"}},
    {"KX1", "i", {"e", "eACs", "B"}},
    {"K1X1", "i", {"e", "eAs", "CB"}},
    {"I1N", "", {"es", "eA", "C"}},
    {"I1K", "r", {"eBs", "eA", "C"}},
    {"IK1", "r", {"es", "eACB"}},
    {"I1K1", "r", {"es", "eAB", "C"}},
    {"I1X", "", {"es", "eAsB", "C"}},
    {"IX1", "", {"es", "eACs", "B"}},
    {"I1X1", "", {"es", "eAs", "CB"}},
};

struct side {
    struct noise_state state;
    struct dh_key s, e;
    uint8_t rs[KEY_BYTES], re[KEY_BYTES];
    bool initiator;
};

static void
mix_token_dh(struct side *side, char token)
{
    /* first letter: the initiator's key, second: the responder's */
    const bool first_static = token == 'C' || token == 'D',
               second_static = token == 'B' || token == 'D';
    const bool mine_static = side->initiator ? first_static : second_static,
               theirs_static = side->initiator ? second_static : first_static;
    assert_int_equal(noise_state_mix_dh(&side->state,
                                        mine_static ? side->s.secret_key : side->e.secret_key,
                                        theirs_static ? side->rs : side->re),
                     STATUS_OK);
}

static size_t
pattern_write(struct side *side, const char *tokens, struct view payload, uint8_t *out)
{
    uint8_t *at = out;
    for (; *tokens != '\0'; tokens++) {
        if (*tokens == 'e') {
            memcpy(at, side->e.public_key, KEY_BYTES);
            noise_state_mix_hash(&side->state, at, KEY_BYTES);
            at += KEY_BYTES;
        } else if (*tokens == 's') {
            at += noise_state_encrypt(&side->state,
                                      (struct view){side->s.public_key, KEY_BYTES}, at);
        } else {
            mix_token_dh(side, *tokens);
        }
    }
    return (size_t)(at - out) + noise_state_encrypt(&side->state, payload, at);
}

static size_t
pattern_read(struct side *side, const char *tokens, struct view message, uint8_t *payload)
{
    const uint8_t *at = message.bytes;
    size_t count;
    for (; *tokens != '\0'; tokens++) {
        if (*tokens == 'e') {
            memcpy(side->re, at, KEY_BYTES);
            noise_state_mix_hash(&side->state, at, KEY_BYTES);
            at += KEY_BYTES;
        } else if (*tokens == 's') {
            const size_t taken = KEY_BYTES + (side->state.has_key ? NOISE_TAG_BYTES : 0u);
            assert_int_equal(
                noise_state_decrypt(&side->state, (struct view){at, taken}, side->rs, &count),
                STATUS_OK);
            at += taken;
        } else {
            mix_token_dh(side, *tokens);
        }
    }
    assert_int_equal(
        noise_state_decrypt(&side->state,
                            (struct view){at, message.count - (size_t)(at - message.bytes)},
                            payload, &count),
        STATUS_OK);
    return count;
}

static void
optional_key(const json_t *one, const char *name, struct dh_key *out)
{
    uint8_t secret[KEY_BYTES];
    memset(out, 0, sizeof *out);
    if (json_object_get(one, name) != NULL) {
        vector_bytes(one, name, secret, sizeof secret);
        keys_dh_key(secret, out);
    }
}

static void
side_begin(struct side *side, const json_t *one, const struct pattern *p, bool initiator)
{
    uint8_t prologue[ROOM];
    struct dh_key known[2]; /* statics of initiator and responder */
    struct view text;
    memset(side, 0, sizeof *side);
    side->initiator = initiator;
    optional_key(one, "init_static", &known[0]);
    optional_key(one, "resp_static", &known[1]);
    optional_key(one, initiator ? "init_ephemeral" : "resp_ephemeral", &side->e);
    side->s = known[initiator ? 0 : 1];
    text = vector_hex(one, initiator ? "init_prologue" : "resp_prologue", prologue,
                      sizeof prologue);
    noise_state_init(&side->state, vector_text(one, "protocol_name"));
    noise_state_mix_hash(&side->state, text.bytes, text.count);
    for (const char *who = p->before; *who != '\0'; who++) {
        const struct dh_key *key = &known[*who == 'i' ? 0 : 1];
        noise_state_mix_hash(&side->state, key->public_key, KEY_BYTES);
        if ((*who == 'r') == initiator) {
            memcpy(side->rs, key->public_key, KEY_BYTES);
        }
    }
}

/* Transport messages: `first` is the index of the first, `one_way` patterns
 * have only the initiator's. */
static void
check_transport(const json_t *messages, size_t first, bool one_way, struct noise_session *init,
                struct noise_session *resp)
{
    for (size_t m = first; m < json_array_size(messages); m++) {
        const json_t *message = json_array_get(messages, m);
        uint8_t payload[ROOM], out[ROOM], back[ROOM];
        const struct view plain = vector_hex(message, "payload", payload, sizeof payload);
        const bool by_initiator = one_way || m % 2 == 0;
        size_t count, back_count;
        assert_int_equal(noise_seal(by_initiator ? init : resp, plain, out, sizeof out, &count),
                         STATUS_OK);
        vector_expect(message, "ciphertext", out, count);
        assert_int_equal(noise_open(by_initiator ? resp : init, (struct view){out, count}, back,
                                    sizeof back, &back_count),
                         STATUS_OK);
        assert_int_equal(back_count, plain.count);
        assert_memory_equal(back, payload, plain.count);
    }
}

static void
run_pattern(const json_t *one, const struct pattern *p)
{
    const json_t *messages = json_object_get(one, "messages");
    struct side sides[2];
    struct noise_session init = {.send_count = 0}, resp = {.send_count = 0};
    size_t m = 0;
    side_begin(&sides[0], one, p, true);
    side_begin(&sides[1], one, p, false);
    for (; m < MESSAGES_MAX && p->messages[m] != NULL; m++) {
        const json_t *message = json_array_get(messages, m);
        uint8_t payload[ROOM], out[ROOM], back[ROOM];
        const struct view plain = vector_hex(message, "payload", payload, sizeof payload);
        const size_t count = pattern_write(&sides[m % 2], p->messages[m], plain, out);
        vector_expect(message, "ciphertext", out, count);
        assert_int_equal(
            pattern_read(&sides[1 - m % 2], p->messages[m], (struct view){out, count}, back),
            plain.count);
        assert_memory_equal(back, payload, plain.count);
    }
    assert_memory_equal(sides[0].state.h, sides[1].state.h, NOISE_HASH_BYTES);
    if (json_object_get(one, "handshake_hash") != NULL) {
        vector_expect(one, "handshake_hash", sides[0].state.h, NOISE_HASH_BYTES);
    }
    noise_state_split(&sides[0].state, init.send_key, init.receive_key);
    noise_state_split(&sides[1].state, resp.receive_key, resp.send_key);
    check_transport(messages, m, p->messages[1] == NULL, &init, &resp);
}

/* ---- the product's own code, on the vectors of IK ---- */

static void
run_ik(const json_t *one)
{
    const json_t *messages = json_object_get(one, "messages"), *message;
    struct dh_key init_s, resp_s, init_e, resp_e;
    struct noise init, resp;
    struct noise_session init_session, resp_session;
    uint8_t prologue[ROOM], payload[ROOM], out[ROOM], back[ROOM];
    struct view plain, text = vector_hex(one, "init_prologue", prologue, sizeof prologue);
    size_t count, back_count;
    optional_key(one, "init_static", &init_s);
    optional_key(one, "resp_static", &resp_s);
    optional_key(one, "init_ephemeral", &init_e);
    optional_key(one, "resp_ephemeral", &resp_e);
    noise_init_initiator(&init, text, &init_s, resp_s.public_key, init_e.secret_key);
    noise_init_responder(&resp, text, &resp_s, resp_e.secret_key);

    message = json_array_get(messages, 0);
    plain = vector_hex(message, "payload", payload, sizeof payload);
    assert_int_equal(noise_write_1_payload(&init, plain, out, sizeof out, &count), STATUS_OK);
    vector_expect(message, "ciphertext", out, count);
    assert_int_equal(
        noise_read_1_payload(&resp, (struct view){out, count}, back, sizeof back, &back_count),
        STATUS_OK);
    assert_int_equal(back_count, plain.count);
    assert_memory_equal(back, payload, plain.count);
    assert_memory_equal(resp.rs, init_s.public_key, KEY_BYTES);

    message = json_array_get(messages, 1);
    plain = vector_hex(message, "payload", payload, sizeof payload);
    assert_int_equal(noise_write_2_payload(&resp, plain, out, sizeof out, &count), STATUS_OK);
    vector_expect(message, "ciphertext", out, count);
    assert_int_equal(
        noise_read_2_payload(&init, (struct view){out, count}, back, sizeof back, &back_count),
        STATUS_OK);
    assert_int_equal(back_count, plain.count);
    assert_memory_equal(back, payload, plain.count);

    noise_split(&init, &init_session);
    noise_split(&resp, &resp_session);
    assert_true(sodium_is_zero((const unsigned char *)&init, sizeof init));
    assert_memory_equal(init_session.handshake_hash, resp_session.handshake_hash,
                        NOISE_HASH_BYTES);
    if (json_object_get(one, "handshake_hash") != NULL) {
        vector_expect(one, "handshake_hash", init_session.handshake_hash, NOISE_HASH_BYTES);
    }
    check_transport(messages, 2, false, &init_session, &resp_session);
}

/* Run the vectors of one file; *ik and *others count what was run. */
static void
run_file(const char *file, size_t *ik, size_t *others)
{
    json_t *root = vector_shared(file), *one;
    size_t i;
    json_array_foreach(json_object_get(root, "vectors"), i, one)
    {
        const char *name = vector_text(one, "protocol_name");
        if (strstr(name, "_BLAKE2b") == NULL || strstr(name, "psk") != NULL) {
            continue; /* other hash functions are not ours */
        }
        const struct pattern *found = NULL;
        for (size_t p = 0; p < sizeof PATTERNS / sizeof PATTERNS[0]; p++) {
            const size_t length = strlen(PATTERNS[p].name);
            if (strncmp(name + 6, PATTERNS[p].name, length) == 0 && name[6 + length] == '_') {
                found = &PATTERNS[p];
            }
        }
        if (found == NULL) {
            fail_msg("no pattern for %s", name);
            continue;
        }
        run_pattern(one, found);
        (*others)++;
        if (strcmp(found->name, "IK") == 0) {
            run_ik(one);
            (*ik)++;
        }
    }
    json_decref(root);
}

static void
test_cacophony_vectors_come_out_byte_for_byte(void **state)
{
    size_t ik = 0, others = 0;
    (void)state;
    run_file("noise/cacophony_25519_ChaChaPoly.json", &ik, &others);
    print_message("cacophony: %zu patterns with BLAKE2b, IK %zu\n", others, ik);
    assert_true(ik >= 1);
    assert_true(others >= 20);
}

static void
test_snow_vectors_come_out_byte_for_byte(void **state)
{
    size_t ik = 0, others = 0;
    (void)state;
    run_file("noise/snow_25519_ChaChaPoly.json", &ik, &others);
    print_message("snow: %zu patterns with BLAKE2b, IK %zu\n", others, ik);
    assert_true(others >= 15);
}

/* ---- two sides of our own ---- */

static const struct view PROLOGUE = {(const uint8_t *)"huren 1 net\n", 12};

struct pair {
    struct dh_key init_s, resp_s;
    struct noise init, resp;
};

static void
begin(struct pair *p)
{
    uint8_t secret[4][KEY_BYTES];
    for (int i = 0; i < 4; i++) {
        memset(secret[i], i + 1, KEY_BYTES);
    }
    keys_dh_key(secret[0], &p->init_s);
    keys_dh_key(secret[1], &p->resp_s);
    noise_init_initiator(&p->init, PROLOGUE, &p->init_s, p->resp_s.public_key, secret[2]);
    noise_init_responder(&p->resp, PROLOGUE, &p->resp_s, secret[3]);
}

static void
finish(struct pair *p, struct noise_session *a, struct noise_session *b)
{
    uint8_t first[NOISE_MESSAGE_1_BYTES], second[NOISE_MESSAGE_2_BYTES], who[KEY_BYTES];
    assert_int_equal(noise_write_1(&p->init, first), STATUS_OK);
    assert_int_equal(noise_read_1(&p->resp, (struct view){first, sizeof first}, who),
                     STATUS_OK);
    assert_memory_equal(who, p->init_s.public_key, KEY_BYTES);
    assert_int_equal(noise_write_2(&p->resp, second), STATUS_OK);
    assert_int_equal(noise_read_2(&p->init, (struct view){second, sizeof second}), STATUS_OK);
    noise_split(&p->init, a);
    noise_split(&p->resp, b);
}

static void
test_a_changed_handshake_message_is_refused_and_changes_nothing(void **state)
{
    struct pair p;
    struct noise before;
    uint8_t first[NOISE_MESSAGE_1_BYTES + 1] = {0}, second[NOISE_MESSAGE_2_BYTES + 1] = {0};
    uint8_t who[KEY_BYTES];
    (void)state;
    begin(&p);
    assert_int_equal(noise_write_1(&p.init, first), STATUS_OK);
    before = p.resp;
    for (size_t i = 0; i < NOISE_MESSAGE_1_BYTES * 8; i++) {
        if (i == 255) {
            continue; /* the top bit of an X25519 key is ignored, below */
        }
        first[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(
            noise_read_1(&p.resp, (struct view){first, NOISE_MESSAGE_1_BYTES}, who),
            STATUS_BAD_KEY);
        assert_memory_equal(&p.resp, &before, sizeof before);
        assert_true(sodium_is_zero(who, sizeof who));
        first[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    first[31] ^= 0x80; /* but it is hashed */
    assert_int_equal(noise_read_1(&p.resp, (struct view){first, NOISE_MESSAGE_1_BYTES}, who),
                     STATUS_BAD_KEY);
    first[31] ^= 0x80;
    for (size_t n = 0; n <= sizeof first; n++) {
        if (n != NOISE_MESSAGE_1_BYTES) {
            assert_int_equal(noise_read_1(&p.resp, (struct view){first, n}, who),
                             STATUS_MALFORMED);
        }
    }
    assert_int_equal(noise_read_1(&p.resp, (struct view){first, NOISE_MESSAGE_1_BYTES}, who),
                     STATUS_OK);
    assert_int_equal(noise_write_2(&p.resp, second), STATUS_OK);
    before = p.init;
    for (size_t i = 0; i < NOISE_MESSAGE_2_BYTES * 8; i++) {
        second[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(noise_read_2(&p.init, (struct view){second, NOISE_MESSAGE_2_BYTES}),
                         STATUS_BAD_KEY);
        assert_memory_equal(&p.init, &before, sizeof before);
        second[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t n = 0; n <= sizeof second; n++) {
        if (n != NOISE_MESSAGE_2_BYTES) {
            assert_int_equal(noise_read_2(&p.init, (struct view){second, n}), STATUS_MALFORMED);
        }
    }
    assert_int_equal(noise_read_2(&p.init, (struct view){second, NOISE_MESSAGE_2_BYTES}),
                     STATUS_OK);
}

static void
test_another_prologue_or_another_responder_is_refused(void **state)
{
    struct pair p;
    uint8_t first[NOISE_MESSAGE_1_BYTES], who[KEY_BYTES], secret[KEY_BYTES] = {77};
    struct noise other;
    (void)state;
    begin(&p);
    assert_int_equal(noise_write_1(&p.init, first), STATUS_OK);
    noise_init_responder(&other, (struct view){(const uint8_t *)"huren 1 ned\n", 12}, &p.resp_s,
                         secret);
    assert_int_equal(noise_read_1(&other, (struct view){first, sizeof first}, who),
                     STATUS_BAD_KEY);
    noise_init_responder(&other, PROLOGUE, &p.init_s, secret);
    assert_int_equal(noise_read_1(&other, (struct view){first, sizeof first}, who),
                     STATUS_BAD_KEY);
}

static void
test_keys_of_low_order_end_the_handshake(void **state)
{
    struct pair p;
    struct noise init;
    uint8_t first[NOISE_MESSAGE_1_BYTES], second[NOISE_MESSAGE_2_BYTES], who[KEY_BYTES];
    uint8_t zero[KEY_BYTES] = {0}, secret[KEY_BYTES] = {5};
    (void)state;
    begin(&p);
    noise_init_initiator(&init, PROLOGUE, &p.init_s, zero, secret);
    assert_int_equal(noise_write_1(&init, first), STATUS_BAD_KEY);
    assert_int_equal(noise_write_1(&p.init, first), STATUS_OK);
    memset(first, 0, KEY_BYTES);
    assert_int_equal(noise_read_1(&p.resp, (struct view){first, sizeof first}, who),
                     STATUS_BAD_KEY);
    memset(second, 0, sizeof second);
    assert_int_equal(noise_read_2(&p.init, (struct view){second, sizeof second}),
                     STATUS_BAD_KEY);
}

static void
test_transport_messages_open_once_in_order_and_unchanged(void **state)
{
    struct pair p;
    struct noise_session a, b, before;
    uint8_t message[3][64], back[64];
    size_t count[3], n;
    (void)state;
    begin(&p);
    finish(&p, &a, &b);
    assert_memory_equal(a.handshake_hash, b.handshake_hash, NOISE_HASH_BYTES);
    assert_memory_not_equal(a.send_key, a.receive_key, KEY_BYTES);
    for (size_t i = 0; i < 3; i++) {
        uint8_t plain[20];
        memset(plain, (int)i, sizeof plain);
        assert_int_equal(
            noise_seal(&a, (struct view){plain, sizeof plain}, message[i], 64, &count[i]),
            STATUS_OK);
    }
    before = b;
    assert_int_equal(noise_open(&b, (struct view){message[1], count[1]}, back, 64, &n),
                     STATUS_BAD_KEY); /* one is missing */
    for (size_t i = 0; i < count[0] * 8; i++) {
        message[0][i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(noise_open(&b, (struct view){message[0], count[0]}, back, 64, &n),
                         STATUS_BAD_KEY);
        message[0][i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (n = 0; n < count[0]; n++) {
        size_t none;
        assert_int_equal(noise_open(&b, (struct view){message[0], n}, back, 64, &none),
                         n < NOISE_TAG_BYTES ? STATUS_MALFORMED : STATUS_BAD_KEY);
        assert_int_equal(none, 0);
    }
    assert_int_equal(noise_open(&b, (struct view){message[0], count[0]}, back, 19, &n),
                     STATUS_TOO_BIG);
    assert_memory_equal(&b, &before, sizeof b);
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(noise_open(&b, (struct view){message[i], count[i]}, back, 64, &n),
                         STATUS_OK);
        assert_int_equal(n, 20);
        assert_int_equal(back[19], i);
        assert_int_equal(noise_open(&b, (struct view){message[i], count[i]}, back, 64, &n),
                         STATUS_BAD_KEY); /* a replay */
    }
    assert_int_equal(noise_open(&a, (struct view){message[0], count[0]}, back, 64, &n),
                     STATUS_BAD_KEY); /* back at its sender */
}

static void
test_transport_sizes_up_to_the_limit_come_back_in_place(void **state)
{
    static uint8_t buffer[NOISE_MESSAGE_BYTES_MAX + 1];
    static const size_t sizes[] = {0, 1, 16, 63, 64, 65, 1000, NOISE_PLAIN_BYTES_MAX};
    struct pair p;
    struct noise_session a, b;
    size_t count, n;
    (void)state;
    begin(&p);
    finish(&p, &a, &b);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(buffer, 0x5a, sizeof buffer);
        assert_int_equal(
            noise_seal(&a, (struct view){buffer, sizes[i]}, buffer, sizeof buffer, &count),
            STATUS_OK);
        assert_int_equal(count, sizes[i] + NOISE_TAG_BYTES);
        assert_int_equal(noise_open(&b, (struct view){buffer, count}, buffer, sizes[i], &n),
                         STATUS_OK);
        assert_int_equal(n, sizes[i]);
        for (size_t j = 0; j < n; j++) {
            assert_int_equal(buffer[j], 0x5a);
        }
    }
    n = a.send_count;
    assert_int_equal(noise_seal(&a, (struct view){buffer, NOISE_PLAIN_BYTES_MAX + 1}, buffer,
                                sizeof buffer, &count),
                     STATUS_TOO_BIG);
    assert_int_equal(noise_seal(&a, (struct view){buffer, 10}, buffer, 25, &count),
                     STATUS_TOO_BIG);
    assert_int_equal(noise_open(&b, (struct view){buffer, NOISE_MESSAGE_BYTES_MAX + 1}, buffer,
                                sizeof buffer, &count),
                     STATUS_TOO_BIG);
    assert_int_equal(a.send_count, n);
    a.send_count = b.receive_count = UINT64_MAX; /* reserved: never used as a nonce */
    assert_int_equal(noise_seal(&a, (struct view){buffer, 10}, buffer, sizeof buffer, &count),
                     STATUS_TOO_BIG);
    assert_int_equal(noise_open(&b, (struct view){buffer, 26}, buffer, sizeof buffer, &count),
                     STATUS_TOO_BIG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cacophony_vectors_come_out_byte_for_byte),
        cmocka_unit_test(test_snow_vectors_come_out_byte_for_byte),
        cmocka_unit_test(test_a_changed_handshake_message_is_refused_and_changes_nothing),
        cmocka_unit_test(test_another_prologue_or_another_responder_is_refused),
        cmocka_unit_test(test_keys_of_low_order_end_the_handshake),
        cmocka_unit_test(test_transport_messages_open_once_in_order_and_unchanged),
        cmocka_unit_test(test_transport_sizes_up_to_the_limit_come_back_in_place),
    };
    return cmocka_run_group_tests_name("noise", tests, vector_setup, NULL);
}
