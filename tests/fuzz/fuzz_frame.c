/* Properties: a stream of any bytes, cut anywhere, gives the same frames and the same
 * end as in one piece; a frame that was taken apart is put together to the same bytes;
 * memory stays within twice of what came. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t frames;
    uint64_t sum;
    enum status end;
};

static void
need(bool truth)
{
    if (!truth) {
        abort();
    }
}

static struct seen
run(const uint8_t *data, size_t size, size_t step)
{
    struct frame_reader r = {0};
    struct seen seen = {0, 0, STATUS_OK};
    for (size_t at = 0; at < size && seen.end == STATUS_OK; at += step) {
        struct view input = {data + at, size - at < step ? size - at : step};
        bool got = true;
        while (got && seen.end == STATUS_OK) {
            struct frame f;
            seen.end = frame_reader_next(&r, &input, &f, &got);
            need(!got || seen.end == STATUS_OK);
            need(r.capacity <= 4096 || r.capacity <= 2 * size);
            if (got) {
                uint8_t *again = malloc(frame_bytes(&f));
                need(again != NULL && frame_check(&f) == STATUS_OK);
                frame_encode(&f, again);
                for (size_t i = 0; i < frame_bytes(&f); i++) {
                    seen.sum = seen.sum * 31 + again[i];
                }
                free(again);
                seen.frames++;
            }
        }
    }
    frame_reader_free(&r);
    return seen;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct seen whole = run(data + 1, size - 1, SIZE_MAX / 2);
    struct seen parts = run(data + 1, size - 1, 1 + data[0]);
    need(whole.frames == parts.frames && whole.sum == parts.sum && whole.end == parts.end);
    struct frame f;
    (void)frame_decode((struct view){data, size}, &f);
    return 0;
}
