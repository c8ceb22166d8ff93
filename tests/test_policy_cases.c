/* Goal: decisions are those of the contract.
 * Method: every input of the published cases is decided; each member that the
 * case names must be equal, the order of the checks included.  The cases are
 * not part of this repository: HUREN_SHARED, else ../shared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/policy_json.h"

static FILE *
open_cases(void)
{
    char path[1024];
    const char *shared = getenv("HUREN_SHARED");
    snprintf(path, sizeof path, "%s/policy/cases-public.jsonl",
             shared != NULL ? shared : HR_SOURCE_DIR "/../shared");
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        printf("SKIPPED: %s is not there\n", path);
        skip();
    }
    return in;
}

static void
check_order_is_equal(const json_t *expected, json_t *checks, size_t number)
{
    void *iterator = json_object_iter(checks);
    const char *key;
    json_t *value;
    (void)value;
    json_object_foreach((json_t *)(uintptr_t)expected, key, value)
    {
        assert_non_null(iterator);
        if (strcmp(key, json_object_iter_key(iterator)) != 0) {
            fail_msg("case %zu: %s where %s is expected", number,
                     json_object_iter_key(iterator), key);
        }
        iterator = json_object_iter_next(checks, iterator);
    }
    assert_null(iterator);
}

static void
test_every_published_case_is_decided_as_it_says(void **state)
{
    (void)state;
    struct policy_set *set = NULL;
    char error[256] = "";
    char *line = NULL;
    size_t room = 0;
    size_t count = 0;
    FILE *in = open_cases();
    assert_int_equal(policy_set_load_embedded(&set, error, sizeof error), STATUS_OK);
    while (getline(&line, &room, in) > 0) {
        json_t *one = json_loads(line, 0, NULL);
        json_t *expected = json_object_get(one, "expect");
        json_t *answer = NULL;
        const char *key;
        json_t *value;
        count++;
        assert_int_equal(policy_decide_object(set, json_object_get(one, "input"), &answer),
                         STATUS_OK);
        json_object_foreach(expected, key, value)
        {
            if (!json_equal(value, json_object_get(answer, key))) {
                fail_msg("case %zu: %s is %s, expected %s", count, key,
                         json_dumps(json_object_get(answer, key), JSON_ENCODE_ANY),
                         json_dumps(value, JSON_ENCODE_ANY));
            }
        }
        check_order_is_equal(json_object_get(expected, "checks"),
                             json_object_get(answer, "checks"), count);
        json_decref(answer);
        json_decref(one);
    }
    printf("%zu published cases\n", count);
    assert_true(count >= 800);
    free(line);
    fclose(in);
    policy_set_free(set);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_published_case_is_decided_as_it_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
