/* Goal: a result that fewer witnesses saw than this home wants is accepted for a while, is
 * said to be so, and then is shown without being relied on; a log that goes on being
 * cosigned never comes to that, and one that nobody cosigns always does.
 * Method: marks over random histories of a log, compared with an observer who remembers
 * when each entry came; the store's rows; look-ups over a log that nobody, some, or all
 * cosigned, before and after the time is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/witnessed.h"
#include "proto/log.pb-c.h"
#include "tests/world.h"

enum { HOUR_S = 3600, WAIT_S = 300 };

static void
as_many_are_wanted_as_there_may_be(void **state)
{
    (void)state;
    struct witnessed_policy majority = {WITNESSED_MAJORITY, 0}, three = {3, 0}, none = {0, 0};
    static const size_t half[] = {0, 1, 2, 2, 3, 3, 4};
    for (size_t of = 0; of < 7; of++) {
        assert_int_equal(witnessed_wanted(&majority, of), half[of]);
        assert_int_equal(witnessed_wanted(&three, of), of < 3 ? of : 3);
        assert_int_equal(witnessed_wanted(&none, of), 0);
    }
}

/* No entry counts as waiting for longer than it was here, and the oldest that waits is
 * never forgotten while nothing of it was cosigned. */
static void
a_mark_is_never_older_than_what_waits_and_as_old_as_a_standstill(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 2000; round++) {
        enum { ENTRIES = 400 };
        int64_t came_s[ENTRIES], now_s = 1000000, still_s = 0;
        uint64_t size = 0, enough = 0;
        struct witnessed_mark m = {UINT64_MAX, 0};
        for (int step = 0; step < 60; step++) {
            now_s += 1 + rand() % HOUR_S;
            bool waited = enough < size;
            for (int n = rand() % 4; n > 0 && size < ENTRIES; n--) {
                came_s[size++] = now_s;
            }
            uint64_t before = enough;
            if (rand() % 4 == 0 && enough < size) {
                enough += 1 + (uint64_t)rand() % (size - enough);
            }
            if (!waited || enough != before) {
                still_s = now_s;
            }
            (void)witnessed_note(&m, enough, size, now_s);
            if (enough == size) {
                assert_true(m.from == UINT64_MAX);
                continue;
            }
            assert_int_equal(m.from, enough);
            assert_true(m.since_s >= came_s[enough]); /* the oldest that waits */
            assert_int_equal(m.since_s, still_s);
            assert_false(witnessed_note(&m, enough, size, now_s));
        }
    }
}

static void
a_clock_that_was_ahead_refuses_nothing_for_ever(void **state)
{
    (void)state;
    struct witnessed_policy p = {2, 72 * HOUR_S};
    struct witnessed_mark m = {UINT64_MAX, 0};
    assert_true(witnessed_note(&m, 0, 1, 1000000));
    assert_int_equal(witnessed_judge(&p, &m, 1, 3, 999999), WITNESSED_WAITS);
    assert_true(witnessed_note(&m, 0, 1, 5000)); /* it was set right */
    assert_int_equal(m.since_s, 5000);
    assert_int_equal(witnessed_judge(&p, &m, 1, 3, 5000 + 72 * HOUR_S - 1), WITNESSED_WAITS);
    assert_int_equal(witnessed_judge(&p, &m, 1, 3, 5000 + 72 * HOUR_S), WITNESSED_TOO_FEW);
    assert_int_equal(witnessed_judge(&p, &m, 2, 3, INT64_MAX), WITNESSED_ENOUGH);
    assert_int_equal(witnessed_judge(&p, &m, 1, 1, INT64_MAX), WITNESSED_ENOUGH);
    m = (struct witnessed_mark){UINT64_MAX, 0}; /* not noted yet: it begins to wait now */
    assert_int_equal(witnessed_judge(&p, &m, 0, 3, INT64_MAX), WITNESSED_WAITS);
}

struct seen {
    const char *state;
    bool preselected, decided;
    size_t by, wanted;
    uint64_t logged; /* cosigned_wanted of the Decided entry */
};

/* A result of house 0, whose head the witnesses of `bits` cosigned, as `asker` sees it
 * after it waited for so long under the policy (NULL: none). */
