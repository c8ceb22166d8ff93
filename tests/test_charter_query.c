/* Goal: a charter answers as of the time it is asked about: keys, sessions,
 * witnesses, epochs, rules; and the same from a few proven rows alone.
 * Method: a charter made in memory, asked on both sides of each limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/checkpoint.h"
#include "crypto/cosignature.h"
#include "tests/charter_fixture.h"

static char reason[CHARTER_REASON_CHARS];
static struct fixture_doc root;

static struct charter *
load(const struct charter_document *const *docs, size_t count)
{
    struct charter *c;
    if (charter_load(&root.doc, docs, count, &c, reason) != STATUS_OK) {
        fail_msg("%s", reason);
    }
    return c;
}

/* A member with an old and a new set of keys: old until FIXTURE_NOW. */
struct rotated {
    struct fixture_member m;
    struct network_keys new_secret;
    Hr__PublicKeys new_keys;
    Hr__PublicKeys *both[2];
};

static void
rotate(struct rotated *r, unsigned number, bool witness)
{
    fixture_member(&r->m, number, witness);
    fixture_member_keys(number + 100, &r->new_secret);
    hr__public_keys__init(&r->new_keys);
    r->new_keys.log = (ProtobufCBinaryData){KEY_BYTES, r->new_secret.log.public_key};
    r->new_keys.witness = (ProtobufCBinaryData){KEY_BYTES, r->new_secret.witness.public_key};
    r->new_keys.statement =
        (ProtobufCBinaryData){KEY_BYTES, r->new_secret.statement.public_key};
    r->new_keys.session = (ProtobufCBinaryData){KEY_BYTES, r->new_secret.session.public_key};
    r->new_keys.box = (ProtobufCBinaryData){KEY_BYTES, r->new_secret.box.public_key};
    r->m.keys.to = (uint64_t)FIXTURE_NOW;
    r->new_keys.from = (uint64_t)FIXTURE_NOW;
    r->both[0] = &r->m.keys;
    r->both[1] = &r->new_keys;
    r->m.row.keys = r->both;
    r->m.row.n_keys = 2;
}

static struct charter *
load_rotated(struct rotated *r, struct fixture_doc *doc)
{
    struct fixture_member others[3];
    ProtobufCMessage *list[4] = {&r->m.row.base};
    const struct charter_document *docs[1];
    rotate(r, 0, true);
    for (unsigned i = 1; i < 4; i++) {
        fixture_member(&others[i - 1], i, i < 3);
        list[i] = &others[i - 1].row.base;
    }
    *doc = fixture_build(fixture_head(CHARTER_MEMBERS, 1), list, 4, 1);
    docs[0] = &doc->doc;
    return load(docs, 1);
}

static void
test_keys_hold_for_their_time(void **state)
{
    struct rotated r;
    struct fixture_doc doc;
    struct charter *c = load_rotated(&r, &doc);
    const Hr__MemberRow *m = charter_member(c, "h0");
    struct note_key keys[4];
    (void)state;
    assert_non_null(m);
    assert_null(charter_member(c, "h9"));
    assert_null(charter_member(c, ""));
    assert_int_equal(charter_member_count(c), 4);
    assert_null(charter_keys_at(m, FIXTURE_NOW - 1001));
    assert_memory_equal(charter_keys_at(m, FIXTURE_NOW - 1)->log.data,
                        r.m.secret.log.public_key, KEY_BYTES);
    assert_memory_equal(charter_keys_at(m, FIXTURE_NOW)->log.data, r.new_secret.log.public_key,
                        KEY_BYTES);
    assert_ptr_equal(charter_keys_newest(m), charter_keys_at(m, FIXTURE_NOW));
    assert_int_equal(charter_log_keys(c, text_view("yx.cn/h0/pub"), keys, 4), 2);
    assert_memory_equal(keys[0].public_key, r.new_secret.log.public_key, KEY_BYTES);
    assert_string_equal(keys[0].name, "yx.cn/h0/pub");
    assert_int_equal(charter_log_keys(c, text_view("yx.cn/h0/pub"), keys, 1), 1);
    assert_int_equal(charter_log_keys(c, text_view("zz.cn/h0/pub"), keys, 4), 0);
    assert_int_equal(charter_log_keys(c, text_view("yx.cn/h9/pub"), keys, 4), 0);
    assert_int_equal(charter_log_keys(c, text_view("yx.cn/h0"), keys, 4), 0);
    assert_int_equal(charter_log_key_to(m, r.m.secret.log.public_key),
                     FIXTURE_NOW + CHARTER_SKEW_S_MAX);
    m->keys[0]->revoked = true; /* then not a second longer */
    assert_int_equal(charter_log_key_to(m, r.m.secret.log.public_key), FIXTURE_NOW);
    m->keys[0]->revoked = false;
    assert_int_equal(charter_log_key_to(m, r.new_secret.log.public_key), 0);
    assert_int_equal(charter_log_key_to(m, r.new_secret.witness.public_key), -1);
    charter_free(c);
    fixture_doc_free(&doc);
}

