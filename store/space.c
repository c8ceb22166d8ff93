#include "store/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    MAP_WAIT_S = 1,          /* for open reads to end (L2: they last under a second) */
    TXN_OVERHEAD_PAGES = 64, /* copies of inner pages that a small commit makes, at most */
    RESERVE_SHARE = 5        /* one fifth of all room, ... */
};
#define RESERVE_BYTES_MAX ((uint64_t)1 << 30) /* ... but no more than this */

bool
space_fs_refused(unsigned long fs_type)
{
    static const unsigned long refused[] = {
        0x6969,     0x517b,     0xff534d42, 0xfe534d42, /* NFS, SMB, CIFS, SMB2 */
        0x65735546, 0x01021997, 0x5346414f, 0x6b414653, /* FUSE, 9P, AFS, kAFS */
        0x73757245, 0x00c36400, 0x0bd00bd0, 0x7461636f, /* Coda, Ceph, Lustre, OCFS2 */
        0x01161970, 0x47504653, 0x19830326, 0x786f4256, /* GFS2, GPFS, BeeGFS, vboxsf */
        0x7c7c6660, 0x564c,                             /* Parallels, NCP */
    };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (fs_type == refused[i]) {
            return true;
        }
    }
    return false;
}

enum status
space_check_fs(const char *path)
{
    struct statfs fs;

    if (statfs(path, &fs) != 0) {
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    }
    return space_fs_refused((unsigned long)fs.f_type & 0xffffffff) ? STATUS_UNSUPPORTED
                                                                   : STATUS_OK;
}

