/* charter_store_io.c: see charter_store_io.h. */
#include "node/charter_store_io.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/text.h"

enum { DOCUMENTS_MAX = 4096, VOID_MAX = 64 };

enum store_charter
charter_store_kind(enum charter_kind kind)
{
    static const enum store_charter kinds[CHARTER_KIND_COUNT] = {
        [CHARTER_ROOT] = STORE_CHARTER_ROOT,
        [CHARTER_MEMBERS] = STORE_CHARTER_MEMBERS,
        [CHARTER_QUALITY] = STORE_CHARTER_QUALITY,
        [CHARTER_POLICY] = STORE_CHARTER_POLICY};
    assert(kind < CHARTER_KIND_COUNT);
    return kinds[kind];
}

/* Documents whose bytes lie in the store's snapshot. */
struct document_list {
    size_t count, room;
    struct charter_document *documents;
};

static enum status
read_document(struct store_txn *txn, const struct store_charter_key *key, struct view note,
              uint32_t row_count, struct charter_document *out, char *reason)
{
    enum status st = STATUS_OK;
    struct view *rows = calloc((size_t)row_count + 1, sizeof *rows);
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; st == STATUS_OK && i < row_count; i++) {
        st = store_charter_row(txn, key, i, &rows[i]);
    }
    if (st == STATUS_OK) {
        st = charter_document_make(note, rows, row_count, out, reason);
        st = st == STATUS_OK || st == STATUS_NO_MEMORY ? st : STATUS_CORRUPT;
    }
    free(rows);
    return st;
}

/* Add the newest version at or below *version, and set that. */
static enum status
add_newest(struct store_txn *txn, const char *network, enum charter_kind kind,
           uint64_t *version, struct document_list *list, char *reason)
{
    struct store_charter_key key = {
        .network = text_view(network), .kind = charter_store_kind(kind), .version = *version};
    struct view note;
    uint32_t rows;
    enum status st = store_charter_newest(txn, &key, &note, &rows);
    if (st != STATUS_OK) {
        return st;
    }
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 16 : 2 * list->room;
        struct charter_document *more =
            room > DOCUMENTS_MAX ? NULL : realloc(list->documents, room * sizeof *more);
        if (more == NULL) {
            return room > DOCUMENTS_MAX ? STATUS_TOO_BIG : STATUS_NO_MEMORY;
        }
        list->documents = more;
        list->room = room;
    }
    st = read_document(txn, &key, note, rows, &list->documents[list->count], reason);
    list->count += st == STATUS_OK ? 1 : 0;
    *version = key.version;
    return st;
}

static enum status
load_list(const struct document_list *list, struct charter **out, char *reason)
{
    const struct charter_document **others = calloc(list->count + 1, sizeof *others);
    const struct charter_document *trusted = NULL;
    if (others == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct charter_document *d = &list->documents[i];
        others[i] = d;
        if (d->head.kind == CHARTER_ROOT &&
            (trusted == NULL || d->head.version < trusted->head.version)) {
            trusted = d;
        }
    }
    enum status st = trusted == NULL ? STATUS_NOT_FOUND
                                     : charter_load(trusted, others, list->count, out, reason);
    free(others);
    return st == STATUS_OK || st == STATUS_NO_MEMORY || st == STATUS_NOT_FOUND ? st
                                                                               : STATUS_CORRUPT;
}

enum status
charter_store_load(struct store_txn *txn, const char *network, struct charter **out,
                   char reason[CHARTER_REASON_CHARS])
{
    struct document_list list = {0};
    uint64_t version = UINT64_MAX, lowest[CHARTER_KIND_COUNT];
    enum status st;
    *out = NULL;
    reason[0] = 0;
    do { /* all roots, down to the one where trust began */
        st = add_newest(txn, network, CHARTER_ROOT, &version, &list, reason);
    } while (st == STATUS_OK && version-- > 1);
    if (st == STATUS_NOT_FOUND && list.count > 0) {
        st = STATUS_OK;
    }
    for (unsigned k = CHARTER_ROOT + 1; st == STATUS_OK && k < CHARTER_KIND_COUNT; k++) {
        lowest[k] = UINT64_MAX;
        st = add_newest(txn, network, (enum charter_kind)k, &lowest[k], &list, reason);
        lowest[k] = st == STATUS_NOT_FOUND ? 0 : lowest[k];
        st = st == STATUS_NOT_FOUND ? STATUS_OK : st;
    }
    /* A kind whose newest version is void has an older one. */
    for (unsigned tries = 0; st == STATUS_OK && tries < VOID_MAX; tries++) {
        bool more = false;
        charter_free(*out);
        *out = NULL;
        st = load_list(&list, out, reason);
        for (unsigned k = CHARTER_ROOT + 1; st == STATUS_OK && k < CHARTER_KIND_COUNT; k++) {
            if (lowest[k] > 1 && charter_document(*out, (enum charter_kind)k) == NULL) {
                lowest[k]--;
                st = add_newest(txn, network, (enum charter_kind)k, &lowest[k], &list, reason);
                more = st == STATUS_OK || more;
                lowest[k] = st == STATUS_NOT_FOUND ? 0 : lowest[k];
                st = st == STATUS_NOT_FOUND ? STATUS_OK : st;
            }
        }
        if (!more) {
            break;
        }
    }
    if (st != STATUS_OK) {
        charter_free(*out);
        *out = NULL;
    }
    for (size_t i = 0; i < list.count; i++) {
        charter_document_free(&list.documents[i]);
    }
    free(list.documents);
    return st;
}

enum status
charter_store_put(struct store_txn *txn, const struct charter_document *d)
{
    struct store_charter_key key = {.network = text_view(d->head.network),
                                    .kind = charter_store_kind(d->head.kind),
                                    .version = d->head.version};
    return store_charter_put(txn, &key, d->note, d->rows, d->row_count);
}

enum status
charter_store_vet(struct store_txn *txn, const struct charter_head *head)
{
    struct store_charter_key key = {.network = text_view(head->network),
                                    .kind = charter_store_kind(head->kind),
                                    .version = head->version};
    struct charter_head kept;
    struct view bytes;
    struct note note;
    uint32_t rows;
    enum status st = store_charter_get(txn, &key, &bytes, &rows);
    if (st == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    if (st == STATUS_OK && (note_parse(bytes, &note) != STATUS_OK ||
                            charter_head_parse(note.text, &kept) != STATUS_OK)) {
        st = STATUS_CORRUPT;
    }
    return st != STATUS_OK || hash_equal(&kept.hash, &head->hash) ? st : STATUS_FORK;
}

enum status
charter_store_file(struct store_txn *txn, const char *network, enum charter_kind kind,
                   uint64_t version, uint8_t **file, size_t *file_count)
{
    struct store_charter_key key = {
        .network = text_view(network), .kind = charter_store_kind(kind), .version = version};
    struct view note;
    uint32_t count;
    *file = NULL;
    enum status st = store_charter_get(txn, &key, &note, &count);
    if (st != STATUS_OK) {
        return st;
    }
    struct view *rows = calloc((size_t)count + 1, sizeof *rows);
    st = rows == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (uint32_t i = 0; st == STATUS_OK && i < count; i++) {
        st = store_charter_row(txn, &key, i, &rows[i]);
    }
    if (st == STATUS_OK) {
        *file_count = charter_file_bytes(note, rows, count);
        *file = malloc(*file_count);
        st = *file == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    if (st == STATUS_OK) {
        charter_file_encode(note, rows, count, *file);
    }
    free(rows);
    return st;
}
