/* policy_home_io.h: the packs that commands decide with: those in the binary, and
 * those of the home.
 *
 * A home has packs and annexes that were adopted (`huren policy adopt`), and those that
 * its charters name, once their blobs are here.  Where a charter names a pack, that
 * version is meant; the annexes that it names hold. */
#ifndef NODE_POLICY_HOME_IO_H
#define NODE_POLICY_HOME_IO_H

#include "node/cli.h"
#include "node/policy_json.h"
#include "store/store.h"

/* The space of store/kv.h, in no network, where adopting notes the addresses of files. */
enum { POLICY_HOME_SPACE = 32 };

/* Note that the file with this address was adopted (its blobs are put by the caller).
 * What the store says. */
MUST_USE enum status policy_home_note(struct store_txn *txn, const struct hash *address);

/* Add what the home's store has to the set.  Packs that are not whole or that fail a
 * vector here are passed over: `huren status` names them.
 * STATUS_OK, STATUS_NO_MEMORY, or what the store says. */
MUST_USE enum status policy_home_add(struct store_txn *txn, struct policy_set *set);

/* Load the set of a command, beside a daemon too.  A home that is there and cannot be
 * read costs a line of warning, not the command.  False: an error was written. */
MUST_USE bool policy_home_load(struct cli *cli, struct policy_set **out);

#endif
