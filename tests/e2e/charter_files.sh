#!/usr/bin/env bash
# Goal: a node that missed ten rotations of the root (other keys, other thresholds)
# catches up from files in any order and from a folder, and not with one missing; several
# people sign copies, merge says who is missing; diff says what a change means.
# Method: the command line alone; every root has two signers of its own.
. tests/e2e/lib/common.sh
h() { expect "$1" --home "$work/h" "${@:2}"; }
h 0 init --institution wjw --name Authority --network "$NET"
cp "$work/h/join" "$work/wjw.join"
mkdir "$work/d"
cd "$work/d"
for i in $(seq 0 12); do h 0 charter keygen "k$i" -o "k$i.key"; done
root() { # VERSION THRESHOLD PREVIOUS KEY...: root-VERSION.yaml
    local v=$1 t=$2 p=$3 k
    shift 3
    {
        printf 'network: %s\nversion: %s\nvalid_days: 365\n' "$NET" "$v"
        [ -z "$p" ] || printf 'previous: %s\n' "$p"
        printf 'thresholds: {root: %s, members: %s, quality: 1, policy: 1}\nkeys:\n' "$t" "$t"
        for k; do printf '  - {file: %s.key.pub, roles: [root, members, quality, policy]}\n' "$k"; done
    } >"root-$v.yaml"
    h 0 charter build root "root-$v.yaml" -o "root-$v.charter"
}
sign() { local f=$1 k; shift; for k; do h 0 charter sign "$f" --key "$k.key"; done; }
root 1 1 "" k0 k1
sign root-1.charter k0
for v in $(seq 2 11); do # root v has the keys k(v-1) and k(v), and needs 1 or 2
    t=$((v % 2 + 1))
    root "$v" "$t" "root-$((v - 1)).charter" "k$((v - 1))" "k$v"
    sign "root-$v.charter" "k$((v - 2))" "k$((v - 1))" "k$v"
done
members() { # VERSION PREVIOUS: as root 1 and as the last root ask for
    {
        printf 'network: %s\nversion: %s\nvalid_days: 90\n' "$NET" "$1"
        [ -z "$2" ] || printf 'previous: %s\n' "$2"
        printf 'members:\n  - join: ../wjw.join\n    level: none\n    roles: [authority]\n%s' "${3:-}"
    } >"members-$1.yaml"
    h 0 charter build members "members-$1.yaml" -o "members-$1.charter"
}
members 1 ""
sign members-1.charter k0
members 2 members-1.charter
sign members-2.charter k10 k11

# -- somebody who has root 1 and members 1 --------------------------------------------------
h 0 charter adopt root-1.charter members-1.charter
h 1 charter adopt root-3.charter
err_has "root 1 is in hand, and every version between must be adopted; adopt root 2 first"
h 1 charter adopt members-2.charter
err_has "signed by nobody whom root 1 allows"
mkdir gap all
cp root-[2-9].charter root-11.charter members-2.charter gap/
h 1 charter adopt gap # what can be walked is, up to root 9
err_has "root 9 is in hand, and every version between must be adopted"
h 0 charter show root
out_has "root 9 of $NET"
h 0 charter adopt members-2.charter root-11.charter root-10.charter
h 0 charter show
out_has "root 11 of $NET"
out_has "members 2 of $NET"
h 0 charter adopt members-1.charter root-11.charter --dry-run
out_has "kept as an earlier version; members 2 is in force"

# -- a new home: a folder with everything, older members included ----------------------------
cp root-*.charter members-*.charter all/
expect 0 --home "$work/n" init --institution h1 --name New --network "$NET"
expect 0 --home "$work/n" --json charter adopt all
json "all of a folder" "sorted((x['kind'], x['version']) for x in o if x['result'] == 'adopted') ==
    [('members', 1), ('members', 2)] + [('root', v) for v in range(1, 12)] and
    'earlier version' in [x for x in o if x['kind'] == 'members' and x['version'] == 1][0]['reason']" <"$work/out"
