/* Goal: signature lines are added, chosen and merged so that merging can neither lose
 * a signature nor let a peer fill or poison a note.
 * Method: FORMATS 2's and 4's example; merges in both orders, before and after the
 * time of a cosignature, with unknown and false lines, and at the limit of lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/cosignature.h"
#include "crypto/note.h"
#include "proto/text.h"

#define TEXT "lab-a.example/results\n5\njqRL1ie1HLoGD8j9ib4hyzTWDKdUqlIwpZxsQ5DxVHc=\n"
#define LOG_LINE                                                                               \
    "\xe2\x80\x94 lab-a.example/results "                                                      \
    "f3Z0rcJ8HSAWLJ3+dOsuY0/8d/UHS5pokvtUy13bDAk5eAi+8Z+nO4o7f3hbVzOVIK8DG1J9VRUuuD45wPjvo2/"  \
    "zmwA=\n"
#define WITNESS_LINE                                                                           \
    "\xe2\x80\x94 clinic-b.example/witness "                                                   \
    "B3DP4AAAAABo53gABgT8UG+FpwMZeCDt8tVYx+R8tpMfFMgqfli4kqt1UG8FP5xPikZqeWR6p1gvMx9KKpY9AY4z" \
    "rRTqsK7h5C5yDw==\n"
#define S "\xe2\x80\x94 "
#define B64 "AAAAAAAA" /* key id 0, two bytes */

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
test_a_line_is_added_once(void **state)
{
    const char *before = TEXT "\n" LOG_LINE;
    uint8_t out[1024], again[1024];
    size_t n, m;

    (void)state;
    assert_int_equal(
        note_add_line(text_view(before), text_view(WITNESS_LINE), out, sizeof out, &n),
        STATUS_OK);
    assert_int_equal(n, strlen(TEXT "\n" LOG_LINE WITNESS_LINE));
    assert_memory_equal(out, TEXT "\n" LOG_LINE WITNESS_LINE, n);
    assert_int_equal(
        note_add_line((struct view){out, n}, text_view(WITNESS_LINE), again, sizeof again, &m),
        STATUS_OK);
    assert_int_equal(m, n);
    assert_int_equal(note_add_line(text_view(before), text_view(WITNESS_LINE), out, n - 1, &m),
                     STATUS_TOO_BIG);
    static const char *const bad[] = {
        "", "\n", S "a " B64, WITNESS_LINE LOG_LINE, "x\n", S "a\tb " B64 "\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(
            note_add_line(text_view(before), text_view(bad[i]), out, sizeof out, &m),
            STATUS_MALFORMED);
    }
    assert_int_equal(
        note_add_line(text_view(TEXT), text_view(WITNESS_LINE), out, sizeof out, &m),
        STATUS_MALFORMED);
}

static void
test_only_chosen_lines_are_written(void **state)
{
    struct note note = note_of(LOG_LINE S "a " B64 "\n" WITNESS_LINE);
    uint8_t out[1024];
    size_t n;

    (void)state;
    assert_int_equal(note_write(&note, 5, out, sizeof out, &n), STATUS_OK);
    assert_int_equal(n, strlen(TEXT "\n" LOG_LINE WITNESS_LINE));
    assert_memory_equal(out, TEXT "\n" LOG_LINE WITNESS_LINE, n);
    assert_int_equal(note_write(&note, 8, out, sizeof out, &n), STATUS_MALFORMED);
    assert_int_equal(note_write(&note, 1, out, 20, &n), STATUS_TOO_BIG);
}

static void
expect_merge(const char *ours, const char *theirs, int64_t now_s, const char *want,
             size_t want_added)
{
    struct note_key keys[2] = {log_signer.key, witness.key};
    struct note a = note_of(ours), b = note_of(theirs), merged;
    uint8_t out[4096];
    size_t n, added;

    assert_int_equal(note_merge(&a, &b, keys, 2, now_s, out, sizeof out, &n, &added),
                     STATUS_OK);
    assert_int_equal(n, strlen(TEXT "\n") + strlen(want));
    assert_memory_equal(out, TEXT "\n", strlen(TEXT "\n"));
    assert_memory_equal(out + strlen(TEXT "\n"), want, strlen(want));
    assert_int_equal(added, want_added);
    assert_int_equal(note_parse((struct view){out, n}, &merged), STATUS_OK);
}

