/* join_io.h: the join files of a home.  Source: DESIGN 5 (crypto/joinfile.h). */
#ifndef NODE_JOIN_IO_H
#define NODE_JOIN_IO_H

#include "node/cli.h"
#include "node/config.h"
#include "node/seeds_io.h"

/* Write the join file of a network of this home: HOME/join for the first one in
 * the configuration, else HOME/join.NETWORK.  It names the keys of the newest
 * seed, and is signed by those of up to four seeds before it as well.  Says so on
 * cli->out; returns the exit code, an error was written. */
int join_io_write(struct cli *cli, const struct config *c, const struct config_network *n,
                  const struct seeds *seeds);

#endif
