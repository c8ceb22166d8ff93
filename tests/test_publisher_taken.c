/* Goal: a home whose entries came back from peers publishes nothing twice when the
 * LIS sends its reports again, and replaces nothing a second time.
 * Method: one world publishes; the entries alone are copied to the same hospital
 * of another world, which then gets the same messages, in several orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/publisher_taken.h"
#include "proto/log.pb-c.h"
#include "store/check.h"
#include "store/index.h"
#include "tests/world.h"

struct pair {
    struct world before, after;
};

static int
setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    world_open(&p->before, NULL);
    world_open(&p->after, NULL);
    p->after.drawn = 100; /* held reports get other keys */
    *state = p;
    return 0;
}

static int
teardown(void **state)
{
    struct pair *p = *state;
    world_close(&p->before);
    world_close(&p->after);
    free(p);
    return 0;
}

/* What is missing of h0's log comes back from peers, as gossip stores it. */
static void
take_back(struct pair *p)
{
    uint64_t from = world_size(&p->after, 0), to = world_size(&p->before, 0);
    struct store_txn *r = begin_read(p->before.issuer), *t = begin_write(p->after.issuer);
    OK(taken_note(t, FIXTURE_NETWORK, text_view(p->after.houses[0].origin), from));
    for (uint64_t i = from; i < to; i++) {
        struct view entry;
        OK(store_entry_get(r, p->before.houses[0].log, i, &entry));
        OK(store_log_append(t, p->after.houses[0].log, &entry, 1, NULL, NULL));
    }
    OK(store_commit(t));
    store_abort(r);
}

static bool
has_record(struct world *w, uint64_t leaf)
{
    struct store_txn *t = begin_read(w->issuer);
    enum status st = store_record_has(t, w->houses[0].log, leaf);
    store_abort(t);
    return st == STATUS_OK;
}

static bool
is_live(struct world *w, uint64_t leaf)
{
    bool live = false;
    struct store_txn *t = begin_read(w->issuer);
    enum status st = publisher_is_live(t, w->houses[0].log, leaf, &live);
    store_abort(t);
    return st == STATUS_OK && live;
}

static void
whole(struct world *w)
{
    struct store_check_options o = {.finding = NULL};
    struct store_check_totals totals;
    OK(store_check(w->issuer, &o, &totals));
    assert_int_equal(totals.findings, 0);
}

static void
the_same_messages_change_nothing_and_bring_the_records(void **state)
{
    struct pair *p = *state;
    struct world_report a, b;
    world_report(&a, "A", WORLD_CARD);
    world_identify(&a, "PP", "CHN:E12345678");
    world_report(&b, "B", WORLD_CARD);
    OK(world_publish(&p->before, 0, &a, 0));
    OK(world_publish(&p->before, 0, &b, 0));
    assert_int_equal(world_size(&p->before, 0), 3);
    for (int indexed = 0; indexed < 2; indexed++) { /* rows of the index pending, and written */
        if (indexed == 0) {
            take_back(p);
        } else {
            OK(store_index_some(p->after.issuer, 100));
        }
        struct world_report *r = indexed == 0 ? &a : &b;
        OK(world_publish(&p->after, 0, r, 0));
        assert_int_equal(p->after.plan.outcome, PUBLISH_REPEAT);
        assert_int_equal(world_size(&p->after, 0), 3);
        OK(world_publish(&p->after, 0, r, 0)); /* by the ledger now */
        assert_int_equal(p->after.plan.outcome, PUBLISH_REPEAT);
        assert_int_equal(world_size(&p->after, 0), 3);
        assert_true(has_record(&p->after, indexed == 0 ? 1 : 2));
        assert_true(is_live(&p->after, indexed == 0 ? 0 : 2));
        assert_true(has_record(&p->after, 2) == (indexed == 1));
        whole(&p->after);
    }
    b.items[0].value = text_of("5.0"); /* and a correction is one */
    OK(world_publish(&p->after, 0, &b, 0));
    assert_int_equal(p->after.plan.steps[0].what, PUBLISH_CORRECT);
    assert_int_equal(p->after.plan.steps[0].replaces, 2);
    whole(&p->after);
}

static void
a_correction_alone_is_found_and_the_older_message_is_stale(void **state)
{
    struct pair *p = *state;
    struct world_report a;
    world_report(&a, "A", WORLD_CARD);
    OK(world_publish(&p->before, 0, &a, 0));
    a.items[0].value = text_of("5.0");
    a.report.status = text_of("corrected");
    OK(world_publish(&p->before, 0, &a, 0));
    take_back(p);
    OK(world_publish(&p->after, 0, &a, 0));
    assert_int_equal(p->after.plan.outcome, PUBLISH_REPEAT);
    assert_true(is_live(&p->after, 1));
    a.items[0].value = text_of("4.1");
    a.report.status = text_of("final");
    OK(world_publish(&p->after, 0, &a, 0));
    assert_int_equal(p->after.plan.outcome, PUBLISH_STALE);
    assert_int_equal(world_size(&p->after, 0), 2);
}

/* The backup knows the first version; its correction came back from peers. */
static void
what_was_replaced_since_is_not_replaced_a_second_time(void **state)
{
    struct pair *p = *state;
    struct world_report a;
    world_report(&a, "A", WORLD_CARD);
    OK(world_publish(&p->before, 0, &a, 0));
    OK(world_publish(&p->after, 0, &a, 0));
    a.items[0].value = text_of("5.0");
    OK(world_publish(&p->before, 0, &a, 0));
    a.items[0].value = text_of("6.0");
    OK(world_publish(&p->before, 0, &a, 0));
    take_back(p);
    a.items[0].value = text_of("7.0"); /* neither 5.0 nor 6.0 comes again */
    OK(world_publish(&p->after, 0, &a, 0));
    assert_int_equal(p->after.plan.count, 1);
    assert_int_equal(p->after.plan.steps[0].what, PUBLISH_CORRECT);
    assert_int_equal(p->after.plan.steps[0].replaces, 2);
    assert_int_equal(world_size(&p->after, 0), 4);
}

