/* HOME/last-signed (home_io.h).  A text, so that an operator can read it:
 *
 *   huren last-signed v1
 *   machine <machine id, or ->
 *   data <device> <inode>
 *   written <Unix milliseconds>
 *   log <origin> <size> <root, hex>      one for each own log
 *   sum <SHA-256 of all lines above, hex>
 *
 * A file system gives an inode number out again once its file is gone, so that
 * a home removed and put back from a copy may have the old one.  What no copying
 * program can set is the time of the last change of the inode (st_ctime): it
 * must lie beside the time that the text was written at. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "node/home_io.h"

#define FIRST_LINE "huren last-signed v1\n"

enum {
    LINE_CHARS_MAX = ORIGIN_CHARS_MAX + 128,
    FILE_BYTES_MAX = HOME_IO_HEADS_MAX * LINE_CHARS_MAX + 1024,
    HEX_CHARS = 2 * HASH_BYTES,
    WRITTEN_MS_MAX = 2000, /* from `written` to the change of the inode */
    LEAD_MS_MAX = HOME_IO_WAIT_MS_MAX,
    WRITE_TRIES = 4
};

static void
to_hex(const struct hash *hash, char out[HEX_CHARS + 1])
{
    for (size_t i = 0; i < HASH_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", hash->bytes[i]);
    }
}

/* The lines that name the machine and the data file.  STATUS_NOT_FOUND: there is no store. */
static enum status
here(const char *home, char *out, size_t max, size_t *count)
{
    char path[HOME_IO_PATH_CHARS], machine[HOME_IO_MACHINE_CHARS + 1];
    struct stat data;
    enum status st = home_io_path(home, "store/data.mdb", path);

    if (st == STATUS_OK && stat(path, &data) != 0) {
        st = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    }
    if (st != STATUS_OK) {
        return st;
    }
    st = home_io_machine(machine);
    *count = (size_t)snprintf(out, max, "machine %s\ndata %ju %ju\n",
                              st == STATUS_OK ? machine : "-", (uintmax_t)data.st_dev,
                              (uintmax_t)data.st_ino);
    return st == STATUS_NOT_FOUND ? STATUS_OK : st; /* without an id no start is clean */
}

static int64_t
milliseconds(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

/* From `written` to the last change of the file at `path`. */
static enum status
changed_after(const char *path, int64_t written, int64_t *ms)
{
    struct stat file;

    if (lstat(path, &file) != 0) {
        return STATUS_IO;
    }
    *ms = milliseconds(&file.st_ctim) - written;
    return STATUS_OK;
}

static bool
is_unchanged(int64_t ms)
{
    return ms >= -WRITTEN_MS_MAX && ms <= WRITTEN_MS_MAX;
}

/* `lead_ms`: it will have its name only then. */
static enum status
compose(const char *home, const struct home_head *heads, size_t count, int64_t lead_ms,
        char *text, size_t *bytes, int64_t *written)
{
    char hex[HEX_CHARS + 1];
    struct timespec now;
    struct hash sum;
    size_t n = sizeof FIRST_LINE - 1, more = 0;
    enum status st = here(home, text + n, FILE_BYTES_MAX - n, &more);

    memcpy(text, FIRST_LINE, n);
    if (st != STATUS_OK) {
        return STATUS_IO;
    }
    n += more;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *written = milliseconds(&now) + lead_ms;
    n += (size_t)snprintf(text + n, LINE_CHARS_MAX, "written %" PRId64 "\n", *written);
    for (size_t i = 0; i < count; i++) {
        to_hex(&heads[i].root, hex);
        n += (size_t)snprintf(text + n, LINE_CHARS_MAX, "log %s %" PRIu64 " %s\n",
                              heads[i].origin, heads[i].size, hex);
    }
    sha256((const uint8_t *)text, n, &sum);
    to_hex(&sum, hex);
    n += (size_t)snprintf(text + n, LINE_CHARS_MAX, "sum %s\n", hex);
    *bytes = n;
    return STATUS_OK;
}

enum status
home_io_signed(const char *home, const struct home_head *heads, size_t count,
               char error[HOME_IO_ERROR_CHARS])
{
    char path[HOME_IO_PATH_CHARS];
    char *text;
    int64_t written = 0, lead_ms = 0, late_ms = 0;
    size_t n;
    enum status st = STATUS_OK;

    if (count > HOME_IO_HEADS_MAX || home_io_path(home, "last-signed", path) != STATUS_OK) {
        (void)snprintf(error, HOME_IO_ERROR_CHARS, "write last-signed: too many logs");
        return STATUS_TOO_BIG;
    }
    if ((text = malloc(FILE_BYTES_MAX)) == NULL) {
        (void)snprintf(error, HOME_IO_ERROR_CHARS, "write HOME/last-signed: out of memory");
        return STATUS_NO_MEMORY;
    }
    /* A disk that takes seconds to sync leaves the two times apart: then it is written for a
     * moment to come, by which it is synced, and gets its name at that moment. */
    for (int i = 0; i < WRITE_TRIES; i++) {
        st = compose(home, heads, count, lead_ms, text, &n, &written);
        if (st != STATUS_OK) {
            (void)snprintf(error, HOME_IO_ERROR_CHARS,
                           "write HOME/last-signed: the store's data file or the machine's id "
                           "cannot be read");
            break;
        }
        st = home_io_write_at(path, (struct view){(const uint8_t *)text, n}, 0600,
                              lead_ms > 0 ? written : 0, error);
        if (st != STATUS_OK || changed_after(path, written, &late_ms) != STATUS_OK ||
            is_unchanged(late_ms)) {
            break;
        }
        late_ms += lead_ms;
        lead_ms = late_ms > 0 ? late_ms + late_ms / 2 + 1000 : 0;
        lead_ms = lead_ms < LEAD_MS_MAX ? lead_ms : LEAD_MS_MAX;
    }
    free(text);
    return st;
}

static bool __attribute__((format(printf, 2, 3))) unclean(char *why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, HOME_IO_ERROR_CHARS, format, args);
    va_end(args);
    return false;
}

