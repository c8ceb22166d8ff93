/* charter_diff_mean.c: what a change of the charter means for those it concerns. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "node/charter_diff_impl.h"
#include "node/charter_impl.h"

enum { WORDS_MAX = 640 };

__attribute__((format(printf, 5, 6))) static void
say(struct diff *d, const char *what, const char *row, bool alarm, const char *format, ...)
{
    char text[WORDS_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* A cut inside a character would be no text. */
    json_t *words = json_string(text);
    for (size_t n = strlen(text); words == NULL && n > 0; n--) {
        text[n - 1] = '\0';
        words = json_string(text);
    }
    json_array_append_new(d->meaning, json_pack("{s:s,s:s,s:o,s:b}", "what", what, "row", row,
                                                "text", words, "alarm", alarm));
}

/* ---- root ------------------------------------------------------------------- */

static bool
has_role(const Hr__RootRow *r, const char *role)
{
    for (size_t i = 0; r != NULL && i < r->n_roles; i++) {
        if (strcmp(r->roles[i], role) == 0) {
            return true;
        }
    }
    return false;
}

static void
mean_key(struct diff *d, const Hr__RootRow *a, const Hr__RootRow *b)
{
    const char *name = a != NULL ? a->name : b->name;
    bool other = a != NULL && b != NULL &&
                 (a->public_key.len != b->public_key.len ||
                  memcmp(a->public_key.data, b->public_key.data, a->public_key.len) != 0);
    if (other) {
        say(d, "key_added", name, false, "%s signs with another key from now on", name);
    }
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        const char *role = charter_kind_text((enum charter_kind)k);
        bool before = has_role(a, role), after = has_role(b, role);
        if (before != after) {
            say(d,
                a == NULL   ? "key_added"
                : b == NULL ? "key_removed"
                            : "roles",
                name, false, "%s %s %s", name, after ? "may sign" : "may no longer sign", role);
        }
    }
}

static void
mean_root(struct diff *d, const Hr__RootRow *a, const Hr__RootRow *b)
{
    const Hr__RootRow *r = b != NULL ? b : a;
    if (strncmp(r->name, "threshold/", 10) == 0) {
        uint32_t from = a == NULL ? 0 : a->threshold, to = b == NULL ? 0 : b->threshold;
        if (from != to) {
            say(d, "threshold", r->name, to < from,
                "%s needs %" PRIu32 " signatures instead of %" PRIu32, r->name + 10, to, from);
        }
    } else if (strncmp(r->name, "void/", 5) == 0) {
        size_t from = a == NULL ? 0 : a->n_hashes, to = b == NULL ? 0 : b->n_hashes;
        if (to > from) {
            say(d, "void", r->name, true,
                "%zu text%s of %s: void from now on, also where adopted, since keys were "
                "misused",
                to - from, to - from == 1 ? "" : "s", r->name + 5);
        } else if (to < from) {
            say(d, "void", r->name, false,
                "%zu texts of %s stand no more in the list of void ones; earlier roots still "
                "say so",
                from - to, r->name + 5);
        }
    } else if (strcmp(r->name, "previous") != 0) {
        mean_key(d, a, b);
    }
}

/* ---- members ------------------------------------------------------------------ */

static bool
same_listing(const Hr__Listing *a, const Hr__Listing *b)
{
    return strcmp(a->pack, b->pack) == 0 && strcmp(a->status, b->status) == 0 &&
           strcmp(a->from, b->from) == 0 && strcmp(a->to, b->to) == 0;
}

static bool
has_listing(const Hr__MemberRow *m, const Hr__Listing *l)
{
    for (size_t i = 0; m != NULL && i < m->n_listings; i++) {
        if (same_listing(m->listings[i], l)) {
            return true;
        }
    }
    return false;
}

static void
mean_listings(struct diff *d, const Hr__MemberRow *a, const Hr__MemberRow *b)
{
    const char *name = b->institution;
    for (size_t i = 0; i < b->n_listings; i++) {
        const Hr__Listing *l = b->listings[i];
        if (!has_listing(a, l)) {
            say(d, "listing", name, strcmp(l->status, "listed") != 0,
                "%s: %s in %s from %s%s%s", name, l->status, l->pack,
                l->from[0] != '\0' ? l->from : "ever", l->to[0] != '\0' ? " to " : "", l->to);
        }
    }
    for (size_t i = 0; a != NULL && i < a->n_listings; i++) {
        const Hr__Listing *l = a->listings[i];
        if (!has_listing(b, l)) {
            say(d, "listing", name, false, "%s: no more said: %s in %s from %s%s%s", name,
                l->status, l->pack, l->from[0] != '\0' ? l->from : "ever",
                l->to[0] != '\0' ? " to " : "", l->to);
        }
    }
}

/* The role as members have it. */
static void
mean_roles(struct diff *d, const Hr__MemberRow *a, const Hr__MemberRow *b)
{
    static const char *const roles[] = {"hospital", "witness", "auditor", "authority"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        bool before = a != NULL && charter_has_role(a, roles[i]);
        bool after = charter_has_role(b, roles[i]);
        if (a != NULL && before != after) {
            say(d, "roles", b->institution, false, "%s is %s %s", b->institution,
                after ? "from now on" : "no longer", roles[i]);
        }
    }
}

