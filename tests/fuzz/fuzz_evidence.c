/* Evidence from outside: no bytes crash the check, and what is accepted says the
 * same about the one result that the root's charter bears out.
 *
 * The first byte chooses: the input is a whole file, or an edit (place, bytes) of a
 * good one, so that the fuzzer gets past the signatures.  The good file comes from
 * a small network made at the start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/evidence.h"
#include "tests/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;
static uint8_t *good;
static size_t good_count;

static void
make_good(void)
{
    struct world_report r;
    struct world_lookup a;
    world_open(&world, NULL);
    world_report(&r, "R1", WORLD_CARD);
    OK(world_publish(&world, 0, &r, 0));
    world_sign(&world, 0, 6);
    world_question(&world, &a, 3, WORLD_CARD);
    world_ask(world.issuer, &a);
    world_decide(world.issuer, &a);
    struct store_txn *t = begin_read(world.issuer);
    OK(evidence_make(a.l, &a.l->results[0], t, &world.houses[3].keys.statement,
                     FIXTURE_NOW * 1000, &good, &good_count));
    store_abort(t);
    lookup_free(a.l);
}

static void
check(const uint8_t *file, size_t count)
{
    struct evidence_found found;
    char reason[EVIDENCE_REASON_CHARS];
    enum status st =
        evidence_check((struct view){file, count}, &world.documents[CHARTER_ROOT].doc,
                       world.policy, FIXTURE_NOW, &found, reason);
    if (st != STATUS_OK) {
        return;
    }
    if (found.json == NULL || found.cosigned_by > 2 || found.cosigned_of > 2) {
        abort();
    }
    const json_t *items = json_object_get(found.json, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *value =
            json_string_value(json_object_get(json_array_get(items, i), "value"));
        if (value == NULL || strcmp(value, "4.1") != 0) {
            abort();
        }
    }
    const json_t *decisions = json_object_get(found.json, "decisions");
    for (size_t i = 0; i < json_array_size(decisions); i++) {
        if (!json_is_true(json_object_get(json_array_get(decisions, i), "replayed"))) {
            abort();
        }
    }
    json_decref(found.json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (good == NULL) {
        make_good();
    }
    if (size < 4 || data[0] % 4 == 0) {
        check(data, size);
        return 0;
    }
    /* place, how many bytes are dropped there, what comes in their stead */
    size_t place = ((size_t)data[1] << 8 | data[2]) % good_count;
    size_t drop = data[3] % 64;
    size_t after = place + drop < good_count ? place + drop : good_count;
    size_t add = data[0] % 4 == 1 && size - 4 < drop ? drop : size - 4;
    uint8_t *file = calloc(1, place + add + good_count - after + 1);
    if (file == NULL) {
        return 0;
    }
    memcpy(file, good, place);
    memcpy(file + place, data + 4, size - 4);
    memcpy(file + place + add, good + after, good_count - after);
    check(file, place + add + good_count - after);
    free(file);
    return 0;
}
