/* Goal: an audit names what contradicts itself in a log, and every altered byte of a log that
 * was handed over as files; a whole one is sound.
 * Method: entries made here; the files of a log of 600 entries in memory, written by the tile
 * functions and signed; then each file altered, cut and left out in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/checkpoint.h"
#include "crypto/tile.h"
#include "node/audit.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"

enum { ENTRIES = 600, FILES_MAX = 32, ENTRY_MAX = 256 };
#define ORIGIN "n.example/h1/pub"

struct file {
    char path[TILE_PATH_BYTES_MAX];
    uint8_t *bytes;
    size_t count;
};
static struct file files[FILES_MAX];
static size_t file_count;
static uint8_t entries[ENTRIES][ENTRY_MAX];
static size_t entry_bytes[ENTRIES];
static struct audit_keys keys;
static struct audit_finding last, first;

static void
keep(void *context, const struct audit_finding *f)
{
    (void)context;
    last = *f;
    if (first.part == NULL) {
        first = *f;
    }
}

static size_t
pack(uint8_t *out, char kind, uint8_t token, uint64_t replaces)
{
    uint8_t token_bytes[TOKEN_BYTES], sealed[HASH_BYTES] = {1};
    Hr__PubEntry e = HR__PUB_ENTRY__INIT;
    Hr__Publish p = HR__PUBLISH__INIT;
    Hr__Correct c = HR__CORRECT__INIT;
    Hr__Withdraw w = HR__WITHDRAW__INIT;
    size_t count;

    memset(token_bytes, token, sizeof token_bytes);
    p.token = c.token = w.token = (ProtobufCBinaryData){TOKEN_BYTES, token_bytes};
    p.sealed = c.sealed = (ProtobufCBinaryData){HASH_BYTES, sealed};
    p.epoch = c.epoch = w.epoch = 1;
    c.replaces = w.replaces = replaces;
    e.what_case = kind == 'p'   ? HR__PUB_ENTRY__WHAT_PUBLISH
                  : kind == 'c' ? HR__PUB_ENTRY__WHAT_CORRECT
                                : HR__PUB_ENTRY__WHAT_WITHDRAW;
    if (kind == 'p') {
        e.publish = &p;
    } else if (kind == 'c') {
        e.correct = &c;
    } else {
        e.withdraw = &w;
    }
    assert_int_equal(pb_pack(&e.base, out, ENTRY_MAX, &count), STATUS_OK);
    return count;
}

static enum status
entry_of(void *context, uint64_t index, struct view *out)
{
    (void)context;
    if (index >= ENTRIES || entry_bytes[index] == 0) {
        return STATUS_NOT_FOUND;
    }
    *out = (struct view){entries[index], entry_bytes[index]};
    return STATUS_OK;
}

/* The finding that the log "entry by entry" gives at `leaf`; 0 findings: NULL. */
static const char *
judged(const char *kinds, const uint8_t *tokens, const uint64_t *replaces, uint64_t *leaf)
{
    struct audit_sink sink = {.finding = keep};
    struct audit_claim claims[8];
    size_t count = 0;

    memset(entry_bytes, 0, sizeof entry_bytes);
    for (size_t i = 0; kinds[i] != '\0'; i++) {
        bool readable;
        entry_bytes[i] = pack(entries[i], kinds[i], tokens[i], replaces[i]);
        claims[count].leaf = i;
        count += audit_claim_read((struct view){entries[i], entry_bytes[i]}, &claims[count],
                                  &readable);
        assert_true(readable);
    }
    assert_int_equal(audit_claims(claims, count, text_view(ORIGIN), entry_of, NULL, &sink),
                     STATUS_OK);
    assert_true(sink.contradictions <= 1 && sink.damages == 0);
    *leaf = last.index;
    return sink.contradictions == 0 ? NULL : last.what;
}

