/* Goal: evidence proves what it says to somebody who has the charter's root alone,
 * and nothing that is not so can be made of it.
 * Method: one file is made, then changed: every byte, every part, and with the
 * knowledge of its format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/evidence.h"
#include "node/evidence_format.h"
#include "proto/evidence.pb-c.h"
#include "tests/world.h"

struct made {
    struct world w;
    struct world_lookup a;
    struct world_report r;
    uint8_t *file;
    size_t count;
    struct evidence_found found;
    char reason[EVIDENCE_REASON_CHARS];
};

static int64_t now_ms = FIXTURE_NOW * 1000;

static void
make(struct made *m)
{
    struct store_txn *t;
    lookup_free(m->a.l);
    world_ask(m->w.issuer, &m->a);
    world_decide(m->w.issuer, &m->a);
    t = begin_read(m->w.issuer);
    free(m->file);
    OK(evidence_make(m->a.l, &m->a.l->results[0], t, &m->w.houses[3].keys.statement, now_ms,
                     &m->file, &m->count));
    store_abort(t);
}

static int
setup(void **state)
{
    struct made *m = calloc(1, sizeof *m);
    world_open(&m->w, NULL);
    for (unsigned i = 0; i < 9; i++) { /* so that the proof has some hashes */
        char id[8];
        (void)snprintf(id, sizeof id, "R%u", i);
        world_report(&m->r, id, i == 4 ? WORLD_CARD : WORLD_OTHER_CARD);
        (void)world_item(&m->r, "LAB.NA", "140");
        OK(world_publish(&m->w, 0, &m->r, 0));
    }
    world_sign(&m->w, 0, 6);
    world_question(&m->w, &m->a, 3, WORLD_CARD);
    make(m);
    *state = m;
    return 0;
}

static int
teardown(void **state)
{
    struct made *m = *state;
    json_decref(m->found.json);
    lookup_free(m->a.l);
    world_close(&m->w);
    free(m->file);
    free(m);
    return 0;
}

static enum status
check_with(struct made *m, const uint8_t *file, size_t count,
           const struct charter_document *root, int64_t now_s)
{
    json_decref(m->found.json);
    enum status st = evidence_check((struct view){file, count}, root, m->w.policy, now_s,
                                    &m->found, m->reason);
    if (st != STATUS_OK) {
        assert_null(m->found.json);
        assert_true(st == STATUS_NO_MEMORY || m->reason[0] != '\0');
    }
    return st;
}

static enum status
check(struct made *m, const uint8_t *file, size_t count)
{
    return check_with(m, file, count, &m->w.documents[CHARTER_ROOT].doc, FIXTURE_NOW);
}

static Hr__Evidence *
unpack(const struct made *m)
{
    Hr__Evidence *e = hr__evidence__unpack(NULL, m->count - EVIDENCE_HEAD_BYTES,
                                           m->file + EVIDENCE_HEAD_BYTES);
    assert_non_null(e);
    return e;
}

static void
set(ProtobufCBinaryData *b, const void *bytes, size_t count)
{
    free(b->data);
    b->data = malloc(count + 1);
    memcpy(b->data, bytes, count);
    b->len = count;
}

/* Sign it anew, as a maker would who means to deceive: so each other check has to
 * find by itself what is wrong. */
static void
sign(struct made *m, Hr__Evidence *e)
{
    ProtobufCBinaryData record = e->record, k = e->k, none = {0, NULL}, old = e->signature;
    uint8_t signature[crypto_sign_BYTES];
    unsigned maker = strcmp(e->made_by, "h2") == 0 ? 2 : 3;
    e->record = e->k = e->signature = none;
    size_t count = EVIDENCE_HEAD_BYTES + hr__evidence__get_packed_size(e);
    uint8_t *text = malloc(count);
    memcpy(text, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES);
    hr__evidence__pack(e, text + EVIDENCE_HEAD_BYTES);
    crypto_sign_detached(signature, NULL, text, count,
                         m->w.houses[maker].keys.statement.secret_key);
    free(text);
    e->record = record;
    e->k = k;
    e->signature = old;
    set(&e->signature, signature, sizeof signature);
}

