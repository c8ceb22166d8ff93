/* internal.h: what the files of store/ share and nobody else may see:
 * databases, key layouts, checked rows, the transaction, the pending tail. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <lmdb.h>

#include "crypto/tree.h"
#include "proto/bigend.h"
#include "store/store.h"

/* The value of the row "format" in DB_META.  Another one is refused. */
#define STORE_FORMAT "huren store 1"

/* Numbers are part of the format: they enter the check of each row. */
enum store_db {
    DB_META,    /* "format" -> STORE_FORMAT */
    DB_ORIGINS, /* origin -> log id BE32 */
    DB_LOGS,    /* id BE32 -> struct store_log, packed */
    DB_NOTES,   /* id BE32, kind u8 -> note */
    DB_ENTRIES, /* id BE32, index BE64 -> entry, as written (checked by its tile) */
    DB_TILES,   /* id BE32, level u8, index BE64 -> check[14], width BE16, nodes (tiles.h) */
    DB_RECORDS, /* id BE32, leaf BE64 -> record, raw (checked by the entry's `sealed`) */
    DB_OWN,     /* id BE32, leaf BE64 -> report[16], content[16], rank */
    DB_HANDLES, /* handle[16], id BE32, leaf BE64 -> CRC-32 of the key, BE */
    DB_CHARTER, /* network 0 kind version BE64 -> rows BE32, note */
    DB_LISTS,   /* network 0 kind version BE64 chunk BE32 -> up to 256 leaf hashes */
    DB_ROWS,    /* leaf hash -> row, raw (checked by its key) */
    DB_REFUSED, /* network 0 number BE64 -> reason BE32, note */
    DB_KV,      /* space network 0 name -> value */
    DB_BLOBS,   /* SHA-256 -> blob, raw (checked by its key) */
    DB_SALTS,   /* id BE32, leaf BE64 -> salt[32], text */
    DB_COUNT
};

/* Their names in the file. */
extern const char *const store_db_names[DB_COUNT];

enum {
    STORE_READERS_MAX = 126,
    STORE_ROW_CHECK_BYTES = 8,
    STORE_KEY_BYTES_MAX = 400, /* under LMDB's 511 */
    STORE_LEAF_KEY_BYTES = 12,
    STORE_HANDLE_KEY_BYTES = TOKEN_BYTES + STORE_LEAF_KEY_BYTES,
    STORE_INDEX_ROWS_MAX = 100000 /* in one transaction (PERFORMANCE 7d) */
};

/* A handle whose row is not in DB_HANDLES yet. */
struct tail_row {
    uint8_t handle[TOKEN_BYTES];
    uint64_t leaf;
    uint32_t log;
    uint32_t next; /* row number + 1 in the same hash chain, 0 ends it */
};

/* All pending rows, under its lock.  Rows that were written to the index stay
 * until no snapshot is left that is older than `retire_id`. */
struct tail {
    pthread_mutex_t lock;
    struct tail_row *rows;
    size_t count, capacity;
    uint32_t *heads;
    size_t heads_count; /* a power of two */
    uint64_t seed;
    uint64_t indexed[LOGS_MAX + 1]; /* by log id, as committed */
    uint64_t size[LOGS_MAX + 1];
    uint64_t pending; /* sum of size - indexed */
    uint64_t retire_id;
    bool retire;
    uint64_t seen_id; /* read-only store: the snapshot that it is filled from */
};

struct grid; /* tiles.h */

struct store {
    MDB_env *env;
    MDB_dbi dbi[DB_COUNT];
    char *path;
    struct store_options options;
    int owner_fd;
    pid_t pid;
    dev_t dev; /* of the directory, for the registry of open stores */
    ino_t ino;
    struct store *registry_next;
    bool registered;
    atomic_bool poisoned;
    size_t page_bytes;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool sync_ready;
    bool growing;
    bool writer;
    pthread_t writer_thread;
    unsigned readers;
    struct store_txn *reading; /* list of open read transactions */

    struct tail tail;
    struct grid *grids; /* scratch of the writer: one a tile level */
};

struct store_txn {
    struct store *s;
    MDB_txn *mdb;
    uint64_t id;
    bool write;
    enum status failed; /* first failure of a write: commit becomes abort */
    struct store_txn *previous, *next;

    struct tail_row *pending; /* appended in this transaction */
    size_t pending_count, pending_capacity;
    uint32_t *pending_heads; /* chains through `next` of the first pending_chained rows */
    size_t pending_heads_count, pending_chained;
    MDB_cursor *cursor[DB_COUNT]; /* of raw_put_next; NULL until used */
    bool not_last[DB_COUNT];      /* its rows do not go to the end of the database */
    struct txn_log *touched;      /* logs whose size or indexed_to changed */
    size_t touched_count, touched_capacity;
};

struct txn_log {
    uint32_t id;
    uint64_t size_before, size, indexed;
};

/* ---- row.c ---- */

/* The key (log, number) of entries, records, own rows and salts. */
static inline void
leaf_key(uint8_t key[STORE_LEAF_KEY_BYTES], uint32_t log, uint64_t leaf)
{
    put_be32(key, log);
    put_be64(key + 4, leaf);
}

