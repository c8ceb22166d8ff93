/* Taking in and verifying the entries of a peer (DESIGN 14): two gossip
 * machines over two stores on disk, joined by a queue in memory, so that what is
 * measured is asking, answering, checking and storing, not the network.
 *
 *     bench_gossip [ENTRIES [DIRECTORY]]
 *
 * Prints seconds for the taker from the first question to the head stored, and
 * how that compares with checking one signature for each entry. */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "crypto/checkpoint.h"
#include "crypto/keys.h"
#include "node/gossip.h"
#include "node/gossip_update.h"
#include "node/origin.h"
#include "store/index.h"
#include "store/log.h"

enum { ENTRY_BYTES = 110, BATCH = 10000 };
static const char NETWORK[] = "bench.hb.cn";

struct message {
    struct message *next;
    uint32_t request;
    uint8_t kind;
    bool last;
    size_t message_count, raw_count;
    uint8_t bytes[];
};

struct side {
    struct store *store;
    struct gossip *gossip;
    struct message *first, **end;
    double answering_s, storing_s;
};

static double
now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Processor time: other work on the machine does not count, waiting for the disk neither. */
static double
cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
must(enum status st, const char *what)
{
    if (st != STATUS_OK) {
        fprintf(stderr, "bench_gossip: %s: %s\n", what, status_text(st));
        exit(2);
    }
}

static bool
handle_of(void *context, struct view origin, struct view entry, uint8_t handle[TOKEN_BYTES])
{
    (void)context;
    (void)origin;
    memcpy(handle, entry.bytes + 4, TOKEN_BYTES);
    return true;
}

static void
step(struct side *me, struct side *other, struct gossip_event *e)
{
    static uint64_t random = 1;
    struct gossip_update now, next;
    struct store_txn *t = NULL;
    gossip_update_init(&next);
    e->now_ms = (int64_t)(now_s() * 1000);
    e->now_s = 1800000000;
    e->random = random++;
    must(store_begin_read(me->store, &t), "read");
    e->txn = t;
    must(gossip_step(me->gossip, e, &next), "step");
    store_abort(t);
    while (next.count > 0) {
        now = next;
        gossip_update_init(&next);
        double began = cpu_s();
        bool stores = false;
        uint64_t bytes = 4096;
        for (size_t i = 0; i < now.count; i++) {
            stores = stores || now.actions[i].ticket != 0;
            bytes += now.actions[i].count * (ENTRY_BYTES + 64);
        }
        if (stores) {
            must(store_begin_write(me->store, STORE_PUBLISH, bytes, &t), "write");
            for (size_t i = 0; i < now.count; i++) {
                if (now.actions[i].ticket != 0) {
                    must(gossip_apply(t, &now.actions[i], NULL, NETWORK, 1800000000), "apply");
                }
            }
            must(store_commit(t), "commit");
            me->storing_s += cpu_s() - began;
        }
        for (size_t i = 0; i < now.count; i++) {
            struct gossip_action *a = &now.actions[i];
            if (a->type == GOSSIP_SEND) {
                struct message *m = malloc(sizeof *m + a->message.count + a->raw.count);
                *m = (struct message){NULL,    a->request,       a->kind,
                                      a->last, a->message.count, a->raw.count};
                if (a->message.count > 0) {
                    memcpy(m->bytes, a->message.bytes, a->message.count);
                }
                if (a->raw.count > 0) {
                    memcpy(m->bytes + a->message.count, a->raw.bytes, a->raw.count);
                }
                *other->end = m;
                other->end = &m->next;
            } else if (a->ticket != 0) {
                struct gossip_event stored = {.type = GOSSIP_STORED,
                                              .ticket = a->ticket,
                                              .now_ms = e->now_ms,
                                              .now_s = e->now_s,
                                              .random = random++};
                must(store_begin_read(me->store, &t), "read");
                stored.txn = t;
                must(gossip_step(me->gossip, &stored, &next), "stored");
                store_abort(t);
            }
        }
        gossip_update_free(&now);
    }
    gossip_update_free(&next);
}

static bool
deliver(struct side *me, struct side *other)
{
    struct message *m = me->first;
    if (m == NULL) {
        return false;
    }
    me->first = m->next;
    if (me->first == NULL) {
        me->end = &me->first;
    }
    struct gossip_event e = {.type = GOSSIP_FRAME,
                             .session = 1,
                             .request = m->request,
                             .kind = m->kind,
                             .last = m->last,
                             .message = {m->bytes, m->message_count},
                             .raw = {m->bytes + m->message_count, m->raw_count}};
    double began = cpu_s();
    step(me, other, &e);
    me->answering_s += cpu_s() - began;
    free(m);
    return true;
}

