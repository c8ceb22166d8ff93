#include "node/cosigned.h"

#include "crypto/checkpoint.h"
#include "crypto/cosignature.h"
#include "store/log.h"

size_t
cosigned_lines(struct view bytes, uint64_t *size)
{
    struct note note;
    struct checkpoint c;
    size_t lines = 0;
    *size = 0;
    if (note_parse(bytes, &note) != STATUS_OK || checkpoint_parse(note.text, &c) != STATUS_OK) {
        return 0;
    }
    for (size_t i = 0; i < note.signature_count; i++) {
        lines += note.signatures[i].payload_count == COSIGNATURE_PAYLOAD_BYTES;
    }
    *size = c.size;
    return lines;
}

enum status
cosigned_note(struct store_txn *txn, uint32_t log, uint64_t leaf, struct view *note)
{
    struct view offered;
    uint64_t size;
    enum status st = store_note_get(txn, log, STORE_NOTE_COSIGNED, note);
    if (st == STATUS_OK && (cosigned_lines(*note, &size), size > leaf)) {
        return STATUS_OK;
    }
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        return st;
    }
    enum status newer = store_note_get(txn, log, STORE_NOTE_OFFERED, &offered);
    if (newer == STATUS_OK && cosigned_lines(offered, &size) > 0 && size > leaf) {
        *note = offered;
        return STATUS_OK;
    }
    return newer == STATUS_OK || newer == STATUS_NOT_FOUND ? st : newer;
}
