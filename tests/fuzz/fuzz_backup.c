/* The list of a backup: no bytes crash it, and what is taken is what encoding
 * writes.  The sum is made right first, so that the lines before it are reached. */
#include <stdlib.h>
#include <string.h>

#include "node/backup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct view text)
{
    static struct backup b;
    static char again[BACKUP_TEXT_BYTES_MAX];
    size_t count;
    if (backup_decode(text, &b) != STATUS_OK) {
        return;
    }
    if (backup_encode(&b, again, sizeof again, &count) != STATUS_OK || count != text.count ||
        memcmp(again, text.bytes, count) != 0) {
        abort();
    }
    for (size_t i = 0; i < b.file_count; i++) {
        if (!backup_takes(b.files[i].name)) {
            abort();
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    static uint8_t text[BACKUP_TEXT_BYTES_MAX];
    struct hash sum;
    enum { SUM_BYTES = 4 + 2 * HASH_BYTES + 1 };
    check((struct view){data, size});
    if (size > sizeof text - SUM_BYTES) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    sha256(data, size, &sum);
    memcpy(text + size, "sum ", 4);
    for (size_t i = 0; i < HASH_BYTES; i++) {
        text[size + 4 + 2 * i] = (uint8_t)digits[sum.bytes[i] >> 4];
        text[size + 5 + 2 * i] = (uint8_t)digits[sum.bytes[i] & 15];
    }
    text[size + SUM_BYTES - 1] = '\n';
    check((struct view){text, size + SUM_BYTES});
    return 0;
}
