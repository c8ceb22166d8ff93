/* world.h: a small network in temporary stores, for tests of publishing,
 * look-up and evidence.
 *
 * Four hospitals h0 .. h3 of one network in Hubei, the first three of them
 * witnesses, with a charter (root, members, quality, policy) under one key, and
 * two network keys.  All pub logs lie in the store `issuer`, as if it were the
 * homes of all; `asker` is a replica without what was not copied to it.
 * Include after cmocka.h. */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include "crypto/checkpoint.h"
#include "crypto/cosignature.h"
#include "crypto/record.h"
#include "node/candidates.h"
#include "node/lookup.h"
#include "node/marks.h"
#include "node/pack_file.h"
#include "node/publisher.h"
#include "node/range.h"
#include "tests/charter_fixture.h"
#include "tests/test_store_util.h"

enum { WORLD_HOUSES = 4, WORLD_WITNESSES = 3 };

#define WORLD_CARD "110105194912310029" /* 1949-12-31, female */
#define WORLD_OTHER_CARD "440524188001010014"
#define WORLD_PACK "hubei-2023"

struct world_house {
    struct network_keys keys;
    char institution[16];
    char origin[ORIGIN_CHARS_MAX + 1];
    uint32_t log; /* in `issuer` */
    uint8_t ledger_key[KEY_BYTES];
    struct publish_context publish;
};

/* How the charter is to differ. */
struct world_options {
    bool no_quality, no_policy, unknown_pack;
    bool quality_stale, members_stale, policy_stale;
    unsigned listings, rounds; /* further ones of h0, before the one that counts */
    int64_t key_to_s;          /* the keys of h0 end */
    bool key_revoked;          /* and are revoked */
    uint64_t epoch_ended_s;    /* the charter names epochs 1, which ended then, and 2 */
    const char *left;          /* first day on which h0 is no member */
    const char *annex;         /* CSV of an annex that the charter names, in hand */
};

struct world {
    struct test_dir issuer_dir, asker_dir;
    struct store *issuer, *asker;
    struct fixture_doc documents[CHARTER_KIND_COUNT];
    struct charter *charter;
    struct policy_set *policy;
    struct hash annex; /* its address */
    struct network_key epochs[2];
    struct world_house houses[WORLD_HOUSES];
    struct publish_plan plan; /* of the last world_publish */
    unsigned drawn;
};