static void
test_an_old_session_key_opens_for_thirty_days(void **state)
{
    struct rotated r;
    struct fixture_doc doc;
    struct charter *c = load_rotated(&r, &doc);
    const Hr__MemberRow *m = charter_member(c, "h0");
    const uint8_t *old = r.m.secret.session.public_key, *new = r.new_secret.session.public_key;
    (void)state;
    assert_ptr_equal(charter_member_by_session(c, old, FIXTURE_NOW - 1), m);
    assert_ptr_equal(charter_member_by_session(c, old, FIXTURE_NOW + 30 * 86400 - 1), m);
    assert_null(charter_member_by_session(c, old, FIXTURE_NOW + 30 * 86400));
    assert_ptr_equal(charter_member_by_session(c, new, FIXTURE_NOW + 900 * 86400), m);
    assert_ptr_equal(charter_member_by_session(c, new, FIXTURE_NOW - CHARTER_SKEW_S_MAX), m);
    assert_null(charter_member_by_session(c, new, FIXTURE_NOW - CHARTER_SKEW_S_MAX - 1));
    assert_null(charter_member_by_session(c, r.new_secret.box.public_key, FIXTURE_NOW));
    charter_free(c);
    fixture_doc_free(&doc);
}

static void
test_who_left_is_out_on_that_day(void **state)
{
    struct fixture_member m;
    static char day[] = "2027-01-16"; /* FIXTURE_NOW is 16:00 of the day before, UTC+8 */
    ProtobufCMessage *list[1] = {&m.row.base};
    (void)state;
    fixture_member(&m, 0, true);
    m.row.left = day;
    struct fixture_doc doc = fixture_build(fixture_head(CHARTER_MEMBERS, 1), list, 1, 1);
    const struct charter_document *docs[1] = {&doc.doc};
    struct charter *c = load(docs, 1);
    const Hr__MemberRow *row = charter_member(c, "h0");
    struct charter_witness witnesses[WITNESSES_MAX];
    int64_t midnight = FIXTURE_NOW + 8 * 3600;
    assert_true(charter_is_member(row, midnight - 1));
    assert_false(charter_is_member(row, midnight));
    const uint8_t *session = m.secret.session.public_key;
    assert_ptr_equal(charter_member_by_session(c, session, midnight - 1), row);
    assert_null(charter_member_by_session(c, session, midnight));
    assert_int_equal(charter_witnesses(c, NULL, midnight - 1, witnesses), 1);
    assert_int_equal(charter_witnesses(c, NULL, midnight, witnesses), 0);
    charter_free(c);
    fixture_doc_free(&doc);
}

/* Cosign the text with the witness key of `secret` of `institution`. */
static void
add_cosignature(uint8_t *note, size_t *count, struct view text, const char *institution,
                const struct network_keys *secret, int64_t time_s)
{
    struct note_signer signer;
    char name[KEY_NAME_CHARS_MAX + 1];
    uint8_t line[NOTE_LINE_BYTES_MAX], out[8192];
    size_t line_count, out_count;
    origin_witness_name(FIXTURE_NETWORK, institution, name);
    assert_int_equal(note_signer_make(text_view(name), NOTE_KEY_COSIGNATURE,
                                      secret->witness.secret_key, &signer),
                     STATUS_OK);
    assert_int_equal(cosignature_line(&signer, text, time_s, line, sizeof line, &line_count),
                     STATUS_OK);
    assert_int_equal(note_add_line((struct view){note, *count}, (struct view){line, line_count},
                                   out, sizeof out, &out_count),
                     STATUS_OK);
    memcpy(note, out, out_count);
    *count = out_count;
}

