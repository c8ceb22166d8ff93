/* control_input.h: the frames of one call, put together again (node/control.h).
 * Pure. */
#ifndef NODE_CONTROL_INPUT_H
#define NODE_CONTROL_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/call.h"
#include "proto/frame.h"
#include "proto/limits.h"
#include "proto/status.h"

enum {
    CONTROL_NAME_CHARS_MAX = 255,        /* of a command, or of a blob in an answer */
    CONTROL_PART_BYTES_MAX = 512 * 1024, /* raw bytes in one frame */
    CONTROL_BLOBS_MAX = 4096
};

/* Bytes that arrive in parts.  Zero it to begin. */
struct control_bytes {
    uint8_t *bytes;
    size_t count;
    size_t capacity;
};

/* Append; no more than `bytes_max` in all.
 * STATUS_OK, STATUS_TOO_BIG, STATUS_NO_MEMORY. */
MUST_USE enum status control_bytes_add(struct control_bytes *b, struct view part,
                                       size_t bytes_max);
void control_bytes_free(struct control_bytes *b);

/* A call on its way in.  Zero it to begin. */
struct control_input {
    char command[CONTROL_NAME_CHARS_MAX + 1];
    struct control_bytes args;
    bool args_done;
    struct control_bytes part; /* the blob that is not complete */
    bool in_part;
    size_t blob_bytes;  /* of all */
    struct view *blobs; /* malloc'ed, each too */
    size_t blob_count;
    size_t blob_capacity;
    struct call call; /* valid when `ready` */
    bool ready;
};

/* Take the next frame.  After RUN, `ready`: in->call may be handed to a handler.
 *
 * STATUS_OK
 * STATUS_MALFORMED  not what comes next in a call, or arguments that are no JSON
 *                   object.
 * STATUS_TOO_BIG    arguments or blobs over their limits.
 * STATUS_NO_MEMORY */
MUST_USE enum status control_input_take(struct control_input *in, const struct frame *f);
void control_input_free(struct control_input *in);

/* May this be the name of a command, or of a blob in an answer?  1 to
 * CONTROL_NAME_CHARS_MAX characters, no control characters. */
bool control_name_ok(struct view name);

#endif
