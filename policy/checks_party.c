/* Who the institutions are: territory, class, listing, scopes. */
#include "policy/checks.h"
#include "policy/kleene.h"
#include "policy/text.h"

static enum hr_value
level_is_in(const struct party_test *test, const struct hr_institution *who)
{
    enum hr_value plain = HR_FALSE;
    enum hr_value with_assessment = HR_FALSE;
    if (test->levels == 0 && test->levels_assessed == 0) {
        return HR_TRUE;
    }
    if (test->levels != 0) {
        plain = who->level == HR_LEVEL_UNKNOWN ? HR_UNKNOWN
                                               : kleene((test->levels >> who->level & 1) != 0);
    }
    if (test->levels_assessed != 0) {
        enum hr_value level = who->level == HR_LEVEL_UNKNOWN
                                  ? HR_UNKNOWN
                                  : kleene((test->levels_assessed >> who->level & 1) != 0);
        enum hr_value assessed = who->assessed;
        with_assessment = kleene_and(level, assessed);
    }
    return kleene_or(plain, with_assessment);
}

enum hr_value
hr_check_party(const struct party_test *test, const struct hr_institution *who)
{
    enum hr_value value = level_is_in(test, who);
    if (test->grade != HR_GRADE_UNKNOWN) {
        value = kleene_and(value, who->grade == HR_GRADE_UNKNOWN
                                      ? HR_UNKNOWN
                                      : kleene(who->grade == test->grade));
    }
    if (test->ownership != HR_OWNERSHIP_UNKNOWN) {
        value = kleene_and(value, who->ownership == HR_OWNERSHIP_UNKNOWN
                                      ? HR_UNKNOWN
                                      : kleene(who->ownership == test->ownership));
    }
    return value;
}

enum hr_value
hr_check_territory(const struct hr_pack *pack, const struct hr_institution *who)
{
    if (who->territory.bytes == NULL) {
        return HR_UNKNOWN;
    }
    for (size_t i = 0; i < pack->territory_count; i++) {
        if (hr_text_starts_with(who->territory, pack->territories[i])) {
            return HR_TRUE;
        }
    }
    return HR_FALSE;
}

/* The period that holds on this day: the last of those over it; NULL: none. */
static const struct hr_period *
period_over(const struct hr_institution *who, int32_t day)
{
    for (size_t i = who->period_count; i-- > 0;) {
        const struct hr_period *p = &who->periods[i];
        if ((!p->from.known || p->from.day <= day) && (!p->to.known || day <= p->to.day)) {
            return p;
        }
    }
    return NULL;
}

enum hr_value
hr_check_listed(const struct hr_institution *who, struct hr_date on)
{
    if (who->listing_known && who->period_count == 0) {
        return HR_FALSE; /* on no list, whatever the day */
    }
    if (!who->listing_known || !on.known) {
        return HR_UNKNOWN;
    }
    return kleene(period_over(who, on.day) != NULL);
}

static enum hr_value
status_is_listed(const struct hr_period *period)
{
    return period->status == HR_LISTING_UNKNOWN ? HR_UNKNOWN
                                                : kleene(period->status == HR_LISTED);
}

enum hr_value
hr_check_standing(const struct hr_institution *who, struct hr_date on)
{
    if (who->listing_known && who->period_count == 0) {
        return HR_NOT_APPLICABLE;
    }
    if (!who->listing_known || !on.known) {
        return HR_UNKNOWN;
    }
    const struct hr_period *period = period_over(who, on.day);
    return period == NULL ? HR_NOT_APPLICABLE : status_is_listed(period);
}

enum hr_value
hr_check_listed_in_good_standing(const struct hr_institution *who, struct hr_date on)
{
    enum hr_value listed = hr_check_listed(who, on);
    return listed == HR_TRUE ? status_is_listed(period_over(who, on.day)) : listed;
}

enum hr_value
hr_check_not_rectifying(const struct hr_institution *who, struct hr_date on)
{
    if (!who->listing_known || who->period_count == 0 || !on.known) {
        return HR_UNKNOWN;
    }
    const struct hr_period *period = period_over(who, on.day);
    if (period == NULL) {
        return HR_TRUE;
    }
    return period->status == HR_LISTING_UNKNOWN ? HR_UNKNOWN
                                                : kleene(period->status != HR_RECTIFYING);
}

static bool
has_kind(const struct hr_institution *who, alliance_set kinds)
{
    for (size_t i = 0; i < who->alliance_count; i++) {
        if ((kinds >> who->alliances[i].kind & 1) != 0) {
            return true;
        }
    }
    return false;
}

/* One id of an admitted kind on both sides: false if either side is known to
 * have none of these kinds, else unknown if either is unknown. */
enum hr_value
hr_check_shared_alliance(const struct facts *f, alliance_set kinds)
{
    const struct hr_institution *a = f->parties[ISSUER];
    const struct hr_institution *b = f->parties[RECEIVER];
    if ((a->alliances_known && !has_kind(a, kinds)) ||
        (b->alliances_known && !has_kind(b, kinds))) {
        return HR_FALSE;
    }
    if (!a->alliances_known || !b->alliances_known) {
        return HR_UNKNOWN;
    }
    for (size_t i = 0; i < a->alliance_count; i++) {
        for (size_t j = 0; (kinds >> a->alliances[i].kind & 1) != 0 && j < b->alliance_count;
             j++) {
            if ((kinds >> b->alliances[j].kind & 1) != 0 &&
                hr_text_equal(a->alliances[i].id, b->alliances[j].id)) {
                return HR_TRUE;
            }
        }
    }
    return HR_FALSE;
}

enum hr_value
hr_check_scope(const struct facts *f, const struct scope_rule *scope)
{
    const struct hr_institution *a = f->parties[ISSUER];
    const struct hr_institution *b = f->parties[RECEIVER];
    enum hr_value value = kleene_and(hr_check_party(&scope->parties[ISSUER], a),
                                     hr_check_party(&scope->parties[RECEIVER], b));
    if (scope->same_level) {
        bool known = a->level != HR_LEVEL_UNKNOWN && b->level != HR_LEVEL_UNKNOWN;
        value = kleene_and(value, known ? kleene(a->level == b->level) : HR_UNKNOWN);
    }
    if (scope->shared != 0) {
        value = kleene_and(value, hr_check_shared_alliance(f, scope->shared));
    }
    return value;
}
