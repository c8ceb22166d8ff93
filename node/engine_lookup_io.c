/* engine_lookup_io.c: a look-up from the call to its decisions. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/engine_lookup.h"
#include "node/origin.h"
#include "node/receipts.h"
#include "proto/identifier.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "proto/text.h"
#include "proto/wire.pb-c.h"

/* A charter that was replaced while look-ups were under way. */
struct retired {
    struct retired *next;
    struct charter *charter;
};

static void
free_retired(struct engine *e)
{
    while (e->lookups == NULL && e->retired != NULL) {
        struct retired *next = e->retired->next;
        charter_free(e->retired->charter);
        free(e->retired);
        e->retired = next;
    }
}

void
engine_retire_charter(struct network *n)
{
    struct engine *e = n->engine;
    struct retired *r = n->charter == NULL ? NULL : calloc(1, sizeof *r);
    if (r != NULL) {
        *r = (struct retired){e->retired, n->charter};
        e->retired = r;
    }
    n->charter = NULL;
    memset(&n->counts, 0, sizeof n->counts);
    free_retired(e);
}

static void
run_over(struct lookup_run *run)
{
    struct engine *e = run->network->engine;
    for (struct lookup_run **at = &e->lookups; *at != NULL; at = &(*at)->next) {
        if (*at == run) {
            *at = run->next;
            break;
        }
    }
    lookup_free(run->lookup);
    json_decref(run->args);
    for (size_t i = 0; i < run->holder_count; i++) {
        free(run->holders[i].entry);
    }
    free(run->holders);
    sodium_memzero(run, sizeof *run);
    free(run);
    free_retired(e);
}

void
engine_lookup_free(struct engine *e)
{
    while (e->lookups != NULL) {
        run_over(e->lookups);
    }
    free_retired(e);
}

static void
fail(struct lookup_run *run, const char *what, enum status st)
{
    char why[ENGINE_ROOM_CHARS];
    engine_text(run->sink, true, "huren: lookup: %s: %s\n", what,
                engine_why(run->network->engine, st, why));
    run->sink->done(run->sink->ctx, 2);
    run_over(run);
}

/* ---- the question ---- */

static const char *
text_arg(const json_t *args, const char *name)
{
    const char *s = json_string_value(json_object_get(args, name));
    return s != NULL && s[0] != '\0' ? s : NULL;
}

/* A canonical code, or a LOINC code that the catalog maps to one. */
static const char *
canonical(const struct engine *e, const char *code)
{
    const struct hr_catalog *catalog = policy_set_catalog(e->policy);
    struct hr_text t = {code, strlen(code)};
    if (hr_catalog_by_code(catalog, t) != NULL) {
        return code;
    }
    const struct hr_item *item = hr_catalog_by_loinc(catalog, t);
    static _Thread_local char found[CODE_CHARS_MAX + 1];
    if (item == NULL || item->code.size > CODE_CHARS_MAX) {
        return NULL;
    }
    memcpy(found, item->code.bytes, item->code.size);
    found[item->code.size] = '\0';
    return found;
}

