#include "node/home_io.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct home {
    int lock_fd;
};

/* Set the error text and return `st`, so that a failure is one line. */
static enum status __attribute__((format(printf, 3, 4)))
refuse(enum status st, char *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error, HOME_IO_ERROR_CHARS, format, args);
    va_end(args);
    return st;
}

static enum status
from_errno(int code, char *error, const char *doing, const char *path)
{
    const enum status st = code == ENOENT                     ? STATUS_NOT_FOUND
                           : code == EEXIST                   ? STATUS_EXISTS
                           : code == ENOSPC || code == EDQUOT ? STATUS_NO_SPACE
                           : code == ELOOP                    ? STATUS_REFUSED
                                                              : STATUS_IO;
    if (code == ELOOP) {
        return refuse(st, error, "%s %s: it is a symbolic link; name the file itself", doing,
                      path);
    }
    return refuse(st, error, "%s %s: %s", doing, path, strerror(code));
}

enum status
home_io_path(const char *home, const char *name, char out[HOME_IO_PATH_CHARS])
{
    int n = snprintf(out, HOME_IO_PATH_CHARS, "%s%s%s", home, name[0] == 0 ? "" : "/", name);

    return n > 0 && n < HOME_IO_PATH_CHARS ? STATUS_OK : STATUS_TOO_BIG;
}

static enum status
path_or_refuse(const char *home, const char *name, char out[HOME_IO_PATH_CHARS], char *error)
{
    enum status st = home_io_path(home, name, out);

    return st == STATUS_OK ? st
                           : refuse(st, error, "home %.64s...: the path is too long", home);
}

/* Sync the directory that holds `path`, so that a name in it is durable. */
static enum status
sync_parent(const char *path, char *error)
{
    char dir[HOME_IO_PATH_CHARS];
    char *slash;
    int fd, rc;

    (void)snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    if (slash == NULL) {
        (void)snprintf(dir, sizeof dir, ".");
    } else {
        slash[slash == dir ? 1 : 0] = 0;
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return from_errno(errno, error, "sync directory", dir);
    }
    rc = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return rc == 0 ? STATUS_OK : from_errno(rc, error, "sync directory", dir);
}

/* ---- making and owning a home ---- */

static bool
directory_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool empty = dir != NULL;

    while (empty && (errno = 0, entry = readdir(dir)) != NULL) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    empty = empty && errno == 0;
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return empty;
}

bool
home_io_is_home(const char *path)
{
    char store[HOME_IO_PATH_CHARS];
    struct stat st;

    return home_io_path(path, "store", store) == STATUS_OK && stat(store, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

enum status
home_io_create(const char *path, char error[HOME_IO_ERROR_CHARS])
{
    char store[HOME_IO_PATH_CHARS];
    enum status st;

    if ((st = path_or_refuse(path, "store", store, error)) != STATUS_OK) {
        return st;
    }
    bool made = mkdir(path, 0700) == 0;
    if (!made) {
        if (errno != EEXIST) {
            return from_errno(errno, error, "make home", path);
        }
        if (home_io_is_home(path)) {
            return refuse(STATUS_EXISTS, error,
                          "make home %s: there is a home already; choose another directory",
                          path);
        }
        if (!directory_is_empty(path)) {
            return refuse(STATUS_EXISTS, error,
                          "make home %s: it is not an empty directory; choose another", path);
        }
        if (chmod(path, 0700) != 0) {
            return from_errno(errno, error, "make home", path);
        }
    }
    st = mkdir(store, 0700) == 0 ? sync_parent(store, error)
                                 : from_errno(errno, error, "make directory", store);
    st = st == STATUS_OK ? sync_parent(path, error) : st;
    if (st != STATUS_OK) { /* what is left would be refused the next time: it is not empty */
        (void)rmdir(store);
        if (made) {
            (void)rmdir(path);
        }
    }
    return st;
}

static pid_t
read_pid(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* About 3 s. */
enum { LOCK_PAUSE_MS = 20, LOCK_TRIES = 150 };

/* Commands hold a home for a moment: wait for one that is about to end. */
static bool
lock_soon(int fd)
{
    const struct timespec pause = {0, LOCK_PAUSE_MS * 1000000L};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return true;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    errno = EWOULDBLOCK;
    return false;
}

enum status
home_io_own(const char *path, struct home **out, pid_t *holder, char error[HOME_IO_ERROR_CHARS])
{
    char lock[HOME_IO_PATH_CHARS], pid[32];
    struct home *home;
    enum status st;
    int fd, n;

    *out = NULL;
    *holder = 0;
    if ((st = path_or_refuse(path, "lock", lock, error)) != STATUS_OK) {
        return st;
    }
    if (!home_io_is_home(path)) {
        return refuse(STATUS_NOT_FOUND, error,
                      "open home %s: there is none; make one with huren init, or name it with "
                      "--home or HUREN_HOME",
                      path);
    }
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return from_errno(errno, error, "open lock", lock);
    }
    if (!lock_soon(fd)) {
        bool used = errno == EWOULDBLOCK;
        st = from_errno(errno, error, "lock", lock);
        if (used) {
            *holder = read_pid(fd);
            st = refuse(STATUS_BUSY, error,
                        "open home %s: it is already in use by process %ld; stop that process, "
                        "or let it do the work",
                        path, (long)*holder);
        }
        (void)close(fd);
        return st;
    }
    n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if ((home = malloc(sizeof *home)) == NULL || ftruncate(fd, 0) != 0 ||
        pwrite(fd, pid, (size_t)n, 0) != n) {
        st = home == NULL ? refuse(STATUS_NO_MEMORY, error, "open home %s: out of memory", path)
                          : from_errno(errno, error, "write lock", lock);
        free(home);
        (void)close(fd);
        return st;
    }
    home->lock_fd = fd;
    *out = home;
    return STATUS_OK;
}

void
home_io_close(struct home *home)
{
    if (home != NULL) {
        (void)close(home->lock_fd);
        free(home);
    }
}

/* ---- files ---- */

static bool
write_all(int fd, struct view bytes)
{
    while (bytes.count > 0) {
        ssize_t n = write(fd, bytes.bytes, bytes.count);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        bytes.bytes += n;
        bytes.count -= (size_t)n;
    }
    return true;
}

static void
sleep_until(int64_t at_ms)
{
    struct timespec now, at = {(time_t)(at_ms / 1000), (long)(at_ms % 1000) * 1000000};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (at_ms - (int64_t)now.tv_sec * 1000 <= HOME_IO_WAIT_MS_MAX) {
        while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == EINTR) {
        }
    }
}

enum status
home_io_write(const char *path, struct view bytes, mode_t mode, char error[HOME_IO_ERROR_CHARS])
{
    return home_io_write_at(path, bytes, mode, 0, error);
}

enum status
home_io_write_at(const char *path, struct view bytes, mode_t mode, int64_t at_ms,
                 char error[HOME_IO_ERROR_CHARS])
{
    char temporary[HOME_IO_PATH_CHARS];
    struct stat there;
    enum status st;
    int n = snprintf(temporary, sizeof temporary, "%s.new", path), fd;

    if (n < 0 || n >= (int)sizeof temporary) {
        return refuse(STATUS_TOO_BIG, error, "write %.64s...: the path is too long", path);
    }
    if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
        return refuse(STATUS_REFUSED, error, "write %s: it is not a regular file", path);
    }
    /* What a crash left here is ours and worthless. */
    if (unlink(temporary) != 0 && errno != ENOENT) {
        return from_errno(errno, error, "replace", temporary);
    }
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return from_errno(errno, error, "write", temporary);
    }
    if (!write_all(fd, bytes) || fchmod(fd, mode) != 0 || fsync(fd) != 0) {
        st = from_errno(errno, error, "write", temporary);
        (void)close(fd);
        (void)unlink(temporary);
        return st;
    }
    int closed = close(fd);
    sleep_until(at_ms);
    if (closed != 0 || rename(temporary, path) != 0) {
        st = from_errno(errno, error, "write", path);
        (void)unlink(temporary);
        return st;
    }
    return sync_parent(path, error);
}

