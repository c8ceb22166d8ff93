/* Goal: one machine keeps its promises to the wire: rounds without a difference
 * are small, silent peers are given up and others asked, budgets hold, ranges are
 * answered within bounds and only to who may read them, hostile frames change nothing.
 * (Charter documents and blobs: test_gossip_charter.c.  Whole networks: tests/sim.)
 * Method: as gossip_fixture.h says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/checkpoint.h"
#include "node/range.h"
#include "proto/wire.pb-c.h"
#include "store/kv.h"
#include "tests/gossip_fixture.h"

/* A log of `count` entries by h`who`, in the store; its head. */
static struct checkpoint
make_log(const char *origin, unsigned count, uint32_t flags, uint32_t *id)
{
    struct store_txn *t = NULL;
    struct checkpoint c = {.origin = view_of_text(origin), .size = count};
    assert_int_equal(store_begin_write(store, STORE_PUBLISH, 1 << 20, &t), STATUS_OK);
    assert_int_equal(store_log_create(t, c.origin, flags, 0, id), STATUS_OK);
    for (unsigned i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "entry %u", i);
        struct view entry = view_of_text(text);
        assert_int_equal(store_log_append(t, *id, &entry, 1, NULL, &c.root), STATUS_OK);
    }
    assert_int_equal(store_commit(t), STATUS_OK);
    return c;
}

static struct view
sign(int who, const struct checkpoint *c, uint8_t *out)
{
    struct note_signer signer;
    size_t n = 0;
    assert_int_equal(
        note_signer_make(c->origin, NOTE_KEY_ED25519, keys[who].log.secret_key, &signer),
        STATUS_OK);
    assert_int_equal(checkpoint_sign(&signer, c, out, 2048, &n), STATUS_OK);
    return (struct view){out, n};
}

/* Answer a range question straight. */
static enum status
ask_range(const char *institution, bool auditor, bool full, const Hr__RangeAsk *ask,
          Hr__RangeTell **tell, struct view *raw)
{
    static struct gossip_update out;
    uint8_t bytes[1024];
    size_t used = 0, n = hr__range_ask__pack(ask, bytes);
    struct range_asker asker = {NETWORK, institution, auditor, full};
    struct store_txn *t = reading();
    gossip_update_reset(&out);
    enum status st =
        range_answer(t, &asker, 1, 5, FRAME_RANGE, (struct view){bytes, n}, &out, &used);
    store_abort(t);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.actions[0].kind, FRAME_RANGE | FRAME_ANSWER);
    assert_true(used <= FRAME_BYTES_MAX);
    *tell = hr__range_tell__unpack(NULL, out.actions[0].message.count,
                                   out.actions[0].message.bytes);
    /* What is beyond a limit is told to the machine, too: it ends the session. */
    assert_int_equal(st, (*tell)->status == STATUS_TOO_BIG ? STATUS_TOO_BIG : STATUS_OK);
    *raw = out.actions[0].raw;
    st = (enum status)(*tell)->status;
    return st;
}

static void
test_a_round_without_a_difference_costs_less_than_a_kibibyte(void **state)
{
    (void)state;
    up(5, "h1");
    const struct gossip_action *a = action(GOSSIP_SEND, FRAME_FRONTIER, 0);
    assert_non_null(a);
    size_t asked = a->message.count + a->raw.count;
    Hr__Frontier *q = hr__frontier__unpack(NULL, a->message.count, a->message.bytes);
    assert_int_equal(q->digest.len, HASH_BYTES);
    /* The peer asks with the same digest. */
    gossip_update_reset(&u);
    frame(5, 77, FRAME_FRONTIER, &q->base, (struct view){0});
    a = action(GOSSIP_SEND, FRAME_FRONTIER | FRAME_ANSWER, 0);
    assert_non_null(a);
    Hr__Frontier *r = hr__frontier__unpack(NULL, a->message.count, a->message.bytes);
    assert_true(r->same && r->n_lines == 0);
    assert_true(asked + a->message.count + 2 * FRAME_HEAD_BYTES < 1024);
    hr__frontier__free_unpacked(q, NULL);
    hr__frontier__free_unpacked(r, NULL);
}

