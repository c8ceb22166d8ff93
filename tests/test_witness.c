/* Goal: a head is taken only with its log's signature, cosignatures count only
 * when they verify and their time has come, nobody can fill or poison a note, and
 * a witness never goes back or sideways.
 * Method: notes signed here with keys made from seeds, then altered in one way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/keys.h"
#include "node/gossip_update.h"
#include "node/origin.h"
#include "node/witness.h"

enum { MEMBERS = 4, NOW = 1000000 };
static const char NETWORK[] = "n.cn";
static const char ORIGIN[] = "n.cn/h0/pub";
static struct gossip_member members[MEMBERS];
static struct note_signer log_signer, witness_signers[MEMBERS];
static struct witness_keys all, keys;

static int
set_up(void **state)
{
    (void)state;
    assert_true(sodium_init() >= 0);
    for (int i = 0; i < MEMBERS; i++) {
        uint8_t seed[KEY_BYTES] = {(uint8_t)(i + 1)};
        struct network_keys k;
        struct network_public public;
        char name[KEY_NAME_CHARS_MAX + 1];
        keys_derive(seed, NETWORK, &k);
        keys_public(&k, &public);
        memset(&members[i], 0, sizeof members[i]);
        snprintf(members[i].institution, sizeof members[i].institution, "h%d", i);
        members[i].witness = true;
        members[i].log_key_count = members[i].witness_key_count = 1;
        memcpy(members[i].log_keys[0].public_key, public.log, KEY_BYTES);
        memcpy(members[i].witness_keys[0].public_key, public.witness, KEY_BYTES);
        origin_witness_name(NETWORK, members[i].institution, name);
        assert_int_equal(note_signer_make(view_of_text(name), NOTE_KEY_COSIGNATURE,
                                          k.witness.secret_key, &witness_signers[i]),
                         STATUS_OK);
        if (i == 0) {
            assert_int_equal(note_signer_make(view_of_text(ORIGIN), NOTE_KEY_ED25519,
                                              k.log.secret_key, &log_signer),
                             STATUS_OK);
        }
    }
    return 0;
}

static int
set_keys(void **state)
{
    struct witness_author author;
    (void)state;
    witness_keys_of_all(members, MEMBERS, NETWORK, &all);
    witness_author_keys(&members[0], ORIGIN, &author);
    witness_keys_of_log(&author, "h0", &all, &keys);
    return 0;
}

/* A head of `size`, cosigned by the witnesses of `who` (bits) at `time_s`. */
static struct view
head(uint64_t size, unsigned who, int64_t time_s, uint8_t *out)
{
    static uint8_t other[NOTE_BYTES_MAX];
    struct checkpoint c = {.origin = view_of_text(ORIGIN), .size = size};
    struct note note;
    size_t count = 0;
    memset(c.root.bytes, (int)size, sizeof c.root.bytes);
    assert_int_equal(checkpoint_sign(&log_signer, &c, out, NOTE_BYTES_MAX, &count), STATUS_OK);
    for (int i = 0; i < MEMBERS; i++) {
        if ((who >> i & 1) != 0) {
            uint8_t line[NOTE_LINE_BYTES_MAX];
            size_t n = 0;
            assert_int_equal(note_parse((struct view){out, count}, &note), STATUS_OK);
            assert_int_equal(
                cosignature_line(&witness_signers[i], note.text, time_s, line, sizeof line, &n),
                STATUS_OK);
            assert_int_equal(note_add_line((struct view){out, count}, (struct view){line, n},
                                           other, NOTE_BYTES_MAX, &count),
                             STATUS_OK);
            memcpy(out, other, count);
        }
    }
    return (struct view){out, count};
}

static enum status
open_at(struct view note, int64_t now_s, struct witness_head *h)
{
    return witness_open(note, view_of_text(ORIGIN), &keys, now_s, h);
}

