/* charter_document.c: see charter_document.h. */
#include "node/charter_document.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/line.h"
#include "crypto/treebuild.h"
#include "node/origin.h"
#include "proto/charter.pb-c.h"
#include "proto/text.h"

enum {
    TREE_CHARS = BASE64_CHARS(HASH_BYTES),
    LABEL_CHARS_MAX = 16,
    FILE_NOTE_TAG = 0x0a, /* field 1, length-delimited */
    FILE_ROW_TAG = 0x12   /* field 2 */
};

/* 9999-12-31T23:59:59Z: later times are slips, and have no date as text. */
#define TIME_S_MAX UINT64_C(253402300799)

static const char first_line[] = "huren charter v1";
static const char *const kind_texts[CHARTER_KIND_COUNT] = {"root", "members", "quality",
                                                           "policy"};

const char *
charter_kind_text(enum charter_kind kind)
{
    assert(kind < CHARTER_KIND_COUNT);
    return kind_texts[kind];
}

bool
charter_kind_parse(struct view text, enum charter_kind *out)
{
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        if (text_is(text, kind_texts[k])) {
            *out = (enum charter_kind)k;
            return true;
        }
    }
    return false;
}

/* ---- text of the note ----------------------------------------------------- */

/* Take a line "<label> <value>". */
static bool
take_line(struct view *rest, const char *label, struct view *value)
{
    struct view line;
    size_t count = strlen(label);
    if (line_take(rest, &line) != STATUS_OK || line.count <= count + 1 ||
        memcmp(line.bytes, label, count) != 0 || line.bytes[count] != ' ') {
        return false;
    }
    *value = (struct view){line.bytes + count + 1, line.count - count - 1};
    return true;
}

static bool
take_number(struct view *rest, const char *label, uint64_t max, uint64_t *out)
{
    struct view value;
    return take_line(rest, label, &value) && line_decimal(value, max, out) == STATUS_OK;
}

enum status
charter_head_parse(struct view text, struct charter_head *out)
{
    struct charter_head h;
    struct view rest = text, line;
    uint64_t issued_at, valid_from, stale_after, rows;
    size_t count = 0;
    memset(&h, 0, sizeof h);
    if (text.count > CHARTER_TEXT_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (line_take(&rest, &line) != STATUS_OK || !text_is(line, first_line)) {
        return STATUS_UNSUPPORTED;
    }
    if (!take_line(&rest, "network", &line)) {
        return STATUS_MALFORMED;
    }
    if (line.count > NETWORK_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    memcpy(h.network, line.bytes, line.count);
    if (strlen(h.network) != line.count || origin_vet_network(h.network) != STATUS_OK ||
        !take_line(&rest, "kind", &line)) {
        return STATUS_MALFORMED;
    }
    if (!charter_kind_parse(line, &h.kind)) {
        return STATUS_UNSUPPORTED;
    }
    if (!take_number(&rest, "version", INT64_MAX, &h.version) || h.version == 0 ||
        !take_number(&rest, "issued_at", TIME_S_MAX, &issued_at) ||
        !take_number(&rest, "valid_from", TIME_S_MAX, &valid_from) ||
        !take_number(&rest, "stale_after", TIME_S_MAX, &stale_after) ||
        stale_after <= issued_at || stale_after <= valid_from ||
        !take_number(&rest, "rows", UINT32_MAX, &rows) || !take_line(&rest, "tree", &line) ||
        base64_decode(line, h.tree.bytes, HASH_BYTES, &count) != STATUS_OK ||
        count != HASH_BYTES || rest.count != 0) {
        return STATUS_MALFORMED;
    }
    if (rows > CHARTER_ROWS_MAX) {
        return STATUS_TOO_BIG;
    }
    h.issued_at_s = (int64_t)issued_at;
    h.valid_from_s = (int64_t)valid_from;
    h.stale_after_s = (int64_t)stale_after;
    h.row_count = (uint32_t)rows;
    sha256(text.bytes, text.count, &h.hash);
    *out = h;
    return STATUS_OK;
}

void
charter_head_encode(struct charter_head *head, uint8_t text[CHARTER_TEXT_BYTES_MAX],
                    size_t *count)
{
    char tree[TREE_CHARS + 1] = "";
    struct charter_head again;
    base64_encode((struct view){head->tree.bytes, HASH_BYTES}, (uint8_t *)tree);
    int n = snprintf(
        (char *)text, CHARTER_TEXT_BYTES_MAX,
        "%s\nnetwork %s\nkind %s\nversion %" PRIu64 "\nissued_at %" PRId64
        "\nvalid_from %" PRId64 "\nstale_after %" PRId64 "\nrows %" PRIu32 "\ntree %s\n",
        first_line, head->network, charter_kind_text(head->kind), head->version,
        head->issued_at_s, head->valid_from_s, head->stale_after_s, head->row_count, tree);
    assert(n > 0 && n < CHARTER_TEXT_BYTES_MAX);
    *count = (size_t)n;
    enum status st = charter_head_parse((struct view){text, *count}, &again);
    assert(st == STATUS_OK);
    head->hash = again.hash;
}

/* ---- file ----------------------------------------------------------------- */

/* Read a varint in its shortest form, at most 32 bits. */
static bool
take_varint(struct view *rest, uint32_t *out)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 5 && i < rest->count; i++) {
        uint8_t b = rest->bytes[i];
        value |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) {
            if ((b == 0 && i > 0) || value > UINT32_MAX) {
                return false;
            }
            rest->bytes += i + 1;
            rest->count -= i + 1;
            *out = (uint32_t)value;
            return true;
        }
    }
    return false;
}