static inline char *
text_of(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* ---- the charter ---- */

enum { WORLD_PERIODS_MAX = 512, WORLD_ROUNDS_MAX = 1024 };

static inline struct fixture_doc
world_members(const struct world_options *o)
{
    struct fixture_member *m = calloc(WORLD_HOUSES, sizeof *m);
    Hr__Listing *listings = calloc(WORLD_PERIODS_MAX, sizeof *listings);
    Hr__Listing **of_first = calloc(WORLD_PERIODS_MAX, sizeof *of_first);
    Hr__Listing **others[WORLD_HOUSES];
    ProtobufCMessage *rows[WORLD_HOUSES + 1];
    Hr__MemberRow epochs_row;
    Hr__NetworkEpoch epochs[2], *epoch_list[2] = {&epochs[0], &epochs[1]};
    uint8_t check[NETWORK_KEY_CHECK_BYTES] = {1};
    unsigned n = o->listings;
    assert_true(n < WORLD_PERIODS_MAX);
    for (unsigned i = 0; i <= n; i++) {
        hr__listing__init(&listings[i]);
        listings[i].pack = text_of(WORLD_PACK);
        listings[i].status = text_of(i < n ? "exited" : "listed");
        listings[i].from = text_of(i < n ? "2019-01-01" : "2024-01-01");
        listings[i].to = text_of(i < n ? "2019-02-01" : "");
        of_first[i] = &listings[i];
    }
    for (unsigned i = 0; i < WORLD_HOUSES; i++) {
        fixture_member(&m[i], i, i < WORLD_WITNESSES);
        others[i] = &of_first[n];
        m[i].row.listings = i == 0 ? of_first : others[i];
        m[i].row.n_listings = i == 0 ? n + 1 : 1;
        m[i].row.listings_known = true;
        m[i].row.alliances_known = true;
        m[i].row.left = i == 0 && o->left != NULL ? text_of(o->left) : m[i].row.left;
        m[i].keys.to = i == 0 ? (uint64_t)o->key_to_s : 0;
        m[i].keys.revoked = i == 0 && o->key_revoked;
        rows[i] = &m[i].row.base;
    }
    struct charter_head head = fixture_head(CHARTER_MEMBERS, 1);
    head.stale_after_s = o->members_stale ? FIXTURE_NOW - 60 : head.stale_after_s;
    hr__member_row__init(&epochs_row);
    for (unsigned i = 0; i < 2; i++) {
        hr__network_epoch__init(&epochs[i]);
        epochs[i].epoch = i + 1;
        epochs[i].check = (ProtobufCBinaryData){sizeof check, check};
        epochs[i].from = i == 0 ? 1 : o->epoch_ended_s;
        epochs[i].ended = i == 0 ? o->epoch_ended_s : 0;
    }
    epochs_row.epochs = epoch_list;
    epochs_row.n_epochs = 2;
    rows[WORLD_HOUSES] = &epochs_row.base;
    if (o->epoch_ended_s != 0) { /* that row comes first */
        memmove(&rows[1], &rows[0], WORLD_HOUSES * sizeof *rows);
        rows[0] = &epochs_row.base;
    }
    struct fixture_doc d = fixture_build(head, rows, WORLD_HOUSES + (o->epoch_ended_s != 0), 1);
    free(m);
    free(listings);
    free(of_first);
    return d;
}

static inline struct fixture_doc
world_quality(const struct world_options *o)
{
    static const char *const items[] = {"LAB.K", "LAB.NA"};
    Hr__QualityRow rows[2 * WORLD_HOUSES];
    ProtobufCMessage *list[2 * WORLD_HOUSES];
    Hr__Round *rounds = calloc(WORLD_ROUNDS_MAX, sizeof *rounds);
    Hr__Round **pointers = calloc(WORLD_ROUNDS_MAX, sizeof *pointers);
    unsigned n = o->rounds;
    assert_true(n < WORLD_ROUNDS_MAX);
    for (unsigned i = 0; i <= n; i++) {
        hr__round__init(&rounds[i]);
        rounds[i].organiser = text_of("provincial");
        rounds[i].date = text_of(i < n ? "2015-03-01" : "2026-09-15");
        rounds[i].passed = i == n;
        pointers[i] = &rounds[i];
    }
    for (unsigned i = 0; i < 2 * WORLD_HOUSES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "h%u", i / 2);
        hr__quality_row__init(&rows[i]);
        rows[i].institution = strdup(name);
        rows[i].item = text_of(items[i % 2]);
        rows[i].rounds = i < 2 ? pointers : &pointers[n];
        rows[i].n_rounds = i < 2 ? n + 1 : 1;
        list[i] = &rows[i].base;
    }
    struct charter_head head = fixture_head(CHARTER_QUALITY, 1);
    head.stale_after_s = o->quality_stale ? FIXTURE_NOW - 60 : head.stale_after_s;
    struct fixture_doc d = fixture_build(head, list, 2 * WORLD_HOUSES, 1);
    for (unsigned i = 0; i < 2 * WORLD_HOUSES; i++) {
        free(rows[i].institution);
    }
    free(rounds);
    free(pointers);
    return d;
}

static inline struct fixture_doc
world_policy(const struct world *w, const struct world_options *o)
{
    Hr__PolicyRow row;
    uint8_t hash[HASH_BYTES];
    ProtobufCMessage *list[] = {&row.base};
    hr__policy_row__init(&row);
    size_t at = policy_set_find(w->policy, WORLD_PACK, strlen(WORLD_PACK));
    assert_true(at != SIZE_MAX);
    memcpy(hash, policy_set_hash(w->policy, at), HASH_BYTES);
    hash[0] ^= o->unknown_pack ? 1 : 0;
    row.pack = text_of(WORLD_PACK);
    row.hash = (ProtobufCBinaryData){HASH_BYTES, hash};
    row.in_force_from = text_of("2024-01-01");
    Hr__AnnexRef annex;
    Hr__AnnexRef *annexes[] = {&annex};
    hr__annex_ref__init(&annex);
    annex.hash = (ProtobufCBinaryData){HASH_BYTES, (uint8_t *)(uintptr_t)w->annex.bytes};
    row.annexes = annexes;
    row.n_annexes = o->annex != NULL ? 1 : 0;
    struct charter_head head = fixture_head(CHARTER_POLICY, 1);
    head.stale_after_s = o->policy_stale ? FIXTURE_NOW - 60 : head.stale_after_s;
    return fixture_build(head, list, 1, 1);
}