static void
mean_keys(struct diff *d, const Hr__MemberRow *a, const Hr__MemberRow *b)
{
    char when[CHARTER_TIME_CHARS];
    for (size_t i = 0; a != NULL && i < b->n_keys; i++) {
        const Hr__PublicKeys *k = b->keys[i], *old = NULL;
        for (size_t n = 0; n < a->n_keys; n++) {
            if (a->keys[n]->log.len == k->log.len &&
                memcmp(a->keys[n]->log.data, k->log.data, k->log.len) == 0) {
                old = a->keys[n];
            }
        }
        if (old == NULL) {
            charter_time_text((int64_t)k->from, when);
            say(d, "keys", b->institution, false, "%s has new keys from %s", b->institution,
                k->from == 0 ? "ever" : when);
        } else if (old->to != k->to) {
            charter_time_text((int64_t)k->to, when);
            say(d, "keys", b->institution, true, "%s: keys %s%s; what was logged before stays",
                b->institution, k->to == 0 ? "hold again" : "end at ", k->to == 0 ? "" : when);
        }
    }
}

static void
mean_epochs(struct diff *d, const Hr__MemberRow *a, const Hr__MemberRow *b)
{
    for (size_t i = 0; b != NULL && i < b->n_epochs; i++) {
        if (a == NULL || i >= a->n_epochs) {
            say(d, "epoch", "(network keys)", false,
                "epoch %" PRIu32 " of the network key begins", b->epochs[i]->epoch);
        } else if (a->epochs[i]->ended == 0 && b->epochs[i]->ended != 0) {
            char when[CHARTER_TIME_CHARS];
            charter_time_text((int64_t)b->epochs[i]->ended, when);
            say(d, "epoch", "(network keys)", false,
                "epoch %" PRIu32 " of the network key ends at %s", b->epochs[i]->epoch, when);
        }
    }
}

static void
mean_member(struct diff *d, const Hr__MemberRow *a, const Hr__MemberRow *b)
{
    if ((a != NULL ? a : b)->institution[0] == '\0') {
        mean_epochs(d, a, b);
        return;
    }
    if (b == NULL) {
        say(d, "removed", a->institution, true,
            "%s stands no more in the roster: its old results cannot be checked; a member that "
            "leaves keeps its row, with `left`",
            a->institution);
        return;
    }
    if (a == NULL) {
        say(d, "joined", b->institution, false, "%s (%s) joins", b->institution, b->name);
    } else if (a->left[0] == '\0' && b->left[0] != '\0') {
        say(d, "left", b->institution, true,
            "%s leaves on %s: no look-ups and no sessions from that day", b->institution,
            b->left);
    } else if (a->left[0] != '\0' && b->left[0] == '\0') {
        say(d, "returned", b->institution, false, "%s is a member again", b->institution);
    }
    mean_roles(d, a, b);
    mean_keys(d, a, b);
    mean_listings(d, a, b);
}

/* ---- quality -------------------------------------------------------------------- */

static bool
has_round(const Hr__QualityRow *q, const Hr__Round *r)
{
    for (size_t i = 0; q != NULL && i < q->n_rounds; i++) {
        const Hr__Round *o = q->rounds[i];
        if (strcmp(o->organiser, r->organiser) == 0 && strcmp(o->date, r->date) == 0 &&
            o->passed == r->passed) {
            return true;
        }
    }
    return false;
}

static void
mean_rounds(struct diff *d, const char *name, const Hr__QualityRow *a, const Hr__QualityRow *b)
{
    char issued[CHARTER_DATE_CHARS];
    charter_date(d->a->head.issued_at_s, issued);
    for (size_t i = 0; b != NULL && i < b->n_rounds; i++) {
        const Hr__Round *r = b->rounds[i];
        bool past = strcmp(r->date, issued) <= 0;
        if (has_round(a, r)) {
            continue;
        }
        if (!r->passed && past) {
            say(d, "retroactive", name, true,
                "%s FAILED the %s round of %s, before version %" PRIu64
                " was issued: recognitions since then leaned on it; huren charter impact lists "
                "them",
                name, r->organiser, r->date, d->a->head.version);
        } else {
            say(d, r->passed ? "round_passed" : "round_failed", name, !r->passed,
                "%s %s the %s round of %s", name, r->passed ? "passed" : "FAILED", r->organiser,
                r->date);
        }
    }
    for (size_t i = 0; a != NULL && b != NULL && i < a->n_rounds; i++) {
        if (!has_round(b, a->rounds[i])) {
            say(d, "round_removed", name, a->rounds[i]->passed,
                "%s: the %s round of %s (%s) stands no more", name, a->rounds[i]->organiser,
                a->rounds[i]->date, a->rounds[i]->passed ? "passed" : "failed");
        }
    }
}

