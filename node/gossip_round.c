/* Rounds: frontiers are compared, and what differs is followed up. */
#include <stdio.h>
#include <string.h>

#include "node/gossip_state.h"
#include "proto/frame.h"
#include "proto/pbcheck.h"
#include "proto/wire.pb-c.h"

enum { LINES_PER_FRAME_BYTES = 48 * 1024, LINES_PER_FRAME = 1024 };

static void
add_line(struct step *s, struct frontier *f, const struct frontier_line *line)
{
    enum status st = frontier_add(f, line);
    step_fail(s, st == STATUS_TOO_BIG ? STATUS_OK : st);
}

/* May this institution hold what `log` says?  Exchange logs are for auditors. */
static bool
may_hold(const struct gossip *g, const char *institution, const struct glog *log)
{
    if (log->parts.log == ORIGIN_PUB || strcmp(institution, log->parts.institution) == 0) {
        return true;
    }
    if (strcmp(institution, g->institution) == 0) {
        return g->auditor;
    }
    const struct gossip_member *m = member_find(g, institution);
    return m != NULL && m->auditor && !m->left;
}

static void
add_log(struct step *s, struct frontier *f, const struct glog *log)
{
    struct frontier_line line = {.name = view_of_text(log->origin)};
    if (log->has_head && log->head_size > 0) {
        line.what = FRONTIER_LOG;
        line.number = log->head_size;
        line.hash = log->head_root;
        add_line(s, f, &line);
    }
    if (log->has_offered) {
        line.what = FRONTIER_COSIGNED;
        line.number = log->offered_size;
        line.cosigned = log->offered_set;
        add_line(s, f, &line);
    }
}

static void
add_document(struct step *s, struct frontier *f, const char *kind, const struct gdocument *d)
{
    char name[32];
    struct frontier_line line = {.what = FRONTIER_CHARTER,
                                 .name = view_of_text(kind),
                                 .number = d->version,
                                 .hash = d->hash};
    if (d->version == 0) {
        return;
    }
    add_line(s, f, &line);
    if (!hash_equal(&d->signers, &(struct hash){{0}})) {
        snprintf(name, sizeof name, "%s%s", kind, FRONTIER_SIGNED);
        line.name = view_of_text(name);
        line.hash = d->signers;
        add_line(s, f, &line);
    }
}

