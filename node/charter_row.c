/* charter_row.c: unpacking and vetting the rows of a charter document.
 *
 * Every vet_* function returns whether its row is good and says in v->reason
 * which field is not; texts from outside appear there only as text_show makes
 * them. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/keys.h"
#include "crypto/networkkey.h"
#include "node/charter_document.h"
#include "node/origin.h"
#include "proto/charter.pb-c.h"
#include "proto/civil.h"
#include "proto/text.h"

enum {
    NAME_BYTES_MAX = 256,
    ALLIANCES_MAX = 64,
    KEY_SETS_MAX = 32,
    ADDRESSES_MAX = 4,
    LISTINGS_MAX = 512,
    LINKED_MAX = 64,
    ROUNDS_MAX = 1024,
    HALVES_MAX = 256,
    ANNEXES_MAX = 64,
    HASHES_MAX = 64,
    SENSITIVE_MAX = 2048,
    IDENTIFIER_TYPES_MAX = 64,
    DAYS_MAX = 36500,
    COSIGN_S_MAX = 86400
};

static const char *const levels[] = {"", "tertiary", "secondary", "primary", "none", NULL};
static const char *const grades[] = {"", "A", "B", "C", "none", NULL};
static const char *const ownerships[] = {"", "public", "private", NULL};
static const char *const alliance_kinds[] = {"city_group", "county_group", "other", NULL};
static const char *const member_roles[] = {"hospital", "witness", "auditor", "authority", NULL};
static const char *const root_roles[] = {"root", "members", "quality", "policy", NULL};
static const char *const statuses[] = {"listed", "exited", "suspended", "rectifying", NULL};
static const char *const organisers[] = {"national", "provincial", NULL};
static const char *const replications[] = {"", "full", "index", "digest", NULL};

struct vet {
    const char *network;
    char *reason; /* CHARTER_REASON_CHARS */
    char who[CHARTER_KEY_BYTES_MAX + 32];
};

/* Always false. */
static bool
bad(struct vet *v, const char *field, const char *value, const char *rule)
{
    char shown[96] = "";
    if (value != NULL) {
        text_show(text_view(value), shown, sizeof shown);
    }
    snprintf(v->reason, CHARTER_REASON_CHARS, "%s: %s%s%s%s %s", v->who, field,
             value != NULL ? " '" : "", shown, value != NULL ? "'" : "", rule);
    return false;
}

static bool
one_of(struct vet *v, const char *field, const char *value, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], value) == 0) {
            return true;
        }
    }
    return bad(v, field, value, "is not a word that is known there");
}

/* Words of `all`, in its order, each once. */
static bool
ordered_words(struct vet *v, const char *field, char *const *words, size_t count,
              const char *const *all)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        while (all[at] != NULL && strcmp(all[at], words[i]) != 0) {
            at++;
        }
        if (all[at] == NULL) {
            return bad(v, field, words[i], "is unknown, twice, or out of order");
        }
        at++;
    }
    return true;
}

static bool
printable(struct vet *v, const char *field, const char *value, size_t bytes_max, bool needed)
{
    struct view t = text_view(value);
    if (t.count > bytes_max) {
        return bad(v, field, NULL, "is too long");
    }
    if (needed && t.count == 0) {
        return bad(v, field, NULL, "is empty");
    }
    for (size_t at = 0; at < t.count;) {
        uint32_t point;
        size_t n = text_next(t, at, &point);
        if (n == 0 || !text_is_printable(point)) {
            return bad(v, field, value, "has a character that cannot be shown");
        }
        at += n;
    }
    return true;
}

static bool
date(struct vet *v, const char *field, const char *value, bool needed)
{
    struct civil c;
    if (value[0] == 0 && !needed) {
        return true;
    }
    if (strlen(value) != 10 || civil_parse_rfc3339(text_view(value), &c) != STATUS_OK ||
        c.precision != CIVIL_DAY) {
        return bad(v, field, value, "is not a date YYYY-MM-DD");
    }
    return true;
}

static bool
period(struct vet *v, const char *from, const char *to)
{
    if (!date(v, "from", from, false) || !date(v, "to", to, false)) {
        return false;
    }
    if (from[0] != 0 && to[0] != 0 && strcmp(from, to) > 0) {
        return bad(v, "to", to, "is before from");
    }
    return true;
}

static bool
bytes(struct vet *v, const char *field, const ProtobufCBinaryData *b, size_t count)
{
    return b->len == count || bad(v, field, NULL, "has the wrong length");
}

