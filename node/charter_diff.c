/* charter_diff.c: rows and fields; what they mean is in charter_diff_mean.c. */
#include "node/charter_diff.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_diff_impl.h"
#include "node/charter_show_io.h"
#include "proto/jsonwhole.h"
#include "proto/text.h"

/* ---- values in words -------------------------------------------------------- */

static const char *
or_word(const char *text, const char *word)
{
    return text[0] != '\0' ? text : word;
}

static void
time_words(uint64_t at_s, const char *none, char out[CHARTER_TIME_CHARS])
{
    if (at_s == 0) {
        snprintf(out, CHARTER_TIME_CHARS, "%s", none);
    } else {
        charter_time_text((int64_t)at_s, out);
    }
}

/* First bytes of a key or hash: enough to tell two apart by eye. */
static void
short_hex(const ProtobufCBinaryData *b, char out[24])
{
    size_t n = b->len < 8 ? b->len : 8;
    sodium_bin2hex(out, 24, b->data, n);
}

static json_t *
message_words(const ProtobufCMessage *m)
{
    char from[CHARTER_TIME_CHARS], to[CHARTER_TIME_CHARS], a[24], b[24];
    if (m->descriptor == &hr__round__descriptor) {
        const Hr__Round *r = (const Hr__Round *)m;
        return json_sprintf("%s %s %s", r->organiser, r->date, r->passed ? "passed" : "FAILED");
    }
    if (m->descriptor == &hr__half_year__descriptor) {
        const Hr__HalfYear *h = (const Hr__HalfYear *)m;
        return json_sprintf("%s %s", h->half, h->passed ? "passed" : "FAILED");
    }
    if (m->descriptor == &hr__listing__descriptor) {
        const Hr__Listing *l = (const Hr__Listing *)m;
        return json_sprintf("%s in %s from %s to %s%s%s", l->status, l->pack,
                            or_word(l->from, "ever"), or_word(l->to, "now on"),
                            l->reason[0] != '\0' ? ": " : "", l->reason);
    }
    if (m->descriptor == &hr__alliance__descriptor) {
        const Hr__Alliance *l = (const Hr__Alliance *)m;
        return json_sprintf("%s (%s)", l->id, l->kind);
    }
    if (m->descriptor == &hr__public_keys__descriptor) {
        const Hr__PublicKeys *k = (const Hr__PublicKeys *)m;
        time_words(k->from, "ever", from);
        time_words(k->to, "now on", to);
        short_hex(&k->log, a);
        short_hex(&k->session, b);
        return json_sprintf("log %s.., session %s.., from %s to %s", a, b, from, to);
    }
    if (m->descriptor == &hr__sealed_network_key__descriptor) {
        const Hr__SealedNetworkKey *k = (const Hr__SealedNetworkKey *)m;
        short_hex(&k->sealed, a);
        return json_sprintf("epoch %" PRIu32 " (%s..)", k->epoch, a);
    }
    if (m->descriptor == &hr__network_epoch__descriptor) {
        const Hr__NetworkEpoch *e = (const Hr__NetworkEpoch *)m;
        time_words(e->from, "ever", from);
        time_words(e->ended, "now on", to);
        return json_sprintf("epoch %" PRIu32 " from %s to %s", e->epoch, from, to);
    }
    if (m->descriptor == &hr__annex_ref__descriptor) {
        short_hex(&((const Hr__AnnexRef *)m)->hash, a);
        return json_sprintf("%s..", a);
    }
    return charter_row_json(m);
}

/* One value, and its size in an array. */
static json_t *
value_words(const ProtobufCFieldDescriptor *f, const void *p, size_t *bytes)
{
    static const char *const assessed[] = {"unknown", "yes", "no"};
    *bytes = sizeof(void *);
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return json_string(*(char *const *)p);
    case PROTOBUF_C_TYPE_BYTES: {
        char hex[24];
        const ProtobufCBinaryData *b = p;
        *bytes = sizeof(ProtobufCBinaryData);
        short_hex(b, hex);
        return b->len == 0 ? json_string("") : json_sprintf("%s..", hex);
    }
    case PROTOBUF_C_TYPE_UINT32: {
        uint32_t v = *(const uint32_t *)p;
        *bytes = sizeof v;
        return strcmp(f->name, "assessed") == 0 && v < 3 ? json_string(assessed[v])
                                                         : json_integer(v);
    }
    case PROTOBUF_C_TYPE_BOOL:
        *bytes = sizeof(protobuf_c_boolean);
        return json_boolean(*(const protobuf_c_boolean *)p);
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *m = *(const ProtobufCMessage *const *)p;
        return m == NULL ? json_null() : message_words(m);
    }
    case PROTOBUF_C_TYPE_UINT64:
        *bytes = sizeof(uint64_t);
        return json_integer((json_int_t) * (const uint64_t *)p);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_ENUM:
        break;
    }
    return json_null(); /* types that proto/charter.proto does not use */
}

