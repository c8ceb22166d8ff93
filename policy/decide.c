/* The decision: checks, caps, and what follows from the verdict. */
#include <string.h>

#include "policy/checks.h"
#include "policy/kleene.h"
#include "policy/text.h"

static enum hr_verdict
weaker(enum hr_verdict a, enum hr_verdict b)
{
    return a < b ? a : b;
}

/* The cap that a check of this value sets on the verdict, or, `at_best`, on
 * what it could become; HR_MUST where it sets none. */
static enum hr_verdict
cap_of(const struct facts *f, const struct hr_decision *d, enum hr_check check, bool at_best)
{
    const struct check_rule *rule = &f->pack->checks[check];
    enum hr_value value = d->checks[check];
    if ((value != HR_FALSE && value != HR_UNKNOWN) || (value == HR_UNKNOWN && at_best)) {
        return HR_MUST;
    }
    if (check == HR_QUALITY && value == HR_FALSE && rule->marked_cap_set &&
        d->checks[HR_MARKED] == HR_TRUE && d->checks[HR_ITEM_LISTED] == HR_TRUE) {
        return rule->marked_cap;
    }
    if (check == HR_ITEM_LISTED && rule->softened_in != 0) {
        enum hr_value shared = hr_check_shared_alliance(f, rule->softened_in);
        if (shared == HR_TRUE || (shared == HR_UNKNOWN && at_best)) {
            return rule->softened_cap;
        }
    }
    return value == HR_FALSE ? rule->cap_false : rule->cap_unknown;
}

static void
weigh(const struct facts *f, struct hr_decision *d)
{
    enum hr_verdict base = HR_MAY;
    enum hr_verdict base_at_best = HR_MAY;
    for (size_t i = 0; i < f->pack->scope_count; i++) {
        enum hr_verdict force = f->pack->scopes[i].force;
        if (d->scopes[i] == HR_TRUE && force > base) {
            base = force;
        }
        if (d->scopes[i] != HR_FALSE && force > base_at_best) {
            base_at_best = force;
        }
    }
    d->verdict = base;
    d->at_best = base_at_best;
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        d->caps[i] = cap_of(f, d, (enum hr_check)i, false);
        d->verdict = weaker(d->verdict, d->caps[i]);
        d->at_best = weaker(d->at_best, cap_of(f, d, (enum hr_check)i, true));
    }
}

enum hr_value
hr_circumstance_counts(const struct hr_pack *pack, const struct hr_decision *decision,
                       const struct hr_circumstance *circumstance)
{
    enum hr_value window = decision->checks[HR_WINDOW];
    for (size_t i = 0; circumstance->code.bytes != NULL && i < pack->exception_count; i++) {
        const struct exception_rule *e = &pack->exceptions[i];
        if (!hr_text_equal(e->exception.code, circumstance->code)) {
            continue;
        }
        if ((e->kinds != 0 && (e->kinds >> decision->kind & 1) == 0) ||
            (e->not_in_window && window == HR_TRUE)) {
            return HR_FALSE;
        }
        bool note_needed =
            e->note == NOTE_ALWAYS || (e->note == NOTE_UNLESS_EXPIRED && window != HR_FALSE);
        return note_needed && hr_text_is_blank(circumstance->note) ? HR_UNKNOWN : HR_TRUE;
    }
    return HR_FALSE;
}

/* Is this code among the accepted ones? */
static bool
is_accepted(const struct facts *f, const struct hr_decision *d, struct hr_text code)
{
    for (size_t i = 0; i < f->input->doctor.circumstance_count; i++) {
        const struct hr_circumstance *c = &f->input->doctor.circumstances[i];
        if (hr_text_equal(c->code, code) && hr_circumstance_counts(f->pack, d, c) == HR_TRUE) {
            return true;
        }
    }
    return false;
}

