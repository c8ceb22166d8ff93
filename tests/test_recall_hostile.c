/* Goal: nobody but the issuer, with a proof, can recall anything; reliance and
 * acknowledgement out of nothing change nothing, in no number and no order.
 * Method: as recall_fixture.h says; hostile peers are played by hand. */
#include "tests/recall_fixture.h"

/* h1 gets these bytes from node `from`; what it would write is committed. */
static void
say_to(int to, int from, uint8_t kind, struct view m)
{
    step(&nodes[to], (struct recall_event){.type = RECALL_FRAME,
                                           .session = (uint32_t)from + 1,
                                           .institution = nodes[from].name,
                                           .kind = kind,
                                           .message = m});
    commit(&nodes[to], false);
}

static size_t
notice(const struct node *issuer, uint64_t old, uint64_t by, uint8_t *out)
{
    struct store_txn *t;
    size_t count;
    OK(store_begin_read(issuer->store, &t));
    OK(recall_proof_make(t, issuer->pub, old, by, out, RECALL_MESSAGE_BYTES_MAX, &count));
    store_abort(t);
    return count;
}

static void
test_nobody_but_the_issuer_recalls_and_nothing_without_its_log(void **state)
{
    (void)state;
    open_world(7);
    struct node *h0 = &nodes[0];
    static uint8_t good[RECALL_MESSAGE_BYTES_MAX];
    static uint8_t bad[RECALL_MESSAGE_BYTES_MAX];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    for (uint8_t i = 0; i < 20; i++) {
        publish(h0, i, 0, 0, 1);
    }
    uint64_t b = publish(h0, 1, 1, a, 1);
    size_t count = notice(h0, a, b, good);
    connect_nodes(0, 1, true);
    connect_nodes(2, 1, true);
    uint64_t before = exch_size(&nodes[1]);
    say_to(1, 2, FRAME_RECALL, (struct view){good, count}); /* whole, from somebody else */
    assert_int_equal(exch_size(&nodes[1]), before);
    for (size_t i = 0; i < count; i++) { /* every byte of it another one */
        for (int bit = 0; bit < 8; bit += 3) {
            memcpy(bad, good, count);
            bad[i] = (uint8_t)(bad[i] ^ (1u << bit));
            say_to(1, 0, FRAME_RECALL, (struct view){bad, count});
        }
        say_to(1, 0, FRAME_RECALL, (struct view){good, i}); /* cut */
    }
    assert_int_equal(exch_size(&nodes[1]), before);
    assert_int_equal(rows(&nodes[1], RECALL_HEARD), 0);
    assert_in_range(said, 2, 3); /* one line a peer, not one a frame */
    say_to(1, 0, FRAME_RECALL, (struct view){good, count});
    assert_int_equal(exch_size(&nodes[1]), before + 1);
    for (int i = 0; i < 50; i++) { /* replayed */
        say_to(1, 0, FRAME_RECALL, (struct view){good, count});
    }
    assert_int_equal(exch_size(&nodes[1]), before + 1);
    close_world();
}

static size_t
leaf_message(bool recall, bool answer, const char *origin, uint64_t old, uint64_t by,
             uint8_t *out)
{
    Hr__Rely r;
    Hr__Recall c;
    Hr__WireLeaf l[2];
    size_t count;
    hr__rely__init(&r);
    hr__recall__init(&c);
    for (int i = 0; i < 2; i++) {
        hr__wire_leaf__init(&l[i]);
        l[i].origin = str(origin);
        l[i].index = i == 0 ? old : by;
    }
    r.leaf = c.old = &l[0];
    c.by = &l[1];
    r.kept = c.acknowledged = answer;
    OK(pb_pack(recall ? &c.base : &r.base, out, 1024, &count));
    return count;
}

