/* Goal: the list of a backup reads back as it was written, and nothing else is
 * taken for one; a backup of a store is whole or refused.
 * Method: every byte of a list is changed, names that a home does not have are
 * offered; real homes are copied, damaged at every file, and put back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/backup_io.h"
#include "node/home_io.h"
#include "proto/text.h"
#include "store/log.h"
#include "tests/test_store_util.h"

static struct backup *
example(bool sealed)
{
    struct backup *b = calloc(1, sizeof *b);
    strcpy(b->institution, "h1");
    b->made_s = 1793333333;
    b->sealed = sealed;
    if (sealed) {
        b->passes = 3;
        b->memory_kib = 65536;
        memset(b->salt, 7, sizeof b->salt);
    }
    b->log_count = 1;
    strcpy(b->logs[0].origin, "a.cn/h1/pub");
    b->logs[0].size = 12;
    memset(&b->logs[0].root, 0x5a, sizeof b->logs[0].root);
    b->file_count = 2;
    strcpy(b->files[0].name, BACKUP_STORE);
    strcpy(b->files[1].name, "seed");
    b->files[0].bytes = 4096;
    return b;
}

static void
a_list_reads_back_and_no_byte_of_it_can_change(void **state)
{
    (void)state;
    char text[4096];
    size_t count;
    struct backup *read = calloc(1, sizeof *read);
    for (int sealed = 0; sealed < 2; sealed++) {
        struct backup *b = example(sealed == 1);
        assert_int_equal(backup_encode(b, text, sizeof text, &count), STATUS_OK);
        assert_int_equal(backup_decode((struct view){(uint8_t *)text, count}, read), STATUS_OK);
        assert_memory_equal(read, b, sizeof *b);
        for (size_t i = 0; i < count; i++) {
            for (int bit = 0; bit < 8; bit++) {
                text[i] = (char)(text[i] ^ 1 << bit);
                assert_int_not_equal(backup_decode((struct view){(uint8_t *)text, count}, read),
                                     STATUS_OK);
                text[i] = (char)(text[i] ^ 1 << bit);
            }
            assert_int_not_equal(backup_decode((struct view){(uint8_t *)text, i}, read),
                                 STATUS_OK);
        }
        assert_int_equal(backup_encode(b, text, count, &count), STATUS_TOO_BIG);
        free(b);
    }
    free(read);
}

static void
only_names_of_a_home_stand_in_a_list(void **state)
{
    (void)state;
    static const char *const good[] = {"seed", "config.yaml", "network-keys-a.cn",
                                       "codemap.csv", BACKUP_STORE};
    static const char *const bad[] = {
        "",        "../seed", "/etc/passwd", "store/x",  ".ssh",       "last-signed", "lock",
        "control", "BACKUP",  "a b",         "seed.new", "store/../x", "serve.log"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(backup_takes(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(backup_takes(bad[i]));
    }
    char text[4096];
    size_t count;
    struct backup *b = example(false), *read = calloc(1, sizeof *read);
    strcpy(b->files[1].name, "last-signed");
    assert_int_equal(backup_encode(b, text, sizeof text, &count), STATUS_OK);
    assert_int_equal(backup_decode((struct view){(uint8_t *)text, count}, read),
                     STATUS_MALFORMED);
    strcpy(b->files[1].name, BACKUP_STORE);
    assert_int_equal(backup_encode(b, text, sizeof text, &count), STATUS_OK);
    assert_int_equal(backup_decode((struct view){(uint8_t *)text, count}, read),
                     STATUS_MALFORMED); /* twice */
    strcpy(b->files[0].name, "seed");
    b->file_count = 1;
    assert_int_equal(backup_encode(b, text, sizeof text, &count), STATUS_OK);
    assert_int_equal(backup_decode((struct view){(uint8_t *)text, count}, read),
                     STATUS_MALFORMED); /* without the store */
    free(b);
    free(read);
}

/* ---- on disk ---- */

struct place {
    struct test_dir dir;
    char home[256], backup[256], again[256];
    char error[BACKUP_ERROR_CHARS];
    struct backup made, back;
};

static void
put_text(const char *folder, const char *name, const char *text)
{
    char path[HOME_IO_PATH_CHARS], error[HOME_IO_ERROR_CHARS];
    OK(home_io_path(folder, name, path));
    OK(home_io_write(path, text_view(text), 0600, error));
}

static bool
is_there(const char *folder, const char *name)
{
    char path[HOME_IO_PATH_CHARS];
    OK(home_io_path(folder, name, path));
    return access(path, F_OK) == 0;
}

static struct place *
make_place(void)
{
    struct place *p = calloc(1, sizeof *p);
    char path[HOME_IO_PATH_CHARS];
    uint8_t bytes[TEST_ENTRY_BYTES];
    uint32_t id;
    assert_true(sodium_init() >= 0);
    p->dir = dir_make();
    (void)snprintf(p->home, sizeof p->home, "%s/home", p->dir.path);
    (void)snprintf(p->backup, sizeof p->backup, "%s/backup", p->dir.path);
    (void)snprintf(p->again, sizeof p->again, "%s/again", p->dir.path);
    OK(home_io_create(p->home, p->error));
    OK(home_io_path(p->home, "store", path));
    struct store *s = open_store(path);
    struct store_txn *t = begin_write(s);
    OK(store_log_create(t, text_view("a.cn/h1/exch/00000001"), STORE_LOG_OWN, 1, &id));
    for (uint64_t i = 0; i < 300; i++) {
        struct view entry = test_entry(bytes, i);
        OK(store_log_append(t, id, &entry, 1, NULL, NULL));
    }
    OK(store_commit(t));
    store_close(s);
    put_text(p->home, "config.yaml", "institution: h1\nname: x\nnetworks: []\n");
    put_text(p->home, "seed", "this is the secret of the home\n");
    put_text(p->home, "last-signed", "must not travel\n");
    put_text(p->home, "codemap.csv", "");
    return p;
}

