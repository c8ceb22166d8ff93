/* Goal: two heads of one log that cannot both be true freeze it at every node, at
 * what a majority of the witnesses had cosigned; a proof alone convinces; nobody can
 * be framed; our own log is then lost for good; what is said of our own log by others
 * lets us sign only if a witness itself says it, and we understand it.
 * Method: a machine over a real store in a scratch directory; the test plays the
 * engine and every peer by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/keys.h"
#include "node/gossip_state.h"
#include "node/range.h"
#include "proto/frame.h"
#include "proto/wire.pb-c.h"
#include "store/kv.h"

static const char NETWORK[] = "n.cn";
static char dir[100];
static struct store *store;
static struct gossip *g;
static struct gossip_update u;
static struct network_keys keys[3]; /* h0 is us, h1 the witness, h2 the liar */
static int64_t clock_ms;
static uint8_t notes[4][4096];

static void
open_machine(void)
{
    struct gossip_member members[3];
    struct store_txn *t = NULL;
    struct gossip_options o = {
        .network = NETWORK, .institution = "h0", .gate = {.clean = true}};
    memset(members, 0, sizeof members);
    for (int i = 0; i < 3; i++) {
        uint8_t seed[KEY_BYTES] = {(uint8_t)(i + 1)};
        struct network_public public;
        keys_derive(seed, NETWORK, &keys[i]);
        keys_public(&keys[i], &public);
        snprintf(members[i].institution, sizeof members[i].institution, "h%d", i);
        members[i].witness = i == 1;
        members[i].log_key_count = members[i].witness_key_count = members[i].address_count = 1;
        memcpy(members[i].log_keys[0].public_key, public.log, KEY_BYTES);
        memcpy(members[i].witness_keys[0].public_key, public.witness, KEY_BYTES);
        strcpy(members[i].addresses[0], "tcp://127.0.0.1:1");
    }
    assert_int_equal(store_begin_read(store, &t), STATUS_OK);
    assert_int_equal(gossip_open(&o, clock_ms, t, &g), STATUS_OK);
    store_abort(t);
    assert_int_equal(gossip_set_members(g, members, 3, 10, false), STATUS_OK);
    gossip_update_init(&u);
}

static void
close_machine(void)
{
    gossip_update_free(&u);
    gossip_close(g);
}

static int
begin(void **state)
{
    struct store_options so = {.map_bytes = 64 << 20};
    (void)state;
    assert_true(sodium_init() >= 0);
    snprintf(dir, sizeof dir, "%s/huren-fork-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(store_open(dir, &so, &store), STATUS_OK);
    clock_ms = 1000;
    open_machine();
    return 0;
}

static int
end(void **state)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "owner"};
    char path[200];
    (void)state;
    close_machine();
    store_close(store);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)remove(path);
    }
    return rmdir(dir);
}

static void
step(struct gossip_event e)
{
    static uint64_t random = 42;
    struct store_txn *t = NULL;
    assert_int_equal(store_begin_read(store, &t), STATUS_OK);
    e.now_ms = clock_ms;
    e.now_s = 1800000000 + clock_ms / 1000;
    e.random = random++;
    e.txn = t;
    assert_int_equal(gossip_step(g, &e, &u), STATUS_OK);
    store_abort(t);
}

static void
up(uint32_t session, const char *institution)
{
    static const uint8_t instance[INSTANCE_BYTES] = {9};
    step((struct gossip_event){.type = GOSSIP_PEER_UP,
                               .session = session,
                               .institution = institution,
                               .instance = instance});
}

static void
frame(uint32_t session, uint32_t request, uint8_t kind, const ProtobufCMessage *m)
{
    static uint8_t bytes[MESSAGE_BYTES_MAX];
    size_t n = protobuf_c_message_pack(m, bytes);
    step((struct gossip_event){.type = GOSSIP_FRAME,
                               .session = session,
                               .request = request,
                               .kind = kind,
                               .last = true,
                               .message = {bytes, n}});
}

static const struct gossip_action *
action(enum gossip_action_type type)
{
    for (size_t i = 0; i < u.count; i++) {
        if (u.actions[i].type == type) {
            return &u.actions[i];
        }
    }
    return NULL;
}

