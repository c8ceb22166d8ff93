/* Several packs over one case: each alone, the strongest first (AMB-G02). */
#include "policy/pack.h"
#include "policy/text.h"

/* Is every territory of `a` inside one of `b`, and smaller? */
static bool
narrower(const struct hr_pack *a, const struct hr_pack *b)
{
    for (size_t i = 0; i < a->territory_count; i++) {
        bool inside = false;
        for (size_t j = 0; j < b->territory_count; j++) {
            inside = inside || (a->territories[i].size > b->territories[j].size &&
                                hr_text_starts_with(a->territories[i], b->territories[j]));
        }
        if (!inside) {
            return false;
        }
    }
    return true;
}

/* The pack covers both institutions and the item, and its window is over. */
static bool
is_over(const struct hr_decision *d)
{
    return d->checks[HR_ISSUER_TERRITORY] == HR_TRUE &&
           d->checks[HR_ISSUER_LISTED] == HR_TRUE &&
           d->checks[HR_RECEIVER_TERRITORY] == HR_TRUE &&
           d->checks[HR_RECEIVER_LISTED] == HR_TRUE && d->checks[HR_ITEM_LISTED] == HR_TRUE &&
           d->checks[HR_WINDOW] == HR_FALSE;
}

void
hr_several(const struct hr_pack *const *packs, const struct hr_decision *decisions,
           size_t count, size_t *order, enum hr_verdict *shown)
{
    for (size_t i = 0; i < count; i++) {
        shown[i] = decisions[i].verdict;
        for (size_t j = 0; j < count; j++) {
            if (shown[i] > HR_MAY && is_over(&decisions[j]) && narrower(packs[j], packs[i])) {
                shown[i] = HR_MAY;
            }
        }
    }
    for (size_t i = 0; i < count; i++) { /* stable insertion: few packs */
        size_t at = i;
        while (at > 0 && shown[order[at - 1]] < shown[i]) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
}

static bool
is_among(const struct hr_duty *const *duties, size_t count, const struct hr_duty *duty)
{
    for (size_t i = 0; i < count; i++) {
        if (hr_text_equal(duties[i]->name, duty->name)) {
            return true;
        }
    }
    return false;
}

size_t
hr_unite(const struct hr_decision *const *decisions, size_t count, bool if_recognized,
         const struct hr_duty **out, size_t max)
{
    size_t united = 0;
    for (size_t i = 0; i < count; i++) {
        const struct hr_decision *d = decisions[i];
        size_t duties = if_recognized ? d->recognized_count : d->repeated_count;
        for (size_t k = 0; k < duties && united < max; k++) {
            const struct hr_duty *duty =
                if_recognized ? d->if_recognized[k] : d->if_repeated[k];
            if (!is_among(out, united, duty)) {
                out[united++] = duty;
            }
        }
    }
    return united;
}
