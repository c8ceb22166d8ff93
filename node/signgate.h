/* signgate.h: whether own logs may be signed (DESIGN 10; RELIABILITY 4, F13).
 *
 * A home that was restored from a backup, or cloned, must not sign: its next
 * head would contradict one that others hold.  So before the first signature
 * after a start a node hears from a majority of the witnesses what is the
 * largest head of its logs that they know.  Each of its logs has its own state.
 * Pure: time comes with the call. */
#ifndef NODE_SIGNGATE_H
#define NODE_SIGNGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

enum signgate_state {
    SIGNGATE_WAITING = 0, /* too few witnesses heard so far */
    SIGNGATE_OPEN,        /* sign */
    SIGNGATE_HELD,        /* nobody reached in time and no clean start: wait for a bundle,
                             for more witnesses or for the operator's resume */
    SIGNGATE_ROLLBACK,    /* somebody showed a head of ours that we do not contain */
    SIGNGATE_LOST,        /* what we hold contradicts it: this log must be given up */
    SIGNGATE_TWIN,        /* a second process runs under our keys */
};

struct signgate_options {
    bool clean;      /* store, machine id and inode agree with HOME/last-signed */
    bool born;       /* this home was made just now and never signed */
    int64_t wait_ms; /* 0: 60,000 */
};

enum { SIGNGATE_LOGS_MAX = 64 }; /* each restore begins an exch log */

struct signgate_log {
    char origin[ORIGIN_CHARS_MAX + 1];
    enum signgate_state state;
    uint64_t shown_size; /* largest head with our signature that was shown */
    uint16_t heard;      /* bit i: witness i was heard */
};

struct signgate {
    struct signgate_options options;
    int64_t began_ms;
    bool twin;
    bool charter_known; /* signgate_witnesses was called */
    bool changed;
    size_t witness_count; /* without ourselves */
    char witnesses[WITNESSES_MAX][INSTITUTION_CHARS_MAX + 1];
    size_t log_count;
    struct signgate_log logs[SIGNGATE_LOGS_MAX];
};

void signgate_init(struct signgate *gate, const struct signgate_options *options,
                   int64_t now_ms);

/* The witnesses that the charter names, ourselves left out; at most
 * WITNESSES_MAX are looked at.  Who was heard before stays heard.  Call
 * signgate_tick afterwards. */
void signgate_witnesses(struct signgate *gate, const char *const *institutions, size_t count);

/* Add an own log: known already, it is left as it is.  `fresh`: it was begun
 * after the start (a new exch log), nobody can know another head of it. */
void signgate_log_add(struct signgate *gate, const char *origin, bool fresh);

/* A witness was heard about `origin`: it answered itself, or its cosignature
 * was seen on a head.  What it knows is no more than what we hold, or
 * signgate_shown has been called. */
void signgate_heard(struct signgate *gate, const char *origin, const char *witness);

/* A head of `origin` with our own signature was shown that our copy does not
 * contain: larger than ours (`conflict` false), or different at its size. */
void signgate_shown(struct signgate *gate, const char *origin, uint64_t size, bool conflict);

/* Our copy was filled from peers up to `size`, all consistent.
 * Return whether the log came out of SIGNGATE_ROLLBACK. */
bool signgate_refilled(struct signgate *gate, const char *origin, uint64_t size);

/* A session under our own key with another instance id (DESIGN 10). */
void signgate_twin(struct signgate *gate);

/* The operator says: go on.  Opens what waits or is held, not a rollback. */
void signgate_resume(struct signgate *gate);

/* Let time pass.  Return whether any state changed since the last call of any
 * function here, so that the caller can say so. */
bool signgate_tick(struct signgate *gate, int64_t now_ms);

/* WAITING for an origin that is not known. */
enum signgate_state signgate_state(const struct signgate *gate, const char *origin);

/* English, one line, for `status`.  Static. */
const char *signgate_text(enum signgate_state state);

#endif
