/* backup.h: the list of what a backup holds (its file BACKUP).
 *
 * Source: DESIGN 10, RELIABILITY L1, L11, F30.  A text, so that an operator can
 * read it and check the hashes with sha256sum:
 *
 *   huren backup v1
 *   institution <code>
 *   made <Unix seconds>
 *   sealed no | argon2id <passes> <memory, KiB> <16-byte salt, base64>
 *   log <origin> <size> <root, hex>         each own log, as in the copied store
 *   file <name> <bytes> <SHA-256, hex>      as it lies in the backup
 *   sum <SHA-256 of all lines above, hex>
 *
 * Names are those in a home: `store/data.mdb`, else without a folder.  Pure. */
#ifndef NODE_BACKUP_H
#define NODE_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keyfile.h"
#include "crypto/sha256.h"
#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum {
    BACKUP_FILES_MAX = 256,
    BACKUP_LOGS_MAX = 512,
    BACKUP_NAME_CHARS = 192,
    BACKUP_TEXT_BYTES_MAX =
        BACKUP_FILES_MAX * (BACKUP_NAME_CHARS + 96) + BACKUP_LOGS_MAX * 288 + 1024
};
#define BACKUP_LIST "BACKUP"
#define BACKUP_STORE "store/data.mdb"

struct backup_file {
    char name[BACKUP_NAME_CHARS + 1];
    uint64_t bytes;
    struct hash sha256;
};
struct backup_log {
    char origin[ORIGIN_CHARS_MAX + 1];
    uint64_t size;
    struct hash root;
};
struct backup {
    char institution[INSTITUTION_CHARS_MAX + 1];
    int64_t made_s;
    bool sealed; /* every file is encrypted under a passphrase */
    uint32_t passes, memory_kib;
    uint8_t salt[KEYFILE_SALT_BYTES];
    size_t log_count, file_count;
    struct backup_log logs[BACKUP_LOGS_MAX];
    struct backup_file files[BACKUP_FILES_MAX];
};

/* Whether a file of this name may stand in a backup and is put back by restore:
 * never `lock`, `control`, `last-signed` and what programs leave behind. */
bool backup_takes(const char *name);

/* Write the text.  STATUS_TOO_BIG: `max`. */
MUST_USE enum status backup_encode(const struct backup *b, char *out, size_t max,
                                   size_t *count);

/* Read the text; `out` is written on success only.  Whatever encode does not
 * write is refused, so are names that a home does not have, twice the same name
 * and a list without the store.
 * STATUS_MALFORMED, STATUS_TOO_BIG, STATUS_CORRUPT (the sum), STATUS_UNSUPPORTED
 * (another version). */
MUST_USE enum status backup_decode(struct view text, struct backup *out);

#endif
