/* Goal: a charter document is one text over one set of rows: nothing else is
 * read as it, whole or in part.
 * Method: what is built is read back; every proof of documents of many sizes;
 * random damage to signed files: whatever is still accepted says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/treebuild.h"
#include "tests/charter_fixture.h"

static char reason[CHARTER_REASON_CHARS];

/* SplitMix64. */
static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static enum status
parse_text(const char *text, struct charter_head *head)
{
    return charter_head_parse(text_view(text), head);
}

static void
test_the_text_of_a_note_has_one_form(void **state)
{
    static const char good[] = "huren charter v1\nnetwork yx.cn\nkind members\nversion 7\n"
                               "issued_at 1800000000\nvalid_from 1800000001\n"
                               "stale_after 1800000002\nrows 3\n"
                               "tree AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
    static const struct {
        const char *from, *to;
        enum status status;
    } cases[] = {{"v1", "v2", STATUS_UNSUPPORTED},
                 {"kind members", "kind pack", STATUS_UNSUPPORTED},
                 {"yx.cn", "YX.cn", STATUS_MALFORMED},
                 {"yx.cn", "yx.cn ", STATUS_MALFORMED},
                 {"version 7", "version 07", STATUS_MALFORMED},
                 {"version 7", "version 0", STATUS_MALFORMED},
                 {"version 7", "version +7", STATUS_MALFORMED},
                 {"version 7", "version 9223372036854775808", STATUS_MALFORMED},
                 {"version 7", "version  7", STATUS_MALFORMED},
                 {"stale_after 1800000002", "stale_after 1800000001", STATUS_MALFORMED},
                 {"stale_after 1800000002", "stale_after 253402300800", STATUS_MALFORMED},
                 {"issued_at 1800000000", "issued_at -1", STATUS_MALFORMED},
                 {"rows 3", "rows 100001", STATUS_TOO_BIG},
                 {"rows 3\n", "", STATUS_MALFORMED},
                 {"rows 3\n", "rows 3\nrows 3\n", STATUS_MALFORMED},
                 {"Hh8=\n", "Hh8=\nmore\n", STATUS_MALFORMED},
                 {"Hh8=\n", "Hh8=", STATUS_MALFORMED},
                 {"Hh8=", "Hh8", STATUS_MALFORMED},
                 {"Hh8=", "Hh9=", STATUS_MALFORMED},
                 {"\n", "\r\n", STATUS_UNSUPPORTED}};
    struct charter_head head, again;
    uint8_t text[CHARTER_TEXT_BYTES_MAX];
    size_t count;
    (void)state;
    assert_int_equal(parse_text(good, &head), STATUS_OK);
    assert_int_equal(head.version, 7);
    assert_int_equal(head.kind, CHARTER_MEMBERS);
    again = head;
    charter_head_encode(&again, text, &count);
    assert_int_equal(count, strlen(good));
    assert_memory_equal(text, good, count);
    assert_true(hash_equal(&again.hash, &head.hash));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char changed[1024];
        const char *at = strstr(good, cases[i].from);
        assert_non_null(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - good), good, cases[i].to,
                 at + strlen(cases[i].from));
        if (parse_text(changed, &again) != cases[i].status) {
            fail_msg("%s -> %s", cases[i].from, cases[i].to);
        }
    }
}

