/* Goal: what was refused is kept with its reason and giver, bounded in number and size
 * whatever a peer sends; noise never takes the place of what somebody signed, and a text
 * that is adopted after all is forgotten.
 * Method: a real store; documents from fixed seeds, many more than are kept. */
#include "tests/test_store_util.h"

#include "node/charter_evidence_io.h"
#include "tests/charter_fixture.h"

static struct test_dir dir;
static struct store *store;
static struct charter *charter;
static struct fixture_doc root;

static int
begin(void **state)
{
    (void)state;
    char reason[CHARTER_REASON_CHARS];
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 7,
                             .other_keys = 7,
                             .root_threshold = 2,
                             .other_threshold = 2};
    dir = dir_make();
    root = fixture_make_root(&r, 3);
    OK(charter_load(&root.doc, NULL, 0, &charter, reason));
    struct store_options options = {.map_bytes = 64 << 20};
    OK(store_open(dir.path, &options, &store));
    return 0;
}

static int
end(void **state)
{
    (void)state;
    store_close(store);
    charter_free(charter);
    fixture_doc_free(&root);
    dir_remove(&dir);
    return 0;
}

static void
put(struct view note, enum status why, const char *from)
{
    struct store_txn *t = NULL;
    OK(store_begin_write(store, STORE_PUBLISH, CHARTER_EVIDENCE_WRITE_BYTES, &t));
    OK(charter_evidence_put(t, FIXTURE_NETWORK, charter, note, why, "because", from, 77));
    OK(store_commit(t));
}

static struct charter_evidence_counts
counts(void)
{
    struct charter_evidence_counts c;
    struct store_txn *t = NULL;
    OK(store_begin_read(store, &t));
    OK(charter_evidence_count(t, FIXTURE_NETWORK, &c));
    store_abort(t);
    return c;
}

struct found {
    struct charter_evidence last;
    char from[80];
    size_t lines, bytes;
    uint64_t lowest;
};

static void
find(void *ctx, const struct charter_evidence *e)
{
    struct found *f = ctx;
    struct note note;
    f->last = *e;
    snprintf(f->from, sizeof f->from, "%s", e->from);
    assert_string_equal(e->reason, "because");
    assert_int_equal(e->at_s, 77);
    f->lines = charter_note_read(e->note, &note) == STATUS_OK ? note.signature_count : 99;
    f->bytes += e->note.count;
    f->lowest = f->lowest == 0 || e->head.version < f->lowest ? e->head.version : f->lowest;
}

static struct found
all(void)
{
    struct found f = {.lowest = 0};
    struct store_txn *t = NULL;
    OK(store_begin_read(store, &t));
    OK(charter_evidence_each(t, FIXTURE_NETWORK, find, &f));
    store_abort(t);
    return f;
}

static void
test_noise_cannot_wash_a_contradiction_away(void **state)
{
    (void)state;
    struct fixture_doc fork = fixture_members(1, 1, 0, 3);
    put(fork.doc.note, STATUS_FORK, "h9");
    struct found f = all();
    assert_int_equal(f.last.rank, CHARTER_EVIDENCE_AGAINST);
    assert_int_equal(f.last.why, STATUS_FORK);
    assert_string_equal(f.from, "h9");
    for (uint64_t v = 10; v < 60; v++) { /* signed by nobody known */
        struct fixture_doc d = fixture_members(v, 1, 0, 0x60);
        put(d.doc.note, STATUS_UNKNOWN_KEY, "h8");
        fixture_doc_free(&d);
    }
    for (uint64_t v = 100; v < 150; v++) { /* by one of two */
        struct fixture_doc d = fixture_members(v, 1, 0, 1);
        put(d.doc.note, STATUS_THRESHOLD, "h8");
        fixture_doc_free(&d);
    }
    struct charter_evidence_counts c = counts();
    assert_int_equal(c.of[CHARTER_EVIDENCE_NOISE], CHARTER_EVIDENCE_NOISE_MAX);
    assert_int_equal(c.of[CHARTER_EVIDENCE_SIGNED], CHARTER_EVIDENCE_SIGNED_MAX);
    assert_int_equal(c.of[CHARTER_EVIDENCE_AGAINST], 1);
    assert_true(c.all <= CHARTER_EVIDENCE_MAX);
    f = all();
    assert_int_equal(f.lowest, 1);              /* the contradiction */
    assert_int_equal(f.last.head.version, 149); /* the newest */
    fixture_doc_free(&fork);
}

