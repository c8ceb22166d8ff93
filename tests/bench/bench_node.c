/* bench_node: one home driven through its engine, for scripts/bench.sh.
 *
 *   bench_node load HOME N               N reports of N patients, published
 *   bench_node publish HOME N BATCH [FIRST]   N reports from number FIRST on, BATCH to a
 *                                        transaction; a signed head after each; index rows
 *                                        written at the end
 *   bench_node insert HOME N FLIGHT FIRST   N reports from number FIRST on, each a call of
 *                                        its own, FLIGHT waiting
 *   bench_node ready HOME N              wait until the first N patients are found here
 *   bench_node lookup HOME N FLIGHT PATIENTS   N look-ups, FLIGHT waiting at a time
 *   bench_node copy N                    the same reports as rows of PostgreSQL's binary
 *                                        COPY, on standard output
 *
 * The daemon of HOME must not run.  With HR_BENCH_HOLD in the environment HOME/ready is
 * made when all is prepared, and HOME/go awaited.  Prints one line: rate per second,
 * median and 99th percentile in microseconds, processor microseconds for each.  The rate
 * counts only calls that did what they should: found, or published. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/engine.h"
#include "node/publisher.h"
#include "proto/frame.h"
#include "proto/text.h"
#include "store/index.h"

enum { FLIGHT_MAX = 1024, BLOB_MAX = 4096, TURN_MS = 20, WAIT_S = 120, RECEIPTS_S = 15 };

/* ---- clocks ---- */

static double
clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

static void
must(enum status st, const char *what)
{
    if (st != STATUS_OK) {
        fprintf(stderr, "bench_node: %s: %s\n", what, status_text(st));
        exit(2);
    }
}

static void
say(const char *line)
{
    fprintf(stderr, "bench_node: %s\n", line);
}

/* ---- reports ---- */

struct sample {
    Hr__Report report;
    Hr__Patient patient;
    Hr__Identifier identifier, *identifiers[1];
    Hr__Item item, *items[1];
    char card[19], id[24], value[16], examined[32], reported[32];
};

/* A resident card number that can be: region, day, order, check digit. */
static void
sample_card(uint64_t i, char out[19])
{
    static const int weights[17] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    unsigned order = (unsigned)(i % 900) + 1;
    unsigned day = (unsigned)(i / 900);
    int sum = 0;
    snprintf(out, 19, "420581%04u%02u%02u%03u", (1950 + day / 336) % 10000, 1 + day / 28 % 12,
             1 + day % 28, order % 1000);
    for (int k = 0; k < 17; k++) {
        sum += (out[k] - '0') * weights[k];
    }
    out[17] = "10X98765432"[sum % 11];
    out[18] = '\0';
}

static char *
text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static void
sample_init(struct sample *s)
{
    time_t then = time(NULL) - 2L * 86400;
    struct tm t;
    memset(s, 0, sizeof *s);
    hr__report__init(&s->report);
    hr__patient__init(&s->patient);
    hr__identifier__init(&s->identifier);
    hr__item__init(&s->item);
    gmtime_r(&then, &t);
    strftime(s->examined, sizeof s->examined, "%Y-%m-%dT08:05:00+08:00", &t);
    strftime(s->reported, sizeof s->reported, "%Y-%m-%dT10:30:00+08:00", &t);
    s->report.format = 1;
    s->report.report_id = s->id;
    s->report.kind = text("laboratory");
    s->report.status = text("final");
    s->report.patient = &s->patient;
    s->report.examined_at = s->examined;
    s->report.reported_at = s->reported;
    s->report.specimen = text("serum");
    s->report.department = text("检验科");
    s->report.placer_id = text("A900001");
    s->report.service = text("电解质");
    s->report.author = text("1001&王医师");
    s->report.reviewer = text("1002&李医师");
    s->report.sending_application = text("LIS^first");
    s->report.items = s->items;
    s->report.n_items = 1;
    s->patient.identifiers = s->identifiers;
    s->patient.n_identifiers = 1;
    s->patient.name = text("张晋");
    s->patient.sex = text("F");
    s->identifiers[0] = &s->identifier;
    s->identifier.type = text("RI");
    s->identifier.value = s->card;
    s->items[0] = &s->item;
    s->item.code = text("LAB.K");
    s->item.local_code = text("2001");
    s->item.name = text("钾");
    s->item.value = s->value;
    s->item.value_type = text("NM");
    s->item.unit = text("mmol/L");
    s->item.reference = text("3.50-5.30");
    s->item.status = text("final");
    s->item.examined_at = s->examined;
    s->item.method = text("离子选择电极法");
}