/* Check the file made of `e`, signed anew, and free it. */
static enum status
check_message(struct made *m, Hr__Evidence *e)
{
    sign(m, e);
    size_t count = EVIDENCE_HEAD_BYTES + hr__evidence__get_packed_size(e);
    uint8_t *file = malloc(count);
    memcpy(file, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES);
    hr__evidence__pack(e, file + EVIDENCE_HEAD_BYTES);
    hr__evidence__free_unpacked(e, NULL);
    enum status st = check(m, file, count);
    free(file);
    return st;
}

static void
what_is_made_is_verified_with_the_root_alone(void **state)
{
    struct made *m = *state;
    OK(check(m, m->file, m->count));
    assert_true(m->found.opened);
    assert_true(m->found.replayed);
    assert_int_equal(m->found.decisions, 1);
    assert_int_equal(m->found.decisions_unknown, 0);
    assert_int_equal(m->found.cosigned_by, 2);
    assert_int_equal(m->found.cosigned_of, 2);
    const json_t *o = m->found.json;
    assert_string_equal(json_string_value(json_object_get(o, "issuer")), "h0");
    assert_int_equal(json_integer_value(json_object_get(o, "index")), 4);
    assert_int_equal(json_integer_value(json_object_get(o, "size")), 9);
    const json_t *items = json_object_get(o, "items");
    assert_int_equal(json_array_size(items), 1); /* the row asked for, not the other */
    assert_string_equal(json_string_value(json_object_get(json_array_get(items, 0), "value")),
                        "4.1");
    const json_t *d = json_array_get(json_object_get(o, "decisions"), 0);
    assert_string_equal(json_string_value(json_object_get(d, "verdict")), "must");
    assert_true(json_is_true(json_object_get(d, "replayed")));
    print_message("evidence of one result: %zu bytes\n", m->count);
}

static bool
holds(const struct made *m, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i + count <= m->count; i++) {
        if (memcmp(m->file + i, bytes, count) == 0) {
            return true;
        }
    }
    return false;
}

static void
no_key_that_opens_more_is_in_it(void **state)
{
    struct made *m = *state;
    struct patient_keys keys;
    struct view record;
    uint8_t k[KEY_BYTES], patient_key[KEY_BYTES];
    const struct network_key *nk = &m->w.epochs[0];
    OK(token_patient_keys(nk, "RI", WORLD_CARD, &keys));
    /* patient_key, after DESIGN 5 */
    static const char label[] = "huren patient v1RI\0" WORLD_CARD;
    crypto_generichash(patient_key, KEY_BYTES, (const uint8_t *)label, sizeof label - 1,
                       nk->key, KEY_BYTES);
    assert_false(holds(m, keys.brief_key, KEY_BYTES));
    assert_false(holds(m, keys.record_key, KEY_BYTES));
    assert_false(holds(m, keys.token_key, KEY_BYTES));
    assert_false(holds(m, patient_key, KEY_BYTES));
    assert_false(holds(m, nk->key, KEY_BYTES));
    assert_false(holds(m, m->w.epochs[1].key, KEY_BYTES));
    assert_false(holds(m, m->w.houses[0].keys.log.secret_key, KEY_BYTES));
    /* the search itself works: the key of this one record is there */
    Hr__Evidence *e = unpack(m);
    record = (struct view){e->record.data, e->record.len};
    OK(record_k(record, keys.record_key, k));
    assert_true(holds(m, k, KEY_BYTES));
    hr__evidence__free_unpacked(e, NULL);
}

/* Does the file, as just checked, say nothing but what `before` says?  Its maker may
 * say less: no record, no decision, fewer cosignatures and witnesses. */
