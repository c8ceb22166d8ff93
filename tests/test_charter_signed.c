/* Goal: who signed and who is missing is told right for every kind of document, copies
 * that several people signed are joined and nothing that is not valid comes in, an
 * earlier version is kept only when keys of its own day signed it, and a note that is
 * kept holds no line of nobody.
 * Method: documents made in memory with keys from fixed seeds; one thing is wrong at a
 * time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/charter_signed.h"
#include "tests/charter_fixture.h"

static char reason[CHARTER_REASON_CHARS];

static struct fixture_doc
make_root(uint64_t version, unsigned keys, uint32_t threshold,
          const struct charter_document *previous, unsigned sign)
{
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, version),
                             .root_keys = keys,
                             .other_keys = keys,
                             .root_threshold = threshold,
                             .other_threshold = threshold,
                             .previous = previous};
    return fixture_make_root(&r, sign);
}

static void
test_the_tally_names_who_signed_and_who_is_missing(void **state)
{
    (void)state;
    struct fixture_doc root = make_root(1, 7, 2, NULL, 3);
    struct fixture_doc next = make_root(2, 0x18, 2, &root.doc, 1 | 8);
    struct fixture_doc members = fixture_members(1, 2, 1, 4 | 0x20);
    struct charter_tally t[2];
    char text[CHARTER_TALLY_CHARS];
    assert_int_equal(charter_tally(NULL, &members.doc, t), 0);
    assert_false(charter_tally_complete(&members.doc, t, 0));
    assert_int_equal(charter_tally(&root.doc, &members.doc, t), 1);
    assert_int_equal(t[0].signed_count, 1);
    assert_int_equal(t[0].missing, 1);
    assert_string_equal(t[0].signed_by, "k2"); /* k5 is nobody */
    assert_string_equal(t[0].may_sign, "k0, k1");
    charter_tally_text(&t[0], text);
    assert_string_equal(text, "root 1 asks for 2: signed by k2; 1 MISSING, of k0, k1");
    assert_false(charter_tally_complete(&members.doc, t, 1));
    fixture_sign(&members, 1);
    assert_int_equal(charter_tally(&root.doc, &members.doc, t), 1);
    assert_true(charter_tally_complete(&members.doc, t, 1));
    /* A root: the keys before it, and its own. */
    assert_int_equal(charter_tally(NULL, &root.doc, t), 1);
    assert_true(t[0].own && t[0].missing == 0);
    assert_true(charter_tally_complete(&root.doc, t, 1));
    assert_int_equal(charter_tally(NULL, &next.doc, t), 1);
    assert_true(t[0].own && t[0].missing == 1);
    assert_int_equal(charter_tally(&root.doc, &next.doc, t), 2);
    assert_true(!t[0].own && t[0].missing == 1 && t[1].own && t[1].missing == 1);
    fixture_sign(&next, 0x10);
    assert_int_equal(charter_tally(NULL, &next.doc, t), 1);
    assert_true(t[0].missing == 0);
    assert_false(charter_tally_complete(&next.doc, t, 1)); /* the root before has not agreed */
    fixture_sign(&next, 2);
    assert_int_equal(charter_tally(&root.doc, &next.doc, t), 2);
    assert_true(charter_tally_complete(&next.doc, t, 2));
    fixture_doc_free(&root);
    fixture_doc_free(&next);
    fixture_doc_free(&members);
}

static struct fixture_doc
copy_of(const struct fixture_doc *d)
{
    struct fixture_doc c = {.file = malloc(d->file_count), .file_count = d->file_count};
    assert_non_null(c.file);
    memcpy(c.file, d->file, d->file_count);
    fixture_decode(&c);
    return c;
}

