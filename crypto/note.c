#include "crypto/note.h"

#include <assert.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/cosignature.h"
#include "crypto/line.h"
#include "proto/text.h"

/* U+2014 SP: how each signature line starts. */
static const uint8_t DASH[4] = {0xe2, 0x80, 0x94, ' '};

/* ---- reading ---- */

static enum status
parse_line(struct view line, struct note_signature *out)
{
    struct note_signature s = {.line = {.bytes = line.bytes, .count = line.count + 1}};
    uint8_t decoded[NOTE_KEY_ID_BYTES + NOTE_PAYLOAD_BYTES];
    struct view base64;
    const uint8_t *space;
    size_t count;

    if (line.count < sizeof DASH || memcmp(line.bytes, DASH, sizeof DASH) != 0) {
        return STATUS_MALFORMED;
    }
    s.name = (struct view){line.bytes + sizeof DASH, line.count - sizeof DASH};
    space = memchr(s.name.bytes, ' ', s.name.count);
    if (space == NULL) {
        return STATUS_MALFORMED;
    }
    base64.bytes = space + 1;
    base64.count = s.name.count - (size_t)(base64.bytes - s.name.bytes);
    s.name.count = (size_t)(space - s.name.bytes);
    if (!line_is_key_name(s.name) ||
        base64_decode_lenient(base64, decoded, sizeof decoded, &count, &s.canonical) !=
            STATUS_OK ||
        count <= NOTE_KEY_ID_BYTES) {
        return STATUS_MALFORMED;
    }
    s.id = (uint32_t)decoded[0] << 24 | (uint32_t)decoded[1] << 16 | (uint32_t)decoded[2] << 8 |
           (uint32_t)decoded[3];
    s.payload_count = count - NOTE_KEY_ID_BYTES;
    memcpy(s.payload, decoded + NOTE_KEY_ID_BYTES,
           s.payload_count < sizeof s.payload ? s.payload_count : sizeof s.payload);
    *out = s;
    return STATUS_OK;
}

/* Where the last blank line is: the position of its LF.  0: there is none. */
static size_t
find_blank(struct view bytes)
{
    for (size_t i = bytes.count; i-- > 1;) {
        if (bytes.bytes[i] == '\n' && bytes.bytes[i - 1] == '\n') {
            return i;
        }
    }
    return 0;
}

