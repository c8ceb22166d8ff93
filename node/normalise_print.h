/* normalise_print.h: a normalised report for people and for programs.  Pure. */
#ifndef NODE_NORMALISE_PRINT_H
#define NODE_NORMALISE_PRINT_H

#include "node/normalise.h"

/* One JSON object (a single line, no line end) that the caller frees; NULL when
 * there is no memory.  Its members are those of `huren import --help`. */
char *normalised_json(const struct normalised *n);

/* Lines for a terminal: `line` is called for each, without a line end, with text
 * that is safe to print. */
void normalised_lines(const struct normalised *n, void (*line)(void *user, const char *text),
                      void *user);

#endif
