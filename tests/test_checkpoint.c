/* Goal: checkpoints are read strictly, and a checkpoint note is taken only from
 * its own log, with the cosignatures that really are there.
 * Method: FORMATS 3's example; bodies of golang/mod, formats and tessera; real
 * checkpoints of running logs with their verdicts; the recorded conversation with
 * a witness, answered by a witness of a few lines that uses these functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/base64.h"
#include "crypto/checkpoint.h"
#include "crypto/cosignature.h"
#include "crypto/line.h"
#include "proto/text.h"
#include "tests/vector.h"

#define ROOT "jqRL1ie1HLoGD8j9ib4hyzTWDKdUqlIwpZxsQ5DxVHc="
#define TEXT "lab-a.example/results\n5\n" ROOT "\n"

static struct note_signer log_signer, witness[4];

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
    make_signer("clinic-b.example/witness", NOTE_KEY_COSIGNATURE, 0x20, &witness[0]);
    make_signer("clinic-c.example/witness", NOTE_KEY_COSIGNATURE, 0x40, &witness[1]);
    make_signer("clinic-d.example/witness", NOTE_KEY_COSIGNATURE, 0x60, &witness[2]);
    return 0;
}

static void
test_formats_example_is_written_and_read(void **state)
{
    struct checkpoint c = {.origin = text_view("lab-a.example/results"), .size = 5}, back;
    uint8_t out[256];
    size_t n;

    (void)state;
    c.root = vector_hash("8ea44bd627b51cba060fc8fd89be21cb34d60ca754aa5230a59c6c4390f15477");
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_OK);
    assert_int_equal(n, 69);
    assert_memory_equal(out, TEXT, 69);
    assert_int_equal(checkpoint_parse((struct view){out, n}, &back), STATUS_OK);
    assert_true(line_equal(back.origin, c.origin) && back.size == 5 &&
                hash_equal(&back.root, &c.root) && back.extensions.count == 0);
    assert_int_equal(checkpoint_encode(&c, out, 68, &n), STATUS_TOO_BIG);
}

static void
test_only_the_one_spelling_of_a_checkpoint_is_read(void **state)
{
#define EMPTY "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    static const char *const good[] = {
        TEXT,
        "o\n0\n" EMPTY "\n",
        "o\n9223372036854775807\n" ROOT "\n",
        "go.sum database tree\n5\n" ROOT "\n",
        TEXT "extension\n",
        TEXT "extension\nanother one\n \n",
    };
    static const char *const bad[] = {
        "",
        "\n",
        "o\n",
        "o\n5\n",
        "o\n5\n" ROOT,
        "\n5\n" ROOT "\n",
        "o\n\n" ROOT "\n",
        "o\n05\n" ROOT "\n",
        "o\n00\n" ROOT "\n",
        "o\n+5\n" ROOT "\n",
        "o\n-5\n" ROOT "\n",
        "o\n 5\n" ROOT "\n",
        "o\n5 \n" ROOT "\n",
        "o\n0x5\n" ROOT "\n",
        "o\n5e0\n" ROOT "\n",
        "o\n9223372036854775808\n" ROOT "\n",
        "o\n18446744073709551616\n" ROOT "\n",
        "o\n18446744073709551621\n" ROOT "\n", /* 5, had it wrapped around */
        "o\n99999999999999999999\n" ROOT "\n",
        "o\n5\n\n",
        "o\n5\n" ROOT "\n\n",
        "o\n5\n" ROOT "\nx\n\n",
        "o\n5\n" ROOT "\n\nx\n",
        "o\n5\n" ROOT "\nx",
        "o\n5\n" ROOT " \n",
        "o\n5\njqRL1ie1HLoGD8j9ib4hyzTWDKdUqlIwpZxsQ5DxVHc\n",
        "o\n5\njqRL1ie1HLoGD8j9ib4hyzTWDKdUqlIwpZxsQ5DxVHd=\n", /* stray bits */
        "o\n5\njqRL1ie1HLoGD8j9ib4hyzTWDKdUqlIwpZxsQ5DxVHcA\n", /* 33 bytes */
        "o\n5\njqRL1ie1HLoGD8j9ib4hyzTWDKdUqlIwpZxsQ5DxVA==\n", /* 31 bytes */
        "o\n0\n" ROOT "\n", /* the empty tree has one root only */
        "o\t\n5\n" ROOT "\n",
        "o\r\n5\n" ROOT "\n",
        "o\xff\n5\n" ROOT "\n",
    };
    struct checkpoint c;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint8_t out[512];
        size_t n;
        if (checkpoint_parse(text_view(good[i]), &c) != STATUS_OK) {
            fail_msg("case %zu was refused", i);
        }
        assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_OK);
        assert_int_equal(n, strlen(good[i]));
        assert_memory_equal(out, good[i], n);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (checkpoint_parse(text_view(bad[i]), &c) != STATUS_MALFORMED) {
            fail_msg("case %zu was accepted", i);
        }
    }
}

