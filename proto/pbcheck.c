#include "proto/pbcheck.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if PROTOBUF_C_VERSION_NUMBER < 1004001
#error "protobuf-c before 1.4.1 has CVE-2022-48468 and CVE-2022-33070"
#endif

enum { PIECE_BYTES = 32 * 1024, ALIGN_BYTES = 16 };

struct pb_piece {
    struct pb_piece *next;
    size_t count; /* of the bytes that follow; keeps them aligned too */
};
_Static_assert(sizeof(struct pb_piece) % ALIGN_BYTES == 0, "bytes after it are aligned");

/* ---- arena ---------------------------------------------------------------- */

static void *
arena_take(struct pb_arena *a, size_t size)
{
    void *p = a->at;
    a->at += size;
    a->left -= size;
    return p;
}

static void *
arena_alloc(void *data, size_t size)
{
    struct pb_arena *a = data;
    if (size > SIZE_MAX - ALIGN_BYTES) {
        return NULL;
    }
    size = (size + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    if (size <= a->left) {
        return arena_take(a, size);
    }
    size_t room = size > PIECE_BYTES ? size : PIECE_BYTES;
    if (a->heap_left < sizeof(struct pb_piece)) {
        a->trouble = STATUS_TOO_BIG;
        return NULL;
    }
    if (room > a->heap_left - sizeof(struct pb_piece)) {
        room = (a->heap_left - sizeof(struct pb_piece)) / ALIGN_BYTES * ALIGN_BYTES;
    }
    if (size > room) {
        a->trouble = STATUS_TOO_BIG;
        return NULL;
    }
    struct pb_piece *piece = malloc(sizeof *piece + room);
    if (piece == NULL) {
        a->trouble = STATUS_NO_MEMORY;
        return NULL;
    }
    *piece = (struct pb_piece){a->pieces, room};
    a->pieces = piece;
    a->heap_left -= sizeof *piece + room;
    a->at = (uint8_t *)(piece + 1);
    a->left = room;
    return arena_take(a, size);
}

/* Single allocations are never given back: pb_free takes all. */
static void
arena_free_nothing(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

static void
arena_begin(struct pb_arena *a)
{
    size_t skip = (ALIGN_BYTES - (uintptr_t)a->memory % ALIGN_BYTES) % ALIGN_BYTES;
    skip = skip < a->memory_count ? skip : a->memory_count;
    a->at = a->memory + skip;
    a->left = a->memory_count - skip;
    a->heap_left = a->heap_max;
    a->pieces = NULL;
    a->trouble = STATUS_OK;
}

void
pb_arena_init(struct pb_arena *a, void *memory, size_t count, size_t heap_bytes_max)
{
    assert(memory != NULL);
    *a = (struct pb_arena){.allocator = {arena_alloc, arena_free_nothing, a},
                           .memory = memory,
                           .memory_count = count,
                           .heap_max = heap_bytes_max};
    arena_begin(a);
}

void
pb_free(struct pb_arena *a)
{
    while (a->pieces != NULL) {
        struct pb_piece *piece = a->pieces;
        a->pieces = piece->next;
        free(piece);
    }
    arena_begin(a);
}

/* ---- scan ----------------------------------------------------------------- */

struct scan {
    const uint8_t *at;
    const uint8_t *end;
};

/* Read a varint in its one shortest form. */
static bool
scan_varint(struct scan *s, uint64_t *out)
{
    if (s->at < s->end && *s->at < 0x80) { /* the usual case */
        *out = *s->at++;
        return true;
    }
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && s->at < s->end; shift += 7) {
        uint8_t byte = *s->at++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return byte != 0; /* a zero on top could have been left out */
        }
    }
    return false;
}

static bool
scan_skip(struct scan *s, uint64_t count)
{
    if (count > (uint64_t)(s->end - s->at)) {
        return false;
    }
    s->at += count;
    return true;
}

/* Length in bytes of the character at `p`, RFC 3629; 0 if it is none, or NUL. */
static size_t
utf8_character(const uint8_t *p, size_t count)
{
    uint32_t lead = p[0], v;
    size_t n;
    if (lead < 0x80) {
        return lead == 0 ? 0 : 1;
    }
    if (lead >= 0xc2 && lead <= 0xdf) {
        n = 2;
        v = lead & 0x1f;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        n = 3;
        v = lead & 0x0f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        n = 4;
        v = lead & 0x07;
    } else {
        return 0;
    }
    if (n > count) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        v = v << 6 | (p[i] & 0x3f);
    }
    if ((n == 3 && v < 0x800) || (n == 4 && v < 0x10000) || v > 0x10ffff ||
        (v >= 0xd800 && v <= 0xdfff)) {
        return 0;
    }
    return n;
}

