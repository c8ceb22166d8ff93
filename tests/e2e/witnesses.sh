#!/usr/bin/env bash
# Goal: while witnesses are away results go on, and are shown as seen by too few, with the
# time until which that is accepted; when they are back all is well (F23).  What comes after
# that time is a matter of hours: tests/test_witnessed.c.
# Method: of three witnesses for h1's log two are stopped before it publishes.
. tests/e2e/lib/common.sh
up 3
messages 1 1 --tag A >"$work/a.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h3" h1 1 3
for h in h2 regulator; do scripts/alliance.sh stop "$A/$h"; done
messages 2 1 --tag B >"$work/b.hl7"
expect 0 --home "$A/h1" import "$work/b.hl7"
wait_status "$A/h3" 60 "log['h1/pub']['head'] == 2"
wait_status "$A/h3" 30 "log['h1/pub'].get('too_few_since')"
ask() { # N: look up patient N at h3
    expect 0 --home "$A/h3" --json lookup --patient "RI:$(card "$1")" --item LAB.K --evidence "$work/$1.hre"
}
for _ in $(seq 100); do # until its own cosignature has gone to h1 and come back
    ask 2
    grep -q '"cosigned":{"by":1,' "$work/out" && break
    sleep 0.2
done
json "seen by one of three" "o['results'][0]['cosigned']['by'] == 1 and o['results'][0]['cosigned']['wanted'] == 2 and
    o['results'][0]['cosigned']['state'] == 'waits' and o['results'][0]['preselected'] and
    o['results'][0]['cosigned']['since'] < o['results'][0]['cosigned']['until']" <"$work/out"
until=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["cosigned"]["until"])' <"$work/out")
expect 0 --home "$A/h3" lookup --patient "RI:$(card 2)" --item LAB.K
out_has "not enough witnesses yet: this hospital wants 2, and accepts fewer until $until"
expect 0 --home "$A/h3" status
out_has "fewer witnesses than this hospital wants, for entries since"
ask 1 # what was cosigned before is
json "seen by all" "o['results'][0]['cosigned'] == {'by': 3, 'of': 3, 'wanted': 2, 'state': 'enough'}" <"$work/out"
expect 0 --home "$A/h3" verify "$work/2.hre"
expect 0 --home "$A/h3" verify "$work/1.hre" --witnesses 3
expect 1 --home "$A/h3" verify "$work/2.hre" --witnesses 2
err_has "cosigned by 1 of 3 witnesses, 2 are wanted"
expect 2 --home "$A/h3" verify "$work/2.hre" --witnesses many

# The time since which it waits is kept over a restart.
before=$("$HUREN" --home "$A/h3" status | sed -n 's/.*for entries since //p')
scripts/alliance.sh stop "$A/h3"
scripts/alliance.sh start "$A/h3"
expect 0 --home "$A/h3" status
[ "$(sed -n 's/.*for entries since //p' "$work/out")" = "$before" ] || fail "a restart forgets since when witnesses are missing"
# Whoever wants none takes what there is; whoever wants three, waits for three.
scripts/alliance.sh stop "$A/h3"
sed -i 's/# witnesses_wanted: 2/witnesses_wanted: none/' "$A/h3/config.yaml"
ask 2
json "none wanted" "o['results'][0]['cosigned']['state'] == 'enough' and o['results'][0]['cosigned']['wanted'] == 0" <"$work/out"
sed -i 's/witnesses_wanted: none/witnesses_wanted: 3/' "$A/h3/config.yaml"
scripts/alliance.sh start "$A/h3"
scripts/alliance.sh start "$A/regulator"
for _ in $(seq 100); do
    ask 2
    grep -q '"cosigned":{"by":2,' "$work/out" && break
    sleep 0.2
done
json "three wanted, two seen" "o['results'][0]['cosigned']['state'] == 'waits' and o['results'][0]['cosigned']['wanted'] == 3" <"$work/out"
scripts/alliance.sh start "$A/h2"
wait_index "$A/h3" h1 2 3
wait_status "$A/h3" 30 "'too_few_since' not in log['h1/pub']"
ask 2
json "three seen" "o['results'][0]['cosigned'] == {'by': 3, 'of': 3, 'wanted': 3, 'state': 'enough'}" <"$work/out"
