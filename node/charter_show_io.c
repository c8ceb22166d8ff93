/* charter_show_io.c: see charter_show_io.h. */
#include "node/charter_show_io.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/base64.h"
#include "node/charter_impl.h"
#include "node/charter_signed.h"
#include "proto/charter.pb-c.h"
#include "proto/text.h"

enum { HEX_CHARS = 2 * HASH_BYTES + 1 };

/* ---- JSON of rows: protobuf fields by their names ------------------------- */

static json_t *
bytes_to_json(const ProtobufCBinaryData *b)
{
    uint8_t *text = malloc(BASE64_CHARS(b->len) + 1);
    if (text == NULL) {
        return NULL;
    }
    size_t count = base64_encode((struct view){b->data, b->len}, text);
    json_t *j = json_stringn((const char *)text, count);
    free(text);
    return j;
}

/* One value of the types that the schemas use, and its size in an array. */
static json_t *
value_to_json(const ProtobufCFieldDescriptor *f, const void *p, size_t *bytes)
{
    *bytes = sizeof(void *);
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        return json_string(*(char *const *)p);
    }
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *m = *(const ProtobufCMessage *const *)p;
        return m == NULL ? json_null() : charter_row_json(m);
    }
    if (f->type == PROTOBUF_C_TYPE_BYTES) {
        *bytes = sizeof(ProtobufCBinaryData);
        return bytes_to_json(p);
    }
    if (f->type == PROTOBUF_C_TYPE_UINT32) {
        *bytes = sizeof(uint32_t);
        return json_integer(*(const uint32_t *)p);
    }
    if (f->type == PROTOBUF_C_TYPE_UINT64) {
        *bytes = sizeof(uint64_t);
        return json_integer((json_int_t) * (const uint64_t *)p);
    }
    assert(f->type == PROTOBUF_C_TYPE_BOOL);
    *bytes = sizeof(protobuf_c_boolean);
    return json_boolean(*(const protobuf_c_boolean *)p);
}

json_t *
charter_row_json(const ProtobufCMessage *m)
{
    const char *base = (const char *)m;
    json_t *o = json_object();
    for (unsigned i = 0; o != NULL && i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        json_t *j;
        size_t bytes = 0;
        if (f->label != PROTOBUF_C_LABEL_REPEATED) {
            j = value_to_json(f, base + f->offset, &bytes);
        } else {
            const char *at = *(const char *const *)(const void *)(base + f->offset);
            size_t count = *(const size_t *)(const void *)(base + f->quantifier_offset);
            j = json_array();
            for (size_t k = 0; j != NULL && k < count; k++, at += bytes) {
                if (json_array_append_new(j, value_to_json(f, at, &bytes)) != 0) {
                    json_decref(j);
                    j = NULL;
                }
            }
        }
        if (j == NULL || json_object_set_new(o, f->name, j) != 0) {
            json_decref(o);
            o = NULL;
        }
    }
    return o;
}

/* ---- who signed ----------------------------------------------------------- */

struct signer_line {
    char name[KEY_NAME_CHARS_MAX + 1];
    const char *state;
};

static void
find_keys(const struct charter_document *root, enum charter_kind role, struct note_key *keys,
          size_t *count)
{
    size_t more = 0;
    uint32_t threshold;
    if (root != NULL &&
        charter_root_keys(root, role, keys + *count, &more, &threshold) == STATUS_OK) {
        *count += more;
    }
}

/* Name the lines of a note and what they are worth; returns their number. */
static size_t
list_signers(const struct charter_document *d, const struct charter_document *root,
             struct signer_line out[NOTE_SIGNATURES_MAX])
{
    struct note note;
    struct note_key keys[2 * CHARTER_KEYS_MAX];
    size_t key_count = 0;
    bool is_root = d->head.kind == CHARTER_ROOT;
    if (charter_note_read(d->note, &note) != STATUS_OK) {
        return 0;
    }
    find_keys(root, d->head.kind, keys, &key_count);
    find_keys(is_root && d->whole ? d : NULL, CHARTER_ROOT, keys, &key_count);
    for (size_t i = 0; i < note.signature_count; i++) {
        const struct note_signature *s = &note.signatures[i];
        text_show(s->name, out[i].name, sizeof out[i].name);
        out[i].state =
            root == NULL && (!is_root || d->head.version > 1) ? "not checked" : "unknown key";
        for (size_t k = 0; k < key_count; k++) {
            if (keys[k].id == s->id && text_is(s->name, keys[k].name)) {
                bool good =
                    s->payload_count == SIGNATURE_BYTES &&
                    note_ed25519_check(keys[k].public_key, note.text, s->payload) == STATUS_OK;
                out[i].state = good ? "valid" : "NOT VALID";
            }
        }
    }
    return note.signature_count;
}

