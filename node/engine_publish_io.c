/* engine_publish_io.c: normalised reports from a command into our log.
 *
 * Call "publish": a blob for each report (hr.Report, packed), args
 * {network?, reports: [{withdraw}]}.  The answer is one line of JSON for
 * each report, in order, after the commit that holds it. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine.h"
#include "node/marks.h"
#include "node/publisher.h"
#include "proto/pbcheck.h"
#include "proto/report.h"

enum { REPORT_ARENA_BYTES = 4 * 1024 * 1024 };

struct publish_run {
    struct job job;
    struct network *network;
    struct call call; /* blobs and args stay until done */
    struct call_sink *sink;
    struct publish_plan *plans;
    enum status *statuses;
    uint64_t appended;
};

static const char *
outcome_text(enum status st, const struct publish_plan *plan)
{
    if (st != STATUS_OK) {
        return "refused";
    }
    switch (plan->outcome) {
    case PUBLISH_STEPS:
        break;
    case PUBLISH_REPEAT:
        return "repeat";
    case PUBLISH_STALE:
        return "stale";
    case PUBLISH_NO_IDENTIFIER:
        return "no_identifier";
    case PUBLISH_NO_TIME:
        return "no_time";
    case PUBLISH_NOTHING:
        return "nothing";
    }
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->steps[i].what == PUBLISH_CORRECT) {
            return "corrected";
        }
    }
    return plan->steps[plan->count - 1].what == PUBLISH_WITHDRAW ? "withdrawn" : "published";
}

/* Unpack, derive marks, publish one report. */
static enum status
publish_one(struct publish_run *run, struct publisher *p, size_t i, bool *fatal)
{
    struct network *n = run->network;
    struct pb_arena arena;
    ProtobufCMessage *m;
    uint8_t memory[PB_ARENA_BYTES];
    uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES];
    struct report_arena *marks = report_arena_new(REPORT_ARENA_BYTES);
    json_t *meta = json_array_get(json_object_get(run->call.args, "reports"), i);
    uint32_t withdraw = (uint32_t)json_integer_value(json_object_get(meta, "withdraw"));
    *fatal = false;
    if (marks == NULL) {
        return STATUS_NO_MEMORY;
    }
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        pb_unpack(&hr__report__descriptor, run->call.blobs[i], REPORT_BYTES_MAX, &arena, &m);
    if (st == STATUS_OK) {
        Hr__Report *report = (Hr__Report *)m;
        report->institution = n->engine->institution;
        report->n_marks = 0;
        for (size_t k = 0; k < report->n_items; k++) {
            report->items[k]->n_marks = 0; /* derived, never typed */
        }
        if (n->charter != NULL && withdraw == 0) {
            st = marks_derive(n->charter, n->engine->policy, n->engine->institution,
                              engine_now_ms() / 1000, marks, report);
        }
        randombytes_buf(random, sizeof random);
        if (st == STATUS_OK) {
            st = publisher_add(p, report, withdraw, (const uint8_t(*)[KEY_BYTES])random,
                               &run->plans[i], fatal);
        }
        sodium_memzero(random, sizeof random);
    }
    pb_free(&arena);
    report_arena_free(marks);
    return st;
}

static enum status
write_reports(struct store_txn *txn, void *ctx)
{
    struct publish_run *run = ctx;
    struct publisher *p;
    if (run->network->publish.network_key == NULL) {
        return STATUS_UNAVAILABLE; /* the charter changed since the call came */
    }
    enum status st = engine_publisher(run->network, txn, &p);
    uint64_t before = st == STATUS_OK ? p->appended : 0;
    for (size_t i = 0; st == STATUS_OK && i < run->call.blob_count; i++) {
        bool fatal;
        run->statuses[i] = publish_one(run, p, i, &fatal);
        /* A report that the machine has no memory for is not one that a rule keeps out. */
        st = fatal || run->statuses[i] == STATUS_NO_MEMORY ? run->statuses[i] : STATUS_OK;
    }
    run->appended = st == STATUS_OK ? p->appended - before : 0;
    return st;
}

static void
publish_done(void *ctx, enum status st)
{
    struct publish_run *run = ctx;
    struct call_sink *sink = run->sink;
    if (st != STATUS_OK) {
        char why[ENGINE_ROOM_CHARS];
        engine_text(sink, true, "huren: import: nothing of this part was stored: %s%s\n",
                    engine_why(run->network->engine, st, why),
                    st == STATUS_NO_SPACE ? ", then import the file again"
                                          : "; import the file again");
    }
    for (size_t i = 0; st == STATUS_OK && i < run->call.blob_count; i++) {
        engine_text(sink, false, "{\"outcome\":\"%s\",\"reason\":\"%s\"}\n",
                    outcome_text(run->statuses[i], &run->plans[i]),
                    run->statuses[i] == STATUS_OK ? "" : status_text(run->statuses[i]));
    }
    if (st == STATUS_OK && run->appended > 0) {
        run->network->pub.dirty = true;
    }
    free(run->plans);
    free(run->statuses);
    free(run);
    sink->done(sink->ctx, st == STATUS_OK ? 0 : 2);
}

void
engine_publish_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    const char *name = json_string_value(json_object_get(call->args, "network"));
    struct network *n = engine_network(e, name);
    if (n == NULL) {
        engine_text(sink, true,
                    e->network_count == 0
                        ? "huren: import: this home is in no network; huren init "
                          "--network NET adds one\n"
                        : "huren: import: name the network with --network; huren "
                          "status lists them\n");
        sink->done(sink->ctx, 2);
        return;
    }
    if (n->publish.network_key == NULL) {
        engine_text(
            sink, true,
            n->epoch_count == 0
                ? "huren: import: %s has given this hospital no network key yet; send "
                  "HOME/join "
                  "to its authority, then huren charter adopt the files it returns\n"
                : "huren: import: the current network key of %s is not sealed to this "
                  "hospital: "
                  "it left, or its authority has to build members from the current HOME/join\n",
            n->name);
        sink->done(sink->ctx, 2);
        return;
    }
    enum signgate_state gate = signgate_state(gossip_gate(n->gossip), n->pub.origin);
    if (gate != SIGNGATE_OPEN && !gossip_gate(n->gossip)->options.clean) {
        /* Entries of ours may still come back from peers, at these very places. */
        engine_text(sink, true,
                    "huren: import: nothing is published yet: %s; the reports are safe in the "
                    "hospital's own system: import them again when huren status says signing\n",
                    signgate_text(gate));
        sink->done(sink->ctx, 2);
        return;
    }
    struct publish_run *run = calloc(1, sizeof *run);
    uint64_t bytes = 4096;
    for (size_t i = 0; i < call->blob_count; i++) {
        bytes += 2 * (call->blobs[i].count + 1024);
    }
    if (run != NULL) {
        run->plans = calloc(call->blob_count + 1, sizeof *run->plans);
        run->statuses = calloc(call->blob_count + 1, sizeof *run->statuses);
    }
    if (run == NULL || run->plans == NULL || run->statuses == NULL) {
        engine_text(sink, true, "huren: import: %s\n", status_text(STATUS_NO_MEMORY));
        sink->done(sink->ctx, 2);
        if (run != NULL) {
            free(run->plans);
            free(run->statuses);
        }
        free(run);
        return;
    }
    run->network = n;
    run->call = *call;
    run->sink = sink;
    run->job = (struct job){.purpose = STORE_PUBLISH,
                            .bytes = bytes,
                            .write = write_reports,
                            .done = publish_done,
                            .ctx = run};
    engine_write(e, &run->job);
}