/* Do the store action as the engine does, and tell the machine. */
static void
perform(const struct gossip_action *a)
{
    struct store_txn *t = NULL;
    assert_int_equal(store_begin_write(store, STORE_PUBLISH, 1 << 16, &t), STATUS_OK);
    assert_int_equal(gossip_apply(t, a, NULL, NETWORK, 1800000000), STATUS_OK);
    assert_int_equal(store_commit(t), STATUS_OK);
    uint64_t ticket = a->ticket;
    step((struct gossip_event){.type = GOSSIP_STORED, .ticket = ticket, .status = STATUS_OK});
}

static struct view
sign(int who, const char *origin, uint64_t size, const struct hash *root, uint8_t out[4096])
{
    struct note_signer signer;
    size_t n = 0;
    struct checkpoint c = {.origin = view_of_text(origin), .size = size, .root = *root};
    assert_int_equal(
        note_signer_make(c.origin, NOTE_KEY_ED25519, keys[who].log.secret_key, &signer),
        STATUS_OK);
    assert_int_equal(checkpoint_sign(&signer, &c, out, 4096, &n), STATUS_OK);
    return (struct view){out, n};
}

/* The same with the cosignature of h1. */
static struct view
cosign(struct view note, uint8_t out[4096])
{
    struct note_signer signer;
    struct note parsed;
    uint8_t line[NOTE_LINE_BYTES_MAX];
    size_t n = 0, count = 0;
    assert_int_equal(note_signer_make(view_of_text("n.cn/h1/witness"), NOTE_KEY_COSIGNATURE,
                                      keys[1].witness.secret_key, &signer),
                     STATUS_OK);
    assert_int_equal(note_parse(note, &parsed), STATUS_OK);
    assert_int_equal(cosignature_line(&signer, parsed.text, 1800000000, line, sizeof line, &n),
                     STATUS_OK);
    assert_int_equal(note_add_line(note, (struct view){line, n}, out, 4096, &count), STATUS_OK);
    return (struct view){out, count};
}

/* A log of ten entries with a head of ten, of which six were cosigned. */
static void
make_log(const char *origin, int who, uint32_t flags, struct hash roots[11])
{
    struct store_txn *t = NULL;
    uint32_t id;
    assert_int_equal(store_begin_write(store, STORE_PUBLISH, 1 << 20, &t), STATUS_OK);
    assert_int_equal(store_log_create(t, view_of_text(origin), flags, 0, &id), STATUS_OK);
    for (unsigned i = 0; i < 10; i++) {
        char text[32];
        snprintf(text, sizeof text, "entry %u", i);
        struct view entry = view_of_text(text);
        assert_int_equal(store_log_append(t, id, &entry, 1, NULL, &roots[i + 1]), STATUS_OK);
    }
    struct view head = sign(who, origin, 10, &roots[10], notes[0]);
    assert_int_equal(store_note_put(t, id, STORE_NOTE_HEAD, head), STATUS_OK);
    head = sign(who, origin, 6, &roots[6], notes[0]);
    head = cosign(head, notes[1]);
    assert_int_equal(store_note_put(t, id, STORE_NOTE_OFFERED, head), STATUS_OK);
    assert_int_equal(store_note_put(t, id, STORE_NOTE_COSIGNED, head), STATUS_OK);
    assert_int_equal(store_commit(t), STATUS_OK);
    step((struct gossip_event){.type = GOSSIP_RELOAD});
}

static struct gossip_log_state
log_state(const char *origin)
{
    struct gossip_log_state s;
    for (size_t i = 0; i < gossip_log_count(g); i++) {
        gossip_log_get(g, i, &s);
        if (strcmp(s.origin, origin) == 0) {
            return s;
        }
    }
    return (struct gossip_log_state){.origin = NULL};
}

static void
tell(uint32_t session, const char *origin, struct view note, struct view fork)
{
    Hr__HeadTell m;
    hr__head_tell__init(&m);
    m.origin = (char *)(uintptr_t)origin;
    m.note = (ProtobufCBinaryData){note.count, (uint8_t *)(uintptr_t)note.bytes};
    m.fork = (ProtobufCBinaryData){fork.count, (uint8_t *)(uintptr_t)fork.bytes};
    frame(session, 0, FRAME_HEAD, &m.base);
}