static bool
take_field(struct view *rest, uint8_t tag, struct view *value)
{
    uint32_t count;
    if (rest->count == 0 || rest->bytes[0] != tag) {
        return false;
    }
    rest->bytes++;
    rest->count--;
    if (!take_varint(rest, &count) || count > rest->count) {
        return false;
    }
    *value = (struct view){rest->bytes, count};
    rest->bytes += count;
    rest->count -= count;
    return true;
}

enum status
charter_file_split(struct view file, struct view *note, struct view **rows, size_t *row_count)
{
    struct view rest = file, row;
    size_t count = 0;
    *rows = NULL;
    *row_count = 0;
    if (file.count > CHARTER_FILE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (!take_field(&rest, FILE_NOTE_TAG, note) || note->count == 0) {
        return STATUS_MALFORMED;
    }
    struct view first = rest;
    while (rest.count > 0) { /* counted first, so that memory follows from the bytes given */
        if (!take_field(&rest, FILE_ROW_TAG, &row)) {
            return STATUS_MALFORMED;
        }
        if (++count > CHARTER_ROWS_MAX) {
            return STATUS_TOO_BIG;
        }
    }
    *rows = calloc(count + 1, sizeof **rows);
    if (*rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        bool again = take_field(&first, FILE_ROW_TAG, &(*rows)[i]);
        assert(again);
    }
    *row_count = count;
    return STATUS_OK;
}

static size_t
varint_bytes(size_t value)
{
    size_t n = 1;
    for (; value >= 0x80; value >>= 7) {
        n++;
    }
    return n;
}

static uint8_t *
put_field(uint8_t *out, uint8_t tag, struct view value)
{
    size_t count = value.count;
    *out++ = tag;
    for (; count >= 0x80; count >>= 7) {
        *out++ = (uint8_t)(count | 0x80);
    }
    *out++ = (uint8_t)count;
    if (value.count > 0) {
        memcpy(out, value.bytes, value.count);
    }
    return out + value.count;
}

size_t
charter_file_bytes(struct view note, const struct view *rows, size_t row_count)
{
    size_t total = 1 + varint_bytes(note.count) + note.count;
    for (size_t i = 0; i < row_count; i++) {
        total += 1 + varint_bytes(rows[i].count) + rows[i].count;
    }
    return total;
}

void
charter_file_encode(struct view note, const struct view *rows, size_t row_count, uint8_t *out)
{
    out = put_field(out, FILE_NOTE_TAG, note);
    for (size_t i = 0; i < row_count; i++) {
        out = put_field(out, FILE_ROW_TAG, rows[i]);
    }
}

/* ---- documents ------------------------------------------------------------ */

enum status
charter_note_read(struct view bytes, struct note *out)
{
    enum status st = note_parse(bytes, out);
    if (st == STATUS_MALFORMED && bytes.count > 2 && bytes.count <= CHARTER_TEXT_BYTES_MAX &&
        bytes.bytes[bytes.count - 1] == '\n' && bytes.bytes[bytes.count - 2] == '\n') {
        memset(out, 0, sizeof *out);
        out->text = (struct view){bytes.bytes, bytes.count - 1};
        st = line_is_clean(out->text, true) ? STATUS_OK : STATUS_MALFORMED;
    }
    return st;
}

static enum status
parse_note(struct view bytes, struct charter_head *head, char *reason)
{
    struct note note;
    enum status st = charter_note_read(bytes, &note);
    if (st != STATUS_OK) {
        snprintf(reason, CHARTER_REASON_CHARS, "not a signed note: %s", status_text(st));
        return st;
    }
    st = charter_head_parse(note.text, head);
    if (st != STATUS_OK) {
        snprintf(reason, CHARTER_REASON_CHARS,
                 "the note is not a charter document that this version of huren reads: %s",
                 status_text(st));
    }
    return st;
}

/* What is checked of rows in their order. */
struct row_walk {
    const struct charter_head *head;
    uint8_t key[CHARTER_KEY_BYTES_MAX];
    size_t key_count;
    bool any;
    unsigned thresholds;                      /* root: roles that have one */
    uint32_t threshold[CHARTER_KIND_COUNT];   /* root */
    uint32_t key_of_role[CHARTER_KIND_COUNT]; /* root: how many keys */
    bool previous;
    size_t keys;
    uint8_t public_keys[CHARTER_KEYS_MAX][KEY_BYTES];
    size_t members, witnesses; /* members */
    struct session_key *sessions;
    size_t session_count, session_room;
};

struct session_key {
    uint8_t key[KEY_BYTES];
    size_t member;
};

static enum status
walk_root_row(struct row_walk *w, const Hr__RootRow *r, char *reason)
{
    enum charter_kind kind;
    if (strcmp(r->name, "previous") == 0) {
        w->previous = true;
    } else if (r->threshold != 0) {
        if (charter_kind_parse(text_view(strchr(r->name, '/') + 1), &kind)) {
            w->thresholds |= 1u << kind;
            w->threshold[kind] = r->threshold;
        }
    } else if (r->public_key.len == KEY_BYTES) {
        for (size_t i = 0; i < w->keys; i++) {
            if (memcmp(w->public_keys[i], r->public_key.data, KEY_BYTES) == 0) {
                snprintf(reason, CHARTER_REASON_CHARS,
                         "row '%s': another row has the same public key", r->name);
                return STATUS_MALFORMED;
            }
        }
        if (w->keys == CHARTER_KEYS_MAX) {
            snprintf(reason, CHARTER_REASON_CHARS, "over %d keys", CHARTER_KEYS_MAX);
            return STATUS_TOO_BIG;
        }
        memcpy(w->public_keys[w->keys++], r->public_key.data, KEY_BYTES);
        for (size_t i = 0; i < r->n_roles; i++) {
            if (charter_kind_parse(text_view(r->roles[i]), &kind)) {
                w->key_of_role[kind]++;
            }
        }
    }
    return STATUS_OK;
}

static enum status
walk_member_row(struct row_walk *w, const Hr__MemberRow *m, char *reason)
{
    if (m->institution[0] == 0) {
        return STATUS_OK;
    }
    if (++w->members > MEMBERS_MAX) {
        snprintf(reason, CHARTER_REASON_CHARS, "over %d members", MEMBERS_MAX);
        return STATUS_TOO_BIG;
    }
    for (size_t i = 0; m->left[0] == 0 && i < m->n_roles; i++) {
        if (strcmp(m->roles[i], "witness") == 0 && ++w->witnesses > WITNESSES_MAX) {
            snprintf(reason, CHARTER_REASON_CHARS, "over %d witnesses", WITNESSES_MAX);
            return STATUS_TOO_BIG;
        }
    }
    for (size_t i = 0; i < m->n_keys; i++) {
        if (w->session_count == w->session_room) {
            size_t room = w->session_room == 0 ? 64 : 2 * w->session_room;
            struct session_key *more = realloc(w->sessions, room * sizeof *more);
            if (more == NULL) {
                return STATUS_NO_MEMORY;
            }
            w->sessions = more;
            w->session_room = room;
        }
        struct session_key *k = &w->sessions[w->session_count++];
        memcpy(k->key, m->keys[i]->session.data, KEY_BYTES);
        k->member = w->members;
    }
    return STATUS_OK;
}

static int
compare_session_keys(const void *a, const void *b)
{
    return memcmp(((const struct session_key *)a)->key, ((const struct session_key *)b)->key,
                  KEY_BYTES);
}

/* A session key says who speaks: no two members may have the same one. */
static enum status
check_session_keys(struct row_walk *w, char *reason)
{
    if (w->session_count > 1) {
        qsort(w->sessions, w->session_count, sizeof *w->sessions, compare_session_keys);
    }
    for (size_t i = 1; i < w->session_count; i++) {
        if (memcmp(w->sessions[i - 1].key, w->sessions[i].key, KEY_BYTES) == 0 &&
            w->sessions[i - 1].member != w->sessions[i].member) {
            snprintf(reason, CHARTER_REASON_CHARS, "two members have the same session key");
            return STATUS_MALFORMED;
        }
    }
    return STATUS_OK;
}

static enum status
walk_row(struct row_walk *w, struct view row, char *reason)
{
    uint8_t memory[PB_ARENA_BYTES], key[CHARTER_KEY_BYTES_MAX];
    struct pb_arena arena;
    ProtobufCMessage *m;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st =
        charter_row_decode(w->head->kind, w->head->network, row, &arena, &m, reason);
    if (st == STATUS_OK) {
        size_t count = charter_row_key(w->head->kind, m, key);
        size_t common = count < w->key_count ? count : w->key_count;
        int order = memcmp(w->key, key, common);
        if (w->any && (order > 0 || (order == 0 && w->key_count >= count))) {
            snprintf(reason, CHARTER_REASON_CHARS, "rows are twice or out of order at '%.*s'",
                     (int)strnlen((const char *)key, count), (const char *)key);
            st = STATUS_MALFORMED;
        }
        memcpy(w->key, key, count);
        w->key_count = count;
        w->any = true;
    }
    if (st == STATUS_OK && w->head->kind == CHARTER_ROOT) {
        st = walk_root_row(w, (const Hr__RootRow *)m, reason);
    } else if (st == STATUS_OK && w->head->kind == CHARTER_MEMBERS) {
        st = walk_member_row(w, (const Hr__MemberRow *)m, reason);
    }
    pb_free(&arena);
    return st;
}

/* What only a whole root can show. */
static enum status
check_whole_root(const struct row_walk *w, char *reason)
{
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        if ((w->thresholds & 1u << k) == 0) {
            snprintf(reason, CHARTER_REASON_CHARS, "there is no threshold for %s",
                     kind_texts[k]);
            return STATUS_MALFORMED;
        }
        if (w->threshold[k] > w->key_of_role[k]) {
            snprintf(reason, CHARTER_REASON_CHARS,
                     "%s needs %" PRIu32 " signatures, but only %" PRIu32 " keys have the role",
                     kind_texts[k], w->threshold[k], w->key_of_role[k]);
            return STATUS_MALFORMED;
        }
    }
    if (w->previous != (w->head->version > 1)) {
        snprintf(reason, CHARTER_REASON_CHARS,
                 "a root from version 2 on, and no other, names the one before");
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

static enum status
check_rows(struct charter_document *d, char *reason)
{
    struct row_walk *w = calloc(1, sizeof *w);
    enum status st = STATUS_OK;
    if (w == NULL) {
        return STATUS_NO_MEMORY;
    }
    w->head = &d->head;
    for (size_t i = 0; st == STATUS_OK && i < d->row_count; i++) {
        st = walk_row(w, d->rows[i], reason);
    }
    if (st == STATUS_OK && d->whole && d->head.kind == CHARTER_ROOT) {
        st = check_whole_root(w, reason);
    }
    if (st == STATUS_OK) {
        st = check_session_keys(w, reason);
    }
    free(w->sessions);
    free(w);
    return st;
}

static void
root_of_rows(const struct view *rows, size_t row_count, struct hash *root)
{
    struct tree_edge edge;
    memset(&edge, 0, sizeof edge);
    for (size_t i = 0; i < row_count; i++) {
        struct hash leaf;
        tree_leaf_hash(rows[i].bytes, rows[i].count, &leaf);
        enum status st = tree_edge_append(&edge, &leaf, NULL, NULL);
        assert(st == STATUS_OK); /* the tree is far from its largest size */
    }
    tree_edge_root(&edge, root);
}

/* Take over an allocated array of rows, all of them. */
static enum status
make_whole(struct view note, struct view *rows, size_t row_count, struct charter_document *out,
           char *reason)
{
    struct charter_document d = {.note = note, .whole = true};
    struct hash root;
    d.rows = rows;
    d.row_count = row_count;
    enum status st = parse_note(note, &d.head, reason);
    if (st == STATUS_OK && row_count != d.head.row_count) {
        snprintf(reason, CHARTER_REASON_CHARS, "the note says %" PRIu32 " rows, there are %zu",
                 d.head.row_count, row_count);
        st = STATUS_BAD_PROOF;
    }
    if (st == STATUS_OK) {
        root_of_rows(rows, row_count, &root);
        if (!hash_equal(&root, &d.head.tree)) {
            snprintf(reason, CHARTER_REASON_CHARS,
                     "the rows are not those that were signed: their root differs");
            st = STATUS_BAD_PROOF;
        }
    }
    if (st == STATUS_OK) {
        st = check_rows(&d, reason);
    }
    if (st != STATUS_OK) {
        charter_document_free(&d);
        memset(out, 0, sizeof *out);
        return st;
    }
    *out = d;
    return STATUS_OK;
}

enum status
charter_document_make(struct view note, const struct view *rows, size_t row_count,
                      struct charter_document *out, char reason[CHARTER_REASON_CHARS])
{
    reason[0] = 0;
    memset(out, 0, sizeof *out);
    if (row_count > CHARTER_ROWS_MAX) {
        snprintf(reason, CHARTER_REASON_CHARS, "too many rows");
        return STATUS_TOO_BIG;
    }
    struct view *copy = calloc(row_count + 1, sizeof *copy);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (row_count > 0) {
        memcpy(copy, rows, row_count * sizeof *copy);
    }
    return make_whole(note, copy, row_count, out, reason);
}

enum status
charter_document_decode(struct view file, struct charter_document *out,
                        char reason[CHARTER_REASON_CHARS])
{
    struct view note, *rows;
    size_t row_count;
    reason[0] = 0;
    memset(out, 0, sizeof *out);
    enum status st = charter_file_split(file, &note, &rows, &row_count);
    if (st != STATUS_OK) {
        snprintf(reason, CHARTER_REASON_CHARS, "not a charter document: %s", status_text(st));
        return st;
    }
    return make_whole(note, rows, row_count, out, reason);
}

enum status
charter_document_make_part(struct view note, const struct charter_proven_row *rows,
                           size_t row_count, struct charter_document *out,
                           char reason[CHARTER_REASON_CHARS])
{
    struct charter_document d = {.note = note};
    reason[0] = 0;
    memset(out, 0, sizeof *out);
    enum status st = parse_note(note, &d.head, reason);
    if (st != STATUS_OK) {
        return st;
    }
    if (row_count > d.head.row_count) {
        snprintf(reason, CHARTER_REASON_CHARS, "more rows than the note says");
        return STATUS_MALFORMED;
    }
    d.whole = row_count == d.head.row_count;
    d.row_count = row_count;
    d.rows = calloc(row_count + 1, sizeof *d.rows);
    d.indexes = calloc(row_count + 1, sizeof *d.indexes);
    if (d.rows == NULL || d.indexes == NULL) {
        charter_document_free(&d);
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; st == STATUS_OK && i < row_count; i++) {
        struct hash leaf;
        if (i > 0 && rows[i].index <= rows[i - 1].index) {
            snprintf(reason, CHARTER_REASON_CHARS, "rows are twice or out of order");
            st = STATUS_MALFORMED;
            break;
        }
        tree_leaf_hash(rows[i].row.bytes, rows[i].row.count, &leaf);
        st = tree_check_inclusion(&d.head.tree, d.head.row_count, &leaf, rows[i].index,
                                  rows[i].proof, rows[i].proof_count);
        if (st != STATUS_OK) {
            snprintf(reason, CHARTER_REASON_CHARS, "row %" PRIu64 ": %s", rows[i].index,
                     status_text(st));
            break;
        }
        d.rows[i] = rows[i].row;
        d.indexes[i] = (uint32_t)rows[i].index; /* < row_count, which has 32 bits */
    }
    if (st == STATUS_OK && row_count == 0 && d.head.row_count == 0) {
        struct hash empty;
        tree_empty_root(&empty);
        st = hash_equal(&empty, &d.head.tree) ? STATUS_OK : STATUS_BAD_PROOF;
    }
    if (st == STATUS_OK) {
        st = check_rows(&d, reason);
    }
    if (st != STATUS_OK) {
        charter_document_free(&d);
        return st;
    }
    if (d.whole) {
        free(d.indexes);
        d.indexes = NULL;
    }
    *out = d;
    return STATUS_OK;
}

void
charter_document_free(struct charter_document *d)
{
    if (d != NULL) {
        free(d->rows);
        free(d->indexes);
        memset(d, 0, sizeof *d);
    }
}

/* ---- proofs --------------------------------------------------------------- */

struct prover {
    const struct charter_document *d;
};

/* Nodes are computed from the rows when asked for: documents are small, and
 * proofs of them rare. */
static enum status
read_node(void *ctx, unsigned level, uint64_t index, struct hash *out)
{
    const struct prover *p = ctx;
    if (level > 32 || (index + 1) << level > p->d->row_count) {
        return STATUS_NOT_FOUND;
    }
    root_of_rows(p->d->rows + (index << level), (size_t)1 << level, out);
    return STATUS_OK;
}

enum status
charter_document_prove(const struct charter_document *d, uint32_t index,
                       struct hash proof[TREE_PROOF_HASHES_MAX], size_t *proof_count)
{
    struct prover p = {d};
    if (!d->whole || index >= d->row_count) {
        return STATUS_NOT_FOUND;
    }
    return tree_prove_inclusion(d->row_count, index, read_node, &p, proof, proof_count);
}
