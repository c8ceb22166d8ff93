#!/usr/bin/env bash
# Goal: a member that left gets no new network key, no session and no answer, and keeps
# what it had; what is published under the old epoch is late, and refused after 60 days.
# Method: three hospitals; the authority lists one as left, others hear of it late.
. tests/e2e/lib/common.sh
up 3
. tests/e2e/lib/members.sh
messages 1 1 --tag A >"$work/a.hl7"
messages 13 1 --tag B >"$work/b.hl7"
messages 21 1 --tag C >"$work/c.hl7"
h 0 h1 import "$work/a.hl7"
h 0 h2 import "$work/b.hl7"
h 0 h3 import "$work/c.hl7"
wait_index "$A/h1" h2 1 2
wait_index "$A/h1" h3 1 2
wait_index "$A/h3" h1 1 2
look h1 21 --evidence "$work/c-before.hre"
# --- h3 leaves ------------------------------------------------------------------------
stop "$A/h2" # it will not hear of it at once
field h3 "left: $(TZ=Asia/Shanghai date +%F)"
members
wait_status "$A/h1" 30 "n['charter']['members']['version'] == 2 and n['network_keys'] == 2"
wait_status "$A/h1" 60 "not any(p['institution'] == 'h3' for p in n['peers'])"
messages 31 1 --tag D >"$work/d.hl7"
h 0 h1 import "$work/d.hl7"
code=0
timeout 60 "$HUREN" --home "$A/h3" --json lookup --patient "RI:$(card 1)" --item LAB.K >"$work/out" 2>"$work/err" || code=$?
[ "$code" != 0 ] || fail "who left got an answer"
look h3 21
json "it keeps what is its own" "o['results'][0]['value'] == '4.10'" <"$work/out"
verify "$work/c-before.hre"
"$HUREN" --home "$A/h3" --json status >"$work/out"
json "nobody connects with who left, and it gets no new key" "o['networks'][0]['peers'] == [] and o['networks'][0]['network_keys'] == 1" <"$work/out"
# h2 has not heard yet and publishes under the first epoch: late, and shown as such.
messages 14 1 --tag B >"$work/b3.hl7"
h 0 h2 import "$work/b3.hl7"
start "$A/h2"
wait_status "$A/h2" 60 "n['charter']['members']['version'] == 2 and n['network_keys'] == 2"
wait_status "$A/h1" 60 "log['h2/pub']['size'] >= 2"
look h1 14
json "late" "o['results'][0]['value'] == '4.10' and o['results'][0]['late']" <"$work/out"
look h1 13
json "not late" "not o['results'][0]['late']" <"$work/out"
messages 15 1 --tag B >"$work/b4.hl7"
h 0 h2 import "$work/b4.hl7"
wait_status "$A/h1" 60 "log['h2/pub']['size'] >= 3"
look h1 15
json "under the new epoch" "o['results'][0]['value'] == '4.10' and not o['results'][0]['late']" <"$work/out"
look h2 31
json "everybody else is found as before" "o['results'][0]['value'] == '4.10'" <"$work/out"
