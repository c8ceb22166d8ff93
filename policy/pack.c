#include "policy/pack.h"

#include "policy/text.h"

const struct row *
hr_pack_rows(const struct hr_pack *p, struct hr_text code, size_t *count)
{
    size_t low = 0;
    size_t high = p->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hr_text_compare(p->rows[middle].listed.code, code) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < p->row_count && hr_text_equal(p->rows[end].listed.code, code)) {
        end++;
    }
    *count = end - low;
    return p->rows + low;
}

struct hr_text
hr_pack_id(const struct hr_pack *pack)
{
    return pack->id;
}

struct hr_text
hr_pack_version(const struct hr_pack *pack)
{
    return pack->version;
}

struct hr_text
hr_pack_parent(const struct hr_pack *pack)
{
    return pack->parent;
}

struct hr_text
hr_pack_document(const struct hr_pack *pack)
{
    return pack->document;
}

struct hr_text
hr_pack_title(const struct hr_pack *pack, bool english)
{
    return english ? pack->title_en : pack->title_zh;
}

struct hr_text
hr_pack_gaps(const struct hr_pack *pack, bool english)
{
    return english ? pack->gaps_en : pack->gaps_zh;
}

struct hr_date
hr_pack_valid_from(const struct hr_pack *pack)
{
    return pack->valid_from;
}

struct hr_date
hr_pack_valid_to(const struct hr_pack *pack)
{
    return pack->valid_to;
}

size_t
hr_pack_territory_count(const struct hr_pack *pack)
{
    return pack->territory_count;
}

struct hr_text
hr_pack_territory(const struct hr_pack *pack, size_t index)
{
    return index < pack->territory_count ? pack->territories[index] : (struct hr_text){NULL, 0};
}

size_t
hr_pack_item_count(const struct hr_pack *pack)
{
    return pack->row_count;
}

const struct hr_listed *
hr_pack_item(const struct hr_pack *pack, size_t index)
{
    return index < pack->row_count ? &pack->rows[index].listed : NULL;
}

size_t
hr_pack_exception_count(const struct hr_pack *pack)
{
    return pack->exception_count;
}

const struct hr_exception *
hr_pack_exception(const struct hr_pack *pack, size_t index)
{
    return index < pack->exception_count ? &pack->exceptions[index].exception : NULL;
}

const struct hr_rule *
hr_pack_check_rule(const struct hr_pack *pack, enum hr_check check)
{
    return pack->checks[check].present ? &pack->checks[check].rule : NULL;
}

size_t
hr_pack_scope_count(const struct hr_pack *pack)
{
    return pack->scope_count;
}

const struct hr_rule *
hr_pack_scope_rule(const struct hr_pack *pack, size_t index, enum hr_verdict *force)
{
    if (index >= pack->scope_count) {
        return NULL;
    }
    *force = pack->scopes[index].force;
    return &pack->scopes[index].rule;
}
