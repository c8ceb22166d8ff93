/* engine_release_io.c: who gets held reports, and until when.
 *
 * Source: DESIGN 5 (held reports).  A held report is sealed under a key that
 * never leaves this home but in a logged answer.  The rule here is the safe one:
 * nobody gets it, until the hospital releases the patient's held reports (or one
 * of them) to an institution, for a time.  A release stands under the handle of
 * the report, so corrections go with it; it holds nothing of the patient.
 *
 * Call "release": {network?, json, list} or {network?, json, type, value, report?,
 * to, until, withdraw}. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/record.h"
#include "node/candidates.h"
#include "node/charter.h"
#include "node/engine.h"
#include "node/origin.h"
#include "proto/bigend.h"
#include "proto/identifier.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "store/index.h"
#include "store/kv.h"

enum {
    NAME_BYTES_MAX = PUBLISH_HANDLE_BYTES + INSTITUTION_CHARS_MAX,
    VALUE_BYTES = 16, /* until, in seconds, and the leaf that was live then; big-endian */
    DROPPED_AT_ONCE = 64
};

struct release_run {
    struct job job;
    struct network *network;
    struct call_sink *sink;
    bool json, list, withdraw;
    char type[16], value[IDENTIFIER_CHARS_MAX + 1], report[256];
    char to[INSTITUTION_CHARS_MAX + 1];
    int64_t until_s;
    json_t *lines; /* what the answer will say */
};

static struct view
name_of(const uint8_t handle[PUBLISH_HANDLE_BYTES], const char *institution,
        uint8_t out[NAME_BYTES_MAX])
{
    size_t n = strlen(institution);
    memcpy(out, handle, PUBLISH_HANDLE_BYTES);
    memcpy(out + PUBLISH_HANDLE_BYTES, institution, n);
    return (struct view){out, PUBLISH_HANDLE_BYTES + n};
}

enum status
engine_released(struct network *n, struct store_txn *txn, uint64_t leaf,
                const char *institution, int64_t now_s, bool *released)
{
    struct store_own own;
    uint8_t name[NAME_BYTES_MAX];
    struct view value;
    *released = false;
    enum status st = store_own_get(txn, n->pub.id, leaf, &own);
    if (st == STATUS_OK) {
        st = store_kv_get(txn, SPACE_RELEASE, text_view(n->name),
                          name_of(own.report, institution, name), &value);
    }
    if (st == STATUS_OK && value.count == VALUE_BYTES) {
        *released = get_be64(value.bytes) > (uint64_t)now_s;
    }
    return st == STATUS_NOT_FOUND ? STATUS_OK : st;
}

static void
add_line(struct release_run *run, const char *report, uint64_t leaf, const char *to,
         int64_t until_s, const char *result)
{
    char until[CHARTER_TIME_CHARS];
    charter_time_text(until_s, until);
    json_t *o = json_pack("{s:I,s:s,s:s,s:s}", "leaf", (json_int_t)leaf, "to", to, "until",
                          until, "result", result);
    if (report != NULL) {
        json_object_set_new(o, "report_id", json_string(report));
    }
    json_array_append_new(run->lines, o);
}

/* ---- releasing ------------------------------------------------------------- */

/* Open our own held report, to see its number. */
static enum status
read_report_id(struct network *n, struct store_txn *txn, const struct candidate *c,
               char out[256])
{
    struct view record, text;
    uint8_t k[KEY_BYTES], memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    size_t count = 0;
    out[0] = '\0';
    enum status st = store_record_get(txn, c->log, c->leaf, &c->sealed, &record);
    st = st == STATUS_OK ? store_salt_get(txn, c->log, c->leaf, k, &text) : st;
    if (st != STATUS_OK) {
        return st;
    }
    uint8_t *plain = malloc(record.count + 1);
    if (plain == NULL) {
        return STATUS_NO_MEMORY;
    }
    st = record_open_with_k(record, k, n->name, c->institution, plain, record.count, &count);
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    if (st == STATUS_OK) {
        st = pb_unpack(&hr__report__descriptor, (struct view){plain, count}, REPORT_BYTES_MAX,
                       &arena, &m);
    }
    if (st == STATUS_OK) {
        snprintf(out, 256, "%s", ((const Hr__Report *)m)->report_id);
    }
    sodium_memzero(plain, record.count);
    sodium_memzero(k, sizeof k);
    pb_free(&arena);
    free(plain);
    return st;
}

