/* codemap.h: what a sender's codes mean here.
 *
 * Three sources, in this order: the rows of the code map (CSV, one for each
 * hospital), the LOINC column of the catalog, the canonical codes themselves.
 *
 * The code map is CSV with the header sender,system,local_code,item,unit in any
 * order (unit may be missing; lines that begin with # are comments):
 *
 *   sender      MSH-3 or MSH-4 (first component), the sender column of a CSV
 *               file, or --sender; * or empty = any
 *   system      coding system as sent (OBX-3.3); * or empty = any.  Or the name
 *               of a field, for what is no item:
 *                 PID-3   local_code = identifier type as sent (CX-5), item = RI PP
 *                         HM TW RP, or any other word for a number of this hospital
 *                 OBX-11  local_code = status as sent (empty: none), item = final ...
 *                 OBR-24  local_code = section as sent, item = laboratory imaging pathology
 *                 MSH-7   item = the zone of times without one, as +08:00
 *                 MSH-18  item = the character set of messages that state none or a
 *                         wrong one: GB18030, UTF-8, 8859/1 ...
 *   local_code  as sent
 *   item        canonical code of the catalog
 *   unit        when given, the row holds only for results in this unit
 *
 * A row with a sender goes before one without, then one with a system, then one
 * with a unit; of equals, the later one.  Pure. */
#ifndef NODE_CODEMAP_H
#define NODE_CODEMAP_H

#include <stdbool.h>

#include "proto/status.h"
#include "proto/view.h"

struct codemap; /* opaque */

struct codemap_item {
    uint32_t number;  /* catalog number */
    const char *code; /* canonical; valid as long as the map */
    const char *kind; /* laboratory, imaging or pathology */
    const char *name; /* Chinese name */
};

/* What is wrong with a file, and where. */
struct codemap_error {
    uint32_t row;     /* from 1, the header is 1; 0 = whole file */
    char reason[160]; /* one line */
};

/* Make a map of the catalog alone (bytes of catalog.csv, UTF-8).
 * STATUS_MALFORMED the catalog has no such columns; STATUS_NO_MEMORY. */
MUST_USE enum status codemap_new(struct view catalog, struct codemap **out);
void codemap_free(struct codemap *m);

/* Add the rows of a code map; all or nothing.  Charset by its content.
 * STATUS_MALFORMED *error tells row and reason (an item that the catalog does
 * not know is one); STATUS_TOO_BIG; STATUS_NO_MEMORY. */
MUST_USE enum status codemap_add(struct codemap *m, struct view csv,
                                 struct codemap_error *error);

/* Who sent it: up to three names, empty ones never match. */
struct codemap_sender {
    struct view names[3];
};

/* Return the item of a code, or NULL: rows of the map, then LOINC when `system`
 * is LN, LOINC or empty and the code's check digit is right, then the code
 * itself when it is canonical. */
const struct codemap_item *codemap_find(const struct codemap *m,
                                        const struct codemap_sender *sender, struct view system,
                                        struct view code, struct view unit);

/* Return the meaning of `value` of the field `field` ("PID-3"), or NULL. */
const char *codemap_field(const struct codemap *m, const struct codemap_sender *sender,
                          const char *field, struct view value);

/* Return the item of a canonical code, or NULL. */
const struct codemap_item *codemap_canonical(const struct codemap *m, struct view code);

#endif
