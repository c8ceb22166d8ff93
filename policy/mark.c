/* What the issuer prints. */
#include <string.h>

#include "policy/checks.h"
#include "policy/kleene.h"

/* The checks that decide it: nothing of the receiver, nothing of one result. */
static const enum hr_check mark_checks[] = {
    HR_IN_FORCE,        HR_ISSUER_TERRITORY, HR_ISSUER_CLASS, HR_ISSUER_LISTED,
    HR_ISSUER_STANDING, HR_ITEM_LISTED,      HR_QUALITY};

/* What stands on paper when the mark holds. */
static void
print_texts(const struct hr_pack *pack, enum hr_kind kind, struct hr_mark *out)
{
    out->text = pack->print;
    out->place = pack->place;
    if (pack->row_sign.size > 0) {
        out->row_sign = pack->row_sign;
    }
    if (pack->alternative_footnote.size > 0) {
        out->alternative_footnote = pack->alternative_footnote;
    }
    for (size_t i = 0; i < pack->footnote_count; i++) {
        if ((pack->footnotes[i].kinds >> kind & 1) != 0) {
            out->footnote = pack->footnotes[i].text;
            break;
        }
    }
}

void
hr_mark(const struct hr_pack *pack, const struct hr_catalog *catalog,
        const struct hr_policy_input *input, struct hr_mark *out)
{
    const enum hr_value no_scopes[HR_SCOPES_MAX] = {HR_UNKNOWN};
    struct facts f;
    hr_facts_begin(&f, pack, catalog, input);
    f.parties[RECEIVER] = &input->issuer; /* the issuer's own level for both */
    memset(out, 0, sizeof *out);
    out->rule = pack->mark_rule;
    out->mark = pack->print.size == 0 ? HR_FALSE : HR_TRUE;
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        out->checks[i] = HR_NOT_IN_PACK;
    }
    for (size_t i = 0; i < sizeof mark_checks / sizeof mark_checks[0]; i++) {
        enum hr_value value = hr_check_value(&f, mark_checks[i], no_scopes);
        out->checks[mark_checks[i]] = value;
        if (value != HR_NOT_APPLICABLE && value != HR_NOT_IN_PACK) {
            out->mark = kleene_and(out->mark, value);
        }
    }
    if (out->mark == HR_TRUE) {
        print_texts(pack, f.kind, out);
    }
}

void
hr_pack_mark(const struct hr_pack *pack, enum hr_kind kind, struct hr_mark *out)
{
    memset(out, 0, sizeof *out);
    out->mark = HR_UNKNOWN;
    out->rule = pack->mark_rule;
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        out->checks[i] = HR_NOT_IN_PACK;
    }
    print_texts(pack, kind, out);
}
