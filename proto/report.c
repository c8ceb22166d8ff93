#include "proto/report.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/text.h"

enum { CHUNK_BYTES = 16 * 1024 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    max_align_t bytes[];
};

struct report_arena {
    struct chunk *chunks;
    size_t taken, bytes_max;
    bool failed;
};

static char empty[] = ""; /* never written */

struct report_arena *
report_arena_new(size_t bytes_max)
{
    struct report_arena *a = calloc(1, sizeof *a);
    if (a != NULL) {
        a->bytes_max = bytes_max;
    }
    return a;
}

static void
free_chunks(struct chunk *c)
{
    while (c != NULL) {
        struct chunk *next = c->next;
        free(c);
        c = next;
    }
}

void
report_arena_free(struct report_arena *a)
{
    if (a != NULL) {
        free_chunks(a->chunks);
        free(a);
    }
}

void
report_arena_reset(struct report_arena *a)
{
    struct chunk *keep = a->chunks;
    if (keep != NULL) {
        free_chunks(keep->next);
        keep->next = NULL;
        keep->used = 0;
        if (keep->size > CHUNK_BYTES) {
            free(keep);
            keep = NULL;
        }
    }
    a->chunks = keep;
    a->taken = keep == NULL ? 0 : keep->size;
    a->failed = false;
}

bool
report_arena_failed(const struct report_arena *a)
{
    return a->failed;
}

void *
report_alloc(struct report_arena *a, size_t bytes)
{
    const size_t align = _Alignof(max_align_t);
    struct chunk *c = a->chunks;
    if (a->failed || bytes > a->bytes_max) {
        a->failed = true;
        return NULL;
    }
    bytes = (bytes + align - 1) / align * align;
    if (c == NULL || c->size - c->used < bytes) {
        size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        c = size > a->bytes_max - a->taken ? NULL : malloc(sizeof *c + size);
        if (c == NULL) {
            a->failed = true;
            return NULL;
        }
        c->used = 0;
        c->size = size;
        c->next = a->chunks;
        a->chunks = c;
        a->taken += size;
    }
    void *p = (uint8_t *)c->bytes + c->used;
    c->used += bytes;
    return memset(p, 0, bytes);
}

char *
report_text(struct report_arena *a, struct view v)
{
    /* A wrong byte grows from one byte to three. */
    char *out =
        v.count == 0 || v.count > SIZE_MAX / 4 ? NULL : report_alloc(a, v.count * 3 + 1);
    size_t n = 0;
    if (out == NULL) {
        return empty;
    }
    for (size_t at = 0; at < v.count;) {
        uint32_t point = 0;
        size_t length = text_next(v, at, &point);
        if (length == 0) {
            memcpy(out + n, "\xEF\xBF\xBD", 3);
            n += 3;
            at++;
            continue;
        }
        if (point == '\r') {
            if (at + 1 >= v.count || v.bytes[at + 1] != '\n') {
                out[n++] = '\n';
            }
        } else if ((point < ' ' && point != '\n' && point != '\t') ||
                   (point >= 0x7F && point < 0xA0)) {
            out[n++] = ' ';
        } else {
            memcpy(out + n, v.bytes + at, length);
            n += length;
        }
        at += length;
    }
    out[n] = '\0';
    return out;
}

Hr__Report *
report_new(struct report_arena *a)
{
    Hr__Report *r = report_alloc(a, sizeof *r);
    Hr__Patient *p = report_alloc(a, sizeof *p);
    if (r == NULL || p == NULL) {
        return NULL;
    }
    hr__report__init(r);
    hr__patient__init(p);
    r->patient = p;
    r->format = 1;
    return r;
}

/* Room for one more pointer in `list`: capacities are powers of two. */
static void *
grow(struct report_arena *a, void *list, size_t count)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return list;
    }
    void *larger = report_alloc(a, (count == 0 ? 1 : count * 2) * sizeof(void *));
    if (larger != NULL && count > 0) {
        memcpy(larger, list, count * sizeof(void *));
    }
    return larger;
}

Hr__Item *
report_add_item(struct report_arena *a, Hr__Report *r)
{
    if (r->n_items >= REPORT_ITEMS_MAX) {
        return NULL;
    }
    Hr__Item **list = grow(a, r->items, r->n_items);
    Hr__Item *item = report_alloc(a, sizeof *item);
    if (list == NULL || item == NULL) {
        return NULL;
    }
    hr__item__init(item);
    r->items = list;
    r->items[r->n_items++] = item;
    return item;
}

Hr__Identifier *
report_add_identifier(struct report_arena *a, Hr__Report *r, char *type, char *value)
{
    if (r->patient->n_identifiers >= REPORT_IDENTIFIERS_MAX) {
        return NULL;
    }
    Hr__Identifier **list = grow(a, r->patient->identifiers, r->patient->n_identifiers);
    Hr__Identifier *id = report_alloc(a, sizeof *id);
    if (list == NULL || id == NULL) {
        return NULL;
    }
    hr__identifier__init(id);
    id->type = type;
    id->value = value;
    r->patient->identifiers = list;
    r->patient->identifiers[r->patient->n_identifiers++] = id;
    return id;
}

bool
report_add_flag(struct report_arena *a, Hr__Item *item, char *flag)
{
    if (item->n_flags >= REPORT_FLAGS_MAX) {
        return false;
    }
    char **list = grow(a, item->flags, item->n_flags);
    if (list == NULL) {
        return false;
    }
    item->flags = list;
    item->flags[item->n_flags++] = flag;
    return true;
}

char *
report_join(struct report_arena *a, char *old, const char *between, char *more)
{
    size_t n = strlen(old), m = strlen(between), k = strlen(more);
    if (k == 0) {
        return old;
    }
    if (n == 0) {
        return more;
    }
    char *out = report_alloc(a, n + m + k + 1);
    if (out == NULL) {
        return old;
    }
    memcpy(out, old, n);
    memcpy(out + n, between, m);
    memcpy(out + n + m, more, k + 1);
    return out;
}