static size_t
count_cosigned(const struct charter *c, const uint8_t *bytes, size_t count, const char *of,
               int64_t *newest)
{
    struct note note;
    assert_int_equal(note_parse((struct view){bytes, count}, &note), STATUS_OK);
    return charter_cosigned(c, of, &note, FIXTURE_NOW, NULL, newest);
}

static void
test_cosignatures_count_once_and_in_their_time(void **state)
{
    struct rotated r;
    struct fixture_doc doc;
    struct charter *c = load_rotated(&r, &doc); /* witnesses h0 (rotated), h1, h2 */
    struct network_keys h1, h3;
    struct note_signer log;
    struct checkpoint checkpoint = {.origin = text_view("yx.cn/h3/pub"), .size = 5};
    uint8_t note[8192];
    size_t count;
    int64_t newest;
    struct note parsed;
    struct charter_witness witnesses[WITNESSES_MAX];
    (void)state;
    assert_int_equal(charter_witnesses(c, "h3", FIXTURE_NOW, witnesses), 3);
    assert_int_equal(charter_witnesses(c, "h1", FIXTURE_NOW, witnesses), 2);
    assert_int_equal(charter_witnesses(c, "h3", FIXTURE_NOW - 5000, witnesses), 0);
    fixture_member_keys(1, &h1);
    fixture_member_keys(3, &h3);
    assert_int_equal(
        note_signer_make(text_view("yx.cn/h3/pub"), NOTE_KEY_ED25519, h3.log.secret_key, &log),
        STATUS_OK);
    assert_int_equal(checkpoint_sign(&log, &checkpoint, note, sizeof note, &count), STATUS_OK);
    assert_int_equal(note_parse((struct view){note, count}, &parsed), STATUS_OK);
    uint8_t text[512];
    memcpy(text, parsed.text.bytes, parsed.text.count);
    struct view signed_text = {text, parsed.text.count};
    assert_int_equal(count_cosigned(c, note, count, "h3", &newest), 0);
    assert_int_equal(newest, 0);
    /* h0's old key after its end: does not count; before it: does. */
    add_cosignature(note, &count, signed_text, "h0", &r.m.secret, FIXTURE_NOW);
    assert_int_equal(count_cosigned(c, note, count, "h3", &newest), 0);
    add_cosignature(note, &count, signed_text, "h0", &r.new_secret, FIXTURE_NOW);
    assert_int_equal(count_cosigned(c, note, count, "h3", &newest), 1);
    add_cosignature(note, &count, signed_text, "h1", &h1, FIXTURE_NOW - 10);
    assert_int_equal(count_cosigned(c, note, count, "h3", &newest), 2);
    assert_int_equal(newest, FIXTURE_NOW);
    assert_int_equal(count_cosigned(c, note, count, "h1", &newest), 1); /* never its own */
    add_cosignature(note, &count, signed_text, "h3", &h3, FIXTURE_NOW); /* no witness */
    assert_int_equal(count_cosigned(c, note, count, NULL, &newest), 2);
    charter_free(c);
    fixture_doc_free(&doc);
}

