/* Goal: signed notes are read strictly and verified as C2SP signed-note says.
 * Method: FORMATS 2's and 4's example to the byte; the cases of golang/mod and
 * transparency-dev/formats; every bit of a signed note flipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/cosignature.h"
#include "crypto/note.h"
#include "proto/text.h"
#include "tests/vector.h"

#define TEXT "lab-a.example/results\n5\njqRL1ie1HLoGD8j9ib4hyzTWDKdUqlIwpZxsQ5DxVHc=\n"
#define LOG_LINE                                                                               \
    "\xe2\x80\x94 lab-a.example/results "                                                      \
    "f3Z0rcJ8HSAWLJ3+dOsuY0/8d/UHS5pokvtUy13bDAk5eAi+8Z+nO4o7f3hbVzOVIK8DG1J9VRUuuD45wPjvo2/"  \
    "zmwA=\n"
#define WITNESS_LINE                                                                           \
    "\xe2\x80\x94 clinic-b.example/witness "                                                   \
    "B3DP4AAAAABo53gABgT8UG+FpwMZeCDt8tVYx+R8tpMfFMgqfli4kqt1UG8FP5xPikZqeWR6p1gvMx9KKpY9AY4z" \
    "rRTqsK7h5C5yDw==\n"
#define LOG_VKEY "lab-a.example/results+7f7674ad+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
#define WITNESS_VKEY                                                                           \
    "clinic-b.example/witness+0770cfe0+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"

static const int64_t EXAMPLE_S = 1760000000;

static struct note_signer log_signer, witness;

static void
make_signer(const char *name, uint8_t type, uint8_t first, struct note_signer *out)
{
    uint8_t seed[NOTE_SEED_BYTES];

    for (unsigned i = 0; i < sizeof seed; i++) {
        seed[i] = (uint8_t)(first + i);
    }
    assert_int_equal(note_signer_make(text_view(name), type, seed, out), STATUS_OK);
}

static int
setup(void **state)
{
    (void)state;
    if (sodium_init() < 0) {
        return -1;
    }
    make_signer("lab-a.example/results", NOTE_KEY_ED25519, 0x00, &log_signer);
    make_signer("clinic-b.example/witness", NOTE_KEY_COSIGNATURE, 0x20, &witness);
    return 0;
}

static enum status
parse(const char *s, struct note *note)
{
    return note_parse(text_view(s), note);
}

/* ---- the running example ---- */

static void
test_formats_example_is_signed_to_the_byte(void **state)
{
    uint8_t out[1024];
    char vkey[NOTE_VKEY_BYTES_MAX];
    size_t n;

    (void)state;
    assert_int_equal(log_signer.key.id, 0x7f7674ad);
    note_key_encode(&log_signer.key, vkey);
    assert_string_equal(vkey, LOG_VKEY);
    assert_int_equal(witness.key.id, 0x0770cfe0);
    note_key_encode(&witness.key, vkey);
    assert_string_equal(vkey, WITNESS_VKEY);

    assert_int_equal(note_sign(&log_signer, text_view(TEXT), out, sizeof out, &n), STATUS_OK);
    assert_int_equal(n, strlen(TEXT "\n" LOG_LINE));
    assert_memory_equal(out, TEXT "\n" LOG_LINE, n);
    assert_int_equal(
        cosignature_line(&witness, text_view(TEXT), EXAMPLE_S, out, sizeof out, &n), STATUS_OK);
    assert_int_equal(n, strlen(WITNESS_LINE));
    assert_memory_equal(out, WITNESS_LINE, n);
    /* FORMATS 9: sizes */
    assert_int_equal(strlen(LOG_LINE), strlen("lab-a.example/results") + 98);
    assert_int_equal(strlen(WITNESS_LINE), strlen("clinic-b.example/witness") + 110);
}

