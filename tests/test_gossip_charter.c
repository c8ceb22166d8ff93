/* Goal: charter documents, signatures that came later, and blobs arrive whole; who lies
 * about them, or lacks what it showed, keeps nobody else away.
 * Method: as gossip_fixture.h says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire.pb-c.h"
#include "store/charter.h"
#include "tests/gossip_fixture.h"

static void
test_a_blob_comes_in_pieces_and_a_wrong_one_is_not_stored(void **state)
{
    (void)state;
    static uint8_t blob[700000];
    struct gossip_event want = {.type = GOSSIP_WANT_BLOB};
    randombytes_buf(blob, sizeof blob);
    sha256(blob, sizeof blob, &want.hash);
    up(5, "h1");
    gossip_update_reset(&u);
    step(want);
    for (int turn = 0; turn < 2; turn++) {
        size_t sent = 0;
        while (sent < sizeof blob) {
            const struct gossip_action *a = action(GOSSIP_SEND, FRAME_BLOB, 0);
            assert_non_null(a);
            Hr__BlobAsk *ask = hr__blob_ask__unpack(NULL, a->message.count, a->message.bytes);
            assert_true(ask->from == sent);
            uint32_t request = a->request;
            hr__blob_ask__free_unpacked(ask, NULL);
            gossip_update_reset(&u);
            size_t n = sizeof blob - sent < 300000 ? sizeof blob - sent : 300000;
            Hr__BlobTell tell;
            hr__blob_tell__init(&tell);
            tell.size = sizeof blob;
            blob[0] ^= turn == 0 && sent == 0;
            frame(5, request, FRAME_BLOB | FRAME_ANSWER, &tell.base,
                  (struct view){blob + sent, n});
            blob[0] ^= turn == 0 && sent == 0;
            sent += n;
        }
        const struct gossip_action *stored = action(GOSSIP_STORE_BLOB, 0, 0);
        assert_int_equal(stored != NULL, turn == 1);
        if (turn == 0) {
            assert_int_equal(g->peers[0].strikes, 1);
            tick(2000);
        } else {
            assert_int_equal(stored->note.count, sizeof blob);
            step((struct gossip_event){.type = GOSSIP_STORED, .ticket = stored->ticket});
            assert_int_equal(g->want_count, 0);
        }
    }
}

static size_t
charter_note(unsigned kind, uint64_t version, unsigned rows, uint8_t *out)
{
    static const char *const kinds[] = {"root", "members", "quality", "policy"};
    int n = snprintf((char *)out, 2048,
                     "huren charter v1\nnetwork n.cn\nkind %s\nversion %llu\nissued_at 5\n"
                     "valid_from 5\nstale_after 9\nrows %u\n"
                     "tree 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"
                     "\xe2\x80\x94 n.cn/charter/a AAAAAAAAAAAA\n",
                     kinds[kind], (unsigned long long)version, rows);
    return (size_t)n;
}

static void
test_charter_documents_are_fetched_root_first_version_by_version(void **state)
{
    (void)state;
    static uint8_t note[2048];
    char root_line[FRONTIER_LINE_CHARS_MAX + 1], members_line[FRONTIER_LINE_CHARS_MAX + 1];
    up(5, "h1");
    const struct gossip_action *a = action(GOSSIP_SEND, FRAME_FRONTIER, 0);
    uint32_t request = a->request;
    struct hash hashes[2];
    struct note parsed;
    size_t n = charter_note(0, 2, 3, note);
    assert_int_equal(note_parse((struct view){note, n}, &parsed), STATUS_OK);
    sha256(parsed.text.bytes, parsed.text.count, &hashes[0]);
    n = charter_note(1, 7, 3, note);
    assert_int_equal(note_parse((struct view){note, n}, &parsed), STATUS_OK);
    sha256(parsed.text.bytes, parsed.text.count, &hashes[1]);
    struct frontier_line lines[2] = {{.what = FRONTIER_CHARTER,
                                      .name = view_of_text("root"),
                                      .number = 2,
                                      .hash = hashes[0]},
                                     {.what = FRONTIER_CHARTER,
                                      .name = view_of_text("members"),
                                      .number = 7,
                                      .hash = hashes[1]}};
    (void)frontier_write(&lines[0], root_line);
    (void)frontier_write(&lines[1], members_line);
    Hr__Frontier tell;
    hr__frontier__init(&tell);
    char *texts[] = {members_line, root_line};
    tell.lines = texts;
    tell.n_lines = 2;
    tell.all = true;
    gossip_update_reset(&u);
    frame(5, request, FRAME_FRONTIER | FRAME_ANSWER, &tell.base, (struct view){0});
    /* root 1, root 2, members 7 */
    static const struct {
        unsigned kind;
        uint64_t version;
    } order[] = {{0, 1}, {0, 2}, {1, 7}};
    for (int d = 0; d < 3; d++) {
        size_t rows = 0;
        while (rows < 3) {
            a = action(GOSSIP_SEND, FRAME_CHARTER, 0);
            assert_non_null(a);
            Hr__CharterAsk *ask =
                hr__charter_ask__unpack(NULL, a->message.count, a->message.bytes);
            assert_true(ask->version == order[d].version);
            assert_int_equal(ask->from_row, rows);
            assert_int_equal(ask->rows_only, rows > 0);
            hr__charter_ask__free_unpacked(ask, NULL);
            request = a->request;
            gossip_update_reset(&u);
            Hr__CharterTell doc;
            hr__charter_tell__init(&doc);
            uint8_t row[] = "row";
            ProtobufCBinaryData two[] = {{3, row}, {3, row}};
            doc.rows = two;
            doc.n_rows = rows == 0 ? 2 : 1;
            doc.from_row = (uint32_t)rows;
            doc.rows_total = 3;
            if (rows == 0) {
                doc.note = (ProtobufCBinaryData){
                    charter_note(order[d].kind, order[d].version, 3, note), note};
            }
            rows += doc.n_rows;
            frame(5, request, FRAME_CHARTER | FRAME_ANSWER, &doc.base, (struct view){0});
        }
        a = action(GOSSIP_ADOPT, 0, 0);
        assert_non_null(a);
        assert_int_equal(a->charter_kind, STORE_CHARTER_ROOT + order[d].kind);
        assert_true(a->version == order[d].version && a->count == 3);
        struct store_txn *t = NULL;
        struct store_charter_key key = {.network = view_of_text(NETWORK),
                                        .kind = (enum store_charter)a->charter_kind,
                                        .version = a->version};
        assert_int_equal(store_begin_write(store, STORE_PUBLISH, 4096, &t), STATUS_OK);
        assert_int_equal(store_charter_put(t, &key, a->note, a->entries, a->count), STATUS_OK);
        assert_int_equal(store_commit(t), STATUS_OK);
        uint64_t ticket = a->ticket;
        gossip_update_reset(&u);
        step((struct gossip_event){.type = GOSSIP_STORED, .ticket = ticket});
    }
    assert_null(action(GOSSIP_SEND, FRAME_CHARTER, 0));
    assert_true(g->documents[0].version == 2 && g->documents[1].version == 7);
}

