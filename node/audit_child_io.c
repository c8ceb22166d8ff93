#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "node/audit_child_io.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/jsonwhole.h"

enum { CHILD_DIED = 101, DEATHS_MAX = 64, LINE_CHARS = 64 * 1024, PROGRESS_MS = 200 };

/* ---- in the child ---- */

static volatile struct audit_place *dying_place;

/* LMDB met what it cannot survive: nothing of the process can be trusted. */
static void
die(int number)
{
    dying_place->signal = number;
    _exit(CHILD_DIED);
}

static void
copy_text(volatile char *to, size_t room, const char *from, size_t count)
{
    size_t n = count < room - 1 ? count : room - 1;
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
    }
    to[n] = '\0';
}

bool
audit_at(const struct audit_work *w, unsigned step, const char *part, struct view origin,
         uint64_t done)
{
    volatile struct audit_place *p = w->place;

    if (w->from > 0 && step < w->from) {
        return false;
    }
    p->step = step;
    p->done = done;
    copy_text(p->part, sizeof p->part, part, strlen(part));
    copy_text(p->origin, sizeof p->origin, (const char *)origin.bytes, origin.count);
    return true;
}

void
audit_tell(void *work, const struct audit_finding *f)
{
    const struct audit_work *w = work;
    json_t *o = json_pack("{s:s,s:s,s:s}", "kind", audit_kind_text(f->kind), "part", f->part,
                          "what", f->what);

    if (o == NULL) {
        o = json_pack("{s:s,s:s,s:s}", "kind", audit_kind_text(f->kind), "part", f->part,
                      "what", "(not to be shown)");
    }
    if (f->origin.count > 0) {
        json_object_set_new(o, "log",
                            json_stringn((const char *)f->origin.bytes, f->origin.count));
    }
    if (f->has_index) {
        json_object_set_new(o, "index", json_integer((json_int_t)f->index));
    }
    if (f->has_level) {
        json_object_set_new(o, "level", json_integer((json_int_t)f->level));
    }
    w->tell(w->context, o);
}

static void
tell_parent(void *context, json_t *finding)
{
    FILE *f = context;

    json_dumpf(finding, f, JSON_COMPACT | JSON_SORT_KEYS);
    fputc('\n', f);
    fflush(f); /* what follows may end this process */
    json_decref(finding);
}

static void
child(struct audit_work *work, json_t *(*run)(const struct audit_work *), int fd)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    struct sigaction action = {.sa_handler = die};
    FILE *out = fdopen(fd, "w");

    dying_place = work->place;
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        (void)sigaction(fatal[i], &action, NULL);
    }
    if (freopen("/dev/null", "w", stderr) == NULL || out == NULL) {
        _exit(CLI_TROUBLE); /* LMDB's assertions speak of its own source. */
    }
    work->tell = tell_parent;
    work->context = out;
    unsigned long mark = json_whole_mark();
    /* Without counts the parent knows that it did not hear all. */
    json_t *counts = json_whole(json_pack("{s:o}", "counts", run(work)), mark);
    if (counts != NULL) {
        tell_parent(out, counts);
    }
    fclose(out);
    _exit(CLI_YES);
}

/* ---- in the parent ---- */

struct reader {
    char line[LINE_CHARS];
    size_t count;
    struct audit_result *result;
    json_t *findings; /* of this child */
};

static void
take_line(struct reader *r, const char *line, size_t count)
{
    json_t *o = json_loadb(line, count, JSON_REJECT_DUPLICATES, NULL);
    json_t *counts = json_object_get(o, "counts");

    if (counts != NULL) {
        json_decref(r->result->counts);
        r->result->counts = json_incref(counts);
    } else if (o != NULL) {
        json_array_append(r->findings, o);
    }
    json_decref(o);
}

/* False at the end of what the child says. */
static bool
take_bytes(struct reader *r, int fd)
{
    ssize_t n = read(fd, r->line + r->count, sizeof r->line - r->count);

    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    r->count += (size_t)n;
    for (;;) {
        char *end = memchr(r->line, '\n', r->count);
        if (end == NULL) {
            break;
        }
        size_t used = (size_t)(end - r->line) + 1;
        take_line(r, r->line, used - 1);
        memmove(r->line, end + 1, r->count - used);
        r->count -= used;
    }
    return r->count < sizeof r->line;
}

static void
show_progress(struct cli *cli, const volatile struct audit_place *p)
{
    char origin[ORIGIN_CHARS_MAX + 1];
    char part[AUDIT_PART_CHARS];

    for (size_t i = 0; i < sizeof origin; i++) {
        origin[i] = p->origin[i];
    }
    for (size_t i = 0; i < sizeof part; i++) {
        part[i] = p->part[i];
    }
    origin[sizeof origin - 1] = part[sizeof part - 1] = '\0';
    fprintf(cli->err, "\r\033[Kchecking %s%s%s: %" PRIu64, origin,
            origin[0] == '\0' ? "" : ": ", part[0] == '\0' ? "the file" : part, p->done);
    fflush(cli->err);
}

