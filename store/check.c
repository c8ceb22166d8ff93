#include "store/check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/charter.h"
#include "store/checklog.h"

enum { ROWS_AT_ONCE = 2000, BYTES_AT_ONCE = 32 * 1024 * 1024 };

static void
report(struct check *c, const struct store_finding *finding)
{
    c->totals.findings++;
    if (c->options->finding != NULL) {
        pthread_mutex_lock(c->lock);
        c->options->finding(c->options->finding_context, finding);
        pthread_mutex_unlock(c->lock);
    }
}

void
check_report(struct check *c, const char *part, uint64_t index, const char *what)
{
    struct store_finding finding = {part, view_of(c->origin, c->origin_chars), index, 0, what};

    report(c, &finding);
}

void
check_report_tile(struct check *c, unsigned level, uint64_t index, const char *what)
{
    struct store_finding finding = {"tile", view_of(c->origin, c->origin_chars), index, level,
                                    what};

    report(c, &finding);
}

bool
check_step(struct check *c, uint64_t done)
{
    bool go = true;

    if (c->options->step != NULL) {
        pthread_mutex_lock(c->lock);
        go = c->options->step(c->options->context, c->step, c->part,
                              view_of(c->origin, c->origin_chars), done);
        pthread_mutex_unlock(c->lock);
    }
    c->left_out = c->left_out || !go;
    return go;
}

/* ---- threads ---- */

struct worker {
    struct check check;
    check_work_fn work;
    void *job;
    enum status status;
    pthread_t thread;
};

static void *
worker_run(void *context)
{
    struct worker *w = context;

    w->status = w->work(&w->check, w->job);
    return NULL;
}

static void
add_totals(struct check *to, const struct check *from)
{
    struct store_check_totals *a = &to->totals;
    const struct store_check_totals *b = &from->totals;

    a->logs += b->logs;
    a->entries += b->entries;
    a->tiles += b->tiles;
    a->records += b->records;
    a->own += b->own;
    a->index_rows += b->index_rows;
    a->charter_rows += b->charter_rows;
    a->values += b->values;
    a->blobs += b->blobs;
    a->salts += b->salts;
    a->findings += b->findings;
    to->expected_rows += from->expected_rows;
    to->left_out = to->left_out || from->left_out;
}

