#include "node/import_io.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/normalise_print.h"
#include "proto/limits.h"
#include "proto/text.h"

enum {
    PART_REPORTS = 500,
    PART_BYTES = 8 * 1024 * 1024,
    RETRY_AT_ONCE = 64,
    RETRY_BYTES = 64 * 1024 * 1024
};

struct waiting {
    uint8_t *bytes;
    size_t count;
    char *source; /* file:record */
    char *report_id;
    char *json; /* with --json: the report as --dry-run prints it */
    bool never; /* not sent: `why` says why */
    char *why;
};

struct importer {
    struct cli *cli;
    struct caller *caller;
    const char *network;
    struct waiting waiting[PART_REPORTS];
    size_t count, bytes;
    json_t *reports; /* of the part */
    struct import_counts counts;
    /* answer of the call under way */
    char *lines;
    size_t lines_count;
    struct view *blobs; /* malloced copies, of retry */
    char *names[RETRY_AT_ONCE];
    size_t blob_count, blob_bytes;
    bool blobs_full; /* the rest is for the next page */
    bool lost;       /* a part could not be stored */
};

struct importer *
importer_open(struct cli *cli, const char *network)
{
    struct importer *im = calloc(1, sizeof *im);
    if (im == NULL) {
        return NULL;
    }
    im->cli = cli;
    im->network = network;
    im->caller = caller_open(cli);
    im->reports = json_array();
    if (im->caller == NULL || im->reports == NULL) {
        importer_close(im);
        return NULL;
    }
    return im;
}

static void
waiting_free(struct waiting *w)
{
    free(w->bytes);
    free(w->source);
    free(w->report_id);
    free(w->json);
    free(w->why);
}

static void
forget_part(struct importer *im)
{
    for (size_t i = 0; i < im->count; i++) {
        waiting_free(&im->waiting[i]);
    }
    im->count = 0;
    im->bytes = 0;
    json_array_clear(im->reports);
}

void
importer_close(struct importer *im)
{
    if (im == NULL) {
        return;
    }
    forget_part(im);
    caller_close(im->caller);
    json_decref(im->reports);
    free(im->lines);
    free(im);
}

const struct import_counts *
importer_counts(const struct importer *im)
{
    return &im->counts;
}

/* ---- the sink of our calls ---- */

static void
take_text(void *ctx, bool err, const char *text, size_t n)
{
    struct importer *im = ctx;
    if (err) {
        fwrite(text, 1, n, im->cli->err);
        return;
    }
    char *more = realloc(im->lines, im->lines_count + n + 1);
    if (more != NULL) {
        memcpy(more + im->lines_count, text, n);
        im->lines = more;
        im->lines_count += n;
        im->lines[im->lines_count] = '\0';
    }
}

static void
take_blob(void *ctx, const char *name, struct view bytes)
{
    struct importer *im = ctx;
    if (im->blobs == NULL || im->blob_count == RETRY_AT_ONCE ||
        (im->blob_count > 0 && bytes.count > RETRY_BYTES - im->blob_bytes)) {
        im->blobs_full = true;
    }
    if (im->blobs_full) {
        return;
    }
    uint8_t *copy = malloc(bytes.count + 1);
    char *label = malloc(strlen(name) + 1);
    if (copy == NULL || label == NULL) {
        free(copy);
        free(label);
        im->blobs_full = true;
        return;
    }
    if (bytes.count > 0) {
        memcpy(copy, bytes.bytes, bytes.count);
    }
    memcpy(label, name, strlen(name) + 1);
    im->blob_bytes =
        bytes.count < RETRY_BYTES - im->blob_bytes ? im->blob_bytes + bytes.count : RETRY_BYTES;
    im->names[im->blob_count] = label;
    im->blobs[im->blob_count++] = (struct view){copy, bytes.count};
}

static void
take_done(void *ctx, int exit_code)
{
    (void)ctx;
    (void)exit_code;
}

static int
make_call(struct importer *im, const char *command, json_t *args, const struct view *blobs,
          size_t count)
{
    struct call_sink sink = {im, take_text, take_blob, take_done};
    if (im->network != NULL) {
        json_object_set_new(args, "network", json_string(im->network));
    }
    struct call call = {.command = command, .args = args, .blobs = blobs, .blob_count = count};
    free(im->lines);
    im->lines = NULL;
    im->lines_count = 0;
    return caller_run(im->caller, &call, &sink);
}

/* ---- reports ---- */

