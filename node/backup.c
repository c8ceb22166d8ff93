#include "node/backup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/line.h"
#include "node/origin.h"
#include "proto/text.h"

#define FIRST_LINE "huren backup v1"
enum { HEX_CHARS = 2 * HASH_BYTES };

bool
backup_takes(const char *name)
{
    static const char *const never[] = {"lock", "control", "last-signed", BACKUP_LIST};
    static const char *const ends[] = {".new", ".log", ".pid"};
    size_t n = strlen(name);
    if (strcmp(name, BACKUP_STORE) == 0) {
        return true;
    }
    if (n == 0 || n > BACKUP_NAME_CHARS || name[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_')) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        if (strcmp(name, never[i]) == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t m = strlen(ends[i]);
        if (n >= m && strcmp(name + n - m, ends[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* ---- writing ---- */

struct writer {
    char *out;
    size_t max, count;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void
put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->out + w->count, w->max - w->count, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= w->max - w->count) {
        w->full = true;
    } else {
        w->count += (size_t)n;
    }
}

static const char *
hex(const struct hash *hash, char out[HEX_CHARS + 1])
{
    for (size_t i = 0; i < HASH_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", hash->bytes[i]);
    }
    return out;
}

enum status
backup_encode(const struct backup *b, char *out, size_t max, size_t *count)
{
    struct writer w = {out, max, 0, false};
    char h[HEX_CHARS + 1];
    uint8_t salt[BASE64_CHARS(KEYFILE_SALT_BYTES) + 1] = {0};
    struct hash sum;
    put(&w, FIRST_LINE "\ninstitution %s\nmade %" PRId64 "\n", b->institution, b->made_s);
    if (b->sealed) {
        (void)base64_encode((struct view){b->salt, sizeof b->salt}, salt);
        put(&w, "sealed argon2id %" PRIu32 " %" PRIu32 " %s\n", b->passes, b->memory_kib, salt);
    } else {
        put(&w, "sealed no\n");
    }
    for (size_t i = 0; i < b->log_count; i++) {
        put(&w, "log %s %" PRIu64 " %s\n", b->logs[i].origin, b->logs[i].size,
            hex(&b->logs[i].root, h));
    }
    for (size_t i = 0; i < b->file_count; i++) {
        put(&w, "file %s %" PRIu64 " %s\n", b->files[i].name, b->files[i].bytes,
            hex(&b->files[i].sha256, h));
    }
    sha256((const uint8_t *)out, w.count, &sum);
    put(&w, "sum %s\n", hex(&sum, h));
    *count = w.count;
    return w.full ? STATUS_TOO_BIG : STATUS_OK;
}

/* ---- reading ---- */

static bool
take_word(struct view *line, struct view *word)
{
    size_t n = 0;
    while (n < line->count && line->bytes[n] != ' ') {
        n++;
    }
    *word = (struct view){line->bytes, n};
    line->bytes += n < line->count ? n + 1 : n;
    line->count -= n < line->count ? n + 1 : n;
    return n > 0;
}

static bool
read_hex(struct view t, struct hash *out)
{
    if (t.count != HEX_CHARS) {
        return false;
    }
    for (size_t i = 0; i < HEX_CHARS; i++) {
        char c = (char)t.bytes[i];
        int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (v < 0) {
            return false;
        }
        out->bytes[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : out->bytes[i / 2] | v);
    }
    return true;
}

static bool
copy_word(struct view word, char *out, size_t chars)
{
    if (word.count > chars || memchr(word.bytes, 0, word.count) != NULL) {
        return false;
    }
    memcpy(out, word.bytes, word.count);
    out[word.count] = '\0';
    return true;
}

/* `log` and `file` lines: <name> <number> <hash>. */
static bool
read_three(struct view line, char *name, size_t chars, uint64_t *number, struct hash *hash)
{
    struct view word;
    return take_word(&line, &word) && copy_word(word, name, chars) && take_word(&line, &word) &&
           line_decimal(word, INT64_MAX, number) == STATUS_OK && take_word(&line, &word) &&
           read_hex(word, hash) && line.count == 0;
}

static bool
read_sealed(struct view line, struct backup *b)
{
    struct view word;
    uint64_t passes, kib;
    size_t n;
    if (!take_word(&line, &word)) {
        return false;
    }
    if (line_equal(word, text_view("no"))) {
        return line.count == 0;
    }
    b->sealed = true;
    if (!line_equal(word, text_view("argon2id")) || !take_word(&line, &word) ||
        line_decimal(word, KEYFILE_PASSES_MAX, &passes) != STATUS_OK || passes == 0 ||
        !take_word(&line, &word) ||
        line_decimal(word, KEYFILE_MEMORY_KIB_MAX, &kib) != STATUS_OK ||
        kib < KEYFILE_MEMORY_KIB_MIN || !take_word(&line, &word) ||
        base64_decode(word, b->salt, sizeof b->salt, &n) != STATUS_OK || n != sizeof b->salt ||
        line.count != 0) {
        return false;
    }
    b->passes = (uint32_t)passes;
    b->memory_kib = (uint32_t)kib;
    return true;
}

static bool
read_log(struct view line, struct backup *b)
{
    struct origin o;
    if (b->log_count == BACKUP_LOGS_MAX) {
        return false;
    }
    struct backup_log *l = &b->logs[b->log_count++];
    return read_three(line, l->origin, ORIGIN_CHARS_MAX, &l->size, &l->root) &&
           origin_parse(text_view(l->origin), &o) == STATUS_OK;
}

static bool
read_file(struct view line, struct backup *b)
{
    if (b->file_count == BACKUP_FILES_MAX) {
        return false;
    }
    struct backup_file *f = &b->files[b->file_count++];
    if (!read_three(line, f->name, BACKUP_NAME_CHARS, &f->bytes, &f->sha256) ||
        !backup_takes(f->name)) {
        return false;
    }
    for (size_t i = 0; i + 1 < b->file_count; i++) {
        if (strcmp(b->files[i].name, f->name) == 0) {
            return false;
        }
    }
    return true;
}

/* The three lines that every list begins with. */
static bool
read_head(struct view *rest, struct backup *b)
{
    struct view line, word;
    uint64_t made;
    if (line_take(rest, &line) != STATUS_OK || !take_word(&line, &word) ||
        !line_equal(word, text_view("institution")) ||
        !copy_word(line, b->institution, INSTITUTION_CHARS_MAX) ||
        origin_vet_institution(b->institution) != STATUS_OK) {
        return false;
    }
    if (line_take(rest, &line) != STATUS_OK || !take_word(&line, &word) ||
        !line_equal(word, text_view("made")) ||
        line_decimal(line, INT64_MAX, &made) != STATUS_OK) {
        return false;
    }
    b->made_s = (int64_t)made;
    return line_take(rest, &line) == STATUS_OK && take_word(&line, &word) &&
           line_equal(word, text_view("sealed")) && read_sealed(line, b);
}

static enum status
decode(struct view text, struct backup *b)
{
    struct view rest = text, line, word;
    struct hash sum, said;
    bool store = false;
    if (line_take(&rest, &line) != STATUS_OK || !line_equal(line, text_view(FIRST_LINE))) {
        return STATUS_UNSUPPORTED;
    }
    if (!read_head(&rest, b)) {
        return STATUS_MALFORMED;
    }
    for (;;) {
        size_t before = text.count - rest.count;
        if (line_take(&rest, &line) != STATUS_OK || !take_word(&line, &word)) {
            return STATUS_MALFORMED;
        }
        if (line_equal(word, text_view("sum"))) {
            sha256(text.bytes, before, &sum);
            if (!read_hex(line, &said) || rest.count != 0) {
                return STATUS_MALFORMED;
            }
            if (!hash_equal(&sum, &said)) {
                return STATUS_CORRUPT;
            }
            break;
        }
        bool log = line_equal(word, text_view("log"));
        if ((!log && !line_equal(word, text_view("file"))) || (log && b->file_count > 0) ||
            !(log ? read_log(line, b) : read_file(line, b))) {
            return STATUS_MALFORMED;
        }
        store = store || (!log && strcmp(b->files[b->file_count - 1].name, BACKUP_STORE) == 0);
    }
    return store ? STATUS_OK : STATUS_MALFORMED;
}

enum status
backup_decode(struct view text, struct backup *out)
{
    if (text.count > BACKUP_TEXT_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    struct backup *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status st = decode(text, b);
    if (st == STATUS_OK) {
        *out = *b;
    }
    free(b);
    return st;
}
