/* Goal: a look-up shows what is there, says what is not, believes no record that
 * is not what its entry says, and suggests nothing that is in doubt.
 * Method: reports of several hospitals; the asker's replica has their entries and
 * is given records, or other bytes, by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/decision_input.h"
#include "node/recall_rows.h"
#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"
#include "tests/world.h"

struct asked {
    struct world w;
    struct world_lookup a;
    struct world_report r;
};

static void
open_asked(struct asked *s, const struct world_options *o)
{
    memset(s, 0, sizeof *s);
    world_open(&s->w, o);
    world_question(&s->w, &s->a, 3, WORLD_CARD);
    world_report(&s->r, "R1", WORLD_CARD);
}

static int
setup(void **state)
{
    struct asked *s = calloc(1, sizeof *s);
    open_asked(s, NULL);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct asked *s = *state;
    lookup_free(s->a.l);
    world_close(&s->w);
    free(s);
    return 0;
}

/* Ask and decide where all records lie. */
static struct lookup *
decide(struct asked *s)
{
    lookup_free(s->a.l);
    world_ask(s->w.issuer, &s->a);
    world_decide(s->w.issuer, &s->a);
    return s->a.l;
}

static void
publish(struct asked *s, unsigned house, const char *id, const char *value)
{
    s->r.report.report_id = text_of(id);
    s->r.items[0].value = text_of(value);
    OK(world_publish(&s->w, house, &s->r, 0));
}

/* The values of the results in order, "+" before one that is suggested, its state
 * instead of a value where it was not opened. */
static const char *
shown(const struct lookup *l)
{
    static char text[1024];
    text[0] = '\0';
    for (size_t i = 0; i < l->result_count; i++) {
        json_t *o = lookup_result_json(l, &l->results[i]);
        const char *value = json_string_value(json_object_get(o, "value"));
        const char *status = json_string_value(json_object_get(o, "status"));
        bool on = json_is_true(json_object_get(o, "preselected"));
        assert_string_equal(json_string_value(json_object_get(o, "item")), "LAB.K");
        assert_int_equal(on, l->results[i].preselected);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s", i > 0 ? ", " : "",
                 on ? "+" : "", value != NULL ? value : status);
        json_decref(o);
    }
    return text;
}

/* ---- what is shown ---- */

static void
one_result_is_opened_decided_and_suggested(void **state)
{
    struct asked *s = *state;
    publish(s, 0, "R1", "4.1");
    world_sign(&s->w, 0, 7); /* its own cosignature does not count */
    struct lookup *l = decide(s);
    assert_string_equal(shown(l), "+4.1");
    assert_int_equal(lookup_best(l), HR_MUST);
    json_t *o = lookup_result_json(l, &l->results[0]);
    assert_string_equal(json_string_value(json_object_get(o, "issuer")), "h0");
    assert_string_equal(json_string_value(json_object_get(o, "issuer_name")), "Hospital 0");
    assert_int_equal(json_integer_value(json_object_get(o, "age_days")), 4);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "cosigned"), "by")),
                     2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "cosigned"), "of")),
                     2);
    json_t *d = json_array_get(json_object_get(o, "decisions"), 0);
    assert_string_equal(json_string_value(json_object_get(d, "verdict")), "must");
    assert_string_equal(json_string_value(json_object_get(d, "default")), "recognize");
    assert_non_null(json_object_get(d, "document"));
    assert_int_equal(json_array_size(json_object_get(o, "marks")), 2);
    json_decref(o);
}

static void
nothing_held_is_an_answer(void **state)
{
    struct asked *s = *state;
    uint8_t first[HASH_BYTES];
    struct lookup *l = decide(s);
    assert_int_equal(l->result_count, 0);
    assert_int_equal(l->log_count, WORLD_HOUSES);
    assert_int_equal(lookup_best(l), HR_NO_RULE);
    memcpy(first, l->as_of, HASH_BYTES);
    publish(s, 1, "R1", "4.1");
    s->a.question.value = WORLD_OTHER_CARD;
    l = decide(s);
    assert_int_equal(l->result_count, 0);
    assert_memory_not_equal(l->as_of, first, HASH_BYTES); /* as of other heads */
}

