/* charter_fixture.h: charters for tests, made and signed in memory.
 *
 * Charter keys are named k0, k1 ... and come from their number; members likewise
 * (seed of member i: all bytes i + 1).  Include after cmocka.h. */
#ifndef TESTS_CHARTER_FIXTURE_H
#define TESTS_CHARTER_FIXTURE_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "crypto/networkkey.h"
#include "node/charter.h"
#include "node/charter_build.h"
#include "node/origin.h"
#include "proto/text.h"

#define FIXTURE_NETWORK "yx.cn"
#define FIXTURE_NOW INT64_C(1800000000) /* 2027-01-15 */

/* A document with the memory behind it. */
struct fixture_doc {
    struct charter_document doc;
    uint8_t *file;
    size_t file_count;
};

static inline void
fixture_doc_free(struct fixture_doc *d)
{
    charter_document_free(&d->doc);
    free(d->file);
    memset(d, 0, sizeof *d);
}

static inline void
fixture_signer(const char *network, unsigned number, struct note_signer *out)
{
    uint8_t seed[KEY_BYTES];
    char key[16], name[KEY_NAME_CHARS_MAX + 1];
    memset(seed, (int)(100 + number), sizeof seed);
    snprintf(key, sizeof key, "k%u", number);
    origin_charter_name(network, key, name);
    assert_int_equal(note_signer_make(text_view(name), NOTE_KEY_ED25519, seed, out), STATUS_OK);
}

static inline void
fixture_decode(struct fixture_doc *d)
{
    char reason[CHARTER_REASON_CHARS];
    enum status st =
        charter_document_decode((struct view){d->file, d->file_count}, &d->doc, reason);
    if (st != STATUS_OK) {
        fail_msg("fixture: %s", reason);
    }
}

/* Sign with the keys whose bit is set in `keys`. */
static inline void
fixture_sign(struct fixture_doc *d, unsigned keys)
{
    for (unsigned i = 0; i < 8; i++) {
        if ((keys & 1u << i) == 0) {
            continue;
        }
        struct note_signer signer;
        uint8_t *out;
        size_t count;
        char reason[CHARTER_REASON_CHARS];
        fixture_signer(d->doc.head.network, i, &signer);
        assert_int_equal(
            charter_sign((struct view){d->file, d->file_count}, &signer, &out, &count, reason),
            STATUS_OK);
        charter_document_free(&d->doc);
        free(d->file);
        d->file = out;
        d->file_count = count;
        fixture_decode(d);
    }
}

static inline struct charter_head
fixture_head(enum charter_kind kind, uint64_t version)
{
    struct charter_head h = {.kind = kind,
                             .version = version,
                             .issued_at_s = FIXTURE_NOW - 86400,
                             .valid_from_s = FIXTURE_NOW - 86400,
                             .stale_after_s = FIXTURE_NOW + 30 * 86400};
    strcpy(h.network, FIXTURE_NETWORK);
    return h;
}

static inline struct fixture_doc
fixture_build(struct charter_head head, ProtobufCMessage *const *rows, size_t count,
              unsigned keys)
{
    struct fixture_doc d;
    char reason[CHARTER_REASON_CHARS];
    memset(&d, 0, sizeof d);
    if (charter_build(&head, rows, count, &d.file, &d.file_count, reason) != STATUS_OK) {
        fail_msg("fixture: %s", reason);
    }
    fixture_decode(&d);
    fixture_sign(&d, keys);
    return d;
}

/* What a root is to say. */
struct fixture_root {
    struct charter_head head;
    unsigned root_keys;  /* bits of keys with role root */
    unsigned other_keys; /* bits of keys with the other roles */
    uint32_t root_threshold, other_threshold;
    const struct charter_document *previous; /* NULL: none */
    const struct charter_document *voided;   /* NULL: none */
};

