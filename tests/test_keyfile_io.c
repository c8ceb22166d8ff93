/* Goal: key files are made once, 0600, and read only where nobody else could
 * have put or read them.
 * Method: a folder of its own in TMPDIR; links, modes, sizes, a FIFO. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/keyfile_io.h"

static const struct view NONE = {NULL, 0};
static char folder[512], path[600], other[600];
static char error[KEYFILE_IO_ERROR_CHARS];

static struct keyfile
sample(void)
{
    struct keyfile key = {.kind = KEYFILE_SEED, .name = "h001"};
    memset(key.secret, 0x3c, sizeof key.secret);
    return key;
}

static int
setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/huren-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (sodium_init() < 0 || mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/seed", folder);
    (void)snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(other);
    return rmdir(folder);
}

static int
clean(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(other);
    return 0;
}

static void
test_a_written_file_is_closed_to_others_and_comes_back(void **state)
{
    const struct keyfile key = sample();
    struct keyfile back;
    struct stat s;
    bool locked = true;
    (void)state;
    assert_int_equal(keyfile_io_write(path, &key, NULL, error), STATUS_OK);
    assert_string_equal(error, "");
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_int_equal(keyfile_io_read(path, NONE, &back, error), STATUS_OK);
    assert_string_equal(back.name, key.name);
    assert_memory_equal(back.secret, key.secret, KEY_BYTES);
    assert_int_equal(keyfile_io_is_locked(path, &locked, error), STATUS_OK);
    assert_false(locked);
}

static void
test_a_file_that_is_there_is_never_overwritten(void **state)
{
    struct keyfile key = sample(), back;
    (void)state;
    assert_int_equal(keyfile_io_write(path, &key, NULL, error), STATUS_OK);
    key.secret[0] ^= 1;
    assert_int_equal(keyfile_io_write(path, &key, NULL, error), STATUS_EXISTS);
    assert_non_null(strstr(error, path));
    assert_int_equal(keyfile_io_read(path, NONE, &back, error), STATUS_OK);
    assert_int_equal(back.secret[0], 0x3c);
    /* nor is a symbolic link followed, dangling or not */
    (void)unlink(path);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(keyfile_io_write(path, &key, NULL, error), STATUS_EXISTS);
    assert_int_equal(access(other, F_OK), -1);
}

static void
test_links_open_modes_fifos_and_folders_are_refused(void **state)
{
    const struct keyfile key = sample();
    struct keyfile back;
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666};
    (void)state;
    assert_int_equal(keyfile_io_write(other, &key, NULL, error), STATUS_OK);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(keyfile_io_read(path, NONE, &back, error), STATUS_REFUSED);
    assert_non_null(strstr(error, "symbolic link"));
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(other, modes[i]), 0);
        assert_int_equal(keyfile_io_read(other, NONE, &back, error), STATUS_REFUSED);
        assert_non_null(strstr(error, "chmod 600"));
        assert_true(sodium_is_zero((const unsigned char *)&back, sizeof back));
    }
    assert_int_equal(chmod(other, 0400), 0);
    assert_int_equal(keyfile_io_read(other, NONE, &back, error), STATUS_OK);
    assert_int_equal(keyfile_io_read(folder, NONE, &back, error), STATUS_REFUSED);
    (void)unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(keyfile_io_read(path, NONE, &back, error), STATUS_REFUSED);
    (void)unlink(path);
    assert_int_equal(keyfile_io_read(path, NONE, &back, error), STATUS_NOT_FOUND);
    assert_non_null(strstr(error, path));
}

static void
test_other_files_are_refused_with_a_reason(void **state)
{
    static const struct {
        size_t size;
        const char *text;
        enum status expected;
        const char *says;
    } cases[] = {{0, "", STATUS_UNSUPPORTED, "first line"},
                 {13, "huren seed v2", STATUS_UNSUPPORTED, "first line"},
                 {14, "huren seed v1\n", STATUS_MALFORMED, "not a key file"},
                 {KEYFILE_BYTES_MAX + 1, "huren seed v1\n", STATUS_TOO_BIG, "too many"}};
    struct keyfile back;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[KEYFILE_BYTES_MAX + 1] = {0};
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        memcpy(bytes, cases[i].text, strlen(cases[i].text));
        assert_int_equal(fwrite(bytes, 1, cases[i].size, f), cases[i].size);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(keyfile_io_read(path, NONE, &back, error), cases[i].expected);
        assert_non_null(strstr(error, cases[i].says));
    }
}

static void
test_a_locked_file_says_that_it_needs_its_passphrase(void **state)
{
    const struct keyfile key = sample();
    struct keyfile_lock lock = {.passphrase = {(const uint8_t *)"pass", 4},
                                .passes = 1,
                                .memory_kib = KEYFILE_MEMORY_KIB_MIN};
    struct keyfile back;
    bool locked = false;
    (void)state;
    assert_int_equal(keyfile_io_write(path, &key, &lock, error), STATUS_OK);
    assert_int_equal(keyfile_io_is_locked(path, &locked, error), STATUS_OK);
    assert_true(locked);
    assert_int_equal(keyfile_io_read(path, NONE, &back, error), STATUS_BAD_KEY);
    assert_non_null(strstr(error, "needs a passphrase"));
    assert_int_equal(
        keyfile_io_read(path, (struct view){(const uint8_t *)"past", 4}, &back, error),
        STATUS_BAD_KEY);
    assert_non_null(strstr(error, "not its passphrase"));
    assert_int_equal(keyfile_io_read(path, lock.passphrase, &back, error), STATUS_OK);
}

static void
test_nothing_is_left_where_nothing_can_be_written(void **state)
{
    struct keyfile key = sample();
    char nowhere[700];
    (void)state;
    (void)snprintf(nowhere, sizeof nowhere, "%s/none/seed", folder);
    assert_int_equal(keyfile_io_write(nowhere, &key, NULL, error), STATUS_NOT_FOUND);
    key.name[0] = 'H';
    assert_int_equal(keyfile_io_write(path, &key, NULL, error), STATUS_MALFORMED);
    assert_int_equal(access(path, F_OK), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_written_file_is_closed_to_others_and_comes_back,
                                  clean),
        cmocka_unit_test_teardown(test_a_file_that_is_there_is_never_overwritten, clean),
        cmocka_unit_test_teardown(test_links_open_modes_fifos_and_folders_are_refused, clean),
        cmocka_unit_test_teardown(test_other_files_are_refused_with_a_reason, clean),
        cmocka_unit_test_teardown(test_a_locked_file_says_that_it_needs_its_passphrase, clean),
        cmocka_unit_test_teardown(test_nothing_is_left_where_nothing_can_be_written, clean),
    };
    return cmocka_run_group_tests_name("keyfile_io", tests, setup, teardown);
}