static bool
says_no_other(const struct made *m, const json_t *before)
{
    const char *name;
    json_t *value;
    const json_t *cosigned = json_object_get(before, "cosigned");
    json_object_foreach(m->found.json, name, value)
    {
        bool own = strcmp(name, "claims") == 0 || strcmp(name, "cosigned") == 0 ||
                   (strcmp(name, "opened") == 0 && !json_is_true(value)) ||
                   (strcmp(name, "decisions") == 0 && json_array_size(value) == 0);
        if (!own && !json_equal(value, json_object_get(before, name))) {
            return false;
        }
    }
    return (json_int_t)m->found.cosigned_by <=
               json_integer_value(json_object_get(cosigned, "by")) &&
           (json_int_t)m->found.cosigned_of <=
               json_integer_value(json_object_get(cosigned, "of"));
}

static void
any_byte_changed_is_refused_or_changes_no_meaning(void **state)
{
    struct made *m = *state;
    uint8_t *file = malloc(m->count);
    size_t accepted = 0;
    OK(check(m, m->file, m->count));
    json_t *before = json_deep_copy(m->found.json);
    for (size_t i = 0; i < m->count; i++) {
        static const uint8_t masks[] = {0x01, 0x80, 0x20};
        memcpy(file, m->file, m->count);
        file[i] ^= masks[i % 3];
        if (check(m, file, m->count) == STATUS_OK) {
            fail_msg("byte %zu is taken", i);
        }
        /* And if its maker changes it and signs anew?  Rows of witnesses may be missing
         * then: they are at least that many (evidence.h). */
        Hr__Evidence *e = hr__evidence__unpack(NULL, m->count - EVIDENCE_HEAD_BYTES,
                                               file + EVIDENCE_HEAD_BYTES);
        if (e == NULL || check_message(m, e) != STATUS_OK) {
            continue;
        }
        accepted++;
        if (!says_no_other(m, before)) {
            fail_msg("byte %zu: %s", i, json_dumps(m->found.json, 0));
        }
    }
    print_message("%zu of %zu changes by the maker were harmless\n", accepted, m->count);
    assert_true(accepted < m->count / 10);
    json_decref(before);
    free(file);
}

static void
a_file_cut_short_or_made_longer_is_refused(void **state)
{
    struct made *m = *state;
    uint8_t *file = calloc(1, m->count + 1);
    memcpy(file, m->file, m->count);
    for (size_t n = 0; n < m->count; n++) {
        if (n < 200 || n % 37 == 0 || n + 200 > m->count) {
            enum status st = check(m, file, n);
            if (st == STATUS_OK) { /* only what the maker says of itself is at the end */
                fail_msg("cut at %zu of %zu is taken", n, m->count);
            }
        }
    }
    assert_int_not_equal(check(m, file, m->count + 1), STATUS_OK);
    free(file);
}

static void
another_root_or_network_is_refused(void **state)
{
    struct made *m = *state;
    struct fixture_root r = {.head = fixture_head(CHARTER_ROOT, 1),
                             .root_keys = 2,
                             .other_keys = 2,
                             .root_threshold = 1,
                             .other_threshold = 1};
    struct fixture_doc other = fixture_make_root(&r, 2);
    assert_int_not_equal(check_with(m, m->file, m->count, &other.doc, FIXTURE_NOW), STATUS_OK);
    fixture_doc_free(&other);
    strcpy(r.head.network, "other.cn");
    r.root_keys = r.other_keys = 1;
    other = fixture_make_root(&r, 1);
    assert_int_equal(check_with(m, m->file, m->count, &other.doc, FIXTURE_NOW), STATUS_REFUSED);
    fixture_doc_free(&other);
}