/* The notice was quicker than the log: the old value is here, and not shown. */
static void
what_its_issuer_recalled_is_not_used_before_its_log_says_so(void **state)
{
    struct asked *s = *state;
    publish(s, 0, "R1", "4.1");
    publish(s, 1, "R2", "4.2");
    assert_string_equal(shown(decide(s)), "+4.1, 4.2");
    for (uint8_t what = 1; what <= 2; what++) {
        struct recall_row row = recall_row_of(RECALL_HEARD, "", s->w.houses[0].origin, 0);
        row.by = 9;
        row.at_ms = 1;
        row.what = what;
        struct store_txn *t = begin_write(s->w.issuer);
        OK(recall_row_put(t, FIXTURE_NETWORK, &row));
        OK(store_commit(t));
        struct lookup *l = decide(s);
        assert_string_equal(shown(l), what == 1
                                          ? "+4.2, corrected, the new version is not here yet"
                                          : "+4.2, withdrawn");
        assert_int_equal(l->results[1].decision_count, 0);
        assert_int_equal(l->leaves[l->results[1].leaf].recalled, what);
        assert_int_equal(l->leaves[l->results[1].leaf].recalled_by, 9);
    }
}

/* as_of can be made again from the frontier lines. */
static void
as_of_is_the_hash_of_the_frontier_lines(void **state)
{
    struct asked *s = *state;
    uint8_t expect[HASH_BYTES];
    char lines[4096] = "";
    publish(s, 1, "R1", "4.1");
    struct store_txn *t = begin_read(s->w.issuer);
    for (unsigned i = 0; i < WORLD_HOUSES; i++) {
        struct store_log log;
        char root[64];
        OK(store_log_get(t, s->w.houses[i].log, &log));
        sodium_bin2base64(root, sizeof root, log.root.bytes, HASH_BYTES,
                          sodium_base64_VARIANT_ORIGINAL);
        snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%s %d %s\n",
                 s->w.houses[i].origin, (int)log.size, root);
    }
    store_abort(t);
    crypto_hash_sha256(expect, (const uint8_t *)lines, strlen(lines));
    assert_memory_equal(decide(s)->as_of, expect, HASH_BYTES);
}

static void
usable_results_come_first_and_the_newest_of_them_is_suggested(void **state)
{
    struct asked *s = *state;
    s->r.report.examined_at = text_of("2027-01-09T08:00:00+08:00");
    publish(s, 0, "R1", "oldest");
    s->r.report.examined_at = text_of("2027-01-12T08:00:00+08:00");
    publish(s, 1, "R1", "newest");
    s->r.report.examined_at = text_of("2027-01-10T08:00:00Z");
    publish(s, 2, "R1", "middle");
    s->r.report.examined_at = text_of("2027-01-13T08:00:00+08:00");
    s->r.items[0].status = text_of("preliminary");
    publish(s, 2, "R2", "early");
    assert_string_equal(shown(decide(s)), "+newest, middle, oldest, early");
}