/* LMDB takes keys and values as void *; it does not write to them. */
static inline MDB_val
mdb_val_of(struct view v)
{
    return (MDB_val){v.count, (void *)(uintptr_t)v.bytes};
}

static inline struct view
view_of(const void *bytes, size_t count)
{
    return (struct view){bytes, count};
}

static inline struct view
view_of_val(MDB_val v)
{
    return (struct view){v.mv_data, v.mv_size};
}

bool views_equal(struct view a, struct view b);

/* The only place where LMDB's codes become ours; sets errno for STATUS_IO. */
enum status status_of_mdb(int rc);

/* Note a failure in a write transaction; returns `st`. */
enum status txn_fail(struct store_txn *t, enum status st);

/* Raw rows.  raw_put: flags are LMDB's; MDB_KEYEXIST is STATUS_EXISTS and does
 * not fail the transaction. */
MUST_USE enum status raw_get(struct store_txn *t, enum store_db db, struct view key,
                             struct view *out);
MUST_USE enum status raw_put(struct store_txn *t, enum store_db db, struct view key,
                             struct view value, unsigned flags);
/* Put a new row where rows come in order of key: the cursor stays where it
 * was, and at the end of a database nothing is searched.  `value->mv_data` NULL
 * reserves value->mv_size bytes and tells where.  STATUS_EXISTS: there is one. */
MUST_USE enum status raw_put_next(struct store_txn *t, enum store_db db, struct view key,
                                  MDB_val *value);
MUST_USE enum status raw_drop(struct store_txn *t, enum store_db db, struct view key);

/* Rows with a check over database, key and value in front. */
MUST_USE enum status row_get(struct store_txn *t, enum store_db db, struct view key,
                             struct view *out);
MUST_USE enum status row_open(enum store_db db, struct view key, struct view stored,
                              struct view *out);
MUST_USE enum status row_put(struct store_txn *t, enum store_db db, struct view key,
                             struct view a, struct view b);
/* The same for rows that come in order of key (raw_put_next). */
MUST_USE enum status row_put_next(struct store_txn *t, enum store_db db, struct view key,
                                  struct view a, struct view b);
/* First row whose key is greater than `after` and begins with its first
 * `prefix` bytes; *key and *out point into the map. */
MUST_USE enum status row_next(struct store_txn *t, enum store_db db, struct view after,
                              size_t prefix, struct view *key, struct view *out);
uint32_t crc32_of(struct view v);

/* ---- space.c ---- */

/* Whether the statfs type is one on which LMDB is not safe. */
bool space_fs_refused(unsigned long fs_type);
MUST_USE enum status space_check_fs(const char *path);
/* Set the map size (0: adopt the file's) with no transaction open. */
MUST_USE enum status space_set_map(struct store *s, size_t bytes);
MUST_USE enum status space_prepare(struct store *s, enum store_purpose purpose, uint64_t bytes);
/* A file that ends before its last page would fault when read: make it whole
 * with zeros, which LMDB or our checks then report. */
MUST_USE enum status space_fill_file(struct store *s);

/* ---- tail.c ---- */

MUST_USE enum status tail_init(struct tail *tail);
void tail_free(struct tail *tail);
/* Fill it from the store, at open (owner) or before a look-up (read-only). */
MUST_USE enum status tail_load(struct store_txn *t);
/* Note in the transaction; they reach the tail when it was committed. */
MUST_USE enum status tail_note_row(struct store_txn *t, uint32_t log, uint64_t leaf,
                                   const uint8_t handle[TOKEN_BYTES]);
MUST_USE enum status tail_note_log(struct store_txn *t, uint32_t log, uint64_t size_before,
                                   uint64_t size, uint64_t indexed);
/* Make room for the transaction's rows, before its commit: so that taking
 * them over afterwards cannot fail. */
MUST_USE enum status tail_prepare(struct store_txn *t);
void tail_take(struct store_txn *t);
void tail_trim(struct store *s);
/* The pending rows of `handle`, committed and of this transaction, sorted by
 * log and leaf; *rows is malloced. */
MUST_USE enum status tail_find(struct store_txn *t, const uint8_t handle[TOKEN_BYTES],
                               struct tail_row **rows, size_t *count);
/* Write the rows of up to `entries_max` committed pending entries to the
 * index, as many as one transaction takes. */
MUST_USE enum status index_flush(struct store_txn *t, uint64_t entries_max);
/* Write one row at once. */
MUST_USE enum status index_put(struct store_txn *t, uint32_t log, uint64_t leaf,
                               const uint8_t handle[TOKEN_BYTES]);

/* ---- log.c ---- */

struct store_log;
MUST_USE enum status log_set_indexed(struct store_txn *t, const struct store_log *log,
                                     uint64_t indexed_to);

/* ---- store.c ---- */

/* The smallest snapshot id among the open read transactions, or UINT64_MAX. */
uint64_t store_oldest_reader(struct store *s);

#endif