/* One line of a charter document in a frontier of this peer. */
static void
tell_line(uint32_t session, const struct frontier_line *line)
{
    struct store_txn *t = reading();
    struct gossip_event e = {.type = GOSSIP_TICK, .now_ms = clock_ms, .txn = t};
    struct step s = {.g = g, .e = &e, .u = &u};
    gossip_update_reset(&u);
    charter_line(&s, peer_find(g, session), line);
    charter_pump(&s);
    assert_int_equal(s.st, STATUS_OK);
    store_abort(t);
}

static void
tell_members(uint32_t session, uint64_t version, uint8_t fill)
{
    struct frontier_line line = {
        .what = FRONTIER_CHARTER, .name = view_of_text("members"), .number = version};
    memset(line.hash.bytes, fill, HASH_BYTES);
    tell_line(session, &line);
}

/* The version of members that `session` is asked for now; 0: nothing. */
static uint64_t
asked_members(uint32_t session, uint32_t *request)
{
    const struct gossip_action *a = action(GOSSIP_SEND, FRAME_CHARTER, 0);
    if (a == NULL || a->session != session) {
        return 0;
    }
    Hr__CharterAsk *ask = hr__charter_ask__unpack(NULL, a->message.count, a->message.bytes);
    assert_non_null(ask);
    uint64_t version = ask->version;
    *request = a->request;
    hr__charter_ask__free_unpacked(ask, NULL);
    return version;
}

