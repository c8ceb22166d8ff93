/* Goal: a call travels over HOME/control whole, and its answer back; the socket is the
 * owner's alone; a daemon that is not there, or goes, is told apart; nonsense on the
 * socket hurts nobody.
 * Method: the daemon's side on a thread, commands on the main one; limits at N and
 * N+1 in the pure part; plain sockets for the nonsense. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/control.h"
#include "node/control_input.h"
#include "node/net.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
/* See test_net.c. */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
    return "race:pthread_mutex_destroy\nrace:pthread_cond_destroy\n";
}
#endif
#endif

enum { LARGE_BYTES = 3 * 1024 * 1024 + 17 };
static char path[64];
static uint8_t *large;

struct daemon {
    struct net *net;
    struct control *control;
    pthread_t thread;
    atomic_bool stop;
    struct call_sink *later; /* "later" finishes at the next turn of the loop */
    atomic_int calls;
};

static bool
nobody(void *ctx, const char *network, const uint8_t session_public[KEY_BYTES],
       char institution[INSTITUTION_CHARS_MAX + 1])
{
    (void)ctx, (void)network, (void)session_public, (void)institution;
    return false;
}

static const struct network_keys *
no_keys(void *ctx, const char *network)
{
    (void)ctx, (void)network;
    return NULL;
}

static void
no_event(void *ctx, const struct net_event *e)
{
    (void)ctx, (void)e;
}

/* Commands: echo gives everything back, later takes its time, flood answers too much,
 * long writes much text. */
static void
handle(void *ctx, const struct call *call, struct call_sink *sink)
{
    struct daemon *d = ctx;
    atomic_fetch_add(&d->calls, 1);
    if (strcmp(call->command, "later") == 0) {
        if (d->later != NULL) { /* two in one turn of the loop */
            d->later->done(d->later->ctx, 0);
        }
        d->later = sink;
        return;
    }
    if (strcmp(call->command, "flood") == 0) {
        for (int i = 0; i < 100; i++) {
            sink->blob(sink->ctx, "large", (struct view){large, LARGE_BYTES});
        }
        sink->done(sink->ctx, 0);
        return;
    }
    char *args = json_dumps(call->args, JSON_COMPACT);
    sink->text(sink->ctx, false, args, strlen(args));
    sink->text(sink->ctx, true, "warning\n", 8);
    free(args);
    for (size_t i = 0; i < call->blob_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "file %zu", i);
        sink->blob(sink->ctx, name, call->blobs[i]);
    }
    sink->done(sink->ctx, 1);
}

static void *
daemon_main(void *arg)
{
    struct daemon *d = arg;
    while (!atomic_load(&d->stop)) {
        net_run(d->net, -1);
        if (d->later != NULL) {
            struct call_sink *sink = d->later;
            d->later = NULL;
            sink->text(sink->ctx, false, "at last", 7);
            sink->done(sink->ctx, 0);
        }
    }
    control_close(d->control);
    net_close(d->net);
    return NULL;
}

static void
daemon_start(struct daemon *d)
{
    struct net_options o = {.ctx = d, .member = nobody, .keys = no_keys, .event = no_event};
    *d = (struct daemon){0};
    assert_int_equal(net_open(&o, &d->net), STATUS_OK);
    assert_int_equal(control_listen(d->net, path, handle, d, &d->control), STATUS_OK);
    assert_int_equal(pthread_create(&d->thread, NULL, daemon_main, d), 0);
}

static void
daemon_end(struct daemon *d)
{
    atomic_store(&d->stop, true);
    net_wake(d->net);
    assert_int_equal(pthread_join(d->thread, NULL), 0);
}

/* What a command was told. */
struct told {
    char out[4096], err[4096];
    size_t blobs, blob_bytes;
    char last_name[64];
    bool blob_wrong;
    int code;
    int dones;
};

static void
on_text(void *ctx, bool err, const char *text, size_t n)
{
    struct told *t = ctx;
    char *to = err ? t->err : t->out;
    size_t has = strlen(to);
    assert_true(has + n < sizeof t->out);
    memcpy(to + has, text, n);
}

static void
on_blob(void *ctx, const char *name, struct view bytes)
{
    struct told *t = ctx;
    snprintf(t->last_name, sizeof t->last_name, "%s", name);
    t->blobs++;
    t->blob_bytes += bytes.count;
    t->blob_wrong = t->blob_wrong || (bytes.count == LARGE_BYTES &&
                                      memcmp(bytes.bytes, large, bytes.count) != 0);
}

static void
on_done(void *ctx, int code)
{
    struct told *t = ctx;
    t->code = code;
    t->dones++;
}