static void
test_a_cosignature_from_the_future_does_not_count(void **state)
{
    struct fixture_doc doc = fixture_members(1, 2, 1, 1);
    const struct charter_document *docs[1] = {&doc.doc};
    struct charter *c = load(docs, 1);
    struct network_keys h0, h1;
    struct note_signer log;
    struct checkpoint checkpoint = {.origin = text_view("yx.cn/h1/pub"), .size = 5};
    (void)state;
    fixture_member_keys(0, &h0);
    fixture_member_keys(1, &h1);
    assert_int_equal(
        note_signer_make(text_view("yx.cn/h1/pub"), NOTE_KEY_ED25519, h1.log.secret_key, &log),
        STATUS_OK);
    for (int late = 0; late < 2; late++) {
        uint8_t note[8192], text[512];
        size_t count;
        struct note parsed;
        assert_int_equal(checkpoint_sign(&log, &checkpoint, note, sizeof note, &count),
                         STATUS_OK);
        assert_int_equal(note_parse((struct view){note, count}, &parsed), STATUS_OK);
        memcpy(text, parsed.text.bytes, parsed.text.count);
        add_cosignature(note, &count, (struct view){text, parsed.text.count}, "h0", &h0,
                        FIXTURE_NOW + CHARTER_SKEW_S_MAX + late);
        assert_int_equal(count_cosigned(c, note, count, "h1", NULL), 1 - late);
    }
    charter_free(c);
    fixture_doc_free(&doc);
}

static void
test_network_keys_open_with_the_right_box_key_only(void **state)
{
    struct fixture_member m;
    Hr__MemberRow epochs_row;
    Hr__NetworkEpoch epochs[2], *epoch_list[2] = {&epochs[0], &epochs[1]};
    Hr__SealedNetworkKey sealed[2], *sealed_list[2] = {&sealed[0], &sealed[1]};
    struct network_key keys[2] = {{.epoch = 1, .key = {1}}, {.epoch = 2, .key = {2}}};
    struct network_key opened[NETWORK_KEY_EPOCHS_MAX];
    uint8_t checks[2][NETWORK_KEY_CHECK_BYTES], boxes[2][NETWORK_KEY_SEALED_BYTES];
    uint8_t ephemeral[KEY_BYTES] = {9};
    size_t count, bad;
    bool late;
    (void)state;
    fixture_member(&m, 0, true);
    hr__member_row__init(&epochs_row);
    for (unsigned i = 0; i < 2; i++) {
        network_key_check(FIXTURE_NETWORK, &keys[i], checks[i]);
        assert_int_equal(
            network_key_seal(&keys[i], m.secret.box.public_key, ephemeral, boxes[i]),
            STATUS_OK);
        hr__network_epoch__init(&epochs[i]);
        epochs[i].epoch = i + 1;
        epochs[i].check = (ProtobufCBinaryData){NETWORK_KEY_CHECK_BYTES, checks[i]};
        epochs[i].from = (uint64_t)FIXTURE_NOW - 100 + 50 * i;
        hr__sealed_network_key__init(&sealed[i]);
        sealed[i].epoch = i + 1;
        sealed[i].sealed = (ProtobufCBinaryData){NETWORK_KEY_SEALED_BYTES, boxes[i]};
    }
    epochs[0].ended = (uint64_t)FIXTURE_NOW - 50;
    epochs_row.epochs = epoch_list;
    epochs_row.n_epochs = 2;
    m.row.network_keys = sealed_list;
    m.row.n_network_keys = 2;
    ProtobufCMessage *list[2] = {&m.row.base, &epochs_row.base};
    struct fixture_doc doc = fixture_build(fixture_head(CHARTER_MEMBERS, 1), list, 2, 1);
    const struct charter_document *docs[1] = {&doc.doc};
    struct charter *c = load(docs, 1);
    assert_int_equal(charter_member_count(c), 1);
    assert_int_equal(charter_network_keys(c, "h0", &m.secret.box, opened, &count, &bad),
                     STATUS_OK);
    assert_int_equal(count, 2);
    assert_memory_equal(opened[1].key, keys[1].key, KEY_BYTES);
    assert_int_equal(charter_network_keys(c, "h0", &m.secret.session, opened, &count, &bad),
                     STATUS_BAD_KEY);
    assert_int_equal(bad, 2);
    assert_int_equal(charter_network_keys(c, "h1", &m.secret.box, opened, &count, NULL),
                     STATUS_NOT_FOUND);
    int64_t end = FIXTURE_NOW - 50;
    assert_true(charter_epoch_open(c, 1, end - 1, &late) && !late);
    assert_true(charter_epoch_open(c, 1, end, &late) && late);
    assert_true(charter_epoch_open(c, 1, end + EPOCH_LATE_S - 1, &late) && late);
    assert_false(charter_epoch_open(c, 1, end + EPOCH_LATE_S, &late));
    assert_true(charter_epoch_open(c, 2, end + EPOCH_LATE_S, &late) && !late);
    assert_false(charter_epoch_open(c, 3, end, &late));
    charter_free(c);
    fixture_doc_free(&doc);
}

