/* Goal: a tlog-proof that was written can be read, and is accepted exactly when
 * entry, index, path, checkpoint and enough cosignatures fit together.
 * Method: FORMATS' running example made into a proof; every line damaged; the
 * published error cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/cosignature.h"
#include "crypto/tlogproof.h"
#include "proto/text.h"
#include "tests/vector.h"

static struct note_signer log_signer, witness[3];
static struct note_key keys[4];
static struct hash leaves[5];
static uint8_t note[2048];
static size_t note_count;

static int
setup(void **state)
{
    static const char *const names[] = {"b.example/witness", "c.example/witness",
                                        "d.example/witness"};
    struct checkpoint c = {.origin = text_view("lab-a.example/results"), .size = 5};
    uint8_t seed[NOTE_SEED_BYTES] = {1}, line[NOTE_LINE_BYTES_MAX], text[256], more[2048];
    size_t n, k;

    (void)state;
    if (sodium_init() < 0) {
        return -1;
    }
    for (size_t i = 0; i < 5; i++) {
        char entry[16];
        int chars = snprintf(entry, sizeof entry, "result %zu", i);
        tree_leaf_hash((const uint8_t *)entry, (size_t)chars, &leaves[i]);
    }
    c.root = vector_hash("8ea44bd627b51cba060fc8fd89be21cb34d60ca754aa5230a59c6c4390f15477");
    assert_int_equal(note_signer_make(c.origin, NOTE_KEY_ED25519, seed, &log_signer),
                     STATUS_OK);
    keys[0] = log_signer.key;
    assert_int_equal(checkpoint_encode(&c, text, sizeof text, &n), STATUS_OK);
    assert_int_equal(checkpoint_sign(&log_signer, &c, note, sizeof note, &note_count),
                     STATUS_OK);
    for (size_t i = 0; i < 3; i++) {
        seed[0]++;
        assert_int_equal(
            note_signer_make(text_view(names[i]), NOTE_KEY_COSIGNATURE, seed, &witness[i]),
            STATUS_OK);
        keys[i + 1] = witness[i].key;
        assert_int_equal(cosignature_line(&witness[i], (struct view){text, n},
                                          1000 + (int64_t)i, line, sizeof line, &k),
                         STATUS_OK);
        assert_int_equal(note_add_line((struct view){note, note_count}, (struct view){line, k},
                                       more, sizeof more, &note_count),
                         STATUS_OK);
        memcpy(note, more, note_count);
    }
    return 0;
}

/* The proof of leaf 2 of 5. */
static struct tlogproof
example(void)
{
    struct tlogproof p = {
        .index = 2, .hash_count = 3, .checkpoint = (struct view){note, note_count}};

    p.hashes[0] = leaves[3];
    tree_node_hash(&leaves[0], &leaves[1], &p.hashes[1]);
    p.hashes[2] = leaves[4];
    return p;
}

static struct tlogproof_policy
policy(size_t cosigned_min, int64_t now_s)
{
    return (struct tlogproof_policy){.origin = text_view("lab-a.example/results"),
                                     .keys = keys,
                                     .key_count = 4,
                                     .cosigned_min = cosigned_min,
                                     .now_s = now_s};
}

static void
test_a_written_proof_is_read_and_accepted(void **state)
{
    static const char head[] = "c2sp.org/tlog-proof@v1\nindex 2\n"
                               "lX0ZsoSttz6O4B+S3C0x2ba5NOTwG5sMnEAbvRiBqFg=\n"
                               "yxLPCzgiE9wp2PynTeGq4vl9jGxBYmFDlZpsPtoeIdk=\n"
                               "Liy5i2vpH8Z/4HftcRP94U99q0kxq9k3aLP5aJdthuc=\n\n"
                               "lab-a.example/results\n5\n";
    struct tlogproof p = example(), back;
    struct tlogproof_policy want = policy(3, 2000);
    struct checkpoint_opened opened;
    static uint8_t out[8192], again[8192];
    size_t n, m;

    (void)state;
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_OK);
    assert_memory_equal(out, head, strlen(head));
    assert_int_equal(tlogproof_parse((struct view){out, n}, &back), STATUS_OK);
    assert_false(back.has_extra);
    assert_int_equal(tlogproof_check(&back, &leaves[2], &want, &opened), STATUS_OK);
    assert_int_equal(opened.cosigned, 3);
    assert_int_equal(tlogproof_encode(&p, out, n - 1, &m), STATUS_TOO_BIG);
    assert_int_equal(tlogproof_encode(&p, out, n, &m), STATUS_OK);

    p.has_extra = true;
    p.extra = text_view("QUJD");
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_OK);
    assert_memory_equal(out, "c2sp.org/tlog-proof@v1\nextra QUJD\nindex 2\n", 42);
    assert_int_equal(tlogproof_parse((struct view){out, n}, &back), STATUS_OK);
    assert_true(back.has_extra && back.extra.count == 4);
    assert_int_equal(tlogproof_encode(&back, again, sizeof again, &m), STATUS_OK);
    assert_int_equal(m, n);
    assert_memory_equal(again, out, n);
}

