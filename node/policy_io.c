#include "node/policy_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/pack_vectors.h"

enum { PATH_BYTES_MAX = 4096 };

static enum status
trouble(const char *path, char *error, size_t error_bytes)
{
    int code = errno;
    snprintf(error, error_bytes, "%s: %s", path, strerror(code));
    return code == ENOENT || code == ENOTDIR ? STATUS_NOT_FOUND
           : code == ENOSPC                  ? STATUS_NO_SPACE
                                             : STATUS_IO;
}

enum status
policy_file_read(const char *path, size_t bytes_max, uint8_t **out, size_t *bytes, char *error,
                 size_t error_bytes)
{
    struct stat about;
    *out = NULL;
    *bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return trouble(path, error, error_bytes);
    }
    enum status st = STATUS_OK;
    uint8_t *data = NULL;
    size_t size = 0;
    if (fstat(fd, &about) != 0) {
        st = trouble(path, error, error_bytes);
    } else if (!S_ISREG(about.st_mode)) {
        snprintf(error, error_bytes, "%s: is not a regular file", path);
        st = STATUS_IO;
    } else if (about.st_size < 0 || (uintmax_t)about.st_size > bytes_max) {
        snprintf(error, error_bytes, "%s: is longer than %zu bytes", path, bytes_max);
        st = STATUS_TOO_BIG;
    } else if ((data = malloc((size_t)about.st_size + 1)) == NULL) {
        st = STATUS_NO_MEMORY;
    }
    while (st == STATUS_OK && size < (size_t)about.st_size) {
        ssize_t got = read(fd, data + size, (size_t)about.st_size - size);
        if (got < 0) {
            st = trouble(path, error, error_bytes);
        } else if (got == 0) {
            break;
        } else {
            size += (size_t)got;
        }
    }
    close(fd);
    if (st != STATUS_OK) {
        free(data);
        return st;
    }
    data[size] = 0;
    *out = data;
    *bytes = size;
    return STATUS_OK;
}

/* A file of the folder that need not be there. */
static enum status
read_optional(const char *folder, const char *name, uint8_t **out, struct view *view,
              char *error, size_t error_bytes)
{
    char path[PATH_BYTES_MAX];
    size_t bytes;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    enum status st =
        policy_file_read(path, HR_PACK_TEXT_BYTES_MAX, out, &bytes, error, error_bytes);
    *view = (struct view){*out, bytes};
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

enum status
policy_folder_read(const char *path, struct policy_folder *out, char *error, size_t error_bytes)
{
    char yaml[PATH_BYTES_MAX];
    size_t bytes = 0;
    memset(out, 0, sizeof *out);
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    out->path = calloc(1, size + 1);
    if (out->path == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(out->path, path, size);
    snprintf(yaml, sizeof yaml, "%s/pack.yaml", out->path);
    enum status st =
        policy_file_read(yaml, HR_PACK_TEXT_BYTES_MAX, &out->yaml, &bytes, error, error_bytes);
    if (st == STATUS_OK) {
        st = read_optional(out->path, "items.csv", &out->items, &out->sources.items, error,
                           error_bytes);
    }
    if (st == STATUS_OK) {
        st = read_optional(out->path, "vectors.jsonl", &out->vectors, &out->vectors_view, error,
                           error_bytes);
    }
    out->sources.folder = out->path;
    out->sources.yaml = (struct view){out->yaml, bytes};
    if (st != STATUS_OK) {
        policy_folder_free(out);
    }
    return st;
}

enum status
policy_folder_build(struct policy_folder *folder, const struct hr_catalog *catalog,
                    size_t *vectors, char *error, size_t error_bytes)
{
    char name[PATH_BYTES_MAX];
    *vectors = 0;
    snprintf(name, sizeof name, "%s/vectors.jsonl", folder->path);
    enum status st = pack_build(&folder->sources, catalog, &folder->built, error, error_bytes);
    if (st == STATUS_OK) {
        st = pack_vectors_run(folder->built.pack, catalog, folder->vectors_view, name, vectors,
                              error, error_bytes);
    }
    return st;
}

void
policy_folder_free(struct policy_folder *folder)
{
    pack_built_free(&folder->built);
    free(folder->path);
    free(folder->yaml);
    free(folder->items);
    free(folder->vectors);
    memset(folder, 0, sizeof *folder);
}

enum status
policy_file_write(const char *path, const uint8_t *bytes, size_t count, char *error,
                  size_t error_bytes)
{
    char draft[PATH_BYTES_MAX];
    if ((size_t)snprintf(draft, sizeof draft, "%s.new", path) >= sizeof draft) {
        snprintf(error, error_bytes, "%.200s: name is too long", path);
        return STATUS_IO;
    }
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return trouble(draft, error, error_bytes);
    }
    enum status st = STATUS_OK;
    for (size_t at = 0; st == STATUS_OK && at < count;) {
        ssize_t put = write(fd, bytes + at, count - at);
        if (put < 0) {
            st = trouble(draft, error, error_bytes);
        } else {
            at += (size_t)put;
        }
    }
    if (st == STATUS_OK && fsync(fd) != 0) {
        st = trouble(draft, error, error_bytes);
    }
    if (close(fd) != 0 && st == STATUS_OK) {
        st = trouble(draft, error, error_bytes);
    }
    if (st == STATUS_OK && rename(draft, path) != 0) {
        st = trouble(path, error, error_bytes);
    }
    if (st != STATUS_OK) {
        unlink(draft);
    }
    return st;
}
