/* charter_examples.h: the sources of charter documents, as `huren charter new`
 * writes them and `huren charter --help` shows them. */
#ifndef NODE_CHARTER_EXAMPLES_H
#define NODE_CHARTER_EXAMPLES_H

#define CHARTER_EXAMPLE_ROOT                                                                   \
    "# root: who may sign what in this network.\n"                                             \
    "network: yx-county.hb.cn\n"                                                               \
    "version: 1\n"                                                                             \
    "valid_days: 365             # then its facts count as stale: build the next in time\n"    \
    "# issued_at: 2026-11-22T08:00:00+08:00   # else the moment of building\n"                 \
    "# valid_from: 2026-11-24                 # else issued_at\n"                              \
    "# previous: root-1.charter  # from version 2 on: the file of the version before\n"        \
    "thresholds:                 # how many different keys must sign each kind\n"              \
    "  root: 2\n"                                                                              \
    "  members: 1\n"                                                                           \
    "  quality: 1\n"                                                                           \
    "  policy: 1\n"                                                                            \
    "keys:                       # made by `huren charter keygen NAME`\n"                      \
    "  - file: li.pub\n"                                                                       \
    "    roles: [root, members, quality, policy]\n"                                            \
    "  - name: wang              # or written out\n"                                           \
    "    public_key: 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"                           \
    "    roles: [root]\n"                                                                      \
    "# void:                     # texts that no longer count, also where they were adopted\n" \
    "#   - kind: members\n"                                                                    \
    "#     hash: 64 hex digits, as `huren charter show` prints them\n"

#define CHARTER_EXAMPLE_MEMBERS                                                                \
    "# members: who takes part, with which keys, and what the rules need to know of them.\n"   \
    "network: yx-county.hb.cn\n"                                                               \
    "version: 1\n"                                                                             \
    "valid_days: 30\n"                                                                         \
    "# previous: members-1.charter   # from version 2 on; keys and epochs are carried on\n"    \
    "members:\n"                                                                               \
    "  - join: joins/h1.join         # HOME/join of the hospital\n"                            \
    "    name: First People's Hospital       # else as in the join file\n"                     \
    "    level: tertiary             # tertiary secondary primary none; leave out: unknown\n"  \
    "    grade: A                    # A B C none\n"                                           \
    "    ownership: public           # public private\n"                                       \
    "    assessed: yes               # passed the expert assessment: yes no\n"                 \
    "    territory: 420581           # GB/T 2260\n"                                            \
    "    alliances:                  # none at all: alliances_known: yes\n"                    \
    "      - {id: yx-yigongti, kind: county_group}   # city_group county_group other\n"        \
    "    addresses: [tcp://10.1.0.5:7411]            # else those of the join file\n"          \
    "    roles: [hospital, witness]  # hospital witness auditor authority\n"                   \
    "    listings:                   # on no list: listings_known: yes\n"                      \
    "      - {pack: hubei-2023, status: listed, from: 2024-01-01}\n"                           \
    "  - institution: h9             # a member that left stays, for old results\n"            \
    "    name: Township Hospital 9\n"                                                          \
    "    left: 2026-10-01\n"                                                                   \
    "# new keys: put the new join file in place of the old one; it is signed with the old\n"   \
    "#   keys.  If they were lost:        keys_lost: yes     (ask the hospital by "            \
    "telephone)\n"                                                                             \
    "#   If others may have them, since:  revoked: 2026-10-01T08:00:00+08:00\n"                \
    "# a log that goes on for another:    linked: [yx-county.hb.cn/h9/pub/0a1b2c3d]\n"         \
    "# csv: members.csv              # instead of members, or beside it; columns:\n"           \
    "#   join,institution,name,level,grade,ownership,assessed,territory,alliances,\n"          \
    "#   addresses,roles,listings,left,network_key,revoked,keys_lost\n"                        \
    "#   lists divided by ';': alliances id:kind, listings pack:status:from:to:reason,\n"      \
    "#   \"none\" for known to be none\n"

#define CHARTER_EXAMPLE_QUALITY                                                                \
    "# quality: rounds of external quality assessment, evaluations, inspections.\n"            \
    "network: yx-county.hb.cn\n"                                                               \
    "version: 1\n"                                                                             \
    "valid_days: 190\n"                                                                        \
    "csv: quality.csv\n"                                                                       \
    "# quality.csv:\n"                                                                         \
    "#   institution,item,organiser,date,passed\n"                                             \
    "#   h1,LAB.K,national,2026-05-20,yes         a round: national or provincial\n"           \
    "#   h1,,half_year,2026H1,yes                 half-yearly evaluation of the institution\n" \
    "#   h1,,inspection,2025,no                   cross inspection of that year\n"             \
    "# An institution or item without a row is not known; what is not known is not passed.\n"

#define CHARTER_EXAMPLE_POLICY                                                                 \
    "# policy: which rules are in force, and the settings of the network.\n"                   \
    "network: yx-county.hb.cn\n"                                                               \
    "version: 1\n"                                                                             \
    "valid_days: 365\n"                                                                        \
    "packs:\n"                                                                                 \
    "  - id: hubei-2023\n"                                                                     \
    "    hash: embedded              # the pack of that id in this huren, or 64 hex digits\n"  \
    "    in_force_from: 2024-01-01\n"                                                          \
    "    # in_force_to: 2028-12-31\n"                                                          \
    "    # annexes: [64 hex digits]\n"                                                         \
    "settings:                       # all may be left out\n"                                  \
    "  look_back_days: 365           # how far a look-up looks back\n"                         \
    "  look_back_epochs: 1           # earlier network keys that a new member gets\n"          \
    "  cosign_s: 10                  # a head is offered to witnesses at most this often\n"    \
    "  replication: index            # index: records leave their issuer only in logged\n"     \
    "                                # answers; full: every member holds every record\n"       \
    "  sensitive: []                 # item codes held in addition to the catalog's\n"         \
    "  identifier_types: []          # person-wide types in addition to RI PP HM TW RP\n"

#endif