static json_t *
list_words(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const char *base = (const char *)m;
    json_t *list = json_array();
    if (m == NULL) {
        return list;
    }
    const char *at = *(const char *const *)(const void *)(base + f->offset);
    size_t count = *(const size_t *)(const void *)(base + f->quantifier_offset), bytes = 0;
    for (size_t i = 0; i < count; i++, at += bytes) {
        json_array_append_new(list, value_words(f, at, &bytes));
    }
    return list;
}

/* ---- fields ----------------------------------------------------------------- */

/* What stands in `a` and not in `b`, each as often as it is missing. */
static json_t *
list_without(const json_t *a, const json_t *b)
{
    json_t *out = json_array(), *left = json_copy((json_t *)(uintptr_t)b);
    for (size_t i = 0; i < json_array_size(a); i++) {
        json_t *v = json_array_get(a, i);
        size_t at = 0;
        while (at < json_array_size(left) && !json_equal(json_array_get(left, at), v)) {
            at++;
        }
        if (at < json_array_size(left)) {
            json_array_remove(left, at);
        } else {
            json_array_append(out, v);
        }
    }
    json_decref(left);
    return out;
}

static void
diff_list(json_t *fields, const char *name, json_t *before, json_t *after)
{
    if (!json_equal(before, after)) {
        json_t *added = list_without(after, before), *removed = list_without(before, after);
        bool reordered = json_array_size(added) + json_array_size(removed) == 0;
        json_array_append_new(fields,
                              json_pack("{s:s,s:o,s:o,s:b}", "field", name, "added", added,
                                        "removed", removed, "reordered", reordered));
    }
    json_decref(before);
    json_decref(after);
}

/* The fields that differ; `a` or `b` is NULL for a row that came or went. */
static json_t *
diff_fields(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    json_t *fields = json_array();
    const ProtobufCMessageDescriptor *d = (a != NULL ? a : b)->descriptor;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        size_t bytes;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            diff_list(fields, f->name, list_words(a, f), list_words(b, f));
            continue;
        }
        json_t *from =
            a == NULL ? json_null() : value_words(f, (const char *)a + f->offset, &bytes);
        json_t *to =
            b == NULL ? json_null() : value_words(f, (const char *)b + f->offset, &bytes);
        if (!json_equal(from, to)) {
            json_array_append_new(
                fields, json_pack("{s:s,s:O,s:O}", "field", f->name, "from", from, "to", to));
        }
        json_decref(from);
        json_decref(to);
    }
    return fields;
}

/* ---- rows ------------------------------------------------------------------- */

static json_t *
row_name(enum charter_kind kind, const ProtobufCMessage *m)
{
    switch (kind) {
    case CHARTER_ROOT:
        return json_string(((const Hr__RootRow *)m)->name);
    case CHARTER_MEMBERS:
        return json_string(or_word(((const Hr__MemberRow *)m)->institution, "(network keys)"));
    case CHARTER_QUALITY: {
        const Hr__QualityRow *q = (const Hr__QualityRow *)m;
        return json_sprintf("%s %s", q->institution, or_word(q->item, "(institution)"));
    }
    case CHARTER_POLICY:
        return json_string(or_word(((const Hr__PolicyRow *)m)->pack, "(settings)"));
    case CHARTER_KIND_COUNT:
        break;
    }
    return json_null();
}

static void
diff_row(struct diff *d, const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    const char *change = a == NULL ? "added" : b == NULL ? "removed" : "changed";
    json_t *name = row_name(d->b->head.kind, a != NULL ? a : b);
    json_array_append_new(d->rows, json_pack("{s:O,s:s,s:o}", "row", name, "change", change,
                                             "fields", diff_fields(a, b)));
    d->added += a == NULL;
    d->removed += b == NULL;
    d->changed += a != NULL && b != NULL;
    charter_diff_mean(d, json_string_value(name), a, b);
    json_decref(name);
}

