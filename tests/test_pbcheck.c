/* Goal: only the one encoding of a message passes, whatever the bytes; no input
 * takes more memory than its budget; the traps of protobuf-c (RELIABILITY P1 to P5)
 * are shut.
 * Method: real messages, every byte of them changed in every bit and cut; published
 * wire cases put into fields of ours; a corpus of another implementation's fuzzer;
 * limits N and N+1. */
#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/report.pb-c.h"
#include "proto/wire.pb-c.h"

static enum status
try_it(const ProtobufCMessageDescriptor *d, const void *bytes, size_t count)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena a;
    ProtobufCMessage *m;
    uint8_t *copy = malloc(count + 1); /* one spare: malloc(0) may be NULL */
    memcpy(copy + 1, bytes, count);    /* and an odd address */
    pb_arena_init(&a, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = pb_unpack(d, (struct view){copy + 1, count}, MESSAGE_BYTES_MAX, &a, &m);
    assert_true((m != NULL) == (st == STATUS_OK));
    if (st == STATUS_OK) { /* canonical: packed again it is the same */
        uint8_t *again = malloc(count + 1);
        size_t n;
        assert_int_equal(pb_pack(m, again, count, &n), STATUS_OK);
        assert_int_equal(n, count);
        assert_memory_equal(again, bytes, count);
        free(again);
    }
    pb_free(&a);
    assert_null(a.pieces);
    free(copy);
    return st;
}

static size_t
entry_bytes(uint8_t *out, size_t max)
{
    Hr__PubEntry e;
    Hr__Publish p;
    uint8_t token[TOKEN_BYTES] = {1}, sealed[HASH_BYTES] = {2}, brief[BRIEF_BYTES] = {3};
    size_t n;
    hr__pub_entry__init(&e);
    hr__publish__init(&p);
    p.token = (ProtobufCBinaryData){sizeof token, token};
    p.epoch = 300;
    p.sealed = (ProtobufCBinaryData){sizeof sealed, sealed};
    p.brief = (ProtobufCBinaryData){sizeof brief, brief};
    e.what_case = HR__PUB_ENTRY__WHAT_PUBLISH;
    e.publish = &p;
    assert_int_equal(pb_pack(&e.base, out, max, &n), STATUS_OK);
    return n;
}

static void
test_an_entry_passes_without_any_heap(void **state)
{
    (void)state;
    uint8_t bytes[256], memory[PB_ARENA_BYTES];
    size_t n = entry_bytes(bytes, sizeof bytes);
    struct pb_arena a;
    ProtobufCMessage *m;
    pb_arena_init(&a, memory, sizeof memory, 0);
    assert_int_equal(
        pb_unpack(&hr__pub_entry__descriptor, (struct view){bytes, n}, ENTRY_BYTES_MAX, &a, &m),
        STATUS_OK);
    const Hr__PubEntry *e = (const Hr__PubEntry *)m;
    assert_int_equal(e->what_case, HR__PUB_ENTRY__WHAT_PUBLISH);
    assert_int_equal(e->publish->epoch, 300);
    assert_int_equal(e->publish->brief.len, BRIEF_BYTES);
    assert_int_equal(e->publish->brief.data[0], 3);
    pb_free(&a);
}

static void
test_no_cut_of_an_entry_passes_as_the_entry(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t n = entry_bytes(bytes, sizeof bytes);
    for (size_t i = 1; i < n; i++) {
        assert_int_equal(try_it(&hr__pub_entry__descriptor, bytes, i), STATUS_MALFORMED);
    }
    assert_int_equal(try_it(&hr__pub_entry__descriptor, bytes, 0),
                     STATUS_OK); /* empty is one */
}

