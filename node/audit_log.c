/* audit_log.c: what the entries of a log say, and logs as static files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "crypto/tile.h"
#include "node/audit.h"
#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"

/* ---- claims ---- */

enum { CLAIMS_MAX = 4 * 1024 * 1024, TOLD_MAX = 1000 };

bool
audit_claim_read(struct view entry, struct audit_claim *out, bool *readable)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    const ProtobufCBinaryData *token = NULL;
    bool claims = false;

    *readable = false;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__pub_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &m) ==
        STATUS_OK) {
        const Hr__PubEntry *e = (const Hr__PubEntry *)m;
        claims = e->what_case == HR__PUB_ENTRY__WHAT_CORRECT ||
                 e->what_case == HR__PUB_ENTRY__WHAT_WITHDRAW;
        if (e->what_case == HR__PUB_ENTRY__WHAT_CORRECT) {
            token = &e->correct->token;
            out->replaces = e->correct->replaces;
        } else if (e->what_case == HR__PUB_ENTRY__WHAT_WITHDRAW) {
            token = &e->withdraw->token;
            out->replaces = e->withdraw->replaces;
        } else if (e->what_case == HR__PUB_ENTRY__WHAT_PUBLISH) {
            token = &e->publish->token;
        }
        *readable = token != NULL && token->len == TOKEN_BYTES;
        if (*readable) {
            memcpy(out->token, token->data, TOKEN_BYTES);
        }
    }
    pb_free(&arena);
    return claims && *readable;
}

bool
audit_sealed_of(void *context, struct view origin, struct view entry,
                uint8_t sealed[HASH_BYTES])
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    const ProtobufCBinaryData *hash = NULL;

    (void)context;
    (void)origin;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__pub_entry__descriptor, entry, ENTRY_BYTES_MAX, &arena, &m) ==
        STATUS_OK) {
        const Hr__PubEntry *e = (const Hr__PubEntry *)m;
        hash = e->what_case == HR__PUB_ENTRY__WHAT_PUBLISH   ? &e->publish->sealed
               : e->what_case == HR__PUB_ENTRY__WHAT_CORRECT ? &e->correct->sealed
                                                             : NULL;
    }
    bool is = hash != NULL && hash->len == HASH_BYTES;
    if (is) {
        memcpy(sealed, hash->data, HASH_BYTES);
    }
    pb_free(&arena);
    return is;
}

static int
by_target(const void *a, const void *b)
{
    const struct audit_claim *x = a, *y = b;

    if (x->replaces != y->replaces) {
        return x->replaces < y->replaces ? -1 : 1;
    }
    return x->leaf < y->leaf ? -1 : x->leaf > y->leaf;
}

/* What is wrong with a claim on a leaf that nobody replaced before; NULL: nothing. */
static const char *
claim_fault(const struct audit_claim *claim, const struct audit_claim *target, bool readable,
            bool withdraw)
{
    if (claim->replaces >= claim->leaf) {
        return "which does not stand before it";
    }
    if (!readable || memcmp(claim->token, target->token, TOKEN_BYTES) != 0) {
        return "which stands under another token";
    }
    return withdraw ? "which is a withdrawal itself" : NULL;
}