/* What is still needed, one sentence for each root that has a say. */
static const char *
verdict_of(const struct charter_document *d, const struct charter_document *root,
           struct charter_tally tallies[2], size_t *count)
{
    *count = charter_tally(root, d, tallies);
    bool before = d->head.kind == CHARTER_ROOT && d->head.version > 1 && root == NULL;
    return *count == 0 ? "not checked: there is no root at hand; --root FILE names it"
           : charter_tally_complete(d, tallies, *count) ? "the threshold holds"
           : before && tallies[0].missing == 0
               ? "the root before it must agree, too, and is not at hand; --root FILE names it"
               : "NOT ENOUGH yet";
}

/* ---- text ----------------------------------------------------------------- */

static void
show_member(FILE *out, const Hr__MemberRow *m)
{
    if (m->institution[0] == 0) {
        for (size_t i = 0; i < m->n_epochs; i++) {
            char from[CHARTER_TIME_CHARS], to[CHARTER_TIME_CHARS];
            charter_time_text((int64_t)m->epochs[i]->from, from);
            charter_time_text((int64_t)m->epochs[i]->ended, to);
            fprintf(out, "  epoch %" PRIu32 " of the network key, from %s%s%s\n",
                    m->epochs[i]->epoch, from, m->epochs[i]->ended != 0 ? ", ended " : "",
                    m->epochs[i]->ended != 0 ? to : "");
        }
        return;
    }
    fprintf(out, "  %-16s %s\n  %-16s %s, grade %s, %s, assessed %s, territory %s\n",
            m->institution, m->name, "", m->level[0] != 0 ? m->level : "level unknown",
            m->grade[0] != 0 ? m->grade : "unknown",
            m->ownership[0] != 0 ? m->ownership : "ownership unknown",
            m->assessed == 1   ? "yes"
            : m->assessed == 2 ? "no"
                               : "unknown",
            m->territory[0] != 0 ? m->territory : "unknown");
    fprintf(out, "  %-16s roles:", "");
    for (size_t i = 0; i < m->n_roles; i++) {
        fprintf(out, " %s", m->roles[i]);
    }
    fprintf(out, "; key sets: %zu; network keys:", m->n_keys);
    for (size_t i = 0; i < m->n_network_keys; i++) {
        fprintf(out, " %" PRIu32, m->network_keys[i]->epoch);
    }
    for (size_t i = 0; i < m->n_addresses; i++) {
        fprintf(out, "%s%s", i == 0 ? "; at " : ", ", m->addresses[i]);
    }
    fprintf(out, "%s%s\n", m->left[0] != 0 ? "; LEFT " : "", m->left);
    for (size_t i = 0; i < m->n_alliances; i++) {
        fprintf(out, "  %-16s alliance %s (%s)\n", "", m->alliances[i]->id,
                m->alliances[i]->kind);
    }
    for (size_t i = 0; i < m->n_listings; i++) {
        const Hr__Listing *l = m->listings[i];
        fprintf(out, "  %-16s %s in %s from %s to %s%s%s\n", "", l->status, l->pack,
                l->from[0] != 0 ? l->from : "ever", l->to[0] != 0 ? l->to : "now on",
                l->reason[0] != 0 ? ": " : "", l->reason);
    }
}

static void
show_root(FILE *out, const Hr__RootRow *r)
{
    char hex[HEX_CHARS];
    if (r->public_key.len == KEY_BYTES) {
        uint8_t key[BASE64_CHARS(KEY_BYTES) + 1] = "";
        base64_encode((struct view){r->public_key.data, KEY_BYTES}, key);
        fprintf(out, "  key %-14s %s ", r->name, (const char *)key);
        for (size_t i = 0; i < r->n_roles; i++) {
            fprintf(out, " %s", r->roles[i]);
        }
        fputc('\n', out);
    } else if (r->threshold != 0) {
        fprintf(out, "  %-18s %" PRIu32 "\n", r->name, r->threshold);
    }
    for (size_t i = 0; i < r->n_hashes; i++) {
        sodium_bin2hex(hex, sizeof hex, r->hashes[i].data, HASH_BYTES);
        fprintf(out, "  %-18s %s\n", r->name, hex);
    }
}

