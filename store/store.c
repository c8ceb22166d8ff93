#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/internal.h"
#include "store/log.h"
#include "store/pages.h"
#include "store/tiles.h"

enum {
    OPEN_TRIES = 3, /* L13: opening can fail beside another open or close */
    OPEN_PAUSE_MS = 20,
    RESIZE_TRIES = 3,
    STAT_BLOCK_BYTES = 512,
    LOCK_BYTES = 12 * 1024 /* no less than STORE_READERS_MAX slots take */
};
#define MAP_BYTES_START ((uint64_t)64 << 20)
#define MAP_BYTES_CAP ((uint64_t)1 << 40)

const char *const store_db_names[DB_COUNT] = {
    "meta",    "origins", "logs",  "notes", "entries", "tiles", "records", "own",
    "handles", "charter", "lists", "rows",  "refused", "kv",    "blobs",   "salts"};

/* Stores open in this process: LMDB does not notice a second one (L4). */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct store *registry;

static enum status
registry_add(struct store *s)
{
    struct stat dir;
    enum status st = STATUS_OK;

    if (stat(s->path, &dir) != 0) {
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    }
    s->dev = dir.st_dev;
    s->ino = dir.st_ino;
    pthread_mutex_lock(&registry_lock);
    for (const struct store *o = registry; o != NULL; o = o->registry_next) {
        if (o->dev == s->dev && o->ino == s->ino && o->pid == s->pid) {
            st = STATUS_BUSY;
        }
    }
    if (st == STATUS_OK) {
        s->registry_next = registry;
        registry = s;
        s->registered = true;
    }
    pthread_mutex_unlock(&registry_lock);
    return st;
}

static void
registry_remove(struct store *s)
{
    pthread_mutex_lock(&registry_lock);
    for (struct store **o = &registry; *o != NULL; o = &(*o)->registry_next) {
        if (*o == s) {
            *o = s->registry_next;
            break;
        }
    }
    pthread_mutex_unlock(&registry_lock);
}

static char *
path_join(const char *dir, const char *name)
{
    size_t a = strlen(dir), b = strlen(name);
    char *path = malloc(a + 1 + b + 1);

    if (path != NULL) {
        memcpy(path, dir, a);
        path[a] = '/';
        memcpy(path + a + 1, name, b + 1);
    }
    return path;
}

