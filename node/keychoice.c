#include "node/keychoice.h"

#include <assert.h>
#include <string.h>

/* The newest set of the row with these keys, or NULL. */
static const Hr__PublicKeys *
listed_as(const Hr__MemberRow *row, const struct network_public *p)
{
    for (size_t i = row == NULL ? 0 : row->n_keys; i-- > 0;) {
        const Hr__PublicKeys *k = row->keys[i];
        if (memcmp(k->log.data, p->log, KEY_BYTES) == 0 &&
            memcmp(k->session.data, p->session, KEY_BYTES) == 0) {
            return k;
        }
    }
    return NULL;
}

static bool
in_force(const Hr__PublicKeys *k, int64_t now_s)
{
    return (int64_t)k->from <= now_s && (k->to == 0 || now_s < (int64_t)k->to);
}

/* Do others still take this session key, or will they soon? */
static bool
may_be_called(const Hr__PublicKeys *k, int64_t now_s)
{
    return !k->revoked && (k->to == 0 || now_s - SESSION_KEY_OVERLAP_S < (int64_t)k->to);
}

void
keychoice_make(const Hr__MemberRow *row, const struct network_public *generations, size_t count,
               int64_t now_s, struct keychoice *out)
{
    assert(count > 0 && count <= KEYCHOICE_MAX);
    const Hr__PublicKeys *listed[KEYCHOICE_MAX];
    bool any = false;
    *out = (struct keychoice){.use = count - 1};
    for (size_t i = 0; i < count; i++) {
        listed[i] = listed_as(row, &generations[i]);
        if (listed[i] != NULL && in_force(listed[i], now_s)) {
            out->listed = true;
            out->use = i;
        } else if (listed[i] != NULL && !out->listed) {
            out->use = i;
        }
        any = any || listed[i] != NULL;
    }
    if (!any) {
        out->use = count - 1;
    }
    out->dial = out->use;
    out->pending =
        count > 0 && listed[count - 1] == NULL && out->use != count - 1 ? count - 1 : count;
    for (size_t i = count; i-- > 0;) { /* the newest first */
        const Hr__PublicKeys *k = listed[i];
        bool pending = k == NULL && i > out->use;
        if (i == out->use || !(pending || (k != NULL && may_be_called(k, now_s)))) {
            continue;
        }
        out->answer[out->answer_count++] = i;
        if (out->listed && out->dial == out->use && k != NULL && k->to != 0 &&
            (int64_t)k->to <= now_s && now_s - SESSION_KEY_OVERLAP_S / 2 < (int64_t)k->to) {
            out->dial = i;
        }
    }
}
