#include "store/internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

bool
views_equal(struct view a, struct view b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.bytes, b.bytes, a.count) == 0);
}

enum status
status_of_mdb(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return STATUS_OK;
    case MDB_NOTFOUND:
        return STATUS_NOT_FOUND;
    case MDB_KEYEXIST:
        return STATUS_EXISTS;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        errno = rc > 0 ? rc : ENOSPC;
        return STATUS_NO_SPACE;
    case MDB_READERS_FULL:
        return STATUS_BUSY;
    case MDB_VERSION_MISMATCH:
        return STATUS_UNSUPPORTED;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_DBI:
    case MDB_BAD_TXN: /* LMDB stops a transaction that met a damaged page. */
        return STATUS_CORRUPT;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    default:
        errno = rc > 0 ? rc : EIO;
        return STATUS_IO;
    }
}

enum status
txn_fail(struct store_txn *t, enum status st)
{
    if (st != STATUS_OK && t->write && t->failed == STATUS_OK) {
        t->failed = st;
    }
    return st;
}

enum status
raw_get(struct store_txn *t, enum store_db db, struct view key, struct view *out)
{
    MDB_val k = mdb_val_of(key), v = {0, NULL};
    int rc = mdb_get(t->mdb, t->s->dbi[db], &k, &v);

    if (rc == 0) {
        *out = view_of_val(v);
    }
    return status_of_mdb(rc);
}

static enum status
written(struct store_txn *t, int rc)
{
    enum status st = status_of_mdb(rc);

    return st == STATUS_EXISTS || st == STATUS_NOT_FOUND ? st : txn_fail(t, st);
}

enum status
raw_put(struct store_txn *t, enum store_db db, struct view key, struct view value,
        unsigned flags)
{
    MDB_val k = mdb_val_of(key), v = mdb_val_of(value);

    assert(t->write);
    return written(t, mdb_put(t->mdb, t->s->dbi[db], &k, &v, flags));
}

enum status
raw_put_next(struct store_txn *t, enum store_db db, struct view key, MDB_val *value)
{
    unsigned flags = value->mv_data == NULL ? MDB_RESERVE : 0;
    MDB_val k = mdb_val_of(key), v = *value;
    int rc = MDB_KEYEXIST;

    assert(t->write);
    if (t->cursor[db] == NULL &&
        (rc = mdb_cursor_open(t->mdb, t->s->dbi[db], &t->cursor[db])) != 0) {
        return written(t, rc);
    }
    if (!t->not_last[db]) {
        rc = mdb_cursor_put(t->cursor[db], &k, &v, flags | MDB_APPEND);
        t->not_last[db] = rc == MDB_KEYEXIST;
    }
    if (t->not_last[db]) {
        k = mdb_val_of(key);
        v = *value;
        rc = mdb_cursor_put(t->cursor[db], &k, &v, flags | MDB_NOOVERWRITE);
    }
    if (rc == 0) {
        *value = v;
    }
    return written(t, rc);
}

enum status
raw_drop(struct store_txn *t, enum store_db db, struct view key)
{
    MDB_val k = mdb_val_of(key);

    assert(t->write);
    return written(t, mdb_del(t->mdb, t->s->dbi[db], &k, NULL));
}

/* SHA-256(db || key bytes as u16 || key || value), cut. */
static void
row_check(enum store_db db, struct view key, struct view value,
          uint8_t check[STORE_ROW_CHECK_BYTES])
{
    uint8_t head[3 + STORE_KEY_BYTES_MAX];
    struct hash h;

    assert(key.count <= STORE_KEY_BYTES_MAX);
    head[0] = (uint8_t)db;
    put_be16(head + 1, (uint16_t)key.count);
    memcpy(head + 3, key.bytes, key.count);
    sha256_2(view_of(head, 3 + key.count), value, &h);
    memcpy(check, h.bytes, STORE_ROW_CHECK_BYTES);
}

enum status
row_open(enum store_db db, struct view key, struct view stored, struct view *out)
{
    uint8_t check[STORE_ROW_CHECK_BYTES];
    struct view value;

    if (stored.count < sizeof check || key.count > STORE_KEY_BYTES_MAX) {
        return STATUS_CORRUPT;
    }
    value = view_of(stored.bytes + sizeof check, stored.count - sizeof check);
    row_check(db, key, value, check);
    if (memcmp(check, stored.bytes, sizeof check) != 0) { /* Public values. */
        return STATUS_CORRUPT;
    }
    *out = value;
    return STATUS_OK;
}

enum status
row_get(struct store_txn *t, enum store_db db, struct view key, struct view *out)
{
    struct view stored;
    enum status st = raw_get(t, db, key, &stored);

    return st == STATUS_OK ? row_open(db, key, stored, out) : st;
}

static void
row_fill(enum store_db db, struct view key, struct view a, struct view b, MDB_val v)
{
    uint8_t *p = (uint8_t *)v.mv_data + STORE_ROW_CHECK_BYTES;
    if (a.count > 0) {
        memcpy(p, a.bytes, a.count);
    }
    if (b.count > 0) {
        memcpy(p + a.count, b.bytes, b.count);
    }
    row_check(db, key, view_of(p, a.count + b.count), v.mv_data);
}

enum status
row_put(struct store_txn *t, enum store_db db, struct view key, struct view a, struct view b)
{
    MDB_val k = mdb_val_of(key), v = {STORE_ROW_CHECK_BYTES + a.count + b.count, NULL};
    enum status st;

    assert(t->write);
    st = written(t, mdb_put(t->mdb, t->s->dbi[db], &k, &v, MDB_RESERVE));
    if (st == STATUS_OK) {
        row_fill(db, key, a, b, v);
    }
    return st;
}

enum status
row_put_next(struct store_txn *t, enum store_db db, struct view key, struct view a,
             struct view b)
{
    MDB_val v = {STORE_ROW_CHECK_BYTES + a.count + b.count, NULL};
    enum status st = raw_put_next(t, db, key, &v);

    if (st == STATUS_OK) {
        row_fill(db, key, a, b, v);
    }
    return st == STATUS_EXISTS ? row_put(t, db, key, a, b) : st;
}

enum status
row_next(struct store_txn *t, enum store_db db, struct view after, size_t prefix,
         struct view *key, struct view *out)
{
    MDB_cursor *c = NULL;
    MDB_val k = mdb_val_of(after), v;
    struct view found;
    enum status st;
    int rc;

    assert(prefix <= after.count);
    if ((rc = mdb_cursor_open(t->mdb, t->s->dbi[db], &c)) != 0) {
        return status_of_mdb(rc);
    }
    rc = after.count == 0 ? mdb_cursor_get(c, &k, &v, MDB_FIRST)
                          : mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
    if (rc == 0 && after.count > 0 && views_equal(view_of_val(k), after)) {
        rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(c);
    if (rc != 0) {
        return status_of_mdb(rc);
    }
    found = view_of_val(k);
    if (found.count < prefix || (prefix > 0 && memcmp(found.bytes, after.bytes, prefix) != 0)) {
        return STATUS_NOT_FOUND;
    }
    if ((st = row_open(db, found, view_of_val(v), out)) == STATUS_OK) {
        *key = found;
    }
    return st;
}

/* IEEE CRC-32: finds every single flipped bit of a key. */
uint32_t
crc32_of(struct view v)
{
    static const uint32_t nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < v.count; i++) {
        crc ^= v.bytes[i];
        crc = nibble[crc & 15] ^ (crc >> 4);
        crc = nibble[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}