/* Two heads of one size, by `a` and by `b`. */
static struct view
proof_of(int a, int b, const char *origin, uint64_t size)
{
    static uint8_t bytes[FORKPROOF_BYTES_MAX];
    size_t count;
    struct hash one = {{1}}, other = {{2}};
    struct view x = sign(a, origin, size, &one, notes[2]);
    struct view y = sign(b, origin, size, &other, notes[3]);
    assert_int_equal(forkproof_encode(x, y, NULL, bytes, &count), STATUS_OK);
    return (struct view){bytes, count};
}

static const struct view none;

static void
who_never_saw_the_log_is_convinced_and_tells_others(void **state)
{
    (void)state;
    static const char origin[] = "n.cn/h2/pub";
    up(5, "h1");
    gossip_update_reset(&u);
    tell(5, origin, none, proof_of(2, 2, origin, 7));
    const struct gossip_action *a = action(GOSSIP_STORE_FORK);
    assert_non_null(a);
    perform(a);
    assert_non_null(action(GOSSIP_FORK));
    assert_true(log_state(origin).frozen);
    /* once; and it is kept over a start */
    gossip_update_reset(&u);
    tell(5, origin, none, proof_of(2, 2, origin, 9));
    assert_null(action(GOSSIP_STORE_FORK));
    close_machine();
    open_machine();
    step((struct gossip_event){.type = GOSSIP_RELOAD});
    assert_true(log_state(origin).frozen);
    up(6, "h1");
    gossip_update_reset(&u);
    Hr__Frontier ask;
    hr__frontier__init(&ask);
    uint8_t digest[HASH_BYTES] = {0};
    ask.digest = (ProtobufCBinaryData){HASH_BYTES, digest};
    frame(6, 77, FRAME_FRONTIER, &ask.base);
    const struct gossip_action *answer = action(GOSSIP_SEND);
    assert_non_null(answer);
    Hr__Frontier *told =
        hr__frontier__unpack(NULL, answer->message.count, answer->message.bytes);
    bool line = false;
    for (size_t i = 0; i < told->n_lines; i++) {
        line = line || strcmp(told->lines[i], "n.cn/h2/pub#fork 1 0") == 0;
    }
    assert_true(line);
    hr__frontier__free_unpacked(told, NULL);
    gossip_update_reset(&u);
    Hr__HeadAsk head;
    hr__head_ask__init(&head);
    head.origin = (char *)(uintptr_t)origin;
    frame(6, 78, FRAME_HEAD, &head.base);
    answer = action(GOSSIP_SEND);
    Hr__HeadTell *with =
        hr__head_tell__unpack(NULL, answer->message.count, answer->message.bytes);
    struct forkproof *p = calloc(1, sizeof *p);
    assert_int_equal(forkproof_read((struct view){with->fork.data, with->fork.len}, p),
                     STATUS_OK);
    assert_true(p->proven);
    forkproof_free(p);
    free(p);
    hr__head_tell__free_unpacked(with, NULL);
}

static void
nobody_is_framed(void **state)
{
    (void)state;
    static const char origin[] = "n.cn/h2/pub";
    static uint8_t bytes[FORKPROOF_BYTES_MAX];
    struct hash roots[11], past;
    size_t count;
    make_log(origin, 2, 0, roots);
    up(5, "h1");
    gossip_update_reset(&u);
    tell(5, origin, none, proof_of(2, 1, origin, 7)); /* one head is not by h2 */
    assert_null(action(GOSSIP_STORE_FORK));
    tell(5, "n.cn/h0/pub", none, proof_of(2, 2, origin, 7)); /* of another log */
    assert_null(action(GOSSIP_STORE_FORK));
    /* Two true heads, with nodes of the tree, and with none. */
    struct view x = sign(2, origin, 5, &roots[5], notes[2]);
    struct view y = sign(2, origin, 10, &roots[10], notes[3]);
    struct forkproof_nodes *n = calloc(1, sizeof *n);
    struct store_txn *t = NULL;
    struct store_log log;
    assert_int_equal(store_begin_read(store, &t), STATUS_OK);
    assert_int_equal(store_log_find(t, view_of_text(origin), &log), STATUS_OK);
    assert_int_equal(store_root_at(t, log.id, 5, &past), STATUS_OK);
    assert_int_equal(
        store_prove_consistency(t, log.id, 5, &past, 10, &roots[10], n->old, &n->old_count),
        STATUS_OK);
    store_abort(t);
    for (int with = 0; with < 2; with++) {
        assert_int_equal(forkproof_encode(x, y, with ? n : NULL, bytes, &count), STATUS_OK);
        tell(5, origin, none, (struct view){bytes, count});
        assert_null(action(GOSSIP_STORE_FORK));
    }
    n->old[0].bytes[0] ^= 1;
    assert_int_equal(forkproof_encode(x, y, n, bytes, &count), STATUS_OK);
    tell(5, origin, none, (struct view){bytes, count});
    assert_null(action(GOSSIP_STORE_FORK));
    assert_false(log_state(origin).frozen);
    free(n);
}