/* One row unpacked, or none. */
struct opened_row {
    struct pb_arena arena;
    uint8_t memory[PB_ARENA_BYTES];
    ProtobufCMessage *m;
    size_t key_count;
    uint8_t key[CHARTER_KEY_BYTES_MAX];
};

static enum status
open_row(const struct charter_document *d, size_t i, struct opened_row *r,
         char reason[CHARTER_REASON_CHARS])
{
    r->m = NULL;
    pb_arena_init(&r->arena, r->memory, sizeof r->memory, MESSAGE_HEAP_BYTES_MAX);
    if (i >= d->row_count) {
        return STATUS_OK;
    }
    enum status st =
        charter_row_decode(d->head.kind, d->head.network, d->rows[i], &r->arena, &r->m, reason);
    r->key_count = st == STATUS_OK ? charter_row_key(d->head.kind, r->m, r->key) : 0;
    return st;
}

static int
compare_keys(const struct opened_row *a, const struct opened_row *b)
{
    if (a->m == NULL || b->m == NULL) {
        return a->m == NULL ? 1 : -1; /* never both */
    }
    size_t n = a->key_count < b->key_count ? a->key_count : b->key_count;
    int order = memcmp(a->key, b->key, n);
    return order != 0                      ? order
           : a->key_count < b->key_count   ? -1
           : (a->key_count > b->key_count) ? 1
                                           : 0;
}

static bool
same_bytes(struct view a, struct view b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.bytes, b.bytes, a.count) == 0);
}

static enum status
diff_rows(struct diff *d, char reason[CHARTER_REASON_CHARS])
{
    size_t i = 0, k = 0;
    enum status st = STATUS_OK;
    struct opened_row *x = malloc(sizeof *x), *y = malloc(sizeof *y);
    st = x == NULL || y == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    while (st == STATUS_OK && (i < d->a->row_count || k < d->b->row_count)) {
        if (i < d->a->row_count && k < d->b->row_count &&
            same_bytes(d->a->rows[i], d->b->rows[k])) {
            i++, k++; /* most are alike: do not unpack them */
            continue;
        }
        st = open_row(d->a, i, x, reason);
        if (st == STATUS_OK) {
            st = open_row(d->b, k, y, reason);
            if (st == STATUS_OK) {
                int order = compare_keys(x, y);
                diff_row(d, order <= 0 ? x->m : NULL, order >= 0 ? y->m : NULL);
                i += order <= 0;
                k += order >= 0;
            }
            pb_free(&y->arena);
        }
        pb_free(&x->arena);
    }
    free(x);
    free(y);
    return st;
}

static json_t *
head_json(const struct charter_head *h)
{
    char hex[2 * HASH_BYTES + 1];
    sodium_bin2hex(hex, sizeof hex, h->hash.bytes, HASH_BYTES);
    return json_pack("{s:I,s:s,s:I,s:I}", "version", (json_int_t)h->version, "hash", hex,
                     "issued_at", (json_int_t)h->issued_at_s, "stale_after",
                     (json_int_t)h->stale_after_s);
}