static void
test_formats_example_verifies(void **state)
{
    struct note_key keys[2];
    struct note_verified v;
    struct note note;

    (void)state;
    assert_int_equal(note_key_parse(text_view(WITNESS_VKEY), &keys[0]), STATUS_OK);
    assert_int_equal(note_key_parse(text_view(LOG_VKEY), &keys[1]), STATUS_OK);
    assert_int_equal(parse(TEXT "\n" LOG_LINE WITNESS_LINE, &note), STATUS_OK);
    assert_int_equal(note.text.count, strlen(TEXT));
    assert_int_equal(note.signature_count, 2);
    assert_int_equal(note.signatures[0].id, 0x7f7674ad);
    assert_int_equal(note.signatures[1].payload_count, 72);
    assert_int_equal(note_verify(&note, keys, 2, EXAMPLE_S, &v), STATUS_OK);
    assert_int_equal(v.count, 2);
    assert_int_equal(v.lines, 3);
    assert_int_equal(v.signers[0].key, 1);
    assert_int_equal(v.signers[0].time_s, 0);
    assert_int_equal(v.signers[1].key, 0);
    assert_int_equal(v.signers[1].time_s, EXAMPLE_S);
    assert_int_equal(note_verify(&note, keys, 1, EXAMPLE_S, &v), STATUS_OK);
    assert_int_equal(v.count, 1);
    assert_int_equal(note_verify(&note, keys, 0, EXAMPLE_S, &v), STATUS_UNKNOWN_KEY);
    assert_int_equal(v.count, 0);
}

static void
test_no_byte_of_a_signed_note_can_change(void **state)
{
    const char *whole = TEXT "\n" LOG_LINE WITNESS_LINE;
    struct note_key keys[2] = {log_signer.key, witness.key};
    char changed[512];

    (void)state;
    for (size_t i = 0; i < strlen(whole); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct note_verified v;
            struct note note;
            memcpy(changed, whole, strlen(whole) + 1);
            changed[i] = (char)((unsigned char)changed[i] ^ (1u << bit));
            if (note_parse((struct view){(uint8_t *)changed, strlen(whole)}, &note) !=
                    STATUS_OK ||
                note_verify(&note, keys, 2, EXAMPLE_S, &v) != STATUS_OK) {
                continue;
            }
            /* Only a changed name or id may pass: that line is of nobody then. */
            assert_int_equal(v.count, 1);
        }
    }
}

/* ---- strictness ---- */

#define S "\xe2\x80\x94 "
#define B64 "AAAAAAAA" /* key id 0, two bytes */