static void
mean_halves(struct diff *d, const char *name, const Hr__QualityRow *a, const Hr__QualityRow *b)
{
    for (size_t i = 0; b != NULL && i < b->n_institution_halves; i++) {
        const Hr__HalfYear *h = b->institution_halves[i];
        bool there = false;
        for (size_t k = 0; a != NULL && k < a->n_institution_halves; k++) {
            there = there || (strcmp(a->institution_halves[k]->half, h->half) == 0 &&
                              a->institution_halves[k]->passed == h->passed);
        }
        if (!there) {
            say(d, "half", name, !h->passed, "%s %s the evaluation of %s", name,
                h->passed ? "passed" : "FAILED", h->half);
        }
    }
}

static void
mean_quality(struct diff *d, const char *name, const Hr__QualityRow *a, const Hr__QualityRow *b)
{
    if (b == NULL) {
        say(d, "removed", name, true, "nothing is known of %s any more: it counts as unknown",
            name);
        return;
    }
    mean_rounds(d, name, a, b);
    mean_halves(d, name, a, b);
    uint32_t before = a == NULL ? 0 : a->inspection_failed_year;
    if (b->inspection_failed_year != before && b->inspection_failed_year != 0) {
        say(d, "inspection", name, true, "%s failed its inspection in %" PRIu32, name,
            b->inspection_failed_year);
    } else if (b->inspection_failed_year != before) {
        say(d, "inspection", name, false,
            "%s: the failed inspection of %" PRIu32 " stands no more", name, before);
    }
}

/* ---- policy ---------------------------------------------------------------------- */

static void
mean_policy(struct diff *d, const char *name, const Hr__PolicyRow *a, const Hr__PolicyRow *b)
{
    const char *from = b == NULL ? "" : b->in_force_from, *to = b == NULL ? "" : b->in_force_to;
    if ((a != NULL ? a : b)->pack[0] == '\0') {
        say(d, "settings", name, false, "the settings of the network change; see its row");
        return;
    }
    if (a == NULL) {
        say(d, "pack_starts", name, false, "pack %s is in force from %s%s%s", name,
            from[0] != '\0' ? from : "ever", to[0] != '\0' ? " to " : "", to);
        return;
    }
    if (b == NULL) {
        say(d, "pack_ends", name, true,
            "pack %s ends as soon as this version is adopted: its row is gone", name);
        return;
    }
    if (a->hash.len != b->hash.len || memcmp(a->hash.data, b->hash.data, a->hash.len) != 0) {
        say(d, "pack_changed", name, true, "pack %s has other rules under the same name", name);
    }
    if (strcmp(a->in_force_from, from) != 0) {
        say(d, "pack_starts", name, false, "pack %s is in force from %s instead of %s", name,
            from[0] != '\0' ? from : "ever",
            a->in_force_from[0] != '\0' ? a->in_force_from : "ever");
    }
    if (strcmp(a->in_force_to, to) != 0) {
        say(d, "pack_ends", name, false, "pack %s ends %s%s (before: %s)", name,
            to[0] != '\0' ? "after " : "no more", to,
            a->in_force_to[0] != '\0' ? a->in_force_to : "open");
    }
}

/* ---------------------------------------------------------------------------------- */

void
charter_diff_mean(struct diff *d, const char *name, const ProtobufCMessage *a,
                  const ProtobufCMessage *b)
{
    switch (d->b->head.kind) {
    case CHARTER_ROOT:
        mean_root(d, (const Hr__RootRow *)a, (const Hr__RootRow *)b);
        break;
    case CHARTER_MEMBERS:
        mean_member(d, (const Hr__MemberRow *)a, (const Hr__MemberRow *)b);
        break;
    case CHARTER_QUALITY:
        mean_quality(d, name, (const Hr__QualityRow *)a, (const Hr__QualityRow *)b);
        break;
    case CHARTER_POLICY:
        mean_policy(d, name, (const Hr__PolicyRow *)a, (const Hr__PolicyRow *)b);
        break;
    case CHARTER_KIND_COUNT:
        break;
    }
}

enum status
charter_diff_mean_whole(struct diff *d)
{
    const struct charter_head *a = &d->a->head, *b = &d->b->head;
    char stale[CHARTER_TIME_CHARS];
    bool follows = true;
    if (hash_equal(&a->hash, &b->hash)) {
        return STATUS_OK;
    }
    enum status st =
        a->kind == CHARTER_ROOT ? charter_root_follows(d->b, &a->hash, &follows) : STATUS_OK;
    if (st != STATUS_OK) {
        return st;
    }
    if (a->version == b->version) {
        say(d, "chain", "", true,
            "two texts of one version: if both are signed, somebody misuses keys; keep both "
            "files");
    } else if (a->version > b->version) {
        say(d, "chain", "", false, "the first is the newer one; this is the way back");
    } else if (a->kind == CHARTER_ROOT && b->version == a->version + 1 && !follows) {
        say(d, "chain", "", true,
            "root %" PRIu64 " names another root %" PRIu64 " as the one before it", b->version,
            a->version);
    }
    charter_time_text(b->stale_after_s, stale);
    say(d, "stale", "", false, "version %" PRIu64 " holds until %s", b->version, stale);
    return STATUS_OK;
}
