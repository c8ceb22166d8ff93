/* inject: run a command and make one of its system calls fail (tests/e2e/lib/faults.py).
 *
 *   inject list LOG COMMAND...                 every call that can be made to fail, in order
 *   inject FAULT CALL N LOG COMMAND...         a fault at the N-th CALL
 *   inject delay=MS CALL,... 0 LOG COMMAND...  every such call takes so much longer
 *
 * FAULT is kill (SIGKILL as the call begins), error=NAME, short (a write takes the first half
 * and says so), torn (it takes the first half, then SIGKILL).  N counts the calls of all
 * threads and children together, in the order in which they are made: strace counts each
 * thread for itself, so that its N-th call is one in several threads, or none.  LOG says what
 * was hit ("fired CALL N").  Exit: as the command; 128 + signal if one killed it.
 *
 * seccomp stops the command at these calls alone; all others run at full speed. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS_MAX = 64, PATH_CHARS = 200 };

/* `path`: which argument is a path (1, 2), 0 if none. */
static const struct call {
    const char *name;
    long number;
    int path;
} calls[] = {
    {"openat", SYS_openat, 2},
    {"read", SYS_read, 0},
    {"pread64", SYS_pread64, 0},
    {"write", SYS_write, 0},
    {"pwrite64", SYS_pwrite64, 0},
    {"writev", SYS_writev, 0},
    {"fsync", SYS_fsync, 0},
    {"fdatasync", SYS_fdatasync, 0},
    {"msync", SYS_msync, 0},
    {"rename", SYS_rename, 1},
    {"renameat", SYS_renameat, 2},
    {"ftruncate", SYS_ftruncate, 0},
    {"fallocate", SYS_fallocate, 0},
    {"unlink", SYS_unlink, 1},
    {"unlinkat", SYS_unlinkat, 2},
    {"rmdir", SYS_rmdir, 1},
    {"mkdir", SYS_mkdir, 1},
    {"mkdirat", SYS_mkdirat, 2},
    {"chmod", SYS_chmod, 1},
    {"fchmod", SYS_fchmod, 0},
    {"link", SYS_link, 1},
    {"linkat", SYS_linkat, 2},
    {"flock", SYS_flock, 0},
    {"fcntl", SYS_fcntl, 0},
    {"lseek", SYS_lseek, 0},
    {"newfstatat", SYS_newfstatat, 2},
    {"statfs", SYS_statfs, 1},
    {"fstatfs", SYS_fstatfs, 0},
    {"getdents64", SYS_getdents64, 0},
    {"mmap", SYS_mmap, 0},
    {"close", SYS_close, 0},
    {"dup2", SYS_dup2, 0},
    {"pipe2", SYS_pipe2, 0},
    {"socket", SYS_socket, 0},
    {"bind", SYS_bind, 0},
    {"listen", SYS_listen, 0},
    {"accept4", SYS_accept4, 0},
    {"connect", SYS_connect, 0},
    {"sendmsg", SYS_sendmsg, 0},
    {"sendto", SYS_sendto, 0},
    {"readv", SYS_readv, 0},
    {"getrandom", SYS_getrandom, 0},
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static const struct {
    const char *name;
    int number;
} errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC},        {"ENOMEM", ENOMEM},
              {"EMFILE", EMFILE}, {"EDQUOT", EDQUOT},        {"EACCES", EACCES},
              {"EINTR", EINTR},   {"ECONNRESET", ECONNRESET}};

struct plan {
    enum { LIST, KILL, ERROR, SHORT, TORN, DELAY } fault;
    int error;
    long delay_ms;
    const char *names; /* of calls, with commas; NULL: all */
    unsigned long at, seen;
    FILE *log;
    pid_t command;
};

static void
die(const char *what)
{
    fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
    exit(125);
}

/* ---- what is stopped ---- */