static void
test_a_silent_peer_is_given_up_and_left_alone_for_longer_each_time(void **state)
{
    (void)state;
    up(5, "h1");
    assert_true(g->requests_out > 0);
    gossip_update_reset(&u);
    int64_t began = clock_ms;
    while (action(GOSSIP_CLOSE, 0, 0) == NULL) {
        tick(250);
        assert_true(clock_ms - began < 60000);
        assert_true(g->peers[0].outstanding <= GOSSIP_PEER_REQUESTS_MAX);
    }
    step((struct gossip_event){.type = GOSSIP_PEER_DOWN, .session = 5});
    assert_int_equal(g->requests_out, 0);
    assert_int_equal(gossip_peer_count(g), 0);
    /* Dials back off: each wait is bounded, and they grow. */
    int64_t last = 0, longest = 0;
    int dials = 0;
    for (int i = 0; i < 4000; i++) {
        gossip_update_reset(&u);
        tick(250);
        for (size_t n = 0; action(GOSSIP_DIAL, 0, n) != NULL; n++) {
            if (strcmp(action(GOSSIP_DIAL, 0, n)->institution, "h1") == 0) {
                dials++;
                longest = last != 0 && clock_ms - last > longest ? clock_ms - last : longest;
                last = clock_ms;
                step((struct gossip_event){.type = GOSSIP_DIAL_FAILED, .institution = "h1"});
            }
        }
    }
    assert_true(dials >= 5 && dials < 40);
    assert_true(longest > 60000 && longest <= GOSSIP_BACKOFF_MS_MAX * 3 / 2 + 2000);
}

static void
test_own_logs_wait_for_the_witness_and_a_larger_head_of_ours_is_a_rollback(void **state)
{
    (void)state;
    static uint8_t note[2048];
    uint32_t id;
    struct checkpoint c = make_log("n.cn/h0/pub", 3, STORE_LOG_OWN, &id);
    step((struct gossip_event){.type = GOSSIP_RELOAD});
    assert_false(gossip_may_sign(g, c.origin));
    up(5, "h2"); /* no witness: what it says is not enough */
    const struct gossip_action *a = action(GOSSIP_SEND, FRAME_HEAD, 0);
    assert_non_null(a);
    Hr__HeadTell tell;
    hr__head_tell__init(&tell);
    char origin[] = "n.cn/h0/pub";
    tell.origin = origin;
    frame(5, a->request, FRAME_HEAD | FRAME_ANSWER, &tell.base, (struct view){0});
    assert_false(gossip_may_sign(g, c.origin));
    gossip_update_reset(&u);
    up(6, "h1");
    a = action(GOSSIP_SEND, FRAME_HEAD, 0);
    tell.status = STATUS_BUSY; /* no answer to be relied on */
    frame(6, a->request, FRAME_HEAD | FRAME_ANSWER, &tell.base, (struct view){0});
    assert_false(gossip_may_sign(g, c.origin));
    gossip_update_reset(&u);
    tick(2000);
    for (size_t i = 0; (a = action(GOSSIP_SEND, FRAME_HEAD, i)) != NULL && a->session != 6;
         i++) {
    }
    assert_non_null(a);
    tell.status = 0;
    frame(6, a->request, FRAME_HEAD | FRAME_ANSWER, &tell.base, (struct view){0});
    assert_true(gossip_may_sign(g, c.origin));
    assert_non_null(action(GOSSIP_GATE, 0, 0));
    /* A head that somebody else signed proves nothing. */
    struct checkpoint larger = c;
    larger.size = 4;
    larger.root.bytes[0] ^= 1;
    struct view forged = sign(1, &larger, note);
    tell.note = (ProtobufCBinaryData){forged.count, note};
    frame(5, 0, FRAME_HEAD, &tell.base, (struct view){0});
    assert_true(gossip_may_sign(g, c.origin));
    struct view shown = sign(0, &larger, note);
    tell.note = (ProtobufCBinaryData){shown.count, note};
    frame(5, 0, FRAME_HEAD, &tell.base, (struct view){0});
    assert_false(gossip_may_sign(g, c.origin));
    assert_int_equal(signgate_state(gossip_gate(g), "n.cn/h0/pub"), SIGNGATE_ROLLBACK);
    larger.size = 2; /* at a size that we have, with another root: contradiction */
    shown = sign(0, &larger, note);
    tell.note = (ProtobufCBinaryData){shown.count, note};
    frame(5, 0, FRAME_HEAD, &tell.base, (struct view){0});
    assert_int_equal(signgate_state(gossip_gate(g), "n.cn/h0/pub"), SIGNGATE_LOST);
}

