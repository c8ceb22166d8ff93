#include "node/sync.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum tile_state { TILE_EMPTY = 0, TILE_WANTED, TILE_ASKED, TILE_HELD };

struct sync_tile {
    enum tile_state state;
    uint64_t index;
    unsigned width;
    struct hash expected; /* root of a full tile; unused on the edge */
    struct hash *hashes;  /* TILE_HASHES, allocated with the first answer */
};

enum chunk_state { CHUNK_FREE = 0, CHUNK_WANTED, CHUNK_ASKED, CHUNK_CHECKED };

/* The entries of one level-0 tile that we do not hold yet. */
struct sync_chunk {
    enum chunk_state state;
    uint64_t first;       /* entry */
    uint32_t count;       /* entries wanted */
    uint32_t got;         /* entries received, not yet checked unless CHECKED */
    uint32_t source;      /* who gave them */
    bool mixed;           /* several sources did */
    bool edge;            /* the last, partial tile: compare with the edge's hashes */
    struct hash expected; /* else: the root of the tile */
    uint8_t *bytes;       /* length-prefixed entries, as received */
    size_t byte_count;
    struct hash *leaves;
};

enum stage { STAGE_EDGE, STAGE_PATH, STAGE_FETCH, STAGE_FORKED };

struct sync {
    uint64_t stored, size;
    struct hash root;
    enum stage stage;
    uint32_t edge_source;
    bool edge_mixed;
    struct sync_tile edge[TILE_LEVELS];
    struct sync_tile full[TILE_LEVELS][2]; /* slot: the low bit of the index */
    int path_level;                        /* next level to compare, going down */
    struct hash prefix[TILE_HASHES];       /* leaves of the tile in which `stored` lies */
    uint64_t prefix_tile;                  /* its index, */
    unsigned prefix_count;                 /* and how many leaves of it we held; 0: none */
    struct sync_chunk chunks[SYNC_CHUNKS]; /* slot: tile index modulo SYNC_CHUNKS */
    uint64_t next_tile;                    /* first tile without a chunk */
    size_t held_bytes;
    size_t asked;
    uint64_t fork_index; /* where the trees part: on the level 8 * path_level */
    uint64_t taken;      /* entries handed out by sync_take, 0: none */
    size_t batch_chunks; /* of the next batch: after a failure one, then more again */
};

struct sync *
sync_open(uint64_t stored, uint64_t size, const struct hash *root)
{
    assert(stored < size && size <= TREE_SIZE_MAX);
    struct sync *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->batch_chunks = SYNC_BATCH_CHUNKS;
    s->stored = stored;
    s->size = size;
    s->root = *root;
    s->stage = STAGE_EDGE;
    s->path_level = TILE_LEVELS - 1;
    s->next_tile = stored / TILE_HASHES;
    for (unsigned l = 0; l < TILE_LEVELS; l++) {
        uint64_t hashes = size >> (8 * l); /* complete nodes on this level */
        s->edge[l].index = hashes / TILE_HASHES;
        s->edge[l].width = (unsigned)(hashes % TILE_HASHES);
        s->edge[l].state = s->edge[l].width > 0 ? TILE_WANTED : TILE_EMPTY;
    }
    return s;
}

void
sync_close(struct sync *s)
{
    if (s == NULL) {
        return;
    }
    for (unsigned l = 0; l < TILE_LEVELS; l++) {
        free(s->edge[l].hashes);
        free(s->full[l][0].hashes);
        free(s->full[l][1].hashes);
    }
    for (size_t i = 0; i < SYNC_CHUNKS; i++) {
        free(s->chunks[i].bytes);
        free(s->chunks[i].leaves);
    }
    free(s);
}

uint64_t
sync_size(const struct sync *s)
{
    return s->size;
}

size_t
sync_asked(const struct sync *s)
{
    return s->asked;
}

/* ---- tiles --------------------------------------------------------------- */

/* The tile as it was verified, or NULL; then it, or the first of its
 * ancestors that is missing, is wanted. */
static const struct hash *
tile_need(struct sync *s, unsigned level, uint64_t index)
{
    assert(level < TILE_LEVELS);
    if (index == s->edge[level].index) {
        return s->edge[level].hashes; /* all there since STAGE_EDGE; NULL only when empty */
    }
    struct sync_tile *t = &s->full[level][index & 1];
    if (t->state != TILE_EMPTY && t->index == index) {
        return t->state == TILE_HELD ? t->hashes : NULL;
    }
    if (t->state == TILE_ASKED) {
        return NULL; /* the slot is busy; its answer will free it */
    }
    const struct hash *parent = tile_need(s, level + 1, index / TILE_HASHES);
    if (parent != NULL) {
        t->state = TILE_WANTED;
        t->index = index;
        t->width = TILE_HASHES;
        t->expected = parent[index % TILE_HASHES];
    }
    return NULL;
}

