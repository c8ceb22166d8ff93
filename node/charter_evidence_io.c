/* charter_evidence_io.c: see charter_evidence_io.h. */
#include "node/charter_evidence_io.h"

#include <stdlib.h>
#include <string.h>

#include "node/charter_impl.h"
#include "node/engine.h"
#include "proto/text.h"
#include "store/kv.h"

enum { NUMBER_BYTES = 8, NOISE_LINES = 4, LINES_MAX = NOTE_SIGNATURES_MAX };

static void
put_number(uint64_t v, uint8_t out[NUMBER_BYTES])
{
    for (int i = NUMBER_BYTES; i-- > 0; v >>= 8) {
        out[i] = (uint8_t)v;
    }
}

static uint64_t
get_number(struct view name)
{
    uint64_t v = 0;
    for (size_t i = 0; i < name.count && i < NUMBER_BYTES; i++) {
        v = v << 8 | name.bytes[i];
    }
    return v;
}

/* ---- what of a note is kept ---------------------------------------------------- */

/* The lines that are valid under a key that any root of ours gives the role. */
static uint64_t
known_lines(const struct charter *c, enum charter_kind kind, const struct note *note)
{
    uint64_t lines = 0;
    struct note_key *keys = calloc(CHARTER_KEYS_MAX, sizeof *keys);
    for (size_t r = 0; keys != NULL && c != NULL && r < c->root_count; r++) {
        size_t count = 0;
        uint32_t threshold;
        if (charter_root_keys(&c->roots[r]->doc, kind, keys, &count, &threshold) != STATUS_OK) {
            continue;
        }
        for (size_t i = 0; i < note->signature_count; i++) {
            const struct note_signature *s = &note->signatures[i];
            for (size_t k = 0; k < count && (lines >> i & 1) == 0; k++) {
                if (s->id == keys[k].id && text_is(s->name, keys[k].name) && s->canonical &&
                    s->payload_count == SIGNATURE_BYTES &&
                    note_ed25519_check(keys[k].public_key, note->text, s->payload) ==
                        STATUS_OK) {
                    lines |= UINT64_C(1) << i;
                }
            }
        }
    }
    free(keys);
    return lines;
}

static enum charter_evidence_rank
rank_of(enum status why, uint64_t lines)
{
    if (lines == 0) {
        return CHARTER_EVIDENCE_NOISE;
    }
    return why == STATUS_FORK ? CHARTER_EVIDENCE_AGAINST : CHARTER_EVIDENCE_SIGNED;
}

/* ---- rows ------------------------------------------------------------------------ */

struct row {
    struct pb_arena arena;
    uint8_t memory[2048];
    const Hr__RefusedDocument *m;
    struct charter_head head;
};