static void
test_every_row_of_every_size_is_proven(void **state)
{
    (void)state;
    for (unsigned members = 0; members <= 40; members++) {
        struct fixture_doc d = fixture_members(1, members, 0, 1);
        struct hash proofs[40][TREE_PROOF_HASHES_MAX];
        struct charter_proven_row rows[40];
        struct charter_document part;
        assert_int_equal(d.doc.row_count, members);
        for (uint32_t i = 0; i < members; i++) {
            rows[i] = (struct charter_proven_row){.row = d.doc.rows[i], .index = i};
            assert_int_equal(charter_document_prove(&d.doc, i, proofs[i], &rows[i].proof_count),
                             STATUS_OK);
            rows[i].proof = proofs[i];
        }
        size_t count;
        assert_int_equal(charter_document_prove(&d.doc, members, proofs[0], &count),
                         STATUS_NOT_FOUND);
        assert_int_equal(charter_document_make_part(d.doc.note, rows, members, &part, reason),
                         STATUS_OK);
        assert_true(part.whole);
        charter_document_free(&part);
        if (members < 2) {
            fixture_doc_free(&d);
            continue;
        }
        /* Only the last: in part.  Twice, in the wrong place, changed: refused. */
        struct charter_proven_row *last = &rows[members - 1];
        assert_int_equal(charter_document_make_part(d.doc.note, last, 1, &part, reason),
                         STATUS_OK);
        assert_false(part.whole);
        assert_int_equal(part.indexes[0], members - 1);
        charter_document_free(&part);
        struct charter_proven_row twice[2] = {*last, *last};
        assert_int_equal(charter_document_make_part(d.doc.note, twice, 2, &part, reason),
                         STATUS_MALFORMED);
        last->index--;
        assert_int_not_equal(charter_document_make_part(d.doc.note, last, 1, &part, reason),
                             STATUS_OK);
        last->index++;
        last->row = rows[0].row;
        assert_int_equal(charter_document_make_part(d.doc.note, last, 1, &part, reason),
                         STATUS_BAD_PROOF);
        fixture_doc_free(&d);
    }
}

static void
test_rows_twice_or_out_of_order_are_refused(void **state)
{
    struct fixture_doc d = fixture_members(1, 3, 0, 1);
    struct view rows[3] = {d.doc.rows[0], d.doc.rows[2], d.doc.rows[1]};
    struct view twice[2] = {d.doc.rows[0], d.doc.rows[0]};
    const struct view *lists[2] = {rows, twice};
    const size_t counts[2] = {3, 2};
    struct charter_document out;
    (void)state;
    for (size_t i = 0; i < 2; i++) { /* the note fits the rows, so that only order is wrong */
        struct charter_head head = d.doc.head;
        struct tree_edge edge;
        uint8_t text[CHARTER_TEXT_BYTES_MAX + 1];
        size_t count;
        memset(&edge, 0, sizeof edge);
        for (size_t r = 0; r < counts[i]; r++) {
            struct hash leaf;
            tree_leaf_hash(lists[i][r].bytes, lists[i][r].count, &leaf);
            assert_int_equal(tree_edge_append(&edge, &leaf, NULL, NULL), STATUS_OK);
        }
        tree_edge_root(&edge, &head.tree);
        head.row_count = (uint32_t)counts[i];
        charter_head_encode(&head, text, &count);
        text[count++] = '\n';
        assert_int_equal(charter_document_make((struct view){text, count}, lists[i], counts[i],
                                               &out, reason),
                         STATUS_MALFORMED);
        assert_non_null(strstr(reason, "out of order"));
    }
    fixture_doc_free(&d);
}

/* Damage a copy of the file; returns its length. */
static size_t
damage(uint8_t *bytes, size_t count, size_t room, const struct fixture_doc *other,
       uint64_t *rng)
{
    unsigned times = 1 + (unsigned)(next_random(rng) % 3);
    for (unsigned t = 0; t < times; t++) {
        size_t at = next_random(rng) % count;
        size_t run = 1 + next_random(rng) % 8;
        switch (next_random(rng) % 5) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << next_random(rng) % 8);
            break;
        case 1:
            bytes[at] = (uint8_t)next_random(rng);
            break;
        case 2: /* cut out */
            run = run > count - at ? count - at : run;
            if (run < count) {
                memmove(bytes + at, bytes + at + run, count - at - run);
                count -= run;
            }
            break;
        case 3: /* double */
            run = run > count - at ? count - at : run;
            if (count + run <= room) {
                memmove(bytes + at + run, bytes + at, count - at);
                count += run;
            }
            break;
        default: { /* a piece of another document of the same form */
            size_t from = next_random(rng) % other->file_count;
            run = 1 + next_random(rng) % 400;
            run = run > other->file_count - from ? other->file_count - from : run;
            run = run > count - at ? count - at : run;
            memcpy(bytes + at, other->file + from, run);
        }
        }
    }
    return count;
}

