#include "node/epochs.h"

#include <string.h>

#include "crypto/checkpoint.h"
#include "node/logwalk.h"
#include "proto/bigend.h"
#include "proto/text.h"
#include "store/kv.h"

enum { MARK_BYTES = 16, NAME_BYTES_MAX = 4 + ORIGIN_CHARS_MAX };

bool
epochs_may_note(const struct epoch_copy *copy, int64_t at_s, int64_t up_s, int64_t now_s)
{
    if (now_s < at_s) {
        return false;
    }
    int64_t since_s = at_s > up_s ? at_s : up_s;
    return up_s <= at_s || (copy->cosigned_s >= since_s && copy->cosigned_size <= copy->size);
}

bool
epochs_note(struct epoch_marks *marks, const struct epoch_copy *copy, int64_t ended_s,
            int64_t up_s, int64_t now_s, int64_t seen_s)
{
    struct epoch_marks was = *marks;
    if (marks->ended == UINT64_MAX && epochs_may_note(copy, ended_s, up_s, now_s)) {
        marks->ended = copy->size;
    }
    if (marks->closed == UINT64_MAX && seen_s >= ended_s + EPOCH_LATE_S &&
        epochs_may_note(copy, ended_s + EPOCH_LATE_S, up_s, now_s)) {
        marks->closed = copy->size;
    }
    return was.ended != marks->ended || was.closed != marks->closed;
}

enum epoch_state
epochs_judge(const struct epoch_marks *marks, uint64_t leaf)
{
    return leaf >= marks->closed  ? EPOCH_REFUSED
           : leaf >= marks->ended ? EPOCH_LATE
                                  : EPOCH_IN_TIME;
}

static struct view
name_of(uint32_t epoch, const char *origin, uint8_t out[NAME_BYTES_MAX])
{
    size_t n = strlen(origin);
    n = n > ORIGIN_CHARS_MAX ? ORIGIN_CHARS_MAX : n;
    for (size_t i = 0; i < 4; i++) {
        out[i] = (uint8_t)(epoch >> (24 - 8 * i));
    }
    memcpy(out + 4, origin, n);
    return (struct view){out, 4 + n};
}