static inline struct fixture_doc
fixture_make_root(const struct fixture_root *r, unsigned sign)
{
    static const char *const thresholds[] = {"threshold/root", "threshold/members",
                                             "threshold/quality", "threshold/policy"};
    char names[8][16], void_name[32];
    char *role_texts[8][4];
    struct note_signer signers[8];
    Hr__RootRow rows[16];
    ProtobufCBinaryData hash[2];
    ProtobufCMessage *list[16];
    size_t count = 0;
    for (unsigned i = 0; i < 8; i++) {
        size_t n = 0;
        if (((r->root_keys | r->other_keys) & 1u << i) == 0) {
            continue;
        }
        fixture_signer(r->head.network, i, &signers[i]);
        snprintf(names[i], sizeof names[i], "k%u", i);
        for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
            if (((k == CHARTER_ROOT ? r->root_keys : r->other_keys) & 1u << i) != 0) {
                const char *text = charter_kind_text((enum charter_kind)k);
                memcpy(&role_texts[i][n++], &text, sizeof text);
            }
        }
        hr__root_row__init(&rows[count]);
        rows[count].name = names[i];
        rows[count].public_key.data = signers[i].key.public_key;
        rows[count].public_key.len = KEY_BYTES;
        rows[count].roles = role_texts[i];
        rows[count++].n_roles = n;
    }
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        hr__root_row__init(&rows[count]);
        memcpy(&rows[count].name, &thresholds[k], sizeof thresholds[k]);
        rows[count++].threshold = k == CHARTER_ROOT ? r->root_threshold : r->other_threshold;
    }
    const struct charter_document *named[2] = {r->previous, r->voided};
    struct hash copies[2];
    for (unsigned i = 0; i < 2; i++) {
        if (named[i] == NULL) {
            continue;
        }
        copies[i] = named[i]->head.hash;
        hash[i].data = copies[i].bytes;
        hash[i].len = HASH_BYTES;
        hr__root_row__init(&rows[count]);
        snprintf(void_name, sizeof void_name, "void/%s",
                 charter_kind_text(named[i]->head.kind));
        static char previous[] = "previous";
        rows[count].name = i == 0 ? previous : void_name;
        rows[count].hashes = &hash[i];
        rows[count++].n_hashes = 1;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = &rows[i].base;
    }
    return fixture_build(r->head, list, count, sign);
}

/* The keys of member `number` in the network of the fixture. */
static inline void
fixture_member_keys(unsigned number, struct network_keys *out)
{
    uint8_t seed[KEY_BYTES];
    memset(seed, (int)(number + 1), sizeof seed);
    keys_derive(seed, FIXTURE_NETWORK, out);
}

struct fixture_member {
    Hr__MemberRow row;
    Hr__PublicKeys keys;
    Hr__PublicKeys *key_list[1];
    struct network_keys secret;
    char institution[16], name[16], level[16], grade[8], ownership[8], territory[8];
    char *roles[4];
    size_t role_count;
};

/* A tertiary A public hospital h<number> in Hubei with all roles in `roles`. */
static inline void
fixture_member(struct fixture_member *m, unsigned number, bool witness)
{
    static char hospital[] = "hospital", witness_text[] = "witness";
    memset(m, 0, sizeof *m);
    hr__member_row__init(&m->row);
    hr__public_keys__init(&m->keys);
    fixture_member_keys(number, &m->secret);
    snprintf(m->institution, sizeof m->institution, "h%u", number);
    snprintf(m->name, sizeof m->name, "Hospital %u", number);
    strcpy(m->level, "tertiary");
    strcpy(m->grade, "A");
    strcpy(m->ownership, "public");
    strcpy(m->territory, "420581");
    m->row.institution = m->institution;
    m->row.name = m->name;
    m->row.level = m->level;
    m->row.grade = m->grade;
    m->row.ownership = m->ownership;
    m->row.territory = m->territory;
    m->roles[m->role_count++] = hospital;
    if (witness) {
        m->roles[m->role_count++] = witness_text;
    }
    m->row.roles = m->roles;
    m->row.n_roles = m->role_count;
    m->keys.log = (ProtobufCBinaryData){KEY_BYTES, m->secret.log.public_key};
    m->keys.witness = (ProtobufCBinaryData){KEY_BYTES, m->secret.witness.public_key};
    m->keys.statement = (ProtobufCBinaryData){KEY_BYTES, m->secret.statement.public_key};
    m->keys.session = (ProtobufCBinaryData){KEY_BYTES, m->secret.session.public_key};
    m->keys.box = (ProtobufCBinaryData){KEY_BYTES, m->secret.box.public_key};
    m->keys.from = (uint64_t)(FIXTURE_NOW - 1000);
    m->key_list[0] = &m->keys;
    m->row.keys = m->key_list;
    m->row.n_keys = 1;
}

/* Members h0 .. h<count-1>, the first `witnesses` of them witnesses. */
static inline struct fixture_doc
fixture_members(uint64_t version, unsigned count, unsigned witnesses, unsigned sign)
{
    struct fixture_member *m = calloc(count + 1, sizeof *m);
    ProtobufCMessage **list = calloc(count + 1, sizeof *list);
    assert_non_null(m);
    assert_non_null(list);
    for (unsigned i = 0; i < count; i++) {
        fixture_member(&m[i], i, i < witnesses);
        list[i] = &m[i].row.base;
    }
    struct fixture_doc d =
        fixture_build(fixture_head(CHARTER_MEMBERS, version), list, count, sign);
    free(list);
    free(m);
    return d;
}

#endif