static void
test_a_proof_holds_for_one_entry_at_one_place(void **state)
{
    struct tlogproof_policy want = policy(3, 2000);
    struct checkpoint_opened opened;
    struct tlogproof p = example();

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(tlogproof_check(&p, &leaves[i], &want, &opened),
                         i == 2 ? STATUS_OK : STATUS_BAD_PROOF);
    }
    for (uint64_t i = 0; i < 8; i++) {
        p.index = i;
        assert_true((tlogproof_check(&p, &leaves[2], &want, &opened) == STATUS_OK) == (i == 2));
    }
    p.index = 2;
    for (size_t i = 0; i < 3; i++) {
        p.hashes[i].bytes[31] ^= 1;
        assert_int_equal(tlogproof_check(&p, &leaves[2], &want, &opened), STATUS_BAD_PROOF);
        p.hashes[i].bytes[31] ^= 1;
        p.hash_count = i;
        assert_int_equal(tlogproof_check(&p, &leaves[2], &want, &opened), STATUS_MALFORMED);
        p.hash_count = 3;
    }
}

static void
test_cosignatures_count_once_their_time_has_come(void **state)
{
    struct checkpoint_opened opened;
    struct tlogproof p = example();

    (void)state;
    for (size_t want_count = 0; want_count <= 4; want_count++) {
        for (int64_t now = 999; now <= 1003; now++) {
            struct tlogproof_policy want = policy(want_count, now);
            size_t have = now > 1002 ? 3 : (size_t)(now - 999);
            assert_int_equal(tlogproof_check(&p, &leaves[2], &want, &opened),
                             have >= want_count ? STATUS_OK : STATUS_THRESHOLD);
            assert_int_equal(opened.cosigned, have);
        }
    }
}

static void
test_another_log_or_a_false_line_is_refused(void **state)
{
    struct tlogproof_policy want = policy(0, 2000);
    struct checkpoint_opened opened;
    struct tlogproof p = example();

    (void)state;
    want.origin = text_view("lab-b.example/results");
    assert_int_equal(tlogproof_check(&p, &leaves[2], &want, &opened), STATUS_REFUSED);
    want = policy(0, 2000);
    for (size_t i = 0; i < note_count; i++) {
        uint8_t before = note[i];
        enum status st;
        note[i] ^= 2;
        st = tlogproof_check(&p, &leaves[2], &want, &opened);
        /* A witness whose name or id changed is nobody's line. */
        assert_true(st != STATUS_OK || opened.cosigned == 2);
        note[i] = before;
    }
    assert_int_equal(tlogproof_check(&p, &leaves[2], &want, &opened), STATUS_OK);
}

