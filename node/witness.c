#include "node/witness.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "node/gossip_update.h"
#include "node/origin.h"

static void
add_keys(struct witness_keys *out, const struct gossip_key *keys, size_t count,
         const char *name, uint8_t type, uint8_t witness)
{
    for (size_t i = 0; i < count && out->count < WITNESS_KEYS_MAX; i++) {
        struct note_key *k = &out->keys[out->count];
        if (note_key_make(view_of_text(name), type, keys[i].public_key, k) != STATUS_OK) {
            continue; /* the charter refuses such keys; here they simply count for nothing */
        }
        out->from_s[out->count] = keys[i].from_s;
        out->to_s[out->count] = keys[i].to_s;
        out->witness[out->count] = witness;
        out->count++;
    }
}

void
witness_keys_of_all(const struct gossip_member *members, size_t count, const char *network,
                    struct witness_keys *out)
{
    out->count = out->log_count = out->witness_count = 0;
    for (size_t i = 0; i < count && out->witness_count < WITNESSES_MAX; i++) {
        const struct gossip_member *m = &members[i];
        if (m->witness && !m->left) {
            char name[KEY_NAME_CHARS_MAX + 1];
            origin_witness_name(network, m->institution, name);
            add_keys(out, m->witness_keys, m->witness_key_count, name, NOTE_KEY_COSIGNATURE,
                     (uint8_t)out->witness_count);
            out->names[out->witness_count++] = m->institution;
        }
    }
}

void
witness_author_keys(const struct gossip_member *author, const char *origin,
                    struct witness_author *out)
{
    out->count = 0;
    for (size_t i = 0; author != NULL && i < author->log_key_count; i++) {
        if (note_key_make(view_of_text(origin), NOTE_KEY_ED25519,
                          author->log_keys[i].public_key,
                          &out->keys[out->count]) == STATUS_OK) {
            out->from_s[out->count] = author->log_keys[i].from_s;
            out->to_s[out->count++] = author->log_keys[i].to_s;
        }
    }
}

void
witness_keys_of_log(const struct witness_author *author, const char *institution,
                    const struct witness_keys *all, struct witness_keys *out)
{
    out->witness_count = 0;
    out->count = author->count;
    for (size_t i = 0; i < author->count; i++) {
        out->keys[i] = author->keys[i];
        out->from_s[i] = author->from_s[i];
        out->to_s[i] = author->to_s[i];
    }
    out->log_count = out->count;
    uint8_t number[WITNESSES_MAX];
    for (size_t i = 0; i < all->witness_count; i++) {
        bool own = strcmp(all->names[i], institution) == 0;
        number[i] = own ? UINT8_MAX : (uint8_t)out->witness_count;
        if (!own) {
            out->names[out->witness_count++] = all->names[i];
        }
    }
    for (size_t k = 0; k < all->count && out->count < WITNESS_KEYS_MAX; k++) {
        if (number[all->witness[k]] != UINT8_MAX) {
            out->keys[out->count] = all->keys[k];
            out->from_s[out->count] = all->from_s[k];
            out->to_s[out->count] = all->to_s[k];
            out->witness[out->count++] = number[all->witness[k]];
        }
    }
}

static bool
in_force(const struct witness_keys *keys, size_t k, int64_t at_s)
{
    return keys->from_s[k] <= at_s && (keys->to_s[k] == 0 || at_s < keys->to_s[k]);
}

/* Count a cosignature; false: its key was not in force at its time. */
static bool
count_witness(const struct witness_keys *keys, size_t k, int64_t time_s, int64_t now_s,
              struct witness_head *out)
{
    uint32_t bit = UINT32_C(1) << keys->witness[k];
    if (time_s > now_s + CHARTER_SKEW_S_MAX || !in_force(keys, k, time_s)) {
        return false;
    }
    out->cosigned += (out->witnesses & bit) == 0;
    out->witnesses |= bit;
    return true;
}

