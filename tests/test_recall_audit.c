/* Goal: from exchange logs alone a regulator sees who was told of a recall and did not
 * acknowledge, and who was never told; and no log speaks for another's author.
 * Method: entries built by hand, in every order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/recall_audit.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"

static const uint64_t hour = 3600000;
static struct recall_audit *audit;

static char *
str(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* Leaves 0 to 9 of h1 are replaced by the leaf ten further. */
static bool
replaced(void *ctx, const char *origin, uint64_t leaf, uint64_t *by)
{
    (void)ctx;
    *by = leaf + 10;
    return strcmp(origin, "n.cn/h1/pub") == 0 && leaf < 10;
}

static int
setup(void **state)
{
    (void)state;
    return recall_audit_open("n.cn", replaced, NULL, &audit) == STATUS_OK ? 0 : 1;
}

static int
teardown(void **state)
{
    (void)state;
    recall_audit_close(audit);
    return 0;
}

static void
add(const char *author, const Hr__ExchEntry *e)
{
    uint8_t bytes[1024];
    size_t count;
    assert_int_equal(pb_pack(&e->base, bytes, sizeof bytes, &count), STATUS_OK);
    assert_int_equal(recall_audit_add(audit, author, (struct view){bytes, count}), STATUS_OK);
}

static void
recalled(const char *author, uint32_t side, const char *other, const char *origin, uint64_t old,
         uint64_t at_ms)
{
    Hr__ExchEntry e;
    Hr__Recalled m;
    Hr__Leaf l[2];
    hr__exch_entry__init(&e);
    hr__recalled__init(&m);
    for (int i = 0; i < 2; i++) {
        hr__leaf__init(&l[i]);
        l[i].origin = str(origin);
        l[i].index = old + (i == 0 ? 0u : 10u);
    }
    m.at_ms = at_ms;
    m.old = &l[0];
    m.by = &l[1];
    m.institution = str(other);
    m.side = side;
    e.what_case = HR__EXCH_ENTRY__WHAT_RECALLED;
    e.recalled = &m;
    add(author, &e);
}

static void
relied(const char *author, uint32_t side, const char *other, uint64_t leaf, uint64_t at_ms)
{
    Hr__ExchEntry e;
    Hr__Relied m;
    Hr__Leaf l;
    hr__exch_entry__init(&e);
    hr__relied__init(&m);
    hr__leaf__init(&l);
    l.origin = str("n.cn/h1/pub");
    l.index = leaf;
    m.at_ms = at_ms;
    m.leaf = &l;
    m.institution = str(other);
    m.side = side;
    e.what_case = HR__EXCH_ENTRY__WHAT_RELIED;
    e.relied = &m;
    add(author, &e);
}

static void
answered(const char *author, const char *other, uint64_t leaf, uint64_t at_ms)
{
    Hr__ExchEntry e;
    Hr__Answered m;
    Hr__Leaf l;
    Hr__Leaf *list = &l;
    hr__exch_entry__init(&e);
    hr__answered__init(&m);
    hr__leaf__init(&l);
    l.origin = str("n.cn/h1/pub");
    l.index = leaf;
    m.at_ms = at_ms;
    m.institution = str(other);
    m.leaves = &list;
    m.n_leaves = 1;
    e.what_case = HR__EXCH_ENTRY__WHAT_ANSWERED;
    e.answered = &m;
    add(author, &e);
}

static enum recall_judgement
judged(size_t number, uint64_t now_ms)
{
    assert_true(number < recall_audit_count(audit));
    return recall_judge(recall_audit_get(audit, number), now_ms, 24);
}

