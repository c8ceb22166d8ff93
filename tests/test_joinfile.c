/* Goal: a join file is one signed text, to the byte; it is accepted only whole,
 * with usable keys and all three signatures.
 * Method: files of a second implementation; every bit flipped; files signed
 * here that lack a signature, repeat a key or hold one of low order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/joinfile.h"
#include "crypto/note.h"
#include "tests/vector_file.h"

static struct network_keys
sample_keys(void)
{
    const uint8_t seed[KEY_BYTES] = {42};
    struct network_keys keys;
    keys_derive(seed, "net", &keys);
    return keys;
}

static struct joinfile
sample(void)
{
    return (struct joinfile){.institution = "h001",
                             .network = "net",
                             .name = "Yi County Hospital",
                             .address_count = 1,
                             .addresses = {"tcp://[::1]:7070"}};
}

static void
test_new_keys_are_signed_with_the_old_ones(void **state)
{
    struct network_keys new_keys = sample_keys(), old, strange;
    struct joinfile join = sample(), read;
    uint8_t seed[KEY_BYTES] = {43}, file[JOINFILE_BYTES_MAX];
    size_t count;
    (void)state;
    keys_derive(seed, "net", &old);
    seed[0] = 44;
    keys_derive(seed, "net", &strange);
    assert_int_equal(joinfile_encode(&join, &new_keys, file, sizeof file, &count), STATUS_OK);
    assert_int_equal(joinfile_decode((struct view){file, count}, &read), STATUS_OK);
    assert_int_equal(
        joinfile_signed_by((struct view){file, count}, &read, old.statement.public_key),
        STATUS_UNKNOWN_KEY);
    size_t before = count;
    assert_int_equal(joinfile_countersign(file, count + 10, &count, &old), STATUS_TOO_BIG);
    assert_int_equal(count, before);
    assert_int_equal(joinfile_countersign(file, sizeof file, &count, &old), STATUS_OK);
    assert_true(count > before);
    assert_int_equal(joinfile_decode((struct view){file, count}, &read), STATUS_OK);
    assert_memory_equal(read.keys.log, new_keys.log.public_key, KEY_BYTES);
    assert_int_equal(
        joinfile_signed_by((struct view){file, count}, &read, old.statement.public_key),
        STATUS_OK);
    assert_int_equal(
        joinfile_signed_by((struct view){file, count}, &read, strange.statement.public_key),
        STATUS_UNKNOWN_KEY);
    /* the line of the old key, damaged: its last digits of base64 */
    file[count - 4] = file[count - 4] == 'A' ? 'B' : 'A';
    assert_int_equal(
        joinfile_signed_by((struct view){file, count}, &read, old.statement.public_key),
        STATUS_BAD_SIGNATURE);
    /* the text: nothing holds any more */
    file[count - 4] = file[count - 4] == 'A' ? 'B' : 'A';
    file[15]++;
    assert_int_not_equal(joinfile_decode((struct view){file, count}, &read), STATUS_OK);
    file[0]++;
    assert_int_equal(joinfile_countersign(file, sizeof file, &count, &old), STATUS_MALFORMED);
}

/* Replace `from` by `to` in the text and sign it anew with those of the three
 * keys whose bit is set, as a hostile applicant could. */
static struct view
forge(const struct network_keys *keys, const char *from, const char *to, unsigned signers,
      uint8_t out[JOINFILE_BYTES_MAX])
{
    const struct sign_key *const all[] = {&keys->log, &keys->witness, &keys->statement};
    static const char *const names[] = {"net/h001/log", "net/h001/witness",
                                        "net/h001/statement"};
    const struct joinfile join = sample();
    uint8_t file[JOINFILE_BYTES_MAX + 1];
    char text[JOINFILE_BYTES_MAX * 2];
    size_t count, n;
    char *at, *end;
    assert_int_equal(joinfile_encode(&join, keys, file, sizeof file - 1, &count), STATUS_OK);
    file[count] = '\0';
    end = strstr((char *)file, "\n\n");
    assert_non_null(end);
    end[1] = '\0';
    at = strstr((char *)file, from);
    assert_non_null(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - (char *)file), (char *)file, to,
                   at + strlen(from));
    count = strlen(text);
    memcpy(out, text, count);
    out[count++] = '\n';
    for (size_t i = 0; i < 3; i++) {
        struct note_signer signer;
        if ((signers >> i & 1) == 0) {
            continue;
        }
        assert_int_equal(
            note_signer_make((struct view){(const uint8_t *)names[i], strlen(names[i])},
                             NOTE_KEY_ED25519, all[i]->secret_key, &signer),
            STATUS_OK);
        assert_int_equal(note_sign_line(&signer, (struct view){(uint8_t *)text, strlen(text)},
                                        out + count, JOINFILE_BYTES_MAX - count, &n),
                         STATUS_OK);
        count += n;
    }
    return (struct view){out, count};
}