/* Whether `names` has this call. */
static bool
wanted(const char *names, const struct call *call)
{
    size_t n = strlen(call->name);

    for (const char *at = names; at != NULL;) {
        if (strncmp(at, call->name, n) == 0 && (at[n] == 0 || at[n] == ',')) {
            return true;
        }
        at = strchr(at, ',');
        at = at == NULL ? NULL : at + 1;
    }
    return names == NULL;
}

static void
filter(const char *names)
{
    struct sock_filter code[2 * CALLS_MAX + 4];
    size_t n = 0;

    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                             offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++) {
        if (wanted(names, &calls[i])) {
            code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                     (uint32_t)calls[i].number, 0, 1);
            code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
        }
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)n, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        die("seccomp");
    }
}

static pid_t
start(const struct plan *p, char **command)
{
    int go[2];
    char byte = 0;

    if (pipe(go) != 0) {
        die("pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        if (read(go[0], &byte, 1) != 1) { /* until it is traced */
            _exit(125);
        }
        close(go[0]);
        fclose(p->log);
        filter(p->names);
        execvp(command[0], command);
        die(command[0]);
    }
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                         PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP |
                         PTRACE_O_EXITKILL;
    if (pid < 0 || ptrace(PTRACE_SEIZE, pid, 0, options) != 0) {
        die("trace");
    }
    close(go[0]);
    if (write(go[1], &byte, 1) != 1) {
        die("start");
    }
    close(go[1]);
    return pid;
}

/* ---- one call ---- */

static void
read_text(pid_t tid, unsigned long long at, char out[PATH_CHARS])
{
    struct iovec to = {out, PATH_CHARS - 1}, from = {(void *)(uintptr_t)at, PATH_CHARS - 1};
    ssize_t n = process_vm_readv(tid, &to, 1, &from, 1, 0);

    if (n < 0) { /* the page may end behind the text */
        from.iov_len = to.iov_len = 4096 - at % 4096 < PATH_CHARS ? 4096 - at % 4096 : 1;
        n = process_vm_readv(tid, &to, 1, &from, 1, 0);
    }
    out[n < 0 ? 0 : n] = 0;
    for (char *c = out; *c != 0; c++) {
        *c = *c > ' ' && *c < 127 ? *c : '?';
    }
}

/* Memory is no file: only maps of files are of interest.  Nor can a wake-up (eventfd), a timer
 * or an epoll set fail with these errors, and nng, which is sure of that, ends the process. */
static bool
counts(pid_t tid, const struct call *call, const struct user_regs_struct *r)
{
    char link[64], target[32] = "";

    if (call->number == SYS_mmap) {
        return (int)r->r8 >= 0;
    }
    if (call->path != 0 || (int)r->rdi < 0) {
        return true;
    }
    (void)snprintf(link, sizeof link, "/proc/%d/fd/%d", tid, (int)r->rdi);
    return readlink(link, target, sizeof target - 1) < 0 ||
           strncmp(target, "anon_inode:", 11) != 0;
}

/* Cut a write; false if there is nothing to cut. */
static bool
halve(struct user_regs_struct *r, const struct call *call)
{
    if (r->rdx < 2) {
        return false;
    }
    /* Of several pieces the first ones. */
    r->rdx = call->number == SYS_writev ? r->rdx - 1 : r->rdx / 2;
    return true;
}

