#include "crypto/joinfile.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/line.h"
#include "crypto/note.h"
#include "proto/text.h"

static const char FIRST_LINE[] = "huren join v1";

enum { JOINFILE_KEYS = 5, JOINFILE_SIGNERS = 3 /* the first three keys */, STATEMENT = 2 };
static const char *const ROLES[JOINFILE_KEYS] = {"log", "witness", "statement", "session",
                                                 "box"};

/* The text while it is written; what does not fit sets `full`. */
struct writer {
    uint8_t *bytes;
    size_t count, max;
    bool full;
};

static void
put(struct writer *w, struct view v)
{
    if (w->full || v.count > w->max - w->count) {
        w->full = true;
        return;
    }
    memcpy(w->bytes + w->count, v.bytes, v.count);
    w->count += v.count;
}

static void
put_line(struct writer *w, const char *key, struct view value)
{
    put(w, text_view(key));
    put(w, text_view(" "));
    put(w, value);
    put(w, text_view("\n"));
}

/* Text for people: printable UTF-8, no blank at either end. */
static enum status
vet_title(struct view title)
{
    const struct view trimmed = text_trim(title);
    uint32_t point;

    if (title.count > JOINFILE_NAME_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    for (size_t at = 0, n; at < title.count; at += n) {
        n = text_next(title, at, &point);
        if (n == 0 || !text_is_printable(point)) {
            return STATUS_MALFORMED;
        }
    }
    return trimmed.count == title.count ? STATUS_OK : STATUS_MALFORMED;
}

/* tcp:// and then letters, digits and . - _ : [ ] (host names, IPv4, IPv6). */
static enum status
vet_address(struct view address)
{
    static const char scheme[] = "tcp://";

    if (address.count > ADDRESS_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (!text_begins(address, scheme) || address.count == sizeof scheme - 1) {
        return STATUS_MALFORMED;
    }
    for (size_t i = sizeof scheme - 1; i < address.count; i++) {
        const char c = (char)address.bytes[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(".-_:[]", c) != NULL))) {
            return STATUS_MALFORMED;
        }
    }
    return STATUS_OK;
}

static enum status
vet_names(const struct joinfile *join)
{
    enum status st;

    if ((st = keys_vet_name(join->institution, INSTITUTION_CHARS_MAX)) != STATUS_OK ||
        (st = keys_vet_name(join->network, NETWORK_CHARS_MAX)) != STATUS_OK ||
        (st = vet_title(text_view(join->name))) != STATUS_OK) {
        return st;
    }
    if (join->address_count > JOINFILE_ADDRESSES_MAX) {
        return STATUS_TOO_BIG;
    }
    for (size_t i = 0; i < join->address_count; i++) {
        if ((st = vet_address(text_view(join->addresses[i]))) != STATUS_OK) {
            return st;
        }
    }
    return STATUS_OK;
}

/* The name under which a role signs; all lengths are vetted. */
static struct view
signer_name(const struct joinfile *join, const char *role, char out[KEY_NAME_CHARS_MAX + 1])
{
    int n = snprintf(out, KEY_NAME_CHARS_MAX + 1, "%s/%s/%s", join->network, join->institution,
                     role);
    assert(n > 0 && n <= KEY_NAME_CHARS_MAX);
    return (struct view){(const uint8_t *)out, (size_t)n};
}

static void
put_text(struct writer *w, const struct joinfile *join, const struct network_public *keys)
{
    const uint8_t *const all[JOINFILE_KEYS] = {keys->log, keys->witness, keys->statement,
                                               keys->session, keys->box};
    uint8_t base64[BASE64_CHARS(KEY_BYTES)];

    put(w, text_view(FIRST_LINE));
    put(w, text_view("\n"));
    put_line(w, "institution", text_view(join->institution));
    put_line(w, "network", text_view(join->network));
    for (size_t i = 0; i < JOINFILE_KEYS; i++) {
        (void)base64_encode((struct view){all[i], KEY_BYTES}, base64);
        put_line(w, ROLES[i], (struct view){base64, sizeof base64});
    }
    if (join->name[0] != '\0') {
        put_line(w, "name", text_view(join->name));
    }
    for (size_t i = 0; i < join->address_count; i++) {
        put_line(w, "address", text_view(join->addresses[i]));
    }
}

enum status
joinfile_encode(const struct joinfile *join, const struct network_keys *keys, uint8_t *out,
                size_t out_max, size_t *out_count)
{
    const struct sign_key *const sign[JOINFILE_SIGNERS] = {&keys->log, &keys->witness,
                                                           &keys->statement};
    struct writer w = {out, 0, out_max < JOINFILE_BYTES_MAX ? out_max : JOINFILE_BYTES_MAX,
                       false};
    struct network_public public_keys;
    struct view text;
    enum status st;

    *out_count = 0;
    if ((st = vet_names(join)) != STATUS_OK) {
        return st;
    }
    keys_public(keys, &public_keys);
    put_text(&w, join, &public_keys);
    text = (struct view){w.bytes, w.count};
    put(&w, text_view("\n"));
    for (size_t i = 0; i < JOINFILE_SIGNERS && !w.full; i++) {
        struct note_signer signer;
        char name[KEY_NAME_CHARS_MAX + 1];
        size_t n = 0;
        st = note_signer_make(signer_name(join, ROLES[i], name), NOTE_KEY_ED25519,
                              sign[i]->secret_key, &signer);
        if (st == STATUS_OK) {
            st = note_sign_line(&signer, text, w.bytes + w.count, w.max - w.count, &n);
        }
        note_signer_wipe(&signer);
        if (st != STATUS_OK) {
            return st;
        }
        w.count += n;
    }
    if (w.full) {
        return STATUS_TOO_BIG;
    }
    *out_count = w.count;
    return STATUS_OK;
}