expect 0 --home "$work/n" charter show
out_has "members 2 of $NET"
expect 0 --home "$work/n" charter show members:1
out_has "members 1 of $NET"
expect 2 --home "$work/n" charter show members:7
err_has "members:7 of $NET in .*: this version is not kept here"
mkdir empty
expect 2 --home "$work/n" charter adopt empty
err_has "no file \*.charter in this folder"
# What it keeps goes on to the next one, by USB stick.
expect 0 --home "$work/n" charter export stick
expect 0 --home "$work/m" init --institution h2 --name Next --network "$NET"
expect 0 --home "$work/m" charter adopt stick
expect 0 --home "$work/m" --json charter show
json "as the first" "[(x['kind'], x['version'], x['complete']) for x in o] == [('root', 11, True), ('members', 2, True)]" <"$work/out"

# -- several people sign copies -----------------------------------------------------------------
members 3 members-2.charter "    listings:
      - {pack: hubei-2023, status: exited, from: 2026-01-01, reason: by its own wish}
"
cp members-3.charter li.charter
cp members-3.charter wang.charter
cp members-3.charter other.charter
h 0 charter sign li.charter --key k10.key --root root-11.charter
out_has "root 11 asks for 2: signed by k10; 1 MISSING, of k11"
h 0 charter sign wang.charter --key k11.key
out_has "root 11 asks for 2: signed by k11; 1 MISSING, of k10" # by the root of the home
h 1 charter adopt li.charter
err_has "1 of the 2 signatures that root 11 asks for"
h 0 charter merge li.charter wang.charter members-3.charter -o joined.charter
out_has "the threshold holds"
out_has "1 signature came from the other files"
h 1 charter merge li.charter members-2.charter -o never.charter
err_has "members-2.charter: .*another text than the first file"
[ ! -e never.charter ] || fail "a failed merge left a file"
python3 - wang.charter forged.charter <<'PY'
import re, sys
data = bytearray(open(sys.argv[1], "rb").read())
line = re.search(rb"charter/k11 ([A-Za-z0-9+/=]+)\n", data)
at = line.start(1) + 40
data[at] = ord("A") if data[at] != ord("A") else ord("B")
open(sys.argv[2], "wb").write(data)
PY
h 1 charter merge li.charter forged.charter -o never.charter
err_has "forged.charter: the signature of k11 is not valid"
h 2 charter merge li.charter root-1.yaml -o never.charter
h 0 charter adopt joined.charter
h 0 --json charter show members:3
json "both signed" "o['complete'] and [s['state'] for s in o['signatures']] == ['valid', 'valid'] and o['needs'][0]['missing'] == 0" <"$work/out"
# A root needs both: the keys before it and its own.
root 12 1 root-11.charter k12
h 0 charter sign root-12.charter --key k12.key
out_has "root 11 asks for 2: signed by nobody; 2 MISSING, of k10, k11"
out_has "this root 12 asks for 1: signed by k12; it holds"

# -- diff -------------------------------------------------------------------------------------------
h 0 charter diff members:2 members:3
out_has "members of $NET: version 2 to 3"
out_has "rows: 0 added, 0 removed, 1 changed"
out_has "+ listings: exited in hubei-2023 from 2026-01-01 to now on: by its own wish"
out_has "! wjw: exited in hubei-2023 from 2026-01-01"
h 0 charter diff root-1.charter root-2.charter
out_has "k0 may no longer sign root"
out_has "k2 may sign members"
h 0 --json charter diff root-2.charter root:3
json "threshold" "[m['text'] for m in o['meaning'] if m['what'] == 'threshold' and m['row'] == 'threshold/root'] == ['root needs 2 signatures instead of 1']" <"$work/out"
h 2 charter diff root-1.charter members-1.charter
err_has "cannot be compared"
cd - >/dev/null