static enum status
release_one(struct release_run *run, struct store_txn *txn, const struct candidate *c)
{
    struct network *n = run->network;
    struct store_own own;
    char report[256];
    uint8_t name[NAME_BYTES_MAX], value[VALUE_BYTES];
    enum status st = read_report_id(n, txn, c, report);
    if (st != STATUS_OK || (run->report[0] != '\0' && strcmp(run->report, report) != 0)) {
        return st;
    }
    st = store_own_get(txn, c->log, c->leaf, &own);
    if (st != STATUS_OK) {
        return st;
    }
    struct view key = name_of(own.report, run->to, name);
    if (run->withdraw) {
        st = store_kv_drop(txn, SPACE_RELEASE, text_view(n->name), key);
        add_line(run, report, c->leaf, run->to, engine_now_ms() / 1000,
                 st == STATUS_OK ? "taken back" : "was not released");
        return st == STATUS_NOT_FOUND ? STATUS_OK : st;
    }
    put_be64(value, (uint64_t)run->until_s);
    put_be64(value + 8, c->leaf);
    add_line(run, report, c->leaf, run->to, run->until_s, "released");
    return store_kv_put(txn, SPACE_RELEASE, text_view(n->name), key,
                        (struct view){value, sizeof value});
}

static enum status
release_all(struct release_run *run, struct store_txn *txn)
{
    struct network *n = run->network;
    struct patient_keys *patients = calloc(n->epoch_count + 1, sizeof *patients);
    struct candidates found;
    uint16_t today = 0;
    if (patients == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status st = token_day_of_ms(engine_now_ms(), &today);
    for (size_t i = 0; st == STATUS_OK && i < n->epoch_count; i++) {
        st = token_patient_keys(&n->epochs[i], run->type, run->value, &patients[i]);
    }
    if (st == STATUS_OK) {
        st = candidates_find(txn, n->name, patients, n->epoch_count, token_quarter_of_day(0),
                             token_quarter_of_day(today) + 1, &found);
    }
    sodium_memzero(patients, n->epoch_count * sizeof *patients);
    free(patients);
    if (st != STATUS_OK) {
        return st;
    }
    for (size_t i = 0; st == STATUS_OK && i < found.count; i++) {
        const struct candidate *c = &found.at[i];
        if (c->log == n->pub.id && c->held && c->state == CANDIDATE_LIVE) {
            st = release_one(run, txn, c);
        }
    }
    candidates_free(&found);
    return st;
}

/* ---- listing; what has run out goes ------------------------------------------ */

static enum status
list_all(struct release_run *run, struct store_txn *txn)
{
    uint8_t after[NAME_BYTES_MAX];
    uint8_t over[DROPPED_AT_ONCE][NAME_BYTES_MAX];
    size_t over_bytes[DROPPED_AT_ONCE], over_count = 0, after_bytes = 0;
    struct view network = text_view(run->network->name), name, value;
    uint64_t now_s = (uint64_t)(engine_now_ms() / 1000);
    enum status st;
    while ((st = store_kv_next(txn, SPACE_RELEASE, network, (struct view){after, after_bytes},
                               &name, &value)) == STATUS_OK) {
        if (name.count > NAME_BYTES_MAX || name.count <= PUBLISH_HANDLE_BYTES ||
            value.count != VALUE_BYTES) {
            return STATUS_CORRUPT;
        }
        memcpy(after, name.bytes, name.count);
        after_bytes = name.count;
        char to[INSTITUTION_CHARS_MAX + 1] = "";
        memcpy(to, name.bytes + PUBLISH_HANDLE_BYTES, name.count - PUBLISH_HANDLE_BYTES);
        uint64_t until = get_be64(value.bytes);
        if (until <= now_s && over_count < DROPPED_AT_ONCE) {
            memcpy(over[over_count], name.bytes, name.count);
            over_bytes[over_count++] = name.count;
        } else if (until > now_s && run->list) {
            add_line(run, NULL, get_be64(value.bytes + 8), to, (int64_t)until, "released");
        }
    }
    st = st == STATUS_NOT_FOUND ? STATUS_OK : st;
    for (size_t i = 0; st == STATUS_OK && i < over_count; i++) {
        st = store_kv_drop(txn, SPACE_RELEASE, network, (struct view){over[i], over_bytes[i]});
    }
    return st;
}

/* ---- the call ------------------------------------------------------------------ */

static enum status
write_release(struct store_txn *txn, void *ctx)
{
    struct release_run *run = ctx;
    json_array_clear(run->lines);
    enum status st = list_all(run, txn);
    return st == STATUS_OK && !run->list ? release_all(run, txn) : st;
}

static void
print_lines(struct release_run *run)
{
    size_t i;
    json_t *o;
    json_array_foreach(run->lines, i, o)
    {
        if (run->json) {
            engine_json(run->sink, o);
            continue;
        }
        char id[300] = "";
        const char *report = json_string_value(json_object_get(o, "report_id"));
        if (report != NULL) {
            text_show(text_view(report), id, sizeof id);
        }
        engine_text(run->sink, false, "%s%sleaf %" JSON_INTEGER_FORMAT ": %s, to %s, %s%s\n",
                    id[0] == '\0' ? "" : "report ", id[0] == '\0' ? "" : strcat(id, ", "),
                    json_integer_value(json_object_get(o, "leaf")),
                    json_string_value(json_object_get(o, "result")),
                    json_string_value(json_object_get(o, "to")), run->withdraw ? "" : "until ",
                    run->withdraw ? "from now on"
                                  : json_string_value(json_object_get(o, "until")));
    }
}

static void
run_free(struct release_run *run)
{
    json_decref(run->lines);
    sodium_memzero(run, sizeof *run);
    free(run);
}

static void
release_done(void *ctx, enum status st)
{
    struct release_run *run = ctx;
    int exit_code = 0;
    if (st != STATUS_OK) {
        char why[ENGINE_ROOM_CHARS];
        engine_text(run->sink, true, "huren: release: nothing was changed: %s\n",
                    engine_why(run->network->engine, st, why));
        exit_code = 2;
    } else if (json_array_size(run->lines) == 0 && !run->list) {
        engine_text(run->sink, true,
                    "huren: release: this hospital holds no such report of this patient; "
                    "reports that are not held need no release\n");
        exit_code = 1;
    } else {
        print_lines(run);
    }
    struct call_sink *sink = run->sink;
    run_free(run);
    sink->done(sink->ctx, exit_code);
}

static const char *
text_arg(const json_t *args, const char *name)
{
    const char *s = json_string_value(json_object_get(args, name));
    return s == NULL ? "" : s;
}

/* False when something is wrong; it was said. */
static bool
read_args(struct release_run *run, const json_t *args)
{
    struct network *n = run->network;
    const char *type = text_arg(args, "type"), *report = text_arg(args, "report"), *why = "";
    int64_t now_s = engine_now_ms() / 1000;
    if (run->list) {
        return true;
    }
    struct charter_settings settings;
    charter_settings(n->charter, &settings);
    enum status st =
        identifier_normalise(type, text_view(text_arg(args, "value")), (struct view){NULL, 0},
                             IDENTIFIER_ANY_DAY, run->value, &why);
    for (size_t i = 0; st == STATUS_UNSUPPORTED && i < settings.identifier_type_count; i++) {
        st = strcmp(settings.identifier_types[i], type) == 0 ? STATUS_OK : st;
    }
    if (st != STATUS_OK || strlen(type) >= sizeof run->type) {
        engine_text(run->sink, true, "huren: release: the patient's number %s\n",
                    why[0] != '\0' ? why : "is of no type that is published under");
        return false;
    }
    strcpy(run->type, type);
    const Hr__MemberRow *m = origin_fold_institution(text_arg(args, "to"), run->to) == STATUS_OK
                                 ? charter_member(n->charter, run->to)
                                 : NULL;
    if (m == NULL || (!run->withdraw && !charter_is_member(m, now_s))) {
        char shown[100];
        text_show(text_view(text_arg(args, "to")), shown, sizeof shown);
        engine_text(run->sink, true,
                    "huren: release: %s is no member of %s; huren status lists "
                    "them\n",
                    shown, n->name);
        return false;
    }
    run->until_s = (int64_t)json_integer_value(json_object_get(args, "until"));
    if (strlen(report) >= sizeof run->report || (!run->withdraw && run->until_s <= now_s)) {
        engine_text(run->sink, true, "huren: release: %s\n",
                    run->until_s <= now_s ? "the time until which it is released has passed"
                                          : "the report's number is too long");
        return false;
    }
    strcpy(run->report, report);
    return true;
}

void
engine_release_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    const char *name = json_string_value(json_object_get(call->args, "network"));
    struct network *n = engine_network(e, name);
    struct release_run *run = calloc(1, sizeof *run);
    if (run == NULL || n == NULL || n->charter == NULL || n->epoch_count == 0) {
        engine_text(sink, true, "huren: release: %s\n",
                    run == NULL ? status_text(STATUS_NO_MEMORY)
                    : n == NULL ? "name the network with --network; huren status lists them"
                                : "this home has no charter and network key yet");
        free(run);
        sink->done(sink->ctx, 2);
        return;
    }
    run->network = n;
    run->sink = sink;
    run->lines = json_array();
    run->json = json_is_true(json_object_get(call->args, "json"));
    run->list = json_is_true(json_object_get(call->args, "list"));
    run->withdraw = json_is_true(json_object_get(call->args, "withdraw"));
    if (run->lines == NULL || !read_args(run, call->args)) {
        run_free(run);
        sink->done(sink->ctx, 2);
        return;
    }
    run->job = (struct job){.purpose = STORE_EXCHANGE,
                            .bytes = 64 * 1024,
                            .write = write_release,
                            .done = release_done,
                            .ctx = run};
    engine_write(e, &run->job);
}
