/* bench_pbcheck.c: what it costs to unpack one 110-byte log entry from outside:
 * protobuf-c alone with malloc, and checked.
 *
 * usage: bench_pbcheck [ROUNDS]    (default 2,000,000) */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/log.pb-c.h"
#include "proto/pbcheck.h"

static double
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int
main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 2000000;
    uint8_t token[TOKEN_BYTES] = {1}, sealed[HASH_BYTES] = {2}, brief[BRIEF_BYTES] = {3};
    uint8_t bytes[256], memory[PB_ARENA_BYTES];
    size_t n;
    Hr__PubEntry e;
    Hr__Publish p;
    struct pb_arena a;
    ProtobufCMessage *m;
    hr__pub_entry__init(&e);
    hr__publish__init(&p);
    p.token = (ProtobufCBinaryData){sizeof token, token};
    p.epoch = 3;
    p.sealed = (ProtobufCBinaryData){sizeof sealed, sealed};
    p.brief = (ProtobufCBinaryData){sizeof brief, brief};
    e.what_case = HR__PUB_ENTRY__WHAT_PUBLISH;
    e.publish = &p;
    if (pb_pack(&e.base, bytes, sizeof bytes, &n) != STATUS_OK) {
        return 2;
    }
    struct view v = {bytes, n};
    pb_arena_init(&a, memory, sizeof memory, 0);
    for (int round = 0; round < 3; round++) {
        double t = now_ns();
        for (long i = 0; i < rounds; i++) {
            m = protobuf_c_message_unpack(&hr__pub_entry__descriptor, NULL, n, bytes);
            protobuf_c_message_free_unpacked(m, NULL);
        }
        double plain = now_ns() - t;
        t = now_ns();
        for (long i = 0; i < rounds; i++) {
            if (pb_scan(&hr__pub_entry__descriptor, v, ENTRY_BYTES_MAX) != STATUS_OK) {
                return 1;
            }
        }
        double scan = now_ns() - t;
        t = now_ns();
        for (long i = 0; i < rounds; i++) {
            if (pb_unpack(&hr__pub_entry__descriptor, v, ENTRY_BYTES_MAX, &a, &m) !=
                STATUS_OK) {
                return 1;
            }
            pb_free(&a);
        }
        double all = now_ns() - t;
        printf("entry of %zu bytes: protobuf-c with malloc %.0f ns, scan %.0f ns, pb_unpack "
               "%.0f ns\n",
               n, plain / (double)rounds, scan / (double)rounds, all / (double)rounds);
    }
    return 0;
}