enum status
witness_open(struct view bytes, struct view origin, const struct witness_keys *keys,
             int64_t now_s, struct witness_head *out)
{
    struct note note;
    struct checkpoint c;
    struct note_verified verified;
    struct witness_head head = {0};
    enum status st = note_parse(bytes, &note);
    if (st == STATUS_OK) {
        st = checkpoint_parse(note.text, &c);
    }
    if (st != STATUS_OK) {
        return st;
    }
    if (c.origin.count != origin.count ||
        memcmp(c.origin.bytes, origin.bytes, origin.count) != 0) {
        return STATUS_REFUSED;
    }
    if (keys->log_count == 0) {
        return STATUS_UNKNOWN_KEY;
    }
    st = note_verify(&note, keys->keys, keys->count, now_s, &verified);
    if (st != STATUS_OK) {
        return st;
    }
    bool signed_by_log = false;
    int64_t oldest_s = INT64_MAX;
    for (size_t i = 0; i < verified.count; i++) {
        if (verified.signers[i].key >= keys->log_count) {
            if (count_witness(keys, verified.signers[i].key, verified.signers[i].time_s, now_s,
                              &head) &&
                verified.signers[i].time_s < oldest_s) {
                oldest_s = verified.signers[i].time_s;
            }
        }
    }
    for (size_t i = 0; i < verified.count; i++) {
        size_t k = verified.signers[i].key;
        if (k < keys->log_count) {
            head.log_lines |= UINT64_C(1) << verified.signers[i].line;
        }
        if (k < keys->log_count && (in_force(keys, k, now_s + CHARTER_SKEW_S_MAX) ||
                                    in_force(keys, k, now_s) || in_force(keys, k, oldest_s))) {
            signed_by_log = true;
        }
    }
    if (!signed_by_log) {
        return STATUS_UNKNOWN_KEY;
    }
    head.lines = verified.lines;
    head.text = note.text;
    head.size = c.size;
    head.root = c.root;
    *out = head;
    return STATUS_OK;
}

static uint64_t
get_u64(const uint8_t in[8])
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) {
        v = v << 8 | in[i];
    }
    return v;
}

enum status
witness_recall(struct view bytes, struct view origin, const struct witness_keys *keys,
               int64_t now_s, struct witness_head *out)
{
    struct note note;
    struct checkpoint c;
    struct witness_head head = {0};
    enum status st = note_parse(bytes, &note);
    if (st == STATUS_OK) {
        st = checkpoint_parse(note.text, &c);
    }
    if (st == STATUS_OK && (c.origin.count != origin.count ||
                            memcmp(c.origin.bytes, origin.bytes, origin.count) != 0)) {
        st = STATUS_REFUSED;
    }
    if (st != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; i < note.signature_count; i++) {
        const struct note_signature *line = &note.signatures[i];
        for (size_t k = keys->log_count; k < keys->count; k++) {
            if (line->id == keys->keys[k].id &&
                line->payload_count == COSIGNATURE_PAYLOAD_BYTES &&
                strlen(keys->keys[k].name) == line->name.count &&
                memcmp(keys->keys[k].name, line->name.bytes, line->name.count) == 0) {
                head.present |= UINT32_C(1) << keys->witness[k];
                (void)count_witness(keys, k, (int64_t)get_u64(line->payload), now_s, &head);
            }
        }
    }
    head.text = note.text;
    head.size = c.size;
    head.root = c.root;
    *out = head;
    return STATUS_OK;
}

