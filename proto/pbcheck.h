/* pbcheck.h: protobuf messages from outside, without the traps of protobuf-c.
 *
 * Source: DESIGN 11; RELIABILITY P1 to P7.  Everybody unpacks bytes that come
 * from outside (frames, log entries, charter rows, records) through pb_unpack:
 *  - a scan of the bytes first: length, nesting, number of fields, no groups,
 *    wire types as declared, strings UTF-8 without NUL;
 *  - memory from an arena with a budget;
 *  - what was unpacked, packed again, must be the same bytes: one value has one
 *    encoding.  Unknown fields are kept, and pass when their numbers are above
 *    all known ones, as new fields always are.
 *
 *   uint8_t memory[PB_ARENA_BYTES];
 *   struct pb_arena arena;
 *   ProtobufCMessage *m;
 *   pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
 *   st = pb_unpack(&hr__pub_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m);
 *   const Hr__PubEntry *entry = (const Hr__PubEntry *)m;
 *   ...
 *   pb_free(&arena);
 *
 * Never call protobuf_c_message_free_unpacked on such a message. */
#ifndef PROTO_PBCHECK_H
#define PROTO_PBCHECK_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"
#include "proto/status.h"
#include "proto/view.h"

/* Enough for one log entry: then nothing is taken from the heap. */
enum { PB_ARENA_BYTES = 4096 };

struct pb_arena {
    ProtobufCAllocator allocator;
    uint8_t *at;     /* next free byte of the current piece */
    size_t left;     /* bytes free in it */
    uint8_t *memory; /* the caller's piece */
    size_t memory_count;
    size_t heap_left; /* what may still be taken from the heap */
    size_t heap_max;
    struct pb_piece *pieces; /* taken from the heap */
    enum status trouble;     /* why the last allocation failed */
};

/* Begin an arena over the caller's `memory` (16 bytes or more; it must outlive
 * the arena).  When it is used up, at most `heap_bytes_max` are taken from the
 * heap.  The arena must not be moved. */
void pb_arena_init(struct pb_arena *a, void *memory, size_t count, size_t heap_bytes_max);

/* Give everything back: all messages of the arena are gone, and it is as new. */
void pb_free(struct pb_arena *a);

/* Scan only: may pb_unpack be tried on these bytes?
 *
 * STATUS_OK
 * STATUS_TOO_BIG    more than `bytes_max`, nested deeper than MESSAGE_DEPTH_MAX,
 *                   or more than MESSAGE_FIELDS_MAX fields.
 * STATUS_MALFORMED  not protobuf, a group, another wire type than declared, or
 *                   a string that is not UTF-8 or holds a NUL. */
MUST_USE enum status pb_scan(const ProtobufCMessageDescriptor *d, struct view bytes,
                             size_t bytes_max);

/* Unpack hostile bytes.  `out` lives in the arena; NULL unless STATUS_OK.
 * Several messages may share an arena.
 *
 * STATUS_OK
 * STATUS_TOO_BIG    as pb_scan, or the budget of the arena is used up.
 * STATUS_MALFORMED  as pb_scan, or not the one encoding of what it says.
 * STATUS_NO_MEMORY */
MUST_USE enum status pb_unpack(const ProtobufCMessageDescriptor *d, struct view bytes,
                               size_t bytes_max, struct pb_arena *a, ProtobufCMessage **out);

/* Are `bytes` what packing `m` gives?  pb_unpack compares only where its scan has not
 * shown already that nothing can differ; the fuzz target always compares. */
bool pb_is_canonical(const ProtobufCMessage *m, struct view bytes);

/* Pack `m` into `out`.
 *
 * STATUS_OK, or STATUS_TOO_BIG: it takes more than `out_max` bytes. */
MUST_USE enum status pb_pack(const ProtobufCMessage *m, uint8_t *out, size_t out_max,
                             size_t *count);

#endif