static struct fixture_doc
make_policy(void)
{
    static char hubei[] = "hubei-2023", from[] = "2024-01-01", to[] = "2028-12-31",
                full[] = "full", hiv[] = "LAB.HIV", syphilis[] = "LAB.TP";
    static char *sensitive[] = {hiv, syphilis};
    static uint8_t hash[HASH_BYTES];
    Hr__PolicyRow pack, settings_row;
    Hr__NetworkSettings settings;
    hr__policy_row__init(&pack);
    hr__policy_row__init(&settings_row);
    hr__network_settings__init(&settings);
    pack.pack = hubei;
    pack.hash = (ProtobufCBinaryData){HASH_BYTES, hash};
    pack.in_force_from = from;
    pack.in_force_to = to;
    settings.replication = full;
    settings.cosign_s = 3;
    settings.sensitive = sensitive;
    settings.n_sensitive = 2;
    settings_row.settings = &settings;
    ProtobufCMessage *list[2] = {&pack.base, &settings_row.base};
    return fixture_build(fixture_head(CHARTER_POLICY, 1), list, 2, 1);
}

static void
test_policy_and_its_defaults(void **state)
{
    struct fixture_doc doc = make_policy();
    const struct charter_document *docs[1] = {&doc.doc};
    struct charter *c = load(docs, 1), *none = load(NULL, 0);
    struct charter_settings s;
    (void)state;
    assert_int_equal(charter_pack_count(c), 1);
    assert_string_equal(charter_pack_at(c, 0)->pack, "hubei-2023");
    const Hr__PolicyRow *p = charter_pack(c, "hubei-2023");
    assert_ptr_equal(p, charter_pack_at(c, 0));
    assert_null(charter_pack(c, ""));
    assert_false(charter_pack_covers(p, "2023-12-31"));
    assert_true(charter_pack_covers(p, "2024-01-01"));
    assert_true(charter_pack_covers(p, "2028-12-31"));
    assert_false(charter_pack_covers(p, "2029-01-01"));
    charter_settings(c, &s);
    assert_int_equal(s.look_back_days, 365);
    assert_int_equal(s.cosign_s, 3);
    assert_int_equal(s.replication, CHARTER_FULL);
    assert_true(charter_is_sensitive(c, "LAB.TP"));
    assert_false(charter_is_sensitive(c, "LAB.K"));
    charter_settings(none, &s);
    assert_int_equal(s.cosign_s, 10);
    assert_int_equal(s.look_back_epochs, 1);
    assert_int_equal(s.replication, CHARTER_INDEX);
    assert_int_equal(charter_pack_count(none), 0);
    assert_null(charter_pack(none, "hubei-2023"));
    charter_free(c);
    charter_free(none);
    fixture_doc_free(&doc);
}

static void
test_quality_is_found_by_institution_and_item(void **state)
{
    static char codes[3][4] = {"h1", "h10", "h2"}, item[] = "LAB.K";
    Hr__QualityRow rows[6];
    ProtobufCMessage *list[6];
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        hr__quality_row__init(&rows[i]);
        rows[i].institution = codes[i / 2];
        if (i % 2 == 1) {
            rows[i].item = item;
        } else {
            rows[i].inspection_failed_year = 2020 + i;
        }
        list[5 - i] = &rows[i].base;
    }
    struct fixture_doc doc = fixture_build(fixture_head(CHARTER_QUALITY, 1), list, 6, 1);
    const struct charter_document *docs[1] = {&doc.doc};
    struct charter *c = load(docs, 1);
    assert_int_equal(charter_quality(c, "h1", "")->inspection_failed_year, 2020);
    assert_int_equal(charter_quality(c, "h10", "")->inspection_failed_year, 2022);
    assert_int_equal(charter_quality(c, "h2", "")->inspection_failed_year, 2024);
    assert_string_equal(charter_quality(c, "h10", "LAB.K")->item, "LAB.K");
    assert_null(charter_quality(c, "h3", ""));
    assert_null(charter_quality(c, "h1", "LAB.KX"));
    charter_free(c);
    fixture_doc_free(&doc);
}