static bool
read_items(struct lookup_run *run)
{
    json_t *items = json_object_get(run->args, "items");
    size_t count = json_array_size(items);
    if (count == 0 || count > LOOKUP_ITEMS_MAX) {
        engine_text(run->sink, true, "huren: lookup: name 1 to %d items with --item\n",
                    LOOKUP_ITEMS_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *given = json_string_value(json_array_get(items, i));
        const char *code = given == NULL ? NULL : canonical(run->network->engine, given);
        if (code == NULL) {
            char shown[80];
            text_show(text_view(given == NULL ? "" : given), shown, sizeof shown);
            engine_text(run->sink, true,
                        "huren: lookup: the catalog has no item %s; huren policy list shows "
                        "the items\n",
                        shown);
            return false;
        }
        json_array_set_new(items, i, json_string(code));
        run->items[i] = json_string_value(json_array_get(items, i));
    }
    run->question.items = run->items;
    run->question.item_count = count;
    return true;
}

static bool
read_question(struct lookup_run *run)
{
    const json_t *a = run->args;
    struct lookup_question *q = &run->question;
    const char *type = text_arg(a, "type");
    const char *value = text_arg(a, "value");
    const char *why = "";
    if (type == NULL || value == NULL) {
        engine_text(run->sink, true,
                    "huren: lookup: name the patient with --patient TYPE:VALUE\n");
        return false;
    }
    enum status st = identifier_normalise(type, text_view(value), (struct view){NULL, 0},
                                          IDENTIFIER_ANY_DAY, run->value, &why);
    struct charter_settings settings;
    charter_settings(run->network->charter, &settings);
    for (size_t i = 0; st == STATUS_UNSUPPORTED && i < settings.identifier_type_count; i++) {
        st = strcmp(settings.identifier_types[i], type) == 0 ? STATUS_OK : st;
    }
    if (st != STATUS_OK) {
        engine_text(run->sink, true,
                    "huren: lookup: the patient's number %s; results are published under RI, "
                    "PP, HM, TW "
                    "and RP numbers\n",
                    why[0] != '\0' ? why : "is of no type that is looked up by");
        return false;
    }
    q->type = type;
    q->value = run->value;
    q->name = text_arg(a, "name");
    q->sex = text_arg(a, "sex");
    q->birth_date = text_arg(a, "birth_date");
    q->encounter = text_arg(a, "encounter");
    q->order = json_object_get(a, "order");
    q->doctor = json_object_get(a, "doctor");
    json_t *at = json_object_get(a, "at");
    q->at_s = json_is_integer(at) ? json_integer_value(at) : engine_now_ms() / 1000;
    return read_items(run);
}

/* Salted: in the log stands only that something was asked (DESIGN 6). */
static void
hash_question(struct lookup_run *run)
{
    crypto_hash_sha256_state h;
    randombytes_buf(run->salt, sizeof run->salt);
    crypto_hash_sha256_init(&h);
    crypto_hash_sha256_update(&h, run->salt, sizeof run->salt);
    const struct lookup_question *q = &run->question;
    crypto_hash_sha256_update(&h, (const uint8_t *)q->type, strlen(q->type) + 1);
    crypto_hash_sha256_update(&h, (const uint8_t *)q->value, strlen(q->value) + 1);
    for (size_t i = 0; i < q->item_count; i++) {
        crypto_hash_sha256_update(&h, (const uint8_t *)q->items[i], strlen(q->items[i]) + 1);
    }
    crypto_hash_sha256_final(&h, run->asked_hash);
}

/* ---- asking ---- */

static enum status
make_asked(struct lookup_run *run, struct lookup_holder *h)
{
    const struct lookup_leaf *leaves[LOOKUP_LEAVES_ASKED_MAX];
    Hr__Leaf list[LOOKUP_LEAVES_ASKED_MAX];
    Hr__Leaf *pointers[LOOKUP_LEAVES_ASKED_MAX];
    size_t count = lookup_wanted(run->lookup, h->institution, leaves, LOOKUP_LEAVES_ASKED_MAX);
    for (size_t i = 0; i < count; i++) {
        hr__leaf__init(&list[i]);
        list[i].origin = (char *)(uintptr_t)leaves[i]->c.origin;
        list[i].index = leaves[i]->c.leaf;
        pointers[i] = &list[i];
    }
    Hr__Asked a;
    Hr__ExchEntry e;
    hr__asked__init(&a);
    hr__exch_entry__init(&e);
    a.at_ms = run->at_ms;
    a.question = (ProtobufCBinaryData){HASH_BYTES, run->asked_hash};
    a.institution = h->institution;
    a.leaves = pointers;
    a.n_leaves = count;
    e.what_case = HR__EXCH_ENTRY__WHAT_ASKED;
    e.asked = &a;
    uint8_t bytes[ENTRY_BYTES_MAX];
    enum status st = pb_pack(&e.base, bytes, sizeof bytes, &h->entry_count);
    if (st != STATUS_OK) {
        return st;
    }
    h->entry = malloc(h->entry_count);
    if (h->entry == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(h->entry, bytes, h->entry_count);
    return STATUS_OK;
}

static enum status
write_asked(struct store_txn *txn, void *ctx)
{
    struct lookup_run *run = ctx;
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < run->holder_count; i++) {
        struct lookup_holder *h = &run->holders[i];
        st = engine_exch_append(run->network, txn, (struct view){h->entry, h->entry_count},
                                &h->exch_index, &h->asked);
        if (st == STATUS_OK) {
            st = store_salt_put(txn, run->network->exch.id, h->exch_index, run->salt,
                                (struct view){NULL, 0});
        }
    }
    return st;
}

static void decide(struct lookup_run *run);

/* The next one that waits to be asked: committed, not sent.  From the start if
 * *run is NULL; only of one institution of one network if `n` is given. */
static struct lookup_holder *
next_ready(struct engine *e, struct lookup_run **run, size_t *at, const struct network *n,
           const char *institution)
{
    if (*run == NULL) {
        *run = e->lookups;
        *at = 0;
    }
    for (; *run != NULL; *run = (*run)->next, *at = 0) {
        while (*at < (*run)->holder_count) {
            struct lookup_holder *h = &(*run)->holders[(*at)++];
            if (h->state == ASK_READY &&
                (n == NULL ||
                 (n == (*run)->network && strcmp(institution, h->institution) == 0))) {
                return h;
            }
        }
    }
    return NULL;
}

/* Ask one institution what waits for it, as much as one request holds. */
static size_t
send_asks(struct network *n, uint32_t session, const char *institution)
{
    struct lookup_holder *asked[LOOKUP_TOGETHER_MAX];
    uint64_t indexes[LOOKUP_TOGETHER_MAX];
    ProtobufCBinaryData entries[LOOKUP_TOGETHER_MAX];
    struct lookup_run *run = NULL;
    struct lookup_holder *h;
    size_t at = 0;
    size_t bytes = ORIGIN_CHARS_MAX + 64;
    size_t count = 0;
    while (count < LOOKUP_TOGETHER_MAX &&
           (h = next_ready(n->engine, &run, &at, n, institution)) != NULL) {
        bytes += h->entry_count + 16; /* tags, lengths, index */
        if (bytes > MESSAGE_BYTES_MAX) {
            break;
        }
        indexes[count] = h->exch_index;
        entries[count] = (ProtobufCBinaryData){h->entry_count, h->entry};
        asked[count++] = h;
    }
    Hr__LookupAsk ask;
    hr__lookup_ask__init(&ask);
    ask.exch_origin = n->exch.origin;
    ask.exch_index = indexes;
    ask.n_exch_index = count;
    ask.asked = entries;
    ask.n_asked = count;
    uint32_t request = net_next_request(n->engine->net);
    uint8_t *message = malloc(MESSAGE_BYTES_MAX);
    enum status st = message == NULL ? STATUS_NO_MEMORY
                                     : pb_pack(&ask.base, message, MESSAGE_BYTES_MAX, &bytes);
    if (st == STATUS_OK) {
        st = net_send(n->engine->net, session, request, FRAME_LOOKUP, true,
                      (struct view){message, bytes}, (struct view){NULL, 0});
    }
    free(message);
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        asked[i]->state = ASK_SENT;
        asked[i]->session = session;
        asked[i]->request = request;
        engine_receipt_owe(n, institution, asked[i]->exch_index);
    }
    return st == STATUS_OK ? count : 0;
}

