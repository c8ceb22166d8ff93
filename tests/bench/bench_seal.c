/* What one publication and one look-up cost in crypto/: ns each, best of five
 * rounds.  Usage: bench_seal */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/brief.h"
#include "crypto/noise.h"
#include "crypto/record.h"
#include "crypto/token.h"

enum { ROUNDS = 5, TIMES = 20000, REPORT_BYTES = 400, ENTRY_BYTES = 56, FRAME_BYTES = 1024 };

static const char NET[] = "yx-county.hb.cn", INST[] = "h001",
                  ORIGIN[] = "yx-county.hb.cn/h001/pub";
static uint8_t report[REPORT_BYTES], record[2048], opened[2048], entry[ENTRY_BYTES];
static uint8_t sealed[BRIEF_BYTES], frame[FRAME_BYTES + NOISE_TAG_BYTES];
static size_t record_count;
static struct network_key network_key = {.epoch = 1};
static struct patient_keys patient;
static struct brief brief;
static struct dh_key init_s, resp_s;
static struct noise_session a, b;

static void
must(enum status st)
{
    if (st != STATUS_OK) {
        (void)fprintf(stderr, "bench_seal: %s\n", status_text(st));
        exit(2);
    }
}

static void
seal_record(unsigned i)
{
    report[0] = (uint8_t)i;
    must(record_seal((struct view){report, sizeof report}, patient.record_key, NET, INST,
                     record, sizeof record, &record_count));
}

static void
open_record(unsigned i)
{
    size_t n;
    (void)i;
    must(record_open_with_patient((struct view){record, record_count}, patient.record_key, NET,
                                  INST, opened, sizeof opened, &n));
}

static void
derive_patient(unsigned i)
{
    (void)i;
    must(token_patient_keys(&network_key, "RI", "11010519491231002X", &patient));
}

static void
make_token(unsigned i)
{
    struct token token;
    token_make(&patient, 2025 * 4 + i % 4, &token);
}

static void
seal_brief(unsigned i)
{
    entry[0] = (uint8_t)i;
    must(brief_seal(&brief, patient.brief_key, ORIGIN, (struct view){entry, sizeof entry},
                    sealed));
}

static void
open_brief(unsigned i)
{
    struct brief out;
    (void)i;
    must(brief_open((struct view){sealed, sizeof sealed}, patient.brief_key, ORIGIN,
                    (struct view){entry, sizeof entry}, &out));
}

static void
shake_hands(unsigned i)
{
    static const struct view prologue = {(const uint8_t *)"huren 1 net\n", 12};
    const uint8_t e[2][KEY_BYTES] = {{1, (uint8_t)i}, {2, (uint8_t)i}};
    uint8_t first[NOISE_MESSAGE_1_BYTES], second[NOISE_MESSAGE_2_BYTES], who[KEY_BYTES];
    struct noise init, resp;
    noise_init_initiator(&init, prologue, &init_s, resp_s.public_key, e[0]);
    noise_init_responder(&resp, prologue, &resp_s, e[1]);
    must(noise_write_1(&init, first));
    must(noise_read_1(&resp, (struct view){first, sizeof first}, who));
    must(noise_write_2(&resp, second));
    must(noise_read_2(&init, (struct view){second, sizeof second}));
    noise_split(&init, &a);
    noise_split(&resp, &b);
}

static void
send_frame(unsigned i)
{
    size_t n;
    (void)i;
    must(noise_seal(&a, (struct view){frame, FRAME_BYTES}, frame, sizeof frame, &n));
    must(noise_open(&b, (struct view){frame, n}, frame, sizeof frame, &n));
}

static void
measure(const char *what, void (*work)(unsigned), unsigned times)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec t0, t1;
        double ns;
        (void)clock_gettime(CLOCK_MONOTONIC, &t0);
        for (unsigned i = 0; i < times; i++) {
            work(i);
        }
        (void)clock_gettime(CLOCK_MONOTONIC, &t1);
        ns =
            ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / times;
        best = round == 0 || ns < best ? ns : best;
    }
    (void)printf("%-44s %10.0f ns\n", what, best);
}

int
main(void)
{
    const uint32_t numbers[] = {1, 2, 3, 7, 9, 40, 41, 42};
    const uint8_t secrets[2][KEY_BYTES] = {{3}, {4}};
    if (sodium_init() < 0) {
        return 2;
    }
    keys_dh_key(secrets[0], &init_s);
    keys_dh_key(secrets[1], &resp_s);
    must(brief_make(20000, BRIEF_FINAL, numbers, 8, &brief));
    measure("keys of a patient in one epoch", derive_patient, TIMES);
    measure("token of a patient in one quarter", make_token, TIMES);
    measure("record_seal, report of 400 bytes", seal_record, TIMES);
    measure("record_open_with_patient", open_record, TIMES);
    measure("brief_seal", seal_brief, TIMES);
    measure("brief_open", open_brief, TIMES);
    measure("handshake, both sides", shake_hands, TIMES / 100);
    measure("transport message of 1 KiB, seal and open", send_frame, TIMES);
    return 0;
}
