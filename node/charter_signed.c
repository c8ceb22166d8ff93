/* charter_signed.c: see charter_signed.h. */
#include "node/charter_signed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/charter_impl.h"
#include "proto/text.h"

/* The part of a key's name that people know. */
static const char *
short_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash == NULL ? name : slash + 1;
}

static void
add_name(char out[CHARTER_NAMES_CHARS], const char *name)
{
    size_t used = strlen(out);
    if (used + strlen(name) + 8 < CHARTER_NAMES_CHARS) {
        snprintf(out + used, CHARTER_NAMES_CHARS - used, "%s%s", used > 0 ? ", " : "", name);
    } else if (used > 3 && out[used - 1] != '.') {
        snprintf(out + used, CHARTER_NAMES_CHARS - used, ", ...");
    }
}

/* Whether `line` is this key's, and if so whether it holds. */
static bool
line_is_of(const struct note_signature *line, const struct note_key *key)
{
    return line->id == key->id && text_is(line->name, key->name);
}

static bool
line_holds(const struct note *note, const struct note_signature *line,
           const struct note_key *key)
{
    return line->canonical && line->payload_count == SIGNATURE_BYTES &&
           note_ed25519_check(key->public_key, note->text, line->payload) == STATUS_OK;
}

static bool
tally_root(const struct charter_document *root, const struct charter_document *d,
           const struct note *note, struct charter_tally *t)
{
    size_t key_count = 0;
    uint32_t threshold = 0;
    struct note_key *keys = calloc(CHARTER_KEYS_MAX, sizeof *keys);
    memset(t, 0, sizeof *t);
    bool good = keys != NULL && charter_root_keys(root, d->head.kind, keys, &key_count,
                                                  &threshold) == STATUS_OK;
    t->root_version = root->head.version;
    t->own = hash_equal(&root->head.hash, &d->head.hash);
    t->threshold = threshold;
    for (size_t k = 0; good && k < key_count; k++) {
        bool holds = false;
        for (size_t i = 0; i < note->signature_count; i++) {
            if (line_is_of(&note->signatures[i], &keys[k])) {
                bool valid = line_holds(note, &note->signatures[i], &keys[k]);
                t->bad_count += !valid;
                holds = holds || valid;
            }
        }
        for (size_t other = 0; holds && other < k; other++) { /* one secret, two names */
            holds = memcmp(keys[other].public_key, keys[k].public_key, KEY_BYTES) != 0;
        }
        t->signed_count += holds;
        add_name(holds ? t->signed_by : t->may_sign, short_name(keys[k].name));
    }
    t->missing = t->signed_count < threshold ? threshold - t->signed_count : 0;
    free(keys);
    return good;
}

size_t
charter_tally(const struct charter_document *root, const struct charter_document *d,
              struct charter_tally out[2])
{
    struct note note;
    size_t count = 0;
    bool is_root = d->head.kind == CHARTER_ROOT;
    if (charter_note_read(d->note, &note) != STATUS_OK) {
        return 0;
    }
    if (root != NULL && (!is_root || root->head.version + 1 == d->head.version) &&
        tally_root(root, d, &note, &out[count])) {
        count++;
    }
    if (is_root && d->whole && tally_root(d, d, &note, &out[count])) {
        count++;
    }
    return count;
}

bool
charter_tally_complete(const struct charter_document *d, const struct charter_tally *t,
                       size_t count)
{
    bool before = d->head.kind != CHARTER_ROOT || d->head.version == 1;
    for (size_t i = 0; i < count; i++) {
        before = before || !t[i].own;
        if (t[i].missing > 0 || t[i].bad_count > 0) {
            return false;
        }
    }
    return count > 0 && before;
}

void
charter_tally_text(const struct charter_tally *t, char out[CHARTER_TALLY_CHARS])
{
    char missing[CHARTER_NAMES_CHARS + 40] = "it holds";
    char bad[64] = "";
    if (t->missing > 0) {
        snprintf(missing, sizeof missing, "%zu MISSING, of %s", t->missing,
                 t->may_sign[0] != '\0' ? t->may_sign : "nobody: the threshold cannot be met");
    }
    if (t->bad_count > 0) {
        snprintf(bad, sizeof bad, "; %zu NOT VALID", t->bad_count);
    }
    snprintf(out, CHARTER_TALLY_CHARS,
             "%s %" PRIu64 " asks for %" PRIu32 ": signed by %s; %s%s",
             t->own ? "this root" : "root", t->root_version, t->threshold,
             t->signed_by[0] != '\0' ? t->signed_by : "nobody", missing, bad);
}

