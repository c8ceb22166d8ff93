/* bench_store: what appending costs and where the time goes.
 *
 * Each publication is an entry of 110 bytes, a record of 600, its own row and
 * two handles (token, report), as the node writes them.  Batches of 10,000
 * with the index written late, and batches of 1; the replica rows have no
 * records and no own rows.  The index is complete at the end of each run.
 *
 * usage: bench_store [DIR [PUBLICATIONS [ROW]]]   (default /tmp, 300000, all four rows) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/tree.h"
#include "store/index.h"
#include "store/log.h"
#include "store/store.h"

enum { ENTRY = 110, RECORD = 600, RECORDS_MADE = 1024 };

static double
clock_s(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
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
        (void)fprintf(stderr, "bench_store: %s: %s\n", what, status_text(st));
        exit(2);
    }
}

static uint64_t random_state = 88172645463325252u;

static void
random_fill(uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i += 8) {
        uint64_t z = random_state += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        memcpy(out + i, &z, count - i < 8 ? count - i : 8);
    }
}

static bool
handle_of(void *context, struct view origin, struct view entry, uint8_t handle[TOKEN_BYTES])
{
    (void)context;
    (void)origin;
    memcpy(handle, entry.bytes, TOKEN_BYTES);
    return true;
}

struct parts {
    double append, record, own, commit, index, all;
};

static uint8_t records[RECORDS_MADE][RECORD];

static void
batch_run(struct store *s, uint32_t id, uint64_t *size, size_t batch, bool own,
          uint8_t (*bytes)[ENTRY], struct view *entries, struct parts *p)
{
    static const uint8_t rank[24];
    struct store_own row = {.rank = {rank, sizeof rank}};
    struct store_txn *t;
    double at, next;

    for (size_t i = 0; i < batch; i++) {
        random_fill(bytes[i], ENTRY);
        entries[i] = (struct view){bytes[i], ENTRY};
    }
    at = now_s();
    must(store_begin_write(s, STORE_PUBLISH, batch * (own ? 1100 : 250), &t), "begin");
    must(store_log_append(t, id, entries, batch, NULL, NULL), "append");
    p->append += (next = now_s()) - at;
    at = next;
    for (size_t i = 0; own && i < batch; i++) {
        size_t r = (*size + i) % RECORDS_MADE;
        must(store_record_put_own(t, id, *size + i, (struct view){records[r], RECORD}),
             "record");
    }
    p->record += (next = now_s()) - at;
    at = next;
    for (size_t i = 0; own && i < batch; i++) {
        random_fill(row.report, TOKEN_BYTES);
        must(store_own_put(t, id, *size + i, &row), "own");
    }
    p->own += (next = now_s()) - at;
    at = next;
    must(store_commit(t), "commit");
    p->commit += now_s() - at;
    *size += batch;
}

static void
run(const char *dir, const char *name, size_t total, size_t batch, bool own)
{
    char path[256], file[300];
    struct store_options options = {.handle_of = handle_of};
    uint8_t(*bytes)[ENTRY] = malloc(batch * sizeof *bytes);
    struct view *entries = malloc(batch * sizeof *entries);
    struct parts p = {0};
    struct store_space space;
    struct store_txn *t;
    struct store *s;
    uint64_t size = 0;
    uint32_t id;
    double start, start_cpu, at, cpu;

    (void)snprintf(path, sizeof path, "%s/benchstoreXXXXXX", dir);
    if (bytes == NULL || entries == NULL || mkdtemp(path) == NULL) {
        must(STATUS_IO, path);
    }
    must(store_open(path, &options, &s), "open");
    must(store_begin_write(s, STORE_PUBLISH, 0, &t), "begin");
    must(store_log_create(t, (struct view){(const uint8_t *)"n/a/pub", 7},
                          own ? STORE_LOG_OWN : 0, 1, &id),
         "create");
    must(store_commit(t), "commit");
    start = now_s();
    start_cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    while (size < total) {
        batch_run(s, id, &size, batch, own, bytes, entries, &p);
    }
    at = now_s();
    while (store_index_some(s, UNINDEXED_ENTRIES_MAX) == STATUS_OK) {
    }
    p.index = now_s() - at;
    p.all = now_s() - start;
    cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
    must(store_space(s, &space), "space");
    (void)printf("%-22s %8zu x %-6zu %8.0f /s  us each: cpu %.2f; append+index %.2f record "
                 "%.2f own %.2f "
                 "commit %.2f rest of index %.2f; %" PRIu64 " bytes each\n",
                 name, total / batch, batch, (double)total / p.all, 1e6 * cpu / (double)total,
                 1e6 * p.append / (double)total, 1e6 * p.record / (double)total,
                 1e6 * p.own / (double)total, 1e6 * p.commit / (double)total,
                 1e6 * p.index / (double)total, space.used_bytes / total);
    store_close(s);
    static const char *const names[] = {"data.mdb", "lock.mdb", "owner"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]);
        (void)unlink(file);
    }
    (void)rmdir(path);
    free(bytes);
    free(entries);
}

int
main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "/tmp";
    size_t total = argc > 2 ? strtoul(argv[2], NULL, 10) : 300000;

    size_t only = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

    for (size_t i = 0; i < RECORDS_MADE; i++) {
        random_fill(records[i], RECORD);
    }
    static const struct {
        const char *name;
        size_t batch, share;
        bool own;
    } rows[] = {{"publish, 10,000", 10000, 1, true},
                {"replicate, 10,000", 10000, 1, false},
                {"publish, 100", 100, 10, true},
                {"publish, 1", 1, 60, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (only == 0 || only == i + 1) {
            run(dir, rows[i].name, total / rows[i].share, rows[i].batch, rows[i].own);
        }
    }
    return 0;
}
