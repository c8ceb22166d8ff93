/* charter_yaml.c: see charter_yaml.h. */
#include "node/charter_yaml.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>

enum { TEXT_BYTES_MAX = 1024, ENTRIES_MAX = 4096, SOURCE_BYTES_MAX = 16 * 1024 * 1024 };

#define NEEDED(type, member)                                                                   \
    CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER, type, member, 0, TEXT_BYTES_MAX)
#define TEXT(type, member)                                                                     \
    CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0, \
                           TEXT_BYTES_MAX)
#define TEXTS(type, member)                                                                    \
    CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member.at,   \
                         &text_entry, 0, ENTRIES_MAX)
#define LIST(type, key, member, entry)                                                         \
    CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member,          \
                         &(entry), 0, ENTRIES_MAX)
#define ENTRY(name, type, fields)                                                              \
    static const cyaml_schema_value_t name = {                                                 \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, type, fields)}
#define TOP(name, fields)                                                                      \
    static const cyaml_schema_value_t name = {                                                 \
        CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_charter, fields)}
#define HEAD                                                                                   \
    NEEDED(struct yaml_charter, network), NEEDED(struct yaml_charter, version),                \
        TEXT(struct yaml_charter, issued_at), TEXT(struct yaml_charter, valid_from),           \
        NEEDED(struct yaml_charter, valid_days), TEXT(struct yaml_charter, previous)

static const cyaml_schema_value_t text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, TEXT_BYTES_MAX)};

/* root */
static const cyaml_schema_field_t key_fields[] = {
    TEXT(struct yaml_charter_key, name), TEXT(struct yaml_charter_key, public_key),
    TEXT(struct yaml_charter_key, file), TEXTS(struct yaml_charter_key, roles),
    CYAML_FIELD_END};
ENTRY(key_entry, struct yaml_charter_key, key_fields);
static const cyaml_schema_field_t void_fields[] = {
    NEEDED(struct yaml_void, kind), NEEDED(struct yaml_void, hash), CYAML_FIELD_END};
ENTRY(void_entry, struct yaml_void, void_fields);
static const cyaml_schema_field_t threshold_fields[] = {
    NEEDED(struct yaml_thresholds, root), NEEDED(struct yaml_thresholds, members),
    NEEDED(struct yaml_thresholds, quality), NEEDED(struct yaml_thresholds, policy),
    CYAML_FIELD_END};
static const cyaml_schema_field_t root_fields[] = {
    HEAD, LIST(struct yaml_charter, "keys", keys, key_entry),
    LIST(struct yaml_charter, "void", voids, void_entry),
    CYAML_FIELD_MAPPING_PTR("thresholds", CYAML_FLAG_POINTER, struct yaml_charter, thresholds,
                            threshold_fields),
    CYAML_FIELD_END};
TOP(root_schema, root_fields);

/* members */
static const cyaml_schema_field_t alliance_fields[] = {
    NEEDED(struct yaml_alliance, id), NEEDED(struct yaml_alliance, kind), CYAML_FIELD_END};
ENTRY(alliance_entry, struct yaml_alliance, alliance_fields);
static const cyaml_schema_field_t listing_fields[] = {
    NEEDED(struct yaml_listing, pack), NEEDED(struct yaml_listing, status),
    TEXT(struct yaml_listing, from),   TEXT(struct yaml_listing, to),
    TEXT(struct yaml_listing, reason), CYAML_FIELD_END};
ENTRY(listing_entry, struct yaml_listing, listing_fields);
static const cyaml_schema_field_t member_fields[] = {
    TEXT(struct yaml_member, join),
    TEXT(struct yaml_member, institution),
    TEXT(struct yaml_member, name),
    TEXT(struct yaml_member, level),
    TEXT(struct yaml_member, grade),
    TEXT(struct yaml_member, ownership),
    TEXT(struct yaml_member, assessed),
    TEXT(struct yaml_member, territory),
    TEXT(struct yaml_member, left),
    TEXT(struct yaml_member, alliances_known),
    TEXT(struct yaml_member, listings_known),
    TEXT(struct yaml_member, network_key),
    TEXT(struct yaml_member, revoked),
    TEXT(struct yaml_member, keys_lost),
    TEXTS(struct yaml_member, addresses),
    TEXTS(struct yaml_member, roles),
    TEXTS(struct yaml_member, linked),
    LIST(struct yaml_member, "alliances", alliances, alliance_entry),
    LIST(struct yaml_member, "listings", listings, listing_entry),
    CYAML_FIELD_END};
ENTRY(member_entry, struct yaml_member, member_fields);
static const cyaml_schema_field_t members_fields[] = {
    HEAD, TEXT(struct yaml_charter, csv),
    LIST(struct yaml_charter, "members", members, member_entry), CYAML_FIELD_END};
TOP(members_schema, members_fields);

/* quality */
static const cyaml_schema_field_t quality_fields[] = {HEAD, NEEDED(struct yaml_charter, csv),
                                                      CYAML_FIELD_END};
TOP(quality_schema, quality_fields);

/* policy */
static const cyaml_schema_field_t pack_fields[] = {
    NEEDED(struct yaml_pack_row, id),          NEEDED(struct yaml_pack_row, hash),
    TEXT(struct yaml_pack_row, in_force_from), TEXT(struct yaml_pack_row, in_force_to),
    TEXTS(struct yaml_pack_row, annexes),      CYAML_FIELD_END};