/* Claims of one target, in the order of the log. */
static enum status
judge_target(const struct audit_claim *claims, size_t count, struct view origin,
             audit_entry_fn entry, void *context, struct audit_sink *sink)
{
    struct audit_claim target;
    struct view bytes;
    bool readable = false, is_claim = false, taken = false;
    uint64_t by = 0;
    enum status st = entry(context, claims[0].replaces, &bytes);

    if (st != STATUS_OK && st != STATUS_NOT_FOUND && st != STATUS_CORRUPT) {
        return st;
    }
    if (st == STATUS_OK) {
        target.replaces = UINT64_MAX;
        is_claim = audit_claim_read(bytes, &target, &readable);
    }
    /* A Correct has a brief or a record, a Withdraw has neither: ask the entry. */
    bool withdraw = false;
    if (is_claim) {
        uint8_t memory[PB_ARENA_BYTES];
        struct pb_arena arena;
        ProtobufCMessage *m;
        pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
        withdraw = pb_unpack(&hr__pub_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) ==
                       STATUS_OK &&
                   ((const Hr__PubEntry *)m)->what_case == HR__PUB_ENTRY__WHAT_WITHDRAW;
        pb_free(&arena);
    }
    for (size_t i = 0; i < count; i++) {
        const struct audit_claim *c = &claims[i];
        const char *fault = claim_fault(c, &target, readable, withdraw);
        if (fault == NULL && taken) {
            audit_report(sink, AUDIT_CONTRADICTION, "entry", origin, &c->leaf,
                         "replaces entry %llu, which entry %llu replaced before",
                         (unsigned long long)c->replaces, (unsigned long long)by);
        } else if (fault != NULL) {
            audit_report(sink, AUDIT_CONTRADICTION, "entry", origin, &c->leaf,
                         "replaces entry %llu, %s", (unsigned long long)c->replaces, fault);
        } else {
            taken = true;
            by = c->leaf;
        }
    }
    return STATUS_OK;
}

enum status
audit_claims(struct audit_claim *claims, size_t count, struct view origin, audit_entry_fn entry,
             void *context, struct audit_sink *sink)
{
    enum status st = STATUS_OK;

    if (count > 1) {
        qsort(claims, count, sizeof *claims, by_target);
    }
    for (size_t i = 0, n; i < count && st == STATUS_OK; i += n) {
        for (n = 1; i + n < count && claims[i + n].replaces == claims[i].replaces; n++) {
        }
        st = judge_target(&claims[i], n, origin, entry, context, sink);
    }
    return st;
}

/* ---- static files ---- */

struct level {
    struct hash hashes[TILE_HASHES];
    unsigned count;
    uint64_t index; /* of the tile that is being filled */
};

struct files {
    struct audit_log *log;
    struct audit_sink *sink;
    struct view origin;
    struct level levels[TILE_LEVELS];
    uint8_t *note;
    size_t note_count;
    struct hash root; /* of the head */
    uint64_t told;
    struct audit_claim *claims;
    size_t claim_count, claim_room;
    uint8_t *bundle; /* of entry_of */
    size_t bundle_count;
    uint64_t bundle_index;
};

static void
damage(struct files *f, const char *part, unsigned level, uint64_t index, const char *what)
{
    struct audit_finding finding = {.kind = AUDIT_DAMAGE,
                                    .part = part,
                                    .origin = f->origin,
                                    .has_index = true,
                                    .index = index,
                                    .has_level = part[0] == 't',
                                    .level = level};

    f->sink->damages++;
    if (f->told++ < TOLD_MAX) {
        snprintf(finding.what, sizeof finding.what, "%s", what);
        f->sink->finding(f->sink->context, &finding);
    }
}

static enum status
read_head(struct audit_log *log, uint8_t **bytes, size_t *count, struct note *note,
          struct checkpoint *head)
{
    enum status st = log->read(log->context, "checkpoint", NOTE_BYTES_MAX, bytes, count);

    if (st == STATUS_OK) {
        st = note_parse((struct view){*bytes, *count}, note);
        st = st == STATUS_OK ? checkpoint_parse(note->text, head) : st;
        st = st == STATUS_OK ? STATUS_OK : STATUS_MALFORMED;
    }
    if (st == STATUS_OK) {
        memcpy(log->origin, head->origin.bytes, head->origin.count);
        log->origin[head->origin.count] = '\0';
        log->size = head->size;
    }
    return st;
}

enum status
audit_log_head(struct audit_log *log)
{
    uint8_t *bytes = NULL;
    size_t count;
    struct note note;
    struct checkpoint head;
    enum status st = read_head(log, &bytes, &count, &note, &head);

    free(bytes);
    return st;
}

