/* store.h: a home's durable state, in one LMDB environment: opening,
 * transactions, room.  What it holds is in log.h (logs, tiles, records),
 * index.h (handles), charter.h and kv.h (named values, blobs, salts).
 * Source: DESIGN 3, 6, 10; RELIABILITY L1 to L13.
 *
 * Ownership, in four rules:
 *   1. store_open gives the caller a store; store_close takes it back.
 *   2. A transaction belongs to the thread that began it, and ends exactly
 *      once: store_commit or store_abort.  Both free it, whatever they return.
 *   3. A `struct view` points into the memory map.  It is valid until its
 *      transaction ends or, in a write transaction, until the next write.
 *   4. Threads may share a store.  Reads are snapshots and wait only while the
 *      map grows; keep them under a second and never across network I/O (L2).
 *
 * LMDB has no checksums, so a row is served only after its hash was checked:
 * STATUS_CORRUPT means that the disk is damaged.  A damaged *page* can make
 * LMDB itself abort the process: open a file that was restored or received in
 * a child process first and run store_check there (check.h).  After fork a
 * child must not use a store of its parent: that is asserted (L5). */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

struct store;     /* opaque */
struct store_txn; /* opaque */

/* Says which handle (token) an entry of the log `origin` has: fills `handle`
 * and returns true, or returns false when the entry has none.  Called with
 * bytes as stored; must be pure and quick, from any thread. */
typedef bool (*store_handle_fn)(void *context, struct view origin, struct view entry,
                                uint8_t handle[TOKEN_BYTES]);

struct store_options {
    uint64_t map_bytes;        /* size of a new map; 0: 64 MiB.  It doubles by itself ... */
    uint64_t map_bytes_max;    /* ... up to this; 0: 1 TiB */
    bool read_only;            /* look beside the owner; no write transactions */
    store_handle_fn handle_of; /* NULL: entries have no handles */
    void *handle_context;
};

/* Open the store in the directory `path`, which must exist.  The owner (not
 * read_only) creates the files if they are missing, clears readers that died,
 * and holds PATH/owner locked until store_close.  A home has one owner; in one
 * process a store is opened once, read-only included (L4).
 *
 * STATUS_BUSY         another process owns it, or this process has it open.
 * STATUS_NOT_FOUND    read_only, and there is no store.
 * STATUS_UNSUPPORTED  unknown format version, or a remote file
 *                     system on which LMDB is not safe (NFS, CIFS, FUSE ...).
 * STATUS_CORRUPT      the files are not a store, are cut short or damaged.
 * STATUS_NO_SPACE     the map or the disk is too small even for an empty store.
 * STATUS_NO_MEMORY, STATUS_IO (errno is set). */
MUST_USE enum status store_open(const char *path, const struct store_options *options,
                                struct store **out);

/* Close the store.  No transaction may be open.  NULL is allowed. */
void store_close(struct store *s);

/* Close and open again in place, keeping the owner lock: the way out after an
 * I/O error in a commit.  No transaction may be open.  What the failed commit
 * held is afterwards either wholly there or wholly absent: look.  After a
 * failure the store stays unusable; call again or close it. */
MUST_USE enum status store_reopen(struct store *s);

/* Whether an I/O error in a commit made the store refuse everything until it
 * is closed or reopened (L9). */
bool store_poisoned(const struct store *s);

/* Begin a snapshot.  Many at a time, on any threads.
 * STATUS_IO: the store is poisoned, or errno.  STATUS_BUSY: too many readers. */
MUST_USE enum status store_begin_read(struct store *s, struct store_txn **out);

/* What a write transaction is for: publishing stops while there is still
 * room, so that exchange entries and answering can go on (DESIGN 10). */
enum store_purpose {
    STORE_PUBLISH,  /* publications, replicated logs, records, bundles, packs */
    STORE_EXCHANGE, /* exch entries and heads: may use the reserve up */
};

/* Begin the one write transaction; waits for the one that is open (a thread
 * that begins a second one is a bug, asserted).  `bytes` is about what it will
 * write, the values alone; the map is grown first if that needs it, which
 * waits up to a second for open reads to end.
 *
 * STATUS_NO_SPACE  would leave less than the reserve (a fifth of all room, at
 *                  most 1 GiB), or for STORE_EXCHANGE less than LMDB may need
 *                  for copies of inner pages (256 KiB).
 * STATUS_IO        the store is poisoned, or errno.
 * STATUS_REFUSED   the store is open read-only. */
MUST_USE enum status store_begin_write(struct store *s, enum store_purpose purpose,
                                       uint64_t bytes, struct store_txn **out);

/* Commit and sync; when it returns STATUS_OK the data is on the disk.  Of a
 * read transaction it is the same as store_abort.  A write transaction in
 * which any write failed (STATUS_NO_SPACE, STATUS_CORRUPT ...) is aborted, and
 * that status returned: everything is as before.
 *
 * STATUS_NO_SPACE  map full (as before; the next begin grows the map, so one
 *                  retry is worth it), or disk full while writing: then
 *                  store_poisoned, call store_reopen.
 * STATUS_IO        unknown whether it happened; the store is poisoned. */
MUST_USE enum status store_commit(struct store_txn *t);
void store_abort(struct store_txn *t); /* NULL is allowed. */

struct store_space {
    uint64_t used_bytes;     /* pages in use */
    uint64_t free_bytes;     /* room still to be had: in the file, up to the cap, on the disk */
    uint64_t reserve_bytes;  /* of free_bytes, what publishing may not use */
    uint64_t overhead_bytes; /* of free_bytes, what no commit may use up */
    uint64_t map_bytes;      /* now */
    uint64_t map_bytes_max;  /* cap */
    uint64_t disk_free_bytes;
    unsigned used_percent; /* of what publishing may fill; warn at 80 */
    bool disk_bound;       /* what ends the room is the disk, not the cap */
    bool publishing_stops; /* not even a small publication is taken */
    bool answering_stops;  /* the reserve is used up: nothing is taken */
};
MUST_USE enum status store_space(struct store *s, struct store_space *out);

/* Free the slots of readers whose process died: at start (done by store_open)
 * and each minute (L2).  *dead is how many there were. */
MUST_USE enum status store_reader_check(struct store *s, int *dead);

/* Number of the snapshot that `t` sees; rises with each commit. */
uint64_t store_txn_id(const struct store_txn *t);

/* Write a compacted copy to the directory `path`, which must exist and be
 * empty, and sync it.  One long read: do it at a quiet time, and run
 * store_check on the copy in a child before it is trusted (L11). */
MUST_USE enum status store_copy(struct store *s, const char *path);

#endif
