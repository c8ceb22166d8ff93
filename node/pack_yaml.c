#include "node/pack_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/pack_csv.h"
#include "node/pack_schema.h"

enum { JOINED_BYTES_MAX = 1024, NAME_BYTES_MAX = 512 };

void
pack_built_free(struct pack_built *built)
{
    pack_text_free(&built->text);
    free(built->memory);
    memset(built, 0, sizeof *built);
}

/* ---- YAML to lines ---------------------------------------------------------- */

/* "one,two,three"; too long a list is cut and then refused as unknown. */
static const char *
join(const struct yaml_words *words, char out[JOINED_BYTES_MAX])
{
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < words->at_count; i++) {
        int n = snprintf(out + used, JOINED_BYTES_MAX - used, "%s%s", i > 0 ? "," : "",
                         words->at[i]);
        if (n < 0 || (size_t)n >= JOINED_BYTES_MAX - used) {
            break;
        }
        used += (size_t)n;
    }
    return out;
}

/* Settings under construction: "key=value key=value". */
struct settings {
    char text[4 * JOINED_BYTES_MAX];
    size_t used;
};

static void
set(struct settings *s, const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return;
    }
    int n = snprintf(s->text + s->used, sizeof s->text - s->used, "%s%s=%s",
                     s->used > 0 ? " " : "", key, value);
    if (n > 0 && (size_t)n < sizeof s->text - s->used) {
        s->used += (size_t)n;
    }
}

static void
set_words(struct settings *s, const char *key, const struct yaml_words *words)
{
    char joined[JOINED_BYTES_MAX];
    set(s, key, join(words, joined));
}

static void
end_rule(struct pack_text *t, const struct yaml_pack *y, const struct yaml_rule *rule)
{
    pack_text_field(t, rule->id);
    pack_text_joined(t, y->document, rule->clause);
    pack_text_field(t, rule->zh);
    pack_text_field(t, rule->en);
    pack_text_end_line(t, 0);
}

static void
write_words(struct pack_text *t, const struct yaml_words *words)
{
    char joined[JOINED_BYTES_MAX];
    pack_text_field(t, join(words, joined));
}

static void
write_head(struct pack_text *t, const struct yaml_pack *y)
{
    pack_text_field(t, "huren pack 1");
    pack_text_end_line(t, 0);
    pack_text_field(t, "pack");
    pack_text_field(t, y->pack);
    pack_text_field(t, y->version);
    pack_text_field(t, y->document);
    pack_text_field(t, y->title.zh);
    pack_text_field(t, y->title.en);
    pack_text_field(t, y->parent);
    pack_text_field(t, y->gaps == NULL ? NULL : y->gaps->zh);
    pack_text_field(t, y->gaps == NULL ? NULL : y->gaps->en);
    pack_text_end_line(t, 0);
    if (y->valid != NULL) {
        pack_text_field(t, "valid");
        pack_text_field(t, y->valid->from);
        pack_text_field(t, y->valid->to);
        pack_text_end_line(t, 0);
    }
    for (uint32_t i = 0; i < y->territory.at_count; i++) {
        pack_text_field(t, "territory");
        pack_text_field(t, y->territory.at[i]);
        pack_text_end_line(t, 0);
    }
}

