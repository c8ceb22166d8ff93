/* truth.h: what really was written and signed, and a second, plain reading of
 * notes: nothing here uses the code under test (I2, I4 of RELIABILITY 2).
 * Trees are hashed and signatures verified with libsodium directly. */
#ifndef TESTS_SIM_TRUTH_H
#define TESTS_SIM_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/sha256.h"
#include "proto/limits.h"
#include "proto/view.h"

/* One history of one log: its entries, and the root at every size. */
struct history {
    struct view *entries; /* owned */
    struct hash *roots;   /* count + 1 */
    struct hash *sealed;  /* of its records; all zero: none, or held */
    size_t count, room;
    struct hash edge[64]; /* perfect subtrees, the largest first */
    size_t depth;
    uint64_t signed_size; /* of the largest head that was signed */
};

void history_init(struct history *h);
void history_free(struct history *h);
/* `sealed` NULL: no record that others may have. */
void history_add(struct history *h, struct view entry, const struct hash *sealed);
/* Forget what was never signed: the disk that held it is gone. */
void history_cut(struct history *h, size_t count);
bool history_has(const struct history *h, uint64_t size, const struct hash *root);
void history_copy(struct history *to, const struct history *from);

/* ---- a note, read a second time ---- */

enum { TRUTH_LINES_MAX = 64, TRUTH_NAME_CHARS = 200 };

struct truth_line {
    char name[TRUTH_NAME_CHARS];
    uint8_t payload[76]; /* key id, time of a cosignature, signature */
    size_t count;
};
struct truth_note {
    const uint8_t *text;
    size_t text_count;
    char origin[TRUTH_NAME_CHARS];
    uint64_t size;
    struct hash root;
    size_t line_count;
    struct truth_line lines[TRUTH_LINES_MAX];
};

/* False: not a checkpoint note. */
bool truth_read(struct view bytes, struct truth_note *out);
/* Did the holder of this Ed25519 key sign the text, or cosign it at *time_s? */
bool truth_signed(const struct truth_note *n, const struct truth_line *line,
                  const uint8_t public_key[KEY_BYTES]);
bool truth_cosigned(const struct truth_note *n, const struct truth_line *line,
                    const uint8_t public_key[KEY_BYTES], int64_t *time_s);

#endif
