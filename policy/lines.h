/* lines.h: reading the compiled form of catalogs and packs.  Internal to policy/.
 *
 * A compiled text is UTF-8 lines ended by LF; the fields of a line are parted
 * by one TAB each; a field has no control characters.  "-" stands for nothing.
 * A field of settings is "key=value key=value", a value "one,two,three". */
#ifndef POLICY_LINES_H
#define POLICY_LINES_H

#include "policy/policy.h"

enum { LINE_FIELDS_MAX = 16 };

struct lines {
    const char *text;
    size_t size;
    size_t at;       /* next byte */
    size_t number;   /* of the line just read, from 1 */
    const char *bad; /* NULL, or why the text is refused */
    size_t field_count;
    struct hr_text fields[LINE_FIELDS_MAX];
};

void hr_lines_begin(struct lines *l, const char *text, size_t size);
/* Read the next line into fields; false at the end or when l->bad is set. */
bool hr_lines_next(struct lines *l);
/* Refuse the text for this reason; returns false. */
bool hr_lines_refuse(struct lines *l, const char *reason);
/* The field, with "-" read as empty. */
struct hr_text hr_lines_field(const struct lines *l, size_t index);

/* The value of a hr_setting; bytes NULL when the key is not there. */
struct hr_text hr_setting(struct hr_text settings, const char *key);
/* Cut the next of "one,two" off *list; false when none is left. */
bool hr_setting_next(struct hr_text *list, struct hr_text *one);
/* Are all keys of the settings among these (blank-parted)? */
bool hr_settings_only(struct hr_text settings, const char *keys);
/* Strict decimal of at most 9 digits, no leading zero; -1 else. */
int32_t hr_decimal(struct hr_text text);
/* Index of the text among `count` names, -1 when it is none of them. */
int hr_word_index(struct hr_text text, const char *const *names, size_t count);

/* Sort `order`, a permutation of 0..count-1, so that compare(context, order[i],
 * order[i + 1]) <= 0.  Heap sort: no recursion, no memory. */
void hr_sort_indexes(uint32_t *order, size_t count,
                     int (*compare)(const void *, uint32_t, uint32_t), const void *context);

/* Take `bytes`, aligned, from what is left of a block; NULL when it does not fit. */
struct block {
    unsigned char *at;
    size_t left;
};
void *hr_block_take(struct block *b, size_t count, size_t size);

#endif