static void
a_file_that_its_maker_did_not_sign_so_is_refused(void **state)
{
    struct made *m = *state;
    Hr__Evidence *e = unpack(m);
    uint8_t file[16384];
    e->made_at_ms++;
    memcpy(file, EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES);
    size_t count = EVIDENCE_HEAD_BYTES + hr__evidence__pack(e, file + EVIDENCE_HEAD_BYTES);
    assert_int_equal(check(m, file, count), STATUS_BAD_SIGNATURE);
    e->made_at_ms--;
    e->signature.len = 0;
    count = EVIDENCE_HEAD_BYTES + hr__evidence__pack(e, file + EVIDENCE_HEAD_BYTES);
    assert_int_equal(check(m, file, count), STATUS_BAD_SIGNATURE);
    e->signature.len = crypto_sign_BYTES;
    count = EVIDENCE_HEAD_BYTES + hr__evidence__pack(e, file + EVIDENCE_HEAD_BYTES);
    OK(check(m, file, count));
    free(e->made_by);
    e->made_by = strdup("h2"); /* h3's signature under h2's name */
    count = EVIDENCE_HEAD_BYTES + hr__evidence__pack(e, file + EVIDENCE_HEAD_BYTES);
    assert_int_equal(check(m, file, count), STATUS_BAD_SIGNATURE);
    hr__evidence__free_unpacked(e, NULL);
}

static void
withheld_record_and_key_still_prove_the_entry(void **state)
{
    struct made *m = *state;
    Hr__Evidence *e = unpack(m);
    e->record.len = 0;
    e->k.len = 0;
    OK(check_message(m, e));
    assert_false(m->found.opened);
    assert_true(m->found.replayed); /* the decision stands with what charter says */
    assert_null(json_object_get(m->found.json, "items"));
    e = unpack(m);
    e->k.len = 0;
    assert_int_equal(check_message(m, e), STATUS_MALFORMED);
    e = unpack(m);
    e->record.len = 0;
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
}

/* The input of the decision with one member changed, and the verdict that the pack
 * then gives: an honest replay of invented facts. */
static enum status
check_invented(struct made *m, const char *object, const char *member, json_t *value)
{
    Hr__Evidence *e = unpack(m);
    Hr__EvidenceDecision *d = e->decisions[0];
    json_t *input = json_loadb((const char *)d->input.data, d->input.len, 0, NULL), *out;
    size_t count;
    json_object_set_new(object == NULL ? input : json_object_get(input, object), member, value);
    OK(policy_decide_object(m->w.policy, input, &out));
    char *bytes = policy_json_canonical(input, &count);
    set(&d->input, bytes, count);
    free(d->verdict);
    free(d->at_best);
    d->verdict = strdup(json_string_value(json_object_get(out, "verdict")));
    d->at_best = strdup(json_string_value(json_object_get(out, "at_best")));
    free(bytes);
    json_decref(out);
    json_decref(input);
    return check_message(m, e);
}

static void
a_decision_on_invented_facts_is_refused(void **state)
{
    struct made *m = *state;
    assert_int_equal(check_invented(m, "issuer", "level", json_string("secondary")),
                     STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, "receiver", "territory", json_string("420000")),
                     STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, "receiver", "code", json_string("h2")),
                     STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, "result", "marks", json_array()), STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, "result", "status", json_string("preliminary")),
                     STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, NULL, "quality", json_null()), STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, NULL, "item", json_string("LAB.NA")), STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, NULL, "in_force_from", json_string("2020-01-01")),
                     STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, NULL, "note", json_string("free text")),
                     STATUS_BAD_PROOF);
    assert_int_equal(check_invented(m, NULL, "at", json_string("garbage")), STATUS_BAD_PROOF);
    /* what the asker adds is its own to say */
    OK(check_invented(m, NULL, "encounter", json_string("inpatient")));
    OK(check_invented(m, "result", "in_doubt", json_true()));
    OK(check_invented(m, NULL, "at", json_string("2027-01-14T16:00:00+08:00")));
}

