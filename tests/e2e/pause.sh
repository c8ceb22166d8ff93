#!/usr/bin/env bash
# Goal: a daemon or command that is stopped for a while, or whose disk takes seconds to sync, goes
# on where it was: nothing acknowledged is lost or doubled, sessions do not pile up, nobody takes
# its lock or finds two of it, nothing is frozen or revoked, no second history is signed (F11).
# Method: SIGSTOP and SIGCONT in turn, work going on meanwhile; then every fsync, fdatasync and
# msync of h1 delayed (tests/inject).  HR_FAULTS=all (scripts/faults.sh pause): 20 pauses of up to
# 100 s (a session is given up after 90), and syncs of 2 to 30 s.
. tests/e2e/lib/common.sh
inject=$(dirname "$HUREN")/inject
if [ "${HR_FAULTS:-}" = all ]; then
    pauses=(2 5 1 9 3 100 2 4 12 1 35 2 6 3 1 8 2 45 5 1)
    delays=(2000 8000 30000)
else
    pauses=(1 2 1)
    delays=(500)
fi
stopped=0
trap '[ $stopped = 0 ] || kill -CONT $stopped; finish' EXIT # a stopped process does not end
up 2
wire() { "$HUREN" --home "$1" --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["wire"]["sessions"])'; }
ask() { # the look-up of a patient at h2; 1 in $answered when h1 told
    "$HUREN" --home "$A/h2" --json lookup --patient "RI:$(card "$1")" --item LAB.K >"$work/out" 2>"$work/err" || true
    asked=$((asked + 1))
    answered=$(python3 -c 'import json, sys; print(int(any(r["issuer"] == "h1" and r["value"] == "4.10" for r in json.load(sys.stdin)["results"])))' <"$work/out" || echo 0)
}
until_answered() { # PATIENT WHAT
    for _ in $(seq 300); do
        ask "$1"
        [ "$answered" = 1 ] && return 0
        sleep 0.1
    done
    fail "$2: no answer for a minute"
}
import() { # COUNT: new reports into h1; each is acknowledged, or the command did not say so
    messages "$next" "$1" --tag P >"$work/p.hl7"
    expect 0 --home "$A/h1" import "$work/p.hl7"
    [ "$(grep -c ': published$' "$work/out")" = "$1" ] || fail "of $1 reports not all were published"
    next=$((next + $1))
}
stop_for() { # PID SECONDS
    stopped=$1
    kill -STOP "$1"
    sleep "$2"
    kill -CONT "$1"
    stopped=0
}
next=0
asked=0
import 3
wait_index "$A/h2" h1 3 2
until_answered 0 "before any pause"

# -- daemons -------------------------------------------------------------------------------
round=0
for seconds in "${pauses[@]}"; do
    victim=$([ $((round % 3)) = 1 ] && echo h2 || echo h1)
    pid=$(cat "$A/$victim/serve.pid")
    stop_for "$pid" "$seconds" &
    waiter=$!
    sleep 0.2
    # Its lock is its own while it sleeps.
    code=0
    timeout 20 "$HUREN" --home "$A/$victim" serve >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" = 2 ] && grep -qE "already in use by process $pid" "$work/err" ||
        fail "a second daemon beside a stopped one: exit $code: $(head -c 300 "$work/err")"
    [ "$victim" = h2 ] || ask 0 # h1 is silent, or answers when it is back
    import 2                    # waits for h1, if it is that one
    wait "$waiter" || fail "the pause"
    kill -0 "$pid" || fail "$victim did not survive a pause of $seconds s"
    until_answered $((next - 1)) "after a pause of $seconds s of $victim"
    round=$((round + 1))
done
wait_index "$A/h2" h1 "$next" 2
# One session for each side that dials, to each of three others.
for h in h1 h2; do
    wait_status "$A/$h" 30 "s['wire']['sessions'] <= 6"
    wait_status "$A/$h" 30 "{p['institution'] for p in n['peers']} >= {'h1', 'h2', 'regulator', 'authority'} - {'$h'}"
done
echo "$round pauses, $asked look-ups, $next reports; open sessions: h1 $(wire "$A/h1"), h2 $(wire "$A/h2")"

