/* Goal: no allocation that fails makes a parser, a decision, a session or a publication crash,
 * leak, give half of what was asked for, or call good input bad (RELIABILITY F7).
 * Method: each runs again and again; the first, second ... allocation fails, once and with all
 * after it, until none does.  It must say that there is no memory, or come to its full answer
 * without; what it gives is compared with the answer of a quiet run, and every byte it took
 * must be given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/charter_diff.h"
#include "node/charter_examples.h"
#include "node/charter_signed.h"
#include "node/charter_yaml.h"
#include "node/codemap.h"
#include "node/config.h"
#include "node/control.h"
#include "node/control_input.h"
#include "node/embedded.h"
#include "node/normalise.h"
#include "node/normalise_print.h"
#include "node/pack_vectors.h"
#include "node/policy_annex.h"
#include "node/session.h"
#include "proto/csv.h"
#include "proto/frame.h"
#include "proto/identifier.h"
#include "tests/no_memory.h"
#define fixture_build fixture_build_pack /* charter_fixture.h has the other */
#include "tests/pack_fixture.h"

/* ---- results that come in ---- */

static enum status
take_row(void *user, const struct csv_row *r)
{
    (void)user;
    for (size_t i = 0; i < r->count; i++) {
        give(r->cells[i].bytes, r->cells[i].count);
    }
    return STATUS_OK;
}

static enum status
run_csv(void)
{
    struct csv_error e;
    return csv_read(text("a,b,c\n1,\"two\n\"\"lines\"\"\",3\n,,\n4,5,6\n"), ',', take_row, NULL,
                    &e);
}

static enum status
take_report(void *user, const struct normalised *n)
{
    (void)user;
    char *line = normalised_json(n);
    if (line == NULL) {
        return STATUS_NO_MEMORY;
    }
    give_text(line);
    free(line);
    return STATUS_OK;
}

static enum status
take_problem(void *user, const struct problem *p)
{
    char line[1200];
    (void)user;
    problem_describe(p, line, sizeof line);
    give_text(line);
    return STATUS_OK;
}

static struct codemap *codes;

static enum status
normalise(struct view bytes)
{
    const struct normalise_options options = {
        .map = codes, .institution = "h1", .offset_min = 480, .today = IDENTIFIER_ANY_DAY};
    const struct normalise_handler handler = {NULL, take_report, take_problem};
    struct normalise_counts counts;
    return normalise_bytes(&options, "file", bytes, &handler, &counts);
}

static const char hl7[] =
    "MSH|^~\\&|LIS|HOSP|HUREN|HUB|20270113093000||ORU^R01^ORU_R01|1|P|2.5.1||||||UNICODE "
    "UTF-8\r"
    "PID|1||110105194912310029^^^^NI~P1^^^HOSP^MR||ZHANG^SAN||19491231|F\r"
    "OBR|1|A1|R-1|24321-2^LYTES^LN|||20270113080500|||||||||||||||20270113093000||CH|F\r"
    "OBX|1|NM|2823-3^K^LN||4.1|mmol/L|3.5-5.3||||F|||20270113080500\r"
    "OBX|2|NM|2951-2^NA^LN||140|mmol/L|135-145|H~A|||F|||20270113080500\r"
    "NTE|1||a note \\T\\ more\r"
    "OBR|2|A2|R-2|24321-2^LYTES^LN|||20270113080500|||||||||||||||20270113093000||CH|F\r"
    "OBX|1|NM|2823-3^K^LN||4.4|mmol/L|3.5-5.3||||F|||20270113080500\r"
    "MSH|^~\\&|LIS|HOSP|HUREN|HUB|20270113093000||ORU^R01^ORU_R01|2|P|2.5.1\r"
    "PID|1||nobody\r";

static const char sheet[] =
    "报告单号,身份证号,LOINC,结果,采样时间,状态,姓名,单位\n"
    "R-1,110105194912310029,2823-3,4.1,2027-01-13 08:05,final,A,mmol/L\n"
    "R-1,110105194912310029,2951-2,140,2027-01-13 08:05,final,A,mmol/L\n"
    "R-2,nobody,2951-2,,2027-01-13,final,B,\n";

static enum status
run_hl7(void)
{
    return normalise(text(hl7));
}

static enum status
run_sheet(void)
{
    return normalise(text(sheet));
}

