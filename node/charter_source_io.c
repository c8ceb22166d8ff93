/* charter_source_io.c: see charter_source_io.h. */
#include "node/charter_source_io.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/keys.h"
#include "crypto/line.h"
#include "node/charter_build.h"
#include "node/charter_key.h"
#include "node/file_io.h"
#include "node/origin.h"
#include "proto/charter.pb-c.h"
#include "proto/civil.h"
#include "proto/text.h"

enum {
    SOURCE_BYTES_MAX = 16 * 1024 * 1024,
    BUILD_HEAP_BYTES_MAX = 1024 * 1024 * 1024,
    VALID_DAYS_MAX = 36500,
    DAY_S = 86400,
    UTC8_MIN = 480
};

/* ---- helpers -------------------------------------------------------------- */

void *
source_alloc(struct charter_source *s, size_t bytes)
{
    void *p = s->arena.allocator.alloc(s->arena.allocator.allocator_data, bytes + 1);
    if (p != NULL) {
        memset(p, 0, bytes + 1);
    }
    return p;
}

char *
source_text(struct charter_source *s, const char *text)
{
    size_t count = strlen(text);
    char *copy = source_alloc(s, count);
    if (copy != NULL) {
        memcpy(copy, text, count);
    }
    return copy;
}

enum status
source_fail(struct charter_source *s, enum status st, const char *entry, const char *value,
            const char *format, ...)
{
    char what[CHARTER_SOURCE_ERROR_CHARS / 2];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const char *name = s->table_name != NULL ? s->table_name : s->o->path;
    size_t line =
        s->table_name != NULL ? s->table_line : charter_yaml_line(s->text, entry, value);
    snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "%.300s:%zu: %s", name, line, what);
    return st;
}

enum status
source_no_memory(struct charter_source *s)
{
    return source_fail(s, STATUS_NO_MEMORY, NULL, NULL, "out of memory");
}

enum status
source_yes_no(struct charter_source *s, const char *entry, const char *field, const char *value,
              bool missing, bool *out)
{
    if (value == NULL || value[0] == 0) {
        *out = missing;
        return STATUS_OK;
    }
    *out = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
    if (!*out && strcmp(value, "no") != 0 && strcmp(value, "false") != 0) {
        return source_fail(s, STATUS_MALFORMED, entry, value, "%s: '%s' is not yes or no",
                           field, value);
    }
    return STATUS_OK;
}

enum status
source_number(struct charter_source *s, const char *entry, const char *field, const char *value,
              uint64_t max, uint64_t *out)
{
    if (value == NULL || line_decimal(text_view(value), max, out) != STATUS_OK) {
        return source_fail(s, STATUS_MALFORMED, entry, value,
                           "%s: '%s' is not a decimal number up to %llu, without leading zeros",
                           field, value == NULL ? "" : value, (unsigned long long)max);
    }
    return STATUS_OK;
}

enum status
source_read(struct charter_source *s, const char *name, size_t bytes_max, uint8_t **out,
            size_t *count)
{
    char path[FILE_PATH_CHARS_MAX], error[FILE_ERROR_CHARS];
    *out = NULL;
    if (!file_beside(s->o->path, name, path)) {
        return source_fail(s, STATUS_TOO_BIG, name, NULL, "the name of a file is too long");
    }
    enum status st = file_read(path, bytes_max, out, count, error);
    return st == STATUS_OK ? st : source_fail(s, st, name, NULL, "%s", error);
}

/* The text between the last two quotes of a reason: the value that is wrong. */
static const char *
blamed_value(const char *reason, char out[CHARTER_REASON_CHARS])
{
    const char *last = strrchr(reason, '\''), *p = last;
    while (p != NULL && p > reason && p[-1] != '\'') {
        p--;
    }
    snprintf(out, CHARTER_REASON_CHARS, "%.*s", last == NULL ? 0 : (int)(last - p),
             p == NULL ? "" : p);
    return out;
}

