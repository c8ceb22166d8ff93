/* engine_outcome_io.c: what the doctor did after a decision. */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine_recall.h"
#include "node/origin.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"

enum { CODES_MAX = 16, NOTE_BYTES_LIMIT = 4096, RECOGNIZED = 1, REPEATED = 2 };

/* The coded reasons of the regulations (negative lists), and the two of packs whose
 * document prints none: packs.md section 6, DECIDE.md "reason". */
static const char *const known_codes[] = {"NEG.CONDITION_CHANGED",
                                          "NEG.RAPID_CHANGE",
                                          "NEG.EXPIRED",
                                          "NEG.MAJOR_DECISION",
                                          "NEG.RESULT_MISMATCH",
                                          "NEG.EMERGENCY",
                                          "NEG.PATIENT_REQUEST",
                                          "NEG.SERIAL_COMPARISON",
                                          "NEG.FORENSIC",
                                          "NEG.IMAGE_INADEQUATE",
                                          "NEG.OTHER",
                                          "CLINICAL",
                                          "SIGNED_NEED"};

struct outcome_run {
    struct job job;
    struct network *network;
    struct call_sink *sink;
    struct recall_row row; /* of the decision */
    struct hash decided;
    char origin[ORIGIN_CHARS_MAX + 1]; /* what it leaned on; "": nothing */
    uint64_t leaf;
    uint32_t what;
    size_t code_count;
    char *codes[CODES_MAX];
    char *note; /* malloced, or NULL */
    uint8_t salt[STORE_SALT_BYTES];
    uint64_t logged; /* the entry */
    bool json;
};

static void
run_free(struct outcome_run *run)
{
    if (run->note != NULL) {
        sodium_memzero(run->note, strlen(run->note));
    }
    free(run->note);
    for (size_t i = 0; i < run->code_count; i++) {
        free(run->codes[i]);
    }
    free(run);
}

static void
refuse(struct outcome_run *run, int exit_code, const char *why)
{
    engine_text(run->sink, true, "huren: outcome: %s\n", why);
    run->sink->done(run->sink->ctx, exit_code);
    run_free(run);
}

/* ---- the decision ---- */

/* DECISION is 8 hex digits of one of our exch logs, "/" and the entry; or the entry of
 * the log in use. */
static bool
find_log(struct network *n, struct store_txn *txn, const char *name, uint32_t *log,
         uint64_t *entry)
{
    const char *slash = strchr(name, '/');
    const char *number = slash == NULL ? name : slash + 1;
    char *end;
    errno = 0;
    *entry = strtoull(number, &end, 10);
    if (number[0] < '0' || number[0] > '9' || *end != '\0' || errno != 0) {
        return false;
    }
    *log = n->exch.id;
    if (slash == NULL) {
        return true;
    }
    char origin[ORIGIN_CHARS_MAX + 1];
    struct store_log row;
    int bytes = snprintf(origin, sizeof origin, "%s/%s/exch/%.*s", n->name,
                         n->engine->institution, (int)(slash - name), name);
    if (bytes <= 0 || (size_t)bytes >= sizeof origin ||
        store_log_find(txn, text_view(origin), &row) != STATUS_OK ||
        (row.flags & STORE_LOG_OWN) == 0) {
        return false;
    }
    *log = row.id;
    return true;
}

static bool
read_decided(struct outcome_run *run, struct store_txn *txn, const char *name)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct view bytes;
    run->row = (struct recall_row){.kind = RECALL_OUTCOME};
    if (!find_log(run->network, txn, name, &run->row.exch_log, &run->row.exch) ||
        store_entry_get(txn, run->row.exch_log, run->row.exch, &bytes) != STATUS_OK) {
        return false;
    }
    tree_leaf_hash(bytes.bytes, bytes.count, &run->decided);
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    bool ok =
        pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) == STATUS_OK;
    const Hr__ExchEntry *e = ok ? (const Hr__ExchEntry *)m : NULL;
    ok = ok && e->what_case == HR__EXCH_ENTRY__WHAT_DECIDED;
    if (ok && e->decided->leaf != NULL &&
        strlen(e->decided->leaf->origin) <= ORIGIN_CHARS_MAX) {
        memcpy(run->origin, e->decided->leaf->origin, strlen(e->decided->leaf->origin) + 1);
        run->leaf = e->decided->leaf->index;
    }
    pb_free(&arena);
    return ok;
}

/* ---- writing ---- */

static enum status
pack(struct outcome_run *run, uint64_t at_ms, uint8_t *out, size_t max, size_t *count)
{
    Hr__Outcome m;
    Hr__ExchEntry e;
    uint8_t hash[HASH_BYTES];
    hr__outcome__init(&m);
    hr__exch_entry__init(&e);
    m.at_ms = at_ms;
    m.decided = (ProtobufCBinaryData){HASH_BYTES, run->decided.bytes};
    m.what = run->what;
    m.codes = run->codes;
    m.n_codes = run->code_count;
    if (run->note != NULL) {
        crypto_hash_sha256_state h;
        crypto_hash_sha256_init(&h);
        crypto_hash_sha256_update(&h, run->salt, sizeof run->salt);
        crypto_hash_sha256_update(&h, (const uint8_t *)run->note, strlen(run->note));
        crypto_hash_sha256_final(&h, hash);
        m.note = (ProtobufCBinaryData){HASH_BYTES, hash};
    }
    e.what_case = HR__EXCH_ENTRY__WHAT_OUTCOME;
    e.outcome = &m;
    return pb_pack(&e.base, out, max, count);
}

