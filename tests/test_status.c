/* Goal: every status has a text of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/status.h"

static void
test_texts_are_there_and_differ(void **state)
{
    (void)state;
    for (int a = 0; a < STATUS_COUNT; a++) {
        assert_true(strlen(status_text((enum status)a)) > 1);
        assert_string_not_equal(status_text((enum status)a), "unknown status");
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(status_text((enum status)a), status_text((enum status)b));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts_are_there_and_differ)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