static void
test_every_flipped_bit_passes_only_as_another_canonical_message(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t n = entry_bytes(bytes, sizeof bytes), accepted = 0;
    for (size_t i = 0; i < n * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        accepted += try_it(&hr__pub_entry__descriptor, bytes, n) == STATUS_OK;
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_true(accepted >= (TOKEN_BYTES + HASH_BYTES + BRIEF_BYTES) * 8); /* bytes fields */
    assert_true(accepted < n * 8);
}

struct raw_case {
    const char *what;
    const char *bytes;
    size_t count;
    enum status want;
};
#define RAW(what, text, want)                                                                  \
    {                                                                                          \
        what, text, sizeof text - 1, want                                                      \
    }

static void
test_second_encodings_of_a_value_are_refused(void **state)
{
    (void)state;
    static const struct raw_case cases[] = {
        /* WireLeaf: string origin = 1; uint64 index = 2 */
        RAW("canonical",
            "\x0a\x01"
            "a\x10\x05",
            STATUS_OK),
        RAW("fields swapped",
            "\x10\x05\x0a\x01"
            "a",
            STATUS_MALFORMED),
        RAW("scalar twice", "\x10\x05\x10\x05", STATUS_MALFORMED),
        RAW("default written out", "\x10\x00", STATUS_MALFORMED),
        RAW("empty string written out", "\x0a\x00", STATUS_MALFORMED),
        RAW("overlong value", "\x10\x85\x00", STATUS_MALFORMED),
        RAW("overlong tag", "\x90\x00\x05", STATUS_MALFORMED),
        RAW("overlong length",
            "\x0a\x81\x00"
            "a",
            STATUS_MALFORMED),
        RAW("another wire type", "\x15\x05\x00\x00\x00", STATUS_MALFORMED),
        RAW("length for a number", "\x12\x01\x05", STATUS_MALFORMED),
        RAW("NUL in a string", "\x0a\x01\x00", STATUS_MALFORMED),
        RAW("NUL late in a string",
            "\x0a\x0a"
            "abcdefgh\x00z",
            STATUS_MALFORMED),
        RAW("UTF-8", "\x0a\x06\xe4\xba\x92\xe8\xae\xa4", STATUS_OK),
        RAW("UTF-8 cut", "\x0a\x02\xe4\xba", STATUS_MALFORMED),
        RAW("UTF-8 overlong", "\x0a\x02\xc0\xaf", STATUS_MALFORMED),
        RAW("UTF-8 overlong of three", "\x0a\x03\xe0\x80\xaf", STATUS_MALFORMED),
        RAW("UTF-8 surrogate", "\x0a\x03\xed\xa0\x80", STATUS_MALFORMED),
        RAW("UTF-8 beyond U+10FFFF", "\x0a\x04\xf4\x90\x80\x80", STATUS_MALFORMED),
        RAW("UTF-8 four bytes", "\x0a\x04\xf0\xa0\x80\x80", STATUS_OK),
        RAW("UTF-8 bad in the eighth place",
            "\x0a\x09"
            "abcdefg\x80z",
            STATUS_MALFORMED),
        RAW("new field at the end",
            "\x0a\x01"
            "a\x10\x05\x18\x07",
            STATUS_OK),
        RAW("new field before", "\x18\x07\x10\x05", STATUS_MALFORMED),
        RAW("new field, overlong", "\x10\x05\x18\x87\x00", STATUS_MALFORMED),
        RAW("group", "\x1b\x1c", STATUS_MALFORMED),
        RAW("group end", "\x1c", STATUS_MALFORMED),
        RAW("wire type 6", "\x1e\x00", STATUS_MALFORMED),
        RAW("wire type 7", "\x1f\x00", STATUS_MALFORMED),
        RAW("field 0", "\x00\x05", STATUS_MALFORMED),
        RAW("number too large", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            STATUS_MALFORMED),
        RAW("largest number", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", STATUS_OK),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum status st = try_it(&hr__wire_leaf__descriptor, cases[i].bytes, cases[i].count);
        if (st != cases[i].want) {
            print_error("%s\n", cases[i].what);
        }
        assert_int_equal(st, cases[i].want);
    }
    /* uint32 count = 5 of RangeAsk: a value that is cut to 32 bits (P4). */
    static const uint8_t wide[] = {0x28, 0x85, 0x80, 0x80, 0x80, 0x10};
    assert_int_equal(try_it(&hr__range_ask__descriptor, wide, sizeof wide), STATUS_MALFORMED);
    /* A oneof given twice, and with two of its fields. */
    static const uint8_t twice[] = {0x0a, 0x02, 0x10, 0x01, 0x0a, 0x02, 0x10, 0x01};
    assert_int_equal(try_it(&hr__pub_entry__descriptor, twice, sizeof twice), STATUS_MALFORMED);
    static const uint8_t both[] = {0x0a, 0x02, 0x10, 0x01, 0x12, 0x02, 0x10, 0x01};
    assert_int_equal(try_it(&hr__pub_entry__descriptor, both, sizeof both), STATUS_MALFORMED);
}

/* A field `number` of wire type 2 around `count` bytes. */
static size_t
wrap(uint8_t *bytes, size_t count, unsigned number)
{
    uint8_t head[8];
    size_t n = 0;
    head[n++] = (uint8_t)(number << 3 | 2);
    for (size_t c = count; n == 1 || c > 0; c >>= 7) {
        head[n++] = (uint8_t)((c & 0x7f) | (c > 0x7f ? 0x80 : 0));
    }
    memmove(bytes + n, bytes, count);
    memcpy(bytes, head, n);
    return n + count;
}

static void
test_bytes_and_fields_are_counted(void **state)
{
    (void)state;
    size_t room = 2 * MESSAGE_FIELDS_MAX + 16;
    room = room > MESSAGE_BYTES_MAX + 16 ? room : MESSAGE_BYTES_MAX + 16;
    uint8_t *bytes = malloc(room);
    /* length: a Hello whose instance fills the message */
    memset(bytes, 7, MESSAGE_BYTES_MAX);
    size_t n = wrap(bytes, MESSAGE_BYTES_MAX - 4, 2);
    assert_int_equal(n, MESSAGE_BYTES_MAX);
    assert_int_equal(try_it(&hr__hello__descriptor, bytes, n), STATUS_OK);
    n = wrap(bytes, MESSAGE_BYTES_MAX - 3, 2);
    assert_int_equal(try_it(&hr__hello__descriptor, bytes, n), STATUS_TOO_BIG);
    /* fields: rows of a CharterTell, each empty */
    for (size_t i = 0; i < MESSAGE_FIELDS_MAX + 1; i++) {
        bytes[2 * i] = 0x1a;
        bytes[2 * i + 1] = 0;
    }
    const ProtobufCMessageDescriptor *d = &hr__charter_tell__descriptor;
    struct view v = {bytes, 2 * MESSAGE_FIELDS_MAX};
    assert_int_equal(pb_scan(d, v, room), STATUS_OK);
    v.count += 2;
    assert_int_equal(pb_scan(d, v, room), STATUS_TOO_BIG);
    free(bytes);
}

/* A type that contains itself, which no schema of ours does: to see the depth counted. */
static void
test_nesting_is_counted(void **state)
{
    (void)state;
    static ProtobufCFieldDescriptor field;
    static ProtobufCMessageDescriptor self;
    static const ProtobufCIntRange ranges[] = {{1, 0}, {0, 1}};
    static const unsigned by_name[] = {0};
    field = (ProtobufCFieldDescriptor){.name = "self",
                                       .id = 1,
                                       .label = PROTOBUF_C_LABEL_NONE,
                                       .type = PROTOBUF_C_TYPE_MESSAGE,
                                       .offset = sizeof(ProtobufCMessage),
                                       .descriptor = &self};
    self = (ProtobufCMessageDescriptor){.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
                                        .name = "self",
                                        .short_name = "self",
                                        .c_name = "self",
                                        .package_name = "",
                                        .sizeof_message =
                                            sizeof(ProtobufCMessage) + sizeof(void *),
                                        .n_fields = 1,
                                        .fields = &field,
                                        .fields_sorted_by_name = by_name,
                                        .n_field_ranges = 1,
                                        .field_ranges = ranges};
    uint8_t bytes[64 * 1024];
    size_t n = 0;
    for (int depth = 1; depth < MESSAGE_DEPTH_MAX; depth++) {
        n = wrap(bytes, n, 1);
    }
    assert_int_equal(try_it(&self, bytes, n), STATUS_OK);
    n = wrap(bytes, n, 1);
    assert_int_equal(try_it(&self, bytes, n), STATUS_TOO_BIG);
    while (n + 8 < sizeof bytes) {
        n = wrap(bytes, n, 1);
    }
    assert_int_equal(try_it(&self, bytes, n), STATUS_TOO_BIG);
}

static void
test_memory_stays_within_the_budget(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    uint8_t memory[PB_ARENA_BYTES];
    uint8_t report[3 * COUNT];
    for (size_t i = 0; i < COUNT; i++) { /* empty items */
        memcpy(report + 3 * i, "\xf2\x01\x00", 3);
    }
    struct pb_arena a;
    ProtobufCMessage *m;
    size_t least = 0;
    for (size_t budget = 0; budget < 2 * 1024 * 1024; budget += 16 * 1024) {
        pb_arena_init(&a, memory, sizeof memory, budget);
        enum status st =
            pb_unpack(&hr__report__descriptor, (struct view){report, sizeof report},
                      REPORT_BYTES_MAX, &a, &m);
        assert_true(a.heap_left <= budget);
        if (st == STATUS_OK) {
            assert_int_equal(((const Hr__Report *)m)->n_items, COUNT);
            least = least == 0 ? budget : least;
        } else {
            assert_int_equal(st, STATUS_TOO_BIG);
            assert_int_equal(least, 0);
        }
        pb_free(&a);
    }
    assert_true(least > COUNT * sizeof(Hr__Item));
}

static json_t *
load_cases(char *dir, size_t dir_max)
{
    const char *shared = getenv("HUREN_SHARED");
    char path[1024];
    snprintf(dir, dir_max, "%s/vectors", shared != NULL ? shared : HR_SOURCE_DIR "/../shared");
    snprintf(path, sizeof path, "%s/protobuf_wire/cases.json", dir);
    json_t *cases = json_load_file(path, 0, NULL);
    if (cases == NULL) {
        print_message("SKIPPED: no published cases at %s\n", path);
        skip();
    }
    return cases;
}

static size_t
from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (; hex[0] != '\0'; hex += 2) {
        unsigned v;
        sscanf(hex, "%2x", &v);
        out[n++] = (uint8_t)v;
    }
    return n;
}

/* Each case is a value; put behind a tag of an unknown field, it must pass when the
 * case says that it is well-formed and in its shortest form, and fail otherwise. */
static void
test_published_wire_cases(void **state)
{
    (void)state;
    char dir[900];
    json_t *cases = load_cases(dir, sizeof dir), *one;
    size_t i, tried = 0;
    json_array_foreach(cases, i, one)
    {
        const char *kind = json_string_value(json_object_get(one, "kind"));
        uint8_t bytes[64];
        size_t n = 1 + from_hex(json_string_value(json_object_get(one, "hex")), bytes + 1);
        bool good = json_object_get(one, "want_err") == NULL &&
                    !json_is_true(json_object_get(one, "denormal"));
        json_t *len = json_object_get(one, "len");
        if (strcmp(kind, "varint") == 0) {
            bytes[0] = 15 << 3;
        } else if (strcmp(kind, "fixed32") == 0) {
            bytes[0] = 15 << 3 | 5;
        } else if (strcmp(kind, "fixed64") == 0) {
            bytes[0] = 15 << 3 | 1;
        } else if (strcmp(kind, "bytes") == 0) {
            bytes[0] = 15 << 3 | 2;
        } else if (strcmp(kind, "group") == 0) {
            bytes[0] = 15 << 3 | 3;
            good = false;
        } else {
            continue; /* a tag alone is never a message */
        }
        if (len != NULL) {
            n = 1 + (size_t)json_integer_value(len);
        }
        tried++;
        enum status st = try_it(&hr__pub_entry__descriptor, bytes, n);
        if ((st == STATUS_OK) != good) {
            print_error("case %zu\n", i);
        }
        assert_int_equal(st == STATUS_OK, good);
    }
    assert_true(tried > 20);
    json_decref(cases);
}

static void
test_the_corpus_of_another_fuzzer_breaks_nothing(void **state)
{
    (void)state;
    static const ProtobufCMessageDescriptor *const types[] = {
        &hr__pub_entry__descriptor, &hr__exch_entry__descriptor, &hr__report__descriptor,
        &hr__frontier__descriptor, &hr__lookup_tell__descriptor};
    char dir[900], path[2048];
    size_t tried = 0;
    json_decref(load_cases(dir, sizeof dir));
    static const char *const folders[] = {"nanopb_corpus", "nanopb_regressions"};
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s/protobuf_fuzz/%s", dir, folders[k]);
        DIR *d = opendir(path);
        assert_non_null(d);
        for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
            snprintf(path, sizeof path, "%s/protobuf_fuzz/%s/%s", dir, folders[k], e->d_name);
            FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
            if (f == NULL) {
                continue;
            }
            static uint8_t bytes[MESSAGE_BYTES_MAX];
            size_t n = fread(bytes, 1, sizeof bytes, f);
            fclose(f);
            tried++;
            for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
                (void)try_it(types[t], bytes, n);
            }
        }
        closedir(d);
    }
    assert_true(tried > 400);
}

