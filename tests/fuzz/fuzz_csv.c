/* CSV rows: any bytes, any delimiter; then the same bytes as a code map. */
#include <assert.h>
#include <stdlib.h>

#include "node/codemap.h"
#include "node/embedded.h"
#include "proto/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status
take_row(void *user, const struct csv_row *r)
{
    size_t *bytes = user;
    assert(r->count > 0 && r->line > 0);
    for (size_t i = 0; i < r->count; i++) {
        if (r->cells[i].count > 0) { /* first and last byte can be read */
            *bytes += r->cells[i].bytes[0] == r->cells[i].bytes[r->cells[i].count - 1];
        }
    }
    return STATUS_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct csv_error error;
    struct codemap_error map_error;
    struct codemap *map = NULL;
    size_t bytes = 0;
    struct view text = {data, size};
    (void)!csv_read(text, csv_delimiter(text), take_row, &bytes, &error);
    static const char catalog[] = "number,code,kind,name_zh,loinc\n1,LAB.K,lab,k,2823-3\n";
    if (codemap_new((struct view){(const uint8_t *)catalog, sizeof catalog - 1}, &map) !=
        STATUS_OK) {
        abort();
    }
    if (codemap_add(map, text, &map_error) == STATUS_OK) {
        struct codemap_sender nobody = {{{data, 0}, {data, 0}, {data, 0}}};
        (void)codemap_find(map, &nobody, (struct view){data, 0}, text, (struct view){data, 0});
    } else {
        assert(map_error.reason[0] != '\0');
    }
    codemap_free(map);
    return 0;
}