bool
witness_covers(struct view ours, struct view theirs)
{
    struct note a, b;
    if (note_parse(ours, &a) != STATUS_OK || note_parse(theirs, &b) != STATUS_OK ||
        a.text.count != b.text.count || memcmp(a.text.bytes, b.text.bytes, a.text.count) != 0) {
        return false;
    }
    for (size_t i = 0; i < b.signature_count; i++) {
        bool found = false;
        for (size_t k = 0; k < a.signature_count && !found; k++) {
            found = a.signatures[k].line.count == b.signatures[i].line.count &&
                    memcmp(a.signatures[k].line.bytes, b.signatures[i].line.bytes,
                           a.signatures[k].line.count) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

enum status
witness_keep(struct view bytes, uint64_t lines, uint8_t out[NOTE_BYTES_MAX], size_t *count)
{
    struct note note;
    enum status st = note_parse(bytes, &note);
    return st == STATUS_OK ? note_write(&note, lines, out, NOTE_BYTES_MAX, count) : st;
}

bool
witness_same_text(struct view a, struct view b)
{
    struct note x, y;
    return note_parse(a, &x) == STATUS_OK && note_parse(b, &y) == STATUS_OK &&
           x.text.count == y.text.count &&
           memcmp(x.text.bytes, y.text.bytes, x.text.count) == 0;
}

/* Whether a line is by this key, as name and id say. */
static bool
line_is_by(const struct note_signature *line, const struct note_key *key)
{
    return line->id == key->id && strlen(key->name) == line->name.count &&
           memcmp(key->name, line->name.bytes, line->name.count) == 0;
}

static bool
has_line_by(const struct note *note, const struct note_key *key)
{
    for (size_t i = 0; i < note->signature_count; i++) {
        if (line_is_by(&note->signatures[i], key)) {
            return true;
        }
    }
    return false;
}

enum status
witness_add(struct view ours, struct view theirs, const struct witness_keys *keys,
            uint8_t out[NOTE_BYTES_MAX], size_t *count, size_t *added)
{
    struct note a, b;
    uint64_t taken = 0; /* keys, so that one that stands twice in theirs counts once */
    *added = 0;
    enum status st = note_parse(ours, &a);
    if (st == STATUS_OK) {
        st = note_parse(theirs, &b);
    }
    if (st != STATUS_OK) {
        return st;
    }
    if (a.text.count != b.text.count || memcmp(a.text.bytes, b.text.bytes, a.text.count) != 0) {
        return STATUS_MALFORMED;
    }
    memcpy(out, ours.bytes, ours.count);
    *count = ours.count;
    for (size_t i = 0; i < b.signature_count; i++) {
        const struct note_signature *line = &b.signatures[i];
        for (size_t k = keys->log_count; k < keys->count; k++) {
            int64_t time_s;
            if (!line_is_by(line, &keys->keys[k]) || (taken >> k & 1) != 0 ||
                has_line_by(&a, &keys->keys[k])) {
                continue;
            }
            st = !line->canonical || line->payload_count != COSIGNATURE_PAYLOAD_BYTES
                     ? STATUS_BAD_SIGNATURE
                     : cosignature_check(&keys->keys[k], a.text,
                                         (struct view){line->payload, line->payload_count},
                                         &time_s);
            if (st != STATUS_OK) {
                return STATUS_BAD_SIGNATURE;
            }
            if (line->line.count > NOTE_BYTES_MAX - *count ||
                a.signature_count + *added == NOTE_SIGNATURES_MAX) {
                return STATUS_TOO_BIG;
            }
            memcpy(out + *count, line->line.bytes, line->line.count);
            *count += line->line.count;
            ++*added;
            taken |= UINT64_C(1) << k;
        }
    }
    return STATUS_OK;
}

enum status
witness_may_cosign(uint64_t last_size, const struct hash *last_root,
                   const struct hash *last_root_now, uint64_t size, const struct hash *root)
{
    if (last_size == 0) {
        return STATUS_OK;
    }
    if (size < last_size) {
        return STATUS_REFUSED;
    }
    if (size == last_size) {
        return hash_equal(last_root, root) ? STATUS_EXISTS : STATUS_FORK;
    }
    return hash_equal(last_root, last_root_now) ? STATUS_OK : STATUS_FORK;
}
