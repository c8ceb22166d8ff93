/* engine_status_io.c: what `status` and `log` show, asked of the owner. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/decision_input.h"
#include "node/engine.h"
#include "node/engine_recall.h"
#include "node/linked.h"
#include "proto/text.h"

static void
charter_json(const struct network *n, json_t *o)
{
    json_t *list = json_object();
    int64_t now_s = engine_now_ms() / 1000;
    for (enum charter_kind k = CHARTER_ROOT; k < CHARTER_KIND_COUNT && n->charter != NULL;
         k++) {
        const struct charter_document *d = charter_document(n->charter, k);
        if (d != NULL) {
            json_object_set_new(
                list, charter_kind_text(k),
                json_pack("{s:I,s:I,s:b,s:I,s:I}", "version", (json_int_t)d->head.version,
                          "age_s", (json_int_t)charter_age_s(n->charter, k, now_s), "stale",
                          charter_is_stale(n->charter, k, now_s), "stale_after",
                          (json_int_t)d->head.stale_after_s, "signed_under",
                          (json_int_t)charter_signed_under(n->charter, k)));
        }
    }
    json_object_set_new(o, "charter", list);
}

static json_t *
logs_json(const struct network *n)
{
    json_t *list = json_array();
    struct store_txn *txn;
    if (store_begin_read(n->engine->store, &txn) != STATUS_OK) {
        return list;
    }
    for (size_t i = 0; n->gossip != NULL && i < gossip_log_count(n->gossip); i++) {
        struct gossip_log_state s;
        gossip_log_get(n->gossip, i, &s);
        if (!s.own && s.size == 0 && strstr(s.origin, "/exch/") != NULL) {
            continue; /* audit trails of others are for auditors */
        }
        json_t *o =
            json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:b}", "origin", s.origin, "size",
                      (json_int_t)s.size, "head", (json_int_t)s.head_size, "known",
                      (json_int_t)s.wanted_size, "cosigned_size", (json_int_t)s.cosigned_size,
                      "cosigned_by", (json_int_t)s.cosigned_by, "own", s.own, "frozen",
                      s.frozen, "linked", linked_log(n->charter, txn, text_view(s.origin)));
        struct witnessed_mark mark;
        if (witnessed_get(txn, n->name, s.origin, &mark) == STATUS_OK &&
            mark.from != UINT64_MAX) {
            char since[CHARTER_TIME_CHARS];
            charter_time_text(mark.since_s, since);
            json_object_set_new(o, "too_few_since", json_string(since));
        }
        json_array_append_new(list, o);
    }
    store_abort(txn);
    return list;
}

static json_t *
peers_json(struct network *n)
{
    json_t *list = json_array();
    for (size_t i = 0; n->gossip != NULL && i < gossip_peer_count(n->gossip); i++) {
        struct gossip_peer_state s;
        gossip_peer_get(n->gossip, i, &s);
        if (i > 0) { /* two sessions with one peer, each dialled by one side */
            struct gossip_peer_state before;
            bool twice = false;
            for (size_t k = 0; k < i; k++) {
                gossip_peer_get(n->gossip, k, &before);
                twice = twice || strcmp(before.institution, s.institution) == 0;
            }
            if (twice) {
                continue;
            }
        }
        json_array_append_new(
            list, json_pack("{s:s,s:I,s:I,s:I,s:I}", "institution", s.institution,
                            "outstanding", (json_int_t)s.outstanding, "strikes",
                            (json_int_t)s.strikes, "silent", (json_int_t)s.silent,
                            "receipts_due", (json_int_t)engine_receipts_due(n, s.institution)));
    }
    return list;
}

/* Members whose look-ups are refused because they asked too much. */
static json_t *
refused_json(const struct network *n)
{
    json_t *list = json_array();
    size_t count =
        n->gossip == NULL || n->charter == NULL ? 0 : charter_member_count(n->charter);
    for (size_t i = 0; i < count; i++) {
        const char *institution = charter_member_at(n->charter, i)->institution;
        uint64_t refused = gossip_entries_refused(n->gossip, institution);
        if (refused > 0) {
            json_array_append_new(list, json_pack("{s:s,s:I}", "institution", institution,
                                                  "lookups", (json_int_t)refused));
        }
    }
    return list;
}

/* The word for programs; signgate_text has the sentence for people. */
static const char *
gate_word(enum signgate_state state)
{
    switch (state) {
    case SIGNGATE_OPEN:
        return "open";
    case SIGNGATE_WAITING:
        return "waiting";
    case SIGNGATE_HELD:
        return "held";
    case SIGNGATE_ROLLBACK:
        return "rollback";
    case SIGNGATE_LOST:
        return "lost";
    case SIGNGATE_TWIN:
        return "twin";
    }
    return "waiting";
}