static void
test_reliance_and_acknowledgement_out_of_nothing_change_nothing(void **state)
{
    (void)state;
    open_world(8);
    struct node *h0 = &nodes[0];
    uint8_t bytes[1024];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    uint64_t w = publish(h0, 1, 2, a, 1);
    connect_nodes(0, 1, true);
    connect_nodes(0, 2, true);
    uint64_t before = exch_size(h0);
    const struct {
        bool recall, answer;
        const char *origin;
        uint64_t old, by;
    } lies[] = {
        {false, false, "n.cn/h0/pub", 2, 0},           /* never published */
        {false, false, "n.cn/h0/pub", UINT64_MAX, 0},  /* nor this */
        {false, false, "n.cn/h0/pub", 1, 0},           /* a withdrawal is no result */
        {false, false, "n.cn/h2/pub", 0, 0},           /* not ours */
        {false, false, "other.cn/h0/pub", 0, 0},       /* another network */
        {false, false, "n.cn/h0/exch/00000000", 0, 0}, /* another log */
        {false, true, "n.cn/h1/pub", 0, 0},            /* kept, and nobody asked */
        {true, true, "n.cn/h0/pub", 0, 1},             /* acknowledged, and nobody told */
        {true, true, "n.cn/h0/pub", 5, 9},
        {true, false, "n.cn/h0/pub", 0, 1}, /* our own, recalled to us */
        {true, false, "n.cn/h1/pub", 0, 1}, /* its own, without a proof */
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        size_t count = leaf_message(lies[i].recall, lies[i].answer, lies[i].origin, lies[i].old,
                                    lies[i].by, bytes);
        say_to(0, 1, FRAME_RELY, (struct view){bytes, count});
        say_to(0, 1, FRAME_RECALL, (struct view){bytes, count});
        say_to(0, 1, lies[i].recall ? FRAME_RECALL : FRAME_RELY, (struct view){bytes, count});
        assert_int_equal(exch_size(h0), before);
    }
    /* h2 relied; h1 cannot acknowledge for it, nor with another entry. */
    give(h0, &nodes[2], a);
    struct store_txn *t;
    struct recall_place p = place(h0);
    struct recall_store s = {.type = RECALL_STORE_SCAN, .leaf = w, .to = w + 1};
    strcpy(s.origin, h0->pub);
    OK(store_begin_write(h0->store, STORE_EXCHANGE, 4096, &t));
    OK(recall_apply(t, &p, &s));
    OK(store_commit(t));
    assert_int_equal(rows(h0, RECALL_TELLING), 1);
    size_t count = leaf_message(true, true, h0->pub, a, w, bytes);
    say_to(0, 1, FRAME_RECALL, (struct view){bytes, count});
    count = leaf_message(true, true, h0->pub, a, w + 1, bytes);
    say_to(0, 2, FRAME_RECALL, (struct view){bytes, count});
    assert_int_equal(rows(h0, RECALL_TELLING), 1);
    close_world();
}

static void
test_a_flood_of_reliance_is_bounded_and_starves_nobody(void **state)
{
    (void)state;
    open_world(9);
    struct node *h0 = &nodes[0];
    uint8_t bytes[1024];
    enum { LEAVES = 400 };
    for (int i = 0; i < LEAVES; i++) {
        publish(h0, (uint8_t)i, 0, 0, 1);
    }
    connect_nodes(0, 1, true);
    connect_nodes(0, 2, true);
    for (uint64_t i = 0; i < LEAVES; i++) { /* before anything is committed */
        size_t count = leaf_message(false, false, h0->pub, i, 0, bytes);
        for (int k = 0; k < 3; k++) {
            step(h0, (struct recall_event){.type = RECALL_FRAME,
                                           .session = 2,
                                           .institution = "h1",
                                           .kind = FRAME_RELY,
                                           .message = {bytes, count}});
        }
    }
    assert_int_equal(h0->pending_count, RECALL_WRITES_MAX);
    size_t count = leaf_message(false, false, h0->pub, 0, 0, bytes);
    step(h0, (struct recall_event){.type = RECALL_FRAME,
                                   .session = 3,
                                   .institution = "h2",
                                   .kind = FRAME_RELY,
                                   .message = {bytes, count}});
    assert_int_equal(h0->pending_count, RECALL_WRITES_MAX + 1);
    commit(h0, false);
    assert_int_equal(rows(h0, RECALL_RELYING), RECALL_WRITES_MAX + 1);
    assert_int_equal(said, 1);
    close_world();
}

