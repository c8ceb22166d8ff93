#include "store/pages.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

/* The format, as lmdb 0.9 writes it on this machine: native byte order,
 * 64-bit page numbers.  Offsets in bytes. */
enum {
    PAGE_HEAD = 16, /* number u64, pad u16, flags u16, lower u16 and upper u16 or pages u32 */
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
    NODE_HEAD = 8, /* size or number u32, flags u16, key bytes u16 */
    NODE_BIG = 1,
    NODE_TABLE = 2,
    META_BYTES = 136, /* magic, version, address u64, map u64, two tables, last u64, id u64 */
    TABLE_BYTES =
        48, /* pad u32, flags u16, depth u16, then u64: branch, leaf, overflow, rows, root */
    FREE_FLAGS = 8, /* integer keys */
    KEY_BYTES_LIMIT = 511,
    DEPTH_MAX = 16,
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 32768,
    CHECKED_VALUE_MAX = 4 * 1024 * 1024
};
#define META_MAGIC 0xBEEFC0DEu
#define NO_PAGE UINT64_MAX
#define MAP_LIMIT ((uint64_t)1 << 46)

struct table {
    uint16_t flags, depth;
    uint64_t branch, leaf, overflow, rows, root;
};

struct walk {
    int fd;
    store_page_fn fn;
    void *context;
    struct store_pages_totals *totals;
    size_t page_bytes;
    uint64_t file_pages; /* that can be read */
    uint64_t last_page;
    uint8_t *used; /* a bit a page */
    enum status status;
    /* of the table in hand */
    enum store_db db; /* DB_COUNT: the table of tables or the free list */
    bool free_list;
    const char *name;
    struct table counted;
    uint8_t *levels;      /* DEPTH_MAX pages */
    uint8_t *value;       /* CHECKED_VALUE_MAX, for rows on pages of their own */
    struct table *tables; /* DB_COUNT of them; root NO_PAGE and depth 0: not there */
    bool seen[DB_COUNT];
};

/* What findings call the tables. */
static const char *const part_names[DB_COUNT] = {
    "meta",  "log",     "log",     "note",    "entry",   "tile",  "record", "own",
    "index", "charter", "charter", "charter", "charter", "value", "blob",   "salt"};

static uint16_t
u16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t
u32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t
u64_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The row that `key` names, in words. */
static void
place_of(const struct walk *w, struct view key, char out[STORE_PLACE_CHARS])
{
    size_t n = 0;

    out[0] = '\0';
    if (w->free_list || w->db == DB_COUNT || key.count == 0) {
        return;
    }
    if ((w->db == DB_ENTRIES || w->db == DB_RECORDS || w->db == DB_OWN || w->db == DB_SALTS) &&
        key.count == STORE_LEAF_KEY_BYTES) {
        snprintf(out, STORE_PLACE_CHARS, "log number %" PRIu32 ", leaf %" PRIu64,
                 get_be32(key.bytes), get_be64(key.bytes + 4));
    } else if (w->db == DB_TILES && key.count == 13) {
        snprintf(out, STORE_PLACE_CHARS, "log number %" PRIu32 ", level %u, tile %" PRIu64,
                 get_be32(key.bytes), key.bytes[4], get_be64(key.bytes + 5));
    } else if (w->db == DB_HANDLES && key.count == STORE_HANDLE_KEY_BYTES) {
        snprintf(out, STORE_PLACE_CHARS, "log number %" PRIu32 ", leaf %" PRIu64,
                 get_be32(key.bytes + TOKEN_BYTES), get_be64(key.bytes + TOKEN_BYTES + 4));
    } else if ((w->db == DB_LOGS || w->db == DB_NOTES) && key.count >= 4) {
        snprintf(out, STORE_PLACE_CHARS, "log number %" PRIu32, get_be32(key.bytes));
    } else if (w->db == DB_ORIGINS || w->db == DB_CHARTER || w->db == DB_LISTS) {
        for (size_t i = 0; i < key.count && n < STORE_PLACE_CHARS - 1 && key.bytes[i] > ' ' &&
                           key.bytes[i] < 0x7f;
             i++) {
            out[n++] = (char)key.bytes[i];
        }
        out[n] = '\0';
    }
}