/* P1: nothing may contain itself. */
static bool
contains(const ProtobufCMessageDescriptor *d, const ProtobufCMessageDescriptor *what, int depth)
{
    assert_true(depth <= MESSAGE_DEPTH_MAX);
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        if (f->type == PROTOBUF_C_TYPE_MESSAGE &&
            (f->descriptor == what || contains(f->descriptor, what, depth + 1))) {
            return true;
        }
    }
    return false;
}

static void
test_no_schema_contains_itself(void **state)
{
    (void)state;
    assert_false(contains(&hr__pub_entry__descriptor, &hr__pub_entry__descriptor, 1));
    assert_false(contains(&hr__exch_entry__descriptor, &hr__exch_entry__descriptor, 1));
    assert_false(contains(&hr__report__descriptor, &hr__report__descriptor, 1));
    assert_false(contains(&hr__lookup_tell__descriptor, &hr__lookup_tell__descriptor, 1));
    assert_false(contains(&hr__charter_tell__descriptor, &hr__charter_tell__descriptor, 1));
    assert_true(contains(&hr__pub_entry__descriptor, &hr__publish__descriptor, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_passes_without_any_heap),
        cmocka_unit_test(test_no_cut_of_an_entry_passes_as_the_entry),
        cmocka_unit_test(test_every_flipped_bit_passes_only_as_another_canonical_message),
        cmocka_unit_test(test_second_encodings_of_a_value_are_refused),
        cmocka_unit_test(test_bytes_and_fields_are_counted),
        cmocka_unit_test(test_nesting_is_counted),
        cmocka_unit_test(test_memory_stays_within_the_budget),
        cmocka_unit_test(test_published_wire_cases),
        cmocka_unit_test(test_the_corpus_of_another_fuzzer_breaks_nothing),
        cmocka_unit_test(test_no_schema_contains_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
