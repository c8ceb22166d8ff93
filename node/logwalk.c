#include "node/logwalk.h"

#include <string.h>

#include "proto/text.h"

enum status
logwalk_next(struct store_txn *txn, const char *network, enum origin_log kind,
             char at[ORIGIN_CHARS_MAX + 1], struct store_log *log, struct origin *origin)
{
    enum status st;
    while ((st = store_log_next(txn, text_view(at), log)) == STATUS_OK) {
        if (log->origin.count > ORIGIN_CHARS_MAX) {
            return STATUS_CORRUPT;
        }
        memcpy(at, log->origin.bytes, log->origin.count);
        at[log->origin.count] = '\0';
        if (origin_parse(log->origin, origin) == STATUS_OK && origin->log == kind &&
            strcmp(origin->network, network) == 0) {
            break;
        }
    }
    return st;
}
