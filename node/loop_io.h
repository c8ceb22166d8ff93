/* loop_io.h: nng streams, handed to one thread.
 *
 * Source: DESIGN 4 and 11; RELIABILITY N9, N12, N15.  nng calls back on threads
 * of its own; the callbacks here only post to a queue.  loop_run takes from it, on
 * the thread that owns the loop, and calls what the owner has set; everything but
 * loop_wake is for that thread.  A second thread of ours, the reaper, closes and
 * frees nng's objects, so that nothing which hangs inside nng holds up the loop. */
#ifndef NODE_LOOP_IO_H
#define NODE_LOOP_IO_H

#include <nng/nng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/status.h"

struct loop;

/* STATUS_OK, STATUS_NO_MEMORY, or STATUS_IO: no thread could be made. */
MUST_USE enum status loop_open(struct loop **out);

/* End the loop.  Every stream, dial and listener must have been closed; what of
 * them is still inside nng is waited for, `wait_ms` at most, calling `gone` as
 * usual.  NULL does nothing. */
void loop_close(struct loop *l, int64_t wait_ms);

/* Wait until something is posted, loop_wake was called or `deadline_ms`
 * (loop_now_ms) is reached, then do all that was posted.  INT64_MAX: no limit.
 * True if loop_wake was called since it last said so. */
bool loop_run(struct loop *l, int64_t deadline_ms);

/* Make loop_run return; any thread, at any time. */
void loop_wake(struct loop *l);

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
int64_t loop_now_ms(void);
int64_t loop_clock_ms(void);

/* Our status for what nng reports. */
enum status loop_status(int nng_result);

/* ---- connected streams ---- */

struct loop_stream;

/* `received` ends what loop_stream_receive began, `sent` what loop_stream_send could
 * not do at once, with the number of bytes, or with a status other than STATUS_OK
 * and 0.  After loop_stream_close only `gone` is called, once: nng has let go of the
 * buffers. */
struct loop_stream_events {
    void (*received)(void *owner, enum status st, size_t count);
    void (*sent)(void *owner, enum status st, size_t count);
    void (*gone)(void *owner);
};

/* Take over a connected stream; on STATUS_NO_MEMORY it is closed and freed. */
MUST_USE enum status loop_stream_open(struct loop *l, nng_stream *stream,
                                      const struct loop_stream_events *events, void *owner,
                                      struct loop_stream **out);

/* Begin to receive at least one byte; one at a time (asserted).  The bytes stay
 * the caller's and must stay in place until `received`. */
void loop_stream_receive(struct loop_stream *s, uint8_t *bytes, size_t count);

/* Send, at once if the system takes the bytes: returns how many it took.  When it
 * takes none, returns 0, and `sent` is called later; the bytes must stay until
 * then.  One at a time (asserted). */
MUST_USE size_t loop_stream_send(struct loop_stream *s, const uint8_t *bytes, size_t count);

/* Close it; the loop frees it. */
void loop_stream_close(struct loop_stream *s);

/* For its options, such as the address of the peer. */
nng_stream *loop_stream_nng(const struct loop_stream *s);

/* ---- dialling ---- */

struct loop_dial;

/* Connect to `url` in at most `timeout_ms`.  `done` is called once, unless
 * loop_dial_cancel came first; it takes over the stream (NULL on failure).
 *
 * STATUS_OK, STATUS_MALFORMED (the URL), STATUS_NO_MEMORY. */
MUST_USE enum status loop_dial(struct loop *l, const char *url, int64_t timeout_ms,
                               void (*done)(void *owner, enum status st, nng_stream *stream),
                               void *owner, struct loop_dial **out);
void loop_dial_cancel(struct loop_dial *d);

/* Close and free a stream that nobody has taken over. */
void loop_drop(struct loop *l, nng_stream *stream);

/* ---- listening ---- */

struct loop_listener;

/* Accept at `url` until closed.  `accepted` takes over each stream.  When nng
 * reports an error, `failed` is called, and the next try is made after a pause
 * that doubles from 10 ms to a second.
 *
 * STATUS_OK, STATUS_MALFORMED, STATUS_BUSY (address in use), STATUS_UNAVAILABLE
 * (not an address of ours), STATUS_IO, STATUS_NO_MEMORY. */
struct loop_listener_events {
    void (*accepted)(void *owner, nng_stream *stream);
    void (*failed)(void *owner, enum status st);
};
MUST_USE enum status loop_listen(struct loop *l, const char *url,
                                 const struct loop_listener_events *events, void *owner,
                                 struct loop_listener **out);

/* The port of a tcp listener, 0 if it has none. */
uint16_t loop_listener_port(const struct loop_listener *k);
void loop_listener_close(struct loop_listener *k);

#endif
