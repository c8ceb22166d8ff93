#include "crypto/tile.h"

#include <assert.h>
#include <string.h>

#include "crypto/line.h"
#include "proto/text.h"

enum {
    ROWS = 8, /* levels of the tree in one level of tiles */
    BUNDLE_LENGTH_BYTES = 2,
    GROUP_CHARS = 3 /* digits of a path group */
};

_Static_assert(1 << ROWS == TILE_HASHES, "a tile is eight levels high");

/* How many hashes tile level `level` has in a tree of `size` leaves. */
static uint64_t
level_hashes(unsigned level, uint64_t size)
{
    return level < TILE_LEVELS ? size >> (ROWS * level) : 0;
}

unsigned
tile_width(unsigned level, uint64_t index, uint64_t size)
{
    uint64_t hashes = level_hashes(level, size);

    if (index >= hashes / TILE_HASHES + 1) {
        return 0;
    }
    hashes -= index * TILE_HASHES;
    return hashes < TILE_HASHES ? (unsigned)hashes : TILE_HASHES;
}

/* ---- paths ---- */

static size_t
put_text(char *out, size_t used, const char *s)
{
    size_t n = strlen(s);

    memcpy(out + used, s, n);
    return used + n;
}

static size_t
put_decimal(char *out, size_t used, uint64_t value)
{
    uint8_t digits[LINE_DECIMAL_CHARS_MAX];
    size_t n = line_put_decimal(value, digits);

    memcpy(out + used, digits, n);
    return used + n;
}

/* Groups of three digits, all but the last prefixed with 'x'. */
static size_t
put_index(char *out, size_t used, uint64_t index)
{
    uint64_t unit = 1;

    while (index / unit >= 1000) {
        unit *= 1000;
    }
    for (; unit > 0; unit /= 1000) {
        uint64_t group = index / unit % 1000;
        if (unit > 1) {
            out[used++] = 'x';
        }
        out[used++] = (char)('0' + group / 100);
        out[used++] = (char)('0' + group / 10 % 10);
        out[used++] = (char)('0' + group % 10);
        if (unit > 1) {
            out[used++] = '/';
        }
    }
    return used;
}

static void
put_rest(char *out, size_t used, uint64_t index, unsigned width)
{
    assert(width >= 1 && width <= TILE_HASHES);
    used = put_index(out, used, index);
    if (width < TILE_HASHES) {
        used = put_text(out, used, ".p/");
        used = put_decimal(out, used, width);
    }
    assert(used < TILE_PATH_BYTES_MAX);
    out[used] = '\0';
}

void
tile_path(const struct tile *tile, char out[TILE_PATH_BYTES_MAX])
{
    size_t used = put_text(out, 0, "tile/");

    assert(tile->level <= TILE_LEVEL_MAX);
    used = put_decimal(out, used, tile->level);
    out[used++] = '/';
    put_rest(out, used, tile->index, tile->width);
}

void
tile_entries_path(uint64_t index, unsigned width, char out[TILE_PATH_BYTES_MAX])
{
    put_rest(out, put_text(out, 0, "tile/entries/"), index, width);
}

static struct view
skip(struct view t, size_t n)
{
    return (struct view){t.bytes + n, t.count - n};
}

/* Take the index off *rest. */
static enum status
parse_index(struct view *rest, uint64_t *out)
{
    uint64_t index = 0;

    for (bool first = true;; first = false) {
        bool more = rest->count > 0 && rest->bytes[0] == 'x';
        uint64_t group = 0;
        if (more) {
            *rest = skip(*rest, 1);
        }
        if (rest->count < GROUP_CHARS) {
            return STATUS_MALFORMED;
        }
        for (size_t i = 0; i < GROUP_CHARS; i++) {
            if (rest->bytes[i] < '0' || rest->bytes[i] > '9') {
                return STATUS_MALFORMED;
            }
            group = group * 10 + (uint64_t)(rest->bytes[i] - '0');
        }
        *rest = skip(*rest, GROUP_CHARS);
        if ((first && more && group == 0) || index > (UINT64_MAX - group) / 1000) {
            return STATUS_MALFORMED; /* a group in front that says nothing; too large */
        }
        index = index * 1000 + group;
        if (!more) {
            *out = index;
            return STATUS_OK;
        }
        if (rest->count == 0 || rest->bytes[0] != '/') {
            return STATUS_MALFORMED;
        }
        *rest = skip(*rest, 1);
    }
}

