/* backup_io.h: a copy of a home, and a home from a copy (backup.h has the list).
 *
 * Source: DESIGN 10; RELIABILITY L1, L4, L11, F30.  What is copied or put back is
 * opened in a child process first, since a damaged file can end the process that
 * opens it.  HOME/last-signed is never in a backup, so that a restored home does
 * not sign before it heard its witnesses. */
#ifndef NODE_BACKUP_IO_H
#define NODE_BACKUP_IO_H

#include "node/backup.h"

enum { BACKUP_ERROR_CHARS = 768 };

/* Copy HOME to the new folder `to`; a daemon may run.  `passphrase` of 0 bytes:
 * the files are copied as they are.  *b says what is in it.
 * STATUS_EXISTS: `to` is there and not empty.  STATUS_CORRUPT: the copy did not
 * pass the check.  What was begun is removed unless STATUS_OK. */
MUST_USE enum status backup_make(const char *home, const char *to, struct view passphrase,
                                 struct backup *b, char error[BACKUP_ERROR_CHARS]);

/* Make HOME from the folder `from`.  Everything is compared with the list before
 * HOME is begun, and what was written again.
 * STATUS_EXISTS: there is a home, or another file.  STATUS_CORRUPT: a file is not
 * what the list says, or the store does not pass the check.  STATUS_BAD_KEY: not
 * its passphrase, or none.  What was begun is removed unless STATUS_OK. */
MUST_USE enum status backup_restore(const char *from, const char *home, struct view passphrase,
                                    struct backup *b, char error[BACKUP_ERROR_CHARS]);

/* Read a passphrase from a file that only its owner may read.  The caller wipes
 * and frees *out. */
MUST_USE enum status backup_passphrase(const char *path, uint8_t **out, size_t *count,
                                       char error[BACKUP_ERROR_CHARS]);

/* ---- backup_check_io.c ----------------------------------------------------- */

/* Open the store in the folder `path` in a child process and recompute everything
 * (store/check.h).  *b gets its own logs.  STATUS_CORRUPT: findings, or the child
 * died; `error` says which. */
MUST_USE enum status backup_check(const char *path, struct backup *b,
                                  char error[BACKUP_ERROR_CHARS]);

#endif
