/* decide.c: how a HIS asks libhuren-policy, from nothing but libc.
 *
 * usage: policy_example CATALOG PACK
 * Both files are written by `huren policy export DIR`.  Build it with
 *   cc decide.c $(pkg-config --cflags --libs huren-policy)
 *
 * The doctor of a secondary hospital in Hubei is about to order potassium; a
 * result of a tertiary hospital, four days old, is at hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <policy.h>

/* Read a file whole; the program ends when it cannot. */
static char *
read_file(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    char *bytes = malloc(HR_PACK_TEXT_BYTES_MAX);
    if (in == NULL || bytes == NULL) {
        fprintf(stderr, "policy_example: %s cannot be read\n", path);
        exit(2);
    }
    *size = fread(bytes, 1, HR_PACK_TEXT_BYTES_MAX, in);
    fclose(in);
    return bytes;
}

static struct hr_text
text(const char *s)
{
    return (struct hr_text){s, strlen(s)};
}

int
main(int argc, char **argv)
{
    struct hr_load_error error = {0, ""};
    size_t catalog_size = 0;
    size_t pack_size = 0;
    if (argc != 3) {
        fputs("usage: policy_example CATALOG PACK\n", stderr);
        return 2;
    }
    char *catalog_text = read_file(argv[1], &catalog_size);
    char *pack_text = read_file(argv[2], &pack_size);
    size_t catalog_bytes = hr_catalog_memory_bytes(catalog_text, catalog_size);
    size_t pack_bytes = hr_pack_memory_bytes(pack_text, pack_size);
    void *catalog_memory = malloc(catalog_bytes);
    void *pack_memory = malloc(pack_bytes);
    if (catalog_memory == NULL || pack_memory == NULL) {
        return 2;
    }
    const struct hr_catalog *catalog =
        hr_catalog_load(catalog_text, catalog_size, catalog_memory, catalog_bytes, &error);
    const struct hr_pack *pack =
        catalog == NULL ? NULL
                        : hr_pack_load(pack_text, pack_size, pack_memory, pack_bytes, &error);
    if (pack == NULL) {
        fprintf(stderr, "policy_example: line %zu: %s\n", error.line, error.reason);
        return 2;
    }

    /* What the HIS knows.  A zeroed member is unknown. */
    const struct hr_period listed[] = {{HR_LISTED, {false, 0}, {false, 0}}};
    const struct hr_round rounds[] = {
        {HR_PROVINCIAL, hr_date_parse(text("2025-09-10")), true},
        {HR_NATIONAL, hr_date_parse(text("2026-03-12")), true},
    };
    const struct hr_text marks[] = {text("★")};
    struct hr_policy_input input = {
        .at = hr_time_parse(text("2026-05-10T09:30:00+08:00")),
        .in_force_from = hr_date_parse(text("2024-01-01")),
        .item = text("LAB.K"),
        .issuer = {.territory = text("420100"),
                   .level = HR_TERTIARY,
                   .ownership = HR_PUBLIC,
                   .alliances_known = true,
                   .listing_known = true,
                   .period_count = 1,
                   .periods = listed},
        .receiver = {.territory = text("420500"),
                     .level = HR_SECONDARY,
                     .ownership = HR_PUBLIC,
                     .alliances_known = true,
                     .listing_known = true,
                     .period_count = 1,
                     .periods = listed},
        .result = {.examined_at = hr_time_parse(text("2026-05-06T08:00:00+08:00")),
                   .status = HR_FINAL_RESULT,
                   .critical = HR_FALSE,
                   .marks_known = true,
                   .mark_count = 1,
                   .marks = marks},
        .quality = {.known = true, .rounds_known = true, .round_count = 2, .rounds = rounds},
    };
    struct hr_decision decision;
    hr_decide(pack, catalog, &input, &decision);

    printf("verdict %s: %s\n", hr_verdict_name(decision.verdict),
           hr_verdict_words(decision.verdict, true));
    for (int i = 0; i < HR_CHECK_COUNT; i++) {
        enum hr_check check = (enum hr_check)i;
        const struct hr_rule *rule = hr_pack_check_rule(pack, check);
        if (rule != NULL && decision.checks[i] != HR_TRUE) {
            printf("  %s is %s (%.*s)\n", hr_check_name(check),
                   hr_value_name(decision.checks[i]), (int)rule->citation.size,
                   rule->citation.bytes);
        }
    }
    for (size_t i = 0; i < decision.recognized_count; i++) {
        printf("  if recognized: %.*s\n", (int)decision.if_recognized[i]->rule.en.size,
               decision.if_recognized[i]->rule.en.bytes);
    }
    free(pack_memory);
    free(catalog_memory);
    free(pack_text);
    free(catalog_text);
    return 0;
}
