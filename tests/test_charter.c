/* Goal: a charter document is adopted exactly when DESIGN 7 allows it, and each
 * refusal has its own status and a sentence that helps.
 * Method: documents made in memory with keys from fixed seeds; one thing is
 * wrong at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/charter_fixture.h"

static char reason[CHARTER_REASON_CHARS];

static struct fixture_root
two_of_three(uint64_t version, const struct charter_document *previous)
{
    return (struct fixture_root){.head = fixture_head(CHARTER_ROOT, version),
                                 .root_keys = 7,
                                 .other_keys = 7,
                                 .root_threshold = 2,
                                 .other_threshold = 2,
                                 .previous = previous};
}

static struct fixture_doc
root_1(unsigned sign)
{
    struct fixture_root r = two_of_three(1, NULL);
    return fixture_make_root(&r, sign);
}

static struct charter *
load(const struct charter_document *root)
{
    struct charter *c;
    if (charter_load(root, NULL, 0, &c, reason) != STATUS_OK) {
        fail_msg("load: %s", reason);
    }
    return c;
}

/* The sentence names what is meant and is not cut. */
static void
assert_helps(const char *must_have)
{
    if (strstr(reason, must_have) == NULL || strlen(reason) > CHARTER_REASON_CHARS - 2) {
        fail_msg("reason: %s", reason);
    }
}

static enum status
check_first(const struct fixture_doc *d)
{
    return charter_check_first(&d->doc, FIXTURE_NETWORK, FIXTURE_NOW, reason);
}

static void
test_a_first_root_needs_its_own_threshold(void **state)
{
    struct fixture_doc d = root_1(0);
    (void)state;
    assert_int_equal(check_first(&d), STATUS_UNKNOWN_KEY);
    fixture_sign(&d, 1);
    assert_int_equal(check_first(&d), STATUS_THRESHOLD);
    assert_helps("1 of the 2 signatures");
    assert_helps("signed: k0");
    fixture_sign(&d, 8); /* a key that is no key of this root */
    assert_int_equal(check_first(&d), STATUS_THRESHOLD);
    fixture_sign(&d, 4);
    assert_int_equal(check_first(&d), STATUS_OK);
    assert_int_equal(charter_check_first(&d.doc, "other.cn", FIXTURE_NOW, reason),
                     STATUS_REFUSED);
    fixture_doc_free(&d);
}

/* A file with the note replaced. */
static void
replace_note(struct fixture_doc *d, const uint8_t *note, size_t count)
{
    struct view n = {note, count};
    size_t bytes = charter_file_bytes(n, d->doc.rows, d->doc.row_count);
    uint8_t *file = malloc(bytes);
    assert_non_null(file);
    charter_file_encode(n, d->doc.rows, d->doc.row_count, file);
    charter_document_free(&d->doc);
    free(d->file);
    d->file = file;
    d->file_count = bytes;
    fixture_decode(d);
}

/* Where the last signature line begins. */
static const uint8_t *
last_line(struct view note)
{
    const uint8_t *p = note.bytes + note.count - 2;
    while (p[-1] != '\n') {
        p--;
    }
    return p;
}

static void
test_the_same_signer_counts_once(void **state)
{
    struct fixture_doc d = root_1(1);
    struct note_signer signer, again;
    uint8_t *out, line[NOTE_LINE_BYTES_MAX], note[4096];
    size_t count, line_count;
    (void)state;
    fixture_signer(FIXTURE_NETWORK, 0, &signer);
    assert_int_equal(
        charter_sign((struct view){d.file, d.file_count}, &signer, &out, &count, reason),
        STATUS_EXISTS);
    assert_null(out);
    /* The line twice, written by hand. */
    const uint8_t *dash = last_line(d.doc.note);
    line_count = (size_t)(d.doc.note.bytes + d.doc.note.count - dash);
    memcpy(line, dash, line_count);
    memcpy(note, d.doc.note.bytes, d.doc.note.count);
    memcpy(note + d.doc.note.count, line, line_count);
    replace_note(&d, note, d.doc.note.count + line_count);
    assert_int_equal(check_first(&d), STATUS_THRESHOLD);
    /* The same secret under another name of the root's form. */
    fixture_doc_free(&d);
    d = root_1(1);
    again = signer;
    assert_int_equal(note_signer_make(text_view(FIXTURE_NETWORK "/charter/k1"),
                                      NOTE_KEY_ED25519, signer.secret, &again),
                     STATUS_OK);
    assert_int_equal(
        charter_sign((struct view){d.file, d.file_count}, &again, &out, &count, reason),
        STATUS_OK);
    free(d.file);
    charter_document_free(&d.doc);
    d.file = out;
    d.file_count = count;
    fixture_decode(&d);
    assert_int_equal(check_first(&d), STATUS_THRESHOLD);
    fixture_doc_free(&d);
}

