/* Goal: the documented sources become the documents that they describe, every
 * mistake is named with file and line, and a new version of members changes only
 * the rows that say something new.
 * Method: sources in a folder of their own, join files of made-up hospitals; the
 * examples of `huren charter new` are built as they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "crypto/joinfile.h"
#include "node/charter_examples.h"
#include "node/charter_key.h"
#include "node/charter_source_io.h"
#include "node/file_io.h"
#include "tests/charter_fixture.h"

static char folder[64], error[CHARTER_SOURCE_ERROR_CHARS];

static const char *
in_folder(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void
put_bytes(const char *name, const void *bytes, size_t count)
{
    char why[FILE_ERROR_CHARS];
    if (file_write(in_folder(name), (struct view){bytes, count}, 0644, true, why) !=
        STATUS_OK) {
        fail_msg("%s", why);
    }
}

static void
put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

/* The join file of a hospital whose seed is all `seed`, signed with the keys of
 * the seed `before` too, unless that is 0. */
static void
put_next_join(const char *name, const char *institution, const char *network, int seed,
              int before)
{
    struct joinfile join;
    struct network_keys keys;
    uint8_t secret[KEY_BYTES], text[JOINFILE_BYTES_MAX];
    size_t count;
    memset(&join, 0, sizeof join);
    memset(secret, seed, sizeof secret);
    strcpy(join.institution, institution);
    strcpy(join.network, network);
    strcpy(join.name, "A Hospital");
    strcpy(join.addresses[join.address_count++], "tcp://127.0.0.1:7001");
    keys_derive(secret, network, &keys);
    assert_int_equal(joinfile_encode(&join, &keys, text, sizeof text, &count), STATUS_OK);
    if (before != 0) {
        memset(secret, before, sizeof secret);
        keys_derive(secret, network, &keys);
        assert_int_equal(joinfile_countersign(text, sizeof text, &count, &keys), STATUS_OK);
    }
    put_bytes(name, text, count);
}

static void
put_join(const char *name, const char *institution, const char *network, int seed)
{
    put_next_join(name, institution, network, seed, 0);
}

static enum status
build_as(enum charter_kind kind, const char *source, int64_t now_s, bool new_epoch,
         struct fixture_doc *out)
{
    struct charter_source_options o = {.kind = kind,
                                       .path = in_folder(source),
                                       .now_s = now_s,
                                       .home = folder,
                                       .new_epoch = new_epoch,
                                       .look_back_epochs = 1};
    memset(out, 0, sizeof *out);
    return charter_source_build(&o, &out->file, &out->file_count, error);
}

static struct fixture_doc
build(enum charter_kind kind, const char *source, int64_t now_s, bool new_epoch)
{
    struct fixture_doc d;
    if (build_as(kind, source, now_s, new_epoch, &d) != STATUS_OK) {
        fail_msg("%s", error);
    }
    fixture_decode(&d);
    return d;
}

static void
refuse(enum charter_kind kind, const char *text, const char *must_say)
{
    struct fixture_doc d;
    put("bad.yaml", text);
    assert_int_not_equal(build_as(kind, "bad.yaml", FIXTURE_NOW, false, &d), STATUS_OK);
    assert_null(d.file);
    if (strstr(error, must_say) == NULL) {
        fail_msg("wanted: %s\ngot: %s", must_say, error);
    }
}

static void
put_public_key(const char *file, const char *name, unsigned number)
{
    struct note_signer signer;
    struct charter_public_key key;
    char text[CHARTER_PUBLIC_KEY_BYTES_MAX];
    fixture_signer(FIXTURE_NETWORK, number, &signer);
    strcpy(key.name, name);
    memcpy(key.public_key, signer.key.public_key, KEY_BYTES);
    put_bytes(file, text, charter_public_key_encode(&key, text));
}

