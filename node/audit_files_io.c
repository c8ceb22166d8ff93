/* audit_files_io.c: a log as static files, in the child (audit_child_io.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/checkpoint.h"
#include "node/audit_child_io.h"
#include "node/charter_store_io.h"
#include "node/engine.h"
#include "node/origin.h"
#include "proto/text.h"
#include "store/kv.h"

struct files_audit {
    const struct audit_work *work;
    struct audit_sink sink;
    struct audit_keys keys;
    struct audit_log log;
    char error[512]; /* of the last file that could not be read */
};

static enum status
read_whole(struct files_audit *a, const char *path, size_t max, uint8_t **bytes, size_t *count)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status st = STATUS_OK;

    *bytes = NULL;
    *count = 0;
    if (fd < 0 && errno == ENOENT) {
        return STATUS_NOT_FOUND;
    }
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        snprintf(a->error, sizeof a->error, "%.300s: %.150s", path,
                 fd < 0 ? strerror(errno) : "not a regular file");
        st = STATUS_IO;
    } else if (info.st_size < 0 || (uint64_t)info.st_size > max) {
        st = STATUS_TOO_BIG;
    } else if ((*bytes = malloc((size_t)info.st_size + 1)) == NULL) {
        st = STATUS_NO_MEMORY;
    }
    while (st == STATUS_OK && *count < (size_t)info.st_size) {
        ssize_t n = read(fd, *bytes + *count, (size_t)info.st_size - *count);
        if (n < 0 && errno != EINTR) {
            snprintf(a->error, sizeof a->error, "%.300s: %.150s", path, strerror(errno));
            st = STATUS_IO;
        } else if (n == 0) {
            break; /* cut meanwhile */
        }
        *count += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (st != STATUS_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return st;
}

static enum status
read_file(void *context, const char *name, size_t max, uint8_t **bytes, size_t *count)
{
    struct files_audit *a = context;
    char path[HOME_IO_PATH_CHARS];

    *bytes = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", a->work->path, name) >= sizeof path) {
        return STATUS_TOO_BIG;
    }
    return read_whole(a, path, max, bytes, count);
}

static bool
progress(void *context, uint64_t done, uint64_t size)
{
    struct files_audit *a = context;

    (void)size;
    (void)audit_at(a->work, 1, "entry", text_view(a->log.origin), done);
    return true;
}

/* ---- what the home knows of this log ---- */

static void
know(struct files_audit *a, const char *name, uint64_t size, const struct hash *root)
{
    struct audit_log *log = &a->log;

    if (size > 0 && log->known_count < AUDIT_KNOWN_MAX) {
        log->known[log->known_count++] =
            (struct audit_known){.name = name, .size = size, .root = *root};
    }
}

/* A head that stands in a note, if a key of the log signed it. */
static void
know_note(struct files_audit *a, const char *name, struct view bytes)
{
    struct note note;
    struct checkpoint head;
    struct note_verified verified;
    bool by_log = false;

    if (note_parse(bytes, &note) == STATUS_OK &&
        checkpoint_parse(note.text, &head) == STATUS_OK &&
        text_is(head.origin, a->log.origin) &&
        note_verify(&note, a->keys.keys, a->keys.count, INT64_MAX, &verified) == STATUS_OK) {
        for (size_t i = 0; i < verified.count; i++) {
            by_log = by_log || verified.signers[i].key < a->keys.log_count;
        }
        if (by_log) {
            know(a, name, head.size, &head.root);
        }
    }
}

static void
know_log(struct files_audit *a, struct store_txn *txn, const struct origin *o)
{
    static const struct {
        enum store_note kind;
        const char *name;
    } notes[] = {{STORE_NOTE_HEAD, "the newest head that this home has"},
                 {STORE_NOTE_COSIGNED, "the cosigned head that this home has"},
                 {STORE_NOTE_WITNESSED, "the head that this home cosigned"}};
    struct store_log log;
    struct view note;
    struct hash root;

    if (store_log_find(txn, text_view(a->log.origin), &log) == STATUS_OK) {
        uint64_t size = log.size < a->log.size ? log.size : a->log.size;
        if (size > 0 && store_root_at(txn, log.id, size, &root) == STATUS_OK) {
            know(a, "the copy of this home", size, &root);
        }
        for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
            if (store_note_get(txn, log.id, notes[i].kind, &note) == STATUS_OK) {
                know_note(a, notes[i].name, note);
            }
        }
    }
    if (store_kv_get(txn, SPACE_RECEIPT, text_view(o->network), text_view(o->institution),
                     &note) == STATUS_OK) {
        know_note(a, "the receipt that this home has", note);
    }
}