static void
test_what_is_not_a_note_is_malformed(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "\n\n",
        "text",
        "text\n",
        "text\n\n",
        "text\n\nmore\n",
        "text\n" S "a " B64 "\n",             /* no blank line */
        "text\n\n" S "a " B64,                /* no LF at the end */
        "text\n\n" S "a " B64 "\n\n",         /* another blank line */
        "text\n\n" S "a " B64 "\nx\n",        /* junk */
        "text\n\n" S "a " B64 "\n\n" S "a\n", /* the last blank line counts */
        "text\n\n\xe2\x80\x94"
        "a " B64 "\n",                      /* no blank after the dash */
        "text\n\n- a " B64 "\n",            /* another dash */
        "text\n\n\xe2\x80\x93 a " B64 "\n", /* en dash */
        "text\n\n " S "a " B64 "\n",
        "text\n\n" S " " B64 "\n", /* no name */
        "text\n\n" S "a b " B64 "\n",
        "text\n\n" S "a+b " B64 "\n",
        "text\n\n" S "a\xc2\xa0"
        "b " B64 "\n", /* no-break space */
        "text\n\n" S "a\xe3\x80\x80"
        "b " B64 "\n", /* ideographic space */
        "text\n\n" S "a\xe2\x80\xa8"
        "b " B64 "\n", /* line separator */
        "text\n\n" S "a  " B64 "\n",
        "text\n\n" S "a " B64 " \n",
        "text\n\n" S "a\n",
        "text\n\n" S "a \n",
        "text\n\n" S "a AAAAAA==\n", /* four bytes: an id and nothing */
        "text\n\n" S "a AAAAAAA\n",  /* padding missing */
        "text\n\n" S "a AAAA-AAA\n", /* the other alphabet */
        "text\n\n" S "a AAAAAA=A\n",
        "text\r\n\n" S "a " B64 "\n",
        "te\txt\n\n" S "a " B64 "\n",
        "te\x1fxt\n\n" S "a " B64 "\n",
        "te\xff\n\n" S "a " B64 "\n",
        "te\xc0\xafxt\n\n" S "a " B64 "\n",     /* long form */
        "te\xed\xa0\x80xt\n\n" S "a " B64 "\n", /* surrogate */
        "te\xf4\x90\x80\x80xt\n\n" S "a " B64 "\n",
        "te\xe2\x80\n\n" S "a " B64 "\n", /* cut short */
    };
    static const char *const good[] = {
        "text\n\n" S "a " B64 "\n",
        "\n\n" S "a " B64 "\n",                      /* an empty line is a line */
        "one\n\ntwo\n\n\n" S "a " B64 "\n",          /* empty lines in the text */
        "one\n\n" S "a " B64 "\n\n" S "a " B64 "\n", /* a note inside a note */
        "\xe4\xba\x92\xe8\xae\xa4 \x7f\n\n" S "\xe4\xba\x92.\xe8\xae\xa4 " B64 "\n",
        "text\n\n" S "a " B64 "\n" S "a " B64 "\n",
        "text\n\n" S "a AAAAAAB=\n", /* stray bits: the next test */
    };
    struct note note;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (parse(bad[i], &note) != STATUS_MALFORMED) {
            fail_msg("case %zu was accepted", i);
        }
        assert_int_equal(note.signature_count, 0);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (parse(good[i], &note) != STATUS_OK) {
            fail_msg("case %zu was refused", i);
        }
    }
    assert_int_equal(parse(good[3], &note), STATUS_OK);
    assert_int_equal(note.text.count, strlen("one\n\n" S "a " B64 "\n"));
    assert_int_equal(
        note_parse((struct view){(const uint8_t *)"te\0t\n\n" S "a " B64 "\n", 20}, &note),
        STATUS_MALFORMED);
}

/* The last character before '=' carries two bits that are not part of the signature;
 * the recorded witness conversation has such a line and wants 403, not 400. */
static void
test_a_known_key_has_one_spelling_for_its_signature(void **state)
{
    char whole[] = TEXT "\n" LOG_LINE;
    char *last = strstr(whole, "zmwA=") + 3;
    struct note_key key = log_signer.key;
    struct note_verified v;
    struct note note;
    uint8_t out[1024];
    size_t n;

    (void)state;
    assert_int_equal(parse(whole, &note), STATUS_OK);
    assert_true(note.signatures[0].canonical);
    *last = 'B'; /* the same 64 bytes to a lenient decoder */
    assert_int_equal(parse(whole, &note), STATUS_OK);
    assert_false(note.signatures[0].canonical);
    assert_int_equal(note_verify(&note, &key, 1, 0, &v), STATUS_BAD_SIGNATURE);
    assert_int_equal(note_verify(&note, &witness.key, 1, 0, &v), STATUS_UNKNOWN_KEY);
    assert_int_equal(note_add_line(text_view(TEXT "\n" WITNESS_LINE),
                                   text_view(whole + strlen(TEXT "\n")), out, sizeof out, &n),
                     STATUS_MALFORMED);
    *last = '=';
    assert_int_equal(parse(whole, &note), STATUS_OK); /* "==": one byte less */
    assert_int_equal(note_verify(&note, &key, 1, 0, &v), STATUS_BAD_SIGNATURE);
    *last = '*';
    assert_int_equal(parse(whole, &note), STATUS_MALFORMED);
}