static void
test_the_examples_can_be_built_as_they_stand(void **state)
{
    (void)state;
    put_public_key("li.pub", "li", 0);
    put("root.yaml", CHARTER_EXAMPLE_ROOT);
    struct fixture_doc d = build(CHARTER_ROOT, "root.yaml", FIXTURE_NOW, false);
    assert_int_equal(d.doc.row_count, 6);
    assert_int_equal(d.doc.head.stale_after_s, FIXTURE_NOW + 365 * 86400);
    fixture_doc_free(&d);

    mkdir(in_folder("joins"), 0700);
    put_join("joins/h1.join", "h1", "yx-county.hb.cn", 1);
    put("members.yaml", CHARTER_EXAMPLE_MEMBERS);
    d = build(CHARTER_MEMBERS, "members.yaml", FIXTURE_NOW, false);
    assert_int_equal(d.doc.row_count, 3); /* epochs, h1, h9 */
    fixture_doc_free(&d);

    put("quality.csv", "institution,item,organiser,date,passed\n"
                       "H1,LAB.K,national,2026-05-20,yes\nh1,,half_year,2026H1,yes\n"
                       "h1,,inspection,2025,no\nh1,LAB.K,provincial,2026-06-01,no\n");
    put("quality.yaml", CHARTER_EXAMPLE_QUALITY);
    d = build(CHARTER_QUALITY, "quality.yaml", FIXTURE_NOW, false);
    assert_int_equal(d.doc.row_count, 2);
    fixture_doc_free(&d);

    put("policy.yaml", CHARTER_EXAMPLE_POLICY);
    d = build(CHARTER_POLICY, "policy.yaml", FIXTURE_NOW, false);
    assert_int_equal(d.doc.row_count, 2);
    fixture_doc_free(&d);
}

#define HEAD "network: yx.cn\nversion: 1\nvalid_days: 30\n"
#define THRESHOLDS "thresholds: {root: 1, members: 1, quality: 1, policy: 1}\n"

static void
test_mistakes_are_named_with_file_and_line(void **state)
{
    (void)state;
    put_public_key("li.pub", "li", 0);
    put_join("h1.join", "h1", "yx.cn", 1);
    put_join("z.join", "h1", "zz.cn", 1);
    put("cut.join", "huren join v1\ninstitution h1\n");
    put("q.csv", "institution,item,organiser,date,passed\nh1,LAB.K,national,2026-05-20,yes\n"
                 "h1,LAB.K,national,2026-13-01,yes\n");
    put("q2.csv", "institution,item,date,passed\n");
    put("q3.csv",
        "institution,item,organiser,date,passed\nh1,LAB.K,national,2026-05-20,maybe\n");

    refuse(CHARTER_ROOT, "network: yx.cn\nversion: 010\nvalid_days: 30\n" THRESHOLDS,
           "bad.yaml:2: version: '010' is not a decimal");
    refuse(CHARTER_ROOT, "network: yx.cn\nversion: 1\nvalid_days: 0x10\n" THRESHOLDS,
           "bad.yaml:3: valid_days: '0x10'");
    refuse(CHARTER_ROOT, "network: YX.cn\nversion: 1\nvalid_days: 3\n" THRESHOLDS,
           "bad.yaml:1: network: 'YX.cn'");
    refuse(CHARTER_ROOT, HEAD, "Missing required mapping field: thresholds");
    refuse(CHARTER_ROOT, HEAD THRESHOLDS "key: []\n", "bad.yaml:5: Unexpected key: key");
    refuse(CHARTER_ROOT, HEAD THRESHOLDS "keys:\n  - file: no.pub\n    roles: [root]\n",
           "bad.yaml:6: cannot read");
    refuse(CHARTER_ROOT, HEAD THRESHOLDS "keys:\n  - file: q.csv\n    roles: [root]\n",
           "bad.yaml:6: q.csv is not a public key file");
    refuse(CHARTER_ROOT, HEAD THRESHOLDS "keys:\n  - file: li.pub\n    roles: [rot]\n",
           "bad.yaml:7: roles of 'li'");
    refuse(CHARTER_ROOT, HEAD THRESHOLDS "keys:\n  - file: li.pub\n    roles: [root]\n",
           "members needs 1 signatures, but only 0 keys have the role");
    refuse(CHARTER_ROOT, "network: yx.cn\nversion: 2\nvalid_days: 3\n" THRESHOLDS,
           "bad.yaml:2: from version 2 on root names the file of the version before");
    refuse(CHARTER_ROOT, HEAD "issued_at: yesterday\n" THRESHOLDS, "bad.yaml:4: issued_at");

    refuse(CHARTER_MEMBERS, HEAD "members:\n  - join: h1.join\n    level: tertiery\n",
           "bad.yaml:6: row 'h1': level 'tertiery'");
    refuse(CHARTER_MEMBERS, HEAD "members:\n  - join: z.join\n",
           "bad.yaml:5: join file z.join is for the network zz.cn");
    refuse(CHARTER_MEMBERS, HEAD "members:\n  - join: cut.join\n",
           "bad.yaml:5: join file cut.join");
    refuse(CHARTER_MEMBERS, HEAD "members:\n  - join: h1.join\n    institution: h2\n",
           "is of h1, not of h2");
    refuse(CHARTER_MEMBERS, HEAD "members:\n  - join: h1.join\n  - join: h1.join\n",
           "twice or out of order at 'h1'");
    refuse(CHARTER_MEMBERS, HEAD "members:\n  - name: X\n", "a join file, or an institution");

    refuse(CHARTER_QUALITY, HEAD "csv: q.csv\n", "q.csv:3: row 'h1' LAB.K: round '2026-13-01'");
    refuse(CHARTER_QUALITY, HEAD "csv: q2.csv\n",
           "q2.csv:1: the first line names no column organiser");
    refuse(CHARTER_QUALITY, HEAD "csv: q3.csv\n", "q3.csv:2: passed: 'maybe' is not yes or no");

    refuse(CHARTER_POLICY, HEAD "packs:\n  - {id: nowhere-1, hash: embedded}\n",
           "bad.yaml:5: pack 'nowhere-1' is not in this version of huren");
    refuse(CHARTER_POLICY, HEAD "packs:\n  - {id: x-1, hash: 12}\n", "bad.yaml:5: hash of x-1");
    refuse(CHARTER_POLICY, HEAD "settings:\n  cosign_s: 1e3\n", "bad.yaml:5: cosign_s: '1e3'");
    refuse(CHARTER_POLICY, HEAD "settings:\n  replication: all\n",
           "bad.yaml:5: row '': replication");
    refuse(CHARTER_POLICY, "a: &x b\n", "bad.yaml:");
}