/* The level's tile is what its file says. */
static enum status
compare_tile(struct files *f, unsigned level, unsigned width)
{
    const struct level *l = &f->levels[level];
    struct tile tile = {level, l->index, width};
    char path[TILE_PATH_BYTES_MAX];
    uint8_t *bytes = NULL;
    size_t count = 0;

    tile_path(&tile, path);
    enum status st = f->log->read(f->log->context, path, TILE_BYTES, &bytes, &count);
    if (st == STATUS_NOT_FOUND) {
        damage(f, "tile", level, l->index, "the tile is missing");
    } else if (st == STATUS_OK || st == STATUS_TOO_BIG) {
        if (st != STATUS_OK || count != (size_t)width * HASH_BYTES ||
            memcmp(bytes, l->hashes, count) != 0) {
            damage(f, "tile", level, l->index, "the tile differs from the entries under it");
        }
        f->log->tiles++;
    } else {
        return st;
    }
    free(bytes);
    return STATUS_OK;
}

/* A full tile is done: its root goes one level up. */
static enum status
close_tile(struct files *f, unsigned level)
{
    enum status st = STATUS_OK;

    for (; st == STATUS_OK && f->levels[level].count == TILE_HASHES; level++) {
        struct level *l = &f->levels[level], *up = l + 1;
        st = compare_tile(f, level, TILE_HASHES);
        if (level + 1 < TILE_LEVELS) {
            tile_root_of_full(l->hashes, &up->hashes[up->count++]);
        }
        l->count = 0;
        l->index++;
        if (level + 1 == TILE_LEVELS) {
            break;
        }
    }
    return st;
}

static enum status
edge_node(void *context, unsigned level, uint64_t index, struct hash *out)
{
    const struct files *f = context;
    struct tile_place place;

    tile_place_of(level, index, &place);
    const struct level *l = &f->levels[place.tile_level];
    if (place.tile_level >= TILE_LEVELS || place.tile_index != l->index ||
        place.first + (1u << place.rows) > l->count) {
        return STATUS_NOT_FOUND;
    }
    tile_rebuild(&l->hashes[place.first], place.rows, out);
    return STATUS_OK;
}

/* Compare with what is known of this log, where its size lies in the tile in hand. */
static enum status
compare_known(struct files *f)
{
    struct level *l = &f->levels[0];
    unsigned count = l->count;
    uint64_t from = l->index * TILE_HASHES;
    enum status st = STATUS_OK;

    for (size_t i = 0; st == STATUS_OK && i < f->log->known_count; i++) {
        struct audit_known *k = &f->log->known[i];
        struct hash root;
        if (k->seen || k->size < from || k->size - from > count ||
            k->size - from == TILE_HASHES) {
            continue; /* A full tile is compared when its root stands one level up. */
        }
        l->count = (unsigned)(k->size - from);
        st = tree_root_at(k->size, edge_node, f, &root);
        k->seen = true;
        k->agrees = st == STATUS_OK && hash_equal(&root, &k->root);
    }
    l->count = count;
    return st;
}

static void
judge_known(struct files *f)
{
    for (size_t i = 0; i < f->log->known_count; i++) {
        const struct audit_known *k = &f->log->known[i];
        if (k->seen && !k->agrees) {
            audit_report(f->sink, AUDIT_DAMAGE, "log", f->origin, &k->size,
                         "it is not the log that %s shows: another root at size %llu", k->name,
                         (unsigned long long)k->size);
        } else if (k->size > f->log->size) {
            audit_report(f->sink, AUDIT_UNKNOWN, "log", f->origin, &f->log->size,
                         "%s shows %llu entries, handed over are %llu: ask for the rest",
                         k->name, (unsigned long long)k->size,
                         (unsigned long long)f->log->size);
        }
    }
}