static void
test_no_unicode_blank_is_part_of_a_name(void **state)
{
    static const char *const blanks[] = {" ",
                                         "\x7f" /* is none */,
                                         "\xc2\x85",
                                         "\xc2\xa0",
                                         "\xe1\x9a\x80",
                                         "\xe2\x80\x80",
                                         "\xe2\x80\x85",
                                         "\xe2\x80\x8a",
                                         "\xe2\x80\xa8",
                                         "\xe2\x80\xa9",
                                         "\xe2\x80\xaf",
                                         "\xe2\x81\x9f",
                                         "\xe3\x80\x80"};

    (void)state;
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        char whole[64];
        struct note note;
        snprintf(whole, sizeof whole, "text\n\n" S "a%sb " B64 "\n", blanks[i]);
        assert_int_equal(parse(whole, &note), i == 1 ? STATUS_OK : STATUS_MALFORMED);
    }
}

/* A text that cannot be a checkpoint has no cosignature, whatever its length. */
static void
test_a_cosigned_text_ends_at_its_limit(void **state)
{
    static char text[CHECKPOINT_TEXT_BYTES_MAX + 2];
    static uint8_t line[NOTE_LINE_BYTES_MAX], whole[8192];
    struct note_verified v;
    struct note note;
    size_t n, at = CHECKPOINT_TEXT_BYTES_MAX;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, TEXT, strlen(TEXT));
    text[at - 1] = '\n';
    text[at] = 'y';
    text[at + 1] = '\n';
    assert_int_equal(cosignature_line(&witness, (struct view){(uint8_t *)text, at + 2}, 1, line,
                                      sizeof line, &n),
                     STATUS_TOO_BIG);
    assert_int_equal(cosignature_line(&witness, (struct view){(uint8_t *)text, at}, 1, line,
                                      sizeof line, &n),
                     STATUS_OK);
    memcpy(whole, text, at);
    whole[at] = '\n';
    memcpy(whole + at + 1, line, n);
    assert_int_equal(note_parse((struct view){whole, at + 1 + n}, &note), STATUS_OK);
    assert_int_equal(note_verify(&note, &witness.key, 1, 1, &v), STATUS_OK);
    memcpy(whole, text, at + 2);
    whole[at + 2] = '\n';
    memcpy(whole + at + 3, line, n);
    assert_int_equal(note_parse((struct view){whole, at + 3 + n}, &note), STATUS_OK);
    assert_int_equal(note_verify(&note, &witness.key, 1, 1, &v), STATUS_BAD_SIGNATURE);
}

static void
test_limits_are_64_lines_and_64_kib(void **state)
{
    static uint8_t bytes[NOTE_BYTES_MAX + 1], out[8192];
    const char *line = S "a " B64 "\n";
    struct note note;
    size_t used = 0, at;

    (void)state;
    memcpy(bytes, "t\n\n", 3);
    used = 3;
    for (unsigned i = 0; i < NOTE_SIGNATURES_MAX; i++) {
        memcpy(bytes + used, line, strlen(line));
        used += strlen(line);
    }
    assert_int_equal(note_parse((struct view){bytes, used}, &note), STATUS_OK);
    assert_int_equal(note.signature_count, NOTE_SIGNATURES_MAX);
    assert_int_equal(note_add_line((struct view){bytes, used}, text_view(S "b " B64 "\n"), out,
                                   sizeof out, &at),
                     STATUS_TOO_BIG);
    memcpy(bytes + used, line, strlen(line));
    assert_int_equal(note_parse((struct view){bytes, used + strlen(line)}, &note),
                     STATUS_TOO_BIG);

    memset(bytes, 'x', sizeof bytes);
    at = sizeof bytes - 1 - strlen(line) - 2;
    memcpy(bytes + at, "\n\n", 2);
    memcpy(bytes + at + 2, line, strlen(line));
    assert_int_equal(note_parse((struct view){bytes, sizeof bytes - 1}, &note), STATUS_OK);
    assert_int_equal(note_parse((struct view){bytes, sizeof bytes}, &note), STATUS_TOO_BIG);
}

