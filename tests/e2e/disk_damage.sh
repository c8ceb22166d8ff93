#!/usr/bin/env bash
# Goal: bit flips, zeroed and torn pages and truncation of a home's file are found before a
# wrong byte is served, with their place, and kill neither the audit nor a node (F6).
# Method: a home that published, looked up and gossiped, copied and damaged at random many
# times; audit verify, look-ups, proofs and the daemon on each copy.
# HR_FAULTS=all (scripts/faults.sh): 500 flips, 100 pages, 50 truncations, and other seeds.
. tests/e2e/lib/common.sh
up 2
messages 1 40 --tag A >"$work/a.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
messages 100 30 --tag B >"$work/b.hl7"
expect 0 --home "$A/h2" import "$work/b.hl7"
wait_index "$A/h1" h2 30 1
wait_index "$A/h2" h1 40 1
expect 0 --home "$A/h1" lookup --patient "RI:$(card 100)" --item LAB.K
wait_status "$A/h1" 30 "log['h1/pub']['cosigned_size'] == 40 and log['h1/exch']['head'] == log['h1/exch']['size']"
expect 0 --home "$A/h1" audit verify # beside the daemon
out_has "sound"
for h in h1 h2 authority regulator; do scripts/alliance.sh stop "$A/$h"; done
if [ "${HR_FAULTS:-}" = all ]; then
    many=(--flips 500 --pages 100 --cuts 50)
else
    many=(--flips 60 --pages 24 --cuts 10)
fi
python3 "$lib/damage.py" "$HUREN" "$A/h1" "$work" "$(card 1)" --seed "${HR_SEED:-1}" "${many[@]}" ||
    fail "some damage was not found, or killed what reads it"