void
engine_lookup_send(struct engine *e)
{
    struct lookup_run *run = NULL;
    struct lookup_holder *h;
    size_t at = 0;
    while (e->asks_wait && (h = next_ready(e, &run, &at, NULL, NULL)) != NULL) {
        uint32_t session = engine_session(run->network, h->institution);
        if (session == 0) {
            engine_dial(run->network, h->institution);
        } else if (send_asks(run->network, session, h->institution) > 0) {
            at = 0; /* of this one more may wait */
        }
    }
    e->asks_wait = false;
}

static void
asked_done(void *ctx, enum status st)
{
    struct lookup_run *run = ctx;
    if (st != STATUS_OK) {
        fail(run, "the question could not be written to the exchange log", st);
        return;
    }
    run->network->exch.dirty = true;
    run->network->engine->asks_wait = true;
    run->state = RUN_WAITING;
    for (size_t i = 0; i < run->holder_count; i++) {
        run->holders[i].state = ASK_READY;
    }
}

static enum status
begin(struct lookup_run *run)
{
    struct network *n = run->network;
    struct lookup_place place = {.network = n->name,
                                 .institution = n->engine->institution,
                                 .charter = n->charter,
                                 .policy = n->engine->policy,
                                 .epochs = n->epochs,
                                 .epoch_count = n->epoch_count,
                                 .counts = &n->counts,
                                 .witnessed = &n->witnessed};
    struct store_txn *txn;
    enum status st = store_begin_read(n->engine->store, &txn);
    if (st != STATUS_OK) {
        return st;
    }
    st = lookup_open(&run->question, &place, txn, &run->lookup);
    store_abort(txn);
    size_t holders = 0;
    for (const char *h = NULL;
         st == STATUS_OK && (h = lookup_holder_next(run->lookup, h)) != NULL;) {
        holders++;
    }
    if (st != STATUS_OK) {
        return st;
    }
    run->holders = calloc(holders + 1, sizeof *run->holders);
    if (run->holders == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (const char *h = NULL; (h = lookup_holder_next(run->lookup, h)) != NULL;) {
        struct lookup_holder *one = &run->holders[run->holder_count++];
        memcpy(one->institution, h, strlen(h) + 1);
        one->state = ASK_WRITING;
        if ((st = make_asked(run, one)) != STATUS_OK) {
            return st;
        }
    }
    return STATUS_OK;
}

void
engine_lookup_call(struct engine *e, const struct call *call, struct call_sink *sink)
{
    struct lookup_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        engine_text(sink, true, "huren: lookup: %s\n", status_text(STATUS_NO_MEMORY));
        sink->done(sink->ctx, 2);
        return;
    }
    run->sink = sink;
    run->args = json_deep_copy(call->args);
    run->json = json_is_true(json_object_get(run->args, "json"));
    run->evidence = json_is_true(json_object_get(run->args, "evidence"));
    run->at_ms = (uint64_t)engine_now_ms();
    run->network = engine_network(e, text_arg(run->args, "network"));
    run->next = e->lookups;
    e->lookups = run;
    if (run->network == NULL || run->network->charter == NULL) {
        engine_text(
            sink, true,
            run->network == NULL
                ? "huren: lookup: name the network with --network; huren status lists them\n"
                : "huren: lookup: this home has no charter yet; huren charter adopt FILE "
                  "takes the files of the network's authority\n");
        sink->done(sink->ctx, 2);
        run->network = run->network == NULL ? &e->networks[0] : run->network;
        run_over(run);
        return;
    }
    if (!read_question(run)) {
        sink->done(sink->ctx, 2);
        run_over(run);
        return;
    }
    hash_question(run);
    enum status st = begin(run);
    if (st != STATUS_OK) {
        fail(run,
             st == STATUS_UNAVAILABLE ? "no network key is sealed to this hospital yet"
                                      : "searching the index",
             st);
        return;
    }
    run->deadline_ms = net_time_ms() + LOOKUP_SILENT_MS;
    if (run->holder_count == 0) {
        decide(run);
        return;
    }
    run->state = RUN_ASKING;
    run->job = (struct job){.purpose = STORE_EXCHANGE,
                            .bytes = 1024 * run->holder_count,
                            .write = write_asked,
                            .done = asked_done,
                            .ctx = run};
    engine_write(e, &run->job);
}

