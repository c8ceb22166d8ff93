#include "node/recall_rows.h"

#include <assert.h>
#include <string.h>

#include "proto/text.h"

enum { VALUE_BYTES = 8 + 8 + 8 + 4 + 1 };

static size_t
put_number(uint8_t *out, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    }
    return bytes;
}

static uint64_t
get_number(const uint8_t *in, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) {
        v = v << 8 | in[i];
    }
    return v;
}

struct recall_row
recall_row_of(enum recall_kind kind, const char *who, const char *origin, uint64_t leaf)
{
    struct recall_row row = {.kind = kind, .leaf = leaf};
    assert(strlen(who) <= INSTITUTION_CHARS_MAX && strlen(origin) <= ORIGIN_CHARS_MAX);
    memcpy(row.who, who, strlen(who) + 1);
    memcpy(row.origin, origin, strlen(origin) + 1);
    return row;
}

static bool
who_first(enum recall_kind kind)
{
    return kind == RECALL_TELLING || kind == RECALL_RELY_OPEN;
}

static size_t
put_text(uint8_t *out, const char *text, bool end)
{
    size_t n = strlen(text);
    memcpy(out, text, n);
    if (end) {
        out[n++] = 0;
    }
    return n;
}

/* The name, or its first part. */
static struct view
name_of(const struct recall_row *r, enum recall_scope scope,
        uint8_t out[STORE_KV_NAME_BYTES_MAX])
{
    size_t n = 0;
    out[n++] = (uint8_t)r->kind;
    if (scope == RECALL_ALL) {
        return (struct view){out, n};
    }
    if (r->kind == RECALL_OUTCOME) {
        n += put_number(out + n, r->exch_log, 4);
        n += put_number(out + n, r->exch, 8);
        return (struct view){out, n};
    }
    n += who_first(r->kind) ? put_text(out + n, r->who, true) : 0;
    if (who_first(r->kind) && scope == RECALL_FIRST) {
        return (struct view){out, n};
    }
    n += put_text(out + n, r->origin, true);
    if (scope == RECALL_FIRST || r->kind == RECALL_SCANNED) {
        return (struct view){out, n};
    }
    n += put_number(out + n, r->leaf, 8);
    return (struct view){out, n};
}

static struct view
whole_name(const struct recall_row *r, uint8_t out[STORE_KV_NAME_BYTES_MAX])
{
    struct view v = name_of(r, RECALL_LEAF, out);
    size_t n = v.count;
    if (r->kind == RECALL_RELYING || r->kind == RECALL_TOLD) {
        n += put_text(out + n, r->who, false);
    } else if (r->kind == RECALL_USE) {
        n += put_number(out + n, r->exch_log, 4);
        n += put_number(out + n, r->exch, 8);
    }
    return (struct view){out, n};
}

/* One text of a name, ended by zero or (`end` false) by the end of the name. */
static bool
take_text(struct view *v, char *out, size_t max, bool end)
{
    const uint8_t *zero = end && v->count > 0 ? memchr(v->bytes, 0, v->count) : NULL;
    size_t n = zero != NULL ? (size_t)(zero - v->bytes) : v->count;
    if ((end && zero == NULL) || n > max || memchr(v->bytes, 0, n) != NULL) {
        return false;
    }
    memcpy(out, v->bytes, n);
    out[n] = '\0';
    n += end;
    *v = (struct view){v->bytes + n, v->count - n};
    return true;
}

static bool
take_number(struct view *v, size_t bytes, uint64_t *out)
{
    if (v->count < bytes) {
        return false;
    }
    *out = get_number(v->bytes, bytes);
    *v = (struct view){v->bytes + bytes, v->count - bytes};
    return true;
}

static bool
read_name(struct view v, struct recall_row *r)
{
    uint64_t log = 0;
    bool ok = v.count > 1;
    r->kind = ok ? (enum recall_kind)v.bytes[0] : r->kind;
    v = ok ? (struct view){v.bytes + 1, v.count - 1} : v;
    if (ok && r->kind != RECALL_OUTCOME) {
        ok = !who_first(r->kind) || take_text(&v, r->who, INSTITUTION_CHARS_MAX, true);
        ok = ok && take_text(&v, r->origin, ORIGIN_CHARS_MAX, true);
        ok = ok && (r->kind == RECALL_SCANNED || take_number(&v, 8, &r->leaf));
        if (r->kind == RECALL_RELYING || r->kind == RECALL_TOLD) {
            ok = ok && take_text(&v, r->who, INSTITUTION_CHARS_MAX, false);
        }
    }
    if (ok && (r->kind == RECALL_OUTCOME || r->kind == RECALL_USE)) {
        ok = take_number(&v, 4, &log) && take_number(&v, 8, &r->exch);
        r->exch_log = (uint32_t)log;
    }
    return ok && v.count == 0;
}

