/* charter_members_io.c: the rows of members, their keys, and the network keys.
 *
 * Source: DESIGN 5 and 7.  Keys come from join files; when the keys of a member
 * are others than in the version before, those end and the new ones begin at
 * issued_at.  What was sealed to a member is taken over as it is, so that a row
 * that says nothing new keeps its bytes and need not travel. */
#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/joinfile.h"
#include "node/charter.h"
#include "node/charter_key.h"
#include "node/charter_source_io.h"
#include "node/file_io.h"
#include "node/origin.h"
#include "node/pack_csv.h"
#include "proto/charter.pb-c.h"
#include "proto/civil.h"
#include "proto/text.h"

enum {
    TABLE_BYTES_MAX = 16 * 1024 * 1024,
    EPOCH_DAYS_MAX = 365,
    DAY_S = 86400,
    UTC8_MIN = 480
};

struct member_build {
    struct charter_source *s;
    Hr__MemberRow **before; /* rows of the previous version */
    bool *named;            /* of those: the source names it, too */
    size_t before_count;
    struct charter_epoch_keys keys;
    char keys_path[FILE_PATH_CHARS_MAX];
    bool left_now; /* a member of the version before has left */
    Hr__MemberRow **rows;
    bool *sealed; /* gets network keys */
    size_t count;
};

/* ---- the version before --------------------------------------------------- */

static enum status
load_before(struct member_build *b)
{
    struct charter_source *s = b->s;
    const struct charter_document *d = &s->previous;
    char reason[CHARTER_REASON_CHARS];
    b->before = source_alloc(s, (d->row_count + 1) * sizeof *b->before);
    b->named = source_alloc(s, (d->row_count + 1) * sizeof *b->named);
    if (b->before == NULL || b->named == NULL) {
        return source_no_memory(s);
    }
    for (size_t i = 0; i < d->row_count; i++) {
        ProtobufCMessage *m;
        enum status st = charter_row_decode(CHARTER_MEMBERS, d->head.network, d->rows[i],
                                            &s->arena, &m, reason);
        if (st != STATUS_OK) {
            return source_fail(s, st, "previous", NULL, "%s", reason);
        }
        b->before[b->before_count++] = (Hr__MemberRow *)m;
    }
    return STATUS_OK;
}

static Hr__MemberRow *
find_before(const struct member_build *b, const char *institution)
{
    for (size_t i = 0; i < b->before_count; i++) {
        if (strcmp(b->before[i]->institution, institution) == 0) {
            b->named[i] = true;
            return b->before[i];
        }
    }
    return NULL;
}

/* ---- one member ----------------------------------------------------------- */

/* The moment from which it is no member: its keys end with it. */
static enum status
set_left(struct charter_source *s, const struct yaml_member *y, Hr__MemberRow *row)
{
    struct civil c;
    if (y->left == NULL || y->left[0] == 0) {
        return STATUS_OK;
    }
    row->left = y->left;
    if (civil_parse_rfc3339(text_view(y->left), &c) != STATUS_OK || c.precision != CIVIL_DAY) {
        return source_fail(s, STATUS_MALFORMED, row->institution, y->left,
                           "left: '%s' is not a date YYYY-MM-DD", y->left);
    }
    uint64_t at = (uint64_t)(civil_unix_ms(&c, UTC8_MIN) / 1000);
    Hr__PublicKeys *last = row->n_keys == 0 ? NULL : row->keys[row->n_keys - 1];
    if (last != NULL && last->to == 0) {
        last->to = at > last->from ? at : last->from;
    }
    return STATUS_OK;
}