static void
test_what_could_not_be_read_is_not_written(void **state)
{
    static uint8_t out[8192], longer[CHECKPOINT_TEXT_BYTES_MAX];
    struct checkpoint good = {.origin = text_view("o"), .size = 5, .root = {{1}}}, c = good;
    size_t n = 3;

    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\n';
    c.origin = text_view("");
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_MALFORMED);
    c.origin = text_view("a\nb");
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_MALFORMED);
    c.origin = (struct view){longer, ORIGIN_CHARS_MAX + 1};
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_TOO_BIG);
    c = good;
    c.size = TREE_SIZE_MAX + 1;
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_MALFORMED);
    c.size = 0;
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_MALFORMED);
    c = good;
    c.extensions = text_view("no end");
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_MALFORMED);
    c.extensions = text_view("a\n\nb\n");
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_MALFORMED);
    c.extensions = (struct view){longer, sizeof longer};
    assert_int_equal(checkpoint_encode(&c, out, sizeof out, &n), STATUS_TOO_BIG);
    assert_int_equal(n, 3);
    memset(longer, 'x', sizeof longer);
    memcpy(longer, "o\n5\n" ROOT "\n", 49);
    longer[sizeof longer - 1] = '\n';
    assert_int_equal(checkpoint_parse((struct view){longer, sizeof longer}, &c), STATUS_OK);
    assert_int_equal(checkpoint_parse((struct view){longer, sizeof longer + 1}, &c),
                     STATUS_TOO_BIG); /* the length alone */
    memset(longer, 'x', ORIGIN_CHARS_MAX);
    memcpy(longer + ORIGIN_CHARS_MAX, "\n5\n" ROOT "\n", 48);
    assert_int_equal(checkpoint_parse((struct view){longer, ORIGIN_CHARS_MAX + 48}, &c),
                     STATUS_OK);
    memset(longer, 'x', ORIGIN_CHARS_MAX + 1);
    memcpy(longer + ORIGIN_CHARS_MAX + 1, "\n5\n" ROOT "\n", 48);
    assert_int_equal(checkpoint_parse((struct view){longer, sizeof longer}, &c),
                     STATUS_TOO_BIG);
}

static void
test_published_bodies_have_the_known_verdicts(void **state)
{
    json_t *cases = vector_json("signed_note/checkpoint_bodies.json"), *j;
    size_t i;

    (void)state;
    assert_true(json_array_size(cases) >= 9);
    json_array_foreach(cases, i, j)
    {
        struct checkpoint c;
        enum status st = checkpoint_parse(text_view(vector_string(j, "body")), &c);
        if ((st == STATUS_OK) != vector_bool(j, "ok")) {
            fail_msg("%s", vector_string(j, "desc"));
        }
    }
    json_decref(cases);
}

/* ---- opening ---- */

/* A signed checkpoint of 5 leaves with cosignatures by the first `count`
 * witnesses at `time_s`. */
static struct view
make_note(size_t count, int64_t time_s)
{
    static uint8_t note[2][4096];
    uint8_t line[NOTE_LINE_BYTES_MAX];
    size_t n, k, at = 0;

    assert_int_equal(note_sign(&log_signer, text_view(TEXT), note[0], sizeof note[0], &n),
                     STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(
            cosignature_line(&witness[i], text_view(TEXT), time_s, line, sizeof line, &k),
            STATUS_OK);
        assert_int_equal(note_add_line((struct view){note[at], n}, (struct view){line, k},
                                       note[1 - at], sizeof note[0], &n),
                         STATUS_OK);
        at = 1 - at;
    }
    return (struct view){note[at], n};
}

static void
test_a_checkpoint_is_opened_with_its_cosignatures(void **state)
{
    struct note_key keys[] = {log_signer.key, witness[0].key, witness[1].key, witness[2].key};
    struct checkpoint_opened opened;
    struct view origin = text_view("lab-a.example/results");

    (void)state;
    for (size_t count = 0; count <= 3; count++) {
        struct view note = make_note(count, 100);
        assert_int_equal(checkpoint_open(note, origin, keys, 4, 100, &opened), STATUS_OK);
        assert_int_equal(opened.checkpoint.size, 5);
        assert_int_equal(opened.cosigned, count);
        assert_int_equal(opened.verified.count, count + 1);
        /* Of the future: known, not counted. */
        assert_int_equal(checkpoint_open(note, origin, keys, 4, 99, &opened), STATUS_OK);
        assert_int_equal(opened.cosigned, 0);
        assert_int_equal(opened.verified.count, count + 1);
        /* Not asked for: not counted. */
        assert_int_equal(checkpoint_open(note, origin, keys, 2, 100, &opened), STATUS_OK);
        assert_int_equal(opened.cosigned, count > 0 ? 1 : 0);
    }
}