static void
open_side(struct side *s, const char *base, const char *name, const char *institution,
          const struct gossip_member *members)
{
    char dir[400];
    struct store_options so = {.map_bytes = UINT64_C(1) << 30, .handle_of = handle_of};
    struct store_txn *t = NULL;
    snprintf(dir, sizeof dir, "%s/%s", base, name);
    (void)mkdir(dir, 0700);
    must(store_open(dir, &so, &s->store), "open");
    must(store_begin_read(s->store, &t), "read");
    struct gossip_options o = {
        .network = NETWORK, .institution = institution, .gate = {.born = true}};
    must(gossip_open(&o, 0, t, &s->gossip), "gossip");
    store_abort(t);
    must(gossip_set_members(s->gossip, members, 2, 10, false), "members");
    s->end = &s->first;
}

static void
fill(struct side *s, const char *origin, uint64_t entries, struct hash *root)
{
    struct store_txn *t = NULL;
    uint32_t id = 0;
    _Alignas(4) uint8_t seed[randombytes_SEEDBYTES] = {1};
    static uint8_t bytes[BATCH][ENTRY_BYTES];
    static struct view views[BATCH];
    for (uint64_t done = 0; done < entries;) {
        size_t n = entries - done < BATCH ? (size_t)(entries - done) : BATCH;
        randombytes_buf_deterministic(bytes, sizeof bytes, seed);
        ++*(uint32_t *)(void *)seed;
        for (size_t i = 0; i < n; i++) {
            views[i] = (struct view){bytes[i], ENTRY_BYTES};
        }
        must(store_begin_write(s->store, STORE_PUBLISH, n * 200, &t), "write");
        if (done == 0) {
            must(store_log_create(t, view_of_text(origin), STORE_LOG_OWN, 0, &id), "create");
        }
        must(store_log_append(t, id, views, n, NULL, root), "append");
        must(store_commit(t), "commit");
        done += n;
    }
}

int
main(int argc, char **argv)
{
    uint64_t entries = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const char *base = argc > 2 ? argv[2] : "/tmp/huren-bench-gossip";
    static struct side a, b;
    static struct gossip_member members[2];
    struct network_keys keys[2];
    char origin[ORIGIN_CHARS_MAX + 1];
    if (sodium_init() < 0) {
        return 2;
    }
    (void)mkdir(base, 0700);
    for (int i = 0; i < 2; i++) {
        uint8_t seed[KEY_BYTES] = {(uint8_t)(i + 1)};
        struct network_public public;
        keys_derive(seed, NETWORK, &keys[i]);
        keys_public(&keys[i], &public);
        snprintf(members[i].institution, sizeof members[i].institution, "h%d", i);
        members[i].log_key_count = 1;
        memcpy(members[i].log_keys[0].public_key, public.log, KEY_BYTES);
    }
    open_side(&a, base, "a", "h0", members);
    open_side(&b, base, "b", "h1", members);
    origin_pub(NETWORK, "h0", origin);

    struct checkpoint c = {.origin = view_of_text(origin), .size = entries};
    double began = now_s();
    fill(&a, origin, entries, &c.root);
    printf("made a log of %llu entries in %.2f s\n", (unsigned long long)entries,
           now_s() - began);
    struct note_signer signer;
    uint8_t note[1024];
    size_t note_count = 0;
    must(note_signer_make(c.origin, NOTE_KEY_ED25519, keys[0].log.secret_key, &signer), "key");
    must(checkpoint_sign(&signer, &c, note, sizeof note, &note_count), "sign");
    struct gossip_event e = {
        .type = GOSSIP_OWN_HEAD, .origin = c.origin, .note = {note, note_count}};
    step(&a, &b, &e);

    began = now_s();
    e = (struct gossip_event){.type = GOSSIP_PEER_UP,
                              .session = 1,
                              .institution = "h1",
                              .instance = (const uint8_t *)"0123456789abcdef"};
    step(&a, &b, &e);
    e.institution = "h0";
    step(&b, &a, &e);
    struct gossip_log_state state = {0};
    while (state.head_size < entries) {
        if (!deliver(&b, &a) && !deliver(&a, &b)) {
            e = (struct gossip_event){.type = GOSSIP_TICK};
            step(&b, &a, &e);
        }
        for (size_t i = 0; i < gossip_log_count(b.gossip); i++) {
            gossip_log_get(b.gossip, i, &state);
            if (strcmp(state.origin, origin) == 0) {
                break;
            }
        }
    }
    double took = now_s() - began;

    uint8_t sig[SIGNATURE_BYTES];
    must(note_ed25519_sign(&signer, c.origin, sig), "sign");
    double sig_began = cpu_s();
    for (int i = 0; i < 1000; i++) {
        must(note_ed25519_check(signer.key.public_key, c.origin, sig), "check");
    }
    double one = (cpu_s() - sig_began) / 1000;
    printf("took in and verified %llu entries in %.2f s (processor: giver %.2f s, taker "
           "%.2f s, of which storing %.2f s)\n",
           (unsigned long long)entries, took, a.answering_s, b.answering_s, b.storing_s);
    printf("as many signatures would take %.1f s: taker %.0f times faster, checking alone %.0f "
           "times\n",
           one * (double)entries, one * (double)entries / b.answering_s,
           one * (double)entries / (b.answering_s - b.storing_s));
    gossip_close(a.gossip);
    gossip_close(b.gossip);
    store_close(a.store);
    store_close(b.store);
    return 0;
}