static enum status
set_lists(struct charter_source *s, const struct yaml_member *y, Hr__MemberRow *row)
{
    bool known;
    row->alliances = source_alloc(s, (y->alliances_count + 1) * sizeof *row->alliances);
    row->listings = source_alloc(s, (y->listings_count + 1) * sizeof *row->listings);
    if (row->alliances == NULL || row->listings == NULL) {
        return source_no_memory(s);
    }
    for (uint32_t i = 0; i < y->alliances_count; i++) {
        Hr__Alliance *a = source_alloc(s, sizeof *a);
        if (a == NULL) {
            return source_no_memory(s);
        }
        hr__alliance__init(a);
        a->id = y->alliances[i].id;
        a->kind = y->alliances[i].kind;
        row->alliances[row->n_alliances++] = a;
    }
    for (uint32_t i = 0; i < y->listings_count; i++) {
        const struct yaml_listing *from = &y->listings[i];
        Hr__Listing *l = source_alloc(s, sizeof *l);
        if (l == NULL) {
            return source_no_memory(s);
        }
        hr__listing__init(l);
        l->pack = from->pack;
        l->status = from->status;
        l->from = from->from != NULL ? from->from : l->from;
        l->to = from->to != NULL ? from->to : l->to;
        l->reason = from->reason != NULL ? from->reason : l->reason;
        row->listings[row->n_listings++] = l;
    }
    enum status st = source_yes_no(s, row->institution, "alliances_known", y->alliances_known,
                                   y->alliances_count > 0, &known);
    row->alliances_known = known;
    if (st == STATUS_OK) {
        st = source_yes_no(s, row->institution, "listings_known", y->listings_known,
                           y->listings_count > 0, &known);
        row->listings_known = known;
    }
    return st;
}

/* Roles into the order of the format. */
static enum status
set_roles(struct charter_source *s, const struct yaml_member *y, Hr__MemberRow *row)
{
    static const char *const order[] = {"hospital", "witness", "auditor", "authority"};
    row->roles = source_alloc(s, (y->roles.at_count + 1) * sizeof *row->roles);
    if (row->roles == NULL) {
        return source_no_memory(s);
    }
    for (size_t k = 0; k < 4; k++) {
        for (uint32_t i = 0; i < y->roles.at_count; i++) {
            if (strcmp(y->roles.at[i], order[k]) == 0) {
                row->roles[row->n_roles++] = y->roles.at[i];
                break;
            }
        }
    }
    if (row->n_roles != y->roles.at_count) {
        return source_fail(
            s, STATUS_MALFORMED, row->institution, "roles",
            "roles of %s are of hospital, witness, auditor, authority, each once",
            row->institution);
    }
    return STATUS_OK;
}

static enum status
set_texts(struct charter_source *s, const struct yaml_member *y, const struct joinfile *join,
          Hr__MemberRow *row)
{
    char *const *from[] = {&y->level, &y->grade, &y->ownership, &y->territory};
    char **to[] = {&row->level, &row->grade, &row->ownership, &row->territory};
    for (size_t i = 0; i < 4; i++) {
        if (*from[i] != NULL && (*from[i])[0] != 0 && strcmp(*from[i], "unknown") != 0) {
            *to[i] = *from[i];
        }
    }
    if (y->name != NULL && y->name[0] != 0) {
        row->name = y->name;
    } else if (join != NULL && join->name[0] != 0) {
        row->name = source_text(s, join->name);
    }
    if (y->assessed != NULL && y->assessed[0] != 0 && strcmp(y->assessed, "unknown") != 0) {
        bool yes;
        enum status st =
            source_yes_no(s, row->institution, "assessed", y->assessed, false, &yes);
        if (st != STATUS_OK) {
            return st;
        }
        row->assessed = yes ? 1 : 2;
    }
    row->addresses = y->addresses.at;
    row->n_addresses = y->addresses.at_count;
    if (row->n_addresses == 0 && join != NULL) {
        row->addresses = source_alloc(s, (JOINFILE_ADDRESSES_MAX + 1) * sizeof *row->addresses);
        for (size_t i = 0; row->addresses != NULL && i < join->address_count; i++) {
            row->addresses[i] = source_text(s, join->addresses[i]);
            if (row->addresses[i] == NULL) {
                return source_no_memory(s);
            }
            row->n_addresses++;
        }
    }
    row->linked = y->linked.at;
    row->n_linked = y->linked.at_count;
    return row->name == NULL || (row->n_addresses > 0 && row->addresses == NULL)
               ? source_no_memory(s)
               : STATUS_OK;
}