static void
judge_reason(const struct facts *f, struct hr_decision *d)
{
    size_t accepted = 0;
    size_t lacking = 0;
    if (f->input->doctor.circumstance_count == 0) {
        return; /* HR_REASON_NONE */
    }
    for (size_t i = 0; i < f->input->doctor.circumstance_count; i++) {
        enum hr_value counts =
            hr_circumstance_counts(f->pack, d, &f->input->doctor.circumstances[i]);
        accepted += counts == HR_TRUE;
        lacking += counts == HR_UNKNOWN;
    }
    d->reason = accepted > 0  ? HR_REASON_ACCEPTED
                : lacking > 0 ? HR_REASON_INCOMPLETE
                              : HR_REASON_REJECTED;
    d->missing_note = d->reason == HR_REASON_INCOMPLETE;
    const struct hr_pack *pack = f->pack;
    if (pack->sign_off_set && d->reason != HR_REASON_REJECTED &&
        d->verdict >= pack->sign_off_from && f->input->doctor.title < pack->sign_off_title &&
        !is_accepted(f, d, pack->sign_off_without)) {
        d->reason = HR_REASON_INCOMPLETE;
        d->missing_sign_off = true;
    }
}

static void
choose_form(const struct facts *f, struct hr_decision *d)
{
    d->form = HR_DIRECT;
    for (size_t i = 0; i < f->pack->form_count; i++) {
        if ((f->pack->forms[i].kinds >> f->kind & 1) != 0) {
            d->form = f->pack->forms[i].form;
            d->form_rule = &f->pack->forms[i].rule;
            return;
        }
    }
}

static bool
duty_applies(const struct facts *f, const struct hr_decision *d, const struct duty_rule *duty)
{
    if (d->verdict < duty->verdict || (duty->form_set && duty->form != d->form) ||
        (duty->encounter != HR_ENCOUNTER_UNKNOWN && duty->encounter != f->input->encounter)) {
        return false;
    }
    return (duty->with.size == 0 || is_accepted(f, d, duty->with)) &&
           (duty->without.size == 0 || !is_accepted(f, d, duty->without));
}

static void
collect_duties(const struct facts *f, struct hr_decision *d)
{
    for (size_t i = 0; i < f->pack->duty_count; i++) {
        const struct duty_rule *duty = &f->pack->duties[i];
        if (!duty_applies(f, d, duty)) {
            continue;
        }
        if (duty->repeated && d->repeated_count < HR_DUTIES_MAX) {
            d->if_repeated[d->repeated_count++] = &duty->duty;
        } else if (!duty->repeated && d->recognized_count < HR_DUTIES_MAX) {
            d->if_recognized[d->recognized_count++] = &duty->duty;
        }
    }
}

static void
bill(const struct facts *f, struct hr_decision *d)
{
    const struct hr_pack *pack = f->pack;
    if (!pack->fees_set || d->verdict < pack->fees_from) {
        return;
    }
    d->fee_if_recognized =
        &pack->fees[f->input->doctor.needs_department ? FEE_RECOGNIZED_WITH_DEPARTMENT
                                                      : FEE_RECOGNIZED];
    d->fee_if_repeated =
        &pack->fees[d->reason == HR_REASON_ACCEPTED ? FEE_REPEATED_WITH_REASON : FEE_REPEATED];
}

void
hr_decide(const struct hr_pack *pack, const struct hr_catalog *catalog,
          const struct hr_policy_input *input, struct hr_decision *out)
{
    struct facts f;
    hr_facts_begin(&f, pack, catalog, input);
    memset(out, 0, sizeof *out);
    out->kind = f.kind;
    for (size_t i = 0; i < pack->scope_count; i++) {
        out->scopes[i] = hr_check_scope(&f, &pack->scopes[i]);
    }
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        out->checks[i] = hr_check_value(&f, (enum hr_check)i, out->scopes);
    }
    weigh(&f, out);
    /* Safe by default: only a plain, final, uncritical result of a known
     * patient is ever pre-selected. */
    out->recognize = out->verdict >= HR_SHOULD && input->result.status == HR_FINAL_RESULT &&
                     input->result.critical == HR_FALSE && input->result.in_doubt != HR_TRUE;
    out->repeat = out->verdict == HR_MUST     ? HR_LISTED_REASON
                  : out->verdict == HR_SHOULD ? HR_REASON
                                              : HR_FREE;
    choose_form(&f, out);
    judge_reason(&f, out);
    collect_duties(&f, out);
    bill(&f, out);
}