static void
count_outcome(struct importer *im, const char *outcome)
{
    if (strcmp(outcome, "published") == 0) {
        im->counts.published++;
    } else if (strcmp(outcome, "corrected") == 0) {
        im->counts.corrected++;
    } else if (strcmp(outcome, "withdrawn") == 0) {
        im->counts.withdrawn++;
    } else if (strcmp(outcome, "repeat") == 0) {
        im->counts.repeats++;
    } else {
        im->counts.kept_out++;
    }
}

static const char *
outcome_words(const char *outcome)
{
    static const struct {
        const char *outcome, *words;
    } list[] = {{"repeat", "there already, nothing to do"},
                {"stale", "older than what is published, or withdrawn since: not taken"},
                {"no_identifier", "not published: no valid number of the patient that other "
                                  "hospitals know"},
                {"no_time", "not published: it does not say when it was examined"},
                {"not_published", "not published"},
                {"nothing", "withdraws something that was never published"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (strcmp(list[i].outcome, outcome) == 0) {
            return list[i].words;
        }
    }
    return outcome;
}

static void
print_outcome(struct importer *im, const struct waiting *w, const char *outcome,
              const char *reason)
{
    char source[400];
    char id[200];
    text_show(text_view(w->source), source, sizeof source);
    text_show(text_view(w->report_id), id, sizeof id);
    if (im->cli->json) {
        json_t *o = w->json == NULL ? NULL : json_loads(w->json, 0, NULL);
        o = o == NULL ? json_object() : o;
        json_object_set_new(o, "outcome", json_string(outcome));
        json_object_set_new(o, "reason", json_string(reason));
        json_dumpf(o, im->cli->out, JSON_COMPACT);
        fputc('\n', im->cli->out);
        json_decref(o);
        return;
    }
    fprintf(im->cli->out, "%s: report %s: %s%s%s\n", source, id, outcome_words(outcome),
            reason[0] == '\0' ? "" : ": ", reason);
}

/* Read the answer, a line for each report that was sent; returns for how many of
 * the part it is known what became of them. */
static size_t
read_answer(struct importer *im)
{
    char *line = im->lines;
    for (size_t i = 0; i < im->count; i++) {
        struct waiting *w = &im->waiting[i];
        if (w->never) {
            im->counts.kept_out++;
            print_outcome(im, w, "not_published", w->why);
            continue;
        }
        char *end = line == NULL ? NULL : strchr(line, '\n');
        json_t *o = end == NULL ? NULL : json_loadb(line, (size_t)(end - line), 0, NULL);
        const char *outcome = json_string_value(json_object_get(o, "outcome"));
        const char *reason = json_string_value(json_object_get(o, "reason"));
        if (outcome == NULL) {
            json_decref(o);
            return i;
        }
        count_outcome(im, outcome);
        print_outcome(im, w, outcome, reason == NULL ? "" : reason);
        json_decref(o);
        line = end + 1;
    }
    return im->count;
}

bool
importer_flush(struct importer *im)
{
    struct view blobs[PART_REPORTS];
    size_t sent = 0;
    bool ok = true;
    for (size_t i = 0; i < im->count; i++) {
        if (!im->waiting[i].never) {
            blobs[sent++] = (struct view){im->waiting[i].bytes, im->waiting[i].count};
        }
    }
    if (im->count > 0) {
        json_t *args = json_object();
        json_object_set(args, "reports", im->reports);
        ok = sent == 0 || make_call(im, "publish", args, blobs, sent) == CLI_YES;
        json_decref(args);
        size_t known = ok ? read_answer(im) : 0;
        ok = known == im->count;
        im->counts.failed += (uint32_t)(im->count - known);
        im->lost = im->lost || !ok;
        fflush(im->cli->out);
    }
    forget_part(im);
    return ok;
}

/* Copy a text; NULL becomes the empty one. */
static char *
copy_text(const char *s)
{
    size_t n = s == NULL ? 0 : strlen(s);
    char *copy = malloc(n + 1);
    if (copy != NULL) {
        memcpy(copy, s == NULL ? "" : s, n + 1);
    }
    return copy;
}

enum status
importer_report(struct importer *im, const struct normalised *n)
{
    if (im->count == PART_REPORTS || im->bytes > PART_BYTES) {
        if (!importer_flush(im)) {
            return STATUS_UNAVAILABLE;
        }
    }
    /* Only under numbers that are valid everywhere may a report be published. */
    Hr__Report report = *n->report;
    Hr__Patient patient = *n->report->patient;
    Hr__Identifier *usable[REPORT_IDENTIFIERS_MAX];
    patient.n_identifiers = 0;
    patient.identifiers = usable;
    report.patient = &patient;
    for (size_t i = 0; i < n->report->patient->n_identifiers; i++) {
        if (n->usable[i]) {
            usable[patient.n_identifiers++] = n->report->patient->identifiers[i];
        }
    }
    struct waiting w = {.count = hr__report__get_packed_size(&report)};
    char source[512];
    const char *why = NULL;
    snprintf(source, sizeof source, "%s:%u", n->file, n->record);
    if (n->action == NORMALISE_HOLD || n->action == NORMALISE_IGNORE) {
        why = n->action_reason != NULL ? n->action_reason : normalise_action_text(n->action);
    } else if (w.count > REPORT_BYTES_MAX) {
        why = "larger than a sealed report may be";
    }
    w.never = why != NULL;
    w.why = copy_text(why);
    w.bytes = malloc(w.never ? 1 : w.count + 1);
    w.source = copy_text(source);
    w.report_id = copy_text(n->report->report_id);
    w.json = im->cli->json ? normalised_json(n) : NULL;
    if (w.why == NULL || w.bytes == NULL || w.source == NULL || w.report_id == NULL ||
        (im->cli->json && w.json == NULL) ||
        (!w.never &&
         json_array_append_new(im->reports,
                               json_pack("{s:i}", "withdraw", (int)n->withdraw_reason)) != 0)) {
        waiting_free(&w);
        return STATUS_NO_MEMORY;
    }
    if (!w.never) {
        hr__report__pack(&report, w.bytes);
        im->bytes += w.count;
    }
    im->bytes += w.json == NULL ? 0 : strlen(w.json);
    im->waiting[im->count++] = w;
    return STATUS_OK;
}

/* ---- quarantine ---- */

enum status
importer_problem(struct importer *im, const struct problem *p)
{
    if (p->kind != PROBLEM_REFUSED || p->raw.count == 0) {
        return STATUS_OK;
    }
    char file[400]; /* a file may have any name */
    text_show(text_view(p->file), file, sizeof file);
    json_t *args = json_pack("{s:s,s:I,s:s}", "file", file, "record", (json_int_t)p->record,
                             "reason", p->reason);
    int exit_code = args == NULL ? CLI_TROUBLE : make_call(im, "quarantine", args, &p->raw, 1);
    json_decref(args);
    im->counts.quarantined += exit_code == CLI_YES;
    return exit_code == CLI_YES ? STATUS_OK : STATUS_UNAVAILABLE;
}

static void
forget_records(struct importer *im)
{
    for (size_t i = 0; i < im->blob_count; i++) {
        free(im->names[i]);
        free((void *)(uintptr_t)im->blobs[i].bytes);
    }
    im->blob_count = 0;
    im->blob_bytes = 0;
    im->blobs_full = false;
}

/* Drop from the quarantine what was taken in. */
static bool
drop_records(struct importer *im, json_t *hashes)
{
    json_t *args = json_object();
    json_object_set(args, "hashes", hashes);
    bool ok = json_array_size(hashes) == 0 ||
              make_call(im, "quarantine-drop", args, NULL, 0) == CLI_YES;
    json_decref(args);
    return ok;
}

bool
importer_retry(struct importer *im, importer_retry_fn each, void *user)
{
    struct view blobs[RETRY_AT_ONCE];
    json_t *after = json_string("");
    bool ok = importer_flush(im); /* what was waiting is no part of it */
    im->blobs = blobs;
    im->lost = false;
    do { /* a page of records; the next one begins after its last */
        json_t *args = json_object();
        json_t *drop = json_array();
        json_object_set(args, "after", after);
        forget_records(im);
        ok = ok && make_call(im, "quarantine-list", args, NULL, 0) == CLI_YES;
        json_decref(args);
        for (size_t i = 0; ok && i < im->blob_count; i++) {
            /* a name is "<hash> <file>" */
            size_t hash = strcspn(im->names[i], " ");
            json_string_setn(after, im->names[i], hash);
            if (im->names[i][hash] == ' ' &&
                each(user, im->names[i] + hash + 1, im->blobs[i])) {
                json_array_append_new(drop, json_stringn(im->names[i], hash));
            }
        }
        /* A part that failed in between held reports of records before it. */
        ok = importer_flush(im) && ok && !im->lost && drop_records(im, drop);
        json_decref(drop);
    } while (ok && im->blob_count > 0);
    forget_records(im);
    json_decref(after);
    im->blobs = NULL;
    return ok;
}