static void
test_copies_are_joined_and_nothing_else_comes_in(void **state)
{
    (void)state;
    struct fixture_doc root = make_root(1, 7, 2, NULL, 3);
    struct fixture_doc a = fixture_members(1, 2, 1, 0), b = copy_of(&a), c = copy_of(&a);
    struct fixture_doc other = fixture_members(2, 2, 1, 1);
    fixture_sign(&a, 1);
    fixture_sign(&b, 2 | 0x40); /* k6 is nobody */
    fixture_sign(&c, 1 | 4);
    const struct charter_document *list[] = {&a.doc, &b.doc, &c.doc};
    uint8_t *out;
    size_t count, added, bad;
    struct charter_tally t[2];
    assert_int_equal(charter_join(&root.doc, list, 3, &out, &count, &added, &bad, reason),
                     STATUS_OK);
    assert_int_equal(added, 2);
    struct charter_document joined;
    assert_int_equal(charter_document_decode((struct view){out, count}, &joined, reason),
                     STATUS_OK);
    assert_int_equal(charter_tally(&root.doc, &joined, t), 1);
    assert_int_equal(t[0].signed_count, 3);
    struct note note;
    assert_int_equal(note_parse(joined.note, &note), STATUS_OK);
    assert_int_equal(note.signature_count, 3); /* k0 once, k6 left out */
    charter_document_free(&joined);
    free(out);
    /* Without a root all lines are taken, each key once. */
    assert_int_equal(charter_join(NULL, list, 3, &out, &count, &added, &bad, reason),
                     STATUS_OK);
    assert_int_equal(added, 3);
    free(out);
    list[2] = &other.doc;
    assert_int_equal(charter_join(NULL, list, 3, &out, &count, &added, &bad, reason),
                     STATUS_REFUSED);
    assert_int_equal(bad, 2);
    assert_non_null(strstr(reason, "another text"));
    assert_null(out);
    /* A signature of a key that may sign is damaged. */
    list[2] = &c.doc;
    uint8_t *byte = (uint8_t *)(uintptr_t)(b.doc.note.bytes + b.doc.note.count - 30);
    uint8_t *first = memchr(b.file, 0xe2, b.file_count); /* k1's line is the first */
    assert_non_null(first);
    byte = first + 60;
    *byte = *byte == 'A' ? 'B' : 'A';
    assert_int_equal(charter_join(&root.doc, list, 3, &out, &count, &added, &bad, reason),
                     STATUS_BAD_SIGNATURE);
    assert_int_equal(bad, 1);
    assert_non_null(strstr(reason, "k1"));
    fixture_doc_free(&root);
    fixture_doc_free(&a);
    fixture_doc_free(&b);
    fixture_doc_free(&c);
    fixture_doc_free(&other);
}

static void
test_an_earlier_version_needs_the_keys_of_its_day(void **state)
{
    (void)state;
    struct fixture_doc r1 = make_root(1, 3, 2, NULL, 3);
    struct fixture_doc r2 = make_root(2, 0xc, 2, &r1.doc, 0xf);
    struct fixture_doc m1 = fixture_members(1, 1, 0, 3);   /* by root 1 */
    struct fixture_doc m2 = fixture_members(2, 2, 0, 1);   /* too few, ever */
    struct fixture_doc m3 = fixture_members(3, 3, 0, 0xc); /* by root 2 */
    struct fixture_doc m9 = fixture_members(9, 9, 0, 3);   /* runs ahead under old keys */
    const struct charter_document *list[] = {&m9.doc, &m3.doc, &r2.doc,
                                             &m2.doc, &m1.doc, &r1.doc};
    struct charter_step steps[6];
    struct charter *c;
    assert_int_equal(charter_adopt_plan(NULL, FIXTURE_NETWORK, list, 6, FIXTURE_NOW, steps, &c),
                     STATUS_OK);
    enum status got[6];
    for (size_t i = 0; i < 6; i++) {
        got[steps[i].document] = steps[i].status;
    }
    assert_int_equal(got[5], STATUS_OK);
    assert_int_equal(got[2], STATUS_OK);
    assert_int_equal(got[1], STATUS_OK);
    assert_int_equal(got[4], STATUS_OK); /* an earlier version */
    assert_int_equal(got[3], STATUS_UNKNOWN_KEY);
    assert_int_equal(got[0], STATUS_UNKNOWN_KEY); /* never one that is ahead */
    assert_int_equal(charter_document(c, CHARTER_MEMBERS)->head.version, 3);
    charter_free(c);
    fixture_doc_free(&r1);
    fixture_doc_free(&r2);
    fixture_doc_free(&m1);
    fixture_doc_free(&m2);
    fixture_doc_free(&m3);
    fixture_doc_free(&m9);
}

