#include "node/forkfile.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "node/evidence_impl.h"
#include "node/forkproof.h"
#include "proto/text.h"

#define FORK_HEAD "huren fork v1\n"
enum {
    FORK_HEAD_BYTES = sizeof FORK_HEAD - 1,
    NOTES_MAX = 512,
    ROWS_MAX = 4096,
    KEYS_MAX = 32,
    ARENA_BYTES = 64 * 1024,
    HEAP_BYTES_MAX = 8 * 1024 * 1024
};

bool
forkfile_is(struct view file)
{
    return file.count >= FORK_HEAD_BYTES && memcmp(file.bytes, FORK_HEAD, FORK_HEAD_BYTES) == 0;
}

/* ---- making ---- */

struct one_row {
    Hr__ProvenRow row;
    ProtobufCBinaryData list[TREE_PROOF_HASHES_MAX];
    struct hash proof[TREE_PROOF_HASHES_MAX];
};

struct making {
    Hr__ForkFile file;
    ProtobufCBinaryData notes[NOTES_MAX];
    Hr__ProvenRow *rows[ROWS_MAX];
};

static ProtobufCBinaryData
binary(struct view v)
{
    return (ProtobufCBinaryData){v.count, (uint8_t *)(uintptr_t)v.bytes};
}

static enum status
add_row(struct making *m, const struct charter_document *d, uint32_t index)
{
    struct one_row *r = m->file.n_rows < ROWS_MAX ? calloc(1, sizeof *r) : NULL;
    size_t count;
    if (r == NULL) {
        return m->file.n_rows < ROWS_MAX ? STATUS_NO_MEMORY : STATUS_TOO_BIG;
    }
    hr__proven_row__init(&r->row);
    m->rows[m->file.n_rows++] = &r->row;
    enum status st = charter_document_prove(d, index, r->proof, &count);
    if (st != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; i < count; i++) {
        r->list[i] = (ProtobufCBinaryData){HASH_BYTES, r->proof[i].bytes};
    }
    r->row.kind = (char *)(uintptr_t)charter_kind_text(d->head.kind);
    r->row.version = d->head.version;
    r->row.index = index;
    r->row.row = binary(d->rows[index]);
    r->row.proof = r->list;
    r->row.n_proof = count;
    return STATUS_OK;
}

static enum status
add_note(struct making *m, const struct charter_document *d)
{
    if (m->file.n_charter == NOTES_MAX) {
        return STATUS_TOO_BIG;
    }
    m->notes[m->file.n_charter++] = binary(d->note);
    return STATUS_OK;
}

static enum status
add_charter(struct making *m, const struct charter *c, const char *institution)
{
    const struct charter_document *d;
    enum status st = STATUS_OK;
    uint32_t index;
    for (uint64_t v = charter_first_root(c);
         st == STATUS_OK && (d = charter_root_version(c, v)) != NULL; v++) {
        st = add_note(m, d);
        for (uint32_t i = 0; st == STATUS_OK && i < d->row_count; i++) {
            st = add_row(m, d, i);
        }
    }
    d = charter_document(c, CHARTER_MEMBERS);
    if (st == STATUS_OK &&
        (d == NULL ||
         charter_row_index(c, CHARTER_MEMBERS, text_view(institution), &index) != STATUS_OK)) {
        st = STATUS_NOT_FOUND;
    }
    st = st == STATUS_OK ? add_note(m, d) : st;
    return st == STATUS_OK ? add_row(m, d, index) : st;
}

enum status
forkfile_make(const struct charter *c, struct view proof, uint8_t **out, size_t *count)
{
    struct making *m = calloc(1, sizeof *m);
    struct forkproof *p = calloc(1, sizeof *p);
    struct origin o;
    *out = NULL;
    enum status st = m == NULL || p == NULL ? STATUS_NO_MEMORY : forkproof_read(proof, p);
    if (st != STATUS_OK) {
        free(m);
        free(p);
        return st;
    }
    hr__fork_file__init(&m->file);
    m->file.proof = binary(proof);
    m->file.charter = m->notes;
    m->file.rows = m->rows;
    st = origin_parse(p->a.origin, &o);
    st = st == STATUS_OK ? add_charter(m, c, o.institution) : st;
    size_t body = st == STATUS_OK ? hr__fork_file__get_packed_size(&m->file) : 0;
    if (st == STATUS_OK && body + FORK_HEAD_BYTES > FORKFILE_BYTES_MAX) {
        st = STATUS_TOO_BIG;
    }
    if (st == STATUS_OK && (*out = malloc(body + FORK_HEAD_BYTES)) == NULL) {
        st = STATUS_NO_MEMORY;
    }
    if (st == STATUS_OK) {
        memcpy(*out, FORK_HEAD, FORK_HEAD_BYTES);
        *count = FORK_HEAD_BYTES + hr__fork_file__pack(&m->file, *out + FORK_HEAD_BYTES);
    }
    forkproof_free(p);
    free(p);
    for (size_t i = 0; i < m->file.n_rows; i++) {
        free(m->rows[i]); /* the first member of its struct one_row */
    }
    free(m);
    return st;
}

/* ---- checking ---- */