static void
test_a_correction_that_contradicts_another_entry_is_named(void **state)
{
    const uint8_t same[] = {7, 7, 7, 7}, other[] = {7, 8, 7, 7};
    uint64_t leaf;
    (void)state;

    assert_null(judged("pcc", same, (uint64_t[]){0, 0, 1}, &leaf));
    assert_null(judged("pcw", same, (uint64_t[]){0, 0, 1}, &leaf));
    assert_string_equal(judged("pcc", same, (uint64_t[]){0, 0, 0}, &leaf),
                        "replaces entry 0, which entry 1 replaced before");
    assert_int_equal(leaf, 2);
    assert_non_null(strstr(judged("pc", other, (uint64_t[]){0, 0}, &leaf), "another token"));
    assert_int_equal(leaf, 1);
    assert_non_null(strstr(judged("cp", same, (uint64_t[]){1, 0}, &leaf), "not stand before"));
    assert_non_null(strstr(judged("pwc", same, (uint64_t[]){0, 0, 1}, &leaf), "withdrawal"));
    /* What was no replacement does not stand in the way of one. */
    assert_non_null(
        strstr(judged("ppcw", (uint8_t[]){7, 7, 8, 7}, (uint64_t[]){0, 0, 0, 0}, &leaf),
               "another token"));
    assert_int_equal(leaf, 2);
}

/* ---- files ---- */

static void
add_file(const char *path, const void *bytes, size_t count)
{
    struct file *f = &files[file_count++];

    assert_true(file_count <= FILES_MAX);
    snprintf(f->path, sizeof f->path, "%s", path);
    f->bytes = malloc(count + 1);
    assert_non_null(f->bytes);
    memcpy(f->bytes, bytes, count);
    f->count = count;
}

static enum status
read_file(void *context, const char *path, size_t max, uint8_t **bytes, size_t *count)
{
    (void)context;
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].bytes != NULL && strcmp(files[i].path, path) == 0) {
            if (files[i].count > max) {
                return STATUS_TOO_BIG;
            }
            *bytes = malloc(files[i].count + 1);
            assert_non_null(*bytes);
            memcpy(*bytes, files[i].bytes, files[i].count);
            *count = files[i].count;
            return STATUS_OK;
        }
    }
    *bytes = NULL;
    *count = 0;
    return STATUS_NOT_FOUND;
}

static struct audit_sink
audited(const struct audit_known *known, struct audit_log *out)
{
    struct audit_sink sink = {.finding = keep};
    struct audit_log log = {.read = read_file, .keys = &keys};

    if (known != NULL) {
        log.known[log.known_count++] = *known;
    }
    enum status st = audit_log(&log, &sink);
    if (st != STATUS_OK) { /* No checkpoint to begin with. */
        sink.damages++;
    }
    if (out != NULL) {
        *out = log;
    }
    return sink;
}

static int
make_log(void **state)
{
    static uint8_t bundle[TILE_HASHES * (ENTRY_MAX + 2)];
    struct hash leaves[ENTRIES], top[3], root;
    struct tree_edge edge = {.size = 0};
    struct note_signer signer;
    uint8_t seed[NOTE_SEED_BYTES] = {9}, note[1024];
    char path[TILE_PATH_BYTES_MAX];
    size_t count;

    (void)state;
    for (size_t i = 0; i < ENTRIES; i++) {
        entry_bytes[i] = pack(entries[i], 'p', (uint8_t)i, 0);
        tree_leaf_hash(entries[i], entry_bytes[i], &leaves[i]);
        assert_int_equal(tree_edge_append(&edge, &leaves[i], NULL, NULL), STATUS_OK);
    }
    for (uint64_t t = 0; t * TILE_HASHES < ENTRIES; t++) {
        unsigned width = tile_width(0, t, ENTRIES);
        struct tile tile = {0, t, width};
        size_t used = 0;
        for (unsigned i = 0; i < width; i++) {
            size_t n = t * TILE_HASHES + i;
            assert_int_equal(tile_bundle_add((struct view){entries[n], entry_bytes[n]}, bundle,
                                             sizeof bundle, &used),
                             STATUS_OK);
        }
        tile_entries_path(t, width, path);
        add_file(path, bundle, used);
        tile_path(&tile, path);
        add_file(path, &leaves[t * TILE_HASHES], width * sizeof *leaves);
        if (width == TILE_HASHES) {
            tile_root_of_full(&leaves[t * TILE_HASHES], &top[t]);
        }
    }
    tile_path(&(struct tile){1, 0, 2}, path);
    add_file(path, top, 2 * sizeof *top);
    tree_edge_root(&edge, &root);
    assert_int_equal(note_signer_make(text_view(ORIGIN), NOTE_KEY_ED25519, seed, &signer),
                     STATUS_OK);
    keys = (struct audit_keys){.count = 1, .log_count = 1, .keys = {signer.key}};
    struct checkpoint c = {.origin = text_view(ORIGIN), .size = ENTRIES, .root = root};
    assert_int_equal(checkpoint_sign(&signer, &c, note, sizeof note, &count), STATUS_OK);
    add_file("checkpoint", note, count);
    return 0;
}