static void
test_a_damaged_signature_refuses_the_document(void **state)
{
    struct fixture_doc d = root_1(3);
    uint8_t note[4096];
    (void)state;
    assert_int_equal(check_first(&d), STATUS_OK);
    size_t count = d.doc.note.count;
    memcpy(note, d.doc.note.bytes, count);
    note[count - 20] = note[count - 20] == 'A' ? 'B' : 'A';
    replace_note(&d, note, count);
    assert_int_equal(check_first(&d), STATUS_BAD_SIGNATURE);
    fixture_doc_free(&d);
}

static void
test_time_is_judged_and_has_its_own_words(void **state)
{
    struct fixture_root r = two_of_three(1, NULL);
    (void)state;
    r.head.issued_at_s = FIXTURE_NOW + CHARTER_SKEW_S_MAX + 1;
    r.head.valid_from_s = FIXTURE_NOW;
    struct fixture_doc d = fixture_make_root(&r, 3);
    assert_int_equal(check_first(&d), STATUS_NOT_YET);
    assert_helps("this clock says 2027-01-15T16:00:00+08:00");
    fixture_doc_free(&d);
    r.head.issued_at_s = FIXTURE_NOW + CHARTER_SKEW_S_MAX;
    d = fixture_make_root(&r, 3);
    assert_int_equal(check_first(&d), STATUS_OK);
    fixture_doc_free(&d);
    r.head.issued_at_s = FIXTURE_NOW;
    r.head.valid_from_s = FIXTURE_NOW + 86400;
    d = fixture_make_root(&r, 3);
    assert_int_equal(check_first(&d), STATUS_NOT_YET);
    assert_helps("valid from 2027-01-16");
    fixture_doc_free(&d);
    r.head.issued_at_s = r.head.valid_from_s = FIXTURE_NOW - 1000;
    r.head.stale_after_s = FIXTURE_NOW - 1;
    d = fixture_make_root(&r, 3);
    assert_int_equal(check_first(&d), STATUS_EXPIRED);
    fixture_doc_free(&d);
}

static enum status
check_next(const struct charter *c, const struct fixture_doc *d)
{
    return charter_check_next(c, &d->doc, FIXTURE_NOW, reason);
}

static void
test_members_need_the_threshold_of_the_root_in_force(void **state)
{
    struct fixture_doc root = root_1(3), m = fixture_members(5, 3, 2, 1);
    struct charter *c = load(&root.doc);
    (void)state;
    assert_int_equal(check_next(c, &m), STATUS_THRESHOLD);
    assert_helps("members 5 of yx.cn has 1 of the 2 signatures that root 1 asks for");
    fixture_sign(&m, 4);
    assert_int_equal(check_next(c, &m), STATUS_OK);
    assert_string_equal(reason, "");
    fixture_doc_free(&m);
    m = fixture_members(5, 3, 2, 8);
    assert_int_equal(check_next(c, &m), STATUS_UNKNOWN_KEY);
    assert_helps("signed by nobody whom root 1 allows");
    fixture_doc_free(&m);
    charter_free(c);
    fixture_doc_free(&root);
}

static struct charter *
with(struct charter *c, const struct fixture_doc *d)
{
    struct charter *next;
    if (charter_with(c, &d->doc, &next, reason) != STATUS_OK) {
        fail_msg("with: %s", reason);
    }
    charter_free(c);
    return next;
}