static void
found(struct walk *w, uint64_t page, struct view key, const char *what)
{
    struct store_page_finding f = {.page = page, .table = w->name, .what = what};

    w->totals->findings++;
    if (w->fn != NULL && w->totals->findings <= STORE_PAGES_FINDINGS_MAX) {
        place_of(w, key, f.place);
        w->fn(w->context, &f);
    }
}

/* Read `count` bytes at `offset`; false: not there, or w->status is set. */
static bool
read_at(struct walk *w, uint64_t offset, uint8_t *out, size_t count)
{
    while (count > 0) {
        ssize_t n = pread(w->fd, out, count, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            w->status = STATUS_IO;
            return false;
        }
        if (n == 0) {
            return false;
        }
        out += n;
        offset += (uint64_t)n;
        count -= (size_t)n;
    }
    return true;
}

/* Count the pages as used; false if one of them is used already. */
static bool
use_pages(struct walk *w, uint64_t page, uint64_t count)
{
    bool once = true;

    for (uint64_t i = page; i < page + count; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8));
        once = once && (w->used[i / 8] & bit) == 0;
        w->used[i / 8] |= bit;
    }
    return once;
}

static bool
in_file(const struct walk *w, uint64_t page, uint64_t count)
{
    return page >= 2 && count >= 1 && page <= w->last_page &&
           count <= w->last_page - page + 1 && page < w->file_pages &&
           count <= w->file_pages - page;
}

static int
compare_keys(const struct walk *w, struct view a, struct view b)
{
    size_t n = a.count < b.count ? a.count : b.count;
    int c = 0;

    if (w->free_list) {
        uint64_t x = u64_at(a.bytes), y = u64_at(b.bytes);
        return x < y ? -1 : x > y;
    }
    c = n == 0 ? 0 : memcmp(a.bytes, b.bytes, n);
    return c != 0 ? c : a.count < b.count ? -1 : a.count > b.count;
}

static struct table
read_table(const uint8_t *p)
{
    return (struct table){.flags = u16_at(p + 4),
                          .depth = u16_at(p + 6),
                          .branch = u64_at(p + 8),
                          .leaf = u64_at(p + 16),
                          .overflow = u64_at(p + 24),
                          .rows = u64_at(p + 32),
                          .root = u64_at(p + 40)};
}

/* ---- rows ------------------------------------------------------------------ */

/* A row of the free list: a count and so many page numbers, falling. */
static void
take_free(struct walk *w, uint64_t page, struct view key, struct view value)
{
    uint64_t count = value.count >= 8 ? u64_at(value.bytes) : 0, last = UINT64_MAX;

    if (value.count < 8 || value.count % 8 != 0 || count > value.count / 8 - 1) {
        found(w, page, key, "a list of free pages has another length than it says");
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t free_page = u64_at(value.bytes + 8 + 8 * i);
        if (free_page < 2 || free_page > w->last_page || free_page >= last) {
            found(w, page, key, "a list of free pages is out of order or names no page");
            return;
        }
        last = free_page;
        if (free_page < w->file_pages && !use_pages(w, free_page, 1)) {
            found(w, free_page, key, "a page is in use and free");
            return;
        }
    }
}

/* A row of the table of tables. */
static void
take_table(struct walk *w, uint64_t page, struct view key, struct view value, unsigned flags)
{
    for (int i = 0; i < DB_COUNT; i++) {
        if (views_equal(key, view_of(store_db_names[i], strlen(store_db_names[i])))) {
            if (flags != NODE_TABLE || value.count != TABLE_BYTES) {
                found(w, page, key, "a table's row is none");
                return;
            }
            w->tables[i] = read_table(value.bytes);
            w->seen[i] = true;
            return;
        }
    }
    /* Of a later version: store_open says so.  A damaged name leaves one missing. */
}