/* An item code: letters, digits and . _ - as in the catalog. */
static bool
item_code(struct vet *v, const char *field, const char *code)
{
    size_t n = strlen(code);
    if (n == 0 || n > CODE_CHARS_MAX) {
        return bad(v, field, NULL, "is empty or too long");
    }
    for (size_t i = 0; i < n; i++) {
        char c = code[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return bad(v, field, code, "is not an item code");
        }
    }
    return true;
}

static bool
pack_id(struct vet *v, const char *field, const char *id)
{
    return keys_vet_name(id, CODE_CHARS_MAX) == STATUS_OK ||
           bad(v, field, id, "is not a pack id (a-z 0-9 . _ -)");
}

/* ---- root ----------------------------------------------------------------- */

static bool
vet_hashes(struct vet *v, const Hr__RootRow *r, size_t max)
{
    if (r->n_hashes == 0 || r->n_hashes > max) {
        return bad(v, "hashes", NULL, "are none or too many");
    }
    for (size_t i = 0; i < r->n_hashes; i++) {
        if (!bytes(v, "hash", &r->hashes[i], HASH_BYTES)) {
            return false;
        }
    }
    return true;
}

static bool
vet_root(struct vet *v, const Hr__RootRow *r)
{
    bool is_key = strchr(r->name, '/') == NULL && strcmp(r->name, "previous") != 0;
    if (is_key) {
        if (keys_vet_name(r->name, INSTITUTION_CHARS_MAX) != STATUS_OK) {
            return bad(v, "name", r->name, "is not a key name (a-z 0-9 . _ -)");
        }
        if (r->public_key.len != KEY_BYTES || keys_vet_ed25519(r->public_key.data)) {
            return bad(v, "public_key", NULL, "is not a usable Ed25519 key");
        }
        if (r->n_roles == 0) {
            return bad(v, "roles", NULL, "are empty");
        }
        if (r->threshold != 0 || r->n_hashes != 0) {
            return bad(v, "row", NULL, "of a key has fields of another sort");
        }
        return ordered_words(v, "role", r->roles, r->n_roles, root_roles);
    }
    if (r->public_key.len != 0 || r->n_roles != 0) {
        return bad(v, "row", NULL, "has fields of a key");
    }
    if (strncmp(r->name, "threshold/", 10) == 0) {
        if (r->threshold < 1 || r->threshold > CHARTER_KEYS_MAX || r->n_hashes != 0) {
            return bad(v, "threshold", NULL, "is out of bounds");
        }
        return one_of(v, "role", r->name + 10, root_roles);
    }
    if (r->threshold != 0) {
        return bad(v, "row", NULL, "has a threshold");
    }
    if (strcmp(r->name, "previous") == 0) {
        return vet_hashes(v, r, 1);
    }
    if (strncmp(r->name, "void/", 5) != 0) {
        return bad(v, "name", r->name, "is not known");
    }
    return one_of(v, "kind", r->name + 5, root_roles) && vet_hashes(v, r, HASHES_MAX);
}

/* ---- members -------------------------------------------------------------- */

static bool
vet_epochs(struct vet *v, const Hr__MemberRow *m)
{
    if (m->n_epochs > NETWORK_KEY_EPOCHS_MAX) {
        return bad(v, "epochs", NULL, "are too many");
    }
    for (size_t i = 0; i < m->n_epochs; i++) {
        const Hr__NetworkEpoch *e = m->epochs[i];
        if (e->epoch <= (i == 0 ? 0 : m->epochs[i - 1]->epoch)) {
            return bad(v, "epoch", NULL, "numbers do not rise");
        }
        if (!bytes(v, "check", &e->check, NETWORK_KEY_CHECK_BYTES)) {
            return false;
        }
        if (e->from > INT64_MAX || e->ended > INT64_MAX ||
            (e->ended == 0 ? i + 1 != m->n_epochs : e->ended < e->from)) {
            return bad(v, "epoch", NULL, "ends before it begins, or is open and not the last");
        }
    }
    return true;
}

static bool
vet_keys(struct vet *v, const Hr__MemberRow *m)
{
    if (m->n_keys > KEY_SETS_MAX) {
        return bad(v, "keys", NULL, "are too many");
    }
    for (size_t i = 0; i < m->n_keys; i++) {
        const Hr__PublicKeys *k = m->keys[i];
        if (!bytes(v, "log key", &k->log, KEY_BYTES) ||
            !bytes(v, "witness key", &k->witness, KEY_BYTES) ||
            !bytes(v, "statement key", &k->statement, KEY_BYTES) ||
            !bytes(v, "session key", &k->session, KEY_BYTES) ||
            !bytes(v, "box key", &k->box, KEY_BYTES)) {
            return false;
        }
        if (k->from > INT64_MAX || k->to > INT64_MAX || (k->to != 0 && k->to < k->from)) {
            return bad(v, "keys", NULL, "end before they begin");
        }
        if (k->revoked && k->to == 0) {
            return bad(v, "keys", NULL, "are revoked and have no end");
        }
    }
    return true;
}