static void
what_is_in_doubt_is_never_suggested(void **state)
{
    static const struct {
        const char *status;
        bool critical, doubtful, in_future;
    } cases[] = {{"preliminary", false, false, false}, {"corrected", false, false, false},
                 {"cancelled", false, false, false},   {"unknown", false, false, false},
                 {"final", true, false, false},        {"final", false, true, false},
                 {"final", false, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked *s = *state;
        s->r.items[0].status = text_of(cases[i].status);
        s->r.items[0].critical = cases[i].critical;
        s->r.items[0].doubtful = cases[i].doubtful;
        s->r.report.examined_at = text_of(cases[i].in_future ? "2027-02-11T08:00:00+08:00"
                                                             : "2027-01-11T08:00:00+08:00");
        publish(s, 0, "R1", "1");
        struct lookup *l = decide(s);
        assert_int_equal(l->result_count, 1);
        assert_false(l->results[0].preselected);
        assert_false(l->results[0].decisions[0].decision.recognize && !cases[i].in_future);
        teardown(state);
        setup(state);
    }
}

static void
a_newer_critical_value_keeps_an_older_one_from_being_suggested(void **state)
{
    struct asked *s = *state;
    publish(s, 0, "R1", "4.1");
    s->r.items[0].critical = true;
    s->r.report.examined_at = text_of("2027-01-12T08:00:00+08:00");
    publish(s, 1, "R1", "8.1");
    assert_string_equal(shown(decide(s)), "8.1, 4.1");
}

static void
a_result_in_the_future_does_not_push_the_others_away(void **state)
{
    struct asked *s = *state;
    publish(s, 0, "R1", "4.1");
    s->r.report.examined_at = text_of("2027-03-12T08:00:00+08:00");
    publish(s, 1, "R1", "9.9"); /* in the same quarter, so it is found */
    assert_string_equal(shown(decide(s)), "+4.1, 9.9");
}

static void
a_corrected_report_shows_its_correction_alone(void **state)
{
    struct asked *s = *state;
    publish(s, 0, "R1", "4.1");
    publish(s, 0, "R1", "4.4");
    struct lookup *l = decide(s);
    assert_string_equal(shown(l), "+4.4"); /* the row is final again */
    assert_true(l->leaves[l->results[0].leaf].c.correct);
    OK(world_publish(&s->w, 0, &s->r, 1));
    l = decide(s);
    assert_string_equal(shown(l), "withdrawn");
    assert_int_equal(l->results[0].decision_count, 0);
    assert_int_equal(lookup_best(l), HR_NO_RULE);
}

static void
rows_of_other_items_are_left_out(void **state)
{
    struct asked *s = *state;
    (void)world_item(&s->r, "LAB.NA", "140");
    (void)world_item(&s->r, "", "unmapped"); /* so the brief says *more* */
    publish(s, 0, "R1", "4.1");
    world_report(&s->r, "R2", WORLD_CARD);
    s->r.items[0].code = text_of("LAB.NA");
    (void)world_item(&s->r, "", "unmapped");
    publish(s, 0, "R2", "141");
    struct lookup *l = decide(s);
    assert_string_equal(shown(l), "+4.1");
    assert_int_equal(l->leaf_count, 2); /* the other one was opened, and has no potassium */
    s->a.items[1] = "LAB.NA";
    s->a.question.item_count = 2;
    l = decide(s);
    assert_int_equal(l->result_count, 3);
    size_t on = 0;
    for (size_t i = 0; i < 3; i++) {
        on += l->results[i].preselected;
    }
    assert_int_equal(on, 2); /* one for each item */
}

/* ---- identity ---- */

static void
a_difference_of_identity_is_shown_and_never_suggested(void **state)
{
    static const struct {
        const char *name, *sex, *birth; /* in the report */
        const char *asked_name, *asked_sex, *asked_birth;
        const char *expect; /* NULL: no doubt */
    } cases[] = {
        {"ZHANG^SAN", "F", "1949-12-31", NULL, NULL, NULL, NULL},
        {"ZHANG^SAN", "F", "1949", "zhang san", "F", "1949-12-31", NULL},
        {"", "U", "", "ZHANG SAN", "F", "1949-12-31", NULL},
        {"ZHANG^SAN", "M", "", NULL, NULL, NULL, "sex differs from the card number"},
        {"ZHANG^SAN", "F", "1950-12-31", NULL, NULL, NULL,
         "birth date differs from the card number"},
        {"ZHANG^SAN", "F", "1950", NULL, NULL, NULL, "birth date differs from the card number"},
        {"ZHANG^SAN", "F", "", "LI SI", NULL, NULL, "name differs from the one asked for"},
        {"ZHANG^SAN", "F", "", NULL, "M", NULL, "sex differs from the one asked for"},
        {"ZHANG^SAN", "F", "1949-12-31", NULL, NULL, "1949-12-30",
         "birth date differs from the one asked for"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asked *s = *state;
        s->r.patient.name = text_of(cases[i].name);
        s->r.patient.sex = text_of(cases[i].sex);
        s->r.patient.birth_date = text_of(cases[i].birth);
        s->a.question.name = cases[i].asked_name;
        s->a.question.sex = cases[i].asked_sex;
        s->a.question.birth_date = cases[i].asked_birth;
        publish(s, 0, "R1", "4.1");
        struct lookup *l = decide(s);
        assert_string_equal(shown(l), cases[i].expect == NULL ? "+4.1" : "4.1");
        assert_string_equal(l->leaves[0].doubt, cases[i].expect == NULL ? "" : cases[i].expect);
        assert_int_equal(l->leaves[0].in_doubt, cases[i].expect != NULL);
        teardown(state);
        setup(state);
    }
}

static void
results_of_one_number_that_name_two_people_are_all_in_doubt(void **state)
{
    struct asked *s = *state;
    publish(s, 0, "R1", "4.1");
    publish(s, 0, "R2", "4.2");
    s->r.patient.name = text_of("LI^SI");
    publish(s, 1, "R1", "4.3");
    struct lookup *l = decide(s);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(l->leaves[i].doubt, "name differs between results of this number");
        assert_false(l->results[i].preselected);
    }
    s->a.question.name = "ZHANG SAN"; /* who knows the name is not confused by others */
    assert_string_equal(shown(decide(s)), "+4.1, 4.2, 4.3");
}

/* ---- holders ---- */

static void
records_are_asked_of_their_issuers_alone_and_by_leaf(void **state)
{
    struct asked *s = *state;
    const struct lookup_leaf *leaves[8];
    publish(s, 0, "R1", "4.1");
    publish(s, 1, "R1", "4.2");
    publish(s, 1, "R2", "4.3");
    (void)world_item(&s->r, "LAB.NA", "1");
    s->r.items[0].code = text_of("LAB.CL");
    publish(s, 2, "R3", "100"); /* cannot hold potassium */
    for (unsigned i = 0; i < 3; i++) {
        world_replicate(&s->w, i, false);
    }
    world_ask(s->w.asker, &s->a);
    struct lookup *l = s->a.l;
    assert_string_equal(lookup_holder_next(l, NULL), "h0");
    assert_string_equal(lookup_holder_next(l, "h0"), "h1");
    assert_null(lookup_holder_next(l, "h1"));
    assert_int_equal(lookup_wanted(l, "h1", leaves, 8), 2);
    assert_int_equal(leaves[0]->c.leaf, 1); /* the newest first */
    assert_int_equal(lookup_wanted(l, "h1", leaves, 1), 1);
    assert_false(lookup_complete(l));
    lookup_silent(l, "h0");
    lookup_without(l, "h1", s->w.houses[1].origin, 1, LOOKUP_MISSING);
    lookup_without(l, "h0", s->w.houses[1].origin, 0, LOOKUP_MISSING); /* not h0's to say */
    assert_string_equal(lookup_holder_next(l, NULL), "h1");
    lookup_silent(l, "h1");
    assert_true(lookup_complete(l));
    world_decide(s->w.asker, &s->a);
    assert_string_equal(shown(l), "issuer silent, issuer silent, not given by the issuer");
}

/* Give what the issuer's store has, changed by `change`, to the look-up. */
static enum status
give(struct asked *s, unsigned house, uint64_t leaf, const struct hash *sealed,
     const uint8_t *key, bool damage)
{
    struct view record;
    struct store_txn *t = begin_read(s->w.issuer);
    OK(store_record_get(t, s->w.houses[house].log, leaf, sealed, &record));
    uint8_t *copy = malloc(record.count);
    memcpy(copy, record.bytes, record.count);
    copy[record.count / 2] ^= damage;
    enum status st =
        lookup_record(s->a.l, s->w.houses[house].institution, s->w.houses[house].origin, leaf,
                      (struct view){copy, record.count}, key);
    free(copy);
    store_abort(t);
    return st;
}

static void
another_record_than_the_one_published_is_refused(void **state)
{
    struct asked *s = *state;
    publish(s, 0, "R1", "4.1");
    publish(s, 0, "R2", "4.2");
    world_replicate(&s->w, 0, false);
    world_ask(s->w.asker, &s->a);
    struct hash sealed = s->a.l->leaves[0].c.sealed;
    struct hash other = s->a.l->leaves[1].c.sealed;
    assert_int_equal(lookup_record(s->a.l, "h1", s->w.houses[0].origin, 0,
                                   (struct view){other.bytes, 1}, NULL),
                     STATUS_NOT_FOUND);
    assert_int_equal(give(s, 0, 0, &sealed, NULL, true), STATUS_BAD_PROOF);
    assert_int_equal(give(s, 0, 0, &sealed, NULL, false), STATUS_NOT_FOUND); /* no second try */
    OK(give(s, 0, 1, &other, NULL, false));
    assert_int_equal(give(s, 0, 1, &other, NULL, false), STATUS_NOT_FOUND); /* nobody asked */
    assert_int_equal(
        lookup_record(s->a.l, "h0", s->w.houses[0].origin, 1, (struct view){NULL, 0}, NULL),
        STATUS_NOT_FOUND);
    assert_true(lookup_complete(s->a.l));
    world_decide(s->w.asker, &s->a);
    assert_string_equal(shown(s->a.l), "+4.2, unreadable");
    assert_int_equal(s->a.l->findings, 1);
}

static void
records_that_came_by_replication_need_no_question(void **state)
{
    struct asked *s = *state;
    publish(s, 0, "R1", "4.1");
    world_replicate(&s->w, 0, true);
    world_ask(s->w.asker, &s->a);
    assert_true(lookup_complete(s->a.l));
    world_decide(s->w.asker, &s->a);
    assert_string_equal(shown(s->a.l), "+4.1");
}

static void
a_held_report_opens_only_with_the_key_that_its_issuer_gives(void **state)
{
    struct asked *s = *state;
    uint8_t k[KEY_BYTES], wrong[KEY_BYTES] = {1};
    struct view text;
    (void)world_item(&s->r, "LAB.HIVAB", "negative");
    for (unsigned i = 0; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof id, "R%u", i);
        publish(s, 0, id, "4.1");
    }
    world_replicate(&s->w, 0, true);
    world_ask(s->w.asker, &s->a);
    assert_int_equal(s->a.l->leaf_count, 4); /* it may hold anything */
    assert_string_equal(lookup_holder_next(s->a.l, NULL), "h0");
    struct hash sealed[4];
    for (size_t i = 0; i < 4; i++) {
        sealed[i] = s->a.l->leaves[i].c.sealed;
    }
    struct store_txn *t = begin_read(s->w.issuer);
    OK(store_salt_get(t, s->w.houses[0].log, 0, k, &text));
    store_abort(t);
    OK(give(s, 0, 0, &sealed[0], k, false));
    OK(give(s, 0, 1, &sealed[1], wrong, false));
    OK(give(s, 0, 2, &sealed[2], NULL, false));
    lookup_without(s->a.l, "h0", s->w.houses[0].origin, 3, LOOKUP_MISSING);
    assert_true(lookup_complete(s->a.l));
    world_decide(s->w.asker, &s->a);
    assert_string_equal(shown(s->a.l),
                        "+4.1, unreadable, held by the issuer, held by the issuer");
    /* the issuer itself opens its own */
    lookup_free(s->a.l);
    s->a.place.institution = "h0";
    world_ask(s->w.issuer, &s->a);
    assert_true(lookup_complete(s->a.l));
    world_decide(s->w.issuer, &s->a);
    assert_int_equal(s->a.l->result_count, 4);
    assert_non_null(s->a.l->results[3].item);
}

