/* charter_check.c: may this document be adopted?  See charter.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_impl.h"
#include "node/origin.h"
#include "proto/text.h"

__attribute__((format(printf, 3, 4))) static enum status
say(char *reason, enum status st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reason, CHARTER_REASON_CHARS, format, args);
    va_end(args);
    return st;
}

void
charter_what(const struct charter_head *head, char out[CHARTER_WHAT_CHARS])
{
    snprintf(out, CHARTER_WHAT_CHARS, "%s %" PRIu64 " of %s", charter_kind_text(head->kind),
             head->version, head->network);
}

/* ---- what a root says ----------------------------------------------------- */

/* Call `use` for each row of a root. */
static enum status
each_root_row(const struct charter_document *root, void (*use)(void *ctx, const Hr__RootRow *r),
              void *ctx)
{
    enum status st = STATUS_OK;
    assert(root->head.kind == CHARTER_ROOT);
    for (size_t i = 0; st == STATUS_OK && i < root->row_count; i++) {
        uint8_t memory[PB_ARENA_BYTES];
        char reason[CHARTER_REASON_CHARS];
        struct pb_arena arena;
        ProtobufCMessage *m;
        pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
        st = charter_row_decode(CHARTER_ROOT, root->head.network, root->rows[i], &arena, &m,
                                reason);
        if (st == STATUS_OK) {
            use(ctx, (const Hr__RootRow *)m);
        }
        pb_free(&arena);
    }
    return st;
}

struct key_search {
    const char *network;
    const char *role;
    char threshold_name[32];
    struct note_key *keys;
    size_t key_count;
    uint32_t threshold;
    enum status status;
};

static void
use_key_row(void *ctx, const Hr__RootRow *r)
{
    struct key_search *s = ctx;
    if (strcmp(r->name, s->threshold_name) == 0) {
        s->threshold = r->threshold;
    }
    for (size_t i = 0; i < r->n_roles; i++) {
        char name[KEY_NAME_CHARS_MAX + 1];
        if (strcmp(r->roles[i], s->role) != 0) {
            continue;
        }
        if (s->key_count == CHARTER_KEYS_MAX) {
            s->status = STATUS_TOO_BIG;
            return;
        }
        origin_charter_name(s->network, r->name, name);
        enum status st = note_key_make(text_view(name), NOTE_KEY_ED25519, r->public_key.data,
                                       &s->keys[s->key_count]);
        if (st != STATUS_OK) {
            s->status = st;
            return;
        }
        s->key_count++;
    }
}

enum status
charter_root_keys(const struct charter_document *root, enum charter_kind role,
                  struct note_key keys[CHARTER_KEYS_MAX], size_t *key_count,
                  uint32_t *threshold)
{
    struct key_search s = {.network = root->head.network,
                           .role = charter_kind_text(role),
                           .keys = keys,
                           .status = STATUS_OK};
    snprintf(s.threshold_name, sizeof s.threshold_name, "threshold/%s", s.role);
    enum status st = each_root_row(root, use_key_row, &s);
    if (st == STATUS_OK) {
        st = s.status;
    }
    if (st == STATUS_OK && (s.threshold == 0 || !root->whole)) {
        st = STATUS_MALFORMED; /* never "nobody need sign" */
    }
    *key_count = s.key_count;
    *threshold = s.threshold;
    return st;
}

struct hash_search {
    char name[32];
    const struct hash *hash;
    bool found;
};

static void
use_hash_row(void *ctx, const Hr__RootRow *r)
{
    struct hash_search *s = ctx;
    if (strcmp(r->name, s->name) != 0) {
        return;
    }
    for (size_t i = 0; i < r->n_hashes; i++) {
        if (r->hashes[i].len == HASH_BYTES &&
            memcmp(r->hashes[i].data, s->hash->bytes, HASH_BYTES) == 0) {
            s->found = true;
        }
    }
}

static enum status
find_hash(const struct charter_document *root, struct hash_search *s, bool *found)
{
    enum status st = each_root_row(root, use_hash_row, s);
    *found = st == STATUS_OK && s->found;
    return st == STATUS_NO_MEMORY ? st : STATUS_OK;
}

enum status
charter_root_voids(const struct charter_document *root, enum charter_kind kind,
                   const struct hash *hash, bool *voids)
{
    struct hash_search s = {.hash = hash, .found = false};
    snprintf(s.name, sizeof s.name, "void/%s", charter_kind_text(kind));
    return find_hash(root, &s, voids);
}

