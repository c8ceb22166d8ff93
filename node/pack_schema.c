#include "node/pack_schema.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "policy/policy.h"

enum { WORD_BYTES_MAX = 128, TEXT_BYTES_MAX = 2048, ENTRIES_MAX = 256 };

#define WORD(type, key, member)                                                                \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, WORD_BYTES_MAX)
#define WORD_OPTIONAL(type, key, member)                                                       \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1,     \
                           WORD_BYTES_MAX)
#define TEXT(type, key, member)                                                                \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, TEXT_BYTES_MAX)
#define WORDS(type, member)                                                                    \
    CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER, type, member.at, &word_entry, 1,         \
                         ENTRIES_MAX)
#define WORDS_OPTIONAL(type, member)                                                           \
    CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member.at,   \
                         &word_entry, 1, ENTRIES_MAX)
#define ENTRIES(type, member, entry, flags)                                                    \
    CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | (flags), type, member, entry, 0,        \
                         ENTRIES_MAX)
#define RULE(type)                                                                             \
    WORD(type, "id", rule.id), TEXT(type, "clause", rule.clause), TEXT(type, "zh", rule.zh),   \
        TEXT(type, "en", rule.en), CYAML_FIELD_END
#define MAPPING_ENTRY(name, type, fields)                                                      \
    static const cyaml_schema_value_t name = {                                                 \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, type, fields)}

static const cyaml_schema_value_t word_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, WORD_BYTES_MAX)};

static const cyaml_schema_field_t check_fields[] = {
    WORD(struct yaml_check, "check", check),
    WORD(struct yaml_check, "if_false", if_false),
    WORD(struct yaml_check, "if_unknown", if_unknown),
    WORDS_OPTIONAL(struct yaml_check, kinds),
    WORDS_OPTIONAL(struct yaml_check, levels),
    WORDS_OPTIONAL(struct yaml_check, softened_in),
    WORD_OPTIONAL(struct yaml_check, "grade", grade),
    WORD_OPTIONAL(struct yaml_check, "ownership", ownership),
    WORD_OPTIONAL(struct yaml_check, "days", days),
    WORD_OPTIONAL(struct yaml_check, "limit", limit),
    WORD_OPTIONAL(struct yaml_check, "note", note),
    WORD_OPTIONAL(struct yaml_check, "marked_cap", marked_cap),
    WORD_OPTIONAL(struct yaml_check, "softened_cap", softened_cap),
    RULE(struct yaml_check)};
MAPPING_ENTRY(check_entry, struct yaml_check, check_fields);

static const cyaml_schema_field_t scope_fields[] = {
    WORD(struct yaml_scope, "force", force),
    WORDS_OPTIONAL(struct yaml_scope, issuer),
    WORDS_OPTIONAL(struct yaml_scope, receiver),
    WORDS_OPTIONAL(struct yaml_scope, shared),
    WORD_OPTIONAL(struct yaml_scope, "ownership", ownership),
    WORD_OPTIONAL(struct yaml_scope, "same_level", same_level),
    RULE(struct yaml_scope)};
MAPPING_ENTRY(scope_entry, struct yaml_scope, scope_fields);

static const cyaml_schema_field_t list_fields[] = {
    WORDS(struct yaml_list, kinds), WORDS_OPTIONAL(struct yaml_list, also),
    WORD(struct yaml_list, "source", source), RULE(struct yaml_list)};
MAPPING_ENTRY(list_entry, struct yaml_list, list_fields);

static const cyaml_schema_field_t condition_fields[] = {
    WORD(struct yaml_condition, "relation", relation),
    WORD_OPTIONAL(struct yaml_condition, "of", of),
    WORD_OPTIONAL(struct yaml_condition, "itself", itself),
    WORD(struct yaml_condition, "needs", needs),
    WORD_OPTIONAL(struct yaml_condition, "at_least", at_least),
    RULE(struct yaml_condition)};
MAPPING_ENTRY(condition_entry, struct yaml_condition, condition_fields);

static const cyaml_schema_field_t quality_fields[] = {WORDS(struct yaml_quality, kinds),
                                                      WORDS(struct yaml_quality, needs),
                                                      RULE(struct yaml_quality)};
MAPPING_ENTRY(quality_entry, struct yaml_quality, quality_fields);

static const cyaml_schema_field_t footnote_fields[] = {WORDS(struct yaml_footnote, kinds),
                                                       TEXT(struct yaml_footnote, "text", text),
                                                       CYAML_FIELD_END};
