/* Goal: a correction reaches everybody who relied on the result, once in each log, over
 * any loss and any crash; what a home remembers of it comes back as it was.
 * Method: as recall_fixture.h says.  (Hostile peers: test_recall_hostile.c.) */
#include "tests/recall_fixture.h"

static void
test_a_correction_reaches_who_was_given_it_and_who_decided_on_a_copy(void **state)
{
    (void)state;
    open_world(1);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 7);
    uint64_t other = publish(h0, 2, 0, 0, 7);
    give(h0, &nodes[1], a);
    use(&nodes[2], h0, a);
    use(&nodes[2], h0, other);
    run(5000, 100, false);
    assert_int_equal(logged(&nodes[2], false, 1, "h0", a), 1);
    assert_int_equal(logged(h0, false, 2, "h2", a), 1);
    assert_int_equal(logged(h0, false, 2, "h1", a), 0); /* its Answered entry says so */
    assert_int_equal(rows(&nodes[2], RECALL_RELY_OPEN), 0);
    uint64_t b = publish(h0, 1, 1, a, 1);
    run(5000, 100, false);
    assert_recalled(h0, &nodes[1], a, b);
    assert_recalled(h0, &nodes[2], a, b);
    assert_false(row_is(&nodes[2], recall_row_of(RECALL_HEARD, "", h0->pub, other), NULL));
    assert_int_equal(said, 0);
    close_world();
}

static void
test_who_was_told_of_a_correction_is_told_of_its_withdrawal_too(void **state)
{
    (void)state;
    open_world(2);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    give(h0, &nodes[1], a);
    uint64_t b = publish(h0, 1, 1, a, 1);
    run(5000, 100, false);
    uint64_t c = publish(h0, 1, 2, b, 1);
    run(5000, 100, false);
    assert_recalled(h0, &nodes[1], a, b);
    assert_recalled(h0, &nodes[1], b, c);
    /* And who says later that it relied on the first. */
    use(&nodes[2], h0, a);
    run(5000, 100, false);
    assert_recalled(h0, &nodes[2], a, b);
    assert_recalled(h0, &nodes[2], b, c);
    close_world();
}

static void
test_what_we_decided_on_ourselves_is_recalled_without_a_notice(void **state)
{
    (void)state;
    open_world(3);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    use(h0, h0, a);
    assert_int_equal(rows(h0, RECALL_RELY_OPEN), 0);
    uint64_t b = publish(h0, 1, 2, a, 1);
    run(2000, 100, false);
    struct recall_row row;
    assert_true(row_is(h0, recall_row_of(RECALL_HEARD, "", h0->pub, a), &row));
    assert_int_equal(row.by, b);
    assert_int_equal(row.what, 2);
    assert_int_equal(h0->dials, 0);
    close_world();
}

static void
test_loss_and_crashes_at_any_step_lose_no_recall_and_double_no_entry(void **state)
{
    (void)state;
    for (uint64_t s = 0; s < 60; s++) {
        uint64_t leaves[12];
        uint64_t by[12] = {0};
        open_world(1000 * s);
        struct node *h0 = &nodes[0];
        for (uint8_t i = 0; i < 12; i++) {
            leaves[i] = publish(h0, i, 0, 0, 1);
        }
        loss = 30;
        for (unsigned i = 0; i < 12; i++) {
            /* Half are given by answers, half used from copies; replaced at any time. */
            if (i % 2 == 0) {
                give(h0, &nodes[1], leaves[i]);
                give(h0, &nodes[2], leaves[i]);
            } else {
                use(&nodes[1], h0, leaves[i]);
                use(&nodes[2], h0, leaves[i]);
            }
            run((int64_t)draw(4000), 200, true);
            if (i >= 4) {
                by[i - 4] = publish(h0, (uint8_t)(i - 4), 1 + (int)draw(2), leaves[i - 4], 1);
            }
        }
        for (uint8_t i = 8; i < 12; i++) {
            by[i] = publish(h0, i, 2, leaves[i], 1);
        }
        run(120000, 500, true);
        loss = 0;
        run(2 * RECALL_BACKOFF_MS_MAX, 5000, false);
        for (unsigned i = 0; i < 12; i++) {
            for (int k = 1; k < NODES; k++) {
                assert_recalled(h0, &nodes[k], leaves[i], by[i]);
                assert_true(logged(h0, false, 2, nodes[k].name, leaves[i]) <= 1);
            }
        }
        assert_int_equal(rows(h0, RECALL_TELLING), 0);
        assert_int_equal(rows(&nodes[1], RECALL_RELY_OPEN), 0);
        assert_int_equal(rows(&nodes[2], RECALL_RELY_OPEN), 0);
        close_world();
    }
}