/* ---- answers ---- */

/* Give the records of one Answered entry to the look-up; *raw moves on. */
static bool
take_records(struct lookup_run *run, struct lookup_holder *h, const Hr__Answered *a,
             const Hr__LookupTell *tell, struct view *raw)
{
    for (size_t i = 0; i < a->n_leaves; i++) {
        if (raw->count < 4) {
            return false;
        }
        uint32_t bytes = frame_get_u32(raw->bytes);
        if (bytes > RECORD_BYTES_MAX || bytes > raw->count - 4) {
            return false;
        }
        struct view record = {raw->bytes + 4, bytes};
        *raw = (struct view){raw->bytes + 4 + bytes, raw->count - 4 - bytes};
        const uint8_t *key = NULL;
        for (size_t k = 0; k < tell->n_released; k++) {
            const Hr__ReleasedKey *r = tell->released[k];
            if (r->leaf != NULL && r->key.len == KEY_BYTES &&
                r->leaf->index == a->leaves[i]->index &&
                strcmp(r->leaf->origin, a->leaves[i]->origin) == 0) {
                key = r->key.data;
            }
        }
        enum status st = lookup_record(run->lookup, h->institution, a->leaves[i]->origin,
                                       a->leaves[i]->index, record, key);
        if (st == STATUS_BAD_PROOF) {
            engine_say(run->network->engine, "%s: %s gave another record than it published",
                       run->network->name, h->institution);
        }
    }
    for (size_t i = 0; i < a->n_missing; i++) {
        lookup_without(run->lookup, h->institution, a->missing[i]->origin, a->missing[i]->index,
                       LOOKUP_MISSING);
    }
    return true;
}

/* Who was asked in this request; `asked` NULL: the first of them. */
static struct lookup_holder *
find_holder(struct network *n, uint32_t session, uint32_t request,
            const ProtobufCBinaryData *asked, struct lookup_run **run)
{
    for (*run = n->engine->lookups; *run != NULL; *run = (*run)->next) {
        for (size_t i = 0; (*run)->network == n && i < (*run)->holder_count; i++) {
            struct lookup_holder *h = &(*run)->holders[i];
            if (h->state == ASK_SENT && h->session == session && h->request == request &&
                (asked == NULL || (asked->len == HASH_BYTES &&
                                   memcmp(asked->data, h->asked.bytes, HASH_BYTES) == 0))) {
                return h;
            }
        }
    }
    return NULL;
}