static bool
row_is_checked(const struct walk *w)
{
    switch (w->db) {
    case DB_META:
    case DB_LOGS:
    case DB_NOTES:
    case DB_CHARTER:
    case DB_LISTS:
    case DB_REFUSED:
    case DB_KV:
        return true;
    case DB_ORIGINS:
    case DB_ENTRIES:
    case DB_TILES:
    case DB_RECORDS:
    case DB_OWN:
    case DB_HANDLES:
    case DB_ROWS:
    case DB_BLOBS:
    case DB_SALTS:
    case DB_COUNT:
        break;
    }
    return false;
}

static void
take_row(struct walk *w, uint64_t page, struct view key, struct view value, unsigned flags)
{
    struct view opened;

    w->counted.rows++;
    if (w->free_list) {
        take_free(w, page, key, value);
    } else if (w->db == DB_COUNT) {
        take_table(w, page, key, value, flags);
    } else if (row_is_checked(w) && row_open(w->db, key, value, &opened) != STATUS_OK) {
        found(w, page, key, "a row differs from its check");
    }
}

/* A row whose value stands on pages of its own. */
static void
take_big_row(struct walk *w, uint64_t page, struct view key, const uint8_t *node,
             uint64_t bytes)
{
    uint8_t head[PAGE_HEAD];
    uint64_t first = u64_at(node + NODE_HEAD + key.count);
    uint64_t pages = (PAGE_HEAD - 1 + bytes) / w->page_bytes + 1;

    if (!in_file(w, first, pages)) {
        found(w, page, key, "a row's value lies outside of the file");
        w->counted.rows++;
        return;
    }
    if (!read_at(w, first * w->page_bytes, head, sizeof head)) {
        found(w, first, key, "a page cannot be read");
        return;
    }
    if (u64_at(head) != first || u16_at(head + 10) != PAGE_OVERFLOW ||
        u32_at(head + 12) != pages) {
        found(w, first, key, "a page of a row's value is none");
    } else if (!use_pages(w, first, pages)) {
        found(w, first, key, "a page is used twice");
    }
    w->counted.overflow += pages;
    if (!w->free_list && !row_is_checked(w)) {
        w->counted.rows++;
        return;
    }
    if (w->free_list && bytes > CHECKED_VALUE_MAX) {
        uint8_t *list = malloc(bytes);
        if (list != NULL && read_at(w, first * w->page_bytes + PAGE_HEAD, list, bytes)) {
            take_row(w, page, key, view_of(list, bytes), 0);
        } else if (w->status == STATUS_OK) {
            w->status = STATUS_NO_MEMORY;
        }
        free(list);
        return;
    }
    if (bytes > CHECKED_VALUE_MAX ||
        !read_at(w, first * w->page_bytes + PAGE_HEAD, w->value, bytes)) {
        found(w, first, key, "a row's value cannot be read");
        return;
    }
    take_row(w, page, key, view_of(w->value, bytes), 0);
}

/* ---- pages ------------------------------------------------------------------ */

struct bounds {
    struct view low, high; /* low <= key < high; count 0: open */
};

/* The node at place `i`, its key and the bytes it takes on the page; NULL: it
 * does not lie on the page. */
static const uint8_t *
node_at(const struct walk *w, const uint8_t *p, unsigned i, bool branch, struct view *key,
        size_t *taken)
{
    size_t at = u16_at(p + PAGE_HEAD + 2 * i), upper = u16_at(p + 14), body = 0;
    const uint8_t *node = p + at;

    if (at < upper || at % 2 != 0 || at + NODE_HEAD > w->page_bytes) {
        return NULL;
    }
    *key = view_of(node + NODE_HEAD, u16_at(node + 6));
    if (!branch) {
        body = (u16_at(node + 4) & NODE_BIG) != 0 ? 8 : u32_at(node);
    }
    if (key->count > KEY_BYTES_LIMIT || body > w->page_bytes ||
        at + NODE_HEAD + key->count + body > w->page_bytes) {
        return NULL;
    }
    *taken = (NODE_HEAD + key->count + body + 1) & ~(size_t)1;
    return node;
}

