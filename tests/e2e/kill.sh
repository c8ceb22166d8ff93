#!/usr/bin/env bash
# Goal: what was acknowledged survives SIGKILL at any moment, of a daemon and of an
# import that owns the home; nothing is there half or twice.
# Method: many kills at random moments; then everything is imported again, looked up,
# and the log recomputed by an independent implementation.  HR_FAULTS=all (scripts/faults.sh
# kill): 1,000 kills, else 100; HR_KILLS says otherwise.
. tests/e2e/lib/common.sh
if [ "${HR_FAULTS:-}" = all ]; then kills=1000; else kills=100; fi
cycles=$((${HR_KILLS:-$kills} / 2))
up 1
scripts/alliance.sh stop "$A/h1"
python3 "$lib/kill.py" "$HUREN" "$A/h1" "$work" daemon "$cycles" "${HR_SEED:-1}" || fail "kills of a daemon"
python3 "$lib/kill.py" "$HUREN" "$A/h1" "$work" import "$cycles" "$((${HR_SEED:-1} + 1))" || fail "kills of an import"
scripts/alliance.sh start "$A/h1"
total=$((2 * (cycles * 120 + 20)))
wait_status "$A/h1" 60 "log['h1/pub']['size'] == $total and log['h1/pub']['head'] == $total and n['signing']['pub']['state'] == 'open'"
expect 0 --home "$A/h1" log vkey pub
vkey=$(cat "$work/out")
wait_status "$A/regulator" 60 "log['h1/pub']['size'] == $total"
wait_status "$A/h1" 60 "log['h1/pub']['cosigned_size'] == $total"
expect 0 --home "$A/h1" log tiles pub "$work/tiles"
witness=$(sed -n 's/^witness //p' "$A/authority/joins/regulator.join")
name=$NET/regulator/witness
witness=$(python3 -c '
import base64, hashlib, sys
key = b"\4" + base64.b64decode(sys.argv[2])
print(sys.argv[1] + "+" + hashlib.sha256(sys.argv[1].encode() + b"\n" + key).digest()[:4].hex() + "+" + base64.b64encode(key).decode())' "$name" "$witness")
python3 "$lib/tlog.py" tiles "$work/tiles" "$vkey" "$witness" >"$work/out" || fail "the log after all kills does not recompute"
[ "$(cut -d' ' -f1 "$work/out")" = "$total" ] || fail "the log holds $(cat "$work/out"), expected $total"