static inline void
world_annex(struct world *w, const char *csv)
{
    struct pack_file file = {
        .annex = true, .id = WORLD_PACK, .version = 1, .rules = text_view(csv)};
    uint8_t *bytes;
    size_t count;
    char error[256];
    OK(pack_file_encode(&file, NULL, &bytes, &count));
    OK(policy_set_add_file(w->policy, (struct view){bytes, count}, NULL, 0, &w->annex, error,
                           sizeof error));
    free(bytes);
}

static inline void
world_charter(struct world *w, const struct world_options *o)
{
    char reason[CHARTER_REASON_CHARS];
    const struct charter_document *others[CHARTER_KIND_COUNT];
    size_t count = 0;
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 1,
                             .other_keys = 1,
                             .root_threshold = 1,
                             .other_threshold = 1};
    w->documents[CHARTER_ROOT] = fixture_make_root(&r, 1);
    w->documents[CHARTER_MEMBERS] = world_members(o);
    others[count++] = &w->documents[CHARTER_MEMBERS].doc;
    if (!o->no_quality) {
        w->documents[CHARTER_QUALITY] = world_quality(o);
        others[count++] = &w->documents[CHARTER_QUALITY].doc;
    }
    if (!o->no_policy) {
        w->documents[CHARTER_POLICY] = world_policy(w, o);
        others[count++] = &w->documents[CHARTER_POLICY].doc;
    }
    if (charter_load(&w->documents[CHARTER_ROOT].doc, others, count, &w->charter, reason) !=
        STATUS_OK) {
        fail_msg("charter: %s", reason);
    }
}

/* ---- the whole ---- */

static inline bool
world_sensitive(void *ctx, const char *code)
{
    (void)ctx;
    return strcmp(code, "LAB.HIVAB") == 0;
}

static inline uint32_t
world_number(void *ctx, const char *code)
{
    const struct hr_catalog *catalog = policy_set_catalog(ctx);
    const struct hr_item *item =
        hr_catalog_by_code(catalog, (struct hr_text){code, strlen(code)});
    return item == NULL ? 0 : item->number;
}

static inline struct store *
world_store(struct test_dir *dir)
{
    struct store_options options = {.handle_of = candidates_handle_of};
    struct store *s;
    *dir = dir_make();
    OK(store_open(dir->path, &options, &s));
    return s;
}

static inline void
world_open(struct world *w, const struct world_options *o)
{
    static const struct world_options plain = {.listings = 0};
    char error[256];
    memset(w, 0, sizeof *w);
    assert_true(sodium_init() >= 0);
    OK(policy_set_load_embedded(&w->policy, error, sizeof error));
    if (o != NULL && o->annex != NULL) {
        world_annex(w, o->annex);
    }
    world_charter(w, o == NULL ? &plain : o);
    for (uint32_t i = 0; i < 2; i++) {
        w->epochs[i].epoch = i + 1;
        memset(w->epochs[i].key, (int)(0xe0 + i), KEY_BYTES);
    }
    w->issuer = world_store(&w->issuer_dir);
    w->asker = world_store(&w->asker_dir);
    struct store_txn *t = begin_write(w->issuer);
    for (unsigned i = 0; i < WORLD_HOUSES; i++) {
        struct world_house *h = &w->houses[i];
        fixture_member_keys(i, &h->keys);
        (void)snprintf(h->institution, sizeof h->institution, "h%u", i);
        origin_pub(FIXTURE_NETWORK, h->institution, h->origin);
        OK(store_log_create(t, text_view(h->origin), STORE_LOG_OWN, 0, &h->log));
        memset(h->ledger_key, (int)(0x40 + i), KEY_BYTES);
        h->publish = (struct publish_context){.network = FIXTURE_NETWORK,
                                              .institution = h->institution,
                                              .origin = h->origin,
                                              .network_key = &w->epochs[0],
                                              .ledger_key = h->ledger_key,
                                              .ctx = w->policy,
                                              .sensitive = world_sensitive,
                                              .number = world_number};
    }
    OK(store_commit(t));
}

static inline void
world_close(struct world *w)
{
    store_close(w->issuer);
    store_close(w->asker);
    dir_remove(&w->issuer_dir);
    dir_remove(&w->asker_dir);
    charter_free(w->charter);
    policy_set_free(w->policy);
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        fixture_doc_free(&w->documents[k]);
    }
}

/* ---- reports ---- */

enum { WORLD_ITEMS_MAX = 64 };

struct world_report {
    Hr__Report report;
    Hr__Patient patient;
    Hr__Identifier identifiers[4];
    Hr__Identifier *identifier_list[4];
    Hr__Item items[WORLD_ITEMS_MAX];
    Hr__Item *item_list[WORLD_ITEMS_MAX];
};