static enum status
take_ownership(struct store *s)
{
    char *path = path_join(s->path, "owner");

    if (path == NULL) {
        return STATUS_NO_MEMORY;
    }
    s->owner_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    free(path);
    if (s->owner_fd < 0) {
        return STATUS_IO;
    }
    if (flock(s->owner_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? STATUS_BUSY : STATUS_IO;
    }
    return STATUS_OK;
}

/* A missing or empty data file is no store yet. */
static enum status
data_file_there(struct store *s, bool *there)
{
    char *path = path_join(s->path, "data.mdb");
    struct stat file;
    int rc;

    if (path == NULL) {
        return STATUS_NO_MEMORY;
    }
    rc = stat(path, &file);
    free(path);
    if (rc != 0 && errno != ENOENT) {
        return STATUS_IO;
    }
    *there = rc == 0 && file.st_size > 0;
    return STATUS_OK;
}

/* LMDB maps the file of its locks and writes there: where a page of it has no
 * room on the disk, that is a SIGBUS.  So take the room before.  Nothing of this
 * process is locked in it now (L4). */
static enum status
lock_file_reserve(struct store *s)
{
    char *path = path_join(s->path, "lock.mdb");
    struct stat file;
    int fd, rc = 0;

    if (path == NULL) {
        return STATUS_NO_MEMORY;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    free(path);
    if (fd < 0) {
        return status_of_mdb(errno);
    }
    if (fstat(fd, &file) != 0) {
        rc = errno;
    } else if (file.st_size == 0 || file.st_blocks * STAT_BLOCK_BYTES < file.st_size) {
        rc = posix_fallocate(fd, 0, file.st_size > 0 ? file.st_size : LOCK_BYTES);
    }
    (void)close(fd);
    return rc == EINVAL || rc == EOPNOTSUPP ? STATUS_OK : status_of_mdb(rc);
}

static int
env_open(struct store *s)
{
    unsigned flags = MDB_NOTLS | (s->options.read_only ? MDB_RDONLY : 0);
    int rc = 0;

    for (int i = 0; i < OPEN_TRIES; i++) {
        if ((rc = mdb_env_create(&s->env)) != 0) {
            return rc;
        }
        if ((rc = mdb_env_set_mapsize(s->env, (size_t)s->options.map_bytes)) == 0 &&
            (rc = mdb_env_set_maxdbs(s->env, DB_COUNT)) == 0 &&
            (rc = mdb_env_set_maxreaders(s->env, STORE_READERS_MAX)) == 0 &&
            (rc = mdb_env_open(s->env, s->path, flags, 0600)) == 0) {
            int fd; /* of the data, which LMDB leaves to the children of a process (F26) */
            if (mdb_env_get_fd(s->env, &fd) == 0) {
                (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
            }
            return 0;
        }
        mdb_env_close(s->env); /* Required after a failed open, too. */
        s->env = NULL;
        if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == ENOMEM || rc == ENOSPC) {
            return rc;
        }
        (void)nanosleep(&(struct timespec){0, OPEN_PAUSE_MS * 1000000L}, NULL);
    }
    return rc;
}

/* Open the databases, and make them if the store is new; check the format. */
static enum status
databases_open(struct store *s, bool fresh)
{
    static const char key[] = "format";
    struct store_txn t = {.s = s, .write = fresh};
    unsigned flags = fresh ? MDB_CREATE : 0;
    struct view value;
    enum status st;
    int rc;

    rc = mdb_txn_begin(s->env, NULL, fresh ? 0 : MDB_RDONLY, &t.mdb);
    if (rc == MDB_MAP_RESIZED && (rc = mdb_env_set_mapsize(s->env, 0)) == 0) {
        rc = mdb_txn_begin(s->env, NULL, fresh ? 0 : MDB_RDONLY, &t.mdb);
    }
    if (rc != 0) {
        return status_of_mdb(rc);
    }
    rc = mdb_dbi_open(t.mdb, store_db_names[DB_META], flags, &s->dbi[DB_META]);
    if (rc != 0) {
        st = rc == MDB_NOTFOUND ? STATUS_UNSUPPORTED : status_of_mdb(rc);
        goto cleanup;
    }
    if (fresh) {
        st = row_put(&t, DB_META, view_of(key, sizeof key - 1),
                     view_of(STORE_FORMAT, sizeof STORE_FORMAT - 1), view_of(NULL, 0));
    } else {
        st = row_get(&t, DB_META, view_of(key, sizeof key - 1), &value);
        if (st == STATUS_OK &&
            !views_equal(value, view_of(STORE_FORMAT, sizeof STORE_FORMAT - 1))) {
            st = STATUS_UNSUPPORTED;
        } else if (st == STATUS_NOT_FOUND) {
            st = STATUS_UNSUPPORTED;
        }
    }
    for (int i = DB_META + 1; i < DB_COUNT && st == STATUS_OK; i++) {
        rc = mdb_dbi_open(t.mdb, store_db_names[i], flags, &s->dbi[i]);
        st = rc == MDB_NOTFOUND ? STATUS_CORRUPT : status_of_mdb(rc);
    }
    if (st == STATUS_OK) {
        st = status_of_mdb(mdb_txn_commit(t.mdb)); /* Keeps the handles, even a read's. */
        t.mdb = NULL;
    }
cleanup:
    if (t.mdb != NULL) {
        mdb_txn_abort(t.mdb);
    }
    return st;
}

/* Each log must be the one that its origin leads to: a damaged origin would
 * make the owner begin that log anew. */
static enum status
origins_check(struct store_txn *t)
{
    struct store_log log, found;
    MDB_stat logs, origins;
    enum status st = STATUS_OK;

    if (mdb_stat(t->mdb, t->s->dbi[DB_LOGS], &logs) != 0 ||
        mdb_stat(t->mdb, t->s->dbi[DB_ORIGINS], &origins) != 0 ||
        logs.ms_entries != origins.ms_entries) {
        return STATUS_CORRUPT;
    }
    for (uint32_t id = 1; id <= logs.ms_entries && st == STATUS_OK; id++) {
        if ((st = store_log_get(t, id, &log)) == STATUS_OK &&
            (st = store_log_find(t, log.origin, &found)) == STATUS_OK && found.id != id) {
            st = STATUS_CORRUPT;
        }
    }
    return st == STATUS_NOT_FOUND ? STATUS_CORRUPT : st;
}

/* Before LMDB sees the file: it may not survive what is damaged. */
static enum status
pages_check(struct store *s)
{
    struct store_pages_totals totals;
    enum status st = store_pages_check(s->path, NULL, NULL, &totals);

    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* Everything that store_reopen does again. */
static enum status
environment_open(struct store *s)
{
    struct store_txn *t = NULL;
    MDB_stat stat;
    MDB_envinfo info;
    bool there = false;
    enum status st;
    int dead, rc;

    if ((st = data_file_there(s, &there)) != STATUS_OK) {
        return st;
    }
    if (!there && s->options.read_only) {
        return STATUS_NOT_FOUND;
    }
    if (!s->options.read_only && (st = pages_check(s)) != STATUS_OK) {
        return st;
    }
    if (!s->options.read_only && (st = lock_file_reserve(s)) != STATUS_OK) {
        return st;
    }
    if ((rc = env_open(s)) != 0) {
        return status_of_mdb(rc);
    }
    if ((rc = mdb_env_stat(s->env, &stat)) != 0 || (rc = mdb_env_info(s->env, &info)) != 0) {
        return status_of_mdb(rc);
    }
    s->page_bytes = stat.ms_psize;
    if (!s->options.read_only && (rc = mdb_reader_check(s->env, &dead)) != 0) {
        return status_of_mdb(rc);
    }
    if ((st = space_fill_file(s)) != STATUS_OK ||
        (st = databases_open(s, info.me_last_txnid == 0)) != STATUS_OK) {
        return st;
    }
    atomic_store(&s->poisoned, false);
    if ((st = store_begin_read(s, &t)) == STATUS_OK) {
        st = s->options.read_only ? STATUS_OK : origins_check(t);
        st = st == STATUS_OK && !s->options.read_only ? tail_load(t) : st;
        store_abort(t);
    }
    if (st != STATUS_OK) {
        atomic_store(&s->poisoned, true);
    }
    return st;
}

static enum status
sync_init(struct store *s)
{
    pthread_condattr_t attr;

    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        return STATUS_NO_MEMORY;
    }
    if (pthread_condattr_init(&attr) != 0 ||
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&s->changed, &attr) != 0) {
        pthread_mutex_destroy(&s->lock);
        return STATUS_NO_MEMORY;
    }
    (void)pthread_condattr_destroy(&attr);
    s->sync_ready = true;
    return STATUS_OK;
}

enum status
store_open(const char *path, const struct store_options *options, struct store **out)
{
    struct store *s;
    enum status st;

    *out = NULL;
    if ((s = calloc(1, sizeof *s)) == NULL) {
        return STATUS_NO_MEMORY;
    }
    s->owner_fd = -1;
    s->pid = getpid();
    s->options = *options;
    if (s->options.map_bytes == 0) {
        s->options.map_bytes = MAP_BYTES_START;
    }
    if (s->options.map_bytes_max == 0) {
        s->options.map_bytes_max = MAP_BYTES_CAP;
    }
    if (s->options.map_bytes > s->options.map_bytes_max) {
        s->options.map_bytes = s->options.map_bytes_max;
    }
    if ((s->path = strdup(path)) == NULL || (s->grids = grids_new()) == NULL) {
        st = STATUS_NO_MEMORY;
    } else if ((st = tail_init(&s->tail)) == STATUS_OK && (st = sync_init(s)) == STATUS_OK &&
               (st = space_check_fs(path)) == STATUS_OK &&
               (st = registry_add(s)) == STATUS_OK &&
               (options->read_only || (st = take_ownership(s)) == STATUS_OK)) {
        st = environment_open(s);
    }
    if (st != STATUS_OK) {
        int saved = errno;
        store_close(s);
        errno = saved;
        return st;
    }
    *out = s;
    return STATUS_OK;
}

void
store_close(struct store *s)
{
    if (s == NULL) {
        return;
    }
    assert(s->readers == 0 && !s->writer);
    if (s->env != NULL && s->pid == getpid()) {
        mdb_env_close(s->env);
    }
    if (s->registered) {
        registry_remove(s);
    }
    if (s->owner_fd >= 0) {
        (void)close(s->owner_fd);
    }
    if (s->sync_ready) {
        pthread_cond_destroy(&s->changed);
        pthread_mutex_destroy(&s->lock);
    }
    tail_free(&s->tail);
    free(s->grids);
    free(s->path);
    free(s);
}

enum status
store_reopen(struct store *s)
{
    assert(s->pid == getpid());
    assert(s->readers == 0 && !s->writer);
    atomic_store(&s->poisoned, true);
    if (s->env != NULL) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
    tail_free(&s->tail);
    return tail_init(&s->tail) == STATUS_OK ? environment_open(s) : STATUS_NO_MEMORY;
}

bool
store_poisoned(const struct store *s)
{
    return atomic_load(&s->poisoned);
}

static enum status
usable(const struct store *s)
{
    assert(s->pid == getpid()); /* L5: a store does not survive fork. */
    if (atomic_load(&s->poisoned)) {
        errno = EIO;
        return STATUS_IO;
    }
    return STATUS_OK;
}

enum status
store_begin_read(struct store *s, struct store_txn **out)
{
    struct store_txn *t;
    enum status st;
    int rc = MDB_MAP_RESIZED;

    *out = NULL;
    if ((st = usable(s)) != STATUS_OK) {
        return st;
    }
    if ((t = calloc(1, sizeof *t)) == NULL) {
        return STATUS_NO_MEMORY;
    }
    t->s = s;
    for (int i = 0; i < RESIZE_TRIES && rc == MDB_MAP_RESIZED; i++) {
        pthread_mutex_lock(&s->lock);
        while (s->growing) {
            pthread_cond_wait(&s->changed, &s->lock);
        }
        if ((rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &t->mdb)) == 0) {
            t->id = mdb_txn_id(t->mdb);
            s->readers++;
            t->next = s->reading;
            if (t->next != NULL) {
                t->next->previous = t;
            }
            s->reading = t;
        }
        pthread_mutex_unlock(&s->lock);
        if (rc == MDB_MAP_RESIZED && (st = space_set_map(s, 0)) != STATUS_OK) {
            free(t);
            return st;
        }
    }
    if (rc != 0) {
        free(t);
        return status_of_mdb(rc);
    }
    *out = t;
    return STATUS_OK;
}