static void
test_files_equal_those_of_the_second_implementation(void **state)
{
    json_t *root, *one, *address;
    size_t i, j;
    (void)state;
    const json_t *cases = vector_own("join", &root);
    json_array_foreach(cases, i, one)
    {
        const char *file = vector_text(one, "file");
        const json_t *addresses = json_object_get(one, "addresses");
        struct network_keys keys;
        struct network_public public_keys;
        struct joinfile join = {.address_count = json_array_size(addresses)}, back;
        uint8_t seed[KEY_BYTES], out[JOINFILE_BYTES_MAX];
        size_t count;
        vector_bytes(one, "seed", seed, sizeof seed);
        (void)snprintf(join.institution, sizeof join.institution, "%s",
                       vector_text(one, "institution"));
        (void)snprintf(join.network, sizeof join.network, "%s", vector_text(one, "network"));
        (void)snprintf(join.name, sizeof join.name, "%s", vector_text(one, "name"));
        json_array_foreach(addresses, j, address)
        {
            (void)snprintf(join.addresses[j], sizeof join.addresses[j], "%s",
                           json_string_value(address));
        }
        keys_derive(seed, join.network, &keys);
        keys_public(&keys, &public_keys);
        assert_int_equal(joinfile_encode(&join, &keys, out, sizeof out, &count), STATUS_OK);
        assert_int_equal(count, strlen(file));
        assert_memory_equal(out, file, count);
        assert_int_equal(joinfile_decode((struct view){out, count}, &back), STATUS_OK);
        assert_string_equal(back.institution, join.institution);
        assert_string_equal(back.network, join.network);
        assert_string_equal(back.name, join.name);
        assert_int_equal(back.address_count, join.address_count);
        assert_memory_equal(back.addresses, join.addresses, sizeof join.addresses);
        assert_memory_equal(&back.keys, &public_keys, sizeof public_keys);
    }
    json_decref(root);
}

