/* charter_adopt_io.c: see charter_adopt_io.h. */
#include "node/charter_adopt_io.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/charter_evidence_io.h"
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
           const struct charter_step *step, const struct charter *before,
           const struct charter *after, const char *from, int64_t now_s)
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
        enum status st = there ? STATUS_OK : charter_store_put(txn, kept);
        return st == STATUS_OK ? charter_evidence_forget(txn, d->head.network, &d->head.hash)
                               : st;
    }
    if (!charter_evidence_counts_as(step->status)) {
        return STATUS_OK;
    }
    /* Into the network whose charter refused it, also when it is of another. */
    const struct charter *keys = after != NULL ? after : before;
    return charter_evidence_put(txn, keys != NULL ? charter_network(keys) : d->head.network,
                                keys, d->note, step->status, step->reason, from, now_s);
}

uint64_t
charter_adopt_bytes(const struct charter_document *const *documents, size_t count)
{
    uint64_t bytes = 64 * 1024;
    for (size_t i = 0; i < count; i++) {
        bytes += documents[i]->note.count + CHARTER_EVIDENCE_WRITE_BYTES;
        for (size_t r = 0; r < documents[i]->row_count; r++) {
            bytes += documents[i]->rows[r].count + 256;
        }
    }
    return bytes;
}

enum status
charter_adopt_put(struct store_txn *txn, const struct charter_document *const *documents,
                  const struct charter_step *steps, size_t count, const struct charter *before,
                  const struct charter *after, const char *from, int64_t now_s)
{
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        st = write_step(txn, documents[steps[i].document], &steps[i], before, after, from,
                        now_s);
    }
    return st;
}

/* ---- from a peer ------------------------------------------------------------- */

/* With the signatures that verified, and no lines of nobody. */
static enum status
put_one(struct store_txn *txn, const struct charter *c, const struct store_charter_key *key,
        const struct charter_document *d)
{
    size_t count;
    uint8_t *note = malloc(NOTE_BYTES_MAX);
    enum status st = note == NULL ? STATUS_NO_MEMORY : charter_cut_note(c, d, note, &count);
    st = st == STATUS_OK
             ? store_charter_put(txn, key, (struct view){note, count}, d->rows, d->row_count)
             : st;
    st = st == STATUS_OK ? charter_evidence_forget(txn, d->head.network, &d->head.hash) : st;
    free(note);
    return st;
}

static enum status
merge_one(struct store_txn *txn, const struct charter *c, const struct store_charter_key *key,
          struct view theirs, bool *merged)
{
    size_t count, added;
    uint8_t *note = malloc(NOTE_BYTES_MAX);
    enum status st = note == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (st == STATUS_OK && charter_merge(c, theirs, note, &count, &added) == STATUS_OK &&
        added > 0) {
        st = store_charter_note_put(txn, key, (struct view){note, count});
        *merged = st == STATUS_OK;
    }
    free(note);
    return st;
}

enum status
charter_adopt_one(struct store_txn *txn, const char *network, const struct charter *c,
                  const struct gossip_action *a, int64_t now_s, enum status *outcome,
                  bool *adopted, char reason[CHARTER_REASON_CHARS])
{
    struct charter_document d;
    struct store_charter_key key = {text_view(network), (enum store_charter)a->charter_kind,
                                    a->version};
    enum status st = charter_document_make(a->note, a->entries, a->count, &d, reason);
    enum status written = STATUS_OK;
    *adopted = false;
    if (st == STATUS_OK && c == NULL) {
        st = STATUS_REFUSED;
    } else if (st == STATUS_OK) {
        st = charter_check_next(c, &d, now_s, reason);
    }
    if (st == STATUS_OK && (st = charter_store_vet(txn, &d.head)) == STATUS_FORK) {
        snprintf(reason, CHARTER_REASON_CHARS,
                 "another text of this version is kept here and void; the authority must "
                 "issue a higher version");
    }
    if (st == STATUS_OK) {
        written = put_one(txn, c, &key, &d);
        *adopted = written == STATUS_OK;
    } else if (st == STATUS_EXISTS) {
        written = merge_one(txn, c, &key, a->note, adopted);
    } else if (charter_evidence_counts_as(st)) {
        written = charter_evidence_put(txn, network, c, a->note, st,
                                       reason[0] != 0 ? reason : status_text(st),
                                       a->institution == NULL ? "" : a->institution, now_s);
    }
    *outcome = st;
    charter_document_free(&d);
    return written;
}
