/* import_io.h: normalised reports and bad records from a command to the owner.
 *
 * Reports travel packed, in parts; nothing is called published before the part
 * that holds it is committed.  Records that could not be read go to the
 * quarantine of the home, from which `import --retry` takes them up again. */
#ifndef NODE_IMPORT_IO_H
#define NODE_IMPORT_IO_H

#include "node/call_io.h"
#include "node/cli.h"
#include "node/normalise.h"

struct importer; /* opaque */

struct import_counts {
    uint32_t published, corrected, withdrawn, repeats; /* reports */
    uint32_t kept_out;    /* understood, not published: no identifier, held back, stale ... */
    uint32_t quarantined; /* records */
    uint32_t failed;      /* reports of parts that could not be stored */
};

/* `network` may be NULL.  NULL without memory. */
MUST_USE struct importer *importer_open(struct cli *cli, const char *network);

/* Take a report, or a bad record; sends a part when one is full. */
MUST_USE enum status importer_report(struct importer *im, const struct normalised *n);
MUST_USE enum status importer_problem(struct importer *im, const struct problem *p);

/* Send what waits; false if a part could not be stored. */
MUST_USE bool importer_flush(struct importer *im);

/* The records in quarantine, one after the other, a page of them in memory:
 * calls `each` with the file name and bytes; drops those for which it returns
 * true, once all that came of the page is stored.  False: trouble; what was not
 * dropped stays. */
typedef bool (*importer_retry_fn)(void *user, const char *file, struct view raw);
MUST_USE bool importer_retry(struct importer *im, importer_retry_fn each, void *user);

const struct import_counts *importer_counts(const struct importer *im);
void importer_close(struct importer *im);

#endif
