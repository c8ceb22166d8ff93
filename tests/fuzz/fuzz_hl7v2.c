/* HL7 v2 reader and normaliser: any bytes give reports or problems; every view
 * lies inside the message; a report packs. */
#include <assert.h>
#include <stdlib.h>

#include "node/codemap.h"
#include "node/embedded.h"
#include "node/normalise.h"
#include "node/normalise_print.h"
#include "proto/hl7v2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status
take_report(void *user, const struct normalised *n)
{
    (void)user;
    char *text = normalised_json(n);
    assert(text != NULL);
    free(text);
    return STATUS_OK;
}

static enum status
take_problem(void *user, const struct problem *p)
{
    char line[300];
    (void)user;
    problem_describe(p, line, sizeof line);
    return STATUS_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct codemap *map;
    if (map == NULL &&
        codemap_new(embedded_find("policy/catalog/catalog.csv")->data, &map) != STATUS_OK) {
        abort();
    }
    const struct normalise_options o = {
        .map = map, .institution = "h1", .offset_min = 480, .today = 20000};
    const struct normalise_handler handler = {NULL, take_report, take_problem};
    struct normalise_counts counts;
    assert(normalise_bytes(&o, "fuzz", (struct view){data, size}, &handler, &counts) ==
           STATUS_OK);
    assert(size == 0 || counts.records + counts.refused > 0 || counts.warnings > 0 ||
           size < 64);
    return 0;
}
