/* cmd_charter.h: what the files of `huren charter` share. */
#ifndef NODE_CMD_CHARTER_H
#define NODE_CMD_CHARTER_H

#include "node/charter.h"
#include "node/cli.h"
#include "store/store.h"

/* A file and the document in it. */
struct charter_opened {
    uint8_t *bytes;
    size_t count;
    struct charter_document doc;
};
void charter_opened_free(struct charter_opened *o);

/* Open a document file; on false an error was written and *code set. */
MUST_USE bool charter_open(struct cli *cli, const char *path, struct charter_opened *out,
                           int *code);

/* The same for a file, or KIND:VERSION (version 0: the newest) of the home. */
MUST_USE bool charter_open_any(struct cli *cli, const char *operand, const char *network,
                               struct charter_opened *out, int *code);

/* The store of the home, read beside a daemon.  False: there is none; an error was
 * written when `must`. */
struct charter_beside {
    struct store *store;
    struct store_txn *txn;
};
MUST_USE bool charter_beside_open(struct cli *cli, bool must, struct charter_beside *b);
void charter_beside_close(struct charter_beside *b);
/* The network meant: `given`, else the only one of the home that has a charter.  False: an
 * error was written. */
MUST_USE bool charter_the_network(struct cli *cli, struct charter_beside *b, const char *given,
                                  char out[NETWORK_CHARS_MAX + 1]);

/* The charter by which signatures are judged: a root file, else what the home holds
 * of this network, else nothing (both members empty). */
struct charter_judge {
    struct charter_opened file;
    struct charter *home;
};
/* `root_path` may be NULL.  False: the file named is no root of it; an error was written. */
MUST_USE bool charter_judge_open(struct cli *cli, const char *root_path, const char *network,
                                 struct charter_judge *out);
void charter_judge_close(struct charter_judge *j);
/* The root that has a say about `d`, or NULL. */
const struct charter_document *charter_judge_root(const struct charter_judge *j,
                                                  const struct charter_document *d);

/* Show a document; returns the exit code. */
int charter_show_one(struct cli *cli, const struct charter_document *d,
                     const struct charter_judge *judge);

int cmd_charter_adopt(struct cli *cli, int argc, char **argv);
int cmd_charter_merge(struct cli *cli, int argc, char **argv);
int cmd_charter_show(struct cli *cli, int argc, char **argv);
int cmd_charter_diff(struct cli *cli, int argc, char **argv);
int cmd_charter_impact(struct cli *cli, int argc, char **argv);
int cmd_charter_refused(struct cli *cli, int argc, char **argv);
int cmd_charter_export(struct cli *cli, int argc, char **argv);

#endif
