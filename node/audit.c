#include "node/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "node/charter_store_io.h"
#include "node/linked.h"
#include "node/origin.h"
#include "proto/text.h"
#include "store/kv.h"

const char *
audit_kind_text(enum audit_kind kind)
{
    return kind == AUDIT_DAMAGE    ? "damage"
           : kind == AUDIT_UNKNOWN ? "unknown"
                                   : "contradiction";
}

void
audit_report(struct audit_sink *s, enum audit_kind kind, const char *part, struct view origin,
             const uint64_t *index, const char *format, ...)
{
    struct audit_finding f = {.kind = kind, .part = part, .origin = origin};
    va_list args;

    if (index != NULL) {
        f.has_index = true;
        f.index = *index;
    }
    va_start(args, format);
    vsnprintf(f.what, sizeof f.what, format, args);
    va_end(args);
    s->damages += kind == AUDIT_DAMAGE;
    s->contradictions += kind == AUDIT_CONTRADICTION;
    s->unknowns += kind == AUDIT_UNKNOWN;
    s->finding(s->context, &f);
}

/* ---- keys ---- */

static void
add_witness(const Hr__MemberRow *m, const char *network, struct audit_keys *out)
{
    char name[KEY_NAME_CHARS_MAX + 1];
    struct note_key key;

    origin_witness_name(network, m->institution, name);
    for (size_t i = m->n_keys; i-- > 0 && out->count < AUDIT_KEYS_MAX;) {
        const ProtobufCBinaryData *k = &m->keys[i]->witness;
        bool twice = false;
        if (k->len != KEY_BYTES ||
            note_key_make(text_view(name), NOTE_KEY_COSIGNATURE, k->data, &key) != STATUS_OK) {
            continue;
        }
        for (size_t j = 0; j < out->count; j++) {
            twice =
                twice || (out->keys[j].id == key.id && strcmp(out->keys[j].name, name) == 0);
        }
        if (!twice) {
            out->keys[out->count++] = key;
        }
    }
}

void
audit_keys_of(const struct charter *c, struct view origin, const char *self,
              struct audit_keys *out)
{
    struct origin o;

    memset(out, 0, sizeof *out);
    if (c == NULL || origin_parse(origin, &o) != STATUS_OK) {
        return;
    }
    out->log_count = charter_log_keys(c, origin, out->keys, AUDIT_KEYS_MAX / 2);
    if (out->log_count > AUDIT_KEYS_MAX / 2) {
        out->log_count = AUDIT_KEYS_MAX / 2;
    }
    out->count = out->log_count;
    for (size_t i = 0; i < charter_member_count(c); i++) {
        const Hr__MemberRow *m = charter_member_at(c, i);
        bool us = self != NULL && strcmp(m->institution, self) == 0;
        if (m->institution[0] != '\0' && strcmp(m->institution, o.institution) != 0 &&
            (us || charter_has_role(m, "witness"))) {
            add_witness(m, o.network, out);
        }
    }
}

/* ---- heads ---- */

/* Form, origin and signatures of one note.  False: a finding was told. */
static bool
check_note(struct view bytes, struct view origin, const struct audit_keys *keys,
           const char *part, const char *name, struct checkpoint *head, struct audit_sink *sink)
{
    struct note note;
    struct note_verified verified;
    bool by_log = false;

    if (note_parse(bytes, &note) != STATUS_OK ||
        checkpoint_parse(note.text, head) != STATUS_OK) {
        audit_report(sink, AUDIT_DAMAGE, part, origin, NULL, "%s is no checkpoint", name);
        return false;
    }
    if (head->origin.count != origin.count ||
        memcmp(head->origin.bytes, origin.bytes, origin.count) != 0) {
        audit_report(sink, AUDIT_DAMAGE, part, origin, NULL, "%s is of another log", name);
        return false;
    }
    if (keys->log_count == 0) {
        audit_report(sink, AUDIT_UNKNOWN, part, origin, NULL,
                     "%s cannot be verified: no charter here names a key of this log", name);
        return true;
    }
    enum status st = note_verify(&note, keys->keys, keys->count, INT64_MAX, &verified);
    for (size_t i = 0; st == STATUS_OK && i < verified.count; i++) {
        by_log = by_log || verified.signers[i].key < keys->log_count;
        sink->cosignatures += verified.signers[i].key >= keys->log_count;
    }
    if (st == STATUS_OK && !by_log) {
        st = STATUS_UNKNOWN_KEY;
    }
    if (st != STATUS_OK) {
        audit_report(sink, AUDIT_DAMAGE, part, origin, NULL, "%s of size %llu: %s", name,
                     (unsigned long long)head->size,
                     st == STATUS_UNKNOWN_KEY ? "not signed by a key of this log"
                                              : status_text(st));
        return false;
    }
    return true;
}