static void
what_contradicts_our_copy_becomes_a_proof_and_freezes_at_what_was_cosigned(void **state)
{
    (void)state;
    static const char origin[] = "n.cn/h2/pub";
    for (uint64_t size = 3; size <= 10; size += 7) { /* smaller, and equal */
        struct hash roots[11], lie = {{7}};
        if (size > 3) {
            end(NULL);
            begin(NULL);
        }
        make_log(origin, 2, 0, roots);
        up(5, "h1");
        gossip_update_reset(&u);
        tell(5, origin, sign(2, origin, size, &lie, notes[2]), none);
        const struct gossip_action *a = action(GOSSIP_STORE_FORK);
        assert_non_null(a);
        struct forkproof *p = calloc(1, sizeof *p);
        assert_int_equal(forkproof_read(a->raw, p), STATUS_OK);
        assert_true(p->proven);
        assert_int_equal(p->a.size, size);
        assert_int_equal(p->b.size, 10);
        forkproof_free(p);
        free(p);
        assert_int_equal(a->first, 6);
        perform(a);
        struct gossip_log_state s = log_state(origin);
        assert_true(s.frozen);
        assert_int_equal(s.head_size, 6);
        assert_int_equal(s.cosigned_size, 6);
        assert_int_equal(s.size, 10); /* the rest is kept */
        struct store_txn *t = NULL;
        struct store_log log;
        assert_int_equal(store_begin_read(store, &t), STATUS_OK);
        assert_int_equal(store_log_find(t, view_of_text(origin), &log), STATUS_OK);
        assert_int_equal(log.serve_to, 6);
        store_abort(t);
    }
}

static void
our_own_log_is_lost_and_stays_so_after_a_start(void **state)
{
    (void)state;
    static const char origin[] = "n.cn/h0/pub";
    struct hash roots[11];
    make_log(origin, 0, STORE_LOG_OWN, roots);
    up(5, "h1");
    gossip_update_reset(&u);
    tell(5, origin, none, proof_of(0, 0, origin, 20));
    assert_int_equal(signgate_state(gossip_gate(g), origin), SIGNGATE_LOST);
    const struct gossip_action *a = action(GOSSIP_STORE_FORK);
    assert_non_null(a);
    perform(a);
    close_machine();
    open_machine();
    step((struct gossip_event){.type = GOSSIP_RELOAD});
    assert_int_equal(signgate_state(gossip_gate(g), origin), SIGNGATE_LOST);
    step((struct gossip_event){.type = GOSSIP_RESUME});
    assert_false(gossip_may_sign(g, view_of_text(origin)));
}