static void
an_altered_verdict_pack_or_row_is_refused(void **state)
{
    struct made *m = *state;
    Hr__Evidence *e = unpack(m);
    strcpy(e->decisions[0]->verdict, "may");
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    strcpy(e->decisions[0]->at_best, "may");
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    strcpy(e->decisions[0]->pack, "hunan-2025");
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    e->decisions[0]->pack_hash.data[5] ^= 1;
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    free(e->item);
    e->item = strdup("LAB.NA"); /* another row of the same report than was decided on */
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    free(e->item);
    e->item = strdup("LAB.CL");
    assert_int_equal(check_message(m, e), STATUS_MALFORMED);
    e = unpack(m);
    free(e->made_by);
    e->made_by = strdup("h2");
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    for (size_t i = 0; i < 100; i++) {
        e = unpack(m);
        if (i >= e->n_rows) {
            hr__evidence__free_unpacked(e, NULL);
            break;
        }
        e->rows[i]->row.data[e->rows[i]->row.len / 2] ^= 1;
        assert_int_not_equal(check_message(m, e), STATUS_OK);
        e = unpack(m);
        e->rows[i]->version++;
        assert_int_equal(check_message(m, e), STATUS_MALFORMED);
        e = unpack(m);
        e->rows[i]->index ^= 1;
        assert_int_not_equal(check_message(m, e), STATUS_OK);
    }
}

static void
missing_and_swapped_parts_are_refused(void **state)
{
    struct made *m = *state;
    Hr__Evidence *e = unpack(m);
    ProtobufCBinaryData one;
    free(e->inclusion[--e->n_inclusion].data);
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    one = e->inclusion[0];
    e->inclusion[0] = e->inclusion[1];
    e->inclusion[1] = one;
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    e->index++;
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    e->index = UINT64_MAX;
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    e = unpack(m);
    one = e->record;
    e->record = e->entry;
    e->entry = one;
    assert_int_not_equal(check_message(m, e), STATUS_OK);
    for (size_t i = 0; i < 4; i++) { /* root, members, quality, policy */
        e = unpack(m);
        one = e->charter[i];
        e->charter[i] = e->charter[e->n_charter - 1];
        e->charter[e->n_charter - 1] = one;
        free(e->charter[--e->n_charter].data);
        assert_int_not_equal(check_message(m, e), STATUS_OK);
        e = unpack(m); /* another charter document in its place */
        set(&e->charter[i], e->charter[(i + 1) % 4].data, e->charter[(i + 1) % 4].len);
        assert_int_not_equal(check_message(m, e), STATUS_OK);
    }
    e = unpack(m); /* an exchange log is no log of results */
    free(e->origin);
    e->origin = strdup(FIXTURE_NETWORK "/h0/exch/00000001");
    assert_int_equal(check_message(m, e), STATUS_MALFORMED);
    e = unpack(m);
    free(e->origin);
    e->origin = strdup(FIXTURE_NETWORK "/h1/pub"); /* another member's log */
    assert_int_not_equal(check_message(m, e), STATUS_OK);
    e = unpack(m);
    free(e->origin);
    e->origin = strdup("other.cn/h0/pub");
    assert_int_equal(check_message(m, e), STATUS_REFUSED);
    e = unpack(m);
    e->format = 2;
    assert_int_equal(check_message(m, e), STATUS_UNSUPPORTED);
    e = unpack(m);
    e->made_at_ms = UINT64_MAX;
    assert_int_equal(check_message(m, e), STATUS_MALFORMED);
}

static void
a_document_of_too_few_signatures_is_refused(void **state)
{
    struct made *m = *state;
    for (size_t i = 1; i < 4; i++) {
        Hr__Evidence *e = unpack(m);
        struct note note;
        OK(note_parse((struct view){e->charter[i].data, e->charter[i].len}, &note));
        e->charter[i].data[e->charter[i].len - 6] ^= 1; /* inside of the signature */
        enum status st = check_message(m, e);
        assert_true(st == STATUS_THRESHOLD || st == STATUS_BAD_SIGNATURE ||
                    st == STATUS_MALFORMED);
    }
}