enum status
source_add(struct charter_source *s, ProtobufCMessage *row, const char *entry)
{
    char reason[CHARTER_REASON_CHARS], value[CHARTER_REASON_CHARS];
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *again;
    size_t bytes = protobuf_c_message_get_packed_size(row);
    uint8_t *packed = malloc(bytes + 1);
    if (packed == NULL) {
        return source_no_memory(s);
    }
    protobuf_c_message_pack(row, packed);
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = charter_row_decode(s->head.kind, s->head.network,
                                        (struct view){packed, bytes}, &arena, &again, reason);
    pb_free(&arena);
    free(packed);
    if (st != STATUS_OK) {
        return source_fail(s, st, entry, blamed_value(reason, value), "%s", reason);
    }
    if (s->row_count == s->row_room) {
        size_t room = s->row_room == 0 ? 64 : 2 * s->row_room;
        ProtobufCMessage **more = realloc(s->rows, room * sizeof *more);
        if (more == NULL) {
            return source_no_memory(s);
        }
        s->rows = more;
        s->row_room = room;
    }
    s->rows[s->row_count++] = row;
    return STATUS_OK;
}

bool
source_hash(const char *text, uint8_t hash[HASH_BYTES])
{
    size_t count;
    return strlen(text) == 2 * HASH_BYTES &&
           sodium_hex2bin(hash, HASH_BYTES, text, 2 * HASH_BYTES, NULL, &count, NULL) == 0 &&
           count == HASH_BYTES;
}

/* ---- head ----------------------------------------------------------------- */

static enum status
read_time(struct charter_source *s, const char *field, const char *text, int64_t missing,
          int64_t *out)
{
    struct civil c;
    if (text == NULL || text[0] == 0) {
        *out = missing;
        return STATUS_OK;
    }
    if (civil_parse_rfc3339(text_view(text), &c) != STATUS_OK || c.precision < CIVIL_DAY) {
        return source_fail(s, STATUS_MALFORMED, field, text,
                           "%s: '%s' is not a time like 2026-11-22T08:00:00+08:00 or a date",
                           field, text);
    }
    *out = civil_unix_ms(&c, UTC8_MIN) / 1000;
    return STATUS_OK;
}

static enum status
read_head(struct charter_source *s)
{
    const struct charter_source_options *o = s->o;
    const char *network = o->network != NULL ? o->network : s->y->network;
    const char *version = o->version != NULL ? o->version : s->y->version;
    const char *days = o->valid_days != NULL ? o->valid_days : s->y->valid_days;
    uint64_t number, valid_days;
    enum status st;
    if (network == NULL || version == NULL || days == NULL) {
        return source_fail(s, STATUS_MALFORMED, NULL, NULL,
                           "a table needs --network, --version and --valid-days");
    }
    s->head.kind = o->kind;
    if (origin_vet_network(network) != STATUS_OK) {
        return source_fail(s, STATUS_MALFORMED, "network", network,
                           "network: '%s' is not a name of a-z 0-9 . - _", network);
    }
    memcpy(s->head.network, network, strlen(network) + 1);
    if ((st = source_number(s, "version", "version", version, INT64_MAX, &number)) !=
            STATUS_OK ||
        (st = source_number(s, "valid_days", "valid_days", days, VALID_DAYS_MAX,
                            &valid_days)) != STATUS_OK ||
        (st = read_time(s, "issued_at", s->y->issued_at, o->now_s, &s->head.issued_at_s)) !=
            STATUS_OK ||
        (st = read_time(s, "valid_from", s->y->valid_from, s->head.issued_at_s,
                        &s->head.valid_from_s)) != STATUS_OK) {
        return st;
    }
    if (number == 0 || valid_days == 0) {
        return source_fail(s, STATUS_MALFORMED, number == 0 ? "version" : "valid_days", NULL,
                           "version and valid_days begin at 1");
    }
    if (s->head.issued_at_s < 0 || s->head.valid_from_s < s->head.issued_at_s) {
        return source_fail(s, STATUS_MALFORMED, "valid_from", NULL,
                           "valid_from is before issued_at, or issued_at before 1970");
    }
    s->head.version = number;
    s->head.stale_after_s = s->head.valid_from_s + (int64_t)valid_days * DAY_S;
    return STATUS_OK;
}