enum status
tile_path_parse(struct view path, struct tile *tile, bool *entries)
{
    struct tile t = {.width = TILE_HASHES};
    struct view rest = path;
    bool is_entries;
    uint64_t number;

    if (path.count >= TILE_PATH_BYTES_MAX || !text_begins(path, "tile/")) {
        return STATUS_MALFORMED;
    }
    is_entries = text_begins(path, "tile/entries/");
    if (is_entries) {
        rest = skip(rest, sizeof "tile/entries/" - 1);
    } else {
        const uint8_t *slash;
        size_t n;
        rest = skip(rest, sizeof "tile/" - 1);
        slash = rest.count == 0 ? NULL : memchr(rest.bytes, '/', rest.count);
        if (slash == NULL) {
            return STATUS_MALFORMED;
        }
        n = (size_t)(slash - rest.bytes);
        if (line_decimal((struct view){rest.bytes, n}, TILE_LEVEL_MAX, &number) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
        t.level = (unsigned)number;
        rest = skip(rest, n + 1);
    }
    if (parse_index(&rest, &t.index) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (rest.count > 0) {
        if (!text_begins(rest, ".p/") ||
            line_decimal(skip(rest, 3), TILE_HASHES - 1, &number) != STATUS_OK || number == 0) {
            return STATUS_MALFORMED;
        }
        t.width = (unsigned)number;
    }
    *tile = t;
    *entries = is_entries;
    return STATUS_OK;
}

/* ---- nodes in tiles ---- */

void
tile_place_of(unsigned level, uint64_t index, struct tile_place *out)
{
    unsigned rows = level % ROWS;
    uint64_t first = index << rows;

    assert(level < 64 && index <= UINT64_MAX >> rows);
    *out = (struct tile_place){.tile_level = level / ROWS,
                               .tile_index = first / TILE_HASHES,
                               .first = (unsigned)(first % TILE_HASHES),
                               .rows = rows};
}

void
tile_rebuild(const struct hash *hashes, unsigned rows, struct hash *out)
{
    struct hash work[TILE_HASHES / 2];
    size_t count = (size_t)1 << rows;

    assert(rows <= ROWS);
    if (rows == 0) {
        *out = hashes[0];
        return;
    }
    for (size_t i = 0; i < count / 2; i++) {
        tree_node_hash(&hashes[2 * i], &hashes[2 * i + 1], &work[i]);
    }
    for (count /= 2; count > 1; count /= 2) {
        for (size_t i = 0; i < count / 2; i++) {
            tree_node_hash(&work[2 * i], &work[2 * i + 1], &work[i]);
        }
    }
    *out = work[0];
}

void
tile_root_of_full(const struct hash hashes[TILE_HASHES], struct hash *out)
{
    tile_rebuild(hashes, ROWS, out);
}

/* ---- entry bundles ---- */

enum status
tile_bundle_add(struct view entry, uint8_t *out, size_t max, size_t *used)
{
    assert(*used <= max);
    if (entry.count > UINT16_MAX || entry.count + BUNDLE_LENGTH_BYTES > max - *used) {
        return STATUS_TOO_BIG;
    }
    out[*used] = (uint8_t)(entry.count >> 8);
    out[*used + 1] = (uint8_t)(entry.count & 0xff);
    if (entry.count > 0) {
        memcpy(out + *used + BUNDLE_LENGTH_BYTES, entry.bytes, entry.count);
    }
    *used += BUNDLE_LENGTH_BYTES + entry.count;
    return STATUS_OK;
}

enum status
tile_bundle_next(struct view *rest, struct view *entry)
{
    size_t length;

    if (rest->count == 0) {
        return STATUS_NOT_FOUND;
    }
    if (rest->count < BUNDLE_LENGTH_BYTES) {
        return STATUS_MALFORMED;
    }
    length = (size_t)rest->bytes[0] << 8 | rest->bytes[1];
    if (rest->count - BUNDLE_LENGTH_BYTES < length) {
        return STATUS_MALFORMED;
    }
    *entry = (struct view){rest->bytes + BUNDLE_LENGTH_BYTES, length};
    *rest = skip(*rest, BUNDLE_LENGTH_BYTES + length);
    return STATUS_OK;
}

enum status
tile_bundle_check(struct view bundle, unsigned width)
{
    struct view rest = bundle, entry;

    for (unsigned i = 0; i < width; i++) {
        if (tile_bundle_next(&rest, &entry) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    return rest.count == 0 ? STATUS_OK : STATUS_MALFORMED;
}

enum status
tile_bundle_check_leaves(struct view bundle, const struct hash *hashes, unsigned width)
{
    struct view rest = bundle, entry;
    struct hash leaf;

    if (tile_bundle_check(bundle, width) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    for (unsigned i = 0; i < width && tile_bundle_next(&rest, &entry) == STATUS_OK; i++) {
        tree_leaf_hash(entry.bytes, entry.count, &leaf);
        if (!hash_equal(&leaf, &hashes[i])) {
            return STATUS_BAD_PROOF;
        }
    }
    return STATUS_OK;
}
