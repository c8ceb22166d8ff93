/* file_io.h: reading and writing whole files that a command names.
 *
 * Error texts are one line: they name the file and say what is wrong, and hold
 * nothing of its content. */
#ifndef NODE_FILE_IO_H
#define NODE_FILE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/status.h"
#include "proto/view.h"

enum { FILE_ERROR_CHARS = 512, FILE_PATH_CHARS_MAX = 4096 };

/* Read a file of at most `bytes_max` bytes; "-" is standard input.  *out is
 * allocated (free it) and has a zero byte after its *count bytes.
 *
 * STATUS_OK
 * STATUS_NOT_FOUND
 * STATUS_TOO_BIG
 * STATUS_NO_MEMORY, STATUS_IO (a folder, no permission ...) */
MUST_USE enum status file_read(const char *path, size_t bytes_max, uint8_t **out, size_t *count,
                               char error[FILE_ERROR_CHARS]);

/* Write a file so that it is there wholly or not at all, also after a crash: under
 * another name first, synced, then renamed.  `mode` is 0600 or 0644.  With
 * `replace` false a file that is there is left alone.
 *
 * STATUS_OK
 * STATUS_EXISTS
 * STATUS_NO_SPACE, STATUS_IO */
MUST_USE enum status file_write(const char *path, struct view bytes, unsigned mode,
                                bool replace, char error[FILE_ERROR_CHARS]);

/* `name` as seen from the folder of `base`: itself when absolute.  False when it
 * does not fit. */
bool file_beside(const char *base, const char *name, char out[FILE_PATH_CHARS_MAX]);

#endif
