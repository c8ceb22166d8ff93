/* engine_use_io.c: which leaves decisions here leaned on, so that a correction
 * is told to who used what it corrects, and a look-up shows it. */
#include <string.h>

#include "node/decision_input.h"
#include "node/engine_lookup.h"
#include "node/engine_recall.h"
#include "node/recall_proof.h"
#include "proto/text.h"

enum { VERSIONS_MAX = 64 }; /* of one report that are looked back through */

enum status
engine_note_use(struct network *n, struct store_txn *txn, const struct lookup_leaf *leaf,
                const char *item, uint64_t exch, size_t count, uint64_t at_ms)
{
    struct recall_place place = engine_recall_place(n);
    struct recall_row use = recall_row_of(RECALL_USE, "", leaf->c.origin, leaf->c.leaf);
    use.exch_log = n->exch.id;
    use.exch = exch;
    use.at_ms = at_ms;
    use.count = (uint32_t)count;
    size_t bytes = strlen(item);
    memcpy(use.item, item, bytes > CODE_CHARS_MAX ? 0 : bytes + 1);
    return recall_note_use(txn, &place, &use, leaf->given);
}

/* The leaf that was used: this one, or the newest of its earlier versions; `by` is
 * what replaced it. */
static bool
find_use(struct network *n, struct store_txn *txn, const struct lookup_leaf *leaf,
         uint64_t *used, uint64_t *by, uint64_t *at_ms)
{
    *used = leaf->c.leaf;
    *by = leaf->recalled_by;
    for (int i = 0; i < VERSIONS_MAX; i++) {
        struct recall_entry e;
        struct view bytes;
        if ((i > 0 || leaf->recalled != 0) &&
            recall_last_use(txn, n->name, leaf->c.origin, *used, at_ms) == STATUS_OK) {
            return true;
        }
        if (store_entry_get(txn, leaf->c.log, *used, &bytes) != STATUS_OK ||
            recall_entry_read(bytes, &e) != STATUS_OK || !e.replaces_one || e.withdraw) {
            break;
        }
        *by = *used;
        *used = e.replaces;
    }
    return false;
}

json_t *
engine_recalled_json(struct network *n, const struct lookup_leaf *leaf)
{
    struct store_txn *txn;
    uint64_t used = 0;
    uint64_t by = 0;
    uint64_t at_ms = 0;
    char at[26] = "";
    if (leaf->recalled == 0 && !leaf->c.correct) {
        return NULL; /* as published, and as far as is known it stands */
    }
    if (store_begin_read(n->engine->store, &txn) != STATUS_OK) {
        return NULL;
    }
    bool found = find_use(n, txn, leaf, &used, &by, &at_ms);
    store_abort(txn);
    if (!found && leaf->recalled == 0) {
        return NULL;
    }
    if (found) {
        decision_time((int64_t)(at_ms / 1000), at);
    }
    bool withdrawn = leaf->recalled == 2;
    used = found ? used : leaf->c.leaf;
    by = found && !withdrawn ? by : leaf->recalled_by;
    return json_pack("{s:s,s:I,s:I,s:o}", "what", withdrawn ? "withdrawn" : "corrected", "leaf",
                     (json_int_t)used, "by", (json_int_t)by, "used_at",
                     found ? json_string(at) : json_null());
}