static void
test_a_second_process_under_our_key_stops_signing(void **state)
{
    (void)state;
    uint8_t instance[INSTANCE_BYTES] = {0};
    struct gossip_event e = {
        .type = GOSSIP_PEER_UP, .session = 8, .institution = "h0", .instance = instance};
    step(e); /* our own instance: only ourselves */
    assert_int_equal(signgate_state(gossip_gate(g), "n.cn/h0/pub"), SIGNGATE_WAITING);
    assert_non_null(action(GOSSIP_CLOSE, 0, 0));
    instance[3] = 1;
    step(e);
    assert_int_equal(signgate_state(gossip_gate(g), "n.cn/h0/pub"), SIGNGATE_TWIN);
    assert_int_equal(gossip_peer_count(g), 0);
}

/* What the machine decides is checked again on what is durable. */
static void
test_a_witness_refuses_in_the_store_what_it_may_not_sign(void **state)
{
    (void)state;
    static uint8_t small[2048], large[2048], other[2048];
    uint32_t id;
    struct note_signer witness;
    struct store_txn *t = NULL;
    struct checkpoint c5 = make_log("n.cn/h1/pub", 5, 0, &id), c3 = c5, wrong = c5;
    assert_int_equal(note_signer_make(view_of_text("n.cn/h0/witness"), NOTE_KEY_COSIGNATURE,
                                      keys[0].witness.secret_key, &witness),
                     STATUS_OK);
    c3.size = 3;
    wrong.root.bytes[0] ^= 1;
    assert_int_equal(store_begin_write(store, STORE_PUBLISH, 1 << 16, &t), STATUS_OK);
    assert_int_equal(store_root_at(t, id, 3, &c3.root), STATUS_OK);
    struct view n3 = sign(1, &c3, small), n5 = sign(1, &c5, large),
                bad = sign(1, &wrong, other);
    struct gossip_action a = {.type = GOSSIP_COSIGN, .origin = c5.origin, .ticket = 1};
    a.size = 5;
    assert_int_equal(store_note_put(t, id, STORE_NOTE_OFFERED, bad), STATUS_OK);
    assert_int_equal(gossip_apply(t, &a, &witness, NETWORK, 100), STATUS_REFUSED);
    assert_int_equal(store_note_put(t, id, STORE_NOTE_OFFERED, n5), STATUS_OK);
    assert_int_equal(gossip_apply(t, &a, NULL, NETWORK, 100), STATUS_REFUSED);
    assert_int_equal(gossip_apply(t, &a, &witness, NETWORK, 100), STATUS_OK);
    struct view kept;
    struct note note;
    int64_t time_s = 0;
    assert_int_equal(store_note_get(t, id, STORE_NOTE_WITNESSED, &kept), STATUS_OK);
    assert_int_equal(note_parse(kept, &note), STATUS_OK);
    assert_int_equal(note.signature_count, 2);
    /* A smaller head is offered (a restored store): refused, and nothing changes. */
    a.size = 3;
    assert_int_equal(store_note_put(t, id, STORE_NOTE_OFFERED, n3), STATUS_OK);
    assert_int_equal(gossip_apply(t, &a, &witness, NETWORK, 200), STATUS_REFUSED);
    /* The same head again, with the clock gone back: the time does not fall. */
    a.size = 5;
    assert_int_equal(store_note_put(t, id, STORE_NOTE_OFFERED, n5), STATUS_OK);
    assert_int_equal(gossip_apply(t, &a, &witness, NETWORK, 50), STATUS_OK);
    assert_int_equal(store_note_get(t, id, STORE_NOTE_WITNESSED, &kept), STATUS_OK);
    assert_int_equal(note_parse(kept, &note), STATUS_OK);
    assert_int_equal(cosignature_check(&witness.key, note.text,
                                       (struct view){note.signatures[1].payload,
                                                     note.signatures[1].payload_count},
                                       &time_s),
                     STATUS_OK);
    assert_true(time_s == 100);
    store_abort(t);
}