static enum status
run_codemap(void)
{
    struct codemap *m;
    struct codemap_error e;
    enum status st = codemap_new(embedded_find("policy/catalog/catalog.csv")->data, &m);
    assert_true((st == STATUS_OK) == (m != NULL));
    if (st == STATUS_OK) {
        st = codemap_add(m,
                         text("sender,system,local_code,item,unit\nLIS,L,K1,LAB.K,mmol/L\n"
                              "LIS,PID-3,HN,local,\n"),
                         &e);
    }
    codemap_free(m);
    return st;
}

static void
results_that_come_in_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    OK(codemap_new(embedded_find("policy/catalog/catalog.csv")->data, &codes));
    try_each("csv", run_csv, STATUS_NO_MEMORY);
    try_each("hl7", run_hl7, STATUS_NO_MEMORY);
    try_each("csv of results", run_sheet, STATUS_NO_MEMORY);
    try_each("code map", run_codemap, STATUS_NO_MEMORY);
    codemap_free(codes);
}

/* ---- charter ---- */

static struct fixture_doc later; /* members, version 2 */

static enum status
run_documents(void)
{
    char reason[CHARTER_REASON_CHARS];
    enum status st = STATUS_OK;
    for (unsigned k = 0; st == STATUS_OK && k < CHARTER_KIND_COUNT; k++) {
        struct charter_document d;
        const struct fixture_doc *f = &w->documents[k];
        st = charter_document_decode((struct view){f->file, f->file_count}, &d, reason);
        if (st == STATUS_OK) {
            give(d.head.hash.bytes, HASH_BYTES);
            give(&d.row_count, sizeof d.row_count);
            charter_document_free(&d);
        }
    }
    return st;
}

static enum status
run_plan(void)
{
    const struct charter_document *all[CHARTER_KIND_COUNT + 1];
    struct charter_step steps[CHARTER_KIND_COUNT + 1];
    struct charter *c;
    for (unsigned k = 0; k < CHARTER_KIND_COUNT; k++) {
        all[k] = &w->documents[k].doc;
    }
    all[CHARTER_KIND_COUNT] = &later.doc;
    enum status st = charter_adopt_plan(NULL, FIXTURE_NETWORK, all, CHARTER_KIND_COUNT + 1,
                                        FIXTURE_NOW, steps, &c);
    for (unsigned i = 0; st == STATUS_OK && i <= CHARTER_KIND_COUNT; i++) {
        st = steps[i].status;
        give(&steps[i].document, sizeof steps[i].document);
    }
    if (st == STATUS_OK) {
        size_t members = charter_member_count(c);
        give(&members, sizeof members);
    }
    charter_free(c);
    return st;
}

static enum status
run_diff(void)
{
    char reason[CHARTER_REASON_CHARS];
    json_t *diff;
    enum status st =
        charter_diff(&w->documents[CHARTER_MEMBERS].doc, &later.doc, &diff, reason);
    assert_true((st == STATUS_OK) == (diff != NULL));
    if (st == STATUS_OK) {
        give_json(diff);
    }
    json_decref(diff);
    return st;
}

static enum status
run_join(void)
{
    const struct charter_document *copies[2] = {&later.doc, &later.doc};
    char reason[CHARTER_REASON_CHARS];
    uint8_t *out = NULL;
    size_t count, added, bad;
    enum status st = charter_join(&w->documents[CHARTER_ROOT].doc, copies, 2, &out, &count,
                                  &added, &bad, reason);
    if (st == STATUS_OK) {
        give(out, count);
        free(out);
    }
    return st;
}

static enum status
run_sources(void)
{
    static const char *const examples[CHARTER_KIND_COUNT] = {
        [CHARTER_ROOT] = CHARTER_EXAMPLE_ROOT,
        [CHARTER_MEMBERS] = CHARTER_EXAMPLE_MEMBERS,
        [CHARTER_QUALITY] = CHARTER_EXAMPLE_QUALITY,
        [CHARTER_POLICY] = CHARTER_EXAMPLE_POLICY};
    char reason[CHARTER_REASON_CHARS];
    enum status st = STATUS_OK;
    for (unsigned k = 0; st == STATUS_OK && k < CHARTER_KIND_COUNT; k++) {
        struct yaml_charter *y;
        st = charter_yaml_load((enum charter_kind)k, text(examples[k]), "x.yaml", &y, reason);
        assert_true((st == STATUS_OK) == (y != NULL));
        if (st == STATUS_OK) {
            charter_yaml_free((enum charter_kind)k, y);
        }
    }
    return st;
}

