#include "policy/catalog.h"

#include <string.h>

#include "policy/lines.h"
#include "policy/text.h"

const char *const hr_relation_names[RELATION_COUNT] = {"narrower",     "narrower_if",
                                                       "class_member", "class_member_if",
                                                       "component",    "not_equivalent"};
static const char *const kind_names[] = {NULL, "lab", "imaging", "pathology"};
static const char *const side_names[] = {"", "left", "right", NULL, "open"};

/* item NUMBER CODE KIND CATEGORY ZH EN ABBREVIATION LOINC SIDE SITE SENSITIVE */
enum { ITEM_FIELDS = 12, RELATION_FIELDS = 4 };

static void
count_lines(const char *text, size_t size, size_t *items, size_t *relations)
{
    struct lines l;
    *items = *relations = 0;
    hr_lines_begin(&l, text, size);
    while (hr_lines_next(&l)) {
        *items += hr_text_is(l.fields[0], "item");
        *relations += hr_text_is(l.fields[0], "relation");
    }
}

size_t
hr_catalog_memory_bytes(const char *text, size_t size)
{
    size_t items;
    size_t relations;
    count_lines(text, size, &items, &relations);
    return sizeof(struct hr_catalog) + items * (sizeof(struct hr_item) + 2 * sizeof(uint32_t)) +
           relations * sizeof(struct relation_row) + 8 * _Alignof(max_align_t);
}

static bool
read_item(struct lines *l, struct hr_catalog *c)
{
    struct hr_item item = {0};
    int32_t number = hr_decimal(hr_lines_field(l, 1));
    int kind = hr_word_index(hr_lines_field(l, 3), kind_names, 4);
    int side = hr_word_index(hr_lines_field(l, 9), side_names, 5);
    struct hr_text site = hr_lines_field(l, 10);
    struct hr_text sensitive = hr_lines_field(l, 11);
    if (l->field_count != ITEM_FIELDS) {
        return hr_lines_refuse(l, "an item has 12 fields");
    }
    if (number < 1 || (c->count > 0 && (uint32_t)number <= c->items[c->count - 1].number)) {
        return hr_lines_refuse(l, "item numbers must rise");
    }
    if (kind < 0 || side < 0 || hr_lines_field(l, 2).size == 0 ||
        (site.size > 0 && !hr_text_is(site, "open")) ||
        (sensitive.size > 0 && !hr_text_is(sensitive, "yes"))) {
        return hr_lines_refuse(l,
                               "code, kind, side, site or sensitive is not one that is known");
    }
    item.number = (uint32_t)number;
    item.code = hr_lines_field(l, 2);
    item.kind = (enum hr_kind)kind;
    item.category = hr_lines_field(l, 4);
    item.name_zh = hr_lines_field(l, 5);
    item.name_en = hr_lines_field(l, 6);
    item.abbreviation = hr_lines_field(l, 7);
    item.loinc = hr_lines_field(l, 8);
    item.side = (enum hr_side)side;
    item.site_open = site.size > 0;
    item.sensitive = sensitive.size > 0;
    if (item.loinc.size > 0) {
        c->by_loinc[c->loinc_count++] = (uint32_t)c->count;
    }
    c->by_code[c->count] = (uint32_t)c->count;
    c->items[c->count++] = item;
    return true;
}

static int
compare_relations(const struct relation_row *a, const struct relation_row *b)
{
    int order = hr_text_compare(a->from, b->from);
    if (order == 0) {
        order = (int)a->relation - (int)b->relation;
    }
    return order != 0 ? order : hr_text_compare(a->to, b->to);
}

static bool
read_relation(struct lines *l, struct hr_catalog *c)
{
    struct relation_row row = {hr_lines_field(l, 1), hr_lines_field(l, 3), RELATION_NARROWER};
    int relation = hr_word_index(hr_lines_field(l, 2), hr_relation_names, RELATION_COUNT);
    if (l->field_count != RELATION_FIELDS || relation < 0) {
        return hr_lines_refuse(l, "relation is not one that is known");
    }
    row.relation = (enum relation)relation;
    if (c->relation_count > 0 &&
        compare_relations(&c->relations[c->relation_count - 1], &row) >= 0) {
        return hr_lines_refuse(l, "relations must be sorted, without repeats");
    }
    c->relations[c->relation_count++] = row;
    return true;
}

static int
compare_codes(const void *context, uint32_t a, uint32_t b)
{
    const struct hr_catalog *c = context;
    return hr_text_compare(c->items[a].code, c->items[b].code);
}