/* A line of an ML-DSA cosigner: 4 + 8 + 2420 bytes. */
static void
test_lines_of_unknown_kinds_are_carried_and_not_counted(void **state)
{
    static char base64[4 * 2432 / 3 + 8], whole[5000];
    static uint8_t raw[2432], out[6000];
    struct note_key keys[2] = {log_signer.key, witness.key};
    struct note_verified v;
    struct note note;
    size_t n;

    (void)state;
    memset(raw, 0x5a, sizeof raw);
    sodium_bin2base64(base64, sizeof base64, raw, sizeof raw, sodium_base64_VARIANT_ORIGINAL);
    snprintf(whole, sizeof whole, "%s\n%s" S "future.example/w %s\n", TEXT, LOG_LINE, base64);
    assert_int_equal(parse(whole, &note), STATUS_OK);
    assert_int_equal(note.signatures[1].payload_count, 2428);
    assert_int_equal(note_verify(&note, keys, 2, 0, &v), STATUS_OK);
    assert_int_equal(v.count, 1);
    assert_int_equal(
        note_add_line(text_view(whole), text_view(WITNESS_LINE), out, sizeof out, &n),
        STATUS_OK);
    assert_int_equal(n, strlen(whole) + strlen(WITNESS_LINE));
    /* One wrong character in the middle of the long line is seen, too. */
    whole[strlen(TEXT "\n" LOG_LINE) + 2000] = '=';
    assert_int_equal(parse(whole, &note), STATUS_MALFORMED);
}

/* ---- keys ---- */

static bool
is_vkey(const char *s, size_t n)
{
    struct note_key key;

    return note_key_parse((struct view){(const uint8_t *)s, n}, &key) == STATUS_OK;
}

static void
test_published_verifier_keys_have_the_known_verdicts(void **state)
{
    json_t *cases = vector_json("signed_note/vkeys.json"), *j;
    size_t i, seen = 0;

    (void)state;
    json_array_foreach(cases, i, j)
    {
        const char *vkey = json_string_value(json_object_get(j, "vkey"));
        if (vkey == NULL) {
            continue; /* the rule that the next test does */
        }
        if (is_vkey(vkey, strlen(vkey)) != vector_bool(j, "ok")) {
            fail_msg("%s", vkey);
        }
        seen++;
    }
    assert_true(seen >= 6);
    json_decref(cases);
}

