/* External quality assessment, half-yearly evaluation, cross inspection. */
#include "policy/checks.h"
#include "policy/civil.h"
#include "policy/kleene.h"

/* The round with the greatest date in from..to (of equal dates the last in the
 * list), of this organiser, or of any when it is UNKNOWN; NULL: none. */
static const struct hr_round *
latest_round(const struct facts *f, enum hr_organiser organiser, int32_t from, int32_t to)
{
    const struct hr_round *latest = NULL;
    for (size_t i = 0; i < f->input->quality.round_count; i++) {
        const struct hr_round *r = &f->input->quality.rounds[i];
        bool wanted = organiser == HR_ORGANISER_UNKNOWN || r->organiser == organiser;
        if (wanted && r->date.day >= from && r->date.day <= to &&
            (latest == NULL || r->date.day >= latest->date.day)) {
            latest = r;
        }
    }
    return latest;
}

static enum hr_value
latest_passed(const struct facts *f)
{
    const struct hr_round *r =
        latest_round(f, HR_ORGANISER_UNKNOWN, INT32_MIN, f->examined.day);
    return r == NULL ? HR_UNKNOWN : kleene(r->passed);
}

/* At least one organiser's round by E, and of each organiser the latest by E
 * and the latest by D did not fail (AMB-CY05). */
static enum hr_value
each_organiser(const struct facts *f)
{
    if (!f->decided.known) {
        return HR_UNKNOWN;
    }
    bool any = false;
    for (size_t i = 0; i < f->input->quality.round_count; i++) {
        const struct hr_round *r = &f->input->quality.rounds[i];
        if (r->organiser == HR_ORGANISER_UNKNOWN) {
            return HR_UNKNOWN;
        }
        any = any || r->date.day <= f->examined.day;
    }
    for (enum hr_organiser o = HR_NATIONAL; o <= HR_PROVINCIAL; o++) {
        const struct hr_round *then = latest_round(f, o, INT32_MIN, f->examined.day);
        const struct hr_round *now = latest_round(f, o, INT32_MIN, f->decided.day);
        if ((then != NULL && !then->passed) || (now != NULL && !now->passed)) {
            return HR_FALSE;
        }
    }
    return kleene(any);
}

static enum hr_value
previous_year_passed(const struct facts *f)
{
    int32_t year;
    int32_t month;
    hr_civil_year_month(f->examined.day, &year, &month);
    const struct hr_round *r = latest_round(
        f, HR_ORGANISER_UNKNOWN, hr_civil_day(year - 1, 1, 1), hr_civil_day(year - 1, 12, 31));
    return kleene(r != NULL && r->passed);
}

static enum hr_value
round_since_half(const struct facts *f)
{
    int32_t year;
    int32_t month;
    hr_civil_year_month(f->examined.day, &year, &month);
    int32_t start = month > 6 ? hr_civil_day(year, 1, 1) : hr_civil_day(year - 1, 7, 1);
    return kleene(latest_round(f, HR_ORGANISER_UNKNOWN, start, f->examined.day) != NULL);
}

static enum hr_value
institution_passed(const struct facts *f)
{
    int32_t year;
    int32_t month;
    if (!f->input->quality.halves_known || !f->decided.known) {
        return HR_UNKNOWN;
    }
    hr_civil_year_month(f->decided.day, &year, &month);
    int32_t half = year * 2 + (month > 6);
    const struct hr_half *latest = NULL;
    for (size_t i = 0; i < f->input->quality.half_count; i++) {
        const struct hr_half *h = &f->input->quality.halves[i];
        if (h->half < half && (latest == NULL || h->half >= latest->half)) {
            latest = h;
        }
    }
    return latest == NULL ? HR_UNKNOWN : kleene(latest->passed);
}

static const struct quality_rule *
quality_for(const struct facts *f)
{
    for (size_t i = 0; i < f->pack->quality_count; i++) {
        if ((f->pack->qualities[i].kinds >> f->kind & 1) != 0) {
            return &f->pack->qualities[i];
        }
    }
    return NULL;
}

enum hr_value
hr_check_quality(const struct facts *f)
{
    static enum hr_value (*const needs[QUALITY_NEED_COUNT])(const struct facts *) = {
        [QUALITY_LATEST_PASSED] = latest_passed,
        [QUALITY_EACH_ORGANISER] = each_organiser,
        [QUALITY_PREVIOUS_YEAR_PASSED] = previous_year_passed,
        [QUALITY_ROUND_SINCE_HALF] = round_since_half,
        [QUALITY_INSTITUTION_PASSED] = institution_passed,
    };
    const struct quality_rule *rule = quality_for(f);
    if (rule == NULL) {
        return HR_NOT_APPLICABLE;
    }
    if (!f->input->quality.known || !f->input->quality.rounds_known) {
        return HR_UNKNOWN;
    }
    enum hr_value value = HR_TRUE;
    if ((rule->needs >> QUALITY_NOT_FAILED_NOW & 1) != 0) {
        if (!f->decided.known) {
            return HR_UNKNOWN;
        }
        const struct hr_round *now =
            latest_round(f, HR_ORGANISER_UNKNOWN, INT32_MIN, f->decided.day);
        if (now != NULL && !now->passed) {
            return HR_FALSE;
        }
    }
    if (!f->examined.known) {
        return HR_UNKNOWN;
    }
    for (int need = QUALITY_NOT_FAILED_NOW + 1; need < QUALITY_NEED_COUNT; need++) {
        if ((rule->needs >> need & 1) != 0) {
            value = kleene_and(value, needs[need](f));
        }
    }
    return value;
}

enum hr_value
hr_check_inspection(const struct facts *f)
{
    int32_t year;
    int32_t month;
    if (!f->input->quality.known || f->input->quality.inspection_failed == HR_UNKNOWN) {
        return HR_UNKNOWN;
    }
    if (f->input->quality.inspection_failed == HR_FALSE) {
        return HR_TRUE;
    }
    if (!f->decided.known) {
        return HR_UNKNOWN;
    }
    hr_civil_year_month(f->decided.day, &year, &month);
    int64_t failed = f->input->quality.inspection_failed_year;
    if (failed == year) {
        return HR_UNKNOWN; /* until the authority decides (AMB-CY09) */
    }
    return kleene(failed != (int64_t)year - 1);
}