static struct seen
look(const struct witnessed_policy *policy, unsigned asker, unsigned bits, int64_t waited_s)
{
    struct world_options o = {0};
    struct world *w = calloc(1, sizeof *w);
    struct world_report r;
    struct world_lookup a;
    struct seen seen = {0};
    size_t changed;
    memset(&a, 0, sizeof a);
    world_open(w, &o);
    world_report(&r, "R1", WORLD_CARD);
    OK(world_publish(w, 0, &r, 0));
    world_sign(w, 0, bits);
    if (policy != NULL) {
        struct store_txn *t = begin_write(w->issuer);
        OK(witnessed_note_all(t, w->charter, policy, w->houses[asker].institution,
                              FIXTURE_NOW - waited_s, false, &changed));
        OK(store_commit(t));
    }
    world_question(w, &a, asker, WORLD_CARD);
    a.place.witnessed = policy;
    world_ask(w->issuer, &a);
    world_decide(w->issuer, &a);
    assert_int_equal(a.l->result_count, 1);
    json_t *j = lookup_result_json(a.l, &a.l->results[0]);
    const json_t *c = json_object_get(j, "cosigned");
    const char *state = json_string_value(json_object_get(c, "state"));
    seen.state = strcmp(state, "enough") == 0  ? "enough"
                 : strcmp(state, "waits") == 0 ? "waits"
                                               : "too_few";
    assert_int_equal(json_is_string(json_object_get(c, "until")), strcmp(state, "enough") != 0);
    seen.by = (size_t)json_integer_value(json_object_get(c, "by"));
    seen.wanted = (size_t)json_integer_value(json_object_get(c, "wanted"));
    seen.preselected = a.l->results[0].preselected;
    seen.decided = a.l->results[0].decisions[0].decision.recognize;
    uint8_t entry[ENTRY_BYTES_MAX];
    size_t count;
    OK(lookup_decided(a.l, &a.l->results[0], &a.l->results[0].decisions[0], 1, text_view("q"),
                      text_view(""), entry, sizeof entry, &count));
    Hr__ExchEntry *e = hr__exch_entry__unpack(NULL, count, entry);
    assert_non_null(e);
    seen.logged = e->decided->cosigned_wanted;
    assert_int_equal(e->decided->cosigned_by, seen.by);
    hr__exch_entry__free_unpacked(e, NULL);
    json_decref(j);
    lookup_free(a.l);
    world_close(w);
    free(w);
    return seen;
}

static void
a_look_up_says_how_many_it_wants_and_relies_on_no_less_for_ever(void **state)
{
    (void)state;
    struct witnessed_policy two = {2, WAIT_S}, any = {0, 0};
    struct seen s = look(NULL, 3, 0, 0); /* what a look-up without a policy shows */
    assert_string_equal(s.state, "enough");
    assert_true(s.preselected && s.decided);

    s = look(&two, 3, 0, 1); /* nobody cosigned */
    assert_string_equal(s.state, "waits");
    assert_true(s.preselected && s.decided && s.by == 0 && s.wanted == 2 && s.logged == 2);
    s = look(&two, 3, 2, WAIT_S - 1); /* one of them did */
    assert_string_equal(s.state, "waits");
    assert_true(s.preselected && s.by == 1);
    s = look(&two, 3, 2, WAIT_S);
    assert_string_equal(s.state, "too_few");
    assert_true(!s.preselected && !s.decided && s.by == 1 && s.logged == 2);
    s = look(&two, 3, 6, 2 * WAIT_S); /* both: no matter when */
    assert_string_equal(s.state, "enough");
    assert_true(s.preselected && s.by == 2);
    s = look(&any, 3, 0, 2 * WAIT_S);
    assert_string_equal(s.state, "enough");
    assert_true(s.preselected && s.logged == 0);
    s = look(&two, 0, 0, 2 * WAIT_S); /* one's own results */
    assert_string_equal(s.state, "enough");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_are_wanted_as_there_may_be),
        cmocka_unit_test(a_mark_is_never_older_than_what_waits_and_as_old_as_a_standstill),
        cmocka_unit_test(a_clock_that_was_ahead_refuses_nothing_for_ever),
        cmocka_unit_test(a_look_up_says_how_many_it_wants_and_relies_on_no_less_for_ever)};
    assert_true(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