static void
our_own_record_that_is_gone_is_missing_and_nobody_is_silent(void **state)
{
    struct asked *s = *state;
    publish(s, 3, "R1", "4.1");
    world_replicate(&s->w, 3, false); /* as after a loss: entries back, records not */
    world_ask(s->w.asker, &s->a);
    assert_true(lookup_complete(s->a.l));
    world_decide(s->w.asker, &s->a);
    assert_string_equal(shown(s->a.l), "not given by the issuer");
}

/* ---- records that are not what their entry says ---- */

/* Publish as `house` a record that was sealed as the context says. */
static void
publish_as(struct asked *s, unsigned house, const struct publish_context *c,
           const Hr__Report *report, const char *origin)
{
    struct publication p;
    struct publish_step step = {.what = PUBLISH_NEW,
                                .identifier = report->patient->identifiers[0]};
    struct publish_context context = *c;
    struct hash sealed;
    context.origin = origin;
    OK(publish_make(&context, report, &step, NULL, &p));
    uint64_t leaf = world_append(&s->w, house, (struct view){p.entry, p.entry_count});
    struct store_txn *t = begin_write(s->w.issuer);
    record_sealed((struct view){p.record, p.record_count}, &sealed);
    OK(store_record_put(t, s->w.houses[house].log, leaf, &sealed,
                        (struct view){p.record, p.record_count}));
    OK(store_commit(t));
    publication_free(&p);
}

