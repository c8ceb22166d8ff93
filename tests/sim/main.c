/* Goal: whatever the network, the machines, the clocks and some of the members
 * do, the invariants of check.h hold (RELIABILITY F8 to F13, F20, F21, F28).
 * Method: real machines over real stores, everything else simulated; each seed in
 * a process of its own, run twice when it fails: the second time with its trace. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/lis.h"
#include "tests/sim/node.h"
#include "tests/sim/scenario.h"

enum { JOBS_MAX = 64, SEED_S_MAX = 300 };

static const char usage[] =
    "sim [--scenario mixed|storm|fork|spread|idle] [--seed FIRST] [--count N] [--jobs N]\n"
    "    [--nodes N] [--delay-ms N] [--until-bad] [--trace] [--verbose]\n"
    "A failing seed is told with the command that runs it again.\n";

struct sweep {
    struct sim_options options;
    uint64_t first, count, next, done, bad;
    int jobs, running;
    uint64_t bad_most; /* stop after so many */
    struct {
        pid_t pid;
        uint64_t seed;
        bool again;
    } job[JOBS_MAX];
    int results[2]; /* pipe */
    uint64_t failed[16];
    int64_t began_s, told_s;
    struct sim_result sum;
    uint64_t worlds[HAPPENED_COUNT]; /* in which it happened */
    int64_t settled_most_ms, settled_sum_ms, revoked_most_ms;
};

static void
on_abort(int signal_number)
{
    (void)signal_number;
    sim_fail(sim_world, "an assertion", "see above");
}

static void
scratch_remove(pid_t pid)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char name[100];
    snprintf(name, sizeof name, "%s/huren-sim-%ld", base, (long)pid);
    files_remove(name);
}

static void
child(struct sweep *s, uint64_t seed, bool again)
{
    struct sim_options o = s->options;
    struct sim_result r;
    o.seed = seed;
    o.trace = o.trace || again;
    alarm(SEED_S_MAX);
    if (again || s->count == 1) {
        signal(SIGABRT, on_abort);
        o.trace = true;
    } else {
        int null = open("/dev/null", O_WRONLY);
        if (null >= 0) {
            (void)dup2(null, 2);
        }
    }
    scenario_run(&o, &r);
    ssize_t n = write(s->results[1], &r, sizeof r);
    fflush(NULL);
    _exit(n == (ssize_t)sizeof r ? 0 : 2);
}

static void
spawn(struct sweep *s, uint64_t seed, bool again)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child(s, seed, again);
    }
    if (pid < 0) {
        perror("sim: fork");
        exit(2);
    }
    s->job[s->running].pid = pid;
    s->job[s->running].seed = seed;
    s->job[s->running++].again = again;
}

static void
take_result(struct sweep *s)
{
    struct sim_result r;
    if (read(s->results[0], &r, sizeof r) != (ssize_t)sizeof r) {
        return;
    }
    s->sum.frames += r.frames;
    s->sum.frames_lost += r.frames_lost;
    s->sum.events += r.events;
    s->sum.crashes += r.crashes;
    s->sum.restores += r.restores;
    s->sum.forks += r.forks;
    s->sum.adopted += r.adopted;
    for (size_t i = 0; i < HAPPENED_COUNT; i++) {
        s->sum.happened[i] += r.happened[i];
        s->worlds[i] += r.happened[i] > 0;
    }
    s->sum.simulated_ms += r.simulated_ms;
    s->settled_sum_ms += r.settled_ms;
    if (r.revoked_ms > s->revoked_most_ms) {
        s->revoked_most_ms = r.revoked_ms;
    }
    if (r.settled_ms > s->settled_most_ms) {
        s->settled_most_ms = r.settled_ms;
    }
    if (s->options.verbose) {
        printf("seed %llu: %s, %.1f s simulated, settled in %.1f s, %llu events, %llu frames, "
               "%llu crashes, %llu restores, %llu forks, %llu adopted\n",
               (unsigned long long)r.seed, r.scenario, (double)r.simulated_ms / 1000.0,
               (double)r.settled_ms / 1000.0, (unsigned long long)r.events,
               (unsigned long long)r.frames, (unsigned long long)r.crashes,
               (unsigned long long)r.restores, (unsigned long long)r.forks,
               (unsigned long long)r.adopted);
    }
}

static void
wait_one(struct sweep *s)
{
    int status = 0;
    pid_t pid = waitpid(-1, &status, 0);
    int i = 0;
    while (i < s->running && s->job[i].pid != pid) {
        i++;
    }
    if (pid < 0 || i == s->running) {
        return;
    }
    uint64_t seed = s->job[i].seed;
    bool again = s->job[i].again;
    s->job[i] = s->job[--s->running];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        take_result(s);
        if (again) {
            fprintf(stderr, "seed %llu failed, and passed when run again: not deterministic\n",
                    (unsigned long long)seed);
        }
    } else {
        scratch_remove(pid);
        if (!again && s->count > 1 && s->bad < 4) {
            spawn(s, seed, true);
            return;
        }
        if (WIFSIGNALED(status)) {
            fprintf(stderr, "seed %llu ended by signal %d%s\n", (unsigned long long)seed,
                    WTERMSIG(status), WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
        }
        fprintf(stderr, "replay: sim --scenario %s --seed %llu%s\n", s->options.scenario,
                (unsigned long long)seed, s->options.nodes > 0 ? " --nodes ..." : "");
    }
    s->done++;
    if (again || !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        if (s->bad < sizeof s->failed / sizeof s->failed[0]) {
            s->failed[s->bad] = seed;
        }
        s->bad++;
    }
}