/* Entries that we appended and never signed are not a second history of ours. */
static void
an_unsigned_tail_accuses_nobody(void **state)
{
    (void)state;
    static const char origin[] = "n.cn/h0/pub";
    struct hash roots[11], other = {{9}};
    struct store_txn *t = NULL;
    struct store_log log;
    make_log(origin, 0, STORE_LOG_OWN, roots);
    assert_int_equal(store_begin_write(store, STORE_PUBLISH, 1 << 16, &t), STATUS_OK);
    assert_int_equal(store_log_find(t, view_of_text(origin), &log), STATUS_OK);
    struct view head = sign(0, origin, 6, &roots[6], notes[0]); /* 6 signed, 10 appended */
    assert_int_equal(store_note_put(t, log.id, STORE_NOTE_HEAD, head), STATUS_OK);
    assert_int_equal(store_commit(t), STATUS_OK);
    step((struct gossip_event){.type = GOSSIP_RELOAD});
    up(5, "h1");
    gossip_update_reset(&u);
    tell(5, origin, sign(0, origin, 8, &other, notes[2]), none);
    assert_int_equal(signgate_state(gossip_gate(g), origin), SIGNGATE_LOST);
    assert_null(action(GOSSIP_STORE_FORK));
}

/* Answer the newest question for our log over a session. */
static void
answer(uint32_t session, const char *origin, struct view note, struct view cosigned)
{
    uint32_t request = 0;
    for (size_t i = 0; i < u.count; i++) {
        const struct gossip_action *a = &u.actions[i];
        if (a->type == GOSSIP_SEND && a->session == session && a->kind == FRAME_HEAD &&
            a->request != 0) {
            request = a->request;
        }
    }
    assert_int_not_equal(request, 0);
    Hr__HeadTell m;
    hr__head_tell__init(&m);
    m.origin = (char *)(uintptr_t)origin;
    m.note = (ProtobufCBinaryData){note.count, (uint8_t *)(uintptr_t)note.bytes};
    m.cosigned = (ProtobufCBinaryData){cosigned.count, (uint8_t *)(uintptr_t)cosigned.bytes};
    frame(session, request, FRAME_HEAD | FRAME_ANSWER, &m.base);
}

/* Anybody may keep and show an old head with its cosignatures: it says nothing of what
 * the witnesses know now, and a restored home must not sign on by it. */
static void
an_old_cosigned_head_that_is_passed_on_opens_no_gate(void **state)
{
    (void)state;
    static const char origin[] = "n.cn/h0/pub";
    struct hash roots[11];
    make_log(origin, 0, STORE_LOG_OWN, roots);
    struct view old = cosign(sign(0, origin, 10, &roots[10], notes[0]), notes[1]);
    up(5, "h2"); /* no witness */
    answer(5, origin, none, old);
    clock_ms += 1000;
    step((struct gossip_event){.type = GOSSIP_TICK});
    assert_int_equal(signgate_state(gossip_gate(g), origin), SIGNGATE_WAITING);
    assert_false(gossip_may_sign(g, view_of_text(origin)));
    up(6, "h1"); /* the witness itself */
    answer(6, origin, none, old);
    assert_true(gossip_may_sign(g, view_of_text(origin)));
}

/* A home that was put back to a time before its newest keys cannot judge what it signed
 * with them: whoever shows it that was not heard. */
static void
a_head_under_a_key_that_is_not_known_yet_opens_no_gate(void **state)
{
    (void)state;
    static const char origin[] = "n.cn/h0/pub";
    struct hash roots[11], other = {{7}};
    uint8_t seed[KEY_BYTES] = {77};
    make_log(origin, 0, STORE_LOG_OWN, roots);
    struct network_keys kept = keys[0];
    keys_derive(seed, NETWORK, &keys[0]);
    struct view newer = sign(0, origin, 12, &other, notes[2]);
    keys[0] = kept;
    up(6, "h1");
    answer(6, origin, newer, none);
    assert_int_equal(signgate_state(gossip_gate(g), origin), SIGNGATE_WAITING);
    gossip_update_reset(&u);
    up(7, "h1");
    answer(7, origin, sign(0, origin, 10, &roots[10], notes[2]), none);
    assert_true(gossip_may_sign(g, view_of_text(origin)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_never_saw_the_log_is_convinced_and_tells_others),
        TEST(nobody_is_framed),
        TEST(what_contradicts_our_copy_becomes_a_proof_and_freezes_at_what_was_cosigned),
        TEST(our_own_log_is_lost_and_stays_so_after_a_start),
        TEST(an_unsigned_tail_accuses_nobody),
        TEST(an_old_cosigned_head_that_is_passed_on_opens_no_gate),
        TEST(a_head_under_a_key_that_is_not_known_yet_opens_no_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