static void
test_versions_only_rise(void **state)
{
    struct fixture_doc root = root_1(3), m5 = fixture_members(5, 3, 2, 3);
    struct fixture_doc older = fixture_members(4, 3, 2, 3), other = fixture_members(5, 4, 2, 3);
    struct fixture_doc weak = fixture_members(5, 4, 2, 1), far = fixture_members(900, 3, 2, 6);
    struct charter *c = with(load(&root.doc), &m5);
    (void)state;
    assert_int_equal(check_next(c, &m5), STATUS_EXISTS);
    assert_int_equal(check_next(c, &older), STATUS_ROLLBACK);
    assert_helps("members 4 of yx.cn is older than members 5");
    assert_int_equal(check_next(c, &other), STATUS_FORK);
    assert_helps("another text with this version");
    assert_int_equal(check_next(c, &weak), STATUS_THRESHOLD); /* noise, no fork */
    assert_int_equal(check_next(c, &far), STATUS_OK);
    charter_free(c);
    fixture_doc_free(&root);
    fixture_doc_free(&m5);
    fixture_doc_free(&older);
    fixture_doc_free(&other);
    fixture_doc_free(&weak);
    fixture_doc_free(&far);
}

static void
test_another_network_is_refused(void **state)
{
    struct fixture_doc root = root_1(3);
    struct fixture_root r = two_of_three(2, &root.doc);
    (void)state;
    strcpy(r.head.network, "zz.cn");
    struct fixture_doc other = fixture_make_root(&r, 7);
    struct charter *c = load(&root.doc), *none;
    const struct charter_document *list[] = {&other.doc};
    assert_int_equal(check_next(c, &other), STATUS_REFUSED);
    assert_helps("the network here is yx.cn");
    assert_int_equal(charter_load(&root.doc, list, 1, &none, reason), STATUS_REFUSED);
    assert_null(none);
    charter_free(c);
    fixture_doc_free(&root);
    fixture_doc_free(&other);
}

static void
test_a_root_walks_one_version_at_a_time(void **state)
{
    struct fixture_doc root = root_1(3);
    struct fixture_root r = two_of_three(2, &root.doc);
    (void)state;
    r.root_keys = 0x1c;                                        /* k2 k3 k4 */
    struct fixture_doc weak_old = fixture_make_root(&r, 0x1c); /* of root 1 only k2 */
    struct fixture_doc weak_new = fixture_make_root(&r, 0x07); /* of root 2 only k2 */
    struct fixture_doc good = fixture_make_root(&r, 0x0e);     /* k1 k2, k2 k3 */
    r = two_of_three(3, &good.doc);
    struct fixture_doc third = fixture_make_root(&r, 0x0f);
    r = two_of_three(2, &third.doc);
    struct fixture_doc stray = fixture_make_root(&r, 0x07);
    struct charter *c = load(&root.doc);
    assert_int_equal(check_next(c, &weak_old), STATUS_THRESHOLD);
    assert_helps("that root 1 asks for");
    assert_int_equal(check_next(c, &weak_new), STATUS_THRESHOLD);
    assert_helps("that root 2 asks for");
    assert_int_equal(check_next(c, &third), STATUS_GAP);
    assert_helps("adopt root 2 first");
    assert_int_equal(check_next(c, &stray), STATUS_FORK); /* follows something else */
    assert_int_equal(check_next(c, &good), STATUS_OK);
    c = with(c, &good);
    assert_int_equal(check_next(c, &root), STATUS_EXISTS);
    assert_int_equal(check_next(c, &stray), STATUS_FORK); /* two texts of root 2 */
    assert_int_equal(check_next(c, &third), STATUS_OK);
    assert_int_equal(charter_document(c, CHARTER_ROOT)->head.version, 2);
    charter_free(c);
    /* Downwards only the text that is named, not any root of that version. */
    r = two_of_three(1, NULL);
    r.head.issued_at_s--;
    struct fixture_doc other_first = fixture_make_root(&r, 0x07);
    const struct charter_document *below[] = {&other_first.doc, &root.doc};
    assert_int_equal(charter_load(&good.doc, below, 1, &c, reason), STATUS_OK);
    assert_int_equal(charter_first_root(c), 2);
    charter_free(c);
    assert_int_equal(charter_load(&good.doc, below, 2, &c, reason), STATUS_OK);
    assert_int_equal(charter_first_root(c), 1);
    assert_true(hash_equal(&charter_root_version(c, 1)->head.hash, &root.doc.head.hash));
    charter_free(c);
    fixture_doc_free(&other_first);
    c = load(&good.doc); /* trust began at 2 */
    assert_int_equal(check_next(c, &root), STATUS_ROLLBACK);
    charter_free(c);
    fixture_doc_free(&root);
    fixture_doc_free(&weak_old);
    fixture_doc_free(&weak_new);
    fixture_doc_free(&good);
    fixture_doc_free(&third);
    fixture_doc_free(&stray);
}