/* Keys and heads from the home; none if there is no home. */
static void
ask_home(struct files_audit *a)
{
    struct store_options options = {.read_only = true};
    char reason[CHARTER_REASON_CHARS], path[HOME_IO_PATH_CHARS];
    struct store *store = NULL;
    struct store_txn *txn = NULL;
    struct charter *charter = NULL;
    struct origin o;
    struct view origin = text_view(a->log.origin);

    if (origin_parse(origin, &o) != STATUS_OK || !home_io_is_home(a->work->home) ||
        home_io_path(a->work->home, "store", path) != STATUS_OK) {
        return;
    }
    enum status st = store_open(path, &options, &store);
    st = st == STATUS_OK ? store_begin_read(store, &txn) : st;
    if (st == STATUS_OK && charter_store_load(txn, o.network, &charter, reason) == STATUS_OK) {
        audit_keys_of(charter, origin, NULL, &a->keys);
    }
    if (a->work->vkey != NULL) { /* named by hand: it alone counts for the log */
        struct note_key key;
        if (note_key_parse(text_view(a->work->vkey), &key) == STATUS_OK) {
            memmove(&a->keys.keys[1], &a->keys.keys[a->keys.log_count],
                    (a->keys.count - a->keys.log_count) * sizeof key);
            a->keys.count = a->keys.count - a->keys.log_count + 1;
            a->keys.keys[0] = key;
            a->keys.log_count = 1;
        }
    }
    if (st == STATUS_OK) {
        know_log(a, txn, &o);
    } else {
        audit_report(&a->sink, AUDIT_UNKNOWN, "home", text_view(""), NULL,
                     "the home %s cannot be read: %s", a->work->home, status_text(st));
    }
    charter_free(charter);
    store_abort(txn);
    store_close(store);
}

json_t *
audit_log_files(const struct audit_work *w)
{
    struct files_audit *a = calloc(1, sizeof *a);
    struct note_key key;

    if (a == NULL || w->from > 0) {
        free(a);
        return json_object();
    }
    a->work = w;
    a->sink = (struct audit_sink){.finding = audit_tell, .context = (void *)(uintptr_t)w};
    a->log = (struct audit_log){
        .read = read_file, .context = a, .keys = &a->keys, .progress = progress};
    enum status st = audit_log_head(&a->log);
    if (st == STATUS_OK && w->vkey != NULL &&
        note_key_parse(text_view(w->vkey), &key) == STATUS_OK) {
        a->keys = (struct audit_keys){.count = 1, .log_count = 1, .keys = {key}};
    }
    if (st == STATUS_OK) {
        ask_home(a);
        st = audit_log(&a->log, &a->sink);
    }
    if (st != STATUS_OK) {
        audit_report(&a->sink, st == STATUS_MALFORMED ? AUDIT_DAMAGE : AUDIT_UNKNOWN, "head",
                     text_view(a->log.origin), NULL, "%s",
                     st == STATUS_NOT_FOUND   ? "there is no file checkpoint"
                     : st == STATUS_MALFORMED ? "the file checkpoint is none"
                     : a->error[0] != '\0'    ? a->error
                                              : status_text(st));
    }
    json_t *counts =
        json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "log", a->log.origin, "size",
                  (json_int_t)a->log.size, "entries", (json_int_t)a->log.entries, "tiles",
                  (json_int_t)a->log.tiles, "heads", (json_int_t)a->sink.heads, "cosignatures",
                  (json_int_t)a->sink.cosignatures, "damages", (json_int_t)a->sink.damages,
                  "contradictions", (json_int_t)a->sink.contradictions);
    free(a);
    return counts;
}
