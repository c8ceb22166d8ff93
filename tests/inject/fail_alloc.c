/* fail_alloc.c: see fail_alloc.h. */
#define _GNU_SOURCE
#include "tests/inject/fail_alloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_MAX = 64, BOOT_BYTES = 16384 };

int nng_aio_alloc(void **aio, void (*done)(void *), void *arg);
void nng_stream_dialer_dial(void *dialer, void *aio);

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void *(*next_memalign)(size_t, size_t);
static void (*next_free)(void *);

static atomic_long armed; /* the allocation that fails; 0: none */
static atomic_bool for_ever;
static atomic_long made; /* since it was armed */
static atomic_long failed;
static atomic_long live;
static char trace_path[512];
static int ways_fd = -1;
static _Thread_local bool spared; /* neither counted nor failed */

/* dlsym itself may allocate before we know where to: from here, never freed. */
static _Alignas(16) unsigned char boot[BOOT_BYTES];
static size_t boot_used;
static bool resolving;

static void
resolve(void)
{
    if (next_free != NULL || resolving) {
        return;
    }
    resolving = true;
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_memalign = dlsym(RTLD_NEXT, "memalign");
    *(void **)&next_free = dlsym(RTLD_NEXT, "free");
    resolving = false;
}

static bool
booted(const void *p)
{
    return (const unsigned char *)p >= boot && (const unsigned char *)p < boot + BOOT_BYTES;
}

static void *
boot_take(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > BOOT_BYTES - boot_used) {
        abort();
    }
    boot_used += size;
    return boot + boot_used - size;
}

/* Where it failed: what a person needs who is to mend it. */
static void
tell(void)
{
    void *frames[FRAMES_MAX];
    int fd = trace_path[0] == 0 ? -1 : open(trace_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0) {
        backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), fd);
        close(fd);
    }
}

/* One number for the way that led here: of allocations with the same one, few need a trial. */
static void
note_way(void)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    uint64_t way = 14695981039346656037u; /* FNV-1a over addresses */
    for (int i = 0; i < count; i++) {
        way = (way ^ (uint64_t)(uintptr_t)frames[i]) * 1099511628211u;
    }
    (void)!write(ways_fd, &way, sizeof way);
}

/* Is this the allocation that fails? */
static bool
fails(void)
{
    long at = atomic_load(&armed);
    if (at == 0 || spared) {
        return false;
    }
    long n = atomic_fetch_add(&made, 1) + 1;
    if (ways_fd >= 0) {
        spared = true;
        note_way();
        spared = false;
    }
    if (n != at && !(n > at && atomic_load(&for_ever))) {
        return false;
    }
    if (atomic_fetch_add(&failed, 1) == 0) {
        spared = true;
        tell();
        spared = false;
    }
    errno = ENOMEM;
    return true;
}

static void *
counted(void *p)
{
    if (p != NULL) {
        atomic_fetch_add(&live, 1);
    }
    return p;
}

void *
malloc(size_t size)
{
    resolve();
    if (next_malloc == NULL) {
        return boot_take(size);
    }
    return fails() ? NULL : counted(next_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
    resolve();
    if (next_calloc == NULL) {
        return boot_take(count * size);
    }
    return fails() ? NULL : counted(next_calloc(count, size));
}

void *
realloc(void *old, size_t size)
{
    resolve();
    if (next_realloc == NULL || booted(old)) {
        void *p = next_malloc == NULL ? boot_take(size) : malloc(size);
        if (p != NULL && old != NULL) {
            size_t room = (size_t)(boot + BOOT_BYTES - (unsigned char *)old);
            memcpy(p, old, size < room ? size : room);
        }
        return p;
    }
    if (fails()) {
        return NULL;
    }
    void *p = next_realloc(old, size);
    if (old == NULL) {
        return counted(p);
    }
    if (p == NULL && size == 0) {
        atomic_fetch_sub(&live, 1);
    }
    return p;
}

void *
reallocarray(void *old, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, count * size);
}

void *
memalign(size_t alignment, size_t size)
{
    resolve();
    return fails() ? NULL : counted(next_memalign(alignment, size));
}

void *
aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int
posix_memalign(void **out, size_t alignment, size_t size)
{
    void *p = memalign(alignment, size);
    if (p == NULL) {
        return ENOMEM;
    }
    *out = p;
    return 0;
}

void
free(void *p)
{
    if (p == NULL || booted(p)) {
        return;
    }
    resolve();
    atomic_fetch_sub(&live, 1);
    next_free(p);
}

/* Two places of nng 1.5.2 are spared, and nothing else of it.  It starts with the first call
 * (loop_open and somebody_answers make it before anything is written), and faults when it
 * gets no memory for its threads.  And a dial that gets none for its connection unlocks a
 * lock that it does not hold: nng panics. */
int
nng_aio_alloc(void **aio, void (*done)(void *), void *arg)
{
    static int (*next)(void **, void (*)(void *), void *);
    static atomic_bool started;
    bool was = spared;
    spared = spared || !atomic_exchange(&started, true);
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "nng_aio_alloc");
    }
    int rc = next(aio, done, arg);
    spared = was;
    return rc;
}

void
nng_stream_dialer_dial(void *dialer, void *aio)
{
    static void (*next)(void *, void *);
    bool was = spared;
    spared = true;
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "nng_stream_dialer_dial");
    }
    next(dialer, aio);
    spared = was;
}

void
fail_alloc_arm(long n, bool forever)
{
    atomic_store(&made, 0);
    atomic_store(&failed, 0);
    atomic_store(&for_ever, forever);
    atomic_store(&armed, n);
}

long
fail_alloc_disarm(void)
{
    atomic_store(&armed, 0);
    return atomic_load(&failed);
}

void
fail_alloc_spare(bool spare)
{
    spared = spare;
}

long
fail_alloc_live(void)
{
    return atomic_load(&live);
}

__attribute__((constructor)) static void
begin(void)
{
    const char *n = getenv("HR_FAIL_ALLOC"), *trace = getenv("HR_FAIL_TRACE");
    const char *ways = getenv("HR_FAIL_WAYS");
    void *frames[FRAMES_MAX];
    (void)backtrace(frames, FRAMES_MAX); /* loads what it needs while nothing fails */
    if (trace != NULL) {
        snprintf(trace_path, sizeof trace_path, "%s", trace);
    }
    if (ways != NULL) {
        ways_fd = open(ways, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    if (n != NULL || ways != NULL) {
        fail_alloc_arm(n == NULL ? INT32_MAX : atol(n), n != NULL && strchr(n, '+') != NULL);
    }
}
