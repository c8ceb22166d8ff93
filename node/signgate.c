#include "node/signgate.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { SIGNGATE_WAIT_MS = 60000 };

void
signgate_init(struct signgate *gate, const struct signgate_options *options, int64_t now_ms)
{
    memset(gate, 0, sizeof *gate);
    gate->options = *options;
    if (gate->options.wait_ms <= 0) {
        gate->options.wait_ms = SIGNGATE_WAIT_MS;
    }
    gate->began_ms = now_ms;
}

static void
set_state(struct signgate *gate, struct signgate_log *log, enum signgate_state state)
{
    if (log->state != state) {
        log->state = state;
        gate->changed = true;
    }
}

static struct signgate_log *
find(struct signgate *gate, const char *origin)
{
    for (size_t i = 0; i < gate->log_count; i++) {
        if (strcmp(gate->logs[i].origin, origin) == 0) {
            return &gate->logs[i];
        }
    }
    return NULL;
}

void
signgate_witnesses(struct signgate *gate, const char *const *institutions, size_t count)
{
    struct signgate old = *gate;
    gate->witness_count = count < WITNESSES_MAX ? count : WITNESSES_MAX;
    gate->charter_known = true;
    for (size_t i = 0; i < gate->witness_count; i++) {
        (void)snprintf(gate->witnesses[i], sizeof gate->witnesses[i], "%s", institutions[i]);
    }
    for (size_t l = 0; l < gate->log_count; l++) {
        gate->logs[l].heard = 0;
        for (size_t i = 0; i < gate->witness_count; i++) {
            for (size_t k = 0; k < old.witness_count; k++) {
                if ((old.logs[l].heard >> k & 1) != 0 &&
                    strcmp(old.witnesses[k], gate->witnesses[i]) == 0) {
                    gate->logs[l].heard = (uint16_t)(gate->logs[l].heard | 1u << i);
                }
            }
        }
    }
}

void
signgate_log_add(struct signgate *gate, const char *origin, bool fresh)
{
    if (find(gate, origin) != NULL || gate->log_count == SIGNGATE_LOGS_MAX) {
        return;
    }
    struct signgate_log *log = &gate->logs[gate->log_count++];
    memset(log, 0, sizeof *log);
    (void)snprintf(log->origin, sizeof log->origin, "%s", origin);
    if (gate->twin) {
        log->state = SIGNGATE_TWIN;
    } else if (fresh || gate->options.born) {
        log->state = SIGNGATE_OPEN;
    }
    gate->changed = true;
}

void
signgate_heard(struct signgate *gate, const char *origin, const char *witness)
{
    struct signgate_log *log = find(gate, origin);
    for (size_t i = 0; log != NULL && i < gate->witness_count; i++) {
        if (strcmp(gate->witnesses[i], witness) == 0) {
            log->heard = (uint16_t)(log->heard | 1u << i);
        }
    }
}

void
signgate_shown(struct signgate *gate, const char *origin, uint64_t size, bool conflict)
{
    struct signgate_log *log = find(gate, origin);
    if (log == NULL) {
        return;
    }
    if (size > log->shown_size) {
        log->shown_size = size;
    }
    if (gate->twin) {
        return;
    }
    if (conflict) {
        set_state(gate, log, SIGNGATE_LOST);
    } else if (log->state != SIGNGATE_LOST) {
        set_state(gate, log, SIGNGATE_ROLLBACK);
    }
}

bool
signgate_refilled(struct signgate *gate, const char *origin, uint64_t size)
{
    struct signgate_log *log = find(gate, origin);
    if (log == NULL || log->state != SIGNGATE_ROLLBACK || size < log->shown_size) {
        return false;
    }
    /* Whoever was heard before was heard about a head that is now held; more
     * may be known elsewhere, so the count begins again. */
    log->heard = 0;
    set_state(gate, log, SIGNGATE_WAITING);
    gate->options.clean = false;
    return true;
}

void
signgate_twin(struct signgate *gate)
{
    gate->twin = true;
    for (size_t i = 0; i < gate->log_count; i++) {
        set_state(gate, &gate->logs[i], SIGNGATE_TWIN);
    }
}

void
signgate_resume(struct signgate *gate)
{
    for (size_t i = 0; i < gate->log_count; i++) {
        if (gate->logs[i].state == SIGNGATE_WAITING || gate->logs[i].state == SIGNGATE_HELD) {
            set_state(gate, &gate->logs[i], SIGNGATE_OPEN);
        }
    }
}

static size_t
heard_count(const struct signgate_log *log)
{
    size_t n = 0;
    for (unsigned bits = log->heard; bits != 0; bits &= bits - 1) {
        n++;
    }
    return n;
}

bool
signgate_tick(struct signgate *gate, int64_t now_ms)
{
    bool over = now_ms - gate->began_ms >= gate->options.wait_ms;
    for (size_t i = 0; i < gate->log_count; i++) {
        struct signgate_log *log = &gate->logs[i];
        if (log->state != SIGNGATE_WAITING && log->state != SIGNGATE_HELD) {
            continue;
        }
        if (!gate->charter_known) {
            continue; /* who the witnesses are is not known yet */
        }
        if (gate->witness_count > 0 && heard_count(log) > gate->witness_count / 2) {
            set_state(gate, log, SIGNGATE_OPEN);
        } else if (gate->witness_count == 0 || over) {
            set_state(gate, log, gate->options.clean ? SIGNGATE_OPEN : SIGNGATE_HELD);
        }
    }
    bool changed = gate->changed;
    gate->changed = false;
    return changed;
}

enum signgate_state
signgate_state(const struct signgate *gate, const char *origin)
{
    for (size_t i = 0; i < gate->log_count; i++) {
        if (strcmp(gate->logs[i].origin, origin) == 0) {
            return gate->logs[i].state;
        }
    }
    return gate->twin ? SIGNGATE_TWIN : SIGNGATE_WAITING;
}

const char *
signgate_text(enum signgate_state state)
{
    switch (state) {
    case SIGNGATE_WAITING:
        return "not signing yet: waiting to hear from a majority of the witnesses";
    case SIGNGATE_OPEN:
        return "signing";
    case SIGNGATE_HELD:
        return "not signing: this is not a clean start and the witnesses cannot be reached; "
               "connect, apply a bundle, or run resume";
    case SIGNGATE_ROLLBACK:
        return "not signing: this home is older than what it signed before (restored or "
               "cloned); its entries are being taken back from the members";
    case SIGNGATE_LOST:
        return "not signing: this log contradicts what was signed before and must be given up";
    case SIGNGATE_TWIN:
        return "not signing: another process runs with the keys of this home; stop one of them "
               "and start again";
    }
    return "unknown";
}