static void
test_no_part_or_change_of_a_verifier_key_is_one(void **state)
{
    char vkey[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    char encoded[NOTE_VKEY_BYTES_MAX];
    size_t n = strlen(vkey);
    struct note_key key;

    (void)state;
    assert_int_equal(note_key_parse(text_view(vkey), &key), STATUS_OK);
    note_key_encode(&key, encoded);
    assert_string_equal(encoded, vkey);
    for (size_t from = 0; from < n; from++) {
        for (size_t to = from; to <= n; to++) {
            assert_true((from == 0 && to == n) || !is_vkey(vkey + from, to - from));
        }
    }
    for (size_t i = 0; i < n; i++) {
        vkey[i]++;
        assert_false(is_vkey(vkey, n));
        vkey[i]--;
    }
    assert_false(
        is_vkey("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", n));
}

static void
test_only_usable_keys_and_our_names_are_made(void **state)
{
    static const uint8_t small_order[KEY_BYTES] = {1};
    uint8_t seed[NOTE_SEED_BYTES] = {9};
    char name[KEY_NAME_CHARS_MAX + 2];
    struct note_signer signer;
    struct note_key key;
    const uint8_t *good = log_signer.key.public_key;

    (void)state;
    assert_int_equal(note_key_make(text_view("a"), 1, small_order, &key), STATUS_BAD_KEY);
    assert_int_equal(note_key_make(text_view("a"), 6, good, &key), STATUS_UNSUPPORTED);
    assert_int_equal(note_key_make(text_view("a"), 0, good, &key), STATUS_UNSUPPORTED);
    assert_int_equal(note_key_make(text_view(""), 1, good, &key), STATUS_MALFORMED);
    assert_int_equal(note_key_make(text_view("a b"), 1, good, &key), STATUS_MALFORMED);
    assert_int_equal(note_key_make(text_view("Any.Name=1"), 1, good, &key), STATUS_OK);
    memset(name, 'n', sizeof name);
    assert_int_equal(
        note_key_make((struct view){(uint8_t *)name, KEY_NAME_CHARS_MAX}, 1, good, &key),
        STATUS_OK);
    assert_int_equal(
        note_key_make((struct view){(uint8_t *)name, KEY_NAME_CHARS_MAX + 1}, 1, good, &key),
        STATUS_MALFORMED);
    assert_int_equal(note_signer_make(text_view("Upper.Case"), 1, seed, &signer),
                     STATUS_MALFORMED);
    assert_int_equal(note_signer_make(text_view(""), 1, seed, &signer), STATUS_MALFORMED);
    assert_int_equal(
        note_signer_make((struct view){(uint8_t *)name, KEY_NAME_CHARS_MAX}, 1, seed, &signer),
        STATUS_OK);
    assert_int_equal(note_signer_make((struct view){(uint8_t *)name, KEY_NAME_CHARS_MAX + 1}, 1,
                                      seed, &signer),
                     STATUS_MALFORMED);
    assert_int_equal(note_signer_make(text_view("a"), 5, seed, &signer), STATUS_UNSUPPORTED);
    assert_true(sodium_is_zero((uint8_t *)&signer, sizeof signer));
    assert_int_equal(note_signer_make(text_view("a/b_c-d.9"), 4, seed, &signer), STATUS_OK);
    note_signer_wipe(&signer);
    assert_true(sodium_is_zero((uint8_t *)&signer, sizeof signer));
}

static void
test_a_wrong_secret_signs_nothing(void **state)
{
    struct note_signer broken = log_signer;
    uint8_t out[1024];
    size_t n = 77;

    (void)state;
    broken.secret[40] ^= 1; /* as a flipped bit in memory would do */
    assert_int_equal(note_sign(&broken, text_view(TEXT), out, sizeof out, &n),
                     STATUS_BAD_SIGNATURE);
    assert_int_equal(n, 77);
    assert_int_equal(note_sign(&witness, text_view(TEXT), out, sizeof out, &n), STATUS_BAD_KEY);
    assert_int_equal(cosignature_line(&log_signer, text_view(TEXT), 1, out, sizeof out, &n),
                     STATUS_BAD_KEY);
    assert_int_equal(note_sign(&log_signer, text_view("no end"), out, sizeof out, &n),
                     STATUS_MALFORMED);
    assert_int_equal(note_sign(&log_signer, text_view(""), out, sizeof out, &n),
                     STATUS_MALFORMED);
    assert_int_equal(note_sign(&log_signer, text_view("a\tb\n"), out, sizeof out, &n),
                     STATUS_MALFORMED);
    assert_int_equal(note_sign(&log_signer, text_view(TEXT), out, 100, &n), STATUS_TOO_BIG);
    assert_int_equal(cosignature_line(&witness, text_view("x\n"), 1, out, sizeof out, &n),
                     STATUS_MALFORMED);
    assert_int_equal(cosignature_line(&witness, text_view(TEXT), -1, out, sizeof out, &n),
                     STATUS_MALFORMED);
    assert_int_equal(n, 77);
}

/* ---- verifying ---- */

static void
run_note_case(const json_t *j)
{
    static uint8_t bytes[NOTE_BYTES_MAX];
    size_t n = vector_hex(vector_string(j, "note_hex"), bytes, sizeof bytes);
    const char *want = vector_string(j, "result");
    json_t *vkeys = json_object_get(j, "vkeys");
    struct note_key keys[4];
    struct note_verified v;
    struct note note;
    enum status st;

    for (size_t i = 0; i < json_array_size(vkeys); i++) {
        assert_int_equal(
            note_key_parse(text_view(json_string_value(json_array_get(vkeys, i))), &keys[i]),
            STATUS_OK);
    }
    st = note_parse((struct view){bytes, n}, &note);
    if (strcmp(want, "malformed") == 0) {
        assert_true(st == STATUS_MALFORMED || st == STATUS_TOO_BIG);
        return;
    }
    assert_int_equal(st, STATUS_OK);
    st = note_verify(&note, keys, json_array_size(vkeys), 0, &v);
    if (strcmp(want, "ok") == 0) {
        assert_int_equal(st, STATUS_OK);
        assert_int_equal(v.count, vector_number(j, "verified"));
    } else if (strcmp(want, "invalid signature") == 0) {
        assert_int_equal(st, STATUS_BAD_SIGNATURE);
    } else {
        assert_string_equal(want, "no verifiable signatures");
        assert_int_equal(st, STATUS_UNKNOWN_KEY);
    }
}

static void
test_published_notes_have_the_known_verdicts(void **state)
{
    json_t *cases = vector_json("signed_note/notes.json"), *j;
    size_t i;

    (void)state;
    assert_true(json_array_size(cases) >= 8);
    json_array_foreach(cases, i, j)
    {
        run_note_case(j);
    }
    json_decref(cases);
}

static void
test_timestamps_of_published_cosignatures_are_read(void **state)
{
    json_t *cases = vector_json("signed_note/cosignature_timestamp.json"), *j;
    size_t i;

    (void)state;
    json_array_foreach(cases, i, j)
    {
        char whole[512];
        struct note note;
        bool good = json_object_get(j, "timestamp") != NULL;
        uint64_t time = 0;
        snprintf(whole, sizeof whole, "t\n\n" S "w %s\n", vector_string(j, "base64"));
        assert_int_equal(parse(whole, &note), good ? STATUS_OK : STATUS_MALFORMED);
        for (unsigned k = 0; good && k < 8; k++) {
            time = time << 8 | note.signatures[0].payload[k];
        }
        assert_true(!good || time == vector_number(j, "timestamp"));
    }
    json_decref(cases);
}

/* A note of TEXT with the given lines. */
static struct note
note_of(const char *lines)
{
    static char whole[8][4096];
    static unsigned next;
    struct note note;
    char *buffer = whole[next++ % 8];

    snprintf(buffer, sizeof whole[0], "%s\n%s", TEXT, lines);
    assert_int_equal(parse(buffer, &note), STATUS_OK);
    return note;
}

static const char *
cosigned_at(const struct note_signer *signer, int64_t time_s)
{
    static char lines[8][NOTE_LINE_BYTES_MAX + 1];
    static unsigned next;
    char *buffer = lines[next++ % 8];
    size_t n;

    assert_int_equal(cosignature_line(signer, text_view(TEXT), time_s, (uint8_t *)buffer,
                                      NOTE_LINE_BYTES_MAX, &n),
                     STATUS_OK);
    buffer[n] = '\0';
    return buffer;
}

static void
test_a_key_counts_once_whatever_it_signed(void **state)
{
    struct note_key keys[3] = {log_signer.key, witness.key, witness.key};
    struct note_verified v;
    struct note_signer twin;
    char lines[4096];
    struct note note = note_of(LOG_LINE LOG_LINE LOG_LINE);

    (void)state;
    assert_int_equal(note_verify(&note, keys, 2, 0, &v), STATUS_OK);
    assert_int_equal(v.count, 1);
    assert_int_equal(v.lines, 1);
    /* The same public key under another name is the same signer. */
    make_signer("other.example/witness", NOTE_KEY_COSIGNATURE, 0x20, &twin);
    keys[2] = twin.key;
    snprintf(lines, sizeof lines, "%s%s", WITNESS_LINE, cosigned_at(&twin, 5));
    note = note_of(lines);
    assert_int_equal(note_verify(&note, keys, 3, EXAMPLE_S, &v), STATUS_OK);
    assert_int_equal(v.count, 1);
    assert_int_equal(v.signers[0].key, 1);
    /* Two entries with one name and id are a mistake of the caller. */
    keys[2] = witness.key;
    assert_int_equal(note_verify(&note, keys, 3, EXAMPLE_S, &v), STATUS_BAD_KEY);
}

static void
test_of_several_cosignatures_the_latest_past_one_counts(void **state)
{
    static const struct {
        int64_t a, b, now, want;
    } rows[] = {{10, 20, 30, 20}, {20, 10, 30, 20}, {10, 40, 30, 10}, {40, 10, 30, 10},
                {40, 50, 30, 40}, {50, 40, 30, 40}, {30, 31, 30, 30}, {0, INT64_MAX, 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct note_verified v;
        char lines[1024];
        struct note note;
        snprintf(lines, sizeof lines, "%s%s", cosigned_at(&witness, rows[i].a),
                 cosigned_at(&witness, rows[i].b));
        note = note_of(lines);
        assert_int_equal(note_verify(&note, &witness.key, 1, rows[i].now, &v), STATUS_OK);
        assert_int_equal(v.count, 1);
        assert_int_equal(v.signers[0].time_s, rows[i].want);
        assert_int_equal(v.lines, UINT64_C(1) << v.signers[0].line);
        assert_int_equal(v.signers[0].line, rows[i].want == rows[i].a ? 0 : 1);
    }
}

static void
test_a_payload_of_another_length_or_time_is_no_signature(void **state)
{
    struct note note = note_of(LOG_LINE WITNESS_LINE);
    struct note_key keys[2] = {log_signer.key, witness.key};
    struct note_verified v;
    int64_t time_s = 4;
    struct view payload = {note.signatures[1].payload, 72};

    (void)state;
    assert_int_equal(cosignature_check(&witness.key, note.text, payload, &time_s), STATUS_OK);
    assert_int_equal(time_s, EXAMPLE_S);
    assert_int_equal(cosignature_check(&log_signer.key, note.text, payload, &time_s),
                     STATUS_BAD_KEY);
    payload.count = 71;
    assert_int_equal(cosignature_check(&witness.key, note.text, payload, &time_s),
                     STATUS_MALFORMED);
    payload.count = 72;
    note.signatures[1].payload[0] = 0x80; /* over 2^63 - 1 */
    assert_int_equal(cosignature_check(&witness.key, note.text, payload, &time_s),
                     STATUS_MALFORMED);
    note.signatures[1].payload[0] = 0;
    note.signatures[1].payload[7] ^= 1;
    assert_int_equal(cosignature_check(&witness.key, note.text, payload, &time_s),
                     STATUS_BAD_SIGNATURE);
    note.signatures[1].payload[7] ^= 1;
    note.signatures[1].payload_count = 73;
    assert_int_equal(note_verify(&note, keys, 2, 0, &v), STATUS_BAD_SIGNATURE);
    note.signatures[1].payload_count = 72;
    note.signatures[0].payload_count = 63;
    assert_int_equal(note_verify(&note, keys, 2, 0, &v), STATUS_BAD_SIGNATURE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_example_is_signed_to_the_byte),
        cmocka_unit_test(test_formats_example_verifies),
        cmocka_unit_test(test_no_byte_of_a_signed_note_can_change),
        cmocka_unit_test(test_what_is_not_a_note_is_malformed),
        cmocka_unit_test(test_a_known_key_has_one_spelling_for_its_signature),
        cmocka_unit_test(test_no_unicode_blank_is_part_of_a_name),
        cmocka_unit_test(test_a_cosigned_text_ends_at_its_limit),
        cmocka_unit_test(test_limits_are_64_lines_and_64_kib),
        cmocka_unit_test(test_lines_of_unknown_kinds_are_carried_and_not_counted),
        cmocka_unit_test(test_published_verifier_keys_have_the_known_verdicts),
        cmocka_unit_test(test_no_part_or_change_of_a_verifier_key_is_one),
        cmocka_unit_test(test_only_usable_keys_and_our_names_are_made),
        cmocka_unit_test(test_a_wrong_secret_signs_nothing),
        cmocka_unit_test(test_published_notes_have_the_known_verdicts),
        cmocka_unit_test(test_timestamps_of_published_cosignatures_are_read),
        cmocka_unit_test(test_a_key_counts_once_whatever_it_signed),
        cmocka_unit_test(test_of_several_cosignatures_the_latest_past_one_counts),
        cmocka_unit_test(test_a_payload_of_another_length_or_time_is_no_signature),
    };
    return cmocka_run_group_tests_name("note", tests, setup, NULL);
}
