/* Goal: the file of a fork convinces whoever trusts the root, and nobody by anything
 * but two heads of that log's own key; no change of a byte makes it say something else.
 * Method: the charter of a small world; heads of trees that contradict each other and
 * that do not, by the right and by wrong keys; every byte changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/forkfile.h"
#include "node/forkproof.h"
#include "tests/world.h"

static struct world *w;
static uint8_t notes[2][2048];

static int
setup(void **state)
{
    (void)state;
    w = calloc(1, sizeof *w);
    world_open(w, NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    world_close(w);
    free(w);
    return 0;
}

static struct view
head(unsigned by, const char *origin, uint64_t size, uint8_t root, uint8_t out[2048])
{
    struct note_signer signer;
    struct checkpoint c = {.origin = text_view(origin), .size = size};
    size_t count;
    memset(c.root.bytes, root, HASH_BYTES);
    OK(note_signer_make(c.origin, NOTE_KEY_ED25519, w->houses[by].keys.log.secret_key,
                        &signer));
    OK(checkpoint_sign(&signer, &c, out, 2048, &count));
    return (struct view){out, count};
}

/* A file about two heads of the log of house 1, one by `a`, one by `b`. */
static uint8_t *
make(unsigned a, unsigned b, const char *origin, uint8_t other_root, size_t *count)
{
    static uint8_t proof[FORKPROOF_BYTES_MAX];
    size_t proof_count;
    uint8_t *file = NULL;
    struct view x = head(a, origin, 7, 1, notes[0]);
    struct view y = head(b, origin, 7, other_root, notes[1]);
    OK(forkproof_encode(x, y, NULL, proof, &proof_count));
    enum status st = forkfile_make(w->charter, (struct view){proof, proof_count}, &file, count);
    if (st != STATUS_OK) {
        assert_null(file);
        assert_int_equal(st, STATUS_NOT_FOUND);
    }
    return file;
}

static enum status
check(const uint8_t *file, size_t count, const struct charter_document *root, json_t **json)
{
    char reason[EVIDENCE_REASON_CHARS];
    enum status st =
        forkfile_check((struct view){file, count}, root, FIXTURE_NOW, json, reason);
    assert_true((st == STATUS_OK) == (*json != NULL));
    assert_true(st == STATUS_OK || st == STATUS_NO_MEMORY || reason[0] != '\0');
    return st;
}

static void
two_heads_of_one_log_convince_and_no_byte_changes_what_they_say(void **state)
{
    (void)state;
    const struct charter_document *root = &w->documents[CHARTER_ROOT].doc;
    json_t *json, *again;
    size_t count, refused = 0;
    uint8_t *file = make(1, 1, w->houses[1].origin, 2, &count);
    assert_non_null(file);
    assert_true(forkfile_is((struct view){file, count}));
    OK(check(file, count, root, &json));
    assert_string_equal(json_string_value(json_object_get(json, "institution")), "h1");
    assert_string_equal(json_string_value(json_object_get(json, "origin")),
                        w->houses[1].origin);
    assert_false(json_is_true(json_object_get(json, "key_ended")));
    for (size_t i = 0; i < count; i++) {
        file[i] ^= 1;
        if (check(file, count, root, &again) == STATUS_OK) {
            assert_true(json_equal(json, again)); /* a signature on the root in hand */
        } else {
            refused++;
        }
        json_decref(again);
        file[i] ^= 1;
        if (i % 7 == 0) {
            assert_int_not_equal(check(file, i, root, &again), STATUS_OK);
        }
    }
    assert_true(refused > count / 2);
    json_decref(json);
    free(file);
}

static void
what_is_no_fork_of_a_member_is_refused(void **state)
{
    (void)state;
    const struct charter_document *root = &w->documents[CHARTER_ROOT].doc;
    json_t *json;
    size_t count;
    uint8_t *file = make(1, 2, w->houses[1].origin, 2, &count); /* one by another member */
    assert_non_null(file);
    assert_int_equal(check(file, count, root, &json), STATUS_UNKNOWN_KEY);
    free(file);
    file = make(1, 1, w->houses[1].origin, 1, &count); /* the same head twice */
    assert_int_equal(check(file, count, root, &json), STATUS_BAD_PROOF);
    free(file);
    char origin[ORIGIN_CHARS_MAX + 1];
    origin_pub(FIXTURE_NETWORK, "stranger", origin);
    assert_null(make(1, 1, origin, 2, &count));
    /* Another root: whoever trusts that one is told nothing. */
    file = make(1, 1, w->houses[1].origin, 2, &count);
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 1,
                             .other_keys = 1,
                             .root_threshold = 1,
                             .other_threshold = 1};
    r.head.issued_at_s -= 5;
    struct fixture_doc other = fixture_make_root(&r, 1);
    assert_int_not_equal(check(file, count, &other.doc, &json), STATUS_OK);
    fixture_doc_free(&other);
    free(file);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_heads_of_one_log_convince_and_no_byte_changes_what_they_say),
        TEST(what_is_no_fork_of_a_member_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
