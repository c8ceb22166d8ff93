/* Goal: of a new version of a charter document only the rows that changed travel, the
 * pages together give exactly its rows, and who asks with a base that is not known here,
 * or with nonsense, gets whole rows or none.
 * Method: two versions of a table in a store; the test asks as gossip does and puts the
 * answers together; rows added, changed, removed at both ends and in a long stretch. */
#include "tests/test_store_util.h"

#include "node/range.h"
#include "proto/frame.h"
#include "proto/wire.pb-c.h"
#include "tests/charter_fixture.h"

enum { ROWS = 3000 };

static struct test_dir dir;
static struct store *store;

static int
begin(void **state)
{
    (void)state;
    dir = dir_make();
    struct store_options options = {.map_bytes = 64 << 20};
    OK(store_open(dir.path, &options, &store));
    return 0;
}

static int
end(void **state)
{
    (void)state;
    store_close(store);
    dir_remove(&dir);
    return 0;
}

/* Rows i of h<1000+i>, `failed` where bit is set by `changed`; some are left out. */
static struct fixture_doc
table(uint64_t version, bool (*has)(int), bool (*failed)(int))
{
    Hr__QualityRow *rows = calloc(ROWS, sizeof *rows);
    Hr__Round *rounds = calloc(ROWS, sizeof *rounds);
    Hr__Round **lists = calloc(ROWS, sizeof(Hr__Round *));
    ProtobufCMessage **list = calloc(ROWS, sizeof *list);
    char(*names)[16] = calloc(ROWS, sizeof *names);
    static char item[] = "LAB.K", national[] = "national", day[] = "2026-05-01";
    size_t count = 0;
    for (int i = 0; i < ROWS; i++) {
        if (!has(i)) {
            continue;
        }
        hr__quality_row__init(&rows[i]);
        hr__round__init(&rounds[i]);
        snprintf(names[i], sizeof names[i], "h%d", 1000 + i);
        rows[i].institution = names[i];
        rows[i].item = item;
        rounds[i].organiser = national;
        rounds[i].date = day;
        rounds[i].passed = !failed(i);
        lists[i] = &rounds[i];
        rows[i].rounds = &lists[i];
        rows[i].n_rounds = 1;
        list[count++] = &rows[i].base;
    }
    struct fixture_doc d =
        fixture_build(fixture_head(CHARTER_QUALITY, version), list, count, 1);
    free(rows);
    free(rounds);
    free(lists);
    free(list);
    free(names);
    struct store_charter_key key = {
        .network = text(FIXTURE_NETWORK), .kind = STORE_CHARTER_QUALITY, .version = version};
    struct store_txn *t = NULL;
    OK(store_begin_write(store, STORE_PUBLISH, 4 << 20, &t));
    OK(store_charter_put(t, &key, d.doc.note, d.doc.rows, d.doc.row_count));
    OK(store_commit(t));
    return d;
}

static bool
everything(int i)
{
    return i >= 0;
}
static bool
nothing(int i)
{
    return i < 0;
}
static bool
but_some(int i)
{
    return i != 0 && i != 1500 && i != ROWS - 1;
}
static bool
but_many(int i)
{
    return i < 100 || i >= 900;
}
static bool
a_few(int i)
{
    return i == 3 || i == 4 || i == 2047 || i == 2048 || i == 2999;
}

struct fetched {
    size_t pages, sent, bytes, rows;
};