static bool
vet_addresses(struct vet *v, const Hr__MemberRow *m)
{
    if (m->n_addresses > ADDRESSES_MAX) {
        return bad(v, "addresses", NULL, "are too many");
    }
    for (size_t i = 0; i < m->n_addresses; i++) {
        const char *a = m->addresses[i];
        size_t n = strlen(a);
        if (n > ADDRESS_CHARS_MAX || n < 9 || strncmp(a, "tcp://", 6) != 0 ||
            strchr(a + 6, ':') == NULL) {
            return bad(v, "address", a, "is not tcp://host:port");
        }
        for (size_t j = 0; j < n; j++) {
            if (a[j] <= ' ' || a[j] > '~') {
                return bad(v, "address", a, "has a character that addresses do not have");
            }
        }
    }
    return true;
}

static bool
vet_alliances_and_listings(struct vet *v, const Hr__MemberRow *m)
{
    if (m->n_alliances > ALLIANCES_MAX || m->n_listings > LISTINGS_MAX) {
        return bad(v, "alliances or listings", NULL, "are too many");
    }
    for (size_t i = 0; i < m->n_alliances; i++) {
        if (!printable(v, "alliance", m->alliances[i]->id, CODE_CHARS_MAX, true) ||
            !one_of(v, "alliance kind", m->alliances[i]->kind, alliance_kinds)) {
            return false;
        }
    }
    for (size_t i = 0; i < m->n_listings; i++) {
        const Hr__Listing *l = m->listings[i];
        if (!pack_id(v, "listing pack", l->pack) ||
            !one_of(v, "listing status", l->status, statuses) || !period(v, l->from, l->to) ||
            !printable(v, "listing reason", l->reason, NAME_BYTES_MAX, false)) {
            return false;
        }
    }
    if ((m->n_alliances > 0 && !m->alliances_known) ||
        (m->n_listings > 0 && !m->listings_known)) {
        return bad(v, "alliances or listings", NULL, "are given and said to be unknown");
    }
    return true;
}

static bool
vet_sealed_and_linked(struct vet *v, const Hr__MemberRow *m)
{
    if (m->n_network_keys > NETWORK_KEY_EPOCHS_MAX || m->n_linked > LINKED_MAX) {
        return bad(v, "network keys or linked logs", NULL, "are too many");
    }
    for (size_t i = 0; i < m->n_network_keys; i++) {
        const Hr__SealedNetworkKey *k = m->network_keys[i];
        if (k->epoch <= (i == 0 ? 0 : m->network_keys[i - 1]->epoch)) {
            return bad(v, "network key", NULL, "epochs do not rise");
        }
        if (!bytes(v, "sealed network key", &k->sealed, NETWORK_KEY_SEALED_BYTES)) {
            return false;
        }
    }
    for (size_t i = 0; i < m->n_linked; i++) {
        struct origin o;
        if (origin_parse(text_view(m->linked[i]), &o) != STATUS_OK ||
            strcmp(o.network, v->network) != 0 || strcmp(o.institution, m->institution) != 0) {
            return bad(v, "linked log", m->linked[i], "is no origin of this member");
        }
    }
    return true;
}

static bool
vet_member(struct vet *v, const Hr__MemberRow *m)
{
    if (m->institution[0] == 0) {
        Hr__MemberRow only;
        hr__member_row__init(&only);
        only.n_epochs = m->n_epochs;
        only.epochs = m->epochs;
        only.base.n_unknown_fields = m->base.n_unknown_fields; /* of a later version */
        only.base.unknown_fields = m->base.unknown_fields;
        if (protobuf_c_message_get_packed_size(&only.base) !=
            protobuf_c_message_get_packed_size(&m->base)) {
            return bad(v, "row", NULL, "without an institution holds more than epochs");
        }
        return vet_epochs(v, m);
    }
    if (m->n_epochs != 0) {
        return bad(v, "epochs", NULL, "stand in the row of a member");
    }
    if (origin_vet_institution(m->institution) != STATUS_OK) {
        return bad(v, "institution", m->institution, "is not a code (a-z 0-9 . _ -)");
    }
    if (m->assessed > 2) {
        return bad(v, "assessed", NULL, "is not 0, 1 or 2");
    }
    size_t digits = strspn(m->territory, "0123456789");
    if (m->territory[0] != 0 && (digits != 6 || m->territory[6] != 0)) {
        return bad(v, "territory", m->territory, "is not six digits (GB/T 2260)");
    }
    return printable(v, "name", m->name, NAME_BYTES_MAX, true) &&
           one_of(v, "level", m->level, levels) && one_of(v, "grade", m->grade, grades) &&
           one_of(v, "ownership", m->ownership, ownerships) &&
           ordered_words(v, "role", m->roles, m->n_roles, member_roles) &&
           date(v, "left", m->left, false) && vet_keys(v, m) && vet_addresses(v, m) &&
           vet_alliances_and_listings(v, m) && vet_sealed_and_linked(v, m);
}