static void
test_merging_takes_what_is_new_and_valid_and_nothing_else(void **state)
{
    char lines[2048];

    (void)state;
    expect_merge(LOG_LINE, WITNESS_LINE, EXAMPLE_S, LOG_LINE WITNESS_LINE, 1);
    expect_merge(WITNESS_LINE, LOG_LINE, EXAMPLE_S, WITNESS_LINE LOG_LINE, 1);
    expect_merge(LOG_LINE, LOG_LINE, EXAMPLE_S, LOG_LINE, 0);
    expect_merge(LOG_LINE WITNESS_LINE, WITNESS_LINE LOG_LINE, EXAMPLE_S, LOG_LINE WITNESS_LINE,
                 0);
    /* Unknown lines stay in ours and are not taken from theirs. */
    expect_merge(S "a " B64 "\n" LOG_LINE, S "b " B64 "\n" WITNESS_LINE, EXAMPLE_S,
                 S "a " B64 "\n" LOG_LINE WITNESS_LINE, 1);
    expect_merge(S "a " B64 "\n", S "b " B64 "\n", EXAMPLE_S, S "a " B64 "\n", 0);
    /* A later cosignature replaces an earlier one, unless it is of the future. */
    snprintf(lines, sizeof lines, "%s%s", LOG_LINE, cosigned_at(&witness, EXAMPLE_S + 60));
    expect_merge(LOG_LINE WITNESS_LINE, lines, EXAMPLE_S + 60, lines, 1);
    expect_merge(LOG_LINE WITNESS_LINE, lines, EXAMPLE_S, LOG_LINE WITNESS_LINE, 0);
    expect_merge(lines, LOG_LINE WITNESS_LINE, EXAMPLE_S + 60, lines, 0);
    expect_merge(lines, LOG_LINE WITNESS_LINE, EXAMPLE_S, LOG_LINE WITNESS_LINE, 1);
}

static void
test_merging_refuses_another_text_or_a_false_signature(void **state)
{
    struct note_key keys[2] = {log_signer.key, witness.key};
    struct note a = note_of(LOG_LINE), b = note_of(WITNESS_LINE), other;
    uint8_t out[2048];
    size_t n = 5, added = 6;

    (void)state;
    assert_int_equal(parse("lab-a.example/results\n6\n\n" LOG_LINE, &other), STATUS_OK);
    assert_int_equal(note_merge(&a, &other, keys, 2, 0, out, sizeof out, &n, &added),
                     STATUS_MALFORMED);
    b.signatures[0].payload[20] ^= 1;
    assert_int_equal(note_merge(&a, &b, keys, 2, 0, out, sizeof out, &n, &added),
                     STATUS_BAD_SIGNATURE);
    assert_int_equal(note_merge(&b, &a, keys, 2, 0, out, sizeof out, &n, &added),
                     STATUS_BAD_SIGNATURE);
    b = note_of(WITNESS_LINE);
    assert_int_equal(note_merge(&a, &b, keys, 2, 0, out, 300, &n, &added), STATUS_TOO_BIG);
    for (size_t i = 1; i < NOTE_SIGNATURES_MAX; i++) { /* 63 unknown lines, and one */
        a.signatures[i] = a.signatures[0];
        a.signatures[i].id++;
        a.signatures[i].line = text_view(S "a " B64 "\n");
    }
    a.signature_count = NOTE_SIGNATURES_MAX - 1;
    n = 0;
    assert_int_equal(note_merge(&a, &b, keys, 2, 0, out, sizeof out, &n, &added), STATUS_OK);
    assert_true(n > 0 && added == 1);
    a.signature_count = NOTE_SIGNATURES_MAX;
    n = 5;
    added = 6;
    assert_int_equal(note_merge(&a, &b, keys, 2, 0, out, sizeof out, &n, &added),
                     STATUS_TOO_BIG);
    assert_int_equal(n, 5);
    assert_int_equal(added, 6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_added_once),
        cmocka_unit_test(test_only_chosen_lines_are_written),
        cmocka_unit_test(test_merging_takes_what_is_new_and_valid_and_nothing_else),
        cmocka_unit_test(test_merging_refuses_another_text_or_a_false_signature),
    };
    return cmocka_run_group_tests_name("note_merge", tests, setup, NULL);
}
