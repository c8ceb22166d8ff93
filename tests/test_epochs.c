/* Goal: an entry under an epoch that ended is late after the end and refused 60 days
 * after it, at a node that was there to see; a node that was away, or is new, never
 * refuses what others had in time.
 * Method: marks noted over random histories of a log and of a node that is up and
 * down, compared with what an observer who was always there knows; the store's rows;
 * a look-up over a log whose marks were set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/epochs.h"
#include "tests/world.h"

static const int64_t ended_s = 1700000000;

static void
a_mark_is_noted_when_the_copy_is_known_to_be_up_to_date(void **state)
{
    (void)state;
    struct epoch_copy c = {.size = 10, .cosigned_size = 10, .cosigned_s = ended_s + 5};
    /* running since before: at once */
    assert_false(epochs_may_note(&c, ended_s, ended_s - 1, ended_s - 1));
    assert_true(epochs_may_note(&c, ended_s, ended_s - 1, ended_s));
    assert_true(epochs_may_note(&c, ended_s, ended_s, ended_s));
    /* started after it: only under a head that was cosigned since the start */
    assert_true(epochs_may_note(&c, ended_s, ended_s + 5, ended_s + 9));
    assert_false(epochs_may_note(&c, ended_s, ended_s + 6, ended_s + 9));
    c.cosigned_size = 11; /* and that we have whole */
    assert_false(epochs_may_note(&c, ended_s, ended_s + 5, ended_s + 9));
    c = (struct epoch_copy){.size = 10};
    assert_false(epochs_may_note(&c, ended_s, ended_s + 5, INT64_MAX));
}

static void
who_was_there_refuses_what_comes_later_and_who_was_away_refuses_nothing_wrongly(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 3000; round++) {
        bool there = round % 2 == 0; /* else: off at some time, and back later */
        struct epoch_marks marks = {UINT64_MAX, UINT64_MAX};
        int64_t now = ended_s - 86400 * (1 + rand() % 30), up_s = now, cosigned_s = 0,
                copied_s = 0;
        int64_t off_s = there ? INT64_MAX : now + 86400 * (rand() % 120);
        int64_t back_s = there ? INT64_MAX : off_s + 86400 * (rand() % 120);
        uint64_t log = 0, copy = 0, in_time = 0, at_end = 0;
        while (now < ended_s + EPOCH_LATE_S + 200 * 86400) {
            bool off = now >= off_s && now < back_s;
            bool back = !there && now >= back_s && up_s < back_s;
            up_s = back ? now : up_s;
            if (!off && !back) { /* just back, it has not heard of anything yet */
                copy = log;
                copied_s = cosigned_s;
            }
            if (!off) {
                struct epoch_copy c = {copy, copy, copied_s};
                (void)epochs_note(&marks, &c, ended_s, up_s, now, now);
            }
            if (there && marks.closed != UINT64_MAX && marks.closed < log) {
                assert_int_equal(epochs_judge(&marks, log - 1), EPOCH_REFUSED);
            }
            now += 1 + rand() % (3 * 86400);
            if (rand() % 2 == 0) {
                log++;
                cosigned_s = now; /* each new head at once */
            }
            at_end = now < ended_s ? log : at_end;
            in_time = now < ended_s + EPOCH_LATE_S ? log : in_time;
        }
        assert_true(marks.ended == UINT64_MAX || marks.ended >= at_end);
        assert_true(marks.closed == UINT64_MAX || marks.closed >= in_time);
        if (there) {
            assert_true(marks.closed != UINT64_MAX && marks.ended <= marks.closed);
        }
        for (uint64_t leaf = 0; leaf < in_time; leaf++) {
            assert_int_not_equal(epochs_judge(&marks, leaf), EPOCH_REFUSED);
        }
    }
}

/* A clock that is years ahead, or a node that is cut off, refuses nothing: the end of the
 * 60 days is believed when witnesses show it. */
