/* origin.c: see origin.h. */
#include "node/origin.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/keys.h"
#include "proto/text.h"

static const char charter_part[] = "charter";

/* Take the characters up to the next '/' or the end; false at the end. */
static bool
take_part(struct view *rest, struct view *part)
{
    if (rest->bytes == NULL) {
        return false;
    }
    const uint8_t *slash = rest->count == 0 ? NULL : memchr(rest->bytes, '/', rest->count);
    part->bytes = rest->bytes;
    if (slash == NULL) {
        part->count = rest->count;
        *rest = (struct view){NULL, 0};
    } else {
        part->count = (size_t)(slash - rest->bytes);
        rest->bytes = slash + 1;
        rest->count -= part->count + 1;
    }
    return true;
}

/* Copy a part that is a name. */
static enum status
take_name(struct view part, size_t chars_max, char *out)
{
    if (part.count > chars_max) {
        return STATUS_TOO_BIG;
    }
    if (part.count == 0 || memchr(part.bytes, 0, part.count) != NULL) {
        return STATUS_MALFORMED;
    }
    memcpy(out, part.bytes, part.count);
    out[part.count] = 0;
    return keys_vet_name(out, chars_max);
}

/* Exactly eight digits of lower-case hex. */
static bool
take_number(struct view part, uint32_t *out)
{
    uint32_t n = 0;
    if (part.count != 8) {
        return false;
    }
    for (size_t i = 0; i < 8; i++) {
        uint8_t c = part.bytes[i];
        if (c >= '0' && c <= '9') {
            n = n << 4 | (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            n = n << 4 | (uint32_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *out = n;
    return true;
}

enum status
origin_parse(struct view text, struct origin *out)
{
    struct origin o;
    struct view rest = text, part;
    enum status st;
    memset(&o, 0, sizeof o);
    if (text.count > ORIGIN_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (text.count == 0 || !take_part(&rest, &part)) {
        return STATUS_MALFORMED;
    }
    if ((st = take_name(part, NETWORK_CHARS_MAX, o.network)) != STATUS_OK) {
        return st;
    }
    if ((st = origin_vet_network(o.network)) != STATUS_OK) {
        return st;
    }
    if (!take_part(&rest, &part)) {
        return STATUS_MALFORMED;
    }
    if ((st = take_name(part, INSTITUTION_CHARS_MAX, o.institution)) != STATUS_OK) {
        return st;
    }
    if ((st = origin_vet_institution(o.institution)) != STATUS_OK) {
        return st;
    }
    if (!take_part(&rest, &part)) {
        return STATUS_MALFORMED;
    }
    if (text_is(part, "pub")) {
        o.log = ORIGIN_PUB;
    } else if (text_is(part, "exch")) {
        o.log = ORIGIN_EXCH;
    } else {
        return STATUS_MALFORMED;
    }
    if (take_part(&rest, &part)) {
        o.numbered = true;
        if (!take_number(part, &o.number) || rest.bytes != NULL) {
            return STATUS_MALFORMED;
        }
    } else if (o.log == ORIGIN_EXCH) {
        return STATUS_MALFORMED;
    }
    *out = o;
    return STATUS_OK;
}

/* Write what was vetted before, so that it always fits. */
static void
write_names(char *out, size_t max, const char *network, const char *middle, const char *tail)
{
    assert(origin_vet_network(network) == STATUS_OK);
    int n = snprintf(out, max, "%s/%s/%s", network, middle, tail);
    assert(n > 0 && (size_t)n < max);
}

void
origin_write(const struct origin *o, char out[ORIGIN_CHARS_MAX + 1])
{
    char tail[5 + 8 + 1];
    assert(origin_vet_institution(o->institution) == STATUS_OK);
    assert(o->log == ORIGIN_PUB || o->numbered);
    const char *log = o->log == ORIGIN_PUB ? "pub" : "exch";
    if (o->numbered) {
        snprintf(tail, sizeof tail, "%s/%08" PRIx32, log, o->number);
    } else {
        snprintf(tail, sizeof tail, "%s", log);
    }
    write_names(out, ORIGIN_CHARS_MAX + 1, o->network, o->institution, tail);
}

void
origin_pub(const char *network, const char *institution, char out[ORIGIN_CHARS_MAX + 1])
{
    assert(origin_vet_institution(institution) == STATUS_OK);
    write_names(out, ORIGIN_CHARS_MAX + 1, network, institution, "pub");
}

void
origin_exch(const char *network, const char *institution, uint32_t number,
            char out[ORIGIN_CHARS_MAX + 1])
{
    char tail[5 + 8 + 1];
    assert(origin_vet_institution(institution) == STATUS_OK);
    snprintf(tail, sizeof tail, "exch/%08" PRIx32, number);
    write_names(out, ORIGIN_CHARS_MAX + 1, network, institution, tail);
}

void
origin_witness_name(const char *network, const char *institution,
                    char out[KEY_NAME_CHARS_MAX + 1])
{
    assert(origin_vet_institution(institution) == STATUS_OK);
    write_names(out, KEY_NAME_CHARS_MAX + 1, network, institution, "witness");
}

void
origin_statement_name(const char *network, const char *institution,
                      char out[KEY_NAME_CHARS_MAX + 1])
{
    assert(origin_vet_institution(institution) == STATUS_OK);
    write_names(out, KEY_NAME_CHARS_MAX + 1, network, institution, "statement");
}

void
origin_charter_name(const char *network, const char *key_name, char out[KEY_NAME_CHARS_MAX + 1])
{
    assert(keys_vet_name(key_name, INSTITUTION_CHARS_MAX) == STATUS_OK);
    write_names(out, KEY_NAME_CHARS_MAX + 1, network, charter_part, key_name);
}

bool
origin_is_charter_name(struct view text, const char *network, struct view *key_name)
{
    struct view rest = text, part;
    char name[INSTITUTION_CHARS_MAX + 1];
    if (text.count == 0 || !take_part(&rest, &part) || !text_is(part, network) ||
        !take_part(&rest, &part) || !text_is(part, charter_part) || !take_part(&rest, &part) ||
        rest.bytes != NULL || take_name(part, INSTITUTION_CHARS_MAX, name) != STATUS_OK) {
        return false;
    }
    *key_name = part;
    return true;
}

enum status
origin_fold_institution(const char *text, char out[INSTITUTION_CHARS_MAX + 1])
{
    size_t count = 0;
    out[0] = 0;
    while (*text == ' ') {
        text++;
    }
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ') {
        length--;
    }
    if (length > INSTITUTION_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    for (; count < length; count++) {
        char c = text[count];
        out[count] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[count] = 0;
    return origin_vet_institution(out);
}

enum status
origin_vet_institution(const char *text)
{
    enum status st = keys_vet_name(text, INSTITUTION_CHARS_MAX);
    return st != STATUS_OK                   ? st
           : strcmp(text, charter_part) == 0 ? STATUS_MALFORMED
                                             : STATUS_OK;
}

static bool
is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

enum status
origin_vet_network(const char *text)
{
    enum status st = keys_vet_name(text, NETWORK_CHARS_MAX);
    if (st != STATUS_OK) {
        return st;
    }
    return is_letter_or_digit(text[0]) && is_letter_or_digit(text[strlen(text) - 1])
               ? STATUS_OK
               : STATUS_MALFORMED;
}