static void
test_the_same_write_a_second_time_writes_nothing(void **state)
{
    (void)state;
    open_world(11);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 3);
    uint64_t b = publish(h0, 1, 2, a, 3);
    uint64_t c = publish(h0, 2, 0, 0, 3);
    struct node *at[] = {h0, h0, h0, h0, &nodes[1], &nodes[1], &nodes[1]};
    const struct recall_store all[] = {
        {.type = RECALL_STORE_RELYING, .who = "h1", .leaf = a},
        {.type = RECALL_STORE_RELYING, .who = "h1", .leaf = c},
        {.type = RECALL_STORE_ACKNOWLEDGED, .who = "h1", .leaf = a, .by = b + 1},
        {.type = RECALL_STORE_ACKNOWLEDGED, .who = "h1", .leaf = a, .by = b},
        {.type = RECALL_STORE_HEARD, .who = "h0", .leaf = a, .by = b, .what = 2},
        {.type = RECALL_STORE_HEARD, .who = "h0", .leaf = a, .by = b + 1, .what = 1},
        {.type = RECALL_STORE_KEPT, .who = "h0", .leaf = c},
    };
    static const uint64_t entries[] = {2, 3, 3, 4, 1, 1, 1}; /* in its log, after each */
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (int twice = 0; twice < 2; twice++) {
            struct recall_store s = all[i];
            struct recall_place p = place(at[i]);
            struct store_txn *t;
            strcpy(s.origin, h0->pub);
            OK(store_begin_write(at[i]->store, STORE_EXCHANGE, 4096, &t));
            OK(recall_apply(t, &p, &s));
            OK(store_commit(t));
            assert_int_equal(exch_size(at[i]), entries[i]);
        }
    }
    close_world();
}

static void
test_who_was_given_a_leaf_while_it_was_replaced_is_told(void **state)
{
    (void)state;
    open_world(13);
    struct node *h0 = &nodes[0];
    uint64_t a = publish(h0, 1, 0, 0, 1);
    run(1000, 100, false); /* its log is looked at up to here, */
    uint64_t b = publish(h0, 1, 1, a, 1);
    run(1000, 100, false); /* and here */
    struct store_txn *t;
    struct recall_place p = place(h0);
    OK(store_begin_write(h0->store, STORE_EXCHANGE, 65536, &t));
    OK(recall_note_given(t, &p, h0->pub, a, "h1", 1)); /* it stood at size 1 */
    OK(store_commit(t));
    step(h0, (struct recall_event){.type = RECALL_CHANGED});
    run(2000, 100, false);
    assert_recalled(h0, &nodes[1], a, b);
    close_world();
}

static void
test_a_notice_that_our_own_copy_of_the_log_contradicts_is_not_taken(void **state)
{
    (void)state;
    open_world(12);
    struct node *h0 = &nodes[0];
    static uint8_t bytes[RECALL_MESSAGE_BYTES_MAX];
    uint64_t a = publish(h0, 1, 0, 0, 3);
    uint64_t b = publish(h0, 2, 0, 0, 3);
    uint64_t other = publish(h0, 9, 2, a, 3); /* another patient's token */
    uint64_t first = publish(h0, 2, 1, b, 3);
    uint64_t second = publish(h0, 2, 2, b, 3);
    connect_nodes(0, 1, true);
    say_to(1, 0, FRAME_RECALL, (struct view){bytes, notice(h0, a, other, bytes)});
    say_to(1, 0, FRAME_RECALL, (struct view){bytes, notice(h0, b, second, bytes)});
    assert_int_equal(rows(&nodes[1], RECALL_HEARD), 0);
    say_to(1, 0, FRAME_RECALL, (struct view){bytes, notice(h0, b, first, bytes)});
    assert_int_equal(rows(&nodes[1], RECALL_HEARD), 1);
    close_world();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_but_the_issuer_recalls_and_nothing_without_its_log),
        cmocka_unit_test(test_reliance_and_acknowledgement_out_of_nothing_change_nothing),
        cmocka_unit_test(test_a_flood_of_reliance_is_bounded_and_starves_nobody),
        cmocka_unit_test(test_the_same_write_a_second_time_writes_nothing),
        cmocka_unit_test(test_who_was_given_a_leaf_while_it_was_replaced_is_told),
        cmocka_unit_test(test_a_notice_that_our_own_copy_of_the_log_contradicts_is_not_taken),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