static inline void
world_identify(struct world_report *r, const char *type, const char *value)
{
    Hr__Identifier *id = &r->identifiers[r->patient.n_identifiers];
    hr__identifier__init(id);
    id->type = text_of(type);
    id->value = text_of(value);
    r->identifier_list[r->patient.n_identifiers++] = id;
}

static inline Hr__Item *
world_item(struct world_report *r, const char *code, const char *value)
{
    Hr__Item *item = &r->items[r->report.n_items];
    assert_true(r->report.n_items < WORLD_ITEMS_MAX);
    hr__item__init(item);
    item->code = text_of(code);
    item->name = text_of(code);
    item->value = text_of(value);
    item->unit = text_of("mmol/L");
    item->reference = text_of("3.5-5.3");
    item->method = text_of("ISE");
    item->status = text_of("final");
    r->item_list[r->report.n_items++] = item;
    return item;
}

/* A final laboratory report of potassium, four days before FIXTURE_NOW. */
static inline void
world_report(struct world_report *r, const char *report_id, const char *card)
{
    memset(r, 0, sizeof *r);
    hr__report__init(&r->report);
    hr__patient__init(&r->patient);
    r->report.format = 1;
    r->report.report_id = text_of(report_id);
    r->report.kind = text_of("laboratory");
    r->report.status = text_of("final");
    r->report.examined_at = text_of("2027-01-11T08:00:00+08:00");
    r->report.reported_at = text_of("2027-01-11T10:00:00+08:00");
    r->report.patient = &r->patient;
    r->report.items = r->item_list;
    r->patient.identifiers = r->identifier_list;
    r->patient.name = text_of("ZHANG^SAN");
    r->patient.sex = text_of("F");
    if (card != NULL) {
        world_identify(r, "RI", card);
    }
    (void)world_item(r, "LAB.K", "4.1");
}

/* Publish in a transaction of its own, marks derived; w->plan says what came. */
static inline enum status
world_publish(struct world *w, unsigned house, struct world_report *r, uint32_t withdraw)
{
    struct world_house *h = &w->houses[house];
    uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES];
    struct report_arena *arena = report_arena_new(1024 * 1024);
    struct publisher p;
    bool fatal = false;
    memset(random, (int)(0x80 + ++w->drawn), sizeof random);
    random[1][0] ^= 0xff;
    r->report.institution = h->institution;
    OK(marks_derive(w->charter, w->policy, h->institution, FIXTURE_NOW, arena, &r->report));
    struct store_txn *t = begin_write(w->issuer);
    OK(publisher_begin(&p, &h->publish, t, h->log));
    enum status st = publisher_add(&p, &r->report, withdraw,
                                   (const uint8_t(*)[KEY_BYTES])random, &w->plan, &fatal);
    assert_false(fatal);
    OK(publisher_flush(&p));
    publisher_end(&p);
    OK(store_commit(t));
    report_arena_free(arena);
    r->report.n_marks = 0; /* they were the arena's */
    r->report.marks = NULL;
    for (size_t i = 0; i < r->report.n_items; i++) {
        r->items[i].n_marks = 0;
        r->items[i].marks = NULL;
    }
    return st;
}

/* Append entry bytes as they are to a house's log. */
static inline uint64_t
world_append(struct world *w, unsigned house, struct view entry)
{
    struct store_log log;
    struct store_txn *t = begin_write(w->issuer);
    OK(store_log_get(t, w->houses[house].log, &log));
    uint64_t leaf = log.size;
    OK(store_log_append(t, log.id, &entry, 1, NULL, NULL));
    OK(store_commit(t));
    return leaf;
}

static inline uint64_t
world_size(struct world *w, unsigned house)
{
    struct store_log log;
    struct store_txn *t = begin_read(w->issuer);
    OK(store_log_get(t, w->houses[house].log, &log));
    store_abort(t);
    return log.size;
}

/* ---- heads and replicas ---- */