static int
compare_loinc(const void *context, uint32_t a, uint32_t b)
{
    const struct hr_catalog *c = context;
    return hr_text_compare(c->items[a].loinc, c->items[b].loinc);
}

static bool
check_unique(struct lines *l, const struct hr_catalog *c)
{
    for (size_t i = 1; i < c->count; i++) {
        if (compare_codes(c, c->by_code[i - 1], c->by_code[i]) == 0) {
            return hr_lines_refuse(l, "an item code stands twice");
        }
    }
    for (size_t i = 1; i < c->loinc_count; i++) {
        if (compare_loinc(c, c->by_loinc[i - 1], c->by_loinc[i]) == 0) {
            return hr_lines_refuse(l, "a LOINC code stands twice");
        }
    }
    for (size_t i = 0; i < c->relation_count; i++) {
        if (hr_catalog_by_code(c, c->relations[i].from) == NULL ||
            hr_catalog_by_code(c, c->relations[i].to) == NULL) {
            return hr_lines_refuse(l, "a relation names a code that is no item");
        }
    }
    return true;
}

static bool
read_catalog(struct lines *l, struct hr_catalog *c)
{
    if (!hr_lines_next(l) || l->field_count != 1 ||
        !hr_text_is(l->fields[0], "huren catalog 1")) {
        return hr_lines_refuse(l, "is not a compiled catalog of version 1");
    }
    while (hr_lines_next(l)) {
        bool ok = hr_text_is(l->fields[0], "item")       ? read_item(l, c)
                  : hr_text_is(l->fields[0], "relation") ? read_relation(l, c)
                                                         : hr_lines_refuse(l, "unknown line");
        if (!ok) {
            return false;
        }
    }
    if (l->bad != NULL) {
        return false;
    }
    hr_sort_indexes(c->by_code, c->count, compare_codes, c);
    hr_sort_indexes(c->by_loinc, c->loinc_count, compare_loinc, c);
    return check_unique(l, c);
}

const struct hr_catalog *
hr_catalog_load(const char *text, size_t size, void *memory, size_t memory_bytes,
                struct hr_load_error *error)
{
    struct block block = {memory, memory_bytes};
    struct lines l;
    size_t items;
    size_t relations;
    count_lines(text, size, &items, &relations);
    struct hr_catalog *c = hr_block_take(&block, 1, sizeof *c);
    hr_lines_begin(&l, text, size);
    if (c != NULL) {
        memset(c, 0, sizeof *c);
        c->items = hr_block_take(&block, items, sizeof *c->items);
        c->by_code = hr_block_take(&block, items, sizeof *c->by_code);
        c->by_loinc = hr_block_take(&block, items, sizeof *c->by_loinc);
        c->relations = hr_block_take(&block, relations, sizeof *c->relations);
    }
    if (c == NULL || c->items == NULL || c->by_code == NULL || c->by_loinc == NULL ||
        c->relations == NULL) {
        hr_lines_refuse(&l, "memory is too small");
    } else if (read_catalog(&l, c)) {
        return c;
    }
    if (error != NULL) {
        *error = (struct hr_load_error){l.number, l.bad};
    }
    return NULL;
}

size_t
hr_catalog_count(const struct hr_catalog *catalog)
{
    return catalog->count;
}

const struct hr_item *
hr_catalog_at(const struct hr_catalog *catalog, size_t index)
{
    return index < catalog->count ? &catalog->items[index] : NULL;
}

const struct hr_item *
hr_catalog_by_number(const struct hr_catalog *catalog, uint32_t number)
{
    size_t low = 0;
    size_t high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalog->items[middle].number == number) {
            return &catalog->items[middle];
        }
        if (catalog->items[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct hr_item *
hr_catalog_by_code(const struct hr_catalog *catalog, struct hr_text code)
{
    size_t low = 0;
    size_t high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct hr_item *item = &catalog->items[catalog->by_code[middle]];
        int order = hr_text_compare(item->code, code);
        if (order == 0) {
            return item;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct hr_item *
hr_catalog_by_loinc(const struct hr_catalog *catalog, struct hr_text loinc)
{
    size_t low = 0;
    size_t high = catalog->loinc_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct hr_item *item = &catalog->items[catalog->by_loinc[middle]];
        int order = hr_text_compare(item->loinc, loinc);
        if (order == 0) {
            return item;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct relation_row *
hr_catalog_relations(const struct hr_catalog *c, struct hr_text code, size_t *count)
{
    size_t low = 0;
    size_t high = c->relation_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hr_text_compare(c->relations[middle].from, code) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < c->relation_count && hr_text_equal(c->relations[end].from, code)) {
        end++;
    }
    *count = end - low;
    return c->relations + low;
}
