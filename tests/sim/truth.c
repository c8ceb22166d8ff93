#include "tests/sim/truth.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- trees, by RFC 6962 2.1 and libsodium ---- */

static struct hash
node_hash(const struct hash *left, const struct hash *right)
{
    uint8_t bytes[1 + 2 * HASH_BYTES] = {0x01};
    struct hash out;
    memcpy(bytes + 1, left->bytes, HASH_BYTES);
    memcpy(bytes + 1 + HASH_BYTES, right->bytes, HASH_BYTES);
    crypto_hash_sha256(out.bytes, bytes, sizeof bytes);
    return out;
}

static struct hash
leaf_hash(struct view entry)
{
    crypto_hash_sha256_state state;
    const uint8_t zero = 0x00;
    struct hash out;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, &zero, 1);
    crypto_hash_sha256_update(&state, entry.bytes, entry.count);
    crypto_hash_sha256_final(&state, out.bytes);
    return out;
}

/* Perfect subtrees of falling size, as the bits of `count` say; a new leaf is
 * joined with its equals on the left. */
static void
edge_add(struct history *h, struct hash leaf)
{
    for (size_t bits = h->count; (bits & 1) != 0; bits >>= 1) {
        leaf = node_hash(&h->edge[--h->depth], &leaf);
    }
    h->edge[h->depth++] = leaf;
}

static struct hash
edge_root(const struct history *h)
{
    struct hash root = h->edge[h->depth - 1];
    for (size_t i = h->depth - 1; i-- > 0;) {
        root = node_hash(&h->edge[i], &root);
    }
    return root;
}

/* ---- histories ---- */

void
history_init(struct history *h)
{
    memset(h, 0, sizeof *h);
    h->room = 64;
    h->entries = calloc(h->room, sizeof *h->entries);
    h->sealed = calloc(h->room, sizeof *h->sealed);
    h->roots = calloc(h->room + 1, sizeof *h->roots);
    assert(h->entries != NULL && h->roots != NULL && h->sealed != NULL);
    crypto_hash_sha256(h->roots[0].bytes, NULL, 0);
}

void
history_free(struct history *h)
{
    history_cut(h, 0);
    free(h->entries);
    free(h->sealed);
    free(h->roots);
}

void
history_add(struct history *h, struct view entry, const struct hash *sealed)
{
    if (h->count == h->room) {
        h->room *= 2;
        h->entries = realloc(h->entries, h->room * sizeof *h->entries);
        h->sealed = realloc(h->sealed, h->room * sizeof *h->sealed);
        h->roots = realloc(h->roots, (h->room + 1) * sizeof *h->roots);
        assert(h->entries != NULL && h->roots != NULL && h->sealed != NULL);
    }
    uint8_t *copy = malloc(entry.count + 1);
    assert(copy != NULL);
    memcpy(copy, entry.bytes, entry.count);
    h->entries[h->count] = (struct view){copy, entry.count};
    memset(&h->sealed[h->count], 0, sizeof h->sealed[0]);
    if (sealed != NULL) {
        h->sealed[h->count] = *sealed;
    }
    edge_add(h, leaf_hash(entry));
    h->count++;
    h->roots[h->count] = edge_root(h);
}

void
history_cut(struct history *h, size_t count)
{
    for (size_t i = count; i < h->count; i++) {
        free((void *)(uintptr_t)h->entries[i].bytes);
    }
    size_t left = count < h->count ? count : h->count;
    h->depth = 0;
    for (h->count = 0; h->count < left; h->count++) {
        edge_add(h, leaf_hash(h->entries[h->count]));
    }
}

bool
history_has(const struct history *h, uint64_t size, const struct hash *root)
{
    return size <= h->count && memcmp(h->roots[size].bytes, root->bytes, HASH_BYTES) == 0;
}

void
history_copy(struct history *to, const struct history *from)
{
    for (size_t i = to->count; i < from->count; i++) {
        history_add(to, from->entries[i], &from->sealed[i]);
    }
    to->signed_size = from->signed_size;
}

/* ---- notes ---- */

static bool
take_line(const uint8_t **at, const uint8_t *end, const uint8_t **line, size_t *count)
{
    const uint8_t *lf = memchr(*at, '\n', (size_t)(end - *at));
    if (lf == NULL) {
        return false;
    }
    *line = *at;
    *count = (size_t)(lf - *at);
    *at = lf + 1;
    return true;
}

static bool
unbase64(const uint8_t *text, size_t count, uint8_t *out, size_t max, size_t *out_count)
{
    return sodium_base642bin(out, max, (const char *)text, count, NULL, out_count, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0;
}

bool
truth_read(struct view bytes, struct truth_note *out)
{
    static const uint8_t dash[] = {0xe2, 0x80, 0x94, ' '};
    const uint8_t *at = bytes.bytes, *end = bytes.bytes + bytes.count, *line;
    size_t count, got;
    char number[24];
    memset(out, 0, sizeof *out);
    if (!take_line(&at, end, &line, &count) || count == 0 || count >= sizeof out->origin) {
        return false;
    }
    memcpy(out->origin, line, count);
    if (!take_line(&at, end, &line, &count) || count == 0 || count >= sizeof number) {
        return false;
    }
    memcpy(number, line, count);
    number[count] = '\0';
    out->size = strtoull(number, NULL, 10);
    if (!take_line(&at, end, &line, &count) ||
        !unbase64(line, count, out->root.bytes, HASH_BYTES, &got) || got != HASH_BYTES) {
        return false;
    }
    out->text = bytes.bytes;
    do {
        out->text_count = (size_t)(at - bytes.bytes);
        if (!take_line(&at, end, &line, &count)) {
            return false;
        }
    } while (count > 0);
    while (at < end && out->line_count < TRUTH_LINES_MAX) {
        struct truth_line *l = &out->lines[out->line_count++];
        if (!take_line(&at, end, &line, &count) || count < 8 || memcmp(line, dash, 4) != 0) {
            return false;
        }
        const uint8_t *space = memchr(line + 4, ' ', count - 4);
        size_t name = space == NULL ? 0 : (size_t)(space - line - 4);
        if (name == 0 || name >= sizeof l->name ||
            !unbase64(space + 1, count - 4 - name - 1, l->payload, sizeof l->payload,
                      &l->count)) {
            return false;
        }
        memcpy(l->name, line + 4, name);
    }
    return true;
}

bool
truth_signed(const struct truth_note *n, const struct truth_line *line,
             const uint8_t public_key[KEY_BYTES])
{
    return line->count == 4 + SIGNATURE_BYTES &&
           crypto_sign_verify_detached(line->payload + 4, n->text, n->text_count, public_key) ==
               0;
}

bool
truth_cosigned(const struct truth_note *n, const struct truth_line *line,
               const uint8_t public_key[KEY_BYTES], int64_t *time_s)
{
    uint8_t message[4096 + 64];
    uint64_t t = 0;
    if (line->count != 4 + 8 + SIGNATURE_BYTES || n->text_count > 4096) {
        return false;
    }
    for (int i = 0; i < 8; i++) {
        t = t << 8 | line->payload[4 + i];
    }
    int head = snprintf((char *)message, 64, "cosignature/v1\ntime %" PRIu64 "\n", t);
    memcpy(message + head, n->text, n->text_count);
    *time_s = (int64_t)t;
    return crypto_sign_verify_detached(line->payload + 12, message,
                                       (size_t)head + n->text_count, public_key) == 0;
}