static enum status
read_previous(struct charter_source *s)
{
    const char *name = s->o->previous;
    char error[FILE_ERROR_CHARS], reason[CHARTER_REASON_CHARS];
    size_t count;
    enum status st;
    if (name != NULL) { /* given on the command line: seen from here */
        st = file_read(name, CHARTER_FILE_BYTES_MAX, &s->previous_file, &count, error);
        if (st != STATUS_OK) {
            snprintf(s->error, CHARTER_SOURCE_ERROR_CHARS, "%s", error);
            return st;
        }
    } else {
        name = s->y->previous;
        if (name == NULL || name[0] == 0) {
            return s->head.version == 1 ||
                           (s->head.kind != CHARTER_ROOT && s->head.kind != CHARTER_MEMBERS)
                       ? STATUS_OK
                       : source_fail(
                             s, STATUS_MALFORMED, "version", s->y->version,
                             "from version 2 on %s names the file of the version before: "
                             "previous",
                             charter_kind_text(s->head.kind));
        }
        if ((st = source_read(s, name, CHARTER_FILE_BYTES_MAX, &s->previous_file, &count)) !=
            STATUS_OK) {
            return st;
        }
    }
    st = charter_document_decode((struct view){s->previous_file, count}, &s->previous, reason);
    if (st != STATUS_OK) {
        return source_fail(s, st, "previous", name, "%s: %s", name, reason);
    }
    const struct charter_head *h = &s->previous.head;
    if (h->kind != s->head.kind || strcmp(h->network, s->head.network) != 0 ||
        h->version >= s->head.version ||
        (h->kind == CHARTER_ROOT && h->version + 1 != s->head.version)) {
        return source_fail(s, STATUS_MALFORMED, "previous", name,
                           "%s is %s %llu of %s, not the version before this one", name,
                           charter_kind_text(h->kind), (unsigned long long)h->version,
                           h->network);
    }
    return STATUS_OK;
}

/* ---- root ----------------------------------------------------------------- */

static enum status
read_key(struct charter_source *s, const struct yaml_charter_key *k, Hr__RootRow *row)
{
    struct charter_public_key key;
    uint8_t *bytes = NULL;
    size_t count;
    if (k->file != NULL && k->file[0] != 0) {
        enum status st = source_read(s, k->file, CHARTER_PUBLIC_KEY_BYTES_MAX, &bytes, &count);
        if (st != STATUS_OK) {
            return st;
        }
        st = charter_public_key_decode((struct view){bytes, count}, &key);
        free(bytes);
        if (st != STATUS_OK) {
            return source_fail(s, st, k->file, NULL,
                               "%s is not a public key file of `huren charter keygen`: %s",
                               k->file, status_text(st));
        }
        if ((k->name != NULL && strcmp(k->name, key.name) != 0) || k->public_key != NULL) {
            return source_fail(s, STATUS_MALFORMED, k->file, NULL,
                               "%s holds the key of '%s'; leave out name and public_key",
                               k->file, key.name);
        }
    } else {
        if (k->name == NULL || k->public_key == NULL) {
            return source_fail(s, STATUS_MALFORMED, "keys", k->name,
                               "a key has either file, or name and public_key");
        }
        if (strlen(k->name) >= sizeof key.name ||
            base64_decode(text_view(k->public_key), key.public_key, KEY_BYTES, &count) !=
                STATUS_OK ||
            count != KEY_BYTES) {
            return source_fail(s, STATUS_MALFORMED, k->name, k->public_key,
                               "public_key of '%s' is not the base64 of 32 bytes", k->name);
        }
        strcpy(key.name, k->name);
    }
    row->name = source_text(s, key.name);
    row->public_key.data = source_alloc(s, KEY_BYTES);
    row->public_key.len = KEY_BYTES;
    if (row->name == NULL || row->public_key.data == NULL) {
        return source_no_memory(s);
    }
    memcpy(row->public_key.data, key.public_key, KEY_BYTES);
    return STATUS_OK;
}