/* Shape, order and room of the nodes of one page. */
static bool
page_is_whole(struct walk *w, uint64_t page, const uint8_t *p, bool branch,
              const struct bounds *b)
{
    unsigned lower = u16_at(p + 12), upper = u16_at(p + 14);
    unsigned count = lower < PAGE_HEAD ? 0 : (lower - PAGE_HEAD) / 2;
    struct view last = view_of(NULL, 0), key;
    size_t taken, all = 0;

    if (lower < PAGE_HEAD || lower % 2 != 0 || lower > upper || upper > w->page_bytes ||
        count < (branch && !w->free_list ? 2u : 1u)) {
        found(w, page, b->low, "a page's bounds are wrong");
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (node_at(w, p, i, branch, &key, &taken) == NULL) {
            found(w, page, last.count > 0 ? last : b->low, "a row lies outside of its page");
            return false;
        }
        all += taken;
        if (branch && i == 0) {
            continue; /* The first key of a branch page is not looked at. */
        }
        if (key.count == 0 || (w->free_list && key.count != 8)) {
            found(w, page, b->low, "a key has a wrong length");
            return false;
        }
        if ((last.count > 0 && compare_keys(w, last, key) >= 0) ||
            (b->low.count > 0 && compare_keys(w, key, b->low) < 0) ||
            (b->high.count > 0 && compare_keys(w, key, b->high) >= 0)) {
            found(w, page, key, "keys are out of order");
            return false;
        }
        last = key;
    }
    if (all != w->page_bytes - upper) {
        found(w, page, b->low, "rows overlap, or one was lost");
        return false;
    }
    return true;
}

static void
walk_leaf(struct walk *w, uint64_t page, const uint8_t *p)
{
    unsigned count = (u16_at(p + 12) - (unsigned)PAGE_HEAD) / 2;
    struct view key;
    size_t taken;

    for (unsigned i = 0; i < count && w->status == STATUS_OK; i++) {
        const uint8_t *node = node_at(w, p, i, false, &key, &taken);
        assert(node != NULL);
        unsigned flags = u16_at(node + 4);
        if (flags == NODE_BIG) {
            take_big_row(w, page, key, node, u32_at(node));
        } else if (flags == 0 || (flags == NODE_TABLE && w->db == DB_COUNT && !w->free_list)) {
            take_row(w, page, key, view_of(node + NODE_HEAD + key.count, u32_at(node)), flags);
        } else {
            w->counted.rows++;
            found(w, page, key, "a row has flags that none has");
        }
    }
}

static void
walk_page(struct walk *w, uint64_t page, unsigned depth, unsigned depth_whole, struct bounds b)
{
    uint8_t *p = w->levels + depth * w->page_bytes;
    unsigned want = depth + 1 < depth_whole ? PAGE_BRANCH : PAGE_LEAF;

    if (!in_file(w, page, 1)) {
        found(w, page, b.low, "a page lies outside of the file");
        return;
    }
    if (!use_pages(w, page, 1)) {
        found(w, page, b.low, "a page is used twice");
        return;
    }
    if (!read_at(w, page * w->page_bytes, p, w->page_bytes)) {
        found(w, page, b.low, "a page cannot be read");
        return;
    }
    if (u64_at(p) != page || u16_at(p + 10) != want) {
        found(w, page, b.low, "a page is another one, or of another kind");
        return;
    }
    if (!page_is_whole(w, page, p, want == PAGE_BRANCH, &b)) {
        return;
    }
    if (want == PAGE_LEAF) {
        w->counted.leaf++;
        walk_leaf(w, page, p);
        return;
    }
    w->counted.branch++;
    unsigned count = (u16_at(p + 12) - (unsigned)PAGE_HEAD) / 2;
    for (unsigned i = 0; i < count && w->status == STATUS_OK; i++) {
        struct view key, next = view_of(NULL, 0);
        size_t taken;
        const uint8_t *node = node_at(w, p, i, true, &key, &taken);
        if (i + 1 < count) {
            (void)node_at(w, p, i + 1, true, &next, &taken);
        }
        walk_page(w, u32_at(node) | (uint64_t)u16_at(node + 4) << 32, depth + 1, depth_whole,
                  (struct bounds){i == 0 ? b.low : key, i + 1 < count ? next : b.high});
    }
}