static void
was_refused(struct lookup_run *run, struct lookup_holder *h, uint32_t reason)
{
    h->refused = true;
    h->reason = reason;
    if (reason == RECEIPT_REASON) {
        engine_receipt_refused(run->network, h->institution);
    }
    for (size_t i = 0; i < run->lookup->leaf_count; i++) {
        const struct candidate *c = &run->lookup->leaves[i].c;
        if (strcmp(c->institution, h->institution) == 0) {
            lookup_without(run->lookup, h->institution, c->origin, c->leaf, LOOKUP_MISSING);
        }
    }
}

/* One entry of the answer: it must answer what was asked in this request. */
static bool
take_entry(struct network *n, uint32_t session, uint32_t request, const Hr__LookupTell *tell,
           size_t i, struct view *raw)
{
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    struct lookup_run *run;
    struct lookup_holder *h = NULL;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    struct view bytes = {tell->answered[i].data, tell->answered[i].len};
    bool ok =
        pb_unpack(&hr__exch_entry__descriptor, bytes, ENTRY_BYTES_MAX, &arena, &m) == STATUS_OK;
    const Hr__ExchEntry *e = ok ? (const Hr__ExchEntry *)m : NULL;
    if (ok && e->what_case == HR__EXCH_ENTRY__WHAT_ANSWERED) {
        h = find_holder(n, session, request, &e->answered->asked, &run);
        ok = h != NULL && take_records(run, h, e->answered, tell, raw);
    } else if (ok && e->what_case == HR__EXCH_ENTRY__WHAT_REFUSED) {
        h = find_holder(n, session, request, &e->refused->asked, &run);
        ok = h != NULL;
        if (ok) {
            was_refused(run, h, e->refused->reason);
        }
    } else {
        ok = false;
    }
    if (ok) {
        struct hash leaf;
        tree_leaf_hash(bytes.bytes, bytes.count, &leaf);
        engine_receipt_expect(n, h->institution, tell->exch_origin, tell->exch_index[i], &leaf);
        h->state = ASK_OVER;
    }
    pb_free(&arena);
    return ok;
}

void
engine_lookup_frame(struct network *n, uint32_t session, const char *institution,
                    const struct frame *f)
{
    struct lookup_run *run;
    struct lookup_holder *h = find_holder(n, session, f->request, NULL, &run);
    if (h == NULL || strcmp(h->institution, institution) != 0) {
        return; /* too late: it was shown as silent */
    }
    uint8_t memory[PB_ARENA_BYTES];
    struct pb_arena arena;
    ProtobufCMessage *m;
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    struct view raw = f->raw;
    bool ok = pb_unpack(&hr__lookup_tell__descriptor, f->message, MESSAGE_BYTES_MAX, &arena,
                        &m) == STATUS_OK;
    const Hr__LookupTell *tell = ok ? (const Hr__LookupTell *)m : NULL;
    ok = ok && tell->n_answered == tell->n_exch_index;
    for (size_t i = 0; ok && i < tell->n_answered; i++) {
        ok = take_entry(n, session, f->request, tell, i, &raw);
    }
    uint32_t refused = ok ? tell->refused : 0;
    pb_free(&arena);
    if (!ok) {
        engine_say(n->engine, "%s: an answer of %s is not what it should be", n->name,
                   institution);
    }
    while ((f->last || !ok) && (h = find_holder(n, session, f->request, NULL, &run)) != NULL) {
        h->state = ASK_SILENT;
        h->reason = refused;
        lookup_silent(run->lookup, institution);
    }
}

void
engine_lookup_peer(struct network *n, uint32_t session, const char *institution, bool up)
{
    for (struct lookup_run *run = n->engine->lookups; run != NULL; run = run->next) {
        for (size_t i = 0; run->network == n && i < run->holder_count; i++) {
            struct lookup_holder *h = &run->holders[i];
            if (strcmp(h->institution, institution) != 0) {
                continue;
            }
            if (up && h->state == ASK_READY) {
                n->engine->asks_wait = true;
            } else if (!up && h->state == ASK_SENT && h->session == session) {
                h->state = ASK_READY; /* idempotent: ask again if it comes back in time */
            }
        }
    }
}

/* ---- deciding ---- */