static void
test_a_checkpoint_of_somebody_else_is_not_opened(void **state)
{
    struct note_key keys[] = {log_signer.key, witness[0].key};
    struct note_key swapped[] = {witness[0].key, log_signer.key};
    struct note_key own[] = {log_signer.key, log_signer.key};
    struct view origin = text_view("lab-a.example/results"), note = make_note(1, 100);
    struct checkpoint_opened opened;
    struct note_signer other;
    uint8_t line[NOTE_LINE_BYTES_MAX], out[1024];
    size_t k, n;

    (void)state;
    assert_int_equal(
        checkpoint_open(note, text_view("lab-a.example/result"), keys, 2, 100, &opened),
        STATUS_REFUSED);
    assert_int_equal(checkpoint_open(note, origin, swapped, 2, 100, &opened), STATUS_BAD_KEY);
    assert_int_equal(checkpoint_open(note, origin, keys, 0, 100, &opened), STATUS_BAD_KEY);
    own[1].type = NOTE_KEY_COSIGNATURE;
    assert_int_equal(checkpoint_open(note, origin, own, 2, 100, &opened), STATUS_BAD_KEY);
    /* Cosigned by a known witness, but not signed by the log. */
    make_signer("lab-a.example/results", NOTE_KEY_ED25519, 0x80, &other);
    assert_int_equal(note_sign(&other, text_view(TEXT), line, sizeof line, &k), STATUS_OK);
    note = make_note(1, 100);
    assert_int_equal(checkpoint_open((struct view){line, k}, origin, keys, 2, 100, &opened),
                     STATUS_UNKNOWN_KEY);
    {
        struct note parsed;
        assert_int_equal(note_parse(note, &parsed), STATUS_OK);
        assert_int_equal(note_write(&parsed, 2, out, sizeof out, &n), STATUS_OK);
        assert_int_equal(checkpoint_open((struct view){out, n}, origin, keys, 2, 100, &opened),
                         STATUS_UNKNOWN_KEY);
    }
    /* Signed by the log, but no checkpoint. */
    assert_int_equal(
        note_sign(&log_signer, text_view("lab-a.example/results\n5\n"), out, sizeof out, &n),
        STATUS_OK);
    assert_int_equal(checkpoint_open((struct view){out, n}, origin, keys, 2, 100, &opened),
                     STATUS_MALFORMED);
}

static void
test_signing_a_checkpoint_is_repeatable(void **state)
{
    struct checkpoint c;
    uint8_t a[512], b[512];
    size_t n, m;

    (void)state;
    assert_int_equal(checkpoint_parse(text_view(TEXT), &c), STATUS_OK);
    assert_int_equal(checkpoint_sign(&log_signer, &c, a, sizeof a, &n), STATUS_OK);
    assert_int_equal(checkpoint_sign(&log_signer, &c, b, sizeof b, &m), STATUS_OK);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    c.size = 0;
    assert_int_equal(checkpoint_sign(&log_signer, &c, a, sizeof a, &n), STATUS_MALFORMED);
}

/* ---- real checkpoints ---- */

static bool
expects(const json_t *expect, const char *verdict)
{
    const json_t *row;
    size_t i;

    json_array_foreach(expect, i, row)
    {
        if (strcmp(json_string_value(json_array_get(row, 2)), verdict) == 0) {
            return true;
        }
    }
    return false;
}

/* The expected lines, in order, are our lines. */
static void
compare_lines(const struct note *note, const struct note_verified *v, const json_t *expect)
{
    const json_t *row;
    size_t i;

    assert_int_equal(note->signature_count, json_array_size(expect));
    json_array_foreach(expect, i, row)
    {
        const struct note_signature *s = &note->signatures[i];
        char id[9];
        bool valid = strcmp(json_string_value(json_array_get(row, 2)), "valid") == 0;
        snprintf(id, sizeof id, "%08x", (unsigned)s->id);
        assert_true(line_equal(s->name, text_view(json_string_value(json_array_get(row, 0)))));
        assert_string_equal(id, json_string_value(json_array_get(row, 1)));
        assert_int_equal(v->lines >> i & 1, valid);
        for (size_t k = 0; k < v->count; k++) {
            if (v->signers[k].line == i) {
                assert_int_equal(v->signers[k].time_s,
                                 json_integer_value(json_array_get(row, 3)));
            }
        }
    }
}

