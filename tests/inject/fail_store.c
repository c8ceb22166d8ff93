/* fail_store.c: an LD_PRELOAD library that makes calls of LMDB's writing functions fail.
 *
 * HR_FAIL_STORE=<call>:<how>:<n>[+]   the nth call fails, with + all from then on
 *   call   put      mdb_put, mdb_cursor_put and mdb_del, counted together
 *          commit   mdb_txn_commit of a write transaction
 *          mapsize  mdb_env_set_mapsize
 *   how    full     MDB_MAP_FULL, for mapsize ENOMEM
 *          nospace  ENOSPC    (commit: nothing of it reaches the disk)
 *          io       EIO       (the same)
 *          after    EIO, and it was committed
 * HR_FAIL_STORE_COUNT=FILE   append "put commit mapsize failed" of this process at its end
 *
 * A map that is full is not told, but made: LMDB is asked for more pages than any map here
 * has, so that it fails by itself, and its transaction is afterwards what LMDB leaves of one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>

#define TOO_MUCH ((size_t)3 << 30) /* bytes of one value; LMDB takes less than 4 GiB */

enum call { CALL_PUT, CALL_COMMIT, CALL_MAPSIZE, CALL_COUNT };
enum how { HOW_FULL, HOW_NOSPACE, HOW_IO, HOW_AFTER, HOW_COUNT };

static const char *const call_names[CALL_COUNT] = {"put", "commit", "mapsize"};
static const char *const how_names[HOW_COUNT] = {"full", "nospace", "io", "after"};

static enum call fail_call = CALL_COUNT;
static enum how fail_how;
static unsigned long fail_at;
static bool fail_on; /* and all after it */
static unsigned long made[CALL_COUNT], failed;
static MDB_txn *writer;               /* of the one environment that is written */
static _Thread_local unsigned inside; /* LMDB calls itself by its public names */

static int (*real_begin)(MDB_env *, MDB_txn *, unsigned, MDB_txn **);
static int (*real_commit)(MDB_txn *);
static void (*real_abort)(MDB_txn *);
static int (*real_put)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *, unsigned);
static int (*real_cursor_put)(MDB_cursor *, MDB_val *, MDB_val *, unsigned);
static int (*real_del)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *);
static int (*real_mapsize)(MDB_env *, size_t);

static void *
next(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (f == NULL) {
        fprintf(stderr, "fail_store: no %s behind this library\n", name);
        abort();
    }
    return f;
}

__attribute__((constructor)) static void
begin(void)
{
    *(void **)&real_begin = next("mdb_txn_begin");
    *(void **)&real_commit = next("mdb_txn_commit");
    *(void **)&real_abort = next("mdb_txn_abort");
    *(void **)&real_put = next("mdb_put");
    *(void **)&real_cursor_put = next("mdb_cursor_put");
    *(void **)&real_del = next("mdb_del");
    *(void **)&real_mapsize = next("mdb_env_set_mapsize");
    const char *spec = getenv("HR_FAIL_STORE");
    char call[16], how[16], more[2] = "";
    if (spec == NULL || *spec == '\0') {
        return;
    }
    if (sscanf(spec, "%15[a-z]:%15[a-z]:%lu%1[+]", call, how, &fail_at, more) < 3) {
        fprintf(stderr, "fail_store: what is HR_FAIL_STORE=%s?\n", spec);
        abort();
    }
    int c = 0, h = 0;
    while (c < CALL_COUNT && strcmp(call, call_names[c]) != 0) {
        c++;
    }
    while (h < HOW_COUNT && strcmp(how, how_names[h]) != 0) {
        h++;
    }
    if (c == CALL_COUNT || h == HOW_COUNT) {
        fprintf(stderr, "fail_store: what is HR_FAIL_STORE=%s?\n", spec);
        abort();
    }
    fail_call = (enum call)c;
    fail_how = (enum how)h;
    fail_on = more[0] == '+';
}

__attribute__((destructor)) static void
end(void)
{
    const char *path = getenv("HR_FAIL_STORE_COUNT");
    FILE *f = path == NULL ? NULL : fopen(path, "ae");
    if (f != NULL) {
        fprintf(f, "%lu %lu %lu %lu\n", made[CALL_PUT], made[CALL_COMMIT], made[CALL_MAPSIZE],
                failed);
        fclose(f);
    }
}

/* Count a call; is it one that fails?  One thread writes a home (DESIGN 3). */
static bool
fails(enum call call)
{
    unsigned long n = ++made[call];
    bool now = call == fail_call && (n == fail_at || (fail_on && n > fail_at));
    failed += now;
    return now;
}

static int
code(void)
{
    return fail_how == HOW_NOSPACE ? ENOSPC : EIO;
}

/* LMDB's own failure, on the page where the key belongs. */
static int
fill_map(MDB_txn *txn, MDB_dbi dbi, MDB_val *key)
{
    MDB_val much = {TOO_MUCH, NULL};
    int rc = real_put(txn, dbi, key, &much, MDB_RESERVE);
    if (rc != MDB_MAP_FULL && rc != MDB_BAD_TXN) {
        fprintf(stderr, "fail_store: a map without end: %s\n", mdb_strerror(rc));
        abort();
    }
    return rc;
}

int
mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **out)
{
    int rc = real_begin(env, parent, flags, out);
    if (rc == 0 && (flags & MDB_RDONLY) == 0) {
        writer = *out;
    }
    return rc;
}

int
mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
    bool fail = inside == 0 && fails(CALL_PUT);
    inside++;
    int rc = fail ? fill_map(txn, dbi, key) : real_put(txn, dbi, key, data, flags);
    inside--;
    return rc;
}

int
mdb_cursor_put(MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned flags)
{
    bool fail = inside == 0 && fails(CALL_PUT);
    inside++;
    int rc = fail ? fill_map(mdb_cursor_txn(cursor), mdb_cursor_dbi(cursor), key)
                  : real_cursor_put(cursor, key, data, flags);
    inside--;
    return rc;
}

int
mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
    bool fail = inside == 0 && fails(CALL_PUT);
    inside++;
    int rc = fail ? fill_map(txn, dbi, key) : real_del(txn, dbi, key, data);
    inside--;
    return rc;
}

int
mdb_txn_commit(MDB_txn *txn)
{
    bool fail = inside == 0 && txn == writer && fails(CALL_COMMIT);
    inside++;
    int rc = 0;
    if (txn == writer) {
        writer = NULL;
    }
    if (!fail || fail_how == HOW_AFTER) {
        rc = real_commit(txn);
    } else {
        real_abort(txn);
    }
    if (fail) {
        rc = fail_how == HOW_FULL ? MDB_MAP_FULL : rc != 0 ? rc : code();
    }
    inside--;
    return rc;
}

int
mdb_env_set_mapsize(MDB_env *env, size_t size)
{
    bool fail = inside == 0 && fails(CALL_MAPSIZE);
    return fail ? fail_how == HOW_FULL ? ENOMEM : code() : real_mapsize(env, size);
}