static void
test_an_absent_peer_is_tried_ever_less_often_and_told_at_once_when_it_is_back(void **state)
{
    (void)state;
    open_world(4);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    give(h0, &nodes[1], a);
    dial_connects = false;
    uint64_t b = publish(h0, 1, 1, a, 1);
    run(INT64_C(48) * 3600 * 1000, 1000, false);
    assert_in_range(h0->dials, 48 * 6 - 10, 48 * 6 + 20);
    struct recall_row row;
    assert_true(row_is(h0, recall_row_of(RECALL_TELLING, "h1", h0->pub, a), &row));
    assert_true((uint64_t)now_ms - row.at_ms >=
                UINT64_C(47) * 3600 * 1000); /* since the first */
    assert_int_equal(logged(h0, true, 1, "h1", a), 1);
    connect_nodes(0, 1, true);
    run(1000, 100, false);
    dial_connects = true;
    assert_recalled(h0, &nodes[1], a, b);
    close_world();
}

static void
test_an_issuer_that_forgot_who_relied_is_told_by_who_finds_it_in_its_copy(void **state)
{
    (void)state;
    open_world(5);
    struct node *h0 = &nodes[0];
    for (unsigned i = 0; i < 2 * RECALL_SWEEP_ROWS; i++) { /* more than one step looks at */
        use(&nodes[1], h0, publish(h0, (uint8_t)(100 + i % 100), 0, 0, 7));
    }
    uint64_t a = publish(h0, 1, 0, 0, 7);
    use(&nodes[1], h0, a);
    run(30000, 100, false);
    struct store_txn *t;
    struct recall_row row = recall_row_of(RECALL_RELYING, "h1", h0->pub, a);
    OK(store_begin_write(h0->store, STORE_EXCHANGE, 4096, &t));
    OK(recall_row_drop(t, NETWORK, &row)); /* restored from an old backup */
    OK(store_commit(t));
    uint64_t b = publish(h0, 1, 1, a, 7);
    run(5000, 100, false);
    run(2 * RECALL_SWEEP_MS, 1000, false);
    assert_recalled(h0, &nodes[1], a, b);
    assert_int_equal(rows(&nodes[1], RECALL_RELY_OPEN), 0);
    close_world();
}

static void
test_the_first_replacement_counts_and_a_second_recalls_nothing(void **state)
{
    (void)state;
    open_world(6);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 3);
    uint64_t other = publish(h0, 2, 0, 0, 3);
    give(h0, &nodes[1], a);
    give(h0, &nodes[1], other);
    uint64_t b = publish(h0, 1, 1, a, 3);
    publish(h0, 1, 2, a, 3);
    publish(h0, 9, 2, other, 3); /* under another token: it replaces nothing */
    run(10000, 100, false);
    assert_recalled(h0, &nodes[1], a, b);
    assert_false(row_is(&nodes[1], recall_row_of(RECALL_HEARD, "", h0->pub, other), NULL));
    assert_true(row_is(h0, recall_row_of(RECALL_RELYING, "h1", h0->pub, other), NULL));
    close_world();
}

/* ---- rows ---- */