static bool
read_value(struct view v, struct recall_row *r)
{
    if (v.count < VALUE_BYTES || v.count > VALUE_BYTES + CODE_CHARS_MAX) {
        return false;
    }
    r->by = get_number(v.bytes, 8);
    r->at_ms = get_number(v.bytes + 8, 8);
    r->then_ms = get_number(v.bytes + 16, 8);
    r->count = (uint32_t)get_number(v.bytes + 24, 4);
    r->what = v.bytes[28];
    memcpy(r->item, v.bytes + VALUE_BYTES, v.count - VALUE_BYTES);
    r->item[v.count - VALUE_BYTES] = '\0';
    return true;
}

enum status
recall_row_put(struct store_txn *txn, const char *network, const struct recall_row *r)
{
    uint8_t name[STORE_KV_NAME_BYTES_MAX];
    uint8_t value[VALUE_BYTES + CODE_CHARS_MAX + 1];
    put_number(value, r->by, 8);
    put_number(value + 8, r->at_ms, 8);
    put_number(value + 16, r->then_ms, 8);
    put_number(value + 24, r->count, 4);
    value[28] = r->what;
    size_t n = VALUE_BYTES + put_text(value + VALUE_BYTES, r->item, false);
    return store_kv_put(txn, RECALL_SPACE, text_view(network), whole_name(r, name),
                        (struct view){value, n});
}

enum status
recall_row_get(struct store_txn *txn, const char *network, struct recall_row *r)
{
    uint8_t name[STORE_KV_NAME_BYTES_MAX];
    struct view value;
    enum status st =
        store_kv_get(txn, RECALL_SPACE, text_view(network), whole_name(r, name), &value);
    return st == STATUS_OK && !read_value(value, r) ? STATUS_CORRUPT : st;
}

enum status
recall_row_drop(struct store_txn *txn, const char *network, const struct recall_row *r)
{
    uint8_t name[STORE_KV_NAME_BYTES_MAX];
    return store_kv_drop(txn, RECALL_SPACE, text_view(network), whole_name(r, name));
}

enum status
recall_row_next(struct store_txn *txn, const char *network, enum recall_scope scope,
                struct recall_row *row, bool *begun)
{
    uint8_t prefix_bytes[STORE_KV_NAME_BYTES_MAX];
    uint8_t after_bytes[STORE_KV_NAME_BYTES_MAX];
    struct view prefix = name_of(row, scope, prefix_bytes);
    struct view after =
        *begun ? whole_name(row, after_bytes) : name_of(row, scope, after_bytes);
    struct view name;
    struct view value;
    enum status st = store_kv_next(txn, RECALL_SPACE, text_view(network), after, &name, &value);
    if (st == STATUS_OK &&
        (name.count < prefix.count || memcmp(name.bytes, prefix.bytes, prefix.count) != 0)) {
        st = STATUS_NOT_FOUND;
    }
    if (st != STATUS_OK) {
        return st;
    }
    struct recall_row next = {0};
    if (!read_name(name, &next) || !read_value(value, &next)) {
        return STATUS_CORRUPT;
    }
    *row = next;
    *begun = true;
    return STATUS_OK;
}

enum status
recall_row_any(struct store_txn *txn, const char *network, enum recall_scope scope,
               struct recall_row key, bool *any)
{
    bool begun = false;
    enum status st = recall_row_next(txn, network, scope, &key, &begun);
    *any = st == STATUS_OK;
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

enum status
recall_row_next_who(struct store_txn *txn, const char *network, enum recall_kind kind,
                    char who[INSTITUTION_CHARS_MAX + 1])
{
    uint8_t name[STORE_KV_NAME_BYTES_MAX];
    struct view found;
    struct view value;
    size_t n = 0;
    assert(who_first(kind));
    name[n++] = (uint8_t)kind;
    if (who[0] != '\0') {
        n += put_text(name + n, who, false);
        name[n++] = 1; /* behind all names that begin with it and a zero */
    }
    enum status st = store_kv_next(txn, RECALL_SPACE, text_view(network),
                                   (struct view){name, n}, &found, &value);
    if (st == STATUS_OK && (found.count == 0 || found.bytes[0] != (uint8_t)kind)) {
        st = STATUS_NOT_FOUND;
    }
    struct recall_row row = {0};
    if (st == STATUS_OK && !read_name(found, &row)) {
        st = STATUS_CORRUPT;
    }
    if (st == STATUS_OK) {
        memcpy(who, row.who, sizeof row.who);
    }
    return st;
}
