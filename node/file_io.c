/* file_io.c: see file_io.h. */
#include "node/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status
from_errno(int code, const char *doing, const char *path, char *error)
{
    snprintf(error, FILE_ERROR_CHARS, "cannot %s %.300s: %s", doing, path, strerror(code));
    return code == ENOENT                     ? STATUS_NOT_FOUND
           : code == EEXIST                   ? STATUS_EXISTS
           : code == ENOSPC || code == EDQUOT ? STATUS_NO_SPACE
                                              : STATUS_IO;
}

static enum status
read_all(int fd, const char *path, size_t bytes_max, uint8_t **out, size_t *count, char *error)
{
    size_t room = 0, used = 0;
    uint8_t *bytes = NULL;
    for (;;) {
        if (room - used < 2) { /* one for the zero byte */
            size_t more = room == 0 ? 64 * 1024 : 2 * room;
            uint8_t *bigger = realloc(bytes, more);
            if (bigger == NULL) {
                free(bytes);
                snprintf(error, FILE_ERROR_CHARS, "cannot read %.300s: out of memory", path);
                return STATUS_NO_MEMORY;
            }
            bytes = bigger;
            room = more;
        }
        ssize_t n = read(fd, bytes + used, room - used - 1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            enum status st = from_errno(errno, "read", path, error);
            free(bytes);
            return st;
        }
        if (n == 0) {
            bytes[used] = 0;
            *out = bytes;
            *count = used;
            return STATUS_OK;
        }
        used += (size_t)n;
        if (used > bytes_max) {
            free(bytes);
            snprintf(error, FILE_ERROR_CHARS, "cannot read %.300s: it is over %zu bytes", path,
                     bytes_max);
            return STATUS_TOO_BIG;
        }
    }
}

enum status
file_read(const char *path, size_t bytes_max, uint8_t **out, size_t *count,
          char error[FILE_ERROR_CHARS])
{
    *out = NULL;
    *count = 0;
    if (strcmp(path, "-") == 0) {
        return read_all(STDIN_FILENO, "standard input", bytes_max, out, count, error);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return from_errno(errno, "read", path, error);
    }
    enum status st = read_all(fd, path, bytes_max, out, count, error);
    close(fd);
    return st;
}

static int
write_all(int fd, struct view bytes)
{
    size_t at = 0;
    while (at < bytes.count) {
        ssize_t n = write(fd, bytes.bytes + at, bytes.count - at);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* So that the new name survives a power failure. */
static int
sync_folder(const char *path)
{
    char folder[FILE_PATH_CHARS_MAX];
    const char *slash = strrchr(path, '/');
    size_t count = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    snprintf(folder, sizeof folder, "%.*s", (int)count, path);
    int fd = open(count == 0 ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int code = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return code;
}

enum status
file_write(const char *path, struct view bytes, unsigned mode, bool replace,
           char error[FILE_ERROR_CHARS])
{
    char other[FILE_PATH_CHARS_MAX];
    int n = snprintf(other, sizeof other, "%s.%ld.new", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof other) {
        return from_errno(ENAMETOOLONG, "write", path, error);
    }
    int fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        return from_errno(errno, "write", path, error);
    }
    int code = write_all(fd, bytes);
    if (close(fd) != 0 && code == 0) {
        code = errno;
    }
    if (code == 0 && replace) {
        code = rename(other, path) == 0 ? 0 : errno;
    } else if (code == 0) {
        code = link(other, path) == 0 ? 0 : errno; /* fails when `path` is there */
        unlink(other);
    }
    if (code == 0) {
        code = sync_folder(path);
    }
    if (code != 0) {
        unlink(other);
        return from_errno(code, "write", path, error);
    }
    return STATUS_OK;
}

bool
file_beside(const char *base, const char *name, char out[FILE_PATH_CHARS_MAX])
{
    const char *slash = strrchr(base, '/');
    int folder = slash == NULL || name[0] == '/' ? 0 : (int)(slash - base) + 1;
    int n = snprintf(out, FILE_PATH_CHARS_MAX, "%.*s%s", folder, base, name);
    return n > 0 && n < FILE_PATH_CHARS_MAX;
}
