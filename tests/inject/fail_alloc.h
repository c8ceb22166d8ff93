/* fail_alloc.h: allocations that fail on purpose (RELIABILITY F7).
 *
 * A shared library whose malloc, calloc, realloc and friends come before those of libc: by
 * LD_PRELOAD in front of the real binary, or linked to a test.  In a binary it does what the
 * environment says, counting from just before main:
 *   HR_FAIL_ALLOC=N    the N-th allocation fails, once
 *   HR_FAIL_ALLOC=N+   it and all that follow fail
 *   HR_FAIL_WAYS=FILE  for each allocation 8 bytes that name the calls which led to it
 *   HR_FAIL_TRACE=FILE where the first failure was is written there
 * A child of fork goes on counting by itself.  Two places of nng are spared (see there). */
#ifndef TESTS_INJECT_FAIL_ALLOC_H
#define TESTS_INJECT_FAIL_ALLOC_H

#include <stdbool.h>

/* Let the n-th allocation from now on fail; with `forever` all after it, too. */
void fail_alloc_arm(long n, bool forever);

/* Nothing fails any more.  Returns how many failed since fail_alloc_arm. */
long fail_alloc_disarm(void);

/* Does this thread's part count, and fail?  A test's own bookkeeping does not. */
void fail_alloc_spare(bool spare);

/* Allocations that were made and not yet freed, since the process began. */
long fail_alloc_live(void);

#endif
