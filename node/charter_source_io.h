/* charter_source_io.h: charter documents from YAML and CSV.
 *
 * Source: DESIGN 7; the formats are shown by `huren charter --help` and `huren
 * charter new KIND` and described in node/README.md. */
#ifndef NODE_CHARTER_SOURCE_IO_H
#define NODE_CHARTER_SOURCE_IO_H

#include "crypto/joinfile.h"
#include "node/charter_document.h"
#include "node/charter_yaml.h"
#include "proto/charter.pb-c.h"

enum { CHARTER_SOURCE_ERROR_CHARS = 1024 };

struct charter_source_options {
    enum charter_kind kind;
    const char *path; /* ending in .csv: the table itself, with the head from here ... */
    const char *network, *version, *valid_days; /* ... NULL: as the source says */
    const char *previous;                       /* file of the version before, or NULL */
    int64_t now_s;                              /* issued_at unless the source says it */
    /* members only */
    const char *network_keys;  /* file of the network's keys, made when missing; or NULL ... */
    const char *home;          /* ... then HOME/network-keys-<network> */
    bool new_epoch;            /* end the current epoch now */
    uint32_t look_back_epochs; /* how many earlier epochs a new member gets */
};

/* Make the unsigned document of a source.  *file is allocated; free it.  `error` is
 * one line "file:line: what is wrong" on failure, else empty or a remark.
 *
 * STATUS_OK
 * STATUS_MALFORMED  the source, or a file that it names.
 * or a status of file_read, file_write, joinfile_decode, charter_build. */
MUST_USE enum status charter_source_build(const struct charter_source_options *options,
                                          uint8_t **file, size_t *file_count,
                                          char error[CHARTER_SOURCE_ERROR_CHARS]);

/* ---- for the files that make rows ---------------------- */

struct charter_source {
    const struct charter_source_options *o;
    struct view text;       /* of the source */
    const char *table_name; /* file name for messages about rows of a table, or NULL */
    size_t table_line;
    struct yaml_charter *y; /* never NULL; empty for a CSV source */
    struct charter_head head;
    struct charter_document previous; /* row_count 0 and whole false: none */
    uint8_t *previous_file;
    struct pb_arena arena; /* rows and texts under construction */
    uint8_t arena_memory[PB_ARENA_BYTES];
    ProtobufCMessage **rows;
    size_t row_count, row_room;
    char *error;
};

/* Zeroed memory of the source; NULL when there is none. */
void *source_alloc(struct charter_source *s, size_t bytes);
/* A copy with a zero byte, or NULL. */
char *source_text(struct charter_source *s, const char *text);
/* Write "file:line: ..." for the place of `value` in `entry`; returns `st`. */
__attribute__((format(printf, 5, 6))) enum status source_fail(struct charter_source *s,
                                                              enum status st, const char *entry,
                                                              const char *value,
                                                              const char *format, ...);
/* Check a row as charter_row_decode does, and keep it. */
MUST_USE enum status source_add(struct charter_source *s, ProtobufCMessage *row,
                                const char *entry);
/* Read a file that the source names, seen from its folder. */
MUST_USE enum status source_read(struct charter_source *s, const char *name, size_t bytes_max,
                                 uint8_t **out, size_t *count);
/* "yes" true, "no" false, empty or NULL `missing`. */
MUST_USE enum status source_yes_no(struct charter_source *s, const char *entry,
                                   const char *field, const char *value, bool missing,
                                   bool *out);
/* A strict decimal. */
MUST_USE enum status source_number(struct charter_source *s, const char *entry,
                                   const char *field, const char *value, uint64_t max,
                                   uint64_t *out);

/* Always STATUS_NO_MEMORY, with the error set. */
enum status source_no_memory(struct charter_source *s);
/* 64 hex digits. */
bool source_hash(const char *text, uint8_t hash[HASH_BYTES]);

/* The rows of each kind (charter_members_io.c, charter_quality_io.c,
 * charter_policy_io.c). */
MUST_USE enum status charter_source_members(struct charter_source *s);
MUST_USE enum status charter_source_quality(struct charter_source *s);
MUST_USE enum status charter_source_policy(struct charter_source *s);

/* ---- keys of members (charter_keys_io.c) ---------------------- */

/* A join file as it was read. */
struct charter_joined {
    struct joinfile join;
    size_t count;
    uint8_t bytes[JOINFILE_BYTES_MAX];
};

/* Read and check the join file that the row names. */
MUST_USE enum status charter_source_join(struct charter_source *s, const struct yaml_member *y,
                                         struct charter_joined *j);

/* Keys of the version before, and those of the join file when they are others.
 * The first keys of a member have no beginning: they were its own before, too. */
MUST_USE enum status charter_source_keys(struct charter_source *s, const struct yaml_member *y,
                                         const struct charter_joined *joined,
                                         const Hr__MemberRow *before, Hr__MemberRow *row);

#endif
