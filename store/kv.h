/* kv.h: small named values, blobs by hash, and salts.  Source: DESIGN 5, 6, 10.
 * Every value is checked when it is read. */
#ifndef STORE_KV_H
#define STORE_KV_H

#include "crypto/tree.h"
#include "store/store.h"

/* Named values, per network (an empty network is the home itself).  The space
 * is the caller's: one byte for each kind of thing (node/ keeps the list).
 * Put replaces; an empty value is a value.  Names are any bytes, at least one. */
enum {
    STORE_KV_NAME_BYTES_MAX = 256,
    STORE_KV_VALUE_BYTES_MAX = 256 * 1024,
};
/* STATUS_TOO_BIG: name or value; STATUS_MALFORMED: no name, or network (NUL or
 * too long). */
MUST_USE enum status store_kv_put(struct store_txn *t, uint8_t space, struct view network,
                                  struct view name, struct view value);
/* STATUS_NOT_FOUND: no such name (so does store_kv_drop). */
MUST_USE enum status store_kv_get(struct store_txn *t, uint8_t space, struct view network,
                                  struct view name, struct view *out);
MUST_USE enum status store_kv_drop(struct store_txn *t, uint8_t space, struct view network,
                                   struct view name);
/* The first name greater than `after` (empty view: the first of all) in this
 * space and network, so that a loop sees them sorted; STATUS_NOT_FOUND: none. */
MUST_USE enum status store_kv_next(struct store_txn *t, uint8_t space, struct view network,
                                   struct view after, struct view *name, struct view *value);

/* Numbers as 8 bytes; a missing one is 0. */
MUST_USE enum status store_kv_put_u64(struct store_txn *t, uint8_t space, struct view network,
                                      struct view name, uint64_t value);
MUST_USE enum status store_kv_get_u64(struct store_txn *t, uint8_t space, struct view network,
                                      struct view name, uint64_t *out);

/* Blobs by their SHA-256: packs, annexes, fork proofs, quarantined messages.
 * *hash is computed.  Putting one again is a no-op.  STATUS_TOO_BIG. */
enum { STORE_BLOB_BYTES_MAX = 16 * 1024 * 1024 };
MUST_USE enum status store_blob_put(struct store_txn *t, struct view blob, struct hash *hash);
MUST_USE enum status store_blob_get(struct store_txn *t, const struct hash *hash,
                                    struct view *out);
MUST_USE enum status store_blob_drop(struct store_txn *t, const struct hash *hash);

/* Salt and text of what an exch entry names only by a salted hash: they stay
 * in the home and are opened for samples (DESIGN 6).  Put once for each leaf. */
enum { STORE_SALT_BYTES = 32, STORE_SALT_TEXT_BYTES_MAX = 16 * 1024 };
MUST_USE enum status store_salt_put(struct store_txn *t, uint32_t log, uint64_t leaf,
                                    const uint8_t salt[STORE_SALT_BYTES], struct view text);
MUST_USE enum status store_salt_get(struct store_txn *t, uint32_t log, uint64_t leaf,
                                    uint8_t salt[STORE_SALT_BYTES], struct view *text);

#endif