/* Put roles into the order of the format. */
static enum status
read_roles(struct charter_source *s, const struct yaml_charter_key *k, Hr__RootRow *row)
{
    row->roles = source_alloc(s, (k->roles.at_count + 1) * sizeof *row->roles);
    if (row->roles == NULL) {
        return source_no_memory(s);
    }
    for (unsigned kind = 0; kind < CHARTER_KIND_COUNT; kind++) {
        for (uint32_t i = 0; i < k->roles.at_count; i++) {
            if (strcmp(k->roles.at[i], charter_kind_text((enum charter_kind)kind)) == 0) {
                row->roles[row->n_roles++] = k->roles.at[i];
                break;
            }
        }
    }
    if (row->n_roles != k->roles.at_count) {
        return source_fail(s, STATUS_MALFORMED, row->name, "roles",
                           "roles of '%s' are of root, members, quality, policy, each once",
                           row->name);
    }
    return STATUS_OK;
}

static enum status
add_hashes(struct charter_source *s, const char *name, const uint8_t *hashes, size_t count)
{
    Hr__RootRow *row = source_alloc(s, sizeof *row);
    if (row == NULL) {
        return source_no_memory(s);
    }
    hr__root_row__init(row);
    row->name = source_text(s, name);
    row->hashes = source_alloc(s, count * sizeof *row->hashes);
    if (row->name == NULL || row->hashes == NULL) {
        return source_no_memory(s);
    }
    for (size_t i = 0; i < count; i++) {
        row->hashes[i].data = source_alloc(s, HASH_BYTES);
        row->hashes[i].len = HASH_BYTES;
        if (row->hashes[i].data == NULL) {
            return source_no_memory(s);
        }
        memcpy(row->hashes[i].data, hashes + i * HASH_BYTES, HASH_BYTES);
    }
    row->n_hashes = count;
    return source_add(s, &row->base, name);
}

static enum status
add_voids(struct charter_source *s)
{
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        char name[32];
        uint8_t hashes[64 * HASH_BYTES];
        size_t count = 0;
        for (uint32_t i = 0; i < s->y->voids_count; i++) {
            const struct yaml_void *v = &s->y->voids[i];
            enum charter_kind kind;
            if (!charter_kind_parse(text_view(v->kind), &kind)) {
                return source_fail(s, STATUS_MALFORMED, "void", v->kind, "kind '%s' is unknown",
                                   v->kind);
            }
            if (kind != (enum charter_kind)k) {
                continue;
            }
            if (count == 64 || !source_hash(v->hash, hashes + count * HASH_BYTES)) {
                return source_fail(s, STATUS_MALFORMED, "void", v->hash,
                                   "hash '%s' is not 64 hex digits, or over 64 of them",
                                   v->hash);
            }
            count++;
        }
        snprintf(name, sizeof name, "void/%s", charter_kind_text((enum charter_kind)k));
        enum status st = count == 0 ? STATUS_OK : add_hashes(s, name, hashes, count);
        if (st != STATUS_OK) {
            return st;
        }
    }
    return STATUS_OK;
}

