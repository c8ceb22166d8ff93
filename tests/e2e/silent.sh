#!/usr/bin/env bash
# Goal: a hospital that is off takes nothing away from the others: what h1 published and
# h2 passed on is still answered at h3; what only h2 holds is named as silent, soon.
# Method: h3 gossips with h2 alone; h2 is stopped, then h1 too.
. tests/e2e/lib/common.sh
HR_PEERS_h3=h2 up 3
messages 0 2 --tag A >"$work/a.hl7"
messages 1 2 --tag B >"$work/b.hl7" # patient 1 at both, patient 2 at h2 alone
expect 0 --home "$A/h1" import "$work/a.hl7"
expect 0 --home "$A/h2" import "$work/b.hl7"
wait_index "$A/h3" h1 2 2
wait_index "$A/h3" h2 2 2
took() { # ARGS...: look up at h3; $ms is how long it took
    local start=$EPOCHREALTIME
    "$HUREN" --home "$A/h3" --json lookup "$@" --item LAB.K >"$work/out" 2>"$work/err" && code=0 || code=$?
    ms=$(python3 -c 'import sys; print(int(1000 * (float(sys.argv[2]) - float(sys.argv[1]))))' "$start" "$EPOCHREALTIME")
}
scripts/alliance.sh stop "$A/h2"
took --patient "RI:$(card 0)"
[ "$code" = 0 ] || fail "h1's result with h2 stopped: exit $code"
json "h1 answers" "[r['issuer'] for r in o['results']] == ['h1'] and o['results'][0]['value'] == '4.10' and o['silent'] == []" <"$work/out"
took --patient "RI:$(card 1)"
[ "$code" = 0 ] || fail "a patient of both with h2 stopped: exit $code"
json "h1 answers, h2 is named" "o['silent'] == ['h2'] and o['results'][0]['issuer'] == 'h1' and o['results'][0]['value'] == '4.10'" <"$work/out"
took --patient "RI:$(card 2)"
[ "$code" = 2 ] || fail "a patient of h2 alone: exit $code, expected 2"
json "h2 is named" "o['silent'] == ['h2'] and all(r['value'] is None for r in o['results'])" <"$work/out"
# 400 ms, and what this machine adds when it is busy
[ "$ms" -lt 3000 ] || fail "silence took $ms ms, expected about 400"
echo "silent after $ms ms"
# Nobody at all: what was never held is still answered from the index.
scripts/alliance.sh stop "$A/h1"
took --patient "RI:$(card 9)"
[ "$code" = 1 ] || fail "nothing held, nobody there: exit $code, expected 1"
json "as of" "o['results'] == [] and o['silent'] == [] and len(o['as_of']) >= 3" <"$work/out"
took --patient "RI:$(card 0)"
[ "$code" = 2 ] || fail "h1's result with h1 stopped: exit $code, expected 2"
scripts/alliance.sh start "$A/h1"
for _ in $(seq 50); do
    took --patient "RI:$(card 0)"
    [ "$code" = 0 ] && break
    sleep 0.2
done
[ "$code" = 0 ] || fail "h1 is back and not found: exit $code"
# Without a daemon the same code answers.
scripts/alliance.sh stop "$A/h3"
took --patient "RI:$(card 0)"
[ "$code" = 0 ] || { fail "a look-up without a daemon: exit $code"; cat "$work/err"; }