/* ---- quality and policy --------------------------------------------------- */

static bool
vet_quality(struct vet *v, const Hr__QualityRow *q)
{
    if (origin_vet_institution(q->institution) != STATUS_OK) {
        return bad(v, "institution", q->institution, "is not a code (a-z 0-9 . _ -)");
    }
    if (q->n_rounds > ROUNDS_MAX || q->n_institution_halves > HALVES_MAX) {
        return bad(v, "rounds or half-years", NULL, "are too many");
    }
    if (q->item[0] != 0) {
        if (q->n_institution_halves != 0 || q->inspection_failed_year != 0) {
            return bad(v, "row", NULL, "of an item holds what concerns the institution");
        }
        if (!item_code(v, "item", q->item)) {
            return false;
        }
    } else if (q->n_rounds != 0) {
        return bad(v, "rounds", NULL, "stand in the row of the institution");
    }
    for (size_t i = 0; i < q->n_rounds; i++) {
        if (!one_of(v, "organiser", q->rounds[i]->organiser, organisers) ||
            !date(v, "round", q->rounds[i]->date, true)) {
            return false;
        }
    }
    for (size_t i = 0; i < q->n_institution_halves; i++) {
        const char *h = q->institution_halves[i]->half;
        if (strlen(h) != 6 || strspn(h, "0123456789") != 4 || h[0] == '0' || h[4] != 'H' ||
            (h[5] != '1' && h[5] != '2')) {
            return bad(v, "half-year", h, "is not like 2025H1");
        }
    }
    uint32_t year = q->inspection_failed_year;
    return year == 0 || (year >= 1900 && year <= 9999) ||
           bad(v, "inspection_failed_year", NULL, "is not a year");
}

/* Rising, each once. */
static bool
sorted(struct vet *v, const char *field, char *const *words, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (strcmp(words[i - 1], words[i]) >= 0) {
            return bad(v, field, words[i], "is twice or out of order");
        }
    }
    return true;
}