static enum status
run_config(void)
{
    static const char yaml[] = "institution: h1\nname: Hospital 1\nnetworks:\n"
                               "  - name: yx.cn\n    listen: tcp://127.0.0.1:7001\n"
                               "    peers: [h2, h3]\n";
    struct config *c;
    char error[CONFIG_ERROR_CHARS];
    enum status st = config_parse(text(yaml), "config.yaml", &c, error, sizeof error);
    assert_true((st == STATUS_OK) == (c != NULL));
    if (st == STATUS_OK) {
        give_text(c->networks[0].peers[1]);
    }
    config_free(c);
    return st;
}

static void
charters_and_sources_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    later = fixture_members(2, 5, 2, 1);
    try_each("charter documents", run_documents, STATUS_NO_MEMORY);
    try_each("adoption", run_plan, STATUS_NO_MEMORY);
    try_each("diff", run_diff, STATUS_NO_MEMORY);
    try_each("joining copies", run_join, STATUS_NO_MEMORY);
    try_each("charter sources", run_sources, STATUS_MALFORMED);
    try_each("configuration", run_config, STATUS_MALFORMED);
    fixture_doc_free(&later);
}

/* ---- policy ---- */

static struct pack_built built;

static enum status
decide_text(const char *line)
{
    char error[256] = "";
    json_t *out;
    enum status st =
        policy_decide_json(w->policy, line, strlen(line), &out, error, sizeof error);
    if (st == STATUS_OK) {
        give_json(out);
    }
    json_decref(out);
    if (st == STATUS_OK) {
        st = policy_mark_json(w->policy, line, strlen(line), &out, error, sizeof error);
    }
    if (st == STATUS_OK) {
        give_json(out);
        json_decref(out);
    }
    return st;
}

static enum status
run_decide(void)
{
    return decide_text(
        "{\"pack\":\"hubei-2023\",\"at\":\"2026-03-02T10:00:00+08:00\",\"item\":\"LAB.K\","
        "\"issuer\":{\"code\":\"h1\",\"alliances\":[{\"id\":\"a\",\"kind\":\"other\"}],"
        "\"listing\":[{\"status\":\"listed\",\"from\":\"2024-01-01\"}]},"
        "\"receiver\":{\"code\":\"h2\"},\"doctor\":{\"circumstances\":[{\"code\":\"X\"}]},"
        "\"quality\":{\"rounds\":[{\"organiser\":\"national\",\"date\":\"2026-01-01\","
        "\"passed\":true}]},\"result\":{\"status\":\"final\",\"marks\":[\"HR\"]}}");
}

/* A number that jansson would refuse the text for is blanked in a copy. */
static enum status
run_huge_number(void)
{
    return decide_text("{\"pack\":\"hubei-2023\",\"result\":{\"detector_rows\":1e999}}");
}

static enum status
run_build(void)
{
    char error[256] = "";
    struct pack_built one;
    enum status st =
        fixture_build_pack(w->policy, fixture_yaml, fixture_items, &one, error, 256);
    if (st == STATUS_OK) {
        give(one.text.bytes, one.text.size);
        pack_built_free(&one);
    }
    return st;
}

/* Never "a vector fails": a pack that a node refuses is told to its network. */
static enum status
run_vectors(void)
{
    char error[256] = "";
    size_t at = policy_set_find(w->policy, WORLD_PACK, strlen(WORLD_PACK)), count, lines = 0;
    struct view some = policy_set_vectors(w->policy, at);
    for (size_t i = 0; i < some.count; i++) {
        lines += some.bytes[i] == '\n';
        if (lines == 2) { /* of which there are too few, said at the end */
            some.count = i + 1;
        }
    }
    enum status st =
        pack_vectors_run(policy_set_pack(w->policy, at), policy_set_catalog(w->policy), some,
                         "vectors", &count, error, sizeof error);
    give(&count, sizeof count);
    return st == STATUS_MALFORMED && count == 2 ? STATUS_OK : st;
}

