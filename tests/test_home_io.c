/* Goal: a home has one owner, its files are replaced whole, and a start is
 * clean only if nothing was restored, copied or moved.
 * Method: a second process tries to own the home; files are written over
 * leftovers, links and limits; HOME/last-signed is compared with stores that
 * differ in each single respect, and with each of its bytes changed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/home_io.h"

static char error[HOME_IO_ERROR_CHARS];
static char base[] = "/tmp/hrhomeXXXXXX";
static char home[64];

static struct view
text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

static const char *
in_home(const char *name)
{
    static char path[HOME_IO_PATH_CHARS];

    assert_int_equal(home_io_path(home, name, path), STATUS_OK);
    return path;
}

static int
setup(void **state)
{
    (void)state;
    if (mkdtemp(base) == NULL) {
        return -1;
    }
    (void)snprintf(home, sizeof home, "%s/h1", base);
    return 0;
}

static int
teardown(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", base);
    return system(command);
}

static void
test_a_home_is_made_once_and_private(void **state)
{
    struct stat st;
    char other[64];
    (void)state;

    assert_false(home_io_is_home(home));
    assert_int_equal(home_io_create(home, error), STATUS_OK);
    assert_true(home_io_is_home(home));
    assert_int_equal(stat(home, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(home_io_create(home, error), STATUS_EXISTS);
    assert_non_null(strstr(error, "there is a home already"));
    assert_int_equal(home_io_create("/tmp/no/such/parent", error), STATUS_NOT_FOUND);
    (void)snprintf(other, sizeof other, "%s/full", base);
    assert_int_equal(mkdir(other, 0755), 0);
    assert_int_equal(home_io_create(other, error), STATUS_OK); /* empty: taken */
    (void)snprintf(other, sizeof other, "%s/full2", base);
    assert_int_equal(mkdir(other, 0755), 0);
    (void)snprintf(other, sizeof other, "%s/full2/x", base);
    assert_int_equal(home_io_write(other, text("x"), 0644, error), STATUS_OK);
    (void)snprintf(other, sizeof other, "%s/full2", base);
    assert_int_equal(home_io_create(other, error), STATUS_EXISTS);
    assert_non_null(strstr(error, "not an empty directory"));
}

static void
test_a_second_owner_is_told_the_pid_of_the_first(void **state)
{
    struct home *h;
    pid_t holder, child;
    int report[2], done;
    (void)state;

    assert_int_equal(home_io_own(base, &h, &holder, error), STATUS_NOT_FOUND);
    assert_int_equal(home_io_own(home, &h, &holder, error), STATUS_OK);
    assert_int_equal(pipe(report), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct home *second = NULL;
        bool good = home_io_own(home, &second, &holder, error) == STATUS_BUSY &&
                    holder == getppid() && second == NULL &&
                    strstr(error, "already in use by process") != NULL;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &done, 0), child);
    assert_true(WIFEXITED(done));
    assert_int_equal(WEXITSTATUS(done), 0);
    home_io_close(h);
    assert_int_equal(home_io_own(home, &h, &holder, error), STATUS_OK);
    home_io_close(h);
    home_io_close(NULL);
}

static void
test_the_lock_of_a_killed_owner_is_free(void **state)
{
    struct home *h;
    pid_t holder, child;
    int done;
    (void)state;

    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(home_io_own(home, &h, &holder, error) == STATUS_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &done, 0), child);
    assert_int_equal(WEXITSTATUS(done), 0);
    assert_int_equal(home_io_own(home, &h, &holder, error), STATUS_OK);
    home_io_close(h);
}

