/* keyfile_io.h: key files on disk.
 *
 * Source: DESIGN section 5: 0600, opened with O_NOFOLLOW.  The only place that
 * opens key files.  Error texts are one line, name the file and say what to do;
 * they never hold anything of the key. */
#ifndef NODE_KEYFILE_IO_H
#define NODE_KEYFILE_IO_H

#include <stddef.h>

#include "crypto/keyfile.h"
#include "proto/status.h"
#include "proto/view.h"

enum { KEYFILE_IO_ERROR_CHARS = 512 };

/* Write a new key file: never over one that is there; 0600; file and folder are
 * synced before it returns.  What was half written is removed.
 * `lock` as for keyfile_encode, NULL: no passphrase.
 *
 * STATUS_OK
 * STATUS_EXISTS     the path exists (also as a symbolic link).
 * STATUS_NO_SPACE, STATUS_IO
 * or a status of keyfile_encode.  `error` is set unless STATUS_OK. */
MUST_USE enum status keyfile_io_write(const char *path, const struct keyfile *key,
                                      const struct keyfile_lock *lock,
                                      char error[KEYFILE_IO_ERROR_CHARS]);

/* Read a key file: a regular file, not a symbolic link, ours, and closed to
 * group and others.  `passphrase` is used only if the file is locked.
 *
 * STATUS_OK
 * STATUS_NOT_FOUND
 * STATUS_REFUSED    a symbolic link, not a regular file, not ours, or open to others.
 * STATUS_IO
 * or a status of keyfile_decode.  `error` is set unless STATUS_OK. */
MUST_USE enum status keyfile_io_read(const char *path, struct view passphrase,
                                     struct keyfile *out, char error[KEYFILE_IO_ERROR_CHARS]);

/* Whether the file at `path` asks for a passphrase; statuses as keyfile_io_read. */
MUST_USE enum status keyfile_io_is_locked(const char *path, bool *locked,
                                          char error[KEYFILE_IO_ERROR_CHARS]);

#endif