static void
sample_set(struct sample *s, uint64_t i)
{
    sample_card(i, s->card);
    snprintf(s->id, sizeof s->id, "S%" PRIu64, i);
    snprintf(s->value, sizeof s->value, "%u.%02u", 3 + (unsigned)(i % 3), (unsigned)(i % 100));
}

/* ---- rows for the peer ---- */

static void
put_field(const void *bytes, uint32_t count)
{
    uint8_t head[4];
    frame_put_u32(head, count);
    fwrite(head, 1, 4, stdout);
    fwrite(bytes, 1, count, stdout);
}

static int
copy_rows(uint64_t n)
{
    struct sample s;
    uint8_t body[BLOB_MAX], handle[16], key[8];
    const uint8_t head[19] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0};
    const uint8_t fields[2] = {0, 3};
    sample_init(&s);
    s.report.institution = text("h1");
    fwrite(head, 1, sizeof head, stdout);
    for (uint64_t i = 0; i < n; i++) {
        sample_set(&s, i);
        size_t count = hr__report__pack(&s.report, body);
        crypto_generichash(handle, sizeof handle, (const uint8_t *)s.card, strlen(s.card), NULL,
                           0);
        for (unsigned k = 0; k < 8; k++) {
            key[k] = (uint8_t)(i >> (56 - 8 * k));
        }
        fwrite(fields, 1, 2, stdout);
        put_field(key, 8);
        put_field(handle, sizeof handle);
        put_field(body, (uint32_t)count);
    }
    fwrite("\xff\xff", 1, 2, stdout);
    return fflush(stdout) == 0 ? 0 : 2;
}

/* ---- calls ---- */

struct slot {
    struct call call;
    struct call_sink sink;
    struct view blob;
    struct sample sample;
    uint8_t bytes[BLOB_MAX];
    bool busy;
    double began;
};

static struct run {
    struct slot slots[FLIGHT_MAX];
    float *took;
    uint64_t done, codes[3], first;
    bool wordy;
} run;

static void
sink_text(void *ctx, bool err, const char *s, size_t n)
{
    (void)ctx;
    if (err || run.wordy) {
        fwrite(s, 1, n, stderr);
    }
}

static void
sink_blob(void *ctx, const char *name, struct view bytes)
{
    (void)ctx;
    (void)name;
    (void)bytes;
}

static void
sink_done(void *ctx, int code)
{
    struct slot *s = ctx;
    if (run.took != NULL) {
        run.took[run.done] = (float)((now_s() - s->began) * 1e6);
    }
    run.done++;
    run.codes[code < 0 || code > 2 ? 2 : code]++;
    json_decref(s->call.args);
    s->call.args = NULL;
    s->busy = false;
}

static void
slot_publish(struct slot *s, uint64_t i)
{
    sample_set(&s->sample, i);
    s->blob = (struct view){s->bytes, hr__report__pack(&s->sample.report, s->bytes)};
    s->call = (struct call){.command = "publish",
                            .args = json_pack("{s:[{}]}", "reports"),
                            .blobs = &s->blob,
                            .blob_count = 1};
}

static void
slot_lookup(struct slot *s, uint64_t i)
{
    sample_set(&s->sample, i);
    s->call = (struct call){.command = "lookup",
                            .args = json_pack("{s:s,s:s,s:[s],s:b}", "type", "RI", "value",
                                              s->sample.card, "items", "LAB.K", "json", 1)};
}