static void
write_checks(struct pack_text *t, const struct yaml_pack *y)
{
    for (uint32_t i = 0; i < y->checks_count; i++) {
        const struct yaml_check *c = &y->checks[i];
        struct settings s = {.used = 0};
        set_words(&s, "kinds", &c->kinds);
        set_words(&s, "levels", &c->levels);
        set(&s, "grade", c->grade);
        set(&s, "ownership", c->ownership);
        set(&s, "days", c->days);
        set(&s, "limit", c->limit);
        set(&s, "note", c->note);
        set(&s, "marked_cap", c->marked_cap);
        set_words(&s, "softened_in", &c->softened_in);
        set(&s, "softened_cap", c->softened_cap);
        pack_text_field(t, "check");
        pack_text_field(t, c->check);
        pack_text_field(t, c->if_false);
        pack_text_field(t, c->if_unknown);
        pack_text_field(t, s.text);
        end_rule(t, y, &c->rule);
    }
    for (uint32_t i = 0; i < y->scopes_count; i++) {
        const struct yaml_scope *c = &y->scopes[i];
        struct settings s = {.used = 0};
        set_words(&s, "issuer", &c->issuer);
        set_words(&s, "receiver", &c->receiver);
        set(&s, "ownership", c->ownership);
        set(&s, "same_level", c->same_level);
        set_words(&s, "shared", &c->shared);
        pack_text_field(t, "scope");
        pack_text_field(t, c->force);
        pack_text_field(t, s.text);
        end_rule(t, y, &c->rule);
    }
}

static void
write_lists(struct pack_text *t, const struct yaml_pack *y)
{
    for (uint32_t i = 0; i < y->lists_count; i++) {
        pack_text_field(t, "list");
        write_words(t, &y->lists[i].kinds);
        pack_text_field(t, y->lists[i].source);
        write_words(t, &y->lists[i].also);
        end_rule(t, y, &y->lists[i].rule);
    }
    for (uint32_t i = 0; i < y->conditions_count; i++) {
        const struct yaml_condition *c = &y->conditions[i];
        pack_text_field(t, "condition");
        pack_text_field(t, c->relation);
        pack_text_field(t, c->of);
        pack_text_field(t, c->itself);
        pack_text_field(t, c->needs);
        pack_text_field(t, c->at_least);
        end_rule(t, y, &c->rule);
    }
    for (uint32_t i = 0; i < y->quality_count; i++) {
        pack_text_field(t, "quality");
        write_words(t, &y->quality[i].kinds);
        write_words(t, &y->quality[i].needs);
        end_rule(t, y, &y->quality[i].rule);
    }
}

static void
write_mark(struct pack_text *t, const struct yaml_pack *y)
{
    const struct yaml_mark *m = y->mark;
    if (m == NULL) {
        return;
    }
    for (uint32_t i = 0; i < m->texts.at_count; i++) {
        pack_text_field(t, "mark");
        pack_text_field(t, m->texts.at[i]);
        pack_text_end_line(t, 0);
    }
    pack_text_field(t, "print");
    pack_text_field(t, m->print);
    pack_text_field(t, m->row_sign);
    pack_text_field(t, m->place);
    pack_text_field(t, m->alternative_footnote);
    end_rule(t, y, &m->rule);
    for (uint32_t i = 0; i < m->footnotes_count; i++) {
        pack_text_field(t, "footnote");
        write_words(t, &m->footnotes[i].kinds);
        pack_text_field(t, m->footnotes[i].text);
        pack_text_end_line(t, 0);
    }
}

static void
write_reasons(struct pack_text *t, const struct yaml_pack *y)
{
    for (uint32_t i = 0; i < y->circumstances_count; i++) {
        const struct yaml_circumstance *c = &y->circumstances[i];
        pack_text_field(t, "exception");
        pack_text_field(t, c->code);
        write_words(t, &c->kinds);
        pack_text_field(t, c->note == NULL ? "never" : c->note);
        pack_text_field(t, c->window);
        end_rule(t, y, &c->rule);
    }
    if (y->sign_off != NULL) {
        pack_text_field(t, "sign_off");
        pack_text_field(t, y->sign_off->title);
        pack_text_field(t, y->sign_off->verdict);
        pack_text_field(t, y->sign_off->without);
        end_rule(t, y, &y->sign_off->rule);
    }
}