static void
show_quality(FILE *out, const Hr__QualityRow *q)
{
    fprintf(out, "  %-16s %-20s", q->institution, q->item[0] != 0 ? q->item : "(institution)");
    for (size_t i = 0; i < q->n_rounds; i++) {
        fprintf(out, " %s %s %s;", q->rounds[i]->organiser, q->rounds[i]->date,
                q->rounds[i]->passed ? "passed" : "FAILED");
    }
    for (size_t i = 0; i < q->n_institution_halves; i++) {
        fprintf(out, " %s %s;", q->institution_halves[i]->half,
                q->institution_halves[i]->passed ? "passed" : "FAILED");
    }
    if (q->inspection_failed_year != 0) {
        fprintf(out, " inspection FAILED in %" PRIu32, q->inspection_failed_year);
    }
    fputc('\n', out);
}

static void
show_policy(FILE *out, const Hr__PolicyRow *p)
{
    char hex[HEX_CHARS];
    if (p->pack[0] != 0) {
        sodium_bin2hex(hex, sizeof hex, p->hash.data, HASH_BYTES);
        fprintf(out, "  %-16s from %s to %s\n  %-16s hash %s\n", p->pack,
                p->in_force_from[0] != 0 ? p->in_force_from : "ever",
                p->in_force_to[0] != 0 ? p->in_force_to : "now on", "", hex);
        for (size_t i = 0; i < p->n_annexes; i++) {
            sodium_bin2hex(hex, sizeof hex, p->annexes[i]->hash.data, HASH_BYTES);
            fprintf(out, "  %-16s annex %s\n", "", hex);
        }
        return;
    }
    const Hr__NetworkSettings *s = p->settings;
    fprintf(out,
            "  settings         look_back_days %" PRIu32 ", look_back_epochs %" PRIu32
            ", cosign_s %" PRIu32 ", replication %s (0 or empty: the default)\n",
            s->look_back_days, s->look_back_epochs, s->cosign_s, s->replication);
    for (size_t i = 0; i < s->n_sensitive; i++) {
        fprintf(out, "  %-16s sensitive %s\n", "", s->sensitive[i]);
    }
    for (size_t i = 0; i < s->n_identifier_types; i++) {
        fprintf(out, "  %-16s identifier type %s\n", "", s->identifier_types[i]);
    }
}

static void
show_row(FILE *out, enum charter_kind kind, const ProtobufCMessage *m)
{
    switch (kind) {
    case CHARTER_ROOT:
        show_root(out, (const Hr__RootRow *)m);
        break;
    case CHARTER_MEMBERS:
        show_member(out, (const Hr__MemberRow *)m);
        break;
    case CHARTER_QUALITY:
        show_quality(out, (const Hr__QualityRow *)m);
        break;
    case CHARTER_POLICY:
        show_policy(out, (const Hr__PolicyRow *)m);
        break;
    case CHARTER_KIND_COUNT:
        break;
    }
}

/* Unpack each row in turn and hand it on. */
static enum status
each_row(const struct charter_document *d,
         enum status (*use)(void *ctx, const ProtobufCMessage *m), void *ctx)
{
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < d->row_count; i++) {
        uint8_t memory[PB_ARENA_BYTES];
        char reason[CHARTER_REASON_CHARS];
        struct pb_arena arena;
        ProtobufCMessage *m;
        pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
        st = charter_row_decode(d->head.kind, d->head.network, d->rows[i], &arena, &m, reason);
        if (st == STATUS_OK) {
            st = use(ctx, m);
        }
        pb_free(&arena);
    }
    return st;
}

struct text_rows {
    FILE *out;
    enum charter_kind kind;
};

static enum status
use_text(void *ctx, const ProtobufCMessage *m)
{
    const struct text_rows *t = ctx;
    show_row(t->out, t->kind, m);
    return STATUS_OK;
}