static void
tell(struct sweep *s, bool end)
{
    int64_t now = (int64_t)time(NULL);
    if (!end && now - s->told_s < 10) {
        return;
    }
    s->told_s = now;
    printf("sim: %llu of %llu seeds from %llu, %llu bad, %lld s\n", (unsigned long long)s->done,
           (unsigned long long)s->count, (unsigned long long)s->first,
           (unsigned long long)s->bad, (long long)(now - s->began_s));
    fflush(stdout);
}

/* What happened: a fault that never struck was not tried. */
static void
tell_happened(const struct sweep *s)
{
#define HAPPENED_TEXT(name, text) text,
    static const char *const texts[] = {HAPPENED_MAP(HAPPENED_TEXT)};
    printf("what happened, and in how many worlds:\n");
    for (size_t i = 0; i < HAPPENED_COUNT; i++) {
        printf("%12llu  %6llu  %s\n", (unsigned long long)s->sum.happened[i],
               (unsigned long long)s->worlds[i], texts[i]);
    }
}

static int
sweep(struct sweep *s)
{
    s->began_s = s->told_s = (int64_t)time(NULL);
    s->next = s->first;
    if (pipe(s->results) != 0) {
        perror("sim: pipe");
        return 2;
    }
    while (s->done < s->count) {
        while (s->running < s->jobs && s->next < s->first + s->count && s->bad < s->bad_most) {
            spawn(s, s->next++, false);
        }
        if (s->running == 0) {
            break;
        }
        wait_one(s);
        tell(s, false);
    }
    if (s->count > 1) {
        tell(s, true);
        printf("sim: %.1f hours simulated, %llu events, %llu frames (%llu lost), %llu crashes, "
               "%llu restores, %llu forks found, %llu documents adopted; settled in %.1f s on "
               "average, %.1f s at most\n",
               (double)s->sum.simulated_ms / 3.6e6, (unsigned long long)s->sum.events,
               (unsigned long long)s->sum.frames, (unsigned long long)s->sum.frames_lost,
               (unsigned long long)s->sum.crashes, (unsigned long long)s->sum.restores,
               (unsigned long long)s->sum.forks, (unsigned long long)s->sum.adopted,
               (double)s->settled_sum_ms / 1000.0 / (double)s->count,
               (double)s->settled_most_ms / 1000.0);
        printf("sim: a revoked key was known everywhere after %.1f s at most\n",
               (double)s->revoked_most_ms / 1000.0);
        tell_happened(s);
    }
    for (size_t i = 0; i < s->bad && i < sizeof s->failed / sizeof s->failed[0]; i++) {
        printf("bad seed: %llu\n", (unsigned long long)s->failed[i]);
    }
    return s->bad > 0 ? 1 : 0;
}

int
main(int argc, char **argv)
{
    static struct sweep s;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s.options.scenario = "mixed";
    s.first = s.count = 1;
    s.bad_most = 16;
    s.jobs = cores > 0 && cores < JOBS_MAX ? (int)cores : 2;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(a, "--trace") == 0) {
            s.options.trace = s.options.keep_trace = true;
            continue;
        }
        if (strcmp(a, "--until-bad") == 0) {
            s.bad_most = 1;
            continue;
        }
        if (strcmp(a, "--verbose") == 0) {
            s.options.verbose = true;
            continue;
        }
        if (v == NULL || strncmp(a, "--", 2) != 0) {
            fputs(usage, stderr);
            return 2;
        }
        i++;
        uint64_t number = strtoull(v, NULL, 10);
        if (strcmp(a, "--scenario") == 0 && scenario_known(v)) {
            s.options.scenario = v;
        } else if (strcmp(a, "--seed") == 0) {
            s.first = number;
        } else if (strcmp(a, "--count") == 0 && number > 0) {
            s.count = number;
        } else if (strcmp(a, "--jobs") == 0 && number > 0 && number <= JOBS_MAX) {
            s.jobs = (int)number;
        } else if (strcmp(a, "--nodes") == 0 && number >= 3 && number <= SIM_MEMBERS_MAX) {
            s.options.nodes = (int)number;
        } else if (strcmp(a, "--delay-ms") == 0 && number > 0) {
            s.options.delay_ms = (int64_t)number;
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (sodium_init() < 0 || !lis_load()) {
        return 2;
    }
    return sweep(&s);
}
