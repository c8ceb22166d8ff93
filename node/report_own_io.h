/* report_own_io.h: a report that this home published, out of its own log.
 *
 * A home cannot list its patients (DESIGN 5): the record opens only with the
 * patient's number.  Reads the store beside a daemon; asks nobody. */
#ifndef NODE_REPORT_OWN_IO_H
#define NODE_REPORT_OWN_IO_H

#include "node/charter.h"
#include "node/cli.h"
#include "node/config.h"
#include "proto/report.pb-c.h"
#include "store/store.h"

/* What a command reads of a home.  Zero it; close it with report_home_close. */
struct report_home {
    struct config *config;
    struct store *store;
    struct store_txn *txn;   /* read */
    const char *network;     /* in `config` */
    struct charter *charter; /* NULL: none adopted */
};

/* Open `cli->home` for reading; `network` is NULL when it is in one only.
 * False: an error was written. */
MUST_USE bool report_home_open(struct cli *cli, const char *network, struct report_home *h);
void report_home_close(struct report_home *h);

/* A report, valid during the callback. */
typedef enum status (*report_own_fn)(void *user, Hr__Report *report);

/* Call `each` for every report with this number that stands for this patient now
 * (not what was corrected or withdrawn), of the last 20 years.  `patient` is
 * TYPE:VALUE.  Returns the exit code: CLI_NO when there is none. */
int report_own_find(struct cli *cli, const struct report_home *h, const char *patient,
                    const char *report_id, int64_t now_s, report_own_fn each, void *user);

#endif
