/* Goal: who shows what it logged is answered, who does not is refused after ten seconds,
 * and no lost message refuses an honest member for ever.
 * Method: two members over one store, each with an exch log; the test carries messages,
 * or loses them, and moves the clock. */
#include "tests/test_store_util.h"

#include "tests/charter_fixture.h"

#include "crypto/checkpoint.h"
#include "node/receipts.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"

static struct test_dir dir;
static struct store *store;
static struct fixture_doc root, members;
static struct charter *charter;
static struct receipts *asker, *answerer; /* h0 asks, h1 answers */
static uint32_t log_id;
static uint64_t log_size;
static const char EXCH[] = "yx.cn/h0/exch/00000001";
static uint8_t head[RECEIPT_HEAD_BYTES_MAX];
static size_t head_count;

static int
begin(void **state)
{
    struct store_options o = {.map_bytes = 64 << 20};
    struct store_txn *t;
    char reason[CHARTER_REASON_CHARS];
    const struct fixture_root keys = {.head = fixture_head(CHARTER_ROOT, 1),
                                      .root_keys = 1,
                                      .other_keys = 1,
                                      .root_threshold = 1,
                                      .other_threshold = 1};
    (void)state;
    assert_true(sodium_init() >= 0);
    dir = dir_make();
    OK(store_open(dir.path, &o, &store));
    OK(store_begin_write(store, STORE_EXCHANGE, 4096, &t));
    OK(store_log_create(t, text(EXCH), STORE_LOG_OWN, 0, &log_id));
    OK(store_commit(t));
    log_size = head_count = 0;
    root = fixture_make_root(&keys, 1);
    members = fixture_members(1, 2, 0, 1);
    const struct charter_document *others[] = {&members.doc};
    OK(charter_load(&root.doc, others, 1, &charter, reason));
    asker = receipts_new();
    answerer = receipts_new();
    return 0;
}

static int
end(void **state)
{
    (void)state;
    receipts_free(asker);
    receipts_free(answerer);
    charter_free(charter);
    fixture_doc_free(&members);
    fixture_doc_free(&root);
    store_close(store);
    dir_remove(&dir);
    return 0;
}

/* Log `count` questions to `who`; the last one's index and hash. */
static uint64_t
log_asked(const char *who, size_t count, struct hash *leaf)
{
    struct store_txn *t;
    Hr__Asked a;
    Hr__ExchEntry e;
    uint8_t bytes[256], question[HASH_BYTES] = {1};
    size_t n;
    hr__asked__init(&a);
    hr__exch_entry__init(&e);
    a.institution = (char *)(uintptr_t)who;
    a.question = (ProtobufCBinaryData){HASH_BYTES, question};
    e.what_case = HR__EXCH_ENTRY__WHAT_ASKED;
    e.asked = &a;
    OK(store_begin_write(store, STORE_EXCHANGE, 1 << 20, &t));
    for (size_t i = 0; i < count; i++) {
        a.at_ms = ++log_size;
        OK(pb_pack(&e.base, bytes, sizeof bytes, &n));
        struct view entry = {bytes, n};
        OK(store_log_append(t, log_id, &entry, 1, NULL, NULL));
    }
    OK(store_commit(t));
    tree_leaf_hash(bytes, n, leaf);
    return log_size - 1;
}

static void
sign(unsigned member)
{
    struct note_signer signer;
    struct network_keys keys;
    struct store_txn *t;
    struct store_log log;
    fixture_member_keys(member, &keys);
    OK(store_begin_read(store, &t));
    OK(store_log_get(t, log_id, &log));
    struct checkpoint c = {text(EXCH), log.size, log.root, {NULL, 0}};
    store_abort(t);
    OK(note_signer_make(text(EXCH), NOTE_KEY_ED25519, keys.log.secret_key, &signer));
    OK(checkpoint_sign(&signer, &c, head, sizeof head, &head_count));
}

/* The asker's next message to h1; it arrives or is lost. */
static bool
pay(bool arrives)
{
    static uint8_t message[MESSAGE_BYTES_MAX];
    struct receipts_payment p;
    struct receipts_head kept;
    struct store_txn *t;
    size_t count;
    if (!receipts_next(asker, NULL, log_size, &p)) {
        return false;
    }
    OK(store_begin_read(store, &t));
    OK(receipts_pack(t, log_id, (struct view){head, head_count}, &p, message, sizeof message,
                     &count));
    store_abort(t);
    receipts_paid(asker, &p);
    return !arrives || receipts_take(answerer, charter, "h0", (struct view){message, count},
                                     FIXTURE_NOW, &kept);
}