static enum status
read_institution(struct charter_source *s, const struct yaml_member *y,
                 const struct joinfile *join, char out[INSTITUTION_CHARS_MAX + 1])
{
    const char *given =
        y->institution != NULL && y->institution[0] != 0 ? y->institution : NULL;
    if (given == NULL && join == NULL) {
        return source_fail(s, STATUS_MALFORMED, "members", NULL,
                           "a member has a join file, or an institution code at least");
    }
    if (origin_fold_institution(given != NULL ? given : join->institution, out) != STATUS_OK) {
        return source_fail(s, STATUS_MALFORMED, given, NULL, "institution '%s' is not a code",
                           given != NULL ? given : "");
    }
    if (join != NULL && strcmp(out, join->institution) != 0) {
        return source_fail(s, STATUS_REFUSED, given, y->join,
                           "join file %s is of %s, not of %s", y->join, join->institution, out);
    }
    return STATUS_OK;
}

static enum status
add_member(struct member_build *b, const struct yaml_member *y)
{
    struct charter_source *s = b->s;
    struct charter_joined joined;
    const struct joinfile *join = &joined.join;
    char institution[INSTITUTION_CHARS_MAX + 1];
    bool joins = y->join != NULL && y->join[0] != 0, sealed;
    enum status st = joins ? charter_source_join(s, y, &joined) : STATUS_OK;
    if (st != STATUS_OK ||
        (st = read_institution(s, y, joins ? join : NULL, institution)) != STATUS_OK) {
        return st;
    }
    Hr__MemberRow *row = source_alloc(s, sizeof *row);
    if (row == NULL) {
        return source_no_memory(s);
    }
    hr__member_row__init(row);
    row->institution = source_text(s, institution);
    if (row->institution == NULL) {
        return source_no_memory(s);
    }
    const Hr__MemberRow *before = find_before(b, institution);
    if ((st = charter_source_keys(s, y, joins ? &joined : NULL, before, row)) != STATUS_OK ||
        (st = set_texts(s, y, joins ? join : NULL, row)) != STATUS_OK ||
        (st = set_left(s, y, row)) != STATUS_OK || (st = set_lists(s, y, row)) != STATUS_OK ||
        (st = set_roles(s, y, row)) != STATUS_OK ||
        (st = source_yes_no(s, institution, "network_key", y->network_key, true, &sealed)) !=
            STATUS_OK) {
        return st;
    }
    b->left_now = b->left_now || (before != NULL && before->left[0] == 0 && row->left[0] != 0);
    b->sealed[b->count] =
        sealed && row->n_keys > 0 && row->left[0] == 0 && row->keys[row->n_keys - 1]->to == 0;
    b->rows[b->count++] = row;
    return source_add(s, &row->base, joins ? y->join : institution);
}

/* ---- members as a table --------------------------------------------------- */

/* Split "a;b;c"; NULL without memory. */
static char **
split(struct charter_source *s, const char *cell, uint32_t *count)
{
    size_t most = 1;
    for (const char *p = cell; *p != 0; p++) {
        most += *p == ';';
    }
    char **parts = source_alloc(s, most * sizeof *parts), *copy = source_text(s, cell);
    *count = 0;
    if (parts == NULL || copy == NULL) {
        return NULL;
    }
    for (char *p = copy; p != NULL && *p != 0;) {
        char *end = strchr(p, ';');
        if (end != NULL) {
            *end++ = 0;
        }
        parts[(*count)++] = p;
        p = end;
    }
    return parts;
}

/* Cut "a:b:c" in place into `count` parts, "" where there are fewer. */
static void
cut(char *text, char **parts, size_t count)
{
    static char empty[] = "";
    for (size_t i = 0; i < count; i++) {
        parts[i] = text == NULL ? empty : text;
        char *colon = text == NULL || i + 1 == count ? NULL : strchr(text, ':');
        if (colon != NULL) {
            *colon++ = 0;
        }
        text = colon;
    }
}