static void
walk_table(struct walk *w, const struct table *t, unsigned flags)
{
    const struct view none = view_of(NULL, 0);
    uint64_t before = w->totals->findings;

    memset(&w->counted, 0, sizeof w->counted);
    if (t->flags != flags || t->depth > DEPTH_MAX || (t->root == NO_PAGE) != (t->depth == 0)) {
        found(w, t->root, none, "a table's row is damaged");
        return;
    }
    if (t->root != NO_PAGE) {
        walk_page(w, t->root, 0, t->depth, (struct bounds){none, none});
    }
    w->totals->pages += w->counted.branch + w->counted.leaf + w->counted.overflow;
    w->totals->rows += w->counted.rows;
    if (w->status == STATUS_OK && w->totals->findings == before &&
        (w->counted.branch != t->branch || w->counted.leaf != t->leaf ||
         w->counted.overflow != t->overflow || w->counted.rows != t->rows)) {
        found(w, t->root, none, "a table has other pages or rows than it says");
    }
}

/* ---- the file ------------------------------------------------------------------ */

/* One of the two first pages; false: damaged (told). */
static bool
read_meta(struct walk *w, unsigned which, uint8_t out[PAGE_HEAD + META_BYTES])
{
    const uint8_t *m = out + PAGE_HEAD;
    const struct view none = view_of(NULL, 0);

    if (!read_at(w, which * w->page_bytes, out, PAGE_HEAD + META_BYTES)) {
        found(w, which, none, "the file is cut short");
        return false;
    }
    if (u64_at(out) != which || u16_at(out + 10) != PAGE_META || u32_at(m) != META_MAGIC ||
        u32_at(m + 4) != 1 || u32_at(m + 24) != w->page_bytes || u64_at(m + 8) != 0 ||
        u64_at(m + 16) > MAP_LIMIT || u64_at(m + 16) % w->page_bytes != 0) {
        found(w, which, none, "the head of the file is damaged");
        return false;
    }
    return true;
}

/* The newer head.  Each commit writes the one whose number is the parity of its
 * own, so that the two are neighbours: else one was altered. */
static bool
choose_meta(struct walk *w, uint8_t out[PAGE_HEAD + META_BYTES])
{
    uint8_t other[PAGE_HEAD + META_BYTES];
    const struct view none = view_of(NULL, 0);

    if (!read_meta(w, 0, out) || !read_meta(w, 1, other)) {
        return false;
    }
    uint64_t even = u64_at(out + PAGE_HEAD + 128), odd = u64_at(other + PAGE_HEAD + 128);
    if (!(even == 0 && odd == 0) && even + 1 != odd && odd + 1 != even) {
        found(w, 0, none, "the two heads of the file are not neighbours");
        return false;
    }
    if (odd > even) {
        memcpy(out, other, sizeof other);
    }
    w->last_page = u64_at(out + PAGE_HEAD + 120);
    if (w->last_page < 1 || w->last_page >= u64_at(out + PAGE_HEAD + 16) / w->page_bytes) {
        found(w, 0, none, "the head of the file is damaged");
        return false;
    }
    return true;
}

