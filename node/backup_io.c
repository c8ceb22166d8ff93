#include "node/backup_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/candidates.h"
#include "node/config.h"
#include "node/home_io.h"
#include "proto/text.h"
#include "store/store.h"

enum {
    CHUNK_BYTES = 65536,
    TAG_BYTES = crypto_secretstream_xchacha20poly1305_ABYTES,
    HEADER_BYTES = crypto_secretstream_xchacha20poly1305_HEADERBYTES
};

static enum status __attribute__((format(printf, 3, 4)))
refuse(enum status st, char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error, BACKUP_ERROR_CHARS, format, args);
    va_end(args);
    return st;
}

static enum status
trouble(char *error, const char *doing, const char *path)
{
    int code = errno;
    return refuse(code == ENOSPC || code == EDQUOT ? STATUS_NO_SPACE : STATUS_IO, error,
                  "%s %s: %s", doing, path, code == 0 ? "input/output error" : strerror(code));
}

static enum status
join(const char *folder, const char *name, char out[HOME_IO_PATH_CHARS], char *error)
{
    return home_io_path(folder, name, out) == STATUS_OK
               ? STATUS_OK
               : refuse(STATUS_TOO_BIG, error, "%.64s...: the path is too long", folder);
}

/* ---- bytes through -------------------------------------------------------------- */

/* One file on its way: read from `in`, perhaps sealed or opened, written to `out`
 * (< 0: nowhere); the hash is of what lies in the backup. */
struct copy {
    int in, out;
    const uint8_t *key; /* NULL: as it is */
    bool opening;       /* out of the backup, else into it */
    crypto_hash_sha256_state sha256;
    uint64_t stored; /* bytes in the backup */
    crypto_secretstream_xchacha20poly1305_state stream;
    uint8_t plain[CHUNK_BYTES], sealed[CHUNK_BYTES + TAG_BYTES];
};