static void
write_consequences(struct pack_text *t, const struct yaml_pack *y)
{
    for (uint32_t i = 0; i < y->forms_count; i++) {
        pack_text_field(t, "form");
        write_words(t, &y->forms[i].kinds);
        pack_text_field(t, y->forms[i].form);
        end_rule(t, y, &y->forms[i].rule);
    }
    for (uint32_t i = 0; i < y->duties_count; i++) {
        const struct yaml_duty *d = &y->duties[i];
        struct settings s = {.used = 0};
        set(&s, "verdict", d->verdict);
        set(&s, "form", d->form);
        set(&s, "encounter", d->encounter);
        set(&s, "with", d->with);
        set(&s, "without", d->without);
        pack_text_field(t, "duty");
        pack_text_field(t, d->when);
        pack_text_field(t, d->duty);
        pack_text_field(t, s.text);
        end_rule(t, y, &d->rule);
    }
    if (y->billing == NULL) {
        return;
    }
    pack_text_field(t, "fees");
    pack_text_field(t, y->billing->verdict);
    pack_text_end_line(t, 0);
    for (uint32_t i = 0; i < y->billing->fees_count; i++) {
        pack_text_field(t, "fee");
        pack_text_field(t, y->billing->fees[i].when);
        pack_text_field(t, y->billing->fees[i].fee);
        end_rule(t, y, &y->billing->fees[i].rule);
    }
}

/* ---- the item list ---------------------------------------------------------- */

enum { COLUMN_CODE, COLUMN_NAME, COLUMN_APPLIES, COLUMN_CITATION, COLUMNS_NEEDED };
static const char *const column_names[COLUMNS_NEEDED] = {"code", "name_in_document",
                                                         "applies_to", "citation"};

struct list_columns {
    size_t needed[COLUMNS_NEEDED];
    size_t conditions, force, protocol; /* SIZE_MAX: not there */
};

/* "tertiary", "secondary", "primary" hold for that level; "all" and
 * "tertiary_a" (who is a member is asked elsewhere) for every level. */
static const char *
levels_of(const char *applies_to)
{
    static const char *const every[] = {"all", "tertiary_a"};
    static const char *const levels[] = {"tertiary", "secondary", "primary"};
    for (size_t i = 0; i < sizeof every / sizeof every[0]; i++) {
        if (strcmp(applies_to, every[i]) == 0) {
            return "";
        }
    }
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(applies_to, levels[i]) == 0) {
            return levels[i];
        }
    }
    return NULL;
}

struct item_row {
    const char *code;
    size_t row;
};