static void
test_lines_of_nobody_are_not_kept(void **state)
{
    (void)state;
    struct fixture_doc root = make_root(1, 3, 1, NULL, 3 | 0x20);
    struct fixture_doc members = fixture_members(1, 2, 1, 1 | 0x10 | 0x20 | 0x40);
    const struct charter_document *list[] = {&root.doc, &members.doc};
    struct charter_step steps[2];
    struct charter *c;
    struct note note;
    assert_int_equal(charter_adopt_plan(NULL, FIXTURE_NETWORK, list, 2, FIXTURE_NOW, steps, &c),
                     STATUS_OK);
    assert_int_equal(note_parse(charter_document(c, CHARTER_ROOT)->note, &note), STATUS_OK);
    assert_int_equal(note.signature_count, 2);
    assert_int_equal(note_parse(charter_document(c, CHARTER_MEMBERS)->note, &note), STATUS_OK);
    assert_int_equal(note.signature_count, 1);
    charter_free(c);
    fixture_doc_free(&root);
    fixture_doc_free(&members);
}

static bool
shows_more(const struct fixture_doc *root, const struct fixture_doc *ours,
           const struct fixture_doc *theirs)
{
    struct hash a, b;
    charter_signers(&root->doc, &ours->doc, &a);
    charter_signers(&root->doc, &theirs->doc, &b);
    return charter_signers_more(&a, &b);
}

static void
test_signers_are_compared_under_one_text_and_root_only(void **state)
{
    (void)state;
    struct fixture_doc r1 = make_root(1, 7, 2, NULL, 3), full = copy_of(&r1);
    struct fixture_doc r2 = make_root(2, 0x1c, 2, &r1.doc, 0x1b);
    struct fixture_doc a = fixture_members(1, 2, 1, 0), b = copy_of(&a), nobody = copy_of(&a);
    struct fixture_doc other = fixture_members(2, 2, 1, 7);
    fixture_sign(&a, 3);
    fixture_sign(&b, 2 | 4);
    fixture_sign(&nobody, 3 | 8 | 0x40);
    fixture_sign(&full, 4);
    /* One line each: both have what the other lacks.  Who has the same, or less, has not. */
    assert_true(shows_more(&r1, &a, &b) && shows_more(&r1, &b, &a));
    assert_false(shows_more(&r1, &a, &a));
    assert_false(shows_more(&r1, &a, &nobody)); /* k3 and k6 are no keys of this root */
    assert_false(shows_more(&r1, &a, &other));  /* another text */
    assert_true(shows_more(&r1, &r1, &full));   /* a root: by its own keys */
    assert_false(shows_more(&r1, &full, &r1));
    /* After a rotation the keys of the new root count alone. */
    assert_false(shows_more(&r2, &b, &a));
    assert_true(shows_more(&r2, &b, &nobody));
    struct hash under_1, under_2;
    charter_signers(&r1.doc, &b.doc, &under_1);
    charter_signers(&r2.doc, &nobody.doc, &under_2);
    assert_false(charter_signers_more(&under_1, &under_2)); /* other bits */
    /* A line that is not valid is no signature. */
    uint8_t *line = memchr(b.file, 0xe2, b.file_count);
    assert_non_null(line);
    line[60] = line[60] == 'A' ? 'B' : 'A'; /* k1's */
    struct hash damaged;
    charter_signers(&r1.doc, &b.doc, &damaged);
    assert_int_equal(damaged.bytes[0], 4);
    fixture_doc_free(&r1);
    fixture_doc_free(&full);
    fixture_doc_free(&r2);
    fixture_doc_free(&a);
    fixture_doc_free(&b);
    fixture_doc_free(&nobody);
    fixture_doc_free(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_tally_names_who_signed_and_who_is_missing),
        cmocka_unit_test(test_copies_are_joined_and_nothing_else_comes_in),
        cmocka_unit_test(test_an_earlier_version_needs_the_keys_of_its_day),
        cmocka_unit_test(test_lines_of_nobody_are_not_kept),
        cmocka_unit_test(test_signers_are_compared_under_one_text_and_root_only),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
