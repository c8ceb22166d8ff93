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
    for i in $(seq 900); do
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
start() { # and wait, without opening the home ourselves
    local i before
    before=$(grep -c ' ready$' "$A/$1/serve.log" || true)
    "$HUREN" --home "$A/$1" serve </dev/null >>"$A/$1/serve.log" 2>&1 &
    echo $! >"$A/$1/serve.pid"
    for i in $(seq 1200); do
        [ "$(grep -c ' ready$' "$A/$1/serve.log")" -gt "$before" ] && return 0
        sleep 0.05
    done
    fail "$1 did not start"
}

# A look-up that must find something: on a slow machine an answer may come too late.
ask() {
    local i code
    for i in $(seq 60); do
        code=0
        "$HUREN" "$@" >"$work/out" 2>"$work/err" || code=$?
        [ "$code" = 0 ] && return 0
        sleep 0.2
    done
    expect 0 "$@"
}

# -- used, then corrected ------------------------------------------------------------------
messages 0 6 --tag A >"$work/a.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h3" h1 6 2
wait_index "$A/h2" h1 6 2
ask --home "$A/h3" --json lookup --patient "$me" --item LAB.K --evidence "$work/k.hre"
json "a decision has a name" "o['results'][0]['leaf'] == 0 and 'recalled' not in o['results'][0] and
    all(d['decided'].split('/')[1].isdigit() for d in o['results'][0]['decisions'])" <"$work/out"
decision=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["decisions"][0]["decided"])' <"$work/out")
expect 0 --home "$A/h3" outcome "$decision" recognized --note "the doctor's words"
out_has "logged as"
expect 0 --home "$A/h3" verify "$work/k.hre" --standing
out_has "not recalled, as far as this home's copy of the log goes"
wait_status "$A/h3" 90 "n['recalls']['relies_open'] == 0"
messages 0 1 --tag A --value 4.60 --status C >"$work/c.hl7"
expect 0 --home "$A/h1" import "$work/c.hl7"
wait_recall h1 "[(r['side'], r['institution'], r['leaf'], r['by'], r['what']) for r in o] == [('told', 'h3', 0, 6, 'corrected')] and o[0]['acknowledged_at']"
recalls h3
json "h3 was told" "len(o) == 1 and o[0]['side'] == 'heard' and o[0]['institution'] == 'h1' and (o[0]['leaf'], o[0]['by']) == (0, 6) and
    ('LAB.K', 'recognized', '$decision', 64) in [(u['item'], u['outcome'], u['decided'], len(u['question'])) for u in o[0]['uses']]" <<<"[$(paste -sd, "$work/recalls")]"

# -- what was recalled is shown ----------------------------------------------------------------
expect 0 --home "$A/h3" verify "$work/k.hre"
out_has "k.hre: verified"
out_has "RECALLED: corrected by its issuer in entry 6: do not rely on it, look it up again; this home was told at"
expect 1 --home "$A/h3" verify "$work/k.hre" --standing
err_has "authentic, and its issuer recalled the result"
expect 0 --home "$A/h3" --json verify "$work/k.hre" --root "$A/authority/root-1.charter"
json "verify --json" "o['verified'] is True and o['recalled']['what'] == 'corrected' and o['recalled']['by'] == 6 and o['recalled']['heard_at']" <"$work/out"
wait_index "$A/h2" h1 7 2
expect 0 --home "$A/h2" verify "$work/k.hre" # was not told: its copy of the log says so
out_has "RECALLED: corrected by its issuer in entry 6"
alone verify "$work/k.hre" --root "$A/authority/root-1.charter" >"$work/out" 2>"$work/err" || fail "verify without a home"
out_has "is not known here"
code=0
alone verify "$work/k.hre" --root "$A/authority/root-1.charter" --standing >"$work/out" 2>"$work/err" || code=$?
[ "$code" = 2 ] || fail "verify --standing without a home: exit $code"
wait_index "$A/h3" h1 7 2
ask --home "$A/h3" --json lookup --patient "$me" --item LAB.K
json "the new value, with a word of the old one" "[(r['value'], r['leaf'], r['correction']) for r in o['results']] == [('4.60', 6, True)] and
    o['results'][0]['recalled']['what'] == 'corrected' and o['results'][0]['recalled']['leaf'] == 0 and
    o['results'][0]['recalled']['used_at'] == o['results'][0]['decided_before']" <"$work/out"
ask --home "$A/h3" lookup --patient "$me" --item LAB.K
out_has "RECALLED: corrected after you used it on "