static int
free_log(void **state)
{
    (void)state;
    for (size_t i = 0; i < file_count; i++) {
        free(files[i].bytes);
    }
    file_count = 0;
    return 0;
}

static void
test_a_whole_log_is_sound(void **state)
{
    struct audit_log log;
    struct audit_sink sink = audited(NULL, &log);
    (void)state;

    assert_int_equal(sink.damages + sink.contradictions + sink.unknowns, 0);
    assert_int_equal(log.entries, ENTRIES);
    assert_true(log.head_signed);
}

static void
test_every_altered_cut_or_missing_file_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < file_count; i++) {
        struct file *f = &files[i], whole = *f;
        for (size_t at = 0; at < f->count; at += f->count / 40 + 1) {
            f->bytes[at] ^= 1;
            assert_true(audited(NULL, NULL).damages > 0);
            f->bytes[at] ^= 1;
        }
        f->count--;
        assert_true(audited(NULL, NULL).damages > 0);
        *f = whole;
        f->bytes = NULL;
        assert_true(audited(NULL, NULL).damages > 0);
        *f = whole;
    }
    assert_int_equal(audited(NULL, NULL).damages, 0);
}

static void
test_an_altered_entry_is_named_by_its_leaf(void **state)
{
    (void)state;
    files[2].bytes[5] ^= 1; /* first entry of the second bundle */
    memset(&first, 0, sizeof first);
    struct audit_sink sink = audited(NULL, NULL);
    files[2].bytes[5] ^= 1;
    assert_true(sink.damages >= 2); /* the entry, then what is above it */
    assert_string_equal(first.part, "entry");
    assert_int_equal(first.index, TILE_HASHES);
}

/* The log that was shown to others at each size of interest, and another one. */
static void
test_another_log_than_the_one_known_is_found(void **state)
{
    const uint64_t sizes[] = {1, 255, 256, 257, 512, 599, 600};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct tree_edge edge = {.size = 0};
        struct audit_known known = {.name = "a copy", .size = sizes[i]};
        for (uint64_t n = 0; n < sizes[i]; n++) {
            struct hash leaf;
            tree_leaf_hash(entries[n], entry_bytes[n], &leaf);
            assert_int_equal(tree_edge_append(&edge, &leaf, NULL, NULL), STATUS_OK);
        }
        tree_edge_root(&edge, &known.root);
        struct audit_log log;
        assert_int_equal(audited(&known, &log).damages, 0);
        assert_true(log.known[0].seen && log.known[0].agrees);
        known.root.bytes[3] ^= 1;
        assert_int_equal(audited(&known, &log).damages, 1);
    }
    struct audit_known more = {.name = "a copy", .size = ENTRIES + 1};
    assert_int_equal(audited(&more, NULL).unknowns, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_correction_that_contradicts_another_entry_is_named),
        cmocka_unit_test_setup_teardown(test_a_whole_log_is_sound, make_log, free_log),
        cmocka_unit_test_setup_teardown(test_every_altered_cut_or_missing_file_is_found,
                                        make_log, free_log),
        cmocka_unit_test_setup_teardown(test_an_altered_entry_is_named_by_its_leaf, make_log,
                                        free_log),
        cmocka_unit_test_setup_teardown(test_another_log_than_the_one_known_is_found, make_log,
                                        free_log),
    };

    if (sodium_init() < 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
