#include "node/lookup.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/record.h"
#include "node/epochs.h"
#include "node/frontier.h"
#include "node/linked.h"
#include "node/logwalk.h"
#include "node/recall_rows.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/kv.h"
#include "store/log.h"

/* Look this far beyond the moment of the decision: clocks differ. */
enum { AHEAD_S = 86400 };
/* Moments that quarters and civil dates can be made of: 1970 to 2149. */
static const int64_t at_s_max = INT64_C(65535) * 86400;

static uint32_t
quarter_at(int64_t unix_s)
{
    uint16_t day;
    if (token_day_of_ms(unix_s * 1000, &day) != STATUS_OK) {
        day = unix_s < 0 ? 0 : UINT16_MAX;
    }
    return token_quarter_of_day(day);
}

static uint32_t
item_number(const struct lookup *l, const char *code)
{
    const struct hr_item *item = hr_catalog_by_code(policy_set_catalog(l->place.policy),
                                                    (struct hr_text){code, strlen(code)});
    return item == NULL ? 0 : item->number;
}

static bool
may_answer(const struct lookup *l, const struct candidate *c)
{
    for (size_t i = 0; i < l->question.item_count; i++) {
        if (candidate_may_hold(c, item_number(l, l->question.items[i]))) {
            return true;
        }
    }
    return false;
}

static enum status
keep_record(struct lookup_leaf *leaf, struct view record)
{
    uint8_t *copy = malloc(record.count + 1);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(copy, record.bytes, record.count);
    free(leaf->record);
    leaf->record = copy;
    leaf->record_bytes = record.count;
    return STATUS_OK;
}

/* Take what lies in this home: the record, and the key of a held one of ours. */
static enum status
take_local(struct lookup *l, struct store_txn *txn, struct lookup_leaf *leaf)
{
    struct view record;
    enum status st = store_record_get(txn, leaf->c.log, leaf->c.leaf, &leaf->c.sealed, &record);
    if (st == STATUS_OK) {
        st = keep_record(leaf, record);
    } else if (st == STATUS_NOT_FOUND || st == STATUS_CORRUPT) {
        if (st == STATUS_CORRUPT) { /* damaged here: the issuer has it whole, unless it is us */
            bool ours = strcmp(leaf->c.institution, l->place.institution) == 0;
            leaf->state = ours ? LOOKUP_UNREADABLE : leaf->state;
            l->findings++;
        }
        st = STATUS_OK;
    }
    if (st == STATUS_OK && leaf->c.held && leaf->record != NULL &&
        strcmp(leaf->c.institution, l->place.institution) == 0) {
        struct view text;
        leaf->released =
            store_salt_get(txn, leaf->c.log, leaf->c.leaf, leaf->k, &text) == STATUS_OK;
    }
    return st;
}

/* SHA-256 over the frontier lines of all pub logs of the network, sorted by
 * origin, each ended by LF: as of what this is. */
static enum status
note_heads(struct lookup *l, struct store_txn *txn)
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    char after[ORIGIN_CHARS_MAX + 1] = "";
    struct store_log log;
    struct origin o;
    enum status st;
    while ((st = logwalk_next(txn, l->place.network, ORIGIN_PUB, after, &log, &o)) ==
           STATUS_OK) {
        char text[FRONTIER_LINE_CHARS_MAX + 1];
        struct frontier_line line = {
            .what = FRONTIER_LOG, .name = log.origin, .number = log.size, .hash = log.root};
        size_t count = frontier_write(&line, text);
        crypto_hash_sha256_update(&state, (const unsigned char *)text, count);
        crypto_hash_sha256_update(&state, (const unsigned char *)"\n", 1);
        l->log_count++;
    }
    crypto_hash_sha256_final(&state, l->as_of);
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* Were we told that it does not stand any more, while our copy of the log does not
 * show that yet? */