static enum status
write_one_decided(struct store_txn *txn, struct lookup_run *run, const struct lookup_result *r,
                  struct lookup_decision *d)
{
    struct view asked = {NULL, 0};
    if (r != NULL) {
        const char *from = run->lookup->leaves[r->leaf].c.institution;
        for (size_t i = 0; i < run->holder_count; i++) {
            if (strcmp(run->holders[i].institution, from) == 0) {
                asked = (struct view){run->holders[i].asked.bytes, HASH_BYTES};
            }
        }
    }
    uint8_t entry[ENTRY_BYTES_MAX];
    size_t count;
    uint64_t index;
    enum status st = lookup_decided(run->lookup, r, d, run->at_ms,
                                    (struct view){run->asked_hash, HASH_BYTES}, asked, entry,
                                    sizeof entry, &count);
    if (st == STATUS_OK) {
        st = engine_exch_append(run->network, txn, (struct view){entry, count}, &index, NULL);
    }
    if (st == STATUS_OK && d != NULL) {
        d->logged = index;
    }
    return st == STATUS_OK ? store_salt_put(txn, run->network->exch.id, index, run->salt,
                                            (struct view){NULL, 0})
                           : st;
}

static enum status
write_decided(struct store_txn *txn, void *ctx)
{
    struct lookup_run *run = ctx;
    const struct lookup *l = run->lookup;
    enum status st = STATUS_OK;
    bool any = false;
    for (size_t i = 0; st == STATUS_OK && i < l->result_count; i++) {
        const struct lookup_result *r = &l->results[i];
        for (size_t d = 0; st == STATUS_OK && d < r->decision_count; d++) {
            st = write_one_decided(txn, run, r, &r->decisions[d]);
            any = true;
        }
        if (st == STATUS_OK && r->item != NULL) {
            st = engine_note_use(run->network, txn, &l->leaves[r->leaf], r->code,
                                 r->decision_count > 0 ? r->decisions[0].logged : UINT64_MAX,
                                 r->decision_count, run->at_ms);
        }
    }
    return st == STATUS_OK && !any ? write_one_decided(txn, run, NULL, NULL) : st;
}

static void
decided_done(void *ctx, enum status st)
{
    struct lookup_run *run = ctx;
    if (st != STATUS_OK) {
        fail(run, "the decisions could not be written to the exchange log, so none is shown",
             st);
        return;
    }
    run->network->exch.dirty = true;
    engine_lookup_print(run);
    run_over(run);
}

static void
decide(struct lookup_run *run)
{
    struct engine *e = run->network->engine;
    struct store_txn *txn;
    run->state = RUN_DECIDING;
    if (run->lookup->place.charter != run->network->charter) {
        run->lookup->place.counts = NULL; /* they are of the new one */
    }
    enum status st = store_begin_read(e->store, &txn);
    if (st == STATUS_OK) {
        st = lookup_decide(run->lookup, txn, engine_now_ms() / 1000);
        run->lookup->clock_wrong = run->lookup->clock_wrong || engine_clock_wrong(run->network);
        store_abort(txn);
    }
    if (st != STATUS_OK) {
        fail(run, "deciding", st);
        return;
    }
    run->job = (struct job){.purpose = STORE_EXCHANGE,
                            .bytes = 4096 * (run->lookup->result_count + 1),
                            .write = write_decided,
                            .done = decided_done,
                            .ctx = run};
    engine_write(e, &run->job);
}

void
engine_lookup_tick(struct engine *e, int64_t now_ms)
{
    struct lookup_run *next;
    for (struct lookup_run *run = e->lookups; run != NULL; run = next) {
        next = run->next;
        if (run->state != RUN_WAITING) {
            continue;
        }
        bool waiting = false;
        for (size_t i = 0; i < run->holder_count; i++) {
            waiting = waiting || run->holders[i].state < ASK_OVER;
        }
        if (waiting && now_ms < run->deadline_ms) {
            continue;
        }
        for (size_t i = 0; i < run->holder_count; i++) {
            if (run->holders[i].state != ASK_OVER) {
                lookup_silent(run->lookup, run->holders[i].institution);
            }
        }
        decide(run);
    }
}

int64_t
engine_lookup_deadline_ms(const struct engine *e)
{
    int64_t soonest = INT64_MAX;
    for (const struct lookup_run *run = e->lookups; run != NULL; run = run->next) {
        if (run->state == RUN_WAITING && run->deadline_ms < soonest) {
            soonest = run->deadline_ms;
        }
    }
    return soonest;
}