static enum status
open_row(struct view value, struct row *r)
{
    ProtobufCMessage *m = NULL;
    struct note note;
    pb_arena_init(&r->arena, r->memory, sizeof r->memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = pb_unpack(&hr__refused_document__descriptor, value,
                               CHARTER_EVIDENCE_WRITE_BYTES, &r->arena, &m);
    r->m = (const Hr__RefusedDocument *)m;
    if (st == STATUS_OK && (r->m->rank >= CHARTER_EVIDENCE_RANKS ||
                            charter_note_read((struct view){r->m->note.data, r->m->note.len},
                                              &note) != STATUS_OK ||
                            charter_head_parse(note.text, &r->head) != STATUS_OK)) {
        st = STATUS_CORRUPT;
    }
    return st == STATUS_OK || st == STATUS_NO_MEMORY ? st : STATUS_CORRUPT;
}

enum status
charter_evidence_each(struct store_txn *txn, const char *network, charter_evidence_fn fn,
                      void *ctx)
{
    uint8_t at[NUMBER_BYTES];
    struct view name = {at, 0}, value;
    struct row *r = malloc(sizeof *r);
    enum status st = r == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    while (st == STATUS_OK && (st = store_kv_next(txn, SPACE_REFUSED, text_view(network), name,
                                                  &name, &value)) == STATUS_OK) {
        st = open_row(value, r);
        if (st == STATUS_OK) {
            const struct charter_evidence e = {
                .number = get_number(name),
                .why = (enum status)r->m->status,
                .rank = (enum charter_evidence_rank)r->m->rank,
                .at_s = (int64_t)r->m->at,
                .from = r->m->from,
                .reason = r->m->reason,
                .note = {r->m->note.data, r->m->note.len},
                .head = r->head,
            };
            put_number(e.number, at);
            fn(ctx, &e);
        }
        pb_free(&r->arena);
        name = (struct view){at, NUMBER_BYTES};
    }
    free(r);
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

/* What a new one meets: the same text, and how many of each rank there are. */
struct meet {
    const struct hash *hash;
    uint64_t same, last; /* numbers; 0: none */
    unsigned same_rank;
    struct charter_evidence_counts counts;
    uint64_t oldest[CHARTER_EVIDENCE_RANKS];
};

static void
use_meet(void *ctx, const struct charter_evidence *e)
{
    struct meet *m = ctx;
    if (m->hash != NULL && hash_equal(m->hash, &e->head.hash)) {
        m->same = e->number;
        m->same_rank = e->rank;
    }
    if (m->counts.of[e->rank]++ == 0) {
        m->oldest[e->rank] = e->number;
    }
    m->counts.all++;
    m->last = e->number;
}

enum status
charter_evidence_count(struct store_txn *txn, const char *network,
                       struct charter_evidence_counts *out)
{
    struct meet m = {0};
    enum status st = charter_evidence_each(txn, network, use_meet, &m);
    *out = m.counts;
    return st;
}

static enum status
drop(struct store_txn *txn, const char *network, uint64_t number)
{
    uint8_t name[NUMBER_BYTES];
    put_number(number, name);
    return store_kv_drop(txn, SPACE_REFUSED, text_view(network),
                         (struct view){name, NUMBER_BYTES});
}

enum status
charter_evidence_forget(struct store_txn *txn, const char *network, const struct hash *hash)
{
    struct meet m = {.hash = hash};
    enum status st = charter_evidence_each(txn, network, use_meet, &m);
    return st == STATUS_OK && m.same != 0 && m.same_rank < CHARTER_EVIDENCE_AGAINST
               ? drop(txn, network, m.same)
               : st;
}

bool
charter_evidence_counts_as(enum status why)
{
    return why == STATUS_REFUSED || why == STATUS_ROLLBACK || why == STATUS_FORK ||
           why == STATUS_UNKNOWN_KEY || why == STATUS_THRESHOLD ||
           why == STATUS_BAD_SIGNATURE || why == STATUS_EXPIRED;
}

static enum status
write_row(struct store_txn *txn, const char *network, const Hr__RefusedDocument *m,
          uint64_t number)
{
    uint8_t name[NUMBER_BYTES];
    size_t count = 0;
    uint8_t *bytes = malloc(CHARTER_EVIDENCE_WRITE_BYTES);
    put_number(number, name);
    enum status st = bytes == NULL
                         ? STATUS_NO_MEMORY
                         : pb_pack(&m->base, bytes, CHARTER_EVIDENCE_WRITE_BYTES, &count);
    if (st == STATUS_OK) {
        st = store_kv_put(txn, SPACE_REFUSED, text_view(network),
                          (struct view){name, NUMBER_BYTES}, (struct view){bytes, count});
    }
    free(bytes);
    return st;
}

enum status
charter_evidence_put(struct store_txn *txn, const char *network, const struct charter *c,
                     struct view bytes, enum status why, const char *reason, const char *from,
                     int64_t at_s)
{
    static const size_t most[CHARTER_EVIDENCE_RANKS] = {
        CHARTER_EVIDENCE_NOISE_MAX, CHARTER_EVIDENCE_SIGNED_MAX, CHARTER_EVIDENCE_AGAINST_MAX};
    struct note note;
    struct charter_head head;
    if (charter_note_read(bytes, &note) != STATUS_OK ||
        charter_head_parse(note.text, &head) != STATUS_OK) {
        return STATUS_OK; /* no note: nothing that anybody said */
    }
    uint64_t lines = known_lines(c, head.kind, &note);
    enum charter_evidence_rank rank = rank_of(why, lines);
    for (size_t i = 0; rank == CHARTER_EVIDENCE_NOISE && i < note.signature_count; i++) {
        lines |= i < NOISE_LINES ? UINT64_C(1) << i : 0;
    }
    struct meet m = {.hash = &head.hash};
    enum status st = charter_evidence_each(txn, network, use_meet, &m);
    if (st != STATUS_OK || (m.same != 0 && m.same_rank >= rank)) {
        return st;
    }
    uint8_t *cut = malloc(CHARTER_EVIDENCE_BYTES_MAX);
    size_t count = 0;
    st = cut == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (st == STATUS_OK && lines != 0) {
        st = note_write(&note, lines, cut, CHARTER_EVIDENCE_BYTES_MAX, &count);
    } else if (st == STATUS_OK && note.text.count + 1 <= CHARTER_EVIDENCE_BYTES_MAX) {
        memcpy(cut, note.text.bytes, note.text.count);
        cut[note.text.count] = '\n';
        count = note.text.count + 1;
    }
    if (st == STATUS_TOO_BIG || st == STATUS_MALFORMED) {
        free(cut);
        return STATUS_OK; /* names of signers as long as none of ours is */
    }
    if (st == STATUS_OK && m.same != 0) {
        st = drop(txn, network, m.same);
    } else if (st == STATUS_OK && m.counts.of[rank] >= most[rank]) {
        st = drop(txn, network, m.oldest[rank]);
    }
    if (st == STATUS_OK) {
        Hr__RefusedDocument row;
        hr__refused_document__init(&row);
        row.status = (uint32_t)why;
        row.rank = (uint32_t)rank;
        row.at = at_s > 0 ? (uint64_t)at_s : 0;
        row.from = (char *)(uintptr_t)from;
        row.reason = (char *)(uintptr_t)reason;
        row.note = (ProtobufCBinaryData){count, cut};
        st = write_row(txn, network, &row, m.last + 1);
    }
    free(cut);
    return st;
}