json_t *
charter_tally_json(const struct charter_tally *t)
{
    return json_pack("{s:I,s:b,s:I,s:I,s:I,s:I,s:s,s:s}", "root", (json_int_t)t->root_version,
                     "own", t->own, "threshold", (json_int_t)t->threshold, "signed",
                     (json_int_t)t->signed_count, "missing", (json_int_t)t->missing, "bad",
                     (json_int_t)t->bad_count, "signed_by", t->signed_by, "may_sign",
                     t->may_sign);
}

/* ---- comparing copies at two nodes -------------------------------------------- */

enum { SET_BYTES = 8 };
_Static_assert(CHARTER_KEYS_MAX <= 8 * SET_BYTES, "a bit for each key");

/* One secret under two names is one signer. */
static size_t
first_of_secret(const struct note_key *keys, size_t k)
{
    size_t first = 0;
    while (memcmp(keys[first].public_key, keys[k].public_key, KEY_BYTES) != 0) {
        first++;
    }
    return first;
}

void
charter_signers(const struct charter_document *root, const struct charter_document *d,
                struct hash *out)
{
    struct note note;
    size_t key_count = 0;
    uint32_t threshold;
    struct hash texts[2] = {d->head.hash, root->head.hash};
    struct note_key *keys = calloc(CHARTER_KEYS_MAX, sizeof *keys);
    memset(out, 0, sizeof *out);
    if (keys == NULL || charter_note_read(d->note, &note) != STATUS_OK ||
        charter_root_keys(root, d->head.kind, keys, &key_count, &threshold) != STATUS_OK) {
        free(keys); /* nothing is compared; what is in hand holds all the same */
        return;
    }
    sha256((const uint8_t *)texts, sizeof texts, out);
    memset(out->bytes, 0, SET_BYTES);
    for (size_t k = 0; k < key_count; k++) {
        for (size_t i = 0; i < note.signature_count; i++) {
            if (line_is_of(&note.signatures[i], &keys[k]) &&
                line_holds(&note, &note.signatures[i], &keys[k])) {
                size_t bit = first_of_secret(keys, k);
                out->bytes[bit / 8] |= (uint8_t)(1u << bit % 8);
            }
        }
    }
    free(keys);
}

bool
charter_signers_more(const struct hash *ours, const struct hash *theirs)
{
    bool more = false;
    for (size_t i = 0; i < SET_BYTES; i++) {
        more = more || (theirs->bytes[i] & ~ours->bytes[i]) != 0;
    }
    return more && memcmp(ours->bytes + SET_BYTES, theirs->bytes + SET_BYTES,
                          HASH_BYTES - SET_BYTES) == 0;
}

/* ---- joining ---------------------------------------------------------------- */

/* Keys that may sign: of the root to judge by and of the document itself. */
struct known {
    size_t count;
    struct note_key keys[2 * CHARTER_KEYS_MAX];
};

static void
know(struct known *k, const struct charter_document *root, enum charter_kind role)
{
    size_t more = 0;
    uint32_t threshold;
    if (charter_root_keys(root, role, k->keys + k->count, &more, &threshold) == STATUS_OK) {
        k->count += more;
    }
}

/* Is this line to be taken?  STATUS_OK, STATUS_NOT_FOUND: of no key that may sign,
 * STATUS_BAD_SIGNATURE. */
static enum status
judge_line(const struct known *known, bool any, const struct note *note,
           const struct note_signature *line)
{
    bool of_key = false;
    for (size_t k = 0; k < known->count; k++) {
        if (line_is_of(line, &known->keys[k])) {
            if (line_holds(note, line, &known->keys[k])) {
                return STATUS_OK;
            }
            of_key = true;
        }
    }
    return of_key ? STATUS_BAD_SIGNATURE : any ? STATUS_OK : STATUS_NOT_FOUND;
}

