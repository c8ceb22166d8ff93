/* backup_check_io.c: looking at a copied store from a child process. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/audit.h"
#include "node/backup_io.h"
#include "node/candidates.h"
#include "proto/text.h"
#include "store/check.h"
#include "store/log.h"

/* What the child says: one of these, `count` in front. */
struct said {
    enum status status;
    uint64_t findings;
    size_t log_count;
    char finding[256]; /* the first one */
    struct backup_log logs[BACKUP_LOGS_MAX];
};

static void
on_finding(void *context, const struct store_finding *f)
{
    struct said *s = context;
    if (s->finding[0] == '\0') {
        (void)snprintf(s->finding, sizeof s->finding, "%s %.*s %" PRIu64 ": %s", f->part,
                       (int)f->origin.count, (const char *)f->origin.bytes, f->index, f->what);
    }
}

static enum status
own_logs(struct store *store, struct said *s)
{
    struct store_txn *txn;
    struct store_log log;
    struct view after = {NULL, 0};
    enum status st = store_begin_read(store, &txn);
    if (st != STATUS_OK) {
        return st;
    }
    while ((st = store_log_next(txn, after, &log)) == STATUS_OK &&
           s->log_count < BACKUP_LOGS_MAX) {
        after = log.origin;
        if ((log.flags & STORE_LOG_OWN) != 0 && log.origin.count <= ORIGIN_CHARS_MAX) {
            struct backup_log *l = &s->logs[s->log_count++];
            memcpy(l->origin, log.origin.bytes, log.origin.count);
            l->size = log.size;
            l->root = log.root;
        }
    }
    store_abort(txn);
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static void
look(const char *path, struct said *s)
{
    struct store_options options = {.handle_of = candidates_handle_of};
    struct store_check_options check = {
        .sealed_of = audit_sealed_of, .finding = on_finding, .finding_context = s};
    struct store_check_totals totals;
    struct store *store;
    s->status = store_open(path, &options, &store);
    if (s->status != STATUS_OK) {
        return;
    }
    memset(&totals, 0, sizeof totals);
    s->status = store_check(store, &check, &totals);
    s->findings = totals.findings;
    if (s->status == STATUS_OK) {
        s->status = own_logs(store, s);
    }
    store_close(store);
}

static bool
whole(int fd, void *bytes, size_t count, bool reading)
{
    uint8_t *at = bytes;
    while (count > 0) {
        ssize_t n = reading ? read(fd, at, count) : write(fd, at, count);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        at += n;
        count -= (size_t)n;
    }
    return true;
}

/* In the child: no core, no words of LMDB on the terminal. */
static _Noreturn void
child(const char *path, int fd)
{
    struct rlimit none = {0, 0};
    struct said *s = calloc(1, sizeof *s);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)setrlimit(RLIMIT_CORE, &none);
    if (s == NULL || null < 0 || dup2(null, STDERR_FILENO) < 0) {
        _exit(2);
    }
    look(path, s);
    _exit(whole(fd, s, sizeof *s, false) ? 0 : 2);
}

static void
drop_leftovers(const char *path)
{
    static const char *const names[] = {"lock.mdb", "owner"};
    char file[4096];
    for (size_t i = 0; i < 2; i++) {
        if ((size_t)snprintf(file, sizeof file, "%s/%s", path, names[i]) < sizeof file) {
            (void)unlink(file);
        }
    }
}

enum status
backup_check(const char *path, struct backup *b, char error[BACKUP_ERROR_CHARS])
{
    int fds[2], code = 0;
    struct said *s = calloc(1, sizeof *s);
    enum status st = STATUS_CORRUPT;
    if (s == NULL || pipe(fds) != 0) {
        free(s);
        (void)snprintf(error, BACKUP_ERROR_CHARS, "check %s: %s", path, strerror(errno));
        return STATUS_IO;
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        child(path, fds[1]);
    }
    (void)close(fds[1]);
    errno = 0;
    bool told = pid > 0 && whole(fds[0], s, sizeof *s, true);
    bool unread = !told && errno != 0; /* what it says is not heard: that is not its end */
    (void)close(fds[0]);
    while (pid > 0 && waitpid(pid, &code, 0) < 0 && errno == EINTR) {
    }
    if (pid < 0) {
        (void)snprintf(error, BACKUP_ERROR_CHARS, "check %s: %s", path, strerror(errno));
        st = STATUS_IO;
    } else if (unread ||
               (!told && WIFEXITED(code))) { /* it ran into something before it could look */
        (void)snprintf(error, BACKUP_ERROR_CHARS,
                       "check %s: the process that looks at it could not do so; try again",
                       path);
        st = STATUS_IO;
    } else if (!told || !WIFEXITED(code)) {
        (void)snprintf(error, BACKUP_ERROR_CHARS,
                       "check %s: it is damaged: the program that opened it was ended by it",
                       path);
    } else if (s->status != STATUS_OK) {
        s->finding[sizeof s->finding - 1] = '\0';
        (void)snprintf(error, BACKUP_ERROR_CHARS, "check %s: %s%s%s", path,
                       status_text(s->status), s->finding[0] == '\0' ? "" : ": ", s->finding);
        st = s->status;
    } else {
        b->log_count = s->log_count;
        memcpy(b->logs, s->logs, sizeof b->logs);
        st = STATUS_OK;
    }
    drop_leftovers(path);
    free(s);
    return st;
}