static enum status
table_lists(struct charter_source *s, const char *alliances, const char *listings,
            struct yaml_member *y)
{
    static char yes[] = "yes";
    uint32_t count;
    if (strcmp(alliances, "none") == 0) {
        y->alliances_known = yes;
    } else {
        char **parts = split(s, alliances, &count);
        y->alliances = source_alloc(s, (count + 1) * sizeof *y->alliances);
        if (parts == NULL || y->alliances == NULL) {
            return source_no_memory(s);
        }
        for (uint32_t i = 0; i < count; i++) {
            char *two[2];
            cut(parts[i], two, 2);
            y->alliances[i] = (struct yaml_alliance){two[0], two[1]};
        }
        y->alliances_count = count;
    }
    if (strcmp(listings, "none") == 0) {
        y->listings_known = yes;
        return STATUS_OK;
    }
    char **parts = split(s, listings, &count);
    y->listings = source_alloc(s, (count + 1) * sizeof *y->listings);
    if (parts == NULL || y->listings == NULL) {
        return source_no_memory(s);
    }
    for (uint32_t i = 0; i < count; i++) {
        char *five[5];
        cut(parts[i], five, 5);
        y->listings[i] = (struct yaml_listing){five[0], five[1], five[2], five[3], five[4]};
    }
    y->listings_count = count;
    return STATUS_OK;
}

static enum status
table_row(struct member_build *b, const struct pack_csv *csv, size_t row)
{
    static const char *const texts[] = {"join",      "institution", "name",      "level",
                                        "grade",     "ownership",   "assessed",  "territory",
                                        "left",      "network_key", "addresses", "roles",
                                        "alliances", "listings",    "revoked",   "keys_lost"};
    struct yaml_member y;
    char *cells[16];
    memset(&y, 0, sizeof y);
    for (size_t i = 0; i < 16; i++) {
        cells[i] = source_text(b->s, pack_csv_cell(csv, row, pack_csv_column(csv, texts[i])));
        if (cells[i] == NULL) {
            return source_no_memory(b->s);
        }
    }
    char **to[] = {&y.join,      &y.institution, &y.name,      &y.level, &y.grade,
                   &y.ownership, &y.assessed,    &y.territory, &y.left,  &y.network_key};
    for (size_t i = 0; i < 10; i++) {
        *to[i] = cells[i];
    }
    y.revoked = cells[14];
    y.keys_lost = cells[15];
    y.addresses.at = split(b->s, cells[10], &y.addresses.at_count);
    y.roles.at = split(b->s, cells[11], &y.roles.at_count);
    if (y.addresses.at == NULL || y.roles.at == NULL) {
        return source_no_memory(b->s);
    }
    enum status st = table_lists(b->s, cells[12], cells[13], &y);
    return st == STATUS_OK ? add_member(b, &y) : st;
}

static enum status
add_table(struct member_build *b, struct view text, const char *name)
{
    struct charter_source *s = b->s;
    struct pack_csv csv;
    char error[CHARTER_SOURCE_ERROR_CHARS];
    memset(&csv, 0, sizeof csv);
    enum status st = pack_csv_read(text, name, &csv, error, sizeof error);
    if (st != STATUS_OK) {
        snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "%.1000s", error);
        return st;
    }
    if (csv.row_count > MEMBERS_MAX + 1) {
        snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "%.300s: over %d members", name,
                 MEMBERS_MAX);
        st = STATUS_TOO_BIG;
    }
    s->table_name = name;
    for (size_t row = 1; st == STATUS_OK && row < csv.row_count; row++) {
        s->table_line = csv.lines[row];
        st = table_row(b, &csv, row);
    }
    s->table_name = NULL;
    pack_csv_free(&csv);
    return st;
}

/* ---- network keys --------------------------------------------------------- */

static enum status
read_network_keys(struct member_build *b)
{
    struct charter_source *s = b->s;
    char error[FILE_ERROR_CHARS];
    int n = s->o->network_keys != NULL
                ? snprintf(b->keys_path, sizeof b->keys_path, "%s", s->o->network_keys)
                : snprintf(b->keys_path, sizeof b->keys_path, "%s/network-keys-%s", s->o->home,
                           s->head.network);
    if (n < 0 || (size_t)n >= sizeof b->keys_path) {
        snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "the name of a file is too long");
        return STATUS_TOO_BIG;
    }
    uint8_t *bytes;
    size_t count;
    enum status st =
        file_read(b->keys_path, CHARTER_NETWORK_KEYS_BYTES_MAX, &bytes, &count, error);
    if (st == STATUS_NOT_FOUND) {
        memcpy(b->keys.network, s->head.network, sizeof b->keys.network);
        return STATUS_OK;
    }
    if (st != STATUS_OK) {
        snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "%s", error);
        return st;
    }
    st = charter_epoch_keys_decode((struct view){bytes, count}, &b->keys);
    sodium_memzero(bytes, count);
    free(bytes);
    if (st != STATUS_OK || strcmp(b->keys.network, s->head.network) != 0) {
        snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "%.300s: not the network keys of %s",
                 b->keys_path, s->head.network);
        return st != STATUS_OK ? st : STATUS_REFUSED;
    }
    return STATUS_OK;
}