struct joined {
    uint8_t *note;
    size_t count;
    size_t lines;
};

static bool
has_line(const struct joined *j, const struct note_signature *line)
{
    struct note note;
    if (charter_note_read((struct view){j->note, j->count}, &note) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < note.signature_count; i++) {
        if (note.signatures[i].id == line->id &&
            note.signatures[i].name.count == line->name.count &&
            memcmp(note.signatures[i].name.bytes, line->name.bytes, line->name.count) == 0) {
            return true;
        }
    }
    return false;
}

static enum status
take_lines(const struct known *known, bool any, const struct charter_document *d, size_t number,
           struct joined *j, size_t *added, char reason[CHARTER_REASON_CHARS])
{
    struct note note;
    char name[KEY_NAME_CHARS_MAX + 1];
    enum status st = charter_note_read(d->note, &note);
    for (size_t i = 0; st == STATUS_OK && i < note.signature_count; i++) {
        const struct note_signature *line = &note.signatures[i];
        enum status good = judge_line(known, any, &note, line);
        if (good == STATUS_BAD_SIGNATURE) {
            text_show(line->name, name, sizeof name);
            snprintf(reason, CHARTER_REASON_CHARS,
                     "the signature of %s is not valid: the file is damaged or forged; ask "
                     "that person for it again",
                     short_name(name));
            return good;
        }
        if (good != STATUS_OK || has_line(j, line)) {
            continue;
        }
        if (j->lines == NOTE_SIGNATURES_MAX || j->count + line->line.count > NOTE_BYTES_MAX) {
            return STATUS_TOO_BIG;
        }
        memcpy(j->note + j->count, line->line.bytes, line->line.count);
        j->count += line->line.count;
        j->lines++;
        *added += number > 0;
    }
    return st;
}

enum status
charter_join(const struct charter_document *root,
             const struct charter_document *const *documents, size_t count, uint8_t **out,
             size_t *out_count, size_t *added, size_t *bad_file,
             char reason[CHARTER_REASON_CHARS])
{
    const struct charter_document *first = documents[0];
    bool is_root = first->head.kind == CHARTER_ROOT;
    struct note note;
    struct joined j = {.note = malloc(NOTE_BYTES_MAX)};
    struct known *known = calloc(1, sizeof *known);
    enum status st = j.note == NULL || known == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    *out = NULL;
    *added = 0;
    *bad_file = 0;
    reason[0] = '\0';
    if (st == STATUS_OK) {
        if (root != NULL) {
            know(known, root, first->head.kind);
        }
        if (is_root) {
            know(known, first, CHARTER_ROOT);
        }
        st = charter_note_read(first->note, &note);
    }
    if (st == STATUS_OK) { /* the text and the empty line; lines follow */
        memcpy(j.note, note.text.bytes, note.text.count);
        j.note[note.text.count] = '\n';
        j.count = note.text.count + 1;
    }
    /* A root of version 2 or later is also signed by keys that only the one before knows. */
    bool any = root == NULL && (!is_root || first->head.version > 1);
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        *bad_file = i;
        if (!hash_equal(&documents[i]->head.hash, &first->head.hash)) {
            char a[CHARTER_WHAT_CHARS], b[CHARTER_WHAT_CHARS];
            charter_what(&first->head, a);
            charter_what(&documents[i]->head, b);
            snprintf(reason, CHARTER_REASON_CHARS,
                     "%.100s with another text than the first file (%.100s): only signatures "
                     "under one text can be joined",
                     b, a);
            st = STATUS_REFUSED;
        } else {
            st = take_lines(known, any, documents[i], i, &j, added, reason);
        }
    }
    if (st == STATUS_OK) {
        struct view joined = {j.note, j.count};
        *out_count = charter_file_bytes(joined, first->rows, first->row_count);
        *out = malloc(*out_count);
        st = *out == NULL ? STATUS_NO_MEMORY : STATUS_OK;
        if (st == STATUS_OK) {
            charter_file_encode(joined, first->rows, first->row_count, *out);
        }
    }
    if (st != STATUS_OK && reason[0] == '\0') {
        snprintf(reason, CHARTER_REASON_CHARS, "%s", status_text(st));
    }
    free(known);
    free(j.note);
    return st;
}
