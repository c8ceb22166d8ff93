#!/usr/bin/env bash
# Goal: a correction or withdrawal reaches everybody who fetched the result or decided
# on it, is acknowledged, and logged by both; it survives restarts and absences; what
# stays open is listed by the issuer and, from the exchange logs alone, by the
# regulator; later look-ups and verify show it; a result given to the wrong patient is
# recalled, too.
# Method: real daemons on loopback.  h3 gossips with h2 alone; h1 issues.
. tests/e2e/lib/common.sh
HR_PEERS_h3=h2 up 3
me=RI:$(card 0)

recalls() { "$HUREN" --home "$A/$1" --json recall list >"$work/recalls" 2>/dev/null || true; }
# Until the recall list of a home holds.
wait_recall() { # h EXPRESSION over o, the rows
    local i
    for i in $(seq 400); do
        recalls "$1"
        if python3 -c '
import json, sys
o = [json.loads(line) for line in open(sys.argv[1])]
sys.exit(0 if eval("(" + sys.argv[2] + ")") else 1)' "$work/recalls" "$2" 2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    fail "the recalls of $1 did not come to: $2"
    head -c 3000 "$work/recalls"
    return 0
}
stop() { kill "$(cat "$A/$1/serve.pid")"; while kill -0 "$(cat "$A/$1/serve.pid")" 2>/dev/null; do sleep 0.05; done; rm "$A/$1/serve.pid"; }
start() {
    local i
    "$HUREN" --home "$A/$1" serve </dev/null >>"$A/$1/serve.log" 2>&1 &
    echo $! >"$A/$1/serve.pid"
    for i in $(seq 600); do
        "$HUREN" --home "$A/$1" status 2>/dev/null | grep -q 'daemon running' && return 0
        sleep 0.05
    done
    fail "$1 did not start"
}

# -- used, then corrected ------------------------------------------------------------------
messages 0 6 --tag A >"$work/a.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h3" h1 6 2
wait_index "$A/h2" h1 6 2
expect 0 --home "$A/h3" --json lookup --patient "$me" --item LAB.K --evidence "$work/k.hre"
json "a decision has a name" "o['results'][0]['leaf'] == 0 and 'recalled' not in o['results'][0] and
    all(d['decided'].split('/')[1].isdigit() for d in o['results'][0]['decisions'])" <"$work/out"
decision=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["decisions"][0]["decided"])' <"$work/out")
expect 0 --home "$A/h3" outcome "$decision" recognized --note "the doctor's words"
out_has "logged as"
expect 0 --home "$A/h3" verify "$work/k.hre"
wait_status "$A/h3" 40 "n['recalls']['relies_open'] == 0"
messages 0 1 --tag A --value 4.60 --status C >"$work/c.hl7"
expect 0 --home "$A/h1" import "$work/c.hl7"
wait_recall h1 "[(r['side'], r['institution'], r['leaf'], r['by'], r['what']) for r in o] == [('told', 'h3', 0, 6, 'corrected')] and o[0]['acknowledged_at']"
recalls h3
json "h3 was told" "len(o) == 1 and o[0]['side'] == 'heard' and o[0]['institution'] == 'h1' and (o[0]['leaf'], o[0]['by']) == (0, 6) and
    [(u['item'], u['outcome'], u['decided'], len(u['question'])) for u in o[0]['uses']] == [('LAB.K', 'recognized', '$decision', 64)]" <<<"[$(paste -sd, "$work/recalls")]"
