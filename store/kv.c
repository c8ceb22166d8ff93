#include "store/kv.h"

#include <assert.h>
#include <string.h>

#include "store/internal.h"

enum { KV_KEY_BYTES_MAX = 1 + NETWORK_CHARS_MAX + 1 + STORE_KV_NAME_BYTES_MAX };
_Static_assert((int)KV_KEY_BYTES_MAX <= (int)STORE_KEY_BYTES_MAX, "a kv key fits a row");

/* space || network || 0 || name.  STATUS_MALFORMED or STATUS_TOO_BIG. */
static enum status
kv_key(uint8_t key[KV_KEY_BYTES_MAX], uint8_t space, struct view network, struct view name,
       struct view *out)
{
    size_t n = 0;

    if (network.count > NETWORK_CHARS_MAX ||
        (network.count > 0 && memchr(network.bytes, 0, network.count) != NULL)) {
        return STATUS_MALFORMED;
    }
    if (name.count > STORE_KV_NAME_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    key[n++] = space;
    if (network.count > 0) {
        memcpy(key + n, network.bytes, network.count);
        n += network.count;
    }
    key[n++] = 0;
    if (name.count > 0) {
        memcpy(key + n, name.bytes, name.count);
        n += name.count;
    }
    *out = view_of(key, n);
    return STATUS_OK;
}

enum status
store_kv_put(struct store_txn *t, uint8_t space, struct view network, struct view name,
             struct view value)
{
    uint8_t k[KV_KEY_BYTES_MAX];
    struct view key;
    enum status st;

    if (name.count == 0) {
        return STATUS_MALFORMED;
    }
    if ((st = kv_key(k, space, network, name, &key)) != STATUS_OK) {
        return st;
    }
    if (value.count > STORE_KV_VALUE_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    return row_put(t, DB_KV, key, value, view_of(NULL, 0));
}

enum status
store_kv_get(struct store_txn *t, uint8_t space, struct view network, struct view name,
             struct view *out)
{
    uint8_t k[KV_KEY_BYTES_MAX];
    struct view key;
    enum status st = kv_key(k, space, network, name, &key);

    return st == STATUS_OK ? row_get(t, DB_KV, key, out) : st;
}

enum status
store_kv_drop(struct store_txn *t, uint8_t space, struct view network, struct view name)
{
    uint8_t k[KV_KEY_BYTES_MAX];
    struct view key;
    enum status st = kv_key(k, space, network, name, &key);

    return st == STATUS_OK ? raw_drop(t, DB_KV, key) : st;
}

enum status
store_kv_next(struct store_txn *t, uint8_t space, struct view network, struct view after,
              struct view *name, struct view *value)
{
    uint8_t k[KV_KEY_BYTES_MAX];
    size_t prefix = 1 + network.count + 1;
    struct view key;
    enum status st = kv_key(k, space, network, after, &key);

    if (st != STATUS_OK) {
        return st;
    }
    if ((st = row_next(t, DB_KV, key, prefix, &key, value)) == STATUS_OK) {
        *name = view_of(key.bytes + prefix, key.count - prefix);
    }
    return st;
}

enum status
store_kv_put_u64(struct store_txn *t, uint8_t space, struct view network, struct view name,
                 uint64_t value)
{
    uint8_t bytes[8];

    put_be64(bytes, value);
    return store_kv_put(t, space, network, name, view_of(bytes, sizeof bytes));
}

enum status
store_kv_get_u64(struct store_txn *t, uint8_t space, struct view network, struct view name,
                 uint64_t *out)
{
    struct view value;
    enum status st = store_kv_get(t, space, network, name, &value);

    *out = 0;
    if (st == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    if (st == STATUS_OK && value.count != 8) {
        return STATUS_CORRUPT;
    }
    if (st == STATUS_OK) {
        *out = get_be64(value.bytes);
    }
    return st;
}

/* ---- blobs ---- */

enum status
store_blob_put(struct store_txn *t, struct view blob, struct hash *hash)
{
    struct view there;
    enum status st;

    if (blob.count > STORE_BLOB_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    sha256(blob.bytes, blob.count, hash);
    st = raw_put(t, DB_BLOBS, view_of(hash->bytes, HASH_BYTES), blob, MDB_NOOVERWRITE);
    if (st != STATUS_EXISTS) {
        return st;
    }
    if (store_blob_get(t, hash, &there) == STATUS_CORRUPT) { /* Heal it. */
        return raw_put(t, DB_BLOBS, view_of(hash->bytes, HASH_BYTES), blob, 0);
    }
    return STATUS_OK;
}

enum status
store_blob_get(struct store_txn *t, const struct hash *hash, struct view *out)
{
    struct hash computed;
    struct view blob;
    enum status st;

    if ((st = raw_get(t, DB_BLOBS, view_of(hash->bytes, HASH_BYTES), &blob)) != STATUS_OK) {
        return st;
    }
    sha256(blob.bytes, blob.count, &computed);
    if (!hash_equal(&computed, hash)) {
        return STATUS_CORRUPT;
    }
    *out = blob;
    return STATUS_OK;
}

enum status
store_blob_drop(struct store_txn *t, const struct hash *hash)
{
    return raw_drop(t, DB_BLOBS, view_of(hash->bytes, HASH_BYTES));
}

/* ---- salts ---- */

enum status
store_salt_put(struct store_txn *t, uint32_t log, uint64_t leaf,
               const uint8_t salt[STORE_SALT_BYTES], struct view text)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];

    if (text.count > STORE_SALT_TEXT_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    leaf_key(key, log, leaf);
    return row_put(t, DB_SALTS, view_of(key, sizeof key), view_of(salt, STORE_SALT_BYTES),
                   text);
}

enum status
store_salt_get(struct store_txn *t, uint32_t log, uint64_t leaf, uint8_t salt[STORE_SALT_BYTES],
               struct view *text)
{
    uint8_t key[STORE_LEAF_KEY_BYTES];
    struct view row;
    enum status st;

    leaf_key(key, log, leaf);
    if ((st = row_get(t, DB_SALTS, view_of(key, sizeof key), &row)) != STATUS_OK) {
        return st;
    }
    if (row.count < STORE_SALT_BYTES) {
        return STATUS_CORRUPT;
    }
    memcpy(salt, row.bytes, STORE_SALT_BYTES);
    *text = view_of(row.bytes + STORE_SALT_BYTES, row.count - STORE_SALT_BYTES);
    return STATUS_OK;
}