static uint32_t
lying_number(void *ctx, const char *code)
{
    (void)code;
    return world_number(ctx, "LAB.K"); /* whatever it is, the brief says potassium */
}

static void
a_record_that_does_not_say_what_its_entry_says_is_unreadable(void **state)
{
    struct asked *s = *state;
    struct world_house *h = &s->w.houses[0];
    struct publish_context c = h->publish;
    struct world_report other;
    /* 1. the report names another institution */
    s->r.report.institution = text_of("h1");
    publish_as(s, 0, &c, &s->r.report, h->origin);
    s->r.report.institution = text_of("h0");
    /* 2. sealed for another network */
    c.network = "other.cn";
    publish_as(s, 0, &c, &s->r.report, h->origin);
    c = h->publish;
    /* 3. sealed as another institution's */
    c.institution = "h1";
    publish_as(s, 0, &c, &s->r.report, h->origin);
    c = h->publish;
    /* 4. the brief names an item that the report omits */
    c.number = lying_number;
    world_report(&other, "R4", WORLD_CARD);
    other.report.institution = text_of("h0");
    other.items[0].code = text_of("LAB.NA");
    publish_as(s, 0, &c, &other.report, h->origin);
    struct lookup *l = decide(s);
    assert_string_equal(shown(l), "unreadable, unreadable, unreadable, unreadable");
    assert_int_equal(l->findings, 4);
    assert_int_equal(lookup_best(l), HR_NO_RULE);
    for (size_t i = 0; i < 4; i++) {
        assert_null(l->leaves[i].report);
    }
}