/* One child.  Returns how it ended (as waitpid says), -1: there was none. */
static int
run_once(struct cli *cli, struct audit_work *work, json_t *(*run)(const struct audit_work *),
         struct reader *r)
{
    int fds[2], status = 0;
    bool terminal = isatty(fileno(cli->err)) == 1;

    fflush(NULL);
    if (pipe(fds) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        child(work, run, fds[1]);
    }
    (void)close(fds[1]);
    if (pid < 0) {
        (void)close(fds[0]);
        return -1;
    }
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    for (bool more = true; more;) {
        int ready = poll(&p, 1, terminal ? PROGRESS_MS : -1);
        if (ready > 0) {
            more = take_bytes(r, fds[0]);
        } else if (ready == 0) {
            show_progress(cli, work->place);
        } else if (errno != EINTR) {
            break;
        }
    }
    if (terminal) {
        fputs("\r\033[K", cli->err);
    }
    (void)close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static const char *
signal_text(int number)
{
    return number == SIGSEGV   ? "SIGSEGV"
           : number == SIGBUS  ? "SIGBUS"
           : number == SIGABRT ? "an assertion"
                               : "a fatal signal";
}

/* The child died: say where. */
static void
tell_death(const struct audit_work *work, int status, json_t *findings)
{
    const volatile struct audit_place *p = work->place;
    char origin[ORIGIN_CHARS_MAX + 1], part[AUDIT_PART_CHARS], what[AUDIT_WHAT_CHARS];
    int number = p->signal != 0 ? p->signal : WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    for (size_t i = 0; i < sizeof origin; i++) {
        origin[i] = p->origin[i];
    }
    for (size_t i = 0; i < sizeof part; i++) {
        part[i] = p->part[i];
    }
    snprintf(what, sizeof what,
             "the file is torn: reading it ended in %s near number %" PRIu64
             "; the rest of this part was not checked",
             signal_text(number), p->done);
    json_t *o =
        json_pack("{s:s,s:s,s:s,s:I}", "kind", "damage", "part",
                  part[0] == '\0' ? "file" : part, "what", what, "index", (json_int_t)p->done);
    if (origin[0] != '\0') {
        json_object_set_new(o, "log", json_string(origin));
    }
    json_array_append_new(findings, o);
}

static void
count_kinds(struct audit_result *r)
{
    size_t i;
    json_t *f;

    json_array_foreach(r->findings, i, f)
    {
        const char *kind = json_string_value(json_object_get(f, "kind"));
        r->damages += kind != NULL && strcmp(kind, "damage") == 0;
        r->contradictions += kind != NULL && strcmp(kind, "contradiction") == 0;
        r->unknowns += kind != NULL && strcmp(kind, "unknown") == 0;
    }
}

int
audit_run(struct cli *cli, struct audit_work *work, json_t *(*run)(const struct audit_work *),
          struct audit_result *out)
{
    struct audit_place *place =
        mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct reader *r = calloc(1, sizeof *r);
    int status = -1;

    *out = (struct audit_result){.findings = json_array()};
    for (unsigned deaths = 0; place != MAP_FAILED && r != NULL && deaths < DEATHS_MAX;
         deaths++) {
        memset(place, 0, sizeof *place);
        memset(r, 0, sizeof *r);
        r->result = out;
        r->findings = json_array();
        work->place = place;
        status = run_once(cli, work, run, r);
        bool died = status != -1 && out->counts == NULL &&
                    (WIFSIGNALED(status) || WEXITSTATUS(status) == CHILD_DIED ||
                     (WIFEXITED(status) && WEXITSTATUS(status) != CLI_YES));
        if (died && work->threads > 1) { /* Again, slowly, to learn where. */
            work->threads = 1;
            json_decref(r->findings);
            continue;
        }
        if (died) {
            tell_death(work, status, r->findings);
            work->from = place->step + 1;
        }
        json_array_extend(out->findings, r->findings);
        json_decref(r->findings);
        if (!died) {
            break;
        }
    }
    if (place != MAP_FAILED) {
        (void)munmap(place, sizeof *place);
    }
    free(r);
    count_kinds(out);
    return status == -1
               ? cli_error(cli, CLI_TROUBLE, "no process could be made: %s", strerror(errno))
               : CLI_YES;
}

void
audit_result_free(struct audit_result *r)
{
    json_decref(r->findings);
    json_decref(r->counts);
    *r = (struct audit_result){0};
}
