/* A key file that is accepted is the one that encoding writes; none is accepted
 * without its passphrase.  The check line is made right first, so that the
 * lines behind it are reached. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHECK_LINE = 31 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[KEYFILE_BYTES_MAX], again[KEYFILE_BYTES_MAX];
    uint8_t check[16];
    struct keyfile key;
    size_t count;
    if (sodium_init() < 0 || size > sizeof text - CHECK_LINE - 1) {
        return 0;
    }
    (void)keyfile_is_locked((struct view){data, size});
    if (keyfile_decode((struct view){data, size}, (struct view){NULL, 0}, &key) == STATUS_OK) {
        if (keyfile_encode(&key, NULL, again, sizeof again, &count) != STATUS_OK ||
            count != size || memcmp(again, data, size) != 0) {
            abort();
        }
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    (void)crypto_generichash(check, sizeof check, data, size, NULL, 0);
    memcpy(text + size, "check ", 6);
    (void)sodium_bin2base64(text + size + 6, 25, check, sizeof check,
                            sodium_base64_VARIANT_ORIGINAL);
    text[size + CHECK_LINE - 1] = '\n';
    const struct view whole = {(const uint8_t *)text, size + CHECK_LINE};
    if (keyfile_decode(whole, (struct view){NULL, 0}, &key) == STATUS_OK) {
        if (keyfile_is_locked(whole) ||
            keyfile_encode(&key, NULL, again, sizeof again, &count) != STATUS_OK ||
            count != whole.count || memcmp(again, text, count) != 0) {
            abort();
        }
    }
    return 0;
}
