/* charter_key.c: see charter_key.h. */
#include "node/charter_key.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/line.h"
#include "node/origin.h"
#include "proto/text.h"

static const char public_line[] = "huren signing public key v1";
static const char network_line[] = "huren network keys v1";

/* The next line without `label` and the blank after it. */
static bool
take(struct view *rest, const char *label, struct view *value)
{
    size_t count = strlen(label);
    if (line_take(rest, value) != STATUS_OK || value->count <= count + 1 ||
        memcmp(value->bytes, label, count) != 0 || value->bytes[count] != ' ') {
        return false;
    }
    value->bytes += count + 1;
    value->count -= count + 1;
    return true;
}

/* What comes before the next blank, or all. */
static struct view
take_word(struct view *rest)
{
    struct view word = {rest->bytes, 0};
    while (word.count < rest->count && rest->bytes[word.count] != ' ') {
        word.count++;
    }
    size_t skip = word.count + (word.count < rest->count ? 1 : 0);
    rest->bytes += skip;
    rest->count -= skip;
    return word;
}

static bool
read_name(struct view text, char *out, size_t chars_max)
{
    if (text.count > chars_max || memchr(text.bytes, 0, text.count) != NULL) {
        return false;
    }
    memcpy(out, text.bytes, text.count);
    out[text.count] = 0;
    return keys_vet_name(out, chars_max) == STATUS_OK;
}

size_t
charter_public_key_encode(const struct charter_public_key *key,
                          char out[CHARTER_PUBLIC_KEY_BYTES_MAX])
{
    char b64[BASE64_CHARS(KEY_BYTES) + 1] = "";
    base64_encode((struct view){key->public_key, KEY_BYTES}, (uint8_t *)b64);
    int n = snprintf(out, CHARTER_PUBLIC_KEY_BYTES_MAX, "%s\nname %s\nkey %s\n", public_line,
                     key->name, b64);
    assert(n > 0 && n < CHARTER_PUBLIC_KEY_BYTES_MAX);
    return (size_t)n;
}

enum status
charter_public_key_decode(struct view text, struct charter_public_key *out)
{
    struct charter_public_key key;
    struct view rest = text, line;
    size_t count;
    memset(out, 0, sizeof *out);
    if (line_take(&rest, &line) != STATUS_OK || !text_is(line, public_line)) {
        return STATUS_UNSUPPORTED;
    }
    memset(&key, 0, sizeof key);
    if (!take(&rest, "name", &line) || !read_name(line, key.name, INSTITUTION_CHARS_MAX) ||
        !take(&rest, "key", &line) ||
        base64_decode(line, key.public_key, KEY_BYTES, &count) != STATUS_OK ||
        count != KEY_BYTES || rest.count != 0) {
        return STATUS_MALFORMED;
    }
    if (keys_vet_ed25519(key.public_key) != STATUS_OK) {
        return STATUS_BAD_KEY;
    }
    *out = key;
    return STATUS_OK;
}

size_t
charter_epoch_keys_encode(const struct charter_epoch_keys *keys,
                          char out[CHARTER_NETWORK_KEYS_BYTES_MAX])
{
    int n = snprintf(out, CHARTER_NETWORK_KEYS_BYTES_MAX, "%s\nnetwork %s\n", network_line,
                     keys->network);
    assert(n > 0 && n < CHARTER_NETWORK_KEYS_BYTES_MAX);
    size_t used = (size_t)n;
    for (size_t i = 0; i < keys->count; i++) {
        const struct charter_epoch_key *e = &keys->epochs[i];
        char b64[BASE64_CHARS(KEY_BYTES) + 1] = "";
        base64_encode((struct view){e->key.key, KEY_BYTES}, (uint8_t *)b64);
        n = snprintf(out + used, CHARTER_NETWORK_KEYS_BYTES_MAX - used,
                     "epoch %" PRIu32 " %s %" PRId64 " %" PRId64 "\n", e->key.epoch, b64,
                     e->from_s, e->ended_s);
        sodium_memzero(b64, sizeof b64);
        assert(n > 0 && (size_t)n < CHARTER_NETWORK_KEYS_BYTES_MAX - used);
        used += (size_t)n;
    }
    return used;
}

static bool
read_epoch(struct view line, struct charter_epoch_key *out)
{
    uint64_t epoch, from, ended;
    size_t count;
    struct view number = take_word(&line), key = take_word(&line), begun = take_word(&line);
    if (line_decimal(number, UINT32_MAX, &epoch) != STATUS_OK || epoch == 0 ||
        base64_decode(key, out->key.key, KEY_BYTES, &count) != STATUS_OK ||
        count != KEY_BYTES || line_decimal(begun, INT64_MAX, &from) != STATUS_OK ||
        line_decimal(line, INT64_MAX, &ended) != STATUS_OK || (ended != 0 && ended < from)) {
        return false;
    }
    out->key.epoch = (uint32_t)epoch;
    out->from_s = (int64_t)from;
    out->ended_s = (int64_t)ended;
    return true;
}

enum status
charter_epoch_keys_decode(struct view text, struct charter_epoch_keys *out)
{
    struct view rest = text, line;
    memset(out, 0, sizeof *out);
    if (line_take(&rest, &line) != STATUS_OK || !text_is(line, network_line)) {
        return STATUS_UNSUPPORTED;
    }
    bool good = take(&rest, "network", &line) &&
                read_name(line, out->network, NETWORK_CHARS_MAX) &&
                origin_vet_network(out->network) == STATUS_OK;
    while (good && rest.count > 0) {
        struct charter_epoch_key *e = &out->epochs[out->count];
        good = out->count < NETWORK_KEY_EPOCHS_MAX && take(&rest, "epoch", &line) &&
               read_epoch(line, e) &&
               (out->count == 0 || (e[-1].key.epoch < e->key.epoch && e[-1].ended_s != 0));
        out->count += good ? 1 : 0;
    }
    if (!good) {
        sodium_memzero(out, sizeof *out);
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}
