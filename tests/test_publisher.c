/* Goal: what the plan says is in the store after the commit, wholly, and found
 * again by the next message; held reports stay what they are.
 * Method: transactions on a store of its own; briefs and records read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/log.pb-c.h"
#include "tests/world.h"

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    world_open(w, NULL);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

static bool
is_live(struct world *w, uint64_t leaf)
{
    bool live = false;
    struct store_txn *t = begin_read(w->issuer);
    OK(publisher_is_live(t, w->houses[0].log, leaf, &live));
    store_abort(t);
    return live;
}

static void
a_message_finds_what_the_one_before_published(void **state)
{
    struct world *w = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.outcome, PUBLISH_STEPS);
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.outcome, PUBLISH_REPEAT);
    assert_int_equal(world_size(w, 0), 1);
    assert_true(is_live(w, 0));
    r.items[0].value = text_of("5.0");
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.steps[0].what, PUBLISH_CORRECT);
    assert_false(is_live(w, 0));
    assert_true(is_live(w, 1));
    OK(world_publish(w, 0, &r, 1));
    assert_int_equal(w->plan.steps[0].replaces, 1);
    assert_false(is_live(w, 1));
    assert_false(is_live(w, 2));
    assert_int_equal(world_size(w, 0), 3);
}

static void
the_same_number_of_another_sender_or_kind_is_another_report(void **state)
{
    struct world *w = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    OK(world_publish(w, 0, &r, 0));
    r.report.sending_application = text_of("LIS2");
    OK(world_publish(w, 0, &r, 0));
    r.report.kind = text_of("imaging");
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(world_size(w, 0), 3);
    assert_true(is_live(w, 0));
}

/* All in one transaction, as a batch file brings them. */
static void
two_sendings_of_one_report_in_one_batch_are_seen(void **state)
{
    struct world *w = *state;
    struct world_report r;
    struct publisher p;
    struct publish_plan plan;
    uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES] = {{1}, {2}};
    bool fatal;
    struct store_txn *t = begin_write(w->issuer);
    OK(publisher_begin(&p, &w->houses[0].publish, t, w->houses[0].log));
    world_report(&r, "R1", WORLD_CARD);
    r.report.institution = text_of("h0");
    static const enum publish_outcome expect[] = {PUBLISH_STEPS, PUBLISH_REPEAT};
    for (size_t i = 0; i < 2; i++) {
        OK(publisher_add(&p, &r.report, 0, (const uint8_t(*)[KEY_BYTES])random, &plan, &fatal));
        assert_int_equal(plan.outcome, expect[i]);
    }
    r.items[0].value = text_of("5.0");
    OK(publisher_add(&p, &r.report, 0, (const uint8_t(*)[KEY_BYTES])random, &plan, &fatal));
    assert_int_equal(plan.steps[0].what, PUBLISH_CORRECT);
    assert_int_equal(plan.steps[0].replaces, 0);
    OK(publisher_add(&p, &r.report, 2, (const uint8_t(*)[KEY_BYTES])random, &plan, &fatal));
    assert_int_equal(plan.steps[0].what, PUBLISH_WITHDRAW);
    assert_int_equal(plan.steps[0].replaces, 1);
    OK(publisher_flush(&p));
    assert_int_equal(p.appended, 3);
    publisher_end(&p);
    OK(store_commit(t));
    assert_int_equal(world_size(w, 0), 3);
}