/* The epochs of the version before; those whose keys we do not have stay, too. */
static const Hr__MemberRow *
epochs_before(const struct member_build *b)
{
    return b->before_count > 0 && b->before[0]->institution[0] == 0 ? b->before[0] : NULL;
}

/* The file holds the keys that were sealed before, not others of the same number. */
static enum status
check_epoch_keys(struct member_build *b)
{
    const Hr__MemberRow *old = epochs_before(b);
    for (size_t i = 0; old != NULL && i < old->n_epochs; i++) {
        for (size_t j = 0; j < b->keys.count; j++) {
            uint8_t check[NETWORK_KEY_CHECK_BYTES];
            if (b->keys.epochs[j].key.epoch != old->epochs[i]->epoch) {
                continue;
            }
            network_key_check(b->s->head.network, &b->keys.epochs[j].key, check);
            if (memcmp(check, old->epochs[i]->check.data, sizeof check) != 0) {
                snprintf(b->s->error, CHARTER_SOURCE_ERROR_CHARS,
                         "%.300s: its key of epoch %" PRIu32 " is not the one that version "
                         "%" PRIu64 " gave to the members (the check differs): bring back the "
                         "right file",
                         b->keys_path, old->epochs[i]->epoch, b->s->previous.head.version);
                return STATUS_BAD_KEY;
            }
        }
    }
    return STATUS_OK;
}

/* Begin an epoch if there is none, one is asked for, a member has left, or a year
 * is over.  The file is written before anybody sees what was sealed. */
static enum status
advance_epoch(struct member_build *b, uint32_t *highest)
{
    struct charter_source *s = b->s;
    struct charter_epoch_keys *k = &b->keys;
    const Hr__MemberRow *old = epochs_before(b);
    int64_t now = s->head.issued_at_s;
    struct charter_epoch_key *last = k->count == 0 ? NULL : &k->epochs[k->count - 1];
    uint32_t published =
        old == NULL || old->n_epochs == 0 ? 0 : old->epochs[old->n_epochs - 1]->epoch;
    *highest = last == NULL ? 0 : last->key.epoch;
    if (published > *highest) {
        *highest = published;
        if (!s->o->new_epoch) {
            snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS,
                     "%.300s lacks the key of epoch %" PRIu32
                     ": bring back the file, or begin a new epoch with --new-epoch",
                     b->keys_path, *highest);
            return STATUS_NOT_FOUND;
        }
        last = NULL;
    }
    /* An epoch that the version before does not know was begun by an earlier try. */
    bool leaves = b->left_now && last != NULL && last->key.epoch == published;
    if (last != NULL && !s->o->new_epoch && !leaves &&
        now - last->from_s <= (int64_t)EPOCH_DAYS_MAX * DAY_S) {
        return STATUS_OK;
    }
    if (k->count == NETWORK_KEY_EPOCHS_MAX || *highest == UINT32_MAX) {
        snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "over %d epochs",
                 NETWORK_KEY_EPOCHS_MAX);
        return STATUS_TOO_BIG;
    }
    if (k->count > 0 && k->epochs[k->count - 1].ended_s == 0) {
        int64_t from = k->epochs[k->count - 1].from_s;
        k->epochs[k->count - 1].ended_s = now > from ? now : from;
    }
    struct charter_epoch_key *e = &k->epochs[k->count++];
    *e = (struct charter_epoch_key){.from_s = now};
    e->key.epoch = ++*highest;
    randombytes_buf(e->key.key, sizeof e->key.key);
    char text[CHARTER_NETWORK_KEYS_BYTES_MAX], error[FILE_ERROR_CHARS];
    size_t count = charter_epoch_keys_encode(k, text);
    enum status st = file_write(b->keys_path, (struct view){(const uint8_t *)text, count}, 0600,
                                true, error);
    sodium_memzero(text, sizeof text);
    if (st != STATUS_OK) {
        snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "%s", error);
    }
    return st;
}