/* The root of the tree whose right edge these tiles are. */
static void
edge_root(const struct sync *s, struct hash *root)
{
    struct tree_edge e = {.size = s->size};
    size_t n = 0;
    for (int l = TILE_LEVELS - 1; l >= 0; l--) {
        const struct sync_tile *t = &s->edge[l];
        unsigned at = 0;
        for (int bit = 7; bit >= 0; bit--) {
            if ((t->width >> bit & 1) != 0) {
                tile_rebuild(t->hashes + at, (unsigned)bit, &e.nodes[n++]);
                at += 1u << bit;
            }
        }
    }
    tree_edge_root(&e, root);
}

/* Compare what can be compared of the path down to the end of our copy. */
static enum status
path_walk(struct sync *s, sync_own_tile own, void *ctx)
{
    while (s->path_level >= 0) {
        unsigned l = (unsigned)s->path_level;
        uint64_t hashes = s->stored >> (8 * l);
        uint64_t index = hashes / TILE_HASHES;
        unsigned width = (unsigned)(hashes % TILE_HASHES);
        uint64_t below = l == TILE_LEVELS - 1 ? UINT64_MAX : (UINT64_C(1) << (8 * (l + 1))) - 1;
        if ((s->stored & below) == 0) {
            break; /* our copy ends with a whole tile: what stands above it was compared */
        }
        const struct hash *theirs = tile_need(s, l, index);
        if (theirs == NULL) {
            if (index == s->edge[l].index && width == 0) {
                s->path_level--;
                continue;
            }
            return STATUS_OK; /* wait for it */
        }
        struct view ours = {0};
        if (width > 0) {
            enum status st = own(ctx, l, index, width, &ours);
            if (st != STATUS_OK) {
                return st;
            }
            if (ours.count != (size_t)width * HASH_BYTES ||
                memcmp(ours.bytes, theirs, ours.count) != 0) {
                unsigned at = 0;
                while (ours.count == (size_t)width * HASH_BYTES && at + 1 < width &&
                       memcmp(ours.bytes + (size_t)at * HASH_BYTES, theirs[at].bytes,
                              HASH_BYTES) == 0) {
                    at++;
                }
                s->fork_index = index * TILE_HASHES + at;
                s->stage = STAGE_FORKED;
                return STATUS_FORK;
            }
        }
        if (l == 0) {
            s->prefix_tile = index;
            s->prefix_count = width;
            memcpy(s->prefix, theirs, width * sizeof s->prefix[0]);
        }
        s->path_level--;
    }
    s->stage = STAGE_FETCH;
    return STATUS_OK;
}

/* After an answer: as far as it goes now. */
static enum status
advance(struct sync *s, sync_own_tile own, void *ctx, uint32_t *blame)
{
    if (s->stage == STAGE_EDGE) {
        for (unsigned l = 0; l < TILE_LEVELS; l++) {
            if (s->edge[l].width > 0 && s->edge[l].state != TILE_HELD) {
                return STATUS_OK;
            }
        }
        struct hash root;
        edge_root(s, &root);
        if (!hash_equal(&root, &s->root)) {
            *blame = s->edge_mixed ? 0 : s->edge_source;
            s->edge_source = 0;
            s->edge_mixed = false;
            for (unsigned l = 0; l < TILE_LEVELS; l++) {
                s->edge[l].state = s->edge[l].width > 0 ? TILE_WANTED : TILE_EMPTY;
            }
            return STATUS_BAD_PROOF;
        }
        s->stage = s->stored == 0 ? STAGE_FETCH : STAGE_PATH;
    }
    return s->stage == STAGE_PATH ? path_walk(s, own, ctx) : STATUS_OK;
}