uint64_t
store_oldest_reader(struct store *s)
{
    uint64_t oldest = UINT64_MAX;

    pthread_mutex_lock(&s->lock);
    for (const struct store_txn *t = s->reading; t != NULL; t = t->next) {
        if (t->id < oldest) {
            oldest = t->id;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return oldest;
}

static void
writer_done(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    s->writer = false;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

enum status
store_begin_write(struct store *s, enum store_purpose purpose, uint64_t bytes,
                  struct store_txn **out)
{
    struct store_txn *t = NULL;
    enum status st;
    int rc;

    *out = NULL;
    if (s->options.read_only) {
        return STATUS_REFUSED;
    }
    if ((st = usable(s)) != STATUS_OK) {
        return st;
    }
    pthread_mutex_lock(&s->lock);
    assert(!s->writer || !pthread_equal(s->writer_thread, pthread_self()));
    while (s->writer) {
        pthread_cond_wait(&s->changed, &s->lock);
    }
    s->writer = true;
    s->writer_thread = pthread_self();
    pthread_mutex_unlock(&s->lock);

    if ((t = calloc(1, sizeof *t)) == NULL) {
        st = STATUS_NO_MEMORY;
    } else if ((st = usable(s)) == STATUS_OK &&
               (st = space_prepare(s, purpose, bytes)) == STATUS_OK) {
        t->s = s;
        t->write = true;
        rc = mdb_txn_begin(s->env, NULL, 0, &t->mdb);
        if (rc == MDB_MAP_RESIZED && (st = space_set_map(s, 0)) == STATUS_OK) {
            rc = mdb_txn_begin(s->env, NULL, 0, &t->mdb);
        }
        if ((st = st == STATUS_OK ? status_of_mdb(rc) : st) == STATUS_OK) {
            t->id = mdb_txn_id(t->mdb);
            *out = t;
            return STATUS_OK;
        }
    }
    free(t);
    writer_done(s);
    return st;
}

static void
cursors_close(struct store_txn *t)
{
    for (int i = 0; i < DB_COUNT; i++) {
        if (t->cursor[i] != NULL) {
            mdb_cursor_close(t->cursor[i]);
            t->cursor[i] = NULL;
        }
    }
}

/* Let go of everything but the LMDB transaction, which is gone. */
static void
txn_free(struct store_txn *t)
{
    struct store *s = t->s;

    if (t->write) {
        writer_done(s);
    } else {
        pthread_mutex_lock(&s->lock);
        assert(s->readers > 0);
        s->readers--;
        if (t->previous != NULL) {
            t->previous->next = t->next;
        } else {
            s->reading = t->next;
        }
        if (t->next != NULL) {
            t->next->previous = t->previous;
        }
        if (s->readers == 0) {
            pthread_cond_broadcast(&s->changed);
        }
        pthread_mutex_unlock(&s->lock);
    }
    free(t->pending);
    free(t->pending_heads);
    free(t->touched);
    free(t);
}

enum status
store_commit(struct store_txn *t)
{
    struct store *s = t->s;
    enum status st = t->failed;
    int rc;

    assert(s->pid == getpid());
    if (!t->write) {
        store_abort(t);
        return STATUS_OK;
    }
    if (st == STATUS_OK) {
        st = tail_prepare(t);
    }
    if (st != STATUS_OK) {
        store_abort(t);
        return st;
    }
    cursors_close(t);
    rc = mdb_txn_commit(t->mdb);
    if (rc == 0) {
        tail_take(t);
    } else if (rc != MDB_MAP_FULL && rc != MDB_TXN_FULL && rc != MDB_BAD_TXN) {
        atomic_store(&s->poisoned, true); /* L9: nobody knows what reached the disk. */
    }
    st = status_of_mdb(rc);
    if (rc == 0 && space_fill_file(s) != STATUS_OK) {
        /* Harmless now: the data is durable, and the next open does it. */
    }
    txn_free(t);
    return st;
}

void
store_abort(struct store_txn *t)
{
    if (t == NULL) {
        return;
    }
    assert(t->s->pid == getpid());
    cursors_close(t);
    mdb_txn_abort(t->mdb);
    txn_free(t);
}

uint64_t
store_txn_id(const struct store_txn *t)
{
    return t->id;
}

enum status
store_reader_check(struct store *s, int *dead)
{
    enum status st = usable(s);

    *dead = 0;
    return st == STATUS_OK ? status_of_mdb(mdb_reader_check(s->env, dead)) : st;
}

static enum status
sync_path(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    enum status st;

    if (fd < 0) {
        return STATUS_IO;
    }
    st = fsync(fd) == 0 ? STATUS_OK : STATUS_IO;
    (void)close(fd);
    return st;
}

enum status
store_copy(struct store *s, const char *path)
{
    struct store_txn *t;
    char *file;
    enum status st;

    if ((st = store_begin_read(s, &t)) != STATUS_OK) { /* Holds the map still. */
        return st;
    }
    st = status_of_mdb(mdb_env_copy2(s->env, path, MDB_CP_COMPACT));
    store_abort(t);
    if (st != STATUS_OK) {
        return st;
    }
    if ((file = path_join(path, "data.mdb")) == NULL) {
        return STATUS_NO_MEMORY;
    }
    st = sync_path(file, 0);
    free(file);
    return st == STATUS_OK ? sync_path(path, O_DIRECTORY) : st;
}
