/* pages.h: the pages of a store's file, read without LMDB.
 *
 * LMDB trusts its file: a damaged page makes it abort, fault or lose rows in
 * silence (RELIABILITY L1).  So every page that a look-up can reach is read
 * here first, with plain reads: numbers, kinds, bounds, order of keys, counts,
 * no page used twice or used and free, and the checks of the rows of the
 * small tables.  What is left to damage are values, which are checked by their
 * hashes when they are read.  Source of the format: lmdb 0.9, data version 1. */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include "store/store.h"

enum { STORE_PLACE_CHARS = 200, STORE_PAGES_FINDINGS_MAX = 100 };

struct store_page_finding {
    uint64_t page;
    const char *table;             /* "entries", "index" ...; "file": above all tables */
    char place[STORE_PLACE_CHARS]; /* the row that is nearest, in words; empty: unknown */
    const char *what;              /* one line, static */
};
typedef void (*store_page_fn)(void *context, const struct store_page_finding *finding);

struct store_pages_totals {
    uint64_t pages; /* in use, free ones left out */
    uint64_t rows;
    uint64_t findings;
};

/* Check the file of the store in the directory `path`.  Nobody may write
 * meanwhile: call it as the owner before the store is open, or while a read
 * transaction of it is open.  `fn` may be NULL; it is told of at most
 * STORE_PAGES_FINDINGS_MAX findings.
 *
 * STATUS_OK           whole (also when there is no row yet).
 * STATUS_CORRUPT      there were findings.
 * STATUS_NOT_FOUND    no file, or an empty one.
 * STATUS_UNSUPPORTED  a file of LMDB, but not of a kind that this program writes.
 * STATUS_NO_MEMORY, STATUS_IO (errno is set). */
MUST_USE enum status store_pages_check(const char *path, store_page_fn fn, void *context,
                                       struct store_pages_totals *totals);

#endif