/* One line "log ..." against what the store has.  *seen counts the logs. */
static bool
log_agrees(const char *line, const struct home_head *heads, size_t count, home_root_fn root_at,
           void *context, char *why)
{
    char origin[ORIGIN_CHARS_MAX + 1], hex[HEX_CHARS + 1], ours[HEX_CHARS + 1];
    struct hash root;
    uint64_t size;

    _Static_assert(ORIGIN_CHARS_MAX == 160 && HEX_CHARS == 64, "widths in the format below");
    if (sscanf(line, "log %160s %" SCNu64 " %64s", origin, &size, hex) != 3) {
        return unclean(why, "last-signed has a line that is not understood");
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(heads[i].origin, origin) != 0) {
            continue;
        }
        if (size > heads[i].size) {
            return unclean(why,
                           "%s was signed at size %" PRIu64
                           ", and the store holds only %" PRIu64
                           ": it is older than the signature",
                           origin, size, heads[i].size);
        }
        root = heads[i].root;
        if (size < heads[i].size && root_at(context, origin, size, &root) != STATUS_OK) {
            return unclean(why, "%s: its root at size %" PRIu64 " cannot be read", origin,
                           size);
        }
        to_hex(&root, ours);
        return strcmp(ours, hex) == 0 ||
               unclean(why, "%s: the store differs from what was signed at size %" PRIu64,
                       origin, size);
    }
    return unclean(why, "%s was signed, and the store does not have it", origin);
}

/* The text must end with the sum of what stands before it. */
static bool
sum_agrees(const char *text, size_t count, size_t *body)
{
    char hex[HEX_CHARS + 1], line[HEX_CHARS + 6];
    struct hash sum;
    size_t tail = sizeof line - 1; /* "sum ", hex, LF */

    if (count < sizeof FIRST_LINE - 1 + tail ||
        memcmp(text, FIRST_LINE, sizeof FIRST_LINE - 1) != 0) {
        return false;
    }
    *body = count - tail;
    sha256((const uint8_t *)text, *body, &sum);
    to_hex(&sum, hex);
    (void)snprintf(line, sizeof line, "sum %s\n", hex);
    return memcmp(text + *body, line, tail) == 0 && memchr(text, 0, count) == NULL;
}

/* `place`: the lines of `here`; `changed_ms`: when the file was. */
static bool
lines_agree(const char *place, int64_t changed_ms, char *text, size_t count,
            const struct home_head *heads, size_t heads_count, home_root_fn root_at,
            void *context, char *why)
{
    size_t body, n = strlen(place);
    char *at = text + sizeof FIRST_LINE - 1;

    if (!sum_agrees(text, count, &body)) {
        return unclean(why, "last-signed is damaged");
    }
    text[body] = 0;
    if (strncmp(place, "machine -", 9) == 0) {
        return unclean(why, "this machine has no id (/etc/machine-id)");
    }
    if (strncmp(at, place, n) != 0) {
        return unclean(why, "the store was copied, or moved from another machine");
    }
    char *rest;
    at += n;
    if (strncmp(at, "written ", 8) != 0) {
        return unclean(why, "last-signed does not say when it was written");
    }
    int64_t written = strtoll(at + 8, &rest, 10);
    if (*rest != '\n') {
        return unclean(why, "last-signed has a line that is not understood");
    }
    if (!is_unchanged(changed_ms - written)) {
        return unclean(why, "last-signed was copied, or put back from a copy");
    }
    for (at = rest + 1; *at != 0;) {
        char *end = strchr(at, '\n');
        if (end == NULL) {
            return unclean(why, "last-signed has a line that is not understood");
        }
        *end = 0;
        if (!log_agrees(at, heads, heads_count, root_at, context, why)) {
            return false;
        }
        at = end + 1;
    }
    return true;
}

enum status
home_io_is_clean(const char *home, const struct home_head *heads, size_t count,
                 home_root_fn root_at, void *context, bool *clean,
                 char why[HOME_IO_ERROR_CHARS])
{
    char path[HOME_IO_PATH_CHARS], place[HOME_IO_MACHINE_CHARS + 96];
    uint8_t *bytes;
    size_t got;
    int64_t changed_ms = 0;
    enum status st = home_io_path(home, "last-signed", path);

    why[0] = 0;
    *clean = false;
    st = st == STATUS_OK ? home_io_read(path, FILE_BYTES_MAX, &bytes, &got, why) : st;
    if (st != STATUS_OK) { /* not there, or not what is written here: a finding */
        return st == STATUS_NOT_FOUND || st == STATUS_REFUSED || st == STATUS_TOO_BIG
                   ? STATUS_OK
                   : st;
    }
    st = here(home, place, sizeof place, &(size_t){0});
    st = st == STATUS_OK ? changed_after(path, 0, &changed_ms) : st;
    if (st != STATUS_OK) {
        (void)unclean(why,
                      "the store's data file, the machine's id or last-signed cannot be read");
        st = st == STATUS_NOT_FOUND ? STATUS_OK : st;
    } else {
        *clean = lines_agree(place, changed_ms, (char *)bytes, got, heads, count, root_at,
                             context, why);
    }
    free(bytes);
    return st;
}
