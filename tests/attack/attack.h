/* attack.h: a hostile peer on loopback: plain sockets, our own Noise, any bytes.
 *
 * Nothing of node/net.h is used on the attacker's side, so that what no honest
 * program would send can be sent: cut, flipped, repeated, oversized, never read. */
#ifndef TESTS_ATTACK_ATTACK_H
#define TESTS_ATTACK_ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keys.h"
#include "crypto/noise.h"
#include "proto/frame.h"

enum {
    PATIENCE_MS = 30000, /* how long anything that must come is waited for */
    LINE_BYTES_MAX = 8 + NETWORK_CHARS_MAX + 1,
    OPENING_MAX = LINE_BYTES_MAX + 2 + NOISE_MESSAGE_1_BYTES,
    ANSWER_2_BYTES = 2 + NOISE_MESSAGE_2_BYTES,
    CLOSED = -1,
    LATE = -2
};

/* ---- who and whom ---- */

struct party {
    char institution[INSTITUTION_CHARS_MAX + 1];
    char network[NETWORK_CHARS_MAX + 1];
    struct network_keys keys;
    char host[64];
    uint16_t port; /* where it listens */
};

/* Read a home: its first network, its keys.  Exits when it cannot. */
void party_read(const char *home, struct party *out);

/* ---- sockets ---- */

int64_t now_ms(void);
void sleep_ms(int ms);
/* Connect from 127.0.0.`source` (0: any); tried again until PATIENCE_MS, then exits. */
int dial(uint16_t port, int source);
int try_dial(uint16_t port, int source); /* one try; -1 */
int listen_any(uint16_t *port);
bool send_all(int fd, const void *bytes, size_t count);
/* Some bytes, or CLOSED, or LATE after `ms`. */
int receive_some(int fd, void *bytes, size_t max, int ms);
/* Exactly so many: true.  Closed or late: false. */
bool receive_all(int fd, void *bytes, size_t count, int ms);
/* Read and forget until the other side closes; the bytes read, or LATE. */
int drain(int fd, int ms);
/* Ends with a reset instead of a farewell. */
void abort_connection(int fd);

/* ---- a session of a member ---- */

struct mate {
    int fd;
    struct noise_session keys;
    struct frame_reader reader;
    uint8_t in[65536 + 2];
    size_t have;
    uint8_t plain[65536];
    struct view rest;
    uint8_t opening[OPENING_MAX]; /* as sent: line, length, message 1 */
    size_t opening_count, line_count;
    uint8_t answer_2[ANSWER_2_BYTES]; /* as received */
    unsigned answered;                /* requests of the node that we answered */
};

/* The line and message 1 of a session of `me` with `whom`; `n` goes on with it. */
void opening_make(struct noise *n, const struct party *me, const struct party *whom,
                  struct mate *m);
/* A session that is up: handshake and hello, both ways.  False: refused. */
bool mate_open(struct mate *m, const struct party *me, const struct party *whom, int source);
bool mate_try(struct mate *m, const struct party *me, const struct party *whom, int source);
void mate_close(struct mate *m);
/* Seal any bytes as one message, into out (2 + count + 16 bytes). */
size_t mate_seal(struct mate *m, const void *plain, size_t count, uint8_t *out);
bool mate_send(struct mate *m, const void *plain, size_t count);
bool mate_send_frame(struct mate *m, const struct frame *f);
/* The next frame: true.  Else *why is CLOSED or LATE. */
bool mate_frame(struct mate *m, int ms, struct frame *out, int *why);
/* Frames until the answer to `request`; its status in *status when it is a range or a
 * charter.  false: closed or late. */
bool mate_answer(struct mate *m, uint32_t request, struct frame *out);
/* Is it closed by the other side within PATIENCE_MS? */
bool mate_is_closed(struct mate *m);

size_t hello_frame(uint8_t *out, size_t max);
/* Packs; both exit when it does not fit. */
size_t ask_head(uint8_t *out, size_t max, const char *origin);
size_t ask_range(uint8_t *out, size_t max, const char *origin, uint32_t what, uint32_t level,
                 uint64_t from, uint32_t count);
size_t ask_lookup(uint8_t *out, size_t max, const struct party *me, const struct party *whom,
                  size_t questions, size_t leaves);
uint32_t range_status(const struct frame *f, uint32_t *count);

/* ---- verdicts ---- */

void check(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
unsigned failures(void);

uint32_t chance(uint32_t below); /* deterministic */

/* ---- the attacks: one file each ---- */

int attack_handshake(int argc, char **argv);
int attack_replay(int argc, char **argv);
int attack_record(int argc, char **argv);
int attack_limits(int argc, char **argv);
int attack_caps(int argc, char **argv);
int attack_load(int argc, char **argv);
int attack_control(int argc, char **argv);

#endif