static enum status
write_outcome(struct store_txn *txn, void *ctx)
{
    struct outcome_run *run = ctx;
    struct network *n = run->network;
    struct recall_place place = engine_recall_place(n);
    uint8_t bytes[4096];
    size_t count;
    enum status st = pack(run, place.at_ms, bytes, sizeof bytes, &count);
    st = st == STATUS_OK
             ? engine_exch_append(n, txn, (struct view){bytes, count}, &run->logged, NULL)
             : st;
    if (st == STATUS_OK && run->note != NULL) {
        st = store_salt_put(txn, n->exch.id, run->logged, run->salt, text_view(run->note));
    }
    if (st == STATUS_OK) {
        run->row.by = run->logged;
        run->row.at_ms = place.at_ms;
        run->row.what = (uint8_t)run->what;
        st = recall_row_put(txn, n->name, &run->row);
    }
    return st == STATUS_OK && run->what == RECOGNIZED && run->origin[0] != '\0'
               ? recall_rely(txn, &place, run->origin, run->leaf)
               : st;
}

static void
outcome_done(void *ctx, enum status st)
{
    struct outcome_run *run = ctx;
    if (st != STATUS_OK) {
        char why[ENGINE_ROOM_CHARS];
        engine_text(run->sink, true,
                    "huren: outcome: it could not be written to the exchange log: %s\n",
                    engine_why(run->network->engine, st, why));
    } else {
        const char *suffix = strrchr(run->network->exch.origin, '/');
        run->network->exch.dirty = true;
        suffix = suffix == NULL ? "" : suffix + 1;
        if (run->json) {
            engine_text(run->sink, false,
                        "{\"logged\":\"%s/%" PRIu64 "\",\"outcome\":\"%s\"}\n", suffix,
                        run->logged, run->what == RECOGNIZED ? "recognized" : "repeated");
        } else {
            engine_text(run->sink, false, "logged as %s/%" PRIu64 "\n", suffix, run->logged);
        }
    }
    run->sink->done(run->sink->ctx, st == STATUS_OK ? 0 : 2);
    run_free(run);
}

/* ---- the call ---- */

static const char *
read_codes(struct outcome_run *run, const json_t *list)
{
    if (json_array_size(list) > CODES_MAX) {
        return "too many codes";
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *code = json_string_value(json_array_get(list, i));
        bool known = false;
        for (size_t k = 0; code != NULL && k < sizeof known_codes / sizeof *known_codes; k++) {
            known = known || strcmp(code, known_codes[k]) == 0;
        }
        run->codes[run->code_count] = known ? strdup(code) : NULL;
        if (run->codes[run->code_count] == NULL) {
            return "a code that no regulation has; huren outcome --help lists them";
        }
        run->code_count++;
    }
    return NULL;
}

static const char *
read_what(struct outcome_run *run, const json_t *args)
{
    const char *what = json_string_value(json_object_get(args, "what"));
    const char *note = json_string_value(json_object_get(args, "note"));
    run->what = what == NULL                      ? 0
                : strcmp(what, "recognized") == 0 ? RECOGNIZED
                : strcmp(what, "repeated") == 0   ? REPEATED
                                                  : 0;
    if (run->what == 0) {
        return "say recognized or repeated";
    }
    if (note != NULL && strlen(note) > NOTE_BYTES_LIMIT) {
        return "the note is longer than 4096 bytes";
    }
    run->note = note == NULL ? NULL : strdup(note);
    const char *why = read_codes(run, json_object_get(args, "codes"));
    if (why == NULL && run->what == RECOGNIZED && run->code_count > 0) {
        return "codes are reasons to repeat; a recognized result needs none";
    }
    if (why == NULL && run->what == REPEATED && run->code_count == 0) {
        return "a repeat needs a coded reason: --code CODE; huren outcome --help lists them";
    }
    return why;
}

void
engine_outcome_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    struct outcome_run *run = calloc(1, sizeof *run);
    const char *name = json_string_value(json_object_get(call->args, "decision"));
    struct store_txn *txn;
    if (run == NULL || name == NULL) {
        free(run);
        engine_text(sink, true, "huren: outcome: name the decision\n");
        sink->done(sink->ctx, 2);
        return;
    }
    run->sink = sink;
    run->json = json_is_true(json_object_get(call->args, "json"));
    run->network = engine_network(e, json_string_value(json_object_get(call->args, "network")));
    const char *why = run->network == NULL
                          ? "name the network with --network; huren status lists them"
                          : read_what(run, call->args);
    if (why != NULL || store_begin_read(e->store, &txn) != STATUS_OK) {
        refuse(run, 2, why != NULL ? why : "the store cannot be read");
        return;
    }
    bool found = read_decided(run, txn, name);
    struct recall_row row = run->row;
    bool before = found && recall_row_get(txn, run->network->name, &row) == STATUS_OK;
    store_abort(txn);
    if (!found) {
        refuse(run, 1,
               "this home has logged no such decision; huren lookup prints their names");
        return;
    }
    if (run->what == RECOGNIZED && run->origin[0] == '\0') {
        refuse(run, 1, "that decision found no result, so there is none to recognize");
        return;
    }
    if (before) {
        engine_text(sink, true,
                    "huren: outcome: %s was logged for this decision before; both stay in the "
                    "log, this one counts\n",
                    row.what == RECOGNIZED ? "recognized" : "repeated");
    }
    randombytes_buf(run->salt, sizeof run->salt);
    run->job = (struct job){.purpose = STORE_EXCHANGE,
                            .bytes = 8192,
                            .write = write_outcome,
                            .done = outcome_done,
                            .ctx = run};
    engine_write(e, &run->job);
}
