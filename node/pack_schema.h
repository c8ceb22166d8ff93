/* pack_schema.h: the shape of pack.yaml, as libcyaml reads it.
 * Internal to node/pack_*.c.  The meaning of each member is in policy/README.md;
 * numbers are texts here, because libcyaml reads 010 as 8. */
#ifndef NODE_PACK_SCHEMA_H
#define NODE_PACK_SCHEMA_H

#include <stdint.h>

#include "proto/status.h"
#include "proto/view.h"

struct yaml_rule {
    char *id, *clause, *zh, *en;
};
struct yaml_words {
    char **at;
    uint32_t at_count;
};
struct yaml_check {
    char *check, *if_false, *if_unknown;
    struct yaml_words kinds, levels, softened_in;
    char *grade, *ownership, *days, *limit, *note, *marked_cap, *softened_cap;
    struct yaml_rule rule;
};
struct yaml_scope {
    char *force;
    struct yaml_words issuer, receiver, shared;
    char *ownership, *same_level;
    struct yaml_rule rule;
};
struct yaml_list {
    struct yaml_words kinds, also;
    char *source;
    struct yaml_rule rule;
};
struct yaml_condition {
    char *relation, *of, *itself, *needs, *at_least;
    struct yaml_rule rule;
};
struct yaml_quality {
    struct yaml_words kinds, needs;
    struct yaml_rule rule;
};
struct yaml_footnote {
    struct yaml_words kinds;
    char *text;
};
struct yaml_mark {
    struct yaml_words texts;
    char *print, *place, *row_sign, *alternative_footnote;
    struct yaml_footnote *footnotes;
    uint32_t footnotes_count;
    struct yaml_rule rule;
};
struct yaml_circumstance {
    char *code, *note, *window;
    struct yaml_words kinds;
    struct yaml_rule rule;
};
struct yaml_sign_off {
    char *title, *verdict, *without;
    struct yaml_rule rule;
};
struct yaml_form {
    struct yaml_words kinds;
    char *form;
    struct yaml_rule rule;
};
struct yaml_duty {
    char *when, *duty, *verdict, *form, *encounter, *with, *without;
    struct yaml_rule rule;
};
struct yaml_fee {
    char *when, *fee;
    struct yaml_rule rule;
};
struct yaml_billing {
    char *verdict;
    struct yaml_fee *fees;
    uint32_t fees_count;
};
struct yaml_text {
    char *zh, *en;
};
struct yaml_valid {
    char *from, *to;
};
struct yaml_pack {
    char *pack, *version, *document, *parent;
    struct yaml_text title, *gaps;
    struct yaml_valid *valid;
    struct yaml_words territory;
    struct yaml_check *checks;
    struct yaml_scope *scopes;
    struct yaml_list *lists;
    struct yaml_condition *conditions;
    struct yaml_quality *quality;
    struct yaml_circumstance *circumstances;
    struct yaml_form *forms;
    struct yaml_duty *duties;
    uint32_t checks_count, scopes_count, lists_count, conditions_count, quality_count,
        circumstances_count, forms_count, duties_count;
    struct yaml_mark *mark;
    struct yaml_sign_off *sign_off;
    struct yaml_billing *billing;
};

/* Read pack.yaml.  Unknown, repeated and missing members, aliases and texts
 * that are too long are refused with "name:line: reason" in `error`.
 *
 * STATUS_MALFORMED, STATUS_NO_MEMORY. */
MUST_USE enum status pack_schema_load(struct view yaml, const char *name,
                                      struct yaml_pack **out, char *error, size_t error_bytes);
void pack_schema_free(struct yaml_pack *pack);

#endif