static void
test_one_text_is_kept_once_whatever_lines_come_with_it(void **state)
{
    (void)state;
    struct fixture_doc d = fixture_members(7, 1, 0, 0);
    put(d.doc.note, STATUS_UNKNOWN_KEY, "h1");
    assert_int_equal(counts().all, 1);
    assert_int_equal(all().last.rank, CHARTER_EVIDENCE_NOISE);
    fixture_sign(&d, 0x20 | 0x40); /* other lines of nobody: nothing new */
    put(d.doc.note, STATUS_UNKNOWN_KEY, "h2");
    struct found f = all();
    assert_int_equal(counts().all, 1);
    assert_string_equal(f.from, "h1");
    fixture_sign(&d, 2); /* a real one: it takes the place */
    put(d.doc.note, STATUS_THRESHOLD, "h3");
    f = all();
    assert_int_equal(counts().all, 1);
    assert_string_equal(f.from, "h3");
    assert_int_equal(f.last.rank, CHARTER_EVIDENCE_SIGNED);
    assert_int_equal(f.lines, 1); /* k1 alone; the lines of nobody are cut */
    put(d.doc.note, STATUS_THRESHOLD, "h4");
    assert_string_equal(all().from, "h3");
    /* The whole document is adopted: nobody is to be blamed. */
    struct store_txn *t = NULL;
    OK(store_begin_write(store, STORE_PUBLISH, 4096, &t));
    OK(charter_evidence_forget(t, FIXTURE_NETWORK, &d.doc.head.hash));
    OK(store_commit(t));
    assert_int_equal(counts().all, 0);
    fixture_doc_free(&d);
}

static void
test_a_note_full_of_lines_takes_little_room(void **state)
{
    (void)state;
    struct fixture_doc d = fixture_members(7, 1, 0, 1);
    uint8_t *note = malloc(NOTE_BYTES_MAX);
    assert_non_null(note);
    size_t count = d.doc.note.count;
    memcpy(note, d.doc.note.bytes, count);
    for (int i = 0; i < NOTE_SIGNATURES_MAX - 1; i++) {
        char line[256];
        int n = snprintf(line, sizeof line,
                         "\xe2\x80\x94 somebody-%0150d AAAAAAAAAAAAAAAAAAAAAAAA\n", i);
        memcpy(note + count, line, (size_t)n);
        count += (size_t)n;
    }
    put((struct view){note, count}, STATUS_THRESHOLD, "h1");
    struct found f = all();
    assert_int_equal(f.lines, 1);
    assert_int_equal(f.bytes, d.doc.note.count);
    /* What is no note at all is nothing that anybody signed. */
    put((struct view){note, 20}, STATUS_MALFORMED, "h1");
    assert_int_equal(counts().all, 1);
    assert_false(charter_evidence_counts_as(STATUS_BAD_PROOF));
    assert_false(charter_evidence_counts_as(STATUS_NOT_YET));
    assert_true(charter_evidence_counts_as(STATUS_FORK));
    free(note);
    fixture_doc_free(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_noise_cannot_wash_a_contradiction_away, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_one_text_is_kept_once_whatever_lines_come_with_it,
                                        begin, end),
        cmocka_unit_test_setup_teardown(test_a_note_full_of_lines_takes_little_room, begin,
                                        end),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