enum status
note_parse(struct view bytes, struct note *out)
{
    struct view rest, line;
    size_t blank;

    out->signature_count = 0;
    out->text = (struct view){NULL, 0};
    if (bytes.count > NOTE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    blank = find_blank(bytes);
    if (blank == 0 || !line_is_clean(bytes, true)) {
        return STATUS_MALFORMED;
    }
    rest = (struct view){bytes.bytes + blank + 1, bytes.count - blank - 1};
    if (rest.count == 0) {
        return STATUS_MALFORMED; /* unsigned */
    }
    for (size_t count = 0; rest.count > 0; count++) {
        if (count == NOTE_SIGNATURES_MAX) {
            out->signature_count = 0;
            return STATUS_TOO_BIG;
        }
        if (line_take(&rest, &line) != STATUS_OK ||
            parse_line(line, &out->signatures[count]) != STATUS_OK) {
            out->signature_count = 0;
            return STATUS_MALFORMED;
        }
        out->signature_count = count + 1;
    }
    out->text = (struct view){bytes.bytes, blank};
    return STATUS_OK;
}

/* ---- verifying ---- */

static bool
is_line_of(const struct note_signature *s, const struct note_key *key)
{
    return s->id == key->id && line_equal(s->name, text_view(key->name));
}

/* Find the key of a line.  *found is key_count when there is none. */
static enum status
find_key(const struct note_signature *s, const struct note_key *keys, size_t key_count,
         size_t *found)
{
    *found = key_count;
    for (size_t i = 0; i < key_count; i++) {
        if (!is_line_of(s, &keys[i])) {
            continue;
        }
        if (*found != key_count) {
            return STATUS_BAD_KEY;
        }
        *found = i;
    }
    return STATUS_OK;
}

static enum status
check_line(const struct note_signature *s, const struct note_key *key, struct view text,
           int64_t *time_s)
{
    struct view payload = {s->payload, s->payload_count};

    *time_s = 0;
    if (!s->canonical) {
        return STATUS_BAD_SIGNATURE; /* one spelling for each signature */
    }
    if (key->type == NOTE_KEY_COSIGNATURE) {
        if (s->payload_count != COSIGNATURE_PAYLOAD_BYTES ||
            cosignature_check(key, text, payload, time_s) != STATUS_OK) {
            return STATUS_BAD_SIGNATURE;
        }
        return STATUS_OK;
    }
    if (key->type != NOTE_KEY_ED25519) {
        return STATUS_BAD_KEY;
    }
    if (s->payload_count != SIGNATURE_BYTES) {
        return STATUS_BAD_SIGNATURE;
    }
    return note_ed25519_check(key->public_key, text, s->payload);
}

/* Whether a cosignature of time `a` says more than one of time `b`: the latest
 * that is not in the future, else the earliest. */
static bool
is_better_time(int64_t a, int64_t b, int64_t now_s)
{
    if (a <= now_s) {
        return b > now_s || a > b;
    }
    return b > now_s && a < b;
}

/* Find the place of a key among those that signed: the same type and public
 * bytes, whatever the name.  v->count when it is not there. */
static size_t
find_signer(const struct note_verified *v, const struct note_key *keys, size_t key)
{
    size_t i = 0;

    for (; i < v->count; i++) {
        const struct note_key *other = &keys[v->signers[i].key];
        if (other->type == keys[key].type &&
            memcmp(other->public_key, keys[key].public_key, KEY_BYTES) == 0) {
            break;
        }
    }
    return i;
}

/* Count a valid line: as the key's first, as a better one, or not at all. */
static void
count_line(struct note_verified *v, const struct note_key *keys, size_t key, size_t line,
           int64_t time_s, int64_t now_s)
{
    size_t i = find_signer(v, keys, key);

    if (i == v->count) {
        v->count++;
    } else if (v->signers[i].key == key &&
               is_better_time(time_s, v->signers[i].time_s, now_s)) {
        v->lines &= ~(UINT64_C(1) << v->signers[i].line);
    } else {
        return;
    }
    v->signers[i].key = key;
    v->signers[i].line = line;
    v->signers[i].time_s = time_s;
    v->lines |= UINT64_C(1) << line;
}

enum status
note_verify(const struct note *note, const struct note_key *keys, size_t key_count,
            int64_t now_s, struct note_verified *out)
{
    struct note_verified v = {.count = 0};

    *out = v;
    for (size_t i = 0; i < note->signature_count; i++) {
        size_t key;
        int64_t time_s;
        enum status st = find_key(&note->signatures[i], keys, key_count, &key);
        if (st != STATUS_OK) {
            return st;
        }
        if (key == key_count) {
            continue;
        }
        st = check_line(&note->signatures[i], &keys[key], note->text, &time_s);
        if (st != STATUS_OK) {
            return st;
        }
        count_line(&v, keys, key, i, time_s, now_s);
    }
    *out = v;
    return v.count > 0 ? STATUS_OK : STATUS_UNKNOWN_KEY;
}

/* ---- writing ---- */

/* Bytes that are appended to a bounded buffer; `full` once they did not fit. */
struct writer {
    uint8_t *out;
    size_t max, used;
    bool full;
};

static void
put(struct writer *w, struct view bytes)
{
    if (w->full || bytes.count > w->max - w->used) {
        w->full = true;
        return;
    }
    if (bytes.count > 0) {
        memcpy(w->out + w->used, bytes.bytes, bytes.count);
        w->used += bytes.count;
    }
}

static enum status
finish(const struct writer *w, size_t *count)
{
    if (w->full || w->used > NOTE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    *count = w->used;
    return STATUS_OK;
}

/* Whether `text` can be the text of a note. */
static enum status
check_text(struct view text)
{
    if (text.count > NOTE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (text.count == 0 || text.bytes[text.count - 1] != '\n' || !line_is_clean(text, true)) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

enum status
note_line_write(const struct note_key *key, struct view payload, uint8_t *out, size_t max,
                size_t *count)
{
    uint8_t raw[NOTE_KEY_ID_BYTES + NOTE_PAYLOAD_BYTES];
    uint8_t base64[BASE64_CHARS(sizeof raw)];
    struct writer w = {.out = out, .max = max};
    size_t chars;

    assert(payload.count > 0 && payload.count <= NOTE_PAYLOAD_BYTES);
    for (unsigned i = 0; i < NOTE_KEY_ID_BYTES; i++) {
        raw[i] = (uint8_t)(key->id >> (24 - 8 * i));
    }
    memcpy(raw + NOTE_KEY_ID_BYTES, payload.bytes, payload.count);
    chars = base64_encode((struct view){raw, NOTE_KEY_ID_BYTES + payload.count}, base64);
    put(&w, (struct view){DASH, sizeof DASH});
    put(&w, text_view(key->name));
    put(&w, text_view(" "));
    put(&w, (struct view){base64, chars});
    put(&w, text_view("\n"));
    return finish(&w, count);
}

enum status
note_sign_line(const struct note_signer *signer, struct view text, uint8_t *out, size_t max,
               size_t *count)
{
    uint8_t signature[SIGNATURE_BYTES];
    enum status st = check_text(text);

    if (st != STATUS_OK) {
        return st;
    }
    if (signer->key.type != NOTE_KEY_ED25519) {
        return STATUS_BAD_KEY;
    }
    st = note_ed25519_sign(signer, text, signature);
    if (st != STATUS_OK) {
        return st;
    }
    return note_line_write(&signer->key, (struct view){signature, sizeof signature}, out, max,
                           count);
}

enum status
note_sign(const struct note_signer *signer, struct view text, uint8_t *out, size_t max,
          size_t *count)
{
    uint8_t line[NOTE_LINE_BYTES_MAX];
    struct writer w = {.out = out, .max = max};
    size_t chars;
    enum status st = note_sign_line(signer, text, line, sizeof line, &chars);

    if (st != STATUS_OK) {
        return st;
    }
    put(&w, text);
    put(&w, text_view("\n"));
    put(&w, (struct view){line, chars});
    return finish(&w, count);
}

enum status
note_add_line(struct view bytes, struct view line, uint8_t *out, size_t max, size_t *count)
{
    struct writer w = {.out = out, .max = max};
    struct note note;
    struct note_signature added;
    enum status st = note_parse(bytes, &note);

    if (st != STATUS_OK) {
        return st;
    }
    if (line.count == 0 || line.count > NOTE_BYTES_MAX ||
        memchr(line.bytes, '\n', line.count) != line.bytes + line.count - 1 ||
        !line_is_clean(line, true) ||
        parse_line((struct view){line.bytes, line.count - 1}, &added) != STATUS_OK ||
        !added.canonical) {
        return STATUS_MALFORMED;
    }
    put(&w, bytes);
    for (size_t i = 0; i < note.signature_count; i++) {
        if (line_equal(note.signatures[i].line, line)) {
            return finish(&w, count);
        }
    }
    if (note.signature_count == NOTE_SIGNATURES_MAX) {
        return STATUS_TOO_BIG;
    }
    put(&w, line);
    return finish(&w, count);
}

enum status
note_write(const struct note *note, uint64_t lines, uint8_t *out, size_t max, size_t *count)
{
    struct writer w = {.out = out, .max = max};
    bool any = false;

    put(&w, note->text);
    put(&w, text_view("\n"));
    for (size_t i = 0; i < note->signature_count; i++) {
        if ((lines >> i & 1) == 1) {
            put(&w, note->signatures[i].line);
            any = true;
        }
    }
    return any ? finish(&w, count) : STATUS_MALFORMED;
}

/* ---- merging ---- */

enum status
note_merge(const struct note *ours, const struct note *theirs, const struct note_key *keys,
           size_t key_count, int64_t now_s, uint8_t *out, size_t max, size_t *count,
           size_t *added)
{
    struct writer w = {.out = out, .max = max};
    struct note_verified a, b;
    uint64_t taken = 0;   /* lines of theirs that come to the end */
    uint64_t dropped = 0; /* lines of ours that a line of theirs replaces */
    size_t lines = 0, news = 0;
    enum status st;

    if (!line_equal(ours->text, theirs->text)) {
        return STATUS_MALFORMED;
    }
    if (((st = note_verify(ours, keys, key_count, now_s, &a)) != STATUS_OK &&
         st != STATUS_UNKNOWN_KEY) ||
        ((st = note_verify(theirs, keys, key_count, now_s, &b)) != STATUS_OK &&
         st != STATUS_UNKNOWN_KEY)) {
        return st;
    }
    for (size_t i = 0; i < b.count; i++) {
        size_t at = find_signer(&a, keys, b.signers[i].key);
        if (at < a.count &&
            (a.signers[at].key != b.signers[i].key ||
             !is_better_time(b.signers[i].time_s, a.signers[at].time_s, now_s))) {
            continue;
        }
        if (at < a.count) {
            dropped |= UINT64_C(1) << a.signers[at].line;
        }
        taken |= UINT64_C(1) << b.signers[i].line;
        news++;
    }
    put(&w, ours->text);
    put(&w, text_view("\n"));
    for (size_t i = 0; i < ours->signature_count; i++) {
        if ((dropped >> i & 1) == 0) {
            put(&w, ours->signatures[i].line);
            lines++;
        }
    }
    for (size_t i = 0; i < theirs->signature_count; i++) {
        if ((taken >> i & 1) == 1) {
            put(&w, theirs->signatures[i].line);
            lines++;
        }
    }
    if (lines > NOTE_SIGNATURES_MAX) {
        return STATUS_TOO_BIG;
    }
    st = finish(&w, count);
    if (st == STATUS_OK) {
        *added = news;
    }
    return st;
}
