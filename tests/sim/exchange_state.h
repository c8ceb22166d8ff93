/* exchange_state.h: what exchange.c and ask.c share. */
#ifndef TESTS_SIM_EXCHANGE_STATE_H
#define TESTS_SIM_EXCHANGE_STATE_H

#include "node/lookup.h"
#include "node/recall.h"
#include "node/receipts.h"
#include "tests/sim/exchange.h"
#include "tests/sim/lis.h"

enum {
    EXCHANGE_LOGS_MAX = 60,
    EXCHANGE_ASKS_MAX = 8,
    EXCHANGE_ANSWERS_MAX = 256,
    EXCHANGE_RELIED_MAX = 4096
};

struct exch_log {
    char origin[ORIGIN_CHARS_MAX + 1];
    struct history history;
};

enum ask_state { ASK_NONE, ASK_READY, ASK_SENT, ASK_OVER };
struct ask {
    enum ask_state state;
    struct lis_question question;
    struct lookup *lookup;
    int author; /* node */
    int64_t until_ms;
    uint32_t session, request;
    uint64_t index; /* of its Asked entry; size of its bytes */
    struct hash asked;
    size_t entry_count;
    uint8_t entry[1024];
};

/* A request of another, until it is committed. */
struct answer {
    int64_t at_ms;
    uint32_t session, request;
    char institution[INSTITUTION_CHARS_MAX + 1];
    bool overdue;
    struct making *making; /* ask.c; malloced */
};

/* A decision here leaned on this leaf, and that was committed. */
struct relied {
    int author; /* member */
    uint64_t leaf;
};

struct exchange {
    struct exch_log logs[EXCHANGE_LOGS_MAX], *now; /* all there ever were */
    size_t log_count;
    struct relied relied[EXCHANGE_RELIED_MAX];
    size_t relied_count, backup_relied;
    /* of this life */
    uint32_t id;
    bool dirty, recall_changed;
    int64_t sign_ms, next_ask_ms, dialled_ms;
    uint64_t signed_size;
    uint8_t head[1024];
    size_t head_count;
    uint32_t requests;
    struct recall *recall;
    struct receipts *receipts;
    struct ask asks[EXCHANGE_ASKS_MAX];
    struct answer answers[EXCHANGE_ANSWERS_MAX];
    size_t answer_count;
};

enum status exchange_append(struct node *n, struct store_txn *t, struct view entry,
                            uint64_t *index, struct hash *leaf);
typedef enum status (*exchange_write_fn)(struct world *w, struct node *n, struct store_txn *t,
                                         void *ctx);
/* One transaction of STORE_EXCHANGE, in which the process may die: false then. */
bool exchange_write(struct world *w, struct node *n, exchange_write_fn write, void *ctx,
                    enum status *st);
void exchange_send(struct world *w, struct node *n, uint32_t session, uint32_t request,
                   uint8_t kind, struct view message, struct view raw);
struct recall_place exchange_place(struct world *w, struct node *n);

/* ask.c */
void ask_answered(struct world *w, struct node *n, const struct gossip_event *e);
void ask_peer(struct node *n, uint32_t session, const char *institution, bool up);
void ask_turn(struct world *w, struct node *n);
int64_t ask_deadline_ms(const struct exchange *x);
void answer_ask(struct world *w, struct node *n, const struct gossip_event *e);
void answer_turn(struct world *w, struct node *n);

#endif
