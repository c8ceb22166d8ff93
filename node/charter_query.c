/* charter_query.c: what a charter answers.  See charter.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_impl.h"
#include "node/origin.h"
#include "proto/text.h"

/* ---- rows by key ---------------------------------------------------------- */

static int
compare_key(enum charter_kind kind, const ProtobufCMessage *row, struct view key)
{
    uint8_t own[CHARTER_KEY_BYTES_MAX];
    size_t count = charter_row_key(kind, row, own);
    int order = memcmp(own, key.bytes, count < key.count ? count : key.count);
    return order != 0 ? order : (count > key.count) - (count < key.count);
}

/* The place in the rows in hand, or SIZE_MAX. */
static size_t
find_row(const struct charter *c, enum charter_kind kind, struct view key)
{
    size_t low = 0, high = c->docs[kind] == NULL ? 0 : c->docs[kind]->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_key(kind, c->rows[kind][middle], key);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return SIZE_MAX;
}

enum status
charter_row_index(const struct charter *c, enum charter_kind kind, struct view key,
                  uint32_t *index)
{
    size_t at = find_row(c, kind, key);
    if (at == SIZE_MAX) {
        return STATUS_NOT_FOUND;
    }
    const struct charter_document *d = c->docs[kind];
    *index = d->indexes == NULL ? (uint32_t)at : d->indexes[at];
    return STATUS_OK;
}

struct view
charter_row(const struct charter *c, enum charter_kind kind, uint32_t index)
{
    const struct charter_document *d = c->docs[kind];
    for (size_t i = 0; d != NULL && d->indexes != NULL && i < d->row_count; i++) {
        if (d->indexes[i] == index) {
            return d->rows[i];
        }
    }
    return d != NULL && d->indexes == NULL && index < d->row_count ? d->rows[index]
                                                                   : (struct view){NULL, 0};
}

/* ---- root ----------------------------------------------------------------- */

uint32_t
charter_threshold(const struct charter *c, enum charter_kind kind)
{
    struct note_key keys[CHARTER_KEYS_MAX];
    size_t count;
    uint32_t threshold;
    enum status st = charter_root_keys(c->docs[CHARTER_ROOT], kind, keys, &count, &threshold);
    assert(st == STATUS_OK); /* the same keys were used when it was loaded */
    return threshold;
}

size_t
charter_keys(const struct charter *c, enum charter_kind kind,
             struct note_key keys[CHARTER_KEYS_MAX])
{
    size_t count;
    uint32_t threshold;
    enum status st = charter_root_keys(c->docs[CHARTER_ROOT], kind, keys, &count, &threshold);
    assert(st == STATUS_OK);
    return count;
}

/* ---- members -------------------------------------------------------------- */

size_t
charter_member_count(const struct charter *c)
{
    return c->docs[CHARTER_MEMBERS] == NULL
               ? 0
               : c->docs[CHARTER_MEMBERS]->row_count - c->members_from;
}

const Hr__MemberRow *
charter_member_at(const struct charter *c, size_t i)
{
    assert(i < charter_member_count(c));
    return (const Hr__MemberRow *)c->rows[CHARTER_MEMBERS][i + c->members_from];
}

const Hr__MemberRow *
charter_member(const struct charter *c, const char *institution)
{
    if (institution[0] == 0) {
        return NULL; /* that row holds the epochs */
    }
    size_t at = find_row(c, CHARTER_MEMBERS, text_view(institution));
    return at == SIZE_MAX ? NULL : (const Hr__MemberRow *)c->rows[CHARTER_MEMBERS][at];
}

bool
charter_is_member(const Hr__MemberRow *m, int64_t at_s)
{
    char date[CHARTER_DATE_CHARS];
    charter_date(at_s, date);
    return m->left[0] == 0 || strcmp(date, m->left) < 0;
}

bool
charter_has_role(const Hr__MemberRow *m, const char *role)
{
    for (size_t i = 0; i < m->n_roles; i++) {
        if (strcmp(m->roles[i], role) == 0) {
            return true;
        }
    }
    return false;
}

static bool
in_force(const Hr__PublicKeys *k, int64_t at_s)
{
    return (int64_t)k->from <= at_s && (k->to == 0 || at_s < (int64_t)k->to);
}

const Hr__PublicKeys *
charter_keys_at(const Hr__MemberRow *m, int64_t at_s)
{
    for (size_t i = m->n_keys; i-- > 0;) {
        if (in_force(m->keys[i], at_s)) {
            return m->keys[i];
        }
    }
    return NULL;
}