/* Ask as gossip_charter.c does; every row is compared with `want`. */
static struct fetched
fetch(const struct fixture_doc *want, const struct fixture_doc *base, const uint8_t *base_hash)
{
    struct fetched f = {0};
    struct range_asker asker = {.network = FIXTURE_NETWORK, .institution = "h1"};
    uint32_t base_next = 0;
    while (f.rows < want->doc.row_count && f.pages < 100) {
        struct gossip_update u;
        uint8_t message[512];
        static char kind[] = "quality";
        Hr__CharterAsk ask;
        hr__charter_ask__init(&ask);
        ask.kind = kind;
        ask.version = want->doc.head.version;
        ask.from_row = (uint32_t)f.rows;
        ask.rows_only = f.pages > 0;
        ask.base_version = base->doc.head.version;
        ask.base_hash = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(uintptr_t)base_hash};
        ask.base_from = base_next;
        size_t n = hr__charter_ask__pack(&ask, message), bytes;
        struct store_txn *t = NULL;
        OK(store_begin_read(store, &t));
        gossip_update_init(&u);
        OK(range_answer(t, &asker, 1, 1, FRAME_CHARTER, (struct view){message, n}, &u, &bytes));
        assert_int_equal(u.count, 1);
        assert_true(u.actions[0].message.count <= MESSAGE_BYTES_MAX);
        f.bytes += u.actions[0].message.count;
        Hr__CharterTell *tell = hr__charter_tell__unpack(NULL, u.actions[0].message.count,
                                                         u.actions[0].message.bytes);
        assert_non_null(tell);
        assert_int_equal(tell->status, STATUS_OK);
        assert_int_equal(tell->from_row, f.rows);
        assert_int_equal(tell->note.len > 0, f.pages == 0);
        size_t row = 0;
        for (size_t i = 0; i <= tell->n_runs; i++) {
            const Hr__CharterRun *run = i < tell->n_runs ? tell->runs[i] : NULL;
            for (uint32_t k = 0; run != NULL && k < run->kept; k++) {
                struct view got = base->doc.rows[run->from + k], w = want->doc.rows[f.rows++];
                assert_int_equal(got.count, w.count);
                assert_memory_equal(got.bytes, w.bytes, w.count);
            }
            base_next = run != NULL && run->kept > 0 ? run->from + run->kept : base_next;
            size_t last = run == NULL ? tell->n_rows : row + run->fresh;
            for (; row < last; row++) {
                struct view w = want->doc.rows[f.rows++];
                assert_int_equal(tell->rows[row].len, w.count);
                assert_memory_equal(tell->rows[row].data, w.bytes, w.count);
            }
        }
        assert_true(tell->n_rows + tell->n_runs > 0);
        f.sent += tell->n_rows;
        f.pages++;
        hr__charter_tell__free_unpacked(tell, NULL);
        gossip_update_free(&u);
        store_abort(t);
    }
    assert_int_equal(f.rows, want->doc.row_count);
    return f;
}

static void
test_only_changed_rows_travel(void **state)
{
    (void)state;
    struct fixture_doc a = table(1, everything, nothing), b = table(2, everything, a_few);
    struct fixture_doc c = table(3, but_some, a_few), d = table(4, but_many, nothing);
    struct fetched f = fetch(&b, &a, a.doc.head.hash.bytes);
    assert_int_equal(f.sent, 5);
    assert_true(f.bytes < 2000);
    assert_int_equal(f.pages, 2);             /* 2048 rows looked at for each */
    f = fetch(&c, &b, b.doc.head.hash.bytes); /* three are gone, none is new */
    assert_int_equal(f.sent, 0);
    f = fetch(&b, &c, c.doc.head.hash.bytes); /* and back */
    assert_int_equal(f.sent, 3);
    f = fetch(&d, &a, a.doc.head.hash.bytes); /* 800 gone at one place */
    assert_int_equal(f.sent, 0);
    f = fetch(&a, &d, d.doc.head.hash.bytes);
    assert_int_equal(f.sent, 800);
    fixture_doc_free(&a);
    fixture_doc_free(&b);
    fixture_doc_free(&c);
    fixture_doc_free(&d);
}

static void
test_without_the_base_all_rows_travel(void **state)
{
    (void)state;
    struct fixture_doc a = table(1, everything, nothing), b = table(2, everything, a_few);
    struct fetched f = fetch(&b, &a, b.doc.head.hash.bytes); /* another text of version 1 */
    assert_int_equal(f.sent, ROWS);
    struct fixture_doc gone = a;
    gone.doc.head.version = 77; /* a version that was never here */
    f = fetch(&b, &gone, a.doc.head.hash.bytes);
    assert_int_equal(f.sent, ROWS);
    fixture_doc_free(&a);
    fixture_doc_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_changed_rows_travel, begin, end),
        cmocka_unit_test_setup_teardown(test_without_the_base_all_rows_travel, begin, end),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
