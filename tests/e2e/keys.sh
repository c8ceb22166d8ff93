#!/usr/bin/env bash
# Goal: keys of a hospital are exchanged while others are away; revoked ones open nothing
# and sign nothing any more, and what was cosigned before stays good.
# Method: three hospitals and an authority that writes three versions of members; a thief
# with a copy of a home.
. tests/e2e/lib/common.sh
up 3
. tests/e2e/lib/members.sh
messages 1 3 --tag A >"$work/a.hl7"
messages 11 2 --tag B >"$work/b.hl7"
messages 21 1 --tag C >"$work/c.hl7"
h 0 h1 import "$work/a.hl7"
h 0 h2 import "$work/b.hl7"
h 0 h3 import "$work/c.hl7"
wait_index "$A/h2" h1 3 2
wait_index "$A/h1" h2 2 2
wait_index "$A/h1" h3 1 2
look h1 11 --evidence "$work/b-before.hre"
look h1 21 --evidence "$work/c-before.hre"
cp -r "$A/h2" "$A/thief" # a copy of everything, with the seed

# --- rotation, while h3 is away -------------------------------------------------
stop "$A/h3"
h 0 h1 keys
out_has "in force"
h 2 h1 keys --network nope.cn
err_has "this home is not in the network nope.cn"
h 2 h1 keys rotate --network "$NET"
err_has "rotate makes new keys for all networks"
cp "$a/joins/h1.join" "$work/first.join"
h 0 h1 keys rotate
[ "$(stat -c %a "$A/h1/seed-2")" = 600 ] || fail "the new seed can be read by others"
# Somebody else's join file for h1 is not taken, whatever it says.
"$HUREN" --home "$work/liar" init --institution h1 --name Liar --network "$NET" >/dev/null
cp "$work/liar/join" "$a/joins/h1.join"
sed "s/^version: 1/version: 2/; /^version/a previous: members-1.charter" "$a/members.yaml" >"$a/liar.yaml"
(cd "$a" && h 2 authority charter build members liar.yaml -o liar.charter)
err_has "not signed with those"
cp "$A/h1/join" "$a/joins/h1.join"
members
wait_status "$A/h1" 30 "n['charter']['members']['version'] == 2"
for _ in $(seq 300); do
    "$HUREN" --home "$A/h1" --json keys | grep -q '"seed":"seed-2".*"in_force":true' && break
    sleep 0.1
done
h 0 h1 --json keys
json "the new keys are in force" "[k['in_force'] for k in o] == [False, True] and o[0]['state'].startswith('ended')" <"$work/out"
messages 4 2 --tag A >"$work/a2.hl7"
h 0 h1 import "$work/a2.hl7"
wait_status "$A/h2" 30 "log['h1/pub']['size'] >= 5" # under the new log key
look h2 1 --evidence "$work/a-old.hre"
json "a result from before" "o['results'][0]['value'] == '4.10'" <"$work/out"
look h2 4 --evidence "$work/a-new.hre"
json "a result from after" "o['results'][0]['value'] == '4.10'" <"$work/out"
verify "$work/a-old.hre"
verify "$work/a-new.hre"
# h3 knows the old keys only, and finds nobody but h1: they still open a session.
for who in h2 authority regulator; do stop "$A/$who"; done
sed -i 's/^\( *\)\(# \)\{0,1\}peers: .*/\1peers: [h1]/' "$A/h3/config.yaml"
start "$A/h3"
wait_status "$A/h3" 60 "n['charter']['members']['version'] == 2 and log['h1/pub']['size'] >= 5"
for who in h2 authority regulator; do start "$A/$who"; done
wait_status "$A/h3" 60 "len(n['peers']) >= 2"
wait_index "$A/h2" h1 5 3 # cosigned by all, under the new log key
# A restart of who was rotated: it is still the new keys that sign, and others dial them.
stop "$A/h1"
start "$A/h1"
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'open' and len(n['peers']) >= 2"
wait_status "$A/h2" 60 "any(p['institution'] == 'h1' for p in n['peers'])"
look h2 5
json "after a restart" "o['results'][0]['value'] == '4.10'" <"$work/out"

# --- revocation: somebody has the keys of h2 ----------------------------------------
sleep 1 # cosignatures are dated in whole seconds
since=$(date -u +%Y-%m-%dT%H:%M:%SZ)
h 0 h2 keys rotate
cp "$A/h2/join" "$a/joins/h2.join"
field h2 "revoked: $since"
members
wait_status "$A/h1" 30 "n['charter']['members']['version'] == 3"
wait_status "$A/h2" 30 "n['charter']['members']['version'] == 3"
messages 13 1 --tag B >"$work/b2.hl7"
h 0 h2 import "$work/b2.hl7"
wait_index "$A/h1" h2 3 2
verify "$work/b-before.hre"
look h1 11 --evidence "$work/b-old.hre"
json "what h2 published before" "o['results'][0]['value'] == '4.10' and o['results'][0]['cosigned']['by'] >= 1" <"$work/out"
verify "$work/b-old.hre"
look h1 13 --evidence "$work/b-new.hre"
verify "$work/b-new.hre"
h 0 h2 --json keys
json "revoked" "o[0]['state'].startswith('revoked since') and o[1]['in_force']" <"$work/out"
# The thief serves with the old seed, elsewhere: nobody speaks with him, nobody takes his heads.
rm -f "$A/thief/control" "$A/thief/lock" "$A/thief/serve.pid" "$A/thief/serve.log"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i "s/^\( *\)listen: .*/\1listen: tcp:\/\/127.0.0.1:$port/" "$A/thief/config.yaml"
start "$A/thief"
for _ in $(seq 300); do grep -q ' ready$' "$A/thief/serve.log" && break; sleep 0.1; done
code=0
timeout 60 "$HUREN" --home "$A/thief" --json lookup --patient "RI:$(card 1)" --item LAB.K >"$work/out" 2>"$work/err" || code=$?
[ "$code" != 0 ] || fail "the thief got an answer"
grep -q '4\.10' "$work/out" && fail "the thief got a value" || true
"$HUREN" --home "$A/thief" --json status >"$work/out"
json "nobody speaks with the thief" "o['networks'][0]['peers'] == [] and o['networks'][0]['charter']['members']['version'] == 1" <"$work/out"
stop "$A/thief"