const Hr__PublicKeys *
charter_keys_newest(const Hr__MemberRow *m)
{
    return m->n_keys == 0 ? NULL : m->keys[m->n_keys - 1];
}

const Hr__MemberRow *
charter_member_by_session(const struct charter *c, const uint8_t session_public[KEY_BYTES],
                          int64_t now_s)
{
    size_t low = 0, high = c->session_count;
    while (low < high) { /* the first that is not lower */
        size_t middle = low + (high - low) / 2;
        if (memcmp(c->sessions[middle].key, session_public, KEY_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (;
         low < c->session_count && memcmp(c->sessions[low].key, session_public, KEY_BYTES) == 0;
         low++) {
        const Hr__PublicKeys *k = c->sessions[low].keys;
        bool begun = (int64_t)k->from <= now_s + CHARTER_SKEW_S_MAX;
        int64_t overlap_s = k->revoked ? 0 : SESSION_KEY_OVERLAP_S;
        bool ended = k->to != 0 && now_s - overlap_s >= (int64_t)k->to;
        if (begun && !ended && charter_is_member(c->sessions[low].member, now_s)) {
            return c->sessions[low].member;
        }
    }
    return NULL;
}

size_t
charter_log_keys(const struct charter *c, struct view origin, struct note_key *keys, size_t max)
{
    struct origin o;
    size_t count = 0;
    if (origin_parse(origin, &o) != STATUS_OK || strcmp(o.network, charter_network(c)) != 0) {
        return 0;
    }
    const Hr__MemberRow *m = charter_member(c, o.institution);
    if (m == NULL) {
        return 0;
    }
    for (size_t i = m->n_keys; i-- > 0 && count < max;) {
        if (note_key_make(origin, NOTE_KEY_ED25519, m->keys[i]->log.data, &keys[count]) !=
            STATUS_OK) {
            continue; /* a key that cannot verify anything */
        }
        bool there = false; /* the same key listed twice, with two times */
        for (size_t j = 0; j < count; j++) {
            there = there || memcmp(keys[j].public_key, keys[count].public_key, KEY_BYTES) == 0;
        }
        count += there ? 0 : 1;
    }
    return count;
}

int64_t
charter_log_key_end(const Hr__PublicKeys *k)
{
    int64_t to = (int64_t)k->to;
    return to == 0 || k->revoked || to > INT64_MAX - CHARTER_SKEW_S_MAX
               ? to
               : to + CHARTER_SKEW_S_MAX;
}

int64_t
charter_log_key_to(const Hr__MemberRow *m, const uint8_t log_public[KEY_BYTES])
{
    int64_t to = -1;
    for (size_t i = 0; i < m->n_keys; i++) {
        if (memcmp(m->keys[i]->log.data, log_public, KEY_BYTES) != 0) {
            continue;
        }
        if (m->keys[i]->to == 0) {
            return 0;
        }
        int64_t end = charter_log_key_end(m->keys[i]);
        to = end > to ? end : to;
    }
    return to;
}

/* ---- witnesses ------------------------------------------------------------ */

static bool
may_witness(const Hr__MemberRow *m, const char *institution, int64_t at_s)
{
    return charter_has_role(m, "witness") && charter_is_member(m, at_s) &&
           (institution == NULL || strcmp(m->institution, institution) != 0);
}

static enum status
witness_key(const struct charter *c, const Hr__MemberRow *m, const Hr__PublicKeys *k,
            struct note_key *out)
{
    char name[KEY_NAME_CHARS_MAX + 1];
    origin_witness_name(charter_network(c), m->institution, name);
    return note_key_make(text_view(name), NOTE_KEY_COSIGNATURE, k->witness.data, out);
}

size_t
charter_witnesses(const struct charter *c, const char *institution, int64_t at_s,
                  struct charter_witness out[WITNESSES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < charter_member_count(c) && count < WITNESSES_MAX; i++) {
        const Hr__MemberRow *m = charter_member_at(c, i);
        const Hr__PublicKeys *k = charter_keys_at(m, at_s);
        if (k != NULL && may_witness(m, institution, at_s) &&
            witness_key(c, m, k, &out[count].key) == STATUS_OK) {
            out[count++].member = m;
        }
    }
    return count;
}

/* Whether this cosignature by `m` with this key was made while it was in force. */
static bool
cosignature_counts(const Hr__MemberRow *m, const uint8_t witness_public[KEY_BYTES],
                   int64_t time_s)
{
    for (size_t i = 0; i < m->n_keys; i++) {
        if (memcmp(m->keys[i]->witness.data, witness_public, KEY_BYTES) == 0 &&
            in_force(m->keys[i], time_s + ((int64_t)m->keys[i]->from > time_s
                                               ? CHARTER_SKEW_S_MAX /* its clock may be slow */
                                               : 0))) {
            return true;
        }
    }
    return false;
}

/* The time of a cosignature by `m`, or -1: none that counts. */
static int64_t
cosigned_by(const struct charter *c, const Hr__MemberRow *m, const struct note *note,
            int64_t now_s)
{
    int64_t best = -1;
    for (size_t i = 0; i < m->n_keys; i++) {
        struct note_key key;
        struct note_verified verified;
        if (witness_key(c, m, m->keys[i], &key) != STATUS_OK ||
            note_verify(note, &key, 1, now_s, &verified) != STATUS_OK) {
            continue;
        }
        int64_t time_s = verified.signers[0].time_s;
        if (time_s <= now_s + CHARTER_SKEW_S_MAX && time_s > best &&
            cosignature_counts(m, key.public_key, time_s)) {
            best = time_s;
        }
    }
    return best;
}

size_t
charter_cosigned(const struct charter *c, const char *institution, const struct note *note,
                 int64_t now_s, int64_t *oldest_s, int64_t *newest_s)
{
    size_t count = 0;
    int64_t oldest = 0, newest = 0;
    for (size_t i = 0; i < charter_member_count(c); i++) {
        const Hr__MemberRow *m = charter_member_at(c, i);
        if (!charter_has_role(m, "witness") ||
            (institution != NULL && strcmp(m->institution, institution) == 0)) {
            continue;
        }
        int64_t time_s = cosigned_by(c, m, note, now_s);
        if (time_s < 0 || !charter_is_member(m, time_s)) {
            continue;
        }
        oldest = count == 0 || time_s < oldest ? time_s : oldest;
        newest = time_s > newest ? time_s : newest;
        count++;
    }
    if (oldest_s != NULL) {
        *oldest_s = oldest;
    }
    if (newest_s != NULL) {
        *newest_s = newest;
    }
    return count;
}

const Hr__PublicKeys *
charter_log_key_set(const Hr__MemberRow *m, const uint8_t log_public[KEY_BYTES])
{
    for (size_t i = m->n_keys; i-- > 0;) {
        if (memcmp(m->keys[i]->log.data, log_public, KEY_BYTES) == 0) {
            return m->keys[i];
        }
    }
    return NULL;
}

size_t
charter_listings(const Hr__MemberRow *m, const char *pack, const Hr__Listing **out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < m->n_listings; i++) {
        if (strcmp(m->listings[i]->pack, pack) == 0) {
            if (count < max) {
                out[count] = m->listings[i];
            }
            count++;
        }
    }
    return count;
}

/* ---- quality -------------------------------------------------------------- */

const Hr__QualityRow *
charter_quality(const struct charter *c, const char *institution, const char *item)
{
    uint8_t key[CHARTER_KEY_BYTES_MAX];
    size_t a = strlen(institution), b = strlen(item);
    if (a > INSTITUTION_CHARS_MAX || b > CODE_CHARS_MAX) {
        return NULL;
    }
    memcpy(key, institution, a);
    key[a] = 0;
    memcpy(key + a + 1, item, b);
    size_t at = find_row(c, CHARTER_QUALITY, (struct view){key, a + 1 + b});
    return at == SIZE_MAX ? NULL : (const Hr__QualityRow *)c->rows[CHARTER_QUALITY][at];
}

/* ---- policy --------------------------------------------------------------- */

static const Hr__PolicyRow *
settings_row(const struct charter *c)
{
    size_t at = find_row(c, CHARTER_POLICY, text_view(""));
    return at == SIZE_MAX ? NULL : (const Hr__PolicyRow *)c->rows[CHARTER_POLICY][at];
}

size_t
charter_pack_count(const struct charter *c)
{
    const struct charter_document *d = c->docs[CHARTER_POLICY];
    return d == NULL ? 0 : d->row_count - (settings_row(c) != NULL ? 1 : 0);
}

const Hr__PolicyRow *
charter_pack_at(const struct charter *c, size_t i)
{
    assert(i < charter_pack_count(c));
    return (const Hr__PolicyRow *)
        c->rows[CHARTER_POLICY][i + (settings_row(c) != NULL ? 1 : 0)];
}

const Hr__PolicyRow *
charter_pack(const struct charter *c, const char *pack)
{
    size_t at = pack[0] == 0 ? SIZE_MAX : find_row(c, CHARTER_POLICY, text_view(pack));
    return at == SIZE_MAX ? NULL : (const Hr__PolicyRow *)c->rows[CHARTER_POLICY][at];
}

bool
charter_pack_covers(const Hr__PolicyRow *p, const char *date)
{
    return (p->in_force_from[0] == 0 || strcmp(p->in_force_from, date) <= 0) &&
           (p->in_force_to[0] == 0 || strcmp(date, p->in_force_to) <= 0);
}

void
charter_settings(const struct charter *c, struct charter_settings *out)
{
    static const struct charter_settings defaults = {.look_back_days = 365,
                                                     .cosign_s = 10,
                                                     .look_back_epochs = 1,
                                                     .replication = CHARTER_INDEX};
    *out = defaults;
    const Hr__PolicyRow *row = settings_row(c);
    if (row == NULL) {
        return;
    }
    const Hr__NetworkSettings *s = row->settings;
    out->look_back_days = s->look_back_days != 0 ? s->look_back_days : out->look_back_days;
    out->cosign_s = s->cosign_s != 0 ? s->cosign_s : out->cosign_s;
    out->look_back_epochs =
        s->look_back_epochs != 0 ? s->look_back_epochs : out->look_back_epochs;
    out->replication = strcmp(s->replication, "full") == 0     ? CHARTER_FULL
                       : strcmp(s->replication, "digest") == 0 ? CHARTER_DIGEST
                                                               : CHARTER_INDEX;
    out->sensitive_count = s->n_sensitive;
    out->sensitive = s->sensitive;
    out->identifier_type_count = s->n_identifier_types;
    out->identifier_types = s->identifier_types;
}

bool
charter_is_sensitive(const struct charter *c, const char *item)
{
    struct charter_settings s;
    charter_settings(c, &s);
    for (size_t i = 0; i < s.sensitive_count; i++) {
        if (strcmp(s.sensitive[i], item) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- network keys --------------------------------------------------------- */

size_t
charter_epochs(const struct charter *c, const Hr__NetworkEpoch *const **out)
{
    *out = NULL;
    if (c->members_from == 0) {
        return 0;
    }
    const Hr__MemberRow *m = (const Hr__MemberRow *)c->rows[CHARTER_MEMBERS][0];
    *out = (const Hr__NetworkEpoch *const *)m->epochs;
    return m->n_epochs;
}

const Hr__NetworkEpoch *
charter_epoch(const struct charter *c, uint32_t epoch)
{
    const Hr__NetworkEpoch *const *all;
    size_t count = charter_epochs(c, &all);
    for (size_t i = 0; i < count; i++) {
        if (all[i]->epoch == epoch) {
            return all[i];
        }
    }
    return NULL;
}

bool
charter_epoch_open(const struct charter *c, uint32_t epoch, int64_t now_s, bool *late)
{
    const Hr__NetworkEpoch *e = charter_epoch(c, epoch);
    *late = e != NULL && e->ended != 0 && now_s >= (int64_t)e->ended;
    return e != NULL && (!*late || now_s - EPOCH_LATE_S < (int64_t)e->ended);
}

enum status
charter_network_keys(const struct charter *c, const char *institution, const struct dh_key *box,
                     struct network_key out[NETWORK_KEY_EPOCHS_MAX], size_t *count, size_t *bad)
{
    const Hr__MemberRow *m = charter_member(c, institution);
    size_t failed = 0;
    *count = 0;
    if (bad != NULL) {
        *bad = 0;
    }
    if (m == NULL || m->n_network_keys == 0) {
        return STATUS_NOT_FOUND;
    }
    for (size_t i = 0; i < m->n_network_keys; i++) {
        const Hr__SealedNetworkKey *k = m->network_keys[i];
        const Hr__NetworkEpoch *e = charter_epoch(c, k->epoch);
        if (e != NULL && network_key_open(charter_network(c), k->epoch,
                                          (struct view){k->sealed.data, k->sealed.len},
                                          (struct view){e->check.data, e->check.len}, box,
                                          &out[*count]) == STATUS_OK) {
            (*count)++;
        } else {
            failed++;
        }
    }
    if (bad != NULL) {
        *bad = failed;
    }
    return failed == 0 ? STATUS_OK : STATUS_BAD_KEY;
}
