/* The catalog and the packs in hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/embedded.h"
#include "node/pack_csv.h"
#include "node/pack_vectors.h"
#include "node/pack_yaml.h"
#include "node/policy_json.h"
#include "proto/jsonwhole.h"

enum { PACKS_MAX = 64, ANNEXES_MAX = 64 };

struct held_pack {
    struct pack_built built; /* text is empty for a pack from a file */
    uint8_t *owned;          /* the file's bytes, when it came from one */
    struct hr_text text;
    struct view vectors;
    uint32_t version;
    struct hash address;
    bool preferred; /* of several versions of its id */
};

/* The annexes in force for a pack. */
struct named_annexes {
    char pack[PACK_ID_CHARS_MAX + 1];
    size_t count;
    uint8_t hashes[ANNEXES_OF_PACK_MAX][HASH_BYTES];
};

struct held_annex {
    struct policy_annex *annex;
    char id[PACK_ID_CHARS_MAX + 1];
    uint32_t version;
    struct hash address;
};

struct policy_set {
    struct pack_text catalog_text;
    void *catalog_memory;
    const struct hr_catalog *catalog;
    size_t count;
    struct held_pack packs[PACKS_MAX];
    size_t annex_count;
    struct held_annex annexes[ANNEXES_MAX];
    size_t named_count;
    struct named_annexes named[PACKS_MAX];
};

void
policy_set_free(struct policy_set *set)
{
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        pack_built_free(&set->packs[i].built);
        free(set->packs[i].owned);
    }
    for (size_t i = 0; i < set->annex_count; i++) {
        policy_annex_free(set->annexes[i].annex);
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
        held->version = file.version;
        held->text = (struct hr_text){held->built.text.bytes, held->built.text.size};
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
    error[0] = '\0';
    struct policy_set *set = calloc(1, sizeof *set);
    enum status st = set == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    st = st == STATUS_OK ? load_catalog(set, error, error_bytes) : st;
    for (const struct embedded_file *f = embedded_files; st == STATUS_OK && f->path != NULL;
         f++) {
        if (!pack_folder(f->path, folder, sizeof folder)) {
            continue;
        }
        struct pack_sources sources = {folder, f->data, embedded(folder, "items.csv")};
        st = load_pack(set, &sources, embedded(folder, "vectors.jsonl"), error, error_bytes);
    }
    if (st != STATUS_OK) {
        if (error[0] == '\0') {
            snprintf(error, error_bytes, "%s", status_text(st));
        }
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
    return set->packs[index].text;
}

struct view
policy_set_vectors(const struct policy_set *set, size_t index)
{
    return index < set->count ? set->packs[index].vectors : (struct view){NULL, 0};
}

enum status
policy_set_file(const struct policy_set *set, size_t index, struct pack_file *out)
{
    if (index >= set->count) {
        return STATUS_NOT_FOUND;
    }
    const struct held_pack *held = &set->packs[index];
    char head[PACK_HEAD_BYTES_MAX];
    size_t count;
    memset(out, 0, sizeof *out);
    struct hr_text id = hr_pack_id(held->built.pack);
    memcpy(out->id, id.bytes, id.size);
    out->version = held->version;
    out->rules = (struct view){(const uint8_t *)held->text.bytes, held->text.size};
    out->vectors = held->vectors;
    return pack_file_head(out, head, &count);
}

const uint8_t *
policy_set_hash(const struct policy_set *set, size_t index)
{
    return index < set->count ? set->packs[index].address.bytes : NULL;
}

size_t
policy_set_find(const struct policy_set *set, const char *id, size_t id_bytes)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < set->count; i++) {
        const struct held_pack *one = &set->packs[i];
        const struct held_pack *best = found == SIZE_MAX ? NULL : &set->packs[found];
        struct hr_text held = hr_pack_id(one->built.pack);
        if (held.size == id_bytes && memcmp(held.bytes, id, id_bytes) == 0 &&
            (best == NULL || (one->preferred && !best->preferred) ||
             (one->preferred == best->preferred && one->version > best->version))) {
            found = i;
        }
    }
    return found;
}