static void
test_ten_rotations_are_walked_up_and_down(void **state)
{
    enum { ROOTS = 10 };
    struct fixture_doc roots[ROOTS];
    const struct charter_document *list[ROOTS + 1];
    (void)state;
    for (unsigned v = 1; v <= ROOTS; v++) { /* each drops one key and takes one */
        struct fixture_root r = two_of_three(v, v == 1 ? NULL : &roots[v - 2].doc);
        r.root_keys = (7u << v % 6) & 0xff;
        r.other_keys = 1u << v % 3;
        r.other_threshold = 1;
        roots[v - 1] = fixture_make_root(&r, 0xff);
        list[ROOTS - v] = &roots[v - 1].doc; /* in the wrong order */
    }
    struct fixture_doc m = fixture_members(1, 3, 1, 1u << 4 % 3); /* signed under root 4 */
    list[ROOTS] = &m.doc;
    for (unsigned trusted = 1; trusted <= ROOTS; trusted += 3) {
        struct charter *c;
        assert_int_equal(charter_load(&roots[trusted - 1].doc, list, ROOTS + 1, &c, reason),
                         STATUS_OK);
        assert_int_equal(charter_document(c, CHARTER_ROOT)->head.version, ROOTS);
        assert_int_equal(charter_first_root(c), 1);
        assert_int_equal(charter_signed_under(c, CHARTER_MEMBERS), 10);
        assert_non_null(charter_root_version(c, 7));
        assert_null(charter_root_version(c, 11));
        charter_free(c);
    }
    /* Without number 6 neither direction gets past it. */
    struct charter *c;
    const struct charter_document *six = list[ROOTS - 6];
    list[ROOTS - 6] = list[ROOTS - 5];
    assert_int_equal(charter_load(&roots[1].doc, list, ROOTS + 1, &c, reason), STATUS_OK);
    assert_int_equal(charter_document(c, CHARTER_ROOT)->head.version, 5);
    charter_free(c);
    assert_int_equal(charter_load(&roots[8].doc, list, ROOTS + 1, &c, reason), STATUS_OK);
    assert_int_equal(charter_first_root(c), 7);
    charter_free(c);
    (void)six;
    for (unsigned v = 0; v < ROOTS; v++) {
        fixture_doc_free(&roots[v]);
    }
    fixture_doc_free(&m);
}

static void
test_void_documents_are_left_behind(void **state)
{
    struct fixture_doc root = root_1(3), good = fixture_members(7, 3, 1, 3);
    struct fixture_doc fast = fixture_members(INT64_MAX, 3, 1, 3);
    struct fixture_root r = two_of_three(2, &root.doc);
    (void)state;
    r.voided = &fast.doc;
    struct fixture_doc second = fixture_make_root(&r, 3);
    struct fixture_doc next = fixture_members(8, 4, 1, 3);
    struct charter *c = with(with(load(&root.doc), &good), &fast);
    assert_int_equal(check_next(c, &next), STATUS_ROLLBACK);
    charter_free(c);
    const struct charter_document *list[] = {&second.doc, &fast.doc, &good.doc};
    assert_int_equal(charter_load(&root.doc, list, 3, &c, reason), STATUS_OK);
    assert_int_equal(charter_document(c, CHARTER_MEMBERS)->head.version, 7);
    assert_int_equal(check_next(c, &fast), STATUS_REFUSED);
    assert_helps("void");
    assert_int_equal(check_next(c, &next), STATUS_OK);
    charter_free(c);
    fixture_doc_free(&root);
    fixture_doc_free(&good);
    fixture_doc_free(&fast);
    fixture_doc_free(&second);
    fixture_doc_free(&next);
}

