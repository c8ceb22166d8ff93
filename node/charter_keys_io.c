/* charter_keys_io.c: the keys of members in charter sources: join files, new keys in
 * place of old ones, revoked and lost ones.  Source: DESIGN 5 and 7. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter.h"
#include "node/charter_source_io.h"
#include "proto/civil.h"
#include "proto/text.h"

enum { UTC8_MIN = 480 };

enum status
charter_source_join(struct charter_source *s, const struct yaml_member *y,
                    struct charter_joined *j)
{
    struct joinfile *join = &j->join;
    uint8_t *bytes;
    size_t count;
    enum status st = source_read(s, y->join, JOINFILE_BYTES_MAX, &bytes, &count);
    if (st != STATUS_OK) {
        return st;
    }
    st = joinfile_decode((struct view){bytes, count}, join);
    if (st == STATUS_OK) {
        memcpy(j->bytes, bytes, count);
        j->count = count;
    }
    free(bytes);
    if (st != STATUS_OK) {
        return source_fail(s, st, y->join, NULL,
                           "join file %s: %s; ask the hospital for it again", y->join,
                           status_text(st));
    }
    if (strcmp(join->network, s->head.network) != 0) {
        return source_fail(s, STATUS_REFUSED, y->join, NULL,
                           "join file %s is for the network %s, not %s", y->join, join->network,
                           s->head.network);
    }
    return STATUS_OK;
}

static bool
same_keys(const Hr__PublicKeys *k, const struct network_public *p)
{
    return memcmp(k->log.data, p->log, KEY_BYTES) == 0 &&
           memcmp(k->witness.data, p->witness, KEY_BYTES) == 0 &&
           memcmp(k->statement.data, p->statement, KEY_BYTES) == 0 &&
           memcmp(k->session.data, p->session, KEY_BYTES) == 0 &&
           memcmp(k->box.data, p->box, KEY_BYTES) == 0;
}

static Hr__PublicKeys *
new_keys(struct charter_source *s, const struct network_public *p, uint64_t from)
{
    Hr__PublicKeys *k = source_alloc(s, sizeof *k);
    uint8_t *bytes = source_alloc(s, 5 * KEY_BYTES);
    if (k == NULL || bytes == NULL) {
        return NULL;
    }
    hr__public_keys__init(k);
    ProtobufCBinaryData *fields[5] = {&k->log, &k->witness, &k->statement, &k->session,
                                      &k->box};
    const uint8_t *from_join[5] = {p->log, p->witness, p->statement, p->session, p->box};
    for (size_t i = 0; i < 5; i++) {
        memcpy(bytes + i * KEY_BYTES, from_join[i], KEY_BYTES);
        *fields[i] = (ProtobufCBinaryData){KEY_BYTES, bytes + i * KEY_BYTES};
    }
    k->from = from;
    return k;
}

/* One of the five keys stands in an older set. */
static bool
used_before(const Hr__MemberRow *before, const struct network_public *p)
{
    for (size_t i = 0; before != NULL && i < before->n_keys; i++) {
        const Hr__PublicKeys *k = before->keys[i];
        if (memcmp(k->log.data, p->log, KEY_BYTES) == 0 ||
            memcmp(k->witness.data, p->witness, KEY_BYTES) == 0 ||
            memcmp(k->statement.data, p->statement, KEY_BYTES) == 0 ||
            memcmp(k->session.data, p->session, KEY_BYTES) == 0 ||
            memcmp(k->box.data, p->box, KEY_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* When the keys of the version before are revoked: since when.  0: they are not. */
static enum status
read_revoked(struct charter_source *s, const struct yaml_member *y, const Hr__MemberRow *row,
             uint64_t *since)
{
    struct civil c;
    *since = 0;
    if (y->revoked == NULL || y->revoked[0] == 0) {
        return STATUS_OK;
    }
    if (civil_parse_rfc3339(text_view(y->revoked), &c) != STATUS_OK ||
        c.precision < CIVIL_DAY || civil_unix_ms(&c, UTC8_MIN) <= 0) {
        return source_fail(s, STATUS_MALFORMED, row->institution, y->revoked,
                           "revoked: '%s' is not a time like 2026-11-22T09:30:00+08:00",
                           y->revoked);
    }
    *since = (uint64_t)(civil_unix_ms(&c, UTC8_MIN) / 1000);
    if (*since > (uint64_t)s->head.issued_at_s) {
        return source_fail(s, STATUS_MALFORMED, row->institution, y->revoked,
                           "revoked: %s is later than issued_at: a time that is still to come "
                           "helps whoever has the keys",
                           y->revoked);
    }
    return STATUS_OK;
}

/* May the keys of a join file follow those in hand?  The old statement key signed
 * it, or the source says why it could not. */
static enum status
check_successor(struct charter_source *s, const struct yaml_member *y,
                const struct charter_joined *joined, const Hr__MemberRow *before, bool revoked)
{
    const Hr__PublicKeys *last = before->keys[before->n_keys - 1];
    bool lost;
    enum status st =
        source_yes_no(s, before->institution, "keys_lost", y->keys_lost, false, &lost);
    if (st != STATUS_OK) {
        return st;
    }
    if (used_before(before, &joined->join.keys)) {
        return source_fail(s, STATUS_REFUSED, before->institution, y->join,
                           "join file %s of %s has a key that was given up before: new keys "
                           "are all new",
                           y->join, before->institution);
    }
    st = joinfile_signed_by((struct view){joined->bytes, joined->count}, &joined->join,
                            last->statement.data);
    if (st == STATUS_OK || revoked || last->revoked || lost) {
        return STATUS_OK;
    }
    return source_fail(s, STATUS_REFUSED, before->institution, y->join,
                       "join file %s has other keys than %s had in version %" PRIu64
                       ", and is not signed with those: ask the hospital by telephone, then "
                       "write keys_lost: yes, or revoked: with the time since which others "
                       "may have them",
                       y->join, before->institution, s->previous.head.version);
}

enum status
charter_source_keys(struct charter_source *s, const struct yaml_member *y,
                    const struct charter_joined *joined, const Hr__MemberRow *before,
                    Hr__MemberRow *row)
{
    size_t old = before == NULL ? 0 : before->n_keys;
    uint64_t now = (uint64_t)s->head.issued_at_s, since;
    enum status st = read_revoked(s, y, row, &since);
    row->keys = source_alloc(s, (old + 1) * sizeof *row->keys);
    if (st != STATUS_OK || row->keys == NULL) {
        return st != STATUS_OK ? st : source_no_memory(s);
    }
    for (size_t i = 0; i < old; i++) {
        row->keys[row->n_keys++] = before->keys[i];
    }
    Hr__PublicKeys *last = old == 0 ? NULL : before->keys[old - 1]; /* unpacked for us alone */
    bool same = last != NULL && joined != NULL && same_keys(last, &joined->join.keys);
    bool back = same && before->left[0] != 0 && (y->left == NULL || y->left[0] == 0) &&
                !last->revoked && since == 0;
    if (last != NULL && joined != NULL && !same &&
        (st = check_successor(s, y, joined, before, since != 0)) != STATUS_OK) {
        return st;
    }
    bool follows = joined != NULL && (last == NULL || !same || back);
    if (last != NULL && since != 0 && !last->revoked && (last->to == 0 || since < last->to)) {
        last->to = since > last->from ? since : last->from;
        last->revoked = true;
    } else if (last != NULL && last->to == 0 && follows) {
        last->to = now > last->from ? now : last->from;
    }
    if (!follows) {
        return STATUS_OK;
    }
    /* Never two at once: the new ones begin where the old ones end, or later. */
    row->keys[row->n_keys] = new_keys(s, &joined->join.keys,
                                      last == NULL     ? 0
                                      : now > last->to ? now
                                                       : last->to);
    return row->keys[row->n_keys++] == NULL ? source_no_memory(s) : STATUS_OK;
}