static enum status
run_pack_file(void)
{
    struct pack_file file, again;
    uint8_t *bytes = NULL;
    size_t count;
    enum status st = pack_built_file(&built, text("{}\n"), &file);
    st = st == STATUS_OK ? pack_file_encode(&file, NULL, &bytes, &count) : st;
    if (st == STATUS_OK) {
        give(bytes, count);
        st = pack_file_decode((struct view){bytes, count}, &again);
        give(again.address.bytes, HASH_BYTES);
    }
    free(bytes);
    return st;
}

static enum status
run_annex(void)
{
    struct policy_annex *annex;
    char error[256] = "";
    enum status st =
        policy_annex_load(text("code,limit_days,citation\nLAB.K,14,x\nLAB.NA,,x\n"), "annex",
                          policy_set_catalog(w->policy), &annex, error, 256);
    assert_true((st == STATUS_OK) == (annex != NULL));
    if (st == STATUS_OK) {
        size_t count = policy_annex_count(annex);
        give(&count, sizeof count);
    }
    policy_annex_free(annex);
    return st;
}

static void
packs_are_whole_and_decide_with_all_facts(void **state)
{
    (void)state;
    char error[256] = "";
    OK(fixture_build_pack(w->policy, fixture_yaml, fixture_items, &built, error, sizeof error));
    try_each("decision", run_decide, STATUS_NO_MEMORY);
    try_each("huge number", run_huge_number, STATUS_NO_MEMORY);
    try_each("building a pack", run_build, STATUS_MALFORMED);
    try_each("vectors", run_vectors, STATUS_NO_MEMORY);
    try_each("pack file", run_pack_file, STATUS_NO_MEMORY);
    try_each("annex", run_annex, STATUS_NO_MEMORY);
    pack_built_free(&built);
}

/* ---- bytes from peers and commands ---- */

static enum status
run_report(void)
{
    struct world_report r;
    uint8_t packed[4096], memory[64];
    struct pb_arena arena;
    ProtobufCMessage *m;
    world_report(&r, "P-1", WORLD_CARD);
    size_t count = hr__report__pack(&r.report, packed);
    pb_arena_init(&arena, memory, sizeof memory, MESSAGE_HEAP_BYTES_MAX);
    enum status st = pb_unpack(&hr__report__descriptor, (struct view){packed, count},
                               REPORT_BYTES_MAX, &arena, &m);
    if (st == STATUS_OK) {
        give_text(((Hr__Report *)m)->patient->name);
        give(&m->n_unknown_fields, sizeof m->n_unknown_fields);
    }
    pb_free(&arena);
    return st;
}

static enum status
run_frames(void)
{
    uint8_t raw[3000];
    struct frame_queue q = {.bytes_max = 1 << 20};
    struct frame_reader reader = {0};
    enum status st = STATUS_OK;
    memset(raw, 5, sizeof raw);
    for (uint32_t i = 1; st == STATUS_OK && i < 9; i++) {
        struct frame f = {i, FRAME_LOOKUP, true, {NULL, 0}, {raw, sizeof raw}};
        st = frame_queue_add(&q, &f);
    }
    bool got = true;
    struct view all = frame_queue_view(&q);
    while (st == STATUS_OK && all.count > 0) {
        struct view piece = {all.bytes, all.count < 700 ? all.count : 700};
        all.bytes += piece.count;
        all.count -= piece.count;
        for (got = true; st == STATUS_OK && got;) {
            struct frame f;
            st = frame_reader_next(&reader, &piece, &f, &got);
            if (st == STATUS_OK && got) {
                give(&f.request, sizeof f.request);
                give(f.raw.bytes, f.raw.count);
            }
        }
    }
    frame_reader_free(&reader);
    frame_queue_free(&q);
    return st;
}

static enum status
run_control(void)
{
    static const struct frame frames[] = {
        {0, CONTROL_COMMAND, true, {NULL, 0}, {(const uint8_t *)"publish", 7}},
        {0,
         CONTROL_ARGS,
         true,
         {NULL, 0},
         {(const uint8_t *)"{\"reports\":[{\"a\":[1]}]}", 23}},
        {0, CONTROL_BLOB, false, {NULL, 0}, {(const uint8_t *)"half", 4}},
        {0, CONTROL_BLOB, true, {NULL, 0}, {(const uint8_t *)"whole", 5}},
        {0, CONTROL_BLOB, true, {NULL, 0}, {(const uint8_t *)"x", 1}},
        {0, CONTROL_RUN, true, {NULL, 0}, {NULL, 0}}};
    struct control_input in = {.blob_count = 0};
    enum status st = STATUS_OK;
    for (size_t i = 0; st == STATUS_OK && i < sizeof frames / sizeof *frames; i++) {
        st = control_input_take(&in, &frames[i]);
    }
    if (st == STATUS_OK) {
        assert_true(in.ready);
        give_json(in.call.args);
        give(in.call.blobs[0].bytes, in.call.blobs[0].count);
    }
    control_input_free(&in);
    return st;
}

