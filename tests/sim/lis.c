#include "tests/sim/lis.h"

#include "crypto/token.h"
#include "node/candidates.h"
#include "node/lookup.h"
#include "node/policy_json.h"
#include "store/log.h"

enum { REPORTS_MAX = 1500, WAITING_MAX = 4096, CARD_CHARS = 20 };

struct lis_report {
    uint32_t patient;
    uint32_t version, acked; /* newest sent, newest acknowledged: from 1 */
    bool held, withdrawn, withdrawn_acked;
    bool refused; /* it came under a key that had ended 60 days before */
};
struct lis_message {
    uint32_t report, version; /* version 0: withdraw */
};
struct lis {
    size_t report_count, waiting_count;
    struct lis_report reports[REPORTS_MAX];
    struct lis_message waiting[WAITING_MAX];
    struct publish_context context;
    struct network_key key;
    uint8_t ledger_key[KEY_BYTES];
};

static struct policy_set *policy;

bool
lis_load(void)
{
    char error[256];
    return policy_set_load_embedded(&policy, error, sizeof error) == STATUS_OK;
}

struct lis *
lis_new(void)
{
    struct lis *l = calloc(1, sizeof *l);
    assert(l != NULL);
    return l;
}

void
lis_free(struct lis *l)
{
    free(l);
}

/* ---- what is sent ---- */

static void
wait_for(struct lis *l, uint32_t report, uint32_t version)
{
    if (l->waiting_count < WAITING_MAX) {
        l->waiting[l->waiting_count++] = (struct lis_message){report, version};
    }
}

void
lis_draw(struct world *w, struct node *n, unsigned count)
{
    struct lis *l = n->lis;
    for (unsigned i = 0; i < count && l->waiting_count + 1 < WAITING_MAX; i++) {
        uint64_t what = l->report_count == 0 ? 99 : sim_below(&w->rng, 100);
        uint32_t at = l->report_count == 0 ? 0 : (uint32_t)sim_below(&w->rng, l->report_count);
        struct lis_report *r = &l->reports[at];
        if (what >= 25 || r->withdrawn) {
            if (l->report_count == REPORTS_MAX) {
                return;
            }
            at = (uint32_t)l->report_count++;
            l->reports[at] = (struct lis_report){
                .patient = w->next_patient++, .version = 1, .held = sim_percent(&w->rng, 10)};
            wait_for(l, at, 1);
        } else if (what >= 14) {
            wait_for(l, at, ++r->version); /* a correction */
        } else if (what >= 3) {
            wait_for(l, at, 1 + (uint32_t)sim_below(&w->rng, r->version)); /* again, or old */
        } else {
            r->withdrawn = true;
            wait_for(l, at, 0);
        }
    }
}

size_t
lis_count(const struct node *n)
{
    return n->lis->report_count;
}

size_t
lis_waiting(const struct node *n)
{
    return n->lis->waiting_count;
}

void
lis_acknowledged(struct node *n)
{
    struct lis *l = n->lis;
    for (size_t i = 0; i < l->waiting_count; i++) {
        struct lis_report *r = &l->reports[l->waiting[i].report];
        if (l->waiting[i].version == 0) {
            r->withdrawn_acked = true;
        } else if (l->waiting[i].version > r->acked) {
            r->acked = l->waiting[i].version;
        }
    }
    l->waiting_count = 0;
}

void
lis_again(struct node *n)
{
    struct lis *l = n->lis;
    l->waiting_count = 0;
    for (uint32_t i = 0; i < l->report_count; i++) {
        for (uint32_t v = 1; v <= l->reports[i].version; v++) {
            wait_for(l, i, v);
        }
        if (l->reports[i].withdrawn) {
            wait_for(l, i, 0);
        }
        l->reports[i].acked = 0;
        l->reports[i].withdrawn_acked = false;
    }
}

/* ---- reports ---- */

