/* home_io.h: the home directory of a node.  Source: DESIGN 3 and 10.
 *
 *   HOME/store/       the store, with its own owner lock (store/store.h)
 *   HOME/lock         held by the one process that owns the home; holds its pid
 *   HOME/control      ipc socket of the daemon (made by it)
 *   HOME/last-signed  what was signed last, on which machine; never backed up
 *   HOME/...          seed, configuration: whoever reads them makes them
 *
 * Every failure leaves one line in `error` (what was done, to what, what is
 * wrong, what to do), without the "huren: COMMAND: " in front. */
#ifndef NODE_HOME_IO_H
#define NODE_HOME_IO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "crypto/tree.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    HOME_IO_ERROR_CHARS = 512,
    HOME_IO_PATH_CHARS = PATH_MAX,
    HOME_IO_MACHINE_CHARS = 64,
    HOME_IO_HEADS_MAX = 256, /* own logs in HOME/last-signed */
    HOME_IO_WAIT_MS_MAX = 60 * 1000
};

/* Make an empty home: `path` (its parent must exist) and its store directory,
 * both 0700.  An empty directory that is there already is taken.
 * STATUS_EXISTS: there is a home, or another file.  STATUS_NO_SPACE, STATUS_IO. */
MUST_USE enum status home_io_create(const char *path, char error[HOME_IO_ERROR_CHARS]);

/* Whether `path` is a home (has a store directory). */
bool home_io_is_home(const char *path);

struct home; /* opaque: an owned home */

/* Own the home until home_io_close.  The lock goes with the process, however
 * it ends; a stale pid in the file means nothing.
 *
 * STATUS_BUSY       another process has owned it for 3 s: *holder is its pid (0: unknown);
 *                   hand the work to it over HOME/control.
 * STATUS_NOT_FOUND  no home there. */
MUST_USE enum status home_io_own(const char *path, struct home **out, pid_t *holder,
                                 char error[HOME_IO_ERROR_CHARS]);
void home_io_close(struct home *home); /* NULL is allowed */

/* Write HOME/name into `out`; `name` "" is the home itself.
 * STATUS_TOO_BIG: longer than HOME_IO_PATH_CHARS - 1. */
MUST_USE enum status home_io_path(const char *home, const char *name,
                                  char out[HOME_IO_PATH_CHARS]);

/* Replace the file `path` by `bytes`, all of it or nothing: written beside it,
 * synced, renamed, directory synced.  `mode`: 0600 for secrets, else 0644.
 * STATUS_REFUSED: something that is not a regular file has that name. */
MUST_USE enum status home_io_write(const char *path, struct view bytes, mode_t mode,
                                   char error[HOME_IO_ERROR_CHARS]);

/* The same; it gets its name when the clock (Unix milliseconds) reads `at_ms`, unless that is
 * over by the time it is synced, or further off than HOME_IO_WAIT_MS_MAX. */
MUST_USE enum status home_io_write_at(const char *path, struct view bytes, mode_t mode,
                                      int64_t at_ms, char error[HOME_IO_ERROR_CHARS]);

/* Read a whole regular file of at most `max` bytes into malloced memory, which
 * the caller frees; a NUL follows the bytes.  Links are not followed.
 * STATUS_NOT_FOUND, STATUS_TOO_BIG, STATUS_REFUSED (link, not a file). */
MUST_USE enum status home_io_read(const char *path, size_t max, uint8_t **bytes, size_t *count,
                                  char error[HOME_IO_ERROR_CHARS]);

/* /etc/machine-id, lower case hex; where there is none, as in containers, the id
 * of this boot: then no start after the next boot is a clean one.
 * STATUS_NOT_FOUND: there is neither; then no start is.  STATUS_IO. */
MUST_USE enum status home_io_machine(char out[HOME_IO_MACHINE_CHARS + 1]);

/* The head of an own log. */
struct home_head {
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t size;
    struct hash root;
};

/* Write HOME/last-signed: these heads, this machine, the device and inode
 * of HOME/store/data.mdb, and when.  Call it after each signing that others may see,
 * before they see it.  STATUS_TOO_BIG: above HOME_IO_HEADS_MAX.  STATUS_IO. */
MUST_USE enum status home_io_signed(const char *home, const struct home_head *heads,
                                    size_t count, char error[HOME_IO_ERROR_CHARS]);

/* Whether this start is clean (DESIGN 10): HOME/last-signed is there and
 * whole and the very file that was written (not a copy of it), names this
 * machine and this data file, and every log in it is among
 * `heads` (what the store has now) and not larger there.  A log that the store
 * has grown since (commits go on when signing stops) must have had the signed
 * root at the signed size, which `root_at` tells (store_root_at).  A log that
 * was never signed does no harm.  `why` says what differs.
 *
 * STATUS_IO, STATUS_NO_MEMORY: it cannot be told now.  That is no unclean start, after which an
 * exchange log is given up for good. */
typedef enum status (*home_root_fn)(void *context, const char *origin, uint64_t size,
                                    struct hash *root);
MUST_USE enum status home_io_is_clean(const char *home, const struct home_head *heads,
                                      size_t count, home_root_fn root_at, void *context,
                                      bool *clean, char why[HOME_IO_ERROR_CHARS]);

#endif
