#include "node/frontier.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"

static const char COSIGNED[] = "#cosigned";
static const char FORK[] = "#fork";
static const char CHARTER[] = "charter/";

/* A decimal of 1 to 19 digits without leading zeros, below 2^63. */
static bool
read_number(struct view text, uint64_t *out)
{
    if (text.count == 0 || text.count > 19 || (text.bytes[0] == '0' && text.count > 1)) {
        return false;
    }
    uint64_t n = 0;
    for (size_t i = 0; i < text.count; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    *out = n;
    return n <= TREE_SIZE_MAX;
}

/* Cut the next word off `rest`; words are separated by exactly one blank. */
static bool
next_word(struct view *rest, struct view *word)
{
    const uint8_t *blank = rest->count == 0 ? NULL : memchr(rest->bytes, ' ', rest->count);
    size_t n = blank == NULL ? rest->count : (size_t)(blank - rest->bytes);
    *word = (struct view){rest->bytes, n};
    size_t skip = blank == NULL ? n : n + 1;
    rest->bytes = rest->count == 0 ? rest->bytes : rest->bytes + skip;
    rest->count -= skip;
    return n > 0;
}

static bool
ends_with(struct view v, const char *end, size_t n)
{
    return v.count > n && memcmp(v.bytes + v.count - n, end, n) == 0;
}

enum status
frontier_read(struct view text, struct frontier_line *out)
{
    if (text.count == 0 || text.count > FRONTIER_LINE_CHARS_MAX) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < text.count; i++) {
        if (text.bytes[i] < 0x20 || text.bytes[i] > 0x7e) {
            return STATUS_MALFORMED;
        }
    }
    struct frontier_line line = {0};
    struct view rest = text, name, number, third;
    if (!next_word(&rest, &name) || !next_word(&rest, &number) || !next_word(&rest, &third) ||
        text.bytes[text.count - 1] == ' ' || rest.count != 0 ||
        !read_number(number, &line.number)) {
        return STATUS_MALFORMED;
    }
    if (ends_with(name, COSIGNED, sizeof COSIGNED - 1)) {
        line.what = FRONTIER_COSIGNED;
        name.count -= sizeof COSIGNED - 1;
        if (!read_number(third, &line.cosigned) || line.cosigned >> WITNESSES_MAX != 0) {
            return STATUS_MALFORMED;
        }
    } else if (ends_with(name, FORK, sizeof FORK - 1)) {
        line.what = FRONTIER_FORK;
        name.count -= sizeof FORK - 1;
        if (line.number != 1 || third.count != 1 || third.bytes[0] != '0') {
            return STATUS_MALFORMED;
        }
    } else {
        size_t prefix = sizeof CHARTER - 1;
        line.what = FRONTIER_LOG;
        if (name.count > prefix && memcmp(name.bytes, CHARTER, prefix) == 0) {
            line.what = FRONTIER_CHARTER;
            name.bytes += prefix;
            name.count -= prefix;
        }
        size_t got = 0;
        if (base64_decode(third, line.hash.bytes, sizeof line.hash.bytes, &got) != STATUS_OK ||
            got != HASH_BYTES) {
            return STATUS_MALFORMED;
        }
    }
    if (name.count > ORIGIN_CHARS_MAX) {
        return STATUS_MALFORMED;
    }
    line.name = name;
    *out = line;
    return STATUS_OK;
}