#define MEMBER(join) "  - join: " join "\n    roles: [hospital]\n"

/* The row of a member in a document, NULL if there is none. */
static struct view
row_of(const struct fixture_doc *d, const char *institution)
{
    for (size_t i = 0; i < d->doc.row_count; i++) {
        struct pb_arena arena;
        uint8_t memory[PB_ARENA_BYTES];
        char reason[CHARTER_REASON_CHARS];
        ProtobufCMessage *m;
        pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
        assert_int_equal(charter_row_decode(CHARTER_MEMBERS, d->doc.head.network,
                                            d->doc.rows[i], &arena, &m, reason),
                         STATUS_OK);
        bool found = strcmp(((Hr__MemberRow *)m)->institution, institution) == 0;
        pb_free(&arena);
        if (found) {
            return d->doc.rows[i];
        }
    }
    return (struct view){NULL, 0};
}

static bool
same_row(const struct fixture_doc *a, const struct fixture_doc *b, const char *institution)
{
    struct view x = row_of(a, institution), y = row_of(b, institution);
    return x.count == y.count && x.count > 0 && memcmp(x.bytes, y.bytes, x.count) == 0;
}

/* A charter with these members under a root with key k0. */
static struct charter *
charter_of(struct fixture_doc *members)
{
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 1,
                             .other_keys = 1,
                             .root_threshold = 1,
                             .other_threshold = 1};
    struct fixture_doc root = fixture_make_root(&r, 1);
    struct charter *c;
    char reason[CHARTER_REASON_CHARS];
    fixture_sign(members, 1);
    const struct charter_document *list[1] = {&members->doc};
    assert_int_equal(charter_load(&root.doc, list, 1, &c, reason), STATUS_OK);
    fixture_doc_free(&root);
    assert_non_null(charter_document(c, CHARTER_MEMBERS));
    return c;
}

/* How many epochs open with the box key of the hospital of this seed. */
static size_t
opened_by(const struct charter *c, const char *institution, int seed)
{
    struct network_keys keys;
    struct network_key out[NETWORK_KEY_EPOCHS_MAX];
    uint8_t secret[KEY_BYTES];
    size_t count, bad;
    memset(secret, seed, sizeof secret);
    keys_derive(secret, "yx.cn", &keys);
    (void)!charter_network_keys(c, institution, &keys.box, out, &count, &bad);
    return count;
}