static enum status
take_recall(const struct lookup *l, struct store_txn *txn, struct lookup_leaf *leaf)
{
    struct recall_row row = recall_row_of(RECALL_HEARD, "", leaf->c.origin, leaf->c.leaf);
    enum status st = recall_row_get(txn, l->place.network, &row);
    if (st == STATUS_OK) {
        leaf->state = LOOKUP_WITHDRAWN;
        leaf->recalled = row.what;
        leaf->recalled_by = row.by;
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static bool
is_eligible(const struct lookup *l, const struct candidate *c)
{
    return (c->state == CANDIDATE_LIVE || c->state == CANDIDATE_WITHDRAWN) && may_answer(l, c);
}

/* How many leaves of one log may be taken so that all together fit. */
static size_t
share_of_a_log(const struct lookup *l, const struct candidates *found)
{
    for (size_t share = LOOKUP_RESULTS_MAX;; share /= 2) {
        size_t total = 0;
        size_t run = 0;
        for (size_t i = 0; i < found->count; i++) {
            run = i > 0 && found->at[i].log == found->at[i - 1].log ? run : 0;
            if (run < share && is_eligible(l, &found->at[i])) {
                run++;
                total++;
            }
        }
        if (total <= LOOKUP_RESULTS_MAX || share == 1) {
            return share;
        }
    }
}

/* Take the eligible leaves, of each log the newest up to its share. */
static enum status
take_leaves(struct lookup *l, struct store_txn *txn, const struct candidates *found)
{
    size_t share = share_of_a_log(l, found);
    size_t run = 0;
    size_t most = found->count < LOOKUP_RESULTS_MAX ? found->count : LOOKUP_RESULTS_MAX;
    size_t *take = calloc(most + 1, sizeof *take);
    size_t count = 0;
    l->leaves = calloc(most + 1, sizeof *l->leaves);
    if (take == NULL || l->leaves == NULL) {
        free(take);
        return STATUS_NO_MEMORY;
    }
    for (size_t i = found->count; i-- > 0;) {
        run = i + 1 < found->count && found->at[i].log == found->at[i + 1].log ? run : 0;
        if (!is_eligible(l, &found->at[i])) {
            continue;
        }
        if (run < share && count < most) {
            run++;
            take[count++] = i;
        } else {
            l->left_out++;
        }
    }
    enum status st = STATUS_OK;
    while (st == STATUS_OK && count > 0) {
        const struct candidate *c = &found->at[take[--count]];
        struct lookup_leaf *leaf = &l->leaves[l->leaf_count++];
        leaf->c = *c;
        /* A log that goes on for another counts once members names it (DESIGN 6). */
        leaf->c.disputed =
            leaf->c.disputed || !linked_pub(l->place.charter, text_view(c->origin));
        leaf->state = LOOKUP_WITHDRAWN;
        leaf->recalled = 2;
        leaf->recalled_by = c->replaced_by;
        if (c->state == CANDIDATE_LIVE) {
            leaf->state = LOOKUP_WANTED;
            leaf->recalled = 0;
            st = take_recall(l, txn, leaf);
        }
        if (st == STATUS_OK && leaf->state == LOOKUP_WANTED) {
            st = take_local(l, txn, leaf);
        }
    }
    free(take);
    return st;
}

/* Judge what stands under epochs that have ended: late, or refused. */
static enum status
judge_epochs(struct lookup *l, struct store_txn *txn, struct candidates *found)
{
    struct epoch_marks marks;
    const struct candidate *last = NULL; /* they come log by log */
    for (size_t i = 0; i < found->count; i++) {
        struct candidate *c = &found->at[i];
        const Hr__NetworkEpoch *e = charter_epoch(l->place.charter, c->epoch);
        if (e == NULL || e->ended == 0 || l->question.at_s < (int64_t)e->ended) {
            continue;
        }
        if (last == NULL || last->log != c->log || last->epoch != c->epoch) {
            enum status st = epochs_get(txn, l->place.network, c->epoch, c->origin, &marks);
            if (st != STATUS_OK) {
                return st;
            }
        }
        last = c;
        enum epoch_state state = epochs_judge(&marks, c->leaf);
        c->late = state == EPOCH_LATE;
        if (state == EPOCH_REFUSED && c->state == CANDIDATE_LIVE) {
            c->state = CANDIDATE_REFUSED;
            found->findings++;
        }
    }
    return STATUS_OK;
}

static enum status
find_leaves(struct lookup *l, struct store_txn *txn)
{
    struct charter_settings settings;
    charter_settings(l->place.charter, &settings);
    struct candidates found;
    enum status st =
        candidates_find(txn, l->place.network, l->patients, l->place.epoch_count,
                        quarter_at(l->question.at_s - (int64_t)settings.look_back_days * 86400),
                        quarter_at(l->question.at_s + AHEAD_S), &found);
    if (st != STATUS_OK) {
        return st;
    }
    st = judge_epochs(l, txn, &found);
    l->findings = found.findings;
    l->left_out = found.left_out;
    st = st == STATUS_OK ? take_leaves(l, txn, &found) : st;
    candidates_free(&found);
    return st;
}

enum status
lookup_open(const struct lookup_question *question, const struct lookup_place *place,
            struct store_txn *txn, struct lookup **out)
{
    *out = NULL;
    if (place->epoch_count == 0) {
        return STATUS_UNAVAILABLE;
    }
    if (question->item_count == 0 || question->item_count > LOOKUP_ITEMS_MAX ||
        question->at_s < 0 || question->at_s > at_s_max) {
        return STATUS_MALFORMED;
    }
    struct lookup *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return STATUS_NO_MEMORY;
    }
    l->question = *question;
    l->place = *place;
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < question->item_count; i++) {
        st = item_number(l, question->items[i]) == 0 ? STATUS_NOT_FOUND : STATUS_OK;
    }
    for (size_t i = 0; st == STATUS_OK && i < place->epoch_count; i++) {
        st = token_patient_keys(&place->epochs[i], question->type, question->value,
                                &l->patients[i]);
    }
    if (st == STATUS_OK) {
        st = find_leaves(l, txn);
    }
    if (st == STATUS_OK) {
        st = note_heads(l, txn);
    }
    if (st == STATUS_OK) {
        *out = l;
        l = NULL;
    }
    lookup_free(l);
    return st;
}

