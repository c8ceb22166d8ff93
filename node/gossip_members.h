/* gossip_members.h: what gossip needs of a charter (DESIGN 7). */
#ifndef NODE_GOSSIP_MEMBERS_H
#define NODE_GOSSIP_MEMBERS_H

#include "node/charter.h"
#include "node/gossip.h"

/* Give the members and settings of `c` to `g`, as of now_s.  Call it after
 * gossip_open and after each adoption.  Statuses of gossip_set_members. */
MUST_USE enum status gossip_take_charter(struct gossip *g, const struct charter *c,
                                         int64_t now_s);

#endif