static void
test_every_flipped_bit_and_every_cut_is_refused(void **state)
{
    const struct network_keys keys = sample_keys();
    const struct joinfile join = sample();
    struct joinfile back;
    uint8_t out[JOINFILE_BYTES_MAX];
    size_t count;
    (void)state;
    assert_int_equal(joinfile_encode(&join, &keys, out, sizeof out, &count), STATUS_OK);
    for (size_t i = 0; i < count * 8; i++) {
        out[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(joinfile_decode((struct view){out, count}, &back), STATUS_OK);
        assert_true(sodium_is_zero((const unsigned char *)&back, sizeof back));
        out[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(joinfile_decode((struct view){out, i}, &back), STATUS_OK);
    }
    assert_int_equal(joinfile_decode((struct view){out, count}, &back), STATUS_OK);
}

static void
test_all_three_signatures_are_needed(void **state)
{
    const struct network_keys keys = sample_keys();
    struct joinfile back;
    uint8_t out[JOINFILE_BYTES_MAX];
    (void)state;
    for (unsigned signers = 1; signers < 8; signers++) {
        assert_int_equal(joinfile_decode(forge(&keys, "net", "net", signers, out), &back),
                         signers == 7 ? STATUS_OK : STATUS_THRESHOLD);
    }
}

static void
test_keys_that_cannot_be_used_are_refused_though_signed(void **state)
{
    struct network_keys keys = sample_keys();
    struct joinfile back;
    uint8_t out[JOINFILE_BYTES_MAX];
    (void)state;
    memset(keys.box.public_key, 0, KEY_BYTES);
    assert_int_equal(joinfile_decode(forge(&keys, "net", "net", 7, out), &back),
                     STATUS_BAD_KEY);
    keys = sample_keys();
    keys.box = keys.session;
    assert_int_equal(joinfile_decode(forge(&keys, "net", "net", 7, out), &back),
                     STATUS_BAD_KEY);
    keys = sample_keys();
    keys.witness = keys.log;
    assert_int_equal(joinfile_decode(forge(&keys, "net", "net", 7, out), &back),
                     STATUS_BAD_KEY);
}

static void
test_texts_that_encoding_never_writes_are_refused_though_signed(void **state)
{
    static const struct {
        const char *from, *to;
        enum status expected;
    } cases[] = {
        {"huren join v1", "huren join v2", STATUS_UNSUPPORTED},
        {"institution h001", "institution H001", STATUS_MALFORMED},
        {"institution h001", "institution  h001", STATUS_MALFORMED},
        {"institution h001", "institution", STATUS_MALFORMED},
        {"network net\n", "", STATUS_MALFORMED},
        {"network net\n", "network net\nnetwork net\n", STATUS_MALFORMED},
        {"log ", "log  ", STATUS_MALFORMED},
        {"name Yi County Hospital\n", "name \n", STATUS_MALFORMED},
        {"name Yi County Hospital\n", "name Yi \n", STATUS_MALFORMED},
        {"name Yi County Hospital\n", "name a\nname b\n", STATUS_MALFORMED},
        {"name Yi County Hospital\n", "name a\xe2\x80\xae\x62\n", STATUS_MALFORMED},
        {"name Yi County Hospital\n", "", STATUS_OK},
        {"tcp://[::1]:7070", "http://[::1]:7070", STATUS_MALFORMED},
        {"tcp://[::1]:7070", "tcp://", STATUS_MALFORMED},
        {"tcp://[::1]:7070", "tcp://a b", STATUS_MALFORMED},
        {"tcp://[::1]:7070", "tcp://a/b", STATUS_MALFORMED},
        {"address tcp://[::1]:7070\n", "", STATUS_OK},
        {"address tcp://[::1]:7070\n",
         "address tcp://a\naddress tcp://b\naddress tcp://c\naddress tcp://d\naddress "
         "tcp://e\n",
         STATUS_TOO_BIG},
        {"address tcp://[::1]:7070\n", "other 1\n", STATUS_MALFORMED},
    };
    const struct network_keys keys = sample_keys();
    struct joinfile back;
    uint8_t out[JOINFILE_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const enum status st =
            joinfile_decode(forge(&keys, cases[i].from, cases[i].to, 7, out), &back);
        if (st != cases[i].expected) {
            fail_msg("case %zu: %s", i, status_text(st));
        }
    }
}

static void
test_a_file_that_does_not_fit_is_not_written(void **state)
{
    const struct network_keys keys = sample_keys();
    const struct joinfile join = sample();
    uint8_t out[JOINFILE_BYTES_MAX];
    size_t whole, count;
    (void)state;
    assert_int_equal(joinfile_encode(&join, &keys, out, sizeof out, &whole), STATUS_OK);
    for (size_t room = 0; room < whole; room++) {
        memset(out, 0xee, sizeof out);
        assert_int_equal(joinfile_encode(&join, &keys, out, room, &count), STATUS_TOO_BIG);
        assert_int_equal(count, 0);
        assert_int_equal(out[room], 0xee);
    }
    assert_int_equal(joinfile_encode(&join, &keys, out, whole, &count), STATUS_OK);
}

static void
test_bad_names_are_not_written(void **state)
{
    const struct network_keys keys = sample_keys();
    struct joinfile join = sample();
    uint8_t out[JOINFILE_BYTES_MAX];
    size_t count;
    (void)state;
    join.institution[0] = 'H';
    assert_int_equal(joinfile_encode(&join, &keys, out, sizeof out, &count), STATUS_MALFORMED);
    join = sample();
    join.name[2] = '\n';
    assert_int_equal(joinfile_encode(&join, &keys, out, sizeof out, &count), STATUS_MALFORMED);
    join = sample();
    join.addresses[0][7] = ' ';
    assert_int_equal(joinfile_encode(&join, &keys, out, sizeof out, &count), STATUS_MALFORMED);
    join = sample();
    join.address_count = JOINFILE_ADDRESSES_MAX + 1;
    assert_int_equal(joinfile_encode(&join, &keys, out, sizeof out, &count), STATUS_TOO_BIG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_equal_those_of_the_second_implementation),
        cmocka_unit_test(test_every_flipped_bit_and_every_cut_is_refused),
        cmocka_unit_test(test_all_three_signatures_are_needed),
        cmocka_unit_test(test_new_keys_are_signed_with_the_old_ones),
        cmocka_unit_test(test_keys_that_cannot_be_used_are_refused_though_signed),
        cmocka_unit_test(test_texts_that_encoding_never_writes_are_refused_though_signed),
        cmocka_unit_test(test_a_file_that_does_not_fit_is_not_written),
        cmocka_unit_test(test_bad_names_are_not_written),
    };
    return cmocka_run_group_tests_name("joinfile", tests, vector_setup, NULL);
}
