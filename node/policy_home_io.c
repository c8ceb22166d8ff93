#include "node/policy_home_io.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "node/candidates.h"
#include "node/charter_store_io.h"
#include "node/home_io.h"
#include "node/pack_file.h"
#include "proto/text.h"
#include "store/kv.h"

enum { ERROR_CHARS = 1024 };

static const struct view no_network = {NULL, 0};

enum status
policy_home_note(struct store_txn *txn, const struct hash *address)
{
    return store_kv_put(txn, POLICY_HOME_SPACE, no_network,
                        (struct view){address->bytes, HASH_BYTES}, (struct view){NULL, 0});
}

/* Add the pack or annex with this address when all its blobs are here. */
static enum status
add_one(struct store_txn *txn, struct policy_set *set, const uint8_t *hash)
{
    struct hash address;
    struct pack_head head;
    struct view lines, rules, vectors = {NULL, 0};
    uint8_t *file = NULL;
    size_t count;
    char error[ERROR_CHARS] = "";
    memcpy(address.bytes, hash, HASH_BYTES);
    if (policy_set_find_hash(set, hash) != SIZE_MAX) {
        return STATUS_OK;
    }
    enum status st = store_blob_get(txn, &address, &lines);
    st = st == STATUS_OK ? pack_head_decode(lines, &head) : st;
    st = st == STATUS_OK ? store_blob_get(txn, &head.rules, &rules) : st;
    if (st == STATUS_OK && head.vectors_bytes > 0) {
        st = store_blob_get(txn, &head.vectors, &vectors);
    }
    st = st == STATUS_OK ? pack_file_join(lines, rules, vectors, &file, &count) : st;
    if (st == STATUS_OK) {
        st = policy_set_add_file(set, (struct view){file, count}, NULL, 0, &address, error,
                                 sizeof error);
    }
    free(file);
    return st == STATUS_NO_MEMORY || st == STATUS_IO || st == STATUS_CORRUPT ? st : STATUS_OK;
}

/* What the rows of a charter name, and which annexes hold. */
static enum status
add_of_charter(struct store_txn *txn, struct policy_set *set, const struct charter *c)
{
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < charter_pack_count(c); i++) {
        const Hr__PolicyRow *row = charter_pack_at(c, i);
        uint8_t annexes[ANNEXES_OF_PACK_MAX][HASH_BYTES];
        size_t count = 0;
        if (row->hash.len == HASH_BYTES) {
            st = add_one(txn, set, row->hash.data);
            policy_set_prefer(set, row->hash.data);
        }
        for (size_t k = 0; st == STATUS_OK && k < row->n_annexes; k++) {
            if (row->annexes[k]->hash.len == HASH_BYTES && count < ANNEXES_OF_PACK_MAX) {
                memcpy(annexes[count++], row->annexes[k]->hash.data, HASH_BYTES);
                st = add_one(txn, set, row->annexes[k]->hash.data);
            }
        }
        if (st == STATUS_OK && count > 0 && count == row->n_annexes) {
            st = policy_set_name_annexes(set, row->pack, (const uint8_t(*)[HASH_BYTES])annexes,
                                         count);
            st = st == STATUS_TOO_BIG ? STATUS_OK : st; /* then they are unknown */
        }
    }
    return st;
}

enum status
policy_home_add(struct store_txn *txn, struct policy_set *set)
{
    char after[NETWORK_CHARS_MAX + 1] = "";
    struct view network, name, value, last = {NULL, 0};
    uint8_t at[HASH_BYTES];
    enum status st = STATUS_OK;
    while (st == STATUS_OK &&
           (st = store_charter_next_network(txn, text_view(after), &network)) == STATUS_OK) {
        struct charter *c = NULL;
        char reason[CHARTER_REASON_CHARS];
        memcpy(after, network.bytes, network.count);
        after[network.count] = '\0';
        st = charter_store_load(txn, after, &c, reason);
        if (st == STATUS_OK) {
            st = add_of_charter(txn, set, c);
        } else if (st == STATUS_NOT_FOUND) {
            st = STATUS_OK;
        }
        charter_free(c);
    }
    st = st == STATUS_NOT_FOUND ? STATUS_OK : st;
    while (st == STATUS_OK && (st = store_kv_next(txn, POLICY_HOME_SPACE, no_network, last,
                                                  &name, &value)) == STATUS_OK) {
        if (name.count != HASH_BYTES) {
            return STATUS_CORRUPT;
        }
        memcpy(at, name.bytes, HASH_BYTES);
        last = (struct view){at, HASH_BYTES};
        st = add_one(txn, set, at);
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static enum status
add_home(const char *home, struct policy_set *set)
{
    struct store_options options = {.read_only = true, .handle_of = candidates_handle_of};
    struct store *store = NULL;
    struct store_txn *txn;
    char path[HOME_IO_PATH_CHARS];
    enum status st = home_io_path(home, "store", path);
    st = st == STATUS_OK ? store_open(path, &options, &store) : st;
    if (st == STATUS_OK && (st = store_begin_read(store, &txn)) == STATUS_OK) {
        st = policy_home_add(txn, set);
        store_abort(txn);
    }
    store_close(store);
    return st;
}

bool
policy_home_load(struct cli *cli, struct policy_set **out)
{
    char error[ERROR_CHARS] = "";
    enum status st = policy_set_load_embedded(out, error, sizeof error);
    if (st != STATUS_OK) {
        cli_error(cli, CLI_TROUBLE, "packs of this binary: %s", error);
        return false;
    }
    if (!home_io_is_home(cli->home)) {
        return true;
    }
    st = sodium_init() < 0 ? STATUS_IO : add_home(cli->home, *out);
    if (st == STATUS_NO_MEMORY) {
        policy_set_free(*out);
        *out = NULL;
        cli_error(cli, CLI_TROUBLE, "packs of the home %s: %s", cli->home, status_text(st));
        return false;
    }
    if (st != STATUS_OK && st != STATUS_NOT_FOUND) {
        cli_error(cli, CLI_TROUBLE,
                  "the packs of the home %s are not used, only those of this binary: %s",
                  cli->home, status_text(st));
    }
    return true;
}
