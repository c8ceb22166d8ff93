/* pack_text.h: writing the compiled form of catalogs and packs (policy/README.md).
 * Pure.  Used by pack_yaml.c and pack_csv.c. */
#ifndef NODE_PACK_TEXT_H
#define NODE_PACK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text under construction.  Zero it; free bytes and origins with pack_text_free.
 * A failed allocation sets `failed` and makes the rest do nothing. */
struct pack_text {
    char *bytes;
    size_t size, capacity;
    uint32_t *origins; /* for each line, the line of the source it came from; 0: look it up */
    size_t line_count, line_capacity;
    bool failed, line_open;
};
void pack_text_free(struct pack_text *t);
/* Add a field to the line under way.  NULL or "" is written "-"; control
 * characters become blanks, so that no source can start a line of its own. */
void pack_text_field(struct pack_text *t, const char *field);
/* Add a field of two texts, "a b"; "-" when b is NULL or empty. */
void pack_text_joined(struct pack_text *t, const char *a, const char *b);
void pack_text_end_line(struct pack_text *t, uint32_t origin);

#endif
