/* The catalog and the packs in hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/embedded.h"
#include "node/pack_csv.h"
#include "node/pack_yaml.h"
#include "node/policy_json.h"

enum { PACKS_MAX = 64 };

struct held_pack {
    struct pack_built built;
    struct view vectors;
    struct hash address;
};

struct policy_set {
    struct pack_text catalog_text;
    void *catalog_memory;
    const struct hr_catalog *catalog;
    size_t count;
    struct held_pack packs[PACKS_MAX];
};

void
policy_set_free(struct policy_set *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        pack_built_free(&set->packs[i].built);
    }
    pack_text_free(&set->catalog_text);
    free(set->catalog_memory);
    free(set);
}

static enum status
load_catalog(struct policy_set *set, char *error, size_t error_bytes)
{
    const struct embedded_file *items = embedded_find("policy/catalog/catalog.csv");
    const struct embedded_file *relations =
        embedded_find("policy/catalog/catalog-relations.csv");
    if (items == NULL || relations == NULL) {
        snprintf(error, error_bytes, "policy/catalog: the binary carries no catalog");
        return STATUS_MALFORMED;
    }
    enum status st =
        catalog_compile(items->data, relations->data, &set->catalog_text, error, error_bytes);
    if (st != STATUS_OK) {
        return st;
    }
    const struct pack_text *t = &set->catalog_text;
    struct hr_load_error bad = {0, ""};
    size_t bytes = hr_catalog_memory_bytes(t->bytes, t->size);
    set->catalog_memory = malloc(bytes);
    if (set->catalog_memory == NULL) {
        return STATUS_NO_MEMORY;
    }
    set->catalog = hr_catalog_load(t->bytes, t->size, set->catalog_memory, bytes, &bad);
    if (set->catalog == NULL) {
        size_t origin =
            bad.line >= 1 && bad.line <= t->line_count ? t->origins[bad.line - 1] : 0;
        snprintf(error, error_bytes, "policy/catalog:%zu: %s", origin, bad.reason);
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

static enum status
load_pack(struct policy_set *set, const struct pack_sources *sources, struct view vectors,
          char *error, size_t error_bytes)
{
    if (set->count == PACKS_MAX) {
        snprintf(error, error_bytes, "%s: too many packs", sources->folder);
        return STATUS_MALFORMED;
    }
    struct held_pack *held = &set->packs[set->count];
    enum status st = pack_build(sources, set->catalog, &held->built, error, error_bytes);
    if (st == STATUS_OK) {
        held->vectors = vectors;
        struct pack_file file;
        st = pack_built_file(&held->built, vectors, &file);
        held->address = file.address;
        set->count++; /* freed with the set, whatever st is */
    }
    return st;
}

/* The folder of ".../pack.yaml" when this is one. */
static bool
pack_folder(const char *path, char *folder, size_t folder_bytes)
{
    static const char prefix[] = "policy/packs/";
    const char *slash = strrchr(path, '/');
    if (strncmp(path, prefix, sizeof prefix - 1) != 0 || strcmp(slash, "/pack.yaml") != 0 ||
        (size_t)(slash - path) >= folder_bytes) {
        return false;
    }
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    return true;
}

/* A file of a folder; bytes NULL: there is none. */
static struct view
embedded(const char *folder, const char *name)
{
    char path[320];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const struct embedded_file *file = embedded_find(path);
    return file == NULL ? (struct view){NULL, 0} : file->data;
}

enum status
policy_set_load_embedded(struct policy_set **out, char *error, size_t error_bytes)
{
    char folder[256];
    *out = NULL;
    struct policy_set *set = calloc(1, sizeof *set);
    if (set == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status st = load_catalog(set, error, error_bytes);
    for (const struct embedded_file *f = embedded_files; st == STATUS_OK && f->path != NULL;
         f++) {
        if (!pack_folder(f->path, folder, sizeof folder)) {
            continue;
        }
        struct pack_sources sources = {folder, f->data, embedded(folder, "items.csv")};
        st = load_pack(set, &sources, embedded(folder, "vectors.jsonl"), error, error_bytes);
    }
    if (st != STATUS_OK) {
        policy_set_free(set);
        return st;
    }
    *out = set;
    return STATUS_OK;
}

const struct hr_catalog *
policy_set_catalog(const struct policy_set *set)
{
    return set->catalog;
}

struct hr_text
policy_set_catalog_text(const struct policy_set *set)
{
    return (struct hr_text){set->catalog_text.bytes, set->catalog_text.size};
}

size_t
policy_set_count(const struct policy_set *set)
{
    return set->count;
}

const struct hr_pack *
policy_set_pack(const struct policy_set *set, size_t index)
{
    return index < set->count ? set->packs[index].built.pack : NULL;
}

struct hr_text
policy_set_text(const struct policy_set *set, size_t index)
{
    if (index >= set->count) {
        return (struct hr_text){NULL, 0};
    }
    return (struct hr_text){set->packs[index].built.text.bytes,
                            set->packs[index].built.text.size};
}

struct view
policy_set_vectors(const struct policy_set *set, size_t index)
{
    return index < set->count ? set->packs[index].vectors : (struct view){NULL, 0};
}

const uint8_t *
policy_set_hash(const struct policy_set *set, size_t index)
{
    return index < set->count ? set->packs[index].address.bytes : NULL;
}

size_t
policy_set_find(const struct policy_set *set, const char *id, size_t id_bytes)
{
    for (size_t i = 0; i < set->count; i++) {
        struct hr_text held = hr_pack_id(set->packs[i].built.pack);
        if (held.size == id_bytes && memcmp(held.bytes, id, id_bytes) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t
policy_set_find_hash(const struct policy_set *set, const uint8_t hash[HASH_BYTES])
{
    for (size_t i = 0; i < set->count; i++) {
        if (memcmp(set->packs[i].address.bytes, hash, HASH_BYTES) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}