/* The entry stands under this patient's token, the record names somebody else. */
static void
a_record_of_another_patient_is_unreadable(void **state)
{
    struct asked *s = *state;
    struct patient_keys keys;
    struct token token;
    struct hash sealed;
    uint8_t plain[2048], record[4096], token_bytes[TOKEN_BYTES], entry[256];
    size_t count, entry_count;
    world_report(&s->r, "R1", WORLD_OTHER_CARD);
    s->r.report.institution = text_of("h0");
    OK(token_patient_keys(&s->w.epochs[0], "RI", WORLD_CARD, &keys));
    token_make(&keys, 2027 * 4, &token);
    memcpy(token_bytes, token.bytes, TOKEN_BYTES);
    size_t packed = hr__report__pack(&s->r.report, plain);
    OK(record_seal((struct view){plain, packed}, keys.record_key, FIXTURE_NETWORK, "h0", record,
                   sizeof record, &count));
    record_sealed((struct view){record, count}, &sealed);
    Hr__PubEntry e = HR__PUB_ENTRY__INIT;
    Hr__Publish p = HR__PUBLISH__INIT;
    uint8_t junk[BRIEF_BYTES] = {0};
    p.token = (ProtobufCBinaryData){TOKEN_BYTES, token_bytes};
    p.epoch = 1;
    p.sealed = (ProtobufCBinaryData){HASH_BYTES, sealed.bytes};
    p.brief = (ProtobufCBinaryData){BRIEF_BYTES, junk};
    e.what_case = HR__PUB_ENTRY__WHAT_PUBLISH;
    e.publish = &p;
    OK(pb_pack(&e.base, entry, sizeof entry, &entry_count));
    uint64_t leaf = world_append(&s->w, 0, (struct view){entry, entry_count});
    struct store_txn *t = begin_write(s->w.issuer);
    OK(store_record_put(t, s->w.houses[0].log, leaf, &sealed, (struct view){record, count}));
    OK(store_commit(t));
    assert_string_equal(shown(decide(s)), "unreadable");
}

/* ---- the charter ---- */

static void
a_pack_that_is_not_here_decides_nothing_and_is_counted(void **state)
{
    struct asked s;
    (void)state;
    open_asked(&s, &(struct world_options){.unknown_pack = true});
    publish(&s, 0, "R1", "4.1");
    struct lookup *l = decide(&s);
    assert_string_equal(shown(l), "4.1");
    assert_int_equal(l->results[0].decision_count, 0);
    assert_int_equal(l->no_pack, 1);
    lookup_free(s.a.l);
    world_close(&s.w);
}

static void
stale_documents_are_unknown_in_the_decision(void **state)
{
    struct asked s;
    (void)state;
    open_asked(&s, &(struct world_options){.members_stale = true});
    publish(&s, 0, "R1", "4.1");
    struct lookup *l = decide(&s);
    assert_int_equal(l->results[0].decisions[0].decision.verdict, HR_MAY);
    assert_int_equal(l->results[0].decisions[0].decision.checks[HR_ISSUER_LISTED], HR_UNKNOWN);
    assert_false(l->results[0].preselected);
    lookup_free(s.a.l);
    world_close(&s.w);
}

