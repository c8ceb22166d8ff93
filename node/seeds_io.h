/* seeds_io.h: the secret seeds of a home, oldest first.
 *
 * Source: DESIGN 5 (keys).  HOME/seed is the first one; each rotation of keys
 * adds another, HOME/seed-2, HOME/seed-3 and so on, each 0600 and under the same
 * passphrase.  All keys of a *generation* come from its seed as DESIGN 5 derives
 * them.  Older seeds are kept: what was sealed to their keys is opened with them,
 * and what is bound to the home itself (ledger, quarantine) stays under the
 * first. */
#ifndef NODE_SEEDS_IO_H
#define NODE_SEEDS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/keyfile_io.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum { SEEDS_MAX = 32 }; /* as many sets of keys as a row of members may list */

struct seeds {
    size_t count; /* 1 or more after seeds_io_read */
    uint8_t at[SEEDS_MAX][KEY_BYTES];
};

/* Read all seeds of `home`; wipe with seeds_io_wipe.  A hole in the numbers ends
 * them.  STATUS_OK, or what keyfile_io_read said, with one line in `error`. */
MUST_USE enum status seeds_io_read(const char *home, struct view passphrase, struct seeds *out,
                                   char error[KEYFILE_IO_ERROR_CHARS]);

/* Draw the next seed, write it, and append it to `seeds`.
 * STATUS_TOO_BIG: there are SEEDS_MAX; or what keyfile_io_write said. */
MUST_USE enum status seeds_io_add(const char *home, const char *institution,
                                  struct view passphrase, struct seeds *seeds,
                                  char error[KEYFILE_IO_ERROR_CHARS]);

/* Is there a seed after the first `count`? */
bool seeds_io_is_more(const char *home, size_t count);

void seeds_io_wipe(struct seeds *seeds);

#endif