/* LMDB may only remap while no transaction is open in this process (L3). */
enum status
space_set_map(struct store *s, size_t bytes)
{
    struct timespec until;
    int rc = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += MAP_WAIT_S;
    pthread_mutex_lock(&s->lock);
    while (s->growing && rc == 0) {
        rc = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    if (s->growing) {
        pthread_mutex_unlock(&s->lock);
        return STATUS_BUSY;
    }
    s->growing = true;
    while (s->readers > 0 && rc == 0) {
        rc = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    if (s->readers > 0) {
        rc = EBUSY;
    } else if ((rc = mdb_env_set_mapsize(s->env, bytes)) != 0) {
        atomic_store(&s->poisoned, true); /* The old map may be gone. */
    }
    s->growing = false;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return rc == EBUSY ? STATUS_BUSY : status_of_mdb(rc);
}

/* Free pages inside the file: each row of LMDB's free list begins with how
 * many it names.  Needs a read transaction of its own. */
static enum status
free_list_pages(struct store *s, uint64_t *pages)
{
    struct store_txn *t;
    MDB_cursor *c = NULL;
    MDB_val k, v;
    enum status st;
    int rc;

    *pages = 0;
    if ((st = store_begin_read(s, &t)) != STATUS_OK) {
        return st;
    }
    if ((rc = mdb_cursor_open(t->mdb, 0, &c)) == 0) {
        while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
            size_t count = 0;
            if (v.mv_size >= sizeof count) {
                memcpy(&count, v.mv_data, sizeof count);
            }
            *pages += count;
        }
        mdb_cursor_close(c);
    }
    store_abort(t);
    return rc == MDB_NOTFOUND ? STATUS_OK : status_of_mdb(rc);
}

struct room {
    uint64_t file_bytes; /* up to the last page ever used */
    uint64_t map_bytes;
    uint64_t disk_free;
    uint64_t growth; /* what the file can still grow by */
    bool disk;       /* the disk is its bound, not the cap */
};

static enum status
room_of(struct store *s, struct room *out)
{
    uint64_t cap = s->options.map_bytes_max;
    MDB_envinfo info;
    struct statvfs fs;

    if (mdb_env_info(s->env, &info) != 0 || statvfs(s->path, &fs) != 0) {
        return STATUS_IO;
    }
    out->file_bytes = ((uint64_t)info.me_last_pgno + 1) * s->page_bytes;
    out->map_bytes = info.me_mapsize;
    out->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    out->growth = cap > out->file_bytes ? cap - out->file_bytes : 0;
    out->disk = out->growth > out->disk_free;
    if (out->disk) {
        out->growth = out->disk_free;
    }
    return STATUS_OK;
}

/* What publishing leaves of all room. */
static uint64_t
reserve_of(uint64_t all_bytes)
{
    uint64_t share = all_bytes / RESERVE_SHARE;

    return share < RESERVE_BYTES_MAX ? share : RESERVE_BYTES_MAX;
}

/* What any commit leaves: LMDB copies the inner pages that it changes.  Where
 * the disk cannot take those it fails in the midst of writing (L9). */
static uint64_t
overhead_of(const struct store *s)
{
    return TXN_OVERHEAD_PAGES * s->page_bytes;
}

enum status
store_space(struct store *s, struct store_space *out)
{
    struct room room;
    uint64_t free_pages = 0, all, kept;
    enum status st;

    memset(out, 0, sizeof *out);
    if ((st = room_of(s, &room)) != STATUS_OK ||
        (st = free_list_pages(s, &free_pages)) != STATUS_OK) {
        return st;
    }
    out->free_bytes = free_pages * s->page_bytes;
    out->used_bytes = room.file_bytes > out->free_bytes ? room.file_bytes - out->free_bytes : 0;
    out->free_bytes += room.growth;
    all = out->used_bytes + out->free_bytes;
    out->reserve_bytes = reserve_of(all);
    out->map_bytes = room.map_bytes;
    out->map_bytes_max = s->options.map_bytes_max;
    out->disk_free_bytes = room.disk_free;
    out->overhead_bytes = overhead_of(s);
    kept = out->reserve_bytes + out->overhead_bytes;
    out->used_percent =
        out->used_bytes + kept >= all ? 100 : (unsigned)(out->used_bytes * 100 / (all - kept));
    out->disk_bound = room.disk;
    out->publishing_stops = out->free_bytes <= kept;
    out->answering_stops = out->free_bytes <= out->overhead_bytes;
    return STATUS_OK;
}

/* Before a write transaction: refuse what would eat the reserve, and double
 * the map until `bytes` fit.  Called by the writer, without a transaction. */
enum status
space_prepare(struct store *s, enum store_purpose purpose, uint64_t bytes)
{
    uint64_t overhead = overhead_of(s), reserve, need, free_pages = 0, map;
    struct room room;
    enum status st;

    if (bytes > s->options.map_bytes_max) {
        return STATUS_NO_SPACE;
    }
    if ((st = room_of(s, &room)) != STATUS_OK) {
        return st;
    }
    need = bytes + bytes / 4;
    reserve = purpose == STORE_PUBLISH ? reserve_of(room.file_bytes + room.growth) : 0;
    if (room.growth < reserve + need + overhead) { /* Close: count what was freed, too. */
        if ((st = free_list_pages(s, &free_pages)) != STATUS_OK) {
            return st;
        }
        if (room.growth + free_pages * s->page_bytes < reserve + need + overhead) {
            return STATUS_NO_SPACE;
        }
    }
    map = room.map_bytes;
    while (map < s->options.map_bytes_max && map < room.file_bytes + need + overhead) {
        map = map > s->options.map_bytes_max / 2 ? s->options.map_bytes_max : map * 2;
    }
    if (map == room.map_bytes) {
        return STATUS_OK;
    }
    st = space_set_map(s, (size_t)map);
    return st == STATUS_BUSY ? STATUS_OK : st; /* Readers stay: try with what there is. */
}

enum status
space_fill_file(struct store *s)
{
    struct room room;
    struct stat file;
    enum status st;
    int fd;

    if ((st = room_of(s, &room)) != STATUS_OK) {
        return st;
    }
    /* LMDB's own descriptor: opening and closing another would drop its locks (L4). */
    if (mdb_env_get_fd(s->env, &fd) != 0 || fstat(fd, &file) != 0) {
        return STATUS_IO;
    }
    if ((uint64_t)file.st_size >= room.file_bytes) {
        return STATUS_OK;
    }
    if (s->options.read_only) {
        return STATUS_CORRUPT;
    }
    return ftruncate(fd, (off_t)room.file_bytes) == 0 ? STATUS_OK : STATUS_IO;
}