static json_t *
gate_json(const struct network *n, const char *origin)
{
    enum signgate_state state = signgate_state(gossip_gate(n->gossip), origin);
    return json_pack("{s:s,s:s}", "state", gate_word(state), "text", signgate_text(state));
}

static json_t *
network_json(struct network *n)
{
    json_t *o = json_object();
    json_object_set_new(o, "network", json_string(n->name));
    json_object_set_new(o, "pub", json_string(n->pub.origin));
    json_object_set_new(o, "exch", json_string(n->exch.origin));
    if (n->gossip != NULL) {
        json_object_set_new(o, "signing",
                            json_pack("{s:o,s:o}", "pub", gate_json(n, n->pub.origin), "exch",
                                      gate_json(n, n->exch.origin)));
    }
    const Hr__MemberRow *m =
        n->charter == NULL ? NULL : charter_member(n->charter, n->engine->institution);
    json_object_set_new(o, "member", json_boolean(m != NULL));
    json_object_set_new(o, "network_keys", json_integer((json_int_t)n->epoch_count));
    charter_json(n, o);
    engine_charter_status(n, o);
    json_object_set_new(o, "packs", engine_packs_json(n));
    json_object_set_new(o, "recalls", engine_recall_json(n));
    json_object_set_new(o, "logs", logs_json(n));
    json_object_set_new(o, "forks", engine_forks_json(n));
    json_object_set_new(o, "peers", peers_json(n));
    json_object_set_new(o, "asked_too_much", refused_json(n));
    return o;
}

/* What went over the wire since the start. */
static json_t *
wire_json(const struct engine *e)
{
    struct net_stats s;
    net_stats(e->net, &s);
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "sessions",
                     (json_int_t)s.sessions, "opening", (json_int_t)s.opening, "accepted",
                     (json_int_t)s.accepted, "evicted", (json_int_t)s.evicted, "refused",
                     (json_int_t)s.refused, "failed", (json_int_t)s.failed, "accept_errors",
                     (json_int_t)s.accept_errors, "frames_in", (json_int_t)s.frames_in,
                     "frames_out", (json_int_t)s.frames_out, "bytes_in", (json_int_t)s.bytes_in,
                     "bytes_out", (json_int_t)s.bytes_out);
}

static json_t *
status_json(struct engine *e)
{
    json_t *o = json_object(), *space = engine_space_json(e);
    json_object_set_new(o, "institution", json_string(e->institution));
    json_object_set_new(o, "running", json_boolean(e->daemon));
    json_t *networks = json_array();
    for (size_t i = 0; i < e->network_count; i++) {
        json_array_append_new(networks, network_json(&e->networks[i]));
    }
    json_object_set_new(o, "networks", networks);
    json_object_set_new(o, "wire", wire_json(e));
    if (space != NULL) {
        json_object_set_new(o, "space", space);
    }
    return o;
}

static void
print_recalls(struct call_sink *sink, const json_t *r)
{
    json_int_t open = json_integer_value(json_object_get(r, "outstanding"));
    json_int_t overdue = json_integer_value(json_object_get(r, "overdue"));
    json_int_t heard = json_integer_value(json_object_get(r, "heard"));
    if (open > 0) {
        engine_text(sink, false,
                    "  recalls of ours: %" JSON_INTEGER_FORMAT
                    " not acknowledged yet, %" JSON_INTEGER_FORMAT " OVERDUE\n",
                    open, overdue);
    }
    if (heard > 0) {
        engine_text(sink, false,
                    "  RECALLED by their issuers: %" JSON_INTEGER_FORMAT
                    " results that were fetched or used here (huren recall list)\n",
                    heard);
    }
}

