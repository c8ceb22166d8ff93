#!/usr/bin/env bash
# Goal: many doctors ask at once; each gets the answer to his own question.
# Method: 40 look-ups side by side through one daemon, for 20 patients, five of whom
# nobody knows; questions to one holder travel together and must not be mixed up.
. tests/e2e/lib/common.sh
up 2
messages 0 15 --tag T >"$work/t.hl7"
expect 0 --home "$A/h1" import "$work/t.hl7"
wait_index "$A/h2" h1 15 1
asked=()
for round in 1 2; do
    for i in $(seq 0 19); do
        "$HUREN" --home "$A/h2" --json lookup --patient "RI:$(card "$i")" --item LAB.K \
            >"$work/answer.$round.$i" 2>"$work/errors.$round.$i" </dev/null &
        asked+=($!)
    done
done
for pid in "${asked[@]}"; do wait "$pid" || true; done
# On a slow machine an answer may come too late: then it says so, and shows no other's.
silent=0
for round in 1 2; do
    for i in $(seq 0 19); do
        f=$work/answer.$round.$i
        if [ "$i" -ge 15 ]; then
            json "look-up $i" "o['results'] == []" <"$f"
        elif grep -q '"silent":\["h1"\]' "$f"; then
            silent=$((silent + 1))
            json "look-up $i" "all(r.get('report_id') is None for r in o['results'])" <"$f"
        else
            json "look-up $i" "[r['report_id'] for r in o['results']] == ['T-$i'] and o['silent'] == []" <"$f"
        fi
    done
done
echo "of 30 answers $silent came too late"
[ "$silent" -lt 30 ] || fail "no look-up was answered in time"
