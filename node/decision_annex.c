/* decision_annex.c: item lists that came later, as a decision sees them. */
#include <string.h>

#include "node/decision_input.h"

enum decision_annexes
decision_annexes(const struct policy_set *policy, const Hr__PolicyRow *row, const char *item,
                 struct policy_annex_row *out)
{
    *out = (struct policy_annex_row){false, false, 0};
    for (size_t i = 0; i < row->n_annexes; i++) {
        const ProtobufCBinaryData *hash = &row->annexes[i]->hash;
        const struct policy_annex *annex =
            hash->len == HASH_BYTES ? policy_set_annex(policy, row->pack, hash->data) : NULL;
        if (annex == NULL) {
            return DECISION_ANNEX_MISSING;
        }
        policy_annex_add(out, policy_annex_find(annex, (struct hr_text){item, strlen(item)}));
    }
    return row->n_annexes == 0 ? DECISION_ANNEX_NONE : DECISION_ANNEX_HELD;
}