static void
print_network(struct call_sink *sink, json_t *n)
{
    json_t *charter = json_object_get(n, "charter");
    json_t *signing = json_object_get(n, "signing");
    const char *kind;
    json_t *d;
    engine_text(sink, false, "network %s%s\n", json_string_value(json_object_get(n, "network")),
                json_is_true(json_object_get(n, "member")) ? "" : " (not a member yet)");
    json_int_t root = json_integer_value(
        json_object_get(json_object_get(charter, charter_kind_text(CHARTER_ROOT)), "version"));
    json_object_foreach(charter, kind, d)
    {
        json_int_t under = json_integer_value(json_object_get(d, "signed_under"));
        char old[64] = "";
        if (under != root) { /* who joins now, or was away, cannot adopt it */
            snprintf(old, sizeof old, ", SIGNED under root %" JSON_INTEGER_FORMAT " only",
                     under);
        }
        engine_text(
            sink, false,
            "  charter %-8s version %" JSON_INTEGER_FORMAT ", issued %" JSON_INTEGER_FORMAT
            " s ago%s%s\n",
            kind, json_integer_value(json_object_get(d, "version")),
            json_integer_value(json_object_get(d, "age_s")),
            json_is_true(json_object_get(d, "stale")) ? ", STALE: facts count as unknown" : "",
            old);
    }
    if (json_object_size(charter) == 0) {
        engine_text(sink, false,
                    "  no charter yet: send HOME/join to the authority, then huren "
                    "charter adopt what it returns\n");
    }
    json_t *alarms = json_object_get(n, "alarms");
    for (size_t i = 0; i < json_array_size(alarms); i++) {
        engine_text(sink, false, "  ALARM: %s\n", json_string_value(json_array_get(alarms, i)));
    }
    json_t *packs = json_object_get(n, "packs");
    for (size_t i = 0; i < json_array_size(packs); i++) {
        json_t *p = json_array_get(packs, i);
        const char *state = json_string_value(json_object_get(p, "state"));
        if (strcmp(state, "held") != 0) {
            engine_text(sink, false, "  %s %s: %s: %s\n",
                        json_is_true(json_object_get(p, "annex")) ? "annex of" : "pack",
                        json_string_value(json_object_get(p, "pack")), state,
                        json_string_value(json_object_get(p, "reason")));
        }
    }
    engine_text(sink, false, "  signing: pub %s; exch %s\n",
                json_string_value(json_object_get(json_object_get(signing, "pub"), "text")),
                json_string_value(json_object_get(json_object_get(signing, "exch"), "text")));
    print_recalls(sink, json_object_get(n, "recalls"));
    json_t *list = json_object_get(n, "logs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *l = json_array_get(list, i);
        json_int_t size = json_integer_value(json_object_get(l, "size"));
        json_int_t known = json_integer_value(json_object_get(l, "known"));
        engine_text(sink, false, "  log %s: %" JSON_INTEGER_FORMAT " entries%s",
                    json_string_value(json_object_get(l, "origin")), size,
                    json_is_true(json_object_get(l, "own")) ? " (ours)" : "");
        if (known > size) {
            engine_text(sink, false, ", behind by %" JSON_INTEGER_FORMAT, known - size);
        }
        if (!json_is_true(json_object_get(l, "linked"))) {
            engine_text(sink, false, ", UNLINKED: the members document does not name it yet");
        }
        engine_text(
            sink, false, ", %" JSON_INTEGER_FORMAT " witnesses at %" JSON_INTEGER_FORMAT "%s\n",
            json_integer_value(json_object_get(l, "cosigned_by")),
            json_integer_value(json_object_get(l, "cosigned_size")),
            json_is_true(json_object_get(l, "frozen")) ? ", FROZEN: a fork is known" : "");
        if (json_is_string(json_object_get(l, "too_few_since"))) {
            engine_text(sink, false,
                        "    fewer witnesses than this hospital wants, for entries since %s\n",
                        json_string_value(json_object_get(l, "too_few_since")));
        }
    }
    list = json_object_get(n, "forks");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *f = json_array_get(list, i);
        const char *origin = json_string_value(json_object_get(f, "origin"));
        engine_text(sink, false,
                    "  FORK of %s: two signed heads contradict each other; only its first "
                    "%" JSON_INTEGER_FORMAT " entries count%s%s%s\n",
                    origin, json_integer_value(json_object_get(f, "serves")),
                    json_is_true(json_object_get(f, "proven")) ? "; huren log fork " : "",
                    json_is_true(json_object_get(f, "proven")) ? origin : "",
                    json_is_true(json_object_get(f, "proven")) ? " FILE writes the proof" : "");
    }
    list = json_object_get(n, "asked_too_much");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *m = json_array_get(list, i);
        engine_text(sink, false,
                    "  %s asks too much (member_entries_day): %" JSON_INTEGER_FORMAT
                    " look-ups refused\n",
                    json_string_value(json_object_get(m, "institution")),
                    json_integer_value(json_object_get(m, "lookups")));
    }
    list = json_object_get(n, "peers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *p = json_array_get(list, i);
        engine_text(sink, false, "  peer %s connected%s\n",
                    json_string_value(json_object_get(p, "institution")),
                    json_integer_value(json_object_get(p, "receipts_due")) > 0
                        ? ", owes receipts"
                        : "");
    }
}

void
engine_status_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    json_t *o = status_json(e);
    if (json_is_true(json_object_get(call->args, "json"))) {
        engine_json(sink, o);
    } else {
        json_t *networks = json_object_get(o, "networks");
        engine_text(sink, false, "%s, %s\n", e->institution,
                    e->daemon ? "daemon running" : "no daemon running (huren serve starts it)");
        for (size_t i = 0; i < json_array_size(networks); i++) {
            print_network(sink, json_array_get(networks, i));
        }
        engine_space_print(sink, json_object_get(o, "space"));
    }
    json_decref(o);
    sink->done(sink->ctx, 0);
}