ENTRY(pack_entry, struct yaml_pack_row, pack_fields);
static const cyaml_schema_field_t settings_fields[] = {
    TEXT(struct yaml_settings, look_back_days),
    TEXT(struct yaml_settings, look_back_epochs),
    TEXT(struct yaml_settings, cosign_s),
    TEXT(struct yaml_settings, replication),
    TEXTS(struct yaml_settings, sensitive),
    TEXTS(struct yaml_settings, identifier_types),
    CYAML_FIELD_END};
static const cyaml_schema_field_t policy_fields[] = {
    HEAD, LIST(struct yaml_charter, "packs", packs, pack_entry),
    CYAML_FIELD_MAPPING_PTR("settings", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct yaml_charter, settings, settings_fields),
    CYAML_FIELD_END};
TOP(policy_schema, policy_fields);

static const cyaml_schema_value_t *
schema_of(enum charter_kind kind)
{
    static const cyaml_schema_value_t *const all[CHARTER_KIND_COUNT] = {
        [CHARTER_ROOT] = &root_schema,
        [CHARTER_MEMBERS] = &members_schema,
        [CHARTER_QUALITY] = &quality_schema,
        [CHARTER_POLICY] = &policy_schema};
    assert(kind < CHARTER_KIND_COUNT);
    return all[kind];
}

/* The first error of a run, and the innermost line of its backtrace. */
struct yaml_log {
    char what[160];
    size_t line;
};

__attribute__((format(printf, 3, 0))) static void
take_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    struct yaml_log *log = ctx;
    char text[256];
    if (level < CYAML_LOG_ERROR) {
        return;
    }
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = 0;
    const char *where = strstr(text, "line");
    if (where != NULL && log->line == 0) {
        log->line = strtoul(where + strcspn(where, "0123456789"), NULL, 10);
    }
    if (log->what[0] == 0 && strstr(text, "Backtrace") == NULL) {
        const char *what = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
        snprintf(log->what, sizeof log->what, "%.150s", what);
    }
}

static cyaml_config_t
configuration(struct yaml_log *log)
{
    return (cyaml_config_t){.log_fn = take_log,
                            .log_ctx = log,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS};
}

/* A mapping is blamed for a field that it does not know: find the field. */
static size_t
line_of_field(struct view yaml, const struct yaml_log *log)
{
    const char *colon = strrchr(log->what, ':');
    char field[160];
    if (strncmp(log->what, "Unexpected key", 14) != 0 || colon == NULL) {
        return log->line == 0 ? 1 : log->line;
    }
    snprintf(field, sizeof field, "%s:", colon + 2);
    size_t line = 1, skipped = 0;
    while (skipped < yaml.count && line < log->line) { /* search from the mapping on */
        line += yaml.bytes[skipped++] == '\n';
    }
    return line - 1 +
           charter_yaml_line((struct view){yaml.bytes + skipped, yaml.count - skipped}, field,
                             NULL);
}

enum status
charter_yaml_load(enum charter_kind kind, struct view yaml, const char *name,
                  struct yaml_charter **out, char reason[CHARTER_REASON_CHARS])
{
    struct yaml_log log = {"", 0};
    cyaml_config_t config = configuration(&log);
    cyaml_data_t *data = NULL;
    *out = NULL;
    if (yaml.count == 0 || yaml.count > SOURCE_BYTES_MAX) {
        snprintf(reason, CHARTER_REASON_CHARS, "%.100s:1: the file is empty or too long", name);
        return STATUS_MALFORMED;
    }
    cyaml_err_t rc =
        cyaml_load_data(yaml.bytes, yaml.count, &config, schema_of(kind), &data, NULL);
    if (rc == CYAML_ERR_OOM) {
        return STATUS_NO_MEMORY;
    }
    if (rc != CYAML_OK || data == NULL) {
        snprintf(reason, CHARTER_REASON_CHARS, "%.100s:%zu: %s", name,
                 line_of_field(yaml, &log), log.what[0] != 0 ? log.what : cyaml_strerror(rc));
        return STATUS_MALFORMED;
    }
    *out = data;
    return STATUS_OK;
}

void
charter_yaml_free(enum charter_kind kind, struct yaml_charter *y)
{
    struct yaml_log log = {"", 0};
    cyaml_config_t config = configuration(&log);
    if (y != NULL) {
        cyaml_err_t rc = cyaml_free(&config, schema_of(kind), y, 0);
        assert(rc == CYAML_OK); /* fails only for a wrong schema */
    }
}

/* Where `word` stands at or after `from`, or SIZE_MAX. */
static size_t
find_word(struct view text, size_t from, const char *word)
{
    size_t count = strlen(word);
    for (size_t i = from; count > 0 && i + count <= text.count; i++) {
        if (memcmp(text.bytes + i, word, count) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t
charter_yaml_line(struct view yaml, const char *entry, const char *value)
{
    size_t at = 0, line = 1;
    size_t found = entry == NULL ? SIZE_MAX : find_word(yaml, 0, entry);
    at = found == SIZE_MAX ? 0 : found;
    found = value == NULL ? SIZE_MAX : find_word(yaml, at, value);
    at = found == SIZE_MAX ? at : found;
    for (size_t i = 0; i < at; i++) {
        line += yaml.bytes[i] == '\n';
    }
    return line;
}
