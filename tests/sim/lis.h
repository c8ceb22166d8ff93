/* lis.h: the laboratory system of each hospital, which sends reports to its node
 * until each is acknowledged: new ones, corrections, withdrawals, the same again;
 * and after a restore everything once more.  And who looks for a report finds it:
 * once, in its newest version, or not at all when it was withdrawn (I1, I3). */
#ifndef TESTS_SIM_LIS_H
#define TESTS_SIM_LIS_H

#include "node/lookup.h"
#include "node/publisher.h"
#include "tests/sim/world.h"

struct lis; /* of one node */

/* What a doctor asks: it points into itself. */
struct lis_question {
    char card[20];
    const char *items[1];
    struct lookup_question question;
    struct lookup_place place;
};
/* About some report of `author`; false: it has none yet. */
bool lis_question(struct world *w, struct node *n, const struct node *author,
                  struct lis_question *out);

/* Catalog and packs, read once for all worlds. */
bool lis_load(void);

struct lis *lis_new(void);
void lis_free(struct lis *l);

/* Think of `count` messages; they wait until they are acknowledged. */
void lis_draw(struct world *w, struct node *n, unsigned count);
/* New reports alone; how many. */
size_t lis_draw_new(struct world *w, struct node *n, unsigned count);
size_t lis_count(const struct node *n); /* of all reports */
size_t lis_waiting(const struct node *n);
/* Give what waits to the publisher. */
void lis_send(struct world *w, struct node *n, struct publisher *p);
/* All that was given is acknowledged. */
void lis_acknowledged(struct node *n);
/* Everything is sent again, in order. */
void lis_again(struct node *n);

/* Is the current network key in hand (or does it not care: node.stubborn)? */
bool lis_may_publish(const struct node *n);
/* The one key of worlds without epochs in their charter. */
void lis_one_epoch(struct node *n);
/* `author` published `count` reports last under a key that had ended: `n` takes them as
 * late, or refuses them. */
void lis_check_late(struct world *w, struct node *n, const struct node *author, size_t count,
                    bool refused);

/* Begin a publisher over the node's own log. */
enum status lis_publisher(struct world *w, struct node *n, struct store_txn *t, uint32_t log,
                          struct publisher *p);

/* Every report of honest `author`, as the index of `n` has it. */
void lis_check_index(struct world *w, struct node *n, const struct node *author);
/* Look-ups from `n` for some reports of `author`, with records asked of it. */
void lis_check_lookup(struct world *w, struct node *n, struct node *author);

#endif