static void
nothing_is_refused_by_our_own_clock_alone(void **state)
{
    (void)state;
    struct epoch_marks marks = {UINT64_MAX, UINT64_MAX};
    struct epoch_copy c = {.size = 10, .cosigned_size = 10, .cosigned_s = ended_s};
    int64_t ten_years_s = INT64_C(3653) * 86400, end_s = ended_s + EPOCH_LATE_S;
    assert_true(epochs_note(&marks, &c, ended_s, ended_s - 9, ended_s + ten_years_s, ended_s));
    assert_int_equal(marks.ended, 10);
    assert_int_equal(epochs_judge(&marks, 10), EPOCH_LATE);
    c.size = 12;
    assert_false(epochs_note(&marks, &c, ended_s, ended_s - 9, end_s, end_s - 1));
    assert_true(epochs_note(&marks, &c, ended_s, ended_s - 9, end_s, end_s));
    assert_int_equal(epochs_judge(&marks, 11), EPOCH_LATE);
    assert_int_equal(epochs_judge(&marks, 12), EPOCH_REFUSED);
}

static void
marks_stay_in_the_store(void **state)
{
    (void)state;
    struct test_dir dir = dir_make();
    struct store *s = open_store(dir.path);
    struct epoch_marks m;
    struct store_txn *t = begin_write(s);
    OK(epochs_get(t, "yx.cn", 1, "yx.cn/h1/pub", &m));
    assert_true(m.ended == UINT64_MAX && m.closed == UINT64_MAX);
    m = (struct epoch_marks){7, UINT64_MAX};
    OK(epochs_put(t, "yx.cn", 1, "yx.cn/h1/pub", &m));
    OK(store_commit(t));
    t = begin_read(s);
    OK(epochs_get(t, "yx.cn", 1, "yx.cn/h1/pub", &m));
    assert_true(m.ended == 7 && m.closed == UINT64_MAX);
    OK(epochs_get(t, "yx.cn", 2, "yx.cn/h1/pub", &m));
    assert_true(m.ended == UINT64_MAX);
    store_abort(t);
    store_close(s);
    dir_remove(&dir);
}

/* A result under the first epoch, at leaf 0, as a look-up shows it under `marks`. */
static void
look(const struct epoch_marks *marks, uint64_t ended, size_t results, bool late,
     size_t findings)
{
    struct world_options o = {.epoch_ended_s = ended};
    struct world *w = calloc(1, sizeof *w);
    struct world_report r;
    struct world_lookup a;
    memset(&a, 0, sizeof a);
    world_open(w, &o);
    world_report(&r, "R1", WORLD_CARD);
    OK(world_publish(w, 0, &r, 0));
    world_sign(w, 0, 6);
    if (marks != NULL) {
        struct store_txn *t = begin_write(w->issuer);
        OK(epochs_put(t, FIXTURE_NETWORK, 1, w->houses[0].origin, marks));
        OK(store_commit(t));
    }
    world_question(w, &a, 3, WORLD_CARD);
    world_ask(w->issuer, &a);
    world_decide(w->issuer, &a);
    assert_int_equal(a.l->result_count, results);
    assert_int_equal(a.l->findings, findings);
    if (results > 0) {
        json_t *j = lookup_result_json(a.l, &a.l->results[0]);
        assert_int_equal(json_is_true(json_object_get(j, "late")), late);
        json_decref(j);
    }
    lookup_free(a.l);
    world_close(w);
    free(w);
}

static void
a_look_up_shows_late_ones_and_refuses_later_ones(void **state)
{
    (void)state;
    uint64_t ended = FIXTURE_NOW - 1000;
    look(NULL, ended, 1, false, 0);
    look(&(struct epoch_marks){1, UINT64_MAX}, ended, 1, false, 0);
    look(&(struct epoch_marks){0, UINT64_MAX}, ended, 1, true, 0);
    look(&(struct epoch_marks){0, 1}, ended, 1, true, 0);
    look(&(struct epoch_marks){0, 0}, ended, 0, false, 1);
    look(&(struct epoch_marks){0, 0}, 0, 1, false, 0);               /* no epoch has ended */
    look(&(struct epoch_marks){0, 0}, FIXTURE_NOW + 1, 1, false, 0); /* not yet */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mark_is_noted_when_the_copy_is_known_to_be_up_to_date),
        cmocka_unit_test(
            who_was_there_refuses_what_comes_later_and_who_was_away_refuses_nothing_wrongly),
        cmocka_unit_test(nothing_is_refused_by_our_own_clock_alone),
        cmocka_unit_test(marks_stay_in_the_store),
        cmocka_unit_test(a_look_up_shows_late_ones_and_refuses_later_ones)};
    assert_true(sodium_init() >= 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