static void
a_question_that_cannot_be_is_refused(void **state)
{
    struct asked *s = *state;
    struct lookup *l;
    struct store_txn *t = begin_read(s->w.issuer);
    static const int64_t moments[] = {-1, INT64_MIN, INT64_MAX, INT64_C(10000000000)};
    for (size_t i = 0; i < 4; i++) {
        s->a.question.at_s = moments[i];
        assert_int_equal(lookup_open(&s->a.question, &s->a.place, t, &l), STATUS_MALFORMED);
        assert_null(l);
    }
    s->a.question.at_s = 0;
    OK(lookup_open(&s->a.question, &s->a.place, t, &l));
    lookup_free(l);
    s->a.question.at_s = FIXTURE_NOW;
    s->a.items[0] = "NOT.IN.CATALOG";
    assert_int_equal(lookup_open(&s->a.question, &s->a.place, t, &l), STATUS_NOT_FOUND);
    s->a.items[0] = "LAB.K";
    s->a.question.item_count = 0;
    assert_int_equal(lookup_open(&s->a.question, &s->a.place, t, &l), STATUS_MALFORMED);
    s->a.question.item_count = 1;
    s->a.question.value = "";
    assert_int_equal(lookup_open(&s->a.question, &s->a.place, t, &l), STATUS_MALFORMED);
    s->a.question.value = WORLD_CARD;
    s->a.place.epoch_count = 0;
    assert_int_equal(lookup_open(&s->a.question, &s->a.place, t, &l), STATUS_UNAVAILABLE);
    store_abort(t);
}

static void
a_log_with_very_many_reports_leaves_room_for_the_others(void **state)
{
    struct asked *s = *state;
    for (unsigned i = 0; i < LOOKUP_RESULTS_MAX + 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "R%u", i);
        publish(s, 0, id, "4.1");
    }
    publish(s, 1, "R1", "4.2");
    struct lookup *l = decide(s);
    assert_true(l->leaf_count <= LOOKUP_RESULTS_MAX);
    assert_int_equal(l->leaf_count + l->left_out, LOOKUP_RESULTS_MAX + 41);
    assert_string_equal(l->leaves[l->leaf_count - 1].c.institution, "h1");
    assert_int_equal(l->leaves[l->leaf_count - 2].c.leaf, LOOKUP_RESULTS_MAX + 39);
}

/* ---- what is logged ---- */

static void
a_decision_can_be_replayed_from_its_entry(void **state)
{
    struct asked *s = *state;
    uint8_t entry[ENTRY_BYTES_MAX], question[HASH_BYTES] = {1}, asked[HASH_BYTES] = {2};
    size_t count;
    publish(s, 0, "R1", "4.1");
    struct lookup *l = decide(s);
    OK(lookup_decided(l, &l->results[0], &l->results[0].decisions[0], 1234,
                      (struct view){question, HASH_BYTES}, (struct view){asked, HASH_BYTES},
                      entry, sizeof entry, &count));
    Hr__ExchEntry *e = hr__exch_entry__unpack(NULL, count, entry);
    assert_non_null(e);
    const Hr__Decided *d = e->decided;
    json_t *out;
    char error[160];
    OK(policy_decide_json(s->w.policy, (const char *)d->input.data, d->input.len, &out, error,
                          sizeof error));
    assert_string_equal(json_string_value(json_object_get(out, "verdict")), d->verdict);
    assert_string_equal(json_string_value(json_object_get(out, "at_best")), d->at_best);
    assert_string_equal(d->verdict, "must");
    json_decref(out);
    /* canonical: packed again it is the same bytes */
    json_t *input = json_loadb((const char *)d->input.data, d->input.len, 0, NULL);
    size_t bytes;
    char *again = policy_json_canonical(input, &bytes);
    assert_int_equal(bytes, d->input.len);
    assert_memory_equal(again, d->input.data, bytes);
    free(again);
    json_decref(input);
    assert_memory_equal(d->as_of.data, l->as_of, HASH_BYTES);
    assert_string_equal(d->leaf->origin, s->w.houses[0].origin);
    assert_string_equal(d->item, "LAB.K");
    /* no token and no identity of the patient */
    static const char *const secrets[] = {WORLD_CARD, "ZHANG"};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k + strlen(secrets[i]) <= count; k++) {
            assert_memory_not_equal(entry + k, secrets[i], strlen(secrets[i]));
        }
    }
    hr__exch_entry__free_unpacked(e, NULL);
    OK(lookup_decided(l, NULL, NULL, 1234, (struct view){question, HASH_BYTES},
                      (struct view){NULL, 0}, entry, sizeof entry, &count));
    e = hr__exch_entry__unpack(NULL, count, entry);
    assert_null(e->decided->leaf);
    assert_int_equal(e->decided->logs, WORLD_HOUSES);
    hr__exch_entry__free_unpacked(e, NULL);
}