static void
frontier_fill(struct step *s, struct frontier *f, const char *with)
{
    static const char *const kinds[] = {"root", "members", "quality", "policy"};
    struct gossip *g = s->g;
    frontier_clear(f);
    for (size_t i = 0; i < g->log_count; i++) {
        const struct glog *log = g->logs[i];
        if (log->parts.log == ORIGIN_PUB ||
            (with != NULL && may_hold(g, with, log) && may_hold(g, g->institution, log))) {
            add_log(s, f, log);
        }
        if (log->fork_shown) { /* everybody is to know */
            struct frontier_line line = {.what = FRONTIER_FORK,
                                         .name = view_of_text(log->origin)};
            add_line(s, f, &line);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        add_document(s, f, kinds[i], &g->documents[i]);
    }
    frontier_seal(f);
}

/* The lines that both we and this peer hold when neither misses anything: else two
 * nodes that have everything would never find each other the same.  Where neither is
 * an auditor, that is the same for all peers, and kept; else made for the pair. */
static struct frontier *
frontier_with(struct step *s, const struct gpeer *p)
{
    struct gossip *g = s->g;
    if (g->frontier_dirty) {
        g->frontier_dirty = false;
        g->pair[0] = '\0';
        frontier_fill(s, &g->frontier, NULL);
    }
    const struct gossip_member *m = member_find(g, p->institution);
    if (!g->auditor && (m == NULL || !m->auditor || m->left)) {
        return &g->frontier;
    }
    if (strcmp(g->pair, p->institution) != 0) {
        memcpy(g->pair, p->institution, sizeof g->pair);
        frontier_fill(s, &g->pair_frontier, p->institution);
    }
    return &g->pair_frontier;
}

static void
ask(struct step *s, struct gpeer *p, enum greq_type type, uint32_t *wanted, size_t count)
{
    struct frontier *f = frontier_with(s, p);
    Hr__Frontier m;
    hr__frontier__init(&m);
    m.digest = (ProtobufCBinaryData){HASH_BYTES, f->digest.bytes};
    m.lines_count = (uint32_t)f->count;
    m.wanted = wanted;
    m.n_wanted = count;
    if (request_send(s, p, type, FRAME_FRONTIER, &m.base) != NULL) {
        p->frontier_asked = true;
    }
}

void
round_ask(struct step *s, struct gpeer *p)
{
    if (!p->frontier_asked) {
        ask(s, p, GREQ_FRONTIER, NULL, 0);
    }
}

void
round_tick(struct step *s)
{
    struct gossip *g = s->g;
    if (s->e->now_ms < g->next_round_ms) {
        return;
    }
    int64_t spread = g->tick_ms / 4; /* a round is never longer than the tick */
    g->next_round_ms =
        s->e->now_ms + g->tick_ms - spread + (int64_t)(step_random(s) % (uint64_t)(spread + 1));
    if (g->peer_count == 0) {
        return;
    }
    size_t first = (size_t)(step_random(s) % g->peer_count);
    round_ask(s, &g->peers[first]);
    if (g->peer_count > 1) {
        size_t skip = 1 + (size_t)(step_random(s) % (g->peer_count - 1));
        round_ask(s, &g->peers[(first + skip) % g->peer_count]);
    }
}

/* ---- being asked ------------------------------------------------------------------ */

static void
send_frontier(struct step *s, struct gpeer *p, bool last, const Hr__Frontier *m)
{
    size_t before = s->u->count;
    step_fail(s,
              gossip_update_send(s->u, p->session, s->e->request, FRAME_FRONTIER | FRAME_ANSWER,
                                 last, &m->base, (struct view){0}));
    if (s->u->count > before) {
        (void)peer_spend(s, p, GOSSIP_BUDGET_BYTES,
                         (int64_t)s->u->actions[before].message.count);
    }
}

/* All lines, or those of some buckets, in as many frames as it takes. */
static void
send_lines(struct step *s, struct gpeer *p, const struct frontier *f, const bool *wanted)
{
    char *lines[LINES_PER_FRAME];
    Hr__Frontier m;
    hr__frontier__init(&m);
    m.lines = lines;
    m.all = true;
    size_t bytes = 0;
    for (size_t i = 0; i < f->count && s->st == STATUS_OK; i++) {
        if (wanted != NULL && !wanted[f->bucket_of[i]]) {
            continue;
        }
        size_t n = strlen(f->lines[i]) + 4;
        if (m.n_lines == LINES_PER_FRAME || bytes + n > LINES_PER_FRAME_BYTES) {
            send_frontier(s, p, false, &m);
            m.n_lines = 0;
            bytes = 0;
        }
        lines[m.n_lines++] = f->lines[i];
        bytes += n;
    }
    send_frontier(s, p, true, &m);
}

void
round_answer_ask(struct step *s, struct gpeer *p)
{
    struct frontier *f = frontier_with(s, p);
    uint8_t memory[8192];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    Hr__Frontier out;
    hr__frontier__init(&out);
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__frontier__descriptor, s->e->message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__Frontier *q = (const Hr__Frontier *)m;
    if (st == STATUS_NO_MEMORY) {
        step_fail(s, st);
    } else if (st != STATUS_OK || q->digest.len != HASH_BYTES) {
        peer_strike(s, p->session, "a frontier that is malformed");
        send_frontier(s, p, true, &out);
    } else if (memcmp(q->digest.data, f->digest.bytes, HASH_BYTES) == 0) {
        out.same = true;
        send_frontier(s, p, true, &out);
    } else if (q->n_wanted > 0) {
        bool wanted[GOSSIP_BUCKETS] = {false};
        for (size_t i = 0; i < q->n_wanted; i++) {
            wanted[q->wanted[i] % GOSSIP_BUCKETS] = true;
        }
        (void)frontier_buckets(f);
        send_lines(s, p, f, wanted);
    } else if (f->count <= GOSSIP_LINES_WHOLE_MAX ||
               q->lines_count <= GOSSIP_LINES_WHOLE_MAX / 4) {
        /* Few lines; or the asker has next to nothing, so nearly all differ. */
        send_lines(s, p, f, NULL);
    } else {
        out.buckets.data = gossip_update_take(s->u, GOSSIP_BUCKETS * HASH_BYTES);
        out.buckets.len = GOSSIP_BUCKETS * HASH_BYTES;
        if (out.buckets.data == NULL) {
            step_fail(s, STATUS_NO_MEMORY);
        } else {
            memcpy(out.buckets.data, frontier_buckets(f), GOSSIP_BUCKETS * HASH_BYTES);
            send_frontier(s, p, true, &out);
        }
    }
    pb_free(&arena);
}

/* ---- what another one has ------------------------------------------------------------ */

/* Whether `line` of a log says something that we do not know.  A smaller head
 * is compared with our tree, so that a fork does not hide behind its size. */
static bool
log_line_is_news(struct step *s, struct glog *log, const struct frontier_line *line,
                 size_t *compared)
{
    if (log->frozen || line->number == 0) {
        return false;
    }
    if (log->own ? line->number > log->size
                 : (!log->has_head || line->number > log->head_size)) {
        bool wanted = log->wanted.count > 0 && line->number <= log->wanted_size;
        if (wanted && line->number == log->wanted_size &&
            !hash_equal(&line->hash, &log->wanted_root)) {
            return true;
        }
        return !wanted || log->own;
    }
    struct hash ours;
    if (log->has_head && line->number == log->head_size) {
        return !hash_equal(&line->hash, &log->head_root);
    }
    if (*compared >= GOSSIP_COMPARE_MAX) {
        return false;
    }
    ++*compared;
    return log_root_at(s, log, line->number, &ours) == STATUS_OK &&
           !hash_equal(&ours, &line->hash);
}

static void
follow_line(struct step *s, struct gpeer *p, const struct frontier_line *line, size_t *compared)
{
    struct gossip *g = s->g;
    if (line->what == FRONTIER_CHARTER) {
        charter_line(s, p, line);
        return;
    }
    struct glog *log =
        line->what == FRONTIER_FORK ? log_add(s, line->name) : log_find(g, line->name);
    if (line->what == FRONTIER_FORK) {
        if (log != NULL && !log->frozen && log->fork_theirs.count == 0) {
            head_queue(s, log, p->session); /* the answer holds the proof */
        }
        return;
    }
    if (log == NULL) {
        struct origin parts;
        if (line->what != FRONTIER_LOG || origin_parse(line->name, &parts) != STATUS_OK ||
            (parts.log != ORIGIN_PUB && !g->auditor &&
             strcmp(parts.institution, g->institution) != 0)) {
            return;
        }
        log = log_add(s, line->name);
    }
    if (log == NULL || (!log->own && log->parts.log != ORIGIN_PUB && !g->auditor)) {
        return;
    }
    if (line->what == FRONTIER_LOG) {
        if (log_line_is_news(s, log, line, compared)) {
            head_queue(s, log, p->session);
        } else {
            /* A claim that costs a request if it is not true. */
            log_source(log, p->session, line->number);
            log_pump(s, log);
        }
    } else if (!log->frozen && (!log->has_offered || line->number > log->offered_size ||
                                (line->number == log->offered_size &&
                                 (line->cosigned & ~log->offered_set) != 0))) {
        head_queue(s, log, p->session);
    }
}

static void
follow_buckets(struct step *s, struct gpeer *p, const Hr__Frontier *m)
{
    uint32_t wanted[GOSSIP_BUCKETS];
    size_t count = 0;
    const struct hash *ours = frontier_buckets(frontier_with(s, p));
    for (uint32_t b = 0; b < GOSSIP_BUCKETS; b++) {
        if (memcmp(ours[b].bytes, m->buckets.data + (size_t)b * HASH_BYTES, HASH_BYTES) != 0) {
            wanted[count++] = b;
        }
    }
    if (count > 0) {
        ask(s, p, GREQ_BUCKETS, wanted, count);
    }
}

static void
heard_whole(struct step *s, struct gpeer *p)
{
    struct gossip *g = s->g;
    p->frontier_heard = true;
    if (g->settled_ms != 0) {
        return;
    }
    /* For a witness after an unclean start: have most of the others been heard? */
    size_t others = 0, heard = 0;
    for (size_t i = 0; i < g->witnesses.witness_count; i++) {
        if (strcmp(g->witnesses.names[i], g->institution) != 0) {
            const struct gpeer *w = peer_of(g, g->witnesses.names[i]);
            others++;
            heard += w != NULL && w->frontier_heard;
        }
    }
    if (2 * heard > others) {
        g->settled_ms = s->e->now_ms + GOSSIP_WITNESS_SETTLE_MS;
    }
}

void
round_answered(struct step *s, struct gpeer *p, const struct greq *r)
{
    uint8_t memory[32 * 1024];
    struct pb_arena arena;
    ProtobufCMessage *m = NULL;
    size_t compared = 0;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__frontier__descriptor, s->e->message, MESSAGE_BYTES_MAX, &arena, &m);
    const Hr__Frontier *q = (const Hr__Frontier *)m;
    if (s->e->last) {
        p->frontier_asked = false;
    }
    if (st == STATUS_NO_MEMORY) {
        step_fail(s, st);
    } else if (st != STATUS_OK ||
               (q->buckets.len != 0 &&
                (q->buckets.len != GOSSIP_BUCKETS * HASH_BYTES || r->type == GREQ_BUCKETS))) {
        peer_strike(s, p->session, "a frontier that is malformed");
    } else if (q->buckets.len > 0) {
        follow_buckets(s, p, q);
    } else {
        for (size_t i = 0; i < q->n_lines && s->st == STATUS_OK; i++) {
            struct frontier_line line;
            if (frontier_read(view_of_text(q->lines[i]), &line) != STATUS_OK) {
                peer_strike(s, p->session, "a frontier line that is malformed");
                break;
            }
            follow_line(s, p, &line, &compared);
        }
        charter_pump(s); /* after all lines: members come before root in the alphabet */
        if (s->e->last && (q->same || q->all)) {
            heard_whole(s, p);
        }
    }
    pb_free(&arena);
}
