/* charter_yaml.h: the shape of charter sources in YAML, as libcyaml reads them.
 *
 * Every value is a text here, numbers too: libcyaml reads 010 as 8, and a
 * version must not change its meaning.  What each field may hold is checked when
 * it becomes a row (charter_source_io.c, charter_row.c).  Pure. */
#ifndef NODE_CHARTER_YAML_H
#define NODE_CHARTER_YAML_H

#include "node/charter_document.h"

struct yaml_texts {
    char **at;
    uint32_t at_count;
};

struct yaml_charter_key {
    char *name, *public_key; /* or: */
    char *file;              /* what keygen wrote as FILE.pub */
    struct yaml_texts roles;
};
struct yaml_void {
    char *kind, *hash;
};
struct yaml_thresholds {
    char *root, *members, *quality, *policy;
};
struct yaml_alliance {
    char *id, *kind;
};
struct yaml_listing {
    char *pack, *status, *from, *to, *reason;
};
struct yaml_member {
    char *join, *institution, *name, *level, *grade, *ownership, *assessed, *territory, *left;
    char *alliances_known, *listings_known, *network_key, *revoked, *keys_lost;
    struct yaml_alliance *alliances;
    uint32_t alliances_count;
    struct yaml_texts addresses, roles, linked;
    struct yaml_listing *listings;
    uint32_t listings_count;
};
struct yaml_pack_row {
    char *id, *hash, *in_force_from, *in_force_to;
    struct yaml_texts annexes;
};
struct yaml_settings {
    char *look_back_days, *look_back_epochs, *cosign_s, *replication;
    struct yaml_texts sensitive, identifier_types;
};

/* A source of any kind; what does not belong to the kind is NULL. */
struct yaml_charter {
    char *network, *version, *issued_at, *valid_from, *valid_days, *previous;
    struct yaml_thresholds *thresholds; /* root */
    struct yaml_charter_key *keys;
    uint32_t keys_count;
    struct yaml_void *voids;
    uint32_t voids_count;
    struct yaml_member *members; /* members */
    uint32_t members_count;
    char *csv;                   /* members, quality: the rows in a table */
    struct yaml_pack_row *packs; /* policy */
    uint32_t packs_count;
    struct yaml_settings *settings;
};

/* Read a source.  `name` is the file in messages: one line "name:line: reason".
 *
 * STATUS_MALFORMED  not YAML, an unknown or missing field; `reason` says.
 * STATUS_NO_MEMORY */
MUST_USE enum status charter_yaml_load(enum charter_kind kind, struct view yaml,
                                       const char *name, struct yaml_charter **out,
                                       char reason[CHARTER_REASON_CHARS]);
/* NULL does nothing. */
void charter_yaml_free(enum charter_kind kind, struct yaml_charter *y);

/* The line, from 1, of the first place where `value` stands after `entry`, both
 * as written; of `entry` if there is none; 1 if that is not there either.  NULL or
 * "" is skipped.  libcyaml keeps no lines of values. */
size_t charter_yaml_line(struct view yaml, const char *entry, const char *value);

#endif
