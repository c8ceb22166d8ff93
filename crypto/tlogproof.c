#include "crypto/tlogproof.h"

#include <string.h>

#include "crypto/base64.h"
#include "crypto/line.h"
#include "proto/text.h"

#define HEADER "c2sp.org/tlog-proof@v1"
#define EXTRA "extra "
#define INDEX "index "

enum { HASH_CHARS = BASE64_CHARS(HASH_BYTES) };

static struct view
skip(struct view t, size_t n)
{
    return (struct view){t.bytes + n, t.count - n};
}

static bool
is_base64(struct view text)
{
    size_t count;

    return base64_decode_prefix(text, NULL, 0, &count) == STATUS_OK;
}

/* Read the hashes and the blank line after them. */
static enum status
parse_hashes(struct view *rest, struct tlogproof *p)
{
    struct view line;
    size_t got;

    p->hash_count = 0;
    while (line_take(rest, &line) == STATUS_OK) {
        if (line.count == 0) {
            return STATUS_OK;
        }
        if (p->hash_count == TREE_PROOF_HASHES_MAX || line.count != HASH_CHARS ||
            base64_decode(line, p->hashes[p->hash_count].bytes, HASH_BYTES, &got) !=
                STATUS_OK ||
            got != HASH_BYTES) {
            return STATUS_MALFORMED;
        }
        p->hash_count++;
    }
    return STATUS_MALFORMED;
}

enum status
tlogproof_parse(struct view bytes, struct tlogproof *out)
{
    struct view rest = bytes, line;
    struct tlogproof p = {.has_extra = false};

    if (bytes.count > TLOGPROOF_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (line_take(&rest, &line) != STATUS_OK || !line_equal(line, text_view(HEADER)) ||
        line_take(&rest, &line) != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (text_begins(line, EXTRA)) {
        p.has_extra = true;
        p.extra = skip(line, sizeof EXTRA - 1);
        if (!is_base64(p.extra) || line_take(&rest, &line) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    if (!text_begins(line, INDEX) ||
        line_decimal(skip(line, sizeof INDEX - 1), TREE_SIZE_MAX, &p.index) != STATUS_OK ||
        parse_hashes(&rest, &p) != STATUS_OK || rest.count == 0) {
        return STATUS_MALFORMED;
    }
    p.checkpoint = rest;
    *out = p;
    return STATUS_OK;
}

/* Append to out[0 .. max); the caller has made sure that all of it fits. */
static void
put(uint8_t *out, size_t *used, struct view bytes)
{
    if (bytes.count > 0) {
        memcpy(out + *used, bytes.bytes, bytes.count);
        *used += bytes.count;
    }
}

enum status
tlogproof_encode(const struct tlogproof *p, uint8_t *out, size_t max, size_t *count)
{
    uint8_t index[LINE_DECIMAL_CHARS_MAX];
    struct view index_text = {index, line_put_decimal(p->index, index)};
    size_t total, used = 0;

    if (p->hash_count > TREE_PROOF_HASHES_MAX || p->index > TREE_SIZE_MAX ||
        p->checkpoint.count == 0 || (p->has_extra && !is_base64(p->extra))) {
        return STATUS_MALFORMED;
    }
    if (p->checkpoint.count > TLOGPROOF_BYTES_MAX ||
        (p->has_extra && p->extra.count > TLOGPROOF_BYTES_MAX)) {
        return STATUS_TOO_BIG;
    }
    total = sizeof HEADER + (p->has_extra ? sizeof EXTRA + p->extra.count : 0) + sizeof INDEX +
            index_text.count + p->hash_count * (HASH_CHARS + 1) + 1 + p->checkpoint.count;
    if (total > max || total > TLOGPROOF_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    put(out, &used, text_view(HEADER "\n"));
    if (p->has_extra) {
        put(out, &used, text_view(EXTRA));
        put(out, &used, p->extra);
        put(out, &used, text_view("\n"));
    }
    put(out, &used, text_view(INDEX));
    put(out, &used, index_text);
    put(out, &used, text_view("\n"));
    for (size_t i = 0; i < p->hash_count; i++) {
        used += base64_encode((struct view){p->hashes[i].bytes, HASH_BYTES}, out + used);
        out[used++] = '\n';
    }
    put(out, &used, text_view("\n"));
    put(out, &used, p->checkpoint);
    *count = used;
    return STATUS_OK;
}

enum status
tlogproof_check(const struct tlogproof *p, const struct hash *leaf,
                const struct tlogproof_policy *policy, struct checkpoint_opened *opened)
{
    enum status st = checkpoint_open(p->checkpoint, policy->origin, policy->keys,
                                     policy->key_count, policy->now_s, opened);

    if (st != STATUS_OK) {
        return st;
    }
    st = tree_check_inclusion(&opened->checkpoint.root, opened->checkpoint.size, leaf, p->index,
                              p->hashes, p->hash_count);
    if (st != STATUS_OK) {
        return st;
    }
    return opened->cosigned >= policy->cosigned_min ? STATUS_OK : STATUS_THRESHOLD;
}
