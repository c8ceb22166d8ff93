#include "node/call_io.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/control.h"
#include "node/engine.h"
#include "node/home_io.h"
#include "proto/jsonwhole.h"

enum { TURN_MS = 1000, RECEIPT_WAIT_MS = 2000, ERROR_CHARS = 512 };

struct caller {
    struct cli *cli;
    struct engine *engine; /* NULL: none opened yet */
};

/* The default sink, and the exit code that comes through it. */
struct plain {
    struct cli *cli;
    struct call_sink *to; /* NULL: to cli */
    bool done;
    int exit_code;
};

static void
plain_text(void *ctx, bool err, const char *text, size_t n)
{
    struct plain *p = ctx;
    if (p->to != NULL) {
        p->to->text(p->to->ctx, err, text, n);
        return;
    }
    p->cli->said = p->cli->said || err;
    FILE *f = err ? p->cli->err : p->cli->out;
    fwrite(text, 1, n, f);
    fflush(f);
}

static void
plain_blob(void *ctx, const char *name, struct view bytes)
{
    struct plain *p = ctx;
    if (p->to != NULL) {
        p->to->blob(p->to->ctx, name, bytes);
    }
}

static void
plain_done(void *ctx, int exit_code)
{
    struct plain *p = ctx;
    p->done = true;
    p->exit_code = exit_code;
    if (p->to != NULL) {
        p->to->done(p->to->ctx, exit_code);
    }
}

struct caller *
caller_open(struct cli *cli)
{
    struct caller *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->cli = cli;
    }
    return c;
}

/* Open the home in this process and turn the loop until the call is done. */
static int
run_here(struct caller *c, const struct call *call, struct plain *p, struct call_sink *sink)
{
    char error[ERROR_CHARS] = "";
    if (c->engine == NULL) {
        enum status st =
            engine_open(c->cli->home, false, NULL, &c->engine, error, sizeof error);
        char path[HOME_IO_PATH_CHARS];
        if (st == STATUS_BUSY && home_io_path(c->cli->home, "control", path) == STATUS_OK &&
            control_call(path, call, sink) == STATUS_OK) {
            return p->exit_code; /* its owner is a daemon that was just starting */
        }
        if (st != STATUS_OK) {
            return cli_error(c->cli, CLI_TROUBLE, "%s", error);
        }
    }
    engine_call(c->engine, call, sink);
    while (!p->done && !c->engine->stop) {
        engine_turn(c->engine, TURN_MS);
    }
    return p->done ? p->exit_code : CLI_TROUBLE;
}

int
caller_run(struct caller *c, const struct call *call, struct call_sink *sink)
{
    struct plain p = {.cli = c->cli, .to = sink, .exit_code = CLI_TROUBLE};
    struct call_sink own = {&p, plain_text, plain_blob, plain_done};
    if (call->args == NULL ||
        json_whole_mark() != c->cli->mark) { /* half of what was asked is not it */
        return cli_error(c->cli, CLI_TROUBLE, "%s", status_text(STATUS_NO_MEMORY));
    }
    if (c->engine != NULL) {
        return run_here(c, call, &p, &own);
    }
    char path[HOME_IO_PATH_CHARS];
    if (home_io_path(c->cli->home, "control", path) != STATUS_OK) {
        return cli_error(c->cli, CLI_TROUBLE, "the home %s: its path is too long",
                         c->cli->home);
    }
    enum status st = control_call(path, call, &own);
    switch ((int)st) {
    case STATUS_OK:
        return p.exit_code;
    case STATUS_UNAVAILABLE:
        return run_here(c, call, &p, &own);
    case STATUS_IO:
        return cli_error(c->cli, CLI_TROUBLE,
                         "the connection to the daemon of %s was lost; what was asked may have "
                         "been done: look with huren status",
                         c->cli->home);
    default:
        return cli_error(c->cli, CLI_TROUBLE, "the daemon of %s: %s", c->cli->home,
                         status_text(st));
    }
}

void
caller_close(struct caller *c)
{
    if (c != NULL && c->engine != NULL) {
        int64_t until = net_time_ms() + RECEIPT_WAIT_MS;
        while (engine_receipts_open(c->engine) && net_time_ms() < until) {
            engine_turn(c->engine, 50);
        }
        engine_close(c->engine);
    }
    free(c);
}

int
call_run_sink(struct cli *cli, const struct call *call, struct call_sink *sink)
{
    struct caller *c = caller_open(cli);
    if (c == NULL) {
        return cli_error(cli, CLI_TROUBLE, "%s", status_text(STATUS_NO_MEMORY));
    }
    int exit_code = caller_run(c, call, sink);
    caller_close(c);
    return exit_code;
}

int
call_run(struct cli *cli, const struct call *call)
{
    return call_run_sink(cli, call, NULL);
}