enum status
charter_root_follows(const struct charter_document *root, const struct hash *hash,
                     bool *follows)
{
    struct hash_search s = {.name = "previous", .hash = hash, .found = false};
    return find_hash(root, &s, follows);
}

/* ---- signatures ----------------------------------------------------------- */

/* "li, wang": the last parts of key names. */
static void
list_names(const struct note_key *keys, size_t count, const struct note_verified *only,
           char *out, size_t room)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < (only == NULL ? count : only->count); i++) {
        const char *name = keys[only == NULL ? i : only->signers[i].key].name;
        const char *slash = strrchr(name, '/');
        int n = snprintf(out + used, room - used, "%s%s", i == 0 ? "" : ", ",
                         slash == NULL ? name : slash + 1);
        if (n < 0 || (size_t)n >= room - used) {
            return; /* cut */
        }
        used += (size_t)n;
    }
}

enum status
charter_check_signed(const struct charter_document *root, enum charter_kind role,
                     struct view note_bytes, const char *what,
                     char reason[CHARTER_REASON_CHARS])
{
    struct note note;
    struct note_verified verified;
    size_t key_count;
    uint32_t threshold;
    char all[100], some[60];
    struct note_key *keys = calloc(CHARTER_KEYS_MAX, sizeof *keys);
    if (keys == NULL) {
        return say(reason, STATUS_NO_MEMORY, "out of memory");
    }
    enum status st = charter_root_keys(root, role, keys, &key_count, &threshold);
    if (st == STATUS_OK) {
        st = charter_note_read(note_bytes, &note);
    }
    if (st != STATUS_OK) {
        say(reason, st, "%s: %s", what, status_text(st));
        goto cleanup;
    }
    st = note_verify(&note, keys, key_count, 0, &verified);
    list_names(keys, key_count, NULL, all, sizeof all);
    if (st == STATUS_UNKNOWN_KEY) {
        say(reason, st,
            "%s is signed by nobody whom root %" PRIu64 " allows (%" PRIu32
            " needed of %s); get it signed, or adopt a newer root first",
            what, root->head.version, threshold, all);
    } else if (st != STATUS_OK) {
        say(reason, st, "%s: %s; the file is damaged or forged, get it again", what,
            status_text(st));
    } else if (verified.count < threshold) {
        list_names(keys, key_count, &verified, some, sizeof some);
        st = say(reason, STATUS_THRESHOLD,
                 "%s has %zu of the %" PRIu32 " signatures that root %" PRIu64
                 " asks for (signed: %s; may sign: %s)",
                 what, verified.count, threshold, root->head.version, some, all);
    }
cleanup:
    free(keys);
    return st;
}

/* ---- time ----------------------------------------------------------------- */

static enum status
check_begun(const struct charter_head *h, const char *what, int64_t now_s, char *reason)
{
    char when[CHARTER_TIME_CHARS], now[CHARTER_TIME_CHARS];
    charter_time_text(now_s, now);
    if (h->issued_at_s > now_s + CHARTER_SKEW_S_MAX) {
        charter_time_text(h->issued_at_s, when);
        return say(reason, STATUS_NOT_YET,
                   "%s was issued at %s, but this clock says %s: one of them is wrong, set it "
                   "right first",
                   what, when, now);
    }
    if (h->valid_from_s > now_s + CHARTER_SKEW_S_MAX) {
        charter_time_text(h->valid_from_s, when);
        return say(reason, STATUS_NOT_YET, "%s is valid from %s (now %s): adopt it then", what,
                   when, now);
    }
    return STATUS_OK;
}

/* ---- first and next ------------------------------------------------------- */

enum status
charter_check_first(const struct charter_document *root, const char *network, int64_t now_s,
                    char reason[CHARTER_REASON_CHARS])
{
    char what[CHARTER_WHAT_CHARS], when[CHARTER_TIME_CHARS];
    enum status st;
    reason[0] = 0;
    charter_what(&root->head, what);
    if (root->head.kind != CHARTER_ROOT || !root->whole) {
        return say(reason, STATUS_REFUSED,
                   "%s: a network begins with its root; adopt that first, or together with it",
                   what);
    }
    if (network != NULL && strcmp(network, root->head.network) != 0) {
        return say(reason, STATUS_REFUSED, "%s: the network here is %s", what, network);
    }
    if ((st = charter_check_signed(root, CHARTER_ROOT, root->note, what, reason)) !=
            STATUS_OK ||
        (st = check_begun(&root->head, what, now_s, reason)) != STATUS_OK) {
        return st;
    }
    if (root->head.stale_after_s < now_s) {
        charter_time_text(root->head.stale_after_s, when);
        return say(
            reason, STATUS_EXPIRED,
            "%s has expired on %s: ask the authority for the root in force, and adopt all "
            "versions together",
            what, when);
    }
    return STATUS_OK;
}

