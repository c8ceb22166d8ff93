/* sync.h: bringing one copy of a log up to a signed head.
 *
 * Source: DESIGN 9, 10; FORMATS 5.  What is asked for, in this order:
 *   1. the tiles on the right edge of the new tree: they hash up to the root;
 *   2. the tiles above the end of our copy: their beginnings must be our own
 *      nodes, which is the consistency of old and new head (RFC 9162 2.1.4);
 *   3. entries, a tile's worth (256) at a time, each checked against its node
 *      one level up (or the tile of the edge) before it is given out to be stored.
 * Garbage costs at most one tile and says whose it was.  Pure but for memory:
 * whom to ask and when to give up is the caller's. */
#ifndef NODE_SYNC_H
#define NODE_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/tile.h"
#include "crypto/treebuild.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    SYNC_CHUNKS = 256,                  /* window: this many tiles ahead of the store */
    SYNC_BATCH_CHUNKS = 64,             /* stored in one go, if there are so many */
    SYNC_BATCH_BYTES = 8 * 1024 * 1024, /* ... or so many bytes */
    SYNC_BYTES_MAX = 32 * 1024 * 1024,  /* held, beyond which only the first chunk is asked */
};

enum { SYNC_TILE = 1, SYNC_ENTRIES = 2 }; /* RangeAsk.what */

/* One RangeAsk. */
struct sync_ask {
    uint32_t what;
    uint32_t level;  /* of a tile */
    uint64_t from;   /* tile index, or first entry */
    uint32_t count;  /* width, or entries */
    uint32_t prefer; /* source that gave the rest of this piece; 0: anyone */
};

struct sync; /* opaque */

/* Give `width` hashes of our own tile (level, index), from the store. */
typedef enum status (*sync_own_tile)(void *ctx, unsigned level, uint64_t index, unsigned width,
                                     struct view *out);

/* Work from `stored` entries held to the tree of `size` entries with the root
 * `root`, whose signature was verified.  stored < size (asserted).
 * NULL: no memory. */
struct sync *sync_open(uint64_t stored, uint64_t size, const struct hash *root);
void sync_close(struct sync *s); /* NULL is allowed. */

uint64_t sync_size(const struct sync *s);

/* What to ask next; it counts as asked.  False: nothing for now. */
bool sync_next(struct sync *s, struct sync_ask *out);

/* The ask was not answered, or refused: it will be given again. */
void sync_abandon(struct sync *s, const struct sync_ask *ask);

/* An answer from `source` (not 0): the raw part, and how many hashes or
 * entries it is said to hold.  *blame is who gave garbage, 0: cannot be told.
 *
 * STATUS_OK
 * STATUS_MALFORMED, STATUS_BAD_PROOF  garbage; it will be asked again.
 * STATUS_FORK       the new tree does not begin with our copy.  The end.
 * STATUS_NO_MEMORY
 * else              what `own` said. */
MUST_USE enum status sync_answer(struct sync *s, const struct sync_ask *ask, struct view raw,
                                 uint32_t count, uint32_t source, sync_own_tile own, void *ctx,
                                 uint32_t *blame);

/* After STATUS_FORK: a node that is final in our copy and has another value in
 * their tree, with its path to the root of theirs.  False: it cannot be shown. */
struct sync_fork {
    unsigned level;
    uint64_t index;
    struct hash node;
    struct hash path[TREE_PROOF_HASHES_MAX];
    size_t count;
};
bool sync_fork(struct sync *s, struct sync_fork *out);

/* Verified entries that can be appended now. */
struct sync_batch {
    uint64_t first;
    size_t count;
    struct view *entries; /* these two are the caller's to free; the bytes are the sync's
                             until sync_stored */
    struct hash *leaves;
    bool complete; /* with these the head is reached */
};

/* Take the next batch, at most one at a time.  `all`: whatever there is, not
 * only a large one.  STATUS_NOT_FOUND: none.  STATUS_NO_MEMORY. */
MUST_USE enum status sync_take(struct sync *s, bool all, struct sync_batch *out);

/* The batch was stored (or not: then it will be given out again). */
void sync_stored(struct sync *s, bool ok);

/* Asks without an answer. */
size_t sync_asked(const struct sync *s);

#endif