static void
free_place(struct place *p)
{
    dir_remove(&p->dir);
    free(p);
}

static const struct view secret = {(const uint8_t *)"a good passphrase", 17};

static bool
file_holds(const char *folder, const char *name, const char *words)
{
    char path[HOME_IO_PATH_CHARS], error[HOME_IO_ERROR_CHARS];
    uint8_t *bytes;
    size_t count;
    OK(home_io_path(folder, name, path));
    OK(home_io_read(path, 64 << 20, &bytes, &count, error));
    bool found = false;
    for (size_t i = 0; i + strlen(words) <= count && !found; i++) {
        found = memcmp(bytes + i, words, strlen(words)) == 0;
    }
    free(bytes);
    return found;
}

static void
a_home_comes_back_as_it_was_without_last_signed(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        struct place *p = make_place();
        struct view pass = sealed ? secret : (struct view){NULL, 0};
        if (backup_make(p->home, p->backup, pass, &p->made, p->error) != STATUS_OK) {
            fail_msg("%s", p->error);
        }
        assert_int_equal(p->made.log_count, 1);
        assert_int_equal(p->made.logs[0].size, 300);
        assert_false(is_there(p->backup, "last-signed"));
        assert_false(is_there(p->backup, "store/lock.mdb"));
        assert_false(is_there(p->home, "backup.new"));
        assert_true(file_holds(p->backup, "seed", "secret of the home") == !sealed);
        assert_true(file_holds(p->backup, BACKUP_STORE, "a.cn/h1") == !sealed);
        if (backup_restore(p->backup, p->again, pass, &p->back, p->error) != STATUS_OK) {
            fail_msg("%s", p->error);
        }
        assert_memory_equal(&p->back, &p->made, sizeof p->made);
        assert_false(is_there(p->again, "last-signed"));
        assert_true(file_holds(p->again, "seed", "secret of the home"));
        assert_true(is_there(p->again, "codemap.csv"));
        assert_int_equal(backup_restore(p->backup, p->again, pass, &p->back, p->error),
                         STATUS_EXISTS);
        assert_int_equal(backup_make(p->home, p->backup, pass, &p->made, p->error),
                         STATUS_EXISTS);
        free_place(p);
    }
}

static void
flip(const char *folder, const char *name, long at)
{
    char path[HOME_IO_PATH_CHARS];
    OK(home_io_path(folder, name, path));
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
    assert_int_equal(fputc(c ^ 1, f), c ^ 1);
    assert_int_equal(fclose(f), 0);
}

static void
what_was_changed_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        struct place *p = make_place();
        struct view pass = sealed ? secret : (struct view){NULL, 0};
        static const char *const names[] = {BACKUP_STORE, "seed", "config.yaml", BACKUP_LIST};
        OK(backup_make(p->home, p->backup, pass, &p->made, p->error));
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            flip(p->backup, names[i], i == 0 ? -100 : 20);
            assert_int_not_equal(backup_restore(p->backup, p->again, pass, &p->back, p->error),
                                 STATUS_OK);
            assert_int_not_equal(p->error[0], 0);
            assert_false(is_there(p->again, "store"));
            flip(p->backup, names[i], i == 0 ? -100 : 20);
        }
        if (sealed) {
            assert_int_equal(
                backup_restore(p->backup, p->again, (struct view){NULL, 0}, &p->back, p->error),
                STATUS_BAD_KEY);
            assert_int_equal(backup_restore(p->backup, p->again, (struct view){secret.bytes, 5},
                                            &p->back, p->error),
                             STATUS_BAD_KEY);
            assert_false(is_there(p->again, "store"));
        }
        OK(backup_restore(p->backup, p->again, pass, &p->back, p->error));
        free_place(p);
    }
}

static void
a_damaged_entry_makes_no_backup(void **state)
{
    (void)state;
    struct place *p = make_place();
    char path[HOME_IO_PATH_CHARS];
    uint8_t bytes[TEST_ENTRY_BYTES], *file;
    size_t count, flipped = 0;
    struct view entry = test_entry(bytes, 150);
    OK(home_io_path(p->home, BACKUP_STORE, path));
    OK(home_io_read(path, 64 << 20, &file, &count, p->error));
    for (size_t i = 0; i + entry.count <= count; i++) {
        if (memcmp(file + i, entry.bytes, entry.count) == 0) {
            flip(p->home, BACKUP_STORE, (long)i);
            flipped++;
        }
    }
    free(file);
    assert_true(flipped > 0);
    enum status st =
        backup_make(p->home, p->backup, (struct view){NULL, 0}, &p->made, p->error);
    assert_int_equal(st, STATUS_CORRUPT);
    assert_false(is_there(p->backup, "store"));
    free_place(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_reads_back_and_no_byte_of_it_can_change),
        cmocka_unit_test(only_names_of_a_home_stand_in_a_list),
        cmocka_unit_test(a_home_comes_back_as_it_was_without_last_signed),
        cmocka_unit_test(what_was_changed_is_refused_and_leaves_nothing),
        cmocka_unit_test(a_damaged_entry_makes_no_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
