#include "node/gossip_members.h"

#include <stdlib.h>
#include <string.h>

#include "node/charter_signed.h"

static void
take_key(struct gossip_key *keys, size_t *count, const ProtobufCBinaryData *key,
         const Hr__PublicKeys *of, int64_t to_s)
{
    if (key->len == KEY_BYTES && *count < GOSSIP_MEMBER_KEYS_MAX) {
        memcpy(keys[*count].public_key, key->data, KEY_BYTES);
        keys[*count].from_s = (int64_t)of->from;
        keys[*count].to_s = to_s;
        ++*count;
    }
}

static void
take_member(const Hr__MemberRow *row, int64_t now_s, struct gossip_member *m)
{
    memset(m, 0, sizeof *m);
    strncpy(m->institution, row->institution, INSTITUTION_CHARS_MAX);
    m->left = !charter_is_member(row, now_s);
    m->witness = charter_has_role(row, "witness");
    m->auditor = charter_has_role(row, "auditor");
    for (size_t i = row->n_keys; i-- > 0;) { /* newest last: take them from there */
        const Hr__PublicKeys *k = row->keys[i];
        take_key(m->log_keys, &m->log_key_count, &k->log, k, charter_log_key_end(k));
        take_key(m->witness_keys, &m->witness_key_count, &k->witness, k, (int64_t)k->to);
    }
    const Hr__PublicKeys *now = charter_keys_at(row, now_s);
    if (now == NULL) {
        now = charter_keys_newest(row);
    }
    if (now != NULL && now->session.len == KEY_BYTES && !now->revoked) {
        memcpy(m->session_public, now->session.data, KEY_BYTES);
        for (size_t i = 0;
             i < row->n_addresses && m->address_count < GOSSIP_MEMBER_ADDRESSES_MAX; i++) {
            if (strlen(row->addresses[i]) <= ADDRESS_CHARS_MAX) {
                strcpy(m->addresses[m->address_count++], row->addresses[i]);
            }
        }
    }
}

enum status
gossip_take_charter(struct gossip *g, const struct charter *c, int64_t now_s)
{
    size_t count = charter_member_count(c);
    struct gossip_member *members = calloc(count + 1, sizeof *members);
    struct charter_settings settings;
    if (members == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        take_member(charter_member_at(c, i), now_s, &members[i]);
    }
    charter_settings(c, &settings);
    enum status st = gossip_set_members(g, members, count, (int64_t)settings.cosign_s,
                                        settings.replication == CHARTER_FULL);
    free(members);
    struct gossip_document documents[4];
    memset(documents, 0, sizeof documents);
    for (unsigned k = CHARTER_ROOT; k < CHARTER_KIND_COUNT; k++) {
        const struct charter_document *d = charter_document(c, (enum charter_kind)k);
        if (d != NULL) {
            documents[k].version = d->head.version;
            documents[k].hash = d->head.hash;
            charter_signers(charter_document(c, CHARTER_ROOT), d, &documents[k].signers);
        }
    }
    gossip_set_documents(g, documents);
    return st;
}