static char *
text_of(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* A resident identity number that checks (GB 11643). */
static void
card_of(uint32_t patient, char card[CARD_CHARS])
{
    static const int weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    uint32_t day = patient / 998;
    int sum = 0;
    snprintf(card, CARD_CHARS, "110105%04u%02u%02u%03u", 1950 + day / 28 / 12 % 60,
             1 + day / 28 % 12, 1 + day % 28, 1 + patient % 998);
    for (int i = 0; i < 17; i++) {
        sum += (card[i] - '0') * weights[i];
    }
    card[17] = "10X98765432"[sum % 11];
    card[18] = '\0';
}

static void
value_of(const struct node *n, uint32_t report, uint32_t version, char value[32])
{
    snprintf(value, 32, "%d.%u%02u", n->member + 1, report, version);
}

static bool
sensitive(void *ctx, const char *code)
{
    (void)ctx;
    return strcmp(code, "LAB.HIVAB") == 0;
}

static uint32_t
number(void *ctx, const char *code)
{
    (void)ctx;
    const struct hr_item *item =
        hr_catalog_by_code(policy_set_catalog(policy), (struct hr_text){code, strlen(code)});
    return item == NULL ? 0 : item->number;
}

void
lis_one_epoch(struct node *n)
{
    n->epochs[0].epoch = 1;
    memset(n->epochs[0].key, 0xe0, KEY_BYTES);
    n->epoch_count = 1;
    n->current = true;
}

bool
lis_may_publish(const struct node *n)
{
    return n->stubborn ? n->epoch_count > 1 : n->current;
}

enum status
lis_publisher(struct world *w, struct node *n, struct store_txn *t, uint32_t log,
              struct publisher *p)
{
    struct lis *l = n->lis;
    (void)w;
    l->key = n->epochs[n->epoch_count - (n->stubborn ? 2 : 1)];
    memset(l->ledger_key, 0x40 + n->member % 64, sizeof l->ledger_key);
    l->context = (struct publish_context){.network = SIM_NETWORK,
                                          .institution = n->institution,
                                          .origin = n->origin,
                                          .network_key = &l->key,
                                          .earlier = n->epochs,
                                          .earlier_count = n->epoch_count - 1,
                                          .ledger_key = l->ledger_key,
                                          .sensitive = sensitive,
                                          .number = number};
    return publisher_begin(p, &l->context, t, log);
}

static void
send_one(struct world *w, struct node *n, struct publisher *p, const struct lis_message *m)
{
    struct lis *l = n->lis;
    const struct lis_report *r = &l->reports[m->report];
    uint8_t random[PUBLISH_IDENTIFIERS_MAX][KEY_BYTES];
    char id[32], card[CARD_CHARS], value[32], reported[40];
    struct publish_plan plan;
    bool fatal = false;
    Hr__Report report;
    Hr__Patient patient;
    Hr__Identifier identifier;
    Hr__Item item;
    Hr__Identifier *identifiers[] = {&identifier};
    Hr__Item *items[] = {&item};
    uint32_t version = m->version == 0 ? r->version : m->version;
    hr__report__init(&report);
    hr__patient__init(&patient);
    hr__identifier__init(&identifier);
    hr__item__init(&item);
    snprintf(id, sizeof id, "R%u", m->report);
    snprintf(reported, sizeof reported, "2027-01-11T%02u:%02u:00+08:00", 10 + version / 60 % 12,
             version % 60);
    card_of(r->patient, card);
    value_of(n, m->report, version, value);
    report.format = 1;
    report.institution = n->institution;
    report.report_id = id;
    report.kind = text_of("laboratory");
    report.status = text_of(version > 1 ? "corrected" : "final");
    report.examined_at = text_of("2027-01-11T08:00:00+08:00");
    report.reported_at = reported;
    report.patient = &patient;
    report.items = items;
    report.n_items = 1;
    patient.identifiers = identifiers;
    patient.n_identifiers = 1;
    patient.name = text_of("ZHANG^SAN");
    patient.sex = text_of("F");
    identifier.type = text_of("RI");
    identifier.value = card;
    item.code = text_of(r->held ? "LAB.HIVAB" : "LAB.K");
    item.name = item.code;
    item.value = value;
    item.unit = text_of("mmol/L");
    item.status = text_of("final");
    for (size_t i = 0; i < sizeof random; i++) {
        ((uint8_t *)random)[i] = (uint8_t)sim_random(&w->rng);
    }
    enum status st = publisher_add(p, &report, m->version == 0 ? 1 : 0,
                                   (const uint8_t(*)[KEY_BYTES])random, &plan, &fatal);
    CHECK(w, "I1", st == STATUS_OK, "%s: report %s: %s", n->institution, id, status_text(st));
    sim_say(w, n, "is sent R%u %s%u: outcome %d, %zu steps, first of kind %d", m->report,
            m->version == 0 ? "withdrawn, " : "version ", version, (int)plan.outcome,
            plan.count, plan.count > 0 ? (int)plan.steps[0].what : 0);
    CHECK(w, "I3", plan.outcome != PUBLISH_NO_IDENTIFIER && plan.outcome != PUBLISH_NO_TIME,
          "%s: report %s is not published", n->institution, id);
}

void
lis_send(struct world *w, struct node *n, struct publisher *p)
{
    struct lis *l = n->lis;
    for (size_t i = 0; i < l->waiting_count; i++) {
        send_one(w, n, p, &l->waiting[i]);
    }
}

/* ---- who looks for them ---- */

void
lis_check_index(struct world *w, struct node *n, const struct node *author)
{
    struct lis *l = author->lis;
    struct store_txn *t = NULL;
    uint16_t day;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    st = token_day_of_ms(INT64_C(1799625600000), &day); /* 2027-01-11 */
    assert(st == STATUS_OK);
    uint32_t quarter = token_quarter_of_day(day);
    for (uint32_t i = 0; i < l->report_count; i++) {
        const struct lis_report *r = &l->reports[i];
        struct patient_keys patients[NETWORK_KEY_EPOCHS_MAX];
        struct candidates found;
        char card[CARD_CHARS];
        size_t live = 0;
        if (r->acked != r->version || r->withdrawn != r->withdrawn_acked) {
            continue;
        }
        card_of(r->patient, card);
        st = STATUS_OK;
        for (size_t k = 0; st == STATUS_OK && k < n->epoch_count; k++) {
            st = token_patient_keys(&n->epochs[k], "RI", card, &patients[k]);
        }
        if (st == STATUS_OK) {
            st = candidates_find(t, SIM_NETWORK, patients, n->epoch_count, quarter, quarter,
                                 &found);
        }
        CHECK(w, "I1", st == STATUS_OK, "%s looks for report R%u of %s: %s", n->institution, i,
              author->institution, status_text(st));
        for (size_t k = 0; k < found.count; k++) {
            live += found.at[k].state == CANDIDATE_LIVE;
        }
        candidates_free(&found);
        CHECK(w, live == 0 ? "I1" : "I3", live == (r->withdrawn ? 0 : 1),
              "%s finds report R%u of %s, %s, %zu times", n->institution, i,
              author->institution, r->withdrawn ? "withdrawn" : "acknowledged", live);
    }
    store_abort(t);
}

/* Records that the author hands out; sometimes it hands out another: a finding,
 * and nothing of it is shown.  Returns how many were so. */
static size_t
fetch(struct world *w, struct lookup *l, struct node *author)
{
    const struct lookup_leaf *leaves[16];
    size_t count = lookup_wanted(l, author->institution, leaves, 16);
    struct store_txn *t = NULL;
    struct store_log log;
    enum status st = store_begin_read(author->store, &t);
    assert(st == STATUS_OK);
    st = store_log_find(t, view_of_text(author->origin), &log);
    size_t bad = 0;
    for (size_t i = 0; st == STATUS_OK && i < count; i++) {
        const struct candidate c = leaves[i]->c;
        struct view record;
        static uint8_t changed[RECORD_BYTES_MAX];
        if (leaves[i]->c.held ||
            store_record_get(t, log.id, c.leaf, &c.sealed, &record) != STATUS_OK) {
            lookup_without(l, author->institution, c.origin, c.leaf,
                           c.held ? LOOKUP_HELD : LOOKUP_MISSING);
            continue;
        }
        if (sim_percent(&w->rng, 30)) {
            memcpy(changed, record.bytes, record.count);
            changed[sim_below(&w->rng, record.count)] ^= 1;
            enum status refused = lookup_record(l, author->institution, c.origin, c.leaf,
                                                (struct view){changed, record.count}, NULL);
            CHECK(w, "I4", refused == STATUS_BAD_PROOF,
                  "a record that was changed on the way is taken: %s", status_text(refused));
            bad++;
            continue;
        }
        st = lookup_record(l, author->institution, c.origin, c.leaf, record, NULL);
        CHECK(w, "I1", st == STATUS_OK || st == STATUS_NOT_FOUND, "a record is refused: %s",
              status_text(st));
        st = STATUS_OK;
    }
    store_abort(t);
    return bad;
}

static void
ask_about(const struct world *w, const struct node *n, const struct lis *l, uint32_t report,
          struct lis_question *out)
{
    card_of(l->reports[report].patient, out->card);
    out->items[0] = "LAB.K";
    out->question = (struct lookup_question){.type = "RI",
                                             .value = out->card,
                                             .items = out->items,
                                             .item_count = 1,
                                             .at_s = node_now_s(w, n)};
    out->place = (struct lookup_place){.network = SIM_NETWORK,
                                       .institution = n->institution,
                                       .charter = n->charter,
                                       .policy = policy,
                                       .epochs = n->epochs,
                                       .epoch_count = n->epoch_count};
}

bool
lis_question(struct world *w, struct node *n, const struct node *author,
             struct lis_question *out)
{
    const struct lis *l = author->lis;
    if (l->report_count == 0 || n->epoch_count == 0) {
        return false;
    }
    ask_about(w, n, l, (uint32_t)sim_below(&w->rng, l->report_count), out);
    return true;
}

void
lis_check_late(struct world *w, struct node *n, const struct node *author, size_t count,
               bool refused)
{
    struct lis *l = author->lis;
    struct store_txn *t = NULL;
    enum status st = store_begin_read(n->store, &t);
    CHECK(w, "I1", st == STATUS_OK, "%s: read: %s", n->institution, status_text(st));
    for (size_t i = l->report_count - count; i < l->report_count; i++) {
        struct lis_question q;
        struct lookup *look = NULL;
        size_t late = 0, live = 0;
        ask_about(w, n, l, (uint32_t)i, &q);
        l->reports[i].refused = refused;
        st = lookup_open(&q.question, &q.place, t, &look);
        CHECK(w, "I1", st == STATUS_OK, "%s: %s", n->institution, status_text(st));
        for (size_t k = 0; k < look->leaf_count; k++) {
            live += look->leaves[k].c.state == CANDIDATE_LIVE;
            late += look->leaves[k].c.late;
        }
        lookup_free(look);
        w->happened[refused ? HAPPENED_CLOSED_ENTRY : HAPPENED_LATE_ENTRY]++;
        CHECK(w, "I4", refused ? live == 0 : live == 1 && late == 1,
              "%s takes R%zu of %s, under a key that ended: %zu live, %zu late", n->institution,
              i, author->institution, live, late);
    }
    store_abort(t);
}

size_t
lis_draw_new(struct world *w, struct node *n, unsigned count)
{
    struct lis *l = n->lis;
    size_t drawn = 0;
    for (; drawn < count && l->report_count < REPORTS_MAX; drawn++) {
        uint32_t at = (uint32_t)l->report_count++;
        l->reports[at] = (struct lis_report){.patient = w->next_patient++, .version = 1};
        wait_for(l, at, 1);
    }
    return drawn;
}

static void
look_up(struct world *w, struct node *n, struct node *author, uint32_t report)
{
    const struct lis_report *r = &author->lis->reports[report];
    char card[CARD_CHARS], value[32];
    const char *items[] = {"LAB.K"};
    struct lookup *l = NULL;
    struct store_txn *t = NULL;
    card_of(r->patient, card);
    struct lookup_question q = {
        .type = "RI", .value = card, .items = items, .item_count = 1, .at_s = node_now_s(w, n)};
    struct lookup_place place = {.network = SIM_NETWORK,
                                 .institution = n->institution,
                                 .charter = n->charter,
                                 .policy = policy,
                                 .epochs = n->epochs,
                                 .epoch_count = n->epoch_count};
    enum status st = store_begin_read(n->store, &t);
    if (st == STATUS_OK) {
        st = lookup_open(&q, &place, t, &l);
    }
    store_abort(t);
    CHECK(w, "I1", st == STATUS_OK, "%s looks up R%u of %s: %s", n->institution, report,
          author->institution, status_text(st));
    size_t bad = 0;
    for (const char *h = NULL; (h = lookup_holder_next(l, h)) != NULL;) {
        CHECK(w, "I4", strcmp(h, author->institution) == 0, "%s asks %s for R%u of %s",
              n->institution, h, report, author->institution);
        bad += fetch(w, l, author);
    }
    CHECK(w, "I3", lookup_complete(l), "%s still waits for R%u of %s", n->institution, report,
          author->institution);
    st = store_begin_read(n->store, &t);
    if (st == STATUS_OK) {
        st = lookup_decide(l, t, node_now_s(w, n));
    }
    store_abort(t);
    CHECK(w, "I1", st == STATUS_OK, "%s decides on R%u of %s: %s", n->institution, report,
          author->institution, status_text(st));
    size_t shown = 0;
    value_of(author, report, r->acked, value);
    for (size_t i = 0; i < l->result_count; i++) {
        const struct lookup_result *one = &l->results[i];
        if (one->item == NULL || l->leaves[one->leaf].state != LOOKUP_OPENED) {
            continue;
        }
        shown++;
        CHECK(w, "I1", strcmp(one->item->value, value) == 0,
              "%s is shown %s for R%u of %s, which is %s", n->institution, one->item->value,
              report, author->institution, value);
    }
    for (size_t i = 0; i < l->leaf_count; i++) {
        sim_say(w, n, "looks up R%u of %s: leaf %llu is in state %d: %s", report,
                author->institution, (unsigned long long)l->leaves[i].c.leaf,
                (int)l->leaves[i].state, l->leaves[i].doubt);
    }
    CHECK(w, shown == 0 ? "I1" : "I3", shown == (r->withdrawn || r->held || bad > 0 ? 0 : 1),
          "%s is shown R%u of %s %zu times", n->institution, report, author->institution,
          shown);
    lookup_free(l);
}

void
lis_check_lookup(struct world *w, struct node *n, struct node *author)
{
    struct lis *l = author->lis;
    for (int i = 0; i < 3 && l->report_count > 0 && author->up; i++) {
        uint32_t at = (uint32_t)sim_below(&w->rng, l->report_count);
        if (!l->reports[at].refused && l->reports[at].acked == l->reports[at].version &&
            l->reports[at].withdrawn == l->reports[at].withdrawn_acked) {
            look_up(w, n, author, at);
        }
    }
}