enum status
home_io_read(const char *path, size_t max, uint8_t **bytes, size_t *count,
             char error[HOME_IO_ERROR_CHARS])
{
    uint8_t *buffer = NULL;
    size_t got = 0, room;
    struct stat file;
    ssize_t n = 1;
    enum status st;
    int fd;

    *bytes = NULL;
    *count = 0;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return from_errno(errno, error, "read", path);
    }
    if (fstat(fd, &file) != 0) {
        st = from_errno(errno, error, "read", path);
        goto cleanup;
    }
    if (!S_ISREG(file.st_mode)) {
        st = refuse(STATUS_REFUSED, error, "read %s: it is not a regular file", path);
        goto cleanup;
    }
    if ((uintmax_t)file.st_size > max) {
        st = refuse(STATUS_TOO_BIG, error, "read %s: %jd bytes are over the limit of %zu", path,
                    (intmax_t)file.st_size, max);
        goto cleanup;
    }
    room = (size_t)file.st_size;
    if ((buffer = malloc(room + 1)) == NULL) {
        st = refuse(STATUS_NO_MEMORY, error, "read %s: out of memory", path);
        goto cleanup;
    }
    while (got < room && n != 0) {
        n = read(fd, buffer + got, room - got);
        if (n < 0 && errno != EINTR) {
            st = from_errno(errno, error, "read", path);
            goto cleanup;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    buffer[got] = 0;
    *bytes = buffer;
    *count = got;
    buffer = NULL;
    st = STATUS_OK;

cleanup:
    free(buffer);
    (void)close(fd);
    return st;
}

/* The hex digits that a small file begins with, hyphens left out.  What /proc
 * shows says that it has no bytes, so it is read as it comes. */
static enum status
read_hex(const char *path, char *out, size_t max)
{
    char bytes[HOME_IO_MACHINE_CHARS];
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool absent = fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR);
    ssize_t count = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (fd >= 0) {
        (void)close(fd);
    }
    for (ssize_t i = 0; i < count && n < max; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c != '-' && !isxdigit(c)) {
            break;
        }
        if (c != '-') {
            out[n++] = (char)tolower(c);
        }
    }
    out[n] = 0;
    return n > 0 ? STATUS_OK : absent || count >= 0 ? STATUS_NOT_FOUND : STATUS_IO;
}

enum status
home_io_machine(char out[HOME_IO_MACHINE_CHARS + 1])
{
    enum status st = read_hex("/etc/machine-id", out, HOME_IO_MACHINE_CHARS);
    return st != STATUS_NOT_FOUND
               ? st
               : read_hex("/proc/sys/kernel/random/boot_id", out, HOME_IO_MACHINE_CHARS);
}