enum status
check_in_threads(struct check *c, check_work_fn work, void *job)
{
    unsigned count = c->options->threads, started = 0;
    struct worker *workers;
    enum status st = STATUS_OK;

    if (count <= 1) {
        return work(c, job);
    }
    count = count > STORE_CHECK_THREADS_MAX ? STORE_CHECK_THREADS_MAX : count;
    if ((workers = calloc(count, sizeof *workers)) == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (; started < count; started++) {
        struct worker *w = &workers[started];
        w->check = *c;
        memset(&w->check.totals, 0, sizeof w->check.totals);
        w->check.expected_rows = 0;
        w->check.left_out = false;
        w->work = work;
        w->job = job;
        if (pthread_create(&w->thread, NULL, worker_run, w) != 0) {
            break;
        }
    }
    if (started == 0) {
        st = work(c, job);
    }
    for (unsigned i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        add_totals(c, &workers[i].check);
        st = st == STATUS_OK ? workers[i].status : st;
    }
    free(workers);
    return st;
}

enum status
check_descent(struct store_txn *t, enum store_db db, struct view key, const uint8_t *place,
              uintptr_t *page)
{
    uintptr_t now = (uintptr_t)place / t->s->page_bytes;
    struct view value;
    enum status st;

    if (now == *page) {
        return STATUS_OK;
    }
    *page = now;
    st = raw_get(t, db, key, &value);
    return st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
}

/* Called for each row; returns false when it is damaged. */
typedef enum status (*check_row_fn)(struct check *c, struct store_txn *t, struct view key,
                                    struct view value);

/* Put the log of a row into c->origin, for findings.  STATUS_CORRUPT: none. */
static enum status
name_log(struct check *c, struct store_txn *t, uint32_t id)
{
    struct store_log log;
    enum status st = store_log_get(t, id, &log);

    c->origin_chars = 0;
    if (st == STATUS_OK) {
        c->origin_chars = log.origin.count;
        memcpy(c->origin, log.origin.bytes, log.origin.count);
    }
    return st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
}

struct scan {
    uint8_t after[STORE_KEY_BYTES_MAX]; /* key of the last row */
    size_t after_count;
    uint64_t rows;
    uint64_t first_id; /* snapshot that the scan began with */
    uint64_t entries;  /* rows that LMDB says there are, if it ended with the same */
    bool same;
};

/* The next rows of `db`, as many as one transaction should read. */
static enum status
scan_some(struct check *c, enum store_db db, const char *part, check_row_fn fn, struct scan *s)
{
    struct store_txn *t;
    MDB_cursor *cursor = NULL;
    MDB_val k = {s->after_count, s->after}, v;
    MDB_stat stat = {0};
    size_t rows = 0, bytes = 0;
    uintptr_t page = 0;
    enum status st;
    int rc;

    if ((st = store_begin_read(c->s, &t)) != STATUS_OK) {
        return st;
    }
    if (s->rows == 0) {
        s->first_id = t->id;
    }
    s->same = s->first_id == t->id && mdb_stat(t->mdb, c->s->dbi[db], &stat) == 0;
    s->entries = stat.ms_entries;
    if ((rc = mdb_cursor_open(t->mdb, c->s->dbi[db], &cursor)) != 0) {
        store_abort(t);
        return status_of_mdb(rc);
    }
    rc = mdb_cursor_get(cursor, &k, &v, s->after_count == 0 ? MDB_FIRST : MDB_SET_RANGE);
    if (rc == 0 && s->after_count > 0 &&
        views_equal(view_of_val(k), view_of(s->after, s->after_count))) {
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    while (rc == 0 && rows < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE) {
        struct view key = view_of_val(k);
        /* Keys out of order would make this loop for ever. */
        MDB_val last = {s->after_count, s->after};
        if (key.count == 0 || key.count > STORE_KEY_BYTES_MAX ||
            (s->after_count > 0 && mdb_cmp(t->mdb, c->s->dbi[db], &k, &last) <= 0)) {
            st = STATUS_CORRUPT;
            break;
        }
        if ((st = check_descent(t, db, key, key.bytes, &page)) == STATUS_OK) {
            st = fn(c, t, key, view_of_val(v));
        }
        if (is_damage(st)) {
            check_report(c, part, s->rows, "row is damaged");
            bytes = BYTES_AT_ONCE; /* LMDB may have stopped this transaction. */
        } else if (st != STATUS_OK) {
            break;
        }
        st = STATUS_OK;
        memcpy(s->after, key.bytes, key.count);
        s->after_count = key.count;
        s->rows++;
        rows++;
        if (bytes == BYTES_AT_ONCE) {
            break;
        }
        bytes += v.mv_size;
        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    store_abort(t);
    return st != STATUS_OK ? st : status_of_mdb(rc);
}

static enum status
scan(struct check *c, enum store_db db, const char *part, check_row_fn fn)
{
    struct scan s = {.rows = 0};
    enum status st;

    c->part = part;
    c->origin_chars = 0;
    do {
        if (!check_step(c, s.rows)) {
            return STATUS_OK;
        }
        st = scan_some(c, db, part, fn, &s);
        c->origin_chars = 0;
    } while (st == STATUS_OK);
    if (st == STATUS_CORRUPT) {
        check_report(c, part, s.rows, "pages are damaged: the rest cannot be read");
        return STATUS_OK;
    }
    if (st == STATUS_NOT_FOUND && s.same && s.rows != s.entries) {
        check_report(c, part, s.rows, "pages are damaged: rows are missing");
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* ---- one function for each kind of row ---- */

#define CHECKED_ROW(name, db, count)                                                           \
    static enum status row_##name(struct check *c, struct store_txn *t, struct view key,       \
                                  struct view value)                                           \
    {                                                                                          \
        struct view out;                                                                       \
        (void)t;                                                                               \
        c->totals.count++;                                                                     \
        return row_open(db, key, value, &out);                                                 \
    }
CHECKED_ROW(meta, DB_META, values)
CHECKED_ROW(notes, DB_NOTES, values)
CHECKED_ROW(lists, DB_LISTS, values)
CHECKED_ROW(refused, DB_REFUSED, values)
CHECKED_ROW(kv, DB_KV, values)
#undef CHECKED_ROW

/* A log must be the one that its origin leads to. */
static enum status
row_logs(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    struct store_log log, found;
    struct view out;
    enum status st;

    c->totals.values++;
    if ((st = row_open(DB_LOGS, key, value, &out)) != STATUS_OK || key.count != 4) {
        return STATUS_CORRUPT;
    }
    if ((st = store_log_get(t, get_be32(key.bytes), &log)) != STATUS_OK ||
        (st = store_log_find(t, log.origin, &found)) != STATUS_OK) {
        return st;
    }
    return found.id == log.id ? STATUS_OK : STATUS_CORRUPT;
}

static enum status
row_salts(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    struct view out;

    c->totals.salts++;
    if (key.count != STORE_LEAF_KEY_BYTES) {
        return STATUS_CORRUPT;
    }
    (void)name_log(c, t, get_be32(key.bytes));
    return row_open(DB_SALTS, key, value, &out);
}

static enum status
row_own(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    struct view out;
    uint32_t id;
    enum status st;

    c->totals.own++;
    if (key.count != STORE_LEAF_KEY_BYTES) {
        return STATUS_CORRUPT;
    }
    id = get_be32(key.bytes);
    if ((st = name_log(c, t, id)) != STATUS_OK) {
        return st;
    }
    return row_open(DB_OWN, key, value, &out);
}

static enum status
row_records(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    const struct store_check_options *o = c->options;
    struct hash sealed;
    struct view entry;
    enum status st;

    (void)value;
    c->totals.records++;
    if (key.count != STORE_LEAF_KEY_BYTES) {
        return STATUS_CORRUPT;
    }
    uint32_t id = get_be32(key.bytes);
    uint64_t leaf = get_be64(key.bytes + 4);
    if ((st = name_log(c, t, id)) != STATUS_OK || o->sealed_of == NULL) {
        return st;
    }
    st = store_entry_get(t, id, leaf, &entry);
    if (st == STATUS_NOT_FOUND) {
        return STATUS_OK; /* It came before its entry. */
    }
    if (st == STATUS_CORRUPT) {
        return STATUS_OK; /* A finding of its own; nothing to compare with. */
    }
    if (st != STATUS_OK) {
        return st;
    }
    if (!o->sealed_of(o->sealed_context, view_of(c->origin, c->origin_chars), entry,
                      sealed.bytes)) {
        check_report(c, "record", leaf, "record of an entry that has none");
        return STATUS_OK;
    }
    st = store_record_get(t, id, leaf, &sealed, &entry);
    if (is_damage(st)) {
        check_report(c, "record", leaf, "record differs from the hash in its entry");
        st = STATUS_OK;
    }
    return st;
}

/* Rows of entries that check_log did not see yet are left out of the count. */
static enum status
row_handles(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    uint32_t id;

    (void)t;
    if (key.count != STORE_HANDLE_KEY_BYTES || value.count != 4 ||
        get_be32(value.bytes) != crc32_of(key)) {
        return STATUS_CORRUPT;
    }
    id = get_be32(key.bytes + TOKEN_BYTES);
    if (id == 0 || id > LOGS_MAX) {
        return STATUS_CORRUPT;
    }
    if (get_be64(key.bytes + TOKEN_BYTES + 4) < c->indexed[id]) {
        c->totals.index_rows++;
    }
    return STATUS_OK;
}

static enum status
row_charter(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    const uint8_t *end = memchr(key.bytes, 0, key.count);
    struct store_charter_key doc;
    struct view out;
    enum status st;

    c->totals.values++;
    if (end == NULL || key.count != (size_t)(end - key.bytes) + 10) {
        return STATUS_CORRUPT;
    }
    if ((st = row_open(DB_CHARTER, key, value, &out)) != STATUS_OK || out.count < 4) {
        return STATUS_CORRUPT;
    }
    doc.network = view_of(key.bytes, (size_t)(end - key.bytes));
    doc.kind = (enum store_charter)end[1];
    doc.version = get_be64(end + 2);
    for (uint32_t i = 0, rows = get_be32(out.bytes); i < rows && st == STATUS_OK; i++) {
        struct view row;
        st = store_charter_row(t, &doc, i, &row);
        c->totals.charter_rows++;
    }
    return st;
}

static enum status
row_rows(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    struct hash hash;

    (void)c;
    (void)t;
    tree_leaf_hash(value.bytes, value.count, &hash);
    return views_equal(key, view_of(hash.bytes, HASH_BYTES)) ? STATUS_OK : STATUS_CORRUPT;
}

static enum status
row_blobs(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    struct hash hash;

    (void)t;
    c->totals.blobs++;
    sha256(value.bytes, value.count, &hash);
    return views_equal(key, view_of(hash.bytes, HASH_BYTES)) ? STATUS_OK : STATUS_CORRUPT;
}

/* Each origin leads to its log; the log is checked afterwards, in
 * transactions of its own. */
static enum status
row_origins(struct check *c, struct store_txn *t, struct view key, struct view value)
{
    struct store_log log;

    (void)value;
    c->totals.logs++;
    return store_log_find(t, key, &log);
}

static enum status
check_logs(struct check *c)
{
    enum status st = STATUS_OK;

    for (uint32_t id = 1; id <= LOGS_MAX && st == STATUS_OK; id++) {
        struct store_txn *t;
        if ((st = store_begin_read(c->s, &t)) != STATUS_OK) {
            return st;
        }
        c->step = id;
        c->part = "log";
        c->origin_chars = 0;
        st = name_log(c, t, id);
        store_abort(t);
        if (st == STATUS_OK) {
            st = check_log(c, id);
        }
        if (is_damage(st)) { /* No such log, or its row is a finding already. */
            st = STATUS_OK;
        }
    }
    c->origin_chars = 0;
    return st;
}

static const struct {
    enum store_db db;
    const char *part;
    check_row_fn fn;
} scans[] = {
    {DB_HANDLES, "index", row_handles},
    {DB_RECORDS, "record", row_records},
    {DB_OWN, "own", row_own},
    {DB_META, "meta", row_meta},
    {DB_ORIGINS, "log", row_origins},
    {DB_LOGS, "log", row_logs},
    {DB_NOTES, "note", row_notes},
    {DB_CHARTER, "charter", row_charter},
    {DB_LISTS, "charter", row_lists},
    {DB_ROWS, "charter", row_rows},
    {DB_REFUSED, "charter", row_refused},
    {DB_KV, "value", row_kv},
    {DB_BLOBS, "blob", row_blobs},
    {DB_SALTS, "salt", row_salts},
};

static enum status
scan_tables(struct check *c, void *job)
{
    atomic_uint *next = job;
    enum status st = STATUS_OK;

    while (st == STATUS_OK) {
        unsigned i = atomic_fetch_add(next, 1);
        if (i >= sizeof scans / sizeof scans[0]) {
            break;
        }
        c->step = LOGS_MAX + 1 + i;
        st = scan(c, scans[i].db, scans[i].part, scans[i].fn);
    }
    return st;
}

static enum status
check_all(struct check *c)
{
    atomic_uint next = 0;
    enum status st = check_logs(c);

    if (st == STATUS_OK) {
        st = check_in_threads(c, scan_tables, &next);
    }
    if (st == STATUS_OK && !c->left_out && c->totals.index_rows != c->expected_rows) {
        c->origin_chars = 0;
        check_report(c, "index", c->totals.index_rows,
                     "number of index rows differs from what the entries ask for");
    }
    return st;
}

enum status
store_check(struct store *s, const struct store_check_options *options,
            struct store_check_totals *totals)
{
    pthread_mutex_t lock;
    struct check *c = calloc(1, sizeof *c);
    enum status st = STATUS_NO_MEMORY;

    memset(totals, 0, sizeof *totals);
    if (c == NULL || pthread_mutex_init(&lock, NULL) != 0) {
        free(c);
        return STATUS_NO_MEMORY;
    }
    c->s = s;
    c->options = options;
    c->lock = &lock;
    c->size = calloc(LOGS_MAX + 1, sizeof *c->size);
    c->indexed = calloc(LOGS_MAX + 1, sizeof *c->indexed);
    if (c->size != NULL && c->indexed != NULL) {
        st = check_all(c);
    }
    *totals = c->totals;
    if (st == STATUS_OK && totals->findings > 0) {
        st = STATUS_CORRUPT;
    }
    free(c->size);
    free(c->indexed);
    free(c);
    (void)pthread_mutex_destroy(&lock);
    return st;
}