void
policy_set_prefer(struct policy_set *set, const uint8_t hash[HASH_BYTES])
{
    size_t at = policy_set_find_hash(set, hash);
    if (at != SIZE_MAX) {
        set->packs[at].preferred = true;
    }
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

const struct policy_annex *
policy_set_annex(const struct policy_set *set, const char *pack, const uint8_t hash[HASH_BYTES])
{
    for (size_t i = 0; i < set->annex_count; i++) {
        if (strcmp(set->annexes[i].id, pack) == 0 &&
            memcmp(set->annexes[i].address.bytes, hash, HASH_BYTES) == 0) {
            return set->annexes[i].annex;
        }
    }
    return NULL;
}

size_t
policy_set_annex_count(const struct policy_set *set)
{
    return set->annex_count;
}

bool
policy_set_annex_at(const struct policy_set *set, size_t index, struct policy_annex_about *out)
{
    if (index >= set->annex_count) {
        return false;
    }
    const struct held_annex *a = &set->annexes[index];
    *out = (struct policy_annex_about){.pack = a->id,
                                       .version = a->version,
                                       .items = policy_annex_count(a->annex),
                                       .hash = a->address.bytes};
    for (size_t i = 0; i < set->named_count; i++) {
        const struct named_annexes *n = &set->named[i];
        for (size_t k = 0; strcmp(n->pack, a->id) == 0 && k < n->count; k++) {
            out->named = out->named || memcmp(n->hashes[k], out->hash, HASH_BYTES) == 0;
        }
    }
    return true;
}

enum status
policy_set_name_annexes(struct policy_set *set, const char *pack,
                        const uint8_t (*hashes)[HASH_BYTES], size_t count)
{
    for (size_t i = 0; i < set->named_count; i++) {
        if (strcmp(set->named[i].pack, pack) == 0) {
            return STATUS_OK;
        }
    }
    if (count > ANNEXES_OF_PACK_MAX || set->named_count == PACKS_MAX ||
        strlen(pack) > PACK_ID_CHARS_MAX) {
        return STATUS_TOO_BIG;
    }
    struct named_annexes *n = &set->named[set->named_count++];
    memcpy(n->pack, pack, strlen(pack) + 1);
    memcpy(n->hashes, hashes, count * HASH_BYTES);
    n->count = count;
    return STATUS_OK;
}

json_t *
policy_set_complete(const struct policy_set *set, const json_t *input)
{
    json_t *same = (json_t *)(uintptr_t)input;
    const char *pack = json_string_value(json_object_get(input, "pack"));
    const json_t *item = json_object_get(input, "item");
    const struct named_annexes *named = NULL;
    for (size_t i = 0; pack != NULL && i < set->named_count; i++) {
        named = strcmp(set->named[i].pack, pack) == 0 ? &set->named[i] : named;
    }
    if (named == NULL || named->count == 0 || !json_is_string(item) ||
        json_string_length(item) == 0 || json_object_get(input, "annex") != NULL) {
        return json_incref(same);
    }
    struct policy_annex_row all = {false, false, 0};
    struct hr_text code = {json_string_value(item), json_string_length(item)};
    for (size_t i = 0; i < named->count; i++) {
        const struct policy_annex *annex = policy_set_annex(set, pack, named->hashes[i]);
        if (annex == NULL) {
            return json_incref(same);
        }
        policy_annex_add(&all, policy_annex_find(annex, code));
    }
    unsigned long mark = json_whole_mark();
    json_t *whole = json_copy(same); /* which does not say what it left out */
    json_object_set_new(whole, "annex", policy_annex_json(all));
    return json_whole(whole, mark);
}

/* ---- built files --------------------------------------------------------------- */

/* Is this file, or another of the same id and version, in the set? */
static enum status
compare_with_held(const struct policy_set *set, const struct pack_file *file)
{
    size_t id_bytes = strlen(file->id);
    for (size_t i = 0; !file->annex && i < set->count; i++) {
        struct hr_text id = hr_pack_id(set->packs[i].built.pack);
        if (id.size == id_bytes && memcmp(id.bytes, file->id, id_bytes) == 0 &&
            set->packs[i].version == file->version) {
            return hash_equal(&set->packs[i].address, &file->address) ? STATUS_EXISTS
                                                                      : STATUS_FORK;
        }
    }
    for (size_t i = 0; file->annex && i < set->annex_count; i++) {
        if (strcmp(set->annexes[i].id, file->id) == 0 &&
            set->annexes[i].version == file->version) {
            return hash_equal(&set->annexes[i].address, &file->address) ? STATUS_EXISTS
                                                                        : STATUS_FORK;
        }
    }
    return STATUS_OK;
}

/* What the head says must be what the rules say. */
static bool
head_fits(const struct pack_file *file, const struct hr_pack *pack)
{
    char version[16];
    struct hr_text id = hr_pack_id(pack);
    struct hr_text held = hr_pack_version(pack);
    snprintf(version, sizeof version, "%u", (unsigned)file->version);
    return id.size == strlen(file->id) && memcmp(id.bytes, file->id, id.size) == 0 &&
           held.size == strlen(version) && memcmp(held.bytes, version, held.size) == 0;
}

static enum status
add_pack_file(struct policy_set *set, const struct pack_file *file, char *error,
              size_t error_bytes)
{
    struct held_pack held;
    struct hr_load_error bad = {0, ""};
    size_t vectors = 0;
    memset(&held, 0, sizeof held);
    held.owned = malloc(file->rules.count + file->vectors.count + 1);
    if (held.owned == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(held.owned, file->rules.bytes, file->rules.count);
    if (file->vectors.count > 0) {
        memcpy(held.owned + file->rules.count, file->vectors.bytes, file->vectors.count);
    }
    held.text = (struct hr_text){(const char *)held.owned, file->rules.count};
    held.vectors = (struct view){held.owned + file->rules.count, file->vectors.count};
    held.version = file->version;
    held.address = file->address;
    size_t bytes = hr_pack_memory_bytes(held.text.bytes, held.text.size);
    held.built.memory = malloc(bytes);
    enum status st = held.built.memory == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (st == STATUS_OK) {
        held.built.pack =
            hr_pack_load(held.text.bytes, held.text.size, held.built.memory, bytes, &bad);
        if (held.built.pack == NULL || !head_fits(file, held.built.pack)) {
            snprintf(
                error, error_bytes, "pack %s, line %zu of its rules: %s", file->id, bad.line,
                held.built.pack == NULL ? bad.reason : "is another pack than the head says");
            st = STATUS_MALFORMED;
        }
    }
    if (st == STATUS_OK) {
        st = pack_vectors_run(held.built.pack, set->catalog, held.vectors, file->id, &vectors,
                              error, error_bytes);
    }
    if (st != STATUS_OK) {
        pack_built_free(&held.built);
        free(held.owned);
        return st;
    }
    set->packs[set->count++] = held;
    return STATUS_OK;
}

static enum status
add_annex_file(struct policy_set *set, const struct pack_file *file, char *error,
               size_t error_bytes)
{
    struct held_annex *held = &set->annexes[set->annex_count];
    enum status st = policy_annex_load(file->rules, file->id, set->catalog, &held->annex, error,
                                       error_bytes);
    if (st == STATUS_OK) {
        memcpy(held->id, file->id, sizeof held->id);
        held->version = file->version;
        held->address = file->address;
        set->annex_count++;
    }
    return st;
}

enum status
policy_set_add_file(struct policy_set *set, struct view bytes, const struct note_key *keys,
                    size_t key_count, struct hash *address, char *error, size_t error_bytes)
{
    struct pack_file file;
    struct note_verified verified;
    memset(address, 0, sizeof *address);
    enum status st = pack_file_decode(bytes, &file);
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "pack file: %s", status_text(st));
        return st;
    }
    *address = file.address;
    if (key_count > 0 &&
        (st = note_verify(&file.note, keys, key_count, 0, &verified)) != STATUS_OK) {
        snprintf(error, error_bytes, "pack %s version %u: %s", file.id, (unsigned)file.version,
                 status_text(st));
        return st;
    }
    st = compare_with_held(set, &file);
    if (st == STATUS_OK &&
        (file.annex ? set->annex_count == ANNEXES_MAX : set->count == PACKS_MAX)) {
        st = STATUS_TOO_BIG;
    }
    if (st != STATUS_OK) {
        snprintf(error, error_bytes, "pack %s version %u: %s", file.id, (unsigned)file.version,
                 st == STATUS_FORK ? "another text of this version is in hand"
                                   : status_text(st));
        return st;
    }
    return file.annex ? add_annex_file(set, &file, error, error_bytes)
                      : add_pack_file(set, &file, error, error_bytes);
}