static void
test_signatures_under_one_text_are_merged(void **state)
{
    struct fixture_doc root = root_1(3), m = fixture_members(5, 3, 2, 3);
    struct fixture_doc more = fixture_members(5, 3, 2, 4 | 8), bad;
    struct charter *c = with(load(&root.doc), &m);
    uint8_t *out = malloc(NOTE_BYTES_MAX);
    size_t count, added;
    (void)state;
    assert_non_null(out);
    assert_int_equal(check_next(c, &more), STATUS_EXISTS);
    assert_int_equal(charter_merge(c, more.doc.note, out, &count, &added), STATUS_OK);
    assert_int_equal(added, 1); /* k2; k3 is nobody */
    replace_note(&more, out, count);
    c = with(c, &more);
    assert_int_equal(charter_document(c, CHARTER_MEMBERS)->note.count, count);
    assert_int_equal(charter_merge(c, m.doc.note, out, &count, &added), STATUS_OK);
    assert_int_equal(added, 0);
    bad = fixture_members(5, 4, 2, 4);
    assert_int_equal(charter_merge(c, bad.doc.note, out, &count, &added), STATUS_NOT_FOUND);
    free(out);
    charter_free(c);
    fixture_doc_free(&root);
    fixture_doc_free(&m);
    fixture_doc_free(&more);
    fixture_doc_free(&bad);
}

static void
test_an_expired_document_is_taken_with_a_warning(void **state)
{
    struct fixture_doc root = root_1(3), m = fixture_members(5, 2, 1, 3);
    struct charter *c = load(&root.doc);
    (void)state;
    assert_int_equal(charter_check_next(c, &m.doc, m.doc.head.stale_after_s, reason),
                     STATUS_OK);
    assert_string_equal(reason, "");
    assert_int_equal(charter_check_next(c, &m.doc, m.doc.head.stale_after_s + 1, reason),
                     STATUS_OK);
    assert_helps("has expired on");
    c = with(c, &m);
    assert_false(charter_is_stale(c, CHARTER_MEMBERS, m.doc.head.stale_after_s));
    assert_true(charter_is_stale(c, CHARTER_MEMBERS, m.doc.head.stale_after_s + 1));
    assert_true(charter_is_stale(c, CHARTER_QUALITY, 0));
    assert_int_equal(charter_age_s(c, CHARTER_MEMBERS, FIXTURE_NOW), 86400);
    assert_int_equal(charter_age_s(c, CHARTER_MEMBERS, 0), 0);
    assert_int_equal(charter_age_s(c, CHARTER_QUALITY, 0), -1);
    assert_int_equal(charter_newest_issued_s(c), FIXTURE_NOW - 86400);
    charter_free(c);
    fixture_doc_free(&root);
    fixture_doc_free(&m);
}