enum status
joinfile_countersign(uint8_t *file, size_t file_max, size_t *count,
                     const struct network_keys *before)
{
    struct joinfile join;
    struct note note;
    struct note_signer signer;
    char name[KEY_NAME_CHARS_MAX + 1];
    size_t n = 0, max = file_max < JOINFILE_BYTES_MAX ? file_max : JOINFILE_BYTES_MAX;
    enum status st = joinfile_decode((struct view){file, *count}, &join);

    if (st != STATUS_OK || (st = note_parse((struct view){file, *count}, &note)) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    st = note_signer_make(signer_name(&join, ROLES[STATEMENT], name), NOTE_KEY_ED25519,
                          before->statement.secret_key, &signer);
    if (st == STATUS_OK) {
        st = note_sign_line(&signer, note.text, file + *count, max - *count, &n);
    }
    note_signer_wipe(&signer);
    *count += st == STATUS_OK ? n : 0;
    return st;
}

enum status
joinfile_signed_by(struct view file, const struct joinfile *join,
                   const uint8_t statement_public[KEY_BYTES])
{
    struct note note;
    struct note_key key;
    struct note_verified verified;
    char name[KEY_NAME_CHARS_MAX + 1];

    if (note_parse(file, &note) != STATUS_OK ||
        note_key_make(signer_name(join, ROLES[STATEMENT], name), NOTE_KEY_ED25519,
                      statement_public, &key) != STATUS_OK) {
        return STATUS_UNKNOWN_KEY;
    }
    return note_verify(&note, &key, 1, 0, &verified);
}

/* Take the next line if it is `key`, a blank, and a value; else leave it. */
static bool
take(struct view *rest, const char *key, struct view *value)
{
    const size_t chars = strlen(key);
    struct view after = *rest, line;

    if (line_take(&after, &line) != STATUS_OK || !text_begins(line, key) ||
        line.count <= chars || line.bytes[chars] != ' ') {
        return false;
    }
    *rest = after;
    *value = (struct view){line.bytes + chars + 1, line.count - chars - 1};
    return true;
}

/* Copy a value to a string; a note holds no NUL. */
static enum status
take_string(struct view *rest, const char *key, char *out, size_t chars_max)
{
    struct view value;

    if (!take(rest, key, &value)) {
        return STATUS_MALFORMED;
    }
    if (value.count > chars_max) {
        return STATUS_TOO_BIG;
    }
    memcpy(out, value.bytes, value.count);
    out[value.count] = '\0';
    return STATUS_OK;
}

static enum status
read_text(struct view rest, struct joinfile *read)
{
    uint8_t *const all[JOINFILE_KEYS] = {read->keys.log, read->keys.witness,
                                         read->keys.statement, read->keys.session,
                                         read->keys.box};
    struct view line, value;
    enum status st;
    size_t got;

    if (line_take(&rest, &line) != STATUS_OK || !text_is(line, FIRST_LINE)) {
        return STATUS_UNSUPPORTED;
    }
    if ((st = take_string(&rest, "institution", read->institution, INSTITUTION_CHARS_MAX)) !=
            STATUS_OK ||
        (st = take_string(&rest, "network", read->network, NETWORK_CHARS_MAX)) != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; i < JOINFILE_KEYS; i++) {
        if (!take(&rest, ROLES[i], &value) ||
            base64_decode(value, all[i], KEY_BYTES, &got) != STATUS_OK || got != KEY_BYTES) {
            return STATUS_MALFORMED;
        }
    }
    if (text_begins(rest, "name ") &&
        ((st = take_string(&rest, "name", read->name, JOINFILE_NAME_BYTES_MAX)) != STATUS_OK ||
         read->name[0] == '\0')) {
        return st != STATUS_OK ? st : STATUS_MALFORMED;
    }
    while (rest.count > 0) {
        if (read->address_count == JOINFILE_ADDRESSES_MAX) {
            return STATUS_TOO_BIG;
        }
        st = take_string(&rest, "address", read->addresses[read->address_count++],
                         ADDRESS_CHARS_MAX);
        if (st != STATUS_OK) {
            return st;
        }
    }
    return vet_names(read);
}

static enum status
check_signatures(const struct note *note, const struct joinfile *read)
{
    const uint8_t *const all[JOINFILE_SIGNERS] = {read->keys.log, read->keys.witness,
                                                  read->keys.statement};
    struct note_key keys[JOINFILE_SIGNERS];
    struct note_verified verified;
    enum status st;

    for (size_t i = 0; i < JOINFILE_SIGNERS; i++) {
        char name[KEY_NAME_CHARS_MAX + 1];
        if ((st = note_key_make(signer_name(read, ROLES[i], name), NOTE_KEY_ED25519, all[i],
                                &keys[i])) != STATUS_OK) {
            return st;
        }
    }
    st = note_verify(note, keys, JOINFILE_SIGNERS, 0, &verified);
    if (st == STATUS_UNKNOWN_KEY || (st == STATUS_OK && verified.count < JOINFILE_SIGNERS)) {
        return STATUS_THRESHOLD;
    }
    return st;
}

enum status
joinfile_decode(struct view file, struct joinfile *out)
{
    struct joinfile read;
    struct note note;
    enum status st;

    memset(out, 0, sizeof *out);
    memset(&read, 0, sizeof read);
    if (file.count > JOINFILE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if ((st = note_parse(file, &note)) != STATUS_OK ||
        (st = read_text(note.text, &read)) != STATUS_OK ||
        (st = keys_vet_public(&read.keys)) != STATUS_OK ||
        (st = check_signatures(&note, &read)) != STATUS_OK) {
        return st;
    }
    *out = read;
    return STATUS_OK;
}