/* The version relation of a root that is not the next one. */
static enum status
check_known_root(const struct charter *c, const struct charter_document *next, const char *what,
                 char *reason)
{
    uint64_t v = next->head.version, first = charter_first_root(c);
    uint64_t ours = c->docs[CHARTER_ROOT]->head.version;
    if (v > ours) {
        return say(reason, STATUS_GAP,
                   "%s: root %" PRIu64
                   " is in hand, and every version between must be adopted; "
                   "adopt root %" PRIu64 " first",
                   what, ours, ours + 1);
    }
    if (v < first) {
        return say(reason, STATUS_ROLLBACK,
                   "%s is older than root %" PRIu64 ", with which trust began here", what,
                   first);
    }
    const struct charter_document *known = charter_root_version(c, v);
    assert(known != NULL);
    if (hash_equal(&known->head.hash, &next->head.hash)) {
        return say(reason, STATUS_EXISTS, "%s is in hand", what);
    }
    /* Only a properly signed second text is a fork; anything else is noise. */
    const struct charter_document *before = charter_root_version(c, v - 1);
    enum status st = charter_check_signed(before != NULL ? before : known, CHARTER_ROOT,
                                          next->note, what, reason);
    if (st != STATUS_OK) {
        return st;
    }
    return say(
        reason, STATUS_FORK,
        "%s: another text with this version is in hand, and both are signed: the keys of "
        "the root are misused; keep both files and call the authority",
        what);
}

static enum status
check_next_root(const struct charter *c, const struct charter_document *next, const char *what,
                char *reason)
{
    const struct charter_document *ours = c->docs[CHARTER_ROOT];
    enum status st;
    if (next->head.version != ours->head.version + 1) {
        return check_known_root(c, next, what, reason);
    }
    if ((st = charter_check_signed(ours, CHARTER_ROOT, next->note, what, reason)) !=
            STATUS_OK ||
        (st = charter_check_signed(next, CHARTER_ROOT, next->note, what, reason)) !=
            STATUS_OK) {
        return st;
    }
    bool follows;
    if ((st = charter_root_follows(next, &ours->head.hash, &follows)) != STATUS_OK) {
        return say(reason, st, "%s: %s", what, status_text(st));
    }
    if (!follows) {
        return say(reason, STATUS_FORK,
                   "%s follows another root %" PRIu64
                   " than the one in hand; keep both files and "
                   "call the authority",
                   what, ours->head.version);
    }
    return STATUS_OK;
}

static enum status
check_next_other(const struct charter *c, const struct charter_document *next, const char *what,
                 char *reason)
{
    const struct charter_document *ours = c->docs[next->head.kind];
    const char *kind = charter_kind_text(next->head.kind);
    if (ours != NULL && hash_equal(&ours->head.hash, &next->head.hash)) {
        return say(reason, STATUS_EXISTS, "%s is in hand", what);
    }
    if (ours != NULL && next->head.version < ours->head.version) {
        return say(reason, STATUS_ROLLBACK,
                   "%s is older than %s %" PRIu64 " in hand; nothing to do", what, kind,
                   ours->head.version);
    }
    enum status st =
        charter_check_signed(c->docs[CHARTER_ROOT], next->head.kind, next->note, what, reason);
    if (st == STATUS_OK && ours != NULL && next->head.version == ours->head.version) {
        st =
            say(reason, STATUS_FORK,
                "%s: another text with this version is in hand, and both are signed; keep both "
                "files and ask the authority to issue version %" PRIu64,
                what, next->head.version + 1);
    }
    return st;
}

static enum status
is_void(const struct charter *c, const struct charter_head *h, bool *voided)
{
    enum status st = STATUS_OK;
    *voided = false;
    for (size_t i = 0; st == STATUS_OK && !*voided && i < c->root_count; i++) {
        st = charter_root_voids(&c->roots[i]->doc, h->kind, &h->hash, voided);
    }
    return st;
}