static void
test_a_recall_is_overdue_after_its_hours_and_not_once_acknowledged(void **state)
{
    (void)state;
    recalled("h1", 1, "h2", "n.cn/h1/pub", 3, 100 * hour);
    assert_int_equal(recall_audit_count(audit), 1);
    assert_int_equal(judged(0, 124 * hour - 1), RECALL_WAITING);
    assert_int_equal(judged(0, 124 * hour), RECALL_OVERDUE);
    assert_int_equal(judged(0, 99 * hour), RECALL_WAITING); /* a clock that is behind */
    recalled("h2", 2, "h1", "n.cn/h1/pub", 3, 101 * hour);  /* its log alone says it heard */
    assert_int_equal(recall_audit_count(audit), 1);
    assert_int_equal(judged(0, 125 * hour), RECALL_OVERDUE);
    assert_int_equal(recall_audit_get(audit, 0)->heard_ms, 101 * hour);
    recalled("h1", 3, "h2", "n.cn/h1/pub", 3, 102 * hour);
    assert_int_equal(judged(0, 1000 * hour), RECALL_CLOSED);
    assert_int_equal(recall_audit_get(audit, 0)->by, 13);
}

static void
test_an_issuer_that_tells_nobody_is_found_in_any_log_that_says_who_relied(void **state)
{
    (void)state;
    answered("h1", "h2", 1, hour);  /* the issuer's own log */
    relied("h3", 1, "h1", 2, hour); /* the other's */
    relied("h1", 2, "h4", 3, hour); /* the issuer's, from RELY */
    answered("h1", "h2", 50, hour); /* still stands */
    relied("h1", 1, "h1", 4, hour); /* itself */
    assert_int_equal(recall_audit_count(audit), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(judged(i, 2 * hour), RECALL_WAITING);
        assert_int_equal(judged(i, 26 * hour), RECALL_NOT_TOLD);
    }
    recalled("h1", 1, "h3", "n.cn/h1/pub", 2, 30 * hour);
    assert_int_equal(judged(1, 31 * hour), RECALL_WAITING);
    assert_int_equal(judged(1, 54 * hour), RECALL_OVERDUE);
}

static void
test_no_author_speaks_for_another(void **state)
{
    (void)state;
    recalled("h2", 1, "h3", "n.cn/h1/pub", 3, hour); /* not the issuer */
    recalled("h2", 3, "h3", "n.cn/h1/pub", 3, hour);
    recalled("h2", 2, "h9", "n.cn/h1/pub", 3, hour); /* from somebody else */
    recalled("h1", 1, "h3", "x.cn/h1/pub", 3, hour); /* another network */
    recalled("h1", 1, "h3", "n.cn/h1/exch/00000000", 3, hour);
    recalled("h1", 0, "h3", "n.cn/h1/pub", 3, hour);
    recalled("h1", 4, "h3", "n.cn/h1/pub", 3, hour);
    assert_int_equal(recall_audit_count(audit), 0);
    /* An acknowledgement of what was never told does not close anything. */
    answered("h1", "h2", 3, hour);
    recalled("h1", 3, "h2", "n.cn/h1/pub", 3, 2 * hour);
    assert_int_equal(judged(0, 100 * hour), RECALL_NOT_TOLD);
    /* Nor one that the issuer made up: who was told would have logged the notice. */
    recalled("h1", 1, "h2", "n.cn/h1/pub", 3, 2 * hour);
    assert_int_equal(judged(0, 3 * hour), RECALL_CLOSED);
    assert_int_equal(judged(0, 26 * hour), RECALL_UNCONFIRMED);
    recalled("h2", 2, "h1", "n.cn/h1/pub", 3, 2 * hour);
    assert_int_equal(judged(0, 26 * hour), RECALL_CLOSED);
}

static void
test_what_is_no_entry_is_passed_over(void **state)
{
    (void)state;
    uint8_t bytes[64];
    for (size_t n = 0; n < sizeof bytes; n++) {
        bytes[n] = (uint8_t)(n * 37);
        assert_int_equal(recall_audit_add(audit, "h1", (struct view){bytes, n}), STATUS_OK);
    }
    assert_int_equal(recall_audit_count(audit), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_recall_is_overdue_after_its_hours_and_not_once_acknowledged, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_an_issuer_that_tells_nobody_is_found_in_any_log_that_says_who_relied, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_no_author_speaks_for_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_entry_is_passed_over, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