static void
test_ranges_are_answered_within_bounds_and_only_to_who_may_read(void **state)
{
    (void)state;
    uint32_t pub, exch;
    struct view raw;
    Hr__RangeTell *tell;
    Hr__RangeAsk ask;
    char pub_name[] = "n.cn/h0/pub", exch_name[] = "n.cn/h0/exch/00000001",
         foreign[] = "other.cn/h0/pub";
    (void)make_log(pub_name, 300, STORE_LOG_OWN, &pub);
    (void)make_log(exch_name, 10, STORE_LOG_OWN, &exch);
    hr__range_ask__init(&ask);
    ask.origin = pub_name;
    const struct {
        uint32_t what, level;
        uint64_t from;
        uint32_t count;
        enum status want;
        uint32_t got;
    } rows[] = {
        {2, 0, 0, 256, STATUS_OK, 256},
        {2, 0, 256, 256, STATUS_OK, 44},
        {2, 0, 299, 1, STATUS_OK, 1},
        {2, 0, 300, 1, STATUS_NOT_FOUND, 0},
        {2, 0, UINT64_MAX, 256, STATUS_NOT_FOUND, 0},
        {2, 0, 0, 257, STATUS_TOO_BIG, 0},
        {2, 0, 0, 0, STATUS_TOO_BIG, 0},
        {1, 0, 0, 256, STATUS_OK, 256},
        {1, 0, 1, 44, STATUS_OK, 44},
        {1, 0, 1, 10, STATUS_OK, 10},
        {1, 0, 1, 45, STATUS_NOT_FOUND, 0},
        {1, 1, 0, 1, STATUS_OK, 1},
        {1, 1, 0, 2, STATUS_NOT_FOUND, 0},
        {1, 0, UINT64_MAX, 1, STATUS_TOO_BIG, 0},
        {1, 8, 0, 1, STATUS_TOO_BIG, 0},
        {1, UINT32_MAX, 0, 1, STATUS_TOO_BIG, 0},
        {1, 0, 0, 257, STATUS_TOO_BIG, 0},
        {3, 0, 0, 1, STATUS_REFUSED, 0},
        {4, 0, 0, 1, STATUS_UNSUPPORTED, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask.what = rows[i].what;
        ask.level = rows[i].level;
        ask.from = rows[i].from;
        ask.count = rows[i].count;
        enum status st = ask_range("h1", false, false, &ask, &tell, &raw);
        if (st != rows[i].want || tell->count != rows[i].got) {
            fail_msg("row %zu: %s, %u", i, status_text(st), tell->count);
        }
        hr__range_tell__free_unpacked(tell, NULL);
    }
    ask.what = 2;
    ask.from = 0;
    ask.count = 10;
    ask.origin = exch_name;
    assert_int_equal(ask_range("h1", false, false, &ask, &tell, &raw), STATUS_REFUSED);
    hr__range_tell__free_unpacked(tell, NULL);
    assert_int_equal(ask_range("h1", true, false, &ask, &tell, &raw), STATUS_OK);
    hr__range_tell__free_unpacked(tell, NULL);
    assert_int_equal(ask_range("h0", false, false, &ask, &tell, &raw), STATUS_OK);
    hr__range_tell__free_unpacked(tell, NULL);
    ask.origin = foreign;
    assert_int_equal(ask_range("h1", true, true, &ask, &tell, &raw), STATUS_NOT_FOUND);
    hr__range_tell__free_unpacked(tell, NULL);
    /* A frozen log is served only below its mark. */
    struct store_txn *t = NULL;
    assert_int_equal(store_begin_write(store, STORE_PUBLISH, 4096, &t), STATUS_OK);
    assert_int_equal(store_log_mark(t, pub, STORE_LOG_FROZEN, 100), STATUS_OK);
    assert_int_equal(store_commit(t), STATUS_OK);
    ask.origin = pub_name;
    ask.from = 90;
    ask.count = 256;
    assert_int_equal(ask_range("h1", false, false, &ask, &tell, &raw), STATUS_OK);
    assert_int_equal(tell->count, 10);
    hr__range_tell__free_unpacked(tell, NULL);
    ask.from = 100;
    assert_int_equal(ask_range("h1", false, false, &ask, &tell, &raw), STATUS_NOT_FOUND);
    hr__range_tell__free_unpacked(tell, NULL);
}

static void
test_large_entries_come_in_as_many_as_fit_a_frame(void **state)
{
    (void)state;
    static uint8_t big[ENTRY_BYTES_MAX];
    struct view entries[100], raw;
    uint32_t id;
    struct store_txn *t = NULL;
    Hr__RangeTell *tell;
    Hr__RangeAsk ask;
    char name[] = "n.cn/h1/pub";
    for (int i = 0; i < 100; i++) {
        entries[i] = (struct view){big, sizeof big};
    }
    assert_int_equal(store_begin_write(store, STORE_PUBLISH, 4 << 20, &t), STATUS_OK);
    assert_int_equal(store_log_create(t, view_of_text(name), 0, 0, &id), STATUS_OK);
    assert_int_equal(store_log_append(t, id, entries, 100, NULL, NULL), STATUS_OK);
    assert_int_equal(store_commit(t), STATUS_OK);
    hr__range_ask__init(&ask);
    ask.origin = name;
    ask.what = 2;
    ask.count = 100;
    assert_int_equal(ask_range("h2", false, false, &ask, &tell, &raw), STATUS_OK);
    assert_true(tell->count > 50 && tell->count < 64);
    assert_int_equal(raw.count, tell->count * (2 + sizeof big));
    hr__range_tell__free_unpacked(tell, NULL);
}

static void
test_look_ups_of_one_member_fill_no_more_of_our_log_than_a_days_budget(void **state)
{
    (void)state;
    int64_t taken = 0, now = clock_ms;
    g->entries_day = 86400; /* one a second, half of them at once */
    while (gossip_spend(g, "h1", GOSSIP_BUDGET_ENTRIES, 16, now)) {
        taken += 16;
    }
    assert_true(taken >= 43200 && taken < 43200 + 16);
    assert_int_equal(gossip_entries_refused(g, "h1"), 16);
    assert_int_equal(gossip_entries_refused(g, "h2"), 0);
    assert_true(gossip_spend(g, "h2", GOSSIP_BUDGET_ENTRIES, 1, now)); /* a budget of its own */
    /* It goes on asking all day: what is refused costs nothing, a second gives one. */
    taken = 0;
    for (int64_t t = 1; t <= 24 * 3600; t++) {
        for (int i = 0; i < 3; i++) {
            taken += gossip_spend(g, "h1", GOSSIP_BUDGET_ENTRIES, 1, now + 1000 * t);
        }
    }
    assert_true(taken > 86400 - 32 && taken <= 86400);
    now += 24 * 3600 * 1000;
    assert_true(gossip_entries_refused(g, "h1") > 86400);
    assert_false(gossip_overdrawn(g, "h1"));
    /* After a night without questions it begins anew. */
    now += 13 * 3600 * 1000;
    assert_true(gossip_spend(g, "h1", GOSSIP_BUDGET_ENTRIES, 1, now));
    assert_int_equal(gossip_entries_refused(g, "h1"), 0);
    assert_false(gossip_spend(g, "nobody", GOSSIP_BUDGET_ENTRIES, 1, now));
    assert_int_equal(gossip_entries_refused(g, "nobody"), 0);
}

static void
test_hostile_frames_change_nothing_but_the_sender(void **state)
{
    (void)state;
    static uint8_t bytes[2000];
    up(5, "h1");
    up(6, "h2");
    for (int i = 0; i < 3000; i++) {
        size_t n = randombytes_uniform(sizeof bytes);
        static const uint8_t kinds[] = {2, 3, 4, 5, 9, 6, 0x82, 0x83, 0x84, 0x85, 0x89, 0xff};
        randombytes_buf(bytes, n);
        uint8_t kind = kinds[randombytes_uniform(sizeof kinds)];
        uint32_t request = randombytes_uniform(3) == 0 ? 0
                           : randombytes_uniform(2) == 0
                               ? GOSSIP_REQUEST_ID_FIRST + randombytes_uniform(8)
                               : 7;
        step((struct gossip_event){.type = GOSSIP_FRAME,
                                   .session = 5,
                                   .request = request,
                                   .kind = kind,
                                   .last = randombytes_uniform(2) == 0,
                                   .message = {bytes, n / 2},
                                   .raw = {bytes + n / 2, n - n / 2}});
        for (size_t k = 0; k < u.count; k++) {
            assert_true(u.actions[k].ticket == 0);
        }
        gossip_update_reset(&u);
    }
    assert_int_equal(g->peers[1].strikes, 0);
    assert_true(g->peers[0].strikes >= GOSSIP_STRIKES_MAX);
    assert_int_equal(gossip_log_count(g), 1);
}

/* Both of two members may dial at once, and two sessions stay. */
static void
test_two_sessions_with_one_member_do_not_stand_for_another(void **state)
{
    (void)state;
    bool dialled = false;
    up(5, "h1");
    up(6, "h1");
    for (int i = 0; i < 10 && !dialled; i++) {
        gossip_update_reset(&u);
        tick(1000);
        for (size_t n = 0; action(GOSSIP_DIAL, 0, n) != NULL; n++) {
            dialled = dialled || strcmp(action(GOSSIP_DIAL, 0, n)->institution, "h2") == 0;
        }
    }
    assert_true(dialled);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_round_without_a_difference_costs_less_than_a_kibibyte, begin, end),
        cmocka_unit_test_setup_teardown(
            test_a_silent_peer_is_given_up_and_left_alone_for_longer_each_time, begin, end),
        cmocka_unit_test_setup_teardown(
            test_own_logs_wait_for_the_witness_and_a_larger_head_of_ours_is_a_rollback, begin,
            end),
        cmocka_unit_test_setup_teardown(test_a_second_process_under_our_key_stops_signing,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            test_a_witness_refuses_in_the_store_what_it_may_not_sign, begin, end),
        cmocka_unit_test_setup_teardown(
            test_ranges_are_answered_within_bounds_and_only_to_who_may_read, begin, end),
        cmocka_unit_test_setup_teardown(test_large_entries_come_in_as_many_as_fit_a_frame,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            test_two_sessions_with_one_member_do_not_stand_for_another, begin, end),
        cmocka_unit_test_setup_teardown(
            test_look_ups_of_one_member_fill_no_more_of_our_log_than_a_days_budget, begin, end),
        cmocka_unit_test_setup_teardown(test_hostile_frames_change_nothing_but_the_sender,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