static enum status
take_claim(struct files *f, uint64_t leaf, struct view entry)
{
    struct audit_claim claim = {.leaf = leaf};
    bool readable;

    if (!audit_claim_read(entry, &claim, &readable)) {
        return STATUS_OK;
    }
    if (f->claim_count == f->claim_room) {
        size_t room = f->claim_room == 0 ? 1024 : 2 * f->claim_room;
        struct audit_claim *more =
            room > CLAIMS_MAX ? NULL : realloc(f->claims, room * sizeof *more);
        if (more == NULL) {
            return room > CLAIMS_MAX ? STATUS_TOO_BIG : STATUS_NO_MEMORY;
        }
        f->claims = more;
        f->claim_room = room;
    }
    f->claims[f->claim_count++] = claim;
    return STATUS_OK;
}

/* The entries of one bundle become the leaves of the tile in hand. */
static enum status
take_bundle(struct files *f, unsigned width, bool pub)
{
    struct level *l = &f->levels[0];
    struct view entries[TILE_HASHES], rest, tile_bytes;
    char path[TILE_PATH_BYTES_MAX];
    struct tile tile = {0, l->index, width};
    uint8_t *bundle = NULL, *hashes = NULL;
    size_t count = 0, hash_count = 0;

    tile_entries_path(l->index, width, path);
    enum status st = f->log->read(f->log->context, path, TILE_HASHES * (ENTRY_BYTES_MAX + 2),
                                  &bundle, &count);
    rest = (struct view){bundle, count};
    if (st == STATUS_NOT_FOUND || st == STATUS_TOO_BIG ||
        (st == STATUS_OK && tile_bundle_check(rest, width) != STATUS_OK)) {
        damage(f, "bundle", 0, l->index,
               st == STATUS_NOT_FOUND ? "the file of these entries is missing"
                                      : "the file of these entries is damaged");
        free(bundle);
        /* Go on with what the tile says, so that the rest can be checked. */
        tile_path(&tile, path);
        st = f->log->read(f->log->context, path, TILE_BYTES, &bundle, &count);
        if (st == STATUS_OK && count == (size_t)width * HASH_BYTES) {
            memcpy(l->hashes, bundle, count);
        } else {
            memset(l->hashes, 0, sizeof l->hashes);
        }
        l->count = width;
        free(bundle);
        return st == STATUS_NOT_FOUND || st == STATUS_TOO_BIG ? STATUS_OK : st;
    }
    for (unsigned i = 0; st == STATUS_OK && i < width; i++) {
        st = tile_bundle_next(&rest, &entries[i]);
    }
    if (st != STATUS_OK) {
        free(bundle);
        return st;
    }
    tree_leaf_hashes(entries, width, l->hashes);
    l->count = width;
    f->log->entries += width;
    /* Which entries differ, if the tile does. */
    tile_path(&tile, path);
    if (f->log->read(f->log->context, path, TILE_BYTES, &hashes, &hash_count) == STATUS_OK &&
        hash_count == (size_t)width * HASH_BYTES) {
        tile_bytes = (struct view){hashes, hash_count};
        for (unsigned i = 0; i < width; i++) {
            if (memcmp(tile_bytes.bytes + i * HASH_BYTES, l->hashes[i].bytes, HASH_BYTES) !=
                0) {
                damage(f, "entry", 0, l->index * TILE_HASHES + i,
                       "the entry differs from its leaf hash");
            }
        }
    }
    free(hashes);
    for (unsigned i = 0; pub && st == STATUS_OK && i < width; i++) {
        st = take_claim(f, l->index * TILE_HASHES + i, entries[i]);
    }
    free(bundle);
    return st;
}