size_t
frontier_write(const struct frontier_line *line, char out[FRONTIER_LINE_CHARS_MAX + 1])
{
    assert(line->name.count > 0 && line->name.count <= ORIGIN_CHARS_MAX);
    int n = snprintf(out, FRONTIER_LINE_CHARS_MAX + 1, "%s%.*s%s %" PRIu64 " ",
                     line->what == FRONTIER_CHARTER ? CHARTER : "", (int)line->name.count,
                     (const char *)line->name.bytes,
                     line->what == FRONTIER_COSIGNED ? COSIGNED
                     : line->what == FRONTIER_FORK   ? FORK
                                                     : "",
                     line->what == FRONTIER_FORK ? 1 : line->number);
    assert(n > 0 && n + 46 < FRONTIER_LINE_CHARS_MAX);
    size_t used = (size_t)n;
    if (line->what == FRONTIER_COSIGNED || line->what == FRONTIER_FORK) {
        n = snprintf(out + used, 24, "%" PRIu64,
                     line->what == FRONTIER_FORK ? 0 : line->cosigned);
        return used + (size_t)n;
    }
    uint8_t text[BASE64_CHARS(HASH_BYTES)];
    size_t chars = base64_encode((struct view){line->hash.bytes, HASH_BYTES}, text);
    memcpy(out + used, text, chars);
    out[used + chars] = '\0';
    return used + chars;
}

uint8_t
frontier_bucket(struct view text)
{
    const uint8_t *blank = text.count == 0 ? NULL : memchr(text.bytes, ' ', text.count);
    struct hash h;
    sha256(text.bytes, blank == NULL ? text.count : (size_t)(blank - text.bytes), &h);
    return h.bytes[0];
}

enum status
frontier_add(struct frontier *f, const struct frontier_line *line)
{
    if (f->count == FRONTIER_LINES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (f->count == f->room) {
        size_t room = f->room == 0 ? 64 : 2 * f->room;
        char **lines = realloc(f->lines, room * sizeof *lines);
        if (lines == NULL) {
            return STATUS_NO_MEMORY;
        }
        f->lines = lines;
        uint8_t *buckets = realloc(f->bucket_of, room);
        if (buckets == NULL) {
            return STATUS_NO_MEMORY;
        }
        f->bucket_of = buckets;
        f->room = room;
    }
    char text[FRONTIER_LINE_CHARS_MAX + 1];
    size_t n = frontier_write(line, text);
    char *copy = malloc(n + 1);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(copy, text, n + 1);
    f->lines[f->count++] = copy;
    return STATUS_OK;
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The hash of lines: they are collected, since there is one SHA-256 call. */
static void
hash_lines(const struct frontier *f, int bucket, struct hash *out)
{
    size_t bytes = 0, used = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (bucket < 0 || f->bucket_of[i] == bucket) {
            bytes += strlen(f->lines[i]) + 1;
        }
    }
    char *all = malloc(bytes + 1);
    if (all == NULL) {
        memset(out, 0, sizeof *out); /* equals nobody's: costs traffic, not truth */
        return;
    }
    for (size_t i = 0; i < f->count; i++) {
        if (bucket < 0 || f->bucket_of[i] == bucket) {
            size_t n = strlen(f->lines[i]);
            memcpy(all + used, f->lines[i], n);
            all[used + n] = '\n';
            used += n + 1;
        }
    }
    sha256((const uint8_t *)all, used, out);
    free(all);
}

void
frontier_seal(struct frontier *f)
{
    if (f->count > 0) {
        qsort(f->lines, f->count, sizeof f->lines[0], compare);
    }
    f->buckets_known = false;
    hash_lines(f, -1, &f->digest);
}

const struct hash *
frontier_buckets(struct frontier *f)
{
    if (!f->buckets_known) {
        for (size_t i = 0; i < f->count; i++) {
            f->bucket_of[i] = frontier_bucket(
                (struct view){(const uint8_t *)f->lines[i], strlen(f->lines[i])});
        }
        for (int b = 0; b < GOSSIP_BUCKETS; b++) {
            hash_lines(f, b, &f->buckets[b]);
        }
        f->buckets_known = true;
    }
    return f->buckets;
}

void
frontier_clear(struct frontier *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->lines[i]);
    }
    f->count = 0;
    f->buckets_known = false;
}

void
frontier_free(struct frontier *f)
{
    frontier_clear(f);
    free(f->lines);
    free(f->bucket_of);
    memset(f, 0, sizeof *f);
}