static void
a_bad_report_in_a_batch_leaves_the_others(void **state)
{
    struct world *w = *state;
    struct world_report r;
    struct publisher p;
    struct publish_plan plan;
    uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES] = {{1}, {2}};
    char id[16], *large = malloc(REPORT_BYTES_MAX + 1);
    bool fatal;
    memset(large, 'x', REPORT_BYTES_MAX);
    large[REPORT_BYTES_MAX] = '\0';
    struct store_txn *t = begin_write(w->issuer);
    OK(publisher_begin(&p, &w->houses[0].publish, t, w->houses[0].log));
    for (unsigned i = 0; i < 1200; i++) { /* over two batches */
        (void)snprintf(id, sizeof id, "R%u", i);
        world_report(&r, id, WORLD_CARD);
        world_identify(&r, "PP", "CHN:E12345678");
        r.report.institution = text_of("h0");
        r.report.findings = i % 100 == 7 ? large : text_of("");
        enum status st =
            publisher_add(&p, &r.report, 0, (const uint8_t(*)[KEY_BYTES])random, &plan, &fatal);
        assert_int_equal(st, i % 100 == 7 ? STATUS_TOO_BIG : STATUS_OK);
        assert_false(fatal);
    }
    OK(publisher_flush(&p));
    assert_int_equal(p.appended, 2 * (1200 - 12));
    publisher_end(&p);
    OK(store_commit(t));
    assert_int_equal(world_size(w, 0), 2 * (1200 - 12));
    /* each entry has its own record: the passport's leaf does not open with the card */
    t = begin_read(w->issuer);
    for (uint64_t leaf = 0; leaf < 2 * (1200 - 12); leaf += 97) {
        struct view entry, record;
        struct hash sealed;
        struct patient_keys keys;
        uint8_t plain[4096];
        size_t count;
        OK(store_entry_get(t, w->houses[0].log, leaf, &entry));
        assert_true(range_entry_sealed(entry, &sealed));
        OK(store_record_get(t, w->houses[0].log, leaf, &sealed, &record));
        const char *type = leaf % 2 == 0 ? "RI" : "PP";
        OK(token_patient_keys(&w->epochs[0], type, leaf % 2 == 0 ? WORLD_CARD : "CHN:E12345678",
                              &keys));
        OK(record_open_with_patient(record, keys.record_key, FIXTURE_NETWORK, "h0", plain,
                                    sizeof plain, &count));
    }
    store_abort(t);
    free(large);
}

static void
what_was_flushed_and_not_committed_is_not_there(void **state)
{
    struct world *w = *state;
    struct world_report r;
    struct publisher p;
    struct publish_plan plan;
    uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES] = {{1}, {2}};
    bool fatal;
    struct store_txn *t = begin_write(w->issuer);
    OK(publisher_begin(&p, &w->houses[0].publish, t, w->houses[0].log));
    world_report(&r, "R1", WORLD_CARD);
    r.report.institution = text_of("h0");
    OK(publisher_add(&p, &r.report, 0, (const uint8_t(*)[KEY_BYTES])random, &plan, &fatal));
    OK(publisher_flush(&p));
    OK(publisher_add(&p, &r.report, 1, (const uint8_t(*)[KEY_BYTES])random, &plan, &fatal));
    publisher_end(&p); /* with a step waiting: nothing leaks */
    store_abort(t);
    assert_int_equal(world_size(w, 0), 0);
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.outcome, PUBLISH_STEPS);
}

static void
a_held_report_keeps_its_key_here_and_is_never_served(void **state)
{
    struct world *w = *state;
    struct world_report r;
    struct hash sealed;
    struct view entry, record, salt_text;
    uint8_t k[2][KEY_BYTES], plain[4096];
    size_t count;
    world_report(&r, "R1", WORLD_CARD);
    world_identify(&r, "PP", "CHN:E12345678");
    (void)world_item(&r, "LAB.HIVAB", "negative");
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.count, 2);
    struct store_txn *t = begin_read(w->issuer);
    for (uint64_t leaf = 0; leaf < 2; leaf++) {
        OK(store_entry_get(t, w->houses[0].log, leaf, &entry));
        assert_false(range_entry_sealed(entry, &sealed)); /* what replication would send */
        Hr__PubEntry *e = hr__pub_entry__unpack(NULL, entry.count, entry.bytes);
        assert_int_equal(e->publish->brief.len, 0);
        memcpy(sealed.bytes, e->publish->sealed.data, HASH_BYTES);
        hr__pub_entry__free_unpacked(e, NULL);
        OK(store_record_get(t, w->houses[0].log, leaf, &sealed, &record));
        OK(store_salt_get(t, w->houses[0].log, leaf, k[leaf], &salt_text));
        OK(record_open_with_k(record, k[leaf], FIXTURE_NETWORK, "h0", plain, sizeof plain,
                              &count));
    }
    assert_memory_not_equal(k[0], k[1], KEY_BYTES);
    store_abort(t);
    /* a repeat is a no-op, though the key would be another */
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.outcome, PUBLISH_REPEAT);
}

