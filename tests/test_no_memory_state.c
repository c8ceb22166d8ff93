/* Goal: a look-up, evidence, a fork, a replay and a publication in a store lack nothing when an
 * allocation fails, or are not made (RELIABILITY F7): a decision with a missing fact is never
 * recorded, good evidence never called bad, an entry never half there.
 * Method: see no_memory.h; the store is looked at after each failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/evidence.h"
#include "node/forkfile.h"
#include "node/forkproof.h"
#include "node/impact.h"
#include "node/policy_simulate.h"
#include "tests/no_memory.h"

static struct world_lookup asked;

/* ---- look-up, evidence, forks, replays ---- */

static uint8_t entry[ENTRY_BYTES_MAX];
static size_t entry_count;

/* A look-up from the index to the Decided entry that is logged. */
static enum status
run_lookup(void)
{
    struct store_txn *t = NULL;
    struct lookup *l = NULL;
    struct hash question = {{7}};
    enum status st = store_begin_read(w->issuer, &t);
    st = st == STATUS_OK ? lookup_open(&asked.question, &asked.place, t, &l) : st;
    st = st == STATUS_OK ? lookup_decide(l, t, FIXTURE_NOW) : st;
    if (st == STATUS_OK) {
        assert_int_equal(l->result_count, 1);
        const struct lookup_result *r = &l->results[0];
        st =
            lookup_decided(l, r, &r->decisions[0], 1, (struct view){question.bytes, HASH_BYTES},
                           (struct view){NULL, 0}, entry, sizeof entry, &entry_count);
        give(entry, entry_count);
    }
    unsigned long mark = json_whole_mark();
    json_t *o = st == STATUS_OK ? lookup_result_json(l, &l->results[0]) : NULL;
    if (st == STATUS_OK && json_whole_mark() != mark) {
        st = STATUS_NO_MEMORY; /* as cli.c and control_io.c see it */
    }
    if (st == STATUS_OK) {
        give_json(o);
    }
    json_decref(o);
    lookup_free(l);
    store_abort(t);
    return st;
}

static uint8_t *evidence;
static size_t evidence_count;

static enum status
run_evidence_make(void)
{
    struct store_txn *t = NULL;
    uint8_t *file = NULL;
    size_t count;
    enum status st = store_begin_read(w->issuer, &t);
    st = st == STATUS_OK
             ? evidence_make(asked.l, &asked.l->results[0], t, &w->houses[3].keys.statement,
                             FIXTURE_NOW * 1000, &file, &count)
             : st;
    if (st == STATUS_OK) {
        give(file, count);
    }
    free(file);
    store_abort(t);
    return st;
}

static enum status
run_evidence_check(void)
{
    struct evidence_found found;
    char reason[EVIDENCE_REASON_CHARS];
    enum status st =
        evidence_check((struct view){evidence, evidence_count}, &w->documents[CHARTER_ROOT].doc,
                       w->policy, FIXTURE_NOW, &found, reason);
    assert_true((st == STATUS_OK) == (found.json != NULL));
    if (st == STATUS_OK) {
        give_json(found.json);
    }
    json_decref(found.json);
    return st;
}

static uint8_t fork_proof[FORKPROOF_BYTES_MAX];
static size_t fork_proof_count;

static enum status
run_fork(void)
{
    char reason[EVIDENCE_REASON_CHARS];
    json_t *json = NULL;
    struct forkproof p;
    uint8_t *file = NULL;
    size_t count;
    struct view proof = {fork_proof, fork_proof_count};
    enum status st = forkproof_read(proof, &p);
    if (st == STATUS_OK) {
        give(&p.proven, sizeof p.proven);
        forkproof_free(&p);
        st = forkfile_make(w->charter, proof, &file, &count);
    }
    if (st == STATUS_OK) {
        give(file, count);
        st = forkfile_check((struct view){file, count}, &w->documents[CHARTER_ROOT].doc,
                            FIXTURE_NOW, &json, reason);
    }
    if (st == STATUS_OK) {
        give_json(json);
    }
    json_decref(json);
    free(file);
    return st;
}

static enum status
run_impact(void)
{
    struct impact *m;
    struct impact_totals totals = {0};
    enum status st = impact_open(w->charter, &m);
    st = st == STATUS_OK ? impact_entry(m, w->policy, (struct view){entry, entry_count}) : st;
    if (st == STATUS_OK) {
        impact_totals(m, &totals);
        give(&totals, sizeof totals);
    }
    impact_close(m);
    return st;
}

static enum status
run_simulate(void)
{
    struct simulate *s;
    struct simulate_totals totals = {0};
    enum status st = simulate_open(policy_set_pack(w->policy, 0), w->policy, NULL, &s);
    st = st == STATUS_OK ? simulate_entry(s, (struct view){entry, entry_count}) : st;
    if (st == STATUS_OK) {
        simulate_totals(s, &totals);
        give(&totals, sizeof totals);
    }
    simulate_close(s);
    return st;
}