static enum status
add_epochs_row(struct member_build *b)
{
    struct charter_source *s = b->s;
    const Hr__MemberRow *old = epochs_before(b);
    size_t most = b->keys.count + (old == NULL ? 0 : old->n_epochs);
    Hr__MemberRow *row = source_alloc(s, sizeof *row);
    Hr__NetworkEpoch **epochs = source_alloc(s, (most + 1) * sizeof *epochs);
    size_t count = 0;
    if (row == NULL || epochs == NULL) {
        return source_no_memory(s);
    }
    for (size_t i = 0; old != NULL && i < old->n_epochs; i++) {
        uint32_t number = old->epochs[i]->epoch;
        bool ours = false;
        for (size_t j = 0; j < b->keys.count; j++) {
            ours = ours || b->keys.epochs[j].key.epoch == number;
        }
        if (!ours) { /* its key is lost: it ends, and what it says stays */
            epochs[count] = old->epochs[i];
            epochs[count]->ended = epochs[count]->ended == 0 ? (uint64_t)s->head.issued_at_s
                                                             : epochs[count]->ended;
            count++;
        }
    }
    for (size_t i = 0; i < b->keys.count; i++) {
        const struct charter_epoch_key *e = &b->keys.epochs[i];
        Hr__NetworkEpoch *n = source_alloc(s, sizeof *n);
        uint8_t *check = source_alloc(s, NETWORK_KEY_CHECK_BYTES);
        if (n == NULL || check == NULL) {
            return source_no_memory(s);
        }
        hr__network_epoch__init(n);
        network_key_check(s->head.network, &e->key, check);
        n->epoch = e->key.epoch;
        n->check = (ProtobufCBinaryData){NETWORK_KEY_CHECK_BYTES, check};
        n->from = (uint64_t)e->from_s;
        n->ended = (uint64_t)e->ended_s;
        size_t at = count++;
        for (; at > 0 && epochs[at - 1]->epoch > n->epoch; at--) {
            epochs[at] = epochs[at - 1];
        }
        epochs[at] = n;
    }
    hr__member_row__init(row);
    row->epochs = epochs;
    row->n_epochs = count;
    return source_add(s, &row->base, NULL);
}

/* What was sealed to the same box key before. */
static const Hr__SealedNetworkKey *
sealed_before(const Hr__MemberRow *before, const Hr__PublicKeys *keys, uint32_t epoch)
{
    if (before == NULL || before->n_keys == 0 ||
        memcmp(before->keys[before->n_keys - 1]->box.data, keys->box.data, KEY_BYTES) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < before->n_network_keys; i++) {
        if (before->network_keys[i]->epoch == epoch) {
            return before->network_keys[i];
        }
    }
    return NULL;
}

/* A member had an epoch, under whatever box key. */
static bool
had_epoch(const Hr__MemberRow *before, uint32_t epoch)
{
    for (size_t i = 0; before != NULL && i < before->n_network_keys; i++) {
        if (before->network_keys[i]->epoch == epoch) {
            return true;
        }
    }
    return false;
}

static enum status
seal_to(struct member_build *b, Hr__MemberRow *row)
{
    struct charter_source *s = b->s;
    const Hr__MemberRow *before = find_before(b, row->institution);
    const Hr__PublicKeys *keys = row->keys[row->n_keys - 1];
    row->network_keys =
        source_alloc(s, (NETWORK_KEY_EPOCHS_MAX + 1) * sizeof *row->network_keys);
    if (row->network_keys == NULL) {
        return source_no_memory(s);
    }
    for (size_t i = 0; i < b->keys.count; i++) {
        const struct network_key *key = &b->keys.epochs[i].key;
        const Hr__SealedNetworkKey *old = sealed_before(before, keys, key->epoch);
        bool back = b->keys.count - 1 - i <= s->o->look_back_epochs;
        if (old == NULL && !back && !had_epoch(before, key->epoch)) {
            continue;
        }
        Hr__SealedNetworkKey *k = source_alloc(s, sizeof *k);
        uint8_t *sealed = source_alloc(s, NETWORK_KEY_SEALED_BYTES);
        if (k == NULL || sealed == NULL) {
            return source_no_memory(s);
        }
        hr__sealed_network_key__init(k);
        k->epoch = key->epoch;
        k->sealed = (ProtobufCBinaryData){NETWORK_KEY_SEALED_BYTES, sealed};
        if (old != NULL) {
            memcpy(sealed, old->sealed.data, NETWORK_KEY_SEALED_BYTES);
        } else {
            uint8_t ephemeral[KEY_BYTES];
            randombytes_buf(ephemeral, sizeof ephemeral);
            enum status st = network_key_seal(key, keys->box.data, ephemeral, sealed);
            sodium_memzero(ephemeral, sizeof ephemeral);
            if (st != STATUS_OK) {
                return source_fail(s, st, row->institution, NULL, "box key of %s: %s",
                                   row->institution, status_text(st));
            }
        }
        row->network_keys[row->n_network_keys++] = k;
    }
    return STATUS_OK;
}