static bool
vet_settings(struct vet *v, const Hr__NetworkSettings *s)
{
    if (s->look_back_days > DAYS_MAX || s->cosign_s > COSIGN_S_MAX ||
        s->look_back_epochs > NETWORK_KEY_EPOCHS_MAX) {
        return bad(v, "setting", NULL, "is out of bounds");
    }
    if (s->n_sensitive > SENSITIVE_MAX || s->n_identifier_types > IDENTIFIER_TYPES_MAX) {
        return bad(v, "setting", NULL, "has too many entries");
    }
    for (size_t i = 0; i < s->n_sensitive; i++) {
        if (!item_code(v, "sensitive", s->sensitive[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < s->n_identifier_types; i++) {
        const char *t = s->identifier_types[i];
        size_t n = strspn(t, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
        if (n == 0 || n > 16 || t[n] != 0) {
            return bad(v, "identifier type", t, "is not 1 to 16 capitals and digits");
        }
    }
    return one_of(v, "replication", s->replication, replications) &&
           sorted(v, "sensitive", s->sensitive, s->n_sensitive) &&
           sorted(v, "identifier type", s->identifier_types, s->n_identifier_types);
}

static bool
vet_policy(struct vet *v, const Hr__PolicyRow *p)
{
    if (p->pack[0] == 0) {
        if (p->settings == NULL || p->hash.len != 0 || p->in_force_from[0] != 0 ||
            p->in_force_to[0] != 0 || p->n_annexes != 0) {
            return bad(v, "row", NULL, "without a pack holds settings and nothing else");
        }
        return vet_settings(v, p->settings);
    }
    if (p->settings != NULL) {
        return bad(v, "settings", NULL, "stand in the row of a pack");
    }
    if (p->n_annexes > ANNEXES_MAX) {
        return bad(v, "annexes", NULL, "are too many");
    }
    for (size_t i = 0; i < p->n_annexes; i++) {
        if (!bytes(v, "annex hash", &p->annexes[i]->hash, HASH_BYTES)) {
            return false;
        }
    }
    return pack_id(v, "pack", p->pack) && bytes(v, "hash", &p->hash, HASH_BYTES) &&
           period(v, p->in_force_from, p->in_force_to);
}

/* ---- all ------------------------------------------------------------------ */

static const ProtobufCMessageDescriptor *
descriptor(enum charter_kind kind)
{
    static const ProtobufCMessageDescriptor *const all[CHARTER_KIND_COUNT] = {
        [CHARTER_ROOT] = &hr__root_row__descriptor,
        [CHARTER_MEMBERS] = &hr__member_row__descriptor,
        [CHARTER_QUALITY] = &hr__quality_row__descriptor,
        [CHARTER_POLICY] = &hr__policy_row__descriptor};
    assert(kind < CHARTER_KIND_COUNT);
    return all[kind];
}

/* The two texts that make up the key. */
static void
key_texts(enum charter_kind kind, const ProtobufCMessage *row, const char **a, const char **b)
{
    assert(row->descriptor == descriptor(kind));
    *b = NULL;
    switch (kind) {
    case CHARTER_ROOT:
        *a = ((const Hr__RootRow *)row)->name;
        return;
    case CHARTER_MEMBERS:
        *a = ((const Hr__MemberRow *)row)->institution;
        return;
    case CHARTER_QUALITY:
        *a = ((const Hr__QualityRow *)row)->institution;
        *b = ((const Hr__QualityRow *)row)->item;
        return;
    case CHARTER_POLICY:
        *a = ((const Hr__PolicyRow *)row)->pack;
        return;
    case CHARTER_KIND_COUNT:
        break;
    }
    assert(false);
}

size_t
charter_row_key(enum charter_kind kind, const ProtobufCMessage *row,
                uint8_t out[CHARTER_KEY_BYTES_MAX])
{
    const char *a, *b;
    key_texts(kind, row, &a, &b);
    size_t a_count = strlen(a), b_count = b == NULL ? 0 : strlen(b);
    assert(a_count + b_count + 1 <= CHARTER_KEY_BYTES_MAX);
    memcpy(out, a, a_count);
    if (b == NULL) {
        return a_count;
    }
    out[a_count] = 0;
    memcpy(out + a_count + 1, b, b_count);
    return a_count + 1 + b_count;
}

static void
name_row(struct vet *v, enum charter_kind kind, const ProtobufCMessage *row)
{
    const char *a, *b;
    char shown_a[72], shown_b[72] = "";
    key_texts(kind, row, &a, &b);
    text_show(text_view(a), shown_a, sizeof shown_a);
    if (b != NULL) {
        text_show(text_view(b), shown_b, sizeof shown_b);
    }
    snprintf(v->who, sizeof v->who, "row '%s'%s%s", shown_a, shown_b[0] != 0 ? " " : "",
             shown_b);
}

enum status
charter_row_decode(enum charter_kind kind, const char *network, struct view row,
                   struct pb_arena *arena, ProtobufCMessage **out,
                   char reason[CHARTER_REASON_CHARS])
{
    struct vet v = {.network = network, .reason = reason, .who = ""};
    ProtobufCMessage *m;
    bool good = false;
    *out = NULL;
    reason[0] = 0;
    enum status st = pb_unpack(descriptor(kind), row, CHARTER_ROW_BYTES_MAX, arena, &m);
    if (st != STATUS_OK) {
        snprintf(reason, CHARTER_REASON_CHARS, "a row cannot be read: %s", status_text(st));
        return st;
    }
    name_row(&v, kind, m);
    switch (kind) {
    case CHARTER_ROOT:
        good = vet_root(&v, (const Hr__RootRow *)m);
        break;
    case CHARTER_MEMBERS:
        good = vet_member(&v, (const Hr__MemberRow *)m);
        break;
    case CHARTER_QUALITY:
        good = vet_quality(&v, (const Hr__QualityRow *)m);
        break;
    case CHARTER_POLICY:
        good = vet_policy(&v, (const Hr__PolicyRow *)m);
        break;
    case CHARTER_KIND_COUNT:
        break;
    }
    if (!good) {
        return STATUS_MALFORMED;
    }
    *out = m;
    return STATUS_OK;
}