static void
counts_that_are_huge_are_refused_in_no_time(void **state)
{
    struct made *m = *state;
    enum { MANY = 3000 };
    Hr__Evidence *e = unpack(m); /* one document many times */
    ProtobufCBinaryData *notes = calloc(MANY, sizeof *notes);
    for (size_t i = 0; i < MANY; i++) {
        set(&notes[i], e->charter[0].data, e->charter[0].len);
    }
    for (size_t i = 0; i < e->n_charter; i++) {
        free(e->charter[i].data);
    }
    free(e->charter);
    e->charter = notes;
    e->n_charter = MANY;
    assert_int_equal(check_message(m, e), STATUS_TOO_BIG);
    e = unpack(m); /* one decision many times */
    Hr__EvidenceDecision **list = calloc(MANY, sizeof *list);
    for (size_t i = 1; i < MANY; i++) {
        list[i] = malloc(sizeof **list);
        hr__evidence_decision__init(list[i]);
    }
    list[0] = e->decisions[0];
    free(e->decisions);
    e->decisions = list;
    e->n_decisions = MANY;
    assert_int_equal(check_message(m, e), STATUS_TOO_BIG);
    e = unpack(m); /* a row many times */
    Hr__ProvenRow **rows = calloc(MANY + 100, sizeof *rows);
    memcpy(rows, e->rows, e->n_rows * sizeof *rows);
    for (size_t i = e->n_rows; i < e->n_rows + MANY; i++) {
        rows[i] = malloc(sizeof **rows);
        hr__proven_row__init(rows[i]);
        rows[i]->kind = strdup("members");
        rows[i]->version = 1;
        rows[i]->index = i;
    }
    free(e->rows);
    e->rows = rows;
    e->n_rows += MANY;
    assert_int_not_equal(check_message(m, e), STATUS_OK);
    uint8_t *large = calloc(1, EVIDENCE_BYTES_MAX + 1);
    memcpy(large, m->file, m->count);
    assert_int_equal(check(m, large, EVIDENCE_BYTES_MAX + 1), STATUS_TOO_BIG);
    free(large);
}

static void
the_head_is_the_newest_that_witnesses_cosigned(void **state)
{
    struct made *m = *state;
    OK(world_publish(&m->w, 0, (world_report(&m->r, "later", WORLD_OTHER_CARD), &m->r), 0));
    world_sign(&m->w, 0, 0); /* not yet cosigned */
    make(m);
    OK(check(m, m->file, m->count));
    assert_int_equal(m->found.cosigned_by, 2);
    assert_int_equal(json_integer_value(json_object_get(m->found.json, "size")), 9);
    /* a leaf that only the newest head covers has 0 of n */
    world_report(&m->r, "newest", WORLD_CARD);
    m->r.report.examined_at = text_of("2027-01-14T08:00:00+08:00");
    OK(world_publish(&m->w, 0, &m->r, 0));
    lookup_free(m->a.l);
    world_ask(m->w.issuer, &m->a);
    world_decide(m->w.issuer, &m->a);
    uint8_t *file;
    size_t count;
    struct store_txn *t = begin_read(m->w.issuer);
    assert_int_equal(evidence_make(m->a.l, &m->a.l->results[0], t,
                                   &m->w.houses[3].keys.statement, now_ms, &file, &count),
                     STATUS_NOT_FOUND); /* no signed head covers it */
    assert_null(file);
    store_abort(t);
    world_sign(&m->w, 0, 0);
    make(m);
    OK(check(m, m->file, m->count));
    assert_int_equal(m->found.cosigned_by, 0);
    assert_int_equal(m->found.cosigned_of, 2);
}

