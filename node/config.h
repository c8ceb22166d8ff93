/* config.h: HOME/config.yaml.
 *
 * Source: DESIGN 4 (YAML by libcyaml, numbers as strict decimals) and 12.  The
 * file that `huren init` writes is commented and is the documentation. */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum { CONFIG_ERROR_CHARS = 512, CONFIG_NETWORKS_MAX = 8, CONFIG_BYTES_MAX = 256 * 1024 };
enum { CONFIG_NO_WITNESS = WITNESSES_MAX + 1 };

/* What store_bytes_max may be: an empty store takes a tenth of the least. */
#define CONFIG_STORE_BYTES_LEAST ((uint64_t)1 << 20)
#define CONFIG_STORE_BYTES_MOST ((uint64_t)1 << 40)

struct config_network {
    const char *name;         /* origin_vet_network */
    const char *listen;       /* tcp://host:port; "": does not listen */
    const char *advertise;    /* what others dial; "": as listen */
    uint32_t tick_ms;         /* of gossip; 0: its default */
    uint32_t start_wait_ms;   /* how long a start waits for witnesses; 0: a minute */
    uint32_t recall_hours;    /* without acknowledgement a recall is overdue; 0: default */
    uint32_t witnesses;       /* wanted under a result; 0: a majority; CONFIG_NO_WITNESS */
    uint32_t witness_hours;   /* for so long fewer are accepted; 0: default */
    uint32_t entries_day;     /* of our exch log, by look-ups of one member; 0: default */
    size_t peer_count;        /* dial only these; 0: all members */
    const char *const *peers; /* institution codes; NULL when there are none */
};

struct config {
    const char *institution;     /* in lower case */
    const char *name;            /* of the institution, UTF-8 */
    int32_t zone_min;            /* minutes east of UTC of times that name no zone */
    const char *passphrase_file; /* of the seed; "": none */
    uint64_t store_bytes_max;    /* cap of the store's file; 0: the disk is the bound */
    size_t network_count;
    const struct config_network *networks;
};

/* Read the text; `file` names it in `error`, one line "file:line: what is wrong".
 * The result is one piece, free it with config_free.  Pure.
 *
 * STATUS_OK, STATUS_MALFORMED, STATUS_NO_MEMORY */
MUST_USE enum status config_parse(struct view yaml, const char *file, struct config **out,
                                  char *error, size_t error_bytes);
/* NULL does nothing.  The passphrase is wiped. */
void config_free(struct config *c);

/* The network of this name, or NULL. */
const struct config_network *config_network(const struct config *c, const char *name);

/* Read HOME/config.yaml, and the passphrase if it names a file of one (0600).
 * In config_io.c.
 *
 * STATUS_OK, STATUS_NOT_FOUND (no home, or no configuration in it),
 * STATUS_MALFORMED, STATUS_REFUSED (the passphrase file is open to others),
 * STATUS_NO_MEMORY, STATUS_IO */
MUST_USE enum status config_load(const char *home, struct config **out, char *error,
                                 size_t error_bytes);
/* The passphrase of the seed; count 0: none.  Lives as long as `c`. */
struct view config_passphrase(const struct config *c);

/* ---- writing -------------------------------------------------------------- */

/* The commented text of a new configuration with these values (zone_min and
 * passphrase_file included), with a zero byte.  STATUS_OK, or STATUS_TOO_BIG when
 * `out` is too small. */
MUST_USE enum status config_write(const struct config *c, char *out, size_t out_bytes,
                                  size_t *count);

#endif
