/* When the result was made, what it carries, and the table of all checks. */
#include "policy/checks.h"
#include "policy/civil.h"
#include "policy/kleene.h"
#include "policy/text.h"

void
hr_facts_begin(struct facts *f, const struct hr_pack *pack, const struct hr_catalog *catalog,
               const struct hr_policy_input *input)
{
    f->pack = pack;
    f->catalog = catalog;
    f->input = input;
    f->item = input->item.bytes == NULL ? NULL : hr_catalog_by_code(catalog, input->item);
    f->kind = f->item == NULL ? HR_KIND_NONE : f->item->kind;
    f->decided = hr_civil_date(input->at);
    f->examined = hr_civil_date(input->result.examined_at);
    f->parties[ISSUER] = &input->issuer;
    f->parties[RECEIVER] = &input->receiver;
}

enum hr_value
hr_check_usable(const struct facts *f)
{
    enum hr_result_status status = f->input->result.status;
    return status == HR_STATUS_UNKNOWN ? HR_UNKNOWN : kleene(status != HR_CANCELLED_RESULT);
}

enum hr_value
hr_check_final(const struct facts *f)
{
    enum hr_result_status status = f->input->result.status;
    return status == HR_STATUS_UNKNOWN
               ? HR_UNKNOWN
               : kleene(status == HR_FINAL_RESULT || status == HR_CORRECTED_RESULT);
}

enum hr_value
hr_check_in_force(const struct facts *f)
{
    struct hr_date from = f->input->in_force_from;
    return !from.known || !f->decided.known ? HR_UNKNOWN : kleene(f->decided.day >= from.day);
}

enum hr_value
hr_check_examined_before(const struct facts *f)
{
    struct hr_time examined = f->input->result.examined_at;
    return !examined.known || !f->input->at.known
               ? HR_UNKNOWN
               : kleene(hr_civil_compare(examined, f->input->at) <= 0);
}

enum hr_value
hr_check_made_in_force(const struct facts *f)
{
    struct hr_date from = f->input->in_force_from;
    if (!from.known) {
        return HR_NOT_APPLICABLE;
    }
    return !f->examined.known ? HR_UNKNOWN : kleene(f->examined.day >= from.day);
}

enum hr_value
hr_check_window(const struct facts *f)
{
    const struct check_rule *rule = &f->pack->checks[HR_WINDOW];
    int64_t days = rule->days;
    if (rule->limit_from_annex) {
        if (!f->input->annex.known || f->input->annex.limited == HR_FALSE) {
            return HR_NOT_APPLICABLE; /* no limit in hand: none is invented */
        }
        if (f->input->annex.limited == HR_UNKNOWN) {
            return HR_UNKNOWN;
        }
        days = f->input->annex.limit_days;
    }
    if (!f->decided.known || !f->examined.known || f->examined.day > f->decided.day) {
        return HR_UNKNOWN;
    }
    return kleene((int64_t)f->decided.day - f->examined.day <= days);
}

enum hr_value
hr_check_marked(const struct facts *f)
{
    const struct hr_pack *pack = f->pack;
    if (!f->input->result.marks_known) {
        return HR_UNKNOWN;
    }
    enum hr_value marked = HR_FALSE;
    for (size_t i = 0; i < f->input->result.mark_count; i++) {
        struct hr_text mark = f->input->result.marks[i];
        if (mark.bytes == NULL) {
            marked = kleene_or(marked, HR_UNKNOWN); /* something that is no text */
            continue;
        }
        for (size_t j = 0; j < pack->mark_count; j++) {
            marked = kleene_or(marked, kleene(hr_text_equal_unspaced(mark, pack->marks[j])));
        }
    }
    return pack->checks[HR_MARKED].needs_note ? kleene_and(marked, f->input->result.mark_note)
                                              : marked;
}

enum hr_value
hr_check_of_kinds(const struct facts *f, enum hr_check check, enum hr_value value)
{
    return (f->pack->checks[check].kinds >> f->kind & 1) != 0 ? value : HR_NOT_APPLICABLE;
}

static enum hr_value
check_any_scope(const struct facts *f, const enum hr_value scopes[HR_SCOPES_MAX])
{
    enum hr_value any = HR_FALSE;
    for (size_t i = 0; i < f->pack->scope_count; i++) {
        any = kleene_or(any, scopes[i]);
    }
    return any;
}

enum hr_value
hr_check_value(const struct facts *f, enum hr_check check,
               const enum hr_value scopes[HR_SCOPES_MAX])
{
    const struct hr_policy_input *in = f->input;
    if (!f->pack->checks[check].present) {
        return HR_NOT_IN_PACK;
    }
    switch (check) {
    case HR_IN_FORCE:
        return hr_check_in_force(f);
    case HR_ISSUER_TERRITORY:
        return hr_check_territory(f->pack, &in->issuer);
    case HR_ISSUER_CLASS:
        return hr_check_party(&f->pack->checks[check].party, &in->issuer);
    case HR_ISSUER_LISTED:
        return hr_check_listed(&in->issuer, f->decided);
    case HR_ISSUER_STANDING:
        return hr_check_standing(&in->issuer, f->decided);
    case HR_RECEIVER_TERRITORY:
        return hr_check_territory(f->pack, &in->receiver);
    case HR_RECEIVER_CLASS:
        return hr_check_party(&f->pack->checks[check].party, &in->receiver);
    case HR_RECEIVER_LISTED:
        return hr_check_listed_in_good_standing(&in->receiver, f->decided);
    case HR_ISSUER_NOT_RECTIFYING:
        return hr_check_not_rectifying(&in->issuer, f->examined);
    case HR_SCOPE:
        return check_any_scope(f, scopes);
    case HR_ITEM_LISTED:
        return hr_check_item_listed(f);
    case HR_USABLE:
        return hr_check_usable(f);
    case HR_FINAL:
        return hr_check_final(f);
    case HR_EXAMINED_BEFORE_DECISION:
        return hr_check_examined_before(f);
    case HR_MADE_IN_FORCE:
        return hr_check_made_in_force(f);
    case HR_WINDOW:
        return hr_check_window(f);
    case HR_QUALITY:
        return hr_check_quality(f);
    case HR_INSPECTION:
        return hr_check_inspection(f);
    case HR_MARKED:
        return hr_check_marked(f);
    case HR_IMAGES:
        return hr_check_of_kinds(f, check, in->result.images);
    case HR_FULL_FORCE:
        return hr_check_full_force(f);
    case HR_METHOD_AND_INTERVAL:
        return hr_check_of_kinds(f, check,
                                 kleene_and(in->result.method, in->result.reference_interval));
    case HR_REVIEWED:
        return hr_check_of_kinds(f, check, in->result.reviewed);
    case HR_PROTOCOL:
        return hr_check_protocol(f);
    case HR_SIDE:
        return hr_check_side(f);
    case HR_SITE:
        return hr_check_site(f);
    case HR_CHECK_COUNT:
        break;
    }
    return HR_NOT_IN_PACK;
}