/* One end of a session: what it sends, and whose keys it has. */
struct end {
    struct session *s;
    struct session_options options;
    unsigned who;
};

static bool
is_member(void *ctx, const char *network, const uint8_t session_public[KEY_BYTES],
          char institution[INSTITUTION_CHARS_MAX + 1])
{
    (void)ctx, (void)session_public;
    strcpy(institution, "h0");
    return strcmp(network, FIXTURE_NETWORK) == 0;
}

static const struct network_keys *
keys_of(void *ctx, const char *network)
{
    (void)network;
    return &w->houses[((struct end *)ctx)->who].keys;
}

static void
took_up(void *ctx)
{
    (void)ctx;
    give("up", 2);
}

static void
took_frame(void *ctx, const struct frame *f)
{
    (void)ctx;
    give(f->raw.bytes, f->raw.count);
}

static const struct session_time session_now = {0, FIXTURE_NOW * 1000};

/* Hand over all that `from` has to say. */
static enum status
hand_over(struct end *from, struct end *to)
{
    const struct session_sink sink = {to, took_up, took_frame};
    enum status st = STATUS_OK;
    while (st == STATUS_OK && session_has_output(from->s)) {
        struct view v = {NULL, 0};
        st = session_output(from->s, 0, &v);
        for (size_t done = 0; st == STATUS_OK && done < v.count;) {
            size_t room, n = v.count - done;
            uint8_t *space = session_space(to->s, &room);
            n = n < room ? n : room;
            memcpy(space, v.bytes + done, n);
            st = session_take(to->s, n, session_now, &sink);
            done += n;
        }
        session_sent(from->s, v.count);
    }
    return st;
}

static enum status
run_session(void)
{
    static uint8_t raw[100000];
    const uint8_t secrets[2][KEY_BYTES] = {{11}, {12}};
    struct end ends[2] = {{.who = 0}, {.who = 1}};
    for (unsigned i = 0; i < 2; i++) {
        ends[i].options = (struct session_options){.ctx = &ends[i],
                                                   .member = is_member,
                                                   .keys = keys_of,
                                                   .open_ms_max = SESSION_OPEN_MS_MAX};
        memset(ends[i].options.instance, (int)i + 1, INSTANCE_BYTES);
        strcpy(ends[i].options.software, "test");
    }
    enum status st =
        session_dial(&ends[0].options, FIXTURE_NETWORK, "h1",
                     w->houses[1].keys.session.public_key, secrets[0], session_now, &ends[0].s);
    st = st == STATUS_OK ? session_answer(&ends[1].options, secrets[1], session_now, &ends[1].s)
                         : st;
    for (unsigned i = 0; st == STATUS_OK && i < 3; i++) {
        st = hand_over(&ends[i % 2], &ends[(i + 1) % 2]);
    }
    struct frame f = {1, FRAME_LOOKUP, true, {NULL, 0}, {raw, sizeof raw}};
    st = st == STATUS_OK ? session_send(ends[0].s, &f) : st;
    st = st == STATUS_OK ? hand_over(&ends[0], &ends[1]) : st;
    session_free(ends[0].s);
    session_free(ends[1].s);
    return st;
}

static void
bytes_of_others_are_taken_whole_or_not_at_all(void **state)
{
    (void)state;
    try_each("protobuf", run_report, STATUS_NO_MEMORY);
    try_each("frames", run_frames, STATUS_NO_MEMORY);
    try_each("a call", run_control, STATUS_NO_MEMORY);
    try_each("session", run_session, STATUS_NO_MEMORY);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_that_come_in_are_read_whole_or_not_at_all),
        cmocka_unit_test(charters_and_sources_are_read_whole_or_not_at_all),
        cmocka_unit_test(packs_are_whole_and_decide_with_all_facts),
        cmocka_unit_test(bytes_of_others_are_taken_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, no_memory_setup, no_memory_teardown);
}
