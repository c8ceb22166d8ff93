/* checks.h: the value of each check.  Internal to policy/.
 *
 * Each function answers one line of the table of checks; whether a pack has
 * the check at all is asked before. */
#ifndef POLICY_CHECKS_H
#define POLICY_CHECKS_H

#include "policy/pack.h"

/* One case: the input, and what is read from it once. */
struct facts {
    const struct hr_pack *pack;
    const struct hr_catalog *catalog;
    const struct hr_policy_input *input;
    const struct hr_item *item; /* NULL: item unknown, or not in the catalog */
    enum hr_kind kind;          /* NONE without an item */
    struct hr_date decided;     /* D */
    struct hr_date examined;    /* E */
    const struct hr_institution *parties[PARTY_COUNT];
};
void hr_facts_begin(struct facts *f, const struct hr_pack *pack,
                    const struct hr_catalog *catalog, const struct hr_policy_input *input);

/* checks_party.c */
enum hr_value hr_check_party(const struct party_test *test, const struct hr_institution *who);
enum hr_value hr_check_territory(const struct hr_pack *pack, const struct hr_institution *who);
enum hr_value hr_check_listed(const struct hr_institution *who, struct hr_date on);
enum hr_value hr_check_standing(const struct hr_institution *who, struct hr_date on);
enum hr_value hr_check_listed_in_good_standing(const struct hr_institution *who,
                                               struct hr_date on);
enum hr_value hr_check_not_rectifying(const struct hr_institution *who, struct hr_date on);
enum hr_value hr_check_shared_alliance(const struct facts *f, alliance_set kinds);
enum hr_value hr_check_scope(const struct facts *f, const struct scope_rule *scope);

/* checks_item.c */
enum hr_value hr_check_item_listed(const struct facts *f);
enum hr_value hr_check_full_force(const struct facts *f);
enum hr_value hr_check_protocol(const struct facts *f);
enum hr_value hr_check_side(const struct facts *f);
enum hr_value hr_check_site(const struct facts *f);

/* checks_quality.c */
enum hr_value hr_check_quality(const struct facts *f);
enum hr_value hr_check_inspection(const struct facts *f);

/* checks_result.c */
enum hr_value hr_check_usable(const struct facts *f);
enum hr_value hr_check_final(const struct facts *f);
enum hr_value hr_check_in_force(const struct facts *f);
enum hr_value hr_check_examined_before(const struct facts *f);
enum hr_value hr_check_made_in_force(const struct facts *f);
enum hr_value hr_check_window(const struct facts *f);
enum hr_value hr_check_marked(const struct facts *f);
/* `value` where the check concerns the item's kind, else not applicable. */
enum hr_value hr_check_of_kinds(const struct facts *f, enum hr_check check,
                                enum hr_value value);

/* The value of any check; NOT_IN_PACK where the pack does not have it. */
enum hr_value hr_check_value(const struct facts *f, enum hr_check check,
                             const enum hr_value scopes[HR_SCOPES_MAX]);

#endif