static enum status
call_it(const char *command, const struct view *blobs, size_t count, struct told *t)
{
    *t = (struct told){.code = -1};
    struct call_sink sink = {t, on_text, on_blob, on_done};
    json_t *args = json_pack("{s:s, s:i}", "item", "LAB.K", "days", 7);
    struct call call = {command, args, blobs, count};
    enum status st = control_call(path, &call, &sink);
    json_decref(args);
    return st;
}

static void
test_a_call_and_its_answer_travel_whole(void **state)
{
    (void)state;
    struct daemon d;
    struct told t;
    struct stat info;
    struct view blobs[3] = {{large, LARGE_BYTES}, {NULL, 0}, {(const uint8_t *)"abc", 3}};
    daemon_start(&d);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISSOCK(info.st_mode));
    assert_int_equal(info.st_mode & 07777, 0600);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(call_it("echo", blobs, 3, &t), STATUS_OK);
        assert_string_equal(t.out, "{\"days\":7,\"item\":\"LAB.K\"}");
        assert_string_equal(t.err, "warning\n");
        assert_int_equal(t.blobs, 3);
        assert_int_equal(t.blob_bytes, LARGE_BYTES + 3);
        assert_false(t.blob_wrong);
        assert_string_equal(t.last_name, "file 2");
        assert_int_equal(t.code, 1);
        assert_int_equal(t.dones, 1);
    }
    assert_int_equal(call_it("later", NULL, 0, &t), STATUS_OK);
    assert_string_equal(t.out, "at last");
    assert_int_equal(t.code, 0);
    daemon_end(&d);
    assert_int_equal(atomic_load(&d.calls), 4);
    assert_int_equal(call_it("echo", NULL, 0, &t), STATUS_UNAVAILABLE);
    assert_int_equal(t.dones, 0);
}

static void
test_an_answer_that_is_too_large_is_cut_and_says_so(void **state)
{
    (void)state;
    struct daemon d;
    struct told t;
    daemon_start(&d);
    assert_int_equal(call_it("flood", NULL, 0, &t), STATUS_OK);
    assert_int_equal(t.code, 2);
    assert_non_null(strstr(t.err, "too large"));
    assert_true(t.blob_bytes <= (size_t)IMPORT_FILE_BYTES_MAX + 32 * 1024 * 1024);
    assert_true(t.blobs > 50);
    assert_int_equal(call_it("echo", NULL, 0, &t), STATUS_OK);
    daemon_end(&d);
}

static void
test_the_path_is_taken_only_from_the_dead(void **state)
{
    (void)state;
    struct daemon d;
    struct net *other;
    struct control *c;
    struct told t;
    struct net_options o = {.member = nobody, .keys = no_keys, .event = no_event};
    assert_int_equal(net_open(&o, &other), STATUS_OK);
    daemon_start(&d);
    assert_int_equal(control_listen(other, path, handle, NULL, &c), STATUS_BUSY);
    assert_null(c);
    assert_int_equal(call_it("echo", NULL, 0, &t), STATUS_OK); /* it was not disturbed */
    daemon_end(&d);

    struct sockaddr_un a = {.sun_family = AF_UNIX}; /* as a killed process leaves it */
    (void)unlink(path);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(call_it("echo", NULL, 0, &t), STATUS_UNAVAILABLE);
    daemon_start(&d);
    assert_int_equal(call_it("echo", NULL, 0, &t), STATUS_OK);
    daemon_end(&d);

    (void)unlink(path);
    FILE *f = fopen(path, "w"); /* somebody's file */
    assert_non_null(f);
    fclose(f);
    assert_int_equal(control_listen(other, path, handle, NULL, &c), STATUS_EXISTS);
    assert_int_equal(access(path, F_OK), 0);
    (void)unlink(path);
    char long_path[200];
    memset(long_path, 'x', sizeof long_path);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(control_listen(other, long_path, handle, NULL, &c), STATUS_TOO_BIG);
    net_close(other);
}