/* Who left, or whose keys were revoked, keeps what it had: what was sealed to it
 * before, and no epoch more. */
static void
keep_sealed(struct member_build *b, Hr__MemberRow *row)
{
    const Hr__MemberRow *before = find_before(b, row->institution);
    bool out = row->left[0] != 0 || (row->n_keys > 0 && row->keys[row->n_keys - 1]->to != 0);
    if (before != NULL && out) {
        row->network_keys = before->network_keys;
        row->n_network_keys = before->n_network_keys;
    }
}

/* ---- all ------------------------------------------------------------------ */

static enum status
check_nobody_vanished(struct member_build *b)
{
    for (size_t i = 0; i < b->before_count; i++) {
        const char *code = b->before[i]->institution;
        if (code[0] != 0 && !b->named[i]) {
            return source_fail(b->s, STATUS_MALFORMED, "members", NULL,
                               "%s was a member in version %" PRIu64
                               ": old results need its row; keep it, with left: YYYY-MM-DD",
                               code, b->s->previous.head.version);
        }
    }
    return STATUS_OK;
}

static enum status
read_members(struct member_build *b)
{
    struct charter_source *s = b->s;
    size_t length = strlen(s->o->path);
    enum status st = STATUS_OK;
    for (uint32_t i = 0; st == STATUS_OK && i < s->y->members_count; i++) {
        st = b->count == MEMBERS_MAX ? source_fail(s, STATUS_TOO_BIG, "members", NULL,
                                                   "over %d members", MEMBERS_MAX)
                                     : add_member(b, &s->y->members[i]);
    }
    if (st == STATUS_OK && s->y->csv != NULL) {
        uint8_t *bytes;
        size_t count;
        if ((st = source_read(s, s->y->csv, TABLE_BYTES_MAX, &bytes, &count)) == STATUS_OK) {
            st = add_table(b, (struct view){bytes, count}, s->y->csv);
            free(bytes);
        }
    } else if (st == STATUS_OK && length > 4 && strcmp(s->o->path + length - 4, ".csv") == 0) {
        st = add_table(b, s->text, s->o->path);
    }
    return st;
}

enum status
charter_source_members(struct charter_source *s)
{
    struct member_build *b = calloc(1, sizeof *b);
    enum status st;
    uint32_t highest;
    if (b == NULL) {
        return source_no_memory(s);
    }
    b->s = s;
    b->rows = source_alloc(s, (MEMBERS_MAX + 1) * sizeof *b->rows);
    b->sealed = source_alloc(s, (MEMBERS_MAX + 1) * sizeof *b->sealed);
    if (b->rows == NULL || b->sealed == NULL) {
        free(b);
        return source_no_memory(s);
    }
    if ((st = load_before(b)) == STATUS_OK && (st = read_members(b)) == STATUS_OK &&
        (st = check_nobody_vanished(b)) == STATUS_OK &&
        (st = read_network_keys(b)) == STATUS_OK && (st = check_epoch_keys(b)) == STATUS_OK &&
        (st = advance_epoch(b, &highest)) == STATUS_OK) {
        st = add_epochs_row(b);
        for (size_t i = 0; st == STATUS_OK && i < b->count; i++) {
            if (b->sealed[i]) {
                st = seal_to(b, b->rows[i]);
            } else {
                keep_sealed(b, b->rows[i]);
            }
        }
    }
    sodium_memzero(&b->keys, sizeof b->keys);
    free(b);
    return st;
}