enum status
epochs_get(struct store_txn *txn, const char *network, uint32_t epoch, const char *origin,
           struct epoch_marks *out)
{
    uint8_t name[NAME_BYTES_MAX];
    struct view value;
    *out = (struct epoch_marks){UINT64_MAX, UINT64_MAX};
    enum status st = store_kv_get(txn, EPOCHS_SPACE, text_view(network),
                                  name_of(epoch, origin, name), &value);
    if (st == STATUS_OK && value.count == MARK_BYTES) {
        out->ended = get_be64(value.bytes);
        out->closed = get_be64(value.bytes + 8);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

enum status
epochs_put(struct store_txn *txn, const char *network, uint32_t epoch, const char *origin,
           const struct epoch_marks *marks)
{
    uint8_t name[NAME_BYTES_MAX], value[MARK_BYTES];
    put_be64(value, marks->ended);
    put_be64(value + 8, marks->closed);
    return store_kv_put(txn, EPOCHS_SPACE, text_view(network), name_of(epoch, origin, name),
                        (struct view){value, sizeof value});
}

/* What our copy of a log is known to be. */
static enum status
read_copy(struct store_txn *txn, const struct charter *c, const struct store_log *log,
          const struct origin *origin, int64_t now_s, struct epoch_copy *out)
{
    struct view bytes;
    struct note note;
    struct checkpoint head;
    *out = (struct epoch_copy){.size = log->size};
    enum status st = store_note_get(txn, log->id, STORE_NOTE_COSIGNED, &bytes);
    if (st == STATUS_OK && note_parse(bytes, &note) == STATUS_OK &&
        checkpoint_parse(note.text, &head) == STATUS_OK) {
        out->cosigned_size = head.size;
        (void)charter_cosigned(c, origin->institution, &note, now_s, NULL, &out->cosigned_s);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* One look at all logs. */
struct noting {
    struct store_txn *txn;
    const struct charter *c;
    int64_t up_s, now_s;
    int64_t seen_s; /* -1: not yet looked for */
    bool dry;
    size_t changed;
};

typedef enum status (*log_fn)(struct noting *n, const struct store_log *log,
                              const struct origin *origin);

/* Each pub log of the network. */
static enum status
each_log(struct noting *n, log_fn fn)
{
    char at[ORIGIN_CHARS_MAX + 1] = "";
    struct store_log log;
    struct origin o;
    enum status st;
    while ((st = logwalk_next(n->txn, charter_network(n->c), ORIGIN_PUB, at, &log, &o)) ==
           STATUS_OK) {
        if ((st = fn(n, &log, &o)) != STATUS_OK) {
            return st;
        }
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* The newest moment that two witnesses, or the only one, have dated. */
static enum status
see_log(struct noting *n, const struct store_log *log, const struct origin *origin)
{
    struct charter_witness witnesses[WITNESSES_MAX];
    struct view bytes;
    struct note note;
    int64_t oldest_s;
    enum status st = store_note_get(n->txn, log->id, STORE_NOTE_COSIGNED, &bytes);
    if (st == STATUS_OK && note_parse(bytes, &note) == STATUS_OK) {
        size_t of = charter_witnesses(n->c, origin->institution, n->now_s, witnesses);
        size_t by =
            charter_cosigned(n->c, origin->institution, &note, n->now_s, &oldest_s, NULL);
        n->seen_s =
            by > 0 && (by > 1 || of == 1) && oldest_s > n->seen_s ? oldest_s : n->seen_s;
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static enum status
see(struct noting *n)
{
    struct charter_witness witnesses[WITNESSES_MAX];
    if (n->seen_s >= 0) {
        return STATUS_OK;
    }
    n->seen_s = 0;
    if (charter_witnesses(n->c, NULL, n->now_s, witnesses) == 0) {
        n->seen_s = n->now_s; /* nobody to be asked */
        return STATUS_OK;
    }
    return each_log(n, see_log);
}

static enum status
note_log(struct noting *n, const struct store_log *log, const struct origin *origin)
{
    const Hr__NetworkEpoch *const *epochs;
    size_t count = charter_epochs(n->c, &epochs);
    struct epoch_copy copy;
    bool read = false;
    char name[ORIGIN_CHARS_MAX + 1] = "";
    memcpy(name, log->origin.bytes, log->origin.count);
    for (size_t i = 0; i < count; i++) {
        struct epoch_marks marks;
        int64_t ended_s = (int64_t)epochs[i]->ended;
        if (ended_s == 0 || n->now_s < ended_s) {
            continue;
        }
        enum status st =
            epochs_get(n->txn, charter_network(n->c), epochs[i]->epoch, name, &marks);
        bool closing = marks.closed == UINT64_MAX && n->now_s >= ended_s + EPOCH_LATE_S;
        if (st == STATUS_OK && marks.ended != UINT64_MAX && !closing) {
            continue; /* signatures are looked at only when something is due */
        }
        st = st == STATUS_OK && closing ? see(n) : st;
        if (st == STATUS_OK && !read) {
            st = read_copy(n->txn, n->c, log, origin, n->now_s, &copy);
            read = true;
        }
        if (st == STATUS_OK &&
            epochs_note(&marks, &copy, ended_s, n->up_s, n->now_s, n->seen_s)) {
            n->changed++;
            st = n->dry ? STATUS_OK
                        : epochs_put(n->txn, charter_network(n->c), epochs[i]->epoch, name,
                                     &marks);
        }
        if (st != STATUS_OK) {
            return st;
        }
    }
    return STATUS_OK;
}

enum status
epochs_note_all(struct store_txn *txn, const struct charter *c, int64_t up_s, int64_t now_s,
                bool dry, size_t *changed)
{
    struct noting n = {
        .txn = txn, .c = c, .up_s = up_s, .now_s = now_s, .seen_s = -1, .dry = dry};
    enum status st = each_log(&n, note_log);
    *changed = n.changed;
    return st;
}