/* A question that the answerer has read, and a session between both since `now_ms`. */
static void
ask_once(int64_t now_ms)
{
    struct hash leaf;
    uint64_t index = log_asked("h1", 1, &leaf);
    receipts_peer(asker, 1, "h1", true, now_ms);
    receipts_peer(answerer, 1, "h0", true, now_ms);
    receipts_owe(asker, "h1", index);
    receipts_expect(answerer, "h0", EXCH, index, &leaf, now_ms);
    sign(0);
}

static void
who_shows_its_log_is_answered(void **state)
{
    (void)state;
    ask_once(1000);
    assert_false(receipts_overdue(answerer, "h0", 1000 + RECEIPT_MS));
    assert_true(receipts_overdue(answerer, "h0", 1001 + RECEIPT_MS));
    assert_true(pay(true));
    assert_int_equal(receipts_due(answerer, "h0"), 0);
    assert_false(receipts_overdue(answerer, "h0", 1001 + RECEIPT_MS));
    assert_false(pay(true)); /* once */
}

static void
a_head_of_somebody_else_shows_nothing(void **state)
{
    (void)state;
    ask_once(1000);
    sign(1); /* the answerer's own key under the asker's log */
    assert_false(pay(true));
    assert_int_equal(receipts_due(answerer, "h0"), 1);
}

static void
what_was_lost_with_a_session_is_told_over_the_next(void **state)
{
    (void)state;
    ask_once(1000);
    assert_true(pay(false));
    assert_false(pay(false));
    receipts_peer(asker, 1, "h1", false, 2000);
    receipts_peer(asker, 2, "h1", true, 3000);
    assert_true(pay(true));
    assert_int_equal(receipts_due(answerer, "h0"), 0);
}

/* The receipt is lost while the session stays (it was over the budget, or signed with a
 * key that was not known yet), and the asker forgets it: many entries, then a start. */
static void
who_is_refused_shows_everything_again(void **state)
{
    (void)state;
    struct hash leaf;
    struct store_txn *t;
    ask_once(1000);
    assert_true(pay(false));
    (void)log_asked("h2", RECEIPT_REMEMBERED + 10, &leaf);
    sign(0);
    receipts_free(asker);
    asker = receipts_new();
    OK(store_begin_read(store, &t));
    OK(receipts_open(asker, t, log_id));
    receipts_peer(asker, 2, "h1", true, 3000);
    assert_false(pay(true)); /* it knows of none */
    assert_true(receipts_overdue(answerer, "h0", 20000));
    OK(receipts_again(asker, t, log_id, "h1", 20000));
    assert_true(pay(true));
    assert_false(receipts_overdue(answerer, "h0", 20000));
    /* Whoever refuses without end does not make us read our log each time. */
    OK(receipts_again(asker, t, log_id, "h1", 20001));
    assert_false(pay(true));
    OK(receipts_again(asker, t, log_id, "h1", 20000 + RECEIPT_AGAIN_MS));
    assert_true(pay(true));
    store_abort(t);
}

static void
who_goes_on_in_a_new_log_pays_for_no_old_one_but_not_without_end(void **state)
{
    (void)state;
    size_t lost;
    char origin[64];
    ask_once(1000);
    for (int i = 0; i < RECEIPT_MOVES_MAX; i++) {
        snprintf(origin, sizeof origin, "yx.cn/h0/exch/%08x", 2 + i);
        assert_true(receipts_log(answerer, "h0", origin, &lost));
        assert_int_equal(lost, i == 0 ? 1 : 0);
    }
    struct hash leaf = {{3}};
    receipts_expect(answerer, "h0", origin, 0, &leaf, 1000);
    assert_false(receipts_log(answerer, "h0", EXCH, &lost));
    assert_true(receipts_overdue(answerer, "h0", 20000));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_shows_its_log_is_answered),
        TEST(a_head_of_somebody_else_shows_nothing),
        TEST(what_was_lost_with_a_session_is_told_over_the_next),
        TEST(who_is_refused_shows_everything_again),
        TEST(who_goes_on_in_a_new_log_pays_for_no_old_one_but_not_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