static void
test_the_author_is_no_witness_of_itself(void **state)
{
    (void)state;
    uint8_t bytes[NOTE_BYTES_MAX];
    struct witness_head h;
    assert_int_equal(keys.witness_count, 3);
    struct view note = head(5, 0xf, NOW - 1, bytes);
    assert_int_equal(open_at(note, NOW, &h), STATUS_OK);
    assert_int_equal(h.cosigned, 3);
    assert_int_equal(h.size, 5);
    struct witness_head recalled;
    assert_int_equal(witness_recall(note, view_of_text(ORIGIN), &keys, NOW, &recalled),
                     STATUS_OK);
    assert_int_equal(recalled.cosigned, 3);
    assert_int_equal(recalled.witnesses, h.witnesses);
}

static void
test_a_cosignature_of_the_future_counts_when_its_time_has_come(void **state)
{
    (void)state;
    uint8_t bytes[NOTE_BYTES_MAX];
    struct witness_head h;
    struct view note = head(5, 2, NOW + 100000, bytes);
    assert_int_equal(open_at(note, NOW, &h), STATUS_OK);
    assert_int_equal(h.cosigned, 0);
    assert_int_equal(open_at(note, NOW + 100000, &h), STATUS_OK);
    assert_int_equal(h.cosigned, 1);
}

static void
test_keys_count_only_while_they_are_in_force(void **state)
{
    uint8_t bytes[NOTE_BYTES_MAX];
    struct witness_head h;
    members[0].log_keys[0].to_s = NOW;
    members[1].witness_keys[0].to_s = NOW;
    set_keys(state);
    /* Signed by an ended key: only what was cosigned before its end is believed. */
    assert_int_equal(open_at(head(5, 0, 0, bytes), NOW - 700, &h), STATUS_OK);
    assert_int_equal(open_at(head(5, 0, 0, bytes), NOW + 1, &h), STATUS_UNKNOWN_KEY);
    assert_int_equal(open_at(head(5, 4, NOW - 1, bytes), NOW + 1, &h), STATUS_OK);
    assert_int_equal(h.cosigned, 1);
    assert_int_equal(open_at(head(5, 4, NOW + 1, bytes), NOW + 2, &h), STATUS_UNKNOWN_KEY);
    /* A thief's heads: a revoked witness key can date its line as it likes, but only one
     * that was in force at that time says when a head was seen. */
    members[1].witness_keys[0].to_s = NOW - 3600;
    set_keys(state);
    assert_int_equal(open_at(head(5, 2, NOW - 60, bytes), NOW + 1, &h), STATUS_UNKNOWN_KEY);
    assert_int_equal(open_at(head(5, 2, NOW - 3601, bytes), NOW + 1, &h), STATUS_OK);
    members[1].witness_keys[0].to_s = NOW;
    members[0].log_keys[0].to_s = 0;
    set_keys(state);
    assert_int_equal(open_at(head(5, 2, NOW - 1, bytes), NOW + 5, &h), STATUS_OK);
    assert_int_equal(h.cosigned, 1);
    assert_int_equal(open_at(head(5, 2, NOW, bytes), NOW + 5, &h), STATUS_OK);
    assert_int_equal(h.cosigned, 0);
    members[1].witness_keys[0].to_s = 0;
    set_keys(state);
}

static void
test_every_changed_byte_of_text_or_known_line_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[NOTE_BYTES_MAX];
    struct witness_head h;
    struct view note = head(5, 2, NOW - 1, bytes);
    for (size_t i = 0; i < note.count; i++) {
        bytes[i] ^= 1;
        enum status st = open_at(note, NOW, &h);
        /* A line whose name or id changed is a stranger's: it may be ignored, but
         * then it counts for nothing. */
        assert_true(st != STATUS_OK || h.cosigned == 0);
        bytes[i] ^= 1;
    }
    assert_int_equal(open_at(note, NOW, &h), STATUS_OK);
    assert_int_equal(witness_open(note, view_of_text("n.cn/h1/pub"), &keys, NOW, &h),
                     STATUS_REFUSED);
}

