#include "node/keyfile_io.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_CHARS_MAX = 4096 };

/* Set the error text and return `st`, so that a failure is one line. */
static enum status __attribute__((format(printf, 3, 4)))
refuse(enum status st, char *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error, KEYFILE_IO_ERROR_CHARS, format, args);
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
        return refuse(st, error, "%s key file %s: it is a symbolic link; name the file itself",
                      doing, path);
    }
    if (code == EEXIST) {
        return refuse(st, error, "%s key file %s: it exists and is never overwritten", doing,
                      path);
    }
    return refuse(st, error, "%s key file %s: %s", doing, path, strerror(code));
}

static int
write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n > 0) {
            bytes += n;
            count -= (size_t)n;
        }
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* A new file is durable once its folder is. */
static int
sync_folder(const char *path)
{
    char folder[PATH_CHARS_MAX];
    const char *slash = strrchr(path, '/');
    const size_t chars = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    int fd, code;

    if (chars >= sizeof folder) {
        return ENAMETOOLONG;
    }
    memcpy(folder, path, chars);
    folder[chars] = '\0';
    fd = open(chars == 0 ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    code = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return code;
}

enum status
keyfile_io_write(const char *path, const struct keyfile *key, const struct keyfile_lock *lock,
                 char error[KEYFILE_IO_ERROR_CHARS])
{
    char text[KEYFILE_BYTES_MAX];
    size_t count;
    int fd = -1, code;
    enum status st;

    error[0] = '\0';
    if ((st = keyfile_encode(key, lock, text, sizeof text, &count)) != STATUS_OK) {
        (void)refuse(st, error, "write key file %s: %s", path, status_text(st));
        goto cleanup;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        st = from_errno(errno, error, "write", path);
        goto cleanup;
    }
    code = write_all(fd, text, count);
    if (close(fd) != 0 && code == 0) {
        code = errno;
    }
    if (code == 0) {
        code = sync_folder(path);
    }
    if (code != 0) {
        (void)unlink(path); /* ours: O_EXCL made it */
        st = from_errno(code, error, "write", path);
    }
cleanup:
    sodium_memzero(text, sizeof text);
    return st;
}

/* What a key file must be before its content is looked at. */
static enum status
vet_file(int fd, const char *path, char *error)
{
    struct stat s;

    if (fstat(fd, &s) != 0) {
        return from_errno(errno, error, "read", path);
    }
    if (!S_ISREG(s.st_mode)) {
        return refuse(STATUS_REFUSED, error, "read key file %s: it is not a regular file",
                      path);
    }
    if (s.st_uid != geteuid() && geteuid() != 0) {
        return refuse(STATUS_REFUSED, error,
                      "read key file %s: it belongs to user %ld, not to user %ld who runs this",
                      path, (long)s.st_uid, (long)geteuid());
    }
    if ((s.st_mode & 077) != 0) {
        return refuse(STATUS_REFUSED, error,
                      "read key file %s: others may open it (mode %03o); chmod 600 it, and "
                      "think of its key as known to them",
                      path, (unsigned)(s.st_mode & 0777));
    }
    if (s.st_size > KEYFILE_BYTES_MAX) {
        return refuse(STATUS_TOO_BIG, error,
                      "read key file %s: %lld bytes are too many, a key file has at most %d",
                      path, (long long)s.st_size, KEYFILE_BYTES_MAX);
    }
    return STATUS_OK;
}

/* Read the text; the caller wipes it. */
static enum status
read_text(const char *path, uint8_t text[KEYFILE_BYTES_MAX], size_t *count, char *error)
{
    enum status st;
    int fd;

    *count = 0;
    error[0] = '\0';
    /* O_NONBLOCK: a FIFO must not make us wait. */
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return from_errno(errno, error, "read", path);
    }
    st = vet_file(fd, path, error);
    while (st == STATUS_OK && *count < KEYFILE_BYTES_MAX) {
        const ssize_t n = read(fd, text + *count, KEYFILE_BYTES_MAX - *count);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            st = from_errno(errno, error, "read", path);
        }
        *count += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    return st;
}

/* What to do about a file that does not decode. */
static const char *
advice(enum status st, bool locked)
{
    if (st == STATUS_BAD_KEY) {
        return "this is not its passphrase";
    }
    if (st == STATUS_CORRUPT) {
        return "the file is damaged (its check line does not fit); restore it from a copy";
    }
    if (st == STATUS_UNSUPPORTED) {
        return "its first line names no kind of key file known to this version";
    }
    if (st == STATUS_TOO_BIG && locked) {
        return "it asks for more time or memory than is allowed";
    }
    if (st == STATUS_NO_MEMORY) {
        return "not enough memory to check the passphrase";
    }
    return "it is not a key file";
}

enum status
keyfile_io_read(const char *path, struct view passphrase, struct keyfile *out,
                char error[KEYFILE_IO_ERROR_CHARS])
{
    uint8_t text[KEYFILE_BYTES_MAX];
    size_t count;
    enum status st;

    memset(out, 0, sizeof *out);
    if ((st = read_text(path, text, &count, error)) == STATUS_OK) {
        const struct view whole = {text, count};
        const bool locked = keyfile_is_locked(whole);
        st = keyfile_decode(whole, passphrase, out);
        if (st == STATUS_BAD_KEY && passphrase.count == 0) {
            (void)refuse(st, error, "read key file %s: it needs a passphrase", path);
        } else if (st != STATUS_OK) {
            (void)refuse(st, error, "read key file %s: %s", path, advice(st, locked));
        }
    }
    sodium_memzero(text, sizeof text);
    return st;
}

enum status
keyfile_io_is_locked(const char *path, bool *locked, char error[KEYFILE_IO_ERROR_CHARS])
{
    uint8_t text[KEYFILE_BYTES_MAX];
    size_t count;
    enum status st;

    *locked = false;
    if ((st = read_text(path, text, &count, error)) == STATUS_OK) {
        *locked = keyfile_is_locked((struct view){text, count});
    }
    sodium_memzero(text, sizeof text);
    return st;
}