static void
wait_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Before the call is made.  Returns how the thread goes on. */
static enum __ptrace_request
at_call(struct plan *p, pid_t tid)
{
    struct user_regs_struct r;
    char path[PATH_CHARS] = "-";
    const struct call *call = NULL;

    if (ptrace(PTRACE_GETREGS, tid, 0, &r) != 0) {
        return PTRACE_CONT; /* it was killed meanwhile */
    }
    for (size_t i = 0; i < CALLS; i++) {
        call = calls[i].number == (long)r.orig_rax ? &calls[i] : call;
    }
    if (call == NULL || !counts(tid, call, &r)) {
        return PTRACE_CONT;
    }
    p->seen++;
    if (p->fault == LIST) {
        if (call->path != 0) {
            read_text(tid, call->path == 1 ? r.rdi : r.rsi, path);
        }
        fprintf(p->log, "%s %d %s %lld\n", call->name, tid, path, (long long)r.rdx);
    } else if (p->fault == DELAY) {
        fprintf(p->log, "fired %s %lu\n", call->name, p->seen);
        wait_ms(p->delay_ms);
    } else if (p->seen == p->at) {
        if ((p->fault == SHORT || p->fault == TORN) && !halve(&r, call)) {
            fprintf(p->log, "nothing to cut at %s %lu\n", call->name, p->seen);
            return PTRACE_CONT;
        }
        fprintf(p->log, "fired %s %lu\n", call->name, p->seen);
        fflush(p->log);
        if (p->fault == KILL) {
            kill(p->command, SIGKILL);
            kill(tid, SIGKILL); /* a child of it */
        } else if (p->fault == ERROR) {
            r.orig_rax = (unsigned long long)-1; /* not made; this is its answer */
            r.rax = (unsigned long long)-p->error;
        }
        (void)ptrace(PTRACE_SETREGS, tid, 0, &r);
        return p->fault == TORN ? PTRACE_SYSCALL : PTRACE_CONT;
    }
    return PTRACE_CONT;
}

/* Until all that was started has ended.  Returns the wait status of the command. */
static int
follow(struct plan *p)
{
    int status, result = 125 << 8;
    pid_t tid;

    while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        int event = status >> 16;
        enum __ptrace_request how = PTRACE_CONT;
        long signal_on = 0;
        if (tid < 0) {
            continue;
        }
        if (!WIFSTOPPED(status)) {
            result = tid == p->command ? status : result;
            continue;
        }
        if (event == PTRACE_EVENT_SECCOMP) {
            how = at_call(p, tid);
        } else if (event == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP) {
            how = PTRACE_LISTEN; /* it was stopped, and stays so */
        } else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            kill(p->command, SIGKILL); /* the first half is written */
            kill(tid, SIGKILL);
        } else if (event == 0) {
            signal_on = WSTOPSIG(status);
        }
        (void)ptrace(how, tid, 0, signal_on);
    }
    return result;
}

static void
parse(struct plan *p, const char *fault, const char *call, const char *at)
{
    const char *value = strchr(fault, '=');

    p->fault = strcmp(fault, "kill") == 0         ? KILL
               : strcmp(fault, "short") == 0      ? SHORT
               : strcmp(fault, "torn") == 0       ? TORN
               : strncmp(fault, "delay=", 6) == 0 ? DELAY
                                                  : ERROR;
    for (size_t i = 0; value != NULL && i < sizeof errors / sizeof errors[0]; i++) {
        p->error = strcmp(errors[i].name, value + 1) == 0 ? errors[i].number : p->error;
    }
    p->delay_ms = p->fault == DELAY ? strtol(value + 1, NULL, 10) : 0;
    bool known = false;
    for (size_t i = 0; i < CALLS; i++) {
        known = known || wanted(call, &calls[i]);
    }
    p->names = call;
    p->at = strtoul(at, NULL, 10);
    errno = EINVAL;
    if (!known || (p->fault == ERROR && p->error == 0)) {
        die(known ? fault : call);
    }
}

int
main(int argc, char **argv)
{
    struct plan p = {.fault = LIST};
    bool list = argc > 3 && strcmp(argv[1], "list") == 0;
    int used = list ? 2 : 4;

    if (argc < used + 2) {
        fprintf(stderr,
                "usage: inject list LOG COMMAND... | inject FAULT CALL N LOG COMMAND...\n");
        return 125;
    }
    if (!list) {
        parse(&p, argv[1], argv[2], argv[3]);
    }
    if ((p.log = fopen(argv[used], "w")) == NULL) {
        die(argv[used]);
    }
    p.command = start(&p, argv + used + 1);
    int status = follow(&p);
    fclose(p.log);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