static enum status
tile_answer(struct sync *s, struct sync_tile *t, bool edge, struct view raw, uint32_t count,
            uint32_t source, uint32_t *blame)
{
    *blame = source;
    t->state = TILE_WANTED;
    if (count != t->width || raw.count != (size_t)count * HASH_BYTES) {
        return STATUS_MALFORMED;
    }
    if (t->hashes == NULL) {
        t->hashes = malloc(TILE_HASHES * sizeof t->hashes[0]);
        if (t->hashes == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    memcpy(t->hashes, raw.bytes, raw.count);
    if (edge) {
        s->edge_mixed = s->edge_mixed || (s->edge_source != 0 && s->edge_source != source);
        s->edge_source = source;
    } else {
        struct hash root;
        tile_root_of_full(t->hashes, &root);
        if (!hash_equal(&root, &t->expected)) {
            return STATUS_BAD_PROOF;
        }
    }
    t->state = TILE_HELD;
    return STATUS_OK;
}

/* A node of their tree, from the tiles that were verified. */
static enum status
read_held(void *ctx, unsigned level, uint64_t index, struct hash *out)
{
    const struct sync *s = ctx;
    unsigned l = level / 8, bits = level % 8;
    uint64_t first = index << bits; /* of the hashes on level 8 * l below it */
    const struct sync_tile *t = &s->edge[l];
    if (l >= TILE_LEVELS) {
        return STATUS_NOT_FOUND;
    }
    if (first / TILE_HASHES != t->index) {
        t = &s->full[l][first / TILE_HASHES & 1];
    }
    if (t->state != TILE_HELD || t->index != first / TILE_HASHES ||
        first % TILE_HASHES + (UINT64_C(1) << bits) > t->width) {
        return STATUS_NOT_FOUND;
    }
    tile_rebuild(t->hashes + first % TILE_HASHES, bits, out);
    return STATUS_OK;
}

bool
sync_fork(struct sync *s, struct sync_fork *out)
{
    if (s->stage != STAGE_FORKED) {
        return false;
    }
    out->level = 8 * (unsigned)s->path_level;
    out->index = s->fork_index;
    return read_held(s, out->level, out->index, &out->node) == STATUS_OK &&
           tree_prove_node(s->size, out->level, out->index, read_held, s, out->path,
                           &out->count) == STATUS_OK;
}

/* ---- chunks --------------------------------------------------------------- */

static struct sync_chunk *
chunk_of(struct sync *s, uint64_t tile)
{
    return &s->chunks[tile % SYNC_CHUNKS];
}

static uint64_t
tile_end(const struct sync *s, uint64_t tile)
{
    uint64_t end = (tile + 1) * TILE_HASHES;
    return end < s->size ? end : s->size;
}

/* Begin the chunk of s->next_tile if the node above it is known. */
static bool
chunk_begin(struct sync *s)
{
    uint64_t tile = s->next_tile;
    if (tile * TILE_HASHES >= s->size || tile >= s->stored / TILE_HASHES + SYNC_CHUNKS ||
        s->held_bytes >= SYNC_BYTES_MAX) {
        return false;
    }
    struct sync_chunk *c = chunk_of(s, tile);
    if (c->state != CHUNK_FREE) {
        return false;
    }
    bool edge = tile == s->edge[0].index;
    if (!edge) {
        const struct hash *above = tile_need(s, 1, tile / TILE_HASHES);
        if (above == NULL) {
            return false;
        }
        c->expected = above[tile % TILE_HASHES];
        /* Ask for the next tile above before it holds us up. */
        uint64_t ahead = tile / TILE_HASHES + 1;
        if (tile % TILE_HASHES >= TILE_HASHES / 2 &&
            ahead * TILE_HASHES * TILE_HASHES < s->size) {
            (void)tile_need(s, 1, ahead);
        }
    }
    c->edge = edge;
    c->first = tile * TILE_HASHES > s->stored ? tile * TILE_HASHES : s->stored;
    c->count = (uint32_t)(tile_end(s, tile) - c->first);
    c->got = 0;
    c->source = 0;
    c->mixed = false;
    c->state = CHUNK_WANTED;
    s->next_tile++;
    return true;
}

static void
chunk_clear(struct sync *s, struct sync_chunk *c, enum chunk_state state)
{
    s->held_bytes -= c->byte_count;
    free(c->bytes);
    free(c->leaves);
    c->bytes = NULL;
    c->leaves = NULL;
    c->byte_count = 0;
    c->got = 0;
    c->source = 0;
    c->mixed = false;
    c->state = state;
}

/* All entries of the chunk are here: do they have the tile's hash? */
static enum status
chunk_check(struct sync *s, struct sync_chunk *c)
{
    struct view entries[TILE_HASHES];
    struct view rest = {c->bytes, c->byte_count};
    struct hash *leaves = malloc(TILE_HASHES * sizeof leaves[0]);
    if (leaves == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        enum status st = tile_bundle_next(&rest, &entries[i]);
        assert(st == STATUS_OK); /* checked when it came */
    }
    uint64_t tile = c->first / TILE_HASHES;
    unsigned skip = (unsigned)(c->first % TILE_HASHES);
    tree_leaf_hashes(entries, c->count, leaves + skip);
    bool good = false;
    if (c->edge) {
        good =
            memcmp(leaves + skip, s->edge[0].hashes + skip, c->count * sizeof leaves[0]) == 0;
    } else {
        assert(skip == 0 || (s->prefix_count == skip && s->prefix_tile == tile));
        memcpy(leaves, s->prefix, skip * sizeof leaves[0]);
        struct hash root;
        tile_root_of_full(leaves, &root);
        good = hash_equal(&root, &c->expected);
    }
    if (!good) {
        free(leaves);
        return STATUS_BAD_PROOF;
    }
    memmove(leaves, leaves + skip, c->count * sizeof leaves[0]);
    c->leaves = leaves;
    c->state = CHUNK_CHECKED;
    return STATUS_OK;
}

static enum status
chunk_answer(struct sync *s, struct sync_chunk *c, struct view raw, uint32_t count,
             uint32_t source, uint32_t *blame)
{
    *blame = source;
    c->state = CHUNK_WANTED;
    struct view rest = raw, entry;
    bool shaped = count > 0 && count <= c->count - c->got;
    for (uint32_t i = 0; shaped && i < count; i++) {
        shaped = tile_bundle_next(&rest, &entry) == STATUS_OK && entry.count <= ENTRY_BYTES_MAX;
    }
    if (!shaped || rest.count != 0) {
        chunk_clear(s, c, CHUNK_WANTED);
        return STATUS_MALFORMED;
    }
    uint8_t *bytes = realloc(c->bytes, c->byte_count + raw.count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(bytes + c->byte_count, raw.bytes, raw.count);
    c->bytes = bytes;
    c->byte_count += raw.count;
    s->held_bytes += raw.count;
    c->got += count;
    c->mixed = c->mixed || (c->source != 0 && c->source != source);
    c->source = source;
    if (c->got < c->count) {
        return STATUS_OK; /* large entries: the rest comes with the next answer */
    }
    enum status st = chunk_check(s, c);
    if (st == STATUS_BAD_PROOF) {
        *blame = c->mixed ? 0 : source;
        chunk_clear(s, c, CHUNK_WANTED);
    }
    return st;
}

/* ---- asks ----------------------------------------------------------------- */

static bool
ask_tile(struct sync *s, struct sync_tile *t, unsigned level, uint32_t prefer,
         struct sync_ask *out)
{
    if (t->state != TILE_WANTED) {
        return false;
    }
    t->state = TILE_ASKED;
    s->asked++;
    *out = (struct sync_ask){.what = SYNC_TILE,
                             .level = level,
                             .from = t->index,
                             .count = t->width,
                             .prefer = prefer};
    return true;
}

static bool
ask_chunk(struct sync *s, struct sync_chunk *c, struct sync_ask *out)
{
    if (c->state != CHUNK_WANTED) {
        return false;
    }
    c->state = CHUNK_ASKED;
    s->asked++;
    *out = (struct sync_ask){.what = SYNC_ENTRIES,
                             .from = c->first + c->got,
                             .count = c->count - c->got,
                             .prefer = c->source};
    return true;
}

bool
sync_next(struct sync *s, struct sync_ask *out)
{
    if (s->stage == STAGE_FORKED) {
        return false;
    }
    for (unsigned l = 0; l < TILE_LEVELS; l++) {
        if (s->stage == STAGE_EDGE) {
            if (ask_tile(s, &s->edge[l], l, s->edge_source, out)) {
                return true;
            }
        } else if (ask_tile(s, &s->full[l][0], l, 0, out) ||
                   ask_tile(s, &s->full[l][1], l, 0, out)) {
            return true;
        }
    }
    if (s->stage != STAGE_FETCH) {
        return false;
    }
    for (uint64_t tile = s->stored / TILE_HASHES; tile < s->next_tile; tile++) {
        if (ask_chunk(s, chunk_of(s, tile), out)) {
            return true;
        }
    }
    if (chunk_begin(s)) {
        return ask_chunk(s, chunk_of(s, s->next_tile - 1), out);
    }
    for (unsigned l = 0; l < TILE_LEVELS; l++) { /* what chunk_begin found missing */
        if (ask_tile(s, &s->full[l][0], l, 0, out) || ask_tile(s, &s->full[l][1], l, 0, out)) {
            return true;
        }
    }
    return false;
}

/* Where an ask belongs, if it is still one of ours. */
static struct sync_tile *
tile_of_ask(struct sync *s, const struct sync_ask *ask, bool *edge)
{
    if (ask->what != SYNC_TILE || ask->level >= TILE_LEVELS) {
        return NULL;
    }
    struct sync_tile *t = &s->edge[ask->level];
    *edge = t->index == ask->from;
    if (!*edge) {
        t = &s->full[ask->level][ask->from & 1];
    }
    return t->index == ask->from && t->state == TILE_ASKED ? t : NULL;
}

static struct sync_chunk *
chunk_of_ask(struct sync *s, const struct sync_ask *ask)
{
    if (ask->what != SYNC_ENTRIES) {
        return NULL;
    }
    struct sync_chunk *c = chunk_of(s, ask->from / TILE_HASHES);
    return c->state == CHUNK_ASKED && c->first + c->got == ask->from ? c : NULL;
}

void
sync_abandon(struct sync *s, const struct sync_ask *ask)
{
    bool edge = false;
    struct sync_tile *t = tile_of_ask(s, ask, &edge);
    struct sync_chunk *c = chunk_of_ask(s, ask);
    if (t != NULL) {
        t->state = TILE_WANTED;
        s->asked--;
        if (edge && s->edge_source == ask->prefer) {
            s->edge_source = 0; /* it went silent: whoever is next may give the rest */
        }
    } else if (c != NULL) {
        s->asked--;
        chunk_clear(s, c, CHUNK_WANTED); /* so that one source gives all of it */
    }
}

enum status
sync_answer(struct sync *s, const struct sync_ask *ask, struct view raw, uint32_t count,
            uint32_t source, sync_own_tile own, void *ctx, uint32_t *blame)
{
    assert(source != 0);
    *blame = 0;
    bool edge = false;
    struct sync_tile *t = tile_of_ask(s, ask, &edge);
    struct sync_chunk *c = chunk_of_ask(s, ask);
    enum status st = STATUS_OK;
    if (t != NULL) {
        s->asked--;
        st = tile_answer(s, t, edge, raw, count, source, blame);
        return st == STATUS_OK ? advance(s, own, ctx, blame) : st;
    }
    if (c != NULL) {
        s->asked--;
        return chunk_answer(s, c, raw, count, source, blame);
    }
    return STATUS_OK; /* answered by somebody else meanwhile */
}

/* ---- what can be stored ---------------------------------------------------- */

enum status
sync_take(struct sync *s, bool all, struct sync_batch *out)
{
    memset(out, 0, sizeof *out);
    if (s->taken > 0 || s->stage != STAGE_FETCH) {
        return STATUS_NOT_FOUND;
    }
    size_t chunks = 0, bytes = 0, count = 0;
    uint64_t tile = s->stored / TILE_HASHES;
    while (tile < s->next_tile && chunks < s->batch_chunks && bytes < SYNC_BATCH_BYTES &&
           chunk_of(s, tile)->state == CHUNK_CHECKED) {
        bytes += chunk_of(s, tile)->byte_count;
        count += chunk_of(s, tile)->count;
        chunks++;
        tile++;
    }
    bool complete = s->stored + count == s->size;
    if (count == 0 ||
        (!all && !complete && chunks < s->batch_chunks && bytes < SYNC_BATCH_BYTES)) {
        return STATUS_NOT_FOUND;
    }
    out->entries = malloc(count * sizeof out->entries[0]);
    out->leaves = malloc(count * sizeof out->leaves[0]);
    if (out->entries == NULL || out->leaves == NULL) {
        free(out->entries);
        free(out->leaves);
        memset(out, 0, sizeof *out);
        return STATUS_NO_MEMORY;
    }
    size_t at = 0;
    tile = s->stored / TILE_HASHES;
    for (size_t i = 0; i < chunks; i++) {
        struct sync_chunk *c = chunk_of(s, tile + i);
        struct view rest = {c->bytes, c->byte_count};
        memcpy(out->leaves + at, c->leaves, c->count * sizeof out->leaves[0]);
        for (uint32_t k = 0; k < c->count; k++) {
            enum status st = tile_bundle_next(&rest, &out->entries[at++]);
            assert(st == STATUS_OK);
        }
    }
    out->first = s->stored;
    out->count = count;
    out->complete = complete;
    s->taken = count;
    return STATUS_OK;
}

void
sync_stored(struct sync *s, bool ok)
{
    assert(s->taken > 0);
    uint64_t end = s->stored + s->taken;
    s->taken = 0;
    if (!ok) {
        s->batch_chunks = 1; /* where there is little room, some still fit */
        return;
    }
    s->batch_chunks =
        s->batch_chunks > SYNC_BATCH_CHUNKS / 2 ? SYNC_BATCH_CHUNKS : 2 * s->batch_chunks;
    for (uint64_t tile = s->stored / TILE_HASHES; tile * TILE_HASHES < end; tile++) {
        chunk_clear(s, chunk_of(s, tile), CHUNK_FREE);
    }
    s->stored = end;
}
