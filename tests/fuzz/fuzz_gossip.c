/* Any bytes as frames and frontier lines to a gossip machine over a store that
 * holds a log: no crash, no leak, and never a store action, since no fuzzer
 * signs a head.  The input is a list of frames:
 *     u8 kind | u8 flags (1 last, 2 an id of ours, 4 push) | u16 message length |
 *     u16 raw length | message | raw */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/keys.h"
#include "node/gossip_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *store;
static struct gossip_member members[2];

static void
must(bool good)
{
    if (!good) {
        abort();
    }
}

static void
set_up(void)
{
    static char dir[100] = "/dev/shm/huren-fuzz-XXXXXX";
    struct store_options so = {.map_bytes = 16 << 20};
    struct store_txn *t = NULL;
    uint32_t id = 0;
    must(sodium_init() >= 0 && mkdtemp(dir) != NULL);
    must(store_open(dir, &so, &store) == STATUS_OK);
    must(store_begin_write(store, STORE_PUBLISH, 1 << 16, &t) == STATUS_OK);
    must(store_log_create(t, view_of_text("n.cn/h1/pub"), 0, 0, &id) == STATUS_OK);
    for (int i = 0; i < 300; i++) {
        struct view entry = {(const uint8_t *)&i, sizeof i};
        must(store_log_append(t, id, &entry, 1, NULL, NULL) == STATUS_OK);
    }
    must(store_commit(t) == STATUS_OK);
    for (int i = 0; i < 2; i++) {
        uint8_t seed[KEY_BYTES] = {(uint8_t)(i + 1)};
        struct network_keys keys;
        struct network_public public;
        keys_derive(seed, "n.cn", &keys);
        keys_public(&keys, &public);
        (void)snprintf(members[i].institution, sizeof members[i].institution, "h%d", i);
        members[i].witness = true;
        members[i].log_key_count = members[i].witness_key_count = 1;
        memcpy(members[i].log_keys[0].public_key, public.log, KEY_BYTES);
        memcpy(members[i].witness_keys[0].public_key, public.witness, KEY_BYTES);
    }
}

static void
step(struct gossip *g, struct gossip_event *e, struct gossip_update *u)
{
    static int64_t now_ms = 1000;
    struct store_txn *t = NULL;
    must(store_begin_read(store, &t) == STATUS_OK);
    e->now_ms = now_ms += 10;
    e->now_s = 1800000000;
    e->random = (uint64_t)now_ms;
    e->txn = t;
    must(gossip_step(g, e, u) == STATUS_OK);
    store_abort(t);
    for (size_t i = 0; i < u->count; i++) {
        const struct gossip_action *a = &u->actions[i];
        must(a->ticket == 0 ||
             a->type == GOSSIP_ADOPT); /* an unsigned document is judged later */
        must(a->message.count <= MESSAGE_BYTES_MAX);
        must(a->raw.count <= FRAME_BYTES_MAX);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (store == NULL) {
        set_up();
    }
    struct gossip *g = NULL;
    struct gossip_update u;
    struct store_txn *t = NULL;
    struct gossip_options o = {
        .network = "n.cn", .institution = "h0", .full = true, .gate = {.clean = true}};
    must(store_begin_read(store, &t) == STATUS_OK);
    must(gossip_open(&o, 0, t, &g) == STATUS_OK);
    store_abort(t);
    must(gossip_set_members(g, members, 2, 10, true) == STATUS_OK);
    gossip_update_init(&u);
    struct gossip_event e = {.type = GOSSIP_PEER_UP,
                             .session = 5,
                             .institution = "h1",
                             .instance = (const uint8_t *)"0123456789abcdef"};
    step(g, &e, &u);
    struct frontier_line line;
    (void)frontier_read((struct view){data, size}, &line);
    uint32_t next = 0;
    while (size >= 6) {
        size_t message = (size_t)data[2] << 8 | data[3], raw = (size_t)data[4] << 8 | data[5];
        if (message + raw > size - 6) {
            break;
        }
        e = (struct gossip_event){.type = GOSSIP_FRAME,
                                  .session = 5,
                                  .kind = data[0],
                                  .last = (data[1] & 1) != 0,
                                  .message = {data + 6, message},
                                  .raw = {data + 6 + message, raw}};
        e.request = (data[1] & 4) != 0   ? 0
                    : (data[1] & 2) != 0 ? GOSSIP_REQUEST_ID_FIRST + next++ % 8
                                         : 9;
        gossip_update_reset(&u);
        step(g, &e, &u);
        data += 6 + message + raw;
        size -= 6 + message + raw;
    }
    e = (struct gossip_event){.type = GOSSIP_PEER_DOWN, .session = 5};
    gossip_update_reset(&u);
    step(g, &e, &u);
    must(gossip_peer_count(g) == 0);
    gossip_update_free(&u);
    gossip_close(g);
    return 0;
}
