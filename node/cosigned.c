#include "node/cosigned.h"

#include "crypto/checkpoint.h"
#include "crypto/cosignature.h"
#include "store/log.h"

/* Does it cover the leaf, and how many cosignature lines does it have? */
static bool
covers(struct view bytes, uint64_t leaf, size_t *lines)
{
    struct note note;
    struct checkpoint c;
    *lines = 0;
    if (note_parse(bytes, &note) != STATUS_OK || checkpoint_parse(note.text, &c) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < note.signature_count; i++) {
        *lines += note.signatures[i].payload_count == COSIGNATURE_PAYLOAD_BYTES;
    }
    return c.size > leaf;
}

enum status
cosigned_note(struct store_txn *txn, uint32_t log, uint64_t leaf, struct view *note)
{
    struct view offered;
    size_t lines;
    enum status st = store_note_get(txn, log, STORE_NOTE_COSIGNED, note);
    if (st == STATUS_OK && covers(*note, leaf, &lines)) {
        return STATUS_OK;
    }
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        return st;
    }
    enum status newer = store_note_get(txn, log, STORE_NOTE_OFFERED, &offered);
    if (newer == STATUS_OK && covers(offered, leaf, &lines) && lines > 0) {
        *note = offered;
        return STATUS_OK;
    }
    return newer == STATUS_OK || newer == STATUS_NOT_FOUND ? st : newer;
}