/* Else a full store would be asked again and again, and nothing else be done. */
static void
test_a_scan_that_finds_no_room_is_not_written_again_at_once(void **state)
{
    (void)state;
    open_world(10);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    give(h0, &nodes[1], a);
    publish(h0, 1, 2, a, 1);
    step(h0, (struct recall_event){.type = RECALL_CHANGED});
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(h0->pending_count, 1);
        assert_int_equal(h0->pending[0].store.type, RECALL_STORE_SCAN);
        h0->pending_count = 0;
        step(h0, (struct recall_event){.type = RECALL_STORED,
                                       .ticket = h0->pending[0].ticket,
                                       .status = STATUS_NO_SPACE});
        assert_int_equal(h0->pending_count, 0);
        assert_true(recall_deadline_ms(h0->machine) > now_ms);
        now_ms += RECALL_BACKOFF_MS;
        assert_true(recall_deadline_ms(h0->machine) <= now_ms);
        step(h0, (struct recall_event){.type = RECALL_TICK});
    }
    commit(h0, false);
    assert_int_equal(rows(h0, RECALL_TELLING), 1);
    close_world();
}

static void
test_rows_come_back_as_they_were_and_loops_stay_in_their_scope(void **state)
{
    (void)state;
    open_world(10);
    struct node *h0 = &nodes[0];
    struct store_txn *t;
    static const char *const who[] = {"h1", "h10", "h"};
    OK(store_begin_write(h0->store, STORE_EXCHANGE, 65536, &t));
    for (int i = 0; i < 3; i++) {
        for (uint64_t leaf = 0; leaf < 3; leaf++) {
            struct recall_row row =
                recall_row_of(RECALL_TELLING, who[i], "n.cn/a/pub", leaf * 256);
            row.by = leaf + 7;
            row.at_ms = UINT64_MAX;
            OK(recall_row_put(t, NETWORK, &row));
            row.kind = RECALL_RELYING;
            OK(recall_row_put(t, NETWORK, &row));
        }
    }
    for (int i = 0; i < 3; i++) {
        struct recall_row row = recall_row_of(RECALL_TELLING, who[i], "", 0);
        bool begun = false;
        int seen = 0;
        while (recall_row_next(t, NETWORK, RECALL_FIRST, &row, &begun) == STATUS_OK) {
            assert_string_equal(row.who, who[i]);
            assert_string_equal(row.origin, "n.cn/a/pub");
            assert_int_equal(row.leaf, seen * 256);
            assert_int_equal(row.by, seen + 7);
            seen++;
        }
        assert_int_equal(seen, 3);
    }
    char name[INSTITUTION_CHARS_MAX + 1] = "";
    static const char *const order[] = {"h", "h1", "h10"};
    for (int i = 0; i < 3; i++) {
        OK(recall_row_next_who(t, NETWORK, RECALL_TELLING, name));
        assert_string_equal(name, order[i]);
    }
    assert_int_equal(recall_row_next_who(t, NETWORK, RECALL_TELLING, name), STATUS_NOT_FOUND);
    struct recall_row row = recall_row_of(RECALL_RELYING, "", "n.cn/a/pub", 256);
    bool begun = false;
    int seen = 0;
    while (recall_row_next(t, NETWORK, RECALL_LEAF, &row, &begun) == STATUS_OK) {
        assert_int_equal(row.leaf, 256);
        OK(recall_row_drop(t, NETWORK, &row)); /* a loop goes on after it */
        seen++;
    }
    assert_int_equal(seen, 3);
    store_abort(t);
    close_world();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_correction_reaches_who_was_given_it_and_who_decided_on_a_copy),
        cmocka_unit_test(test_who_was_told_of_a_correction_is_told_of_its_withdrawal_too),
        cmocka_unit_test(test_what_we_decided_on_ourselves_is_recalled_without_a_notice),
        cmocka_unit_test(test_loss_and_crashes_at_any_step_lose_no_recall_and_double_no_entry),
        cmocka_unit_test(
            test_an_absent_peer_is_tried_ever_less_often_and_told_at_once_when_it_is_back),
        cmocka_unit_test(
            test_an_issuer_that_forgot_who_relied_is_told_by_who_finds_it_in_its_copy),
        cmocka_unit_test(test_the_first_replacement_counts_and_a_second_recalls_nothing),
        cmocka_unit_test(test_a_scan_that_finds_no_room_is_not_written_again_at_once),
        cmocka_unit_test(test_rows_come_back_as_they_were_and_loops_stay_in_their_scope),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