/* Two heads of one size by house 1. */
static void
make_fork(void)
{
    uint8_t notes[2][2048];
    struct note_signer signer;
    size_t counts[2];
    for (uint8_t i = 0; i < 2; i++) {
        struct checkpoint c = {.origin = text_view(w->houses[1].origin), .size = 7};
        memset(c.root.bytes, i, HASH_BYTES);
        OK(note_signer_make(c.origin, NOTE_KEY_ED25519, w->houses[1].keys.log.secret_key,
                            &signer));
        OK(checkpoint_sign(&signer, &c, notes[i], sizeof notes[i], &counts[i]));
    }
    OK(forkproof_encode((struct view){notes[0], counts[0]}, (struct view){notes[1], counts[1]},
                        NULL, fork_proof, &fork_proof_count));
}

static void
what_is_proven_or_recorded_lacks_nothing(void **state)
{
    (void)state;
    struct world_report r;
    struct store_txn *t;
    world_report(&r, "L-1", WORLD_CARD);
    OK(world_publish(w, 0, &r, 0));
    world_sign(w, 0, 6);
    world_question(w, &asked, 3, WORLD_CARD);
    try_each("look-up", run_lookup, STATUS_NO_MEMORY);
    world_ask(w->issuer, &asked);
    world_decide(w->issuer, &asked);
    try_each("making evidence", run_evidence_make, STATUS_NO_MEMORY);
    t = begin_read(w->issuer);
    OK(evidence_make(asked.l, &asked.l->results[0], t, &w->houses[3].keys.statement,
                     FIXTURE_NOW * 1000, &evidence, &evidence_count));
    store_abort(t);
    try_each("evidence", run_evidence_check, STATUS_NO_MEMORY);
    make_fork();
    try_each("fork", run_fork, STATUS_NO_MEMORY);
    try_each("impact", run_impact, STATUS_NO_MEMORY);
    try_each("simulation", run_simulate, STATUS_NO_MEMORY);
    free(evidence);
    lookup_free(asked.l);
}

/* ---- the store ---- */

static unsigned report_number;
static const char *two_cards[] = {WORLD_CARD, WORLD_OTHER_CARD};

/* Publish one report, marks derived, under two identifiers, as the engine does. */
static enum status
run_publish(void)
{
    struct world_house *h = &w->houses[2];
    uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES] = {{1}};
    char id[16];
    struct world_report r;
    struct publisher *p = calloc(1, sizeof *p);
    struct report_arena *arena = report_arena_new(1 << 20);
    struct store_txn *t = NULL;
    bool fatal = false, begun = false;
    snprintf(id, sizeof id, "N-%u", report_number);
    world_report(&r, id, two_cards[0]);
    world_identify(&r, "PP", "USA/12345");
    r.report.institution = h->institution;
    enum status st = p == NULL || arena == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    st = st == STATUS_OK ? marks_derive(w->charter, w->policy, h->institution, FIXTURE_NOW,
                                        arena, &r.report)
                         : st;
    st = st == STATUS_OK ? store_begin_write(w->issuer, STORE_PUBLISH, 1 << 16, &t) : st;
    st = st == STATUS_OK ? publisher_begin(p, &h->publish, t, h->log) : st;
    begun = st == STATUS_OK;
    st = begun ? publisher_add(p, &r.report, 0, (const uint8_t(*)[KEY_BYTES])random, &w->plan,
                               &fatal)
               : st;
    st = st == STATUS_OK ? publisher_flush(p) : st;
    if (begun) {
        publisher_end(p);
    }
    if (st == STATUS_OK) {
        st = store_commit(t);
    } else {
        store_abort(t);
    }
    if (st == STATUS_OK) {
        give(&w->plan.count, sizeof w->plan.count);
    }
    report_arena_free(arena);
    free(p);
    return st;
}

/* What failed left nothing; what was said to be stored is there, once. */
static enum status
run_publish_and_look(void)
{
    uint64_t before, after;
    fail_alloc_spare(true);
    before = world_size(w, 2);
    fail_alloc_spare(false);
    enum status st = run_publish();
    fail_alloc_spare(true);
    after = world_size(w, 2);
    assert_int_equal(after, before + (st == STATUS_OK ? 2 : 0));
    report_number += st == STATUS_OK;
    fail_alloc_spare(false);
    return st;
}

static struct test_dir closed;

static enum status
run_open(void)
{
    struct store_options options = {.handle_of = candidates_handle_of};
    struct store *s;
    enum status st = store_open(closed.path, &options, &s);
    assert_true((st == STATUS_OK) == (s != NULL));
    store_close(s);
    return st;
}

static void
a_store_keeps_all_of_a_publication_or_nothing(void **state)
{
    (void)state;
    closed = dir_make();
    try_each("opening a store", run_open, STATUS_NO_MEMORY);
    dir_remove(&closed);
    grows = true; /* the store remembers tokens of what is not indexed yet */
    try_each("publication", run_publish_and_look, STATUS_NO_MEMORY);
    struct store_log log;
    struct store_txn *t = begin_read(w->issuer);
    OK(store_log_get(t, w->houses[2].log, &log));
    assert_int_equal(log.size, 2 * report_number);
    store_abort(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_proven_or_recorded_lacks_nothing),
        cmocka_unit_test(a_store_keeps_all_of_a_publication_or_nothing),
    };
    return cmocka_run_group_tests(tests, no_memory_setup, no_memory_teardown);
}
