/* frame.h: what travels inside a session: frames of bytes, whole or in pieces.
 *
 * Source: DESIGN section 11.  In the byte stream a frame stands as
 *
 *   u32  bytes that follow (FRAME_HEAD_BYTES to FRAME_BYTES_MAX)
 *   u32  request id       0 for a push, which nobody answers
 *   u8   kind             enum frame_kind; an answer has FRAME_ANSWER set
 *   u8   last             1 on the last (or only) frame of an answer, else 0
 *   u32  bytes of the message, at most MESSAGE_BYTES_MAX
 *        the message      one protobuf message (proto/wire.proto)
 *        raw bytes        the rest: entries, tiles, records
 *
 * integers big-endian.  A frame is complete in itself: a large answer is
 * several frames of one request id, each with a message of its own.
 *
 * Pure.  The reader and the queue allocate, within the bounds given them. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

enum frame_kind {
    FRAME_HELLO = 1, /* sent and read by the session itself, never by others */
    FRAME_FRONTIER = 2,
    FRAME_HEAD = 3,
    FRAME_RANGE = 4,
    FRAME_CHARTER = 5,
    FRAME_LOOKUP = 6,
    FRAME_RECEIPT = 7,
    FRAME_RELY = 8,
    FRAME_BLOB = 9,
    FRAME_RECALL = 10,
    FRAME_KIND_MAX = FRAME_RECALL, /* the highest that this version knows */
    FRAME_ANSWER = 0x80
};

enum {
    FRAME_LENGTH_BYTES = 4, /* the length before a frame; not part of it */
    FRAME_HEAD_BYTES = 10   /* request, kind, last, message length */
};

/* One frame.  The views are borrowed. */
struct frame {
    uint32_t request;
    uint8_t kind;
    bool last;
    struct view message;
    struct view raw;
};

/* Bytes of `f` in the stream, its length included. */
size_t frame_bytes(const struct frame *f);

/* STATUS_OK, or STATUS_TOO_BIG: the message or the whole is over its limit. */
MUST_USE enum status frame_check(const struct frame *f);

/* Write `f`, which frame_check accepted (asserted), to `out`, which takes
 * frame_bytes(f) bytes. */
void frame_encode(const struct frame *f, uint8_t *out);

/* Take apart one frame (without the length before it), any bytes from outside.
 * The views of `out` point into `bytes`.
 *
 * STATUS_OK
 * STATUS_MALFORMED  shorter than its head, `last` neither 0 nor 1, or a message
 *                   longer than what is there.
 * STATUS_TOO_BIG    over FRAME_BYTES_MAX, or the message over MESSAGE_BYTES_MAX. */
MUST_USE enum status frame_decode(struct view bytes, struct frame *out);

/* Frames out of a stream that comes in pieces.  Zero it to begin.  A length
 * over the limit is refused before memory is taken, and memory grows with what
 * has come, not with what was announced. */
struct frame_reader {
    uint8_t *bytes; /* a frame of which a part is here */
    size_t count;
    size_t capacity;
    bool delivered; /* the frame in `bytes` was given out by the last call */
};

/* Take bytes from the front of `input`, which is moved on, until a frame is
 * complete or nothing is left.  `got` says whether `out` holds a frame; its
 * views are valid until the next call, and as long as the bytes of `input`.
 *
 * STATUS_OK
 * STATUS_MALFORMED, STATUS_TOO_BIG  as frame_decode; the stream cannot go on.
 * STATUS_NO_MEMORY */
MUST_USE enum status frame_reader_next(struct frame_reader *r, struct view *input,
                                       struct frame *out, bool *got);
void frame_reader_free(struct frame_reader *r);

/* Bytes waiting to be sent, in order, at most `bytes_max` of them.  Zero it and
 * set bytes_max to begin. */
struct frame_queue {
    size_t bytes_max;
    uint8_t *bytes;
    size_t first; /* where the waiting bytes begin */
    size_t count; /* how many wait */
    size_t capacity;
};

/* Append a copy of `f`.
 *
 * STATUS_OK
 * STATUS_TOO_BIG    as frame_check; nothing was appended.
 * STATUS_BUSY       there is no room for it now; nothing was appended.
 * STATUS_NO_MEMORY  likewise. */
MUST_USE enum status frame_queue_add(struct frame_queue *q, const struct frame *f);

/* The waiting bytes; valid until the next call on `q`. */
struct view frame_queue_view(const struct frame_queue *q);

/* Forget the first `count` waiting bytes; count <= q->count (asserted). */
void frame_queue_drop(struct frame_queue *q, size_t count);
void frame_queue_free(struct frame_queue *q);

/* Big-endian integers of the formats. */
static inline void
frame_put_u32(uint8_t out[4], uint32_t v)
{
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

static inline uint32_t
frame_get_u32(const uint8_t in[4])
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

#endif
