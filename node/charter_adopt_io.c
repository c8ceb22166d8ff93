/* charter_adopt_io.c: see charter_adopt_io.h. */
#include "node/charter_adopt_io.h"

#include "node/charter_store_io.h"
#include "proto/text.h"

/* The document as it is in the charter afterwards, with merged signatures, or as
 * it came when a later version took its place at once. */
static const struct charter_document *
as_kept(const struct charter *after, const struct charter_document *d)
{
    const struct charter_document *kept = d->head.kind == CHARTER_ROOT
                                              ? charter_root_version(after, d->head.version)
                                              : charter_document(after, d->head.kind);
    return kept != NULL && hash_equal(&kept->head.hash, &d->head.hash) ? kept : d;
}

static enum status
write_step(struct store_txn *txn, const struct charter_document *d,
           const struct charter_step *step, const struct charter *after)
{
    if ((step->status == STATUS_OK || step->status == STATUS_EXISTS) && after != NULL) {
        const struct charter_document *kept = as_kept(after, d);
        struct store_charter_key key = {.network = text_view(d->head.network),
                                        .kind = charter_store_kind(d->head.kind),
                                        .version = d->head.version};
        struct view note;
        uint32_t rows;
        /* An earlier version that is kept stays as it is, with the lines that were vetted. */
        bool there = kept == d && store_charter_get(txn, &key, &note, &rows) == STATUS_OK;
        return there ? STATUS_OK : charter_store_put(txn, kept);
    }
    return store_refused_put(txn, text_view(d->head.network), step->status, d->note);
}

uint64_t
charter_adopt_bytes(const struct charter_document *const *documents, size_t count)
{
    uint64_t bytes = 64 * 1024;
    for (size_t i = 0; i < count; i++) {
        bytes += documents[i]->note.count;
        for (size_t r = 0; r < documents[i]->row_count; r++) {
            bytes += documents[i]->rows[r].count + 256;
        }
    }
    return bytes;
}

enum status
charter_adopt_put(struct store_txn *txn, const struct charter_document *const *documents,
                  const struct charter_step *steps, size_t count, const struct charter *after)
{
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        st = write_step(txn, documents[steps[i].document], &steps[i], after);
    }
    return st;
}