static void
test_a_liar_about_the_charter_keeps_nobody_else_away(void **state)
{
    (void)state;
    uint32_t request = 0;
    Hr__CharterTell garbage;
    hr__charter_tell__init(&garbage);
    up(5, "h1");
    up(6, "h2");
    /* A version that a root declared void is not what we have: DESIGN 7. */
    struct gossip_document held[4] = {{0}};
    held[1].version = 5;
    gossip_set_documents(g, held);
    tell_members(5, 5, 0);
    assert_int_equal(asked_members(5, &request), 0);
    tell_members(5, UINT64_C(9000000000000000000), 1); /* h1 lies */
    assert_true(asked_members(5, &request) == UINT64_C(9000000000000000000));
    gossip_update_reset(&u);
    frame(5, request, FRAME_CHARTER | FRAME_ANSWER, &garbage.base, (struct view){0});
    assert_int_equal(g->peers[0].strikes, 1);
    tell_members(5, UINT64_C(9000000000000000001), 2); /* and again, with another text */
    assert_int_equal(asked_members(5, &request), 0);
    tell_members(6, 6, 3); /* h2 is asked all the same */
    assert_int_equal(asked_members(6, &request), 6);
    /* It has not enough signatures: that is h2's copy; h1 may have a good one by now. */
    gossip_update_reset(&u);
    frame(6, request, FRAME_CHARTER | FRAME_ANSWER, &garbage.base, (struct view){0});
    tick(61 * 1000);
    tell_members(5, 6, 3);
    assert_int_equal(asked_members(5, &request), 6);
}

/* The keys that signed members 7: bits of the set. */
static void
tell_signers(uint32_t session, uint64_t version, uint8_t set, uint8_t basis)
{
    struct frontier_line line = {
        .what = FRONTIER_CHARTER, .name = view_of_text("members#signed"), .number = version};
    memset(line.hash.bytes + 8, basis, HASH_BYTES - 8);
    line.hash.bytes[0] = set;
    tell_line(session, &line);
}

static void
test_later_signatures_are_fetched_and_who_lacks_them_is_left_alone(void **state)
{
    (void)state;
    static uint8_t note[2048];
    uint32_t request = 0;
    struct gossip_document held[4] = {{0}};
    struct note parsed;
    size_t n = charter_note(1, 7, 0, note);
    assert_int_equal(note_parse((struct view){note, n}, &parsed), STATUS_OK);
    held[1].version = 7;
    sha256(parsed.text.bytes, parsed.text.count, &held[1].hash);
    memset(held[1].signers.bytes + 8, 9, HASH_BYTES - 8);
    held[1].signers.bytes[0] = 3;
    up(5, "h1");
    up(6, "h2");
    gossip_set_documents(g, held);
    tell_signers(5, 7, 3, 9); /* what we have */
    assert_int_equal(asked_members(5, &request), 0);
    tell_signers(5, 7, 2, 9); /* a stripped copy */
    assert_int_equal(asked_members(5, &request), 0);
    tell_signers(5, 7, 7, 8); /* of another text, or under another root */
    assert_int_equal(asked_members(5, &request), 0);
    tell_signers(5, 6, 7, 9); /* of another version */
    assert_int_equal(asked_members(5, &request), 0);
    for (uint32_t session = 5; session <= 6; session++) {
        tell_signers(session, 7, 7, 9);
        assert_int_equal(asked_members(session, &request), 7);
        Hr__CharterTell doc;
        hr__charter_tell__init(&doc);
        doc.note = (ProtobufCBinaryData){n, note};
        gossip_update_reset(&u);
        frame(session, request, FRAME_CHARTER | FRAME_ANSWER, &doc.base, (struct view){0});
        const struct gossip_action *a = action(GOSSIP_ADOPT, 0, 0);
        assert_non_null(a);
        assert_true(a->version == 7 && a->note.count == n);
        uint64_t ticket = a->ticket;
        if (session == 6) { /* h2 has what it showed; h1 had not */
            held[1].signers.bytes[0] = 7;
            gossip_set_documents(g, held);
        }
        gossip_update_reset(&u);
        step((struct gossip_event){
            .type = GOSSIP_STORED, .ticket = ticket, .status = STATUS_EXISTS});
        assert_null(action(GOSSIP_SEND, FRAME_CHARTER, 0));
    }
    tell_signers(5, 7, 8, 9);
    assert_int_equal(asked_members(5, &request), 0); /* for a minute */
    tell_signers(6, 7, 8, 9);
    assert_int_equal(asked_members(6, &request), 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_a_blob_comes_in_pieces_and_a_wrong_one_is_not_stored, begin, end),
        cmocka_unit_test_setup_teardown(
            test_charter_documents_are_fetched_root_first_version_by_version, begin, end),
        cmocka_unit_test_setup_teardown(test_a_liar_about_the_charter_keeps_nobody_else_away,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            test_later_signatures_are_fetched_and_who_lacks_them_is_left_alone, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