static enum status
entry_of(void *context, uint64_t index, struct view *entry)
{
    struct files *f = context;
    uint64_t tile = index / TILE_HASHES;
    unsigned width = tile_width(0, tile, f->log->size);
    char path[TILE_PATH_BYTES_MAX];

    if (index >= f->log->size) {
        return STATUS_NOT_FOUND;
    }
    if (f->bundle == NULL || f->bundle_index != tile) {
        free(f->bundle);
        f->bundle = NULL;
        tile_entries_path(tile, width, path);
        enum status st =
            f->log->read(f->log->context, path, TILE_HASHES * (ENTRY_BYTES_MAX + 2), &f->bundle,
                         &f->bundle_count);
        if (st != STATUS_OK) {
            return st;
        }
        f->bundle_index = tile;
    }
    struct view rest = {f->bundle, f->bundle_count};
    enum status st = STATUS_OK;
    for (uint64_t i = 0; st == STATUS_OK && i <= index % TILE_HASHES; i++) {
        st = tile_bundle_next(&rest, entry);
    }
    return st == STATUS_OK ? st : STATUS_NOT_FOUND;
}

/* Signatures on the head, and the root under it. */
static void
judge_head(struct files *f, const struct note *note)
{
    const struct audit_keys *keys = f->log->keys;
    struct note_verified verified;

    if (!hash_equal(&f->log->root, &f->root)) {
        damage(f, "log", 0, f->log->size,
               "the entries do not have the root of the signed head");
    }
    if (keys == NULL || keys->log_count == 0) {
        audit_report(f->sink, AUDIT_UNKNOWN, "head", f->origin, NULL,
                     "no key of this log is known: name one with --vkey, or a home whose "
                     "charter has it with --home");
        return;
    }
    enum status st = note_verify(note, keys->keys, keys->count, INT64_MAX, &verified);
    for (size_t i = 0; st == STATUS_OK && i < verified.count; i++) {
        f->log->head_signed = f->log->head_signed || verified.signers[i].key < keys->log_count;
        f->sink->cosignatures += verified.signers[i].key >= keys->log_count;
    }
    if (!f->log->head_signed) {
        audit_report(f->sink, AUDIT_DAMAGE, "head", f->origin, NULL,
                     "the head is not signed by a key of this log");
    } else {
        f->sink->heads++;
    }
}

static enum status
run(struct files *f, const struct note *note, bool pub)
{
    struct audit_log *log = f->log;
    enum status st = STATUS_OK;

    while (st == STATUS_OK && f->levels[0].index * TILE_HASHES < log->size) {
        uint64_t done = f->levels[0].index * TILE_HASHES;
        unsigned width = tile_width(0, f->levels[0].index, log->size);
        if (log->progress != NULL && !log->progress(log->context, done, log->size)) {
            return STATUS_UNAVAILABLE;
        }
        st = take_bundle(f, width, pub);
        st = st == STATUS_OK ? compare_known(f) : st;
        if (st == STATUS_OK && width == TILE_HASHES) {
            st = close_tile(f, 0);
        } else {
            break;
        }
    }
    for (unsigned level = 0; st == STATUS_OK && level < TILE_LEVELS; level++) {
        if (f->levels[level].count > 0) {
            st = compare_tile(f, level, f->levels[level].count);
        }
    }
    st = st == STATUS_OK ? compare_known(f) : st;
    st = st == STATUS_OK ? tree_root_at(log->size, edge_node, f, &log->root) : st;
    if (st == STATUS_OK) {
        judge_head(f, note);
        judge_known(f);
    }
    return st == STATUS_OK
               ? audit_claims(f->claims, f->claim_count, f->origin, entry_of, f, f->sink)
               : st;
}

enum status
audit_log(struct audit_log *log, struct audit_sink *sink)
{
    struct files *f = calloc(1, sizeof *f);
    struct note note;
    struct checkpoint head;
    struct origin o;

    if (f == NULL) {
        return STATUS_NO_MEMORY;
    }
    f->log = log;
    f->sink = sink;
    enum status st = read_head(log, &f->note, &f->note_count, &note, &head);
    if (st == STATUS_OK) {
        f->root = head.root;
        f->origin = (struct view){(const uint8_t *)log->origin, strlen(log->origin)};
        st = run(f, &note, origin_parse(f->origin, &o) == STATUS_OK && o.log == ORIGIN_PUB);
    }
    free(f->claims);
    free(f->bundle);
    free(f->note);
    free(f);
    return st;
}
