#!/usr/bin/env bash
# Goal: a hospital that lost its seed and its whole home comes back under new keys, in the
# same log: nothing it had published is lost, nothing stands twice, old evidence holds, and
# it signs nothing before it heard its witnesses.
# Method: the home is deleted; init --again, a new join file, keys_lost in the source; the
# reports are imported again.
. tests/e2e/lib/common.sh
up 2
. tests/e2e/lib/members.sh
messages 1 3 --tag A >"$work/a.hl7"
messages 9 1 --tag H >"$work/held.hl7"
h 0 h1 import "$work/a.hl7"
h 0 h1 import --hold "$work/held.hl7"
wait_index "$A/h2" h1 4 2
look h2 1 --evidence "$work/old.hre"
verify "$work/old.hre"
listen=$(sed -n 's/^ *listen: *//p' "$A/h1/config.yaml" | head -1)
stop "$A/h1"
mv "$A/h1" "$work/lost"
h 0 h1 init --institution h1 --name "Hospital 1" --network "$NET" --listen "$listen" --again
h 2 h1 init --institution h1 --name "Hospital 1" --network "$NET" --again
cp "$A/h1/join" "$a/joins/h1.join"
sed "s/^version: 1/version: 2/; /^version/a previous: members-1.charter" "$a/members.yaml" >"$a/silent.yaml"
(cd "$a" && h 2 authority charter build members silent.yaml -o silent.charter)
err_has "keys_lost: yes"
field h1 "keys_lost: yes"
members
h 0 h1 charter adopt "$a/root-1.charter" "$a/members-2.charter"
# Alone it publishes nothing: what it had may still be with others.
h 2 h1 import "$work/a.hl7"
start "$A/h1"
wait_status "$A/h1" 90 "n['signing']['pub']['state'] == 'open' and log['h1/pub']['size'] == 4 and log['h1/pub']['own']"
h 0 h1 import "$work/a.hl7"
out_has "3 there already"
for i in 1 2 3; do
    look h2 $i
    json "result $i once" "[r['value'] for r in o['results']] == ['4.10']" <"$work/out"
done
look h2 1 --evidence "$work/new.hre"
verify "$work/old.hre"
verify "$work/new.hre"
h 0 h1 import --hold "$work/held.hl7"
h 0 h1 import --hold "$work/held.hl7"
out_has "1 there already"
messages 2 1 --tag A --value 5.60 --status C >"$work/c.hl7"
h 0 h1 import "$work/c.hl7"
out_has "1 corrected"
messages 4 1 --tag A >"$work/new.hl7"
h 0 h1 import "$work/new.hl7"
wait_status "$A/h2" 60 "log['h1/pub']['size'] >= 8 and log['h1/pub']['cosigned_size'] >= 8"
look h2 2 --evidence "$work/c.hre"
json "the correction alone" "[r['value'] for r in o['results']] == ['5.60'] and o['results'][0]['cosigned']['by'] >= 1" <"$work/out"
verify "$work/c.hre"
look h2 4
json "a new one" "[r['value'] for r in o['results']] == ['4.10']" <"$work/out"
h 0 h1 release --patient "RI:$(card 9)" --to h2
look h2 9
json "the held one, once" "sorted(r['status'] for r in o['results']) in (['final'], ['final', 'withdrawn'])" <"$work/out"