static void
test_only_the_one_spelling_of_a_proof_is_read(void **state)
{
#define HEAD "c2sp.org/tlog-proof@v1\n"
#define HASH "lX0ZsoSttz6O4B+S3C0x2ba5NOTwG5sMnEAbvRiBqFg=\n"
    static const char *const good[] = {
        HEAD "index 0\n\nx",
        HEAD "index 9223372036854775807\n" HASH HASH "\nx",
        HEAD "extra \nindex 1\n\nx",
        HEAD "extra QUI=\nindex 1\n\nx",
    };
    static const char *const bad[] = {
        "",
        HEAD,
        HEAD "\n",
        HEAD "index 0\n",
        HEAD "index 0\n\n",
        HEAD "index 0",
        HEAD "index 00\n\nx",
        HEAD "index 9223372036854775808\n\nx",
        HEAD "index  1\n\nx",
        HEAD "index 1 \n\nx",
        HEAD "Index 1\n\nx",
        HEAD "index 1\nextra QUI=\n\nx",
        HEAD "extra QUI\nindex 1\n\nx",
        HEAD "extra QUI=\nextra QUI=\nindex 1\n\nx",
        HEAD "extra QUI=\n\nindex 1\n\nx",
        HEAD "index 1\n" HASH "QUI=\n\nx",
        HEAD "index 1\n " HASH "\nx",
        HEAD "index 1\n" HASH "x",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nx",
        "\n" HEAD "index 0\n\nx",
        "c2sp.org/tlog-proof@v1\r\nindex 0\n\nx",
    };
    static char longest[8192];
    struct tlogproof p;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (tlogproof_parse(text_view(good[i]), &p) != STATUS_OK) {
            fail_msg("case %zu was refused", i);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (tlogproof_parse(text_view(bad[i]), &p) != STATUS_MALFORMED) {
            fail_msg("case %zu was accepted", i);
        }
    }
    n = (size_t)snprintf(longest, sizeof longest, HEAD "index 0\n");
    for (size_t i = 0; i < TREE_PROOF_HASHES_MAX; i++) {
        n += (size_t)snprintf(longest + n, sizeof longest - n, HASH);
    }
    snprintf(longest + n, sizeof longest - n, "\nx");
    assert_int_equal(tlogproof_parse(text_view(longest), &p), STATUS_OK);
    assert_int_equal(p.hash_count, TREE_PROOF_HASHES_MAX);
    snprintf(longest + n, sizeof longest - n, HASH "\nx");
    assert_int_equal(tlogproof_parse(text_view(longest), &p), STATUS_MALFORMED);
}

static void
test_what_could_not_be_read_is_not_written(void **state)
{
    static uint8_t big[TLOGPROOF_BYTES_MAX + 1], out[TLOGPROOF_BYTES_MAX + 10];
    struct tlogproof p = example();
    size_t n = 8;

    (void)state;
    p.index = TREE_SIZE_MAX + 1;
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_MALFORMED);
    p = example();
    p.hash_count = TREE_PROOF_HASHES_MAX + 1;
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_MALFORMED);
    p = example();
    p.checkpoint.count = 0;
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_MALFORMED);
    p = example();
    p.has_extra = true;
    p.extra = text_view("QUI=\nindex 7");
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_MALFORMED);
    p = example();
    p.checkpoint = (struct view){big, sizeof big - 1};
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_TOO_BIG);
    assert_int_equal(tlogproof_parse((struct view){big, sizeof big}, &p), STATUS_TOO_BIG);
    assert_int_equal(n, 8);
    p = example();
    p.hash_count = 0;
    p.checkpoint = (struct view){big, TLOGPROOF_BYTES_MAX - 32}; /* header and index: 32 */
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_OK);
    assert_int_equal(n, TLOGPROOF_BYTES_MAX);
    assert_int_equal(tlogproof_parse((struct view){out, n}, &p), STATUS_OK);
    p.checkpoint.count++;
    assert_int_equal(tlogproof_encode(&p, out, sizeof out, &n), STATUS_TOO_BIG);
}

static void
test_published_errors_are_errors(void **state)
{
    json_t *cases = vector_json("signed_note/tlog_proof_errors.json"), *j;
    size_t i;

    (void)state;
    assert_true(json_array_size(cases) >= 4);
    json_array_foreach(cases, i, j)
    {
        struct tlogproof p;
        assert_int_equal(tlogproof_parse(text_view(vector_string(j, "text")), &p),
                         STATUS_MALFORMED);
    }
    json_decref(cases);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_written_proof_is_read_and_accepted),
        cmocka_unit_test(test_a_proof_holds_for_one_entry_at_one_place),
        cmocka_unit_test(test_cosignatures_count_once_their_time_has_come),
        cmocka_unit_test(test_another_log_or_a_false_line_is_refused),
        cmocka_unit_test(test_only_the_one_spelling_of_a_proof_is_read),
        cmocka_unit_test(test_what_could_not_be_read_is_not_written),
        cmocka_unit_test(test_published_errors_are_errors),
    };
    return cmocka_run_group_tests_name("tlogproof", tests, setup, NULL);
}
