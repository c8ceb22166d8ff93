/* engine_recall.h: recalls, inside of the engine (recall.h says how they go). */
#ifndef NODE_ENGINE_RECALL_H
#define NODE_ENGINE_RECALL_H

#include "node/engine.h"
#include "node/recall.h"

/* Open and close the machine of a network. */
MUST_USE enum status engine_recall_open(struct network *n, struct store_txn *txn);
void engine_recall_close(struct network *n);

/* Events. */
void engine_recall_frame(struct network *n, uint32_t session, const char *institution,
                         const struct frame *f);
void engine_recall_peer(struct network *n, uint32_t session, const char *institution, bool up);
void engine_recall_tick(struct engine *e, int64_t now_ms);
int64_t engine_recall_deadline_ms(const struct engine *e);

/* For recall_note_* inside of a job's `write`. */
struct recall_place engine_recall_place(struct network *n);

/* Hours after which a recall is overdue; `args` may say other ones. */
uint64_t engine_recall_hours(const struct network *n, const json_t *args);

/* engine_recall_audit_io.c: read exchange logs on, a part in each turn. */
void engine_recall_audit(struct network *n, const json_t *args, struct call_sink *sink);
void engine_recall_audit_tick(struct engine *e);
void engine_recall_audit_free(struct engine *e);

/* engine_recall_list_io.c: {outstanding, overdue, heard, relies_open} for `status`. */
MUST_USE json_t *engine_recall_json(struct network *n);
/* The call `recall`, and `outcome` (engine_outcome_io.c). */
void engine_recall_call(struct engine *e, const struct call *call, struct call_sink *sink);
void engine_outcome_call(struct engine *e, const struct call *call, struct call_sink *sink);

#endif