# -- a command that owns the home --------------------------------------------------------------
scripts/alliance.sh stop "$A/h1"
messages "$next" 200 --tag P >"$work/p.hl7"
"$HUREN" --home "$A/h1" import "$work/p.hl7" >"$work/first" 2>&1 &
first=$!
started+=("$first")
for _ in $(seq 500); do # it has the lock
    [ -s "$A/h1/lock" ] && [ "$(tr -dc 0-9 <"$A/h1/lock")" = "$first" ] && break
    sleep 0.01
done
stopped=$first
kill -STOP "$first" || true
if kill -0 "$first" 2>/dev/null; then
    code=0
    "$HUREN" --home "$A/h1" import "$work/p.hl7" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 2 ] && grep -q "in use by process $first" "$work/err" || fail "beside a stopped owner: exit $code: $(head -c 300 "$work/err")"
fi
kill -CONT "$first" || true
stopped=0
wait "$first" || fail "an import that was stopped: $(tail -3 "$work/first")"
[ "$(grep -c ': published$' "$work/first")" = 200 ] || fail "an import that was stopped published $(grep -c ': published$' "$work/first") of 200"
next=$((next + 200))

# -- a slow disk -------------------------------------------------------------------------------
if [ ! -x "$inject" ] || ! "$inject" delay=1 fsync 0 /dev/null true 2>"$work/err"; then
    echo "SKIPPED: no inject, or it may not trace here: NO SLOW DISK WAS TRIED: $(head -1 "$work/err")"
    delays=()
    scripts/alliance.sh start "$A/h1"
fi
for ms in "${delays[@]}"; do
    scripts/alliance.sh stop "$A/h1"
    "$inject" "delay=$ms" fsync,fdatasync,msync 0 "$work/syncs" "$HUREN" --home "$A/h1" serve </dev/null >"$A/h1/serve.log" 2>&1 &
    slow=$!
    for _ in $(seq 6000); do
        grep -q ' ready$' "$A/h1/serve.log" && break
        kill -0 "$slow" 2>/dev/null || break
        sleep 0.1
    done
    grep -q ' ready$' "$A/h1/serve.log" || fail "h1 does not start when a sync takes $ms ms: $(tail -3 "$A/h1/serve.log")"
    tr -dc 0-9 <"$A/h1/lock" >"$A/h1/serve.pid"
    wait_status "$A/h1" $((120 + ms / 100)) "n['signing']['pub']['state'] == 'open'"
    import 2
    wait_status "$A/h2" $((120 + ms / 100)) "log['h1/pub']['size'] == $next"
    ask $((next - 1)) # a slow holder is a silent one, at most
    began=$SECONDS
    kill "$(cat "$A/h1/serve.pid")"
    wait "$slow" || fail "h1 did not end well on a slow disk: $(tail -3 "$A/h1/serve.log")"
    rm -f "$A/h1/serve.pid"
    echo "a sync takes $ms ms: $(grep -c fired "$work/syncs") syncs, h1 ended within $((SECONDS - began)) s"
    scripts/alliance.sh start "$A/h1"
    until_answered $((next - 1)) "after a disk of $ms ms"
done

# -- one history, once ---------------------------------------------------------------------------
wait_index "$A/h2" h1 "$next" 2
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'open' and log['h1/pub']['head'] == $next"
for h in h1 h2 regulator; do
    "$HUREN" --home "$A/$h" --json status >"$work/out"
    json "$h knows no fork and no twin" "all(n['forks'] == [] and not any(l['frozen'] for l in n['logs']) and all(g['state'] == 'open' for g in n['signing'].values()) for n in o['networks'])" <"$work/out"
done
for h in h1 h2 regulator; do
    if grep -hiE 'twin|revoked|fork|contradict|not a clean start' "$A/$h/serve.log"; then fail "$h was alarmed"; fi
    expect 0 --home "$A/$h" audit verify
done
expect 0 --home "$A/h1" --json status
json "h1 answered each look-up once at most" "[l['size'] for l in o['networks'][0]['logs'] if l['origin'] == o['networks'][0]['exch']][0] <= 4 + $asked" <"$work/out"
messages 0 "$next" --tag P >"$work/all.hl7"
expect 0 --home "$A/h1" import "$work/all.hl7"
out_has "$next there already"
