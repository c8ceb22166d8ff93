/* origin.h: names of logs and keys, built and read strictly.
 *
 * Source: DESIGN 6 and 7, NODE names.
 *   log        <network>/<institution>/pub            also .../pub/<8 hex>
 *              <network>/<institution>/exch/<8 hex>
 *   witness    <network>/<institution>/witness
 *   statement  <network>/<institution>/statement      also log, as in join files
 *   charter    <network>/charter/<key name>
 * Networks, institutions and key names take 1 to their limit of a-z 0-9 . - _
 * (keys_vet_name); hex is in lower case.  "charter" is therefore no institution
 * code, see origin_vet_institution.  Pure. */
#ifndef NODE_ORIGIN_H
#define NODE_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum origin_log { ORIGIN_PUB, ORIGIN_EXCH };

/* The parts of a log's origin. */
struct origin {
    char network[NETWORK_CHARS_MAX + 1];
    char institution[INSTITUTION_CHARS_MAX + 1];
    enum origin_log log;
    bool numbered;   /* always of exch; of pub after a fork */
    uint32_t number; /* the 8 hex digits */
};

/* Read an origin; `out` is written on success only.
 *
 * STATUS_OK
 * STATUS_TOO_BIG    over ORIGIN_CHARS_MAX, or a part over its limit.
 * STATUS_MALFORMED  anything but the two forms above. */
MUST_USE enum status origin_parse(struct view text, struct origin *out);

/* Write an origin.  The parts must be valid (asserted). */
void origin_write(const struct origin *o, char out[ORIGIN_CHARS_MAX + 1]);

/* The same from parts, for the usual cases. */
void origin_pub(const char *network, const char *institution, char out[ORIGIN_CHARS_MAX + 1]);
void origin_exch(const char *network, const char *institution, uint32_t number,
                 char out[ORIGIN_CHARS_MAX + 1]);

/* Signer names.  Parts must be valid (asserted). */
void origin_witness_name(const char *network, const char *institution,
                         char out[KEY_NAME_CHARS_MAX + 1]);
void origin_statement_name(const char *network, const char *institution,
                           char out[KEY_NAME_CHARS_MAX + 1]);
void origin_charter_name(const char *network, const char *key_name,
                         char out[KEY_NAME_CHARS_MAX + 1]);

/* Whether `text` is <network>/charter/<key name> of this network; `key_name`
 * then gets the last part. */
bool origin_is_charter_name(struct view text, const char *network, struct view *key_name);

/* Fold an institution code as people write it (blanks around it, capitals) to
 * the form of origins.
 *
 * STATUS_OK
 * STATUS_TOO_BIG    over INSTITUTION_CHARS_MAX.
 * STATUS_MALFORMED  empty, a character that codes do not have, or "charter". */
MUST_USE enum status origin_fold_institution(const char *text,
                                             char out[INSTITUTION_CHARS_MAX + 1]);

/* Check a code that should be in that form already.  Statuses as above. */
MUST_USE enum status origin_vet_institution(const char *text);

/* Check the name of a network: keys_vet_name, and not "." or ".." and the like,
 * since it also names a folder: it begins and ends with a letter or digit.
 * STATUS_OK, STATUS_TOO_BIG, STATUS_MALFORMED. */
MUST_USE enum status origin_vet_network(const char *text);

#endif