static void
test_files_are_replaced_whole_and_read_within_limits(void **state)
{
    uint8_t *bytes;
    size_t count;
    struct stat st;
    (void)state;

    assert_int_equal(home_io_write(in_home("f"), text("one"), 0600, error), STATUS_OK);
    assert_int_equal(home_io_write(in_home("f.new"), text("left by a crash"), 0644, error),
                     STATUS_OK);
    assert_int_equal(home_io_write(in_home("f"), text("second"), 0600, error), STATUS_OK);
    assert_int_equal(stat(in_home("f.new"), &st), -1);
    assert_int_equal(stat(in_home("f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(home_io_read(in_home("f"), 6, &bytes, &count, error), STATUS_OK);
    assert_int_equal(count, 6);
    assert_string_equal((char *)bytes, "second");
    free(bytes);
    assert_int_equal(home_io_read(in_home("f"), 5, &bytes, &count, error), STATUS_TOO_BIG);
    assert_null(bytes);
    assert_int_equal(home_io_read(in_home("g"), 5, &bytes, &count, error), STATUS_NOT_FOUND);
    assert_int_equal(symlink("f", in_home("link")), 0);
    assert_int_equal(home_io_read(in_home("link"), 9, &bytes, &count, error), STATUS_REFUSED);
    assert_int_equal(home_io_read(home, 9, &bytes, &count, error), STATUS_REFUSED);
    assert_int_equal(mkfifo(in_home("fifo"), 0600), 0);
    assert_int_equal(home_io_read(in_home("fifo"), 9, &bytes, &count, error), STATUS_REFUSED);
    assert_int_equal(home_io_write(in_home("fifo"), text("x"), 0600, error), STATUS_REFUSED);
    assert_int_equal(home_io_write(in_home("link"), text("x"), 0600, error), STATUS_REFUSED);
    assert_int_equal(home_io_write(in_home("no/f"), text("x"), 0600, error), STATUS_NOT_FOUND);
}

/* What the store is pretended to have had at smaller sizes. */
static enum status
root_at(void *context, const char *origin, uint64_t size, struct hash *root)
{
    (void)origin;
    if (context == NULL) {
        return STATUS_CORRUPT;
    }
    memset(root, (int)size, sizeof *root);
    return STATUS_OK;
}

static struct home_head
head(const char *origin, uint64_t size)
{
    struct home_head h = {.size = size};

    (void)snprintf(h.origin, sizeof h.origin, "%s", origin);
    memset(&h.root, (int)size, sizeof h.root);
    return h;
}

static bool
clean(const struct home_head *heads, size_t count)
{
    static int there;

    bool is = false;
    assert_int_equal(home_io_is_clean(home, heads, count, root_at, &there, &is, error),
                     STATUS_OK);
    return is;
}

/* Put last-signed back as a copying program would: the same text, which was
 * written `shift` ms from now, and a file that changes now. */
static void
put_back(int64_t shift)
{
    char lines[4096], hex[2 * HASH_BYTES + 1];
    uint8_t *bytes;
    size_t count;
    struct hash sum;

    assert_int_equal(
        home_io_read(in_home("last-signed"), sizeof lines - 64, &bytes, &count, error),
        STATUS_OK);
    char *written = strstr((char *)bytes, "written ");
    assert_non_null(written);
    int64_t at = strtoll(written + 8, NULL, 10);
    char *logs = strchr(written, '\n'), *end = strstr((char *)bytes, "sum ");
    assert_non_null(end);
    int n = snprintf(lines, sizeof lines, "%.*swritten %" PRId64 "%.*s",
                     (int)(written - (char *)bytes), (char *)bytes, at + shift,
                     (int)(end - logs), logs);
    sha256((uint8_t *)lines, (size_t)n, &sum);
    for (size_t i = 0; i < HASH_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", sum.bytes[i]);
    }
    n += snprintf(lines + n, sizeof lines - (size_t)n, "sum %s\n", hex);
    free(bytes);
    assert_int_equal(home_io_write(in_home("last-signed"),
                                   (struct view){(uint8_t *)lines, (size_t)n}, 0600, error),
                     STATUS_OK);
}

static void
test_a_start_is_clean_only_on_the_store_that_signed(void **state)
{
    struct home_head heads[3] = {head("n/a/pub", 7), head("n/a/exch/01", 9),
                                 head("n/b/pub", 0)};
    char machine[HOME_IO_MACHINE_CHARS + 1], other[HOME_IO_PATH_CHARS];
    uint8_t *bytes;
    size_t count;
    (void)state;

    if (home_io_machine(machine) != STATUS_OK) {
        print_message("SKIPPED: this machine has no /etc/machine-id, no start can be clean\n");
        skip();
    }
    assert_false(clean(heads, 2)); /* nothing was signed yet */
    assert_int_equal(home_io_signed(home, heads, 2, error), STATUS_IO); /* no store yet */
    assert_int_equal(home_io_write(in_home("store/data.mdb"), text("d"), 0600, error),
                     STATUS_OK);
    assert_int_equal(home_io_signed(home, heads, 2, error), STATUS_OK);
    assert_true(clean(heads, 2));
    assert_true(clean(heads, 3));  /* a log that was never signed */
    assert_false(clean(heads, 1)); /* a signed log is gone */
    assert_non_null(strstr(error, "does not have it"));
    heads[0].size = 6; /* an older store */
    assert_false(clean(heads, 2));
    assert_non_null(strstr(error, "older than the signature"));
    heads[0].size = 8; /* commits after the last signature, same beginning */
    assert_true(clean(heads, 2));
    bool is = true;
    assert_int_equal(home_io_is_clean(home, heads, 2, root_at, NULL, &is, error), STATUS_OK);
    assert_false(is);
    heads[0] = head("n/a/pub", 7);
    heads[0].root.bytes[31] ^= 1;
    assert_false(clean(heads, 2));
    assert_non_null(strstr(error, "differs"));
    heads[0].root.bytes[31] ^= 1;

    /* Every byte of the file counts. */
    assert_int_equal(home_io_read(in_home("last-signed"), 4096, &bytes, &count, error),
                     STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        bytes[i] ^= 1;
        FILE *f = fopen(in_home("last-signed"), "w");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, count, f), count);
        assert_int_equal(fclose(f), 0);
        assert_false(clean(heads, 2));
        bytes[i] ^= 1;
    }
    for (size_t cut = 0; cut < count; cut += 11) {
        assert_int_equal(
            home_io_write(in_home("last-signed"), (struct view){bytes, cut}, 0600, error),
            STATUS_OK);
        assert_false(clean(heads, 2));
    }
    free(bytes);
    assert_int_equal(home_io_signed(home, heads, 2, error), STATUS_OK);
    assert_true(clean(heads, 2));
    put_back(-5000);
    assert_false(clean(heads, 2));
    assert_non_null(strstr(error, "put back from a copy"));
    put_back(10000);
    assert_false(clean(heads, 2));
    assert_int_equal(home_io_signed(home, heads, 2, error), STATUS_OK);
    assert_true(clean(heads, 2));

    /* The data file was copied: another inode. */
    (void)snprintf(other, sizeof other, "%s", in_home("store/copy"));
    assert_int_equal(home_io_write(other, text("d"), 0600, error), STATUS_OK);
    assert_int_equal(rename(other, in_home("store/data.mdb")), 0);
    assert_false(clean(heads, 2));
    assert_non_null(strstr(error, "copied"));
}

static void
test_what_cannot_be_read_now_is_no_unclean_start(void **state)
{
    struct home_head heads[1] = {head("n/a/pub", 7)};
    struct rlimit before, none;
    bool is = false;
    (void)state;

    assert_int_equal(home_io_write(in_home("store/data.mdb"), text("d"), 0600, error),
                     STATUS_OK);
    assert_int_equal(home_io_signed(home, heads, 1, error), STATUS_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum status read = home_io_is_clean(home, heads, 1, root_at, NULL, &is, error);
    enum status written = home_io_signed(home, heads, 1, error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(read, STATUS_IO);
    assert_int_equal(written, STATUS_IO);
    assert_true(clean(heads, 1));
}

static void
test_a_file_gets_its_name_when_it_is_told(void **state)
{
    struct timespec now;
    struct stat file;
    (void)state;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    int64_t at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 300;
    assert_int_equal(home_io_write_at(in_home("later"), text("x"), 0600, at, error), STATUS_OK);
    assert_int_equal(lstat(in_home("later"), &file), 0);
    int64_t named = (int64_t)file.st_ctim.tv_sec * 1000 + file.st_ctim.tv_nsec / 1000000;
    assert_true(named >= at - 20 && named < at + 5000); /* the kernel's clock ticks */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_home_is_made_once_and_private),
        cmocka_unit_test(test_a_second_owner_is_told_the_pid_of_the_first),
        cmocka_unit_test(test_the_lock_of_a_killed_owner_is_free),
        cmocka_unit_test(test_files_are_replaced_whole_and_read_within_limits),
        cmocka_unit_test(test_a_start_is_clean_only_on_the_store_that_signed),
        cmocka_unit_test(test_what_cannot_be_read_now_is_no_unclean_start),
        cmocka_unit_test(test_a_file_gets_its_name_when_it_is_told),
    };
    return cmocka_run_group_tests_name("home_io", tests, setup, teardown);
}
