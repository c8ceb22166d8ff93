/* Properties: whatever pb_unpack accepts is packed again to the same bytes, also where
 * the scan alone was trusted; its strings are whole; memory stays within the budget.
 * The first byte chooses the type. */
#include <stdlib.h>
#include <string.h>

#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/report.pb-c.h"
#include "proto/wire.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need(bool truth)
{
    if (!truth) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &hr__pub_entry__descriptor, &hr__exch_entry__descriptor,  &hr__report__descriptor,
        &hr__frontier__descriptor,  &hr__lookup_tell__descriptor, &hr__charter_tell__descriptor,
        &hr__hello__descriptor,     &hr__receipt__descriptor,     &hr__range_ask__descriptor,
        &hr__wire_leaf__descriptor, &hr__item__descriptor,        &hr__asked__descriptor};
    if (size < 1) {
        return 0;
    }
    uint8_t memory[512];
    struct pb_arena a;
    ProtobufCMessage *m;
    struct view bytes = {data + 1, size - 1};
    const ProtobufCMessageDescriptor *d = types[data[0] % (sizeof types / sizeof types[0])];
    pb_arena_init(&a, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = pb_unpack(d, bytes, MESSAGE_BYTES_MAX, &a, &m);
    need((m != NULL) == (st == STATUS_OK));
    need(a.heap_left <= MESSAGE_HEAP_BYTES_MAX);
    if (st == STATUS_OK) {
        need(pb_is_canonical(m, bytes));
        need(pb_scan(d, bytes, MESSAGE_BYTES_MAX) == STATUS_OK);
        need(protobuf_c_message_get_packed_size(m) == bytes.count);
    }
    pb_free(&a);
    return 0;
}
