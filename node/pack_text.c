#include "node/pack_text.h"

#include <stdlib.h>
#include <string.h>

void
pack_text_free(struct pack_text *t)
{
    free(t->bytes);
    free(t->origins);
    memset(t, 0, sizeof *t);
}

static bool
grow(struct pack_text *t, size_t more)
{
    if (t->failed) {
        return false;
    }
    if (t->capacity - t->size >= more) {
        return true;
    }
    size_t capacity = (t->capacity + more) * 2;
    char *bytes = realloc(t->bytes, capacity);
    if (bytes == NULL) {
        t->failed = true;
        return false;
    }
    t->bytes = bytes;
    t->capacity = capacity;
    return true;
}

static void
append(struct pack_text *t, const char *text, size_t size)
{
    if (!grow(t, size)) {
        return;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        t->bytes[t->size++] = c < 0x20 || c == 0x7f ? ' ' : text[i];
    }
}

static void
begin_field(struct pack_text *t)
{
    if (t->line_open && grow(t, 1)) {
        t->bytes[t->size++] = '\t';
    }
    t->line_open = true;
}

void
pack_text_field(struct pack_text *t, const char *field)
{
    bool empty = field == NULL || field[0] == '\0';
    begin_field(t);
    append(t, empty ? "-" : field, empty ? 1 : strlen(field));
}

void
pack_text_joined(struct pack_text *t, const char *a, const char *b)
{
    if (b == NULL || b[0] == '\0') {
        pack_text_field(t, NULL);
        return;
    }
    begin_field(t);
    append(t, a, strlen(a));
    append(t, " ", 1);
    append(t, b, strlen(b));
}

void
pack_text_end_line(struct pack_text *t, uint32_t origin)
{
    if (!grow(t, 1)) {
        return;
    }
    t->bytes[t->size++] = '\n';
    t->line_open = false;
    if (t->line_count == t->line_capacity) {
        size_t capacity = t->line_capacity * 2 + 64;
        uint32_t *origins = realloc(t->origins, capacity * sizeof *origins);
        if (origins == NULL) {
            t->failed = true;
            return;
        }
        t->origins = origins;
        t->line_capacity = capacity;
    }
    t->origins[t->line_count++] = origin;
}