static void
test_merging_takes_new_cosignatures_and_nothing_else(void **state)
{
    (void)state;
    static uint8_t a[NOTE_BYTES_MAX], b[NOTE_BYTES_MAX], out[NOTE_BYTES_MAX],
        junk[NOTE_BYTES_MAX];
    struct witness_head h;
    size_t count, added;
    struct view ours = head(5, 2, NOW - 1, a);
    struct view theirs = head(5, 0xe, NOW - 1, b);
    assert_false(witness_covers(ours, theirs));
    assert_int_equal(witness_add(ours, theirs, &keys, out, &count, &added), STATUS_OK);
    assert_int_equal(added, 2);
    assert_int_equal(open_at((struct view){out, count}, NOW, &h), STATUS_OK);
    assert_int_equal(h.cosigned, 3);
    assert_true(witness_covers((struct view){out, count}, theirs));
    assert_true(witness_covers((struct view){out, count}, ours));
    /* The same again adds nothing; neither does another time by the same witness. */
    assert_int_equal(
        witness_add((struct view){out, count}, theirs, &keys, junk, &count, &added), STATUS_OK);
    assert_int_equal(added, 0);
    theirs = head(5, 2, NOW - 2, b);
    assert_int_equal(witness_add(ours, theirs, &keys, out, &count, &added), STATUS_OK);
    assert_int_equal(added, 0);
    /* Another text; a line that does not verify; a stranger's line. */
    theirs = head(6, 4, NOW - 1, b);
    assert_int_equal(witness_add(ours, theirs, &keys, out, &count, &added), STATUS_MALFORMED);
    theirs = head(5, 4, NOW - 1, b);
    b[theirs.count - 10] = b[theirs.count - 10] == 'A' ? 'B' : 'A';
    assert_int_equal(witness_add(ours, theirs, &keys, out, &count, &added),
                     STATUS_BAD_SIGNATURE);
    /* A good signature in another spelling: stray bits at the end of its base64.  Whoever
     * kept it could show the whole head to nobody. */
    theirs = head(5, 4, NOW - 1, b);
    b[theirs.count - 4]++;
    assert_int_equal(witness_add(ours, theirs, &keys, out, &count, &added),
                     STATUS_BAD_SIGNATURE);
    theirs = head(5, 0, 0, b);
    struct view line = view_of_text("\xe2\x80\x94 stranger AAAAAAAAAAAA\n");
    assert_int_equal(note_add_line(theirs, line, junk, sizeof junk, &count), STATUS_OK);
    theirs = (struct view){junk, count};
    assert_int_equal(witness_add(ours, theirs, &keys, out, &count, &added), STATUS_OK);
    assert_int_equal(added, 0);
    assert_int_equal(count, ours.count);
    assert_int_equal(open_at(theirs, NOW, &h), STATUS_OK);
    assert_int_equal(witness_keep(theirs, h.lines, out, &count), STATUS_OK);
    assert_int_equal(count, theirs.count - line.count);
}

static void
test_a_witness_never_goes_back_or_sideways(void **state)
{
    (void)state;
    struct hash r1 = {{1}}, r2 = {{2}};
    assert_int_equal(witness_may_cosign(0, &r1, &r2, 5, &r2), STATUS_OK);
    assert_int_equal(witness_may_cosign(5, &r1, &r1, 6, &r2), STATUS_OK);
    assert_int_equal(witness_may_cosign(5, &r1, &r2, 6, &r2), STATUS_FORK);
    assert_int_equal(witness_may_cosign(5, &r1, &r1, 5, &r1), STATUS_EXISTS);
    assert_int_equal(witness_may_cosign(5, &r1, &r1, 5, &r2), STATUS_FORK);
    assert_int_equal(witness_may_cosign(5, &r1, &r1, 4, &r1), STATUS_REFUSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_author_is_no_witness_of_itself, set_keys),
        cmocka_unit_test_setup(test_a_cosignature_of_the_future_counts_when_its_time_has_come,
                               set_keys),
        cmocka_unit_test_setup(test_keys_count_only_while_they_are_in_force, set_keys),
        cmocka_unit_test_setup(test_every_changed_byte_of_text_or_known_line_is_refused,
                               set_keys),
        cmocka_unit_test_setup(test_merging_takes_new_cosignatures_and_nothing_else, set_keys),
        cmocka_unit_test(test_a_witness_never_goes_back_or_sideways),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
