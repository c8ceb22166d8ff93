/* Entries from outside: pub entries through the index and candidates, with all
 * that a hostile member can write under a patient's token, and exch entries
 * through unpacking; nothing crashes, and no entry of one log changes what counts
 * in another.
 *
 * Input: records of one length byte, one control byte and that many bytes.  Control
 * bit 0: put the patient's token where the entry's would stand; bit 1: h1 writes it,
 * else h2; bit 2: unpack as an exch entry instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/candidates.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "tests/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;
static struct patient_keys keys;
static struct token token;
static bool ready;

static void
make_ready(void)
{
    struct world_report r;
    world_open(&world, NULL);
    world_report(&r, "R1", WORLD_CARD);
    OK(world_publish(&world, 0, &r, 0));
    OK(token_patient_keys(&world.epochs[0], "RI", WORLD_CARD, &keys));
    token_make(&keys, 2027 * 4, &token);
    ready = true;
}

static void
read_exch(struct view bytes)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) ==
            STATUS_OK &&
        !pb_is_canonical(m, bytes)) {
        abort();
    }
    pb_free(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t entry[256];
    if (!ready) {
        make_ready();
    }
    /* Everything in one transaction that is thrown away. */
    struct store_txn *t = begin_write(world.issuer);
    for (size_t at = 0, n = 0; at + 2 <= size && n < 64; n++) {
        size_t count = data[at];
        uint8_t control = data[at + 1];
        at += 2;
        count = count < size - at ? count : size - at;
        memcpy(entry, data + at, count);
        at += count;
        if ((control & 4) != 0) {
            read_exch((struct view){entry, count});
            continue;
        }
        if ((control & 1) != 0 && count >= 4 + TOKEN_BYTES) {
            entry[2] = 0x0a; /* field 1, bytes: the token */
            entry[3] = TOKEN_BYTES;
            memcpy(entry + 4, token.bytes, TOKEN_BYTES);
        }
        struct view one = {entry, count};
        OK(store_log_append(t, world.houses[(control & 2) != 0 ? 1 : 2].log, &one, 1, NULL,
                            NULL));
    }
    struct candidates c;
    OK(candidates_find(t, FIXTURE_NETWORK, &keys, 1, 2026 * 4, 2027 * 4, &c));
    if (c.count == 0 || strcmp(c.at[0].institution, "h0") != 0 ||
        c.at[0].state != CANDIDATE_LIVE || c.at[0].brief_bad) {
        abort(); /* others cannot touch h0's leaf */
    }
    for (size_t i = 0; i < c.count; i++) {
        (void)candidate_may_hold(&c.at[i], 1);
        if (c.at[i].state != CANDIDATE_LIVE && c.at[i].state != CANDIDATE_IGNORED &&
            c.at[i].replaced_by <= c.at[i].leaf) {
            abort();
        }
    }
    candidates_free(&c);
    store_abort(t);
    return 0;
}
