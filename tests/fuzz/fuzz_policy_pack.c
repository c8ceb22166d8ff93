/* Any bytes as a compiled pack, a compiled catalog, a pack file, or the YAML of
 * a pack: no crash; what loads, decides. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/pack_csv.h"
#include "node/pack_yaml.h"
#include "node/policy_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_pack(const struct policy_set *set, const char *text, size_t size)
{
    size_t bytes = hr_pack_memory_bytes(text, size);
    void *memory = malloc(bytes);
    struct hr_load_error error;
    const struct hr_pack *pack = hr_pack_load(text, size, memory, bytes, &error);
    if (pack != NULL) {
        struct hr_policy_input input;
        struct hr_decision decision;
        memset(&input, 0, sizeof input);
        input.item = (struct hr_text){"LAB.K", 5};
        hr_decide(pack, policy_set_catalog(set), &input, &decision);
    } else if (error.reason == NULL) {
        abort();
    }
    free(memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy_set *set;
    char error[512] = "";
    if (set == NULL && policy_set_load_embedded(&set, error, sizeof error) != STATUS_OK) {
        abort();
    }
    if (size == 0) {
        return 0;
    }
    const uint8_t *rest = data + 1;
    size_t left = size - 1;
    switch (data[0] % 4) {
    case 0:
        try_pack(set, (const char *)rest, left);
        break;
    case 1: {
        size_t bytes = hr_catalog_memory_bytes((const char *)rest, left);
        void *memory = malloc(bytes);
        const struct hr_catalog *c =
            hr_catalog_load((const char *)rest, left, memory, bytes, NULL);
        if (c != NULL && hr_catalog_by_code(c, (struct hr_text){"LAB.K", 5}) != NULL) {
            hr_catalog_by_number(c, 1);
        }
        free(memory);
        break;
    }
    case 2: {
        struct pack_file file;
        if (pack_file_decode((struct view){rest, left}, &file) == STATUS_OK) {
            try_pack(set, (const char *)file.rules.bytes, file.rules.count);
        }
        break;
    }
    default: {
        struct pack_sources sources = {"fuzz", {rest, left}, {NULL, 0}};
        struct pack_built built;
        if (pack_build(&sources, policy_set_catalog(set), &built, error, sizeof error) ==
            STATUS_OK) {
            pack_built_free(&built);
        }
    }
    }
    return 0;
}