/* Sign the head of a house's log; the witnesses whose bit is set cosign. */
static inline void
world_sign(struct world *w, unsigned house, unsigned witnesses)
{
    struct world_house *h = &w->houses[house];
    struct store_log log;
    struct note_signer signer;
    uint8_t note[8192], more[8192], line[512];
    size_t count, line_count;
    struct note parsed;
    struct store_txn *t = begin_write(w->issuer);
    OK(store_log_get(t, h->log, &log));
    struct checkpoint head = {text_view(h->origin), log.size, log.root, {NULL, 0}};
    OK(note_signer_make(text_view(h->origin), NOTE_KEY_ED25519, h->keys.log.secret_key,
                        &signer));
    OK(checkpoint_sign(&signer, &head, note, sizeof note, &count));
    OK(store_note_put(t, h->log, STORE_NOTE_HEAD, (struct view){note, count}));
    for (unsigned i = 0; i < WORLD_HOUSES; i++) {
        char name[KEY_NAME_CHARS_MAX + 1];
        if ((witnesses & 1u << i) == 0) {
            continue;
        }
        origin_witness_name(FIXTURE_NETWORK, w->houses[i].institution, name);
        OK(note_signer_make(text_view(name), NOTE_KEY_COSIGNATURE,
                            w->houses[i].keys.witness.secret_key, &signer));
        OK(note_parse((struct view){note, count}, &parsed));
        OK(cosignature_line(&signer, parsed.text, FIXTURE_NOW - 10, line, sizeof line,
                            &line_count));
        OK(note_add_line((struct view){note, count}, (struct view){line, line_count}, more,
                         sizeof more, &count));
        memcpy(note, more, count);
    }
    if (witnesses != 0) {
        OK(store_note_put(t, h->log, STORE_NOTE_COSIGNED, (struct view){note, count}));
    }
    OK(store_commit(t));
}

/* Bring the asker's replica of a log up to date; with `records`, those too. */
static inline void
world_replicate(struct world *w, unsigned house, bool records)
{
    struct world_house *h = &w->houses[house];
    struct store_log from, to;
    uint32_t id;
    struct store_txn *r = begin_read(w->issuer);
    struct store_txn *t = begin_write(w->asker);
    enum status st = store_log_create(t, text_view(h->origin), 0, 0, &id);
    assert_true(st == STATUS_OK || st == STATUS_EXISTS);
    OK(store_log_get(r, h->log, &from));
    OK(store_log_get(t, id, &to));
    for (uint64_t i = to.size; i < from.size; i++) {
        struct view entry;
        OK(store_entry_get(r, h->log, i, &entry));
        OK(store_log_append(t, id, &entry, 1, NULL, NULL));
    }
    static const enum store_note kinds[] = {STORE_NOTE_HEAD, STORE_NOTE_COSIGNED};
    for (size_t i = 0; i < 2; i++) {
        struct view note;
        if (store_note_get(r, h->log, kinds[i], &note) == STATUS_OK) {
            OK(store_note_put(t, id, kinds[i], note));
        }
    }
    OK(store_commit(t));
    store_abort(r);
    if (!records) {
        return;
    }
    r = begin_read(w->issuer);
    t = begin_write(w->asker);
    for (uint64_t i = 0; i < from.size; i++) {
        struct hash sealed;
        struct view record, entry;
        OK(store_entry_get(r, h->log, i, &entry));
        if (range_entry_sealed(entry, &sealed) &&
            store_record_get(r, h->log, i, &sealed, &record) == STATUS_OK) {
            OK(store_record_put(t, id, i, &sealed, record));
        }
    }
    OK(store_commit(t));
    store_abort(r);
}

/* ---- look-ups ---- */

struct world_lookup {
    struct lookup_question question;
    struct lookup_place place;
    const char *items[8];
    struct lookup *l;
};

/* House `asker` asks for potassium of the patient with this card; change
 * `question` and `place` before world_ask. */
static inline void
world_question(struct world *w, struct world_lookup *a, unsigned asker, const char *card)
{
    memset(a, 0, sizeof *a);
    a->items[0] = "LAB.K";
    a->question = (struct lookup_question){
        .type = "RI", .value = card, .items = a->items, .item_count = 1, .at_s = FIXTURE_NOW};
    a->place = (struct lookup_place){.network = FIXTURE_NETWORK,
                                     .institution = w->houses[asker].institution,
                                     .charter = w->charter,
                                     .policy = w->policy,
                                     .epochs = w->epochs,
                                     .epoch_count = 2};
}

static inline void
world_ask(struct store *store, struct world_lookup *a)
{
    struct store_txn *t = begin_read(store);
    OK(lookup_open(&a->question, &a->place, t, &a->l));
    store_abort(t);
}

static inline void
world_decide(struct store *store, struct world_lookup *a)
{
    struct store_txn *t = begin_read(store);
    OK(lookup_decide(a->l, t, FIXTURE_NOW));
    store_abort(t);
}

#endif
