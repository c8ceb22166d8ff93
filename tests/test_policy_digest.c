/* Goal: one input gives one decision, on every compiler and at every level of
 * optimization, and whoever decides first does not change what comes later.
 * Method: 100,000 generated inputs under all packs; the digest of all answers
 * is written here, so that every build (gcc and clang, release and sanitized)
 * must find the same.  When the rules change, the digest changes with them:
 * run `test_policy_digest --print` and say in the commit why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "node/policy_json.h"
#include "tests/policy_inputs.h"

enum { INPUTS = 100000 };
static const uint64_t expected_digest = UINT64_C(0x914d61bca1d2c7de);

static struct policy_set *set;

static int
load(void **state)
{
    (void)state;
    char error[256] = "";
    return policy_set_load_embedded(&set, error, sizeof error) == STATUS_OK ? 0 : -1;
}

static int
unload(void **state)
{
    (void)state;
    policy_set_free(set);
    return 0;
}

/* FNV-1a, 64 bits. */
static void
mix(uint64_t *digest, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < count; i++) {
        *digest = (*digest ^ p[i]) * UINT64_C(0x100000001b3);
    }
}

static void
mix_number(uint64_t *digest, unsigned number)
{
    unsigned char byte = (unsigned char)number;
    mix(digest, &byte, 1);
}

static void
mix_decision(uint64_t *digest, const struct hr_decision *d)
{
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        mix_number(digest, d->checks[i]);
        mix_number(digest, d->caps[i]);
    }
    mix_number(digest, d->verdict);
    mix_number(digest, d->at_best);
    mix_number(digest, d->recognize);
    mix_number(digest, d->form);
    mix_number(digest, d->repeat);
    mix_number(digest, d->reason);
    mix_number(digest, (unsigned)d->missing_note * 2u + d->missing_sign_off);
    for (size_t i = 0; i < d->recognized_count; i++) {
        mix(digest, d->if_recognized[i]->name.bytes, d->if_recognized[i]->name.size);
    }
    for (size_t i = 0; i < d->repeated_count; i++) {
        mix(digest, d->if_repeated[i]->name.bytes, d->if_repeated[i]->name.size);
    }
    mix_number(digest, d->fee_if_recognized != NULL);
}

/* `verdicts`, unless NULL, counts them. */
static uint64_t
digest_of(size_t inputs, uint64_t seed, size_t verdicts[HR_MUST + 1])
{
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    const struct hr_catalog *catalog = policy_set_catalog(set);
    for (size_t i = 0; i < inputs; i++) {
        struct random_input one;
        struct hr_decision decision;
        struct hr_mark mark;
        const struct hr_pack *pack = policy_set_pack(set, i % policy_set_count(set));
        inputs_make(&seed, pack, catalog, &one);
        hr_decide(pack, catalog, &one.input, &decision);
        hr_mark(pack, catalog, &one.input, &mark);
        if (verdicts != NULL) {
            verdicts[decision.verdict]++;
        }
        mix_decision(&digest, &decision);
        mix_number(&digest, mark.mark);
        mix(&digest, mark.text.bytes, mark.text.size);
    }
    return digest;
}

static void
test_the_digest_of_100000_decisions_is_the_one_written_here(void **state)
{
    (void)state;
    size_t verdicts[HR_MUST + 1] = {0};
    uint64_t digest = digest_of(INPUTS, 1, verdicts);
    printf("digest of %d decisions: %016llx\n", INPUTS, (unsigned long long)digest);
    for (int i = HR_NO_RULE; i <= HR_MUST; i++) {
        printf("  %s %zu\n", hr_verdict_name((enum hr_verdict)i), verdicts[i]);
        assert_true(verdicts[i] > INPUTS / 100); /* the inputs reach every verdict */
    }
    assert_true(digest == expected_digest);
}

static void
test_deciding_again_in_another_order_changes_nothing(void **state)
{
    (void)state;
    uint64_t once = digest_of(5000, 7, NULL);
    uint64_t other = digest_of(3000, 8, NULL);
    assert_true(once == digest_of(5000, 7, NULL));
    assert_true(other == digest_of(3000, 8, NULL));
    assert_true(once != other);
}

static void
test_an_input_is_not_changed_and_the_whole_answer_is_written(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (size_t i = 0; i < 2000; i++) {
        struct random_input one;
        struct hr_decision a;
        struct hr_decision b;
        const struct hr_pack *pack = policy_set_pack(set, i % 5);
        inputs_make(&seed, pack, policy_set_catalog(set), &one);
        struct random_input before = one;
        memset(&a, 0x5a, sizeof a);
        memset(&b, 0xa5, sizeof b);
        hr_decide(pack, policy_set_catalog(set), &one.input, &a);
        hr_decide(pack, policy_set_catalog(set), &one.input, &b);
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_equal(&before, &one, sizeof one);
        assert_true(a.verdict <= a.at_best); /* more knowledge never weakens the best case */
        assert_true(!a.recognize ||
                    (a.verdict >= HR_SHOULD && one.input.result.in_doubt != HR_TRUE &&
                     one.input.result.status == HR_FINAL_RESULT &&
                     one.input.result.critical == HR_FALSE));
    }
}

/* Processor time; printed, not tested. */
static void
test_the_time_of_a_decision_is_reported(void **state)
{
    (void)state;
    enum { ROUNDS = 200, CASES = 100 };
    static struct random_input inputs[CASES];
    uint64_t seed = 11;
    for (size_t i = 0; i < CASES; i++) {
        inputs_make(&seed, policy_set_pack(set, i % 5), policy_set_catalog(set), &inputs[i]);
    }
    struct timespec a;
    struct timespec b;
    struct hr_decision d;
    unsigned sum = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (size_t i = 0; i < (size_t)ROUNDS * CASES; i++) {
        hr_decide(policy_set_pack(set, i % 5), policy_set_catalog(set),
                  &inputs[i % CASES].input, &d);
        sum += d.verdict;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    int64_t ns = (int64_t)(b.tv_sec - a.tv_sec) * 1000000000 + (b.tv_nsec - a.tv_nsec);
    printf("a decision takes %lld ns (%u)\n", (long long)(ns / (ROUNDS * CASES)), sum);
}

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        void *state = NULL;
        if (load(&state) != 0) {
            return 2;
        }
        printf("%016llx\n", (unsigned long long)digest_of(INPUTS, 1, NULL));
        return unload(&state);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_digest_of_100000_decisions_is_the_one_written_here),
        cmocka_unit_test(test_deciding_again_in_another_order_changes_nothing),
        cmocka_unit_test(test_an_input_is_not_changed_and_the_whole_answer_is_written),
        cmocka_unit_test(test_the_time_of_a_decision_is_reported),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
