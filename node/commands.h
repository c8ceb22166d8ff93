/* commands.h: the table of commands, one row each: COMMAND(name, summary).
 *
 * Included with COMMAND defined, so it has no guard.  A row X says that there
 * are, in node/cmd_X.c:
 *     int cmd_X(struct cli *cli, int argc, char **argv);
 *     const char cmd_X_help[];
 * Order is the order of `huren --help`.  Keep an empty line between rows, so
 * that two branches that each add one merge. */

/* clang-format off */
/* setting up */

COMMAND(init, "make a home: seed, store, configuration, join file")

COMMAND(charter, "write, sign, adopt and show what governs a network")

COMMAND(keys, "the keys of this home, and new ones in their place")

/* results in, results out */

COMMAND(lookup, "who holds a result for this patient, and is it recognized here")
COMMAND(import, "results in: HL7 v2 and CSV files; --dry-run shows what they say")

COMMAND(release, "give held reports of this hospital to another one, for a time")

COMMAND(outcome, "record what the doctor did: recognized, or repeated and why")

COMMAND(recall, "corrections and withdrawals: who was told, what is overdue")

COMMAND(report, "a report as a page for paper: form, marks, footnotes (HTML)")

/* proofs and rules */

COMMAND(verify, "check evidence with nothing but the charter's root")

COMMAND(audit, "recompute a home or a log that was handed over; name each damage")

COMMAND(log, "the signed logs of this home: checkpoint, prove, tiles, vkey; forks")
COMMAND(policy, "packs and decisions: decide, mark, list, check, explain, build")

/* running */

COMMAND(serve, "the daemon: gossip, look-ups, commands")

COMMAND(backup, "copy the home, also while its daemon runs")

COMMAND(restore, "make a home from a backup")

COMMAND(resume, "let a restored node sign again that can ask no witness")

COMMAND(status, "heads, members, cosigning, staleness, forks, space")

/* clang-format on */