static enum status
check_head(struct checking *k, struct view note, const struct note_key *keys, size_t count,
           const Hr__MemberRow *m, const char *which, bool *ended)
{
    enum status st = STATUS_UNKNOWN_KEY;
    size_t by = 0;
    for (size_t i = 0; i < count && st != STATUS_OK; i++) {
        by = i;
        st = checkpoint_open(note, text_view(k->e->origin), &keys[i], 1, k->now_s, &k->head);
    }
    if (st != STATUS_OK) {
        return evidence_no(k, st, "the %s head was not signed by the log %s: %s", which,
                           k->e->origin, status_text(st));
    }
    int64_t to = charter_log_key_to(m, keys[by].public_key);
    *ended = *ended || (to > 0 && to <= k->now_s);
    return STATUS_OK;
}

static json_t *
head_json(const struct checkpoint *c)
{
    uint8_t root[BASE64_CHARS(HASH_BYTES) + 1] = {0};
    (void)base64_encode((struct view){c->root.bytes, HASH_BYTES}, root);
    return json_pack("{s:I,s:s}", "size", (json_int_t)c->size, "root", (const char *)root);
}

static enum status
check_proof(struct checking *k, const struct forkproof *p, json_t **json)
{
    struct note_key keys[KEYS_MAX];
    char origin[ORIGIN_CHARS_MAX + 1] = "";
    bool ended = false;
    if (p->a.origin.count > ORIGIN_CHARS_MAX ||
        origin_parse(p->a.origin, &k->origin) != STATUS_OK) {
        return evidence_no(k, STATUS_MALFORMED, "the two heads are of no log of a network");
    }
    memcpy(origin, p->a.origin.bytes, p->a.origin.count);
    Hr__Evidence e = *k->e;
    e.origin = origin;
    k->e = &e;
    if (strcmp(k->origin.network, charter_network(k->charter)) != 0) {
        return evidence_no(k, STATUS_REFUSED,
                           "the log belongs to another network than the trusted root");
    }
    const Hr__MemberRow *m = charter_member(k->charter, k->origin.institution);
    size_t count =
        m == NULL ? 0 : charter_log_keys(k->charter, text_view(origin), keys, KEYS_MAX);
    if (count == 0) {
        return evidence_no(k, STATUS_REFUSED, "%s is not a member of %s in this charter",
                           k->origin.institution, k->origin.network);
    }
    enum status st = check_head(k, p->note_a, keys, count, m, "smaller", &ended);
    st = st == STATUS_OK ? check_head(k, p->note_b, keys, count, m, "larger", &ended) : st;
    if (st != STATUS_OK) {
        return st;
    }
    if (!p->proven) {
        return evidence_no(k, STATUS_BAD_PROOF,
                           "both heads are signed by the log, but the file does not show that "
                           "they contradict each other");
    }
    *json =
        json_pack("{s:b,s:s,s:s,s:s,s:o,s:o,s:b,s:I}", "fork", true, "origin", origin,
                  "institution", m->institution, "name", m->name, "smaller", head_json(&p->a),
                  "larger", head_json(&p->b), "key_ended", ended, "members_version",
                  (json_int_t)charter_document(k->charter, CHARTER_MEMBERS)->head.version);
    return *json == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status
check_file(struct checking *k, struct view file, const struct charter_document *root,
           json_t **json)
{
    ProtobufCMessage *any;
    Hr__Evidence e;
    struct view body = {file.bytes + FORK_HEAD_BYTES, file.count - FORK_HEAD_BYTES};
    enum status st =
        pb_unpack(&hr__fork_file__descriptor, body, FORKFILE_BYTES_MAX, &k->arena, &any);
    if (st != STATUS_OK) {
        return evidence_no(k, st, "the file is damaged: %s", status_text(st));
    }
    const Hr__ForkFile *f = (const Hr__ForkFile *)any;
    hr__evidence__init(&e);
    e.charter = f->charter;
    e.n_charter = f->n_charter;
    e.rows = f->rows;
    e.n_rows = f->n_rows;
    k->e = &e;
    st = evidence_read_charter(k, root);
    if (st != STATUS_OK) {
        return st;
    }
    struct forkproof *p = calloc(1, sizeof *p);
    st = p == NULL ? STATUS_NO_MEMORY
                   : forkproof_read((struct view){f->proof.data, f->proof.len}, p);
    if (st == STATUS_OK) {
        st = check_proof(k, p, json);
        forkproof_free(p);
    } else if (st != STATUS_NO_MEMORY) {
        st = evidence_no(k, st, "the proof in the file is not readable: %s", status_text(st));
    }
    free(p);
    return st;
}

enum status
forkfile_check(struct view file, const struct charter_document *root, int64_t now_s,
               json_t **json, char reason[EVIDENCE_REASON_CHARS])
{
    struct checking *k = calloc(1, sizeof *k);
    uint8_t *memory = malloc(ARENA_BYTES);
    enum status st = STATUS_NO_MEMORY;
    *json = NULL;
    reason[0] = '\0';
    if (k == NULL || memory == NULL) {
        goto cleanup;
    }
    k->reason = reason;
    k->now_s = now_s;
    pb_arena_init(&k->arena, memory, ARENA_BYTES, HEAP_BYTES_MAX);
    if (file.count > FORKFILE_BYTES_MAX || !forkfile_is(file)) {
        st = evidence_no(k, STATUS_UNSUPPORTED, "not a fork proof of a version known here");
    } else {
        st = check_file(k, file, root, json);
    }
    charter_free(k->charter);
    for (size_t i = 0; k->documents != NULL && i < k->document_count; i++) {
        charter_document_free(&k->documents[i]);
    }
    free(k->documents);
    pb_free(&k->arena);
cleanup:
    free(memory);
    free(k);
    return st;
}