enum status
charter_check_next(const struct charter *c, const struct charter_document *next, int64_t now_s,
                   char reason[CHARTER_REASON_CHARS])
{
    char what[CHARTER_WHAT_CHARS], when[CHARTER_TIME_CHARS];
    const struct charter_head *h = &next->head;
    enum status st;
    reason[0] = 0;
    charter_what(h, what);
    if (strcmp(h->network, charter_network(c)) != 0) {
        return say(reason, STATUS_REFUSED, "%s: the network here is %s", what,
                   charter_network(c));
    }
    if (!next->whole) {
        return say(reason, STATUS_REFUSED, "%s: not all of its rows are here", what);
    }
    bool voided;
    if ((st = is_void(c, h, &voided)) != STATUS_OK) {
        return say(reason, st, "%s: %s", what, status_text(st));
    }
    if (voided) {
        return say(reason, STATUS_REFUSED, "%s: a root has declared this text void", what);
    }
    st = h->kind == CHARTER_ROOT ? check_next_root(c, next, what, reason)
                                 : check_next_other(c, next, what, reason);
    if (st == STATUS_OK) {
        st = check_begun(h, what, now_s, reason);
    }
    if (st == STATUS_OK) {
        st = charter_check_notice(c, next, reason);
    }
    if (st == STATUS_OK && h->stale_after_s < now_s) {
        charter_time_text(h->stale_after_s, when);
        say(reason, st,
            "%s has expired on %s: it is newer than what is here, but its facts count as "
            "unknown; ask the authority for a newer one",
            what, when);
    }
    return st;
}

/* ---- merging -------------------------------------------------------------- */

/* Keys that may sign this document: of the root in force, or for a root of the
 * one before and its own.  `c` is NULL for the first root. */
static enum status
merge_keys(const struct charter *c, const struct charter_document *ours, struct note_key *keys,
           size_t *count)
{
    uint32_t threshold;
    if (c != NULL && ours->head.kind != CHARTER_ROOT) {
        return charter_root_keys(c->docs[CHARTER_ROOT], ours->head.kind, keys, count,
                                 &threshold);
    }
    enum status st = charter_root_keys(ours, CHARTER_ROOT, keys, count, &threshold);
    const struct charter_document *before =
        c == NULL ? NULL : charter_root_version(c, ours->head.version - 1);
    if (st != STATUS_OK || before == NULL) {
        return st;
    }
    size_t more, kept = *count;
    st = charter_root_keys(before, CHARTER_ROOT, keys + kept, &more, &threshold);
    for (size_t i = kept; st == STATUS_OK && i < kept + more; i++) {
        bool there = false;
        for (size_t j = 0; j < kept; j++) {
            there =
                there || (keys[j].id == keys[i].id && strcmp(keys[j].name, keys[i].name) == 0);
        }
        if (!there) {
            keys[(*count)++] = keys[i];
        }
    }
    return st;
}

enum status
charter_cut_note(const struct charter *c, const struct charter_document *d,
                 uint8_t out[NOTE_BYTES_MAX], size_t *count)
{
    struct note note;
    struct note_verified verified;
    size_t key_count = 0;
    struct note_key *keys = calloc(2 * CHARTER_KEYS_MAX, sizeof *keys);
    enum status st = keys == NULL ? STATUS_NO_MEMORY : merge_keys(c, d, keys, &key_count);
    st = st == STATUS_OK ? charter_note_read(d->note, &note) : st;
    st = st == STATUS_OK ? note_verify(&note, keys, key_count, 0, &verified) : st;
    st = st == STATUS_OK ? note_write(&note, verified.lines, out, NOTE_BYTES_MAX, count) : st;
    free(keys);
    return st;
}

enum status
charter_merge(const struct charter *c, struct view note_bytes, uint8_t out[NOTE_BYTES_MAX],
              size_t *count, size_t *added)
{
    struct note theirs, mine;
    struct charter_head head;
    const struct charter_document *ours;
    size_t key_count;
    struct note_key *keys = NULL;
    *count = 0;
    *added = 0;
    enum status st = charter_note_read(note_bytes, &theirs);
    if (st != STATUS_OK || (st = charter_head_parse(theirs.text, &head)) != STATUS_OK) {
        return st;
    }
    ours =
        head.kind == CHARTER_ROOT ? charter_root_version(c, head.version) : c->docs[head.kind];
    if (ours == NULL || !hash_equal(&ours->head.hash, &head.hash)) {
        return STATUS_NOT_FOUND;
    }
    if ((st = note_parse(ours->note, &mine)) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    keys = calloc(2 * CHARTER_KEYS_MAX, sizeof *keys);
    if (keys == NULL) {
        return STATUS_NO_MEMORY;
    }
    st = merge_keys(c, ours, keys, &key_count);
    if (st == STATUS_OK) {
        st = note_merge(&mine, &theirs, keys, key_count, 0, out, NOTE_BYTES_MAX, count, added);
    }
    free(keys);
    return st;
}
