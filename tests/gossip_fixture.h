/* gossip_fixture.h: one gossip machine, "h0", over a real store in a scratch directory; the
 * test plays the engine and every peer by hand. */
#ifndef TESTS_GOSSIP_FIXTURE_H
#define TESTS_GOSSIP_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "crypto/keys.h"
#include "node/gossip_state.h"
#include "proto/frame.h"

static const char NETWORK[] = "n.cn";
static char dir[100];
static struct store *store;
static struct gossip *g;
static struct gossip_update u;
static struct network_keys keys[3]; /* h0 is us */
static struct gossip_member members[3];
static int64_t clock_ms;

static inline struct store_txn *
reading(void)
{
    struct store_txn *t = NULL;
    assert_int_equal(store_begin_read(store, &t), STATUS_OK);
    return t;
}

static inline void
step(struct gossip_event e)
{
    static uint64_t random = 42;
    struct store_txn *t = reading();
    e.now_ms = clock_ms;
    e.now_s = 1800000000 + clock_ms / 1000;
    e.random = random++;
    e.txn = t;
    assert_int_equal(gossip_step(g, &e, &u), STATUS_OK);
    store_abort(t);
}

static inline void
up(uint32_t session, const char *institution)
{
    static const uint8_t instance[INSTANCE_BYTES] = {9};
    step((struct gossip_event){.type = GOSSIP_PEER_UP,
                               .session = session,
                               .institution = institution,
                               .instance = instance});
}

static inline void
frame(uint32_t session, uint32_t request, uint8_t kind, const ProtobufCMessage *m,
      struct view raw)
{
    static uint8_t bytes[MESSAGE_BYTES_MAX];
    size_t n = protobuf_c_message_pack(m, bytes);
    step((struct gossip_event){.type = GOSSIP_FRAME,
                               .session = session,
                               .request = request,
                               .kind = kind,
                               .last = true,
                               .message = {bytes, n},
                               .raw = raw});
}

/* The n-th action of a type (and, of sends, of a kind) since the last reset. */
static inline const struct gossip_action *
action(enum gossip_action_type type, uint8_t kind, size_t n)
{
    for (size_t i = 0; i < u.count; i++) {
        if (u.actions[i].type == type && (kind == 0 || u.actions[i].kind == kind) && n-- == 0) {
            return &u.actions[i];
        }
    }
    return NULL;
}

static inline void
tick(int64_t ms)
{
    clock_ms += ms;
    step((struct gossip_event){.type = GOSSIP_TICK});
}

static inline int
begin(void **state)
{
    (void)state;
    assert_true(sodium_init() >= 0);
    snprintf(dir, sizeof dir, "%s/huren-gossip-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(dir));
    struct store_options so = {.map_bytes = 64 << 20};
    assert_int_equal(store_open(dir, &so, &store), STATUS_OK);
    for (int i = 0; i < 3; i++) {
        uint8_t seed[KEY_BYTES] = {(uint8_t)(i + 1)};
        struct network_public public;
        keys_derive(seed, NETWORK, &keys[i]);
        keys_public(&keys[i], &public);
        memset(&members[i], 0, sizeof members[i]);
        snprintf(members[i].institution, sizeof members[i].institution, "h%d", i);
        members[i].witness = i == 1;
        members[i].log_key_count = members[i].witness_key_count = members[i].address_count = 1;
        memcpy(members[i].log_keys[0].public_key, public.log, KEY_BYTES);
        memcpy(members[i].witness_keys[0].public_key, public.witness, KEY_BYTES);
        strcpy(members[i].addresses[0], "tcp://127.0.0.1:1");
    }
    struct store_txn *t = reading();
    struct gossip_options o = {
        .network = NETWORK, .institution = "h0", .gate = {.clean = true}};
    clock_ms = 1000;
    assert_int_equal(gossip_open(&o, clock_ms, t, &g), STATUS_OK);
    store_abort(t);
    assert_int_equal(gossip_set_members(g, members, 3, 10, false), STATUS_OK);
    gossip_update_init(&u);
    return 0;
}

static inline int
end(void **state)
{
    char command[200];
    (void)state;
    gossip_update_free(&u);
    gossip_close(g);
    store_close(store);
    static const char *const names[] = {"data.mdb", "lock.mdb", "owner"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(command, sizeof command, "%s/%s", dir, names[i]);
        (void)remove(command);
    }
    return rmdir(dir);
}

#endif