static int
by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void
report_rate(uint64_t n, double took, double cpu)
{
    qsort(run.took, n, sizeof *run.took, by_size);
    printf("%.0f %.0f %.0f %.1f\n", (double)run.codes[0] / took, (double)run.took[n / 2],
           (double)run.took[n * 99 / 100], cpu * 1e6 / (double)n);
}

/* n calls, `flight` of them waiting at a time; patients 0: each
 * about a patient of its own, else any of so many. */
static void
drive(struct engine *e, uint64_t n, size_t flight, uint64_t patients,
      void (*make)(struct slot *, uint64_t))
{
    uint64_t begun = 0;
    run.done = 0;
    while (run.done < n) {
        for (size_t k = 0; k < flight && begun < n; k++) {
            struct slot *s = &run.slots[k];
            if (s->busy) {
                continue;
            }
            s->sink = (struct call_sink){s, sink_text, sink_blob, sink_done};
            make(s, patients > 0 ? begun * 7919 % patients : run.first + begun);
            begun++;
            s->busy = true;
            s->began = now_s();
            engine_call(e, &s->call, &s->sink);
        }
        engine_turn(e, TURN_MS);
        if (e->stop) {
            must(STATUS_IO, "the engine stopped");
        }
    }
}

static struct engine *
open_home(const char *home)
{
    struct engine *e;
    char error[512] = "";
    enum status st = engine_open(home, true, say, &e, error, sizeof error);
    if (st != STATUS_OK) {
        fprintf(stderr, "bench_node: %s\n", error);
        exit(2);
    }
    for (size_t i = 0; i < FLIGHT_MAX; i++) {
        sample_init(&run.slots[i].sample);
    }
    return e;
}

static void
write_index(struct engine *e)
{
    enum status st;
    while ((st = store_index_some(e->store, UNINDEXED_ENTRIES_MAX)) == STATUS_OK) {
    }
    if (st != STATUS_NOT_FOUND) {
        must(st, "writing the index");
    }
}

/* Wait until this home may sign. */
static void
wait_gate(struct engine *e)
{
    struct network *n = &e->networks[0];
    double until = now_s() + WAIT_S;
    while (!gossip_may_sign(n->gossip, text_view(n->pub.origin)) ||
           !gossip_may_sign(n->gossip, text_view(n->exch.origin))) {
        engine_turn(e, TURN_MS);
        if (now_s() > until) {
            must(STATUS_REFUSED, "the signing gate of this home stays shut");
        }
    }
}

static void
hold(struct engine *e, const char *home)
{
    char path[HOME_IO_PATH_CHARS];
    if (getenv("HR_BENCH_HOLD") == NULL) {
        return;
    }
    snprintf(path, sizeof path, "%s/ready", home);
    FILE *f = fopen(path, "w");
    if (f == NULL || fclose(f) != 0) {
        must(STATUS_IO, path);
    }
    snprintf(path, sizeof path, "%s/go", home);
    for (double until = now_s() + WAIT_S; access(path, F_OK) != 0 && now_s() < until;) {
        engine_turn(e, TURN_MS);
    }
}

/* ---- what is measured ---- */

/* Reports in memory to a synced commit and a signed head, batch by batch. */
static void
publish(struct engine *e, uint64_t n, uint64_t batch)
{
    struct network *net = &e->networks[0];
    static struct sample s;
    uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES];
    struct publish_plan plan;
    struct publisher p;
    struct store_txn *txn;
    bool fatal;
    sample_init(&s);
    s.report.institution = e->institution;
    for (uint64_t at = 0; at < n;) {
        must(store_begin_write(e->store, STORE_PUBLISH, batch * 1500, &txn), "begin");
        must(publisher_begin(&p, &net->publish, txn, net->pub.id), "begin");
        for (uint64_t end = at + batch < n ? at + batch : n; at < end; at++) {
            sample_set(&s, run.first + at);
            randombytes_buf(random, sizeof random);
            must(publisher_add(&p, &s.report, 0, (const uint8_t(*)[KEY_BYTES])random, &plan,
                               &fatal),
                 "publishing");
            if (plan.outcome != PUBLISH_STEPS) {
                must(STATUS_REFUSED, "a report was not published");
            }
        }
        must(publisher_flush(&p), "publishing");
        publisher_end(&p);
        must(store_commit(txn), "commit");
        net->pub.dirty = true;
        engine_sign(e, true);
    }
    write_index(e);
    if (net->pub.signed_size < n) {
        must(STATUS_REFUSED, "the signing gate of this home is shut");
    }
}