static void
a_withdrawal_is_found_again_and_what_it_took_back_is_published_anew(void **state)
{
    struct pair *p = *state;
    struct world_report a;
    world_report(&a, "A", WORLD_CARD);
    OK(world_publish(&p->before, 0, &a, 0));
    OK(world_publish(&p->after, 0, &a, 0));
    OK(world_publish(&p->before, 0, &a, 1));
    take_back(p);
    OK(world_publish(&p->after, 0, &a, 1));
    assert_int_equal(p->after.plan.outcome, PUBLISH_REPEAT);
    assert_int_equal(world_size(&p->after, 0), 2);
    assert_false(is_live(&p->after, 0));
    a.items[0].value = text_of("7.0");
    OK(world_publish(&p->after, 0, &a, 0));
    assert_int_equal(p->after.plan.steps[0].what, PUBLISH_NEW);
    whole(&p->after);
}

static void
a_held_report_is_withdrawn_and_published_anew_once(void **state)
{
    struct pair *p = *state;
    struct world_report a, b;
    world_report(&a, "A", WORLD_CARD);
    world_report(&b, "B", WORLD_CARD);
    (void)world_item(&a, "LAB.HIVAB", "negative");
    (void)world_item(&b, "LAB.HIVAB", "negative");
    OK(world_publish(&p->before, 0, &a, 0));
    OK(world_publish(&p->before, 0, &b, 0));
    take_back(p);
    for (unsigned i = 0; i < 2; i++) {
        OK(world_publish(&p->after, 0, i == 0 ? &b : &a, 0));
        assert_int_equal(p->after.plan.count, 2);
        assert_int_equal(p->after.plan.steps[0].what, PUBLISH_WITHDRAW);
        assert_int_equal(p->after.plan.steps[0].replaces, i);
        assert_int_equal(p->after.plan.steps[1].what, PUBLISH_NEW);
        OK(world_publish(&p->after, 0, i == 0 ? &b : &a, 0));
        assert_int_equal(p->after.plan.outcome, PUBLISH_REPEAT);
    }
    assert_int_equal(world_size(&p->after, 0), 6);
    assert_true(is_live(&p->after, 3) && is_live(&p->after, 5));
    assert_false(is_live(&p->after, 0) || is_live(&p->after, 1));
    whole(&p->after);
}

/* The network key ended while the home was away: the same messages now have other tokens
 * and seal to other bytes. */
static void
what_was_published_under_an_earlier_key_is_found_again(void **state)
{
    struct pair *p = *state;
    struct world_report a, held;
    struct publish_context *c = &p->after.houses[0].publish;
    world_report(&a, "A", WORLD_CARD);
    world_report(&held, "H", WORLD_CARD);
    (void)world_item(&held, "LAB.HIVAB", "negative");
    OK(world_publish(&p->before, 0, &a, 0));
    a.items[0].value = text_of("5.0");
    a.report.status = text_of("corrected");
    OK(world_publish(&p->before, 0, &a, 0));
    OK(world_publish(&p->before, 0, &held, 0));
    take_back(p);
    c->network_key = &p->after.epochs[1];
    c->earlier = &p->after.epochs[0];
    c->earlier_count = 1;
    OK(world_publish(&p->after, 0, &a, 0));
    assert_int_equal(p->after.plan.outcome, PUBLISH_REPEAT);
    assert_true(is_live(&p->after, 1) && has_record(&p->after, 1));
    a.items[0].value = text_of("4.1");
    a.report.status = text_of("final");
    OK(world_publish(&p->after, 0, &a, 0));
    assert_int_equal(p->after.plan.outcome, PUBLISH_STALE);
    assert_int_equal(world_size(&p->after, 0), 3);
    /* What nobody can open is withdrawn under its own key, and comes under the new one. */
    OK(world_publish(&p->after, 0, &held, 0));
    assert_int_equal(p->after.plan.count, 2);
    assert_int_equal(p->after.plan.steps[0].what, PUBLISH_WITHDRAW);
    assert_int_equal(p->after.plan.steps[0].replaces, 2);
    assert_int_equal(p->after.plan.steps[0].epoch, 1);
    assert_false(is_live(&p->after, 2));
    /* A newer version replaces what came back, across the keys. */
    a.items[0].value = text_of("6.0");
    a.report.status = text_of("corrected");
    a.report.reported_at = text_of("2027-01-12T09:00:00+08:00");
    OK(world_publish(&p->after, 0, &a, 0));
    assert_int_equal(p->after.plan.steps[0].what, PUBLISH_WITHDRAW);
    assert_int_equal(p->after.plan.steps[0].replaces, 1);
    assert_int_equal(p->after.plan.steps[1].what, PUBLISH_NEW);
    assert_false(is_live(&p->after, 1));
    whole(&p->after);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_messages_change_nothing_and_bring_the_records),
        TEST(a_correction_alone_is_found_and_the_older_message_is_stale),
        TEST(what_was_replaced_since_is_not_replaced_a_second_time),
        TEST(a_withdrawal_is_found_again_and_what_it_took_back_is_published_anew),
        TEST(what_was_published_under_an_earlier_key_is_found_again),
        TEST(a_held_report_is_withdrawn_and_published_anew_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
