#include "node/seeds_io.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/home_io.h"

/* The file of the seed at `i`. */
static enum status
seed_path(const char *home, size_t i, char out[HOME_IO_PATH_CHARS])
{
    char name[16];
    snprintf(name, sizeof name, i == 0 ? "seed" : "seed-%zu", i + 1);
    return home_io_path(home, name, out);
}

enum status
seeds_io_read(const char *home, struct view passphrase, struct seeds *out,
              char error[KEYFILE_IO_ERROR_CHARS])
{
    memset(out, 0, sizeof *out);
    error[0] = '\0';
    while (out->count < SEEDS_MAX) {
        char path[HOME_IO_PATH_CHARS];
        struct keyfile key;
        enum status st = seed_path(home, out->count, path);
        st = st == STATUS_OK ? keyfile_io_read(path, passphrase, &key, error) : st;
        if (st == STATUS_NOT_FOUND && out->count > 0) {
            error[0] = '\0';
            return STATUS_OK;
        }
        if (st != STATUS_OK) {
            seeds_io_wipe(out);
            return st;
        }
        memcpy(out->at[out->count++], key.secret, KEY_BYTES);
        keyfile_wipe(&key);
    }
    return STATUS_OK;
}

enum status
seeds_io_add(const char *home, const char *institution, struct view passphrase,
             struct seeds *seeds, char error[KEYFILE_IO_ERROR_CHARS])
{
    struct keyfile key = {.kind = KEYFILE_SEED};
    struct keyfile_lock lock = {
        .passphrase = passphrase, .passes = KEYFILE_PASSES, .memory_kib = KEYFILE_MEMORY_KIB};
    char path[HOME_IO_PATH_CHARS];
    if (seeds->count == SEEDS_MAX) {
        snprintf(error, KEYFILE_IO_ERROR_CHARS, "a home holds at most %d seeds", SEEDS_MAX);
        return STATUS_TOO_BIG;
    }
    enum status st = seed_path(home, seeds->count, path);
    if (st != STATUS_OK || strlen(institution) >= sizeof key.name) {
        snprintf(error, KEYFILE_IO_ERROR_CHARS, "the name of the home is too long");
        return STATUS_TOO_BIG;
    }
    strcpy(key.name, institution);
    randombytes_buf(key.secret, sizeof key.secret);
    randombytes_buf(lock.salt, sizeof lock.salt);
    randombytes_buf(lock.nonce, sizeof lock.nonce);
    st = keyfile_io_write(path, &key, passphrase.count > 0 ? &lock : NULL, error);
    if (st == STATUS_OK) {
        memcpy(seeds->at[seeds->count++], key.secret, KEY_BYTES);
    }
    keyfile_wipe(&key);
    return st;
}

bool
seeds_io_is_more(const char *home, size_t count)
{
    char path[HOME_IO_PATH_CHARS];
    return count < SEEDS_MAX && seed_path(home, count, path) == STATUS_OK &&
           access(path, F_OK) == 0;
}

void
seeds_io_wipe(struct seeds *seeds)
{
    sodium_memzero(seeds, sizeof *seeds);
}