static int
plain_connect(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void
send_frame(int fd, uint8_t kind, bool last, const char *raw)
{
    uint8_t bytes[256];
    struct frame f = {0, kind, last, {NULL, 0}, {(const uint8_t *)raw, strlen(raw)}};
    frame_encode(&f, bytes);
    (void)!send(fd, bytes, frame_bytes(&f), MSG_NOSIGNAL);
}

static void
test_nonsense_and_hanging_up_hurt_nobody(void **state)
{
    (void)state;
    struct daemon d;
    struct told t;
    daemon_start(&d);
    for (int round = 0; round < 50; round++) {
        int fd = plain_connect();
        char c;
        bool cut = true;
        switch (round % 5) {
        case 0:
            (void)!send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
            break;
        case 1:
            send_frame(fd, CONTROL_RUN, true, "");
            break;
        case 2: /* arguments that are not JSON */
            send_frame(fd, CONTROL_COMMAND, true, "echo");
            send_frame(fd, CONTROL_ARGS, true, "{\"a\":");
            send_frame(fd, CONTROL_RUN, true, "");
            break;
        case 3: /* asks and does not wait for the answer */
            send_frame(fd, CONTROL_COMMAND, true, "later");
            send_frame(fd, CONTROL_ARGS, true, "{}");
            send_frame(fd, CONTROL_RUN, true, "");
            cut = false;
            break;
        default: /* says nothing */
            cut = false;
            break;
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (cut) {
            assert_int_equal(poll(&p, 1, 3000), 1);
            assert_true(read(fd, &c, 1) <= 0);
        }
        close(fd);
    }
    assert_int_equal(call_it("echo", NULL, 0, &t), STATUS_OK);
    int held = plain_connect(); /* closing with somebody connected */
    daemon_end(&d);
    close(held);
}

static void
test_the_daemon_going_away_is_an_error_not_an_answer(void **state)
{
    (void)state;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0); /* accepts and hangs up */
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct told t;
    (void)unlink(path);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        char c[4096];
        int one = accept(fd, NULL, NULL);
        (void)!read(one, c, sizeof c);
        _exit(0);
    }
    assert_int_equal(call_it("echo", NULL, 0, &t), STATUS_IO);
    assert_int_equal(t.dones, 0);
    close(fd);
    (void)unlink(path);
}

static void
test_a_call_is_refused_at_its_limits(void **state)
{
    (void)state;
    struct control_input in = {0};
    static uint8_t part[CONTROL_PART_BYTES_MAX];
    struct frame f = {0, CONTROL_COMMAND, true, {NULL, 0}, {(const uint8_t *)"x", 1}};
    assert_int_equal(control_input_take(&in, &f), STATUS_OK);
    assert_int_equal(control_input_take(&in, &f), STATUS_MALFORMED); /* one command */
    memset(part, ' ', sizeof part);
    f = (struct frame){0, CONTROL_ARGS, false, {NULL, 0}, {part, sizeof part}};
    for (size_t n = 0; n + sizeof part <= JSON_BYTES_MAX; n += sizeof part) {
        assert_int_equal(control_input_take(&in, &f), STATUS_OK);
    }
    f.raw.count = 1;
    assert_int_equal(control_input_take(&in, &f), STATUS_TOO_BIG);
    control_input_free(&in);

    f = (struct frame){0, CONTROL_COMMAND, true, {NULL, 0}, {(const uint8_t *)"x", 1}};
    assert_int_equal(control_input_take(&in, &f), STATUS_OK);
    f = (struct frame){0, CONTROL_BLOB, true, {NULL, 0}, {part, 1}};
    assert_int_equal(control_input_take(&in, &f), STATUS_MALFORMED); /* arguments first */
    f = (struct frame){0, CONTROL_ARGS, true, {NULL, 0}, {(const uint8_t *)"{}", 2}};
    assert_int_equal(control_input_take(&in, &f), STATUS_OK);
    f = (struct frame){0, CONTROL_BLOB, true, {NULL, 0}, {part, 1}};
    for (int i = 0; i < CONTROL_BLOBS_MAX; i++) {
        assert_int_equal(control_input_take(&in, &f), STATUS_OK);
    }
    assert_int_equal(control_input_take(&in, &f), STATUS_TOO_BIG);
    in.blob_bytes = IMPORT_FILE_BYTES_MAX;
    assert_int_equal(control_input_take(&in, &f), STATUS_TOO_BIG);
    control_input_free(&in);
    f = (struct frame){0, CONTROL_COMMAND, true, {NULL, 0}, {part, CONTROL_NAME_CHARS_MAX + 1}};
    assert_int_equal(control_input_take(&in, &f), STATUS_MALFORMED);
    f.raw.count--;
    assert_int_equal(control_input_take(&in, &f), STATUS_OK);
    control_input_free(&in);
    assert_false(control_name_ok((struct view){(const uint8_t *)"a\nb", 3}));
    assert_false(control_name_ok((struct view){(const uint8_t *)"a\0b", 3}));
}

int
main(void)
{
    snprintf(path, sizeof path, "/tmp/huren-test-control-%ld", (long)getpid());
    large = malloc(LARGE_BYTES);
    for (size_t i = 0; i < LARGE_BYTES; i++) {
        large[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_daemon_going_away_is_an_error_not_an_answer),
        cmocka_unit_test(test_a_call_and_its_answer_travel_whole),
        cmocka_unit_test(test_an_answer_that_is_too_large_is_cut_and_says_so),
        cmocka_unit_test(test_the_path_is_taken_only_from_the_dead),
        cmocka_unit_test(test_nonsense_and_hanging_up_hurt_nobody),
        cmocka_unit_test(test_a_call_is_refused_at_its_limits),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(large);
    return failed;
}