static void
test_damaged_files_never_say_something_else(void **state)
{
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 7,
                             .other_keys = 7,
                             .root_threshold = 2,
                             .other_threshold = 1};
    struct fixture_doc root = fixture_make_root(&r, 3);
    struct fixture_doc m = fixture_members(5, 6, 2, 3), other = fixture_members(5, 7, 3, 8);
    struct charter *c;
    uint64_t rng = 42;
    size_t accepted = 0, room = m.file_count + 256;
    uint8_t *bytes = malloc(room);
    (void)state;
    assert_non_null(bytes);
    assert_int_equal(charter_load(&root.doc, NULL, 0, &c, reason), STATUS_OK);
    for (unsigned i = 0; i < 30000; i++) {
        struct charter_document d;
        memcpy(bytes, m.file, m.file_count);
        size_t count = damage(bytes, m.file_count, room, &other, &rng);
        if (charter_document_decode((struct view){bytes, count}, &d, reason) != STATUS_OK) {
            continue;
        }
        if (charter_check_next(c, &d, FIXTURE_NOW, reason) == STATUS_OK) {
            accepted++;
            assert_true(hash_equal(&d.head.hash, &m.doc.head.hash));
            assert_int_equal(d.row_count, m.doc.row_count);
            for (size_t k = 0; k < d.row_count; k++) {
                assert_int_equal(d.rows[k].count, m.doc.rows[k].count);
                assert_memory_equal(d.rows[k].bytes, m.doc.rows[k].bytes, d.rows[k].count);
            }
        }
        charter_document_free(&d);
    }
    print_message("%zu of 30000 damaged files still say the same\n", accepted);
    free(bytes);
    charter_free(c);
    fixture_doc_free(&root);
    fixture_doc_free(&m);
    fixture_doc_free(&other);
}

static void
test_long_forms_of_lengths_are_refused(void **state)
{
    struct fixture_doc d = fixture_members(1, 1, 0, 1);
    uint8_t *bytes = malloc(d.file_count + 1);
    struct view note, *rows;
    size_t count;
    (void)state;
    assert_non_null(bytes);
    /* 0x0a, then the length in two bytes: give it a third that adds nothing. */
    assert_true(d.file[1] >= 0x80 && d.file[2] < 0x80 && d.file[2] > 0);
    memcpy(bytes, d.file, 2);
    bytes[2] = d.file[2] | 0x80;
    bytes[3] = 0;
    memcpy(bytes + 4, d.file + 3, d.file_count - 3);
    assert_int_equal(
        charter_file_split((struct view){bytes, d.file_count + 1}, &note, &rows, &count),
        STATUS_MALFORMED);
    assert_int_equal(
        charter_file_split((struct view){d.file, d.file_count}, &note, &rows, &count),
        STATUS_OK);
    assert_int_equal(count, 1);
    free(rows);
    for (size_t cut = 0; cut < d.file_count; cut++) {
        enum status st = charter_file_split((struct view){d.file, cut}, &note, &rows, &count);
        if (st == STATUS_OK) { /* only between note and row */
            assert_int_equal(count, 0);
            free(rows);
        }
    }
    free(bytes);
    fixture_doc_free(&d);
}

/* One row with one field wrong is refused with the field named. */
static void
refuse_member(void (*spoil)(struct fixture_member *m), const char *must_say)
{
    struct fixture_member m;
    struct charter_head head = fixture_head(CHARTER_MEMBERS, 1);
    uint8_t *file;
    size_t count;
    fixture_member(&m, 1, true);
    spoil(&m);
    ProtobufCMessage *list[1] = {&m.row.base};
    assert_int_not_equal(charter_build(&head, list, 1, &file, &count, reason), STATUS_OK);
    assert_null(file);
    if (strstr(reason, must_say) == NULL) {
        fail_msg("%s: %s", must_say, reason);
    }
}

