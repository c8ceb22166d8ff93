/* Goal: a leaf is vouched for by the newest head that anybody cosigned and that
 * covers it, also while a newer head has fewer cosignatures than an older one.
 * Method: notes with any lines in a store; which one is chosen for which leaf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/cosigned.h"
#include "store/log.h"
#include "tests/world.h"

static void
put(struct world *w, enum store_note kind, uint64_t size, unsigned cosigners)
{
    struct world_house *h = &w->houses[3];
    struct note_signer signer;
    struct note parsed;
    struct checkpoint head = {text_view(h->origin), size, {{1}}, {NULL, 0}};
    uint8_t note[8192], more[8192], line[512];
    size_t count, line_count;
    OK(note_signer_make(text_view(h->origin), NOTE_KEY_ED25519, h->keys.log.secret_key,
                        &signer));
    OK(checkpoint_sign(&signer, &head, note, sizeof note, &count));
    for (unsigned i = 0; i < cosigners; i++) {
        char name[KEY_NAME_CHARS_MAX + 1];
        origin_witness_name(FIXTURE_NETWORK, w->houses[i].institution, name);
        OK(note_signer_make(text_view(name), NOTE_KEY_COSIGNATURE,
                            w->houses[i].keys.witness.secret_key, &signer));
        OK(note_parse((struct view){note, count}, &parsed));
        OK(cosignature_line(&signer, parsed.text, FIXTURE_NOW, line, sizeof line, &line_count));
        OK(note_add_line((struct view){note, count}, (struct view){line, line_count}, more,
                         sizeof more, &count));
        memcpy(note, more, count);
    }
    struct store_txn *t = begin_write(w->issuer);
    OK(store_note_put(t, h->log, kind, (struct view){note, count}));
    OK(store_commit(t));
}

/* The size of the head that vouches for a leaf; 0: none. */
static uint64_t
vouches(struct world *w, uint64_t leaf)
{
    struct view bytes;
    struct note note;
    struct checkpoint c = {.size = 0};
    struct store_txn *t = begin_read(w->issuer);
    enum status st = cosigned_note(t, w->houses[3].log, leaf, &bytes);
    assert_true(st == STATUS_OK || st == STATUS_NOT_FOUND);
    if (st == STATUS_OK) {
        OK(note_parse(bytes, &note));
        OK(checkpoint_parse(note.text, &c));
    }
    store_abort(t);
    return c.size;
}

static void
the_newest_leaves_stand_under_the_offered_head(void **state)
{
    struct world *w = *state;
    assert_int_equal(vouches(w, 0), 0);
    put(w, STORE_NOTE_OFFERED, 5, 0);
    assert_int_equal(vouches(w, 0), 0); /* nobody cosigned it */
    put(w, STORE_NOTE_COSIGNED, 5, 3);
    put(w, STORE_NOTE_OFFERED, 8, 2);
    assert_int_equal(vouches(w, 4), 5); /* three are better than two */
    assert_int_equal(vouches(w, 5), 8);
    assert_int_equal(vouches(w, 7), 8);
    assert_int_equal(vouches(w, 8), 5); /* neither covers it: what there is */
    put(w, STORE_NOTE_OFFERED, 9, 0);
    assert_int_equal(vouches(w, 7), 5);
}

static int
setup(void **state)
{
    static struct world w;
    world_open(&w, NULL);
    *state = &w;
    return 0;
}

static int
teardown(void **state)
{
    world_close(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(
        the_newest_leaves_stand_under_the_offered_head, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
