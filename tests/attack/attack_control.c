/* HOME/control under attack: garbage, huge announcements, calls that are never ended,
 * connections that never speak, answers that are never read.
 *
 * usage: control nonsense HOME
 *        control hold HOME COUNT SECONDS      so many idle connections (until SIGTERM)
 *        control deaf HOME COUNT SECONDS      calls whose answers are never read */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"
#include "node/control.h"

static int
knock(const char *home)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if ((size_t)snprintf(at.sun_path, sizeof at.sun_path, "%s/control", home) >=
            sizeof at.sun_path ||
        fd < 0) {
        die("%s/control", home);
    }
    int64_t end = now_ms() + PATIENCE_MS;
    while (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        if (now_ms() > end) {
            die("%s: %s", at.sun_path, strerror(errno));
        }
        sleep_ms(10);
    }
    return fd;
}

static void
say_frame(int fd, uint8_t kind, const char *text)
{
    uint8_t bytes[256];
    struct frame f = {.kind = kind, .last = true};
    f.raw = (struct view){(const uint8_t *)text, strlen(text)};
    frame_encode(&f, bytes);
    (void)send_all(fd, bytes, frame_bytes(&f));
}

static void
nonsense(const char *home)
{
    uint8_t bytes[4096];
    for (int i = 0; i < 300; i++) {
        int fd = knock(home);
        size_t count = 1 + chance(sizeof bytes);
        for (size_t k = 0; k < count; k++) {
            bytes[k] = (uint8_t)chance(256);
        }
        if (i % 3 == 0) {
            frame_put_u32(bytes, i % 2 == 0 ? UINT32_MAX : FRAME_BYTES_MAX + 1);
            count = 4;
        }
        (void)send_all(fd, bytes, count);
        if (i % 3 == 1) {
            abort_connection(fd);
            continue;
        }
        (void)shutdown(fd, SHUT_WR);
        check(drain(fd, PATIENCE_MS) != LATE, "nonsense %d is waited with", i);
        close(fd);
    }
    /* An unknown command is answered, whatever its name. */
    int fd = knock(home);
    say_frame(fd, CONTROL_COMMAND, "format-the-disk");
    say_frame(fd, CONTROL_ARGS, "{}");
    say_frame(fd, CONTROL_RUN, "");
    check(receive_some(fd, bytes, sizeof bytes, PATIENCE_MS) > 0, "an unknown call");
    close(fd);
}

int
attack_control(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "nonsense") == 0) {
        nonsense(argv[2]);
        puts("control: 300 pieces of nonsense");
        return failures() > 0;
    }
    if (argc != 5) {
        die("usage: control nonsense HOME | hold|deaf HOME COUNT SECONDS");
    }
    int count = atoi(argv[3]);
    bool deaf = strcmp(argv[1], "deaf") == 0;
    for (int i = 0; i < count; i++) {
        int fd = knock(argv[2]);
        if (deaf) {
            say_frame(fd, CONTROL_COMMAND, "status");
            say_frame(fd, CONTROL_ARGS, "{\"json\": true}");
            say_frame(fd, CONTROL_RUN, "");
        }
    }
    printf("control: %d connections held\n", count);
    fflush(stdout);
    sleep_ms(1000 * atoi(argv[4]));
    return 0;
}