static enum status
check_head(struct store_txn *txn, const struct store_log *log, enum store_note kind,
           const char *name, const struct audit_keys *keys, struct audit_sink *sink)
{
    struct view bytes;
    struct checkpoint head;
    struct hash root;
    enum status st = store_note_get(txn, log->id, kind, &bytes);

    if (st == STATUS_NOT_FOUND || st == STATUS_CORRUPT) {
        return STATUS_OK; /* Damage of the row is the store's to tell. */
    }
    if (st != STATUS_OK || !check_note(bytes, log->origin, keys, "head", name, &head, sink)) {
        return st;
    }
    if (head.size > log->size) {
        if ((log->flags & STORE_LOG_OWN) != 0) {
            audit_report(sink, AUDIT_DAMAGE, "head", log->origin, &head.size,
                         "%s is larger than the log: %llu of %llu entries are here", name,
                         (unsigned long long)log->size, (unsigned long long)head.size);
        }
        return STATUS_OK; /* Of another's log: not fetched yet. */
    }
    st = store_root_at(txn, log->id, head.size, &root);
    if (st == STATUS_OK && !hash_equal(&root, &head.root)) {
        bool forked = (log->flags & STORE_LOG_FROZEN) != 0 && head.size > log->serve_to;
        audit_report(sink, forked ? AUDIT_CONTRADICTION : AUDIT_DAMAGE, "head", log->origin,
                     &head.size, "%s of size %llu has another root than the entries", name,
                     (unsigned long long)head.size);
    } else if (st == STATUS_OK) {
        sink->heads++;
    }
    return st == STATUS_CORRUPT || st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static enum status
check_heads_of(struct store_txn *txn, const struct store_log *log, const struct charter *c,
               const char *self, struct audit_sink *sink)
{
    static const struct {
        enum store_note kind;
        const char *name;
    } kinds[] = {{STORE_NOTE_HEAD, "the newest head"},
                 {STORE_NOTE_COSIGNED, "the cosigned head"},
                 {STORE_NOTE_WITNESSED, "the head that we cosigned"},
                 {STORE_NOTE_OFFERED, "the offered head"}};
    struct audit_keys *keys = malloc(sizeof *keys);
    enum status st = keys == NULL ? STATUS_NO_MEMORY : STATUS_OK;

    if (st == STATUS_OK) {
        audit_keys_of(c, log->origin, self, keys);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && st == STATUS_OK; i++) {
        st = check_head(txn, log, kinds[i].kind, kinds[i].name, keys, sink);
    }
    if (st == STATUS_OK && (log->flags & STORE_LOG_FROZEN) != 0) {
        audit_report(sink, AUDIT_CONTRADICTION, "fork", log->origin, &log->serve_to,
                     "its author signed two histories; what follows entry %llu is disputed",
                     (unsigned long long)log->serve_to);
    }
    if (st == STATUS_OK && c != NULL && !linked_log(c, txn, log->origin)) {
        audit_report(sink, AUDIT_CONTRADICTION, "unlinked", log->origin, NULL,
                     "it goes on for an earlier log of its author, and the members document "
                     "does not name it yet");
    }
    free(keys);
    return st;
}

enum status
audit_heads(struct store_txn *txn, const char *network, const struct charter *c,
            const char *self, struct audit_sink *sink)
{
    char after[ORIGIN_CHARS_MAX + 1] = "";
    struct store_log log;
    struct origin o;
    enum status st;

    while ((st = store_log_next(txn, text_view(after), &log)) == STATUS_OK) {
        memcpy(after, log.origin.bytes, log.origin.count);
        after[log.origin.count] = '\0';
        if (origin_parse(log.origin, &o) == STATUS_OK && strcmp(o.network, network) == 0 &&
            (st = check_heads_of(txn, &log, c, self, sink)) != STATUS_OK) {
            return st;
        }
    }
    return st == STATUS_NOT_FOUND || st == STATUS_CORRUPT ? STATUS_OK : st;
}

enum status
audit_receipts(struct store_txn *txn, uint8_t space, const char *network,
               const struct charter *c, struct audit_sink *sink)
{
    struct view name, note_bytes, after = text_view("");
    enum status st;

    while ((st = store_kv_next(txn, space, text_view(network), after, &name, &note_bytes)) ==
           STATUS_OK) {
        struct note note;
        struct checkpoint head;
        struct audit_keys *keys = malloc(sizeof *keys);
        if (keys == NULL) {
            return STATUS_NO_MEMORY;
        }
        struct origin o;
        after = name;
        if (note_parse(note_bytes, &note) != STATUS_OK ||
            checkpoint_parse(note.text, &head) != STATUS_OK ||
            origin_parse(head.origin, &o) != STATUS_OK || !text_is(name, o.institution)) {
            audit_report(sink, AUDIT_DAMAGE, "receipt", text_view(network), NULL,
                         "a receipt is no head of the institution that gave it");
        } else {
            audit_keys_of(c, head.origin, NULL, keys);
            sink->receipts += check_note(note_bytes, head.origin, keys, "receipt",
                                         "the receipt", &head, sink);
        }
        free(keys);
    }
    return st == STATUS_NOT_FOUND || st == STATUS_CORRUPT ? STATUS_OK : st;
}

/* ---- charter ---- */

struct documents {
    size_t count, room;
    struct charter_document *at;
};

static enum status
read_document(struct store_txn *txn, const struct store_charter_key *key, struct view note,
              uint32_t row_count, struct documents *list, struct audit_sink *sink)
{
    char reason[CHARTER_REASON_CHARS] = "";
    struct view *rows = calloc((size_t)row_count + 1, sizeof *rows);
    enum status st = rows == NULL ? STATUS_NO_MEMORY : STATUS_OK;

    if (st == STATUS_OK && list->count == list->room) {
        size_t room = list->room == 0 ? 16 : 2 * list->room;
        struct charter_document *more = realloc(list->at, room * sizeof *more);
        st = more == NULL ? STATUS_NO_MEMORY : STATUS_OK;
        list->at = more == NULL ? list->at : more;
        list->room = more == NULL ? list->room : room;
    }
    for (uint32_t i = 0; st == STATUS_OK && i < row_count; i++) {
        st = store_charter_row(txn, key, i, &rows[i]);
    }
    if (st == STATUS_OK) {
        st = charter_document_make(note, rows, row_count, &list->at[list->count], reason);
        list->count += st == STATUS_OK;
    }
    if (st != STATUS_OK && st != STATUS_NO_MEMORY) {
        audit_report(
            sink, AUDIT_DAMAGE, "charter", key->network, &key->version, "%s version %llu: %s",
            charter_kind_text((enum charter_kind)(key->kind - 1)),
            (unsigned long long)key->version, reason[0] != '\0' ? reason : status_text(st));
        st = STATUS_OK;
    }
    free(rows);
    return st;
}

static enum status
read_kind(struct store_txn *txn, const char *network, enum charter_kind kind,
          struct documents *list, struct audit_sink *sink)
{
    struct store_charter_key key = {text_view(network), charter_store_kind(kind), UINT64_MAX};
    struct view note;
    uint32_t rows;
    enum status st;

    while ((st = store_charter_newest(txn, &key, &note, &rows)) == STATUS_OK) {
        if ((st = read_document(txn, &key, note, rows, list, sink)) != STATUS_OK ||
            key.version == 0) {
            return st;
        }
        key.version--;
    }
    return st == STATUS_NOT_FOUND || st == STATUS_CORRUPT ? STATUS_OK : st;
}

/* Whether a threshold signed this document: a charter that is made of the roots and
 * of it alone must take it. */
static enum status
check_signed(const struct documents *roots, const struct charter_document *trusted,
             const struct charter_document *d, bool *is)
{
    const struct charter_document **all = calloc(roots->count + 1, sizeof *all);
    char reason[CHARTER_REASON_CHARS];
    struct charter *c = NULL;

    *is = false;
    if (all == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < roots->count; i++) {
        all[i] = &roots->at[i];
    }
    all[roots->count] = d;
    enum status st = charter_load(trusted, all, roots->count + 1, &c, reason);
    if (st == STATUS_OK) {
        *is = d->head.kind == CHARTER_ROOT ? charter_root_version(c, d->head.version) != NULL
                                           : charter_document(c, d->head.kind) != NULL;
    }
    charter_free(c);
    free(all);
    return st == STATUS_NO_MEMORY ? st : STATUS_OK;
}

static enum status
check_documents(const char *network, const struct documents *roots,
                const struct documents *others, struct audit_sink *sink)
{
    const struct charter_document *trusted = NULL;
    enum status st = STATUS_OK;

    for (size_t i = 0; i < roots->count; i++) {
        if (trusted == NULL || roots->at[i].head.version < trusted->head.version) {
            trusted = &roots->at[i];
        }
    }
    for (size_t i = 0; st == STATUS_OK && i < roots->count + others->count; i++) {
        const struct charter_document *d =
            i < roots->count ? &roots->at[i] : &others->at[i - roots->count];
        bool is = false;
        st = trusted == NULL ? STATUS_OK : check_signed(roots, trusted, d, &is);
        if (st == STATUS_OK && !is) {
            audit_report(
                sink, AUDIT_CONTRADICTION, "charter", text_view(network), &d->head.version,
                "%s version %llu is void, or not signed by a threshold of the roots here",
                charter_kind_text(d->head.kind), (unsigned long long)d->head.version);
        }
        sink->documents += is;
    }
    return st;
}

enum status
audit_charter(struct store_txn *txn, const char *network, struct charter **out,
              struct audit_sink *sink)
{
    struct documents roots = {0}, others = {0};
    char reason[CHARTER_REASON_CHARS] = "";
    enum status st = read_kind(txn, network, CHARTER_ROOT, &roots, sink);

    *out = NULL;
    for (unsigned k = CHARTER_ROOT + 1; st == STATUS_OK && k < CHARTER_KIND_COUNT; k++) {
        st = read_kind(txn, network, (enum charter_kind)k, &others, sink);
    }
    if (st == STATUS_OK) {
        st = check_documents(network, &roots, &others, sink);
    }
    if (st == STATUS_OK) {
        st = charter_store_load(txn, network, out, reason);
        if (st == STATUS_CORRUPT) {
            audit_report(sink, AUDIT_DAMAGE, "charter", text_view(network), NULL,
                         "the documents here make no charter: %s", reason);
        }
        st = st == STATUS_NOT_FOUND || st == STATUS_CORRUPT ? STATUS_OK : st;
    }
    for (size_t i = 0; i < roots.count; i++) {
        charter_document_free(&roots.at[i]);
    }
    for (size_t i = 0; i < others.count; i++) {
        charter_document_free(&others.at[i]);
    }
    free(roots.at);
    free(others.at);
    return st;
}
