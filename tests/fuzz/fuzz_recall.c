/* Goal: no notice, reliance or entry from outside crashes, and none without a true
 * signature is taken for a proof; what is read of a pub entry is what it says.
 * Method: the bytes as a RECALL, as a RELY, as a pub entry and as an exch entry. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/recall_audit.h"
#include "node/recall_proof.h"
#include "proto/pbcheck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
replaced(void *ctx, const char *origin, uint64_t leaf, uint64_t *by)
{
    (void)ctx;
    (void)origin;
    *by = leaf + 1;
    return leaf % 2 == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct recall_audit *audit;
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct recall_entry what;
    struct view bytes = {data, size};
    struct note_key key = {.type = NOTE_KEY_ED25519};
    if (audit == NULL || recall_audit_count(audit) > 1000) {
        recall_audit_close(audit);
        if (recall_audit_open("n.cn", replaced, NULL, &audit) != STATUS_OK) {
            return 0;
        }
    }
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (pb_unpack(&hr__recall__descriptor, bytes, RECALL_MESSAGE_BYTES_MAX, &arena, &m) ==
            STATUS_OK &&
        recall_proof_check((const Hr__Recall *)m, &key, 1, 1800000000, &what) == STATUS_OK) {
        abort(); /* nobody has that key */
    }
    pb_free(&arena);
    if (recall_entry_read(bytes, &what) == STATUS_OK && what.withdraw && !what.replaces_one) {
        abort();
    }
    if (recall_audit_add(audit, "h1", bytes) == STATUS_MALFORMED) {
        abort();
    }
    return 0;
}
