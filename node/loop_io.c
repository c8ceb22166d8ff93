#include "node/loop_op_io.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct loop {
    pthread_mutex_t lock;
    pthread_cond_t posted;
    struct op *first; /* under the lock */
    struct op **last;
    bool woken;
    bool waiting;

    pthread_t reaper;
    pthread_cond_t work; /* for the reaper */
    pthread_cond_t idle; /* it has nothing left to do */
    struct job *jobs;
    struct job **jobs_last;
    bool reaping;
    bool stop;

    size_t alive; /* loop's thread: streams, dials, listeners that are not gone */
    struct loop_listener *listeners;
};

/* ---- time ------------------------------------------------------------------- */

static int64_t
clock_now_ms(clockid_t id)
{
    struct timespec t;
    int rc = clock_gettime(id, &t);
    assert(rc == 0);
    (void)rc;
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
loop_now_ms(void)
{
    return clock_now_ms(CLOCK_MONOTONIC);
}

int64_t
loop_clock_ms(void)
{
    return clock_now_ms(CLOCK_REALTIME);
}

static struct timespec
at_ms(int64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000),
                             .tv_nsec = (long)(ms % 1000) * 1000000};
}

enum status
loop_status(int nng_result)
{
    switch (nng_result) {
    case 0:
        return STATUS_OK;
    case NNG_ENOMEM:
        return STATUS_NO_MEMORY;
    case NNG_EADDRINUSE:
        return STATUS_BUSY;
    case NNG_EINVAL:
    case NNG_EADDRINVAL:
    case NNG_ENOTSUP:
        return STATUS_MALFORMED;
    case NNG_ECONNREFUSED:
    case NNG_EUNREACHABLE:
    case NNG_ETIMEDOUT:
    case NNG_ENOENT:
        return STATUS_UNAVAILABLE;
    default:
        return STATUS_IO;
    }
}

/* ---- reaper ----------------------------------------------------------------- */

static void *
reaper_main(void *arg)
{
    struct loop *l = arg;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (l->jobs == NULL && !l->stop) {
            pthread_cond_wait(&l->work, &l->lock);
        }
        struct job *job = l->jobs;
        if (job == NULL) {
            break;
        }
        l->jobs = job->next;
        if (l->jobs == NULL) {
            l->jobs_last = &l->jobs;
        }
        l->reaping = true;
        pthread_mutex_unlock(&l->lock);
        job->run(job->object); /* may free `job` */
        pthread_mutex_lock(&l->lock);
        l->reaping = false;
        pthread_cond_signal(&l->idle);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

void
loop_reap(struct loop *l, struct job *job, void (*run)(void *object), void *object)
{
    *job = (struct job){NULL, run, object};
    pthread_mutex_lock(&l->lock);
    *l->jobs_last = job;
    l->jobs_last = &job->next;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
}

/* ---- queue ------------------------------------------------------------------ */

/* Runs on a thread of nng. */
static void
op_post(void *arg)
{
    struct op *op = arg;
    struct loop *l = op->loop;
    pthread_mutex_lock(&l->lock);
    op->next = NULL;
    *l->last = op;
    l->last = &op->next;
    if (l->waiting) {
        pthread_cond_signal(&l->posted);
    }
    pthread_mutex_unlock(&l->lock);
}

bool
op_init(struct op *op, struct loop *l, void (*done)(void *owner), void *owner)
{
    *op = (struct op){.loop = l, .done = done, .owner = owner};
    return nng_aio_alloc(&op->aio, op_post, op) == 0;
}

void
op_free(struct op *op)
{
    if (op->aio != NULL) {
        nng_aio_free(op->aio); /* waits for a callback that still runs */
    }
}

void
op_start(struct op *op)
{
    assert(!op->busy);
    op->busy = true;
}

bool
loop_run(struct loop *l, int64_t deadline_ms)
{
    int64_t retry_ms = listeners_deadline_ms(l->listeners);
    struct timespec until = at_ms(deadline_ms < retry_ms ? deadline_ms : retry_ms);
    bool no_limit = deadline_ms == INT64_MAX && retry_ms == INT64_MAX;
    pthread_mutex_lock(&l->lock);
    l->waiting = true;
    int rc = 0;
    while (l->first == NULL && !l->woken && rc != ETIMEDOUT) {
        rc = no_limit ? pthread_cond_wait(&l->posted, &l->lock)
                      : pthread_cond_timedwait(&l->posted, &l->lock, &until);
    }
    bool woken = l->woken;
    l->waiting = false;
    l->woken = false;
    struct op *op = l->first;
    l->first = NULL;
    l->last = &l->first;
    pthread_mutex_unlock(&l->lock);
    while (op != NULL) {
        struct op *next = op->next; /* `done` may start it again */
        op->busy = false;
        op->done(op->owner);
        op = next;
    }
    listeners_retry(l->listeners);
    return woken;
}

void
loop_wake(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->woken = true;
    pthread_cond_signal(&l->posted);
    pthread_mutex_unlock(&l->lock);
}

enum status
loop_open(struct loop **out)
{
    *out = NULL;
    struct loop *l = calloc(1, sizeof *l);
    pthread_condattr_t attr;
    nng_aio *aio = NULL;
    /* nng starts here, before anything is written: 1.5.2 faults when it gets no threads. */
    if (l == NULL || nng_aio_alloc(&aio, NULL, NULL) != 0) {
        free(l);
        return STATUS_NO_MEMORY;
    }
    nng_aio_free(aio);
    l->last = &l->first;
    l->jobs_last = &l->jobs;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->posted, &attr);
    pthread_cond_init(&l->work, &attr);
    pthread_cond_init(&l->idle, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&l->reaper, NULL, reaper_main, l) != 0) {
        free(l);
        return STATUS_IO;
    }
    *out = l;
    return STATUS_OK;
}

void
loop_close(struct loop *l, int64_t wait_ms)
{
    if (l == NULL) {
        return;
    }
    int64_t end_ms = loop_now_ms() + wait_ms;
    while (l->alive > 0 && loop_now_ms() < end_ms) {
        (void)loop_run(l, end_ms);
    }
    struct timespec until = at_ms(end_ms);
    int rc = 0;
    pthread_mutex_lock(&l->lock);
    while ((l->jobs != NULL || l->reaping) && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&l->idle, &l->lock, &until);
    }
    bool hangs = l->alive > 0 || l->jobs != NULL || l->reaping;
    l->stop = true;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
    if (hangs) { /* its memory may still be used: leave it (N9) */
        pthread_detach(l->reaper);
        return;
    }
    pthread_join(l->reaper, NULL);
    pthread_cond_destroy(&l->posted);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->idle);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void
loop_hold(struct loop *l)
{
    l->alive++;
}

void
loop_release(struct loop *l)
{
    assert(l->alive > 0);
    l->alive--;
}

struct loop_listener *
loop_listeners(struct loop *l)
{
    return l->listeners;
}

void
loop_set_listeners(struct loop *l, struct loop_listener *first)
{
    l->listeners = first;
}
