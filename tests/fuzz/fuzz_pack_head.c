/* Any bytes as the five lines of a pack: no crash; what is read is within its bounds, and
 * the lines written again of it are the same bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "node/pack_file.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One "name <bytes> <base64>" LF. */
static size_t
part(char *out, size_t room, const char *name, size_t bytes, const struct hash *hash)
{
    uint8_t text[BASE64_CHARS(HASH_BYTES) + 1] = "";
    base64_encode((struct view){hash->bytes, HASH_BYTES}, text);
    return (size_t)snprintf(out, room, "%s %zu %s\n", name, bytes, (const char *)text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pack_head head;
    char again[PACK_HEAD_BYTES_MAX + 1];
    struct hash address;
    if (pack_head_decode((struct view){data, size}, &head) != STATUS_OK) {
        return 0;
    }
    if (size > PACK_HEAD_BYTES_MAX || strlen(head.id) > PACK_ID_CHARS_MAX ||
        head.rules_bytes > HR_PACK_TEXT_BYTES_MAX ||
        head.vectors_bytes > HR_PACK_TEXT_BYTES_MAX) {
        abort();
    }
    size_t n = (size_t)snprintf(again, sizeof again, "huren %s file v1\npack %s\nversion %u\n",
                                head.annex ? "annex" : "pack", head.id, (unsigned)head.version);
    n += part(again + n, sizeof again - n, "rules", head.rules_bytes, &head.rules);
    n += part(again + n, sizeof again - n, "vectors", head.vectors_bytes, &head.vectors);
    sha256(data, size, &address);
    if (n != size || memcmp(again, data, size) != 0 || !hash_equal(&address, &head.address)) {
        abort();
    }
    return 0;
}