static void
test_a_few_proven_rows_answer_like_the_whole(void **state)
{
    struct fixture_doc m = fixture_members(3, 9, 2, 1);
    const struct charter_document *whole_docs[1] = {&m.doc};
    struct charter *whole = load(whole_docs, 1), *part;
    static const char *const wanted[] = {"h0", "h4", "h8"};
    struct hash proofs[3][TREE_PROOF_HASHES_MAX];
    struct charter_proven_row rows[3];
    struct charter_document in_part;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint32_t index;
        assert_int_equal(
            charter_row_index(whole, CHARTER_MEMBERS, text_view(wanted[i]), &index), STATUS_OK);
        rows[i].index = index;
        rows[i].row = charter_row(whole, CHARTER_MEMBERS, index);
        rows[i].proof = proofs[i];
        assert_int_equal(charter_document_prove(charter_document(whole, CHARTER_MEMBERS), index,
                                                proofs[i], &rows[i].proof_count),
                         STATUS_OK);
    }
    assert_int_equal(charter_document_make_part(m.doc.note, rows, 3, &in_part, reason),
                     STATUS_OK);
    const struct charter_document *part_docs[1] = {&in_part};
    part = load(part_docs, 1);
    for (size_t i = 0; i < 3; i++) {
        uint32_t index;
        assert_string_equal(charter_member(part, wanted[i])->name,
                            charter_member(whole, wanted[i])->name);
        assert_int_equal(charter_row_index(part, CHARTER_MEMBERS, text_view(wanted[i]), &index),
                         STATUS_OK);
        assert_int_equal(index, rows[i].index);
        assert_int_equal(charter_row(part, CHARTER_MEMBERS, index).count, rows[i].row.count);
    }
    assert_null(charter_member(part, "h1"));
    assert_int_equal(charter_row(part, CHARTER_MEMBERS, 1).count, 0);
    assert_int_equal(charter_check_next(whole, &in_part, FIXTURE_NOW, reason), STATUS_REFUSED);
    charter_document_free(&in_part);
    charter_free(part);
    charter_free(whole);
    fixture_doc_free(&m);
}

static void
test_dates_are_those_of_china(void **state)
{
    char text[CHARTER_TIME_CHARS], day[CHARTER_DATE_CHARS];
    (void)state;
    charter_time_text(0, text);
    assert_string_equal(text, "1970-01-01T08:00:00+08:00");
    charter_time_text(FIXTURE_NOW, text);
    assert_string_equal(text, "2027-01-15T16:00:00+08:00");
    charter_date(16 * 3600 - 1, day);
    assert_string_equal(day, "1970-01-01");
    charter_date(16 * 3600, day);
    assert_string_equal(day, "1970-01-02");
    charter_date(-8 * 3600 - 1, day);
    assert_string_equal(day, "1969-12-31");
}

static int
setup(void **state)
{
    (void)state;
    if (sodium_init() < 0) {
        return 1;
    }
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 1,
                             .other_keys = 1,
                             .root_threshold = 1,
                             .other_threshold = 1};
    root = fixture_make_root(&r, 1);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    fixture_doc_free(&root);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_hold_for_their_time),
        cmocka_unit_test(test_an_old_session_key_opens_for_thirty_days),
        cmocka_unit_test(test_who_left_is_out_on_that_day),
        cmocka_unit_test(test_cosignatures_count_once_and_in_their_time),
        cmocka_unit_test(test_a_cosignature_from_the_future_does_not_count),
        cmocka_unit_test(test_network_keys_open_with_the_right_box_key_only),
        cmocka_unit_test(test_policy_and_its_defaults),
        cmocka_unit_test(test_quality_is_found_by_institution_and_item),
        cmocka_unit_test(test_a_few_proven_rows_answer_like_the_whole),
        cmocka_unit_test(test_dates_are_those_of_china)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