/* Look for the last of the first n patients until he is found. */
static void
wait_ready(struct engine *e, uint64_t n)
{
    double until = now_s() + WAIT_S;
    for (;;) {
        memset(run.codes, 0, sizeof run.codes);
        run.wordy = now_s() > until - 1;
        run.done = 0;
        struct slot *s = &run.slots[0];
        s->sink = (struct call_sink){s, sink_text, sink_blob, sink_done};
        slot_lookup(s, n - 1);
        s->busy = true;
        engine_call(e, &s->call, &s->sink);
        while (s->busy) {
            engine_turn(e, TURN_MS);
        }
        if (run.codes[0] == 1) {
            return;
        }
        if (now_s() > until) {
            must(STATUS_UNAVAILABLE, "the results of the other home do not come");
        }
        for (double next = now_s() + 0.5; now_s() < next;) {
            engine_turn(e, TURN_MS);
        }
    }
}

static uint64_t
number(char **argv, int argc, int at)
{
    uint64_t n = at < argc ? strtoull(argv[at], NULL, 10) : 0;
    if (n == 0) {
        fprintf(stderr, "bench_node: see the comment on top of bench_node.c\n");
        exit(2);
    }
    return n;
}

int
main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (sodium_init() < 0) {
        return 2;
    }
    if (strcmp(what, "copy") == 0) {
        return copy_rows(number(argv, argc, 2));
    }
    uint64_t n = number(argv, argc, 3);
    struct engine *e = open_home(argv[2]);
    wait_gate(e);
    double began = 0, cpu = 0;
    if (strcmp(what, "publish") == 0) {
        run.first = argc > 5 ? number(argv, argc, 5) : 0;
        hold(e, argv[2]);
        began = now_s();
        cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
        publish(e, n, number(argv, argc, 4));
        double took = now_s() - began;
        printf("%.0f %.0f %.0f %.1f\n", (double)n / took, 0.0, 0.0,
               (clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / (double)n);
    } else if (strcmp(what, "load") == 0) {
        drive(e, n, 512, 0, slot_publish);
        write_index(e);
        engine_sign(e, true);
        engine_turn(e, 0);
    } else if (strcmp(what, "ready") == 0) {
        wait_ready(e, n);
    } else {
        size_t flight = (size_t)number(argv, argc, 4);
        bool lookup = strcmp(what, "lookup") == 0;
        uint64_t patients = lookup ? number(argv, argc, 5) : 0;
        flight = flight > FLIGHT_MAX ? FLIGHT_MAX : flight;
        run.took = calloc(n, sizeof *run.took);
        if (run.took == NULL) {
            must(STATUS_NO_MEMORY, "times");
        }
        if (lookup) {
            wait_ready(e, patients);
        } else {
            run.first = number(argv, argc, 5);
        }
        hold(e, argv[2]);
        memset(run.codes, 0, sizeof run.codes);
        began = now_s();
        cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
        drive(e, n, flight, patients, lookup ? slot_lookup : slot_publish);
        report_rate(n, now_s() - began, clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu);
        if (run.codes[0] != n) {
            fprintf(stderr,
                    "bench_node: of %" PRIu64 " calls %" PRIu64 " found nothing that "
                    "counts and %" PRIu64 " failed\n",
                    n, run.codes[1], run.codes[2]);
        }
    }
    /* Pay what is owed, or the other home refuses the next look-ups. */
    for (double until = now_s() + RECEIPTS_S; engine_receipts_open(e) && now_s() < until;) {
        engine_turn(e, TURN_MS);
    }
    engine_close(e);
    return 0;
}