static bool
utf8_text(const uint8_t *p, size_t count)
{
    for (size_t i = 0; i < count;) {
        uint64_t w;
        if (count - i >= sizeof w) { /* eight ASCII characters, none of them NUL */
            memcpy(&w, p + i, sizeof w);
            if (((w | (w - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) ==
                0) {
                i += sizeof w;
                continue;
            }
        }
        size_t n = utf8_character(p + i, count - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static enum wire
wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
        break;
    }
    return WIRE_VARINT;
}

/* A packed field: whole numbers of its type, nothing left over. */
static bool
scan_packed(struct scan s, enum wire wire)
{
    uint64_t v;
    if (wire != WIRE_VARINT) {
        return (s.end - s.at) % (wire == WIRE_32 ? 4 : 8) == 0;
    }
    while (s.at < s.end) {
        if (!scan_varint(&s, &v)) {
            return false;
        }
    }
    return true;
}

/* What a scan has found so far. */
struct found {
    unsigned fields;
    bool sure; /* nothing that packing could write in another way */
};

/* Is this a field that protobuf-c packs from what it unpacked to the same bytes,
 * whatever stands in it?  `value` is its varint or its length.  Saying no costs
 * time only: the bytes are then compared. */
static bool
field_is_sure(const ProtobufCFieldDescriptor *f, bool again, uint64_t value)
{
    bool oneof = (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        return wire_of(f->type) == WIRE_BYTES;
    }
    if (again || (f->label != PROTOBUF_C_LABEL_NONE && !oneof)) {
        return false;
    }
    switch ((int)f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return true;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_UINT64:
        return oneof || value != 0;
    case PROTOBUF_C_TYPE_UINT32:
        return (oneof || value != 0) && value <= UINT32_MAX;
    case PROTOBUF_C_TYPE_BOOL:
        return value == 1;
    default:
        return false;
    }
}

static enum status scan_message(const ProtobufCMessageDescriptor *d, struct scan s,
                                unsigned depth, struct found *found);

/* What stands in a field of wire type WIRE_BYTES; `f` is NULL if not known. */
static enum status
scan_inside(const ProtobufCFieldDescriptor *f, struct scan inside, unsigned depth,
            struct found *found)
{
    if (f == NULL || f->type == PROTOBUF_C_TYPE_BYTES) {
        return STATUS_OK;
    }
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        return utf8_text(inside.at, (size_t)(inside.end - inside.at)) ? STATUS_OK
                                                                      : STATUS_MALFORMED;
    }
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        return scan_message(f->descriptor, inside, depth + 1, found);
    }
    if (f->label != PROTOBUF_C_LABEL_REPEATED || !scan_packed(inside, wire_of(f->type))) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

/* One value, its tag read already.  `value` is told its varint, or its length. */
static enum status
scan_value(const ProtobufCFieldDescriptor *f, unsigned wire, struct scan *s, unsigned depth,
           struct found *found, uint64_t *value)
{
    struct scan inside;
    switch (wire) {
    case WIRE_VARINT:
        return scan_varint(s, value) ? STATUS_OK : STATUS_MALFORMED;
    case WIRE_64:
        return scan_skip(s, 8) ? STATUS_OK : STATUS_MALFORMED;
    case WIRE_32:
        return scan_skip(s, 4) ? STATUS_OK : STATUS_MALFORMED;
    case WIRE_BYTES:
        if (!scan_varint(s, value)) {
            return STATUS_MALFORMED;
        }
        inside.at = s->at;
        if (!scan_skip(s, *value)) {
            return STATUS_MALFORMED;
        }
        inside.end = s->at;
        return scan_inside(f, inside, depth, found);
    default: /* a group (3, 4), or no wire type (6, 7) */
        return STATUS_MALFORMED;
    }
}

/* Field numbers never fall: that is the order in which they are packed, and
 * fields of the future have the highest. */
static enum status
scan_message(const ProtobufCMessageDescriptor *d, struct scan s, unsigned depth,
             struct found *found)
{
    if (depth > MESSAGE_DEPTH_MAX) {
        return STATUS_TOO_BIG;
    }
    uint64_t before = 0;
    unsigned next = 0; /* d->fields is sorted by number */
    bool oneof = false;
    while (s.at < s.end) {
        uint64_t key, value = 0;
        if (!scan_varint(&s, &key) || key > UINT32_MAX || key >> 3 < before || key >> 3 == 0) {
            return STATUS_MALFORMED;
        }
        if (++found->fields > MESSAGE_FIELDS_MAX) {
            return STATUS_TOO_BIG;
        }
        uint64_t number = key >> 3;
        while (next < d->n_fields && d->fields[next].id < number) {
            next++;
        }
        const ProtobufCFieldDescriptor *f =
            next < d->n_fields && d->fields[next].id == number ? &d->fields[next] : NULL;
        unsigned wire = (unsigned)(key & 7);
        if (f != NULL && wire != WIRE_BYTES && wire != (unsigned)wire_of(f->type)) {
            return STATUS_MALFORMED;
        }
        enum status st = scan_value(f, wire, &s, depth, found, &value);
        if (st != STATUS_OK) {
            return st;
        }
        if (f == NULL || !field_is_sure(f, number == before, value)) {
            found->sure = false;
        } else if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            found->sure = found->sure && !oneof;
            oneof = true;
        }
        before = number;
    }
    return STATUS_OK;
}

static enum status
scan(const ProtobufCMessageDescriptor *d, struct view bytes, size_t bytes_max, bool *sure)
{
    struct found found = {0, true};
    *sure = true;
    if (bytes.count > bytes_max) {
        return STATUS_TOO_BIG;
    }
    if (bytes.count == 0) {
        return STATUS_OK;
    }
    enum status st =
        scan_message(d, (struct scan){bytes.bytes, bytes.bytes + bytes.count}, 1, &found);
    *sure = found.sure;
    return st;
}

enum status
pb_scan(const ProtobufCMessageDescriptor *d, struct view bytes, size_t bytes_max)
{
    bool sure;
    return scan(d, bytes, bytes_max, &sure);
}

/* ---- unpack ---------------------------------------------------------------- */

/* A buffer that does not keep what is packed into it but compares it. */
struct compare {
    ProtobufCBuffer base;
    const uint8_t *at;
    size_t left;
    bool same;
};

static void
compare_append(ProtobufCBuffer *buffer, size_t count, const uint8_t *bytes)
{
    struct compare *c = (struct compare *)buffer;
    if (count == 0) {
        return;
    }
    if (!c->same || count > c->left || memcmp(c->at, bytes, count) != 0) {
        c->same = false;
        return;
    }
    c->at += count;
    c->left -= count;
}

bool
pb_is_canonical(const ProtobufCMessage *m, struct view bytes)
{
    struct compare c = {{compare_append}, bytes.bytes, bytes.count, true};
    (void)protobuf_c_message_pack_to_buffer(m, &c.base);
    return c.same && c.left == 0;
}

enum status
pb_unpack(const ProtobufCMessageDescriptor *d, struct view bytes, size_t bytes_max,
          struct pb_arena *a, ProtobufCMessage **out)
{
    static const uint8_t none = 0; /* no bytes may be no pointer */
    bool sure;
    *out = NULL;
    enum status st = scan(d, bytes, bytes_max, &sure);
    if (st != STATUS_OK) {
        return st;
    }
    if (bytes.count == 0) {
        bytes.bytes = &none;
    }
    a->trouble = STATUS_OK;
    ProtobufCMessage *m = protobuf_c_message_unpack(d, &a->allocator, bytes.count, bytes.bytes);
    if (m == NULL) {
        return a->trouble != STATUS_OK ? a->trouble : STATUS_MALFORMED;
    }
    if (!sure && !pb_is_canonical(m, bytes)) {
        return STATUS_MALFORMED;
    }
    *out = m;
    return STATUS_OK;
}

enum status
pb_pack(const ProtobufCMessage *m, uint8_t *out, size_t out_max, size_t *count)
{
    *count = 0;
    if (protobuf_c_message_get_packed_size(m) > out_max) {
        return STATUS_TOO_BIG;
    }
    *count = protobuf_c_message_pack(m, out);
    return STATUS_OK;
}