static void
a_key_that_ended_and_a_member_that_left_count_for_what_was_cosigned_before(void **state)
{
    static const struct {
        struct world_options options;
        enum status expect;
    } cases[] = {{{.key_to_s = FIXTURE_NOW - 5}, STATUS_OK}, /* cosigned 10 s before now */
                 {{.key_to_s = FIXTURE_NOW - 10 - 599}, STATUS_OK}, /* clocks differ */
                 {{.key_to_s = FIXTURE_NOW - 10 - 600}, STATUS_REFUSED},
                 {{.key_to_s = FIXTURE_NOW - 5, .key_revoked = true}, STATUS_OK},
                 {{.key_to_s = FIXTURE_NOW - 10, .key_revoked = true}, STATUS_REFUSED},
                 {{.key_to_s = FIXTURE_NOW + 60}, STATUS_OK},
                 {{.left = "2027-01-16"}, STATUS_OK},
                 {{.left = "2027-01-15"}, STATUS_REFUSED}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made *m = calloc(1, sizeof *m);
        void *s = m;
        world_open(&m->w, &cases[i].options);
        world_report(&m->r, "R1", WORLD_CARD);
        OK(world_publish(&m->w, 0, &m->r, 0));
        world_question(&m->w, &m->a, 3, WORLD_CARD);
        world_sign(&m->w, 0, 6);
        make(m);
        assert_int_equal(check(m, m->file, m->count), cases[i].expect);
        teardown(&s);
    }
}

/* Check with the packs of the binary alone: no annex. */
static enum status
check_without(struct made *m)
{
    struct policy_set *full = m->w.policy;
    char error[256];
    OK(policy_set_load_embedded(&m->w.policy, error, sizeof error));
    enum status st = check(m, m->file, m->count);
    policy_set_free(m->w.policy);
    m->w.policy = full;
    return st;
}

static const char *
annex_of_first(const struct made *m)
{
    json_t *list = json_object_get(m->found.json, "decisions");
    return json_string_value(json_object_get(json_array_get(list, 0), "annex"));
}

static void
an_annex_is_bound_and_its_absence_is_told(void **state)
{
    (void)state;
    static const char csv[] = "code,limit_days,citation\nLAB.K,30,made-up\n";
    struct made *m = calloc(1, sizeof *m);
    void *s = m;
    world_open(&m->w, &(struct world_options){.annex = csv});
    world_report(&m->r, "R1", WORLD_CARD);
    OK(world_publish(&m->w, 0, &m->r, 0));
    world_question(&m->w, &m->a, 3, WORLD_CARD);
    world_sign(&m->w, 0, 6);
    make(m);
    OK(check(m, m->file, m->count));
    assert_int_equal(m->found.decisions_unknown, 0);
    assert_string_equal(annex_of_first(m), "checked");
    assert_null(json_object_get(m->found.json, "missing"));
    /* Somebody without it says what is missing. */
    OK(check_without(m));
    assert_int_equal(m->found.decisions_unknown, 1);
    assert_false(m->found.replayed);
    assert_string_equal(annex_of_first(m), "unknown");
    assert_int_equal(json_array_size(json_object_get(m->found.json, "missing")), 1);
    assert_non_null(strstr(m->found.missing, "annex of hubei-2023 ("));
    /* An invented limit, under the maker's own name, is no fact. */
    Hr__Evidence *e = unpack(m);
    char *input =
        strndup((const char *)e->decisions[0]->input.data, e->decisions[0]->input.len);
    char *limit = strstr(input, "\"limit_days\":30");
    assert_non_null(limit);
    limit[13] = '9';
    set(&e->decisions[0]->input, input, strlen(input));
    free(input);
    assert_int_equal(check_message(m, e), STATUS_BAD_PROOF);
    /* Made without it: so it is said, by whoever reads it. */
    struct policy_set *full = m->w.policy;
    char error[256];
    OK(policy_set_load_embedded(&m->w.policy, error, sizeof error));
    lookup_free(m->a.l);
    m->a.l = NULL;
    world_question(&m->w, &m->a, 3, WORLD_CARD);
    make(m);
    OK(check(m, m->file, m->count));
    assert_string_equal(annex_of_first(m), "not_used");
    assert_int_equal(m->a.l->no_annex, 1);
    policy_set_free(m->w.policy);
    m->w.policy = full;
    OK(check(m, m->file, m->count));
    assert_string_equal(annex_of_first(m), "not_used");
    assert_true(m->found.replayed);
    teardown(&s);
}