/* The entry of a leaf of h0: is it held? */
static bool
is_held(struct world *w, uint64_t leaf)
{
    struct store_txn *t = begin_read(w->issuer);
    struct view entry;
    struct hash sealed;
    bool held = false;
    OK(store_entry_get(t, w->houses[0].log, leaf, &entry));
    assert_true(candidates_sealed(entry, &sealed, &held));
    store_abort(t);
    return held;
}

static void
a_report_is_held_at_somebodys_wish_and_so_are_its_corrections(void **state)
{
    struct world *w = *state;
    struct world_report r, later;
    world_report(&r, "R1", WORLD_CARD);
    r.report.held = true;
    (void)world_item(&r, "LAB.K", "4.1");
    OK(world_publish(w, 0, &r, 0));
    assert_true(is_held(w, 0));
    /* the same message without the wish: there already, and not opened */
    r.report.held = false;
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.outcome, PUBLISH_REPEAT);
    /* a correction that does not say so */
    world_report(&later, "R1", WORLD_CARD);
    later.report.status = text_of("corrected");
    (void)world_item(&later, "LAB.K", "5.6");
    OK(world_publish(w, 0, &later, 0));
    assert_int_equal(w->plan.steps[0].what, PUBLISH_CORRECT);
    assert_true(is_held(w, 1));
    OK(world_publish(w, 0, &later, 0));
    assert_int_equal(w->plan.outcome, PUBLISH_REPEAT);
    /* the old message again: overtaken, held or not */
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.outcome, PUBLISH_STALE);
    r.report.held = true;
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.outcome, PUBLISH_STALE);
    /* withdrawn, then another report of that number: not held any more */
    OK(world_publish(w, 0, &later, 1));
    assert_int_equal(w->plan.steps[0].what, PUBLISH_WITHDRAW);
    assert_int_equal(world_size(w, 0), 3);
}

static void
what_was_open_and_is_held_now_is_replaced(void **state)
{
    struct world *w = *state;
    struct world_report r;
    world_report(&r, "R1", WORLD_CARD);
    (void)world_item(&r, "LAB.K", "4.1");
    OK(world_publish(w, 0, &r, 0));
    assert_false(is_held(w, 0));
    r.report.held = true;
    OK(world_publish(w, 0, &r, 0));
    assert_int_equal(w->plan.count, 1);
    assert_int_equal(w->plan.steps[0].what, PUBLISH_CORRECT);
    assert_int_equal(w->plan.steps[0].replaces, 0);
    assert_true(is_held(w, 1));
    struct store_txn *t = begin_read(w->issuer);
    bool live = true;
    OK(publisher_is_live(t, w->houses[0].log, 0, &live));
    assert_false(live); /* the open one is handed out no more */
    OK(publisher_is_live(t, w->houses[0].log, 1, &live));
    assert_true(live);
    store_abort(t);
    for (int i = 0; i < 2; i++) {
        OK(world_publish(w, 0, &r, 0));
        assert_int_equal(w->plan.outcome, PUBLISH_REPEAT);
        r.report.held = false;
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_finds_what_the_one_before_published),
        TEST(the_same_number_of_another_sender_or_kind_is_another_report),
        TEST(two_sendings_of_one_report_in_one_batch_are_seen),
        TEST(a_bad_report_in_a_batch_leaves_the_others),
        TEST(what_was_flushed_and_not_committed_is_not_there),
        TEST(a_held_report_keeps_its_key_here_and_is_never_served),
        TEST(a_report_is_held_at_somebodys_wish_and_so_are_its_corrections),
        TEST(what_was_open_and_is_held_now_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