# -- a withdrawal while the other is away, with restarts of the issuer ---------------------------
two=RI:$(card 2)
ask --home "$A/h3" lookup --patient "$two" --item LAB.K
ask --home "$A/h2" lookup --patient "$two" --item LAB.K
stop h3
messages 2 1 --tag A --status X >"$work/x.hl7"
expect 0 --home "$A/h1" import "$work/x.hl7"
wait_recall h1 "[(r['institution'], r['acknowledged_at'] is not None) for r in o if r['leaf'] == 2] == [('h3', False), ('h2', True)]"
stop h1
expect 0 --home "$A/h1" --json recall list --open # without a daemon, too
json "one is open" "[(r['institution'], r['leaf'], r['what'], r['overdue']) for r in o] == [('h3', 2, 'withdrawn', False)]" <<<"[$(paste -sd, "$work/out")]"
expect 1 --home "$A/h1" recall list --open --hours 0
out_has "told h3: leaf 2 of $NET/h1/pub was withdrawn by leaf 7"
out_has "NOT ACKNOWLEDGED, OVERDUE"
start h1
wait_status "$A/h1" 90 "n['recalls'] == {'outstanding': 1, 'overdue': 0, 'heard': 0, 'relies_open': 0}"
# The regulator reads it from h1's exchange log alone.
for i in $(seq 900); do
    "$HUREN" --home "$A/regulator" --json recall overdue --hours 0 >"$work/out" 2>"$work/err" && code=0 || code=$?
    [ "$code" = 1 ] && grep -q '"institution":"h3".*"leaf":2' "$work/out" && break
    sleep 0.1
done
json "the regulator's list" "[(r['state'], r['issuer'], r['institution'], r['leaf'], r['by'], r['acknowledged_at']) for r in o if r['state'] == 'overdue'] ==
    [('overdue', 'h1', 'h3', 2, 7, None)]" <<<"[$(paste -sd, "$work/out")]"
expect 0 --home "$A/regulator" recall overdue
out_has "0 overdue, 0 not told, 0 unconfirmed, 1 waiting, 2 acknowledged"
start h3
wait_recall h1 "[r['acknowledged_at'] is not None for r in o if r['leaf'] == 2] == [True, True]"
wait_status "$A/h3" 90 "n['recalls']['heard'] == 2 and log['h1/pub']['size'] >= 8"
expect 0 --home "$A/h3" recall list
out_has "used: LAB.K decided"
for i in $(seq 900); do
    "$HUREN" --home "$A/regulator" recall overdue --hours 0 >"$work/out" 2>"$work/err" && break
    sleep 0.1
done
out_has "0 overdue, 0 not told, 0 unconfirmed, 0 waiting, 3 acknowledged"
expect 1 --home "$A/h3" lookup --patient "$two" --item LAB.K
out_has "RECALLED: withdrawn after you used it on "

# -- the wrong patient --------------------------------------------------------------------------
wrong=RI:$(card 3)
ask --home "$A/h3" lookup --patient "$wrong" --item LAB.K
messages 3 1 --tag A --value 4.10 --status C | sed "s/$(card 3)/$(card 40)/" >"$work/w.hl7"
expect 0 --home "$A/h1" import "$work/w.hl7"
wait_recall h3 "[(r['what'], r['uses'][0]['item']) for r in o if r['leaf'] == 3] == [('withdrawn', 'LAB.K')]"
wait_index "$A/h3" h1 10 2
expect 1 --home "$A/h3" --json lookup --patient "$wrong" --item LAB.K
json "not this patient's" "[(r['status'], r['preselected'], r['recalled']['what']) for r in o['results']] == [('withdrawn', False, 'withdrawn')]" <"$work/out"
ask --home "$A/h3" lookup --patient "RI:$(card 40)" --item LAB.K

# -- outcomes -----------------------------------------------------------------------------------
expect 0 --home "$A/h3" outcome "$decision" repeated --code NEG.EMERGENCY --code NEG.RAPID_CHANGE
err_has "recognized was logged for this decision before"
expect 2 --home "$A/h3" outcome "$decision" repeated
err_has "a repeat needs a coded reason"
expect 2 --home "$A/h3" outcome "$decision" repeated --code NEG.NOTHING
expect 1 --home "$A/h3" outcome "${decision%/*}/99999" recognized
err_has "no such decision"
expect 2 --home "$A/h3" recall lost
stop h3
expect 0 --home "$A/h3" recall overdue # without a daemon, and of its own log alone
out_has "of 1 exchange log"
# The note, and every patient, stay out of the log and of what is printed.
expect 0 --home "$A/h3" log tiles exch "$work/tiles"
! grep -rqF -e "the doctor's words" -e "$(card 0)" -e "$(card 3)" "$work/tiles" "$A"/h*/serve.log || fail "a log shows a note or a patient"