static void
who_makes_evidence_signs_with_keys_that_are_in_force(void **state)
{
    static const struct {
        struct world_options options;
        enum status expect;
    } cases[] = {{{.key_to_s = FIXTURE_NOW - 5, .key_revoked = true}, STATUS_BAD_SIGNATURE},
                 {{.key_to_s = FIXTURE_NOW - 5}, STATUS_OK}, /* clocks differ */
                 {{.key_to_s = FIXTURE_NOW + 5, .key_revoked = true}, STATUS_OK}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made *m = calloc(1, sizeof *m);
        void *s = m;
        world_open(&m->w, &cases[i].options);
        world_report(&m->r, "R1", WORLD_CARD);
        OK(world_publish(&m->w, 0, &m->r, 0));
        world_question(&m->w, &m->a, 0, WORLD_CARD); /* h0 proves its own result */
        world_sign(&m->w, 0, 6);
        struct network_keys of_asker = m->w.houses[3].keys;
        m->w.houses[3].keys = m->w.houses[0].keys; /* make() signs with these */
        make(m);
        m->w.houses[3].keys = of_asker;
        assert_int_equal(check(m, m->file, m->count), cases[i].expect);
        if (cases[i].expect == STATUS_OK) {
            json_t *key = json_object_get(m->found.json, "log_key");
            assert_non_null(key);
            assert_int_equal(json_is_true(json_object_get(key, "revoked")),
                             cases[i].options.key_revoked);
        }
        teardown(&s);
    }
}

static void
evidence_of_what_was_not_opened_proves_the_entry(void **state)
{
    struct made *m = *state;
    world_report(&m->r, "R4", WORLD_CARD);
    OK(world_publish(&m->w, 0, &m->r, 1)); /* withdrawn */
    world_sign(&m->w, 0, 6);
    make(m);
    OK(check(m, m->file, m->count));
    assert_false(m->found.opened);
    assert_int_equal(m->found.decisions, 0);
    assert_false(m->found.replayed);
}

static void
files_that_are_no_evidence_say_so(void **state)
{
    struct made *m = *state;
    static const char *const texts[] = {"", "huren", "huren evidence v2\n", "PK\x03\x04"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(check(m, (const uint8_t *)texts[i], strlen(texts[i])),
                         STATUS_UNSUPPORTED);
    }
    assert_int_not_equal(check(m, (const uint8_t *)EVIDENCE_HEAD, EVIDENCE_HEAD_BYTES),
                         STATUS_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_made_is_verified_with_the_root_alone),
        TEST(no_key_that_opens_more_is_in_it),
        TEST(any_byte_changed_is_refused_or_changes_no_meaning),
        TEST(a_file_cut_short_or_made_longer_is_refused),
        TEST(another_root_or_network_is_refused),
        TEST(a_file_that_its_maker_did_not_sign_so_is_refused),
        TEST(withheld_record_and_key_still_prove_the_entry),
        TEST(a_decision_on_invented_facts_is_refused),
        TEST(an_altered_verdict_pack_or_row_is_refused),
        TEST(missing_and_swapped_parts_are_refused),
        TEST(a_document_of_too_few_signatures_is_refused),
        TEST(counts_that_are_huge_are_refused_in_no_time),
        TEST(the_head_is_the_newest_that_witnesses_cosigned),
        cmocka_unit_test(
            a_key_that_ended_and_a_member_that_left_count_for_what_was_cosigned_before),
        cmocka_unit_test(an_annex_is_bound_and_its_absence_is_told),
        cmocka_unit_test(who_makes_evidence_signs_with_keys_that_are_in_force),
        TEST(evidence_of_what_was_not_opened_proves_the_entry),
        TEST(files_that_are_no_evidence_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