enum status
charter_diff(const struct charter_document *a, const struct charter_document *b, json_t **out,
             char reason[CHARTER_REASON_CHARS])
{
    unsigned long mark = json_whole_mark();
    struct diff d = {.a = a, .b = b, .rows = json_array(), .meaning = json_array()};
    enum status st = d.rows == NULL || d.meaning == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    *out = NULL;
    reason[0] = '\0';
    if (strcmp(a->head.network, b->head.network) != 0 || a->head.kind != b->head.kind) {
        snprintf(reason, CHARTER_REASON_CHARS,
                 "%s of %s and %s of %s cannot be compared: name two documents of one kind",
                 charter_kind_text(a->head.kind), a->head.network,
                 charter_kind_text(b->head.kind), b->head.network);
        st = STATUS_REFUSED;
    } else if (!a->whole || !b->whole) {
        snprintf(reason, CHARTER_REASON_CHARS, "not all rows of both documents are here");
        st = STATUS_REFUSED;
    }
    if (st == STATUS_OK) {
        st = diff_rows(&d, reason);
    }
    st = st == STATUS_OK ? charter_diff_mean_whole(&d) : st;
    if (st == STATUS_OK) {
        *out = json_pack("{s:s,s:s,s:o,s:o,s:b,s:I,s:I,s:I,s:O,s:O}", "network",
                         a->head.network, "kind", charter_kind_text(a->head.kind), "from",
                         head_json(&a->head), "to", head_json(&b->head), "same",
                         hash_equal(&a->head.hash, &b->head.hash), "added", (json_int_t)d.added,
                         "removed", (json_int_t)d.removed, "changed", (json_int_t)d.changed,
                         "rows", d.rows, "meaning", d.meaning);
        *out = json_whole(*out, mark);
        st = *out == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    json_decref(d.rows);
    json_decref(d.meaning);
    return st;
}

/* ---- for people --------------------------------------------------------------- */

static void
print_value(FILE *out, const json_t *v)
{
    if (json_is_string(v)) {
        const char *s = json_string_value(v);
        fputs(s[0] != '\0' ? s : "(empty)", out);
    } else if (json_is_boolean(v)) {
        fputs(json_is_true(v) ? "yes" : "no", out);
    } else if (json_is_null(v)) {
        fputs("(none)", out);
    } else {
        char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        fputs(text == NULL ? "?" : text, out);
        free(text);
    }
}

static void
print_list(FILE *out, const char *field, const char *sign, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        fprintf(out, "      %s %s: ", sign, field);
        print_value(out, json_array_get(list, i));
        fputc('\n', out);
    }
}

static bool
is_empty(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) ||
           (json_is_string(v) && json_string_length(v) == 0) ||
           (json_is_integer(v) && json_integer_value(v) == 0);
}

static void
print_row(FILE *out, const json_t *row)
{
    const char *change = json_string_value(json_object_get(row, "change"));
    const json_t *fields = json_object_get(row, "fields");
    bool changed = strcmp(change, "changed") == 0;
    fprintf(out, "  %s %s\n",
            changed                        ? "~"
            : strcmp(change, "added") == 0 ? "+"
                                           : "-",
            json_string_value(json_object_get(row, "row")));
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *f = json_array_get(fields, i);
        const char *name = json_string_value(json_object_get(f, "field"));
        const json_t *from = json_object_get(f, "from"), *to = json_object_get(f, "to");
        if (from == NULL) {
            print_list(out, name, "-", json_object_get(f, "removed"));
            print_list(out, name, "+", json_object_get(f, "added"));
            if (json_is_true(json_object_get(f, "reordered"))) {
                fprintf(out, "      %s: in another order\n", name);
            }
        } else if (changed) {
            fprintf(out, "      %s: ", name);
            print_value(out, from);
            fputs(" -> ", out);
            print_value(out, to);
            fputc('\n', out);
        } else if (!is_empty(json_is_null(from) ? to : from)) {
            fprintf(out, "      %s: ", name);
            print_value(out, json_is_null(from) ? to : from);
            fputc('\n', out);
        }
    }
}

void
charter_diff_text(FILE *out, const json_t *diff)
{
    const json_t *rows = json_object_get(diff, "rows");
    const json_t *meaning = json_object_get(diff, "meaning");
    fprintf(out, "%s of %s: version %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT "\n",
            json_string_value(json_object_get(diff, "kind")),
            json_string_value(json_object_get(diff, "network")),
            json_integer_value(json_object_get(json_object_get(diff, "from"), "version")),
            json_integer_value(json_object_get(json_object_get(diff, "to"), "version")));
    if (json_is_true(json_object_get(diff, "same"))) {
        fprintf(out, "the same text\n");
        return;
    }
    fprintf(out,
            "rows: %" JSON_INTEGER_FORMAT " added, %" JSON_INTEGER_FORMAT
            " removed, %" JSON_INTEGER_FORMAT " changed\n",
            json_integer_value(json_object_get(diff, "added")),
            json_integer_value(json_object_get(diff, "removed")),
            json_integer_value(json_object_get(diff, "changed")));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        print_row(out, json_array_get(rows, i));
    }
    if (json_array_size(meaning) > 0) {
        fprintf(out, "what it means:\n");
    }
    for (size_t i = 0; i < json_array_size(meaning); i++) {
        const json_t *m = json_array_get(meaning, i);
        fprintf(out, "  %s%s\n", json_is_true(json_object_get(m, "alarm")) ? "! " : "  ",
                json_string_value(json_object_get(m, "text")));
    }
}
