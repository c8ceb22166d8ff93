#include "node/witnessed.h"

#include <string.h>

#include "node/cosigned.h"
#include "proto/bigend.h"
#include "proto/text.h"
#include "store/kv.h"

enum { MARK_BYTES = 16 };

size_t
witnessed_wanted(const struct witnessed_policy *policy, size_t of)
{
    size_t wanted = policy->wanted == WITNESSED_MAJORITY ? of / 2 + 1 : policy->wanted;
    return wanted < of ? wanted : of;
}

bool
witnessed_note(struct witnessed_mark *mark, uint64_t enough, uint64_t size, int64_t now_s)
{
    struct witnessed_mark was = *mark;
    if (enough >= size) {
        *mark = (struct witnessed_mark){UINT64_MAX, 0};
    } else if (mark->from == UINT64_MAX || enough > mark->from) {
        /* The oldest that waits now came after what was cosigned: no sooner than that
         * was seen, so nothing is held against it for longer than it waits. */
        *mark = (struct witnessed_mark){enough, now_s};
    } else if (now_s < mark->since_s) {
        mark->since_s = now_s; /* the clock was ahead when it was noted */
    }
    return was.from != mark->from || was.since_s != mark->since_s;
}

enum witnessed_state
witnessed_judge(const struct witnessed_policy *policy, const struct witnessed_mark *mark,
                size_t by, size_t of, int64_t now_s)
{
    if (by >= witnessed_wanted(policy, of)) {
        return WITNESSED_ENOUGH;
    }
    int64_t waited_s =
        mark->from == UINT64_MAX || now_s < mark->since_s ? 0 : now_s - mark->since_s;
    return waited_s < policy->wait_s ? WITNESSED_WAITS : WITNESSED_TOO_FEW;
}

enum status
witnessed_get(struct store_txn *txn, const char *network, const char *origin,
              struct witnessed_mark *out)
{
    struct view value;
    *out = (struct witnessed_mark){UINT64_MAX, 0};
    enum status st =
        store_kv_get(txn, WITNESSED_SPACE, text_view(network), text_view(origin), &value);
    if (st == STATUS_OK && value.count == MARK_BYTES) {
        out->from = get_be64(value.bytes);
        out->since_s = (int64_t)get_be64(value.bytes + 8);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static enum status
put_mark(struct store_txn *txn, const char *network, const char *origin,
         const struct witnessed_mark *mark)
{
    uint8_t value[MARK_BYTES];
    if (mark->from == UINT64_MAX) {
        return store_kv_drop(txn, WITNESSED_SPACE, text_view(network), text_view(origin));
    }
    put_be64(value, mark->from);
    put_be64(value + 8, (uint64_t)mark->since_s);
    return store_kv_put(txn, WITNESSED_SPACE, text_view(network), text_view(origin),
                        (struct view){value, sizeof value});
}

/* How many entries stand under the head in this slot, if enough cosigned it. */
static enum status
cosigned_size(struct store_txn *txn, uint32_t log, enum store_note slot, size_t wanted,
              uint64_t *enough)
{
    struct view note;
    uint64_t size;
    enum status st = store_note_get(txn, log, slot, &note);
    if (st == STATUS_OK && cosigned_lines(note, &size) >= wanted && size > *enough) {
        *enough = size;
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static enum status
note_log(struct store_txn *txn, const char *network, const struct store_log *log,
         const char *origin, size_t wanted, int64_t now_s, bool dry, bool *changed)
{
    struct witnessed_mark mark;
    uint64_t enough = wanted == 0 ? log->size : 0;
    enum status st = witnessed_get(txn, network, origin, &mark);
    if (st == STATUS_OK) {
        st = cosigned_size(txn, log->id, STORE_NOTE_COSIGNED, wanted, &enough);
    }
    if (st == STATUS_OK) {
        st = cosigned_size(txn, log->id, STORE_NOTE_OFFERED, wanted, &enough);
    }
    *changed = st == STATUS_OK && witnessed_note(&mark, enough, log->size, now_s);
    return *changed && !dry ? put_mark(txn, network, origin, &mark) : st;
}

enum status
witnessed_note_all(struct store_txn *txn, const struct charter *c,
                   const struct witnessed_policy *policy, const char *institution,
                   int64_t now_s, bool dry, size_t *count)
{
    struct charter_witness witnesses[WITNESSES_MAX];
    char at[ORIGIN_CHARS_MAX + 1] = "";
    struct store_log log;
    struct origin o;
    enum status st;
    size_t all = charter_witnesses(c, NULL, now_s, witnesses);
    *count = 0;
    while ((st = logwalk_next(txn, charter_network(c), ORIGIN_PUB, at, &log, &o)) ==
           STATUS_OK) {
        bool changed = false;
        if (strcmp(o.institution, institution) == 0) {
            continue;
        }
        size_t of = all; /* never the log's own institution */
        for (size_t i = 0; i < all; i++) {
            of -= strcmp(witnesses[i].member->institution, o.institution) == 0;
        }
        st = note_log(txn, charter_network(c), &log, at, witnessed_wanted(policy, of), now_s,
                      dry, &changed);
        if (st != STATUS_OK) {
            return st;
        }
        *count += changed;
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}
