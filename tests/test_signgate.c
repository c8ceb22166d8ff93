/* Goal: a node signs after a start only when DESIGN 10 lets it.
 * Method: the rule as a table of what is heard, in which order, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/signgate.h"

static const char PUB[] = "n.cn/h1/pub";
static const char *const FOUR[] = {"a", "b", "c", "d"};

static struct signgate
gate_with(bool clean, bool born, size_t witnesses)
{
    struct signgate g;
    struct signgate_options o = {.clean = clean, .born = born};
    signgate_init(&g, &o, 1000);
    signgate_log_add(&g, PUB, false);
    signgate_witnesses(&g, FOUR, witnesses);
    (void)signgate_tick(&g, 1000);
    return g;
}

static void
test_it_waits_for_more_than_half_of_the_witnesses(void **state)
{
    (void)state;
    struct signgate g = gate_with(true, false, 4);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_WAITING);
    signgate_heard(&g, PUB, "a");
    signgate_heard(&g, PUB, "a");
    signgate_heard(&g, PUB, "a");
    signgate_heard(&g, PUB, "b");
    signgate_heard(&g, PUB, "stranger");
    assert_false(signgate_tick(&g, 2000));
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_WAITING); /* 2 of 4 is no majority */
    signgate_heard(&g, PUB, "d");
    assert_true(signgate_tick(&g, 2001));
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_OPEN);
    assert_int_equal(signgate_state(&g, "n.cn/h1/exch/00000000"), SIGNGATE_WAITING);
}

static void
test_nobody_in_a_minute_opens_only_a_clean_start(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++) {
        struct signgate g = gate_with(clean, false, 3);
        signgate_heard(&g, PUB, "a");
        (void)signgate_tick(&g, 1000 + 59999);
        assert_int_equal(signgate_state(&g, PUB), SIGNGATE_WAITING);
        (void)signgate_tick(&g, 1000 + 60000);
        assert_int_equal(signgate_state(&g, PUB), clean ? SIGNGATE_OPEN : SIGNGATE_HELD);
        signgate_heard(&g, PUB, "b"); /* later on, most are heard */
        (void)signgate_tick(&g, 99999);
        assert_int_equal(signgate_state(&g, PUB), SIGNGATE_OPEN);
    }
}

static void
test_without_witnesses_the_clean_start_alone_decides_once_the_charter_is_known(void **state)
{
    (void)state;
    struct signgate_options o = {.clean = true};
    struct signgate g;
    signgate_init(&g, &o, 0);
    signgate_log_add(&g, PUB, false);
    (void)signgate_tick(&g, 100000);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_WAITING);
    signgate_witnesses(&g, NULL, 0);
    (void)signgate_tick(&g, 100001);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_OPEN);
    g = gate_with(false, false, 0);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_HELD);
    signgate_resume(&g);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_OPEN);
}

static void
test_a_new_home_and_a_new_log_sign_at_once(void **state)
{
    (void)state;
    struct signgate g = gate_with(false, true, 4);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_OPEN);
    g = gate_with(false, false, 4);
    signgate_log_add(&g, "n.cn/h1/exch/00000001", true);
    assert_int_equal(signgate_state(&g, "n.cn/h1/exch/00000001"), SIGNGATE_OPEN);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_WAITING);
}

static void
test_a_larger_head_of_ours_stops_signing_at_any_time(void **state)
{
    (void)state;
    struct signgate g = gate_with(true, true, 4);
    signgate_shown(&g, PUB, 10, false);
    assert_true(signgate_tick(&g, 5));
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_ROLLBACK);
    signgate_resume(&g);
    for (int i = 0; i < 4; i++) {
        signgate_heard(&g, PUB, FOUR[i]);
    }
    (void)signgate_tick(&g, 1000000);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_ROLLBACK);
    signgate_shown(&g, PUB, 12, false);
    assert_false(signgate_refilled(&g, PUB, 11));
    assert_true(signgate_refilled(&g, PUB, 12));
    /* It is not enough to have what one peer showed: the witnesses again. */
    (void)signgate_tick(&g, 1000001);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_HELD);
    for (int i = 0; i < 3; i++) {
        signgate_heard(&g, PUB, FOUR[i]);
    }
    (void)signgate_tick(&g, 1000002);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_OPEN);
}

static void
test_a_contradiction_is_final(void **state)
{
    (void)state;
    struct signgate g = gate_with(true, true, 0);
    signgate_shown(&g, PUB, 3, true);
    signgate_shown(&g, PUB, 30, false);
    assert_false(signgate_refilled(&g, PUB, 1000));
    signgate_resume(&g);
    (void)signgate_tick(&g, 1000000);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_LOST);
}

static void
test_a_twin_stops_every_log_and_those_to_come(void **state)
{
    (void)state;
    struct signgate g = gate_with(true, true, 0);
    signgate_twin(&g);
    signgate_log_add(&g, "n.cn/h1/exch/00000002", true);
    signgate_resume(&g);
    (void)signgate_tick(&g, 1000000);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_TWIN);
    assert_int_equal(signgate_state(&g, "n.cn/h1/exch/00000002"), SIGNGATE_TWIN);
}

static void
test_who_was_heard_stays_heard_when_witnesses_change(void **state)
{
    (void)state;
    static const char *const now[] = {"d", "x", "b"};
    struct signgate g = gate_with(false, false, 4);
    signgate_heard(&g, PUB, "b");
    signgate_heard(&g, PUB, "d");
    signgate_witnesses(&g, now, 3);
    (void)signgate_tick(&g, 1001);
    assert_int_equal(signgate_state(&g, PUB), SIGNGATE_OPEN); /* 2 of 3 */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_waits_for_more_than_half_of_the_witnesses),
        cmocka_unit_test(test_nobody_in_a_minute_opens_only_a_clean_start),
        cmocka_unit_test(
            test_without_witnesses_the_clean_start_alone_decides_once_the_charter_is_known),
        cmocka_unit_test(test_a_new_home_and_a_new_log_sign_at_once),
        cmocka_unit_test(test_a_larger_head_of_ours_stops_signing_at_any_time),
        cmocka_unit_test(test_a_contradiction_is_final),
        cmocka_unit_test(test_a_twin_stops_every_log_and_those_to_come),
        cmocka_unit_test(test_who_was_heard_stays_heard_when_witnesses_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