static enum status
build_root(struct charter_source *s)
{
    const struct yaml_thresholds *t = s->y->thresholds;
    if (t == NULL) {
        return source_fail(s, STATUS_MALFORMED, NULL, NULL, "a root is written as YAML");
    }
    const char *thresholds[CHARTER_KIND_COUNT] = {t->root, t->members, t->quality, t->policy};
    enum status st = STATUS_OK;
    for (uint32_t i = 0; st == STATUS_OK && i < s->y->keys_count; i++) {
        Hr__RootRow *row = source_alloc(s, sizeof *row);
        if (row == NULL) {
            return source_no_memory(s);
        }
        hr__root_row__init(row);
        if ((st = read_key(s, &s->y->keys[i], row)) == STATUS_OK &&
            (st = read_roles(s, &s->y->keys[i], row)) == STATUS_OK) {
            st = source_add(s, &row->base, row->name);
        }
    }
    for (unsigned k = 0; st == STATUS_OK && k < CHARTER_KIND_COUNT; k++) {
        char name[32];
        uint64_t number;
        Hr__RootRow *row = source_alloc(s, sizeof *row);
        if (row == NULL) {
            return source_no_memory(s);
        }
        hr__root_row__init(row);
        st = source_number(s, "thresholds", charter_kind_text((enum charter_kind)k),
                           thresholds[k], CHARTER_KEYS_MAX, &number);
        if (st == STATUS_OK) {
            snprintf(name, sizeof name, "threshold/%s",
                     charter_kind_text((enum charter_kind)k));
            row->name = source_text(s, name);
            row->threshold = (uint32_t)number;
            st = row->name == NULL ? source_no_memory(s)
                                   : source_add(s, &row->base, "thresholds");
        }
    }
    if (st == STATUS_OK && s->previous.whole) {
        st = add_hashes(s, "previous", s->previous.head.hash.bytes, 1);
    }
    return st == STATUS_OK ? add_voids(s) : st;
}

/* ---- all ------------------------------------------------------------------ */

static enum status
build_rows(struct charter_source *s)
{
    switch (s->head.kind) {
    case CHARTER_ROOT:
        return build_root(s);
    case CHARTER_MEMBERS:
        return charter_source_members(s);
    case CHARTER_QUALITY:
        return charter_source_quality(s);
    case CHARTER_POLICY:
        return charter_source_policy(s);
    case CHARTER_KIND_COUNT:
        break;
    }
    return STATUS_UNSUPPORTED;
}

enum status
charter_source_build(const struct charter_source_options *o, uint8_t **file, size_t *file_count,
                     char error[CHARTER_SOURCE_ERROR_CHARS])
{
    struct yaml_charter empty = {0}, *loaded = NULL;
    struct charter_source *s = calloc(1, sizeof *s);
    uint8_t *text = NULL;
    char read_error[FILE_ERROR_CHARS], reason[CHARTER_REASON_CHARS] = "";
    size_t count, length = strlen(o->path);
    bool table = length > 4 && strcmp(o->path + length - 4, ".csv") == 0;
    enum status st;
    *file = NULL;
    *file_count = 0;
    error[0] = 0;
    if (s == NULL) {
        snprintf(error, CHARTER_SOURCE_ERROR_CHARS, "out of memory");
        return STATUS_NO_MEMORY;
    }
    s->o = o;
    s->error = error;
    pb_arena_init(&s->arena, s->arena_memory, sizeof s->arena_memory, BUILD_HEAP_BYTES_MAX);
    st = file_read(o->path, SOURCE_BYTES_MAX, &text, &count, read_error);
    if (st != STATUS_OK) {
        snprintf(error, CHARTER_SOURCE_ERROR_CHARS, "%s", read_error);
        goto cleanup;
    }
    s->text = (struct view){text, count};
    if (!table) {
        st = charter_yaml_load(o->kind, s->text, o->path, &loaded, reason);
        if (st != STATUS_OK) {
            snprintf(error, CHARTER_SOURCE_ERROR_CHARS, "%s", reason);
            goto cleanup;
        }
    }
    s->y = table ? &empty : loaded;
    if ((st = read_head(s)) != STATUS_OK || (st = read_previous(s)) != STATUS_OK ||
        (st = build_rows(s)) != STATUS_OK) {
        goto cleanup;
    }
    st = charter_build(&s->head, s->rows, s->row_count, file, file_count, reason);
    if (st != STATUS_OK) {
        snprintf(error, CHARTER_SOURCE_ERROR_CHARS, "%.300s: %s", o->path, reason);
    }
cleanup:
    charter_document_free(&s->previous);
    free(s->previous_file);
    charter_yaml_free(o->kind, loaded);
    pb_free(&s->arena);
    free(s->rows);
    free(s);
    free(text);
    return st;
}