MAPPING_ENTRY(footnote_entry, struct yaml_footnote, footnote_fields);

static const cyaml_schema_field_t mark_fields[] = {
    WORDS(struct yaml_mark, texts),
    WORD(struct yaml_mark, "print", print),
    WORD(struct yaml_mark, "place", place),
    WORD_OPTIONAL(struct yaml_mark, "row_sign", row_sign),
    WORD_OPTIONAL(struct yaml_mark, "alternative_footnote", alternative_footnote),
    ENTRIES(struct yaml_mark, footnotes, &footnote_entry, CYAML_FLAG_OPTIONAL),
    RULE(struct yaml_mark)};

static const cyaml_schema_field_t circumstance_fields[] = {
    WORD(struct yaml_circumstance, "code", code),
    WORD_OPTIONAL(struct yaml_circumstance, "note", note),
    WORD_OPTIONAL(struct yaml_circumstance, "window", window),
    WORDS_OPTIONAL(struct yaml_circumstance, kinds), RULE(struct yaml_circumstance)};
MAPPING_ENTRY(circumstance_entry, struct yaml_circumstance, circumstance_fields);

static const cyaml_schema_field_t sign_off_fields[] = {
    WORD(struct yaml_sign_off, "title", title), WORD(struct yaml_sign_off, "verdict", verdict),
    WORD_OPTIONAL(struct yaml_sign_off, "without", without), RULE(struct yaml_sign_off)};

static const cyaml_schema_field_t form_fields[] = {WORDS(struct yaml_form, kinds),
                                                   WORD(struct yaml_form, "form", form),
                                                   RULE(struct yaml_form)};
MAPPING_ENTRY(form_entry, struct yaml_form, form_fields);

static const cyaml_schema_field_t duty_fields[] = {
    WORD(struct yaml_duty, "if", when),
    WORD(struct yaml_duty, "duty", duty),
    WORD_OPTIONAL(struct yaml_duty, "verdict", verdict),
    WORD_OPTIONAL(struct yaml_duty, "form", form),
    WORD_OPTIONAL(struct yaml_duty, "encounter", encounter),
    WORD_OPTIONAL(struct yaml_duty, "with", with),
    WORD_OPTIONAL(struct yaml_duty, "without", without),
    RULE(struct yaml_duty)};
MAPPING_ENTRY(duty_entry, struct yaml_duty, duty_fields);

static const cyaml_schema_field_t fee_fields[] = {WORD(struct yaml_fee, "if", when),
                                                  WORD(struct yaml_fee, "fee", fee),
                                                  RULE(struct yaml_fee)};
MAPPING_ENTRY(fee_entry, struct yaml_fee, fee_fields);

static const cyaml_schema_field_t billing_fields[] = {
    WORD(struct yaml_billing, "verdict", verdict),
    ENTRIES(struct yaml_billing, fees, &fee_entry, 0), CYAML_FIELD_END};

static const cyaml_schema_field_t text_fields[] = {
    TEXT(struct yaml_text, "zh", zh), TEXT(struct yaml_text, "en", en), CYAML_FIELD_END};

static const cyaml_schema_field_t valid_fields[] = {
    WORD_OPTIONAL(struct yaml_valid, "from", from), WORD_OPTIONAL(struct yaml_valid, "to", to),
    CYAML_FIELD_END};

static const cyaml_schema_field_t pack_fields[] = {
    WORD(struct yaml_pack, "pack", pack),
    WORD(struct yaml_pack, "version", version),
    WORD(struct yaml_pack, "document", document),
    WORD_OPTIONAL(struct yaml_pack, "parent", parent),
    CYAML_FIELD_MAPPING("title", CYAML_FLAG_DEFAULT, struct yaml_pack, title, text_fields),
    CYAML_FIELD_MAPPING_PTR("gaps", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_pack,
                            gaps, text_fields),
    CYAML_FIELD_MAPPING_PTR("valid", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_pack,
                            valid, valid_fields),
    WORDS(struct yaml_pack, territory),
    ENTRIES(struct yaml_pack, checks, &check_entry, 0),
    ENTRIES(struct yaml_pack, scopes, &scope_entry, 0),
    ENTRIES(struct yaml_pack, lists, &list_entry, 0),
    ENTRIES(struct yaml_pack, conditions, &condition_entry, CYAML_FLAG_OPTIONAL),
    ENTRIES(struct yaml_pack, quality, &quality_entry, CYAML_FLAG_OPTIONAL),
    ENTRIES(struct yaml_pack, circumstances, &circumstance_entry, CYAML_FLAG_OPTIONAL),
    ENTRIES(struct yaml_pack, forms, &form_entry, CYAML_FLAG_OPTIONAL),
    ENTRIES(struct yaml_pack, duties, &duty_entry, CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_MAPPING_PTR("mark", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_pack,
                            mark, mark_fields),
    CYAML_FIELD_MAPPING_PTR("sign_off", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct yaml_pack, sign_off, sign_off_fields),
    CYAML_FIELD_MAPPING_PTR("billing", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct yaml_pack, billing, billing_fields),
    CYAML_FIELD_END};
static const cyaml_schema_value_t pack_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_pack, pack_fields)};

