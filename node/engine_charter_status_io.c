/* engine_charter_status_io.c: what about the charter needs somebody's attention. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "node/charter_evidence_io.h"
#include "node/engine.h"
#include "node/origin.h"
#include "proto/text.h"

enum {
    CLOCK_LOGS_MAX = 16,        /* heads looked at in one check ... */
    CLOCK_CHECK_MS = 10 * 1000, /* ... which is repeated this often */
    CLOCK_SLACK_S = 60,         /* clocks of honest members differ so much */
    ALARM_CHARS = 400,
    FAR_S = 1 << 30
};

/* ---- the clock ------------------------------------------------------------------------ */

/* Whether witnesses cosigned this head at a time that has not come here: two of them, or
 * the only one, so that one liar does not put everybody's clock in doubt. */
static bool
head_is_ahead(const struct network *n, const char *institution, struct view bytes,
              int64_t now_s)
{
    struct charter_witness witnesses[WITNESSES_MAX];
    struct note note;
    if (note_parse(bytes, &note) != STATUS_OK) {
        return false;
    }
    size_t all = charter_cosigned(n->charter, institution, &note, now_s + FAR_S, NULL, NULL);
    size_t come = charter_cosigned(n->charter, institution, &note,
                                   now_s + CLOCK_SLACK_S - CHARTER_SKEW_S_MAX, NULL, NULL);
    size_t of = charter_witnesses(n->charter, institution, now_s, witnesses);
    return all - come >= (of < 2 ? 1 : 2);
}

static bool
cosigned_ahead(struct network *n, int64_t now_s)
{
    struct store_txn *txn = NULL;
    bool ahead = false;
    if (store_begin_read(n->engine->store, &txn) != STATUS_OK) {
        return false;
    }
    size_t logs = gossip_log_count(n->gossip);
    for (size_t i = 0; i < logs && i < CLOCK_LOGS_MAX && !ahead; i++) {
        struct gossip_log_state s;
        struct store_log log;
        struct origin origin;
        struct view bytes;
        gossip_log_get(n->gossip, (n->clock_next + i) % logs, &s);
        if (origin_parse(text_view(s.origin), &origin) == STATUS_OK &&
            store_log_find(txn, text_view(s.origin), &log) == STATUS_OK &&
            store_note_get(txn, log.id, STORE_NOTE_COSIGNED, &bytes) == STATUS_OK) {
            ahead = head_is_ahead(n, origin.institution, bytes, now_s);
        }
    }
    n->clock_next += logs <= CLOCK_LOGS_MAX || ahead ? 0 : CLOCK_LOGS_MAX;
    store_abort(txn);
    return ahead;
}

bool
engine_clock_wrong(struct network *n)
{
    int64_t now_s = engine_now_ms() / 1000, now_ms = net_time_ms();
    if (n->charter == NULL) {
        return false;
    }
    if (n->gossip != NULL &&
        (n->clock_checked_ms == 0 || now_ms - n->clock_checked_ms >= CLOCK_CHECK_MS)) {
        n->clock_checked_ms = now_ms;
        n->clock_ahead = cosigned_ahead(n, now_s);
    }
    return n->clock_ahead || now_s < charter_newest_issued_s(n->charter);
}

/* ---- alarms ----------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void
alarm_say(json_t *list, const char *format, ...)
{
    char text[ALARM_CHARS];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(list, json_string(text));
}

static void
stale_alarms(const struct network *n, int64_t now_s, json_t *list)
{
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        const struct charter_document *d = charter_document(n->charter, (enum charter_kind)k);
        char when[CHARTER_TIME_CHARS];
        if (d == NULL || d->head.stale_after_s >= now_s) {
            continue;
        }
        charter_time_text(d->head.stale_after_s, when);
        alarm_say(list,
                  "%s %" PRIu64 " is past its stale_after (%s): %s; ask the authority for a "
                  "newer one, and whether somebody holds it back",
                  charter_kind_text(d->head.kind), d->head.version, when,
                  k == CHARTER_ROOT ? "keys may have been replaced since"
                                    : "its facts count as unknown in every decision");
    }
}

void
engine_charter_status(struct network *n, json_t *o)
{
    json_t *alarms = json_array();
    struct charter_evidence_counts refused = {0};
    struct store_txn *txn = NULL;
    int64_t now_s = engine_now_ms() / 1000;
    bool wrong = engine_clock_wrong(n);
    if (store_begin_read(n->engine->store, &txn) == STATUS_OK) {
        if (charter_evidence_count(txn, n->name, &refused) != STATUS_OK) {
            alarm_say(alarms,
                      "refused charter documents cannot be read; run huren audit verify");
        }
        store_abort(txn);
    }
    if (n->charter != NULL) {
        stale_alarms(n, now_s, alarms);
    }
    if (wrong) {
        alarm_say(alarms,
                  "this machine's clock is earlier than a charter document or a cosignature in "
                  "hand: set it right; until then every decision says so");
    }
    if (refused.of[CHARTER_EVIDENCE_AGAINST] > 0) {
        alarm_say(alarms,
                  "%zu charter document%s the one in hand with enough signatures: "
                  "keys are misused; huren charter refused shows it",
                  refused.of[CHARTER_EVIDENCE_AGAINST],
                  refused.of[CHARTER_EVIDENCE_AGAINST] == 1 ? " contradicts" : "s contradict");
    }
    if (n->impact.known && n->impact.count > 0) {
        alarm_say(alarms,
                  "%" PRIu64 " recorded decisions leaned on quality facts that hold no more "
                  "(quality %" PRIu64 "), %" PRIu64
                  " of them recognized; huren charter impact lists them",
                  n->impact.count, n->impact.version, n->impact.recognized);
    }
    json_object_set_new(o, "clock_wrong", json_boolean(wrong));
    json_object_set_new(
        o, "refused",
        json_pack("{s:I,s:I,s:I}", "noise", (json_int_t)refused.of[CHARTER_EVIDENCE_NOISE],
                  "signed", (json_int_t)refused.of[CHARTER_EVIDENCE_SIGNED], "contradictions",
                  (json_int_t)refused.of[CHARTER_EVIDENCE_AGAINST]));
    json_object_set_new(o, "impact", engine_impact_json(n));
    json_object_set_new(o, "alarms", alarms);
}
