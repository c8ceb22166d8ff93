#include "node/control_input.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/control.h"
#include "proto/jsonwhole.h"

enum status
control_bytes_add(struct control_bytes *b, struct view part, size_t bytes_max)
{
    if (b->count > bytes_max || part.count > bytes_max - b->count) {
        return STATUS_TOO_BIG;
    }
    if (part.count == 0) {
        return STATUS_OK;
    }
    if (b->count + part.count > b->capacity) {
        size_t want =
            b->capacity * 2 > b->count + part.count ? b->capacity * 2 : b->count + part.count;
        uint8_t *grown = realloc(b->bytes, want);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        b->bytes = grown;
        b->capacity = want;
    }
    memcpy(b->bytes + b->count, part.bytes, part.count);
    b->count += part.count;
    return STATUS_OK;
}

void
control_bytes_free(struct control_bytes *b)
{
    free(b->bytes);
    *b = (struct control_bytes){0};
}

bool
control_name_ok(struct view name)
{
    if (name.count == 0 || name.count > CONTROL_NAME_CHARS_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.count; i++) {
        if (name.bytes[i] < ' ' || name.bytes[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* The blob is complete: put it with the others. */
static enum status
blob_end(struct control_input *in)
{
    if (in->blob_count == CONTROL_BLOBS_MAX) {
        return STATUS_TOO_BIG;
    }
    if (in->blob_count == in->blob_capacity) {
        size_t want = in->blob_capacity == 0 ? 8 : in->blob_capacity * 2;
        struct view *grown = realloc(in->blobs, want * sizeof *grown);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        in->blobs = grown;
        in->blob_capacity = want;
    }
    in->blobs[in->blob_count++] = (struct view){in->part.bytes, in->part.count};
    in->part = (struct control_bytes){0};
    return STATUS_OK;
}

static enum status
take_blob(struct control_input *in, const struct frame *f)
{
    if (f->raw.count > IMPORT_FILE_BYTES_MAX - in->blob_bytes) {
        return STATUS_TOO_BIG;
    }
    enum status st = control_bytes_add(&in->part, f->raw, IMPORT_FILE_BYTES_MAX);
    if (st != STATUS_OK) {
        return st;
    }
    in->blob_bytes += f->raw.count;
    in->in_part = !f->last;
    return f->last ? blob_end(in) : STATUS_OK;
}

static enum status
take_run(struct control_input *in)
{
    unsigned long mark = json_whole_mark();
    json_t *args =
        json_loadb((const char *)in->args.bytes, in->args.count, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(args)) {
        json_decref(args);
        return json_whole_mark() != mark ? STATUS_NO_MEMORY : STATUS_MALFORMED;
    }
    in->call = (struct call){
        .command = in->command, .args = args, .blobs = in->blobs, .blob_count = in->blob_count};
    in->ready = true;
    return STATUS_OK;
}

enum status
control_input_take(struct control_input *in, const struct frame *f)
{
    enum status st = STATUS_MALFORMED;
    bool begun = in->command[0] != '\0';
    if (in->ready || f->request != 0 || f->message.count != 0) {
        return STATUS_MALFORMED;
    }
    switch (f->kind) {
    case CONTROL_COMMAND:
        if (!begun && f->last && control_name_ok(f->raw)) {
            memcpy(in->command, f->raw.bytes, f->raw.count);
            st = STATUS_OK;
        }
        break;
    case CONTROL_ARGS:
        if (begun && !in->args_done) {
            st = control_bytes_add(&in->args, f->raw, JSON_BYTES_MAX);
            in->args_done = f->last;
        }
        break;
    case CONTROL_BLOB:
        st = in->args_done ? take_blob(in, f) : STATUS_MALFORMED;
        break;
    case CONTROL_RUN:
        if (in->args_done && !in->in_part && f->last && f->raw.count == 0) {
            st = take_run(in);
        }
        break;
    default:
        break;
    }
    return st;
}

void
control_input_free(struct control_input *in)
{
    json_decref(in->call.args);
    for (size_t i = 0; i < in->blob_count; i++) {
        free((void *)(uintptr_t)in->blobs[i].bytes);
    }
    free(in->blobs);
    control_bytes_free(&in->args);
    control_bytes_free(&in->part);
    *in = (struct control_input){0};
}
