/* passphrase_io.h: the passphrase of a key file, from a file of its own. */
#ifndef NODE_PASSPHRASE_IO_H
#define NODE_PASSPHRASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/cli.h"

/* Read the file, without the line's end; "-" is standard input, any other file must be
 * closed to group and others.  *out is malloced: wipe and free it.  False: an error
 * was written. */
bool passphrase_read(struct cli *cli, const char *path, uint8_t **out, size_t *count);

#endif