static void
run_real_case(const json_t *j)
{
    const json_t *vkeys = json_object_get(j, "vkeys"), *expect = json_object_get(j, "expect");
    struct note_key keys[16];
    struct note_verified v;
    struct checkpoint c;
    struct note note;
    enum status st;

    for (size_t i = 0; i < json_array_size(vkeys); i++) {
        assert_int_equal(
            note_key_parse(text_view(json_string_value(json_array_get(vkeys, i))), &keys[i]),
            STATUS_OK);
    }
    st = note_parse(text_view(vector_string(j, "note")), &note);
    if (json_array_size(expect) == 0) {
        assert_int_equal(st, STATUS_MALFORMED); /* it has no signature line */
        return;
    }
    assert_int_equal(st, STATUS_OK);
    assert_int_equal(checkpoint_parse(note.text, &c) == STATUS_OK,
                     vector_bool(j, "checkpoint_body_well_formed"));
    st = note_verify(&note, keys, json_array_size(vkeys), INT64_MAX, &v);
    if (expects(expect, "INVALID")) {
        assert_int_equal(st, STATUS_BAD_SIGNATURE);
        return;
    }
    assert_int_equal(st, expects(expect, "valid") ? STATUS_OK : STATUS_UNKNOWN_KEY);
    compare_lines(&note, &v, expect);
}

static void
test_real_checkpoints_have_the_known_verdicts(void **state)
{
    json_t *cases = vector_json("real_checkpoints/cases.json"), *j;
    size_t i;

    (void)state;
    assert_true(json_array_size(cases) > 10);
    json_array_foreach(cases, i, j)
    {
        run_real_case(j);
    }
    json_decref(cases);
}

/* ---- a recorded conversation with a witness ---- */

struct small_witness {
    struct note_key log;
    struct view origin;
    uint64_t size;
    struct hash root;
};

/* FORMATS 6, checks 1 to 10, in order. */
static unsigned
add_checkpoint(struct small_witness *w, struct view body)
{
    struct hash proof[TREE_PROOF_HASHES_MAX];
    struct checkpoint_opened opened;
    struct view rest = body, line;
    uint64_t old;
    size_t count = 0, n;
    enum status st;

    if (line_take(&rest, &line) != STATUS_OK || !text_begins(line, "old ") ||
        line_decimal((struct view){line.bytes + 4, line.count - 4}, TREE_SIZE_MAX, &old) !=
            STATUS_OK) {
        return 400;
    }
    for (;; count++) {
        if (line_take(&rest, &line) != STATUS_OK) {
            return 400;
        }
        if (line.count == 0) {
            break;
        }
        if (count == 63 ||
            base64_decode(line, proof[count].bytes, HASH_BYTES, &n) != STATUS_OK ||
            n != HASH_BYTES) {
            return 400;
        }
    }
    st = checkpoint_open(rest, w->origin, &w->log, 1, 0, &opened);
    if (st != STATUS_OK) {
        return st == STATUS_REFUSED                                     ? 404
               : st == STATUS_UNKNOWN_KEY || st == STATUS_BAD_SIGNATURE ? 403
                                                                        : 400;
    }
    if (old > opened.checkpoint.size) {
        return 400;
    }
    if (old != w->size) {
        return 409;
    }
    if (tree_check_consistency(&w->root, old, &opened.checkpoint.root, opened.checkpoint.size,
                               proof, count) != STATUS_OK) {
        return 422;
    }
    w->size = opened.checkpoint.size;
    w->root = opened.checkpoint.root;
    return 200;
}

static void
test_a_witness_gives_the_recorded_answers(void **state)
{
    json_t *script = vector_json("witness_add_checkpoint/sequence.json"), *step;
    struct small_witness w = {.size = 0};
    size_t i, steps = 0;

    (void)state;
    w.origin = text_view(vector_string(script, "log_origin"));
    tree_empty_root(&w.root);
    assert_int_equal(note_key_parse(text_view(vector_string(script, "log_vkey")), &w.log),
                     STATUS_OK);
    json_array_foreach(json_object_get(script, "steps"), i, step)
    {
        uint64_t want = vector_number(step, json_object_get(step, "status_current_spec") != NULL
                                                ? "status_current_spec"
                                                : "status");
        assert_int_equal(add_checkpoint(&w, text_view(vector_string(step, "request"))), want);
        steps++;
    }
    assert_true(steps >= 6);
    assert_int_equal(w.size, 3);
    json_decref(script);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_example_is_written_and_read),
        cmocka_unit_test(test_only_the_one_spelling_of_a_checkpoint_is_read),
        cmocka_unit_test(test_what_could_not_be_read_is_not_written),
        cmocka_unit_test(test_published_bodies_have_the_known_verdicts),
        cmocka_unit_test(test_a_checkpoint_is_opened_with_its_cosignatures),
        cmocka_unit_test(test_a_checkpoint_of_somebody_else_is_not_opened),
        cmocka_unit_test(test_signing_a_checkpoint_is_repeatable),
        cmocka_unit_test(test_real_checkpoints_have_the_known_verdicts),
        cmocka_unit_test(test_a_witness_gives_the_recorded_answers),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, setup, NULL);
}