void
lookup_free(struct lookup *l)
{
    if (l == NULL) {
        return;
    }
    for (size_t i = 0; i < l->leaf_count; i++) {
        struct lookup_leaf *leaf = &l->leaves[i];
        if (leaf->arena != NULL) {
            pb_free(leaf->arena);
            free(leaf->arena);
        }
        free(leaf->record);
        sodium_memzero(leaf->k, sizeof leaf->k);
    }
    for (size_t i = 0; i < l->result_count; i++) {
        for (size_t d = 0; d < l->results[i].decision_count; d++) {
            free(l->results[i].decisions[d].input);
            json_decref(l->results[i].decisions[d].json);
        }
        free(l->results[i].decisions);
    }
    free(l->results);
    free(l->leaves);
    sodium_memzero(l, sizeof *l);
    free(l);
}

/* Must this leaf's record be asked for? */
static bool
is_wanted(const struct lookup *l, const struct lookup_leaf *leaf)
{
    return leaf->state == LOOKUP_WANTED &&
           (leaf->record == NULL || (leaf->c.held && !leaf->released)) &&
           strcmp(leaf->c.institution, l->place.institution) != 0;
}

const char *
lookup_holder_next(const struct lookup *l, const char *after)
{
    const char *next = NULL;
    for (size_t i = 0; i < l->leaf_count; i++) {
        const char *name = l->leaves[i].c.institution;
        if (is_wanted(l, &l->leaves[i]) && (after == NULL || strcmp(name, after) > 0) &&
            (next == NULL || strcmp(name, next) < 0)) {
            next = name;
        }
    }
    return next;
}

size_t
lookup_wanted(const struct lookup *l, const char *institution, const struct lookup_leaf **out,
              size_t max)
{
    size_t count = 0;
    for (size_t i = l->leaf_count; i > 0 && count < max; i--) { /* the newest first */
        const struct lookup_leaf *leaf = &l->leaves[i - 1];
        if (is_wanted(l, leaf) && strcmp(leaf->c.institution, institution) == 0) {
            out[count++] = leaf;
        }
    }
    return count;
}

static struct lookup_leaf *
find_leaf(struct lookup *l, const char *institution, const char *origin, uint64_t index)
{
    for (size_t i = 0; i < l->leaf_count; i++) {
        struct lookup_leaf *leaf = &l->leaves[i];
        if (leaf->c.leaf == index && strcmp(leaf->c.origin, origin) == 0 &&
            strcmp(leaf->c.institution, institution) == 0 && is_wanted(l, leaf)) {
            return leaf;
        }
    }
    return NULL;
}

enum status
lookup_record(struct lookup *l, const char *institution, const char *origin, uint64_t leaf,
              struct view record, const uint8_t *key)
{
    struct lookup_leaf *wanted = find_leaf(l, institution, origin, leaf);
    if (wanted == NULL) {
        return STATUS_NOT_FOUND;
    }
    struct hash sealed;
    record_sealed(record, &sealed);
    if (!hash_equal(&sealed, &wanted->c.sealed)) {
        wanted->state = LOOKUP_UNREADABLE;
        l->findings++;
        return STATUS_BAD_PROOF;
    }
    if (wanted->c.held && key == NULL) {
        wanted->state = LOOKUP_HELD; /* sealed it is of no use */
        return STATUS_OK;
    }
    if (wanted->c.held) {
        memcpy(wanted->k, key, KEY_BYTES);
        wanted->released = true;
    }
    wanted->given = true;
    return keep_record(wanted, record);
}

void
lookup_without(struct lookup *l, const char *institution, const char *origin, uint64_t leaf,
               enum lookup_state why)
{
    struct lookup_leaf *wanted = find_leaf(l, institution, origin, leaf);
    if (wanted != NULL) {
        wanted->state = why;
    }
}

void
lookup_silent(struct lookup *l, const char *institution)
{
    for (size_t i = 0; i < l->leaf_count; i++) {
        if (is_wanted(l, &l->leaves[i]) &&
            strcmp(l->leaves[i].c.institution, institution) == 0) {
            l->leaves[i].state = LOOKUP_SILENT;
        }
    }
}

bool
lookup_complete(const struct lookup *l)
{
    return lookup_holder_next(l, NULL) == NULL;
}