/* The worst of everything at once still makes an entry. */
static void
a_decided_entry_always_fits(void **state)
{
    struct asked s;
    uint8_t entry[ENTRY_BYTES_MAX];
    size_t count;
    (void)state;
    open_asked(&s, &(struct world_options){.listings = 16, .rounds = 1023});
    publish(&s, 0, "R1", "4.1");
    struct lookup *l = decide(&s);
    struct lookup_decision *d = &l->results[0].decisions[0];
    free(d->input);
    d->input = malloc(DECISION_INPUT_BYTES_MAX);
    memset(d->input, ' ', DECISION_INPUT_BYTES_MAX);
    d->input_bytes = DECISION_INPUT_BYTES_MAX;
    struct lookup_leaf first = l->leaves[0];
    l->leaves = realloc(l->leaves, 2001 * sizeof *l->leaves);
    for (size_t i = 1; i <= 2000; i++) { /* 1000 silent institutions, each twice */
        l->leaves[i] = (struct lookup_leaf){.c = first.c, .state = LOOKUP_SILENT};
        snprintf(l->leaves[i].c.institution, INSTITUTION_CHARS_MAX + 1, "%064zu", i % 1000);
    }
    l->leaf_count = 2001;
    memset(l->leaves[0].c.origin, 'o', ORIGIN_CHARS_MAX);
    uint8_t hash[HASH_BYTES] = {0};
    OK(lookup_decided(l, &l->results[0], d, UINT64_MAX, (struct view){hash, HASH_BYTES},
                      (struct view){hash, HASH_BYTES}, entry, sizeof entry, &count));
    Hr__ExchEntry *e = hr__exch_entry__unpack(NULL, count, entry);
    assert_int_equal(e->decided->n_silent + e->decided->silent_more, 1000);
    assert_true(e->decided->n_silent >= 32);
    hr__exch_entry__free_unpacked(e, NULL);
    l->leaf_count = 1;
    lookup_free(l);
    world_close(&s.w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_result_is_opened_decided_and_suggested),
        TEST(nothing_held_is_an_answer),
        TEST(what_its_issuer_recalled_is_not_used_before_its_log_says_so),
        TEST(as_of_is_the_hash_of_the_frontier_lines),
        TEST(usable_results_come_first_and_the_newest_of_them_is_suggested),
        TEST(what_is_in_doubt_is_never_suggested),
        TEST(a_newer_critical_value_keeps_an_older_one_from_being_suggested),
        TEST(a_result_in_the_future_does_not_push_the_others_away),
        TEST(a_corrected_report_shows_its_correction_alone),
        TEST(rows_of_other_items_are_left_out),
        TEST(a_difference_of_identity_is_shown_and_never_suggested),
        TEST(results_of_one_number_that_name_two_people_are_all_in_doubt),
        TEST(records_are_asked_of_their_issuers_alone_and_by_leaf),
        TEST(another_record_than_the_one_published_is_refused),
        TEST(records_that_came_by_replication_need_no_question),
        TEST(a_held_report_opens_only_with_the_key_that_its_issuer_gives),
        TEST(our_own_record_that_is_gone_is_missing_and_nobody_is_silent),
        TEST(a_record_that_does_not_say_what_its_entry_says_is_unreadable),
        TEST(a_record_of_another_patient_is_unreadable),
        cmocka_unit_test(a_pack_that_is_not_here_decides_nothing_and_is_counted),
        cmocka_unit_test(stale_documents_are_unknown_in_the_decision),
        TEST(a_question_that_cannot_be_is_refused),
        TEST(a_log_with_very_many_reports_leaves_room_for_the_others),
        TEST(a_decision_can_be_replayed_from_its_entry),
        cmocka_unit_test(a_decided_entry_always_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