/* libcyaml tells an error in several log lines: what, then where, innermost
 * first.  The first of each is kept. */
struct log {
    char what[256];
    unsigned long line;
};

__attribute__((format(printf, 3, 0))) static void
on_log(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct log *log = context;
    char text[256];
    if (level < CYAML_LOG_ERROR) {
        return;
    }
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    const char *where = strstr(text, "line: ");
    if (where == NULL) {
        where = strstr(text, "line ");
    }
    if (where != NULL && log->line == 0) {
        log->line = strtoul(where + strcspn(where, "0123456789"), NULL, 10);
    }
    bool backtrace = strstr(text, "Backtrace") != NULL || strncmp(text, "  in ", 5) == 0;
    if (log->what[0] == '\0' && !backtrace) {
        const char *what = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
        snprintf(log->what, sizeof log->what, "%s", what);
    }
}

/* libcyaml names the line where the mapping began; the key itself is more use. */
static unsigned long
line_of_key(struct view yaml, const struct log *log)
{
    static const char lead[] = "Unexpected key: ";
    const char *key = log->what + sizeof lead - 1;
    unsigned long line = 1;
    if (strncmp(log->what, lead, sizeof lead - 1) != 0) {
        return log->line == 0 ? 1 : log->line;
    }
    for (size_t at = 0; at < yaml.count; line++) {
        const uint8_t *newline = memchr(yaml.bytes + at, '\n', yaml.count - at);
        size_t end = newline == NULL ? yaml.count : (size_t)(newline - yaml.bytes);
        while (at < end && (yaml.bytes[at] == ' ' || yaml.bytes[at] == '-')) {
            at++;
        }
        if (line >= log->line && end - at > strlen(key) &&
            yaml.bytes[at + strlen(key)] == ':' &&
            memcmp(yaml.bytes + at, key, strlen(key)) == 0) {
            return line;
        }
        at = end + 1;
    }
    return log->line == 0 ? 1 : log->line;
}

static cyaml_config_t
configuration(struct log *log)
{
    return (cyaml_config_t){.log_fn = on_log,
                            .log_ctx = log,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS};
}

enum status
pack_schema_load(struct view yaml, const char *name, struct yaml_pack **out, char *error,
                 size_t error_bytes)
{
    struct log log = {{0}, 0};
    cyaml_config_t config = configuration(&log);
    cyaml_data_t *data = NULL;
    *out = NULL;
    if (yaml.count == 0 || yaml.count > HR_PACK_TEXT_BYTES_MAX) {
        snprintf(error, error_bytes, "%s:1: file is empty or too long", name);
        return STATUS_MALFORMED;
    }
    cyaml_err_t rc =
        cyaml_load_data(yaml.bytes, yaml.count, &config, &pack_schema, &data, NULL);
    if (rc == CYAML_ERR_OOM) {
        return STATUS_NO_MEMORY;
    }
    if (rc != CYAML_OK || data == NULL) {
        snprintf(error, error_bytes, "%s:%lu: %s", name, line_of_key(yaml, &log),
                 log.what[0] != '\0' ? log.what : cyaml_strerror(rc));
        return STATUS_MALFORMED;
    }
    *out = data;
    return STATUS_OK;
}

void
pack_schema_free(struct yaml_pack *pack)
{
    struct log log = {{0}, 0};
    cyaml_config_t config = configuration(&log);
    if (pack != NULL && cyaml_free(&config, &pack_schema, pack, 0) != CYAML_OK) {
        return; /* cyaml_free fails only for a schema that is wrong */
    }
}