static void
walk_file(struct walk *w)
{
    uint8_t meta[PAGE_HEAD + META_BYTES];
    struct table free_table, main_table;

    if (!choose_meta(w, meta)) {
        return;
    }
    w->used = calloc(1, (size_t)(w->file_pages / 8 + 1));
    w->levels = malloc(DEPTH_MAX * w->page_bytes);
    w->value = malloc(CHECKED_VALUE_MAX);
    w->tables = calloc(DB_COUNT, sizeof *w->tables);
    if (w->used == NULL || w->levels == NULL || w->value == NULL || w->tables == NULL) {
        w->status = STATUS_NO_MEMORY;
        return;
    }
    free_table = read_table(meta + PAGE_HEAD + 24);
    main_table = read_table(meta + PAGE_HEAD + 24 + TABLE_BYTES);
    walk_table(w, &main_table, 0);
    if (w->status == STATUS_OK && w->totals->findings == 0 && main_table.rows > 0 &&
        !w->seen[DB_META]) {
        w->status = STATUS_UNSUPPORTED;
    }
    for (int i = 0; i < DB_COUNT && w->status == STATUS_OK; i++) {
        w->db = (enum store_db)i;
        w->name = part_names[i];
        if (w->seen[i]) {
            walk_table(w, &w->tables[i], 0);
        } else if (main_table.rows > 0) {
            found(w, main_table.root, view_of(NULL, 0), "the table is missing");
        }
    }
    w->db = DB_COUNT;
    w->name = "free list";
    w->free_list = true;
    if (w->status == STATUS_OK) { /* Last: it then meets what is in use. */
        walk_table(w, &free_table, FREE_FLAGS);
    }
}

/* The page size stands in the head; both heads are tried, the second at each
 * size that there is. */
static bool
find_page_bytes(struct walk *w, uint64_t file_bytes)
{
    uint8_t head[PAGE_HEAD + META_BYTES];

    for (size_t n = 0; n <= PAGE_BYTES_MAX; n = n == 0 ? PAGE_BYTES_MIN : 2 * n) {
        if (read_at(w, n, head, sizeof head) && u32_at(head + PAGE_HEAD) == META_MAGIC) {
            uint32_t bytes = u32_at(head + PAGE_HEAD + 24);
            if (bytes >= PAGE_BYTES_MIN && bytes <= PAGE_BYTES_MAX &&
                (bytes & (bytes - 1)) == 0 && (n == 0 || n == bytes)) {
                w->page_bytes = bytes;
                w->file_pages = file_bytes / bytes;
                return true;
            }
        }
    }
    return false;
}

enum status
store_pages_check(const char *path, store_page_fn fn, void *context,
                  struct store_pages_totals *totals)
{
    struct walk w = {.fd = -1,
                     .fn = fn,
                     .context = context,
                     .totals = totals,
                     .db = DB_COUNT,
                     .name = "file"};
    char file[4096];
    struct stat info;

    memset(totals, 0, sizeof *totals);
    if ((size_t)snprintf(file, sizeof file, "%s/data.mdb", path) >= sizeof file) {
        return STATUS_TOO_BIG;
    }
    if ((w.fd = open(file, O_RDONLY | O_CLOEXEC)) < 0) {
        return errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    }
    if (fstat(w.fd, &info) != 0) {
        w.status = STATUS_IO;
    } else if (info.st_size == 0) {
        w.status = STATUS_NOT_FOUND;
    } else if (find_page_bytes(&w, (uint64_t)info.st_size)) {
        walk_file(&w);
    } else if (w.status == STATUS_OK) {
        found(&w, 0, view_of(NULL, 0), "the file is no store, or its heads are damaged");
    }
    free(w.used);
    free(w.levels);
    free(w.value);
    free(w.tables);
    int saved = errno;
    (void)close(w.fd);
    errno = saved;
    return w.status != STATUS_OK ? w.status : totals->findings > 0 ? STATUS_CORRUPT : STATUS_OK;
}
