#include "proto/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUFFER_BYTES_MIN = 4096,
    BUFFER_BYTES_KEPT = 256 * 1024 /* a larger buffer is given back when it is empty */
};

size_t
frame_bytes(const struct frame *f)
{
    return FRAME_LENGTH_BYTES + FRAME_HEAD_BYTES + f->message.count + f->raw.count;
}

enum status
frame_check(const struct frame *f)
{
    if (f->message.count > MESSAGE_BYTES_MAX || f->raw.count > FRAME_BYTES_MAX ||
        FRAME_HEAD_BYTES + f->message.count + f->raw.count > FRAME_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    return STATUS_OK;
}

void
frame_encode(const struct frame *f, uint8_t *out)
{
    assert(frame_check(f) == STATUS_OK);
    frame_put_u32(out, (uint32_t)(frame_bytes(f) - FRAME_LENGTH_BYTES));
    frame_put_u32(out + 4, f->request);
    out[8] = f->kind;
    out[9] = f->last ? 1 : 0;
    frame_put_u32(out + 10, (uint32_t)f->message.count);
    out += FRAME_LENGTH_BYTES + FRAME_HEAD_BYTES;
    if (f->message.count > 0) {
        memcpy(out, f->message.bytes, f->message.count);
    }
    if (f->raw.count > 0) {
        memcpy(out + f->message.count, f->raw.bytes, f->raw.count);
    }
}

enum status
frame_decode(struct view bytes, struct frame *out)
{
    *out = (struct frame){0};
    if (bytes.count > FRAME_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (bytes.count < FRAME_HEAD_BYTES || bytes.bytes[5] > 1) {
        return STATUS_MALFORMED;
    }
    uint32_t message_count = frame_get_u32(bytes.bytes + 6);
    if (message_count > MESSAGE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    if (message_count > bytes.count - FRAME_HEAD_BYTES) {
        return STATUS_MALFORMED;
    }
    out->request = frame_get_u32(bytes.bytes);
    out->kind = bytes.bytes[4];
    out->last = bytes.bytes[5] == 1;
    out->message = (struct view){bytes.bytes + FRAME_HEAD_BYTES, message_count};
    out->raw = (struct view){bytes.bytes + FRAME_HEAD_BYTES + message_count,
                             bytes.count - FRAME_HEAD_BYTES - message_count};
    return STATUS_OK;
}

/* Read the length before a frame. */
static enum status
frame_length(const uint8_t *bytes, size_t *length)
{
    *length = frame_get_u32(bytes);
    if (*length > FRAME_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    return *length < FRAME_HEAD_BYTES ? STATUS_MALFORMED : STATUS_OK;
}

/* Grow to hold `count` bytes, at least doubling. */
static enum status
buffer_grow(uint8_t **bytes, size_t *capacity, size_t count)
{
    if (count <= *capacity) {
        return STATUS_OK;
    }
    size_t want = *capacity < BUFFER_BYTES_MIN ? BUFFER_BYTES_MIN : *capacity * 2;
    uint8_t *grown = realloc(*bytes, want < count ? count : want);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    *bytes = grown;
    *capacity = want < count ? count : want;
    return STATUS_OK;
}

/* Move up to `wanted` bytes from the input to what is kept. */
static enum status
reader_keep(struct frame_reader *r, struct view *input, size_t wanted)
{
    size_t take = wanted - r->count < input->count ? wanted - r->count : input->count;
    if (take == 0) {
        return STATUS_OK;
    }
    enum status st = buffer_grow(&r->bytes, &r->capacity, r->count + take);
    if (st != STATUS_OK) {
        return st;
    }
    memcpy(r->bytes + r->count, input->bytes, take);
    r->count += take;
    input->bytes += take;
    input->count -= take;
    return STATUS_OK;
}

enum status
frame_reader_next(struct frame_reader *r, struct view *input, struct frame *out, bool *got)
{
    enum status st;
    size_t length = 0;
    *got = false;
    if (r->delivered) {
        r->delivered = false;
        r->count = 0;
        if (r->capacity > BUFFER_BYTES_KEPT) {
            frame_reader_free(r);
        }
    }
    if (r->count == 0 && input->count >= FRAME_LENGTH_BYTES) { /* whole in the input? */
        if ((st = frame_length(input->bytes, &length)) != STATUS_OK) {
            return st;
        }
        if (input->count - FRAME_LENGTH_BYTES >= length) {
            st = frame_decode((struct view){input->bytes + FRAME_LENGTH_BYTES, length}, out);
            input->bytes += FRAME_LENGTH_BYTES + length;
            input->count -= FRAME_LENGTH_BYTES + length;
            *got = st == STATUS_OK;
            return st;
        }
    }
    if (r->count < FRAME_LENGTH_BYTES) {
        st = reader_keep(r, input, FRAME_LENGTH_BYTES);
        if (st != STATUS_OK || r->count < FRAME_LENGTH_BYTES) {
            return st;
        }
    }
    if ((st = frame_length(r->bytes, &length)) != STATUS_OK ||
        (st = reader_keep(r, input, FRAME_LENGTH_BYTES + length)) != STATUS_OK ||
        r->count < FRAME_LENGTH_BYTES + length) {
        return st;
    }
    st = frame_decode((struct view){r->bytes + FRAME_LENGTH_BYTES, length}, out);
    *got = r->delivered = st == STATUS_OK;
    return st;
}

void
frame_reader_free(struct frame_reader *r)
{
    free(r->bytes);
    *r = (struct frame_reader){0};
}

enum status
frame_queue_add(struct frame_queue *q, const struct frame *f)
{
    enum status st = frame_check(f);
    if (st != STATUS_OK) {
        return st;
    }
    size_t more = frame_bytes(f);
    if (q->count > q->bytes_max || more > q->bytes_max - q->count) {
        return STATUS_BUSY;
    }
    if (q->first > 0 && q->first + q->count + more > q->capacity) {
        memmove(q->bytes, q->bytes + q->first, q->count);
        q->first = 0;
    }
    st = buffer_grow(&q->bytes, &q->capacity, q->count + more);
    if (st != STATUS_OK) {
        return st;
    }
    frame_encode(f, q->bytes + q->first + q->count);
    q->count += more;
    return STATUS_OK;
}

struct view
frame_queue_view(const struct frame_queue *q)
{
    return (struct view){q->count == 0 ? NULL : q->bytes + q->first, q->count};
}

void
frame_queue_drop(struct frame_queue *q, size_t count)
{
    assert(count <= q->count);
    q->first += count;
    q->count -= count;
    if (q->count == 0) {
        q->first = 0;
        if (q->capacity > BUFFER_BYTES_KEPT) {
            free(q->bytes);
            q->bytes = NULL;
            q->capacity = 0;
        }
    }
}

void
frame_queue_free(struct frame_queue *q)
{
    free(q->bytes);
    *q = (struct frame_queue){.bytes_max = q->bytes_max};
}