static void
test_versions_of_members_carry_keys_on(void **state)
{
    (void)state;
    unlink(in_folder("network-keys-yx.cn"));
    put_join("h1.join", "h1", "yx.cn", 1);
    put_join("h2.join", "h2", "yx.cn", 2);
    put_join("h3.join", "h3", "yx.cn", 3);
    put("m1.yaml", HEAD "members:\n" MEMBER("h1.join") MEMBER("h2.join") MEMBER("h3.join"));
    struct fixture_doc v1 = build(CHARTER_MEMBERS, "m1.yaml", FIXTURE_NOW, false);
    struct fixture_doc same = build(CHARTER_MEMBERS, "m1.yaml", FIXTURE_NOW + 5, false);
    put_bytes("m1.charter", v1.file, v1.file_count);
    struct stat sb;
    assert_int_equal(stat(in_folder("network-keys-yx.cn"), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    assert_true(same_row(&v1, &same, "")); /* the key file is used again, not made anew */

    /* h1 says something new, h2 has new keys, h3 leaves, h4 joins. */
    put_next_join("h2.join", "h2", "yx.cn", 22, 2);
    put_join("h4.join", "h4", "yx.cn", 4);
    put("m2.yaml", "network: yx.cn\nversion: 2\nvalid_days: 30\nprevious: m1.charter\n"
                   "members:\n" MEMBER("h1.join") MEMBER("h2.join")
                       MEMBER("h3.join") "    left: 2027-01-15\n" MEMBER("h4.join"));
    struct fixture_doc v2 = build(CHARTER_MEMBERS, "m2.yaml", FIXTURE_NOW + 10, false);
    struct fixture_doc again = build(CHARTER_MEMBERS, "m2.yaml", FIXTURE_NOW + 20, false);
    struct charter *c = charter_of(&v2);
    const Hr__NetworkEpoch *const *epochs;
    assert_int_equal(charter_epochs(c, &epochs), 2); /* because h3 left */
    assert_int_equal(epochs[0]->ended, FIXTURE_NOW + 10);
    assert_int_equal(epochs[1]->ended, 0);
    assert_int_equal(opened_by(c, "h1", 1), 2);
    assert_int_equal(opened_by(c, "h2", 22), 2); /* sealed anew to its new box key */
    assert_int_equal(opened_by(c, "h2", 2), 0);
    assert_int_equal(opened_by(c, "h3", 3), 1); /* what it had, not the new epoch */
    assert_int_equal(opened_by(c, "h4", 4), 2); /* look_back_epochs 1 */
    const Hr__MemberRow *h2 = charter_member(c, "h2"), *h3 = charter_member(c, "h3");
    assert_int_equal(h2->n_keys, 2);
    assert_int_equal(h2->keys[0]->to, FIXTURE_NOW + 10);
    assert_int_equal(h2->keys[1]->from, FIXTURE_NOW + 10);
    assert_int_equal(h3->keys[0]->to, 1799942400); /* the beginning of that day, UTC+8 */
    assert_string_equal(h3->left, "2027-01-15");
    charter_free(c);
    /* Built a second time no further epoch begins. */
    c = charter_of(&again);
    assert_int_equal(charter_epochs(c, &epochs), 2);
    charter_free(c);

    /* Nothing new: every row keeps its bytes. */
    put_bytes("m2.charter", v2.file, v2.file_count);
    put("m3.yaml", "network: yx.cn\nversion: 3\nvalid_days: 30\nprevious: m2.charter\n"
                   "members:\n" MEMBER("h1.join") MEMBER("h2.join")
                       MEMBER("h3.join") "    left: 2027-01-15\n" MEMBER("h4.join"));
    struct fixture_doc v3 = build(CHARTER_MEMBERS, "m3.yaml", FIXTURE_NOW + 30, false);
    assert_true(hash_equal(&v3.doc.head.tree, &v2.doc.head.tree));
    assert_false(same_row(&v3, &v1, "h1"));

    /* Lost key file: said, and --new-epoch goes on. */
    unlink(in_folder("network-keys-yx.cn"));
    struct fixture_doc lost;
    assert_int_equal(build_as(CHARTER_MEMBERS, "m3.yaml", FIXTURE_NOW + 40, false, &lost),
                     STATUS_NOT_FOUND);
    assert_non_null(strstr(error, "--new-epoch"));
    lost = build(CHARTER_MEMBERS, "m3.yaml", FIXTURE_NOW + 40, true);
    c = charter_of(&lost);
    assert_int_equal(charter_epochs(c, &epochs), 3);
    assert_int_equal(epochs[1]->ended, FIXTURE_NOW + 40);
    assert_int_equal(opened_by(c, "h4", 4), 1);
    charter_free(c);
    fixture_doc_free(&lost);

    /* Nobody vanishes. */
    put("m4.yaml", "network: yx.cn\nversion: 4\nvalid_days: 30\nprevious: m2.charter\n"
                   "members:\n" MEMBER("h1.join"));
    assert_int_equal(build_as(CHARTER_MEMBERS, "m4.yaml", FIXTURE_NOW, false, &lost),
                     STATUS_MALFORMED);
    assert_non_null(strstr(error, "h2 was a member in version 2"));
    fixture_doc_free(&v1);
    fixture_doc_free(&same);
    fixture_doc_free(&v2);
    fixture_doc_free(&again);
    fixture_doc_free(&v3);
}

static void
test_a_member_with_new_keys_keeps_all_its_epochs(void **state)
{
    static const char *const sources[] = {"e1.yaml", "e2.yaml", "e3.yaml"};
    struct fixture_doc d;
    (void)state;
    unlink(in_folder("network-keys-yx.cn"));
    put_join("h1.join", "h1", "yx.cn", 1);
    put_join("h2.join", "h2", "yx.cn", 2);
    for (unsigned v = 1; v <= 3; v++) {
        char text[512], name[32];
        static const char *const previous[] = {"", "previous: e1.charter\n",
                                               "previous: e2.charter\n"};
        snprintf(text, sizeof text,
                 "network: yx.cn\nversion: %u\nvalid_days: 30\n%smembers:\n%s%s", v,
                 previous[v - 1], MEMBER("h1.join"), v == 3 ? MEMBER("h2.join") : "");
        put(sources[v - 1], text);
        if (v == 3) {
            put_next_join("h1.join", "h1", "yx.cn", 11, 1);
        }
        d = build(CHARTER_MEMBERS, sources[v - 1], FIXTURE_NOW + v, v > 1);
        snprintf(name, sizeof name, "e%u.charter", v);
        put_bytes(name, d.file, d.file_count);
        if (v < 3) {
            fixture_doc_free(&d);
        }
    }
    struct charter *c = charter_of(&d);
    assert_int_equal(opened_by(c, "h1", 11), 3);
    assert_int_equal(opened_by(c, "h2", 2), 2); /* new: the current and one before */
    charter_free(c);
    fixture_doc_free(&d);
}

/* Version `v` of the members of one hospital, whose row says `more`. */
static enum status
build_version(unsigned v, const char *more, int64_t now_s, struct fixture_doc *out)
{
    char text[700], previous[48] = "", name[32];
    if (v > 1) {
        snprintf(previous, sizeof previous, "previous: k%u.charter\n", v - 1);
    }
    snprintf(text, sizeof text, "network: yx.cn\nversion: %u\nvalid_days: 30\n%smembers:\n%s%s",
             v, previous, MEMBER("h1.join"), more);
    put("k.yaml", text);
    enum status st = build_as(CHARTER_MEMBERS, "k.yaml", now_s, false, out);
    if (st == STATUS_OK) {
        fixture_decode(out);
        snprintf(name, sizeof name, "k%u.charter", v);
        put_bytes(name, out->file, out->file_count);
    }
    return st;
}

static void
keys_of(int seed, struct network_keys *out)
{
    uint8_t secret[KEY_BYTES];
    memset(secret, seed, sizeof secret);
    keys_derive(secret, "yx.cn", out);
}

static void
test_new_keys_need_the_old_ones_or_a_word_of_the_authority(void **state)
{
    struct fixture_doc d[8];
    (void)state;
    unlink(in_folder("network-keys-yx.cn"));
    put_join("h1.join", "h1", "yx.cn", 1);
    assert_int_equal(build_version(1, "", FIXTURE_NOW, &d[0]), STATUS_OK);
    /* not signed with the old ones, or with those of somebody else */
    put_join("h1.join", "h1", "yx.cn", 2);
    assert_int_equal(build_version(2, "", FIXTURE_NOW + 10, &d[1]), STATUS_REFUSED);
    assert_non_null(strstr(error, "keys_lost: yes"));
    put_next_join("h1.join", "h1", "yx.cn", 2, 3);
    assert_int_equal(build_version(2, "", FIXTURE_NOW + 10, &d[1]), STATUS_REFUSED);
    /* one of the five given up before comes back */
    put_next_join("h1.join", "h1", "yx.cn", 2, 1);
    assert_int_equal(build_version(2, "", FIXTURE_NOW + 10, &d[1]), STATUS_OK);
    put_next_join("h1.join", "h1", "yx.cn", 1, 2);
    assert_int_equal(build_version(3, "", FIXTURE_NOW + 20, &d[2]), STATUS_REFUSED);
    assert_non_null(strstr(error, "given up before"));
    /* lost, the authority says */
    put_join("h1.join", "h1", "yx.cn", 4);
    assert_int_equal(build_version(3, "    keys_lost: yes\n", FIXTURE_NOW + 20, &d[2]),
                     STATUS_OK);
    /* revoked since a moment before; never one to come */
    put_join("h1.join", "h1", "yx.cn", 5);
    assert_int_equal(build_version(4, "    revoked: 2099-01-01\n", FIXTURE_NOW + 300, &d[3]),
                     STATUS_MALFORMED);
    assert_int_equal(build_version(4, "    revoked: yesterday\n", FIXTURE_NOW + 300, &d[3]),
                     STATUS_MALFORMED);
    char since[64], at[CHARTER_TIME_CHARS];
    charter_time_text(FIXTURE_NOW + 100, at);
    snprintf(since, sizeof since, "    revoked: %s\n", at);
    assert_int_equal(build_version(4, since, FIXTURE_NOW + 300, &d[3]), STATUS_OK);
    struct charter *c = charter_of(&d[3]);
    const Hr__MemberRow *m = charter_member(c, "h1");
    struct network_keys k;
    assert_int_equal(m->n_keys, 4);
    assert_int_equal(m->keys[0]->to, FIXTURE_NOW + 10);
    assert_int_equal(m->keys[1]->to, FIXTURE_NOW + 20);
    assert_int_equal(m->keys[2]->to, FIXTURE_NOW + 100);
    assert_true(m->keys[2]->revoked);
    assert_false(m->keys[0]->revoked || m->keys[1]->revoked || m->keys[3]->revoked);
    assert_int_equal(m->keys[3]->from, FIXTURE_NOW + 300);
    keys_of(4, &k); /* no thirty days for a key that others may have */
    assert_ptr_equal(charter_member_by_session(c, k.session.public_key, FIXTURE_NOW + 99), m);
    assert_null(charter_member_by_session(c, k.session.public_key, FIXTURE_NOW + 100));
    keys_of(2, &k);
    assert_ptr_equal(charter_member_by_session(c, k.session.public_key, FIXTURE_NOW + 100), m);
    assert_int_equal(opened_by(c, "h1", 5), 1);
    charter_free(c);
    /* the source goes on saying so: nothing changes; without new keys, out at once */
    assert_int_equal(build_version(5, since, FIXTURE_NOW + 400, &d[4]), STATUS_OK);
    c = charter_of(&d[4]);
    m = charter_member(c, "h1");
    assert_int_equal(m->n_keys, 4);
    assert_int_equal(m->keys[3]->to, FIXTURE_NOW + 300); /* its beginning: it never held */
    assert_true(m->keys[3]->revoked);
    assert_null(charter_keys_at(m, FIXTURE_NOW + 400));
    assert_int_equal(m->n_network_keys, 1); /* what it had */
    charter_free(c);
    for (size_t i = 0; i < 5; i++) {
        fixture_doc_free(&d[i]);
    }
}

static void
test_a_wrong_network_key_is_noticed_by_its_check(void **state)
{
    struct fixture_doc d[2];
    uint8_t *bytes;
    size_t count;
    char why[FILE_ERROR_CHARS];
    (void)state;
    unlink(in_folder("network-keys-yx.cn"));
    put_join("h1.join", "h1", "yx.cn", 1);
    assert_int_equal(build_version(1, "", FIXTURE_NOW, &d[0]), STATUS_OK);
    assert_int_equal(file_read(in_folder("network-keys-yx.cn"), 4096, &bytes, &count, why),
                     STATUS_OK);
    char *key = strstr((char *)bytes, "epoch 1 ") + 8;
    key[3] = key[3] == 'A' ? 'B' : 'A';
    put_bytes("network-keys-yx.cn", bytes, count);
    free(bytes);
    assert_int_equal(build_version(2, "", FIXTURE_NOW + 10, &d[1]), STATUS_BAD_KEY);
    assert_non_null(strstr(error, "bring back the right file"));
    unlink(in_folder("network-keys-yx.cn"));
    fixture_doc_free(&d[0]);
}

static void
test_a_member_that_comes_back_has_its_keys_again(void **state)
{
    struct fixture_doc d[3];
    (void)state;
    unlink(in_folder("network-keys-yx.cn"));
    put_join("h1.join", "h1", "yx.cn", 1);
    assert_int_equal(build_version(1, "", FIXTURE_NOW, &d[0]), STATUS_OK);
    assert_int_equal(build_version(2, "    left: 2027-01-15\n", FIXTURE_NOW + 10, &d[1]),
                     STATUS_OK);
    assert_int_equal(build_version(3, "", FIXTURE_NOW + 90 * 86400, &d[2]), STATUS_OK);
    struct charter *c = charter_of(&d[2]);
    const Hr__MemberRow *m = charter_member(c, "h1");
    struct network_keys k;
    keys_of(1, &k);
    assert_int_equal(m->n_keys, 2);
    assert_null(charter_keys_at(m, FIXTURE_NOW + 60 * 86400)); /* while it was away */
    assert_memory_equal(charter_keys_at(m, FIXTURE_NOW + 90 * 86400)->log.data,
                        k.log.public_key, KEY_BYTES);
    assert_int_equal(charter_log_key_to(m, k.log.public_key), 0);
    charter_free(c);
    for (size_t i = 0; i < 3; i++) {
        fixture_doc_free(&d[i]);
    }
}

static void
test_a_root_names_the_version_just_before(void **state)
{
    struct fixture_doc d;
    (void)state;
    put_public_key("li.pub", "li", 0);
    put("r1.yaml", HEAD THRESHOLDS "keys:\n  - file: li.pub\n"
                                   "    roles: [policy, root, members, quality]\n");
    d = build(CHARTER_ROOT, "r1.yaml", FIXTURE_NOW, false);
    put_bytes("r1.charter", d.file, d.file_count);
    refuse(CHARTER_ROOT,
           "network: yx.cn\nversion: 3\nvalid_days: 30\nprevious: r1.charter\n" THRESHOLDS
           "keys:\n  - file: li.pub\n    roles: [root, members, quality, policy]\n",
           "bad.yaml:4: r1.charter is root 1 of yx.cn, not the version before this one");
    put("r2.yaml",
        "network: yx.cn\nversion: 2\nvalid_days: 30\nprevious: r1.charter\n" THRESHOLDS
        "keys:\n  - file: li.pub\n    roles: [root, members, quality, policy]\n"
        "void:\n  - kind: members\n    hash: "
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
    struct fixture_doc second = build(CHARTER_ROOT, "r2.yaml", FIXTURE_NOW, false);
    assert_int_equal(second.doc.row_count, 7); /* key, thresholds, previous, void/members */
    fixture_doc_free(&second);
    fixture_doc_free(&d);
}

static void
test_a_table_of_members_says_the_same_as_yaml(void **state)
{
    (void)state;
    unlink(in_folder("network-keys-yx.cn"));
    put_join("h1.join", "h1", "yx.cn", 1);
    put_join("h2.join", "h2", "yx.cn", 2);
    put("t.csv", "join,name,level,assessed,alliances,roles,listings,network_key\n"
                 "h1.join,First,tertiary,yes,a:city_group;b:other,witness;hospital,"
                 "p-1:listed:2024-01-01;p-1:suspended:2025-01-01:2025-02-01:late,no\n"
                 "h2.join,,,no,none,hospital,none,no\n");
    put("t.yaml", HEAD "csv: t.csv\n");
    put("y.yaml",
        HEAD "members:\n  - join: h1.join\n    name: First\n    level: tertiary\n"
             "    assessed: yes\n    alliances: [{id: a, kind: city_group}, {id: b, "
             "kind: other}]\n    roles: [hospital, witness]\n    listings:\n"
             "      - {pack: p-1, status: listed, from: 2024-01-01}\n"
             "      - {pack: p-1, status: suspended, from: 2025-01-01, to: 2025-02-01, "
             "reason: late}\n    network_key: no\n"
             "  - join: h2.join\n    assessed: no\n    roles: [hospital]\n"
             "    alliances_known: yes\n    listings_known: yes\n    network_key: no\n");
    struct fixture_doc table = build(CHARTER_MEMBERS, "t.yaml", FIXTURE_NOW, false);
    struct fixture_doc yaml = build(CHARTER_MEMBERS, "y.yaml", FIXTURE_NOW, false);
    assert_true(same_row(&table, &yaml, "h1"));
    assert_true(same_row(&table, &yaml, "h2"));
    struct charter *c = charter_of(&table);
    const Hr__MemberRow *h1 = charter_member(c, "h1"), *h2 = charter_member(c, "h2");
    const Hr__Listing *listings[4];
    assert_int_equal(charter_listings(h1, "p-1", listings, 4), 2);
    assert_string_equal(listings[1]->reason, "late");
    assert_int_equal(charter_listings(h1, "p-2", listings, 4), 0);
    assert_true(h2->alliances_known && h2->n_alliances == 0);
    assert_true(h2->listings_known && h2->n_listings == 0);
    assert_int_equal(h2->assessed, 2);
    assert_string_equal(h2->name, "A Hospital"); /* from the join file */
    assert_string_equal(h2->addresses[0], "tcp://127.0.0.1:7001");
    charter_free(c);
    fixture_doc_free(&table);
    fixture_doc_free(&yaml);
}

static void
test_small_key_texts_have_one_form(void **state)
{
    struct charter_public_key key, read;
    struct charter_epoch_keys epochs, epochs_read;
    char text[CHARTER_PUBLIC_KEY_BYTES_MAX], long_text[CHARTER_NETWORK_KEYS_BYTES_MAX];
    struct note_signer signer;
    (void)state;
    fixture_signer(FIXTURE_NETWORK, 1, &signer);
    strcpy(key.name, "li");
    memcpy(key.public_key, signer.key.public_key, KEY_BYTES);
    size_t count = charter_public_key_encode(&key, text);
    assert_int_equal(charter_public_key_decode((struct view){(uint8_t *)text, count}, &read),
                     STATUS_OK);
    assert_string_equal(read.name, "li");
    assert_memory_equal(read.public_key, key.public_key, KEY_BYTES);
    for (size_t cut = 0; cut < count; cut++) {
        assert_int_not_equal(
            charter_public_key_decode((struct view){(uint8_t *)text, cut}, &read), STATUS_OK);
    }
    memset(&epochs, 0, sizeof epochs);
    strcpy(epochs.network, "yx.cn");
    epochs.count = NETWORK_KEY_EPOCHS_MAX;
    for (size_t i = 0; i < epochs.count; i++) {
        memset(epochs.epochs[i].key.key, (int)i, KEY_BYTES);
        epochs.epochs[i].key.epoch = UINT32_MAX - 100 + (uint32_t)i;
        epochs.epochs[i].from_s = INT64_MAX;
        epochs.epochs[i].ended_s = INT64_MAX;
    }
    count = charter_epoch_keys_encode(&epochs, long_text);
    assert_int_equal(
        charter_epoch_keys_decode((struct view){(uint8_t *)long_text, count}, &epochs_read),
        STATUS_OK);
    assert_memory_equal(&epochs_read, &epochs, sizeof epochs);
    long_text[count - 3] = 'x';
    assert_int_equal(
        charter_epoch_keys_decode((struct view){(uint8_t *)long_text, count}, &epochs_read),
        STATUS_MALFORMED);
    assert_int_equal(epochs_read.count, 0);
}

static int
setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/huren-test-XXXXXX");
    return sodium_init() < 0 || mkdtemp(folder) == NULL;
}

static int
teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_can_be_built_as_they_stand),
        cmocka_unit_test(test_mistakes_are_named_with_file_and_line),
        cmocka_unit_test(test_versions_of_members_carry_keys_on),
        cmocka_unit_test(test_a_member_with_new_keys_keeps_all_its_epochs),
        cmocka_unit_test(test_new_keys_need_the_old_ones_or_a_word_of_the_authority),
        cmocka_unit_test(test_a_wrong_network_key_is_noticed_by_its_check),
        cmocka_unit_test(test_a_member_that_comes_back_has_its_keys_again),
        cmocka_unit_test(test_a_root_names_the_version_just_before),
        cmocka_unit_test(test_a_table_of_members_says_the_same_as_yaml),
        cmocka_unit_test(test_small_key_texts_have_one_form)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
