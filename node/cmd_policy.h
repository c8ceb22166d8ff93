/* cmd_policy.h: the subcommands of `huren policy`, by file. */
#ifndef NODE_CMD_POLICY_H
#define NODE_CMD_POLICY_H

#include "node/cli.h"

/* cmd_policy_packs.c */
int cmd_policy_list(struct cli *cli, int argc, char **argv);
int cmd_policy_check(struct cli *cli, int argc, char **argv);
int cmd_policy_build(struct cli *cli, int argc, char **argv);
int cmd_policy_export(struct cli *cli, int argc, char **argv);
extern const char cmd_policy_export_help[];
extern const char cmd_policy_list_help[];
extern const char cmd_policy_check_help[];
extern const char cmd_policy_build_help[];

/* cmd_policy_simulate.c, with `adopt`, which is as short */
int cmd_policy_simulate(struct cli *cli, int argc, char **argv);
int cmd_policy_adopt(struct cli *cli, int argc, char **argv);
extern const char cmd_policy_simulate_help[];
extern const char cmd_policy_adopt_help[];

#endif