static void
bad_level(struct fixture_member *m)
{
    strcpy(m->level, "third");
}
static void
bad_territory(struct fixture_member *m)
{
    strcpy(m->territory, "42058");
}
static void
bad_code(struct fixture_member *m)
{
    strcpy(m->institution, "H1");
}
static void
bad_name(struct fixture_member *m)
{
    strcpy(m->name, "a\x1b[2J");
}
static void
bad_roles(struct fixture_member *m)
{
    m->roles[1] = m->roles[0];
}
static void
bad_key(struct fixture_member *m)
{
    m->keys.box.len = 31;
}
static void
bad_times(struct fixture_member *m)
{
    m->keys.to = m->keys.from - 1;
}
static void
bad_left(struct fixture_member *m)
{
    static char day[] = "2026-02-30";
    m->row.left = day;
}
static void
bad_address(struct fixture_member *m)
{
    static char url[] = "http://a:1";
    static char *list[] = {url};
    m->row.addresses = list;
    m->row.n_addresses = 1;
}
static void
bad_linked(struct fixture_member *m)
{
    static char origin[] = FIXTURE_NETWORK "/h2/exch/00000001";
    static char *list[] = {origin};
    m->row.linked = list;
    m->row.n_linked = 1;
}

static void
test_rows_are_vetted_field_by_field(void **state)
{
    (void)state;
    refuse_member(bad_level, "level 'third'");
    refuse_member(bad_territory, "territory '42058'");
    refuse_member(bad_code, "institution 'H1'");
    refuse_member(bad_name, "name");
    refuse_member(bad_roles, "role 'hospital' is unknown, twice");
    refuse_member(bad_key, "box key has the wrong length");
    refuse_member(bad_times, "keys end before they begin");
    refuse_member(bad_left, "left '2026-02-30'");
    refuse_member(bad_address, "address 'http://a:1'");
    refuse_member(bad_linked, "is no origin of this member");
}

static void
test_what_only_whole_documents_show_is_checked(void **state)
{
    struct fixture_member m[17];
    ProtobufCMessage *list[17];
    struct charter_head head = fixture_head(CHARTER_MEMBERS, 1);
    uint8_t *file;
    size_t count;
    (void)state;
    for (unsigned i = 0; i < 17; i++) {
        fixture_member(&m[i], i, i < 16);
        list[i] = &m[i].row.base;
    }
    assert_int_equal(charter_build(&head, list, 17, &file, &count, reason), STATUS_TOO_BIG);
    assert_non_null(strstr(reason, "over 15 witnesses"));
    m[3].row.n_roles = 1;
    m[5].keys.session = m[4].keys.session;
    assert_int_equal(charter_build(&head, list, 17, &file, &count, reason), STATUS_MALFORMED);
    assert_non_null(strstr(reason, "same session key"));
    m[5].keys.session = (ProtobufCBinaryData){KEY_BYTES, m[5].secret.session.public_key};
    assert_int_equal(charter_build(&head, list, 17, &file, &count, reason), STATUS_OK);
    free(file);
    /* A root that nobody could follow. */
    head = fixture_head(CHARTER_ROOT, 1);
    Hr__RootRow row;
    static char name[] = "threshold/root";
    hr__root_row__init(&row);
    row.name = name;
    row.threshold = 1;
    list[0] = &row.base;
    assert_int_equal(charter_build(&head, list, 1, &file, &count, reason), STATUS_MALFORMED);
    assert_non_null(strstr(reason, "root needs 1 signatures, but only 0 keys"));
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
        cmocka_unit_test(test_the_text_of_a_note_has_one_form),
        cmocka_unit_test(test_every_row_of_every_size_is_proven),
        cmocka_unit_test(test_rows_twice_or_out_of_order_are_refused),
        cmocka_unit_test(test_damaged_files_never_say_something_else),
        cmocka_unit_test(test_long_forms_of_lengths_are_refused),
        cmocka_unit_test(test_rows_are_vetted_field_by_field),
        cmocka_unit_test(test_what_only_whole_documents_show_is_checked)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