enum status
charter_show(FILE *out, const struct charter_document *d, const struct charter_document *root,
             int64_t now_s)
{
    struct signer_line signers[NOTE_SIGNATURES_MAX];
    struct charter_tally tallies[2];
    char hex[HEX_CHARS], at[CHARTER_TIME_CHARS], from[CHARTER_TIME_CHARS],
        stale[CHARTER_TIME_CHARS];
    size_t count = list_signers(d, root, signers), tally_count;
    const char *verdict = verdict_of(d, root, tallies, &tally_count);
    const struct charter_head *h = &d->head;
    sodium_bin2hex(hex, sizeof hex, h->hash.bytes, HASH_BYTES);
    charter_time_text(h->issued_at_s, at);
    charter_time_text(h->valid_from_s, from);
    charter_time_text(h->stale_after_s, stale);
    fprintf(out, "%s %" PRIu64 " of %s\n  hash        %s\n  issued      %s\n",
            charter_kind_text(h->kind), h->version, h->network, hex, at);
    fprintf(out, "  valid from  %s%s\n", from,
            h->valid_from_s > now_s ? "  NOT YET VALID" : "");
    fprintf(out, "  stale after %s%s\n", stale, h->stale_after_s < now_s ? "  STALE" : "");
    fprintf(out, "  signatures  %s\n",
            count == 0 ? "none yet; `huren charter sign` adds one" : verdict);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "    %s: %s\n", signers[i].name, signers[i].state);
    }
    for (size_t i = 0; i < tally_count; i++) {
        char text[CHARTER_TALLY_CHARS];
        charter_tally_text(&tallies[i], text);
        fprintf(out, "    %s\n", text);
    }
    fprintf(out, "rows: %" PRIu32 "\n", h->row_count);
    struct text_rows rows = {out, h->kind};
    return each_row(d, use_text, &rows);
}

static enum status
use_json(void *ctx, const ProtobufCMessage *m)
{
    json_t *j = charter_row_json(m);
    return j != NULL && json_array_append_new(ctx, j) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status
charter_show_json(FILE *out, const struct charter_document *d,
                  const struct charter_document *root, int64_t now_s)
{
    struct signer_line signers[NOTE_SIGNATURES_MAX];
    struct charter_tally tallies[2];
    char hex[HEX_CHARS];
    size_t count = list_signers(d, root, signers), tally_count;
    const char *verdict = verdict_of(d, root, tallies, &tally_count);
    const struct charter_head *h = &d->head;
    json_t *rows = json_array(), *signed_by = json_array(), *needs = json_array();
    sodium_bin2hex(hex, sizeof hex, h->hash.bytes, HASH_BYTES);
    enum status st = rows == NULL || signed_by == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        json_t *s = json_pack("{s:s,s:s}", "name", signers[i].name, "state", signers[i].state);
        st = s != NULL && json_array_append_new(signed_by, s) == 0 ? STATUS_OK
                                                                   : STATUS_NO_MEMORY;
    }
    for (size_t i = 0; st == STATUS_OK && i < tally_count; i++) {
        st = json_array_append_new(needs, charter_tally_json(&tallies[i])) == 0
                 ? STATUS_OK
                 : STATUS_NO_MEMORY;
    }
    if (st == STATUS_OK) {
        st = each_row(d, use_json, rows);
    }
    json_t *o = NULL;
    if (st == STATUS_OK) {
        o = json_pack(
            "{s:s,s:s,s:I,s:s,s:I,s:I,s:I,s:b,s:s,s:b,s:O,s:O,s:O}", "network", h->network,
            "kind", charter_kind_text(h->kind), "version", (json_int_t)h->version, "hash", hex,
            "issued_at", (json_int_t)h->issued_at_s, "valid_from", (json_int_t)h->valid_from_s,
            "stale_after", (json_int_t)h->stale_after_s, "stale", h->stale_after_s < now_s,
            "signed", verdict, "complete", charter_tally_complete(d, tallies, tally_count),
            "needs", needs, "signatures", signed_by, "rows", rows);
        st = o != NULL && json_dumpf(o, out, JSON_COMPACT) == 0 && fputc('\n', out) != EOF
                 ? STATUS_OK
                 : STATUS_IO;
    }
    json_decref(o);
    json_decref(rows);
    json_decref(signed_by);
    json_decref(needs);
    return st;
}
