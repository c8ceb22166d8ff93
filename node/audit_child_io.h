/* audit_child_io.h: reading what may be damaged, in a child process: LMDB can
 * abort or fault on a damaged file (RELIABILITY L1), which is then a finding.
 *
 * The child tells its findings through a pipe, as JSON lines, and its place
 * through shared memory.  Fork without exec is safe here alone: the caller has
 * one thread, and neither a store nor a net open (L5, N14). */
#ifndef NODE_AUDIT_CHILD_IO_H
#define NODE_AUDIT_CHILD_IO_H

#include <jansson.h>

#include "node/audit.h"
#include "node/cli.h"

enum { AUDIT_PART_CHARS = 24, AUDIT_STEP_NODE = 100000, AUDIT_TOLD_MAX = 1000 };

/* Where the child is; written by it, read by its parent. */
struct audit_place {
    unsigned step;
    char part[AUDIT_PART_CHARS];
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t done;
    int signal; /* that ended it */
};

/* What a child works with. */
struct audit_work {
    const char *home; /* whose charter and logs count */
    const char *path; /* what is checked: a home, or a log as files */
    const char *vkey; /* NULL: from the home's charter */
    unsigned threads;
    unsigned from; /* steps before it are left out; above 0, there is one thread */
    volatile struct audit_place *place;
    void (*tell)(void *context, json_t *finding); /* takes the reference */
    void *context;
};

/* Say where the work is now.  False: leave this step out. */
bool audit_at(const struct audit_work *w, unsigned step, const char *part, struct view origin,
              uint64_t done);
/* Tell a finding of audit.h. */
void audit_tell(void *work, const struct audit_finding *finding);

/* The work itself, in the child: counts for the summary, or NULL if it could not be
 * done (the reason was told as a finding of kind "unknown"). */
json_t *audit_home(const struct audit_work *w);      /* audit_home_io.c */
json_t *audit_log_files(const struct audit_work *w); /* audit_files_io.c */

/* What came of it. */
struct audit_result {
    json_t *findings; /* array of objects: kind, part, log, index, level, page, place, what */
    json_t *counts;   /* NULL: the work did not end */
    uint64_t damages, contradictions, unknowns;
};

/* Run `work` in a child, and again from the next step on when it dies, until it
 * ends.  Progress goes to `cli->err` if that is a terminal.  CLI_TROUBLE if no
 * process could be made (told), else CLI_YES. */
int audit_run(struct cli *cli, struct audit_work *work,
              json_t *(*run)(const struct audit_work *), struct audit_result *out);
void audit_result_free(struct audit_result *r);

#endif