static ssize_t
read_full(int fd, uint8_t *bytes, size_t count)
{
    size_t got = 0;
    while (got < count) {
        ssize_t n = read(fd, bytes + got, count - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static bool
write_full(int fd, const uint8_t *bytes, size_t count)
{
    while (fd >= 0 && count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        bytes += n;
        count -= (size_t)n;
    }
    return true;
}

static void
count_stored(struct copy *c, const uint8_t *bytes, size_t count)
{
    (void)crypto_hash_sha256_update(&c->sha256, bytes, count);
    c->stored += count;
}

static enum status
copy_plain(struct copy *c)
{
    ssize_t n;
    while ((n = read_full(c->in, c->plain, CHUNK_BYTES)) > 0) {
        count_stored(c, c->plain, (size_t)n);
        if (!write_full(c->out, c->plain, (size_t)n)) {
            return STATUS_IO;
        }
    }
    return n < 0 ? STATUS_IO : STATUS_OK;
}

static enum status
copy_sealing(struct copy *c)
{
    uint8_t header[HEADER_BYTES];
    bool last = false;
    (void)crypto_secretstream_xchacha20poly1305_init_push(&c->stream, header, c->key);
    count_stored(c, header, sizeof header);
    if (!write_full(c->out, header, sizeof header)) {
        return STATUS_IO;
    }
    while (!last) { /* the last chunk is a short one, perhaps empty */
        ssize_t n = read_full(c->in, c->plain, CHUNK_BYTES);
        if (n < 0) {
            return STATUS_IO;
        }
        last = n < CHUNK_BYTES;
        (void)crypto_secretstream_xchacha20poly1305_push(
            &c->stream, c->sealed, NULL, c->plain, (unsigned long long)n, NULL, 0,
            last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
        count_stored(c, c->sealed, (size_t)n + TAG_BYTES);
        if (!write_full(c->out, c->sealed, (size_t)n + TAG_BYTES)) {
            return STATUS_IO;
        }
    }
    return STATUS_OK;
}

static enum status
copy_opening(struct copy *c)
{
    uint8_t header[HEADER_BYTES], tag = 0, more;
    if (read_full(c->in, header, sizeof header) != HEADER_BYTES ||
        crypto_secretstream_xchacha20poly1305_init_pull(&c->stream, header, c->key) != 0) {
        return STATUS_BAD_KEY;
    }
    count_stored(c, header, sizeof header);
    while (tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL) {
        unsigned long long plain = 0;
        ssize_t n = read_full(c->in, c->sealed, sizeof c->sealed);
        if (n < 0) {
            return STATUS_IO;
        }
        if (n < TAG_BYTES || crypto_secretstream_xchacha20poly1305_pull(
                                 &c->stream, c->plain, &plain, &tag, c->sealed,
                                 (unsigned long long)n, NULL, 0) != 0) {
            return STATUS_BAD_KEY;
        }
        count_stored(c, c->sealed, (size_t)n);
        if (!write_full(c->out, c->plain, (size_t)plain)) {
            return STATUS_IO;
        }
    }
    return read_full(c->in, &more, 1) == 0 ? STATUS_OK : STATUS_CORRUPT;
}

/* The key of one file, so that files cannot take each other's places. */
static void
file_key(const uint8_t master[KEY_BYTES], const char *name, uint8_t out[KEY_BYTES])
{
    static const char context[] = "huren backup v1";
    crypto_generichash_state h;
    crypto_generichash_init(&h, master, KEY_BYTES, KEY_BYTES);
    crypto_generichash_update(&h, (const uint8_t *)context, sizeof context);
    crypto_generichash_update(&h, (const uint8_t *)name, strlen(name));
    crypto_generichash_final(&h, out, KEY_BYTES);
}

/* Copy the file `from` to the new file `to` (NULL: only read it).  `file` gets
 * the size and hash of what lies in the backup. */
static enum status
copy_file(const char *from, const char *to, const uint8_t *master, bool opening,
          struct backup_file *file, char *error)
{
    struct copy *c = calloc(1, sizeof *c);
    uint8_t key[KEY_BYTES];
    struct stat sb;
    enum status st = STATUS_IO;
    if (c == NULL) {
        return refuse(STATUS_NO_MEMORY, error, "copy %s: out of memory", from);
    }
    c->out = -1;
    c->opening = opening;
    crypto_hash_sha256_init(&c->sha256);
    errno = 0;
    c->in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (c->in < 0 || fstat(c->in, &sb) != 0 || !S_ISREG(sb.st_mode)) {
        st = trouble(error, "read", from);
        goto cleanup;
    }
    if (to != NULL) {
        c->out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (c->out < 0 || fchmod(c->out, opening ? 0600 : sb.st_mode & 0644) != 0) {
            st = trouble(error, "write", to);
            goto cleanup;
        }
    }
    if (master != NULL) {
        file_key(master, file->name, key);
        c->key = key;
    }
    st = master == NULL ? copy_plain(c) : opening ? copy_opening(c) : copy_sealing(c);
    if (st == STATUS_BAD_KEY) {
        refuse(st, error, "%s: this is not its passphrase, or it was changed", from);
    } else if (st != STATUS_OK) {
        st = trouble(error, "copy", from);
    } else if (c->out >= 0 && fsync(c->out) != 0) {
        st = trouble(error, "sync", to);
    }
    file->bytes = c->stored;
    (void)crypto_hash_sha256_final(&c->sha256, file->sha256.bytes);
cleanup:
    if (c->in >= 0) {
        (void)close(c->in);
    }
    if (c->out >= 0 && close(c->out) != 0 && st == STATUS_OK) {
        st = trouble(error, "write", to);
    }
    sodium_memzero(key, sizeof key);
    sodium_memzero(c, sizeof *c);
    free(c);
    return st;
}

static enum status
master_key(struct view passphrase, const struct backup *b, uint8_t out[KEY_BYTES], char *error)
{
    if (crypto_pwhash(out, KEY_BYTES, (const char *)passphrase.bytes, passphrase.count, b->salt,
                      b->passes, (size_t)b->memory_kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return refuse(STATUS_NO_MEMORY, error, "no memory to make a key of the passphrase");
    }
    return STATUS_OK;
}

/* ---- folders -------------------------------------------------------------------- */

static enum status
sync_folder(const char *path, char *error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status st = fd < 0 || fsync(fd) != 0 ? trouble(error, "sync", path) : STATUS_OK;
    if (fd >= 0) {
        (void)close(fd);
    }
    return st;
}

/* Remove the regular files of a folder, and the folder: only ever of one that
 * was made here and was empty. */
static void
remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    char file[HOME_IO_PATH_CHARS];
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (home_io_path(path, entry->d_name, file) == STATUS_OK) {
            (void)unlink(file); /* of a folder it fails, as it should */
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
}

static void
remove_made(const char *path)
{
    char store[HOME_IO_PATH_CHARS];
    if (home_io_path(path, "store", store) == STATUS_OK) {
        remove_folder(store);
    }
    remove_folder(path);
}

/* ---- making --------------------------------------------------------------------- */

/* A consistent copy of the store in the empty folder `to`, beside its owner. */
static enum status
copy_store(const char *home, const char *to, char *error)
{
    char path[HOME_IO_PATH_CHARS], data[HOME_IO_PATH_CHARS];
    struct store_options options = {.read_only = true, .handle_of = candidates_handle_of};
    struct store *store;
    enum status st = join(home, "store", path, error);
    st = st == STATUS_OK ? join(to, "data.mdb", data, error) : st;
    if (st != STATUS_OK) {
        return st;
    }
    st = store_open(path, &options, &store);
    if (st != STATUS_OK) {
        return refuse(st, error, "open the store %s: %s", path, status_text(st));
    }
    st = store_copy(store, to);
    store_close(store);
    if (st != STATUS_OK) {
        return refuse(st, error, "copy the store to %s: %s", to, status_text(st));
    }
    return chmod(data, 0600) == 0 ? STATUS_OK : trouble(error, "close to others", data);
}

/* Where the passphrase of the seed stands: a file that does not go beside what it locks.
 * All zero: nowhere. */
static enum status
find_passphrase(const char *home, struct stat *out, char *error)
{
    struct config *config = NULL;
    char why[CONFIG_ERROR_CHARS];
    enum status st = config_load(home, &config, why, sizeof why);
    memset(out, 0, sizeof *out);
    if (st != STATUS_OK) {
        return refuse(st, error, "%s", why);
    }
    if (config->passphrase_file[0] != '\0' && stat(config->passphrase_file, out) != 0) {
        memset(out, 0, sizeof *out);
        st = errno == ENOENT ? STATUS_OK : trouble(error, "read", config->passphrase_file);
    }
    config_free(config);
    return st;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct backup_file *)a)->name, ((const struct backup_file *)b)->name);
}

/* Add HOME/name to the list, if it is a file that goes along. */
static enum status
list_file(const char *home, const char *name, const struct stat *passphrase, struct backup *b,
          char *error)
{
    char path[HOME_IO_PATH_CHARS];
    struct stat sb;
    enum status st = join(home, name, path, error);
    if (st != STATUS_OK) {
        return st;
    }
    if (lstat(path, &sb) !=
        0) { /* gone meanwhile, or a backup without it would be called whole */
        return errno == ENOENT ? STATUS_OK : trouble(error, "read", path);
    }
    if (!S_ISREG(sb.st_mode) ||
        (sb.st_dev == passphrase->st_dev && sb.st_ino == passphrase->st_ino)) {
        return STATUS_OK;
    }
    if (b->file_count == BACKUP_FILES_MAX) {
        return refuse(STATUS_TOO_BIG, error, "%s holds more than %d files", home,
                      BACKUP_FILES_MAX);
    }
    strcpy(b->files[b->file_count++].name, name);
    return STATUS_OK;
}

/* The files of the home that go along, sorted; the store is the first. */
static enum status
list_files(const char *home, struct backup *b, char *error)
{
    const struct dirent *entry;
    struct stat passphrase;
    enum status st = find_passphrase(home, &passphrase, error);
    if (st != STATUS_OK) {
        return st;
    }
    DIR *dir = opendir(home);
    if (dir == NULL) {
        return trouble(error, "read", home);
    }
    strcpy(b->files[0].name, BACKUP_STORE);
    b->file_count = 1;
    while (st == STATUS_OK && (errno = 0, entry = readdir(dir)) != NULL) {
        if (backup_takes(entry->d_name)) {
            st = list_file(home, entry->d_name, &passphrase, b, error);
        }
    }
    if (st == STATUS_OK && errno != 0) {
        st = trouble(error, "read", home);
    }
    (void)closedir(dir);
    qsort(b->files + 1, b->file_count - 1, sizeof b->files[0], by_name);
    return st;
}

static enum status
write_list(const struct backup *b, const char *to, char *error)
{
    char path[HOME_IO_PATH_CHARS], why[HOME_IO_ERROR_CHARS] = "";
    char *text = malloc(BACKUP_TEXT_BYTES_MAX);
    size_t count = 0;
    enum status st =
        text == NULL ? STATUS_NO_MEMORY : backup_encode(b, text, BACKUP_TEXT_BYTES_MAX, &count);
    st = st == STATUS_OK ? join(to, BACKUP_LIST, path, error) : st;
    if (st == STATUS_OK) {
        st = home_io_write(path, (struct view){(const uint8_t *)text, count}, 0600, why);
    }
    free(text);
    return st == STATUS_OK ? st
                           : refuse(st, error, "%s", why[0] != '\0' ? why : status_text(st));
}

static enum status
make_in(const char *home, const char *to, const char *staging, struct view passphrase,
        struct backup *b, char *error)
{
    char from[HOME_IO_PATH_CHARS], file[HOME_IO_PATH_CHARS], store[HOME_IO_PATH_CHARS];
    uint8_t master[KEY_BYTES];
    enum status st = join(to, "store", store, error);
    st = st == STATUS_OK ? copy_store(home, staging, error) : st;
    st = st == STATUS_OK ? backup_check(staging, b, error) : st;
    st = st == STATUS_OK ? list_files(home, b, error) : st;
    if (st == STATUS_OK && passphrase.count > 0) {
        b->sealed = true;
        b->passes = KEYFILE_PASSES;
        b->memory_kib = KEYFILE_MEMORY_KIB;
        randombytes_buf(b->salt, sizeof b->salt);
        st = master_key(passphrase, b, master, error);
    }
    for (size_t i = 0; st == STATUS_OK && i < b->file_count; i++) {
        struct backup_file *f = &b->files[i];
        st = i == 0 ? join(staging, "data.mdb", from, error) : join(home, f->name, from, error);
        st = st == STATUS_OK ? join(to, f->name, file, error) : st;
        if (st == STATUS_OK) { /* the store may lie there already: then it is only hashed */
            st = copy_file(from, strcmp(from, file) == 0 ? NULL : file,
                           b->sealed ? master : NULL, false, f, error);
        }
    }
    sodium_memzero(master, sizeof master);
    st = st == STATUS_OK ? sync_folder(store, error) : st;
    return st == STATUS_OK ? write_list(b, to, error) : st;
}

enum status
backup_make(const char *home, const char *to, struct view passphrase, struct backup *b,
            char error[BACKUP_ERROR_CHARS])
{
    char why[HOME_IO_ERROR_CHARS] = "", why_config[CONFIG_ERROR_CHARS] = "";
    char staging[HOME_IO_PATH_CHARS];
    struct config *config = NULL;
    memset(b, 0, sizeof *b);
    enum status st = config_load(home, &config, why_config, sizeof why_config);
    if (st != STATUS_OK) {
        return refuse(st, error, "%s", why_config);
    }
    strcpy(b->institution, config->institution);
    config_free(config);
    b->made_s = (int64_t)time(NULL);
    /* Nothing readable touches the disk of a sealed backup: the copy is made at home. */
    bool sealing = passphrase.count > 0;
    st = join(sealing ? home : to, sealing ? "backup.new" : "store", staging, error);
    if (st != STATUS_OK) {
        return st;
    }
    st = home_io_create(to, why);
    if (st != STATUS_OK) {
        return refuse(st, error, "%s", why);
    }
    if (sealing) {
        remove_folder(staging); /* what a crash left */
        if (mkdir(staging, 0700) != 0) {
            st = trouble(error, "make", staging);
        }
    }
    st = st == STATUS_OK ? make_in(home, to, staging, passphrase, b, error) : st;
    if (sealing) {
        remove_folder(staging);
    }
    if (st != STATUS_OK) {
        remove_made(to);
    }
    return st;
}

/* ---- putting back --------------------------------------------------------------- */

static enum status
read_list(const char *from, struct backup *b, char *error)
{
    char path[HOME_IO_PATH_CHARS], why[HOME_IO_ERROR_CHARS];
    uint8_t *bytes;
    size_t count;
    enum status st = join(from, BACKUP_LIST, path, error);
    if (st != STATUS_OK) {
        return st;
    }
    st = home_io_read(path, BACKUP_TEXT_BYTES_MAX, &bytes, &count, why);
    if (st != STATUS_OK) {
        return refuse(st, error, "%s: is %s a backup?", why, from);
    }
    st = backup_decode((struct view){bytes, count}, b);
    free(bytes);
    return st == STATUS_OK ? st
                           : refuse(st, error, "%s: %s: the list of this backup was changed",
                                    path, status_text(st));
}

/* Read all files once: nothing is begun with a backup that is not whole. */
static enum status
compare_all(const char *from, const struct backup *b, const uint8_t *master, char *error)
{
    char path[HOME_IO_PATH_CHARS];
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < b->file_count; i++) {
        struct backup_file is = b->files[i];
        st = join(from, is.name, path, error);
        st = st == STATUS_OK ? copy_file(path, NULL, NULL, false, &is, error) : st;
        if (st == STATUS_OK &&
            (is.bytes != b->files[i].bytes || !hash_equal(&is.sha256, &b->files[i].sha256))) {
            st = refuse(STATUS_CORRUPT, error,
                        "%s is not what was written (SHA-256 differs): the backup is damaged",
                        path);
        }
        if (st == STATUS_OK && master != NULL && i + 1 == b->file_count) {
            st = copy_file(path, NULL, master, true, &is, error); /* the right passphrase? */
        }
    }
    return st;
}

/* One file into the home, as `name`. */
static enum status
put_file(const char *from, const char *home, const struct backup_file *f, const char *name,
         const uint8_t *master, char *error)
{
    char path[HOME_IO_PATH_CHARS], to[HOME_IO_PATH_CHARS];
    struct backup_file is = *f;
    enum status st = join(from, f->name, path, error);
    st = st == STATUS_OK ? join(home, name, to, error) : st;
    st = st == STATUS_OK ? copy_file(path, to, master, true, &is, error) : st;
    if (st == STATUS_OK && !hash_equal(&is.sha256, &f->sha256)) {
        st = refuse(STATUS_CORRUPT, error, "%s changed while it was read", path);
    }
    return st;
}

/* config.yaml comes last, and whole: no home opens without it, and half of it must open none.
 */
static enum status
put_config(const char *from, const char *home, const struct backup_file *f,
           const uint8_t *master, char *error)
{
    char path[HOME_IO_PATH_CHARS], to[HOME_IO_PATH_CHARS];
    enum status st = join(home, "config.yaml.new", path, error);
    st = st == STATUS_OK ? join(home, f->name, to, error) : st;
    st = st == STATUS_OK ? put_file(from, home, f, "config.yaml.new", master, error) : st;
    if (st == STATUS_OK && rename(path, to) != 0) {
        st = trouble(error, "write", to);
    }
    return st;
}

static bool
same_logs(const struct backup *a, const struct backup *b)
{
    bool same = a->log_count == b->log_count;
    for (size_t i = 0; same && i < a->log_count; i++) {
        same = strcmp(a->logs[i].origin, b->logs[i].origin) == 0 &&
               a->logs[i].size == b->logs[i].size &&
               hash_equal(&a->logs[i].root, &b->logs[i].root);
    }
    return same;
}

static enum status
fill_home(const char *from, const char *home, const struct backup *b, const uint8_t *master,
          char *error)
{
    char store[HOME_IO_PATH_CHARS];
    struct backup *found = calloc(1, sizeof *found);
    const struct backup_file *config = NULL;
    enum status st = found == NULL ? STATUS_NO_MEMORY : join(home, "store", store, error);
    for (size_t i = 0; st == STATUS_OK && i < b->file_count; i++) {
        if (strcmp(b->files[i].name, "config.yaml") == 0) {
            config = &b->files[i];
        } else {
            st = put_file(from, home, &b->files[i], b->files[i].name, master, error);
        }
    }
    st = st == STATUS_OK ? backup_check(store, found, error) : st;
    if (st == STATUS_OK && !same_logs(b, found)) {
        st = refuse(STATUS_CORRUPT, error,
                    "%s: its logs are not those that the list of the backup names", store);
    }
    st = st == STATUS_OK ? sync_folder(store, error) : st;
    if (st == STATUS_OK && config != NULL) {
        st = put_config(from, home, config, master, error);
    }
    free(found);
    return st == STATUS_OK ? sync_folder(home, error) : st;
}

enum status
backup_restore(const char *from, const char *home, struct view passphrase, struct backup *b,
               char error[BACKUP_ERROR_CHARS])
{
    uint8_t master[KEY_BYTES];
    char why[HOME_IO_ERROR_CHARS];
    struct stat sb;
    if (home_io_is_home(home)) {
        return refuse(
            STATUS_EXISTS, error,
            "%s is a home already, and is left alone: restore into another folder, or "
            "move it away first",
            home);
    }
    bool there = stat(home, &sb) == 0; /* an empty folder is taken, and stays */
    enum status st = read_list(from, b, error);
    if (st == STATUS_OK && b->sealed && passphrase.count == 0) {
        return refuse(STATUS_BAD_KEY, error,
                      "%s is under a passphrase: name its file with --passphrase-file", from);
    }
    st = st == STATUS_OK && b->sealed ? master_key(passphrase, b, master, error) : st;
    const uint8_t *key = b->sealed ? master : NULL;
    st = st == STATUS_OK ? compare_all(from, b, key, error) : st;
    if (st == STATUS_OK && (st = home_io_create(home, why)) != STATUS_OK) {
        (void)refuse(st, error, "%s", why);
    } else if (st == STATUS_OK && (st = fill_home(from, home, b, key, error)) != STATUS_OK) {
        remove_made(home);
        if (there) {
            (void)mkdir(home, 0700);
        }
    }
    sodium_memzero(master, sizeof master);
    return st;
}

enum status
backup_passphrase(const char *path, uint8_t **out, size_t *count,
                  char error[BACKUP_ERROR_CHARS])
{
    char why[HOME_IO_ERROR_CHARS];
    struct stat sb;
    *out = NULL;
    if (stat(path, &sb) == 0 && (sb.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return refuse(STATUS_REFUSED, error,
                      "passphrase file %s: others may read it; chmod 600 it", path);
    }
    enum status st = home_io_read(path, KEYFILE_PASSPHRASE_BYTES_MAX + 2, out, count, why);
    if (st != STATUS_OK) {
        return refuse(st, error, "%s", why);
    }
    while (*count > 0 && ((*out)[*count - 1] == '\n' || (*out)[*count - 1] == '\r')) {
        --*count;
    }
    if (*count == 0) {
        free(*out);
        *out = NULL;
        return refuse(STATUS_REFUSED, error, "passphrase file %s is empty", path);
    }
    return STATUS_OK;
}