static void
test_a_plan_takes_files_in_any_order(void **state)
{
    struct fixture_doc root = root_1(3), m = fixture_members(5, 3, 2, 6);
    struct fixture_root r = two_of_three(2, &root.doc);
    struct fixture_doc second = fixture_make_root(&r, 6), bad = fixture_members(6, 3, 2, 1);
    const struct charter_document *list[] = {&bad.doc, &m.doc, &second.doc, &root.doc};
    struct charter_step steps[4];
    struct charter *c, *again;
    (void)state;
    assert_int_equal(charter_adopt_plan(NULL, FIXTURE_NETWORK, list, 4, FIXTURE_NOW, steps, &c),
                     STATUS_OK);
    assert_int_equal(steps[0].document, 3);
    assert_int_equal(steps[1].document, 2);
    assert_int_equal(steps[2].document, 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(steps[i].status, STATUS_OK);
    }
    assert_int_equal(steps[3].status, STATUS_THRESHOLD);
    assert_int_equal(charter_document(c, CHARTER_ROOT)->head.version, 2);
    assert_int_equal(charter_document(c, CHARTER_MEMBERS)->head.version, 5);
    assert_int_equal(charter_adopt_plan(c, NULL, list, 4, FIXTURE_NOW, steps, &again),
                     STATUS_OK);
    assert_int_equal(steps[0].status, STATUS_EXISTS);
    assert_int_equal(steps[1].status, STATUS_EXISTS);
    assert_int_equal(steps[2].status, STATUS_EXISTS);
    assert_int_equal(charter_document(again, CHARTER_MEMBERS)->head.version, 5);
    charter_free(again);
    charter_free(c);
    /* Members without a root. */
    assert_int_equal(charter_adopt_plan(NULL, NULL, list + 1, 1, FIXTURE_NOW, steps, &c),
                     STATUS_OK);
    assert_int_equal(steps[0].status, STATUS_REFUSED);
    assert_null(c);
    fixture_doc_free(&root);
    fixture_doc_free(&m);
    fixture_doc_free(&second);
    fixture_doc_free(&bad);
}

static void
test_an_expired_first_root_passes_only_before_a_fresh_one(void **state)
{
    struct fixture_root r = two_of_three(1, NULL);
    (void)state;
    r.head.stale_after_s = FIXTURE_NOW - 5;
    struct fixture_doc old = fixture_make_root(&r, 3);
    r = two_of_three(2, &old.doc);
    struct fixture_doc fresh = fixture_make_root(&r, 3), weak = fixture_make_root(&r, 1);
    const struct charter_document *list[] = {&old.doc, &fresh.doc};
    struct charter_step steps[2];
    struct charter *c;
    assert_int_equal(charter_adopt_plan(NULL, NULL, list, 1, FIXTURE_NOW, steps, &c),
                     STATUS_OK);
    assert_int_equal(steps[0].status, STATUS_EXPIRED);
    assert_null(c);
    assert_int_equal(charter_adopt_plan(NULL, NULL, list, 2, FIXTURE_NOW, steps, &c),
                     STATUS_OK);
    assert_int_equal(steps[0].status, STATUS_OK);
    assert_int_equal(steps[1].status, STATUS_OK);
    charter_free(c);
    list[1] = &weak.doc;
    assert_int_equal(charter_adopt_plan(NULL, NULL, list, 2, FIXTURE_NOW, steps, &c),
                     STATUS_OK);
    assert_int_equal(steps[0].status, STATUS_EXPIRED);
    assert_int_equal(steps[1].status, STATUS_THRESHOLD);
    assert_null(c);
    fixture_doc_free(&old);
    fixture_doc_free(&fresh);
    fixture_doc_free(&weak);
}

static int
setup(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_first_root_needs_its_own_threshold),
        cmocka_unit_test(test_the_same_signer_counts_once),
        cmocka_unit_test(test_a_damaged_signature_refuses_the_document),
        cmocka_unit_test(test_time_is_judged_and_has_its_own_words),
        cmocka_unit_test(test_members_need_the_threshold_of_the_root_in_force),
        cmocka_unit_test(test_versions_only_rise),
        cmocka_unit_test(test_another_network_is_refused),
        cmocka_unit_test(test_a_root_walks_one_version_at_a_time),
        cmocka_unit_test(test_ten_rotations_are_walked_up_and_down),
        cmocka_unit_test(test_void_documents_are_left_behind),
        cmocka_unit_test(test_signatures_under_one_text_are_merged),
        cmocka_unit_test(test_an_expired_document_is_taken_with_a_warning),
        cmocka_unit_test(test_a_plan_takes_files_in_any_order),
        cmocka_unit_test(test_an_expired_first_root_passes_only_before_a_fresh_one)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