static int
compare_items(const void *a, const void *b)
{
    const struct item_row *x = a;
    const struct item_row *y = b;
    int order = strcmp(x->code, y->code);
    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

static const char *
check_item(const struct pack_csv *csv, const struct list_columns *c, size_t row,
           const struct hr_catalog *catalog)
{
    const char *code = pack_csv_cell(csv, row, c->needed[COLUMN_CODE]);
    if (hr_catalog_by_code(catalog, (struct hr_text){code, strlen(code)}) == NULL) {
        return "is not in the catalog";
    }
    if (levels_of(pack_csv_cell(csv, row, c->needed[COLUMN_APPLIES])) == NULL) {
        return "applies_to is not tertiary, secondary, primary, tertiary_a or all";
    }
    if (pack_csv_cell(csv, row, c->needed[COLUMN_CITATION])[0] == '\0') {
        return "has no citation";
    }
    return NULL;
}

static void
write_item(struct pack_text *t, const struct pack_csv *csv, const struct list_columns *c,
           size_t row)
{
    const char *remarks = pack_csv_cell(csv, row, c->conditions);
    bool duplicate = strncmp(remarks, "DUPLICATE_ENTRY", strlen("DUPLICATE_ENTRY")) == 0;
    pack_text_field(t, "row");
    pack_text_field(t, pack_csv_cell(csv, row, c->needed[COLUMN_CODE]));
    pack_text_field(t, levels_of(pack_csv_cell(csv, row, c->needed[COLUMN_APPLIES])));
    pack_text_field(t, pack_csv_cell(csv, row, c->force));
    pack_text_field(t, pack_csv_cell(csv, row, c->protocol));
    pack_text_field(t, duplicate ? "no" : "yes");
    pack_text_field(t, pack_csv_cell(csv, row, c->needed[COLUMN_NAME]));
    pack_text_field(t, pack_csv_cell(csv, row, c->needed[COLUMN_CITATION]));
    pack_text_end_line(t, csv->lines[row]);
}

static enum status
write_items(struct pack_text *t, struct view data, const char *name,
            const struct hr_catalog *catalog, char *error, size_t error_bytes)
{
    struct pack_csv csv;
    struct list_columns columns;
    enum status st = pack_csv_read(data, name, &csv, error, error_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    struct item_row *rows = calloc(csv.row_count, sizeof *rows);
    if (rows == NULL) {
        st = STATUS_NO_MEMORY;
        goto cleanup;
    }
    for (size_t i = 0; i < COLUMNS_NEEDED; i++) {
        columns.needed[i] = pack_csv_column(&csv, column_names[i]);
        if (columns.needed[i] == SIZE_MAX) {
            snprintf(error, error_bytes, "%s:1: there is no column '%s'", name,
                     column_names[i]);
            st = STATUS_MALFORMED;
            goto cleanup;
        }
    }
    columns.conditions = pack_csv_column(&csv, "conditions");
    columns.force = pack_csv_column(&csv, "force");
    columns.protocol = pack_csv_column(&csv, "protocol");
    for (size_t row = 1; row < csv.row_count; row++) {
        const char *bad = check_item(&csv, &columns, row, catalog);
        if (bad != NULL) {
            snprintf(error, error_bytes, "%s:%u: item %.64s: %s", name,
                     (unsigned)csv.lines[row],
                     pack_csv_cell(&csv, row, columns.needed[COLUMN_CODE]), bad);
            st = STATUS_MALFORMED;
            goto cleanup;
        }
        rows[row - 1] =
            (struct item_row){pack_csv_cell(&csv, row, columns.needed[COLUMN_CODE]), row};
    }
    qsort(rows, csv.row_count - 1, sizeof *rows, compare_items);
    for (size_t i = 0; i + 1 < csv.row_count; i++) {
        write_item(t, &csv, &columns, rows[i].row);
    }
cleanup:
    free(rows);
    pack_csv_free(&csv);
    return st;
}

/* ---- where a refused line came from ----------------------------------------- */

/* The last line of the YAML that has "key: value", quoted or not, or that has
 * the key at all when `value` is empty; 0: none. */
static unsigned long
find_line(struct view yaml, const char *key, const char *value)
{
    unsigned long found = 0;
    unsigned long line = 1;
    for (size_t at = 0; at < yaml.count; line++) {
        const uint8_t *newline = memchr(yaml.bytes + at, '\n', yaml.count - at);
        size_t end = newline == NULL ? yaml.count : (size_t)(newline - yaml.bytes);
        while (at < end && (yaml.bytes[at] == ' ' || yaml.bytes[at] == '-')) {
            at++;
        }
        for (size_t i = 0; i < 3; i++) {
            char needle[JOINED_BYTES_MAX];
            int size = i == 0   ? snprintf(needle, sizeof needle, "%s: %s", key, value)
                       : i == 1 ? snprintf(needle, sizeof needle, "%s: \"%s\"", key, value)
                                : snprintf(needle, sizeof needle, "%s:", key);
            bool whole =
                i < 2 ? end - at == (size_t)size : value[0] == '\0' && end - at >= (size_t)size;
            if (size > 0 && (size_t)size < sizeof needle && whole &&
                memcmp(yaml.bytes + at, needle, (size_t)size) == 0) {
                found = line;
            }
        }
        at = end + 1;
    }
    return found;
}

/* Fields of a line of the compiled text, cut in place. */
static size_t
cut_fields(char *line, char *fields[], size_t max)
{
    size_t count = 0;
    while (count < max) {
        fields[count++] = line;
        char *tab = strchr(line, '\t');
        if (tab == NULL) {
            break;
        }
        *tab = '\0';
        line = tab + 1;
    }
    return count;
}

static unsigned long
yaml_line(struct view yaml, const struct pack_text *t, size_t number)
{
    enum { FIELDS_MAX = 16 };
    char line[8192];
    char *fields[FIELDS_MAX];
    size_t at = 0;
    for (size_t i = 1; i < number && at < t->size; i++) {
        const char *newline = memchr(t->bytes + at, '\n', t->size - at);
        at = newline == NULL ? t->size : (size_t)(newline - t->bytes) + 1;
    }
    const char *newline = at < t->size ? memchr(t->bytes + at, '\n', t->size - at) : NULL;
    size_t size = newline == NULL ? 0 : (size_t)(newline - t->bytes) - at;
    if (size == 0 || size >= sizeof line) {
        return 1;
    }
    memcpy(line, t->bytes + at, size);
    line[size] = '\0';
    size_t count = cut_fields(line, fields, FIELDS_MAX);
    static const char *const named[][2] = {{"check", "check"},  {"exception", "code"},
                                           {"pack", "pack"},    {"territory", "territory"},
                                           {"fees", "billing"}, {"valid", "valid"}};
    unsigned long found = 0;
    if (strcmp(fields[0], "check") != 0 && strcmp(fields[0], "exception") != 0 && count > 4) {
        found = find_line(yaml, "id", fields[count - 4]);
    }
    for (size_t i = 0; found == 0 && i < sizeof named / sizeof named[0]; i++) {
        if (strcmp(fields[0], named[i][0]) == 0) {
            found = find_line(yaml, named[i][1], count > 1 ? fields[1] : "");
            found = found != 0 ? found : find_line(yaml, named[i][1], "");
        }
    }
    return found != 0 ? found : 1;
}

/* ---- the whole --------------------------------------------------------------- */

static enum status
load(const struct pack_sources *sources, struct pack_built *out, char *error,
     size_t error_bytes)
{
    struct hr_load_error bad = {0, ""};
    size_t bytes = hr_pack_memory_bytes(out->text.bytes, out->text.size);
    out->memory = malloc(bytes);
    if (out->memory == NULL) {
        return STATUS_NO_MEMORY;
    }
    out->pack = hr_pack_load(out->text.bytes, out->text.size, out->memory, bytes, &bad);
    if (out->pack != NULL) {
        return STATUS_OK;
    }
    uint32_t origin =
        bad.line >= 1 && bad.line <= out->text.line_count ? out->text.origins[bad.line - 1] : 0;
    if (origin != 0) {
        snprintf(error, error_bytes, "%s/items.csv:%u: %s", sources->folder, (unsigned)origin,
                 bad.reason);
    } else {
        snprintf(error, error_bytes, "%s/pack.yaml:%lu: %s", sources->folder,
                 yaml_line(sources->yaml, &out->text, bad.line), bad.reason);
    }
    return STATUS_MALFORMED;
}

static enum status
check_conditions(const struct pack_sources *sources, const struct yaml_pack *y,
                 const struct hr_catalog *catalog, char *error, size_t error_bytes)
{
    for (uint32_t i = 0; i < y->conditions_count; i++) {
        const char *of = y->conditions[i].of;
        if (of != NULL &&
            hr_catalog_by_code(catalog, (struct hr_text){of, strlen(of)}) == NULL) {
            snprintf(error, error_bytes, "%s/pack.yaml:%lu: item %s is not in the catalog",
                     sources->folder, find_line(sources->yaml, "of", of), of);
            return STATUS_MALFORMED;
        }
    }
    return STATUS_OK;
}

enum status
pack_build(const struct pack_sources *sources, const struct hr_catalog *catalog,
           struct pack_built *out, char *error, size_t error_bytes)
{
    char yaml_name[NAME_BYTES_MAX];
    char items_name[NAME_BYTES_MAX];
    struct yaml_pack *y = NULL;
    struct pack_built built = {{0}, NULL, NULL};
    memset(out, 0, sizeof *out);
    snprintf(yaml_name, sizeof yaml_name, "%s/pack.yaml", sources->folder);
    snprintf(items_name, sizeof items_name, "%s/items.csv", sources->folder);
    enum status st = pack_schema_load(sources->yaml, yaml_name, &y, error, error_bytes);
    if (st == STATUS_OK) {
        st = check_conditions(sources, y, catalog, error, error_bytes);
    }
    if (st == STATUS_OK) {
        write_head(&built.text, y);
        write_checks(&built.text, y);
        write_lists(&built.text, y);
        write_mark(&built.text, y);
        write_reasons(&built.text, y);
        write_consequences(&built.text, y);
        if (sources->items.bytes != NULL) {
            st = write_items(&built.text, sources->items, items_name, catalog, error,
                             error_bytes);
        }
    }
    if (st == STATUS_OK && built.text.failed) {
        st = STATUS_NO_MEMORY;
    }
    if (st == STATUS_OK) {
        st = load(sources, &built, error, error_bytes);
    }
    pack_schema_free(y);
    if (st != STATUS_OK) {
        pack_built_free(&built);
        return st;
    }
    *out = built;
    return STATUS_OK;
}

enum status
pack_built_file(const struct pack_built *built, struct view vectors, struct pack_file *out)
{
    char head[PACK_HEAD_BYTES_MAX];
    size_t head_bytes;
    struct hr_text id = hr_pack_id(built->pack);
    struct hr_text version = hr_pack_version(built->pack);
    memset(out, 0, sizeof *out);
    if (id.size > PACK_ID_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    memcpy(out->id, id.bytes, id.size);
    for (size_t i = 0; i < version.size; i++) { /* at most 9 digits: checked when loaded */
        out->version = out->version * 10 + (uint32_t)(version.bytes[i] - '0');
    }
    out->rules = (struct view){(const uint8_t *)built->text.bytes, built->text.size};
    out->vectors = vectors;
    return pack_file_head(out, head, &head_bytes);
}

/* ---- packs beside each other -------------------------------------------------- */

static bool
same(struct hr_text a, struct hr_text b)
{
    return a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0;
}

static bool
overlap(const struct hr_pack *a, const struct hr_pack *b)
{
    struct hr_date a_from = hr_pack_valid_from(a);
    struct hr_date a_to = hr_pack_valid_to(a);
    struct hr_date b_from = hr_pack_valid_from(b);
    struct hr_date b_to = hr_pack_valid_to(b);
    bool a_ends_first = a_to.known && b_from.known && a_to.day < b_from.day;
    bool b_ends_first = b_to.known && a_from.known && b_to.day < a_from.day;
    return !a_ends_first && !b_ends_first;
}

/* Index of the pack that is the parent of this one; count: it is not here. */
static size_t
parent_of(const struct hr_pack *const *packs, size_t count, size_t index)
{
    struct hr_text parent = hr_pack_parent(packs[index]);
    size_t i = 0;
    while (i < count && (parent.size == 0 || !same(hr_pack_id(packs[i]), parent))) {
        i++;
    }
    return i;
}

enum status
pack_check_together(const struct hr_pack *const *packs, const struct pack_sources *sources,
                    size_t count, char *error, size_t error_bytes)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (same(hr_pack_id(packs[i]), hr_pack_id(packs[j])) &&
                overlap(packs[i], packs[j])) {
                unsigned long line = find_line(sources[i].yaml, "valid", "");
                line = line != 0 ? line : find_line(sources[i].yaml, "pack", "");
                snprintf(error, error_bytes,
                         "%s/pack.yaml:%lu: validity overlaps that of the same pack in %s",
                         sources[i].folder, line, sources[j].folder);
                return STATUS_MALFORMED;
            }
        }
        size_t at = i;
        for (size_t step = 0; step <= count && at < count; step++) {
            at = parent_of(packs, count, at);
            if (at == i || step == count) {
                snprintf(error, error_bytes, "%s/pack.yaml:%lu: parent leads back to the pack",
                         sources[i].folder, find_line(sources[i].yaml, "parent", ""));
                return STATUS_MALFORMED;
            }
        }
    }
    return STATUS_OK;
}
