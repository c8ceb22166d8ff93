#include "policy/lines.h"

#include <string.h>

#include "policy/text.h"

void
hr_lines_begin(struct lines *l, const char *text, size_t size)
{
    memset(l, 0, sizeof *l);
    l->text = text;
    l->size = size;
    if (size > HR_PACK_TEXT_BYTES_MAX) {
        l->bad = "compiled text is too long";
    }
}

bool
hr_lines_refuse(struct lines *l, const char *reason)
{
    if (l->bad == NULL) {
        l->bad = reason;
    }
    return false;
}

bool
hr_lines_next(struct lines *l)
{
    if (l->bad != NULL || l->at >= l->size) {
        return false;
    }
    l->number++;
    l->field_count = 0;
    size_t start = l->at;
    for (;; l->at++) {
        if (l->at >= l->size) {
            return hr_lines_refuse(l, "last line is not ended");
        }
        char c = l->text[l->at];
        if (c == '\t' || c == '\n') {
            if (l->field_count == LINE_FIELDS_MAX) {
                return hr_lines_refuse(l, "line has too many fields");
            }
            l->fields[l->field_count++] = (struct hr_text){l->text + start, l->at - start};
            start = l->at + 1;
        } else if ((unsigned char)c < 0x20 || c == 0x7f) {
            return hr_lines_refuse(l, "control character");
        }
        if (c == '\n') {
            l->at++;
            return true;
        }
    }
}

struct hr_text
hr_lines_field(const struct lines *l, size_t index)
{
    if (index >= l->field_count || hr_text_is(l->fields[index], "-")) {
        return (struct hr_text){"", 0};
    }
    return l->fields[index];
}

/* Cut the next blank-parted word off *rest. */
static bool
word_next(struct hr_text *rest, struct hr_text *word)
{
    if (rest->size == 0) {
        return false;
    }
    const char *blank = memchr(rest->bytes, ' ', rest->size);
    word->bytes = rest->bytes;
    word->size = blank == NULL ? rest->size : (size_t)(blank - rest->bytes);
    size_t used = word->size + (blank != NULL);
    rest->bytes += used;
    rest->size -= used;
    return true;
}

struct hr_text
hr_setting(struct hr_text settings, const char *key)
{
    size_t size = strlen(key);
    struct hr_text word;
    while (word_next(&settings, &word)) {
        if (word.size > size && memcmp(word.bytes, key, size) == 0 && word.bytes[size] == '=') {
            return (struct hr_text){word.bytes + size + 1, word.size - size - 1};
        }
    }
    return (struct hr_text){NULL, 0};
}

bool
hr_setting_next(struct hr_text *list, struct hr_text *one)
{
    if (list->size == 0) {
        return false;
    }
    const char *comma = memchr(list->bytes, ',', list->size);
    one->bytes = list->bytes;
    one->size = comma == NULL ? list->size : (size_t)(comma - list->bytes);
    size_t used = one->size + (comma != NULL);
    list->bytes += used;
    list->size -= used;
    return true;
}

bool
hr_settings_only(struct hr_text settings, const char *keys)
{
    struct hr_text word;
    while (word_next(&settings, &word)) {
        const char *equals = word.size == 0 ? NULL : memchr(word.bytes, '=', word.size);
        if (equals == NULL) {
            return false;
        }
        struct hr_text key = {word.bytes, (size_t)(equals - word.bytes)};
        struct hr_text allowed = {keys, strlen(keys)};
        struct hr_text one;
        bool found = false;
        while (!found && word_next(&allowed, &one)) {
            found = hr_text_equal(one, key);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

int32_t
hr_decimal(struct hr_text text)
{
    int32_t value = 0;
    if (text.size == 0 || text.size > 9 || (text.bytes[0] == '0' && text.size > 1)) {
        return -1;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') {
            return -1;
        }
        value = value * 10 + (text.bytes[i] - '0');
    }
    return value;
}

int
hr_word_index(struct hr_text text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL && hr_text_is(text, names[i])) {
            return (int)i;
        }
    }
    return -1;
}

static void
sift_down(uint32_t *order, size_t root, size_t count,
          int (*compare)(const void *, uint32_t, uint32_t), const void *context)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare(context, order[child], order[child + 1]) < 0) {
            child++;
        }
        if (compare(context, order[root], order[child]) >= 0) {
            return;
        }
        uint32_t swap = order[root];
        order[root] = order[child];
        order[child] = swap;
    }
}

void
hr_sort_indexes(uint32_t *order, size_t count, int (*compare)(const void *, uint32_t, uint32_t),
                const void *context)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift_down(order, i, count, compare, context);
    }
    for (size_t end = count; end-- > 1;) {
        uint32_t swap = order[0];
        order[0] = order[end];
        order[end] = swap;
        sift_down(order, 0, end, compare, context);
    }
}

void *
hr_block_take(struct block *b, size_t count, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (count > HR_PACK_TEXT_BYTES_MAX || size > 4096) {
        return NULL;
    }
    size_t bytes = (count * size + align - 1) / align * align;
    if (bytes > b->left) {
        return NULL;
    }
    void *taken = b->at;
    b->at += bytes;
    b->left -= bytes;
    return taken;
}
