/* How fast trees are built and proofs are checked (PERFORMANCE 2): 2^20 leaves of
 * 110 bytes, the size of a Publish entry.  Processor time of one thread, best and
 * median of several runs. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/treebuild.h"

enum { LEAVES = 1 << 20, ENTRY_BYTES = 110, RUNS = 7, CHECKS = 20000 };

static double
now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void
report(const char *what, double seconds[RUNS], double count)
{
    qsort(seconds, RUNS, sizeof *seconds, compare);
    printf("%-34s median %8.1f ns, best %8.1f ns, %10.0f /s\n", what,
           seconds[RUNS / 2] / count * 1e9, seconds[0] / count * 1e9,
           count / seconds[RUNS / 2]);
}

int
main(void)
{
    uint8_t *data = calloc(LEAVES, ENTRY_BYTES);
    struct view *entries = calloc(LEAVES, sizeof *entries);
    struct hash *leaves = calloc(LEAVES, sizeof *leaves);
    double hash_s[RUNS], build_s[RUNS], both_s[RUNS], check_s[RUNS];
    size_t wrong = 0;

    if (data == NULL || entries == NULL || leaves == NULL) {
        return 2;
    }
    for (size_t i = 0; i < LEAVES; i++) {
        for (size_t k = 0; k < ENTRY_BYTES; k++) {
            data[i * ENTRY_BYTES + k] = (uint8_t)(i * 31 + k);
        }
        entries[i] = (struct view){data + i * ENTRY_BYTES, ENTRY_BYTES};
    }
    for (size_t run = 0; run < RUNS; run++) {
        struct tree_edge edge = {0};
        struct hash root;
        double a = now_s(), b, c, d;

        tree_leaf_hashes(entries, LEAVES, leaves);
        b = now_s();
        for (size_t i = 0; i < LEAVES; i++) {
            wrong += tree_edge_append(&edge, &leaves[i], NULL, NULL) != STATUS_OK;
        }
        tree_edge_root(&edge, &root);
        c = now_s();
        for (size_t i = 0; i < CHECKS; i++) { /* any 20 hashes cost what the right ones do */
            wrong += tree_check_inclusion(&root, LEAVES, &leaves[i], i, leaves + i, 20) !=
                     STATUS_BAD_PROOF;
        }
        d = now_s();
        hash_s[run] = b - a;
        build_s[run] = c - b;
        both_s[run] = c - a;
        check_s[run] = d - c;
    }
    report("leaf hash, 110 bytes", hash_s, LEAVES);
    report("inner nodes, for each leaf", build_s, LEAVES);
    report("whole tree, for each leaf", both_s, LEAVES);
    report("inclusion check, 20 hashes", check_s, CHECKS);
    free(data);
    free(entries);
    free(leaves);
    return wrong == 0 ? 0 : 1;
}
