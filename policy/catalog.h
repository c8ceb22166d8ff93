/* catalog.h: the items, and how their codes relate.  Internal to policy/. */
#ifndef POLICY_CATALOG_H
#define POLICY_CATALOG_H

#include "policy/policy.h"

/* How code a relates to code b (catalog-relations.csv). */
enum relation {
    RELATION_NARROWER,
    RELATION_NARROWER_IF,
    RELATION_CLASS_MEMBER,
    RELATION_CLASS_MEMBER_IF,
    RELATION_COMPONENT,      /* never used to match */
    RELATION_NOT_EQUIVALENT, /* never used to match */
    RELATION_COUNT
};
extern const char *const hr_relation_names[RELATION_COUNT];

struct relation_row {
    struct hr_text from, to;
    enum relation relation;
};

struct hr_catalog {
    size_t count;
    struct hr_item *items; /* by number, rising */
    uint32_t *by_code;     /* indexes of items */
    size_t loinc_count;
    uint32_t *by_loinc;
    size_t relation_count;
    struct relation_row *relations; /* by (from, relation, to), rising */
};

/* The first relation of this code, and how many there are. */
const struct relation_row *hr_catalog_relations(const struct hr_catalog *c, struct hr_text code,
                                                size_t *count);

#endif
