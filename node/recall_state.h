/* recall_state.h: what the parts of the recall machine share (recall.c, recall_act.c,
 * recall_peer.c, recall_frame.c, recall_scan.c only). */
#ifndef NODE_RECALL_STATE_H
#define NODE_RECALL_STATE_H

#include "node/recall.h"
#include "proto/wire.pb-c.h"

enum { TICKETS_MAX = 4096 };

/* What is known of one other institution since the start. */
struct peer {
    char institution[INSTITUTION_CHARS_MAX + 1];
    uint32_t session;             /* 0: none is up */
    bool work;                    /* it is to be told something */
    bool early;                   /* a notice waits for our log to be signed */
    int64_t due_ms;               /* when it is tried next */
    int64_t tried_ms;             /* last; 0: never */
    int64_t backoff_ms;           /* after that */
    unsigned waiting;             /* sent and not answered in this round */
    unsigned writes;              /* under way for it */
    int64_t budget;               /* new rows, in thousandths */
    int64_t budget_ms;            /* as of then */
    int64_t said_ms;              /* 0: never */
    struct recall_row rely, tell; /* where the next round begins */
    bool rely_begun, tell_begun;
};

struct ticket {
    uint64_t number; /* 0: free */
    uint32_t session;
    struct recall_store store;
};

struct recall {
    struct recall_options options;
    char pub[ORIGIN_CHARS_MAX + 1]; /* that is scanned */
    uint64_t scanned;
    uint64_t scanned_stored; /* as its row says */
    uint64_t scan_ticket;    /* 0: none under way */
    bool scan_more;
    int64_t scan_ms; /* not before: after a write that failed */
    struct recall_row sweep;
    bool sweep_begun, sweep_on;
    unsigned sweep_writes;
    int64_t sweep_ms; /* when it goes on */
    uint64_t tickets_drawn;
    struct ticket tickets[TICKETS_MAX];
    size_t ticket_count;
    struct peer *peers; /* sorted in no order; few compared with what else is done */
    size_t peer_count, peer_room;
};

/* One step: what everybody below is given. */
struct step {
    struct recall *r;
    const struct recall_event *e;
    struct recall_update *u;
    enum status status;
};

/* recall_act.c: actions; NULL or false: no memory (s->status says so) or no room now */
struct recall_action *recall_act(struct step *s, enum recall_action_type type);
bool recall_send_bytes(struct step *s, uint32_t session, uint8_t kind, const uint8_t *bytes,
                       size_t count);
void recall_send_rely(struct step *s, uint32_t session, const char *origin, uint64_t index,
                      bool kept);
void recall_send_acknowledged(struct step *s, uint32_t session, const char *origin,
                              uint64_t old, uint64_t by);
struct ticket *recall_write(struct step *s, struct peer *p, uint32_t session,
                            const struct recall_store *store);
/* Is the same write under way already? */
bool recall_under_way(const struct recall *r, const struct recall_store *store);
struct recall_store recall_store_of(enum recall_store_type type, const char *who,
                                    const char *origin, uint64_t leaf, uint64_t by);
bool recall_has_row(struct step *s, struct recall_row *row);

/* recall_peer.c */
struct peer *recall_peer_find(struct step *s, const char *institution); /* made when new */
void recall_peer_hurry(struct step *s, struct peer *p);
void recall_peer_work(struct step *s, struct peer *p);
bool recall_peer_budget(struct step *s, struct peer *p); /* one new row */
void recall_peer_answered(struct step *s, struct peer *p);
void recall_complain(struct step *s, struct peer *p, const char *what);
/* Whom is there something to tell?  `fresh`: some of it is new. */
void recall_find_work(struct step *s, bool fresh);
void recall_try_peers(struct step *s);

/* recall_frame.c */
void recall_take_frame(struct step *s);

/* recall_scan.c */
enum status recall_scan_begin(struct recall *r, struct store_txn *txn);
void recall_scan_some(struct step *s);
void recall_sweep_some(struct step *s);

#endif
